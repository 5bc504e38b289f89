"""The plan file: what a dry run would do, as lines that `janitor apply` takes.

A head line, a line for each action, and an end line, without which the file was cut off.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from janitor.aws.logs import IDENTIFIERS_A_CALL, Logs
from janitor.core.errors import PlanError
from janitor.core.model import (
    Action,
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Unknown,
    Verb,
    verb_of,
)
from janitor.engine.resume import ScanProgress

VERSION: Literal[1] = 1


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Head(_Line):
    """The first line."""

    plan: Literal["head"]
    version: Literal[1]
    account: str
    policy: str
    made: str


class Facts(_Line):
    """What led to the action."""

    stored_bytes: int
    retention_days: int | None
    log_class: str
    reason: str
    evidence: list[str]


class Item(_Line):
    """One action on one log group."""

    plan: Literal["item"]
    account: str
    region: str
    group: str
    creation_time: int
    action: Literal["set_retention", "delete_group", "sweep_streams"]
    policy: str
    days: int | None
    streams: int | None
    facts: Facts


class End(_Line):
    """The last line: how many items, and of how many scanned log groups."""

    plan: Literal["end"]
    items: int
    groups_scanned: dict[str, int]
    complete: bool


_LINE: TypeAdapter[Head | Item | End] = TypeAdapter(
    Annotated[Head | Item | End, Field(discriminator="plan")]
)


def head_line(account: str, policy: str, now: int) -> str:
    """The first line of a plan. `now` in ms since the epoch."""
    made = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds")
    head = Head(plan="head", version=VERSION, account=account, policy=policy, made=made)
    return head.model_dump_json()


def item_line(outcome: Outcome, policy: str) -> str | None:
    """The line for a planned outcome; None for every other."""
    if outcome.status is not Status.PLANNED:
        return None
    group, action = outcome.group, outcome.action
    item = {
        "plan": "item",
        "account": group.target.account,
        "region": group.target.region,
        "group": group.name,
        "creation_time": group.creation_time,
        "action": verb_of(action).value,
        "policy": policy,
        "days": action.days if isinstance(action, SetRetention) else None,
        "streams": outcome.streams if isinstance(action, SweepStreams) else None,
        "facts": {
            "stored_bytes": group.stored_bytes,
            "retention_days": group.retention_days,
            "log_class": group.log_class,
            "reason": action.reason,
            "evidence": [_said(evidence) for evidence in outcome.evidence],
        },
    }
    return json.dumps(item, ensure_ascii=False)


def end_line(items: int, scanned: dict[str, int], *, complete: bool) -> str:
    """The last line; `scanned` is log groups by Region."""
    end = End(plan="end", items=items, groups_scanned=scanned, complete=complete)
    return end.model_dump_json()


def _said(evidence: Evidence) -> str:
    return f"{evidence.source}: {evidence.finding}"


class Plan:
    """A plan that was read: its items by Region and group."""

    def __init__(self, path: Path, head: Head, items: list[Item], end: End) -> None:
        self.path = path
        self.account = head.account
        self.policy = head.policy
        self.made = head.made
        self.count = len(items)
        self.deletions = sum(item.action == "delete_group" for item in items)
        self.sweeps = sum(item.streams or 0 for item in items)
        self.scanned = end.groups_scanned
        self._items: dict[str, dict[str, list[Item]]] = defaultdict(lambda: defaultdict(list))
        for item in items:
            self._items[item.region][item.group].append(item)

    @property
    def regions(self) -> list[str]:
        """The Regions in which something is planned."""
        return sorted(self._items)

    def source(self, target: Target) -> PlannedGroups:
        """The part of the plan that is about a target."""
        return PlannedGroups(target, self._items[target.region], self.scanned.get(target.region, 0))


def load(path: Path) -> Plan:
    """Read a plan file. Raises PlanError naming the line that is wrong."""
    head: Head | None = None
    end: End | None = None
    items: list[Item] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlanError(f"{path}: is not a plan: not UTF-8 text") from error
    for number, text in enumerate(lines, 1):
        try:
            line = _LINE.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the line"
            raise PlanError(f"{path}:{number}: {key}: {first['msg']}") from error
        match line:
            case Head() if number == 1:
                head = line
            case Item() if head is not None and end is None:
                if (line.account, line.policy) != (head.account, head.policy):
                    raise PlanError(f"{path}:{number}: is of another account or policy")
                items.append(line)
            case End() if head is not None and number == len(lines):
                end = line
            case _:
                raise PlanError(f"{path}:{number}: {line.plan!r} does not belong on this line")
    if head is None:
        raise PlanError(f"{path}: is not a plan: it is empty")
    if end is None:
        raise PlanError(f"{path}: was cut off: the end line is missing; make the plan again")
    return Plan(path, head, items, end)


class PlannedGroups:
    """The log groups of a plan, as they are now; only what is planned may be done with them."""

    def __init__(self, target: Target, items: dict[str, list[Item]], scanned: int) -> None:
        self._target = target
        self._items = items
        self._scanned = scanned

    def scanned(self, groups: int) -> int:
        """What the plan's scan read, not just the groups that it names."""
        return max(self._scanned, groups)

    def pages(self, logs: Logs, progress: ScanProgress) -> Iterator[list[LogGroup]]:  # noqa: ARG002
        """The planned groups that exist, 50 at a time. Raises ReadError."""
        names = sorted(self._items)
        for start in range(0, len(names), IDENTIFIERS_A_CALL):
            chunk = names[start : start + IDENTIFIERS_A_CALL]
            found = logs.named(chunk)
            yield [found[name] if name in found else self._gone(name) for name in chunk]

    def allowed(self, group: LogGroup, action: Action) -> Action:
        """The action if it is what the plan says; otherwise a Keep that tells what changed."""
        items: dict[str, Item] = {item.action: item for item in self._items[group.name]}
        if group.arn == "":
            return Keep("changed since the plan: the log group does not exist any more")
        if any(item.creation_time != group.creation_time for item in items.values()):
            return Keep("changed since the plan: made again under the same name")
        match action:
            case DeleteGroup() if Verb.DELETE_GROUP in items:
                text = f"planned for deletion, but no longer proved empty; {action.reason}"
                return replace(action, otherwise=Keep(text, action.rule))
            case DeleteGroup() if not isinstance(
                stay := self.allowed(group, action.otherwise), Keep
            ):
                return stay
            case SetRetention() if _same_days(items.get(Verb.SET_RETENTION), action):
                then = action.then if Verb.SWEEP_STREAMS in items else None
                return replace(action, then=then)
            case SetRetention(then=SweepStreams() as sweep) if list(items) == [Verb.SWEEP_STREAMS]:
                return Keep(f"changed since the plan: its retention; {sweep.reason}", action.rule)
            case SweepStreams() if Verb.SWEEP_STREAMS in items:
                return action
            case Unknown():
                return action
            case _:
                planned = " and ".join(items)
                now = f"{verb_of(action).value}: {action.reason}"
                return Keep(f"changed since the plan: planned {planned}, now {now}", action.rule)

    def _gone(self, name: str) -> LogGroup:
        created = self._items[name][0].creation_time
        return LogGroup(self._target, name, "", created, 0, tags={})


def _same_days(item: Item | None, action: SetRetention) -> bool:
    return item is not None and item.days == action.days
