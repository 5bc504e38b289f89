"""The journal: JSON lines about each change, enough to undo it.

A change has a line with status `begun`, written before the call, and one with its outcome after
it; both hold the whole change. Where the second is missing, the change may have
been made. `done` is said once of each change. What is in a line: `janitor.journal.history.Line`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

from janitor.core.errors import JournalError
from janitor.core.model import Change, LogGroup, Status

VERSION: Final = 1
BEGUN: Final = "begun"


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
        more: dict[str, Any] = {"error": ended.error} if ended.error else {}
        if ended.perhaps_done:
            more["perhaps_done"] = True
        return self._text(ended.entry, ended.at, ended.status.value, more)

    def _text(
        self, entry: Entry, at: int, status: str, more: Mapping[str, Any] | None = None
    ) -> str:
        group = entry.group
        line: dict[str, Any] = {
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
            "reason": entry.reason,
            **(more or {}),
        }
        # As ASCII: line separators of Unicode in a tag must not tear a line.
        return json.dumps(line)


class FileJournal:
    """Appends to `path`, which is made with the first line.

    A line is handed to the operating system before its change is made: it survives the end of the
    process, not a loss of power.
    """

    def __init__(self, path: Path, lines: Lines) -> None:
        self.path = path
        self._lines = lines
        self._file: IO[str] | None = None

    @staticmethod
    def default_path(now: int) -> Path:
        """A dated file in the working folder. `now` in ms since the epoch."""
        moment = datetime.fromtimestamp(now / 1000, UTC)
        return Path(f"janitor-journal-{moment:%Y%m%dT%H%M%SZ}.jsonl")

    @property
    def written(self) -> bool:
        """Whether anything was written."""
        return self._file is not None

    def check(self) -> None:
        """Raise JournalError now rather than in the middle of a run."""
        folder = self.path.parent
        if self.path.is_dir():
            raise JournalError(f"{self.path}: the journal cannot be written: it is a folder")
        if not folder.is_dir():
            raise JournalError(f"{self.path}: the journal cannot be written: no such folder")
        place = self.path if self.path.exists() else folder
        if not os.access(place, os.W_OK):
            raise JournalError(f"{self.path}: the journal cannot be written: permission denied")

    async def begin(self, *entries: Entry) -> None:
        """Announce changes. Raises JournalError."""
        self._append([self._lines.begun(entry) for entry in entries])

    async def end(self, *ended: Ended) -> None:
        """Tell what became of changes. Raises JournalError."""
        self._append([self._lines.ended(one) for one in ended])

    def _append(self, lines: Sequence[str]) -> None:
        try:
            if self._file is None:
                torn = self._torn()
                self._file = self.path.open("a", encoding="utf-8")
                self._file.write("\n" * torn)
            self._write(self._file, "".join(f"{line}\n" for line in lines))
        except OSError as error:
            raise JournalError(
                f"{self.path}: the journal cannot be written: {error.strerror}"
            ) from error

    def _write(self, file: IO[str], text: str) -> None:
        file.write(text)
        file.flush()

    def close(self) -> None:
        """Close the file, if it was opened. What could not be written was told of before."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _torn(self) -> bool:
        """Whether an earlier run left a line without its end."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
