"""How many last looks run at a time."""

from __future__ import annotations

import asyncio

import pytest

from janitor.engine.admission import FIRST, MOST, Admission
from tests.virtual import VirtualClock


@pytest.mark.parametrize(("takes", "most"), [(0.1, MOST), (0.4, FIRST), (2.0, FIRST)])
def test_more_looks_are_admitted_only_while_they_are_quick(takes: float, most: int) -> None:
    """On a small CPU, many looks at a time would all take longer than a look is valid."""
    clock = VirtualClock(0)
    running, seen = 0, list[int]()

    async def look(admission: Admission) -> None:
        nonlocal running
        async with admission.admitted():
            running += 1
            seen.append(running)
            await asyncio.sleep(takes)
            running -= 1

    async def many() -> None:
        admission = Admission(clock)
        await asyncio.gather(*(look(admission) for _ in range(400)))

    clock.run(many())
    assert max(seen) == most
    assert len(seen) == 400
    if takes > 1:
        assert max(seen[20:]) == 1, "slow looks run one at a time"


def test_a_cancelled_look_leaves_its_place_to_the_next() -> None:
    """Looks are admitted in order, even if one is cancelled just as it is admitted."""
    clock, began = VirtualClock(0), list[int]()
    admission = Admission(clock)

    async def look(number: int) -> None:
        async with admission.admitted():
            began.append(number)
            await asyncio.sleep(0.4)

    async def many() -> None:
        first, second = admission.admitted(), admission.admitted()
        await first.__aenter__()
        await second.__aenter__()
        waiting = [asyncio.create_task(look(number)) for number in range(9)]
        await asyncio.sleep(0.4)
        waiting[0].cancel()
        await first.__aexit__(None, None, None)
        await second.__aexit__(None, None, None)
        waiting[1].cancel()
        waiting[2].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    clock.run(many())
    assert began == [3, 4, 5, 6, 7, 8]


def test_looks_that_hang_do_not_hold_up_the_others() -> None:
    """A Region may be silent for half a minute at a time, again and again."""
    clock = VirtualClock(0)
    done: list[float] = []

    async def look(admission: Admission, takes: float) -> None:
        async with admission.admitted():
            await asyncio.sleep(takes)
        if takes < 1:
            done.append(clock.monotonic())

    async def many() -> None:
        admission = Admission(clock)
        hanging = [35.0] * 8
        await asyncio.gather(*(look(admission, takes) for takes in hanging + [0.1] * 100))

    clock.run(many())
    assert max(done) < 30
