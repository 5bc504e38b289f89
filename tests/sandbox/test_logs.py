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
    OTHER,
    UNKNOWN,
    VALIDATION,
    Still,
    add,
    arn,
    empty_store,
    outcome,
)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"logGroupIdentifiers": ["/none", "/b/a", "/a"]}, ["/a", "/b/a"]),
        ({"logGroupIdentifiers": [f"/{n}" for n in range(51)]}, INVALID),
        ({"logGroupIdentifiers": [arn("/a")]}, INVALID),
        ({"logGroupIdentifiers": ["/a"], "logGroupNamePrefix": "/a"}, INVALID),
        ({"logGroupNamePattern": "b", "limit": 2}, ["/a/b", "/ab", "/b/a"]),
    ],
)
def test_groups_are_selected(asked: dict[str, Any], wanted: Any) -> None:
    """By at most 50 names of this account, leaving out what does not exist; or by a pattern, which
    matches anywhere and shows names, ARNs and creation times only.
    """
    account = Still("/a", "/a/b", "/ab", "/b/a")
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


AWAY = {"resourceIdentifier": arn("/a", ELSEWHERE), "kmsKeyId": "arn:aws:kms:x"}


@pytest.mark.parametrize(
    ("method", "parameters", "code"),
    [
        ("create_log_group", {"logGroupName": "aws/a"}, INVALID),
        ("put_index_policy", {"logGroupIdentifier": "/a", "policyDocument": "{"}, INVALID),
        ("filter_log_events", {"logGroupName": "/a", "filterPattern": "ERROR"}, UNKNOWN),
        ("describe_log_streams", {"logGroupName": "/a", "orderBy": "LastEventTime"}, UNKNOWN),
        ("describe_log_streams", {"logGroupName": "/a", "descending": True}, UNKNOWN),
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
    "put_subscription_filter": {**_FILTER, "destinationArn": "arn:aws:lambda:x"},
    "get_data_protection_policy": {},
    "put_data_protection_policy": {"policyDocument": "{}"},
    "describe_index_policies": {"logGroupIdentifiers": ["/a"]},
    "put_index_policy": {"policyDocument": "{}"},
    "get_transformer": {},
    "put_transformer": {"transformerConfig": [{"parseJSON": {}}]},
}
"""Features that only class STANDARD has, by AWS's reference."""


def classed(log_class: str, **unknowns: Any) -> Any:
    """A client of an account with group `/a` of this class."""
    account = Still("/a", having={"log_class": log_class}, unknowns=Unknowns(**unknowns))
    return account.client("logs")


def refusal(logs: Any, method: str, **more: Any) -> tuple[str, str]:
    """Code and message of a call about `/a`."""
    by_name = any(word in method for word in ("filter", "retention"))
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
    message = EVENTS.format(log_class, "FilterLogEvents")
    assert refusal(logs, "filter_log_events") == ("InvalidOperationException", message)
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


def test_index_goes_by_arn() -> None:
    """At most 100 ARNs, of the caller's own tagged groups; nothing can be listed."""
    account = Still("/x")
    for name in ("/7", "/8"):
        add(account.store, name, tags={"name": name})
    others = [arn("/7", ELSEWHERE), arn("/7:*"), arn("/7", account=OTHER), arn("/none"), arn("/x")]
    assert indexed(account, ResourceARNList=[*others, arn("/8")]) == {"/8": {"name": "/8"}}
    assert indexed(account, ResourceARNList=[arn(str(number)) for number in range(101)]) == INVALID
    for by in ({}, {"ResourceARNList": [arn("/8")], "ResourceTypeFilters": ["logs"]}):
        assert indexed(account, **by) == UNKNOWN


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
    assert indexed(account, **both) == {"/a": {"keep": "1"}}
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
