"""Others who use the account while a run goes on.

An actor is any callable that is told of each request before it is answered: `(call, world)`.
What actors do is recorded as theirs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from janitor.sandbox.wire import Call
from janitor.sandbox.store import Group
from janitor.sandbox.world import World

Actor = Callable[[Call | None, World], None]
"""Called with None where only time has passed."""


@dataclass
class Every:
    """Lets `act` run each so many seconds of the simulator's clock."""

    seconds: float
    act: Callable[[World], None]
    _due: float | None = None

    def __call__(self, call: Call | None, world: World) -> None:
        now = world.clock.seconds()
        if self._due is None:
            self._due = now + self.seconds
        while now >= self._due:
            self._due += self.seconds
            self.act(world)


@dataclass
class Before:
    """Lets `act` run once, before the nth call of an operation (about `group`, if given)."""

    operation: str
    act: Callable[[World], None]
    group: str | None = None
    nth: int = 1

    def __call__(self, call: Call | None, world: World) -> None:
        if call is None or call.operation != self.operation:
            return
        if self.group is not None and call.group != self.group:
            return
        self.nth -= 1
        if self.nth == 0:
            self.act(world)


@dataclass
class Random:
    """Before each request, with the given chance, a random change to a random group.

    `prefix` keeps it to groups named so; `kinds` names methods of this class.
    """

    seed: int = 0
    chance: float = 0.01
    prefix: str = ""
    kinds: Sequence[str] = ("write", "stream", "delete", "recreate", "retain", "tag", "protect")
    done: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, call: Call | None, world: World) -> None:
        if call is None or self._random.random() >= self.chance:
            return
        region = world.store.regions.get((call.account, call.region))
        names = [] if region is None else [n for n in region.names if n.startswith(self.prefix)]
        if region is None or not names:
            return
        group = region.groups[self._chosen(call, names)]
        kind = self._random.choice(list(self.kinds))
        self.done.append((kind, group.name))
        getattr(self, kind)(world, group)
        if kind != "delete":
            world.record.other(group, world.clock.now(), kind, by="actor")

    def _chosen(self, call: Call, names: Sequence[str]) -> str:
        """The name of the group to be changed; a subclass may go by the call."""
        return self._random.choice(names)

    def write(self, world: World, group: Group) -> None:
        write(world, group)

    def stream(self, world: World, group: Group) -> None:
        name = f"meanwhile-{world.tokens}-{len(self.done)}"
        world.store.add_stream(group, name, created=world.clock.now())

    def delete(self, world: World, group: Group) -> None:
        if not group.protected:
            delete(world, group)

    def recreate(self, world: World, group: Group) -> None:
        delete(world, group)
        world.store.add_group(group.account, group.region, group.name, created=world.clock.now())

    def retain(self, world: World, group: Group) -> None:
        days = self._random.choice((30, 90, 365, None))
        if group.log_class != "DELIVERY":
            world.store.set_retention(group, days, world.clock.now())

    def tag(self, world: World, group: Group) -> None:
        group.tags = group.tags | {"janitor:keep": "1"}

    def protect(self, world: World, group: Group) -> None:
        group.protected = True


def write(world: World, group: Group, stream: str = "meanwhile") -> None:
    """One event arrives now."""
    now = world.clock.now()
    if stream not in group.streams:
        world.store.add_stream(group, stream, created=now)
    world.store.write(group, stream, now)


def delete(world: World, group: Group) -> None:
    """Somebody else deletes the group."""
    world.record.deleted(group, world.clock.now(), world.clock.seconds(), by="actor")
    world.store.remove_group(group)
