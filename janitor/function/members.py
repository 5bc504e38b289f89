"""Which accounts and Regions a run of a fleet is about: found once, and kept in the run's record.

The record is written once and read by every later step. An event names a run, a role and a Region;
what is not in the record is not believed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import boto3
from pydantic import BaseModel, ConfigDict, Field

from janitor.aws import targets
from janitor.aws.api import Api
from janitor.aws.credentials import HINT
from janitor.aws.organizations import Wanted, chosen
from janitor.aws.targets import Means
from janitor.core.clock import StoppedError
from janitor.core.errors import JanitorError, UsageError
from janitor.core.model import Target

Assume = Callable[[str], boto3.Session]
"""A session of the role with this ARN. Raises UsageError or CredentialsError."""


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Member(_Kept):
    """An account of the run. `path` are the names of the organizational units that it is in, from
    the top; `failed` says why it could not be asked for its Regions, empty if it could.
    """

    account: str
    role: str
    name: str = ""
    path: list[str] = Field(default_factory=list)
    regions: list[str] = Field(default_factory=list)
    failed: str = ""


class Record(_Kept):
    """A run of a fleet, as it was begun at `started` (ms) by the policy and the code with these
    digests.
    """

    run: str
    dry_run: bool
    started: int = Field(ge=0, lt=10**14)
    policy: str
    version: str
    members: list[Member]
    warnings: list[str] = Field(default_factory=list)

    @property
    def targets(self) -> Mapping[Target, Member]:
        """Every account and Region, with its account."""
        return {
            Target(member.account, region): member
            for member in self.members
            for region in member.regions
        }


async def found(
    api: Api, wanted: Wanted, role: Callable[[str], str]
) -> tuple[list[Member], list[str]]:
    """The accounts that are meant, as `chosen`; `role` gives the ARN of an account's role."""
    known, warnings = await chosen(api, wanted)
    members = [
        Member(account=one.account, role=role(one.account), name=one.name, path=list(one.path))
        for one in known
    ]
    return members, warnings


async def with_regions(
    members: Sequence[Member], regions: Sequence[str], assume: Assume, means: Means
) -> list[Member]:
    """The accounts with these Regions or, without any, with those that are enabled in each: an
    account that cannot be asked has none, and says why.
    """
    if regions:
        return [member.model_copy(update={"regions": list(regions)}) for member in members]
    free = asyncio.Semaphore(targets.ACCOUNTS_AT_ONCE)

    async def asked(member: Member) -> Member:
        async with free:
            try:
                apis = await targets.connect(assume(member.role), [targets.ALL], means)
                proved(apis[0].target.account, member)
            except StoppedError:
                return member.model_copy(update={"failed": "not asked for its Regions in time"})
            except JanitorError as error:
                why = str(error).removesuffix(f"; {HINT}")  # which is for a terminal
                return member.model_copy(update={"failed": why})
        return member.model_copy(update={"regions": [api.target.region for api in apis]})

    return list(await asyncio.gather(*map(asked, members)))


def proved(account: str, member: Member) -> None:
    """Raise UsageError where a role's credentials are of another account than the role is."""
    if account != member.account:
        raise UsageError(f"{member.role}: its credentials are of account {account}")
