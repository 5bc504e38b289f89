"""Whole runs over an account: what is done, what is kept, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.aws.api import Counts
from janitor.core.clock import Stop
from janitor.core.errors import Exit, JournalError, PlanError
from janitor.core.model import Status, Verb
from janitor.engine.act import DELETIONS_AT_ONCE, Act, Part
from janitor.engine.books import Books
from janitor.engine.looks import Looks
from janitor.engine.plan import Action as PlanLine
from janitor.engine.plan import action_line, grouped
from janitor.journal.journal import Ended, Entry, FileJournal, Lines
from janitor.policy.file import Policy, load, parse
from janitor.sandbox.store import Events, Lags, Stream, arn_of
from janitor.sandbox.unknowns import Unclear, Unknowns
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    ACCOUNT,
    FOR_EVER,
    MUTATING,
    NOW,
    REGION,
    RESET,
    Cloud,
    Group,
    Recorded,
    api,
    changing,
    days_ago,
    janitor,
    look,
    ok,
    refused,
    refusing,
    stream,
)


def empty(name: str = "/old/empty", **fields: Any) -> Group:
    """A group that the shipped policy deletes, apart from `fields`."""
    return Group(name, days_ago(800), **fields)


def told_late(name: str, at: int, ingested: int) -> Stream:
    """A stream with one event that came long after its own time."""
    made = stream(name, at)
    made.events.append(Events(at, 1, 100, ingested))
    return made


def fillers(count: int = 20, prefix: str = "/kept") -> list[Group]:
    """Groups that are kept, so that a deletion is a small share."""
    return [Group(f"{prefix}/{i:04}", days_ago(900), 5, retention=30) for i in range(count)]


def swept(name: str = "/aws/lambda/f", count: int = 1, retention: int | None = 30) -> Group:
    """A group that is kept, with so many expired streams to sweep."""
    old = [stream(f"2020/01/01/[1]{i:03}", days_ago(800)) for i in range(count)]
    return Group(name, days_ago(900), 9, retention, streams=old)


def looks(call: Call) -> bool:
    """Whether it reads log groups again."""
    narrowed = call.parameters.keys() & {"logGroupNamePrefix", "logGroupIdentifiers"}
    return call.operation == "DescribeLogGroups" and bool(narrowed)


def only(recorded: Any, name: str) -> tuple[Status, str]:
    """The single outcome of a group, as status and reason."""
    [outcome] = recorded.of(name)
    return outcome.status, outcome.reason


def test_an_old_empty_group_is_deleted_and_its_neighbours_are_not(
    policy: Policy, journal: FileJournal
) -> None:
    """The main job: one proved empty, the others full."""
    cloud = Cloud([empty(), *fillers()])
    summary, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/old/empty"]
    assert only(recorded, "/old/empty")[0] is Status.DONE
    assert summary.exit_code is Exit.DONE


def test_pages_are_read_to_the_last_even_behind_empty_ones(
    policy: Policy, journal: FileJournal
) -> None:
    """More than three pages, with empty ones between them: every group is seen once."""
    cloud = Cloud([Group(f"/g/{i:04}", days_ago(5)) for i in range(230)], empty_pages=0.5)
    summary, _ = janitor(cloud, policy, journal)
    assert summary.groups_scanned == 230
    assert sorted(name for name, _ in cloud.puts) == sorted(cloud.groups)


def test_what_two_pages_list_is_one_log_group(policy: Policy, journal: FileJournal) -> None:
    """AWS does not say where a page begins: nothing is counted, or planned, twice."""
    cloud = Cloud([Group(f"/g/{i:04}", days_ago(5)) for i in range(230)], empty_pages=0.5)
    cloud.sandbox.world.unknowns = Unknowns(listed_twice=True)
    summary, _ = janitor(cloud, policy, journal)
    assert (summary.groups_scanned, summary.planned[Verb.SET_RETENTION]) == (230, 230)


KEPT: dict[str, tuple[Group, str]] = {
    "young": (Group("/x", days_ago(37), retention=30), "not more than retention"),
    "bytes": (empty("/x", stored=1, retention=30), "1 B stored"),
    "tag": (empty("/x", tags={"janitor:keep": ""}), "protected by tag"),
    "stack": (empty("/x", tags={"aws:cloudformation:stack-name": "s"}), "protected by tag"),
    "deletion protection": (empty("/x", protected=True, retention=30), "deletion protection"),
    "metric filter": (empty("/x", metric_filters=("m", "n"), retention=30), "2 metric filters"),
    "subscription": (empty("/x", subscriptions=("ship",), retention=30), "filter ship"),
    "delivery": (empty("/x", log_class="DELIVERY"), "class DELIVERY"),
    "never by account": (empty("/x", under=("all", None)), "NEVER_EXPIRE"),
    "own": (empty("/aws/lambda/cloudwatch-janitor"), "janitor's own"),
    "arrivals": (empty("/x", retention=30, arrivals={days_ago(1): 9}), "IncomingLogEvents"),
    "live stream": (
        empty(
            "/x",
            retention=30,
            streams=[stream(f"a{i:03}", days_ago(700)) for i in range(120)]
            + [stream("z", days_ago(700), days_ago(2))],
        ),
        "stream 'z' shows life",
    ),
    "stream of the cutoff's own moment": (
        empty("/x", retention=30, streams=[stream("s", days_ago(37))]),
        "stream 's' shows life 37 days ago",
    ),
    "late arrival of old events": (
        empty("/x", retention=30, streams=[told_late("s", days_ago(700), days_ago(2))]),
        "stream 's' shows life 2 days ago",
    ),
    "new stream, never written": (
        empty("/x", retention=30, streams=[stream("s", days_ago(1))]),
        "stream 's' shows life",
    ),
}


@pytest.mark.parametrize(("group", "reason"), KEPT.values(), ids=KEPT.keys())
def test_each_line_of_the_deletion_rules_keeps_a_group(
    group: Group, reason: str, policy: Policy, journal: FileJournal
) -> None:
    """One thing that speaks against deletion is enough, and it is the printed reason."""
    cloud = Cloud([group, *fillers()])
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert reason in only(recorded, group.name)[1]


UNKNOWN: dict[str, dict[str, Any]] = {
    "no creation time": {"creationTime": ...},
    "negative bytes": {"storedBytes": -1},
    "text for bytes": {"storedBytes": "0"},
    "no bytes": {"storedBytes": ...},
    "retention of zero": {"retentionInDays": 0},
    "a class of tomorrow": {"logGroupClass": "GLACIAL"},
}


@pytest.mark.parametrize("odd", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_odd_value_is_unknown_and_kept(
    odd: dict[str, Any], policy: Policy, journal: FileJournal
) -> None:
    """Whatever makes no sense is neither deleted nor changed."""
    cloud = Cloud([empty(odd=odd), *fillers()])
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert cloud.puts == []
    assert only(recorded, "/old/empty")[0] is Status.UNKNOWN
    assert summary.by_status[Status.UNKNOWN] == 1


READS = [
    "DescribeLogStreams",
    "DescribeSubscriptionFilters",
    "GetMetricData",
    "GetResources",
    "ListFunctions",
]


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize(
    "answer",
    [refused("AccessDeniedException"), refused("InternalFailure", 500), ok(b"{"), RESET],
    ids=["denied", "failing", "garbage", "reset"],
)
def test_what_cannot_be_read_is_never_deleted(
    operation: str, answer: Any, policy: Policy, journal: FileJournal
) -> None:
    """A denied, failing or unparsable read keeps the group; the others are still done."""
    cloud = Cloud([empty("/aws/lambda/gone"), Group("/new", days_ago(1), retention=30), *fillers()])
    cloud.fault = lambda call: answer if call.operation == operation else None
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert Status.UNKNOWN in {outcome.status for outcome in recorded.of("/aws/lambda/gone")}
    assert summary.by_status[Status.KEPT] == 21


def test_an_answer_without_its_list_is_garbage_not_emptiness(
    policy: Policy, journal: FileJournal
) -> None:
    """botocore reads an unparsable body as {}: that is not a group without streams."""
    cloud = Cloud([empty(retention=30, streams=[stream("s", days_ago(1))]), *fillers()])
    cloud.fault = lambda call: ok(b"not JSON") if call.operation == "DescribeLogStreams" else None
    janitor(cloud, policy, journal)
    assert cloud.deleted == []


def test_a_live_owner_keeps_its_group_under_any_name(policy: Policy, journal: FileJournal) -> None:
    """A function's usual group, its custom one, a published version's, Lambda@Edge replicas'."""
    names = ["/aws/lambda/f", "/team/custom", "/aws/lambda/g", "/aws/lambda/us-east-1.f", "/edge"]
    groups = [empty(name, retention=30) for name in (*names, "/aws/lambda/moved")]
    cloud = Cloud([*groups, *fillers()])
    cloud.functions |= {"f": None, "g": "/team/custom"}
    cloud.region.versions["g"] = {"1": None}
    home = cloud.store.region(ACCOUNT, "us-east-1")
    home.functions |= {"f": None, "h": None, "moved": None}
    home.versions["h"] = {"1": "/edge"}
    _, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/aws/lambda/moved"]
    assert all("Lambda function" in only(recorded, name)[1] for name in names)


