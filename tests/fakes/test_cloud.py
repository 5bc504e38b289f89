"""Faults and other actors, as a caller meets them."""

from __future__ import annotations

import contextlib

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.wire import Call
from tests.fakes import Builder, Cloud
from tests.fakes.actors import Random
from tests.fakes.faults import THROTTLED, Fault, Rates
from tests.fakes.scenarios import ACCOUNT, REGION, messy

NOW = ManualClock().now()


@pytest.mark.parametrize(
    ("fault", "raised", "effect"),
    [
        (Fault(reset=True), ConnectionClosedError, False),
        (Fault(reset=True, after=True), ConnectionClosedError, True),
        (THROTTLED, ClientError, False),
        (Fault("InternalFailure", 500, after=True), ClientError, True),
        (Fault(body=b"{not json", after=True), None, True),
        (Fault(late=30), None, True),
    ],
)
def test_a_fault_comes_before_the_effect_or_after_it(
    fault: Fault, raised: type[Exception] | None, effect: bool
) -> None:
    """Whatever the caller hears, the account and the judge know."""
    account, delays = Builder(), list[float]()
    account.group(ACCOUNT, REGION, "/a", created=NOW)
    with Cloud(account, faults=lambda _call: fault) as cloud:
        cloud.seen = lambda seen: delays.append(seen.delay)  # type: ignore[method-assign]
        with pytest.raises(raised) if raised else contextlib.nullcontext():
            cloud.client("logs").delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert (account.store.group(ACCOUNT, REGION, "/a") is None) == effect
    assert (len(verdict.deletions), delays) == (effect, [fault.late])
    assert verdict.throttled == ({"DeleteLogGroup": 1} if fault is THROTTLED else {})


def test_faults_by_rate_are_the_same_for_a_seed() -> None:
    """About as many as asked for, of each kind; only changes are aborted."""
    shares = ("throttle", "unavailable", "reset_before", "reset_after", "slow", "garbage")

    def drawn(seed: int, operation: str, service: str = "logs") -> list[Fault | None]:
        rates = Rates(seed, slow_seconds=9, **dict.fromkeys(shares, 0.1), aborted=0.2)
        call = Call(service, operation, {}, "", "", "json")
        return [rates(call) for _ in range(1000)]

    first = drawn(1, "DeleteLogGroup")
    assert first == drawn(1, "DeleteLogGroup") != drawn(2, "DeleteLogGroup")
    for fault in (THROTTLED, Fault(reset=True, after=True), Fault(late=9)):
        assert 60 < first.count(fault) < 140
    assert 60 < sum(fault is not None and fault.body is not None for fault in first) < 140
    assert 140 < first.count(Fault("OperationAbortedException")) < 260
    assert Fault("OperationAbortedException") not in drawn(1, "DescribeLogGroups")
    assert set(drawn(1, "AssumeRole", "sts")) == {None}
    throttled = THROTTLED.refusal(Call("lambda", "ListFunctions", {}, "", "", "rest-json"))
    assert (throttled.code, throttled.status) == ("TooManyRequestsException", 429)


def test_random_actors_do_everything_they_can() -> None:
    """Each kind of change happens and is true, but is not the caller's."""
    random = Random(seed=3, chance=1.0)
    with Cloud(messy(300, now=NOW), clock=ManualClock(), meanwhile=[random]) as cloud:
        logs = cloud.client("logs")
        for _ in range(90):
            logs.describe_log_groups()
        assert cloud.judge().changes == []
    assert {kind for kind, _ in random.done} == set(random.kinds)


def test_actors_meet_the_policies_of_their_moment() -> None:
    """A policy that keeps everything came into force while nobody called, so a shorter retention
    put after that expires nothing.
    """
    account, clock = Builder(), ManualClock()
    account.coming((ACCOUNT, REGION), "keep", None, NOW + 30_000)
    key = account.group(ACCOUNT, REGION, "/a", created=NOW)
    account.stream(key, "s", created=NOW, events=[(NOW, 2, 100)])

    def shorter(_call: Call, account: Builder, now: int) -> None:
        account.retain(key, 30, now)

    clock.advance(40 * 86_400)
    with Cloud(account, clock=clock, meanwhile=[shorter]) as cloud:
        found = cloud.client("logs").filter_log_events(logGroupName="/a")
    assert len(found["events"]) == 2
