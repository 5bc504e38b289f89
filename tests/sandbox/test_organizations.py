"""The organization that an account manages."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.organization import Membership, Organization, Unit
from tests.sandbox.asking import ACCOUNT, OTHER, REGION, empty_store, flat, pages, refusal, still

UNIT = "ou-root-12345678"
NOBODYS = "ou-root-00000000"


def client(of: str = ACCOUNT, *, administrators: frozenset[str] = frozenset(), **more: Any) -> Any:
    """Of an organization of 45 accounts, most of them in a unit."""
    store = empty_store()
    store.region(OTHER, REGION)
    members = {f"{number:012}": Membership(f"a{number}", UNIT) for number in range(43)}
    members |= {ACCOUNT: Membership("management"), OTHER: Membership("other", state="CLOSED")}
    units = {UNIT: Unit("Workloads")}
    store.organization = Organization(ACCOUNT, units, members, administrators)
    return still(store, **more).client("organizations", of)


@pytest.mark.parametrize("empty_pages", [0.0, 0.5])
def test_accounts_come_by_parent_in_pages_of_twenty(empty_pages: float) -> None:
    """Some of them empty though they are not the last; those of a unit are not the root's."""
    ask = client(empty_pages=empty_pages).list_accounts_for_parent
    found = pages(ask, "Accounts", "NextToken", ParentId=UNIT)
    assert max(map(len, found)) == 20
    assert [one["Id"] for one in flat(found)] == [f"{number:012}" for number in range(43)]
    top = flat(pages(ask, "Accounts", "NextToken", ParentId="r-root"))
    states = [(one["Id"], one["State"], one["Status"]) for one in top]
    assert states == [(ACCOUNT, "ACTIVE", "ACTIVE"), (OTHER, "CLOSED", "SUSPENDED")]


def test_only_its_managers_may_read_it() -> None:
    """The management account and those to which it delegated that."""
    refused = "AccessDeniedException"
    assert refusal(client(OTHER), "list_roots") == refused
    assert client(OTHER, administrators=frozenset({OTHER})).list_roots()["Roots"]


def test_what_does_not_exist_is_refused() -> None:
    """A unit, as parent and by itself."""
    asked = client()
    for method in ("list_accounts_for_parent", "list_organizational_units_for_parent"):
        assert refusal(asked, method, ParentId=NOBODYS) == "ParentNotFoundException"
    unit = {"OrganizationalUnitId": NOBODYS}
    said = refusal(asked, "describe_organizational_unit", **unit)
    assert said == "OrganizationalUnitNotFoundException"
