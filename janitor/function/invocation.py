"""What the functions of the zip have in common: clients that stay, log lines, a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import os
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from janitor import __version__
from janitor.aws.api import CLOSE_CONFIG, CLOSE_LASTS
from janitor.aws.clients import USED_ELSEWHERE
from janitor.aws.targets import lean
from janitor.aws.workers import NoAnswerError, Workers, within
from janitor.core.clock import Clock, Stop
from janitor.core.errors import JanitorError, UsageError
from janitor.function import chain
from janitor.function.notify import Notice, NotifyError, send
from janitor.function.settings import Settings, current_policy
from janitor.policy.file import Policy

log = structlog.get_logger("janitor")
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "CloudWatchJanitor")
"""Of the functions' metrics."""
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
    """A session that makes the clients which each run uses once, for all invocations of a warm
    function. Those of the dozens of services that are only asked for owners would take too much
    memory.
    """

    def __init__(self) -> None:
        super().__init__(botocore_session=lean())
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(  # type: ignore[override]  # the rest of boto3's parameters are in `more`
        self, service_name: str, region_name: str | None = None, **more: Any
    ) -> Any:
        """The service's client in the Region; what is kept has the first caller's configuration."""
        with self._lock:
            key = (service_name, region_name)
            if (client := self._clients.get(key)) is None:
                client = super().client(service_name, region_name, **more)
                if service_name in USED_ELSEWHERE:
                    self._clients[key] = client
            return client


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

    async def _notify(self, notice: Notice) -> None:
        """Tell people, where a topic is configured. Raises NotifyError."""
        if (arn := self._settings.notify_topic) is None:
            return
        client, now = (
            self._aws.client("sns", arn.split(":")[3], config=CLOSE_CONFIG),
            self._clock.now(),
        )
        try:
            telling = self._workers.run(lambda: send(client, arn, notice, now))
            await within(CLOSE_LASTS, telling)
        except NoAnswerError as error:
            raise NotifyError(f"the notification could not be sent: {arn}: {error}") from error


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


METRICS = {
    "GroupsScanned": "groups_scanned",
    "RetentionSet": "retention_set",
    "GroupsDeleted": "groups_deleted",
    "StreamsDeleted": "streams_deleted",
    "Failed": "failed",
    "Unknown": "unknown",
    "NotReached": "not_reached",
    "Throttled": "throttled",
}
"""Metric names, and the summary's keys that they show."""


def measure(
    metrics: Metrics | EphemeralMetrics,
    trigger: str,
    summary: Mapping[str, Any],
    seconds: float,
    *,
    failed: bool,
) -> None:
    """A whole run's totals as metrics, once, at its end."""
    metrics.add_dimension("trigger", trigger)
    for name, key in METRICS.items():
        metrics.add_metric(name, MetricUnit.Count, summary[key])
    metrics.add_metric("Duration", MetricUnit.Seconds, seconds)
    metrics.add_metric("Complete", MetricUnit.Count, int(summary["complete"]))
    metrics.add_metric("RunFailed", MetricUnit.Count, int(failed))


@functools.cache
def code() -> str:
    """The version of the code that runs, which a deployment may change without a new release."""
    package = Path(__file__).parents[1]
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".toml"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    return f"{__version__}+{digest.hexdigest()[:12]}"


def answered(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | Exception:
    """The answer or the error: powertools leaves out the cold start of a handler that raises."""
    try:
        return asyncio.run(work)
    except Exception as error:  # raised again by `raised`, once the metrics are out
        if not isinstance(error, JanitorError):
            log.exception("internal_error")
        else:
            log.error("run_failed", error=str(error))
        return error


def raised(result: dict[str, Any] | Exception) -> dict[str, Any]:
    """The answer. Raises the error."""
    if isinstance(result, Exception):
        raise result
    return result


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
