"""Time as an argument, and what ends a run early; both injected, so that no test waits."""

from __future__ import annotations

import asyncio
import time
from typing import Literal, Protocol

DAY_MS = 86_400_000
HOUR_MS = 3_600_000

Cause = Literal["interrupted", "late", "failed"]
"""Somebody interrupted it; time is up; it cannot go on."""


class Clock(Protocol):
    """What the engine asks of time. It waits by the event loop's time (`Stop.sleep`)."""

    def now(self) -> int:
        """Wall clock, in milliseconds since the epoch (the unit of CloudWatch Logs)."""

    def monotonic(self) -> float:
        """Seconds that never go back."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class StoppedError(Exception):
    """The run takes no new work, so this was not done."""


class Stop:
    """Tells a run to begin nothing more. `drain` comes first where there is time for it: no new
    pages and plan lines are taken, and what was taken is finished. To be used in one event loop.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self._draining = False
        self._stopped = asyncio.Event()

    @property
    def draining(self) -> bool:
        """Whether nothing new is to be taken."""
        return self._draining or self.is_set()

    def drain(self) -> None:
        """Take nothing new."""
        self._draining = True

    def set(self, cause: Cause) -> None:
        """Begin nothing more. The first cause counts."""
        self.cause = self.cause or cause
        self._stopped.set()

    def is_set(self) -> bool:
        """Whether nothing may be begun."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise StoppedError once it is set."""
        if self.is_set():
            raise StoppedError

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises StoppedError as soon as it is set."""
        if seconds > 0 and not self.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()
            except TimeoutError:
                return
        self.check()
