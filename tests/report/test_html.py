"""The HTML report, opened from disk in a browser, without a network."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from janitor.core.clock import DAY_MS
from janitor.core.model import (
    DeleteGroup,
    Evidence,
    Ingestion,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    Target,
    Unknown,
)
from janitor.core.tally import Tally
from janitor.cost.money import Ledger
from janitor.cost.prices import PriceList, price_list
from janitor.policy.file import Prices
from janitor.report.base import RunInfo
from janitor.report.html import HtmlReport, json_block, visible
from janitor.report.packed import PackedFindings
from janitor.report.pictures import ArrivalBubbles, PrefixTree
from janitor.report.summary import summarize
from tests.report.browser import LEFT_OUT, MISSING, arguments, chromium

NOW = 1_800_000_000_000
ACCOUNT = "123456789012"
REGIONS = ("eu-west-1", "us-east-1", "ap-southeast-2")
PRICES = price_list(Prices())


def group(number: int, name: str | None = None, **more: Any) -> LogGroup:
    region = more.pop("region", REGIONS[number % 3])
    name = name or f"/aws/{('lambda', 'ecs', 'rds')[number % 3]}/service-{number:06d}-api"
    fields = {
        "stored_bytes": (number * 7919) % 1_000_003 * 1024,
        "retention_days": (None, 30, None, 90)[number % 4],
        "creation_time": NOW - (number % 900) * DAY_MS,
    }
    arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}"
    return LogGroup(Target(ACCOUNT, region), name, arn, **(fields | more))


def outcome(number: int, of: LogGroup, pieces: int = 7) -> Outcome:
    """Return a deletion with realistic evidence, a retention, or sometimes an unknown."""
    calls = ("ListFunctions", "DescribeLogStreams", "GetMetricData", "DescribeSubscriptionFilters")
    if number % 3 == 0:
        evidence = tuple(
            Evidence(call, f"{number} streams, all silent since the cutoff", NOW + number + at)
            for at, call in enumerate((*calls, *calls[:2], "DescribeLogGroups")[:pieces])
        )
        reason = f"empty for more than {number % 400 + 37} days; rule 'lambda' deletes empty groups"
        action = DeleteGroup(reason, "lambda", NOW - 37 * DAY_MS, Keep(""))
        return Outcome(of, action, Status.PLANNED, "", NOW, evidence=evidence)
    if number % 50 == 1:
        why = "odd values: creationTime is missing"
        return Outcome(of, Unknown(why), Status.UNKNOWN, "", NOW)
    reason = "no retention is in force; rule 'defaults' sets 365 days"
    return Outcome(of, SetRetention(reason, "defaults", 365), Status.PLANNED, "", NOW)


def page_of(
    groups: Sequence[LogGroup],
    outcomes: Sequence[Outcome],
    *,
    prices: PriceList = PRICES,
    more: dict[str, Any] | None = None,
    explain: Sequence[str] = (),
    most: int = 50_000,
    errors: Sequence[str] = (),
) -> str:
    """Return the page of a run, as text."""
    out, tally, ledger = io.StringIO(), Tally(), Ledger()
    started = "2027-01-15T08:00:00+00:00"
    now = int(datetime.fromisoformat(started).timestamp() * 1000)
    report = HtmlReport(out, prices, explain=explain, now=now, most=most)
    report.start(
        RunInfo(
            id="0123456789abcdef",
            command="report",
            version="1",
            started=started,
            account=ACCOUNT,
            regions=list(REGIONS),
            policy="policy.toml",
            policy_sha256="f" * 64,
            dry_run=True,
        )
    )
    tally.read(groups)
    ledger.scanned(groups)
    for one in groups:
        report.scanned(one)
        if one.ingestion is not None:
            report.ingested(one, one.ingestion)
    for result in outcomes:
        tally.add(result)
        ledger.add(result)
        report.finding(result)
    for error in errors:
        tally.error(error)
    summary = summarize(tally, ledger.as_dict(prices), {}, {}, ())
    report.finish(replace(summary, **(more or {})))
    return out.getvalue()


def many(count: int, pieces: int = 7) -> str:
    groups = [group(number) for number in range(count)]
    found = [outcome(number, one, pieces=pieces) for number, one in enumerate(groups)]
    return page_of(groups, found)


# ---- without a browser ---------------------------------------------------------------------------


def test_ten_thousand_findings_are_under_2_mb() -> None:
    """The names differ, and each deletion has seven pieces of evidence."""
    assert len(many(10_000).encode()) < 2_000_000


def test_too_many_findings_are_cut_by_importance() -> None:
    """Those that need a person stay, then deletions, then the largest, and the page says so."""
    groups = [group(number) for number in range(300)]
    outcomes = [outcome(number, one) for number, one in enumerate(groups)]
    page = " ".join(page_of(groups, outcomes, most=120).split())
    assert "180 of 300 findings are not in this page" in page
    assert "--format jsonl" in page
    store = PackedFindings(PRICES, 120)
    for one in outcomes:
        store.add(one)
    kept = [json.loads(data) for *_, data in store._heap]
    unknown = sum(one.status is Status.UNKNOWN for one in outcomes)
    deletions = sum(isinstance(one.action, DeleteGroup) for one in outcomes)
    assert sum(row["action"] == "unknown" for row in kept) == unknown > 0
    assert sum(row["action"] == "delete_group" for row in kept) == deletions
    smallest = min(row["stored_bytes"] for row in kept if row["action"] == "set_retention")
    dropped = [one.group.stored_bytes for one in outcomes if isinstance(one.action, SetRetention)]
    assert sorted(dropped, reverse=True)[120 - unknown - deletions - 1] == smallest


def test_unknown_costs_are_not_shown_as_zero() -> None:
    """Without a price the page says "unknown", and draws no bars of cost."""
    nowhere = PriceList("2027-01-01", "nobody", {})
    one = group(2, stored_bytes=5_000_000_000)
    page = " ".join(page_of([one], [outcome(2, one)], prices=nowhere).split())
    assert '<dt>Storage costs now</dt> <dd class="unknown">unknown</dd>' in page
    assert "Unknown: there is no price for these log groups." in page
    assert "$0" not in page[: page.index("<script")]


def test_errors_come_before_figures() -> None:
    """An incomplete run says so above everything else."""
    page = page_of([], [], errors=["a Region could not be listed: <b>denied</b>"])
    assert page.index("This run is not complete") < page.index("Key figures")
    assert "a Region could not be listed: &lt;b&gt;denied&lt;/b&gt;" in page
    assert '<dt>Needs a person</dt><dd>1</dd><dd class="sub">1 error</dd>' in page.replace("\n", "")


@given(st.lists(st.tuples(st.text("ab/-_.x", min_size=1, max_size=30), st.integers(0, 10**12))))
def test_the_treemap_holds_every_byte_and_few_nodes(named: list[tuple[str, int]]) -> None:
    """However small the tree must stay, the tiles add up to the account."""
    for nodes in (4, 40, 20_000):
        tree = PrefixTree(nodes)
        for number, (name, stored) in enumerate(named):
            tree.add(group(number, name, stored_bytes=stored))
        families = tree.families()
        total = sum(stored for _, stored in named)
        assert sum(family["stored"] for family in families) == total
        parts = [part for family in families for part in family["parts"]]
        assert sum(part["stored"] for part in parts) == total
        assert len(parts) <= 80
        if total:
            assert sum(part["groups"] for part in parts) <= len(named)
            assert all(part["never"] <= part["stored"] for part in parts)
        assert tree._nodes <= max(nodes, 1)


def test_arrivals_count_every_group_once() -> None:
    """A log group's last arrival is known by ingestion, proved long ago, or not read."""
    groups = [group(number) for number in range(50)]
    arrivals = ArrivalBubbles()
    for one in groups:
        arrivals.scanned(one)
    for one in groups[:10]:
        arrivals.proved(one)
    counts = dict.fromkeys(("longer", "unread"), 0)
    for bubble in arrivals.bubbles():
        counts[bubble["when"]] += bubble["groups"]
    assert counts == {"longer": 10, "unread": 40}
    for number, one in enumerate(groups[:30]):
        arrivals.ingested(one, None if number < 5 else number)
    assert sum(bubble["groups"] for bubble in arrivals.bubbles()) == 50
    assert sum(b["stored"] for b in arrivals.bubbles()) == sum(g.stored_bytes for g in groups)


