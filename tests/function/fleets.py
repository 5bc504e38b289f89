"""The function of a fleet on fake accounts, invoked as its state machine does."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import boto3
from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import ClientError

from janitor.aws.api import CLIENT_CONFIG
from janitor.aws.workers import Inline
from janitor.core.errors import CredentialsError
from janitor.function.fleet import BusyError, Fleet
from janitor.function.settings import read_settings
from janitor.report.schema import FleetReport
from janitor.sandbox import inprocess
from janitor.sandbox.account import Sandbox
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.store import Bucket, Store
from janitor.sandbox.wire import Answer, Call, RefusedError, Reply, Request
from tests.accounts import ACCOUNT, NOW, REGION, Disturbance
from tests.function.deployed import BUCKET, Context
from tests.virtual import VirtualClock

NAME = "cloudwatch-janitor-fleet"
ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:janitor"
ROLE = "ops/janitor"
EXTERNAL_ID = "the-janitor"
UNIT = "ou-root-workload"
"""An organizational unit with every second account."""


def account(number: int) -> str:
    """The id of an account; number 0 is the function's."""
    return str(int(ACCOUNT) + number)


def role(account_id: str) -> str:
    """The ARN of an account's role."""
    return f"arn:aws:iam::{account_id}:role/{ROLE}"


def fleet(accounts: int, regions: Iterable[str] = (REGION,)) -> Store:
    """An organization with this many accounts, without log groups."""
    store, members = Store(), {}
    for number in range(accounts):
        members[account(number)] = Membership(f"team-{number}", UNIT if number % 2 else "r-root")
        for region in regions:
            store.region(account(number), region)
    store.organization = Organization(ACCOUNT, {UNIT: Unit("Workloads")}, members)
    return store


