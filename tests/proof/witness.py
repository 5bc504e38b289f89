"""Watches each request and answer, and judges each change by what the janitor had been shown.

A deletion is judged when it is asked for, whether it takes place or not: that a protected group
refuses it, or that a lost answer hid it, is no merit of the janitor's.

What is nobody's fault: an event that arrived after the last look, or when nothing that was asked
could have shown it yet (metadata lags); a log group made again after the last look, be it in the
same millisecond (time is virtual). Of a stream that is swept: an event that the listing could not
show yet is a wrong all the same if the metric could (nothing may have arrived in the group for two
days, or else only streams go that are dated a month back by their names), and if FilterLogEvents
could, where the policy has that asked. Whatever else is lost is a wrong. What is found is added to
`wrongs`, because it is found in the middle of the janitor's work.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from janitor.sandbox.account import THROTTLING
from janitor.sandbox.wire import Call
from tests.fakes import Builder, Cloud
from tests.fakes.cloud import Seen
from tests.fakes.faults import CHANGING
from tests.fakes.judge import Change
from tests.fakes.truth import Event, Group, Key, Stream, Target, Truth
from tests.proof.oracle import (
    DATED,
    HOME,
    LAG_WINDOW,
    METRIC_KEPT,
    Rules,
    arrived,
    condition,
    dated_before,
    exceeding,
    held_open,
    holds,
    lawful,
    owned,
    speaks,
)
from tests.proof.process import READ_TIMEOUT, running
from tests.virtual import VirtualClock

LOOK_LASTS = 1.0
LONG_LOOK_LASTS = 60.0
"""Seconds: the group, its tags and its filters before a deletion; its streams and its owners."""

VERBS = {
    "PutRetentionPolicy": "set_retention",
    "DeleteLogGroup": "delete_group",
    "DeleteLogStream": "sweep_streams",
}
Item = tuple[str, str, str, int, str, str | None]
"""Account, Region, log group, its creation time, verb, log stream."""


@dataclass
class Look:
    """What was true when one answer was made that showed it. `whole`: read to the last page;
    `names` are those of the streams that were listed.
    """

    number: int
    at: float
    now: int
    group: Group
    whole: bool = True
    names: set[str] = field(default_factory=set)


@dataclass
class Asked:
    """When the metric was asked about a group, from when on, and what it knew then."""

    number: int
    now: int
    since: int
    events: tuple[Event, ...]


@dataclass
class Functions:
    """The functions of a Region as a listing showed them that is at its end, and when it began; and
    when they were last asked for.
    """

    asked: float = 0.0
    began: float = 0.0
    functions: Mapping[str, str | None] | None = None


@dataclass
class Life:
    """What is known of one process. `now` (ms) is the moment by which it judges ages, if that is
    known; `planned` says what it may do, by item, without streams, which its lines name.
    """

    now: int | None = None
    planned: dict[Item, Mapping[str, Any]] = field(default_factory=dict)
    looks: defaultdict[str, dict[Key, Look]] = field(default_factory=lambda: defaultdict(dict))
    earlier: defaultdict[Key, list[Look]] = field(default_factory=lambda: defaultdict(list))
    """What `looks` showed of the groups themselves before."""
    asked: defaultdict[Key, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    functions: defaultdict[Target, Functions] = field(
        default_factory=lambda: defaultdict(Functions)
    )
    events: dict[tuple[Key, tuple[str, ...] | None], Look] = field(default_factory=dict)
    """Of groups whose events were read to the last page, of all streams or of some."""
    unfinished: set[Target] = field(default_factory=set)
    """Where the survey did not finish."""
    effects: Counter[Item] = field(default_factory=Counter)
    lost: set[Item] = field(default_factory=set)
    scanned: set[tuple[Key, int]] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    journal: list[Mapping[str, Any]] = field(default_factory=list)


class Witness:
    """Of one account, over all processes."""

    def __init__(self, said: dict[str, Any], truth: Truth, clock: VirtualClock) -> None:
        self.rules = Rules(said)
        self.wrongs: list[str] = []
        self._truth = truth
        self._clock = clock
        self._number = 0
        self._listing: dict[str, float] = {}
        """When the listing began that a marker goes on with."""

    def wrong(self, text: str) -> None:
        self.wrongs.append(text)

    def note(self, seen: Seen, life: Life) -> None:
        """A call is over."""
        call, change = seen.call, seen.change
        self._number += 1
        self.rules = replace(self.rules, answers=partial(self._answer, life))
        told = seen.heard and seen.delay <= READ_TIMEOUT
        effect = change if change is not None and change.effect else None
        if effect is not None:
            self._changed(effect, life)
        if call.operation in ("DeleteLogGroup", "DeleteLogStream"):
            if (call.account, call.region) in life.unfinished:
                self.wrong(f"{call.operation} {_key(call)}: not all was read")
            tried = self._deletion if call.operation == "DeleteLogGroup" else self._sweep
            for reason in tried(effect, call, life):
                self.wrong(f"{call.operation} {_key(call)}: {reason}")
        if call.operation.startswith(CHANGING) and not told:
            self._lost(seen, effect, life)
        if told and call.result is not None:
            self._shown(call, call.result, life)
        elif call.operation == "DescribeSubscriptionFilters" and _told_so(seen):
            group = self._truth.get(_key(call))
            if group is not None and group.log_class != "STANDARD":  # it has none, and says so
                life.looks[call.operation][group.key] = self._look(group.key)
        if call.operation == "ListFunctions":
            life.functions[call.account, call.region].asked = self._clock.monotonic()

    def _lost(self, seen: Seen, effect: Change | None, life: Life) -> None:
        """The caller cannot know whether its change took place."""
        call, key = seen.call, _key(seen.call)
        certain = seen.refused is not None and seen.refused.status < 500
        if certain or call.operation not in VERBS:
            return
        stream = call.parameters.get("logStreamName")
        looks = [life.looks[kind].get(key) for kind in ("group", "named")]
        known = [None if look is None else look.group for look in (effect, *looks)]
        known.append(self._truth.get(key))
        for created in {group.created for group in known if group is not None}:
            life.lost.add((*key, created, VERBS[call.operation], stream))

    def _answer(self, life: Life, rule: Mapping[str, Any], group: Group) -> bool | None:
        """Whether a rule's condition holds by what the process was shown; None: it cannot know."""
        account, region, name = group.key
        now = self._now(life)

        def quiet(since: int) -> bool | None:
            for one in reversed(life.asked[group.key]):
                if one.since <= max(since, one.now - METRIC_KEPT):
                    return not arrived(one.events, since, one.now, self._truth.lags.metric)
            return None

        if "orphan_days" in rule:
            if not speaks(name):
                return False
            edge = name.startswith(f"/aws/lambda/{HOME}.")
            known = {at: life.functions[account, at].functions for at in {region, HOME}}
            if owned(group.key, {(account, at): said or {} for at, said in known.items()}):
                return False
            if known[HOME if edge else region] is None:
                return False if condition(dict(rule), group, quiet, now) is False else None
        return condition(dict(rule), group, quiet, now)

    # ---- what is shown -----------------------------------------------------------------------

    def _shown(self, call: Call, body: dict[str, Any], life: Life) -> None:
        p, key = call.parameters, _key(call)
        match call.operation:
            case "DescribeLogGroups":
                kind = "group" if p.get("logGroupNamePrefix") else "named"
                for entry in body["logGroups"]:
                    listed = (call.account, call.region, entry["logGroupName"])
                    if (look := life.looks["named"].get(listed)) is not None:
                        life.earlier[listed].append(look)
                    life.looks["named"][listed] = life.looks[kind][listed] = self._look(listed)
                    life.scanned.add((listed, self._truth.there(listed).created))
            case "DescribeSubscriptionFilters" | "DescribeLogStreams":
                # A listing shows what there was when it began, once its last page is read.
                if not p.get("nextToken"):
                    life.looks[call.operation][key] = self._look(key)
                    if (named := life.looks["named"].get(key)) is not None:
                        life.looks[f"before {call.operation}"][key] = named
                if (look := life.looks[call.operation].get(key)) is not None:
                    look.whole = not body.get("nextToken")
                    look.names |= {one["logStreamName"] for one in body.get("logStreams", ())}
            case "FilterLogEvents":
                names = p.get("logStreamNames")
                what = (key, None if names is None else tuple(names))
                if not p.get("nextToken"):
                    life.events[what] = self._look(key)
                life.events[what].whole = not body.get("nextToken")
            case "GetMetricData":
                self._metric(call, body, life)
            case "ListTagsForResource":
                life.looks["tags"][key] = self._look(key)
            case "ListFunctions":
                began = self._listing.get(p.get("Marker") or "", self._clock.monotonic())
                target = (call.account, call.region)
                if marker := body.get("NextMarker"):
                    self._listing[marker] = began
                else:
                    life.functions[target].began = began
                    life.functions[target].functions = self._truth.functions.get(target, {})

    def _look(self, key: Key) -> Look:
        clock = self._clock
        return Look(self._number, clock.monotonic(), clock.now(), self._truth.there(key))

    def _metric(self, call: Call, body: dict[str, Any], life: Life) -> None:
        names = {
            query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            for query in call.parameters["MetricDataQueries"]
        }
        now, since = self._clock.now(), round(1000 * call.parameters["StartTime"])
        if 1000 * call.parameters["EndTime"] < now:
            return  # one bucket, looked into more closely
        for result in body["MetricDataResults"]:
            key = (call.account, call.region, names[result["Id"]])
            if result["StatusCode"] == "Complete":
                events = self._truth.arrivals.get(key, ())
                life.asked[key].append(Asked(self._number, now, since, events))

    # ---- what is changed ---------------------------------------------------------------------

    def _changed(self, change: Change, life: Life) -> None:
        verb = VERBS.get(change.operation)
        if verb is None:
            self.wrong(f"{change.operation} of {change.key}: never asked for")
            return
        # While one group waits for its turn, all may be read again for another.
        shown = life.looks["named"].get(change.key)
        looks = [*life.earlier[change.key][-2:], *([] if shown is None else [shown])]
        # Calls go by name: what was made anew after the look is taken for what was looked at.
        named = [look.group.created for look in looks] or [change.group.created]
        verbs = (verb, "delete_group")
        planned = [c for c in named for v in verbs if (*change.key, c, v, None) in life.planned]
        life.effects[*change.key, (planned or named)[-1], verb, change.stream] += 1
        if verb == "set_retention":
            reasons = [list(self._put(change, look.group, life)) for look in looks]
            for reason in min(reasons, key=len, default=["it was never looked at"]):
                self.wrong(f"{verb} {change.key}: {reason}")

    def _now(self, life: Life) -> int:
        return self._clock.now() if life.now is None else life.now

    def _line(self, life: Life, group: Group, verb: str) -> Generator[str, None, Mapping[str, Any]]:
        """What the plan says of it."""
        line = life.planned.get((*group.key, group.created, verb, None))
        if line is None:
            yield "it was not planned"
            return {}
        return line

    def _deletion(self, effect: Change | None, call: Call, life: Life) -> Iterable[str]:
        """Each attempt takes a look of its own: a second one needs another."""
        key, clock = _key(call), self._clock
        kinds = ("group", "DescribeSubscriptionFilters", "DescribeLogStreams", "tags")
        found = [life.looks[kind].pop(key, None) for kind in kinds]
        looks = [look for look in found if look is not None]
        if len(looks) < len(kinds):
            missing = [kind for kind, look in zip(kinds, found, strict=True) if look is None]
            yield f"not looked at: {', '.join(missing)}"
            return
        group, subscribed, streams, tags = looks
        if max(look.number for look in looks) != group.number:
            yield "the group itself was not looked at last"
        if min(look.at for look in (group, subscribed, tags)) < clock.monotonic() - LOOK_LASTS:
            yield "the last look was more than a second old"
        if streams.at < clock.monotonic() - LONG_LOOK_LASTS:
            yield "its streams were read more than a minute ago"
        if not (subscribed.whole and streams.whole):
            yield "a listing was not read to its end"
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        seen, now, lags = (
            replace(group.group, tags=tags.group.tags),
            self._now(life),
            self._truth.lags,
        )
        line = yield from self._line(life, seen, "delete_group")
        stored = seen.bytes_seen(group.now, lags.stored)
        if why := lawful(seen, [], self.rules, lags.stream, stored, now):
            yield why
            return
        before = line.get("cutoff", self.rules.cutoff(seen, now))
        if before > (self.rules.cutoff(seen, now) or 0):
            yield "it was planned by a later cutoff than is right"
        if subscribed.group.subscriptions:
            yield "a subscription"
        listed = streams.group.streams.values()
        if any(stream.newest(streams.now, lags.stream) >= before for stream in listed):
            yield "a stream showed life"
        first = min(look.number for look in looks)
        yield from self._owner(key, life)
        if self.rules.scope(seen)["proof"] == "events":
            read = life.events.get((key, None))
            if read is None or not read.whole or holds(read.group, before, read.now):
                yield "its events were not read, or it had some"
        metric = yield from self._silent(life.asked[key], lambda _now: before)
        if metric is None:
            return
        if first < metric.number:
            yield "the last look came before the proof"
        # What came within the very millisecond of a look came after it.
        for event in () if effect is None else effect.alive:
            shown = (
                metric.now - lags.metric * 1000 > event.ingested >= clock.now() - METRIC_KEPT,
                group.now - lags.stored * 1000 > event.ingested,
                any(_shows(stream, event, streams.now, lags.stream) for stream in listed),
            )
            if any(shown):
                yield f"lost {event}, which could be seen"

    def _silent(
        self, asked: list[Asked], since: Callable[[int], int]
    ) -> Generator[str, None, Asked | None]:
        """The metric has no arrivals since; when it was last asked for that. `since` is told when
        that was.
        """
        for one in reversed(asked):
            if one.since <= max(since(one.now), one.now - METRIC_KEPT):
                if arrived(one.events, since(one.now), one.now, self._truth.lags.metric):
                    yield "the metric knew of arrivals"
                return one
        yield "whether anything arrived was not asked, or there was no clear answer"
        return None

    def _owner(self, key: Key, life: Life) -> Iterable[str]:
        """Functions were listed within a minute, here and where Lambda@Edge functions are. What is
        named for the ones may be deleted though the others could not be.
        """
        if not self.rules.said["protect"]["deletion"]["owners"]:
            return
        late = self._clock.monotonic() - LONG_LOOK_LASTS
        edges = key[2].startswith(f"/aws/lambda/{HOME}.")
        usual = key[2].startswith("/aws/lambda/") and not edges
        for region, others in ((key[1], edges), (HOME, usual)):
            known = life.functions[key[0], region]
            if known.asked < late:
                yield f"whether a function of {region} logs to it was not asked again"
            if not others and (known.functions is None or known.began < late):
                yield f"whether a function of {region} logs to it was unknown"
            if owned(key, {(key[0], region): known.functions or {}}):
                yield "a function logged to it"

    def _sweep(self, effect: Change | None, call: Call, life: Life) -> Iterable[str]:
        key, name = _key(call), str(call.parameters.get("logStreamName"))
        kinds = ("before DescribeLogStreams", "DescribeLogStreams")
        group, listed = (life.looks[kind].get(key) for kind in kinds)
        if not (group and listed and name in listed.names):
            yield "not everything was looked at"
            return
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        seen, now = (yield from self._tagged(group.group, life)), self._now(life)
        line = yield from self._line(life, seen, "sweep_streams")
        if name not in line.get("stream_names", ()):
            yield f"{name} was not planned"
        scope, latest = self.rules.scope(seen), self.rules.cutoff(seen, now)
        stream, lag = listed.group.streams.get(name), self._truth.lags.stream
        if self.rules.exempt(seen) or seen.protected or not scope["sweep_streams"]:
            yield "exempt, protected, or the policy does not sweep"
        if latest is None or seen.created >= latest or seen.days is None:
            yield "retention unknown, or a young group"
            return
        before = line.get("cutoff", latest)
        if before > latest:
            yield "it was planned by a later cutoff than is right"
        if stream is None or stream.newest(listed.now, lag) >= before:
            yield "the stream showed life, or was not looked at"
            return
        if held_open(name):
            yield "a container may hold it open"
        lost = [] if effect is None else effect.alive
        if scope["proof"] == "events":
            read = [
                look
                for (k, names), look in life.events.items()
                if k == key and name in (names or ())
            ]
            if (
                not read
                or not read[-1].whole
                or holds(read[-1].group, before, read[-1].now, [name])
            ):
                yield "its events were not read, or it had some"
                return
            lost = [event for event in lost if event.ingested < read[-1].now]
        elif not dated_before(name, now - DATED):
            metric = yield from self._silent(life.asked[key], lambda now: now - LAG_WINDOW)
            if metric is None:
                return
            shown = metric.now - self._truth.lags.metric * 1000
            lost = [
                event
                for event in lost
                if event.ingested < shown or _shows(stream, event, listed.now, lag)
            ]
        for event in lost:
            yield f"lost {event}, which could be known of"

    def _put(self, change: Change, shown: Group, life: Life) -> Iterable[str]:
        seen = yield from self._tagged(shown, life)
        line = life.planned.get((*seen.key, seen.created, "set_retention", None))
        line = line or (yield from self._line(life, seen, "delete_group"))
        if self.rules.exempt(seen):
            yield "exempt"
        if seen.days == change.after == line.get("retention_after"):
            return  # once more, after a lost answer: the process that works beside it was first
        if (line.get("retention_before"), line.get("retention_after")) != (seen.days, change.after):
            yield f"planned were {line.get('retention_before')}, {line.get('retention_after')} days"
        if self.rules.days(seen) != change.after:
            yield f"{change.after} days is not what the policy says of {seen.days}"

    def _tagged(self, group: Group, life: Life) -> Generator[str, None, Group]:
        """The group with the tags that were read of itself."""
        look = life.looks["tags"].get(group.key)
        if look is not None:
            return replace(group, tags=look.group.tags)
        if self.rules.by_tag:
            yield "its own tags were not read"
        return replace(group, tags={})

    # ---- what is told ------------------------------------------------------------------------

    def check_journal(self, life: Life, *, killed: bool) -> None:
        """Each change has one line before it and, in a process that lives, one line after it.

        A deletion that is tried again is announced once more where what it takes to undo it has
        changed meanwhile: whoever reads the journal goes by the last of them
        (`janitor.journal.history`).
        """
        begun, ended = Counter[Item](), Counter[Item]()
        done = Counter[Item]()
        announced: dict[Item, Any] = {}
        for line in life.journal:
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
        effects, lost = life.effects, life.lost
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

    def check_limits(self, scanned: Iterable[tuple[Key, int]], effects: Iterable[Item]) -> None:
        """No more than the policy allows, in each account and in all together."""
        groups = [item[:3] for item in effects if item[4] == "delete_group"]
        streams = [item[:3] for item in effects if item[4] == "sweep_streams"]
        read = [key for key, _ in scanned]
        if over := exceeding(self.rules.said["limits"], read, groups, streams):
            said = f"{len(groups)} of {len(read)} groups, {len(streams)} streams"
            self.wrong(f"limits: {said}: more than allowed in {over}")


def _shows(stream: Stream, event: Event, now: int, lag: float) -> bool:
    """Whether the stream's times tell of the event by now."""
    own = lag if stream.lag is None else stream.lag
    return event in stream.events and now - 1000 * own > event.ingested


def _told_so(seen: Seen) -> bool:
    """Whether it was refused by the account itself, and in time."""
    slow = seen.fault is None or seen.fault.slow
    return slow and seen.refused is not None and seen.delay <= READ_TIMEOUT


def _key(call: Call) -> Key:
    return (call.account, call.region, str(call.group))


class WatchedCloud(Cloud):
    """An account whose every call a witness sees."""

    def __init__(
        self, witness: Witness, account: Builder, clock: VirtualClock, **options: Any
    ) -> None:
        super().__init__(account, clock=clock, **options)
        self._witness = witness

    def seen(self, seen: Seen) -> None:
        life: Life = running().life
        life.calls[seen.call.operation] += 1
        if (error := seen.refused) and (error.code, error.status) in THROTTLING.values():
            life.throttled[seen.call.operation] += 1
        life.faults += seen.fault is not None
        self._witness.note(seen, life)
