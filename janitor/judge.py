"""What should be done with a log group. Pure: no AWS, no clock; `now` is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

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


class Check(StrEnum):
    """What a line is about, so that `janitor.explain` can say what would change it."""

    VALUES = "values"
    OWN_GROUP = "own_group"
    NAME = "name"
    TAG = "tag"
    CLASS = "class"
    RULE = "rule"
    DELETE_EMPTY = "delete_empty"
    DELETION_PROTECTION = "deletion_protection"
    METRIC_FILTERS = "metric_filters"
    OWNER = "owner"
    SUBSCRIPTION_FILTERS = "subscription_filters"
    RETENTION = "retention"
    AGE = "age"
    STORED = "stored"
    STREAMS = "streams"
    ARRIVALS = "arrivals"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the deletion rules: does it hold, and the sentence that says so.

    `unknown` says that it cannot be told. A line that does not hold for that reason makes the
    group Unknown; tags that were not read hold as far as they go, and let nothing be changed.
    """

    number: int
    holds: bool
    said: str | Callable[[], str]
    check: Check
    unknown: bool = False

    @property
    def text(self) -> str:
        """The sentence, made where it is read: a scan judges a million groups."""
        return self.said if isinstance(self.said, str) else self.said()


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
    for line in exemption_lines(group, policy):
        if not line.holds:
            return Unknown(line.text) if line.unknown else Keep(line.text)
    settings = policy.settings_for(group)
    if settings is None:
        return Unknown(_no_rule(group).text)
    stay = _retention(group, settings, now)
    for line in deletion_lines(group, settings, now):
        if not line.holds:
            return _because(stay, line.text)
    before = cutoff(group, settings, now)
    assert before is not None, "line 2 holds, so retention is known"
    reason = f"empty for more than {age(now - before)}; rule {settings.rule!r} deletes empty groups"
    return DeleteGroup(reason, settings.rule, before, stay)


def lines(group: LogGroup, policy: Policy, now: int) -> Iterator[Line]:
    """Every line that the group's own facts decide, in the order in which `judge` takes them.

    Of a group whose values make no sense only that is said.
    """
    for line in exemption_lines(group, policy):
        yield line
        if line.check is Check.VALUES and not line.holds:
            return
    settings = policy.settings_for(group)
    if settings is None:
        yield _no_rule(group)
    else:
        yield from deletion_lines(group, settings, now)


def exemption_lines(group: LogGroup, policy: Policy) -> Iterator[Line]:
    """Line 1, as far as it exempts a group from every change; the first that fails decides."""
    odd = "; ".join(group.defects)
    yield Line(
        1, not odd, f"odd values: {odd}" if odd else "no odd values", Check.VALUES, bool(odd)
    )
    own = group.name in policy.protect.own_groups
    text = "the janitor's own log group" if own else "not the janitor's own log group"
    yield Line(1, not own, text, Check.OWN_GROUP)
    yield _name_line(group, policy)
    yield _tag_line(group, policy)
    yield _class_line(group)


def _name_line(group: LogGroup, policy: Policy) -> Line:
    for pattern in policy.protect.names:
        if matches(pattern, group.name):
            return Line(1, False, f"protected by name: {pattern}", Check.NAME)
    return Line(1, True, "not protected by name", Check.NAME)


def _tag_line(group: LogGroup, policy: Policy) -> Line:
    for tag in policy.protect.tags if group.tags else ():
        if has_tag(tag, group.tags or {}):
            return Line(1, False, f"protected by tag: {tag}", Check.TAG)
    if group.tags is None and policy.protect.tags:
        text = f"tags could not be read: {group.tags_error or 'not asked for'}"
        return Line(1, True, text, Check.TAG, unknown=True)
    return Line(1, True, "not protected by tag", Check.TAG)


def _class_line(group: LogGroup) -> Line:
    name = group.log_class
    if name not in KNOWN_CLASSES:
        text = f"log class {name} is not known to this version"
        return Line(1, False, text, Check.CLASS, unknown=True)
    if name == "DELIVERY":
        text = "class DELIVERY keeps events for one day and takes no retention"
        return Line(1, False, text, Check.CLASS)
    return Line(1, True, f"class {name}", Check.CLASS)


def _no_rule(group: LogGroup) -> Line:
    text = f"which rule applies is unknown: tags: {group.tags_error or 'not read'}"
    return Line(1, False, text, Check.RULE, unknown=True)


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


def deletion_lines(group: LogGroup, settings: Settings, now: int) -> Iterator[Line]:
    """The deletion rules that the group's own facts decide (lines 1 to 4) once nothing exempts it;
    the first that fails is the reason to keep. Owners, streams and arrivals are for
    `janitor.proof`.
    """
    yield from _permission(group, settings)
    before = cutoff(group, settings, now)
    known = before is not None
    yield Line(2, known, lambda: _retention_text(group, settings), Check.RETENTION)
    if before is not None:
        old = group.creation_time < before
        yield Line(3, old, lambda: _age_text(group, before, now), Check.AGE)
    empty = group.stored_bytes == 0
    yield Line(4, empty, lambda: f"{size(group.stored_bytes)} stored", Check.STORED)


def _age_text(group: LogGroup, before: int, now: int) -> str:
    compared = "more" if group.creation_time < before else "not more"
    due = (now - before) // DAY_MS
    lived = age(now - group.creation_time)
    return f"created {lived} ago, {compared} than retention + grace ({due} days)"


def _permission(group: LogGroup, settings: Settings) -> Iterator[Line]:
    """Line 1: the policy says so, and the group itself does not forbid it."""
    verdict = "deletes" if settings.delete_empty else "does not delete"
    text = f"rule {settings.rule!r} {verdict} empty groups"
    yield Line(1, settings.delete_empty, text, Check.DELETE_EMPTY)
    protected = group.deletion_protected
    text = f"deletion protection is {'on' if protected else 'off'}"
    yield Line(1, not protected, text, Check.DELETION_PROTECTION)
    filters = group.metric_filters
    text = f"{filters or 'no'} metric filter{'' if filters == 1 else 's'}"
    yield Line(1, filters == 0, text, Check.METRIC_FILTERS)


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
            return (
                action
                if why == action.reason
                else replace(action, reason=f"{why}; {action.reason}")
            )
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
