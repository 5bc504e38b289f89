"""What should be done with a log group. Pure: no AWS, no clock; `now` is an argument.

Conditions are numbered as in docs/concepts.md.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, ParamSpec, get_args

from janitor.core.clock import DAY_MS
from janitor.core.model import (
    Action,
    Answer,
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    Question,
    SetRetention,
    SweepStreams,
    Unknown,
)
from janitor.core.text import age, counted, size
from janitor.policy.file import LogClass, Policy, Protect, RuleSettings
from janitor.policy.patterns import has_tag, matches

KNOWN_CLASSES: frozenset[str] = frozenset(get_args(LogClass))
TAKING_RETENTION = KNOWN_CLASSES - {"DELIVERY"}
RESERVED = "aws/"
"""CreateLogGroup refuses names that start with this (CloudWatch Logs API reference). Its error says
"AWS/", so case is ignored.
"""

P = ParamSpec("P")


class Check(StrEnum):
    """What a condition checks, so that `janitor explain` can say what would change it."""

    VALUES = "values"
    OWN_GROUP = "own_group"
    NAME = "name"
    TAG = "tag"
    CLASS = "class"
    RULE = "rule"
    DELETION_NAME = "deletion_name"
    DELETION_TAG = "deletion_tag"
    RESERVED = "reserved"
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
class RuleLine:
    """One checked condition: whether it holds, and the sentence that says so.

    `number` is that of the condition in docs/concepts.md. `unknown` means that it cannot be known
    whether it holds. If it then counts as not holding, the group is Unknown. Unread tags count as
    holding here, and `judge` prevents every change that they could forbid.
    """

    number: int
    holds: bool
    text: str
    check: Check
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _Condition(Generic[P]):
    """How one condition is checked. A scan calls `holds` for a million groups, and `text` only for
    those for which it does not hold.
    """

    number: int
    check: Check
    holds: Callable[P, bool]
    text: Callable[P, str]
    unknown: Callable[P, bool] = lambda *_args, **_named: False

    def line(self, *args: P.args, **named: P.kwargs) -> RuleLine:
        return RuleLine(
            self.number,
            self.holds(*args, **named),
            self.text(*args, **named),
            self.check,
            self.unknown(*args, **named),
        )


def judge(group: LogGroup, policy: Policy, now: int, *, briefly: bool = False) -> Action:
    """Return the action for a group, with its reason. `now` in ms since the epoch.

    `briefly` leaves the failed condition out of the reason to keep a group. It is for callers that
    do not show kept groups: building that text takes a quarter of the time.

    A group whose tags were not read is Unknown if they could matter (see `needs_tags`). If they
    cannot be read and could only protect it from deletion, retention may still be set.
    A DeleteGroup is a candidate: it has yet to be proved empty (`janitor.engine.proof`).
    """
    action = _decide(group, policy, now, briefly=briefly)
    match action:
        case Keep() | Unknown():
            return action
        case _ if _tags_missed(group, policy.protect):
            return Unknown(_tags_unread(group))
        case DeleteGroup(otherwise=otherwise) if _deletion_tags_missed(group, policy.protect):
            if group.tags_error is not None and isinstance(otherwise, SetRetention):
                return because(otherwise, _tags_unread(group))
            return Unknown(_tags_unread(group), action.rule)
        case _:
            return action


def needs_tags(group: LogGroup, policy: Policy, now: int) -> bool:
    """Whether the group is Unknown, and reading its tags could change that."""
    if group.tags is not None or group.tags_error is not None or not group.arn:
        return False
    if not policy.asks_for_tags or not isinstance(judge(group, policy, now), Unknown):
        return False
    untagged = group._replace(tags={})
    return (
        bool(policy.protect.tags)
        or not isinstance(judge(untagged, policy, now), Unknown)
        or bool(open_questions(untagged, policy))
    )


def because(
    action: Keep | SetRetention | SweepStreams, why: str
) -> Keep | SetRetention | SweepStreams:
    """Return the action for a group that is not deleted because of `why`, with that reason."""
    match action:
        case Keep():
            return Keep(why, action.rule)
        case SweepStreams():
            return replace(action, kept=why)
        case SetRetention():
            return replace(action, reason=f"{action.reason}; kept: {why}")


def open_questions(group: LogGroup, policy: Policy) -> tuple[Question, ...]:
    """Return the questions to answer before it is known which rule applies to the group. There are
    none if it is exempt from every change, or if its tags must be read first.
    """
    if not policy.questions or (group.tags is None and policy.asks_for_tags):
        return ()
    if not all(exempt.holds(group, policy.protect) for exempt in EXEMPTIONS):
        return ()
    return policy.open_questions(group)


def decides(questions: Sequence[Question], group: LogGroup, policy: Policy, now: int) -> bool:
    """Whether the answers to the group's open questions make a difference to what is done."""
    yes, no = (
        group.with_answers(dict.fromkeys(questions, Answer(holds, Evidence("", "", now))))
        for holds in (True, False)
    )
    return _effect(yes, policy, now) != _effect(no, policy, now)


