"""When an invocation stops by itself, before Lambda ends it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from janitor.core.clock import Stop

SHORTEST_MARGIN = 1.0
LONGEST_MARGIN = 60.0
MARGIN_SHARE = 0.2
LONGEST_DRAIN = 90.0
DRAIN_SHARE = 0.2


@contextlib.contextmanager
def deadline(stop: Stop, remaining: float) -> Iterator[None]:
    """Drain, then set `stop` in time before `remaining` seconds are over."""
    loop = asyncio.get_running_loop()
    late = max(remaining - margin(remaining), 0.0)
    timers = [
        loop.call_later(max(late - drain(remaining), 0.0), stop.drain),
        loop.call_later(late, stop.set, "late"),
    ]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def margin(remaining: float) -> float:
    """Return how many seconds before its end a link starts nothing more.

    What is in flight takes 5 s at most (`Stop`), the journal, the plan, the state and the next link
    15 s each (`janitor.aws.api`). A link with little time to begin with keeps a share of it.
    """
    return max(min(LONGEST_MARGIN, remaining * MARGIN_SHARE), SHORTEST_MARGIN)


def drain(remaining: float) -> float:
    """Return how many seconds before that margin a link takes no new page or part of a plan, so
    that it finishes what it has taken and the next link continues right after it.
    """
    return min(LONGEST_DRAIN, remaining * DRAIN_SHARE)
