"""The state of a run in the bucket, replaced only where it is still the version that was read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from janitor.aws.workers import Inline
from janitor.core.model import DeleteGroup, Keep, LogGroup, Outcome, Status, Target
from janitor.engine.plan import ActionLine, Planned, action_line
from janitor.function.deadline import LONGEST_MARGIN
from janitor.function.state import (
    RunState,
    RunStore,
    StateError,
    TakenError,
    TargetState,
)
from janitor.sandbox import store
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, refused
from tests.function.deployed import BUCKET, Again, Hanging, lost, under_way

TARGET = Target(ACCOUNT, REGION)


def cloud() -> Cloud:
    """An account with the bucket."""
    account = Cloud()
    account.store.buckets[BUCKET] = store.Bucket(ACCOUNT, REGION, NOW)
    return account


def bucket(account: Cloud) -> RunStore:
    """The store of one invocation."""
    return RunStore(account.client("s3"), BUCKET, Inline())


def state(link: int = 0) -> RunState:
    return RunState(
        version="1",
        run="run",
        trigger="schedule",
        dry_run=False,
        started=NOW,
        policy="p",
        account=ACCOUNT,
        regions={REGION: TargetState(token="t", ahead=[3, 4])},
        link=link,
    )


def test_a_saved_state_is_loaded() -> None:
    """A run that was never started has none."""
    account = cloud()
    assert asyncio.run(bucket(account).load("run")) is None
    asyncio.run(bucket(account).save(state(2)))
    assert asyncio.run(bucket(account).load("run")) == state(2)


@pytest.mark.parametrize("started", [True, False])
def test_only_the_first_of_two_writers_replaces_a_state(started: bool) -> None:
    """Of a link that is delivered twice, the second delivery writes nothing."""
    account = cloud()
    first, second = bucket(account), bucket(account)
    if started:
        asyncio.run(bucket(account).save(state()))
        for one in (first, second):
            asyncio.run(one.load("run"))
    asyncio.run(first.save(state(1)))
    with pytest.raises(TakenError):
        asyncio.run(second.save(state(2)))
    asyncio.run(first.save(state(3)))
    assert asyncio.run(bucket(account).load("run")) == state(3)


@pytest.mark.parametrize("loses", [lost, under_way])
def test_a_retry_after_a_lost_answer_is_not_a_conflict(loses: Callable[[Cloud], None]) -> None:
    """S3 refuses the retry because of what the first attempt wrote."""
    account = cloud()
    one = RunStore(Again(account.client("s3")), BUCKET, Inline())
    for number in range(2):
        loses(account)
        asyncio.run(one.save(state(number)))
        loses(account)
        asyncio.run(one.write_plan(f"runs/{number}", [line("/g")]))
    assert asyncio.run(bucket(account).load("run")) == state(1)
    assert len(asyncio.run(read(one, ["runs/0", "runs/1"], 0))) == 2


def test_no_plan_is_overwritten() -> None:
    """An announced plan never changes; an attempt to write another is an error."""
    one = bucket(cloud())
    asyncio.run(one.write_plan("runs/plan", [line("/a")]))
    with pytest.raises(StateError, match="runs/plan could not be written: somebody else wrote it"):
        asyncio.run(one.write_plan("runs/plan", [line("/b")]))
    assert [found.group for found in asyncio.run(read(one, ["runs/plan"], 0))] == ["/a"]


@pytest.mark.parametrize("body", ["", "{}", '{"run": "run"}', "[]", "\x00"])
def test_an_invalid_state_is_an_error(body: str) -> None:
    """It never counts as a new run, or as one with nothing planned."""
    account = cloud()
    account.client("s3").put_object(Bucket=BUCKET, Key="runs/run/state.json", Body=body.encode())
    with pytest.raises(StateError, match=r"runs/run/state\.json could not be read"):
        asyncio.run(bucket(account).load("run"))


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_an_error_of_s3_names_the_object(operation: str) -> None:
    """With S3's own message."""
    account = cloud()
    account.fault = lambda call: (
        refused("AccessDenied", 403) if call.operation == operation else None
    )
    one = bucket(account)
    with pytest.raises(StateError, match=rf"s3://{BUCKET}/runs/run/state\.json .*AccessDenied"):
        asyncio.run(one.load("run") if operation == "GetObject" else one.save(state()))


def line(name: str) -> ActionLine:
    group = LogGroup(TARGET, name, "", 1, 0)
    planned = action_line(Outcome(group, DeleteGroup("", "", 9, Keep("")), Status.PLANNED, "", 0))
    assert planned is not None
    return planned


async def read(store: RunStore, keys: list[str], start: int) -> list[Planned]:
    return [planned async for planned in store.planned(keys, start)]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x1c", "\r", "\n"])
def test_no_character_in_evidence_breaks_a_line_of_a_plan(odd: str) -> None:
    """Names of filters are free text, and stand in the plan as evidence."""
    account = cloud()
    one = bucket(account)
    written = line("/g")
    written = written.model_copy(
        update={"facts": written.facts.model_copy(update={"reason": f"a{odd}b"})}
    )
    asyncio.run(one.write_plan("runs/plan", [written]))
    [planned] = asyncio.run(read(one, ["runs/plan"], 0))
    assert planned.actions == (written,)


def test_a_plan_is_read_from_any_line_on() -> None:
    """Over all its objects, in their order."""
    account = cloud()
    one = bucket(account)
    keys = [one.lines_key("run", TARGET, "plan", 1, NOW, number) for number in range(3)]
    for number, key in enumerate(keys):
        asyncio.run(one.write_plan(key, [line(f"/{number}/{n}") for n in range(2)]))
    assert keys == sorted(keys)
    names = [f"/{number}/{n}" for number in range(3) for n in range(2)]
    for start in range(7):
        planned = asyncio.run(read(one, keys, start))
        assert [found.group for found in planned] == names[start:]
    with pytest.raises(StateError, match="could not be read"):
        asyncio.run(read(one, [*keys, "runs/run/nothing"], 0))


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.save(state()),
        lambda store: store.write_plan("runs/plan", [line("/g")]),
        lambda store: store.load("run"),
        lambda store: read(store, ["runs/plan"], 0),
    ],
)
def test_a_bucket_that_hangs_leaves_a_link_time_to_end(
    call: Callable[[RunStore], Coroutine[Any, Any, object]],
) -> None:
    """A link reserves a minute, into which plan, state and the next link's invocation must fit."""
    account = cloud()
    store = RunStore(account.client("s3"), BUCKET, Hanging())
    with pytest.raises(StateError, match="no response within"):
        account.clock.run(call(store))
    assert 3 * account.clock.monotonic() < LONGEST_MARGIN
