"""Putting retention, deleting groups, sweeping streams: each looked at again before it is done.

Nothing here asks whether this is a dry run except `Commit`: a dry run is the same path,
stopped at that one place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from janitor.aws.api import CallError, ReadError, UnavailableError
from janitor.aws.logs import Logs
from janitor.aws.pace import StoppedError, TransientError, retrying
from janitor.core.clock import Clock
from janitor.core.errors import CredentialsError, JanitorError
from janitor.core.model import (
    DAY_MS,
    Action,
    Change,
    DeleteGroup,
    Evidence,
    Extras,
    Keep,
    LogGroup,
    LogStream,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Unknown,
    Verb,
)
from janitor.engine.proof import (
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    no_owner,
    no_subscription_filters,
    recorded,
    silent,
    streams_silent,
    until_recent,
)
from janitor.journal.journal import Journal
from janitor.owners.functions import Owners
from janitor.policy.file import Policy
from janitor.policy.judge import judge

LOOK_LASTS = 1.0
"""Seconds between the last look at a group and its deletion, at most."""


STREAMS_LAST = 0.5
"""Of that, for reading the streams. Where there are more of them (or an answer is slow) what
subscribes to the group is read once more after them: it could not be a second old otherwise."""

TagsRead = tuple[Mapping[str, str], float]
"""A group's tags, and when they were asked for (monotonic seconds)."""


class StaleLookError(TransientError):
    """More time than LOOK_LASTS passed since the look, so it must be repeated."""


class Budget:
    """How many more streams may be deleted, over all targets. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more may be deleted; counts it."""
        with self._lock:
            self._left -= 1
            return self._left >= 0


class Commit:
    """Makes changes, or only says that they would be made: the only place that knows of dry runs.

    What cannot be journaled is not done.
    """

    def __init__(self, journal: Journal, *, dry_run: bool) -> None:
        self._journal = journal
        self._dry_run = dry_run

    def __call__(self, change: Callable[[], Status]) -> Status:
        """What became of the change. Raises JournalError, and what `change` raises."""
        if self._dry_run:
            return Status.PLANNED
        self._journal.open()
        return change()


@dataclass(frozen=True, slots=True)
class _Look:
    """The last look at a group: when it began (monotonic seconds), and what else the group has."""

    at: float
    extras: Extras


