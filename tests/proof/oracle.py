"""What should become of an account, by its true state and the policy file, without any code of the
engine: an independent implementation of docs/concepts.md.
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
"""A retention that is never put: it is not known which rule applies."""
METRIC_KEPT = 455 * DAY_MS
LAG_WINDOW = 48 * HOUR_MS
DATED = 30 * DAY_MS
NO_EVENTS_READ = ("INFREQUENT_ACCESS", "ESSENTIALS")
"""The log classes that refuse FilterLogEvents."""
HOME = "us-east-1"
"""The Region of Lambda@Edge functions."""


@dataclass(frozen=True)
class Rules:
    """The policy file as a dict. `answers` returns whether a condition that takes a request holds,
    None if that is unknown.
    """

    policy: dict[str, Any]
    answers: Callable[[dict[str, Any], Group], bool | None] = lambda _rule, _group: None

    def scopes(self, group: Group) -> list[dict[str, Any]]:
        """Return the scopes that may apply to the group: one, if that is known; the last is the one
        that applies if no unknown condition holds.
        """
        defaults: dict[str, Any] = self.policy["defaults"]
        scopes: list[dict[str, Any]] = []
        for rule in self.policy.get("rules", []):
            applies = self._applies(rule, group)
            if applies is not False:
                scopes.append(defaults | rule)
            if applies:
                return scopes
        return [*scopes, defaults]

    def scope(self, group: Group) -> dict[str, Any]:
        return self.scopes(group)[-1]

    def fixed(self, scope: dict[str, Any]) -> Rules:
        """Return the same rules with one scope for every group."""
        return Rules(self.policy | {"defaults": scope, "rules": []})

    def effect(self, group: Group, stored: int, lag: float, now: int) -> object:
        """Return what may be done with the group, and by which proof."""
        scope, cutoff = self.scope(group), self.cutoff(group, now)
        proof = (cutoff, scope["proof"])
        deleted = not objections(group, [], self, lag, stored, now)
        old = cutoff is not None and group.created < cutoff
        swept = scope["sweep_streams"] and not group.protected and old
        return self.days(group), deleted and proof, swept and proof

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
        """Whether any decision depends on tags."""
        by_rule = any("tags" in rule for rule in self.policy.get("rules", []))
        return bool(self.policy["protect"]["tags"]) or by_rule

    def exempt(self, group: Group) -> bool:
        """Return whether nothing at all may be done: by name or tag, because it is the janitor's
        own, has odd values, or a class that accepts no changes.
        """
        return (
            group.name == OWN
            or self._spared(group, self.policy["protect"])
            or bool(group.odd)
            or group.log_class == "DELIVERY"
        )

    def undeletable(self, group: Group) -> bool:
        """Return whether it may not be deleted: by name or tag, or by a name under which only AWS
        could create it again.
        """
        deletion = self.policy["protect"]["deletion"]
        return group.name.startswith("aws/") or self._spared(group, deletion)

    def _spared(self, group: Group, protect: Mapping[str, Any]) -> bool:
        return any(named(pattern, group.name) for pattern in protect["names"]) or any(
            tagged(tag, group.tags) for tag in protect["tags"]
        )

    def days(self, group: Group) -> int | None:
        """Return the retention to put, if any."""
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
        """Return the time before which everything is expired: retention and grace before now."""
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
    """Return whether the group is old enough, and `quiet` for as long; None: unknown."""
    since = now - (rule.get("orphan_days") or rule["quiet_days"]) * DAY_MS
    return False if group.created > since else quiet(since)


def names_function(name: str) -> bool:
    """Return whether Lambda gives a function's log group such a name."""
    return re.fullmatch(rf"/aws/lambda/({HOME}\.)?[A-Za-z0-9_-]+", name) is not None


def named(pattern: str, text: str) -> bool:
    if pattern.startswith("re:"):
        return re.search(pattern[3:], text) is not None
    return fnmatchcase(text, pattern)


def tagged(tag: str, tags: Mapping[str, str]) -> bool:
    key, _, value = tag.partition("=")
    return key in tags and value in ("", tags[key])


