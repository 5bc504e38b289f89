"""How much one run may delete."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from janitor.engine.limits import allowed_deletions, exceeded
from janitor.policy.file import Limits


@given(st.integers(0, 100), st.integers(0, 100_000))
@example(29, 100)
def test_the_share_is_what_is_written(percent: int, scanned: int) -> None:
    """Exactly: floating point would refuse 29 of 100 at a share of 0.29."""
    limits = Limits(max_group_deletions=10**9, max_group_deletion_share=percent / 100)
    most = allowed_deletions(limits, scanned)
    assert most == int(Fraction(percent, 100) * scanned)
    assert not exceeded(limits, deletions=most, sweeps=0, scanned=scanned)
    share = f"{most + 1} of {scanned} log groups, more than max_group_deletion_share"
    assert share in exceeded(limits, deletions=most + 1, sweeps=0, scanned=scanned)


LIMITS = Limits(max_group_deletions=5, max_group_deletion_share=1, max_stream_deletions=7)


@pytest.mark.parametrize(
    ("deletions", "sweeps", "named"),
    [
        (5, 7, []),
        (6, 7, ["max_group_deletions = 5"]),
        (5, 8, ["8 log streams, more than max_stream_deletions = 7"]),
        (6, 8, ["max_group_deletions", "max_stream_deletions"]),
    ],
)
def test_a_limit_may_be_reached_and_not_passed(
    deletions: int, sweeps: int, named: list[str]
) -> None:
    """Each that is passed is named."""
    why = exceeded(LIMITS, deletions=deletions, sweeps=sweeps, scanned=100)
    assert bool(why) == bool(named)
    assert all(text in why for text in named)