@given(st.text())
def test_data_cannot_end_its_block(text: str) -> None:
    """It contains no `<` at all, and JSON reads it back."""
    block = str(json_block({"name": text + "</script><!--\u2028"}))
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block) == {"name": text + "</script><!--\u2028"}


def test_deceptive_characters_are_shown_by_number() -> None:
    """These are right-to-left overrides, zero-width characters, line ends and lone surrogates."""
    shown = visible("a\u202eb\u200bc\n\ud800")
    assert shown == "a⟨U+202E⟩b⟨U+200B⟩c⟨U+000A⟩⟨U+D800⟩"


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium, for this module only, because Playwright's event loop keeps running.

    Without a browser the tests are left out, which pytest's last line says; in CI they fail.
    """
    path = chromium()
    if path is None:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(MISSING)
        pytest.skip(LEFT_OUT)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments())
        yield running
        running.close()


class Reader:
    """Opens pages from disk, one after the other, and records every request and console message."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._folder = folder
        self._page = browser.new_page()
        self._page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.opened: list[str] = []
        self.requests: list[str] = []
        self.messages: list[str] = []

        def on_request(request: Request) -> None:
            self.requests.append(request.url)

        def on_console(message: ConsoleMessage) -> None:
            self.messages.append(f"{message.type}: {message.text}")

        def on_error(error: Error) -> None:
            self.messages.append(str(error))

        self._page.on("request", on_request)
        self._page.on("console", on_console)
        self._page.on("pageerror", on_error)

    def open(
        self, text: str, scheme: Literal["light", "dark"] = "light", width: int = 1280
    ) -> Page:
        """Open a page as if for the first time."""
        path = self._folder / f"report-{len(self.opened)}.html"
        path.write_text(text, encoding="utf-8")
        self.opened.append(path.as_uri())
        self._page.set_viewport_size({"width": width, "height": 900})
        # Without smooth scrolling, for which clicks would wait.
        self._page.emulate_media(media="screen", color_scheme=scheme, reduced_motion="reduce")
        self._page.goto(path.as_uri())
        self._page.wait_for_selector("body[data-ready]")
        return self._page

    def close(self) -> None:
        """Fail if a page requested anything but itself, or wrote to the console."""
        self._page.evaluate("localStorage.clear()")
        assert self.messages == []
        assert set(self.requests) == set(self.opened)


