"""What is true of the fake account, by a record of its own.

It is told of every log group, log stream and event when somebody makes it (`tests.fakes.builder`),
and of every later change by the calls that took effect and their answers. It never looks into the
store: what holds there is worked out a second time, or fake and judges would agree by construction.

Values are never changed, only replaced, so whoever keeps one has the truth of that moment. Times
are ms since the epoch, sizes bytes, retention days.
"""

from __future__ import annotations

import json
import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.retention_policies import Terms
from janitor.sandbox.store import Events, Lags
from janitor.sandbox.wire import Call

Event = Events
"""Of one moment; no count and no bytes once they have expired."""
Target = tuple[str, str]
Key = tuple[str, str, str]
"""Account, Region and name of a log group."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A log stream. `lag` (s) is its own, if its times lag otherwise than others'."""

    name: str
    created: int
    lag: float | None = None
    events: tuple[Event, ...] = ()

    def newest(self, now: int, lag: float) -> int:
        """The newest sign of life that can be seen of it by now."""
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
    kms: str | None = None
    protected: bool = False
    bearer: bool = False
    data_protection: str | None = None
    protection_status: str | None = None
    index: str | None = None
    resource_policy: str | None = None
    syslog: tuple[str, ...] = ()
    transformer: Sequence[Mapping[str, Any]] = ()
    metric_filters: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    filters: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
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
        """Events before this have expired."""
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
        """Stored bytes as they were `lag` seconds ago."""
        then = now - int(lag * 1000)
        return self.stored + sum(e.bytes for e in self.alive(then) if e.ingested <= then)

    def retained(self, days: int | None, now: int) -> Group:
        """Under another retention of its own: what expires, or has expired, never comes back."""
        return replace(self.expired(now), retention=days).expired(now)

    def expired(self, now: int) -> Group:
        """With nothing in what has expired by now."""
        horizon = self.horizon(now)

        def left(event: Event) -> Event:
            return event if event.at >= horizon else replace(event, count=0, bytes=0)

        streams = {
            name: replace(stream, events=tuple(map(left, stream.events)))
            for name, stream in self.streams.items()
        }
        return replace(self, streams=streams)


@dataclass(frozen=True, slots=True)
class Policy:
    """An account-level retention policy: the terms in force, and those that will be once due."""

    name: str
    force: Terms | None
    put: Terms | None = None
    due: int = 0
    created: int = 0

    def days_of(self, group: Group) -> list[float]:
        """How long it keeps the group's events, if it is under it."""
        terms = self.force
        if terms is None or not group.name.startswith(terms.prefixes):
            return []
        old = terms.new_only and group.created <= self.created
        return [] if old else [math.inf if terms.days is None else terms.days]


@dataclass(frozen=True, slots=True)
class Rows:
    """Many groups with a retention and stored bytes, sorted by name; bytes lie in one stream."""

    names: Sequence[str]
    created: array[int]
    retention: array[int]
    stored: array[int]

    def find(self, key: Key) -> Group | None:
        row = bisect_left(self.names, key[2])
        if row == len(self.names) or self.names[row] != key[2]:
            return None
        created, stored = self.created[row], self.stored[row]
        streams = {"application": Stream("application", created)} if stored else {}
        return Group(*key, created, self.retention[row] or None, stored, streams=streams)


