"""Others at work: before a named call, or at random; the caller is not blamed for it."""

from __future__ import annotations

from janitor.sandbox.clocks import DAY_MS, ManualClock
from tests.fakes import Builder, Cloud
from tests.fakes.actors import Before, Random, write
from tests.fakes.scenarios import ACCOUNT, REGION, messy

NOW = ManualClock().now()


def test_actors_change_things_between_calls() -> None:
    """What they did is there for the next call, and no deletion of the caller's."""
    clock, account = ManualClock(), Builder()
    a, b = (account.group(ACCOUNT, REGION, name, created=NOW - DAY_MS) for name in ("/a", "/b"))
    actors = [
        Before("DescribeLogStreams", lambda account, _now: account.delete(b), group="/a"),
        Before("DescribeLogStreams", lambda account, now: write(account, a, now)),
    ]
    with Cloud(account, clock=clock, meanwhile=actors) as cloud:
        logs = cloud.client("logs")
        assert len(logs.describe_log_groups()["logGroups"]) == 2
        clock.advance(25)
        [stream] = logs.describe_log_streams(logGroupName="/a")["logStreams"]
        assert stream["lastEventTimestamp"] == NOW + 25_000
        assert len(logs.describe_log_groups()["logGroups"]) == 1
        assert cloud.judge().changes == []


def test_made_again_under_the_same_name_is_another_group() -> None:
    """Its creation time is the later one, and its retention is gone."""
    clock, account = ManualClock(), Builder()
    account.group(ACCOUNT, REGION, "/a", created=NOW - DAY_MS, retention=30)
    random = Random(seed=1, chance=1.0, kinds=["recreate"])
    with Cloud(account, clock=clock, meanwhile=[random]) as cloud:
        clock.advance(60)
        [group] = cloud.client("logs").describe_log_groups()["logGroups"]
    assert group["creationTime"] == NOW + 60_000
    assert "retentionInDays" not in group
    assert random.done == [("recreate", "/a")]


def test_random_actors_do_everything_they_can() -> None:
    """Each kind of change happens, and is true."""
    random = Random(seed=3, chance=1.0)
    with Cloud(messy(300, now=NOW), clock=ManualClock(), meanwhile=[random]) as cloud:
        logs = cloud.client("logs")
        for _ in range(90):
            logs.describe_log_groups()
        assert cloud.judge().changes == []
    assert {kind for kind, _ in random.done} == set(random.kinds)
