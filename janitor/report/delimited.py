"""`--format csv`: a header and a line a finding; the summary goes to stderr only."""

from __future__ import annotations

import csv
from typing import IO

from janitor.core.model import Ingestion, LogGroup, Outcome
from janitor.cost.money import PriceList
from janitor.report.base import RunInfo, row
from janitor.report.summary import Summary

COLUMNS = (
    "account",
    "region",
    "group",
    "creation_time",
    "action",
    "status",
    "reason",
    "rule",
    "stored_bytes",
    "retention_days",
    "retention_policy",
    "class",
    "new_retention_days",
    "streams",
    "monthly_usd",
    "saves_usd",
    "orphan_of",
)


class CsvReport:
    """RFC 4180 with LF line ends."""

    def __init__(self, out: IO[str], prices: PriceList) -> None:
        self._prices = prices
        self._writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")

    def start(self, info: RunInfo) -> None:  # noqa: ARG002
        """The header."""
        self._writer.writeheader()

    def scanned(self, group: LogGroup) -> None:
        """Nothing: only findings are listed."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: only findings are listed."""

    def finding(self, outcome: Outcome) -> None:
        """One more line."""
        self._writer.writerow(row(outcome, self._prices))

    def kept(self, outcome: Outcome) -> None:
        """Nothing: only findings are listed."""

    def finish(self, summary: Summary) -> None:
        """Nothing: a CSV file holds rows of one kind."""
