"""What arrives where: `--ingestion`, because most accounts pay more for that than for storage.

It is added up in bounded memory, and decides nothing: what cannot be read is counted as unread.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from janitor.core.model import Ingestion, LogGroup
from janitor.cost.money import Key, PriceList, key_of, usd

DAYS = 30
TOP = 20
MOST_PREFIXES = 1000
OTHER = "(other)"
"""Where log groups are counted whose prefix comes after MOST_PREFIXES others."""

API_GATEWAY = "API-Gateway-Execution-Logs_"
EMBEDDED_METRICS = ("/aws/containerinsights/", "/aws/lambda-insights", "RDSOSMetrics")
"""Names of groups that CloudWatch and RDS take metrics from: never advised to change class."""

WORTH_MOVING = 1.0
"""USD a month that Infrequent Access must save to be worth a word."""

NOTE = (
    "estimate: list prices, without the free tier and the cheaper tiers for vended and Lambda logs "
    "above 10 TB. A log group's class cannot be changed later, so another class means a new log "
    "group. INFREQUENT_ACCESS has no metric filters, subscription filters, Live Tail, "
    "export to S3, masking of sensitive data, embedded metrics, field indexes, transformers, "
    "GetLogEvents or FilterLogEvents"
)
"""CreateLogGroup (API reference) says that the class stays; the User Guide's "Log classes" what
each class has, shortened here to what is missed most.
"""


@dataclass
class _Prefix:
    """`units` is bytes times nano-USD per GB, of what has a price: `priced` bytes."""

    groups: int = 0
    bytes: int = 0
    priced: int = 0
    units: int = 0


class Talkers:
    """Sums of what arrived, and the groups and prefixes where most did."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._largest: list[tuple[int, tuple[str, str, str, int], LogGroup]] = []
        self._prefixes: dict[str, _Prefix] = {}
        self._read: Counter[Key] = Counter()
        self._bytes: Counter[Key] = Counter()
        self._asked: Counter[str] = Counter()
        self._unread = 0
        self._silent = 0
        self.failures: list[str] = []

    def asked(self, region: str, metrics: int) -> None:
        """So many metrics are asked for."""
        self._asked[region] += metrics

    def failed(self, why: str) -> None:
        """Something could not be read."""
        if why not in self.failures and len(self.failures) < TOP:
            self.failures.append(why)

    def add(self, group: LogGroup) -> None:
        """A log group was scanned."""
        ingestion, key = group.ingestion, key_of(group)
        if ingestion is None:
            self._unread += 1
            return
        self._read[key] += 1
        self._bytes[key] += ingestion.bytes
        self._silent += ingestion.last_day is None
        self._count_prefix(group, ingestion)
        if not ingestion.bytes:
            return
        entry = (ingestion.bytes, group.identity, group)
        if len(self._largest) < TOP:
            heapq.heappush(self._largest, entry)
        else:
            heapq.heappushpop(self._largest, entry)

    def _count_prefix(self, group: LogGroup, ingestion: Ingestion) -> None:
        name = prefix_of(group.name)
        if name not in self._prefixes and len(self._prefixes) >= MOST_PREFIXES:
            name = OTHER
        prefix = self._prefixes.setdefault(name, _Prefix())
        prefix.groups += 1
        prefix.bytes += ingestion.bytes
        price = self._prices.ingestion(key_of(group))
        if price is not None:
            prefix.priced += ingestion.bytes
            prefix.units += ingestion.bytes * price

    def largest(self) -> list[LogGroup]:
        """The log groups in which most arrived, most first."""
        return [group for _, _, group in sorted(self._largest, reverse=True)]

    def as_dict(self, subscribed: Callable[[LogGroup], bool | None]) -> dict[str, Any]:
        """The `ingestion` object of the summary.

        `subscribed` tells of each of the `largest` whether it has subscription filters, None where
        that is not known.
        """
        total = sum(self._bytes.values())
        groups = [self._group(group, total, subscribed) for group in self.largest()]
        return {
            "days": DAYS,
            "groups": sum(self._read.values()),
            "unread": self._unread,
            "bytes": total,
            "usd_a_month": self._usd(self._bytes),
            "bytes_without_price": sum(
                count for key, count in self._bytes.items() if self._prices.ingestion(key) is None
            ),
            "no_arrivals": self._silent,
            "infrequent_access_saves_usd": sum(g["infrequent_access_saves_usd"] for g in groups),
            "top_groups": groups,
            "top_prefixes": [
                {
                    "prefix": name,
                    "groups": prefix.groups,
                    "bytes": prefix.bytes,
                    "usd_a_month": usd(prefix.units) if prefix.priced else None,
                    "share": _share(prefix.bytes, total),
                }
                for name, prefix in self._top_prefixes()
            ],
            "metrics_asked": sum(self._asked.values()),
            "metrics_usd": self._metrics_usd(),
            "failures": list(self.failures),
            "note": NOTE,
        }

    def _top_prefixes(self) -> list[tuple[str, _Prefix]]:
        heard = [(name, prefix) for name, prefix in self._prefixes.items() if prefix.bytes]
        return heapq.nsmallest(TOP, heard, key=lambda item: (-item[1].bytes, item[0]))

    def _group(
        self, group: LogGroup, total: int, subscribed: Callable[[LogGroup], bool | None]
    ) -> dict[str, Any]:
        received = group.ingestion.bytes if group.ingestion else 0
        filters = subscribed(group)
        cheaper = 0.0 if filters else self._cheaper(group, received)
        return {
            "account": group.target.account,
            "region": group.target.region,
            "group": group.name,
            "class": group.log_class,
            "bytes": received,
            "usd_a_month": self._usd(Counter({key_of(group): received})),
            "share": _share(received, total),
            "retention_days": group.retention_days,
            "infrequent_access_saves_usd": cheaper,
            "advice": [
                *self._move(cheaper, unsure=filters is None),
                *self._shorter(group, received),
            ],
        }

    def _cheaper(self, group: LogGroup, received: int) -> float:
        """USD a month that Infrequent Access saves, where nothing that is known speaks against it
        and that is worth a word; else 0.
        """
        region, log_class = key_of(group)
        now = self._prices.ingestion((region, log_class))
        then = self._prices.ingestion((region, "INFREQUENT_ACCESS"))
        if log_class != "STANDARD" or now is None or then is None:
            return 0.0
        if group.metric_filters or group.name.startswith(EMBEDDED_METRICS):
            return 0.0
        saved = usd(received * (now - then)) or 0.0
        return saved if saved >= WORTH_MOVING else 0.0

    def _move(self, saved: float, *, unsure: bool) -> Iterator[str]:
        if saved:
            doubt = "; whether it has subscription filters could not be read" * unsure
            less = f"${saved:,.2f} a month less{doubt}"
            yield f"in a new log group of class INFREQUENT_ACCESS: {less}"

    def _shorter(self, group: LogGroup, received: int) -> Iterator[str]:
        """Retention, where there is none."""
        if group.retention_days is not None or group.log_class == "DELIVERY":
            return
        policy, price = group.retention_policy, self._prices.storage(key_of(group))
        by = f" (account-level policy {policy!r})" if policy else ""
        more = "" if price is None else f"{usd(received * price):,.2f}"
        grows = f": storage costs up to ${more} more every month" if more else ""
        yield f"set retention: it never expires{by}{grows}"

    def _usd(self, counter: Counter[Key]) -> float | None:
        priced = [
            count * price
            for key, count in counter.items()
            if (price := self._prices.ingestion(key)) is not None
        ]
        return None if counter and not priced else usd(sum(priced))

    def _metrics_usd(self) -> float | None:
        """What asking cost; CloudWatch bills each metric that is asked for."""
        nano = 0
        for region, asked in self._asked.items():
            price = self._prices.metrics(region)
            if price is None:
                return None
            nano += asked * price
        return nano / 1000 / 10**9


def prefix_of(name: str) -> str:
    """The first two segments of a log group's name, without its last: `/aws/lambda/orders` is under
    `/aws/lambda`, `/ecs/search` under `/ecs`, `RDSOSMetrics` under itself. API Gateway's names
    begin with the number of the API, which says nothing.
    """
    if name.startswith(API_GATEWAY):
        return API_GATEWAY
    rooted = name.startswith("/")
    segments = name.strip("/").split("/")
    kept = segments[: min(2, max(len(segments) - 1, 1))]
    return "/" * rooted + "/".join(kept)


def _share(part: int, total: int) -> float:
    return round(part / total, 6) if total else 0.0
