"""What a run did to one account and Region, counted from outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from janitor.core.model import (
    Action,
    DeleteGroup,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    Verb,
    verb_of,
)


def gets_retention_instead(action: Action) -> bool:
    """Whether retention is set where the deletion is refused."""
    return isinstance(action, DeleteGroup) and isinstance(action.otherwise, SetRetention)


@dataclass
class Tally:
    """Counters of one target, or of several together. What is planned and what is done are counted
    apart; a sweep counts its streams, whatever became of the rest of it. `instead` are the log
    groups to delete that get retention where deletions are refused, `acknowledged` those unknown
    that the policy accepts.
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
        """The sum of them."""
        total = cls()
        for tally in tallies:
            total.include(tally)
        return total

    def include(self, tally: Tally) -> None:
        """Count all that another one has counted."""
        self.scanned += tally.scanned
        self.stored_bytes += tally.stored_bytes
        self.planned.update(tally.planned)
        self.instead += tally.instead
        self.done.update(tally.done)
        self.by_status.update(tally.by_status)
        self.acknowledged += tally.acknowledged
        self.errors += tally.errors
        self.warnings += tally.warnings

    def read(self, groups: Sequence[LogGroup]) -> None:
        """Log groups were read."""
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
            self.instead += gets_retention_instead(outcome.action)
        elif outcome.status is Status.DONE or verb is Verb.SWEEP_STREAMS:
            self.done[verb] += amount

    def would(self, refused: Tally) -> Counter[Verb]:
        """What would be done of what is planned; deletions in a part of it are `refused`."""
        retention = refused.planned[Verb.SET_RETENTION] + refused.instead
        return self.planned - refused.planned + Counter({Verb.SET_RETENTION: retention})

    def earlier(self, verb: Verb, amount: int) -> None:
        """Count what the run did before what is counted here was surveyed: the limits are checked
        by what is planned and scanned.
        """
        self.planned[verb] += amount
        self.done[verb] += amount
        self.scanned += amount if verb is Verb.DELETE_GROUP else 0

    def of_earlier(self) -> Tally:
        """What is left of it where the survey begins again: what was done, and what failed."""
        left = Tally()
        for verb, amount in self.done.items():
            left.earlier(verb, amount)
        for status in (Status.DONE, Status.FAILED, Status.GONE):
            left.by_status[status] = self.by_status[status]
        return left

    def error(self, text: str) -> None:
        """Something makes the run incomplete."""
        if text not in self.errors:
            self.errors.append(text)

    def warn(self, text: str) -> None:
        """Something a person should know that does not make the run incomplete."""
        if text not in self.warnings:
            self.warnings.append(text)

    @property
    def complete(self) -> bool:
        """Whether everything was reached."""
        return not (self.errors or self.by_status[Status.NOT_REACHED])
