"""What a run has done by plans of other code: a deployment in its middle begins the pass again.

The new survey finds the account as the earlier passes left it. A retention that they put must make
nothing deletable in this run, and what they did must not be forgotten by its limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from janitor.core.model import DeleteGroup, Keep, LogGroup, Outcome, Status, SweepStreams, Verb
from janitor.engine.plan import ActionLine, Planned
from janitor.engine.survey import Page
from janitor.function.state import Passed

GIVEN = "this run set its retention before the code was deployed again: nothing of it is deleted"

Identity = tuple[str, int]
"""Name and creation time (ms) of a log group of the target."""


@dataclass(frozen=True, slots=True)
class _Uncounted:
    """What was planned for a log group, and may be done; a deletion in `deleted`."""

    put: ActionLine | None
    sweep: ActionLine | None
    swept: int


class Earlier:
    """The earlier passes over one target, once they are read."""

    def __init__(self) -> None:
        self._given = set[Identity]()
        self._deletions = set[Identity]()
        self._others = dict[Identity, _Uncounted]()

    async def read(self, one: Passed, plan: AsyncIterator[Planned]) -> None:
        """One more pass, and its whole plan. Raises StateError, and PlanError on what this code
        cannot read.
        """
        position, ahead = 0, set(one.ahead)
        async for each in plan:
            position += len(each.actions)
            identity = each.group, each.creation_time
            deletion, put = each.of("delete_group"), each.of("set_retention")
            if one.refused and deletion is not None and deletion.retention_after is not None:
                put = deletion  # which was refused, and the retention put instead
            if put is not None:
                self._given.add(identity)
            if not one.again or position <= one.line or position in ahead:
                continue
            if deletion is not None and not one.refused:
                self._deletions.add(identity)
            sweep = None if one.refused else each.of("sweep_streams")
            put = None if position in one.swept else put  # which came first
            self._others[identity] = _Uncounted(put, sweep, one.swept.get(position, 0))

    def judged(self, page: Page) -> Page:
        """The page without deletions and sweeps where an earlier pass put the retention."""
        return replace(page, outcomes=[self._judged(outcome) for outcome in page.outcomes])

    def _judged(self, outcome: Outcome) -> Outcome:
        match outcome:
            case Outcome(
                group=group, action=DeleteGroup() | SweepStreams() as action, status=Status.PLANNED
            ) if _identity(group) in self._given:
                keep = Keep(GIVEN, action.rule)
                return outcome._replace(action=keep, status=Status.KEPT, streams=0)
            case _:
                return outcome

    def there(self, page: Page) -> int:
        """How many of the page's groups are there that a link which died may have deleted."""
        return sum(_identity(group) in self._deletions for group in page.groups)

    def gone(self, there: int) -> int:
        """How many it deleted, where so many are there."""
        return max(len(self._deletions) - there, 0)

    def found_done(self, page: Page) -> Mapping[Verb, int]:
        """What else it did to the page's groups, as far as they show it; `page` is as it came from
        the survey. What it may have swept, and is not to be swept now, counts as swept.
        """
        done, left = Counter[Verb](), Counter[Identity]()
        for outcome in page.outcomes:
            if outcome.status is Status.PLANNED and isinstance(outcome.action, SweepStreams):
                left[_identity(outcome.group)] += outcome.streams
        for group in page.groups:
            if (one := self._others.get(_identity(group))) is None:
                continue
            in_force = None if group.retention_policy else group.retention_days
            if one.put is not None and in_force == one.put.retention_after:
                done[Verb.SET_RETENTION] += 1
            if one.sweep is not None:
                rest = (one.sweep.streams or 0) - one.swept - left[_identity(group)]
                done[Verb.SWEEP_STREAMS] += max(rest, 0)
        return +done


def _identity(group: LogGroup) -> Identity:
    return group.name, group.creation_time
