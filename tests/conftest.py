"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from janitor.journal import Journal
from janitor.policy import Policy, load
from tests.browser import LEFT_OUT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and clearly, if the browser's tests were left out."""
    if any(
        LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())
    ):
        terminalreporter.write_sep("=", LEFT_OUT, red=True)


@pytest.fixture
def policy() -> Policy:
    """The shipped policy."""
    return load(None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal in a folder of the test's own."""
    journal = Journal(tmp_path / "journal.jsonl", "run", "policy")
    yield journal
    journal.close()
