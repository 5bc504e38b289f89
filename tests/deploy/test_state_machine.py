"""A fleet's run as deployed: EventBridge's input, the state machine, the real function."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.function import warm
from janitor.policy.file import parse
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import NOW, REGION, days_ago, refused
from tests.deploy.machine import Machine
from tests.deploy.pulumi_on_moto import client
from tests.deploy.test_deploy import JANITOR, Cloud, _alarm, _env
from tests.function.deployed import BUCKET, DiedError
from tests.function.fleets import EXTERNAL_ID, ROLE, DeployedFleet, account, fleet, role

REGIONS = (REGION, "us-east-1", "eu-north-1")
EVENT = "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa"
POLICY = """
[defaults]
retention_days = 365
delete_empty = true
[limits]
max_group_deletion_share = 1.0
[protect.deletion]
owners = false
"""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The stack with a fleet, and the bucket that moto reads the targets from."""
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    wanted = {"externalId": EXTERNAL_ID, "role": ROLE, "scheduledRun": "apply", "concurrency": 4}
    cloud.deployed({"functions": ["janitor"], "regions": list(REGIONS), "fleet": wanted})
    place = {"LocationConstraint": REGION}
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    yield cloud
    cloud.close()


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the policy in force."""

    def use(text: str) -> None:
        monkeypatch.setattr(warm, "current_policy", lambda _: parse(text, "test"))

    use(POLICY)
    return use


def filled(accounts: int) -> Store:
    """Accounts with a log group in use without retention in each Region, and an empty one in the
    first.
    """
    store = fleet(accounts, REGIONS)
    for number in range(accounts):
        store.add_group(account(number), REGION, "/empty", created=days_ago(900), retention=14)
        for region in REGIONS:
            used = store.add_group(account(number), region, "/used", created=days_ago(900))
            store.add_stream(used, "a", created=days_ago(900), events=[(NOW - 1000, 1, 100)])
    return store


def machine(store: Store, **more: str) -> Machine:
    """The deployed machine, with the function in its deployed environment, on these accounts."""
    variables = _env(f"{JANITOR}-fleet") | more
    environment = {key: value for key, value in variables.items() if key.startswith("JANITOR_")}
    function = DeployedFleet(store, {**environment, "JANITOR_BUCKET": BUCKET})
    return Machine(
        f"arn:aws:states:{REGION}:123456789012:stateMachine:{JANITOR}-fleet",
        f"{JANITOR}-fleet",
        function,
    )


def scheduled() -> Any:
    """The input that EventBridge makes of its scheduled event."""
    (target,) = client("events").list_targets_by_rule(Rule=f"{JANITOR}-fleet")["Targets"]
    template = target["InputTransformer"]["InputTemplate"]
    return json.loads(template.replace("<id>", json.dumps(EVENT)))


def left(store: Store, account_id: str) -> set[tuple[str, str, int | None]]:
    """Region, name and retention of the account's log groups."""
    return {
        (group.region, group.name, group.retention)
        for group in store.groups()
        if group.account == account_id
    }


EMPTY = (REGION, "/empty", 14)
UNTOUCHED = {EMPTY, *((region, "/used", None) for region in REGIONS)}
CLEANED = {(region, "/used", 365) for region in REGIONS}


def test_of_twelve_accounts_in_three_regions_each_fails_alone(deployed: Cloud, policy: Any) -> None:
    """One refuses its role, one throttles every call, one kills the function each time, and one
    only once: that one and all others are cleaned completely.
    """
    store = filled(12)
    refusing, throttled, deadly, once = (account(number) for number in (3, 5, 7, 11))
    one = machine(store)
    died: Counter[str] = Counter()

    def dies(event: dict[str, Any]) -> None:
        if event.get("role") == role(deadly):
            raise DiedError

    def trouble(call: Call) -> RefusedError | None:
        if call.parameters.get("RoleArn") == role(refusing):
            return refused("AccessDenied", 403)
        if call.account == throttled and call.service == "logs":
            return refused("ThrottlingException")
        if call.account == once and call.operation == "DeleteLogGroup" and not died[call.region]:
            died[call.region] += 1
            raise DiedError
        return None

    one.before, one.fleet.fault = dies, trouble
    with one.plugged():
        done = one.run(scheduled())
    assert done["status"] == "SUCCEEDED"
    lost = {refusing, throttled, deadly}
    for number in range(12):
        wanted = UNTOUCHED if account(number) in lost else CLEANED
        assert left(store, account(number)) == wanted, number
    assert died == {REGION: 1}
    assert done["events"] < 60, "of 25,000, however many targets there are"
    summary = json.loads(done["output"])["summary"]
    assert (summary["accounts"], summary["accounts_failed"]) == (12, 3)
    assert (summary["targets"], summary["targets_failed"]) == (36, 9)
    assert (summary["groups_deleted"], summary["retention_set"]) == (9, 9 * 3)
    assert list(dict.fromkeys(one.passes())) == ["targets", "survey", "limits", "act", "report"]
    published: Any = one.fleet._metrics.serialize_metric_set()
    alarm = _alarm(f"{JANITOR}-fleet-failed")
    assert published[alarm["MetricName"]] == [1]
    assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
        "service": f"{JANITOR}-fleet",
        "trigger": published["trigger"],
    }


