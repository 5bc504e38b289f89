"""A fleet: many accounts cleaned together, each for itself."""

from __future__ import annotations

from tests.accounts import NOW, REGION, days_ago
from tests.function.fleets import DeployedFleet, account, fleet


def test_a_run_cleans_every_account() -> None:
    """In each account and Region what should be done is done, and reported of it."""
    regions = (REGION, "us-east-1")
    store = fleet(3, regions)
    for number in range(3):
        for region in regions:
            store.add_group(account(number), region, "/empty", created=days_ago(900), retention=14)
            kept = store.add_group(account(number), region, "/kept", created=days_ago(900))
            store.add_stream(kept, "a", created=days_ago(900), events=[(NOW - 1000, 1, 100)])
            for other in range(8):
                kept = store.add_group(
                    account(number), region, f"/kept/{other}", created=days_ago(9), retention=14
                )
    deployed = DeployedFleet(store)
    said = deployed.run()
    assert said["summary"]["groups_deleted"] == 6
