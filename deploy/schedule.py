"""An EventBridge rule that invokes a function on a schedule."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

STATEMENT_ID = "AllowExecutionFromCloudWatch"


@dataclass(frozen=True, kw_only=True)
class ScheduleArgs:
    """The arguments of a `Schedule`.

    Attributes:
        rule: The rule's name.
        description: One line for the console.
        expression: `cron(…)` or `rate(…)`, in UTC.
        function_name: Name of the function to invoke.
        function_arn: ARN of the same function.
    """

    rule: pulumi.Input[str]
    description: pulumi.Input[str]
    expression: pulumi.Input[str]
    function_name: pulumi.Input[str]
    function_arn: pulumi.Input[str]


class Schedule(pulumi.ComponentResource):
    """A rule, its target, and the permission for that rule alone to invoke the target.

    The function gets EventBridge's scheduled event unchanged.

    Attributes:
        rule: The rule's name.
    """

    rule: pulumi.Output[str]

    def __init__(
        self,
        resource_name: str,
        args: ScheduleArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("cloudwatch-janitor:index:Schedule", resource_name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        rule = aws.cloudwatch.EventRule(
            resource_name,
            name=args.rule,
            description=args.description,
            schedule_expression=args.expression,
            opts=child,
        )
        permission = aws.lambda_.Permission(
            resource_name,
            statement_id=STATEMENT_ID,
            action="lambda:InvokeFunction",
            function=args.function_name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=child,
        )
        aws.cloudwatch.EventTarget(
            resource_name,
            rule=rule.name,
            arn=args.function_arn,
            # Without the permission the rule's events would be refused and lost.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self.rule = rule.name
        self.register_outputs({"rule": self.rule})


_DAYS = r"(\? \S+ [^ ?]+|[^ ?]+ \S+ \?)"
"""Of month and of week, with the month between them: one has to be a question mark (EventBridge
User Guide, "Setting a schedule pattern for scheduled rules")."""

_SHAPE = (
    rf"cron\(\S+ \S+ {_DAYS} \S+\)|"
    r"rate\((1 (minute|hour|day)|(?!1 )[1-9][0-9]* (minute|hour|day)s)\)"
)


def checked_expression(expression: str) -> str:
    """Return the expression if it has the shape of a schedule; EventBridge checks the rest.

    Raises:
        ValueError: It is neither `cron(…)` with six fields, one of the days a `?`, nor `rate(…)`.
    """
    if not re.fullmatch(_SHAPE, expression):
        raise ValueError("it is neither cron(…) with six fields, one of the days a ?, nor rate(…)")
    return expression
