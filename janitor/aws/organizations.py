"""The accounts of an organization, by organizational unit.

They are listed by its management account, or by a member that is a delegated administrator
(Organizations API reference, ListAccountsForParent).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from janitor.aws.api import Api, ReadError, UnavailableError
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
"""A root or an organizational unit (botocore 1.44.5, `ParentId`)."""
ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts are meant: those below `units` and those of `accounts`; without either, those
    of the whole organization; in each case without those that `exclude` names, or that are below
    its units.
    """

    units: Sequence[str] = ()
    accounts: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def asks(self) -> bool:
        """Whether Organizations is asked which accounts there are."""
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
    """An account. `path` are the names of the organizational units that it is in, from the one that
    was asked for down; `state` is AWS's, such as ACTIVE or SUSPENDED, empty if it was not told.
    """

    account: str
    name: str
    path: Sequence[str]
    state: str


async def chosen(api: Api, wanted: Wanted) -> tuple[list[Member], list[str]]:
    """The accounts that are meant, by id, and what a person should know of them; Organizations is
    asked with `api`, where it has to be. Of those that it tells of only the active ones are meant.

    An organizational unit that is left out is listed too: one that does not exist leaves out
    nothing. Raises UsageError where not all of them are known.
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
        f"{account} is left out: its state is {one.state or 'not told'}"
        for account, one in listed.items()
        if one.state != ACTIVE and (not one.state or account in wanted.accounts)
    ]
    found = {account: one for account, one in listed.items() if one.state == ACTIVE}
    for account in wanted.accounts:
        if account not in listed:
            found[account] = Member(account, "", (), "")
    return [found[account] for account in sorted(found.keys() - left_out)], warnings


async def _listed(api: Api, units: Sequence[str]) -> dict[str, Member]:
    """By account. One that is found twice is where it was found first."""
    listed: dict[str, Member] = {}
    async for one in members(api, units):
        listed.setdefault(check_account(one.account), one)
    return listed


async def members(api: Api, units: Sequence[str] = ()) -> AsyncIterator[Member]:
    """Every account in the roots and organizational units with these ids, and below them; without
    any, in the whole organization. One that is found twice comes twice.

    Raises CallError (also where there is no such unit), UnavailableError, CredentialsError or
    StoppedError.
    """
    roots = [] if units and not any(map(_is_root, units)) else await _named(api, "ListRoots")
    names = {str(root["Id"]): str(root.get("Name", "")) for root in roots}
    waiting = deque[tuple[str, tuple[str, ...]]]()
    for unit in units or names:
        waiting.append((unit, (names.get(unit) or await _name(api, unit),)))
    seen = set[str]()
    while waiting:
        unit, path = waiting.popleft()
        if unit in seen:
            continue
        seen.add(unit)
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
        return unit  # it is not of this organization, which the listing will say
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
    """All that is listed, 20 a call. A page may be empty and not the last (API reference).

    Without an id, or where a page token comes twice, it is an UnavailableError: an account that is
    not seen would not be missed.
    """
    found: list[Mapping[str, Any]] = []
    token: dict[str, str] = {}
    while True:
        answer = await api.call(
            "organizations", operation, expect=_LISTS[operation], **parameters, **token
        )
        found += _identified(operation, answer[_LISTS[operation]])
        following = answer.get("NextToken")
        if not following:
            return found
        if token == {"NextToken": following}:
            raise UnavailableError(operation, "the same page token twice")
        token = {"NextToken": str(following)}


def _identified(operation: str, entries: Iterable[Any]) -> list[Mapping[str, Any]]:
    listed = list(entries)
    if not all(isinstance(entry, dict) and entry.get("Id") for entry in listed):
        raise UnavailableError(operation, "an entry without an id")
    return listed
