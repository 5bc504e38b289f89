"""CloudWatch: what arrived in log groups."""

from __future__ import annotations

import re
from typing import Any

from janitor.sandbox.clocks import DAY_MS, HOUR_MS
from janitor.sandbox.wire import Call, RefusedError, moment, timestamp
from janitor.sandbox.world import Handler, World

_ID = re.compile("[a-z][a-zA-Z0-9_]*")
_KEPT_MS = 455 * DAY_MS
_POINTS = 100_800


def get_metric_data(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    queries = p.get("MetricDataQueries") or []
    if len(queries) > 500:
        raise RefusedError("ValidationError", "at most 500 MetricDataQueries")
    start, end = moment(p["StartTime"]), moment(p["EndTime"])
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
        found = _points(world, call, stat["Metric"], int(stat["Period"]), stat["Stat"], start, end)
        rest = sorted(found, reverse=p.get("ScanBy") != "TimestampAscending")[told:]
        page = rest[:limit]
        whole_rest = len(page) == len(rest)
        if page or whole_rest:
            results.append(
                {
                    "Id": query["Id"],
                    "Label": stat["Metric"]["MetricName"],
                    "Timestamps": [timestamp(at, call.protocol) for at in page],
                    "Values": [float(found[at]) for at in page],
                    "StatusCode": "Complete" if whole_rest else "PartialData",
                }
            )
        if not whole_rest:
            token = world.token("GetMetricData", (index, told + len(page)))
            return {"MetricDataResults": results, "NextToken": token, "Messages": []}
        limit, told = limit - len(page), 0
    return {"MetricDataResults": results, "Messages": []}


def points_asked(call: Call) -> tuple[int, int]:
    """How many data points a GetMetricData asks for, and from when on (ms).

    CloudWatch estimates them from time range and period, whatever there is (its quotas page).
    """
    p = call.parameters
    start, end = moment(p["StartTime"]), moment(p["EndTime"])
    periods = [int(query["MetricStat"]["Period"]) for query in p.get("MetricDataQueries") or []]
    return sum(-(-(end - start) // (period * 1000)) for period in periods if period > 0), start


def get_metric_statistics(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    start, end, period = moment(p["StartTime"]), moment(p["EndTime"]), int(p["Period"])
    statistic = (p.get("Statistics") or ["Sum"])[0]
    if (end - start) / (period * 1000) > 1440:
        raise RefusedError("InvalidParameterCombination", "more than 1,440 data points")
    found = _points(world, call, p, period, statistic, start, end)
    points = [
        {"Timestamp": timestamp(at, call.protocol), statistic: float(value), "Unit": "None"}
        for at, value in found.items()
    ]
    return {"Label": p["MetricName"], "Datapoints": points}


def _points(
    world: World, call: Call, metric: Any, period: int, stat: str, start: int, end: int
) -> dict[int, int]:
    """Data points by the time at which their bucket begins; buckets are aligned to the period.

    The metric goes by the name alone, so it also tells of an earlier group of that name. A period
    too fine for the age of the start is answered with nothing at all, as CloudWatch does.
    """
    now, step = world.clock.now(), period * 1000
    if period <= 0 or period % 60:
        raise RefusedError("ValidationError", f"Period {period} is no multiple of 60")
    old = now - start
    if (old > 63 * DAY_MS and period % 3600) or (old > 15 * DAY_MS and period % 300):
        return {}
    name = {d["Name"]: d["Value"] for d in metric.get("Dimensions") or []}.get("LogGroupName")
    value = {"IncomingLogEvents": "count", "IncomingBytes": "bytes"}.get(metric["MetricName"])
    if metric["Namespace"] != "AWS/Logs" or value is None or name is None:
        return {}
    grain = HOUR_MS if old > 63 * DAY_MS else 300_000 if old > 15 * DAY_MS else 60_000
    first = start // grain * grain
    shown = now - int(world.store.lags.metric * 1000)
    found: dict[int, int] = {}
    for events in world.region(call).arrivals.get(name, ()):
        at = events.ingested
        if first <= at < end and now - _KEPT_MS <= at <= shown:
            bucket = first + (at - first) // step * step
            amount = 1 if stat == "SampleCount" else getattr(events, value)
            found[bucket] = found.get(bucket, 0) + amount
    return found


CALLS: dict[tuple[str, str], Handler] = {
    ("monitoring", "GetMetricData"): get_metric_data,
    ("monitoring", "GetMetricStatistics"): get_metric_statistics,
}
