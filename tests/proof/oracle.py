"""What should become of an account, from the truth and the policy file: none of the engine's code.

The rules are those of the README, read once more: what is said here twice is said there once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.sandbox.unknowns import Unknowns
from tests.fakes.truth import Event, Group, Key, Stream, Target, Truth
from tests.proof.worlds import OWN

UNSURE = -1
"""Days that nobody puts: it is not known which rule holds."""
METRIC_KEPT = 455 * DAY_MS
LAG_WINDOW = 48 * HOUR_MS
DATED = 30 * DAY_MS
NO_EVENTS_READ = ("INFREQUENT_ACCESS", "ESSENTIALS")
"""Log classes that refuse FilterLogEvents."""


@dataclass(frozen=True)
class Rules:
    """The policy as it is written. `answers` says whether a rule's condition that has to be asked
    for holds; None: that is not known.
    """

    said: dict[str, Any]
    answers: Callable[[dict[str, Any], Group], bool | None] = lambda _rule, _group: None

    def scopes(self, group: Group) -> list[dict[str, Any]]:
        """What holds for the group, or all that may where that is not known; the last is what holds
        if the condition does not.
        """
        defaults: dict[str, Any] = self.said["defaults"]
        found: list[dict[str, Any]] = []
        for rule in self.said.get("rules", []):
            applies = self._applies(rule, group)
            if applies is not False:
                found.append(defaults | rule)
            if applies:
                return found
        return [*found, defaults]

    def scope(self, group: Group) -> dict[str, Any]:
        return self.scopes(group)[-1]

    def fixed(self, scope: dict[str, Any]) -> Rules:
        """With one scope for all."""
        return Rules(self.said | {"defaults": scope, "rules": []})

    def effect(self, group: Group, stored: int, lag: float, now: int) -> object:
        """What may be done with the group, and by which proof."""
        scope, cut = self.scope(group), self.cutoff(group, now)
        how = (cut, scope["proof"])
        deleted = not lawful(group, [], self, lag, stored, now)
        old = cut is not None and group.created < cut
        swept = scope["sweep_streams"] and not group.protected and old
        return self.days(group), deleted and how, swept and how

    def _applies(self, rule: dict[str, Any], group: Group) -> bool | None:
        if "names" in rule:
            return any(named(pattern, group.name) for pattern in rule["names"])
        if "tags" in rule:
            return any(tagged(tag, group.tags) for tag in rule["tags"])
        if "classes" in rule:
            return group.log_class in rule["classes"]
        if "regions" in rule:
            return any(named(pattern, group.region) for pattern in rule["regions"])
        return self.answers(rule, group)

    @property
    def by_tag(self) -> bool:
        """Whether anything hangs on tags."""
        by_rule = any("tags" in rule for rule in self.said.get("rules", []))
        return bool(self.said["protect"]["tags"]) or by_rule

    def exempt(self, group: Group) -> bool:
        """Name, tag, or the janitor's own; or odd values, or a class that takes nothing."""
        return (
            group.name == OWN
            or self._spared(group, self.said["protect"])
            or bool(group.odd)
            or group.log_class == "DELIVERY"
        )

    def undeletable(self, group: Group) -> bool:
        """Name or tag, or a name under which only AWS could make it again."""
        deletion = self.said["protect"]["deletion"]
        return group.name.startswith("aws/") or self._spared(group, deletion)

    def _spared(self, group: Group, protect: Mapping[str, Any]) -> bool:
        return any(named(pattern, group.name) for pattern in protect["names"]) or any(
            tagged(tag, group.tags) for tag in protect["tags"]
        )

    def days(self, group: Group) -> int | None:
        """The retention to put, if any."""
        found = {self._days(scope, group) for scope in self.scopes(group)}
        return found.pop() if len(found) == 1 else UNSURE

    def _days(self, scope: dict[str, Any], group: Group) -> int | None:
        wanted: int | None = scope.get("retention_days")
        low, high = scope.get("min_days", 0), scope.get("max_days", 9999)
        if group.policy is not None:
            return None
        if group.retention is None or low <= group.retention <= high:
            return wanted if group.retention is None else None
        return int(low if group.retention < low else high)

    def cutoff(self, group: Group, now: int) -> int | None:
        """Retention and grace before now: nothing newer may be deleted."""
        found = {self._cutoff(scope, group, now) for scope in self.scopes(group)}
        return found.pop() if len(found) == 1 else 0

    def _cutoff(self, scope: dict[str, Any], group: Group, now: int) -> int | None:
        known = [group.retention, self._days(scope, group)]
        known = [group.policy_days] if group.policy else known
        days = max((d for d in known if d is not None), default=None)
        return None if days is None else now - (days + scope["grace_days"]) * DAY_MS


