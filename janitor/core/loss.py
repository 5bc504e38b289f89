"""How many bytes of existing events a retention deletes, and the sentence that says so."""

from __future__ import annotations

from janitor.core.clock import DAY_MS
from janitor.core.text import size


def lost_bytes(stored: int, age: int, present: int | None, days: int) -> int:
    """Estimate the bytes of existing events that a retention of `days` deletes from a log group
    that stores `stored` bytes, is `age` ms old and now keeps events for `present` days (None:
    forever).

    Events are taken as spread evenly over the group's life, or over its present retention where
    that is shorter. A retention that is not shorter deletes none.
    """
    window = age if present is None else min(age, present * DAY_MS)
    older = max(window - days * DAY_MS, 0)
    return stored * older // window if older else 0


def expiring_bytes(stored: int, age: int, retention: int | None, days: int) -> int:
    """Estimate, in the same way, the bytes of existing events that expire within `days` under the
    retention in force.
    """
    if retention is None or age <= (retention - days) * DAY_MS:  # as nearly all of a million are
        return 0
    return lost_bytes(stored, age, retention, max(retention - days, 0))


def loss(lost: int, *, dry_run: bool) -> str:
    """The line that says how many bytes of events are lost for good."""
    if not lost:
        return "lost for good: no existing events"
    what = "would delete" if dry_run else "deleted"
    return f"lost for good: retention {what} about {size(lost)} of existing events"
