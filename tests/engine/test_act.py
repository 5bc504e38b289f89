"""Carrying out a plan: what is changed, what is kept, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from janitor.aws.api import Counts
from janitor.aws.logs import Changes
from janitor.core.clock import Stop
from janitor.core.errors import JournalError, PlanError
from janitor.core.exit_codes import Exit
from janitor.core.model import Outcome, Status, Verb, verb_of
from janitor.engine.act import DELETIONS_AT_ONCE
from janitor.engine.plan import ActionLine
from janitor.journal.journal import Ended, Entry, FileJournal, Lines
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Events, Lags, arn_of
from janitor.sandbox.unknowns import Unclear, Unknowns
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    ACCOUNT,
    FOR_EVER,
    MUTATING,
    NOW,
    REGION,
    Cloud,
    Group,
    api,
    changing,
    days_ago,
    janitor,
    ok,
    refused,
    refusing,
    stream,
    whole,
)
from tests.engine.groups import (
    act_on,
    empty,
    fillers,
    journal_lines,
    planned_lines,
    rereads,
    result_of,
    sweepable,
)


def test_an_old_empty_group_is_deleted_and_its_neighbours_are_not(
    policy: Policy, journal: FileJournal
) -> None:
    """A group that is proved empty is deleted, and full ones are kept."""
    cloud = Cloud([empty(), *fillers()])
    summary, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/old/empty"]
    assert result_of(recorded, "/old/empty")[0] is Status.DONE
    assert summary.exit_code is Exit.DONE


CHANGES: dict[str, Any] = {
    "recreated": lambda g: setattr(g, "created", days_ago(600)),
    "protected": lambda g: setattr(g, "protected", True),
    "filled": lambda g: setattr(g, "stored", 7),
    "given a metric filter": lambda g: setattr(g, "metric_filters", ("m",)),
    "subscribed to": lambda g: setattr(g, "subscriptions", ("s",)),
    "tagged": lambda g: setattr(g, "tags", {"janitor:keep": "yes"}),
    "given a stream": lambda g: g.streams.update(n=stream("n", days_ago(0))),
    "put under NEVER_EXPIRE": None,
    "given longer retention": lambda g: setattr(g, "retention", 90),
    "given shorter retention": lambda g: setattr(g, "retention", 7),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_group_that_changes_between_proof_and_deletion_is_kept(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The last look sees each change."""
    cloud = Cloud([empty(retention=30), *fillers()])

    def before(call: Call) -> None:
        # The second call is the last look's, before it reads the group itself.
        if call.operation == "DescribeSubscriptionFilters" and cloud.calls[call.operation] == 2:
            if change is None:
                cloud.police("/old/empty")
            else:
                change(cloud.groups["/old/empty"])

    cloud.before_call = before
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert cloud.calls["DescribeSubscriptionFilters"] >= 2
    assert summary.by_status[Status.FAILED] == 0


@pytest.mark.parametrize("days", [90, 7])
def test_a_changed_cutoff_keeps_the_group(days: int, policy: Policy, journal: FileJournal) -> None:
    """The plan proved the group empty by another retention than it has now."""
    group = empty(retention=30)
    cloud = Cloud([group, *fillers()])
    change = partial(setattr, group, "retention", days)
    _, recorded = janitor(cloud, policy, journal, between=change)
    assert cloud.deleted == []
    assert "changed since the plan" in result_of(recorded, "/old/empty")[1]


@pytest.mark.parametrize("planned", [True, False])
def test_an_unclear_metric_keeps_the_group(
    planned: bool, policy: Policy, journal: FileJournal
) -> None:
    """An incomplete metric answer keeps the group, in the survey or after the plan."""
    unclear: dict[str, Unclear] = {} if planned else {"/old/empty": "PartialData"}
    cloud = Cloud([empty(retention=30), *fillers()], unknowns=Unknowns(unclear=unclear))
    blur = partial(unclear.update, {"/old/empty": "InternalError"})
    summary, recorded = janitor(cloud, policy, journal, between=blur)
    assert cloud.deleted == []
    assert result_of(recorded, "/old/empty")[0] is Status.UNKNOWN
    assert summary.planned[Verb.DELETE_GROUP] == planned


