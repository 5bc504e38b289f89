"""Text for people: sizes, ages, and text from accounts and files made safe to show.

Tag values, stream names and filter names are free text, and errors repeat them. Jinja escapes HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from janitor.core.clock import DAY_MS

ODD = "backslashreplace"
"""The error handler for half a surrogate pair, which UTF-8 cannot encode; JSON reads its output."""


def visible(text: str) -> str:
    r"""Escape, as `\x1b` or `\u202e`, whatever a terminal or mail reader might interpret.

    That is all that Unicode does not count as printable: control characters (line ends too),
    bidirectional overrides, private and unassigned characters.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    named = [*names]
    more = f" and {len(named) - most:,} more" if len(named) > most else ""
    return ", ".join(named[:most]) + more


def sentence(text: str) -> str:
    """Return the text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def lines(text: str) -> str:
    """Apply `visible` to each line of a text."""
    return "\n".join(map(visible, text.split("\n")))


_MARKDOWN = {ord(char): f"\\{char}" for char in r"\`*_[]<>|~&"}
# GitHub looks for mentions and issue numbers after it has rendered the text, when the backslashes
# are gone. An HTML comment breaks them up and is not shown.
_MARKDOWN |= {ord("@"): "@<!-- -->", ord("#"): "\\#<!-- -->"}
_LINKED = re.compile(r"(?i)(\bwww)\.|:(?=//)")
"""The start of what GitHub turns into a link (GFM, "Autolinks")."""


def markdown(text: str) -> str:
    """Escape text so that Markdown shows it literally, on one line, without links or mentions."""
    escaped = visible(text).translate(_MARKDOWN)
    return _LINKED.sub(lambda found: f"{found[1]}\\." if found[1] else "\\:", escaped)


def cell(value: object) -> object:
    """Return a value for a CSV file. Text that a spreadsheet would take for a formula gets an
    apostrophe in front (OWASP, "CSV Injection").
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: 1 log group, 2 log groups."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def expiry(days: int | None) -> str:
    """Return a retention for people: never expires, 1 day, 30 days."""
    return "never expires" if days is None else counted(days, "day")


def size(count: int) -> str:
    """Return bytes for people: 0 B, 1.5 KiB, 2.0 GiB."""
    if count < 1024:
        return f"{count} B"
    value, units = count / 1024, "KMGTPE"
    while value >= 1023.95 and len(units) > 1:  # which would be shown as 1024.0
        value, units = value / 1024, units[1:]
    return f"{value:.1f} {units[0]}iB"


def age(ms: int) -> str:
    """Return a time span for people: in days from one day up, else in hours. What came after the
    moment that counts, as a log group created during a run, was 0 h ago.
    """
    ms = max(ms, 0)
    days = ms // DAY_MS
    return counted(days, "day") if days else f"{ms // 3_600_000} h"
