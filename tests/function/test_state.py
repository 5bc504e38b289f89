"""The state of a run in the bucket: whole, over what was read, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from janitor.aws.workers import Inline
from janitor.core.model import DeleteGroup, Keep, LogGroup, Outcome, Status, Target
from janitor.engine.plan import ActionLine, Planned, action_line
from janitor.function import chain
from janitor.function.state import (
    RunState,
    RunStore,
    StateError,
    TakenError,
    TargetState,
    lines_key,
)
from janitor.sandbox import store
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, refused
from tests.function.deployed import BUCKET, Again, Hanging, lost, under_way

TARGET = Target(ACCOUNT, REGION)


def cloud() -> Cloud:
    """An account with the bucket."""
    made = Cloud()
    made.store.buckets[BUCKET] = store.Bucket(ACCOUNT, REGION, NOW)
    return made


def bucket(of: Cloud) -> RunStore:
    """What one invocation sees of it."""
    return RunStore(of.client("s3"), BUCKET, Inline())


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


def test_what_was_saved_is_loaded() -> None:
    """And a run that was never begun is none."""
    account = cloud()
    assert asyncio.run(bucket(account).load("run")) is None
    asyncio.run(bucket(account).save(state(2)))
    assert asyncio.run(bucket(account).load("run")) == state(2)


@pytest.mark.parametrize("begun", [True, False])
def test_of_two_that_write_over_the_same_state_one_is_told(begun: bool) -> None:
    """A link that is delivered twice: the second writes nothing."""
    account = cloud()
    first, second = bucket(account), bucket(account)
    if begun:
        asyncio.run(bucket(account).save(state()))
        for one in (first, second):
            asyncio.run(one.load("run"))
    asyncio.run(first.save(state(1)))
    with pytest.raises(TakenError):
        asyncio.run(second.save(state(2)))
    asyncio.run(first.save(state(3)))
    assert asyncio.run(bucket(account).load("run")) == state(3)


@pytest.mark.parametrize("loses", [lost, under_way])
def test_a_write_whose_answer_was_lost_is_not_taken_for_anothers(
    loses: Callable[[Cloud], None],
) -> None:
    """Tried again, it is refused for what it has written itself."""
    account = cloud()
    one = RunStore(Again(account.client("s3")), BUCKET, Inline())
    for number in range(2):
        loses(account)
        asyncio.run(one.save(state(number)))
        loses(account)
        asyncio.run(one.write_plan(f"runs/{number}", [line("/g")]))
    assert asyncio.run(bucket(account).load("run")) == state(1)
    assert len(asyncio.run(read(one, ["runs/0", "runs/1"], 0))) == 2


def test_no_plan_is_written_over() -> None:
    """What was announced stays what it was; the attempt that finds it ends."""
    one = bucket(cloud())
    asyncio.run(one.write_plan("runs/plan", [line("/a")]))
    with pytest.raises(StateError, match="runs/plan could not be written: somebody else wrote it"):
        asyncio.run(one.write_plan("runs/plan", [line("/b")]))
    assert [found.group for found in asyncio.run(read(one, ["runs/plan"], 0))] == ["/a"]


@pytest.mark.parametrize("body", ["", "{}", '{"run": "run"}', "[]", "\x00"])
def test_a_state_that_makes_no_sense_is_an_error(body: str) -> None:
    """Never a run that begins anew, nor one with nothing planned."""
    account = cloud()
    account.client("s3").put_object(Bucket=BUCKET, Key="runs/run/state.json", Body=body.encode())
    with pytest.raises(StateError, match=r"runs/run/state\.json could not be read"):
        asyncio.run(bucket(account).load("run"))


@pytest.mark.parametrize("operation", ["GetObject", "PutObject"])
def test_a_bucket_that_refuses_is_named(operation: str) -> None:
    """With what it said."""
    account = cloud()
    account.fault = lambda call: (
        refused("AccessDenied", 403) if call.operation == operation else None
    )
    one = bucket(account)
    with pytest.raises(StateError, match=rf"s3://{BUCKET}/runs/run/state\.json .*AccessDenied"):
        asyncio.run(one.load("run") if operation == "GetObject" else one.save(state()))


def line(name: str) -> ActionLine:
    group = LogGroup(TARGET, name, "", 1, 0)
    made = action_line(Outcome(group, DeleteGroup("", "", 9, Keep("")), Status.PLANNED, "", 0))
    assert made is not None
    return made


async def read(store: RunStore, keys: list[str], start: int) -> list[Planned]:
    return [planned async for planned in store.planned(keys, start)]


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x1c", "\r", "\n"])
def test_a_line_of_a_plan_ends_where_it_was_ended(odd: str) -> None:
    """Names of filters are free text, and stand in it as evidence."""
    account = cloud()
    one = bucket(account)
    written = line("/g")
    written = written.model_copy(
        update={"facts": written.facts.model_copy(update={"reason": f"a{odd}b"})}
    )
    asyncio.run(one.write_plan("runs/plan", [written]))
    [planned] = asyncio.run(read(one, ["runs/plan"], 0))
    assert planned.actions == (written,)


def test_a_plan_is_read_from_the_line_that_is_next() -> None:
    """Over all its objects, in their order."""
    account = cloud()
    one = bucket(account)
    keys = [lines_key("run", TARGET, 1, NOW, number) for number in range(3)]
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
def test_a_bucket_that_hangs_leaves_a_link_the_time_to_say_so(
    call: Callable[[RunStore], Coroutine[Any, Any, object]],
) -> None:
    """A link keeps a minute for its end: plan, state and the next link have to fit into it."""
    account = cloud()
    store = RunStore(account.client("s3"), BUCKET, Hanging())
    with pytest.raises(StateError, match="no response within"):
        account.clock.run(call(store))
    assert 3 * account.clock.monotonic() < chain.LONGEST_MARGIN
