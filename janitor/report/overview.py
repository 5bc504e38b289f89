"""What the formats for people show: counts by action, the largest groups, findings by section.

Memory stays bounded: of each section and of the groups only the largest are kept, unless all
were asked for.
"""

from __future__ import annotations

import heapq
import shlex
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar

from janitor.core.loss import loss
from janitor.core.model import (
    MADE_AGAIN,
    Ingestion,
    LogGroup,
    Outcome,
    Status,
    SweepStreams,
    Target,
    Verb,
    verb_of,
)
from janitor.core.text import size
from janitor.cost.money import PriceList, saves_usd
from janitor.report.base import RunInfo, counted, dollars
from janitor.report.difference import KINDS, decided
from janitor.report.summary import Summary

_T = TypeVar("_T")

LARGEST = 10
ROWS = 15
DELETIONS = 500
"""Rows of what is deleted: as many as one run may delete unless the policy says otherwise."""

_TITLES: dict[tuple[Verb, Status], str] = {
    (Verb.DELETE_GROUP, Status.PLANNED): "Would delete the log group",
    (Verb.DELETE_GROUP, Status.DONE): "Deleted the log group",
    (Verb.SET_RETENTION, Status.PLANNED): "Would set retention",
    (Verb.SET_RETENTION, Status.DONE): "Set retention",
    (Verb.SWEEP_STREAMS, Status.PLANNED): "Would sweep expired streams",
    (Verb.SWEEP_STREAMS, Status.DONE): "Swept expired streams",
    (Verb.UNKNOWN, Status.UNKNOWN): "Unknown, so kept",
    (Verb.KEEP, Status.KEPT): "Kept",
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
    """A section's heading."""
    return _TITLES.get((verb, status)) or f"{_STATUS.get(status, status)}: {_NOUN[verb]}"


@dataclass
class Section:
    """The outcomes of one kind: how many, how large, and the largest of them; of deletions that are
    planned the same counts by target.
    """

    title: str
    groups: int = 0
    stored_bytes: int = 0
    streams: int = 0
    made_again: int = 0
    by_target: dict[Target, Section] = field(default_factory=dict)
    largest: list[tuple[int, int, Outcome]] = field(default_factory=list)

    def count(self, outcome: Outcome) -> None:
        """One more."""
        self.groups += 1
        self.made_again += any(seen.source == MADE_AGAIN for seen in outcome.evidence)
        self.stored_bytes += outcome.group.stored_bytes
        self.streams += outcome.streams if isinstance(outcome.action, SweepStreams) else 0

    def within(self, targets: Collection[Target], title: str, *, other: bool = False) -> Section:
        """The part that is in these targets, or in `other` ones."""
        part = Section(title)
        for target, counts in self.by_target.items():
            if (target in targets) != other:
                part.groups += counts.groups
                part.made_again += counts.made_again
                part.stored_bytes += counts.stored_bytes
                part.streams += counts.streams
        part.largest = [e for e in self.largest if (e[2].group.target in targets) != other]
        return part

    def outcomes(self) -> list[Outcome]:
        """The largest outcomes, largest first."""
        return [outcome for _, _, outcome in sorted(self.largest, key=_largest_first)]


def _largest_first(entry: tuple[int, int, object]) -> tuple[int, int]:
    return (-entry[0], -entry[1])


class Orphans:
    """Collects log groups that hold something and whose owner is gone: the largest, or all."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._order = 0
        self._largest: list[tuple[int, int, LogGroup]] = []

    def scanned(self, group: LogGroup) -> None:
        """Remember it if it is one, and among the largest."""
        if group.found is not None and group.stored_bytes and group.orphan_of is not None:
            self._order -= 1
            _keep(self._largest, (group.stored_bytes, self._order, group), self._most)

    def largest(self) -> list[LogGroup]:
        """The largest orphans, largest first."""
        return [group for _, _, group in sorted(self._largest, key=_largest_first)]


class Overview:
    """Collects what is scanned and found, for the formats for people; `rows` a section or all."""

    def __init__(self, rows: int | None = ROWS) -> None:
        self._rows = rows
        self._sections: dict[tuple[Verb, Status], Section] = {}
        self._largest: list[tuple[int, int, LogGroup]] = []
        self._order = 0
        self.retention: Counter[str] = Counter()

    def scanned(self, group: LogGroup) -> None:
        """Remember it if it is among the largest."""
        self._order -= 1
        self.retention["never" if group.retention_days is None else "set"] += 1
        _keep(self._largest, (group.stored_bytes, self._order, group), LARGEST)

    def add(self, outcome: Outcome, *, listed: bool = True) -> None:
        """Count an outcome and, if listed, remember it if it is among its section's largest."""
        key = (verb_of(outcome.action), outcome.status)
        section = self._sections.setdefault(key, Section(title(*key)))
        section.count(outcome)
        if key in REFUSABLE:
            section.by_target.setdefault(outcome.group.target, Section("")).count(outcome)
        if not listed:
            return
        self._order -= 1
        most = self._rows and (DELETIONS if key[0] is Verb.DELETE_GROUP else self._rows)
        _keep(section.largest, (outcome.group.stored_bytes, self._order, outcome), most)

    def sections(self, refused_in: Collection[Target]) -> Iterator[Section]:
        """The sections, what deletes most first and what is kept last. Of deletions that are only
        planned, those in `refused_in` have a section of their own.
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
        """Log groups that are deleted and that their service may make again."""
        deleted = {title(*key) for key in _DELETED}
        return sum(one.made_again for one in self.sections(refused_in) if one.title in deleted)

    def largest(self) -> list[LogGroup]:
        """The largest log groups, largest first."""
        return [group for _, _, group in sorted(self._largest, key=_largest_first)]


def money_rows(summary: Summary, info: RunInfo) -> list[tuple[str, str, str]]:
    """What it costs and saves: a label, an amount a month, and the bytes that it is for."""
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
        label = f"Without a known price: {without:,} log group{'' if without == 1 else 's'}"
        rows.append((label, "unknown", size(money["bytes_without_price"])))
    if ingestion is not None:
        days, unread = ingestion["days"], ingestion["unread"]
        label = f"Ingestion of the last {days} days"
        rows.append((label, dollars(ingestion["usd_a_month"]), size(ingestion["bytes"])))
        if unread:
            label = f"Ingestion not read: {unread:,} log group{'' if unread == 1 else 's'}"
            rows.append((label, "unknown", "unknown"))
    return rows


def money_note(money: Mapping[str, Any]) -> str:
    """What the figures are, and of when and where the prices."""
    return f"An {money['note']}. Prices of {money['prices_date']}: {money['prices_source']}."


def share_heads(summary: Summary, info: RunInfo) -> tuple[str, ...]:
    """What `share_rows` are headed with."""
    changes = ("Saves", "Lost", "Set", "Deleted")
    if info.dry_run:
        changes = ("Would save", "Would lose", "Would set", "Would delete")
    there = ("Groups", "Stored", "USD a month") if info.surveyed else ()
    arrives = ["Arrives, USD"] if summary.ingestion else []
    return ("Part", *there, *changes, "Needs a person", *arrives)


def share_rows(summary: Summary, info: RunInfo) -> Iterator[tuple[str, ...]]:
    """The rows of `--by`: to how many log groups retention is set, how many are deleted, and how
    much somebody has to look at. What arrives comes last, if it was read.
    """
    for row in summary.by["rows"] if summary.by else ():
        look_at = sum(row[key] for key in ("unknown", "failed", "refused", "not_reached"))
        arrives = row["ingestion_usd"]
        there = (f"{row['groups']:,}", size(row["stored_bytes"]), dollars(row["storage_usd"]))
        yield (
            " ".join(filter(None, (row["part"], row["name"]))),
            *(there if info.surveyed else ()),
            dollars(row["saves_usd"]),
            size(row["lost_bytes"]),
            f"{row['set_retention']:,}",
            f"{row['delete_group']:,}",
            f"{look_at + len(row['errors']):,}",
            *([] if arrives is None else [dollars(arrives)]),
        )


def failed_where(summary: Summary) -> list[str]:
    """What did not finish, and where nothing may be deleted: each after its place."""
    rows = summary.by["rows"] if summary.by else ()
    return list(dict.fromkeys(error for row in rows for error in row["errors"]))


def orphans_note(summary: Summary) -> str:
    """What the orphans come to, what asking for them took, and what can be done; "" where they were
    not asked for.
    """
    if (orphans := summary.orphans) is None:
        return ""
    unread, calls = orphans["unread"], (summary.asked or {})
    said = (
        f"{counted(orphans['groups'], 'log group')} with no owner and no recent arrivals: "
        f"{size(orphans['stored_bytes'])} stored, {dollars(orphans['monthly_usd'])} a month. "
    )
    if unread:
        said += f"{counted(unread, 'log group')} could not be checked. "
    said += f"Checking took {calls.get('owner_calls', 0):,} calls about owners"
    if metrics := calls.get("metrics"):
        said += f" and {metrics:,} metrics ({dollars(calls['metrics_usd'])})"
    more = "; a rule with orphan_days empties such log groups, and a later run deletes them"
    return f"{said}{more * bool(orphans['groups'])}."


def made_again_note(groups: int) -> str:
    """What to do about log groups that will be there again; "" where there are none."""
    if not groups:
        return ""
    return (
        f"{counted(groups, 'log group')} to delete may be created again by their service, without "
        "retention: to set retention on new log groups of a prefix, see `janitor native`."
    )


def answer(summary: Summary, info: RunInfo) -> str:
    """The run in one sentence."""
    money, changes = summary.money, summary.changes
    deleted, given = changes["delete_group"], changes["set_retention"]
    would = "would be" if info.dry_run else "were"
    of = f" of {summary.groups_scanned:,}" if info.surveyed else ""
    saves = f"saving {dollars(money['saved_steady_usd'])}"
    cost = f" of {dollars(money['storage_usd'])}" if info.surveyed else ""
    return (
        f"{deleted:,}{of} log groups {would} deleted and {given:,} given retention, "
        f"{saves}{cost} a month."
    )


def for_a_person(summary: Summary) -> list[str]:
    """What somebody has to look at, the worst first."""
    said = [f"REFUSED: {summary.refused_because}"] if summary.refused_because else []
    for count, what in (
        (summary.failed, "failed"),
        (summary.not_reached, "not reached"),
        (summary.unknown - summary.acknowledged, "could not be judged, so kept"),
    ):
        said += [f"{counted(count, 'log group')} {what}"] if count else []
    said += [f"{counted(len(summary.errors), 'error')}"] if summary.errors else []
    return said


def deletions(summary: Summary) -> str:
    """What is deleted: never more than what holds nothing any more."""
    groups, streams = summary.changes["delete_group"], summary.changes["sweep_streams"]
    said = (
        f"{counted(groups, 'log group')}, proved empty and unused; "
        f"{counted(streams, 'expired log stream')}"
    )
    if not summary.refused_in:
        return said
    planned, changes = summary.planned, summary.changes
    refused = [
        counted(planned["delete_group"] - groups, "log group"),
        counted(planned["sweep_streams"] - streams, "log stream"),
    ]
    if instead := changes["set_retention"] - planned["set_retention"]:
        refused[0] += f" ({instead:,} get retention instead)"
    return f"{said}; refused: {', '.join(refused)}"


def ingested(summary: Summary, prices: PriceList) -> str:
    """What arrives, in one line; or what it costs to ask."""
    told = summary.ingestion
    if told is None:
        nano = [
            row["groups"] * price if (price := prices.metrics(row["region"])) is not None else None
            for row in summary.money["by_region"]
        ]
        known = [one for one in nano if one is not None]
        usd = max(sum(known) / 1e12, 0.001)
        about = f", about ${usd:.3f}" if known and len(known) == len(nano) else ""
        return f"not read; usually the larger part: --ingestion{about}"
    line = f"{dollars(told['usd_a_month'])} a month ({size(told['bytes'])})"
    if cheaper := told["infrequent_access_saves_usd"]:
        line += f"; INFREQUENT_ACCESS would save {dollars(cheaper)}"
    return line


def next_command(summary: Summary, info: RunInfo, words: Sequence[str]) -> str:
    """What to type next."""
    if info.dry_run and any(summary.planned.values()):
        return shlex.join(["janitor", "plan", "-o", "plan.jsonl", *words])
    return shlex.join(["janitor", "report", "--all", *words])


def changes(
    found: Mapping[str, Any], info: RunInfo, most: int | None
) -> Iterator[tuple[str, list[tuple[str, str, str]], int]]:
    """What changed since an older report, by kind: its heading, a row (place, log group, what was
    decided) for `most` of them, and how many more there are.
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


class OverviewReport:
    """What the formats for people share: they collect, and write everything in `finish`."""

    def __init__(
        self, out: IO[str], *, everything: bool, prices: PriceList, words: Sequence[str] = ()
    ) -> None:
        """`words` are the options that find the same account and policy once more."""
        self.out = out
        self.words = tuple(words)
        self.all = everything
        self.prices = prices
        self.overview = Overview(None if everything else ROWS)
        self.orphans = Orphans(None if everything else ROWS)
        self._info: RunInfo | None = None
        self._savings: list[tuple[int, int, Outcome]] = []
        self._order = 0

    @property
    def info(self) -> RunInfo:
        """What the run is about."""
        assert self._info is not None, "start comes first"
        return self._info

    def start(self, info: RunInfo) -> None:
        """Remember what the run is about."""
        self._info = info

    def scanned(self, group: LogGroup) -> None:
        """Look out for the largest groups."""
        self.overview.scanned(group)
        self.orphans.scanned(group)

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Nothing: the summary tells."""

    def finding(self, outcome: Outcome) -> None:
        """Count it."""
        self.overview.add(outcome)
        saved = saves_usd(outcome, self.prices)
        if saved:
            self._order -= 1
            _keep(self._savings, (round(saved * 1e9), self._order, outcome), LARGEST)

    def headlines(self, summary: Summary) -> Iterator[tuple[str, str]]:
        """What a person wants to know first, each with its label, in that order."""
        yield "Needs a person", "; ".join(for_a_person(summary)) or "nothing"
        yield "Deletions", deletions(summary)
        lost = loss(summary.money["freed_at_once_bytes"], dry_run=self.info.dry_run)
        yield "Lost for good", lost.removeprefix("lost for good: ")
        if self.info.surveyed:
            yield "Ingestion", ingested(summary, self.prices)

    def changes(
        self, found: Mapping[str, Any]
    ) -> Iterator[tuple[str, list[tuple[str, str, str]], int]]:
        """What changed since an older report, as many rows as of a section."""
        return changes(found, self.info, None if self.all else ROWS)

    def place(self, group: LogGroup) -> str:
        """Where it is."""
        return self.info.place(group.target)

    def savings(self) -> list[tuple[float, Outcome]]:
        """What saves most, in USD a month, the largest first."""
        ordered = sorted(self._savings, key=_largest_first)
        return [(saved / 1e9, outcome) for saved, _, outcome in ordered]

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Count them, without rows of their own."""
        for outcome in outcomes:
            self.overview.add(outcome, listed=False)


def _keep(heap: list[tuple[int, int, _T]], entry: tuple[int, int, _T], most: int | None) -> None:
    if most is None or len(heap) < most:
        heapq.heappush(heap, entry)
    else:
        heapq.heappushpop(heap, entry)
