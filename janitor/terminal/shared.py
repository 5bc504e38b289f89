"""What the commands share: options, the account they work in, and their output."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

from janitor import __version__, terminal
from janitor.aws import targets
from janitor.aws.api import Api, Counts
from janitor.aws.models import Plain, cut
from janitor.aws.organizations import UNIT, Member, Wanted, chosen
from janitor.aws.targets import ACCOUNT, Means
from janitor.aws.workers import Inline, Threads
from janitor.core.clock import Clock, Stop, StoppedError, SystemClock
from janitor.core.errors import CredentialsError, InterruptionError, OutputError, UsageError
from janitor.core.text import ODD, visible
from janitor.function.member_role import ROLE
from janitor.journal.journal import FileJournal, Lines
from janitor.policy import file as policies
from janitor.policy.file import SHIPPED, Policy
from janitor.report.base import Format, RunInfo
from janitor.terminal.signals import handled

if TYPE_CHECKING:  # imported late: boto3 to call AWS, the sandbox for --sandbox
    import boto3

    from janitor.sandbox.account import Sandbox


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a command. Raises UsageError on values that AWS cannot have."""

    profile: str | None = None
    roles: tuple[str, ...] = ()
    external_id: str | None = None
    org: bool = False
    org_role: str | None = None
    ous: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    policy: Path | None = None
    sandbox: bool = False
    sandbox_state: Path | None = None
    format: Format = Format.TABLE
    output: Path | None = None
    api_share: float | None = None
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    yes: bool = False
    fail_on_findings: bool = False
    all_groups: bool = False
    journal: Path | None = None
    ingestion: bool = False
    by: str | None = None
    since: Path | None = None
    orphans: bool = False

    def __post_init__(self) -> None:
        for region in self.regions:
            if region != targets.ALL:
                targets.check_region(region, "-r/--region")
        for role in self.roles:
            targets.account_of(role)
        if self.external_id is not None:
            targets.check_external_id(self.external_id, "--external-id")
        if self.org_role is not None:
            targets.check_role_name(self.org_role, "--org-role")
        account = "the id of an account (12 digits)"
        unit = "of an organizational unit (ou-… or r-…)"
        for option, values, what, *patterns in (
            ("--ou", self.ous, f"the id {unit}", UNIT),
            ("--account", self.accounts, account, ACCOUNT),
            ("--exclude", self.exclude, f"{account} or {unit}", UNIT, ACCOUNT),
        ):
            for value in values:
                targets.check_value(option, value, what, *patterns)
        if self.wanted.excluded_units and not self.wanted.asks:
            raise UsageError(
                f"--exclude {self.wanted.excluded_units[0]}: --account names all accounts, so "
                "the organization is not asked for its units"
            )

    @property
    def wanted(self) -> Wanted:
        """The accounts of the organization to work in."""
        return Wanted(self.ous, self.accounts, self.exclude)

    @property
    def several(self) -> bool:
        """Whether the command may work in more than one account."""
        return self.org or len(set(self.roles)) > 1


