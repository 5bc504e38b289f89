"""Text for people: sizes, ages, and text from accounts and files made safe to show.

Tag values, stream names and filter names are free text, and errors repeat them. Jinja escapes HTML.
"""

from __future__ import annotations

import re

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


def size(count: int) -> str:
    """Return bytes for people: 0 B, 1.5 KiB, 2.0 GiB."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / (1 << 10 * power):.1f} {'KMGT'[power - 1]}iB"


def age(ms: int) -> str:
    """Return a time span for people: in days from one day up, else in hours. What came after the
    moment that counts, as a log group created during a run, was 0 h ago.
    """
    ms = max(ms, 0)
    days = ms // DAY_MS
    return f"{days} day{'' if days == 1 else 's'}" if days else f"{ms // 3_600_000} h"
