"""Carries out a plan, line by line: each log group is read and judged again, and changed only if it
still comes out as planned.

Only this module and the undo change anything. A change that cannot be journaled is not made.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Protocol

from janitor.aws.api import Api, CallError, ReadError, UnavailableError, chunks
from janitor.aws.logs import Changes, Logs
from janitor.aws.retries import TransientError, retrying
from janitor.aws.tags import read_tags
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import CredentialsError, JanitorError, JournalError, PlanError
from janitor.core.model import (
    Action,
    Answer,
    Change,
    DeleteGroup,
    Evidence,
    Extras,
    Keep,
    LogGroup,
    LogStream,
    Outcome,
    Question,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Unknown,
    Verb,
    outcome_now,
    verb_of,
)
from janitor.core.text import counted
from janitor.core.together import together
from janitor.engine.admission import Admission
from janitor.engine.arrivals import Arrivals
from janitor.engine.plan import ActionLine, Planned
from janitor.engine.proof import (
    MAX_STREAMS_AGE,
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    extras_of,
    few_streams_silent,
    no_arrivals,
    no_events,
    no_subscription_filters,
    recreated_by,
    streams_silent,
    unused,
)
from janitor.engine.questions import Questions
from janitor.engine.streams import sweepable, trusted
from janitor.engine.survey import TARGETS_AT_ONCE
from janitor.engine.users import Users
from janitor.engine.window import Window
from janitor.journal.journal import Ended, Entry, Journal
from janitor.owners.owners import OwnerCache
from janitor.owners.table import chosen
from janitor.policy.file import Policy
from janitor.policy.judge import judge, needs_tags

MAX_LOOK_AGE = 1.0
"""Seconds between the last look at a group and its deletion, at most."""

SLOW_STREAMS = 0.5
"""Seconds of the last look after which reading the streams counts as slow. What subscribes to the
group is then read again after them, because the first answer would be too old by the deletion."""

FRESH_FOR = 5.0
"""Seconds after which a group and its tags are read again before its retention is set or one of
its streams is swept: in a long queue, at five puts a second, somebody may set it meanwhile."""

FEW_PAGES = 20
"""Pages of streams up to which log groups are read concurrently. Groups with more are read one
after the other: read together, all of them would become too old."""

SYSLOG = "syslog"
"""The row of the owner table that lists every syslog endpoint: a group that has one is kept."""

MAX_OWNERS_AGE = 55.0
"""Seconds after which owners are read again, so that they are less than a minute old at the
deletion. Reading them for each deletion would take too many calls."""

GROUPS_A_LOOK = 25
"""Log groups that are read again in one call."""

GROUPS_AHEAD = 200
"""Log groups under way while an earlier one is unfinished, so that each kind of work proceeds at
its own quota, whatever comes first in the plan."""

PUTS_AT_ONCE = 8
SWEEPS_AT_ONCE = 4
DELETIONS_AT_ONCE = 8
"""Per target. More than the quotas need, so that others proceed while a call is slow or retried."""

STREAMS_AT_ONCE = 100
"""Streams that are journaled together before the first of them is deleted."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a log group of a plan, in the plan's order.

    The first `position` lines of the target's part are done, this group's included. If its work was
    cut short, it is not `complete`, and its outcomes say what was not reached.
    """

    target: Target
    outcomes: Sequence[Outcome]
    position: int
    complete: bool


class ActSink(Protocol):
    """Receives outcomes: in the plan's order for each target, one call at a time."""

    def done(self, done: Done) -> None:
        """Take the outcomes of one more log group."""

    def warned(self, target: Target, text: str) -> None:
        """Take a warning for people."""

    def failed(self, target: Target, error: str) -> None:
        """Take the error after which nothing more can be done."""


@dataclass(frozen=True, slots=True)
class Part:
    """A target's part of a plan, from line `position` on.

    `done` are the positions (as in `Done`) of log groups to skip; `swept` says how many streams of
    a group were swept already, by position. `refused` is why nothing may be deleted or swept; empty
    if it may. `interrupted`: an earlier attempt died before all its work was counted.
    """

    planned: AsyncIterable[Planned]
    position: int = 0
    done: Collection[int] = ()
    swept: Mapping[int, int] = field(default_factory=dict)
    refused: str = ""
    interrupted: bool = False


async def as_async(planned: Iterable[Planned]) -> AsyncIterator[Planned]:
    """Adapt a plan that is read without waiting. Raises what reading it raises."""
    for one in planned:
        yield one


