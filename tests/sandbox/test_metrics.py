"""CloudWatch's metric of what arrived, and its unclear answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import NOW, Still, add, empty_store, paged

GET = "cloudwatch.get_metric_data"


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def query(name: str, period: int = 3600, id: str = "g0") -> dict[str, Any]:
    """The query for the events of a log group."""
    dimensions = [{"Name": "LogGroupName", "Value": name}]
    metric = {"Namespace": "AWS/Logs", "MetricName": "IncomingLogEvents", "Dimensions": dimensions}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}


def span(since: int, until: int = NOW + DAY_MS) -> dict[str, Any]:
    return {"StartTime": moment(since), "EndTime": moment(until)}


def written(*events: tuple[int, int, int], metric: float = 0, **options: Any) -> Still:
    """An account with one group, `/a`, and these events in it."""
    account = Still(store=empty_store(metric=metric), **options)
    group = add(account.store, "/a", 900)
    account.store.add_stream(group, "s", created=group.created, events=events)
    return account


def arrived(
    account: Still, name: str, since: int, until: int = NOW + DAY_MS, period: int = 3600
) -> Any:
    asked = {"MetricDataQueries": [query(name, period)], **span(since, until)}
    found = account.ask(GET, "MetricDataResults[0]", **asked)
    assert found["StatusCode"] == "Complete"
    return found["Values"]


def results(account: Still, *queries: dict[str, Any], **asked: Any) -> list[list[Any]]:
    """Id, status and values of each metric, page by page."""
    client = account.client("cloudwatch")
    pages = paged(client, "get_metric_data", MetricDataQueries=queries, **asked)
    return [
        [(one["Id"], one["StatusCode"], one["Values"]) for one in page["MetricDataResults"]]
        for page in pages
    ]


def test_metric_lags() -> None:
    """What arrived is counted minutes later, under its time of arrival."""
    account = written((NOW, 3, 99), metric=300)
    account.store.write(account.here.groups["/a"], "s", NOW - 5 * DAY_MS, 2, ingested=NOW)
    account.time.advance(299)
    assert arrived(account, "/a", NOW - HOUR_MS) == []
    account.time.advance(1)
    assert arrived(account, "/a", NOW - HOUR_MS) == [5.0]
    assert arrived(account, "/a", NOW - 9 * DAY_MS, NOW - HOUR_MS) == []


def test_metric_knows_deleted_groups_for_15_months() -> None:
    """It shows nothing older, and nothing at all if the period is too fine for the start."""
    account = written(*((NOW - days * DAY_MS, days, 10) for days in (500, 400, 100, 1)))
    account.do("delete_log_group", logGroupName="/a")
    for name, days, period, wanted in (
        ("/a", 600, 3600, [1.0, 100.0, 400.0]),
        ("/a", 2, 60, [1.0]),
        ("/a", 600, 300, []),
        ("/none", 600, 3600, []),
    ):
        assert arrived(account, name, NOW - days * DAY_MS, period=period) == wanted


def test_more_points_than_asked_for_come_in_parts() -> None:
    """A metric that does not fit is PartialData, with a token for the rest and what follows."""
    first = NOW // HOUR_MS * HOUR_MS
    account = written(*((first - hour * HOUR_MS, hour, 1) for hour in range(5)))
    asked = span((NOW - DAY_MS) // HOUR_MS * HOUR_MS, NOW + 1000) | {"MaxDatapoints": 2}
    assert results(account, query("/a"), query("/a", id="g1"), **asked) == [
        [("g0", "PartialData", [0, 1])],
        [("g0", "PartialData", [2, 3])],
        [("g0", "Complete", [4]), ("g1", "PartialData", [0])],
        [("g1", "PartialData", [1, 2])],
        [("g1", "Complete", [3, 4])],
    ]
    asked |= {"MetricDataQueries": [query("/a")]}
    wanted = [moment(first - hour * HOUR_MS) for hour in range(5)]
    assert account.ask(GET, "MetricDataResults[].Timestamps[]", **asked) == wanted
    asked["ScanBy"] = "TimestampAscending"
    assert account.ask(GET, "MetricDataResults[].Timestamps[]", **asked) == wanted[::-1]


def test_too_many_metrics_and_bad_ids_are_refused() -> None:
    """501 metrics, the same Id twice and an Id in capitals are a ValidationError."""
    many = [query("/a", id=f"q{number}") for number in range(501)]
    for wrong in (many, [query("/a")] * 2, [query("/a", id="G0")]):
        asked = {"MetricDataQueries": wrong, **span(NOW - DAY_MS)}
        assert Still().ask(GET, **asked) == "ValidationError"


def test_start_is_rounded_down_by_its_age() -> None:
    """To the minute, after 15 days to five minutes, after 63 to the hour (botocore 1.44.5,
    GetMetricData), so that an event just before the requested start may count.
    """
    asked = {
        days: (NOW - days * DAY_MS) // HOUR_MS * HOUR_MS + seconds * 1000
        for days, seconds in ((10, 59), (40, 299), (100, 3599))
    }
    account = written(*((start // HOUR_MS * HOUR_MS, days, 1) for days, start in asked.items()))
    for days, start in asked.items():
        assert arrived(account, "/a", start, start + HOUR_MS) == [days]
        assert arrived(account, "/a", start + 1000, start + HOUR_MS) == []


@pytest.mark.parametrize(
    ("buckets", "wanted"),
    [("start", [(6, 1.0), (-18, 2.0)]), ("multiples", [(0, 1.0)]), ("elsewhere", [(-15, 3.0)])],
)
def test_periods_are_counted_from_the_start_or_in_multiples(
    buckets: Any, wanted: list[tuple[int, float]]
) -> None:
    """CloudWatch does not say which: asked from 06:00 on, a day's points may begin at 06:00, or at
    midnight without the part before the first midnight.
    """
    midnight = NOW // DAY_MS * DAY_MS
    events = ((midnight + 7 * HOUR_MS, 1, 1), (midnight - HOUR_MS, 2, 1))
    account = written(*events, unknowns=Unknowns(buckets=buckets))
    asked = {"MetricDataQueries": [query("/a", 86_400)], **span(midnight - 18 * HOUR_MS)}
    result = account.ask(GET, "MetricDataResults[0]", **asked)
    hours = [(at - moment(midnight)) // timedelta(hours=1) for at in result["Timestamps"]]
    assert list(zip(hours, result["Values"], strict=True)) == wanted


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
@pytest.mark.parametrize("once", [False, True])
def test_answer_may_be_unclear(status: Any, once: bool) -> None:
    """It has no points although events arrived, beside complete answers; for good, or until the
    token is followed.
    """
    unknowns = Unknowns(unclear={"/a": status}, unclear_once=once)
    account = written((NOW - HOUR_MS, 1, 1), unknowns=unknowns)
    queries = [query("/b"), query("/a", id="g1"), query("/c", id="g2")]
    answers = ("g0", "Complete"), ("g1", status), ("g2", "Complete")
    before, unclear, after = ((*one, list[float]()) for one in answers)
    whole = [[before, unclear], [("g1", "Complete", [1.0]), after]]
    asked = span(NOW - DAY_MS)
    assert results(account, *queries, **asked) == (whole if once else [[before, unclear, after]])
    asked |= {"MetricDataQueries": queries}
    codes = account.ask(GET, "MetricDataResults[].Messages[].Code", **asked)
    assert codes == ([] if status == "PartialData" else [status])
