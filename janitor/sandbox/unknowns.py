"""What AWS does not document, or what reports disagree on: a field for each open question.

`make contract-aws` asks an account of AWS most of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Nothing = Literal["empty", "identifier", "not found"]
"""`{}`, the group's identifier alone, or ResourceNotFoundException."""
Unclear = Literal["PartialData", "InternalError", "Forbidden"]


@dataclass(frozen=True, slots=True)
class Unknowns:
    """The answers to the open questions; the likeliest by default."""

    tokens: Literal["name", "offset", "end", "refused"] = "name"
    """Where the next page of DescribeLogGroups begins after groups came or went: behind the last
    name, or behind as many groups as were listed, so that some are skipped or listed twice. If a
    group next to the border of the pages is gone, the listing may also end silently (as moto's does
    if it is the next one) or be refused with InvalidParameterException.
    """
    listed_twice: bool = False
    """Whether each page of DescribeLogGroups begins with the last entry of the one before."""
    no_data_protection: Nothing = "identifier"
    """GetDataProtectionPolicy for a group that has none. Terraform's provider treats an answer
    without policyDocument and ResourceNotFoundException alike.
    """
    no_transformer: Nothing = "not found"
    """GetTransformer for a group that has none."""
    subscription_filters: Literal["refused", "served"] = "refused"
    """DescribeSubscriptionFilters of classes other than STANDARD: turbot/steampipe-plugin-aws issue
    2758 reports a refusal, go-to-k/cdk-real-drift issue 1726 an answer.
    """
    class_code: Literal[
        "ValidationException", "InvalidOperationException", "InvalidParameterException"
    ] = "ValidationException"
    """The code with which a class refuses a call, where no report tells it."""
    missing_code: Literal[
        "UnknownOperationException", "InvalidOperationException", "InvalidParameterException"
    ] = "UnknownOperationException"
    """The code with which a Region refuses a call for a feature that it lacks (as boto3 issue 2359
    has it for Logs Insights in China).
    """
    buckets: Literal["start", "multiples", "elsewhere"] = "start"
    """Whether CloudWatch counts periods from the requested start, in multiples of the period, or
    from a moment of its own. A period that began before the start is left out.
    """
    unclear: Mapping[str, Unclear] = field(default_factory=dict)
    """The StatusCode in GetMetricData, by log group, of metrics answered without data points,
    whatever arrived.
    """
    unclear_once: bool = False
    """Whether an unclear answer has a NextToken, which leads to the complete one."""
    dry_run_busy: Literal["OperationAbortedException", "LimitExceededException"] = (
        "OperationAbortedException"
    )
    """The code with which a dry run is refused while another is in progress in the account."""
