"""Reading log groups: what is quick must be what botocore and the careful way say."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.parsers import ResponseParserError, create_parser
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.api import _only_answers
from janitor.aws.logs import _odd_group, parse_group
from janitor.core.model import Target

TARGET = Target("123456789012", "eu-west-1")
WHOLE = {
    "logGroupName": "/a",
    "creationTime": 1,
    "storedBytes": 0,
    "retentionInDays": 30,
    "metricFilterCount": 0,
    "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/a:*",
    "logGroupArn": "arn:aws:logs:eu-west-1:123456789012:log-group:/a",
    "logGroupClass": "STANDARD",
    "retentionPolicyName": "policy",
    "kmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "deletionProtectionEnabled": True,
    "inheritedProperties": ["ACCOUNT_DATA_PROTECTION"],
}
values = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 40), st.floats(0, 2), st.text(max_size=3)
)
entries = st.builds(
    lambda changed, missing: {k: v for k, v in (WHOLE | changed).items() if k not in missing},
    st.dictionaries(st.sampled_from(sorted(WHOLE)), values, max_size=3),
    st.sets(st.sampled_from(sorted(WHOLE)), max_size=3),
)


@given(entries)
def test_the_quick_way_says_what_the_careful_one_says(entry: dict[str, Any]) -> None:
    """Whatever is missing or odd."""
    assert parse_group(entry, TARGET) == _odd_group(entry, TARGET)


def parsed(body: bytes, status: int, *, quick: bool) -> Any:
    """An answer as botocore gives it to its caller, with the hook or without."""
    logs = botocore.session.get_session().get_service_model("logs")
    operation = logs.operation_model("DescribeLogGroups")
    assert operation.output_shape is not None
    response: dict[str, Any] = {"body": body, "headers": {}, "status_code": status}
    customized: dict[str, Any] = {}
    if quick:
        _only_answers(operation, response, customized)
    answer = create_parser("json").parse(response, operation.output_shape)
    return {**answer, **customized}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"logGroups": [WHOLE, {"logGroupName": "/b"}], "nextToken": "more"}, 200),
        ({"logGroups": [{**WHOLE, "retentionInDays": None, "kmsKeyId": None}]}, 200),
        ({"logGroups": []}, 200),
        ({"logGroups": None, "nextToken": "more"}, 200),
        ({}, 200),
        ({"__type": "ThrottlingException", "message": "slower", "logGroups": [WHOLE]}, 400),
    ],
)
def test_an_answer_is_the_same_past_botocores_walk_as_through_it(body: Any, status: int) -> None:
    """Pages, nulls, no groups, and errors."""
    text = json.dumps(body).encode()
    assert parsed(text, status, quick=True) == parsed(text, status, quick=False)


@pytest.mark.parametrize("body", [b"{not json", b"", b"[]", b"7", b'{"logGroups":7}'])
def test_what_makes_no_sense_is_no_answer(body: bytes) -> None:
    """Botocore would take some of it for an account without log groups."""
    with pytest.raises(ResponseParserError):
        parsed(body, 200, quick=True)