def read_policy(options: Options) -> Policy:
    """Return the policy in force, with `--api-share` applied. Raises PolicyError."""
    with handled(signal.default_int_handler):  # asyncio's own would wait for the end of stdin
        policy = policies.load(options.policy)
    own = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    if options.api_share is not None:
        limits = policy.limits.model_copy(update={"api_share": options.api_share})
        policy = policy.model_copy(update={"limits": limits})
    return policy.with_own_groups(own) if own else policy


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
    """An API for each account and Region. `unusable` says by account why its role cannot be used,
    if others can; `members` holds what the organization says of its accounts.
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
    named = [region for region in wanted if region != targets.ALL]
    targets.one_partition(
        named or [targets.configured_region(aws) or targets.DEFAULT_REGION], roles
    )
    members: dict[str, Member] = {}
    warnings: list[str] = []
    if options.org:
        home = await targets.home(aws, wanted, means)
        found, warnings = await chosen(home, options.wanted)
        members = {one.account: one for one in found if not only or one.account in only}
        partition, name = targets.partition_of(home.target.region), options.org_role or ROLE
        for number in members:
            roles[f"arn:{partition}:iam::{number}:role/{name}"] = None
        if not roles:
            raise UsageError("--org: none of the organization's accounts is selected")
    if not roles:
        return Reached(await targets.connect(aws, wanted, means), {}, {}, warnings)

    async def connected(role: str) -> list[Api]:
        return await targets.connect(_assumed(account, aws, role), wanted, means)

    apis, unusable = await targets.each_account(roles, connected)
    return Reached(apis, unusable, members, warnings)


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
        if region not in (*enabled, targets.ALL):
            raise UsageError(f"{region} is not enabled in the sandbox: {', '.join(enabled)} are")
    return enabled if not wanted or targets.ALL in wanted else wanted


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
    from janitor.sandbox.saved import kept

    with kept(options.sandbox_state, changing=changing) as sandbox:
        yield Account(options, SandboxClock(sandbox), sandbox)


def run_info(
    options: Options,
    command: str,
    policy: Policy,
    apis: list[Api],
    now: int,
    run_id: str,
    *,
    dry_run: bool,
) -> RunInfo:
    """Return what outputs say of the run; `now` is in ms since the epoch."""
    return RunInfo(
        id=run_id,
        command=command,
        version=__version__,
        started=datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds"),
        account=", ".join(dict.fromkeys(api.target.account for api in apis)),
        regions=list(dict.fromkeys(api.target.region for api in apis)),
        policy=str(options.policy or SHIPPED),
        policy_sha256=policy.digest(),
        dry_run=dry_run,
    )


@contextlib.contextmanager
def output(options: Options, *read: Path) -> Iterator[IO[str]]:
    """Yield stdout, or a file that gets its name only once it is complete. Raises UsageError, also
    if the file is one that the command uses otherwise, such as those it `read`.
    """
    path, part = options.output, None
    if path is None or str(path) == "-":
        yield sys.stdout
        return
    target = Path(os.path.realpath(path))  # a link stays, and its target is written
    for other in filter(None, (options.policy, options.since, options.journal, *read)):
        if str(target) == os.path.realpath(other):
            raise UsageError(f"-o/--output: {path}: would overwrite {other}, which is used here")
    try:
        if path.exists() and not path.is_file():
            file = path.open("w", encoding="utf-8", errors=ODD)
        else:
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            part, file = Path(name), os.fdopen(handle, "w", encoding="utf-8", errors=ODD)
    except OSError as error:
        raise UsageError(f"-o/--output: {path}: {error.strerror}") from error
    try:
        yield file
        file.close()
        if part is not None:
            umask = os.umask(0)
            os.umask(umask)
            part.chmod(0o666 & ~umask)
            part.replace(target)
        say(options, f"written to {path}")
    finally:
        with contextlib.suppress(OSError):
            file.close()
        if part is not None:
            part.unlink(missing_ok=True)


def new_journal(options: Options, policy: Policy, now: int, run_id: str) -> FileJournal:
    """Return the journal of a run that starts `now` (ms); its first line creates the file."""
    path = options.journal or FileJournal.default_path(now)
    workers = Inline() if options.sandbox else Threads(1)
    return FileJournal(path, Lines(run_id, policy.digest()), workers)


@contextlib.contextmanager
def naming(journal: FileJournal) -> Iterator[FileJournal]:
    """Name the journal if the command ends before its summary, as after a second Ctrl-C."""
    try:
        yield journal
    except OutputError:  # raised after the summary
        raise
    except BaseException:
        if journal.written:
            with contextlib.suppress(OSError):
                complain(f"journal: {journal.path}")
        raise


def show(line: str) -> None:
    """Print a line of a demo on stdout, ahead of what its next command prints."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def say(options: Options, text: str) -> None:
    """Print a line for people on stderr, unless `--quiet` was given."""
    if not options.quiet:
        sys.stderr.write(visible(text) + "\n")


def complain(text: str) -> None:
    """Print a line on stderr, even with `--quiet`."""
    sys.stderr.write(f"janitor: {visible(text)}\n")


def say_discarded(options: Options) -> None:
    """Say that changes to a sandbox without a folder are not kept."""
    if options.sandbox and options.sandbox_state is None:
        say(
            options,
            "the changes to the sandbox are discarded; --sandbox-state FOLDER keeps them",
        )
