"""The sums for `--ingestion`, because most accounts pay more for ingestion than for storage.

They take bounded memory and decide nothing. Log groups that cannot be read are counted as unread.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from janitor.core.model import Ingestion, LogGroup
from janitor.cost.money import key_of, metrics_usd, priced_usd, total_usd, usd
from janitor.cost.prices import Key, PriceList

DAYS = 30
TOP = 20
MOST_PREFIXES = 1000
OTHER = "(other)"
"""The prefix under which log groups are counted once there are MOST_PREFIXES others."""

API_GATEWAY = "API-Gateway-Execution-Logs_"
EMBEDDED_METRICS = ("/aws/containerinsights/", "/aws/lambda-insights", "RDSOSMetrics")
"""Names of groups whose events CloudWatch or RDS turns into metrics, for which no other class is
suggested.
"""

WORTH_MOVING = 1.0
"""USD a month that Infrequent Access must save to be suggested."""

NOTE = (
    "estimate: list prices, without the free tier and the cheaper tiers for vended and Lambda logs "
    "above 10 TB. A log group's class cannot be changed later, so another class means a new log "
    "group. INFREQUENT_ACCESS has no metric filters, subscription filters, Live Tail, "
    "export to S3, masking of sensitive data, embedded metrics, field indexes, transformers, "
    "GetLogEvents or FilterLogEvents"
)
"""Sources: CreateLogGroup (API reference) for the class that cannot change, the User Guide's "Log
classes" for what each class lacks, shortened to what matters most.
"""


@dataclass
class _Prefix:
    """Sums of one prefix. `units` is bytes times nano-USD per GB for the `priced` bytes, which are
    those that have a price.
    """

    groups: int = 0
    bytes: int = 0
    priced: int = 0
    units: int = 0


class Talkers:
    """Sums of what arrived, and the log groups and prefixes where most did."""

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
        """Count metrics that are requested."""
        self._asked[region] += metrics

    def failed(self, why: str) -> None:
        """Note an error that prevented reading something."""
        if why not in self.failures and len(self.failures) < TOP:
            self.failures.append(why)

    def add(self, group: LogGroup) -> None:
        """Count a log group that was scanned."""
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
        """Return the log groups in which most arrived, the largest first."""
        return [group for _, _, group in sorted(self._largest, reverse=True)]

    def as_dict(self, subscribed: Callable[[LogGroup], bool | None]) -> dict[str, Any]:
        """Return the `ingestion` object of the summary.

        `subscribed` returns for each of the `largest` whether it has subscription filters; None if
        that is not known.
        """
        total, price_of = self._bytes.total(), self._prices.ingestion
        groups = [self._group(group, total, subscribed) for group in self.largest()]
        return {
            "days": DAYS,
            "groups": self._read.total(),
            "unread": self._unread,
            "bytes": total,
            "usd_a_month": total_usd(self._bytes, price_of),
            "bytes_without_price": sum(
                count for key, count in self._bytes.items() if price_of(key) is None
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
            "metrics_asked": self._asked.total(),
            "metrics_usd": metrics_usd(self._asked, self._prices),
            "failures": list(self.failures),
            "note": NOTE,
        }

    def _top_prefixes(self) -> list[tuple[str, _Prefix]]:
        active = [(name, prefix) for name, prefix in self._prefixes.items() if prefix.bytes]
        return heapq.nsmallest(TOP, active, key=lambda item: (-item[1].bytes, item[0]))

    def _group(
        self, group: LogGroup, total: int, subscribed: Callable[[LogGroup], bool | None]
    ) -> dict[str, Any]:
        received = group.ingestion.bytes if group.ingestion else 0
        filters = subscribed(group)
        saved = 0.0 if filters else self._infrequent_access_saves(group, received)
        return {
            "account": group.target.account,
            "region": group.target.region,
            "group": group.name,
            "class": group.log_class,
            "bytes": received,
            "usd_a_month": priced_usd(received, self._prices.ingestion(key_of(group))),
            "share": _share(received, total),
            "retention_days": group.retention_days,
            "infrequent_access_saves_usd": saved,
            "advice": [
                *self._class_advice(saved, unsure=filters is None),
                *self._retention_advice(group, received),
            ],
        }

    def _infrequent_access_saves(self, group: LogGroup, received: int) -> float:
        """Return the USD a month that Infrequent Access saves; 0 if it is less than WORTH_MOVING or
        something is known to speak against the class.
        """
        region, log_class = key_of(group)
        now = self._prices.ingestion((region, log_class))
        then = self._prices.ingestion((region, "INFREQUENT_ACCESS"))
        if log_class != "STANDARD" or now is None or then is None:
            return 0.0
        if group.metric_filters or group.name.startswith(EMBEDDED_METRICS):
            return 0.0
        saved = usd(received * (now - then))
        return saved if saved >= WORTH_MOVING else 0.0

    def _class_advice(self, saved: float, *, unsure: bool) -> Iterator[str]:
        if saved:
            doubt = "; whether it has subscription filters could not be read" * unsure
            less = f"${saved:,.2f} a month less{doubt}"
            yield f"in a new log group of class INFREQUENT_ACCESS: {less}"

    def _retention_advice(self, group: LogGroup, received: int) -> Iterator[str]:
        if group.retention_days is not None or group.log_class == "DELIVERY":
            return
        policy, price = group.retention_policy, self._prices.storage(key_of(group))
        by = f" (account-level policy {policy!r})" if policy else ""
        grows = ""
        if price is not None:
            grows = f": storage costs up to ${usd(received * price):,.2f} more every month"
        yield f"set retention: it never expires{by}{grows}"


def prefix_of(name: str) -> str:
    """Return at most two segments of a log group's name, without the last: `/aws/lambda` for
    `/aws/lambda/orders`, `/ecs` for `/ecs/search`. A name of one segment is its own prefix. API
    Gateway's names contain an API id, which means nothing to people, so they share a prefix.
    """
    if name.startswith(API_GATEWAY):
        return API_GATEWAY
    rooted = name.startswith("/")
    segments = name.strip("/").split("/")
    kept = segments[: min(2, max(len(segments) - 1, 1))]
    return "/" * rooted + "/".join(kept)


def _share(part: int, total: int) -> float:
    return round(part / total, 6) if total else 0.0
