"""Accounts to run against, and what the shipped policy should do to each of their groups.

What is expected follows from how a group was made, not from the janitor's code: groups that never
expire get 365 days; silent streams of `/aws/lambda/*` are swept; empty groups are deleted once
older than retention + 7 days; nothing that is protected, odd or in doubt is touched.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox import store
from janitor.sandbox.store import Lags
from tests.fakes.builder import Builder
from tests.fakes.truth import Key, Truth

ACCOUNT = "123456789012"
REGION = "eu-west-1"
REGIONS = (
    *("eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "ap-south-1", "sa-east-1"),
    *("us-east-2", "us-west-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-west-2", "eu-west-3", "eu-north-1"),
)
"""Those that every account has without opting in."""
GRACE = 7


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run with the shipped policy should do to a group."""

    why: str
    delete: bool = False
    days: int | None = None
    sweep: int = 0

    @property
    def verdict(self) -> str:
        """delete, retention, sweep or keep; a group that gets retention may be swept as well."""
        if self.delete:
            return "delete"
        if self.days is not None:
            return "retention"
        return "sweep" if self.sweep else "keep"


class Scenario(Builder):
    """An account as it is at `now`, and what should become of its groups."""

    def __init__(self, now: int | None = None, lags: Lags | None = None) -> None:
        super().__init__(lags)
        self.now = int(time.time() * 1000) if now is None else now
        self.expected: dict[Key, Expected] = {}

    def count(self, verdict: str) -> int:
        return sum(entry.verdict == verdict for entry in self.expected.values())

    def misses(self, before: Truth) -> list[str]:
        """How the account differs from what was expected; `before` is the truth before the run.

        Only for accounts that nobody else changed meanwhile.
        """
        found: list[str] = []
        for key, wanted in self.expected.items():
            old, new = before.there(key), self.truth.get(key)
            where = f"{'/'.join(key[:2])} {key[2]} ({wanted.why})"
            if new is None or new.created != old.created:
                if not wanted.delete:
                    found.append(f"{where}: deleted, not {wanted.verdict}")
                continue
            if wanted.delete:
                found.append(f"{where}: not deleted")
                continue
            days = old.retention if wanted.days is None else wanted.days
            if new.retention != days:
                found.append(f"{where}: retention {new.retention}, not {days}")
            gone = len(old.streams) - len(new.streams)
            if gone != wanted.sweep:
                found.append(f"{where}: {gone} streams swept, not {wanted.sweep}")
        return found


@dataclass
class _Target:
    """Makes groups in one account and Region; ages are days before now.

    Within a trap (`name`), groups are called `/trap/<name>/…` unless a whole name is given, and are
    400 days old with 30 days of retention unless said otherwise.
    """

    scenario: Scenario
    seed: int
    account: str = ACCOUNT
    region: str = REGION
    name: str = ""

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.seed} {self.account} {self.region}")
        self.scenario.region(self.account, self.region)

    def ago(self, days: float) -> int:
        return self.scenario.now - int(days * DAY_MS)

    def group(self, name: str, age: float, expected: Expected, **more: Any) -> Key:
        key = self.scenario.group(self.account, self.region, name, created=self.ago(age), **more)
        self.scenario.expected[key] = expected
        return key

    def stream(
        self, group: Key, name: str, age: float, event: float | None = None, **more: Any
    ) -> None:
        """Add a stream, with an event of so many days ago."""
        events = [] if event is None else [(self.ago(event), 10, 2000)]
        self.scenario.stream(group, name, created=self.ago(age), events=events, **more)

    # ---- ordinary groups -------------------------------------------------------------------------

    def plain(self, name: str) -> None:
        """Add a group with retention, and events inside it."""
        days = self.random.choice((7, 14, 30, 60, 90, 365))
        age = self.random.uniform(2, 900)
        kept = Expected("retention, and in use")
        stored = self.random.randrange(1, 10**9)
        group = self.group(name, age, kept, retention=days, stored=stored)
        self.stream(group, "application", age, min(age, self.random.uniform(0.01, days - 0.5)))

    def never(self, name: str) -> None:
        """Add a group without retention, and events of all ages."""
        age = self.random.uniform(2, 900)
        wanted = Expected("never expires", days=365)
        group = self.group(name, age, wanted, stored=self.random.randrange(1, 10**9))
        self.stream(group, "application", age, self.random.uniform(0.01, min(age, 300)))

    def empty(self, name: str) -> None:
        """Add a group that is old enough, with 0 to 3 streams whose every event has expired."""
        days = self.random.choice((7, 14, 30, 60, 90))
        age = days + GRACE + self.random.uniform(60, 800)
        wanted = Expected("every event expired long ago", delete=True)
        group = self.group(name, age, wanted, retention=days)
        for number in range(self.random.randrange(4)):
            event = self.random.uniform(days + GRACE + 2, age)
            self.stream(group, f"application/{number}", age, event)

    # ---- traps -----------------------------------------------------------------------------------

    def _trap(self, name: str, wanted: Expected, age: float, **more: Any) -> Key:
        name = name if name.startswith(("/", "aws")) else f"/trap/{self.name}/{name}"
        return self.group(name, age, wanted, **{"retention": 30} | more)

    def kept(self, name: str, why: str, age: float = 400, **more: Any) -> Key:
        return self._trap(name, Expected(why), age, **more)

    def gone(self, name: str, why: str, age: float = 400, **more: Any) -> Key:
        return self._trap(name, Expected(why, delete=True), age, **more)

    def gets(self, days: int, name: str, why: str, age: float = 400, **more: Any) -> Key:
        return self._trap(name, Expected(why, days=days), age, retention=None, **more)

    def swept(self, name: str, why: str, sweep: int, **more: Any) -> Key:
        days = 365 if "retention" in more else None
        return self._trap(name, Expected(why, days=days, sweep=sweep), 400, **more)

    def written(self, group: Key, event: float | None, age: float = 399, **more: Any) -> None:
        self.stream(group, "application", age, event, **more)

    def function(self, name: str, group: str | None = None, region: str = REGION) -> None:
        self.scenario.function(ACCOUNT, region, name, group)


