"""The events of new log groups, on their way from each Region to one function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from deploy.alarms import DAY_S, GIVEN_UP, NAMESPACE, at_least_one
from deploy.grants import may_send, service_role

DEAF = "Deaf"
"""The watch's daily metric: 1 if no event of a new log group can come from some Region, else 0."""

WAIT_S = 900
"""15 minutes, the most that SQS delays a message: time for whoever created a log group to set its
retention."""

BATCH = 5
TIMEOUT_S = 300
"""For five log groups, whose tags are read up to four times each at a quarter of a call a second
(`janitor.engine.new_groups.SHARE`), and two minutes for the end."""

ATTEMPTS = 5
CREATED = {
    "source": ["aws.logs"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {
        "eventSource": ["logs.amazonaws.com"],
        "eventName": ["CreateLogGroup"],
        # Agents keep trying to create groups that exist, which is an error each time.
        "errorCode": [{"exists": False}],
    },
}
"""The pattern of the events. PutEvents refuses sources that begin with `aws.`."""


@dataclass(frozen=True, kw_only=True)
class NewGroupsArgs:
    """The arguments of `NewGroups`.

    Attributes:
        name: The name of everything.
        account: The account's id.
        partition: Its AWS partition, as in ARNs.
        region: The stack's Region, where the bus, the queues and the function are.
        regions: The Regions whose new log groups are reported.
        function_arn: ARN of the function that takes the messages.
        watch_name: Name of the function that checks once a day whether events can come.
        topic: ARN of an SNS topic in the same Region; None: the alarms only show in CloudWatch.
    """

    name: str
    account: str
    partition: str
    region: str
    regions: Sequence[str]
    function_arn: pulumi.Input[str]
    watch_name: pulumi.Input[str]
    topic: pulumi.Input[str] | None


class NewGroups(pulumi.ComponentResource):
    """A rule in each Region, a bus, a rule on the bus, a queue with a delay, and the function that
    it feeds; messages that fail for good go to another queue, which has an alarm.

    EventBridge sends only to queues of its own Region, hence the bus. What a rule cannot deliver
    within 24 hours is lost, and left to the scheduled run.

    Attributes:
        failures: URL of the queue of messages that failed for good.
        alarms: Names of the alarms.
    """

    failures: pulumi.Output[str]
    alarms: list[pulumi.Output[str]]

    def __init__(
        self,
        resource_name: str,
        args: NewGroupsArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cloudwatch-janitor:index:NewGroups", resource_name, None, opts)
        self._name, self._args = resource_name, args
        self._child = pulumi.ResourceOptions(parent=self)
        failures = self._queue("failures", message_retention_seconds=14 * DAY_S)
        queue = self._queue(
            "queue",
            delay_seconds=WAIT_S,
            message_retention_seconds=4 * DAY_S,
            visibility_timeout_seconds=6 * TIMEOUT_S,  # as Lambda's guide advises for SQS
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": failures.arn, "maxReceiveCount": ATTEMPTS}
            ),
        )
        self._bus(queue, failures)
        aws.lambda_.EventSourceMapping(
            resource_name,
            event_source_arn=queue.arn,
            function_name=args.function_arn,
            batch_size=BATCH,
            maximum_batching_window_in_seconds=60,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config={"maximum_concurrency": 2},  # Lambda's minimum
            opts=self._child,
        )
        self.failures = failures.url
        self.alarms = [
            at_least_one(
                f"{resource_name}-failures",
                name=f"{args.name}-failures",
                description="A new log group could not be given its retention: its message is in "
                f"the queue {args.name}-failures, the reason in the function's log. In ALARM until "
                "the queue is empty: send its messages once more (SQS, start DLQ redrive).",
                namespace="AWS/SQS",
                metric=GIVEN_UP,
                dimensions={"QueueName": failures.name},
                period=300,
                missing="ignore",  # SQS publishes nothing for a queue unused for six hours
                topic=args.topic,
                opts=self._child,
            ).name,
            at_least_one(
                f"{resource_name}-deaf",
                name=f"{args.name}-deaf",
                description="In some Region no CloudTrail trail logs management events, so no new "
                "log group there gets its retention; the watch's log names the Regions. This is "
                "also in ALARM until the watch has reported once, which takes up to a day.",
                namespace=NAMESPACE,
                metric=DEAF,
                dimensions={"service": args.watch_name},
                period=DAY_S,
                missing="breaching",  # a watch that does not run must not look healthy
                topic=args.topic,
                opts=self._child,
            ).name,
        ]
        self.register_outputs({"failures": self.failures, "alarms": self.alarms})

    def _bus(self, queue: aws.sqs.Queue, failures: aws.sqs.Queue) -> None:
        """Create the path from each Region's own bus to the queue."""
        args, child = self._args, self._child
        bus = aws.cloudwatch.EventBus(self._name, name=args.name, opts=child)
        put = {
            "Sid": "TellTheBus",
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": bus.arn,
        }
        role, may_put = service_role(
            f"{self._name}-events",
            name=f"{args.name}-events",
            service="events.amazonaws.com",
            account=args.account,
            statements=[put],
            opts=child,
        )
        home = self._rule("home", f"To {args.name}.", event_bus_name=bus.name)
        permissions = [
            may_send(f"{self._name}-{kind}", receiver, home, child)
            for kind, receiver in (("queue", queue), ("failures", failures))
        ]
        aws.cloudwatch.EventTarget(
            f"{self._name}-home",
            rule=home.name,
            event_bus_name=bus.name,
            arn=queue.arn,
            dead_letter_config={"arn": failures.arn},
            # Without the permissions the rule's events would be refused.
            opts=pulumi.ResourceOptions(parent=self, depends_on=permissions),
        )
        for region in args.regions:
            rule = self._rule(region, "Reports new log groups.", region=region)
            aws.cloudwatch.EventTarget(
                f"{self._name}-{region}",
                region=region,
                rule=rule.name,
                arn=bus.arn,
                role_arn=role.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[may_put]),
            )

    def _rule(
        self,
        name: str,
        description: str,
        *,
        region: str | None = None,
        event_bus_name: pulumi.Input[str] | None = None,
    ) -> aws.cloudwatch.EventRule:
        pattern = {**CREATED, "account": [self._args.account]}
        return aws.cloudwatch.EventRule(
            f"{self._name}-{name}",
            name=self._args.name,
            description=description,
            region=region,
            event_bus_name=event_bus_name,
            event_pattern=json.dumps(pattern),
            opts=self._child,
        )

    def _queue(self, kind: str, **more: pulumi.Input[object]) -> aws.sqs.Queue:
        name = self._args.name if kind == "queue" else f"{self._args.name}-{kind}"
        return aws.sqs.Queue(
            f"{self._name}-{kind}",
            name=name,
            sqs_managed_sse_enabled=True,
            opts=self._child,
            **more,  # type: ignore[arg-type]
        )
