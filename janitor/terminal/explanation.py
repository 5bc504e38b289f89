"""`janitor explain GROUP`: what would be done with a log group and why, line by line.

What would be done comes from a survey of this one group. The lines come from the judge
(`judge.lines`) and from the proof (`janitor.engine.proof`). The engine stops at the first line that
fails; here all are checked, to show everything that would have to change.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from janitor.aws.api import Api, ReadError
from janitor.aws.logs import Logs
from janitor.aws.tags import read_tags
from janitor.core.clock import Stop
from janitor.core.errors import UsageError
from janitor.core.model import LogGroup, Outcome, Status, SweepStreams, Target, Verb, verb_of
from janitor.core.text import age, counted, expiry, size, visible
from janitor.cost.prices import PriceList
from janitor.engine.arrivals import Arrivals
from janitor.engine.proof import (
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    no_arrivals,
    no_events,
    no_subscription_filters,
    streams_silent,
    unused,
)
from janitor.engine.questions import Questions
from janitor.engine.survey import Page, Survey
from janitor.engine.users import Users
from janitor.owners.owners import OwnerCache
from janitor.owners.table import chosen
from janitor.policy.file import Policy, RuleSettings
from janitor.policy.judge import Check, RuleLine, cutoff, lines
from janitor.report.base import full_row
from janitor.report.overview import title

WIDTH = 80
PAGES_A_SEARCH = 2
"""Pages of 50 names that each search for similar names reads at most."""

NEAREST = 5
NAME = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
"""A valid name of a log group (CloudWatch Logs API reference, CreateLogGroup)."""


@dataclass(frozen=True, slots=True)
class CheckedLine:
    """A line, the call that it rests on and when (ms); None if it rests on the policy alone."""

    line: RuleLine
    source: str | None
    at: int | None

    @property
    def holds(self) -> bool | None:
        """Whether it allows deletion; None if that is not known."""
        return None if self.line.unknown else self.line.holds


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Something that would change what is done with the group.

    `to` is `kept` (this alone would keep it) or `deleted` (it would take all of these).
    """

    to: Literal["kept", "deleted"]
    by: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that `explain` says of one log group.

    `rules` are those that were tried, each with why it does not match, None if it does. `outcomes`
    are the survey's. `at` is when everything had been read (ms).
    """

    group: LogGroup
    rules: tuple[tuple[str, str | None], ...]
    lines: tuple[CheckedLine, ...]
    outcomes: tuple[Outcome, ...]
    changes: tuple[WhatIf, ...]
    at: int

    @property
    def unclear(self) -> bool:
        """Whether an outcome is unknown or was not reached."""
        unclear = (Status.UNKNOWN, Status.NOT_REACHED)
        return any(outcome.status in unclear for outcome in self.outcomes)

    def as_dict(self, prices: PriceList) -> dict[str, Any]:
        """Return one of the `groups` of `--format json`; times are in ms since the epoch, sizes in
        bytes.

        `account`, `region`, `group`, `creation_time`, `stored_bytes`, `retention_days`,
        `retention_policy`, `class`, `tags` (null if they could not be read) and `tags_error`;
        `rules`, each `{rule, matches, why}`; `lines`, each `{line, check, holds, text, source,
        at}`, where `line` is the number of the condition in docs/concepts.md and `holds` is null if
        that is not known; `outcomes`, as the `findings` of `report`; `changes`, each `{to, by}`.
        """
        group = self.group
        return {
            "account": group.target.account,
            "region": group.target.region,
            "group": group.name,
            "creation_time": group.creation_time,
            "stored_bytes": group.stored_bytes,
            "retention_days": group.retention_days,
            "retention_policy": group.retention_policy,
            "class": group.log_class,
            "tags": None if group.tags is None else dict(group.tags),
            "tags_error": group.tags_error,
            "rules": [
                {"rule": rule, "matches": _matched(miss), "why": miss} for rule, miss in self.rules
            ],
            "lines": [
                {
                    "line": shown.line.number,
                    "check": shown.line.check.value,
                    "holds": shown.holds,
                    "text": shown.line.text,
                    "source": shown.source,
                    "at": shown.at,
                }
                for shown in self.lines
            ],
            "outcomes": [full_row(outcome, prices) for outcome in self.outcomes],
            "changes": [asdict(change) for change in self.changes],
        }


async def find(api: Api, name: str) -> tuple[LogGroup, int] | None:
    """Return the log group with exactly that name, and when it was read (ms). Raises what reading
    raises.
    """
    group = await Logs(api).group(name)
    return None if group is None else (group, api.clock.now())


async def explain(
    api: Api,
    group: LogGroup,
    read_at: int,
    policy: Policy,
    now: int,
    stop: Stop,
    owner_cache: OwnerCache,
) -> Explanation:
    """Judge and prove a log group (read at `read_at`) as a survey would, and say why.

    `now` (ms) is the time by which ages are judged; `owner_cache` holds what was read of owners for
    other log groups.
    Raises StoppedError once `stop` is set, and CredentialsError.
    """
    tags_at = api.clock.now()
    try:
        tags = await read_tags(api, [group.arn])
        group = group._replace(tags=tags[group.arn])
    except ReadError as error:
        group = group._replace(tags=None, tags_error=str(error))
    users = Users(api, chosen(policy.protect.deletion.owners), owner_cache)
    group = await Questions(policy, now, Arrivals(api), [users]).answered(group)
    found = [
        CheckedLine(line, *_origin(line.check, read_at, tags_at))
        for line in lines(group, policy, now)
    ]
    before: int | None = None
    if not group.defects:
        settings = policy.settings_for(group)
        before = None if settings is None else cutoff(group, settings, now)
        verdicts = _verdicts(api, users, group, policy, settings, before)
        found += [_proved(number, check, verdict) async for number, check, verdict in verdicts]
    found.sort(key=lambda shown: shown.line.number)
    outcomes = await _outcomes(api, group, policy, now, stop, owner_cache)
    stop.check()
    span = None if before is None else now - before
    return Explanation(
        group,
        tuple((settings.rule, miss) for settings, miss in policy.trials(group)),
        tuple(found),
        outcomes,
        tuple(_changes(group, policy, found, outcomes, span)),
        api.clock.now(),
    )


def _origin(check: Check, read_at: int, tags_at: int) -> tuple[str | None, int | None]:
    """Return the call behind a line of the judge, and when it was made; None if there was none."""
    match check:
        case Check.TAG | Check.DELETION_TAG | Check.RULE:
            return "GetResources", tags_at
        case Check.OWN_GROUP | Check.NAME | Check.DELETION_NAME | Check.DELETE_EMPTY:
            return None, None
        case _:
            return "DescribeLogGroups", read_at


async def _verdicts(
    api: Api,
    users: Users,
    group: LogGroup,
    policy: Policy,
    settings: RuleSettings | None,
    before: int | None,
) -> AsyncIterator[tuple[int, Check, Verdict]]:
    """Yield the verdicts on deletion that take calls, each with its condition's number."""
    logs = Logs(api)
    if policy.protect.deletion.owners:
        yield 2, Check.OWNER, await unused(users, group)
    yield (
        1,
        Check.SUBSCRIPTION_FILTERS,
        await no_subscription_filters(logs, group, policy.protect.deletion.ignore_subscriptions_to),
    )
    if settings is None or before is None:
        return
    yield 6, Check.STREAMS, await streams_silent(logs, group, before)
    if settings.proof == "events":
        yield 7, Check.EVENTS, await no_events(logs, group, before)
    yield 7, Check.ARRIVALS, await no_arrivals(Arrivals(api), group, before)