def test_an_event_that_arrives_after_the_plan_keeps_the_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Days may pass between plan and act, and the streams may not yet show the event."""
    cloud = Cloud([empty(retention=30), *fillers()])
    arrive = partial(cloud.region.arrivals["/old/empty"].append, Events(NOW, 1, 9, NOW))
    _, recorded = janitor(cloud, policy, journal, between=arrive)
    assert cloud.deleted == []
    assert "IncomingLogEvents" in result_of(recorded, "/old/empty")[1]


def test_act_reads_the_events_again_if_the_policy_says_so(journal: FileJournal) -> None:
    """With `proof = "events"`, an event that metric and streams do not show keeps the group."""
    text = '[defaults]\nretention_days = 30\ndelete_empty = true\nproof = "events"'
    group = empty(retention=30, streams=[stream("s", days_ago(700), lag=FOR_EVER)])
    cloud = Cloud([group, *fillers()])
    write = partial(group.streams["s"].events.append, Events(NOW, 1, 9, NOW))
    _, recorded = janitor(cloud, parse(text, "test"), journal, between=write)
    assert cloud.deleted == []
    assert "holds events" in result_of(recorded, "/old/empty")[1]


def test_a_group_that_vanishes_is_gone_not_failed(policy: Policy, journal: FileJournal) -> None:
    """Somebody else may delete it between look and call."""
    cloud = Cloud([empty(), *fillers()])

    def vanish(call: Call) -> None:
        if call.operation == "DeleteLogGroup":
            cloud.region.remove("/old/empty")

    cloud.before_call = vanish
    summary, recorded = janitor(cloud, policy, journal)
    assert result_of(recorded, "/old/empty")[0] is Status.GONE
    assert summary.exit_code is Exit.DONE


def test_a_deletion_whose_answer_is_lost_is_not_repeated_on_another_group(
    policy: Policy, journal: FileJournal
) -> None:
    """A new group that takes the name of a deleted one at once is kept."""
    cloud = Cloud([empty(), *fillers()])

    def lost(call: Call) -> RefusedError | None:
        if call.operation == "DeleteLogGroup" and "/old/empty" not in cloud.groups:
            cloud.put(Group("/old/empty", days_ago(0), retention=30))
            return refused("InternalFailure", 500)
        return None

    cloud.after = lost
    summary, _ = janitor(cloud, policy, journal)
    assert "/old/empty" in cloud.groups
    assert (len(cloud.deleted), summary.done[Verb.DELETE_GROUP]) == (1, 1)


@pytest.mark.parametrize(
    ("code", "asleep"),
    [
        ("ThrottlingException", 0),
        ("ExpiredTokenException", 0),
        ("RequestExpired", 0),
        ("RequestExpired", 3600),
    ],
)
def test_a_refused_deletion_is_not_sent_again_without_a_look(
    code: str, asleep: float, policy: Policy, journal: FileJournal
) -> None:
    """A log group that is subscribed to before the retry is kept, even if the machine slept."""
    cloud = Cloud([empty(), *fillers()])

    def fault(call: Call) -> RefusedError | None:
        if call.operation != "DeleteLogGroup":
            return None
        cloud.clock.jump(asleep)
        cloud.put(empty(subscriptions=("new",)))
        return refused(code)

    cloud.fault = fault
    _, recorded = janitor(cloud, policy, journal)
    assert (cloud.calls["DeleteLogGroup"], cloud.deleted) == (1, [])
    assert result_of(recorded, "/old/empty")[0] is Status.KEPT


@pytest.mark.parametrize("code", ["ThrottlingException", "OperationAbortedException"])
@pytest.mark.parametrize("operation", sorted(MUTATING))
def test_transient_failures_are_retried(
    code: str, operation: str, policy: Policy, journal: FileJournal
) -> None:
    """Each change succeeds after three failures, and throttled attempts are counted."""
    cloud = Cloud([empty(), Group("/new", days_ago(3)), sweepable(), *fillers()])
    failures = {operation: 3}

    def fault(call: Call) -> RefusedError | None:
        if failures.get(call.operation, 0):
            failures[call.operation] -= 1
            return refused(code)
        return None

    cloud.fault = fault
    counts = Counts()
    summary, _ = janitor(cloud, policy, journal, counts=counts)
    assert (len(cloud.deleted), len(cloud.puts), len(cloud.swept)) == (1, 1, 1)
    assert summary.exit_code is Exit.DONE
    assert sum(counts.throttled.values()) == (3 if code == "ThrottlingException" else 0)
    assert sum(counts.calls.values()) == sum(cloud.calls.values())


@pytest.mark.parametrize("operation", sorted(MUTATING))
def test_a_denied_change_fails_alone(operation: str, policy: Policy, journal: FileJournal) -> None:
    """A denied change does not stop the others, and the exit code is 3."""
    sweeps = [sweepable(f"/aws/lambda/{n}") for n in "ab"]
    news = [Group(f"/new/{n}", days_ago(3)) for n in "ab"]
    olds = [empty(f"/old/{n}") for n in "ab"]
    cloud = Cloud([*sweeps, *news, *olds, *fillers()])

    def fault(call: Call) -> RefusedError | None:
        denied = call.operation == operation and call.parameters["logGroupName"].endswith("a")
        return refused("AccessDeniedException") if denied else None

    cloud.fault = fault
    summary, _ = janitor(cloud, policy, journal)
    assert len(cloud.deleted) + len(cloud.puts) + len(cloud.swept) == 5
    assert summary.by_status[Status.FAILED] == 1
    assert summary.exit_code is Exit.INCOMPLETE


@pytest.mark.parametrize(
    "limit", ["max_group_deletions = 2", "max_group_deletion_share = 0.1"], ids=str
)
def test_over_a_limit_nothing_is_deleted(limit: str, journal: FileJournal) -> None:
    """Three of 23 log groups are too many to delete, but get their retention."""
    policy = parse(
        f"[defaults]\nretention_days = 365\ndelete_empty = true\n[limits]\n{limit}", "test"
    )
    cloud = Cloud([*(empty(f"/old/{i}") for i in range(3)), *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert summary.exit_code is Exit.REFUSED
    assert summary.by_status[Status.REFUSED] == 3
    assert len(cloud.puts) == 3


def test_a_lowered_retention_makes_nothing_deletable_in_the_same_run(
    journal: FileJournal,
) -> None:
    """After the put the group is old enough, but its deletion was never announced."""
    policy = parse("[defaults]\nmax_days = 365\ndelete_empty = true", "test")
    cloud = Cloud([Group("/long", days_ago(2000), retention=3653), *fillers()])
    lines, outcomes = planned_lines(cloud, policy), list[Outcome]()
    for interrupted in (False, True, False):
        _, recorded = act_on(lines, cloud, policy, journal, interrupted=interrupted)
        outcomes += recorded.outcomes
    assert cloud.puts == [("/long", 365)]
    assert cloud.deleted == []
    assert [outcome.status for outcome in outcomes] == ["done", "done", "kept"]


def test_an_owner_created_since_an_older_plan_keeps_its_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Even an owner that takes many calls to find is found, such as an ECS task definition."""
    cloud = Cloud([empty("/web"), empty("/x"), *fillers()])
    lines = planned_lines(cloud, policy)
    options = {"options": {"awslogs-group": "/web"}}
    answers: dict[str, Any] = {
        "ListTaskDefinitionFamilies": {"families": ["web"]},
        "DescribeTaskDefinition": {
            "taskDefinition": {
                "family": "web",
                "revision": 1,
                "status": "ACTIVE",
                "containerDefinitions": [{"logConfiguration": options}],
            }
        },
    }
    cloud.fault = lambda call: (
        ok(json.dumps(answers.get(call.operation, {})).encode()) if call.service == "ecs" else None
    )
    _, recorded = act_on(lines, cloud, policy, journal, from_earlier_run=True)
    assert [group.name for group in cloud.deleted] == ["/x"]
    assert "in use by ECS task definition web:1" in result_of(recorded, "/web")[1]


