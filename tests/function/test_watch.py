"""The daily watch: is a complete scheduled run overdue?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from janitor.aws.api import CallError
from janitor.function import watch
from janitor.function.watch import WatchError, overdue
from tests.account import NOW, Cloud, Group, api, days_ago, refused

FUNCTION = "cloudwatch-janitor"


class Watched(Cloud):
    """An account in which complete runs are counted by day."""

    def __init__(self, deployed: int, runs: dict[int, float]) -> None:
        super().__init__([Group("/aws/lambda/cloudwatch-janitor", deployed, 9, 30)])
        self.runs = runs

    def _GetMetricData(self, **asked: Any) -> dict[str, Any]:
        metric = asked["MetricDataQueries"][0]["MetricStat"]["Metric"]
        assert metric["MetricName"] == "Complete"
        assert metric["Dimensions"] == [
            {"Name": "service", "Value": FUNCTION},
            {"Name": "trigger", "Value": "schedule"},
        ]
        start, end = asked["StartTime"], asked["EndTime"]
        values = [
            value
            for at, value in self.runs.items()
            if start <= datetime.fromtimestamp(at / 1000, UTC) < end
        ]
        return {"MetricDataResults": [{"Id": "complete", "Values": values}]}


@pytest.mark.parametrize(
    ("deployed", "runs", "expected"),
    [
        (days_ago(400), {days_ago(3): 1.0}, False),
        (days_ago(400), {days_ago(34): 1.0, days_ago(3): 0.0}, False),
        (days_ago(400), {days_ago(36): 1.0}, True),
        (days_ago(400), {days_ago(3): 0.0}, True),
        (days_ago(400), {}, True),
        (days_ago(10), {}, False),
    ],
)
def test_overdue_means_no_complete_run_in_35_days(
    deployed: int, runs: dict[int, float], expected: bool
) -> None:
    """A new deployment has had no time for one; incomplete runs do not count."""
    assert overdue(api(Watched(deployed, runs)), FUNCTION) is expected


def test_what_cannot_be_read_is_an_error_which_the_alarm_counts_as_overdue() -> None:
    """The alarm treats missing data as breaching."""
    cloud = Watched(days_ago(400), {})
    cloud.fault = lambda _call: refused("AccessDeniedException")
    with pytest.raises(CallError):
        overdue(api(cloud), FUNCTION)
    with pytest.raises(WatchError, match="no log group /aws/lambda/other"):
        overdue(api(Watched(NOW, {})), "other")


def test_the_handler_publishes_the_metric(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """EMF, one value a day."""
    monkeypatch.setattr(watch, "_here", lambda: api(Watched(days_ago(400), {})))
    assert watch.handler({}, None) == {"overdue": True}
    assert json.loads(capsys.readouterr().out)["Overdue"] == [1.0]
