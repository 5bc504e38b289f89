"""`--role`: several accounts in one run, each with its own role, over HTTP."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.aws.targets import ACCOUNTS_AT_ONCE, assumed, session
from janitor.sandbox.wire import Call
from tests.conftest import Run
from tests.fakes.cloud import Cloud
from tests.fakes.faults import Fault, Faults
from tests.fakes.scenarios import ACCOUNT, REGIONS, Scenario, targets

OTHER = str(int(ACCOUNT) + 1)
MINE, THEIRS = (f"arn:aws:iam::{account}:role/ops/janitor" for account in (ACCOUNT, OTHER))
BOTH = ("--role", MINE, "--role", THEIRS)
pytestmark = pytest.mark.usefixtures("few_owners")
TWO_REGIONS = ("-r", REGIONS[0], "-r", REGIONS[1])


@pytest.fixture
def scenario() -> Scenario:
    """Two accounts with two Regions each."""
    return targets(accounts=2, regions=2, groups=60)


@pytest.fixture
def cloud(run: Run, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The accounts, to which the environment leads, without quotas."""
    with Cloud(scenario) as cloud, cloud.serving() as url:
        for name, value in cloud.environment(url).items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_both_accounts_are_cleaned_in_one_run(run: Run, cloud: Cloud, scenario: Scenario) -> None:
    """Everything that should be done is done in all Regions, and findings name their account."""
    before = scenario.truth.copy()
    done = run("run", "--apply", "--yes", "--format", "json", *BOTH, *TWO_REGIONS)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["run"]["account"] == f"{ACCOUNT}, {OTHER}"
    assert report["run"]["regions"] == list(REGIONS[:2])
    assert {finding["account"] for finding in report["findings"]} == {ACCOUNT, OTHER}
    assert report["summary"]["groups_scanned"] == 240
    assert scenario.misses(before) == []
    assert cloud.judge().wrong_deletions == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["report", "--role", MINE, "--role", MINE + "2"],
            f"two roles belong to account {ACCOUNT}",
        ),
        (["report", "--role", "arn:aws:iam::999999999999:role/x"], "sts:AssumeRole"),
    ],
)
def test_a_wrong_role_is_one_clear_line(
    run: Run, cloud: Cloud, words: list[str], message: str
) -> None:
    """The exit code is 2, and nothing is scanned."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert "DescribeLogGroups" not in cloud.calls


NOBODYS = "arn:aws:iam::999999999999:role/x"


def test_a_role_that_cannot_be_assumed_does_not_hold_up_other_accounts(
    run: Run, cloud: Cloud, scenario: Scenario
) -> None:
    """The run is not complete."""
    before = scenario.truth.copy()
    roles = ("--role", NOBODYS, "--role", MINE)
    done = run("run", "--apply", "--yes", "--format", "json", *roles, *TWO_REGIONS)
    assert done.code == 3, done.err
    report = json.loads(done.out)
    assert report["run"]["account"] == ACCOUNT
    assert [NOBODYS in error for error in report["summary"]["errors"]] == [True]
    assert [missed for missed in scenario.misses(before) if ACCOUNT in str(missed)] == []


def test_a_plan_is_applied_in_the_accounts_whose_roles_can_be_assumed(
    run: Run, cloud: Cloud
) -> None:
    """Its lines for other accounts are not reached."""
    planned = run("plan", *BOTH, *TWO_REGIONS, "-o", "plan.jsonl")
    assert planned.code == 0, planned.err
    cloud.faults = lambda call: (
        Fault("AccessDenied", 403) if call.parameters.get("RoleArn") == THEIRS else None
    )
    done = run("apply", "plan.jsonl", "--yes", "--format", "json", *BOTH)
    assert done.code == 3, done.err
    assert json.loads(done.out)["summary"]["not_reached"] > 0
    assert {change.key[0] for change in cloud.judge().deletions} == {ACCOUNT}


@pytest.mark.parametrize("given", [(), ("--external-id", "wrong")], ids=["none", "wrong"])
def test_a_role_is_refused_without_its_external_id(
    run: Run, cloud: Cloud, given: tuple[str, ...]
) -> None:
    """The role is the one that `iam-policy` prints, and nothing is scanned in its account."""
    words = ("iam-policy", "--format", "cloudformation", "--trust", ACCOUNT, "--org-role")
    printed = run(*words, "ops/janitor", "--external-id", "right")
    properties = json.loads(printed.out)["Resources"]["Role"]["Properties"]
    cloud.store.roles = {THEIRS: properties["AssumeRolePolicyDocument"]}
    refused = run("report", "--role", THEIRS, *given)
    assert (refused.code, refused.out) == (2, "")
    assert f"{THEIRS} cannot be assumed" in refused.err
    assert "DescribeLogGroups" not in cloud.calls
    done = run("report", "--role", THEIRS, "--external-id", "right", "--format", "json")
    assert done.code in (0, 5), done.err
    assert json.loads(done.out)["run"]["account"] == OTHER


@pytest.mark.parametrize("held", ["AssumeRole", "ListAccountAliases"])
def test_ctrl_c_before_the_question_ends_at_once(run: Run, cloud: Cloud, held: str) -> None:
    """While accounts are entered or named, no answer is waited for and no further account asked."""
    released = threading.Event()
    interrupted: list[str] = []

    def fault(call: Call) -> None:
        if call.operation == held and not interrupted:
            interrupted.append(held)
            os.kill(os.getpid(), signal.SIGINT)
            released.wait(60)

    cloud.faults = fault
    Path("janitor.toml").write_text(
        "defaults.retention_days = 365\nprotect.deletion.owners = false"
    )
    accounts = range(int(ACCOUNT), int(ACCOUNT) + (100 if held == "AssumeRole" else 2))
    roles = [("--role", f"arn:aws:iam::{account}:role/ops/janitor") for account in accounts]
    try:
        done = run("run", "--apply", "--yes", "-r", REGIONS[0], *itertools.chain(*roles))
    finally:
        released.set()
    assert (done.code, interrupted, cloud.judge().changes) == (130, [held], [])
    assert cloud.calls[held] <= ACCOUNTS_AT_ONCE
    assert "interrupted before anything was done" in done.err or held != "AssumeRole"
    assert "To be done in" not in done.err


def test_without_credentials_a_role_gets_the_hint(run: Run) -> None:
    """It is the same as for every command without credentials."""
    done = run("report", "--role", MINE, "-r", "eu-west-1")
    assert done.code == 2
    assert "--sandbox" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_plan_of_another_account_is_applied_with_its_role(run: Run, cloud: Cloud) -> None:
    """Without the role, the plan is refused as another account's."""
    planned = run("plan", "--role", THEIRS, "-o", "plan.jsonl")
    assert planned.code == 0, planned.err
    refused = run("apply", "plan.jsonl", "--yes")
    assert refused.code == 2
    assert f"is a plan for {OTHER}/" in refused.err
    applied = run("apply", "plan.jsonl", "--yes", "--role", THEIRS)
    assert applied.code == 0, applied.err
    assert {change.key[0] for change in cloud.judge().deletions} == {OTHER}


