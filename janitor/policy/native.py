"""Which rules AWS's account-level retention policies can replace. Pure.

Such a policy only supports name prefixes. Of those that cover a log group the longest retention
applies, and it overrides the group's own setting (botocore 1.44.5, PutAccountPolicy). So a rule
becomes a policy only if a new log group without a setting of its own gets the same retention.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from janitor.core.native import AccountPolicy, Terms
from janitor.policy.file import CONDITIONS, Policy, Rule

OWN = "cloudwatch-janitor-"
"""The prefix of the names of the janitor's policies; it changes no others."""
MOST = 20
"""AWS's limit on account-level retention policies in an account and Region, whoever made them
(botocore 1.44.5, PutAccountPolicy).
"""
SHORTEST = 30
"""The shortest retention of a policy, in days (botocore 1.44.5, PutAccountPolicy)."""
_WILD = re.compile(r"[*?\[]")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Native:
    """A rule and the policy that replaces it."""

    rule: str
    policy: AccountPolicy
    terms: Terms


@dataclass(frozen=True, slots=True)
class NotNative:
    """A rule and the reason why no policy can replace it."""

    rule: str
    reason: str


def policy_name(rule: str) -> str:
    """Return the name of the policy that replaces a rule. AWS documents no allowed characters, so
    unusual ones of the rule's id are dropped and a hash is appended to keep names distinct.
    """
    if _PLAIN_ID.fullmatch(rule):
        return OWN + rule
    clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", rule)[:48].strip("-")
    return f"{OWN}{clean}-{hashlib.sha256(rule.encode()).hexdigest()[:8]}"


def native_rules(
    policy: Policy, others: Sequence[AccountPolicy], *, ignore_protect: bool
) -> list[Native | NotNative]:
    """Return the policy for each rule, or why there is none. `others` are the account-level
    retention policies that are not the janitor's; `ignore_protect` gives a retention even to what
    `[protect]` exempts.
    """
    made: dict[str, Terms] = {}
    results: list[Native | NotNative] = []
    for at, rule in enumerate(policy.rules):
        terms, why = _terms(rule, policy)
        if terms is not None:
            why = _shadowed(terms, policy.rules[:at], made, policy) or _prolonging(terms, others)
            why = why or ("" if ignore_protect else _exempt(terms, policy))
            if not why and len(made) + len(others) >= MOST:
                why = f"AWS allows {MOST} account-level retention policies, whoever made them"
        if terms is None or why:
            results.append(NotNative(rule.id, why))
            continue
        made[rule.id] = terms
        results.append(Native(rule.id, AccountPolicy.of(policy_name(rule.id), terms), terms))
    return results


def _terms(rule: Rule, policy: Policy) -> tuple[Terms | None, str]:
    """Return the terms of a policy for the rule alone; or None, and why there are none."""
    settings = policy.filled(rule)
    if present := [key for key in CONDITIONS if key != "names" and getattr(rule, key) is not None]:
        return None, f"it has {' and '.join(present)}; AWS's policies only support name prefixes"
    if not rule.names:
        return None, 'it has no names; give it names = ["*"] if it is for all log groups'
    if odd := [name for name in rule.names if not _is_prefix(name)]:
        return None, f"{odd[0]!r} is not a plain prefix (text that ends in its only *)"
    if settings.min_days is not None or settings.max_days is not None:
        return None, "it has min_days or max_days; AWS's policies set one retention, without bounds"
    if settings.retention_days is None:
        return None, "it sets no retention_days"
    if (days := settings.retention_days) < SHORTEST:
        return None, f"it sets {days} days; AWS's policies need {SHORTEST} or more"
    prefixes = sorted({name[:-1] for name in rule.names})
    least = [one for one in prefixes if not any(one[:end] in prefixes for end in range(len(one)))]
    return Terms(days, tuple(least)), ""


def _shadowed(terms: Terms, earlier: Sequence[Rule], made: dict[str, Terms], policy: Policy) -> str:
    """Return why an earlier rule gives some log group under the prefixes another retention; empty
    if none does. A rule that gives the same does not, nor one that becomes a policy with more days,
    because the longest retention applies.
    """
    assert terms.days is not None, "a rule's policy has days"
    for rule in earlier:
        if rule.names and not any(_may_match(name, terms) for name in rule.names):
            continue
        native, days = made.get(rule.id), policy.filled(rule).retention_days
        if days != terms.days and (native is None or (native.days or 0) < terms.days):
            return (
                f"rule {rule.id!r} comes first and gives some of its log groups another retention"
            )
    return ""


def _prolonging(terms: Terms, others: Sequence[AccountPolicy]) -> str:
    """Return which other account-level policy this one would prolong; empty if none."""
    assert terms.days is not None, "a rule's policy has days"
    for other in others:
        theirs = other.terms
        if theirs is None:
            return f"the account-level policy {other.name!r} cannot be understood"
        shorter = theirs.days is not None and theirs.days < terms.days
        if shorter and any(theirs.covers(prefix) for prefix in terms.prefixes):
            return (
                f"the account-level policy {other.name!r} gives some of its log groups "
                f"{theirs.days} days, and AWS would take the longer {terms.days}"
            )
    return ""


def _exempt(terms: Terms, policy: Policy) -> str:
    """Return what `[protect]` exempts and AWS's policies would not; empty if nothing."""
    protect = policy.protect
    exempt = [f"name {name}" for name in protect.names if _may_match(name, terms)]
    exempt += [f"name {name}" for name in protect.own_groups if name.startswith(terms.prefixes)]
    exempt += [f"tag {tag}" for tag in protect.tags]
    if not exempt:
        return ""
    return (
        f"[protect] exempts log groups by {', '.join(exempt)}, which AWS's policies cannot exempt; "
        "to have the policy apply to those too, give --ignore-protect"
    )


def _is_prefix(pattern: str) -> bool:
    plain = pattern.endswith("*") and not _WILD.search(pattern[:-1])
    return plain and not pattern.startswith("re:")


def _may_match(pattern: str, terms: Terms) -> bool:
    """Whether a name under the prefixes may match the pattern; True if that is not certain."""
    if pattern.startswith("re:"):
        return True
    wild = _WILD.search(pattern)
    if wild is None:
        return pattern.startswith(terms.prefixes)
    return terms.covers(pattern[: wild.start()])
