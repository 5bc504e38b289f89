"""`janitor restore`, on a sandbox that is kept, and as processes that are killed."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics

from janitor.aws.workers import Inline
from janitor.core.clock import DAY_MS
from janitor.function.handler import Janitor
from janitor.function.invocation import configure_logs
from janitor.function.settings import read_settings
from janitor.report.schema import RestoreReport
from janitor.sandbox.clocks import RealClock
from janitor.sandbox.demo import NOW
from janitor.sandbox.saved import kept
from janitor.sandbox.store import Bucket
from janitor.terminal.demo import definitions
from tests.conftest import Run, nothing_of_aws
from tests.conftest import janitor as here
from tests.fakes.builder import Builder
from tests.fakes.cloud import Cloud
from tests.function.deployed import Context
from tests.terminal.conftest import Watch, start
from tests.terminal.test_cli import DELETED, RETENTIONS, STREAMS, only_reads
from tests.virtual import VirtualClock

ACCOUNT, REGION = "123456789012", "eu-west-1"
STATE = ("--sandbox-state", "account")
CHANGED = DELETED + RETENTIONS

# ---- on a kept sandbox ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def once(
    tmp_path_factory: pytest.TempPathFactory, policy_with_few_owners: Path
) -> tuple[Path, Any]:
    """A folder with a sandbox after `run --apply` and its journal, and the earlier definitions."""
    folder = tmp_path_factory.mktemp("cleaned")
    before = definitions(folder / "account")
    with pytest.MonkeyPatch.context() as monkeypatch:
        nothing_of_aws(monkeypatch)
        monkeypatch.chdir(folder)
        policy = ("-p", str(policy_with_few_owners))
        here("run", "--apply", "--yes", *STATE, *policy, "--journal", "j.jsonl", "-q", "-f", "json")
    assert definitions(folder / "account") != before
    return folder, before


@pytest.fixture
def cleaned(once: tuple[Path, Any], tmp_path: Path, run: Run) -> Any:
    """A copy of that folder for one test, which runs in it; the earlier definitions."""
    folder, before = once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return before


def account() -> Any:
    """Return the definitions now."""
    return definitions(Path("account"))


def test_restore_after_a_run_brings_the_sandbox_back(cleaned: Any, run: Run) -> None:
    """All fields but times and streams are as before, and a second undo changes nothing."""
    done = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
    assert account() == cleaned
    assert (done.code, f"Restored ({CHANGED})" in done.out) == (0, True)
    changed = f"{DELETED} log groups were created again or completed, retention was put back on"
    assert changed in done.err
    lost = (
        f"what cannot come back: the log streams, events and creation times of {DELETED} "
        f"deleted log groups; {STREAMS} swept log streams"
    )
    assert done.err.count(lost) == 2
    assert "dry run" not in done.err
    again = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
    assert (again.code, f"Left alone ({CHANGED})" in again.out) == (0, True)
    assert [line for line in again.out.splitlines() if line != line.rstrip()] == []
    assert account() == cleaned


def test_without_apply_no_change_is_sent(cleaned: Any, run: Run, watched: Watch) -> None:
    """No journal is written, nor the account in the folder."""
    saved, sent = Path("account/account.json").read_bytes(), set[str]()
    watched(lambda call: sent.add(call.operation))
    done = run("restore", "j.jsonl", *STATE)
    assert (done.code, f"Would be restored ({CHANGED})" in done.out) == (0, True)
    assert "nothing was changed" in done.out
    assert "journal:" not in done.err
    assert only_reads(sent)
    assert Path("account/account.json").read_bytes() == saved
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["account", "j.jsonl"]


@pytest.mark.usefixtures("cleaned")
def test_no_text_in_a_journal_starts_a_line_of_its_own(run: Run) -> None:
    """A forged one could say in the preview that less is restored."""
    forged = Path("j.jsonl").read_text().replace('"media"', r'"media\nRestored (0)"')
    Path("forged.jsonl").write_text(forged)
    assert r"team=media\nRestored (0)" in run("restore", "forged.jsonl", "--all", *STATE).out


@pytest.mark.usefixtures("cleaned")
def test_every_format_shows_the_same_items(run: Run) -> None:
    """Only the formats for people are cut short."""

    def shown(form: str, *more: str) -> str:
        done = run("restore", "j.jsonl", "--format", form, *more, *STATE)
        assert done.code == 0
        return done.out

    RestoreReport.model_validate_json(shown("json"), strict=True)
    report = json.loads(shown("json"))
    assert set(report) == {"run", "findings", "summary"}
    assert report["run"]["command"] == "restore"
    planned = {"restore_group": DELETED, "restore_retention": RETENTIONS}
    planned["restore_account_policy"] = 0
    assert report["summary"]["planned"] == planned
    names = sorted(item["group"] for item in report["findings"])
    lines = [json.loads(line) for line in shown("jsonl").splitlines()]
    assert [lines[0]["type"], lines[-1]["type"]] == ["run", "summary"]
    assert sorted(line["group"] for line in lines if line["type"] == "finding") == names
    assert sorted(row["group"] for row in csv.DictReader(io.StringIO(shown("csv")))) == names
    assert shown("markdown", "--all").count("\n| ") == CHANGED + 2
    assert f"… and {CHANGED - 20} more" in shown("markdown")
    table = shown("table", "--all").splitlines()
    long = [line.split()[0] for line in table if len(line) > 80]
    assert set(long) <= {"the", "data", "field", "transformer:"}, "only texts to copy are longer"
    [policy] = (line for line in table if "data protection policy: " in line)
    assert json.loads(policy.split(": ", 1)[1])["Name"] == "emails"


def test_region_and_group_narrow_the_undo(cleaned: Any, run: Run) -> None:
    """They also narrow what is said to be lost."""
    words = ("-r", "us-east-1", "--group", "/ecs/*", "--group", "/aws/codebuild/*")
    done = run("restore", "j.jsonl", "--apply", "--yes", *words, *STATE)
    assert done.code == 0
    now = account()
    different = {key for key, value in cleaned.items() if now.get(key) != value}
    assert different
    assert not {
        name
        for _, region, name in different
        if region == "us-east-1" and name.startswith(("/ecs/", "/aws/codebuild/"))
    }
    assert (ACCOUNT, "us-east-1", "/ecs/search-green") in now
    assert "of 2 deleted log groups\n" in done.err
    none = run("restore", "j.jsonl", "--group", "/none", *STATE)
    assert (none.code, none.out.count("\n")) == (0, 2)


def test_damaged_lines_show_in_the_exit_code(cleaned: Any, run: Run) -> None:
    """The rest is restored, and only an incomplete last line is no failure."""
    path = Path("j.jsonl")
    text = path.read_text()
    path.write_text(text + '{"run": "r", "pol')
    done = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
    assert (done.code, "the last line of 1 journal was cut off" in done.err) == (0, True)
    for odd in (b'{"version": 9}', b'{"event": "journal", "ru', b"\0" * 99, b'{"a": "\xff"}'):
        path.write_bytes(text.encode() + odd + b"\n")
        done = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
        assert (done.code, "1 line cannot be understood" in done.err) == (3, True), odd
    path.write_text(text)
    for other in ("{", "not a journal", '{"event": "other"}'):
        Path("other").write_text(other)
        done = run("restore", "j.jsonl", "other", *STATE)
        assert (done.code, "warning: other: has no journal lines" in done.err) == (3, True), other
        assert "cut off" not in done.err
    assert account() == cleaned


@pytest.mark.usefixtures("cleaned")
def test_an_undo_in_a_new_sandbox_changes_nothing(run: Run) -> None:
    """It says that a new demo account has none of the journal's changes."""
    done = run("restore", "j.jsonl", "--apply", "--yes", "--sandbox")
    assert done.code == 0, done.err
    assert done.err.startswith(
        "this demo account is new, and has none of the changes of other commands"
    )
    assert "--sandbox-state FOLDER" in done.err
    assert f"Left alone ({CHANGED})" in done.out
    for words in (("report", "-r", "us-east-1"), ("restore", "j.jsonl")):
        mistyped = run(*words, "--sandbox-state", "acount")
        assert mistyped.err.startswith("the demo account in acount is new\n")
    assert "account is new" not in run("restore", "j.jsonl", *STATE).err


