"""Text for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.text import age, size, visible


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**50, "1024.0 TiB")]
)
def test_sizes_for_people(count: int, text: str) -> None:
    """Binary units."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(0, "0 h"), (3_600_000, "1 h"), (DAY_MS, "1 day"), (9 * DAY_MS, "9 days")]
)
def test_ages_for_people(ms: int, text: str) -> None:
    """Days from one day up, hours below."""
    assert age(ms) == text


@given(st.text())
def test_visible_text_is_printable_and_plain_text_stays(text: str) -> None:
    """Whatever is printable is as it was."""
    assert visible(text).isprintable()
    assert visible(text) == text or not text.isprintable()