class Act:
    """Acts on a plan over several targets.

    `now` (ms) is the moment by which the plan judged ages, so nothing becomes older by waiting.
    `owner_cache` holds what the survey read of owners; what is younger than half of MAX_OWNERS_AGE
    is not read again at once. A plan `from_earlier_run` has the slow rows of owners read again too.
    """

    def __init__(
        self,
        policy: Policy,
        now: int,
        stop: Stop,
        journal: Journal,
        sink: ActSink,
        admission: Admission,
        *,
        owner_cache: OwnerCache | None = None,
        from_earlier_run: bool = False,
    ) -> None:
        self.policy = policy
        self.now = now
        self.stop = stop
        self.journal = journal
        self.sink = sink
        self.admission = admission
        rows = chosen(policy.protect.deletion.owners)
        self.rows = [cheap for row in rows if (cheap := row.again()) is not None]
        self.slow_rows = [row for row in rows if row.again() is not row]
        self.slow_rows_once = self.slow_rows if from_earlier_run else []
        self.asks_syslog = any(row.id == SYSLOG for row in self.rows)
        self.owner_cache = OwnerCache() if owner_cache is None else owner_cache
        self.slow_owner_cache = self.owner_cache.separate()

    async def run(self, apis: Mapping[Target, Api], parts: Mapping[Target, Part]) -> None:
        """Carry out each target's part, to the end or until stopped."""
        many = len(parts) > TARGETS_AT_ONCE

        async def acted(target: Target, part: Part) -> None:
            # Rows that are half as old would soon expire, one a little after the other, and with
            # many questions on a small CPU they would be read again and again.
            self.owner_cache.forget(target, apis[target].clock.monotonic() - MAX_OWNERS_AGE / 2)
            await _TargetAct(self, apis[target]).run(part)
            if many:
                apis[target].release_all()
                self.owner_cache.forget(target)

        await together(
            *(acted(target, part) for target, part in parts.items()), most=TARGETS_AT_ONCE
        )


class ChangedError(Exception):
    """The log group no longer is as planned; the text says how. `tried`: an attempt at the change
    came before, and may have taken effect.
    """

    def __init__(self, why: str, *, tried: bool) -> None:
        super().__init__(why)
        self.tried = tried


class StaleLookError(TransientError):
    """What was looked at has changed, so the look must be repeated."""


@dataclass(frozen=True, slots=True)
class _Todo:
    """A line to carry out. `verb` is its action, or the one that it names in case that is refused;
    `swept` and `interrupted` are as in `Part`.
    """

    line: ActionLine
    verb: Verb
    swept: int
    interrupted: bool


@dataclass
class _CurrentGroups:
    """The planned log groups of a chunk as they are now, read again once they are too old.

    `tags_matter` says whether a group cannot be judged without its tags.
    """

    logs: Logs
    names: list[str]
    tags_matter: Callable[[LogGroup], bool]
    answers: dict[str, Mapping[Question, Answer]] = field(default_factory=dict)
    """By group: the answers to questions of rules that take calls."""
    at: float | None = None
    changes: int = 0
    found: dict[str, LogGroup] = field(default_factory=dict)
    indexed: Mapping[str, Mapping[str, str]] | None = None
    tags: dict[str, tuple[float, Mapping[str, str]]] = field(default_factory=dict)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, name: str, verb: Verb) -> LogGroup | None:
        """The group, with tags where they matter. For a deletion they come from the tagging API, in
        one call for all groups: they lag, but its last look reads the group's own. Raises ReadError
        or StoppedError.
        """
        async with self.lock:
            if self._old(self.at):
                at, changes = self.logs.clock.monotonic(), self.changes
                self.found, self.indexed = await self.logs.named(self.names), None
                self.at = at if changes == self.changes else None
            group = self.found.get(name)
            if group is not None and name in self.answers:
                group = group.with_answers(self.answers[name])
            if group is None or not self.tags_matter(group):
                return group
            if verb is Verb.DELETE_GROUP:
                if self.indexed is None:
                    arns = [one.arn for one in self.found.values() if self.tags_matter(one)]
                    try:
                        self.indexed = await read_tags(self.logs.api, arns)
                    except ReadError as error:
                        return group._replace(tags_error=str(error))
                return group._replace(tags=self.indexed[group.arn])
        read = self.tags.get(name)
        if read is None or self._old(read[0]):
            at = self.logs.clock.monotonic()
            try:
                read = self.tags[name] = at, await self.logs.tags(group.arn)
            except ReadError as error:
                if isinstance(error, CallError) and error.not_found:
                    return None
                return group._replace(tags_error=str(error))
        return group._replace(tags=read[1])

    def _old(self, at: float | None) -> bool:
        return at is None or self.logs.clock.monotonic() - at > FRESH_FOR

    def changed(self) -> None:
        """Discard what was read or is being read: it does not show a change just made."""
        self.at = None
        self.changes += 1


