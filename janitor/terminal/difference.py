"""`diff`: what changed between two reports that were saved as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from janitor.core.exit_codes import Exit
from janitor.core.text import counted, sentence, visible
from janitor.report.base import Format, check_table_or_json
from janitor.report.difference import KINDS, decided, difference, figures, read


def diff(old: Path, new: Path, form: Format) -> Exit:
    """Show what is new, gone or decided differently, and the figures then and now. Raises
    UsageError.
    """
    check_table_or_json("diff", form)
    found = difference(read(old), read(new))
    if form is Format.JSON:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{visible(line)}\n" for line in _text(found)))
    return Exit.DONE


def _text(found: Mapping[str, Any]) -> Iterator[str]:
    for label, was, now in figures(found):
        yield f"{label:<16} {was:>12} -> {now:>12}"
    for caveat in found["caveats"]:
        yield sentence(caveat)
    several = len({row["account"] for kind in KINDS for row in found[kind]}) > 1
    for kind, (title, _) in KINDS.items():
        if rows := found[kind]:
            yield f"{counted(len(rows), 'log group')} {title}:"
        for row in rows:
            place = f"{row['account']}  {row['region']}" if several else row["region"]
            yield f"  {place}  {row['group']}  {decided(kind, row)}"
    if not any(found[kind] for kind in KINDS):
        yield "no log group is new, gone or decided differently"
