"""What log classes and Regions do not have, and how they say so."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import ANSWERED, MISSING, NOW, REGION, VALIDATION, Still, outcome

STANDARD = "This operation is only supported on the Standard log class."
DELIVERY = "This operation is not supported for Delivery log class"
EVENTS = "The log group /a is of log-group-class {}. {} is not supported for this log class."
_METRIC = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
_FILTER = {"filterName": "f", "filterPattern": ""}
CALLS: dict[str, dict[str, Any]] = {
    "put_metric_filter": {**_FILTER, "metricTransformations": [_METRIC]},
    "delete_metric_filter": {"filterName": "f"},
    "put_subscription_filter": {**_FILTER, "destinationArn": "arn:aws:lambda:x"},
    "delete_subscription_filter": {"filterName": "f"},
    "get_data_protection_policy": {},
    "put_data_protection_policy": {"policyDocument": "{}"},
    "delete_data_protection_policy": {},
    "describe_index_policies": {},
    "put_index_policy": {"policyDocument": "{}"},
    "get_transformer": {},
    "put_transformer": {"transformerConfig": [{"parseJSON": {}}]},
}
"""The calls of which AWS's reference says that only class STANDARD has the feature."""
OTHERS = pytest.mark.parametrize("log_class", ["INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"])


def client(log_class: str, **unknowns: Any) -> Any:
    account = Still("/a", having={"log_class": log_class}, unknowns=Unknowns(**unknowns))
    account.store.add_stream(account.here.groups["/a"], "s", created=NOW)
    return account.client("logs")


def said_of(logs: Any, method: str, **more: Any) -> tuple[str, str]:
    """Code and message of what became of a call about `/a`."""
    by_name = any(word in method for word in ("filter", "retention", "events"))
    name: Any = {"logGroupName" if by_name else "logGroupIdentifier": "/a"}
    if method == "describe_index_policies":
        name = {"logGroupIdentifiers": ["/a"]}
    return outcome(logs, method, **name, **more)[:2]


@OTHERS
def test_filters_and_events_of_other_classes_cannot_be_read(log_class: str) -> None:
    """With the codes and messages of public reports (janitor/sandbox/classes.py)."""
    logs = client(log_class)
    for kind in ("metric", "subscription"):
        assert said_of(logs, f"describe_{kind}_filters") == (VALIDATION, STANDARD)
    for operation, method, more in (
        ("FilterLogEvents", "filter_log_events", {}),
        ("GetLogEvents", "get_log_events", {"logStreamName": "s"}),
    ):
        said = EVENTS.format(log_class, operation)
        assert said_of(logs, method, **more) == ("InvalidOperationException", said)
    served = client(log_class, subscription_filters="served")
    assert served.describe_subscription_filters(logGroupName="/a")["subscriptionFilters"] == []


@OTHERS
@pytest.mark.parametrize("said", [VALIDATION, "InvalidOperationException"])
def test_features_of_class_standard_are_refused_by_the_others(log_class: str, said: Any) -> None:
    """Reading, putting and deleting, with whichever code AWS may use where nobody reported one."""
    logs, standard, there = client(log_class, class_code=said), client("STANDARD"), set[str]()
    for method, more in CALLS.items():
        assert said_of(logs, method, **more) == (said, STANDARD), method
        there.add(said_of(standard, method, **more)[0])
    assert there == {"answered", MISSING}


def test_delivery_keeps_two_days_and_takes_no_retention() -> None:
    """It shows `retentionInDays: 2`, which nobody may put; the other classes take retention."""
    logs, put = client("DELIVERY"), {"retentionInDays": 30}
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 2
    assert said_of(logs, "put_retention_policy", **put) == (VALIDATION, DELIVERY)
    assert said_of(logs, "delete_retention_policy") == (VALIDATION, DELIVERY)
    for log_class in ("STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS"):
        assert said_of(client(log_class), "put_retention_policy", **put) == ANSWERED[:2]


@pytest.mark.parametrize("said", ["UnknownOperationException", "InvalidParameterException"])
def test_feature_may_not_exist_in_a_region(said: Any) -> None:
    """What a Region lacks is refused for every group, and nothing else is."""
    account = Still("/a", unknowns=Unknowns(missing_code=said))
    account.here.lacks = frozenset({"GetDataProtectionPolicy"})
    named = {"logGroupIdentifier": "/a"}
    found = outcome(account.client("logs"), "get_data_protection_policy", **named)
    assert found == (said, f"GetDataProtectionPolicy is not supported in {REGION}", 400)
    asked = {"logGroupIdentifiers": ["/a"]}
    assert account.ask("describe_index_policies", "indexPolicies", **asked) == []
