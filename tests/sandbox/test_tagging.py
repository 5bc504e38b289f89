"""The tagging API: an index behind the groups' own tags."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.store import Plain
from tests.sandbox.asking import ELSEWHERE, INVALID, OTHER, Still, add, arn, empty_store


def indexed(account: Still, **by: Any) -> Any:
    """The tags of each group that the index lists, by name; or the code of a refusal."""
    found = account.ask("resourcegroupstaggingapi.get_resources", "ResourceTagMappingList", **by)
    if isinstance(found, str):
        return found
    return {
        one["ResourceARN"].rpartition(":")[2]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in found
    }


@pytest.mark.parametrize(
    ("by", "wanted"),
    [
        ({"ResourceTypeFilters": ["logs:log-group"], "ResourcesPerPage": 100}, 120),
        ({"ResourceTypeFilters": ["lambda"]}, {}),
        ({"ResourceARNList": [arn("/x"), arn("/007"), arn("/none")]}, {"/007": {"even": "False"}}),
        ({"ResourceARNList": [arn("/x")], "ResourceTypeFilters": ["logs"]}, INVALID),
        ({"ResourceARNList": [arn("/x")], "ResourcesPerPage": 100}, INVALID),
        (
            {
                "ResourceARNList": [
                    *(arn("/007", ELSEWHERE), arn("/007:*"), arn("/007", account=OTHER)),
                    arn("/008"),
                ]
            },
            {"/008": {"even": "True"}},
        ),
    ],
)
def test_what_is_tagged_is_found_by_arn_and_type(by: Any, wanted: Any) -> None:
    """In pages, or at most 100 ARNs without a type beside them; only the caller's groups."""
    account = Still("/x", empty_pages=0.4)
    for number in range(120):
        add(account.store, f"/{number:03d}", tags={"even": str(number % 2 == 0)})
    found = indexed(account, **by)
    assert (len(found) if isinstance(wanted, int) else found) == wanted


def test_index_lags_behind_the_groups_own_tags() -> None:
    """For tags that came, tags that went, and a group made again without them (FACTS.md)."""
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
    assert indexed(account) == {"/a": {"keep": "1"}}
    assert indexed(account, ResourceARNList=[arn("/a")]) == {"/a": {"keep": "1"}}
    account.time.advance(60)
    assert indexed(account) == {"/new": {"a": "b"}}


def test_tags_are_bounded() -> None:
    """At most 50 of a group, and none of AWS's own by hand."""
    account = Still("/a", having={"tags": {str(number): "" for number in range(49)}})
    for tags, said in (
        ({"aws:cloudformation:stack-name": "s"}, INVALID),
        ({"a": "", "b": ""}, "TooManyTagsException"),
    ):
        assert account.ask("tag_resource", resourceArn=arn("/a"), tags=tags) == said
    assert len(account.ask("list_tags_for_resource", "tags", resourceArn=arn("/a"))) == 49


def test_asking_by_name_turns_no_row_into_a_group() -> None:
    """A million rows stay lean where the tags of each are asked for."""
    account, listed = Still(), [f"/{number:03d}" for number in range(100)]
    account.here.plain = Plain(listed)
    assert indexed(account, ResourceARNList=[arn(name) for name in listed]) == {}
    assert account.here.groups == {}
