"""A process of the janitor's: it may be killed, its time is virtual, and it waits for no answer
longer than it would.

Real boto3 clients call the fake account in process. They are made once, and call whatever account
is connected. Time passes where somebody waits, and then at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import boto3
from botocore.exceptions import ReadTimeoutError

from janitor.sandbox import inprocess
from janitor.sandbox.wire import Reply, Request
from tests.fakes import Cloud

READ_TIMEOUT = 30.0
T = TypeVar("T")


class KilledError(BaseException):
    """The process is no more: what it calls or writes after this does not take place."""


class VirtualClock:
    """The janitor's clock and the fake account's. `own` is what the calling thread has waited."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._passed = 0.0
        self._lock = threading.Lock()
        self._threads = threading.local()

    def now(self) -> int:
        return self._start + int(self._passed * 1000)

    def monotonic(self) -> float:
        return self._passed

    seconds = monotonic

    @property
    def own(self) -> float:
        return getattr(self._threads, "waited", 0.0)

    def advance(self, seconds: float) -> None:
        self._threads.waited = self.own + seconds
        self.jump(seconds)

    def jump(self, seconds: float) -> None:
        """Time passes for which no thread waited."""
        with self._lock:
            self._passed += seconds

    def wait(self, seconds: float, stop: threading.Event) -> None:
        if seconds > 0 and not stop.is_set():
            self.advance(seconds)


class Process:
    """One life of the janitor. It is killed at its step number `dies_at` (from 1), if given: a
    call before or `after` its effect, or a line of the journal, of which a part is written.
    """

    def __init__(self, dies_at: int | None = None, *, after: bool = False) -> None:
        self.steps = 0
        self.dead = False
        self._dies_at = dies_at
        self._after = after
        self._lock = threading.Lock()

    def call(self, send: Callable[[], T]) -> T:
        with self._lock:
            dying = self._step()
            if dying and not self._after:
                raise KilledError
            answer = send()
            if dying:
                raise KilledError
        return answer

    def write(self, write: Callable[[str], None], line: str) -> None:
        with self._lock:
            if self._step():
                write(line if self._after else line[: len(line) // 2])
                raise KilledError
            write(line)

    def _step(self) -> bool:
        if self.dead:
            raise KilledError
        self.steps += 1
        self.dead = self.steps == self._dies_at
        return self.dead


class _Line:
    """What leads every client to the account that is connected."""

    cloud: Cloud
    clock: VirtualClock
    process: Process

    def carry(self, request: Request) -> Reply:
        return self.process.call(lambda: self._send(request))

    def _send(self, request: Request) -> Reply:
        reply = self.cloud.handle(request)
        self.clock.advance(min(reply.delay, READ_TIMEOUT))
        if reply.delay > READ_TIMEOUT:
            raise ReadTimeoutError(endpoint_url=request.url)
        return reply


_LINE = _Line()


@contextmanager
def connected(cloud: Cloud, clock: VirtualClock, process: Process) -> Iterator[None]:
    """Clients call this account, as this process."""
    _LINE.cloud, _LINE.clock, _LINE.process = cloud, clock, process
    try:
        yield
    finally:
        del _LINE.cloud


@cache
def session(account: str, region: str) -> boto3.Session:
    """A session of an account; a client that is asked for otherwise is another one."""
    made = inprocess.session(_LINE.carry, f"AKIA{account}", region)
    made.client = cache(made.client)  # type: ignore[method-assign]
    return made
