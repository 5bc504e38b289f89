"""What Ctrl-C, SIGTERM and SIGHUP do while a command runs.

Outside these blocks each raises KeyboardInterrupt (`janitor.terminal.cli.entry`).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from janitor.core.clock import Stop


@contextlib.contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP set `stop`, so that calls in flight finish and no work starts.
    A second Ctrl-C ends the program at once.
    """
    loop = asyncio.get_running_loop()
    interrupting = False

    def interrupted() -> None:
        stop.set("interrupted")
        sys.stderr.write("\njanitor: interrupted: finishing calls in flight\n")

    def signalled(number: int, _frame: object) -> None:
        # The loop's own handlers would wait for the loop, which a large page may keep busy.
        nonlocal interrupting
        if interrupting and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not interrupting:
            loop.call_soon_threadsafe(interrupted)
        interrupting = True

    with handled(signalled):
        yield


@contextlib.contextmanager
def handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP, except those that are ignored, as under nohup."""
    before: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):  # only the main thread gets signals
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if (old := signal.getsignal(number)) is not signal.SIG_IGN:
                before[number] = old
                signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
