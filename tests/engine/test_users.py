"""Warnings about owners that could not be read."""

from __future__ import annotations

import pytest

from janitor.core.model import LogGroup
from janitor.engine.users import Users
from janitor.owners.owners import OwnerCache
from janitor.owners.table import chosen
from tests.owners.world import Answers, World, denied, error


def deny(_service: str, _region: str, operation: str, **_parameters: object) -> dict[str, object]:
    raise denied(operation)


def fail(_service: str, _region: str, operation: str, **_parameters: object) -> dict[str, object]:
    raise error(operation, "InvalidRequestException", "It is switched off.")


@pytest.mark.parametrize(("answer", "needed"), [(deny, True), (fail, False)])
def test_permissions_are_named_only_where_they_would_help(answer: Answers, needed: bool) -> None:
    """Nobody is sent to change a role because something is switched off."""
    world = World(answer)
    users = Users(world.api, chosen(["athena"]), OwnerCache())

    async def asked() -> list[str]:
        await users.of(LogGroup(world.api.target, "/own", "arn", 0, 0))
        return list(users.warnings())

    (warning,) = world.clock.run(asked())
    assert ("; needed: athena:GetWorkGroup, athena:ListWorkGroups;" in warning) == needed
    assert warning.endswith("; kept because of this: /own")


def test_a_log_group_that_is_asked_about_twice_is_named_once() -> None:
    """A survey asks again when its page token has expired and it starts over."""
    world = World(deny)
    users = Users(world.api, chosen(["eks"]), OwnerCache())
    group = LogGroup(world.api.target, "/aws/eks/a/cluster", "arn", 0, 0)

    async def twice() -> list[str]:
        for _ in range(2):
            await users.of(group)
        return list(users.warnings())

    (warning,) = world.clock.run(twice())
    assert "eks:ListClusters" in warning
    assert warning.count("/aws/eks/a/cluster") == 1


def test_rows_that_fail_alike_share_a_warning() -> None:
    """An organization that allows few services denies dozens of rows in each Region."""
    world, rows = World(deny), chosen(True)
    users = Users(world.api, rows, OwnerCache())
    names = ["/own", "/aws/eks/a/cluster", "/aws/lambda/f"]

    async def asked() -> list[str]:
        for name in names:
            await users.of(LogGroup(world.api.target, name, "arn", 0, 0))
        return list(users.warnings())

    warnings = world.clock.run(asked())
    warned = {row.id for row in rows if any(row.id in warning for warning in warnings)}
    assert {"lambda", "ecs-service", "eks", "bedrock"} <= warned
    assert all(any(name in warning for warning in warnings) for name in names)
    assert len(warnings) < 6
    assert max(map(len, warnings)) < 2000


@pytest.mark.parametrize("row", ["lambda", "vpc-flow-log"])
@pytest.mark.parametrize("used", [False, True])
def test_what_was_asked_lately_is_known_at_once(row: str, used: bool) -> None:
    """A last look is worth a second: it must not linger until others ask as well. That holds for
    what was listed (functions), and for what was asked about this log group alone (flow logs).
    """
    name = "/aws/lambda/f"
    answers = {
        "ListFunctions": {"Functions": [{"FunctionName": "f" if used else "g"}]},
        "DescribeFlowLogs": {"FlowLogs": [{"LogGroupName": name}] if used else []},
    }
    world = World(lambda _service, _region, operation, **_: answers[operation], rate=4)
    users = Users(world.api, chosen([row]), OwnerCache(), max_age=55)
    group = LogGroup(world.api.target, name, "arn", 0, 0)

    async def asked() -> tuple[bool, float, int]:
        began, calls = world.clock.monotonic(), len(world.calls)
        answer = await users.of(group)
        return answer.nobody, world.clock.monotonic() - began, len(world.calls) - calls

    async def thrice() -> None:
        await users.of(group)
        assert await asked() == (not used, 0, 0)
        world.clock.jump(56)
        nobody, _, calls = await asked()
        assert (nobody, calls) == (not used, 1)

    world.clock.run(thrice())


@pytest.mark.parametrize("name", ["/aws/lambda/f", "/own"])
def test_a_row_that_is_denied_does_not_make_a_last_look_linger(name: str) -> None:
    """It is not asked again so soon, whether it keeps the log group or not."""

    def answer(_service: str, _region: str, operation: str, **_more: object) -> dict[str, object]:
        if operation == "DescribeTrails":
            raise denied(operation)
        return {"Functions": []}

    world = World(answer, rate=4)
    users = Users(world.api, chosen(["lambda", "cloudtrail"]), OwnerCache(), max_age=55)
    group = LogGroup(world.api.target, name, "arn", 0, 0)

    async def asked() -> tuple[bool, float, int]:
        before = world.clock.monotonic()
        answer = await users.of(group)
        return answer.nobody, world.clock.monotonic() - before, len(world.calls)

    async def thrice() -> None:
        nobody, _, calls = await asked()
        assert nobody == (name != "/own")
        assert await asked() == (nobody, 0, calls)
        world.clock.jump(56)
        again, _, more = await asked()
        assert (again, more) == (nobody, 2 * calls)

    world.clock.run(thrice())
