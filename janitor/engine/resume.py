"""Where a run stands when its time is up, and how that travels to the link that goes on with it.

What was scanned is not scanned again: a link hands on the page to go on from, the log groups that
it has read but not finished with, and the counters so far.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from janitor.core.errors import UsageError
from janitor.core.model import (
    Action,
    DeleteGroup,
    Keep,
    LogGroup,
    SetRetention,
    SweepStreams,
    Target,
    Unknown,
    Verb,
    verb_of,
)

LONGEST = 700_000
"""Characters of a resume value: an asynchronous invocation takes 1 MB (Lambda quotas, 2026)."""

PLANNED = 0
"""In place of the days of a retention that was not really set."""

_URGENT = (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS, Verb.UNKNOWN, Verb.KEEP)
"""What is handed on first where not everything fits; `unknown` waits for its tags."""

Identity = tuple[str, int]
"""A log group's name and creation time (ms), within a target."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A log group that was scanned and is not finished with.

    It is judged again, but by no later cutoff than `before` (ms): a retention that was lowered a
    moment ago must not make it deletable within the same run. `proved` is above 0 where the group
    was proved empty (a deletion), or is the number of its expired streams (a sweep). `put` is the
    retention (days) that was set, PLANNED in a dry run, so that only its streams are left to sweep.
    """

    name: str
    creation_time: int
    before: int | None
    verb: Verb
    proved: int = 0
    put: int | None = None

    @property
    def identity(self) -> Identity:
        """Name and creation time."""
        return (self.name, self.creation_time)

    def group(self, target: Target) -> LogGroup:
        """All that is known of it before it is read again."""
        return LogGroup(target, self.name, "", self.creation_time, 0, tags={})


@dataclass
class ScanProgress:
    """How far one target's scan has come. The counts are of log groups; bytes are stored bytes.

    `left_out` counts, by verb, what did not fit into a resume value: it is kept, but it still
    counts for the limits.
    """

    position: str | None = None
    whole: bool = False
    failed: bool = False
    read: int = 0
    stored_bytes: int = 0
    kept: int = 0
    unknown: int = 0
    pending: dict[Identity, Pending] = field(default_factory=dict)
    left_out: dict[Verb, int] = field(default_factory=dict)

    def postpone(self, group: LogGroup, action: Action, proved: int) -> None:
        """The group is for the next link."""
        before, verb = cutoff_of(action), verb_of(action)
        item = Pending(group.name, group.creation_time, before, verb, proved)
        known = self.pending.get(item.identity)
        if known is None or _URGENT.index(item.verb) < _URGENT.index(known.verb):
            self.pending[item.identity] = item

    def start_again(self) -> None:
        """The position is lost: every page is read again, and all that is pending is on one."""
        self.position, self.pending = None, {}
        self.read = self.stored_bytes = self.kept = self.unknown = 0


def cutoff_of(action: Action) -> int | None:
    """The cutoff (ms) by which the action deletes, if it deletes."""
    match action:
        case DeleteGroup() | SweepStreams():
            return action.before
        case SetRetention(then=SweepStreams() as sweep):
            return sweep.before
    return None


def no_later(action: Action, before: int | None) -> Action:
    """The action with no later cutoff than `before`; a deletion with a later one is not taken."""
    if before is None:
        return action
    match action:
        case DeleteGroup() if action.before > before:
            return no_later(action.otherwise, before)
        case SweepStreams() if action.before > before:
            return SweepStreams(action.reason, action.rule, before, action.kept)
        case SetRetention(then=SweepStreams() as sweep) if sweep.before > before:
            then = SweepStreams(sweep.reason, sweep.rule, before, sweep.kept)
            return SetRetention(action.reason, action.rule, action.days, then)
    return action


def sweep_of(action: Action) -> SweepStreams | None:
    """What is left to do for a group whose retention this run has set already."""
    match action:
        case SweepStreams():
            return action
        case SetRetention():
            return action.then
        case DeleteGroup():
            return sweep_of(action.otherwise)
        case Keep() | Unknown():
            return None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class RegionState(_Strict):
    """A Region's ScanProgress as JSON. `pending` is packed: JSON rows, zlib, Base64."""

    position: str | None
    whole: bool
    failed: bool
    read: int = Field(ge=0)
    stored_bytes: int = Field(ge=0)
    kept: int = Field(ge=0)
    unknown: int = Field(ge=0)
    pending: str
    left_out: dict[str, int]


