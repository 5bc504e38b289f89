"""An organization of three accounts and the one that manages it, at the demo account's moment."""

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
_GB: Final = 10**9


def accounts() -> Store:
    """The accounts, without roles. In the lab more log groups are empty than a run may delete."""
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
    for account, region, kept, empty in (
        (SHOP, "eu-west-1", {"/ecs/shop": 210, "/ecs/cart": 95, "/aws/lambda/pay": 31}, 1),
        (SHOP, "us-east-1", {"/aws/lambda/auth": 12, "/ecs/mirror": 4, "/ecs/images": 2}, 0),
        (
            DATA,
            "eu-west-1",
            {"/aws/rds/instance/events/log": 640, "/ecs/etl": 58, "/ecs/api": 1},
            0,
        ),
        (DATA, "us-east-1", {"/ecs/replica": 22, "/ecs/jobs": 6, "/aws/lambda/export": 3}, 1),
        (LAB, "eu-west-1", {"/lab/gpu": 9, "/lab/models": 5}, 3),
        (LAB, "us-east-1", {"/lab/notebooks": 2}, 0),
    ):
        for name, gb in kept.items():
            group = store.add_group(account, region, name, created=_ago(900), stored=gb * _GB)
            store.add_stream(group, "main", created=_ago(30), events=[(_ago(0.1), 40, 8_000)])
        for number in range(empty):
            name = f"/old/experiment-{number}"
            store.add_group(account, region, name, created=_ago(700), retention=30)
    return store


def _ago(days: float) -> int:
    return demo.NOW - int(days * DAY_MS)
