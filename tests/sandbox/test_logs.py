"""Log groups, streams and filters: what is shown of the truth, in what pages, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import (
    ANSWERED,
    ELSEWHERE,
    INVALID,
    MISSING,
    NOW,
    OTHER,
    UNKNOWN,
    VALIDATION,
    Still,
    add,
    arn,
    empty_store,
    outcome,
)

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
        ({"logGroupClass": "DELIVERY"}, ["/b/a"]),
        ({"logGroupClass": "STANDARD", "logGroupNamePrefix": "/a"}, ["/a"]),
        # To ask for one of the two is to ask for both (botocore 1.44.5).
        ({"logGroupClass": "ESSENTIALS"}, ["/a/b", "/ab"]),
        ({"logGroupClass": "INFREQUENT_ACCESS", "limit": 1}, ["/a/b", "/ab"]),
    ],
)
def test_groups_are_selected(asked: dict[str, Any], wanted: Any) -> None:
    """By at most 50 names of this account, leaving out what does not exist; by a pattern, which
    matches anywhere and shows names, ARNs and creation times only; or by class.
    """
    account = Still()
    for name, log_class in CLASSES.items():
        add(account.store, name, log_class=log_class)
    assert account.names(**asked) == wanted
    if "logGroupNamePattern" in asked:
        shown = account.ask("describe_log_groups", "logGroups[].keys(@)[]", **asked)
        assert set(shown) == {"arn", "creationTime", "logGroupName"}


def test_odd_values_override() -> None:
    """They replace or remove what a group shows, and may be another account's ARN."""
    linked = arn("/b", account=OTHER)
    odd = {"storedBytes": ..., "creationTime": -1, "logGroupArn": linked, "arn": f"{linked}:*"}
    [b] = Still("/b", having={"odd": odd}).ask("describe_log_groups", "logGroups")
    assert (b["creationTime"], b["logGroupArn"], "storedBytes" in b) == (-1, linked, False)


def test_tokens_expire_and_belong_to_their_call() -> None:
    """After 24 hours, for another call, or if garbage, a token is an InvalidParameterException."""
    account = Still(*(f"/{number:03d}" for number in range(100)))
    token = account.do("describe_log_groups")["nextToken"]
    account.time.advance(86_400)
    assert len(account.names(nextToken=token)) == 50
    account.time.advance(1)
    fresh = account.do("describe_log_groups")["nextToken"]
    for wrong in (token, "garbage"):
        assert account.ask("describe_log_groups", nextToken=wrong) == INVALID
    asked = {"logGroupName": "/001", "nextToken": fresh}
    assert account.ask("describe_log_streams", **asked) == INVALID


def test_groups_are_listed_twice() -> None:
    """Pages may repeat the last entry of the page before; or a new group moves all others."""
    account = Still(*(f"/0{number}" for number in range(6)), unknowns=Unknowns(listed_twice=True))
    assert account.names(limit=4) == ["/00", "/01", "/02", "/03", "/03", "/04", "/05"]
    assert len(account.names(limit=1)) == 6
    account = Still(store=account.store, unknowns=Unknowns(tokens="offset"))
    token = account.do("describe_log_groups", limit=3)["nextToken"]
    account.do("create_log_group", logGroupName="/000")
    assert account.names(nextToken=token) == ["/02", "/03", "/04", "/05"]


def test_metric_filters_of_all_groups() -> None:
    """They are listed whatever the prefix (botocore 1.44.5, DescribeMetricFilters)."""
    account = Still("/a", "/b", having={"metric_filters": ("one", "two")})
    query = "metricFilters[].[filterName, logGroupName]"
    found = account.ask("describe_metric_filters", query, filterNamePrefix="tw", limit=1)
    assert found == [["one", "/a"], ["one", "/b"], ["two", "/a"], ["two", "/b"]]


# ---- streams and events --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("descending", "last"), [(True, ["live", "old"]), (False, ["old", "live"])]
)
def test_never_written_streams_hide_a_live_one(descending: bool, last: list[str]) -> None:
    """By last event, either way round, a live stream stands behind a page of unwritten ones."""
    account = Still("/a")
    written = {"live": [(NOW, 1, 1)], "old": [(NOW - 9, 1, 1)]}
    for name in (*(f"never/{number}" for number in range(60)), *written):
        events = written.get(name, ())
        account.store.add_stream(account.here.groups["/a"], name, created=0, events=events)
    by = {"logGroupName": "/a", "orderBy": "LastEventTime", "descending": descending}
    listed = account.ask("describe_log_streams", "logStreams[].logStreamName", **by)
    assert listed[-2:] == last
    assert len(set(listed)) == len(listed) == 62


