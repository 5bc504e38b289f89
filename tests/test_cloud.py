"""The simulator in `tests/cloud`: it answers as moto does where moto can, and as AWS does else."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from botocore.parsers import QueryParser
from moto import mock_aws

from tests.cloud import Cloud
from janitor.sandbox.clocks import DAY_MS, HOUR_MS, ManualClock, RealClock
from tests.cloud.faults import (
    THROTTLED,
    Garbage,
    Rates,
    Refuse,
    Reset,
    Slow,
    deny,
    first_of,
    once,
)
from tests.cloud.meanwhile import Before, Every, Random, delete, write
from janitor.sandbox.wire import nested
from janitor.sandbox.quotas import Buckets
from tests.cloud.scenarios import ACCOUNT, REGION, bench, messy, million, targets
from janitor.sandbox.store import Group, Lags, Store

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
NOW = ManualClock().now()
OTHER = "210987654321"


def empty_store(**lags: float) -> Store:
    store = Store(Lags(**lags))
    store.region(ACCOUNT, REGION)
    return store


def quick(store: Store | None = None, **options: Any) -> Cloud:
    """A simulator without latency, whose time stands still unless it is moved."""
    options = {"quotas": False, "latency": 0, "clock": ManualClock()} | options
    return Cloud(empty_store() if store is None else store, **options)


def add(store: Store, name: str, age: float = 400, **more: Any) -> Group:
    """A group so many days old."""
    return store.add_group(ACCOUNT, REGION, name, created=NOW - int(age * DAY_MS), **more)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def pages(call: Any, key: str, token: str = "nextToken", **parameters: Any) -> list[list[Any]]:
    """Every page to the last token."""
    found: list[list[Any]] = []
    while True:
        answer = call(**parameters)
        found.append(answer[key])
        if not answer.get(token):
            return found
        parameters[token] = answer[token]


def flat(lists: list[list[Any]]) -> list[Any]:
    return [item for page in lists for item in page]


# ---- the same as moto ----------------------------------------------------------------------------


class Account:
    """Makes clients of the account under test."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._made: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._session.client(service, config=ONCE)
        return self._made[service]