def condition(
    rule: dict[str, Any], group: Group, quiet: Callable[[int], bool | None], now: int
) -> bool | None:
    """Whether the group is old enough, and `quiet` since; None: unknown."""
    since = now - (rule.get("orphan_days") or rule["quiet_days"]) * DAY_MS
    return False if group.created > since else quiet(since)


def speaks(name: str) -> bool:
    """Whether a log group's name is one that Lambda makes of a function's."""
    return re.fullmatch(rf"/aws/lambda/({HOME}\.)?[A-Za-z0-9_-]+", name) is not None


def named(pattern: str, text: str) -> bool:
    if pattern.startswith("re:"):
        return re.search(pattern[3:], text) is not None
    return fnmatchcase(text, pattern)


def tagged(tag: str, tags: Mapping[str, str]) -> bool:
    key, _, value = tag.partition("=")
    return key in tags and value in ("", tags[key])


HOME = "us-east-1"
"""Where Lambda@Edge functions are."""


def owned(key: Key, functions: Mapping[Target, Mapping[str, str | None]]) -> bool:
    """Whether a function logs to the group: one of its Region, or a Lambda@Edge function's replica
    in the group's, to the usual name with its home Region in it, or to one of its own.
    """
    account, region, name = key
    here, home = (functions.get((account, where), {}) for where in (region, HOME))
    replicas = {f"/aws/lambda/{HOME}.{function}" for function in home}
    own = {group or f"/aws/lambda/{function}" for function, group in here.items()}
    named = {group for group in home.values() if region != HOME}
    return name in own | replicas | named


