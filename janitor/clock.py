"""Time as an argument: one clock that is injected, so that no test waits."""

from __future__ import annotations

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
