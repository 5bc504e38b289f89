"""Arrivals by CloudWatch's metrics: none may be missed."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.metrics import METRICS_A_CALL, arrivals
from janitor.aws.quotas import DEFAULT_QUOTAS
from janitor.core.clock import HOUR_MS
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call, Reply
from tests.accounts import NOW, Cloud, Group, api, days_ago, ok


def arrived_since(cloud: Cloud, since: dict[str, int]) -> dict[str, bool]:
    """Return what the metrics say of each group."""
    return cloud.clock.run(arrivals(api(cloud), since))


@pytest.mark.parametrize("days", [1, 37, 372, 455, 4000])
def test_the_pace_of_metrics_holds_for_data_points_too(days: int) -> None:
    """CloudWatch allows 396,000 data points a second, whatever the number of calls."""
    cloud = Cloud([])
    points: list[float] = []

    def asked(call: Call) -> None:
        if call.operation == "GetMetricData":
            queries = call.parameters["MetricDataQueries"]
            seconds = call.parameters["EndTime"] - call.parameters["StartTime"]
            points.append(len(queries) * seconds / queries[0]["MetricStat"]["Period"])

    cloud.before_call = asked
    names = [f"/g/{number}" for number in range(METRICS_A_CALL)]
    arrived_since(cloud, dict.fromkeys(names, days_ago(days)))
    assert points
    assert max(points) * DEFAULT_QUOTAS["GetMetricData"] <= 396_000


moments = st.integers(days_ago(440), NOW)


@given(st.lists(st.tuples(st.lists(moments, max_size=3), moments), min_size=1, max_size=8))
def test_arrivals_are_known_to_the_hour_since_each_groups_own_moment(
    drawn: list[tuple[list[int], int]],
) -> None:
    """All groups take one call, and one more each if the period of the moment has arrivals."""
    cloud = Cloud(
        Group(f"/{i}", days_ago(900), arrivals=dict.fromkeys(at, 9))
        for i, (at, _) in enumerate(drawn)
    )
    found = arrived_since(cloud, {f"/{i}": since for i, (_, since) in enumerate(drawn)})
    for i, (arrived, since) in enumerate(drawn):
        hour = since // HOUR_MS * HOUR_MS
        some = any(at >= hour for at in arrived)
        assert any(at >= since for at in arrived) <= found[f"/{i}"] <= some
    assert cloud.calls["GetMetricData"] <= 1 + len(drawn)


@pytest.mark.parametrize("buckets", ["start", "multiples", "elsewhere"])
@given(st.lists(moments, max_size=3), moments)
def test_no_arrival_is_missed_wherever_periods_begin(
    buckets: Literal["start", "multiples", "elsewhere"], arrived: list[int], since: int
) -> None:
    """How CloudWatch aligns long periods is not documented."""
    group = Group("/a", days_ago(900), arrivals=dict.fromkeys(arrived, 9))
    cloud = Cloud([group], unknowns=Unknowns(buckets=buckets))
    found = arrived_since(cloud, {"/a": since})
    assert found["/a"] >= any(at >= since for at in arrived)


def test_an_answer_that_stays_incomplete_is_no_answer() -> None:
    """An earlier page that called it complete does not count."""
    cloud = Cloud([Group("/a", days_ago(900))])
    pages = [
        {"MetricDataResults": [{"Id": "g0", "StatusCode": code}], **more}
        for code, more in (("Complete", {"NextToken": "more"}), ("InternalError", {}))
    ]
    times = iter(pages * 3)
    cloud.fault = lambda _call: ok(json.dumps(next(times)).encode())
    assert arrived_since(cloud, {"/a": days_ago(5)}) == {}
    assert cloud.clock.monotonic() < 60


def test_an_incomplete_answer_is_asked_for_again_by_itself() -> None:
    """One answer in a million is PartialData, which does not make the log group unknown."""
    cloud = Cloud([Group("/a", days_ago(900)), Group("/b", days_ago(900))])
    asked: list[int] = []

    def unclear(call: Call) -> Reply | None:
        queries = call.parameters["MetricDataQueries"]
        asked.append(len(queries))
        codes = ("Complete", "PartialData") if len(asked) == 1 else ("Complete",)
        results = [{"Id": f"g{n}", "StatusCode": code} for n, code in enumerate(codes)]
        return ok(json.dumps({"MetricDataResults": results}).encode())

    cloud.fault = unclear
    assert arrived_since(cloud, dict.fromkeys(("/a", "/b"), days_ago(5))) == {
        "/a": False,
        "/b": False,
    }
    assert asked == [2, 1]
