"""Sweeps: which log streams of a log group that is kept are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from janitor.aws.logs import Logs
from janitor.core.errors import JournalError
from janitor.core.exit_codes import Exit
from janitor.core.model import LogGroup, Status, Verb
from janitor.engine.act import _CurrentGroups
from janitor.journal.journal import Entry, FileJournal
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Events
from janitor.sandbox.unknowns import Unclear, Unknowns
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    Cloud,
    Group,
    api,
    days_ago,
    janitor,
    refused,
    refusing,
    stream,
)
from tests.engine.groups import (
    act_on,
    fillers,
    journal_lines,
    planned_lines,
    rereads,
    result_of,
    sweepable,
)


def test_no_stream_becomes_sweepable_during_a_run(policy: Policy, journal: FileJournal) -> None:
    """An arrival within 48 hours before the survey keeps streams whose times may lag for the whole
    run: only those that Lambda dated were planned and counted for the limits.
    """
    dated = ["2020/01/01/[1]a", "2020/01/01/of-a_group-of-its-own[$LATEST][a]"]
    others = ("0", "2020/01/01/of-nobody-knows-whom")
    streams = [stream(name, days_ago(900), days_ago(800)) for name in (*others, *dated)]
    arrivals = {days_ago(47 / 24): 9}
    live = Group("/aws/lambda/a", days_ago(900), 9, 30, streams=streams, arrivals=arrivals)
    cloud = Cloud([live, *fillers()])
    wait = partial(cloud.clock.jump, 2 * 3600)
    summary, _ = janitor(cloud, policy, journal, between=wait)
    assert summary.planned[Verb.SWEEP_STREAMS] == 2
    assert cloud.swept == [("/aws/lambda/a", name) for name in dated]


def test_too_many_streams_are_not_swept_at_all(journal: FileJournal) -> None:
    """The limit on streams is checked before the first deletion, and beyond it the plan names no
    more streams.
    """
    policy = parse(
        "[defaults]\nretention_days = 30\nsweep_streams = true\n[limits]\nmax_stream_deletions = 3",
        "test",
    )
    cloud = Cloud([sweepable("/a", 3), sweepable("/b", 1)])
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert summary.exit_code is Exit.REFUSED
    assert [len(one.stream_names) for one in recorded.planned] == [3, 0]


def test_only_wholly_expired_streams_are_swept(policy: Policy, journal: FileJournal) -> None:
    """Streams of several pages are swept if created and written before the cutoff, exactly."""
    border = days_ago(37)
    group = sweepable(count=120)
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
    """If the put is denied, nothing has expired yet."""
    cloud = Cloud([sweepable(retention=None)])
    cloud.fault = refusing("PutRetentionPolicy", "AccessDenied")
    janitor(cloud, policy, journal)
    assert cloud.swept == []
    cloud.quiet()
    janitor(cloud, policy, journal)
    assert cloud.swept == [("/aws/lambda/f", "2020/01/01/[1]000")]


def test_deletion_protection_prevents_sweeps(policy: Policy, journal: FileJournal) -> None:
    """A protected group's streams are neither planned nor swept."""
    group = sweepable()
    group.protected = True
    cloud = Cloud([group, *fillers()])
    summary, _ = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert summary.planned[Verb.SWEEP_STREAMS] == 0