class Hands:
    """What changes a target, or would."""

    def __init__(
        self,
        logs: Logs,
        policy: Policy,
        now: int,
        stop: threading.Event,
        journal: Journal,
        budget: Budget,
        *,
        dry_run: bool,
    ) -> None:
        self._logs = logs
        self._policy = policy
        self._now = now
        self._stop = stop
        self._journal = journal
        self._budget = budget
        self._commit = Commit(journal, dry_run=dry_run)

    @property
    def _clock(self) -> Clock:
        return self._logs.clock

    def outcome(
        self,
        group: LogGroup,
        action: Action,
        status: Status,
        detail: str = "",
        evidence: tuple[Evidence, ...] = (),
        streams: int = 0,
    ) -> Outcome:
        """An outcome of now."""
        return Outcome(group, action, status, detail, self._clock.now(), streams, evidence)

    # ---- retention ---------------------------------------------------------------------------

    def set_retention(self, group: LogGroup, action: SetRetention) -> Outcome:
        """Put the retention. A group that is gone is no failure."""
        change = Change({"retention_days": group.retention_days}, {"retention_days": action.days})

        def put() -> None:
            self._logs.put_retention(group.name, action.days)

        try:
            status = self._commit(
                lambda: self._journaled(Verb.SET_RETENTION, group, change, action, put)
            )
        except ReadError as error:
            return self.outcome(group, action, Status.FAILED, str(error))
        return self.outcome(group, action, status, "gone already" * (status is Status.GONE))

    # ---- deletion ----------------------------------------------------------------------------

    def delete(
        self,
        group: LogGroup,
        action: DeleteGroup,
        owners: Owners,
        evidence: tuple[Evidence, ...],
        read_tags: Callable[[], TagsRead],
    ) -> Outcome:
        """Look once more at lines 1 to 5, and delete within a second of that look.

        `read_tags` answers with the group's tags as they are now (or were, an instant ago): that
        instant counts as part of the second.
        After an attempt that may have taken effect the look is repeated, never the deletion
        alone: the name may belong to another group by then.
        """
        begun: Change | None = None
        lost = False

        def attempt() -> Outcome:
            nonlocal lost
            fresh, seen, verdict = self._look(group, action, owners, read_tags)
            looked = evidence + seen
            if isinstance(verdict, Outcome):
                if verdict.status is Status.GONE and lost:
                    text = "the first answer was lost"
                    return self.outcome(group, action, Status.DONE, text, looked)
                return verdict
            change = _undo(fresh, verdict.extras)

            def remove() -> Status:
                nonlocal begun
                self._check_age(verdict)
                if change != begun:
                    self._begin(Verb.DELETE_GROUP, fresh, change, action)
                begun = change
                self._check_age(verdict)  # the journal's disk may be slow
                self._logs.delete_group_once(group.name)
                return Status.DONE

            try:
                status = self._commit(remove)
            except UnavailableError as error:
                lost |= not error.refused
                raise
            except CallError as error:
                gone = error.not_found
                text = "gone already" if gone else str(error)
                failed = Status.GONE if gone else Status.FAILED
                return self.outcome(fresh, action, failed, text, looked)
            return self.outcome(fresh, action, status, "", looked)

        def ended(status: Status, error: Exception | None = None) -> None:
            if begun is not None:
                perhaps = lost and status in (Status.FAILED, Status.UNKNOWN)
                self._write(
                    Verb.DELETE_GROUP, status, group, begun, action, error=error, perhaps=perhaps
                )

        try:
            outcome = retrying(attempt, self._clock, self._stop)
        except CredentialsError as error:
            ended(Status.FAILED, error)
            raise
        except (TransientError, StoppedError) as error:
            if isinstance(error, StoppedError) and begun is None:
                raise
            ended(Status.FAILED, error)
            return self.outcome(group, action, Status.FAILED, str(error), evidence)
        ended(outcome.status)
        return outcome

    def _check_age(self, look: _Look) -> None:
        age = self._clock.monotonic() - look.at
        if age > LOOK_LASTS:
            raise StaleLookError(f"the last look was {age:.1f} s old")

    def _look(
        self,
        group: LogGroup,
        action: DeleteGroup,
        owners: Owners,
        read_tags: Callable[[], TagsRead],
    ) -> tuple[LogGroup, tuple[Evidence, ...], Outcome | _Look]:
        """The group as it is now, what was seen, and the reason to keep it or the look itself.

        What the journal must hold is read first. Then everything is waited for that the paces ask
        for, and what decides is read, the group itself last: the look dates from before the first
        of these calls. Where the streams take long what subscribes is read again after them, so
        that only the streams may have been read earlier than that.
        """
        seen: list[Evidence] = []

        def kept(verdict: Verdict) -> Outcome | None:
            seen.append(verdict.evidence)
            match verdict:
                case Empty():
                    return None
                case NotEmpty():
                    return self.keep(group, action, verdict.evidence, tuple(seen))
                case Unreadable():
                    return self.unread(group, action, verdict, tuple(seen))

        if self._policy.protect.live_owners and (
            outcome := kept(no_owner(owners, self._logs, group))
        ):
            return group, tuple(seen), outcome
        extras = recorded(self._logs, group)
        if isinstance(extras, Unreadable):
            seen.append(extras.evidence)
            return group, tuple(seen), self.unread(group, action, extras, tuple(seen))
        self._logs.reserve_look()
        looked_at = self._clock.monotonic()
        if outcome := kept(no_subscription_filters(self._logs, group)):
            return group, tuple(seen), outcome
        if outcome := kept(streams_silent(self._logs, group, action.before)):
            return group, tuple(seen), outcome
        if self._clock.monotonic() - looked_at > STREAMS_LAST:
            self._logs.reserve_look()
            looked_at = self._clock.monotonic()
            if outcome := kept(no_subscription_filters(self._logs, group)):
                return group, tuple(seen), outcome
        try:
            tags, tags_at = read_tags()
            fresh = self._logs.group(group.name)
        except ReadError as error:
            unreadable = Unreadable(
                Evidence(
                    "DescribeLogGroups",
                    f"the last look failed: {error}",
                    self._clock.now(),
                )
            )
            return (
                group,
                tuple(seen),
                self.unread(group, action, unreadable, tuple(seen)),
            )
        if fresh is None or fresh.identity != group.identity:
            text = "gone already" if fresh is None else "made again under the same name"
            return group, tuple(seen), self.outcome(group, action, Status.GONE, text)
        fresh = with_tags(fresh, tags)
        again = judge(fresh, self._policy, self._now)
        text = "as it was" if isinstance(again, DeleteGroup) else f"changed: {again.reason}"
        evidence = Evidence("DescribeLogGroups", text, self._clock.now())
        seen.append(evidence)
        if not isinstance(again, DeleteGroup) or again.before != action.before:
            return fresh, tuple(seen), self.keep(fresh, action, evidence, tuple(seen))
        return fresh, tuple(seen), _Look(min(looked_at, tags_at), extras)

    def keep(
        self, group: LogGroup, action: Action, why: Evidence, seen: tuple[Evidence, ...]
    ) -> Outcome:
        """Kept, because of what was seen."""
        return self.outcome(group, Keep(why.finding, action.rule), Status.KEPT, evidence=seen)

    def unread(
        self,
        group: LogGroup,
        action: Action,
        why: Unreadable,
        seen: tuple[Evidence, ...],
    ) -> Outcome:
        """Kept, because something could not be read; or gone meanwhile."""
        if why.gone:
            return self.outcome(group, action, Status.GONE, "gone already", seen)
        reason = f"{why.evidence.source}: {why.evidence.finding}"
        return self.outcome(group, Unknown(reason, action.rule), Status.UNKNOWN, evidence=seen)

    # ---- streams -----------------------------------------------------------------------------

    def sweep(self, group: LogGroup, action: SweepStreams, *, drained: bool) -> Outcome:
        """Delete the streams that are wholly before the action's cutoff.

        With `drained` (proof = "events") FilterLogEvents must find nothing in them either.
        """
        try:
            fresh = self._logs.group(group.name)
        except ReadError as error:
            return self.outcome(group, Unknown(str(error), action.rule), Status.UNKNOWN)
        if fresh is None or fresh.identity != group.identity:
            return self.outcome(group, action, Status.GONE, "gone already")
        if fresh.deletion_protected:
            return self.outcome(group, Keep("deletion protection is on", action.rule), Status.KEPT)
        if not self._still_expired(group, fresh, action):
            why = "its retention was changed meanwhile, by somebody else"
            return self.outcome(fresh, Keep(why, action.rule), Status.KEPT)
        counted: Counter[Status] = Counter()
        failures: list[str] = []
        try:
            streams = self._sweepable(group, action, drained=drained)
        except ReadError as error:
            reason = f"streams could not be read: {error}"
            return self.outcome(group, Unknown(reason, action.rule), Status.UNKNOWN)

        def swept(status: Status, detail: str) -> Outcome:
            return self.outcome(group, action, status, detail, streams=counted[Status.DONE])

        for stream in streams:
            if self._stop.is_set():
                return swept(Status.NOT_REACHED, "stopped")
            if not self._budget.take():
                return swept(Status.NOT_REACHED, "max_stream_deletions")
            try:
                counted[self._sweep_one(group, action, stream)] += 1
            except StoppedError:
                return swept(Status.NOT_REACHED, "stopped")
            except ReadError as error:
                failures.append(str(error))
            except JanitorError as error:  # ends the run, but what was swept has to be counted
                if not counted[Status.DONE]:
                    raise
                return swept(Status.FAILED, str(error))
        if failures:
            text = f"{len(failures)} streams not deleted: {failures[0]}"
            return swept(Status.FAILED, text)
        if planned := counted[Status.PLANNED]:
            return self.outcome(group, action, Status.PLANNED, streams=planned)
        return swept(Status.DONE, "")

    def _still_expired(self, group: LogGroup, fresh: LogGroup, action: SweepStreams) -> bool:
        """Whether the retention in force still ends before the action's cutoff."""
        if (fresh.retention_days, fresh.retention_policy) == (
            group.retention_days,
            group.retention_policy,
        ):
            return True
        days = fresh.retention_days
        return days is not None and self._now - days * DAY_MS >= action.before

    def _sweepable(
        self, group: LogGroup, action: SweepStreams, *, drained: bool
    ) -> list[LogStream]:
        """All streams to delete, read to the last page before the first is deleted: a page token
        need not survive the deletion of the stream that it points at.
        """
        ready: list[LogStream] = []
        for page in until_recent(self._logs.streams(group.name), action.before):
            found = silent(page, action.before)
            names = [stream.name for stream in found]
            if drained and names and self._logs.holds_events(group.name, action.before, names):
                continue
            ready += found
        return ready

    def _sweep_one(self, group: LogGroup, action: SweepStreams, stream: LogStream) -> Status:
        change = Change(
            {"last_event": stream.last_event, "creation_time": stream.creation_time}, {}
        )

        def remove() -> None:
            self._logs.delete_stream(group.name, stream.name)

        return self._commit(
            lambda: self._journaled(Verb.SWEEP_STREAMS, group, change, action, remove, stream.name)
        )

    # ---- the journal -------------------------------------------------------------------------

    def _journaled(
        self,
        verb: Verb,
        group: LogGroup,
        change: Change,
        action: Action,
        make: Callable[[], None],
        stream: str | None = None,
    ) -> Status:
        """Make the change between two lines of the journal. What is gone already is no failure.

        A failure that is no answer (a broken connection, Ctrl-C) may hide a change that was made.
        """
        self._begin(verb, group, change, action, stream)
        try:
            make()
        except CallError as error:
            gone = error.not_found
            status = Status.GONE if gone else Status.FAILED
            self._write(verb, status, group, change, action, stream, error)
            if gone:
                return status
            raise
        except (TransientError, StoppedError, CredentialsError) as error:
            self._write(verb, Status.FAILED, group, change, action, stream, error, perhaps=True)
            raise
        self._write(verb, Status.DONE, group, change, action, stream)
        return Status.DONE

    def _begin(
        self,
        verb: Verb,
        group: LogGroup,
        change: Change,
        action: Action,
        stream: str | None = None,
    ) -> None:
        self._journal.begin(self._clock.now(), verb, group, change, action.reason, stream)

    def _write(
        self,
        verb: Verb,
        status: Status,
        group: LogGroup,
        change: Change,
        action: Action,
        stream: str | None = None,
        error: Exception | None = None,
        *,
        perhaps: bool = False,
    ) -> None:
        text = None if error is None else str(error)
        self._journal.write(
            self._clock.now(),
            verb,
            status,
            group,
            change,
            action.reason,
            stream,
            text,
            perhaps_done=perhaps,
        )


def with_tags(
    group: LogGroup, tags: Mapping[str, str] | None, error: str | None = None
) -> LogGroup:
    """The group with its tags, or with the reason why they could not be read."""
    return group._replace(tags=tags, tags_error=error)


def _undo(group: LogGroup, extras: Extras) -> Change:
    """What it takes to make the group again. It has no filters: groups with any are kept."""
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
        },
        {},
    )
