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
    org, parent = _parent(world, call)
    accounts = [
        {
            "Id": account,
            "Arn": _arn(org, "account", account),
            "Email": f"{account}@example.com",
            "Name": one.name,
            "State": one.state,
            "Status": one.state if one.state in _OLD_STATES else "SUSPENDED",
            "JoinedMethod": "CREATED",
        }
        for account, one in sorted(org.members.items())
        if one.parent == parent
    ]
    return world.page_of(call, "Accounts", accounts, _PAGE)


def list_organizational_units_for_parent(world: World, call: Call) -> dict[str, Any]:
    org, parent = _parent(world, call)
    units = [_unit(org, key) for key, one in sorted(org.units.items()) if one.parent == parent]
    return world.page_of(call, "OrganizationalUnits", units, _PAGE)


def describe_organizational_unit(world: World, call: Call) -> dict[str, Any]:
    org, unit = _organization(world, call), str(call.parameters["OrganizationalUnitId"])
    if unit not in org.units:
        message = "You specified an organizational unit that doesn't exist."
        raise RefusedError("OrganizationalUnitNotFoundException", message)
    return {"OrganizationalUnit": _unit(org, unit)}


def _unit(org: Organization, key: str) -> dict[str, Any]:
    return {"Id": key, "Arn": _arn(org, "ou", key), "Name": org.units[key].name}


def _arn(org: Organization, kind: str, key: str) -> str:
    return f"arn:aws:organizations::{org.management}:{kind}/{ID}/{key}"


def _organization(world: World, call: Call) -> Organization:
    """Raises RefusedError if the caller's account is in none, or may not read it."""
    org = world.store.organization
    if org is None or call.account not in org.members:
        message = "Your account is not a member of an organization."
        raise RefusedError("AWSOrganizationsNotInUseException", message)
    if call.account not in {org.management, *org.administrators}:
        message = "You don't have permissions to access this resource."
        raise RefusedError("AccessDeniedException", message)
    return org


def _parent(world: World, call: Call) -> tuple[Organization, str]:
    org, parent = _organization(world, call), str(call.parameters["ParentId"])
    if parent != ROOT and parent not in org.units:
        raise RefusedError("ParentNotFoundException", "You specified parent that doesn't exist.")
    return org, parent