def _proved(number: int, check: Check, verdict: Verdict) -> CheckedLine:
    evidence = verdict.evidence
    match verdict:
        case Empty():
            line = RuleLine(number, True, evidence.finding, check)
        case NotEmpty():
            line = RuleLine(number, False, evidence.finding, check)
        case Unreadable():
            line = RuleLine(number, False, evidence.finding, check, unknown=True)
    return CheckedLine(line, evidence.source, evidence.at)


# ---- what would be done with it --------------------------------------------------------------


class _Collector:
    """A listener of a survey that collects its outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def page(self, page: Page) -> None:
        self.outcomes += page.outcomes

    def restarted(self, target: Target) -> None:
        pass

    def warned(self, target: Target, text: str) -> None:
        pass

    def failed(self, target: Target, error: str) -> None:
        pass


async def _outcomes(
    api: Api, group: LogGroup, policy: Policy, now: int, stop: Stop, owner_cache: OwnerCache
) -> tuple[Outcome, ...]:
    async def listing(
        _api: Api, _start: str | None
    ) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
        yield [group], None

    collector = _Collector()
    survey = Survey(policy, now, stop, collector, listing=listing)
    survey.owner_cache = owner_cache
    await survey.run({api.target: api}, {api.target: None})
    return tuple(collector.outcomes)


# ---- what would change it --------------------------------------------------------------------


def _changes(
    group: LogGroup,
    policy: Policy,
    found: list[CheckedLine],
    outcomes: tuple[Outcome, ...],
    span: int | None,
) -> Iterator[WhatIf]:
    """Yield what would keep a group that is changed, or delete one that is not deleted."""
    actions = [outcome.action for outcome in outcomes]
    verbs = {verb_of(action) for action in actions}
    if verbs & {Verb.DELETE_GROUP, Verb.SET_RETENTION, Verb.SWEEP_STREAMS}:
        rule = next(action.rule for action in actions)
        yield from (WhatIf("kept", by) for by in _keeping(group, policy, verbs, rule))
    if Verb.DELETE_GROUP not in verbs:
        for shown in found:
            if shown.holds is not True:
                by = _remedy(shown, group, policy, span)
                yield WhatIf("deleted", by)


def _keeping(group: LogGroup, policy: Policy, verbs: set[Verb], rule: str) -> Iterator[str]:
    """Yield what would keep the group, each on its own: from every change, then from this one."""
    if policy.protect.tags:
        yield f"a tag {policy.protect.tags[0]}"
    yield f"{group.name!r} among the names of [protect]"
    where = _place(rule)
    if Verb.DELETE_GROUP in verbs:
        yield f"{group.name!r} among the names of [protect.deletion]"
        yield "deletion protection of the log group, or a metric or subscription filter"
        yield f"delete_empty = false in {where}"
    if Verb.SET_RETENTION in verbs:
        if group.retention_days is None:
            yield "a retention of its own, or an account-level policy for it"
        else:
            yield f"a retention within min_days and max_days of {where}"
    if Verb.SWEEP_STREAMS in verbs:
        yield f"sweep_streams = false in {where}"


def _place(rule: str) -> str:
    return "[defaults]" if rule == "defaults" else f"rule {rule!r}"


def _remedy(shown: CheckedLine, group: LogGroup, policy: Policy, span: int | None) -> str:
    """Return what would make a line hold. `span` is retention + grace in ms."""
    line = shown.line
    if line.unknown:
        return f"a readable response from {shown.source}; now: {line.text}"
    settings = policy.settings_for(group)
    rule = _place(settings.rule if settings else "defaults")
    silence = f"for longer than {age(span or 0)} (retention + grace)"
    match line.check:
        case Check.OWN_GROUP:
            return "nothing: the janitor leaves its own log group alone"
        case Check.NAME:
            return f"no such pattern among the names of [protect]: {line.text}"
        case Check.TAG:
            return f"no such tag on the log group, or not among those of [protect]: {line.text}"
        case Check.DELETION_NAME:
            return f"no such pattern among the names of [protect.deletion]: {line.text}"
        case Check.DELETION_TAG:
            where = "not among those of [protect.deletion]"
            return f"no such tag on the log group, or {where}: {line.text}"
        case Check.RESERVED | Check.CLASS:
            return f"nothing: {line.text}"
        case Check.DELETE_EMPTY:
            return f"delete_empty = true in {rule}"
        case Check.DELETION_PROTECTION:
            return "deletion protection of the log group turned off"
        case Check.METRIC_FILTERS:
            return f"its {line.text} removed"
        case Check.OWNER:
            return f"its owner removed, or left out of owners in [protect.deletion]: {line.text}"
        case Check.SUBSCRIPTION_FILTERS:
            return f"the {line.text} removed, or where it goes to in ignore_subscriptions_to"
        case Check.RETENTION:
            return _retention_remedy(group, rule)
        case Check.AGE:
            over = group.creation_time + (span or 0)
            return f"time: retention + grace ends on {_moment(over)}"
        case Check.STORED:
            return f"nothing stored any more: {line.text}; expired events take up to 72 h to go"
        case Check.STREAMS:
            return f"every stream silent {silence}: {line.text}"
        case Check.ARRIVALS | Check.EVENTS:
            return f"no event {silence}: {line.text}"
        case Check.VALUES | Check.RULE:
            raise AssertionError(f"{line.check} fails only where it is unknown")


def _retention_remedy(group: LogGroup, rule: str) -> str:
    if group.retention_policy is not None:
        return f"days, not NEVER_EXPIRE, in account-level policy {group.retention_policy!r}"
    return f"retention_days in {rule}, or a retention of its own"


# ---- as text ---------------------------------------------------------------------------------


def text(explanation: Explanation) -> str:
    """Return the explanation for people, in 80 columns except for longer names."""
    group, at = explanation.group, explanation.at
    return "\n".join(
        [
            *_wrapped(group.name),
            f"  in {group.target}",
            *_facts(group, at),
            "rules: the first that matches decides",
            *(row for rule, miss in explanation.rules for row in _rule(rule, miss)),
            "may it be deleted? every line must be yes",
            *(row for shown in explanation.lines for row in _line(shown, at)),
            "so a dry run says:",
            *(row for outcome in explanation.outcomes for row in _outcome(outcome)),
            *_change_rows(explanation.changes),
            "",
        ]
    )


def _facts(group: LogGroup, at: int) -> Iterator[str]:
    retention = expiry(group.retention_days)
    by = f" (account-level policy {group.retention_policy!r})" if group.retention_policy else ""
    tags = ", ".join(f"{key}={value}" for key, value in (group.tags or {}).items())
    since = f"{_moment(group.creation_time)}, {age(at - group.creation_time)} ago"
    yield from _wrapped("makes no sense" if group.defects else since, "  created    ")
    yield from _wrapped(f"{size(group.stored_bytes)}, class {group.log_class}", "  stored     ")
    yield from _wrapped(retention + by, "  retention  ")
    yield from _wrapped(group.tags_error or tags or "none", "  tags       ")


def _matched(miss: str | None) -> bool | None:
    if miss is None:
        return True
    return None if miss.startswith("unknown") else False


def _rule(rule: str, miss: str | None) -> list[str]:
    return _wrapped("matches" if miss is None else miss, f"  {rule:<12} ")


def _line(shown: CheckedLine, at: int) -> list[str]:
    mark = {True: "yes", False: "NO ", None: "?  "}[shown.holds]
    origin = "policy"
    if shown.source is not None and shown.at is not None:
        origin = f"{shown.source}, read {(at - shown.at) / 1000:.1f} s ago"
    return _wrapped(f"{shown.line.text} [{origin}]", f"  {shown.line.number} {mark} ")


def _outcome(outcome: Outcome) -> list[str]:
    streams, what = "", title(verb_of(outcome.action), outcome.status)
    if isinstance(outcome.action, SweepStreams):
        streams = f" ({counted(outcome.streams, 'stream')})"
    return _wrapped(f"{what[:1].lower()}{what[1:]}{streams}: {outcome.reason}", "  ")


def _change_rows(changes: tuple[WhatIf, ...]) -> Iterator[str]:
    heads: Mapping[str, str] = {
        "kept": "any of these would keep it:",
        "deleted": "it would be deleted only with all of these:",
    }
    for to, head in heads.items():
        rows = [change.by for change in changes if change.to == to]
        if rows:
            yield head
        for by in rows:
            yield from _wrapped(by, "  - ")


def _wrapped(text: str, start: str = "") -> list[str]:
    """Wrap text to WIDTH columns, with control characters escaped."""
    return textwrap.wrap(
        visible(text),
        WIDTH,
        initial_indent=visible(start),
        subsequent_indent=" " * len(start) if start else "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


# ---- a name that does not exist --------------------------------------------------------------


def check_name(name: str) -> None:
    """Raise UsageError on a name or glob that no log group can have."""
    if not NAME.fullmatch(re.sub(r"[*?]|\[!?]?[^]]*]", "x", name)):
        raise UsageError(
            f"{visible(name)!r} is not a valid log group name "
            "(1 to 512 of letters, digits and the signs . - _ / #)"
        )


@dataclass(frozen=True, slots=True)
class SimilarNames:
    """The searches for names similar to one that does not exist: at most four in each target.

    A single typing error leaves one half of the last part intact, so each half is searched for
    anywhere in names (`logGroupNamePattern`); so is the whole last part, in case the beginning is
    wrong, and the beginning, in case the last part is.
    """

    patterns: tuple[str, ...]
    prefix: str

    @classmethod
    def of(cls, name: str) -> SimilarNames:
        """Return the searches for a name."""
        head, slash, tail = name.rpartition("/")
        parts = [tail, tail[: (len(tail) + 1) // 2], tail[len(tail) // 2 :]]
        patterns = dict.fromkeys(part for part in parts if len(part) > 1)
        return cls(tuple(patterns), head + slash if head else "")

    async def read(self, api: Api) -> list[str]:
        """Return the names found in a target. Raises what reading raises."""
        logs = Logs(api)
        found: dict[str, None] = {}
        for pattern in self.patterns:
            found.update(dict.fromkeys(await logs.names(PAGES_A_SEARCH, pattern=pattern)))
        if self.prefix:
            found.update(dict.fromkeys(await logs.names(PAGES_A_SEARCH, prefix=self.prefix)))
        return list(found)

    def __str__(self) -> str:
        kinds = [f"contain {pattern!r}" for pattern in self.patterns]
        if self.prefix:
            kinds.append(f"begin with {self.prefix!r}")
        return " or ".join(kinds) or "are like it"


def nearest(name: str, names: list[str]) -> tuple[str, ...]:
    """Return the most similar names, at most NEAREST, the most similar first; case is ignored."""
    folded = {other.casefold(): other for other in reversed(names)}
    close = difflib.get_close_matches(name.casefold(), list(folded), NEAREST)
    return tuple(folded[other] for other in close)
