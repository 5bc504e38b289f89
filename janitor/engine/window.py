"""Runs work concurrently and hands on the results in the order in which it was started."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class Window(Generic[T]):
    """At most `most` pieces of work under way; `done` gets each result, in order.

    So wherever the work is cut off, everything before a known position is done.
    """

    def __init__(
        self, most: int, done: Callable[[T], None], full: Callable[[], bool] = lambda: False
    ) -> None:
        """`full` may say that there is no room even if fewer than `most` are under way."""
        self._most = most
        self._done = done
        self._full = full
        self._work: deque[asyncio.Future[T]] = deque()

    async def add(self, *work: Coroutine[Any, Any, T]) -> None:
        """Start all of it, once there is room. Raises what earlier work or `done` raises."""
        try:
            await self._room(len(work))
        except BaseException:
            for piece in work:
                piece.close()
            raise
        self._work += map(asyncio.create_task, work)

    async def put(self, result: T) -> None:
        """Hand on, in its turn, a result that needed no work. Raises as `add`."""
        await asyncio.sleep(0)  # an in-memory account never yields to the loop, and Ctrl-C needs it
        await self._room(1)
        if not self._work:
            self._done(result)
            return
        done = asyncio.get_running_loop().create_future()
        done.set_result(result)
        self._work.append(done)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for all of it, or cancel it after an error. Raises what work or `done` raises."""
        try:
            if self._work and kind is None:
                await asyncio.wait(self._work)
                self._hand_on()
        finally:
            for task in self._work:
                task.cancel()
            await asyncio.gather(*self._work, return_exceptions=True)

    async def _room(self, pieces: int) -> None:
        self._hand_on()
        while self._work and (len(self._work) + pieces > self._most or self._full()):
            await asyncio.wait([self._work[0]])
            self._hand_on()

    def _hand_on(self) -> None:
        while self._work and self._work[0].done():
            self._done(self._work.popleft().result())
