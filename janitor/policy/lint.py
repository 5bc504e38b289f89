"""What a valid policy says that cannot be meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from janitor.policy.file import Policy, Rule, matches

_NEVER_IN_A_NAME = re.compile(r"[^\w./#*?\[\]!-]", re.ASCII)
"""What no log group's name holds (CloudWatch Logs API reference, CreateLogGroup), and no glob."""


def idle(policy: Policy) -> str:
    """That the policy does nothing; empty where it may do something."""
    does = ("retention_days", "min_days", "max_days", "delete_empty", "sweep_streams")
    parts = (policy.defaults, *policy.rules)
    if any(getattr(part, key) for part in parts for key in does):
        return ""
    return f"it does nothing: it has no {', '.join(does)}"


def warnings(policy: Policy, regions: Sequence[str]) -> Iterator[str]:
    """A policy that does nothing, and rules that can never match. `regions` are those there are."""
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


def _never(rule: Rule, before: Sequence[Rule], policy: Policy) -> str:
    for earlier in before:
        if _covers(earlier, rule):
            return f"rule {earlier.id!r} comes first and matches everything that it does"
    names = rule.names or []
    if names and all(_within(name, policy.protect.names) for name in names):
        return "[protect] names covers everything that it matches"
    odd = [name for name in names if not name.startswith("re:") and _NEVER_IN_A_NAME.search(name)]
    if names and len(odd) == len(names):
        signs = "".join(dict.fromkeys(_NEVER_IN_A_NAME.findall("".join(odd))))
        return f"no log group name contains {signs!r}"
    return ""


def _covers(earlier: Rule, later: Rule) -> bool:
    """Whether certainly all that the later rule matches is matched by the earlier one."""
    if earlier.questions:
        return False
    for wanted, given in ((earlier.names, later.names), (earlier.regions, later.regions)):
        if wanted and not (given and all(_within(one, wanted) for one in given)):
            return False
    if earlier.classes and not (later.classes and set(later.classes) <= set(earlier.classes)):
        return False
    return not earlier.tags or bool(later.tags and set(later.tags) <= set(earlier.tags))


def _within(pattern: str, others: Sequence[str]) -> bool:
    """Whether certainly each text that the pattern matches is matched by another one. A glob of
    nothing but `*` that matches another glob as a text matches all that this one does.
    """
    if pattern in others:
        return True
    if pattern.startswith("re:") or "[" in pattern:
        return False
    plain = (other for other in others if not other.startswith("re:"))
    return any(matches(other, pattern) for other in plain if not set("?[") & set(other))
