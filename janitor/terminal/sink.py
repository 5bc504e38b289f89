"""Where the results of a run go: to the report, to the log, and to the progress line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import ParamSpec

import structlog

from janitor.core.clock import Stop
from janitor.core.model import LogGroup, Outcome, Status
from janitor.cost.ingestion import Talkers
from janitor.report.base import Report, is_finding, log_outcome

log = structlog.get_logger("janitor")
_P = ParamSpec("_P")


class ResultSink:
    """Passes what happens to the report, shows progress, and survives an output that fails."""

    def __init__(
        self,
        report: Report,
        stop: Stop,
        *,
        everything: bool,
        talkers: Talkers | None = None,
        orphans: bool = False,
    ) -> None:
        self.findings = 0
        self.broken: OSError | None = None
        self._report = report
        self._stop = stop
        self._everything = everything
        self._talkers = talkers
        self._orphans = orphans
        self._tick: Callable[[int, int], None] = lambda _groups, _changes: None
        self._groups = 0
        self._changes = 0
        # Asked once, because a large account has a million groups that are kept.
        self._logs_kept = logs_kept()

    def progress(self, tick: Callable[[int, int], None]) -> None:
        """Call `tick(groups scanned, changes)` whenever either of them grows."""
        self._tick = tick

    def read(self, groups: Sequence[LogGroup]) -> None:
        """Add log groups."""
        self._groups += len(groups)
        self._tick(self._groups, self._changes)
        self.safely(self._report_page, groups)
        if self._talkers is not None:
            for group in groups:
                self._talkers.add(group)

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Add outcomes."""
        kept: list[Outcome] = []
        for outcome in outcomes:
            finding = is_finding(outcome)
            if finding or self._logs_kept:
                log_outcome(outcome)
            if finding:
                self.findings += 1
                if outcome.status in (Status.DONE, Status.PLANNED):
                    self._changes += 1
                    self._tick(self._groups, self._changes)
            if finding or self._everything or (self._orphans and _is_orphan(outcome.group)):
                self.safely(self._report.finding, outcome)
            else:
                kept.append(outcome)
        self.safely(self._report.kept, kept)

    def _report_page(self, page: Sequence[LogGroup]) -> None:
        for group in page:
            self._report.scanned(group)
            if (ingestion := group.ingestion) is not None:
                self._report.ingested(group, ingestion)

    def safely(self, write: Callable[_P, None], *args: _P.args, **named: _P.kwargs) -> None:
        """Write. If that fails, or nobody reads any longer, start no new work and write no more."""
        if self.broken is not None:
            return
        try:
            write(*args, **named)
        except OSError as error:
            self.broken = error
            self._stop.set("failed")


def _is_orphan(group: LogGroup) -> bool:
    return group.stored_bytes > 0 and group.orphan_of is not None


def logs_kept() -> bool:
    """Return whether log groups that are kept are logged."""
    enabled: bool = log.bind().is_enabled_for(logging.DEBUG)
    return enabled
