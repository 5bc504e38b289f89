"""Reading log groups: what is quick must be what botocore and the careful way say."""

from __future__ import annotations

import json
from typing import Any, Literal

import botocore.session
import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.logs import HOUR_MS, METRICS_A_CALL, Logs, _groups_as_sent, _odd_group, parse_group
from janitor.core.model import Target
from janitor.policy.file import DEFAULT_QUOTAS
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call
from tests.accounts import NOW, Cloud, Group, api, days_ago, ok

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
    loader = botocore.session.get_session()
    shape = loader.get_service_model("logs").operation_model("DescribeLogGroups").output_shape
    assert shape is not None
    response: dict[str, Any] = {"body": body, "headers": {}, "status_code": status}
    customized: dict[str, Any] = {}
    if quick:
        _groups_as_sent(response, customized)
    answer = create_parser("json").parse(response, shape)
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
def test_what_makes_no_sense_is_left_to_botocore(body: bytes) -> None:
    """Its errors are the ones that the rest of the program knows."""
    response: dict[str, Any] = {"body": body, "headers": {}, "status_code": 200}
    customized: dict[str, Any] = {}
    _groups_as_sent(response, customized)
    assert (response["body"], customized) == (body, {})


@pytest.mark.parametrize("days", [1, 37, 372, 455, 4000])
def test_the_pace_of_metrics_holds_for_data_points_too(days: int) -> None:
    """CloudWatch lets pass 396,000 data points a second, whatever the number of calls."""
    cloud = Cloud([])
    points: list[float] = []

    def asked(call: Call) -> None:
        if call.operation == "GetMetricData":
            queries = call.parameters["MetricDataQueries"]
            seconds = call.parameters["EndTime"] - call.parameters["StartTime"]
            points.append(len(queries) * seconds / queries[0]["MetricStat"]["Period"])

    cloud.before_call = asked
    names = [f"/g/{number}" for number in range(METRICS_A_CALL)]
    Logs(api(cloud)).arrivals(dict.fromkeys(names, days_ago(days)))
    assert points
    assert max(points) * DEFAULT_QUOTAS["GetMetricData"] <= 396_000


moments = st.integers(days_ago(440), NOW)


@given(st.lists(st.tuples(st.lists(moments, max_size=3), moments), min_size=1, max_size=8))
def test_arrivals_are_told_to_the_hour_for_each_group_by_its_own_moment(
    drawn: list[tuple[list[int], int]],
) -> None:
    """In one call for all of them, and one more for those in whose bucket the moment lies."""
    cloud = Cloud(
        Group(f"/{i}", days_ago(900), arrivals=dict.fromkeys(at, 9))
        for i, (at, _) in enumerate(drawn)
    )
    told = Logs(api(cloud)).arrivals({f"/{i}": since for i, (_, since) in enumerate(drawn)})
    for i, (arrived, since) in enumerate(drawn):
        hour = since // HOUR_MS * HOUR_MS
        some = any(at >= hour for at in arrived)
        assert any(at >= since for at in arrived) <= told[f"/{i}"] <= some
    assert cloud.calls["GetMetricData"] <= 1 + len(drawn)


@pytest.mark.parametrize("buckets", ["start", "multiples"])
@given(st.lists(moments, max_size=3), moments)
def test_no_arrival_is_missed_wherever_buckets_begin(
    buckets: Literal["start", "multiples"], arrived: list[int], since: int
) -> None:
    """How CloudWatch aligns long periods is not documented."""
    group = Group("/a", days_ago(900), arrivals=dict.fromkeys(arrived, 9))
    cloud = Cloud([group], unknowns=Unknowns(buckets=buckets))
    told = Logs(api(cloud)).arrivals({"/a": since})
    assert told["/a"] >= any(at >= since for at in arrived)


def test_an_answer_that_ends_incomplete_is_none() -> None:
    """Whatever an earlier page said of the log group."""
    cloud = Cloud([Group("/a", days_ago(900))])
    pages = [
        {"MetricDataResults": [{"Id": "g0", "StatusCode": code}], **more}
        for code, more in (("Complete", {"NextToken": "more"}), ("InternalError", {}))
    ]
    cloud.fault = lambda _call: ok(json.dumps(pages.pop(0)).encode())
    assert Logs(api(cloud)).arrivals({"/a": days_ago(5)}) == {}
