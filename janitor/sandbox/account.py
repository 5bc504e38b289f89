"""The fake account as a whole: requests in, answers out, in the process or on the loopback.

sandbox = Sandbox(store)
sandbox.session().client("logs").describe_log_groups()
with sandbox.serving() as url: ...
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import boto3
from botocore.config import Config

from janitor.core.clock import Clock
from janitor.sandbox import inprocess
from janitor.sandbox.answers import answer_to
from janitor.sandbox.clocks import RealClock
from janitor.sandbox.quotas import Buckets
from janitor.sandbox.server import Server
from janitor.sandbox.store import Store
from janitor.sandbox.validation import check, misfit
from janitor.sandbox.wire import (
    Answer,
    Call,
    RefusedError,
    Reply,
    Request,
    answered,
    parse,
    refused,
)
from janitor.sandbox.world import Key, World, unheeded

_UNHEEDED = {
    "DescribeLogGroups": {"includeLinkedAccounts", "accountIdentifiers"},
    "DescribeMetricFilters": {"metricName", "metricNamespace"},
    "FilterLogEvents": {"filterPattern", "startFromHead"},
    "ListSyslogConfigurations": {"vpcEndpointId"},
    "GetResources": {"TagFilters", "TagsPerPage", "ExcludeCompliantResources"},
    "ListFunctions": {"MasterRegion"},
    "DescribeRegions": {"Filters", "RegionNames"},
    "DescribeAccountPolicies": {"accountIdentifiers"},
}
"""Parameters that change what AWS answers, and are not supported here."""
_EVERYWHERE = ("sts", "ec2", "iam", "organizations", "route53", "cloudfront")
"""Services that answer in any Region; of EC2, only the Regions are asked for here."""
_ALWAYS = "us-east-1"
"""A Region that no account can disable (Account Management Reference Guide)."""
THROTTLING = {
    "logs": ("ThrottlingException", 400),
    "monitoring": ("Throttling", 400),
    "tagging": ("ThrottledException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "servicequotas": ("TooManyRequestsException", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "sts": ("Throttling", 400),
    "organizations": ("TooManyRequestsException", 400),
}
"""Code and status with which each service throttles: its botocore model's or, if that has none, its
list of common errors'."""
_BAD_KEYS = {
    "ec2": ("AuthFailure", "RequestExpired", 400),
    "query": ("InvalidClientTokenId", "ExpiredToken", 403),
    "s3": ("InvalidAccessKeyId", "ExpiredToken", 400),
}
"""By protocol or service, the codes for an unknown key and for an expired one, and the latter's
status. EC2's are in its list of client errors, the JSON services' among the common errors; STS's
are what its callers report."""
_JSON_BAD_KEYS = ("UnrecognizedClientException", "ExpiredTokenException", 400)


class Interceptor(Protocol):
    """Stands between callers and the account: tests observe every call, and disturb some.

    It is called under the sandbox's lock for every call that can be parsed, with the account filled
    in. `answer` carries the call out and need not be called; `call.result` is then the result.
    """

    def __call__(self, call: Call, answer: Callable[[], Answer], /) -> Reply:
        """The reply to the call. Raises RefusedError."""


def _plain(_call: Call, answer: Callable[[], Answer]) -> Reply:
    return Reply(answer())


