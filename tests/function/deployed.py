"""The deployed function on the fake account, invoked and invoking itself."""

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
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, Group, days_ago, refused, stream
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


def mixed(count: int = 30) -> Cloud:
    """Groups to keep, to give retention, to sweep and to delete."""
    groups = [Group(f"/kept/{i:03}", days_ago(900), 5, 365) for i in range(count)]
    groups += [Group(f"/never/{i:03}", days_ago(900), 5) for i in range(count)]
    groups += [Group(f"/old/{i:03}", days_ago(900), 0, 365) for i in range(count // 3)]
    for i in range(count):
        streams = [stream(f"2020/01/0{day}/[1]a", days_ago(800)) for day in range(1, 4)]
        groups.append(Group(f"/aws/lambda/{i:03}", days_ago(900), 5, 30, streams=streams))
    return Cloud(groups, page=10)


class DiedError(BaseException):
    """The function's process died."""


def die() -> None:
    raise DiedError


@dataclass
class Context:
    """Lambda's context object. `remaining` (ms) counts down by the clock, if there is one."""

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
    """S3's client with one retry of a write after a server error, as botocore has."""

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
    """Workers whose calls never end."""

    async def run(self, _work: object) -> Any:
        await asyncio.sleep(1000)


def lost(cloud: Cloud) -> None:
    """Write the next object, but lose the answer."""

    def once(call: Call) -> RefusedError | None:
        if call.operation != "PutObject":
            return None
        cloud.quiet()
        return refused("InternalError", 500)

    cloud.after = once


def under_way(cloud: Cloud) -> None:
    """Do the same, and refuse the retry because the first write is still in progress."""

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
        """The objects of the bucket, as text by key."""
        objects = self.cloud.store.buckets[BUCKET].objects
        return {key: stored.body.decode() for key, stored in objects.items()}

    async def answer(self, event: Any, request: str = "request-1", seconds: float = 900.0) -> Any:
        """Invoke the function, on an event loop that runs."""
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
            for name, metric in metrics.metric_set.items():
                self.metrics[name] = metric["Value"][-1]

    def invoke(self, event: Any, request: str = "request-1", seconds: float = 900.0) -> Any:
        """Invoke the function."""
        return self.cloud.clock.run(self.answer(event, request, seconds))

    def together(self, *calls: tuple[Any, str]) -> list[Any]:
        """Invoke the function several times at once, each with an event and a request id."""

        async def answers() -> list[Any]:
            return list(await asyncio.gather(*(self.answer(*call) for call in calls)))

        return self.cloud.clock.run(answers())

    def next_event(self) -> Any:
        """Take the next event that the function sent to itself from the queue, if there is one."""
        return json.loads(self._invoked.pop(0)["payload"]) if self._invoked else None

    def chain(
        self, event: Any, between: Callable[[], None] = lambda: None, most: int = 200
    ) -> list[Any]:
        """Run all links of a run and return their answers."""
        answers = []
        for number in range(most):
            between()
            answers.append(self.invoke(event, f"request-{number}"))
            if (event := self.next_event()) is None:
                return answers
        raise AssertionError(f"no end after {most} links")


def cut(cloud: Cloud, calls: int, seconds: float = 900.0) -> Callable[[], None]:
    """Let `seconds` pass with call number `calls` of each link; call the result between links."""
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
    """Let the function die with its call number `at` from now on, before or after the call's
    effect; calling the result stops that.
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
