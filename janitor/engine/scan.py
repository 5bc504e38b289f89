"""Reading one target's log groups page by page, judging each, and handing it on."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from janitor.aws.api import ReadError
from janitor.aws.logs import IDENTIFIERS_A_CALL, TokenExpiredError
from janitor.aws.pace import StoppedError
from janitor.aws.tags import read_tags
from janitor.core.errors import JanitorError
from janitor.core.model import (
    Action,
    DeleteGroup,
    Keep,
    LogGroup,
    SetRetention,
    Status,
    SweepStreams,
    Unknown,
    Verb,
)
from janitor.engine.act import with_tags
from janitor.engine.candidates import Candidates
from janitor.engine.context import TargetContext
from janitor.engine.resume import PLANNED, Pending, no_later, sweep_of
from janitor.engine.upkeep import Upkeep
from janitor.policy.judge import judge, needs_tags

log = structlog.get_logger("janitor")

TAGS_AT_ONCE = 25
"""Groups that wait for their tags before these are read. GetResources takes 100, but then proofs
and retention would come in bursts, late, instead of beside the scan."""


class Scan:
    """One target's scan, from where an earlier link stopped."""

    def __init__(self, context: TargetContext, upkeep: Upkeep, candidates: Candidates) -> None:
        self._context = context
        self._upkeep = upkeep
        self._candidates = candidates
        self._resumed: dict[tuple[str, str, str, int], Pending] = {}
        self._waiting: list[LogGroup] = []
        self._kept: list[tuple[LogGroup, Keep]] = []

    def execute(self) -> None:
        """Read every page and what earlier links postponed, and judge every group.

        Raises ReadError where a page cannot be read, StoppedError, or a JanitorError.
        """
        progress = self._context.progress
        if not progress.whole:
            self._read()
            progress.whole = True
        self._again(tuple(Verb))
        self._judge_waiting()

    def finish(self) -> None:
        """After `execute`, however it ended: tell of the groups that it did not get to tell of,
        those whose tags were not read in time among them.
        """
        self._tell_kept()
        waiting, self._waiting = self._waiting, []
        for group in waiting:
            self._context.not_reached(group, Unknown("its tags were not read in time"))

    def _read(self) -> None:
        """Every page that was not read yet. Retention that an earlier link did not get to is put
        as soon as the first page shows that the scan goes on, and does not start again.
        """
        run, progress = self._context.run, self._context.progress
        postponed_puts = True
        for page in self._pages():
            run.scanned(page)
            progress.read += len(page)
            progress.stored_bytes += sum(group.stored_bytes for group in page)
            for group in page:
                self._judge(group)
            self._tell_kept()
            if len(self._waiting) >= TAGS_AT_ONCE:
                self._judge_waiting()
            if run.stop.is_set():
                raise StoppedError
            if postponed_puts:
                self._again((Verb.SET_RETENTION,))
                postponed_puts = False
        self._judge_waiting()

    def _pages(self) -> Iterator[list[LogGroup]]:
        """The source's pages; where its position is too old, all of them from the start."""
        context, progress = self._context, self._context.progress
        try:
            yield from context.source.pages(context.logs, progress)
        except TokenExpiredError:
            target = context.target
            log.warning("scan_starts_again", account=target.account, region=target.region)
            context.run.summary.forget(target.region, progress)
            progress.start_again()
            yield from context.source.pages(context.logs, progress)

    def _again(self, verbs: tuple[Verb, ...]) -> None:
        """Read again, by name, the groups that an earlier link postponed, and judge them."""
        pending = self._context.progress.pending
        items = [item for item in pending.values() if item.verb in verbs]
        for start in range(0, len(items), IDENTIFIERS_A_CALL):
            chunk = items[start : start + IDENTIFIERS_A_CALL]
            found = self._context.logs.named([item.name for item in chunk])
            for item in chunk:
                del pending[item.identity]
                group = found.get(item.name)
                if group is None or group.creation_time != item.creation_time:
                    gone = item.group(self._context.target)
                    keep = Keep("gone since it was scanned")
                    self._context.record(gone, keep, Status.GONE)
                    continue
                self._resumed[group.identity] = item
                self._judge(group)
            if len(self._waiting) >= TAGS_AT_ONCE:
                self._judge_waiting()

    def _judge(self, group: LogGroup) -> None:
        run = self._context.run
        action = judge(group, run.policy, run.now)
        if isinstance(action, Unknown) and needs_tags(group, run.policy, run.now):
            self._waiting.append(group)
            return
        self._dispatch(group, action)

    def _judge_waiting(self) -> None:
        """Read the tags of the groups for which they matter, and judge those."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        run = self._context.run
        try:
            tags = read_tags(self._context.api, [group.arn for group in waiting])
        except ReadError as error:
            run.summary.warn(f"{self._context.target}: tags could not be read: {error}")
            tagged = [with_tags(group, None, str(error)) for group in waiting]
        except (StoppedError, JanitorError):
            self._waiting = waiting
            raise
        else:
            tagged = [with_tags(group, tags[group.arn]) for group in waiting]
        for group in tagged:
            self._dispatch(group, judge(group, run.policy, run.now))

    def _dispatch(self, group: LogGroup, action: Action) -> None:
        earlier = self._resumed.get(group.identity) if self._resumed else None
        if earlier is not None:
            action = no_later(action, earlier.before)
            if self._taken_up(group, action, earlier):
                return
        match self._context.source.allowed(group, action):
            case Unknown() as unknown:
                self._context.record(group, unknown, Status.UNKNOWN)
            case Keep() as keep:
                self._kept.append((group, keep))
            case DeleteGroup() as deletion:
                self._candidates.prove(group, deletion)
            case other:
                self._upkeep.stay(group, other)

    def _tell_kept(self) -> None:
        kept, self._kept = self._kept, []
        self._context.kept(kept)

    def _taken_up(self, group: LogGroup, action: Action, earlier: Pending) -> bool:
        """Go on where an earlier link stopped with a group; False where it has to begin anew."""
        after_put = earlier.put is not None
        if earlier.put is not None and not isinstance(action, Unknown):
            self._upkeep.put_earlier(group, earlier.put)
            removed = earlier.put != PLANNED and isinstance(action, SetRetention)
            sweep = None if removed else sweep_of(action)
            action = sweep or Keep("its retention was set, and nothing is to be swept")
        match action:
            case DeleteGroup() if earlier.verb is Verb.DELETE_GROUP and earlier.proved:
                self._candidates.proved_earlier(group, action)
            case SweepStreams() if earlier.verb is Verb.SWEEP_STREAMS and earlier.proved:
                self._upkeep.sweep(group, action, after_put=after_put, streams=earlier.proved)
            case SweepStreams() if after_put:
                self._upkeep.sweep(group, action, after_put=True)
            case _:
                return after_put and isinstance(action, Keep)
        return True
