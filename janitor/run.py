"""One run over all targets: scan, judge, prove; then, within the limits, act and record.

Each target scans and proves in threads of its own. Retention is put while the scan goes on.
Deletions wait until every target's scan has ended, because the limits hold for the whole run
and are checked before the first deletion. A run that has a deadline postpones what it does not
get to (`janitor.resume`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from janitor.act import Budget, Hands, with_tags
from janitor.aws import Api, ReadError
from janitor.clock import Stop
from janitor.errors import JanitorError
from janitor.journal import Journal
from janitor.judge import judge, needs_tags
from janitor.lanes import Lane
from janitor.logs import IDENTIFIERS_A_CALL, METRICS_A_CALL, Logs, TokenExpiredError
from janitor.model import (
    Action,
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Unknown,
    Verb,
)
from janitor.owners import Owners
from janitor.pace import StoppedError
from janitor.policy import Policy
from janitor.proof import (
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    count_silent,
    no_arrivals,
    no_events,
    no_owner,
    no_subscription_filters,
    streams_silent,
)
from janitor.quotas import learn_quotas
from janitor.resume import PLANNED, Pending, ScanProgress, no_later, sweep_of
from janitor.summary import Summary
from janitor.tags import ARNS_A_CALL, read_tags

log = structlog.get_logger("janitor")

FRESH_FOR = 5.0
"""Seconds after which a group is read again before its retention is put: with a long queue at
five puts a second, somebody else may have set it meanwhile."""

PUTS_A_LOOK = 25
DELETIONS_A_LOOK = 3
TAGS_LAST = 0.5


class Recorder(Protocol):
    """Where outcomes go as they happen. Called from several threads, one at a time."""

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""

    def scanned(self, group: LogGroup) -> None:
        """One more log group was read."""


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
            yield page

    def allowed(self, group: LogGroup, action: Action) -> Action:  # noqa: ARG002
        """Everything is."""
        return action

    def scanned(self, groups: int) -> int:
        """Those that were read."""
        return groups


@dataclass(frozen=True, slots=True)
class Candidate:
    """A group to delete, proved empty as far as that goes before the limits are checked."""

    group: LogGroup
    action: DeleteGroup
    evidence: tuple[Evidence, ...] = field(hash=False)


@dataclass(frozen=True, slots=True)
class _Put:
    group: LogGroup
    action: SetRetention
    looked_at: float


@dataclass(frozen=True, slots=True)
class _Sweep:
    group: LogGroup
    action: SweepStreams
    after_put: bool
    streams: int = 0


class Run:
    """Everything that the targets of one run share."""

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
        self.policy = policy
        self.now = now
        self.stop = stop
        self.summary = summary or Summary()
        self.resumable = progress is not None
        self.fatal: BaseException | None = None
        self._recorder = recorder
        self._recording = threading.Lock()
        swept = self.summary.changes(Verb.SWEEP_STREAMS)
        self._budget = Budget(policy.limits.max_stream_deletions - swept)
        self._targets = [
            _TargetRun(
                self,
                api,
                source(api.target),
                journal,
                (progress or {}).get(api.target) or ScanProgress(),
                dry_run=dry_run,
            )
            for api in apis
        ]

    @property
    def budget(self) -> Budget:
        """The streams that may still be deleted."""
        return self._budget

    def execute(self) -> Summary:
        """Run to the end, or until `stop` is set. Raises what no item can carry by itself:
        a bug, or a JanitorError before anything was scanned.
        """
        _together(self._targets, _TargetRun.scan_and_prove)
        if self.postponing:
            _together(self._targets, _TargetRun.postpone)
        elif self._within_limits():
            _together(self._targets, _TargetRun.delete_and_sweep)
        else:
            for target in self._targets:
                target.refuse(self.summary.refused_because)
        _together(self._targets, _TargetRun.finish)
        self.summary.goes_on = self.postponing and any(t.unfinished for t in self._targets)
        if self.fatal is not None and not isinstance(self.fatal, JanitorError):
            raise self.fatal
        return self.summary

    @property
    def postponing(self) -> bool:
        """Whether time is up, and what is not done is left for a later link."""
        late = isinstance(self.stop, Stop) and self.stop.late
        return self.resumable and late and self.fatal is None

    def record(self, outcome: Outcome) -> None:
        """Count it and hand it on."""
        self.summary.add(outcome)
        with self._recording:
            self._recorder.outcome(outcome)

    def scanned(self, page: list[LogGroup]) -> None:
        """Count a page and hand it on."""
        self.summary.scanned(page)
        with self._recording:
            for group in page:
                self._recorder.scanned(group)

    def fail(self, error: BaseException) -> None:
        """Something that ends the whole run: nothing new is begun."""
        if self.fatal is None:
            self.fatal = error
            if isinstance(error, JanitorError):
                self.summary.error(str(error))
        self.stop.set()

    def _within_limits(self) -> bool:
        """Line 7, for the whole run, its earlier links included. Says in the summary why not."""
        if self.summary.refused_because:
            return False
        limits = self.policy.limits
        scanned = sum(target.share_base for target in self._targets)
        share = limits.max_group_deletion_share
        allowed = min(limits.max_group_deletions, int(share * scanned))
        before = self.summary.changes(Verb.DELETE_GROUP) + self._left_out(Verb.DELETE_GROUP)
        planned = before + sum(len(target.candidates) for target in self._targets)
        if planned > allowed:
            planned = before + self._confirmed(allowed - before)
        streams = sum(target.silent_streams for target in self._targets)
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
            for candidate in list(target.candidates):
                if confirmed > allowed or self.stop.is_set():
                    return confirmed
                confirmed += target.confirm(candidate)
        return confirmed


class _TargetRun:
    """One target's part of a run."""

    def __init__(
        self,
        run: Run,
        api: Api,
        source: Source,
        journal: Journal,
        progress: ScanProgress,
        *,
        dry_run: bool,
    ) -> None:
        self._run = run
        self.progress = progress
        self._api = api
        self._logs = Logs(api)
        self._owners = Owners(api)
        self._source = source
        self._hands = Hands(
            self._logs,
            run.policy,
            run.now,
            run.stop,
            journal,
            run.budget,
            dry_run=dry_run,
        )
        self._lock = threading.Lock()
        self._resumed: dict[tuple[str, str, str, int], Pending] = {}
        self._waiting: list[LogGroup] = []
        self._unasked: list[Candidate] = []
        self._sweeps: list[_Sweep] = []
        self._put: dict[tuple[str, str, str, int], int] = {}
        self.candidates: list[Candidate] = []
        self.silent_streams = 0
        self._puts = Lane(
            "retention",
            self._put_all,
            self._drop,
            run.fail,
            run.stop,
            threads=2,
            batch=PUTS_A_LOOK,
        )
        self._proofs = Lane("proof", self._prove, self._drop, run.fail, run.stop, threads=4)
        self._counts = Lane("count", self._count, self._drop, run.fail, run.stop, threads=4)

    # ---- scan, judge, prove ------------------------------------------------------------------

    def scan_and_prove(self) -> None:
        """Read every page, judge every group, prove what is to be deleted."""
        target, progress = self._api.target, self.progress
        try:
            learn_quotas(self._api, self._run.policy)
            if progress.failed:
                self._abandon("the scan of this account and Region failed earlier")
                return
            if not progress.whole:
                self._scan()
                progress.whole = True
            self._again(tuple(Verb))
            self._judge_waiting()
        except StoppedError:
            if not self._run.postponing:
                self._run.summary.error(f"{target}: the scan was stopped")
        except ReadError as error:
            log.error(
                "scan_failed",
                account=target.account,
                region=target.region,
                error=str(error),
            )
            self._run.summary.error(f"{target}: the scan failed: {error}")
            progress.failed = True
        except JanitorError as error:
            self._run.fail(error)
        self._unfinished_tags()
        self._proofs.close()
        self._counts.close()
        self._ask_arrivals(self._take_unasked())
        self._counts.close()
        if progress.failed or not (progress.whole or self._run.postponing):
            self._abandon("the scan of this account and Region did not complete")

    def _scan(self) -> None:
        """Every page that was not read yet. Retention that an earlier link did not get to is put
        as soon as the first page shows that the scan goes on, and does not start again.
        """
        postponed_puts = True
        for page in self._pages():
            self._run.scanned(page)
            self.progress.read += len(page)
            self.progress.stored_bytes += sum(group.stored_bytes for group in page)
            for group in page:
                self._judge(group)
            if len(self._waiting) >= ARNS_A_CALL:
                self._judge_waiting()
            if self._run.stop.is_set():
                raise StoppedError
            if postponed_puts:
                self._again((Verb.SET_RETENTION,))
                postponed_puts = False
        self._judge_waiting()

    def _pages(self) -> Iterator[list[LogGroup]]:
        """The source's pages; where its position is too old, all of them from the start."""
        progress = self.progress
        try:
            yield from self._source.pages(self._logs, progress)
        except TokenExpiredError:
            log.warning(
                "scan_starts_again",
                account=self._api.target.account,
                region=self._api.target.region,
            )
            self._run.summary.forget(self._api.target.region, progress)
            progress.start_again()
            yield from self._source.pages(self._logs, progress)

    def _again(self, verbs: tuple[Verb, ...]) -> None:
        """Read again, by name, the groups that an earlier link postponed, and judge them."""
        pending = self.progress.pending
        items = [item for item in pending.values() if item.verb in verbs]
        for start in range(0, len(items), IDENTIFIERS_A_CALL):
            chunk = items[start : start + IDENTIFIERS_A_CALL]
            found = self._logs.named([item.name for item in chunk])
            for item in chunk:
                del pending[item.identity]
                group = found.get(item.name)
                if group is None or group.creation_time != item.creation_time:
                    self._record(self._stub(item), Keep("gone since it was scanned"), Status.GONE)
                    continue
                self._resumed[group.identity] = item
                self._judge(group)
            if len(self._waiting) >= ARNS_A_CALL:
                self._judge_waiting()

    def _stub(self, item: Pending) -> LogGroup:
        """All that is known of a postponed group before it is read again."""
        return LogGroup(self._api.target, item.name, "", item.creation_time, 0, tags={})

    def fail(self, error: BaseException) -> None:
        """A bug in this target's part: the whole run begins nothing new."""
        self._run.fail(error)

    @property
    def share_base(self) -> int:
        """The number of log groups that the deletion share is taken of."""
        return self._source.scanned(self.progress.read)

    @property
    def unfinished(self) -> bool:
        """Whether there is something left for a later link."""
        progress = self.progress
        return bool(progress.pending) or not (progress.whole or progress.failed)

    def _judge(self, group: LogGroup) -> None:
        action = judge(group, self._run.policy, self._run.now)
        if isinstance(action, Unknown) and needs_tags(group, self._run.policy, self._run.now):
            self._waiting.append(group)
            return
        self._dispatch(group, action)

    def _judge_waiting(self) -> None:
        """Read the tags of the groups for which they matter, and judge those."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            tags = read_tags(self._api, [group.arn for group in waiting])
        except ReadError as error:
            self._run.summary.warn(f"{self._api.target}: tags could not be read: {error}")
            tagged = [with_tags(group, None, str(error)) for group in waiting]
        except (StoppedError, JanitorError):
            self._waiting = waiting
            raise
        else:
            tagged = [with_tags(group, tags[group.arn]) for group in waiting]
        for group in tagged:
            self._dispatch(group, judge(group, self._run.policy, self._run.now))

    def _unfinished_tags(self) -> None:
        waiting, self._waiting = self._waiting, []
        for group in waiting:
            self._not_reached(group, Unknown("its tags were not read in time"))

    def _dispatch(self, group: LogGroup, action: Action) -> None:
        earlier = self._resumed.get(group.identity)
        if earlier is not None:
            action = no_later(action, earlier.before)
            if self._taken_up(group, action, earlier):
                return
        match self._source.allowed(group, action):
            case Keep() as kept:
                self._record(group, kept, Status.KEPT)
            case Unknown() as unknown:
                self._record(group, unknown, Status.UNKNOWN)
            case DeleteGroup() as deletion:
                self._proofs.put((group, deletion))
            case other:
                self._stay(group, other)

    def _taken_up(self, group: LogGroup, action: Action, earlier: Pending) -> bool:
        """Go on where an earlier link stopped with a group; False where it has to begin anew.

        What was proved there is looked at again right before the deletion, and arrivals are
        asked again, so it need not be proved twice.
        """
        after_put = earlier.put is not None
        if earlier.put is not None and not isinstance(action, Unknown):
            self._put[group.identity] = earlier.put
            removed = earlier.put != PLANNED and isinstance(action, SetRetention)
            sweep = None if removed else sweep_of(action)
            action = sweep or Keep("its retention was set, and nothing is to be swept")
        match action:
            case DeleteGroup() if earlier.verb is Verb.DELETE_GROUP and earlier.proved:
                at = self._api.clock.now()
                proof = Evidence("DescribeLogStreams", "proved empty earlier in this run", at)
                with self._lock:
                    self._unasked.append(Candidate(group, action, (proof,)))
            case SweepStreams() if earlier.verb is Verb.SWEEP_STREAMS and earlier.proved:
                with self._lock:
                    self.silent_streams += earlier.proved
                    self._sweeps.append(_Sweep(group, action, after_put, earlier.proved))
            case SweepStreams() if after_put:
                self._counts.put(_Sweep(group, action, after_put=True))
            case _:
                return after_put and isinstance(action, Keep)
        return True

    def _stay(self, group: LogGroup, action: Keep | SetRetention | SweepStreams) -> None:
        """What is done with a group that is not deleted."""
        match action:
            case Keep():
                self._record(group, action, Status.KEPT)
            case SetRetention():
                self._puts.put(_Put(group, action, self._api.clock.monotonic()))
                if action.then is not None:
                    self._counts.put(_Sweep(group, action.then, after_put=True))
            case SweepStreams():
                self._counts.put(_Sweep(group, action, after_put=False))

    def _prove(self, items: list[tuple[LogGroup, DeleteGroup]]) -> None:
        """Lines 1 (owner), 5 and, under proof = "events", 6; arrivals are asked in batches."""
        for group, action in items:
            evidence: list[Evidence] = []
            for check in self._checks(group, action):
                if not self._speaks_for(group, action, check(), evidence):
                    break
            else:
                with self._lock:
                    self._unasked.append(Candidate(group, action, tuple(evidence)))
                    batch = self._take_unasked() if len(self._unasked) >= METRICS_A_CALL else []
                self._ask_arrivals(batch)

    def _checks(self, group: LogGroup, action: DeleteGroup) -> Iterator[Callable[[], Verdict]]:
        policy = self._run.policy
        if policy.protect.live_owners:
            yield lambda: no_owner(self._owners, self._logs, group)
        yield lambda: streams_silent(self._logs, group, action.before)
        settings = policy.settings_for(group)
        if settings is None or settings.proof == "events":
            yield lambda: no_events(self._logs, group, action.before)

    def _speaks_for(
        self,
        group: LogGroup,
        action: DeleteGroup,
        verdict: Verdict,
        evidence: list[Evidence],
    ) -> bool:
        """Whether the evidence speaks for deletion; if not, the group stays."""
        evidence.append(verdict.evidence)
        match verdict:
            case Empty():
                return True
            case NotEmpty():
                self._kept_after_all(group, action, verdict.evidence, tuple(evidence))
            case Unreadable():
                if verdict.evidence.source == "ListFunctions":
                    self._run.summary.warn(
                        f"{self._api.target}: Lambda functions could not be listed, so log groups "
                        "under /aws/lambda/ are kept"
                    )
                self._tell(self._hands.unread(group, action, verdict, tuple(evidence)))
                if not verdict.gone and not isinstance(action.otherwise, Keep):
                    self._stay(group, action.otherwise)
        return False

    def _kept_after_all(
        self,
        group: LogGroup,
        action: DeleteGroup,
        why: Evidence,
        evidence: tuple[Evidence, ...],
    ) -> None:
        match action.otherwise:
            case Keep():
                self._tell(self._hands.keep(group, action, why, evidence))
            case SweepStreams() as sweep:
                self._stay(group, replace(sweep, kept=why.finding))
            case SetRetention() as put:
                self._stay(group, replace(put, reason=f"{put.reason}; kept: {why.finding}"))

    def _take_unasked(self) -> list[Candidate]:
        batch, self._unasked = self._unasked, []
        return batch

    def _ask_arrivals(self, batch: list[Candidate]) -> None:
        """Line 6 for a batch; where it cannot be asked any more, none of it is reached."""
        try:
            self._prove_arrivals(batch)
        except (StoppedError, JanitorError) as error:
            if isinstance(error, JanitorError):
                self._run.fail(error)
            for candidate in batch:
                self._not_reached(candidate.group, candidate.action)

    def _prove_arrivals(self, batch: list[Candidate]) -> None:
        """Line 6 for a batch of candidates; those it speaks for are held for the limits."""
        if not batch:
            return
        verdicts = no_arrivals(self._logs, [(c.group, c.action.before) for c in batch])
        for candidate, verdict in zip(batch, verdicts, strict=True):
            evidence = list(candidate.evidence)
            if self._speaks_for(candidate.group, candidate.action, verdict, evidence):
                with self._lock:
                    self.candidates.append(
                        Candidate(candidate.group, candidate.action, tuple(evidence))
                    )

    def _count(self, items: list[_Sweep]) -> None:
        """How many streams a sweep would delete, for the limit; nothing to sweep means keep."""
        for sweep in items:
            try:
                count = count_silent(self._logs, sweep.group, sweep.action.before)
            except ReadError as error:
                reason = f"streams could not be read: {error}"
                self._record(sweep.group, Unknown(reason, sweep.action.rule), Status.UNKNOWN)
                continue
            if count:
                with self._lock:
                    self.silent_streams += count
                    self._sweeps.append(replace(sweep, streams=count))
            elif not sweep.after_put:
                reason = f"{sweep.action.kept}; no expired streams to sweep"
                self._record(sweep.group, Keep(reason, sweep.action.rule), Status.KEPT)

    # ---- act ---------------------------------------------------------------------------------

    def confirm(self, candidate: Candidate) -> bool:
        """Whether nothing subscribes to a candidate; if something does, it is no candidate."""
        try:
            verdict = no_subscription_filters(self._logs, candidate.group)
        except StoppedError:
            return True
        evidence = list(candidate.evidence)
        if self._speaks_for(candidate.group, candidate.action, verdict, evidence):
            return True
        self.candidates.remove(candidate)
        self._counts.close()
        return False

    def refuse(self, reason: str) -> None:
        """The limits are exceeded: nothing is deleted, and every deletion says so."""
        candidates, self.candidates = self.candidates, []
        sweeps, self._sweeps = self._sweeps, []
        for candidate in candidates:
            self._record(candidate.group, candidate.action, Status.REFUSED, reason)
            if isinstance(candidate.action.otherwise, SetRetention):
                self._puts.put(
                    _Put(
                        candidate.group,
                        replace(candidate.action.otherwise, then=None),
                        self._api.clock.monotonic(),
                    )
                )
        for sweep in sweeps:
            self._record(sweep.group, sweep.action, Status.REFUSED, reason)

    def delete_and_sweep(self) -> None:
        """Delete the candidates and sweep the streams of groups whose retention is in force."""
        ready = [sweep for sweep in self._sweeps if not sweep.after_put]
        self._sweeps = [sweep for sweep in self._sweeps if sweep.after_put]
        lane = self._sweep_lane()
        for sweep in ready:
            lane.put(sweep)
        self._delete_candidates()
        lane.close()

    def finish(self) -> None:
        """Wait for the retention that is still to be put, then sweep where it was."""
        self._puts.close()
        lane = self._sweep_lane()
        for sweep in self._sweeps:
            if (days := self._put.get(sweep.group.identity)) is not None:
                group = (
                    sweep.group if days == PLANNED else replace(sweep.group, retention_days=days)
                )
                lane.put(replace(sweep, group=group))
            elif (sweep.group.name, sweep.group.creation_time) not in self.progress.pending:
                self._give_up(sweep.group, sweep.action, "its retention was not set")
        lane.close()
        for identity, item in self.progress.pending.items():
            place = (self._api.target.account, self._api.target.region, *identity)
            self.progress.pending[identity] = replace(item, put=self._put.get(place))

    def _sweep_lane(self) -> Lane[_Sweep]:
        run = self._run
        return Lane("sweep", self._sweep, self._drop, run.fail, run.stop, threads=4)

    def _sweep(self, items: list[_Sweep]) -> None:
        for sweep in items:
            settings = self._run.policy.settings_for(sweep.group)
            drained = settings is None or settings.proof == "events"
            self._tell(self._hands.sweep(sweep.group, sweep.action, drained=drained))

    def _delete_candidates(self) -> None:
        """Three at a time: their tags are read in one call, and each is deleted right after."""
        candidates, self.candidates = self.candidates, []
        owners = Owners(self._api)
        with ThreadPoolExecutor(DELETIONS_A_LOOK, "delete") as pool:
            for start in range(0, len(candidates), DELETIONS_A_LOOK):
                chunk = candidates[start : start + DELETIONS_A_LOOK]
                tags = _SharedTags(self._api, [candidate.group.arn for candidate in chunk])
                for candidate, done in [
                    (c, pool.submit(self._delete, c, owners, tags)) for c in chunk
                ]:
                    try:
                        done.result()
                    except StoppedError:
                        self._not_reached(candidate.group, candidate.action, proved=1)
                    except BaseException as error:  # ends the run, after the others in the chunk
                        self._run.fail(error)
                        self._not_reached(candidate.group, candidate.action)

    def _delete(self, candidate: Candidate, owners: Owners, tags: _SharedTags) -> None:
        group, action = candidate.group, candidate.action
        outcome = self._hands.delete(
            group, action, owners, candidate.evidence, lambda: tags.of(group.arn)
        )
        if outcome.status is Status.KEPT and not isinstance(action.otherwise, Keep):
            fresh = judge(outcome.group, self._run.policy, self._run.now)
            stay = fresh.otherwise if isinstance(fresh, DeleteGroup) else fresh
            if isinstance(stay, SetRetention):
                self._stay_put(outcome.group, stay)
                return
        self._tell(outcome)

    def _stay_put(self, group: LogGroup, action: SetRetention) -> None:
        """Retention for a group that the last look kept; its streams wait for the next run."""
        kept = self._source.allowed(group, replace(action, then=None))
        if isinstance(kept, SetRetention):
            self._puts.put(_Put(group, kept, self._api.clock.monotonic()))
        else:
            self._record(group, kept, Status.KEPT)

    def _put_all(self, items: list[_Put]) -> None:
        """Put retention; groups whose look is old are read again first."""
        while items:
            put = items[0]
            if self._api.clock.monotonic() - put.looked_at > FRESH_FOR:
                items[:] = self._looked_again(items)
                continue
            outcome = self._hands.set_retention(put.group, put.action)
            items.pop(0)
            if put.action.then is not None and outcome.status in (Status.DONE, Status.PLANNED):
                done = outcome.status is Status.DONE
                with self._lock:
                    self._put[put.group.identity] = put.action.days if done else PLANNED
            self._tell(outcome)

    def _looked_again(self, items: list[_Put]) -> list[_Put]:
        """The puts that are still right; what changed meanwhile is kept, and recorded so."""
        at = self._api.clock.monotonic()
        try:
            found = self._logs.named([put.group.name for put in items])
        except ReadError as error:
            for put in items:
                self._record(put.group, put.action, Status.FAILED, str(error))
            return []
        still: list[_Put] = []
        for put in items:
            fresh = found.get(put.group.name)
            if fresh is None or fresh.identity != put.group.identity:
                self._record(put.group, put.action, Status.GONE, "gone already")
                continue
            fresh = with_tags(fresh, put.group.tags, put.group.tags_error)
            fresh = replace(fresh, ingestion=put.group.ingestion)
            if (fresh.retention_days, fresh.retention_policy) == (
                put.group.retention_days,
                put.group.retention_policy,
            ):
                still.append(_Put(fresh, put.action, at))
            else:
                reason = "its retention was changed meanwhile, by somebody else"
                self._record(fresh, Keep(reason, put.action.rule), Status.KEPT)
        return still

    # ---- what is not done --------------------------------------------------------------------

    def postpone(self) -> None:
        """Time is up before the limits could be checked: nothing is deleted in this link."""
        for group, action, proved in self._undone():
            self._not_reached(group, action, proved=proved)
        self.candidates, self._sweeps = [], []

    def _undone(self) -> list[tuple[LogGroup, DeleteGroup | SweepStreams, int]]:
        """What waits for the limits to be checked, and what was proved of it."""
        deletions = [(candidate.group, candidate.action, 1) for candidate in self.candidates]
        sweeps = [(sweep.group, sweep.action, sweep.streams) for sweep in self._sweeps]
        return [*deletions, *sweeps]

    def _abandon(self, why: str) -> None:
        """Nothing (more) is deleted here in this run."""
        for group, action, _ in self._undone():
            self._give_up(group, action, why)
        for item in self.progress.pending.values():
            self._give_up(self._stub(item), Keep("postponed by an earlier link"), why)
        self.candidates, self._sweeps, self.silent_streams = [], [], 0
        self.progress.pending.clear()

    def _drop(self, item: _Put | _Sweep | tuple[LogGroup, DeleteGroup]) -> None:
        match item:
            case _Put():
                self._not_reached(item.group, item.action)
            case _Sweep():
                self._not_reached(item.group, item.action, proved=item.streams)
            case (group, action):
                self._not_reached(group, action)

    def _not_reached(self, group: LogGroup, action: Action, proved: int = 0) -> None:
        outcome = self._hands.outcome(group, action, Status.NOT_REACHED, "stopped before")
        self._tell(outcome, proved)

    def _give_up(self, group: LogGroup, action: Action, why: str) -> None:
        """Not reached, and no later link tries again."""
        self._run.record(self._hands.outcome(group, action, Status.NOT_REACHED, why))

    def _record(self, group: LogGroup, action: Action, status: Status, detail: str = "") -> None:
        self._tell(self._hands.outcome(group, action, status, detail))

    def _tell(self, outcome: Outcome, proved: int = 0) -> None:
        """Record an outcome; what the deadline left undone is for a later link instead."""
        undone = outcome.status in (Status.NOT_REACHED, Status.FAILED)
        if undone and self._run.postponing:
            with self._lock:
                self.progress.postpone(outcome.group, outcome.action, proved)
            if not outcome.streams:
                return
            outcome = replace(outcome, status=Status.DONE, detail="the rest is postponed")
        with self._lock:
            self.progress.kept += outcome.status is Status.KEPT
            self.progress.unknown += outcome.status is Status.UNKNOWN
        self._run.record(outcome)


class _SharedTags:
    """The tags of a few groups about to be deleted, read once for as long as a look lasts."""

    def __init__(self, api: Api, arns: list[str]) -> None:
        self._api = api
        self._arns = arns
        self._lock = threading.Lock()
        self._tags: Mapping[str, Mapping[str, str]] = {}
        self._until = 0.0

    def of(self, arn: str) -> Mapping[str, str]:
        """A group's tags, at most half a second old. Raises ReadError."""
        with self._lock:
            if self._api.clock.monotonic() >= self._until:
                self._until = self._api.clock.monotonic() + TAGS_LAST
                self._tags = read_tags(self._api, self._arns)
            return self._tags[arn]


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