def test_a_scheduled_dry_run_stops_after_the_survey(deployed: Cloud, policy: Any) -> None:
    """It reports what it would do, and the function is never asked to act."""
    store = filled(2)
    with machine(store).plugged() as one:
        done = one.run({**scheduled(), "dry_run": True})
    assert set(one.passes()) == {"targets", "survey", "limits", "report"}
    planned = json.loads(done["output"])["summary"]["planned"]
    assert (planned["delete_group"], planned["set_retention"]) == (2, 6)
    assert left(store, account(0)) == left(store, account(1)) == UNTOUCHED


def test_an_execution_by_hand_is_a_dry_run_by_default(deployed: Cloud, policy: Any) -> None:
    """The run has the execution's name; an unknown key is refused before anything starts."""
    store = filled(1)
    with machine(store).plugged() as one:
        assert one.run({}, "by-hand")["status"] == "SUCCEEDED"
        assert {event["run"] for event in one.events} == {"by-hand"}
        assert "act" not in one.passes()
        mistyped = one.run({"dryrun": False}, "mistyped")
        assert (mistyped["status"], mistyped["error"]) == ("FAILED", "UsageError")
    assert EMPTY in left(store, account(0))


def test_a_limit_that_only_the_sum_exceeds_refuses_all_of_them(
    deployed: Cloud, policy: Any
) -> None:
    """Retention is still set, and the report says why nothing is deleted."""
    policy(POLICY + "[limits.fleet]\nmax_group_deletions = 2\n")
    store = filled(3)
    with machine(store).plugged() as one:
        done = one.run(scheduled())
    summary = json.loads(done["output"])["summary"]
    assert (summary["groups_deleted"], summary["retention_set"]) == (0, 9)
    assert "2" in summary["refused_because"]
    assert all(EMPTY in left(store, account(number)) for number in range(3))


def test_a_run_without_targets_only_reports(deployed: Cloud, policy: Any) -> None:
    """How AWS's map treats an empty list of targets is not documented, so none gets one."""
    store = filled(2)
    one = machine(store, JANITOR_REGIONS="")
    one.fleet.fault = lambda call: (
        refused("AccessDenied", 403) if call.operation == "AssumeRole" else None
    )
    with one.plugged():
        done = one.run(scheduled())
    assert (done["status"], one.passes()) == ("SUCCEEDED", ["targets", "report"])
    summary = json.loads(done["output"])["summary"]
    assert (summary["accounts"], summary["accounts_failed"], summary["targets"]) == (2, 2, 0)
    report = json.loads(one.fleet.objects[json.loads(done["output"])["key"]])
    why = [each["why"] for each in report["failed"]]
    assert all("cannot be assumed" in each and "--sandbox" not in each for each in why), why
    published: Any = one.fleet._metrics.serialize_metric_set()
    assert published["RunFailed"] == [1]
    assert left(store, account(0)) == UNTOUCHED


def test_an_event_that_comes_twice_is_one_run(deployed: Cloud, policy: Any) -> None:
    """In a second execution each target answers at once."""
    store = filled(2)
    with machine(store).plugged() as one:
        first = one.run(scheduled(), "first")
        calls = dict(one.fleet.calls)
        second = one.run(scheduled(), "second")
    assert (first["output"], first["status"]) == (second["output"], second["status"])
    changing = {"DeleteLogGroup", "PutRetentionPolicy", "DescribeLogGroups"}
    new = {
        key for key, count in one.fleet.calls.items() if key[1] in changing and count > calls[key]
    }
    assert new == set()


@pytest.mark.parametrize("broken", ["limits", "targets"])
def test_an_execution_whose_function_keeps_crashing_fails_and_deletes_nothing(
    broken: str, deployed: Cloud, policy: Any
) -> None:
    """It still reports, if there is anything to report; a new execution continues the run."""
    store = filled(1)
    one = machine(store)

    def dies(event: dict[str, Any]) -> None:
        if event["pass"] == broken:
            raise DiedError

    one.before = dies
    with one.plugged():
        done = one.run(scheduled())
        assert (done["status"], done["error"]) == ("FAILED", "Runtime.ExitError")
        assert one.passes().count(broken) == 3, "two retries"
        assert one.passes()[-1] == ("report" if broken == "limits" else broken)
        assert left(store, account(0)) == UNTOUCHED
        one.before = lambda _event: None
        assert one.run(scheduled())["status"] == "SUCCEEDED"
    assert left(store, account(0)) == CLEANED
