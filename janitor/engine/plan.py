"""The plan: the actions that a survey found, as JSON lines. Act carries out these and nothing else.

A head line, a line for each action, and an end line for each account and Region that was surveyed,
without which its part was cut off. It is also the record of what was announced.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from janitor.core.errors import PlanError
from janitor.core.model import (
    DeleteGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Verb,
)
from janitor.core.tally import Tally

VERSION: Literal[3] = 3


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Head(_Line):
    """The first line. `made` (ms) is the moment by which ages are judged, in the survey and when
    acting; `policy` is the policy's digest.
    """

    plan: Literal["head"] = "head"
    version: Literal[3] = VERSION
    run: str
    made: int
    policy: str


class Facts(_Line):
    """What led to the action."""

    stored_bytes: int
    log_class: str
    rule: str
    reason: str
    evidence: list[str]


class ActionLine(_Line):
    """One action on one log group.

    `cutoff` (ms): what is deleted or swept may hold nothing from this moment on. Retentions are in
    days; None means that events never expire. If a limit refuses a group's deletion, the group gets
    `retention_after`, if given. `streams` is how many streams are to be swept, and `stream_names`
    which: by the time of the sweep, others may exist or be trusted. The names are left out if there
    are more than a run may delete, as then none is swept.
    """

    plan: Literal["action"] = "action"
    account: str
    region: str
    group: str = Field(min_length=1)
    creation_time: int
    action: Literal["set_retention", "delete_group", "sweep_streams"]
    cutoff: int | None
    retention_before: int | None
    retention_after: int | None
    streams: int | None = Field(ge=1)
    stream_names: tuple[str, ...] = ()
    facts: Facts

    @model_validator(mode="after")
    def _all_or_none_named(self) -> Self:
        if self.stream_names and len(self.stream_names) != self.streams:
            raise ValueError(f"stream_names: {len(self.stream_names)}, not {self.streams}")
        return self

    @property
    def target(self) -> Target:
        """The account and Region of the log group."""
        return Target(self.account, self.region)


class End(_Line):
    """The end of a target's part: how many log groups were scanned, and whether these were all."""

    plan: Literal["end"] = "end"
    account: str
    region: str
    groups_scanned: int
    complete: bool

    @property
    def target(self) -> Target:
        """The account and Region whose part ends."""
        return Target(self.account, self.region)


@dataclass(frozen=True, slots=True)
class Planned:
    """All actions planned for one log group, in the order in which they are to be taken."""

    group: str
    creation_time: int
    actions: tuple[ActionLine, ...]

    def of(self, verb: str) -> ActionLine | None:
        """The action of that kind, or None."""
        return next((action for action in self.actions if action.action == verb), None)


def action_line(outcome: Outcome) -> ActionLine | None:
    """The line for a planned outcome; None for any other outcome."""
    if outcome.status is not Status.PLANNED:
        return None
    group, action = outcome.group, outcome.action
    cutoff: int | None = None
    after: int | None = None
    streams: int | None = None
    verb: Literal["set_retention", "delete_group", "sweep_streams"]
    match action:
        case SetRetention(days=days):
            verb, after = "set_retention", days
        case SweepStreams(before=before):
            verb, cutoff, after = "sweep_streams", before, group.retention_days
            streams = outcome.streams
        case DeleteGroup(before=before, otherwise=otherwise):
            verb, cutoff = "delete_group", before
            after = otherwise.days if isinstance(otherwise, SetRetention) else None
        case _:
            raise AssertionError(f"kept log groups are not planned: {action}")
    facts = Facts(
        stored_bytes=group.stored_bytes,
        log_class=group.log_class,
        rule=action.rule,
        reason=action.reason,
        evidence=[f"{piece.source}: {piece.finding}" for piece in outcome.evidence],
    )
    return ActionLine(
        account=group.target.account,
        region=group.target.region,
        group=group.name,
        creation_time=group.creation_time,
        action=verb,
        cutoff=cutoff,
        retention_before=group.retention_days,
        retention_after=after,
        streams=streams,
        stream_names=outcome.stream_names,
        facts=facts,
    )


def end_line(target: Target, tally: Tally) -> End:
    """The end line of a target's part."""
    return End(
        account=target.account,
        region=target.region,
        groups_scanned=tally.scanned,
        complete=tally.complete,
    )


_LINE: TypeAdapter[Head | ActionLine | End] = TypeAdapter(
    Annotated[Head | ActionLine | End, Field(discriminator="plan")]
)


