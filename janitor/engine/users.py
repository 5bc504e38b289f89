"""Who uses log groups, asked for many at a time; and what is kept because nobody knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from janitor.aws.api import Api
from janitor.core.model import LogGroup
from janitor.engine.batcher import Batcher
from janitor.owners.owners import Named, OwnerCache, Owners, Unread, Usage
from janitor.owners.table import Row

GROUPS_A_TIME = 100
LINGER = 2.0
"""Calls' time in which questions come together: of CloudFormation's, which takes one for each log
group where there are many stacks."""

TIMES_ASKED = 3
"""How often, at most: an answer that is too old by then each time counts as none."""

NAMES_SAID = 3


class Users:
    """The questions of one target, as `Owners` has them."""

    def __init__(
        self, api: Api, rows: Sequence[Row], cache: OwnerCache, max_age: float = math.inf
    ) -> None:
        owners = Owners(api, rows, cache, max_age=max_age)
        self.clock = api.clock
        self._max_age = max_age
        self.owner_named, self.recreated_by = owners.owner_named, owners.recreated_by
        self._known = owners.known
        self._asked: Batcher[Named, Usage] = Batcher(
            api, "cloudformation", GROUPS_A_TIME, LINGER, owners.of
        )
        self._named: Batcher[Named, Usage] = Batcher(
            api, "cloudformation", GROUPS_A_TIME, LINGER, owners.of_their_names
        )
        self._kept: dict[str, tuple[Unread, dict[str, None]]] = {}

    async def of(self, group: LogGroup) -> Usage:
        """What is known of a log group's owners. Raises StoppedError."""
        named = (group.name, group.arn)
        # A last look must not linger until others ask as well.
        answer = self._known(named) or await self._fresh(self._asked, named)
        return self._noted(group, answer)

    async def of_its_name(self, group: LogGroup) -> Usage:
        """What is known of the owners of which its name speaks. Raises StoppedError."""
        return self._noted(group, await self._fresh(self._named, (group.name, group.arn)))

    async def _fresh(self, asked: Batcher[Named, Usage], group: Named) -> Usage:
        """An answer that lasts: while some rows are asked others may become too old, and are asked
        again.
        """
        for _ in range(TIMES_ASKED):
            answer = await asked.about(group)
            if not answer.is_old(self.clock.monotonic(), self._max_age):
                return answer
        return answer.too_old()

    def _noted(self, group: LogGroup, answer: Usage) -> Usage:
        for unread in answer.unread if not answer.uses else ():
            self._kept.setdefault(unread.row, (unread, {}))[1][group.name] = None
        return answer

    def warnings(self) -> Iterator[str]:
        """What could not be read and why, what it takes to read it, and what is kept: once for all
        rows that failed alike and keep the same, for where one service is denied dozens are.
        """
        alike: dict[tuple[str, frozenset[str]], list[str]] = {}
        for row, (unread, names) in self._kept.items():
            code = unread.why.split(": ")[1:2] or [unread.why]
            alike.setdefault((code[0], frozenset(names)), []).append(row)
        for rows in alike.values():
            unread, names = self._kept[rows[0]]
            actions = {action: None for row in rows for action in self._kept[row][0].actions}
            takes = ", ".join(actions) if len(rows) == 1 else _some([*actions])
            yield (
                f"owners {', '.join(rows)} could not be read ({unread.why}); needed: {takes}; "
                f"kept because of this: {_some([*names])}"
            )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SAID} more" if len(names) > NAMES_SAID else ""
    return ", ".join(names[:NAMES_SAID]) + more