def test_an_answer_from_before_a_put_is_not_used_after_it(journal: FileJournal) -> None:
    """A listing that is on its way during the put does not show the new retention."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    looked, real, put = _CurrentGroups(logs, ["/a"], lambda _: False), logs.named, asyncio.Event()

    async def slow(names: Sequence[str]) -> dict[str, LogGroup]:
        found = await real(names)
        await put.wait()
        return found

    async def both() -> LogGroup | None:
        other = asyncio.create_task(looked.of("/a", Verb.SWEEP_STREAMS))
        await asyncio.sleep(0)
        cloud.groups["/a"].retention = 30
        looked.changed()
        put.set()
        await other
        return await looked.of("/a", Verb.SWEEP_STREAMS)

    logs.named = slow  # type: ignore[method-assign]
    found = cloud.clock.run(both())
    assert found is not None
    assert found.retention_days == 30


def test_a_retention_that_is_removed_after_the_put_prevents_the_sweep(
    policy: Policy, journal: FileJournal
) -> None:
    """Without the retention that the run set, nothing expires any more."""
    cloud = Cloud([sweepable(retention=None), *fillers()])

    def interfere(call: Call) -> None:
        if rereads(call) and cloud.puts:
            cloud.groups["/aws/lambda/f"].retention = None

    cloud.before_call = interfere
    _, recorded = janitor(cloud, policy, journal)
    assert cloud.puts == [("/aws/lambda/f", 365)]
    assert cloud.swept == []
    statuses = [outcome.status for outcome in recorded.of("/aws/lambda/f")]
    assert statuses == [Status.DONE, Status.KEPT]


def test_a_retention_that_is_removed_after_the_plan_prevents_the_sweep(
    journal: FileJournal,
) -> None:
    """The streams are kept even if the policy would set the same retention and sweep."""
    rule = "retention_days = 30\nsweep_streams = true"
    policy = parse(f"[defaults]\n{rule}", "test")
    cloud = Cloud([sweepable(), *fillers()])
    remove = partial(setattr, cloud.groups["/aws/lambda/f"], "retention", None)
    _, recorded = janitor(cloud, policy, journal, between=remove)
    result = result_of(recorded, "/aws/lambda/f")
    assert result == (Status.KEPT, "changed since the plan: its retention")
    assert cloud.swept == []


PROTECTED: dict[str, Any] = {
    "tagged": lambda group: setattr(group, "tags", {"janitor:keep": ""}),
    "given longer retention": lambda group: setattr(group, "retention", 3653),
    "recreated": lambda group: setattr(group, "created", days_ago(1)),
    "protected": lambda group: setattr(group, "protected", True),
}


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_change_since_the_plan_prevents_the_sweep(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The sweep is not even announced in the journal."""
    cloud = Cloud([sweepable(), *fillers()])
    between = partial(change, cloud.groups["/aws/lambda/f"])
    summary, _ = janitor(cloud, policy, journal, between=between)
    assert cloud.swept == []
    assert summary.done[Verb.SWEEP_STREAMS] == 0
    assert not journal.path.exists()


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_change_ends_a_long_sweep(change: Any, policy: Policy, journal: FileJournal) -> None:
    """The group is read again every five seconds while thousands of streams are deleted."""
    cloud = Cloud([sweepable(count=250), *fillers()])

    def interfere(call: Call) -> None:
        if call.operation == "DeleteLogStream" and cloud.calls[call.operation] == 50:
            cloud.clock.jump(5)
            change(cloud.groups["/aws/lambda/f"])

    cloud.after = interfere
    summary, recorded = janitor(cloud, policy, journal)
    assert len(cloud.swept) == 50
    assert summary.done[Verb.SWEEP_STREAMS] == 50
    assert result_of(recorded, "/aws/lambda/f")[0] is Status.KEPT


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_change_prevents_the_retry_of_a_sweep(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The group is read again before a retry, which may come minutes later."""
    cloud = Cloud([sweepable(), *fillers()])

    def fault(call: Call) -> RefusedError | None:
        if call.operation != "DeleteLogStream" or cloud.calls[call.operation] > 1:
            return None
        cloud.clock.jump(6)
        change(cloud.groups["/aws/lambda/f"])
        return refused("OperationAbortedException")

    cloud.fault = fault
    _, recorded = janitor(cloud, policy, journal)
    assert (cloud.swept, result_of(recorded, "/aws/lambda/f")[0]) == ([], Status.KEPT)


def test_an_arrival_ends_a_long_sweep(policy: Policy, journal: FileJournal) -> None:
    """Undated streams were trusted because nothing had arrived for days, and any of them may hold
    the new event, whatever its times show.
    """
    odd = [stream(f"app-{i:03}", days_ago(800)) for i in range(250)]
    cloud = Cloud([Group("/aws/lambda/f", days_ago(900), 9, 30, streams=odd), *fillers()])

    def interfere(call: Call) -> None:
        if call.operation == "DeleteLogStream" and cloud.calls[call.operation] == 50:
            now = cloud.clock.now()
            cloud.region.arrivals["/aws/lambda/f"].append(Events(now, 1, 9, now))

    cloud.before_call = interfere
    summary, _ = janitor(cloud, policy, journal)
    assert len(cloud.swept) == summary.done[Verb.SWEEP_STREAMS] == 100


@pytest.mark.parametrize("now", ["trusted", "listed"])
def test_only_planned_streams_are_swept(now: str, policy: Policy, journal: FileJournal) -> None:
    """More streams may become sweepable: CloudWatch's answer was incomplete before, or the listing
    ended at a stream of a live function that is gone.
    """
    dated, odd = [f"2020/01/01/[1]{n}" for n in range(3)], ["0", "z"]
    streams = [stream(name, days_ago(800)) for name in (*dated, *odd)]
    live = stream("2026/12/31/[1]", days_ago(15))
    unclear: dict[str, Unclear] = {"/aws/lambda/f": "PartialData"} if now == "trusted" else {}
    streams += [live] * (now == "listed")
    group = Group("/aws/lambda/f", days_ago(900), 9, 30, streams=streams)
    cloud = Cloud([group, *fillers()], unknowns=Unknowns(unclear=unclear), page=5)

    def interfere() -> None:
        unclear.clear()
        del group.streams[dated[0]]
        if now == "listed":
            del group.streams[live.name]

    summary, _ = janitor(cloud, policy, journal, between=interfere)
    expected = dated[1:] if now == "trusted" else ["0", *dated[1:]]
    assert cloud.swept == [(group.name, name) for name in expected]
    assert summary.planned[Verb.SWEEP_STREAMS] == 1 + len(expected)
    assert summary.done[Verb.SWEEP_STREAMS] == len(expected)


def test_streams_that_a_dead_attempt_swept_are_counted_once(
    policy: Policy, journal: FileJournal
) -> None:
    """Of five streams, an earlier link counted one, and two more are gone."""
    cloud = Cloud([sweepable(count=5), *fillers()])
    lines = planned_lines(cloud, policy)
    for number in range(3):
        del cloud.groups["/aws/lambda/f"].streams[f"2020/01/01/[1]{number:03}"]
    books, _ = act_on(lines, cloud, policy, journal, swept={1: 1}, interrupted=True)
    assert (len(cloud.swept), books.total.done[Verb.SWEEP_STREAMS]) == (2, 4)


def test_streams_swept_before_the_journal_was_full_count(
    policy: Policy, journal: FileJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hundred are gone, and the next were not announced."""
    cloud = Cloud([sweepable(count=250), *fillers()])
    real = journal.begin

    async def begin(*entries: Entry) -> None:
        if cloud.swept:
            raise JournalError("j: No space left on device")
        await real(*entries)

    monkeypatch.setattr(journal, "begin", begin)
    summary, recorded = janitor(cloud, policy, journal)
    assert len(cloud.swept) == summary.done[Verb.SWEEP_STREAMS] == 100
    assert result_of(recorded, "/aws/lambda/f")[0] is Status.NOT_REACHED
    assert summary.exit_code is Exit.INCOMPLETE


@pytest.mark.parametrize("gone", [True, False])
def test_a_stream_that_is_gone_after_a_lost_answer_counts(
    gone: bool, policy: Policy, journal: FileJournal
) -> None:
    """After a lost answer this run deleted it, but after a refusal somebody else did."""
    cloud = Cloud([sweepable()])

    def lost(call: Call) -> RefusedError | None:
        if call.operation != "DeleteLogStream" or cloud.calls[call.operation] > 1:
            return None
        return refused("InternalFailure", 500) if gone else refused("ThrottlingException")

    cloud.after = lost
    summary, _ = janitor(cloud, policy, journal)
    statuses = [line["status"] for line in journal_lines(journal)]
    assert statuses == ["begun", "done" if gone else "gone"]
    assert summary.done[Verb.SWEEP_STREAMS] == gone


def test_streams_swept_before_the_credentials_expired_count(
    policy: Policy, journal: FileJournal
) -> None:
    """One of a log group's two streams is deleted when the credentials expire."""
    cloud = Cloud([sweepable(count=2)])
    cloud.fault = lambda call: (
        refused("ExpiredTokenException") if cloud.calls["DeleteLogStream"] > 1 else None
    )
    summary, _ = janitor(cloud, policy, journal)
    assert summary.done[Verb.SWEEP_STREAMS] == 1
    assert summary.exit_code is not Exit.DONE
