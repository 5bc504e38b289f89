"""The tagging API, as far as log groups go."""

from __future__ import annotations

from itertools import islice
from typing import Any

from janitor.sandbox.store import Group, name_of
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, whole

_TAGGING_TOKEN = 900
"""Seconds that a PaginationToken lives (Resource Groups Tagging API reference)."""


_NOT_BESIDE_ARNS = ("TagFilters", "ResourceTypeFilters", "ResourcesPerPage", "PaginationToken")


def get_resources(world: World, call: Call) -> dict[str, Any]:
    """What was never tagged is left out."""
    p, region = call.parameters, world.region(call)
    arns = p.get("ResourceARNList")
    code = "InvalidParameterException"
    if arns:
        if len(arns) > 100 or any(p.get(other) for other in _NOT_BESIDE_ARNS):
            raise RefusedError(code, "at most 100 ARNs, no filters and no pages beside them")
        # Rows of `Plain` have no tags, so none needs to be made a group.
        groups = {arn: region.groups.get(name_of(arn)) for arn in arns}
        found = [g for arn, g in groups.items() if g is not None and g.arn == arn and g.tags]
        return {"PaginationToken": "", "ResourceTagMappingList": [_mapping(g) for g in found]}
    types = p.get("ResourceTypeFilters") or ["logs"]
    filters = p.get("TagFilters") or []
    limit = whole(call, "ResourcesPerPage", 1, 100, 50)
    place = world.place(
        "GetResources",
        p.get("PaginationToken") or None,
        "",
        expired="PaginationTokenExpiredException",
        age=_TAGGING_TOKEN,
    )
    if world.empty():
        token = world.token("GetResources", place)
        return {"PaginationToken": token, "ResourceTagMappingList": []}
    # Rows of `Plain` have no tags, so only groups are gone through.
    names = (name for name in region.names if name > place)
    tagged = (
        region.groups[name]
        for name in names
        if region.groups[name].tags
        and any(kind in ("logs", "logs:log-group") for kind in types)
        and all(
            f["Key"] in region.groups[name].tags
            and (not f.get("Values") or region.groups[name].tags[f["Key"]] in f["Values"])
            for f in filters
        )
    )
    page = list(islice(tagged, limit + 1))
    more = len(page) > limit
    token = world.token("GetResources", page[limit - 1].name) if more else ""
    mappings = [_mapping(group) for group in page[:limit]]
    return {"PaginationToken": token, "ResourceTagMappingList": mappings}


def _mapping(group: Group) -> dict[str, Any]:
    tags = [{"Key": key, "Value": value} for key, value in sorted(group.tags.items())]
    return {"ResourceARN": group.arn, "Tags": tags}


CALLS: dict[tuple[str, str], Handler] = {
    ("tagging", "GetResources"): get_resources,
}
