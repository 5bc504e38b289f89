"""The function as a deployment has it, on the fake account: invoked, and invoking itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import boto3
from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import ClientError

from janitor.aws.workers import Inline, Workers
from janitor.function.handler import Janitor
from janitor.function.settings import read_settings
from janitor.policy.file import OWN_GROUP
from janitor.sandbox.store import Bucket
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, refused
from tests.virtual import VirtualClock

BUCKET = "janitor-runs"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:cloudwatch-janitor"
GROUP = OWN_GROUP
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:janitor"
SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": ACCOUNT,
    "time": datetime.fromtimestamp(NOW / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "region": REGION,
    "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/cloudwatch-janitor"],
    "detail": {},
}


class DiedError(BaseException):
    """The function is no more."""


@dataclass
class Context:
    """Lambda's context object. `remaining` (ms) is at the beginning; without a clock it stays."""

    aws_request_id: str
    remaining: int = 900_000
    clock: VirtualClock | None = None
    invoked_function_arn: str = ARN
    log_group_name: str = GROUP
    function_name: str = "cloudwatch-janitor"

    def __post_init__(self) -> None:
        self._end = self.remaining + (self.clock.now() if self.clock else 0)

    def get_remaining_time_in_millis(self) -> int:
        return self._end - (self.clock.now() if self.clock else 0)


class _Session:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def client(self, service: str, region: str | None = None, **_more: Any) -> Any:
        return self._cloud.client(service, region or REGION)

    @property
    def region_name(self) -> str:
        return REGION


class Again:
    """S3's client, which writes once more after a server error, as botocore does."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.get_object = client.get_object

    def put_object(self, **parameters: Any) -> Any:
        try:
            return self.client.put_object(**parameters)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
            return self.client.put_object(**parameters)


class Hanging:
    """Workers whose calls never end: an endpoint that drips."""

    async def run(self, _work: object) -> Any:
        await asyncio.sleep(1000)


def lost(cloud: Cloud) -> None:
    """The next object is written, and the answer does not come back."""

    def once(call: Call) -> RefusedError | None:
        if call.operation != "PutObject":
            return None
        cloud.quiet()
        return refused("InternalError", 500)

    cloud.after = once


def under_way(cloud: Cloud) -> None:
    """The same; and when it is written once more, S3 is still at it."""

    def once(_call: Call) -> RefusedError:
        cloud.quiet()
        return refused("ConditionalRequestConflict", 409)

    def then(call: Call) -> RefusedError | None:
        if call.operation != "PutObject":
            return None
        cloud.quiet()
        cloud.fault = once
        return refused("InternalError", 500)

    cloud.after = then


@dataclass
class Deployed:
    """The function with its bucket."""

    cloud: Cloud
    environment: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    metrics_out: EphemeralMetrics | None = None
    links: int = 0
    workers: Workers = field(default_factory=Inline)

    def __post_init__(self) -> None:
        self.cloud.store.buckets.setdefault(BUCKET, Bucket(ACCOUNT, REGION, NOW))
        self._invoked = self.cloud.sandbox.world.invoked
        self.sent = self.cloud.region.topics.setdefault("janitor", [])

    @property
    def objects(self) -> dict[str, str]:
        """What is in the bucket."""
        found = self.cloud.store.buckets[BUCKET].objects
        return {key: there.body.decode() for key, there in found.items()}

    async def answer(self, event: Any, request: str = "request-1", seconds: float = 900.0) -> Any:
        """One invocation."""
        self.links += 1
        metrics = self.metrics_out or EphemeralMetrics(namespace="test", service="test")
        settings = read_settings(
            {"JANITOR_BUCKET": BUCKET, "JANITOR_REGIONS": REGION, **self.environment}
        )
        session = cast(boto3.Session, _Session(self.cloud))
        janitor = Janitor(settings, session, self.cloud.clock, metrics, self.workers)
        try:
            context = Context(request, int(seconds * 1000), self.cloud.clock)
            return await janitor.answer(event, context)
        finally:
            for name, said in metrics.metric_set.items():
                self.metrics[name] = said["Value"][-1]

    def invoke(self, event: Any, request: str = "request-1", seconds: float = 900.0) -> Any:
        """The answer of one invocation."""
        return self.cloud.clock.run(self.answer(event, request, seconds))

    def together(self, *calls: tuple[Any, str]) -> list[Any]:
        """The answers of invocations at the same time."""

        async def all_of_them() -> list[Any]:
            return list(await asyncio.gather(*(self.answer(*call) for call in calls)))

        return self.cloud.clock.run(all_of_them())

    def next_event(self) -> Any:
        """What the function invoked itself with, taken from the queue; None: it did not."""
        return json.loads(self._invoked.pop(0)["payload"]) if self._invoked else None

    def chain(
        self, event: Any, between: Callable[[], None] = lambda: None, most: int = 200
    ) -> list[Any]:
        """The answers of a run's links."""
        answers = []
        for number in range(most):
            between()
            answers.append(self.invoke(event, f"request-{number}"))
            if (event := self.next_event()) is None:
                return answers
        raise AssertionError(f"no end after {most} links")


def cut(cloud: Cloud, calls: int, seconds: float = 900.0) -> Callable[[], None]:
    """So much time passes with call number `calls` of each link; to be called between links."""
    made = 0

    def before(call: Call) -> None:
        nonlocal made
        made += call.service == "logs"
        if made == calls:
            made += 1
            cloud.clock.jump(seconds)

    def between() -> None:
        nonlocal made
        made = 0

    cloud.before_call = before
    return between


def dying(cloud: Cloud, at: int, *, after: bool = False) -> Callable[[], None]:
    """The function dies with call number `at` from now on, before its effect or after it; what is
    returned lets it live again.
    """
    made = 0

    def die(_call: Call) -> None:
        nonlocal made
        made += 1
        if made >= at:
            raise DiedError

    if after:
        cloud.after = die
    else:
        cloud.before_call = die
    return cloud.quiet
