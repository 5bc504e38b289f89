"""Text for people: sizes and ages, and what comes from an account or a file made safe to show.

Tag values, stream and filter names are free text, and errors repeat them. HTML is Jinja's matter.
"""

from __future__ import annotations

import re

from janitor.core.clock import DAY_MS

ODD = "backslashreplace"
"""How half a surrogate pair, which UTF-8 cannot have, is written: in JSON as JSON has it."""


def visible(text: str) -> str:
    r"""The text with all that a terminal or a mail reader might obey shown as `\x1b` or `\u202e`.

    Control characters (line ends too), bidirectional overrides, private and unassigned characters:
    whatever Unicode does not count as printable.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def lines(text: str) -> str:
    """The same for text that has lines of its own."""
    return "\n".join(map(visible, text.split("\n")))


_MARKDOWN = {ord(char): f"\\{char}" for char in r"\`*_[]<>|~&"}
# GitHub looks for mentions and numbers of issues in the page that the text has become, where no
# backslash is left; a comment parts it there, and is not shown.
_MARKDOWN |= {ord("@"): "@<!-- -->", ord("#"): "\\#<!-- -->"}
_LINKED = re.compile(r"(?i)(\bwww)\.|:(?=//)")
"""How the links begin that GitHub makes of plain text (GFM, "Autolinks")."""


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line and without links and mentions."""
    escaped = visible(text).translate(_MARKDOWN)
    return _LINKED.sub(lambda found: f"{found[1]}\\." if found[1] else "\\:", escaped)


def cell(value: object) -> object:
    """A value of a CSV file; text that a spreadsheet would calculate begins with an apostrophe
    there (OWASP, "CSV Injection").
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def size(count: int) -> str:
    """Bytes for people: 0 B, 1.5 KiB, 2.0 GiB."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / (1 << 10 * power):.1f} {'KMGT'[power - 1]}iB"


def age(ms: int) -> str:
    """A span for people: days from one day up, else hours."""
    days = ms // DAY_MS
    return f"{days} day{'' if days == 1 else 's'}" if days else f"{ms // 3_600_000} h"
