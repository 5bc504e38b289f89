"""How calls fail: garbage must never read as an empty answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from botocore.exceptions import CredentialRetrievalError, EndpointConnectionError

from janitor.aws.api import Api, CallError, Counts, UnavailableError
from janitor.aws.logs import Changes, Logs
from janitor.aws.pace import Pace
from janitor.aws.tags import read_tags
from janitor.aws.workers import Inline, T, Threads
from janitor.core.clock import IN_FLIGHT, Stop, SystemClock
from janitor.core.errors import CredentialsError
from janitor.core.model import Target
from janitor.sandbox.wire import Call, Reply
from tests.accounts import ACCOUNT, RESET, Cloud, Group, api, days_ago, refused


def test_an_operation_that_keeps_failing_is_not_called_for_a_while() -> None:
    """An endpoint that never answers must not cost eight attempts of half a minute for each of
    thousands of log groups, but is tried again later.
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
    assert cloud.clock.run(Logs(calls).group("/a")), "other operations are called as before"
    cloud.quiet()
    cloud.clock.jump(61)
    assert cloud.clock.run(read_tags(calls, ["arn"])) == {"arn": {}}
    cloud.fault = lambda _call: RESET if cloud.calls["GetResources"] % 2 else None
    assert cloud.clock.run(read_tags(calls, ["arn"])) == {"arn": {}}


LOST: dict[str, tuple[Exception, type[Exception]]] = {
    "no token file": (FileNotFoundError(2, "No such file", "/var/token"), CredentialsError),
    "nobody to ask for a code": (EOFError(), CredentialsError),
    "a role that is denied": (
        CredentialRetrievalError(provider="assume-role", error_msg="denied"),
        CredentialsError,
    ),
    "a broken connection": (ConnectionResetError(104, "reset by peer"), UnavailableError),
}


@pytest.mark.parametrize(("error", "kind"), LOST.values(), ids=LOST.keys())
def test_errors_that_boto3_lets_through_are_classified(
    error: Exception, kind: type[Exception]
) -> None:
    """Credentials may fail to renew in the middle of a run, which is not an internal error."""
    cloud = Cloud([Group("/a", days_ago(9))])

    def broken(_call: Call) -> None:
        raise error

    cloud.fault = broken
    with pytest.raises(kind):
        cloud.clock.run(api(cloud).once("logs", "DescribeLogGroups"))


def test_the_error_of_a_region_that_refuses_the_token_says_what_to_do() -> None:
    """Tokens of the global STS endpoint are not valid in every Region."""
    cloud = Cloud([Group("/a", days_ago(9))])
    cloud.region.refuses_tokens = True
    with pytest.raises(CallError, match="AWS_STS_REGIONAL_ENDPOINTS"):
        cloud.clock.run(Logs(api(cloud)).group("/a"))


@pytest.mark.parametrize("code", ["RequestExpired", "InvalidSignatureException", "ExpiredToken"])
def test_a_call_whose_signature_is_refused_is_signed_once_more(code: str) -> None:
    """The machine may have slept since it signed; a second refusal is due to the credentials."""
    cloud = Cloud([Group("/a", days_ago(9))])
    cloud.fault = lambda _call: refused(code) if cloud.calls.total() == 1 else None
    assert cloud.clock.run(Logs(api(cloud)).group("/a"))
    cloud.fault = lambda _call: refused(code)
    with pytest.raises(CredentialsError, match=code):
        cloud.clock.run(Logs(api(cloud)).group("/a"))


