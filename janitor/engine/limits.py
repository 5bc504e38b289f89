"""How much one run may delete: in an account, and in all its accounts together. Pure."""

from __future__ import annotations

from fractions import Fraction

from janitor.policy.file import Limits


def allowed_deletions(limits: Limits, scanned: int) -> int:
    """How many log groups may be deleted of so many that were scanned.

    The share is taken exactly as it is written: 0.29 of 100 are 29.
    """
    share = Fraction(str(limits.max_group_deletion_share))
    return min(limits.max_group_deletions, int(share * scanned))


def exceeded(limits: Limits, *, deletions: int, sweeps: int, scanned: int, where: str = "") -> str:
    """Why nothing may be deleted or swept `where` that was counted; empty where it may."""
    why = []
    if deletions > limits.max_group_deletions:
        why.append(f"more than max_group_deletions = {limits.max_group_deletions} log groups")
    elif deletions > allowed_deletions(limits, scanned):
        share = limits.max_group_deletion_share
        why.append(
            f"{deletions} of {scanned} log groups, more than max_group_deletion_share = {share}"
        )
    if sweeps > limits.max_stream_deletions:
        most = limits.max_stream_deletions
        why.append(f"{sweeps} log streams, more than max_stream_deletions = {most}")
    return f"nothing is deleted{where}: the plan has {' and '.join(why)}" if why else ""