@pytest.fixture(params=["moto", "cloud"])
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """The same account twice: behind moto, and behind the simulator in real time."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    if request.param == "moto":
        with mock_aws():
            yield Account(boto3.Session("AKIA", "secret", region_name=REGION))
        return
    with Cloud(empty_store(), quotas=False, latency=0) as cloud:
        yield Account(cloud.session())


@pytest.fixture
def logs(aws: Account) -> Any:
    return aws["logs"]


def test_group_is_listed_as_it_was_made(logs: Any) -> None:
    """A new group shows its name, ARNs, time and no bytes; no retention until it is put."""
    before = int(datetime.now(UTC).timestamp() * 1000)
    logs.create_log_group(logGroupName="/a", tags={"team": "shop"})
    [group] = logs.describe_log_groups()["logGroups"]
    assert group["logGroupName"] == "/a"
    assert group["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/a:*"
    assert group["logGroupArn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/a"
    assert before - 1000 <= group["creationTime"] <= before + 60_000
    assert (group["storedBytes"], group["metricFilterCount"]) == (0, 0)
    assert "retentionInDays" not in group
    assert "retentionPolicyName" not in group


def test_groups_come_in_pages_sorted_by_name(logs: Any) -> None:
    """50 a page at most, each group once, in order."""
    names = [f"/group/{number:03d}" for number in range(120)]
    for name in reversed(names):
        logs.create_log_group(logGroupName=name)
    found = pages(logs.describe_log_groups, "logGroups")
    assert [len(page) for page in found] == [50, 50, 20]
    assert [group["logGroupName"] for group in flat(found)] == names
    small = pages(logs.describe_log_groups, "logGroups", limit=30)
    assert [group["logGroupName"] for group in flat(small)] == names


def test_groups_are_selected_by_prefix(logs: Any) -> None:
    """A prefix includes the group of exactly that name."""
    for name in ("/a", "/a/b", "/ab", "/b/a", "/c"):
        logs.create_log_group(logGroupName=name)

    def names(**narrowed: Any) -> list[str]:
        groups = flat(pages(logs.describe_log_groups, "logGroups", **narrowed))
        return [group["logGroupName"] for group in groups]

    assert names(logGroupNamePrefix="/a") == ["/a", "/a/b", "/ab"]
    assert names(logGroupNamePrefix="/a/b") == ["/a/b"]
    assert names(logGroupNamePrefix="/x") == []


def test_retention_is_put_and_taken_away(logs: Any) -> None:
    """What was put is shown, what was deleted is not."""
    logs.create_log_group(logGroupName="/a")
    logs.put_retention_policy(logGroupName="/a", retentionInDays=30)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 30
    logs.delete_retention_policy(logGroupName="/a")
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("delete_log_group", {}),
        ("put_retention_policy", {"retentionInDays": 30}),
        ("describe_log_streams", {}),
        ("describe_subscription_filters", {}),
        ("create_log_stream", {"logStreamName": "s"}),
        ("delete_log_stream", {"logStreamName": "s"}),
        ("filter_log_events", {}),
        ("get_log_events", {"logStreamName": "s"}),
        ("put_log_events", {"logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]}),
        ("delete_retention_policy", {}),
        (
            "put_subscription_filter",
            {"filterName": "f", "filterPattern": "", "destinationArn": "x"},
        ),
        ("list_tags_log_group", {}),
        ("tag_log_group", {"tags": {"a": "b"}}),
        ("untag_log_group", {"tags": ["a"]}),
    ],
)
def test_missing_group_is_not_found(logs: Any, method: str, parameters: dict[str, Any]) -> None:
    """Every call about a group says that there is none."""
    with pytest.raises(ClientError) as error:
        getattr(logs, method)(logGroupName="/none", **parameters)
    assert code(error) == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("create_log_group", {"logGroupName": "a" * 513}),
        ("describe_log_groups", {"limit": 51}),
        ("describe_log_streams", {"logGroupName": "/a", "limit": 51}),
        ("describe_log_streams", {"logGroupName": "/a", "orderBy": "Size"}),
        (
            "describe_log_streams",
            {"logGroupName": "/a", "orderBy": "LastEventTime", "logStreamNamePrefix": "s"},
        ),
        ("filter_log_events", {"logGroupName": "/a", "limit": 10_001}),
        ("get_log_events", {"logGroupName": "/a", "logStreamName": "s", "limit": 10_001}),
        ("get_log_events", {"logGroupName": "/a", "logStreamName": "s", "nextToken": "garbage"}),
    ],
)
def test_invalid_values_are_refused(logs: Any, method: str, parameters: dict[str, Any]) -> None:
    """Too many, too long, of no kind that there is, or not together: InvalidParameterException."""
    logs.create_log_group(logGroupName="/a")
    logs.create_log_stream(logGroupName="/a", logStreamName="s")
    with pytest.raises(ClientError) as error:
        getattr(logs, method)(**parameters)
    assert code(error) == "InvalidParameterException"


def test_names_are_taken_once(logs: Any) -> None:
    """A second group or stream of the same name is refused."""
    logs.create_log_group(logGroupName="/a")
    logs.create_log_stream(logGroupName="/a", logStreamName="s")
    with pytest.raises(ClientError) as group:
        logs.create_log_group(logGroupName="/a")
    with pytest.raises(ClientError) as stream:
        logs.create_log_stream(logGroupName="/a", logStreamName="s")
    assert code(group) == code(stream) == "ResourceAlreadyExistsException"


def test_deleted_is_gone(logs: Any) -> None:
    """A deleted stream and a deleted group are not listed, and cannot be deleted twice."""
    logs.create_log_group(logGroupName="/a")
    for name in ("s", "t"):
        logs.create_log_stream(logGroupName="/a", logStreamName=name)
    logs.delete_log_stream(logGroupName="/a", logStreamName="s")
    streams = logs.describe_log_streams(logGroupName="/a")["logStreams"]
    assert [stream["logStreamName"] for stream in streams] == ["t"]
    with pytest.raises(ClientError) as error:
        logs.delete_log_stream(logGroupName="/a", logStreamName="s")
    assert code(error) == "ResourceNotFoundException"
    logs.delete_log_group(logGroupName="/a")
    assert logs.describe_log_groups()["logGroups"] == []


def test_streams_come_in_pages_sorted_by_name(logs: Any) -> None:
    """In order of name either way round, or those of a prefix only."""
    logs.create_log_group(logGroupName="/a")
    names = [f"{'even' if number % 2 == 0 else 'odd'}/{number:03d}" for number in range(70)]
    for name in names:
        logs.create_log_stream(logGroupName="/a", logStreamName=name)

    def listed(**more: Any) -> list[str]:
        found = flat(pages(logs.describe_log_streams, "logStreams", logGroupName="/a", **more))
        return [stream["logStreamName"] for stream in found]

    assert listed(limit=20) == sorted(names)
    assert listed(descending=True) == sorted(names, reverse=True)
    assert listed(logStreamNamePrefix="odd/") == sorted(names)[35:]


def test_written_stream_shows_its_times(logs: Any) -> None:
    """First and last event and the ingestion are shown; a stream never written shows none."""
    logs.create_log_group(logGroupName="/a")
    now = int(datetime.now(UTC).timestamp() * 1000)
    for name in ("written", "never"):
        logs.create_log_stream(logGroupName="/a", logStreamName=name)
    events = [{"timestamp": now - 2000 + n * 1000, "message": f"m{n}"} for n in range(2)]
    logs.put_log_events(logGroupName="/a", logStreamName="written", logEvents=events)
    streams = {
        stream["logStreamName"]: stream
        for stream in logs.describe_log_streams(logGroupName="/a")["logStreams"]
    }
    assert streams["written"]["firstEventTimestamp"] == now - 2000
    assert streams["written"]["lastEventTimestamp"] == now - 1000
    assert abs(streams["written"]["lastIngestionTime"] - now) < 60_000
    assert "lastEventTimestamp" not in streams["never"]
    newest = logs.describe_log_streams(logGroupName="/a", orderBy="LastEventTime", descending=True)[
        "logStreams"
    ]
    assert {stream["logStreamName"] for stream in newest} == {"written", "never"}


def test_events_are_filtered_by_time_and_stream(logs: Any) -> None:
    """FilterLogEvents goes by start, end and stream, and pages to the end."""
    logs.create_log_group(logGroupName="/a")
    now = int(datetime.now(UTC).timestamp() * 1000)
    for name in ("s", "t"):
        logs.create_log_stream(logGroupName="/a", logStreamName=name)
        events = [{"timestamp": now - 5000 + n * 1000, "message": "m"} for n in range(5)]
        logs.put_log_events(logGroupName="/a", logStreamName=name, logEvents=events)

    def times(**more: Any) -> list[int]:
        found = flat(pages(logs.filter_log_events, "events", logGroupName="/a", **more))
        return sorted(event["timestamp"] - now for event in found)

    assert times(logStreamNames=["s"]) == [-5000, -4000, -3000, -2000, -1000]
    assert times(startTime=now - 2000, limit=1) == [-2000, -2000, -1000, -1000]
    assert times(startTime=now) == []
    assert times(endTime=now - 4000, logStreamNames=["s"]) == [-5000, -4000]


def test_events_of_a_stream_end_where_the_token_stays(logs: Any) -> None:
    """GetLogEvents is at its end when it answers with the token that it was asked with."""
    logs.create_log_group(logGroupName="/a")
    logs.create_log_stream(logGroupName="/a", logStreamName="s")
    now = int(datetime.now(UTC).timestamp() * 1000)
    events = [{"timestamp": now - 9000 + n * 1000, "message": "m"} for n in range(5)]
    logs.put_log_events(logGroupName="/a", logStreamName="s", logEvents=events)
    where = {"logGroupName": "/a", "logStreamName": "s", "startFromHead": True, "limit": 2}
    found: list[int] = []
    answer = logs.get_log_events(**where)
    for _ in range(9):
        found += [event["timestamp"] for event in answer["events"]]
        token = answer["nextForwardToken"]
        answer = logs.get_log_events(**where, nextToken=token)
        if answer["nextForwardToken"] == token:
            break
    else:
        pytest.fail("no end")
    assert found == [event["timestamp"] for event in events]


def test_events_of_a_stream_are_read_backwards(logs: Any) -> None:
    """Without a token the newest come first; the way back ends where its token stays."""
    logs.create_log_group(logGroupName="/a")
    logs.create_log_stream(logGroupName="/a", logStreamName="s")
    now = int(datetime.now(UTC).timestamp() * 1000)
    times = [now - 9000 + n * 1000 for n in range(5)]
    events = [{"timestamp": at, "message": "m"} for at in times]
    logs.put_log_events(logGroupName="/a", logStreamName="s", logEvents=events)
    where = {"logGroupName": "/a", "logStreamName": "s", "limit": 2}
    found: list[list[int]] = []
    answer = logs.get_log_events(**where)
    for _ in range(9):
        found.append([event["timestamp"] for event in answer["events"]])
        token = answer["nextBackwardToken"]
        answer = logs.get_log_events(**where, nextToken=token)
        if answer["nextBackwardToken"] == token:
            break
    else:
        pytest.fail("no end")
    assert [page for page in found if page] == [times[3:], times[1:3], times[:1]]
    assert answer["events"] == []


def test_too_old_and_too_new_events_are_rejected(logs: Any) -> None:
    """They are told of in the answer, and are not there."""
    logs.create_log_group(logGroupName="/a")
    logs.create_log_stream(logGroupName="/a", logStreamName="s")
    now = int(datetime.now(UTC).timestamp() * 1000)
    for at, key in (
        (now - 15 * DAY_MS, "tooOldLogEventEndIndex"),
        (now + 3 * HOUR_MS, "tooNewLogEventStartIndex"),
    ):
        written = logs.put_log_events(
            logGroupName="/a", logStreamName="s", logEvents=[{"timestamp": at, "message": "m"}]
        )
        assert key in written["rejectedLogEventsInfo"]
    assert logs.filter_log_events(logGroupName="/a")["events"] == []


def test_tagged_groups_are_known_to_the_tagging_api(aws: Account) -> None:
    """By the ARN that does not end in `:*`; who has no tags is left out."""
    for name, tags in (("/tagged", {"team": "shop"}), ("/bare", {})):
        aws["logs"].create_log_group(logGroupName=name, tags=tags)
    answer = aws["resourcegroupstaggingapi"].get_resources()
    assert answer["ResourceTagMappingList"] == [
        {"ResourceARN": arn_of("/tagged"), "Tags": [{"Key": "team", "Value": "shop"}]}
    ]
    assert not answer.get("PaginationToken")


def test_metric_that_nobody_published_has_no_points(aws: Account) -> None:
    """It is answered, completely, with nothing; an end before the start is refused."""
    metric = {"Namespace": "AWS/Logs", "MetricName": "IncomingLogEvents"}
    now = datetime.now(UTC)
    query = {"Id": "g0", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
    asked = {"MetricDataQueries": [query], "StartTime": now - timedelta(days=1), "EndTime": now}
    [result] = aws["cloudwatch"].get_metric_data(**asked)["MetricDataResults"]
    assert (result["Id"], result["StatusCode"], result["Values"]) == ("g0", "Complete", [])
    with pytest.raises(ClientError) as error:
        aws["cloudwatch"].get_metric_data(**asked | {"StartTime": now, "EndTime": now})
    assert code(error) == "ValidationError"
    del asked["MetricDataQueries"]
    found = aws["cloudwatch"].get_metric_statistics(
        **metric, Period=3600, Statistics=["Sum"], **asked
    )
    assert (found["Label"], found["Datapoints"]) == ("IncomingLogEvents", [])


def test_quotas_of_no_service_are_not_found(aws: Account) -> None:
    """NoSuchResourceException."""
    with pytest.raises(ClientError) as error:
        aws["service-quotas"].list_aws_default_service_quotas(ServiceCode="nosuch")
    assert code(error) == "NoSuchResourceException"


def test_tags_are_kept_either_way(logs: Any) -> None:
    """Tags put by ARN or by name are listed by both, until they are taken away."""
    logs.create_log_group(logGroupName="/a", tags={"one": "1"})
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/a"
    logs.tag_resource(resourceArn=arn, tags={"two": "2"})
    logs.tag_log_group(logGroupName="/a", tags={"three": "3"})
    tags = {"one": "1", "two": "2", "three": "3"}
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == tags
    assert logs.list_tags_log_group(logGroupName="/a")["tags"] == tags
    logs.untag_resource(resourceArn=arn, tagKeys=["one", "three"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"two": "2"}
    logs.untag_log_group(logGroupName="/a", tags=["two"])
    assert logs.list_tags_log_group(logGroupName="/a")["tags"] == {}


def test_caller_and_regions(aws: Account) -> None:
    """STS tells the account, EC2 the Regions."""
    assert aws["sts"].get_caller_identity()["Account"] == ACCOUNT
    regions = aws["ec2"].describe_regions()["Regions"]
    assert REGION in {region["RegionName"] for region in regions}


def test_role_of_the_account_is_assumed(aws: Account) -> None:
    """AssumeRole answers with keys that expire later."""
    role = f"arn:aws:iam::{ACCOUNT}:role/reader"
    credentials = aws["sts"].assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"] > datetime.now(UTC)


def test_no_functions_no_filters(aws: Account) -> None:
    """What nobody made is answered with an empty list."""
    aws["logs"].create_log_group(logGroupName="/a")
    assert aws["lambda"].list_functions()["Functions"] == []
    assert aws["logs"].describe_metric_filters(logGroupName="/a")["metricFilters"] == []
    found = aws["logs"].describe_subscription_filters(logGroupName="/a")
    assert found["subscriptionFilters"] == []


def test_metric_filters_are_described_as_they_were_put(logs: Any) -> None:
    """Name, pattern and metric."""
    logs.create_log_group(logGroupName="/a")
    metric = {"metricName": "Errors", "metricNamespace": "App", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName="/a",
        filterName="errors",
        filterPattern="ERROR",
        metricTransformations=[metric],
    )
    [found] = logs.describe_metric_filters(logGroupName="/a")["metricFilters"]
    assert (found["filterName"], found["filterPattern"]) == ("errors", "ERROR")
    assert found["metricTransformations"] == [metric]


def test_subscription_filters_are_described_as_they_were_put(logs: Any) -> None:
    """Name, pattern and destination; a third one is refused."""
    # moto looks whether the destination is there, and takes a log group for one.
    for name in ("/a", "/to"):
        logs.create_log_group(logGroupName=name)
    destination = arn_of("/to")
    for number in range(2):
        logs.put_subscription_filter(
            logGroupName="/a",
            filterName=f"f{number}",
            filterPattern="ERROR",
            destinationArn=destination,
        )
    found = logs.describe_subscription_filters(logGroupName="/a")["subscriptionFilters"]
    told = ("logGroupName", "filterName", "filterPattern", "destinationArn", "distribution")
    assert [[entry[key] for key in told] for entry in found] == [
        ["/a", f"f{number}", "ERROR", destination, "ByLogStream"] for number in range(2)
    ]
    with pytest.raises(ClientError) as error:
        logs.put_subscription_filter(
            logGroupName="/a", filterName="f2", filterPattern="", destinationArn=destination
        )
    assert code(error) == "LimitExceededException"


# ---- what is shown, and what is true -------------------------------------------------------------


def test_group_shows_all_that_it_is() -> None:
    """Policy, class, key, protection and filters are in the answer, and odd values override."""
    store = empty_store()
    add(
        store,
        "/a",
        policy="org",
        policy_days=90,
        retention=30,
        log_class="INFREQUENT_ACCESS",
        kms="key",
        protected=True,
        metric_filters=("f",),
        stored=7,
    )
    add(store, "/b", policy="forever", retention=30, odd={"storedBytes": ..., "creationTime": -1})
    with quick(store) as cloud:
        a, b = cloud.client("logs").describe_log_groups()["logGroups"]
    assert (a["retentionPolicyName"], a["retentionInDays"]) == ("org", 90)
    assert (a["logGroupClass"], a["kmsKeyId"]) == ("INFREQUENT_ACCESS", "key")
    assert (a["deletionProtectionEnabled"], a["metricFilterCount"], a["storedBytes"]) == (
        True,
        1,
        7,
    )
    assert b["retentionPolicyName"] == "forever"
    assert "retentionInDays" not in b
    assert "storedBytes" not in b
    assert b["creationTime"] == -1


def test_groups_by_identifiers() -> None:
    """Names and ARNs, at most 50; what does not exist is left out; not beside a prefix."""
    store = empty_store()
    for name in ("/a", "/b", "/c"):
        add(store, name)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/c"
        found = logs.describe_log_groups(logGroupIdentifiers=["/none", arn, "/a"])["logGroups"]
        assert [group["logGroupName"] for group in found] == ["/a", "/c"]
        elsewhere = arn.replace(REGION, "us-east-1"), arn.replace(ACCOUNT, OTHER)
        assert logs.describe_log_groups(logGroupIdentifiers=elsewhere)["logGroups"] == []
        for wrong in (
            {"logGroupIdentifiers": [f"/{n}" for n in range(51)]},
            {"logGroupIdentifiers": [arn + ":*"]},
            {"logGroupIdentifiers": ["/a"], "logGroupNamePrefix": "/a"},
            {"logGroupIdentifiers": ["/a"], "logGroupClass": "STANDARD"},
        ):
            with pytest.raises(ClientError) as error:
                logs.describe_log_groups(**wrong)
            assert code(error) == "InvalidParameterException"


def test_groups_by_pattern() -> None:
    """A pattern matches anywhere in the name, tells names, ARNs and times only, and is not allowed
    beside a prefix.
    """
    store = empty_store()
    for name in ("/a", "/a/b", "/ab", "/b/a", "/c"):
        add(store, name)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        found = flat(pages(logs.describe_log_groups, "logGroups", logGroupNamePattern="b", limit=2))
        assert [group["logGroupName"] for group in found] == ["/a/b", "/ab", "/b/a"]
        assert all(group.keys() == {"arn", "creationTime", "logGroupName"} for group in found)
        with pytest.raises(ClientError) as error:
            logs.describe_log_groups(logGroupNamePattern="b", logGroupNamePrefix="/a")
    assert code(error) == "InvalidParameterException"


def test_groups_by_class() -> None:
    """To ask for one of INFREQUENT_ACCESS and ESSENTIALS is to ask for both (botocore 1.44.5)."""
    store = empty_store()
    for log_class in ("STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"):
        add(store, f"/{log_class}", log_class=log_class)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for asked, wanted in (
            ("STANDARD", ["/STANDARD"]),
            ("DELIVERY", ["/DELIVERY"]),
            ("ESSENTIALS", ["/ESSENTIALS", "/INFREQUENT_ACCESS"]),
            ("INFREQUENT_ACCESS", ["/ESSENTIALS", "/INFREQUENT_ACCESS"]),
        ):
            found = logs.describe_log_groups(logGroupClass=asked)["logGroups"]
            assert [group["logGroupName"] for group in found] == wanted


def test_list_log_groups_by_name_class_and_tag() -> None:
    """ListLogGroups tells names, ARNs and classes only, up to 1,000 a page."""
    store = empty_store()
    for number in range(60):
        add(store, f"/app/{number:02d}", tags={"even": str(number % 2)} if number < 4 else None)
    add(store, "/other", log_class="INFREQUENT_ACCESS")
    with quick(store) as cloud:
        logs = cloud.client("logs")
        assert [len(page) for page in pages(logs.list_log_groups, "logGroups")] == [50, 11]
        assert len(logs.list_log_groups(limit=1000)["logGroups"]) == 61

        def names(**by: Any) -> list[str]:
            return [group["logGroupName"] for group in logs.list_log_groups(**by)["logGroups"]]

        assert names(logGroupNamePattern="^/other|app/59") == ["/app/59", "/other"]
        assert names(logGroupClass="INFREQUENT_ACCESS") == ["/other"]
        assert len(names(logGroupTags=[{"key": "even"}])) == 4
        assert len(names(logGroupTags=[{"key": "even", "values": ["1"]}])) == 2


def test_tagging_api_knows_log_groups() -> None:
    """GetResources finds what is tagged, by ARN, type and tag, and pages through all of it."""
    store = empty_store()
    for number in range(120):
        add(store, f"/{number:03d}", tags={"even": str(number % 2 == 0)})
    add(store, "/untagged")
    with quick(store) as cloud:
        tagging = cloud.client("resourcegroupstaggingapi")
        key, token = "ResourceTagMappingList", "PaginationToken"

        def found(**by: Any) -> list[str]:
            entries = flat(pages(tagging.get_resources, key, token, **by))
            return [entry["ResourceARN"].rpartition(":")[2] for entry in entries]

        assert len(found(ResourceTypeFilters=["logs:log-group"], ResourcesPerPage=100)) == 120
        assert len(found(TagFilters=[{"Key": "even", "Values": ["True"]}])) == 60
        assert found(ResourceTypeFilters=["lambda"]) == []
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
        wanted = [arn + name for name in ("/untagged", "/007", "/none")]
        assert found(ResourceARNList=wanted) == ["/007"]
        beside = [
            {"TagFilters": [{"Key": "even"}]},
            {"ResourceTypeFilters": ["logs"]},
            {"ResourcesPerPage": 100},
        ]
        for more in beside:
            with pytest.raises(ClientError) as error:
                tagging.get_resources(ResourceARNList=wanted, **more)
            assert code(error) == "InvalidParameterException"
        other = [
            arn_of("/007", "us-east-1"),
            arn_of("/007:*"),
            arn_of("/007").replace(ACCOUNT, OTHER),
        ]
        assert found(ResourceARNList=[*other, arn_of("/008"), arn_of("/008")]) == ["/008"]


def test_tagging_tokens_live_for_a_quarter_of_an_hour() -> None:
    """PaginationTokenExpiredException after that, InvalidParameterException for garbage (Resource
    Groups Tagging API reference).
    """
    clock, store = ManualClock(), empty_store()
    for number in range(60):
        add(store, f"/{number:02d}", tags={"a": "b"})
    with quick(store, clock=clock) as cloud:
        tagging = cloud.client("resourcegroupstaggingapi")
        token = tagging.get_resources()["PaginationToken"]
        clock.advance(900)
        assert len(tagging.get_resources(PaginationToken=token)["ResourceTagMappingList"]) == 10
        clock.advance(1)
        for wrong, said in (
            (token, "PaginationTokenExpiredException"),
            ("garbage", "InvalidParameterException"),
        ):
            with pytest.raises(ClientError) as error:
                tagging.get_resources(PaginationToken=wrong)
            assert code(error) == said


def test_what_is_asked_by_name_turns_no_row_into_a_group() -> None:
    """A million rows stay lean where the tags of each are asked for."""
    store = million(500, now=NOW).store
    place = store.region(ACCOUNT, REGION)
    with quick(store) as cloud:
        names = place.plain.names[:100]
        tagging = cloud.client("resourcegroupstaggingapi")
        answer = tagging.get_resources(ResourceARNList=[arn_of(name) for name in names])
        assert answer["ResourceTagMappingList"] == []
    assert place.groups == {}


def test_stream_times_lag() -> None:
    """What was written is shown only after the lag; a stream's own lag goes before the store's."""
    clock, store = ManualClock(), empty_store(stream=3600)
    group = add(store, "/a")
    store.add_stream(group, "usual", created=NOW - DAY_MS, events=[(NOW, 1, 10)])
    store.add_stream(group, "slow", created=NOW - DAY_MS, events=[(NOW, 1, 10)], lag=7200)
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")

        def shown() -> list[str]:
            streams = logs.describe_log_streams(logGroupName="/a")["logStreams"]
            assert all(stream["storedBytes"] == 0 for stream in streams)
            return [s["logStreamName"] for s in streams if "lastEventTimestamp" in s]

        assert shown() == []
        clock.advance(3600)
        assert shown() == ["usual"]
        clock.advance(3600)
        assert shown() == ["slow", "usual"]


def test_stored_bytes_and_metric_lag() -> None:
    """Bytes and the metric follow minutes later, and bytes go when the events expire."""
    clock, store = ManualClock(), empty_store(stored=600, metric=300)
    group = add(store, "/a", retention=1)
    store.add_stream(group, "s", created=NOW - DAY_MS, events=[(NOW, 3, 99)])
    with quick(store, clock=clock) as cloud:
        logs, metrics = cloud.client("logs"), cloud.client("cloudwatch")

        def stored() -> int:
            return int(logs.describe_log_groups()["logGroups"][0]["storedBytes"])

        assert (stored(), arrived(metrics, "/a", NOW - HOUR_MS)) == (0, [])
        clock.advance(300)
        assert (stored(), arrived(metrics, "/a", NOW - HOUR_MS)) == (0, [3.0])
        clock.advance(300)
        assert stored() == 99
        clock.advance(86_400 + 600)
        assert stored() == 0


def arrived(
    metrics: Any, name: str, since: int, until: int | None = None, period: int = 3600
) -> list[float]:
    [result] = metrics.get_metric_data(
        MetricDataQueries=[
            {
                "Id": "g0",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Logs",
                        "MetricName": "IncomingLogEvents",
                        "Dimensions": [{"Name": "LogGroupName", "Value": name}],
                    },
                    "Period": period,
                    "Stat": "Sum",
                },
            }
        ],
        StartTime=datetime.fromtimestamp(since / 1000, UTC),
        EndTime=datetime.fromtimestamp((until or NOW + DAY_MS) / 1000, UTC),
    )["MetricDataResults"]
    assert result["StatusCode"] == "Complete"
    return list(result["Values"])


def test_metric_knows_what_is_gone_for_15_months() -> None:
    """It tells of what was deleted, but nothing older, and nothing by too fine periods."""
    store = empty_store()
    group = add(store, "/a", 900)
    events = [(NOW - days * DAY_MS, days, 10) for days in (500, 400, 100, 1)]
    store.add_stream(group, "s", created=NOW - 900 * DAY_MS, events=events)
    store.remove_stream(group, "s")
    store.remove_group(group)
    with quick(store) as cloud:
        metrics = cloud.client("cloudwatch")
        assert arrived(metrics, "/a", NOW - 600 * DAY_MS) == [1.0, 100.0, 400.0]
        assert arrived(metrics, "/a", NOW - 2 * DAY_MS, period=60) == [1.0]
        assert arrived(metrics, "/a", NOW - 600 * DAY_MS, period=300) == []
        assert arrived(metrics, "/none", NOW - 600 * DAY_MS) == []


def test_metric_data_is_answered_in_parts() -> None:
    """More data points than asked for come with a token; more than 500 metrics are refused."""
    store = empty_store()
    metric = {"Namespace": "AWS/Logs", "MetricName": "IncomingLogEvents"}
    queries = []
    for number in range(3):
        group = add(store, f"/{number}")
        at = [(NOW - (hour + 1) * HOUR_MS, 1, 1) for hour in range(2)]
        store.add_stream(group, "s", created=NOW - DAY_MS, events=at)
        dimension = {"Name": "LogGroupName", "Value": group.name}
        stat = {"Metric": metric | {"Dimensions": [dimension]}, "Period": 3600, "Stat": "Sum"}
        queries.append({"Id": f"g{number}", "MetricStat": stat})
    span = {
        "StartTime": datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(days=1),
        "EndTime": datetime.fromtimestamp(NOW / 1000, UTC),
    }
    with quick(store) as cloud:
        metrics = cloud.client("cloudwatch")
        asked: dict[str, Any] = {"MetricDataQueries": queries, "MaxDatapoints": 4} | span
        found = pages(metrics.get_metric_data, "MetricDataResults", "NextToken", **asked)
        assert [[result["Id"] for result in page] for page in found] == [["g0", "g1"], ["g2"]]
        many = [queries[0] | {"Id": f"q{number}"} for number in range(501)]
        with pytest.raises(ClientError) as error:
            metrics.get_metric_data(MetricDataQueries=many, **span)
        assert code(error) == "ValidationError"
        statistics = metrics.get_metric_statistics(
            **metric,
            Dimensions=[{"Name": "LogGroupName", "Value": "/0"}],
            Period=3600,
            Statistics=["Sum"],
            **span,
        )
        assert sorted(point["Sum"] for point in statistics["Datapoints"]) == [1.0, 1.0]


def test_metric_of_many_points_comes_in_partial_results() -> None:
    """A metric that does not fit is PartialData, with a token for the rest of it."""
    store = empty_store()
    group = add(store, "/a")
    hours = range(5)
    events = [(NOW // HOUR_MS * HOUR_MS - hour * HOUR_MS, 1, 1) for hour in hours]
    store.add_stream(group, "s", created=NOW - DAY_MS, events=events)
    stat = {
        "Metric": {
            "Namespace": "AWS/Logs",
            "MetricName": "IncomingLogEvents",
            "Dimensions": [{"Name": "LogGroupName", "Value": "/a"}],
        },
        "Period": 3600,
        "Stat": "Sum",
    }
    with quick(store) as cloud:
        metrics = cloud.client("cloudwatch")
        asked = {
            "MetricDataQueries": [{"Id": "g0", "MetricStat": stat}],
            "StartTime": datetime.fromtimestamp((NOW - DAY_MS) // HOUR_MS * HOUR_MS / 1000, UTC),
            "EndTime": datetime.fromtimestamp(NOW / 1000 + 1, UTC),
            "MaxDatapoints": 2,
        }
        found = flat(pages(metrics.get_metric_data, "MetricDataResults", "NextToken", **asked))
        twice = asked["MetricDataQueries"] * 2
        for wrong in (twice, [{"Id": "G0", "MetricStat": stat}]):
            with pytest.raises(ClientError) as error:
                metrics.get_metric_data(**asked | {"MetricDataQueries": wrong})
            assert code(error) == "ValidationError"
    assert [result["StatusCode"] for result in found] == ["PartialData", "PartialData", "Complete"]
    times = flat([result["Timestamps"] for result in found])
    assert [int(at.timestamp() * 1000) for at in times] == [at for at, _, _ in events]


def test_start_is_rounded_down_by_its_age() -> None:
    """To the minute, after 15 days to five minutes, after 63 to the hour (botocore 1.44.5,
    GetMetricData): an event just before the start asked for counts if the rounded one is before it.
    """
    store = empty_store()
    group = add(store, "/a")
    asked = {}
    for days, seconds in ((10, 59), (40, 299), (100, 3599)):
        start = (NOW - days * DAY_MS) // HOUR_MS * HOUR_MS
        store.add_stream(group, f"{days}", created=NOW, events=[(start, days, 1)])
        asked[days] = start + seconds * 1000
    with quick(store) as cloud:
        metrics = cloud.client("cloudwatch")
        for days, start in asked.items():
            assert arrived(metrics, "/a", start, start + HOUR_MS, 3600) == [days]
            assert arrived(metrics, "/a", start + 1000, start + HOUR_MS, 3600) == []


def test_query_protocol_is_understood() -> None:
    """An older botocore's form fields become the parameters that newer ones send as JSON."""
    fields = {
        "Queries.member.1.Id": "g0",
        "Queries.member.1.Stat.Dimensions.member.1.Name": "LogGroupName",
        "Queries.member.2.Id": "g1",
        "StartTime": "2026-01-01T00:00:00Z",
    }
    assert nested(fields) == {
        "Queries": [
            {"Id": "g0", "Stat": {"Dimensions": [{"Name": "LogGroupName"}]}},
            {"Id": "g1"},
        ],
        "StartTime": "2026-01-01T00:00:00Z",
    }


