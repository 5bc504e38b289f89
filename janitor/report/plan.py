"""The output of `janitor plan`: the lines that `janitor apply` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

from janitor.core.model import Ingestion, LogGroup, Outcome
from janitor.engine.plan import end_line, head_line, item_line
from janitor.report.base import RunInfo


class PlanReport:
    """A head line, a line for each planned action, an end line."""

    def __init__(self, out: IO[str], now: int) -> None:
        self._out = out
        self._now = now
        self._policy = ""
        self._items = 0
        self._scanned: Counter[str] = Counter()

    def start(self, info: RunInfo) -> None:
        """The head line."""
        self._policy = info.policy_sha256
        self._out.write(head_line(info.account, info.policy_sha256, self._now) + "\n")

    def scanned(self, group: LogGroup) -> None:
        """Count it: the deletion share is taken of what was scanned."""
        self._scanned[group.target.region] += 1

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: a plan holds what is to be done."""

    def finding(self, outcome: Outcome) -> None:
        """A line if something is planned."""
        if (line := item_line(outcome, self._policy)) is not None:
            self._out.write(line + "\n")
            self._items += 1

    def kept(self, outcome: Outcome) -> None:
        """Nothing: a plan holds what is to be done."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """The end line."""
        scanned = dict(sorted(self._scanned.items()))
        self._out.write(end_line(self._items, scanned, complete=summary["complete"]) + "\n")
