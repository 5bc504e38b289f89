"""What holds on moto and on the sandbox, and is not asked of AWS: there it comes late, belongs to
the whole account, or needs other resources.
"""

from __future__ import annotations

from datetime import UTC, datetime

from tests.sandbox.asking import REGION, ask
from tests.sandbox.contract.backend import Backend
from tests.sandbox.contract.test_everywhere import now, written


def test_written_stream_shows_its_times(backend: Backend) -> None:
    """First and last event and the ingestion are shown; a stream never written shows none."""
    times = written(backend, "written")
    backend.ask("create_log_stream", of="/a", logStreamName="never")
    query = "logStreams[].[firstEventTimestamp, lastEventTimestamp, lastIngestionTime]"
    never, shown = backend.ask("describe_log_streams", query, of="/a")
    assert never[1] is None
    assert shown[:2] == [times[0], times[-1]]
    assert abs(shown[2] - now()) < 60_000


def test_listing_after_the_next_group_is_gone(backend: Backend) -> None:
    """moto's token is that name, and ends the listing silently when nobody has it: a reader misses
    groups. AWS does not say what it does; by default the sandbox goes on.
    """
    backend.make("/0", "/1", "/2", "/3")
    asked = {"logGroupNamePrefix": backend.prefix, "limit": 2}
    first = backend["logs"].describe_log_groups(**asked)
    backend.ask("delete_log_group", of="/2")
    left = backend.names(limit=2, nextToken=first["nextToken"])
    assert left == ([] if backend.kind == "moto" else ["/3"])


def test_tagged_groups_are_known_to_the_tagging_api(backend: Backend) -> None:
    """By the ARN that does not end in `:*`; who has no tags is left out."""
    backend.make("/tagged", tags={"team": "shop"})
    backend.make("/bare")
    answer = backend["resourcegroupstaggingapi"].get_resources()
    tags = [{"Key": "team", "Value": "shop"}]
    wanted = [{"ResourceARN": backend.arn("/tagged"), "Tags": tags}]
    assert answer["ResourceTagMappingList"] == wanted
    assert not answer.get("PaginationToken")


def test_subscription_filters_are_described_as_they_were_put(backend: Backend) -> None:
    """Name, pattern and destination, until they are deleted; a third one is refused."""
    # moto looks whether the destination is there, and takes a log group for one.
    backend.make("/a", "/to")
    put = [
        {"filterName": f"f{number}", "filterPattern": "", "destinationArn": backend.arn("/to")}
        for number in range(3)
    ]
    said = [backend.ask("put_subscription_filter", of="/a", **one) for one in put]
    assert said[2] == "LimitExceededException"
    found = backend.ask("describe_subscription_filters", "subscriptionFilters", of="/a")
    for one, shown in zip(put[:2], found, strict=True):
        assert one.items() <= shown.items()
        backend.ask("delete_subscription_filter", of="/a", filterName=one["filterName"])
    assert backend.ask("describe_subscription_filters", "subscriptionFilters", of="/a") == []


def test_role_of_the_account_is_assumed(backend: Backend) -> None:
    """AssumeRole answers with keys that expire later."""
    role = {"RoleArn": f"arn:aws:iam::{backend.account}:role/reader", "RoleSessionName": "test"}
    credentials = ask(backend["sts"], "assume_role", "Credentials", **role)
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"] > datetime.now(UTC)


def test_nothing_is_answered_with_an_empty_list(backend: Backend) -> None:
    """Functions that nobody made."""
    assert backend.region == REGION
    assert ask(backend["lambda"], "list_functions", "Functions") == []
