"""Least privilege: what the code calls, what it declares, and what the role may do."""

from __future__ import annotations

import ast
import fnmatch
import importlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from botocore import xform_name
from moto.core import set_initial_no_auth_action_count
from moto.core.config import default_user_config
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.iam.access_control import IAMRequest
from moto.logs.models import logs_backends

from janitor.aws import logs
from janitor.core.errors import JanitorError
from janitor.function.handler import Janitor, RunFailedError
from janitor.function.iam import function_policy, restore_policy, watch_policy
from janitor.function.settings import read_settings
from janitor.policy.file import parse
from janitor.sandbox import ACCOUNT, REGIONS, sandbox
from tests.account import FastClock
from tests.function.test_handler import SCHEDULED, Context

PACKAGE = Path(importlib.import_module("janitor").__file__ or "").parent
PREFIXES = {
    "logs": "logs",
    "cloudwatch": "cloudwatch",
    "resourcegroupstaggingapi": "tag",
    "lambda": "lambda",
    "ec2": "ec2",
    "sts": "sts",
    "sns": "sns",
    "ssm": "ssm",
    "service-quotas": "servicequotas",
    "s3": "s3",
}
OTHER_NAMES = {"lambda:Invoke": "lambda:InvokeFunction", "s3:ListObjectsV2": "s3:ListBucket"}
FREE = {"sts:GetCallerIdentity"}
"""Needs no permission (STS API reference)."""


def methods() -> dict[str, str]:
    """Each method of the clients that are used, and the IAM action of its call.

    Several services have methods like `tag_resource`: here they are the logs'.
    """
    session = botocore.session.Session()
    found: dict[str, str] = {}
    for service, prefix in PREFIXES.items():
        for operation in session.get_service_model(service).operation_names:
            action = f"{prefix}:{operation}"
            found.setdefault(xform_name(operation), OTHER_NAMES.get(action, action))
    return found


MODULES = sorted(
    str(path.relative_to(PACKAGE).with_suffix(""))
    for path in PACKAGE.rglob("*.py")
    if path.stem != "sandbox"
)
METHODS = methods()


def called(module: str) -> set[str]:
    """The IAM actions of the client methods that a module names, as attribute or as text."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {METHODS[name] for name in names | texts if name in METHODS} - FREE


def declared(module: str) -> set[str]:
    """The values of the module's `ACTIONS`."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "ACTIONS":
            return set(ast.literal_eval(node.value).values()) if node.value else set()
    return set()


@pytest.mark.parametrize("module", MODULES)
def test_each_call_has_its_action_beside_it_and_each_action_its_call(module: str) -> None:
    """In every module of the package."""
    assert called(module) == declared(module)


def test_the_modules_with_calls_are_found() -> None:
    """The test above would pass if it found none."""
    assert {module for module in MODULES if declared(module)} == {
        "aws/logs",
        "aws/quotas",
        "aws/tags",
        "aws/targets",
        "function/chain",
        "function/notify",
        "function/settings",
        "function/watch",
        "journal/archive",
        "owners/functions",
    }
    assert "logs:DeleteLogGroup" in called("aws/logs")


# ---- the role, enforced by moto --------------------------------------------------------------

