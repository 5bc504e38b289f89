"""What holds on moto and on the sandbox, and is not asked of AWS: there it comes late, belongs to
the whole account, or needs other resources.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tests.sandbox.asking import REGION
from tests.sandbox.contract.backend import Backend
from tests.sandbox.contract.test_everywhere import now, written


def test_written_stream_shows_its_times(backend: Backend) -> None:
    """First and last event and the ingestion are shown; a stream never written shows none."""
    times = written(backend, "written")
    named = {"logGroupName": backend.name("/a")}
    backend["logs"].create_log_stream(**named, logStreamName="never")
    listed = backend["logs"].describe_log_streams(**named)["logStreams"]
    streams = {stream["logStreamName"]: stream for stream in listed}
    shown = streams["written"]
    assert (shown["firstEventTimestamp"], shown["lastEventTimestamp"]) == (times[0], times[-1])
    assert abs(shown["lastIngestionTime"] - now()) < 60_000
    assert "lastEventTimestamp" not in streams["never"]


def test_listing_after_the_next_group_is_gone(backend: Backend) -> None:
    """moto's token is that name, and ends the listing silently when nobody has it: a reader misses
    groups. AWS does not say what it does; by default the sandbox goes on.
    """
    backend.make("/0", "/1", "/2", "/3")
    asked = {"logGroupNamePrefix": backend.prefix, "limit": 2}
    first = backend["logs"].describe_log_groups(**asked)
    backend["logs"].delete_log_group(logGroupName=backend.name("/2"))
    rest = backend["logs"].describe_log_groups(**asked, nextToken=first["nextToken"])
    left = [group["logGroupName"].removeprefix(backend.prefix) for group in rest["logGroups"]]
    assert left == ([] if backend.kind == "moto" else ["/3"])


def test_tagged_groups_are_known_to_the_tagging_api(backend: Backend) -> None:
    """By the ARN that does not end in `:*`; who has no tags is left out."""
    backend.make("/tagged", tags={"team": "shop"})
    backend.make("/bare")
    answer = backend["resourcegroupstaggingapi"].get_resources()
    tags = [{"Key": "team", "Value": "shop"}]
    assert answer["ResourceTagMappingList"] == [
        {"ResourceARN": backend.arn("/tagged"), "Tags": tags}
    ]
    assert not answer.get("PaginationToken")


def test_subscription_filters_are_described_as_they_were_put(backend: Backend) -> None:
    """Name, pattern and destination, until they are deleted; a third one is refused."""
    # moto looks whether the destination is there, and takes a log group for one.
    backend.make("/a", "/to")
    logs, named = backend["logs"], {"logGroupName": backend.name("/a")}
    put = [
        {"filterName": f"f{number}", "filterPattern": "", "destinationArn": backend.arn("/to")}
        for number in range(3)
    ]
    for one in put[:2]:
        logs.put_subscription_filter(**named, **one)
    said, _ = backend.outcome("logs", "put_subscription_filter", **named, **put[2])
    assert said == "LimitExceededException"
    found = logs.describe_subscription_filters(**named)["subscriptionFilters"]
    for one, shown in zip(put[:2], found, strict=True):
        assert one.items() <= shown.items()
        logs.delete_subscription_filter(**named, filterName=one["filterName"])
    assert logs.describe_subscription_filters(**named)["subscriptionFilters"] == []


def test_role_of_the_account_is_assumed(backend: Backend) -> None:
    """AssumeRole answers with keys that expire later."""
    role = {"RoleArn": f"arn:aws:iam::{backend.account}:role/reader", "RoleSessionName": "test"}
    credentials = backend["sts"].assume_role(**role)["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"] > datetime.now(UTC)


def test_nothing_is_answered_with_an_empty_list(backend: Backend) -> None:
    """Functions that nobody made."""
    assert backend.region == REGION
    assert backend["lambda"].list_functions()["Functions"] == []
