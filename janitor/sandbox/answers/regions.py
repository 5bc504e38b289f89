"""EC2, as far as Regions go."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call
from janitor.sandbox.world import World


def describe_regions(world: World, call: Call) -> dict[str, Any]:
    """Those that are enabled, or all (botocore 1.44.5)."""
    every = call.parameters.get("AllRegions") in ("true", True)
    entries = [
        {
            "RegionName": name,
            "Endpoint": f"ec2.{name}.amazonaws.com",
            "OptInStatus": region.opt_in,
        }
        for (account, name), region in sorted(world.store.regions.items())
        if account == call.account and (every or region.enabled)
    ]
    return {"Regions": entries}
