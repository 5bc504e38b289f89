"""The values that all packages share. Frozen; standard library only.

What a scan creates for each of a million log groups is a named tuple: a frozen dataclass takes six
times as many instructions to create (CPython 3.11, counted).

Times are milliseconds since the epoch, sizes are bytes, retention is in days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from janitor.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Target:
    """One account and Region: quotas, scans and failures are per target."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What arrived in a log group, from the metric `AWS/Logs IncomingBytes` (uncompressed).

    `bytes` is the sum over the last `days` whole days (UTC). `last_day` is the start (ms) of the
    latest day with data, today included; None if nothing arrived.
    """

    bytes: int
    days: int
    last_day: int | None


METRIC_KEPT_DAYS = 455
"""Days for which CloudWatch keeps hourly data points: 15 months (CloudWatch User Guide, metrics
retention).
"""


class Question(NamedTuple):
    """A question about a log group that takes calls to answer: whether its `owner` is gone, or
    whether there were no `arrivals` for `days`.
    """

    about: Literal["owner", "arrivals"]
    days: int = 0


OWNER_GONE = Question("owner")
ORPHAN = (OWNER_GONE, Question("arrivals", 30))
"""What a report asks in order to list all orphans."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question: whether it `holds`, None if that could not be read. `owner` is the
    owner that the log group's name refers to, if it is gone.
    """

    holds: bool | None
    evidence: Evidence
    owner: str = ""


class LogGroup(NamedTuple):
    """A log group as DescribeLogGroups shows it, with its tags if they were read.

    `retention_days` is the retention in force: the account-level policy's if `retention_policy`
    names one. None means that events never expire.
    `tags` is None until they are read, and if they cannot be.
    `defects` lists values that make no sense; a group with any is never touched.
    `ingestion` is None if it was not requested or could not be read. It decides nothing.
    `data_protection` is the `dataProtectionStatus`: None if there never was a policy.
    `answers` holds the answers to questions about the group, None if none were asked.
    """

    target: Target
    name: str
    arn: str
    creation_time: int
    stored_bytes: int
    retention_days: int | None = None
    retention_policy: str | None = None
    log_class: str = "STANDARD"
    kms_key_id: str | None = None
    metric_filters: int = 0
    deletion_protected: bool = False
    bearer_token: bool = False
    data_protection: str | None = None
    defects: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    tags_error: str | None = None
    ingestion: Ingestion | None = None
    answers: Mapping[Question, Answer] | None = None

    @property
    def orphan_of(self) -> str | None:
        """The owner that the name refers to, if it was looked for and is gone, and nothing has
        arrived since.
        """
        answers = self.answers or {}
        quiet = any(one.holds for asked, one in answers.items() if asked.about == "arrivals")
        gone = answers.get(OWNER_GONE)
        return gone.owner if quiet and gone is not None and gone.holds else None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What is known of the group beyond DescribeLogGroups and its tags."""
        return () if self.answers is None else tuple(one.evidence for one in self.answers.values())

    def with_answers(self, answers: Mapping[Question, Answer]) -> LogGroup:
        """Return the group with these answers added."""
        return self._replace(answers={**(self.answers or {}), **answers})

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What identifies the group. A group recreated under the same name is another group, hence
        the creation time.
        """
        return (self.target.account, self.target.region, self.name, self.creation_time)


@dataclass(frozen=True, slots=True)
class Extras:
    """The settings of a log group that DescribeLogGroups does not show; None or () if absent.

    The policies are JSON documents as text; processors and filters are as the API returns them.
    `syslog_endpoints` are ids of VPC endpoints.
    """

    data_protection_policy: str | None = None
    index_policy: str | None = None
    transformer: tuple[Mapping[str, object], ...] = ()
    metric_filters: tuple[Mapping[str, object], ...] = ()
    subscription_filters: tuple[Mapping[str, object], ...] = ()
    resource_policy: str | None = None
    syslog_endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogStream:
    """A log stream. The two `last_…` times lag behind the truth; None if never set.

    DescribeLogStreams' `storedBytes` is left out: it has been 0 for every stream since 2019.
    """

    name: str
    creation_time: int
    last_event: int | None
    last_ingestion: int | None

    def newest(self) -> int:
        """Return when the stream was last created, written or ingested (ms since the epoch)."""
        return max(self.creation_time, self.last_event or 0, self.last_ingestion or 0)


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the group alone."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something could not be read or makes no sense: the group is kept, counted and shown."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class SweepStreams:
    """Delete the streams with no sign of life since `before` (ms), and keep the group.

    `kept` is the reason to keep the group, shown if there turns out to be nothing to sweep.
    """

    reason: str
    rule: str
    before: int
    kept: str = ""


@dataclass(frozen=True, slots=True)
class SetRetention:
    """Set a retention of `days`; then do `then`, if given."""

    reason: str
    rule: str
    days: int
    then: SweepStreams | None = None


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """Delete the group if it is proved empty since `before` (ms), else do `otherwise`."""

    reason: str
    rule: str
    before: int
    otherwise: Keep | SetRetention | SweepStreams


Action = Keep | SetRetention | DeleteGroup | SweepStreams | Unknown


class Verb(StrEnum):
    """The action's name in plans, journals and reports."""

    KEEP = "keep"
    UNKNOWN = "unknown"
    SET_RETENTION = "set_retention"
    SWEEP_STREAMS = "sweep_streams"
    DELETE_GROUP = "delete_group"


