"""What the formats for people share: counts by action, the largest groups, findings by section.

Memory is bounded: only the largest log groups and findings are kept, unless all are asked for.
"""

from __future__ import annotations

import heapq
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, Any, Generic, TypeVar

from janitor.core.loss import loss
from janitor.core.model import (
    RECREATED,
    LogGroup,
    Outcome,
    Status,
    SweepStreams,
    Target,
    Verb,
    verb_of,
)
from janitor.core.text import counted, size
from janitor.cost.money import saves_usd
from janitor.cost.prices import PriceList
from janitor.report.base import NullReport, RunInfo, dollars, percent
from janitor.report.difference import KINDS, decided
from janitor.report.summary import Summary

_T = TypeVar("_T")

LARGEST = 10
ROWS = 15
DELETIONS = 500
"""Rows of deletions: as many as a run may delete by default."""

_TITLES: dict[tuple[Verb, Status], str] = {
    (Verb.DELETE_GROUP, Status.PLANNED): "Would delete the log group",
    (Verb.DELETE_GROUP, Status.DONE): "Deleted the log group",
    (Verb.SET_RETENTION, Status.PLANNED): "Would set retention",
    (Verb.SET_RETENTION, Status.DONE): "Set retention",
    (Verb.SWEEP_STREAMS, Status.PLANNED): "Would sweep expired streams",
    (Verb.SWEEP_STREAMS, Status.DONE): "Swept expired streams",
    (Verb.UNKNOWN, Status.UNKNOWN): "Unknown, so kept",
    (Verb.KEEP, Status.KEPT): "Kept",
    (Verb.KEEP, Status.GONE): "Already gone, or created again",
}
_DELETED = {(Verb.DELETE_GROUP, Status.PLANNED), (Verb.DELETE_GROUP, Status.DONE)}
REFUSABLE = {(Verb.DELETE_GROUP, Status.PLANNED), (Verb.SWEEP_STREAMS, Status.PLANNED)}
_STATUS = {
    Status.FAILED: "Failed",
    Status.REFUSED: "Refused by a limit",
    Status.NOT_REACHED: "Not reached",
    Status.GONE: "Already gone",
}
_NOUN = {
    Verb.DELETE_GROUP: "delete the log group",
    Verb.SET_RETENTION: "set retention",
    Verb.SWEEP_STREAMS: "sweep expired streams",
    Verb.UNKNOWN: "unknown",
    Verb.KEEP: "keep",
}


def title(verb: Verb, status: Status) -> str:
    """Return the heading of a section."""
    return _TITLES.get((verb, status)) or f"{_STATUS.get(status, status)}: {_NOUN[verb]}"


class Largest(Generic[_T]):
    """Keeps the `most` largest items, or all of them if None. Of equal ones the first are kept."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._order = 0
        self._heap: list[tuple[int, int, _T]] = []

    def add(self, size: int, item: _T) -> None:
        """Add an item, and drop the smallest if there are too many."""
        self._order -= 1
        entry = (size, self._order, item)
        if self._most is None or len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def items(self) -> list[tuple[int, _T]]:
        """Return sizes and items, largest first."""
        ordered = sorted(self._heap, key=lambda entry: entry[:2], reverse=True)
        return [(size, item) for size, _, item in ordered]


class Section:
    """The outcomes of one verb and status: their counts, and the largest of them. Planned deletions
    are counted by target as well.
    """

    def __init__(self, title: str, most: int | None = 0) -> None:
        self.title = title
        self.groups = 0
        self.stored_bytes = 0
        self.streams = 0
        self.made_again = 0
        self.by_target: dict[Target, Section] = {}
        self.largest = Largest[Outcome](most)

    def count(self, outcome: Outcome) -> None:
        """Add an outcome to the counts."""
        self.groups += 1
        self.made_again += any(piece.source == RECREATED for piece in outcome.evidence)
        self.stored_bytes += outcome.group.stored_bytes
        self.streams += outcome.streams if isinstance(outcome.action, SweepStreams) else 0

    def within(self, targets: Collection[Target], title: str, *, other: bool = False) -> Section:
        """Return the part of the section in these targets, or in all `other` ones."""
        part = Section(title, None)
        for target, counts in self.by_target.items():
            if (target in targets) != other:
                part.groups += counts.groups
                part.made_again += counts.made_again
                part.stored_bytes += counts.stored_bytes
                part.streams += counts.streams
        for stored, outcome in self.largest.items():
            if (outcome.group.target in targets) != other:
                part.largest.add(stored, outcome)
        return part

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes that were kept, largest first."""
        return [outcome for _, outcome in self.largest.items()]


