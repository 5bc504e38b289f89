"""How many last looks are under way at a time."""

from __future__ import annotations

import asyncio

import pytest

from janitor.engine.looks import FIRST, MOST, Looks
from tests.virtual import VirtualClock


@pytest.mark.parametrize(("takes", "most"), [(0.1, MOST), (0.4, FIRST), (2.0, FIRST)])
def test_more_are_admitted_only_while_they_are_quick(takes: float, most: int) -> None:
    """On a small CPU all of many at a time would take longer than a look is worth."""
    clock = VirtualClock(0)
    running, seen = 0, list[int]()

    async def look(looks: Looks) -> None:
        nonlocal running
        async with looks.admitted():
            running += 1
            seen.append(running)
            await asyncio.sleep(takes)
            running -= 1

    async def many() -> None:
        looks = Looks(clock)
        await asyncio.gather(*(look(looks) for _ in range(400)))

    clock.run(many())
    assert max(seen) == most
    assert len(seen) == 400
    if takes > 1:
        assert max(seen[20:]) == 1, "where they are slow, one at a time"