def verb_of(action: Action) -> Verb:
    """Return the action's name."""
    match action:
        case Keep():
            return Verb.KEEP
        case Unknown():
            return Verb.UNKNOWN
        case SetRetention():
            return Verb.SET_RETENTION
        case SweepStreams():
            return Verb.SWEEP_STREAMS
        case DeleteGroup():
            return Verb.DELETE_GROUP


class Status(StrEnum):
    """What became of an action."""

    __hash__ = str.__hash__
    """Enum's own is Python code, which a scan would run twice for each log group."""

    KEPT = "kept"
    UNKNOWN = "unknown"
    PLANNED = "planned"
    DONE = "done"
    GONE = "gone"
    FAILED = "failed"
    REFUSED = "refused"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence: which call was made, what it showed, and when (ms)."""

    source: str
    finding: str
    at: int


RECREATED = "recreated"
"""The source of evidence about who recreates a deleted log group."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the account, with what an undo needs, for the journal."""

    before: Mapping[str, object] = field(hash=False)
    after: Mapping[str, object] = field(hash=False)


class Outcome(NamedTuple):
    """What was decided for a group, and what became of it.

    `streams` counts the streams of a sweep: to be deleted if it is planned, else those deleted.
    `stream_names` are the planned ones (see `janitor.engine.plan.ActionLine`).
    `acknowledged` means that the group is unknown, and that the policy accepts this for now.
    """

    group: LogGroup
    action: Action
    status: Status
    detail: str
    at: int
    streams: int = 0
    evidence: tuple[Evidence, ...] = ()
    acknowledged: bool = False
    stream_names: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """The reason for people: the decision, and the detail if that adds something."""
        if not self.detail or self.detail == self.action.reason:
            return self.action.reason
        return f"{self.detail} ({self.action.reason})"


def outcome_now(
    clock: Clock,
    group: LogGroup,
    action: Action,
    status: Status,
    detail: str = "",
    evidence: Sequence[Evidence] = (),
) -> Outcome:
    """Return an outcome with the current time."""
    return Outcome(group, action, status, detail, clock.now(), evidence=tuple(evidence))


UndoAction = Literal["restore_group", "restore_retention", "restore_account_policy"]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What an undo would do, or did, to one log group, or to the account-level policy whose name is
    in `group`. `changes` name what is restored, `left` what is not and why; `needs` are the IAM
    actions that the changes take.
    """

    target: Target
    group: str
    action: UndoAction
    status: Status
    reason: str
    changes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