def test_a_retention_that_somebody_else_set_is_not_overwritten(
    policy: Policy, journal: FileJournal
) -> None:
    """A queue at five puts a second may be long, so groups are read again before their turn."""
    cloud = Cloud([Group(f"/g/{i:03}", days_ago(3)) for i in range(60)])

    def interfere(call: Call) -> None:
        if call.operation == "PutRetentionPolicy":
            cloud.clock.jump(6)
            cloud.groups["/g/059"].retention = 7

    cloud.before_call = interfere
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.groups["/g/059"].retention == 7
    assert "changed since the plan" in result_of(recorded, "/g/059")[1]


def test_a_put_is_not_retried_on_a_group_that_has_changed(
    policy: Policy, journal: FileJournal
) -> None:
    """Another retention or a recreated group is left alone; what a lost attempt put is done."""
    cloud = Cloud([Group(name, days_ago(9)) for name in ("/other", "/lost", "/again")])
    tried = set[str]()

    def fault(call: Call) -> RefusedError | None:
        if call.operation != "PutRetentionPolicy" or call.parameters["logGroupName"] in tried:
            return None
        name = call.parameters["logGroupName"]
        tried.add(name)
        cloud.clock.jump(6)
        if name == "/again":
            cloud.put(Group(name, cloud.clock.now()))
        else:
            wanted = call.parameters["retentionInDays"]
            cloud.groups[name].retention = 90 if name == "/other" else wanted
        return refused("InternalError", 500)

    cloud.fault = fault
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.groups["/other"].retention == 90
    assert result_of(recorded, "/other")[0] is Status.KEPT
    assert result_of(recorded, "/lost")[0] is Status.DONE
    assert cloud.groups["/again"].retention is None
    assert result_of(recorded, "/again")[0] is Status.KEPT


def test_a_group_recreated_since_the_plan_is_another_one(
    policy: Policy, journal: FileJournal
) -> None:
    """It gets no retention by this plan, though it will by the next."""
    cloud = Cloud([Group("/a", days_ago(9))])
    recreate = partial(cloud.put, Group("/a", days_ago(1)))
    _, recorded = janitor(cloud, policy, journal, between=recreate)
    assert cloud.puts == []
    assert result_of(recorded, "/a")[0] is Status.GONE


def test_a_look_older_than_a_second_is_repeated(policy: Policy, journal: FileJournal) -> None:
    """A slow answer between look and deletion makes the look stale."""
    cloud = Cloud([empty(retention=30), *fillers()])
    slow = [3.0]

    def delay(call: Call) -> None:
        if "logGroupNamePrefix" in call.parameters and slow:
            cloud.clock.jump(slow.pop())

    cloud.before_call = delay
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 1
    assert cloud.calls["DescribeSubscriptionFilters"] == 3, "the survey's, and two looks"


