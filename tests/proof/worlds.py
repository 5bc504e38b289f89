"""Accounts, policies and trouble, as hypothesis draws them. Ages are days before NOW."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Lags
from janitor.sandbox.unknowns import Unknowns
from tests.fakes import Builder
from tests.fakes.truth import Key

NOW = 1_800_000_000_000
ACCOUNT, OTHER = "123456789012", "123456789013"
REFUSING = "ap-east-1"
"""A Region that has to be enabled, where tokens of the global STS endpoint are not valid unless the
account says so (IAM User Guide, Managing AWS STS in an AWS Region)."""
TARGETS = (
    *((ACCOUNT, "eu-west-1"), (ACCOUNT, "us-east-1"), (OTHER, "eu-west-1"), (ACCOUNT, REFUSING)),
    *((ACCOUNT, region) for region in ("ap-south-1", "ca-central-1", "eu-north-1", "sa-east-1")),
)
OWN = "/cloudwatch-janitor/janitor"
STACK = {"aws:cloudformation:stack-name": "shop"}
CONTAINER = "app/main/" + "0f" * 16


def ago(days: float) -> int:
    return NOW - int(days * DAY_MS)


@dataclass
class Stream:
    """A log stream to be made, with events of the age `event`, if any, which arrived so many days
    `late`. The times of one that is `dated` are those that its name says.
    """

    name: str
    created: float
    event: float | None
    late: float = 0.0
    lag: float | None = None
    dated: float | None = None


@dataclass
class Plan:
    """A log group to be made. `before` is the age of an earlier one of its name, if any; `rest` is
    what has to be known to make it again, and decides about nothing; `was` are the tags that it had
    until a second ago, which the tagging API still shows.
    """

    name: str
    target: int
    age: float
    streams: list[Stream] = field(default_factory=list)
    before: float | None = None
    more: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)
    was: dict[str, str] | None = None

    def __post_init__(self) -> None:
        # Other classes than STANDARD cannot have what they refuse.
        if self.more.get("log_class", "STANDARD") != "STANDARD":
            self.more = self.more | {"metric_filters": (), "subscriptions": ()}
            self.rest = {}


@dataclass
class Account:
    """Several targets: log groups, live functions, what is shown late and in how small pages, how
    AWS answers where it does not say how, and the operations that one Region lacks. Another may
    refuse all tokens. An account-level policy may be `coming`: in how many seconds it is in force,
    which is a day after it was put (botocore, PutAccountPolicy), and its days. `cpu` is how many
    seconds each call takes of the janitor's only CPU.
    """

    groups: list[Plan]
    functions: list[tuple[int, str, str | None]] = field(default_factory=list)
    lags: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    page: int = 50
    empty: float = 0.0
    unknowns: Unknowns = field(default_factory=Unknowns)
    lacks: frozenset[str] = frozenset()
    refuses: bool = False
    coming: tuple[float, int | None] | None = None
    cpu: float = 0.0

    def build(self) -> Builder:
        """An account of its own, the same each time."""
        made = Builder(Lags(*self.lags))
        for account, region in (*TARGETS[: max(self.targets, 3)], (OTHER, "us-east-1")):
            made.region(account, region)
            there = made.store.region(account, region)
            # A page of quotas takes as long as all that matters; the defaults hold without it.
            there.lacks = self.lacks_in(region) | {"ListServiceQuotas"}
            there.refuses_tokens = region in self.refusing
            if self.coming is not None:
                seconds, days = self.coming
                made.coming((account, region), "coming", days, NOW + round(seconds * 1000))
        for target, name, custom in self.functions:
            if target < self.targets:
                made.function(*TARGETS[target], name, custom)
        for plan in self.groups:
            self._make(made, plan)
        return made

    @property
    def targets(self) -> int:
        return max(plan.target for plan in self.groups) + 1

    @property
    def refusing(self) -> frozenset[str]:
        """The Regions that refuse all tokens."""
        return frozenset({REFUSING} if self.refuses else ())

    @property
    def unsettled(self) -> bool:
        """Whether what should be done depends on the second in which it is done."""
        return self.coming is not None or any(plan.was is not None for plan in self.groups)

    def lacks_in(self, region: str) -> frozenset[str]:
        return self.lacks if region == "us-east-1" else frozenset()

    def make_again(self, made: Builder, plan: Plan) -> None:
        """The group was deleted and made again under its name, long ago too."""
        made.delete((*TARGETS[plan.target], plan.name))
        self._make(made, replace(plan, age=plan.age * 0.99, before=None))

    def _make(self, made: Builder, plan: Plan) -> None:
        target = TARGETS[plan.target]
        if plan.before is not None:
            at = ago(plan.before)
            first = made.group(*target, plan.name, created=at)
            made.stream(first, "first", created=at)
            made.write(first, "first", at)
            made.delete(first)
        tags = plan.more.get("tags", {})
        more = plan.more | {"tags": tags if plan.was is None else plan.was}
        key = made.group(*target, plan.name, created=ago(plan.age), **more)
        if plan.was is not None:
            made.tag(key, tags, NOW - 1000)
        made.set(key, **plan.rest)
        for stream in plan.streams:
            if stream.dated is None or stream.dated <= plan.age:
                self._stream(made, key, stream)

    def _stream(self, made: Builder, key: Key, plan: Stream) -> None:
        created = ago(min(plan.created, (NOW - made.truth.there(key).created) / DAY_MS))
        made.stream(key, plan.name, created=created, lag=plan.lag)
        if plan.event is not None:
            at = max(ago(plan.event), created)
            arrived = min(max(at + int(plan.late * DAY_MS), created), NOW)
            made.write(key, plan.name, at, 2, 100, ingested=arrived)


def _near(days: float) -> st.SearchStrategy[float]:
    minutes = 600 / 86_400  # longer than an undisturbed run takes, which expires events too
    return st.sampled_from([days - 1, days - minutes, days + minutes, days + 1])


ages = st.one_of(
    st.sampled_from([0.001, 0.02, 3.0, 20.0, 100.0, 500.0, 900.0, 900.0, 1500.0]),
    st.sampled_from([1.0, 2.0, 7.0, 8.0, 14.0, 21.0, 30.0, 37.0, 365.0, 372.0, 455.0]).flatmap(
        _near
    ),
)
lates = st.sampled_from([0.0] * 4 + [3 / 86_400, 1 / 24, 5.0, 13.9, -1 / 24])
"""PutLogEvents takes events that are up to 14 days old, and up to two hours ahead."""
plain_streams = st.builds(
    Stream,
    st.sampled_from(["a", "b", "c", "worker", "z", "2020/01/01/a", CONTAINER]),
    ages,
    st.none() | ages,
    lates,
    st.sampled_from([None] * 6 + [20_000.0]),
)


def dated(age: float, letter: str, event: float | None) -> Stream:
    """A stream of a Lambda function that began so many days ago, and ended within half a day."""
    day = datetime.fromtimestamp(ago(age) / 1000, UTC).strftime("%Y/%m/%d")
    last = None if event is None else max(age - event, 0.0)
    return Stream(f"{day}/[$LATEST]{letter}", age, last, dated=age)


dated_streams = st.builds(
    dated,
    st.sampled_from([900.0, 500.0, 372.5, 100.0, 45.0, 38.5, 31.5, 29.5, 3.0, 0.1]),
    st.sampled_from("ab"),
    st.sampled_from([None, 0.0, 0.4]),
)
streams = plain_streams | plain_streams | dated_streams
_usual: dict[str, Any] = {
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
_policies: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}] * 7 + [{"policy": "org"}, {"policy": "month", "policy_days": 30}]
)
names = st.sampled_from(
    [*(f"/app/{i}" for i in range(6)), "/audit/1", "aws/spans", OWN]
) | st.sampled_from([*(f"/aws/lambda/{i}" for i in range(4)), "/aws/lambda/us-east-1.0"])
rests: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *[{}] * 7,
        {"data_protection": '{"Name": "d"}', "index": '{"Fields": ["f"]}'},
        {"resource_policy": "{}", "syslog": ("vpce-1",)},
        {"transformer": ({"lowerCaseString": {"withKeys": ["k"]}},)},
    ]
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    more = draw(st.fixed_dictionaries(_usual)) | draw(_policies)
    age = draw(ages)
    return Plan(
        draw(names),
        draw(st.sampled_from([0] * 6 + [1, 1, 2, 2, 3])),
        age,
        draw(st.lists(streams, max_size=4, unique_by=lambda stream: stream.name)),
        draw(st.sampled_from([None] * 9 + [age + 50])),
        more,
    )


@st.composite
def empties(draw: st.DrawFn) -> Plan:
    """What is deleted, or would be but for one thing."""
    more: dict[str, Any] = {"retention": draw(st.sampled_from([None, 1, 14, 30, 30, 365]))}
    more |= _trap(draw)
    event = draw(st.sampled_from([None, 898.0, 500.0]))
    old = [Stream(stream, 899.0, event) for stream in "abc"]
    last = draw(st.none() | st.none() | ages)
    if last is not None:
        old.append(Stream("z", 899.0, last, draw(lates)))
    start = draw(st.sampled_from([0, 2, 3, 4]))
    return Plan(draw(_usable), draw(_targets), 900.0, old[start:], None, more, draw(rests))


@st.composite
def inhabited(draw: st.DrawFn) -> Plan:
    """What stays, with streams that are swept, or would be but for one thing."""
    more: dict[str, Any] = {"retention": draw(st.sampled_from([None, 14, 30, 365, 3653]))}
    more |= _trap(draw)
    event = st.sampled_from([None, 898.0, 500.0, 100.0, 45.0, 25.0]) | ages
    named = draw(st.sampled_from(["a", "ab", "abc", "ab", [CONTAINER]]))
    old = [Stream(stream, 899.0, draw(event), draw(lates)) for stream in named]
    old += draw(st.lists(dated_streams, max_size=2, unique_by=lambda stream: stream.name))
    # What keeps it came within the window in which metadata may lag, or before it.
    old.append(Stream("worker", 899.0, draw(st.sampled_from([0.001, 0.02, 3.0, 3.0, 10.0]))))
    return Plan(draw(_usable), draw(_targets), 900.0, old, None, more)


def _trap(draw: st.DrawFn) -> dict[str, Any]:
    """Nothing, mostly, or one thing that may speak against it."""
    trap = draw(st.none() | st.none() | st.sampled_from(sorted(_usual)))
    return {} if trap is None else {trap: draw(_usual[trap])}


_usable = names.filter(lambda name: name not in (OWN, "/audit/1"))
_targets = st.sampled_from([0, 0, 1])
LAGS = (1800.0, 3600.0, 180.0, 60.0)
unknowns = st.just(Unknowns()) | st.builds(
    Unknowns,
    tokens=st.sampled_from(["name", "offset", "end", "refused"]),
    listed_twice=st.booleans(),
    no_data_protection=st.sampled_from(["empty", "identifier", "not found"]),
    no_transformer=st.sampled_from(["empty", "identifier", "not found"]),
    subscription_filters=st.sampled_from(["refused", "served"]),
    class_code=st.sampled_from(
        ["ValidationException", "InvalidOperationException", "InvalidParameterException"]
    ),
    missing_code=st.sampled_from(
        ["UnknownOperationException", "InvalidOperationException", "InvalidParameterException"]
    ),
    buckets=st.sampled_from(["start", "multiples", "elsewhere"]),
    unclear=st.dictionaries(
        names, st.sampled_from(["PartialData", "InternalError", "Forbidden"]), max_size=2
    ),
    unclear_once=st.booleans(),
)
accounts = st.builds(
    Account,
    st.lists(
        empties() | plans() | inhabited(),
        min_size=1,
        max_size=9,
        unique_by=lambda plan: (plan.target, plan.name),
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


def scattered(account: Account) -> Account:
    """The same over all targets."""
    plans = account.groups[: len(TARGETS)]
    groups = [replace(plan, target=number) for number, plan in enumerate(plans)]
    return replace(account, groups=groups)


def laboured(account: Account) -> Account:
    """The same on a small CPU, as 256 MB of Lambda's are (a seventh of one)."""
    return replace(account, cpu=0.05)


