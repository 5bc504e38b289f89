"""Paces calls at a share of each quota.

Quotas hold per account, Region and operation, so each has its own `TokenBucket`. Calls are spread
evenly, because bursts get throttled. Everything runs in one event loop, so there are no locks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar

from janitor.core.clock import Clock, Stop

CATCH_UP = 2
LOWERED = 0.8
"""The factor by which a refused call lowers the pace."""
RECOVERY = 15.0
"""Seconds after which the pace that was refused is reached again."""
SAME_MOMENT = 1.0
"""Seconds within which several refusals count as one."""
SLOWEST = 0.05
"""The lowest pace, as a share of the ceiling."""


class TokenBucket:
    """Evenly spaced slots, at most `ceiling` a second; a late caller may catch up CATCH_UP slots.

    Catching up keeps the average at the quota when threads wake late, and stays far below the burst
    of a second's worth of calls that AWS's own token buckets allow. A throttled call shows that
    others use the quota too, or that it is lower than assumed, so the pace is lowered at once. It
    soon returns close to the refused pace, passes it slowly after RECOVERY seconds, and then grows
    faster and faster, as TCP CUBIC's window does (RFC 9438). So a single refusal costs little, and
    calls seldom run into a shared quota.
    """

    def __init__(self, ceiling: float, clock: Clock) -> None:
        self.ceiling = ceiling
        self._clock = clock
        self._next = clock.monotonic()
        self._refused = self._lowered = ceiling
        self._lowered_at = self._next

    async def acquire(self, stop: Stop) -> None:
        """Wait for the next slot. Raises StoppedError when `stop` is set by then."""
        now = self._clock.monotonic()
        interval = 1 / self._pace(now)
        slot = max(self._next, now - CATCH_UP * interval)
        self._next = slot + interval
        await stop.sleep(slot - now)

    def throttled(self) -> None:
        """Lower the pace after a refused call. Refusals at the same moment count once."""
        now = self._clock.monotonic()
        pace = self._pace(now)
        if pace < self.ceiling and now - self._lowered_at < SAME_MOMENT:
            return
        self._lowered = max(pace * LOWERED, self.ceiling * SLOWEST)
        self._refused = self._lowered / LOWERED
        self._lowered_at = now
        self._next = max(self._next, now + 1 / self._lowered)

    def _pace(self, now: float) -> float:
        away = (now - self._lowered_at) / RECOVERY - 1
        return min(self.ceiling, self._refused + (self._refused - self._lowered) * away**3)


_RESERVED: ContextVar[set[str] | None] = ContextVar("reserved", default=None)
"""The operations that the current task, and the tasks it starts, may call without waiting."""


class Pace:
    """The buckets of one target. `rate` gives calls a second for an operation."""

    def __init__(self, rate: Callable[[str], float], clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._learned: dict[str, float] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def learn(self, rates: Mapping[str, float]) -> None:
        """Replace the rates of these operations, from the next call of each on."""
        self._learned.update(rates)
        for operation in rates:
            self._buckets.pop(operation, None)

    async def acquire(self, operation: str, stop: Stop) -> None:
        """Wait until `operation` may be called. Raises StoppedError, except for a reserved call,
        which counts as in flight.
        """
        reserved = _RESERVED.get()
        if reserved and operation in reserved:
            reserved.remove(operation)
        else:
            await self._bucket(operation).acquire(stop)

    async def reserve(self, operations: Sequence[str], stop: Stop) -> None:
        """Wait now for this task's next call of each operation, so that there is no wait between
        them. Discards earlier reservations that were not used. Raises StoppedError.
        """
        _RESERVED.set(None)
        for operation in operations:
            await self._bucket(operation).acquire(stop)
        _RESERVED.set(set(operations))

    def throttled(self, operation: str) -> None:
        """Slow down, because a call of `operation` was refused."""
        self._bucket(operation).throttled()

    def ceiling(self, operation: str) -> float:
        """The most calls of the operation a second."""
        return self._bucket(operation).ceiling

    def _bucket(self, operation: str) -> TokenBucket:
        bucket = self._buckets.get(operation)
        if bucket is None:
            rate = self._learned.get(operation) or self._rate(operation)
            bucket = self._buckets[operation] = TokenBucket(rate, self._clock)
        return bucket
