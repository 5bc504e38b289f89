"""The summary of a run for people, on stderr: what was planned, done, left, and what it saves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from janitor.core.loss import loss
from janitor.core.model import Status, Verb
from janitor.core.text import counted, size
from janitor.journal.journal import FileJournal
from janitor.report.base import dollars
from janitor.report.summary import CHANGES, Summary
from janitor.terminal.options import Options
from janitor.terminal.output import complain, say

SLOW = 5
"""Seconds from which the summary says which quota took them."""


def count_carried_out(
    planned: Counter[Verb], done: Counter[Verb], statuses: Counter[Status]
) -> dict[str, int]:
    """Count what became of the lines of a plan, without retention that was set in place of a
    refused deletion.
    """
    lines = {
        "done": (planned & done).total(),
        **{
            status.value: statuses[status]
            for status in (Status.FAILED, Status.REFUSED, Status.UNKNOWN, Status.NOT_REACHED)
        },
    }
    changed = planned.total() - sum(lines.values())
    return {"planned": planned.total(), **lines, "changed_since": max(changed, 0)}


def say_summary(
    options: Options, summary: Summary, journal: FileJournal, *, acted: bool, surveyed: bool
) -> None:
    """Print the summary for people on stderr."""
    if summary.carried_out is not None:
        say(options, _carried_out_text(summary.carried_out))
    retentions, groups, streams = (summary.changes[verb] for verb in CHANGES)
    verb = "were" if acted else "would be"
    groups_scanned = counted(summary.groups_scanned, "log group")
    scanned = f"{groups_scanned} scanned ({size(summary.stored_bytes)} stored)"
    say(
        options,
        f"{scanned if surveyed else 'of the plan'}: "
        f"retention {'was' if acted else verb} set on {retentions:,}, "
        f"{counted(groups, 'group')} and {counted(streams, 'stream')} {verb} deleted; "
        f"{summary.unknown:,} unknown, "
        f"{summary.failed:,} failed, {summary.not_reached:,} not reached",
    )
    if (pace := summary.pace[:1]) and pace[0]["seconds"] >= SLOW:
        slowest = pace[0]
        say(
            options,
            f"the slowest quota: {counted(slowest['calls'], 'call')} of {slowest['operation']} at "
            f"{slowest['per_second']:g} a second take {slowest['seconds']:,.0f} s "
            f"({slowest['target']}); {summary.throttled} of {summary.api_calls:,} calls throttled",
        )
    say(options, loss(summary.money["freed_at_once_bytes"], dry_run=not acted))
    if journal.written:
        say(options, f"journal: {journal.path}")
    for warning in summary.warnings:
        say(options, f"janitor: warning: {warning}")
    for error in summary.errors:
        complain(f"error: {error}")
    if summary.refused_because:
        complain(f"refused: {summary.refused_because}")


def _carried_out_text(lines: Mapping[str, int]) -> str:
    """Return how many lines of the plan were done and, if some were not, why not."""
    reasons = (
        ("changed_since", "changed since"),
        ("failed", "failed"),
        ("refused", "refused by a limit"),
        ("unknown", "could not be judged again"),
        ("not_reached", "not reached"),
    )
    counts = [f"{lines['planned']:,} planned", f"{lines['done']:,} done"]
    return ", ".join([*counts, *(f"{lines[key]:,} {what}" for key, what in reasons if lines[key])])


def say_money(options: Options, summary: Summary, *, surveyed: bool) -> None:
    """Print costs and savings for people on stderr."""
    money = summary.money
    without = money["groups_without_price"]
    unpriced = f"; {counted(without, 'log group')} without a known price"
    stored = f"stored logs cost up to {dollars(money['storage_usd'])} a month; "
    say(
        options,
        f"{stored * surveyed}setting retention saves "
        f"{dollars(money['saved_at_once_usd'])} at once, "
        f"{dollars(money['saved_steady_usd'])} at steady state{unpriced * bool(without)}",
    )
    if (ingestion := summary.ingestion) is not None:
        say(
            options,
            f"ingestion of {ingestion['days']} days: {size(ingestion['bytes'])} in "
            f"{counted(ingestion['groups'], 'log group')}, {dollars(ingestion['usd_a_month'])} "
            f"a month; {ingestion['unread']:,} could not be read; "
            f"reading it cost {dollars(ingestion['metrics_usd'])}",
        )