class Resume(_Strict):
    """The `resume` value of an event and of an answer.

    `started` is the moment (ms since the epoch) by which the whole run judges ages; `hop` counts
    links from 0; `summary` holds the counters so far.
    """

    run_id: str = Field(min_length=1, max_length=64)
    account: str
    started: int = Field(ge=0)
    hop: int = Field(ge=1)
    trigger: Literal["schedule", "hand"]
    policy: str
    regions: dict[str, RegionState] = Field(min_length=1)
    summary: dict[str, Any]

    def stands_where(self, earlier: Resume | None) -> bool:
        """Whether nothing at all was done since `earlier`."""
        return earlier is not None and (self.regions, _done(self)) == (
            earlier.regions,
            _done(earlier),
        )


def _done(resume: Resume) -> dict[str, Any]:
    """The counters of what became of log groups; calls are made even where nothing comes of it."""
    calls = ("api_calls", "calls", "throttled", "throttled_calls", "pace")
    return {key: value for key, value in resume.summary.items() if key not in calls}


def pack(progress: Mapping[str, ScanProgress], longest: int = LONGEST) -> dict[str, RegionState]:
    """Each Region's progress as JSON, all together in about `longest` characters.

    Where not everything fits, each Region hands on an equal part; the rest moves from `pending`
    to `left_out`.
    """
    share = longest // max(len(progress), 1)
    return {region: _packed(state, share) for region, state in progress.items()}


def _packed(state: ScanProgress, longest: int) -> RegionState:
    items = sorted(state.pending.values(), key=lambda item: _URGENT.index(item.verb))
    text = _squeezed(items)
    while len(text) > longest:
        keep = int(len(items) * longest / len(text) * 0.95)
        for item in items[keep:]:
            del state.pending[item.identity]
            state.left_out[item.verb] = state.left_out.get(item.verb, 0) + 1
        items = items[:keep]
        text = _squeezed(items)
    return RegionState(
        **_plain(state),
        pending=text,
        left_out={verb.value: count for verb, count in state.left_out.items()},
    )


def unpack(state: RegionState) -> ScanProgress:
    """A Region's progress from its JSON. Raises UsageError on one that this did not pack."""
    try:
        packed = base64.b64decode(state.pending, validate=True)
        rows = _ROWS.validate_json(zlib.decompress(packed) if packed else b"[]")
        items = [
            Pending(name, created, before, Verb(verb), proved, put)
            for name, created, before, verb, proved, put in rows
        ]
        left_out = {Verb(verb): count for verb, count in state.left_out.items()}
    except (ValueError, zlib.error, ValidationError) as error:
        raise UsageError("event: resume.regions: pending was not made by this program") from error
    return ScanProgress(
        **_plain(state),
        pending={item.identity: item for item in items},
        left_out=left_out,
    )


def _plain(state: ScanProgress | RegionState) -> dict[str, Any]:
    """What both have, and in the same form."""
    names = ("position", "whole", "failed", "read", "stored_bytes", "kept", "unknown")
    return {name: getattr(state, name) for name in names}


_Row = tuple[str, int, int | None, str, int, int | None]
_ROWS: TypeAdapter[list[_Row]] = TypeAdapter(list[_Row], config=ConfigDict(defer_build=True))


def _squeezed(items: Iterable[Pending]) -> str:
    rows = sorted(astuple(item) for item in items)
    if not rows:
        return ""
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()
