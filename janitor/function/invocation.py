"""What the functions of the zip have in common: cached clients, log lines, a deadline."""

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
from janitor.aws.api import BOOKKEEPING_CONFIG, BOOKKEEPING_TIMEOUT
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
"""The namespace of the functions' metrics."""
CONTEXT: dict[str, str] = {}
"""Fields of every log line of the invocation."""


class Invocation(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str
    invoked_function_arn: str
    log_group_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class WarmSession(boto3.Session):
    """A session that caches, across the invocations of a warm function, the clients that every run
    uses. Those of the dozens of services that are only read for owners would take too much memory.
    """

    def __init__(self) -> None:
        super().__init__(botocore_session=lean())
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(  # type: ignore[override]  # the rest of boto3's parameters are in `more`
        self, service_name: str, region_name: str | None = None, **more: Any
    ) -> Any:
        """Return the service's client in the Region; a cached one keeps its first configuration."""
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
        """Return the policy. Raises PolicyError, or UsageError where SSM does not answer."""
        try:
            return await within(
                BOOKKEEPING_TIMEOUT, self._workers.run(lambda: current_policy(self._settings))
            )
        except NoAnswerError as error:
            raise UsageError(f"the policy cannot be read: {error}") from error

    async def _notify(self, notice: Notice) -> None:
        """Publish the notice, where a topic is configured. Raises NotifyError."""
        if (arn := self._settings.notify_topic) is None:
            return
        client = self._aws.client("sns", arn.split(":")[3], config=BOOKKEEPING_CONFIG)
        now = self._clock.now()
        try:
            sending = self._workers.run(lambda: send(client, arn, notice, now))
            await within(BOOKKEEPING_TIMEOUT, sending)
        except NoAnswerError as error:
            raise NotifyError(f"the notification could not be sent: {arn}: {error}") from error


@contextlib.contextmanager
def deadline(stop: Stop, remaining: float) -> Iterator[None]:
    """Drain, then set `stop` in time before `remaining` seconds are over."""
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
"""Metric names, each with its key in the summary."""


def measure(
    metrics: Metrics | EphemeralMetrics,
    trigger: str,
    summary: Mapping[str, Any],
    seconds: float,
    *,
    failed: bool,
) -> None:
    """Add the metrics of a run that has ended."""
    metrics.add_dimension("trigger", trigger)
    for name, key in METRICS.items():
        metrics.add_metric(name, MetricUnit.Count, summary[key])
    metrics.add_metric("Duration", MetricUnit.Seconds, seconds)
    metrics.add_metric("Complete", MetricUnit.Count, int(summary["complete"]))
    metrics.add_metric("RunFailed", MetricUnit.Count, int(failed))


@functools.cache
def code() -> str:
    """Return the version of the running code, with its digest: a deployment may change the code
    without a new release.
    """
    package = Path(__file__).parents[1]
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".toml"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    return f"{__version__}+{digest.hexdigest()[:12]}"


def answer_or_error(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | Exception:
    """Return the answer or the error: if the handler raised, powertools would leave out the metric
    of its cold start.
    """
    try:
        return asyncio.run(work)
    except Exception as error:  # raised again by `unwrapped`, once the metrics are out
        if not isinstance(error, JanitorError):
            log.exception("internal_error")
        else:
            log.error("run_failed", error=str(error))
        return error


def unwrapped(result: dict[str, Any] | Exception) -> dict[str, Any]:
    """Return the answer, or raise the error."""
    if isinstance(result, Exception):
        raise result
    return result


def _with_context(_logger: Any, _method: str, line: Any) -> Any:
    return {**CONTEXT, **line}


def configure_logs() -> None:
    """Log JSON lines to stdout, which Lambda writes to the function's log group."""
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