@dataclass
class Truth:
    """All accounts and Regions. A group that was a row and is gone is None among `groups`."""

    lags: Lags = field(default_factory=Lags)
    groups: dict[Key, Group | None] = field(default_factory=dict)
    rows: dict[Target, Rows] = field(default_factory=dict)
    functions: dict[Target, dict[str, str | None]] = field(default_factory=dict)
    """Lambda functions, and the log groups that they write to where those are not their own."""
    arrivals: dict[Key, tuple[Event, ...]] = field(default_factory=dict)
    """All that ever arrived under a name, which is what the metric knows."""
    policies: dict[Target, tuple[Policy, ...]] = field(default_factory=dict)
    """Account-level retention policies, in the order in which they were made."""

    def copy(self) -> Truth:
        same = Truth(self.lags)
        for one in fields(self)[1:]:
            setattr(same, one.name, dict(getattr(self, one.name)))
        return same

    def get(self, key: Key) -> Group | None:
        if key in self.groups:
            return self.groups[key]
        rows = self.rows.get(key[:2])
        found = None if rows is None else rows.find(key)
        return None if found is None else self._ruled(found)

    def there(self, key: Key) -> Group:
        """A group that must be there."""
        group = self.get(key)
        assert group is not None, f"{key} is not there"
        return group

    def all(self) -> list[Group]:
        """Every group that is no row."""
        return [group for group in self.groups.values() if group is not None]

    # ---- what is made and done ---------------------------------------------------------------

    def function(self, account: str, region: str, name: str, group: str | None = None) -> None:
        here = self.functions.get((account, region), {})
        self.functions[account, region] = here | {name: group}

    def group(self, account: str, region: str, name: str, *, created: int, **more: Any) -> None:
        key = (account, region, name)
        assert self.get(key) is None, f"{key} is there"
        self.groups[key] = self._ruled(Group(*key, created, **more))

    def set(self, key: Key, **settings: Any) -> None:
        self.groups[key] = replace(self.there(key), **settings)

    def retain(self, key: Key, days: int | None, now: int) -> None:
        self.groups[key] = self.there(key).retained(days, now)

    def delete(self, key: Key) -> None:
        assert self.get(key) is not None, f"{key} is not there"
        if key[:2] in self.rows:
            self.groups[key] = None
        else:
            del self.groups[key]

    def stream(
        self,
        key: Key,
        name: str,
        *,
        created: int,
        events: Iterable[tuple[int, int, int]] = (),
        lag: float | None = None,
    ) -> None:
        group = self.there(key)
        assert name not in group.streams, f"{key} has a stream {name}"
        self.set(key, streams={**group.streams, name: Stream(name, created, lag)})
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
        """These are the policies; changed `now`, what expires by them does not come back."""
        self.policies[target] = tuple(policies)
        for group in self.all():
            if group.key[:2] == target:
                before = group if now is None else group.expired(now)
                after = self._ruled(before)
                self.groups[group.key] = after if now is None else after.expired(now)

    def elapse(self, now: int) -> None:
        """It is as late as that: policies come into force that are due."""
        for target, policies in list(self.policies.items()):
            for due in sorted({p.due for p in policies if p.put is not None and p.due <= now}):
                then = [
                    replace(p, force=p.put, put=None) if p.put is not None and p.due == due else p
                    for p in self.policies[target]
                ]
                self.police(target, then, due)

    def _ruled(self, group: Group) -> Group:
        """Under the policy that decides: the one that keeps longest, among equals the first."""
        policies = self.policies.get((group.account, group.region), ())
        found = [(days, policy.name) for policy in policies for days in policy.days_of(group)]
        if not found:
            return replace(group, policy=None, policy_days=None) if group.policy else group
        days, name = max(found, key=lambda one: one[0])
        return replace(group, policy=name, policy_days=None if days == math.inf else int(days))

    def _policy_put(self, call: Call, now: int) -> None:
        p, target = call.parameters, (call.account, call.region)
        said = json.loads(p["policyDocument"])
        days, new_only = said["retentionInDays"], said["enforcementMode"] == "NEW_ONLY"
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

    # ---- what calls do -----------------------------------------------------------------------

    def follow(self, call: Call, now: int) -> None:
        """A call has taken effect, and `call.result` is its answer."""
        p, key = call.parameters, (call.account, call.region, call.group or "")
        if p.get("dryRun"):
            return
        match call.operation:
            case "CreateLogGroup":
                self.group(
                    *key,
                    created=now,
                    log_class=p.get("logGroupClass", "STANDARD"),
                    kms=p.get("kmsKeyId"),
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
            case "AssociateKmsKey" | "DisassociateKmsKey":
                self.set(key, kms=p.get("kmsKeyId"))
            case "PutLogGroupDeletionProtection":
                self.set(key, protected=p["deletionProtectionEnabled"])
            case "PutBearerTokenAuthentication":
                self.set(key, bearer=p["bearerTokenAuthenticationEnabled"])
            case "PutDataProtectionPolicy":
                self.set(key, data_protection=p["policyDocument"])
            case "DeleteDataProtectionPolicy":
                self.set(key, data_protection=None, protection_status="DELETED")
            case "PutIndexPolicy":
                self.set(key, index=p["policyDocument"])
            case "PutResourcePolicy":
                self.set(key, resource_policy=p["policyDocument"])
            case "PutSyslogConfiguration":
                endpoints = {*self.there(key).syslog, p["vpcEndpointId"]}
                self.set(key, syslog=tuple(sorted(endpoints)))
            case "PutTransformer":
                self.set(key, transformer=p["transformerConfig"])
            case "PutMetricFilter" | "DeleteMetricFilter":
                self._filter(key, call, "metric", "metric_filters")
            case "PutSubscriptionFilter" | "DeleteSubscriptionFilter":
                self._filter(key, call, "subscription", "subscriptions")
            case "PutAccountPolicy":
                self._policy_put(call, now)
            case "DeleteAccountPolicy":
                self._policy_deleted(call, now)
            case "TagResource":
                self.set(key, tags={**self.there(key).tags, **p["tags"]})
            case "UntagResource":
                tags = self.there(key).tags
                self.set(key, tags={name: tags[name] for name in tags if name not in p["tagKeys"]})

    def _filter(self, key: Key, call: Call, kind: str, names: str) -> None:
        group, name = self.there(key), call.parameters["filterName"]
        filters = {one: said for one, said in group.filters.items() if one != (kind, name)}
        left = {*getattr(group, names)} - {name}
        if call.operation.startswith("Put"):
            said = {part: v for part, v in call.parameters.items() if part != "logGroupName"}
            filters, left = {**filters, (kind, name): said}, {*left, name}
        self.set(key, filters=filters, **{names: tuple(sorted(left))})


def _accepted(call: Call, now: int) -> list[Event]:
    """What PutLogEvents took of what it was sent: 26 bytes are counted on top of each message."""
    entries: list[dict[str, Any]] = call.parameters["logEvents"]
    rejected = (call.result or {}).get("rejectedLogEventsInfo", {})
    first = max(rejected.get(f"{why}LogEventEndIndex", 0) for why in ("tooOld", "expired"))
    return [
        Event(entry["timestamp"], 1, len(entry["message"].encode()) + 26, now)
        for entry in entries[first : rejected.get("tooNewLogEventStartIndex", len(entries))]
    ]
