"""A small part of `make fuzz`, always the same."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.loaders import LOADERS


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_input_ends_in_errors_of_its_own(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in it; what was tried is said."""
    assert fuzz(name, 1, seconds=600, most=40) == []
    assert f"{name}: 40 inputs" in capsys.readouterr().out
