"""What should become of an account, from the truth and the policy file: none of the engine's code.

The rules are those of the README, read once more: what is said here twice is said there once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from janitor.sandbox.clocks import DAY_MS, HOUR_MS
from tests.fakes.truth import Event, Group, Stream, Truth
from tests.proof.worlds import NOW, OWN, Account

METRIC_KEPT = 455 * DAY_MS


@dataclass(frozen=True)
class Rules:
    """The policy as it is written."""

    said: dict[str, Any]

    def scope(self, group: Group) -> dict[str, Any]:
        defaults: dict[str, Any] = self.said["defaults"]
        rules = [rule for rule in self.said.get("rules", []) if self._applies(rule, group)]
        return defaults | (rules[0] if rules else {})

    def _applies(self, rule: dict[str, Any], group: Group) -> bool:
        if "names" in rule:
            return any(named(pattern, group.name) for pattern in rule["names"])
        if "tags" in rule:
            return any(tagged(tag, group.tags) for tag in rule["tags"])
        if "classes" in rule:
            return group.log_class in rule["classes"]
        return any(named(pattern, group.region) for pattern in rule["regions"])

    def exempt(self, group: Group) -> bool:
        """Name, tag, or the janitor's own; or odd values, or a class that takes nothing."""
        protect = self.said["protect"]
        return (
            group.name == OWN
            or any(named(pattern, group.name) for pattern in protect["names"])
            or any(tagged(tag, group.tags) for tag in protect["tags"])
            or bool(group.odd)
            or group.log_class == "DELIVERY"
        )

    def days(self, group: Group) -> int | None:
        """The retention to put, if any."""
        scope = self.scope(group)
        wanted: int | None = scope.get("retention_days")
        low, high = scope.get("min_days", 0), scope.get("max_days", 9999)
        if group.policy is not None:
            return None
        if group.retention is None or low <= group.retention <= high:
            return wanted if group.retention is None else None
        return int(low if group.retention < low else high)

    def cutoff(self, group: Group, now: int) -> int | None:
        """Retention and grace before now: nothing newer may be deleted."""
        known = [group.policy_days] if group.policy else [group.retention, self.days(group)]
        days = max((d for d in known if d is not None), default=None)
        return None if days is None else now - (days + self.scope(group)["grace_days"]) * DAY_MS


def named(pattern: str, text: str) -> bool:
    if pattern.startswith("re:"):
        return re.search(pattern[3:], text) is not None
    return fnmatchcase(text, pattern)


def tagged(tag: str, tags: Mapping[str, str]) -> bool:
    key, _, value = tag.partition("=")
    return key in tags and value in ("", tags[key])


def owned(group: Group, functions: Mapping[str, str | None]) -> bool:
    """Whether a function logs to the group."""
    return any((own or f"/aws/lambda/{name}") == group.name for name, own in functions.items())


