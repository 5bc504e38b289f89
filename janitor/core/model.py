"""The values that everything else speaks of. Frozen; standard library only.

Those that a scan makes for each of a million log groups are named tuples: a frozen dataclass takes
six times as many instructions to make (CPython 3.11, counted).

Times are milliseconds since the epoch, sizes are bytes, retention is in days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from janitor.core.clock import Clock

LAMBDA_PREFIX = "/aws/lambda/"
"""Before a function's name: the log group that it writes to, unless it is told of another."""


@dataclass(frozen=True, slots=True)
class Target:
    """One account in one Region: quotas, scans and failures are per target."""

    account: str
    region: str

    def __str__(self) -> str:
        return f"{self.account}/{self.region}"


@dataclass(frozen=True, slots=True)
class Ingestion:
    """What arrived in a log group, by the metric `AWS/Logs IncomingBytes` (uncompressed).

    `bytes` is the sum over the last `days` whole days (UTC); `last_day` the start (ms) of the
    latest day with data, today included, or None where nothing arrived.
    """

    bytes: int
    days: int
    last_day: int | None


METRIC_KEPT_DAYS = 455
"""For so long CloudWatch keeps a metric's data points of an hour: 15 months (CloudWatch User Guide,
metrics retention)."""


class Question(NamedTuple):
    """What is asked about a log group that takes calls to find out: whether its `owner` is gone, or
    whether there were no `arrivals` for so many days.
    """

    about: Literal["owner", "arrivals"]
    days: int = 0


OWNER_GONE = Question("owner")
ORPHAN = (OWNER_GONE, Question("arrivals", 30))
"""What a report asks that wants to know of all orphans."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question: whether that is so, None where it could not be read. `owner` is the
    owner that the log group's name speaks of, where it is gone.
    """

    holds: bool | None
    evidence: Evidence
    owner: str = ""


class LogGroup(NamedTuple):
    """A log group as DescribeLogGroups shows it, with its tags where they were read.

    `retention_days` is what is in force: the account-level policy's where
    `retention_policy` names one. None means that events never expire.
    `tags` is None while they have not been read, or could not be.
    `defects` lists values that make no sense; a group with any is never touched.
    `ingestion` is None where it was not asked for, or could not be read; nothing is decided by it.
    `data_protection` is the `dataProtectionStatus`: None where there never was a policy.
    `found` holds the answers to the questions that were asked about it, None where there are none.
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
    found: Mapping[Question, Found] | None = None

    @property
    def orphan_of(self) -> str | None:
        """The owner that its name speaks of, where that was asked for and is gone, and nothing
        arrived since.
        """
        found = self.found or {}
        quiet = any(one.holds for asked, one in found.items() if asked.about == "arrivals")
        gone = found.get(OWNER_GONE)
        return gone.owner if quiet and gone is not None and gone.holds else None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What was found out about it beyond DescribeLogGroups and its tags."""
        return () if self.found is None else tuple(one.evidence for one in self.found.values())

    def with_found(self, found: Mapping[Question, Found]) -> LogGroup:
        """The same with more answers."""
        return self._replace(found={**(self.found or {}), **found})

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """A group created again under the same name is another group, hence the creation time."""
        return (self.target.account, self.target.region, self.name, self.creation_time)


@dataclass(frozen=True, slots=True)
class Extras:
    """What a log group has that DescribeLogGroups does not show; None and () for nothing.

    The policies are JSON documents as text; processors and filters are as the API has them.
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
    """A log stream. The two `last_…` times lag behind the truth and are None when never set.

    DescribeLogStreams' `storedBytes` is left out: it has been 0 for every stream since 2019.
    """

    name: str
    creation_time: int
    last_event: int | None
    last_ingestion: int | None

    def newest(self) -> int:
        """The latest sign of life: created, written or ingested, in ms since the epoch."""
        return max(self.creation_time, self.last_event or 0, self.last_ingestion or 0)


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing is done to the group."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something could not be read or makes no sense: kept, counted, shown."""

    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class SweepStreams:
    """Streams with no sign of life since `before` (ms) are deleted; the group is kept.

    `kept` is the reason to keep the group, for when there turns out to be nothing to sweep.
    """

    reason: str
    rule: str
    before: int
    kept: str = ""


@dataclass(frozen=True, slots=True)
class SetRetention:
    """The group gets `days`; afterwards `then`, if anything."""

    reason: str
    rule: str
    days: int
    then: SweepStreams | None = None


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """The group is deleted if it can be proved empty since `before` (ms); else `otherwise`."""

    reason: str
    rule: str
    before: int
    otherwise: Keep | SetRetention | SweepStreams


Action = Keep | SetRetention | DeleteGroup | SweepStreams | Unknown


class Verb(StrEnum):
    """The names of the actions in every output."""

    KEEP = "keep"
    UNKNOWN = "unknown"
    SET_RETENTION = "set_retention"
    SWEEP_STREAMS = "sweep_streams"
    DELETE_GROUP = "delete_group"


def verb_of(action: Action) -> Verb:
    """The action's name in plans, journals and reports."""
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
    """Enum's own is Python code, which a scan would run twice for each of a million log groups."""

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
    """One thing that was looked at: by which call, what it said, and when (ms)."""

    source: str
    finding: str
    at: int


MADE_AGAIN = "recreated"
"""The source of what is said of who makes a deleted log group again."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change to the account, with what it takes to undo it, for the journal."""

    before: Mapping[str, object] = field(hash=False)
    after: Mapping[str, object] = field(hash=False)


class Outcome(NamedTuple):
    """What was decided for a group, and what became of it.

    `streams` counts the streams of a sweep: to be deleted when planned, deleted otherwise;
    `stream_names` are those that are planned (see `janitor.engine.plan.ActionLine`).
    `acknowledged`: it is unknown, and the policy accepts that for now.
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
        """Why, as a person reads it: the decision, and what happened where it adds something."""
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
    """An outcome of this moment."""
    return Outcome(group, action, status, detail, clock.now(), evidence=tuple(evidence))


UndoAction = Literal["restore_group", "restore_retention", "restore_account_policy"]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What an undo would do, or did, about one log group, or one account-level policy, whose name
    is `group` then. `changes` name what is given back, `left` what is not, and why; `needs` are the
    IAM actions for it.
    """

    target: Target
    group: str
    action: UndoAction
    status: Status
    reason: str
    changes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
