"""News of log groups that are just made, from each Region to one function."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from deploy.alarms import DAY_S, GIVEN_UP, NAMESPACE, at_least_one
from deploy.grants import may_send, service_role

DEAF = "Deaf"
"""What the watch publishes once a day: 1 where no news of new log groups can come, else 0."""

WAIT_S = 900
"""15 minutes, the most that SQS delays a message: whoever made a log group sets its retention
first."""

BATCH = 5
TIMEOUT_S = 300
"""For five log groups: each takes up to four looks at its tags, at a quarter of a call a second
(`janitor.engine.new_groups.SHARE`), and two minutes are kept for the end."""

ATTEMPTS = 5
MADE = {
    "source": ["aws.logs"],
    "detail-type": ["AWS API Call via CloudTrail"],
    "detail": {
        "eventSource": ["logs.amazonaws.com"],
        "eventName": ["CreateLogGroup"],
        # Agents make groups that exist over and over, which is an error each time.
        "errorCode": [{"exists": False}],
    },
}
"""The events. Nobody can send one of a source that begins with `aws.` (PutEvents)."""


@dataclass(frozen=True, kw_only=True)
class NewGroupsArgs:
    """What is connected.

    Attributes:
        name: What everything is called.
        account: The account.
        partition: Its AWS partition, as ARNs name it.
        region: The stack's Region, where the bus, the queues and the function are.
        regions: The Regions whose log groups are told of.
        function_arn: ARN of the function that takes the messages.
        watch_name: Name of the function that says once a day whether news can come.
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
    """A rule in each Region, a bus, a rule of it, a queue that waits, and the function behind it;
    what it cannot do with is kept in another queue, which has an alarm.

    EventBridge sends to queues of its own Region only, hence the bus. What a rule cannot send
    there within 24 hours is lost, and left to the scheduled run.

    Attributes:
        failures: URL of the queue of what was given up.
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
            visibility_timeout_seconds=6 * TIMEOUT_S,  # as Lambda's guide has it for SQS
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
            scaling_config={"maximum_concurrency": 2},  # the least that Lambda takes
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
                missing="ignore",  # SQS is silent on a queue that nobody used for six hours
                topic=args.topic,
                opts=self._child,
            ).name,
            at_least_one(
                f"{resource_name}-deaf",
                name=f"{args.name}-deaf",
                description="In some Region no CloudTrail trail logs management events, so that no "
                "new log group there is heard of; the watch's log names the Regions. Until the "
                "watch has reported once, which takes up to a day, this is in ALARM too.",
                namespace=NAMESPACE,
                metric=DEAF,
                dimensions={"service": args.watch_name},
                period=DAY_S,
                missing="breaching",  # nobody watches: that must not look like health
                topic=args.topic,
                opts=self._child,
            ).name,
        ]
        self.register_outputs({"failures": self.failures, "alarms": self.alarms})

    def _bus(self, queue: aws.sqs.Queue, failures: aws.sqs.Queue) -> None:
        """The way from each Region's own bus to the queue."""
        args, child = self._args, self._child
        bus = aws.cloudwatch.EventBus(self._name, name=args.name, opts=child)
        tell = {
            "Sid": "TellTheBus",
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": bus.arn,
        }
        role, may_tell = service_role(
            f"{self._name}-events",
            name=f"{args.name}-events",
            service="events.amazonaws.com",
            account=args.account,
            statements=[tell],
            opts=child,
        )
        home = self._rule("home", f"To {args.name}.", event_bus_name=bus.name)
        sending = [
            may_send(f"{self._name}-{kind}", receiver, home, child)
            for kind, receiver in (("queue", queue), ("failures", failures))
        ]
        aws.cloudwatch.EventTarget(
            f"{self._name}-home",
            rule=home.name,
            event_bus_name=bus.name,
            arn=queue.arn,
            dead_letter_config={"arn": failures.arn},
            # Without the permission, what the rule sends would be refused.
            opts=pulumi.ResourceOptions(parent=self, depends_on=sending),
        )
        for region in args.regions:
            rule = self._rule(region, "Reports new log groups.", region=region)
            aws.cloudwatch.EventTarget(
                f"{self._name}-{region}",
                region=region,
                rule=rule.name,
                arn=bus.arn,
                role_arn=role.arn,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[may_tell]),
            )

    def _rule(
        self,
        name: str,
        description: str,
        *,
        region: str | None = None,
        event_bus_name: pulumi.Input[str] | None = None,
    ) -> aws.cloudwatch.EventRule:
        pattern = {**MADE, "account": [self._args.account]}
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
