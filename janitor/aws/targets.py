"""Enters the accounts of a run: sessions, roles, and the `Api` of each account and Region."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.handlers import BUILTIN_HANDLERS
from botocore.hooks import HierarchicalEmitter

from janitor.aws import tls
from janitor.aws.api import (
    CLIENT_CONFIG,
    Api,
    Counts,
    ReadError,
    needed,
)
from janitor.aws.checked import check
from janitor.aws.clients import Clients, SharedClients
from janitor.aws.credentials import HINT, NOWHERE, Renewal, renew_carefully
from janitor.aws.models import loader
from janitor.aws.pace import Pace
from janitor.aws.quotas import default_quota
from janitor.aws.regions import (
    ALL,
    DEFAULT_REGION,
    check_region,
    configured_region,
    enabled,
    environment_region,
    known_regions,
    partition_of,
)
from janitor.aws.workers import Workers
from janitor.core.clock import Clock, Stop
from janitor.core.errors import CredentialsError, JanitorError, UsageError
from janitor.core.model import Target

ACTIONS: dict[str, str] = {
    "ListAccountAliases": "iam:ListAccountAliases",
    "AssumeRole": "sts:AssumeRole",
}
ACCOUNTS_AT_ONCE = 16
"""Roles that are connected to at a time."""
ACCOUNT = re.compile(r"[0-9]{12}")
ROLE_ARN = re.compile("arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]+")
ROLE_NAME = "([0-9A-Za-z_+=,.@-]+/)*[0-9A-Za-z_+=,.@-]{1,64}"
"""A role's name, with or without its path (IAM API reference, CreateRole; paths as in ROLE_ARN)."""
EXTERNAL_ID = "[0-9A-Za-z_+=,.@:/-]{2,1224}"
"""What AssumeRole accepts (STS API reference)."""


def session(profile: str | None) -> boto3.Session:
    """A boto3 session by boto3's own conventions. Raises UsageError on an unknown profile or
    configured Region, or on an unsafe botocore, and CredentialsError if there are no credentials.
    """
    try:
        made = _session(profile)
        if not environment_region() and made.region_name:
            check_region(made.region_name, f"profile {made.profile_name}: region")
        check(made)
        renew_carefully(made._session)
        return made
    except ProfileNotFound as error:
        known = ", ".join(botocore.session.Session().available_profiles) or "none"
        raise UsageError(f"{error} (profiles: {known}); {HINT}") from error
    except BotoCoreError as error:
        raise UsageError(f"{error}; {HINT}") from error


def check_value(where: str, value: str, what: str, *patterns: re.Pattern[str] | str) -> None:
    """Raise UsageError unless the value matches one of the patterns. `where` names the option or
    key, `what` says what it accepts.
    """
    if not any(re.fullmatch(pattern, value) for pattern in patterns):
        raise UsageError(f"{where}: {value!r} is not {what}")


def check_role_name(name: str, where: str) -> None:
    """Raise UsageError if no role can have that name."""
    what = "the name of a role, with its path if it has one (letters, digits, _+=,.@-; at most 64)"
    check_value(where, name, what, ROLE_NAME)


def check_external_id(text: str, where: str) -> None:
    """Raise UsageError if AssumeRole would not accept the external ID."""
    what = "an external ID (2 to 1,224 letters, digits and _+=,.@:/-)"
    check_value(where, text, what, EXTERNAL_ID)


def account_of(role: str) -> str:
    """The account in a role's ARN. Raises UsageError if it is not the ARN of a role."""
    what = "the ARN of a role (such as arn:aws:iam::123456789012:role/janitor)"
    check_value("--role", role, what, ROLE_ARN)
    return role.split(":")[4]


def assumed(aws: boto3.Session, role: str, external_id: str | None = None) -> boto3.Session:
    """A session of the role, by sts:AssumeRole from `aws`, renewed before it expires.

    Nothing is called yet. Raises UsageError if it is not the ARN of a role, and CredentialsError if
    there are no credentials to assume it with.
    """
    account_of(role)
    source = aws.get_credentials()
    if source is None:
        raise CredentialsError(NOWHERE)
    partition = role.split(":")[1]
    homes = (name for name in (configured_region(aws), DEFAULT_REGION, *known_regions()) if name)
    home = next((name for name in homes if partition_of(name) == partition), DEFAULT_REGION)
    fetcher = AssumeRoleCredentialFetcher(
        functools.partial(aws.client, region_name=home, config=CLIENT_CONFIG),
        source,
        role,
        extra_args={
            "RoleSessionName": "cloudwatch-janitor",
            **({} if external_id is None else {"ExternalId": external_id}),
        },
    )
    credentials = DeferredRefreshableCredentials(
        method="assume-role",
        refresh_using=Renewal(fetcher.fetch_credentials, f"{role} cannot be assumed: "),
    )
    renewed = _session(region=aws.region_name)
    # boto3 has no public way to make a session whose credentials renew themselves.
    renewed._session._credentials = credentials  # type: ignore[attr-defined]
    if renewed.get_credentials() is not credentials:
        raise CredentialsError(
            f"botocore {botocore.__version__} does not accept a role's credentials"
        )
    return renewed


def _session(profile: str | None = None, region: str | None = None) -> boto3.Session:
    inner = lean(profile)
    inner.get_scoped_config()  # raises ProfileNotFound now, not at the first call
    return boto3.Session(botocore_session=inner, region_name=region)


