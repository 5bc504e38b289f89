"""Log groups and streams: what is shown of the truth, in what pages."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.core.clock import DAY_MS
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import (
    NOW,
    OTHER,
    add,
    arn,
    empty_store,
    flat,
    logs_of,
    names,
    pages,
    refusal,
    still,
)

ELSEWHERE = {"resourceIdentifier": arn("/a", "us-east-1"), "kmsKeyId": "arn:aws:kms:x"}
PATTERN = {"logGroupName": "/a", "filterPattern": "ERROR"}


def test_group_shows_what_is_odd() -> None:
    """Odd values override, or take away; another account's ARN too."""
    store, linked = empty_store(), arn("/b").replace("123456789012", OTHER)
    odd = {"storedBytes": ..., "creationTime": -1, "logGroupArn": linked, "arn": f"{linked}:*"}
    add(store, "/b", odd=odd)
    [b] = still(store).client("logs").describe_log_groups()["logGroups"]
    assert (b["creationTime"], b["logGroupArn"], "storedBytes" in b) == (-1, linked, False)


def test_groups_by_identifiers() -> None:
    """Names of this account, at most 50; what does not exist is left out; not beside a filter."""
    logs = logs_of("/a", "/b", "/c")
    assert names(logs, logGroupIdentifiers=["/none", "/c", "/a"]) == ["/a", "/c"]
    for wrong in (
        {"logGroupIdentifiers": [f"/{n}" for n in range(51)]},
        {"logGroupIdentifiers": [arn("/c")]},
        {"logGroupIdentifiers": ["/a"], "logGroupNamePrefix": "/a"},
        {"logGroupIdentifiers": ["/a"], "logGroupClass": "STANDARD"},
    ):
        assert refusal(logs, "describe_log_groups", **wrong) == "InvalidParameterException"


def test_groups_by_pattern() -> None:
    """A pattern matches anywhere in the name, and shows names, ARNs and times only."""
    logs = logs_of("/a", "/a/b", "/ab", "/b/a", "/c")
    found = flat(pages(logs.describe_log_groups, "logGroups", logGroupNamePattern="b", limit=2))
    assert [group["logGroupName"] for group in found] == ["/a/b", "/ab", "/b/a"]
    assert all(group.keys() == {"arn", "creationTime", "logGroupName"} for group in found)


def test_groups_by_class() -> None:
    """To ask for one of INFREQUENT_ACCESS and ESSENTIALS is to ask for both (botocore 1.44.5)."""
    store = empty_store()
    for log_class in ("STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"):
        add(store, f"/{log_class}", log_class=log_class)
    logs = still(store).client("logs")
    for asked, wanted in (
        ("STANDARD", ["/STANDARD"]),
        ("DELIVERY", ["/DELIVERY"]),
        ("ESSENTIALS", ["/ESSENTIALS", "/INFREQUENT_ACCESS"]),
        ("INFREQUENT_ACCESS", ["/ESSENTIALS", "/INFREQUENT_ACCESS"]),
    ):
        assert names(logs, logGroupClass=asked) == wanted


# ---- page tokens ---------------------------------------------------------------------------------


def test_tokens_expire_and_belong_to_their_call() -> None:
    """After 24 hours, for another call, and garbage: InvalidParameterException."""
    clock, store = ManualClock(), empty_store()
    for number in range(100):
        add(store, f"/{number:03d}")
    logs = still(store, clock=clock).client("logs")
    token = logs.describe_log_groups()["nextToken"]
    clock.advance(86_400)
    assert logs.describe_log_groups(nextToken=token)["logGroups"]
    clock.advance(1)
    fresh = logs.describe_log_groups()["nextToken"]
    for method, wrong in (
        ("describe_log_groups", token),
        ("describe_metric_filters", fresh),
        ("describe_log_groups", "garbage"),
    ):
        assert refusal(logs, method, nextToken=wrong) == "InvalidParameterException"