def test_query_protocol_is_answered_in_xml() -> None:
    """A GetMetricData as form fields is answered in the shape that older botocores read."""
    store = empty_store()
    group = add(store, "/a")
    store.add_stream(group, "s", created=NOW - DAY_MS, events=[(NOW - HOUR_MS, 4, 1)])
    stat = "MetricDataQueries.member.1.MetricStat"
    fields = {
        "Action": "GetMetricData",
        "Version": "2010-08-01",
        "MetricDataQueries.member.1.Id": "g0",
        f"{stat}.Metric.Namespace": "AWS/Logs",
        f"{stat}.Metric.MetricName": "IncomingLogEvents",
        f"{stat}.Metric.Dimensions.member.1.Name": "LogGroupName",
        f"{stat}.Metric.Dimensions.member.1.Value": "/a",
        f"{stat}.Period": "3600",
        f"{stat}.Stat": "Sum",
        "StartTime": datetime.fromtimestamp(NOW / 1000 - 86_400, UTC).isoformat(),
        "EndTime": datetime.fromtimestamp(NOW / 1000, UTC).isoformat(),
    }
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA{ACCOUNT}/20270115/{REGION}/monitoring/aws4_request"
    headers = {
        "Authorization": signed,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    with quick(store) as cloud:
        request = urllib.request.Request(cloud.url, urlencode(fields).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            status, body = answer.status, answer.read()
    model = botocore.session.Session().get_service_model("cloudwatch")
    shape = model.operation_model("GetMetricData").output_shape
    told = {"body": body, "headers": {}, "status_code": status}
    [result] = QueryParser().parse(told, shape)["MetricDataResults"]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("g0", [4.0], "Complete")
    assert len(result["Timestamps"]) == 1


def test_never_written_streams_hide_a_live_one() -> None:
    """By last event, either way round, a live stream stands behind a page of unwritten ones."""
    store = empty_store()
    group = add(store, "/a")
    for number in range(60):
        store.add_stream(group, f"never/{number}", created=NOW - DAY_MS)
    store.add_stream(group, "live", created=NOW - DAY_MS, events=[(NOW, 1, 1)])
    store.add_stream(group, "lived", created=NOW - DAY_MS, events=[(NOW - 9, 1, 1)])
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for descending in (True, False):
            found = pages(
                logs.describe_log_streams,
                "logStreams",
                logGroupName="/a",
                orderBy="LastEventTime",
                descending=descending,
            )
            names = [stream["logStreamName"] for stream in flat(found)]
            assert "live" not in names[:50]
            assert sorted(names[-2:]) == ["live", "lived"]
            assert len(set(names)) == len(names) == 62
        with pytest.raises(ClientError):
            logs.describe_log_streams(
                logGroupName="/a", orderBy="LastEventTime", logStreamNamePrefix="x"
            )


def test_pages_may_be_empty_and_not_the_last() -> None:
    """With empty pages every listing is whole at its last token, and only there."""
    scenario = bench(300, now=NOW)
    store = scenario.store
    group = add(store, "/many", metric_filters=[f"f{n}" for n in range(60)], tags={"a": "b"})
    for number in range(120):
        store.add_stream(group, f"s{number:03d}", created=NOW, events=[(NOW - number, 1, 50)])
    with quick(store, empty_pages=0.4) as cloud:
        logs = cloud.client("logs")
        found = pages(logs.describe_log_groups, "logGroups")
        assert [] in found[:-1]
        assert len(flat(found)) == 301
        for method, key, count in (
            ("describe_log_streams", "logStreams", 120),
            ("filter_log_events", "events", 120),
            ("describe_metric_filters", "metricFilters", 60),
        ):
            call = getattr(logs, method)
            assert len(flat(pages(call, key, logGroupName="/many", limit=10))) == count
        where = {"logGroupName": "/many", "logStreamName": "s000", "startFromHead": True}
        stream = group.streams["s000"]
        for number in range(40):
            store.write(group, stream, NOW - 9000 + number)
        found, token = [], None
        while True:
            more = {} if token is None else {"nextToken": token}
            answer = logs.get_log_events(**where, limit=2, **more)
            if answer["nextForwardToken"] == token:
                break
            found.append(answer["events"])
            token = answer["nextForwardToken"]
        assert [] in found[1:-2], "an empty page in the midst"
        assert len(flat(found)) == 41
        tagging = cloud.client("resourcegroupstaggingapi")
        got = pages(tagging.get_resources, "ResourceTagMappingList", "PaginationToken")
        assert len(flat(got)) == 1


def test_tokens_expire_and_belong_to_their_call() -> None:
    """An old token, another call's and garbage are InvalidParameterException."""
    clock = ManualClock()
    with quick(bench(100, now=NOW).store, clock=clock, token_age=3600) as cloud:
        logs = cloud.client("logs")
        token = logs.describe_log_groups()["nextToken"]
        clock.advance(3599)
        assert logs.describe_log_groups(nextToken=token)["logGroups"]
        clock.advance(2)
        for method, wrong in (
            ("describe_log_groups", token),
            ("list_log_groups", logs.describe_log_groups()["nextToken"]),
            ("describe_log_groups", "garbage"),
        ):
            with pytest.raises(ClientError) as error:
                getattr(logs, method)(nextToken=wrong)
            assert code(error) == "InvalidParameterException"


def test_pages_go_on_after_the_group_that_they_ended_with_is_gone() -> None:
    """A token stands for a name, so deletions between two pages hide no other group."""
    with quick(bench(100, now=NOW).store) as cloud:
        logs = cloud.client("logs")
        first = logs.describe_log_groups()
        for group in first["logGroups"]:
            logs.delete_log_group(logGroupName=group["logGroupName"])
        rest = logs.describe_log_groups(nextToken=first["nextToken"])["logGroups"]
        assert len(rest) == 50


# ---- refusals ------------------------------------------------------------------------------------


def test_classes_refuse_what_they_do_not_serve() -> None:
    """DELIVERY takes no retention, INFREQUENT_ACCESS gives no events."""
    store = empty_store()
    add(store, "/delivery", log_class="DELIVERY")
    group = add(store, "/rare", log_class="INFREQUENT_ACCESS")
    store.add_stream(group, "s", created=NOW)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 1
        for method, parameters in (
            ("put_retention_policy", {"logGroupName": "/delivery", "retentionInDays": 30}),
            ("filter_log_events", {"logGroupName": "/rare"}),
            ("get_log_events", {"logGroupName": "/rare", "logStreamName": "s"}),
            ("put_retention_policy", {"logGroupName": "/rare", "retentionInDays": 31}),
        ):
            with pytest.raises(ClientError) as error:
                getattr(logs, method)(**parameters)
            assert code(error) == "InvalidParameterException"


def known_codes(client: Any, method: str) -> set[str]:
    """The codes of errors that botocore's service model has for a call."""
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    return {shape.name for shape in model.error_shapes}


def arn_of(name: str, region: str = REGION) -> str:
    return f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{name}"


@pytest.mark.parametrize(
    ("method", "parameters", "wanted"),
    [
        ("describe_log_groups", {"limit": 51}, "InvalidParameterException"),
        ("describe_log_groups", {"logGroupNamePrefix": "/a*"}, "InvalidParameterException"),
        ("describe_log_groups", {"logGroupClass": "GLACIAL"}, "InvalidParameterException"),
        ("list_log_groups", {"logGroupNamePattern": "ab|cd"}, "InvalidParameterException"),
        ("describe_log_streams", {"logGroupName": "/a", "limit": 51}, "InvalidParameterException"),
        (
            "describe_log_streams",
            {"logGroupName": "/a", "logGroupIdentifier": "/a"},
            "InvalidParameterException",
        ),
        ("describe_log_streams", {}, "InvalidParameterException"),
        ("describe_log_streams", {"logGroupIdentifier": arn_of("/a:*")}, None),
        ("describe_log_streams", {"logGroupIdentifier": arn_of("/a", "us-east-1")}, None),
        ("filter_log_events", {"logGroupName": "/a", "logStreamNames": ["s"] * 101}, None),
        ("filter_log_events", {"logGroupName": "/a", "logStreamNames": ["none"]}, None),
        ("delete_log_group", {"logGroupName": arn_of("/a")}, "InvalidParameterException"),
        ("delete_log_stream", {"logGroupName": "/safe", "logStreamName": "s"}, None),
        (
            "put_retention_policy",
            {"logGroupName": arn_of("/a"), "retentionInDays": 30},
            "InvalidParameterException",
        ),
        (
            "put_retention_policy",
            {"logGroupName": "/a", "retentionInDays": 0},
            "InvalidParameterException",
        ),
        ("create_log_group", {"logGroupName": "a b"}, "InvalidParameterException"),
        (
            "put_metric_filter",
            {
                "logGroupName": "/rare",
                "filterName": "f",
                "filterPattern": "",
                "metricTransformations": [
                    {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
                ],
            },
            "InvalidOperationException",
        ),
        (
            "put_subscription_filter",
            {
                "logGroupName": "/rare",
                "filterName": "f",
                "filterPattern": "",
                "destinationArn": "arn:aws:lambda:x",
            },
            "InvalidOperationException",
        ),
    ],
)
def test_refusals_are_those_that_the_service_model_knows(
    method: str, parameters: dict[str, Any], wanted: str | None
) -> None:
    """Each code is one that botocore's model of the call has; without `wanted` any of them."""
    store = empty_store()
    store.region(ACCOUNT, "us-east-1")
    add(store, "/a")
    add(store, "/rare", log_class="INFREQUENT_ACCESS")
    store.add_stream(add(store, "/safe", protected=True), "s", created=NOW)
    before = store.state()
    with quick(store) as cloud:
        logs = cloud.client("logs", ACCOUNT, REGION)
        with pytest.raises(ClientError) as error:
            getattr(logs, method)(**parameters)
    assert store.state() == before
    assert code(error) in known_codes(logs, method)
    assert wanted in (None, code(error))


def test_tags_are_not_told_by_the_arn_that_groups_are_listed_with() -> None:
    """`arn` ends in `:*`; the calls about tags take `logGroupArn` only and answer the other with
    ValidationException (boto3 issue 4104, cloud-nuke issue 1150).
    """
    store = empty_store()
    add(store, "/a", tags={"a": "b"})
    with quick(store) as cloud:
        logs = cloud.client("logs")
        [group] = logs.describe_log_groups()["logGroups"]
        with pytest.raises(ClientError) as error:
            logs.list_tags_for_resource(resourceArn=group["arn"])
        assert error.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": "Invalid resourceArn",
        }
        assert logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"] == {"a": "b"}
        with pytest.raises(ClientError) as elsewhere:
            logs.list_tags_for_resource(resourceArn=arn_of("/a", "us-east-1"))
    assert code(elsewhere) == "ResourceNotFoundException"


def test_parameters_that_nothing_here_heeds_are_refused_and_counted() -> None:
    """To leave a filter out would answer with more than was asked for."""
    store = empty_store()
    store.add_stream(add(store, "/a"), "s", created=NOW, events=[(NOW, 1, 100)])
    with quick(store) as cloud:
        logs = cloud.client("logs")
        with pytest.raises(ClientError) as error:
            logs.filter_log_events(logGroupName="/a", filterPattern="ERROR")
        assert code(error) == "UnknownOperationException"
        assert cloud.unknown == {"FilterLogEvents filterPattern": 1}


def test_what_a_group_has_of_its_own_is_read_as_it_was_put() -> None:
    """Policies, transformer, key, token authentication and subscription filters; with nothing
    there, the answers that the API reference and Terraform's provider tell of.
    """
    store = empty_store()
    add(store, "/a")
    named = {"logGroupIdentifier": "/a"}
    shipped = {"filterName": "ship", "filterPattern": "", "destinationArn": "arn:aws:lambda:x"}
    with quick(store) as cloud:
        logs = cloud.client("logs")
        assert "policyDocument" not in logs.get_data_protection_policy(**named)
        assert logs.describe_index_policies(logGroupIdentifiers=["/a"])["indexPolicies"] == []
        with pytest.raises(ClientError) as error:
            logs.get_transformer(**named)
        assert code(error) == "ResourceNotFoundException"
        logs.put_data_protection_policy(**named, policyDocument='{"Name": "p"}')
        logs.put_index_policy(**named, policyDocument='{"Fields": ["a"]}')
        logs.put_transformer(**named, transformerConfig=[{"parseJSON": {}}])
        logs.put_bearer_token_authentication(**named, bearerTokenAuthenticationEnabled=True)
        logs.associate_kms_key(logGroupName="/a", kmsKeyId="arn:aws:kms:x")
        logs.put_subscription_filter(logGroupName="/a", **shipped)
        assert logs.get_data_protection_policy(**named)["policyDocument"] == '{"Name": "p"}'
        [index] = logs.describe_index_policies(logGroupIdentifiers=["/a"])["indexPolicies"]
        assert (index["source"], index["policyDocument"]) == ("LOG_GROUP", '{"Fields": ["a"]}')
        assert logs.get_transformer(**named)["transformerConfig"] == [{"parseJSON": {}}]
        [group] = logs.describe_log_groups()["logGroups"]
        assert (group["kmsKeyId"], group["bearerTokenAuthenticationEnabled"]) == (
            "arn:aws:kms:x",
            True,
        )
        [found] = logs.describe_subscription_filters(logGroupName="/a")["subscriptionFilters"]
        assert shipped.items() <= found.items()


def test_only_standard_groups_have_policies_and_transformers() -> None:
    """The other classes refuse reading and writing them."""
    store = empty_store()
    add(store, "/rare", log_class="INFREQUENT_ACCESS")
    named = {"logGroupIdentifier": "/rare"}
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for method, parameters in (
            ("get_data_protection_policy", named),
            ("put_data_protection_policy", named | {"policyDocument": "{}"}),
            ("describe_index_policies", {"logGroupIdentifiers": ["/rare"]}),
            ("put_index_policy", named | {"policyDocument": "{}"}),
            ("get_transformer", named),
            ("put_transformer", named | {"transformerConfig": [{"parseJSON": {}}]}),
        ):
            with pytest.raises(ClientError) as error:
                getattr(logs, method)(**parameters)
            has_its_own = "InvalidOperationException" in known_codes(logs, method)
            kind = "Operation" if has_its_own else "Parameter"
            assert code(error) == f"Invalid{kind}Exception"


def test_protected_group_cannot_be_deleted() -> None:
    """ValidationException, the group stays, and the attempt is on record."""
    store = empty_store()
    add(store, "/a", protected=True)
    with quick(store) as cloud:
        with pytest.raises(ClientError) as error:
            cloud.client("logs").delete_log_group(logGroupName="/a")
        assert code(error) == "ValidationException"
        assert store.group(ACCOUNT, REGION, "/a") is not None
        verdict = cloud.judge()
    assert [change.group for change in verdict.protected] == ["/a"]
    assert verdict.deletions == []


def test_put_beneath_an_account_policy_is_wasted() -> None:
    """It succeeds and is counted; nothing expires by it and nothing shows it, but it is saved for
    the day on which the policy goes (botocore 1.44.5, PutRetentionPolicy).
    """
    store = empty_store()
    group = add(store, "/a", policy="forever", retention=30)
    store.add_stream(group, "s", created=group.created, events=[(NOW - 20 * DAY_MS, 1, 100)])
    with quick(store) as cloud:
        logs = cloud.client("logs")
        shown = logs.describe_log_groups()["logGroups"]
        logs.put_retention_policy(logGroupName="/a", retentionInDays=7)
        assert logs.describe_log_groups()["logGroups"] == shown
        assert len(logs.filter_log_events(logGroupName="/a")["events"]) == 1
        verdict = cloud.judge()
    [wasted] = verdict.wasted_puts
    assert (wasted.group, wasted.policy, wasted.alive) == ("/a", "forever", ())
    assert [(put.before, put.after) for put in verdict.overwritten] == [(30, 7)]
    assert group.retention == 7


def test_unknown_call_is_refused_and_counted() -> None:
    """UnknownOperationException, never an answer that looks like success."""
    with quick() as cloud:
        with pytest.raises(ClientError) as error:
            cloud.client("logs").describe_queries()
        with pytest.raises(ClientError):
            cloud.client("ec2").describe_vpcs()
        assert code(error) == "UnknownOperationException"
        assert cloud.unknown == {"DescribeQueries": 1, "DescribeVpcs": 1}
        assert cloud.calls == {}


def test_unknown_key_is_refused() -> None:
    """Keys of no account are told so in each protocol."""
    with quick() as cloud:
        session = boto3.Session("AKIANOBODY", "secret", region_name=REGION)
        for service, method, wanted in (
            ("logs", "describe_log_groups", "UnrecognizedClientException"),
            ("sts", "get_caller_identity", "InvalidClientTokenId"),
            ("ec2", "describe_regions", "AuthFailure"),
        ):
            client = session.client(service, endpoint_url=cloud.url, config=ONCE)
            with pytest.raises(ClientError) as error:
                getattr(client, method)()
            client.close()
            assert code(error) == wanted


# ---- accounts and Regions ------------------------------------------------------------------------


def test_accounts_and_regions_are_apart() -> None:
    """Each key sees its own account, each Region its own groups."""
    scenario = targets(accounts=2, regions=3, groups=20, now=NOW)
    with quick(scenario.store) as cloud:
        for account, region in scenario.store.regions:
            groups = cloud.client("logs", account, region).describe_log_groups()["logGroups"]
            assert len(groups) == 20
            assert all(f":{region}:{account}:" in group["arn"] for group in groups)
            assert cloud.client("sts", account).get_caller_identity()["Account"] == account
        regions = cloud.client("ec2").describe_regions()["Regions"]
        assert len(regions) == 3
        first = next(iter(scenario.store.regions))
        name = next(iter(scenario.store.region(*first).groups))
        cloud.client("logs", *first).delete_log_group(logGroupName=name)
        sizes = [len(region) for region in scenario.store.regions.values()]
    assert sizes == [19, 20, 20, 20, 20, 20]


def test_role_leads_to_another_account() -> None:
    """AssumeRole gives keys of the role's account; of an account that there is not, none."""
    store = empty_store()
    store.region(OTHER, REGION)
    with quick(store) as cloud:
        sts = cloud.client("sts", ACCOUNT)
        role = f"arn:aws:iam::{OTHER}:role/reader"
        keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        there = boto3.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], REGION
        ).client("sts", endpoint_url=cloud.url)
        assert there.get_caller_identity()["Account"] == OTHER
        there.close()
        with pytest.raises(ClientError) as error:
            sts.assume_role(RoleArn="arn:aws:iam::999999999999:role/x", RoleSessionName="test")
        assert code(error) == "AccessDenied"


