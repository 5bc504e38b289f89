"""Service Quotas."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.quotas import service_quotas
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World


def list_service_quotas(world: World, call: Call) -> dict[str, Any]:
    service = call.parameters["ServiceCode"]
    quotas = service_quotas(world.store, call.account, call.region, service)
    if not quotas:
        raise RefusedError("NoSuchResourceException", f"no such service: {service}")
    return world.page_of(call, "Quotas", quotas, ("MaxResults", 10))
