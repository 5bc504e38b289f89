"""Assertions that hold on moto, the sandbox and AWS; where moto differs, the test says how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from janitor.core.clock import DAY_MS, HOUR_MS
from tests.sandbox.asking import INVALID, MISSING, VALIDATION, ask, paged
from tests.sandbox.contract.backend import Backend

STREAMS = "logStreams[].logStreamName"


def now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def written(backend: Backend, *streams: str) -> list[int]:
    """Write five events a second apart to each of these streams of group `/a`; their times."""
    backend.make("/a")
    first = now() - 10_000
    times = [first + number * 1000 for number in range(5)]
    events = [{"timestamp": at, "message": "m"} for at in times]
    for name in streams:
        backend.do("create_log_stream", of="/a", logStreamName=name)
        backend.do("put_log_events", of="/a", logStreamName=name, logEvents=events)
    return times


def test_group_is_listed_as_it_was_made(backend: Backend) -> None:
    """A new group shows its name, ARNs, creation time and no bytes, and no retention."""
    before = now()
    backend.make("/a", tags={"team": "shop"})
    [group] = backend.entries()
    assert before - 60_000 <= group.pop("creationTime") <= now() + 60_000
    wanted = {
        "logGroupName": backend.name("/a"),
        "arn": f"{backend.arn('/a')}:*",
        "logGroupArn": backend.arn("/a"),
        "storedBytes": 0,
        "metricFilterCount": 0,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": False,
    }
    if backend.kind == "moto":  # knows neither classes nor deletion protection
        del wanted["logGroupClass"], wanted["deletionProtectionEnabled"]
    assert group == wanted


def test_groups_come_in_pages_sorted_by_name(backend: Backend) -> None:
    """Each group comes once, in order, in pages no longer than asked for."""
    wanted = [f"/{number}" for number in range(7)]
    backend.make(*reversed(wanted))
    asked: dict[str, Any] = {"logGroupNamePrefix": backend.prefix, "limit": 3}
    pages = paged(backend["logs"], "describe_log_groups", **asked)
    assert all(len(page["logGroups"]) <= 3 for page in pages)
    assert backend.names(limit=3) == wanted


def test_groups_are_selected_by_prefix(backend: Backend) -> None:
    """A prefix includes the group of exactly that name."""
    backend.make("/a", "/a/b", "/ab", "/b/a", "/c")
    for prefix, wanted in (("/a", ["/a", "/a/b", "/ab"]), ("/a/b", ["/a/b"]), ("/x", [])):
        assert backend.names(logGroupNamePrefix=backend.name(prefix)) == wanted


def test_retention_and_tags_are_shown_until_they_are_deleted(backend: Backend) -> None:
    """Tags are added to those of before, and deleted by key."""
    backend.make("/a", tags={"one": "1"})
    by = {"resourceArn": backend.arn("/a")}

    def shown() -> Any:
        [group] = backend.entries()
        return group.get("retentionInDays"), backend.ask("list_tags_for_resource", "tags", **by)

    backend.do("put_retention_policy", of="/a", retentionInDays=30)
    backend.do("tag_resource", **by, tags={"two": "2"})
    backend.soon(shown, (30, {"one": "1", "two": "2"}))
    backend.do("delete_retention_policy", of="/a")
    backend.do("untag_resource", **by, tagKeys=["one"])
    backend.soon(shown, (None, {"two": "2"}))


def test_deleted_is_gone(backend: Backend) -> None:
    """A deleted stream or group is not listed, and cannot be deleted twice."""
    written(backend, "s", "t")
    backend.do("delete_log_stream", of="/a", logStreamName="s")
    backend.soon(lambda: backend.ask("describe_log_streams", STREAMS, of="/a"), ["t"])
    assert backend.ask("delete_log_stream", of="/a", logStreamName="s") == MISSING
    backend.do("delete_log_group", of="/a")
    backend.soon(backend.names, [])
    assert backend.ask("delete_log_group", of="/a") == MISSING


def test_streams_come_in_pages_sorted_by_name(backend: Backend) -> None:
    """Each stream comes once, in order or the other way round; a prefix limits the list."""
    backend.make("/a")
    wanted = [f"{'even' if number % 2 == 0 else 'odd'}/{number}" for number in (0, 2, 4, 1, 3)]
    for name in reversed(wanted):
        backend.do("create_log_stream", of="/a", logStreamName=name)

    def listed(**more: Any) -> Any:
        return backend.ask("describe_log_streams", STREAMS, of="/a", **more)

    backend.soon(lambda: listed(limit=2, orderBy="LogStreamName"), wanted)
    assert listed(limit=2, descending=True) == wanted[::-1]
    assert listed(limit=1, logStreamNamePrefix="odd/") == wanted[3:]


def test_events_are_filtered_by_time_and_stream(backend: Backend) -> None:
    """FilterLogEvents goes by start, end (inclusive) and stream, and pages to the end; moto ignores
    a prefix of streams.
    """
    times = written(backend, "s", "s/2", "t")

    def found(**more: Any) -> list[int]:
        return sorted(backend.ask("filter_log_events", "events[].timestamp", of="/a", **more))

    backend.soon(lambda: found(logStreamNames=["s"]), times)
    backend.soon(lambda: found(startTime=times[3], limit=1), sorted(times[3:] * 3))
    assert found(startTime=times[-1] + 1) == []
    assert found(endTime=times[1], logStreamNames=["s"]) == times[:2]
    streams = 3 if backend.kind == "moto" else 2
    assert found(endTime=times[0], logStreamNamePrefix="s") == times[:1] * streams


@pytest.mark.parametrize("head", [True, False])
def test_events_of_a_stream_end_where_the_token_stays(backend: Backend, head: bool) -> None:
    """GetLogEvents, forwards or backwards, is at its end if it answers with the passed token; an
    event at endTime is left out, though not by moto.
    """
    times = written(backend, "s")
    token = "nextForwardToken" if head else "nextBackwardToken"

    def found() -> list[int]:
        asked: dict[str, Any] = {"logStreamName": "s", "limit": 2, "startFromHead": head}
        listed: list[int] = []
        for _ in range(20):
            answer = backend.ask("get_log_events", of="/a", endTime=times[-1], **asked)
            page = [event["timestamp"] for event in answer["events"]]
            listed = listed + page if head else page + listed
            if answer[token] == asked.get("nextToken"):
                return listed
            asked["nextToken"] = answer[token]
        raise AssertionError("no end")

    backend.soon(found, times if backend.kind == "moto" else times[:-1])


def test_too_old_and_too_new_events_are_rejected(backend: Backend) -> None:
    """The answer names them, and they are not stored."""
    backend.make("/a")
    backend.do("create_log_stream", of="/a", logStreamName="s")
    for at, key in (
        (now() - 15 * DAY_MS, "tooOldLogEventEndIndex"),
        (now() + 3 * HOUR_MS, "tooNewLogEventStartIndex"),
    ):
        put = {"logStreamName": "s", "logEvents": [{"timestamp": at, "message": "m"}]}
        assert key in backend.ask("put_log_events", "rejectedLogEventsInfo", of="/a", **put)
    assert backend.ask("filter_log_events", "events", of="/a") == []


def test_metric_filters_are_described_as_they_were_put(backend: Backend) -> None:
    """Name, pattern and metric are shown until the filter is deleted; the group counts it."""
    backend.make("/a")

    def described(prefix: str = "") -> Any:
        by = {"filterNamePrefix": prefix} if prefix else {}
        return backend.ask("describe_metric_filters", "metricFilters", of="/a", **by)

    def counted() -> list[int]:
        return [group["metricFilterCount"] for group in backend.entries()]

    for name in ("f", "g"):
        backend.do("put_metric_filter", of="/a", **_PUT | {"filterName": name})
    backend.soon(lambda: [found["filterName"] for found in described()], ["f", "g"])
    [found] = described("f")
    assert _PUT.items() <= found.items()
    if backend.kind != "moto":  # counts none
        backend.soon(counted, [2])
    for name in ("f", "g"):
        backend.do("delete_metric_filter", of="/a", filterName=name)
    backend.soon(described, [])
    backend.soon(counted, [0])


def test_metric_that_nobody_published_has_no_points(backend: Backend) -> None:
    """It is answered completely, with no points; an end before the start is refused."""
    metric = {
        "Namespace": "AWS/Logs",
        "MetricName": "IncomingLogEvents",
        "Dimensions": [{"Name": "LogGroupName", "Value": backend.name("/none")}],
    }
    until = datetime.now(UTC)
    query = {"Id": "g0", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
    for start, wanted in (
        (until - timedelta(days=1), [["g0", "Complete", []]]),
        (until, "ValidationError"),
    ):
        span = {"StartTime": start, "EndTime": until, "MetricDataQueries": [query]}
        shown = "MetricDataResults[].[Id, StatusCode, Values]"
        assert ask(backend["cloudwatch"], "get_metric_data", shown, **span) == wanted


def test_caller_and_regions(backend: Backend) -> None:
    """STS tells the account, EC2 the Regions."""
    assert ask(backend["sts"], "get_caller_identity", "Account") == backend.account
    if backend.kind != "moto":  # whose EC2 takes longer to start than all else here
        assert backend.region in ask(backend["ec2"], "describe_regions", "Regions[].RegionName")


TAKEN, ANSWERED = "ResourceAlreadyExistsException", "answered"
_S = {"logStreamName": "s"}
_NONE = {"filterName": "none"}
_EVENT = [{"timestamp": 1, "message": "m"}]
_OLD_LAST = {"logEvents": [{"timestamp": 2, "message": "m"}, *_EVENT]}
_METRIC = [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}]
_BY_TIME = {"orderBy": "LastEventTime", "logStreamNamePrefix": "s"}
_BOTH = {"logGroupNamePrefix": "/a", "logGroupNamePattern": "b"}
_PUT: dict[str, Any] = {"filterName": "f", "filterPattern": "x", "metricTransformations": _METRIC}
_REFUSALS: list[tuple[str, str | None, dict[str, Any], str, str]] = [
    ("create_log_group", "/a", {}, TAKEN, TAKEN),
    ("create_log_stream", "/a", _S, TAKEN, TAKEN),
    # Every call about a group that does not exist; moto keeps metric filters without one.
    ("delete_log_group", "/none", {}, MISSING, MISSING),
    ("put_retention_policy", "/none", {"retentionInDays": 30}, MISSING, MISSING),
    ("delete_retention_policy", "/none", {}, MISSING, MISSING),
    ("describe_log_streams", "/none", {}, MISSING, MISSING),
    ("describe_subscription_filters", "/none", {}, MISSING, MISSING),
    ("describe_metric_filters", "/none", {}, MISSING, ANSWERED),
    ("put_metric_filter", "/none", _PUT, MISSING, ANSWERED),
    ("create_log_stream", "/none", _S, MISSING, MISSING),
    ("delete_log_stream", "/none", _S, MISSING, MISSING),
    ("filter_log_events", "/none", {}, MISSING, MISSING),
    ("get_log_events", "/none", _S, MISSING, MISSING),
    ("put_log_events", "/none", _S | {"logEvents": _EVENT}, MISSING, MISSING),
    ("delete_metric_filter", "/a", _NONE, MISSING, ANSWERED),
    ("delete_subscription_filter", "/a", _NONE, MISSING, MISSING),
    ("filter_log_events", "/a", {"logStreamNames": ["none"]}, MISSING, ANSWERED),
    # Invalid values; moto checks some of them.
    ("describe_log_groups", None, {"limit": 51}, INVALID, INVALID),
    ("describe_log_groups", None, {"nextToken": "garbage"}, INVALID, ANSWERED),
    ("describe_log_streams", "/a", {"limit": 51}, INVALID, INVALID),
    ("describe_log_streams", "/a", {"orderBy": "Size"}, INVALID, INVALID),
    ("describe_log_streams", "/a", _BY_TIME, INVALID, INVALID),
    ("filter_log_events", "/a", {"limit": 10_001}, INVALID, INVALID),
    ("get_log_events", "/a", _S | {"limit": 10_001}, INVALID, INVALID),
    ("get_log_events", "/a", _S | {"nextToken": "none"}, INVALID, INVALID),
    ("put_log_events", "/a", _S | _OLD_LAST, INVALID, INVALID),
    ("put_retention_policy", "/a", {"retentionInDays": 31}, INVALID, ANSWERED),
    ("create_log_group", "/" + "a" * 512, {}, INVALID, INVALID),
    ("create_log_group", "/a b", {}, INVALID, ANSWERED),
    ("describe_log_groups", None, {"logGroupNamePrefix": "/a*"}, INVALID, ANSWERED),
    ("describe_log_groups", None, _BOTH, INVALID, ANSWERED),
    ("describe_log_groups", None, {"logGroupClass": "GLACIAL"}, INVALID, ANSWERED),
    ("describe_log_streams", None, {}, INVALID, INVALID),
    ("describe_log_streams", "/a", {"logGroupIdentifier": "/a"}, VALIDATION, ANSWERED),
    ("filter_log_events", "/a", {"logStreamNames": ["s"] * 101}, INVALID, ANSWERED),
    ("put_retention_policy", "/a", {"retentionInDays": 0}, INVALID, ANSWERED),
    ("delete_log_group", ":*", {}, INVALID, MISSING),
]
"""Method, log group, other parameters, AWS's code, and moto's."""


def test_refusals(backend: Backend) -> None:
    """What is taken, missing or invalid is refused with AWS's code, without any effect."""
    backend.make("/a")
    codes, wanted = [], []
    backend.do("create_log_stream", of="/a", logStreamName="s")
    for method, name, more, on_aws, on_moto in _REFUSALS:
        named = {} if name is None else {"logGroupName": backend.name(name)}
        code, _ = backend.outcome("logs", method, **named, **more)
        codes.append((method, more, code))
        wanted.append((method, more, on_moto if backend.kind == "moto" else on_aws))
    assert codes == wanted
    if backend.kind != "moto":
        assert backend.names() == ["/a"]
        assert "retentionInDays" not in backend.entries()[0]
        assert backend.ask("filter_log_events", "events", of="/a") == []


