"""Requests of real boto3 clients, carried to a simulator without a socket.

botocore serialises, signs, parses and raises as ever; only its HTTP session is replaced, by a
`before-send` handler. Clients are made once a process, and call whatever cloud is connected.
Time is virtual: it passes where somebody waits, and then at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from janitor.aws.api import CLIENT_CONFIG
from tests.cloud import Cloud

READ_TIMEOUT = 30.0


class KilledError(BaseException):
    """The process is no more: what it calls or writes after this does not take place."""


class VirtualClock:
    """The janitor's clock and the simulator's. `own` is what the calling thread has waited."""

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

    def call(self, send: Callable[[], AWSResponse]) -> AWSResponse:
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


class _Raw(BytesIO):
    def stream(self, **_options: Any) -> Iterator[bytes]:
        yield self.read()


class _Wire:
    """The one connection of this process."""

    def __init__(self) -> None:
        self.cloud: Cloud | None = None
        self.clock = VirtualClock(0)
        self.process = Process()
        self._clients: dict[tuple[str, str, str, str], Any] = {}
        self._lock = threading.Lock()

    def client(self, account: str, service: str, region: str, owner: str) -> Any:
        key = (account, service, region, owner)
        with self._lock:
            if key not in self._clients:
                session = boto3.Session(f"AKIA{account}", "secret", region_name=region)
                client = session.client(service, config=CLIENT_CONFIG)
                client.meta.events.register("before-send.*", self._carry)
                self._clients[key] = client
        return self._clients[key]

    def _carry(self, request: Any, **_more: Any) -> AWSResponse:
        return self.process.call(lambda: self._send(request))

    def _send(self, request: Any) -> AWSResponse:
        assert self.cloud is not None, "connected"
        url = urlsplit(request.url)
        path = f"{url.path}?{url.query}" if url.query else url.path
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else bytes(body)
        reply = self.cloud.handle(request.method, path, headers, body)
        self.clock.advance(min(reply.delay, READ_TIMEOUT))
        if reply.delay > READ_TIMEOUT:
            raise ReadTimeoutError(endpoint_url=request.url)
        if reply.answer is None:
            raise ConnectionClosedError(endpoint_url=request.url)
        answer = reply.answer
        told = {"content-type": answer.kind, "content-length": str(len(answer.body))}
        return AWSResponse(request.url, answer.status, told, _Raw(answer.body))


WIRE = _Wire()


@contextmanager
def connected(cloud: Cloud, clock: VirtualClock, process: Process) -> Iterator[None]:
    """Clients call this cloud, as this process."""
    WIRE.cloud, WIRE.clock, WIRE.process = cloud, clock, process
    try:
        yield
    finally:
        WIRE.cloud = None


class WireSession(boto3.Session):
    """A session of an account whose clients go by wire."""

    def __init__(self, account: str, region: str) -> None:
        super().__init__(f"AKIA{account}", "secret", region_name=region)
        self._account = account
        self._region = region

    def client(self, service_name: str, region_name: str | None = None, **more: Any) -> Any:
        """As boto3 makes clients: one that is asked for otherwise is another, with hooks of its
        own.
        """
        owner = f"{region_name} {sorted(more)}"
        return WIRE.client(self._account, service_name, region_name or self._region, owner)
