"""Makes log groups, and what is in them, in the store and in the record of truth alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox import store
from janitor.sandbox.retention_policies import RetentionPolicy, Terms
from tests.fakes.truth import Event, Group, Key, Policy, Rows, Target, Truth


class Builder:
    """The fake account, for whoever makes it or changes it without calling it.

    Log groups go by account, Region and name, times are ms since the epoch; for the rest see
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
        """The Region is enabled in the account."""
        self.store.region(account, region)

    def function(self, account: str, region: str, name: str, group: str | None = None) -> None:
        """A Lambda function, which logs to `group` if that is not its own."""
        self.store.region(account, region).functions[name] = group
        self.truth.function(account, region, name, group)

    def group(self, account: str, region: str, name: str, *, created: int, **more: Any) -> Key:
        """A log group; `more` are its settings, and `policy` and `policy_days` (None: never expire)
        an account-level policy that is in force on its name.
        """
        policy, days = more.pop("policy", None), more.pop("policy_days", None)
        self.store.add_group(account, region, name, created=created, **more)
        self.truth.group(account, region, name, created=created, **more)
        if policy is not None:
            self.policy((account, region), policy, days, name)
        return (account, region, name)

    def coming(self, target: Target, name: str, days: int | None, due: int) -> None:
        """An account-level retention policy on all groups that was put, and is in force at `due`.

        The Region must have no other yet.
        """
        put = due - DAY_MS
        made = RetentionPolicy(name, Terms(days), created=put, updated=put)
        self.store.region(*target).policies.append(made)
        self.truth.police(target, [Policy(name, None, Terms(days), due, put)])

    def policy(self, target: Target, name: str, days: int | None, *prefixes: str) -> None:
        """An account-level retention policy (None: never expire) that has long been in force."""
        self.store.add_policy(*target, name, days, *prefixes)
        policies = {policy.name: policy for policy in self.truth.policies.get(target, ())}
        terms = policies[name].force if name in policies else None
        known = () if terms is None else terms.prefixes
        policies[name] = Policy(name, Terms(days, (*known, *(prefixes or ("",)))))
        self.truth.police(target, policies.values())

    def rows(self, target: Target, rows: Rows) -> None:
        """So many groups that they are not made one by one."""
        plain = store.Plain(rows.names, rows.created, rows.retention, rows.stored)
        self.store.region(*target).plain = plain
        self.truth.rows[target] = rows

    def stream(
        self, key: Key, name: str, *, events: Sequence[tuple[int, int, int]] = (), **more: Any
    ) -> None:
        """A log stream, with events of (time, count, bytes) that arrived at once."""
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
        """Events of the time `at`, which arrived then or at `ingested`."""
        arrived = at if ingested is None else ingested
        self.store.write(self._stored(key), stream, at, count, size, ingested=arrived)
        self.truth.write(key, stream, [Event(at, count, size, arrived)])

    def set(self, key: Key, **settings: Any) -> None:
        """Other settings than retention and tags, which `retain` and `tag` change."""
        for name, value in settings.items():
            setattr(self._stored(key), name, value)
        self.truth.set(key, **settings)

    def tag(self, key: Key, tags: Mapping[str, str], now: int) -> None:
        """The group has these tags from now on; the tagging API shows it later."""
        self.store.tag(self._stored(key), tags, now)
        self.truth.set(key, tags=tags)

    def retain(self, key: Key, days: int | None, now: int) -> None:
        """Another retention, or none."""
        self.store.set_retention(self._stored(key), days, now)
        self.truth.retain(key, days, now)

    def delete_stream(self, key: Key, name: str) -> None:
        self.store.remove_stream(self._stored(key), name)
        self.truth.delete_stream(key, name)

    def delete(self, key: Key, now: int | None = None) -> None:
        """With `now`, the tagging API shows its tags for a while."""
        self.store.remove_group(self._stored(key), now)
        self.truth.delete(key)

    def recreate(self, key: Key, at: int, **more: Any) -> None:
        """The group is deleted, and another made under its name."""
        self.delete(key, at)
        self.group(*key, created=at, **more)

    def elapse(self, now: int) -> None:
        """It is as late as that: what comes next meets the account-level policies in force then."""
        self.truth.elapse(now)
        for region in self.store.regions.values():
            region.policed(now)

    def agree(self, now: int) -> None:
        """Raises AssertionError where the store holds anything else than what is true by now."""
        if self.truth.rows:
            return  # too many to be compared
        self.elapse(now)
        true = {group.key: _values(group, now) for group in self.truth.all()}
        held = {(g.account, g.region, g.name): _values(g, now) for g in self.store.groups()}
        differ = [key for key in true.keys() | held.keys() if true.get(key) != held.get(key)]
        assert not differ, [(key, true.get(key), held.get(key)) for key in differ]


def _values(group: Group | store.Group, now: int) -> dict[str, Any]:
    """All there is of it; of events that have expired, no more than their times."""
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
    names = {one.name for one in fields(Group)} - {"policy_days"} | {"days"}
    said = {name: getattr(group, name) for name in names}
    return said | {"streams": streams, "transformer": list(group.transformer)}
