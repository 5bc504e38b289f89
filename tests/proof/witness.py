"""Watches each request and answer, and judges each change by what the janitor had been shown.

A deletion is judged when it is requested, whether or not it takes effect: the janitor deserves no
credit for a protected group that refuses it, or for a lost answer.

Not a violation: to lose an event that arrived after the last look, or that nothing the janitor read
could show yet (metadata lags); to delete a log group that was recreated after the last look, even
in the same millisecond (time is virtual). Sweeping a stream is stricter. Losing an event that the
listing could not show yet is a violation if the metric could show it (nothing may have arrived in
the group for two days, unless the stream's name dates it a month back), and, where the policy asks
FilterLogEvents, if that could. Every other loss is a violation. Violations are collected in
`violations`, because they are found in the middle of the janitor's work.
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
    holds,
    may_be_open,
    names_function,
    objections,
    owned,
)
from tests.proof.process import READ_TIMEOUT, running
from tests.virtual import VirtualClock

LOOK_LASTS = 1.0
LONG_LOOK_LASTS = 60.0
"""How old (s) an answer may be at a deletion: about the group, its tags and its filters, or about
its streams and its owners.
"""

VERBS = {
    "PutRetentionPolicy": "set_retention",
    "DeleteLogGroup": "delete_group",
    "DeleteLogStream": "sweep_streams",
}
Item = tuple[str, str, str, int, str, str | None]
"""Account, Region, log group, its creation time, verb, log stream."""


@dataclass
class Look:
    """A log group as it was when an answer showed it. `complete`: the listing was read to its last
    page; `names` are the streams that it listed.
    """

    number: int
    at: float
    now: int
    group: Group
    complete: bool = True
    names: set[str] = field(default_factory=set)


@dataclass
class MetricAnswer:
    """The events that the metric knew `now`, when it was asked for those `since` a time."""

    number: int
    now: int
    since: int
    events: tuple[Event, ...]


@dataclass
class Functions:
    """The functions of a Region by the last complete listing, which `began` then; `asked` is when
    any page was last requested.
    """

    asked: float = 0.0
    began: float = 0.0
    functions: Mapping[str, str | None] | None = None


@dataclass
class Record:
    """What is known of one process. It measures ages from `now` (ms), if known; `planned` are the
    lines of its plan, by item, whose last part is None because each line names its streams.
    """

    now: int | None = None
    planned: dict[Item, Mapping[str, Any]] = field(default_factory=dict)
    looks: defaultdict[str, dict[Key, Look]] = field(default_factory=lambda: defaultdict(dict))
    earlier: defaultdict[Key, list[Look]] = field(default_factory=lambda: defaultdict(list))
    """The previous entries of `looks["named"]`."""
    metrics: defaultdict[Key, list[MetricAnswer]] = field(default_factory=lambda: defaultdict(list))
    functions: defaultdict[Target, Functions] = field(
        default_factory=lambda: defaultdict(Functions)
    )
    events: dict[tuple[Key, tuple[str, ...] | None], Look] = field(default_factory=dict)
    """FilterLogEvents, by group and by the streams that were asked for (None: all)."""
    unfinished: set[Target] = field(default_factory=set)
    """The targets whose survey is not complete."""
    effects: Counter[Item] = field(default_factory=Counter)
    lost: set[Item] = field(default_factory=set)
    scanned: set[tuple[Key, int]] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    journal: list[Mapping[str, Any]] = field(default_factory=list)

    def metric(self, key: Key, since: Callable[[int], int]) -> MetricAnswer | None:
        """Return the last answer about the time since `since(now)`, `now` being its own time."""
        for one in reversed(self.metrics[key]):
            if one.since <= max(since(one.now), one.now - METRIC_KEPT):
                return one
        return None


class Witness:
    """The witness of all processes that use the account."""

    def __init__(self, policy: dict[str, Any], truth: Truth, clock: VirtualClock) -> None:
        self.rules = Rules(policy)
        self.violations: list[str] = []
        self._truth = truth
        self._clock = clock
        self._number = 0
        self._listing: dict[str, float] = {}
        """When the listing began, by the marker of its next page."""

    def violation(self, text: str) -> None:
        self.violations.append(text)

    def note(self, seen: Seen, record: Record) -> None:
        """Take note of a call that is over, and judge it."""
        call, change = seen.call, seen.change
        self._number += 1
        self.rules = replace(self.rules, answers=partial(self._answer, record))
        answered = seen.heard and seen.delay <= READ_TIMEOUT
        effect = change if change is not None and change.effect else None
        if effect is not None:
            self._changed(effect, record)
        if call.operation in ("DeleteLogGroup", "DeleteLogStream"):
            if (call.account, call.region) in record.unfinished:
                self.violation(f"{call.operation} {_key(call)}: the survey is not complete")
            judge = self._deletion if call.operation == "DeleteLogGroup" else self._sweep
            for reason in judge(effect, call, record):
                self.violation(f"{call.operation} {_key(call)}: {reason}")
        if call.operation.startswith(CHANGING) and not answered:
            self._lost(seen, effect, record)
        if answered and call.result is not None:
            self._shown(call, call.result, record)
        elif call.operation == "DescribeSubscriptionFilters" and _refused(seen):
            group = self._truth.get(_key(call))
            if group is not None and group.log_class != "STANDARD":  # its class has no filters
                record.looks[call.operation][group.key] = self._look(group.key)
        if call.operation == "ListFunctions":
            record.functions[call.account, call.region].asked = self._clock.monotonic()

    def _lost(self, seen: Seen, effect: Change | None, record: Record) -> None:
        """Note a change of which the caller cannot know whether it took effect."""
        call, key = seen.call, _key(seen.call)
        certain = seen.refused is not None and seen.refused.status < 500
        if certain or call.operation not in VERBS:
            return
        stream = call.parameters.get("logStreamName")
        looks = [record.looks[kind].get(key) for kind in ("group", "named")]
        known = [None if look is None else look.group for look in (effect, *looks)]
        known.append(self._truth.get(key))
        for created in {group.created for group in known if group is not None}:
            record.lost.add((*key, created, VERBS[call.operation], stream))

    def _answer(self, record: Record, rule: Mapping[str, Any], group: Group) -> bool | None:
        """Return whether a rule's condition holds by what the process was shown, None if that does
        not tell.
        """
        account, region, name = group.key
        now = self._now(record)

        def quiet(since: int) -> bool | None:
            one = record.metric(group.key, lambda _now: since)
            if one is None:
                return None
            return not arrived(one.events, since, one.now, self._truth.lags.metric)

        if "orphan_days" in rule:
            if not names_function(name):
                return False
            edge = name.startswith(f"/aws/lambda/{HOME}.")
            known = {at: record.functions[account, at].functions for at in {region, HOME}}
            if owned(group.key, {(account, at): names or {} for at, names in known.items()}):
                return False
            if known[HOME if edge else region] is None:
                return False if condition(dict(rule), group, quiet, now) is False else None
        return condition(dict(rule), group, quiet, now)

    # ---- what the janitor is shown -----------------------------------------------------------

    def _shown(self, call: Call, body: dict[str, Any], record: Record) -> None:
        p, key = call.parameters, _key(call)
        match call.operation:
            case "DescribeLogGroups":
                kind = "group" if p.get("logGroupNamePrefix") else "named"
                for entry in body["logGroups"]:
                    listed = (call.account, call.region, entry["logGroupName"])
                    if (look := record.looks["named"].get(listed)) is not None:
                        record.earlier[listed].append(look)
                    record.looks["named"][listed] = record.looks[kind][listed] = self._look(listed)
                    record.scanned.add((listed, self._truth.there(listed).created))
            case "DescribeSubscriptionFilters" | "DescribeLogStreams":
                # A complete listing shows what was there when it began.
                if not p.get("nextToken"):
                    record.looks[call.operation][key] = self._look(key)
                    if (named := record.looks["named"].get(key)) is not None:
                        record.looks[f"before {call.operation}"][key] = named
                if (look := record.looks[call.operation].get(key)) is not None:
                    look.complete = not body.get("nextToken")
                    look.names |= {one["logStreamName"] for one in body.get("logStreams", ())}
            case "FilterLogEvents":
                names = p.get("logStreamNames")
                scope = (key, None if names is None else tuple(names))
                if not p.get("nextToken"):
                    record.events[scope] = self._look(key)
                record.events[scope].complete = not body.get("nextToken")
            case "GetMetricData":
                self._metric(call, body, record)
            case "ListTagsForResource":
                record.looks["tags"][key] = self._look(key)
            case "ListFunctions":
                began = self._listing.get(p.get("Marker") or "", self._clock.monotonic())
                target = (call.account, call.region)
                if marker := body.get("NextMarker"):
                    self._listing[marker] = began
                else:
                    record.functions[target].began = began
                    record.functions[target].functions = self._truth.functions.get(target, {})

    def _look(self, key: Key) -> Look:
        clock = self._clock
        return Look(self._number, clock.monotonic(), clock.now(), self._truth.there(key))

    def _metric(self, call: Call, body: dict[str, Any], record: Record) -> None:
        names = {
            query["Id"]: query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            for query in call.parameters["MetricDataQueries"]
        }
        now, since = self._clock.now(), round(1000 * call.parameters["StartTime"])
        if 1000 * call.parameters["EndTime"] < now:
            return  # a second request, for the detail of one period
        for result in body["MetricDataResults"]:
            key = (call.account, call.region, names[result["Id"]])
            if result["StatusCode"] == "Complete":
                events = self._truth.arrivals.get(key, ())
                record.metrics[key].append(MetricAnswer(self._number, now, since, events))

    # ---- what it changes ---------------------------------------------------------------------

    def _changed(self, change: Change, record: Record) -> None:
        verb = VERBS.get(change.operation)
        if verb is None:
            self.violation(f"{change.operation} of {change.key}: the janitor makes no such change")
            return
        # While one group waits for its turn, another's look may read them all again.
        shown = record.looks["named"].get(change.key)
        looks = [*record.earlier[change.key][-2:], *([] if shown is None else [shown])]
        # Calls go by name, so a group recreated since counts as the one that was looked at.
        created = [look.group.created for look in looks] or [change.group.created]
        verbs = (verb, "delete_group")
        planned = [c for c in created for v in verbs if (*change.key, c, v, None) in record.planned]
        record.effects[*change.key, (planned or created)[-1], verb, change.stream] += 1
        if verb == "set_retention":
            reasons = [list(self._put(change, look.group, record)) for look in looks]
            for reason in min(reasons, key=len, default=["it was never looked at"]):
                self.violation(f"{verb} {change.key}: {reason}")

    def _now(self, record: Record) -> int:
        return self._clock.now() if record.now is None else record.now

    def _line(
        self, record: Record, group: Group, verb: str
    ) -> Generator[str, None, Mapping[str, Any]]:
        """Return the group's line in the plan, empty if it was not planned."""
        line = record.planned.get((*group.key, group.created, verb, None))
        if line is None:
            yield "it was not planned"
            return {}
        return line

    def _deletion(self, effect: Change | None, call: Call, record: Record) -> Iterable[str]:
        """Yield what is wrong with an attempt to delete a group. Each attempt uses up its look: a
        retry needs another.
        """
        key, clock = _key(call), self._clock
        kinds = ("group", "DescribeSubscriptionFilters", "DescribeLogStreams", "tags")
        found = [record.looks[kind].pop(key, None) for kind in kinds]
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
        if not (subscribed.complete and streams.complete):
            yield "a listing was not read to its end"
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        seen = replace(group.group, tags=tags.group.tags)
        now, lags = self._now(record), self._truth.lags
        line = yield from self._line(record, seen, "delete_group")
        stored = seen.bytes_seen(group.now, lags.stored)
        if why := objections(seen, [], self.rules, lags.stream, stored, now):
            yield why
            return
        before = line.get("cutoff", self.rules.cutoff(seen, now))
        if before > (self.rules.cutoff(seen, now) or 0):
            yield "it was planned by a later cutoff than the policy's"
        if subscribed.group.subscriptions:
            yield "a subscription"
        listed = streams.group.streams.values()
        if any(stream.newest(streams.now, lags.stream) >= before for stream in listed):
            yield "a stream showed life"
        first = min(look.number for look in looks)
        yield from self._owner(key, record)
        if self.rules.scope(seen)["proof"] == "events":
            read = record.events.get((key, None))
            if read is None or not read.complete or holds(read.group, before, read.now):
                yield "its events were not read, or it had some"
        metric = yield from self._silent(key, record, lambda _now: before)
        if metric is None:
            return
        if first < metric.number:
            yield "the last look came before the proof"
        # An event that arrived in the very millisecond of a look arrived after it.
        for event in () if effect is None else effect.alive:
            shown = (
                metric.now - lags.metric * 1000 > event.ingested >= clock.now() - METRIC_KEPT,
                group.now - lags.stored * 1000 > event.ingested,
                any(_shows(stream, event, streams.now, lags.stream) for stream in listed),
            )
            if any(shown):
                yield f"lost {event}, which had been shown"

    def _silent(
        self, key: Key, record: Record, since: Callable[[int], int]
    ) -> Generator[str, None, MetricAnswer | None]:
        """Yield what is wrong unless the metric showed no arrivals, and return its answer."""
        answer = record.metric(key, since)
        if answer is None:
            yield "the metric was not asked for arrivals, or its answer was incomplete"
        elif arrived(answer.events, since(answer.now), answer.now, self._truth.lags.metric):
            yield "the metric knew of arrivals"
        return answer

    def _owner(self, key: Key, record: Record) -> Iterable[str]:
        """Yield what is wrong unless functions were listed within a minute, in the group's Region
        and in that of Lambda@Edge. A group with the name of one kind may be deleted though the
        other kind could not be read.
        """
        if not self.rules.policy["protect"]["deletion"]["owners"]:
            return
        late = self._clock.monotonic() - LONG_LOOK_LASTS
        edges = key[2].startswith(f"/aws/lambda/{HOME}.")
        usual = key[2].startswith("/aws/lambda/") and not edges
        for region, optional in ((key[1], edges), (HOME, usual)):
            known = record.functions[key[0], region]
            if known.asked < late:
                yield f"whether a function of {region} logs to it was not asked again"
            if not optional and (known.functions is None or known.began < late):
                yield f"whether a function of {region} logs to it was unknown"
            if owned(key, {(key[0], region): known.functions or {}}):
                yield "a function logged to it"

    def _sweep(self, effect: Change | None, call: Call, record: Record) -> Iterable[str]:
        key, name = _key(call), str(call.parameters.get("logStreamName"))
        kinds = ("before DescribeLogStreams", "DescribeLogStreams")
        group, listed = (record.looks[kind].get(key) for kind in kinds)
        if not (group and listed and name in listed.names):
            yield "the group or the stream was not looked at"
            return
        if effect is not None and group.group.created != effect.group.created < group.now:
            yield "another group of that name was looked at"
        seen, now = (yield from self._tagged(group.group, record)), self._now(record)
        line = yield from self._line(record, seen, "sweep_streams")
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
            yield "it was planned by a later cutoff than the policy's"
        if stream is None or stream.newest(listed.now, lag) >= before:
            yield "the stream showed life, or was not looked at"
            return
        if may_be_open(name):
            yield "a container may hold it open"
        lost = [] if effect is None else effect.alive
        if scope["proof"] == "events":
            read = [
                look
                for (k, names), look in record.events.items()
                if k == key and name in (names or ())
            ]
            if (
                not read
                or not read[-1].complete
                or holds(read[-1].group, before, read[-1].now, [name])
            ):
                yield "its events were not read, or it had some"
                return
            lost = [event for event in lost if event.ingested < read[-1].now]
        elif not dated_before(name, now - DATED):
            metric = yield from self._silent(key, record, lambda now: now - LAG_WINDOW)
            if metric is None:
                return
            shown = metric.now - self._truth.lags.metric * 1000
            lost = [
                event
                for event in lost
                if event.ingested < shown or _shows(stream, event, listed.now, lag)
            ]
        for event in lost:
            yield f"lost {event}, which an answer could have shown"

    def _put(self, change: Change, shown: Group, record: Record) -> Iterable[str]:
        seen = yield from self._tagged(shown, record)
        line = record.planned.get((*seen.key, seen.created, "set_retention", None))
        line = line or (yield from self._line(record, seen, "delete_group"))
        if self.rules.exempt(seen):
            yield "exempt"
        if seen.days == change.after == line.get("retention_after"):
            return  # a retry after a lost answer: a concurrent process was faster
        if (line.get("retention_before"), line.get("retention_after")) != (seen.days, change.after):
            yield f"planned were {line.get('retention_before')}, {line.get('retention_after')} days"
        if self.rules.days(seen) != change.after:
            yield f"{change.after} days is not what the policy says of {seen.days}"

    def _tagged(self, group: Group, record: Record) -> Generator[str, None, Group]:
        """Return the group with the tags of its own that were read."""
        look = record.looks["tags"].get(group.key)
        if look is not None:
            return replace(group, tags=look.group.tags)
        if self.rules.by_tag:
            yield "the group's own tags were not read"
        return replace(group, tags={})

    # ---- what it reports ---------------------------------------------------------------------

    def check_journal(self, record: Record, *, killed: bool) -> None:
        """Check that each change has one line before it and, unless the process was killed, one
        after it.

        A retried deletion is announced again if what its undo needs has changed, after a line that
        ends the first announcement: the last one counts (`janitor.journal.history`).
        """
        begun, ended = Counter[Item](), Counter[Item]()
        done = Counter[Item]()
        announced: dict[Item, Any] = {}
        for line in record.journal:
            item = (
                *(line["account"], line["region"], line["group"], line["creation_time"]),
                *(line["action"], line.get("stream")),
            )
            if line["status"] != "begun":
                ended[item] += 1
            elif item[4] != "delete_group" or announced.get(item) in (None, line["before"]):
                begun[item] += 1
            else:
                ended[item] -= 1
            announced[item] = line["before"]
            done[item] += line["status"] == "done"
        effects, lost = record.effects, record.lost
        for item, count in [*begun.items(), *ended.items()]:
            if count > 1:
                self.violation(f"journal: {item} appears {count} times")
        for item in ended - begun:
            self.violation(f"journal: {item} ended without having begun")
        for item in effects:
            if not begun[item]:
                self.violation(f"journal: {item} was changed without a line before it")
            if not (killed or done[item] or item in lost):
                self.violation(f"journal: {item} was changed, but no line says so")
        for item in begun - ended:
            if not killed:
                self.violation(f"journal: {item} began, but no line says how it ended")
        for item in +done:
            if not effects[item] and item not in lost:
                self.violation(f"journal: {item} is recorded as done, but was not changed")

    def check_limits(self, scanned: Iterable[tuple[Key, int]], effects: Iterable[Item]) -> None:
        """Check that no account, nor all together, exceeded the limits."""
        groups = [item[:3] for item in effects if item[4] == "delete_group"]
        streams = [item[:3] for item in effects if item[4] == "sweep_streams"]
        read = [key for key, _ in scanned]
        if over := exceeding(self.rules.policy["limits"], read, groups, streams):
            counts = f"{len(groups)} of {len(read)} groups, {len(streams)} streams"
            self.violation(f"limits: {counts}: more than allowed in {over}")


def _shows(stream: Stream, event: Event, now: int, lag: float) -> bool:
    """Return whether the stream's times show the event by now."""
    own = lag if stream.lag is None else stream.lag
    return event in stream.events and now - 1000 * own > event.ingested


def _refused(seen: Seen) -> bool:
    """Return whether the account itself refused the call, and in time."""
    genuine = seen.fault is None or seen.fault.slow
    return genuine and seen.refused is not None and seen.delay <= READ_TIMEOUT


def _key(call: Call) -> Key:
    return (call.account, call.region, str(call.group))


class WatchedCloud(Cloud):
    """An account that shows each call to a witness."""

    def __init__(
        self, witness: Witness, account: Builder, clock: VirtualClock, **options: Any
    ) -> None:
        super().__init__(account, clock=clock, **options)
        self._witness = witness

    def seen(self, seen: Seen) -> None:
        record: Record = running().record
        record.calls[seen.call.operation] += 1
        if (error := seen.refused) and (error.code, error.status) in THROTTLING.values():
            record.throttled[seen.call.operation] += 1
        record.faults += seen.fault is not None
        self._witness.note(seen, record)
