"""`--format html`: one self-contained page, for the team and for finance.

The summary is plain HTML, rendered here; `assets/report.js` draws pictures and the table of
findings in the browser, with D3. Names, tags and reasons are untrusted text: Jinja2 escapes them,
in data they cannot end their block, and the page's Content-Security-Policy allows only its own two
scripts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import IO, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from janitor.core.clock import DAY_MS
from janitor.core.model import DeleteGroup, Ingestion, LogGroup, Outcome, Status, Target
from janitor.core.text import counted, size
from janitor.cost.money import monthly_usd
from janitor.cost.prices import PriceList
from janitor.report.base import RunInfo, dollars, percent
from janitor.report.difference import figures, since
from janitor.report.overview import (
    Orphans,
    Overview,
    changes,
    failed_where,
    made_again_note,
    orphans_note,
    share_heads,
    share_rows,
)
from janitor.report.packed import FOR_A_PERSON, MOST, PackedFindings
from janitor.report.pictures import Amount, ArrivalBubbles, PrefixTree, Retentions
from janitor.report.summary import Summary

MESSAGES = 50
"""Errors, warnings, orphans and changes since an older report shown at most, of each."""
_CHANGED = (Status.PLANNED, Status.DONE)
_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")


class HtmlReport:
    """Collects everything and writes the page in `finish`; memory is bounded (`most` findings).

    `explain` are the options that `janitor explain` needs besides Region, name and, if accounts are
    an organization's (`org`), the account. `now`: when the run began, in ms since the epoch.
    """

    def __init__(
        self,
        out: IO[str],
        prices: PriceList,
        *,
        explain: Sequence[str] = (),
        org: bool = False,
        now: int,
        most: int = MOST,
    ) -> None:
        self._out = out
        self._now = now
        self._explain = tuple(explain)
        self._org = org
        self._overview = Overview(rows=0)
        self._prices = prices
        self._orphans = Orphans(MESSAGES)
        self._findings = PackedFindings(prices, most)
        self._prefixes = PrefixTree()
        self._retentions = Retentions()
        self._arrivals = ArrivalBubbles()
        self._scanned = Amount()

    def start(self, info: RunInfo) -> None:
        """Keep what the run covers."""
        self._info = info

    def scanned(self, group: LogGroup) -> None:
        """Add the group to every picture."""
        self._scanned.add(group)
        self._orphans.scanned(group)
        self._prefixes.add(group)
        self._retentions.add(group)
        self._arrivals.scanned(group)

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Note how long ago something last arrived in the group."""
        self._arrivals.ingested(group, days_ago(ingestion.last_day, self._now))

    def finding(self, outcome: Outcome) -> None:
        """Count an outcome, and keep it for the table."""
        self._overview.add(outcome, listed=False)
        self._findings.add(outcome)
        if outcome.status in _CHANGED and isinstance(outcome.action, DeleteGroup):
            self._arrivals.proved(outcome.group)

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes, without listing them."""
        for outcome in outcomes:
            self._overview.add(outcome, listed=False)

    def finish(self, summary: Summary) -> None:
        """Write the page."""
        for text in self._page(summary):
            self._out.write(text)

    def _page(self, summary: Summary) -> Iterator[str]:
        style, scripts = _asset("report.css"), (_asset("d3.min.js"), _asset("report.js"))
        info, money, ingestion = self._info, summary.money, summary.ingestion
        data = {
            "explain": ["janitor", "explain", *self._explain],
            "org": self._org,
            "several": info.several,
            "families": self._prefixes.families(),
            "retentions": self._retentions.bars(),
            "arrivals": self._arrivals.bubbles(),
            "arrivals_read": self._arrivals.read,
            "arrivals_days": ingestion["days"] if ingestion else None,
            "costs": costs(money),
            "for_a_person": [status.value for status in FOR_A_PERSON],
            "findings": len(self._findings),
        }
        template = _environment().get_template("report.html.j2")
        yield from template.generate(
            info=info,
            summary=summary,
            share_heads=share_heads(summary, info),
            share_rows=list(share_rows(summary, info)),
            where=lambda account, region: info.place(Target(account, region)),
            failed_where=failed_where(summary),
            since=_since(summary.since, info),
            money=money,
            ingestion=ingestion,
            data=data,
            sections=list(self._overview.sections(summary.refused_in)),
            scanned=self._scanned,
            never=self._retentions.never,
            for_a_person=_for_a_person(summary),
            findings=self._findings,
            blocks=self._findings.blocks(summary.refused_in),
            messages=MESSAGES,
            orphans=[(one, monthly_usd(one, self._prices)) for one in self._orphans.largest()],
            orphans_note=orphans_note(summary),
            made_again_note=made_again_note(self._overview.made_again(summary.refused_in)),
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            security=_security([style], scripts),
        )
        yield "\n"


def _for_a_person(summary: Summary) -> dict[str, int]:
    """Count what needs a person: errors, and log groups by what became of them. A dry run refuses
    no log group yet, so its refusal counts as one.
    """
    errors = len(summary.errors)
    return {
        f"error{'' if errors == 1 else 's'}": errors,
        "failed": summary.failed,
        "refused by a limit": summary.refused or int(bool(summary.refused_because)),
        "not judged, so kept": summary.unknown - summary.acknowledged,
        "not reached": summary.not_reached,
    }


def _since(found: Mapping[str, Any] | None, info: RunInfo) -> dict[str, Any] | None:
    """Return what changed since an older report, for the page."""
    if found is None:
        return None
    rows = list(changes(found, info, MESSAGES))
    return {"title": since(found), "figures": list(figures(found)), "changes": rows}


def costs(money: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the storage cost of a month: now, right after the run, and at steady state.

    Empty if no price is known.
    """
    if not money or money["storage_usd"] is None:
        return []
    now = money["storage_usd"]
    bars = [{"label": "Now", "usd": now}]
    for label, key in (
        ("After, at once", "saved_at_once_usd"),
        ("After, steady state", "saved_steady_usd"),
    ):
        if money[key] is not None:
            bars.append({"label": label, "usd": max(now - money[key], 0)})
    return bars


def visible(text: object) -> str:
    """Return text with control, direction and zero-width characters replaced by their numbers.

    Escaping makes a name harmless to the page; this keeps it from looking like another name.
    """
    return "".join(
        f"⟨U+{ord(char):04X}⟩" if unicodedata.category(char) in _INVISIBLE else char
        for char in str(text)
    )


def marked(text: str) -> Markup:
    """Return text in which whatever is in backticks is marked up as code."""
    parts = visible(text).split("`")
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(one) if at % 2 else one for at, one in enumerate(parts))


def json_block(value: object) -> Markup:
    """Return JSON for a `<script>` element, which no text in it can end."""
    return Markup(json.dumps(value).translate(_ESCAPED))


def days_ago(then: int | None, now: int) -> int | None:
    """Return the whole days between two times in ms; None if `then` is None."""
    return None if then is None else max(now - then, 0) // DAY_MS


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("janitor.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=visible,
        marked=marked,
        size=size,
        json_block=json_block,
        usd=dollars,
        number=lambda value: f"{value:,}",
        counted=counted,
    )
    environment.globals["percent"] = percent
    return environment


def _asset(name: str) -> str:
    text = resources.files("janitor.report").joinpath("assets", name).read_text("utf-8")
    return text.strip()


def _security(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Return a policy that allows only these texts and loads nothing."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in texts]
    return " ".join(f"'sha256-{digest.decode('ascii')}'" for digest in digests)