@pytest.fixture(scope="module")
def readers(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(browser, tmp_path_factory.mktemp("pages"))


@pytest.fixture
def reader(readers: Reader) -> Iterator[Reader]:
    yield readers
    readers.close()


@pytest.fixture(scope="module")
def sandbox_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the sandbox account, with ingestion."""
    path = tmp_path_factory.mktemp("sandbox") / "report.html"
    words = ["report", "--sandbox", "--ingestion", "-q", "--format", "html", "-o", str(path)]
    # In another process, because Playwright's event loop runs in this one.
    assert subprocess.run([sys.executable, "-m", "janitor", *words]).returncode == 5
    return path.read_text(encoding="utf-8")


def names(page: Page) -> list[str]:
    return page.locator("button.open").all_inner_texts()


def found(page: Page) -> str:
    return page.locator("#found").inner_text()


def test_the_page_shows_answer_pictures_and_findings(reader: Reader, sandbox_page: str) -> None:
    """It makes no requests and logs nothing, which the reader checks at teardown."""
    page = reader.open(sandbox_page)
    assert re.match(r"[1-9]\d of 300 log groups would be deleted", page.locator("h1").inner_text())
    assert page.locator(".figures > div").count() == 6
    for picture in ("bytes", "retentions", "arrivals", "costs"):
        assert page.locator(f"#{picture} svg rect, #{picture} svg circle").count() >= 2, picture
        rows = page.locator(f"section:has(#{picture}) details tbody tr")
        assert rows.count() >= 2, picture
    assert page.locator("caption", has_text="Top talkers").count() == 1
    assert len(names(page)) == 100


def test_search_filters_and_clear(reader: Reader, sandbox_page: str) -> None:
    """Each filter narrows the findings further, and the line above the table counts them."""
    page = reader.open(sandbox_page)
    total = found(page)
    page.get_by_label("Search").fill("empty for more")
    deleted = page.locator("h1").inner_text().split()[0]
    assert found(page).startswith(f"{deleted} of ")
    page.get_by_label("Region").select_option("eu-west-1")
    assert 0 < len(names(page)) < int(deleted)
    assert {c.inner_text() for c in page.locator("tr.row td:nth-child(2)").all()} == {"eu-west-1"}
    page.get_by_label("Rule").select_option("=lambda")
    assert all(name.startswith("/aws/lambda/") for name in names(page))
    page.get_by_label("Search").fill("no group is called so")
    assert found(page).startswith("No finding matches")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("button.open")).to_have_count(100)
    assert found(page) == total
    people = page.locator("#f-what option", has_text="Needs a person").inner_text()
    page.get_by_label("Action").select_option(label=people)
    assert people == f"Needs a person ({len(names(page))})"
    assert "/odd/no-creation-time" in names(page)


def test_a_prefix_leads_to_its_findings(reader: Reader, sandbox_page: str) -> None:
    """It does so from the treemap's table, and from a tile."""
    page = reader.open(sandbox_page)
    page.locator("section:has(#bytes) summary", has_text="As a table").click()
    page.locator("button[data-prefix='/aws/vpc/flow-logs']").click()
    assert set(names(page)) == {"/aws/vpc/flow-logs"}
    page.get_by_label("Search").fill("")
    page.locator("#bytes .tile", has_text="/aws/vpc/flow-logs").click()
    assert page.get_by_label("Search").input_value() == "/aws/vpc/flow-logs"


def test_sorting(reader: Reader, sandbox_page: str) -> None:
    """Numbers start with the largest, names with A; a second click reverses the order."""
    page = reader.open(sandbox_page)
    head = page.locator("#rows").get_by_role("columnheader", name="Log group")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page) == sorted(names(page))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page) == sorted(names(page), reverse=True)
    cost = page.get_by_role("columnheader", name="Cost a month")
    cost.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    cells = page.locator("tr.row td:nth-child(6)").all_inner_texts()
    amounts = [float(cell.replace("$", "")) for cell in cells if cell.startswith("$")]
    assert len(amounts) > 10
    assert amounts == sorted(amounts, reverse=True)


