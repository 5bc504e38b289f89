"""Virtual time, which passes only where somebody waits, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from janitor.sandbox.clocks import ManualClock

T = TypeVar("T")


class VirtualClock(ManualClock):
    """The clock of both the janitor and the fake account."""

    jump = ManualClock.advance

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in an event loop of this time, and cancel what is left of it."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(work)


class _Selector(selectors.SelectSelector):
    """Lets time pass instead of waiting."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("deadlock: every task waits, and nothing will ever happen")
        self._clock.jump(timeout)
        return []


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._virtual.passed
