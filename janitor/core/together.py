"""Several things at once in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*work: Coroutine[Any, Any, None], most: int | None = None) -> None:
    """All of it to the end, so much at once or all. Raises the first error, after the rest was
    cancelled.
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
        for one in work:  # what never began would be complained of
            one.close()