def test_functions_are_listed_in_pages_and_invoked() -> None:
    """ListFunctions pages by marker; Invoke answers 202 and is recorded."""
    store = empty_store()
    functions = store.region(ACCOUNT, REGION).functions
    functions.update({f"f{number:02d}": None for number in range(60)}, custom="/custom")
    with quick(store) as cloud:
        client = cloud.client("lambda")
        first = client.list_functions()
        rest = client.list_functions(Marker=first["NextMarker"])
        found = {
            function["FunctionName"]: function["LoggingConfig"]["LogGroup"]
            for function in first["Functions"] + rest["Functions"]
        }
        assert (len(found), found["custom"], found["f59"]) == (61, "/custom", "/aws/lambda/f59")
        answer = client.invoke(FunctionName="f00", InvocationType="Event", Payload=b'{"a": 1}')
        assert answer["StatusCode"] == 202
        [invoked] = cloud.invoked
    assert (invoked["function"], invoked["type"], invoked["payload"]) == (
        "f00",
        "Event",
        b'{"a": 1}',
    )


def test_service_quotas_tell_applied_and_default_values() -> None:
    """An account's own quota is listed as applied, beside the default, and is in force."""
    store = empty_store()
    store.quotas[ACCOUNT, REGION, "DeleteLogGroup"] = 25.0

    def value(listed: list[list[dict[str, Any]]]) -> float:
        name = "DeleteLogGroup throttle limit in transactions per second"
        [quota] = [quota for quota in flat(listed) if quota["QuotaName"] == name]
        assert quota["QuotaCode"] == "L-07A912D5"
        return float(quota["Value"])

    with quick(store) as cloud:
        client = cloud.client("service-quotas")
        by = {"token": "NextToken", "ServiceCode": "logs"}
        assert value(pages(client.list_service_quotas, "Quotas", **by)) == 25.0
        assert value(pages(client.list_aws_default_service_quotas, "Quotas", **by)) == 10.0


