"""The summary of a run: the `summary` object of every machine-readable output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from janitor.core.errors import Exit
from janitor.core.model import Status, Verb
from janitor.core.tally import Tally


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of log groups, log streams and calls; bytes; USD a month in `money`.

    `planned` is by verb, what a plan holds; the three before it what was done. `pace` names the
    quotas that set the pace, the slowest first. What is None is left out of `as_dict`.
    """

    groups_scanned: int
    stored_bytes: int
    money: Mapping[str, Any]
    retention_set: int
    groups_deleted: int
    streams_deleted: int
    planned: Mapping[str, int]
    kept: int
    unknown: int
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

    def as_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        del shown["interrupted"]
        return {name: value for name, value in shown.items() if value is not None}

    @property
    def exit_code(self) -> Exit:
        """The exit code that the run ends in, findings aside.

        What is unknown is kept, but not silently: whoever runs this unattended must learn of it.
        """
        if self.interrupted:
            return Exit.INTERRUPTED
        if self.refused_because:
            return Exit.REFUSED
        if not self.complete or self.failed or self.unknown:
            return Exit.INCOMPLETE
        return Exit.DONE


def summarize(
    tally: Tally,
    money: Mapping[str, Any],
    calls: Mapping[str, int],
    throttled: Mapping[str, int],
    pace: Sequence[Mapping[str, Any]],
    *,
    refused_because: str | None = None,
    interrupted: bool = False,
    ingestion: Mapping[str, Any] | None = None,
) -> Summary:
    """The summary of what was counted. `calls` and `throttled` are by operation."""
    status = tally.by_status
    return Summary(
        groups_scanned=tally.scanned,
        stored_bytes=tally.stored_bytes,
        money=money,
        retention_set=tally.done[Verb.SET_RETENTION],
        groups_deleted=tally.done[Verb.DELETE_GROUP],
        streams_deleted=tally.done[Verb.SWEEP_STREAMS],
        planned={
            verb.value: tally.planned[verb]
            for verb in (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS)
        },
        kept=status[Status.KEPT],
        unknown=status[Status.UNKNOWN],
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
    )
