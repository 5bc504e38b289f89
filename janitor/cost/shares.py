"""What parts of an account cost and save: `--by tag:KEY`, `--by prefix`, `--by rule`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from janitor.core.model import LogGroup, Outcome
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
    """Bytes, and in `…units` bytes times nano-USD per GB of what has a price."""

    groups: int = 0
    stored: int = 0
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

    def _of(self, group: LogGroup) -> _Share:
        key = self._key(group)
        if key not in self._shares and len(self._shares) >= MOST_PREFIXES:
            key = OTHER
        return self._shares.setdefault(key, _Share())

    def scanned(self, group: LogGroup) -> None:
        """A log group was read."""
        share, key = self._of(group), key_of(group)
        share.groups += 1
        share.stored += group.stored_bytes
        share.units += group.stored_bytes * (self._prices.storage(key) or 0)
        if (arrived := group.ingestion) is not None:
            share.ingested += arrived.bytes
            share.ingested_units += arrived.bytes * (self._prices.ingestion(key) or 0)

    def add(self, outcome: Outcome) -> None:
        """What was planned for it, or done."""
        bytes_freed = freed(outcome)
        if bytes_freed.at_once or bytes_freed.steady:
            share = self._of(outcome.group)
            share.lost += bytes_freed.at_once
            price = self._prices.storage(key_of(outcome.group)) or 0
            share.saved_units += bytes_freed.steady * price

    def as_dict(self, *, ingestion: bool) -> dict[str, Any]:
        """The `by` object of the summary, the most expensive first; what arrived is None where it
        was not asked for.
        """
        rows: list[dict[str, Any]] = [
            {
                "part": part,
                "groups": share.groups,
                "stored_bytes": share.stored,
                "storage_usd": usd(share.units),
                "saves_usd": usd(share.saved_units),
                "lost_bytes": share.lost,
                "ingested_bytes": share.ingested if ingestion else None,
                "ingestion_usd": usd(share.ingested_units) if ingestion else None,
            }
            for part, share in self._shares.items()
        ]
        rows.sort(key=lambda row: (-row["storage_usd"] - (row["ingestion_usd"] or 0), row["part"]))
        return {"by": self._by, "rows": rows}
