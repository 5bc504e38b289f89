"""Sweeps: which log streams of a log group that stays are deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from janitor.aws.logs import Logs
from janitor.core.errors import Exit, JournalError
from janitor.core.model import LogGroup, Status, Verb
from janitor.engine.act import Act, Part, _Looked, at_hand
from janitor.engine.books import Books
from janitor.engine.looks import Looks
from janitor.engine.plan import action_line, grouped
from janitor.journal.journal import Entry, FileJournal, Lines
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Events
from janitor.sandbox.unknowns import Unclear, Unknowns
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    NOW,
    Cloud,
    Group,
    api,
    days_ago,
    janitor,
    look,
    refused,
    refusing,
    stream,
)
from tests.engine.groups import fillers, looks, only, swept


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


def test_too_many_streams_are_not_swept_at_all(journal: FileJournal) -> None:
    """The limit on streams is checked before the first one is deleted, and the plan does not name
    millions of them.
    """
    policy = parse(
        "[defaults]\nretention_days = 30\nsweep_streams = true\n[limits]\nmax_stream_deletions = 3",
        "test",
    )
    cloud = Cloud([swept("/a", 3), swept("/b", 1)])
    summary, recorded = janitor(cloud, policy, journal)
    assert cloud.swept == []
    assert summary.exit_code is Exit.REFUSED
    assert [len(one.stream_names) for one in recorded.planned] == [3, 0]


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


def test_a_put_is_seen_by_what_follows_though_the_group_was_being_read(
    journal: FileJournal,
) -> None:
    """For another one of its page: what was on its way then does not show the put."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    looked, real, put = _Looked(logs, ["/a"], lambda _: False), logs.named, asyncio.Event()

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
    assert cloud.puts == [("/aws/lambda/f", 365)]
    assert cloud.swept == []
    statuses = [outcome.status for outcome in recorded.of("/aws/lambda/f")]
    assert statuses == [Status.DONE, Status.KEPT]


def test_streams_are_not_swept_where_somebody_removed_the_retention_that_they_had(
    journal: FileJournal,
) -> None:
    """Though the policy would give the same, and what is put leads to a sweep."""
    rule = "retention_days = 30\nsweep_streams = true"
    policy = parse(f"[defaults]\n{rule}", "test")
    cloud = Cloud([swept(), *fillers()])
    _, recorded = janitor(
        cloud,
        policy,
        journal,
        between=lambda: setattr(cloud.groups["/aws/lambda/f"], "retention", None),
    )
    assert only(recorded, "/aws/lambda/f") == (Status.KEPT, "changed since the plan: its retention")
    assert cloud.swept == []


PROTECTED: dict[str, Any] = {
    "tagged": lambda group: setattr(group, "tags", {"janitor:keep": ""}),
    "given longer retention": lambda group: setattr(group, "retention", 3653),
    "recreated": lambda group: setattr(group, "created", days_ago(1)),
    "protected": lambda group: setattr(group, "protected", True),
}


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_no_sweep_is_begun_where_somebody_protected_the_group_since_the_plan(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """Nor announced in the journal."""
    cloud = Cloud([swept(), *fillers()])
    between = lambda: change(cloud.groups["/aws/lambda/f"])  # noqa: E731
    summary, _ = janitor(cloud, policy, journal, between=between)
    assert cloud.swept == []
    assert summary.done[Verb.SWEEP_STREAMS] == 0
    assert not journal.path.exists()


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_long_sweep_ends_where_somebody_protects_the_group(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """The group is read again every five seconds while thousands of streams are deleted."""
    cloud = Cloud([swept(count=250), *fillers()])

    def meanwhile(call: Call) -> None:
        if call.operation == "DeleteLogStream" and cloud.calls[call.operation] == 50:
            cloud.clock.jump(5)
            change(cloud.groups["/aws/lambda/f"])

    cloud.after = meanwhile
    summary, recorded = janitor(cloud, policy, journal)
    assert len(cloud.swept) == 50
    assert summary.done[Verb.SWEEP_STREAMS] == 50
    assert only(recorded, "/aws/lambda/f")[0] is Status.KEPT


@pytest.mark.parametrize("change", PROTECTED.values(), ids=PROTECTED.keys())
def test_a_stream_is_not_tried_again_where_somebody_protected_the_group(
    change: Any, policy: Policy, journal: FileJournal
) -> None:
    """Attempts, and waiting for them, may take minutes."""
    cloud = Cloud([swept(), *fillers()])

    def fault(call: Call) -> RefusedError | None:
        if call.operation != "DeleteLogStream" or cloud.calls[call.operation] > 1:
            return None
        cloud.clock.jump(6)
        change(cloud.groups["/aws/lambda/f"])
        return refused("OperationAbortedException")

    cloud.fault = fault
    _, recorded = janitor(cloud, policy, journal)
    assert (cloud.swept, only(recorded, "/aws/lambda/f")[0]) == ([], Status.KEPT)


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


@pytest.mark.parametrize("now", ["trusted", "listed"])
def test_no_other_streams_are_swept_than_were_planned(
    now: str, policy: Policy, journal: FileJournal
) -> None:
    """Others come to light: CloudWatch gave no whole answer before, or the page ended in a stream
    of a live function, which is gone.
    """
    dated, odd = [f"2020/01/01/[1]{n}" for n in range(3)], ["0", "z"]
    streams = [stream(name, days_ago(800)) for name in (*dated, *odd)]
    live = stream("2026/12/31/[1]", days_ago(15))
    unclear: dict[str, Unclear] = {"/aws/lambda/f": "PartialData"} if now == "trusted" else {}
    streams += [live] * (now == "listed")
    group = Group("/aws/lambda/f", days_ago(900), 9, 30, streams=streams)
    cloud = Cloud([group, *fillers()], unknowns=Unknowns(unclear=unclear), page=5)

    def meanwhile() -> None:
        unclear.clear()
        del group.streams[dated[0]]
        if now == "listed":
            del group.streams[live.name]

    summary, _ = janitor(cloud, policy, journal, between=meanwhile)
    expected = dated[1:] if now == "trusted" else ["0", *dated[1:]]
    assert cloud.swept == [(group.name, name) for name in expected]
    assert summary.planned[Verb.SWEEP_STREAMS] == 1 + len(expected)
    assert summary.done[Verb.SWEEP_STREAMS] == len(expected)


def test_what_an_attempt_that_died_swept_is_counted_once(
    policy: Policy, journal: FileJournal
) -> None:
    """Of five streams one was counted by a link that was cut, and two more are gone."""
    cloud = Cloud([swept(count=5), *fillers()])
    _, recorded = look(cloud, policy)
    for number in range(3):
        del cloud.groups["/aws/lambda/f"].streams[f"2020/01/01/[1]{number:03}"]
    lines = [line for outcome in recorded.planned if (line := action_line(outcome)) is not None]
    calls = api(cloud)
    apis = {calls.target: calls}
    books = Books(apis, lambda _groups, _outcomes: None)
    act = Act(policy, NOW, calls.stop, journal, books, Looks(cloud.clock))
    part = Part(at_hand(grouped(lines)), swept={1: 1}, again=True)
    cloud.clock.run(act.run(apis, {calls.target: part}))
    assert (len(cloud.swept), books.total.done[Verb.SWEEP_STREAMS]) == (2, 4)


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
