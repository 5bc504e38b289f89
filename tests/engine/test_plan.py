"""A plan as lines: it is read as it was written, and an incomplete one is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

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
from janitor.engine.plan import ActionLine, Head, PlanFile, action_line, end_line, parse

TARGET, OTHER = Target("123456789012", "eu-west-1"), Target("123456789012", "us-east-1")
HEAD = Head(run="r", made=5, policy="p")
SWEEP = SweepStreams("old", "r", 7, "kept")
ACTIONS = [
    SetRetention("none", "r", 30),
    SWEEP,
    DeleteGroup("empty", "r", 9, Keep("")),
    DeleteGroup("empty", "r", 9, SetRetention("none", "r", 30)),
]
LEFT = [
    Outcome(LogGroup(TARGET, "/kept", "", 1, 0), Keep("young"), status, "", 0)
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
def test_a_plan_has_the_planned_outcomes_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[int, Any]]
) -> None:
    """They are read by log group, in order, and counted."""
    chosen = sorted(chosen, key=str)
    outcomes = [planned(TARGET, f"/g{n}", action, streams=3) for n, action in chosen]
    path = tmp_path_factory.mktemp("plan") / "plan.jsonl"
    plan = PlanFile(written(path, [(TARGET, [*outcomes, *LEFT]), (OTHER, [])]))
    read = [(one.group, line.action) for one in plan.of(TARGET) for line in one.actions]
    verbs = {SetRetention: "set_retention", SweepStreams: "sweep_streams"}
    assert read == [(o.group.name, verbs.get(type(o.action), "delete_group")) for o in outcomes]
    assert list(plan.of(OTHER)) == []
    sweeps = sum(action is SWEEP for _, action in chosen)
    assert plan.totals[TARGET].planned.get(Verb.SWEEP_STREAMS, 0) == 3 * sweeps


def test_a_plan_has_the_cutoff_and_the_alternative(tmp_path: Path) -> None:
    """A deletion's line also has the retention to put if the deletion is refused."""
    outcomes = [planned(TARGET, f"/g{n}", action, 3) for n, action in enumerate(ACTIONS)]
    plan = PlanFile(written(tmp_path / "plan", [(TARGET, outcomes)]))
    read = [(a.cutoff, a.retention_after) for one in plan.of(TARGET) for a in one.actions]
    assert read == [(None, 30), (7, 90), (9, None), (9, 30)]


def test_a_part_is_read_without_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand accounts and Regions each would read a plan of all: each line is read twice,
    once to count it, wherever it stands, and whatever stands before it.
    """
    targets = [Target("123456789012", f"eu-west-{number}") for number in range(20)]
    ends = [end_line(target, Tally(scanned=10)) for target in targets]
    actions = [
        action_line(planned(target, f"/{'ä' * number}", SWEEP, 1))
        for number in range(5)
        for target in targets
    ]
    path = tmp_path / "plan"
    lines = [line.model_dump_json() for line in (HEAD, *filter(None, actions), *ends)]
    path.write_text("\n\n".join([*lines, ""]), encoding="utf-8-sig")
    plan, validate = PlanFile(path), Mock(wraps=ActionLine.model_validate_json)
    monkeypatch.setattr(ActionLine, "model_validate_json", validate)
    for target in targets:
        assert [one.group for one in plan.of(target)] == [f"/{'ä' * number}" for number in range(5)]
    assert validate.call_count == 100


def changed(line: str, **more: Any) -> str:
    return json.dumps(json.loads(line) | more)


@pytest.mark.parametrize(
    ("damage", "message"),
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
def test_a_damaged_plan_is_refused(tmp_path: Path, damage: Any, message: str) -> None:
    """The error names the line and the key that are wrong."""
    parts = [(target, [planned(target, "/a", SWEEP, 1)]) for target in (TARGET, OTHER)]
    path = written(tmp_path / "plan", parts)
    path.write_text("".join(f"{line}\n" for line in damage(path.read_text().splitlines())))
    with pytest.raises(PlanError) as refused:
        PlanFile(path)
    assert message in str(refused.value)


@pytest.mark.parametrize("replaced", [True, False])
def test_a_plan_that_changes_while_it_is_read_is_refused(tmp_path: Path, replaced: bool) -> None:
    """Only the plan that the limits were checked on and a person consented to is carried out."""
    one, more = ([planned(TARGET, f"/g{n}", SWEEP, 1) for n in range(many)] for many in (1, 2))
    path = written(tmp_path / "plan", [(TARGET, one)])
    plan = PlanFile(path)
    assert len(list(plan.of(TARGET))) == 1
    if replaced:
        written(tmp_path / "other", [(TARGET, more)]).replace(path)
    else:
        written(path, [(TARGET, more)])
    with pytest.raises(PlanError, match="was changed"):
        list(plan.of(TARGET))


@pytest.mark.parametrize("written_over", ["999999999999", 'no", account'])
def test_a_changed_plan_of_the_same_size_and_time_is_refused(
    tmp_path: Path, written_over: str
) -> None:
    """Some file systems keep times in whole seconds: no line is taken for another target's."""
    path = written(tmp_path / "plan", [(TARGET, [planned(TARGET, "/a", SWEEP, 1)])])
    plan, at = PlanFile(path), path.stat().st_mtime_ns
    path.write_text(path.read_text().replace(f'"{TARGET.account}"', f'"{written_over}"'))
    os.utime(path, ns=(at, at))
    with pytest.raises(PlanError, match="was changed"):
        list(plan.of(TARGET))


def test_lines_are_read_one_by_one() -> None:
    """A plan of a million lines is never held in memory."""
    lines = iter([HEAD.model_dump_json(), "damaged"])
    read = parse(lines, "plan")
    assert next(read) == HEAD
    with pytest.raises(PlanError, match="plan:2: "):
        next(read)
