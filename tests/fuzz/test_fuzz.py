"""A small, fixed part of `make fuzz`."""

from __future__ import annotations

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.loaders import LOADERS


@pytest.mark.parametrize("name", LOADERS)
def test_damaged_input_raises_only_documented_errors(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each loader survives 40 damaged inputs, and the output counts them."""
    assert fuzz(name, 1, seconds=600, most=40) == []
    assert f"{name}: 40 inputs" in capsys.readouterr().out
