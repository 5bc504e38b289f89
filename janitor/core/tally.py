"""Counts of what a run did in one account and Region, taken from its outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from janitor.core.model import (
    DeleteGroup,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    Verb,
    verb_of,
)


@dataclass
class Tally:
    """Counters of one target, or of several together. Planned and done work are counted apart. A
    sweep counts the streams that were deleted, whatever its status. `instead` counts planned
    deletions that become a retention if deletions are refused; `acknowledged` counts unknown log
    groups that the policy accepts.
    """

    scanned: int = 0
    stored_bytes: int = 0
    planned: Counter[Verb] = field(default_factory=Counter)
    instead: int = 0
    done: Counter[Verb] = field(default_factory=Counter)
    by_status: Counter[Status] = field(default_factory=Counter)
    acknowledged: int = 0
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def together(cls, tallies: Iterable[Tally]) -> Tally:
        """Return the sum of the tallies."""
        total = cls()
        for tally in tallies:
            total.include(tally)
        return total

    def include(self, tally: Tally) -> None:
        """Add another tally to this one."""
        self.scanned += tally.scanned
        self.stored_bytes += tally.stored_bytes
        self.planned.update(tally.planned)
        self.instead += tally.instead
        self.done.update(tally.done)
        self.by_status.update(tally.by_status)
        self.acknowledged += tally.acknowledged
        for error in tally.errors:  # a full disk stops every Region, and is one error
            self.error(error)
        for warning in tally.warnings:
            self.warn(warning)

    def read(self, groups: Sequence[LogGroup]) -> None:
        """Count log groups that were read."""
        self.scanned += len(groups)
        self.stored_bytes += sum(group.stored_bytes for group in groups)

    def add(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.by_status[outcome.status] += 1
        self.acknowledged += outcome.acknowledged
        if isinstance(outcome.action, Keep):
            return
        verb = verb_of(outcome.action)
        amount = outcome.streams if verb is Verb.SWEEP_STREAMS else 1
        if outcome.status is Status.PLANNED:
            self.planned[verb] += amount
            match outcome.action:
                case DeleteGroup(otherwise=SetRetention()):
                    self.instead += 1
        elif outcome.status is Status.DONE or verb is Verb.SWEEP_STREAMS:
            self.done[verb] += amount

    def would(self, refused: Tally) -> Counter[Verb]:
        """Return what would be done of the plan if deletions and sweeps in the part of it that
        `refused` counts are refused.
        """
        retention = refused.planned[Verb.SET_RETENTION] + refused.instead
        return self.planned - refused.planned + Counter({Verb.SET_RETENTION: retention})

    def earlier(self, verb: Verb, amount: int) -> None:
        """Count what the run did before this survey as planned and done, and deleted groups as
        scanned too: the limits are checked against those counts.
        """
        self.planned[verb] += amount
        self.done[verb] += amount
        self.scanned += amount if verb is Verb.DELETE_GROUP else 0

    def of_earlier(self) -> Tally:
        """Return what still counts once the survey starts over: what was done and what failed."""
        carried = Tally()
        for verb, amount in self.done.items():
            carried.earlier(verb, amount)
        for status in (Status.DONE, Status.FAILED, Status.GONE):
            carried.by_status[status] = self.by_status[status]
        return carried

    def error(self, text: str) -> None:
        """Note, once, an error that makes the run incomplete."""
        if text not in self.errors:
            self.errors.append(text)

    def warn(self, text: str) -> None:
        """Note, once, what a person should know though it does not make the run incomplete."""
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def complete(self) -> bool:
        """Whether nothing failed as a whole and everything was reached."""
        return not (self.errors or self.by_status[Status.NOT_REACHED])