def test_a_function_created_during_the_deletions_keeps_its_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Functions are listed again each minute, and versions published since the plan count too."""
    old = [empty(f"/old/{number:02}", retention=30) for number in range(12)]
    cloud = Cloud([*old, *fillers(200)])
    listed: list[str | None] = []

    def publish() -> None:
        cloud.functions["versioned"] = None
        cloud.region.versions["versioned"] = {"1": "/old/10"}

    def interfere(call: Call) -> None:
        if (call.operation, call.region) == ("ListFunctions", REGION):
            listed.append(call.parameters.get("FunctionVersion"))
        if call.operation == "DeleteLogGroup":
            cloud.functions["late"] = "/old/11"
            cloud.clock.jump(90)

    cloud.before_call = interfere
    _, recorded = janitor(cloud, policy, journal, between=publish)
    assert {"/old/10", "/old/11"} <= cloud.groups.keys()
    assert len(listed) > 3, "once a minute"
    assert "in use by Lambda function late" in result_of(recorded, "/old/11")[1]


@pytest.mark.parametrize(("consent", "asked", "kept"), [(20, 1, set()), (30, 2, {"/old/own"})])
def test_owners_are_read_again_half_a_minute_after_the_survey(
    policy: Policy, journal: FileJournal, consent: float, asked: int, kept: set[str]
) -> None:
    """Reading them takes dozens of calls a Region, and consent may take seconds or days."""
    cloud = Cloud([empty("/old/own", retention=30), *fillers()])
    listed: list[Call] = []
    cloud.before_call = lambda call: (
        listed.append(call) if (call.operation, call.region) == ("ListFunctions", REGION) else None
    )

    def interfere() -> None:
        cloud.functions["late"] = "/old/own"
        cloud.clock.jump(consent)

    janitor(cloud, policy, journal, between=interfere)
    assert (len(listed), cloud.groups.keys() & {"/old/own"}) == (asked, kept)
    assert cloud.calls["ListSyslogConfigurations"] == asked, "not once more for the undo"


@pytest.mark.parametrize(
    ("slow", "late", "kept"),
    [(3, False, ""), (20, True, "in use by trail late"), (70, False, "too old by the time")],
)
def test_no_owner_was_read_a_minute_ago_even_if_others_take_long(
    slow: int, late: bool, kept: str, policy: Policy, journal: FileJournal
) -> None:
    """After a slow listing of functions, trails are read again, or the group is kept."""
    cloud = Cloud([empty(retention=30), *fillers()])
    trails: list[dict[str, str]] = []
    asked: list[float] = []

    def before(call: Call) -> None:
        if (call.operation, call.region) == ("ListFunctions", REGION):
            cloud.clock.jump(slow if asked else 10)
            if asked and late:
                group = arn_of(ACCOUNT, REGION, "/old/empty")
                trails.append({"Name": "late", "CloudWatchLogsLogGroupArn": f"{group}:*"})
        if call.operation == "DescribeTrails":
            asked.append(cloud.clock.monotonic())
        if call.operation == "GetTransformer":
            cloud.clock.jump(6)

    cloud.before_call = before
    cloud.fault = lambda call: (
        ok(json.dumps({"trailList": trails}).encode())
        if call.operation == "DescribeTrails"
        else None
    )
    _, recorded = janitor(cloud, policy, journal, between=lambda: cloud.clock.jump(40))
    assert len(cloud.deleted) == (not kept)
    assert kept in result_of(recorded, "/old/empty")[1]


def test_owners_are_read_again_after_a_wait_for_the_second_half_of_a_look(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the streams took long the rest is read once more; where AWS throttles that has to wait."""
    cloud = Cloud([empty(retention=30), *fillers()])
    real, waits = Changes.reserve_look, [45, 0]
    listed = 0.0

    async def reserve_look(changes: Changes) -> None:
        await real(changes)
        cloud.clock.jump(waits.pop())

    def before(call: Call) -> None:
        nonlocal listed
        if (call.operation, call.region) == ("ListFunctions", REGION):
            listed = cloud.clock.monotonic()
        if call.operation == "DescribeLogStreams" and cloud.calls["DescribeIndexPolicies"]:
            cloud.clock.jump(0.6)
        if call.operation == "DeleteLogGroup":
            assert cloud.clock.monotonic() - listed <= 60

    monkeypatch.setattr(Changes, "reserve_look", reserve_look)
    cloud.before_call = before
    janitor(cloud, policy, journal, between=lambda: cloud.clock.jump(20))
    assert len(cloud.deleted) == 1
    assert not waits