class _Hooks(HierarchicalEmitter):
    """botocore's event handlers, without those that write its documentation."""

    def register(self, event_name: str, *handler: Any, **more: Any) -> None:
        if not event_name.startswith("docs."):
            super().register(event_name, *handler, **more)


@functools.cache
def _hooks(_handlers: int) -> _Hooks:
    """Event handlers to copy: registering them for each session takes 5 ms of CPU time (botocore
    1.44.5, measured), and an organization has a thousand accounts. The parameter is their number,
    so they are registered again if botocore gets more.
    """
    botocore.session.Session(event_hooks=(hooks := _Hooks()))
    return hooks


def lean(profile: str | None = None) -> botocore.session.Session:
    """A session whose clients, as itself, take little memory and CPU time."""
    hooks = copy(_hooks(len(BUILTIN_HANDLERS)))
    inner = botocore.session.Session(
        profile=profile, event_hooks=hooks, include_builtin_handlers=False
    )
    inner.register_component("data_loader", loader(inner.get_config_variable("data_path")))
    tls.share(inner)
    return inner


async def each_account(
    roles: Iterable[str], connected: Callable[[str], Awaitable[list[Api]]]
) -> tuple[list[Api], dict[str, str]]:
    """The results of `connected` for all roles and, by account, why a role cannot be used although
    others can.

    Raises what `connected` raises if all fail, and UsageError if two roles belong to the same
    account, which would be scanned twice, at twice the share of its quotas.
    """
    accounts: dict[str, str] = {}
    for role in roles:
        if (account := account_of(role)) in accounts:
            raise UsageError(f"--role: two roles belong to account {account}")
        accounts[account] = role
    free = asyncio.Semaphore(ACCOUNTS_AT_ONCE)

    async def asked(role: str) -> list[Api] | JanitorError:
        async with free:
            try:
                return await connected(role)
            except JanitorError as error:
                return error

    apis: list[Api] = []
    failed: dict[str, JanitorError] = {}
    answers = await asyncio.gather(*map(asked, accounts.values()))
    for account, answer in zip(accounts, answers, strict=True):
        if isinstance(answer, JanitorError):
            failed[account] = answer
        else:
            apis += answer
    if failed and not apis:
        raise next(iter(failed.values()))
    return apis, {
        account: f"account {account}: nothing was done: {why}" for account, why in failed.items()
    }


@dataclass(frozen=True, slots=True)
class Means:
    """What all targets of a process share. `share` (0 to 1) is that of each quota; None means that
    there are no quotas.
    """

    clock: Clock
    counts: Counts
    stop: Stop
    workers: Workers
    share: float | None
    clients: SharedClients = field(default_factory=SharedClients)

    def api(self, aws: Clients, target: Target) -> Api:
        """The `Api` of a target, with clients from `aws`."""

        def rate(name: str) -> float:
            return 1e6 if self.share is None else default_quota(name) * self.share

        pace = Pace(rate, self.clock)
        return Api(
            target, aws, pace, self.clock, self.counts, self.stop, self.workers, self.clients
        )


async def connect(aws: boto3.Session, wanted: Sequence[str], means: Means) -> list[Api]:
    """The `Api`s of the account's wanted Regions, by default of the configured one; `all` asks EC2
    which are enabled. Raises UsageError or CredentialsError before anything else is called.
    """

    def api(account: str, region: str) -> Api:
        return means.api(aws, Target(account, region))

    usual = configured_region(aws)
    named = [region for region in dict.fromkeys(wanted) if region != ALL]
    for region in named:
        check_region(region, "Region")
    if not wanted and not usual:
        raise UsageError(
            f"no Region: give -r/--region REGION (or `all`), or set AWS_REGION; {HINT}"
        )
    account, home = await _account(api, [*named, usual or DEFAULT_REGION])
    if ALL in wanted:
        named = await enabled(api(account, home))
    return [api(account, region) for region in named or [home]]


async def home(aws: boto3.Session, wanted: Sequence[str], means: Means) -> Api:
    """The `Api` of the session's own account, in a wanted Region or the configured one. Raises
    UsageError or CredentialsError.
    """
    named = [region for region in wanted if region != ALL]
    account, region = await _account(
        lambda account, region: means.api(aws, Target(account, region)),
        [*named, configured_region(aws) or DEFAULT_REGION],
    )
    return means.api(aws, Target(account, region))


async def _account(api: Callable[[str, str], Api], regions: Sequence[str]) -> tuple[str, str]:
    """The account, and the first of the Regions that answered: some may not be enabled."""
    first: JanitorError | None = None
    for region in dict.fromkeys(regions):
        try:
            answer = await needed(api("", region), "sts", "GetCallerIdentity", "Account")
            return check_account(str(answer["Account"])), region
        except JanitorError as error:
            first = first or error
    assert first is not None, "there is a Region"
    raise first


def check_account(account: str) -> str:
    """The account number, checked because file and object names contain it. Raises UsageError."""
    if not ACCOUNT.fullmatch(account):
        raise UsageError(f"AWS says {account!r}, which is not an account number")
    return account


async def alias(api: Api) -> str | None:
    """The account's alias, for people; None if it has none, or if it cannot be read."""
    try:
        answer = await api.once("iam", "ListAccountAliases", expect="AccountAliases", paced=False)
    except (*ReadError, JanitorError):
        return None
    return next((str(name) for name in answer["AccountAliases"]), None)