# ---- quotas --------------------------------------------------------------------------------------


def failure(logs: Any) -> tuple[str, str, int] | None:
    """Code, message and status with which DescribeLogGroups was refused, if it was."""
    try:
        logs.describe_log_groups()
    except ClientError as error:
        said, status = error.response["Error"], error.response["ResponseMetadata"]
        return said["Code"], said["Message"], status["HTTPStatusCode"]
    return None


def test_quotas_limit_each_call_apart() -> None:
    """A second's calls are let through at once, then as many as the rate gives; no other waits."""
    clock, store = ManualClock(), targets(accounts=1, regions=2, groups=5, now=NOW).store
    with quick(store, quotas=True, clock=clock) as cloud:
        logs = cloud.client("logs")

        def allowed(tries: int) -> int:
            refused = [error for _ in range(tries) if (error := failure(logs)) is not None]
            assert set(refused) <= {("ThrottlingException", "Rate exceeded", 400)}
            return tries - len(refused)

        assert allowed(30) == 10
        logs.list_log_groups()
        cloud.client("logs", ACCOUNT, "us-east-1").describe_log_groups()
        clock.advance(0.5)
        assert allowed(30) == 5
        clock.advance(60)
        assert allowed(30) == 10
        verdict = cloud.judge()
    assert verdict.throttled == {"DescribeLogGroups": 65}
    assert verdict.calls["DescribeLogGroups"] == 91
    assert verdict.bounds["DescribeLogGroups"] == pytest.approx(2.5)
    assert verdict.bound == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("operation", "rate"),
    [("PutRetentionPolicy", 5), ("DescribeLogGroups", 10), ("DeleteLogStream", 15)],
)
@pytest.mark.parametrize(("share", "throttled"), [(0.5, 0.0), (1.0, 0.0), (1.1, 1 - 1 / 1.1)])
def test_who_keeps_to_a_quota_is_never_throttled(
    operation: str, rate: int, share: float, throttled: float
) -> None:
    """At the quota nothing is refused, however long it goes on; 10 % over, what is over."""
    clock = ManualClock()
    buckets = Buckets(empty_store(), clock)
    while buckets.take(ACCOUNT, REGION, operation):
        pass
    calls, refused = 10_000, 0
    for _ in range(calls):
        clock.advance(1 / (rate * share))
        refused += not buckets.take(ACCOUNT, REGION, operation)
    assert refused / calls == pytest.approx(throttled, abs=0.001)
    assert (refused == 0) == (throttled == 0)