def test_the_functions_journals_are_undone_from_its_bucket(
    run: Run,
    once: tuple[Path, Any],
    policy_with_few_owners: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are read from a prefix, from single objects, and from the log on stdin."""
    with kept(Path("account"), changing=True) as sandbox:
        sandbox.store.buckets["journals"] = Bucket(ACCOUNT, REGION, NOW)
        before = definitions(Path("none yet"))
        settings = read_settings(
            {
                "JANITOR_BUCKET": "journals",
                "JANITOR_REGIONS": "us-east-1",
                "JANITOR_POLICY_FILE": str(policy_with_few_owners),
            }
        )
        configure_logs()  # an earlier test may have configured others
        metrics = EphemeralMetrics(namespace="t", service="t")
        clock = VirtualClock(NOW)
        function = Janitor(settings, sandbox.session(), clock, metrics, Inline())
        capsys.readouterr()
        answer = function.answer({"dry_run": False}, Context("request"))
        did = clock.run(answer)["summary"]
        log = capsys.readouterr().out
        keys = [key for key in sandbox.store.buckets["journals"].objects if key.startswith("j")]
    _, before = once
    assert account() != before
    planned = {
        "restore_group": did["groups_deleted"],
        "restore_retention": did["retention_set"],
    }
    assert min(planned.values()) > 0
    address = f"s3://journals/journal/{ACCOUNT}/"
    for journals in ([address], [f"s3://journals/{key}" for key in keys], ["-"]):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(log.encode())))
        done = run("restore", *journals, "--format", "json", *STATE)
        assert json.loads(done.out)["summary"]["planned"] == planned | {
            "restore_account_policy": 0
        }, done.err
    assert run("restore", address, "--apply", "--yes", *STATE).code == 0
    assert account() == before
    for wrong in ("s3://journals/none", "s3://journals/none/", "s3://journals", "s3://other/x"):
        done = run("restore", wrong, *STATE)
        assert (done.code, done.out, wrong in done.err) == (2, "", True)
        assert ("ends with /" in done.err) is (wrong == "s3://journals/none")
        assert len(done.err.splitlines()) == 1


def test_mistakes_are_one_clear_line_and_exit_2(run: Run) -> None:
    """There is no traceback, nothing on stdout, and nothing is done."""
    line = {
        "event": "journal",
        "run": "r",
        "policy": "p",
        "version": 1,
        "at": 1,
        "action": "set_retention",
        "status": "done",
        "account": "999999999999",
        "region": "eu-west-1",
        "group": "/g",
        "creation_time": 1,
        "before": {"retention_days": None},
        "after": {"retention_days": 30},
        "reason": "r",
    }
    Path("other.jsonl").write_text(json.dumps(line) + "\n")
    elsewhere = line | {"account": ACCOUNT, "region": "eu-west-3"}
    Path("elsewhere.jsonl").write_text(json.dumps(elsewhere) + "\n")
    Path("text").write_text("not a journal\n")
    Path("bytes").write_bytes(b"\xff\xfe")
    for words, message in (
        (
            ["other.jsonl"],
            f"from account 999999999999; these credentials are for account {ACCOUNT}",
        ),
        (["elsewhere.jsonl"], "eu-west-3 is not enabled in the sandbox"),
        (["missing.jsonl", "--apply"], "missing.jsonl: cannot be read"),
        (["text"], "text: has no journal lines"),
        (["bytes"], "bytes: has no journal lines"),
        (["other.jsonl", "--format", "html"], "an undo cannot be html"),
        (["other.jsonl", "--apply", "--yes", "--journal", "no/such"], "journal cannot be written"),
        ([], "JOURNAL"),
    ):
        done = run("restore", *words, "--sandbox")
        assert (done.code, done.out) == (2, ""), words
        assert message in done.err
        assert "Traceback" not in done.err


# ---- as processes --------------------------------------------------------------------------------


def furnished() -> Builder:
    """Return log groups to delete and to give retention, with every setting that they can have."""
    made, now = Builder(), RealClock().now()
    for index in range(4):
        key = made.group(
            ACCOUNT,
            REGION,
            f"/old/{index}",
            created=now - 900 * DAY_MS,
            retention=30 if index % 2 else None,
            kms=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k" if index % 3 else None,
            tags={"team": "media", "index": str(index)},
        )
        if index < 2:
            made.set(
                key,
                data_protection='{"Name": "emails"}',
                index='{"Fields": ["requestId"]}',
                transformer=[{"parseJSON": {}}, {"lowerCaseString": {"withKeys": ["level"]}}],
                bearer=True,
            )
    for index in range(14):
        made.group(ACCOUNT, REGION, f"/new/{index:02}", created=now - 3 * DAY_MS, stored=9)
    return made


def state(made: Builder) -> dict[Any, dict[str, Any]]:
    """Return what is in the account, without creation times and streams."""
    return {
        key: {field: v for field, v in value.items() if field not in ("created", "streams")}
        for key, value in made.store.state().items()
    }


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def test_an_undo_can_be_killed_and_repeated(tmp_path: Path, policy_with_few_owners: Path) -> None:
    """It is killed, then interrupted by Ctrl-C, and the third time everything is restored."""
    made = furnished()
    before = state(made)
    with Cloud(made, quotas=True, latency=0.01) as cloud, cloud.serving() as url:
        variables = cloud.environment(url) | {"JANITOR_POLICY": str(policy_with_few_owners)}

        def janitor(*words: str) -> subprocess.Popen[str]:
            return start(*words, cwd=tmp_path, variables=variables)

        words = ("run", "--apply", "--yes", "--journal", "j.jsonl", "--format", "json")
        code, out, error = finish(janitor(*words))
        summary = json.loads(out)["summary"]
        assert (code, summary["groups_deleted"], summary["retention_set"]) == (0, 4, 14), error
        undo = ("restore", "j.jsonl", "--apply", "--yes", "--journal", "undo.jsonl", "-q")
        for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            before_undo = _undone(cloud)
            process = janitor(*undo)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                if _undone(cloud) > before_undo + 2:
                    break
                time.sleep(0.01)
            process.send_signal(end)
            returned, _, error = finish(process)
            assert returned == code, error
            assert "Traceback" not in error
            assert state(made) != before
        code, out, error = finish(janitor(*undo, "--format", "json"))
        assert code == 0, error
        assert state(made) == before
        summary = json.loads(out)["summary"]
        assert summary["groups_restored"] + summary["retention_restored"] > 0
        verdict = cloud.judge()
        assert not verdict.unknown
        assert not verdict.throttled, "paced within the quotas"
        assert verdict.longest_look is not None
        assert verdict.longest_look < 1


def _undone(cloud: Cloud) -> int:
    calls = cloud.calls
    return calls["TagResource"] + calls["DeleteRetentionPolicy"]
