"""`--format csv`: a header and a line a finding, or a line a part with `--by`. The summary goes to
stderr only.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import IO

from janitor.core.model import Ingestion, LogGroup, Outcome
from janitor.core.text import cell
from janitor.cost.money import PriceList
from janitor.report.base import RunInfo, row
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
        """One more row."""
        self._writer.writerow({name: plain(cell(value)) for name, value in row.items()})


def plain(value: object) -> object:
    """A number as every spreadsheet reads it: never 5e-09."""
    return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


class CsvReport:
    """A line a finding."""

    def __init__(
        self, out: IO[str], prices: PriceList, *, parts: bool = False, since: Since | None = None
    ) -> None:
        """`parts`: the rows are those of `--by`. With `since` there is a column for what became of
        each log group.
        """
        self._prices = prices
        self._out = out
        self._parts = parts
        self._since = since
        self._gone: set[tuple[str, str, str]] = set()
        """Those whose row says that they are no finding any more."""

    def start(self, info: RunInfo) -> None:  # noqa: ARG002
        """The header."""
        if not self._parts:
            self._rows = Rows(self._out, (*COLUMNS, *["since"] * (self._since is not None)))

    def scanned(self, group: LogGroup) -> None:
        """Nothing: only findings are listed."""

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: only findings are listed."""

    def finding(self, outcome: Outcome) -> None:
        """One more line."""
        if self._parts:
            return
        said = row(outcome, self._prices)
        if self._since is not None:
            said["since"] = self._since.kind(outcome)
            if said["since"] == "gone":
                self._gone.add((said["account"], said["region"], said["group"]))
        self._rows.add(said)

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing: only findings are listed."""

    def finish(self, summary: Summary) -> None:
        """The parts, where these are the rows: a CSV file holds rows of one kind. Else what is gone
        and has no row.
        """
        if self._parts and summary.by is not None:
            by = summary.by["rows"]
            rows = Rows(self._out, [*by[0]] if by else ["part"])
            for one in by:
                rows.add(one)
        elif summary.since is not None:
            for one in summary.since["gone"]:
                place = {key: one[key] for key in ("account", "region", "group")}
                if tuple(place.values()) not in self._gone:
                    self._rows.add({**place, "since": "gone"})