def test_data_points_have_a_quota_of_their_own() -> None:
    """396,000 a second that are asked for, however few there are; 180,000 of the last three hours.

    500 metrics of 198 points each are 99,000: five such calls at once are one too many.
    """
    clock = ManualClock()

    def asked(days: float, period: int) -> dict[str, Any]:
        stat = {
            "Metric": {"Namespace": "AWS/Logs", "MetricName": "IncomingLogEvents"},
            "Period": period,
            "Stat": "Sum",
        }
        return {
            "MetricDataQueries": [{"Id": f"g{n}", "MetricStat": stat} for n in range(500)],
            "StartTime": datetime.fromtimestamp(clock.now() / 1000 - days * 86_400, UTC),
            "EndTime": datetime.fromtimestamp(clock.now() / 1000, UTC),
        }

    with quick(quotas=True, clock=clock) as cloud:
        metrics = cloud.client("cloudwatch")

        def passed(tries: int, parameters: dict[str, Any]) -> int:
            for number in range(tries):
                try:
                    metrics.get_metric_data(**parameters)
                except metrics.exceptions.ClientError as error:
                    return number if "(Throttling)" in str(error) else -1
            return tries

        assert passed(9, asked(198, 86_400)) == 4
        clock.advance(0.25)
        assert passed(9, asked(198, 86_400)) == 1
        clock.advance(60)
        assert passed(9, asked(180 / 1440, 60)) == 2
        clock.advance(60)
        assert passed(49, asked(10, 86_400)) == 49