def lawful(
    group: Group, streams: Iterable[Stream], rules: Rules, lag: float, stored: int, now: int
) -> str:
    """Why the group may not be deleted, by its own facts; empty where it may."""
    before = rules.cutoff(group, now)
    reasons = {
        "exempt": rules.exempt(group),
        "the policy does not delete": not rules.scope(group)["delete_empty"],
        "deletion protection": group.protected,
        "a metric filter": bool(group.metric_filters),
        "a subscription": bool(group.subscriptions),
        "retention unknown": before is None,
        "young": before is not None and group.created >= before,
        "stored bytes": stored > 0,
        "a stream with life": before is not None
        and any(stream.newest(now, lag) >= before for stream in streams),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


@dataclass
class Expected:
    """What is left, and the changes that lead there; `refused`: a limit forbids deletions."""

    truth: Truth
    refused: bool = False
    deleted: int = 0
    put: int = 0
    swept: int = 0


def unrecorded(group: Group, account: Account) -> bool:
    """Whether it cannot be read what it takes to make the group again, which keeps it."""
    return bool(account.lacks_in(group.region))


def expected(before: Truth, rules: Rules, account: Account, now: int = NOW) -> Expected:
    """What one undisturbed run leaves behind."""
    truth = before.copy()
    result = Expected(truth)
    deletions: list[Group] = []
    puts: list[tuple[Group, int]] = []
    sweeps: list[tuple[Group, list[str], int]] = []
    # What subscribes to a group costs a call at the slowest quota. It is asked for at the last
    # look, which is too late for sweeps (their limit is checked by then) and, where it does not
    # get that far, for retention; or before the limits, where too many seem to be deleted.
    late_puts, late_sweeps, late = puts.copy(), sweeps.copy(), 0
    groups = truth.all()
    for group in groups:
        if rules.exempt(group):
            continue
        empty = _empty(group, truth, rules, account, now)
        if empty and not group.subscriptions:
            deletions.append(group)
            continue
        late += empty
        cut, days = rules.cutoff(group, now), rules.days(group)
        if days is not None:
            unknown = empty and unrecorded(group, account)
            (late_puts if unknown else puts).append((group, days))
        if cut is not None and _sweepable(group, rules, cut):
            silent = _silent(group, cut, truth.lags.stream, now)
            drained = rules.scope(group)["proof"] == "events"
            names = _drained(group, silent, account.page, cut, now) if drained else silent
            (late_sweeps if empty else sweeps).append((group, names, len(silent)))
    limits = rules.said["limits"]
    most = min(
        limits.get("max_group_deletions", 500),
        int(limits["max_group_deletion_share"] * len(groups)),
    )
    asked = len(deletions) + late > most
    sweeps += late_sweeps if asked else []
    counted = sum(count for _, _, count in sweeps)
    result.refused = len(deletions) > most or counted > limits.get("max_stream_deletions", 50_000)
    puts += late_puts if asked or result.refused else []
    if result.refused:
        puts += [(group, days) for group in deletions if (days := rules.days(group)) is not None]
    for group, days in puts:
        truth.retain(group.key, days, now)
        result.put += 1
    if result.refused:
        return result
    for group in deletions:
        if not unrecorded(group, account):
            truth.delete(group.key)
            result.deleted += 1
    for group, names, _ in sweeps:
        for name in names:
            truth.delete_stream(group.key, name)
            result.swept += 1
    return result


def _empty(group: Group, truth: Truth, rules: Rules, account: Account, now: int) -> bool:
    """Whether it is proved empty, whatever subscribes to it."""
    lags, group = truth.lags, replace(group, subscriptions=())
    stored = group.bytes_seen(now, lags.stored)
    if lawful(group, group.streams.values(), rules, lags.stream, stored, now):
        return False
    before = rules.cutoff(group, now)
    assert before is not None, "lawful"
    functions = truth.functions.get((group.account, group.region), {})
    if rules.said["protect"]["live_owners"] and owned(group, functions):
        return False
    if arrived(truth.arrivals.get(group.key, ()), before, now, lags.metric):
        return False
    if group.name in account.unknowns.unclear and not account.unknowns.unclear_once:
        return False
    if rules.scope(group)["proof"] != "events":
        return True
    # What cannot be read is not empty.
    return group.log_class == "STANDARD" and not holds(group, before, now)


def arrived(arrivals: Iterable[Event], before: int, now: int, lag: float) -> bool:
    """Whether the metric knows of arrivals in the hour of the cutoff or later."""
    since = max(before, now - METRIC_KEPT) // HOUR_MS * HOUR_MS
    shown = now - int(lag * 1000)
    return any(since <= event.ingested <= shown for event in arrivals)


def holds(group: Group, before: int, now: int, streams: Iterable[str] | None = None) -> bool:
    """Whether FilterLogEvents finds something."""
    start = max(before, group.horizon(now))
    return any(
        event.at >= start and event.count
        for name, stream in group.streams.items()
        if streams is None or name in streams
        for event in stream.events
    )


def _sweepable(group: Group, rules: Rules, cut: int) -> bool:
    """A group that, where it stays, has its expired streams swept."""
    return rules.scope(group)["sweep_streams"] and not group.protected and group.created < cut


def _silent(group: Group, cut: int, lag: float, now: int) -> list[str]:
    return [n for n in sorted(group.streams) if group.streams[n].newest(now, lag) < cut]


def _drained(group: Group, silent: list[str], page: int, cut: int, now: int) -> list[str]:
    """Under proof = "events" a page of streams is left alone when any silent one holds events."""
    if group.log_class != "STANDARD":
        return []
    found: list[str] = []
    ordered = sorted(group.streams)
    for start in range(0, len(ordered), page):
        names = [name for name in ordered[start : start + page] if name in silent]
        if names and not holds(group, cut, now, names):
            found += names
    return found
