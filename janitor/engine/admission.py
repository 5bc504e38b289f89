"""Limits how many last looks (`janitor.engine.act`) are under way at once in the whole process.

A last look is valid for a second. On a small CPU many concurrent ones all take longer than that,
and each has to be repeated; so few are admitted, and more only while they are quick.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from janitor.core.clock import Clock

FIRST = 2
MOST = 16
QUICK = 0.3
SLOW = 0.6
"""Durations of a look in seconds: below QUICK the limit rises (by one a round), above SLOW it is
halved."""

HUNG = 3.0
"""Seconds after which a look gives its place to another: it takes no CPU, but waits for a Region
that does not answer, and other looks must not wait for that."""


class Admission:
    """Admits looks, first come, first served."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = float(FIRST)
        self._under_way = 0
        self._waiting: deque[asyncio.Event] = deque()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait for admission. The block is the look and the deletion that follows."""
        turn = asyncio.Event()
        self._waiting.append(turn)
        self._admit()
        try:
            await turn.wait()
        except asyncio.CancelledError:
            if turn.is_set():
                self._leave()
            else:
                self._waiting.remove(turn)
            raise
        began, admitted = self._clock.monotonic(), True

        def leave() -> None:
            nonlocal admitted
            if admitted:
                self._leave()
            admitted = False

        hung = asyncio.get_running_loop().call_later(HUNG, leave)
        try:
            yield
        finally:
            hung.cancel()
            took = self._clock.monotonic() - began
            if took < QUICK:
                self._limit = min(self._limit + 1 / self._limit, MOST)
            elif took > SLOW:
                self._limit = max(self._limit / 2, 1.0)
            leave()

    def _admit(self) -> None:
        """Wake only as many waiters as there is room for: there may be hundreds."""
        while self._waiting and self._under_way < int(self._limit):
            self._under_way += 1
            self._waiting.popleft().set()

    def _leave(self) -> None:
        self._under_way -= 1
        self._admit()
