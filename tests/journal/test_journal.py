"""The journal: a line before and a line after each change."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from unittest.mock import Mock

import pytest

from janitor.core.errors import JournalError
from janitor.core.model import Change, LogGroup, Target
from janitor.journal.history import read
from janitor.journal.journal import Entry, FileJournal, Lines
from janitor.policy.file import Policy, load
from tests.accounts import Cloud, Group, days_ago, janitor
from tests.engine.groups import fillers
from tests.virtual import VirtualClock

T = TypeVar("T")


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


def test_a_new_journal_is_a_file_of_its_own(tmp_path: Path) -> None:
    """Two runs may begin in the same second; even a link that leads nowhere has a name."""
    path = tmp_path / "j.jsonl"
    path.symlink_to("nowhere")
    made = [FileJournal(path, Lines("run", "policy"), new=True) for _ in range(2)]
    for one in made:
        one.check()
    for one in made:
        asyncio.run(one.begin())
    assert [one.path.name for one in made] == ["j-2.jsonl", "j-3.jsonl"]
    assert sorted(tmp_path.iterdir()) == [made[0].path, made[1].path, path]


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


class Slow:
    """A disk on which each fsync takes a second; `sizes` are the lines that each of them stored."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: list[int] = []

    async def run(self, work: Callable[[], T]) -> T:
        self.sizes.append(self.path.read_text().count("\n"))
        await asyncio.sleep(1)
        return work()


def entry(name: str) -> Entry:
    group = LogGroup(Target("123456789012", "eu-west-1"), name, "arn", 0, 0)
    return Entry(0, "set_retention", group, Change({}, {}), "")


def test_announcements_share_an_fsync_that_begins_after_them(tmp_path: Path) -> None:
    """Ten at once need one; what is announced during it is not stored by it, and needs another."""
    disk, clock = Slow(tmp_path / "j"), VirtualClock(0)
    made = FileJournal(disk.path, Lines("run", "policy"), disk)

    async def announced(at: float, name: str) -> float:
        await asyncio.sleep(at)
        await made.begin(entry(name))
        return clock.monotonic()

    async def all_of_them() -> list[float]:
        early = [announced(0, f"/{number}") for number in range(10)]
        return await asyncio.gather(*early, announced(0.5, "/a"), announced(0.9, "/b"))

    began = clock.monotonic()
    ended = [round(at - began, 3) for at in clock.run(all_of_them())]
    made.close()
    assert ended == [1.0] * 10 + [2.0] * 2
    assert disk.sizes == [10, 12]


def test_nothing_is_announced_that_does_not_reach_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the fsync is told, and so is whoever comes later."""
    made = journal(tmp_path / "j")
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.EIO, "Input/output error")))

    async def announced() -> list[BaseException | None]:
        first = [made.begin(entry("/a")), made.begin(entry("/b"))]
        return [
            *await asyncio.gather(*first, return_exceptions=True),
            *await asyncio.gather(made.begin(entry("/c")), return_exceptions=True),
        ]

    errors = VirtualClock(0).run(announced())
    made.close()
    assert {str(error).rpartition(": ")[2] for error in errors} == {"Input/output error"}
    assert all(isinstance(error, JournalError) for error in errors)
    assert (tmp_path / "j").read_text().count("\n") == 2
