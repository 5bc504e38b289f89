"""One run over all targets: scan, judge, prove; then, within the limits, act and record.

Each target scans and proves in threads of its own. Retention is put while the scan goes on.
Deletions wait until every target's scan has ended, because the limits hold for the whole run
and are checked before the first deletion. A run that has a deadline postpones what it does not
get to (`janitor.engine.resume`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from janitor.aws.api import Api, ReadError
from janitor.aws.pace import StoppedError
from janitor.aws.quotas import learn_quotas
from janitor.core.errors import JanitorError
from janitor.core.model import (
    DeleteGroup,
    Keep,
    LogGroup,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Verb,
)
from janitor.engine.candidates import Candidates
from janitor.engine.context import Recorder, RunContext, Source, TargetContext, WholeRegion
from janitor.engine.resume import ScanProgress
from janitor.engine.scan import Scan
from janitor.engine.summary import Summary
from janitor.engine.upkeep import Upkeep
from janitor.journal.journal import Journal
from janitor.policy.file import Policy

log = structlog.get_logger("janitor")


class Run:
    """A run: its targets, and the limits that hold for all of them together."""

    def __init__(
        self,
        apis: Iterable[Api],
        policy: Policy,
        recorder: Recorder,
        journal: Journal,
        stop: threading.Event,
        now: int,
        *,
        dry_run: bool,
        source: Callable[[Target], Source] = lambda _target: WholeRegion(),
        progress: Mapping[Target, ScanProgress] | None = None,
        summary: Summary | None = None,
    ) -> None:
        """With `progress` of each target the run postpones what it does not get to in time, and
        goes on from there; `summary` then holds the counters so far.
        """
        self.summary = summary or Summary()
        self._context = RunContext(
            policy, recorder, stop, now, self.summary, resumable=progress is not None
        )
        self._targets = [
            _TargetRun(
                TargetContext(
                    self._context,
                    api,
                    source(api.target),
                    journal,
                    (progress or {}).get(api.target) or ScanProgress(),
                    dry_run=dry_run,
                )
            )
            for api in apis
        ]

    def execute(self) -> Summary:
        """Run to the end, or until `stop` is set. Raises what no item can carry by itself:
        a bug, or a JanitorError before anything was scanned.
        """
        context = self._context
        _together(self._targets, _TargetRun.scan_and_prove)
        if context.postponing:
            _together(self._targets, _TargetRun.postpone)
        elif self._within_limits():
            _together(self._targets, _TargetRun.delete_and_sweep)
        else:
            for target in self._targets:
                target.refuse(self.summary.refused_because)
        _together(self._targets, _TargetRun.finish)
        self.summary.goes_on = context.postponing and any(t.unfinished for t in self._targets)
        if context.fatal is not None and not isinstance(context.fatal, JanitorError):
            raise context.fatal
        return self.summary

    def _within_limits(self) -> bool:
        """Line 7, for the whole run, its earlier links included. Says in the summary why not."""
        if self.summary.refused_because:
            return False
        limits = self._context.policy.limits
        scanned = sum(target.share_base for target in self._targets)
        share = limits.max_group_deletion_share
        allowed = min(limits.max_group_deletions, int(share * scanned))
        before = self.summary.changes(Verb.DELETE_GROUP) + self._left_out(Verb.DELETE_GROUP)
        planned = before + sum(len(target.candidates.proved) for target in self._targets)
        if planned > allowed:
            planned = before + self._confirmed(allowed - before)
        streams = sum(target.upkeep.silent_streams for target in self._targets)
        streams += self.summary.changes(Verb.SWEEP_STREAMS) + self._left_out(Verb.SWEEP_STREAMS)
        why = []
        if planned > limits.max_group_deletions:
            why.append(f"more than max_group_deletions = {limits.max_group_deletions} log groups")
        elif planned > allowed:
            why.append(
                f"{planned} of {scanned} log groups, more than max_group_deletion_share = {share}"
            )
        if streams > limits.max_stream_deletions:
            why.append(
                f"{streams} log streams, more than max_stream_deletions = "
                f"{limits.max_stream_deletions}"
            )
        if why:
            self.summary.refused_because = f"nothing is deleted: it would be {' and '.join(why)}"
        return not why

    def _left_out(self, verb: Verb) -> int:
        """How many items earlier links had to leave out: they count for the limits."""
        return sum(target.progress.left_out.get(verb, 0) for target in self._targets)

    def _confirmed(self, allowed: int) -> int:
        """How many candidates are left without those that something subscribes to.

        Asked only when the limits look exceeded, because it takes a call a group at the slowest
        quota; stops when they are exceeded for certain.
        """
        confirmed = 0
        for target in self._targets:
            for candidate in list(target.candidates.proved):
                if confirmed > allowed or self._context.stop.is_set():
                    return confirmed
                confirmed += target.candidates.confirm(candidate)
        return confirmed


class _TargetRun:
    """One target's part of a run: its steps, one after the other."""

    def __init__(self, context: TargetContext) -> None:
        self._context = context
        self.progress = context.progress
        self.upkeep = Upkeep(context)
        self.candidates = Candidates(context, self.upkeep)
        self._scan = Scan(context, self.upkeep, self.candidates)

    @property
    def share_base(self) -> int:
        """The number of log groups that the deletion share is taken of."""
        return self._context.source.scanned(self.progress.read)

    @property
    def unfinished(self) -> bool:
        """Whether there is something left for a later link."""
        progress = self.progress
        return bool(progress.pending) or not (progress.whole or progress.failed)

    def fail(self, error: BaseException) -> None:
        """A bug in this target's part: the whole run begins nothing new."""
        self._context.run.fail(error)

    def scan_and_prove(self) -> None:
        """Read every page, judge every group, prove what is to be deleted."""
        run, target, progress = self._context.run, self._context.target, self.progress
        try:
            learn_quotas(self._context.api, run.policy)
            if progress.failed:
                self._abandon("the scan of this account and Region failed earlier")
                return
            self._scan.execute()
        except StoppedError:
            if not run.postponing:
                run.summary.error(f"{target}: the scan was stopped")
        except ReadError as error:
            log.error("scan_failed", account=target.account, region=target.region, error=str(error))
            run.summary.error(f"{target}: the scan failed: {error}")
            progress.failed = True
        except JanitorError as error:
            run.fail(error)
        self._scan.finish()
        self.candidates.finish_proofs()
        self.upkeep.counted()
        if progress.failed or not (progress.whole or run.postponing):
            self._abandon("the scan of this account and Region did not complete")

    def refuse(self, reason: str) -> None:
        """The limits are exceeded: nothing is deleted, and every deletion says so."""
        for candidate in self.candidates.forget():
            action = candidate.action
            self._context.record(candidate.group, action, Status.REFUSED, reason)
            if isinstance(action.otherwise, SetRetention):
                self.upkeep.put(candidate.group, replace(action.otherwise, then=None))
        for sweep in self.upkeep.forget():
            self._context.record(sweep.group, sweep.action, Status.REFUSED, reason)

    def delete_and_sweep(self) -> None:
        """Delete the candidates and sweep the streams of groups whose retention is in force."""
        sweeps = self.upkeep.begin_sweeps()
        self.candidates.delete()
        sweeps.close()

    def finish(self) -> None:
        """Put what retention is left, and sweep after it."""
        self.upkeep.finish()

    def postpone(self) -> None:
        """Time is up before the limits could be checked: nothing is deleted in this link."""
        for group, action, proved in self._undone():
            self._context.not_reached(group, action, proved=proved)

    def _abandon(self, why: str) -> None:
        """Nothing (more) is deleted here in this run."""
        for group, action, _ in self._undone():
            self._context.give_up(group, action, why)
        for item in self.progress.pending.values():
            stub = item.group(self._context.target)
            self._context.give_up(stub, Keep("postponed by an earlier link"), why)
        self.progress.pending.clear()

    def _undone(self) -> list[tuple[LogGroup, DeleteGroup | SweepStreams, int]]:
        """What waits for the limits to be checked, taken from there; and what was proved of it."""
        deletions = [(c.group, c.action, 1) for c in self.candidates.forget()]
        sweeps = [(s.group, s.action, s.streams) for s in self.upkeep.forget()]
        return [*deletions, *sweeps]


def _together(targets: list[_TargetRun], step: Callable[[_TargetRun], None]) -> None:
    """One step of every target at once, each in a thread of its own."""
    failures: list[BaseException] = []

    def work(target: _TargetRun) -> None:
        try:
            step(target)
        except BaseException as error:  # handed to the caller's thread, which raises it
            failures.append(error)
            target.fail(error)

    threads = [
        threading.Thread(target=work, args=(target,), name=step.__name__, daemon=True)
        for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
