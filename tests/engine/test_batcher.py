"""Questions that come up one by one share a call."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from janitor.engine.batcher import Batcher
from tests.owners.world import World


@pytest.mark.parametrize(
    ("lasts", "most"),
    [
        pytest.param(0.05, 70, id="a free core"),
        pytest.param(0.5, 10, id="a small CPU"),
        pytest.param(60, 7, id="an endpoint that hangs"),
    ],
)
def test_slow_calls_answer_more_questions_each(lasts: float, most: int) -> None:
    """A hundred questions, ten a second: the slower the calls, the fewer are made; yet none waits
    for a call that hangs.
    """
    world, calls = World(lambda *_asked: {}, rate=40), list[Collection[int]]()

    async def ask(numbers: Collection[int]) -> dict[int, int]:
        calls.append(list(numbers))
        await asyncio.sleep(lasts)
        return {number: -number for number in numbers}

    async def asked() -> list[int]:
        batcher = Batcher(world.api, "GetMetricData", 100, 2.0, ask)
        answers = []
        for number in range(100):
            answers.append(batcher.about(number))
            await asyncio.sleep(0.1)
        return await asyncio.gather(*answers)

    assert world.clock.run(asked()) == [-number for number in range(100)]
    assert calls[0] == [0]
    assert len(calls) <= most
    assert world.clock.monotonic() <= 10 + lasts + 3
