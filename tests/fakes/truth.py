"""What is true of the fake account, by a record of its own.

Builders (`tests.fakes.builder`) report every log group, log stream and event that they make; later
changes follow from the calls that took effect and their answers. The record never looks into the
store: it works everything out a second time, or fake and judges would agree by construction. It
knows only what decides over deletions.

Values are replaced, never changed, so one that is kept stays the truth of its moment. Times are ms
since the epoch, sizes bytes, retention days.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.retention_policies import Terms
from janitor.sandbox.store import Events, Lags
from janitor.sandbox.wire import Call

Event = Events
"""Events of one moment; their count and bytes are 0 once they have expired."""
Target = tuple[str, str]
Key = tuple[str, str, str]
"""Account, Region and name of a log group."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A log stream. `lag` (s) overrides the account's."""

    name: str
    created: int
    lag: float | None = None
    events: tuple[Event, ...] = ()

    def newest(self, now: int, lag: float) -> int:
        """The time of the newest activity that is visible at `now`."""
        until = now - int(1000 * (lag if self.lag is None else self.lag))
        seen = (max(event.at, event.ingested) for event in self.events if event.ingested <= until)
        return max(self.created, *seen, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """A log group, with the account-level retention policy that it is under, if any."""

    account: str
    region: str
    name: str
    created: int
    retention: int | None = None
    stored: int = 0
    policy: str | None = None
    policy_days: int | None = None
    log_class: str = "STANDARD"
    protected: bool = False
    metric_filters: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    odd: Mapping[str, Any] | None = None
    streams: Mapping[str, Stream] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return (self.account, self.region, self.name)

    @property
    def days(self) -> int | None:
        """The retention in force."""
        if self.policy is not None:
            return self.policy_days
        return 2 if self.log_class == "DELIVERY" else self.retention

    def horizon(self, now: int) -> int:
        """The time before which events have expired."""
        return 0 if self.days is None else now - self.days * DAY_MS

    def alive(self, now: int) -> list[Event]:
        """The events inside the retention in force."""
        horizon = self.horizon(now)
        return [
            event
            for stream in self.streams.values()
            for event in stream.events
            if event.at >= horizon and event.count
        ]

    def bytes_seen(self, now: int, lag: float) -> int:
        """The stored bytes of `lag` seconds ago."""
        then = now - int(lag * 1000)
        return self.stored + sum(e.bytes for e in self.alive(then) if e.ingested <= then)

    def retained(self, days: int | None, now: int) -> Group:
        """The group under another retention; what expires or has expired never comes back."""
        return replace(self.expired(now), retention=days).expired(now)

    def expired(self, now: int) -> Group:
        """The group without the content of events that have expired by now."""
        horizon = self.horizon(now)

        def left(event: Event) -> Event:
            return event if event.at >= horizon else replace(event, count=0, bytes=0)

        streams = {
            name: replace(stream, events=tuple(map(left, stream.events)))
            for name, stream in self.streams.items()
        }
        return replace(self, streams=streams)


SETTINGS = {one.name for one in fields(Group)}


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a group's settings that the record knows."""
    return {name: value for name, value in settings.items() if name in SETTINGS}


@dataclass(frozen=True, slots=True)
class Policy:
    """An account-level retention policy: the terms in force, and those that will be once due."""

    name: str
    force: Terms | None
    put: Terms | None = None
    due: int = 0
    created: int = 0

    def days_of(self, group: Group) -> list[float]:
        """The days for which it keeps the group's events; empty if the group is not under it."""
        terms = self.force
        if terms is None or not group.name.startswith(terms.prefixes):
            return []
        old = terms.new_only and group.created <= self.created
        return [] if old else [math.inf if terms.days is None else terms.days]


@dataclass
class Truth:
    """All accounts and Regions.

    `functions` maps Lambda functions to their log groups (None: the usual one); `arrivals` is all
    that ever arrived under a name, as the metric counts it; `policies` are account-level retention
    policies, oldest first.
    """

    lags: Lags = field(default_factory=Lags)
    groups: dict[Key, Group] = field(default_factory=dict)
    functions: dict[Target, dict[str, str | None]] = field(default_factory=dict)
    arrivals: dict[Key, tuple[Event, ...]] = field(default_factory=dict)
    policies: dict[Target, tuple[Policy, ...]] = field(default_factory=dict)

    def copy(self) -> Truth:
        copies = (dict(getattr(self, one.name)) for one in fields(self)[1:])
        return Truth(self.lags, *copies)

    def get(self, key: Key) -> Group | None:
        return self.groups.get(key)

    def there(self, key: Key) -> Group:
        """The group, which must exist."""
        assert key in self.groups, f"{key} is not there"
        return self.groups[key]

    def all(self) -> list[Group]:
        return list(self.groups.values())

    # ---- changes -----------------------------------------------------------------------------

    def function(self, account: str, region: str, name: str, group: str | None = None) -> None:
        here = self.functions.get((account, region), {})
        self.functions[account, region] = here | {name: group}

    def group(self, account: str, region: str, name: str, *, created: int, **more: Any) -> None:
        key = (account, region, name)
        assert key not in self.groups, f"{key} is there"
        self.groups[key] = self._ruled(Group(*key, created, **_known(more)))

    def set(self, key: Key, **settings: Any) -> None:
        self.groups[key] = replace(self.there(key), **_known(settings))

    def retain(self, key: Key, days: int | None, now: int) -> None:
        self.groups[key] = self.there(key).retained(days, now)

    def delete(self, key: Key) -> None:
        del self.groups[self.there(key).key]

    def stream(
        self, key: Key, name: str, *, events: Iterable[tuple[int, int, int]] = (), **more: Any
    ) -> None:
        streams = self.there(key).streams
        assert name not in streams, f"{key} has a stream {name}"
        self.set(key, streams={**streams, name: Stream(name, **more)})
        self.write(key, name, [Event(at, count, size, at) for at, count, size in events])

    def write(self, key: Key, stream: str, events: Iterable[Event]) -> None:
        streams, new = self.there(key).streams, tuple(events)
        written = replace(streams[stream], events=streams[stream].events + new)
        self.set(key, streams={**streams, stream: written})
        self.arrivals[key] = self.arrivals.get(key, ()) + new

    def delete_stream(self, key: Key, name: str) -> None:
        streams = self.there(key).streams
        self.set(key, streams={other: streams[other] for other in streams if other != name})

    # ---- account-level policies --------------------------------------------------------------

    def police(self, target: Target, policies: Iterable[Policy], now: int | None = None) -> None:
        """Replace the policies; if `now` is given, what expires by either is gone for good."""
        self.policies[target] = tuple(policies)
        for group in self.all():
            if group.key[:2] == target:
                before = group if now is None else group.expired(now)
                after = self._ruled(before)
                self.groups[group.key] = after if now is None else after.expired(now)

    def elapse(self, now: int) -> None:
        """Let time pass: policies come into force that are due by now."""
        for target, policies in list(self.policies.items()):
            for due in sorted({p.due for p in policies if p.put is not None and p.due <= now}):
                then = [
                    replace(p, force=p.put, put=None) if p.put is not None and p.due == due else p
                    for p in self.policies[target]
                ]
                self.police(target, then, due)

    def _ruled(self, group: Group) -> Group:
        """The group under the policy that keeps longest, among equals the oldest."""
        policies = self.policies.get((group.account, group.region), ())
        found = [(days, policy.name) for policy in policies for days in policy.days_of(group)]
        if not found:
            return replace(group, policy=None, policy_days=None) if group.policy else group
        days, name = max(found, key=lambda one: one[0])
        return replace(group, policy=name, policy_days=None if days == math.inf else int(days))

    def _policy_put(self, call: Call, now: int) -> None:
        p, target = call.parameters, (call.account, call.region)
        document = json.loads(p["policyDocument"])
        days, new_only = document["retentionInDays"], document["enforcementMode"] == "NEW_ONLY"
        criteria = (p.get("selectionCriteria") or 'LogGroupNamePrefix IN [""]').partition(" IN ")
        prefixes = tuple(json.loads(criteria[2]))
        terms = Terms(None if days == "NEVER_EXPIRE" else days, prefixes, new_only)
        policies = {policy.name: policy for policy in self.policies.get(target, ())}
        policy = policies.get(p["policyName"]) or Policy(p["policyName"], None, created=now)
        policies[policy.name] = replace(policy, put=terms, due=now + DAY_MS)
        self.policies[target] = tuple(policies.values())

    def _policy_deleted(self, call: Call, now: int) -> None:
        target, name = (call.account, call.region), call.parameters["policyName"]
        left = [policy for policy in self.policies[target] if policy.name != name]
        self.police(target, left, now)

    # ---- the effects of calls ----------------------------------------------------------------

    def follow(self, call: Call, now: int) -> None:
        """Follow a call that took effect; `call.result` is its answer."""
        p, key = call.parameters, (call.account, call.region, call.group or "")
        if p.get("dryRun"):
            return
        match call.operation:
            case "CreateLogGroup":
                self.group(
                    *key,
                    created=now,
                    log_class=p.get("logGroupClass", "STANDARD"),
                    tags=dict(p.get("tags") or {}),
                    protected=p.get("deletionProtectionEnabled", False),
                )
            case "DeleteLogGroup":
                self.delete(key)
            case "CreateLogStream":
                self.stream(key, p["logStreamName"], created=now)
            case "DeleteLogStream":
                self.delete_stream(key, p["logStreamName"])
            case "PutLogEvents":
                self.write(key, p["logStreamName"], _accepted(call, now))
            case "PutRetentionPolicy" | "DeleteRetentionPolicy":
                self.retain(key, p.get("retentionInDays"), now)
            case "PutLogGroupDeletionProtection":
                self.set(key, protected=p["deletionProtectionEnabled"])
            case "PutMetricFilter":
                names = {*self.there(key).metric_filters, p["filterName"]}
                self.set(key, metric_filters=tuple(sorted(names)))
            case "PutSubscriptionFilter":
                names = {*self.there(key).subscriptions, p["filterName"]}
                self.set(key, subscriptions=tuple(sorted(names)))
            case "PutAccountPolicy":
                self._policy_put(call, now)
            case "DeleteAccountPolicy":
                self._policy_deleted(call, now)
            case "TagResource":
                self.set(key, tags={**self.there(key).tags, **p["tags"]})
            case "UntagResource":
                tags = self.there(key).tags
                self.set(key, tags={name: tags[name] for name in tags if name not in p["tagKeys"]})


def _accepted(call: Call, now: int) -> list[Event]:
    """The events that PutLogEvents accepted; each counts 26 bytes on top of its message."""
    entries: list[dict[str, Any]] = call.parameters["logEvents"]
    rejected = (call.result or {}).get("rejectedLogEventsInfo", {})
    first = max(rejected.get(f"{why}LogEventEndIndex", 0) for why in ("tooOld", "expired"))
    return [
        Event(entry["timestamp"], 1, len(entry["message"].encode()) + 26, now)
        for entry in entries[first : rejected.get("tooNewLogEventStartIndex", len(entries))]
    ]
