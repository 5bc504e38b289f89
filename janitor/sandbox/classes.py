"""The calls that a log class refuses.

`ESSENTIALS` is taken to lack what `INFREQUENT_ACCESS` lacks: botocore 1.44.5 says of both that they
have "a subset" of the features, and `DELIVERY` has fewer still. GetLogEvents is taken to be refused
like FilterLogEvents, which one report doubts.
"""

from __future__ import annotations

from dataclasses import dataclass

from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call, RefusedError

_STANDARD = "This operation is only supported on the Standard log class."
_DELIVERY = "This operation is not supported for Delivery log class"
_EVENTS = (
    "The log group {group} is of log-group-class {log_class}. "
    "{operation} is not supported for this log class."
)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """`code` is None where no report tells it."""

    message: str
    code: str | None = None
    delivery_only: bool = False


_REPORTED = "ValidationException"
_REFUSED = {
    # terraform-provider-aws issue 42657, aws-cdk pull request 38703
    "PutRetentionPolicy": _Refusal(_DELIVERY, _REPORTED, delivery_only=True),
    "DeleteRetentionPolicy": _Refusal(_DELIVERY, _REPORTED, delivery_only=True),
    # go-to-k/cdk-real-drift issue 1726, for INFREQUENT_ACCESS and DELIVERY
    "DescribeMetricFilters": _Refusal(_STANDARD, _REPORTED),
    # turbot/steampipe-plugin-aws issue 2758
    "DescribeSubscriptionFilters": _Refusal(_STANDARD, _REPORTED),
    # aws/karpenter-provider-aws pull request 9567
    "FilterLogEvents": _Refusal(_EVENTS, "InvalidOperationException"),
    "GetLogEvents": _Refusal(_EVENTS, "InvalidOperationException"),
    # PutIndexPolicy and PutTransformer ("only for … the Standard log class", API reference), the
    # User Guide's "Log classes"
    **dict.fromkeys(
        (
            *("PutMetricFilter", "PutSubscriptionFilter", "PutDataProtectionPolicy"),
            *("DeleteMetricFilter", "DeleteSubscriptionFilter", "DeleteDataProtectionPolicy"),
            "GetDataProtectionPolicy",
            *("DescribeIndexPolicies", "PutIndexPolicy", "GetTransformer", "PutTransformer"),
        ),
        _Refusal(_STANDARD),
    ),
}


def refuse(call: Call, group: str, log_class: str, unknowns: Unknowns) -> None:
    """Raises RefusedError if the log group's class refuses the call."""
    refusal = _REFUSED.get(call.operation)
    if refusal is None or log_class == "STANDARD":
        return
    filters = call.operation == "DescribeSubscriptionFilters"
    if (filters and unknowns.subscription_filters == "served") or (
        refusal.delivery_only and log_class != "DELIVERY"
    ):
        return
    text = refusal.message.format(group=group, log_class=log_class, operation=call.operation)
    raise RefusedError(refusal.code or unknowns.class_code, text)
