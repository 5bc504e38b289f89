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
"""The most entries of a page, and the default (botocore 1.44.5)."""
_OLD_STATES = {"ACTIVE", "SUSPENDED", "PENDING_CLOSURE"}


def list_roots(world: World, call: Call) -> dict[str, Any]:
    arn = _arn(_organization(world, call), "root", ROOT)
    roots = [{"Id": ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": []}]
    return world.page_of(call, "Roots", roots, _PAGE)


def list_accounts_for_parent(world: World, call: Call) -> dict[str, Any]:
    """The accounts in the unit itself, not in the units below it."""
    there, parent = _parent(world, call)
    accounts = [
        {
            "Id": account,
            "Arn": _arn(there, "account", account),
            "Email": f"{account}@example.com",
            "Name": one.name,
            "State": one.state,
            "Status": one.state if one.state in _OLD_STATES else "SUSPENDED",
            "JoinedMethod": "CREATED",
        }
        for account, one in sorted(there.members.items())
        if one.parent == parent
    ]
    return world.page_of(call, "Accounts", accounts, _PAGE)


def list_organizational_units_for_parent(world: World, call: Call) -> dict[str, Any]:
    there, parent = _parent(world, call)
    units = [_unit(there, key) for key, one in sorted(there.units.items()) if one.parent == parent]
    return world.page_of(call, "OrganizationalUnits", units, _PAGE)


def describe_organizational_unit(world: World, call: Call) -> dict[str, Any]:
    there, unit = _organization(world, call), str(call.parameters["OrganizationalUnitId"])
    if unit not in there.units:
        said = "You specified an organizational unit that doesn't exist."
        raise RefusedError("OrganizationalUnitNotFoundException", said)
    return {"OrganizationalUnit": _unit(there, unit)}


def _unit(there: Organization, key: str) -> dict[str, Any]:
    return {"Id": key, "Arn": _arn(there, "ou", key), "Name": there.units[key].name}


def _arn(there: Organization, kind: str, key: str) -> str:
    return f"arn:aws:organizations::{there.management}:{kind}/{ID}/{key}"


def _organization(world: World, call: Call) -> Organization:
    """Raises RefusedError if the caller's account is in none, or may not read it."""
    there = world.store.organization
    if there is None or call.account not in there.members:
        said = "Your account is not a member of an organization."
        raise RefusedError("AWSOrganizationsNotInUseException", said)
    if call.account not in {there.management, *there.administrators}:
        said = "You don't have permissions to access this resource."
        raise RefusedError("AccessDeniedException", said)
    return there


def _parent(world: World, call: Call) -> tuple[Organization, str]:
    there, parent = _organization(world, call), str(call.parameters["ParentId"])
    if parent != ROOT and parent not in there.units:
        raise RefusedError("ParentNotFoundException", "You specified parent that doesn't exist.")
    return there, parent