def test_a_row_opens_to_reason_evidence_and_the_explain_line(
    reader: Reader, sandbox_page: str
) -> None:
    """The explain command can be copied, and works when it is run."""
    page = reader.open(sandbox_page)
    page.get_by_label("Search").fill("black-friday")
    row = page.locator("button.open")
    row.click()
    page.wait_for_selector(".evidence")
    assert row.get_attribute("aria-expanded") == "true"
    detail = page.locator("tr.detail")
    assert detail.get_attribute("id") == row.get_attribute("aria-controls")
    assert "empty for more than" in detail.locator(".reason").inner_text()
    calls = detail.locator(".evidence tbody th").all_inner_texts()
    assert {"DescribeLogStreams", "GetMetricData", "DescribeSubscriptionFilters"} <= set(calls)
    page.get_by_role("button", name="Copy the explain line").click()
    expect(page.locator(".explain button")).to_have_text("Copied")
    line = page.evaluate("navigator.clipboard.readText()")
    assert shlex.split(line)[:4] == ["janitor", "explain", "--sandbox", "--region"]
    assert shlex.split(line)[-2:] == ["--", "/aws/lambda/black-friday-2022"]
    assert subprocess.run([sys.executable, "-m", *shlex.split(line)]).returncode == 0
    row.click()
    assert page.locator("tr.detail").count() == 0


def test_keyboard_alone(reader: Reader, sandbox_page: str) -> None:
    """`/` searches, Tab reaches rows, Enter opens, arrows move; the focus is visible."""
    page = reader.open(sandbox_page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("/")
    page.keyboard.type("empty for more")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "open":
            break
    assert page.evaluate("document.activeElement.className") == "open"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".evidence")
    opened = page.locator("button.open[aria-expanded=true]").all_inner_texts()
    assert opened == [names(page)[1]]
    page.keyboard.press("Enter")
    assert page.locator("tr.detail").count() == 0


