"""CloudWatch Logs: metric filters and subscription filters."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World

_PAGE = ("limit", 50)
_FIELDS = {"metric": ("metric_filters", 100), "subscription": ("subscriptions", 2)}
"""Where a group has the names of its filters, and how many at most."""


def describe_metric_filters(world: World, call: Call) -> dict[str, Any]:
    region = world.region(call)
    groups = [world.group(call)] if call.group else list(region.groups.values())
    filters = [one for group in groups for one in _shown(call, group, "metric")]
    filters.sort(key=lambda entry: (str(entry["filterName"]), str(entry["logGroupName"])))
    return world.page_of(call, "metricFilters", filters, _PAGE)


def describe_subscription_filters(world: World, call: Call) -> dict[str, Any]:
    filters = _shown(call, world.group(call), "subscription")
    return world.page_of(call, "subscriptionFilters", filters, _PAGE)


def _shown(call: Call, group: Group, kind: str) -> list[dict[str, Any]]:
    """Of all groups, a prefix is not heeded (botocore 1.44.5, DescribeMetricFilters)."""
    prefix = (call.parameters.get("filterNamePrefix") or "") if call.group else ""
    return [
        {
            "filterName": name,
            "filterPattern": "",
            "logGroupName": group.name,
            "creationTime": group.created,
            "applyOnTransformedLogs": False,
            **(_metric(name) if kind == "metric" else _subscription(group, name)),
            **group.filters.get((kind, name), {}),
        }
        for name in sorted(getattr(group, _FIELDS[kind][0]))
        if name.startswith(prefix)
    ]


def _metric(name: str) -> dict[str, Any]:
    metric = {"metricName": name, "metricNamespace": "own", "metricValue": "1"}
    return {"metricTransformations": [metric]}


def _subscription(group: Group, name: str) -> dict[str, Any]:
    arn = f"arn:aws:lambda:{group.region}:{group.account}:function:{name}"
    return {"destinationArn": arn, "distribution": "ByLogStream"}


def put_metric_filter(world: World, call: Call) -> dict[str, Any]:
    return _put(world, call, "metric")


def put_subscription_filter(world: World, call: Call) -> dict[str, Any]:
    return _put(world, call, "subscription")


def _put(world: World, call: Call, kind: str) -> dict[str, Any]:
    group, (field, most) = world.group(call), _FIELDS[kind]
    described = {key: value for key, value in call.parameters.items() if key != "logGroupName"}
    names = {*getattr(group, field), described["filterName"]}
    if len(names) > most:
        raise RefusedError("LimitExceededException", "Resource limit exceeded.")
    group.filters[kind, described["filterName"]] = described
    setattr(group, field, tuple(sorted(names)))
    return {}


def delete_metric_filter(world: World, call: Call) -> dict[str, Any]:
    return _delete(world, call, "metric")


def delete_subscription_filter(world: World, call: Call) -> dict[str, Any]:
    return _delete(world, call, "subscription")


def _delete(world: World, call: Call, kind: str) -> dict[str, Any]:
    group, (field, _), name = world.group(call), _FIELDS[kind], call.parameters["filterName"]
    if name not in (names := getattr(group, field)):
        said = f"The specified {kind} filter does not exist."
        raise RefusedError("ResourceNotFoundException", said)
    group.filters.pop((kind, name), None)
    setattr(group, field, tuple(other for other in names if other != name))
    return {}
