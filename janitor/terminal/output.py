"""What a command writes: stdout or a file, its journal, and lines for people on stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from janitor import __version__
from janitor.aws.api import Api
from janitor.aws.workers import Inline, Threads
from janitor.core.errors import OutputError, UsageError
from janitor.core.text import ODD, visible
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import SHIPPED, Policy
from janitor.report.base import RunInfo
from janitor.terminal.options import Options


@contextlib.contextmanager
def output(options: Options, *read: Path) -> Iterator[IO[str]]:
    """Yield stdout, or a file that gets its name only once it is complete. Raises UsageError, also
    if the file is one that the command uses otherwise, such as those it `read`.
    """
    path, part = options.output, None
    if path is None or str(path) == "-":
        yield sys.stdout
        return
    target = Path(os.path.realpath(path))  # a link stays, and its target is written
    for other in filter(None, (options.policy, options.since, options.journal, *read)):
        if str(target) == os.path.realpath(other):
            raise UsageError(f"-o/--output: {path}: would overwrite {other}, which is used here")
    try:
        if path.exists() and not path.is_file():
            file = path.open("w", encoding="utf-8", errors=ODD)
        else:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            part, file = Path(name), os.fdopen(handle, "w", encoding="utf-8", errors=ODD)
    except OSError as error:
        raise UsageError(f"-o/--output: {path}: {error.strerror}") from error
    try:
        yield file
        file.close()
        if part is not None:
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            part.replace(target)
        say(options, f"written to {path}")
    finally:
        with contextlib.suppress(OSError):
            file.close()
        if part is not None:
            part.unlink(missing_ok=True)


def run_info(
    options: Options,
    command: str,
    policy: Policy,
    apis: list[Api],
    now: int,
    run_id: str,
    *,
    dry_run: bool,
) -> RunInfo:
    """Return what outputs say of the run; `now` is in ms since the epoch."""
    return RunInfo(
        id=run_id,
        command=command,
        version=__version__,
        started=datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds"),
        account=", ".join(dict.fromkeys(api.target.account for api in apis)),
        regions=list(dict.fromkeys(api.target.region for api in apis)),
        policy=str(options.policy or SHIPPED),
        policy_sha256=policy.digest(),
        dry_run=dry_run,
    )


def new_journal(options: Options, policy: Policy, now: int, run_id: str) -> FileJournal:
    """Return the journal of a run that starts `now` (ms); its first line creates the file."""
    path = options.journal or FileJournal.default_path(now)
    workers = Inline() if options.sandbox else Threads(1)
    lines = Lines(run_id, policy.digest())
    return FileJournal(path, lines, workers, new=options.journal is None)


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


def show(line: str) -> None:
    """Print a line of a demo on stdout, ahead of what its next command prints."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(options: Options, text: str) -> None:
    """Print a line for people on stderr, unless `--quiet` was given."""
    if not options.quiet:
        sys.stderr.write(visible(text) + "\n")


def complain(text: str) -> None:
    """Print a line on stderr, even with `--quiet`."""
    sys.stderr.write(f"janitor: {visible(text)}\n")


def say_discarded(options: Options) -> None:
    """Say that changes to a sandbox without a folder are not kept."""
    if options.sandbox and options.sandbox_state is None:
        say(
            options,
            "the changes to the sandbox are discarded; --sandbox-state FOLDER keeps them",
        )
