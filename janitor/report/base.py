"""The interface of every format, and the row that the machine-readable ones share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

import structlog

from janitor.core.errors import UsageError
from janitor.core.model import (
    Ingestion,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    verb_of,
)
from janitor.cost.money import PriceList, monthly_usd, saves_usd
from janitor.report.summary import Summary

log = structlog.get_logger("janitor")


class Format(StrEnum):
    """The values of `--format`."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


SCHEMA = 1
"""The version of what `--format json` prints (`janitor.report.schema`)."""


def unit(path: Sequence[str]) -> str:
    """The organizational units that an account is in, from the top, in a line."""
    return "/".join(path) or "(no organizational unit)"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run was about: the `run` object of `--format json`."""

    id: str
    command: str
    version: str
    started: str
    account: str
    regions: list[str]
    policy: str
    policy_sha256: str
    dry_run: bool

    @property
    def several(self) -> bool:
        """Whether it is about more than one account."""
        return "," in self.account

    @property
    def accounts(self) -> str:
        """For people: the account, or how many there are."""
        count = len(self.account.split(","))
        return f"account {self.account}" if count == 1 else f"{count:,} accounts"

    def place(self, target: Target) -> str:
        """Where a log group is, for people: the Region, and the account if there are several."""
        return f"{target.account}  {target.region}" if self.several else target.region

    @property
    def surveyed(self) -> bool:
        """Whether every log group was read: `apply` reads only those of its plan."""
        return self.command != "apply"

    def as_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"schema": SCHEMA, **asdict(self)}


class Report(Protocol):
    """A format. `scanned` and `finding` come as things happen; one call at a time."""

    def start(self, info: RunInfo) -> None:
        """Before anything was called."""

    def scanned(self, group: LogGroup) -> None:
        """A log group was read."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """What arrived in it, where that was asked for and could be read; right after `scanned`."""

    def finding(self, outcome: Outcome) -> None:
        """An outcome to show."""

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes that are plainly kept: they count, but are not shown."""

    def finish(self, summary: Summary) -> None:
        """After everything."""


def row(outcome: Outcome, prices: PriceList) -> dict[str, Any]:
    """An outcome as one flat record: bytes, days, ms since the epoch, USD a month.

    `monthly_usd` and `saves_usd` are None where there is no price; `orphan_of` is the owner that
    the name speaks of, where that was asked for and is gone.
    """
    group, action = outcome.group, outcome.action
    return {
        "account": group.target.account,
        "region": group.target.region,
        "group": group.name,
        "creation_time": group.creation_time,
        "action": verb_of(action).value,
        "status": outcome.status.value,
        "reason": outcome.reason,
        "rule": action.rule,
        "stored_bytes": group.stored_bytes,
        "retention_days": group.retention_days,
        "retention_policy": group.retention_policy,
        "class": group.log_class,
        "new_retention_days": action.days if isinstance(action, SetRetention) else None,
        "streams": outcome.streams if isinstance(action, SweepStreams) else None,
        "monthly_usd": monthly_usd(group, prices),
        "saves_usd": saves_usd(outcome, prices),
        "orphan_of": group.orphan_of,
    }


def full_row(outcome: Outcome, prices: PriceList) -> dict[str, Any]:
    """The row and, in `evidence`, what was looked at."""
    return {**row(outcome, prices), "evidence": [asdict(evidence) for evidence in outcome.evidence]}


def tagged_row(outcome: Outcome, prices: PriceList) -> dict[str, Any]:
    """The full row and the group's tags, None where they were not read: the findings of JSON."""
    tags = outcome.group.tags
    return {**full_row(outcome, prices), "tags": None if tags is None else dict(tags)}


def dollars(usd: float | None) -> str:
    """USD for people: $12.30, <$0.01, and "unknown" where there is no price."""
    if usd is None:
        return "unknown"
    return "<$0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def check_table_or_json(command: str, form: Format) -> None:
    """Raise UsageError on a format that the command does not print."""
    if form not in (Format.TABLE, Format.JSON):
        raise UsageError(f"--format: {command} prints table or json, not {form}")


def counted(count: int, noun: str) -> str:
    """A number and what it counts: 1 log group, 2 log groups."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def is_finding(outcome: Outcome) -> bool:
    """Whether it is shown without `--all`: everything that is not plainly kept."""
    return outcome.status is not Status.KEPT


def log_outcome(outcome: Outcome) -> None:
    """Changes and failures are always worth a line; kept groups only when asked for more."""
    fields = {
        "account": outcome.group.target.account,
        "region": outcome.group.target.region,
        "group": outcome.group.name,
        "action": verb_of(outcome.action).value,
        "status": outcome.status.value,
        "reason": outcome.reason,
    }
    if outcome.status is Status.FAILED:
        log.error("outcome", **fields)
    elif outcome.status is Status.KEPT:
        log.debug("outcome", **fields)
    else:
        log.info("outcome", **fields)
