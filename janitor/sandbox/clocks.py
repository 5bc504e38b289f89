"""The simulator's time: the machine's, or one that a test moves by hand."""

from __future__ import annotations

import time
from typing import Protocol

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Clock(Protocol):
    """What the simulator needs of time."""

    def now(self) -> int:
        """Milliseconds since the epoch."""

    def seconds(self) -> float:
        """Seconds that only grow, for quotas and actors."""


class RealClock:
    """The machine's time, shifted so that it starts at `start` (ms since the epoch) if given."""

    def __init__(self, start: int | None = None) -> None:
        self._shift = 0 if start is None else start - int(time.time() * 1000)

    def now(self) -> int:
        return int(time.time() * 1000) + self._shift

    def seconds(self) -> float:
        return time.monotonic()


class ManualClock:
    """Time that passes only in `advance`."""

    def __init__(self, start: int = 1_800_000_000_000) -> None:
        self._start = start
        self._passed = 0.0

    def now(self) -> int:
        return self._start + int(self._passed * 1000)

    def seconds(self) -> float:
        return self._passed

    def advance(self, seconds: float) -> None:
        self._passed += seconds
