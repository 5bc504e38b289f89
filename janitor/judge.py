"""What should be done with a log group. Pure: no AWS, no clock; `now` is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from janitor.model import (
    DAY_MS,
    Action,
    DeleteGroup,
    Keep,
    LogGroup,
    SetRetention,
    SweepStreams,
    Unknown,
)
from janitor.policy import LogClass, Policy, Settings, has_tag, matches

KNOWN_CLASSES: tuple[LogClass, ...] = (
    "STANDARD",
    "INFREQUENT_ACCESS",
    "ESSENTIALS",
    "DELIVERY",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the deletion rules: does it hold, and the sentence that says so."""

    number: int
    holds: bool
    text: str


def judge(group: LogGroup, policy: Policy, now: int) -> Action:
    """The action for a group, with its reason. `now` in ms since the epoch.

    A group whose tags were not read is Unknown where they could matter; `needs_tags` tells.
    A DeleteGroup is a candidate: it has yet to be proved empty (`janitor.proof`).
    """
    action = _decide(group, policy, now)
    if group.tags is None and policy.protect.tags and not isinstance(action, Keep | Unknown):
        return Unknown(f"tags could not be read: {group.tags_error or 'not asked for'}")
    return action


def needs_tags(group: LogGroup, policy: Policy, now: int) -> bool:
    """Whether the decision waits for nothing but the group's tags."""
    if group.tags is not None or group.tags_error is not None:
        return False
    untagged = replace(group, tags={})
    return isinstance(judge(group, policy, now), Unknown) and not isinstance(
        judge(untagged, policy, now), Unknown
    )


def _decide(group: LogGroup, policy: Policy, now: int) -> Action:
    if group.defects:
        return Unknown(f"odd values: {'; '.join(group.defects)}")
    if exempt := exemption(group, policy):
        return Keep(exempt)
    if group.log_class not in KNOWN_CLASSES:
        return Unknown(f"log class {group.log_class} is not known to this version")
    if group.log_class == "DELIVERY":
        return Keep("class DELIVERY keeps events for one day and takes no retention")
    settings = policy.settings_for(group)
    if settings is None:
        return Unknown(f"which rule applies is unknown: tags: {group.tags_error or 'not read'}")
    stay = _retention(group, settings, now)
    for _, holds, text in _checks(group, policy, settings, now):
        if not holds:
            return _because(stay, text())
    before = cutoff(group, settings, now)
    assert before is not None, "line 2 holds, so retention is known"
    reason = f"empty for more than {age(now - before)}; rule {settings.rule!r} deletes empty groups"
    return DeleteGroup(reason, settings.rule, before, stay)


def exemption(group: LogGroup, policy: Policy) -> str | None:
    """Why the group is exempt from every change, or None."""
    if group.name in policy.protect.own_groups:
        return "the janitor's own log group"
    for pattern in policy.protect.names:
        if matches(pattern, group.name):
            return f"protected by name: {pattern}"
    for tag in policy.protect.tags if group.tags else ():
        if has_tag(tag, group.tags or {}):
            return f"protected by tag: {tag}"
    return None


def cutoff(group: LogGroup, settings: Settings, now: int) -> int | None:
    """Nothing at or after this moment (ms) may exist in what is deleted: now - retention - grace.

    Retention is the longer of what is in force and what the policy gives; None when unknown.
    """
    if group.retention_policy is not None:
        days = group.retention_days
    else:
        wanted = wanted_days(group, settings)
        known = [d for d in (group.retention_days, wanted) if d is not None]
        days = max(known) if known else None
    return None if days is None else now - (days + settings.grace_days) * DAY_MS


def wanted_days(group: LogGroup, settings: Settings) -> int | None:
    """The retention that the policy gives the group, or None where it leaves it as it is."""
    if group.retention_policy is not None or group.log_class == "DELIVERY":
        return None
    days = group.retention_days
    if days is None:
        return settings.retention_days
    if settings.min_days is not None and days < settings.min_days:
        return settings.min_days
    if settings.max_days is not None and days > settings.max_days:
        return settings.max_days
    return None


