"""The account on trial: faults and other actors as a caller meets them, and the verdict."""

from __future__ import annotations

import contextlib

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from janitor.core.clock import DAY_MS
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.wire import Call
from tests.fakes import Builder, Cloud
from tests.fakes.actors import Random
from tests.fakes.faults import THROTTLED, Fault, Rates
from tests.fakes.scenarios import ACCOUNT, REGION, messy
from tests.fakes.truth import Key

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


# ---- the verdict ---------------------------------------------------------------------------------


class Old(Builder):
    """Groups and streams that are 400 days old."""

    def add(self, name: str, **more: object) -> Key:
        return self.group(ACCOUNT, REGION, name, created=NOW - 400 * DAY_MS, **more)

    def written(self, key: Key, *ages: float, stream: str = "s") -> None:
        events = [(NOW - int(age * DAY_MS), 1, 100) for age in ages]
        self.stream(key, stream, created=NOW - 400 * DAY_MS, events=events)


def test_a_deletion_is_wrong_if_it_loses_what_is_alive() -> None:
    """Events inside the retention in force, which an account-level policy may set; and bytes whose
    events are not known.
    """
    account = Old()
    for name, days in (("/alive", 20), ("/expired", 40)):
        account.written(account.add(name, retention=30), days)
    for name, policy_days in (("/never", None), ("/long", 365), ("/short", 30)):
        more = {"retention": 60, "policy": name[1:], "policy_days": policy_days}
        account.written(account.add(name, **more), 45)
    account.add("/bytes", stored=5)
    with Cloud(account, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        logs.delete_log_stream(logGroupName="/expired", logStreamName="s")
        for name in ("/alive", "/expired", "/never", "/long", "/short", "/bytes"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    wrong = [change.group.name for change in verdict.wrong_deletions]
    assert wrong == ["/alive", "/never", "/long", "/bytes"]
    assert verdict.wrong_sweeps == []
    assert [len(change.alive) for change in verdict.deletions] == [1, 0, 1, 1, 0, 0]


def test_the_last_stream_takes_the_stored_bytes_with_it() -> None:
    """Bytes whose events are not known must lie in a stream, at last in the only one."""
    account = Old()
    key = account.add("/a", stored=7)
    for name in ("s", "t"):
        account.written(key, stream=name)
    with Cloud(account, clock=ManualClock()) as cloud:
        for name in ("s", "t"):
            cloud.client("logs").delete_log_stream(logGroupName="/a", logStreamName=name)
        verdict = cloud.judge()
    assert [sweep.stream for sweep in verdict.sweeps] == ["s", "t"]
    assert [(sweep.stream, sweep.alive_bytes) for sweep in verdict.wrong_sweeps] == [("t", 7)]


def test_the_time_since_the_last_look() -> None:
    """A look is by name or by the streams, at this group and not an earlier one of its name; a page
    of all groups is not a look, nor is an empty page that is not the last. Streams were looked at
    when their reading began.
    """
    clock, account = ManualClock(), Old()
    keys = {name: account.add(name) for name in ("/a", "/again", "/b", "/c", "/empty", "/whole")}
    for name in ("/empty", "/whole"):
        for number in range(120):
            account.written(keys[name], stream=f"s{number:03d}")
    with Cloud(account, clock=clock) as cloud:
        logs, token = cloud.client("logs"), dict[str, str]()
        for _ in range(3):
            answer = logs.describe_log_streams(logGroupName="/whole", **token)
            token = {"nextToken": answer.get("nextToken")}
            clock.advance(10)
        logs.describe_log_groups()
        logs.describe_log_groups(logGroupNamePrefix="/a")
        account.recreate(keys["/again"], clock.now())
        clock.advance(3)
        logs.describe_log_streams(logGroupName="/b")
        clock.advance(2)
        cloud.world.empty_pages = 1
        logs.describe_log_streams(logGroupName="/empty")
        for name in keys:
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [5, None, 2, None, None, 35]
    assert verdict.longest_look == 35
    assert [change.group.name for change in verdict.unlooked] == ["/again", "/c", "/empty"]


def test_an_answer_that_never_arrived_is_not_a_look() -> None:
    """Garbage, a reset and an error after the effect tell the caller nothing of the group."""
    account = Old()
    account.written(account.add("/a"))
    lost: list[Fault] = [
        Fault(body=b"{}", after=True),
        Fault(reset=True, after=True),
        Fault("InternalFailure", 500, after=True),
    ] * 2

    def fault(call: Call) -> Fault | None:
        return lost.pop() if call.operation.startswith("Describe") else None

    with Cloud(account, clock=ManualClock(), faults=fault) as cloud:
        logs = cloud.client("logs")
        for method, asked in (
            (logs.describe_log_groups, {"logGroupNamePrefix": "/a"}),
            (logs.describe_log_streams, {"logGroupName": "/a"}),
        ):
            for _ in range(3):
                with contextlib.suppress(ClientError, ConnectionClosedError):
                    method(**asked)
        logs.delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert verdict.calls == {"DescribeLogGroups": 3, "DescribeLogStreams": 3, "DeleteLogGroup": 1}
    assert [change.look for change in verdict.deletions] == [None]


def test_calls_are_counted_by_the_second_and_against_their_quota() -> None:
    """Calls that the sandbox does not support are listed."""
    clock, account = ManualClock(), Old()
    account.region(ACCOUNT, REGION)
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        clock.advance(100)
        for _ in range(5):
            logs.describe_log_groups()
            clock.advance(0.5)
        with contextlib.suppress(ClientError):
            logs.describe_queries()
        verdict = cloud.judge()
    assert verdict.timeline == {"DescribeLogGroups": [2, 2, 1], "DescribeQueries": [0, 0, 1]}
    assert verdict.bounds == {"DescribeLogGroups": 0.5}
    assert len(verdict.unknown) == 1