def contained(account: Account) -> Account:
    """The same where a container that was silent for long may still hold a stream open."""
    held = Stream(CONTAINER, 899.0, 898.0)
    groups = [
        replace(plan, streams=[held, *(s for s in plan.streams if s.name != CONTAINER)])
        for plan in account.groups
    ]
    return replace(account, groups=groups)


def swept(account: Account) -> Account:
    """The same where each log group has streams to sweep, of which the last stands behind a page
    that ends in a live function's.
    """
    old = [Stream(name, 899.0, 898.0) for name in ("0", "a")]
    streams = [*old, dated(500.0, "a", 0.4), dated(3.0, "a", 0.0)]
    return replace(account, page=3, groups=[replace(p, streams=streams) for p in account.groups])


def retagged(account: Account, was: dict[str, str]) -> Account:
    """The same where half of the log groups had other tags a second ago."""
    groups = [replace(plan, was=was if n % 2 else None) for n, plan in enumerate(account.groups)]
    return replace(account, groups=groups, lags=LAGS)


lagging = st.builds(
    retagged, accounts, st.sampled_from([{}, {"janitor:keep": ""}, {"env": "dev"}, STACK])
)
unsettled = lagging | st.builds(
    lambda account, seconds, days: replace(account, coming=(seconds, days)),
    accounts,
    st.sampled_from([0.5, 2.0, 5.0, 30.0]),
    st.sampled_from([30, 365, None]),
)
settled = accounts | accounts | accounts.map(scattered) | accounts.map(scattered).map(laboured)
many = settled | unsettled