def deletion_lines(group: LogGroup, policy: Policy, settings: Settings, now: int) -> Iterator[Line]:
    """The deletion rules that the group's own facts decide (lines 1 to 4); the first that fails
    is the reason to keep. Owners, streams and arrivals are for `janitor.proof`.
    """
    for number, holds, text in _checks(group, policy, settings, now):
        yield Line(number, holds, text())


_Check = tuple[int, bool, Callable[[], str]]
"""As a Line; the sentence is made only where it is read, as a scan judges a million groups."""


def _checks(group: LogGroup, policy: Policy, settings: Settings, now: int) -> Iterator[_Check]:
    yield from _permission(group, policy, settings)
    before = cutoff(group, settings, now)
    yield 2, before is not None, lambda: _retention_text(group, settings)
    if before is None:
        return
    old = group.creation_time < before
    yield (
        3,
        old,
        lambda: (
            f"created {age(now - group.creation_time)} ago, "
            f"{'more' if old else 'not more'} than retention + grace "
            f"({(now - before) // DAY_MS} days)"
        ),
    )
    yield 4, group.stored_bytes == 0, lambda: f"{size(group.stored_bytes)} stored"


def _permission(group: LogGroup, policy: Policy, settings: Settings) -> Iterator[_Check]:
    """Line 1: the policy says so, and nothing protects the group."""
    exempt = exemption(group, policy)
    yield 1, exempt is None, lambda: exempt or "not protected by name or tag"
    deletes = settings.delete_empty
    yield (
        1,
        deletes,
        lambda: (
            f"rule {settings.rule!r} {'deletes' if deletes else 'does not delete'} empty groups"
        ),
    )
    protected = group.deletion_protected
    yield 1, not protected, lambda: f"deletion protection is {'on' if protected else 'off'}"
    filters = group.metric_filters
    yield (
        1,
        filters == 0,
        lambda: f"{filters or 'no'} metric filter{'' if filters == 1 else 's'}",
    )


def _retention(group: LogGroup, settings: Settings, now: int) -> Keep | SetRetention | SweepStreams:
    """What to do with the group if it stays."""
    rule = settings.rule
    sweep = _sweep(group, settings, now)
    days = wanted_days(group, settings)
    if days is None:
        return sweep or Keep(_retention_text(group, settings), rule)
    if group.retention_days is None:
        why = f"no retention is in force; rule {rule!r} gives {days} days"
    else:
        bound = "min_days" if days > group.retention_days else "max_days"
        why = f"retention of {group.retention_days} days is outside {bound} {days} of rule {rule!r}"
    return SetRetention(why, rule, days, sweep)


def _sweep(group: LogGroup, settings: Settings, now: int) -> SweepStreams | None:
    before = cutoff(group, settings, now)
    if (
        not settings.sweep_streams
        or group.deletion_protected
        or before is None
        or group.creation_time >= before
    ):
        return None
    return SweepStreams(
        f"streams silent for more than {age(now - before)}; rule {settings.rule!r} sweeps them",
        settings.rule,
        before,
    )


def _retention_text(group: LogGroup, settings: Settings) -> str:
    days = group.retention_days
    if group.retention_policy is not None:
        term = "NEVER_EXPIRE" if days is None else f"{days} days"
        return f"account-level retention policy {group.retention_policy!r}: {term}"
    if days is not None:
        return f"retention of {days} days"
    if settings.retention_days is None:
        return f"never expires, and rule {settings.rule!r} gives no retention_days"
    return f"no retention in force; rule {settings.rule!r} gives {settings.retention_days} days"


def _because(
    action: Keep | SetRetention | SweepStreams, why: str
) -> Keep | SetRetention | SweepStreams:
    """The same action, which also says why the group is kept."""
    match action:
        case Keep():
            same = why == action.reason
            return action if same else Keep(f"{why}; {action.reason}", action.rule)
        case SweepStreams():
            return replace(action, kept=why)
        case SetRetention():
            return action


def size(count: int) -> str:
    """Bytes for people: 0 B, 1.5 KiB, 2.0 GiB."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def age(ms: int) -> str:
    """A span for people: days from one day up, else hours."""
    days = ms // DAY_MS
    return f"{days} day{'' if days == 1 else 's'}" if days else f"{ms // 3_600_000} h"