def background(page: Page) -> int:
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_light_and_dark(reader: Reader, sandbox_page: str) -> None:
    """The theme follows the system unless the button overrides it; print is always light."""
    page = reader.open(sandbox_page, "dark")
    assert background(page) < 150
    button = page.get_by_role("button", name="Theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    assert background(page) > 600
    button.click()
    assert button.inner_text() == "Theme: dark"
    assert background(page) < 150
    page.reload()
    assert page.get_by_role("button", name="Theme").inner_text() == "Theme: dark"
    page.emulate_media(media="print")
    assert background(page) > 600


def test_print_is_the_summary(reader: Reader, sandbox_page: str) -> None:
    """Print has figures and pictures, but no controls and no table of findings."""
    page = reader.open(sandbox_page)
    page.emulate_media(media="print")
    for shown in ("h1", ".figures", "#bytes svg", "#costs svg", ".decided"):
        assert page.locator(shown).is_visible(), shown
    for hidden in ("#theme", ".controls", "#rows", "#pages"):
        assert not page.locator(hidden).is_visible(), hidden
    assert page.pdf().startswith(b"%PDF")


def test_the_page_is_legible_at_every_width(reader: Reader, sandbox_page: str) -> None:
    """Nothing is cut off, evidence included, and names wrap to a few lines at most."""
    page = reader.open(sandbox_page)
    page.locator("button.open").nth(2).click()
    page.wait_for_selector(".evidence")  # it is unpacked first
    for width in (390, 721, 768, 900, 1024, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        cut = """[...document.querySelectorAll(".scroll, main")]
            .filter((box) => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
            .map((box) => box.getAttribute("aria-label"))"""
        assert page.evaluate(cut) == []
        names = """[...document.querySelectorAll("#rows th.name")]
            .map((cell) => [cell.offsetWidth, cell.offsetHeight])"""
        sizes = page.evaluate(names)
        assert min(wide for wide, _ in sizes) > 140, width
        assert max(high for _, high in sizes) < 110, width


def test_sections_fold_and_are_linked(reader: Reader, sandbox_page: str) -> None:
    """Links at the top lead to each section; a tile opens the folded findings."""
    page = reader.open(sandbox_page)
    links = page.locator("nav.contents a")
    for link in links.all():
        target = str(link.get_attribute("href"))
        assert page.locator(f"details[open] > summary > {target}").count() == 1
    page.locator("#h-findings").click()
    expect(page.locator("#rows")).to_be_hidden()
    page.evaluate("document.querySelector('.tile').dispatchEvent(new Event('click'))")
    expect(page.locator("#rows")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1360])
def test_axe_finds_no_accessibility_violation(
    reader: Reader, sandbox_page: str, scheme: Literal["light", "dark"], width: int
) -> None:
    """That holds with the pictures' tables and a row open, too."""
    page = reader.open(sandbox_page, scheme, width)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.get_by_label("Search").fill("empty for more")
    page.locator("button.open").first.click()
    page.wait_for_selector(".evidence")
    # By far the slowest rule, and colours are the same at every width.
    contrast = {"color-contrast": {"enabled": width == 320}}
    result = Axe().run(page, options={"resultTypes": ["violations"], "rules": contrast})
    problems = [
        (violation["id"], [node["html"][:120] for node in violation["nodes"]][:3])
        for violation in result.response["violations"]
    ]
    assert problems == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.top').scrollWidth") <= width - 28
    box = page.locator("#rows th.name").first.bounding_box()
    assert box is not None
    assert box["width"] > 100


def test_fifty_thousand_rows(reader: Reader) -> None:
    """They can be loaded, searched and sorted, and the document stays small."""
    page = reader.open(many(50_000, pieces=1))
    assert found(page).startswith("50,000 of 50,000 findings")
    assert len(names(page)) == 100
    assert page.evaluate("document.querySelectorAll('*').length") < 4_000
    page.get_by_label("Search").fill("service-049998")
    assert names(page) == ["/aws/lambda/service-049998-api"]
    page.locator("button.open").click()
    page.wait_for_selector(".evidence")
    assert "49998 streams" in page.locator(".evidence").inner_text()
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="Last").click()
    assert "49,901 to 50,000 shown" in found(page)
    page.get_by_role("columnheader", name="Stored").get_by_role("button").click()
    assert "1 to 100 shown" in found(page)
    assert page.evaluate("document.querySelectorAll('*').length") < 4_000


