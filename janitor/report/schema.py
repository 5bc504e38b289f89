"""The JSON Schema of `--format json` and of a fleet's report, which `janitor schema` prints.

`run.schema` is its version, which grows when a key is removed or changes its meaning, but not when
one is added.
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
    """What the run covered. `started` is ISO 8601; `policy_sha256` covers the policy's meaning."""

    version_of_schema: Literal[1] = Field(alias="schema", description="The version of this schema.")
    id: str
    command: str
    version: str
    started: str
    account: str = Field(description="Several are separated by commas.")
    regions: list[str]
    policy: str
    policy_sha256: str
    dry_run: bool


class Evidence(_Part):
    """One piece of evidence: the call, what it found, and when (ms since the epoch)."""

    source: str
    finding: str
    at: Ms


class Finding(_Part):
    """A log group, and what would be or was done with it. One with two actions has two findings."""

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
    retention_policy: str | None = Field(description="The account-level policy that sets it.")
    log_class: str = Field(alias="class")
    new_retention_days: int | None
    streams: int | None = Field(description="Only of a sweep: how many would be or were deleted.")
    monthly_usd: Usd = Field(description="Its storage now; null without a price.")
    saves_usd: Usd = Field(description="A month, at steady state.")
    orphan_of: str | None = Field(description="The owner in its name, if that no longer exists.")
    evidence: list[Evidence]
    tags: dict[str, str] | None = Field(description="null if they were not read.")


class RegionMoney(_Part):
    """The money of one Region and log class."""

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
    """Counts by verb: log groups, and log streams in `sweep_streams`."""

    set_retention: int
    delete_group: int
    sweep_streams: int


class Where(_Part):
    """An account and Region."""

    account: str
    region: str


class Pace(_Part):
    """A quota that set the pace."""

    operation: str
    target: str
    calls: int
    per_second: float
    seconds: float


class TopGroup(_Part):
    """One of the log groups with the most ingestion."""

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
    """One of the name prefixes with the most ingestion."""

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
    infrequent_access_saves_usd: float = Field(description="For the top groups together.")
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
    """What reading owners and metrics took."""

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
    """One part of `--by`. It counts log groups, and log streams in `sweep_streams`: what would be
    done in a dry run, else what was done.
    """

    part: str
    name: str | None = Field(description="The account's name, with `--org --by account`.")
    groups: int
    stored_bytes: Bytes
    storage_usd: Usd
    saves_usd: Usd
    lost_bytes: Bytes
    ingested_bytes: Bytes | None
    ingestion_usd: Usd
    set_retention: int
    delete_group: int
    sweep_streams: int
    unknown: int = Field(description="Without those acknowledged in the policy.")
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


class Place(Where):
    """A log group."""

    group: str


class Listed(Place, Decided):
    """A log group that has a finding in one of the two reports."""


class Changed(Place):
    """A log group whose finding differs between the two reports."""

    old: Decided
    new: Decided


class Figure(_Part):
    """A figure of the older report and of this one."""

    old: float | None
    new: float | None


class Since(_Part):
    """What changed since an older report (`--since`), which was made at `started`."""

    started: str
    summary: dict[str, Figure]
    new: list[Listed]
    gone: list[Listed]
    changed: list[Changed]


class Summary(_Part):
    """The whole run. Keys that may be null in the schema are absent if they do not apply."""

    groups_scanned: int = Field(
        description="With `apply`: as many as the limits took; their bytes and cost count as none."
    )
    stored_bytes: Bytes
    money: Money
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    planned: Planned = Field(description="What a plan would hold.")
    would: Planned | None = Field(
        None,
        description="In a dry run, what would be done. That is less than planned if a limit or an "
        "unfinished survey refuses deletions; some log groups then get retention instead.",
    )
    refused_in: list[Where] | None = Field(
        None,
        description="Where deletions and sweeps are refused. A dry run's findings there are "
        "planned all the same.",
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
    """The object that `--format json` prints; `jsonl` prints its parts, a line each."""

    run: Run
    findings: list[Finding]
    summary: Summary


class NativeFinding(_Part):
    """An account-level policy, or a rule that cannot become one, and what is done with it."""

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
    """Counts of account-level policies by status."""

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
    """A log group or an account-level policy, and what is restored."""

    account: str
    region: str
    group: str
    action: UndoAction
    status: Status
    reason: str
    changes: list[str]
    left: list[str] = Field(description="What is not restored.")


class RestoreSummary(_Part):
    """The whole undo."""

    groups_restored: int
    retention_restored: int
    account_policies_restored: int
    planned: dict[UndoAction, int]
    needs: list[str] = Field(description="The IAM actions that the plan needs.")
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
    """The whole run of a fleet. A target is an account and a Region."""

    accounts: int
    accounts_failed: int
    targets: int
    targets_failed: int


class Sums(_Part):
    """Sums over some targets: what is there, what was planned and what was done. USD a month."""

    targets: int
    targets_failed: int
    groups_scanned: int
    stored_bytes: Bytes
    storage_usd: Usd
    saved_steady_usd: Usd
    freed_at_once_bytes: Bytes
    planned: Planned
    would: Planned = Field(description="What limits and unfinished surveys allow of the plan.")
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    unknown: int
    failed: int
    refused_because: str | None = Field(description="Only of an account over its limits.")


class AccountSums(Sums):
    """The sums of an account."""

    account: str
    name: str
    organizational_unit: str


class UnitSums(Sums):
    """The sums of an organizational unit, whose names are joined by slashes."""

    organizational_unit: str


class RegionSums(Sums):
    """The sums of a Region over all accounts."""

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
    """Return the JSON Schema of a command's `--format json`, or of a deployed fleet's report."""
    schema = REPORTS[command].model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cloudwatch-janitor:{command}:{SCHEMA}",
        **{key: value for key, value in schema.items() if key != "title"},
        "title": f"cloudwatch-janitor {command}, version {SCHEMA}",
    }
