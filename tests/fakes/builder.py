"""Makes log groups and their content, in the store and in the record of truth alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox import store
from janitor.sandbox.retention_policies import RetentionPolicy, Terms
from tests.fakes.truth import SETTINGS, Event, Group, Key, Policy, Target, Truth


class Builder:
    """The fake account, for those who make or change it without calls.

    Log groups go by account, Region and name; times are ms since the epoch; for the rest see
    `janitor.sandbox.store`.
    """

    def __init__(self, lags: store.Lags | None = None) -> None:
        self.lags = lags or store.Lags()
        self.store, self.truth = store.Store(self.lags), Truth(self.lags)

    def _stored(self, key: Key) -> store.Group:
        group = self.store.group(*key)
        assert group is not None, f"{key} is not there"
        return group

    def region(self, account: str, region: str) -> None:
        """Enable the Region in the account."""
        self.store.region(account, region)

    def function(self, account: str, region: str, name: str, group: str | None = None) -> None:
        """Add a Lambda function, which logs to `group` if that is not its usual one."""
        self.store.region(account, region).functions[name] = group
        self.truth.function(account, region, name, group)

    def group(self, account: str, region: str, name: str, *, created: int, **more: Any) -> Key:
        """Add a log group; `more` are its settings, and `policy` and `policy_days` (None: never
        expire) an account-level policy on its name, which is in force.
        """
        policy, days = more.pop("policy", None), more.pop("policy_days", None)
        self.store.add_group(account, region, name, created=created, **more)
        self.truth.group(account, region, name, created=created, **more)
        if policy is not None:
            self.policy((account, region), policy, days, name)
        return (account, region, name)

    def coming(self, target: Target, name: str, days: int | None, due: int) -> None:
        """Put an account-level retention policy on all groups that comes into force at `due`. The
        Region must have no other yet.
        """
        put = due - DAY_MS
        policy = RetentionPolicy(name, Terms(days), created=put, updated=put)
        self.store.region(*target).policies.append(policy)
        self.truth.police(target, [Policy(name, None, Terms(days), due, put)])

    def policy(self, target: Target, name: str, days: int | None, *prefixes: str) -> None:
        """Add an account-level retention policy (None: never expire) that has long been in force,
        or these prefixes to it.
        """
        self.store.add_policy(*target, name, days, *prefixes)
        policies = {policy.name: policy for policy in self.truth.policies.get(target, ())}
        terms = policies[name].force if name in policies else None
        known = () if terms is None else terms.prefixes
        policies[name] = Policy(name, Terms(days, (*known, *(prefixes or ("",)))))
        self.truth.police(target, policies.values())

    def stream(
        self, key: Key, name: str, *, events: Sequence[tuple[int, int, int]] = (), **more: Any
    ) -> None:
        """Add a log stream with events of (time, count, bytes) that arrived at once."""
        self.store.add_stream(self._stored(key), name, events=events, **more)
        self.truth.stream(key, name, events=events, **more)

    def write(
        self,
        key: Key,
        stream: str,
        at: int,
        count: int = 1,
        size: int = 100,
        *,
        ingested: int | None = None,
    ) -> None:
        """Write events with the timestamp `at`, which arrived then or at `ingested`."""
        arrived = at if ingested is None else ingested
        self.store.write(self._stored(key), stream, at, count, size, ingested=arrived)
        self.truth.write(key, stream, [Event(at, count, size, arrived)])

    def set(self, key: Key, **settings: Any) -> None:
        """Change settings other than retention and tags."""
        for name, value in settings.items():
            setattr(self._stored(key), name, value)
        self.truth.set(key, **settings)

    def tag(self, key: Key, tags: Mapping[str, str], now: int) -> None:
        """Replace the group's tags; the tagging API shows it later."""
        self.store.tag(self._stored(key), tags, now)
        self.truth.set(key, tags=tags)

    def retain(self, key: Key, days: int | None, now: int) -> None:
        """Change the retention, or remove it."""
        self.store.set_retention(self._stored(key), days, now)
        self.truth.retain(key, days, now)

    def delete_stream(self, key: Key, name: str) -> None:
        self.store.remove_stream(self._stored(key), name)
        self.truth.delete_stream(key, name)

    def delete(self, key: Key, now: int | None = None) -> None:
        """Delete the group; with `now`, the tagging API shows its tags for a while."""
        self.store.remove_group(self._stored(key), now)
        self.truth.delete(key)

    def recreate(self, key: Key, at: int, **more: Any) -> None:
        """Delete the group and make another of its name."""
        self.delete(key, at)
        self.group(*key, created=at, **more)

    def elapse(self, now: int) -> None:
        """Let time pass: account-level policies come into force that are due by now."""
        self.truth.elapse(now)
        for region in self.store.regions.values():
            region.policed(now)

    def agree(self, now: int) -> None:
        """Raises AssertionError if the store differs from the truth."""
        self.elapse(now)
        true = {group.key: _values(group, now) for group in self.truth.all()}
        held = {
            (*target, name): _values(group, now)
            for target, region in self.store.regions.items()
            for name, group in region.groups.items()
        }
        differ = [key for key in true.keys() | held.keys() if true.get(key) != held.get(key)]
        assert not differ, [(key, true.get(key), held.get(key)) for key in differ]


def _values(group: Group | store.Group, now: int) -> dict[str, Any]:
    """Everything that the truth knows of a group; of expired events, only their times."""
    horizon = group.horizon(now)
    streams = {
        stream.name: (
            stream.created,
            stream.lag,
            [
                (e.at, e.ingested, *((e.count, e.bytes) if e.at >= horizon else ()))
                for e in stream.events
            ],
        )
        for stream in group.streams.values()
    }
    names = SETTINGS - {"policy_days"} | {"days"}
    return {name: getattr(group, name) for name in names} | {"streams": streams}