def test_throttling_is_called_as_each_service_calls_it() -> None:
    """Codes as botocore's service models and error references have them."""
    codes = {}
    with quick(faults=lambda _call: THROTTLED) as cloud:
        for service, method, parameters in (
            ("logs", "describe_log_groups", {}),
            ("resourcegroupstaggingapi", "get_resources", {}),
            ("lambda", "list_functions", {}),
            ("service-quotas", "list_service_quotas", {"ServiceCode": "logs"}),
            ("ec2", "describe_regions", {}),
            ("sts", "get_caller_identity", {}),
        ):
            with pytest.raises(ClientError) as error:
                getattr(cloud.client(service), method)(**parameters)
            status = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
            codes[service] = (code(error), status)
        assert sum(cloud.throttled.values()) == 6
    assert codes == {
        "logs": ("ThrottlingException", 400),
        "resourcegroupstaggingapi": ("ThrottledException", 400),
        "lambda": ("TooManyRequestsException", 429),
        "service-quotas": ("TooManyRequestsException", 400),
        "ec2": ("RequestLimitExceeded", 503),
        "sts": ("Throttling", 400),
    }


# ---- faults --------------------------------------------------------------------------------------


def test_a_fault_of_the_simulator_itself_is_not_taken_for_an_answer_of_aws() -> None:
    """What breaks in an actor or a handler fails the test that met it."""

    def broken(_world: Any) -> None:
        raise KeyError("a slip in an actor")

    for actor in (Before("DescribeLogGroups", broken), Every(0.01, broken)):
        options = {} if isinstance(actor, Before) else {"clock": RealClock()}
        cloud = quick(meanwhile=[actor], **options)
        cloud.__enter__()
        logs = cloud.client("logs")
        while not cloud.broken:
            with contextlib.suppress(ClientError):
                logs.describe_log_groups()
        with pytest.raises(KeyError, match="a slip in an actor"):
            cloud.__exit__(None, None, None)


def test_reset_after_the_effect_has_the_effect() -> None:
    """The answer is lost, the deletion is not; reset before, nothing happened."""
    store = empty_store()
    for name in ("/a", "/b"):
        add(store, name)
    script = first_of(
        once("DeleteLogGroup", Reset(after=False), 1), once("DeleteLogGroup", Reset(after=True), 2)
    )
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs")
        for left in (["/a", "/b"], ["/b"]):
            with pytest.raises(ConnectionClosedError):
                logs.delete_log_group(logGroupName="/a")
            there = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
            assert there == left
        assert len(cloud.judge().deletions) == 1


def test_refusals_by_script() -> None:
    """Throttling, server errors before and after the effect, and denials are told apart."""
    store = empty_store()
    for name in ("/a", "/b"):
        add(store, name)
    script = first_of(
        once("DescribeLogGroups", THROTTLED),
        once("DeleteLogGroup", Refuse("InternalFailure", 500, after=True)),
        deny(operation="PutRetentionPolicy", group="/b"),
        deny(region="us-east-1"),
    )
    store.region(ACCOUNT, "us-east-1")
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs", ACCOUNT, REGION)
        for wanted, method, parameters in (
            ("ThrottlingException", "describe_log_groups", {}),
            ("InternalFailure", "delete_log_group", {"logGroupName": "/a"}),
            (
                "AccessDeniedException",
                "put_retention_policy",
                {"logGroupName": "/b", "retentionInDays": 30},
            ),
        ):
            with pytest.raises(ClientError) as error:
                getattr(logs, method)(**parameters)
            assert code(error) == wanted
        with pytest.raises(ClientError) as denied:
            cloud.client("logs", ACCOUNT, "us-east-1").describe_log_groups()
        assert code(denied) == "AccessDeniedException"
        for service, method, wanted in (
            ("ec2", "describe_regions", "UnauthorizedOperation"),
            ("sts", "get_caller_identity", "AccessDenied"),
            ("lambda", "list_functions", "AccessDeniedException"),
        ):
            with pytest.raises(ClientError) as denied:
                getattr(cloud.client(service, ACCOUNT, "us-east-1"), method)()
            assert code(denied) == wanted
            assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            said = denied.value.response["Error"]["Message"]
            assert ("not authorized to perform: " in said) == (service != "ec2")
        assert [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]] == ["/b"]
        assert cloud.throttled == {"DescribeLogGroups": 1}


def test_garbage_is_sent_as_it_is() -> None:
    """A body that is no JSON reads as an empty answer, which is why callers must look twice."""
    script = once("DescribeLogGroups", Garbage(b"{not json"))
    store = empty_store()
    add(store, "/a")
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs")
        assert "logGroups" not in logs.describe_log_groups()
        assert len(logs.describe_log_groups()["logGroups"]) == 1


def test_slow_answer_holds_up_nobody_else() -> None:
    """While one caller runs into its timeout, others are answered."""
    script = once("DescribeLogGroups", Slow(30))
    with quick(faults=script) as cloud:
        impatient = Config(read_timeout=0.2, retries={"total_max_attempts": 1, "mode": "standard"})
        with pytest.raises((ReadTimeoutError, ConnectTimeoutError)):
            cloud.session().client("logs", config=impatient).describe_log_groups()
        assert cloud.client("logs").describe_log_groups()["logGroups"] == []


def test_faults_by_rate_are_the_same_for_a_seed() -> None:
    """Two runs with one seed fail alike, another seed otherwise."""

    def failures(seed: int) -> list[str]:
        rates = Rates(seed=seed, throttle=0.2, unavailable=0.2, reset_before=0.2)
        seen: list[str] = []
        with quick(faults=rates) as cloud:
            logs = cloud.client("logs")
            for _ in range(40):
                try:
                    logs.describe_log_groups()
                    seen.append("")
                except ClientError as error:
                    seen.append(str(error.response["Error"]["Code"]))
                except ConnectionClosedError:
                    seen.append("reset")
        return seen

    first = failures(1)
    assert {"", "reset", "ThrottlingException", "ServiceUnavailableException"} == set(first)
    assert first == failures(1)
    assert first != failures(2)


# ---- the judge -----------------------------------------------------------------------------------


