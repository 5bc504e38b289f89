"""What stored bytes cost and what a change saves: pure, in whole numbers.

The figures are estimates, and upper bounds of the bill: AWS charges for archived logs compressed,
and says of `storedBytes` only that it is "the number of bytes stored" (API reference, LogGroup);
a GB is taken as 10^9 bytes; the free tier and discounts are left out.

Everything is counted in bytes by Region and log class, and priced last. Bytes and prices are whole
numbers (nano-USD per GB), so sums are the same however they are grouped.
"""

from __future__ import annotations

import functools
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib import resources
from itertools import groupby
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.core.loss import expiring_bytes, lost_bytes
from janitor.core.model import OWNER_GONE, Ingestion, LogGroup, Outcome, SetRetention, Status
from janitor.policy.file import Prices, RegionPrices

GB = 10**9
NANO = 10**9
NO_SIZE = "unreadable size"
"""In place of the log class where `storedBytes` made no sense: such bytes have no price."""

SOON = 30
"""Days in which what expires by itself is counted."""

NOTE = (
    "estimate: an upper bound, because AWS bills archived logs compressed and the free tier is not "
    "counted; savings are for storage only, assume that events arrived evenly (at steady state, at "
    "the measured rate if it was read), and begin once CloudWatch has removed the events, within "
    "about three days; deleted log groups are empty and save nothing, and what longer retention "
    "adds is not counted"
)

Key = tuple[str, str]
"""Region and log class."""


@dataclass(frozen=True, slots=True)
class Freed:
    """Bytes that a change frees: within days of it, and once arrival and expiry are level."""

    at_once: int = 0
    steady: int = 0


class PriceList:
    """Prices by Region and log class, in nano-USD per GB; None where there is no figure."""

    def __init__(self, date: str, source: str, regions: Mapping[str, RegionPrices]) -> None:
        self.date = date
        self.source = source
        self._regions = regions

    def storage(self, key: Key) -> int | None:
        """Of a GB for a month."""
        return self._of(key, "storage")

    def ingestion(self, key: Key) -> int | None:
        """Of a GB that arrives."""
        return self._of(key, "ingestion")

    def metrics(self, region: str) -> int | None:
        """Of 1,000 metrics asked for by GetMetricData."""
        prices = self._regions.get(region)
        return None if prices is None else _nano(prices.metrics)

    def _of(self, key: Key, what: str) -> int | None:
        region, log_class = key
        prices = self._regions.get(region)
        price = getattr(prices, log_class, None) if log_class in _CLASSES else None
        return _nano(getattr(price, what, None))


_CLASSES = RegionPrices.model_fields.keys() - {"metrics"}


def _nano(usd: float | None) -> int | None:
    """Nano-USD; by way of its text, so that 0.03 is 0.03."""
    return None if usd is None else int(Decimal(str(usd)) * NANO)


def price_list(own: Prices) -> PriceList:
    """The shipped prices, with those of a policy file in their place where it has any."""
    shipped = _shipped()
    merged = {
        region: _merged(shipped.regions.get(region), own.regions.get(region))
        for region in shipped.regions.keys() | own.regions.keys()
    }
    source = str(shipped.source)
    if own.regions:
        theirs = own.source or "the policy file"
        source = f"{theirs} for {', '.join(sorted(own.regions))}; else {source}"
    return PriceList(own.date or str(shipped.date), source, merged)


@functools.cache
def _shipped() -> Prices:
    text = (resources.files("janitor.cost") / "prices.toml").read_text(encoding="utf-8")
    return Prices.model_validate(tomllib.loads(text))


def _merged(shipped: RegionPrices | None, own: RegionPrices | None) -> RegionPrices:
    """One Region's prices, each figure the policy file's or else the shipped one."""
    merged: dict[str, Any] = {}
    for prices in (shipped, own):
        for name, said in prices.model_dump(exclude_none=True).items() if prices else ():
            merged[name] = {**merged.get(name, {}), **said} if isinstance(said, dict) else said
    return RegionPrices.model_validate(merged)


def key_of(group: LogGroup) -> Key:
    """What a log group is counted under."""
    if group.defects and any(defect.startswith("storedBytes") for defect in group.defects):
        return (group.target.region, NO_SIZE)
    return (group.target.region, group.log_class)