def _effect(group: LogGroup, policy: Policy, now: int) -> object:
    """Return, for comparison, what would be done and how it would be proved, without reasons."""

    def bare(action: Action | None) -> object:
        match action:
            case None | Keep():
                return None
            case SetRetention(days=days, then=then):
                return ("set", days, bare(then))
            case SweepStreams(before=before):
                return ("sweep", before, policy.reads_events(group))
            case DeleteGroup(before=before, otherwise=otherwise):
                return ("delete", before, policy.reads_events(group), bare(otherwise))
            case Unknown():
                return object()  # differs from everything

    return bare(judge(group, policy, now))


def _decide(group: LogGroup, policy: Policy, now: int, *, briefly: bool) -> Action:
    protect = policy.protect
    for exempt in EXEMPTIONS:
        if not exempt.holds(group, protect):
            text = exempt.text(group, protect)
            return Unknown(text) if exempt.unknown(group, protect) else Keep(text)
    settings = policy.settings_for(group)
    if settings is None:
        return Unknown(_no_rule(group, policy).text)
    if briefly and group.stored_bytes and _is_left_alone(group, settings):
        return _keep(_retention_text(group, settings), settings.rule)  # nearly all groups
    before = cutoff(group, settings, now)
    for condition in DELETION:
        if not condition.holds(group, settings, before, now):
            why = "" if briefly else condition.text(group, settings, before, now)
            return _stay(group, settings, before, now, why)
    assert before is not None, "the retention is known"
    otherwise = _stay(group, settings, before, now, "")
    for protection in PROTECTIONS:
        if not protection.holds(group, protect):
            return because(otherwise, protection.text(group, protect))
    reason = f"empty for more than {age(now - before)}; rule {settings.rule!r} deletes empty groups"
    return DeleteGroup(reason, settings.rule, before, otherwise)


def lines(group: LogGroup, policy: Policy, now: int) -> Iterator[RuleLine]:
    """Yield every condition that the group's own facts decide, in the order in which `judge` checks
    them. If the group's values make no sense, conditions that rest on them are left out.
    """
    for exempt in EXEMPTIONS:
        line = exempt.line(group, policy.protect)
        yield line
        if line.check is Check.VALUES and not line.holds:
            return
    settings = policy.settings_for(group)
    if settings is None:
        yield _no_rule(group, policy)
        return
    before = cutoff(group, settings, now)
    for condition in DELETION:
        if condition.check is not Check.AGE or before is not None:
            yield condition.line(group, settings, before, now)
    for protection in PROTECTIONS:
        yield protection.line(group, policy.protect)


# ---- condition 1: exemptions from every change ---------------------------------------------------


def _values_text(group: LogGroup, _protect: Protect) -> str:
    return f"odd values: {'; '.join(group.defects)}" if group.defects else "no odd values"


def _own_text(group: LogGroup, protect: Protect) -> str:
    return f"{'' if group.name in protect.own_groups else 'not '}the janitor's own log group"


def _matching(patterns: Sequence[str], group: LogGroup) -> str | None:
    """Return the first pattern that matches the group's name, if any."""
    for pattern in patterns:
        if matches(pattern, group.name):
            return pattern
    return None


def _tagged(wanted: Sequence[str], group: LogGroup) -> str | None:
    """Return the first of the wanted tags that the group is known to have, if any."""
    if group.tags:
        for tag in wanted:
            if has_tag(tag, group.tags):
                return tag
    return None


def _protection_text(by: str, match: str | None) -> str:
    return f"not protected {by}" if match is None else f"protected {by}: {match}"


def _name_text(group: LogGroup, protect: Protect) -> str:
    return _protection_text("by name", _matching(protect.names, group))


def _tags_missed(group: LogGroup, protect: Protect) -> bool:
    return group.tags is None and bool(protect.tags)