def accounts_with(more: dict[str, Any], **fields: Any) -> st.SearchStrategy[Account]:
    """Accounts with these fields, whose log groups all have `more`."""

    def change(account: Account) -> Account:
        groups = [replace(plan, more=plan.more | more) for plan in account.groups]
        return replace(account, groups=groups, **fields)

    return accounts.map(change)


def owned(account: Account) -> Account:
    """The same where a function logs to every log group."""
    every = [(plan.target, str(n), plan.name) for n, plan in enumerate(account.groups)]
    return replace(account, functions=[*every])


def unclear(account: Account) -> Account:
    """The same where CloudWatch gives no whole answer about any log group."""
    every = Unknowns(unclear={plan.name: "PartialData" for plan in account.groups})
    return replace(account, unknowns=every)


emptied = st.builds(
    Account,
    st.lists(empties(), min_size=3, max_size=9, unique_by=lambda plan: (plan.target, plan.name)),
)
"""Nothing but log groups that are deleted, or would be but for one thing."""


def single(account: Account) -> Account:
    """Only what belongs to one AWS account."""
    groups = [plan for plan in account.groups if TARGETS[plan.target][0] == ACCOUNT]
    return replace(account, groups=groups or [Plan("/app/0", 0, 900.0)])


twice = accounts_with({}, page=2, unknowns=Unknowns(listed_twice=True)).map(single)
"""Pages begin with what the one before ended in."""

