"""Hypothesis strategies for accounts, policies and trouble. Ages are days before NOW."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Lags
from janitor.sandbox.unknowns import Unclear, Unknowns
from tests.fakes import Builder
from tests.fakes.truth import Key

NOW = 1_800_000_000_000
ACCOUNT, OTHER = "123456789012", "123456789013"
OPT_IN_REGION = "ap-east-1"
"""A Region that has to be enabled, where tokens of the global STS endpoint are not valid unless the
account says so (IAM User Guide, Managing AWS STS in an AWS Region)."""
TARGETS = (
    *((ACCOUNT, "eu-west-1"), (ACCOUNT, "us-east-1")),
    *((OTHER, "eu-west-1"), (ACCOUNT, OPT_IN_REGION)),
    *((ACCOUNT, region) for region in ("ap-south-1", "ca-central-1", "eu-north-1", "sa-east-1")),
)
OWN = "/cloudwatch-janitor/janitor"
STACK = {"aws:cloudformation:stack-name": "shop"}
CONTAINER = "app/main/" + "0f" * 16


def ago(days: float) -> int:
    return NOW - int(days * DAY_MS)


@dataclass
class StreamSpec:
    """A log stream to create. Its events, if any, are `event` days old and arrived `late` days
    after that. A stream whose name dates it, `dated` days ago, needs a group at least that old.
    """

    name: str
    created: float
    event: float | None
    late: float = 0.0
    lag: float | None = None
    dated: float | None = None


@dataclass
class GroupSpec:
    """A log group to create. `predecessor` is the age of a deleted group of the same name;
    `extras` are settings that no decision depends on, but that an undo needs; `former_tags` were
    replaced a second ago, and the tagging API still shows them.
    """

    name: str
    target: int
    age: float
    streams: list[StreamSpec] = field(default_factory=list)
    predecessor: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    former_tags: dict[str, str] | None = None

    def __post_init__(self) -> None:
        # Only the class STANDARD supports these.
        if self.settings.get("log_class", "STANDARD") != "STANDARD":
            self.settings = self.settings | {"metric_filters": (), "subscriptions": ()}
            self.extras = {}


@dataclass
class Account:
    """The log groups and Lambda functions of several targets, and how AWS behaves there.

    `lacks` are operations that us-east-1 does not offer. `refuses_tokens`: OPT_IN_REGION accepts no
    credentials. `pending_policy` is an account-level policy: the seconds until it is in force, a
    day after it was put (botocore, PutAccountPolicy), and its days. `cpu` is the seconds that each
    call takes of the janitor's single CPU.
    """

    groups: list[GroupSpec]
    functions: list[tuple[int, str, str | None]] = field(default_factory=list)
    lags: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    page: int = 50
    empty_pages: float = 0.0
    unknowns: Unknowns = field(default_factory=Unknowns)
    lacks: frozenset[str] = frozenset()
    refuses_tokens: bool = False
    pending_policy: tuple[float, int | None] | None = None
    cpu: float = 0.0

    def build(self) -> Builder:
        """Return a new account, the same each time."""
        builder = Builder(Lags(*self.lags))
        for account, region in (*TARGETS[: max(self.targets, 3)], (OTHER, "us-east-1")):
            builder.region(account, region)
            stored = builder.store.region(account, region)
            # Listing quotas takes as long as everything else; without it the defaults hold.
            stored.lacks = self.lacks_in(region) | {"ListServiceQuotas"}
            stored.refuses_tokens = region in self.refusing
            if self.pending_policy is not None:
                seconds, days = self.pending_policy
                due = NOW + round(seconds * 1000)
                builder.coming((account, region), "coming", days, due)
        for target, name, custom in self.functions:
            if target < self.targets:
                builder.function(*TARGETS[target], name, custom)
        for spec in self.groups:
            _create(builder, spec)
        return builder

    @property
    def targets(self) -> int:
        return max(spec.target for spec in self.groups) + 1

    @property
    def refusing(self) -> frozenset[str]:
        """The Regions that accept no credentials."""
        return frozenset({OPT_IN_REGION} if self.refuses_tokens else ())

    @property
    def unsettled(self) -> bool:
        """Whether the right actions depend on the second in which they are taken."""
        retagged = any(spec.former_tags is not None for spec in self.groups)
        return retagged or self.pending_policy is not None

    def lacks_in(self, region: str) -> frozenset[str]:
        return self.lacks if region == "us-east-1" else frozenset()


def recreate(builder: Builder, spec: GroupSpec) -> None:
    """Delete the group and create it again, long enough ago to be deletable."""
    builder.delete((*TARGETS[spec.target], spec.name))
    _create(builder, replace(spec, age=spec.age * 0.99, predecessor=None))


def _create(builder: Builder, spec: GroupSpec) -> None:
    target = TARGETS[spec.target]
    if spec.predecessor is not None:
        at = ago(spec.predecessor)
        first = builder.group(*target, spec.name, created=at)
        builder.stream(first, "first", created=at)
        builder.write(first, "first", at)
        builder.delete(first)
    tags = spec.settings.get("tags", {})
    at_first = tags if spec.former_tags is None else spec.former_tags
    settings = spec.settings | {"tags": at_first}
    key = builder.group(*target, spec.name, created=ago(spec.age), **settings)
    if spec.former_tags is not None:
        builder.tag(key, tags, NOW - 1000)
    builder.set(key, **spec.extras)
    for stream in spec.streams:
        if stream.dated is None or stream.dated <= spec.age:
            _create_stream(builder, key, stream)


def _create_stream(builder: Builder, key: Key, spec: StreamSpec) -> None:
    created = ago(min(spec.created, (NOW - builder.truth.there(key).created) / DAY_MS))
    builder.stream(key, spec.name, created=created, lag=spec.lag)
    if spec.event is not None:
        at = max(ago(spec.event), created)
        arrived = min(max(at + int(spec.late * DAY_MS), created), NOW)
        builder.write(key, spec.name, at, 2, 100, ingested=arrived)


def _near(days: float) -> st.SearchStrategy[float]:
    minutes = 600 / 86_400  # longer than an undisturbed run, during which events expire too
    return st.sampled_from([days - 1, days - minutes, days + minutes, days + 1])


ages = st.one_of(
    st.sampled_from([0.001, 0.02, 3.0, 20.0, 100.0, 500.0, 900.0, 900.0, 1500.0]),
    st.sampled_from([1.0, 2.0, 7.0, 8.0, 14.0, 21.0, 30.0, 37.0, 365.0, 372.0, 455.0]).flatmap(
        _near
    ),
)
delays = st.sampled_from([0.0] * 4 + [3 / 86_400, 1 / 24, 5.0, 13.9, -1 / 24])
"""PutLogEvents accepts events up to 14 days old, and up to two hours in the future."""
plain_streams = st.builds(
    StreamSpec,
    st.sampled_from(["a", "b", "c", "worker", "z", "2020/01/01/a", CONTAINER]),
    ages,
    st.none() | ages,
    delays,
    st.sampled_from([None] * 6 + [20_000.0]),
)


def dated(age: float, letter: str, event: float | None) -> StreamSpec:
    """A Lambda function's stream, created `age` days ago, its last event `event` days later."""
    day = datetime.fromtimestamp(ago(age) / 1000, UTC).strftime("%Y/%m/%d")
    last = None if event is None else max(age - event, 0.0)
    return StreamSpec(f"{day}/[$LATEST]{letter}", age, last, dated=age)


