"""A Lambda function with its role, its log group, and its destination for failures."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from janitor.aws.regions import partition_of

ARCHITECTURE = "arm64"
LOG_RETENTION_DAYS = 30
WITHOUT_LOOP_DETECTION = ("mx-central-1", "ap-southeast-6")
MAXIMUM_EVENT_AGE_S = 21_600
"""How long an event waits while the function is busy: six hours, Lambda's maximum."""

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class ZipCode:
    """Code in a zip file.

    Attributes:
        archive: The zip file; it is read when the function is declared.
        runtime: A Lambda runtime, such as `python3.13`.
        handler: The handler, such as `janitor.function.handler.handler`.
    """

    archive: Path
    runtime: pulumi.Input[str]
    handler: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ImageCode:
    """Code in a container image.

    Attributes:
        image_uri: `<repository>@<digest>`, which no moving tag affects.
    """

    image_uri: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class LambdaFunctionArgs:
    """The arguments of a `LambdaFunction`.

    Attributes:
        name: Its name, and that of its role.
        log_group: Name of its log group. Not Lambda's `/aws/lambda/<name>`, which an earlier
            function of that name may have left behind: creating it would then fail, as would
            importing it with another retention.
        description: One line for the console.
        code: A zip file or an image.
        memory_mb: Memory in MB; Lambda gives CPU in proportion.
        timeout_s: Seconds after which Lambda ends an invocation, at most 900.
        environment: Environment variables.
        policy: IAM policy document of what the function may do besides writing its log.
        reserved_concurrency: How many invocations may run at a time; None reserves none.
        on_failure: ARN of the SQS queue that takes the events of failed asynchronous invocations.
            With it Lambda retries an event once, without it twice.
        may_invoke_itself: Turns off Lambda's recursive loop detection, which would stop a
            function that invokes itself after about 16 rounds.
    """

    name: pulumi.Input[str]
    log_group: pulumi.Input[str]
    description: pulumi.Input[str]
    code: ZipCode | ImageCode
    memory_mb: pulumi.Input[int]
    timeout_s: pulumi.Input[int]
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    policy: pulumi.Input[Mapping[str, Any]] | None = None
    reserved_concurrency: pulumi.Input[int] | None = None
    on_failure: pulumi.Input[str] | None = None
    may_invoke_itself: bool = False


def detects_loops(region: str) -> bool:
    """Whether Lambda would stop a function that invokes itself, and can be told not to: in the
    commercial Regions but two (Lambda Developer Guide, "Use Lambda recursive loop detection to
    prevent infinite loops"). Elsewhere it may refuse to be told.
    """
    return partition_of(region) == "aws" and region not in WITHOUT_LOOP_DETECTION


class LambdaFunction(pulumi.ComponentResource):
    """A function, its execution role and its log group.

    Attributes:
        name: The function's name, known once the function exists.
        arn: The function's ARN.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        args: LambdaFunctionArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cloudwatch-janitor:index:LambdaFunction", resource_name, None, opts)
        self._resource_name = resource_name
        self._child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            resource_name,
            name=args.name,
            assume_role_policy=json.dumps(TRUST),
            opts=self._child,
        )
        log_group = aws.cloudwatch.LogGroup(
            resource_name,
            name=args.log_group,
            retention_in_days=LOG_RETENTION_DAYS,
            opts=self._child,
        )
        permissions = self._permissions(args, role, log_group)
        function = aws.lambda_.Function(
            resource_name,
            name=args.name,
            description=args.description,
            role=role.arn,
            architectures=[ARCHITECTURE],
            memory_size=args.memory_mb,
            timeout=args.timeout_s,
            environment={"variables": args.environment} if args.environment else None,
            reserved_concurrent_executions=args.reserved_concurrency,
            logging_config={"log_format": "Text", "log_group": log_group.name},
            publish=False,
            **_code(args.code),
            # Log group and permissions must exist before the function, and outlive it.
            opts=self._after(*permissions),
        )
        self._on_failure(args, function, permissions)
        if args.may_invoke_itself:
            aws.lambda_.FunctionRecursionConfig(
                resource_name,
                function_name=function.name,
                recursive_loop="Allow",
                opts=self._child,
            )
        self.name = function.name
        self.arn = function.arn
        self.register_outputs({"name": self.name, "arn": self.arn})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _permissions(
        self, args: LambdaFunctionArgs, role: aws.iam.Role, log_group: aws.cloudwatch.LogGroup
    ) -> list[pulumi.Resource]:
        # Without logs:CreateLogGroup, which AWS's managed policy has: with it the last lines of a
        # function that is being deleted would create its log group anew, without retention.
        writing = ["logs:CreateLogStream", "logs:PutLogEvents"]
        streams = pulumi.Output.concat(log_group.arn, ":*")
        documents = {"logs": _document("WriteLog", writing, streams), "work": args.policy}
        if args.on_failure is not None:
            documents["failures"] = _document(
                "ReportFailures", ["sqs:SendMessage"], args.on_failure
            )
        return [
            aws.iam.RolePolicy(
                f"{self._resource_name}-{name}",
                name=name,
                role=role.name,
                policy=pulumi.Output.json_dumps(document),
                opts=self._child,
            )
            for name, document in documents.items()
            if document is not None
        ]

    def _on_failure(
        self,
        args: LambdaFunctionArgs,
        function: aws.lambda_.Function,
        permissions: list[pulumi.Resource],
    ) -> None:
        if args.on_failure is None:
            return
        aws.lambda_.FunctionEventInvokeConfig(
            self._resource_name,
            function_name=function.name,
            maximum_retry_attempts=1,  # a link that crashed continues from the run's state
            maximum_event_age_in_seconds=MAXIMUM_EVENT_AGE_S,
            destination_config={"on_failure": {"destination": args.on_failure}},
            # Lambda refuses a destination that the role may not send to.
            opts=self._after(*permissions),
        )


def _document(sid: str, actions: list[str], resource: pulumi.Input[str]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _code(code: ZipCode | ImageCode) -> dict[str, Any]:
    match code:
        case ZipCode():
            return {
                "package_type": "Zip",
                "code": pulumi.FileArchive(str(code.archive)),
                # Depends on the bytes alone: the same zip in another checkout is no change.
                "source_code_hash": _sha256(code.archive),
                "runtime": code.runtime,
                "handler": code.handler,
            }
        case ImageCode():
            return {"package_type": "Image", "image_uri": code.image_uri}


def _sha256(path: Path) -> str:
    """Return the base64 of the file's SHA-256, as Lambda writes it."""
    return base64.b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()
