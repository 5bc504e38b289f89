"""What holds on moto, on the sandbox and on AWS; where moto does otherwise, it is said why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from janitor.core.clock import DAY_MS, HOUR_MS
from tests.sandbox.asking import flat, pages, refusal
from tests.sandbox.contract.backend import Backend


def now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def written(backend: Backend, *streams: str) -> list[int]:
    """Five events a second apart in each of the streams of group `/a`; their times."""
    backend.make("/a")
    group, first = backend.name("/a"), now() - 10_000
    times = [first + number * 1000 for number in range(5)]
    for name in streams:
        stream = {"logGroupName": group, "logStreamName": name}
        backend["logs"].create_log_stream(**stream)
        events = [{"timestamp": at, "message": "m"} for at in times]
        backend["logs"].put_log_events(**stream, logEvents=events)
    return times


def test_group_is_listed_as_it_was_made(backend: Backend) -> None:
    """A new group shows its name, ARNs, time and no bytes; no retention until it is put."""
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
    """At most so many a page, each group once, in order."""
    wanted = [f"/{number}" for number in range(7)]
    backend.make(*reversed(wanted))
    asked: dict[str, Any] = {"logGroupNamePrefix": backend.prefix, "limit": 3}
    found = pages(backend["logs"].describe_log_groups, "logGroups", **asked)
    assert all(len(page) <= 3 for page in found)
    assert [group["logGroupName"] for group in flat(found)] == [backend.name(n) for n in wanted]


def test_groups_are_selected_by_prefix(backend: Backend) -> None:
    """A prefix includes the group of exactly that name."""
    backend.make("/a", "/a/b", "/ab", "/b/a", "/c")
    for prefix, wanted in (("/a", ["/a", "/a/b", "/ab"]), ("/a/b", ["/a/b"]), ("/x", [])):
        assert backend.names(logGroupNamePrefix=backend.name(prefix)) == wanted


def test_retention_is_put_and_taken_away(backend: Backend) -> None:
    """What was put is shown, what was deleted is not."""
    backend.make("/a")
    name = backend.name("/a")
    backend["logs"].put_retention_policy(logGroupName=name, retentionInDays=30)
    backend.soon(lambda: [g.get("retentionInDays") for g in backend.entries()], [30])
    backend["logs"].delete_retention_policy(logGroupName=name)
    backend.soon(lambda: [g.get("retentionInDays") for g in backend.entries()], [None])


def test_deleted_is_gone(backend: Backend) -> None:
    """A deleted stream and a deleted group are not listed, and cannot be deleted twice."""
    logs, named = backend["logs"], {"logGroupName": backend.name("/a")}
    backend.make("/a")
    for name in ("s", "t"):
        logs.create_log_stream(**named, logStreamName=name)
    logs.delete_log_stream(**named, logStreamName="s")

    def streams() -> list[str]:
        return [one["logStreamName"] for one in logs.describe_log_streams(**named)["logStreams"]]

    backend.soon(streams, ["t"])
    for method, more in (("delete_log_stream", {"logStreamName": "s"}), ("delete_log_group", {})):
        if method == "delete_log_group":
            logs.delete_log_group(**named)
            backend.soon(backend.names, [])
        assert refusal(logs, method, **named, **more) == "ResourceNotFoundException"


def test_streams_come_in_pages_sorted_by_name(backend: Backend) -> None:
    """In order of name either way round, or those of a prefix only."""
    backend.make("/a")
    logs, named = backend["logs"], {"logGroupName": backend.name("/a")}
    wanted = sorted(f"{'even' if number % 2 == 0 else 'odd'}/{number}" for number in range(7))
    for name in wanted:
        logs.create_log_stream(**named, logStreamName=name)

    def listed(**more: Any) -> list[str]:
        found = flat(pages(logs.describe_log_streams, "logStreams", **named, **more))
        return [stream["logStreamName"] for stream in found]

    backend.soon(lambda: listed(limit=2), wanted)
    assert listed(descending=True) == wanted[::-1]
    assert listed(logStreamNamePrefix="odd/") == wanted[4:]


def test_events_are_filtered_by_time_and_stream(backend: Backend) -> None:
    """FilterLogEvents goes by start, end (inclusive) and stream, and pages to the end."""
    times = written(backend, "s", "t")
    named = {"logGroupName": backend.name("/a")}

    def found(**more: Any) -> list[int]:
        listed = flat(pages(backend["logs"].filter_log_events, "events", **named, **more))
        return sorted(event["timestamp"] for event in listed)

    backend.soon(lambda: found(logStreamNames=["s"]), times)
    backend.soon(lambda: found(startTime=times[3], limit=1), sorted(times[3:] * 2))
    assert found(startTime=times[-1] + 1) == []
    assert found(endTime=times[1], logStreamNames=["s"]) == times[:2]


@pytest.mark.parametrize("head", [True, False])
def test_events_of_a_stream_end_where_the_token_stays(backend: Backend, head: bool) -> None:
    """GetLogEvents is at its end, forwards and backwards, when it answers with the token that it
    was asked with.
    """
    times = written(backend, "s")
    where = {"logGroupName": backend.name("/a"), "logStreamName": "s", "limit": 2}
    where["startFromHead"] = head
    token = "nextForwardToken" if head else "nextBackwardToken"

    def found() -> list[int]:
        answer = backend["logs"].get_log_events(**where)
        listed = [event["timestamp"] for event in answer["events"]]
        for _ in range(20):
            following = backend["logs"].get_log_events(**where, nextToken=answer[token])
            page = [event["timestamp"] for event in following["events"]]
            listed = listed + page if head else page + listed
            if following[token] == answer[token]:
                return listed
            answer = following
        raise AssertionError("no end")

    backend.soon(found, times)


def test_too_old_and_too_new_events_are_rejected(backend: Backend) -> None:
    """They are named in the answer, and are not there."""
    backend.make("/a")
    stream = {"logGroupName": backend.name("/a"), "logStreamName": "s"}
    backend["logs"].create_log_stream(**stream)
    for at, key in (
        (now() - 15 * DAY_MS, "tooOldLogEventEndIndex"),
        (now() + 3 * HOUR_MS, "tooNewLogEventStartIndex"),
    ):
        events = [{"timestamp": at, "message": "m"}]
        answer = backend["logs"].put_log_events(**stream, logEvents=events)
        assert key in answer["rejectedLogEventsInfo"]
    assert backend["logs"].filter_log_events(logGroupName=backend.name("/a"))["events"] == []


def test_tags_are_kept(backend: Backend) -> None:
    """Until they are taken away."""
    backend.make("/a", tags={"one": "1"})
    logs, arn = backend["logs"], backend.arn("/a")

    def listed() -> dict[str, str]:
        return dict(logs.list_tags_for_resource(resourceArn=arn)["tags"])

    logs.tag_resource(resourceArn=arn, tags={"two": "2"})
    backend.soon(listed, {"one": "1", "two": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["one"])
    backend.soon(listed, {"two": "2"})


def test_metric_filters_are_described_as_they_were_put(backend: Backend) -> None:
    """Name, pattern and metric, until it is deleted; the group counts them."""
    backend.make("/a")
    logs, named = backend["logs"], {"logGroupName": backend.name("/a")}
    metric = {"metricName": "Errors", "metricNamespace": "Contract", "metricValue": "1"}
    put = {"filterName": "f", "filterPattern": "ERROR", "metricTransformations": [metric]}
    logs.put_metric_filter(**named, **put)

    def counted() -> list[int]:
        return [group["metricFilterCount"] for group in backend.entries()]

    [found] = logs.describe_metric_filters(**named)["metricFilters"]
    assert put.items() <= found.items()
    if backend.kind != "moto":  # counts none
        backend.soon(counted, [1])
    logs.delete_metric_filter(**named, filterName="f")
    backend.soon(lambda: logs.describe_metric_filters(**named)["metricFilters"], [])
    backend.soon(counted, [0])


def test_metric_that_nobody_published_has_no_points(backend: Backend) -> None:
    """It is answered, completely, with nothing; an end before the start is refused."""
    metric = {
        "Namespace": "AWS/Logs",
        "MetricName": "IncomingLogEvents",
        "Dimensions": [{"Name": "LogGroupName", "Value": backend.name("/none")}],
    }
    until = datetime.now(UTC)
    query = {"Id": "g0", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
    asked = {"MetricDataQueries": [query], "EndTime": until}
    start = until - timedelta(days=1)
    [result] = backend["cloudwatch"].get_metric_data(**asked, StartTime=start)["MetricDataResults"]
    assert (result["Id"], result["StatusCode"], result["Values"]) == ("g0", "Complete", [])
    said, _ = backend.outcome("cloudwatch", "get_metric_data", **asked, StartTime=until)
    assert said == "ValidationError"


def test_caller_and_regions(backend: Backend) -> None:
    """STS tells the account, EC2 the Regions."""
    assert backend["sts"].get_caller_identity()["Account"] == backend.account
    if backend.kind != "moto":  # whose EC2 takes longer to start than all else here
        regions = backend["ec2"].describe_regions()["Regions"]
        assert backend.region in {region["RegionName"] for region in regions}


INVALID, MISSING = "InvalidParameterException", "ResourceNotFoundException"
TAKEN, VALIDATION = "ResourceAlreadyExistsException", "ValidationException"
_EVENT = [{"timestamp": 1, "message": "m"}]
_OLD_LAST = [{"timestamp": 2, "message": "m"}, *_EVENT]
_METRIC = [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}]
_BOTH = {"logGroupNamePrefix": "/a", "logGroupNamePattern": "b"}
_PUT = {"filterName": "f", "filterPattern": ""}
_REFUSALS: list[tuple[str, str | None, dict[str, Any], str, str]] = [
    ("create_log_group", "/a", {}, TAKEN, TAKEN),
    ("create_log_stream", "/a", {"logStreamName": "s"}, TAKEN, TAKEN),
    # Every call about a group that is not there; moto keeps metric filters without one.
    ("delete_log_group", "/none", {}, MISSING, MISSING),
    ("put_retention_policy", "/none", {"retentionInDays": 30}, MISSING, MISSING),
    ("delete_retention_policy", "/none", {}, MISSING, MISSING),
    ("describe_log_streams", "/none", {}, MISSING, MISSING),
    ("describe_subscription_filters", "/none", {}, MISSING, MISSING),
    ("describe_metric_filters", "/none", {}, MISSING, "answered"),
    (
        "put_metric_filter",
        "/none",
        {**_PUT, "metricTransformations": _METRIC},
        MISSING,
        "answered",
    ),
    ("create_log_stream", "/none", {"logStreamName": "s"}, MISSING, MISSING),
    ("delete_log_stream", "/none", {"logStreamName": "s"}, MISSING, MISSING),
    ("filter_log_events", "/none", {}, MISSING, MISSING),
    ("get_log_events", "/none", {"logStreamName": "s"}, MISSING, MISSING),
    ("put_log_events", "/none", {"logStreamName": "s", "logEvents": _EVENT}, MISSING, MISSING),
    ("delete_metric_filter", "/a", {"filterName": "none"}, MISSING, "answered"),
    ("delete_subscription_filter", "/a", {"filterName": "none"}, MISSING, MISSING),
    ("filter_log_events", "/a", {"logStreamNames": ["none"]}, MISSING, "answered"),
    # Values that are none; moto checks some of them.
    ("describe_log_groups", None, {"limit": 51}, INVALID, INVALID),
    ("describe_log_groups", None, {"nextToken": "garbage"}, INVALID, "answered"),
    ("describe_log_streams", "/a", {"limit": 51}, INVALID, INVALID),
    ("describe_log_streams", "/a", {"orderBy": "Size"}, INVALID, INVALID),
    (
        "describe_log_streams",
        "/a",
        {"orderBy": "LastEventTime", "logStreamNamePrefix": "s"},
        INVALID,
        INVALID,
    ),
    ("filter_log_events", "/a", {"limit": 10_001}, INVALID, INVALID),
    ("get_log_events", "/a", {"logStreamName": "s", "limit": 10_001}, INVALID, INVALID),
    ("get_log_events", "/a", {"logStreamName": "s", "nextToken": "none"}, INVALID, INVALID),
    ("put_log_events", "/a", {"logStreamName": "s", "logEvents": _OLD_LAST}, INVALID, INVALID),
    ("put_retention_policy", "/a", {"retentionInDays": 31}, INVALID, "answered"),
    ("create_log_group", "/" + "a" * 512, {}, INVALID, INVALID),
    ("create_log_group", "/a b", {}, INVALID, "answered"),
    ("describe_log_groups", None, {"logGroupNamePrefix": "/a*"}, INVALID, "answered"),
    ("describe_log_groups", None, _BOTH, INVALID, "answered"),
    ("describe_log_groups", None, {"logGroupClass": "GLACIAL"}, INVALID, "answered"),
    ("describe_log_streams", None, {}, INVALID, INVALID),
    ("describe_log_streams", "/a", {"logGroupIdentifier": "/a"}, VALIDATION, "answered"),
    ("filter_log_events", "/a", {"logStreamNames": ["s"] * 101}, INVALID, "answered"),
    ("put_retention_policy", "/a", {"retentionInDays": 0}, INVALID, "answered"),
    ("delete_log_group", ":*", {}, INVALID, MISSING),
]
"""Method, log group, other parameters, AWS's code, and what moto answers instead."""


