"""The pace of calls: a share of each quota, slower when throttled, and slowly back."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from janitor.aws.api import Counts, UnavailableError
from janitor.aws.pace import RECOVERY, Pace, TokenBucket
from janitor.aws.quotas import learn_quotas
from janitor.core.clock import Stop, StoppedError
from janitor.sandbox.wire import RefusedError, Reply
from tests.accounts import ACCOUNT, REGION, RESET, Cloud, api, ok, refused
from tests.virtual import VirtualClock


def moments(bucket: TokenBucket, clock: VirtualClock, count: int) -> list[float]:
    """Return when each of the next calls may be made, in seconds."""

    async def acquired() -> list[float]:
        times, stop = [], Stop()
        for _ in range(count):
            await bucket.acquire(stop)
            times.append(clock.monotonic())
        return times

    return clock.run(acquired())


def gaps(times: list[float]) -> list[float]:
    """Return the seconds between calls."""
    return [round(later - earlier, 6) for earlier, later in pairwise(times)]


def test_calls_are_spread_evenly_at_the_ceiling() -> None:
    """There is never a burst."""
    clock = VirtualClock(0)
    assert set(gaps(moments(TokenBucket(10, clock), clock, 50))) == {0.1}


def test_a_throttled_call_lowers_the_pace_for_a_while() -> None:
    """After RECOVERY seconds the pace is back at the ceiling, which it never exceeds."""
    clock = VirtualClock(0)
    bucket = TokenBucket(10, clock)
    moments(bucket, clock, 20)
    bucket.throttled()
    after = gaps(moments(bucket, clock, 2 + int(10 * RECOVERY)))
    assert after[0] == pytest.approx(0.1 / 0.8, rel=0.05)
    assert all(earlier >= later - 1e-6 for earlier, later in pairwise(after))
    assert after[-1] == pytest.approx(0.1)
    assert min(after) >= 0.1 - 1e-6


def test_calls_throttled_at_the_same_moment_count_once() -> None:
    """Calls that were under way together lower the pace once."""
    clock = VirtualClock(0)
    bucket = TokenBucket(10, clock)
    moments(bucket, clock, 5)
    for _ in range(4):
        bucket.throttled()
    assert gaps(moments(bucket, clock, 2))[0] == pytest.approx(0.1 / 0.8, rel=0.05)


def shared(
    bucket: TokenBucket, clock: VirtualClock, left: float, seconds: float
) -> tuple[int, int]:
    """Return calls and refusals when others leave so many calls a second, in a bucket of one
    second.
    """

    async def calling() -> tuple[int, int]:
        calls = refusals = 0
        tokens, filled, stop = left, clock.monotonic(), Stop()
        ends = filled + seconds
        while clock.monotonic() < ends:
            await bucket.acquire(stop)
            calls += 1
            tokens = min(left, tokens + (clock.monotonic() - filled) * left)
            filled = clock.monotonic()
            if tokens >= 1:
                tokens -= 1
            else:
                refusals += 1
                bucket.throttled()
        return calls, refusals

    return clock.run(calling())


@pytest.mark.parametrize("left", [0.3, 0.5, 0.9])
def test_a_quota_shared_with_others_is_used_with_few_refusals(left: float) -> None:
    """Most of what they leave is used, and the whole quota once they are gone."""
    clock = VirtualClock(0)
    bucket = TokenBucket(10, clock)
    calls, refusals = shared(bucket, clock, 10 * left, 600)
    assert refusals <= 0.04 * calls
    assert calls - refusals >= 0.95 * 600 * 10 * left
    shared(bucket, clock, 10, 60)
    assert set(gaps(moments(bucket, clock, 10))) == {0.1}


def test_the_pace_has_a_floor() -> None:
    """Calls that are always throttled are still made, and the pace recovers."""
    clock = VirtualClock(0)
    bucket = TokenBucket(10, clock)
    for _ in range(30):
        moments(bucket, clock, 1)
        bucket.throttled()
    assert max(gaps(moments(bucket, clock, 3))) <= 2.0
    assert gaps(moments(bucket, clock, 600))[-1] == pytest.approx(0.1)


def test_each_operation_has_a_pace_of_its_own() -> None:
    """A throttled operation slows down no other."""
    clock = VirtualClock(0)
    pace = Pace(lambda _operation: 10.0, clock)
    pace.throttled("PutRetentionPolicy")

    async def calls() -> None:
        for _ in range(11):
            await pace.acquire("DescribeLogGroups", Stop())

    clock.run(calls())
    assert clock.monotonic() == pytest.approx(1.0)


def test_waiting_ends_when_the_run_is_stopped() -> None:
    """A call that waits for its turn is not made."""
    clock, stop = VirtualClock(0), Stop()
    bucket = TokenBucket(0.001, clock)

    async def stopped() -> None:
        await bucket.acquire(stop)
        asyncio.get_running_loop().call_later(5, stop.set, "interrupted")
        await bucket.acquire(stop)

    with pytest.raises(StoppedError):
        clock.run(stopped())
    assert clock.monotonic() == 5


def test_a_throttled_answer_slows_the_calls_down_and_is_counted() -> None:
    """A call is recognized as throttled by AWS's error code."""
    cloud, counts = Cloud(), Counts()
    cloud.fault = lambda _call: refused("ThrottlingException")
    calls = api(cloud, counts=counts)
    with pytest.raises(UnavailableError):
        cloud.clock.run(calls.once("logs", "DescribeLogGroups"))
    assert counts.throttled == {"DescribeLogGroups": 1}
    start = cloud.clock.monotonic()
    cloud.clock.run(calls.pace.acquire("DescribeLogGroups", Stop()))
    assert cloud.clock.monotonic() - start == pytest.approx(1 / 800, rel=0.05)


