"""What parts of one or more accounts cost and save, and what became of each: `--by`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from janitor.core.model import LogGroup, Outcome, SetRetention, Status, Target, Verb
from janitor.core.tally import Tally
from janitor.cost.ingestion import MOST_PREFIXES, OTHER, prefix_of
from janitor.cost.money import PriceList, freed, key_of, usd

UNTAGGED = "(untagged)"
UNREAD = "(tags not read)"


def tag_key(key: str) -> Callable[[LogGroup], str]:
    """The part of a log group by the value of a tag."""

    def part(group: LogGroup) -> str:
        return UNREAD if group.tags is None else group.tags.get(key, UNTAGGED)

    return part


def prefix_key(group: LogGroup) -> str:
    """The part of a log group by the beginning of its name."""
    return prefix_of(group.name)


@dataclass
class _Share:
    """Bytes, and in `…units` bytes times nano-USD per GB of what has a price. `refusable` are the
    deletions and sweeps that are planned.
    """

    tally: Tally = field(default_factory=Tally)
    refusable: defaultdict[Target, Tally] = field(default_factory=lambda: defaultdict(Tally))
    units: int = 0
    saved_units: int = 0
    lost: int = 0
    ingested: int = 0
    ingested_units: int = 0


class Shares:
    """Sums by part, in bounded memory: parts after the first 1,000 are counted together."""

    def __init__(self, by: str, key: Callable[[LogGroup], str], prices: PriceList) -> None:
        self._by = by
        self._key = key
        self._prices = prices
        self._shares: dict[str, _Share] = {}

    def _of(self, part: str) -> _Share:
        if part not in self._shares and len(self._shares) >= MOST_PREFIXES:
            part = OTHER
        return self._shares.setdefault(part, _Share())

    def scanned(self, group: LogGroup) -> None:
        """A log group was read."""
        share, key = self._of(self._key(group)), key_of(group)
        share.tally.read([group])
        share.units += group.stored_bytes * (self._prices.storage(key) or 0)
        if (arrived := group.ingestion) is not None:
            share.ingested += arrived.bytes
            share.ingested_units += arrived.bytes * (self._prices.ingestion(key) or 0)

    def add(self, outcome: Outcome) -> None:
        """What was planned for it, or done."""
        share = self._of(self._key(outcome.group))
        share.tally.add(outcome)
        if outcome.status is Status.PLANNED and not isinstance(outcome.action, SetRetention):
            share.refusable[outcome.group.target].add(outcome)
        bytes_freed = freed(outcome)
        if bytes_freed.at_once or bytes_freed.steady:
            share.lost += bytes_freed.at_once
            price = self._prices.storage(key_of(outcome.group)) or 0
            share.saved_units += bytes_freed.steady * price

    def failed(self, part: str, tally: Tally) -> None:
        """What went wrong in a part as a whole, of which nothing may have been read."""
        mine = self._of(part).tally
        for error in tally.errors:
            mine.error(error)
        mine.by_status[Status.NOT_REACHED] = tally.by_status[Status.NOT_REACHED]

    def forget_changes(self) -> None:
        """What was planned is acted on: what becomes of it is counted anew."""
        for share in self._shares.values():
            share.saved_units = share.lost = 0
            share.refusable.clear()
            tally = share.tally
            share.tally = Tally(tally.scanned, tally.stored_bytes)

    def as_dict(
        self, names: Mapping[str, str], refused_in: Collection[Target] = (), *, ingestion: bool
    ) -> dict[str, Any]:
        """The `by` object of the summary, the most expensive first, with the `names` of parts; what
        arrived is None where it was not asked for. Nothing is deleted in `refused_in`.
        """
        rows = [
            {
                "part": part,
                "name": names.get(part),
                "groups": share.tally.scanned,
                "stored_bytes": share.tally.stored_bytes,
                "storage_usd": usd(share.units),
                "saves_usd": usd(share.saved_units),
                "lost_bytes": share.lost,
                "ingested_bytes": share.ingested if ingestion else None,
                "ingestion_usd": usd(share.ingested_units) if ingestion else None,
                **_became(share, refused_in),
            }
            for part, share in self._shares.items()
        ]
        rows.sort(key=lambda row: (-row["storage_usd"] - (row["ingestion_usd"] or 0), row["part"]))
        return {"by": self._by, "rows": rows}


def _became(share: _Share, refused_in: Collection[Target]) -> dict[str, Any]:
    """What would be done, or was, and what somebody has to look at."""
    verbs = (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS)
    statuses = (Status.FAILED, Status.REFUSED, Status.NOT_REACHED)
    tally = share.tally
    refused = (share.refusable[target] for target in share.refusable.keys() & {*refused_in})
    changes = tally.would(Tally.together(refused)) + tally.done
    return {
        **{verb.value: changes[verb] for verb in verbs},
        "unknown": tally.by_status[Status.UNKNOWN] - tally.acknowledged,
        **{status.value: tally.by_status[status] for status in statuses},
        "errors": list(tally.errors),
    }
