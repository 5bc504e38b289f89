"""The tagging API: the tags of resources by ARN; it shows those of log groups `Lags.tags` late."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.store import arn_of, name_of
from janitor.sandbox.wire import Call
from janitor.sandbox.world import World, invalid, unheeded


def get_resources(world: World, call: Call) -> dict[str, Any]:
    """Resources that were never tagged are left out."""
    region, found = world.region(call), list[dict[str, Any]]()
    arns = dict.fromkeys(call.parameters.get("ResourceARNList") or ())
    if not arns:
        raise unheeded("listing resources")
    if len(arns) > 100:
        raise invalid("at most 100 ARNs")
    for arn in arns:
        tags = region.resources.get(arn, {})
        if arn == arn_of(call.account, call.region, name := name_of(arn)):
            tags = world.store.indexed_tags(region, name, world.clock.now())
        shown = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
        if shown:
            found.append({"ResourceARN": arn, "Tags": shown})
    return {"PaginationToken": "", "ResourceTagMappingList": found}
