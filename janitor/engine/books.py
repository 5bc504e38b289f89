"""Counts what happens in a run, by target, as pages and outcomes come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date

from janitor.core.model import LogGroup, Outcome, Status, Target, Verb
from janitor.core.tally import Tally
from janitor.engine.act import Done
from janitor.engine.limits import LimitsVerdict, verdict
from janitor.engine.survey import Page
from janitor.policy.file import Limits

Listener = Callable[[Sequence[LogGroup], Sequence[Outcome]], None]
"""Receives log groups that were read, and outcomes."""
Accepted = Callable[[LogGroup], date | None]
"""Returns until when the policy accepts that a log group is unknown; None if it does not."""


class Books:
    """The sink of a survey and of an act."""

    def __init__(
        self, targets: Iterable[Target], listener: Listener, accepted: Accepted = lambda _: None
    ) -> None:
        self.tallies: dict[Target, Tally] = {target: Tally() for target in targets}
        self.unfinished: set[Target] = set()
        """Targets whose survey did not finish."""
        self.reached: dict[Target, int] = {}
        """How many lines of each target's plan were reached."""
        self.listener = listener
        self._accepted = accepted

    def page(self, page: Page) -> None:
        """Count one more page of a survey."""
        self.tallies[page.target].read(page.groups)
        self._add(page.target, page.groups, page.outcomes)

    def done(self, done: Done) -> None:
        """Count what was carried out of a plan."""
        self.reached[done.target] = done.position
        self._add(done.target, (), done.outcomes)

    def _add(self, target: Target, groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        tally = self.tallies[target]
        outcomes = [self._acknowledged(o) if o.status is Status.UNKNOWN else o for o in outcomes]
        for outcome in outcomes:
            tally.add(outcome)
        self.listener(groups, outcomes)

    def _acknowledged(self, outcome: Outcome) -> Outcome:
        """The unknown outcome, marked as acknowledged if the policy accepts it."""
        if not (until := self._accepted(outcome.group)):
            return outcome
        text = f"acknowledged until {until:%Y-%m-%d}"
        detail = f"{text}: {outcome.detail}" if outcome.detail else text
        return outcome._replace(acknowledged=True, detail=detail)

    def restarted(self, target: Target) -> None:
        """Forget what was counted of a target, whose survey begins again."""
        self.tallies[target] = Tally()

    def warned(self, target: Target, text: str) -> None:
        """Record a warning for people."""
        self.tallies[target].warn(f"{target}: {text}")

    def not_reached(self, target: Target, lines: int) -> None:
        """Count the lines of the target's plan, of `lines` in all, that act did not reach."""
        left = lines - self.reached.get(target, 0)
        self.tallies[target].by_status[Status.NOT_REACHED] += left

    def failed(self, target: Target, error: str) -> None:
        """Record an error because of which the target's survey or act did not finish."""
        self.unfinished.add(target)
        self.tallies[target].error(error)

    @property
    def total(self) -> Tally:
        """The tally of all targets together."""
        return Tally.together(self.tallies.values())

    def over_limit(self, limits: Limits) -> str:
        """Why nothing may be deleted or swept in the run, or in some of its accounts; empty if it
        may.
        """
        return self.verdict(limits).text

    def refusals(self, limits: Limits) -> dict[Target, str]:
        """For each target, why nothing may be deleted or swept in it; empty if it may."""
        verdict = self.verdict(limits)
        return {target: verdict.of(target.account) or why for target, why in self.unsurveyed()}

    def would(self, refusals: Mapping[Target, str]) -> Counter[Verb]:
        """What would be done of the plan, given the targets in which deletions are refused."""
        refused = (tally for target, tally in self.tallies.items() if refusals[target])
        return self.total.would(Tally.together(refused))

    def unsurveyed(self) -> Iterator[tuple[Target, str]]:
        """Yield each target, with UNFINISHED if its survey did not finish, else an empty text."""
        for target in self.tallies:
            yield target, UNFINISHED if target in self.unfinished else ""

    def verdict(self, limits: Limits) -> LimitsVerdict:
        """What the limits refuse. An account without a finished survey is not named by itself:
        nothing is deleted in it anyway.
        """
        by_account: dict[str, list[Tally]] = {}
        for target, tally in self.tallies.items():
            by_account.setdefault(target.account, []).append(tally)
        totals = {account: Tally.together(tallies) for account, tallies in by_account.items()}
        of_all = verdict(totals, limits)
        surveyed = {target.account for target in self.tallies.keys() - self.unfinished}
        single = {account: why for account, why in of_all.accounts.items() if account in surveyed}
        return LimitsVerdict(of_all.anywhere, single)


UNFINISHED = "the survey of this account and Region did not finish"