@dataclass
class DeployedFleet:
    """The function of a fleet with its bucket. `before_call` sees each call, `fault` may answer in
    its place, `after` once it had its effect.
    """

    store: Store
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.buckets.setdefault(BUCKET, Bucket(ACCOUNT, REGION, NOW))
        self.sandbox = Sandbox(
            self.store, clock=self.clock, intercept=self._intercept, **self.options
        )
        self.sent = self.store.region(ACCOUNT, REGION).topics.setdefault("janitor", [])
        self.calls: Counter[tuple[str, str]] = Counter()
        """Calls by account and operation."""
        self.metrics: dict[str, float] = {}
        self.requests = 0
        self.quiet()

    def quiet(self) -> None:
        """Remove all disturbances."""
        self.fault: Disturbance = lambda _call: None
        self.after: Disturbance = lambda _call: None
        self.before_call: Callable[[Call], None] = lambda _call: None

    def _intercept(self, call: Call, answer: Callable[[], Answer]) -> Reply:
        self.calls[call.account, call.operation] += 1
        self.before_call(call)
        if (instead := self.fault(call)) is None:
            reply = Reply(answer())
            instead = self.after(call) or reply
        if isinstance(instead, RefusedError):
            raise instead
        return instead

    @property
    def objects(self) -> dict[str, str]:
        """The objects of the bucket, as text by key."""
        objects = self.store.buckets[BUCKET].objects
        return {key: stored.body.decode() for key, stored in objects.items()}

    def overwrite(self, key: str, text: str) -> None:
        """Replace an object of the bucket."""
        s3 = self.session().client("s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def session(self) -> boto3.Session:
        """The function's own session."""
        return cast(boto3.Session, _Own(self.sandbox))

    def assume(self, _own: boto3.Session, arn: str, external_id: str | None) -> boto3.Session:
        """A session that assumes its role with the first call, like those of `targets.assumed`."""
        return cast(boto3.Session, _Assumed(self.sandbox, arn, external_id))

    def function(self) -> Fleet:
        """A cold function."""
        self._metrics = EphemeralMetrics(namespace="test", service="test")
        settings = read_settings(
            {
                "JANITOR_BUCKET": BUCKET,
                "JANITOR_FLEET_ROLE": ROLE,
                "JANITOR_FLEET_EXTERNAL_ID": EXTERNAL_ID,
                **self.environment,
            }
        )
        session = self.session()
        return Fleet(settings, session, self.clock, self._metrics, Inline(), self.assume)

    async def answer(self, event: Any, seconds: float = 900.0) -> Any:
        """Invoke the function, on an event loop that runs."""
        self.requests += 1
        request = f"request-{self.requests}"
        context = Context(request, int(seconds * 1000), self.clock, ARN, "/janitor/fleet", NAME)
        try:
            return await self.function().answer(event, context)
        finally:
            for name, metric in self._metrics.metric_set.items():
                self.metrics[name] = metric["Value"][-1]

    def invoke(self, event: Any, seconds: float = 900.0) -> Any:
        """Invoke the function."""
        return self.clock.run(self.answer(event, seconds))

    def targets(self, run: str = "run", *, dry_run: bool = False) -> list[dict[str, str]]:
        """Start a run and return the items that the state machine would read from the bucket."""
        answer = self.invoke({"run": run, "pass": "targets", "dry_run": dry_run})
        items: list[dict[str, str]] = json.loads(self.objects[answer["key"]])
        return items

    def each(self, pass_: str, items: Iterable[Mapping[str, str]], run: str = "run") -> list[Any]:
        """Repeat a pass for each item until it is complete; return the last answers."""
        return [self.item({"run": run, "pass": pass_, **item}) for item in items]

    def item(self, event: Any, most: int = 200) -> Any:
        """Send an event until the answer is complete, also if the target is busy."""
        for _ in range(most):
            try:
                answer = self.invoke(event)
            except BusyError:
                self.clock.jump(60)
                continue
            if answer["complete"]:
                return answer
        raise AssertionError(f"no end after {most} invocations")

    def run(self, run: str = "run", *, dry_run: bool = False) -> dict[str, Any]:
        """Do a whole run and return its report, checked against the schema."""
        items = self.targets(run, dry_run=dry_run)
        self.each("survey", items, run)
        limits = self.invoke({"run": run, "pass": "limits"})
        if limits["act"]:
            self.each("act", items, run)
        answer = self.invoke({"run": run, "pass": "report"})
        report = self.objects[answer["key"]]
        FleetReport.model_validate_json(report, strict=True)
        parsed: dict[str, Any] = json.loads(report)
        return parsed


# ---- sessions ------------------------------------------------------------------------------------


class _Calling(threading.local):
    sandbox: Sandbox
    key: str


_CALLING = _Calling()


class _Keys(Credentials):
    """The credentials of the call in progress."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(_CALLING.key, "secret", None)


@cache
def _session() -> boto3.Session:
    def handle(request: Request) -> Reply:
        return _CALLING.sandbox.handle(request)

    session = inprocess.session(handle, "", REGION)
    session._session._credentials = _Keys("", "secret")  # type: ignore[attr-defined]
    return session


@cache
def _client(service: str, region: str) -> Any:
    """A client for all accounts: creating one takes longer than most calls."""
    config = CLIENT_CONFIG.merge(Config(user_agent="tests"))
    return _session().client(service, region, config=config)


class _Client:
    """The shared client, calling this sandbox with this key."""

    def __init__(self, sandbox: Sandbox, key: str, client: Any, first: Callable[[], None]) -> None:
        self._sandbox, self._key, self._client, self._first = sandbox, key, client, first
        self.meta = client.meta

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            self._first()
            _CALLING.sandbox, _CALLING.key = self._sandbox, self._key
            return method(**parameters)

        return call


class _Own:
    region_name = REGION

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def client(self, service: str, region_name: str | None = None, **_more: Any) -> Any:
        shared = _client(service, region_name or REGION)
        return _Client(self._sandbox, f"AKIA{ACCOUNT}", shared, lambda: None)


class _Assumed:
    region_name = REGION

    def __init__(self, sandbox: Sandbox, arn: str, external_id: str | None) -> None:
        self._sandbox, self._arn, self._external_id = sandbox, arn, external_id
        self._account = arn.split(":")[4]
        self._has_keys = False

    def client(self, service: str, region_name: str | None = None, **_more: Any) -> Any:
        shared = _client(service, region_name or REGION)
        return _Client(self._sandbox, f"ASIA{self._account}", shared, self._assume)

    def _assume(self) -> None:
        if self._has_keys:
            return
        sts = _Own(self._sandbox).client("sts")
        parameters = {"RoleArn": self._arn, "RoleSessionName": "cloudwatch-janitor"}
        if self._external_id is not None:
            parameters["ExternalId"] = self._external_id
        try:
            key = sts.assume_role(**parameters)["Credentials"]["AccessKeyId"]
        except ClientError as error:
            raise CredentialsError(f"{self._arn} cannot be assumed: {error}") from error
        keys = self._sandbox.world.keys
        keys[f"ASIA{self._account}"] = keys[key]  # the key that the cached clients always have
        self._has_keys = True
