"""Text for people: sizes and ages, and what comes from an account made safe to print.

Tag values, stream and filter names are free text.
"""

from __future__ import annotations

from janitor.core.clock import DAY_MS


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
