"""A process of the janitor's: it may be killed, its time is virtual, and it waits for no answer
longer than it would.

Real boto3 clients call the fake account in process. They are made once, and each call goes to the
account of the process that makes it. Several processes may live at a time, in one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.exceptions import ReadTimeoutError

from janitor.aws.api import CLIENT_CONFIG, careful
from janitor.sandbox import inprocess
from janitor.sandbox.wire import Reply, Request
from tests.fakes import Cloud

READ_TIMEOUT = 30.0
T = TypeVar("T")

_RUNNING: ContextVar[Process] = ContextVar("running")


def running() -> Process:
    """The process whose code this is."""
    return _RUNNING.get()


class Process:
    """One life. It is killed at its step number `dies_at` (from 1), if given: a call before or
    `after` its effect, or something that is written, of which a part is left then.
    """

    def __init__(
        self,
        cloud: Cloud,
        life: Any,
        dies_at: int | None = None,
        *,
        after: bool = False,
        cpu: float = 0.0,
    ) -> None:
        """`life` is what a witness knows of it, `cpu` how many seconds each call takes of its only
        CPU, for which all others wait.
        """
        self.cloud = cloud
        self.life = life
        self.steps = 0
        self.dead = False
        self.owed = 0.0
        """Seconds that the answer to the last call takes."""
        self.cpu = cpu
        self._dies_at = dies_at
        self._after = after
        self._main: asyncio.Task[Any] | None = None

    async def live(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` returns; None where it was killed."""
        self.busy = asyncio.Lock()
        self._main = main = asyncio.create_task(self._lived(work))
        try:
            return await main
        except asyncio.CancelledError:
            if not self.dead:
                raise
            return None

    async def _lived(self, work: Coroutine[Any, Any, T]) -> T:
        _RUNNING.set(self)
        return await work

    def kill(self) -> None:
        """It ends here: what it calls or writes after this does not take place."""
        self.dead = True
        if self._main is not None:
            self._main.cancel()

    def step(self, whole: Callable[[], T], part: Callable[[], object] = lambda: None) -> T:
        """Do one thing; or a part of it, or all of it, and nothing any more."""
        if self.dead:
            raise asyncio.CancelledError
        self.steps += 1
        if self.steps != self._dies_at:
            return whole()
        _ = whole() if self._after else part()
        self.kill()
        raise asyncio.CancelledError

    def send(self, request: Request) -> Reply:
        """Call the account."""
        reply = self.step(lambda: self.cloud.handle(request))
        self.owed += min(reply.delay, READ_TIMEOUT)
        if reply.delay > READ_TIMEOUT:
            raise ReadTimeoutError(endpoint_url=request.url)
        return reply


class Waiting:
    """Workers without threads: whoever calls waits as long as the answer takes."""

    async def run(self, work: Callable[[], T]) -> T:
        process = running()
        if process.cpu:
            async with process.busy:
                await asyncio.sleep(process.cpu)
        process.owed = 0.0
        try:
            return work()
        finally:
            if process.owed:
                await asyncio.sleep(process.owed)


@cache
def session(account: str, region: str) -> boto3.Session:
    """A session of an account. Its clients are made once; all calls try once only."""
    made = inprocess.session(lambda request: running().send(request), f"AKIA{account}", region)
    inner = made.client

    @cache
    def client(service: str, place: str | None = None) -> Any:
        made = inner(service, place, config=CLIENT_CONFIG)
        # The function makes a client of its own to go on, which looks into no answers.
        return _spared(made if place is None else careful(made), account)

    def anyhow(service: str, region_name: str | None = None, **_options: Any) -> Any:
        return client(service, region_name)

    made.client = anyhow  # type: ignore[method-assign, assignment]
    return made


def _spared(client: Any, account: str) -> Any:
    """The client, without what takes half the time of a call and is nobody's concern here: its
    signature, but for the account and the Region that stand in it, and its user agent.
    """
    scope = f"{client.meta.region_name}/{client.meta.service_model.signing_name}/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA{account}/20270115/{scope}"

    def sign(request: Any, **_more: Any) -> None:
        request.headers["authorization"] = signed

    events = client.meta.events
    events.register("choose-signer", lambda **_more: UNSIGNED)
    events.register_first("before-send", sign)
    events.register = lambda *_args, **_more: None  # what each process would, once more
    client._user_agent_creator.to_string = lambda: "janitor"
    return client
