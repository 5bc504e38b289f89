"""Whether events arrived in log groups, asked for many groups in one call."""

from __future__ import annotations

import asyncio

from janitor.aws.api import Api
from janitor.aws.metrics import METRICS_A_CALL, arrivals

LINGER = 2.0
"""How many calls' time a question waits for others to be asked with it."""

Answer = tuple[bool | None, int]
"""Whether anything arrived (None: unclear), and when it was asked (ms)."""


class Arrivals:
    """The questions of one target."""

    def __init__(self, api: Api) -> None:
        self.clock = api.clock
        self._api = api
        self._asked: dict[str, tuple[int, list[asyncio.Future[Answer]]]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def since(self, group: str, moment: int) -> Answer:
        """Whether events arrived in the group from `moment` (ms) until now. Raises ReadError,
        StoppedError or CredentialsError.

        Asked together for several moments of one group, the earliest counts for all.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        earliest, waiting = self._asked.get(group, (moment, []))
        self._asked[group] = (min(earliest, moment), [*waiting, answer])
        if len(self._asked) >= METRICS_A_CALL:
            self._ask()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._later())
        return await answer

    async def _later(self) -> None:
        await asyncio.sleep(LINGER / self._api.pace.ceiling("GetMetricData"))
        self._timer = None
        self._ask()

    def _ask(self) -> None:
        asked, self._asked = self._asked, {}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task = asyncio.create_task(self._answer(asked))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, asked: dict[str, tuple[int, list[asyncio.Future[Answer]]]]) -> None:
        at = self.clock.now()
        try:
            found = await arrivals(self._api, {name: since for name, (since, _) in asked.items()})
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            for _, waiting in asked.values():
                for answer in waiting:
                    if not answer.done():
                        answer.set_exception(error)
            return
        for name, (_, waiting) in asked.items():
            for answer in waiting:
                if not answer.done():
                    answer.set_result((found.get(name), at))
