"""What stored bytes cost and what a change saves. Pure, in whole numbers.

The figures are estimates and upper bounds of the bill: AWS bills archived logs compressed, and says
of `storedBytes` only that it is "the number of bytes stored" (API reference, LogGroup). A GB is
taken as 10^9 bytes; the free tier and discounts are left out.

Everything is counted in bytes by Region and log class, and priced last. Bytes and prices (nano-USD
per GB) are whole numbers, so sums are the same however they are grouped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.core.loss import expiring_bytes, lost_bytes
from janitor.core.model import OWNER_GONE, Ingestion, LogGroup, Outcome, SetRetention, Status
from janitor.cost.prices import NANO, Key, PriceList

GB = 10**9
NO_SIZE = "unreadable size"
"""Replaces the log class if `storedBytes` made no sense: such bytes have no price."""

SOON = 30
"""Days within which events that expire anyway are counted."""

NOTE = (
    "estimate: an upper bound, because AWS bills archived logs compressed and the free tier is not "
    "counted; savings are for storage only, assume that events arrived evenly (at steady state, at "
    "the measured rate if it was read), and begin once CloudWatch has removed the events, within "
    "about three days; deleted log groups are empty and save nothing, and what longer retention "
    "adds is not counted"
)


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that a change frees: within days, and once arrival and expiry balance."""

    at_once: int = 0
    steady: int = 0


def key_of(group: LogGroup) -> Key:
    """Return the Region and log class that a log group is counted under."""
    if group.defects and any(defect.startswith("storedBytes") for defect in group.defects):
        return (group.target.region, NO_SIZE)
    return (group.target.region, group.log_class)


def usd(units: int) -> float:
    """Convert bytes times nano-USD per GB to USD, rounded to the nano-dollar."""
    return round(units / (GB * NANO), 9)


def priced_usd(count: int, price: int | None) -> float | None:
    """Return what so many bytes cost in USD; None if there is no price."""
    return None if price is None else usd(count * price)


def total_usd(counts: Mapping[Key, int], price_of: Callable[[Key], int | None]) -> float | None:
    """Return what the bytes cost in USD where they have a price; None if none has one."""
    priced = [
        count * price for key, count in counts.items() if (price := price_of(key)) is not None
    ]
    return None if counts and not priced else usd(sum(priced))


def metrics_usd(metrics: Mapping[str, int], prices: PriceList) -> float | None:
    """Return what CloudWatch bills for requesting so many metrics by Region, in USD; None if one of
    the Regions has no price.
    """
    nano = 0
    for region, count in metrics.items():
        price = prices.metrics(region)
        if price is None:
            return None
        nano += count * price
    return nano / 1000 / NANO


def monthly_usd(group: LogGroup, prices: PriceList) -> float | None:
    """Return what the group's storage costs a month now; None if there is no price."""
    return priced_usd(group.stored_bytes, prices.storage(key_of(group)))


def saves_usd(outcome: Outcome, prices: PriceList) -> float | None:
    """Return what the action saves a month at steady state; None if there is no price."""
    return priced_usd(freed(outcome).steady, prices.storage(key_of(outcome.group)))


_NOTHING = Freed()


def freed(outcome: Outcome) -> Freed:
    """Return what an outcome frees. Only a retention does: what is deleted or swept was empty."""
    if isinstance(outcome.action, SetRetention) and outcome.status in (Status.PLANNED, Status.DONE):
        return freed_by(outcome.group, outcome.action.days, outcome.at)
    return _NOTHING


