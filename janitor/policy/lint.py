"""Warnings about a valid policy that can hardly be intended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from janitor.policy.file import CONDITIONS, Policy, Rule
from janitor.policy.patterns import matches

_NEVER_IN_A_NAME = re.compile(r"[^\w./#*?\[\]!-]", re.ASCII)
"""Characters that occur neither in names of log groups (CloudWatch Logs API reference,
CreateLogGroup) nor in globs.
"""


def idle(policy: Policy) -> str:
    """Return the warning that the policy does nothing; empty if it may do something."""
    keys = ("retention_days", "min_days", "max_days", "delete_empty", "sweep_streams")
    scopes = (policy.defaults, *policy.rules)
    if any(getattr(scope, key) for scope in scopes for key in keys):
        return ""
    return f"it does nothing: it has no {', '.join(keys)}"


def warnings(policy: Policy, regions: Sequence[str]) -> Iterator[str]:
    """Yield warnings: the policy does nothing, a rule can never match, a Region is not among the
    known `regions`.
    """
    if why := idle(policy):
        yield why
    for at, rule in enumerate(policy.rules):
        if why := _never(rule, policy.rules[:at], policy):
            yield f"rule {rule.id!r} can never match: {why}"
        for pattern in rule.regions or ():
            if not any(matches(pattern, region) for region in regions):
                yield f"rule {rule.id!r}: regions: {pattern!r} matches no known AWS Region"
    for region in policy.prices.regions:
        if region not in regions:
            yield f"prices.regions: {region!r} is not a known AWS Region"


def _never(rule: Rule, earlier_rules: Sequence[Rule], policy: Policy) -> str:
    """Return why the rule can never match; empty if it may."""
    for earlier in earlier_rules:
        if _covers(earlier, rule):
            return f"rule {earlier.id!r} comes first and matches everything that it does"
    names = rule.names or []
    if names and all(_within(name, policy.protect.names) for name in names):
        return "[protect] names covers everything that it matches"
    if names and all(not n.startswith("re:") and _NEVER_IN_A_NAME.search(n) for n in names):
        characters = "".join(dict.fromkeys(_NEVER_IN_A_NAME.findall("".join(names))))
        return f"no log group name contains {characters!r}"
    return ""


def _covers(earlier: Rule, later: Rule) -> bool:
    """Whether the earlier rule certainly matches everything that the later one does."""
    others = [key for key in CONDITIONS if key not in ("names", "regions", "classes", "tags")]
    if any(getattr(earlier, key) is not None for key in others):
        return False
    for outer, inner in ((earlier.names, later.names), (earlier.regions, later.regions)):
        if outer and not (inner and all(_within(one, outer) for one in inner)):
            return False
    if earlier.classes and not (later.classes and set(later.classes) <= set(earlier.classes)):
        return False
    return not earlier.tags or bool(later.tags and set(later.tags) <= set(earlier.tags))


def _within(pattern: str, others: Sequence[str]) -> bool:
    """Whether one of the other patterns certainly matches every text that this pattern does. A glob
    whose only wildcard is `*` does so if it matches this glob taken as a text.
    """
    if pattern in others:
        return True
    if pattern.startswith("re:") or "[" in pattern:
        return False
    plain = (other for other in others if not other.startswith("re:"))
    return any(matches(other, pattern) for other in plain if not set("?[") & set(other))
