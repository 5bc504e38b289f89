"""The journal: JSON lines about each change, enough to undo it.

A change has a line with status `begun`, written before the call, and one with its outcome after
it; both hold the whole change. Where the second is missing, the change may have
been made. `done` is said once of each change. What is in a line: `janitor.journal.history.Line`.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import structlog

from janitor.core.errors import JournalError
from janitor.core.model import Change, LogGroup, Status

VERSION: Final = 1
BEGUN: Final = "begun"


class Journal:
    """Appends to `path`, which is made with the first line.

    Raises JournalError where it cannot be written: what cannot be journaled is not done.
    """

    def __init__(self, path: Path, run_id: str, policy: str) -> None:
        self.path = path
        self._head = {"run": run_id, "policy": policy}
        self._lock = threading.Lock()
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
        if self.path.is_dir() or not folder.is_dir():
            raise JournalError(
                f"{self.path}: the journal cannot be written: no such folder or file"
            )
        place = self.path if self.path.exists() else folder
        if not os.access(place, os.W_OK):
            raise JournalError(f"{self.path}: the journal cannot be written: permission denied")

    def open(self) -> None:
        """Make sure that a line can be written; called before each change."""
        with self._lock:
            if self._file is None:
                try:
                    torn = self._torn()
                    self._file = self.path.open("a", encoding="utf-8")
                    if torn:
                        self._file.write("\n")
                except OSError as error:
                    raise JournalError(
                        f"{self.path}: the journal cannot be written: {error.strerror}"
                    ) from error

    def begin(
        self,
        at: int,
        action: str,
        group: LogGroup,
        change: Change,
        reason: str,
        stream: str | None = None,
    ) -> None:
        """The line that is written before a change is made. `at` in ms since the epoch."""
        self._line(at, action, BEGUN, group, change, reason, stream)

    def write(
        self,
        at: int,
        action: str,
        status: Status,
        group: LogGroup,
        change: Change,
        reason: str,
        stream: str | None = None,
        error: str | None = None,
        *,
        perhaps_done: bool = False,
    ) -> None:
        """What became of a change. `at` in ms since the epoch.

        `perhaps_done` says of a failure that the change may have been made all the same.
        """
        self._line(
            at, action, status.value, group, change, reason, stream, error, perhaps=perhaps_done
        )

    def _line(
        self,
        at: int,
        action: str,
        status: str,
        group: LogGroup,
        change: Change,
        reason: str,
        stream: str | None = None,
        error: str | None = None,
        *,
        perhaps: bool = False,
    ) -> None:
        """One line, flushed."""
        self.open()
        line: dict[str, Any] = {
            **self._head,
            "version": VERSION,
            "at": at,
            "action": str(action),
            "status": status,
            "account": group.target.account,
            "region": group.target.region,
            "group": group.name,
            "creation_time": group.creation_time,
            **({"stream": stream} if stream is not None else {}),
            "before": change.before,
            "after": change.after,
            "reason": reason,
            **({"error": error} if error is not None else {}),
            **({"perhaps_done": True} if perhaps else {}),
        }
        self._append(line)

    def _append(self, line: dict[str, Any]) -> None:
        with self._lock:
            assert self._file is not None, "opened by write"
            try:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()
            except OSError as error_:
                raise JournalError(
                    f"{self.path}: the journal cannot be written: {error_.strerror}"
                ) from error_

    def close(self) -> None:
        """Close the file, if it was opened."""
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _torn(self) -> bool:
        """Whether an earlier run left a line without its end."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


class LogJournal(Journal):
    """A journal among the log lines, for where there is no file system that lasts."""

    def __init__(self, run_id: str, policy: str, *, keep: bool = False) -> None:
        """With `keep` the lines are kept in `text` as well, for an archive."""
        super().__init__(Path(os.devnull), run_id, policy)
        self._log = structlog.get_logger("janitor")
        self._keep = keep
        self._kept: list[str] = []

    @property
    def text(self) -> str:
        """The lines so far, as in a journal file."""
        with self._lock:
            return "".join(self._kept)

    def open(self) -> None:
        """The log is always open."""

    def _append(self, line: dict[str, Any]) -> None:
        try:
            self._log.info("journal", **line)
            if self._keep:
                with self._lock:
                    self._kept.append(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise JournalError(f"the journal cannot be written: {error.strerror}") from error
