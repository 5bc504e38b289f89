"""The command line as a user meets it: as a process, on the sandbox account."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from janitor.terminal.cli import main
from tests.account import MUTATING

GOES = "/aws/lambda/black-friday-2022"
ROOT = Path(__file__).parents[2]


def environment(**extra: str) -> dict[str, str]:
    """The environment without anything of AWS, at 80 columns."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return kept | {
        "COLUMNS": "80",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **extra,
    }


def janitor(*words: str, cwd: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """`python -m janitor …` in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "janitor", *words],
        cwd=cwd,
        env=environment(PYTHONPATH=str(ROOT), **extra),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_no_command_means_report(tmp_path: Path) -> None:
    """`python -m janitor --sandbox`: a table on stdout, the summary for people on stderr.

    One group there has an odd value: it is unknown, which the exit code shows.
    """
    assert janitor("--sandbox", "-r", "eu-west-1", cwd=tmp_path).returncode == 0
    done = janitor("--sandbox", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "Would delete the log group" in done.stdout
    assert "300 log groups scanned" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_readable_at_80_columns_and_without_colour(tmp_path: Path) -> None:
    """No line is longer, and nothing but text comes out of a pipe."""
    done = janitor("report", "--sandbox", "--all", "--ingestion", cwd=tmp_path, NO_COLOR="1")
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "\x1b" not in done.stdout
    for reason in (
        "protected by tag: janitor:keep",
        "subscription filter",
        "class DELIVERY",
    ):
        assert reason in " ".join(done.stdout.split()), reason


def test_json_is_one_object_with_the_promised_summary(tmp_path: Path) -> None:
    """run --apply: done is counted, planned is not."""
    done = janitor("run", "--apply", "--sandbox", "--format", "json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 3
    assert answer["summary"]["unknown"] == 1
    assert set(answer) == {"run", "findings", "summary"}
    summary = answer["summary"]
    assert summary["groups_deleted"] == 22
    assert summary["planned"] == {"set_retention": 0, "delete_group": 0, "sweep_streams": 0}
    assert {"kept", "unknown", "failed", "not_reached", "stored_bytes"} <= set(summary)
    assert {"api_calls", "throttled", "complete"} <= set(summary)
    [journal] = tmp_path.glob("janitor-journal-*.jsonl")
    changes = [json.loads(line) for line in journal.read_text().splitlines()]
    expected = summary["groups_deleted"] + summary["retention_set"] + summary["streams_deleted"]
    assert sum(change["status"] == "done" for change in changes) == expected


def test_every_format_says_the_same(tmp_path: Path) -> None:
    """The findings of json, jsonl and csv are the same groups; markdown counts them."""
    texts = {
        form: janitor("report", "--sandbox", "-q", "--format", form, cwd=tmp_path)
        for form in ("json", "jsonl", "csv", "markdown")
    }
    assert {done.stderr for done in texts.values()} == {""}
    findings = json.loads(texts["json"].stdout)["findings"]
    lines = [json.loads(line) for line in texts["jsonl"].stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(texts["csv"].stdout)))
    names = sorted((f["region"], f["group"], f["action"]) for f in findings)
    assert names == sorted(
        (f["region"], f["group"], f["action"]) for f in lines if f["type"] == "finding"
    )
    assert names == sorted((f["region"], f["group"], f["action"]) for f in rows)
    assert "| Would delete the log group | 22 |" in texts["markdown"].stdout


def test_every_format_shows_the_money(tmp_path: Path) -> None:
    """Each finding has its cost, the summary their sum; what has no price is unknown."""
    texts = {
        form: janitor("report", "--sandbox", "--all", "--format", form, cwd=tmp_path)
        for form in ("json", "jsonl", "csv", "markdown", "table")
    }
    answer = json.loads(texts["json"].stdout)
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
    rows = list(csv.DictReader(io.StringIO(texts["csv"].stdout)))
    assert {(r["region"], r["group"]): r["monthly_usd"] for r in rows} == {
        place: "" if cost is None else str(cost) for place, cost in scanned.items()
    }
    told = [json.loads(line) for line in texts["jsonl"].stdout.splitlines()][-1]
    assert told["money"]["storage_usd"] == money["storage_usd"]
    cost = f"${money['storage_usd']:,.2f}"
    assert f"| Storage now, at most | {cost} |" in texts["markdown"].stdout
    assert re.search(rf"Storage now, at most +{re.escape(cost)}", texts["table"].stdout)
    for form in ("markdown", "table"):
        assert "Without a known price: 1 log group" in texts[form].stdout
        assert "upper bound" in texts[form].stdout
    assert f"stored logs cost up to {cost} a month" in texts["csv"].stderr


def test_ingestion_shows_the_top_talkers_and_what_asking_costs(tmp_path: Path) -> None:
    """Before and after; the findings stay the same."""
    without = json.loads(janitor("report", "--sandbox", "--format", "json", cwd=tmp_path).stdout)
    done = janitor("report", "--sandbox", "--ingestion", "--format", "json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    kinds = [
        sorted((f["region"], f["group"], f["action"], f["status"]) for f in one["findings"])
        for one in (without, answer)
    ]
    assert kinds[0] == kinds[1]
    assert "ingestion" not in without["summary"]
    told = answer["summary"]["ingestion"]
    assert (told["groups"], told["unread"], told["days"]) == (300, 0, 30)
    assert len(told["top_groups"]) == 20
    assert sum(group["bytes"] for group in told["top_groups"]) < told["bytes"]
    assert sum(prefix["groups"] for prefix in told["top_prefixes"]) <= 300
    assert any("INFREQUENT_ACCESS" in text for g in told["top_groups"] for text in g["advice"])
    assert done.stderr.startswith(
        "ingestion: GetMetricData is billed, up to $0.01 per 1,000 log groups"
    )
    assert "asking cost <$0.01" in done.stderr
    largest = told["top_groups"][0]
    for form in ("markdown", "table"):
        shown = janitor("report", "--sandbox", "--ingestion", "--format", form, cwd=tmp_path)
        assert "Ingestion of the last 30 days" in shown.stdout
        [line] = [
            line
            for line in shown.stdout.splitlines()
            if largest["group"] in line and f"${largest['usd_a_month']:,.2f}" in line
        ]
        assert f"{largest['share']:.0%}" in line


def test_html_is_for_a_file_or_a_pipe(tmp_path: Path) -> None:
    """To stdout if that is piped; a terminal is refused in one line, before anything is done."""
    piped = janitor("--sandbox", "--format", "html", "-q", "-r", "eu-west-1", cwd=tmp_path)
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout.startswith("<!doctype html>")
    assert piped.stdout.rstrip().endswith("</html>")
    ours, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "janitor", "--sandbox", "--format", "html"],
            cwd=tmp_path,
            env=environment(PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(ours)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line == "janitor: --format html: a terminal cannot show it; give -o FILE, or pipe it"


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (["report"], "would be deleted and"),
        (["run"], "would be deleted and"),
        (["run", "--apply"], "were deleted and"),
    ],
)
def test_html_says_would_or_did(tmp_path: Path, words: list[str], title: str) -> None:
    """The same page for each command, in the right tense."""
    done = janitor(*words, "--sandbox", "--format", "html", "-o", "report.html", cwd=tmp_path)
    assert done.returncode == 3, done.stderr  # one odd group is unknown
    page = (tmp_path / "report.html").read_text()
    assert f"22 of 300 log groups {title} 145 given a retention." in " ".join(page.split())


def test_html_of_a_plan_that_is_carried_out(tmp_path: Path) -> None:
    """`apply` writes it too, and says that it is no dry run."""
    assert janitor("plan", "--sandbox", "-o", "plan.jsonl", cwd=tmp_path).returncode == 3
    words = ("apply", "plan.jsonl", "--sandbox", "--yes", "--format", "html", "-o", "report.html")
    done = janitor(*words, cwd=tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "applied: changes were made" in page, done.stderr
    assert "<code>janitor apply</code>" in page


def test_plan_and_apply_do_what_the_plan_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one process, because the sandbox lives in one; what changed since is kept and told."""
    import boto3

    from janitor.sandbox import sandbox

    monkeypatch.chdir(tmp_path)
    with sandbox():
        assert main(["plan", "--sandbox", "-q", "-o", "plan.jsonl"]) == 3
        logs = boto3.client("logs", region_name="eu-west-1")
        logs.delete_log_group(logGroupName="/aws/lambda/legacy-thumbnailer")
        logs.create_log_group(logGroupName="/aws/lambda/legacy-thumbnailer")
        logs.create_log_stream(logGroupName="/aws/lambda/pdf-render-2021", logStreamName="new")
        assert main(["apply", "plan.jsonl", "--sandbox", "-q", "--yes", "--format", "json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["summary"]["groups_deleted"] == 20
        told = {f["group"]: f["reason"] for f in answer["findings"] if f["status"] == "kept"}
        assert "made again under the same name" in told["/aws/lambda/legacy-thumbnailer"]
        assert "shows life" in told["/aws/lambda/pdf-render-2021"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:-1], "was cut off"),
        (lambda lines: [], "is empty"),
        (lambda lines: [*lines[:1], "{", *lines[1:]], "plan.jsonl:2"),
        (lambda lines: [line.replace("123456789012", "999999999999") for line in lines], "999999"),
        (lambda lines: [re.sub("[0-9a-f]{64}", "0" * 64, line) for line in lines], "policy"),
    ],
    ids=["cut off", "empty", "torn", "other account", "other policy"],
)
def test_a_plan_that_is_not_whole_or_not_of_this_account_is_refused(
    change: Any, said: str, tmp_path: Path
) -> None:
    """Exit 2, one line, nothing done."""
    janitor("plan", "--sandbox", "-q", "-o", "plan.jsonl", cwd=tmp_path)
    path = tmp_path / "plan.jsonl"
    path.write_text("\n".join(change(path.read_text().splitlines())))
    done = janitor("apply", "plan.jsonl", "--sandbox", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("janitor-journal-*"))


