"""The fleet: a state machine that has one function survey and clean many accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pulumi
import pulumi_aws as aws

from deploy.alarms import DAY_S, FAILED, NAMESPACE, OVERDUE, at_least_one
from deploy.grants import may_send, service_role
from janitor.function.iam import state_machine_policy

CRASHED_S = 960
"""More than the 900 s that Lambda lets a function run: who has not answered by then never will."""

RUN_S = 2 * DAY_S
"""An execution that takes longer hangs: after 20 hours (`JANITOR_MAX_HOURS`) a run begins nothing
more, and all that is left of its targets fails at once."""

BUSY = (
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
)
"""What Lambda says in the function's place when it is busy or out of order (Step Functions
Developer Guide, "Handle transient Lambda service exceptions")."""


_STOPPED = (
    "A run of the fleet stopped before its end, or without its report: the execution's page in "
    "Step Functions says where and why."
)
_FAILED = (
    "A run of the fleet ended, but in some account something failed, was not reached, or was "
    "refused by a limit: its report in the bucket says what."
)

RETRY_S, MOST_S = 2, 120
"""Seconds before a busy Lambda or a crashed function is called again: at first, and at most."""


def definition(function: str, *, partition: str, concurrency: int) -> dict[str, Any]:
    """The state machine in Amazon States Language (JSONPath).

    Its input is `{"dry_run": bool, "run": id}`, both optional: the id is else the execution's name.
    Of each answer only that is kept which decides what is next, and of a target's nothing: a state
    holds 256 KiB at most (Step Functions quotas), which 17,000 answers would fill.

    Args:
        function: ARN of the fleet's function.
        partition: The AWS partition, as ARNs name it.
        concurrency: How many targets are at work at a time.
    """

    def task(step: str, **more: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": f"arn:{partition}:states:::lambda:invoke",
            "Parameters": {"FunctionName": function, "Payload": {"run.$": "$.run", "pass": step}},
            "TimeoutSeconds": CRASHED_S,
            "Retry": _retries(),
            **more,
        }

    def targets(step: Literal["survey", "act"], following: str) -> dict[str, Any]:
        called = step.capitalize()
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
                "StartAt": f"{called}Target",
                "States": {
                    f"{called}Target": task(
                        step,
                        Parameters={"FunctionName": function, "Payload": event},
                        ResultSelector={"complete.$": "$.Payload.complete"},
                        ResultPath="$.answer",
                        Next=f"{called}Complete",
                        # What became of it the report reads in the bucket, where nothing says that
                        # the target is complete.
                        Catch=[_caught(f"{called}Ended", None)],
                    ),
                    f"{called}Complete": {
                        "Type": "Choice",
                        "Choices": [
                            {
                                "Variable": "$.answer.complete",
                                "BooleanEquals": True,
                                "Next": f"{called}Ended",
                            }
                        ],
                        "Default": f"{called}Target",
                    },
                    f"{called}Ended": {"Type": "Pass", "Result": 0, "End": True},
                },
            },
            "ResultPath": None,
            "Next": following,
            "Catch": [_caught("Report", "$.broken")],
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
                # All of the input, so that the function refuses what it does not know.
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
                # What a map makes of a list without items in a bucket is not documented.
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
                Catch=[_caught("Report", "$.broken")],
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
    """A busy Lambda is called again for some minutes; a function that crashed, twice: it goes on
    from what it has written. One that died at a target left its claim behind, and so did one that
    lives: either is over after 15 minutes, and nothing but that target waits for it.
    """
    spread = {"IntervalSeconds": RETRY_S, "BackoffRate": 2, "JitterStrategy": "FULL"}
    claimed = {"IntervalSeconds": 60, "BackoffRate": 1, "MaxAttempts": 16}
    return [
        {"ErrorEquals": list(BUSY), "MaxAttempts": 10, "MaxDelaySeconds": MOST_S, **spread},
        {"ErrorEquals": ["BusyError"], **claimed},
        {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, **spread},
    ]


def _caught(following: str, result: str | None) -> dict[str, Any]:
    return {"ErrorEquals": ["States.ALL"], "ResultPath": result, "Next": following}


@dataclass(frozen=True, kw_only=True)
class FleetArgs:
    """What is run when.

    Attributes:
        name: What everything is called, and the fleet's function.
        account: The account.
        partition: Its AWS partition, as ARNs name it.
        region: The stack's Region.
        bucket: Name of the bucket that holds the targets.
        concurrency: How many targets are at work at a time.
        schedule: `cron(…)` or `rate(…)`, in UTC.
        dry_run: Whether a scheduled run only surveys.
        function: The fleet's function, which has to be there first.
        failures: The queue that takes the events that could start nothing.
        watch_name: Name of the function that says once a day whether a complete run is overdue.
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
    """A state machine with its role, the rule that starts it with its role, and four alarms.

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
        self.alarms = [
            self._about_runs("stopped", _STOPPED, "AWS/States", "ExecutionsFailed", executions),
            self._about_runs("hung", _STOPPED, "AWS/States", "ExecutionsTimedOut", executions),
            self._about_runs("failed", _FAILED, NAMESPACE, FAILED, runs),
            self._overdue(),
        ]
        self.register_outputs({"arn": self.arn, "alarms": self.alarms})

    def _after(self, *resources: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _schedule(self, machine: aws.sfn.StateMachine, machine_arn: str) -> None:
        """EventBridge delivers an event at least once: its id is the run's, so that a second
        execution for the same event goes on with the same run.
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
        sending = may_send(self._name, args.failures, rule, self._child)
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
            # Without these what the rule sends would be refused.
            opts=self._after(may_start, sending),
        )

    def _about_runs(
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
            missing="notBreaching",  # no data: no run has ended
            topic=self._args.topic,
            opts=self._child,
        ).name

    def _overdue(self) -> pulumi.Output[str]:
        return at_least_one(
            f"{self._name}-overdue",
            name=f"{self._args.name}-overdue",
            description="The fleet has not completed a run in 35 days, or the function that "
            "watches it has not reported for a day. After the first deployment this is in ALARM "
            "until the watch has reported once, which takes up to a day.",
            namespace=NAMESPACE,
            metric=OVERDUE,
            dimensions={"service": self._args.watch_name},
            period=DAY_S,
            missing="breaching",  # nobody watches: that must not look like health
            topic=self._args.topic,
            opts=self._child,
        ).name


@dataclass(frozen=True, kw_only=True)
class MemberRolesArgs:
    """Where roles are made.

    Attributes:
        name: The StackSet's name.
        region: The stack's Region. Roles have none, their stacks do.
        template: The CloudFormation template of the role.
        ous: Ids of the organizational units, or of roots, below which each account gets a role.
        delegated: Whether the stack's account is not the management account.
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
            # One account in which it cannot be made is that account's failure.
            operation_preferences={"failure_tolerance_percentage": 100},
            opts=pulumi.ResourceOptions(parent=self),
        )
        patient = pulumi.CustomTimeouts(create="3h", update="3h", delete="3h")
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
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=patient),
        )
        self.register_outputs({})
