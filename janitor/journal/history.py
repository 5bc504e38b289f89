"""What journals say was done to each log group, for an undo. Pure.

Reads journal files, the Lambda function's log lines, and both as `aws logs` prints them. A journal
is untrusted input: a line that the janitor could not have written is rejected.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from janitor.aws.logs import FILTER_KEYS
from janitor.core.loss import loss, lost_bytes
from janitor.core.model import Extras, Target
from janitor.core.native import AccountPolicy
from janitor.core.text import counted
from janitor.journal.journal import BEGUN, EVENT, LONGEST_TEXT, START
from janitor.policy.file import LogClass
from janitor.policy.native import OWN

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

LOGGED = ("level", "timestamp", "request_id", "run_id")
"""Fields that the function's logger adds to a journal line."""

_LOGGED_LINE = re.compile(r"(?:\d{4}-\d\d-\d\dT\S+ (?:\S+ )?)?\{")
"""The start of a JSON object on a line; `aws logs tail` prints a time and a stream before it."""

LONGEST_LINE = 1_048_576
"""Characters of a line: a log event has no more bytes, and no log group's definition needs more."""

Moment = Annotated[int, Field(ge=0, lt=10**14)]
Days = Annotated[int, Field(ge=1, le=36_500)]
"""AWS accepts only some of them, and says which."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Short = Annotated[str, StringConstraints(max_length=256)]
Document = Annotated[str, StringConstraints(max_length=100_000)]


def _restorable(described: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(described.get("filterName"), str):
        raise ValueError("a filter without filterName")
    if unknown := described.keys() - {*FILTER_KEYS}:
        raise ValueError(f"a filter with {', '.join(sorted(unknown))}")
    return described


Filter = Annotated[dict[str, Any], AfterValidator(_restorable)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class JournalLine(_Strict):
    """One line of a journal. `at` and `creation_time` are ms since the epoch."""

    event: Literal["journal"]
    run: Short
    policy: Short
    version: Literal[1]
    at: Moment
    action: Literal[
        "set_retention",
        "delete_group",
        "sweep_streams",
        "set_account_policy",
        "add_tags",
        "restore_retention",
        "restore_group",
        "restore_account_policy",
    ]
    status: Literal["begun", "done", "gone", "failed", "kept", "unknown"]
    account: str = Field(pattern=r"^\d{12}$")
    region: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    group: str = Field(pattern=r"^[A-Za-z0-9._/#-]{1,512}$")
    creation_time: Moment
    stream: str | None = Field(None, max_length=512)
    before: dict[str, Any]
    after: dict[str, Any]
    reason: Text
    error: Text | None = None
    perhaps_done: bool = False

    @model_validator(mode="after")
    def _of_its_own_group(self) -> JournalLine:
        arn = f":logs:{self.region}:{self.account}:log-group:{self.group}"
        if self.action == "delete_group" and not str(self.before.get("arn")).endswith(arn):
            raise ValueError("before.arn is not the log group's")
        if self.action.endswith("account_policy") and not self.group.startswith(OWN):
            raise ValueError("the account-level policy is not the janitor's")
        return self


class Retention(_Strict):
    """`before` or `after` of a change of retention (None: events never expire). `stored_bytes` is
    what the log group held before the change.
    """

    retention_days: Days | None
    stored_bytes: int = Field(0, ge=0, lt=2**63)


class Definition(_Strict):
    """`before` of a deletion: everything needed to recreate the log group.

    `retention_days` is the group's own, which is not visible under an account-level policy.
    """

    arn: str
    retention_days: Days | None
    retention_policy: Short | None
    log_class: LogClass = Field(alias="class")
    kms_key_id: Short | None
    tags: dict[Annotated[str, StringConstraints(max_length=128)], Short] = Field(max_length=200)
    bearer_token: bool = False
    data_protection_policy: Document | None = None
    index_policy: Document | None = None
    transformer: tuple[dict[str, Any], ...] = Field(default=(), strict=False, max_length=100)
    metric_filters: tuple[Filter, ...] = Field(default=(), strict=False, max_length=100)
    subscription_filters: tuple[Filter, ...] = Field(default=(), strict=False, max_length=100)
    resource_policy: Document | None = None
    syslog_endpoints: tuple[Short, ...] = Field(default=(), strict=False, max_length=100)

    @property
    def extras(self) -> Extras:
        """The settings that DescribeLogGroups does not show."""
        return Extras(
            self.data_protection_policy,
            self.index_policy,
            self.transformer,
            self.metric_filters,
            self.subscription_filters,
            self.resource_policy,
            self.syslog_endpoints,
        )


class PolicyState(_Strict):
    """`before` or `after` of a change to an account-level retention policy, whose name is in
    `group`; empty for no policy.
    """

    document: Document | None = None
    criteria: Document | None = None

    def policy(self, name: str) -> AccountPolicy | None:
        """Return the policy under this name; None for no policy."""
        return None if self.document is None else AccountPolicy(name, self.document, self.criteria)


@dataclass(frozen=True, slots=True)
class PolicyPut:
    """An account-level policy was put or deleted, or (not `sure`) may have been. `creation_time` is
    0: AWS does not return any.
    """

    creation_time: int
    sure: bool
    before: AccountPolicy | None
    after: AccountPolicy | None


@dataclass(frozen=True, slots=True)
class Put:
    """Retention was set, or (not `sure`) may have been."""

    creation_time: int
    sure: bool
    before: int | None
    after: int | None
    lost: int = 0
    """Estimated bytes of events that it deleted."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """The group was deleted, or (not `sure`) may have been."""

    creation_time: int
    sure: bool
    definition: Definition


Step = Put | Deletion | PolicyPut


class _Replacement(Protocol[_T_co]):
    """A Put or PolicyPut."""

    @property
    def sure(self) -> bool: ...
    @property
    def before(self) -> _T_co: ...
    @property
    def after(self) -> _T_co: ...


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """What was done, in order, to the log groups of one name, or (`policy`) to the account-level
    policy of that name.
    """

    account: str
    region: str
    group: str
    steps: tuple[Step, ...]
    policy: bool = False

    @property
    def target(self) -> Target:
        """The account and Region."""
        return Target(self.account, self.region)

    @property
    def deleted(self) -> bool:
        """Whether a group of this name was deleted, or may have been."""
        return any(isinstance(step, Deletion) for step in self.steps)


@dataclass
class History:
    """All that the journals say. `streams` counts swept streams by (account, Region, group);
    `complaints` name journals with rejected lines, `others` files that are not journals. `torn`
    counts journals whose last line was cut off by a crash: a change that it was to announce never
    began, and one that it was to confirm counts as perhaps made.
    """

    pasts: list[GroupHistory] = field(default_factory=list)
    streams: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    lines: int = 0
    torn: int = 0

    @property
    def accounts(self) -> list[str]:
        """The accounts with changes, sorted."""
        places = [past.account for past in self.pasts] + [key[0] for key in self.streams]
        return sorted(set(places))

    @property
    def regions(self) -> list[str]:
        """The Regions with changes, sorted."""
        places = [past.region for past in self.pasts] + [key[1] for key in self.streams]
        return sorted(set(places))


_Key = tuple[str, str, str, str, int, str]


def read(journals: Iterable[tuple[str, str]]) -> History:
    """Return the history in journals, each (name for messages, text), in any order.

    Duplicate lines (in the log and in an archive) count once. Lines that are not understood are
    skipped, with one complaint for each journal.
    """
    history = History()
    parsed = [_parse(name, text, history) for name, text in journals]
    parsed.sort(key=lambda lines: lines[0].at if lines else 0)
    seen: set[str] = set()
    open_: dict[_Key, JournalLine] = {}
    steps: dict[tuple[str, str, str, bool], list[tuple[int, Step]]] = {}

    def add_step(line: JournalLine, begun: JournalLine | None, *, sure: bool) -> None:
        step = _step(begun or line, sure=sure)
        if step is not None:
            place = (line.account, line.region, line.group, isinstance(step, PolicyPut))
            steps.setdefault(place, []).append(((begun or line).at, step))

    for line in (line for lines in parsed for line in lines):
        text = line.model_dump_json()
        if text in seen:
            continue
        seen.add(text)
        history.lines += 1
        if line.action == "sweep_streams":
            done = line.status == "done" or line.perhaps_done
            history.streams[line.account, line.region, line.group] += done
            continue
        # Two runs may announce the same change: neither ends the other's.
        place = line.account, line.region, line.group
        key = (line.run, *place, line.creation_time, line.action)
        if line.status == BEGUN:
            if (unended := open_.get(key)) is not None:
                add_step(unended, unended, sure=False)
            open_[key] = line
            continue
        begun = open_.pop(key, None)
        if line.status == "done" or line.perhaps_done:
            add_step(line, begun, sure=line.status == "done")
    for line in open_.values():
        add_step(line, line, sure=False)
    for (account, region, group, policy), timed in steps.items():
        ordered = [step for _, step in sorted(timed, key=lambda at_step: at_step[0])]
        following = [*ordered[1:], None]
        made = (s for s, later in zip(ordered, following, strict=True) if not _in_vain(s, later))
        history.pasts.append(GroupHistory(account, region, group, tuple(made), policy))
    history.streams = +history.streams
    return history


def _in_vain(step: Step, later: Step | None) -> bool:
    """Whether a change that may have been made was not, because the next one found the state as it
    was before.
    """
    match step, later:
        case Deletion(created, False), Deletion(creation_time):
            return created == creation_time
        case (Put(created, False, before), Put(creation_time, _, found)) | (
            PolicyPut(created, False, before),
            PolicyPut(creation_time, _, found),
        ):
            return (created, before) == (creation_time, found)
    return False


def _step(line: JournalLine, *, sure: bool) -> Step | None:
    """Return what a line says was done. Recreating a group and adding tags are not steps, because
    an undo never deletes.
    """
    if line.action == "delete_group":
        return Deletion(line.creation_time, sure, Definition.model_validate(line.before))
    if line.action in ("set_retention", "restore_retention"):
        old = Retention.model_validate(line.before)
        before, after = old.retention_days, Retention.model_validate(line.after).retention_days
        age = line.at - line.creation_time
        lost = 0 if after is None else lost_bytes(old.stored_bytes, age, before, after)
        return Put(line.creation_time, sure, before, after, lost)
    if line.action in ("set_account_policy", "restore_account_policy"):
        states = (PolicyState.model_validate(state) for state in (line.before, line.after))
        return PolicyPut(line.creation_time, sure, *(state.policy(line.group) for state in states))
    return None


def _parse(name: str, text: str, history: History) -> list[JournalLine]:
    """Return the journal lines in a text. Notes in `history` what is not understood."""
    lines: list[JournalLine] = []
    rejected, torn = list[str](), False
    # A journal file contains only journal lines; a log has others as well.
    is_file = text.startswith(START)
    for number, (line, is_last) in enumerate(_json_texts(text, every_line=is_file), 1):
        try:
            raw = from_json(line[:LONGEST_LINE])
            if not isinstance(raw, dict) or raw.get("event") != EVENT:
                if is_file:
                    rejected.append(f"line {number}: it is not a journal line")
                continue
            parsed = JournalLine.model_validate({k: v for k, v in raw.items() if k not in LOGGED})
            _step(parsed, sure=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the line"
            rejected.append(f"line {number}: {key}: {first['msg']}")
        except ValueError as error:
            if is_last:
                torn = True
            else:
                rejected.append(f"line {number}: {error}")
        else:
            lines.append(parsed)
    if rejected:
        history.complaints.append(
            f"{name}: {len(rejected)} line{'s' * (len(rejected) > 1)} cannot be understood "
            f"(damaged, or from another version?); ignored; the first: {rejected[0]}"
        )
    if is_file or lines:
        history.torn += torn
    elif text.strip() and not rejected:
        history.others.append(name)
    return lines


def _json_texts(text: str, *, every_line: bool) -> Iterator[tuple[str, bool]]:
    """Yield the JSON object on each line that has one, and whether no line end follows it; with
    `every_line` also lines that are not JSON. For the single object that
    `aws logs filter-log-events` prints, the lines are its events' messages.
    """
    # Not splitlines: it also splits at Unicode line ends, which occur in names and policies.
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() == "{":
        try:
            output = from_json(text)
        except ValueError:
            output = None
        if isinstance(output, dict) and isinstance(output.get("events"), list):
            events = (event for event in output["events"] if isinstance(event, dict))
            lines = [*(str(event.get("message")) for event in events), ""]
    for number, line in enumerate(lines, 1):
        start = _LOGGED_LINE.match(line)
        if start or (every_line and line.strip()):
            yield line[start.end() - 1 if start else 0 :], number == len(lines)


def state_before(now: _T, puts: Iterable[_Replacement[_T]]) -> tuple[_T, bool]:
    """Return the retention, or policy, as it was before the first of these puts, by undoing them
    in reverse from its state `now`.

    The second value is whether somebody else changed it in between: then only the puts after that
    change are undone.
    """
    ordered = list(puts)
    for put in reversed(ordered):
        if now == put.after:
            now = put.before
        elif put.sure:
            return now, now != ordered[0].before
    return now, False


def lost_for_good(history: History, wanted: Callable[[GroupHistory], bool]) -> str:
    """Return the text about what no undo of the wanted log groups can bring back."""
    deleted = sum(past.deleted for past in history.pasts if wanted(past))
    swept = sum(n for place, n in history.streams.items() if wanted(GroupHistory(*place, ())))
    puts = (step for past in history.pasts if wanted(past) for step in past.steps)
    lost = sum(step.lost for step in puts if isinstance(step, Put))
    groups, streams = counted(deleted, "deleted log group"), counted(swept, "swept log stream")
    parts = (
        (deleted, f"the log streams, events and creation times of {groups}"),
        (swept, f"{streams} and their events"),
    )
    gone = "; ".join(text for count, text in parts if count)
    never = [f"what cannot come back: {gone}"] if gone else []
    return "\n".join([*never, loss(lost, dry_run=False)])


def select(
    pasts: Iterable[GroupHistory], wanted: Callable[[GroupHistory], bool]
) -> list[GroupHistory]:
    """Return the wanted histories, the last changed first, because an undo goes backwards."""
    return [past for past in reversed(list(pasts)) if wanted(past)]
