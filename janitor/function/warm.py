"""What a function makes once and keeps while it is warm: clients, and what is done with them."""

from __future__ import annotations

import threading
from typing import Any

import boto3
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics

from janitor.aws.api import BOOKKEEPING_CONFIG, BOOKKEEPING_TIMEOUT
from janitor.aws.clients import USED_ELSEWHERE
from janitor.aws.targets import lean
from janitor.aws.workers import NoAnswerError, Workers, within
from janitor.core.clock import Clock
from janitor.core.errors import UsageError
from janitor.function.notify import Notice, NotifyError, send
from janitor.function.settings import Settings, current_policy
from janitor.policy.file import Policy


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
