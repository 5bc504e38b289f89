"""The options of a command, and the policy that they choose."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from janitor.aws import targets
from janitor.aws.organizations import UNIT, Wanted
from janitor.aws.regions import ALL, check_region
from janitor.aws.targets import ACCOUNT
from janitor.core.errors import UsageError
from janitor.policy import file as policies
from janitor.policy.file import Policy
from janitor.report.base import Format
from janitor.terminal.signals import handled


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
            if region != ALL:
                check_region(region, "-r/--region")
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


def same_options(options: Options, *, places: bool) -> list[str]:
    """Return the options with which another command works in the same account and policy; without
    `places`, those for Regions and for an organization's accounts are left out.
    """
    words = ["--sandbox"] if options.sandbox else []
    if options.sandbox_state is not None:
        words = ["--sandbox-state", str(options.sandbox_state)]
    for region in options.regions if places else ():
        words += ["--region", region]
    for role in options.roles:
        words += ["--role", role]
    if options.org:
        words += ["--org-role", options.org_role] if options.org_role else []
    if options.org and places:
        words += [] if options.ous or options.accounts else ["--org"]
        named = (("--ou", options.ous), ("--account", options.accounts))
        for option, values in (*named, ("--exclude", options.exclude)):
            for value in values:
                words += [option, value]
    if options.external_id is not None:
        words += ["--external-id", options.external_id]
    if options.profile is not None:
        words += ["--profile", options.profile]
    if options.policy is not None:
        words += ["--policy", str(options.policy)]
    return words
