"""The stack's own SNS topic, for notifications of runs and for alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class TopicArgs:
    """The arguments of a `Topic`.

    Attributes:
        name: The topic's name.
        emails: Addresses to subscribe. Each has to confirm a mail from AWS first.
    """

    name: pulumi.Input[str]
    emails: Sequence[str]


class Topic(pulumi.ComponentResource):
    """A topic that the stack's account may publish to.

    It is not encrypted with KMS: CloudWatch alarms cannot publish to a topic with the AWS managed
    key (CloudWatch User Guide). What is published holds no log contents.

    Attributes:
        arn: The topic's ARN, known once the topic exists.
    """

    arn: pulumi.Output[str]

    def __init__(
        self, resource_name: str, args: TopicArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Topic", resource_name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(resource_name, name=args.name, opts=child)
        for email in args.emails:
            aws.sns.TopicSubscription(
                f"{resource_name}-{email}",
                topic=topic.arn,
                protocol="email",
                endpoint=email,
                opts=child,
            )
        self.arn = topic.arn
        self.register_outputs({"arn": self.arn})
