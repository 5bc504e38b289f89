"""Watches each request and answer, and judges each change by what the janitor had been shown.

A deletion is judged when it is asked for, whether it takes place or not: that a protected group
refuses it, or that a lost answer hid it, is no merit of the janitor's.

An event that arrived when no call could have shown it any more (metadata lags) is nobody's fault,
nor is a log group made again after the last look, be it in the same millisecond (time is virtual);
everything else is. A wrong that is found is added to `wrongs`, because it is found on the
janitor's own threads.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from janitor.sandbox.store import name_of
from janitor.sandbox.wire import Call
from tests.fakes import Builder, Cloud
from tests.fakes.cloud import Seen
from tests.fakes.faults import CHANGING
from tests.fakes.judge import Change
from tests.fakes.truth import Event, Group, Key, Truth
from tests.proof.oracle import METRIC_KEPT, Rules, arrived, holds, lawful, owned
from tests.proof.process import READ_TIMEOUT, VirtualClock
from tests.proof.worlds import NOW

LOOK_LASTS = 1.0
VERBS = {
    "PutRetentionPolicy": "set_retention",
    "DeleteLogGroup": "delete_group",
    "DeleteLogStream": "sweep_streams",
}
Item = tuple[str, str, str, int, str, str | None]
"""Account, Region, log group, its creation time, verb, log stream."""


@dataclass
class Look:
    """What was true when one answer was made that showed it."""

    operation: str
    key: Key
    number: int
    own: float
    now: int
    group: Group
    whole: bool = True
    """Whether it was read to the last page."""


@dataclass
class Arrivals:
    """When the metric was asked, and what it knew then."""

    number: int
    until: int
    events: tuple[Event, ...]
    group: Group


@dataclass
class Tags:
    """What GetResources said of a group, and when the thread that asked was told."""

    number: int
    thread: int
    own: float
    tags: Mapping[str, str]


@dataclass
class Functions:
    """The functions of a Region as they were last listed, and when they were last asked for."""

    asked: int = 0
    number: int = 0
    functions: Mapping[str, str | None] | None = None


@dataclass
class Life:
    """What is known of one process."""

    threads: dict[int, list[Look]] = field(default_factory=dict)
    shown: dict[Key, Look] = field(default_factory=dict)
    arrivals: dict[Key, Arrivals] = field(default_factory=dict)
    tags: dict[Key, Tags] = field(default_factory=dict)
    functions: dict[tuple[str, str], Functions] = field(default_factory=dict)
    effects: Counter[Item] = field(default_factory=Counter)
    lost: set[Item] = field(default_factory=set)
    scanned: set[tuple[Key, int]] = field(default_factory=set)


class Witness:
    """Of one account, over all processes."""

    def __init__(self, said: dict[str, Any], truth: Truth) -> None:
        self.rules = Rules(said)
        self.wrongs: list[str] = []
        self.life = Life()
        self.read: dict[Key, list[tuple[Group, tuple[str, ...] | None]]] = {}
        """Groups whose events were read to the last page, and of which streams."""
        self._truth = truth
        self._clock = VirtualClock(NOW)
        self._number = 0

    def begin(self, clock: VirtualClock) -> None:
        """Another process."""
        self.life, self._clock = Life(), clock

    def wrong(self, text: str) -> None:
        self.wrongs.append(text)

    # ---- what is shown -----------------------------------------------------------------------

    def note(self, seen: Seen) -> None:
        """A call is over."""
        call, change = seen.call, seen.change
        self._number += 1
        told = seen.heard and seen.delay <= READ_TIMEOUT
        effect = change if change is not None and change.effect else None
        if effect is not None:
            self._changed(effect)
        if call.operation in ("DeleteLogGroup", "DeleteLogStream"):
            self._tried(call, effect)
        if call.operation.startswith(CHANGING) and not told:
            self._lost(seen, effect)
        if told and call.result is not None:
            self._shown(call, call.result)
        if seen.refused is not None and seen.fault is None:
            self._refused(call)
        if call.operation == "ListFunctions":
            target = (call.account, call.region)
            known = self.life.functions.setdefault(target, Functions())
            known.asked = self._number
            if told and call.result is not None and not call.result.get("NextMarker"):
                known.number = self._number
                known.functions = self._truth.functions.get(target, {})

    def _lost(self, seen: Seen, effect: Change | None) -> None:
        """The caller cannot know whether its change took place."""
        call, key = seen.call, _key(seen.call)
        certain = seen.refused is not None and seen.refused.status < 500
        if certain or call.operation not in VERBS:
            return
        stream = call.parameters.get("logStreamName")
        shown = self.life.shown.get(key)
        known = [None if look is None else look.group for look in (effect, shown)]
        known.append(self._truth.get(key))
        for created in {group.created for group in known if group is not None}:
            self.life.lost.add((*key, created, VERBS[call.operation], stream))

    def _shown(self, call: Call, body: dict[str, Any]) -> None:
        match call.operation:
            case "DescribeLogGroups":
                for entry in body["logGroups"]:
                    key = (call.account, call.region, entry["logGroupName"])
                    self._look(call, key, whole=True)
            case "DescribeSubscriptionFilters" | "DescribeLogStreams":
                self._paged(call, body)
            case "FilterLogEvents" if not body.get("nextToken"):
                streams = call.parameters.get("logStreamNames")
                seen = (self._there(_key(call)), None if streams is None else tuple(streams))
                self.read.setdefault(_key(call), []).append(seen)
            case "GetMetricData":
                self._asked(call, body)
            case "GetResources":
                for arn in call.parameters["ResourceARNList"]:
                    key = (call.account, call.region, name_of(arn))
                    tagged = self._truth.get(key)
                    tags = {} if tagged is None else tagged.tags
                    read = Tags(self._number, threading.get_ident(), self._clock.own, tags)
                    self.life.tags[key] = read

    def _refused(self, call: Call) -> None:
        """Where the class of a group refuses to tell what subscribes to it, nothing does."""
        group = self._truth.get(_key(call))
        standard = group is None or group.log_class == "STANDARD"
        if call.operation == "DescribeSubscriptionFilters" and not standard:
            self._look(call, _key(call), whole=True)

    def _there(self, key: Key) -> Group:
        return self._truth.there(key)

    def _look(self, call: Call, key: Key, *, whole: bool) -> None:
        clock, group = self._clock, self._there(key)
        look = Look(call.operation, key, self._number, clock.own, clock.now(), group, whole)
        if call.operation == "DescribeLogGroups":
            self.life.shown[key] = look
            self.life.scanned.add((key, group.created))
            if not any(p in call.parameters for p in ("logGroupNamePrefix", "logGroupIdentifiers")):
                return
        self.life.threads.setdefault(threading.get_ident(), []).append(look)

    def _paged(self, call: Call, body: dict[str, Any]) -> None:
        """A listing shows what there was when it began, once its last page is read."""
        last = not body.get("nextToken")
        if not call.parameters.get("nextToken"):
            self._look(call, _key(call), whole=last)
            return
        looks = self.life.threads.get(threading.get_ident(), [])
        if (look := _last(looks, call.operation, _key(call))) is not None:
            look.whole = last

    def _asked(self, call: Call, body: dict[str, Any]) -> None:
        names = {
            query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            for query in call.parameters["MetricDataQueries"]
        }
        until = self._clock.now() - int(self._truth.lags.metric * 1000)
        for result in body["MetricDataResults"]:
            key = (call.account, call.region, names[result["Id"]])
            group = self._truth.get(key)
            if group is not None and result["StatusCode"] == "Complete":
                events = self._truth.arrivals.get(key, ())
                self.life.arrivals[key] = Arrivals(self._number, until, events, group)

    # ---- what is changed ---------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        verb = VERBS.get(change.operation)
        if verb is None:
            self.wrong(f"{change.operation} of {change.key}: never asked for")
            return
        # Calls go by name: what was made anew after the look is taken for what was looked at.
        shown = self.life.shown.get(change.key)
        created = change.group.created if shown is None else shown.group.created
        self.life.effects[*change.key, created, verb, change.stream] += 1
        if verb == "set_retention":
            for reason in self._put(change):
                self.wrong(f"{verb} {change.key}: {reason}")

    def _tried(self, call: Call, effect: Change | None) -> None:
        """A deletion was asked for. Each takes a look of its own: a second one needs another."""
        looks = self.life.threads.setdefault(threading.get_ident(), [])
        if call.operation == "DeleteLogGroup":
            reasons = list(self._deletion(effect, _key(call), looks))
            looks.clear()
        else:
            stream = str(call.parameters.get("logStreamName"))
            reasons = list(self._sweep(effect, _key(call), stream, looks))
        for reason in reasons:
            self.wrong(f"{call.operation} {_key(call)}: {reason}")

    def _deletion(self, effect: Change | None, key: Key, looks: list[Look]) -> Iterable[str]:
        group = _last(looks, "DescribeLogGroups", key)
        subscribed = _last(looks, "DescribeSubscriptionFilters", key)
        streams = _last(looks, "DescribeLogStreams", key)
        arrivals, tags = self.life.arrivals.get(key), self.life.tags.get(key)
        if not (group and subscribed and streams and arrivals and tags):
            looked = {
                "group": group,
                "filters": subscribed,
                "streams": streams,
                "tags": tags,
                "arrivals": arrivals,
            }
            missing = [name for name, part in looked.items() if not part]
            yield f"not looked at: {', '.join(missing)}"
            return
        clock = self._clock
        if looks[-1] is not group or clock.own - group.own > LOOK_LASTS:
            yield "the last look was not right before it"
        if tags.thread == threading.get_ident() and clock.own - tags.own > LOOK_LASTS:
            yield "its tags were read too long before it"
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        if min(group.number, subscribed.number, streams.number, tags.number) < arrivals.number:
            yield "the last look came before the proof"
        if not (subscribed.whole and streams.whole):
            yield "the listing was not read to its end"
        seen = replace(group.group, tags=tags.tags, subscriptions=subscribed.group.subscriptions)
        lags, now = self._truth.lags, streams.now
        stored = group.group.bytes_seen(group.now, lags.stored)
        if why := lawful(seen, [], self.rules, lags.stream, stored, NOW):
            yield why
            return
        before = self.rules.cutoff(seen, NOW)
        assert before is not None, "lawful"
        listed = streams.group.streams.values()
        if any(stream.newest(now, lags.stream) >= before for stream in listed):
            yield "a stream showed life"
        if arrived(arrivals.events, before, NOW, (NOW - arrivals.until) / 1000):
            yield "the metric knew of arrivals"
        yield from self._owner(key, seen, arrivals.number)
        if self.rules.scope(seen)["proof"] == "events":
            found = [group for group, names in self.read.get(key, []) if names is None]
            if not found or holds(found[-1], before, NOW):
                yield "its events were not read, or it had some"
        # What came within the very millisecond of a look came after it.
        for event in () if effect is None else effect.alive:
            shown = (
                arrivals.until > event.ingested >= NOW - METRIC_KEPT,
                group.now - lags.stored * 1000 > event.ingested,
                any(
                    event in stream.events
                    and now - 1000 * (lags.stream if stream.lag is None else stream.lag)
                    > event.ingested
                    for stream in listed
                ),
            )
            if any(shown):
                yield f"lost {event}, which could be seen"

    def _owner(self, key: Key, seen: Group, proved: int) -> Iterable[str]:
        """Functions are listed once more after the proof. Where that fails, only a group that is
        named for a function may be one's.
        """
        if not self.rules.said["protect"]["live_owners"]:
            return
        known = self.life.functions.get(key[:2], Functions())
        if known.asked < proved:
            yield "whether a function logs to it was not asked again"
        if key[2].startswith("/aws/lambda/") and known.number < proved:
            yield "whether a function logs to it was unknown"
        if known.functions is not None and owned(seen, known.functions):
            yield "a function logged to it"

    def _sweep(
        self, effect: Change | None, key: Key, name: str, looks: list[Look]
    ) -> Iterable[str]:
        group = _last(looks, "DescribeLogGroups", key)
        listed = _last(looks, "DescribeLogStreams", key)
        if not (group and listed):
            yield "not everything was looked at"
            return
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        seen = yield from self._tagged(group.group)
        scope, before = self.rules.scope(seen), self.rules.cutoff(seen, NOW)
        stream = listed.group.streams.get(name)
        if self.rules.exempt(seen) or seen.protected or not scope["sweep_streams"]:
            yield "exempt, protected, or the policy does not sweep"
        if before is None or seen.created >= before:
            yield "retention unknown, or a young group"
            return
        lag = self._truth.lags.stream
        if stream is None or stream.newest(listed.now, lag) >= before:
            yield "the stream showed life, or was not looked at"
            return
        if scope["proof"] == "events":
            found = [g for g, names in self.read.get(key, []) if names and name in names]
            if not found or holds(found[-1], before, NOW, [name]):
                yield "its events were not read, or it had some"
        own = lag if stream.lag is None else stream.lag
        for event in () if effect is None else effect.alive:
            if event.ingested <= listed.now - own * 1000:
                yield f"lost {event}, which could be seen"

    def _put(self, change: Change) -> Iterable[str]:
        shown = self.life.shown.get(change.key)
        if shown is None:
            yield "it was never looked at"
            return
        seen = yield from self._tagged(shown.group)
        if self.rules.exempt(seen) or change.group.policy is not None:
            yield "exempt, or under an account-level policy"
        if self.rules.days(seen) != change.after:
            yield f"{change.after} days is not what the policy says of {seen.retention}"

    def _tagged(self, group: Group) -> Generator[str, None, Group]:
        """The group with the tags that were read of it."""
        tags = self.life.tags.get(group.key)
        if tags is None and self.rules.said["protect"]["tags"]:
            yield "its tags were not read"
        return replace(group, tags={} if tags is None else tags.tags)

    # ---- what is told ------------------------------------------------------------------------

    def check_journal(self, lines: list[dict[str, Any]], *, killed: bool) -> None:
        """Each change has one line before it and, in a process that lives, one line after it.

        A deletion that is tried again is announced once more where what it takes to undo it has
        changed meanwhile: whoever reads the journal goes by the last of them
        (`janitor.journal.history`).
        """
        begun, ended = Counter[Item](), Counter[Item]()
        done = Counter[Item]()
        announced: dict[Item, Any] = {}
        for line in lines:
            item = (
                *(line["account"], line["region"], line["group"], line["creation_time"]),
                *(line["action"], line.get("stream")),
            )
            if line["status"] != "begun":
                ended[item] += 1
            elif item[4] != "delete_group" or announced.get(item) in (None, line["before"]):
                begun[item] += 1
            announced[item] = line["before"]
            done[item] += line["status"] == "done"
        effects, lost = self.life.effects, self.life.lost
        for item, count in [*begun.items(), *ended.items()]:
            if count > 1:
                self.wrong(f"journal: {item} {count} times")
        for item in ended - begun:
            self.wrong(f"journal: {item} ended, but never began")
        for item in effects:
            if not begun[item]:
                self.wrong(f"journal: {item} was changed, and not announced")
            if not (killed or done[item] or item in lost):
                self.wrong(f"journal: {item} was changed, and not called done")
        for item in begun - ended:
            if not killed:
                self.wrong(f"journal: {item} began, and nothing says how it ended")
        for item in +done:
            if not effects[item] and item not in lost:
                self.wrong(f"journal: {item} is called done, but was not changed")

    def check_limits(self, scanned: int, effects: Counter[Item]) -> None:
        """No more than the policy allows."""
        limits = self.rules.said["limits"]
        groups = sum(item[4] == "delete_group" for item in effects)
        streams = sum(item[4] == "sweep_streams" for item in effects)
        allowed = min(
            limits.get("max_group_deletions", 500),
            int(limits["max_group_deletion_share"] * scanned),
        )
        if groups > allowed:
            self.wrong(f"limits: {groups} of {scanned} groups deleted, {allowed} allowed")
        if streams > limits.get("max_stream_deletions", 50_000):
            self.wrong(f"limits: {streams} streams swept")


def _last(looks: list[Look], operation: str, key: Key) -> Look | None:
    found = (look for look in reversed(looks) if (look.operation, look.key) == (operation, key))
    return next(found, None)


def _key(call: Call) -> Key:
    return (call.account, call.region, str(call.group))


class WatchedCloud(Cloud):
    """An account whose every call a witness sees."""

    def __init__(
        self, witness: Witness, account: Builder, clock: VirtualClock, **options: Any
    ) -> None:
        super().__init__(account, clock=clock, **options)
        self.faults = 0
        self._witness = witness
        witness.begin(clock)

    def seen(self, seen: Seen) -> None:
        self.faults += seen.fault is not None
        self._witness.note(seen)
