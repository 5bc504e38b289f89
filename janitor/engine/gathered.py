"""Questions that come up one by one, asked for many in one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

from janitor.aws.api import Api

Q = TypeVar("Q")
A = TypeVar("A")


class Gathered(Generic[Q, A]):
    """The questions of one target that `operation` answers, at most `most` in a call. Between two
    calls as much time passes as the pace needs for `linger` of them, in which questions come
    together; the first is asked at once.
    """

    def __init__(
        self,
        api: Api,
        operation: str,
        most: int,
        linger: float,
        ask: Callable[[Collection[Q]], Awaitable[Mapping[Q, A]]],
    ) -> None:
        """`ask` has an answer to every question that it is given."""
        self._api = api
        self._operation = operation
        self._most = most
        self._linger = linger
        self._ask = ask
        self._next = api.clock.monotonic()
        self._waiting: dict[Q, list[asyncio.Future[A]]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    def about(self, question: Q) -> asyncio.Future[A]:
        """The answer to a question. Raises what `ask` raises."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(question, []).append(answer)
        if len(self._waiting) >= self._most:
            self._send()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._later())
        return answer

    async def _later(self) -> None:
        await asyncio.sleep(max(self._next - self._api.clock.monotonic(), 0))
        self._timer = None
        self._send()

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        linger = self._linger / self._api.pace.ceiling(self._operation)
        self._next = self._api.clock.monotonic() + linger
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task = asyncio.create_task(self._answer(waiting))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answer(self, waiting: Mapping[Q, list[asyncio.Future[A]]]) -> None:
        try:
            found = await self._ask(waiting.keys())
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            for answer in (answer for answers in waiting.values() for answer in answers):
                if not answer.done():
                    answer.set_exception(error)
            return
        for question, answers in waiting.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found[question])
