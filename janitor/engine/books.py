"""What happened in a run, counted by target, as its pages and its outcomes come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

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
        """Targets whose survey did not finish."""
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
        """Something did not finish."""
        self.unfinished.add(target)
        self.tallies[target].error(error)

    @property
    def total(self) -> Tally:
        """All targets together."""
        return Tally.together(self.tallies.values())

    def over_limit(self, limits: Limits) -> str:
        """Why nothing may be deleted or swept in the run, or in some accounts of several; empty
        where it may.
        """
        return self.verdict(limits).text

    def refusals(self, limits: Limits) -> dict[Target, str]:
        """For each target why nothing may be deleted or swept in it; empty where it may."""
        verdict = self.verdict(limits)
        return {target: verdict.of(target.account) or why for target, why in self.unsurveyed()}

    def would(self, refusals: Mapping[Target, str]) -> Counter[Verb]:
        """What would be done of what is planned."""
        refused = (tally for target, tally in self.tallies.items() if refusals[target])
        return self.total.would(Tally.together(refused))

    def unsurveyed(self) -> Iterator[tuple[Target, str]]:
        """Each target, and why nothing may be deleted or swept where its survey did not come to its
        end; empty where it did.
        """
        for target in self.tallies:
            yield target, UNFINISHED if target in self.unfinished else ""

    def verdict(self, limits: Limits) -> Verdict:
        """What the limits say. Of an account that was not surveyed nothing is deleted anyhow,
        so they say nothing of it alone.
        """
        by_account: dict[str, list[Tally]] = {}
        for target, tally in self.tallies.items():
            by_account.setdefault(target.account, []).append(tally)
        said = verdict({account: Tally.together(of) for account, of in by_account.items()}, limits)
        known = {target.account for target in self.tallies.keys() - self.unfinished}
        single = {account: why for account, why in said.accounts.items() if account in known}
        return Verdict(said.anywhere, single)


UNFINISHED = "the survey of this account and Region did not finish"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why nothing that is planned may be deleted or swept: anywhere, and in single accounts; empty
    where it may.
    """

    anywhere: str
    accounts: Mapping[str, str]

    def of(self, account: str) -> str:
        """Why nothing may be deleted or swept in the account; empty where it may."""
        return self.anywhere or self.accounts.get(account, "")

    @property
    def text(self) -> str:
        """All of it, in a line; of many accounts the first."""
        if self.anywhere:
            return self.anywhere
        said = [f"{account}: {why}" for account, why in islice(self.accounts.items(), NAMED)]
        left = len(self.accounts) - len(said)
        return "; ".join([*said, *([f"and {left} more accounts"] if left else [])])


NAMED = 10
"""Accounts that are named in a line."""


def verdict(accounts: Mapping[str, Tally], limits: Limits) -> Verdict:
    """What the limits say of what is planned in each account, and in all together."""
    single = {account: _over(tally, limits) for account, tally in accounts.items()}
    if len(accounts) == 1 and (why := next(iter(single.values()))):
        return Verdict(why, {})
    where = " in any account" if len(accounts) > 1 else ""
    total = Tally.together(accounts.values())
    together = _over(total, limits.over_all(), where=where, section="limits.fleet")
    return Verdict(together, {account: why for account, why in single.items() if why})


def _over(tally: Tally, limits: Limits, **how: Any) -> str:
    return exceeded(
        limits,
        deletions=tally.planned[Verb.DELETE_GROUP],
        sweeps=tally.planned[Verb.SWEEP_STREAMS],
        scanned=tally.scanned,
        **how,
    )
