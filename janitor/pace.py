"""How fast, and how often again: pacing at a share of each quota, and the retry policy.

Quotas hold per account, Region and operation, so there is one `Bucket` for each. Calls are
spread evenly instead of sent in bursts, because a burst is what gets throttled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from janitor.clock import Clock

ATTEMPTS = 8
LONGEST_WAIT = 20.0
CATCH_UP = 2

_T = TypeVar("_T")


class TransientError(Exception):
    """Worth another try: throttled, 5xx, reset, timeout, an answer that cannot be read."""


class StoppedError(Exception):
    """The run takes no new work, so this call was not made."""


class Bucket:
    """Evenly spaced slots at `rate` a second; a late caller may catch up by two slots.

    Catching up keeps the average at the quota when threads wake late; it stays far below the
    burst of a second's worth of calls that AWS's own token buckets allow.
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._interval = 1 / rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock.monotonic()

    def acquire(self, stop: threading.Event) -> None:
        """Wait for the next slot. Raises StoppedError when `stop` is set by then."""
        with self._lock:
            now = self._clock.monotonic()
            slot = max(self._next, now - CATCH_UP * self._interval)
            self._next = slot + self._interval
        self._clock.wait(slot - now, stop)
        if stop.is_set():
            raise StoppedError


class Pace:
    """The buckets of one target. `rate` gives calls a second for an operation."""

    def __init__(self, rate: Callable[[str], float], clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def acquire(self, operation: str, stop: threading.Event) -> None:
        """Wait until `operation` may be called. Raises StoppedError."""
        with self._lock:
            bucket = self._buckets.get(operation)
            if bucket is None:
                bucket = self._buckets[operation] = Bucket(self._rate(operation), self._clock)
        bucket.acquire(stop)


def retrying(call: Callable[[], _T], clock: Clock, stop: threading.Event) -> _T:
    """`call()`, again with full jitter while it raises TransientError, at most ATTEMPTS times.

    Raises the last TransientError when all attempts failed or `stop` was set meanwhile.
    """
    return Retrying(
        retry=retry_if_exception_type(TransientError),
        wait=wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT),
        stop=lambda state: stop.is_set() or stop_after_attempt(ATTEMPTS)(state),
        sleep=lambda seconds: clock.wait(seconds, stop),
        reraise=True,
    )(call)
