"""The command line on the sandbox account, mostly in this process and sometimes in its own."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from janitor.core.exit_codes import Exit
from janitor.core.text import size
from janitor.policy.file import load
from janitor.report.base import SUFFIXES, Format
from janitor.report.schema import Report
from janitor.sandbox.saved import kept
from janitor.sandbox.store import Region
from janitor.sandbox.wire import Call, RefusedError
from janitor.terminal.cli import main
from janitor.terminal.demo import definitions
from tests.conftest import Run, Said, nothing_of_aws
from tests.conftest import janitor as run_here
from tests.terminal.conftest import NEW, ROOT, Watch, environment, in_every_format, start

GOES = "/aws/lambda/black-friday-2022"
FULL = "/dev/full"
GROUPS, DELETED, RETENTIONS, STREAMS, UNKNOWN = 300, 22, 153, 359, 2
"""The log groups of the demo account, and what the shipped policy does with them."""


def janitor(*words: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `python -m janitor …` to its end."""
    process = start(*words, cwd=cwd, **more)
    out, error = process.communicate(timeout=120)
    return subprocess.CompletedProcess(words, process.returncode, out, error)


@pytest.fixture
def small(policy_with_few_owners: Path) -> dict[str, str]:
    """Variables that halve a command's time: one Region, and few owners."""
    return {"JANITOR_REGION": "us-east-1", "JANITOR_POLICY": str(policy_with_few_owners)}


def only_reads(operations: set[str]) -> bool:
    """Return whether there are operations and none of them changes anything."""
    reading = ("Describe", "Get", "List", "Filter")
    return bool(operations) and all(operation.startswith(reading) for operation in operations)


# ---- as a process --------------------------------------------------------------------------------


def test_no_command_means_report(tmp_path: Path) -> None:
    """The table is on stdout, the summary on stderr, unknown log groups give 5, without moto."""
    blocked, folder = tmp_path / "blocked", tmp_path / "empty"
    for path in (blocked, folder):
        path.mkdir()
    (blocked / "moto.py").write_text("raise ImportError('moto is for tests')\n")
    done = janitor("--sandbox", cwd=folder, variables={"PYTHONPATH": f"{blocked}:{ROOT}"})
    assert done.returncode == 5, done.stderr
    assert "Would delete the log group" in done.stdout
    assert f"{GROUPS} log groups scanned" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_the_installed_command_exits_with_the_commands_code(tmp_path: Path) -> None:
    """An unknown command is a usage error."""
    code = "import sys; sys.argv = ['janitor', 'reprot']; from janitor.terminal.cli import entry; "
    done = subprocess.run(
        [sys.executable, "-c", code + "entry()"],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'reprot'" in done.stderr


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        ("--sandbox", "stdout", 3),
        ("--sandbox --all --format jsonl", "stdout", 3),
        ("policy schema", "stdout", 3),
        ("--help", "stdout", 3),
        ("--sandbox", "stderr", 3),
        ("policy schema", "stderr", 0),
    ],
)
def test_a_closed_pipe_is_one_line_and_exit_3(
    words: str, closed: str, code: int, tmp_path: Path, small: dict[str, str]
) -> None:
    """It is never 1, which would be findings; an unused stream may be closed."""
    process = start(*words.split(), cwd=tmp_path, variables=small)
    assert process.stdout is not None
    assert process.stderr is not None
    (process.stdout if closed == "stdout" else process.stderr).close()
    _, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in error
    assert ("output was closed" in error) is (closed == "stdout")


ACTING = ["run", "--apply", "--yes", "--sandbox", "--journal", "j"]
STREAMING = [*ACTING, "--format", "json"]


def assert_disk_full(code: int, error: str) -> None:
    """Assert that a command in this folder ended because of a full disk."""
    assert code == 3, error
    assert error.count("No space left on device") == 1
    assert "--port" not in error
    assert "internal error" not in error
    assert "Traceback" not in error
    assert ("journal: j" in error) == Path("j").exists()


@pytest.mark.parametrize(
    "words",
    [
        *(["report", "--sandbox"], ["plan", "--sandbox"], ["policy", "validate"], ["--help"]),
        *(["sandbox", "serve"], ACTING),
    ],
    ids=" ".join,
)
def test_a_full_disk_is_one_clear_line_and_no_success(
    words: list[str], small: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If anything was changed, the journal is named."""
    monkeypatch.chdir(tmp_path)
    with Path(FULL).open("w") as stdout:
        done = janitor(*words, cwd=tmp_path, stdout=stdout.fileno(), variables=small)
    assert_disk_full(done.returncode, done.stderr)


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize("words", [["report", "--sandbox"], ACTING, STREAMING], ids=" ".join)
def test_a_full_disk_for_the_output_file_is_one_clear_line(words: list[str], run: Run) -> None:
    """A format that streams fails before anything is changed."""
    done = run(*words, "-r", "us-east-1", "-o", FULL)
    assert_disk_full(done.code, done.err)
    assert Path("j").exists() == (words is ACTING)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_closed_from_the_start_are_like_dev_null(closed: str, tmp_path: Path) -> None:
    """No file opened later, such as a journal, takes the number of a closed stream."""
    command = f"{sys.executable} -m janitor policy validate {closed}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == 0


def test_a_full_disk_for_stderr_too_shows_in_the_exit_code(
    tmp_path: Path, small: dict[str, str]
) -> None:
    """It is never 1, which would be findings."""
    command = f"{sys.executable} -m janitor report --sandbox > {FULL} 2> {FULL}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(**small), check=False)
    assert done.returncode == 3


def test_a_log_that_cannot_be_written_stops_no_change(
    tmp_path: Path, small: dict[str, str]
) -> None:
    """The report is complete, and says what was done."""
    words = "run --apply --yes --sandbox -v -q --format json --journal j"
    command = f"{sys.executable} -m janitor {words} > out 2> {FULL}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(**small), check=False)
    summary = json.loads((tmp_path / "out").read_text())["summary"]
    assert (done.returncode, summary["not_reached"]) == (5, 0)
    assert summary["retention_set"] == summary["planned"]["set_retention"] > 0


def shortening(planned: Mapping[str, Any]) -> str:
    """Return a journal that anybody could have written, whose undo lets events expire."""
    line = {
        "event": "journal",
        "version": 1,
        "run": "r",
        "policy": "p",
        "reason": "r",
        "at": 1,
        **{key: planned[key] for key in ("account", "region", "group", "creation_time")},
        "action": "set_retention",
        "status": "done",
        "before": {"retention_days": 1},
        "after": {"retention_days": None},
    }
    return f"{json.dumps(line)}\n"


def test_without_a_terminal_yes_is_needed(
    run: Run,
    tmp_path: Path,
    slow_account: tuple[Region, dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise `run`, `apply` and `restore` exit with 2 and do nothing."""
    account, variables = slow_account
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run("plan", "-o", "plan.jsonl").code == 0
    [_, first, *_] = Path("plan.jsonl").read_text().splitlines()
    Path("shortening.jsonl").write_text(shortening(json.loads(first)))
    undo = ["restore", "shortening.jsonl", "--apply"]
    for words in (["run", "--apply"], ["apply", "plan.jsonl"], undo):
        done = janitor(*words, cwd=tmp_path, variables=variables)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(
            "there is no terminal to ask at, so --yes is needed; nothing was done\n"
        )
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("janitor-journal-*"))
    assert [group.retention for group in account.groups.values()] == [None] * NEW


