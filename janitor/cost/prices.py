"""The prices of `prices.toml`, and those of a policy file in their place."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import Any

from janitor.policy.file import Prices, RegionPrices

NANO = 10**9

Key = tuple[str, str]
"""Region and log class."""


class PriceList:
    """Prices by Region and log class, in nano-USD per GB; None if there is no figure."""

    def __init__(self, date: str, source: str, regions: Mapping[str, RegionPrices]) -> None:
        self.date = date
        self.source = source
        self._regions = regions

    def storage(self, key: Key) -> int | None:
        """Return the price of a stored GB per month."""
        return self._of(key, "storage")

    def ingestion(self, key: Key) -> int | None:
        """Return the price of an ingested GB."""
        return self._of(key, "ingestion")

    def metrics(self, region: str) -> int | None:
        """Return the price of requesting 1,000 metrics with GetMetricData, in nano-USD."""
        prices = self._regions.get(region)
        return None if prices is None else _nano(prices.metrics)

    def _of(self, key: Key, what: str) -> int | None:
        region, log_class = key
        prices = self._regions.get(region)
        price = getattr(prices, log_class, None) if log_class in _CLASSES else None
        return _nano(getattr(price, what, None))


_CLASSES = RegionPrices.model_fields.keys() - {"metrics"}


def _nano(usd: float | None) -> int | None:
    """Convert USD to nano-USD. The detour by text makes 0.03 exactly 0.03."""
    return None if usd is None else int(Decimal(str(usd)) * NANO)


def price_list(own: Prices) -> PriceList:
    """Return the shipped prices, replaced by those of a policy file where it has any."""
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
    """Merge one Region's prices, figure by figure; the policy file's come first."""
    merged: dict[str, Any] = {}
    for prices in (shipped, own):
        for name, value in prices.model_dump(exclude_none=True).items() if prices else ():
            merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return RegionPrices.model_validate(merged)
