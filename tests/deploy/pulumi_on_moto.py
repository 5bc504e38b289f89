"""Pulumi programs without Pulumi's engine: each resource is created on moto, through boto3.

A resource type or an input that is unknown here fails the program.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pulumi
from botocore.validate import validate_parameters
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.stack import run_pulumi_func

PROJECT = "cloudwatch-janitor"
Inputs = dict[str, Any]
Answer = tuple[str, Inputs]


def client(service: str, region: str | None = None) -> Any:
    """The shared client of a service in the Region, by default in that of the environment."""
    return _client(service, region or os.environ["AWS_DEFAULT_REGION"])


@functools.cache
def _client(service: str, region: str) -> Any:
    """A cached client: creating one takes longer than most tests that use it."""
    return boto3.client(service, region)


@dataclass(frozen=True)
class Made:
    """A resource as the program declared it: `id` is AWS's, `after` are its dependencies (type and
    name), `deleted_with` is the resource whose deletion also deletes it. One to be replaced is
    `deleted_first`, or once the new one exists.
    """

    type: str
    name: str
    id: str
    inputs: Inputs
    after: frozenset[tuple[str, str]]
    deleted_with: tuple[str, str] | None
    kept_on_destroy: bool
    deleted_first: bool


async def _run(
    program: Callable[[], object], config: Mapping[str, str], account: Account, *, preview: bool
) -> dict[str, Any]:
    pulumi.runtime.set_all_config(dict(config))
    monitor = _Monitor(account)
    pulumi.runtime.set_mocks(account, PROJECT, "test", preview=preview, monitor=monitor)

    def run() -> None:
        program()

    # The first error is raised; the same error in everything that waited for it is not retrieved.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    try:
        await run_pulumi_func(run)
    finally:  # the next program must not wait for the outputs of one that failed
        pulumi.runtime.settings.SETTINGS.outputs.clear()
    stack = pulumi.runtime.get_root_resource()
    assert stack is not None
    outputs = dict(stack.outputs)  # type: ignore[attr-defined]  # a Stack is not exported
    return await pulumi.Output.from_input(outputs).future() or {}


class _Monitor(MockMonitor):
    """Records what Pulumi's own mocks do not: dependencies, and what survives a destroy."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.account = account

    def RegisterResource(self, request: Any) -> Any:
        note = {
            "after": frozenset(map(_type_and_name, request.dependencies)),
            "deleted_with": _type_and_name(request.deletedWith) if request.deletedWith else None,
            "kept_on_destroy": request.protect or request.retainOnDelete,
            "deleted_first": request.deleteBeforeReplace,
        }
        with self.account.lock:
            self.account.notes[request.type, request.name] = note
        with _event_loop():
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any) -> Any:
        with _event_loop():
            return super().Invoke(request)  # type: ignore[no-untyped-call]


def _type_and_name(urn: str) -> tuple[str, str]:
    return urn.split("::")[2].split("$")[-1], urn.split("::")[3]


