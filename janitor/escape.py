"""Text from an account, made safe to print: tag values, stream and filter names are free text."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""The text with all that a terminal or a mail reader might obey shown as `\x1b` or `\u202e`.

    Control characters (line ends too), bidirectional overrides, private and unassigned characters:
    whatever Unicode does not count as printable.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
