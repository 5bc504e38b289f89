"""Time for tests of what waits."""

from __future__ import annotations

import threading

from janitor.sandbox.clocks import ManualClock


class Clock(ManualClock):
    """The janitor's and the sandbox's. Time passes where somebody waits, and then at once."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.seconds()

    def advance(self, seconds: float) -> None:
        with self._lock:
            super().advance(seconds)

    def wait(self, seconds: float, _stop: threading.Event) -> None:
        self.advance(max(seconds, 0))
