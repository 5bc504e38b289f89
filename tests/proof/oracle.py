"""What should become of an account, from the truth and the policy file: none of the engine's code.

The rules are those of the README, read once more: what is said here twice is said there once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from janitor.sandbox.clocks import DAY_MS, HOUR_MS
from janitor.sandbox.store import Group, Region, Store, Stream
from tests.proof.worlds import NOW, OWN

METRIC_KEPT = 455 * DAY_MS


@dataclass(frozen=True)
class Rules:
    """The policy as it is written."""

    said: dict[str, Any]

    def scope(self, group: Group) -> dict[str, Any]:
        rules = [rule for rule in self.said.get("rules", []) if self._applies(rule, group)]
        return self.said["defaults"] | (rules[0] if rules else {})

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
        if group.policy is not None:
            return None
        if group.retention is None:
            return scope.get("retention_days")
        if group.retention < scope.get("min_days", 0):
            return scope["min_days"]
        if group.retention > scope.get("max_days", 9999):
            return scope["max_days"]
        return None

    def cutoff(self, group: Group, now: int) -> int | None:
        """Retention and grace before now: nothing newer may be deleted."""
        known = [group.policy_days] if group.policy else [group.retention, self.days(group)]
        days = max((d for d in known if d is not None), default=None)
        return None if days is None else now - (days + self.scope(group)["grace_days"]) * DAY_MS


def named(pattern: str, text: str) -> bool:
    if pattern.startswith("re:"):
        return re.search(pattern[3:], text) is not None
    return fnmatchcase(text, pattern)


def tagged(tag: str, tags: dict[str, str]) -> bool:
    key, _, value = tag.partition("=")
    return key in tags and value in ("", tags[key])


def newest(stream: Stream, now: int, lag: float) -> int:
    """The newest sign of life that a stream shows."""
    shown = stream.shown(now, lag)
    return max(stream.created, *(shown or (0,)))


def owned(group: Group, region: Region) -> bool:
    """Whether a function logs to the group."""
    return any(
        (custom or f"/aws/lambda/{name}") == group.name for name, custom in region.functions.items()
    )


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
        and any(newest(stream, now, lag) >= before for stream in streams),
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


@dataclass
class Expected:
    """What is left, and the changes that lead there; `refused`: a limit forbids deletions."""

    store: Store
    refused: bool = False
    deleted: int = 0
    put: int = 0
    swept: int = 0


def expected(before: Store, rules: Rules, page: int, now: int = NOW) -> Expected:
    """What one undisturbed run leaves behind."""
    result = Expected(before.copy())
    store, lags = result.store, before.lags
    deletions: list[Group] = []
    sweeps: list[tuple[Group, list[str], int]] = []
    late: list[tuple[Group, list[str], int]] = []
    kept_late = 0
    puts: list[tuple[Group, int]] = []
    scanned = 0
    for group in list(store.groups()):
        scanned += 1
        if rules.exempt(group):
            continue
        region, cut = store.region(group.account, group.region), rules.cutoff(group, now)
        if _empty(group, region, rules, lags.stored, lags.stream, lags.metric, now):
            deletions.append(group)
            continue
        days = rules.days(group)
        if days is not None:
            puts.append((group, days))
        known_late = _late(group, region, rules, store, now)
        kept_late += known_late
        if cut is not None and _sweepable(group, rules, cut):
            silent = _silent(group, cut, lags.stream, now)
            drained = rules.scope(group)["proof"] == "events"
            names = _drained(group, silent, page, cut, now) if drained else silent
            (late if known_late else sweeps).append((group, names, len(silent)))
    limits = rules.said["limits"]
    most = min(
        limits.get("max_group_deletions", 500),
        int(limits["max_group_deletion_share"] * scanned),
    )
    if len(deletions) + kept_late > most:
        # Subscriptions are then asked for before the limits are checked, in time for the sweeps.
        sweeps += late
    counted = sum(count for _, _, count in sweeps)
    result.refused = len(deletions) > most or counted > limits.get("max_stream_deletions", 50_000)
    if result.refused:
        puts += [(group, days) for group in deletions if (days := rules.days(group)) is not None]
    for group, days in puts:
        store.set_retention(group, days, now)
        result.put += 1
    if result.refused:
        return result
    for group in deletions:
        store.remove_group(group)
        result.deleted += 1
    for group, names, _ in sweeps:
        for name in names:
            store.remove_stream(group, name)
            result.swept += 1
    return result


def _empty(
    group: Group,
    region: Region,
    rules: Rules,
    stored_lag: float,
    stream_lag: float,
    metric_lag: float,
    now: int,
) -> bool:
    stored = group.stored_shown(now, stored_lag)
    if lawful(group, group.streams.values(), rules, stream_lag, stored, now):
        return False
    before = rules.cutoff(group, now)
    assert before is not None, "lawful"
    if rules.said["protect"]["live_owners"] and owned(group, region):
        return False
    if arrived(group, region, before, now, metric_lag):
        return False
    if rules.scope(group)["proof"] != "events":
        return True
    # What cannot be read is not empty.
    return group.log_class != "INFREQUENT_ACCESS" and not holds(group, before, now)


def arrived(group: Group, region: Region, before: int, now: int, lag: float) -> bool:
    """Whether the metric knows of arrivals in the hour of the cutoff or later."""
    since = max(before, now - METRIC_KEPT) // HOUR_MS * HOUR_MS
    shown = now - int(lag * 1000)
    return any(since <= e.ingested <= shown for e in region.arrivals.get(group.name, ()))


def holds(group: Group, before: int, now: int, streams: Iterable[str] | None = None) -> bool:
    """Whether FilterLogEvents finds something."""
    start = max(before, group.horizon(now))
    return any(
        events.at >= start and events.count
        for name, stream in group.streams.items()
        if streams is None or name in streams
        for events in stream.events
    )


def _sweepable(group: Group, rules: Rules, cut: int) -> bool:
    """A group that, where it stays, has its expired streams swept."""
    return rules.scope(group)["sweep_streams"] and not group.protected and group.created < cut


def _late(group: Group, region: Region, rules: Rules, store: Store, now: int) -> bool:
    """Whether a subscription alone keeps the group.

    That costs a call a group at the slowest quota. It is asked for at the last look, which is too
    late for sweeps (their limit is checked by then), or where too many seem to be deleted.
    """
    if not group.subscriptions:
        return False
    bare = group.copy()
    bare.subscriptions = ()
    lags = store.lags
    return _empty(bare, region, rules, lags.stored, lags.stream, lags.metric, now)


def _silent(group: Group, cut: int, lag: float, now: int) -> list[str]:
    return [name for name in group.ordered() if newest(group.streams[name], now, lag) < cut]


def _drained(group: Group, silent: list[str], page: int, cut: int, now: int) -> list[str]:
    """Under proof = "events" a page of streams is left alone when any silent one holds events."""
    if group.log_class == "INFREQUENT_ACCESS":
        return []
    found: list[str] = []
    ordered = group.ordered()
    for start in range(0, len(ordered), page):
        names = [name for name in ordered[start : start + page] if name in silent]
        if names and not holds(group, cut, now, names):
            found += names
    return found