def test_pages_of_a_stream_may_be_empty_before_its_end() -> None:
    """GetLogEvents is at its end where the token stays, not where a page is empty."""
    account = Still("/a", empty_pages=0.4)
    times = [NOW - 9000 + number for number in range(40)]
    events = [(at, 1, 50) for at in times]
    account.store.add_stream(account.here.groups["/a"], "s", created=0, events=events)
    for token, head in (("nextForwardToken", True), ("nextBackwardToken", False)):
        asked: dict[str, Any] = {"logGroupName": "/a", "logStreamName": "s", "limit": 2}
        asked["startFromHead"], found = head, list[list[int]]()
        while (answer := account.do("get_log_events", **asked))[token] != asked.get("nextToken"):
            found.append([event["timestamp"] for event in answer["events"]])
            asked["nextToken"] = answer[token]
            assert len(found) < 1000
        assert [] in found[1:-2]
        assert sorted(at for page in found for at in page) == times


# ---- refusals ------------------------------------------------------------------------------------

AWAY = {"resourceIdentifier": arn("/a", ELSEWHERE), "kmsKeyId": "arn:aws:kms:x"}


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("create_log_group", {"logGroupName": "aws/a"}, INVALID),
        ("put_index_policy", {"logGroupIdentifier": "/a", "policyDocument": "{"}, INVALID),
        ("filter_log_events", {"logGroupName": "/a", "filterPattern": "ERROR"}, UNKNOWN),
        ("describe_metric_filters", {"metricName": "m", "metricNamespace": "n"}, UNKNOWN),
        ("describe_log_groups", {"includeLinkedAccounts": True}, UNKNOWN),
        ("describe_queries", {}, UNKNOWN),
        ("associate_kms_key", AWAY, MISSING),
    ],
)
def test_reserved_and_unsupported_is_refused(method: str, parameters: Any, code: str) -> None:
    """To ignore a filter would answer with more than was asked for."""
    assert Still("/a").ask(method, **parameters) == code


# ---- log classes and Regions ---------------------------------------------------------------------

STANDARD = "This operation is only supported on the Standard log class."
DELIVERY = "This operation is not supported for Delivery log class"
EVENTS = "The log group /a is of log-group-class {}. {} is not supported for this log class."
_METRIC = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
_FILTER = {"filterName": "f", "filterPattern": ""}
CALLS: dict[str, dict[str, Any]] = {
    "put_metric_filter": {**_FILTER, "metricTransformations": [_METRIC]},
    "delete_metric_filter": {"filterName": "f"},
    "put_subscription_filter": {**_FILTER, "destinationArn": "arn:aws:lambda:x"},
    "delete_subscription_filter": {"filterName": "f"},
    "get_data_protection_policy": {},
    "put_data_protection_policy": {"policyDocument": "{}"},
    "delete_data_protection_policy": {},
    "describe_index_policies": {"logGroupIdentifiers": ["/a"]},
    "put_index_policy": {"policyDocument": "{}"},
    "get_transformer": {},
    "put_transformer": {"transformerConfig": [{"parseJSON": {}}]},
}
"""Features that only class STANDARD has, by AWS's reference."""


def classed(log_class: str, **unknowns: Any) -> Any:
    """A client of an account with group `/a` of this class."""
    account = Still("/a", having={"log_class": log_class}, unknowns=Unknowns(**unknowns))
    account.store.add_stream(account.here.groups["/a"], "s", created=NOW)
    return account.client("logs")


def refusal(logs: Any, method: str, **more: Any) -> tuple[str, str]:
    """Code and message of a call about `/a`."""
    by_name = any(word in method for word in ("filter", "retention", "events"))
    name: Any = {"logGroupName" if by_name else "logGroupIdentifier": "/a"}
    return outcome(logs, method, **({} if "logGroupIdentifiers" in more else name), **more)[:2]


