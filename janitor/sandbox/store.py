"""The true state of several accounts and Regions, and what CloudWatch Logs shows of it.

Times are ms since the epoch, sizes bytes, retention days. What is shown lags behind the truth by
`Store.lags`: in AWS an hour or more for streams, minutes for metrics. A stream's `storedBytes` is
always 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.organization import Organization
from janitor.sandbox.retention_policies import RetentionPolicy, Terms, ruling

Target = tuple[str, str]
"""Account and Region."""


_NO_PROTECTION = {None: ..., "": "DELETED"}
"""The dataProtectionStatus if there never was a policy, or not any more (botocore 1.44.5)."""


@dataclass(slots=True)
class Lags:
    """Seconds until what arrived is shown; `tags` is how far the tagging API is behind."""

    stream: float = 0
    stored: float = 0
    metric: float = 0
    tags: float = 0


@dataclass(frozen=True, slots=True)
class Events:
    """Log events with the same timestamp `at`, which arrived together at `ingested`."""

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
    """An unversioned bucket and its objects by key."""

    account: str
    region: str
    created: int
    objects: dict[str, Object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Stream:
    """A log stream. `lag` (s) overrides the store's."""

    name: str
    created: int
    lag: float | None = None
    events: list[Events] = field(default_factory=list)

    def shown(self, now: int, lag: float) -> tuple[int, int, int] | None:
        """First event, last event and last ingestion as shown at `now`; None if none is."""
        until = now - int(1000 * (lag if self.lag is None else self.lag))
        visible = [events for events in self.events if events.ingested <= until]
        if not visible:
            return None
        times = [events.at for events in visible]
        return min(times), max(times), max(events.ingested for events in visible)


@dataclass(slots=True, eq=False)
class Group:
    """A log group. `retention` is its own, `days` the one in force.

    `stored` are bytes that never expire, for groups whose single events do not matter. `odd`
    overrides what DescribeLogGroups shows, another account's ARN included; `...` leaves a key out.
    `policies` are its Region's, `syslog` the VPC endpoints that write to it; `data_protection` is
    empty once the policy was deleted.
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
        """The name of the account-level retention policy in force."""
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
        """The time before which events have expired."""
        return 0 if self.days is None else now - self.days * DAY_MS

    def drop_expired(self, now: int) -> None:
        """Remove expired events for good: they do not come back when retention gets longer. Their
        times stay, because streams go on showing them.
        """
        horizon = self.horizon(now)
        for stream in self.streams.values():
            stream.events = [
                events if events.at >= horizon else Events(events.at, 0, 0, events.ingested)
                for events in stream.events
            ]

    def ordered(self) -> list[str]:
        """The stream names, sorted; cached until a stream comes or goes."""
        if self.order is None or len(self.order) != len(self.streams):
            self.order = sorted(self.streams)
        return self.order

    def stored_shown(self, now: int, lag: float) -> int:
        """The stored bytes of `lag` seconds ago."""
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
        """The group's entry in DescribeLogGroups."""
        arn, days, policy = self.arn, self.days, self.policy
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
            "dataProtectionStatus": _NO_PROTECTION.get(self.data_protection, "ACTIVATED"),
            "kmsKeyId": ... if self.kms is None else self.kms,
            "bearerTokenAuthenticationEnabled": self.bearer or ...,
            **(self.odd or {}),
        }
        return {key: value for key, value in entry.items() if value is not ...}

    def state(self) -> dict[str, Any]:
        """Everything that a call could change, as plain values."""
        own = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "order"}
        streams = {name: (one.created, tuple(one.events)) for name, one in self.streams.items()}
        ruled = self.policy and self._ruling
        return deepcopy(own) | {"policies": ruled, "streams": streams}


@dataclass(eq=False)
class Region:
    """One account in one Region.

    `functions` maps Lambda functions to their log groups (None: the usual one), `versions` does so
    for published versions. `lacks` are operations of features that do not exist here. `opt_in` is
    as DescribeRegions has it; a Region that `refuses_tokens` is listed, but refuses the caller's
    tokens, as an opt-in Region refuses those of the global STS endpoint.
    `tagged` has, by name, when tags changed and what they were before; `resources` the tags of
    other resources by ARN; `topics` what was published; `parameters` Systems Manager's values.
    """

    account: str
    name: str
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
        """Put due account-level policies into force, then make the change, if any, to them.

        What expired under the policies before does not come back.
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
        return len(self.groups)

    def __contains__(self, name: str) -> bool:
        return name in self.groups

    def get(self, name: str) -> Group | None:
        return self.groups.get(name)

    def put(self, group: Group) -> None:
        group.policies = self.policies
        if group.name not in self.groups:
            insort(self.names, group.name)
        self.groups[group.name] = group

    def remove(self, name: str) -> None:
        del self.groups[name]
        del self.names[bisect_left(self.names, name)]

    def after(self, name: str, within: str = "") -> Iterator[Group]:
        """The groups behind `name` with `within` in their names, in order of name."""
        behind = range(bisect_right(self.names, name), len(self.names))
        return (self.groups[self.names[at]] for at in behind if within in self.names[at])


@dataclass
class Store:
    """All accounts and Regions. Not thread-safe: the sandbox holds a lock around each request."""

    lags: Lags = field(default_factory=Lags)
    regions: dict[Target, Region] = field(default_factory=dict)
    quotas: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """Calls per second by account, Region and operation, where they differ from the default."""
    aliases: dict[str, str] = field(default_factory=dict)
    """By account; one has at most one (IAM API reference, CreateAccountAlias)."""
    buckets: dict[str, Bucket] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Trust policies by the role's ARN; if empty, every account has every role."""
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
        place = self.regions.get((account, region))
        return None if place is None else place.get(name)

    def groups(self) -> Iterator[Group]:
        for region in self.regions.values():
            yield from region.after("")

    def add_group(
        self, account: str, region: str, name: str, *, created: int, **settings: Any
    ) -> Group:
        """Create a group with these attributes. Raises KeyError if the name is taken."""
        place = self.region(account, region)
        if name in place:
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
        """Create a stream with events of (time, count, bytes). Raises KeyError if it exists."""
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
        """Write events with the timestamp `at`, which arrived then or at `ingested`."""
        target = group.streams[stream] if isinstance(stream, str) else stream
        events = Events(at, count, bytes, at if ingested is None else ingested)
        target.events.append(events)
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
        """Put an account-level retention policy that has long been in force (None: never expire) on
        these prefixes, or on all groups; an existing policy keeps its own as well. Raises KeyError
        if that has other days.
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
        """Replace the group's own tags; the tagging API shows it later."""
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
        """Delete the group. The metric keeps what arrived under its name; with `now`, the tagging
        API shows its tags for a while.
        """
        if now is not None:
            self._retagged(group, now)
        self.region(group.account, group.region).remove(group.name)

    def state(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The truth as plain values, equal if nothing changed. Not for a million groups."""
        return {(group.account, group.region, group.name): group.state() for group in self.groups()}


def arn_of(account: str, region: str, name: str) -> str:
    """A log group's ARN, without the trailing `:*`."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


def name_of(identifier: str) -> str:
    """The log group's name in a name or an ARN (with or without `:*`)."""
    if not identifier.startswith("arn:"):
        return identifier
    return identifier.split(":log-group:", 1)[-1].removesuffix(":*")
