"""What a run did before a deployment changed the code in its middle, which starts the pass over.

The new survey finds the account as the earlier passes left it. A retention that they set must make
nothing deletable in this run, and the limits must still count what they did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from janitor.core.model import DeleteGroup, Keep, LogGroup, Outcome, Status, SweepStreams, Verb
from janitor.engine.plan import ActionLine, Planned
from janitor.engine.survey import Page
from janitor.function.state import EarlierPass

GIVEN = "this run set its retention before the code was deployed again: nothing of it is deleted"

Identity = tuple[str, int]
"""Name and creation time (ms) of a log group of the target."""


@dataclass(frozen=True, slots=True)
class _Uncounted:
    """The planned changes of a log group, other than its deletion, that may be done although they
    were not counted; `swept` of its streams were.
    """

    put: ActionLine | None
    sweep: ActionLine | None
    swept: int


class Earlier:
    """The earlier passes over one target."""

    def __init__(self) -> None:
        self._retention_set = set[Identity]()
        self._deletions = set[Identity]()
        self._uncounted = dict[Identity, _Uncounted]()

    async def read(self, done: EarlierPass, plan: AsyncIterator[Planned]) -> None:
        """Add a pass and its whole plan. Raises StateError, and PlanError on what this code cannot
        read.
        """
        position, ahead = 0, set(done.ahead)
        async for planned in plan:
            position += len(planned.actions)
            identity = planned.group, planned.creation_time
            deletion, put = planned.of("delete_group"), planned.of("set_retention")
            if done.refused and deletion is not None and deletion.retention_after is not None:
                put = deletion  # it was refused, and the retention set instead
            if put is not None:
                self._retention_set.add(identity)
            if not done.again or position <= done.line or position in ahead:
                continue
            if deletion is not None and not done.refused:
                self._deletions.add(identity)
            sweep = None if done.refused else planned.of("sweep_streams")
            put = None if position in done.swept else put  # it came before the sweep: counted
            self._uncounted[identity] = _Uncounted(put, sweep, done.swept.get(position, 0))

    def judged(self, page: Page) -> Page:
        """Return the page without deletions and sweeps where an earlier pass set the retention."""
        return replace(page, outcomes=[self._judged(outcome) for outcome in page.outcomes])

    def _judged(self, outcome: Outcome) -> Outcome:
        match outcome:
            case Outcome(
                group=group, action=DeleteGroup() | SweepStreams() as action, status=Status.PLANNED
            ) if _identity(group) in self._retention_set:
                keep = Keep(GIVEN, action.rule)
                return outcome._replace(action=keep, status=Status.KEPT, streams=0)
            case _:
                return outcome

    def still_there(self, page: Page) -> int:
        """Count the page's log groups that a link that died may have deleted, but did not."""
        return sum(_identity(group) in self._deletions for group in page.groups)

    def deleted(self, still_there: int) -> int:
        """Return how many log groups that link deleted, if `still_there` of them were found."""
        return max(len(self._deletions) - still_there, 0)

    def uncounted(self, page: Page) -> Mapping[Verb, int]:
        """Count what else that link did to the log groups of `page`, as it came from the survey.

        Streams that it was to sweep, and that are not to be swept now, count as swept.
        """
        done, left = Counter[Verb](), Counter[Identity]()
        for outcome in page.outcomes:
            if outcome.status is Status.PLANNED and isinstance(outcome.action, SweepStreams):
                left[_identity(outcome.group)] += outcome.streams
        for group in page.groups:
            if (one := self._uncounted.get(_identity(group))) is None:
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