class _TargetAct:
    """One target's part."""

    def __init__(self, act: Act, api: Api) -> None:
        self._act = act
        self._policy = act.policy
        self._now = act.now
        self._api = api
        self._target = api.target
        self._clock = api.clock
        self._logs = Logs(api)
        self._changes = Changes(api)
        self._arrivals = Arrivals(api)
        self._outcome = functools.partial(outcome_now, api.clock)
        self._users = Users(api, act.rows, act.owner_cache, MAX_OWNERS_AGE)
        self._slow_users = Users(api, act.slow_rows, act.slow_owner_cache)
        users = [self._users, self._slow_users]
        self._questions = Questions(act.policy, act.now, self._arrivals, users)
        self._deletions = asyncio.Semaphore(DELETIONS_AT_ONCE)
        self.many_streams = asyncio.Lock()
        self._puts = asyncio.Semaphore(PUTS_AT_ONCE)
        self._sweeps = asyncio.Semaphore(SWEEPS_AT_ONCE)
        self._gave_up = False

    @property
    def _is_stopped(self) -> bool:
        return self._gave_up or self._act.stop.is_set()

    async def run(self, part: Part) -> None:
        """Carry out the part, several log groups at a time."""
        position, chunk = part.position, list[tuple[Planned, int]]()
        async with Window(GROUPS_AHEAD, self._act.sink.done) as window:
            try:
                async for planned in part.planned:
                    if self._gave_up or self._act.stop.draining:
                        break
                    position += len(planned.actions)
                    if position in part.done:
                        continue
                    chunk.append((planned, position))
                    if len(chunk) == GROUPS_A_LOOK:
                        await self._begin(window, chunk, part)
                        chunk = []
            except PlanError as error:
                self._give_up(error)
            await self._begin(window, chunk, part)

    async def _begin(
        self, window: Window[Done], chunk: list[tuple[Planned, int]], part: Part
    ) -> None:
        """Start the work on a chunk of log groups."""
        names = [planned.group for planned, _ in chunk]
        tags_matter = functools.partial(needs_tags, policy=self._policy, now=self._now)
        current = _CurrentGroups(self._logs, names, tags_matter)
        # All at once, so that their questions share calls.
        await window.add(
            *(self._group(planned, current, position, part) for planned, position in chunk)
        )

    async def _group(
        self, planned: Planned, current: _CurrentGroups, position: int, part: Part
    ) -> Done:
        """Carry out all that is planned for one log group, one action after the other."""
        outcomes: list[Outcome] = []
        for line in planned.actions:
            verb = Verb(line.action)
            if verb is Verb.SET_RETENTION and position in part.swept:
                continue  # the retention was set before the sweep began
            if part.refused and verb is not Verb.SET_RETENTION:
                stub, action = _stub(self._target, planned), _action(line, verb)
                outcomes.append(self._outcome(stub, action, Status.REFUSED, part.refused))
                if verb is Verb.SWEEP_STREAMS or line.retention_after is None:
                    continue
                verb = Verb.SET_RETENTION
            slots = {Verb.SET_RETENTION: self._puts, Verb.SWEEP_STREAMS: self._sweeps}.get(verb)
            async with slots or contextlib.nullcontext():
                todo = _Todo(line, verb, part.swept.get(position, 0), part.interrupted)
                outcomes.append(await self._line(planned, todo, current))
        complete = not any(outcome.status is Status.NOT_REACHED for outcome in outcomes)
        return Done(self._target, outcomes, position, complete)

    async def _line(self, planned: Planned, todo: _Todo, current: _CurrentGroups) -> Outcome:
        """Carry out a line."""
        line, verb = todo.line, todo.verb
        group = _stub(self._target, planned)
        try:
            if self._policy.questions:
                await self._ask(planned, current, verb)
            if verb is Verb.SET_RETENTION:
                await self._changes.reserve_put(tags=self._policy.tags_choose_retention)
            fresh = await current.of(planned.group, verb)
            if todo.interrupted and (done := _done_before(planned, todo, fresh)) is not None:
                return self._outcome(group, done, Status.DONE, "by an attempt that was interrupted")
            if fresh is None or fresh.creation_time != planned.creation_time:
                text = "already gone" if fresh is None else "created again under the same name"
                keep = Keep("changed since the plan")
                return self._outcome(group, keep, Status.GONE, text)
            group = fresh
            action = self._as_planned(fresh, planned, line, verb)
            changed = functools.partial(self._changed, planned, line, verb, current)
            match action:
                case SetRetention():
                    outcome = await self._put(fresh, action, changed)
                    outcome = outcome._replace(evidence=fresh.evidence)
                    if line is not planned.actions[-1]:
                        current.changed()  # the group's next action has to see the new retention
                    return outcome
                case SweepStreams():
                    return await self._sweep(fresh, action, todo, changed)
                case DeleteGroup():
                    return await self._delete(fresh, action)
                case Unknown():
                    return self._outcome(fresh, action, Status.UNKNOWN)
                case Keep():
                    return self._outcome(fresh, action, Status.KEPT)
        except ReadError as error:
            unknown = Unknown(f"could not be read again: {error}")
            return self._outcome(group, unknown, Status.UNKNOWN)
        except (StoppedError, JanitorError) as error:
            if isinstance(error, JanitorError):
                self._give_up(error)
            action = _action(line, verb)
            return self._outcome(group, action, Status.NOT_REACHED, "the run stopped before this")

    async def _ask(self, planned: Planned, current: _CurrentGroups, verb: Verb) -> None:
        """Answer the rules' questions about the group again, before the first change to it. Raises
        ReadError, StoppedError or CredentialsError.
        """
        group, put = await current.of(planned.group, verb), planned.of("set_retention")
        if group is None or planned.group in current.answers:
            return
        if put is not None and group.retention_days == put.retention_after:
            # An earlier link set it; the rest of the plan was judged before that.
            group = group._replace(retention_days=put.retention_before)
        current.answers[planned.group] = (await self._questions.answered(group)).answers or {}

    # ---- judged again ------------------------------------------------------------------------

    def _as_planned(
        self, group: LogGroup, planned: Planned, line: ActionLine, verb: Verb
    ) -> Action:
        """The planned action, if the group as it is now still comes out as planned; otherwise why
        it is kept.
        """
        now = judge(group, self._policy, self._now)
        if isinstance(now, Unknown):
            return now
        found = _part_of(now, verb)
        if verb is Verb.SWEEP_STREAMS and planned.of("set_retention") is not None:
            # Its own retention was set just before; the sweep was judged before that.
            found = self._sweep_after_put(group, planned)
        elif verb is Verb.SWEEP_STREAMS and group.retention_days != line.retention_before:
            return Keep("changed since the plan: its retention", now.rule)
        match found:
            case SetRetention(days=days) if (group.retention_days, days) == (
                line.retention_before,
                line.retention_after,
            ):
                return found
            case SweepStreams(before=before) | DeleteGroup(before=before) if before == line.cutoff:
                return found
            case None:
                text = f"planned {verb.value}, now {verb_of(now).value}: {now.reason}"
                return Keep(f"changed since the plan: {text}", now.rule)
            case _:
                return Keep(f"changed since the plan: {found.reason}", now.rule)

    def _sweep_after_put(self, group: LogGroup, planned: Planned) -> SweepStreams | None:
        """The sweep of a group whose retention this plan set, if that retention is in force."""
        put, line = planned.of("set_retention"), planned.of("sweep_streams")
        assert put is not None, "the caller found it in the plan"
        assert line is not None, "it is what is carried out"
        if group.retention_days != put.retention_after or group.retention_policy is not None:
            return None
        before = group._replace(retention_days=put.retention_before)
        action = judge(before, self._policy, self._now)
        sweep = action.then if isinstance(action, SetRetention) else None
        if isinstance(action, DeleteGroup) and isinstance(action.otherwise, SetRetention):
            sweep = action.otherwise.then
        return sweep

    # ---- retention ---------------------------------------------------------------------------

    async def _put(
        self, group: LogGroup, action: SetRetention, changed: Callable[[], Awaitable[str]]
    ) -> Outcome:
        """Set the retention, unless announcing it took so long that the group has `changed`. It is
        not a failure if the group is gone.
        """
        before = {"retention_days": group.retention_days, "stored_bytes": group.stored_bytes}
        change = Change(before, {"retention_days": action.days})
        entry = self._entry(Verb.SET_RETENTION, group, change, action)
        began = self._clock.monotonic()
        await self._act.journal.begin(entry)
        if self._clock.monotonic() - began > FRESH_FOR:
            try:
                why = await changed()
            except (*ReadError, StoppedError):
                await self._ended(entry.ended(self._clock.now(), Status.KEPT))
                raise
            if why:
                await self._ended(entry.ended(self._clock.now(), Status.KEPT))
                return self._outcome(group, Keep(why, action.rule), Status.KEPT)
        check = _unless(changed)
        status, error = await self._make(
            lambda: self._changes.put_retention(group.name, action.days, check), entry
        )
        if status is Status.KEPT:
            return self._outcome(group, Keep(error, action.rule), status)
        return self._outcome(group, action, status, error)

    async def _make(
        self, change: Callable[[], Awaitable[None]], entry: Entry
    ) -> tuple[Status, str]:
        """Make an announced change, and journal how it ended. Raises what ends the run.

        If its object is already gone, that is not a failure. A failure without an answer (a broken
        connection, Ctrl-C) may hide a change that was made. A change that is not repeated because
        the group has changed counts as kept.
        """
        try:
            await change()
        except ChangedError as error:
            now, tried = self._clock.now(), error.tried
            ended = entry.ended(now, Status.KEPT, str(error), perhaps_done=tried)
            await self._ended(ended)
            return Status.KEPT, str(error)
        except CallError as error:
            gone = error.not_found
            status = Status.GONE if gone else Status.FAILED
            await self._ended(entry.ended(self._clock.now(), status, str(error)))
            return status, "already gone" if gone else str(error)
        except (TransientError, StoppedError, CredentialsError) as error:
            ended = entry.ended(self._clock.now(), Status.FAILED, str(error), perhaps_done=True)
            await self._ended(ended)
            if isinstance(error, CredentialsError):
                raise
            if isinstance(error, StoppedError):
                return Status.NOT_REACHED, "stopped"
            return Status.FAILED, str(error)
        await self._ended(entry.ended(self._clock.now(), Status.DONE))
        return Status.DONE, ""

    async def _ended(self, ended: Ended) -> None:
        """Journal how a change ended. If that fails, the outcome stands, but no change follows."""
        try:
            await self._act.journal.end(ended)
        except JournalError as error:
            self._give_up(error)

    # ---- deletion ----------------------------------------------------------------------------

    async def _delete(self, group: LogGroup, action: DeleteGroup) -> Outcome:
        """Prove the group empty again, announce the deletion, take a last look, and delete within a
        second of it.

        After an attempt that may have taken effect the look is repeated, never the deletion alone:
        by then the name may belong to another group.
        """
        seen = [*group.evidence, *recreated_by(self._users, group)]
        if outcome := await self._disproved(group, action, self._still_empty(group, action), seen):
            return outcome
        async with self._deletions:
            unused = self._unused(group)
            if outcome := await self._disproved(group, action, unused, [*seen]):
                return outcome
            return await self._delete_proved(group, action, seen)

    async def _delete_proved(
        self, group: LogGroup, action: DeleteGroup, seen: list[Evidence]
    ) -> Outcome:
        deletion = _Deletion(self, group, action, seen)
        try:
            outcome = await retrying(deletion.attempt, self._act.stop)
        except CredentialsError as error:
            await deletion.ended(Status.FAILED, error)
            raise
        except (TransientError, StoppedError) as error:
            if isinstance(error, StoppedError) and not deletion.tried:
                await deletion.ended(Status.KEPT, None)
                raise
            await deletion.ended(Status.FAILED, error)
            stopped = isinstance(error, StoppedError)
            status = Status.NOT_REACHED if stopped else Status.FAILED
            return self._outcome(group, action, status, str(error) or "stopped", seen)
        await deletion.ended(outcome.status, None)
        return outcome

    async def _still_empty(self, group: LogGroup, action: DeleteGroup) -> AsyncIterator[Verdict]:
        """Yield the evidence that is gathered again before the deletion's turn comes."""
        yield await no_arrivals(self._arrivals, group, action.before)
        if self._policy.reads_events(group):
            yield await no_events(self._logs, group, action.before)
        if self._act.slow_rows_once:
            yield await unused(self._slow_users, group)

    async def _unused(self, group: LogGroup) -> AsyncIterator[Verdict]:
        """Yield the evidence that may be a minute old at the deletion."""
        if self._act.rows:
            yield await unused(self._users, group)

    async def _disproved(
        self,
        group: LogGroup,
        action: DeleteGroup,
        verdicts: AsyncIterator[Verdict],
        seen: list[Evidence],
    ) -> Outcome | None:
        """The outcome if a verdict is a reason to keep the group. Adds the evidence to `seen`."""
        async for verdict in verdicts:
            seen.append(verdict.evidence)
            match verdict:
                case NotEmpty(evidence):
                    keep = Keep(evidence.finding, action.rule)
                    return self._outcome(group, keep, Status.KEPT, evidence=seen)
                case Unreadable(evidence, gone):
                    if gone:
                        return self._outcome(group, action, Status.GONE, "already gone", seen)
                    unknown = Unknown(f"{evidence.source}: {evidence.finding}", action.rule)
                    return self._outcome(group, unknown, Status.UNKNOWN, evidence=seen)
        return None

    # ---- streams -----------------------------------------------------------------------------

    async def _changed(
        self, planned: Planned, line: ActionLine, verb: Verb, current: _CurrentGroups
    ) -> str:
        """Why to stop carrying out a line; empty if the group is as it was. Thousands of streams
        take minutes, in which somebody may protect it. Raises ReadError or StoppedError.
        """
        fresh = await current.of(planned.group, verb)
        if fresh is None or fresh.creation_time != planned.creation_time:
            return "gone, or created again under the same name"
        if verb is Verb.SET_RETENTION and fresh.retention_days == line.retention_after:
            return ""  # by an attempt whose answer was lost
        now = self._as_planned(fresh, planned, line, verb)
        return "" if verb_of(now) is verb else now.reason

    async def _sweep(
        self,
        group: LogGroup,
        action: SweepStreams,
        todo: _Todo,
        changed: Callable[[], Awaitable[str]],
    ) -> Outcome:
        """Delete the planned streams that still are wholly before the action's cutoff and can be
        trusted. No others: those were not counted when the limits were checked.
        """
        known = (self._logs, self._arrivals, group, action.before, self._now)
        drained = self._policy.reads_events(group)
        planned = frozenset(todo.line.stream_names)
        try:
            gone = await self._count_gone(group, planned) - todo.swept if todo.interrupted else 0
            streams = await sweepable(*known, drained=drained, among=planned)
        except ReadError as error:
            unknown = Unknown(f"streams could not be read: {error}", action.rule)
            return self._outcome(group, unknown, Status.UNKNOWN)
        if not streams and gone <= 0:
            keep = Keep(f"{action.kept or action.reason}; no expired streams to sweep", action.rule)
            return self._outcome(group, keep, Status.KEPT)
        swept, failures, why = 0, list[str](), ""
        for chunk in chunks(streams, STREAMS_AT_ONCE):
            try:
                if chunk[0] is not streams[0]:
                    if why := await changed():
                        break
                    chunk = await trusted(*known, chunk, drained=drained)
                if chunk:
                    done, why = await self._sweep_chunk(group, action, chunk, failures, changed)
                    swept += done
                    if why:
                        break
            except ReadError as error:
                why = f"could not be read again: {error}"
                break
            except StoppedError:
                break
            except JanitorError as error:
                self._give_up(error)
            if self._is_stopped:
                break
        status, detail = Status.DONE, ""
        if self._is_stopped and swept < len(streams):
            status, detail = Status.NOT_REACHED, "stopped"
        elif failures:
            status = Status.FAILED
            detail = f"{counted(len(failures), 'stream')} not deleted: {failures[0]}"
        elif why:
            status, detail = (
                Status.KEPT,
                f"{swept:,} of {counted(len(streams), 'stream')} deleted: {why}",
            )
        return self._outcome(group, action, status, detail)._replace(streams=max(gone, 0) + swept)

    async def _count_gone(self, group: LogGroup, planned: frozenset[str]) -> int:
        """How many of the planned streams no longer exist."""
        pages = self._logs.streams(group.name)
        there = {stream.name async for page in pages for stream in page}
        return len(planned - there)

    async def _sweep_chunk(
        self,
        group: LogGroup,
        action: SweepStreams,
        streams: Sequence[LogStream],
        failures: list[str],
        changed: Callable[[], Awaitable[str]],
    ) -> tuple[int, str]:
        """Delete the streams; return how many were deleted and, if the group has changed, why not
        the others.
        """
        entries = [
            self._entry(
                Verb.SWEEP_STREAMS,
                group,
                Change(
                    {"last_event": stream.last_event, "creation_time": stream.creation_time}, {}
                ),
                action,
                stream.name,
            )
            for stream in streams
        ]
        await self._act.journal.begin(*entries)
        swept, why, check = 0, "", _unless(changed)
        for stream, entry in zip(streams, entries, strict=True):
            if why or self._is_stopped:
                await self._ended(entry.ended(self._clock.now(), Status.KEPT))
                continue

            async def remove(name: str = stream.name) -> None:
                if why := await changed():
                    raise ChangedError(why, tried=False)
                await self._changes.delete_stream(group.name, name, check)

            try:
                status, error = await self._make(remove, entry)
            except JanitorError as error_:
                self._give_up(error_)
                failures.append(str(error_))
                continue
            swept += status is Status.DONE
            if status is Status.KEPT:
                why = error
            if status is Status.FAILED:
                failures.append(error)
        return swept, why

    def _give_up(self, error: JanitorError) -> None:
        """End the run or, if only the credentials are lost, the work on this target."""
        self._gave_up = True
        if isinstance(error, CredentialsError):
            self._act.sink.failed(self._target, f"{self._target}: {error}")
        else:
            self._act.sink.failed(self._target, str(error))
            self._act.stop.set("failed")

    # ---- the journal ---------------------------------------------------------------------------

    def _entry(
        self,
        verb: Verb,
        group: LogGroup,
        change: Change,
        action: Action,
        stream: str | None = None,
    ) -> Entry:
        return Entry(self._clock.now(), verb.value, group, change, action.reason, stream)


