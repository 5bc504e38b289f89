"""What really happened: every change and every look, and what to think of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from janitor.sandbox.quotas import rate_of
from janitor.sandbox.store import Events, Group, Store, Stream

GroupKey = tuple[str, str, str]
Looks = dict[GroupKey, float]
"""The second at which a group, by account, Region and name, was looked at last."""
_RETENTION = ("PutRetentionPolicy", "DeleteRetentionPolicy")


@dataclass(frozen=True, slots=True)
class Change:
    """One change, or an attempt at one that was refused (`effect` False).

    `alive` are the events inside the retention in force that it took away; `alive_bytes` their
    bytes and those of `Group.stored` (of streams: with the group's last one). Looks are seconds
    before a deletion, None without any that the caller was answered: `group_look` since
    DescribeLogGroups showed the group by prefix or identifier, `streams_look` since the reading of
    its streams began.
    """

    at: int
    account: str
    region: str
    operation: str
    group: str
    created: int
    effect: bool = True
    by: str = "caller"
    stream: str | None = None
    alive: tuple[Events, ...] = ()
    alive_bytes: int = 0
    before: int | None = None
    after: int | None = None
    policy: str | None = None
    group_look: float | None = None
    streams_look: float | None = None

    @property
    def look(self) -> float | None:
        """Seconds since the last look at the group or its streams."""
        looks = [age for age in (self.group_look, self.streams_look) if age is not None]
        return min(looks) if looks else None

    @property
    def wrong(self) -> bool:
        """It took away what was alive."""
        return self.effect and (bool(self.alive) or self.alive_bytes > 0)

    def wrong_before(self, seconds: float) -> bool:
        """It took away something that had arrived more than so many seconds earlier."""
        late = self.at - int(seconds * 1000)
        known = any(events.ingested <= late for events in self.alive)
        opaque = self.alive_bytes > sum(events.bytes for events in self.alive)
        return self.effect and (known or opaque)


@dataclass
class Record:
    """Written by the simulator while requests come in."""

    changes: list[Change] = field(default_factory=list)
    group_looks: Looks = field(default_factory=dict)
    stream_looks: Looks = field(default_factory=dict)
    unsent: list[tuple[Looks, GroupKey, float]] = field(default_factory=list)
    """Looks of an answer that is being made: whether the caller gets it is not settled yet."""
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    throttled: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    began: float | None = None
    ended: float = 0.0

    def called(self, account: str, region: str, operation: str, seconds: float) -> None:
        """A call came in, whatever becomes of it."""
        self.calls[account, region, operation] += 1
        self.began = seconds if self.began is None else self.began
        self.ended = seconds

    def looked(self, looks: Looks, group: Group, seconds: float) -> None:
        """The answer that is being made shows the group, or its streams, as of `seconds`."""
        self.unsent.append((looks, (group.account, group.region, group.name), seconds))

    def sent(self, *, told: bool) -> None:
        """The answer is on its way, or (not `told`) it got lost and nobody has looked."""
        for looks, key, seconds in self.unsent if told else ():
            looks[key] = max(seconds, looks.get(key, seconds))
        self.unsent.clear()

    def deleted(self, group: Group, now: int, seconds: float, *, by: str = "caller") -> None:
        """A log group is about to go."""
        key = (group.account, group.region, group.name)
        alive = group.alive(now)
        self._add(
            now,
            "DeleteLogGroup",
            group,
            by=by,
            alive=tuple(alive),
            alive_bytes=group.stored + sum(events.bytes for events in alive),
            group_look=_age(self.group_looks.pop(key, None), seconds),
            streams_look=_age(self.stream_looks.pop(key, None), seconds),
        )

    def swept(self, group: Group, stream: Stream, now: int, seconds: float) -> None:
        """A log stream is about to go."""
        key = (group.account, group.region, group.name)
        alive = group.alive(now, [stream])
        # Which stream holds them is not known before it is the only one.
        stored = group.stored if len(group.streams) == 1 else 0
        self._add(
            now,
            "DeleteLogStream",
            group,
            stream=stream.name,
            alive=tuple(alive),
            alive_bytes=stored + sum(events.bytes for events in alive),
            group_look=_age(self.group_looks.get(key), seconds),
            streams_look=_age(self.stream_looks.get(key), seconds),
        )

    def retained(
        self, group: Group, now: int, before: int | None, lost: list[Events], operation: str
    ) -> None:
        """Retention was put or taken away; under an account-level policy it is only saved."""
        self._add(
            now,
            operation,
            group,
            before=before,
            after=group.retention,
            policy=group.policy,
            alive=tuple(lost),
            alive_bytes=sum(events.bytes for events in lost),
        )

    def refused(self, group: Group, now: int, operation: str) -> None:
        """A deletion or a change was refused because of what the group is."""
        self._add(now, operation, group, effect=False)

    def other(self, group: Group, now: int, operation: str, *, by: str = "caller") -> None:
        """Any other change."""
        self._add(now, operation, group, by=by)

    def _add(self, now: int, operation: str, group: Group, **more: Any) -> None:
        change = Change(
            now, group.account, group.region, operation, group.name, group.created, **more
        )
        self.changes.append(change)


def _age(look: float | None, seconds: float) -> float | None:
    return None if look is None else seconds - look


@dataclass(frozen=True)
class Verdict:
    """What to think of a run.

    `overwritten`: retention changed or taken away where the group had some of its own.
    `wasted_puts`: puts on groups under an account-level policy. `protected`: deletions of protected
    groups that were tried. `seconds` passed between the first call and the last.
    """

    deletions: list[Change]
    sweeps: list[Change]
    puts: list[Change]
    wrong_deletions: list[Change]
    wrong_sweeps: list[Change]
    overwritten: list[Change]
    wasted_puts: list[Change]
    protected: list[Change]
    calls: Counter[str]
    throttled: Counter[str]
    unknown: Counter[str]
    bounds: dict[str, float]
    seconds: float

    @property
    def bound(self) -> float:
        """Seconds that the quotas ask for at least, given the calls that were let through."""
        return max(self.bounds.values(), default=0.0)

    @property
    def longest_look(self) -> float | None:
        """Seconds between look and deletion, of the deletion that was looked at longest ago."""
        return max((c.look for c in self.deletions if c.look is not None), default=None)

    @property
    def unlooked(self) -> list[Change]:
        """Deletions of groups that were never looked at."""
        return [change for change in self.deletions if change.look is None]

    def summary(self) -> dict[str, Any]:
        """Counts, and the changes that went wrong, as JSON has them."""
        return {
            "deletions": len(self.deletions),
            "sweeps": len(self.sweeps),
            "puts": len(self.puts),
            "wrong_deletions": [asdict(change) for change in self.wrong_deletions],
            "wrong_sweeps": [asdict(change) for change in self.wrong_sweeps],
            "overwritten": len(self.overwritten),
            "wasted_puts": len(self.wasted_puts),
            "protected": len(self.protected),
            "unlooked": len(self.unlooked),
            "longest_look": self.longest_look,
            "calls": dict(self.calls),
            "throttled": dict(self.throttled),
            "unknown": dict(self.unknown),
            "bounds": self.bounds,
            "bound": self.bound,
            "seconds": self.seconds,
        }


def judge(record: Record, store: Store) -> Verdict:
    """The verdict on what the caller did; what actors did is not held against it."""
    mine = [change for change in record.changes if change.by == "caller"]
    done = [change for change in mine if change.effect]
    deletions = [change for change in done if change.operation == "DeleteLogGroup"]
    sweeps = [change for change in done if change.operation == "DeleteLogStream"]
    puts = [change for change in done if change.operation == "PutRetentionPolicy"]
    return Verdict(
        deletions=deletions,
        sweeps=sweeps,
        puts=puts,
        wrong_deletions=[change for change in deletions if change.wrong],
        wrong_sweeps=[change for change in sweeps if change.wrong],
        overwritten=[
            change
            for change in done
            if change.operation in _RETENTION and change.before not in (None, change.after)
        ],
        wasted_puts=[change for change in puts if change.policy is not None],
        protected=[c for c in mine if not c.effect and c.operation == "DeleteLogGroup"],
        calls=_summed(record.calls),
        throttled=_summed(record.throttled),
        unknown=Counter(record.unknown),
        bounds=bounds(record.calls - record.throttled, store),
        seconds=0.0 if record.began is None else record.ended - record.began,
    )


def bounds(needed: Counter[tuple[str, str, str]], store: Store) -> dict[str, float]:
    """Seconds that the quotas ask for per operation, in the account and Region that needs most.

    A bucket that is full to begin with saves up to a second of it. The data points that
    GetMetricData may ask for are left out: they depend on what was asked.
    """
    seconds: dict[str, float] = {}
    for (account, region, operation), count in needed.items():
        rate = rate_of(store, account, region, operation)
        if rate is not None:
            seconds[operation] = max(seconds.get(operation, 0.0), count / rate)
    return seconds


def _summed(counted: Counter[tuple[str, str, str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for (_account, _region, operation), count in counted.items():
        total[operation] += count
    return total