def parse(lines: Iterable[str | bytes], where: str) -> Iterator[Head | ActionLine | End]:
    """Yield the lines of a plan. Raises PlanError, which names the line that is invalid."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            yield _LINE.validate_json(text)
        except ValidationError as error:
            raise PlanError(f"{where}:{number}: {_wrong(error)}; make the plan again") from error


def _wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    match first["loc"]:
        case ("head", "version"):
            return f"is of plan version {first['input']}, this janitor takes {VERSION}"
        case ():
            why = f" ({first['msg']})" if first["type"] == "json_invalid" else ""
            return f"is not a line of a plan, as `janitor plan` writes them{why}"
        case location:
            return f"{'.'.join(map(str, location))}: {first['msg']}"


def grouped(actions: Iterable[ActionLine]) -> Iterator[Planned]:
    """Yield the actions of each log group together; in a plan, those of a group are adjacent."""
    held: list[ActionLine] = []
    for action in actions:
        if held and (held[0].group, held[0].creation_time) != (action.group, action.creation_time):
            yield Planned(held[0].group, held[0].creation_time, tuple(held))
            held = []
        held.append(action)
    if held:
        yield Planned(held[0].group, held[0].creation_time, tuple(held))


@dataclass(frozen=True, slots=True)
class Totals:
    """The totals of a target's part of a plan. For sweeps, `planned` counts the streams."""

    actions: int
    planned: Mapping[Verb, int]
    complete: bool


class PlanFile:
    """A plan file, read once to check that it is complete, and then target by target. Only the
    offsets of its lines are kept, at 8 bytes each, because a plan may have a million.

    Its actions are counted from its lines; the number of scanned log groups that it states is only
    for people.
    """

    def __init__(self, path: Path) -> None:
        """Raises PlanError if the file is not a plan, is incomplete or cannot be read twice."""
        self.path = path
        self._file: tuple[int, ...] | None = None
        self.totals: dict[Target, Totals] = {}
        self._offsets: defaultdict[Target, array[int]] = defaultdict(lambda: array("Q"))
        head: Head | None = None
        counted: defaultdict[Target, Counter[str]] = defaultdict(Counter)
        for offset, line in self._lines():
            match line:
                case Head() if head is None:
                    head = line
                case ActionLine() if head is not None and line.target not in self.totals:
                    counts = counted[line.target]
                    counts["actions"] += 1
                    counts[line.action] += 1 if line.streams is None else line.streams
                    self._offsets[line.target].append(offset)
                case End() if head is not None and line.target not in self.totals:
                    target = line.target
                    counts = counted.pop(target, Counter())
                    actions = counts.pop("actions", 0)
                    planned = Counter({Verb(verb): count for verb, count in counts.items()})
                    self.totals[target] = Totals(actions, planned, line.complete)
                case _:
                    raise PlanError(f"{path}: a {line.plan!r} line is out of place")
        if head is None:
            raise PlanError(f"{path}: is not a plan: it is empty")
        if counted or not self.totals:
            raise PlanError(f"{path}: was cut off: an end line is missing; make the plan again")
        self.head = head

    def _lines(self) -> Iterator[tuple[int, Head | ActionLine | End]]:
        """Yield each line with its offset in bytes."""
        with self._open() as file:
            offset = end = 0

            def texts() -> Iterator[bytes]:
                nonlocal offset, end
                for text in file:
                    offset, end = end, end + len(text)
                    # Editors on Windows begin a file with a byte order mark.
                    yield text if offset else text.removeprefix(codecs.BOM_UTF8)

            for line in parse(texts(), str(self.path)):
                yield offset, line

    @contextlib.contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        """Open the file. Raises PlanError if it is not the same from beginning to end."""
        try:
            with self.path.open("rb") as file:
                self._check_same(file)
                yield file
                self._check_same(file)
        except OSError as error:
            raise PlanError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def _check_same(self, file: IO[bytes]) -> None:
        """Raise PlanError if it is not the file that was counted."""
        now = os.fstat(file.fileno())
        if not stat.S_ISREG(now.st_mode):
            raise PlanError(f"{self.path}: is not a file, and a plan is read more than once")
        found = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
        if found != (self._file or found):
            raise self._changed()
        self._file = found

    def _changed(self) -> PlanError:
        return PlanError(f"{self.path}: was changed in the meantime; make the plan again")

    def of(self, target: Target) -> Iterator[Planned]:
        """Yield what is planned for a target. Raises PlanError if the file has changed."""
        return grouped(self._actions(target))

    def _actions(self, target: Target) -> Iterator[ActionLine]:
        with self._open() as file:
            for offset in self._offsets[target]:
                file.seek(offset)
                text = file.readline()
                self._check_same(file)
                try:
                    line = ActionLine.model_validate_json(text)
                except ValidationError as error:
                    raise self._changed() from error
                if line.target != target:  # a file system may keep times in whole seconds
                    raise self._changed()
                yield line