def owned(key: Key, functions: Mapping[Target, Mapping[str, str | None]]) -> bool:
    """Return whether a function logs to the group: one of its Region, or the replica of a
    Lambda@Edge function, under the usual name with the home Region in it or a configured one.
    """
    account, region, name = key
    local, edge = (functions.get((account, where), {}) for where in (region, HOME))
    own = {group or f"/aws/lambda/{function}" for function, group in local.items()}
    replicas = {f"/aws/lambda/{HOME}.{function}" for function in edge}
    configured = {group for group in edge.values() if region != HOME}
    return name in own | replicas | configured


def objections(
    group: Group, streams: Iterable[Stream], rules: Rules, lag: float, stored: int, now: int
) -> str:
    """Return why the group may not be deleted by its own facts, empty if it may."""
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
    """Return the accounts whose limits this exceeds: all of them, if it exceeds those of the fleet.
    `swept` has a log group once for each stream that is swept.
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
    """The expected result of a run; in the accounts `forbidden` a limit refuses deletions."""

    truth: Truth
    forbidden: set[str]
    scanned: int
    planned: Counter[str]
    done: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> bool:
        """Whether a limit refuses anything."""
        return bool(self.forbidden)


@dataclass(frozen=True)
class Oracle:
    """Foretells what one undisturbed run does. `page` is how many streams a page holds. In a Region
    that is `lacking`, an operation is not offered and its error is ambiguous, so that what an undo
    needs cannot be read; in one that is `refusing`, nothing can.
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
        fixed: dict[Key, Oracle] = {}
        groups = [group for group in truth.all() if group.region not in self.refusing]
        for group in groups:
            if rules.exempt(group):
                continue
            one = fixed[group.key] = replace(self, rules=rules.fixed(rules.scope(group)))
            if self._undecided(rules, group, truth, now):
                continue
            empty = one._empty(group, truth, now)
            days, cutoff = one.rules.days(group), one.rules.cutoff(group, now)
            if empty:
                deletions.append(group)
                continue
            if days is not None:
                puts.append((group, days))
            elif empty is None:
                continue  # it is reported as unknown, and not swept either
            if cutoff is not None and (names := one._swept(group, truth, cutoff, now)):
                sweeps.append((group, cutoff, len(names)))
        gone = [group.key for group in deletions]
        streams = [group.key for group, _, count in sweeps for _ in range(count)]
        scanned = [group.key for group in groups]
        forbidden = exceeding(rules.policy["limits"], scanned, gone, streams)
        planned = Counter(
            delete_group=len(deletions), set_retention=len(puts), sweep_streams=len(streams)
        )
        result = Expected(truth, forbidden, len(groups), planned)
        instead = [(group, fixed[group.key].rules.days(group)) for group in deletions]
        puts += [(group, days) for group, days in instead if days and group.account in forbidden]
        for group, days in puts:
            truth.retain(group.key, days, now)
            result.done["set_retention"] += 1
        for group in deletions:
            if not self._unrestorable(group) and group.account not in forbidden:
                truth.delete(group.key)
                result.done["delete_group"] += 1
        for group, cutoff, _ in sweeps:
            if group.account in forbidden:
                continue
            for name in fixed[group.key]._swept(truth.there(group.key), truth, cutoff, now):
                truth.delete_stream(group.key, name)
                result.done["sweep_streams"] += 1
        return result

    def never_deleted(self, truth: Truth, now: int) -> set[Key]:
        """Return the log groups that should be deleted and never can be."""
        one = self._answering(truth, now)
        return {
            group.key
            for group in filter(self._unrestorable, truth.all())
            if not self.rules.exempt(group) and one._empty(group, truth, now)
        }

    def _unrestorable(self, group: Group) -> bool:
        """Return whether what an undo needs cannot be read; other classes do not have it."""
        return group.region in self.lacking and group.log_class == "STANDARD"

    def _answering(self, truth: Truth, now: int) -> Oracle:
        """Return the same oracle with rules that know the answers to their conditions."""

        def answer(rule: dict[str, Any], group: Group) -> bool | None:
            def quiet(since: int) -> bool | None:
                return None if self._unclear(group) else not _arrived(group, truth, since, now)

            alive = not names_function(group.name) or owned(group.key, truth.functions)
            if "orphan_days" in rule and alive:
                return False
            return condition(rule, group, quiet, now)

        return replace(self, rules=replace(self.rules, answers=answer))

    def _undecided(self, rules: Rules, group: Group, truth: Truth, now: int) -> bool:
        """Return whether it is unknown which rule applies, and that makes a difference."""
        stored, lag = group.bytes_seen(now, truth.lags.stored), truth.lags.stream
        scopes = [rules.fixed(scope) for scope in rules.scopes(group)]
        return len({one.effect(group, stored, lag, now) for one in scopes}) > 1

    def _empty(self, group: Group, truth: Truth, now: int) -> bool | None:
        """Return whether it is proved empty, None if what that takes cannot be read."""
        lags, rules = truth.lags, self.rules
        stored = group.bytes_seen(now, lags.stored)
        if objections(group, group.streams.values(), rules, lags.stream, stored, now):
            return False
        before = rules.cutoff(group, now)
        assert before is not None, "retention unknown is an objection"
        if rules.scope(group)["proof"] == "events":
            if group.log_class in NO_EVENTS_READ:
                return None
            if holds(group, before, now):
                return False
        if self._unclear(group):
            return None
        owners = rules.policy["protect"]["deletion"]["owners"]
        used = bool(owners) and owned(group.key, truth.functions)
        return not (_arrived(group, truth, before, now) or group.subscriptions or used)

    def _unclear(self, group: Group) -> bool:
        """Return whether CloudWatch's answers about it are always incomplete."""
        return group.name in self.unknowns.unclear and not self.unknowns.unclear_once

    def _swept(self, group: Group, truth: Truth, cutoff: int, now: int) -> list[str]:
        """Return the streams to sweep in a group that is kept."""
        rules, lag = self.rules, truth.lags.stream
        if not rules.scope(group)["sweep_streams"] or group.protected or group.created >= cutoff:
            return []
        expired = [
            name
            for name in self._read(group, cutoff)
            if group.streams[name].newest(now, lag) < cutoff and not may_be_open(name)
        ]
        if rules.scope(group)["proof"] == "events":
            unread = group.log_class in NO_EVENTS_READ
            return [] if unread or holds(group, cutoff, now, expired) else expired
        if self._unclear(group) or _arrived(group, truth, now - LAG_WINDOW, now):
            return [name for name in expired if dated_before(name, now - DATED)]
        return expired

    def _read(self, group: Group, cutoff: int) -> list[str]:
        """Return the names of the streams that are listed: behind a page that ends in a newer
        stream of a Lambda function, all of them are newer.
        """
        names = sorted(group.streams)
        for end in range(self.page, len(names), self.page):
            last = names[end - 1]
            if lambda_day(last) and not dated_before(last, cutoff + 2 * DAY_MS):
                return names[:end]
        return names