# ---- policies ------------------------------------------------------------------------------------

DAYS = (1, 7, 14, 30, 90, 365)


@st.composite
def scopes(draw: st.DrawFn) -> dict[str, Any]:
    """The keys that [defaults] and rules share, without a band that contradicts itself."""
    low, days, high = sorted(draw(st.lists(st.sampled_from(DAYS), min_size=3, max_size=3)))
    said: dict[str, Any] = {}
    if draw(st.integers(0, 9)) > 1:
        said["retention_days"] = days
    if draw(st.integers(0, 3)) == 0:
        said["min_days"] = low
    if draw(st.integers(0, 2)) == 0:
        said["max_days"] = high
    said["delete_empty"] = draw(st.sampled_from([True, True, True, False]))
    said["sweep_streams"] = draw(st.sampled_from([True, True, False]))
    said["grace_days"] = draw(st.sampled_from([7, 7, 0, 1]))
    said["proof"] = draw(st.sampled_from(["arrivals", "arrivals", "events"]))
    return said


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """One rule that fills in everything, so that a band never meets another scope's."""
    said: dict[str, Any] = {"retention_days": 30, "min_days": 1, "max_days": 3653}
    said |= draw(scopes())
    if not said["min_days"] <= said["retention_days"] <= said["max_days"]:
        said |= {"min_days": 1, "max_days": 3653}
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
    return {"id": "rule"} | conditions | said


