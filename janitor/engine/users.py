"""Asks who uses log groups, many at a time, and warns of what is kept because that is unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from janitor.aws.api import Api
from janitor.core.model import LogGroup
from janitor.core.text import some
from janitor.engine.batcher import Batcher
from janitor.owners.owners import Named, OwnerCache, Owners, Unread, Usage
from janitor.owners.table import Row

GROUPS_A_TIME = 100
LINGER = 2.0
"""How long questions are collected, in call intervals of CloudFormation's quota, which takes a call
for each log group if there are many stacks."""

TIMES_ASKED = 3
"""Attempts to get an answer that is not too old once it is complete; then it counts as unread."""

_DENIED = re.compile(r"(?i)denied|forbidden|not ?authorized|unauthorized")
"""What the code or the message of a denial has."""


class Users:
    """Asks `Owners` the questions of one target, batched."""

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
        # A last look must not wait for a batch.
        answer = self._known(named) or await self._fresh(self._asked, named)
        return self._noted(group, answer)

    async def of_its_name(self, group: LogGroup) -> Usage:
        """What is known of the owners that its name refers to. Raises StoppedError."""
        return self._noted(group, await self._fresh(self._named, (group.name, group.arn)))

    async def _fresh(self, asked: Batcher[Named, Usage], group: Named) -> Usage:
        """An answer that is not too old: while some rows are read, others may become so, and are
        read again.
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
        """Yield what could not be read and why, the permissions needed if it was denied, and what
        is kept. Rows that failed alike and keep the same share a warning: if one service is denied,
        dozens are.
        """
        alike: dict[tuple[str, frozenset[str]], list[str]] = {}
        for row, (unread, names) in self._kept.items():
            code = unread.why.split(": ")[1:2] or [unread.why]
            alike.setdefault((code[0], frozenset(names)), []).append(row)
        for rows in alike.values():
            unread, names = self._kept[rows[0]]
            actions = {action: None for row in rows for action in self._kept[row][0].actions}
            takes = ", ".join(actions) if len(rows) == 1 else some(actions)
            needed = f"; needed: {takes}" if _DENIED.search(unread.why) else ""
            yield (
                f"owners {', '.join(rows)} could not be read ({unread.why}){needed}; "
                f"kept because of this: {some(names)}"
            )
