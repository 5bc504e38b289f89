"""The sandbox's clocks: the machine's time, or time that is moved by hand."""

from __future__ import annotations

import time


class RealClock:
    """The machine's time, shifted to begin at `start` (ms since the epoch) if given."""

    def __init__(self, start: int | None = None) -> None:
        self._shift = 0 if start is None else start - int(time.time() * 1000)

    def now(self) -> int:
        return int(time.time() * 1000) + self._shift

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """Time that passes only in `advance`."""

    def __init__(self, start: int = 1_800_000_000_000) -> None:
        self.passed = 0.0
        self._start = start

    def now(self) -> int:
        return self._start + int(self.passed * 1000)

    def monotonic(self) -> float:
        return self.passed

    def advance(self, seconds: float) -> None:
        self.passed += seconds
