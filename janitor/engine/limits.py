"""How much one run may delete, in an account and in all its accounts together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import ceil
from typing import Any, Literal

from janitor.core.model import Verb
from janitor.core.tally import Tally
from janitor.core.text import counted
from janitor.policy.file import Limits


def within_share(limits: Limits, scanned: int) -> int:
    """How many log groups the share allows to delete, of so many that were scanned.

    The share is taken exactly as written: 0.29 of 100 is 29.
    """
    return int(Fraction(str(limits.max_group_deletion_share)) * scanned)


def exceeded(
    limits: Limits,
    *,
    deletions: int,
    sweeps: int,
    scanned: int,
    where: str = "",
    section: Literal["limits", "limits.fleet"] = "limits",
) -> str:
    """Why nothing may be deleted or swept, and which values in the policy's `section` would allow
    it; empty if it may. `where` says in the text what was counted.

    Beyond a limit a survey no longer asks everything that may keep a log group, so lower values may
    be enough.
    """
    why: list[str] = []
    needed: dict[str, float] = {}
    share = limits.max_group_deletion_share
    if deletions > limits.max_group_deletions:
        groups = counted(limits.max_group_deletions, "log group")
        why.append(f"more than max_group_deletions = {groups}")
        needed["max_group_deletions"] = deletions
    if deletions > within_share(limits, scanned):
        why.append(
            f"{deletions} of {scanned} log groups, more than max_group_deletion_share = {share}"
        )
        if deletions <= scanned:
            needed["max_group_deletion_share"] = ceil(Fraction(deletions * 10**4, scanned)) / 10**4
    if sweeps > limits.max_stream_deletions:
        most = limits.max_stream_deletions
        why.append(f"{counted(sweeps, 'log stream')}, more than max_stream_deletions = {most}")
        needed["max_stream_deletions"] = sweeps
    if not why:
        return ""
    text = f"nothing is deleted{where}: the plan has {' and '.join(why)}"
    if needed:
        enough = " and ".join(f"{key} = {value}" for key, value in needed.items())
        text += f"; to allow it, set {enough} in [{section}]"
    if section == "limits.fleet" and any(getattr(limits.fleet, key) is None for key in needed):
        text += ", without which [limits] holds for all accounts together"
    return text


@dataclass(frozen=True, slots=True)
class LimitsVerdict:
    """Why nothing that is planned may be deleted or swept, anywhere and in single accounts; empty
    if it may.
    """

    anywhere: str
    accounts: Mapping[str, str]

    def of(self, account: str) -> str:
        """Why nothing may be deleted or swept in the account; empty if it may."""
        return self.anywhere or self.accounts.get(account, "")

    @property
    def text(self) -> str:
        """All reasons in a line, those of at most NAMED accounts."""
        if self.anywhere:
            return self.anywhere
        named = [f"{account}: {why}" for account, why in islice(self.accounts.items(), NAMED)]
        left = len(self.accounts) - len(named)
        return "; ".join([*named, *([f"and {counted(left, 'more account')}"] if left else [])])


NAMED = 10
"""Accounts that are named in a line, at most."""


def verdict(accounts: Mapping[str, Tally], limits: Limits) -> LimitsVerdict:
    """What the limits refuse of the plans of each account, and of all together."""
    single = {account: _over(tally, limits) for account, tally in accounts.items()}
    if len(accounts) == 1 and (why := next(iter(single.values()))):
        return LimitsVerdict(why, {})
    where = " in any account" if len(accounts) > 1 else ""
    total = Tally.together(accounts.values())
    together = _over(total, limits.over_all(), where=where, section="limits.fleet")
    return LimitsVerdict(together, {account: why for account, why in single.items() if why})


def _over(tally: Tally, limits: Limits, **how: Any) -> str:
    return exceeded(
        limits,
        deletions=tally.planned[Verb.DELETE_GROUP],
        sweeps=tally.planned[Verb.SWEEP_STREAMS],
        scanned=tally.scanned,
        **how,
    )