@pytest.mark.parametrize("log_class", ["INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"])
@pytest.mark.parametrize("code", [VALIDATION, "InvalidOperationException"])
def test_other_classes_refuse_what_only_standard_has(log_class: str, code: Any) -> None:
    """With the codes and messages of public reports (janitor/sandbox/classes.py), and with whatever
    code AWS may use where nobody reported one.
    """
    logs, standard, there = classed(log_class, class_code=code), classed("STANDARD"), set[str]()
    for method, more in CALLS.items():
        assert refusal(logs, method, **more) == (code, STANDARD), method
        there.add(refusal(standard, method, **more)[0])
    assert there == {"answered", MISSING}
    for kind in ("metric", "subscription"):
        assert refusal(logs, f"describe_{kind}_filters") == (VALIDATION, STANDARD)
    for operation, method, more in (
        ("FilterLogEvents", "filter_log_events", {}),
        ("GetLogEvents", "get_log_events", {"logStreamName": "s"}),
    ):
        message = EVENTS.format(log_class, operation)
        assert refusal(logs, method, **more) == ("InvalidOperationException", message)
    served = classed(log_class, subscription_filters="served")
    assert served.describe_subscription_filters(logGroupName="/a")["subscriptionFilters"] == []


def test_delivery_keeps_two_days_and_takes_no_retention() -> None:
    """It shows `retentionInDays: 2`, which nobody can put; the other classes take retention."""
    logs, put = classed("DELIVERY"), {"retentionInDays": 30}
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 2
    assert refusal(logs, "put_retention_policy", **put) == (VALIDATION, DELIVERY)
    assert refusal(logs, "delete_retention_policy") == (VALIDATION, DELIVERY)
    for log_class in ("STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS"):
        assert refusal(classed(log_class), "put_retention_policy", **put) == ANSWERED[:2]


# ---- tags ----------------------------------------------------------------------------------------


def indexed(account: Still, **by: Any) -> Any:
    """The tags of each group that the index lists, by name; or the error code."""
    found = account.ask("resourcegroupstaggingapi.get_resources", "ResourceTagMappingList", **by)
    if isinstance(found, str):
        return found
    return {
        one["ResourceARN"].rpartition(":")[2]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in found
    }


def test_index_goes_by_arn_or_type() -> None:
    """By at most 100 ARNs and no type, or in pages; only the caller's tagged groups are found."""
    account = Still("/x", empty_pages=0.4)
    every = {f"/{number:03d}": {"number": str(number)} for number in range(120)}
    for name, tags in every.items():
        add(account.store, name, tags=tags)
    not_ours = [arn("/007", ELSEWHERE), arn("/007:*"), arn("/007", account=OTHER)]
    arns = [*not_ours, arn("/none"), arn("/x"), arn("/008")]
    assert indexed(account, ResourceARNList=arns) == {"/008": every["/008"]}
    assert indexed(account, ResourceARNList=[arn(str(number)) for number in range(101)]) == INVALID
    for beside in ({"ResourceTypeFilters": ["logs"]}, {"ResourcesPerPage": 100}):
        assert indexed(account, ResourceARNList=arns, **beside) == INVALID
    for by in ({}, {"ResourceTypeFilters": ["lambda", "logs:log-group"], "ResourcesPerPage": 7}):
        assert indexed(account, **by) == every
    assert indexed(account, ResourceTypeFilters=["lambda"]) == {}
    assert indexed(account, TagFilters=[{"Key": "number"}]) == UNKNOWN


def test_index_lags_behind_the_groups_own_tags() -> None:
    """For added tags, for removed ones, and for a deleted group."""
    account, a = Still(store=empty_store(tags=60)), {"resourceArn": arn("/a")}
    both: dict[str, Any] = {"ResourceARNList": [arn("/a"), arn("/new")]}
    add(account.store, "/a", tags={"team": "shop"})
    account.do("tag_resource", **a, tags={"keep": "1"})
    account.time.advance(30)
    account.do("untag_resource", **a, tagKeys=["team"])
    assert account.ask("list_tags_for_resource", "tags", **a) == {"keep": "1"}
    for wanted in ({"team": "shop"}, {"team": "shop", "keep": "1"}, {"keep": "1"}):
        assert indexed(account, **both) == {"/a": wanted}
        account.time.advance(30)
    account.do("delete_log_group", logGroupName="/a")
    account.do("create_log_group", logGroupName="/new", tags={"a": "b"})
    assert indexed(account, **both) == indexed(account) == {"/a": {"keep": "1"}}
    account.time.advance(60)
    assert indexed(account, **both) == {"/new": {"a": "b"}}


def test_tags_are_bounded() -> None:
    """A group has at most 50, and nobody can add AWS's own."""
    account = Still("/a", having={"tags": {str(number): "" for number in range(49)}})
    for tags, code in (
        ({"aws:cloudformation:stack-name": "s"}, INVALID),
        ({"a": "", "b": ""}, "TooManyTagsException"),
    ):
        assert account.ask("tag_resource", resourceArn=arn("/a"), tags=tags) == code
    assert len(account.ask("list_tags_for_resource", "tags", resourceArn=arn("/a"))) == 49
