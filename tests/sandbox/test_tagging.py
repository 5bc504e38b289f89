"""The tagging API: an index behind the groups' own tags."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Plain
from tests.sandbox.asking import (
    ACCOUNT,
    ELSEWHERE,
    OTHER,
    REGION,
    add,
    arn,
    empty_store,
    flat,
    logs_of,
    pages,
    refusal,
    still,
)

KEY, TOKEN = "ResourceTagMappingList", "PaginationToken"


def indexed(tagging: Any, **by: Any) -> dict[str, dict[str, str]]:
    """The tags of each group that the index lists, by name."""
    return {
        entry["ResourceARN"].rpartition(":")[2]: {tag["Key"]: tag["Value"] for tag in entry["Tags"]}
        for entry in flat(pages(tagging.get_resources, KEY, TOKEN, **by))
    }


def test_what_is_tagged_is_found_by_arn_and_type() -> None:
    """In pages, or at most 100 ARNs without a type beside them; only the caller's groups."""
    store = empty_store()
    for number in range(120):
        add(store, f"/{number:03d}", tags={"even": str(number % 2 == 0)})
    add(store, "/untagged")
    tagging = still(store, empty_pages=0.4).client("resourcegroupstaggingapi")
    assert (
        len(indexed(tagging, ResourceTypeFilters=["logs:log-group"], ResourcesPerPage=100)) == 120
    )
    assert indexed(tagging, ResourceTypeFilters=["lambda"]) == {}
    wanted = [arn("/untagged"), arn("/007"), arn("/none")]
    assert indexed(tagging, ResourceARNList=wanted) == {"/007": {"even": "False"}}
    for more in ({"ResourceTypeFilters": ["logs"]}, {"ResourcesPerPage": 100}):
        said = refusal(tagging, "get_resources", ResourceARNList=wanted, **more)
        assert said == "InvalidParameterException"
    other = [arn("/007", ELSEWHERE), arn("/007:*"), arn("/007").replace(ACCOUNT, OTHER)]
    assert indexed(tagging, ResourceARNList=[*other, arn("/008")]).keys() == {"/008"}


def test_index_lags_behind_the_groups_own_tags() -> None:
    """For tags that came, tags that went, and a group made again without them (FACTS.md)."""
    clock, store = ManualClock(), empty_store(tags=60)
    add(store, "/a", tags={"team": "shop"})
    sandbox = still(store, clock=clock)
    logs, tagging = sandbox.client("logs"), sandbox.client("resourcegroupstaggingapi")
    logs.tag_resource(resourceArn=arn("/a"), tags={"keep": "1"})
    clock.advance(30)
    logs.untag_resource(resourceArn=arn("/a"), tagKeys=["team"])
    assert logs.list_tags_for_resource(resourceArn=arn("/a"))["tags"] == {"keep": "1"}
    assert indexed(tagging) == {"/a": {"team": "shop"}}
    clock.advance(30)
    assert indexed(tagging) == {"/a": {"team": "shop", "keep": "1"}}
    clock.advance(30)
    assert indexed(tagging) == {"/a": {"keep": "1"}}
    logs.delete_log_group(logGroupName="/a")
    logs.create_log_group(logGroupName="/new", tags={"a": "b"})
    assert indexed(tagging) == {"/a": {"keep": "1"}}
    assert indexed(tagging, ResourceARNList=[arn("/a")]) == {"/a": {"keep": "1"}}
    clock.advance(60)
    assert indexed(tagging) == {"/new": {"a": "b"}}


def test_tags_are_bounded() -> None:
    """At most 50 of a group, and none of AWS's own by hand."""
    logs = logs_of("/a", tags={str(number): "" for number in range(49)})
    for tags, said in (
        ({"aws:cloudformation:stack-name": "s"}, "InvalidParameterException"),
        ({"a": "", "b": ""}, "TooManyTagsException"),
    ):
        assert refusal(logs, "tag_resource", resourceArn=arn("/a"), tags=tags) == said
    assert len(logs.list_tags_for_resource(resourceArn=arn("/a"))["tags"]) == 49


def test_asking_by_name_turns_no_row_into_a_group() -> None:
    """A million rows stay lean where the tags of each are asked for."""
    store = empty_store()
    place = store.region(ACCOUNT, REGION)
    listed = [f"/{number:03d}" for number in range(100)]
    place.plain = Plain(listed)
    tagging = still(store).client("resourcegroupstaggingapi")
    assert indexed(tagging, ResourceARNList=[arn(name) for name in listed]) == {}
    assert place.groups == {}
