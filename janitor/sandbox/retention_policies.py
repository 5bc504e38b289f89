"""Account-level retention policies, and which of them a log group is under.

Sources: botocore 1.44.5, PutAccountPolicy and DescribeLogGroups. The policy with the longest
retention wins whatever its prefix, among equals the oldest. A change comes into force a day after
it was put; until then the terms before it apply.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from janitor.core.clock import DAY_MS

MOST_POLICIES = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """`days` is None for NEVER_EXPIRE; `new_only` spares groups older than the policy."""

    days: int | None
    prefixes: tuple[str, ...] = ("",)
    new_only: bool = False


@dataclass(slots=True)
class RetentionPolicy:
    """`terms` as last put, and those in force (None for none yet)."""

    name: str
    terms: Terms
    in_force: Terms | None = None
    created: int = 0
    updated: int = 0

    def due(self, now: int) -> bool:
        """Whether the terms that were put have yet to be put into force."""
        return self.in_force != self.terms and now >= self.updated + DAY_MS

    def covers(self, group: str, created: int) -> bool:
        """Whether it applies to the log group of that name and creation time."""
        terms = self.in_force
        return (
            terms is not None
            and group.startswith(terms.prefixes)
            and not (terms.new_only and created <= self.created)
        )


def ruling(
    policies: Sequence[RetentionPolicy], group: str, created: int
) -> tuple[str, int | None] | None:
    """The name and days of the policy that a log group is under; None if it is under none."""
    found = [
        (policy.name, policy.in_force.days)
        for policy in policies
        if policy.in_force is not None and policy.covers(group, created)
    ]
    return max(found, key=lambda one: math.inf if one[1] is None else one[1], default=None)
