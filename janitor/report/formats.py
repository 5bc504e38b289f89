"""Which report a format is: what the command line chooses from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, assert_never

from janitor.cost.money import PriceList
from janitor.report import delimited, markdown, structured, table
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
) -> Report:
    """The report of a format, written to `out`; `everything` lists each finding for people too.

    `explain` are the options that `janitor explain` needs to find the same account and policy.
    `parts`: the rows of CSV are those of `--by`; `since` has what they say of an older report.
    `org`: accounts are an organization's. `color` is for a table at a terminal that takes it.
    """
    match form:
        case Format.TABLE:
            return table.TableReport(
                out, everything=everything, prices=prices, words=explain, color=color
            )
        case Format.JSON:
            return structured.JsonReport(out, prices)
        case Format.JSONL:
            return structured.JsonLinesReport(out, prices)
        case Format.CSV:
            return delimited.CsvReport(out, prices, parts=parts, since=since)
        case Format.MARKDOWN:
            return markdown.MarkdownReport(out, everything=everything, prices=prices, words=explain)
        case Format.HTML:
            # Only here: Jinja2 takes as long to import as all the rest.
            from janitor.report import html

            return html.HtmlReport(out, prices, explain=explain, org=org)
        case _:
            assert_never(form)
