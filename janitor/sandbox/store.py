"""The truth of several accounts and Regions, and what CloudWatch Logs shows of it.

Times are ms since the epoch, sizes bytes, retention days. What is shown lags behind the truth by
`Store.lags` (FACTS: an hour or more for streams, minutes for metrics, tags eventually); stream
`storedBytes` is always 0. A million groups are columns of numbers (`Plain`) until somebody touches
one, which makes it a `Group`.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.organization import Organization
from janitor.sandbox.retention_policies import RetentionPolicy, Terms, ruling

Target = tuple[str, str]
"""Account and Region."""


@dataclass(slots=True)
class Lags:
    """How many seconds what is shown lags behind what arrived; `tags` is the tagging API's lag
    behind the tags of the group itself.
    """

    stream: float = 0
    stored: float = 0
    metric: float = 0
    tags: float = 0


@dataclass(frozen=True, slots=True)
class Events:
    """Some log events of one moment, which arrived at another."""

    at: int
    count: int
    bytes: int
    ingested: int


@dataclass(frozen=True, slots=True)
class Object:
    """An object in S3; `kind` is its content type."""

    body: bytes
    changed: int
    etag: str
    kind: str


@dataclass(slots=True)
class Bucket:
    """A bucket without versions, and its objects by key."""

    account: str
    region: str
    created: int
    objects: dict[str, Object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Stream:
    """A log stream. `lag` (s) overrides the store's for this one stream."""

    name: str
    created: int
    lag: float | None = None
    events: list[Events] = field(default_factory=list)

    def shown(self, now: int, lag: float) -> tuple[int, int, int] | None:
        """First event, last event and last ingestion as they are shown by now, if any are."""
        until = now - int(1000 * (lag if self.lag is None else self.lag))
        seen = [events for events in self.events if events.ingested <= until]
        if not seen:
            return None
        return (
            min(events.at for events in seen),
            max(events.at for events in seen),
            max(events.ingested for events in seen),
        )