def test_a_slow_disk_makes_the_look_stale(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion whose journal entry took long to write is looked at again."""
    cloud = Cloud([empty(retention=30), *fillers()])
    real, slow = journal.begin, [2.0]

    async def begin(*entries: Entry) -> None:
        await real(*entries)
        if slow:
            cloud.clock.jump(slow.pop())

    monkeypatch.setattr(journal, "begin", begin)
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 1
    assert cloud.calls["DescribeSubscriptionFilters"] == 2


def test_subscriptions_are_read_again_if_the_streams_took_long(
    policy: Policy, journal: FileJournal
) -> None:
    """Subscriptions are at most a second old, though thousands of streams take longer."""
    cloud = Cloud([empty(retention=30), *fillers()])
    times: dict[str, float] = {}

    def delay(call: Call) -> None:
        if call.operation == "DescribeLogStreams" and "DescribeSubscriptionFilters" in times:
            cloud.clock.jump(5)
        times[call.operation] = cloud.clock.monotonic()

    cloud.before_call = delay
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 1
    assert times["DeleteLogGroup"] - times["DescribeSubscriptionFilters"] <= 1
    assert cloud.calls["DescribeSubscriptionFilters"] == 3


def test_an_owner_created_while_the_streams_are_read_keeps_its_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Owners that were read before thousands of streams are read again."""
    cloud = Cloud([empty(retention=30), *fillers()])

    def slow(call: Call) -> None:
        if call.operation == "DescribeLogStreams" and cloud.calls["DescribeSubscriptionFilters"]:
            cloud.functions["late"] = "/old/empty"
            cloud.clock.jump(90)

    cloud.before_call = slow
    _, recorded = janitor(cloud, policy, journal)
    assert not cloud.deleted
    assert "in use by Lambda function late" in result_of(recorded, "/old/empty")[1]


def with_streams(name: str, count: int) -> Group:
    """Return an empty group with so many streams that expired long ago."""
    streams = [stream(f"{number:03}", days_ago(800)) for number in range(count)]
    return Group(name, days_ago(800), retention=30, streams=streams)


@pytest.mark.parametrize(("slow", "deleted"), [(0, 1), (40, 1), (9999, 0)])
def test_streams_are_not_read_a_minute_before_the_deletion(
    slow: int, deleted: int, policy: Policy, journal: FileJournal
) -> None:
    """If reading them takes that long, they are read again, or the group is kept."""
    cloud = Cloud([with_streams("/many", 44), *fillers(4)], page=2)
    begun = 0.0

    def delay(call: Call) -> None:
        nonlocal begun, slow
        looking = cloud.calls["DescribeIndexPolicies"] > 0
        if call.operation == "DescribeLogStreams" and looking:
            if "nextToken" not in call.parameters:
                begun = cloud.clock.monotonic()
            elif slow:
                slow -= 1
                cloud.clock.jump(3)
        if call.operation == "DeleteLogGroup":
            assert cloud.clock.monotonic() - begun <= 60

    cloud.before_call = delay
    _, recorded = janitor(cloud, policy, journal)
    assert len(cloud.deleted) == deleted
    if not deleted:
        assert "its log streams took too long to read" in result_of(recorded, "/many")[1]


def test_many_streams_are_read_one_log_group_after_the_other(
    policy: Policy, journal: FileJournal
) -> None:
    """Read at once, they would share the quota, and the first pages would be too old."""
    cloud = Cloud([*(with_streams(f"/many/{n}", 60) for n in range(3)), *fillers(9)], page=2)
    read: list[str] = []
    ends: list[int] = []

    def watch(call: Call) -> None:
        if call.operation == "DescribeLogStreams" and cloud.calls["DescribeIndexPolicies"]:
            read.append(call.parameters["logGroupName"])
        if call.operation == "DeleteLogGroup":
            ends.append(len(read))

    cloud.before_call = watch
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 3
    for end in ends:
        assert len({*read[end - 10 : end]}) == 1


def test_more_streams_than_can_be_read_in_a_minute_keep_their_group(policy: Policy) -> None:
    """The deletion is not planned, and the reason says what would help."""
    cloud = Cloud([with_streams("/many", 121), with_streams("/few", 120), *fillers()], page=2)
    calls = api(cloud)
    calls.pace.learn({"DescribeLogStreams": 1.0})
    _, recorded = cloud.clock.run(whole(calls, policy))
    assert [outcome.group.name for outcome in recorded.planned] == ["/few"]
    status, reason = result_of(recorded, "/many")
    assert status is Status.UNKNOWN
    assert "more log streams than 60 pages of up to 50 hold" in reason
    assert "raise the quota of DescribeLogStreams (in Service Quotas) or api_share" in reason


def test_tags_older_than_a_second_make_the_look_stale(policy: Policy, journal: FileJournal) -> None:
    """The tags are shared by deletions, and the rest of a look must fit into their second."""
    cloud = Cloud([empty(retention=30), *fillers()])
    slow = [0.9, 0.25]
    refusals = [refused("ThrottlingException")]
    times: dict[str, float] = {}

    def delay(call: Call) -> None:
        times[call.operation] = cloud.clock.monotonic()
        if rereads(call) and slow:
            cloud.clock.jump(slow.pop())
        if call.operation == "DeleteLogGroup" and refusals:
            raise refusals.pop()

    cloud.before_call = delay
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 1
    assert times["DeleteLogGroup"] - times["ListTagsForResource"] <= 1


BY_TAG = """
[defaults]
retention_days = 365
delete_empty = true
sweep_streams = true
[protect]
tags = ["janitor:keep"]
deletion = {owners = false}
[[rules]]
id = "dev"
tags = ["env=dev"]
retention_days = 14
"""


def test_the_groups_own_tags_decide_while_the_tagging_api_lags(journal: FileJournal) -> None:
    """Every change follows the group's own tags, which may be new or removed."""
    tags: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "kept": ({}, {"janitor:keep": ""}),
        "no-more-dev": ({"env": "dev"}, {}),
        "as-it-was": ({"env": "dev"}, {"env": "dev"}),
    }
    groups = [
        made
        for name, (then, _) in tags.items()
        for made in (
            Group(f"/endless/{name}", days_ago(900), 5, tags=then),
            Group(f"/empty/{name}", days_ago(900), 0, 400, tags=then),
            sweepable(f"/swept/{name}"),
        )
    ]
    cloud = Cloud([*groups, *fillers()], lags=Lags(tags=600, stored=FOR_EVER))
    for group in groups:
        then, now = tags[group.name.split("/")[2]]
        group.tags = then
        cloud.store.tag(group, now, cloud.clock.now())
    _, recorded = janitor(cloud, parse(BY_TAG, "test"), journal)
    assert cloud.puts == [("/endless/as-it-was", 14)]
    assert {name for name, _ in cloud.swept} == {"/swept/no-more-dev", "/swept/as-it-was"}
    assert {group.name for group in cloud.deleted} == {"/empty/as-it-was"}
    for kind in ("endless", "swept"):
        status, reason = result_of(recorded, f"/{kind}/kept")
        assert status is Status.KEPT
        assert "changed since the plan" in reason
        assert "protected by tag: janitor:keep" in reason
    assert result_of(recorded, "/endless/no-more-dev") == (
        Status.KEPT,
        "changed since the plan: no retention is in force; rule 'defaults' sets 365 days",
    )


