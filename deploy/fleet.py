"""The fleet: a state machine in which one function surveys and cleans many accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from deploy.alarms import DAY_S, FAILED, NAMESPACE, at_least_one, overdue_alarm
from deploy.grants import may_send, service_role
from janitor.function.iam import state_machine_policy

INVOCATION_S = 960
"""More than Lambda's 900 s: a function that has not answered by then never will."""

RUN_S = 2 * DAY_S
"""An execution that takes longer hangs: after 20 hours (`JANITOR_MAX_HOURS`) a run starts nothing
more, and its remaining targets fail at once."""

BUSY = (
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
)
"""Lambda's own transient errors (Step Functions Developer Guide, "Handle transient Lambda service
exceptions")."""


_STOPPED = (
    "A run of the fleet stopped early, or without its report: the execution's page in "
    "Step Functions says where and why."
)
_FAILED = (
    "A run of the fleet ended, but in some account something failed, was not reached, or was "
    "refused by a limit: its report in the bucket says what."
)

RETRY_S, LONGEST_RETRY_S = 2, 120
"""Seconds before a retry of a busy Lambda or a crashed function: at first, and at most."""


def definition(function: str, *, partition: str, concurrency: int) -> dict[str, Any]:
    """Return the state machine in Amazon States Language (JSONPath).

    Its input is `{"dry_run": bool, "run": id}`, both optional; the id defaults to the execution's
    name. It keeps only the part of an answer that decides what is next, and nothing of a target's:
    a state holds at most 256 KiB (Step Functions quotas), which 17,000 answers would fill.

    Args:
        function: ARN of the fleet's function.
        partition: The AWS partition, as in ARNs.
        concurrency: How many targets are worked on at once.
    """

    def task(step: str, **more: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload": {"run.$": "$.run", "pass": step}},
            "TimeoutSeconds": INVOCATION_S,
            "Retry": _retries(),
            **more,
        }

    def targets(step: Literal["survey", "act"], following: str) -> dict[str, Any]:
        prefix = step.capitalize()
        event = {"run.$": "$.run", "pass": step, "role.$": "$.role", "region.$": "$.region"}
        return {
            "Type": "Map",
            "Label": step,
            "ItemReader": {
                "Resource": f"arn:{partition}:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket.$": "$.targets.bucket", "Key.$": "$.targets.key"},
            },
            "ItemSelector": {
                "run.$": "$.run",
                "role.$": "$$.Map.Item.Value.role",
                "region.$": "$$.Map.Item.Value.region",
            },
            "MaxConcurrency": concurrency,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": f"{prefix}Target",
                "States": {
                    f"{prefix}Target": task(
                        step,
                        Parameters={"FunctionName": function, "Payload": event},
                        ResultSelector={"complete.$": "$.Payload.complete"},
                        ResultPath="$.answer",
                        Next=f"{prefix}Complete",
                        # The report finds in the bucket that the target did not complete.
                        Catch=[_catch(f"{prefix}Ended", None)],
                    ),
                    f"{prefix}Complete": {
                        "Type": "Choice",
                        "Choices": [
                            {
                                "Variable": "$.answer.complete",
                                "BooleanEquals": True,
                                "Next": f"{prefix}Ended",
                            }
                        ],
                        "Default": f"{prefix}Target",
                    },
                    f"{prefix}Ended": {"Type": "Pass", "Result": 0, "End": True},
                },
            },
            "ResultPath": None,
            "Next": following,
            "Catch": [_catch("Report", "$.broken")],
        }

    return {
        "Comment": "Surveys all targets, checks the limits over all of them, acts, and reports.",
        "StartAt": "Begin",
        "TimeoutSeconds": RUN_S,
        "States": {
            "Begin": {
                "Type": "Pass",
                "Result": "targets",
                "ResultPath": "$.pass",
                "Next": "Named",
            },
            "Named": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.run", "IsPresent": True, "Next": "Targets"}],
                "Default": "Name",
            },
            "Name": {
                "Type": "Pass",
                "InputPath": "$$.Execution.Name",
                "ResultPath": "$.run",
                "Next": "Targets",
            },
            "Targets": task(
                "targets",
                # The whole input, so that the function refuses unknown keys.
                Parameters={"FunctionName": function, "Payload.$": "$"},
                ResultSelector={
                    "bucket.$": "$.Payload.bucket",
                    "key.$": "$.Payload.key",
                    "count.$": "$.Payload.targets",
                    "dry_run.$": "$.Payload.dry_run",
                },
                ResultPath="$.targets",
                Next="Any",
            ),
            "Any": {
                "Type": "Choice",
                # How a map treats an empty list in a bucket is not documented.
                "Choices": [
                    {"Variable": "$.targets.count", "NumericGreaterThan": 0, "Next": "Survey"}
                ],
                "Default": "Report",
            },
            "Survey": targets("survey", "Limits"),
            "Limits": task(
                "limits",
                ResultSelector={"act.$": "$.Payload.act"},
                ResultPath="$.limits",
                Next="Allowed",
                Catch=[_catch("Report", "$.broken")],
            ),
            "Allowed": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [
                            {"Variable": "$.targets.dry_run", "BooleanEquals": False},
                            {"Variable": "$.limits.act", "BooleanEquals": True},
                        ],
                        "Next": "Act",
                    }
                ],
                "Default": "Report",
            },
            "Act": targets("act", "Report"),
            "Report": task(
                "report",
                ResultSelector={
                    "key.$": "$.Payload.key",
                    "html.$": "$.Payload.html",
                    "summary.$": "$.Payload.summary",
                },
                ResultPath="$.report",
                Next="Whole",
            ),
            "Whole": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.broken", "IsPresent": True, "Next": "Broken"}],
                "Default": "Reported",
            },
            "Broken": {
                "Type": "Fail",
                "ErrorPath": "$.broken.Error",
                "CausePath": "$.broken.Cause",
            },
            "Reported": {"Type": "Pass", "InputPath": "$.report", "End": True},
        },
    }


