"""`--format json` (one object, written as it comes) and `jsonl` (one object a line).

All of it is ASCII: line separators of Unicode in what AWS answered must not tear a line, nor its
direction marks turn a terminal around.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any

from janitor.core.model import Ingestion, LogGroup, Outcome
from janitor.cost.money import PriceList
from janitor.report.base import RunInfo, tagged_row
from janitor.report.summary import Summary


class JsonReport:
    """`{"run": {…}, "findings": […], "summary": {…}}`; a million findings are never in memory."""

    def __init__(self, out: IO[str], prices: PriceList) -> None:
        self._out = out
        self._prices = prices
        self._first = True

    def start(self, info: RunInfo) -> None:
        """The head of the object."""
        self._out.write(f'{{"run": {json.dumps(info.as_dict())},\n"findings": [')

    def scanned(self, group: LogGroup) -> None:
        """Nothing: only findings are listed."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: the summary tells."""

    def finding(self, outcome: Outcome) -> None:
        """One more element."""
        self._out.write("\n" if self._first else ",\n")
        self._out.write(json.dumps(tagged_row(outcome, self._prices)))
        self._first = False

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing: only findings are listed."""

    def finish(self, summary: Summary) -> None:
        """The end of the object."""
        self._out.write(f'\n],\n"summary": {json.dumps(summary.as_dict())}}}\n')


class JsonLinesReport:
    """A `run` line, a `finding` line each, a `summary` line."""

    def __init__(self, out: IO[str], prices: PriceList) -> None:
        self._out = out
        self._prices = prices

    def _line(self, kind: str, value: Mapping[str, Any]) -> None:
        self._out.write(json.dumps({"type": kind, **value}) + "\n")

    def start(self, info: RunInfo) -> None:
        """The first line."""
        self._line("run", info.as_dict())

    def scanned(self, group: LogGroup) -> None:
        """Nothing: only findings are listed."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: the summary tells."""

    def finding(self, outcome: Outcome) -> None:
        """One more line."""
        self._line("finding", tagged_row(outcome, self._prices))

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing: only findings are listed."""

    def finish(self, summary: Summary) -> None:
        """The last line."""
        self._line("summary", summary.as_dict())
