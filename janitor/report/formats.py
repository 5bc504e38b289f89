"""The report of each format, for the command line to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, assert_never

from janitor.cost.prices import PriceList
from janitor.report import csv, json, markdown, table
from janitor.report.base import Format, Report
from janitor.report.difference import Since


def make_report(
    form: Format,
    out: IO[str],
    *,
    everything: bool,
    prices: PriceList,
    explain: Sequence[str] = (),
    color: bool = True,
    parts: bool = False,
    since: Since | None = None,
    org: bool = False,
    now: int,
) -> Report:
    """Return the report of a format, which writes to `out`.

    `everything` lists every finding in the formats for people, too. `explain` are the options with
    which `janitor explain` finds the same account and policy. In CSV, `parts` makes the rows those
    of `--by`, and `since` adds a column. `org`: the accounts are an organization's. `color` allows
    colours at a terminal. `now`: when the run began, in ms since the epoch.
    """
    match form:
        case Format.TABLE:
            return table.TableReport(
                out, everything=everything, prices=prices, words=explain, color=color
            )
        case Format.JSON:
            return json.JsonReport(out, prices)
        case Format.JSONL:
            return json.JsonLinesReport(out, prices)
        case Format.CSV:
            return csv.CsvReport(out, prices, parts=parts, since=since)
        case Format.MARKDOWN:
            return markdown.MarkdownReport(out, everything=everything, prices=prices, words=explain)
        case Format.HTML:
            # Imported here, because Jinja2 takes as long to import as all the rest.
            from janitor.report import html

            return html.HtmlReport(out, prices, explain=explain, org=org, now=now)
        case _:
            assert_never(form)