def _retries() -> list[dict[str, Any]]:
    """Return the retries: a busy Lambda for some minutes, a crashed function twice, as it continues
    from what it has written. An invocation claims its target until it ends or, if it dies, for at
    most 15 minutes; only that target waits for the claim.
    """
    backoff = {"IntervalSeconds": RETRY_S, "BackoffRate": 2, "JitterStrategy": "FULL"}
    claimed = {"IntervalSeconds": 60, "BackoffRate": 1, "MaxAttempts": 16}
    busy = {"MaxAttempts": 10, "MaxDelaySeconds": LONGEST_RETRY_S, **backoff}
    return [
        {"ErrorEquals": list(BUSY), **busy},
        {"ErrorEquals": ["BusyError"], **claimed},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, **backoff},
    ]


def _catch(following: str, result: str | None) -> dict[str, Any]:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": result, "Next": following}


@dataclass(frozen=True, kw_only=True)
class FleetArgs:
    """The arguments of a `Fleet`.

    Attributes:
        name: The name of everything, the fleet's function included.
        account: The account's id.
        partition: Its AWS partition, as in ARNs.
        region: The stack's Region.
        bucket: Name of the bucket that holds the targets.
        concurrency: How many targets are worked on at once.
        schedule: `cron(…)` or `rate(…)`, in UTC.
        dry_run: Whether a scheduled run only surveys.
        function: The fleet's function, on which the state machine depends.
        failures: The queue that takes the events that could start nothing.
        watch_name: Name of the function that checks once a day whether a complete run is overdue.
        topic: ARN of an SNS topic in the same Region; None: the alarms only show in CloudWatch.
    """

    name: str
    account: str
    partition: str
    region: str
    bucket: str
    concurrency: int
    schedule: str
    dry_run: bool
    function: pulumi.Resource
    failures: aws.sqs.Queue
    watch_name: pulumi.Input[str]
    topic: pulumi.Input[str] | None


