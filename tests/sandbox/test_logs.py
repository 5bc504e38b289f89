"""Log groups, streams and events: what is shown of the truth, in what pages."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.core.clock import DAY_MS
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import INVALID, MISSING, NOW, OTHER, UNKNOWN, Still, add, arn

CLASSES = {"/a": "STANDARD", "/a/b": "INFREQUENT_ACCESS", "/ab": "ESSENTIALS", "/b/a": "DELIVERY"}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"logGroupIdentifiers": ["/none", "/b/a", "/a"]}, ["/a", "/b/a"]),
        ({"logGroupIdentifiers": [f"/{n}" for n in range(51)]}, INVALID),
        ({"logGroupIdentifiers": [arn("/a")]}, INVALID),
        ({"logGroupIdentifiers": ["/a"], "logGroupNamePrefix": "/a"}, INVALID),
        ({"logGroupIdentifiers": ["/a"], "logGroupClass": "STANDARD"}, INVALID),
        ({"logGroupNamePattern": "b", "limit": 2}, ["/a/b", "/ab", "/b/a"]),
        ({"logGroupClass": "STANDARD"}, ["/a"]),
        ({"logGroupClass": "DELIVERY"}, ["/b/a"]),
        # To ask for one of the two is to ask for both (botocore 1.44.5).
        ({"logGroupClass": "ESSENTIALS"}, ["/a/b", "/ab"]),
        ({"logGroupClass": "INFREQUENT_ACCESS"}, ["/a/b", "/ab"]),
    ],
)
def test_groups_are_selected(asked: dict[str, Any], wanted: Any) -> None:
    """By names of this account, at most 50 and not beside a filter, where what does not exist is
    left out; by a pattern, which matches anywhere and shows names, ARNs and times only; by class.
    """
    account = Still()
    for name, log_class in CLASSES.items():
        add(account.store, name, log_class=log_class)
    assert account.names(**asked) == wanted
    if "logGroupNamePattern" in asked:
        shown = account.ask("describe_log_groups", "logGroups[].keys(@)[]", **asked)
        assert set(shown) == {"arn", "creationTime", "logGroupName"}


def test_group_shows_what_is_odd() -> None:
    """Odd values override, or take away; another account's ARN too."""
    linked = arn("/b", account=OTHER)
    odd = {"storedBytes": ..., "creationTime": -1, "logGroupArn": linked, "arn": f"{linked}:*"}
    [b] = Still("/b", having={"odd": odd}).ask("describe_log_groups", "logGroups")
    assert (b["creationTime"], b["logGroupArn"], "storedBytes" in b) == (-1, linked, False)


# ---- page tokens ---------------------------------------------------------------------------------


def test_tokens_expire_and_belong_to_their_call() -> None:
    """After 24 hours, for another call, and garbage: InvalidParameterException."""
    account = Still(*(f"/{number:03d}" for number in range(100)))
    logs = account.client("logs")
    token = logs.describe_log_groups()["nextToken"]
    account.time.advance(86_400)
    assert len(account.names(nextToken=token)) == 50
    account.time.advance(1)
    fresh = logs.describe_log_groups()["nextToken"]
    for method, wrong in (
        ("describe_log_groups", token),
        ("describe_metric_filters", fresh),
        ("describe_log_groups", "garbage"),
    ):
        assert account.ask(method, nextToken=wrong) == INVALID


def test_groups_are_listed_twice() -> None:
    """As each page may begin with the last entry of the one before, or as a new group moves all."""
    account = Still(*(f"/0{number}" for number in range(6)), unknowns=Unknowns(listed_twice=True))
    assert account.names(limit=4) == ["/00", "/01", "/02", "/03", "/03", "/04", "/05"]
    assert len(account.names(limit=1)) == 6
    account = Still(store=account.store, unknowns=Unknowns(tokens="offset"))
    token = account.client("logs").describe_log_groups(limit=3)["nextToken"]
    account.do("create_log_group", logGroupName="/000")
    assert account.names(nextToken=token) == ["/02", "/03", "/04", "/05"]


