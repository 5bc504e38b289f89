"""CloudWatch: the metrics of what arrived in log groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, unheeded

_ID = re.compile("[a-z][a-zA-Z0-9_]*")
_KEPT_MS = 455 * DAY_MS
_POINTS = 100_800
_WHOLE = -1
"""In place of a page's offset: the metric that was unclear is answered from its first point on."""


def get_metric_data(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    queries = p.get("MetricDataQueries") or []
    start, end = (round(1000 * p[name]) for name in ("StartTime", "EndTime"))
    ids = [str(query["Id"]) for query in queries]
    for wrong, message in (
        (len(queries) > 500, "at most 500 MetricDataQueries"),
        (start >= end, "StartTime must be before EndTime"),
        (
            len(set(ids)) < len(ids) or not all(map(_ID.fullmatch, ids)),
            "Id: unique, a lowercase letter first",
        ),
    ):
        if wrong:
            raise RefusedError("ValidationError", message)
    place = world.place("GetMetricData", p.get("NextToken"), (0, 0), "InvalidNextToken")
    results: list[dict[str, Any]] = []

    def answer(*following: Any) -> dict[str, Any]:
        token = {"NextToken": world.token("GetMetricData", following)} if following else {}
        return {"MetricDataResults": results, "Messages": []} | token

    if world.empty():
        return answer(*place)
    limit = min(int(p.get("MaxDatapoints") or _POINTS), _POINTS)
    first, offset = place
    for index, query in enumerate(queries[first:], first):
        stat = query["MetricStat"]
        unclear = world.unknowns.unclear.get(_group_of(stat["Metric"]))
        if unclear is not None and offset != _WHOLE:
            results.append(_result(query, [], {}, unclear))
            if world.unknowns.unclear_once:
                return answer(index, _WHOLE)
            continue
        if stat["Stat"] != "Sum":
            raise unheeded("statistics other than Sum")
        found = _points(world, call, stat["Metric"], int(stat["Period"]), start, end)
        done = max(offset, 0)
        left = sorted(found, reverse=p.get("ScanBy") != "TimestampAscending")[done:]
        page = left[:limit]
        complete = len(page) == len(left)
        if page or complete:
            results.append(_result(query, page, found, "Complete" if complete else "PartialData"))
        if not complete:
            return answer(index, done + len(page))
        limit, offset = limit - len(page), 0
    return answer()


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


def _points(
    world: World, call: Call, metric: Any, period: int, start: int, end: int
) -> dict[int, int]:
    """The data points by the start of their period.

    The metric goes by name alone, so it also counts an earlier group of that name. A period too
    fine for the age of the start is answered with no points at all, as CloudWatch does.
    """
    now, step = world.clock.now(), period * 1000
    if period <= 0 or period % 60:
        raise RefusedError("ValidationError", f"Period {period} is not a multiple of 60")
    age = now - start
    if (age > 63 * DAY_MS and period % 3600) or (age > 15 * DAY_MS and period % 300):
        return {}
    value = {"IncomingLogEvents": "count", "IncomingBytes": "bytes"}.get(metric["MetricName"])
    if metric["Namespace"] != "AWS/Logs" or value is None:
        return {}
    grain = HOUR_MS if age > 63 * DAY_MS else 300_000 if age > 15 * DAY_MS else 60_000
    first = start // grain * grain
    origins = {"start": first, "multiples": 0, "elsewhere": 9 * HOUR_MS}
    origin = origins[world.unknowns.buckets]
    arrivals, name = world.region(call).arrivals, _group_of(metric)
    # Without dimensions it is the metric of all log groups (CloudWatch Logs user guide).
    every = not metric.get("Dimensions")
    arrived = chain.from_iterable(arrivals.values()) if every else arrivals.get(name, ())
    shown = now - int(world.store.lags.metric * 1000)
    found: dict[int, int] = {}
    for events in arrived:
        at = events.ingested
        bucket = origin + (at - origin) // step * step
        if first <= at < end and now - _KEPT_MS <= at <= shown and bucket >= first:
            found[bucket] = found.get(bucket, 0) + getattr(events, value)
    return found


def _group_of(metric: Mapping[str, Any]) -> str:
    """The log group that a metric is about."""
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    return str(dimensions.get("LogGroupName", ""))
