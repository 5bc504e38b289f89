"""An SNS topic of the stack's own, for who is told of runs and of alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class TopicArgs:
    """What is made.

    Attributes:
        name: The topic's name.
        emails: Addresses that are subscribed. Each gets a mail from AWS, and nothing else until
            somebody follows the link in it.
    """

    name: pulumi.Input[str]
    emails: Sequence[str]


class Topic(pulumi.ComponentResource):
    """A topic that the stack's account may publish to.

    It is not encrypted with a key of KMS: CloudWatch's alarms cannot publish to a topic that has
    the key which AWS manages (CloudWatch User Guide). What is published holds no log contents.

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