def test_a_deletion_is_not_sent_after_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its look grows old while it waits for a thread or the machine sleeps, which Linux's monotonic
    clock does not count.
    """
    times = {getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 99.0}
    monkeypatch.setattr(time, "clock_gettime", times.__getitem__)
    assert SystemClock().monotonic() == 99

    class Busy(Inline):
        async def run(self, work: Callable[[], T]) -> T:
            cloud.clock.jump(5)
            return await super().run(work)

    cloud = Cloud([Group("/a", days_ago(9))])
    calls = api(cloud)
    calls._workers = Busy()
    with pytest.raises(UnavailableError, match="not sent"):
        cloud.clock.run(Changes(calls).delete_group_once("/a", cloud.clock.monotonic() + 1))
    assert not cloud.deleted


def test_nothing_more_is_sent_without_credentials() -> None:
    """Otherwise each call would ask again, by starting a program for each log group."""
    cloud = Cloud([Group("/a", days_ago(9))])
    calls, asked = api(cloud), 0

    def gone(_call: Call) -> None:
        nonlocal asked
        asked += 1
        raise CredentialRetrievalError(provider="custom-process", error_msg="gone")

    cloud.fault = gone

    async def ask() -> None:
        for _ in range(100):
            with pytest.raises(CredentialsError, match="gone"):
                await Logs(calls).group("/a")

    cloud.clock.run(ask())
    assert asked == 1


@pytest.mark.parametrize("at_once", [1, 20])
def test_an_unreachable_service_is_tried_a_few_times_with_one_message(at_once: int) -> None:
    """AWS_USE_FIPS_ENDPOINT makes boto3 read tags from hosts that do not exist."""
    cloud = Cloud([Group("/a", days_ago(9))])
    calls, tried, messages = api(cloud), 0, set()
    error = EndpointConnectionError(endpoint_url="https://tagging-fips.us-gov-west-1/")

    def unreachable(call: Call) -> None:
        nonlocal tried
        if call.operation == "GetResources":
            tried += 1
            raise error

    cloud.fault = unreachable

    async def ask() -> None:
        for _ in range(200 // at_once):
            with pytest.raises(UnavailableError) as raised:
                await read_tags(calls, ["arn"])
            messages.add(str(raised.value))

    async def all_ask() -> None:
        await asyncio.gather(*(ask() for _ in range(at_once)))

    cloud.clock.run(all_ask())
    assert tried <= at_once + 7
    assert cloud.clock.monotonic() < 30
    assert len(messages) == 1
    assert "tagging-fips" in messages.pop()
    cloud.quiet()
    cloud.clock.jump(61)
    assert cloud.clock.run(read_tags(calls, ["arn"])) == {"arn": {}}


@pytest.mark.parametrize("code", ["LimitExceededException", "PriorRequestNotComplete"])
def test_botocores_throttling_codes_count_as_throttling(code: str) -> None:
    """The call is counted as throttled and retried."""
    cloud = Cloud([Group("/a", days_ago(9))])
    counts = Counts()
    cloud.fault = lambda _call: refused(code) if cloud.calls.total() == 1 else None
    assert cloud.clock.run(Logs(api(cloud, counts=counts)).group("/a"))
    assert counts.throttled.total() == 1


def test_a_slow_call_ends_soon_after_the_run_is_stopped() -> None:
    """The first Ctrl-C ends a call within seconds, whatever the endpoint does."""

    class Slow:
        async def run(self, _work: object) -> Any:
            await asyncio.sleep(1000)

    cloud = Cloud([])
    stop, clock = Stop(), cloud.clock
    pace, target = Pace(lambda _operation: 1e6, clock), Target(ACCOUNT, "eu-west-1")
    calls = Api(target, cloud, pace, clock, Counts(), stop, Slow())

    async def interrupted() -> None:
        call = asyncio.create_task(calls.once("logs", "DescribeLogGroups"))
        await asyncio.sleep(2)
        stop.set("interrupted")
        with pytest.raises(UnavailableError, match="no response within 5 s"):
            await call

    clock.run(interrupted())
    assert clock.monotonic() == 2 + IN_FLIGHT


def test_counts_continue_those_of_an_earlier_link() -> None:
    """Otherwise the quota that set the pace would be that of the last link."""
    first, target = Counts(), Target(ACCOUNT, "eu-west-1")
    for _ in range(9):
        first.called("DescribeLogGroups", target, 8.0)
    first.was_throttled("DescribeLogGroups")
    second = Counts.restored(json.loads(json.dumps(first.state())))
    second.called("DeleteLogGroup", target, 8.0)
    assert second.slowest(1) == first.slowest(1)
    assert second.calls["DescribeLogGroups"] == 9
    assert second.throttled == first.throttled


def test_clients_of_a_shared_session_are_made_one_at_a_time() -> None:
    """A session is not thread-safe, and the Regions of an account share one."""

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
