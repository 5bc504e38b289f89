"""Small accounts in the sandbox, and what is asked of them again and again."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from janitor.core.clock import DAY_MS
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Group, Lags, Store, arn_of

ACCOUNT, OTHER = "123456789012", "210987654321"
REGION, ELSEWHERE = "eu-west-1", "us-east-1"
NOW = ManualClock().now()


def empty_store(**lags: float) -> Store:
    store = Store(Lags(**lags))
    store.region(ACCOUNT, REGION)
    return store


def still(store: Store | None = None, **options: Any) -> Sandbox:
    """A sandbox without quotas whose time stands still unless it is moved."""
    return Sandbox(empty_store() if store is None else store, **{"clock": ManualClock()} | options)


def add(store: Store, name: str, age: float = 400, **more: Any) -> Group:
    """A group so many days old."""
    return store.add_group(ACCOUNT, REGION, name, created=NOW - int(age * DAY_MS), **more)


def logs_of(*names: str, **more: Any) -> Any:
    """A client of CloudWatch Logs, in which there are these groups."""
    store = empty_store()
    for name in names:
        add(store, name, **more)
    return still(store).client("logs")


def arn(name: str, region: str = REGION) -> str:
    return arn_of(ACCOUNT, region, name)


ANSWERED = ("answered", "", 200)


def outcome(client: Any, method: str, **parameters: Any) -> tuple[str, str, int]:
    """Code, message and status of what became of a call."""
    try:
        getattr(client, method)(**parameters)
    except ClientError as error:
        said, status = error.response["Error"], error.response["ResponseMetadata"]
        return str(said["Code"]), str(said.get("Message", "")), int(status["HTTPStatusCode"])
    return ANSWERED


def refusal(client: Any, method: str, **parameters: Any) -> str:
    """The code with which the call is refused."""
    code, *_ = outcome(client, method, **parameters)
    assert code != "answered"
    return code


def pages(call: Any, key: str, token: str = "nextToken", **parameters: Any) -> list[list[Any]]:
    """Every page to the last token."""
    found: list[list[Any]] = []
    for _ in range(1000):
        answer = call(**parameters)
        found.append(answer[key])
        if not answer.get(token):
            return found
        parameters[token] = answer[token]
    raise AssertionError("no last page")


def flat(lists: list[list[Any]]) -> list[Any]:
    return [item for page in lists for item in page]


def names(logs: Any, **narrowed: Any) -> list[str]:
    """The names that DescribeLogGroups lists."""
    found = flat(pages(logs.describe_log_groups, "logGroups", **narrowed))
    return [str(group["logGroupName"]) for group in found]
