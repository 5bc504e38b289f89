"""The accounts and Regions of a fleet's run: found once, and kept in the run's record.

The record is written once and read by every later step. An event names a run, a role and a Region,
and is refused if they are not in the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import boto3
from pydantic import Field

from janitor.aws import targets
from janitor.aws.api import Api
from janitor.aws.credentials import HINT
from janitor.aws.organizations import Wanted, chosen
from janitor.aws.regions import ALL
from janitor.aws.targets import Means
from janitor.core.clock import StoppedError
from janitor.core.errors import JanitorError, UsageError
from janitor.core.model import Target
from janitor.function.state import StrictModel

Assume = Callable[[str], boto3.Session]
"""Returns a session of the role with this ARN. Raises UsageError or CredentialsError."""


class Member(StrictModel):
    """An account of the run. `path` names its organizational units, from the top; `failed` says why
    its Regions are not known, and is empty if they are.
    """

    account: str
    role: str
    name: str = ""
    path: list[str] = Field(default_factory=list)
    regions: list[str] = Field(default_factory=list)
    failed: str = ""


class Record(StrictModel):
    """A fleet's run as it was started, at `started` (ms), with the digests of policy and code."""

    run: str
    dry_run: bool
    started: int = Field(ge=0, lt=10**14)
    policy: str
    version: str
    members: list[Member]
    warnings: list[str] = Field(default_factory=list)

    @property
    def targets(self) -> Mapping[Target, Member]:
        """Every target, with its account."""
        return {
            Target(member.account, region): member
            for member in self.members
            for region in member.regions
        }


async def find_members(
    api: Api, wanted: Wanted, role: Callable[[str], str]
) -> tuple[list[Member], list[str]]:
    """Return the wanted accounts, and warnings, as `chosen` does; `role` returns the ARN of an
    account's role.
    """
    known, warnings = await chosen(api, wanted)
    members = [
        Member(account=one.account, role=role(one.account), name=one.name, path=list(one.path))
        for one in known
    ]
    return members, warnings


async def with_regions(
    members: Sequence[Member], regions: Sequence[str], assume: Assume, means: Means
) -> list[Member]:
    """Return the accounts with these Regions or, if there are none, with those enabled in each. An
    account that cannot be asked has none, and `failed` says why.
    """
    if regions:
        return [member.model_copy(update={"regions": list(regions)}) for member in members]
    free = asyncio.Semaphore(targets.ACCOUNTS_AT_ONCE)

    async def with_enabled(member: Member) -> Member:
        async with free:
            try:
                apis = await targets.connect(assume(member.role), [ALL], means)
                check_account(apis[0].target.account, member)
            except StoppedError:
                return member.model_copy(update={"failed": "not asked for its Regions in time"})
            except JanitorError as error:
                why = str(error).removesuffix(f"; {HINT}")  # the hint is for a terminal
                return member.model_copy(update={"failed": why})
        return member.model_copy(update={"regions": [api.target.region for api in apis]})

    return list(await asyncio.gather(*map(with_enabled, members)))


def check_account(account: str, member: Member) -> None:
    """Raise UsageError where a role's credentials belong to another account than the role."""
    if account != member.account:
        raise UsageError(f"{member.role}: its credentials are of account {account}")