def test_tags_are_read_once_a_change_where_they_matter(journal: FileJournal) -> None:
    """A retention costs one more call, and none if no tag can decide about the group."""
    groups = [Group(f"/{kind}/{n}", days_ago(900), 5) for kind in "ab" for n in range(3)]
    cloud = Cloud(groups)
    unprotected = BY_TAG.replace('["janitor:keep"]', "[]")
    by_name = unprotected.replace("[[rules]]", '[[rules]]\nid = "b"\nnames = ["/b/*"]\n[[rules]]')
    janitor(cloud, parse(by_name, "test"), journal)
    assert len(cloud.puts) == 6
    assert cloud.calls["ListTagsForResource"] == 3


def test_retention_does_not_wait_for_tags_that_only_prevent_deletion(
    journal: FileJournal,
) -> None:
    """Their quota is left to the deletions, which read the tags just before."""
    cloud = Cloud([*(Group(f"/endless/{n}", days_ago(900), 5) for n in range(9)), empty()])
    calls = api(cloud)
    calls.pace.learn({"ListTagsForResource": 0.1})
    plain = parse(BY_TAG.split("[[rules]]")[0].replace('["janitor:keep"]', "[]"), "test")
    cloud.clock.run(whole(calls, plain, journal))
    assert (len(cloud.puts), len(cloud.deleted)) == (9, 1)
    assert cloud.clock.monotonic() < 30


def test_a_group_whose_own_tags_cannot_be_read_is_left_alone(journal: FileJournal) -> None:
    """Other groups are changed, and the reason names the denied call."""
    cloud = Cloud([Group(f"/a/{n}", days_ago(900), 5) for n in range(3)] + [sweepable("/s")])
    denied = {arn_of(ACCOUNT, REGION, name) for name in ("/a/1", "/s")}

    def fault(call: Call) -> RefusedError | None:
        named = call.parameters.get("resourceArn") in denied
        return refused("AccessDeniedException") if named else None

    cloud.fault = fault
    _, recorded = janitor(cloud, parse(BY_TAG, "test"), journal)
    assert sorted(cloud.puts) == [("/a/0", 365), ("/a/2", 365)]
    assert cloud.swept == []
    for name in ("/a/1", "/s"):
        status, reason = result_of(recorded, name)
        assert status is Status.UNKNOWN
        assert "ListTagsForResource: AccessDeniedException" in reason


def test_a_stacks_tag_is_seen_before_the_tagging_api_shows_it(
    policy: Policy, journal: FileJournal
) -> None:
    """The last look reads the tags of the group itself."""
    cloud = Cloud([empty(retention=30), *fillers()], lags=Lags(tags=600, stored=FOR_EVER))
    stack = {"aws:cloudformation:stack-name": "s"}
    cloud.store.tag(cloud.groups["/old/empty"], stack, cloud.clock.now())
    _, recorded = janitor(cloud, policy, journal)
    assert "protected from deletion by tag" in result_of(recorded, "/old/empty")[1]
    assert cloud.deleted == []


def test_a_stacks_tag_that_is_added_after_the_plan_leaves_the_group_alone(
    policy: Policy, journal: FileJournal
) -> None:
    """It gets neither a retention nor a sweep that the plan lacks, and the reason says why."""
    cloud = Cloud([empty("/aws/lambda/old"), *fillers()])
    stack = {"aws:cloudformation:stack-name": "s"}
    group = cloud.groups["/aws/lambda/old"]
    _, recorded = janitor(cloud, policy, journal, between=partial(setattr, group, "tags", stack))
    assert (cloud.deleted, cloud.puts) == ([], [])
    status, reason = result_of(recorded, group.name)
    assert status is Status.KEPT
    assert "planned delete_group, now set_retention" in reason
    assert "kept: protected from deletion by tag: aws:cloudformation:stack-name" in reason