def test_where_functions_cannot_be_listed_other_groups_are_still_deleted(
    policy: Policy, journal: FileJournal
) -> None:
    """Only names that may be a function's are kept, with one warning."""
    cloud = Cloud([empty("/aws/lambda/a"), empty("/aws/lambda/b"), empty("/x"), *fillers()])
    cloud.fault = refusing("ListFunctions", "AccessDenied")
    summary, _ = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/x"]
    assert len(summary.warnings) == 1


def test_a_policy_that_asks_for_no_tag_needs_no_right_to_read_any(journal: FileJournal) -> None:
    """The least IAM policy of such a one has none; the journal has the tags all the same."""
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n[protect]\ntags = []", "test"
    )
    cloud = Cloud([empty(tags={"team": "a"}), Group("/new", days_ago(3)), *fillers()])
    cloud.fault = refusing("GetResources", "AccessDeniedException")
    summary, _ = janitor(cloud, policy, journal)
    assert (len(cloud.deleted), cloud.puts) == (1, [("/new", 365)])
    assert summary.exit_code is Exit.DONE
    assert '"tags": {"team": "a"}' in journal.path.read_text()


def test_proof_by_events_drains_to_the_last_token(journal: FileJournal) -> None:
    """The event stands behind empty pages with a token, and nothing else tells of it yet."""
    policy = parse(
        '[defaults]\nretention_days = 365\ndelete_empty = true\nproof = "events"', "test"
    )
    late = stream("s", days_ago(800), days_ago(1))
    groups = [empty("/has", retention=30, streams=[late]), empty("/not"), *fillers()]
    lags = Lags(stream=2 * 86_400, stored=2 * 86_400, metric=2 * 86_400)
    cloud = Cloud(groups, lags=lags, empty_pages=0.5)
    _, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/not"]
    assert "holds events" in only(recorded, "/has")[1]


