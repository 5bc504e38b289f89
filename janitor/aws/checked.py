"""What safety here takes of botocore for granted, tried at start-up.

An upper bound on its version would age, and who installs it may go past one: a botocore that reads
answers in another way is refused instead. (That of the deployed function is pinned.)
"""

from __future__ import annotations

import functools
import json
from types import SimpleNamespace
from typing import Any

import boto3
import botocore
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.parsers import ResponseParserError

from janitor.aws.api import CLIENT_CONFIG, validating
from janitor.aws.clients import follows, in_region
from janitor.core.errors import UsageError

_NOWHERE = "http://127.0.0.1:9"  # so that nothing is sent should `before-send` not be asked
_REGION = "us-east-1"
_ELSEWHERE = "eu-west-1"
_MANAGED = {"retentionPolicyName": "of the account"}
_ANSWERS = {
    # The null has botocore walk over its model of a log group (`janitor.aws.api`).
    "DescribeLogGroups": {"logGroups": [{**_MANAGED, "kmsKeyId": None}]},
    "DescribeSubscriptionFilters": {"subscriptionFilters": {}},
}


def check(aws: boto3.Session) -> None:
    """Have answers read that are made here; nothing is sent.

    Raises UsageError unless

    - the services whose answers decide speak JSON, which `janitor.aws.api` looks into;
    - the name of an account-level retention policy is read: models before botocore 1.44.5 (also
      those of `AWS_DATA_PATH`) lack it, and the log group would look as if it never expired;
    - an object where a list of subscription filters belongs is no empty list;
    - a client that serves all Regions asks the one that is meant: another has no such owner.
    """
    for service in ("logs", "cloudwatch", "resourcegroupstaggingapi"):
        protocol = _offline(aws, service).meta.service_model.resolved_protocol
        if protocol != "json":
            raise _refused(f"speaks {protocol} with {service}")
    logs = validating(_offline(aws, "logs"))
    try:
        answer = logs.describe_log_groups()
    except BotoCoreError as error:
        raise _refused(f"cannot be tried ({error})") from error
    if answer.get("logGroups") != [_MANAGED]:
        raise _refused("does not know account-level retention policies")
    try:
        logs.describe_subscription_filters(logGroupName="g")
    except ResponseParserError:
        pass
    else:
        raise _refused("reads garbage as an empty list of subscription filters")
    if not _asks_the_region(aws):
        raise _refused("does not send a call to the Region that is asked")


def _asks_the_region(aws: boto3.Session) -> bool:
    """Whether a client that `janitor.aws.clients` takes for one of all Regions is one."""
    own: Any = {"ignore_configured_endpoint_urls": True}
    by_region = CLIENT_CONFIG.merge(Config(**own))
    client: Any = aws.client(
        "logs", _REGION, config=by_region, aws_access_key_id="id", aws_secret_access_key="key"
    )
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **more: Any) -> AWSResponse:
        sent.append(request)
        return _answer({}, request, **more)

    client.meta.events.register("before-send", answer)
    if not follows(client, _REGION):
        return True  # so that there is a client for each Region
    with in_region(_ELSEWHERE):
        client.describe_log_groups()
    signed = str(sent[0].headers["Authorization"])
    return f".{_ELSEWHERE}." in sent[0].url and f"/{_ELSEWHERE}/logs/" in signed


def _refused(what: str) -> UsageError:
    return UsageError(
        f"botocore {botocore.__version__} {what}: not safe to use; "
        "install boto3==1.44.5, or a newer cloudwatch-janitor"
    )


def _offline(aws: boto3.Session, service: str) -> Any:
    """A client that is answered from `_ANSWERS`."""
    unsigned = CLIENT_CONFIG.merge(Config(signature_version=UNSIGNED))  # perhaps no credentials
    made: Any = aws.client(service, _REGION, config=unsigned, endpoint_url=_NOWHERE)
    for operation, answer in _ANSWERS.items():
        made.meta.events.register(
            f"before-send.cloudwatch-logs.{operation}", functools.partial(_answer, answer)
        )
    return made


def _answer(answer: object, request: AWSPreparedRequest, **_more: Any) -> AWSResponse:
    body = json.dumps(answer).encode()
    return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [body]))
