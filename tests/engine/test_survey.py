"""A survey: which log groups are read, what is planned for them, and why others are kept."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.core.exit_codes import Exit
from janitor.core.model import Status, Verb
from janitor.journal.journal import FileJournal
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Lags
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    ACCOUNT,
    RESET,
    Cloud,
    Group,
    days_ago,
    janitor,
    look,
    ok,
    refused,
    refusing,
    stream,
)
from tests.engine.groups import empty, fillers, late_arrival, rereads, result_of, sweepable


def test_pages_are_read_to_the_last_even_behind_empty_ones(
    policy: Policy, journal: FileJournal
) -> None:
    """Each group of several pages, with empty ones among them, is read once."""
    cloud = Cloud([Group(f"/g/{i:04}", days_ago(5)) for i in range(230)], empty_pages=0.5)
    summary, _ = janitor(cloud, policy, journal)
    assert summary.groups_scanned == 230
    assert sorted(name for name, _ in cloud.puts) == sorted(cloud.groups)


def test_a_group_on_two_pages_is_counted_once(policy: Policy, journal: FileJournal) -> None:
    """AWS does not say where a page begins, and no group is counted or planned twice."""
    cloud = Cloud([Group(f"/g/{i:04}", days_ago(5)) for i in range(230)], empty_pages=0.5)
    cloud.sandbox.world.unknowns = Unknowns(listed_twice=True)
    summary, _ = janitor(cloud, policy, journal)
    assert (summary.groups_scanned, summary.planned[Verb.SET_RETENTION]) == (230, 230)


KEPT: dict[str, tuple[Group, str]] = {
    "young": (Group("/x", days_ago(37), retention=30), "not more than retention"),
    "bytes": (empty("/x", stored=1, retention=30), "1 B stored"),
    "tag": (empty("/x", tags={"janitor:keep": ""}), "protected by tag"),
    "stack": (
        empty("/x", tags={"aws:cloudformation:stack-name": "s"}, retention=30),
        "protected from deletion by tag",
    ),
    "reserved": (empty("aws/spans", retention=30), "only AWS could create"),
    "deletion protection": (empty("/x", protected=True, retention=30), "deletion protection"),
    "metric filter": (empty("/x", metric_filters=("m", "n"), retention=30), "2 metric filters"),
    "subscription": (empty("/x", subscriptions=("ship",), retention=30), "filter ship"),
    "delivery": (empty("/x", log_class="DELIVERY"), "class DELIVERY"),
    "never by account": (empty("/x", under=("all", None)), "NEVER_EXPIRE"),
    "own": (empty("/cloudwatch-janitor/janitor"), "janitor's own"),
    "arrivals": (empty("/x", retention=30, arrivals={days_ago(1): 9}), "IncomingLogEvents"),
    "live stream": (
        empty(
            "/x",
            retention=30,
            streams=[stream(f"a{i:03}", days_ago(700)) for i in range(120)]
            + [stream("z", days_ago(700), days_ago(2))],
        ),
        "stream 'z' was active",
    ),
    "stream of the cutoff's own moment": (
        empty("/x", retention=30, streams=[stream("s", days_ago(37))]),
        "stream 's' was active 37 days ago",
    ),
    "late arrival of old events": (
        empty("/x", retention=30, streams=[late_arrival("s", days_ago(700), days_ago(2))]),
        "stream 's' was active 2 days ago",
    ),
    "new stream, never written": (
        empty("/x", retention=30, streams=[stream("s", days_ago(1))]),
        "stream 's' was active",
    ),
}


@pytest.mark.parametrize(("group", "reason"), KEPT.values(), ids=KEPT.keys())
def test_each_deletion_rule_keeps_a_group(
    group: Group, reason: str, policy: Policy, journal: FileJournal
) -> None:
    """One reason to keep a group is enough, and it is printed."""
    cloud = Cloud([group, *fillers()])
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert reason in result_of(recorded, group.name)[1]


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
    """A group with a value that makes no sense is neither deleted nor changed."""
    cloud = Cloud([empty(odd=odd), *fillers()])
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert cloud.puts == []
    assert result_of(recorded, "/old/empty")[0] is Status.UNKNOWN
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
def test_a_failed_read_keeps_the_group(
    operation: str, answer: Any, policy: Policy, journal: FileJournal
) -> None:
    """A denied, failing or unparsable read keeps the group, and the others are still judged."""
    cloud = Cloud([empty("/aws/lambda/gone"), Group("/new", days_ago(1), retention=30), *fillers()])
    cloud.fault = lambda call: answer if call.operation == operation else None
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.deleted == []
    assert Status.UNKNOWN in {outcome.status for outcome in recorded.of("/aws/lambda/gone")}
    assert summary.by_status[Status.KEPT] == 21


def test_a_live_owner_keeps_its_group_under_any_name(policy: Policy, journal: FileJournal) -> None:
    """Usual and custom groups of functions, versions and Lambda@Edge replicas are kept."""
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
    assert all("in use by Lambda" in result_of(recorded, name)[1] for name in names)


def test_an_unread_owner_keeps_only_what_it_could_own(policy: Policy, journal: FileJournal) -> None:
    """One warning names the groups that are kept and the denied action."""
    kept = ["/aws/eks/a/cluster", "/aws/eks/b/cluster"]
    cloud = Cloud([*map(empty, kept), empty("/x"), *fillers()])
    denied = refused("AccessDeniedException")
    cloud.fault = lambda call: denied if call.service == "eks" else None
    summary, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/x"]
    (warning,) = summary.warnings
    assert all(text in warning for text in ("eks:ListClusters", *kept))
    assert Status.UNKNOWN in {outcome.status for outcome in recorded.of(kept[0])}


def test_a_policy_without_tags_needs_no_permission_to_read_them(journal: FileJournal) -> None:
    """Its least IAM policy lacks the tagging index, but the journal still has the group's tags."""
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n"
        "[protect]\ntags = []\n[protect.deletion]\ntags = []",
        "test",
    )
    cloud = Cloud([empty(tags={"team": "a"}), Group("/new", days_ago(3)), *fillers()])
    cloud.fault = refusing("GetResources", "AccessDeniedException")
    summary, _ = janitor(cloud, policy, journal)
    assert (len(cloud.deleted), cloud.puts) == (1, [("/new", 365)])
    assert summary.exit_code is Exit.DONE
    assert '"tags": {"team": "a"}' in journal.path.read_text()