def test_refusals(backend: Backend) -> None:
    """What is taken, missing or invalid is refused with AWS's code, without any effect."""
    backend.make("/a")
    logs, said, wanted = backend["logs"], [], []
    logs.create_log_stream(logGroupName=backend.name("/a"), logStreamName="s")
    for method, name, more, on_aws, on_moto in _REFUSALS:
        named = {} if name is None else {"logGroupName": backend.name(name)}
        code, _ = backend.outcome("logs", method, **named, **more)
        said.append((method, more, code))
        wanted.append((method, more, on_moto if backend.kind == "moto" else on_aws))
    assert said == wanted
    if backend.kind != "moto":
        assert backend.names() == ["/a"]
        assert "retentionInDays" not in backend.entries()[0]


def test_tags_are_asked_for_by_the_other_arn(backend: Backend) -> None:
    """By the one without `:*`, and of a group that is there; moto answers with no tags."""
    backend.make("/a")
    for arn, wanted in ((f"{backend.arn('/a')}:*", VALIDATION), (backend.arn("/none"), MISSING)):
        said, _ = backend.outcome("logs", "list_tags_for_resource", resourceArn=arn)
        assert said == ("answered" if backend.kind == "moto" else wanted)


def test_deletion_protection(backend: Backend) -> None:
    """A protected group and its streams are not deleted until it is not protected any more; moto
    heeds it for nothing.
    """
    backend.make("/a", deletionProtectionEnabled=True)
    named = {"logGroupName": backend.name("/a")}
    stream = {**named, "logStreamName": "s"}
    backend["logs"].create_log_stream(**stream)
    said = [
        backend.outcome("logs", "delete_log_stream", **stream)[0],
        backend.outcome("logs", "delete_log_group", **named)[0],
    ]
    if backend.kind == "moto":
        assert said == ["answered", "answered"]
        return
    assert said == [VALIDATION, VALIDATION]
    switch = {"logGroupIdentifier": backend.arn("/a"), "deletionProtectionEnabled": False}
    backend["logs"].put_log_group_deletion_protection(**switch)
    backend.soon(lambda: [g["deletionProtectionEnabled"] for g in backend.entries()], [False])
    backend["logs"].delete_log_stream(**stream)
    backend["logs"].delete_log_group(**named)
