"""A plan as lines: what is written is what is read, and a plan that is not whole is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import PlanError
from janitor.core.model import (
    DeleteGroup,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Verb,
)
from janitor.core.tally import Tally
from janitor.engine.plan import Head, PlanFile, action_line, end_line, parse

HERE, THERE = Target("123456789012", "eu-west-1"), Target("123456789012", "us-east-1")
HEAD = Head(run="r", made=5, policy="p")
SWEEP = SweepStreams("old", "r", 7, "kept")
ACTIONS = [
    SetRetention("none", "r", 30),
    SWEEP,
    DeleteGroup("empty", "r", 9, Keep("")),
    DeleteGroup("empty", "r", 9, SetRetention("none", "r", 30)),
]
LEFT = [
    Outcome(LogGroup(HERE, "/kept", "", 1, 0), Keep("young"), status, "", 0)
    for status in Status
    if status is not Status.PLANNED
]


def planned(target: Target, name: str, action: Any, streams: int = 0) -> Outcome:
    outcome = Outcome(LogGroup(target, name, "", 1, 0, 90), action, Status.PLANNED, "", 0)
    if action is not SWEEP:
        return outcome
    return outcome._replace(streams=streams, stream_names=tuple(map(str, range(streams))))


def written(path: Path, parts: Sequence[tuple[Target, Sequence[Outcome]]]) -> Path:
    lines: list[Any] = [HEAD]
    for target, outcomes in parts:
        tally = Tally(scanned=10)
        lines += filter(None, map(action_line, outcomes))
        lines.append(end_line(target, tally))
    path.write_text("".join(f"{line.model_dump_json()}\n" for line in lines))
    return path


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(ACTIONS)), max_size=9))
def test_what_is_planned_and_nothing_else_comes_back(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[int, Any]]
) -> None:
    """By log group, in order, with cutoff and retention."""
    outcomes = [planned(HERE, f"/g{n}", action, streams=3) for n, action in sorted(chosen, key=str)]
    path = tmp_path_factory.mktemp("plan") / "plan.jsonl"
    plan = PlanFile(written(path, [(HERE, [*outcomes, *LEFT]), (THERE, [])]))
    read = [(one.group, line.action) for one in plan.of(HERE) for line in one.actions]
    verbs = {SetRetention: "set_retention", SweepStreams: "sweep_streams"}
    assert read == [(o.group.name, verbs.get(type(o.action), "delete_group")) for o in outcomes]
    assert list(plan.of(THERE)) == []
    sweeps = sum(action is SWEEP for _, action in chosen)
    assert plan.totals[HERE].planned.get(Verb.SWEEP_STREAMS, 0) == 3 * sweeps


def test_the_cutoff_and_what_is_done_instead_are_in_the_plan(tmp_path: Path) -> None:
    """Act goes by these."""
    outcomes = [planned(HERE, f"/g{n}", action, 3) for n, action in enumerate(ACTIONS)]
    plan = PlanFile(written(tmp_path / "plan", [(HERE, outcomes)]))
    read = [(a.cutoff, a.retention_after) for one in plan.of(HERE) for a in one.actions]
    assert read == [(None, 30), (7, 90), (9, None), (9, 30)]


def changed(line: str, **more: Any) -> str:
    return json.dumps(json.loads(line) | more)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [], "it is empty"),
        (lambda lines: lines[:-1], "was cut off"),
        (lambda lines: [*lines[:-1], lines[-1][:9]], ":5: "),
        (lambda lines: lines[1:], "out of place"),
        (lambda lines: [lines[0], *lines], "out of place"),
        (lambda lines: [*lines, lines[1]], "out of place"),
        (lambda lines: [*lines, lines[-1]], "out of place"),
        (lambda lines: [changed(lines[0], version=1), *lines[1:]], ":1: is of plan version 1"),
        (lambda lines: [lines[0], changed(lines[1], streams="3"), *lines[2:]], "streams"),
        (lambda lines: [lines[0], changed(lines[1], streams=-3), *lines[2:]], "streams"),
        (
            lambda lines: [lines[0], changed(lines[1], streams=2), *lines[2:]],
            "stream_names: 1, not 2",
        ),
        (lambda lines: [lines[0], changed(lines[1], cut_off=1), *lines[2:]], "cut_off"),
        (lambda lines: [lines[0], changed(lines[1], action="delete"), *lines[2:]], "action"),
    ],
)
def test_what_is_not_a_whole_plan_is_none(tmp_path: Path, damage: Any, said: str) -> None:
    """The line and the key that are wrong are named, and nothing of it is done."""
    here, there = ([planned(target, "/a", SWEEP, 1)] for target in (HERE, THERE))
    path = written(tmp_path / "plan", [(HERE, here), (THERE, there)])
    path.write_text("".join(f"{line}\n" for line in damage(path.read_text().splitlines())))
    with pytest.raises(PlanError) as refused:
        PlanFile(path)
    assert said in str(refused.value)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_plan_that_is_written_anew_meanwhile_is_not_gone_on_with(
    tmp_path: Path, replaced: bool
) -> None:
    """What the limits were checked by, and a person agreed to, is what is done."""
    one, more = ([planned(HERE, f"/g{n}", SWEEP, 1) for n in range(many)] for many in (1, 2))
    path = written(tmp_path / "plan", [(HERE, one)])
    plan = PlanFile(path)
    assert len(list(plan.of(HERE))) == 1
    if replaced:
        written(tmp_path / "other", [(HERE, more)]).replace(path)
    else:
        written(path, [(HERE, more)])
    with pytest.raises(PlanError, match="was changed"):
        list(plan.of(HERE))


def test_lines_are_read_one_by_one() -> None:
    """A plan of a million lines is never in memory."""
    lines = iter([HEAD.model_dump_json(), "damaged"])
    read = parse(lines, "plan")
    assert next(read) == HEAD
    with pytest.raises(PlanError, match="plan:2: "):
        next(read)
