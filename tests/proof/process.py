"""A process of the janitor, which may be killed at any step, in virtual time.

Real boto3 clients call the fake account in process. They are made once and shared: each call goes
to the account of the process that makes it. Several processes may run in one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, TypeVar

import boto3
from botocore import UNSIGNED
from botocore.exceptions import ReadTimeoutError

from janitor.aws.answers import validating
from janitor.aws.api import CLIENT_CONFIG
from janitor.sandbox import inprocess
from janitor.sandbox.wire import Reply, Request
from tests.fakes import Cloud

READ_TIMEOUT = 30.0
T = TypeVar("T")

_RUNNING: ContextVar[Process] = ContextVar("running")


def running() -> Process:
    """Return the process that runs this code."""
    return _RUNNING.get()


class Death(NamedTuple):
    """A process is killed at its step number `step` (from 1), before or `after` its effect."""

    step: int
    after: bool


class Process:
    """One process. Its steps are calls and writes; one that is killed may leave a write half done.

    `record` is what a witness knows of it; each call takes `cpu` seconds of its single CPU.
    """

    def __init__(
        self, cloud: Cloud, record: Any, death: Death | None = None, *, cpu: float = 0.0
    ) -> None:
        self.cloud = cloud
        self.record = record
        self.steps = 0
        self.dead = False
        self.latency = 0.0
        """Seconds until the answer to the last call arrives."""
        self.cpu = cpu
        self._death = death
        self._main: asyncio.Task[Any] | None = None

    async def live(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what `work` returns, or None if the process was killed."""
        self.busy = asyncio.Lock()
        self._main = main = asyncio.create_task(self._run(work))
        try:
            return await main
        except asyncio.CancelledError:
            if not self.dead:
                raise
            return None

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        _RUNNING.set(self)
        return await work

    def kill(self) -> None:
        """End the process: no later call or write takes effect."""
        self.dead = True
        if self._main is not None:
            self._main.cancel()

    def step(self, effect: Callable[[], T], torn: Callable[[], object] = lambda: None) -> T:
        """Take one step. A process that dies before its effect leaves what `torn` does."""
        if self.dead:
            raise asyncio.CancelledError
        self.steps += 1
        if self._death is None or self.steps != self._death.step:
            return effect()
        _ = effect() if self._death.after else torn()
        self.kill()
        raise asyncio.CancelledError

    def send(self, request: Request) -> Reply:
        """Call the account."""
        reply = self.step(lambda: self.cloud.handle(request))
        self.latency += min(reply.delay, READ_TIMEOUT)
        if reply.delay > READ_TIMEOUT:
            raise ReadTimeoutError(endpoint_url=request.url)
        return reply


class InlineWorkers:
    """A worker pool without threads: the caller waits, in virtual time, for the answer."""

    async def run(self, work: Callable[[], T]) -> T:
        process = running()
        if process.cpu:
            async with process.busy:
                await asyncio.sleep(process.cpu)
        process.latency = 0.0
        try:
            return work()
        finally:
            if process.latency:
                await asyncio.sleep(process.latency)


@cache
def session(account: str, region: str) -> boto3.Session:
    """Return the session of an account. Its clients are cached and never retry."""
    made = inprocess.session(lambda request: running().send(request), f"AKIA{account}", region)
    create = made.client

    @cache
    def client(service: str, in_region: str | None = None) -> Any:
        made = create(service, in_region, config=CLIENT_CONFIG)
        # The function's client for invoking itself checks no answers.
        return _fast(made if in_region is None else validating(made), account)

    def cached(service: str, region_name: str | None = None, **_options: Any) -> Any:
        return client(service, region_name)

    made.client = cached  # type: ignore[method-assign, assignment]
    return made


def _fast(client: Any, account: str) -> Any:
    """Return the client without a signature, except for the account and Region in it, and without
    a user agent: together they take half the time of a call, and no fake reads them.
    """
    scope = f"{client.meta.region_name}/{client.meta.service_model.signing_name}/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA{account}/20270115/{scope}"

    def sign(request: Any, **_more: Any) -> None:
        request.headers["authorization"] = signed

    events = client.meta.events
    events.register("choose-signer", lambda **_more: UNSIGNED)
    events.register_first("before-send", sign)
    events.register = lambda *_args, **_more: None  # each process would register its handlers again
    client._user_agent_creator.to_string = lambda: "janitor"
    return client