@pytest.mark.parametrize(
    ("tokens", "deleted", "wanted"),
    [
        ("name", ["/01", "/03"], ["/04", "/05", "/06", "/07"]),
        ("offset", ["/01", "/03"], ["/06", "/07"]),
        ("offset", ["/02"], ["/05", "/06", "/07"]),
        ("end", ["/01"], ["/04", "/05", "/06", "/07"]),
        ("end", ["/01", "/03"], []),
        ("end", ["/04"], []),
        ("refused", ["/01"], ["/04", "/05", "/06", "/07"]),
        ("refused", ["/03"], None),
        ("refused", ["/04"], None),
    ],
)
def test_pages_after_groups_have_gone(
    tokens: Any, deleted: list[str], wanted: list[str] | None
) -> None:
    """AWS does not say if listing goes on, skips, ends or is refused: it can do any of these."""
    store = empty_store()
    for number in range(8):
        add(store, f"/0{number}")
    logs = still(store, unknowns=Unknowns(tokens=tokens)).client("logs")
    first = logs.describe_log_groups(limit=4)
    for name in deleted:
        logs.delete_log_group(logGroupName=name)
    rest = {"limit": 4, "nextToken": first["nextToken"]}
    if wanted is None:
        assert refusal(logs, "describe_log_groups", **rest) == "InvalidParameterException"
        return
    answer = logs.describe_log_groups(**rest)
    assert [group["logGroupName"] for group in answer["logGroups"]] == wanted
    assert "nextToken" not in answer


def test_groups_are_listed_twice() -> None:
    """As each page may begin with the last entry of the one before, or as a new group moves all."""
    store = empty_store()
    for number in range(6):
        add(store, f"/0{number}")
    logs = still(store, unknowns=Unknowns(listed_twice=True)).client("logs")
    assert names(logs, limit=4) == ["/00", "/01", "/02", "/03", "/03", "/04", "/05"]
    assert len(names(logs, limit=1)) == 6
    logs = still(store, unknowns=Unknowns(tokens="offset")).client("logs")
    token = logs.describe_log_groups(limit=3)["nextToken"]
    logs.create_log_group(logGroupName="/000")
    assert names(logs, nextToken=token) == ["/02", "/03", "/04", "/05"]


def test_filters_by_prefix() -> None:
    """Those of a group whose names begin so; of all groups, the prefix is not heeded (botocore
    1.44.5, DescribeMetricFilters).
    """
    logs = logs_of("/a", "/b", metric_filters=("one", "two"), subscriptions=("three", "two"))
    by = {"logGroupName": "/a", "filterNamePrefix": "tw"}
    for kind, key in (("metric", "metricFilters"), ("subscription", "subscriptionFilters")):
        found = getattr(logs, f"describe_{kind}_filters")(**by)[key]
        assert [(one["logGroupName"], one["filterName"]) for one in found] == [("/a", "two")]
    assert len(logs.describe_metric_filters(filterNamePrefix="tw")["metricFilters"]) == 4


# ---- streams -------------------------------------------------------------------------------------


def test_never_written_streams_hide_a_live_one() -> None:
    """By last event, either way round, a live stream stands behind a page of unwritten ones."""
    store = empty_store()
    group = add(store, "/a")
    for number in range(60):
        store.add_stream(group, f"never/{number}", created=NOW - DAY_MS)
    store.add_stream(group, "live", created=NOW - DAY_MS, events=[(NOW, 1, 1)])
    store.add_stream(group, "lived", created=NOW - DAY_MS, events=[(NOW - 9, 1, 1)])
    logs = still(store).client("logs")
    for descending in (True, False):
        by: dict[str, Any] = {"orderBy": "LastEventTime", "descending": descending}
        found = flat(pages(logs.describe_log_streams, "logStreams", logGroupName="/a", **by))
        listed = [stream["logStreamName"] for stream in found]
        assert "live" not in listed[:50]
        assert listed[-2:] == (["live", "lived"] if descending else ["lived", "live"])
        assert len(set(listed)) == len(listed) == 62


# ---- changes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("create_log_group", {"logGroupName": "aws/a"}, "InvalidParameterException"),
        (
            "put_index_policy",
            {"logGroupIdentifier": "/a", "policyDocument": "{"},
            "InvalidParameterException",
        ),
        ("filter_log_events", PATTERN, "UnknownOperationException"),
        ("describe_log_groups", {"includeLinkedAccounts": True}, "UnknownOperationException"),
        ("describe_queries", {}, "UnknownOperationException"),
        ("associate_kms_key", ELSEWHERE, "ResourceNotFoundException"),
    ],
)
def test_what_is_reserved_or_not_heeded_here_is_refused(
    method: str, parameters: Any, code: str
) -> None:
    """To leave a filter out would answer with more than was asked for, as if it were all."""
    store = empty_store()
    add(store, "/a")
    assert refusal(still(store).client("logs"), method, **parameters) == code