def test_infrequent_access_is_unknown_under_proof_by_events(journal: FileJournal) -> None:
    """Its events cannot be read, so it is kept and says so; arrivals prove it well enough."""
    for proof, deleted in (("events", []), ("arrivals", ["/ia"])):
        policy = parse(
            f'[defaults]\nretention_days = 365\ndelete_empty = true\nproof = "{proof}"', "test"
        )
        cloud = Cloud([empty("/ia", retention=30, log_class="INFREQUENT_ACCESS"), *fillers()])
        _, recorded = janitor(cloud, policy, journal)
        assert [group.name for group in cloud.deleted] == deleted
        if not deleted:
            assert "FilterLogEvents" in only(recorded, "/ia")[1]


CHANGES: dict[str, Any] = {
    "made again": lambda g: setattr(g, "created", days_ago(600)),
    "protected": lambda g: setattr(g, "protected", True),
    "filled": lambda g: setattr(g, "stored", 7),
    "given a metric filter": lambda g: setattr(g, "metric_filters", ("m",)),
    "subscribed to": lambda g: setattr(g, "subscriptions", ("s",)),
    "tagged": lambda g: setattr(g, "tags", {"janitor:keep": "yes"}),
    "given a stream": lambda g: g.streams.update(n=stream("n", days_ago(0))),
    "put under NEVER_EXPIRE": None,
    "given longer retention": lambda g: setattr(g, "retention", 3653),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_changes_between_proof_and_deletion_is_kept(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The last look sees it."""
    cloud = Cloud([empty(retention=30), *fillers()])
    done: list[bool] = []

    def before(call: Call) -> None:
        if call.operation == "DescribeSubscriptionFilters" and not done:
            done.append(True)
            if change is None:
                cloud.police("/old/empty")
            else:
                change(cloud.groups["/old/empty"])

    cloud.before_call = before
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert summary.by_status[Status.FAILED] == 0


def test_what_arrives_between_plan_and_act_keeps_the_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Days may pass between them; the streams do not show it yet."""
    cloud = Cloud([empty(retention=30), *fillers()])
    event = Events(NOW, 1, 9, NOW)
    arrived = lambda: cloud.region.arrivals["/old/empty"].append(event)  # noqa: E731
    _, recorded = janitor(cloud, policy, journal, between=arrived)
    assert cloud.deleted == []
    assert "IncomingLogEvents" in only(recorded, "/old/empty")[1]


def test_a_group_that_vanishes_is_gone_not_failed(policy: Policy, journal: FileJournal) -> None:
    """Somebody else deleted it between look and call."""
    cloud = Cloud([empty(), *fillers()])

    def vanish(call: Call) -> None:
        if call.operation == "DeleteLogGroup":
            cloud.region.remove("/old/empty")

    cloud.before_call = vanish
    summary, recorded = janitor(cloud, policy, journal)
    assert only(recorded, "/old/empty")[0] is Status.GONE
    assert summary.exit_code is Exit.DONE


def test_a_deletion_whose_answer_is_lost_is_not_repeated_on_another_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Reset after the effect, and the name is taken by a new group at once: that one lives."""
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


@pytest.mark.parametrize("code", ["ThrottlingException", "OperationAbortedException"])
@pytest.mark.parametrize("operation", sorted(MUTATING))
def test_passing_failures_are_tried_again(
    code: str, operation: str, policy: Policy, journal: FileJournal
) -> None:
    """Three failures each, then success; throttled attempts are counted."""
    cloud = Cloud([empty(), Group("/new", days_ago(3)), swept(), *fillers()])
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
    """One item's AccessDenied does not stop the others, and ends in exit code 3."""
    sweeps = [swept(f"/aws/lambda/{n}") for n in "ab"]
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


def test_no_stream_becomes_one_to_sweep_while_a_run_lasts(
    policy: Policy, journal: FileJournal
) -> None:
    """What arrived 48 hours before the survey keeps streams whose times may lag in all of the run:
    only the other was planned, and counted for the limits.
    """
    streams = [stream(name, days_ago(900), days_ago(800)) for name in ("0", "2020/01/01/[1]a")]
    arrivals = {days_ago(47 / 24): 9}
    live = Group("/aws/lambda/a", days_ago(900), 9, 30, streams=streams, arrivals=arrivals)
    cloud = Cloud([live, *fillers()])
    later = lambda: cloud.clock.jump(2 * 3600)  # noqa: E731
    summary, _ = janitor(cloud, policy, journal, between=later)
    assert summary.planned[Verb.SWEEP_STREAMS] == 1
    assert cloud.swept == [("/aws/lambda/a", "2020/01/01/[1]a")]


@pytest.mark.parametrize(
    "limit", ["max_group_deletions = 2", "max_group_deletion_share = 0.1"], ids=str
)
def test_over_a_limit_nothing_at_all_is_deleted(limit: str, journal: FileJournal) -> None:
    """Three candidates of twenty-three; retention is still given."""
    policy = parse(
        f"[defaults]\nretention_days = 365\ndelete_empty = true\n[limits]\n{limit}", "test"
    )
    cloud = Cloud([*(empty(f"/old/{i}") for i in range(3)), *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert summary.exit_code is Exit.REFUSED
    assert summary.by_status[Status.REFUSED] == 3
    assert len(cloud.puts) == 3


def test_groups_that_something_subscribes_to_do_not_count_against_the_limit(
    journal: FileJournal,
) -> None:
    """They would not be deleted anyway, so the limit is not exceeded."""
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n[limits]\nmax_group_deletions = 1",
        "test",
    )
    subscribed = [empty(f"/old/{i}", subscriptions=("s",), retention=30) for i in range(5)]
    cloud = Cloud([*subscribed, empty("/old/z"), *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/old/z"]
    assert summary.exit_code is Exit.DONE


def test_too_many_streams_are_not_swept_at_all(journal: FileJournal) -> None:
    """The limit on streams is checked before the first one is deleted."""
    policy = parse(
        "[defaults]\nretention_days = 30\nsweep_streams = true\n[limits]\nmax_stream_deletions = 3",
        "test",
    )
    cloud = Cloud([swept("/s", 4)])
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert summary.exit_code is Exit.REFUSED


def test_only_wholly_expired_streams_are_swept(policy: Policy, journal: FileJournal) -> None:
    """Created, written and ingested before the cutoff, over several pages, to the millisecond."""
    border = days_ago(37)
    group = swept(count=120)
    for made in (
        stream("a-last-before", days_ago(700), border - 1),
        stream("b-last-at", days_ago(700), border),
        stream("c-born-at", border),
    ):
        group.streams[made.name] = made
    cloud = Cloud([group])
    summary, _ = janitor(cloud, policy, journal)
    assert [*group.streams] == ["b-last-at", "c-born-at"]
    assert summary.done[Verb.SWEEP_STREAMS] == 121


def test_streams_are_swept_only_after_retention_was_set(
    policy: Policy, journal: FileJournal
) -> None:
    """Where the put is denied, nothing has expired yet."""
    cloud = Cloud([swept(retention=None)])
    cloud.fault = refusing("PutRetentionPolicy", "AccessDenied")
    janitor(cloud, policy, journal)
    assert cloud.swept == []
    cloud.quiet()
    janitor(cloud, policy, journal)
    assert cloud.swept == [("/aws/lambda/f", "2020/01/01/[1]000")]


def test_no_stream_is_swept_where_deletion_protection_is_on(
    policy: Policy, journal: FileJournal
) -> None:
    """Neither in the group that has it, nor planned."""
    group = swept()
    group.protected = True
    cloud = Cloud([group, *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert summary.planned[Verb.SWEEP_STREAMS] == 0


def test_a_retention_that_was_lowered_makes_nothing_deletable_in_the_same_run(
    journal: FileJournal,
) -> None:
    """Judged again after the put it would be old enough; nobody was told that it would go."""
    policy = parse("[defaults]\nmax_days = 365\ndelete_empty = true", "test")
    cloud = Cloud([Group("/long", days_ago(2000), retention=3653), *fillers()])
    recorded = Recorded()
    _, planned = look(cloud, policy)
    lines = [line for outcome in planned.planned if (line := action_line(outcome)) is not None]
    for again in (False, True, False):
        calls = api(cloud)
        apis = {calls.target: calls}
        books = Books(apis, recorded.listen)
        act = Act(policy, NOW, calls.stop, journal, books, Looks(cloud.clock))
        part = Part(grouped(lines), again=again)
        cloud.clock.run(act.run(apis, {calls.target: part}))
    assert cloud.puts == [("/long", 365)]
    assert cloud.deleted == []
    assert [outcome.status for outcome in recorded.outcomes] == ["done", "done", "kept"]


def test_streams_are_not_swept_once_retention_was_lengthened(
    policy: Policy, journal: FileJournal
) -> None:
    """Somebody else lengthens it between the count and the sweep: nothing has expired yet."""
    cloud = Cloud([swept()])

    def meanwhile(call: Call) -> None:
        if call.operation == "DescribeLogStreams":
            cloud.groups["/aws/lambda/f"].retention = 3653

    cloud.before_call = meanwhile
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert "changed since the plan" in only(recorded, "/aws/lambda/f")[1]


def test_streams_are_not_swept_where_somebody_removed_the_retention_again(
    policy: Policy, journal: FileJournal
) -> None:
    """The run set it; what was to expire is kept for ever again."""
    cloud = Cloud([swept(retention=None), *fillers()])

    def meanwhile(call: Call) -> None:
        if looks(call) and cloud.puts:
            cloud.groups["/aws/lambda/f"].retention = None

    cloud.before_call = meanwhile
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.puts == [("/aws/lambda/f", 30)]
    assert cloud.swept == []
    statuses = [outcome.status for outcome in recorded.of("/aws/lambda/f")]
    assert statuses == [Status.DONE, Status.KEPT]


PROTECTED: dict[str, Any] = {
    "tagged": lambda group: setattr(group, "tags", {"janitor:keep": ""}),
    "given longer retention": lambda group: setattr(group, "retention", 3653),
    "made again": lambda group: setattr(group, "created", days_ago(1)),
}


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_long_sweep_ends_where_somebody_protects_the_group(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The group is read again while thousands of streams are deleted, at least every hundred."""
    cloud = Cloud([swept(count=250), *fillers()])

    def meanwhile(call: Call) -> None:
        if call.operation == "DeleteLogStream" and cloud.calls[call.operation] == 50:
            cloud.clock.jump(5)
            change(cloud.groups["/aws/lambda/f"])

    cloud.before_call = meanwhile
    summary, recorded = janitor(cloud, policy, journal)
    assert len(cloud.swept) == 100
    assert summary.done[Verb.SWEEP_STREAMS] == 100
    assert only(recorded, "/aws/lambda/f")[0] is Status.KEPT


def test_a_long_sweep_ends_where_something_arrives(policy: Policy, journal: FileJournal) -> None:
    """Names that do not date their writers were trusted because nothing had arrived for days: an
    event may be in any of them now, whatever its times show.
    """
    odd = [stream(f"app-{i:03}", days_ago(800)) for i in range(250)]
    cloud = Cloud([Group("/aws/lambda/f", days_ago(900), 9, 30, streams=odd), *fillers()])

    def meanwhile(call: Call) -> None:
        if call.operation == "DeleteLogStream" and cloud.calls[call.operation] == 50:
            now = cloud.clock.now()
            cloud.region.arrivals["/aws/lambda/f"].append(Events(now, 1, 9, now))

    cloud.before_call = meanwhile
    summary, _ = janitor(cloud, policy, journal)
    assert len(cloud.swept) == summary.done[Verb.SWEEP_STREAMS] == 100


def test_no_more_streams_are_swept_than_were_planned(policy: Policy, journal: FileJournal) -> None:
    """Of which CloudWatch gave no whole answer before was not counted when the limits were
    checked.
    """
    group = swept(count=3)
    group.streams |= {name: stream(name, days_ago(800)) for name in ("a", "b")}
    unclear: dict[str, Unclear] = {group.name: "PartialData"}
    cloud = Cloud([group, *fillers()], unknowns=Unknowns(unclear=unclear))
    planned, _ = look(cloud, policy)
    done, _ = janitor(cloud, policy, journal, between=unclear.clear)
    assert (
        planned.planned[Verb.SWEEP_STREAMS]
        == done.done[Verb.SWEEP_STREAMS]
        == len(cloud.swept)
        == 3
    )


def test_a_broken_scan_deletes_nothing_and_says_so(policy: Policy, journal: FileJournal) -> None:
    """A later page is denied: candidates of the first are not reached."""
    cloud = Cloud([empty("/empty"), *fillers(200)])

    def fault(call: Call) -> RefusedError | None:
        listed = call.operation == "DescribeLogGroups" and not looks(call)
        return refused("AccessDeniedException") if listed and len(cloud.scanned) >= 3 else None

    cloud.fault = fault
    summary, _ = janitor(cloud, policy, journal)
    assert summary.planned[Verb.DELETE_GROUP] == 1
    assert cloud.deleted == []
    assert not summary.complete
    assert summary.exit_code is Exit.INCOMPLETE


def test_retention_that_somebody_else_set_meanwhile_is_not_overwritten(
    policy: Policy, journal: FileJournal
) -> None:
    """A long queue at five puts a second: groups are read again before their turn."""
    cloud = Cloud([Group(f"/g/{i:03}", days_ago(3)) for i in range(60)])

    def meanwhile(call: Call) -> None:
        if call.operation == "PutRetentionPolicy":
            cloud.clock.jump(6)
            cloud.groups["/g/059"].retention = 7

    cloud.before_call = meanwhile
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.groups["/g/059"].retention == 7
    assert "changed since the plan" in only(recorded, "/g/059")[1]


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


def test_a_function_made_while_groups_are_deleted_keeps_its_group(
    policy: Policy, journal: FileJournal
) -> None:
    """Functions are listed again once a minute: deletions may go on for many. Their versions are
    not, and keep their groups all the same.
    """
    old = [empty(f"/old/{number:02}", retention=30) for number in range(12)]
    cloud = Cloud([*old, *fillers(200)])
    listed: list[str | None] = []

    def published() -> None:
        cloud.functions["versioned"] = None
        cloud.region.versions["versioned"] = {"1": "/old/10"}

    def meanwhile(call: Call) -> None:
        if (call.operation, call.region) == ("ListFunctions", REGION):
            listed.append(call.parameters.get("FunctionVersion"))
        if call.operation == "DeleteLogGroup":
            cloud.functions["late"] = "/old/11"
            cloud.clock.jump(90)

    cloud.before_call = meanwhile
    _, recorded = janitor(cloud, policy, journal, between=published)
    assert {"/old/10", "/old/11"} <= cloud.groups.keys()
    assert (listed.count("ALL"), len(listed) > 3) == (2, True), "once by survey, once by act"
    assert "Lambda function 'late' logs to it" in only(recorded, "/old/11")[1]


def test_a_slow_disk_makes_the_look_stale(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is written between look and deletion; what took long there is looked at again."""
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


def test_what_subscribes_is_read_again_where_the_streams_took_long(
    policy: Policy, journal: FileJournal
) -> None:
    """Thousands of streams take longer than a second; a subscription is no older than that."""
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


def test_tags_older_than_a_second_are_a_stale_look_too(
    policy: Policy, journal: FileJournal
) -> None:
    """Deletions share the tags that were read; what is left of their second is for the rest."""
    cloud = Cloud([empty(retention=30), *fillers()])
    slow = [0.9, 0.25]
    refusals = [refused("ThrottlingException")]
    times: dict[str, float] = {}

    def delay(call: Call) -> None:
        times[call.operation] = cloud.clock.monotonic()
        if looks(call) and slow:
            cloud.clock.jump(slow.pop())
        if call.operation == "DeleteLogGroup" and refusals:
            raise refusals.pop()

    cloud.before_call = delay
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 1
    assert times["DeleteLogGroup"] - times["ListTagsForResource"] <= 1


def test_tags_that_the_tagging_api_does_not_show_yet_are_seen(
    policy: Policy, journal: FileJournal
) -> None:
    """It lags; the last look reads the tags of the group itself."""
    cloud = Cloud([empty(retention=30), *fillers()], lags=Lags(tags=600, stored=FOR_EVER))
    group = cloud.groups["/old/empty"]
    cloud.store.tag(group, {"janitor:keep": ""}, cloud.clock.now())
    _, recorded = janitor(cloud, policy, journal)
    assert "protected by tag" in only(recorded, "/old/empty")[1]
    assert cloud.deleted == []


def test_tags_that_put_a_group_under_another_rule_meanwhile_keep_it(journal: FileJournal) -> None:
    """With the same cutoff, but proof by events, which nobody looked for."""
    text = "retention_days = 365\ndelete_empty = true\nproof = 'events'"
    policy = parse(
        f"[defaults]\nretention_days = 365\ndelete_empty = true\n"
        f"[[rules]]\nid = 'careful'\ntags = ['careful']\n{text}",
        "test",
    )
    cloud = Cloud([empty(retention=365), *fillers()], lags=Lags(tags=600, stored=FOR_EVER))
    cloud.store.tag(cloud.groups["/old/empty"], {"careful": ""}, cloud.clock.now())
    _, recorded = janitor(cloud, policy, journal)
    assert "rule 'careful'" in only(recorded, "/old/empty")[1]
    assert cloud.deleted == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_a_last_look_that_is_refused_is_journaled_to_its_end(
    code: str, policy: Policy, journal: FileJournal
) -> None:
    """The deletion was announced before it: the journal says that nothing came of it."""
    cloud = Cloud([empty(retention=30), *fillers()])
    cloud.fault = refusing("ListTagsForResource", code)
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    expected = Status.GONE if code.startswith("Resource") else Status.UNKNOWN
    assert only(recorded, "/old/empty")[0] is expected
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [line["status"] for line in lines if line["group"] == "/old/empty"][1:] == [expected]


def test_a_dry_run_calls_nothing_that_changes(policy: Policy, journal: FileJournal) -> None:
    """It counts under `planned` only, and what it plans is what a run then does."""
    cloud = Cloud([empty(), Group("/new", days_ago(3)), swept(count=3), *fillers()])
    planned, _ = look(cloud, policy)
    assert not changing(cloud.calls)
    assert not journal.written
    assert not +planned.done
    done, _ = janitor(cloud, policy, journal)
    assert planned.planned == done.done
    again, _ = janitor(cloud, policy, journal)
    assert not +again.done


def test_the_journal_holds_what_it_takes_to_undo(policy: Policy, journal: FileJournal) -> None:
    """One line for each change, with before and after values."""
    cloud = Cloud([empty(retention=14, tags={"team": "a"}), Group("/new", days_ago(3)), *fillers()])
    janitor(cloud, policy, journal)
    lines = {
        entry["group"]: entry for entry in map(json.loads, journal.path.read_text().splitlines())
    }
    assert lines["/new"]["before"] == {"retention_days": None}
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
    }


def test_what_an_account_level_policy_sets_is_not_journaled_as_the_groups_own(
    policy: Policy, journal: FileJournal
) -> None:
    """An undo would put it underneath, where it counts once the policy is gone."""
    cloud = Cloud([empty(under=("org", 30)), *fillers()])
    janitor(cloud, policy, journal)
    [begun, *_] = map(json.loads, journal.path.read_text().splitlines())
    assert begun["group"] == "/old/empty"
    assert begun["before"]["retention_policy"] is not None
    assert begun["before"]["retention_days"] is None


@pytest.mark.parametrize("nothing", ["empty", "identifier", "not found"])
def test_what_a_group_has_of_its_own_is_asked_once_a_deletion(
    nothing: Any, policy: Policy, journal: FileJournal
) -> None:
    """Whatever AWS answers for nothing; a data protection policy only where there ever was one."""
    groups = [empty(f"/old/{i}") for i in range(4)]
    cloud = Cloud([empty(data_protection='{"Name": "p"}'), *groups, *fillers()])
    cloud.sandbox.world.unknowns = Unknowns(no_transformer=nothing, no_data_protection=nothing)
    janitor(cloud, policy, journal)
    assert len(cloud.deleted) == 5
    assert (cloud.calls["GetTransformer"], cloud.calls["GetDataProtectionPolicy"]) == (5, 1)


def test_few_calls_read_the_tags_of_many_pages(policy: Policy) -> None:
    """A hundred groups a call, though a page has a few that matter."""
    pages = [[Group(f"/{i:02}/new", days_ago(5)), *fillers(49, f"/{i:02}/kept")] for i in range(30)]
    cloud = Cloud([group for page in pages for group in page])
    summary, _ = look(cloud, policy)
    assert summary.planned[Verb.SET_RETENTION] == 30
    assert cloud.calls["GetResources"] <= 6


def test_what_cannot_be_journaled_is_not_done(policy: Policy, tmp_path: Path) -> None:
    """The journal is a folder: no change is made, and the run says why."""
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
def test_what_was_done_counts_though_its_end_could_not_be_journaled(
    operation: str, policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full right after the first change: no other is begun, and that one is told."""
    names = {"PutRetentionPolicy": "/new", "DeleteLogGroup": "/old"}
    groups = [Group("/new", days_ago(3)), empty("/old"), swept()]
    mine = names.get(operation, "/aws/lambda/f")
    cloud = Cloud([*(group for group in groups if group.name == mine), *fillers()])

    async def full(*_ended: Ended) -> None:
        raise JournalError("j: No space left on device")

    monkeypatch.setattr(journal, "end", full)
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.calls[operation] == sum(summary.done.values()) == 1
    assert summary.errors == ["j: No space left on device"]
    assert [outcome.status for outcome in recorded.of(mine)] == [Status.DONE]


def test_streams_swept_before_the_journal_was_full_count(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hundred are gone, the next were not announced."""
    cloud = Cloud([swept(count=250), *fillers()])
    real = journal.begin

    async def begin(*entries: Entry) -> None:
        if cloud.swept:
            raise JournalError("j: No space left on device")
        await real(*entries)

    monkeypatch.setattr(journal, "begin", begin)
    summary, recorded = janitor(cloud, policy, journal)
    assert len(cloud.swept) == summary.done[Verb.SWEEP_STREAMS] == 100
    assert only(recorded, "/aws/lambda/f")[0] is Status.NOT_REACHED
    assert summary.exit_code is Exit.INCOMPLETE


def test_a_slow_journal_is_no_reason_to_put_on_what_was_read_before(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile the group was made again, by somebody who gave it a retention."""
    cloud = Cloud([Group("/new", days_ago(3)), *fillers()])
    real = journal.begin

    async def begin(*entries: Entry) -> None:
        await real(*entries)
        cloud.clock.jump(20)
        cloud.put(Group("/new", days_ago(0), retention=3653))

    monkeypatch.setattr(journal, "begin", begin)
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.groups["/new"].retention == 3653
    assert only(recorded, "/new")[0] is Status.KEPT
    lines = [json.loads(line)["status"] for line in journal.path.read_text().splitlines()]
    assert lines == ["begun", "kept"]


def test_a_journal_on_a_full_disk_is_told_of_once() -> None:
    """By whoever wanted to write; that it cannot be closed either is no news."""
    journal = FileJournal(Path("/dev/full"), Lines("run", "policy"))
    cloud = Cloud([Group("/new", days_ago(3)), *fillers()])
    summary, _ = janitor(cloud, load(None), journal)
    journal.close()
    assert cloud.puts == []
    assert [error.rpartition(": ")[2] for error in summary.errors] == ["No space left on device"]


def test_a_torn_last_line_of_the_journal_is_left_alone(policy: Policy, tmp_path: Path) -> None:
    """A new line begins behind it."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"torn": ')
    cloud = Cloud([Group("/new", days_ago(3))])
    journal = FileJournal(path, Lines("run", "policy"))
    janitor(cloud, policy, journal)
    journal.close()
    torn, *lines = path.read_text().splitlines()
    assert torn == '{"torn": '
    told = [(line["group"], line["status"]) for line in map(json.loads, lines)]
    assert told == [("/new", "begun"), ("/new", "done")]


@pytest.mark.parametrize("gone", [True, False])
def test_a_stream_whose_deletion_lost_its_answer_counts_and_is_journaled(
    gone: bool, policy: Policy, tmp_path: Path
) -> None:
    """Not there any more, this run deleted it; but after a refusal somebody else did."""
    cloud = Cloud([swept()])

    def lost(call: Call) -> RefusedError | None:
        if call.operation != "DeleteLogStream" or cloud.calls[call.operation] > 1:
            return None
        return refused("InternalFailure", 500) if gone else refused("ThrottlingException")

    cloud.after = lost
    journal = FileJournal(tmp_path / "journal.jsonl", Lines("run", "policy"))
    summary, _ = janitor(cloud, policy, journal)
    journal.close()
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    assert [line["status"] for line in lines] == ["begun", "done" if gone else "gone"]
    assert summary.done[Verb.SWEEP_STREAMS] == gone


def test_streams_swept_before_the_credentials_expired_count(
    policy: Policy, journal: FileJournal
) -> None:
    """In the middle of a log group: one was deleted, the other was not."""
    cloud = Cloud([swept(count=2)])
    cloud.fault = lambda call: (
        refused("ExpiredTokenException") if cloud.calls["DeleteLogStream"] > 1 else None
    )
    summary, _ = janitor(cloud, policy, journal)
    assert summary.done[Verb.SWEEP_STREAMS] == 1
    assert summary.exit_code is not Exit.DONE


def test_stopping_takes_no_new_work_and_says_what_was_not_reached(
    policy: Policy, journal: FileJournal
) -> None:
    """As Ctrl-C does, in the middle of the deletions."""
    stop = Stop()
    cloud = Cloud([*(empty(f"/old/{i:02}") for i in range(12)), *fillers(60)])

    def halt(call: Call) -> None:
        if call.operation == "DeleteLogGroup":
            stop.set("interrupted")

    cloud.before_call = halt
    summary, _ = janitor(cloud, policy, journal, stop=stop)
    assert 1 <= len(cloud.deleted) <= DELETIONS_AT_ONCE
    assert summary.done[Verb.DELETE_GROUP] == len(cloud.deleted)
    assert summary.by_status[Status.NOT_REACHED] == 12 - len(cloud.deleted)
    assert summary.exit_code is Exit.INTERRUPTED


def test_credentials_that_expire_in_the_middle_stop_the_run(
    policy: Policy, journal: FileJournal
) -> None:
    """Nothing is retried with them, and the rest is not reached."""
    cloud = Cloud([*(empty(f"/old/{i:02}") for i in range(8)), *fillers(60)])
    cloud.fault = refusing("DescribeSubscriptionFilters", "ExpiredTokenException")
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert any("ExpiredToken" in error for error in summary.errors)
    assert summary.exit_code is Exit.INCOMPLETE


def test_retention_planned_for_a_group_that_only_its_subscription_keeps_is_put(
    policy: Policy, journal: FileJournal
) -> None:
    """By its own facts it could be deleted; the survey found out that it stays, and so it does."""
    cloud = Cloud([Group("/kept", days_ago(900), subscriptions=("to",))])
    janitor(cloud, policy, journal)
    assert cloud.puts == [("/kept", 365)]
    assert not cloud.deleted


def test_a_plan_that_cannot_be_read_to_its_end_ends_the_run(
    policy: Policy, journal: FileJournal
) -> None:
    """With what was done until then, and why; never as one that was carried out."""
    cloud = Cloud([Group(f"/new/{i:03}", days_ago(3)) for i in range(40)])
    calls, recorded = api(cloud), Recorded()
    _, planned = look(cloud, policy)
    lines = [line for outcome in planned.planned if (line := action_line(outcome)) is not None]

    def cut_off() -> Iterator[PlanLine]:
        yield from lines[:30]
        raise PlanError("plan.jsonl: was changed meanwhile")

    apis = {calls.target: calls}
    books = Books(apis, recorded.listen)
    act = Act(policy, NOW, calls.stop, journal, books, Looks(cloud.clock))
    cloud.clock.run(act.run(apis, {calls.target: Part(grouped(cut_off()))}))
    assert len(cloud.puts) == books.total.done[Verb.SET_RETENTION] < 30
    assert books.total.errors == ["plan.jsonl: was changed meanwhile"]