@dataclass
class Wanted:
    """A policy file as a dict, which is all that the oracle reads of it."""

    said: dict[str, Any]

    @property
    def policy(self) -> Policy:
        return parse(toml(self.said), "drawn")


FUNCTIONS = ["lambda", "lambda-edge"]
"""The owners that the accounts have. All others are asked by the tests of `janitor.owners`."""


@st.composite
def policies(draw: st.DrawFn, *, limited: bool = True) -> Wanted:
    protect = {
        "names": draw(st.sampled_from([[], ["/audit/*"]])),
        "tags": draw(st.sampled_from([["janitor:keep"], ["janitor:keep", "env=prod"], []])),
        "deletion": {
            "names": draw(st.sampled_from([[], ["/app/[45]"]])),
            "tags": draw(st.sampled_from([list(STACK), [*STACK, "team=shop"], []])),
            "owners": draw(st.sampled_from([FUNCTIONS, FUNCTIONS, FUNCTIONS, False])),
        },
    }
    limits: dict[str, Any] = {"max_group_deletion_share": 1.0}
    if limited and draw(st.booleans()):
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
    said: dict[str, Any] = {"defaults": draw(scopes()), "protect": protect, "limits": limits}
    if draw(st.booleans()):
        said["rules"] = [draw(rules())]
        if not said["protect"]["deletion"]["owners"] and said["rules"][0].pop("orphan_days", None):
            said["rules"][0]["quiet_days"] = 60  # nobody can be asked whether an owner is gone
    return Wanted(said)


def lowered(wanted: Wanted) -> Wanted:
    """The same with one scope, which lowers every longer retention to 30 days and sweeps."""
    scope = {key: wanted.said["defaults"][key] for key in ("delete_empty", "grace_days", "proof")}
    days = {"retention_days": 30, "max_days": 30, "sweep_streams": True}
    others = {key: said for key, said in wanted.said.items() if key != "rules"}
    return Wanted(others | {"defaults": days | scope})


def asking(wanted: Wanted, condition: dict[str, int]) -> Wanted:
    """The same with one rule, which hangs on that and lowers every longer retention to 30 days."""
    days = {"retention_days": 30, "min_days": 1, "max_days": 30}
    deletion = wanted.said["protect"]["deletion"] | {"owners": FUNCTIONS}
    protect = wanted.said["protect"] | {"deletion": deletion}
    rules = [{"id": "rule"} | condition | days]
    return Wanted(wanted.said | {"protect": protect, "rules": rules})


wanted = policies() | policies() | policies().map(lowered)


def limits(wanted: Wanted) -> bool:
    """Whether a few deletions exceed a limit."""
    return len(wanted.said["limits"]) > 1


