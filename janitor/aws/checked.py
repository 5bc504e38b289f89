"""What safety here takes of botocore for granted, tried at start-up.

An upper bound on its version would age, and who installs it may go past one: a botocore that reads
answers in another way is refused instead. (That of the deployed function is pinned.)
"""

from __future__ import annotations

import functools
import json
import threading
from types import SimpleNamespace
from typing import Any

import boto3
import botocore
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from botocore.config import Config

from janitor.aws.api import Api, Counts, UnavailableError
from janitor.aws.pace import Pace
from janitor.core.clock import SystemClock
from janitor.core.errors import UsageError
from janitor.core.model import Target

_NOWHERE = "http://127.0.0.1:9"  # so that nothing is sent should `before-send` not be asked
_REGION = "us-east-1"
_MANAGED = [{"retentionPolicyName": "of the account"}]
_ANSWERS = {
    "DescribeLogGroups": {"logGroups": _MANAGED},
    "DescribeSubscriptionFilters": {"subscriptionFilters": {}},
}


def check(aws: boto3.Session) -> None:
    """Have answers read that are made here; nothing is sent.

    Raises UsageError unless

    - the services whose answers decide speak JSON, which `janitor.aws.api` looks into;
    - the name of an account-level retention policy is read: models before botocore 1.44.5 (also
      those of `AWS_DATA_PATH`) lack it, and the log group would look as if it never expired;
    - an object where a list of subscription filters belongs is no empty list.
    """
    clock = SystemClock()
    pace = Pace(lambda _operation: 1e6, clock)
    api = Api(Target("", _REGION), _Offline(aws), pace, clock, Counts(), threading.Event())
    for service in ("logs", "cloudwatch", "resourcegroupstaggingapi"):
        protocol = api.client(service).meta.service_model.resolved_protocol
        if protocol != "json":
            raise _refused(f"speaks {protocol} with {service}")
    logs = api.client("logs")
    try:
        answer = api.once("DescribeLogGroups", logs.describe_log_groups)
    except UnavailableError as error:
        raise _refused(f"cannot be tried ({error})") from error
    if answer.get("logGroups") != _MANAGED:
        raise _refused("does not know account-level retention policies")
    try:
        api.once(
            "DescribeSubscriptionFilters", logs.describe_subscription_filters, logGroupName="g"
        )
    except UnavailableError:
        return
    raise _refused("takes garbage for an empty list of subscription filters")


def _refused(what: str) -> UsageError:
    return UsageError(
        f"botocore {botocore.__version__} {what}: not safe to work with; "
        "install boto3==1.44.5, or a newer cloudwatch-janitor"
    )


class _Offline:
    """Makes clients that are answered from `_ANSWERS`."""

    def __init__(self, aws: boto3.Session) -> None:
        self._aws = aws

    def client(self, service: str, region: str, *, config: Config) -> Any:
        unsigned = config.merge(Config(signature_version=UNSIGNED))  # credentials may be missing
        made = self._aws.client(service, region, config=unsigned, endpoint_url=_NOWHERE)
        for operation, answer in _ANSWERS.items():
            made.meta.events.register(
                f"before-send.cloudwatch-logs.{operation}", functools.partial(_answer, answer)
            )
        return made


def _answer(answer: object, request: AWSPreparedRequest, **_more: Any) -> AWSResponse:
    body = json.dumps(answer).encode()
    return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [body]))
