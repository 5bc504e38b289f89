"""`janitor native`: rules as account-level retention policies."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.core.clock import DAY_MS, Stop
from janitor.function.iam import native_policy
from janitor.report.schema import NativeReport
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.saved import FILE, kept, load, save
from janitor.sandbox.store import Store
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Answer, Call, RefusedError, Reply
from janitor.terminal import consent
from tests.conftest import Run, Said
from tests.terminal.conftest import Watch

ACCOUNT, REGION = "123456789012", "eu-west-1"
STATE = ("--sandbox-state", "account", "-r", REGION)
TWO = """
[protect]
tags = []
[[rules]]
id = "search"
names = ["/ecs/search*"]
retention_days = 400
[[rules]]
id = "ecs"
names = ["/ecs/*"]
retention_days = 90
"""
OTHERS = ["keep-for-ever", "ninety-days"]
"""Account-level policies that are not the janitor's."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the demo account with a few log groups."""

    def account() -> Store:
        store = Store(aliases={ACCOUNT: "storefront-production"})
        store.add_policy(ACCOUNT, REGION, "ninety-days", 90, "/managed/quarterly/")
        store.add_policy(ACCOUNT, REGION, "keep-for-ever", None, "/compliance/")
        store.region(ACCOUNT, "us-east-1")
        for name, days in (("/ecs/search", None), ("/ecs/search-2", 7), ("/ecs/checkout", 14)):
            created = demo.NOW - 100 * DAY_MS
            store.add_group(ACCOUNT, REGION, name, created=created, retention=days)
        return store

    monkeypatch.setattr(demo, "account", account)


@pytest.fixture
def native(run: Run) -> Any:
    """Run `janitor native …` with a policy, on a sandbox that is kept."""

    def command(policy: str, *words: str) -> Said:
        Path("policy.toml").write_text(policy)
        return run("native", "-p", "policy.toml", *STATE, *words)

    return command


def policies() -> dict[str, Any]:
    """Return the days of the account-level policies in the account."""
    return {policy.name: policy.terms.days for policy in _region().policies}


def _region() -> Any:
    store, _ = load(Path("account") / FILE)
    return store.region(ACCOUNT, REGION)


@contextlib.contextmanager
def in_the_account() -> Iterator[Any]:
    """Yield somebody else's client."""
    with kept(Path("account"), changing=True) as sandbox:
        yield sandbox.client("logs", ACCOUNT, REGION)


def findings(done: Said) -> dict[str, dict[str, Any]]:
    NativeReport.model_validate_json(done.out, strict=True)
    return {item["policy"]: item for item in json.loads(done.out)["findings"]}


def test_rules_become_policies_for_new_log_groups(native: Any, run: Run) -> None:
    """They take effect a day later; a second run has nothing to do, and the undo removes them."""
    done = native(TWO, "--apply", "--yes", "--journal", "j.jsonl")
    assert done.code == 0
    assert policies() == {
        "ninety-days": 90,
        "keep-for-ever": None,
        "cloudwatch-janitor-search": 400,
        "cloudwatch-janitor-ecs": 90,
    }
    assert "overrides a log group's own retention, even a longer one" in done.err
    with in_the_account() as logs:
        for name in ("/ecs/search-new", "/ecs/new", "/new"):
            logs.create_log_group(logGroupName=name)
        logs.put_retention_policy(logGroupName="/ecs/new", retentionInDays=3653)
        old = logs.describe_log_groups(logGroupNamePrefix="/ecs/checkout")["logGroups"][0]
    store, now = load(Path("account") / FILE)
    save(Path("account") / FILE, store, now + DAY_MS)
    with in_the_account() as logs:
        found = {
            name: logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
            for name in ("/ecs/search-new", "/ecs/new", "/new", "/ecs/checkout")
        }
    days = {name: group.get("retentionInDays") for name, group in found.items()}
    assert days == {
        "/ecs/search-new": 400,
        "/ecs/new": 90,
        "/new": None,
        "/ecs/checkout": old["retentionInDays"],
    }
    again = native(TWO, "--apply", "--yes", "--fail-on-findings")
    assert (again.code, again.out.count("unchanged:")) == (0, 2)
    back = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
    assert "cannot come back" not in back.err
    assert (back.code, "2 account-level policies were put back" in back.err) == (0, True)
    assert sorted(policies()) == OTHERS


