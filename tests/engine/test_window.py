"""Concurrent work whose results come in order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.engine.window import Window
from tests.virtual import VirtualClock


@given(st.lists(st.none() | st.integers(0, 9), max_size=20), st.integers(1, 5), st.data())
def test_results_come_in_order_and_concurrency_is_bounded(
    lasts: list[int | None], most: int, data: st.DataObject
) -> None:
    """This holds whichever piece ends first, needs no work, and however many begin at once."""
    at_once = data.draw(st.integers(1, most))
    handed_on: list[int] = []
    running = peak = 0

    async def piece(number: int, seconds: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(seconds)
        running -= 1
        return number

    async def all_of_it() -> None:
        async with Window(most, handed_on.append) as window:
            pieces = [*enumerate(lasts)]
            for start in range(0, len(pieces), at_once):
                some = pieces[start : start + at_once]
                working = [(number, seconds) for number, seconds in some if seconds is not None]
                if len(working) == len(some):
                    await window.add(*(piece(*each) for each in working))
                else:
                    for number, _ in some:
                        await window.put(number)

    VirtualClock(0).run(all_of_it())
    assert handed_on == list(range(len(lasts)))
    assert peak <= most


def test_results_without_work_yield_to_other_tasks() -> None:
    """An account in memory answers without a pause, and Ctrl-C must not wait for its end."""
    handed_on: list[int] = []

    async def all_of_it() -> None:
        stopped = asyncio.Event()
        asyncio.get_running_loop().call_soon(stopped.set)
        async with Window(9, handed_on.append) as window:
            while not stopped.is_set() and len(handed_on) < 9:
                await window.put(1)

    VirtualClock(0).run(all_of_it())
    assert handed_on == [1]


def test_an_error_keeps_the_results_before_it_and_drops_those_after() -> None:
    """The position up to which everything is done stays known."""
    handed_on: list[int] = []

    async def piece(number: int) -> int:
        await asyncio.sleep(1)
        if number == 2:
            raise ValueError("the third")
        return number

    async def all_of_it() -> None:
        async with Window(9, handed_on.append) as window:
            for number in range(5):
                await window.add(piece(number))

    with pytest.raises(ValueError, match="the third"):
        VirtualClock(0).run(all_of_it())
    assert handed_on == [0, 1]
