"""What the functions of the zip have in common: clients that stay, log lines, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics

from janitor.aws.api import CLOSE_LASTS
from janitor.aws.workers import NoAnswerError, Workers, within
from janitor.core.clock import Clock, Stop
from janitor.core.errors import UsageError
from janitor.function import chain
from janitor.function.settings import Settings, current_policy
from janitor.policy.file import Policy

CONTEXT: dict[str, str] = {}
"""What every log line of an invocation says."""


class Invocation(Protocol):
    """What is used of Lambda's context object."""

    aws_request_id: str
    invoked_function_arn: str
    log_group_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class WarmSession(boto3.Session):
    """A session that makes each client once, for all invocations of a warm function."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(  # type: ignore[override]  # the rest of boto3's parameters are in `more`
        self, service_name: str, region_name: str | None = None, **more: Any
    ) -> Any:
        """The service's client in the Region, made with the first caller's configuration."""
        with self._lock:
            key = (service_name, region_name)
            if key not in self._clients:
                self._clients[key] = super().client(service_name, region_name, **more)
            return self._clients[key]


class Warm:
    """What a function makes once and reuses while it is warm."""

    def __init__(
        self,
        settings: Settings,
        aws: boto3.Session,
        clock: Clock,
        metrics: Metrics | EphemeralMetrics,
        workers: Workers,
    ) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._metrics = metrics
        self._workers = workers

    async def _policy(self) -> Policy:
        """Raises PolicyError, and UsageError where SSM does not answer."""
        try:
            return await within(
                CLOSE_LASTS, self._workers.run(lambda: current_policy(self._settings))
            )
        except NoAnswerError as error:
            raise UsageError(f"the policy cannot be read: {error}") from error


@contextlib.contextmanager
def deadline(stop: Stop, remaining: float) -> Iterator[None]:
    """First nothing new is taken, then nothing is begun any more, in time for the end."""
    loop = asyncio.get_running_loop()
    late = max(remaining - chain.margin(remaining), 0.0)
    timers = [
        loop.call_later(max(late - chain.drain(remaining), 0.0), stop.drain),
        loop.call_later(late, stop.set, "late"),
    ]
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _with_context(_logger: Any, _method: str, line: Any) -> Any:
    """The line with what every one says."""
    return {**CONTEXT, **line}


def configure_logs() -> None:
    """JSON lines on stdout, which Lambda writes to the function's log group."""
    structlog.configure(
        processors=[
            _with_context,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )
