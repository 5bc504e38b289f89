"""What retention deletes of the events that there are."""

from __future__ import annotations

import pytest

from janitor.core.clock import DAY_MS
from janitor.core.loss import expiring_bytes, loss, lost_bytes


@pytest.mark.parametrize(
    ("age", "present", "days", "lost"),
    [(100, None, 30, 70), (100, 60, 30, 50), (20, None, 30, 0), (100, 30, 30, 0), (100, 30, 60, 0)],
)
def test_what_is_older_than_a_retention_is_lost(
    age: int, present: int | None, days: int, lost: int
) -> None:
    """Of 100 bytes, spread evenly over the life of the group or its present retention."""
    assert lost_bytes(100, age * DAY_MS, present, days) == lost


@pytest.mark.parametrize(
    ("age", "retention", "expiring"),
    [(90, 30, 100), (400, 60, 50), (50, 60, 40), (10, 60, 0), (400, None, 0), (0, 30, 0)],
)
def test_what_expires_by_itself_within_30_days(
    age: int, retention: int | None, expiring: int
) -> None:
    """Of 100 bytes."""
    assert expiring_bytes(100, age * DAY_MS, retention, 30) == expiring


def test_what_is_lost_is_said_in_the_right_tense() -> None:
    """Nothing is said of an undo where nothing is lost."""
    assert "would delete about 2.0 KiB" in loss(2048, dry_run=True)
    assert "deleted about 2.0 KiB" in loss(2048, dry_run=False)
    assert loss(0, dry_run=True) == "lost for good: no existing events"