class _Deletion:
    """One log group's deletion: what was announced, and its state so far.

    `tried` says that a DeleteLogGroup was sent, `_lost` that one may have taken effect although its
    answer was lost.
    """

    def __init__(
        self, act: _TargetAct, group: LogGroup, action: DeleteGroup, proved: Sequence[Evidence]
    ) -> None:
        self._act = act
        self._group = group
        self._action = action
        self._proved = proved
        self._ignored = act._policy.protect.deletion.ignore_subscriptions_to
        self._entry: Entry | None = None
        self._change: Change | None = None
        self.tried = False
        self._lost = False

    async def attempt(self) -> Outcome:
        """Take the last look, and delete if it allows that. Raises TransientError if both have to
        be repeated, StoppedError, or what ends the run.
        """
        act, group, action = self._act, self._group, self._action
        extras = await extras_of(
            act._logs, group, subscribed=bool(self._ignored), syslog=not act._act.asks_syslog
        )
        if isinstance(extras, Unreadable):
            seen = [*self._proved, extras.evidence]
            if extras.gone:
                return self._gone(seen)
            reason = f"{extras.evidence.source}: {extras.evidence.finding}"
            return act._outcome(group, Unknown(reason, action.rule), Status.UNKNOWN, evidence=seen)
        if self._change is None:
            self._change = _undo(group, extras)
        await self._announce(self._change)
        await act._changes.reserve_look()
        async with act._act.admission.admitted():
            seen = list(self._proved)
            # Again, because earlier attempts and the waits between them may have taken minutes.
            if outcome := await act._disproved(group, action, act._unused(group), seen):
                return outcome
            try:
                found = await self._look(seen)
            except CallError as error:
                if error.not_found:
                    return self._gone(seen)
                unknown = Unknown(f"could not be read again: {error}", action.rule)
                return act._outcome(group, unknown, Status.UNKNOWN, evidence=seen)
            if isinstance(found, Outcome):
                return found
            fresh, subscriptions, looked_at = found
            change = _undo(fresh, replace(extras, subscription_filters=subscriptions))
            if change != self._change:
                # Only after the look: it showed that the extras are not those of another group.
                self._group, self._change = fresh, change
                raise StaleLookError("what is needed to recreate the log group has changed")
            self.tried = True
            try:
                await act._changes.delete_group_once(group.name, looked_at + MAX_LOOK_AGE)
            except UnavailableError as error:
                self._lost |= not error.refused
                raise
            except CallError as error:
                if error.not_found:
                    return self._gone(seen)
                return act._outcome(fresh, action, Status.FAILED, str(error), seen)
        return act._outcome(fresh, action, Status.DONE, evidence=seen)

    async def _look(
        self, seen: list[Evidence]
    ) -> Outcome | tuple[LogGroup, tuple[Mapping[str, object], ...], float]:
        """The outcome if the group is not to be deleted; otherwise the group as it is now, the
        subscription filters deleted with it, and when (monotonic) the look began.

        The group itself is read last, and its tags from itself, because the tagging API lags. If
        reading the streams took long, everything else is read again after them, so that only the
        streams may be older, by up to MAX_STREAMS_AGE. Raises StaleLookError.
        """
        act, group, action = self._act, self._group, self._action
        looked_at = act._clock.monotonic()
        subscribed, (silent, streams_at), tags = await asyncio.gather(
            no_subscription_filters(act._logs, group, self._ignored),
            self._silent(),
            act._logs.tags(group.arn),
        )
        verdicts: list[Verdict] = [subscribed, silent]
        if act._clock.monotonic() - looked_at > SLOW_STREAMS:
            await act._changes.reserve_look()
            # Owners too, if they are a minute old by now.
            if outcome := await act._disproved(group, action, act._unused(group), [*seen]):
                return outcome
            looked_at = act._clock.monotonic()
            subscribed = await no_subscription_filters(act._logs, group, self._ignored)
            verdicts.append(subscribed)
            tags = await act._logs.tags(group.arn)
            if act._clock.monotonic() - streams_at > MAX_STREAMS_AGE:
                raise StaleLookError("its log streams took too long to read")
        if outcome := await act._disproved(group, action, _each(verdicts), seen):
            return self._gone(seen) if outcome.status is Status.GONE else outcome
        fresh = await act._logs.group(group.name)
        if fresh is None:
            return self._gone(seen)
        if fresh.identity != group.identity:
            return self._gone(seen, "created again under the same name")
        fresh = fresh._replace(tags=tags, answers=group.answers)
        again = judge(fresh, act._policy, act._now)
        # The rule has to be the same too: another one may require FilterLogEvents.
        same = isinstance(again, DeleteGroup) and (again.before, again.rule) == (
            action.before,
            action.rule,
        )
        text = "as it was" if same else f"changed: {again.reason}"
        seen.append(Evidence("DescribeLogGroups", text, act._clock.now()))
        if not same:
            return act._outcome(fresh, Keep(text, action.rule), Status.KEPT, evidence=seen)
        assert isinstance(subscribed, Empty), "every verdict speaks for deletion"
        return fresh, subscribed.ignored, looked_at

    async def _silent(self) -> tuple[Verdict, float]:
        """The verdict on the streams, and when (monotonic) reading them began."""
        act, group, before = self._act, self._group, self._action.before
        began = act._clock.monotonic()
        if few := await few_streams_silent(act._logs, group, before, FEW_PAGES):
            return few, began
        async with act.many_streams:
            began = act._clock.monotonic()
            return await streams_silent(act._logs, group, before), began

    def _gone(self, seen: Sequence[Evidence], how: str = "already gone") -> Outcome:
        """The outcome for a group that a lost attempt of ours, or somebody else, has deleted."""
        status = Status.DONE if self._lost else Status.GONE
        text = "the first response was lost" if self._lost else how
        return self._act._outcome(self._group, self._action, status, text, seen)

    async def _announce(self, change: Change) -> None:
        """Journal the deletion before it is made, and again if what an undo needs has changed. The
        first entry is ended then: an undo must not take it for one that a crash left open.
        """
        if self._entry is None or self._entry.change != change:
            await self.ended(Status.UNKNOWN if self._lost else Status.KEPT, None)
            verb = Verb.DELETE_GROUP
            self._entry = self._act._entry(verb, self._group, change, self._action)
            await self._act._act.journal.begin(self._entry)

    async def ended(self, status: Status, error: Exception | None) -> None:
        """Journal how the deletion ended, if it was announced."""
        if self._entry is None:
            return
        perhaps = self._lost and status in (Status.FAILED, Status.UNKNOWN)
        text = "" if error is None else str(error)
        now = self._act._clock.now()
        await self._act._ended(self._entry.ended(now, status, text, perhaps_done=perhaps))


