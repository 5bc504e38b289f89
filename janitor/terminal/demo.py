"""`janitor sandbox demo`: look, also as a page, clean, look again, undo; on one sandbox."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from janitor.core.errors import Exit
from janitor.sandbox.saved import kept
from janitor.terminal import cli


def demo() -> int:
    """Run it; give the exit code: the first one of the commands that means failure, else 0.

    Items that could not be judged (5) belong to the show; an undo that leaves a difference does
    not.
    """
    folder = Path(tempfile.mkdtemp(prefix="janitor-demo-"))
    account, journal, undo = folder / "account", folder / "journal.jsonl", folder / "undo.jsonl"
    here = Path.cwd() if os.access(Path.cwd(), os.W_OK) else folder
    page = here / "janitor-demo.html"
    commands = (
        ["report", "--ingestion"],
        ["report", "--ingestion", "--quiet", "--format", "html", "-o", str(page)],
        ["run", "--apply", "--yes", "--journal", str(journal)],
        ["report"],
        ["restore", str(journal), "--apply", "--yes", "--journal", str(undo)],
    )
    before = definitions(account)
    failures: list[int] = []
    for command in commands:
        words = [*command, "--sandbox-state", str(account)]
        _say(f"\n$ janitor {' '.join(words)}")
        code = cli.main(words)
        if code in (Exit.USAGE, Exit.REFUSED, Exit.INTERRUPTED):
            failures.append(code)
    after = definitions(account)
    different = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    if different:
        failures.append(Exit.INCOMPLETE)
    _say(f"\nAfter the undo, {len(different)} of {len(before)} log groups differ from before.")
    _say(f"The journal of the changes, from which they can be undone: {journal}")
    _say(f"The first report as a web page: {page}")
    _say(f"To continue with this account: janitor report --sandbox-state {account}")
    return failures[0] if failures else Exit.DONE


def definitions(account: Path) -> dict[Any, dict[str, Any]]:
    """All that an undo is to bring back of each log group: everything but streams and its age."""
    with kept(account, changing=False) as sandbox:
        state = sandbox.store.state()
    for group in state.values():
        del group["created"], group["streams"]
    return state


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
