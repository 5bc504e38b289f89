"""Where calls are made: a bounded number of threads for the whole process.

The engine is one event loop; boto3 blocks, so each call runs on a thread. What waits for a quota
waits in the loop and takes no thread.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

THREADS = 40
"""Enough for 17 Regions at their quotas with answers in 50 ms; they wait more than they compute, so
a seventh of a CPU carries them.
"""


class Workers(Protocol):
    """Runs blocking calls."""

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises what it raises."""


async def within(seconds: float, answer: Awaitable[T]) -> T:
    """The answer, if it comes in time. Raises NoAnswerError, or what the call raises.

    botocore bounds connecting and each read, but not the whole: an endpoint may drip for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise NoAnswerError(f"no response within {seconds:.0f} s") from error


class NoAnswerError(Exception):
    """The call took too long; it may take effect all the same."""


class Inline:
    """In the caller's own thread: for an account that answers at once, and for tests."""

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises what it raises."""
        return work()


class Threads:
    """Daemon threads, made as they are needed: a call that never ends must not keep the process
    from ending, as concurrent.futures' threads do.
    """

    def __init__(self, most: int = THREADS) -> None:
        self._most = most
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads = 0
        self._under_way = 0
        self._lock = threading.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises what it raises. To be awaited in one loop only.

        What is given up before a thread was free for it is not done any more.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def call() -> None:
            put: Callable[..., None] = _succeed
            what: object = None
            try:
                if not answer.done():
                    what = work()
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                put, what = _fail, error
            with self._lock:  # by the thread: what is given up keeps it all the same
                self._under_way -= 1
            _hand_over(loop, put, answer, what)

        with self._lock:
            self._under_way += 1
        if self._under_way > self._threads and self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._serve, name="aws", daemon=True).start()
        self._work.put(call)
        return await answer

    def _serve(self) -> None:
        while True:
            self._work.get()()


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    put: Callable[..., None],
    answer: asyncio.Future[T],
    what: object,
) -> None:
    try:
        loop.call_soon_threadsafe(put, answer, what)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more


def _succeed(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[T], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