def _tags_unread(group: LogGroup) -> str:
    return f"tags could not be read: {group.tags_error or 'not asked for'}"


def _tag_text(group: LogGroup, protect: Protect) -> str:
    if _tags_missed(group, protect):
        return _tags_unread(group)
    return _protection_text("by tag", _tagged(protect.tags, group))


def _class_text(group: LogGroup, _protect: Protect) -> str:
    name = group.log_class
    if name not in KNOWN_CLASSES:
        return f"log class {name} is not known to this version"
    if name == "DELIVERY":
        return "class DELIVERY keeps events for one day and does not accept retention"
    return f"class {name}"


EXEMPTIONS: tuple[_Condition[[LogGroup, Protect]], ...] = (
    _Condition(
        1, Check.OWN_GROUP, lambda group, protect: group.name not in protect.own_groups, _own_text
    ),
    _Condition(
        1, Check.NAME, lambda group, protect: _matching(protect.names, group) is None, _name_text
    ),
    _Condition(
        1,
        Check.TAG,
        lambda group, protect: _tagged(protect.tags, group) is None,
        _tag_text,
        _tags_missed,
    ),
    _Condition(
        1,
        Check.VALUES,
        lambda group, _: not group.defects,
        _values_text,
        lambda group, _: bool(group.defects),
    ),
    _Condition(
        1,
        Check.CLASS,
        lambda group, _: group.log_class in TAKING_RETENTION,
        _class_text,
        lambda group, _: group.log_class not in KNOWN_CLASSES,
    ),
)
"""The parts of condition 1 that exempt a group from every change; the first that fails decides.
What the policy protects comes first: such a group is kept whatever else is true of it.
"""


def _no_rule(group: LogGroup, policy: Policy) -> RuleLine:
    _, why = policy.trials(group)[-1]
    text = f"which rule applies is {why}"
    return RuleLine(1, False, text, Check.RULE, unknown=True)


# ---- the deletion rules --------------------------------------------------------------------------


def cutoff(group: LogGroup, settings: RuleSettings, now: int) -> int | None:
    """Return now - retention - grace (ms): what is deleted may hold nothing from then or later.

    Retention is the longer of the one in force and the one that the policy gives. None if it is
    unknown.
    """
    days, wanted = group.retention_days, wanted_days(group, settings)
    if wanted is not None and (days is None or wanted > days):
        days = wanted
    return None if days is None else now - (days + settings.grace_days) * DAY_MS


def wanted_days(group: LogGroup, settings: RuleSettings) -> int | None:
    """Return the retention that the policy gives the group; None if it leaves it unchanged."""
    if group.retention_policy is not None or group.log_class not in TAKING_RETENTION:
        return None
    days = group.retention_days
    if days is None:
        return settings.retention_days
    if settings.min_days is not None and days < settings.min_days:
        return settings.min_days
    if settings.max_days is not None and days > settings.max_days:
        return settings.max_days
    return None


def _permission_text(_group: LogGroup, settings: RuleSettings, *_: object) -> str:
    verdict = "deletes" if settings.delete_empty else "does not delete"
    return f"rule {settings.rule!r} {verdict} empty groups"


def _filters_text(group: LogGroup, *_: object) -> str:
    filters = group.metric_filters
    return counted(filters, "metric filter") if filters else "no metric filters"


def _age_text(group: LogGroup, _settings: RuleSettings, before: int | None, now: int) -> str:
    assert before is not None, "the retention is known"
    compared = "more" if group.creation_time < before else "not more"
    due = (now - before) // DAY_MS
    lived = age(now - group.creation_time)
    return f"created {lived} ago, {compared} than retention + grace ({counted(due, 'day')})"


DELETION: tuple[_Condition[[LogGroup, RuleSettings, int | None, int]], ...] = (
    _Condition(
        1, Check.DELETE_EMPTY, lambda _, settings, *__: settings.delete_empty, _permission_text
    ),
    _Condition(
        1,
        Check.DELETION_PROTECTION,
        lambda group, *_: not group.deletion_protected,
        lambda group, *_: f"deletion protection is {'on' if group.deletion_protected else 'off'}",
    ),
    _Condition(1, Check.METRIC_FILTERS, lambda group, *_: group.metric_filters == 0, _filters_text),
    _Condition(
        3,
        Check.RETENTION,
        lambda _group, _settings, before, _now: before is not None,
        lambda group, settings, *_: _retention_text(group, settings),
    ),
    _Condition(
        4,
        Check.AGE,
        lambda group, _settings, before, _now: before is not None and group.creation_time < before,
        _age_text,
    ),
    _Condition(
        5,
        Check.STORED,
        lambda group, *_: group.stored_bytes == 0,
        lambda group, *_: f"{size(group.stored_bytes)} stored",
    ),
)
"""The parts of conditions 1 to 5 that the facts of a group without exemption decide; the first that
fails is the reason to keep it. `janitor.engine.proof` checks owners, streams and arrivals.
"""