class Fleet(pulumi.ComponentResource):
    """A state machine and the rule that starts it, with their roles, and four alarms.

    Attributes:
        arn: The state machine's ARN, known once it exists.
        alarms: Names of the alarms.
    """

    arn: pulumi.Output[str]
    alarms: list[pulumi.Output[str]]

    def __init__(
        self, resource_name: str, args: FleetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Fleet", resource_name, None, opts)
        self._name, self._args = resource_name, args
        self._child = pulumi.ResourceOptions(parent=self)
        here = f"{args.region}:{args.account}"
        machine_arn = f"arn:{args.partition}:states:{here}:stateMachine:{args.name}"
        function = f"arn:{args.partition}:lambda:{here}:function:{args.name}"
        document = state_machine_policy(
            account=args.account,
            partition=args.partition,
            region=args.region,
            machine=args.name,
            function=args.name,
            bucket=args.bucket,
        )
        role, may_run = service_role(
            f"{resource_name}-machine",
            name=f"{args.name}-machine",
            service="states.amazonaws.com",
            account=args.account,
            statements=document["Statement"],
            opts=self._child,
        )
        machine = aws.sfn.StateMachine(
            resource_name,
            name=args.name,
            role_arn=role.arn,
            type="STANDARD",
            definition=json.dumps(
                definition(function, partition=args.partition, concurrency=args.concurrency)
            ),
            opts=self._after(may_run, args.function),
        )
        self._schedule(machine, machine_arn)
        self.arn = machine.arn
        executions = {"StateMachineArn": machine.arn}
        runs = {"service": args.name, "trigger": "fleet"}
        overdue = overdue_alarm(
            f"{resource_name}-overdue",
            run="fleet run",
            name=f"{args.name}-overdue",
            watch_name=args.watch_name,
            topic=args.topic,
            opts=self._child,
        )
        self.alarms = [
            self._alarm("stopped", _STOPPED, "AWS/States", "ExecutionsFailed", executions),
            self._alarm("hung", _STOPPED, "AWS/States", "ExecutionsTimedOut", executions),
            self._alarm("failed", _FAILED, NAMESPACE, FAILED, runs),
            overdue.name,
        ]
        self.register_outputs({"arn": self.arn, "alarms": self.alarms})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _schedule(self, machine: aws.sfn.StateMachine, machine_arn: str) -> None:
        """Create the rule. EventBridge delivers an event at least once: its id is the run's, so
        that a second execution for the same event continues the same run.
        """
        args = self._args
        start = {
            "Sid": "Start",
            "Effect": "Allow",
            "Action": "states:StartExecution",
            "Resource": machine_arn,
        }
        role, may_start = service_role(
            f"{self._name}-events",
            name=f"{args.name}-events",
            service="events.amazonaws.com",
            account=args.account,
            statements=[start],
            opts=self._child,
        )
        rule = aws.cloudwatch.EventRule(
            self._name,
            name=args.name,
            description="Starts the fleet's run.",
            schedule_expression=args.schedule,
            opts=self._child,
        )
        may_fail = may_send(self._name, args.failures, rule, self._child)
        aws.cloudwatch.EventTarget(
            self._name,
            rule=rule.name,
            arn=machine.arn,
            role_arn=role.arn,
            input_transformer={
                "input_paths": {"id": "$.id"},
                "input_template": f'{{"run": <id>, "dry_run": {json.dumps(args.dry_run)}}}',
            },
            dead_letter_config={"arn": args.failures.arn},
            # Without these permissions the rule's events would be refused.
            opts=self._after(may_start, may_fail),
        )

    def _alarm(
        self,
        name: str,
        description: str,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, pulumi.Input[str]],
    ) -> pulumi.Output[str]:
        return at_least_one(
            f"{self._name}-{name}",
            name=f"{self._args.name}-{name}",
            description=description,
            namespace=namespace,
            metric=metric,
            dimensions=dimensions,
            period=300,
            missing="notBreaching",  # no run has ended
            topic=self._args.topic,
            opts=self._child,
        ).name


@dataclass(frozen=True, kw_only=True)
class MemberRolesArgs:
    """The arguments of `MemberRoles`.

    Attributes:
        name: The StackSet's name.
        region: The Region of the StackSet's stacks; roles have none.
        template: The CloudFormation template of the role.
        ous: Ids of the organizational units or roots whose accounts get a role.
        delegated: Whether the stack's account is a delegated administrator.
    """

    name: str
    region: str
    template: Mapping[str, Any]
    ous: Sequence[str]
    delegated: bool


class MemberRoles(pulumi.ComponentResource):
    """A service-managed StackSet: accounts that join get the role, those that leave lose it. The
    management account gets none (CloudFormation User Guide, "AWS CloudFormation StackSets and AWS
    Organizations").
    """

    def __init__(
        self, resource_name: str, args: MemberRolesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("cloudwatch-janitor:index:MemberRoles", resource_name, None, opts)
        caller = "DELEGATED_ADMIN" if args.delegated else "SELF"
        roles = aws.cloudformation.StackSet(
            resource_name,
            name=args.name,
            description="The role that cloudwatch-janitor assumes in each account of its fleet.",
            permission_model="SERVICE_MANAGED",
            call_as=caller,
            capabilities=["CAPABILITY_NAMED_IAM"],
            template_body=json.dumps(args.template),
            auto_deployment={"enabled": True, "retain_stacks_on_account_removal": False},
            # All accounts at once, not one after the other as by default; one in which the role
            # cannot be created fails alone.
            operation_preferences={
                "failure_tolerance_percentage": 100,
                "max_concurrent_percentage": 100,
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                custom_timeouts=pulumi.CustomTimeouts(update="3h"),
                # One of another name could not create the role where the old one has it.
                delete_before_replace=True,
            ),
        )
        timeouts = pulumi.CustomTimeouts(create="3h", update="3h", delete="3h")
        aws.cloudformation.StackInstances(
            resource_name,
            stack_set_name=roles.name,
            call_as=caller,
            deployment_targets={"organizational_unit_ids": list(args.ous)},
            regions=[args.region],
            operation_preferences={
                "failure_tolerance_percentage": 100,
                "max_concurrent_percentage": 100,
            },
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=timeouts),
        )
        self.register_outputs({})
