"""`--format markdown`: for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from janitor.core.model import SetRetention, Target
from janitor.core.text import markdown, size
from janitor.cost.money import monthly_usd
from janitor.report.base import dollars
from janitor.report.difference import figures, since
from janitor.report.overview import (
    OverviewReport,
    answer,
    failed_where,
    made_again_note,
    money_note,
    money_rows,
    orphans_note,
    share_heads,
    share_rows,
)
from janitor.report.summary import Summary


def _heard(said: Mapping[str, Any]) -> str:
    """The cells on how much arrived."""
    usd = markdown(dollars(said["usd_a_month"]))
    return f"| {size(said['bytes'])} | {usd} | {said['share']:.0%} |"


class MarkdownReport(OverviewReport):
    """The same overview as the table."""

    def finish(self, summary: Summary) -> None:
        """Write everything."""
        info = self.info
        doing = summary.doing(dry_run=info.dry_run)
        self._line(f"## CloudWatch Logs: {info.accounts}, {', '.join(info.regions)}")
        self._line()
        self._line(
            f"**{markdown(answer(summary, info))}** Policy: {markdown(info.policy)} ({doing})."
        )
        self._line()
        for label, text in self.headlines(summary):
            self._line(f"- {label}: {markdown(text)}")
        self._line()
        self._largest_savings()
        if summary.since is not None:
            self._since(summary.since)
        if summary.by is not None:
            self._line(f"### By {markdown(summary.by['by'])}")
            self._line()
            heads = share_heads(summary, info)
            self._line(f"| {' | '.join(heads)} |")
            self._line(f"| --- |{' ---: |' * (len(heads) - 1)}")
            for row in share_rows(summary, self.info):
                self._line(f"| {' | '.join(map(markdown, row))} |")
            self._line()
            if failures := failed_where(summary):
                self._line("### What failed where")
                self._line()
                for text in failures:
                    self._line(f"- {markdown(text)}")
                self._line()
        self._money(summary)
        self._line("| What | Log groups | Stored | Streams |")
        self._line("| --- | ---: | ---: | ---: |")
        scanned, stored = summary.groups_scanned, size(summary.stored_bytes)
        if info.surveyed:
            self._line(f"| Scanned | {scanned:,} | {stored} | |")
        for section in self.overview.sections(summary.refused_in):
            streams = f"{section.streams:,}" if section.streams else ""
            self._line(
                f"| {section.title} | {section.groups:,} | {size(section.stored_bytes)} "
                f"| {streams} |"
            )
        self._groups()
        if (ingestion := summary.ingestion) is not None:
            self._talkers(ingestion)
        for section in self.overview.sections(summary.refused_in):
            if not section.largest:
                continue
            self._line()
            self._line(f"### {section.title} ({section.groups:,})")
            self._line()
            self._line("| Region | Log group | Stored | Why |")
            self._line("| --- | --- | ---: | --- |")
            shown = section.outcomes()
            for outcome in shown:
                group = outcome.group
                self._line(
                    f"| {self.place(group)} | {markdown(group.name)} "
                    f"| {size(group.stored_bytes)} | {markdown(outcome.reason)} |"
                )
            if section.groups > len(shown):
                self._line()
                self._line(f"… and {section.groups - len(shown):,} smaller ones.")
        if note := made_again_note(self.overview.made_again(summary.refused_in)):
            self._line()
            self._line(markdown(note))
        if note := orphans_note(summary):
            self._orphans(note)

    def _largest_savings(self) -> None:
        if not (savings := self.savings()):
            return
        self._line("### Largest savings")
        self._line()
        self._line("| USD a month | Stored | New retention | Region | Log group |")
        self._line("| ---: | ---: | ---: | --- | --- |")
        for saved, outcome in savings:
            group, action = outcome.group, outcome.action
            days = f"{action.days} days" if isinstance(action, SetRetention) else ""
            self._line(
                f"| {markdown(dollars(saved))} | {size(group.stored_bytes)} | {days} "
                f"| {self.place(group)} | {markdown(group.name)} |"
            )
        self._line()

    def _since(self, found: Mapping[str, Any]) -> None:
        self._line(f"### {since(found)}")
        self._line()
        self._line("| | Then | Now |")
        self._line("| --- | ---: | ---: |")
        for label, was, now in figures(found):
            self._line(f"| {label} | {markdown(was)} | {markdown(now)} |")
        for heading, rows, more in self.changes(found):
            self._line()
            self._line(f"{heading}:" if rows else f"{heading}.")
            if rows:
                self._line()
                self._line("| Region | Log group | What |")
                self._line("| --- | --- | --- |")
            for region, name, what in rows:
                self._line(f"| {region} | {markdown(name)} | {markdown(what)} |")
            if more:
                self._line()
                self._line(f"… and {more:,} more.")
        self._line()

    def _money(self, summary: Summary) -> None:
        money = summary.money
        self._line("| Estimated cost | USD a month | Bytes |")
        self._line("| --- | ---: | ---: |")
        for label, amount, count in money_rows(summary, self.info):
            self._line(f"| {label} | {markdown(amount)} | {count} |")
        self._line()
        self._line(markdown(money_note(money)))
        self._line()

    def _talkers(self, ingestion: Mapping[str, Any]) -> None:
        days = f"in {ingestion['days']} days"
        self._line()
        self._line(f"### Top talkers {days}, by prefix")
        self._line()
        self._line("| Prefix | Log groups | Arrived | USD a month | Share |")
        self._line("| --- | ---: | ---: | ---: | ---: |")
        for said in ingestion["top_prefixes"]:
            self._line(f"| {markdown(said['prefix'])} | {said['groups']:,} {_heard(said)}")
        self._line()
        self._line(f"### Top talkers {days}, by log group")
        self._line()
        self._line("| Region | Log group | Arrived | USD a month | Share | Advice |")
        self._line("| --- | --- | ---: | ---: | ---: | --- |")
        for said in ingestion["top_groups"]:
            advice = markdown("; ".join(said["advice"]))
            where = self.info.place(Target(said["account"], said["region"]))
            self._line(f"| {where} | {markdown(said['group'])} {_heard(said)} {advice} |")
        self._line()
        self._line(markdown(f"An {ingestion['note']}."))

    def _orphans(self, note: str) -> None:
        self._line()
        self._line("### Orphans")
        self._line()
        self._line(markdown(note))
        groups = self.orphans.largest()
        if groups:
            self._line()
            self._line("| Region | Log group | Stored | USD a month | Gone |")
            self._line("| --- | --- | ---: | ---: | --- |")
        for group in groups:
            self._line(
                f"| {self.place(group)} | {markdown(group.name)} | {size(group.stored_bytes)} "
                f"| {markdown(dollars(monthly_usd(group, self.prices)))} "
                f"| {markdown(group.orphan_of or '')} |"
            )

    def _groups(self) -> None:
        self._line()
        self._line("### Largest log groups")
        self._line()
        self._line("| Region | Log group | Stored | USD a month | Retention |")
        self._line("| --- | --- | ---: | ---: | --- |")
        for group in self.overview.largest():
            days = group.retention_days
            term = "never expires" if days is None else f"{days} days"
            self._line(
                f"| {self.place(group)} | {markdown(group.name)} "
                f"| {size(group.stored_bytes)} "
                f"| {markdown(dollars(monthly_usd(group, self.prices)))} | {term} |"
            )

    def _line(self, text: str = "") -> None:
        self.out.write(text + "\n")
