"""What the parts of a run share: over all targets, and within one of them.

Every outcome goes through here: counted and handed on or, once a deadline is near, postponed to a
later link (`janitor.engine.resume`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from janitor.aws.api import Api
from janitor.aws.logs import Logs
from janitor.core.clock import Stop
from janitor.core.errors import JanitorError
from janitor.core.model import Action, Keep, LogGroup, Outcome, Status, Verb
from janitor.engine.act import Budget, Hands
from janitor.engine.lanes import Lane
from janitor.engine.resume import ScanProgress
from janitor.engine.summary import Summary
from janitor.journal.journal import Journal
from janitor.owners.functions import Owners
from janitor.policy.file import Policy

_T = TypeVar("_T")


class Recorder(Protocol):
    """Where outcomes go as they happen. Called from several threads, one at a time."""

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""

    def scanned(self, page: Sequence[LogGroup]) -> None:
        """More log groups were read."""


class Source(Protocol):
    """Which log groups a target's run is about, and what may be done with each."""

    def pages(self, logs: Logs, progress: ScanProgress) -> Iterator[list[LogGroup]]:
        """The groups, a page at a time. Raises ReadError, or TokenExpiredError at the start.

        With each page `progress.position` says where to go on after it.
        """

    def allowed(self, group: LogGroup, action: Action) -> Action:
        """The action, or a Keep that says why it may not be taken."""

    def scanned(self, groups: int) -> int:
        """Of how many scanned groups the deletion share is taken, when these were read."""


class WholeRegion:
    """Every log group of the Region; what the judge says is done."""

    def pages(self, logs: Logs, progress: ScanProgress) -> Iterator[list[LogGroup]]:
        """All pages of DescribeLogGroups that `progress` has not seen."""
        for page, following in logs.groups(progress.position):
            progress.position = following
            progress.whole = following is None  # so that a stop now does not begin anew
            yield page

    def allowed(self, group: LogGroup, action: Action) -> Action:  # noqa: ARG002
        """Everything is."""
        return action

    def scanned(self, groups: int) -> int:
        """Those that were read."""
        return groups


class RunContext:
    """What all targets of one run share. Thread-safe."""

    def __init__(
        self,
        policy: Policy,
        recorder: Recorder,
        stop: threading.Event,
        now: int,
        summary: Summary,
        *,
        resumable: bool,
    ) -> None:
        self.policy = policy
        self.stop = stop
        self.now = now
        self.summary = summary
        swept = summary.changes(Verb.SWEEP_STREAMS)
        self.budget = Budget(policy.limits.max_stream_deletions - swept)
        self.fatal: BaseException | None = None
        self._resumable = resumable
        self._recorder = recorder
        self._recording = threading.Lock()

    @property
    def postponing(self) -> bool:
        """Whether time is up, and what is not done is left for a later link."""
        late = isinstance(self.stop, Stop) and self.stop.late
        return self._resumable and late and self.fatal is None

    def record(self, *outcomes: Outcome) -> None:
        """Count them and hand them on."""
        self.summary.add(*outcomes)
        with self._recording:
            for outcome in outcomes:
                self._recorder.outcome(outcome)

    def scanned(self, page: list[LogGroup]) -> None:
        """Count a page and hand it on."""
        self.summary.scanned(page)
        with self._recording:
            self._recorder.scanned(page)

    def fail(self, error: BaseException) -> None:
        """Something that ends the whole run: nothing new is begun."""
        if self.fatal is None:
            self.fatal = error
            if isinstance(error, JanitorError):
                self.summary.error(str(error))
        self.stop.set()


class TargetContext:
    """What the parts of one target's run share, and the only way to its outcomes. Thread-safe."""

    def __init__(
        self,
        run: RunContext,
        api: Api,
        source: Source,
        journal: Journal,
        progress: ScanProgress,
        *,
        dry_run: bool,
    ) -> None:
        self.run = run
        self.api = api
        self.target = api.target
        self.source = source
        self.progress = progress
        self.logs = Logs(api)
        self.owners = Owners(api)
        self.hands = Hands(
            self.logs, run.policy, run.now, run.stop, journal, run.budget, dry_run=dry_run
        )
        self._lock = threading.Lock()

    def lane(
        self,
        name: str,
        work: Callable[[list[_T]], None],
        dropped: Callable[[_T], None],
        *,
        threads: int,
        batch: int = 1,
    ) -> Lane[_T]:
        """Threads for one kind of work; what they fail at by a bug ends the whole run."""
        return Lane(name, work, dropped, self.run.fail, self.run.stop, threads=threads, batch=batch)

    def record(self, group: LogGroup, action: Action, status: Status, detail: str = "") -> None:
        """An outcome of now."""
        self.tell(self.hands.outcome(group, action, status, detail))

    def kept(self, decided: Sequence[tuple[LogGroup, Keep]]) -> None:
        """Log groups that are plainly kept: nearly all of a large account, so a page at a time."""
        at, status = self.api.clock.now(), Status.KEPT
        outcomes = [Outcome(group, keep, status, "", at) for group, keep in decided]
        with self._lock:
            self.progress.kept += len(outcomes)
        self.run.record(*outcomes)

    def not_reached(self, group: LogGroup, action: Action, proved: int = 0) -> None:
        """Stopped before it was done; `proved` as in `Pending`."""
        outcome = self.hands.outcome(group, action, Status.NOT_REACHED, "stopped before")
        self.tell(outcome, proved)

    def give_up(self, group: LogGroup, action: Action, why: str) -> None:
        """Not reached, and no later link tries again."""
        self.run.record(self.hands.outcome(group, action, Status.NOT_REACHED, why))

    def tell(self, outcome: Outcome, proved: int = 0) -> None:
        """Record an outcome; what the deadline left undone is for a later link instead."""
        undone = outcome.status in (Status.NOT_REACHED, Status.FAILED)
        if undone and self.run.postponing:
            with self._lock:
                self.progress.postpone(outcome.group, outcome.action, proved)
            if not outcome.streams:
                return
            outcome = outcome._replace(status=Status.DONE, detail="the rest is postponed")
        with self._lock:
            self.progress.kept += outcome.status is Status.KEPT
            self.progress.unknown += outcome.status is Status.UNKNOWN
        self.run.record(outcome)