def _arrived(group: Group, truth: Truth, since: int, now: int) -> bool:
    return arrived(truth.arrivals.get(group.key, ()), since, now, truth.lags.metric)


def arrived(arrivals: Iterable[Event], since: int, now: int, lag: float) -> bool:
    """Return whether the metric, asked at `now`, has arrivals in the hour of `since` or later."""
    first = max(since, now - METRIC_KEPT) // HOUR_MS * HOUR_MS
    return any(first <= event.ingested <= now - int(lag * 1000) for event in arrivals)


def holds(group: Group, before: int, now: int, streams: Iterable[str] | None = None) -> bool:
    """Return whether FilterLogEvents finds an event, in these streams or in all."""
    start = max(before, group.horizon(now))
    return any(
        event.at >= start and event.count and event.ingested <= now
        for name, stream in group.streams.items()
        if streams is None or name in streams
        for event in stream.events
    )


def may_be_open(stream: str) -> bool:
    """Return whether a container may hold the stream open, by its name."""
    return re.search(r"(^|/)([0-9a-f]{32}|[0-9a-f]{64})$", stream) is not None


def lambda_day(stream: str) -> str | None:
    """Return the day that a Lambda function's stream has in its name, None for other streams."""
    found = re.match(r"([0-9]{4}/[0-9]{2}/[0-9]{2})/\[", stream)
    return None if found is None else found[1]


def dated_before(stream: str, moment: int) -> bool:
    """Return whether the stream's name dates it to a day before that of the moment."""
    day = lambda_day(stream)
    return day is not None and day < datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y/%m/%d")