def test_a_plan_of_several_accounts_needs_all_their_roles(
    run: Run, cloud: Cloud, scenario: Scenario
) -> None:
    """With one role alone nothing is done."""
    before = scenario.truth.copy()
    planned = run("plan", *BOTH, *TWO_REGIONS, "-o", "plan.jsonl")
    assert planned.code == 0, planned.err
    assert run("apply", "plan.jsonl", "--yes", "--role", MINE).code == 2
    assert cloud.judge().changes == []
    applied = run("apply", "plan.jsonl", "--yes", *BOTH)
    assert applied.code == 0, applied.err
    assert scenario.misses(before) == []


@pytest.mark.parametrize("cleaned", [(THEIRS,), (MINE, THEIRS)], ids=["one", "both"])
def test_each_change_is_undone_in_its_own_account(
    run: Run, cloud: Cloud, cleaned: tuple[str, ...]
) -> None:
    """Without the role of an account in the journal, nothing is undone."""
    roles = [word for role in cleaned for word in ("--role", role)]
    done = run("run", "--apply", "--yes", *roles, *TWO_REGIONS, "--journal", "j.jsonl", "-q")
    assert done.code == 0, done.err
    deleted = {change.key[:3] for change in cloud.judge().deletions}
    assert {account for account, *_ in deleted} == {role.split(":")[4] for role in cleaned}
    refused = run("restore", "j.jsonl", "--apply", "--yes", "--role", MINE)
    assert (refused.code, refused.out) == (2, "")
    assert f"{OTHER}; these credentials are for account {ACCOUNT}" in refused.err
    undone = run("restore", "j.jsonl", "--apply", "--yes", *BOTH, "--format", "json")
    assert undone.code == 0, undone.err
    items = [item for item in json.loads(undone.out)["findings"] if item["status"] == "done"]
    created = {(i["account"], i["region"], i["group"]) for i in items if "group" in i["action"]}
    assert created == deleted


def test_an_undo_goes_on_in_the_accounts_whose_credentials_still_work(
    run: Run, cloud: Cloud
) -> None:
    """Those of one account may stop working before it begins, as it begins, or in the middle."""
    both = ("--role", THEIRS, "--role", MINE)
    done = run("run", "--apply", "--yes", *both, *TWO_REGIONS, "--journal", "j.jsonl", "-q")
    assert done.code == 0, done.err
    deleted = {change.key[:3] for change in cloud.judge().deletions}
    assert {account for account, *_ in deleted} == {ACCOUNT, OTHER}

    def losing(operation: str) -> Faults:
        lost = False

        def fault(call: Call) -> Fault | None:
            nonlocal lost
            theirs = OTHER in (call.account, call.parameters.get("RoleArn", "")[13:25])
            lost |= theirs and call.operation == operation
            return Fault("ExpiredTokenException") if lost and theirs else None

        return fault

    for operation, words, status in (
        ("AssumeRole", (), "planned"),
        ("ListServiceQuotas", (), "planned"),
        ("CreateLogGroup", ("--apply", "--yes"), "done"),
    ):
        cloud.faults = losing(operation)
        undone = run("restore", "j.jsonl", *words, *both, "--format", "json")
        assert undone.code == 3, undone.err
        report = json.loads(undone.out)
        items = [item for item in report["findings"] if item["action"] == "restore_group"]
        found: dict[str, set[tuple[str, ...]]] = {status: set(), "not_reached": set()}
        for item in items:
            found[item["status"]].add((item["account"], item["region"], item["group"]))
        assert found[status] == {key for key in deleted if key[0] == ACCOUNT}, operation
        assert found["not_reached"] == deleted - found[status], operation
        errors = report["summary"]["errors"]
        assert errors
        assert all(OTHER in error for error in errors), operation


def test_an_assumed_role_keeps_the_region_of_the_profile(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the default profile's, and --profile overrides AWS_PROFILE."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = us-east-1\n[profile prod]\nregion = eu-west-1\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert assumed(session("prod"), MINE).region_name == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert session("prod").region_name == "eu-west-1"
