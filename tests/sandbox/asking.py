"""Small accounts in the sandbox, and short ways of asking them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import jmespath  # type: ignore[import-untyped]
from botocore.exceptions import ClientError

from janitor.core.clock import DAY_MS
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Group, Lags, Store, arn_of

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION, ELSEWHERE = "eu-west-1", "us-east-1"
NOW = ManualClock().now()
INVALID, MISSING = "InvalidParameterException", "ResourceNotFoundException"
VALIDATION, UNKNOWN = "ValidationException", "UnknownOperationException"
ANSWERED = ("answered", "", 200)
_TOKENS = (
    *(("nextToken",) * 2, ("NextToken",) * 2, ("PaginationToken",) * 2),
    *(("NextMarker", "Marker"), ("NextContinuationToken", "ContinuationToken")),
)
"""The names of a page token in an answer and in the next request."""


def empty_store(**lags: float) -> Store:
    store = Store(Lags(**lags))
    store.region(ACCOUNT, REGION)
    return store


def add(store: Store, name: str, age: float = 400, **more: Any) -> Group:
    """A group that is `age` days old."""
    return store.add_group(ACCOUNT, REGION, name, created=NOW - int(age * DAY_MS), **more)


def arn(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return arn_of(account, region, name)


class Still(Sandbox):
    """A sandbox whose time stands still unless it is advanced, with log groups of these names.
    `having` are settings of all of them; the rest are the sandbox's own options.
    """

    def __init__(
        self,
        *names: str,
        store: Store | None = None,
        having: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.time = ManualClock()
        super().__init__(store or empty_store(), **{"clock": self.time} | options)
        self.here = self.store.region(ACCOUNT, REGION)
        self._clients: dict[str, Any] = {}
        for name in names:
            add(self.store, name, **having or {})

    def ask(self, method: str, query: str = "@", /, **parameters: Any) -> Any:
        """`ask` with a client of CloudWatch Logs or, as in `s3.get_object`, another service."""
        return ask(*self._bound(method), query, **parameters)

    def do(self, method: str, /, **parameters: Any) -> Any:
        """The answer to one call. Raises ClientError."""
        client, name = self._bound(method)
        return getattr(client, name)(**parameters)

    def _bound(self, method: str) -> tuple[Any, str]:
        service, _, name = method.rpartition(".")
        service = service or "logs"
        if service not in self._clients:
            self._clients[service] = self.client(service, ACCOUNT, REGION)
        return self._clients[service], name

    def names(self, **narrowed: Any) -> Any:
        """The names that DescribeLogGroups lists."""
        return self.ask("describe_log_groups", "logGroups[].logGroupName", **narrowed)


def ask(client: Any, method: str, query: str = "@", /, **parameters: Any) -> Any:
    """What the JMESPath `query` finds, lists concatenated over all pages; or the error code."""
    try:
        found = [jmespath.search(query, page) for page in paged(client, method, **parameters)]
    except ClientError as error:
        return error.response["Error"]["Code"]
    return [one for page in found for one in page] if isinstance(found[0], list) else found[0]


def outcome(client: Any, method: str, **parameters: Any) -> tuple[str, str, int]:
    """Error code, message and status of a call, or ANSWERED."""
    try:
        getattr(client, method)(**parameters)
    except ClientError as error:
        refusal, status = error.response["Error"], error.response["ResponseMetadata"]
        return str(refusal["Code"]), str(refusal.get("Message", "")), int(status["HTTPStatusCode"])
    return ANSWERED


def paged(client: Any, method: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Every page up to the last token."""
    for _ in range(1000):
        yield (answer := getattr(client, method)(**parameters))
        more = {asked: answer[token] for token, asked in _TOKENS if answer.get(token)}
        if not more:
            return
        parameters |= more
    raise AssertionError("no last page")
