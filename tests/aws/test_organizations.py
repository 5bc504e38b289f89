"""The accounts of an organization, as moto and the sandbox list them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from janitor.aws.api import Api, CallError, Counts, UnavailableError
from janitor.aws.organizations import ACTIONS, Member, members
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.model import Target
from janitor.sandbox.account import Sandbox
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Answer, Call, Reply
from tests.accounts import ACCOUNT, NOW, REGION, ok
from tests.virtual import VirtualClock

UNITS = {"Prod": "Root", "Web": "Prod", "Lab": "Root"}
"""Each unit, with its parent."""
ACCOUNTS = {"one": "Root", "two": "Prod", "three": "Web", **{f"lab-{n}": "Lab" for n in range(45)}}
PATHS = {"Root": (), "Prod": ("Prod",), "Web": ("Prod", "Web"), "Lab": ("Lab",)}


def on_moto() -> tuple[Any, str]:
    """Return the session of an organization, and the id of the unit Prod."""
    session = boto3.Session("a", "b", region_name=REGION)
    made = session.client("organizations")
    made.create_organization(FeatureSet="ALL")
    ids = {"Root": made.list_roots()["Roots"][0]["Id"]}
    for name, parent in UNITS.items():
        unit = made.create_organizational_unit(ParentId=ids[parent], Name=name)
        ids[name] = unit["OrganizationalUnit"]["Id"]
    for name, parent in ACCOUNTS.items():
        status = made.create_account(AccountName=name, Email=f"{name}@example.com")
        account = status["CreateAccountStatus"]["AccountId"]
        if parent != "Root":
            made.move_account(
                AccountId=account, SourceParentId=ids["Root"], DestinationParentId=ids[parent]
            )
    return session, ids["Prod"]


def in_sandbox(**options: Any) -> tuple[Any, str]:
    """Return the same of the sandbox."""
    store = Store()
    store.region(ACCOUNT, REGION)
    ids = {"Root": "r-root"} | {name: f"ou-root-{name.lower():0>8}" for name in UNITS}
    units = {ids[name]: Unit(name, ids[parent]) for name, parent in UNITS.items()}
    every = {
        f"{number:012}": Membership(name, ids[parent])
        for number, (name, parent) in enumerate(ACCOUNTS.items())
    }
    every[ACCOUNT] = Membership("master")
    store.organization = Organization(ACCOUNT, units, every)
    return Sandbox(store, clock=VirtualClock(NOW), **options).session(), ids["Prod"]


@pytest.fixture(params=["moto", "sandbox", "sandbox with empty pages"])
def organization(request: pytest.FixtureRequest) -> Iterator[tuple[Any, str]]:
    """The session of an organization, and the id of the unit Prod."""
    if request.param == "moto":
        with mock_aws():
            yield on_moto()
    else:
        yield in_sandbox(empty_pages=0.4 if "empty" in request.param else 0.0)


def listed(clients: Any, *units: str) -> list[Member]:
    """Return the accounts of the units, or of all."""
    clock = VirtualClock(NOW)
    pace = Pace(lambda _name: 1000.0, clock)

    async def work() -> list[Member]:
        api = Api(Target(ACCOUNT, REGION), clients, pace, clock, Counts(), Stop(), Inline())
        return [member async for member in members(api, units)]

    return clock.run(work())


def test_every_account_is_found_with_its_path(organization: tuple[Any, str]) -> None:
    """Accounts on every page are found, from the root or from the given unit."""
    clients, prod = organization
    found = {member.name: member for member in listed(clients)}
    assert found.keys() - {"master"} == ACCOUNTS.keys()
    for name, parent in ACCOUNTS.items():
        assert tuple(found[name].path) == ("Root", *PATHS[parent])
        assert found[name].state == "ACTIVE"
    below = {member.name: tuple(member.path) for member in listed(clients, prod)}
    assert below == {"two": ("Prod",), "three": ("Prod", "Web")}


def test_a_unit_that_does_not_exist_is_an_error(organization: tuple[Any, str]) -> None:
    """It does not count as a unit without accounts."""
    with pytest.raises(CallError, match="NotFound"):
        listed(organization[0], "ou-abcd-12345678")


@pytest.mark.parametrize(
    "body",
    [b"{}", b'{"Accounts": [{"Name": "x"}]}', b'{"Accounts": [], "NextToken": "again"}'],
    ids=["nothing", "no id", "the same page for ever"],
)
def test_an_incomplete_list_is_an_error(body: bytes) -> None:
    """Nobody would notice that accounts are missing from it."""

    def garbage(call: Call, answer: Callable[[], Answer]) -> Reply:
        return ok(body) if call.operation == "ListAccountsForParent" else Reply(answer())

    with pytest.raises(UnavailableError):
        listed(in_sandbox(intercept=garbage)[0])


def test_the_actions_are_those_of_the_calls() -> None:
    """The IAM actions have the names of the operations, which only read."""
    assert all(action == f"organizations:{name}" for name, action in ACTIONS.items())
    assert all(name.startswith(("List", "Describe")) for name in ACTIONS)
