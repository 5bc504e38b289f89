"""The log groups that may be deleted: proved empty, held for the limits, looked at, deleted.

Proofs are gathered while the scan goes on. Deletions wait until every target's scan has ended,
because the limits hold for the whole run and are checked before the first deletion.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from janitor.aws.api import Api
from janitor.aws.logs import METRICS_A_CALL
from janitor.aws.pace import StoppedError
from janitor.aws.tags import read_tags
from janitor.core.errors import JanitorError
from janitor.core.model import (
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    SetRetention,
    Status,
    SweepStreams,
)
from janitor.engine.act import TagsRead
from janitor.engine.context import TargetContext
from janitor.engine.lanes import Lane
from janitor.engine.proof import (
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    no_arrivals,
    no_events,
    no_owner,
    no_subscription_filters,
    streams_silent,
)
from janitor.engine.upkeep import Upkeep
from janitor.owners.functions import Owners
from janitor.policy.judge import judge

DELETIONS_A_LOOK = 3
"""Log groups whose tags are read in one call: a few, because they are looked at one after the other
within TAGS_LAST."""

DELETIONS_AT_ONCE = 6
"""More than the quotas need: where a call is slow or tried again, the others go on meanwhile."""

TAGS_LAST = 0.5
OWNERS_LAST = 60.0
"""Seconds. Listing a thousand functions takes 20 calls: too many to be made for each deletion."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A group to delete, proved empty as far as that goes before the limits are checked."""

    group: LogGroup
    action: DeleteGroup
    evidence: tuple[Evidence, ...] = field(hash=False)