dated_streams = st.builds(
    dated,
    st.sampled_from([900.0, 500.0, 372.5, 100.0, 45.0, 38.5, 31.5, 29.5, 3.0, 0.1]),
    st.sampled_from("ab"),
    st.sampled_from([None, 0.0, 0.4]),
)
streams = plain_streams | plain_streams | dated_streams
_settings: dict[str, Any] = {
    "retention": st.sampled_from([None, None, 1, 14, 30, 30, 365, 3653]),
    "stored": st.sampled_from([0] * 5 + [10**6]),
    "log_class": st.sampled_from(
        ["STANDARD"] * 7 + ["INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"]
    ),
    "protected": st.sampled_from([False] * 7 + [True]),
    "kms": st.sampled_from([None, None, None, "arn:aws:kms:::key/1"]),
    "metric_filters": st.sampled_from([()] * 7 + [("errors",)]),
    "subscriptions": st.sampled_from([()] * 5 + [("to",), ("one", "two")]),
    "tags": st.sampled_from(
        [
            *({}, {}, {}, {"janitor:keep": ""}, {"env": "prod"}, {"env": "dev"}, {"team": "shop"}),
            STACK,
        ]
    ),
    "odd": st.sampled_from(
        [None] * 12
        + [
            {"storedBytes": -1},
            {"storedBytes": ...},
            {"creationTime": ...},
            {"logGroupClass": "GLACIAL"},
            {"retentionInDays": 0},
        ]
    ),
}
_account_policies: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}] * 7 + [{"policy": "org"}, {"policy": "month", "policy_days": 30}]
)
names = st.sampled_from(
    [*(f"/app/{i}" for i in range(6)), "/audit/1", "aws/spans", OWN]
) | st.sampled_from([*(f"/aws/lambda/{i}" for i in range(4)), "/aws/lambda/us-east-1.0"])
_extras: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *[{}] * 7,
        {"data_protection": '{"Name": "d"}', "index": '{"Fields": ["f"]}'},
        {"resource_policy": "{}", "syslog": ("vpce-1",)},
        {"transformer": ({"lowerCaseString": {"withKeys": ["k"]}},)},
    ]
)


