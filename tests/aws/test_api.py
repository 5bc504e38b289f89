"""How calls fail: what is garbage must never read as an empty answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import CredentialRetrievalError

from janitor.aws.api import Api, CallError, Counts, UnavailableError
from janitor.aws.logs import Logs
from janitor.aws.pace import Pace
from janitor.aws.tags import read_tags
from janitor.aws.workers import Threads
from janitor.core.clock import Stop, SystemClock
from janitor.core.errors import CredentialsError
from janitor.core.model import Target
from janitor.sandbox.wire import Call, Reply
from tests.accounts import ACCOUNT, RESET, Cloud, Group, api, days_ago, ok


@pytest.mark.parametrize("said", [b"{}", b'"none"', b"7", b"null"])
def test_an_object_where_a_list_belongs_is_no_empty_list(said: bytes) -> None:
    """botocore would make "no subscription filters" of the first."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    group = cloud.clock.run(logs.group("/a"))
    assert group is not None
    cloud.fault = lambda _call: ok(b'{"subscriptionFilters":' + said + b"}")
    with pytest.raises(UnavailableError):
        cloud.clock.run(logs.filters(group, "subscription"))


def test_an_operation_that_only_fails_is_left_alone_for_a_while() -> None:
    """An endpoint that never answers must not cost eight attempts of half a minute for each of
    thousands of log groups; and it is tried again later.
    """
    cloud = Cloud([Group("/a", days_ago(9))])

    def hang(call: Call) -> Reply | None:
        if call.operation != "GetResources":
            return None
        cloud.clock.jump(35)
        return RESET

    cloud.fault = hang
    calls = api(cloud)

    async def ask() -> None:
        for _ in range(500):
            with contextlib.suppress(UnavailableError):
                await read_tags(calls, ["arn"])

    cloud.clock.run(ask())
    assert cloud.calls["GetResources"] <= 20
    assert cloud.clock.monotonic() < 1000
    assert cloud.clock.run(Logs(calls).group("/a")), "what answers is asked as before"
    cloud.quiet()
    cloud.clock.jump(61)
    assert cloud.clock.run(read_tags(calls, ["arn"])) == {"arn": {}}
    cloud.fault = lambda _call: RESET if cloud.calls["GetResources"] % 2 else None
    assert cloud.clock.run(read_tags(calls, ["arn"])) == {"arn": {}}


LOST: dict[str, tuple[Exception, type[Exception]]] = {
    "no token file": (FileNotFoundError(2, "No such file", "/var/token"), CredentialsError),
    "nobody to ask for a code": (EOFError(), CredentialsError),
    "a role that is not given": (
        CredentialRetrievalError(provider="assume-role", error_msg="denied"),
        CredentialsError,
    ),
    "a broken connection": (ConnectionResetError(104, "reset by peer"), UnavailableError),
}


@pytest.mark.parametrize(("error", "told"), LOST.values(), ids=LOST.keys())
def test_what_boto3_lets_through_is_told_apart(error: Exception, told: type[Exception]) -> None:
    """Credentials are had anew in the middle of a run: their trouble is never a bug of ours."""
    cloud = Cloud([Group("/a", days_ago(9))])

    def broken(_call: Call) -> None:
        raise error

    cloud.fault = broken
    with pytest.raises(told):
        cloud.clock.run(api(cloud).once("logs", "DescribeLogGroups"))


def test_a_region_that_refuses_the_token_does_not_end_the_run() -> None:
    """As one does that the global STS endpoint's tokens are not valid in; the others go on."""
    cloud = Cloud([Group("/a", days_ago(9))])
    cloud.region.refuses_tokens = True
    with pytest.raises(CallError, match="UnrecognizedClientException"):
        cloud.clock.run(Logs(api(cloud)).group("/a"))


def test_counts_go_on_from_those_of_an_earlier_link() -> None:
    """Else the quota that set the pace would be the last link's."""
    first, target = Counts(), Target(ACCOUNT, "eu-west-1")
    for _ in range(9):
        first.called("DescribeLogGroups", target, 8.0)
    first.was_throttled("DescribeLogGroups")
    going_on = Counts.restored(json.loads(json.dumps(first.state())))
    going_on.called("DeleteLogGroup", target, 8.0)
    assert going_on.slowest(1) == first.slowest(1)
    assert going_on.calls["DescribeLogGroups"] == 9
    assert going_on.throttled == first.throttled


def test_clients_of_targets_that_share_a_session_are_made_one_at_a_time() -> None:
    """A session is not thread-safe; the Regions of an account have one together."""

    class Session:
        made = making = 0
        overlapped = False

        def client(self, *_named: str, config: object) -> Any:
            self.making += 1
            for _ in range(2000):
                self.overlapped |= self.making != 1
            self.making -= 1
            self.made += 1
            return Mock(**{"method.return_value": {}})

    async def calls() -> None:
        clock, counts, stop, workers = SystemClock(), Counts(), Stop(), Threads()
        pace = Pace(lambda _operation: 1e6, clock)
        apis = [
            Api(Target(ACCOUNT, f"r-{n}"), session, pace, clock, counts, stop, workers)
            for n in range(4)
        ]
        services = [f"s{number}" for number in range(20)] * 2
        await asyncio.gather(*(api.once(name, "Method") for api in apis for name in services))

    session = Session()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asyncio.run(calls())
    finally:
        sys.setswitchinterval(before)
    assert not session.overlapped
    assert session.made == 4 * 20