@dataclass(slots=True, eq=False)
class Group:
    """A log group. `retention` is its own, `days` the one in force.

    `stored` are bytes that never expire, for groups whose single events do not matter; `odd`
    overrides what DescribeLogGroups shows (`...` leaves a key out), another account's ARN included.
    `policies` are those of its Region, `syslog` the VPC endpoints that write to it.
    """

    account: str
    region: str
    name: str
    created: int
    retention: int | None = None
    stored: int = 0
    policies: Sequence[RetentionPolicy] = ()
    log_class: str = "STANDARD"
    kms: str | None = None
    bearer: bool = False
    data_protection: str | None = None
    protection_status: str | None = None
    index: str | None = None
    resource_policy: str | None = None
    syslog: tuple[str, ...] = ()
    transformer: list[dict[str, Any]] = field(default_factory=list)
    filters: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    protected: bool = False
    metric_filters: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    odd: Mapping[str, Any] | None = None
    order: list[str] | None = None

    @property
    def arn(self) -> str:
        return arn_of(self.account, self.region, self.name)

    @property
    def policy(self) -> str | None:
        """The account-level retention policy that it is under."""
        return self._ruling[0]

    @property
    def days(self) -> int | None:
        """The retention in force."""
        return self._ruling[1]

    @property
    def _ruling(self) -> tuple[str | None, int | None]:
        found = ruling(self.policies, self.name, self.created) if self.policies else None
        return found or (None, self.own_days)

    @property
    def own_days(self) -> int | None:
        """The retention without account-level policies. AWS gives class DELIVERY 2 days
        (hashicorp/terraform-provider-aws pull request 42658).
        """
        return 2 if self.log_class == "DELIVERY" else self.retention

    def horizon(self, now: int) -> int:
        """Events before this have expired."""
        return 0 if self.days is None else now - self.days * DAY_MS

    def drop_expired(self, now: int) -> None:
        """What has expired does not come back when retention gets longer; it is as if it were
        older than any retention. Streams go on showing its times, so it is only made uncountable.
        """
        horizon = self.horizon(now)
        for stream in self.streams.values():
            stream.events = [
                events if events.at >= horizon else Events(events.at, 0, 0, events.ingested)
                for events in stream.events
            ]

    def ordered(self) -> list[str]:
        """The names of the streams, sorted."""
        if self.order is None or len(self.order) != len(self.streams):
            self.order = sorted(self.streams)
        return self.order

    def stored_shown(self, now: int, lag: float) -> int:
        """Bytes as they were `lag` seconds ago."""
        if not self.streams:
            return self.stored
        then = now - int(lag * 1000)
        horizon = self.horizon(then)
        return self.stored + sum(
            events.bytes
            for stream in self.streams.values()
            for events in stream.events
            if events.at >= horizon and events.ingested <= then
        )

    def shown(self, now: int, lags: Lags) -> dict[str, Any]:
        """The entry of DescribeLogGroups."""
        arn, days, policy = self.arn, self.days, self.policy
        # Without dataProtectionStatus there never was a policy (botocore 1.44.5, LogGroup).
        protection = self.protection_status if self.data_protection is None else "ACTIVATED"
        entry: dict[str, Any] = {
            "logGroupName": self.name,
            "creationTime": self.created,
            "metricFilterCount": len(self.metric_filters),
            "arn": arn + ":*",
            "storedBytes": self.stored_shown(now, lags.stored),
            "logGroupClass": self.log_class,
            "logGroupArn": arn,
            "deletionProtectionEnabled": self.protected,
            "retentionInDays": ... if days is None else days,
            "retentionPolicyName": ... if policy is None else policy,
            "dataProtectionStatus": protection or ...,
            "kmsKeyId": ... if self.kms is None else self.kms,
            "bearerTokenAuthenticationEnabled": self.bearer or ...,
            **(self.odd or {}),
        }
        return {key: value for key, value in entry.items() if value is not ...}

    def state(self) -> dict[str, Any]:
        """Everything that a change could change."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "order"}
        streams = {name: (one.created, tuple(one.events)) for name, one in self.streams.items()}
        ruled = self.policy and self._ruling
        return deepcopy(own) | {"policies": ruled, "streams": streams}


class Plain:
    """Many groups with nothing but a retention and stored bytes, in columns sorted by name.

    Rows are never taken out, only marked as gone.
    """

    def __init__(
        self,
        names: Sequence[str] = (),
        created: array[int] | None = None,
        retention: array[int] | None = None,
        stored: array[int] | None = None,
    ) -> None:
        self.names = list(names)
        self.created = created or array("q")
        self.retention = retention or array("h")
        self.stored = stored or array("q")
        self.gone = bytearray(len(self.names))

    def find(self, name: str) -> int | None:
        at = bisect_left(self.names, name)
        there = at < len(self.names) and self.names[at] == name and not self.gone[at]
        return at if there else None

    def after(self, name: str, within: str = "") -> Iterator[int]:
        """Rows of names behind `name` with `within` in them, in order."""
        at = self.gone.find(0, bisect_right(self.names, name))
        while at >= 0:
            if within in self.names[at]:
                yield at
            at = self.gone.find(0, at + 1)

    def __len__(self) -> int:
        return self.gone.count(0)


@dataclass(eq=False)
class Region:
    """One account in one Region.

    `functions` are log groups by function (None for the usual one), `versions` those of published
    versions by function and version; `lacks` are the operations of features that do not exist here.
    `opt_in` is as DescribeRegions has it; a Region that
    `refuses_tokens` is listed, and refuses those that callers have (as one does that the global STS
    endpoint's are not valid in).
    `tagged` says by name when tags changed, and what they were before; `resources` are the tags of
    what is no log group, by ARN; `topics` what was published by topic; `parameters` are Systems
    Manager's.
    """

    account: str
    name: str
    plain: Plain = field(default_factory=Plain)
    groups: dict[str, Group] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    functions: dict[str, str | None] = field(default_factory=dict)
    versions: dict[str, dict[str, str | None]] = field(default_factory=dict)
    arrivals: dict[str, list[Events]] = field(default_factory=dict)
    policies: list[RetentionPolicy] = field(default_factory=list)
    opt_in: str = "opt-in-not-required"
    refuses_tokens: bool = False
    lacks: frozenset[str] = frozenset()
    tagged: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    topics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def enabled(self) -> bool:
        return self.opt_in != "not-opted-in"

    def policed(self, now: int, change: Callable[[], None] | None = None) -> None:
        """Let account-level policies change, and those come into force that are due by now.

        What has expired until then does not come back.
        """
        due = [policy for policy in self.policies if policy.due(now)]
        for policy in sorted(due, key=lambda policy: policy.updated):
            self._drop_expired(policy.updated + DAY_MS)
            policy.in_force = policy.terms
        if change is not None:
            self._drop_expired(now)
            change()

    def _drop_expired(self, now: int) -> None:
        for group in self.groups.values():
            group.drop_expired(now)

    def __len__(self) -> int:
        return len(self.groups) + len(self.plain)

    def get(self, name: str) -> Group | None:
        """The group, made out of its row if it was one."""
        group = self.groups.get(name)
        if group is None and (row := self.plain.find(name)) is not None:
            group = self._row(row)
            self.plain.gone[row] = 1
            self.put(group)
        return group

    def _row(self, row: int) -> Group:
        plain = self.plain
        group = Group(self.account, self.name, plain.names[row], plain.created[row])
        group.policies = self.policies
        group.retention = plain.retention[row] or None
        group.stored = plain.stored[row]
        if group.stored:
            group.streams["application"] = Stream("application", group.created)
        return group

    def __contains__(self, name: str) -> bool:
        return name in self.groups or self.plain.find(name) is not None

    def put(self, group: Group) -> None:
        group.policies = self.policies
        if group.name not in self.groups:
            insort(self.names, group.name)
        self.groups[group.name] = group

    def remove(self, name: str) -> None:
        del self.groups[name]
        del self.names[bisect_left(self.names, name)]

    def after(self, name: str, within: str = "") -> Iterator[Group]:
        """Groups behind `name` with `within` in their names, in order of name. Rows are shown, not
        turned into groups.
        """
        behind = range(bisect_right(self.names, name), len(self.names))
        groups = (self.groups[self.names[at]] for at in behind if within in self.names[at])
        rows = (self._row(row) for row in self.plain.after(name, within))
        return heapq.merge(groups, rows, key=attrgetter("name"))


@dataclass
class Store:
    """All accounts and Regions. Not thread-safe: the simulator holds a lock around each request."""

    lags: Lags = field(default_factory=Lags)
    regions: dict[Target, Region] = field(default_factory=dict)
    quotas: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """Calls per second by account, Region and operation, where they differ from the default."""
    aliases: dict[str, str] = field(default_factory=dict)
    """By account; one has at most one (IAM API reference, CreateAccountAlias)."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Trust policies by the ARN of their role; without any, every account has every role."""
    organization: Organization | None = None

    @property
    def accounts(self) -> list[str]:
        return sorted({account for account, _ in self.regions})

    def region(self, account: str, region: str) -> Region:
        """The Region, enabled from now on."""
        target = (account, region)
        if target not in self.regions:
            self.regions[target] = Region(account, region)
        return self.regions[target]

    def group(self, account: str, region: str, name: str) -> Group | None:
        there = self.regions.get((account, region))
        return None if there is None else there.get(name)

    def groups(self) -> Iterator[Group]:
        for region in self.regions.values():
            yield from region.after("")

    def add_group(
        self, account: str, region: str, name: str, *, created: int, **settings: Any
    ) -> Group:
        """A new group with these attributes. Raises KeyError where there is one of that name."""
        place = self.region(account, region)
        if place.get(name) is not None:
            raise KeyError(name)
        group = Group(account, region, name, created, **settings)
        place.put(group)
        return group

    def add_stream(
        self,
        group: Group,
        name: str,
        *,
        created: int,
        events: Iterable[tuple[int, int, int]] = (),
        lag: float | None = None,
    ) -> Stream:
        """A new stream, with events of (time, count, bytes). Raises KeyError where it exists."""
        if name in group.streams:
            raise KeyError(name)
        stream = group.streams[name] = Stream(name, created, lag)
        group.order = None
        for at, count, size in events:
            self.write(group, stream, at, count, size)
        return stream

    def write(
        self,
        group: Group,
        stream: Stream | str,
        at: int,
        count: int = 1,
        bytes: int = 100,
        *,
        ingested: int | None = None,
    ) -> None:
        """Events of the time `at`, which arrived then or at `ingested`."""
        there = group.streams[stream] if isinstance(stream, str) else stream
        events = Events(at, count, bytes, at if ingested is None else ingested)
        there.events.append(events)
        arrivals = self.region(group.account, group.region).arrivals
        arrivals.setdefault(group.name, []).append(events)

    def set_retention(self, group: Group, days: int | None, now: int) -> None:
        """Change the group's own retention; what that expires is gone for good."""
        group.drop_expired(now)
        group.retention = days
        group.drop_expired(now)

    def remove_stream(self, group: Group, name: str) -> None:
        del group.streams[name]
        group.order = None

    def add_policy(
        self, account: str, region: str, name: str, days: int | None, *prefixes: str
    ) -> RetentionPolicy:
        """An account-level retention policy that has been in force for long (None: never expire),
        on all groups or those of the prefixes, beside those that it has. Raises KeyError where one
        of that name has other days.
        """
        policies = self.region(account, region).policies
        policy = next((one for one in policies if one.name == name), None)
        if policy is None:
            policy = RetentionPolicy(name, Terms(days, ()))
            policies.append(policy)
        if policy.terms.days != days:
            raise KeyError(name)
        known = dict.fromkeys((*policy.terms.prefixes, *(prefixes or ("",))))
        policy.terms = policy.in_force = replace(policy.terms, prefixes=tuple(known))
        return policy

    def tag(self, group: Group, tags: Mapping[str, str], now: int) -> None:
        """Change the group's own tags; the tagging API shows it later."""
        self._retagged(group, now)
        group.tags = dict(tags)

    def _retagged(self, group: Group, now: int) -> None:
        changes = self.region(group.account, group.region).tagged.setdefault(group.name, [])
        changes.append((now, group.tags))

    def indexed_tags(self, region: Region, name: str, now: int) -> dict[str, str]:
        """The tags of the group of that name as the tagging API has them."""
        then = now - int(1000 * self.lags.tags)
        for at, before in region.tagged.get(name, ()):
            if at > then:
                return before
        group = region.groups.get(name)
        return {} if group is None else group.tags

    def remove_group(self, group: Group, now: int | None = None) -> None:
        """What arrived under the name stays known to the metric; with `now`, the tagging API shows
        for a while what it was.
        """
        if now is not None:
            self._retagged(group, now)
        self.region(group.account, group.region).remove(group.name)

    def state(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The truth as plain values; two are equal if nothing changed. Not for a million groups."""
        return {(group.account, group.region, group.name): group.state() for group in self.groups()}


def arn_of(account: str, region: str, name: str) -> str:
    """A log group's ARN, without the trailing `:*`."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


def name_of(identifier: str) -> str:
    """The name out of a name or an ARN (with or without `:*`)."""
    if not identifier.startswith("arn:"):
        return identifier
    return identifier.split(":log-group:", 1)[-1].removesuffix(":*")