@st.composite
def any_group(draw: st.DrawFn) -> GroupSpec:
    settings = draw(st.fixed_dictionaries(_settings)) | draw(_account_policies)
    age = draw(ages)
    return GroupSpec(
        draw(names),
        draw(st.sampled_from([0] * 6 + [1, 1, 2, 2, 3])),
        age,
        draw(st.lists(streams, max_size=4, unique_by=lambda stream: stream.name)),
        draw(st.sampled_from([None] * 9 + [age + 50])),
        settings,
    )


@st.composite
def deletable_group(draw: st.DrawFn) -> GroupSpec:
    """A log group to be deleted, unless one thing prevents it."""
    settings: dict[str, Any] = {"retention": draw(st.sampled_from([None, 1, 14, 30, 30, 365]))}
    settings |= _trap(draw)
    event = draw(st.sampled_from([None, 898.0, 500.0]))
    old = [StreamSpec(stream, 899.0, event) for stream in "abc"]
    last = draw(st.none() | st.none() | ages)
    if last is not None:
        old.append(StreamSpec("z", 899.0, last, draw(delays)))
    start = draw(st.sampled_from([0, 2, 3, 4]))
    name, target = draw(_usable), draw(_targets)
    return GroupSpec(name, target, 900.0, old[start:], None, settings, draw(_extras))


@st.composite
def kept_group(draw: st.DrawFn) -> GroupSpec:
    """A log group that is kept, with streams to be swept, unless one thing prevents it."""
    settings: dict[str, Any] = {"retention": draw(st.sampled_from([None, 14, 30, 365, 3653]))}
    settings |= _trap(draw)
    event = st.sampled_from([None, 898.0, 500.0, 100.0, 45.0, 25.0]) | ages
    named = draw(st.sampled_from(["a", "ab", "abc", "ab", [CONTAINER]]))
    old = [StreamSpec(stream, 899.0, draw(event), draw(delays)) for stream in named]
    old += draw(st.lists(dated_streams, max_size=2, unique_by=lambda stream: stream.name))
    # The event that keeps it arrived inside the window in which metadata may lag, or before it.
    old.append(StreamSpec("worker", 899.0, draw(st.sampled_from([0.001, 0.02, 3.0, 3.0, 10.0]))))
    return GroupSpec(draw(_usable), draw(_targets), 900.0, old, None, settings)