def bench(
    groups: int = 10_000,
    never_expire: float = 0.02,
    empty: float = 0.03,
    *,
    seed: int = 0,
    now: int | None = None,
    account: str = ACCOUNT,
    region: str = REGION,
    into: Scenario | None = None,
) -> Scenario:
    """Mostly groups with retention and stored bytes; some that never expire; some empty."""
    scenario = into or Scenario(now)
    target = _Target(scenario, seed, account, region)
    without, nothing = round(groups * never_expire), round(groups * empty)
    kinds: list[Callable[[str], None]] = [target.never] * without
    kinds += [target.empty] * nothing
    kinds += [target.plain] * (groups - without - nothing)
    target.random.shuffle(kinds)
    for number, make in enumerate(kinds):
        make(f"/app/{number % 97:02d}/service-{number:06d}")
    return scenario


class _Million(store.Region):
    """A Region as full as AWS allows. Its groups, all with retention and bytes, are made when they
    are listed, and cannot be changed.
    """

    def __init__(self, groups: int, seed: int, now: int) -> None:
        super().__init__(ACCOUNT, REGION)
        drawn = random.Random(seed)
        self.names = [f"/app/service-{number:07d}" for number in range(groups)]
        self._created = [now - int(drawn.uniform(1, 900) * DAY_MS) for _ in range(4096)]
        self._days = [drawn.choice((7, 14, 30, 60, 90, 365)) for _ in range(4096)]

    def after(self, name: str, within: str = "") -> Iterator[store.Group]:
        for number in range(bisect_right(self.names, name), len(self.names)):
            if within in self.names[number]:
                group = store.Group(ACCOUNT, REGION, self.names[number], 0)
                group.created = self._created[number & 4095]
                group.retention = self._days[number * 7 & 4095]
                group.stored = 1 + (number * 2_654_435_761 & 0xFFFFFFF)
                yield group

    def __len__(self) -> int:
        return len(self.names)


def million(groups: int = 1_000_000, *, seed: int = 0, now: int | None = None) -> Scenario:
    """One Region of a million groups. Nothing is expected of single groups."""
    scenario = Scenario(now)
    scenario.store.regions[ACCOUNT, REGION] = _Million(groups, seed, scenario.now)
    return scenario


def targets(
    accounts: int = 2, regions: int = 4, groups: int = 200, *, seed: int = 0, now: int | None = None
) -> Scenario:
    """Several accounts and Regions, each a small `bench`."""
    scenario = Scenario(now)
    for account in range(accounts):
        for region in REGIONS[:regions]:
            owner = str(int(ACCOUNT) + account)
            bench(groups, seed=seed, account=owner, region=region, into=scenario)
    return scenario


# ---- every trap ----------------------------------------------------------------------------------