# ---- condition 1: protection from deletion only --------------------------------------------------


def _deletion_name_text(group: LogGroup, protect: Protect) -> str:
    return _protection_text("from deletion by name", _matching(protect.deletion.names, group))


def _deletion_tags_missed(group: LogGroup, protect: Protect) -> bool:
    return group.tags is None and bool(protect.deletion.tags)


def _deletion_tag_text(group: LogGroup, protect: Protect) -> str:
    if _deletion_tags_missed(group, protect):
        return _tags_unread(group)
    return _protection_text("from deletion by tag", _tagged(protect.deletion.tags, group))


def _reserved(group: LogGroup) -> bool:
    return group.name[: len(RESERVED)].lower() == RESERVED


def _reserved_text(group: LogGroup, _protect: Protect) -> str:
    if _reserved(group):
        return f"the name starts with {RESERVED}: only AWS could create the log group again"
    return "the log group could be created again under its name"


PROTECTIONS: tuple[_Condition[[LogGroup, Protect]], ...] = (
    _Condition(1, Check.RESERVED, lambda group, _: not _reserved(group), _reserved_text),
    _Condition(
        1,
        Check.DELETION_NAME,
        lambda group, protect: _matching(protect.deletion.names, group) is None,
        _deletion_name_text,
    ),
    _Condition(
        1,
        Check.DELETION_TAG,
        lambda group, protect: _tagged(protect.deletion.tags, group) is None,
        _deletion_tag_text,
        _deletion_tags_missed,
    ),
)
"""The parts of condition 1 that only prevent deletion: retention may still be set on such a group,
and streams swept, which deletes nothing that has not expired. They are checked last, so that they
are the reason only if there is no other.
"""


# ---- what is done with a group that is kept ------------------------------------------------------


def _stay(
    group: LogGroup, settings: RuleSettings, before: int | None, now: int, why: str
) -> Keep | SetRetention | SweepStreams:
    """Return what to do with a group that is kept because of `why` (empty: not to be shown)."""
    rule = settings.rule
    days = wanted_days(group, settings)
    sweep = _sweep(group, settings, before, now, "" if days else why)
    if days is None:
        if sweep is not None:
            return sweep
        text = _retention_text(group, settings)
        return Keep(text if why in ("", text) else f"{why}; {text}", rule)
    if group.retention_days is None:
        reason = f"no retention is in force; rule {rule!r} sets {counted(days, 'day')}"
    else:
        bound = "below min_days" if days > group.retention_days else "above max_days"
        present = counted(group.retention_days, "day")
        reason = f"retention of {present} is {bound} {days} of rule {rule!r}"
    if settings.questions and group.answers:
        findings = [group.answers[question].evidence.finding for question in settings.questions]
        reason += f" ({'; '.join(findings)})"
    return SetRetention(reason, rule, days, sweep)


_keep = functools.lru_cache(maxsize=1_000)(Keep)
"""A scan has few reasons to keep a million log groups, and a frozen value is slow to create."""


def _is_left_alone(group: LogGroup, settings: RuleSettings) -> bool:
    """Whether nothing is done with the group if it is kept."""
    return not settings.sweep_streams and wanted_days(group, settings) is None


def _sweep(
    group: LogGroup, settings: RuleSettings, before: int | None, now: int, kept: str
) -> SweepStreams | None:
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
        kept,
    )


def _retention_text(group: LogGroup, settings: RuleSettings) -> str:
    days = group.retention_days
    if group.retention_policy is not None:
        term = "NEVER_EXPIRE" if days is None else counted(days, "day")
        return f"account-level retention policy {group.retention_policy!r}: {term}"
    if days is not None:
        return f"retention of {counted(days, 'day')}"
    if settings.retention_days is None:
        return f"never expires, and rule {settings.rule!r} sets no retention_days"
    given = counted(settings.retention_days, "day")
    return f"no retention in force; rule {settings.rule!r} sets {given}"
