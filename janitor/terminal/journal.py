"""The journal of a command, and its name where the command ends early."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from janitor.aws.workers import Inline, Threads
from janitor.core.errors import OutputError
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import Policy
from janitor.terminal.options import Options
from janitor.terminal.output import complain


def new_journal(options: Options, policy: Policy, now: int, run_id: str) -> FileJournal:
    """Return the journal of a run that starts `now` (ms); its first line creates the file."""
    path = options.journal or FileJournal.default_path(now)
    workers = Inline() if options.sandbox else Threads(1)
    return FileJournal(path, Lines(run_id, policy.digest()), workers)


@contextlib.contextmanager
def naming(journal: FileJournal) -> Iterator[FileJournal]:
    """Name the journal if the command ends before its summary, as after a second Ctrl-C."""
    try:
        yield journal
    except OutputError:  # raised after the summary
        raise
    except BaseException:
        if journal.written:
            with contextlib.suppress(OSError):
                complain(f"journal: {journal.path}")
        raise
