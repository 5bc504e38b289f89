"""A deployment in the middle of a run: its pass starts over, and what was done counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janitor.core.model import (
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Verb,
)
from janitor.engine.plan import Planned, action_line, grouped
from janitor.engine.survey import Page
from janitor.function import handler
from janitor.function.earlier import Earlier
from janitor.function.state import EarlierPass
from janitor.policy.file import parse
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import ACCOUNT, MUTATING, REGION, Cloud, Group, days_ago, refused, stream
from tests.engine.test_properties import relaxed
from tests.function.deployed import BUCKET, SCHEDULED, Deployed, DiedError, cut, die, dying, mixed
from tests.function.test_handler import STATE, final, use

POLICY = """
[defaults]
retention_days = 365
max_days = 365
delete_empty = true
sweep_streams = true
[limits]
max_group_deletions = {most}
max_group_deletion_share = 1.0
[protect.deletion]
owners = ["lambda"]
"""


def world() -> Cloud:
    """Groups whose retention is lowered, which then look as deletable as those to delete, and
    groups to sweep, with a retention and without.
    """
    groups = [Group(f"/lowered/{i}", days_ago(2000), 0, 3653) for i in range(5)]
    groups += [Group(f"/old/{i}", days_ago(900), 0, 365) for i in range(4)]
    for i in range(4):
        streams = [stream(f"2020/01/0{day}/[1]a", days_ago(800)) for day in range(1, 4)]
        retention = 30 if i % 2 else None
        groups.append(Group(f"/aws/lambda/{i}", days_ago(900), 5, retention, streams=streams))
    return Cloud(groups, page=3)


def deploy(patch: pytest.MonkeyPatch, version: object) -> None:
    """Deploy other code."""
    patch.setattr(handler, "code", lambda: str(version))


def test_a_deployment_while_a_run_acts_starts_its_survey_over(monkeypatch: Any) -> None:
    """In the end account and summary are those of an undisturbed run."""
    undisturbed, cloud = mixed(30), mixed(30)
    whole = Deployed(undisturbed).invoke(SCHEDULED)["summary"]
    between = cut(cloud, 60)
    deployed = Deployed(cloud)
    event: Any = SCHEDULED
    while not (cloud.deleted and cloud.puts and cloud.swept):
        between()
        deployed.invoke(event)
        event = deployed.next_event()
    cloud.quiet()
    before = len(cloud.scanned)
    deploy(monkeypatch, "another")
    answer = deployed.invoke(event)
    assert None in cloud.scanned[before:]  # the first page
    assert final(cloud) == final(undisturbed)
    for key in ("groups_scanned", "groups_deleted", "retention_set", "streams_deleted", "planned"):
        assert answer["summary"][key] == whole[key], key
    assert answer["summary"]["complete"]


@pytest.mark.parametrize("at", range(1, 18, 4))
def test_what_a_link_did_before_it_died_counts(monkeypatch: Any, at: int) -> None:
    """It died after its change number `at`, before its state was saved; then other code continues,
    and there is more to delete than the limit allows in all.
    """
    cloud = world()
    use(monkeypatch, parse(POLICY.format(most=4), "test"))
    deployed = Deployed(cloud)
    die_of_changes(deployed, at)
    cloud.put(Group("/more", days_ago(900), 0, 365))
    deploy(monkeypatch, "another")
    summary = deployed.invoke(SCHEDULED)["summary"]
    assert "max_group_deletions = 4" in summary["refused_because"]
    assert len(cloud.deleted) < 4
    assert counted(summary) == made(cloud)


@pytest.mark.parametrize("deployments", [1, 2])
def test_nothing_is_deleted_if_what_a_link_did_cannot_be_counted(
    monkeypatch: Any, deployments: int
) -> None:
    """The Region in which it died can no longer be listed; another has as much to delete as the
    limit allows.
    """
    cloud, elsewhere = world(), "us-east-1"
    use(monkeypatch, parse(POLICY.format(most=4), "test"))
    deployed = Deployed(cloud, {"JANITOR_REGIONS": f"{REGION},{elsewhere}"})
    cloud.store.add_group(ACCOUNT, elsewhere, "/kept", created=days_ago(9))
    die_of_changes(deployed, 14)
    assert cloud.deleted
    for i in range(4):
        cloud.store.add_group(ACCOUNT, elsewhere, f"/{i}", created=days_ago(900), retention=365)

    def unlisted(call: Call) -> RefusedError | None:
        lists = call.operation == "DescribeLogGroups" and call.region == REGION
        return refused("AccessDeniedException") if lists else None

    def late(call: Call) -> None:
        if call.operation in MUTATING and call.parameters["logGroupName"] == "/new/0":
            cloud.clock.jump(900)

    event: Any = SCHEDULED
    cloud.fault, cloud.before_call = unlisted, late
    for version in range(deployments):
        deploy(monkeypatch, version)
        for name in (f"/new/{version}", f"/newer/{version}"):
            cloud.store.add_group(ACCOUNT, elsewhere, name, created=days_ago(9))
        answer = deployed.invoke(event)
        event = deployed.next_event()
    summary = answer["summary"]
    assert f"deleted in {ACCOUNT}/{REGION} is not known" in summary["refused_because"]
    assert {f"/{i}" for i in range(4)} <= set(cloud.store.region(ACCOUNT, elsewhere).groups)


@pytest.mark.parametrize("deployed_again", [False, True])
def test_what_a_link_did_before_it_died_counts_however_little_the_next_one_does(
    monkeypatch: Any, *, deployed_again: bool
) -> None:
    """The next has no time to do anything; then the same code continues, or other code."""
    cloud = world()
    use(monkeypatch, parse(POLICY.format(most=9), "test"))
    deployed = Deployed(cloud)
    die_of_changes(deployed, 20)
    assert cloud.deleted
    cut(cloud, 1)()
    deployed.invoke(SCHEDULED)
    cloud.quiet()
    if deployed_again:
        deploy(monkeypatch, "another")
    assert counted(deployed.invoke(deployed.next_event())["summary"]) == made(cloud)


def test_nothing_is_counted_twice_however_often_the_code_changes(monkeypatch: Any) -> None:
    """Each of three links dies while it acts, and the next runs other code."""
    cloud = world()
    use(monkeypatch, parse(POLICY.format(most=9), "test"))
    deployed = Deployed(cloud)
    for version in range(3):
        deploy(monkeypatch, version)
        die_of_changes(deployed, 5)
    deploy(monkeypatch, "last")
    assert counted(deployed.invoke(SCHEDULED)["summary"]) == made(cloud)


def die_of_changes(deployed: Deployed, most: int) -> None:
    """Run a link that dies right after its change number `most`."""
    changes = 0

    def die(call: Call) -> None:
        nonlocal changes
        changes += call.operation in MUTATING
        if changes >= most:
            raise DiedError

    deployed.cloud.after = die
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED)
    deployed.cloud.quiet()


def died_at_its_first_change(monkeypatch: Any) -> Deployed:
    """A run whose link died before its first change."""
    cloud = world()
    use(monkeypatch, parse(POLICY.format(most=9), "test"))
    cloud.before_call = lambda call: die() if call.operation in MUTATING else None
    deployed = Deployed(cloud)
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED)
    cloud.quiet()
    return deployed


def counted(summary: dict[str, Any]) -> list[int]:
    """The changes that a summary counts."""
    return [summary[what] for what in ("retention_set", "groups_deleted", "streams_deleted")]


def made(cloud: Cloud) -> list[int]:
    """The changes that were made."""
    return [len(cloud.puts), len(cloud.deleted), len(cloud.swept)]


def test_a_deletion_by_somebody_else_is_not_counted_as_done(monkeypatch: Any) -> None:
    """Between the new survey and act, even though a link died with the old plan."""
    deployed = died_at_its_first_change(monkeypatch)
    cloud = deployed.cloud

    def meanwhile(call: Call) -> None:
        if "logGroupIdentifiers" in call.parameters and "/old/3" in cloud.groups:
            cloud.store.remove_group(cloud.groups["/old/3"])

    cloud.before_call = meanwhile
    deploy(monkeypatch, "another")
    summary = deployed.invoke(SCHEDULED)["summary"]
    assert summary["planned"]["delete_group"] == 4
    assert (summary["groups_deleted"], summary["gone"]) == (len(cloud.deleted), 1) == (3, 1)


def test_nothing_is_deleted_after_a_plan_that_the_new_code_cannot_read(monkeypatch: Any) -> None:
    """It cannot know which retentions the run has set."""
    deployed = died_at_its_first_change(monkeypatch)
    cloud = deployed.cloud
    objects = cloud.store.buckets[BUCKET].objects
    for key in [key for key in objects if "/plan-" in key]:
        text = objects[key].body.decode().replace("retention_before", "before")
        cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    deploy(monkeypatch, "another")
    summary = deployed.invoke(SCHEDULED)["summary"]
    assert "retention_before" in summary["errors"][0]
    assert not summary["complete"]
    assert not cloud.deleted + cloud.swept


def test_only_the_uncounted_part_of_a_plan_is_counted() -> None:
    """Neither the lines that are done, nor what was done ahead of them, nor a retention that was
    set before a sweep that was cut short.
    """
    target = Target(ACCOUNT, REGION)
    groups = [LogGroup(target, f"/{number}", "", 1, 0) for number in range(4)]
    sweep = SweepStreams("", "", 9)
    lines = [
        action_line(Outcome(group, action, Status.PLANNED, "", 0, streams=5))
        for group in groups
        for action in (SetRetention("", "", 365), sweep)
    ]
    done = EarlierPass(plan=[], line=2, ahead=[4], swept={6: 2}, again=True)

    async def plan() -> AsyncIterator[Planned]:
        for planned in grouped(line for line in lines if line is not None):
            yield planned

    earlier = Earlier()
    asyncio.run(earlier.read(done, plan()))
    now = [group._replace(retention_days=365) for group in groups]
    left = [Outcome(group, sweep, Status.PLANNED, "", 0, streams=2) for group in now]
    page = Page(target, now, left, None, complete=True)
    assert earlier.uncounted(page) == {Verb.SET_RETENTION: 1, Verb.SWEEP_STREAMS: 3 + 1}
    assert {outcome.status for outcome in earlier.judged(page).outcomes} == {Status.KEPT}


Link = st.tuples(
    st.integers(4, 40),  # the call at which its time is up
    st.one_of(st.none(), st.tuples(st.integers(1, 40), st.booleans())),  # the call it dies at
    st.booleans(),  # whether other code is deployed before it
)


@given(st.lists(Link, min_size=1, max_size=5), st.integers(3, 9), st.integers(0, 4))
@settings(relaxed, max_examples=15)
def test_whatever_code_each_link_runs_the_run_stays_within_plan_and_limits(
    links: list[Any], most: int, more: int
) -> None:
    """Links end and die anywhere, other code continues, and others create more to delete: no
    retention that the run set makes anything deletable in it, the limit holds over all its passes,
    and the summary counts all that was done.
    """
    cloud = world()
    deployed = Deployed(cloud, {"JANITOR_MAX_LINKS": "99"})
    event: Any = SCHEDULED
    policy = parse(POLICY.format(most=most), "test")
    with pytest.MonkeyPatch.context() as patch:
        use(patch, policy)
        for number, (calls, death, other) in enumerate([*links, *[(999, None, False)] * 4]):
            if other:
                deploy(patch, number)
            if number == len(links) // 2:
                for i in range(more):
                    cloud.put(Group(f"/more/{i}", days_ago(900), 0, 365))
            cloud.quiet()
            cut(cloud, calls)()
            if death is not None:
                dying(cloud, death[0], after=death[1])
            try:
                deployed.invoke(event, f"request-{number}")
            except DiedError:
                cloud.clock.jump(900)
                continue
            event = deployed.next_event() or event
    gone = [group.name for group in cloud.deleted]
    assert not [name for name in gone if name.startswith("/lowered")]
    assert len(gone) <= most
    summary = json.loads(deployed.objects[STATE])["ended"]
    assert counted(summary) == made(cloud)
    for i in range(5):
        assert cloud.groups[f"/lowered/{i}"].retention == 365
