"""What is done with the log groups that stay: retention is put, expired streams are swept.

Retention is put while the scan goes on. Streams are only counted then; they are swept once the
limits were checked, and after a retention of this run's own was put.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from janitor.aws.api import ReadError
from janitor.core.model import Keep, LogGroup, SetRetention, Status, SweepStreams, Unknown
from janitor.engine.act import with_tags
from janitor.engine.context import TargetContext
from janitor.engine.lanes import Lane
from janitor.engine.proof import count_silent
from janitor.engine.resume import PLANNED

FRESH_FOR = 5.0
"""Seconds after which a group is read again before its retention is put: with a long queue at
five puts a second, somebody else may have set it meanwhile."""

PUTS_A_LOOK = 25


@dataclass(frozen=True, slots=True)
class Put:
    """Retention to set, and when (monotonic seconds) the group was read."""

    group: LogGroup
    action: SetRetention
    looked_at: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """Streams to sweep, so many as were counted; `after_put` of the run's own retention."""

    group: LogGroup
    action: SweepStreams
    after_put: bool
    streams: int = 0


class Upkeep:
    """The retention and the sweeps of one target."""

    def __init__(self, context: TargetContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._sweeps: list[Sweep] = []
        self._put: dict[tuple[str, str, str, int], int] = {}
        self.silent_streams = 0
        self._puts: Lane[Put] = context.lane(
            "retention", self._put_all, self._put_dropped, threads=2, batch=PUTS_A_LOOK
        )
        self._counts: Lane[Sweep] = context.lane(
            "count", self._count, self._sweep_dropped, threads=4
        )

    # ---- what is to be done ------------------------------------------------------------------

    def stay(self, group: LogGroup, action: Keep | SetRetention | SweepStreams) -> None:
        """What the policy says for a group that is not deleted."""
        match action:
            case Keep():
                self._context.record(group, action, Status.KEPT)
            case SetRetention():
                self.put(group, action)
                if action.then is not None:
                    self.sweep(group, action.then, after_put=True)
            case SweepStreams():
                self.sweep(group, action, after_put=False)

    def put(self, group: LogGroup, action: SetRetention) -> None:
        """Set retention; what is to be swept after it is not counted here."""
        self._puts.put(Put(group, action, self._context.api.clock.monotonic()))

    def put_earlier(self, group: LogGroup, days: int) -> None:
        """An earlier link set this retention (PLANNED: would have)."""
        self._put[group.identity] = days

    def sweep(
        self, group: LogGroup, action: SweepStreams, *, after_put: bool, streams: int = 0
    ) -> None:
        """Sweep once the limits were checked; `streams` as they were counted, 0 to count them."""
        sweep = Sweep(group, action, after_put, streams)
        if not streams:
            self._counts.put(sweep)
            return
        with self._lock:
            self.silent_streams += streams
            self._sweeps.append(sweep)

    def counted(self) -> None:
        """Wait until all streams are counted."""
        self._counts.close()

    def forget(self) -> list[Sweep]:
        """None of the sweeps is made (any more): these are they."""
        sweeps, self._sweeps, self.silent_streams = self._sweeps, [], 0
        return sweeps

    # ---- retention ---------------------------------------------------------------------------

    def _put_all(self, items: list[Put]) -> None:
        """Put retention; groups whose look is old are read again first."""
        while items:
            put = items[0]
            if self._context.api.clock.monotonic() - put.looked_at > FRESH_FOR:
                items[:] = self._looked_again(items)
                continue
            outcome = self._context.hands.set_retention(put.group, put.action)
            items.pop(0)
            if put.action.then is not None and outcome.status in (Status.DONE, Status.PLANNED):
                done = outcome.status is Status.DONE
                with self._lock:
                    self._put[put.group.identity] = put.action.days if done else PLANNED
            self._context.tell(outcome)

    def _looked_again(self, items: list[Put]) -> list[Put]:
        """The puts that are still right; what changed meanwhile is kept, and recorded so."""
        at = self._context.api.clock.monotonic()
        try:
            found = self._context.logs.named([put.group.name for put in items])
        except ReadError as error:
            for put in items:
                self._context.record(put.group, put.action, Status.FAILED, str(error))
            return []
        still: list[Put] = []
        for put in items:
            fresh = found.get(put.group.name)
            if fresh is None or fresh.identity != put.group.identity:
                self._context.record(put.group, put.action, Status.GONE, "gone already")
                continue
            fresh = with_tags(fresh, put.group.tags, put.group.tags_error)
            fresh = fresh._replace(ingestion=put.group.ingestion)
            if (fresh.retention_days, fresh.retention_policy) == (
                put.group.retention_days,
                put.group.retention_policy,
            ):
                still.append(Put(fresh, put.action, at))
            else:
                reason = "its retention was changed meanwhile, by somebody else"
                self._context.record(fresh, Keep(reason, put.action.rule), Status.KEPT)
        return still

    # ---- sweeps ------------------------------------------------------------------------------

    def _count(self, items: list[Sweep]) -> None:
        """How many streams a sweep would delete, for the limit; nothing to sweep means keep."""
        for sweep in items:
            action = sweep.action
            try:
                count = count_silent(self._context.logs, sweep.group, action.before)
            except ReadError as error:
                reason = f"streams could not be read: {error}"
                unknown = Unknown(reason, action.rule)
                self._context.record(sweep.group, unknown, Status.UNKNOWN)
                continue
            if count:
                self.sweep(sweep.group, action, after_put=sweep.after_put, streams=count)
            elif not sweep.after_put:
                reason = f"{action.kept}; no expired streams to sweep"
                self._context.record(sweep.group, Keep(reason, action.rule), Status.KEPT)

    def begin_sweeps(self) -> Lane[Sweep]:
        """Sweep where no retention of this run's own has to come first; the lane to wait for."""
        ready = [sweep for sweep in self._sweeps if not sweep.after_put]
        self._sweeps = [sweep for sweep in self._sweeps if sweep.after_put]
        lane = self._sweep_lane()
        for sweep in ready:
            lane.put(sweep)
        return lane

    def finish(self) -> None:
        """Wait for the retention that is still to be put, then sweep where it was."""
        self._puts.close()
        progress = self._context.progress
        lane = self._sweep_lane()
        for sweep in self._sweeps:
            group = sweep.group
            if (days := self._put.get(group.identity)) is not None:
                own = group if days == PLANNED else group._replace(retention_days=days)
                lane.put(replace(sweep, group=own))
            elif (group.name, group.creation_time) not in progress.pending:
                self._context.give_up(group, sweep.action, "its retention was not set")
        lane.close()
        target = self._context.target
        for identity, item in progress.pending.items():
            place = (target.account, target.region, *identity)
            progress.pending[identity] = replace(item, put=self._put.get(place))

    def _sweep_lane(self) -> Lane[Sweep]:
        return self._context.lane("sweep", self._sweep, self._sweep_dropped, threads=4)

    def _sweep(self, items: list[Sweep]) -> None:
        for sweep in items:
            settings = self._context.run.policy.settings_for(sweep.group)
            drained = settings is None or settings.proof == "events"
            outcome = self._context.hands.sweep(sweep.group, sweep.action, drained=drained)
            self._context.tell(outcome)

    # ---- what is not done --------------------------------------------------------------------

    def _put_dropped(self, put: Put) -> None:
        self._context.not_reached(put.group, put.action)

    def _sweep_dropped(self, sweep: Sweep) -> None:
        self._context.not_reached(sweep.group, sweep.action, proved=sweep.streams)