def _unless(changed: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[None]]:
    """A check for retries that raises ChangedError once the group has changed."""

    async def check() -> None:
        if why := await changed():
            raise ChangedError(why, tried=True)

    return check


async def _each(verdicts: Iterable[Verdict]) -> AsyncIterator[Verdict]:
    for verdict in verdicts:
        yield verdict


def _stub(target: Target, planned: Planned) -> LogGroup:
    """The log group as far as the plan describes it."""
    facts = planned.actions[0].facts
    return LogGroup(
        target,
        planned.group,
        "",
        planned.creation_time,
        facts.stored_bytes,
        planned.actions[0].retention_before,
        log_class=facts.log_class,
    )


def _done_before(planned: Planned, todo: _Todo, fresh: LogGroup | None) -> Action | None:
    """The line's action, if the account is as that would have left it; otherwise None."""
    line = todo.line
    there = fresh if fresh and fresh.creation_time == planned.creation_time else None
    if todo.verb is Verb.DELETE_GROUP and there is None:
        return _action(line, todo.verb)
    if todo.verb is not Verb.SET_RETENTION or there is None or line.retention_after is None:
        return None
    put = there.retention_policy is None and there.retention_days == line.retention_after
    return _action(line, todo.verb) if put else None


def _action(line: ActionLine, verb: Verb) -> Action:
    """The action of that kind as the line plans it."""
    reason, rule, cutoff = line.facts.reason, line.facts.rule, line.cutoff or 0
    if verb is Verb.DELETE_GROUP:
        return DeleteGroup(reason, rule, cutoff, Keep(""))
    if verb is Verb.SWEEP_STREAMS:
        return SweepStreams(reason, rule, cutoff)
    return SetRetention(reason, rule, line.retention_after or 0)


