"""What happened in a run, counted by target, as its pages and its outcomes come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date

from janitor.core.model import LogGroup, Outcome, Status, Target, Verb
from janitor.core.tally import Tally
from janitor.engine.act import Done
from janitor.engine.limits import exceeded
from janitor.engine.survey import Page
from janitor.policy.file import Limits

Listener = Callable[[Sequence[LogGroup], Sequence[Outcome]], None]
"""Told of log groups that were read, and of outcomes."""
Accepted = Callable[[LogGroup], date | None]
"""Until when the policy accepts that a log group is not judged."""


class Books:
    """The sink of a survey and of an act."""

    def __init__(
        self, targets: Iterable[Target], listener: Listener, accepted: Accepted = lambda _: None
    ) -> None:
        self.tallies: dict[Target, Tally] = {target: Tally() for target in targets}
        self.unfinished: set[Target] = set()
        """Targets whose survey did not come to its end."""
        self.reached: dict[Target, int] = {}
        """How many lines of each target's plan were got to."""
        self.listener = listener
        self._accepted = accepted

    def page(self, page: Page) -> None:
        """One more page of a survey."""
        self.tallies[page.target].read(page.groups)
        self._add(page.target, page.groups, page.outcomes)

    def done(self, done: Done) -> None:
        """More of a plan was carried out."""
        self.reached[done.target] = done.position
        self._add(done.target, (), done.outcomes)

    def _add(self, target: Target, groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        tally = self.tallies[target]
        outcomes = [self._said(o) if o.status is Status.UNKNOWN else o for o in outcomes]
        for outcome in outcomes:
            tally.add(outcome)
        self.listener(groups, outcomes)

    def _said(self, outcome: Outcome) -> Outcome:
        """The outcome, with whether somebody accepts that it is unknown."""
        if not (until := self._accepted(outcome.group)):
            return outcome
        text = f"acknowledged until {until:%Y-%m-%d}"
        detail = f"{text}: {outcome.detail}" if outcome.detail else text
        return outcome._replace(acknowledged=True, detail=detail)

    def restarted(self, target: Target) -> None:
        """A survey begins again: what it counted is counted anew."""
        self.tallies[target] = Tally()

    def warned(self, target: Target, text: str) -> None:
        """Something a person should know."""
        self.tallies[target].warn(f"{target}: {text}")

    def not_reached(self, target: Target, lines: int) -> None:
        """What of the target's so many lines act did not get to."""
        left = lines - self.reached.get(target, 0)
        self.tallies[target].by_status[Status.NOT_REACHED] += left

    def failed(self, target: Target, error: str) -> None:
        """Something did not come to its end."""
        self.unfinished.add(target)
        self.tallies[target].error(error)

    @property
    def total(self) -> Tally:
        """All targets together."""
        return Tally.together(self.tallies.values())

    def over_limit(self, limits: Limits) -> str:
        """Why nothing may be deleted or swept in the whole run; empty where it may."""
        return over_limit(self.tallies, limits)

    def refusals(self, limits: Limits) -> dict[Target, str]:
        """For each target why nothing may be deleted or swept in it; empty where it may."""
        why = self.over_limit(limits)
        unfinished = "the survey of this account and Region did not come to its end"
        return {
            target: why or (unfinished if target in self.unfinished else "")
            for target in self.tallies
        }


def over_limit(tallies: Mapping[Target, Tally], limits: Limits) -> str:
    """Why nothing that is planned may be deleted or swept; empty where it may."""
    total = Tally.together(tallies.values())
    return exceeded(
        limits,
        deletions=total.planned[Verb.DELETE_GROUP],
        sweeps=total.planned[Verb.SWEEP_STREAMS],
        scanned=total.scanned,
    )
