"""CloudWatch's metric of what arrived, and the answers that are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Store
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import NOW, add, empty_store, flat, pages, refusal, still


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def query(name: str, period: int = 3600, id: str = "g0") -> dict[str, Any]:
    metric = {
        "Namespace": "AWS/Logs",
        "MetricName": "IncomingLogEvents",
        "Dimensions": [{"Name": "LogGroupName", "Value": name}],
    }
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}


def span(since: int, until: int = NOW + DAY_MS) -> dict[str, datetime]:
    return {"StartTime": moment(since), "EndTime": moment(until)}


def arrived(
    metrics: Any, name: str, since: int, until: int = NOW + DAY_MS, period: int = 3600
) -> list[float]:
    asked = {"MetricDataQueries": [query(name, period)], **span(since, until)}
    [result] = metrics.get_metric_data(**asked)["MetricDataResults"]
    assert result["StatusCode"] == "Complete"
    return list(result["Values"])


def written(*events: tuple[int, int, int], **lags: float) -> Store:
    """An account with one group, `/a`, and these events in it."""
    store = empty_store(**lags)
    group = add(store, "/a", 900)
    store.add_stream(group, "s", created=group.created, events=events)
    return store


def test_metric_lags() -> None:
    """What arrived is counted minutes later, by the time of its arrival."""
    clock, store = ManualClock(), written((NOW, 3, 99), metric=300)
    store.write(store.groups().__next__(), "s", NOW - 5 * DAY_MS, 2, ingested=NOW)
    metrics = still(store, clock=clock).client("cloudwatch")
    clock.advance(299)
    assert arrived(metrics, "/a", NOW - HOUR_MS) == []
    clock.advance(1)
    assert arrived(metrics, "/a", NOW - HOUR_MS) == [5.0]
    assert arrived(metrics, "/a", NOW - 9 * DAY_MS, NOW - HOUR_MS) == []


def test_metric_knows_what_is_gone_for_15_months() -> None:
    """It shows what was deleted, but nothing older, and nothing by too fine periods."""
    store = written(*((NOW - days * DAY_MS, days, 10) for days in (500, 400, 100, 1)))
    sandbox = still(store)
    sandbox.client("logs").delete_log_group(logGroupName="/a")
    metrics = sandbox.client("cloudwatch")
    assert arrived(metrics, "/a", NOW - 600 * DAY_MS) == [1.0, 100.0, 400.0]
    assert arrived(metrics, "/a", NOW - 2 * DAY_MS, period=60) == [1.0]
    assert arrived(metrics, "/a", NOW - 600 * DAY_MS, period=300) == []
    assert arrived(metrics, "/none", NOW - 600 * DAY_MS) == []


def test_more_points_than_asked_for_come_in_parts() -> None:
    """A metric that does not fit is PartialData, with a token for the rest of it; a metric that
    comes after it waits for the next page.
    """
    hours = range(5)
    first = NOW // HOUR_MS * HOUR_MS
    store = written(*((first - hour * HOUR_MS, 1, 1) for hour in hours))
    metrics = still(store).client("cloudwatch")
    asked = {
        "MetricDataQueries": [query("/a"), query("/a", id="g1")],
        "MaxDatapoints": 2,
        **span((NOW - DAY_MS) // HOUR_MS * HOUR_MS, NOW + 1000),
    }
    found = pages(metrics.get_metric_data, "MetricDataResults", "NextToken", **asked)
    said = [
        [(result["Id"], result["StatusCode"], len(result["Values"])) for result in page]
        for page in found
    ]
    assert said == [
        [("g0", "PartialData", 2)],
        [("g0", "PartialData", 2)],
        [("g0", "Complete", 1), ("g1", "PartialData", 1)],
        [("g1", "PartialData", 2)],
        [("g1", "Complete", 2)],
    ]
    times = [moment(first - hour * HOUR_MS) for hour in hours]
    shown = [result for result in flat(found) if result["Id"] == "g0"]
    assert flat([result["Timestamps"] for result in shown]) == times


def test_too_many_metrics_or_bad_names_are_refused() -> None:
    """501 metrics, the same Id twice, an Id in capitals: ValidationError."""
    metrics = still().client("cloudwatch")
    many = [query("/a", id=f"q{number}") for number in range(501)]
    for wrong in (many, [query("/a")] * 2, [query("/a", id="G0")]):
        asked = {"MetricDataQueries": wrong, **span(NOW - DAY_MS)}
        assert refusal(metrics, "get_metric_data", **asked) == "ValidationError"


def test_metric_of_all_log_groups() -> None:
    """Without a dimension (CloudWatch Logs user guide)."""
    store = written((NOW - HOUR_MS, 2, 1))
    store.add_stream(add(store, "/b"), "s", created=NOW, events=[(NOW - HOUR_MS, 1, 1)])
    asked = query("/a")
    del asked["MetricStat"]["Metric"]["Dimensions"]
    metrics = still(store).client("cloudwatch")
    answer = metrics.get_metric_data(MetricDataQueries=[asked], **span(NOW - DAY_MS))
    assert answer["MetricDataResults"][0]["Values"] == [3.0]


def test_start_is_rounded_down_by_its_age() -> None:
    """To the minute, after 15 days to five minutes, after 63 to the hour (botocore 1.44.5,
    GetMetricData): an event just before the start asked for counts if the rounded one is before it.
    """
    asked = {
        days: (NOW - days * DAY_MS) // HOUR_MS * HOUR_MS + seconds * 1000
        for days, seconds in ((10, 59), (40, 299), (100, 3599))
    }
    store = written(*((start // HOUR_MS * HOUR_MS, days, 1) for days, start in asked.items()))
    metrics = still(store).client("cloudwatch")
    for days, start in asked.items():
        assert arrived(metrics, "/a", start, start + HOUR_MS) == [days]
        assert arrived(metrics, "/a", start + 1000, start + HOUR_MS) == []


@pytest.mark.parametrize(
    ("buckets", "wanted"),
    [("start", [(6, 1.0), (-18, 2.0)]), ("multiples", [(0, 1.0)]), ("elsewhere", [(-15, 3.0)])],
)
def test_periods_are_counted_from_the_start_or_in_multiples(
    buckets: Any, wanted: list[tuple[int, float]]
) -> None:
    """CloudWatch does not say which: from 06:00 on, a day's points may be those of 06:00 or of
    midnight, without the part before the first midnight.
    """
    midnight = NOW // DAY_MS * DAY_MS
    store = written((midnight + 7 * HOUR_MS, 1, 1), (midnight - HOUR_MS, 2, 1))
    metrics = still(store, unknowns=Unknowns(buckets=buckets)).client("cloudwatch")
    times = span(midnight - 18 * HOUR_MS)
    asked = {"MetricDataQueries": [query("/a", 86_400)], **times}
    [result] = metrics.get_metric_data(**asked)["MetricDataResults"]
    hours = [(at - moment(midnight)) // timedelta(hours=1) for at in result["Timestamps"]]
    assert list(zip(hours, result["Values"], strict=True)) == wanted


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
@pytest.mark.parametrize("once", [False, True])
def test_answer_may_be_unclear(status: Any, once: bool) -> None:
    """Without points although events arrived, beside others that are Complete; for good, or until
    the token is followed.
    """
    store = written((NOW - HOUR_MS, 1, 1))
    unknowns = Unknowns(unclear={"/a": status}, unclear_once=once)
    metrics = still(store, unknowns=unknowns).client("cloudwatch")
    asked = {
        "MetricDataQueries": [query("/b"), query("/a", id="g1"), query("/c", id="g2")],
        **span(NOW - DAY_MS),
    }
    found = pages(metrics.get_metric_data, "MetricDataResults", "NextToken", **asked)
    said = [
        [(result["Id"], result["StatusCode"], result["Values"]) for result in page]
        for page in found
    ]
    others: list[Any] = [("g0", "Complete", []), ("g2", "Complete", [])]
    if once:
        whole = ("g1", "Complete", [1.0])
        assert said == [[others[0], ("g1", status, [])], [whole, others[1]]]
    else:
        assert said == [[others[0], ("g1", status, []), others[1]]]
    messages = found[0][1].get("Messages", [])
    told = [message["Code"] for message in messages]
    assert told == ([] if status == "PartialData" else [status])
