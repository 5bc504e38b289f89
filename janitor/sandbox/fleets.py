"""An organization of three accounts and its management account, at the demo account's moment."""

from __future__ import annotations

from typing import Final

from janitor.core.clock import DAY_MS
from janitor.sandbox import demo
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.store import Store

MANAGEMENT: Final = "100000000001"
SHOP, DATA, LAB = ACCOUNTS = ("123456789012", "234567890123", "345678901234")
WORKLOADS, PRODUCTION, EXPERIMENTS = UNITS = (
    *("ou-root-workloads", "ou-root-production", "ou-root-experiments"),
)
_HELD: Final[dict[tuple[str, str], dict[str, int]]] = {
    (SHOP, "eu-west-1"): {"/ecs/shop": 210, "/ecs/cart": 95, "/aws/lambda/pay": 31},
    (SHOP, "us-east-1"): {"/aws/lambda/auth": 12, "/ecs/mirror": 4, "/ecs/images": 2},
    (DATA, "eu-west-1"): {"/aws/rds/instance/events/log": 640, "/ecs/etl": 58, "/ecs/api": 1},
    (DATA, "us-east-1"): {"/ecs/replica": 22, "/ecs/jobs": 6, "/aws/lambda/export": 3},
    (LAB, "eu-west-1"): {"/lab/gpu": 9, "/lab/models": 5},
    (LAB, "us-east-1"): {"/lab/notebooks": 2},
}
"""Gigabytes in log groups that are in use."""
_EMPTY: Final = {(SHOP, "eu-west-1"): 1, (DATA, "us-east-1"): 1, (LAB, "eu-west-1"): 3}
"""How many log groups are empty: in the lab, more than a run may delete."""


def accounts() -> Store:
    """The accounts, without roles."""
    store = Store(aliases={SHOP: "shop-production"})
    store.organization = Organization(
        MANAGEMENT,
        {
            WORKLOADS: Unit("Workloads"),
            PRODUCTION: Unit("Production", WORKLOADS),
            EXPERIMENTS: Unit("Experiments"),
        },
        {
            MANAGEMENT: Membership("management"),
            SHOP: Membership("shop", PRODUCTION),
            DATA: Membership("data", PRODUCTION),
            LAB: Membership("lab", EXPERIMENTS),
        },
    )
    store.region(MANAGEMENT, "eu-west-1")
    for target, held in _HELD.items():
        for name, gigabytes in held.items():
            stored = gigabytes * 10**9
            group = store.add_group(*target, name, created=_ago(900), stored=stored)
            store.add_stream(group, "main", created=_ago(30), events=[(_ago(0.1), 40, 8_000)])
        for number in range(_EMPTY.get(target, 0)):
            name = f"/old/experiment-{number}"
            store.add_group(*target, name, created=_ago(700), retention=30)
    return store


def _ago(days: float) -> int:
    return demo.NOW - int(days * DAY_MS)
