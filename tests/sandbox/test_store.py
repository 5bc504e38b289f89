"""The store: a million groups."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

from janitor.sandbox.clocks import DAY_MS
from janitor.sandbox.store import Plain, Store
from tests.sandbox.asking import ACCOUNT, NOW, REGION, empty_store, names, still


def full(groups: int) -> Store:
    """A Region of so many rows."""
    store = empty_store()
    store.region(ACCOUNT, REGION).plain = Plain(
        [f"/app/{number:06d}" for number in range(groups)],
        array("q", [NOW - 900 * DAY_MS] * groups),
        array("h", [30] * groups),
        array("q", [7] * groups),
    )
    return store


class Counted(list[str]):
    """Names that count how often one of them is looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.looked += 1
            yield name


def test_page_costs_the_same_wherever_it_is() -> None:
    """Deep in a long list it looks at no more names than at its start: its own, and those of a
    search by halves; what is shown stays a row, what is changed becomes a group.
    """
    store = full(100_000)
    place = store.region(ACCOUNT, REGION)
    rows = place.plain.names = Counted(place.plain.names)
    sandbox = still(store)
    logs = sandbox.client("logs")
    for name in ("/app/000000", "/app/050000", "/app/099900"):
        token = sandbox.world.token("DescribeLogGroups", (name, 1, name))
        rows.looked = 0
        assert len(logs.describe_log_groups(nextToken=token)["logGroups"]) == 50
        assert 50 <= rows.looked < 50 * 4 + 40
    assert place.groups == {}
    assert names(logs, logGroupNamePrefix="/app/099999") == ["/app/099999"]
    logs.put_retention_policy(logGroupName="/app/099999", retentionInDays=1)
    logs.delete_log_group(logGroupName="/app/050000")
    [stream] = logs.describe_log_streams(logGroupName="/app/050001")["logStreams"]
    assert stream["logStreamName"] == "application"
    assert (len(place), len(place.groups)) == (99_999, 2)


def test_rows_are_under_account_level_policies_too() -> None:
    """As they are shown, without being made groups."""
    store = full(3)
    store.add_policy(ACCOUNT, REGION, "org", 90, "/app/000001")
    found = still(store).client("logs").describe_log_groups()["logGroups"]
    assert [entry["retentionInDays"] for entry in found] == [30, 90, 30]
    assert store.region(ACCOUNT, REGION).groups == {}
