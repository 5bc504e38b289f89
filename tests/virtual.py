"""Time that passes only where somebody waits, and then at once: the same run each time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from janitor.sandbox.clocks import ManualClock

T = TypeVar("T")


class VirtualClock(ManualClock):
    """The clock of the janitor and of the fake account."""

    jump = ManualClock.advance

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns, in an event loop of this time. What is left of it is cancelled."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(work)


class _Selector(selectors.SelectSelector):
    """Waits for nothing: lets time pass instead."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self._clock.jump(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._virtual.passed
