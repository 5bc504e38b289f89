"""A fleet's run as it is deployed: EventBridge's input, the state machine, the real function."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from janitor.function import invocation
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
    """The stack with a fleet, and the bucket that the fake function's targets are read from."""
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    wanted = {"externalId": EXTERNAL_ID, "role": ROLE, "scheduledRun": "apply", "concurrency": 4}
    cloud.deployed({"functions": ["janitor"], "regions": list(REGIONS), "fleet": wanted})
    place = {"LocationConstraint": REGION}
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    yield cloud
    cloud.close()


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """To say which policy is in force."""

    def say(text: str) -> None:
        monkeypatch.setattr(invocation, "current_policy", lambda _: parse(text, "test"))

    say(POLICY)
    return say


def filled(accounts: int) -> Store:
    """Each account and Region with a log group in use that keeps everything for ever, and in the
    first Region an empty one.
    """
    store = fleet(accounts, REGIONS)
    for number in range(accounts):
        store.add_group(account(number), REGION, "/empty", created=days_ago(900), retention=14)
        for region in REGIONS:
            used = store.add_group(account(number), region, "/used", created=days_ago(900))
            store.add_stream(used, "a", created=days_ago(900), events=[(NOW - 1000, 1, 100)])
    return store


def machine(store: Store, **more: str) -> Machine:
    """The deployed one, with the function as its environment wants it, on these accounts."""
    told = _env(f"{JANITOR}-fleet") | more
    environment = {key: value for key, value in told.items() if key.startswith("JANITOR_")}
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


def left(store: Store, of: str) -> set[tuple[str, str, int | None]]:
    """Region, name and retention of the account's log groups."""
    return {
        (region, name, group.retention)
        for (number, region), there in store.regions.items()
        if number == of
        for name, group in there.groups.items()
    }


EMPTY = (REGION, "/empty", 14)
UNTOUCHED = {EMPTY, *((region, "/used", None) for region in REGIONS)}
CLEANED = {(region, "/used", 365) for region in REGIONS}


def test_twelve_accounts_in_three_regions_and_each_trouble_is_one_accounts_own(
    deployed: Cloud, policy: Any
) -> None:
    """One refuses its role, one is throttled to death, one kills the function each time, and in one
    it dies once, half-way: all others, and that last one, are cleaned to their end.
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
    """It says what it would do; nothing is changed, and nobody is asked to act."""
    store = filled(2)
    with machine(store).plugged() as one:
        done = one.run({**scheduled(), "dry_run": True})
    assert set(one.passes()) == {"targets", "survey", "limits", "report"}
    planned = json.loads(done["output"])["summary"]["planned"]
    assert (planned["delete_group"], planned["set_retention"]) == (2, 6)
    assert left(store, account(0)) == left(store, account(1)) == UNTOUCHED


def test_who_starts_it_by_hand_gets_a_dry_run_unless_they_say_so(
    deployed: Cloud, policy: Any
) -> None:
    """Of the execution's name; what is not known is refused, and nothing was begun."""
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
    """Retention is still set, and the report says why nothing was deleted."""
    policy(POLICY + "[limits.fleet]\nmax_group_deletions = 2\n")
    store = filled(3)
    with machine(store).plugged() as one:
        done = one.run(scheduled())
    summary = json.loads(done["output"])["summary"]
    assert (summary["groups_deleted"], summary["retention_set"]) == (0, 9)
    assert "2" in summary["refused_because"]
    assert all(EMPTY in left(store, account(number)) for number in range(3))


def test_where_no_account_can_be_asked_for_its_regions_the_report_says_so(
    deployed: Cloud, policy: Any
) -> None:
    """A list without targets is given to no map: what AWS makes of it is not documented."""
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
    """Of a second execution each target answers at once, as it was left."""
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
def test_a_machine_that_broke_fails_and_nothing_was_deleted(
    broken: str, deployed: Cloud, policy: Any
) -> None:
    """After its report, where there is something to report; started again, it goes on."""
    store = filled(1)
    one = machine(store)

    def dies(event: dict[str, Any]) -> None:
        if event["pass"] == broken:
            raise DiedError

    one.before = dies
    with one.plugged():
        done = one.run(scheduled())
        assert (done["status"], done["error"]) == ("FAILED", "Runtime.ExitError")
        assert one.passes().count(broken) == 3, "it is tried again twice"
        assert one.passes()[-1] == ("report" if broken == "limits" else broken)
        assert left(store, account(0)) == UNTOUCHED
        one.before = lambda _event: None
        assert one.run(scheduled())["status"] == "SUCCEEDED", "it goes on where it stopped"
    assert left(store, account(0)) == CLEANED