def test_judge_sees_what_a_deletion_took_away() -> None:
    """Events inside the retention in force are alive; expired ones are not."""
    store = empty_store()
    for name, days in (("/alive", 20), ("/expired", 40)):
        group = add(store, name, retention=30)
        events = [(NOW - days * DAY_MS, 2, 200)]
        store.add_stream(group, "s", created=NOW - 60 * DAY_MS, events=events)
    add(store, "/bytes", stored=5)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        logs.delete_log_stream(logGroupName="/expired", logStreamName="s")
        for name in ("/alive", "/expired", "/bytes"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert {change.group for change in verdict.wrong_deletions} == {"/alive", "/bytes"}
    assert verdict.wrong_sweeps == []
    assert [len(change.alive) for change in verdict.deletions] == [1, 0, 0]


def test_judge_measures_the_time_since_the_last_look() -> None:
    """By name or by its streams counts as a look at a group; a page of all groups does not."""
    clock, store = ManualClock(), empty_store()
    for name in ("/a", "/b", "/c"):
        add(store, name)
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        logs.describe_log_groups()
        logs.describe_log_groups(logGroupNamePrefix="/a")
        clock.advance(3)
        logs.describe_log_streams(logGroupName="/b")
        clock.advance(2)
        for name in ("/a", "/b", "/c"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [5, 2, None]
    assert verdict.longest_look == 5
    assert [change.group for change in verdict.unlooked] == ["/c"]


def test_last_stream_takes_the_stored_bytes_with_it() -> None:
    """Bytes whose single events are not known are in a stream, at last in the only one."""
    store = empty_store()
    group = add(store, "/a", stored=7)
    for name in ("s", "t"):
        store.add_stream(group, name, created=group.created)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for name in ("s", "t"):
            logs.delete_log_stream(logGroupName="/a", logStreamName=name)
        verdict = cloud.judge()
    assert [sweep.stream for sweep in verdict.sweeps] == ["s", "t"]
    assert [(sweep.stream, sweep.alive_bytes) for sweep in verdict.wrong_sweeps] == [("t", 7)]


def test_verdict_tells_how_long_it_took_beside_how_long_it_had_to() -> None:
    """From the first call to the last one; a call that is not known here is none."""
    clock, store = ManualClock(), empty_store()
    add(store, "/a")
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        assert (cloud.judge().seconds, cloud.judge().bound) == (0, 0)
        clock.advance(100)
        for _ in range(20):
            logs.describe_log_groups()
            clock.advance(0.5)
        with contextlib.suppress(ClientError):
            logs.describe_queries()
        verdict = cloud.judge()
    assert (verdict.seconds, verdict.bound) == (9.5, 2)
    assert verdict.summary()["seconds"] == 9.5


def test_an_answer_that_never_arrived_is_no_look() -> None:
    """Garbage, a reset and an error after the effect tell the caller nothing of the group."""
    clock, store = ManualClock(), empty_store()
    group = add(store, "/a")
    store.add_stream(group, "s", created=NOW)
    lost = (Garbage(b"{}"), Reset(after=True), Refuse("InternalFailure", 500, after=True))
    script = first_of(
        *(once("DescribeLogStreams", fault, nth) for nth, fault in enumerate(lost, 1)),
        *(once("DescribeLogGroups", fault, nth) for nth, fault in enumerate(lost, 1)),
    )
    with quick(store, clock=clock, faults=script) as cloud:
        logs = cloud.client("logs")

        for _ in lost:
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_groups(logGroupNamePrefix="/a")
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_streams(logGroupName="/a")
        logs.delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert verdict.calls == {"DescribeLogGroups": 3, "DescribeLogStreams": 3, "DeleteLogGroup": 1}
    assert [change.look for change in verdict.deletions] == [None]


def test_streams_were_looked_at_when_their_reading_began() -> None:
    """The first page of many is as old as the reading when the last one comes; a page that was
    empty and not the last is no look by itself.
    """
    clock, store = ManualClock(), empty_store()
    for name in ("/whole", "/empty"):
        group = add(store, name)
        for number in range(120):
            store.add_stream(group, f"s{number:03d}", created=NOW)
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        token = {}
        for _ in range(3):
            answer = logs.describe_log_streams(logGroupName="/whole", **token)
            token = {"nextToken": answer.get("nextToken")}
            clock.advance(10)
        cloud.world.empty_pages = 1
        logs.describe_log_streams(logGroupName="/empty")
        for name in ("/whole", "/empty"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [30, None]


def test_retention_that_was_taken_away_is_overwritten() -> None:
    """As a put of other days; where there was none, nothing was."""
    store = empty_store()
    add(store, "/had", retention=30)
    add(store, "/never")
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for name in ("/had", "/never"):
            logs.delete_retention_policy(logGroupName=name)
        verdict = cloud.judge()
    assert [(c.group, c.before, c.after) for c in verdict.overwritten] == [("/had", 30, None)]
    assert verdict.puts == []


def test_retention_once_shortened_brings_nothing_back() -> None:
    """A put that deletes events says which; lengthening it again does not make them alive."""
    store = empty_store()
    group = add(store, "/a")
    ages = (400, 100, 1)
    events = [(NOW - days * DAY_MS, 1, 100) for days in ages]
    store.add_stream(group, "s", created=group.created, events=events)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for days in (365, 30, 3653):
            logs.put_retention_policy(logGroupName="/a", retentionInDays=days)
        assert len(logs.filter_log_events(logGroupName="/a")["events"]) == 1
        verdict = cloud.judge()
    assert [len(put.alive) for put in verdict.puts] == [1, 1, 0]
    assert [(put.before, put.after) for put in verdict.overwritten] == [(365, 30), (30, 3653)]
    assert len(group.alive(NOW)) == 1


# ---- meanwhile -----------------------------------------------------------------------------------


def test_actors_change_things_between_calls() -> None:
    """Before a named call, as time passes, or at random: the caller is not blamed for it."""
    clock, store = ManualClock(), empty_store()
    for name in ("/a", "/b"):
        add(store, name)

    def drop_b(world: Any) -> None:
        delete(world, world.store.group(ACCOUNT, REGION, "/b"))

    def write_a(world: Any) -> None:
        write(world, world.store.group(ACCOUNT, REGION, "/a"))

    actors = [Before("DescribeLogStreams", drop_b, group="/a"), Every(10, write_a)]
    with quick(store, clock=clock, meanwhile=actors) as cloud:
        logs = cloud.client("logs")
        assert len(logs.describe_log_groups()["logGroups"]) == 2
        clock.advance(25)
        [stream] = logs.describe_log_streams(logGroupName="/a")["logStreams"]
        assert stream["lastEventTimestamp"] == NOW + 25_000
        assert len(logs.describe_log_groups()["logGroups"]) == 1
        assert cloud.judge().deletions == []


def test_made_again_under_the_same_name_is_another_group() -> None:
    """Its creation time is the later one."""
    clock, store = ManualClock(), empty_store()
    add(store, "/a", retention=30)
    random = Random(seed=1, chance=1.0, kinds=["recreate"])
    with quick(store, clock=clock, meanwhile=[random]) as cloud:
        clock.advance(60)
        [group] = cloud.client("logs").describe_log_groups()["logGroups"]
    assert group["creationTime"] == NOW + 60_000
    assert "retentionInDays" not in group
    assert random.done == [("recreate", "/a")]


def test_random_actors_do_everything_they_can() -> None:
    """Each kind of change happens and leaves a store that answers."""
    random = Random(seed=3, chance=1.0)
    with quick(messy(300, now=NOW).store, meanwhile=[random]) as cloud:
        logs = cloud.client("logs")
        for _ in range(60):
            logs.describe_log_groups()
        assert logs.describe_log_groups()["logGroups"]
        assert cloud.judge().wrong_deletions == []
    assert {kind for kind, _ in random.done} == set(random.kinds)


# ---- scenarios and size --------------------------------------------------------------------------


def test_copies_are_independent_and_states_compare() -> None:
    """A copy stays as it was while the original changes."""
    scenario = messy(400, now=NOW)
    copy = scenario.store.copy()
    assert copy.state() == scenario.store.state() == messy(400, now=NOW).store.state()
    assert messy(400, seed=1, now=NOW).store.state() != copy.state()
    group = next(group for group in scenario.store.groups() if group.streams)
    scenario.store.write(group, next(iter(group.streams)), NOW)
    assert copy.state() != scenario.store.state()


def test_what_is_expected_to_go_holds_nothing() -> None:
    """Every group that a scenario expects to be deleted is empty, old and unprotected in truth."""
    for scenario in (bench(2_000, now=NOW), messy(1_000, now=NOW)):
        assert min(scenario.count(verdict) for verdict in ("delete", "retention", "keep")) > 0
        assert scenario.count("delete") < len(scenario.expected) / 4
        for key, wanted in scenario.expected.items():
            group = scenario.store.group(*key)
            assert group is not None
            alive = group.alive(NOW)
            if wanted.delete:
                assert not alive
                assert not group.stored
                assert not group.protected
                assert "janitor:keep" not in group.tags
                assert NOW - group.created > ((group.days or 365) + 7) * DAY_MS


def test_misses_tell_what_went_otherwise() -> None:
    """Nothing done misses all that was to be done; the right thing done misses nothing of it."""
    scenario = bench(200, now=NOW)
    before = scenario.store.copy()
    due = scenario.count("delete") + scenario.count("retention")
    assert len(scenario.misses(before)) == due
    for (_, _, name), wanted in scenario.expected.items():
        group = scenario.store.group(ACCOUNT, REGION, name)
        assert group is not None
        if wanted.delete:
            scenario.store.remove_group(group)
        elif wanted.days is not None:
            scenario.store.set_retention(group, wanted.days, NOW)
    assert scenario.misses(before) == []
    kept = next(key for key, wanted in scenario.expected.items() if wanted.verdict == "keep")
    group = scenario.store.group(*kept)
    assert group is not None
    scenario.store.remove_group(group)
    assert len(scenario.misses(before)) == 1


class Counted(list[str]):
    """Names that count how often one of them is looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.looked += 1
            yield name


def test_million_groups_cost_the_same_at_either_end() -> None:
    """A page deep in a list of a million looks at no more names than one at its start: its own,
    and those of a search by halves.
    """
    scenario = million(now=NOW)
    place = scenario.store.region(ACCOUNT, REGION)
    assert len(place) == 1_000_000
    names = place.plain.names = Counted(place.plain.names)
    with quick(scenario.store) as cloud:
        logs = cloud.client("logs")
        for name in ("/app/service-0000000", "/app/service-0500000", "/app/service-0999900"):
            token = cloud.world.token("DescribeLogGroups", name)
            names.looked = 0
            assert len(logs.describe_log_groups(nextToken=token)["logGroups"]) == 50
            assert 50 <= names.looked < 50 * 4 + 40
        assert place.groups == {}
        found = logs.describe_log_groups(logGroupNamePrefix="/app/service-0999999")["logGroups"]
        assert len(found) == 1
        logs.put_retention_policy(logGroupName="/app/service-0999999", retentionInDays=1)
        logs.delete_log_group(logGroupName="/app/service-0500000")
        [stream] = logs.describe_log_streams(logGroupName="/app/service-0500001")["logStreams"]
        assert stream["logStreamName"] == "application"
        assert len(cloud.judge().wrong_deletions) == 1
    assert len(place) == 999_999


def test_copies_of_a_million_share_their_rows() -> None:
    """A deletion in one copy is none in the other."""
    store = million(50_000, now=NOW).store
    copy = store.copy()
    group = store.group(ACCOUNT, REGION, "/app/service-0000007")
    assert group is not None
    store.remove_group(group)
    assert copy.group(ACCOUNT, REGION, "/app/service-0000007") is not None
    assert store.group(ACCOUNT, REGION, "/app/service-0000007") is None


def test_a_share_of_faults_that_is_none_is_refused() -> None:
    """Seven kinds of more than a tenth each might be more than all calls."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.cloud", "--faults", "0.5"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert "0 to 0.1" in process.stderr


def test_serves_as_a_process_of_its_own() -> None:
    """It says where it is, serves until its input ends, and tells the verdict."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cloud", "--groups", "60", "--latency", "0", "--jitter", "0"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        variables = told["environment"]
        client = boto3.Session(
            variables["AWS_ACCESS_KEY_ID"],
            variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_REGION"],
        ).client("logs", endpoint_url=told["url"], config=ONCE)
        assert len(flat(pages(client.describe_log_groups, "logGroups"))) == 60
        client.close()
        process.stdin.close()
        verdict = json.loads(process.stdout.readline())
    assert process.returncode == 0
    assert verdict["calls"] == {"DescribeLogGroups": 2}
