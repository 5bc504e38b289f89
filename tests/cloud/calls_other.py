"""CloudWatch metrics, tagging, Lambda, STS, EC2 and Service Quotas."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from tests.cloud.calls_logs import Handler
from tests.cloud.clocks import DAY_MS, HOUR_MS
from tests.cloud.protocols import Call, RefusedError, moment, timestamp
from tests.cloud.quotas import service_quotas
from tests.cloud.store import name_of
from tests.cloud.world import World, whole

_TAGGING_TOKEN = 900
"""Seconds that a PaginationToken lives (Resource Groups Tagging API reference)."""
_ID = re.compile("[a-z][a-zA-Z0-9_]*")
_KEPT_MS = 455 * DAY_MS
_POINTS = 100_800


# ---- CloudWatch ----------------------------------------------------------------------------------


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


# ---- tagging -------------------------------------------------------------------------------------


_NOT_BESIDE_ARNS = ("TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "PaginationToken")


def get_resources(world: World, call: Call) -> dict[str, Any]:
    """What was never tagged is left out."""
    p, region = call.parameters, world.region(call)
    arns = p.get("ResourceARNList")
    code = "InvalidParameterException"
    if arns:
        if len(arns) > 100 or any(p.get(other) for other in _NOT_BESIDE_ARNS):
            raise RefusedError(code, "at most 100 ARNs, no filters and no pages beside them")
        # Rows of `Plain` have no tags, so none needs to be made a group.
        groups = {arn: region.groups.get(name_of(arn)) for arn in arns}
        found = [g for arn, g in groups.items() if g is not None and g.arn == arn and g.tags]
        return {"PaginationToken": "", "ResourceTagMappingList": [_mapping(g) for g in found]}
    types = p.get("ResourceTypeFilters") or ["logs"]
    filters = p.get("TagFilters") or []
    limit = whole(call, "ResourcesPerPage", 1, 100, 50)
    place = world.place(
        "GetResources",
        p.get("PaginationToken") or None,
        "",
        expired="PaginationTokenExpiredException",
        age=_TAGGING_TOKEN,
    )
    if world.empty():
        token = world.token("GetResources", place)
        return {"PaginationToken": token, "ResourceTagMappingList": []}
    # Rows of `Plain` have no tags, so only groups are gone through.
    names = (name for name in region.names if name > place)
    tagged = (
        region.groups[name]
        for name in names
        if region.groups[name].tags
        and any(kind in ("logs", "logs:log-group") for kind in types)
        and all(
            f["Key"] in region.groups[name].tags
            and (not f.get("Values") or region.groups[name].tags[f["Key"]] in f["Values"])
            for f in filters
        )
    )
    page = list(islice(tagged, limit + 1))
    more = len(page) > limit
    token = world.token("GetResources", page[limit - 1].name) if more else ""
    mappings = [_mapping(group) for group in page[:limit]]
    return {"PaginationToken": token, "ResourceTagMappingList": mappings}


def _mapping(group: Any) -> dict[str, Any]:
    tags = [{"Key": key, "Value": value} for key, value in sorted(group.tags.items())]
    return {"ResourceARN": group.arn, "Tags": tags}


# ---- Lambda --------------------------------------------------------------------------------------


def list_functions(world: World, call: Call) -> dict[str, Any]:
    functions = world.region(call).functions
    limit = int(call.parameters.get("MaxItems", 50))
    place = world.place("ListFunctions", call.parameters.get("Marker"), "")
    names = sorted(name for name in functions if name > place)
    page = names[: min(limit, 50)]
    answer: dict[str, Any] = {
        "Functions": [
            {
                "FunctionName": name,
                "FunctionArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{name}",
                "Runtime": "python3.13",
                "LoggingConfig": {
                    "LogFormat": "Text",
                    "LogGroup": functions[name] or f"/aws/lambda/{name}",
                },
            }
            for name in page
        ],
        "NextMarker": None,
    }
    if len(names) > len(page):
        answer["NextMarker"] = world.token("ListFunctions", page[-1])
    return answer


def invoke(world: World, call: Call) -> dict[str, Any]:
    if call.parameters["InvocationType"] != "Event":
        world.record.unknown["Invoke RequestResponse"] += 1
        raise RefusedError("UnknownOperationException", "nothing runs here to wait for")
    world.invoked.append(
        {
            "account": call.account,
            "region": call.region,
            "function": call.parameters["FunctionName"],
            "type": call.parameters["InvocationType"],
            "payload": call.body,
        }
    )
    return {}


# ---- STS, EC2, Service Quotas --------------------------------------------------------------------


def get_caller_identity(world: World, call: Call) -> dict[str, Any]:
    arn = f"arn:aws:iam::{call.account}:user/somebody"
    return {"Arn": arn, "UserId": call.key, "Account": call.account}


def assume_role(world: World, call: Call) -> dict[str, Any]:
    """Keys of the account in the role's ARN, if the store knows that account."""
    role, session = str(call.parameters["RoleArn"]), call.parameters["RoleSessionName"]
    account = role.split(":")[4]
    if account not in world.store.accounts:
        said = f"not authorized to perform: sts:AssumeRole on {role}"
        raise RefusedError("AccessDenied", said, 403)
    key = f"ASIA{account}"
    world.keys[key] = account
    expires = datetime.fromtimestamp(world.clock.now() / 1000 + 3600, UTC)
    name = role.rsplit("/", 1)[-1]
    return {
        "Credentials": {
            "AccessKeyId": key,
            "SecretAccessKey": "secret",
            "SessionToken": "session",
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"AROA:{session}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        },
    }


def describe_regions(world: World, call: Call) -> dict[str, Any]:
    names = sorted(region for account, region in world.store.regions if account == call.account)
    entries = [
        {
            "regionName": name,
            "regionEndpoint": f"ec2.{name}.amazonaws.com",
            "optInStatus": "opt-in-not-required",
        }
        for name in names
    ]
    return {"requestId": "0", "regionInfo": entries}


def list_service_quotas(world: World, call: Call) -> dict[str, Any]:
    return _quotas(world, call, applied=True)


def list_default_quotas(world: World, call: Call) -> dict[str, Any]:
    return _quotas(world, call, applied=False)


def _quotas(world: World, call: Call, *, applied: bool) -> dict[str, Any]:
    service = call.parameters["ServiceCode"]
    quotas = service_quotas(world.store if applied else None, call.account, call.region, service)
    if not quotas:
        raise RefusedError("NoSuchResourceException", f"no such service: {service}")
    place = world.place(call.operation, call.parameters.get("NextToken"), 0)
    limit = whole(call, "MaxResults", 1, 100, 10)
    answer: dict[str, Any] = {"Quotas": quotas[place : place + limit]}
    if place + limit < len(quotas):
        answer["NextToken"] = world.token(call.operation, place + limit)
    return answer


CALLS: dict[tuple[str, str], Handler] = {
    ("monitoring", "GetMetricData"): get_metric_data,
    ("monitoring", "GetMetricStatistics"): get_metric_statistics,
    ("tagging", "GetResources"): get_resources,
    ("lambda", "ListFunctions"): list_functions,
    ("lambda", "Invoke"): invoke,
    ("sts", "GetCallerIdentity"): get_caller_identity,
    ("sts", "AssumeRole"): assume_role,
    ("ec2", "DescribeRegions"): describe_regions,
    ("servicequotas", "ListServiceQuotas"): list_service_quotas,
    ("servicequotas", "ListAWSDefaultServiceQuotas"): list_default_quotas,
}
