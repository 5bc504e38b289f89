"""Questions about what AWS's documents leave open, each answered in a line for people.

`janitor/sandbox/unknowns.py` has a field for most of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tests.sandbox.contract.backend import Backend, guarded

_EMAIL = ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"]
_PROTECTION = {
    "Name": "contract",
    "Version": "2021-06-01",
    "Statement": [
        {"DataIdentifier": _EMAIL, "Operation": {"Audit": {"FindingsDestination": {}}}},
        {"DataIdentifier": _EMAIL, "Operation": {"Deidentify": {"MaskConfig": {}}}},
    ],
}


Ask = Callable[[Backend], str]
"""Answers a question with a part of an account that nobody has used."""


def _second_page(deleted: Sequence[str], made: Sequence[str] = ()) -> Ask:
    """The second page of six groups, three a page, after some were deleted or made."""

    def ask(backend: Backend) -> str:
        backend.make(*(f"/{number}" for number in range(1, 7)))
        backend.soon(lambda: len(backend.names()), 6)
        asked = {"logGroupNamePrefix": backend.prefix, "limit": 3}
        token = backend["logs"].describe_log_groups(**asked)["nextToken"]
        for name in deleted:
            backend.do("delete_log_group", of=name)
        backend.make(*made)
        backend.soon(lambda: len(backend.names()), 6 - len(deleted) + len(made))
        try:
            page = backend["logs"].describe_log_groups(**asked, nextToken=token)
        except ClientError as error:
            return f"refused with {error.response['Error']['Code']}"
        names = [group["logGroupName"].removeprefix(backend.prefix) for group in page["logGroups"]]
        more = ", and more to come" if "nextToken" in page else ""
        return f"goes on with {' '.join(names)}{more}" if names else f"answers with none{more}"

    return ask


def _by_class(method: str) -> Ask:
    """The answers to a call about groups of classes other than STANDARD."""

    def ask(backend: Backend) -> str:
        meta, answers = backend["logs"].meta, []
        model = meta.service_model.operation_model(meta.method_to_api_mapping[method])
        for log_class in ("INFREQUENT_ACCESS", "DELIVERY"):
            backend.make(f"/{log_class}", logGroupClass=log_class)
            name = backend.name(f"/{log_class}")
            known = {"logGroupName": name, "logGroupIdentifiers": [name], "retentionInDays": 30}
            named = {key: value for key, value in known.items() if key in model.input_shape.members}
            named = named or {"logGroupIdentifier": name}
            code, text = backend.outcome("logs", method, **named)
            answers.append(f"{log_class}: {code} {text}".strip())
        return "; ".join(answers).replace(backend.prefix, "")

    return ask


def delivery_retention(backend: Backend) -> str:
    backend.make("/a", logGroupClass="DELIVERY")
    return f"retentionInDays {backend.entries()[0].get('retentionInDays')}"


def _of_none(method: str) -> Ask:
    def ask(backend: Backend) -> str:
        backend.make("/a")
        try:
            answer = getattr(backend["logs"], method)(logGroupIdentifier=backend.name("/a"))
        except ClientError as error:
            return f"refused with {error.response['Error']['Code']}"
        del answer["ResponseMetadata"]
        return str(answer).replace(backend.prefix, "")

    return ask


def protection_status(backend: Backend) -> str:
    backend.make("/a")
    named = {"logGroupIdentifier": backend.name("/a")}
    found = [backend.entries()[0].get("dataProtectionStatus")]
    backend["logs"].put_data_protection_policy(**named, policyDocument=json.dumps(_PROTECTION))
    found.append(backend.entries()[0].get("dataProtectionStatus"))
    backend["logs"].delete_data_protection_policy(**named)
    found.append(backend.entries()[0].get("dataProtectionStatus"))
    return " → ".join(map(str, found))


def arns_as_identifiers(backend: Backend) -> str:
    backend.make("/a")
    named = {"logGroupIdentifiers": [backend.arn("/a")]}
    return " ".join(backend.outcome("logs", "describe_log_groups", **named)).strip()


def buckets(backend: Backend) -> str:
    """Of the metric of the whole Region, so only if it has traffic."""
    start = datetime.now(UTC).replace(hour=6, minute=30, second=0, microsecond=0)
    metric = {"Namespace": "AWS/Logs", "MetricName": "IncomingLogEvents"}
    query = {"Id": "g0", "MetricStat": {"Metric": metric, "Period": 86_400, "Stat": "Sum"}}
    span = {"StartTime": start - timedelta(days=10), "EndTime": datetime.now(UTC)}
    answer = backend["cloudwatch"].get_metric_data(MetricDataQueries=[query], **span)
    [result] = answer["MetricDataResults"]
    times = sorted({at.astimezone(UTC).strftime("%H:%M") for at in result["Timestamps"]})
    return f"at {' '.join(times)}" if times else "nothing arrived in this Region in ten days"


def index_behind_tags(backend: Backend) -> str:
    backend.make("/a", tags={"contract": "1"})
    asked = {"ResourceARNList": [backend.arn("/a")]}
    answer = backend["resourcegroupstaggingapi"].get_resources(**asked)
    return "already there" if answer["ResourceTagMappingList"] else "not yet there"


def scoped_by_iam(backend: Backend) -> str:
    """With credentials limited to the contract's own groups, which take an IAM user's keys."""
    arn = f"{backend.arn('')}/*"
    allowed = {"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": [arn, f"{arn}:*"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    try:
        keys = backend["sts"].get_federation_token(Name="contract", Policy=policy)["Credentials"]
    except ClientError as error:
        return f"not asked: {error.response['Error']['Code']} for GetFederationToken"
    secrets = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    session = guarded(boto3.Session(*secrets, backend.region), backend.prefix)
    scoped = Backend(backend.kind, session, backend.account, backend.prefix)
    own, _ = scoped.outcome("logs", "describe_log_groups", logGroupNamePrefix=backend.prefix)
    every, _ = scoped.outcome("logs", "describe_log_groups")
    return f"by prefix: {own}; all: {every}"


_CLASSED = """
describe_metric_filters describe_subscription_filters filter_log_events get_data_protection_policy
describe_index_policies get_transformer put_retention_policy delete_retention_policy
"""
QUESTIONS: dict[str, Ask] = {
    "Second page after 1 and 3 of 1 2 3 were deleted": _second_page(["/1", "/3"]),
    "Second page after 1 was deleted": _second_page(["/1"]),
    "Second page after 4, the next, was deleted": _second_page(["/4"]),
    "Second page after 0 was made": _second_page([], ["/0"]),
    **{f"{method} by class": _by_class(method) for method in _CLASSED.split()},
    "Retention of class DELIVERY": delivery_retention,
    "GetDataProtectionPolicy of none": _of_none("get_data_protection_policy"),
    "GetTransformer of none": _of_none("get_transformer"),
    "dataProtectionStatus before, with and after a policy": protection_status,
    "logGroupIdentifiers with an ARN": arns_as_identifiers,
    "Data points by the day, asked for from 06:30 on": buckets,
    "Tags in the tagging API right after a group was made": index_behind_tags,
    "DescribeLogGroups with Resource narrowed by IAM": scoped_by_iam,
}


def answer(ask: Ask, backend: Backend) -> str:
    """The answer, or why there is none."""
    try:
        return ask(backend.part())
    except (BotoCoreError, ClientError, AssertionError) as error:
        return f"could not be asked: {error}"
