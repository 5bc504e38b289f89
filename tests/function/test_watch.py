"""The daily watch: is a complete scheduled run overdue?"""

from __future__ import annotations

import json

import pytest

from janitor.aws.api import CallError
from janitor.function import watch
from janitor.function.watch import WatchError, overdue
from janitor.sandbox.wire import Call, Reply
from tests.accounts import NOW, Cloud, Group, api, days_ago, ok, refused

FUNCTION = "cloudwatch-janitor"
GROUP = "/cloudwatch-janitor/watch"


def watched(deployed: int, runs: dict[int, float]) -> Cloud:
    """An account in which complete runs are counted by day."""
    cloud = Cloud([Group(GROUP, deployed, 9, 30)])

    def counted(call: Call) -> Reply | None:
        if call.operation != "GetMetricData":
            return None
        metric = call.parameters["MetricDataQueries"][0]["MetricStat"]["Metric"]
        assert metric["MetricName"] == "Complete"
        assert metric["Dimensions"] == [
            {"Name": "service", "Value": FUNCTION},
            {"Name": "trigger", "Value": "schedule"},
        ]
        start, end = (call.parameters[key] for key in ("StartTime", "EndTime"))
        values = [value for at, value in runs.items() if start <= at / 1000 < end]
        result = {"Id": "complete", "Values": values, "StatusCode": "Complete"}
        return ok(json.dumps({"MetricDataResults": [result]}).encode())

    cloud.fault = counted
    return cloud


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
    cloud = watched(deployed, runs)
    assert cloud.clock.run(overdue(api(cloud), FUNCTION, GROUP)) is expected


def test_what_cannot_be_read_is_an_error_which_the_alarm_counts_as_overdue() -> None:
    """The alarm treats missing data as breaching."""
    cloud = watched(days_ago(400), {})
    cloud.fault = lambda _call: refused("AccessDeniedException")
    with pytest.raises(CallError):
        cloud.clock.run(overdue(api(cloud), FUNCTION, GROUP))
    cloud = watched(NOW, {})
    with pytest.raises(WatchError, match="no log group /other"):
        cloud.clock.run(overdue(api(cloud), FUNCTION, "/other"))


def test_the_handler_publishes_the_metric(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """EMF, one value a day."""
    monkeypatch.setattr(watch, "_here", lambda: api(watched(days_ago(400), {})))
    monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", GROUP)
    assert watch.handler({}, None) == {"overdue": True}
    assert json.loads(capsys.readouterr().out)["Overdue"] == [1.0]