def test_policy_commands(tmp_path: Path) -> None:
    """show is valid TOML, schema and iam-policy are JSON, validate names what is wrong."""
    shown = janitor("policy", "show", cwd=tmp_path)
    (tmp_path / "p.toml").write_text(shown.stdout)
    assert "valid" in janitor("policy", "validate", "-p", "p.toml", cwd=tmp_path).stdout
    (tmp_path / "p.toml").write_text("[defaults]\nretention_days = 31\ngrace = 1")
    wrong = janitor("policy", "validate", "-p", "p.toml", cwd=tmp_path)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 2
    assert json.loads(janitor("policy", "schema", "--sandbox", cwd=tmp_path).stdout)["properties"]
    assert json.loads(janitor("iam-policy", cwd=tmp_path).stdout)["Statement"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["reprot"], "No such command 'reprot'"),
        (["report", "--region", "eu-wst-1", "--sandbox"], "'eu-wst-1' is no AWS Region"),
        (["report", "--api-share", "2", "--sandbox"], "--api-share"),
        (["report", "--format", "yaml"], "yaml"),
        (["report", "-p", "missing.toml", "--sandbox"], "missing.toml: cannot be read"),
        (["report", "-o", "no/such/folder", "--sandbox"], "no/such/folder"),
        (["apply", "missing.jsonl", "--sandbox"], "missing.jsonl: cannot be read"),
        (["run", "--apply", "--sandbox", "--journal", "no/such"], "journal cannot be written"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_2(
    words: list[str], said: str, tmp_path: Path
) -> None:
    """Nothing on stdout, no traceback."""
    done = janitor(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "extra", "said"),
    [
        (["-r", "eu-west-1"], {}, "credentials"),
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
    words: list[str], extra: dict[str, str], said: str, tmp_path: Path
) -> None:
    """Exit 2, and `--sandbox` is named."""
    done = janitor("report", *words, cwd=tmp_path, **extra)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert said in line
    assert "--sandbox" in line


def test_fail_on_findings(tmp_path: Path) -> None:
    """Exit 1 only when asked for."""
    words = ("report", "--sandbox", "-q", "-r", "eu-west-1")
    assert janitor(*words, cwd=tmp_path).returncode == 0
    assert janitor(*words, "--fail-on-findings", cwd=tmp_path).returncode == 1


def test_over_a_limit_the_exit_code_is_4(tmp_path: Path) -> None:
    """The run says so, deletes nothing, and a dry run tells the same."""
    (tmp_path / "p.toml").write_text(
        "[defaults]\nretention_days = 30\ndelete_empty = true\n[limits]\nmax_group_deletions = 3"
    )
    for words in (["run", "--apply", "--yes"], ["report"]):
        done = janitor(*words, "--sandbox", "-p", "p.toml", "--format", "json", cwd=tmp_path)
        assert done.returncode == 4
        assert "max_group_deletions = 3" in done.stderr
        summary = json.loads(done.stdout)["summary"]
        assert (summary["groups_deleted"], summary["planned"]["delete_group"]) == (0, 0)
        assert summary["refused"] > 3


def test_output_goes_to_a_file_only_when_whole(tmp_path: Path) -> None:
    """-o leaves stdout empty, and no half-written file behind."""
    done = janitor("--sandbox", "--format", "json", "-o", "out.json", cwd=tmp_path)
    assert done.stdout == ""
    assert json.loads((tmp_path / "out.json").read_text())["summary"]["groups_scanned"] == 300
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_logs_are_json_lines_on_stderr_when_asked(tmp_path: Path) -> None:
    """With -v each outcome is a line; stdout stays parseable."""
    done = janitor("--sandbox", "-v", "--log-format", "json", "--format", "json", cwd=tmp_path)
    json.loads(done.stdout)
    logged = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert {"group", "action", "status", "reason", "region"} <= set(logged[0])


@pytest.mark.parametrize("form", ["jsonl", "table"])
def test_a_closed_pipe_is_no_traceback(tmp_path: Path, form: str) -> None:
    """`janitor … | head -1`; nor is it findings."""
    process = subprocess.Popen(
        [sys.executable, "-m", "janitor", "--sandbox", "--all", "--format", form],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 3
    assert "Traceback" not in error
    assert "output was closed" in error


def test_ctrl_c_finishes_what_is_in_flight_and_exits_130(tmp_path: Path) -> None:
    """The object on stdout is still whole, and says that it is not complete."""
    slow = tmp_path / "sitecustomize.py"
    slow.write_text(
        "import janitor.sandbox as s, time\n"
        "from moto.core.botocore_stubber import BotocoreStubber as B\n"
        "real = B.process_request\n"
        "B.process_request = lambda self, r: (time.sleep(0.05), real(self, r))[1]\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "janitor", "run", "--apply", "--sandbox", "--format", "json"],
        cwd=tmp_path,
        env=environment(PYTHONPATH=f"{tmp_path}:{ROOT}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("janitor-journal-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    summary = json.loads(out)["summary"]
    assert process.returncode == 130, error
    assert summary["complete"] is False
    assert summary["not_reached"] > 0
    assert "Traceback" not in error


READING = [
    ["report"],
    ["report", "-r", "all"],
    ["plan"],
    ["run"],
    ["explain", GOES],
    ["policy", "show"],
    ["iam-policy"],
    ["report", "--ingestion"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_commands_that_only_look_send_nothing_that_changes(
    words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen at the transport, below everything of the janitor's own."""
    from moto.core.botocore_stubber import BotocoreStubber

    from janitor.sandbox import sandbox

    monkeypatch.chdir(tmp_path)
    sent: set[str] = set()
    real = BotocoreStubber.process_request

    def watch(self: Any, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", b"")
        sent.add((target.decode() if isinstance(target, bytes) else target).split(".")[-1])
        return real(self, request)

    with sandbox():
        monkeypatch.setattr(BotocoreStubber, "process_request", watch)
        code = main([*words, "--sandbox"])
    assert code in (0, 3)  # 3 where the one odd group of the account is among them
    assert not MUTATING & sent
    if words[0] not in {"policy", "iam-policy"}:
        assert "DescribeLogGroups" in sent


def test_help_imports_neither_boto3_nor_moto() -> None:
    """So that it is quick."""
    code = (
        "import sys; from janitor.terminal.cli import main; main(['--help']);"
        "sys.exit(bool({'boto3', 'botocore', 'moto'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_the_readme_shows_the_programs_own_help(tmp_path: Path) -> None:
    """Word for word."""
    shown = janitor("--help", cwd=tmp_path).stdout.strip()
    assert shown in (ROOT / "README.md").read_text()


def test_one_denied_region_is_an_error_and_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3, the Region is named, and the other Region's log groups are cleaned."""
    from moto.core.botocore_stubber import BotocoreStubber

    from janitor.sandbox import sandbox

    monkeypatch.chdir(tmp_path)
    real = BotocoreStubber.process_request
    denied = (400, {}, b'{"__type": "AccessDeniedException", "message": "no"}')

    def deny(self: Any, request: Any) -> Any:
        target = str(request.headers.get("X-Amz-Target", ""))
        wanted = "logs.us-east-1" in request.url and "DescribeLogGroups" in target
        return denied if wanted else real(self, request)

    with sandbox():
        monkeypatch.setattr(BotocoreStubber, "process_request", deny)
        assert main(["run", "--apply", "--sandbox", "-r", "all", "--format", "json"]) == 3
    shown = capsys.readouterr()
    summary = json.loads(shown.out)["summary"]
    assert summary["complete"] is False
    assert summary["groups_scanned"] == 190
    assert summary["groups_deleted"] == 15
    assert "us-east-1: the scan failed: DescribeLogGroups: AccessDeniedException" in shown.err
