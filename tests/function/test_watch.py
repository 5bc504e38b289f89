"""The daily watch: whether a run is overdue, and whether events of new log groups arrive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from janitor.aws.api import CallError
from janitor.function import invocation, watch
from janitor.function.settings import read_settings
from janitor.function.watch import Hearing, WatchError, hearing, overdue
from janitor.sandbox.wire import Call, Reply
from tests.accounts import NOW, Cloud, Group, api, days_ago, ok, refused
from tests.owners.world import World, error

FUNCTION = "cloudwatch-janitor"
GROUP = "/cloudwatch-janitor/watch"


def watched(deployed: int, runs: dict[int, float], trigger: str = "schedule") -> Cloud:
    """An account with the metric of complete runs, as numbers by time (ms)."""
    cloud = Cloud([Group(GROUP, deployed, 9, 30)])

    def metric_data(call: Call) -> Reply | None:
        if call.operation != "GetMetricData":
            return None
        metric = call.parameters["MetricDataQueries"][0]["MetricStat"]["Metric"]
        assert metric["MetricName"] == "Complete"
        service, by = metric["Dimensions"]
        assert service == {"Name": "service", "Value": FUNCTION}
        published = runs if by == {"Name": "trigger", "Value": trigger} else {}
        start, end = (call.parameters[key] for key in ("StartTime", "EndTime"))
        shown = {at / 1000: value for at, value in published.items() if start <= at / 1000 < end}
        result = {
            "Id": "complete",
            "Timestamps": [*shown],
            "Values": [*shown.values()],
            "StatusCode": "Complete",
        }
        return ok(json.dumps({"MetricDataResults": [result]}).encode())

    cloud.fault = metric_data
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
    """A new deployment is not overdue; incomplete runs and those by hand do not count."""
    for trigger in ("schedule", "fleet"):
        cloud = watched(deployed, runs, trigger)
        assert cloud.clock.run(overdue(api(cloud), FUNCTION, GROUP)) is expected
    cloud = watched(deployed, runs, "hand")
    assert cloud.clock.run(overdue(api(cloud), FUNCTION, GROUP)) is (deployed < days_ago(35))


def test_a_failed_read_is_an_error() -> None:
    """No metric is published then, which the alarm treats as breaching."""
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


# ---- new log groups ------------------------------------------------------------------------------

HOME, AWAY = "eu-west-1", "us-east-1"
NEWS = "cloudwatch-janitor-new-groups"
ALL: dict[str, Any] = {"HasCustomEventSelectors": False}
BASIC: dict[str, Any] = {"IncludeManagementEvents": True, "ReadWriteType": "All"}
MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}


def trail(name: str, home: str = HOME, **fields: Any) -> dict[str, Any]:
    """A trail of DescribeTrails."""
    arn = f"arn:aws:cloudtrail:{home}:123456789012:trail/{name}"
    return {"Name": name, "TrailARN": arn, "HomeRegion": home, **fields}


def advanced(*fields: Any) -> dict[str, Any]:
    """The answer of GetEventSelectors with one advanced selector."""
    return {"AdvancedEventSelectors": [{"FieldSelectors": [MANAGEMENT, *fields]}]}


def watched_trails(
    trails: dict[str, list[Any]],
    *,
    stopped: Sequence[str] = (),
    selectors: dict[str, Any] | None = None,
    denied: Sequence[str] = (),
    last: float | None = None,
) -> Hearing:
    """What the watch finds with these trails, by Region, `last` days after the last new group."""

    def answers(_service: str, region: str, operation: str, **asked: Any) -> dict[str, Any]:
        if operation in denied:
            raise error(operation, "AccessDeniedException")
        name = str(asked.get("Name") or asked.get("TrailName")).rsplit("/")[-1]
        match operation:
            case "DescribeTrails":
                return {"trailList": trails.get(region, [])}
            case "GetTrailStatus":
                assert f":{region}:" in asked["Name"], "in its home Region"
                return {"IsLogging": name not in stopped}
            case "GetEventSelectors":
                return dict((selectors or {}).get(name, {}))
            case "GetMetricData":
                [query] = asked["MetricDataQueries"]
                metric = query["MetricStat"]["Metric"]
                assert metric["MetricName"] == "Events"
                assert metric["Dimensions"] == [{"Name": "service", "Value": NEWS}]
                at = [datetime.fromtimestamp(days_ago(last) / 1000, UTC)] if last else []
                return {"MetricDataResults": [{"Timestamps": at, "Values": [3.0] * len(at)}]}
        raise AssertionError(operation)

    world = World(answers)
    return world.clock.run(hearing(world.api, NEWS, [HOME, AWAY]))


EVERYWHERE = trail("all", IsMultiRegionTrail=True, **ALL)
CUSTOM = {HOME: [trail("t", HasCustomEventSelectors=True, IsMultiRegionTrail=True)]}


@pytest.mark.parametrize(
    "trails",
    [
        {HOME: [EVERYWHERE], AWAY: [EVERYWHERE]},
        {HOME: [trail("a", **ALL)], AWAY: [trail("b", AWAY, **ALL)]},
        {HOME: [trail("off", **ALL), trail("a", **ALL)], AWAY: [trail("b", AWAY, **ALL)]},
    ],
    ids=["one for all", "one each", "one that is off beside"],
)
def test_an_active_trail_in_each_region_is_enough(trails: dict[str, list[Any]]) -> None:
    """However long ago the last log group was created."""
    found = watched_trails(trails, stopped=["off"])
    assert (found.is_deaf, found.days, found.no_trail) == (False, None, [])


def test_regions_without_a_trail_are_named() -> None:
    """Even if events arrive from others."""
    found = watched_trails({HOME: [trail("a", **ALL)]}, last=2.5)
    assert (found.is_deaf, found.days) == (True, 2)
    assert [(one.region, one.why) for one in found.no_trail] == [(AWAY, "there is no trail")]


def test_a_stopped_trail_is_named() -> None:
    """So that it can be started."""
    found = watched_trails({HOME: [EVERYWHERE], AWAY: [EVERYWHERE]}, stopped=["all"], last=20)
    assert found.is_deaf
    assert [(one.region, one.why.split("/")[-1]) for one in found.no_trail] == [
        (HOME, "all is stopped"),
        (AWAY, "all is stopped"),
    ]


@pytest.mark.parametrize(
    ("selectors", "logs"),
    [
        ({"EventSelectors": [BASIC]}, True),
        ({"EventSelectors": [BASIC | {"ReadWriteType": "WriteOnly"}]}, True),
        ({"EventSelectors": [BASIC | {"ReadWriteType": "ReadOnly"}]}, False),
        ({"EventSelectors": [BASIC | {"IncludeManagementEvents": False}]}, False),
        ({"EventSelectors": []}, False),
        (advanced(), True),
        (advanced({"Field": "readOnly", "Equals": ["false"]}), True),
        (advanced({"Field": "readOnly", "Equals": ["true"]}), False),
        (advanced({"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}), True),
        (advanced({"Field": "eventSource", "NotEquals": ["logs.amazonaws.com"]}), False),
        (advanced({"Field": "eventName", "Equals": ["DeleteLogGroup"]}), False),
        ({"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory"}]}]}, False),
    ],
)
def test_a_trail_logs_only_what_its_selectors_select(selectors: dict[str, Any], logs: bool) -> None:
    """The creation of a log group is a management event that writes."""
    assert watched_trails(CUSTOM, selectors={"t": selectors}).is_deaf is not logs


@pytest.mark.parametrize("operation", ["DescribeTrails", "GetTrailStatus", "GetEventSelectors"])
def test_unreadable_trails_count_as_missing_only_if_no_event_came(operation: str) -> None:
    """Perhaps only its own account may read an organization's trail."""
    trails = {HOME: CUSTOM[HOME], AWAY: CUSTOM[HOME]}
    assert watched_trails(trails, denied=[operation]).is_deaf
    found = watched_trails(trails, denied=[operation], last=34)
    assert not found.is_deaf
    assert all("AccessDenied" in one.why for one in found.no_trail)


def test_the_handler_publishes_whether_events_of_new_groups_arrive(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the deployment has them; the log says in which Region a trail is missing, and why."""
    monkeypatch.setattr(watch, "_here", lambda: api(Cloud([Group(GROUP, NOW)])))
    monkeypatch.setenv("AWS_LAMBDA_LOG_GROUP_NAME", GROUP)
    settings = read_settings({"JANITOR_NEW_GROUPS": NEWS, "JANITOR_REGIONS": HOME})
    monkeypatch.setattr(watch, "_settings", settings)
    invocation.configure_logs()  # a command of an earlier test may have set up its own
    assert watch.handler({}, None)["deaf"] is True
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["no_trail"] == {HOME: "there is no trail"}
    assert lines[-1]["Deaf"] == [1.0]
