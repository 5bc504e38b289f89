"""Rules with `orphan_days` or `quiet_days`: what is asked, and what follows from the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from janitor.core.model import OWNER_GONE, Outcome, Status, Verb
from janitor.engine.plan import action_line
from janitor.journal.journal import FileJournal
from janitor.policy.file import parse
from janitor.sandbox.store import Events
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call
from tests.accounts import NOW, Cloud, Group, days_ago, janitor, look, refused, refusing, stream
from tests.engine.groups import result_of

ORPHANS = """
[defaults]
retention_days = 365
[protect]
tags = ["janitor:keep"]
[protect.deletion]
owners = ["lambda", "rds"]
[[rules]]
id = "orphans"
orphan_days = 30
retention_days = 30
max_days = 30
sweep_streams = true
"""
QUIET = """
[defaults]
retention_days = 365
[[rules]]
id = "quiet"
names = ["/app/*"]
quiet_days = 180
retention_days = 30
"""
GONE, LIVE = "/aws/lambda/gone", "/aws/lambda/live"


def full(name: str, *, heard: float | None = None, age: float = 800, **fields: Any) -> Group:
    """Return a log group with events, the last of which arrived `heard` days ago."""
    arrivals = {} if heard is None else {days_ago(heard): 9}
    return Group(name, days_ago(age), 5_000, arrivals=arrivals, **fields)


def put(cloud: Cloud) -> dict[str, int]:
    """Return the retentions that were put."""
    return dict(cloud.puts)


def metrics(cloud: Cloud) -> list[str]:
    """Return a list of the log groups whose metric is asked for from now on."""
    asked: list[str] = []

    def seen(call: Call) -> None:
        queries = call.parameters.get("MetricDataQueries", ())
        asked.extend(query["MetricStat"]["Metric"]["Dimensions"][0]["Value"] for query in queries)

    cloud.before_call = seen
    return asked


def test_an_orphan_gets_the_orphans_retention(journal: FileJournal) -> None:
    """A log group with an owner, recent events, a young age or another name is not an orphan."""
    groups = [full(GONE, heard=31), full("/aws/rds/instance/old/error"), full(LIVE)]
    groups += [full("/aws/lambda/heard", heard=29), full("/aws/lambda/young", age=29), full("/app")]
    cloud = Cloud(groups)
    cloud.functions["live"] = None
    _, recorded = janitor(cloud, parse(ORPHANS, "t"), journal)
    orphans = {GONE, "/aws/rds/instance/old/error"}
    assert put(cloud) == {group.name: 30 if group.name in orphans else 365 for group in groups}
    assert "(not in use by Lambda function gone" in result_of(recorded, GONE)[1]
    [planned] = [outcome for outcome in recorded.planned if outcome.group.name == GONE]
    line = action_line(planned)
    assert line is not None
    assert any("nothing arrived in the last 30 days" in text for text in line.facts.evidence)


def test_an_orphan_is_deleted_once_its_events_have_expired(journal: FileJournal) -> None:
    """It gets a short retention first, and is kept while it has stored bytes."""
    policy = parse(ORPHANS.replace("[protect]", "delete_empty = true\n[protect]"), "t")
    kept = [full(f"/kept/{i}", retention=365) for i in range(9)]
    old = stream("s", days_ago(400), days_ago(400))
    cloud = Cloud([full(GONE, retention=3653, streams=[old]), *kept])
    janitor(cloud, policy, journal)
    assert (put(cloud), cloud.deleted) == ({GONE: 30}, [])
    janitor(cloud, policy, journal)
    assert cloud.deleted == []
    cloud.groups[GONE].stored = 0
    janitor(cloud, policy, journal)
    assert [group.name for group in cloud.deleted] == [GONE]


def test_a_quiet_log_group_gets_the_rules_retention(journal: FileJournal) -> None:
    """Nothing has arrived for so long, and the log group is older than that."""
    groups = [full("/app/quiet", heard=181), full("/app/heard", heard=179)]
    cloud = Cloud([*groups, full("/app/young", age=179), full("/other")])
    janitor(cloud, parse(QUIET, "t"), journal)
    assert put(cloud) == {"/app/quiet": 30, "/app/heard": 365, "/app/young": 365, "/other": 365}


UNREAD: dict[str, tuple[str, str, Callable[[Cloud], None]]] = {
    "owner": (
        ORPHANS,
        GONE,
        lambda cloud: setattr(cloud, "fault", refusing("ListFunctions", "AccessDeniedException")),
    ),
    "metric": (
        QUIET,
        "/app/x",
        lambda cloud: setattr(cloud, "fault", refusing("GetMetricData", "AccessDenied")),
    ),
    "unclear metric": (
        QUIET,
        "/app/x",
        lambda cloud: setattr(
            cloud.sandbox.world, "unknowns", Unknowns(unclear={"/app/x": "PartialData"})
        ),
    ),
}


@pytest.mark.parametrize(("policy", "name", "trouble"), UNREAD.values(), ids=UNREAD.keys())
def test_no_later_rule_is_applied_if_an_answer_cannot_be_read(
    policy: str, name: str, trouble: Callable[[Cloud], None], journal: FileJournal
) -> None:
    """The log group is unknown, and those that do not depend on the answer are changed."""
    cloud = Cloud([full(name), full("/other")])
    trouble(cloud)
    _, recorded = janitor(cloud, parse(policy, "t"), journal)
    assert put(cloud) == {"/other": 365}
    status, reason = result_of(recorded, name)
    assert status is Status.UNKNOWN
    assert reason.startswith("which rule applies is unknown: ")


def test_only_what_may_match_is_asked_about(journal: FileJournal) -> None:
    """Other conditions and earlier rules come first, and nothing is asked without a difference."""
    earlier = '[[rules]]\nid = "first"\nnames = ["/app/first*"]\nretention_days = 7\n[[rules]]'
    policy = parse(QUIET.replace("[[rules]]", earlier), "t")
    groups = [full("/app/first"), full("/other"), full("/app/set", retention=90)]
    groups += [full("/app/young", age=9), full("/app/mine", tags={"janitor:keep": ""})]
    cloud = Cloud([*groups, full("/app/asked")])
    asked = metrics(cloud)
    look(cloud, policy)
    assert set(asked) == {"/app/asked"}
    assert cloud.calls["ListFunctions"] == 0


def test_owners_are_read_only_if_the_name_identifies_one() -> None:
    """That owner is read first, and if it exists nothing else is asked."""
    cloud = Cloud([full(LIVE), full("/app")])
    cloud.functions["live"] = None
    look(cloud, parse(ORPHANS, "t"))
    assert cloud.calls["ListFunctions"] == 1
    assert not cloud.calls.keys() & {"DescribeDBInstances", "GetMetricData"}


def test_a_policy_without_such_rules_asks_nothing() -> None:
    """It reads neither owners nor metrics."""
    cloud = Cloud([full(GONE), full("/app/x")])
    _, recorded = look(cloud, parse("[defaults]\nretention_days = 365", "t"))
    assert not cloud.calls.keys() & {"ListFunctions", "GetMetricData"}
    assert all(group.answers is None for group in recorded.groups)


def _comes_back(cloud: Cloud) -> None:
    cloud.functions["gone"] = None
    cloud.clock.jump(60)


def _is_written_to(cloud: Cloud) -> None:
    cloud.region.arrivals.setdefault(GONE, []).append(Events(NOW, 1, 9, NOW))


@pytest.mark.parametrize("change", [_comes_back, _is_written_to], ids=["owner", "arrivals"])
@pytest.mark.parametrize("retention", [None, 365], ids=["none", "longer"])
def test_what_changed_since_the_plan_gets_no_short_retention(
    change: Callable[[Cloud], None], retention: int | None, journal: FileJournal
) -> None:
    """The short retention would delete events that a returned owner may need."""
    cloud = Cloud([full(GONE, retention=retention)])
    _, recorded = janitor(cloud, parse(ORPHANS, "t"), journal, between=lambda: change(cloud))
    assert put(cloud) == {}
    status, reason = result_of(recorded, GONE)
    assert status is Status.KEPT
    assert reason.startswith("changed since the plan")


def test_an_answer_that_cannot_be_repeated_prevents_a_short_retention(journal: FileJournal) -> None:
    """Reading the owner may be denied since the plan was made."""
    cloud = Cloud([full(GONE)])

    def deny() -> None:
        cloud.clock.jump(60)
        cloud.fault = lambda call: (
            refused("AccessDeniedException") if call.operation == "ListFunctions" else None
        )

    _, recorded = janitor(cloud, parse(ORPHANS, "t"), journal, between=deny)
    assert put(cloud) == {}
    assert result_of(recorded, GONE)[0] is Status.UNKNOWN


def test_a_sweep_by_such_a_rule_follows_its_retention(journal: FileJournal) -> None:
    """The sweep follows the rule that held before the retention was put."""
    old = [stream(f"2020/01/01/[1]{i}", days_ago(790), days_ago(790)) for i in range(3)]
    cloud = Cloud([full(GONE, streams=old)])
    summary, _ = janitor(cloud, parse(ORPHANS, "t"), journal)
    assert put(cloud) == {GONE: 30}
    assert summary.done[Verb.SWEEP_STREAMS] == 3


def test_a_deletion_says_who_recreates_the_log_group(journal: FileJournal) -> None:
    """The reason warns that the new log group will have no retention."""
    policy = parse("[defaults]\nretention_days = 30\ndelete_empty = true", "t")
    names = ["/aws/rds/instance/old/error", "/aws/lambda/old", "/app/old"]
    kept = [full(f"/kept/{i}", retention=365) for i in range(20)]
    cloud = Cloud([*(Group(name, days_ago(800)) for name in names), *kept])
    _, recorded = look(cloud, policy)
    reasons = {outcome.group.name: outcome.reason for outcome in recorded.planned}
    again = "the next RDS instance of that name recreates it, without retention"
    assert reasons[names[0]].endswith(again)
    assert "the next Lambda function of that name may recreate it" in reasons[names[1]]
    assert "recreate" not in reasons[names[2]]


@pytest.mark.parametrize("retention", [None, 30])
def test_a_report_may_ask_for_all_orphans(retention: int | None) -> None:
    """All orphans are reported, whatever the rules, and what is planned stays the same."""
    groups = [full(GONE, retention=30), full("/aws/lambda/heard", heard=2, retention=retention)]
    cloud = Cloud([*groups, full("/app", retention=retention), full(LIVE, retention=retention)])
    cloud.functions["live"] = None
    policy = parse(ORPHANS.partition("[[rules]]")[0], "t")
    plain = _actions(look(cloud, policy)[1].planned)
    _, recorded = look(cloud, policy, orphans=True)
    orphans = {group.name: group.orphan_of for group in recorded.groups if group.orphan_of}
    assert orphans == {GONE: "Lambda function gone"}
    assert _actions(recorded.planned) == plain
    assert not any((g.answers or {}).get(OWNER_GONE) for g in recorded.groups if g.name == "/app")


def _actions(outcomes: list[Outcome]) -> list[Any]:
    return [(outcome.group.name, outcome.action) for outcome in outcomes]