def freed_by(group: LogGroup, days: int, now: int) -> Freed:
    """Return what a retention of `days`, set at `now` (ms), frees in a group.

    A retention that is not shorter than the present one frees nothing.
    """
    present = group.retention_days
    if group.defects or (present is not None and present <= days):
        return _NOTHING
    age = now - group.creation_time
    at_once = lost_bytes(group.stored_bytes, age, present, days)
    return Freed(at_once, _steady(group, days, age // DAY_MS, at_once))


def _steady(group: LogGroup, days: int, age: int, at_once: int) -> int:
    """Return how many bytes fewer will be stored than now or, if events expire already, than would
    be stored anyway: by the measured rate of arrival if it is known. `age` is in days.
    """
    arrived = group.ingestion
    if arrived is None or age < 1:
        return at_once
    after = _stored_later(group, arrived, days, age)
    present = group.retention_days
    before = group.stored_bytes if present is None else _stored_later(group, arrived, present, age)
    return max(before - after, 0)


def _stored_later(group: LogGroup, arrived: Ingestion, days: int, age: int) -> int:
    """Return the bytes stored at steady state, rounded up; at most those stored now."""
    return min(group.stored_bytes, -(-arrived.bytes * days // min(arrived.days, age)))


@dataclass
class _Row:
    """Counts of one Region and log class, named as in the summary and in a run's state."""

    groups: int = 0
    stored_bytes: int = 0
    freed_at_once_bytes: int = 0
    freed_steady_bytes: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    orphans_unread: int = 0


class Ledger:
    """The bytes of a run by Region and log class. `now` (ms) is needed for what expires soon."""

    def __init__(self, now: int | None = None) -> None:
        self._now = now
        self._expiring = 0
        self._rows: defaultdict[Key, _Row] = defaultdict(_Row)

    @classmethod
    def resumed(cls, rows: Iterable[Mapping[str, Any]]) -> Ledger:
        """Return a ledger that starts with the sum of the `rows` of earlier ones."""
        ledger = cls()
        for row in rows:
            total = ledger._rows[row["region"], row["class"]]
            for name, count in vars(total).items():
                setattr(total, name, count + row[name])
        return ledger

    def scanned(self, page: Iterable[LogGroup]) -> None:
        """Count log groups that were read."""
        now = self._now
        for key, same_key in groupby(page, key_of):
            row, groups = self._rows[key], list(same_key)
            row.groups += len(groups)
            row.stored_bytes += sum(group.stored_bytes for group in groups)
            for group in groups:
                if not (held := group.stored_bytes):
                    continue
                if now is not None and (days := group.retention_days):
                    self._expiring += expiring_bytes(held, now - group.creation_time, days, SOON)
                if (found := group.answers) is None:
                    continue
                if group.orphan_of is not None:
                    row.orphans += 1
                    row.orphan_bytes += held
                elif (gone := found.get(OWNER_GONE)) is not None and gone.holds is not False:
                    row.orphans_unread += any(one.holds is None for one in found.values())

    def add(self, outcome: Outcome) -> None:
        """Count what an outcome frees."""
        bytes_freed = freed(outcome)
        if bytes_freed.at_once or bytes_freed.steady:
            row = self._rows[key_of(outcome.group)]
            row.freed_at_once_bytes += bytes_freed.at_once
            row.freed_steady_bytes += bytes_freed.steady

    def forget_changes(self) -> None:
        """Forget planned changes, before those that are made are counted."""
        for row in self._rows.values():
            row.freed_at_once_bytes = row.freed_steady_bytes = 0

    def forget(self, region: str, *, changes: bool) -> None:
        """Forget a Region before it is surveyed from the start again; `changes` says whether to
        forget changes too, because they were only planned.
        """
        for key in [key for key in self._rows if key[0] == region]:
            row = self._rows.pop(key)
            if not changes and (row.freed_at_once_bytes or row.freed_steady_bytes):
                freed_bytes = row.freed_at_once_bytes, row.freed_steady_bytes
                self._rows[key] = _Row(0, 0, *freed_bytes)

    def as_dict(self, prices: PriceList) -> dict[str, Any]:
        """Return the `money` object of the summary."""
        rows, price_of = dict(sorted(self._rows.items())), prices.storage
        stored = {key: row.stored_bytes for key, row in rows.items() if row.groups}
        at_once = {key: n for key, row in rows.items() if (n := row.freed_at_once_bytes)}
        steady = {key: n for key, row in rows.items() if (n := row.freed_steady_bytes)}
        unpriced = [row for key, row in rows.items() if price_of(key) is None]
        return {
            "currency": "USD",
            "prices_date": prices.date,
            "prices_source": prices.source,
            "storage_usd": total_usd(stored, price_of),
            "saved_at_once_usd": total_usd(at_once, price_of),
            "saved_steady_usd": total_usd(steady, price_of),
            "freed_at_once_bytes": sum(at_once.values()),
            "freed_steady_bytes": sum(steady.values()),
            "expires_in_30_days_bytes": None if self._now is None else self._expiring,
            "groups_without_price": sum(row.groups for row in unpriced),
            "bytes_without_price": sum(row.stored_bytes for row in unpriced),
            "by_region": [_by_region(key, row, price_of(key)) for key, row in rows.items()],
            "note": NOTE,
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows that `resumed` accepts."""
        return [
            {"region": region, "class": log_class, **vars(row)}
            for (region, log_class), row in sorted(self._rows.items())
        ]

    def orphans(self, prices: PriceList) -> dict[str, Any]:
        """Return the `orphans` object of the summary: log groups with data whose owner is gone, and
        as `unread` those for which that could not be read.
        """
        held = {key: n for key, row in self._rows.items() if (n := row.orphan_bytes)}
        return {
            "groups": sum(row.orphans for row in self._rows.values()),
            "stored_bytes": sum(held.values()),
            "monthly_usd": total_usd(held, prices.storage),
            "unread": sum(row.orphans_unread for row in self._rows.values()),
        }


def _by_region(key: Key, row: _Row, price: int | None) -> dict[str, Any]:
    return {
        "region": key[0],
        "class": key[1],
        "groups": row.groups,
        "stored_bytes": row.stored_bytes,
        "freed_at_once_bytes": row.freed_at_once_bytes,
        "freed_steady_bytes": row.freed_steady_bytes,
        "storage_usd": priced_usd(row.stored_bytes, price),
        "saved_at_once_usd": priced_usd(row.freed_at_once_bytes, price),
        "saved_steady_usd": priced_usd(row.freed_steady_bytes, price),
    }


def asking(owner_calls: int, metrics: Mapping[str, int], prices: PriceList) -> dict[str, Any]:
    """Return the `asked` object of the summary: calls to owners, requested metrics (given by
    Region) and what these cost.
    """
    return {
        "owner_calls": owner_calls,
        "metrics": sum(metrics.values()),
        "metrics_usd": metrics_usd(metrics, prices),
    }