def _trap(draw: st.DrawFn) -> dict[str, Any]:
    """One setting that may prevent a change, or, mostly, none."""
    trap = draw(st.none() | st.none() | st.sampled_from(sorted(_settings)))
    return {} if trap is None else {trap: draw(_settings[trap])}


_usable = names.filter(lambda name: name not in (OWN, "/audit/1"))
_targets = st.sampled_from([0, 0, 1])
LAGS = (1800.0, 3600.0, 180.0, 60.0)
unknowns = st.just(Unknowns()) | st.builds(
    Unknowns,
    tokens=...,
    listed_twice=...,
    no_data_protection=...,
    no_transformer=...,
    subscription_filters=...,
    class_code=...,
    missing_code=...,
    buckets=...,
    unclear=st.dictionaries(names, st.sampled_from(get_args(Unclear)), max_size=2),
    unclear_once=...,
)
accounts = st.builds(
    Account,
    st.lists(
        deletable_group() | any_group() | kept_group(),
        min_size=1,
        max_size=9,
        unique_by=lambda spec: (spec.target, spec.name),
    ),
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["0", "1", "f"]),
            st.sampled_from([None, None, "/app/0"]),
        ),
        max_size=1,
    ),
    st.sampled_from([(0.0, 0.0, 0.0, 0.0), LAGS, (*LAGS[:3], 0.0)]),
    st.sampled_from([1, 2, 3, 50]),
    st.sampled_from([0.0, 0.0, 0.3]),
    unknowns,
    st.sampled_from(
        [frozenset()] * 5 + [frozenset({"GetTransformer", "ListSyslogConfigurations"})]
    ),
    st.booleans(),
)

# ---- the same accounts, but ----------------------------------------------------------------------


def scattered(account: Account) -> Account:
    """One log group in each target."""
    specs = account.groups[: len(TARGETS)]
    groups = [replace(spec, target=number) for number, spec in enumerate(specs)]
    return replace(account, groups=groups)


def on_small_cpu(account: Account) -> Account:
    """The janitor has the CPU of Lambda's 256 MB, a seventh of one."""
    return replace(account, cpu=0.05)


def with_open_containers(account: Account) -> Account:
    """A container, silent for long, may still hold a stream of each log group open."""
    held = StreamSpec(CONTAINER, 899.0, 898.0)
    groups = [
        replace(spec, streams=[held, *(s for s in spec.streams if s.name != CONTAINER)])
        for spec in account.groups
    ]
    return replace(account, groups=groups)


def with_sweepable_streams(account: Account) -> Account:
    """Each log group has streams to sweep, the last behind a page that ends in a live function's
    stream.
    """
    old = [StreamSpec(name, 899.0, 898.0) for name in ("0", "a")]
    streams = [*old, dated(500.0, "a", 0.4), dated(3.0, "a", 0.0)]
    groups = [replace(spec, streams=streams) for spec in account.groups]
    return replace(account, page=3, groups=groups)


def retagged(account: Account, former: dict[str, str]) -> Account:
    """Half of the log groups had other tags a second ago."""
    groups = [
        replace(spec, former_tags=former if number % 2 else None)
        for number, spec in enumerate(account.groups)
    ]
    return replace(account, groups=groups, lags=LAGS)


def with_owners(account: Account) -> Account:
    """A Lambda function logs to each log group."""
    functions = [(spec.target, str(n), spec.name) for n, spec in enumerate(account.groups)]
    return replace(account, functions=[*functions])


def with_unclear_metrics(account: Account) -> Account:
    """CloudWatch's answer about each log group is incomplete."""
    every = Unknowns(unclear={spec.name: "PartialData" for spec in account.groups})
    return replace(account, unknowns=every)


def in_one_account(account: Account) -> Account:
    """Only one AWS account."""
    groups = [spec for spec in account.groups if TARGETS[spec.target][0] == ACCOUNT]
    return replace(account, groups=groups or [GroupSpec("/app/0", 0, 900.0)])