def test_tags_are_listed_by_the_arn_without_a_star(backend: Backend) -> None:
    """The ARN with `:*` is refused, as is one of no log group; moto answers with no tags."""
    backend.make("/a")
    for arn, wanted in ((f"{backend.arn('/a')}:*", VALIDATION), (backend.arn("/none"), MISSING)):
        codes = backend.ask("list_tags_for_resource", "tags", resourceArn=arn)
        assert codes == ({} if backend.kind == "moto" else wanted)


def test_deletion_protection(backend: Backend) -> None:
    """A protected group and its streams can only be deleted once the protection is off; moto
    ignores it.
    """
    backend.make("/a", deletionProtectionEnabled=True)
    backend.do("create_log_stream", of="/a", logStreamName="s")

    def deleted() -> list[str]:
        named = {"logGroupName": backend.name("/a")}
        stream = backend.outcome("logs", "delete_log_stream", **named, **_S)
        return [stream[0], backend.outcome("logs", "delete_log_group", **named)[0]]

    assert deleted() == [ANSWERED if backend.kind == "moto" else VALIDATION] * 2
    if backend.kind == "moto":
        return
    switch: dict[str, Any] = {"logGroupIdentifier": backend.arn("/a")}
    backend.do("put_log_group_deletion_protection", **switch, deletionProtectionEnabled=False)
    backend.soon(lambda: [g["deletionProtectionEnabled"] for g in backend.entries()], [False])
    assert deleted() == [ANSWERED] * 2
