"""`--format table`: for people, legible at 80 columns and without colour."""

from __future__ import annotations

import itertools
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from janitor.core.model import Outcome, SetRetention, Status, SweepStreams, Target, Verb, verb_of
from janitor.core.text import counted, lines, size, visible
from janitor.cost.money import monthly_usd
from janitor.cost.prices import PriceList
from janitor.report.base import dollars
from janitor.report.difference import figures, since
from janitor.report.overview import (
    OverviewReport,
    Section,
    answer,
    arrived,
    failed_where,
    made_again_note,
    money_note,
    money_rows,
    next_command,
    orphans_note,
    share_heads,
    share_rows,
)
from janitor.report.summary import Summary

TALKERS = 10
HEAD = 8
"""Characters to which the headings of wide tables are wrapped, where words allow it."""
ROOMY = 100
"""Terminal width above which wide tables have space between their columns."""
_COLOURS = {
    Verb.DELETE_GROUP: "red",
    Verb.SWEEP_STREAMS: "red",
    Verb.SET_RETENTION: "yellow",
    Verb.UNKNOWN: "magenta",
    Verb.KEEP: "default",
}
"""Red is deleted, yellow loses events, magenta needs a person."""
NARROWEST = 60
"""Assumed terminal width at least: in less, tables would omit names, and COLUMNS may be 0."""


class Output(Console):
    """rich's console for results: prints text as it is, and lets a closed pipe raise."""

    def __init__(self, file: IO[str], *, color: bool = True) -> None:
        plain = not color or bool(os.environ.get("NO_COLOR"))
        super().__init__(
            file=file,
            highlight=False,
            markup=False,
            emoji=False,
            color_system=None if plain else "auto",
        )
        self.width = max(self.width, NARROWEST)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, with invisible characters of texts escaped."""
        super().print(*map(_escaped, objects), **options)

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled; rich would exit with 1: findings."""
        raise


class Grid(Table):
    """rich's table, with invisible characters of texts escaped."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row."""
        super().add_row(*map(_escaped, cells), **options)


def _escaped(value: Any) -> Any:
    return lines(value) if isinstance(value, str) else value


