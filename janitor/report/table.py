"""`--format table`: for people, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from janitor.core.model import Outcome, SweepStreams
from janitor.core.text import size
from janitor.cost.money import monthly_usd
from janitor.report.base import dollars
from janitor.report.overview import OverviewReport, Section, money_note, money_rows
from janitor.report.summary import Summary

TALKERS = 10


class Output(Console):
    """rich's console for results: text as it is, and a closed pipe is told to the caller."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file=file, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled; rich would exit with 1: findings."""
        raise


class TableReport(OverviewReport):
    """Counts, the largest groups, then what will happen (or happened) and why."""

    def finish(self, summary: Summary) -> None:
        """Print everything."""
        info = self.info
        console = Output(self.out)
        doing = summary.doing(dry_run=info.dry_run)
        console.print(Text(f"account {info.account} · {', '.join(info.regions)}", style="bold"))
        console.print(f"policy: {info.policy} · {doing}")
        console.print()
        self._money(console, summary)
        self._counts(console, summary)
        self._largest(console)
        if (ingestion := summary.ingestion) is not None:
            self._talkers(console, ingestion)
        for section in self.overview.sections():
            if section.largest:
                self._section(console, section)

    def _money(self, console: Console, summary: Summary) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("Estimated cost")
        table.add_column("USD a month", justify="right", no_wrap=True)
        table.add_column("Bytes", justify="right", no_wrap=True)
        for row in money_rows(summary, dry_run=self.info.dry_run):
            table.add_row(*row)
        console.print(table)
        console.print(money_note(summary.money) + "\n")

    def _talkers(self, console: Console, ingestion: Mapping[str, Any]) -> None:
        """Where most arrives, and what could be done about it."""
        days = f"in {ingestion['days']} days"
        table = _talk(f"Most arrived {days}, by prefix", "Prefix", "Groups")
        for prefix in ingestion["top_prefixes"][:TALKERS]:
            table.add_row(*_heard(prefix), f"{prefix['groups']:,}", prefix["prefix"])
        console.print(table)
        groups = ingestion["top_groups"][: len(ingestion["top_groups"]) if self.all else TALKERS]
        table = _talk(f"Most arrived {days}, by log group", "Log group", "Region")
        for group in groups:
            table.add_row(*_heard(group), group["region"], group["group"])
        console.print(table)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False, title="Advice")
        table.title_justify, table.title_style = "left", "bold"
        table.add_column("Log group", overflow="fold", ratio=2)
        table.add_column("Advice", overflow="fold", ratio=3)
        for group in groups:
            if group["advice"]:
                table.add_row(f"{group['group']} ({group['region']})", "\n".join(group["advice"]))
        if table.row_count:
            console.print(table)
        console.print(f"An {ingestion['note']}.\n")

    def _counts(self, console: Console, summary: Summary) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("What")
        table.add_column("Log groups", justify="right")
        table.add_column("Stored", justify="right")
        table.add_column("Streams", justify="right")
        table.add_row("Scanned", f"{summary.groups_scanned:,}", size(summary.stored_bytes), "")
        for section in self.overview.sections():
            streams = f"{section.streams:,}" if section.streams else ""
            table.add_row(section.title, f"{section.groups:,}", size(section.stored_bytes), streams)
        never = self.overview.retention["never"]
        table.add_row("No retention in force when scanned", f"{never:,}", "", "")
        console.print(table)

    def _largest(self, console: Console) -> None:
        groups = [group for group in self.overview.largest() if group.stored_bytes]
        if not groups:
            return
        table = self._grid("Largest log groups", "USD a month")
        for group in groups:
            days = group.retention_days
            term = "never expires" if days is None else f"{days} days"
            cost = dollars(monthly_usd(group, self.prices))
            table.add_row(size(group.stored_bytes), cost, group.target.region, group.name, term)
        console.print(table)

    def _section(self, console: Console, section: Section) -> None:
        table = self._grid(f"{section.title} ({section.groups:,})")
        shown = section.outcomes()
        for outcome in shown:
            table.add_row(
                _amount(outcome), outcome.group.target.region, outcome.group.name, outcome.reason
            )
        console.print(table)
        if section.groups > len(shown):
            console.print(f"… and {section.groups - len(shown):,} smaller ones: --all lists them\n")

    def _grid(self, heading: str, *amounts: str) -> Table:
        """Without a header, unless there are more amounts than the size."""
        table = Table(
            title=heading,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_header=bool(amounts),
            expand=False,
        )
        for name in ("Size", *amounts):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("Region", no_wrap=True)
        table.add_column("Log group", overflow="fold", ratio=1)
        table.add_column("Retention" if amounts else "Why", overflow="fold", ratio=1)
        return table


def _talk(heading: str, last: str, before: str) -> Table:
    table = Table(
        title=heading, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for name in ("Size", "USD a month", "Share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(before, no_wrap=True, justify="right" if before == "Groups" else "left")
    table.add_column(last, overflow="fold")
    return table


def _heard(said: Mapping[str, Any]) -> tuple[str, str, str]:
    return size(said["bytes"]), dollars(said["usd_a_month"]), f"{said['share']:.0%}"


def _amount(outcome: Outcome) -> str:
    if isinstance(outcome.action, SweepStreams):
        return f"{outcome.streams:,} streams"
    return size(outcome.group.stored_bytes)
