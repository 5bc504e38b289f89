"""What is refused before it is looked at, with codes that AWS's service model has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.asking import (
    ACCOUNT,
    ELSEWHERE,
    NOW,
    REGION,
    add,
    arn,
    empty_store,
    refusal,
    still,
)

INVALID = "InvalidParameterException"


@pytest.mark.parametrize(
    ("method", "parameters", "wanted"),
    [
        ("describe_log_groups", {"logGroupNamePrefix": "/a*"}, INVALID),
        ("describe_log_groups", {"logGroupNamePrefix": "/a", "logGroupNamePattern": "b"}, INVALID),
        ("describe_log_groups", {"logGroupClass": "GLACIAL"}, INVALID),
        ("describe_log_streams", {}, INVALID),
        ("describe_log_streams", {"logGroupIdentifier": arn("/a:*")}, INVALID),
        (
            "describe_log_streams",
            {"logGroupIdentifier": arn("/a", ELSEWHERE)},
            "ResourceNotFoundException",
        ),
        ("filter_log_events", {"logGroupName": "/a", "logStreamNames": ["s"] * 101}, INVALID),
        ("delete_log_group", {"logGroupName": arn("/a")}, INVALID),
        ("put_retention_policy", {"logGroupName": arn("/a"), "retentionInDays": 30}, INVALID),
        ("put_retention_policy", {"logGroupName": "/a", "retentionInDays": 0}, INVALID),
        ("create_log_group", {"logGroupName": "a b"}, INVALID),
        ("create_log_group", {"logGroupName": "aws/a"}, INVALID),
        (
            "put_transformer",
            {"logGroupIdentifier": "/a", "transformerConfig": [{"parseJSON": {}}] * 21},
            INVALID,
        ),
        ("put_index_policy", {"logGroupIdentifier": "/a", "policyDocument": "{"}, INVALID),
    ],
)
def test_wrong_values_are_refused(method: str, parameters: dict[str, Any], wanted: str) -> None:
    """With a code that botocore's model of the call has, and without any effect."""
    store = empty_store()
    store.region(ACCOUNT, ELSEWHERE)
    store.add_stream(add(store, "/a"), "s", created=NOW)
    before = store.state()
    logs = still(store).client("logs", ACCOUNT, REGION)
    assert refusal(logs, method, **parameters) == wanted
    assert store.state() == before
    model = logs.meta.service_model.operation_model(logs.meta.method_to_api_mapping[method])
    assert wanted in {shape.name for shape in model.error_shapes}


def test_name_and_identifier_exclude_each_other() -> None:
    """ValidationException, as LocalStack recorded it of AWS."""
    store = empty_store()
    add(store, "/a")
    both = {"logGroupName": "/a", "logGroupIdentifier": "/a"}
    said = refusal(still(store).client("logs"), "describe_log_streams", **both)
    assert said == "ValidationException"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("filter_log_events", {"logGroupName": "/a", "filterPattern": "ERROR"}),
        ("describe_log_groups", {"includeLinkedAccounts": True}),
        ("describe_queries", {}),
    ],
)
def test_what_nothing_here_heeds_is_refused(method: str, parameters: dict[str, Any]) -> None:
    """To leave a filter out would answer with more than was asked for, as if it were all."""
    store = empty_store()
    store.add_stream(add(store, "/a"), "s", created=NOW, events=[(NOW, 1, 100)])
    logs = still(store).client("logs")
    assert refusal(logs, method, **parameters) == "UnknownOperationException"