def test_filters_by_prefix() -> None:
    """Those of a group whose names begin so; of all groups, the prefix is not heeded (botocore
    1.44.5, DescribeMetricFilters).
    """
    having = {"metric_filters": ("one", "two"), "subscriptions": ("three", "two")}
    account, by = Still("/a", "/b", having=having), {"filterNamePrefix": "tw"}
    for kind in ("metric", "subscription"):
        query = f"{kind}Filters[].[logGroupName, filterName]"
        found = account.ask(f"describe_{kind}_filters", query, logGroupName="/a", **by)
        assert found == [["/a", "two"]]
    assert len(account.ask("describe_metric_filters", "metricFilters", **by)) == 4


# ---- streams and events --------------------------------------------------------------------------


def test_never_written_streams_hide_a_live_one() -> None:
    """By last event, either way round, a live stream stands behind a page of unwritten ones."""
    account = Still("/a")
    [group] = account.store.groups()
    written = {"live": [(NOW, 1, 1)], "lived": [(NOW - 9, 1, 1)]}
    for name in (*(f"never/{number}" for number in range(60)), *written):
        events = written.get(name, ())
        account.store.add_stream(group, name, created=NOW - DAY_MS, events=events)
    for descending, last in ((True, ["live", "lived"]), (False, ["lived", "live"])):
        by = {"logGroupName": "/a", "orderBy": "LastEventTime", "descending": descending}
        listed = account.ask("describe_log_streams", "logStreams[].logStreamName", **by)
        assert listed[-2:] == last
        assert len(set(listed)) == len(listed) == 62


def test_pages_of_a_stream_may_be_empty_before_its_end() -> None:
    """GetLogEvents is at its end where the token stays, not where a page is empty."""
    account = Still("/a", empty_pages=0.4)
    events = [(NOW - 9000 + number, 1, 50) for number in range(40)]
    account.store.add_stream(account.here.groups["/a"], "s", created=NOW - DAY_MS, events=events)
    for token, head in (("nextForwardToken", True), ("nextBackwardToken", False)):
        asked: dict[str, Any] = {"logGroupName": "/a", "logStreamName": "s", "limit": 2}
        asked["startFromHead"], found = head, list[list[int]]()
        while (answer := account.ask("get_log_events", **asked))[token] != asked.get("nextToken"):
            found.append([event["timestamp"] for event in answer["events"]])
            asked["nextToken"] = answer[token]
            assert len(found) < 1000
        assert [] in found[1:-2]
        assert sorted(at for page in found for at in page) == [at for at, _, _ in events]


def test_events_must_be_put_in_their_order() -> None:
    """InvalidParameterException, as LocalStack recorded it of AWS; none of them is there."""
    account, stream = Still("/a"), {"logGroupName": "/a", "logStreamName": "s"}
    account.do("create_log_stream", **stream)
    events = [{"timestamp": NOW - number, "message": "m"} for number in range(2)]
    assert account.ask("put_log_events", **stream, logEvents=events) == INVALID
    assert account.ask("filter_log_events", "events", logGroupName="/a") == []


# ---- refusals ------------------------------------------------------------------------------------

ELSEWHERE = {"resourceIdentifier": arn("/a", "us-east-1"), "kmsKeyId": "arn:aws:kms:x"}


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("create_log_group", {"logGroupName": "aws/a"}, INVALID),
        ("put_index_policy", {"logGroupIdentifier": "/a", "policyDocument": "{"}, INVALID),
        ("filter_log_events", {"logGroupName": "/a", "filterPattern": "ERROR"}, UNKNOWN),
        ("describe_log_groups", {"includeLinkedAccounts": True}, UNKNOWN),
        ("describe_queries", {}, UNKNOWN),
        ("associate_kms_key", ELSEWHERE, MISSING),
        ("delete_data_protection_policy", {"logGroupIdentifier": "/a"}, MISSING),
    ],
)
def test_what_is_reserved_or_not_heeded_here_is_refused(
    method: str, parameters: Any, code: str
) -> None:
    """To leave a filter out would answer with more than was asked for, as if it were all."""
    assert Still("/a").ask(method, **parameters) == code