def test_the_accounts_own_quotas_set_the_pace_at_the_policys_share() -> None:
    """Operations that Service Quotas does not list keep their default."""
    cloud = Cloud()
    for operation, rate in (("DescribeLogGroups", 50.0), ("DeleteLogGroup", 20.0)):
        cloud.store.quotas[ACCOUNT, REGION, operation] = rate
    calls = api(cloud)
    cloud.clock.run(learn_quotas(calls, 0.5))
    assert calls.pace.ceiling("DescribeLogGroups") == 25.0
    assert calls.pace.ceiling("DeleteLogGroup") == 10.0
    assert calls.pace.ceiling("PutRetentionPolicy") == 1000.0


@pytest.mark.parametrize("answer", [refused("AccessDeniedException"), ok(b"garbage"), RESET])
def test_without_service_quotas_the_defaults_stay(answer: RefusedError | Reply) -> None:
    """Service Quotas is asked only once."""
    cloud = Cloud()
    cloud.fault = lambda _call: answer
    calls = api(cloud)
    cloud.clock.run(learn_quotas(calls, 0.8))
    assert cloud.calls == {"ListServiceQuotas": 1}
    assert calls.pace.ceiling("DescribeLogGroups") == 1000.0


@pytest.mark.parametrize("value", [0.0, -1.0, "10", None])
def test_an_impossible_quota_is_ignored(value: Any) -> None:
    """The default is kept."""
    cloud = Cloud()
    cloud.store.quotas[ACCOUNT, REGION, "DescribeLogGroups"] = value
    calls = api(cloud)
    cloud.clock.run(learn_quotas(calls, 0.8))
    assert calls.pace.ceiling("DescribeLogGroups") == 1000.0


def test_the_summary_names_the_quota_that_set_the_pace() -> None:
    """It names the operations whose calls take longest at their rates, with calls and seconds."""
    counts, calls = Counts(), api(Cloud())
    for operation, count, rate in (("DescribeLogGroups", 200, 10.0), ("DeleteLogGroup", 50, 2.0)):
        for _ in range(count):
            counts.called(operation, calls.target, rate)
    first, second = counts.slowest()
    assert (first["operation"], first["calls"], first["seconds"]) == ("DeleteLogGroup", 50, 25.0)
    assert (second["operation"], second["seconds"]) == ("DescribeLogGroups", 20.0)


def test_a_reserved_call_is_made_without_a_wait() -> None:
    """A reservation is for one call of the task that made it, and the quota still holds."""
    clock = VirtualClock(0)
    pace = Pace(lambda _operation: 10.0, clock)

    async def calls() -> None:
        stop = Stop()
        for _ in range(20):
            await pace.reserve(("DescribeLogStreams", "DeleteLogGroup"), stop)
            reserved = clock.monotonic()
            await asyncio.gather(  # child tasks share the reservation
                pace.acquire("DescribeLogStreams", stop), pace.acquire("DeleteLogGroup", stop)
            )
            assert clock.monotonic() == reserved
        assert reserved >= 19 * 0.1 - 1e-6
        await pace.acquire("DeleteLogGroup", stop)
        assert clock.monotonic() > reserved

    clock.run(calls())
