"""The organization that an account manages."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.sandbox.organization import Membership, Organization, Unit
from tests.sandbox.asking import ACCOUNT, OTHER, REGION, Still, ask, empty_store, paged

UNIT, NOBODYS = "ou-root-12345678", "ou-root-00000000"
ACCOUNTS, UNITS = "list_accounts_for_parent", "list_organizational_units_for_parent"


def client(of: str = ACCOUNT, *, administrators: frozenset[str] = frozenset(), **more: Any) -> Any:
    """Of an organization of 45 accounts, most of them in a unit."""
    store = empty_store()
    store.region(OTHER, REGION)
    members = {f"{number:012}": Membership(f"a{number}", UNIT) for number in range(43)}
    members |= {ACCOUNT: Membership("management"), OTHER: Membership("other", state="CLOSED")}
    store.organization = Organization(ACCOUNT, {UNIT: Unit("Workloads")}, members, administrators)
    return Still(store=store, **more).client("organizations", of)


@pytest.mark.parametrize("empty_pages", [0.0, 0.5])
def test_accounts_come_by_parent_in_pages_of_twenty(empty_pages: float) -> None:
    """Some of them empty though they are not the last; those of a unit are not the root's."""
    asked = client(empty_pages=empty_pages)
    assert max(len(page["Accounts"]) for page in paged(asked, ACCOUNTS, ParentId=UNIT)) == 20
    of_unit = ask(asked, ACCOUNTS, "Accounts[].Id", ParentId=UNIT)
    assert of_unit == [f"{number:012}" for number in range(43)]
    top = ask(asked, ACCOUNTS, "Accounts[].[Id, State, Status]", ParentId="r-root")
    assert top == [[ACCOUNT, "ACTIVE", "ACTIVE"], [OTHER, "CLOSED", "SUSPENDED"]]


def test_only_its_managers_may_read_it() -> None:
    """The management account and those to which it delegated that."""
    assert ask(client(OTHER), "list_roots") == "AccessDeniedException"
    asked = client(OTHER, administrators=frozenset({OTHER}))
    assert ask(asked, "list_roots", "Roots[].Id") == ["r-root"]


def test_what_does_not_exist_is_refused() -> None:
    """A unit, as parent and by itself."""
    asked = client()
    for method in (ACCOUNTS, UNITS):
        assert ask(asked, method, ParentId=NOBODYS) == "ParentNotFoundException"
    said = ask(asked, "describe_organizational_unit", OrganizationalUnitId=NOBODYS)
    assert said == "OrganizationalUnitNotFoundException"
