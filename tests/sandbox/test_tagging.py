"""The tagging API: an index that lags behind the groups' own tags."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.asking import ELSEWHERE, INVALID, OTHER, Still, add, arn, empty_store


def indexed(account: Still, **by: Any) -> Any:
    """The tags of each group that the index lists, by name; or the error code."""
    found = account.ask("resourcegroupstaggingapi.get_resources", "ResourceTagMappingList", **by)
    if isinstance(found, str):
        return found
    return {
        one["ResourceARN"].rpartition(":")[2]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in found
    }


NOT_OURS = [arn("/007", ELSEWHERE), arn("/007:*"), arn("/007", account=OTHER)]


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ({"ResourceTypeFilters": ["logs:log-group"], "ResourcesPerPage": 100}, 120),
        ({"ResourceTypeFilters": ["lambda"]}, {}),
        ({"ResourceARNList": [arn("/x"), arn("/007"), arn("/none")]}, {"/007": {"even": "False"}}),
        ({"ResourceARNList": [arn("/x")], "ResourceTypeFilters": ["logs"]}, INVALID),
        ({"ResourceARNList": [arn("/x")], "ResourcesPerPage": 100}, INVALID),
        ({"ResourceARNList": [*NOT_OURS, arn("/008")]}, {"/008": {"even": "True"}}),
        ({"ResourceARNList": [arn(f"/{number:03d}") for number in range(101)]}, INVALID),
    ],
)
def test_tagged_groups_are_found_by_arn_and_type(by: Any, wanted: Any) -> None:
    """In pages; or by at most 100 ARNs without a type. Only the caller's groups are found."""
    account = Still("/x", empty_pages=0.4)
    for number in range(120):
        add(account.store, f"/{number:03d}", tags={"even": str(number % 2 == 0)})
    found = indexed(account, **by)
    assert (len(found) if isinstance(wanted, int) else found) == wanted


def test_index_lags_behind_the_groups_own_tags() -> None:
    """For added tags, for removed ones, and for a deleted group."""
    account, a = Still(store=empty_store(tags=60)), {"resourceArn": arn("/a")}
    add(account.store, "/a", tags={"team": "shop"})
    account.do("tag_resource", **a, tags={"keep": "1"})
    account.time.advance(30)
    account.do("untag_resource", **a, tagKeys=["team"])
    assert account.ask("list_tags_for_resource", "tags", **a) == {"keep": "1"}
    assert indexed(account) == {"/a": {"team": "shop"}}
    account.time.advance(30)
    assert indexed(account) == {"/a": {"team": "shop", "keep": "1"}}
    account.time.advance(30)
    assert indexed(account) == {"/a": {"keep": "1"}}
    account.do("delete_log_group", logGroupName="/a")
    account.do("create_log_group", logGroupName="/new", tags={"a": "b"})
    assert (
        indexed(account) == indexed(account, ResourceARNList=[arn("/a")]) == {"/a": {"keep": "1"}}
    )
    account.time.advance(60)
    assert indexed(account) == {"/new": {"a": "b"}}


def test_tags_are_bounded() -> None:
    """A group has at most 50, and nobody can add AWS's own."""
    account = Still("/a", having={"tags": {str(number): "" for number in range(49)}})
    for tags, said in (
        ({"aws:cloudformation:stack-name": "s"}, INVALID),
        ({"a": "", "b": ""}, "TooManyTagsException"),
    ):
        assert account.ask("tag_resource", resourceArn=arn("/a"), tags=tags) == said
    assert len(account.ask("list_tags_for_resource", "tags", resourceArn=arn("/a"))) == 49
