"""Small accounts in the sandbox, and what is asked of them again and again."""

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
_TOKENS = (
    *(("nextToken",) * 2, ("NextToken",) * 2, ("PaginationToken",) * 2),
    *(("NextMarker", "Marker"), ("NextContinuationToken", "ContinuationToken")),
)
"""What answers call a page token, and requests."""


def empty_store(**lags: float) -> Store:
    store = Store(Lags(**lags))
    store.region(ACCOUNT, REGION)
    return store


def add(store: Store, name: str, age: float = 400, **more: Any) -> Group:
    """A group so many days old."""
    return store.add_group(ACCOUNT, REGION, name, created=NOW - int(age * DAY_MS), **more)


class Still(Sandbox):
    """A sandbox without quotas whose time stands still unless it is moved. `having` is what each of
    the log groups has; the rest are the sandbox's own options.
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
        """What `ask` answers; the method is of CloudWatch Logs or, as in `s3.get_object`, of
        another service.
        """
        return ask(*self._meant(method), query, **parameters)

    def do(self, method: str, /, **parameters: Any) -> Any:
        """What a call is answered. Raises ClientError."""
        client, name = self._meant(method)
        return getattr(client, name)(**parameters)

    def _meant(self, method: str) -> tuple[Any, str]:
        *services, name = method.split(".")
        [service] = services or ["logs"]
        if service not in self._clients:
            self._clients[service] = self.client(service, ACCOUNT, REGION)
        return self._clients[service], name

    def names(self, **narrowed: Any) -> Any:
        """The names that DescribeLogGroups lists."""
        return self.ask("describe_log_groups", "logGroups[].logGroupName", **narrowed)


def arn(name: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return arn_of(account, region, name)


def ask(client: Any, method: str, query: str = "@", /, **parameters: Any) -> Any:
    """What the JMESPath `query` finds: of lists, in all pages one after the other. Or the code with
    which the call is refused.
    """
    try:
        found = [jmespath.search(query, page) for page in paged(client, method, **parameters)]
    except ClientError as error:
        return error.response["Error"]["Code"]
    return [one for page in found for one in page] if isinstance(found[0], list) else found[0]


def outcome(client: Any, method: str, **parameters: Any) -> tuple[str, str, int]:
    """Code, message and status of what became of a call."""
    try:
        getattr(client, method)(**parameters)
    except ClientError as error:
        said, status = error.response["Error"], error.response["ResponseMetadata"]
        return str(said["Code"]), str(said.get("Message", "")), int(status["HTTPStatusCode"])
    return ANSWERED


ANSWERED = ("answered", "", 200)


def paged(client: Any, method: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Every page to the last token."""
    for _ in range(1000):
        yield (answer := getattr(client, method)(**parameters))
        more = {asked: answer[told] for told, asked in _TOKENS if answer.get(told)}
        if not more:
            return
        parameters |= more
    raise AssertionError("no last page")