def accounts_with(settings: dict[str, Any], **fields: Any) -> st.SearchStrategy[Account]:
    """Accounts with these fields, whose log groups all have these settings."""

    def change(account: Account) -> Account:
        groups = [replace(spec, settings=spec.settings | settings) for spec in account.groups]
        return replace(account, groups=groups, **fields)

    return accounts.map(change)


lagging = st.builds(
    retagged, accounts, st.sampled_from([{}, {"janitor:keep": ""}, {"env": "dev"}, STACK])
)
unsettled = lagging | st.builds(
    lambda account, seconds, days: replace(account, pending_policy=(seconds, days)),
    accounts,
    st.sampled_from([0.5, 2.0, 5.0, 30.0]),
    st.sampled_from([30, 365, None]),
)
settled = accounts | accounts | accounts.map(scattered) | accounts.map(scattered).map(on_small_cpu)
all_accounts = settled | unsettled
deletable = st.builds(
    Account,
    st.lists(
        deletable_group(),
        min_size=3,
        max_size=9,
        unique_by=lambda spec: (spec.target, spec.name),
    ),
)
"""Accounts whose log groups are all to be deleted, unless one thing prevents it."""
listed_twice = accounts_with({}, page=2, unknowns=Unknowns(listed_twice=True)).map(in_one_account)
"""Accounts where each page begins with the last entry of the one before."""

# ---- policies ------------------------------------------------------------------------------------

