"""How many log groups may be looked at for the last time at once, over the whole process.

A last look is worth a second. On a small CPU many at a time all take longer than that, and each
has to be repeated; so few are admitted, and more only while they are quick.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from janitor.core.clock import Clock

FIRST = 2
MOST = 16
QUICK = 0.3
SLOW = 0.6
"""Seconds that a look takes: below QUICK one more may be under way, above SLOW half as many."""


class Looks:
    """Admission to looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = float(FIRST)
        self._under_way = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait for admission; the block is the look and what follows from it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way < int(self._limit))
            self._under_way += 1
        began = self._clock.monotonic()
        try:
            yield
        finally:
            took = self._clock.monotonic() - began
            if took < QUICK:
                self._limit = min(self._limit + 1 / self._limit, MOST)
            elif took > SLOW:
                self._limit = max(self._limit / 2, 1.0)
            async with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
