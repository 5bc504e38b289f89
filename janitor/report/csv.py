"""`--format csv`: a header and a line for each finding, or for each part of `--by`.

The summary goes to stderr only.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import IO

from janitor.core.model import Outcome
from janitor.core.text import cell
from janitor.cost.prices import PriceList
from janitor.report.base import NullReport, RunInfo, row
from janitor.report.difference import Since
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


class Rows:
    """RFC 4180 with LF line ends: a header, and a line for each row."""

    def __init__(self, out: IO[str], columns: Sequence[str]) -> None:
        self._writer = csv.DictWriter(out, columns, lineterminator="\n")
        self._writer.writeheader()

    def add(self, row: Mapping[str, object]) -> None:
        """Write one row."""
        self._writer.writerow({name: plain(cell(value)) for name, value in row.items()})


def plain(value: object) -> object:
    """Return a number as every spreadsheet reads it: never 5e-09."""
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


class CsvReport(NullReport):
    """A line for each finding, or for each part of `--by` if `parts`; with `since` there is a
    column for what became of each log group.
    """

    def __init__(
        self, out: IO[str], prices: PriceList, *, parts: bool = False, since: Since | None = None
    ) -> None:
        self._prices = prices
        self._out = out
        self._parts = parts
        self._since = since
        self._gone: set[tuple[str, str, str]] = set()
        """Log groups whose row already says that they are no longer a finding."""

    def start(self, info: RunInfo) -> None:  # noqa: ARG002
        """Write the header."""
        if not self._parts:
            self._rows = Rows(self._out, (*COLUMNS, *["since"] * (self._since is not None)))

    def finding(self, outcome: Outcome) -> None:
        """Write one line."""
        if self._parts:
            return
        record = row(outcome, self._prices)
        if self._since is not None:
            record["since"] = self._since.kind(outcome)
            if record["since"] == "gone":
                self._gone.add((record["account"], record["region"], record["group"]))
        self._rows.add(record)

    def finish(self, summary: Summary) -> None:
        """Write the parts of `--by`, or else the log groups that are gone and have no row yet.

        A CSV file holds rows of one kind only.
        """
        if self._parts and summary.by is not None:
            parts = summary.by["rows"]
            rows = Rows(self._out, [*parts[0]] if parts else ["part"])
            for part in parts:
                rows.add(part | {"errors": "; ".join(part["errors"])})
        elif summary.since is not None:
            for entry in summary.since["gone"]:
                place = {key: entry[key] for key in ("account", "region", "group")}
                if tuple(place.values()) not in self._gone:
                    self._rows.add({**place, "since": "gone"})
