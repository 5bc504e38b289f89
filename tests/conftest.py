"""Fixtures that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from janitor.journal.journal import Journal
from janitor.policy.file import Policy, load
from tests.report.browser import LEFT_OUT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and clearly, if the browser's tests were left out."""
    if any(
        LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())
    ):
        terminalreporter.write_sep("=", LEFT_OUT, red=True)


# `ci` tries the same examples each time, so that it gives a verdict; `deep` (`make proof`) others
# each time, from a seed that it prints.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", settings.get_profile("ci"), derandomize=False)
settings.load_profile("ci")


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
