"""`janitor restore` as a user meets it: on the sandbox, and on the simulator as a process."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from moto.core.botocore_stubber import BotocoreStubber

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.core.clock import SystemClock
from janitor.core.model import Status, Target
from janitor.engine.act import Commit
from janitor.engine.run import Run
from janitor.function.handler import Janitor, configure_logs
from janitor.function.settings import read_settings
from janitor.journal.history import read, select
from janitor.journal.journal import Journal
from janitor.journal.restore import Item, Undo
from janitor.policy.file import Policy
from janitor.sandbox import definitions, sandbox
from janitor.terminal.cli import main
from tests.account import CHANGING, FastClock, Recorded
from tests.fakes import Builder, Cloud
from tests.fakes.faults import Faults, Rates, deny
from tests.fakes.scenarios import ACCOUNT, REGION, messy
from tests.function.test_handler import SCHEDULED, Context
from tests.terminal.test_cli import ROOT, environment, janitor

DAY_MS = 86_400_000


def command(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """One command in this process: its exit code, stdout and stderr."""
    capsys.readouterr()
    code = main([*words, "--sandbox"])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


@pytest.fixture
def cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """A sandbox after `run --apply`: what was there before, and the journal."""
    monkeypatch.chdir(tmp_path)
    with sandbox():
        before = definitions()
        command("run", "--apply", "--journal", "j.jsonl", "-q", capsys=capsys)
        assert definitions() != before
        yield before


def test_restore_after_a_run_brings_the_sandbox_back(
    cleaned: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Field by field, apart from times and streams; and again, which changes nothing."""
    code, out, error = command("restore", "j.jsonl", "--apply", capsys=capsys)
    assert definitions() == cleaned
    assert (code, "Given back (167)" in out) == (0, True)
    assert "22 log groups were made again or completed, 145 retentions were put back" in error
    assert (
        error.count(
            "what cannot come back: the log streams, events and creation times of 22 "
            "deleted log groups; 360 swept log streams"
        )
        == 2
    )
    code, out, error = command("restore", "j.jsonl", "--apply", capsys=capsys)
    assert (code, "Left as it is (167)" in out) == (0, True)
    assert definitions() == cleaned


