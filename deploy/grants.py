"""Permissions for one AWS service to act on another in the stack's account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws


def service_role(
    resource_name: str,
    *,
    name: str,
    service: str,
    account: str,
    statements: list[Mapping[str, Any]],
    opts: pulumi.ResourceOptions,
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """Return a role that `service` may assume for `account` alone, and the role's policy, on which
    users of the role must depend.
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    role = aws.iam.Role(
        resource_name,
        name=name,
        assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        opts=opts,
    )
    return role, aws.iam.RolePolicy(
        resource_name,
        name="work",
        role=role.name,
        policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements}),
        opts=opts,
    )


def may_send(
    resource_name: str,
    queue: aws.sqs.Queue,
    rule: aws.cloudwatch.EventRule,
    opts: pulumi.ResourceOptions,
) -> aws.sqs.QueuePolicy:
    """Return the queue's policy, which lets that rule alone send to it."""
    statement = {
        "Sid": "TheRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
    }
    return aws.sqs.QueuePolicy(
        resource_name,
        queue_url=queue.url,
        policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": [statement]}),
        opts=opts,
    )