@contextmanager
def _event_loop() -> Iterator[None]:
    """An event loop for Pulumi's mocks, which need one in each worker thread and leak their own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@dataclass
class Account(Mocks):
    """The account of the active moto; `made` is in the order of creation. In a preview nothing is
    created, and no output is known.
    """

    preview: bool = False
    made: list[Made] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    notes: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def up(self, program: Callable[[], object], config: Mapping[str, str]) -> None:
        """Run `program` with `config`, texts by full key."""
        # asyncio.run has a context of its own, so Pulumi's runtime starts fresh each time.
        self.outputs = asyncio.run(_run(program, config, self, preview=self.preview))

    @property
    def inputs(self) -> dict[tuple[str, str], Inputs]:
        """The inputs of each resource, by type and name."""
        return {(made.type, made.name): made.inputs for made in self.made}

    def of(self, type_: str) -> list[Made]:
        return [made for made in self.made if made.type == type_]

    def the(self, type_: str, name: str) -> Made:
        (made,) = [made for made in self.of(type_) if made.name == name]
        return made

    def new_resource(self, args: MockResourceArgs) -> Answer:
        with self.lock:
            if args.typ.startswith(f"{PROJECT}:"):  # a component
                assert not args.custom
                return args.name, {}
            inputs = _plain(args.inputs)
            unused = dict(inputs)
            make = _preview if self.preview else _MAKERS[args.typ]
            id_, outputs = make(self, unused)
            assert not unused, f"{args.typ} {args.name}: unknown inputs: {unused}"
            note = self.notes[args.typ, args.name]
            self.made.append(Made(args.typ, args.name, id_, inputs, **note))
            return id_, {**inputs, **outputs}

    def call(self, args: MockCallArgs) -> Inputs:  # type: ignore[override]
        with self.lock:
            return _CALLS[args.token](self, args.args)

    # One method for each type of resource, which pops all `inputs`.

    def role(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        role = client("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=inputs.pop("assumeRolePolicy"),
            Tags=_pairs(inputs),
        )["Role"]
        return name, {"arn": role["Arn"]}

    def role_policy(self, inputs: Inputs) -> Answer:
        role, name = inputs.pop("role"), inputs.pop("name")
        client("iam").put_role_policy(
            RoleName=role, PolicyName=name, PolicyDocument=inputs.pop("policy")
        )
        return f"{role}:{name}", {}

    def log_group(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        client("logs").create_log_group(logGroupName=name, tags=inputs.pop("tags", {}))
        client("logs").put_retention_policy(
            logGroupName=name, retentionInDays=inputs.pop("retentionInDays")
        )
        groups = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        (arn,) = [group["arn"] for group in groups if group["logGroupName"] == name]
        return name, {"arn": arn.removesuffix(":*")}

    def function(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        logging = inputs.pop("loggingConfig")
        request = {
            "FunctionName": name,
            "Description": inputs.pop("description"),
            "Role": inputs.pop("role"),
            "Architectures": inputs.pop("architectures"),
            "MemorySize": inputs.pop("memorySize"),
            "Timeout": inputs.pop("timeout"),
            "Environment": {"Variables": inputs.pop("environment", {}).get("variables", {})},
            "LoggingConfig": {"LogFormat": logging["logFormat"], "LogGroup": logging["logGroup"]},
            "Publish": inputs.pop("publish"),
            "Tags": inputs.pop("tags", {}),
            "PackageType": inputs.pop("packageType"),
        }
        if request["PackageType"] == "Zip":
            request["Code"] = {"ZipFile": Path(inputs.pop("code").path).read_bytes()}
            request |= {"Runtime": inputs.pop("runtime"), "Handler": inputs.pop("handler")}
        else:
            request["Code"] = {"ImageUri": inputs.pop("imageUri")}
        answer = client("lambda").create_function(**request)
        if request["PackageType"] == "Zip":
            assert inputs.pop("sourceCodeHash") == answer["CodeSha256"]
        reserved = inputs.pop("reservedConcurrentExecutions", None)
        if reserved is not None:
            client("lambda").put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=reserved
            )
        return name, {"arn": answer["FunctionArn"]}

    def permission(self, inputs: Inputs) -> Answer:
        function, statement = inputs.pop("function"), inputs.pop("statementId")
        client("lambda").add_permission(
            FunctionName=function,
            StatementId=statement,
            Action=inputs.pop("action"),
            Principal=inputs.pop("principal"),
            SourceArn=inputs.pop("sourceArn"),
        )
        return f"{function}/{statement}", {}

    def invoke_config(self, inputs: Inputs) -> Answer:
        name = inputs.pop("functionName")
        destination = inputs.pop("destinationConfig")["onFailure"]["destination"]
        client("lambda").put_function_event_invoke_config(
            FunctionName=name,
            MaximumRetryAttempts=inputs.pop("maximumRetryAttempts"),
            MaximumEventAgeInSeconds=inputs.pop("maximumEventAgeInSeconds"),
            DestinationConfig={"OnFailure": {"Destination": destination}},
        )
        return name, {}

    def recursion_config(self, inputs: Inputs) -> Answer:
        """Moto does not have it: tests read the inputs."""
        name = inputs.pop("functionName")
        client("lambda").get_function(FunctionName=name)
        inputs.pop("recursiveLoop")
        return name, {}

    def bus(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        arn = client("events").create_event_bus(Name=name, Tags=_pairs(inputs))["EventBusArn"]
        return name, {"arn": arn}

    def rule(self, inputs: Inputs) -> Answer:
        name, region = inputs.pop("name"), inputs.pop("region", None)
        optional = {
            "ScheduleExpression": inputs.pop("scheduleExpression", None),
            "EventPattern": inputs.pop("eventPattern", None),
            "EventBusName": inputs.pop("eventBusName", None),
        }
        arn = client("events", region).put_rule(
            Name=name,
            Description=inputs.pop("description"),
            Tags=_pairs(inputs),
            **{key: value for key, value in optional.items() if value is not None},
        )["RuleArn"]
        return name, {"arn": arn}

    def target(self, inputs: Inputs) -> Answer:
        rule, arn = inputs.pop("rule"), inputs.pop("arn")
        region, bus = inputs.pop("region", None), inputs.pop("eventBusName", None)
        target: dict[str, Any] = {"Id": "target", "Arn": arn}
        if (role := inputs.pop("roleArn", None)) is not None:
            target["RoleArn"] = role
        if (queue := inputs.pop("deadLetterConfig", None)) is not None:
            target["DeadLetterConfig"] = {"Arn": queue["arn"]}
        if (transformer := inputs.pop("inputTransformer", None)) is not None:
            target["InputTransformer"] = {
                "InputPathsMap": transformer["inputPaths"],
                "InputTemplate": transformer["inputTemplate"],
            }
        answer = client("events", region).put_targets(
            Rule=rule, Targets=[target], **({"EventBusName": bus} if bus else {})
        )
        assert answer["FailedEntryCount"] == 0
        return f"{rule}-target", {}

    def queue(self, inputs: Inputs) -> Answer:
        attributes = {
            "MessageRetentionPeriod": inputs.pop("messageRetentionSeconds"),
            "SqsManagedSseEnabled": str(inputs.pop("sqsManagedSseEnabled")).lower(),
            "DelaySeconds": inputs.pop("delaySeconds", None),
            "VisibilityTimeout": inputs.pop("visibilityTimeoutSeconds", None),
            "RedrivePolicy": inputs.pop("redrivePolicy", None),
        }
        url = client("sqs").create_queue(
            QueueName=inputs.pop("name"),
            Attributes={key: str(value) for key, value in attributes.items() if value is not None},
            tags=inputs.pop("tags", {}),
        )["QueueUrl"]
        answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, {"arn": answer["Attributes"]["QueueArn"], "url": url}

    def queue_policy(self, inputs: Inputs) -> Answer:
        url = inputs.pop("queueUrl")
        client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": inputs.pop("policy")}
        )
        return url, {}

    def event_source(self, inputs: Inputs) -> Answer:
        inputs.pop("functionResponseTypes")  # moto has neither: tests read the inputs
        inputs.pop("scalingConfig")
        answer = client("lambda").create_event_source_mapping(
            EventSourceArn=inputs.pop("eventSourceArn"),
            FunctionName=inputs.pop("functionName"),
            BatchSize=inputs.pop("batchSize"),
            MaximumBatchingWindowInSeconds=inputs.pop("maximumBatchingWindowInSeconds"),
        )
        inputs.pop("tags", None)
        return answer["UUID"], {}

    def repository(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        inputs.pop("forceDelete")  # only for its deletion
        repository = client("ecr").create_repository(
            repositoryName=name,
            imageTagMutability=inputs.pop("imageTagMutability"),
            imageScanningConfiguration={
                "scanOnPush": inputs.pop("imageScanningConfiguration")["scanOnPush"]
            },
            tags=_pairs(inputs),
        )["repository"]
        return name, {
            "repositoryUrl": repository["repositoryUri"],
            "registryId": repository["registryId"],
        }

    def lifecycle_policy(self, inputs: Inputs) -> Answer:
        name = inputs.pop("repository")
        client("ecr").put_lifecycle_policy(
            repositoryName=name, lifecyclePolicyText=inputs.pop("policy")
        )
        return name, {}

    def image(self, inputs: Inputs) -> Answer:
        """Push an image whose only layer is the Dockerfile: nothing is built."""
        layer = (Path(inputs.pop("context")["location"]) / "Dockerfile").read_bytes()
        (platform,) = inputs.pop("platforms")
        (tag,) = inputs.pop("tags")
        (login,) = inputs.pop("registries")
        assert inputs.pop("push")
        inputs.pop("buildOnPreview")
        assert inputs.pop("network") == "default"  # added by the SDK
        repository, tag = tag.rsplit(":", 1)
        assert (login["address"], login["username"]) == (repository, "AWS")
        assert login["password"]
        pushed = client("ecr").put_image(
            repositoryName=repository.rsplit("/", 1)[1],
            imageManifest=json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    "platform": platform,
                    "config": {"digest": _digest(platform.encode()), "size": len(platform)},
                    "layers": [{"digest": _digest(layer)}],
                }
            ),
            imageTag=tag,
        )
        digest = pushed["image"]["imageId"]["imageDigest"]
        return digest, {"digest": digest}

    def alarm(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        renamed = {_upper(key): inputs.pop(key) for key in list(inputs) if key != "tags"}
        dimensions = renamed.pop("Dimensions").items()
        renamed["Dimensions"] = [{"Name": key, "Value": value} for key, value in dimensions]
        client("cloudwatch").put_metric_alarm(AlarmName=name, Tags=_pairs(inputs), **renamed)
        (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
        return name, {"arn": alarm["AlarmArn"]}

    def dashboard(self, inputs: Inputs) -> Answer:
        name = inputs.pop("dashboardName")
        body = inputs.pop("dashboardBody")
        client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)
        return name, {}

    def topic(self, inputs: Inputs) -> Answer:
        name = inputs.pop("name")
        arn = client("sns").create_topic(Name=name, Tags=_pairs(inputs))["TopicArn"]
        return arn, {"arn": arn}

    def subscription(self, inputs: Inputs) -> Answer:
        arn = client("sns").subscribe(
            TopicArn=inputs.pop("topic"),
            Protocol=inputs.pop("protocol"),
            Endpoint=inputs.pop("endpoint"),
        )["SubscriptionArn"]
        return arn, {}

    def bucket(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        inputs.pop("forceDestroy")  # only for its deletion
        region = client("s3").meta.region_name
        client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": region}
        )
        if tags := _pairs(inputs):
            client("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
        return name, {}

    def access_block(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        blocks = {_upper(key): inputs.pop(key) for key in list(inputs)}
        client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocks)
        return name, {}

    def ownership(self, inputs: Inputs) -> Answer:
        name, rule = inputs.pop("bucket"), inputs.pop("rule")
        client("s3").put_bucket_ownership_controls(
            Bucket=name, OwnershipControls={"Rules": [_upper_keys(rule)]}
        )
        return name, {}

    def encryption(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        defaults = [each["applyServerSideEncryptionByDefault"] for each in inputs.pop("rules")]
        rules = [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": each["sseAlgorithm"]}}
            for each in defaults
        ]
        client("s3").put_bucket_encryption(
            Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules}
        )
        return name, {}

    def versioning(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        client("s3").put_bucket_versioning(
            Bucket=name, VersioningConfiguration=_upper_keys(inputs.pop("versioningConfiguration"))
        )
        return name, {}

    def lifecycle(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        rules = [{**_upper_keys(rule), "ID": rule["id"]} for rule in inputs.pop("rules")]
        for rule in rules:
            del rule["Id"]
        client("s3").put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": rules}
        )
        return name, {}

    def bucket_policy(self, inputs: Inputs) -> Answer:
        name = inputs.pop("bucket")
        client("s3").put_bucket_policy(Bucket=name, Policy=inputs.pop("policy"))
        return name, {}

    def state_machine(self, inputs: Inputs) -> Answer:
        arn = client("stepfunctions").create_state_machine(
            name=inputs.pop("name"),
            definition=inputs.pop("definition"),
            roleArn=inputs.pop("roleArn"),
            type=inputs.pop("type"),
            tags=[{"key": key, "value": value} for key, value in inputs.pop("tags", {}).items()],
        )["stateMachineArn"]
        return arn, {"arn": arn}

    def stack_set(self, inputs: Inputs) -> Answer:
        """Only validate the request: moto's CloudFormation needs many more packages."""
        name, automatic = inputs.pop("name"), inputs.pop("autoDeployment")
        inputs.pop("operationPreferences")  # only for its update
        request = {"StackSetName": name, "AutoDeployment": {}, "Tags": _pairs(inputs)}
        for key in ("enabled", "retainStacksOnAccountRemoval"):
            request["AutoDeployment"][_upper(key)] = automatic[key]
        for key in ("description", "templateBody", "permissionModel", "callAs", "capabilities"):
            request[_upper(key)] = inputs.pop(key)
        _validate("CreateStackSet", request)
        return name, {}

    def stack_instances(self, inputs: Inputs) -> Answer:
        """Only validate the request, like that of the StackSet."""
        name, targets = inputs.pop("stackSetName"), inputs.pop("deploymentTargets")
        request = {
            "StackSetName": name,
            "CallAs": inputs.pop("callAs"),
            "DeploymentTargets": {"OrganizationalUnitIds": targets["organizationalUnitIds"]},
            "Regions": inputs.pop("regions"),
            "OperationPreferences": _upper_keys(inputs.pop("operationPreferences")),
        }
        _validate("CreateStackInstances", request)
        return name, {}

    # The program's reads.

    def get_caller_identity(self, _: Inputs) -> Inputs:
        return {"accountId": client("sts").get_caller_identity()["Account"]}

    def get_region(self, _: Inputs) -> Inputs:
        return {"region": client("lambda").meta.region_name}

    def get_regions(self, _: Inputs) -> Inputs:
        regions = client("ec2").describe_regions()["Regions"]
        return {"names": [region["RegionName"] for region in regions]}

    def get_partition(self, _: Inputs) -> Inputs:
        return {"partition": client("lambda").meta.partition}

    def get_organization(self, _: Inputs) -> Inputs:
        organizations = client("organizations")
        found = organizations.describe_organization()["Organization"]
        roots = [{"id": root["Id"]} for root in organizations.list_roots()["Roots"]]
        return {"id": found["Id"], "masterAccountId": found["MasterAccountId"], "roots": roots}

    def get_authorization_token(self, arguments: Inputs) -> Inputs:
        (data,) = client("ecr").get_authorization_token(registryIds=[arguments["registryId"]])[
            "authorizationData"
        ]
        return {"userName": "AWS", "password": data["authorizationToken"]}


