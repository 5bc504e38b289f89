"""`--role`: several accounts in one run, each by a role of its own, over HTTP."""

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
pytestmark = pytest.mark.usefixtures("few_owners")
TWO_REGIONS = ("-r", REGIONS[0], "-r", REGIONS[1])


@pytest.fixture
def scenario() -> Scenario:
    """Two accounts of two Regions."""
    return targets(accounts=2, regions=2, groups=60)


@pytest.fixture
def cloud(run: Run, scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The accounts, to which the environment leads; without quotas."""
    with Cloud(scenario) as cloud, cloud.serving() as url:
        for name, value in cloud.environment(url).items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_both_accounts_are_cleaned_in_one_run(run: Run, cloud: Cloud, scenario: Scenario) -> None:
    """What should be done is done in every account and Region, and findings name the account."""
    before = scenario.truth.copy()
    words = ("run", "--apply", "--yes", "--format", "json", "--role", MINE, "--role", THEIRS)
    done = run(*words, *TWO_REGIONS)
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert said["run"]["account"] == f"{ACCOUNT}, {OTHER}"
    assert said["run"]["regions"] == list(REGIONS[:2])
    assert {finding["account"] for finding in said["findings"]} == {ACCOUNT, OTHER}
    assert said["summary"]["groups_scanned"] == 240
    assert scenario.misses(before) == []
    assert cloud.judge().wrong_deletions == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "--role", "janitor"], "--role: 'janitor' is not the ARN of a role"),
        (
            ["report", "--role", MINE, "--role", MINE + "2"],
            f"two roles belong to account {ACCOUNT}",
        ),
        (["report", "--role", "arn:aws:iam::999999999999:role/x"], "sts:AssumeRole"),
    ],
)
def test_a_wrong_role_is_one_clear_line(
    run: Run, cloud: Cloud, words: list[str], says: str
) -> None:
    """Exit 2, nothing scanned, nothing on stdout."""
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1
    assert "DescribeLogGroups" not in cloud.calls


NOBODYS = "arn:aws:iam::999999999999:role/x"


def test_a_role_that_cannot_be_assumed_is_its_accounts_failure_only(
    run: Run, cloud: Cloud, scenario: Scenario
) -> None:
    """Whichever comes first; the other account is done, and the run is not complete."""
    before = scenario.truth.copy()
    roles = ("--role", NOBODYS, "--role", MINE)
    done = run("run", "--apply", "--yes", "--format", "json", *roles, *TWO_REGIONS)
    assert done.code == 3, done.err
    said = json.loads(done.out)
    assert said["run"]["account"] == ACCOUNT
    assert [NOBODYS in error for error in said["summary"]["errors"]] == [True]
    assert [missed for missed in scenario.misses(before) if ACCOUNT in str(missed)] == []


def test_a_plan_is_applied_in_the_accounts_whose_roles_can_be_assumed(
    run: Run, cloud: Cloud
) -> None:
    """What it holds of the others is not reached."""
    made = run("plan", "--role", MINE, "--role", THEIRS, *TWO_REGIONS, "-o", "plan.jsonl")
    assert made.code == 0, made.err
    cloud.faults = lambda call: (
        Fault("AccessDenied", 403) if call.parameters.get("RoleArn") == THEIRS else None
    )
    done = run("apply", "plan.jsonl", "--yes", "--format", "json", "--role", MINE, "--role", THEIRS)
    assert done.code == 3, done.err
    assert json.loads(done.out)["summary"]["not_reached"] > 0
    assert {change.key[0] for change in cloud.judge().deletions} == {ACCOUNT}


@pytest.mark.parametrize("given", [(), ("--external-id", "wrong")], ids=["none", "wrong"])
def test_a_role_is_refused_without_its_external_id(
    run: Run, cloud: Cloud, given: tuple[str, ...]
) -> None:
    """Nothing is scanned in its account, as the role that `iam-policy` prints has it."""
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
def test_ctrl_c_ends_what_only_looks_around_at_once(run: Run, cloud: Cloud, held: str) -> None:
    """While accounts are entered, or named for the question: no answer is waited for, no further
    account is asked, and nothing is done.
    """
    released = threading.Event()
    seen: list[str] = []

    def fault(call: Call) -> None:
        if call.operation == held and not seen:
            seen.append(held)
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
    assert (done.code, seen, cloud.judge().changes) == (130, [held], [])
    assert cloud.calls[held] <= ACCOUNTS_AT_ONCE
    assert "interrupted before anything was done" in done.err or held != "AssumeRole"
    assert "To be done in" not in done.err


def test_without_credentials_a_role_gets_the_hint(run: Run) -> None:
    """As every command without credentials."""
    done = run("report", "--role", MINE, "-r", "eu-west-1")
    assert done.code == 2
    assert "--sandbox" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_plan_of_another_account_is_applied_with_its_role(run: Run, cloud: Cloud) -> None:
    """One role works with plan and apply; without it the plan is of another account."""
    made = run("plan", "--role", THEIRS, "-o", "plan.jsonl")
    assert made.code == 0, made.err
    refused = run("apply", "plan.jsonl", "--yes")
    assert refused.code == 2
    assert f"is a plan for {OTHER}/" in refused.err
    applied = run("apply", "plan.jsonl", "--yes", "--role", THEIRS)
    assert applied.code == 0, applied.err
    assert {change.key[0] for change in cloud.judge().deletions} == {OTHER}


def test_one_plan_may_be_of_several_accounts(run: Run, cloud: Cloud, scenario: Scenario) -> None:
    """It is carried out in each by its role; with one role alone nothing is."""
    before = scenario.truth.copy()
    roles = ("--role", MINE, "--role", THEIRS)
    made = run("plan", *roles, *TWO_REGIONS, "-o", "plan.jsonl")
    assert made.code == 0, made.err
    assert run("apply", "plan.jsonl", "--yes", "--role", MINE).code == 2
    assert cloud.judge().changes == []
    applied = run("apply", "plan.jsonl", "--yes", *roles)
    assert applied.code == 0, applied.err
    assert scenario.misses(before) == []


@pytest.mark.parametrize("cleaned", [(THEIRS,), (MINE, THEIRS)], ids=["one", "both"])
def test_what_is_undone_is_undone_in_its_own_account(
    run: Run, cloud: Cloud, cleaned: tuple[str, ...]
) -> None:
    """Whatever other accounts the roles are of; without an account's role nothing is undone."""
    both = ("--role", MINE, "--role", THEIRS)
    roles = [word for role in cleaned for word in ("--role", role)]
    done = run("run", "--apply", "--yes", *roles, *TWO_REGIONS, "--journal", "j.jsonl", "-q")
    assert done.code == 0, done.err
    deleted = {change.key[:3] for change in cloud.judge().deletions}
    assert {account for account, *_ in deleted} == {role.split(":")[4] for role in cleaned}
    refused = run("restore", "j.jsonl", "--apply", "--yes", "--role", MINE)
    assert (refused.code, refused.out) == (2, "")
    assert f"{OTHER}; these credentials are for account {ACCOUNT}" in refused.err
    undone = run("restore", "j.jsonl", "--apply", "--yes", *both, "--format", "json")
    assert undone.code == 0, undone.err
    items = [item for item in json.loads(undone.out)["findings"] if item["status"] == "done"]
    made = {(i["account"], i["region"], i["group"]) for i in items if "group" in i["action"]}
    assert made == deleted


def test_an_undo_goes_on_in_the_accounts_whose_credentials_hold(run: Run, cloud: Cloud) -> None:
    """Those of one account may be gone before it begins, as it begins, or in the middle."""
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

    for operation, words, went in (
        ("AssumeRole", (), "planned"),
        ("ListServiceQuotas", (), "planned"),
        ("CreateLogGroup", ("--apply", "--yes"), "done"),
    ):
        cloud.faults = losing(operation)
        undone = run("restore", "j.jsonl", *words, *both, "--format", "json")
        assert undone.code == 3, undone.err
        said = json.loads(undone.out)
        items = [item for item in said["findings"] if item["action"] == "restore_group"]
        found: dict[str, set[tuple[str, ...]]] = {went: set(), "not_reached": set()}
        for item in items:
            found[item["status"]].add((item["account"], item["region"], item["group"]))
        assert found[went] == {key for key in deleted if key[0] == ACCOUNT}, operation
        assert found["not_reached"] == deleted - found[went], operation
        errors = said["summary"]["errors"]
        assert errors
        assert all(OTHER in error for error in errors), operation


def test_an_assumed_role_keeps_the_region_of_the_profile(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the default profile's, which nobody named; AWS_PROFILE is overruled by --profile."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = us-east-1\n[profile prod]\nregion = eu-west-1\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert assumed(session("prod"), MINE).region_name == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert session("prod").region_name == "eu-west-1"