def _part_of(action: Action, verb: Verb) -> Action | None:
    """The action of that kind, be it the action itself or nested in it; None if there is none."""
    match action:
        case DeleteGroup():
            return action if verb is Verb.DELETE_GROUP else _part_of(action.otherwise, verb)
        case SetRetention():
            return (
                action
                if verb is Verb.SET_RETENTION
                else action.then and _part_of(action.then, verb)
            )
        case SweepStreams() if verb is Verb.SWEEP_STREAMS:
            return action
        case _:
            return None


def _undo(group: LogGroup, extras: Extras) -> Change:
    """What it takes to recreate the group. The only filters that it may have are subscription
    filters that the policy ignores.
    """
    return Change(
        {
            "arn": group.arn,
            "retention_days": None if group.retention_policy else group.retention_days,
            "retention_policy": group.retention_policy,
            "class": group.log_class,
            "kms_key_id": group.kms_key_id,
            "tags": dict(group.tags or {}),
            "bearer_token": group.bearer_token,
            "data_protection_policy": extras.data_protection_policy,
            "index_policy": extras.index_policy,
            "transformer": list(extras.transformer),
            "metric_filters": list(extras.metric_filters),
            "subscription_filters": list(extras.subscription_filters),
            "resource_policy": extras.resource_policy,
            "syslog_endpoints": list(extras.syslog_endpoints),
        },
        {},
    )


