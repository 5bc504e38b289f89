"""Which rules an account-level retention policy of AWS can stand for. Pure.

Such a policy knows name prefixes only. Of those that a log group is under the longest decides, and
it overrides the group's own setting (botocore 1.44.5, PutAccountPolicy). So a rule is made one only
where that gives a new log group without a setting of its own what the rule gives it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from janitor.core.native import AccountPolicy, Terms
from janitor.policy.file import Policy, Rule

OWN = "cloudwatch-janitor-"
"""What the names of the janitor's policies begin with; it touches no others."""
MOST = 20
"""Account-level retention policies of an account and Region, whosever they are (botocore 1.44.5,
PutAccountPolicy)."""
SHORTEST = 30
"""Days (botocore 1.44.5, PutAccountPolicy)."""
_WILD = re.compile(r"[*?\[]")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Native:
    """A rule, and the policy that stands for it."""

    rule: str
    policy: AccountPolicy
    terms: Terms


@dataclass(frozen=True, slots=True)
class NotNative:
    """A rule, and why no policy can stand for it."""

    rule: str
    reason: str


def policy_name(rule: str) -> str:
    """The name of the policy that stands for a rule. AWS documents no alphabet for it; what is
    unusual in a rule's id is left out, and told apart by a hash.
    """
    if _PLAIN_ID.fullmatch(rule):
        return OWN + rule
    clean = re.sub(r"[^A-Za-z0-9_.-]+", "-", rule)[:48].strip("-")
    return f"{OWN}{clean}-{hashlib.sha256(rule.encode()).hexdigest()[:8]}"


def native_rules(
    policy: Policy, others: Sequence[AccountPolicy], *, ignore_protect: bool
) -> list[Native | NotNative]:
    """Each rule in turn. `others` are the account-level retention policies that are not the
    janitor's; `ignore_protect` gives a retention to what `[protect]` exempts, too.
    """
    made: dict[str, Terms] = {}
    found: list[Native | NotNative] = []
    for at, rule in enumerate(policy.rules):
        terms, why = _terms(rule, policy)
        if terms is not None:
            why = _taken(terms, policy.rules[:at], made, policy) or _overruled(terms, others)
            why = why or ("" if ignore_protect else _exempt(terms, policy))
            if not why and len(made) + len(others) >= MOST:
                why = f"AWS allows {MOST} account-level retention policies, whoever made them"
        if terms is None or why:
            found.append(NotNative(rule.id, why))
            continue
        made[rule.id] = terms
        found.append(Native(rule.id, AccountPolicy.of(policy_name(rule.id), terms), terms))
    return found


def _terms(rule: Rule, policy: Policy) -> tuple[Terms | None, str]:
    """What a policy would say that stands for the rule by itself; or None, and why."""
    settings = policy.filled(rule)
    if beside := [
        key
        for key in ("tags", "classes", "regions", "orphan_days", "quiet_days")
        if getattr(rule, key)
    ]:
        return None, f"it has {_and(beside)}; AWS's policies only support name prefixes"
    if not rule.names:
        return None, 'it has no names; give it names = ["*"] if it is for all log groups'
    if odd := [name for name in rule.names if not _is_prefix(name)]:
        return None, f"{odd[0]!r} is not a plain prefix (text that ends in its only *)"
    if settings.min_days is not None or settings.max_days is not None:
        return None, "it has min_days or max_days; AWS's policies set one retention, without bounds"
    if settings.retention_days is None:
        return None, "it sets no retention_days"
    if settings.retention_days < SHORTEST:
        return (
            None,
            f"it sets {settings.retention_days} days; AWS's policies need {SHORTEST} or more",
        )
    prefixes = sorted({name[:-1] for name in rule.names})
    least = [one for one in prefixes if not any(one[:end] in prefixes for end in range(len(one)))]
    return Terms(settings.retention_days, tuple(least)), ""


def _taken(terms: Terms, earlier: Sequence[Rule], made: dict[str, Terms], policy: Policy) -> str:
    """Why an earlier rule changes what this one means to a log group under its prefixes. One that
    gives the same does not, nor one that is made a policy of more days: the longest decides.
    """
    assert terms.days is not None, "a rule's days"
    for rule in earlier:
        if rule.names and not any(_may_match(name, terms) for name in rule.names):
            continue
        native, days = made.get(rule.id), policy.filled(rule).retention_days
        if days != terms.days and (native is None or (native.days or 0) < terms.days):
            return (
                f"rule {rule.id!r} comes first and gives some of its log groups another retention"
            )
    return ""


def _overruled(terms: Terms, others: Sequence[AccountPolicy]) -> str:
    """Why another account-level policy may not be joined by this one: it would be made longer."""
    assert terms.days is not None, "a rule's days"
    for other in others:
        said = other.terms
        if said is None:
            return f"the account-level policy {other.name!r} cannot be understood"
        shorter = said.days is not None and said.days < terms.days
        if shorter and any(said.covers(prefix) for prefix in terms.prefixes):
            return (
                f"the account-level policy {other.name!r} gives some of its log groups {said.days} "
                f"days, and AWS would take the longer {terms.days}"
            )
    return ""


def _exempt(terms: Terms, policy: Policy) -> str:
    """What `[protect]` exempts from a retention, and AWS's policies would not."""
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
    found = _WILD.search(pattern)
    last = found is not None and found.end() == len(pattern) and pattern.endswith("*")
    return last and not pattern.startswith("re:")


def _may_match(pattern: str, terms: Terms) -> bool:
    """Whether a name under the prefixes may match the pattern; True where that is not clear."""
    if pattern.startswith("re:"):
        return True
    wild = _WILD.search(pattern)
    if wild is None:
        return pattern.startswith(terms.prefixes)
    return terms.covers(pattern[: wild.start()])


def _and(words: Sequence[str]) -> str:
    return " and ".join(words)
