"""The journal: lines before and after each change."""

from __future__ import annotations

import json
from pathlib import Path

from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import Policy, load
from tests.accounts import (
    Cloud,
    Group,
    days_ago,
    janitor,
)
from tests.engine.groups import fillers


def test_a_journal_on_a_full_disk_is_told_of_once() -> None:
    """By whoever wanted to write; that it cannot be closed either is no news."""
    journal = FileJournal(Path("/dev/full"), Lines("run", "policy"))
    cloud = Cloud([Group("/new", days_ago(3)), *fillers()])
    summary, _ = janitor(cloud, load(None), journal)
    journal.close()
    assert cloud.puts == []
    assert [error.rpartition(": ")[2] for error in summary.errors] == ["No space left on device"]


def test_a_torn_last_line_of_the_journal_is_left_alone(policy: Policy, tmp_path: Path) -> None:
    """A new line begins behind it."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"torn": ')
    cloud = Cloud([Group("/new", days_ago(3))])
    journal = FileJournal(path, Lines("run", "policy"))
    janitor(cloud, policy, journal)
    journal.close()
    torn, *lines = path.read_text().splitlines()
    assert torn == '{"torn": '
    told = [(line["group"], line["status"]) for line in map(json.loads, lines)]
    assert told == [("/new", "begun"), ("/new", "done")]