class Sandbox:
    """Accounts and Regions that answer as AWS does.

    `quotas` throttles at AWS's quotas; `options` are those of `World`. `store` and `world` may be
    touched under `lock`.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        quotas: bool = False,
        seed: int = 0,
        intercept: Interceptor = _plain,
        **options: Any,
    ) -> None:
        self.store = store
        self.clock = clock or RealClock()
        self.lock = threading.RLock()
        keys = {f"AKIA{account}": Key(account) for account in store.accounts}
        self.world = World(store, self.clock, random.Random(seed), keys, **options)
        self._buckets = Buckets(store, self.clock) if quotas else None
        self._intercept = intercept

    # ---- ways in -----------------------------------------------------------------------------

    def session(self, account: str | None = None, region: str | None = None) -> boto3.Session:
        """A session of an account (by default the first) whose clients call this sandbox. Nothing
        of the caller's environment or configuration reaches it, and no request leaves the process.
        """
        account, region = self.place(account, region)
        return inprocess.session(self.handle, f"AKIA{account}", region)

    def assumed(self, role: str, external_id: str | None = None) -> boto3.Session:
        """A session of the role, assumed by the first account. Raises botocore's ClientError."""
        given = {} if external_id is None else {"ExternalId": external_id}
        sts = self.session().client("sts")
        keys = sts.assume_role(RoleArn=role, RoleSessionName="cloudwatch-janitor", **given)
        _, region = self.place(role.split(":")[4], None)
        return inprocess.session(self.handle, keys["Credentials"]["AccessKeyId"], region)

    def client(self, service: str, account: str | None = None, region: str | None = None) -> Any:
        """A client that tries each call once."""
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        return self.session(account, region).client(service, config=config)

    @contextlib.contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve on 127.0.0.1 until the end of the block; yields the URL.

        Raises OSError if the port is not available, and at the end any failure of the sandbox.
        """
        server = Server(self.handle, port)
        url = server.start()
        try:
            yield url
        finally:
            server.stop()
        if server.broken:
            raise server.broken[0]

    def environment(
        self, url: str, account: str | None = None, region: str | None = None
    ) -> dict[str, str]:
        """The environment variables that send another process to `url`."""
        account, region = self.place(account, region)
        return {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": f"AKIA{account}",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def place(self, account: str | None, region: str | None) -> tuple[str, str]:
        """The account and Region given, or the first there are."""
        first = next(iter(self.store.regions), ("123456789012", "eu-west-1"))
        account = account or first[0]
        own = [name for owner, name in self.store.regions if owner == account]
        return account, region or (own or [first[1]])[0]

    # ---- requests ----------------------------------------------------------------------------

    def handle(self, request: Request) -> Reply:
        """The reply to a request, however it came."""
        call = None
        with self.lock:
            try:
                call = parse(request)
                self._authenticate(call)
                return self._intercept(call, lambda: self._answer(call))
            except RefusedError as error:
                return Reply(refused(call, error))

    def _authenticate(self, call: Call) -> None:
        """Fill in the account. Raises RefusedError."""
        codes = _BAD_KEYS.get(call.service, _BAD_KEYS.get(call.protocol, _JSON_BAD_KEYS))
        unknown, expired, status = codes
        key = self.world.keys.get(call.key)
        if key is None:
            raise RefusedError(unknown, "The security token included is invalid.", 403)
        if key.expires is not None and key.expires <= self.clock.now():
            message = "The security token included in the request is expired"
            raise RefusedError(expired, message, status)
        call.account = key.account

    def _answer(self, call: Call) -> Answer:
        """Carry the call out. Raises RefusedError, and failures of the sandbox itself."""
        try:
            return self._carried_out(call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if (message := misfit(call)) is None:
                raise
            raise RefusedError("ValidationException", message) from error

    def _carried_out(self, call: Call) -> Answer:
        answer = answer_to(call)
        if call.service not in _EVERYWHERE:
            self._enter_region(call)
        if not self._within_quotas(call):
            code, status = THROTTLING[call.service]
            raise RefusedError(code, "Rate exceeded", status)
        check(call)
        for name in _UNHEEDED.get(call.operation, ()):
            if call.parameters.get(name):
                raise unheeded(name)
        call.result = answer(self.world, call)
        return answered(call, call.result)

    def _enter_region(self, call: Call) -> None:
        """Raises RefusedError if the Region does not admit the caller, or lacks the feature."""
        region = self.store.regions.get((call.account, call.region))
        if region is None and call.region == _ALWAYS:
            return
        if region is None or region.refuses_tokens or not region.enabled:
            message = "The security token included in the request is invalid."
            raise RefusedError("UnrecognizedClientException", message, 403)
        if call.operation in region.lacks:
            message = f"{call.operation} is not supported in {call.region}"
            raise RefusedError(self.world.unknowns.missing_code, message)
        region.policed(self.clock.now())

    def _within_quotas(self, call: Call) -> bool:
        if self._buckets is None or call.service not in THROTTLING:
            return True
        return self._buckets.take(call.account, call.region, call.operation) and (
            call.operation != "GetMetricData" or self._buckets.take_points(call)
        )