def lawful(
    group: Group, streams: Iterable[Stream], rules: Rules, lag: float, stored: int, now: int
) -> str:
    """Why the group may not be deleted, by its own facts; empty where it may."""
    before = rules.cutoff(group, now)
    reasons = {
        "exempt": rules.exempt(group),
        "protected from deletion": rules.undeletable(group),
        "the policy does not delete": not rules.scope(group)["delete_empty"],
        "deletion protection": group.protected,
        "a metric filter": bool(group.metric_filters),
        "retention unknown": before is None,
        "young": before is not None and group.created >= before,
        "stored bytes": stored > 0,
        "a stream with life": before is not None
        and any(stream.newest(now, lag) >= before for stream in streams),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def exceeding(
    limits: Mapping[str, Any],
    scanned: Iterable[Key],
    deleted: Iterable[Key],
    swept: Iterable[Key],
) -> set[str]:
    """The accounts in which that is more than may be deleted and swept: all of them, where it is
    more than may be in all together. A log group comes as often as streams of it are swept.
    """
    counts = [Counter(account for account, *_ in of) for of in (scanned, deleted, swept)]
    if _too_many(limits | limits.get("fleet", {}), *(count.total() for count in counts)):
        return set(counts[0])
    each = {account: [count[account] for count in counts] for account in counts[0]}
    return {account for account, numbers in each.items() if _too_many(limits, *numbers)}


def _too_many(limits: Mapping[str, Any], scanned: int, deleted: int, swept: int) -> bool:
    share = int(Fraction(str(limits["max_group_deletion_share"])) * scanned)
    most = min(limits.get("max_group_deletions", 500), share)
    return bool(deleted > most or swept > limits.get("max_stream_deletions", 50_000))


@dataclass
class Expected:
    """What is left, and the changes that lead there; `forbidden` are the accounts in which a limit
    forbids deletions.
    """

    truth: Truth
    forbidden: set[str] = field(default_factory=set)
    deleted: int = 0
    put: int = 0
    swept: int = 0
    scanned: int = 0
    planned: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> bool:
        """Whether a limit forbids anything."""
        return bool(self.forbidden)


@dataclass(frozen=True)
class Oracle:
    """What one undisturbed run leaves behind. `page` is how many streams a page holds; in a Region
    where something is `lacking`, and that cannot be told from what it says, what it takes to make a
    group again cannot be read, and in one that is `refusing` nothing at all.
    """

    rules: Rules
    page: int
    unknowns: Unknowns
    lacking: Set[str] = frozenset()
    refusing: Set[str] = frozenset()

    def expected(self, before: Truth, now: int) -> Expected:
        truth, rules = before.copy(), self._answering(before, now).rules
        deletions: list[Group] = []
        puts: list[tuple[Group, int]] = []
        sweeps: list[tuple[Group, int, int]] = []
        each: dict[Key, Oracle] = {}
        groups = [group for group in truth.all() if group.region not in self.refusing]
        for group in groups:
            if rules.exempt(group):
                continue
            one = each[group.key] = replace(self, rules=rules.fixed(rules.scope(group)))
            if self._hidden(rules, group, truth, now):
                continue
            empty = one._empty(group, truth, now)
            days, cut = one.rules.days(group), one.rules.cutoff(group, now)
            if empty:
                deletions.append(group)
                continue
            if days is not None:
                puts.append((group, days))
            elif empty is None:
                continue  # that it could not be read is all that is told of it
            if cut is not None and (names := one._swept(group, truth, cut, now)):
                sweeps.append((group, cut, len(names)))
        gone = [group.key for group in deletions]
        streams = [group.key for group, _, count in sweeps for _ in range(count)]
        scanned = [group.key for group in groups]
        forbidden = exceeding(rules.said["limits"], scanned, gone, streams)
        result = Expected(truth, forbidden, scanned=len(groups))
        result.planned["delete_group"], result.planned["set_retention"] = len(deletions), len(puts)
        result.planned["sweep_streams"] = len(streams)
        planned = [(group, each[group.key].rules.days(group)) for group in deletions]
        puts += [(group, days) for group, days in planned if days and group.account in forbidden]
        for group, days in puts:
            truth.retain(group.key, days, now)
            result.put += 1
        for group in deletions:
            if not self._unread(group) and group.account not in forbidden:
                truth.delete(group.key)
                result.deleted += 1
        for group, cut, _ in sweeps:
            if group.account in forbidden:
                continue
            for name in each[group.key]._swept(truth.there(group.key), truth, cut, now):
                truth.delete_stream(group.key, name)
                result.swept += 1
        return result

    def stuck(self, truth: Truth, now: int) -> set[Key]:
        """The log groups that should be deleted and never can be."""
        there = filter(self._unread, truth.all())
        one = self._answering(truth, now)
        return {
            group.key
            for group in there
            if not self.rules.exempt(group) and one._empty(group, truth, now)
        }

    def _unread(self, group: Group) -> bool:
        """Whether what it takes to make it again cannot be read: other classes have none of it."""
        return group.region in self.lacking and group.log_class == "STANDARD"

    def _answering(self, truth: Truth, now: int) -> Oracle:
        """The same with rules that know what is asked for."""

        def answer(rule: dict[str, Any], group: Group) -> bool | None:
            def quiet(since: int) -> bool | None:
                return None if self._unclear(group) else not _arrived(group, truth, since, now)

            alive = not speaks(group.name) or owned(group.key, truth.functions)
            if "orphan_days" in rule and alive:
                return False
            return condition(rule, group, quiet, now)

        return replace(self, rules=replace(self.rules, answers=answer))

    def _hidden(self, rules: Rules, group: Group, truth: Truth, now: int) -> bool:
        """Whether it is not known which rule holds, where that makes a difference."""
        stored, lag = group.bytes_seen(now, truth.lags.stored), truth.lags.stream
        scopes = [rules.fixed(scope) for scope in rules.scopes(group)]
        return len({one.effect(group, stored, lag, now) for one in scopes}) > 1

    def _empty(self, group: Group, truth: Truth, now: int) -> bool | None:
        """Whether it is proved empty; None where that cannot be read."""
        lags, rules = truth.lags, self.rules
        stored = group.bytes_seen(now, lags.stored)
        if lawful(group, group.streams.values(), rules, lags.stream, stored, now):
            return False
        before = rules.cutoff(group, now)
        assert before is not None, "lawful"
        if rules.scope(group)["proof"] == "events":
            if group.log_class in NO_EVENTS_READ:
                return None
            if holds(group, before, now):
                return False
        if self._unclear(group):
            return None
        asked = rules.said["protect"]["deletion"]["owners"]
        used = bool(asked) and owned(group.key, truth.functions)  # asked last, as it takes longest
        return not (_arrived(group, truth, before, now) or group.subscriptions or used)

    def _unclear(self, group: Group) -> bool:
        """Whether CloudWatch never gives a whole answer about it."""
        return group.name in self.unknowns.unclear and not self.unknowns.unclear_once

    def _swept(self, group: Group, truth: Truth, cut: int, now: int) -> list[str]:
        """The streams to sweep in a group that stays."""
        rules, lag = self.rules, truth.lags.stream
        if not rules.scope(group)["sweep_streams"] or group.protected or group.created >= cut:
            return []
        found = [
            name
            for name in self._read(group, cut)
            if group.streams[name].newest(now, lag) < cut and not held_open(name)
        ]
        if rules.scope(group)["proof"] == "events":
            unread = group.log_class in NO_EVENTS_READ
            return [] if unread or holds(group, cut, now, found) else found
        over = [name for name in found if dated_before(name, now - DATED)]
        if self._unclear(group) or _arrived(group, truth, now - LAG_WINDOW, now):
            return over
        return found

    def _read(self, group: Group, cut: int) -> list[str]:
        """The names of its streams, up to the page behind which Lambda's are newer."""
        names = sorted(group.streams)
        for end in range(self.page, len(names), self.page):
            last = names[end - 1]
            if lambda_day(last) and not dated_before(last, cut + 2 * DAY_MS):
                return names[:end]
        return names


def _arrived(group: Group, truth: Truth, since: int, now: int) -> bool:
    return arrived(truth.arrivals.get(group.key, ()), since, now, truth.lags.metric)


def arrived(arrivals: Iterable[Event], since: int, now: int, lag: float) -> bool:
    """Whether the metric knows of arrivals in the hour of `since` or later, asked at `now`."""
    first = max(since, now - METRIC_KEPT) // HOUR_MS * HOUR_MS
    return any(first <= event.ingested <= now - int(lag * 1000) for event in arrivals)


def holds(group: Group, before: int, now: int, streams: Iterable[str] | None = None) -> bool:
    """Whether FilterLogEvents finds something."""
    start = max(before, group.horizon(now))
    return any(
        event.at >= start and event.count and event.ingested <= now
        for name, stream in group.streams.items()
        if streams is None or name in streams
        for event in stream.events
    )


def held_open(stream: str) -> bool:
    """Whether a container may hold it open."""
    return re.search(r"(^|/)([0-9a-f]{32}|[0-9a-f]{64})$", stream) is not None


def lambda_day(stream: str) -> str | None:
    """The day on which the stream's writer began, if its name is one of Lambda's."""
    found = re.match(r"([0-9]{4}/[0-9]{2}/[0-9]{2})/\[", stream)
    return None if found is None else found[1]


def dated_before(stream: str, moment: int) -> bool:
    """Whether its name dates its writer to a day before that of the moment."""
    day = lambda_day(stream)
    return day is not None and day < datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y/%m/%d")
