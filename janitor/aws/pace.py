"""How fast, and how often again: pacing at a share of each quota, and the retry policy.

Quotas hold per account, Region and operation, so there is one `TokenBucket` for each. Calls are
spread evenly instead of sent in bursts, because a burst is what gets throttled. All of it happens
in one event loop, so nothing is locked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from janitor.core.clock import Clock, Stop

ATTEMPTS = 8
LONGEST_WAIT = 20.0
CATCH_UP = 2
LOWERED = 0.8
RECOVERY = 15.0
SAME_MOMENT = 1.0
SLOWEST = 0.05
"""Of the ceiling: throttled again and again, a pace of one in twenty remains."""

_T = TypeVar("_T")


class TransientError(Exception):
    """Worth another try: throttled, 5xx, reset, timeout, an answer that cannot be read; unless it
    is the `last`, after so many others that no more is tried.
    """

    last = False


class TokenBucket:
    """Evenly spaced slots at `ceiling` a second; a late caller may catch up by two slots.

    Catching up keeps the average at the quota when threads wake late; it stays far below the
    burst of a second's worth of calls that AWS's own token buckets allow. A throttled call shows
    that others use the quota too, or that it is lower than thought: the pace is lowered at once. It
    comes back near the pace that was refused soon, passes it slowly after RECOVERY seconds, and
    grows faster and faster where nothing is refused any more, as TCP CUBIC's window does (RFC
    9438). So a single refusal costs little, and a quota that is shared is seldom run into.
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
        """A call was refused. Those that were under way with it say nothing new."""
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
"""The operations that the running task, or those that it waits for, may call without waiting."""


class Pace:
    """The buckets of one target. `rate` gives calls a second for an operation."""

    def __init__(self, rate: Callable[[str], float], clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._learned: dict[str, float] = {}
        self._buckets: dict[str, TokenBucket] = {}

    def learn(self, rates: Mapping[str, float]) -> None:
        """These rates hold instead, from the next call of each operation on."""
        self._learned.update(rates)
        for operation in rates:
            self._buckets.pop(operation, None)

    async def acquire(self, operation: str, stop: Stop) -> None:
        """Wait until `operation` may be called. Raises StoppedError, but for what was reserved:
        that is in flight, and finished.
        """
        reserved = _RESERVED.get()
        if reserved and operation in reserved:
            reserved.remove(operation)
        else:
            await self._bucket(operation).acquire(stop)

    async def reserve(self, operations: Sequence[str], stop: Stop) -> None:
        """Wait now for the next call of each operation by this task, so that nothing waits
        between them. What it reserved before and did not call is given up. Raises StoppedError.
        """
        _RESERVED.set(None)
        for operation in operations:
            await self._bucket(operation).acquire(stop)
        _RESERVED.set(set(operations))

    def throttled(self, operation: str) -> None:
        """A call of `operation` was refused: slow down."""
        self._bucket(operation).throttled()

    def ceiling(self, operation: str) -> float:
        """Calls a second at which the operation is made at most."""
        return self._bucket(operation).ceiling

    def _bucket(self, operation: str) -> TokenBucket:
        bucket = self._buckets.get(operation)
        if bucket is None:
            rate = self._learned.get(operation) or self._rate(operation)
            bucket = self._buckets[operation] = TokenBucket(rate, self._clock)
        return bucket


async def retrying(call: Callable[[], Awaitable[_T]], stop: Stop) -> _T:
    """`call()`, again with full jitter while it raises TransientError, at most ATTEMPTS times.

    Raises the last TransientError when all attempts failed, StoppedError when `stop` was set
    meanwhile.
    """
    try:
        return await call()
    except TransientError as error:
        if error.last:
            raise
        first: TransientError | None = error

    async def again() -> _T:
        nonlocal first
        if first is not None:
            failed, first = first, None
            raise failed
        return await call()

    # Only from the first failure on: nearly all calls succeed, and setting this up has its cost.
    return await AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, TransientError) and not error.last
        ),
        wait=wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT),
        stop=stop_after_attempt(ATTEMPTS),
        sleep=stop.sleep,
        reraise=True,
    )(again)
