"""The journal: JSON lines about each change, enough to undo it.

A change has a line with status `begun`, written before the call, and one with its outcome after
it; both describe the whole change. If the second is missing, the change may have been made. Each
change is `done` at most once. For the fields see `janitor.journal.history.JournalLine`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import functools
import itertools
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from janitor.aws.workers import Inline, Workers
from janitor.core.errors import JournalError
from janitor.core.model import Change, LogGroup, Status

VERSION: Final = 1
BEGUN: Final = "begun"
EVENT: Final = "journal"
"""The `event` of each line."""
START: Final = f'{{"event": "{EVENT}", '
"""The start of each line of a journal file."""
LONGEST_TEXT: Final = 10_000
"""The most characters of a reason or an error."""
_BLOCK: Final = 65_536
"""Bytes read at a time in search of the last line end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A change to announce. `at` in ms since the epoch."""

    at: int
    action: str
    group: LogGroup
    change: Change
    reason: str
    stream: str | None = None

    def ended(
        self, at: int, status: Status, error: str = "", *, perhaps_done: bool = False
    ) -> Ended:
        """Return how it ended. `perhaps_done` marks a failure after which the change may have been
        made.
        """
        return Ended(self, at, status, error, perhaps_done)


@dataclass(frozen=True, slots=True)
class Ended:
    """The outcome of an announced change. `at` in ms since the epoch."""

    entry: Entry
    at: int
    status: Status
    error: str = ""
    perhaps_done: bool = False


class Journal(Protocol):
    """Where changes are announced before they are made, and their outcomes recorded afterwards.

    Both methods raise JournalError if they cannot write: a change that cannot be journaled is not
    made.
    """

    async def begin(self, *entries: Entry) -> None:
        """Announce changes. They are stored safely when this returns."""

    async def end(self, *ended: Ended) -> None:
        """Record the outcomes of changes."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Formats the lines of one run."""

    run: str
    policy: str

    def begun(self, entry: Entry) -> str:
        """Return the line that announces a change."""
        return self._text(entry, entry.at, BEGUN)

    def ended(self, ended: Ended) -> str:
        """Return the line with the outcome of a change."""
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
        # ASCII, so that a Unicode line separator in a tag does not split the line.
        return json.dumps(line)


class FileJournal:
    """Appends to `path`, which is created with the first line, readable by its owner only.

    An announcement is on disk (fsync) before the change is made, so that it survives a loss of
    power; outcomes are not waited for. Announcements made at about the same time share an fsync,
    which runs on a thread of `workers`: a slow disk must not hold up the last looks. Only one run
    at a time writes to a journal. An incomplete last line that an earlier run left is removed: the
    change that it was to announce never began.

    With `new` the file is one of its own: if there is one, a number is added to the name. Two runs
    may begin in the same second, and in a sandbox time stands still.
    """

    def __init__(
        self, path: Path, lines: Lines, workers: Workers | None = None, *, new: bool = False
    ) -> None:
        self.path = path
        self._new = new
        self.written = False
        """Whether anything was written."""
        self._lines = lines
        self._workers = workers or Inline()
        self._flushing = asyncio.Lock()
        self._next_flush: asyncio.Task[None] | None = None
        self._file: int | None = None
        self._broken: JournalError | None = None

    @staticmethod
    def default_path(now: int) -> Path:
        """Return a dated file name in the working folder. `now` in ms since the epoch."""
        moment = datetime.fromtimestamp(now / 1000, UTC)
        return Path(f"janitor-journal-{moment:%Y%m%dT%H%M%SZ}.jsonl")

    def check(self) -> None:
        """Raise JournalError now rather than in the middle of a run."""
        folder = self.path.parent
        if os.path.lexists(self.path) and not self._new:
            with self._converting_errors():
                self._open()
        elif not folder.is_dir():
            raise self._error("no such folder")
        elif not os.access(folder, os.W_OK):
            raise self._error("its folder is not writable")

    async def begin(self, *entries: Entry) -> None:
        """Announce changes. Raises JournalError."""
        self._append([self._lines.begun(entry) for entry in entries])
        if self._next_flush is None:
            self._next_flush = asyncio.create_task(self._flush())
        await asyncio.shield(self._next_flush)  # others wait for it too

    async def end(self, *ended: Ended) -> None:
        """Record the outcomes of changes. Raises JournalError."""
        self._append([self._lines.ended(one) for one in ended])

    def close(self) -> None:
        """Close the file, if it was opened. Failed writes were reported when they happened."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    async def _flush(self) -> None:
        """Store on disk what is written by the time an earlier flush is over."""
        async with self._flushing:
            self._next_flush = None
            with self._converting_errors():
                await self._workers.run(functools.partial(os.fsync, self._open()))

    def _append(self, lines: Sequence[str]) -> None:
        """Write all lines or none. After a failure nothing more is written."""
        with self._converting_errors():
            file = self._open()
            size = os.fstat(file).st_size
            try:
                self._write(file, "".join(f"{line}\n" for line in lines).encode())
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(file, size)
                raise
            self.written = True

    def _write(self, file: int, text: bytes) -> None:
        while text:
            text = text[os.write(file, text) :]

    def _open(self) -> int:
        """Return the file, opened and locked. Raises OSError or JournalError."""
        if self._file is not None:
            return self._file
        # A link is not followed: it may lead to a file that must not be written to.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        flags |= os.O_EXCL if self._new else 0
        given = self.path
        for number in itertools.count(2):
            try:
                file = os.open(self.path, flags, 0o600)
                break
            except FileExistsError:
                self.path = given.with_stem(f"{given.stem}-{number}")
        try:
            self._claim(file)
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return file

    def _claim(self, file: int) -> None:
        """Lock the file, check that it is a journal or empty, and remove a torn last line."""
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
            self._sync_folder()

    def _sync_folder(self) -> None:
        """Make the file's directory entry survive a loss of power, if the system supports that."""
        with contextlib.suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextlib.contextmanager
    def _converting_errors(self) -> Iterator[None]:
        """Convert an OSError into a JournalError, which every later call raises again."""
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
