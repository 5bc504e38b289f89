"""Alarms: a run that stopped early, one that failed, and one that is overdue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

NAMESPACE = "CloudWatchJanitor"
OVERDUE = "Overdue"
"""The watch's daily metric: 1 without a complete scheduled run in 35 days, else 0."""

FAILED = "RunFailed"
"""The janitor's metric at the end of each run: 1 if it failed or was refused, else 0."""

GIVEN_UP = "ApproximateNumberOfMessagesVisible"
"""SQS's metric of the messages in a queue, here of events that failed for good."""

DAY_S = 86_400


def at_least_one(
    resource_name: str,
    *,
    name: pulumi.Input[str],
    description: str,
    namespace: str,
    metric: str,
    dimensions: Mapping[str, pulumi.Input[str]],
    period: int,
    missing: Literal["breaching", "notBreaching", "ignore"],
    topic: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """Return an alarm for a metric that was 1 or more in the last `period` (seconds).

    `missing` says how no data counts; `topic` is the ARN of an SNS topic in the same Region.
    """
    return aws.cloudwatch.MetricAlarm(
        resource_name,
        name=name,
        alarm_description=description,
        namespace=namespace,
        metric_name=metric,
        dimensions=dimensions,
        statistic="Maximum",
        period=period,
        evaluation_periods=1,
        comparison_operator="GreaterThanOrEqualToThreshold",
        threshold=1,
        treat_missing_data=missing,
        alarm_actions=[] if topic is None else [topic],
        opts=opts,
    )


def overdue_alarm(
    resource_name: str,
    *,
    run: str,
    name: pulumi.Input[str],
    watch_name: pulumi.Input[str],
    topic: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> aws.cloudwatch.MetricAlarm:
    """Return an alarm for an overdue `run` (for people, such as `fleet run`).

    An alarm looks back 7 days at most, so it looks at the metric of a function, `watch_name`, that
    looks back 35, once a day.
    """
    return at_least_one(
        resource_name,
        name=name,
        description=f"No {run} was completed in 35 days, or the function that watches for it has "
        "not reported for a day. After the first deployment this is in ALARM until the watch has "
        "reported once, which takes up to a day.",
        namespace=NAMESPACE,
        metric=OVERDUE,
        dimensions={"service": watch_name},  # Powertools' name for the dimension
        period=DAY_S,
        missing="breaching",  # a watch that does not run must not look healthy
        topic=topic,
        opts=opts,
    )


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """The arguments of `Alarms`.

    Attributes:
        function_name: Name of the janitor's function.
        queue_name: Name of the queue that takes the events of links that failed for good.
        watch_name: Name of the function that checks once a day whether a complete run is overdue.
        topic: ARN of an SNS topic in the same Region; None: the alarms only show in CloudWatch.
    """

    function_name: pulumi.Input[str]
    queue_name: pulumi.Input[str]
    watch_name: pulumi.Input[str]
    topic: pulumi.Input[str] | None


class Alarms(pulumi.ComponentResource):
    """Three alarms.

    Attributes:
        names: The alarms' names.
        arns: Their ARNs.
    """

    names: list[pulumi.Output[str]]
    arns: list[pulumi.Output[str]]

    def __init__(
        self,
        resource_name: str,
        args: AlarmsArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Alarms", resource_name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        stopped = at_least_one(
            f"{resource_name}-stopped",
            name=pulumi.Output.concat(args.function_name, "-stopped"),
            description="A run of the janitor stopped early: an invocation crashed twice, or "
            "refused its event. The event is in the queue of failures, the reason in the "
            "function's log. In ALARM until the queue is empty.",
            # Not Lambda's Errors, which also count a link whose second attempt succeeded.
            namespace="AWS/SQS",
            metric=GIVEN_UP,
            dimensions={"QueueName": args.queue_name},
            period=300,
            missing="ignore",  # SQS publishes nothing for a queue that was unused for six hours
            topic=args.topic,
            opts=child,
        )
        overdue = overdue_alarm(
            f"{resource_name}-overdue",
            run="scheduled janitor run",
            name=pulumi.Output.concat(args.function_name, "-overdue"),
            watch_name=args.watch_name,
            topic=args.topic,
            opts=child,
        )
        failed = at_least_one(
            f"{resource_name}-failed",
            name=pulumi.Output.concat(args.function_name, "-failed"),
            description="A scheduled janitor run ended, but something in it failed, was not "
            "reached, or was refused by a limit: its summary says what.",
            namespace=NAMESPACE,
            metric=FAILED,
            dimensions={"service": args.function_name, "trigger": "schedule"},
            period=300,
            missing="notBreaching",  # no run has ended
            topic=args.topic,
            opts=child,
        )
        self.names = [stopped.name, failed.name, overdue.name]
        self.arns = [stopped.arn, failed.arn, overdue.arn]
        self.register_outputs({"names": self.names, "arns": self.arns})
