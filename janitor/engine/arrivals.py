"""Whether events arrived in log groups, asked for many groups in one call."""

from __future__ import annotations

from collections.abc import Collection

from janitor.aws.api import Api
from janitor.aws.metrics import METRICS_A_CALL, arrivals
from janitor.engine.batcher import Batcher

LINGER = 2.0
"""How long questions are collected, in call intervals of the quota."""

Arrival = tuple[bool | None, int]
"""Whether anything arrived (None: unclear), and when that was asked (ms)."""

_Asked = tuple[str, int]
"""A log group's name, and the moment (ms) from which on arrivals count."""


class Arrivals:
    """Answers the questions of one target, several in a call."""

    def __init__(self, api: Api) -> None:
        self.clock = api.clock
        self._api = api
        self._asked = Batcher(api, "GetMetricData", METRICS_A_CALL, LINGER, self._ask)

    async def since(self, group: str, moment: int) -> Arrival:
        """Whether events arrived in the group from `moment` (ms) until now. Raises ReadError,
        StoppedError or CredentialsError.

        If one call asks about several moments of a group, the earliest counts for all.
        """
        return await self._asked.about((group, moment))

    async def _ask(self, asked: Collection[_Asked]) -> dict[_Asked, Arrival]:
        at, since = self.clock.now(), dict[str, int]()
        for group, moment in asked:
            since[group] = min(moment, since.get(group, moment))
        found = await arrivals(self._api, since)
        return {(group, moment): (found.get(group), at) for group, moment in asked}
