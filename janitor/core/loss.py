"""What retention deletes of the events that there are: how much, and how every output says it."""

from __future__ import annotations

from janitor.core.clock import DAY_MS
from janitor.core.text import size


def lost_bytes(stored: int, age: int, present: int | None, days: int) -> int:
    """The bytes of existing events that a retention of `days` deletes, of `stored` in a log group
    that is `age` ms old and has the retention `present` (days; None: never expires).

    An estimate: they are taken as spread evenly over the group's life, or over its present
    retention where that is shorter. A retention that is not shorter deletes none.
    """
    window = age if present is None else min(age, present * DAY_MS)
    older = max(window - days * DAY_MS, 0)
    return stored * older // window if older else 0


def expiring_bytes(stored: int, age: int, retention: int | None, days: int) -> int:
    """The bytes of existing events that expire within `days` under the retention that is in force,
    by the same estimate.
    """
    if retention is None or age <= 0:
        return 0
    if retention <= days:
        return stored
    later = (retention - days) * DAY_MS
    if age <= later:
        return 0
    window = min(age, retention * DAY_MS)
    return stored * (window - later) // window


def loss(lost: int, *, dry_run: bool) -> str:
    """The line about what no undo brings back. `lost` in bytes."""
    if not lost:
        return "lost for good: no existing events"
    what = "would delete" if dry_run else "deleted"
    return f"lost for good: retention {what} about {size(lost)} of existing events"
