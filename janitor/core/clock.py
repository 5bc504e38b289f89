"""The clock and the stop signal. Both are injected, so that no test waits on real time."""

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
"""Seconds that a call in flight may still take once the run is stopped. AWS seldom needs more than
one second to answer.
"""

_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine sleeps, macOS's does not."""

Cause = Literal["interrupted", "late", "failed"]
"""Why a run stops: somebody interrupted it, its time is up, or it cannot go on."""


class Clock(Protocol):
    """The current time. Waiting uses the event loop's clock instead (`Stop.sleep`)."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the epoch (the unit of CloudWatch Logs)."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the wall clock in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go back, and that pass while the machine sleeps."""
        return time.clock_gettime(_BOOT_CLOCK)


class StoppedError(Exception):
    """The run is stopped and starts no new work, so this was not done."""


class Stop:
    """The signal that ends a run early. `drain` accepts no new pages or plan lines but finishes the
    accepted ones; `set` starts nothing more at all. Use it in one event loop only.
    """

    def __init__(self) -> None:
        self.cause: Cause | None = None
        self.waits = True
        """False where `sleep` must return at once because time stands still, as in the sandbox."""
        self._draining = False
        self._stopped = asyncio.Event()
        self._bounds: set[asyncio.Timeout] = set()

    @property
    def draining(self) -> bool:
        """Whether no new pages or plan lines are accepted."""
        return self._draining or self.is_set()

    def drain(self) -> None:
        """Accept no new pages or plan lines."""
        self._draining = True

    def set(self, cause: Cause) -> None:
        """Start nothing more. The first cause is kept."""
        self.cause = self.cause or cause
        self._stopped.set()
        soon = asyncio.get_running_loop().time() + IN_FLIGHT if self._bounds else 0
        for bound in self._bounds:
            if not bound.expired() and (when := bound.when()) is not None and when > soon:
                bound.reschedule(soon)

    def is_set(self) -> bool:
        """Whether nothing may be started any more."""
        return self._stopped.is_set()

    def check(self) -> None:
        """Raise StoppedError if the stop is set."""
        if self.is_set():
            raise StoppedError

    @contextlib.asynccontextmanager
    async def bounded(self, seconds: float) -> AsyncIterator[None]:
        """Limit the body to `seconds`, and to IN_FLIGHT from the moment the stop is set.

        Raises TimeoutError.
        """
        async with asyncio.timeout(min(seconds, IN_FLIGHT) if self.is_set() else seconds) as bound:
            self._bounds.add(bound)
            try:
                yield
            finally:
                self._bounds.discard(bound)

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of read-only work, or raise StoppedError as soon as the stop is set,
        without waiting for calls in flight.
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
        """Wait for `seconds`. Raises StoppedError as soon as the stop is set."""
        if seconds > 0 and not self.is_set():
            try:
                async with asyncio.timeout(seconds if self.waits else 0):
                    await self._stopped.wait()
            except TimeoutError:
                return
        self.check()
