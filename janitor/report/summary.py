"""The summary of a run: the `summary` object of every machine-readable output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from janitor.core.exit_codes import Exit, exit_code
from janitor.core.model import Status, Target, Verb
from janitor.core.tally import Tally

CHANGES = (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS)


def doing(*, dry_run: bool, changed: bool) -> str:
    """Return whether the account was changed, in words."""
    if dry_run:
        return "dry run: nothing was changed"
    return "changes were made" if changed else "nothing was changed"


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of log groups, log streams and calls; bytes; USD a month in `money`.

    `planned` counts the plan by verb; the three fields before it count what was done. In a dry run
    `would` counts what would be done, which is less than planned if a limit or an unfinished survey
    refuses deletions; `refused_in` are the targets where. `acknowledged` is a part of `unknown`.
    `pace` names the quotas that set the pace, slowest first. `carried_out` says what became of the
    lines of a plan. `asked` says what reading owners and metrics took. `as_dict` omits fields that
    are None.
    """

    groups_scanned: int
    stored_bytes: int
    money: Mapping[str, Any]
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    planned: Mapping[str, int]
    would: Mapping[str, int] | None
    kept: int
    unknown: int
    acknowledged: int
    failed: int
    refused: int
    gone: int
    not_reached: int
    api_calls: int
    throttled: int
    calls: Mapping[str, int]
    throttled_calls: Mapping[str, int]
    pace: Sequence[Mapping[str, Any]]
    complete: bool
    warnings: Sequence[str]
    errors: Sequence[str]
    interrupted: bool = False
    refused_because: str | None = None
    ingestion: Mapping[str, Any] | None = None
    carried_out: Mapping[str, int] | None = None
    asked: Mapping[str, Any] | None = None
    orphans: Mapping[str, Any] | None = None
    by: Mapping[str, Any] | None = None
    since: Mapping[str, Any] | None = None
    refused_in: Collection[Target] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the `summary` object of `--format json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        del values["interrupted"]
        values["refused_in"] = [asdict(target) for target in self.refused_in] or None
        return {name: value for name, value in values.items() if value is not None}

    @property
    def exit_code(self) -> Exit:
        """The exit code of the run, before `--fail-on-findings`."""
        acted = self.carried_out
        left = acted and acted["done"] < acted["planned"]
        return exit_code(
            interrupted=self.interrupted,
            refused=bool(self.refused_because),
            incomplete=bool(not self.complete or self.failed or left),
            unjudged=self.unknown > self.acknowledged,
        )

    @property
    def changes(self) -> Mapping[str, int]:
        """Counts by verb: of what would be done in a dry run, else of what was done."""
        done = (self.retention_set, self.groups_deleted, self.streams_deleted)
        return self.would or dict(zip(CHANGES, done, strict=True))

    @property
    def changed(self) -> bool:
        """Whether anything was changed."""
        return bool(self.retention_set or self.groups_deleted or self.streams_deleted)

    def doing(self, *, dry_run: bool) -> str:
        """Return whether the account was changed, in words."""
        return doing(dry_run=dry_run, changed=self.changed)


def summarize(
    tally: Tally,
    money: Mapping[str, Any],
    calls: Mapping[str, int],
    throttled: Mapping[str, int],
    pace: Sequence[Mapping[str, Any]],
    *,
    would: Mapping[Verb, int] | None = None,
    refused_in: Collection[Target] = (),
    refused_because: str | None = None,
    interrupted: bool = False,
    ingestion: Mapping[str, Any] | None = None,
    carried_out: Mapping[str, int] | None = None,
    asked: Mapping[str, Any] | None = None,
    orphans: Mapping[str, Any] | None = None,
    by: Mapping[str, Any] | None = None,
) -> Summary:
    """Return the summary of a tally. `calls` and `throttled` are by operation; `would` and
    `refused_in` belong to a dry run.
    """
    status = tally.by_status
    return Summary(
        groups_scanned=tally.scanned,
        stored_bytes=tally.stored_bytes,
        money=money,
        retention_set=tally.done[Verb.SET_RETENTION],
        groups_deleted=tally.done[Verb.DELETE_GROUP],
        streams_deleted=tally.done[Verb.SWEEP_STREAMS],
        planned={verb.value: tally.planned[verb] for verb in CHANGES},
        would=None if would is None else {verb.value: would.get(verb, 0) for verb in CHANGES},
        kept=status[Status.KEPT],
        unknown=status[Status.UNKNOWN],
        acknowledged=tally.acknowledged,
        failed=status[Status.FAILED],
        refused=status[Status.REFUSED],
        gone=status[Status.GONE],
        not_reached=status[Status.NOT_REACHED],
        api_calls=sum(calls.values()),
        throttled=sum(throttled.values()),
        calls=dict(sorted(calls.items())),
        throttled_calls=dict(sorted(throttled.items())),
        pace=pace,
        complete=tally.complete and not interrupted,
        warnings=list(tally.warnings),
        errors=list(tally.errors),
        refused_because=refused_because or None,
        interrupted=interrupted,
        ingestion=ingestion,
        carried_out=carried_out,
        asked=asked,
        orphans=orphans,
        by=by,
        refused_in=refused_in,
    )
