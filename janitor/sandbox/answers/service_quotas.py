"""Service Quotas."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.quotas import service_quotas
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World


def list_service_quotas(world: World, call: Call) -> dict[str, Any]:
    return _quotas(world, call, applied=True)


def list_default_quotas(world: World, call: Call) -> dict[str, Any]:
    return _quotas(world, call, applied=False)


def _quotas(world: World, call: Call, *, applied: bool) -> dict[str, Any]:
    service = call.parameters["ServiceCode"]
    quotas = service_quotas(world.store if applied else None, call.account, call.region, service)
    if not quotas:
        raise RefusedError("NoSuchResourceException", f"no such service: {service}")
    return world.page_of(call, "Quotas", quotas, ("MaxResults", 100, 10))


CALLS: dict[tuple[str, str], Handler] = {
    ("servicequotas", "ListServiceQuotas"): list_service_quotas,
    ("servicequotas", "ListAWSDefaultServiceQuotas"): list_default_quotas,
}
