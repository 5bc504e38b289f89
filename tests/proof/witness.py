"""Watches each request and answer, and judges each change by what the janitor had been shown.

A deletion is judged when it is asked for, whether it takes place or not: that a protected group
refuses it, or that a lost answer hid it, is no merit of the janitor's.

An event that arrived when no call could have shown it any more (metadata lags) is nobody's fault,
nor is a log group made again after the last look, be it in the same millisecond (time is virtual);
everything else is. A wrong that is found is added to `wrongs`, because it is found on the
janitor's own threads.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.cloud import Cloud
from tests.cloud.faults import CHANGES, Fault, Garbage, Refuse
from tests.cloud.judge import Change
from janitor.sandbox.wire import Call, RefusedError, refused
from janitor.sandbox.server import Reply
from janitor.sandbox.store import Events, Group, name_of
from tests.proof.oracle import METRIC_KEPT, Rules, arrived, holds, lawful, newest, owned
from tests.proof.wire import READ_TIMEOUT, VirtualClock
from tests.proof.worlds import NOW

LOOK_LASTS = 1.0
VERBS = {
    "PutRetentionPolicy": "set_retention",
    "DeleteLogGroup": "delete_group",
    "DeleteLogStream": "sweep_streams",
}
Key = tuple[str, str, str]
Item = tuple[str, str, str, int, str, str | None]
"""Account, Region, log group, its creation time, verb, log stream."""


@dataclass
class Look:
    """What one answer showed, as a copy of the truth of that moment."""

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
    events: list[Events]
    group: Group


@dataclass
class Tags:
    """What GetResources said of a group, and when the thread that asked was told."""

    number: int
    thread: int
    own: float
    tags: dict[str, str]


@dataclass
class Functions:
    """The functions of a Region as they were last listed, and when they were last asked for."""

    asked: int = 0
    number: int = 0
    functions: dict[str, str | None] | None = None


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

    def __init__(self, said: dict[str, Any]) -> None:
        self.rules = Rules(said)
        self.wrongs: list[str] = []
        self.life = Life()
        self.read: dict[Key, list[tuple[Group, tuple[str, ...] | None]]] = {}
        """Groups whose events were read to the last page, and of which streams."""
        self._number = 0

    def begin(self) -> None:
        """Another process."""
        self.life = Life()

    def wrong(self, text: str) -> None:
        self.wrongs.append(text)

    # ---- what is shown -----------------------------------------------------------------------

    def note(
        self, cloud: Cloud, call: Call, reply: Reply, fault: Fault | None, changes: list[Change]
    ) -> None:
        """A request was answered; `changes` are what it changed."""
        self._number += 1
        answer = reply.answer
        told = (
            answer is not None
            and answer.status < 300
            and not isinstance(fault, Garbage)
            and reply.delay <= READ_TIMEOUT
        )
        for change in changes:
            self._changed(change)
        if call.operation in ("DeleteLogGroup", "DeleteLogStream"):
            self._tried(cloud, call, next((c for c in changes if c.effect), None))
        if call.operation in CHANGES and not told:
            self._lost(cloud, call, fault, changes)
        if told and answer is not None and call.service in ("logs", "monitoring", "tagging"):
            self._shown(cloud, call, json.loads(answer.body or b"{}"))
        if call.operation == "ListFunctions":
            home = cloud.store.region(call.account, call.region)
            known = self.life.functions.setdefault((call.account, call.region), Functions())
            known.asked = self._number
            if told and answer is not None and not json.loads(answer.body).get("NextMarker"):
                known.number, known.functions = self._number, dict(home.functions)

    def _lost(self, cloud: Cloud, call: Call, fault: Fault | None, changes: list[Change]) -> None:
        """The caller cannot know whether its change took place."""
        certain = getattr(fault, "status", 500) < 500
        if certain or call.operation not in VERBS:
            return
        stream = call.parameters.get("logStreamName")
        verb, name = VERBS[call.operation], str(call.group)
        created = {change.created for change in changes}
        shown = self.life.shown.get((call.account, call.region, name))
        if shown is not None:
            created.add(shown.group.created)
        if (group := cloud.store.group(call.account, call.region, name)) is not None:
            created.add(group.created)
        for at in created:
            self.life.lost.add((call.account, call.region, name, at, verb, stream))

    def _shown(self, cloud: Cloud, call: Call, body: dict[str, Any]) -> None:
        match call.operation:
            case "DescribeLogGroups":
                for entry in body["logGroups"]:
                    self._look(cloud, call, entry["logGroupName"], whole=True)
            case "DescribeSubscriptionFilters" | "DescribeLogStreams":
                self._paged(cloud, call, body)
            case "FilterLogEvents" if not body.get("nextToken"):
                key = (call.account, call.region, str(call.group))
                streams = call.parameters.get("logStreamNames")
                group = cloud.store.group(*key)
                assert group is not None, "it answered"
                seen = (group.copy(), None if streams is None else tuple(streams))
                self.read.setdefault(key, []).append(seen)
            case "GetMetricData":
                self._asked(cloud, call, body)
            case "GetResources":
                clock = cloud.clock
                assert isinstance(clock, VirtualClock)
                for arn in call.parameters["ResourceARNList"]:
                    key = (call.account, call.region, name_of(arn))
                    tagged = cloud.store.group(*key)
                    tags = {} if tagged is None else dict(tagged.tags)
                    seen = Tags(self._number, threading.get_ident(), clock.own, tags)
                    self.life.tags[key] = seen

    def _look(self, cloud: Cloud, call: Call, name: str, *, whole: bool) -> None:
        key = (call.account, call.region, name)
        group = cloud.store.group(*key)
        assert group is not None, "it answered"
        clock = cloud.clock
        assert isinstance(clock, VirtualClock)
        look = Look(call.operation, key, self._number, clock.own, clock.now(), group.copy(), whole)
        if call.operation == "DescribeLogGroups":
            self.life.shown[key] = look
            self.life.scanned.add((key, group.created))
            if not any(p in call.parameters for p in ("logGroupNamePrefix", "logGroupIdentifiers")):
                return
        self.life.threads.setdefault(threading.get_ident(), []).append(look)

    def _paged(self, cloud: Cloud, call: Call, body: dict[str, Any]) -> None:
        """A listing shows what there was when it began, once its last page is read."""
        last = not body.get("nextToken")
        if not call.parameters.get("nextToken"):
            self._look(cloud, call, str(call.group), whole=last)
            return
        looks = self.life.threads.get(threading.get_ident(), [])
        key = (call.account, call.region, str(call.group))
        for look in reversed(looks):
            if (look.operation, look.key) == (call.operation, key):
                look.whole = last
                return

    def _asked(self, cloud: Cloud, call: Call, body: dict[str, Any]) -> None:
        names = {
            query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            for query in call.parameters["MetricDataQueries"]
        }
        home = cloud.store.region(call.account, call.region)
        until = cloud.clock.now() - int(cloud.store.lags.metric * 1000)
        for result in body["MetricDataResults"]:
            name = names[result["Id"]]
            if (group := home.get(name)) is not None:
                events = list(home.arrivals.get(name, ()))
                seen = Arrivals(self._number, until, events, group.copy())
                self.life.arrivals[call.account, call.region, name] = seen

    # ---- what is changed ---------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        key = (change.account, change.region, change.group)
        if not change.effect:
            return
        verb = VERBS.get(change.operation)
        if verb is None:
            self.wrong(f"{change.operation} of {key}: never asked for")
            return
        # Calls go by name: what was made anew after the look is taken for what was looked at.
        shown = self.life.shown.get(key)
        created = change.created if shown is None else shown.group.created
        self.life.effects[*key, created, verb, change.stream] += 1
        if verb == "set_retention":
            for reason in self._put(change, key):
                self.wrong(f"{verb} {key}: {reason}")

    def _tried(self, cloud: Cloud, call: Call, effect: Change | None) -> None:
        """A deletion was asked for. Each takes a look of its own: a second one needs another."""
        key = (call.account, call.region, str(call.group))
        looks = self.life.threads.setdefault(threading.get_ident(), [])
        reasons: Iterable[str]
        if call.operation == "DeleteLogGroup":
            reasons = list(self._deletion(cloud, effect, key, looks))
            looks.clear()
        else:
            stream = str(call.parameters.get("logStreamName"))
            reasons = self._sweep(cloud, effect, key, stream, looks)
        for reason in reasons:
            self.wrong(f"{call.operation} {key}: {reason}")

    def _deletion(
        self, cloud: Cloud, effect: Change | None, key: Key, looks: list[Look]
    ) -> Iterable[str]:
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
        clock = cloud.clock
        assert isinstance(clock, VirtualClock)
        if looks[-1] is not group or clock.own - group.own > LOOK_LASTS:
            yield "the last look was not right before it"
        if tags.thread == threading.get_ident() and clock.own - tags.own > LOOK_LASTS:
            yield "its tags were read too long before it"
        if effect is not None and group.group.created != effect.created < group.now:
            yield "another group of that name was looked at"
        if min(group.number, subscribed.number, streams.number, tags.number) < arrivals.number:
            yield "the last look came before the proof"
        if not (subscribed.whole and streams.whole):
            yield "the listing was not read to its end"
        seen = group.group.copy()
        seen.tags, seen.subscriptions = tags.tags, subscribed.group.subscriptions
        lags = cloud.store.lags
        stored = group.group.stored_shown(group.now, lags.stored)
        now = streams.now
        if why := lawful(seen, [], self.rules, lags.stream, stored, NOW):
            yield why
            return
        before = self.rules.cutoff(seen, NOW)
        assert before is not None, "lawful"
        if any(newest(s, now, lags.stream) >= before for s in streams.group.streams.values()):
            yield "a stream showed life"
        home = cloud.store.region(*key[:2]).copy()
        home.arrivals = {key[2]: arrivals.events}
        lag = (NOW - arrivals.until) / 1000
        if arrived(arrivals.group, home, before, NOW, lag):
            yield "the metric knew of arrivals"
        yield from self._owner(key, seen, home, arrivals.number)
        if self.rules.scope(seen)["proof"] == "events":
            found = [group for group, streams in self.read.get(key, []) if streams is None]
            if not found or holds(found[-1], before, NOW):
                yield "its events were not read, or it had some"
        # What came within the very millisecond of a look came after it.
        for events in () if effect is None else effect.alive:
            shown = (
                arrivals.until > events.ingested >= NOW - METRIC_KEPT,
                group.now - lags.stored * 1000 > events.ingested,
                any(
                    events in stream.events
                    and now - 1000 * (lags.stream if stream.lag is None else stream.lag)
                    > events.ingested
                    for stream in streams.group.streams.values()
                ),
            )
            if any(shown):
                yield f"lost {events}, which could be seen"

    def _owner(self, key: Key, seen: Group, home: Any, proved: int) -> Iterable[str]:
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
        if known.functions is None:
            return
        home.functions = known.functions
        if owned(seen, home):
            yield "a function logged to it"

    def _sweep(
        self, cloud: Cloud, effect: Change | None, key: Key, name: str, looks: list[Look]
    ) -> Iterable[str]:
        group = _last(looks, "DescribeLogGroups", key)
        listed = _last(looks, "DescribeLogStreams", key)
        if not (group and listed):
            yield "not everything was looked at"
            return
        if effect is not None and group.group.created != effect.created < group.now:
            yield "another group of that name was looked at"
        seen = group.group.copy()
        tags = self.life.tags.get(key)
        if tags is None and self.rules.said["protect"]["tags"]:
            yield "its tags were not read"
        seen.tags = {} if tags is None else tags.tags
        scope, before = self.rules.scope(seen), self.rules.cutoff(seen, NOW)
        stream = listed.group.streams.get(name)
        if self.rules.exempt(seen) or seen.protected or not scope["sweep_streams"]:
            yield "exempt, protected, or the policy does not sweep"
        if before is None or seen.created >= before:
            yield "retention unknown, or a young group"
            return
        lag = cloud.store.lags.stream
        if stream is None or newest(stream, listed.now, lag) >= before:
            yield "the stream showed life, or was not looked at"
            return
        if scope["proof"] == "events":
            found = [g for g, names in self.read.get(key, []) if names and stream.name in names]
            if not found or holds(found[-1], before, NOW, [stream.name]):
                yield "its events were not read, or it had some"
        own = lag if stream.lag is None else stream.lag
        for events in () if effect is None else effect.alive:
            if events.ingested <= listed.now - own * 1000:
                yield f"lost {events}, which could be seen"

    def _put(self, change: Change, key: Key) -> Iterable[str]:
        shown, tags = self.life.shown.get(key), self.life.tags.get(key)
        if shown is None:
            yield "it was never looked at"
            return
        if tags is None and self.rules.said["protect"]["tags"]:
            yield "its tags were not read"
        seen = shown.group.copy()
        seen.tags = {} if tags is None else tags.tags
        if self.rules.exempt(seen) or change.policy is not None:
            yield "exempt, or under an account-level policy"
        if self.rules.days(seen) != change.after:
            yield f"{change.after} days is not what the policy says of {seen.retention}"

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


class WatchedCloud(Cloud):
    """A simulator whose every reply a witness sees."""

    def __init__(self, witness: Witness, *args: Any, faults: Any = None, **options: Any) -> None:
        self._witness = witness
        self._asked = faults
        self._fault: Fault | None = None
        self.faults = 0
        super().__init__(*args, faults=self._ask, **options)

    def _ask(self, call: Call) -> Fault | None:
        self._fault = None if self._asked is None else self._asked(call)
        self.faults += self._fault is not None
        return self._fault

    def _reply(self, call: Call, delay: float) -> Reply:
        before = len(self.record.changes)
        try:
            reply = super()._reply(call, delay)
        except RefusedError as error:
            fault = Refuse(error.code, error.status)
            self._witness.note(self, call, Reply(refused(call, error), delay), fault, [])
            raise
        changes = [c for c in self.record.changes[before:] if c.by == "caller"]
        self._witness.note(self, call, reply, self._fault, changes)
        return reply
