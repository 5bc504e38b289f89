"""The function of a fleet on fake accounts, and what its state machine does with it."""

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
"""Every second account is in it."""


def account(number: int) -> str:
    """The account with this number; that of the function is number 0."""
    return str(int(ACCOUNT) + number)


def role(of: str) -> str:
    """The ARN of an account's role."""
    return f"arn:aws:iam::{of}:role/{ROLE}"


def fleet(accounts: int, regions: Iterable[str] = (REGION,)) -> Store:
    """So many accounts in an organization, without log groups."""
    store = Store()
    every = [account(number) for number in range(accounts)]
    members = {
        one: Membership(f"team-{number}", UNIT if number % 2 else "r-root")
        for number, one in enumerate(every)
    }
    store.organization = Organization(ACCOUNT, {UNIT: Unit("Workloads")}, members)
    for one in every:
        for region in regions:
            store.region(one, region)
    return store


@dataclass
class DeployedFleet:
    """The function of a fleet with its bucket. `fault` may answer a call, `after` when it has had
    its effect; `before_call` sees each.
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
        """By account and operation."""
        self.metrics: dict[str, float] = {}
        self.requests = 0
        self.quiet()

    def quiet(self) -> None:
        """Nothing disturbs a call from now on."""
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
        """What is in the bucket."""
        found = self.store.buckets[BUCKET].objects
        return {key: there.body.decode() for key, there in found.items()}

    def overwrite(self, key: str, text: str) -> None:
        """Have another object in its place."""
        s3 = self.session().client("s3")
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def session(self) -> boto3.Session:
        """The function's own."""
        return cast(boto3.Session, _Own(self.sandbox))

    def assume(self, _own: boto3.Session, arn: str, external_id: str | None) -> boto3.Session:
        """A session of a role that is assumed with the first call, as `targets.assumed` makes."""
        return cast(boto3.Session, _Assumed(self.sandbox, arn, external_id))

    def function(self) -> Fleet:
        """A cold one."""
        self._metrics = EphemeralMetrics(namespace="test", service="test")
        settings = read_settings(
            {
                "JANITOR_BUCKET": BUCKET,
                "JANITOR_FLEET_ROLE": ROLE,
                "JANITOR_FLEET_EXTERNAL_ID": EXTERNAL_ID,
                **self.environment,
            }
        )
        own = self.session()
        return Fleet(settings, own, self.clock, self._metrics, Inline(), self.assume)

    async def answer(self, event: Any, seconds: float = 900.0) -> Any:
        """One invocation."""
        self.requests += 1
        request = f"request-{self.requests}"
        context = Context(request, int(seconds * 1000), self.clock, ARN, "/janitor/fleet", NAME)
        try:
            return await self.function().answer(event, context)
        finally:
            for name, said in self._metrics.metric_set.items():
                self.metrics[name] = said["Value"][-1]

    def invoke(self, event: Any, seconds: float = 900.0) -> Any:
        """The answer of one invocation."""
        return self.clock.run(self.answer(event, seconds))

    def targets(self, run: str = "run", *, dry_run: bool = False) -> list[dict[str, str]]:
        """The items that the state machine reads from the bucket."""
        answer = self.invoke({"run": run, "pass": "targets", "dry_run": dry_run})
        items: list[dict[str, str]] = json.loads(self.objects[answer["key"]])
        return items

    def each(self, what: str, items: Iterable[Mapping[str, str]], run: str = "run") -> list[Any]:
        """The last answers of a pass over items, each called until it is complete."""
        return [self.item({"run": run, "pass": what, **item}) for item in items]

    def item(self, event: Any, most: int = 200) -> Any:
        """The last answer about a target. An invocation that fails is tried again, later."""
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
        """What the report says of a whole run, which is as its schema says."""
        items = self.targets(run, dry_run=dry_run)
        self.each("survey", items, run)
        limits = self.invoke({"run": run, "pass": "limits"})
        if limits["act"]:
            self.each("act", items, run)
        answer = self.invoke({"run": run, "pass": "report"})
        report = self.objects[answer["key"]]
        FleetReport.model_validate_json(report, strict=True)
        said: dict[str, Any] = json.loads(report)
        return said


# ---- sessions ------------------------------------------------------------------------------------


class _Calling(threading.local):
    sandbox: Sandbox
    key: str


_CALLING = _Calling()


class _Keys(Credentials):
    """Those of the call that is under way."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials(_CALLING.key, "secret", None)


@cache
def _session() -> boto3.Session:
    def handle(request: Request) -> Reply:
        return _CALLING.sandbox.handle(request)

    made = inprocess.session(handle, "", REGION)
    made._session._credentials = _Keys("", "secret")  # type: ignore[attr-defined]
    return made


@cache
def _client(service: str, region: str) -> Any:
    """To make one takes longer than most calls, so all accounts have the same."""
    config = CLIENT_CONFIG.merge(Config(user_agent="tests"))
    return _session().client(service, region, config=config)


class _Client:
    """The process's client, calling this sandbox with that key."""

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
        made = _client(service, region_name or REGION)
        return _Client(self._sandbox, f"AKIA{ACCOUNT}", made, lambda: None)


class _Assumed:
    region_name = REGION

    def __init__(self, sandbox: Sandbox, arn: str, external_id: str | None) -> None:
        self._sandbox, self._arn, self._external_id = sandbox, arn, external_id
        self._account = arn.split(":")[4]
        self._has_keys = False

    def client(self, service: str, region_name: str | None = None, **_more: Any) -> Any:
        made = _client(service, region_name or REGION)
        return _Client(self._sandbox, f"ASIA{self._account}", made, self._assume)

    def _assume(self) -> None:
        if self._has_keys:
            return
        sts = _Own(self._sandbox).client("sts")
        asked = {"RoleArn": self._arn, "RoleSessionName": "cloudwatch-janitor"}
        if self._external_id is not None:
            asked["ExternalId"] = self._external_id
        try:
            made = sts.assume_role(**asked)["Credentials"]["AccessKeyId"]
        except ClientError as error:
            raise CredentialsError(f"{self._arn} cannot be assumed: {error}") from error
        keys = self._sandbox.world.keys
        keys[f"ASIA{self._account}"] = keys[made]  # clients are kept, and have always the same
        self._has_keys = True