def usd(units: int | None) -> float | None:
    """USD from bytes times nano-USD per GB, to the nano-dollar; None stays None."""
    return None if units is None else round(units / (GB * NANO), 9)


def monthly_usd(group: LogGroup, prices: PriceList) -> float | None:
    """What the group's storage costs a month now; None where there is no price."""
    return usd(_times(group.stored_bytes, prices.storage(key_of(group))))


def saves_usd(outcome: Outcome, prices: PriceList) -> float | None:
    """What the planned or done action saves a month at steady state; None without a price."""
    return usd(_times(freed(outcome).steady, prices.storage(key_of(outcome.group))))


def _times(count: int, price: int | None) -> int | None:
    return None if price is None else count * price


_NOTHING = Freed()


def freed(outcome: Outcome) -> Freed:
    """What an outcome frees. Only a retention does: what is deleted or swept was empty."""
    if isinstance(outcome.action, SetRetention) and outcome.status in (Status.PLANNED, Status.DONE):
        return freed_by(outcome.group, outcome.action.days, outcome.at)
    return _NOTHING


def freed_by(group: LogGroup, days: int, now: int) -> Freed:
    """What a retention of `days` frees of a group that is as described at `now` (ms).

    A retention that is not shorter than the present one frees nothing.
    """
    present = group.retention_days
    if group.defects or (present is not None and present <= days):
        return Freed()
    age = now - group.creation_time
    at_once = lost_bytes(group.stored_bytes, age, present, days)
    return Freed(at_once, _steady(group, days, age // DAY_MS, at_once))


def _steady(group: LogGroup, days: int, age: int, at_once: int) -> int:
    """The bytes that will be stored less: by the measured rate of arrival where that is known,
    compared with what is stored now or, where it expires anyway, with what would be.
    """
    arrived = group.ingestion
    if arrived is None or age < 1:
        return at_once
    after = _stays(group, arrived, days, age)
    present = group.retention_days
    before = group.stored_bytes if present is None else _stays(group, arrived, present, age)
    return max(before - after, 0)


def _stays(group: LogGroup, arrived: Ingestion, days: int, age: int) -> int:
    """The bytes stored at steady state, at most those stored now; rounded up: less is saved."""
    return min(group.stored_bytes, -(-arrived.bytes * days // min(arrived.days, age)))


class Ledger:
    """The bytes of a run by Region and log class. `now` (ms) is asked for by what expires soon."""

    def __init__(self, now: int | None = None) -> None:
        self._now = now
        self._expiring = 0
        self._groups: Counter[Key] = Counter()
        self._stored: Counter[Key] = Counter()
        self._at_once: Counter[Key] = Counter()
        self._steady: Counter[Key] = Counter()
        self._orphans: Counter[Key] = Counter()
        self._orphaned: Counter[Key] = Counter()
        self._unread: Counter[Key] = Counter()

    @classmethod
    def resumed(cls, rows: Iterable[Mapping[str, Any]]) -> Ledger:
        """One that goes on from the `rows` of earlier ones, all together."""
        ledger = cls()
        for row in rows:
            key = (row["region"], row["class"])
            for counter, name in ledger._all_columns():
                counter[key] += row[name]
        return ledger

    def scanned(self, page: Iterable[LogGroup]) -> None:
        """Log groups were read."""
        now = self._now
        for key, alike in groupby(page, key_of):
            groups = list(alike)
            self._groups[key] += len(groups)
            self._stored[key] += sum(group.stored_bytes for group in groups)
            for group in groups:
                if not (held := group.stored_bytes):
                    continue
                if now is not None and (days := group.retention_days):
                    self._expiring += expiring_bytes(held, now - group.creation_time, days, SOON)
                if group.found is not None:
                    self._orphan(group, key)

    def _orphan(self, group: LogGroup, key: Key) -> None:
        """Count a log group that holds something, and that was asked about."""
        found = group.found or {}
        if group.orphan_of is not None:
            self._orphans[key] += 1
            self._orphaned[key] += group.stored_bytes
        elif (gone := found.get(OWNER_GONE)) is not None and gone.holds is not False:
            self._unread[key] += any(one.holds is None for one in found.values())

    def add(self, outcome: Outcome) -> None:
        """An outcome that frees bytes, or none."""
        bytes_freed = freed(outcome)
        if bytes_freed.at_once or bytes_freed.steady:
            key = key_of(outcome.group)
            self._at_once[key] += bytes_freed.at_once
            self._steady[key] += bytes_freed.steady

    def forget_changes(self) -> None:
        """What was planned is not counted any more: what is done will be."""
        self._at_once.clear()
        self._steady.clear()

    def forget(self, region: str, *, changes: bool) -> None:
        """A Region is surveyed from the start again; `changes` says whether what was counted of
        them was planned only.
        """
        made = () if changes else (self._at_once, self._steady)
        for counter, _ in self._all_columns():
            if any(counter is each for each in made):
                continue
            for key in [key for key in counter if key[0] == region]:
                del counter[key]

    def as_dict(self, prices: PriceList) -> dict[str, Any]:
        """The `money` object of the summary."""
        keys = sorted(self._groups.keys() | self._at_once.keys() | self._steady.keys())
        unpriced = [key for key in keys if prices.storage(key) is None]
        return {
            "currency": "USD",
            "prices_date": prices.date,
            "prices_source": prices.source,
            "storage_usd": _total(self._stored, self._groups, prices),
            "saved_at_once_usd": _total(self._at_once, +self._at_once, prices),
            "saved_steady_usd": _total(self._steady, +self._steady, prices),
            "freed_at_once_bytes": sum(self._at_once.values()),
            "freed_steady_bytes": sum(self._steady.values()),
            "expires_in_30_days_bytes": None if self._now is None else self._expiring,
            "groups_without_price": sum(self._groups[key] for key in unpriced),
            "bytes_without_price": sum(self._stored[key] for key in unpriced),
            "by_region": [self._row(key, prices) for key in keys],
            "note": NOTE,
        }

    def _row(self, key: Key, prices: PriceList) -> dict[str, Any]:
        price = prices.storage(key)
        return {
            "region": key[0],
            "class": key[1],
            **{name: counter[key] for counter, name in self._columns()},
            "storage_usd": usd(_times(self._stored[key], price)),
            "saved_at_once_usd": usd(_times(self._at_once[key], price)),
            "saved_steady_usd": usd(_times(self._steady[key], price)),
        }

    def rows(self) -> list[dict[str, Any]]:
        """What `resumed` takes."""
        keys = sorted(self._groups.keys() | self._at_once.keys() | self._steady.keys())
        return [
            {
                "region": key[0],
                "class": key[1],
                **{name: counter[key] for counter, name in self._all_columns()},
            }
            for key in keys
        ]

    def orphans(self, prices: PriceList) -> dict[str, Any]:
        """The `orphans` object of the summary: log groups that hold something and whose owner is
        gone; `unread` of those of which that could not be read.
        """
        return {
            "groups": self._orphans.total(),
            "stored_bytes": self._orphaned.total(),
            "monthly_usd": _total(self._orphaned, +self._orphans, prices),
            "unread": self._unread.total(),
        }

    def _all_columns(self) -> tuple[tuple[Counter[Key], str], ...]:
        """What `rows` hold."""
        return (
            *self._columns(),
            (self._orphans, "orphans"),
            (self._orphaned, "orphan_bytes"),
            (self._unread, "orphans_unread"),
        )

    def _columns(self) -> tuple[tuple[Counter[Key], str], ...]:
        return (
            (self._groups, "groups"),
            (self._stored, "stored_bytes"),
            (self._at_once, "freed_at_once_bytes"),
            (self._steady, "freed_steady_bytes"),
        )


def asking(owner_calls: int, metrics: Mapping[str, int], prices: PriceList) -> dict[str, Any]:
    """The `asked` object of the summary: calls to owners, and metrics with what CloudWatch bills
    for them; `metrics` are by Region.
    """
    cost = [(count, prices.metrics(region)) for region, count in metrics.items()]
    priced = [count * price for count, price in cost if price is not None]
    known = len(priced) == len(cost)
    return {
        "owner_calls": owner_calls,
        "metrics": sum(metrics.values()),
        "metrics_usd": sum(priced) / 1000 / NANO if known else None,
    }


def _total(counter: Counter[Key], keys: Iterable[Key], prices: PriceList) -> float | None:
    """What has a price, together; None where there are keys and none of them has one."""
    units = [_times(counter[key], prices.storage(key)) for key in keys]
    priced = [one for one in units if one is not None]
    return None if units and not priced else usd(sum(priced))
