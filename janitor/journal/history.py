"""What journals say was done to each log group: the material of an undo. Pure, apart from files.

Understands journal files, the Lambda function's log lines, and both as `aws logs` prints them. A
journal is an input: nothing in it is taken for more than the janitor itself could have written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from janitor.journal.journal import BEGUN, EVENT, LONGEST_TEXT, START
from janitor.policy.file import LogClass
from janitor.policy.native import OWN

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

LOGGED = ("level", "timestamp", "request_id", "run_id")
"""What the function's logger adds to a journal line."""

_LOGGED_LINE = re.compile(r"(?:\d{4}-\d\d-\d\dT\S+ (?:\S+ )?)?\{")
"""The start of an object on a line of its own; `aws logs tail` puts time and stream before it."""

LONGEST_LINE = 1_048_576
"""Characters; a log event has no more bytes, and no definition of a log group needs as much."""

Moment = Annotated[int, Field(ge=0, lt=10**14)]
Days = Annotated[int, Field(ge=1, le=36_500)]
"""AWS accepts some of them only, and says so."""
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Short = Annotated[str, StringConstraints(max_length=256)]
Document = Annotated[str, StringConstraints(max_length=100_000)]


def _puttable(described: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(described.get("filterName"), str):
        raise ValueError("a filter without filterName")
    if odd := described.keys() - {*FILTER_KEYS}:
        raise ValueError(f"a filter with {', '.join(sorted(odd))}")
    return described


Filter = Annotated[dict[str, Any], AfterValidator(_puttable)]


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
    """`before` and `after` of a change of retention; None: events never expire. `stored_bytes` is
    what the log group held before.
    """

    retention_days: Days | None
    stored_bytes: int = Field(0, ge=0, lt=2**63)


class Definition(_Strict):
    """`before` of a deletion: all that it takes to make the log group again.

    `retention_days` is the group's own; under an account-level policy it was not to be seen.
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
        """What DescribeLogGroups does not show."""
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
    """`before` and `after` of a change of an account-level retention policy, which the line names
    as its group; nothing for no policy.
    """

    document: Document | None = None
    criteria: Document | None = None

    def policy(self, name: str) -> AccountPolicy | None:
        """The policy of that name."""
        return None if self.document is None else AccountPolicy(name, self.document, self.criteria)


@dataclass(frozen=True, slots=True)
class PolicyPut:
    """An account-level policy was put or deleted, or (not `sure`) may have been; AWS tells no
    `creation_time` of it.
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
    """Bytes of events that it deleted, as estimated."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """The group was deleted, or (not `sure`) may have been."""

    creation_time: int
    sure: bool
    definition: Definition


Step = Put | Deletion | PolicyPut


class _Made(Protocol[_T_co]):
    """A Put or PolicyPut."""

    @property
    def sure(self) -> bool: ...
    @property
    def before(self) -> _T_co: ...
    @property
    def after(self) -> _T_co: ...


@dataclass(frozen=True, slots=True)
class GroupHistory:
    """What was done to the log groups of one name, in order; or to the account-level `policy` of
    that name.
    """

    account: str
    region: str
    group: str
    steps: tuple[Step, ...]
    policy: bool = False

    @property
    def target(self) -> Target:
        """Where it is."""
        return Target(self.account, self.region)

    @property
    def deleted(self) -> bool:
        """Whether a group of this name was deleted, or may have been."""
        return any(isinstance(step, Deletion) for step in self.steps)


@dataclass
class History:
    """All that the journals say. `streams` counts swept streams by (account, Region, group);
    `complaints` name what could not be read, `others` what is not a journal at all; `torn` counts
    journals whose last line was cut off by a crash: what it was to announce was not begun, and what
    it was to confirm is looked at.
    """

    pasts: list[GroupHistory] = field(default_factory=list)
    streams: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    lines: int = 0
    torn: int = 0

    @property
    def accounts(self) -> list[str]:
        """The accounts that something was changed in."""
        places = [past.account for past in self.pasts] + [key[0] for key in self.streams]
        return sorted(set(places))

    @property
    def regions(self) -> list[str]:
        """The Regions that something was changed in."""
        places = [past.region for past in self.pasts] + [key[1] for key in self.streams]
        return sorted(set(places))


_Key = tuple[str, str, str, int, str]


def read(journals: Iterable[tuple[str, str]]) -> History:
    """The history in journals of (name for messages, text), in whatever order they are given.

    A line that is there twice (in the log and in an archive) counts once. Lines that are not
    understood are left out and complained about, once for each journal.
    """
    history = History()
    parsed = [_parse(name, text, history) for name, text in journals]
    parsed.sort(key=lambda lines: lines[0].at if lines else 0)
    seen: set[str] = set()
    open_: dict[_Key, JournalLine] = {}
    steps: dict[tuple[str, str, str, bool], list[tuple[int, Step]]] = {}

    def happened(line: JournalLine, begun: JournalLine | None, *, sure: bool) -> None:
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
        key = (line.account, line.region, line.group, line.creation_time, line.action)
        if line.status == BEGUN:
            open_[key] = line
            continue
        begun = open_.pop(key, None)
        if line.status == "done" or line.perhaps_done:
            happened(line, begun, sure=line.status == "done")
    for line in open_.values():
        happened(line, line, sure=False)
    for (account, region, group, policy), found in steps.items():
        found.sort(key=lambda at_step: at_step[0])
        inner = tuple(step for _, step in found)
        history.pasts.append(GroupHistory(account, region, group, inner, policy))
    history.streams = +history.streams
    return history


def _step(line: JournalLine, *, sure: bool) -> Step | None:
    """What a line says was done. A group made again and tags added are no steps: an undo never
    deletes.
    """
    if line.action == "delete_group":
        return Deletion(line.creation_time, sure, Definition.model_validate(line.before))
    if line.action in ("set_retention", "restore_retention"):
        was = Retention.model_validate(line.before)
        before, after = was.retention_days, Retention.model_validate(line.after).retention_days
        age = line.at - line.creation_time
        lost = 0 if after is None else lost_bytes(was.stored_bytes, age, before, after)
        return Put(line.creation_time, sure, before, after, lost)
    if line.action in ("set_account_policy", "restore_account_policy"):
        states = (PolicyState.model_validate(said) for said in (line.before, line.after))
        return PolicyPut(line.creation_time, sure, *(state.policy(line.group) for state in states))
    return None


def _parse(name: str, text: str, history: History) -> list[JournalLine]:
    """The journal lines in a text; notes in `history` what could not be understood."""
    lines: list[JournalLine] = []
    wrong, torn = list[str](), False
    # A journal's own file has nothing else in it; in a log there are others' lines as well.
    own = text.startswith(START)
    found = list(_json_texts(text, everything=own))
    for number, (line, last) in enumerate(found, 1):
        try:
            said = from_json(line[:LONGEST_LINE])
            if not isinstance(said, dict) or said.get("event") != EVENT:
                if own:
                    wrong.append(f"line {number}: it is not a journal line")
                continue
            parsed = JournalLine.model_validate({k: v for k, v in said.items() if k not in LOGGED})
            _step(parsed, sure=True)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"]) or "the line"
            wrong.append(f"line {number}: {key}: {first['msg']}")
        except ValueError as error:
            if last:
                torn = True
            else:
                wrong.append(f"line {number}: {error}")
        else:
            lines.append(parsed)
    if wrong:
        history.complaints.append(
            f"{name}: {len(wrong)} line{'s' * (len(wrong) > 1)} cannot be understood (damaged, or "
            f"from another version?); ignored; the first: {wrong[0]}"
        )
    if own or lines:
        history.torn += torn
    elif text.strip() and not wrong:
        history.others.append(name)
    return lines


def _json_texts(text: str, *, everything: bool) -> Iterator[tuple[str, bool]]:
    """What is an object on each line, or `everything` that is not blank; and whether it is behind
    the last line end. Of what `aws logs filter-log-events` prints, a single object, the messages.
    """
    # Not splitlines: Unicode has more line ends, which stand in names and policies.
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() == "{":
        try:
            whole = from_json(text)
        except ValueError:
            whole = None
        if isinstance(whole, dict) and isinstance(whole.get("events"), list):
            messages = (event.get("message") for event in whole["events"] if _is_object(event))
            lines = [*(str(message) for message in messages), ""]
    for number, line in enumerate(lines, 1):
        start = _LOGGED_LINE.match(line)
        if start or (everything and line.strip()):
            yield line[start.end() - 1 if start else 0 :], number == len(lines)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def state_before(now: _T, puts: Iterable[_Made[_T]]) -> tuple[_T, bool]:
    """The retention, or policy, before the first of these puts, when it is `now`; undone in
    reverse.

    The second value is whether somebody else changed it since: then only what came after that
    is undone.
    """
    inner = list(puts)
    for put in reversed(inner):
        if now == put.after:
            now = put.before
        elif put.sure:
            return now, now != inner[0].before
    return now, False


def lost_for_good(history: History, wanted: Callable[[GroupHistory], bool]) -> str:
    """What no undo of the wanted log groups brings back, in words."""
    deleted = sum(past.deleted for past in history.pasts if wanted(past))
    swept = sum(n for place, n in history.streams.items() if wanted(GroupHistory(*place, ())))
    puts = (step for past in history.pasts if wanted(past) for step in past.steps)
    lost = sum(step.lost for step in puts if isinstance(step, Put))
    return (
        f"what cannot come back: the log streams, events and creation times of {deleted:,} "
        f"deleted log groups; {swept:,} swept log streams and their events\n"
        f"{loss(lost, dry_run=False)}"
    )


def select(
    pasts: Iterable[GroupHistory], wanted: Callable[[GroupHistory], bool]
) -> list[GroupHistory]:
    """The last changed first: an undo goes backwards."""
    return [past for past in reversed(list(pasts)) if wanted(past)]
