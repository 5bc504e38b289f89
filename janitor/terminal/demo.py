"""`janitor sandbox demo`: report, clean up, report again and undo, on one sandbox."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from janitor.core.exit_codes import Exit
from janitor.sandbox.saved import kept
from janitor.terminal import cli
from janitor.terminal.output import show


def demo() -> int:
    """Run the demo, and return the first exit code that means failure, else 0.

    Items that could not be judged (5) are part of the demo; a difference after the undo is a
    failure.
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
        show(f"\n$ janitor {' '.join(words)}")
        code = cli.main(words)
        if code == Exit.INTERRUPTED:
            show(f"\nTo continue with this account: janitor report --sandbox-state {account}")
            return Exit.INTERRUPTED
        if code in (Exit.USAGE, Exit.REFUSED):
            failures.append(code)
    after = definitions(account)
    different = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    if different:
        failures.append(Exit.INCOMPLETE)
    show(f"\nAfter the undo, {len(different)} of {len(before)} log groups differ from before.")
    show(f"The journal of the changes, from which they can be undone: {journal}")
    show(f"The first report as a web page: {page}")
    show(f"To continue with this account: janitor report --sandbox-state {account}")
    return failures[0] if failures else Exit.DONE


def definitions(account: Path) -> dict[Any, dict[str, Any]]:
    """Return what an undo restores of each log group: everything but streams and creation time."""
    with kept(account, changing=False) as sandbox:
        state = sandbox.store.state()
    for group in state.values():
        del group["created"], group["streams"]
    return state
