"""What log classes and Regions do not have, and how they say so."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import NOW, REGION, add, empty_store, outcome, refusal, still

STANDARD = ("ValidationException", "This operation is only supported on the Standard log class.")
DELIVERY = ("ValidationException", "This operation is not supported for Delivery log class")
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


def client(log_class: str, **options: Any) -> Any:
    store = empty_store()
    store.add_stream(add(store, "/a", log_class=log_class), "s", created=NOW)
    return still(store, **options).client("logs")


def said_of(logs: Any, method: str, **parameters: Any) -> tuple[str, str]:
    """Code and message of what became of a call about `/a`."""
    named = "logGroupName" if "filter" in method or "retention" in method else "logGroupIdentifier"
    name: Any = {named: "/a"}
    if method == "describe_index_policies":
        name = {"logGroupIdentifiers": ["/a"]}
    return outcome(logs, method, **name, **parameters)[:2]


@pytest.mark.parametrize("log_class", ["INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"])
def test_filters_and_events_of_other_classes_cannot_be_read(log_class: str) -> None:
    """With the codes and messages of public reports (janitor/sandbox/classes.py)."""
    logs = client(log_class)
    assert said_of(logs, "describe_metric_filters") == STANDARD
    assert said_of(logs, "describe_subscription_filters") == STANDARD
    for method, more in (("filter_log_events", {}), ("get_log_events", {"logStreamName": "s"})):
        said = refusal(logs, method, logGroupName="/a", **more)
        assert said == "InvalidOperationException"
    answered = client(log_class, unknowns=Unknowns(subscription_filters="served"))
    found = answered.describe_subscription_filters(logGroupName="/a")
    assert found["subscriptionFilters"] == []


@pytest.mark.parametrize("log_class", ["INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"])
@pytest.mark.parametrize("said", ["ValidationException", "InvalidOperationException"])
def test_features_of_class_standard_are_refused_by_the_others(log_class: str, said: Any) -> None:
    """Reading, putting and deleting, with whichever code AWS may use where nobody reported one."""
    logs = client(log_class, unknowns=Unknowns(class_code=said))
    for method, parameters in CALLS.items():
        assert said_of(logs, method, **parameters) == (said, STANDARD[1]), method
    standard = client("STANDARD")
    there = {said_of(standard, method, **more)[0] for method, more in CALLS.items()}
    assert there == {"answered", "ResourceNotFoundException"}


def test_delivery_keeps_two_days_and_takes_no_retention() -> None:
    """It shows `retentionInDays: 2`, which nobody may put; the other classes take retention."""
    logs = client("DELIVERY")
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 2
    assert said_of(logs, "put_retention_policy", retentionInDays=30) == DELIVERY
    assert said_of(logs, "delete_retention_policy") == DELIVERY
    for log_class in ("STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS"):
        said, _ = said_of(client(log_class), "put_retention_policy", retentionInDays=30)
        assert said == "answered"


@pytest.mark.parametrize("said", ["UnknownOperationException", "InvalidParameterException"])
def test_feature_may_not_exist_in_a_region(said: Any) -> None:
    """What a Region lacks is refused for every group, and nothing else is."""
    store = empty_store()
    add(store, "/a")
    store.region("123456789012", REGION).lacks = frozenset({"GetDataProtectionPolicy"})
    logs = still(store, unknowns=Unknowns(missing_code=said)).client("logs")
    found = said_of(logs, "get_data_protection_policy")
    assert found == (said, f"GetDataProtectionPolicy is not supported in {REGION}")
    assert said_of(logs, "describe_index_policies")[0] == "answered"
