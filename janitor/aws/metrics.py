"""Reads what arrived in log groups from CloudWatch's metrics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from janitor.aws.api import Api, chunks
from janitor.aws.logs import MOST, pages
from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.core.model import METRIC_KEPT_DAYS, Ingestion

T = TypeVar("T")

ACTIONS: dict[str, str] = {"GetMetricData": "cloudwatch:GetMetricData"}
METRICS_A_CALL = 500
POINTS_A_CALL = 100_800
RETRY_DELAYS = (2.0, 10.0)
"""Seconds before groups without a complete answer are asked about again."""


async def arrivals(api: Api, since: Mapping[str, int]) -> dict[str, bool]:
    """For each log group, whether events arrived from its moment (ms) on.

    `AWS/Logs IncomingLogEvents`, 500 groups a call. The metric is kept for 15 months; for an older
    moment the answer covers only these. A group without a complete answer after three attempts is
    left out. Buckets start at multiples of their length, one bucket earlier than needed, because
    how CloudWatch aligns long ones is not documented. A group whose last data point is in the
    bucket of its own moment is asked about again, by the hour.
    """

    async def ask(names: Sequence[str]) -> dict[str, bool]:
        return await _arrivals(api, {name: since[name] for name in names})

    return await _repeatedly(api, [*since], ask)


async def _repeatedly(
    api: Api, names: Sequence[str], ask: Callable[[Sequence[str]], Awaitable[dict[str, T]]]
) -> dict[str, T]:
    """The answers by name; those that are missing are asked for again."""
    found = await ask(names)
    for seconds in RETRY_DELAYS:
        if missing := [name for name in names if name not in found]:
            await api.stop.sleep(seconds)
            found |= await ask(missing)
    return found


async def _arrivals(api: Api, since: Mapping[str, int]) -> dict[str, bool]:
    now = api.clock.now()
    kept = now - METRIC_KEPT_DAYS * DAY_MS
    found: dict[str, bool] = {}
    for chunk in chunks(sorted(since, key=lambda name: since[name]), METRICS_A_CALL):
        first = {name: max(since[name], kept) for name in chunk}
        oldest = min(first.values())
        days = max((now - oldest) // DAY_MS + 1, 1)
        period = DAY_MS * -(-days // (POINTS_A_CALL // METRICS_A_CALL - 3))
        start = oldest // period * period - period
        border: dict[int, list[str]] = defaultdict(list)
        points = await _arrival_points(api, chunk, start, now + HOUR_MS, period)
        for name, times in points.items():
            found[name] = any(at >= first[name] for at in times)
            if not found[name] and any(at + period > first[name] for at in times):
                border[first[name] // period * period].append(name)
        for bucket, names in border.items():
            for name in names:
                del found[name]
            hours = await _arrival_points(api, names, bucket, bucket + 2 * period, HOUR_MS)
            for name, times in hours.items():
                found[name] = any(at >= first[name] // HOUR_MS * HOUR_MS for at in times)
    return found


async def incoming_bytes(
    api: Api, groups: Sequence[str], days: int, asked: Callable[[int], None] = lambda _metrics: None
) -> dict[str, Ingestion]:
    """What arrived in each log group in the last `days` whole days (UTC), and today so far.

    `AWS/Logs IncomingBytes` by the day, 500 groups a call: 31 points each for 30 days, of the
    100,800 that an answer may have. A group without a complete answer after three attempts is left
    out. `asked` gets the number of metrics of each request, which are billed.
    """

    async def ask(names: Sequence[str]) -> dict[str, Ingestion]:
        asked(len(names))
        return await _incoming_bytes(api, names, days)

    return await _repeatedly(api, groups, ask)


async def _incoming_bytes(api: Api, groups: Sequence[str], days: int) -> dict[str, Ingestion]:
    now = api.clock.now()
    today = now // DAY_MS * DAY_MS
    start, end = today - days * DAY_MS, now + HOUR_MS
    found: dict[str, Ingestion] = {}
    for chunk in chunks(groups, METRICS_A_CALL):
        points: dict[str, list[tuple[int, float]]] = {}
        complete: set[str] = set()
        async for name, result in _metric(api, "IncomingBytes", chunk, start, end, DAY_MS):
            times, values = _times(result), result.get("Values", [])
            if len(times) == len(values) and all(0 <= value < MOST for value in values):
                points.setdefault(name, []).extend(zip(times, values, strict=True))
                complete |= {name} if _is_complete(result) else set()
        for name in complete:
            received = sum(int(value) for at, value in points[name] if at < today)
            last = max((at for at, value in points[name] if value), default=None)
            found[name] = Ingestion(received, days, last)
    return found


async def _arrival_points(
    api: Api, groups: Sequence[str], start: int, end: int, period: int
) -> dict[str, list[int]]:
    """The times (ms) of the data points of each group whose answer is complete."""
    points: dict[str, list[int]] = {}
    complete: set[str] = set()
    async for name, result in _metric(api, "IncomingLogEvents", groups, start, end, period):
        points.setdefault(name, []).extend(_times(result))
        (complete.add if _is_complete(result) else complete.discard)(name)
    return {name: points[name] for name in complete}


async def _metric(
    api: Api, metric: str, groups: Sequence[str], start: int, end: int, period: int
) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
    """Yield the results of one metric of `AWS/Logs`, each with the name of its log group."""
    queries = [
        {
            "Id": f"g{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Logs",
                    "MetricName": metric,
                    "Dimensions": [{"Name": "LogGroupName", "Value": name}],
                },
                "Period": period // 1000,
                "Stat": "Sum",
            },
        }
        for index, name in enumerate(groups)
    ]
    api.counts.metrics[api.target.region] += len(queries)
    names = {f"g{index}": name for index, name in enumerate(groups)}
    parameters = {
        "MetricDataQueries": queries,
        "StartTime": datetime.fromtimestamp(start / 1000, UTC),
        "EndTime": datetime.fromtimestamp(end / 1000, UTC),
    }
    operation, key = "GetMetricData", "MetricDataResults"
    async for page, _ in pages(api, "cloudwatch", operation, key, "NextToken", parameters):
        for result in page:
            if (name := names.get(str(result.get("Id")))) is not None:
                yield name, result


def _times(result: Mapping[str, Any]) -> list[int]:
    return [int(at.timestamp() * 1000) for at in result.get("Timestamps", [])]


def _is_complete(result: Mapping[str, Any]) -> bool:
    return bool(result.get("StatusCode") == "Complete")