class TableReport(OverviewReport):
    """A first screen (20 lines at 80 columns), then the details; what is kept comes last."""

    def __init__(
        self,
        out: IO[str],
        *,
        everything: bool,
        prices: PriceList,
        words: Sequence[str] = (),
        color: bool = True,
    ) -> None:
        super().__init__(out, everything=everything, prices=prices, words=words)
        self._color = color

    def finish(self, summary: Summary) -> None:
        """Print everything."""
        console = Output(self.out, color=self._color)
        for line in self._first(summary, console.width):
            console.print(line, soft_wrap=True)
        console.print()
        if summary.since is not None:
            self._since(console, summary.since)
        if summary.by is not None:
            self._shares(console, summary, summary.by["by"])
        self._counts(console, summary)
        self._largest(console)
        if (ingestion := summary.ingestion) is not None and ingestion["top_prefixes"]:
            self._talkers(console, ingestion)
        for section in self.overview.sections(summary.refused_in):
            if section.outcomes():
                self._section(console, section)
        if note := made_again_note(self.overview.made_again(summary.refused_in)):
            console.print(note + "\n")
        if note := orphans_note(summary):
            self._orphans(console, note)
        self._money(console, summary)
        console.print(f"Policy: {self.info.policy}. {money_note(summary.money)}")
        if ingestion is not None:
            console.print(f"An {ingestion['note']}.")

    # ---- the first screen --------------------------------------------------------------------

    def _first(self, summary: Summary, width: int) -> Iterable[Text]:
        """Yield at most 20 lines of 80 columns: what a person wants to know, in that order."""
        info = self.info
        doing, places = summary.doing(dry_run=info.dry_run), ", ".join(info.regions)
        if len(f"{info.accounts} · {places} · {doing}") > width:
            places = counted(len(info.regions), "Region")
        yield from _wrapped("", answer(summary, info), width, "bold")
        yield from _wrapped("", f"{info.accounts} · {places} · {doing}", width)
        for label, text in self.headlines(summary):
            if label == "Lost for good":
                yield from self._largest_savings(width)
            nothing = text.startswith("no")
            style = {
                "Needs a person": "green" if nothing else "bold magenta",
                "Deletions": "red",
                "Lost for good": "" if nothing else "yellow",
            }
            yield from _wrapped(label, text, width, style.get(label, ""))
        command = next_command(summary, info, self.words)
        yield Text.assemble("Next: ", (command, "bold"))

    def _largest_savings(self, width: int) -> Iterable[Text]:
        if savings := self.savings():
            yield Text("Largest savings: USD a month, stored, new retention")
        for saved, outcome in savings:
            yield _saving(saved, outcome, self.place(outcome.group), width)

    # ---- details -----------------------------------------------------------------------------

    def _since(self, console: Console, found: Mapping[str, Any]) -> None:
        console.print(Text(since(found), style="bold"))
        for label, was, now in figures(found):
            console.print(f"{label:<16} {was:>12} -> {now:>12}")
        for heading, rows, more in self.changes(found):
            console.print(f"{heading}:" if rows else f"{heading}.")
            for region, name, what in rows:
                console.print(visible(f"  {region}  {name}  {what}"), soft_wrap=True)
            if more:
                console.print(f"  … and {more:,} more: --all lists them")
        console.print()

    def _shares(self, console: Console, summary: Summary, by: str) -> None:
        """Print the sums of `--by`, and below them what failed where."""
        table = Table(title=f"By {visible(by)}", box=box.SIMPLE_HEAD, show_edge=False)
        table.title_justify, table.title_style = "left", "bold"
        table.padding = (0, int(console.width > ROOMY), 0, 0)
        for head in share_heads(summary, self.info):
            if head == "Part":
                table.add_column(head, overflow="fold")
            else:
                table.add_column(textwrap.fill(head, HEAD), justify="right", overflow="fold")
        for row in share_rows(summary, self.info):
            table.add_row(*(visible(cell) for cell in row))
        console.print(table)
        if failures := failed_where(summary):
            console.print(Text("\nWhat failed where", style="bold magenta"))
            for line in itertools.chain(*(_hanging(text, console.width) for text in failures)):
                console.print(line, soft_wrap=True)
        console.print()

    def _money(self, console: Console, summary: Summary) -> None:
        table = _grid("Estimated cost", "USD a month:", "Bytes:")
        for row in money_rows(summary, self.info):
            table.add_row(*row)
        console.print(table)

    def _talkers(self, console: Console, ingestion: Mapping[str, Any]) -> None:
        """Print where most arrives, and what could be done about it."""
        days = f"in {ingestion['days']} days"
        heads, title = ("Size:", "USD a month:", "Share:"), f"Top talkers {days}, by prefix"
        table = _grid(*heads, "Groups:", "Prefix", title=title)
        for prefix in ingestion["top_prefixes"][:TALKERS]:
            table.add_row(*arrived(prefix), f"{prefix['groups']:,}", prefix["prefix"])
        console.print(table)
        groups = ingestion["top_groups"][: None if self.all else TALKERS]
        title = f"Top talkers {days}, by log group"
        table = _grid(*heads, "Region", "Log group", title=title)
        for group in groups:
            place = self.info.place(Target(group["account"], group["region"]))
            table.add_row(*arrived(group), place, group["group"])
        console.print(table)
        table = _grid(title="Advice")
        table.show_header = False
        table.add_column("Log group", overflow="fold", ratio=2)
        table.add_column("Advice", overflow="fold", ratio=3)
        for group in groups:
            if group["advice"]:
                table.add_row(f"{group['group']} ({group['region']})", "\n".join(group["advice"]))
        if table.row_count:
            console.print(table)

    def _counts(self, console: Console, summary: Summary) -> None:
        table = _grid("What", "Log groups:", "Stored:", "Streams:")
        if self.info.surveyed:
            table.add_row("Scanned", f"{summary.groups_scanned:,}", size(summary.stored_bytes), "")
        for section in self.overview.sections(summary.refused_in):
            streams = f"{section.streams:,}" if section.streams else ""
            table.add_row(section.title, f"{section.groups:,}", size(section.stored_bytes), streams)
        if self.info.surveyed:
            never = self.overview.never_expire
            table.add_row("No retention in force when scanned", f"{never:,}", "", "")
        console.print(table)

    def _largest(self, console: Console) -> None:
        groups = [group for group in self.overview.largest() if group.stored_bytes]
        if not groups:
            return
        console.print(Text("Largest log groups: stored, USD a month, retention", style="bold"))
        for group in groups:
            days = group.retention_days
            term = "never" if days is None else counted(days, "day")
            cost = dollars(monthly_usd(group, self.prices))
            head = f"{size(group.stored_bytes):>10} {cost:>10} {term:>9}"
            console.print(f"{head}  {self.place(group)}  {visible(group.name)}", soft_wrap=True)
        console.print()

    def _section(self, console: Console, section: Section) -> None:
        """Print each reason once, and below it a line for each log group."""
        shown = section.outcomes()
        colour = _COLOURS[verb_of(shown[0].action)]
        if shown[0].status in (Status.FAILED, Status.REFUSED, Status.NOT_REACHED):
            colour = "magenta"
        console.print(Text(f"{section.title} ({section.groups:,})", style=f"bold {colour}"))
        by_reason: dict[str, list[Outcome]] = {}
        for outcome in shown:
            by_reason.setdefault(outcome.reason, []).append(outcome)
        for reason, outcomes in by_reason.items():
            for line in _wrapped("", f"{reason}:", console.width - 2):
                console.print(Text("  ") + line, soft_wrap=True)
            for outcome in outcomes:
                place = f"{self.place(outcome.group)}  {visible(outcome.group.name)}"
                console.print(f"  {_amount(outcome):>13}  {place}", soft_wrap=True)
        if section.groups > len(shown):
            console.print(f"  … and {section.groups - len(shown):,} more: --all lists them")
        console.print()

    def _orphans(self, console: Console, note: str) -> None:
        if groups := self.orphans.largest():
            console.print(Text("Orphans: stored, USD a month, gone", style="bold"))
        for group in groups:
            cost = dollars(monthly_usd(group, self.prices))
            head = f"{size(group.stored_bytes):>10} {cost:>10}  {visible(group.orphan_of or '')}"
            console.print(f"{head}  {self.place(group)}  {visible(group.name)}", soft_wrap=True)
        console.print(f"Orphans: {note}\n")