REGION = "eu-west-1"
BUCKET = "journals"
EVERYTHING = """
[defaults]
retention_days = 365
delete_empty = true
sweep_streams = false
proof = "events"
[protect]
tags = ["janitor:keep"]
[limits]
max_group_deletion_share = 1.0
[[rules]]
id = "lambda"
names = ["/aws/lambda/*"]
delete_empty = true
sweep_streams = true
"""
TOPIC = "arn:aws:sns:eu-west-1:123456789012:operations"
DOCUMENT = function_policy(
    parse(EVERYTHING, "everything"),
    account="123456789012",
    partition="aws",
    region=REGION,
    function="cloudwatch-janitor",
    parameter="/janitor/policy",
    notify_topic=TOPIC,
    journal_bucket=BUCKET,
)
ALLOWED = sorted(
    {
        action
        for statement in DOCUMENT["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
)


KEPT = {
    "/aws/lambda/orders-api-v1",
    "/ecs/checkout-blue",
    "/ecs/stack-managed-worker",
    "/legal/hold/2023-audit",
    "/platform/shipped/access-log",
    "/aws/lambda/disaster-recovery",
    "/aws/lambda/events-ingest",
    "/aws/vpc/flow-logs",
}
"""Of the sandbox's groups, enough of each kind."""


MOTO_NAMES = {
    "cloudwatch:GetMetricData": "monitoring:GetMetricData",
    "lambda:InvokeFunction": "lambda:Invoke",
    "tag:GetResources": "tagging:GetResources",
}


def role(actions: Iterable[str]) -> None:
    """Make a role that may do these actions, and become it.

    moto judges actions, but refuses a statement that is scoped to a log group's ARN; the ARNs are
    judged further down. It has names of its own for three actions.
    """
    actions = {MOTO_NAMES.get(action, action) for action in actions}
    iam = boto3.Session().client("iam")
    trust = {"Version": "2012-10-17", "Statement": []}
    name = "cloudwatch-janitor"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}],
    }
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(document))
    sts = boto3.Session().client("sts")
    given = sts.assume_role(RoleArn=made["Role"]["Arn"], RoleSessionName="test")["Credentials"]
    os.environ["AWS_ACCESS_KEY_ID"] = given["AccessKeyId"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = given["SecretAccessKey"]
    os.environ["AWS_SESSION_TOKEN"] = given["SessionToken"]


def become_the_function(actions: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In the sandbox: a small account, the policy in SSM, the function itself, and its role."""
    monkeypatch.setitem(default_user_config["lambda"], "use_docker", False)
    # moto finds boto3's own signature of ListFunctions wrong; signatures are not what is tested.
    monkeypatch.setattr(IAMRequest, "check_signature", lambda _self: None)
    # The sandbox answers DescribeRegions itself, and asks nobody whether it may.
    monkeypatch.setattr("janitor.sandbox._regions", lambda _body: None)
    every = RegionsAndZonesBackend.regions
    enabled = [region for region in every if region.name in REGIONS]
    monkeypatch.setattr(RegionsAndZonesBackend, "regions", enabled)
    for region in REGIONS:
        groups = logs_backends[ACCOUNT][region].groups
        for name in groups.keys() - KEPT:
            del groups[name]
    aws = boto3.Session(region_name=REGION)
    aws.client("ssm").put_parameter(Name="/janitor/policy", Value=EVERYTHING, Type="String")
    aws.client("sns").create_topic(Name="operations")
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("nothing.py", "")
    trust = {"Version": "2012-10-17", "Statement": []}
    executor = aws.client("iam").create_role(
        RoleName="executor", AssumeRolePolicyDocument=json.dumps(trust)
    )
    aws.client("lambda").create_function(
        FunctionName="cloudwatch-janitor",
        Runtime="python3.13",
        Handler="janitor.function.handler.handler",
        Role=executor["Role"]["Arn"],
        Code={"ZipFile": code.getvalue()},
    )
    role(actions)


def two_runs() -> dict[str, Any]:
    """A scheduled run, and one whose time is up at once, which has to invoke the next link."""
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    DEFAULT_PROVIDERS.clear()
    environment = {
        "JANITOR_POLICY_PARAMETER": "/janitor/policy",
        "JANITOR_NOTIFY_TOPIC": TOPIC,
        "JANITOR_JOURNAL_BUCKET": BUCKET,
    }
    clock = FastClock(time.time_ns() // 1_000_000)
    metrics = EphemeralMetrics(namespace="test", service="test")
    aws = boto3.Session(region_name=REGION)
    function = Janitor(read_settings(environment), aws, clock, metrics)
    enforced = set_initial_no_auth_action_count(0)
    answer: dict[str, Any] = enforced(lambda: function.answer(SCHEDULED, Context()))()
    short = enforced(lambda: function.answer(SCHEDULED, Context(10)))()
    assert "resume" in short
    summary: dict[str, Any] = answer["summary"]
    return summary


SPEED_ONLY = {"servicequotas:ListServiceQuotas"}
"""Without it the run goes at the pace of the default quotas; nothing else changes."""


@pytest.mark.parametrize("missing", [None, *ALLOWED])
def test_the_role_may_do_what_it_must_and_nothing_that_it_need_not(
    missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the deployed actions everything is done; without any one of them something is not."""
    with sandbox():
        become_the_function(set(ALLOWED) - {missing}, monkeypatch)
        try:
            done = two_runs()
        except (RunFailedError, JanitorError):
            assert missing is not None
            return
    did = (done["groups_deleted"], done["streams_deleted"], done["retention_set"], done["unknown"])
    everything = (3, 70, 1, 0)
    assert (did == everything) is (missing is None or missing in SPEED_ONLY), did


# ---- the document's ARNs ---------------------------------------------------------------------


def may(document: dict[str, Any], action: str, resource: str) -> bool:
    """What IAM would say: an explicit Deny wins over any Allow."""

    def speaks(statement: dict[str, Any]) -> bool:
        resources = statement["Resource"]
        matches = any(fnmatch.fnmatchcase(resource, pattern) for pattern in resources)
        return action in statement["Action"] and matches

    effects = {s["Effect"] for s in document["Statement"] if speaks(s)}
    return effects == {"Allow"}


def group_arn(name: str, region: str = REGION, account: str = "123456789012") -> str:
    """The resource that IAM judges for a log group's calls."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


CHANGES = ("logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogStream")


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize("end", ["", ":*", ":log-stream:2026/01/01/[1]a"])
def test_changes_are_for_this_account_and_never_for_the_janitors_own_group(
    action: str, end: str
) -> None:
    """In every Region."""
    for region in ("eu-west-1", "us-east-1"):
        assert may(DOCUMENT, action, group_arn("/some/group", region) + end)
        own = group_arn("/aws/lambda/cloudwatch-janitor", region)
        assert not may(DOCUMENT, action, own + end)
    assert not may(DOCUMENT, action, group_arn("/some/group", account="999999999999") + end)
    assert may(DOCUMENT, action, group_arn("/aws/lambda/cloudwatch-janitor-2") + end)


def test_the_function_may_invoke_itself_only() -> None:
    """Whatever else there is in the account."""
    itself = "arn:aws:lambda:eu-west-1:123456789012:function:cloudwatch-janitor"
    assert may(DOCUMENT, "lambda:InvokeFunction", itself)
    assert not may(DOCUMENT, "lambda:InvokeFunction", f"{itself}-watch")


def test_the_function_may_read_its_own_parameter_only() -> None:
    """Parameter names are paths; ARNs have one slash where the name begins with one."""
    parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/janitor/policy"
    assert may(DOCUMENT, "ssm:GetParameter", parameter)
    assert not may(DOCUMENT, "ssm:GetParameter", f"{parameter}2")


def test_the_function_may_publish_to_its_topic_only() -> None:
    """And to none where it has none."""
    assert may(DOCUMENT, "sns:Publish", TOPIC)
    assert not may(DOCUMENT, "sns:Publish", f"{TOPIC}2")
    none = function_policy(
        parse(EVERYTHING, "everything"),
        account="123456789012",
        partition="aws",
        region=REGION,
        function="cloudwatch-janitor",
    )
    assert not may(none, "sns:Publish", TOPIC)


def test_the_function_may_only_add_journals_of_its_account() -> None:
    """Neither read them nor write anything else into the bucket; and nowhere without a bucket."""
    journal = f"arn:aws:s3:::{BUCKET}/journal/123456789012/2026-11-01/run-000.jsonl"
    assert may(DOCUMENT, "s3:PutObject", journal)
    assert not may(DOCUMENT, "s3:PutObject", journal.replace("123456789012", "999999999999"))
    assert not may(DOCUMENT, "s3:PutObject", f"arn:aws:s3:::{BUCKET}/policy.toml")
    assert not may(DOCUMENT, "s3:PutObject", journal.replace(BUCKET, "other"))
    assert not may(DOCUMENT, "s3:GetObject", journal)
    bare = function_policy(
        parse(EVERYTHING, "everything"),
        account="123456789012",
        partition="aws",
        region=REGION,
        function="cloudwatch-janitor",
    )
    assert "s3:" not in json.dumps(bare)


def test_an_undo_may_do_what_it_declares_and_delete_nothing() -> None:
    """The policy of `janitor iam-policy --restore`."""
    document = restore_policy(account="123456789012", journal_bucket=BUCKET)
    for name in (*logs.RESTORING, *logs.COMPARED):
        assert may(document, logs.ACTIONS[name], group_arn("/some/group"))
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert not {a for a in actions if "Delete" in a} - {"logs:DeleteRetentionPolicy"}
    assert may(document, "s3:GetObject", f"arn:aws:s3:::{BUCKET}/journal/1/2026-01-01/a.jsonl")
    assert may(document, "s3:ListBucket", f"arn:aws:s3:::{BUCKET}")
    assert "s3:" not in json.dumps(restore_policy())


def test_only_lists_that_iam_cannot_scope_are_for_every_resource() -> None:
    """`*` is where the service authorization reference names no log group."""
    unscoped = {
        action
        for statement in DOCUMENT["Statement"]
        if statement["Resource"] == ["*"]
        for action in statement["Action"]
    }
    assert unscoped == {
        "cloudwatch:GetMetricData",
        "ec2:DescribeRegions",
        "lambda:ListFunctions",
        "servicequotas:ListServiceQuotas",
        "tag:GetResources",
    }


def test_the_watch_may_only_look() -> None:
    """Two reads."""
    document = watch_policy(account="123456789012", partition="aws", region=REGION)
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert actions == {"cloudwatch:GetMetricData", "logs:DescribeLogGroups"}
