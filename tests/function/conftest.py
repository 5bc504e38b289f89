"""Fixtures of every test of a function."""

from __future__ import annotations

import pytest

from janitor.function.invocation import configure_logs


@pytest.fixture(autouse=True)
def logs_of_a_function() -> None:
    """Configure the logs, as a function does on import: an earlier test's command may have, too."""
    configure_logs()
