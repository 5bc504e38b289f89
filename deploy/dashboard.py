"""A CloudWatch dashboard: the last runs, what they did, and their health."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from deploy.alarms import DAY_S, FAILED, GIVEN_UP, NAMESPACE, OVERDUE
from deploy.new_groups import DEAF

DONE = {
    "RetentionSet": "Retention set",
    "GroupsDeleted": "Log groups deleted",
    "StreamsDeleted": "Log streams deleted",
}
TROUBLE = {
    "Failed": "Failed",
    "NotReached": "Not reached",
    "Unknown": "Unknown, so kept",
}
SCANNED = {"GroupsScanned": "Log groups scanned"}
THROTTLED = {"Throttled": "Calls throttled"}
DURATION = {"Duration": "Seconds from start to end"}
ENDED = {"Complete": "Complete runs", FAILED: "Runs that failed or were refused"}
NEW = {"Events": "Created", "RetentionSet": "Retention set", "Failed": "Failed"}
TRIGGERS = {"schedule": "", "hand": ", by hand"}
"""Values of the dimension `trigger`, each with a suffix for the label."""

LAST_RUNS = (
    "run_id",
    "link",
    "summary.groups_scanned",
    "summary.retention_set",
    "summary.groups_deleted",
    "summary.streams_deleted",
    "summary.failed",
    "summary.not_reached",
    "summary.complete",
)
"""Fields of the log line that ends each link."""

LINK_ENDED = "link_ended"
HALF = 12
"""Units: half the width of a dashboard."""


@dataclass(frozen=True, kw_only=True)
class DashboardArgs:
    """The arguments of a `Dashboard`.

    Attributes:
        name: The dashboard's name.
        region: The Region of everything that is shown.
        function_name: Name of the janitor's function, which is the metrics' dimension `service`.
        log_group: Name of the janitor's log group.
        queue_name: Name of the queue that takes the events of links that failed for good.
        watch_name: Name of the function that checks once a day whether a complete run is overdue.
        alarms: ARNs of the alarms.
        fleet: Name of the function that cleans many accounts, if there is one.
        new_groups: Name of the function for new log groups, if there is one.
    """

    name: str
    region: str
    function_name: str
    log_group: str
    queue_name: str
    watch_name: str
    alarms: Sequence[pulumi.Input[str]]
    fleet: str | None = None
    new_groups: str | None = None


class Dashboard(pulumi.ComponentResource):
    """A dashboard over the last twelve months.

    Attributes:
        name: The dashboard's name.
    """

    name: pulumi.Output[str]

    def __init__(
        self, resource_name: str, args: DashboardArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Dashboard", resource_name, None, opts)
        dashboard = aws.cloudwatch.Dashboard(
            resource_name,
            dashboard_name=args.name,
            dashboard_body=pulumi.Output.all(*args.alarms).apply(
                lambda alarms: json.dumps(body(args, alarms))
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.name = dashboard.dashboard_name
        self.register_outputs({"name": self.name})


def body(args: DashboardArgs, alarms: Sequence[str]) -> dict[str, Any]:
    """Return the dashboard in CloudWatch's "Dashboard body structure and syntax"."""
    overdue = _row(OVERDUE, "A run is overdue", args.watch_name)
    given_up = [
        "AWS/SQS",
        GIVEN_UP,
        "QueueName",
        args.queue_name,
        {"label": "Links that failed for good"},
    ]
    cells = [
        _widget("alarm", {"title": "Alarms", "alarms": list(alarms)}),
        _graph(args, "Health", [*_runs(args, ENDED), overdue, given_up]),
        _graph(args, "Done", _runs(args, DONE)),
        _graph(args, "Trouble", _runs(args, TROUBLE)),
        _graph(args, "Scanned", _runs(args, SCANNED)),
        _graph(args, "Duration", _runs(args, DURATION), "Maximum"),
        _graph(args, "Throttled", _runs(args, THROTTLED)),
        _widget("log", _last_runs(args)),
    ]
    if args.fleet is not None:
        shown = {**DONE, **TROUBLE, **ENDED}.items()
        rows = [_row(name, label, args.fleet, "trigger", "fleet") for name, label in shown]
        cells.append(_graph(args, "Many accounts", rows))
    if args.new_groups is not None:
        rows = [_row(name, label, args.new_groups) for name, label in NEW.items()]
        rows.append(_row(DEAF, "No trail logs them", args.watch_name))
        cells.append(_graph(args, "New log groups", rows))
    placed = [
        {**cell, "x": index % 2 * HALF, "y": index // 2 * 6, "width": HALF, "height": 6}
        for index, cell in enumerate(cells)
    ]
    # Without `inherit` CloudWatch chooses periods by the range, and would add up several runs.
    return {"start": "-P12M", "periodOverride": "inherit", "widgets": placed}


def _runs(args: DashboardArgs, metrics: dict[str, str]) -> list[list[Any]]:
    return [
        _row(name, label + added, args.function_name, "trigger", trigger)
        for name, label in metrics.items()
        for trigger, added in TRIGGERS.items()
    ]


def _row(metric: str, label: str, service: str, *more: str) -> list[Any]:
    return [NAMESPACE, metric, "service", service, *more, {"label": label}]


def _graph(
    args: DashboardArgs, title: str, metrics: list[list[Any]], stat: str = "Sum"
) -> dict[str, Any]:
    return _widget(
        "metric",
        {
            "title": title,
            "view": "timeSeries",
            "region": args.region,
            "period": DAY_S,
            "stat": stat,
            "metrics": metrics,
            "yAxis": {"left": {"min": 0}},
        },
    )


def _last_runs(args: DashboardArgs) -> dict[str, Any]:
    query = " | ".join(
        [
            f"SOURCE '{args.log_group}'",
            f'filter event = "{LINK_ENDED}"',
            f"fields @timestamp, {', '.join(LAST_RUNS)}",
            "sort @timestamp desc",
            "limit 20",
        ]
    )
    return {
        "title": "Last runs, link by link",
        "region": args.region,
        "view": "table",
        "query": query,
    }


def _widget(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "properties": properties}
