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
from janitor.sandbox.quotas import Buckets, points_asked
from janitor.sandbox.server import Server
from janitor.sandbox.store import Store
from janitor.sandbox.unknowns import Unknowns
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
from janitor.sandbox.world import Key, World

_UNHEEDED = {
    "DescribeLogGroups": frozenset({"includeLinkedAccounts", "accountIdentifiers"}),
    "DescribeMetricFilters": frozenset({"metricName", "metricNamespace"}),
    "FilterLogEvents": frozenset({"filterPattern", "startFromHead"}),
    "GetResources": frozenset({"TagFilters", "TagsPerPage", "ExcludeCompliantResources"}),
    "ListFunctions": frozenset({"MasterRegion"}),
    "DescribeRegions": frozenset({"Filters", "RegionNames"}),
    "DescribeAccountPolicies": frozenset({"accountIdentifiers"}),
}
"""Parameters that change what AWS answers with, and have no meaning here."""
_EVERYWHERE = ("sts", "ec2", "iam", "organizations", "route53", "cloudfront")
"""Services that answer whichever Region is asked for; of EC2's, the Regions are asked for here."""
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
"""Code and status with which each service throttles: its botocore model's or, where that has none,
those of its list of common errors."""


_BAD_KEYS = {
    "ec2": ("AuthFailure", "RequestExpired", 400),
    "query": ("InvalidClientTokenId", "ExpiredToken", 403),
    "s3": ("InvalidAccessKeyId", "ExpiredToken", 400),
}
"""How a key is refused that is not known, and one whose time is over (with which status), by
protocol, or by service: EC2's is in its list of client errors, the JSON services' among the common
errors, STS's is what its callers report."""
_JSON_BAD_KEYS = ("UnrecognizedClientException", "ExpiredTokenException", 400)


class Interceptor(Protocol):
    """Stands between a caller and the account: tests see every call, and disturb some.

    Called under the sandbox's lock, for every call that can be read, with the account filled in.
    `answer` carries the call out and may be left uncalled; afterwards `call.result` holds what is
    answered. It raises RefusedError where AWS says no, which the interceptor passes on.
    """

    def __call__(self, call: Call, answer: Callable[[], Answer], /) -> Reply:
        """The reply to the call. Raises RefusedError."""


def _plain(_call: Call, answer: Callable[[], Answer]) -> Reply:
    return Reply(answer())


class Sandbox:
    """Accounts and Regions that answer as AWS does.

    `quotas` throttles at the quotas of AWS. `empty_pages` is a share (0 to 1) of pages that are
    empty and not the last, `token_age` the seconds that a page token lives, `page` the most log
    groups, streams or filters of a page; `unknowns` are answers to what AWS leaves open. `store`
    and `world` may be touched under `lock`.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock | None = None,
        quotas: bool = False,
        empty_pages: float = 0.0,
        token_age: float = 86_400.0,
        page: int = 50,
        seed: int = 0,
        unknowns: Unknowns | None = None,
        intercept: Interceptor = _plain,
    ) -> None:
        self.store = store
        self.clock = clock or RealClock()
        self.lock = threading.RLock()
        self.world = World(
            store,
            self.clock,
            random.Random(seed),
            empty_pages,
            token_age,
            keys={f"AKIA{account}": Key(account) for account in store.accounts},
            page=page,
            unknowns=unknowns or Unknowns(),
        )
        self._buckets = Buckets(store, self.clock) if quotas else None
        self._intercept = intercept

    # ---- ways in -----------------------------------------------------------------------------

    def session(self, account: str | None = None, region: str | None = None) -> boto3.Session:
        """A session of an account (the first, if not given) whose clients call this sandbox.

        Nothing of the caller's environment or configuration files reaches it, and no request
        leaves the process.
        """
        account, region = self.place(account, region)
        return inprocess.session(self.handle, f"AKIA{account}", region)

    def assumed(self, role: str, external_id: str | None = None) -> boto3.Session:
        """A session of the role, for the first account. Raises botocore's ClientError."""
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
        """The URL under which it answers on 127.0.0.1, until the end of the block.

        Raises OSError where the port cannot be had, and at the end what broke in the sandbox.
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
        """The AWS_… variables that send another process to `url`."""
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
        """An account and a Region: those given, or the first there are."""
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
                self._known(call)
                return self._intercept(call, lambda: self._answer(call))
            except RefusedError as error:
                return Reply(refused(call, error))

    def _known(self, call: Call) -> None:
        """Fill in the account. Raises RefusedError."""
        how = _BAD_KEYS.get(call.service, _BAD_KEYS.get(call.protocol, _JSON_BAD_KEYS))
        unknown, expired, status = how
        key = self.world.keys.get(call.key)
        if key is None:
            raise RefusedError(unknown, "The security token included is invalid.", 403)
        if key.expires is not None and key.expires <= self.clock.now():
            said = "The security token included in the request is expired"
            raise RefusedError(expired, said, status)
        call.account = key.account

    def _answer(self, call: Call) -> Answer:
        """Carry the call out. Raises RefusedError, and what breaks in the sandbox itself."""
        try:
            return self._carried_out(call)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if (said := misfit(call)) is None:
                raise
            raise RefusedError("ValidationException", said) from error

    def _carried_out(self, call: Call) -> Answer:
        answer = answer_to(call)
        if unheeded := _UNHEEDED.get(call.operation, frozenset()) & call.parameters.keys():
            raise RefusedError("UnknownOperationException", f"{unheeded} is not heeded here")
        if call.service not in _EVERYWHERE:
            self._here(call)
        if not self._within_quotas(call):
            code, status = THROTTLING[call.service]
            raise RefusedError(code, "Rate exceeded", status)
        check(call)
        call.result = answer(self.world, call)
        return answered(call, call.result)

    def _here(self, call: Call) -> None:
        """Raises RefusedError where the Region does not take the caller, or has no such feature."""
        region = self.store.regions.get((call.account, call.region))
        if region is None and call.region == _ALWAYS:
            return
        if region is None or region.refuses_tokens or not region.enabled:
            said = "The security token included in the request is invalid."
            raise RefusedError("UnrecognizedClientException", said, 403)
        if call.operation in region.lacks:
            said = f"{call.operation} is not supported in {call.region}"
            raise RefusedError(self.world.unknowns.missing_code, said)
        region.policed(self.clock.now())

    def _within_quotas(self, call: Call) -> bool:
        if self._buckets is None or call.service not in THROTTLING:
            return True
        if not self._buckets.take(call.account, call.region, call.operation):
            return False
        if call.operation != "GetMetricData":
            return True
        points, start = points_asked(call)
        age = (self.clock.now() - start) / 1000
        return self._buckets.take_points(call.account, call.region, points, age)
