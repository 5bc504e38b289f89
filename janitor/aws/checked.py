"""Checks at start-up the behaviour of botocore on which safety depends.

An upper bound on its version would age, and users may override one: instead, a botocore that reads
answers differently is refused. (The deployed function's version is pinned.)
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

from janitor.aws.answers import validating
from janitor.aws.api import CLIENT_CONFIG
from janitor.aws.clients import follows, in_region
from janitor.core.errors import UsageError

_NOWHERE = "http://127.0.0.1:9"  # so that nothing is sent if `before-send` is ignored
_REGION = "us-east-1"
_ELSEWHERE = "eu-west-1"
_MANAGED = {"retentionPolicyName": "of the account"}
_ANSWERS = {
    # With a null, the log group is left to botocore's parser (`janitor.aws.api`).
    "DescribeLogGroups": {"logGroups": [{**_MANAGED, "kmsKeyId": None}]},
    "DescribeSubscriptionFilters": {"subscriptionFilters": {}},
}


def check(aws: boto3.Session) -> None:
    """Let botocore read made-up answers; nothing is sent.

    Raises UsageError unless

    - the services whose answers decide use JSON, which `janitor.aws.api` validates;
    - the name of an account-level retention policy is read: models before botocore 1.44.5 (also
      those of `AWS_DATA_PATH`) lack it, and the log group would seem to never expire;
    - an object in place of a list of subscription filters is not read as an empty list;
    - a client for all Regions calls the intended one: the owner may be missing in another.
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
    """Whether a client that `janitor.aws.clients` uses for all Regions calls the intended one."""
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
        return True  # each Region has its own client then
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
    """A client whose calls are answered from `_ANSWERS`."""
    # Unsigned, because there may be no credentials.
    unsigned = CLIENT_CONFIG.merge(Config(signature_version=UNSIGNED))
    made: Any = aws.client(service, _REGION, config=unsigned, endpoint_url=_NOWHERE)
    for operation, answer in _ANSWERS.items():
        made.meta.events.register(
            f"before-send.cloudwatch-logs.{operation}", functools.partial(_answer, answer)
        )
    return made


def _answer(answer: object, request: AWSPreparedRequest, **_more: Any) -> AWSResponse:
    body = json.dumps(answer).encode()
    return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [body]))