class Orphans:
    """Collects the largest log groups that hold something and whose owner is gone."""

    def __init__(self, most: int | None) -> None:
        self._largest = Largest[LogGroup](most)

    def scanned(self, group: LogGroup) -> None:
        """Add a log group if it is an orphan."""
        if group.answers is not None and group.stored_bytes and group.orphan_of is not None:
            self._largest.add(group.stored_bytes, group)

    def largest(self) -> list[LogGroup]:
        """Return the largest orphans, largest first."""
        return [group for _, group in self._largest.items()]


class Overview:
    """Collects log groups and outcomes for the formats for people, at most `rows` of each kind."""

    def __init__(self, rows: int | None = ROWS) -> None:
        self._rows = rows
        self._sections: dict[tuple[Verb, Status], Section] = {}
        self._largest = Largest[LogGroup](LARGEST)
        self.never_expire = 0
        """Log groups without a retention in force."""

    def scanned(self, group: LogGroup) -> None:
        """Add a log group."""
        self.never_expire += group.retention_days is None
        self._largest.add(group.stored_bytes, group)

    def add(self, outcome: Outcome, *, listed: bool = True) -> None:
        """Count an outcome and, if `listed`, keep it if it is among the largest of its section."""
        key = (verb_of(outcome.action), outcome.status)
        if (section := self._sections.get(key)) is None:
            rows = self._rows and (DELETIONS if key[0] is Verb.DELETE_GROUP else self._rows)
            section = self._sections[key] = Section(title(*key), rows)
        section.count(outcome)
        if key in REFUSABLE:
            section.by_target.setdefault(outcome.group.target, Section("")).count(outcome)
        if listed:
            section.largest.add(outcome.group.stored_bytes, outcome)

    def sections(self, refused_in: Collection[Target]) -> Iterator[Section]:
        """Yield the sections: deletions first, what is kept last. Planned deletions in the targets
        `refused_in` have a section of their own.
        """
        verbs = (*(Verb.DELETE_GROUP, Verb.SWEEP_STREAMS, Verb.SET_RETENTION), *Verb)
        order = {verb: index for index, verb in reversed(list(enumerate(verbs)))}
        for key in sorted(self._sections, key=lambda key: (order[key[0]], key[1])):
            section = self._sections[key]
            if key not in REFUSABLE or not refused_in:
                yield section
                continue
            refused = section.within(refused_in, title(key[0], Status.REFUSED))
            would = section.within(refused_in, section.title, other=True)
            yield from (part for part in (would, refused) if part.groups)

    def made_again(self, refused_in: Collection[Target]) -> int:
        """Count the deleted log groups that their service may create again."""
        deleted = {title(*key) for key in _DELETED}
        return sum(one.made_again for one in self.sections(refused_in) if one.title in deleted)

    def largest(self) -> list[LogGroup]:
        """Return the largest log groups, largest first."""
        return [group for _, group in self._largest.items()]


def money_rows(summary: Summary, info: RunInfo) -> list[tuple[str, str, str]]:
    """Return costs and savings: a label, an amount a month, and the bytes that it is for."""
    money, ingestion = summary.money, summary.ingestion
    what = "Would be saved" if info.dry_run else "Saved"
    now = ("Storage now, at most", dollars(money["storage_usd"]), size(summary.stored_bytes))
    rows = [
        *([now] if info.surveyed else []),
        (
            f"{what} at once",
            dollars(money["saved_at_once_usd"]),
            size(money["freed_at_once_bytes"]),
        ),
        (
            f"{what} at steady state",
            dollars(money["saved_steady_usd"]),
            size(money["freed_steady_bytes"]),
        ),
    ]
    if (soon := money["expires_in_30_days_bytes"]) is not None and info.dry_run:
        rows.append(("Expires on its own in 30 days", "", size(soon)))
    if without := money["groups_without_price"]:
        label = f"Without a known price: {counted(without, 'log group')}"
        rows.append((label, "unknown", size(money["bytes_without_price"])))
    if ingestion is not None:
        days, unread = ingestion["days"], ingestion["unread"]
        label = f"Ingestion of the last {days} days"
        rows.append((label, dollars(ingestion["usd_a_month"]), size(ingestion["bytes"])))
        if unread:
            label = f"Ingestion not read: {counted(unread, 'log group')}"
            rows.append((label, "unknown", "unknown"))
    return rows


def money_note(money: Mapping[str, Any]) -> str:
    """Return what the figures mean, and the date and source of the prices."""
    return f"An {money['note']}. Prices of {money['prices_date']}: {money['prices_source']}."


