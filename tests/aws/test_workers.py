"""The worker pool for blocking calls: a few threads, which do not keep the program alive."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from unittest.mock import Mock

import pytest

from janitor.aws import api as calls
from janitor.aws.api import Api, Counts, UnavailableError
from janitor.aws.pace import Pace
from janitor.aws.workers import Threads
from janitor.core.clock import Stop, SystemClock
from janitor.core.model import Target
from tests.accounts import ACCOUNT, REGION


def test_concurrency_is_limited_by_the_threads() -> None:
    """All threads are used, and work that waits for one is done in the end."""
    at_once = threading.Barrier(3)
    running, most, lock = 0, 0, threading.Lock()

    def work() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        at_once.wait(10)
        with lock:
            running -= 1
        return threading.current_thread().name

    async def all_of_it() -> list[str]:
        workers = Threads(3)
        return await asyncio.gather(*(workers.run(work) for _ in range(30)))

    before = threading.active_count()
    assert len(asyncio.run(all_of_it())) == 30
    assert most == 3
    assert threading.active_count() <= before + 3


def test_a_thread_is_started_only_if_none_is_free() -> None:
    """Consecutive calls share a thread."""

    async def one_by_one() -> set[int]:
        workers = Threads()
        return {await workers.run(threading.get_ident) for _ in range(20)}

    assert len(asyncio.run(one_by_one())) == 1


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3)])
def test_an_error_reaches_the_caller_and_the_thread_survives(error: BaseException) -> None:
    """The next call can use the thread, whatever the error was."""

    def fail() -> None:
        raise error

    async def fail_then_ask() -> str:
        workers = Threads(1)
        with pytest.raises(type(error)) as raised:
            await workers.run(fail)
        assert raised.value is error
        return await workers.run(lambda: "well")

    assert asyncio.run(fail_then_ask()) == "well"


def test_work_that_is_cancelled_before_its_turn_is_not_done() -> None:
    """A deletion must follow its last look within a second, not once a thread is free."""
    turn, done = threading.Event(), list[str]()

    async def cancel() -> None:
        workers = Threads(1)
        first = asyncio.create_task(workers.run(lambda: turn.wait(10)))
        second = asyncio.create_task(workers.run(lambda: done.append("cancelled")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        turn.set()
        await first
        await workers.run(lambda: done.append("wanted"))

    asyncio.run(cancel())
    assert done == ["wanted"]


def test_a_call_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after CALL_TIMEOUT, and other calls do not wait for it."""
    answered, over = threading.Event(), threading.Event()
    client = Mock()

    def hang() -> None:
        answered.wait(10)
        over.set()

    client.describe_log_groups = hang
    client.list_tags_for_resource = lambda: {"tags": {}}

    async def ask() -> None:
        clock = SystemClock()
        pace = Pace(lambda _operation: 1e6, clock)
        target = Target(ACCOUNT, REGION)
        session = Mock(client=lambda *_named, config: client)
        api = Api(target, session, pace, clock, Counts(), Stop(), Threads(2))
        with monkeypatch.context() as soon:
            soon.setattr(calls, "CALL_TIMEOUT", 0.01)
            with pytest.raises(UnavailableError, match="no response within"):
                await api.once("logs", "DescribeLogGroups")
        assert await api.once("logs", "ListTagsForResource", expect="tags") == {"tags": {}}
        assert not over.is_set(), "it waited for the call that was given up"
        answered.set()

    asyncio.run(ask())


ENDS = """
import asyncio, threading
from janitor.aws.workers import Threads

async def main():
    async with asyncio.timeout(0.1):
        await Threads().run(threading.Event().wait)

asyncio.run(main())
"""


def test_a_call_that_never_ends_does_not_keep_the_process() -> None:
    """The process ends with the error and does not hang."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDS], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("TimeoutError")