def test_unread_tags_that_only_prevent_deletion_allow_a_retention(
    journal: FileJournal,
) -> None:
    """If no tag exempts from every change, retention is set, and empty groups are kept with the
    reason.
    """
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n[protect]\ntags = []", "test"
    )
    cloud = Cloud([empty("/never"), empty("/set", retention=30), *fillers()])
    denied = refused("AccessDeniedException")
    reading = ("GetResources", "ListTagsForResource")
    cloud.fault = lambda call: denied if call.operation in reading else None
    summary, recorded = janitor(cloud, policy, journal)
    assert (cloud.deleted, cloud.puts) == ([], [("/never", 365)])
    for name, status in (("/never", Status.DONE), ("/set", Status.UNKNOWN)):
        found, reason = result_of(recorded, name)
        assert found is status
        assert "tags could not be read: " in reason
    assert summary.exit_code is Exit.UNJUDGED


def test_nothing_is_read_about_a_log_group_that_is_protected_by_name(
    journal: FileJournal,
) -> None:
    """It is kept, not unknown, even with odd values."""
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\nsweep_streams = true\n"
        "[protect]\nnames = ['/spared/*']",
        "test",
    )
    odd = {f"/spared/{number}": odd for number, odd in enumerate(UNKNOWN.values())}
    groups = [empty(name, odd=odd) for name, odd in odd.items()]
    cloud = Cloud([*groups, empty("/spared/empty"), sweepable("/spared/swept")])
    summary, recorded = janitor(cloud, policy, journal)
    assert set(cloud.calls) == {"DescribeLogGroups", "ListServiceQuotas"}
    for name in cloud.groups:
        assert result_of(recorded, name) == (Status.KEPT, "protected by name: /spared/*")
    assert summary.exit_code is Exit.DONE


def test_proof_by_events_drains_to_the_last_token(journal: FileJournal) -> None:
    """An event behind empty pages is found although nothing else shows it yet."""
    policy = parse(
        '[defaults]\nretention_days = 365\ndelete_empty = true\nproof = "events"', "test"
    )
    late = stream("s", days_ago(800), days_ago(1))
    groups = [empty("/has", retention=30, streams=[late]), empty("/not"), *fillers()]
    lags = Lags(stream=2 * 86_400, stored=2 * 86_400, metric=2 * 86_400)
    cloud = Cloud(groups, lags=lags, empty_pages=0.5)
    _, recorded = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/not"]
    assert "holds events" in result_of(recorded, "/has")[1]


def test_infrequent_access_is_unknown_under_proof_by_events(journal: FileJournal) -> None:
    """Its events cannot be read, so it is kept; by arrivals it can be proved empty."""
    for proof, deleted in (("events", []), ("arrivals", ["/ia"])):
        policy = parse(
            f'[defaults]\nretention_days = 365\ndelete_empty = true\nproof = "{proof}"', "test"
        )
        cloud = Cloud([empty("/ia", retention=30, log_class="INFREQUENT_ACCESS"), *fillers()])
        _, recorded = janitor(cloud, policy, journal)
        assert [group.name for group in cloud.deleted] == deleted
        if not deleted:
            assert "FilterLogEvents" in result_of(recorded, "/ia")[1]


def test_subscribed_groups_do_not_count_for_the_limit(journal: FileJournal) -> None:
    """They are not deleted, so the limit is not exceeded."""
    policy = parse(
        "[defaults]\nretention_days = 365\ndelete_empty = true\n[limits]\nmax_group_deletions = 1",
        "test",
    )
    subscribed = [empty(f"/old/{i}", subscriptions=("s",), retention=30) for i in range(5)]
    cloud = Cloud([*subscribed, empty("/old/z"), *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == ["/old/z"]
    assert summary.exit_code is Exit.DONE


def test_a_broken_scan_deletes_nothing_and_says_so(policy: Policy, journal: FileJournal) -> None:
    """If a later page is denied, the first page's candidates are not reached."""
    cloud = Cloud([empty("/empty"), *fillers(200)])

    def fault(call: Call) -> RefusedError | None:
        listed = call.operation == "DescribeLogGroups" and not rereads(call)
        return refused("AccessDeniedException") if listed and len(cloud.scanned) >= 3 else None

    cloud.fault = fault
    summary, _ = janitor(cloud, policy, journal)
    assert summary.planned[Verb.DELETE_GROUP] == 1
    assert cloud.deleted == []
    assert not summary.complete
    assert summary.exit_code is Exit.INCOMPLETE


def test_few_calls_read_the_tags_of_many_pages(policy: Policy) -> None:
    """A call reads the tags of a hundred groups, though each page has few that matter."""
    pages = [[Group(f"/{i:02}/new", days_ago(5)), *fillers(49, f"/{i:02}/kept")] for i in range(30)]
    cloud = Cloud([group for page in pages for group in page])
    summary, _ = look(cloud, policy)
    assert summary.planned[Verb.SET_RETENTION] == 30
    assert cloud.calls["GetResources"] <= 6
