"""`--format json` (one object, written as it comes) and `jsonl` (one object a line).

The output is ASCII, so that a Unicode line separator in a name or tag cannot break a line, and a
direction mark cannot reverse text at a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from janitor.core.model import Outcome
from janitor.cost.prices import PriceList
from janitor.report.base import NullReport, RunInfo, tagged_row
from janitor.report.summary import Summary


class JsonReport(NullReport):
    """`{"run": {…}, "findings": […], "summary": {…}}`, without holding the findings in memory."""

    def __init__(self, out: IO[str], prices: PriceList) -> None:
        self._out = out
        self._prices = prices
        self._first = True

    def start(self, info: RunInfo) -> None:
        """Write the head of the object."""
        self._out.write(f'{{"run": {json.dumps(info.as_dict())},\n"findings": [')

    def finding(self, outcome: Outcome) -> None:
        """Write one element."""
        self._out.write("\n" if self._first else ",\n")
        self._out.write(json.dumps(tagged_row(outcome, self._prices)))
        self._first = False

    def finish(self, summary: Summary) -> None:
        """Write the end of the object."""
        self._out.write(f'\n],\n"summary": {json.dumps(summary.as_dict())}}}\n')


class JsonLinesReport(NullReport):
    """A `run` line, a `finding` line each, and a `summary` line."""

    def __init__(self, out: IO[str], prices: PriceList) -> None:
        self._out = out
        self._prices = prices

    def _line(self, kind: str, value: Mapping[str, Any]) -> None:
        self._out.write(json.dumps({"type": kind, **value}) + "\n")

    def start(self, info: RunInfo) -> None:
        """Write the first line."""
        self._line("run", info.as_dict())

    def finding(self, outcome: Outcome) -> None:
        """Write one line."""
        self._line("finding", tagged_row(outcome, self._prices))

    def finish(self, summary: Summary) -> None:
        """Write the last line."""
        self._line("summary", summary.as_dict())
