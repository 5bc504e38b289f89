"""The tagging API: log groups, whose tags it shows `Lags.tags` late, and other resources by ARN."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from janitor.sandbox.store import arn_of, name_of
from janitor.sandbox.wire import Call
from janitor.sandbox.world import World, invalid

_NOT_BESIDE_ARNS = ("ResourceTypeFilters", "ResourcesPerPage", "PaginationToken")


def get_resources(world: World, call: Call) -> dict[str, Any]:
    """Resources that were never tagged are left out."""
    p, region = call.parameters, world.region(call)
    arns = dict.fromkeys(p.get("ResourceARNList") or ())
    if len(arns) > 100 or (arns and any(map(p.get, _NOT_BESIDE_ARNS))):
        raise invalid("at most 100 ARNs, and neither filters nor pages beside them")
    if arns:
        return {"PaginationToken": "", "ResourceTagMappingList": list(_tagged(world, call, arns))}
    limit, names = min(p.get("ResourcesPerPage", 50), 100), list[str]()
    if not {"logs", "logs:log-group"}.isdisjoint(p.get("ResourceTypeFilters") or ["logs"]):
        names = sorted({*region.groups, *region.tagged})

    def fetch(place: str) -> tuple[list[dict[str, Any]], str | None]:
        behind = islice(names, bisect_right(names, place), None)
        arns = (arn_of(call.account, call.region, name) for name in behind)
        found = list(islice(_tagged(world, call, arns), limit + 1))
        page, more = found[:limit], len(found) > limit
        return page, name_of(page[-1]["ResourceARN"]) if more else None

    page = world.paginate(call, "ResourceTagMappingList", "", fetch, token="PaginationToken")
    return {"PaginationToken": ""} | page


def _tagged(world: World, call: Call, arns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The entries of those resources that have tags."""
    region, now = world.region(call), world.clock.now()
    for arn in arns:
        tags = region.resources.get(arn, {})
        if arn == arn_of(call.account, call.region, name := name_of(arn)):
            tags = world.store.indexed_tags(region, name, now)
        if tags:
            shown = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
            yield {"ResourceARN": arn, "Tags": shown}
