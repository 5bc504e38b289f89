"""Accounts to run against, and what is right for each of their groups under the shipped policy.

What is expected follows from how a group was made, not from any code of the janitor: 365 days for
groups that never expire, 30 for `/aws/lambda/*`, whose silent streams are swept; empty groups
deleted once older than retention + 7 days; nothing that is protected, odd or in doubt is touched.
"""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from janitor.sandbox.clocks import DAY_MS
from janitor.sandbox.store import Lags
from tests.fakes.builder import Builder
from tests.fakes.truth import Key, Rows, Truth

ACCOUNT = "123456789012"
REGION = "eu-west-1"
REGIONS = (
    *("eu-west-1", "us-east-1", "eu-central-1", "us-west-2", "ap-south-1", "sa-east-1"),
    *("us-east-2", "us-west-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-west-2", "eu-west-3", "eu-north-1"),
)
"""Those that every account has, without asking for it."""
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

        Only for accounts that nobody else touched meanwhile.
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


class _Target:
    """Makes groups in one account and Region; ages are days before now."""

    def __init__(
        self, scenario: Scenario, seed: int, account: str = ACCOUNT, region: str = REGION
    ) -> None:
        self.scenario = scenario
        self.random = random.Random(f"{seed} {account} {region}")
        self.account = account
        self.region = region
        scenario.region(account, region)

    def ago(self, days: float) -> int:
        return self.scenario.now - int(days * DAY_MS)

    def group(self, name: str, age: float, expected: Expected, **more: Any) -> Key:
        key = self.scenario.group(self.account, self.region, name, created=self.ago(age), **more)
        self.scenario.expected[key] = expected
        return key

    def stream(
        self,
        group: Key,
        name: str,
        age: float,
        event: float | None = None,
        *,
        lag: float | None = None,
    ) -> None:
        events = [] if event is None else [(self.ago(event), 10, 2000)]
        self.scenario.stream(group, name, created=self.ago(age), events=events, lag=lag)

    def plain(self, name: str) -> None:
        """Retention, and events inside it."""
        days = self.random.choice((7, 14, 30, 60, 90, 365))
        age = self.random.uniform(2, 900)
        kept = Expected("retention, and in use")
        stored = self.random.randrange(1, 10**9)
        group = self.group(name, age, kept, retention=days, stored=stored)
        self.stream(group, "application", age, min(age, self.random.uniform(0.01, days - 0.5)))

    def never(self, name: str) -> None:
        """No retention, and events of all ages."""
        age = self.random.uniform(2, 900)
        wanted = Expected("never expires", days=365)
        group = self.group(name, age, wanted, stored=self.random.randrange(1, 10**9))
        self.stream(group, "application", age, self.random.uniform(0.01, min(age, 300)))

    def empty(self, name: str) -> None:
        """Old enough, with 0 to 3 streams whose every event has expired."""
        days = self.random.choice((7, 14, 30, 60, 90))
        age = days + GRACE + self.random.uniform(60, 800)
        wanted = Expected("every event expired long ago", delete=True)
        group = self.group(name, age, wanted, retention=days)
        for number in range(self.random.randrange(4)):
            event = self.random.uniform(days + GRACE + 2, age)
            self.stream(group, f"application/{number}", age, event)


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


def million(groups: int = 1_000_000, *, seed: int = 0, now: int | None = None) -> Scenario:
    """One Region as full as AWS lets it be: rows in columns, all with retention and bytes.

    Nothing is expected of single groups: no map of a million entries is made.
    """
    drawn = random.Random(seed)
    scenario = Scenario(now)
    some = [scenario.now - int(drawn.uniform(1, 900) * DAY_MS) for _ in range(4096)]
    days = [drawn.choice((7, 14, 30, 60, 90, 365)) for _ in range(4096)]
    rows = Rows(
        [f"/app/service-{number:07d}" for number in range(groups)],
        array("q", (some[number & 4095] for number in range(groups))),
        array("h", (days[number * 7 & 4095] for number in range(groups))),
        array("q", (1 + (number * 2_654_435_761 & 0xFFFFFFF) for number in range(groups))),
    )
    scenario.rows((ACCOUNT, REGION), rows)
    return scenario


