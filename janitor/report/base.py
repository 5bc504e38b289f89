"""The interface of every format, and the row that the machine-readable formats share."""

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
from janitor.core.text import counted
from janitor.cost.money import monthly_usd, saves_usd
from janitor.cost.prices import PriceList
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


SUFFIXES = {
    "": Format.TABLE,
    ".txt": Format.TABLE,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".csv": Format.CSV,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".html": Format.HTML,
    ".htm": Format.HTML,
}
"""The format of a file by its suffix, unless `--format` is given."""

SCHEMA = 1
"""The version of what `--format json` prints (`janitor.report.schema`)."""


def unit(path: Sequence[str]) -> str:
    """Return an account's organizational units, topmost first, joined by slashes."""
    return "/".join(path) or "(no organizational unit)"


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a run covered: the `run` object of `--format json`."""

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
        """Whether the run covered more than one account."""
        return "," in self.account

    @property
    def accounts(self) -> str:
        """The account, or the number of accounts, for people."""
        count = len(self.account.split(","))
        return f"account {self.account}" if count == 1 else counted(count, "account")

    def place(self, target: Target) -> str:
        """Return the Region for people, after the account unless it is the only one of the run."""
        only = target.account == self.account
        return target.region if only else f"{target.account}  {target.region}"

    @property
    def surveyed(self) -> bool:
        """Whether every log group was read; `apply` reads only those in its plan."""
        return self.command != "apply"

    def as_dict(self) -> dict[str, Any]:
        """Return the `run` object of `--format json`."""
        return {"schema": SCHEMA, **asdict(self)}


class Report(Protocol):
    """A format. Calls arrive one at a time, while the run goes on."""

    def start(self, info: RunInfo) -> None:
        """Called before any outcome is shown."""

    def scanned(self, group: LogGroup) -> None:
        """Called for each log group that was read, perhaps before `start`, which waits until the
        run can no longer be refused.
        """

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Called right after `scanned` if the group's ingestion was asked for and could be read."""

    def finding(self, outcome: Outcome) -> None:
        """Called for each outcome to show."""

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Called with outcomes that are counted but not shown, because nothing happens."""

    def finish(self, summary: Summary) -> None:
        """Called last."""


class NullReport:
    """Writes nothing: the base of formats that ignore some of the calls."""

    def start(self, info: RunInfo) -> None:
        """Ignore it."""

    def scanned(self, group: LogGroup) -> None:
        """Ignore it."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Ignore it."""

    def finding(self, outcome: Outcome) -> None:
        """Ignore it."""

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Ignore them."""

    def finish(self, summary: Summary) -> None:
        """Ignore it."""


def row(outcome: Outcome, prices: PriceList) -> dict[str, Any]:
    """Return an outcome as one flat record: bytes, days, ms since the epoch, USD a month.

    `monthly_usd` and `saves_usd` are None without a price. `orphan_of` is the owner in the group's
    name, if owners were asked and it no longer exists.
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
    """Return the row with the outcome's evidence."""
    return {**row(outcome, prices), "evidence": [asdict(evidence) for evidence in outcome.evidence]}


def tagged_row(outcome: Outcome, prices: PriceList) -> dict[str, Any]:
    """Return a finding of JSON: the full row with the group's tags, None if they were not read."""
    tags = outcome.group.tags
    return {**full_row(outcome, prices), "tags": None if tags is None else dict(tags)}


def dollars(usd: float | None) -> str:
    """Return USD for people: $12.30, <$0.01, or "unknown" without a price."""
    if usd is None:
        return "unknown"
    return "<$0.01" if 0 < usd < 0.01 else f"${usd:,.2f}"


def percent(part: float, whole: float) -> str:
    """Return a share for people: 35%, <1%, or a dash of nothing."""
    if not whole:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f}%" if share >= 1 or share == 0 else "<1%"


def check_table_or_json(command: str, form: Format) -> None:
    """Raise UsageError on any other format."""
    if form not in (Format.TABLE, Format.JSON):
        raise UsageError(f"--format: {command} prints table or json, not {form}")


def is_finding(outcome: Outcome) -> bool:
    """Return whether an outcome is shown without `--all`: everything but what is kept."""
    return outcome.status is not Status.KEPT


def log_outcome(outcome: Outcome) -> None:
    """Log changes and failures at info and error, kept groups only at debug."""
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
