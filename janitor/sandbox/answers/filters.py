"""CloudWatch Logs: metric filters and subscription filters."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World

_PAGE = ("limit", 50, 50)


def describe_metric_filters(world: World, call: Call) -> dict[str, Any]:
    region = world.region(call)
    groups = [world.group(call)] if call.group else list(region.groups.values())
    prefix = (call.parameters.get("filterNamePrefix") or "") if call.group else ""
    filters = [
        {
            "filterName": name,
            "filterPattern": "",
            "logGroupName": group.name,
            "creationTime": group.created,
            "metricTransformations": [
                {"metricName": name, "metricNamespace": "own", "metricValue": "1"}
            ],
            "applyOnTransformedLogs": False,
            **group.filters.get(("metric", name), {}),
        }
        for group in groups
        for name in group.metric_filters
        if name.startswith(prefix)
    ]
    filters.sort(key=lambda entry: (str(entry["filterName"]), str(entry["logGroupName"])))
    return world.page_of(call, "metricFilters", filters, _PAGE)


def describe_subscription_filters(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    prefix = call.parameters.get("filterNamePrefix") or ""
    filters = [
        {
            "filterName": name,
            "filterPattern": "",
            "logGroupName": group.name,
            "creationTime": group.created,
            "destinationArn": f"arn:aws:lambda:{group.region}:{group.account}:function:{name}",
            "distribution": "ByLogStream",
            "applyOnTransformedLogs": False,
            **group.filters.get(("subscription", name), {}),
        }
        for name in sorted(group.subscriptions)
        if name.startswith(prefix)
    ]
    return world.page_of(call, "subscriptionFilters", filters, _PAGE)


def put_metric_filter(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.metric_filters = _with(call, group, "metric", group.metric_filters, 100)
    return {}


def put_subscription_filter(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.subscriptions = _with(call, group, "subscription", group.subscriptions, 2)
    return {}


def _with(
    call: Call, group: Group, kind: str, names: tuple[str, ...], most: int
) -> tuple[str, ...]:
    """The names with that of the filter that is put. Raises RefusedError beyond the most."""
    described = {key: value for key, value in call.parameters.items() if key != "logGroupName"}
    name = str(described["filterName"])
    if len({*names, name}) > most:
        raise RefusedError("LimitExceededException", "Resource limit exceeded.")
    group.filters[kind, name] = described
    return tuple(sorted({*names, name}))


def delete_metric_filter(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.metric_filters = _without(call, group, "metric", group.metric_filters)
    return {}


def delete_subscription_filter(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.subscriptions = _without(call, group, "subscription", group.subscriptions)
    return {}


def _without(call: Call, group: Group, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    name = str(call.parameters["filterName"])
    if name not in names:
        said = f"The specified {kind} filter does not exist."
        raise RefusedError("ResourceNotFoundException", said)
    group.filters.pop((kind, name), None)
    return tuple(other for other in names if other != name)


CALLS: dict[tuple[str, str], Handler] = {
    ("logs", "DescribeMetricFilters"): describe_metric_filters,
    ("logs", "DescribeSubscriptionFilters"): describe_subscription_filters,
    ("logs", "PutMetricFilter"): put_metric_filter,
    ("logs", "PutSubscriptionFilter"): put_subscription_filter,
    ("logs", "DeleteMetricFilter"): delete_metric_filter,
    ("logs", "DeleteSubscriptionFilter"): delete_subscription_filter,
}
