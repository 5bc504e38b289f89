"""The account that a command works in: AWS as boto3 finds it, or the sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from janitor import terminal
from janitor.aws import targets
from janitor.aws.api import Api, Counts
from janitor.aws.models import Plain, cut
from janitor.aws.organizations import Member, chosen
from janitor.aws.regions import ALL, DEFAULT_REGION, configured_region, one_partition, partition_of
from janitor.aws.targets import Means
from janitor.aws.workers import Inline, Threads
from janitor.core.clock import Clock, Stop, StoppedError, SystemClock
from janitor.core.errors import CredentialsError, InterruptionError, UsageError
from janitor.function.member_role import ROLE
from janitor.policy.file import Policy
from janitor.terminal.options import Options
from janitor.terminal.output import say

if TYPE_CHECKING:  # imported late: boto3 to call AWS, the sandbox for --sandbox
    import boto3

    from janitor.sandbox.account import Sandbox


@dataclass(frozen=True, slots=True)
class Account:
    """Where a command works: AWS as boto3 finds it, or the sandbox. `clock` has the time there."""

    options: Options
    clock: Clock
    sandbox: Sandbox | None = None

    def session(self) -> boto3.Session:
        """Return a session for the account. Raises UsageError on an unknown profile."""
        if self.sandbox is None:
            return targets.session(self.options.profile)
        return self.sandbox.session()


@dataclass(frozen=True, slots=True)
class Reached:
    """An API for each account and Region. `unusable` says by account why it cannot be used, if
    others can; `members` holds what the organization says of its accounts.
    """

    apis: list[Api]
    unusable: Mapping[str, str]
    members: Mapping[str, Member]
    warnings: Sequence[str]

    @property
    def names(self) -> dict[str, str]:
        """The names of accounts in the organization."""
        return {account: one.name for account, one in self.members.items() if one.name}


async def connect(
    account: Account,
    regions: tuple[str, ...],
    policy: Policy,
    counts: Counts,
    stop: Stop,
    only: Collection[str | None] = (),
) -> Reached:
    """Enter all accounts and Regions; of an organization's accounts only those in `only`, if given.
    Raises UsageError, CredentialsError, and InterruptionError as soon as the run is interrupted.
    """
    try:
        return await stop.unless(_reached(account, regions, policy, counts, stop, only))
    except StoppedError as error:
        raise InterruptionError("interrupted before anything was done") from error


async def _reached(
    account: Account,
    regions: tuple[str, ...],
    policy: Policy,
    counts: Counts,
    stop: Stop,
    only: Collection[str | None],
) -> Reached:
    sandbox, options = account.sandbox, account.options
    wanted = regions if sandbox is None else _regions(sandbox, regions)
    share = policy.limits.api_share if sandbox is None else None
    workers = Threads() if sandbox is None else Inline()
    stop.waits = sandbox is None  # time stands still in a sandbox
    means = Means(account.clock, counts, stop, workers, share)
    aws = account.session()
    roles = dict.fromkeys(options.roles)
    named = [region for region in wanted if region != ALL]
    one_partition(named or [configured_region(aws) or DEFAULT_REGION], roles)
    members: dict[str, Member] = {}
    left: dict[str, str] = {}
    warnings: list[str] = []
    if options.org:
        home = await targets.home(aws, wanted, means)
        found, warnings = await chosen(home, options.wanted)
        members = {one.account: one for one in found if not only or one.account in only}
        why = "nothing was done: it is not among the organization's accounts, or was not selected"
        gone = sorted({*filter(None, only)} - members.keys())
        left = {account: f"account {account}: {why}" for account in gone}
        partition, name = partition_of(home.target.region), options.org_role or ROLE
        for number in members:
            roles[f"arn:{partition}:iam::{number}:role/{name}"] = None
        if not roles:
            raise UsageError("--org: none of the organization's accounts is selected")
    if not roles:
        return Reached(await targets.connect(aws, wanted, means), {}, {}, warnings)

    async def connected(role: str) -> list[Api]:
        return await targets.connect(_assumed(account, aws, role), wanted, means)

    apis, unusable = await targets.each_account(roles, connected)
    return Reached(apis, left | unusable, members, warnings)


def _assumed(account: Account, aws: boto3.Session, role: str) -> boto3.Session:
    """Return a session of the role. Raises UsageError, CredentialsError."""
    external = account.options.external_id
    if account.sandbox is None:
        return targets.assumed(aws, role, external)
    targets.account_of(role)
    from botocore.exceptions import ClientError

    try:
        return account.sandbox.assumed(role, external)
    except ClientError as error:
        raise CredentialsError(f"{role} cannot be assumed: {error}") from error


def _regions(sandbox: Sandbox, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sandbox's Regions, or the wanted ones. Raises UsageError on unknown ones."""
    enabled = tuple(dict.fromkeys(region for _account, region in sandbox.store.regions))
    for region in wanted:
        if region not in (*enabled, ALL):
            raise UsageError(f"{region} is not enabled in the sandbox: {', '.join(enabled)} are")
    return enabled if not wanted or ALL in wanted else wanted


class SandboxClock(SystemClock):
    """A clock with the sandbox's time, on which waiting and measuring are real."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now(self) -> int:
        """Return the time in ms since the epoch."""
        return self._sandbox.clock.now()


@contextlib.contextmanager
def in_account(options: Options, *, changing: bool = False) -> Iterator[Account]:
    """Yield AWS or the sandbox, which is new or kept in a folder. Raises UsageError."""
    if not options.sandbox:
        yield Account(options, SystemClock())
        return
    from janitor.sandbox.services import MODELS

    MODELS.file_loader = Plain()
    if terminal.owns_process:
        MODELS.cut = cut
    if options.sandbox_state is None:
        from janitor.sandbox import demo

        sandbox = demo.sandbox(demo.account(), demo.NOW)
        yield Account(options, SandboxClock(sandbox), sandbox)
        return
    from janitor.sandbox.saved import FILE, kept

    with kept(options.sandbox_state, changing=changing) as sandbox:
        if not (options.sandbox_state / FILE).exists():
            say(options, f"the demo account in {options.sandbox_state} is new")
        yield Account(options, SandboxClock(sandbox), sandbox)