def test_without_apply_nothing_is_sent_that_changes(
    cleaned: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seen at the transport; and no journal is written."""
    sent: set[str] = set()
    real = BotocoreStubber.process_request

    def watch(self: Any, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", b"")
        sent.add((target.decode() if isinstance(target, bytes) else target).split(".")[-1])
        return real(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", watch)
    now = definitions()
    code, out, error = command("restore", "j.jsonl", capsys=capsys)
    assert (code, "Would be given back (167)" in out) == (0, True)
    assert "nothing was changed" in out
    assert "journal:" not in error
    assert not CHANGING & sent
    assert definitions() == now != cleaned
    assert [path.name for path in Path.cwd().iterdir()] == ["j.jsonl"]


@pytest.mark.usefixtures("cleaned")
def test_every_format_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """The same items, whatever the form; tables are cut short for people only."""

    def shown(form: str, *more: str) -> str:
        code, out, _ = command("restore", "j.jsonl", "--format", form, *more, capsys=capsys)
        assert code == 0
        return out

    whole = json.loads(shown("json"))
    assert set(whole) == {"run", "findings", "summary"}
    assert whole["run"]["command"] == "restore"
    assert whole["summary"]["planned"] == {"restore_group": 22, "restore_retention": 145}
    names = sorted(item["group"] for item in whole["findings"])
    lines = [json.loads(line) for line in shown("jsonl").splitlines()]
    assert [lines[0]["type"], lines[-1]["type"]] == ["run", "summary"]
    assert sorted(line["group"] for line in lines if line["type"] == "finding") == names
    assert sorted(row["group"] for row in csv.DictReader(io.StringIO(shown("csv")))) == names
    assert shown("markdown", "--all").count("\n| ") == 167 + 2
    assert "… and 147 more" in shown("markdown")
    assert max(len(line) for line in shown("table", "--all").splitlines()) <= 80


def test_it_keeps_to_the_regions_and_names_given(
    cleaned: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """-r and --group narrow it, also what is said to be lost."""
    words = ("-r", "us-east-1", "--group", "/ecs/*", "--group", "/aws/codebuild/*")
    code, _, error = command("restore", "j.jsonl", "--apply", *words, capsys=capsys)
    assert code == 0
    different = {key for key, value in cleaned.items() if definitions().get(key) != value}
    assert different
    assert not {
        name
        for region, name in different
        if region == "us-east-1" and name.startswith(("/ecs/", "/aws/codebuild/"))
    }
    assert ("us-east-1", "/ecs/search-green") in definitions()
    assert "of 2 deleted log groups; 0 swept" in error
    code, out, _ = command("restore", "j.jsonl", "--group", "/none", capsys=capsys)
    assert (code, out.count("\n")) == (0, 2)


def test_the_functions_journals_are_undone_from_its_bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From all objects under a prefix, from one, and from its log on stdin."""
    monkeypatch.chdir(tmp_path)
    with sandbox():
        before = definitions()
        aws = boto3.Session()
        place = {"LocationConstraint": "eu-west-1"}
        aws.client("s3").create_bucket(Bucket="journals", CreateBucketConfiguration=place)
        settings = read_settings({"JANITOR_JOURNAL_BUCKET": "journals"})
        clock = FastClock(SystemClock().now())
        configure_logs()  # a command of an earlier test may have set up its own
        function = Janitor(settings, aws, clock, EphemeralMetrics(namespace="t", service="t"))
        capsys.readouterr()
        answer = function.answer(SCHEDULED, Context())
        log = capsys.readouterr().out
        assert answer["summary"]["groups_deleted"] == 22
        address = "s3://journals/journal/123456789012/"
        [shown] = aws.client("s3").list_objects_v2(Bucket="journals")["Contents"]
        said = [
            json.loads(command("restore", *words, "--format", "json", capsys=capsys)[1])["summary"]
            for words in ([address], [f"s3://journals/{shown['Key']}"])
        ]
        monkeypatch.setattr("sys.stdin", io.StringIO(log))
        said.append(
            json.loads(command("restore", "-", "--format", "json", capsys=capsys)[1])["summary"]
        )
        planned = {"restore_group": 22, "restore_retention": 145}
        assert [summary["planned"] for summary in said] == [planned] * 3
        assert command("restore", address, "--apply", capsys=capsys)[0] == 0
        assert definitions() == before
        for wrong in ("s3://journals/none", "s3://journals/none/", "s3://journals", "s3://other/x"):
            code, out, error = command("restore", wrong, capsys=capsys)
            assert (code, out, wrong in error) == (2, "", True)
            assert len(error.splitlines()) == 1


def test_mistakes_are_one_clear_line_and_exit_2(tmp_path: Path) -> None:
    """No traceback, nothing on stdout, nothing done."""
    line = {
        "run": "r",
        "policy": "p",
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
    (tmp_path / "other.jsonl").write_text(json.dumps(line) + "\n")
    (tmp_path / "text").write_text("not a journal\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for words, said in (
        (["other.jsonl"], "of account 999999999999; these credentials are of account 123456789012"),
        (["missing.jsonl"], "missing.jsonl: cannot be read"),
        (["text"], "text: no line is a journal's"),
        (["bytes"], "not UTF-8"),
        (["other.jsonl", "-r", "eu-wst-1"], "'eu-wst-1' is no AWS Region"),
        (["other.jsonl", "--format", "html"], "html is not for an undo"),
        (["other.jsonl", "--apply", "--journal", "no/such"], "journal cannot be written"),
        ([], "JOURNAL"),
    ):
        done = janitor("restore", *words, "--sandbox", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_lines_that_are_not_understood_show_in_the_exit_code(
    cleaned: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is done; the torn last line alone is no failure."""
    path = Path("j.jsonl")
    text = path.read_text()
    path.write_text(text + '{"run": "r", "pol')
    code, _, error = command("restore", "j.jsonl", "--apply", capsys=capsys)
    assert (code, "1 lines of the journal were cut off" in error) == (0, True)
    path.write_text(text + '{"version": 9}\n')
    code, _, error = command("restore", "j.jsonl", "--apply", capsys=capsys)
    assert (code, "1 lines are not understood" in error) == (3, True)
    assert definitions() == cleaned


def test_a_new_sandbox_is_told_apart(tmp_path: Path, cleaned: Any) -> None:
    """Another process has another demo account: nothing of it is overwritten."""
    done = janitor("restore", str(Path.cwd() / "j.jsonl"), "--sandbox", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the demo account is made anew in each process" in done.stderr
    assert "Would be given back" not in done.stdout
    assert cleaned


# ---- over HTTP, on the loopback ------------------------------------------------------------------


def furnished() -> Builder:
    """Groups to delete and to give retention, with all that a group can have."""
    account, now = Builder(), SystemClock().now()

    def ago(days: int) -> int:
        return now - days * DAY_MS

    for index in range(8):
        key = account.group(
            ACCOUNT,
            REGION,
            f"/old/{index}",
            created=ago(900),
            retention=30 if index % 2 else None,
            kms=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k" if index % 3 else None,
            tags={"team": "media", "index": str(index)},
            log_class="INFREQUENT_ACCESS" if index == 7 else "STANDARD",
        )
        if index < 4:
            account.set(
                key,
                data_protection='{"Name": "emails"}',
                index='{"Fields": ["requestId"]}',
                transformer=[{"parseJSON": {}}, {"lowerCaseString": {"withKeys": ["level"]}}],
                bearer=True,
            )
    for index in range(32):
        account.group(ACCOUNT, REGION, f"/new/{index:02}", created=ago(3), stored=9)
    return account


def state(account: Builder) -> dict[Any, Any]:
    """The truth, apart from creation times and streams."""
    return {g.key: replace(g, created=0, streams={}) for g in account.truth.all()}


def start(environment: dict[str, str], folder: Path, *words: str) -> subprocess.Popen[str]:
    """A command as a process of its own, sent to the loopback."""
    return subprocess.Popen(
        [sys.executable, "-m", "janitor", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, error = process.communicate(timeout=120)
    return process.returncode, out, error


def test_processes_on_the_simulator_and_one_that_is_killed(tmp_path: Path) -> None:
    """run --apply; restore --apply, killed halfway; interrupted by Ctrl-C; and to its end."""
    account = furnished()
    before = state(account)
    with Cloud(account, quotas=True, latency=0.01) as cloud, cloud.serving() as url:
        variables = environment(PYTHONPATH=str(ROOT)) | cloud.environment(url)
        words = ("run", "--apply", "--yes", "--journal", "j.jsonl", "--format", "json")
        code, out, error = finish(start(variables, tmp_path, *words))
        summary = json.loads(out)["summary"]
        assert (code, summary["groups_deleted"], summary["retention_set"]) == (0, 8, 32), error
        undo = ("restore", "j.jsonl", "--apply", "--yes", "--journal", "undo.jsonl", "-q")
        for end, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            process = start(variables, tmp_path, *undo)
            seen = cloud.calls["TagResource"] + cloud.calls["DeleteRetentionPolicy"]
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                done = cloud.calls["TagResource"] + cloud.calls["DeleteRetentionPolicy"]
                if done > seen + 4:
                    break
            process.send_signal(end)
            returned, _, error = finish(process)
            assert returned == code, error
            assert "Traceback" not in error
            assert state(account) != before
        code, out, error = finish(start(variables, tmp_path, *undo, "--format", "json"))
        assert code == 0, error
        assert state(account) == before
        summary = json.loads(out)["summary"]
        assert summary["groups_restored"] + summary["retention_restored"] > 0
        verdict = cloud.judge()
        assert not verdict.unknown
        assert not verdict.throttled, "paced within the quotas"
        assert verdict.longest_look is not None
        assert verdict.longest_look < 1


def engine_run(cloud: Cloud, now: int, policy: Policy, path: Path) -> None:
    """A run over the simulator, by a clock that does not wait."""
    stop = threading.Event()
    made = Journal(path, "run", "policy")
    Run([http(cloud, now, stop)], policy, Recorded(), made, stop, now, dry_run=False).execute()
    made.close()


def http(cloud: Cloud, now: int, stop: threading.Event) -> Api:
    clock = FastClock(now)
    pace = Pace(lambda _operation: 1000.0, clock)
    return Api(Target(ACCOUNT, REGION), cloud.session(), pace, clock, Counts(), stop)


def engine_undo(cloud: Cloud, now: int, path: Path) -> list[Item]:
    stop, items = threading.Event(), list[Item]()
    own = Journal(path.with_name("undo.jsonl"), "undo", "policy")
    pasts = select(read([(str(path), path.read_text())]).pasts, lambda _past: True)
    commit = Commit(own, dry_run=False)
    Undo([http(cloud, now, stop)], pasts, commit, own, stop, items.append).execute()
    own.close()
    return items


@pytest.mark.parametrize("faulty", [False, True], ids=["quiet", "faults"])
def test_the_messiest_account_is_as_it_was(policy: Policy, tmp_path: Path, faulty: bool) -> None:
    """Real clients, pages that are empty and not the last; under faults after a second undo."""
    scenario = messy(200)
    before = state(scenario)
    faults: Faults | None = None
    if faulty:
        faults = Rates(
            seed=7,
            throttle=0.02,
            internal=0.02,
            internal_after=0.02,
            reset_after=0.02,
            aborted=0.02,
        )
    path = tmp_path / "j.jsonl"
    with Cloud(scenario, faults=faults, empty_pages=0.2) as cloud:
        engine_run(cloud, scenario.now, policy, path)
        assert len(state(scenario)) < len(before)
        engine_undo(cloud, scenario.now, path)
    with Cloud(scenario, empty_pages=0.2) as cloud:
        items = engine_undo(cloud, scenario.now, path)
        assert {item.status for item in items} <= {Status.KEPT, Status.DONE}
        assert state(scenario) == before
        again = engine_undo(cloud, scenario.now, path)
        assert {item.status for item in again} == {Status.KEPT}
        assert not cloud.judge().unknown


def test_a_missing_permission_is_an_items_failure(policy: Policy, tmp_path: Path) -> None:
    """The others are undone."""
    account = furnished()
    before = state(account)
    path = tmp_path / "j.jsonl"
    now = SystemClock().now()
    limits = policy.limits.model_copy(update={"max_group_deletion_share": 1.0})
    with Cloud(account) as cloud:
        engine_run(cloud, now, policy.model_copy(update={"limits": limits}), path)
    with Cloud(account, faults=deny(operation="CreateLogGroup", group="/old/1")) as cloud:
        items = engine_undo(cloud, now, path)
    assert [item.group for item in items if item.status is Status.FAILED] == ["/old/1"]
    assert {item.status for item in items} == {Status.FAILED, Status.DONE}
    lost = {key for key in before if state(account).get(key) != before[key]}
    assert {name for _, _, name in lost} == {"/old/1"}