class Candidates:
    """The candidates of one target; those that are not proved empty are left to `upkeep`."""

    def __init__(self, context: TargetContext, upkeep: Upkeep) -> None:
        self._context = context
        self._upkeep = upkeep
        self._lock = threading.Lock()
        self._unasked: list[Candidate] = []
        self.proved: list[Candidate] = []
        self._proofs: Lane[tuple[LogGroup, DeleteGroup]] = context.lane(
            "proof", self._prove, lambda item: context.not_reached(*item), threads=4
        )

    # ---- prove -------------------------------------------------------------------------------

    def prove(self, group: LogGroup, action: DeleteGroup) -> None:
        """Find out whether the group is empty."""
        self._proofs.put((group, action))

    def proved_earlier(self, group: LogGroup, action: DeleteGroup) -> None:
        """An earlier link proved it empty.

        That is looked at again right before the deletion; only arrivals are asked once more here.
        """
        at = self._context.api.clock.now()
        proof = Evidence("DescribeLogStreams", "proved empty earlier in this run", at)
        with self._lock:
            self._unasked.append(Candidate(group, action, (proof,)))

    def finish_proofs(self) -> None:
        """Wait until everything is proved or is not."""
        self._proofs.close()
        self._ask_arrivals(self._take_unasked())

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
        policy, logs = self._context.run.policy, self._context.logs
        if policy.protect.live_owners:
            yield lambda: no_owner(self._context.owners, logs, group)
        yield lambda: streams_silent(logs, group, action.before)
        settings = policy.settings_for(group)
        if settings is None or settings.proof == "events":
            yield lambda: no_events(logs, group, action.before)

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
                    self._context.run.summary.warn(
                        f"{self._context.target}: Lambda functions could not be listed, so log "
                        "groups under /aws/lambda/ are kept"
                    )
                hands = self._context.hands
                self._context.tell(hands.unread(group, action, verdict, tuple(evidence)))
                if not verdict.gone and not isinstance(action.otherwise, Keep):
                    self._upkeep.stay(group, action.otherwise)
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
                self._context.tell(self._context.hands.keep(group, action, why, evidence))
            case SweepStreams() as sweep:
                self._upkeep.stay(group, replace(sweep, kept=why.finding))
            case SetRetention() as put:
                reason = f"{put.reason}; kept: {why.finding}"
                self._upkeep.stay(group, replace(put, reason=reason))

    def _take_unasked(self) -> list[Candidate]:
        batch, self._unasked = self._unasked, []
        return batch

    def _ask_arrivals(self, batch: list[Candidate]) -> None:
        """Line 6 for a batch; where it cannot be asked any more, none of it is reached."""
        try:
            self._prove_arrivals(batch)
        except (StoppedError, JanitorError) as error:
            if isinstance(error, JanitorError):
                self._context.run.fail(error)
            for candidate in batch:
                self._context.not_reached(candidate.group, candidate.action)

    def _prove_arrivals(self, batch: list[Candidate]) -> None:
        """Line 6 for a batch of candidates; those it speaks for are held for the limits."""
        if not batch:
            return
        verdicts = no_arrivals(self._context.logs, [(c.group, c.action.before) for c in batch])
        for candidate, verdict in zip(batch, verdicts, strict=True):
            evidence = list(candidate.evidence)
            if self._speaks_for(candidate.group, candidate.action, verdict, evidence):
                with self._lock:
                    self.proved.append(
                        Candidate(candidate.group, candidate.action, tuple(evidence))
                    )

    def confirm(self, candidate: Candidate) -> bool:
        """Whether nothing subscribes to a candidate; if something does, it is no candidate."""
        try:
            verdict = no_subscription_filters(self._context.logs, candidate.group)
        except StoppedError:
            return True
        evidence = list(candidate.evidence)
        if self._speaks_for(candidate.group, candidate.action, verdict, evidence):
            return True
        self.proved.remove(candidate)
        self._upkeep.counted()
        return False

    def forget(self) -> list[Candidate]:
        """None of them is deleted (any more): these are they."""
        candidates, self.proved = self.proved, []
        return candidates

    # ---- delete ------------------------------------------------------------------------------

    def delete(self) -> None:
        """A few at a time; those that are looked at together have their tags read in one call."""
        candidates = self.forget()
        owners = Owners(self._context.api, OWNERS_LAST)
        lane: Lane[_Deletion] = self._context.lane(
            "delete", self._delete_all, self._not_deleted, threads=DELETIONS_AT_ONCE
        )
        for start in range(0, len(candidates), DELETIONS_A_LOOK):
            chunk = candidates[start : start + DELETIONS_A_LOOK]
            tags = _SharedTags(self._context.api, [candidate.group.arn for candidate in chunk])
            for candidate in chunk:
                lane.put(_Deletion(candidate, owners, tags))
        lane.close()

    def _delete_all(self, items: list[_Deletion]) -> None:
        for item in items:
            self._delete(item.candidate, item.owners, item.tags)

    def _not_deleted(self, item: _Deletion) -> None:
        self._context.not_reached(item.candidate.group, item.candidate.action, proved=1)

    def _delete(self, candidate: Candidate, owners: Owners, tags: _SharedTags) -> None:
        group, action = candidate.group, candidate.action
        outcome = self._context.hands.delete(
            group, action, owners, candidate.evidence, lambda: tags.of(group.arn)
        )
        if outcome.status is Status.KEPT and not isinstance(action.otherwise, Keep):
            run = self._context.run
            fresh = judge(outcome.group, run.policy, run.now)
            stay = fresh.otherwise if isinstance(fresh, DeleteGroup) else fresh
            if isinstance(stay, SetRetention):
                self._stay_put(outcome.group, stay)
                return
        self._context.tell(outcome)

    def _stay_put(self, group: LogGroup, action: SetRetention) -> None:
        """Retention for a group that the last look kept; its streams are left."""
        kept = self._context.source.allowed(group, replace(action, then=None))
        if isinstance(kept, SetRetention):
            self._upkeep.put(group, kept)
        else:
            self._context.record(group, kept, Status.KEPT)


@dataclass(frozen=True, slots=True)
class _Deletion:
    candidate: Candidate
    owners: Owners
    tags: _SharedTags


class _SharedTags:
    """The tags of a few groups about to be deleted, read once for as long as a look lasts."""

    def __init__(self, api: Api, arns: list[str]) -> None:
        self._api = api
        self._arns = arns
        self._lock = threading.Lock()
        self._tags: Mapping[str, Mapping[str, str]] = {}
        self._asked = -math.inf

    def of(self, arn: str) -> TagsRead:
        """A group's tags, asked for at most half a second ago. Raises ReadError."""
        with self._lock:
            now = self._api.clock.monotonic()
            if now - self._asked >= TAGS_LAST:
                self._tags = read_tags(self._api, self._arns)
                self._asked = now
            return self._tags[arn], self._asked
