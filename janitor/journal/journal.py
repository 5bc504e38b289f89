"""The journal: JSON lines about each change, enough to undo it.

A change has a line with status `begun`, written before the call, and one with its outcome after
it; both hold the whole change. Where the second is missing, the change may have
been made. `done` is said once of each change. What is in a line:
`janitor.journal.history.JournalLine`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from janitor.core.errors import JournalError
from janitor.core.model import Change, LogGroup, Status

VERSION: Final = 1
BEGUN: Final = "begun"
EVENT: Final = "journal"
"""What a line says that it is."""
START: Final = f'{{"event": "{EVENT}", '
"""How each line of a journal file begins."""
LONGEST_TEXT: Final = 10_000
"""Characters of a reason or an error, at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change that is announced. `at` in ms since the epoch."""

    at: int
    action: str
    group: LogGroup
    change: Change
    reason: str
    stream: str | None = None

    def ended(
        self, at: int, status: Status, error: str = "", *, perhaps_done: bool = False
    ) -> Ended:
        """How it ended. `perhaps_done` says of a failure that the change may have been made."""
        return Ended(self, at, status, error, perhaps_done)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an announced change. `at` in ms since the epoch."""

    entry: Entry
    at: int
    status: Status
    error: str = ""
    perhaps_done: bool = False


class Journal(Protocol):
    """Where changes are announced before they are made, and told of afterwards.

    Both raise JournalError where it cannot be written: what cannot be journaled is not done.
    """

    async def begin(self, *entries: Entry) -> None:
        """Announce changes; they are kept safe when this returns."""

    async def end(self, *ended: Ended) -> None:
        """Tell what became of changes."""


@dataclass(frozen=True, slots=True)
class Lines:
    """How the lines of one run are made."""

    run: str
    policy: str

    def begun(self, entry: Entry) -> str:
        """The line that announces a change."""
        return self._text(entry, entry.at, BEGUN)

    def ended(self, ended: Ended) -> str:
        """The line that tells what became of it."""
        more: dict[str, Any] = {"error": ended.error[:LONGEST_TEXT]} if ended.error else {}
        if ended.perhaps_done:
            more["perhaps_done"] = True
        return self._text(ended.entry, ended.at, ended.status.value, more)

    def _text(
        self, entry: Entry, at: int, status: str, more: Mapping[str, Any] | None = None
    ) -> str:
        group = entry.group
        line: dict[str, Any] = {
            "event": EVENT,
            "run": self.run,
            "policy": self.policy,
            "version": VERSION,
            "at": at,
            "action": entry.action,
            "status": status,
            "account": group.target.account,
            "region": group.target.region,
            "group": group.name,
            "creation_time": group.creation_time,
            **({"stream": entry.stream} if entry.stream is not None else {}),
            "before": entry.change.before,
            "after": entry.change.after,
            "reason": entry.reason[:LONGEST_TEXT],
            **(more or {}),
        }
        # As ASCII: line separators of Unicode in a tag must not tear a line.
        return json.dumps(line)


class FileJournal:
    """Appends to `path`, which is made with the first line, for its owner only.

    What is announced is on the disk (fsync) before the change is made, so it survives a loss of
    power as far as the disk keeps what it says; of what became of changes that is not waited for.
    One run at a time writes to a journal. A line without its end, which an earlier run left, is
    taken away: what it was to announce was not begun.
    """

    def __init__(self, path: Path, lines: Lines) -> None:
        self.path = path
        self.written = False
        """Whether anything was written."""
        self._lines = lines
        self._file: int | None = None
        self._broken: JournalError | None = None

    @staticmethod
    def default_path(now: int) -> Path:
        """A dated file in the working folder. `now` in ms since the epoch."""
        moment = datetime.fromtimestamp(now / 1000, UTC)
        return Path(f"janitor-journal-{moment:%Y%m%dT%H%M%SZ}.jsonl")

    def check(self) -> None:
        """Raise JournalError now rather than in the middle of a run."""
        folder = self.path.parent
        if os.path.lexists(self.path):
            with self._telling():
                self._open()
        elif not folder.is_dir():
            raise self._error("no such folder")
        elif not os.access(folder, os.W_OK):
            raise self._error("its folder is not writable")

    async def begin(self, *entries: Entry) -> None:
        """Announce changes. Raises JournalError."""
        self._append([self._lines.begun(entry) for entry in entries], keep=True)

    async def end(self, *ended: Ended) -> None:
        """Tell what became of changes. Raises JournalError."""
        self._append([self._lines.ended(one) for one in ended], keep=False)

    def close(self) -> None:
        """Close the file, if it was opened. What could not be written was told of before."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _append(self, lines: Sequence[str], *, keep: bool) -> None:
        """Write lines, all or none; once that has failed nothing more is written."""
        with self._telling():
            file = self._open()
            whole = os.fstat(file).st_size
            try:
                self._write(file, "".join(f"{line}\n" for line in lines).encode())
                if keep:
                    os.fsync(file)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, whole)
                raise
            self.written = True

    def _write(self, file: int, text: bytes) -> None:
        while text:
            text = text[os.write(file, text) :]

    def _open(self) -> int:
        """The file, opened. Raises OSError or JournalError."""
        if self._file is not None:
            return self._file
        # Through no link: it may lead to a file that is not the user's to write.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o600)
        try:
            self._ready(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return file

    def _ready(self, file: int) -> None:
        """Make sure that it is a journal, or will be one, and this run's alone."""
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise self._error("it is not a file")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise self._error("another run is writing to it") from error
        size = os.fstat(file).st_size
        if size and os.pread(file, len(START), 0) != START.encode():
            raise self._error("it is a file, but not a journal")
        end = size
        while end and (block := os.pread(file, min(end, _BLOCK), max(end - _BLOCK, 0))):
            if (found := block.rfind(b"\n")) >= 0:
                end -= len(block) - found - 1
                break
            end -= len(block)
        if end < size:
            os.ftruncate(file, end)
        if not size:
            self._keep_name()

    def _keep_name(self) -> None:
        """The folder's entry on the disk, where the system can do that."""
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """What goes wrong is a JournalError, and goes wrong ever after."""
        if self._broken is not None:
            raise self._broken
        try:
            yield
        except OSError as error:
            link = error.errno == errno.ELOOP
            why = "it is a link" if link else error.strerror or str(error)
            self._broken = self._error(why)
            raise self._broken from error

    def _error(self, why: str) -> JournalError:
        return JournalError(f"{self.path}: the journal cannot be written: {why}")


_BLOCK = 65_536
