"""`--format table`: for people, readable at 80 columns and without colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from janitor.judge import size
from janitor.model import Outcome, SweepStreams
from janitor.report.overview import OverviewReport, Section


class TableReport(OverviewReport):
    """Counts, the largest groups, then what will happen (or happened) and why."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Print everything."""
        info = self.info
        console = Console(file=self.out, highlight=False, markup=False, emoji=False)
        doing = "dry run: nothing was changed" if info.dry_run else "changes were made"
        console.print(Text(f"account {info.account} · {', '.join(info.regions)}", style="bold"))
        console.print(f"policy: {info.policy} · {doing}")
        console.print()
        self._counts(console, summary)
        self._largest(console)
        for section in self.overview.sections():
            if section.largest:
                self._section(console, section)

    def _counts(self, console: Console, summary: Mapping[str, Any]) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("What")
        table.add_column("Log groups", justify="right")
        table.add_column("Stored", justify="right")
        table.add_column("Streams", justify="right")
        table.add_row(
            "Scanned", f"{summary['groups_scanned']:,}", size(summary["stored_bytes"]), ""
        )
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
        table = self._grid("Largest log groups")
        for group in groups:
            days = group.retention_days
            term = "never expires" if days is None else f"{days} days"
            table.add_row(size(group.stored_bytes), group.target.region, group.name, term)
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

    def _grid(self, heading: str) -> Table:
        table = Table(
            title=heading,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            show_header=False,
            expand=False,
        )
        table.add_column("Size", justify="right", no_wrap=True)
        table.add_column("Region", no_wrap=True)
        table.add_column("Log group", overflow="fold", ratio=1)
        table.add_column("Why", overflow="fold", ratio=1)
        return table


def _amount(outcome: Outcome) -> str:
    if isinstance(outcome.action, SweepStreams):
        return f"{outcome.streams:,} streams"
    return size(outcome.group.stored_bytes)