def test_a_group_that_a_tag_puts_under_another_rule_is_kept(journal: FileJournal) -> None:
    """The rule has the same cutoff, but needs proof by events, which were not read."""
    text = "retention_days = 365\ndelete_empty = true\nproof = 'events'"
    policy = parse(
        f"[defaults]\nretention_days = 365\ndelete_empty = true\n"
        f"[[rules]]\nid = 'careful'\ntags = ['careful']\n{text}",
        "test",
    )
    cloud = Cloud([empty(retention=365), *fillers()], lags=Lags(tags=600, stored=FOR_EVER))
    cloud.store.tag(cloud.groups["/old/empty"], {"careful": ""}, cloud.clock.now())
    _, recorded = janitor(cloud, policy, journal)
    assert "rule 'careful'" in result_of(recorded, "/old/empty")[1]
    assert cloud.deleted == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_the_journal_has_the_end_of_a_deletion_whose_look_is_refused(
    code: str, policy: Policy, journal: FileJournal
) -> None:
    """The deletion was announced before the look, so the journal says that it did not happen."""
    cloud = Cloud([empty(retention=30), *fillers()])
    cloud.fault = refusing("ListTagsForResource", code)
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    expected = Status.GONE if code.startswith("Resource") else Status.UNKNOWN
    assert result_of(recorded, "/old/empty")[0] is expected
    lines = [line for line in journal_lines(journal) if line["group"] == "/old/empty"]
    assert [line["status"] for line in lines][1:] == [expected]


def test_the_journal_has_what_an_undo_needs(policy: Policy, journal: FileJournal) -> None:
    """Each change has a line with the values before and after it."""
    cloud = Cloud([empty(retention=14, tags={"team": "a"}), Group("/new", days_ago(3)), *fillers()])
    janitor(cloud, policy, journal)
    lines = {line["group"]: line for line in journal_lines(journal)}
    assert lines["/new"]["before"] == {"retention_days": None, "stored_bytes": 0}
    assert lines["/new"]["after"] == {"retention_days": 365}
    assert lines["/old/empty"]["before"] == {
        "arn": arn_of(ACCOUNT, REGION, "/old/empty"),
        "retention_days": 14,
        "retention_policy": None,
        "class": "STANDARD",
        "kms_key_id": None,
        "tags": {"team": "a"},
        "bearer_token": False,
        "data_protection_policy": None,
        "index_policy": None,
        "transformer": [],
        "metric_filters": [],
        "subscription_filters": [],
        "resource_policy": None,
        "syslog_endpoints": [],
    }


def test_an_account_level_retention_is_not_journaled_as_the_groups_own(
    policy: Policy, journal: FileJournal
) -> None:
    """An undo would put it on the group, where it would count once the policy is gone."""
    cloud = Cloud([empty(under=("org", 30)), *fillers()])
    janitor(cloud, policy, journal)
    begun = journal_lines(journal)[0]
    assert begun["group"] == "/old/empty"
    assert begun["before"]["retention_policy"] is not None
    assert begun["before"]["retention_days"] is None


@pytest.mark.parametrize("nothing", ["empty", "identifier", "not found"])
def test_a_groups_own_settings_are_read_once_a_deletion(
    nothing: Any, policy: Policy, journal: FileJournal
) -> None:
    """This holds for each answer that means none; a data protection policy is read only if there
    ever was one.
    """
    groups = [empty(f"/old/{i}") for i in range(4)]
    cloud = Cloud([empty(data_protection='{"Name": "p"}'), *groups, *fillers()])
    cloud.sandbox.world.unknowns = Unknowns(no_transformer=nothing, no_data_protection=nothing)
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 5
    assert (cloud.calls["GetTransformer"], cloud.calls["GetDataProtectionPolicy"]) == (5, 1)


