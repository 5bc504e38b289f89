"""AWS's default quotas, and the token buckets that enforce them.

Names, values and codes of the logs quotas are those of the CloudWatch Logs quotas page. It gives
codes only to adjustable quotas; the others' are made up here (`L-` and eight hex digits of the
name's CRC). Quotas that the page lacks are taken to be 5.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from janitor.core.clock import Clock
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Call


@dataclass(frozen=True, slots=True)
class Quota:
    """Calls per second; `by_region` where it differs."""

    service: str
    operation: str
    rate: float
    code: str | None = None
    by_region: tuple[tuple[str, float], ...] = ()

    def default(self, region: str) -> float:
        return dict(self.by_region).get(region, self.rate)

    @property
    def name(self) -> str:
        return f"{self.operation} throttle limit in transactions per second"

    @property
    def quota_code(self) -> str:
        return self.code or f"L-{zlib.crc32(self.name.encode()):08X}"


_SLOW = ("ap-northeast-3", "ap-southeast-3", "ca-west-1", "eu-central-1", "il-central-1")
_FILTER = (("us-east-1", 25.0), *((region, 5.0) for region in _SLOW))
_FIVE_A_SECOND = """
AssociateKmsKey DeleteAccountPolicy DeleteDataProtectionPolicy DeleteIndexPolicy DeleteMetricFilter
DeleteRetentionPolicy DeleteSubscriptionFilter DeleteTransformer DescribeAccountPolicies
DescribeIndexPolicies DescribeMetricFilters DescribeResourcePolicies DescribeSubscriptionFilters
DisassociateKmsKey GetDataProtectionPolicy GetTransformer ListSyslogConfigurations
ListTagsForResource PutAccountPolicy PutBearerTokenAuthentication PutDataProtectionPolicy
PutIndexPolicy PutLogGroupDeletionProtection PutMetricFilter PutResourcePolicy PutRetentionPolicy
PutSubscriptionFilter PutSyslogConfiguration PutTransformer TagResource UntagResource
"""
_TABLE = (
    *(Quota("logs", operation, 5) for operation in _FIVE_A_SECOND.split()),
    Quota("logs", "CreateLogGroup", 10, "L-D2832119"),
    Quota("logs", "CreateLogStream", 50, "L-76507CEF"),
    Quota("logs", "DeleteLogGroup", 10, "L-07A912D5"),
    Quota("logs", "DeleteLogStream", 15, "L-C029A21C"),
    Quota("logs", "DescribeLogGroups", 10, "L-4284EEDE"),
    Quota("logs", "DescribeLogStreams", 25, "L-3F243AD0"),
    Quota("logs", "FilterLogEvents", 10, None, _FILTER),
    Quota("logs", "GetLogEvents", 10),  # in the least of the Regions
    Quota("logs", "PutLogEvents", 5000, "L-7E1FAE88"),
    Quota("monitoring", "GetMetricData", 50, "L-5E141212"),
    Quota("tagging", "GetResources", 15),
    Quota("lambda", "ListFunctions", 15),
)
_RECENT = 3 * 3600
_RECENT_POINTS = 180_000.0
_OLD_POINTS = 396_000.0
"""Data points per second that GetMetricData may ask for, by whether they begin within the last
three hours (CloudWatch quotas page)."""
QUOTAS: dict[str, Quota] = {quota.operation: quota for quota in _TABLE}


def rate_of(store: Store, account: str, region: str, operation: str) -> float | None:
    """The account's calls per second; None if unlimited."""
    quota = QUOTAS.get(operation)
    if quota is None:
        return None
    return store.quotas.get((account, region, operation), quota.default(region))


def service_quotas(store: Store, account: str, region: str, service: str) -> list[Any]:
    """The applied values, as Service Quotas lists them."""
    return [
        {
            "ServiceCode": service,
            "ServiceName": "Amazon CloudWatch Logs" if service == "logs" else service,
            "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:{service}/{quota.quota_code}",
            "QuotaCode": quota.quota_code,
            "QuotaName": quota.name,
            "Value": rate_of(store, account, region, quota.operation),
            "Unit": "None",
            "Adjustable": quota.code is not None,
            "GlobalQuota": False,
            "Period": {"PeriodValue": 1, "PeriodUnit": "SECOND"},
        }
        for quota in _TABLE
        if quota.service == service
    ]


class Buckets:
    """A token bucket per account, Region and operation, which holds one second's calls."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._filled: dict[tuple[str, str, str], tuple[float, float]] = {}

    def take(self, account: str, region: str, operation: str) -> bool:
        """Whether the call may be made now; if so, it counts."""
        rate = rate_of(self._store, account, region, operation)
        return rate is None or self._take((account, region, operation), rate, 1)

    def take_points(self, call: Call) -> bool:
        """Whether GetMetricData may ask for so many data points now. CloudWatch estimates them from
        time range and period, whatever there is (its quotas page).
        """
        p = call.parameters
        start, end = (round(1000 * p[name]) for name in ("StartTime", "EndTime"))
        periods = [int(query["MetricStat"]["Period"]) for query in p.get("MetricDataQueries") or []]
        points = sum(-(-(end - start) // (period * 1000)) for period in periods if period > 0)
        recent = self._clock.now() - start <= 1000 * _RECENT
        rate = _RECENT_POINTS if recent else _OLD_POINTS
        kind = "recent data points" if recent else "data points"
        return self._take((call.account, call.region, kind), rate, points)

    def _take(self, bucket: tuple[str, str, str], rate: float, cost: float) -> bool:
        now = self._clock.monotonic()
        size = max(rate, 1.0)
        tokens, then = self._filled.get(bucket, (size, now))
        tokens = min(size, tokens + (now - then) * rate)
        allowed = tokens >= cost - 1e-6  # rounding errors of fractions are smaller than this
        self._filled[bucket] = (tokens - cost if allowed else tokens, now)
        return allowed
