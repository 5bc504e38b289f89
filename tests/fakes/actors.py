"""Others who use the account during a run.

An actor is any callable that is given each call before it is answered, the account and the time (ms
since the epoch). Its changes are true, and nobody is blamed for them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from janitor.sandbox.wire import Call
from tests.fakes.builder import Builder
from tests.fakes.truth import Key

Actor = Callable[[Call, Builder, int], None]


@dataclass
class Random:
    """Before each call, with the given chance, makes a random change to a random group; `kinds`
    names methods of this class.
    """

    seed: int = 0
    chance: float = 0.01
    kinds: Sequence[str] = (
        *("write", "stream", "delete", "recreate", "retain", "tag", "protect"),
        *("subscribe", "filter", "own"),
    )
    done: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, call: Call, account: Builder, now: int) -> None:
        if self._random.random() >= self.chance:
            return
        here = (call.account, call.region)
        if keys := sorted(g.key for g in account.truth.all() if g.key[:2] == here):
            key = self._chosen(call, keys)
            kind = self._random.choice(list(self.kinds))
            self.done.append((kind, key[2]))
            getattr(self, kind)(account, key, now)

    def _chosen(self, call: Call, keys: Sequence[Key]) -> Key:
        """The group to change; a subclass may go by the call."""
        return self._random.choice(keys)

    def write(self, account: Builder, key: Key, now: int) -> None:
        if "meanwhile" not in account.truth.there(key).streams:
            account.stream(key, "meanwhile", created=now)
        account.write(key, "meanwhile", now)

    def stream(self, account: Builder, key: Key, now: int) -> None:
        account.stream(key, f"meanwhile-{now}-{len(self.done)}", created=now)

    def delete(self, account: Builder, key: Key, now: int) -> None:
        if not account.truth.there(key).protected:
            account.delete(key, now)

    def recreate(self, account: Builder, key: Key, now: int) -> None:
        account.recreate(key, now)

    def retain(self, account: Builder, key: Key, now: int) -> None:
        days = self._random.choice((30, 90, 365, None))
        if account.truth.there(key).log_class != "DELIVERY":
            account.retain(key, days, now)

    def tag(self, account: Builder, key: Key, now: int) -> None:
        account.tag(key, {**account.truth.there(key).tags, "janitor:keep": "1"}, now)

    def protect(self, account: Builder, key: Key, now: int) -> None:
        account.set(key, protected=True)

    def subscribe(self, account: Builder, key: Key, now: int) -> None:
        self._filtered(account, key, "subscriptions")

    def filter(self, account: Builder, key: Key, now: int) -> None:
        self._filtered(account, key, "metric_filters")

    def _filtered(self, account: Builder, key: Key, kind: str) -> None:
        if account.truth.there(key).log_class == "STANDARD":  # the others take no filters
            account.set(key, **{kind: ("somebody",)})

    def own(self, account: Builder, key: Key, now: int) -> None:
        """Add a function that logs to the group."""
        account.function(key[0], key[1], "somebody", key[2])
