"""An EventBridge rule that invokes a function on a schedule, and the syntax of such schedules."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

STATEMENT_ID = "AllowExecutionFromCloudWatch"


@dataclass(frozen=True, kw_only=True)
class ScheduleArgs:
    """What is invoked when.

    Attributes:
        rule: The rule's name.
        description: One line for the console.
        expression: `cron(…)` or `rate(…)`, in UTC; `checked_expression` knows which are valid.
        function_name: Name of the function that is invoked.
        function_arn: ARN of the same function.
    """

    rule: pulumi.Input[str]
    description: pulumi.Input[str]
    expression: pulumi.Input[str]
    function_name: pulumi.Input[str]
    function_arn: pulumi.Input[str]


class Schedule(pulumi.ComponentResource):
    """A rule, its target, and the target's permission to be invoked by that rule alone.

    The function gets EventBridge's own scheduled event, unchanged.

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
            # Without the permission, what the rule sends would be refused and lost.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )
        self.rule = rule.name
        self.register_outputs({"rule": self.rule})


@dataclass(frozen=True)
class _Field:
    """One of the six fields of a cron expression, as EventBridge's user guide defines them."""

    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()
    special: str = r"(?!)"  # matches nothing

    def problem(self, text: str) -> str | None:
        """What is wrong with the field's text, or None."""
        if text == "*" or re.fullmatch(self.special, text):
            return None
        for part in text.split(","):
            if not self._is_part(part):
                return f"{part!r} is not a value of {self.name} ({self.accepted})"
        return None

    @property
    def accepted(self) -> str:
        """The plain values, for people."""
        words = f" or {self.words[0]}-{self.words[-1]}" if self.words else ""
        return f"{self.low}-{self.high}{words}"

    def _is_part(self, part: str) -> bool:
        span, slash, step = part.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
            return False
        if span == "*":
            return bool(slash)  # `*` alone stands for the whole field, never for a part of a list
        ends = span.split("-")
        return len(ends) <= 2 and all(self._is_value(end) for end in ends)

    def _is_value(self, text: str) -> bool:
        if text.upper() in self.words:
            return True
        return text.isascii() and text.isdigit() and self.low <= int(text) <= self.high


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day-of-month", 1, 31, special=r"\?|L|LW|([1-9]|[12]\d|3[01])W"),
    _Field("month", 1, 12, _MONTHS),
    _Field("day-of-week", 1, 7, _DAYS, special=r"\?|L|[1-7]L|[1-7]#[1-5]"),
    _Field("year", 1970, 2199),
)


def checked_expression(expression: str) -> str:
    """The expression itself, if EventBridge accepts it: `cron(…)` of six fields, or `rate(…)`.

    Raises:
        ValueError: What is wrong with it, in one line.
    """
    match re.fullmatch(r"(cron|rate)\(([^()]*)\)", expression):
        case re.Match() as found if found[1] == "cron":
            problem = _cron_problem(found[2].split())
        case re.Match() as found:
            problem = _rate_problem(found[2])
        case _:
            problem = "it is neither cron(…) nor rate(…)"
    if problem:
        raise ValueError(problem)
    return expression


def _cron_problem(fields: list[str]) -> str | None:
    if len(fields) != len(_FIELDS):
        names = " ".join(field.name for field in _FIELDS)
        return f"cron has six fields ({names}), not {len(fields)}"
    problems = (field.problem(text) for field, text in zip(_FIELDS, fields, strict=True))
    if problem := next(filter(None, problems), None):
        return problem
    if (fields[2] == "?") == (fields[4] == "?"):
        return "exactly one of day-of-month and day-of-week must be ?"
    return None


def _rate_problem(text: str) -> str | None:
    found = re.fullmatch(r"([1-9][0-9]*) (minute|hour|day)(s?)", text)
    if found is None:
        return "rate is a positive number and minutes, hours or days, such as rate(7 days)"
    if (found[1] == "1") == (found[3] == "s"):
        return "rate has a singular unit for 1 and a plural one for all else"
    return None