def messy(groups: int = 2_000, *, seed: int = 0, now: int | None = None) -> Scenario:
    """Every trap, each several times, among plain groups. Metadata lags by an hour or less."""
    scenario = Scenario(now, Lags(stream=1800, stored=3600, metric=180))
    target = _Target(scenario, seed)
    scenario.region(ACCOUNT, "us-east-1")
    copies = max(1, groups // (12 * len(_TRAPS)))
    for copy in range(copies):
        for trap in _TRAPS:
            target.name = f"{trap.__name__.strip('_').replace('_', '-')}-{copy:03d}"
            trap(target)
    own = Expected("the janitor's own")  # of which there is one only
    target.group("/cloudwatch-janitor/janitor", 400, own, retention=30)
    for number in range(groups - len(scenario.expected)):
        (target.plain if number % 20 else target.never)(f"/app/service-{number:06d}")
    return scenario


def _empty_old(t: _Target) -> None:
    t.empty(f"/trap/{t.name}")
    t.gone("bare", "empty, 30 days, no streams")
    t.gone("edge", "just older than retention + grace", 30 + GRACE + 0.5)
    t.gone("never", "never expired, empty for more than 372 days", 500, retention=None)
    group = t.gone("unwritten", "streams that were never written, long ago", 300)
    for number in range(70):
        t.stream(group, f"never/{number:03d}", 299)


def _young(t: _Target) -> None:
    t.kept("minutes", "empty, but young", 0.001, retention=1)
    t.kept("days", "empty, but young", 20)
    t.kept("grace", "empty, but young", 30 + GRACE - 0.2)
    t.gets(365, "never", "empty and never expires, but younger than 372 days", 300)


def _protected(t: _Target) -> None:
    t.kept("tag", "protected by tag", tags={"janitor:keep": ""})
    t.kept("tag-never", "protected by tag", tags={"janitor:keep": "true"}, retention=None)
    stack = {"aws:cloudformation:stack-name": "shop", "team": "shop"}
    t.kept("stack", "protected by stack", tags=stack)
    why = "a stack's group gets its retention"
    t.gets(365, "stack-never", why, 500, tags=stack)
    t.kept(f"aws-controltower/{t.name}", "Control Tower's own", 500, retention=None)
    t.kept(f"aws/{t.name}", "only AWS could make it again")
    t.gets(365, f"aws/{t.name}-never", "retention can be put again", 500)
    t.kept("deletion", "protected by AWS", protected=True)
    why = "deletion protection does not mind retention"
    t.gets(365, "deletion-never", why, 500, protected=True)
    t.kept("metric", "protected by filter", metric_filters=("errors",))
    t.kept("subscribed", "protected by filter", subscriptions=("to",))
    why = "subscribed to, and never expires"
    t.gets(365, "subscribed-never", why, 500, subscriptions=("to",))
    t.gone("other-tag", "a tag that protects nothing", tags={"janitor:kept": "no"})


def _owned(t: _Target) -> None:
    t.function(f"live-{t.name}")
    t.kept(f"/aws/lambda/live-{t.name}", "a live function logs here")
    t.function(f"custom-{t.name}", f"/trap/{t.name}/custom")
    t.kept("custom", "a live function logs here")
    t.gone(f"/aws/lambda/custom-{t.name}", "its function logs elsewhere")
    t.gone(f"/aws/lambda/former-{t.name}", "its function was deleted")
    t.function(f"edge-{t.name}", region="us-east-1")
    edge = f"/aws/lambda/us-east-1.edge-{t.name}"
    t.kept(edge, "a live Lambda@Edge function logs here")
    t.function(f"own-{t.name}", f"/trap/{t.name}/edge", region="us-east-1")
    t.kept("edge", "a live Lambda@Edge function logs here")


def _account_policy(t: _Target) -> None:
    never: dict[str, Any] = {"policy": "forever", "retention": None}
    t.kept("forever", "account-level NEVER_EXPIRE", 900, **never)
    name = f"/aws/lambda/{t.name}-forever"
    t.written(t.kept(name, "account-level NEVER_EXPIRE", 900, stored=9, **never), 500, 900)
    t.kept("own-beneath", "account-level NEVER_EXPIRE", 900, policy="forever")
    ninety: dict[str, Any] = {"policy": "ninety", "policy_days": 90, "retention": None}
    t.gone("ninety", "empty beyond the account-level 90 days", **ninety)
    why = "younger than the account-level 731 days"
    t.kept("two-years", why, policy="two", policy_days=731)


def _classes(t: _Target) -> None:
    t.kept("delivery", "DELIVERY does not accept retention", log_class="DELIVERY", retention=None)
    for log_class in ("INFREQUENT_ACCESS", "ESSENTIALS"):
        t.gone(log_class, "empty, of whatever class", log_class=log_class)
    why = "never expires, of whatever class"
    t.gets(365, "never", why, log_class="INFREQUENT_ACCESS", stored=1)
    t.gone("kms", "empty and encrypted", kms="arn:aws:kms:::key/1")


def _lagging(t: _Target) -> None:
    nothing = {"storedBytes": 0}
    group = t.kept("hidden", "written two hours ago, which its stream does not show", odd=nothing)
    t.written(group, 2 / 24, lag=6 * 3600)
    t.written(t.kept("recent", "written 20 minutes ago, stream and bytes lag"), 20 / 1440)
    why = "bytes of what has expired are still shown"
    t.written(t.kept("stored", why, odd={"storedBytes": 4096}), 200)
    t.written(t.kept("created", "a stream was created just now"), None, 0.0001)
    group = t.kept("behind", "a live stream behind a page of never-written ones", odd=nothing)
    for number in range(60):
        t.stream(group, f"never/{number:03d}", 399)
    t.stream(group, "written", 399, 3)
    t.written(t.kept("grace", "expired, but within the days of grace"), 33)


def _recreated(t: _Target) -> None:
    first = t.kept("young", "made again five days ago; the metric knows the first one")
    t.written(first, 100)
    t.scenario.recreate(first, t.ago(5), retention=30)
    first = t.gone("old", "made again long ago, and empty since")
    t.written(first, 150)
    t.scenario.recreate(first, t.ago(140), retention=30)
    group = t.kept("arrived", "the metric knows of events under this name since the cutoff")
    t.written(group, 3)
    t.scenario.delete_stream(group, "application")


def _odd(t: _Target) -> None:
    odd: dict[str, dict[str, Any]] = {
        "no-bytes": {"storedBytes": ...},
        "negative": {"storedBytes": -1},
        "no-time": {"creationTime": ...},
        "zero-days": {"retentionInDays": 0},
        "class": {"logGroupClass": "GLACIAL"},
    }
    for kind, values in odd.items():
        t.kept(kind, "odd values", odd=values)
    t.kept("never-odd", "odd values", odd={"storedBytes": -1}, retention=None)


def _lambda(t: _Target) -> None:
    """Streams as Lambda names them: by day."""

    def streams(group: Key, ages: list[float]) -> None:
        for number, age in enumerate(ages):
            day = datetime.fromtimestamp(t.ago(age) / 1000, UTC)
            name = f"{day:%Y/%m/%d}/[$LATEST]{number:032x}"
            t.stream(group, name, age + 0.01, age)

    silent, alive = [300.0, 200.0, 120.0, 60.0, 45.0], [36.0, 20.0, 5.0, 0.1]
    of = f"/aws/lambda/{t.name}"
    streams(t.swept(f"{of}-busy", "silent streams beside live ones", 5, stored=5), silent + alive)
    why, old = "never expires, and is swept then", [398.0, 390.0, 385.0, 380.0, 374.0]
    streams(t.swept(f"{of}-never", why, 5, stored=5, retention=None), old + silent + alive)
    tags = {"aws:cloudformation:stack-name": "shop"}
    group = t.swept(f"{of}-stack", "a stack's group is swept", 5, stored=5, tags=tags)
    streams(group, silent + alive)
    t.function(f"{t.name}-idle")
    streams(t.swept(f"{of}-idle", "empty, kept for its live function, swept", 5), silent)
    group = t.swept(f"{of}-many", "several pages of silent streams", 120, stored=5)
    streams(group, [100 + number / 10 for number in range(120)] + alive)
    streams(t.gets(365, f"{of}-young", "too young to be swept", 20, stored=5), [19.0, 5.0])
    tags = {"janitor:keep": "1"}
    streams(t.kept(f"{of}-kept", "protected by tag, not swept either", stored=5, tags=tags), silent)
    why = "protected from deletion, so not swept either"
    streams(t.kept(f"{of}-safe", why, protected=True), silent)


_TRAPS: tuple[Callable[[_Target], None], ...] = (
    *(_empty_old, _young, _protected, _owned, _account_policy),
    *(_classes, _lagging, _recreated, _odd, _lambda),
)
SCENARIOS: dict[str, Callable[..., Scenario]] = {"bench": bench, "messy": messy, "million": million}