def share_heads(summary: Summary, info: RunInfo) -> tuple[str, ...]:
    """Return the headings of `share_rows`."""
    changes = ("Saves", "Lost", "Set", "Deleted")
    if info.dry_run:
        changes = ("Would save", "Would lose", "Would set", "Would delete")
    stored = ("Groups", "Stored", "USD a month") if info.surveyed else ()
    ingestion = ["Arrives, USD"] if summary.ingestion else []
    return ("Part", *stored, *changes, "Needs a person", *ingestion)


def share_rows(summary: Summary, info: RunInfo) -> Iterator[tuple[str, ...]]:
    """Yield the rows of `--by`, with the columns of `share_heads`."""
    for row in summary.by["rows"] if summary.by else ():
        for_a_person = sum(row[key] for key in ("unknown", "failed", "refused", "not_reached"))
        ingestion = [dollars(row["ingestion_usd"])] if summary.ingestion else []
        stored = (f"{row['groups']:,}", size(row["stored_bytes"]), dollars(row["storage_usd"]))
        yield (
            " ".join(filter(None, (row["part"], row["name"]))),
            *(stored if info.surveyed else ()),
            dollars(row["saves_usd"]),
            size(row["lost_bytes"]),
            f"{row['set_retention']:,}",
            f"{row['delete_group']:,}",
            f"{for_a_person + len(row['errors']):,}",
            *ingestion,
        )


def failed_where(summary: Summary) -> list[str]:
    """Return what did not finish, and why nothing may be deleted, each with its place."""
    rows = summary.by["rows"] if summary.by else ()
    return list(dict.fromkeys(error for row in rows for error in row["errors"]))


def orphans_note(summary: Summary) -> str:
    """Return what orphans hold and cost, what finding them took, and what to do about them; "" if
    they were not asked for.
    """
    if (orphans := summary.orphans) is None:
        return ""
    unread, calls = orphans["unread"], (summary.asked or {})
    note = (
        f"{counted(orphans['groups'], 'log group')} with no owner and no recent arrivals: "
        f"{size(orphans['stored_bytes'])} stored, {dollars(orphans['monthly_usd'])} a month. "
    )
    if unread:
        note += f"{counted(unread, 'log group')} could not be checked. "
    note += f"Checking took {counted(calls.get('owner_calls', 0), 'call')} about owners"
    if metrics := calls.get("metrics"):
        note += f" and {counted(metrics, 'metric')} ({dollars(calls['metrics_usd'])})"
    if orphans["groups"]:
        note += "; a rule with orphan_days empties such log groups, and a later run deletes them"
    return f"{note}."


def made_again_note(groups: int) -> str:
    """Return what to do about deleted log groups that their service creates again; "" if none."""
    if not groups:
        return ""
    return (
        f"Once deleted, {counted(groups, 'log group')} may be created again by their service, "
        "without retention: to set retention on new log groups of a prefix, see `janitor native`."
    )


def answer(summary: Summary, info: RunInfo) -> str:
    """Return the run in one sentence."""
    money, changes = summary.money, summary.changes
    deleted, given = changes["delete_group"], changes["set_retention"]
    would = "would be" if info.dry_run else "was" if deleted == 1 else "were"
    groups, saved, cost = counted(deleted, "log group"), money["saved_steady_usd"], ""
    if info.surveyed:
        groups = f"{deleted:,} of {counted(summary.groups_scanned, 'log group')}"
        cost = f" of {dollars(money['storage_usd'])}" * (money["storage_usd"] is not None)
    saves = f", saving {dollars(saved)}{cost} a month" if saved is not None else ""
    return f"{groups} {would} deleted and {given:,} given retention{saves}."


def for_a_person(summary: Summary) -> list[str]:
    """Return what needs a person, the worst first."""
    items = [f"REFUSED: {summary.refused_because}"] if summary.refused_because else []
    for count, what in (
        (summary.failed, "failed"),
        (summary.not_reached, "not reached"),
        (summary.unknown - summary.acknowledged, "could not be judged, so kept"),
    ):
        items += [f"{counted(count, 'log group')} {what}"] if count else []
    items += [f"{counted(len(summary.errors), 'error')}"] if summary.errors else []
    return items


def deletions(summary: Summary) -> str:
    """Return how much is deleted and, if something is, how much is refused."""
    planned, changes = summary.planned, summary.changes
    groups, streams = changes["delete_group"], changes["sweep_streams"]
    text = (
        f"{counted(groups, 'log group')}, proved empty and unused; "
        f"{counted(streams, 'expired log stream')}"
    )
    if not summary.refused_in:
        return text
    refused = [
        counted(planned["delete_group"] - groups, "log group"),
        counted(planned["sweep_streams"] - streams, "log stream"),
    ]
    if instead := changes["set_retention"] - planned["set_retention"]:
        refused[0] += f" ({instead:,} get retention instead)"
    return f"{text}; refused: {', '.join(refused)}"