def test_a_policy_follows_its_rule_and_goes_with_it(native: Any) -> None:
    """AWS's dry run is shown, and others' policies stay."""
    native(TWO, "--apply", "--yes", "-q")
    changed = TWO.replace('id = "search"', 'id = "find"').replace("days = 90", "days = 30")
    before = policies()
    shown = findings(native(changed, "-f", "json"))
    assert {name: item["action"] for name, item in shown.items()} == {
        "cloudwatch-janitor-find": "put",
        "cloudwatch-janitor-ecs": "put",
        "cloudwatch-janitor-search": "delete",
    }
    assert shown["cloudwatch-janitor-ecs"]["before"]["document"].count("90") == 1
    assert all(item["impact"]["failed"] == 0 for item in shown.values())
    assert policies() == before
    assert native(changed, "--fail-on-findings").code == 1
    assert native(changed, "--apply", "--yes").code == 0
    refused = changed.replace('names = ["/ecs/*"]', 'names = ["/ecs/*"]\ntags = ["t"]')
    done = native(refused, "--apply", "--yes")
    assert "refused: rule 'ecs': it has tags; AWS's policies only support name prefixes" in done.out
    assert sorted(policies()) == ["cloudwatch-janitor-find", *OTHERS]


def test_the_dry_run_is_shown_before_the_question(
    native: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a yes, or without a terminal to ask at, nothing is changed."""
    native(TWO, "--apply", "--yes", "-q")
    before = policies()
    assert native("", "--apply").code == 2
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    done = native(TWO.replace("400", "365"), "--apply")
    assert done.code == 2
    assert "it is 400 days for new log groups under" in done.err
    assert "dry run, of 2 log groups: 0 longer, 0 shorter, 2 unchanged" in done.err
    assert "Do all of this in account 123456789012 (storefront-production), eu-west-1?" in done.err
    assert policies() == before


def test_without_apply_only_dry_runs_are_sent(native: Any, watched: Watch) -> None:
    """The account sees no other changing call, and no journal is written."""
    sent: list[Call] = []
    watched(sent.append)
    assert native(TWO).code == 0
    changing = [call for call in sent if call.operation.startswith(("Put", "Delete"))]
    assert [call.parameters.get("dryRun") for call in changing] == [True, True]
    assert list(Path.cwd().iterdir()) == [Path.cwd() / "policy.toml"]


def test_protected_log_groups_refuse_a_rule_unless_ignored(run: Run) -> None:
    """The shipped policy protects by name and tag, which AWS's policies cannot."""
    done = run("native", "--sandbox", "-r", REGION)
    assert "refused: rule 'lambda': [protect] exempts log groups by name" in done.out
    assert "apply to those too, give --ignore-protect" in " ".join(done.out.split())
    done = run("native", "--sandbox", "-r", REGION, "--ignore-protect")
    assert "create: cloudwatch-janitor-lambda (rule 'lambda'): 365 days" in done.out


def test_no_journal_can_change_somebody_elses_policy(native: Any, run: Run) -> None:
    """A line that names one is skipped, and a policy that somebody has changed since is left."""
    native(TWO, "--apply", "--yes", "-q", "--journal", "j.jsonl")
    text = Path("j.jsonl").read_text()
    Path("bad.jsonl").write_text(text.replace("cloudwatch-janitor-ecs", "keep-for-ever"))
    assert run("restore", "bad.jsonl", *STATE).code == 3
    with in_the_account() as logs:
        logs.put_account_policy(
            policyName="cloudwatch-janitor-ecs",
            policyType="RETENTION_POLICY",
            policyDocument='{"retentionInDays": 60, "enforcementMode": "NEW_ONLY"}',
        )
    done = run("restore", "j.jsonl", "--apply", "--yes", *STATE)
    assert (done.code, "somebody else has changed it since" in " ".join(done.out.split())) == (
        0,
        True,
    )
    assert policies() == {"ninety-days": 90, "keep-for-ever": None, "cloudwatch-janitor-ecs": 60}


# ---- failures ------------------------------------------------------------------------------------


def refusing(operation: str, code: str, *, dry_run: bool, prefix: str = "") -> Any:
    """Return an observer that refuses an operation for policies with this prefix."""

    def look(call: Call) -> None:
        parameters = call.parameters
        named = str(parameters.get("policyName", "")).startswith(prefix)
        if call.operation == operation and bool(parameters.get("dryRun")) is dry_run and named:
            raise RefusedError(code, "no")

    return look


def test_a_policy_that_cannot_be_previewed_is_not_put(native: Any, watched: Watch) -> None:
    """Later ones are not either: a shorter policy without the longer one would expire too much."""
    search = "cloudwatch-janitor-search"
    watched(refusing("PutAccountPolicy", "InvalidParameterException", dry_run=True, prefix=search))
    done = native(TWO, "--apply", "--yes")
    assert done.code == 3
    assert "failed: cloudwatch-janitor-search (rule 'search'): could not be" in done.out
    assert "not reached: cloudwatch-janitor-ecs" in done.out
    assert not (Path("account") / FILE).exists()


def test_after_a_failure_nothing_more_is_put(native: Any, watched: Watch) -> None:
    """The journal says that it failed."""
    watched(refusing("PutAccountPolicy", "InvalidParameterException", dry_run=False))
    done = native(TWO, "--apply", "--yes", "--journal", "j.jsonl")
    assert (done.code, done.out.count("failed:"), done.out.count("not reached:")) == (3, 1, 1)
    lines = [json.loads(line) for line in Path("j.jsonl").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["begun", "failed"]


def test_a_second_ctrl_c_names_the_journal(native: Any, watched: Watch) -> None:
    """It holds what was announced before."""

    def look(call: Call) -> None:
        if call.operation == "PutAccountPolicy" and not call.parameters.get("dryRun"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    watched(look)
    done = native(TWO, "--apply", "--yes", "--journal", "j.jsonl")
    assert (done.code, "journal: j.jsonl" in done.err) == (130, True)


def test_policies_that_others_change_meanwhile_stop_it(
    native: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is removed that was not shown as it is now."""
    native(TWO, "--apply", "--yes", "-q")
    reads, make_sandbox = 0, demo.sandbox

    def sandbox(store: Store, now: int) -> Sandbox:
        sandbox = make_sandbox(store, now)

        def between(call: Call, answer: Callable[[], Answer]) -> Reply:
            nonlocal reads
            reads += call.operation == "DescribeAccountPolicies"
            if reads == 2:
                store.add_policy(ACCOUNT, REGION, "new", 30)
            return Reply(answer())

        return Sandbox(store, clock=sandbox.clock, intercept=between)

    monkeypatch.setattr(demo, "sandbox", sandbox)
    done = native("", "--apply", "--yes")
    assert (done.code, done.out.count("not reached:")) == (3, 2)
    assert "policies changed since they were shown" in " ".join(done.out.split())
    assert "cloudwatch-janitor-ecs" in policies()


def test_regions_that_cannot_be_read_do_not_hold_up_others(run: Run, watched: Watch) -> None:
    """They are named, and the exit code is 3."""

    def look(call: Call) -> None:
        if (call.operation, call.region) == ("DescribeAccountPolicies", "us-east-1"):
            raise RefusedError("AccessDeniedException", "no")

    watched(look)
    Path("p.toml").write_text(TWO)
    done = run("native", "--sandbox", "-p", "p.toml")
    assert done.code == 3
    assert done.out.count("create:") == 2
    assert "123456789012/us-east-1: the account-level policies could not be read" in done.err


@pytest.mark.parametrize("region", [REGION, "us-east-1"])
def test_credentials_that_one_region_refuses_do_not_hold_up_others(
    region: str, run: Run, watched: Watch
) -> None:
    """That holds in the middle of the work, too, and nothing more is tried in that Region."""
    attempts = 0

    def look(call: Call) -> None:
        nonlocal attempts
        put = call.operation == "PutAccountPolicy" and not call.parameters.get("dryRun")
        if put and call.region == region:
            attempts += 1
            raise RefusedError("ExpiredTokenException", "no")

    watched(look)
    Path("p.toml").write_text(TWO)
    done = run("native", "--sandbox", "-p", "p.toml", "--apply", "--yes")
    assert done.code == 3
    assert (done.out.count("created:"), done.out.count("not reached:"), attempts) == (2, 2, 2)
    assert f"123456789012/{region}: AWS refuses the credentials" in done.err


@pytest.mark.parametrize("code", ["OperationAbortedException", "LimitExceededException"])
def test_a_dry_run_of_somebody_else_is_waited_for(
    code: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account runs one dry run at a time, and how it refuses others is not documented."""
    worlds: list[Any] = []

    def busy_sandbox(store: Store, now: int) -> Sandbox:
        sandbox = Sandbox(store, clock=ManualClock(now), unknowns=Unknowns(dry_run_busy=code))
        sandbox.world.dry_run_until[ACCOUNT] = now + 1
        worlds.append(sandbox.world)
        return sandbox

    async def sleep(_self: Stop, _seconds: float) -> None:
        worlds[0].dry_run_until.clear()

    monkeypatch.setattr(demo, "sandbox", busy_sandbox)
    monkeypatch.setattr(Stop, "sleep", sleep)
    Path("p.toml").write_text(TWO)
    done = run("native", "--sandbox", "-r", REGION, "-p", "p.toml")
    assert (done.code, done.out.count("create:")) == (0, 2)


# ---- permissions ---------------------------------------------------------------------------------

NEEDED = {
    "DescribeAccountPolicies": {"logs:DescribeAccountPolicies"},
    "PutAccountPolicy": {"logs:PutAccountPolicy", "logs:PutRetentionPolicy"},
    "DeleteAccountPolicy": {"logs:DeleteAccountPolicy", "logs:DeleteRetentionPolicy"},
}
"""The permissions that each call takes (botocore 1.44.5, PutAccountPolicy, DeleteAccountPolicy)."""
FREE = {"GetCallerIdentity", "ListAccountAliases"}
[ALLOWED] = [statement["Action"] for statement in native_policy()["Statement"]]
ELSEWHERE = "ec2:DescribeRegions"
"""A permission that the sandbox does not need."""


@pytest.mark.parametrize("missing", [None, *sorted({*ALLOWED} - {ELSEWHERE})])
def test_the_iam_policy_is_the_least_that_native_needs(
    missing: str | None, run: Run, watched: Watch
) -> None:
    """It works with the printed policy, and with no action less."""
    printed = json.loads(run("iam-policy", "--native").out)
    [statement] = printed["Statement"]
    assert {*statement["Action"]} == {ELSEWHERE}.union(*NEEDED.values())
    allowed = {*statement["Action"]} - {missing}

    def look(call: Call) -> None:
        if call.operation not in FREE and not NEEDED[call.operation] <= allowed:
            raise RefusedError("AccessDeniedException", "no")

    watched(look)
    codes = set()
    for policy in (TWO, ""):
        Path("p.toml").write_text(policy)
        codes.add(run("native", "-p", "p.toml", *STATE, "--apply", "--yes").code)
    assert (codes == {0}) is (missing is None)
