"""Time as an argument: one clock that is injected, so that no test waits."""

from __future__ import annotations

import math
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the engine needs of time."""

    def now(self) -> int:
        """Wall clock, in milliseconds since the epoch (the unit of CloudWatch Logs)."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Sleep; returns early when `stop` is set."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wait(self, seconds: float, stop: threading.Event) -> None:
        """Sleep; returns early when `stop` is set."""
        if seconds > 0:
            stop.wait(seconds)


class Stop(threading.Event):
    """Tells a run to take no new work: because somebody set it, or because time is up.

    `deadline` is in seconds of the clock's `monotonic()`.
    """

    def __init__(self, clock: Clock, deadline: float = math.inf) -> None:
        super().__init__()
        self._clock = clock
        self._deadline = deadline

    @property
    def late(self) -> bool:
        """Whether time is up, and nobody set it."""
        return not super().is_set() and self._time_left() <= 0

    def is_set(self) -> bool:
        """Whether no new work may be taken, for either reason."""
        return super().is_set() or self._time_left() <= 0

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until set, at most `timeout` seconds and never past the deadline."""
        left = max(self._time_left(), 0)
        longest = left if timeout is None else min(timeout, left)
        super().wait(None if longest == math.inf else longest)
        return self.is_set()

    def _time_left(self) -> float:
        return self._deadline - self._clock.monotonic()
