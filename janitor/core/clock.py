"""Time as an argument, and what ends a run early; both injected, so that no test waits."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
IN_FLIGHT = 5.0
"""Seconds for which what is in flight is waited for, once a run is to end. A call that AWS answers
at all seldom takes one.
"""

_ASLEEP_TOO = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine sleeps, macOS's does not."""

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
        """Seconds that never go back, and that pass while the machine sleeps."""
        return time.clock_gettime(_ASLEEP_TOO)


class StoppedError(Exception):
    """The run takes no new work, so this was not done."""


class Stop:
    """Tells a run to begin nothing more. `drain` comes first where there is time for it: no new
    pages and plan lines are taken, and what was taken is finished. To be used in one event loop.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.waits = True
        """Whether `sleep` does; not where time stands still, as in the sandbox."""
        self._draining = False
        self._stopped = asyncio.Event()
        self._bounds: set[asyncio.Timeout] = set()

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
        soon = asyncio.get_running_loop().time() + IN_FLIGHT if self._bounds else 0
        for bound in self._bounds:
            if not bound.expired() and (when := bound.when()) is not None and when > soon:
                bound.reschedule(soon)

    def is_set(self) -> bool:
        """Whether nothing may be begun."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise StoppedError once it is set."""
        if self.is_set():
            raise StoppedError

    @contextlib.asynccontextmanager
    async def bounded(self, seconds: float) -> AsyncIterator[None]:
        """What takes so long at most, and IN_FLIGHT from the moment on in which it is set.

        Raises TimeoutError.
        """
        async with asyncio.timeout(min(seconds, IN_FLIGHT) if self.is_set() else seconds) as bound:
            self._bounds.add(bound)
            try:
                yield
            finally:
                self._bounds.discard(bound)

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work, which only reads, returns. Raises StoppedError as soon as it is set: then
        nobody waits for what is in flight.
        """
        doing, stopped = asyncio.create_task(work), asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((doing, stopped), return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return doing.result()
        finally:
            for task in (doing, stopped):
                task.cancel()
            await asyncio.gather(doing, stopped, return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        """Wait. Raises StoppedError as soon as it is set."""
        if seconds > 0 and not self.is_set():
            try:
                async with asyncio.timeout(seconds if self.waits else 0):
                    await self._stopped.wait()
            except TimeoutError:
                return
        self.check()