def test_help_imports_neither_boto3_nor_the_sandbox() -> None:
    """Importing them would make it slow."""
    code = (
        "import sys; from janitor.terminal.cli import main; main(['--help']);"
        "sys.exit(bool({'boto3', 'botocore', 'janitor.sandbox.account'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra", "message"),
    [
        (["-r", "eu-west-1"], {}, "no AWS credentials found: set AWS_PROFILE"),
        (["--profile", "nobody"], {}, "nobody"),
        ([], {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}, "no Region"),
        (
            ["-r", "eu-west-1"],
            {
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "y",
                "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            },
            "cannot be reached",
        ),
    ],
    ids=["no credentials", "wrong profile", "no Region", "unreachable"],
)
def test_without_a_way_to_aws_there_is_one_line_and_a_hint(
    words: list[str],
    extra: dict[str, str],
    message: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exit code is 2, and `--sandbox` is suggested."""
    for name, value in extra.items():
        monkeypatch.setenv(name, value)
    done = run("report", *words)
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert message in line
    assert "--sandbox" in line


# ---- what is printed -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> dict[str, Said]:
    """The output of `report --all --ingestion` in every format."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        nothing_of_aws(monkeypatch)
        return in_every_format("report", "--sandbox", "--all", "--ingestion")


def test_the_table_is_legible_at_80_columns_and_without_colour(shown: dict[str, Said]) -> None:
    """Only names of log groups, which are never cut below the first screen, make a line longer."""
    table = shown["table"].out
    names = {f["group"] for f in json.loads(shown["json"].out)["findings"]}
    long = [line for line in table.splitlines() if len(line) > 80]
    assert [line for line in long if line.split("  ")[-1] not in names] == []
    assert "\x1b" not in table
    for reason in ("protected by tag: janitor:keep", "subscription filter", "class DELIVERY"):
        assert reason in " ".join(table.split()), reason


def test_quirks_of_shells_and_editors_do_no_harm(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples are COLUMNS=0, byte order marks, an empty line, `-o -`, and a Region in capitals."""
    policy = "[defaults]\ndelete_empty = true\n[protect.deletion]\nowners = false\n"
    Path("p.toml").write_text(policy, encoding="utf-8-sig")
    assert run("policy", "validate", "-p", "p.toml").out == "p.toml: valid, 0 rules\n"
    for text, code in ((Path("p.toml").read_bytes(), 0), ("# café".encode("latin-1"), 2)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
        piped = run("policy", "validate", "-p", "-")
        assert (piped.code, "stdin: is not UTF-8 text" in piped.err) == (code, code == 2)
    monkeypatch.setenv("COLUMNS", "0")
    done = run("report", "--sandbox", "-p", "p.toml", "-o", "-")
    assert done.code == 5
    assert "account 123456789012 · 2 Regions · dry run:" in done.out
    assert not Path("-").exists()
    assert run("plan", "--sandbox", "-p", "p.toml", "-q", "-o", "plan").code == 5
    Path("edited").write_text(f"{Path('plan').read_text()}\n", encoding="utf-8-sig")
    assert run("apply", "edited", "--dry-run", "--sandbox", "-p", "p.toml").code == 0
    assert "(did you mean eu-west-1 or" in run("report", "--sandbox", "-r", "EU-WEST-1").err


@pytest.mark.parametrize(
    ("words", "variables", "coloured"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False)],
)
def test_no_color_holds_for_logs_too(
    words: list[str], variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal they have colours otherwise."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["report", "--sandbox", "-r", "us-east-1", "-v", "-q", *words]) == 5
    assert ("\x1b[" in terminal.getvalue()) is coloured
    assert "outcome" in terminal.getvalue()


def test_the_first_screen_answers_in_20_lines(run: Run) -> None:
    """It has the ten largest savings, as Markdown does, and the next command."""
    outputs = in_every_format("report", "--sandbox", "-q")
    screen = outputs["table"].out.splitlines()[:20]
    assert max(map(len, screen)) <= 80
    labels = (
        f"{DELETED} of {GROUPS} log groups would be deleted",
        f"Needs a person: {UNKNOWN} log groups could not be judged",
        f"Deletions: {DELETED} log groups",
        "Largest savings",
        "Lost for good: retention would delete",
        "Ingestion: not read; usually the larger part: --ingestion, about $0.003",
        "Next: janitor plan -o plan.jsonl --sandbox",
    )
    at = [[n for n, line in enumerate(screen) if line.startswith(label)] for label in labels]
    assert at == sorted(at), at
    assert all(at), at
    plain = json.loads(outputs["json"].out)["findings"]
    saved = sorted((f["saves_usd"] or 0 for f in plain), reverse=True)[:10]
    rows = re.findall(r"^ +(\$[\d.]+) .* d  ", "\n".join(screen), re.MULTILINE)
    assert rows == [f"${usd:.2f}" for usd in saved]
    assert re.findall(r"^\| (\$[\d.]+) \|", outputs["markdown"].out, re.MULTILINE) == rows


@pytest.mark.usefixtures("few_owners")
def test_json_is_one_object_with_the_promised_summary(run: Run) -> None:
    """After `run --apply`, planned and done are counted separately."""
    done = run("run", "--apply", "--yes", "--sandbox", "--format", "json")
    answer = json.loads(done.out)
    assert done.code == 5
    assert answer["summary"]["unknown"] == UNKNOWN
    assert set(answer) == {"run", "findings", "summary"}
    summary = answer["summary"]
    did = (summary["groups_deleted"], summary["retention_set"], summary["streams_deleted"])
    assert did == (DELETED, RETENTIONS, STREAMS)
    planned = {"delete_group": DELETED, "set_retention": RETENTIONS, "sweep_streams": STREAMS}
    assert summary["planned"] == planned
    assert not {finding["status"] for finding in answer["findings"]} & {"planned"}
    assert {"kept", "unknown", "failed", "not_reached", "stored_bytes"} <= set(summary)
    assert {"api_calls", "throttled", "complete"} <= set(summary)
    [journal] = Path.cwd().glob("janitor-journal-*.jsonl")
    changes = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sum(change["status"] == "done" for change in changes) == sum(did)


@pytest.mark.usefixtures("few_owners")
def test_json_conforms_to_its_schema(run: Run) -> None:
    """A report with everything that can be asked for does, and so does a run that acted."""
    everything = ("--by", "rule", "--ingestion", "--orphans", "--all")
    for words in (("report", *everything), ("run", "--apply", "--yes")):
        report = run(*words, "--sandbox", "-r", "us-east-1", "-q", "-f", "json").out
        Report.model_validate_json(report, strict=True)
    for which in ([], ["native"], ["restore"], ["fleet"]):
        schema = json.loads(run("schema", *which).out)
        assert schema["$id"].endswith(f":{json.loads(report)['run']['schema']}")
        assert {"run", "summary"} <= set(schema["properties"])
        assert set(schema["properties"]) == set(schema["required"])


def test_every_format_says_the_same(shown: dict[str, Said]) -> None:
    """The findings of JSON, JSON lines and CSV are the same log groups; Markdown counts them."""
    findings = json.loads(shown["json"].out)["findings"]
    lines = [json.loads(line) for line in shown["jsonl"].out.splitlines()]
    rows = list(csv.DictReader(io.StringIO(shown["csv"].out)))
    names = sorted((f["region"], f["group"], f["action"]) for f in findings)
    assert names == sorted(
        (f["region"], f["group"], f["action"]) for f in lines if f["type"] == "finding"
    )
    assert names == sorted((f["region"], f["group"], f["action"]) for f in rows)
    assert f"| Would delete the log group | {DELETED} |" in shown["markdown"].out


def test_cost_and_savings_agree_in_every_format(shown: dict[str, Said]) -> None:
    """Rows add up to the summary, texts are the same, and a missing price is shown as unknown."""
    answer = json.loads(shown["json"].out)
    money, findings = answer["summary"]["money"], answer["findings"]
    scanned = {(f["region"], f["group"]): f["monthly_usd"] for f in findings}
    assert len(scanned) == answer["summary"]["groups_scanned"]
    assert sum(cost or 0 for cost in scanned.values()) == pytest.approx(money["storage_usd"])
    saved = sum(f["saves_usd"] or 0 for f in findings)
    assert saved == pytest.approx(money["saved_steady_usd"], abs=1e-6)
    assert 0 < saved < money["storage_usd"]
    assert [group for (_, group), cost in scanned.items() if cost is None] == [
        "/aws/vendedlogs/delivery/cdn-access"
    ]
    assert money["groups_without_price"] == 1
    rows = list(csv.DictReader(io.StringIO(shown["csv"].out)))
    assert {(r["region"], r["group"]): r["monthly_usd"] for r in rows} == {
        place: "" if cost is None else f"{cost:.9f}".rstrip("0").rstrip(".")
        for place, cost in scanned.items()
    }
    saved = sum(float(r["saves_usd"] or 0) for r in rows)
    assert saved == pytest.approx(money["saved_steady_usd"], abs=1e-6)
    last = json.loads(shown["jsonl"].out.splitlines()[-1])
    assert last["money"] == money
    cost = f"${money['storage_usd']:,.2f}"
    amounts = [f"${money[key]:,.2f}" for key in ("saved_at_once_usd", "saved_steady_usd")]
    figures = {cost, *amounts}
    figures |= {size(money[key]) for key in ("freed_at_once_bytes", "expires_in_30_days_bytes")}
    assert len(figures) == 5
    for form in ("table", "markdown", "html"):
        assert {figure for figure in figures if figure not in shown[form].out} == set(), form
    assert f"| Storage now, at most | {cost} |" in shown["markdown"].out
    assert re.search(rf"Storage now, at most +{re.escape(cost)}", shown["table"].out)
    for form in ("markdown", "table"):
        assert "Without a known price: 1 log group" in shown[form].out
        assert "upper bound" in shown[form].out
    assert f"stored logs cost up to {cost} a month" in shown["csv"].err


def test_ingestion_shows_the_top_talkers_and_what_asking_costs(
    run: Run, shown: dict[str, Said]
) -> None:
    """The cost is named before and after, and the findings stay the same."""
    without = json.loads(run("report", "--sandbox", "--all", "--format", "json").out)
    assert any(" stored; retention of " in found["reason"] for found in without["findings"])
    answer = json.loads(shown["json"].out)
    kinds = [
        sorted((f["region"], f["group"], f["action"], f["status"]) for f in one["findings"])
        for one in (without, answer)
    ]
    assert kinds[0] == kinds[1]
    assert "ingestion" not in without["summary"]
    ingestion = answer["summary"]["ingestion"]
    assert (ingestion["groups"], ingestion["unread"], ingestion["days"]) == (GROUPS - 1, 1, 30)
    top_groups = ingestion["top_groups"]
    assert len(top_groups) == 20
    assert sum(group["bytes"] for group in top_groups) < ingestion["bytes"]
    assert sum(prefix["groups"] for prefix in ingestion["top_prefixes"]) <= GROUPS
    assert any("INFREQUENT_ACCESS" in text for group in top_groups for text in group["advice"])
    assert shown["json"].err.startswith(
        "ingestion: GetMetricData is billed, up to $0.01 per 1,000 log groups"
    )
    assert "reading it cost <$0.01" in shown["json"].err
    largest = top_groups[0]
    for form in ("markdown", "table"):
        assert "Ingestion of the last 30 days" in shown[form].out
        [line] = [
            line
            for line in shown[form].out.splitlines()
            if largest["group"] in line and f"${largest['usd_a_month']:,.2f}" in line
        ]
        assert f"{largest['share']:.0%}" in line


def test_a_run_that_acts_reports_what_its_survey_read(shown: dict[str, Said]) -> None:
    """As `report` does: what arrives, never expired, is largest and, with --all, what is kept."""
    acted = in_every_format("run", "--apply", "--yes", "--sandbox", "--all", "--ingestion")
    for form, said in (
        ("table", "No retention in force when scanned 163"),
        ("table", " Kept 115 "),
        ("table", "Top talkers in 30 days"),
        ("markdown", "| Kept | 115 |"),
        ("markdown", "### Largest log groups | Region "),
        ("html", "163 never expire"),
        ("html", "What arrives"),
    ):
        for one in (shown, acted):
            assert said in " ".join(one[form].out.split()), said
    before, after = (json.loads(one["json"].out) for one in (shown, acted))
    assert sorted(f["group"] for f in after["findings"]) == sorted(
        f["group"] for f in before["findings"]
    )
    assert after["summary"]["ingestion"] == before["summary"]["ingestion"]
    saved = [one["summary"]["money"]["saved_steady_usd"] for one in (before, after)]
    assert saved[0] == pytest.approx(saved[1])


def test_a_plan_of_nothing_read_lists_no_largest_log_groups(run: Run) -> None:
    """`apply` reads only what its plan names, so Markdown has no heading without a table."""
    run("plan", "-o", "plan.jsonl", "--sandbox", "-q")
    out = run("apply", "plan.jsonl", "--yes", "--sandbox", "-f", "markdown").out
    assert "### Set retention (153)" in out
    assert "Largest log groups" not in out


ORPHAN, QUIET = "/aws/rds/instance/crm-old/postgresql", "/platform/batch/year-end"
ABANDONED = """
[defaults]
retention_days = 365
[protect.deletion]
owners = ["lambda", "rds"]
[[rules]]
id = "orphans"
orphan_days = 30
retention_days = 30
[[rules]]
id = "quiet"
names = ["/platform/*"]
quiet_days = 180
retention_days = 30
max_days = 30
"""


def test_orphans_have_a_section_of_their_own_in_every_format(run: Run) -> None:
    """It says what they hold and cost and what finding them took, even if they are kept."""
    path = Path("policy.toml")
    path.write_text(ABANDONED)
    words = ("report", "--sandbox", "-r", "eu-west-1", "-p", str(path), "--format")
    answer = json.loads(run(*words, "json").out)
    found = {finding["group"]: finding for finding in answer["findings"]}
    assert (found[ORPHAN]["new_retention_days"], found[QUIET]["new_retention_days"]) == (30, 30)
    assert "(not in use by RDS instance crm-old" in found[ORPHAN]["reason"]
    assert found[QUIET]["reason"].endswith("(nothing arrived in the last 180 days)")
    full = [f for f in answer["findings"] if f["stored_bytes"]]
    assert {f["group"] for f in full if f["orphan_of"]} == {ORPHAN}
    orphans = answer["summary"]["orphans"]
    assert (orphans["groups"], orphans["unread"]) == (1, 0)
    assert orphans["stored_bytes"] == found[ORPHAN]["stored_bytes"]
    assert orphans["monthly_usd"] == found[ORPHAN]["monthly_usd"]
    assert answer["summary"]["asked"]["owner_calls"] > 0

    path.write_text(ABANDONED.partition("[[rules]]")[0].replace("= 365", "= 3653"))
    assert "orphans" not in json.loads(run(*words, "json").out)["summary"]
    shown = in_every_format(*words[:-1], "--orphans")
    summary = json.loads(shown["json"].out)["summary"]
    assert summary["orphans"] == orphans
    calls = f"{summary['asked']['owner_calls']} calls about owners"
    for form, head in (
        ("table", "Orphans"),
        ("markdown", "### Orphans"),
        ("html", ">Orphans</h2>"),
    ):
        text = " ".join(shown[form].out.split())
        section = text[text.rindex(head) :] if form == "markdown" else text
        assert head in section, form
        owner = "RDS instance" if form == "table" else "RDS instance crm-old"  # folded there
        for part in (owner, "56.8 GiB", calls):
            assert part in section, (form, part)


def test_orphans_need_a_policy_that_checks_owners(run: Run) -> None:
    """Without owners it cannot be known whose owner is gone."""
    path = Path("policy.toml")
    path.write_text("[protect.deletion]\nowners = false")
    done = run("report", "--sandbox", "-p", str(path), "--orphans")
    assert done.code == 2
    assert "checks no owners" in done.err


@pytest.mark.usefixtures("few_owners")
def test_html_is_for_a_file_or_a_pipe(run: Run, tmp_path: Path) -> None:
    """A terminal is refused in one line, before anything is done."""
    piped = run("--sandbox", "--format", "html", "-q", "-r", "eu-west-1")
    assert piped.code == 0, piped.err
    assert piped.out.startswith("<!doctype html>")
    assert piped.out.rstrip().endswith("</html>")
    ours, terminal = pty.openpty()
    try:
        done = janitor("--sandbox", "--format", "html", cwd=tmp_path, stdout=terminal)
    finally:
        os.close(terminal)
        os.close(ours)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line == "janitor: --format html: a terminal cannot show it; give -o FILE, or pipe it"


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize(
    ("words", "title"),
    [(["run"], "would be deleted and"), (["run", "--apply", "--yes"], "were deleted and")],
    ids=["dry", "apply"],
)
def test_html_says_would_or_did(run: Run, words: list[str], title: str) -> None:
    """The page of each command is in the right tense, and has the explain command to copy."""
    done = run(*words, "--sandbox-state", "kept", "--format", "html", "-o", "report.html")
    assert done.code == 5, done.err  # some are unknown
    page = Path("report.html").read_text()
    sentence = f"{DELETED} of {GROUPS} log groups {title} {RETENTIONS} given retention."
    assert sentence in " ".join(page.split())
    assert '["janitor", "explain", "--sandbox-state", "kept", ' in page


@pytest.mark.usefixtures("few_owners")
def test_an_output_file_appears_only_when_complete(run: Run) -> None:
    """With -o stdout stays empty, no partial file is left behind, and a link stays a link."""
    Path("latest").symlink_to("out.json")
    words = ("--sandbox", "-r", "us-east-1", "--format", "json", "-o", "latest")
    assert run(*words).out == ""
    assert json.loads(Path("out.json").read_text())["summary"]["groups_scanned"] == 110
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["latest", "out.json"]
    assert Path("latest").is_symlink()


@pytest.mark.usefixtures("few_owners")
def test_options_work_before_and_after_the_command_and_as_variables(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is the same each time, but --apply cannot be a variable."""
    where = ("--sandbox", "-r", "us-east-1")
    expected = run("report", *where, "-q", "-f", "csv").out
    assert run(*where, "-q", "report", "--format=csv").out == expected
    assert run("-qf", "csv", *where).out == expected
    assert run("-fcsv", "report", "-q", *where).out == expected
    done = run("-r", "us-east-1", "report", "-o", "out.csv", "--sandbox")
    assert "written to out.csv\n" in done.err
    assert Path("out.csv").read_text() == expected
    for name, value in (("REGION", "us-east-1"), ("FORMAT", "csv"), ("QUIET", "1")):
        monkeypatch.setenv(f"JANITOR_{name}", value)
    assert run("--sandbox").out == expected
    monkeypatch.setenv("JANITOR_APPLY", "1")
    monkeypatch.setenv("JANITOR_YES", "1")
    assert run("run", "--sandbox").out == expected
    assert not list(Path.cwd().glob("janitor-journal-*"))
    assert run("-p", "no.toml", "policy", "validate").err.startswith("janitor: no.toml: cannot be")


def test_a_policy_file_in_the_working_directory_is_used_and_named(run: Run) -> None:
    """Every command that has a policy does so, unless a file is given."""
    Path("janitor.toml").write_text("[defaults]\ndelete_empty = true\n")
    Path("other.toml").write_text("")
    done = run("plan", "--sandbox", "-r", "us-east-1", "-o", "p.jsonl")
    assert done.err.startswith("policy: ./janitor.toml, found here\n")
    assert "retention would be set on 0," in done.err
    assert "delete_empty = true" in run("policy", "show").out
    assert "found here" not in run("policy", "validate", "-p", "other.toml").err


@pytest.mark.usefixtures("few_owners")
def test_dry_run_is_accepted_but_contradicts_apply(run: Run) -> None:
    """`apply --dry-run` shows the list that would precede the question."""
    assert run("run", "--apply", "--dry-run", "--sandbox").code == 2
    run("plan", "--sandbox", "-q", "-r", "us-east-1", "-o", "p.jsonl")
    done = run("apply", "p.jsonl", "--dry-run", "--sandbox")
    assert (done.code, "/ecs/search-green" in done.out) == (0, True)
    assert not list(Path.cwd().glob("janitor-journal-*"))


@pytest.mark.usefixtures("few_owners")
def test_output_is_coloured_unless_turned_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and --no-color leave nothing but text."""
    words = ("report", "--sandbox", "-r", "us-east-1", "-q")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31m7 log groups" in run(*words).out
    assert "\x1b" not in run(*words, "--no-color").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*words).out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(shell: str, run: Run, tmp_path: Path) -> None:
    """The script for each shell asks the program."""
    assert "_JANITOR_COMPLETE" in run("completion", shell).out
    variables = {
        "_JANITOR_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "janitor report --form",
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": "janitor report --form",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    assert "--format" in janitor(cwd=tmp_path, variables=variables).stdout


@pytest.mark.usefixtures("few_owners")
def test_logs_are_json_lines_on_stderr_on_request(run: Run) -> None:
    """With -v each outcome is a line with its full reason, and stdout can still be parsed."""
    words = ("--sandbox", "-r", "us-east-1", "-v", "--log-format", "json", "--format", "json")
    done = run(*words)
    json.loads(done.out)
    logged = [json.loads(line) for line in done.err.splitlines() if line.startswith("{")]
    assert {"group", "action", "status", "reason", "region"} <= set(logged[0])
    assert any(" stored; retention of " in line.get("reason", "") for line in logged)


ALONE = """
import atexit, sys
from janitor.terminal.cli import entry

@atexit.register
def count_operations():
    from janitor.sandbox.services import service
    print(*(len(service(name).operation_names) for name in ("ec2", "logs")), file=sys.stderr)

sys.argv = ["janitor", "report", "--sandbox", "--format", "csv"]
entry()
"""


def test_a_process_loads_only_the_operations_that_it_calls(run: Run, tmp_path: Path) -> None:
    """The sandbox answers the same with small parts of the service models, which save memory."""
    words = [sys.executable, "-c", ALONE]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120
    )
    ec2, logs = map(int, done.stderr.split()[-2:])
    assert ec2 < 20 < logs
    assert done.stdout == run("report", "--sandbox", "--format", "csv").out


# ---- plans ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_owners")
def test_plan_and_apply_do_what_the_plan_says(run: Run) -> None:
    """What has changed since is kept and reported, and the exit code is 3."""
    state = ("--sandbox-state", "account", "-q")
    assert run("plan", *state, "-o", "plan.jsonl").code == 5
    with kept(Path("account"), changing=True) as sandbox:
        logs = sandbox.client("logs", region="eu-west-1")
        logs.delete_log_group(logGroupName="/aws/lambda/legacy-thumbnailer")
        logs.create_log_group(logGroupName="/aws/lambda/legacy-thumbnailer")
        logs.create_log_stream(logGroupName="/aws/lambda/pdf-render-2021", logStreamName="new")
    done = run("apply", "plan.jsonl", "--yes", *state, "--format", "json")
    answer = json.loads(done.out)
    assert (done.code, answer["summary"]["groups_deleted"]) == (3, DELETED - 2)
    assert answer["summary"]["calls"]["ListTaskDefinitionFamilies"] == 2  # checked again
    reasons = {f["group"]: f["reason"] for f in answer["findings"] if f["status"] != "done"}
    assert "created again under the same name" in reasons["/aws/lambda/legacy-thumbnailer"]
    assert "was active" in reasons["/aws/lambda/pdf-render-2021"]


@pytest.mark.usefixtures("few_owners")
def test_a_plan_applies_to_a_fresh_sandbox_whose_changes_are_discarded(run: Run) -> None:
    """The account is always the same; stderr and the page speak of the plan, not of a survey."""
    assert run("plan", "--sandbox", "-q", "-o", "plan.jsonl").code == 5
    done = run("apply", "plan.jsonl", "--yes", "--sandbox", "--format", "html", "-o", "report.html")
    deleted = f"{DELETED} groups and {STREAMS} streams were deleted"
    assert (done.code, deleted in done.err) == (0, True)
    assert "scanned" not in done.err, "a plan is not a survey"
    assert "stored logs cost" not in done.err
    assert done.err.splitlines()[-2:] == [
        "the changes to the sandbox are discarded; --sandbox-state FOLDER keeps them",
        "written to report.html",
    ]
    page = Path("report.html").read_text()
    assert "applied: changes were made" in page
    assert "<code>janitor apply</code>" in page
    # Only what the plan names was read, so the page says nothing about the rest of the account.
    assert f"{DELETED} log groups were deleted and" in " ".join(page.split())
    assert "Storage costs now" not in page
    assert "Where the bytes are" not in page


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The lines of a plan."""
    path = tmp_path_factory.mktemp("plan") / "plan.jsonl"
    run_here("plan", "--sandbox", "-r", "us-east-1", "-o", str(path))
    return path.read_text().splitlines()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "was cut off"),
        (lambda lines: [], "is empty"),
        (lambda lines: [*lines[:1], "{", *lines[1:]], "plan.jsonl:2"),
        (lambda lines: [line.replace("123456789012", "999999999999") for line in lines], "999999"),
        (lambda lines: [re.sub("[0-9a-f]{64}", "0" * 64, line) for line in lines], "policy"),
        (lambda lines: [lines[0].replace(":3,", ":2,"), *lines[1:]], "is of plan version 2"),
        (lambda _lines: ['{"findings": []}'], "plan.jsonl:1: is not a line of a plan, as `janitor"),
    ],
    ids=["cut off", "empty", "torn", "other account", "other policy", "older", "no plan"],
)
def test_an_incomplete_or_foreign_plan_is_refused(
    change: Any, message: str, run: Run, planned: list[str]
) -> None:
    """The exit code is 2, and nothing is done."""
    Path("plan.jsonl").write_text("\n".join(change(planned)))
    done = run("apply", "plan.jsonl", "--yes", "--sandbox")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert not list(Path.cwd().glob("janitor-journal-*"))


