"""Organizations: accounts and units by their parent (Organizations API reference).

Only the management account and delegated administrators may ask (ListAccountsForParent). An account
shows both its State and its Status, which was to be retired on September 9, 2026 (botocore 1.44.5).
"""

from __future__ import annotations

from typing import Any

from janitor.sandbox.organization import ID, ROOT, Organization
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World

_PAGE = ("MaxResults", 20)
"""The most of a page, which is what it has if no number is asked for (botocore 1.44.5)."""
_OLD_STATES = {"ACTIVE": "ACTIVE", "SUSPENDED": "SUSPENDED", "PENDING_CLOSURE": "PENDING_CLOSURE"}


def list_roots(world: World, call: Call) -> dict[str, Any]:
    there = _organization(world, call)
    arn = f"arn:aws:organizations::{there.management}:root/{ID}/{ROOT}"
    roots = [{"Id": ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": []}]
    return world.page_of(call, "Roots", roots, _PAGE)


def list_accounts_for_parent(world: World, call: Call) -> dict[str, Any]:
    """Those in the unit itself, not in the units below it."""
    there, parent = _organization(world, call), _parent(world, call)
    accounts = [
        {
            "Id": account,
            "Arn": f"arn:aws:organizations::{there.management}:account/{ID}/{account}",
            "Email": f"{account}@example.com",
            "Name": one.name,
            "State": one.state,
            "Status": _OLD_STATES.get(one.state, "SUSPENDED"),
            "JoinedMethod": "CREATED",
        }
        for account, one in sorted(there.members.items())
        if one.parent == parent
    ]
    return world.page_of(call, "Accounts", accounts, _PAGE)


def list_organizational_units_for_parent(world: World, call: Call) -> dict[str, Any]:
    there, parent = _organization(world, call), _parent(world, call)
    units = [
        _unit(there, key) for key, unit in sorted(there.units.items()) if unit.parent == parent
    ]
    return world.page_of(call, "OrganizationalUnits", units, _PAGE)


def describe_organizational_unit(world: World, call: Call) -> dict[str, Any]:
    there, unit = _organization(world, call), str(call.parameters["OrganizationalUnitId"])
    if unit not in there.units:
        said = "You specified an organizational unit that doesn't exist."
        raise RefusedError("OrganizationalUnitNotFoundException", said)
    return {"OrganizationalUnit": _unit(there, unit)}


def _unit(there: Organization, key: str) -> dict[str, Any]:
    arn = f"arn:aws:organizations::{there.management}:ou/{ID}/{key}"
    return {"Id": key, "Arn": arn, "Name": there.units[key].name}


def _organization(world: World, call: Call) -> Organization:
    """Raises RefusedError where the caller has none, or may not read it."""
    there = world.store.organization
    if there is None or call.account not in there.members:
        said = "Your account is not a member of an organization."
        raise RefusedError("AWSOrganizationsNotInUseException", said)
    if call.account not in {there.management, *there.administrators}:
        said = "You don't have permissions to access this resource."
        raise RefusedError("AccessDeniedException", said)
    return there


def _parent(world: World, call: Call) -> str:
    there, parent = _organization(world, call), str(call.parameters["ParentId"])
    if parent != ROOT and parent not in there.units:
        said = "You specified parent that doesn't exist."
        raise RefusedError("ParentNotFoundException", said)
    return parent
