"""`--format markdown`: for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from janitor.core.model import LogGroup, Outcome, SetRetention, Target
from janitor.core.text import counted, expiry, markdown, size
from janitor.cost.money import monthly_usd
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
    orphans_note,
    share_heads,
    share_rows,
)
from janitor.report.summary import Summary


class MarkdownReport(OverviewReport):
    """The same overview as the table."""

    def finish(self, summary: Summary) -> None:
        """Write everything."""
        for number, block in enumerate(self._blocks(summary)):
            self.out.write("\n" if number else "")
            self.out.write(f"{block}\n")

    def _blocks(self, summary: Summary) -> Iterator[str]:
        """Yield headings, paragraphs, lists and tables."""
        info = self.info
        yield f"## CloudWatch Logs: {info.accounts}, {', '.join(info.regions)}"
        doing = summary.doing(dry_run=info.dry_run)
        yield f"**{markdown(answer(summary, info))}** Policy: {markdown(info.policy)} ({doing})."
        yield _list(f"{label}: {text}" for label, text in self.headlines(summary))
        if savings := self.savings():
            yield "### Largest savings"
            heads = ("USD a month:", "Stored:", "New retention:", "Region", "Log group")
            yield _table(heads, (self._saving(saved, outcome) for saved, outcome in savings))
        if summary.since is not None:
            yield from self._since(summary.since)
        if summary.by is not None:
            yield f"### By {markdown(summary.by['by'])}"
            first, *others = share_heads(summary, info)
            yield _table((first, *(f"{head}:" for head in others)), share_rows(summary, info))
            if failures := failed_where(summary):
                yield "### What failed where"
                yield _list(failures)
        yield _table(("Estimated cost", "USD a month:", "Bytes:"), money_rows(summary, info))
        yield markdown(money_note(summary.money))
        sections = list(self.overview.sections(summary.refused_in))
        yield _table(
            ("What", "Log groups:", "Stored:", "Streams:"), self._counts(summary, sections)
        )
        if largest := self.overview.largest():
            yield "### Largest log groups"
            heads = ("Region", "Log group", "Stored:", "USD a month:", "Retention")
            yield _table(heads, map(self._large, largest))
        if summary.ingestion is not None and summary.ingestion["top_prefixes"]:
            yield from self._talkers(summary.ingestion)
        for section in sections:
            if outcomes := section.outcomes():
                yield f"### {section.title} ({section.groups:,})"
                yield _table(("Region", "Log group", "Stored:", "Why"), map(self._found, outcomes))
            if outcomes and section.groups > len(outcomes):
                yield f"… and {section.groups - len(outcomes):,} smaller ones."
        if note := made_again_note(self.overview.made_again(summary.refused_in)):
            yield markdown(note)
        if note := orphans_note(summary):
            yield "### Orphans"
            yield markdown(note)
            if orphans := self.orphans.largest():
                heads = ("Region", "Log group", "Stored:", "USD a month:", "Gone")
                yield _table(heads, map(self._orphan, orphans))

    def _since(self, found: Mapping[str, Any]) -> Iterator[str]:
        yield f"### {since(found)}"
        yield _table(("", "Then:", "Now:"), figures(found))
        for heading, rows, more in self.changes(found):
            yield f"{heading}:" if rows else f"{heading}."
            if rows:
                yield _table(("Region", "Log group", "What"), rows)
            if more:
                yield f"… and {more:,} more."

    def _counts(self, summary: Summary, sections: Sequence[Section]) -> Iterator[Sequence[str]]:
        if self.info.surveyed:
            yield "Scanned", f"{summary.groups_scanned:,}", size(summary.stored_bytes), ""
        for one in sections:
            streams = f"{one.streams:,}" if one.streams else ""
            yield one.title, f"{one.groups:,}", size(one.stored_bytes), streams

    def _talkers(self, ingestion: Mapping[str, Any]) -> Iterator[str]:
        heads = ("Arrived:", "USD a month:", "Share:")
        yield f"### Top talkers in {ingestion['days']} days, by prefix"
        prefixes = (
            (top["prefix"], f"{top['groups']:,}", *arrived(top))
            for top in ingestion["top_prefixes"]
        )
        yield _table(("Prefix", "Log groups:", *heads), prefixes)
        yield f"### Top talkers in {ingestion['days']} days, by log group"
        groups = (
            (
                self.info.place(Target(top["account"], top["region"])),
                top["group"],
                *arrived(top),
                "; ".join(top["advice"]),
            )
            for top in ingestion["top_groups"]
        )
        yield _table(("Region", "Log group", *heads, "Advice"), groups)
        yield markdown(f"An {ingestion['note']}.")

    def _saving(self, saved: float, outcome: Outcome) -> Sequence[str]:
        group, action = outcome.group, outcome.action
        days = counted(action.days, "day") if isinstance(action, SetRetention) else ""
        return dollars(saved), size(group.stored_bytes), days, self.place(group), group.name

    def _large(self, group: LogGroup) -> Sequence[str]:
        return *self._cost(group), expiry(group.retention_days)

    def _orphan(self, group: LogGroup) -> Sequence[str]:
        return *self._cost(group), group.orphan_of or ""

    def _cost(self, group: LogGroup) -> Sequence[str]:
        cost = dollars(monthly_usd(group, self.prices))
        return self.place(group), group.name, size(group.stored_bytes), cost

    def _found(self, outcome: Outcome) -> Sequence[str]:
        group = outcome.group
        return self.place(group), group.name, size(group.stored_bytes), outcome.reason


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {markdown(item)}" for item in items)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts that are not yet Markdown. A heading with a colon at its end aligns
    its column to the right.
    """
    return "\n".join(
        [
            f"| {' | '.join(head.rstrip(':') for head in heads)} |",
            f"| {' | '.join('---:' if head.endswith(':') else '---' for head in heads)} |",
            *(f"| {' | '.join(map(markdown, row))} |" for row in rows),
        ]
    )
