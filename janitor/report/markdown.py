"""`--format markdown`: for a pull request or a job summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from janitor.judge import size
from janitor.report.overview import OverviewReport

_SPECIAL = str.maketrans({char: f"\\{char}" for char in r"\`*_[]<>|~#&"} | {"\n": " ", "\r": " "})


def plain(text: str) -> str:
    """Text that Markdown shows as it is: log group names are untrusted."""
    return text.translate(_SPECIAL)


class MarkdownReport(OverviewReport):
    """The same overview as the table."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write everything."""
        info = self.info
        doing = "dry run" if info.dry_run else "applied"
        self._line(f"## CloudWatch Logs: account {info.account}, {', '.join(info.regions)}")
        self._line()
        self._line(f"Policy: {plain(info.policy)} ({doing})")
        self._line()
        self._line("| What | Log groups | Stored | Streams |")
        self._line("| --- | ---: | ---: | ---: |")
        scanned, stored = summary["groups_scanned"], size(summary["stored_bytes"])
        self._line(f"| Scanned | {scanned:,} | {stored} | |")
        for section in self.overview.sections():
            streams = f"{section.streams:,}" if section.streams else ""
            self._line(
                f"| {section.title} | {section.groups:,} | {size(section.stored_bytes)} "
                f"| {streams} |"
            )
        self._groups()
        for section in self.overview.sections():
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
                    f"| {group.target.region} | {plain(group.name)} "
                    f"| {size(group.stored_bytes)} | {plain(outcome.reason)} |"
                )
            if section.groups > len(shown):
                self._line()
                self._line(f"… and {section.groups - len(shown):,} smaller ones.")

    def _groups(self) -> None:
        self._line()
        self._line("### Largest log groups")
        self._line()
        self._line("| Region | Log group | Stored | Retention |")
        self._line("| --- | --- | ---: | --- |")
        for group in self.overview.largest():
            days = group.retention_days
            term = "never expires" if days is None else f"{days} days"
            self._line(
                f"| {group.target.region} | {plain(group.name)} "
                f"| {size(group.stored_bytes)} | {term} |"
            )

    def _line(self, text: str = "") -> None:
        self.out.write(text + "\n")
