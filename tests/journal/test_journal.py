"""The journal: a line before and a line after each change."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from janitor.core.errors import JournalError
from janitor.journal.history import read
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import Policy, load
from tests.accounts import Cloud, Group, days_ago, janitor
from tests.engine.groups import fillers


def journal(path: Path) -> FileJournal:
    return FileJournal(path, Lines("run", "policy"))


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Simulate a full disk: no file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_stops_all_changes_and_tears_no_line(tmp_path: Path) -> None:
    """The changes made so far can be undone, and the error is reported once."""
    cloud = Cloud([*(Group(f"/new/{n:03}", days_ago(3)) for n in range(300)), *fillers()])
    made = journal(tmp_path / "j")
    with full_at(50_000):
        summary, _ = janitor(cloud, load(None), made)
    made.close()
    assert 0 < len(cloud.puts) < 200
    assert [error.rpartition(": ")[2] for error in summary.errors] == ["File too large"]
    history = read([("j", (tmp_path / "j").read_text())])
    assert (history.torn, history.complaints) == (0, [])
    assert {name for name, _ in cloud.puts} <= {past.group for past in history.pasts}


@pytest.mark.parametrize("torn", ['{"event": "journal", "run": "r"', '{"ev'])
def test_the_next_run_removes_a_torn_line(torn: str, policy: Policy, tmp_path: Path) -> None:
    """Only the last line of a journal may be torn, so any other incomplete line is damaged."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "journal", "run": "r"')
    cloud = Cloud([Group("/new", days_ago(3))])
    made = journal(path)
    janitor(cloud, policy, made)
    made.close()
    complete = path.read_text()
    lines = [json.loads(line) for line in complete.splitlines()]
    assert [(line["group"], line["status"]) for line in lines] == [
        ("/new", "begun"),
        ("/new", "done"),
    ]
    path.write_text(complete + torn)
    made = journal(path)
    made.check()
    made.close()
    assert path.read_text() == complete


def test_a_journal_is_private_and_on_disk_before_the_change(
    policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It contains keys, tags and policies, and must survive a loss of power."""
    path, synced, real = tmp_path / "j", list[tuple[int, int]](), os.fsync
    cloud = Cloud([Group("/new", days_ago(3))])

    def fsync(file: int) -> None:
        real(file)
        if not stat.S_ISDIR(os.fstat(file).st_mode):
            synced.append((path.read_text().count("\n"), len(cloud.puts)))

    monkeypatch.setattr(os, "fsync", fsync)
    made = journal(path)
    janitor(cloud, policy, made)
    made.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert synced == [(1, 0)]


def test_a_path_that_is_not_a_free_journal_is_refused(tmp_path: Path) -> None:
    """It may be another file, a link, a pipe, a device, a folder, or another run's journal."""
    text, link, pipe = tmp_path / "text", tmp_path / "link", tmp_path / "pipe"
    others = ("{", '{"event": ', "\n", '{"event": "other"}\n')
    (tmp_path / "j").write_text('{"event": "journal", "run": "r"}\n')
    link.symlink_to(tmp_path / "j")
    os.mkfifo(pipe)
    busy = journal(tmp_path / "j")
    busy.check()
    for content in others:
        text.write_text(content)
        with pytest.raises(JournalError, match=r"it is a file, but not a journal$"):
            journal(text).check()
        assert text.read_text() == content
    for path, why in (
        (link, "it is a link"),
        (pipe, "it is not a file"),
        (Path(os.devnull), "it is not a file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "j", "another run is writing to it"),
        (tmp_path / "no" / "j", "no such folder"),
    ):
        with pytest.raises(JournalError, match=f"^{path}: the journal cannot be written: {why}$"):
            journal(path).check()
    busy.close()
    journal(tmp_path / "j").check()