def toml(said: dict[str, Any]) -> str:
    lines: list[str] = []
    for section, values in said.items():
        for table in values if isinstance(values, list) else [values]:
            lines.append(f"[[{section}]]" if isinstance(values, list) else f"[{section}]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key} = {_value(inner)}' for key, inner in value.items())}}}"
    return repr(value)


# ---- trouble -------------------------------------------------------------------------------------


OTHERS = (
    *("write", "stream", "delete", "recreate", "retain", "tag", "protect"),
    *("subscribe", "filter", "own", "blur"),
)
"""What others do meanwhile."""


@dataclass
class Trouble:
    """What goes wrong in a run. Shares are of the calls, with `slow_seconds` among them; `denied`
    names an operation and maybe a group or a Region, which answer with the code `refusal`;
    `nowhere` is a service to which no way leads, `expired` the call from which on the credentials
    are refused. Before a share of `meanwhile` calls somebody else does one of `kinds`.
    `bucket` is the share of S3's calls that fail.
    """

    seed: int = 0
    shares: dict[str, float] = field(default_factory=dict)
    only: str | None = None
    denied: tuple[str | None, str | None, str | None] | None = None
    expired: float = math.inf
    meanwhile: float = 0.0
    kinds: tuple[str, ...] = OTHERS
    bucket: float = 0.0
    refusal: str = "AccessDeniedException"
    nowhere: str | None = None


KINDS = (
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
shares = st.builds(
    lambda kinds, seconds: kinds | ({"slow_seconds": seconds} if "slow" in kinds else {}),
    st.dictionaries(
        st.sampled_from(KINDS), st.sampled_from([0.03, 0.1, 0.3, 0.9]), min_size=1, max_size=4
    ),
    st.sampled_from([0.4, 1.2, 1.2, 40.0]),
)
"""Slow answers make a look stale (LOOK_LASTS is 1 s), or come after the caller gave up (30 s)."""
seeds = st.integers(0, 2**32 - 1)
denials = st.tuples(operations, st.none() | names, st.none() | st.just("us-east-1")) | st.tuples(
    st.none(), st.none(), st.just("us-east-1")
)
kinds = st.just(OTHERS) | st.sampled_from(OTHERS).map(lambda kind: (kind,))
flaky = st.builds(Trouble, seeds, shares, st.none() | operations)
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
    shares,
    st.sampled_from(["DeleteLogGroup", "DeleteLogGroup", "DescribeLogGroups", "DeleteLogStream"]),
    meanwhile=st.sampled_from([0.0, 0.05, 0.2]),
    kinds=kinds,
)
busy = st.builds(Trouble, seeds, meanwhile=st.sampled_from([0.05, 0.2, 0.5]), kinds=kinds)


def only(kind: str) -> st.SearchStrategy[Trouble]:
    """Others at work who do one thing only."""
    shares = st.sampled_from([0.2, 0.5])
    return st.builds(Trouble, seeds, meanwhile=shares, kinds=st.just((kind,)))


denied = st.builds(Trouble, seeds, denied=denials) | st.builds(
    Trouble,
    seeds,
    denied=st.just((None, None, "us-east-1")),
    refusal=st.sampled_from(["UnrecognizedClientException", "InvalidToken"]),
)
nowhere = st.builds(Trouble, nowhere=st.sampled_from(["tagging", "monitoring", "lambda"]))
unread = st.builds(
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
    st.just({}) | shares | shares,
    st.none() | st.none() | operations,
    st.none() | denials,
    st.sampled_from([math.inf] * 9 + [10.0, 25.0]),
    st.sampled_from([0.0, 0.0, 0.05, 0.2]),
    bucket=st.sampled_from([0.0, 0.0, 0.1]),
)
stores = st.builds(Trouble, seeds, bucket=st.sampled_from([0.05, 0.2]))
expiring = st.builds(Trouble, seeds, expired=st.sampled_from([5.0, 15.0, 30.0, 60.0]))
troubles = (flaky | at_the_listing | sluggish | at_the_deletion | busy | busy) | (
    denied | nowhere | expiring | anything
)
"""Mostly of one kind: where everything goes wrong at once nothing is ever deleted."""
