"""Judges what was done to the fake account, by the record of truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from janitor.sandbox.account import THROTTLING
from janitor.sandbox.quotas import QUOTAS
from janitor.sandbox.wire import Call, RefusedError
from tests.fakes.faults import CHANGING
from tests.fakes.truth import Event, Group, Key, Truth


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a call made or, without `effect`, was refused.

    `group` is as before the change, or as created. `alive` are the lost events inside the retention
    in force, `alive_bytes` their bytes and those of `Group.stored` (lost with the group or its last
    stream). `look` is how many seconds before the change the caller was last shown the group, by
    prefix or identifier, or began to read its streams; None if never.
    """

    at: int
    operation: str
    group: Group
    stream: str | None = None
    effect: bool = True
    alive: tuple[Event, ...] = ()
    alive_bytes: int = 0
    after: int | None = None
    look: float | None = None

    @property
    def key(self) -> Key:
        return self.group.key

    @property
    def wrong(self) -> bool:
        """Whether it lost what was alive."""
        return self.effect and (bool(self.alive) or self.alive_bytes > 0)


@dataclass
class Verdict:
    """The verdict on a run; its lists of changes leave out refused ones.

    `bounds` are the seconds that the quotas require for the calls let through, per operation;
    `timeline` counts an operation's calls in each second since the first call. `unlooked` are
    deletions of groups that were never looked at, `longest_look` the longest time since a look.
    """

    changes: list[Change]
    calls: Counter[str]
    throttled: Counter[str]
    unknown: Counter[str]
    bounds: dict[str, float]
    timeline: dict[str, list[int]]

    def __post_init__(self) -> None:
        done = [change for change in self.changes if change.effect]
        self.deletions = [one for one in done if one.operation == "DeleteLogGroup"]
        self.sweeps = [one for one in done if one.operation == "DeleteLogStream"]
        self.puts = [one for one in done if one.operation == "PutRetentionPolicy"]
        self.wrong_deletions = [change for change in self.deletions if change.wrong]
        self.wrong_sweeps = [change for change in self.sweeps if change.wrong]
        self.unlooked = [change for change in self.deletions if change.look is None]
        looks = (change.look for change in self.deletions if change.look is not None)
        self.longest_look = max(looks, default=None)


class Judge:
    """Observes every call and its outcome, and keeps the truth up to date."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.changes: list[Change] = []
        self._seconds: Counter[tuple[str, int]] = Counter()
        self._let_through: Counter[tuple[str, str, str]] = Counter()
        self._throttled: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._looks: dict[tuple[Key, int], float] = {}
        self._readings: dict[str, float] = {}
        """When the reading of streams began that a page token continues."""
        self._began: float | None = None

    def called(self, call: Call, seconds: float) -> None:
        """A call came in, whatever becomes of it."""
        self._let_through[call.account, call.region, call.operation] += 1
        self._began = seconds if self._began is None else self._began
        self._seconds[call.operation, int(seconds - self._began)] += 1

    def refused(self, call: Call, error: RefusedError) -> None:
        """The call was refused, by the account or by a fault."""
        if error.code == "UnknownOperationException":
            self._unknown[f"{call.operation}: {error.message}"] += 1
        if (error.code, error.status) in THROTTLING.values():
            self._throttled[call.operation] += 1
            self._let_through[call.account, call.region, call.operation] -= 1

    def tried(self, call: Call, now: int) -> Change | None:
        """The call changed nothing; returns the change that it tried."""
        group = self.truth.get(_key(call))
        if not call.operation.startswith(CHANGING) or group is None:
            return None
        change = Change(now, call.operation, group, _stream(call), effect=False)
        self.changes.append(change)
        return change

    def answered(self, call: Call, now: int, seconds: float) -> Change | None:
        """The call took effect, whether or not the caller hears of it; returns its change."""
        key = _key(call)
        before = self.truth.get(key)
        self.truth.follow(call, now)
        after = self.truth.get(key)
        group = before or after
        if not call.operation.startswith(CHANGING) or group is None:
            return None
        alive, left = ([] if g is None else g.alive(now) for g in (before, after))
        lost = tuple((Counter(alive) - Counter(left)).elements())
        # Stored bytes without known events are lost with the last stream at the latest.
        stored = group.stored if after is None or not after.streams else 0
        stored *= call.operation in ("DeleteLogGroup", "DeleteLogStream")
        look = self._looks.get((key, group.created))
        change = Change(
            *(now, call.operation, group, _stream(call)),
            alive=lost,
            alive_bytes=stored + sum(event.bytes for event in lost),
            after=None if after is None else after.retention,
            look=None if look is None else seconds - look,
        )
        self.changes.append(change)
        return change

    def heard(self, call: Call, seconds: float) -> None:
        """The answer is on its way to the caller, who has looked at what it shows."""
        p, result = call.parameters, call.result or {}
        following = result.get("nextToken")
        if call.operation == "DescribeLogGroups":
            # A page of the whole list is not a look at a group, and neither are names alone.
            if p.get("logGroupNamePrefix") or p.get("logGroupIdentifiers"):
                for entry in result["logGroups"]:
                    self._looked((call.account, call.region, entry["logGroupName"]), seconds)
        elif call.operation == "DescribeLogStreams":
            # The first page is as old as the beginning of the reading.
            began = self._readings.get(p.get("nextToken") or "", seconds)
            if following:
                self._readings[following] = began
            if result["logStreams"] or not following:
                self._looked(_key(call), began)

    def _looked(self, key: Key, seconds: float) -> None:
        identity = (key, self.truth.there(key).created)
        self._looks[identity] = max(seconds, self._looks.get(identity, seconds))

    def verdict(self) -> Verdict:
        """The verdict on what happened so far."""
        last = max((second for _, second in self._seconds), default=-1)
        names = sorted({name for name, _ in self._seconds})
        timeline = {name: [self._seconds[name, at] for at in range(last + 1)] for name in names}
        bounds: dict[str, float] = {}
        for (_, region, operation), count in self._let_through.items():
            if (quota := QUOTAS.get(operation)) is not None:
                # A full bucket saves up to a second of it. GetMetricData's quota of data points is
                # left out, as it depends on what was asked.
                seconds = count / quota.default(region)
                bounds[operation] = max(bounds.get(operation, 0.0), seconds)
        return Verdict(
            self.changes.copy(),
            Counter({name: sum(timeline[name]) for name in names}),
            self._throttled.copy(),
            self._unknown.copy(),
            bounds,
            timeline,
        )


def _key(call: Call) -> Key:
    return (call.account, call.region, call.group or "")


def _stream(call: Call) -> str | None:
    return call.parameters.get("logStreamName")