def _saving(saved: float, outcome: Outcome, place: str, width: int) -> Text:
    """Return one line, with the log group's name shortened in its middle if it is too long."""
    group, action = outcome.group, outcome.action
    days = f"{action.days} d" if isinstance(action, SetRetention) else ""
    head = f"{dollars(saved):>10} {size(group.stored_bytes):>10} {days:>6}  "
    name = f"{place}  {visible(group.name)}"
    shortened = _without_middle(name, width - len(head))
    return Text.assemble((head[:10], "green"), head[10:], shortened)


def _without_middle(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    left = max((width - 1) * 2 // 3, 1)
    return f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"


def _wrapped(label: str, text: str, width: int, style: str = "") -> Iterable[Text]:
    head = f"{label}: " if label else ""
    lines = textwrap.wrap(f"{head}{visible(text)}", width, subsequent_indent="  " if label else "")
    for number, line in enumerate(lines):
        if number or not label:
            yield Text(line, style=style)
        else:
            yield Text.assemble(head, (line[len(head) :], style))


def _hanging(text: str, width: int) -> Iterable[str]:
    return textwrap.wrap(visible(text), width, initial_indent="  ", subsequent_indent="    ")


def _grid(*heads: str, title: str | None = None) -> Grid:
    """Return an empty table. A heading with a colon at its end aligns its column to the right."""
    table = Grid(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for head in heads:
        number = head.endswith(":")
        justify: JustifyMethod = "right" if number else "left"
        table.add_column(
            head.rstrip(":"), justify=justify, no_wrap=number or head == "Region", overflow="fold"
        )
    return table


def _amount(outcome: Outcome) -> str:
    if isinstance(outcome.action, SweepStreams) and outcome.streams:
        return counted(outcome.streams, "stream")
    return size(outcome.group.stored_bytes)
