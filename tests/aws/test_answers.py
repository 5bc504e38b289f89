"""Answers that botocore reads otherwise than they are meant, and those that skip its parser."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.parsers import ResponseParserError, create_parser

from janitor.aws.answers import _validate
from janitor.aws.api import UnavailableError
from janitor.aws.logs import Logs
from tests.accounts import Cloud, Group, api, days_ago, ok
from tests.aws.test_logs import WHOLE


@pytest.mark.parametrize("value", [b"{}", b'"none"', b"7", b"null"])
def test_another_value_where_a_list_belongs_is_not_an_empty_list(value: bytes) -> None:
    """botocore would read `{}` as "no subscription filters"."""
    cloud = Cloud([Group("/a", days_ago(9))])
    logs = Logs(api(cloud))
    group = cloud.clock.run(logs.group("/a"))
    assert group is not None
    cloud.fault = lambda _call: ok(b'{"subscriptionFilters":' + value + b"}")
    with pytest.raises(UnavailableError):
        cloud.clock.run(logs.filters(group, "subscription"))


def parsed(body: bytes, status: int, *, fast: bool) -> Any:
    """Return an answer as botocore gives it to its caller, with our hook or without."""
    logs = botocore.session.get_session().get_service_model("logs")
    operation = logs.operation_model("DescribeLogGroups")
    assert operation.output_shape is not None
    response: dict[str, Any] = {"body": body, "headers": {}, "status_code": status}
    customized: dict[str, Any] = {}
    if fast:
        _validate(operation, response, customized)
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
def test_an_answer_is_the_same_with_and_without_botocores_parser(body: Any, status: int) -> None:
    """Pages, nulls, empty lists and errors are read alike."""
    text = json.dumps(body).encode()
    assert parsed(text, status, fast=True) == parsed(text, status, fast=False)


@pytest.mark.parametrize("body", [b"{not json", b"", b"[]", b"7", b'{"logGroups":7}'])
def test_garbage_is_not_an_answer(body: bytes) -> None:
    """botocore would read some of it as an account without log groups."""
    with pytest.raises(ResponseParserError):
        parsed(body, 200, fast=True)
