"""What the judge thinks of calls, by the record of what is true."""

from __future__ import annotations

import contextlib

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from janitor.sandbox.clocks import DAY_MS, ManualClock
from tests.fakes import Builder, Cloud
from tests.fakes.faults import Fault, Garbage, Refuse, Reset, first_of, once
from tests.fakes.scenarios import ACCOUNT, REGION
from tests.fakes.truth import Key

NOW = ManualClock().now()


class Old(Builder):
    """Groups and streams that are 400 days old."""

    def add(self, name: str, **more: object) -> Key:
        return self.group(ACCOUNT, REGION, name, created=NOW - 400 * DAY_MS, **more)

    def written(self, key: Key, *ages: float, stream: str = "s") -> None:
        events = [(NOW - int(age * DAY_MS), 1, 100) for age in ages]
        self.stream(key, stream, created=NOW - 400 * DAY_MS, events=events)


def test_a_deletion_takes_away_what_is_alive() -> None:
    """Events inside the retention in force are alive; expired ones are not."""
    account = Old()
    for name, days in (("/alive", 20), ("/expired", 40)):
        account.written(account.add(name, retention=30), days)
    account.add("/bytes", stored=5)
    with Cloud(account, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        logs.delete_log_stream(logGroupName="/expired", logStreamName="s")
        for name in ("/alive", "/expired", "/bytes"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.group.name for change in verdict.wrong_deletions] == ["/alive", "/bytes"]
    assert verdict.wrong_sweeps == []
    assert [len(change.alive) for change in verdict.deletions] == [1, 0, 0]


def test_the_retention_in_force_is_an_account_level_policys_where_there_is_one() -> None:
    """A longer one keeps alive what the group's own would let expire, and puts are wasted there."""
    account = Old()
    for name, days in (("/never", None), ("/long", 365), ("/short", 30)):
        account.written(account.add(name, retention=60, policy=name[1:], policy_days=days), 45)
    with Cloud(account, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        for name in ("/never", "/long", "/short"):
            logs.put_retention_policy(logGroupName=name, retentionInDays=1)
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.group.name for change in verdict.wrong_deletions] == ["/never", "/long"]
    assert [(put.group.policy, put.wrong) for put in verdict.wasted_puts] == [
        ("never", False),
        ("long", False),
        ("short", False),
    ]
    assert [(put.group.retention, put.after) for put in verdict.overwritten] == [(60, 1)] * 3


def test_a_policy_is_in_force_a_day_after_it_was_put() -> None:
    """Until then the group's own retention holds; what the policy lets expire stays lost."""
    clock, account = ManualClock(), Old()
    key = account.add("/a")
    account.written(key, 45)
    document = '{"retentionInDays": 30, "enforcementMode": "RETROACTIVE"}'
    policy = {"policyName": "month", "policyType": "RETENTION_POLICY"}
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        logs.put_account_policy(**policy, policyDocument=document)
        for hours, alive in ((23, 1), (2, 0), (0, 0)):
            clock.advance(hours * 3600)
            if not hours:
                logs.delete_account_policy(**policy)
            assert len(logs.filter_log_events(logGroupName="/a")["events"]) == alive
            assert len(account.truth.there(key).alive(clock.now())) == alive


def test_the_last_stream_takes_the_stored_bytes_with_it() -> None:
    """Bytes whose single events are not known are in a stream, at last in the only one."""
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
    """By name or by its streams counts as a look at a group; a page of all groups does not."""
    clock, account = ManualClock(), Old()
    for name in ("/a", "/b", "/c"):
        account.add(name)
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        logs.describe_log_groups()
        logs.describe_log_groups(logGroupNamePrefix="/a")
        clock.advance(3)
        logs.describe_log_streams(logGroupName="/b")
        clock.advance(2)
        for name in ("/a", "/b", "/c"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [5, 2, None]
    assert verdict.longest_look == 5
    assert [change.group.name for change in verdict.unlooked] == ["/c"]


def test_a_look_at_a_group_is_none_at_the_next_of_its_name() -> None:
    """What was made again since was never looked at."""
    clock, account = ManualClock(), Old()
    key = account.add("/a")
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        logs.describe_log_groups(logGroupNamePrefix="/a")
        account.recreate(key, clock.now())
        logs.delete_log_group(logGroupName="/a")
        assert len(cloud.judge().unlooked) == 1


def test_an_answer_that_never_arrived_is_no_look() -> None:
    """Garbage, a reset and an error after the effect tell the caller nothing of the group."""
    account = Old()
    account.written(account.add("/a"))
    lost: tuple[Fault, ...] = (
        Garbage(b"{}"),
        Reset(after=True),
        Refuse("InternalFailure", 500, after=True),
    )
    script = first_of(
        *(once("DescribeLogStreams", fault, nth) for nth, fault in enumerate(lost, 1)),
        *(once("DescribeLogGroups", fault, nth) for nth, fault in enumerate(lost, 1)),
    )
    with Cloud(account, clock=ManualClock(), faults=script) as cloud:
        logs = cloud.client("logs")
        for _ in lost:
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_groups(logGroupNamePrefix="/a")
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_streams(logGroupName="/a")
        logs.delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert verdict.calls == {"DescribeLogGroups": 3, "DescribeLogStreams": 3, "DeleteLogGroup": 1}
    assert [change.look for change in verdict.deletions] == [None]


def test_streams_were_looked_at_when_their_reading_began() -> None:
    """The first page of many is as old as the reading when the last one comes; a page that was
    empty and not the last is no look by itself.
    """
    clock, account = ManualClock(), Old()
    for name in ("/whole", "/empty"):
        key = account.add(name)
        for number in range(120):
            account.written(key, stream=f"s{number:03d}")
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        token: dict[str, str] = {}
        for _ in range(3):
            answer = logs.describe_log_streams(logGroupName="/whole", **token)
            token = {"nextToken": answer.get("nextToken")}
            clock.advance(10)
        cloud.world.empty_pages = 1
        logs.describe_log_streams(logGroupName="/empty")
        for name in ("/whole", "/empty"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [30, None]


def test_how_long_it_took_beside_how_long_it_had_to() -> None:
    """From the first call to the last one, and what the quota of the slowest asks for."""
    clock, account = ManualClock(), Old()
    account.add("/a")
    with Cloud(account, clock=clock) as cloud:
        logs = cloud.client("logs")
        assert (cloud.judge().seconds, cloud.judge().bound) == (0, 0)
        clock.advance(100)
        for _ in range(20):
            logs.describe_log_groups()
            clock.advance(0.5)
        verdict = cloud.judge()
    assert (verdict.seconds, verdict.bound) == (9.5, 2)


def test_what_is_not_answered_here_is_told_of() -> None:
    """To leave a filter out would answer with more than was asked for, so that is refused too."""
    account = Old()
    account.written(account.add("/a"), 1)
    with Cloud(account) as cloud:
        for service, method, parameters in (
            ("logs", "filter_log_events", {"logGroupName": "/a", "filterPattern": "ERROR"}),
            ("logs", "describe_queries", {}),
        ):
            with pytest.raises(ClientError, match="UnknownOperationException"):
                getattr(cloud.client(service), method)(**parameters)
        assert len(cloud.judge().unknown) == 2


def test_a_protected_group_is_not_to_be_tried() -> None:
    """A deletion that AWS refuses is held against the caller all the same."""
    account = Old()
    account.add("/a", protected=True)
    with Cloud(account) as cloud:
        with pytest.raises(ClientError, match="ValidationException"):
            cloud.client("logs").delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert [change.group.name for change in verdict.protected] == ["/a"]
    assert verdict.deletions == []


def test_retention_that_was_taken_away_is_overwritten() -> None:
    """As a put of other days; where there was none, nothing was."""
    account = Old()
    account.add("/had", retention=30)
    account.add("/never")
    with Cloud(account) as cloud:
        for name in ("/had", "/never"):
            cloud.client("logs").delete_retention_policy(logGroupName=name)
        verdict = cloud.judge()
    lost = [(change.group.name, change.group.retention) for change in verdict.overwritten]
    assert lost == [("/had", 30)]
    assert verdict.puts == []


def test_retention_once_shortened_brings_nothing_back() -> None:
    """A put that deletes events says which; lengthening it again does not make them alive."""
    account = Old()
    key = account.add("/a")
    account.written(key, 400, 100, 1)
    with Cloud(account, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        for days in (365, 30, 3653):
            logs.put_retention_policy(logGroupName="/a", retentionInDays=days)
        assert len(logs.filter_log_events(logGroupName="/a")["events"]) == 1
        verdict = cloud.judge()
    assert [len(put.alive) for put in verdict.puts] == [1, 1, 0]
    changed = [(put.group.retention, put.after) for put in verdict.overwritten]
    assert changed == [(365, 30), (30, 3653)]
    assert len(account.truth.there(key).alive(NOW)) == 1