def test_nothing_is_changed_without_a_journal(policy: Policy, tmp_path: Path) -> None:
    """If the journal is a folder, no change is made and the run says why."""
    (tmp_path / "j").mkdir()
    journal = FileJournal(tmp_path / "j", Lines("run", "policy"))
    with pytest.raises(JournalError):
        journal.check()
    cloud = Cloud([empty(), Group("/new", days_ago(3)), *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert not changing(cloud.calls)
    assert summary.exit_code is Exit.INCOMPLETE
    assert any("cannot be written" in error for error in summary.errors)


@pytest.mark.parametrize("operation", sorted(MUTATING))
def test_a_change_whose_end_could_not_be_journaled_counts(
    operation: str, policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full after the first change, no other begins, and that one is reported."""
    names = {"PutRetentionPolicy": "/new", "DeleteLogGroup": "/old"}
    groups = [Group("/new", days_ago(3)), empty("/old"), sweepable()]
    mine = names.get(operation, "/aws/lambda/f")
    cloud = Cloud([*(group for group in groups if group.name == mine), *fillers()])

    async def full(*_ended: Ended) -> None:
        raise JournalError("j: No space left on device")

    monkeypatch.setattr(journal, "end", full)
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.calls[operation] == sum(summary.done.values()) == 1
    assert summary.errors == ["j: No space left on device"]
    assert [outcome.status for outcome in recorded.of(mine)] == [Status.DONE]


def test_a_group_recreated_while_the_journal_is_written_gets_no_retention(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal may be slow, and the new group may have a retention of its own."""
    cloud = Cloud([Group("/new", days_ago(3)), *fillers()])
    real = journal.begin

    async def begin(*entries: Entry) -> None:
        await real(*entries)
        cloud.clock.jump(20)
        cloud.put(Group("/new", days_ago(0), retention=3653))

    monkeypatch.setattr(journal, "begin", begin)
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.groups["/new"].retention == 3653
    assert result_of(recorded, "/new")[0] is Status.KEPT
    assert [line["status"] for line in journal_lines(journal)] == ["begun", "kept"]


def test_a_stopped_run_begins_nothing_and_says_what_was_not_reached(
    policy: Policy, journal: FileJournal
) -> None:
    """Ctrl-C in the middle of the deletions stops a run like this."""
    stop = Stop()
    cloud = Cloud([*(empty(f"/old/{i:02}") for i in range(12)), *fillers(60)])

    def halt(call: Call) -> None:
        if call.operation == "DeleteLogGroup":
            stop.set("interrupted")

    cloud.before_call = halt
    summary, recorded = janitor(cloud, policy, journal, stop=stop)
    assert 1 <= len(cloud.deleted) <= DELETIONS_AT_ONCE
    assert summary.done[Verb.DELETE_GROUP] == len(cloud.deleted)
    assert summary.by_status[Status.NOT_REACHED] == 12 - len(cloud.deleted)
    left = [one.action for one in recorded.outcomes if one.status is Status.NOT_REACHED]
    assert {verb_of(action) for action in left} == {Verb.DELETE_GROUP}
    assert summary.exit_code is Exit.INTERRUPTED


def test_expired_credentials_stop_the_run(policy: Policy, journal: FileJournal) -> None:
    """Nothing is deleted, and the run is incomplete and says why."""
    cloud = Cloud([*(empty(f"/old/{i:02}") for i in range(8)), *fillers(60)])
    cloud.fault = refusing("DescribeSubscriptionFilters", "ExpiredTokenException")
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert any("ExpiredToken" in error for error in summary.errors)
    assert summary.exit_code is Exit.INCOMPLETE


def test_credentials_that_cannot_be_renewed_end_the_run_with_what_was_done(
    policy: Policy, journal: FileJournal
) -> None:
    """botocore may renew them at a put, and the program that provides them may be gone."""
    cloud, asked = Cloud([Group(f"/new/{i:03}", days_ago(3)) for i in range(200)]), 0

    def gone(call: Call) -> None:
        nonlocal asked
        if len(cloud.puts) == 5 and call.operation == "PutRetentionPolicy":
            asked += 1
            raise FileNotFoundError(2, "No such file or directory", "/opt/helper")

    cloud.fault = gone
    summary, _ = janitor(cloud, policy, journal)
    assert len(cloud.puts) == summary.done[Verb.SET_RETENTION] == 5
    assert asked == 1
    assert len(summary.errors) == 1
    assert "/opt/helper" in summary.errors[0]
    assert summary.exit_code is Exit.INCOMPLETE


def test_a_group_that_only_its_subscription_keeps_gets_its_retention(
    policy: Policy, journal: FileJournal
) -> None:
    """By its own facts it could be deleted, but the survey found that it is kept."""
    cloud = Cloud([Group("/kept", days_ago(900), subscriptions=("to",))])
    janitor(cloud, policy, journal)
    assert cloud.puts == [("/kept", 365)]
    assert not cloud.deleted


def test_a_plan_that_cannot_be_read_to_its_end_ends_the_run(
    policy: Policy, journal: FileJournal
) -> None:
    """The result has what was done until then, and the error."""
    cloud = Cloud([Group(f"/new/{i:03}", days_ago(3)) for i in range(40)])
    lines = planned_lines(cloud, policy)

    def cut_off() -> Iterator[ActionLine]:
        yield from lines[:30]
        raise PlanError("plan.jsonl: was changed in the meantime")

    books, _ = act_on(cut_off(), cloud, policy, journal)
    assert len(cloud.puts) == books.total.done[Verb.SET_RETENTION] < 30
    assert books.total.errors == ["plan.jsonl: was changed in the meantime"]


def test_a_page_token_that_is_refused_after_a_group_vanished_loses_no_group(
    policy: Policy, journal: FileJournal
) -> None:
    """AWS does not document such a token, so groups that are missing are read one by one."""
    groups = [empty(f"/old/{i}") for i in range(5)] + [
        Group(f"/new/{i}", days_ago(9)) for i in "ab"
    ]
    cloud = Cloud([*groups, *fillers()], page=2)
    cloud.sandbox.world.unknowns = Unknowns(tokens="refused")

    def vanish(call: Call) -> None:
        if rereads(call) and "nextToken" in call.parameters and "/old/0" in cloud.groups:
            cloud.region.remove("/old/0")

    cloud.before_call = vanish
    summary, recorded = janitor(cloud, policy, journal)
    assert result_of(recorded, "/old/0")[0] is Status.GONE
    assert summary.exit_code is Exit.DONE
    assert (len(cloud.deleted), len(cloud.puts)) == (4, 2)