def test_a_plans_own_count_of_log_groups_is_not_trusted(run: Run, planned: list[str]) -> None:
    """Otherwise a forged plan could lift the limit on the share of deletions."""
    policy = Path("p.toml")
    policy.write_text(run("policy", "show").out.replace("share = 0.25", "share = 0.001"))
    lines = [json.loads(line) for line in planned]
    lines[0]["policy"] = load(policy).digest()
    for line in lines:
        line |= {"groups_scanned": 10**9} if line["plan"] == "end" else {}
    Path("plan.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("apply", "plan.jsonl", "--yes", "--sandbox", "-p", "p.toml", "--format", "json")
    done = run(*words, "--journal", "j")
    summary = json.loads(done.out)["summary"]
    assert (done.code, summary["groups_deleted"], summary["streams_deleted"]) == (4, 0, 0)


# ---- codes and mistakes --------------------------------------------------------------------------


def test_policy_commands(run: Run) -> None:
    """`show` prints valid TOML, `schema` and `iam-policy` JSON, and `validate` every mistake."""
    file = Path("p.toml")
    file.write_text(run("policy", "show").out)
    assert "valid" in run("policy", "validate", "-p", "p.toml").out
    file.write_text("[defaults]\nretention_days = 31\ngrace = 1")
    wrong = run("policy", "validate", "-p", "p.toml")
    assert wrong.code == 2
    assert len(wrong.err.splitlines()) == 2
    assert json.loads(run("policy", "schema").out)["properties"]
    for words in ([], ["--sandbox"], ["--sandbox-state", "none"]):
        assert json.loads(run("iam-policy", *words).out)["Statement"]
    assert not Path("none").exists()


@pytest.mark.usefixtures("few_owners")
def test_policy_test_works_on_names_and_on_a_report(run: Run) -> None:
    """It shows which rule applies, and what differs from another policy."""
    Path("new.toml").write_text(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n"
        '[[rules]]\nid = "ecs"\nnames = ["/ecs/*"]\nretention_days = 30\n'
    )
    Path("old.toml").write_text("[defaults]\nretention_days = 365\ndelete_empty = true\n")
    named = run("policy", "test", "/ecs/web", "/x", "-p", "new.toml", "-f", "json")
    assert [(row["group"], row["rule"]) for row in json.loads(named.out)] == [
        ("/ecs/web", "ecs"),
        ("/x", "defaults"),
    ]
    report = run("report", "--sandbox", "--all", "-q", "-o", "report.json")
    assert report.code == 5
    words = ("policy", "test", "--report", "report.json", "-p", "new.toml", "--against", "old.toml")
    rows = json.loads(run(*words, "-f", "json").out)
    assert {row["rule"] for row in rows} == {"ecs"}
    assert all(row["group"].startswith("/ecs/") for row in rows)
    assert "set retention to 30 days" in {row["action"] for row in rows}
    assert f"{len(rows)} log groups changed, {GROUPS - len(rows)} the same" in run(*words).out
    assert run("policy", "test").code == 2
    assert run("policy", "test", "--report", "new.toml").code == 2


def test_unknown_owners_in_a_policy_are_named(run: Run) -> None:
    """Each has its line and suggestions, and other mistakes are named beside them."""
    text = "[protect.deletion]\nowners = ['lambada', 'ecs-tasks', 'rds']\n[limits]\nmax_group = 1\n"
    Path("p.toml").write_text(text)
    done = run("policy", "validate", "-p", "p.toml")
    assert (done.code, len(done.err.splitlines())) == (2, 2)
    for message in (
        "line 2: protect.deletion.owners: there is no 'lambada' (did you mean lambda",
        "there is no 'ecs-tasks' (did you mean ecs-task-definition",
        "line 4: limits.max_group: unknown key",
    ):
        assert message in done.err


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize("by", ["tag:team", "prefix", "rule"])
def test_cost_by_team_prefix_or_rule_is_the_same_in_every_format(by: str) -> None:
    """The parts add up to the summary."""
    outputs = in_every_format("report", "--sandbox", "--by", by, "--ingestion", "-q")
    answer = json.loads(outputs["json"].out)
    rows, money = answer["summary"]["by"]["rows"], answer["summary"]["money"]
    assert len(rows) > 1
    assert sum(row["groups"] for row in rows) == GROUPS
    assert sum(row["storage_usd"] or 0 for row in rows) == pytest.approx(
        money["storage_usd"], abs=1e-6
    )
    assert sum(row["saves_usd"] or 0 for row in rows) == pytest.approx(money["saved_steady_usd"])
    assert sum(row["lost_bytes"] for row in rows) == money["freed_at_once_bytes"]
    arrived = answer["summary"]["ingestion"]
    assert sum(row["ingested_bytes"] for row in rows) == arrived["bytes"]
    table = list(csv.DictReader(io.StringIO(outputs["csv"].out)))
    assert [(row["part"], row["stored_bytes"]) for row in table] == [
        (row["part"], str(row["stored_bytes"])) for row in rows
    ]
    last = json.loads(outputs["jsonl"].out.splitlines()[-1])
    assert last["by"]["rows"] == rows
    first = f"${rows[0]['storage_usd']:,.2f}"
    for form in ("table", "markdown", "html"):
        assert f"By {by}" in outputs[form].out, form
        assert first in outputs[form].out


@pytest.mark.usefixtures("few_owners")
def test_every_place_has_a_part_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many accounts, units or Regions there are, unlike tags and prefixes."""
    monkeypatch.setattr("janitor.cost.shares.MOST_PREFIXES", 1)
    rows = json.loads(run("report", "--sandbox", "--by", "region", "-f", "json").out)["summary"][
        "by"
    ]
    assert {row["part"] for row in rows["rows"]} == {"eu-west-1", "us-east-1"}


@pytest.mark.usefixtures("few_owners")
def test_diff_shows_what_changed_between_two_reports(run: Run) -> None:
    """They are from before and after a run on the same account."""
    state = ("--sandbox-state", "kept", "-q")
    run("report", "--all", *state, "-o", "old.json")
    run("run", "--apply", "--yes", *state, "-o", "run.json")
    run("report", "--all", *state, "-o", "new.json")
    found = json.loads(run("diff", "old.json", "new.json", "-f", "json").out)
    assert (len(found["new"]), len(found["gone"])) == (0, DELETED)
    assert found["summary"]["groups_scanned"] == {"old": GROUPS, "new": GROUPS - DELETED}
    given = [row for row in found["changed"] if row["old"]["action"] == "set_retention"]
    assert len(given) == RETENTIONS
    text = run("diff", "old.json", "new.json").out
    assert f"{DELETED} log groups gone:\n" in text
    planned = "set retention (planned, never expires to 365 days)"
    assert f"{planned} -> keep (kept, 365 days)" in text
    run("report", "--sandbox", "-q", "-o", "findings.json")
    partly = run("diff", "findings.json", "old.json").out
    assert "Only findings are compared" in partly
    assert "no log group is new, gone or decided differently" in partly
    Path("p.toml").write_text("[protect.deletion]\nowners = false\n")
    one = run("report", "--sandbox", "-r", "us-east-1", "-p", "p.toml", "--since", "old.json")
    for text in ("only the older report covers eu-west-1", "the reports are of different policies"):
        assert f"warning: --since: {text}\n" in one.err
    Path("odd.json").write_text(Path("old.json").read_text().replace("eu-west-1", r"eu\n\u001b"))
    assert r"  eu\n\x1b  /" in run("diff", "odd.json", "new.json").out
    same = run("diff", "old.json", "old.json").out
    assert "no log group is new, gone or decided differently" in same
    assert run("diff", "old.json", "none.json").code == 2
    Path("broken.json").write_text('{"run": {"started": "2027-01-01"}, "findings": [1]}')
    assert (done := run("report", "--sandbox", "--since", "broken.json")).code == 2
    assert "is not a report saved as JSON" in done.err


@pytest.mark.usefixtures("few_owners")
def test_since_shows_what_changed_in_every_format(run: Run) -> None:
    """After a run all findings are gone, whether or not the older report listed what was kept."""
    state = ("--sandbox-state", "kept", "-q")
    run("report", *state, "-o", "old.json")
    run("report", "--all", *state, "-o", "all.json")
    run("run", "--apply", "--yes", *state, "-o", "run.json")
    outputs = in_every_format("report", *state, "--since", "old.json")
    answer = json.loads(outputs["json"].out)
    since = answer["summary"]["since"]
    Report.model_validate_json(outputs["json"].out, strict=True)
    gone = [row["group"] for row in since["gone"]]
    planned = {row["group"] for row in json.loads(Path("old.json").read_text())["findings"]}
    left = {row["group"] for row in answer["findings"]}
    assert (sorted(set(gone)), since["new"], since["changed"]) == (sorted(planned - left), [], [])
    assert since["summary"]["groups_scanned"] == {"old": GROUPS, "new": GROUPS - DELETED}
    complete = in_every_format("report", "--all", *state, "--since", "all.json")
    assert json.loads(complete["json"].out)["summary"]["since"] == since
    for one in (outputs, complete):
        rows = list(csv.DictReader(io.StringIO(one["csv"].out)))
        shown = [(row["region"], row["group"]) for row in rows if row["since"]]
        assert len(shown) == len(set(shown)), "one row each"
        assert {group for _, group in shown} == planned - left
        assert {row["since"] for row in rows} == {"gone", ""}
    assert run("report", *state, "--since", "old.json", "--by", "rule", "-f", "csv").code == 2
    for form in ("table", "markdown", "html"):
        text = outputs[form].out
        assert "Since 2026-11-25 09:00 UTC" in text, form
        assert f"No longer a finding ({len(gone)})" in text, form
        assert next(iter(sorted(gone))) in text, form


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reprot"], "No such command 'reprot'"),
        (["report", "--region", "eu-wst-1", "--sandbox"], "'eu-wst-1' is not an AWS Region"),
        (
            ["report", "--region", "eu-west-3", "--sandbox"],
            "eu-west-3 is not enabled in the sandbox: eu-west-1, us-east-1 are",
        ),
        (["report", "--api-share", "2", "--sandbox"], "--api-share"),
        (["report", "--format", "xml"], "'--format': 'xml' is not one of"),
        (["report", "--by", "team", "--sandbox"], "'team' is not account, ou, region, tag:KEY"),
        (["report", "-p", "missing.toml", "--sandbox"], "missing.toml: cannot be read"),
        (["report", "-o", "no/such/folder", "--sandbox"], "no/such/folder"),
        (["apply", "missing.jsonl", "--sandbox"], "missing.jsonl: cannot be read"),
        (["apply", "-", "--yes", "--sandbox"], "it cannot come from stdin: give a file"),
        (["apply", "/dev/null", "--yes", "--sandbox"], "/dev/null: is not a file"),
        (["policy", "validate", "-p", "/dev/zero"], "it is larger than 1,000,000 bytes"),
        (["report", "-o", "a", "-o", "b", "--sandbox"], "-o/--output: is given more than once"),
        (["-p", "a", "run", "-p", "b", "--sandbox"], "-p/--policy: is given more than once"),
        (["policy", "show", "-p", "a", "-p", "b"], "-p/--policy: is given more than once"),
        (["report", "--profile", ""], "--profile: is given without a value"),
        (["apply", "", "--sandbox"], "FILE: is given without a value"),
        (["restore", "j", "", "--sandbox"], "JOURNAL: is given without a value"),
        (["report", "-o", "x.pdf", "--sandbox"], "x.pdf: no format has the suffix .pdf"),
        (["explain", "/a:*", "--sandbox"], "'/a:*' is not a valid log group name"),
        (
            ["run", "--apply", "--yes", "--sandbox", "--journal", "no/such"],
            "journal cannot be written",
        ),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_2(words: list[str], message: str, run: Run) -> None:
    """There is nothing on stdout, and no traceback."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("AWS_REGION=foo report", "AWS_REGION: 'foo' is not an AWS Region"),
        ("AWS_DEFAULT_REGION=eu-wst-1 run -r us-east-1", "did you mean eu-west-1"),
        ("AWS_CONFIG_FILE=config report --profile p", "profile p: region: 'moon' is not an AWS"),
        ("AWS_REGION=foo iam-policy", "AWS_REGION: 'foo' is not an AWS Region"),
        ("JANITOR_REGION=foo plan -o plan.jsonl", "-r/--region: 'foo' is not an AWS Region"),
        ("policy test /x -r foo", "-r/--region: 'foo' is not an AWS Region"),
        ("report -r eu-west-1 -r cn-north-1", "eu-west-1 (aws), cn-north-1 (aws-cn)"),
        ("report -r eu-west-1 --role arn:aws-cn:iam::123456789012:role/x", "role/x (aws-cn)"),
        ("report --role arn:aws:iam::12:role/x", "--role: 'arn:aws:iam::12:role/x' is not the ARN"),
        ("native --account 12", "--account: '12' is not the id of an account (12 digits)"),
        ("report --ou foo", "--ou: 'foo' is not the id of an organizational unit (ou-… or r-…)"),
        ("report --org --org-role a:b", "--org-role: 'a:b' is not the name of a role"),
        ("report --org --external-id x", "--external-id: 'x' is not an external ID (2 to 1,224"),
        ("explain arn:aws:logs:foo:123456789012:log-group:/x", "/x: 'foo' is not an AWS Region"),
        ("explain arn:aws-cn:logs:eu-west-1:123456789012:log-group:/x", "/x (aws-cn)"),
        ("restore s3://my(bucket/journal/", "'my(bucket' is not the name of a bucket"),
        ("restore moon.jsonl", "moon.jsonl: 'moon-1' is not an AWS Region"),
        ("apply moon.plan --yes", "moon.plan: region: 'moon-1' is not an AWS Region"),
        ("iam-policy --restore --journal-bucket x", "--journal-bucket: 'x' is not the name of"),
    ],
)
def test_values_that_aws_cannot_have_are_refused_before_any_call(
    words: str, message: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the option, variable or file; a call would have no endpoint here."""
    Path("config").write_text("[profile p]\nregion = moon\n")
    of = {"account": "123456789012", "region": "moon-1", "group": "/g", "creation_time": 1}
    Path("moon.jsonl").write_text(shortening(of))
    end = {"plan": "end", **dict(islice(of.items(), 2)), "groups_scanned": 1, "complete": True}
    head = {"plan": "head", "run": "r", "made": 1, "policy": "p"}
    Path("moon.plan").write_text(f"{json.dumps(head)}\n{json.dumps(end)}\n")
    variables = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": ""}
    *assignment, words = words.split(" ", 1) if "=" in words.split()[0] else (words,)
    variables |= dict(one.split("=") for one in assignment)
    for name, value in (variables | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    done = run(*words.split())
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert message in line


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("report -p kept", "kept"),
        ("report --since kept", "kept"),
        ("run --apply --yes --journal journal", "journal"),
        ("apply kept --yes", "kept"),
        ("restore kept ./journal", "journal"),
    ],
)
def test_the_output_overwrites_no_file_that_the_command_uses(
    words: str, file: str, run: Run
) -> None:
    """A journal, for example, is the only undo."""
    journal = shortening({"account": "1" * 12, "region": "r", "group": "/g", "creation_time": 1})
    for made in ("journal", "kept"):
        Path(made).write_text("limits.api_share = 1.0\n" if "-p" in words else journal)
    here = ("--sandbox", "-r", "us-east-1", "-o", "kept")
    if "apply kept" in words:
        run("plan", *here)
    elif "--since" in words:
        run("report", *here, "-f", "json")
    before = Path(file).read_text()
    done = run(*words.split(), "--sandbox", "-o", f"./{file}")
    assert (done.code, done.out) == (2, "")
    assert f"-o/--output: {file}: would overwrite {file}, which is used here" in done.err
    assert Path(file).read_text() == before


@pytest.mark.usefixtures("few_owners")
def test_an_output_replaces_a_link_in_a_circle(run: Run) -> None:
    """There is no file behind it that could be overwritten."""
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    assert run("report", "--sandbox", "-r", "us-east-1", "-f", "json", "-o", "a").code == 5
    assert json.loads(Path("a").read_text())["run"]


def test_a_policy_that_does_nothing_causes_a_warning(run: Run) -> None:
    """Otherwise an account in which nothing would be done could pass for a clean one."""
    Path("janitor.toml").write_text("[protect]\nnames = ['/audit/*']\n")
    done = run("report", "--sandbox", "-r", "us-east-1", "-f", "json")
    [warning] = json.loads(done.out)["summary"]["warnings"]
    assert warning.startswith("janitor.toml: it does nothing: it has no retention_days")
    assert f"janitor: warning: {warning}\n" in done.err


@pytest.mark.usefixtures("few_owners")
def test_fail_on_findings(run: Run) -> None:
    """The exit code is 1 only with --fail-on-findings, and -q leaves stderr empty."""
    words = ("report", "--sandbox", "-q", "-r", "eu-west-1", "--format", "csv")
    asked = run(*words, "--fail-on-findings")
    assert (run(*words).code, asked.code, asked.err) == (0, 1, "")


def test_over_a_limit_every_output_predicts_what_is_done(run: Run) -> None:
    """Nothing is deleted, retention may be set instead, and the exit code is 4."""
    Path("p.toml").write_text(
        "[defaults]\nretention_days = 30\ndelete_empty = true\nsweep_streams = true\n"
        '[limits]\nmax_group_deletions = 3\n[protect.deletion]\nowners = ["lambda"]'
    )
    where = ("--sandbox", "-r", "us-east-1", "-p", "p.toml")
    acted = run("run", "--apply", "--yes", *where, "--format", "json")
    done = json.loads(acted.out)["summary"]
    assert (done["groups_deleted"], done["streams_deleted"]) == (0, 0)
    assert done["refused"] > done["planned"]["delete_group"] == 7
    given = done["retention_set"]
    assert given > done["planned"]["set_retention"]
    refused = [f for f in json.loads(acted.out)["findings"] if f["status"] == "refused"]
    assert {f["action"] for f in refused} == {"delete_group", "sweep_streams"}
    assert "0 streams  us-east-1" not in run("run", "--apply", "--yes", *where).out
    planned = run("plan", *where, "-o", "plan.jsonl")
    shown = run("apply", "plan.jsonl", *where[:1], *where[3:], "--dry-run")
    for listed in (acted.err, shown.out):
        assert re.search(rf"^ +{given}     30 ", listed, re.MULTILINE)
        assert "Refused: nothing is deleted: the plan has more than max_group_deletions" in listed
    outputs = in_every_format("report", *where)
    for one in (acted, planned, *outputs.values()):
        assert one.code == shown.code == 4
        assert "to allow it, set max_group_deletions = 7 in [limits]" in one.err
    summary = json.loads(outputs["json"].out)["summary"]
    assert summary["refused_in"] == [{"account": "123456789012", "region": "us-east-1"}]
    assert summary["planned"] == done["planned"]
    assert summary["would"] == {"set_retention": given, "delete_group": 0, "sweep_streams": 0}
    line = f"retention would be set on {given}, 0 groups and 0 streams would be deleted"
    assert all(line in one.err for one in (planned, *outputs.values()))
    for form in ("table", "markdown", "html"):
        text = " ".join(outputs[form].out.split())
        assert f"0 of 110 log groups would be deleted and {given} given retention" in text, form
        assert "Refused by a limit: delete the log group" in text, form
        assert "Would delete the log group" not in text, form
    [packed] = re.findall(r'data-kind="rows">(.*?)<', outputs["html"].out)
    rows = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert {*rows["what"]["of"]} == {
        "Refused by a limit: delete the log group",
        "Refused by a limit: sweep expired streams",
        "Would set retention",
        "Unknown, so kept",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["report", "-r", "all", "--ingestion"],
        ["plan", "-r", "us-east-1"],
        ["run", "-r", "us-east-1"],
        ["explain", GOES],
        ["iam-policy"],
    ],
    ids=" ".join,
)
def test_read_only_commands_send_no_changes(words: list[str], run: Run, watched: Watch) -> None:
    """The account that is called sees reads only."""
    sent: set[str] = set()
    watched(lambda call: sent.add(call.operation))
    assert run(*words, "--sandbox").code in (0, 5)  # 5: some are unknown
    if words[0] in {"policy", "iam-policy"}:
        assert not sent
    else:
        assert "DescribeLogGroups" in sent
        assert only_reads(sent)


@pytest.mark.usefixtures("few_owners")
def test_a_denied_region_is_an_error_and_the_other_is_cleaned(run: Run, watched: Watch) -> None:
    """The Region is named, and the exit code is 3."""

    def deny(call: Call) -> None:
        if (call.region, call.operation) == ("us-east-1", "DescribeLogGroups"):
            raise RefusedError("AccessDeniedException", "no")

    watched(deny)
    done = run("run", "--apply", "--yes", "--sandbox", "-r", "all", "--format", "json")
    summary = json.loads(done.out)["summary"]
    assert (done.code, summary["complete"]) == (3, False)
    assert (summary["groups_scanned"], summary["groups_deleted"]) == (190, 15)
    why = "the log groups could not be listed: DescribeLogGroups: AccessDeniedException"
    assert f"us-east-1: {why}" in done.err


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_a_region_denied_since_the_plan_does_not_stop_the_others(
    run: Run, watched: Watch, region: str
) -> None:
    """Its log groups cannot be counted, so nothing is deleted there."""
    assert run("plan", "--sandbox", "-q", "-o", "plan.jsonl").code == 5
    planned = [json.loads(line) for line in Path("plan.jsonl").read_text().splitlines()]
    others = [one for one in planned if one["plan"] == "action" and one["region"] != region]

    def deny(call: Call) -> None:
        if (call.region, call.operation) == (region, "DescribeLogGroups"):
            raise RefusedError("AccessDeniedException", "no")

    watched(deny)
    done = run("apply", "plan.jsonl", "--yes", "--sandbox", "--format", "json")
    answer = json.loads(done.out)
    assert done.code == 3
    statuses = {(item["region"] == region, item["status"]) for item in answer["findings"]}
    assert {status for mine, status in statuses if not mine} == {"done"}
    assert "done" not in {status for mine, status in statuses if mine}
    assert len([item for item in answer["findings"] if item["region"] != region]) == len(others)


@pytest.mark.usefixtures("few_owners")
def test_an_interruption_while_a_plan_is_checked_changes_nothing(run: Run, watched: Watch) -> None:
    """The exit code is 130."""
    run("plan", "--sandbox", "-q", "-o", "plan.jsonl")
    calls: list[str] = []

    def once(call: Call) -> None:
        calls.append(call.operation)
        if calls == ["GetCallerIdentity", "DescribeLogGroups"]:
            signal.raise_signal(signal.SIGINT)

    watched(once)
    done = run("apply", "plan.jsonl", "--yes", "--sandbox", "--format", "json")
    assert done.code == 130, done.err
    assert json.loads(done.out)["summary"]["groups_deleted"] == 0


@pytest.mark.usefixtures("few_owners")
def test_a_plan_without_an_unreadable_region_is_carried_out(run: Run, watched: Watch) -> None:
    """The share of deletions is that of the other Regions."""

    def deny(call: Call) -> None:
        if (call.region, call.operation) == ("eu-west-1", "DescribeLogGroups"):
            raise RefusedError("AccessDeniedException", "no")

    watched(deny)
    assert run("plan", "--sandbox", "-r", "all", "-o", "plan.jsonl").code == 3
    done = run("apply", "plan.jsonl", "--yes", "--sandbox", "--format", "json")
    assert json.loads(done.out)["summary"]["groups_deleted"] == 8, done.err


@pytest.mark.usefixtures("few_owners")
def test_the_readmes_sandbox_commands_work_word_for_word(run: Run) -> None:
    """Afterwards the account is as before, and the docs show the same commands."""
    readme, docs = (
        re.findall(r"^janitor .*--sandbox[^#\n]*", (ROOT / page).read_text(), re.MULTILINE)
        for page in ("README.md", "docs/commands.md")
    )
    assert [line.strip() for line in docs] == [line.strip() for line in readme[-4:]]
    results = [(line.split()[1], run(*line.split()[1:])) for line in readme]
    codes = [(command, done.code) for command, done in results]
    assert codes[-4:] == [("plan", 5), ("apply", 0), ("report", 5), ("restore", 0)], results
    unchanged = "retention would be set on 0, 0 groups and 0 streams would be deleted"
    assert unchanged in results[-2][1].err
    assert definitions(Path("demo")) == definitions(Path("none"))


@pytest.mark.parametrize("words", [(), ("policy",), ("sandbox",)], ids=str)
def test_lists_of_commands_are_not_cut_short(words: tuple[str, ...], run: Run) -> None:
    """The first sentence of each command fits into a line."""
    lines = run(*words, "--help").out.partition("Commands:\n")[2].splitlines()
    assert len(lines) > 3
    assert [line for line in lines if line.endswith("...")] == []


def test_the_documentation_has_every_exit_code_format_and_the_help(run: Run) -> None:
    """The codes in both tables, the help word for word; and each format has a suffix for `-o`."""
    pages = ("README.md", "docs/commands.md", "docs/report.md")
    readme, commands, report = ((ROOT / page).read_text() for page in pages)
    assert run("--help").out.strip() in readme
    for text in (readme, commands):
        assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == {*Exit}
    for form in Format:
        assert f"{form}`" in readme, f"README.md does not name {form}"
        assert f"| `{form}` |" in report, f"docs/report.md does not name {form}"
    assert {*SUFFIXES.values()} == {*Format}