def targets(
    accounts: int = 2,
    regions: int = 4,
    groups: int = 200,
    *,
    seed: int = 0,
    now: int | None = None,
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
            trap(target, f"{trap.__name__.strip('_').replace('_', '-')}-{copy:03d}")
    _own(target)
    for number in range(groups - len(scenario.expected)):
        (target.plain if number % 20 else target.never)(f"/app/service-{number:06d}")
    return scenario


def _empty_old(t: _Target, name: str) -> None:
    t.empty(f"/trap/{name}")
    gone = Expected("empty, 30 days, no streams", delete=True)
    t.group(f"/trap/{name}/bare", 400, gone, retention=30)
    gone = Expected("just older than retention + grace", delete=True)
    t.group(f"/trap/{name}/edge", 30 + GRACE + 0.5, gone, retention=30)
    gone = Expected("never expired, empty for more than 372 days", delete=True)
    t.group(f"/trap/{name}/never", 500, gone)
    gone = Expected("streams that were never written, long ago", delete=True)
    group = t.group(f"/trap/{name}/unwritten", 300, gone, retention=30)
    for number in range(70):
        t.stream(group, f"never/{number:03d}", 299)


def _young(t: _Target, name: str) -> None:
    kept = Expected("empty, but young")
    t.group(f"/trap/{name}/minutes", 0.001, kept, retention=1)
    t.group(f"/trap/{name}/days", 20, kept, retention=30)
    t.group(f"/trap/{name}/grace", 30 + GRACE - 0.2, kept, retention=30)
    wanted = Expected("empty and never expires, but younger than 372 days", days=365)
    t.group(f"/trap/{name}/never", 300, wanted)


def _protected(t: _Target, name: str) -> None:
    def kept(why: str) -> Expected:
        return Expected(f"protected by {why}")

    t.group(f"/trap/{name}/tag", 400, kept("tag"), retention=30, tags={"janitor:keep": ""})
    t.group(f"/trap/{name}/tag-never", 400, kept("tag"), tags={"janitor:keep": "true"})
    stack = {"aws:cloudformation:stack-name": "shop", "team": "shop"}
    t.group(f"/trap/{name}/stack", 400, kept("stack"), retention=30, tags=stack)
    t.group(f"/trap/{name}/deletion", 400, kept("AWS"), retention=30, protected=True)
    wanted = Expected("deletion protection does not mind retention", days=365)
    t.group(f"/trap/{name}/deletion-never", 500, wanted, protected=True)
    t.group(f"/trap/{name}/metric", 400, kept("filter"), retention=30, metric_filters=("errors",))
    t.group(f"/trap/{name}/subscribed", 400, kept("filter"), retention=30, subscriptions=("to",))
    wanted = Expected("subscribed to, and never expires", days=365)
    t.group(f"/trap/{name}/subscribed-never", 500, wanted, subscriptions=("to",))
    tagged = Expected("a tag that protects nothing", delete=True)
    t.group(f"/trap/{name}/other-tag", 400, tagged, retention=30, tags={"janitor:kept": "no"})


def _owned(t: _Target, name: str) -> None:
    def function(function: str, group: str | None = None, region: str = t.region) -> None:
        t.scenario.function(t.account, region, function, group)

    function(f"live-{name}")
    kept = Expected("a live function logs here")
    t.group(f"/aws/lambda/live-{name}", 400, kept, retention=30)
    function(f"custom-{name}", f"/trap/{name}/custom")
    t.group(f"/trap/{name}/custom", 400, kept, retention=30)
    gone = Expected("its function logs elsewhere", delete=True)
    t.group(f"/aws/lambda/custom-{name}", 400, gone, retention=30)
    gone = Expected("its function was deleted", delete=True)
    t.group(f"/aws/lambda/former-{name}", 400, gone, retention=30)
    function(f"edge-{name}", region="us-east-1")
    edge = Expected("a live Lambda@Edge function logs here")
    t.group(f"/aws/lambda/us-east-1.edge-{name}", 400, edge, retention=30)


def _account_policy(t: _Target, name: str) -> None:
    kept = Expected("account-level NEVER_EXPIRE")
    t.group(f"/trap/{name}/forever", 900, kept, policy="forever")
    group = t.group(f"/aws/lambda/{name}-forever", 900, kept, policy="forever", stored=9)
    t.stream(group, "application", 900, 500)
    t.group(f"/trap/{name}/own-beneath", 900, kept, policy="forever", retention=30)
    gone = Expected("empty beyond the account-level 90 days", delete=True)
    t.group(f"/trap/{name}/ninety", 400, gone, policy="ninety", policy_days=90)
    kept = Expected("younger than the account-level 731 days")
    t.group(f"/trap/{name}/two-years", 400, kept, policy="two", policy_days=731, retention=30)


def _classes(t: _Target, name: str) -> None:
    kept = Expected("DELIVERY takes no retention")
    t.group(f"/trap/{name}/delivery", 400, kept, log_class="DELIVERY")
    gone = Expected("empty, of whatever class", delete=True)
    for log_class in ("INFREQUENT_ACCESS", "ESSENTIALS"):
        t.group(f"/trap/{name}/{log_class}", 400, gone, log_class=log_class, retention=30)
    wanted = Expected("never expires, of whatever class", days=365)
    t.group(f"/trap/{name}/never", 400, wanted, log_class="INFREQUENT_ACCESS", stored=1)
    gone = Expected("empty and encrypted", delete=True)
    t.group(f"/trap/{name}/kms", 400, gone, kms="arn:aws:kms:::key/1", retention=30)


def _lagging(t: _Target, name: str) -> None:
    kept = Expected("written two hours ago, which its stream does not show yet")
    group = t.group(f"/trap/{name}/hidden", 400, kept, retention=30, odd={"storedBytes": 0})
    t.stream(group, "application", 399, 2 / 24, lag=6 * 3600)
    kept = Expected("written 20 minutes ago, stream and bytes lag")
    group = t.group(f"/trap/{name}/recent", 400, kept, retention=30)
    t.stream(group, "application", 399, 20 / 1440)
    kept = Expected("bytes of what has expired are still shown")
    group = t.group(f"/trap/{name}/stored", 400, kept, retention=30, odd={"storedBytes": 4096})
    t.stream(group, "application", 399, 200)
    kept = Expected("a stream was created just now")
    group = t.group(f"/trap/{name}/created", 400, kept, retention=30)
    t.stream(group, "application", 0.0001)
    kept = Expected("a live stream behind a page of never-written ones")
    group = t.group(f"/trap/{name}/behind", 400, kept, retention=30, odd={"storedBytes": 0})
    for number in range(60):
        t.stream(group, f"never/{number:03d}", 399)
    t.stream(group, "written", 399, 3)
    kept = Expected("expired, but within the days of grace")
    group = t.group(f"/trap/{name}/grace", 400, kept, retention=30)
    t.stream(group, "application", 399, 33)


def _recreated(t: _Target, name: str) -> None:
    kept = Expected("made again five days ago; the metric knows the first one")
    first = t.group(f"/trap/{name}/young", 400, kept, retention=30)
    t.stream(first, "application", 399, 100)
    t.scenario.recreate(first, t.ago(5), retention=30)
    gone = Expected("made again long ago, and empty since", delete=True)
    first = t.group(f"/trap/{name}/old", 400, gone, retention=30)
    t.stream(first, "application", 399, 150)
    t.scenario.recreate(first, t.ago(140), retention=30)
    kept = Expected("the metric knows of events under this name since the cutoff")
    group = t.group(f"/trap/{name}/arrived", 400, kept, retention=30)
    t.stream(group, "application", 399, 3)
    t.scenario.delete_stream(group, "application")


def _odd(t: _Target, name: str) -> None:
    kept = Expected("odd values")
    odd: dict[str, dict[str, Any]] = {
        "no-bytes": {"storedBytes": ...},
        "negative": {"storedBytes": -1},
        "no-time": {"creationTime": ...},
        "zero-days": {"retentionInDays": 0},
        "class": {"logGroupClass": "GLACIAL"},
    }
    for kind, values in odd.items():
        t.group(f"/trap/{name}/{kind}", 400, kept, retention=30, odd=values)
    t.group(f"/trap/{name}/never-odd", 400, kept, odd={"storedBytes": -1})


def _lambda(t: _Target, name: str) -> None:
    """Streams as Lambda names them: by day."""

    def streams(group: Key, ages: list[float]) -> None:
        for number, age in enumerate(ages):
            day = datetime.fromtimestamp(t.ago(age) / 1000, UTC)
            t.stream(group, f"{day:%Y/%m/%d}/[$LATEST]{number:032x}", age + 0.01, age)

    silent = [300.0, 200.0, 120.0, 60.0, 45.0]
    alive = [36.0, 20.0, 5.0, 0.1]
    wanted = Expected("silent streams beside live ones", sweep=len(silent))
    group = t.group(f"/aws/lambda/{name}-busy", 400, wanted, retention=30, stored=5)
    streams(group, silent + alive)
    wanted = Expected("never expires, and is swept then", days=30, sweep=len(silent))
    group = t.group(f"/aws/lambda/{name}-never", 400, wanted, stored=5)
    streams(group, silent + alive)
    t.scenario.function(t.account, t.region, f"{name}-idle")
    wanted = Expected("empty, kept for its live function, swept", sweep=len(silent))
    group = t.group(f"/aws/lambda/{name}-idle", 400, wanted, retention=30)
    streams(group, silent)
    wanted = Expected("several pages of silent streams", sweep=120)
    group = t.group(f"/aws/lambda/{name}-many", 400, wanted, retention=30, stored=5)
    streams(group, [100 + number / 10 for number in range(120)] + alive)
    wanted = Expected("too young to be swept", days=30)
    group = t.group(f"/aws/lambda/{name}-young", 20, wanted, stored=5)
    streams(group, [19.0, 5.0])
    kept = Expected("protected by tag, so not swept either")
    tags = {"janitor:keep": "1"}
    group = t.group(f"/aws/lambda/{name}-kept", 400, kept, retention=30, stored=5, tags=tags)
    streams(group, silent)
    kept = Expected("protected from deletion, so not swept either")
    group = t.group(f"/aws/lambda/{name}-safe", 400, kept, retention=30, protected=True)
    streams(group, silent)


def _own(t: _Target) -> None:
    """The janitor's own group, of which there is one only."""
    t.group("/aws/lambda/cloudwatch-janitor", 400, Expected("the janitor's own"), retention=30)


_TRAPS: tuple[Callable[[_Target, str], None], ...] = (
    _empty_old,
    _young,
    _protected,
    _owned,
    _account_policy,
    _classes,
    _lagging,
    _recreated,
    _odd,
    _lambda,
)

SCENARIOS: dict[str, Callable[..., Scenario]] = {
    "bench": bench,
    "messy": messy,
    "million": million,
}
