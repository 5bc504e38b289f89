"""The tagging API: log groups, whose tags it shows `Lags.tags` late, and other resources by ARN."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from janitor.sandbox.store import arn_of, name_of
from janitor.sandbox.wire import Call
from janitor.sandbox.world import World, invalid

_NOT_BESIDE_ARNS = ("ResourceTypeFilters", "ResourcesPerPage", "PaginationToken")


def get_resources(world: World, call: Call) -> dict[str, Any]:
    """Resources that were never tagged are left out."""
    p = call.parameters
    if arns := p.get("ResourceARNList"):
        if len(arns) > 100 or any(p.get(other) for other in _NOT_BESIDE_ARNS):
            raise invalid("at most 100 ARNs, no filters and no pages beside them")
        own = [arn for arn in arns if arn == arn_of(call.account, call.region, name_of(arn))]
        names = dict.fromkeys(name_of(arn) for arn in own)
        found = [entry for name in names if (entry := _mapping(world, call, name))]
        others = world.region(call).resources
        found += [_entry(arn, others[arn]) for arn in dict.fromkeys(arns) if others.get(arn)]
        return {"PaginationToken": "", "ResourceTagMappingList": found}
    limit = min(p.get("ResourcesPerPage", 50), 100)
    place = world.place("GetResources", p.get("PaginationToken") or None, "")
    if world.empty():
        token = world.token("GetResources", place)
        return {"PaginationToken": token, "ResourceTagMappingList": []}
    page = list(islice(_tagged(world, call, place), limit + 1))
    more = len(page) > limit
    token = world.token("GetResources", name_of(page[limit - 1]["ResourceARN"])) if more else ""
    return {"PaginationToken": token, "ResourceTagMappingList": page[:limit]}


def _tagged(world: World, call: Call, place: str) -> Iterator[dict[str, Any]]:
    """The tagged resources of the types asked for, behind `place`, in order of name. A deleted
    group still has tags for a while.
    """
    p, region = call.parameters, world.region(call)
    types = p.get("ResourceTypeFilters") or ["logs"]
    if not any(kind in ("logs", "logs:log-group") for kind in types):
        return
    gone = region.tagged.keys() - region.groups.keys()
    names = sorted({*region.names, *gone}) if gone else region.names
    for name in islice(names, bisect_right(names, place), None):
        if entry := _mapping(world, call, name):
            yield entry


def _mapping(world: World, call: Call, name: str) -> dict[str, Any] | None:
    tags = world.store.indexed_tags(world.region(call), name, world.clock.now())
    return _entry(arn_of(call.account, call.region, name), tags) if tags else None


def _entry(arn: str, tags: Mapping[str, str]) -> dict[str, Any]:
    shown = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    return {"ResourceARN": arn, "Tags": shown}
