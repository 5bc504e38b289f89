"""CloudWatch: what arrived in log groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World

_ID = re.compile("[a-z][a-zA-Z0-9_]*")
_KEPT_MS = 455 * DAY_MS
_POINTS = 100_800
_WHOLE = -1
"""In the place of a page token: the metric that was unclear is answered from its first point on."""


def get_metric_data(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    queries = p.get("MetricDataQueries") or []
    if len(queries) > 500:
        raise RefusedError("ValidationError", "at most 500 MetricDataQueries")
    start, end = _ms(p["StartTime"]), _ms(p["EndTime"])
    if start >= end:
        raise RefusedError("ValidationError", "StartTime must be before EndTime")
    ids = [str(query["Id"]) for query in queries]
    if len(set(ids)) < len(ids) or not all(_ID.fullmatch(said) for said in ids):
        raise RefusedError("ValidationError", "Id: unique, a lowercase letter first")
    place = world.place("GetMetricData", p.get("NextToken"), (0, 0), "InvalidNextToken")
    if world.empty():
        token = world.token("GetMetricData", place)
        return {"MetricDataResults": [], "NextToken": token, "Messages": []}
    limit = min(int(p.get("MaxDatapoints") or _POINTS), _POINTS)
    results: list[dict[str, Any]] = []
    first, told = place
    for index, query in enumerate(queries[first:], first):
        stat = query["MetricStat"]
        unclear = world.unknowns.unclear.get(_group_of(stat["Metric"]) or "")
        if unclear is not None and told != _WHOLE:
            results.append(_result(query, [], {}, unclear))
            if world.unknowns.unclear_once:
                token = world.token("GetMetricData", (index, _WHOLE))
                return {"MetricDataResults": results, "NextToken": token, "Messages": []}
            continue
        found = _points(world, call, stat["Metric"], int(stat["Period"]), stat["Stat"], start, end)
        rest = sorted(found, reverse=p.get("ScanBy") != "TimestampAscending")[max(told, 0) :]
        page = rest[:limit]
        whole_rest = len(page) == len(rest)
        if page or whole_rest:
            status = "Complete" if whole_rest else "PartialData"
            results.append(_result(query, page, found, status))
        if not whole_rest:
            token = world.token("GetMetricData", (index, max(told, 0) + len(page)))
            return {"MetricDataResults": results, "NextToken": token, "Messages": []}
        limit, told = limit - len(page), 0
    return {"MetricDataResults": results, "Messages": []}


def _result(
    query: Mapping[str, Any], times: list[int], found: Mapping[int, int], status: str
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "Id": query["Id"],
        "Label": query["MetricStat"]["Metric"]["MetricName"],
        "Timestamps": [at / 1000 for at in times],
        "Values": [float(found[at]) for at in times],
        "StatusCode": status,
    }
    if status in ("InternalError", "Forbidden"):
        result["Messages"] = [{"Code": status, "Value": "the metric could not be read"}]
    return result


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _points(
    world: World, call: Call, metric: Any, period: int, stat: str, start: int, end: int
) -> dict[int, int]:
    """Data points by the time at which their bucket begins.

    The metric goes by the name alone, so it also tells of an earlier group of that name. A period
    too fine for the age of the start is answered with nothing at all, as CloudWatch does.
    """
    now, step = world.clock.now(), period * 1000
    if period <= 0 or period % 60:
        raise RefusedError("ValidationError", f"Period {period} is no multiple of 60")
    old = now - start
    if (old > 63 * DAY_MS and period % 3600) or (old > 15 * DAY_MS and period % 300):
        return {}
    name = _group_of(metric)
    value = {"IncomingLogEvents": "count", "IncomingBytes": "bytes"}.get(metric["MetricName"])
    if metric["Namespace"] != "AWS/Logs" or value is None:
        return {}
    arrivals = world.region(call).arrivals
    # Without dimensions it is that of all log groups (CloudWatch Logs user guide).
    every = chain.from_iterable(arrivals.values()) if not metric.get("Dimensions") else ()
    grain = HOUR_MS if old > 63 * DAY_MS else 300_000 if old > 15 * DAY_MS else 60_000
    first = start // grain * grain
    shown = now - int(world.store.lags.metric * 1000)
    found: dict[int, int] = {}
    for events in every if name is None else arrivals.get(name, ()):
        at = events.ingested
        if first <= at < end and now - _KEPT_MS <= at <= shown:
            origin = {"start": first, "multiples": 0, "elsewhere": 9 * HOUR_MS}[
                world.unknowns.buckets
            ]
            bucket = origin + (at - origin) // step * step
            if bucket < first:
                continue
            amount = 1 if stat == "SampleCount" else getattr(events, value)
            found[bucket] = found.get(bucket, 0) + amount
    return found


def _group_of(metric: Mapping[str, Any]) -> str | None:
    """The log group that a metric is about."""
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    return dimensions.get("LogGroupName")
