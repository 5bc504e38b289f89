"""CloudWatch Logs: metric filters and subscription filters."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, missing

_FIELDS = {"metric": ("metric_filters", 100), "subscription": ("subscriptions", 2)}
"""The group's field for the names of its filters, and how many it may have."""


def _describing(kind: str) -> Handler:
    def describe(world: World, call: Call) -> dict[str, Any]:
        # Of all log groups, the prefix is ignored (botocore 1.44.5, DescribeMetricFilters).
        every = kind == "metric" and not call.group
        prefix = "" if every else call.parameters.get("filterNamePrefix") or ""
        filters = [
            _shown(kind, group, name)
            for group in (world.region(call).after("") if every else [world.group(call)])
            for name in getattr(group, _FIELDS[kind][0])
            if name.startswith(prefix)
        ]
        filters.sort(key=itemgetter("filterName"))
        return world.page_of(call, f"{kind}Filters", filters, ("limit", 50))

    return describe


def _shown(kind: str, group: Group, name: str) -> dict[str, Any]:
    """The filter as it was put; if no call put it, with a made-up metric or destination."""
    entry: dict[str, Any] = {"filterName": name, "filterPattern": "", "logGroupName": group.name}
    entry |= {"creationTime": group.created, "applyOnTransformedLogs": False}
    if kind == "metric":
        metric = {"metricName": name, "metricNamespace": "own", "metricValue": "1"}
        entry["metricTransformations"] = [metric]
    else:
        arn = f"arn:aws:lambda:{group.region}:{group.account}:function:{name}"
        entry |= {"destinationArn": arn, "distribution": "ByLogStream"}
    return entry | group.filters.get((kind, name), {})


def _putting(kind: str) -> Handler:
    def put(world: World, call: Call) -> dict[str, Any]:
        group, (field, most) = world.group(call), _FIELDS[kind]
        described = {key: value for key, value in call.parameters.items() if key != "logGroupName"}
        names = {*getattr(group, field), described["filterName"]}
        if len(names) > most:
            raise RefusedError("LimitExceededException", "Resource limit exceeded.")
        group.filters[kind, described["filterName"]] = described
        setattr(group, field, tuple(sorted(names)))
        return {}

    return put


def _deleting(kind: str) -> Handler:
    def delete(world: World, call: Call) -> dict[str, Any]:
        group, field, name = world.group(call), _FIELDS[kind][0], call.parameters["filterName"]
        if name not in (names := getattr(group, field)):
            raise missing(f"{kind} filter")
        group.filters.pop((kind, name), None)
        setattr(group, field, tuple(other for other in names if other != name))
        return {}

    return delete


describe_metric_filters, describe_subscription_filters = map(_describing, _FIELDS)
put_metric_filter, put_subscription_filter = map(_putting, _FIELDS)
delete_metric_filter, delete_subscription_filter = map(_deleting, _FIELDS)
