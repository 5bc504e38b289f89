"""Estimates of the events that a retention deletes."""

from __future__ import annotations

import pytest

from janitor.core.clock import DAY_MS
from janitor.core.loss import expiring_bytes, loss, lost_bytes


@pytest.mark.parametrize(
    ("age", "present", "days", "lost"),
    [(100, None, 30, 70), (100, 60, 30, 50), (20, None, 30, 0), (100, 30, 30, 0), (100, 30, 60, 0)],
)
def test_events_older_than_the_retention_are_lost(
    age: int, present: int | None, days: int, lost: int
) -> None:
    """The 100 bytes are spread evenly over the group's life or its present retention."""
    assert lost_bytes(100, age * DAY_MS, present, days) == lost


@pytest.mark.parametrize(
    ("age", "retention", "expiring"),
    [(90, 30, 100), (400, 60, 50), (50, 60, 40), (10, 60, 0), (400, None, 0), (0, 30, 0)],
)
def test_events_that_expire_within_30_days(age: int, retention: int | None, expiring: int) -> None:
    """The estimate covers 100 stored bytes and the retention in force."""
    assert expiring_bytes(100, age * DAY_MS, retention, 30) == expiring


def test_the_sentence_about_lost_events_has_the_right_tense() -> None:
    """A dry run would delete, a run deleted; without a loss it says that there is none."""
    assert "would delete about 2.0 KiB" in loss(2048, dry_run=True)
    assert "deleted about 2.0 KiB" in loss(2048, dry_run=False)
    assert loss(0, dry_run=True) == "lost for good: no existing events"
