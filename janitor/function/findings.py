"""The findings of one link: each a log line, and as many as fit in the answer."""

from __future__ import annotations

import json
from typing import Any

from janitor.core.model import Outcome
from janitor.cost.money import PriceList
from janitor.report.base import full_row, is_finding, log_outcome

LARGEST = 5_000_000
"""Bytes of findings in an answer: Lambda's limit is 6 MB, the summary included."""


class KeptFindings:
    """The findings of a fleet's target as JSON lines, which are written with its state."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._lines: list[str] = []

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""
        if is_finding(outcome):
            self._lines.append(json.dumps(full_row(outcome, self._prices)))

    def taken(self) -> list[str]:
        """What is to be written by now."""
        lines, self._lines = self._lines, []
        return lines


class Findings:
    """What is worth telling of the outcomes; a million log groups that are plainly kept are not."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self.rows: list[dict[str, Any]] = []
        self.left_out = 0
        self._room = LARGEST

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""
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

    def taken(self) -> list[str]:
        """Nothing of it is written."""
        return []