def ingested(summary: Summary, prices: PriceList) -> str:
    """Return what arrives, in one line, or what it would cost to ask."""
    ingestion = summary.ingestion
    if ingestion is None:
        by_region = summary.money["by_region"]
        known = [
            row["groups"] * price
            for row in by_region
            if (price := prices.metrics(row["region"])) is not None
        ]
        usd = max(sum(known) / 1e12, 0.001)
        about = f", about ${usd:.3f}" if known and len(known) == len(by_region) else ""
        return f"not read; usually the larger part: --ingestion{about}"
    line = f"{dollars(ingestion['usd_a_month'])} a month ({size(ingestion['bytes'])})"
    if cheaper := ingestion["infrequent_access_saves_usd"]:
        line += f"; INFREQUENT_ACCESS would save {dollars(cheaper)}"
    return line


def arrived(top: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what arrives in a log group or under a prefix: size, cost and share."""
    return size(top["bytes"]), dollars(top["usd_a_month"]), percent(top["share"], 1)


def next_command(summary: Summary, info: RunInfo, words: Sequence[str]) -> str:
    """Return the command to type next."""
    if info.dry_run and any(summary.planned.values()):
        return shlex.join(["janitor", "plan", "-o", "plan.jsonl", *words])
    return shlex.join(["janitor", "report", "--all", *words])


def changes(
    found: Mapping[str, Any], info: RunInfo, most: int | None
) -> Iterator[tuple[str, list[tuple[str, str, str]], int]]:
    """Yield what changed since an older report, by kind: the heading, a row (place, log group, what
    was decided) for `most` of them, and how many more there are.
    """
    for kind, (_, title) in KINDS.items():
        if found[kind]:
            rows = [
                (
                    info.place(Target(row["account"], row["region"])),
                    row["group"],
                    decided(kind, row),
                )
                for row in found[kind][:most]
            ]
            count = len(found[kind])
            yield f"{title[:1].upper()}{title[1:]} ({count:,})", rows, count - len(rows)
    if not any(found[kind] for kind in KINDS):
        yield "No finding is new, gone or decided differently", [], 0


class OverviewReport(NullReport):
    """The base of the formats for people, which collect and write everything in `finish`."""

    def __init__(
        self, out: IO[str], *, everything: bool, prices: PriceList, words: Sequence[str] = ()
    ) -> None:
        """`words` are the options with which another command finds the same account and policy."""
        self.out = out
        self.words = tuple(words)
        self.all = everything
        self.prices = prices
        self.overview = Overview(None if everything else ROWS)
        self.orphans = Orphans(None if everything else ROWS)
        self._savings = Largest[Outcome](LARGEST)

    def start(self, info: RunInfo) -> None:
        """Keep what the run covers."""
        self.info = info

    def scanned(self, group: LogGroup) -> None:
        """Add a log group."""
        self.overview.scanned(group)
        self.orphans.scanned(group)

    def finding(self, outcome: Outcome) -> None:
        """Add an outcome."""
        self.overview.add(outcome)
        if saved := saves_usd(outcome, self.prices):
            self._savings.add(round(saved * 1e9), outcome)

    def headlines(self, summary: Summary) -> Iterator[tuple[str, str]]:
        """Yield what a person wants to know first: labels and texts, the most urgent first."""
        yield "Needs a person", "; ".join(for_a_person(summary)) or "nothing"
        yield "Deletions", deletions(summary)
        lost = loss(summary.money["freed_at_once_bytes"], dry_run=self.info.dry_run)
        yield "Lost for good", lost.removeprefix("lost for good: ")
        if self.info.surveyed:
            yield "Ingestion", ingested(summary, self.prices)

    def changes(
        self, found: Mapping[str, Any]
    ) -> Iterator[tuple[str, list[tuple[str, str, str]], int]]:
        """Yield what changed since an older report, as `changes`."""
        return changes(found, self.info, None if self.all else ROWS)

    def place(self, group: LogGroup) -> str:
        """Return where a log group is, for people."""
        return self.info.place(group.target)

    def savings(self) -> list[tuple[float, Outcome]]:
        """Return the largest savings in USD a month, largest first."""
        return [(saved / 1e9, outcome) for saved, outcome in self._savings.items()]

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes, without listing them."""
        for outcome in outcomes:
            self.overview.add(outcome, listed=False)
