"""Combines questions that come up one by one into calls that answer many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

from janitor.aws.api import Api

Q = TypeVar("Q")
A = TypeVar("A")

WAITS = 3.0
"""Wait between two calls, at most, as a multiple of the duration of a call."""
SLOW = 1.0
"""Seconds of a call's duration that count for that, at most: a hanging call must not hold up the
rest."""


class Batcher(Generic[Q, A]):
    """Batches one target's questions to `operation`, at most `most` a call.

    The first question is asked at once. The next call waits for a full batch, but no longer than
    the quota's interval for `linger` calls, or WAITS times a call's duration, whichever is longer:
    on a small CPU questions come in slowly too, and each would get a call of its own.
    """

    def __init__(
        self,
        api: Api,
        operation: str,
        most: int,
        linger: float,
        ask: Callable[[Collection[Q]], Awaitable[Mapping[Q, A]]],
    ) -> None:
        """`ask` returns an answer to every question that it is given."""
        self._api = api
        self._operation = operation
        self._most = most
        self._linger = linger
        self._ask = ask
        self._next = api.clock.monotonic()
        self._took = 0.0
        self._waiting: dict[Q, list[asyncio.Future[A]]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._asking: dict[asyncio.Task[None], float] = {}
        """When (monotonic) each call under way began."""

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
        now = self._api.clock.monotonic()
        took = max(self._took, *(now - began for began in self._asking.values()), 0)
        linger = self._linger / self._api.pace.ceiling(self._operation)
        self._next = now + max(linger, WAITS * min(took, SLOW))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task = asyncio.create_task(self._answer(waiting))
        self._asking[task] = now
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._took = self._api.clock.monotonic() - self._asking.pop(task)

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
