"""Lists the accounts of an organization, by organizational unit.

That takes its management account, or a member that is a delegated administrator (Organizations API
reference, ListAccountsForParent).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from janitor.aws.api import Api, ReadError, UnavailableError
from janitor.aws.logs import pages
from janitor.aws.targets import ACCOUNT, check_account
from janitor.core.clock import StoppedError
from janitor.core.errors import UsageError

ACTIONS: dict[str, str] = {
    "ListRoots": "organizations:ListRoots",
    "ListAccountsForParent": "organizations:ListAccountsForParent",
    "ListOrganizationalUnitsForParent": "organizations:ListOrganizationalUnitsForParent",
    "DescribeOrganizationalUnit": "organizations:DescribeOrganizationalUnit",
}
UNIT = re.compile(r"r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}")
"""The id of a root or an organizational unit (botocore 1.44.5, `ParentId`)."""
ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts are wanted: those below `units` and those of `accounts`; without either, those
    of the whole organization. In each case without the accounts of `exclude`, and those below its
    units.
    """

    units: Sequence[str] = ()
    accounts: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def asks(self) -> bool:
        """Whether Organizations has to list accounts."""
        return bool(self.units) or not self.accounts

    @property
    def excluded_units(self) -> list[str]:
        """Roots and organizational units that are left out."""
        return [one for one in self.exclude if UNIT.fullmatch(one)]

    @property
    def excluded_accounts(self) -> list[str]:
        """Accounts that are left out."""
        return [one for one in self.exclude if ACCOUNT.fullmatch(one)]


@dataclass(frozen=True, slots=True)
class Member:
    """An account. `path` has the names of its organizational units, from the requested one down;
    `state` is AWS's, such as ACTIVE or SUSPENDED, empty if unknown.
    """

    account: str
    name: str
    path: Sequence[str]
    state: str


async def chosen(api: Api, wanted: Wanted) -> tuple[list[Member], list[str]]:
    """The wanted accounts, sorted by id, and warnings about them. Of those from Organizations, only
    the active ones are wanted.

    Excluded units are listed too, because one that does not exist would exclude nothing. Raises
    UsageError if the accounts cannot all be listed.
    """
    try:
        listed = await _listed(api, wanted.units) if wanted.asks else {}
        excluded = await _listed(api, wanted.excluded_units) if wanted.excluded_units else {}
    except ReadError as error:
        raise UsageError(f"the organization could not be read: {error}") from error
    except StoppedError as error:
        raise UsageError("the organization could not be read in time") from error
    left_out = {*excluded, *wanted.excluded_accounts}
    warnings = [
        f"{account} is left out, but was not found among the accounts"
        for account in wanted.excluded_accounts
        if account not in listed and account not in excluded and account not in wanted.accounts
    ]
    warnings += [
        f"{account} is left out: its state is {one.state or 'unknown'}"
        for account, one in listed.items()
        if one.state != ACTIVE and (not one.state or account in wanted.accounts)
    ]
    found = {account: one for account, one in listed.items() if one.state == ACTIVE}
    for account in wanted.accounts:
        if account not in listed:
            found[account] = Member(account, "", (), "")
    return [found[account] for account in sorted(found.keys() - left_out)], warnings


async def _listed(api: Api, units: Sequence[str]) -> dict[str, Member]:
    """The members by account. One that is found twice counts where it was found first."""
    listed: dict[str, Member] = {}
    async for one in members(api, units):
        listed.setdefault(check_account(one.account), one)
    return listed


async def members(api: Api, units: Sequence[str] = ()) -> AsyncIterator[Member]:
    """Yield every account in and below the roots and organizational units with these ids; without
    ids, of the whole organization. An account that is found twice comes twice.

    Raises CallError (also if there is no such unit), UnavailableError, CredentialsError or
    StoppedError.
    """
    roots = [] if units and not any(map(_is_root, units)) else await _named(api, "ListRoots")
    names = {str(root["Id"]): str(root.get("Name", "")) for root in roots}
    waiting = deque[tuple[str, tuple[str, ...]]]()
    for unit in units or names:
        waiting.append((unit, (names.get(unit) or await _name(api, unit),)))
    visited = set[str]()
    while waiting:
        unit, path = waiting.popleft()
        if unit in visited:
            continue
        visited.add(unit)
        for found in await _named(api, "ListAccountsForParent", ParentId=unit):
            # Status was to be retired on September 9, 2026 (botocore 1.44.5, Account).
            state = str(found.get("State") or found.get("Status") or "")
            yield Member(str(found["Id"]), str(found.get("Name", "")), path, state)
        for below in await _named(api, "ListOrganizationalUnitsForParent", ParentId=unit):
            waiting.append((str(below["Id"]), (*path, str(below.get("Name", "")))))


def _is_root(unit: str) -> bool:
    return unit.startswith("r-")


async def _name(api: Api, unit: str) -> str:
    if _is_root(unit):
        return unit  # not a root of this organization: the listing will fail
    answer = await api.call(
        "organizations",
        "DescribeOrganizationalUnit",
        expect="OrganizationalUnit",
        OrganizationalUnitId=unit,
    )
    return str(answer["OrganizationalUnit"].get("Name", unit))


_LISTS = {
    "ListRoots": "Roots",
    "ListAccountsForParent": "Accounts",
    "ListOrganizationalUnitsForParent": "OrganizationalUnits",
}


async def _named(api: Api, operation: str, **parameters: str) -> list[Mapping[str, Any]]:
    """All entries, 20 a call. A page may be empty and not the last (API reference).

    Raises UnavailableError for an entry without an id, as for a repeated page token: nobody would
    notice that an account is missing.
    """
    found: list[Mapping[str, Any]] = []
    key = _LISTS[operation]
    async for page, _ in pages(api, "organizations", operation, key, "NextToken", parameters):
        found += page
    if not all(isinstance(entry, dict) and entry.get("Id") for entry in found):
        raise UnavailableError(operation, "an entry without an id")
    return found