DAYS = (1, 7, 14, 30, 90, 365)


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    """The keys that [defaults] and rules share, with a band that does not contradict itself."""
    low, days, high = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=3, max_size=3)))
    scope: dict[str, Any] = {}
    if draw(st.integers(0, 9)) > 1:
        scope["retention_days"] = days
    if draw(st.integers(0, 3)) == 0:
        scope["min_days"] = low
    if draw(st.integers(0, 2)) == 0:
        scope["max_days"] = high
    scope["delete_empty"] = draw(st.sampled_from([True, True, True, False]))
    scope["sweep_streams"] = draw(st.sampled_from([True, True, False]))
    scope["grace_days"] = draw(st.sampled_from([7, 7, 0, 1]))
    scope["proof"] = draw(st.sampled_from(["arrivals", "arrivals", "events"]))
    return scope


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule that sets every key, so that its band never combines with that of [defaults]."""
    scope: dict[str, Any] = {"retention_days": 30, "min_days": 1, "max_days": 3653}
    scope |= draw(scopes())
    if not scope["min_days"] <= scope["retention_days"] <= scope["max_days"]:
        scope |= {"min_days": 1, "max_days": 3653}
    conditions: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"names": ["/aws/lambda/*"]},
                {"names": ["re:^/app/[0-2]$"]},
                {"tags": ["env=dev"]},
                {"classes": ["INFREQUENT_ACCESS", "ESSENTIALS"]},
                {"regions": ["us-*"]},
                *({"quiet_days": 60}, {"quiet_days": 200}),
                *({"orphan_days": 60}, {"orphan_days": 200}),
            ]
        )
    )
    return {"id": "rule"} | conditions | scope


@dataclass
class PolicyFile:
    """A policy file as a dict, which is all that the oracle reads of it."""

    content: dict[str, Any]

    @property
    def parsed(self) -> Policy:
        return parse(toml(self.content), "drawn")


FUNCTIONS = ["lambda", "lambda-edge"]
"""The only owners in these accounts; the tests of `janitor.owners` cover all the others."""


@st.composite
def policy_files(draw: st.DrawFn) -> PolicyFile:
    protect: dict[str, Any] = {
        "names": draw(st.sampled_from([[], ["/audit/*"]])),
        "tags": draw(st.sampled_from([["janitor:keep"], ["janitor:keep", "env=prod"], []])),
        "deletion": {
            "names": draw(st.sampled_from([[], ["/app/[45]"]])),
            "tags": draw(st.sampled_from([list(STACK), [*STACK, "team=shop"], []])),
            "owners": draw(st.sampled_from([FUNCTIONS, FUNCTIONS, FUNCTIONS, False])),
        },
    }
    limits: dict[str, Any] = {"max_group_deletion_share": 1.0}
    if draw(st.booleans()):
        limits = {
            "max_group_deletions": draw(st.sampled_from([500, 2, 1])),
            "max_group_deletion_share": draw(st.sampled_from([1.0, 0.5])),
            "max_stream_deletions": draw(st.sampled_from([50_000, 3, 1])),
            "fleet": draw(
                st.sampled_from(
                    [
                        *({}, {}, {"max_group_deletions": 1}, {"max_stream_deletions": 1}),
                        {"max_group_deletions": 9, "max_stream_deletions": 9},
                        {"max_group_deletion_share": 0.9},
                    ]
                )
            ),
        }
    content: dict[str, Any] = {"defaults": draw(scopes()), "protect": protect, "limits": limits}
    if draw(st.booleans()):
        rule = draw(rules())
        if not protect["deletion"]["owners"] and rule.pop("orphan_days", None):
            rule["quiet_days"] = 60  # a policy that asks no owners cannot have orphans
        content["rules"] = [rule]
    return PolicyFile(content)


def lowered(policy: PolicyFile) -> PolicyFile:
    """The same without rules, lowering every longer retention to 30 days and sweeping."""
    kept = {key: policy.content["defaults"][key] for key in ("delete_empty", "grace_days", "proof")}
    days = {"retention_days": 30, "max_days": 30, "sweep_streams": True}
    others = {key: value for key, value in policy.content.items() if key != "rules"}
    return PolicyFile(others | {"defaults": days | kept})


def with_condition(policy: PolicyFile, condition: dict[str, int]) -> PolicyFile:
    """The same with one rule of this condition, lowering every longer retention to 30 days."""
    days = {"retention_days": 30, "min_days": 1, "max_days": 30}
    deletion = policy.content["protect"]["deletion"] | {"owners": FUNCTIONS}
    protect = policy.content["protect"] | {"deletion": deletion}
    rules = [{"id": "rule"} | condition | days]
    return PolicyFile(policy.content | {"protect": protect, "rules": rules})


policies = policy_files() | policy_files() | policy_files().map(lowered)


def is_limited(policy: PolicyFile) -> bool:
    """Whether a few deletions may exceed a limit."""
    return len(policy.content["limits"]) > 1


def toml(content: dict[str, Any]) -> str:
    lines: list[str] = []
    for section, values in content.items():
        for table in values if isinstance(values, list) else [values]:
            lines.append(f"[[{section}]]" if isinstance(values, list) else f"[{section}]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_value(inner)}' for key, inner in value.items())}}}"
    return json.dumps(value)  # the same in TOML


# ---- trouble -------------------------------------------------------------------------------------

CHANGES = (
    *("write", "stream", "delete", "recreate", "retain", "tag", "protect"),
    *("subscribe", "filter", "own", "blur"),
)
"""What others change during a run."""


@dataclass
class Trouble:
    """What goes wrong in a run.

    `rates` are shares of the calls (to `operation`, if given) that fail in a way or are slow, by
    `slow_seconds`. Calls to `denied`, an operation, group and Region (None: any), are refused with
    the code `denied_code`; the service `unreachable` has no route; from the call number `expires`
    on the credentials are refused. Before a share `interference` of the calls somebody else makes
    one of `changes`. `bucket` is the share of S3 calls that fail.
    """

    seed: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    operation: str | None = None
    denied: tuple[str | None, str | None, str | None] | None = None
    expires: float = math.inf
    interference: float = 0.0
    changes: tuple[str, ...] = CHANGES
    bucket: float = 0.0
    denied_code: str = "AccessDeniedException"
    unreachable: str | None = None


FAULTS = (
    *("throttle", "unavailable", "internal", "internal_after", "reset_before", "reset_after"),
    *("slow", "garbage", "aborted", "skewed"),
)
operations = st.sampled_from(
    [
        *("DescribeLogGroups", "DescribeLogStreams", "DescribeSubscriptionFilters"),
        *("GetMetricData", "GetResources", "ListFunctions", "FilterLogEvents"),
        *("ListTagsForResource", "DescribeIndexPolicies"),
        *("PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream"),
    ]
)
rates = st.builds(
    lambda faults, seconds: faults | ({"slow_seconds": seconds} if "slow" in faults else {}),
    st.dictionaries(
        st.sampled_from(FAULTS), st.sampled_from([0.03, 0.1, 0.3, 0.9]), min_size=1, max_size=4
    ),
    st.sampled_from([0.4, 1.2, 1.2, 40.0]),
)
"""Slow answers make a look stale (LOOK_LASTS is 1 s), or come after the caller gave up (30 s)."""
seeds = st.integers(0, 2**32 - 1)
denials = st.tuples(operations, st.none() | names, st.none() | st.just("us-east-1")) | st.tuples(
    st.none(), st.none(), st.just("us-east-1")
)
changes = st.just(CHANGES) | st.sampled_from(CHANGES).map(lambda change: (change,))
flaky = st.builds(Trouble, seeds, rates, st.none() | operations)
sluggish = st.builds(
    Trouble,
    seeds,
    st.builds(
        lambda share, seconds: {"slow": share, "slow_seconds": seconds},
        st.sampled_from([0.3, 0.9]),
        st.sampled_from([0.4, 1.2]),
    ),
    st.sampled_from([None, "DescribeLogGroups", "ListTagsForResource", "DescribeLogStreams"]),
)
crawling = st.builds(
    Trouble, seeds, st.just({"slow": 0.3, "slow_seconds": 40.0, "unavailable": 0.3})
)
at_the_deletion = st.builds(
    Trouble,
    seeds,
    rates,
    st.sampled_from(["DeleteLogGroup", "DeleteLogGroup", "DescribeLogGroups", "DeleteLogStream"]),
    interference=st.sampled_from([0.0, 0.05, 0.2]),
    changes=changes,
)
busy = st.builds(Trouble, seeds, interference=st.sampled_from([0.05, 0.2, 0.5]), changes=changes)


def interfering(change: str) -> st.SearchStrategy[Trouble]:
    """Others at work who make only this change."""
    shares = st.sampled_from([0.2, 0.5])
    return st.builds(Trouble, seeds, interference=shares, changes=st.just((change,)))


denied = st.builds(Trouble, seeds, denied=denials) | st.builds(
    Trouble,
    seeds,
    denied=st.just((None, None, "us-east-1")),
    denied_code=st.sampled_from(["UnrecognizedClientException", "InvalidToken"]),
)
unreachable = st.builds(Trouble, unreachable=st.sampled_from(["tagging", "monitoring", "lambda"]))
unreadable = st.builds(
    lambda operation: Trouble(denied=(operation, None, None)),
    st.sampled_from(
        ["DescribeLogStreams", "DescribeSubscriptionFilters", "GetMetricData", "FilterLogEvents"]
    ),
)
at_the_listing = st.builds(
    Trouble,
    seeds,
    st.sampled_from([{"unavailable": 0.8}, {"throttle": 0.9}, {"garbage": 0.8}]),
    st.just("DescribeLogGroups"),
)
anything = st.builds(
    Trouble,
    seeds,
    st.just({}) | rates | rates,
    st.none() | st.none() | operations,
    st.none() | denials,
    st.sampled_from([math.inf] * 9 + [10.0, 25.0]),
    st.sampled_from([0.0, 0.0, 0.05, 0.2]),
    bucket=st.sampled_from([0.0, 0.0, 0.1]),
)
failing_bucket = st.builds(Trouble, seeds, bucket=st.sampled_from([0.05, 0.2]))
expiring = st.builds(Trouble, seeds, expires=st.sampled_from([5.0, 15.0, 30.0, 60.0]))
troubles = (flaky | at_the_listing | sluggish | at_the_deletion | busy | busy) | (
    denied | unreachable | expiring | anything
)
"""Mostly of one kind: where everything goes wrong at once, nothing is ever deleted."""
