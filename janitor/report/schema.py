"""The JSON Schema of `--format json`, and of a fleet's report: `janitor schema` prints it.

`run.schema` is its version: it grows where a key goes, or means something else. New keys may come
without that.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from janitor.core import native
from janitor.core.model import Status, UndoAction, Verb
from janitor.report.base import SCHEMA

Bytes = int
Ms = int
Usd = float | None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Run(_Part):
    """What the run was about. `started` is ISO 8601; `policy_sha256` is over what it decides."""

    version_of_schema: Literal[1] = Field(alias="schema", description="The version of this schema.")
    id: str
    command: str
    version: str
    started: str
    account: str = Field(description="Several with commas between.")
    regions: list[str]
    policy: str
    policy_sha256: str
    dry_run: bool


class Evidence(_Part):
    """One thing that was looked at: by which call, what it said, and when (ms since the epoch)."""

    source: str
    finding: str
    at: Ms


class Finding(_Part):
    """A log group, and what would be or was done with it. One with two actions has two."""

    account: str
    region: str
    group: str
    creation_time: Ms
    action: Verb
    status: Status
    reason: str
    rule: str
    stored_bytes: Bytes
    retention_days: int | None = Field(description="In force when it was read; null: never.")
    retention_policy: str | None = Field(description="The account-level policy that decides it.")
    log_class: str = Field(alias="class")
    new_retention_days: int | None
    streams: int | None = Field(description="Of a sweep.")
    monthly_usd: Usd = Field(description="Its storage now; null without a price.")
    saves_usd: Usd = Field(description="A month, at steady state.")
    orphan_of: str | None
    evidence: list[Evidence]
    tags: dict[str, str] | None = Field(description="null where they were not read.")


class RegionMoney(_Part):
    """Of one Region and log class."""

    region: str
    log_class: str = Field(alias="class")
    groups: int
    stored_bytes: Bytes
    freed_at_once_bytes: Bytes
    freed_steady_bytes: Bytes
    storage_usd: Usd
    saved_at_once_usd: Usd
    saved_steady_usd: Usd


class Money(_Part):
    """USD a month."""

    currency: Literal["USD"]
    prices_date: str
    prices_source: str
    storage_usd: Usd
    saved_at_once_usd: Usd
    saved_steady_usd: Usd
    freed_at_once_bytes: Bytes = Field(description="Existing events that are lost for good.")
    freed_steady_bytes: Bytes
    expires_in_30_days_bytes: Bytes | None = Field(description="Under the retention in force.")
    groups_without_price: int
    bytes_without_price: Bytes
    by_region: list[RegionMoney]
    note: str


class Planned(_Part):
    """What a plan holds; of sweeps the streams."""

    set_retention: int
    delete_group: int
    sweep_streams: int


class Pace(_Part):
    """A quota that set the pace."""

    operation: str
    target: str
    calls: int
    per_second: float
    seconds: float


class TopGroup(_Part):
    """A log group in which most arrives."""

    account: str
    region: str
    group: str
    log_class: str = Field(alias="class")
    bytes: Bytes
    usd_a_month: Usd
    share: float
    retention_days: int | None
    infrequent_access_saves_usd: float
    advice: list[str]


class TopPrefix(_Part):
    """A prefix under which most arrives."""

    prefix: str
    groups: int
    bytes: Bytes
    usd_a_month: Usd
    share: float


class Ingestion(_Part):
    """What arrived (`--ingestion`)."""

    days: int
    groups: int
    unread: int
    bytes: Bytes
    usd_a_month: Usd
    bytes_without_price: Bytes
    no_arrivals: int
    infrequent_access_saves_usd: float = Field(description="Of the top groups together.")
    top_groups: list[TopGroup]
    top_prefixes: list[TopPrefix]
    metrics_asked: int
    metrics_usd: Usd
    failures: list[str]
    note: str


class CarriedOut(_Part):
    """What became of the lines of a plan."""

    planned: int
    done: int
    failed: int
    refused: int
    unknown: int
    not_reached: int
    changed_since: int


class Asked(_Part):
    """What asking for owners and metrics took."""

    owner_calls: int
    metrics: int
    metrics_usd: Usd


class OrphanGroups(_Part):
    """Log groups whose owner is gone."""

    groups: int
    stored_bytes: Bytes
    monthly_usd: Usd
    unread: int


class Part(_Part):
    """One part of `--by`. Counts are of log groups, and of log streams in `sweep_streams`: of what
    would be done, or was.
    """

    part: str
    name: str | None = Field(description="Of an account, where the organization was asked.")
    groups: int
    stored_bytes: Bytes
    storage_usd: float
    saves_usd: float
    lost_bytes: Bytes
    ingested_bytes: Bytes | None
    ingestion_usd: Usd
    set_retention: int
    delete_group: int
    sweep_streams: int
    unknown: int = Field(description="Without those that are acknowledged.")
    failed: int
    refused: int
    not_reached: int
    errors: list[str]


class By(_Part):
    """The parts of `--by`, the most expensive first."""

    by: str
    rows: list[Part]


class Decided(_Part):
    """What was decided about a log group."""

    action: Verb
    status: Status
    retention_days: int | None
    new_retention_days: int | None


class Place(_Part):
    """A log group."""

    account: str
    region: str
    group: str


class Listed(Place, Decided):
    """A log group that has a finding in one of the two reports."""


class Changed(Place):
    """A log group that has a finding in both, and another one than before."""

    old: Decided
    new: Decided


class Figure(_Part):
    """A figure of the older report and of this one."""

    old: float | None
    new: float | None


class Since(_Part):
    """What changed since an older report (`--since`); `started` is when that one was made."""

    started: str
    summary: dict[str, Figure]
    new: list[Listed]
    gone: list[Listed]
    changed: list[Changed]


class Summary(_Part):
    """The whole run. Keys that are null in the schema are absent where there is nothing to say."""

    groups_scanned: int
    stored_bytes: Bytes
    money: Money
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    planned: Planned = Field(description="What a plan would hold.")
    would: Planned | None = Field(
        None,
        description="In a dry run: what would be done of it. Less where a limit refuses deletions, "
        "or a survey did not finish; some log groups then get retention instead.",
    )
    kept: int
    unknown: int
    acknowledged: int
    failed: int
    refused: int
    gone: int
    not_reached: int
    api_calls: int
    throttled: int
    calls: dict[str, int]
    throttled_calls: dict[str, int]
    pace: list[Pace]
    complete: bool
    warnings: list[str]
    errors: list[str]
    refused_because: str | None = None
    ingestion: Ingestion | None = None
    carried_out: CarriedOut | None = None
    asked: Asked | None = None
    orphans: OrphanGroups | None = None
    by: By | None = None
    since: Since | None = None


class Report(_Part):
    """The object that `--format json` prints; `jsonl` has the same parts, a line each."""

    run: Run
    findings: list[Finding]
    summary: Summary


class NativeFinding(_Part):
    """A policy of an account, or a rule that cannot be made one, and what becomes of it."""

    account: str
    region: str
    action: native.Verb
    rule: str
    policy: str
    status: Status
    reason: str
    before: native.AccountPolicy | None
    after: native.AccountPolicy | None
    impact: native.Impact | None = Field(description="AWS's estimate of what it changes.")


class NativeSummary(_Part):
    """Account-level policies by what became of them."""

    planned: int
    done: int
    kept: int
    refused: int
    failed: int
    not_reached: int
    complete: bool
    errors: list[str]


class NativeReport(_Part):
    """The object that `native --format json` prints."""

    run: Run
    findings: list[NativeFinding]
    summary: NativeSummary


class RestoreFinding(_Part):
    """A log group or an account-level policy, and what of it is put back."""

    account: str
    region: str
    group: str
    action: UndoAction
    status: Status
    reason: str
    changes: list[str]
    left: list[str] = Field(description="What it does not get back.")


class RestoreSummary(_Part):
    """The whole undo."""

    groups_restored: int
    retention_restored: int
    account_policies_restored: int
    planned: dict[UndoAction, int]
    needs: list[str] = Field(description="The IAM actions that what is planned takes.")
    kept: int
    unknown: int
    failed: int
    not_reached: int
    api_calls: int
    throttled: int
    calls: dict[str, int]
    pace: list[Pace]
    complete: bool
    warnings: list[str]
    errors: list[str]


class RestoreReport(_Part):
    """The object that `restore --format json` prints."""

    run: Run
    findings: list[RestoreFinding]
    summary: RestoreSummary


class FleetSummary(Summary):
    """The whole run of a fleet. A target is an account and Region."""

    accounts: int
    accounts_failed: int
    targets: int
    targets_failed: int


class Sums(_Part):
    """Of some targets: what is there, and what was planned and done. USD a month."""

    targets: int
    targets_failed: int
    groups_scanned: int
    stored_bytes: Bytes
    storage_usd: Usd
    saved_steady_usd: Usd
    freed_at_once_bytes: Bytes
    planned: Planned
    would: Planned = Field(description="What limits and unfinished surveys let happen of it.")
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    unknown: int
    failed: int
    refused_because: str | None = Field(description="Of an account that is over its limits.")


class AccountSums(Sums):
    """Of an account."""

    account: str
    name: str
    organizational_unit: str


class UnitSums(Sums):
    """Of the accounts in an organizational unit, its names joined by slashes."""

    organizational_unit: str


class RegionSums(Sums):
    """Of a Region, in all accounts."""

    region: str


class Failure(_Part):
    """What failed where."""

    account: str
    region: str | None = Field(description="null: every Region.")
    why: str


class FleetReport(_Part):
    """The object that a fleet's run leaves in its bucket, as `report.json`."""

    run: Run
    summary: FleetSummary
    total: Sums
    accounts: list[AccountSums]
    organizational_units: list[UnitSums]
    regions: list[RegionSums]
    failed: list[Failure]


REPORTS: dict[str, type[BaseModel]] = {
    "report": Report,
    "native": NativeReport,
    "restore": RestoreReport,
    "fleet": FleetReport,
}
"""By command; `run` and `apply` print what `report` does."""


def json_schema(command: str = "report") -> dict[str, Any]:
    """The JSON Schema of a command's `--format json`, or of the report of a deployed fleet."""
    made = REPORTS[command].model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cloudwatch-janitor:{command}:{SCHEMA}",
        **{key: value for key, value in made.items() if key != "title"},
        "title": f"cloudwatch-janitor {command}, version {SCHEMA}",
    }
