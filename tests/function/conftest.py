"""What holds for every test of a function."""

from __future__ import annotations

import pytest

from janitor.function.invocation import configure_logs


@pytest.fixture(autouse=True)
def logs_of_a_function() -> None:
    """A command of an earlier test may have set up its own; a function does so as it is loaded."""
    configure_logs()
