"""What globs, RE2 patterns and tags of a policy match."""

from __future__ import annotations

import warnings
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.policy.patterns import has_tag, matches


@given(st.text("ab*?[]!\n", min_size=1, max_size=5), st.text("abA*\n", max_size=5))
def test_a_glob_matches_as_in_the_standard_library(pattern: str, text: str) -> None:
    """That holds with and without the shortcut for simple globs."""
    assert matches(pattern, text) == fnmatchcase(text, pattern)


def test_a_set_in_a_glob_causes_no_warning() -> None:
    """Python would warn, on stderr and in the middle of a report, of a set that starts with `[`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert matches("/a/[[x]*", "/a/xy")


@pytest.mark.parametrize("pattern", ["re:^([a-z/-]+)+$x", "*a*a*a*a*a*a*a*a*a*a*a*x"])
def test_no_pattern_backtracks(pattern: str) -> None:
    """With backtracking the first would take 2^512 steps, the second 512^11."""
    assert not matches(pattern, "a" * 512)


def test_a_tag_value_with_half_a_surrogate_pair_can_be_searched() -> None:
    """JSON allows half a pair, so AWS may return one."""
    assert has_tag("team=re:^ops", {"team": "ops\ud800"})