async def add_tags(
    api: Api, journal: Journal, group: LogGroup, wanted: Mapping[str, str], reason: str
) -> Collection[str]:
    """Add those tags whose keys the log group lacks, and return these keys.

    TagResource overwrites and takes no condition, so the group's own tags are read right before
    each attempt, with no wait in between. Raises ReadError, StoppedError or JanitorError; also
    UnavailableError if somebody else has set one of the tags meanwhile.
    """
    logs, changes, tried = Logs(api), Changes(api), False
    own = await logs.tags(group.arn)
    missing = {key: value for key, value in wanted.items() if key not in own}
    if not missing:
        return ()

    async def attempt() -> None:
        nonlocal tried
        await changes.reserve_tag()
        own = await logs.tags(group.arn)
        if tried and missing.items() <= own.items():
            return  # by an attempt whose answer was lost
        if taken := sorted(missing.keys() & own.keys()):
            error = UnavailableError("ListTagsForResource", f"{taken[0]} was set in the meantime")
            error.last = True
            raise error
        tried = True
        await changes.tag_once(group.arn, missing)

    change = Change({"tags": {}}, {"tags": missing})
    entry = Entry(api.clock.now(), "add_tags", group, change, reason)
    await journal.begin(entry)
    try:
        await retrying(attempt, api.stop)
    except (*ReadError, StoppedError, CredentialsError) as error:
        perhaps = tried and not isinstance(error, CallError)
        now = api.clock.now()
        await journal.end(entry.ended(now, Status.FAILED, str(error), perhaps_done=perhaps))
        raise
    await journal.end(entry.ended(api.clock.now(), Status.DONE))
    return missing.keys()
