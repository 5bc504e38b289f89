"""The findings of one link: in the log and the answer, or a fleet's as lines for the bucket."""

from __future__ import annotations

import json
from typing import Any

from janitor.core.model import Outcome
from janitor.cost.prices import PriceList
from janitor.report.base import full_row, is_finding, log_outcome

LARGEST = 5_000_000
"""Bytes of findings in an answer; Lambda's limit for all of it is 6 MB."""


class KeptFindings:
    """The findings of a fleet's target, as JSON lines that are written with its state."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._lines: list[str] = []

    def outcome(self, outcome: Outcome) -> None:
        """Add an outcome."""
        if is_finding(outcome):
            self._lines.append(json.dumps(full_row(outcome, self._prices)))

    def pop_lines(self) -> list[str]:
        """Return the lines that are not written yet, and forget them."""
        lines, self._lines = self._lines, []
        return lines


class Findings:
    """The findings as log lines and rows of the answer, as many as fit into it."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self.rows: list[dict[str, Any]] = []
        self.left_out = 0
        self._room = LARGEST

    def outcome(self, outcome: Outcome) -> None:
        """Add an outcome."""
        if not is_finding(outcome):
            return
        log_outcome(outcome)
        if self._room > 0:
            row = full_row(outcome, self._prices)
            self._room -= len(json.dumps(row)) + 2
        if self._room > 0:
            self.rows.append(row)
        else:
            self.left_out += 1

    def pop_lines(self) -> list[str]:
        """Return no lines: none are written to the bucket."""
        return []