def _preview(_account: Account, inputs: Inputs) -> Answer:
    """Create nothing: there is neither an id nor an output yet."""
    inputs.clear()
    return "", {}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _plain(value: Any) -> Any:
    """Undo Pulumi's encoding of numbers as floats and of secrets in an envelope."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict() if rpc.is_rpc_secret(value):
            return _plain(rpc.unwrap_rpc_secret(value))
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value


def _upper(key: str) -> str:
    """The key in AWS's spelling."""
    return key[0].upper() + key[1:]


def _upper_keys(value: Any) -> Any:
    """The value with all keys in AWS's spelling."""
    if not isinstance(value, dict):
        return value
    return {_upper(key): _upper_keys(item) for key, item in value.items()}


def _validate(operation: str, request: Inputs) -> None:
    """Check the form of a request to CloudFormation by botocore's model."""
    model = client("cloudformation").meta.service_model.operation_model(operation)
    validate_parameters(request, model.input_shape)


def _pairs(inputs: Inputs) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in inputs.pop("tags", {}).items()]


_MAKERS: dict[str, Callable[[Account, Inputs], Answer]] = {
    "aws:iam/role:Role": Account.role,
    "aws:iam/rolePolicy:RolePolicy": Account.role_policy,
    "aws:cloudwatch/logGroup:LogGroup": Account.log_group,
    "aws:lambda/function:Function": Account.function,
    "aws:lambda/permission:Permission": Account.permission,
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Account.invoke_config,
    "aws:lambda/functionRecursionConfig:FunctionRecursionConfig": Account.recursion_config,
    "aws:cloudwatch/eventRule:EventRule": Account.rule,
    "aws:cloudwatch/eventBus:EventBus": Account.bus,
    "aws:cloudwatch/eventTarget:EventTarget": Account.target,
    "aws:lambda/eventSourceMapping:EventSourceMapping": Account.event_source,
    "aws:sqs/queuePolicy:QueuePolicy": Account.queue_policy,
    "aws:sqs/queue:Queue": Account.queue,
    "aws:ecr/repository:Repository": Account.repository,
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": Account.lifecycle_policy,
    "aws:cloudwatch/metricAlarm:MetricAlarm": Account.alarm,
    "aws:cloudwatch/dashboard:Dashboard": Account.dashboard,
    "aws:sns/topic:Topic": Account.topic,
    "aws:sns/topicSubscription:TopicSubscription": Account.subscription,
    "aws:s3/bucket:Bucket": Account.bucket,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Account.access_block,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Account.ownership,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        Account.encryption
    ),
    "aws:s3/bucketVersioning:BucketVersioning": Account.versioning,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Account.lifecycle,
    "aws:s3/bucketPolicy:BucketPolicy": Account.bucket_policy,
    "aws:sfn/stateMachine:StateMachine": Account.state_machine,
    "aws:cloudformation/stackSet:StackSet": Account.stack_set,
    "aws:cloudformation/stackInstances:StackInstances": Account.stack_instances,
    "docker-build:index:Image": Account.image,
}

_CALLS: dict[str, Callable[[Account, Inputs], Inputs]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": Account.get_caller_identity,
    "aws:index/getRegion:getRegion": Account.get_region,
    "aws:index/getRegions:getRegions": Account.get_regions,
    "aws:index/getPartition:getPartition": Account.get_partition,
    "aws:organizations/getOrganization:getOrganization": Account.get_organization,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": Account.get_authorization_token,
}
