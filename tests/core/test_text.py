"""Sizes, ages and escaped text for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.text import age, cell, lines, markdown, size, some, visible


@pytest.mark.parametrize(
    ("names", "text"), [("", ""), ("abc", "a, b, c"), ("abcd", "a, b, c and 1 more")]
)
def test_the_first_of_many_names(names: str, text: str) -> None:
    """The others are counted."""
    assert some(names) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        *((0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**20 - 1, "1.0 MiB")),
        *((2**50, "1.0 PiB"), (10**18, "888.2 PiB"), (2**62, "4.0 EiB")),
    ],
)
def test_sizes_for_people(count: int, text: str) -> None:
    """Sizes have binary units, up to EiB, and none is rounded up to 1024 of one."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-DAY_MS, "0 h"), (0, "0 h"), (3_600_000, "1 h"), (DAY_MS, "1 day"), (9 * DAY_MS, "9 days")],
)
def test_ages_for_people(ms: int, text: str) -> None:
    """Ages are in days from one day up, in hours below; nothing is younger than new."""
    assert age(ms) == text


@given(st.text())
def test_visible_escapes_only_what_is_not_printable(text: str) -> None:
    """The result is printable, and printable text is unchanged."""
    assert visible(text).isprintable()
    assert visible(text) == text or not text.isprintable()


@given(st.text())
def test_lines_keeps_line_ends_and_escapes_the_rest(text: str) -> None:
    """Each line of the result is printable."""
    shown = lines(text).split("\n")
    assert len(shown) == text.count("\n") + 1
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/aws/lambda/a_b", "/aws/lambda/a\\_b"),
        ("a|b\n# c", "a\\|b\\\\n\\#<!-- --> c"),
        ("https://x.org", "https\\://x.org"),
        ("see WWW.x.org", "see WWW\\.x.org"),
        ("@everyone", "@<!-- -->everyone"),
        ("\u202egpj.exe", "\\\\u202egpj.exe"),
    ],
)
def test_markdown_shows_text_literally(text: str, shown: str) -> None:
    """The text makes no table, link, mention or change of direction."""
    assert markdown(text) == shown


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_a_spreadsheet_does_not_evaluate_a_cell(start: str) -> None:
    """No cell starts as a formula does, not even after characters that a spreadsheet skips."""
    shown = cell(f"{start}cmd|' /C calc'!A0")
    assert str(shown)[0] in "'\\"
    assert str(shown).isprintable()
    assert cell(7) == 7
