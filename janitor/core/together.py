"""Concurrency in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*work: Coroutine[Any, Any, None], most: int | None = None) -> None:
    """Run all the work, at most `most` coroutines at a time (None: all at once).

    The first error cancels the rest and is raised.
    """
    free = asyncio.Semaphore(most or len(work) or 1)

    async def bounded(one: Coroutine[Any, Any, None]) -> None:
        async with free:
            await one

    tasks = [asyncio.create_task(bounded(one)) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in work:  # Python warns of a coroutine that was never awaited
            one.close()