HOSTILE = (
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 2'>",
    '"><svg onload=window.broken=3>',
    "' onmouseover='window.broken=4",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}${window.broken=5}`",
    "]]></style></title><b>loose</b>",
    "&lt;b&gt;&amp;\u2028\u2029\u0001\n",
    "photos-\u202egnp.exe",
    "javascript:window.broken=6",
    "$(touch broken); `touch broken`; a'b\"c",
    "-rf",
    "n" * 5_000,
)


def test_hostile_text_is_shown_and_not_run(reader: Reader) -> None:
    """It is put into every place that text can come from."""
    groups, outcomes = [], []
    for number, text in enumerate(HOSTILE):
        last = Ingestion(10**9, 30, NOW)
        one = group(
            number,
            text,
            stored_bytes=10**12 - number * 10**9,
            retention_policy=text,
            log_class=text,
            tags={text: text},
            ingestion=last,
        )
        groups.append(one)
        evidence = (Evidence(text, text, NOW),)
        action = DeleteGroup(text, text, NOW, Keep(""))
        outcomes.append(Outcome(one, action, Status.PLANNED, text, NOW, evidence=evidence))
    top = [
        {
            "account": ACCOUNT,
            "region": text,
            "group": text,
            "class": text,
            "bytes": 5,
            "usd_a_month": None,
            "share": 0.1,
            "retention_days": None,
            "advice": [text],
        }
        for text in HOSTILE
    ]
    prefixes = [
        {"prefix": text, "groups": 1, "bytes": 5, "usd_a_month": 1.5, "share": 0.1}
        for text in HOSTILE
    ]
    ingestion = {
        "days": 30,
        "groups": 13,
        "unread": 0,
        "bytes": 10**9,
        "usd_a_month": 1.0,
        "top_groups": top,
        "top_prefixes": prefixes,
        "no_arrivals": 0,
        "infrequent_access_saves_usd": 1.0,
    }
    more = {"ingestion": ingestion, "warnings": list(HOSTILE), "refused_because": HOSTILE[0]}
    text = page_of(groups, outcomes, more=more, explain=["--policy", HOSTILE[0]], errors=HOSTILE)
    page = reader.open(text)
    assert [name.strip() for name in names(page)] == [visible(name).strip() for name in HOSTILE]
    for button in page.locator("button.open").all():
        button.click()
    expect(page.locator(".evidence")).to_have_count(len(HOSTILE))
    for name, reason in zip(HOSTILE, page.locator(".reason").all_inner_texts(), strict=True):
        assert reason.strip() == visible(name).strip()
    for tile in page.locator("#bytes .tile").all()[:8]:
        tile.hover()
    page.locator("section:has(#bytes) summary", has_text="As a table").click()
    assert page.evaluate("window.broken") is None
    assert page.locator("img, b:text('loose'), svg[onload], [onmouseover], [onerror]").count() == 0
    assert page.locator("script").count() == 3 + 2  # data, two packed blocks, D3, ours
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name, code in zip(HOSTILE, page.locator(".explain").all(), strict=True):
        code.get_by_role("button").click()
        expect(code.get_by_role("button")).to_have_text("Copied")
        line = page.evaluate("navigator.clipboard.readText()")
        expected = ["janitor", "explain", "--policy", HOSTILE[0]]
        words = shlex.split(line)
        assert words[:4] == expected
        assert words[-2] == "--"
        assert words[-1] == name


def test_without_findings(reader: Reader) -> None:
    """An account without log groups has a page, too."""
    page = reader.open(page_of([], []))
    assert found(page) == "There are no findings."
    assert page.locator("h1").inner_text() == "Nothing would be changed in 0 log groups."


def test_the_content_security_policy_blocks_other_scripts(
    reader: Reader, sandbox_page: str
) -> None:
    """The browser refuses a script whose hash the policy does not have."""
    page = reader.open(sandbox_page.replace("</body>", "<script>window.broken = 1</script></body>"))
    assert page.evaluate("window.broken") is None
    [message] = reader.messages
    assert "Content Security Policy" in message
    reader.messages.clear()
