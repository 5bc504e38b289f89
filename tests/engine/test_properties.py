"""Safety as properties of random accounts, policies and faults, with an independent oracle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from janitor.core.model import Outcome, Status, SweepStreams, Verb
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import RETENTION_DAYS, Policy, load, parse
from janitor.sandbox import store
from janitor.sandbox.wire import Call, RefusedError, Reply
from tests.accounts import (
    FOR_EVER,
    NOW,
    RESET,
    Cloud,
    Group,
    changing,
    days_ago,
    janitor,
    look,
    ok,
    refused,
    stream,
)

# CI tries the same examples each time. They are few, because `tests/proof` tries these properties
# on many more and larger accounts.
relaxed = settings(
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)

moments = st.one_of(
    st.sampled_from([0, 1, 6, 7, 8, 14, 21, 36, 37, 38, 60, 371, 372, 373]).map(days_ago),
    st.integers(days_ago(1500), days_ago(0)),
    st.sampled_from([days_ago(37) - 1, days_ago(37) + 1, days_ago(372) - 1, days_ago(372) + 1]),
)
maybe = st.none() | moments
streams = st.builds(
    stream,
    st.sampled_from(["2020/01/01/[1]a", "2026/01/01/[1]b", "worker", "z"]),
    moments,
    maybe,
    lag=st.sampled_from([None, FOR_EVER]),
)
TRAITS: list[dict[str, Any]] = [
    {"stored": 1},
    {"stored": 10**9},
    {"under": ("for ever", None)},
    {"under": ("a year", 365)},
    {"log_class": "INFREQUENT_ACCESS"},
    {"log_class": "ESSENTIALS"},
    {"log_class": "DELIVERY"},
    {"protected": True},
    {"metric_filters": ("m",)},
    {"subscriptions": ("s",)},
    {"tags": {"janitor:keep": "x"}},
    {"tags": {"env": "prod"}},
    {"tags": {"env": "dev"}},
    {"tags": {"aws:cloudformation:stack-name": "s"}},
    {"odd": {"storedBytes": -1}},
    {"odd": {"creationTime": ...}},
]
names = st.builds(
    "{}{}".format,
    st.sampled_from(["/aws/lambda/", "/app/", "/app/", "/audit/", "aws/"]),
    st.integers(0, 9),
)
FILTERS = ("metric_filters", "subscriptions")


def group_with(traits: list[dict[str, Any]], *given: Any, **fields: Any) -> Group:
    """Return a log group with these traits; only class STANDARD has filters."""
    for trait in traits:
        fields |= trait
    if "log_class" in fields:
        fields = {key: value for key, value in fields.items() if key not in FILTERS}
    return Group(*given, **fields)


groups = st.builds(
    group_with,
    st.lists(st.sampled_from(TRAITS), max_size=3),
    names,
    moments,
    retention=st.sampled_from([None, 1, 14, 30, 365, 3653]),
    streams=st.lists(streams, max_size=4, unique_by=lambda s: s.name),
    arrivals=st.dictionaries(moments, st.just(9), max_size=1),
)
accounts = st.lists(groups, min_size=1, max_size=12, unique_by=lambda g: g.name)


def asking_for_functions(policy: Policy) -> Policy:
    """Return the policy without other owners, which these accounts lack."""
    deletion = policy.protect.deletion.model_copy(update={"owners": ["lambda", "lambda-edge"]})
    protect = policy.protect.model_copy(update={"deletion": deletion})
    return policy.model_copy(update={"protect": protect})


policies = st.sampled_from(
    [
        load(None).model_copy(
            update={"limits": load(None).limits.model_copy(update={"max_group_deletion_share": 1})}
        ),
        parse(
            "[defaults]\nretention_days = 30\ndelete_empty = true\nsweep_streams = true\n"
            "min_days = 7\nmax_days = 400\ngrace_days = 0\n[protect]\nnames = ['/audit/*']\n"
            "tags = ['env=prod']\n[protect.deletion]\nnames = ['/app/2']\ntags = ['env=dev']\n"
            "[limits]\nmax_group_deletion_share = 1.0",
            "t",
        ),
        parse(
            "[defaults]\nretention_days = 14\ndelete_empty = true\nproof = 'events'\n"
            "[limits]\nmax_group_deletion_share = 1.0\nmax_group_deletions = 3\n"
            "[[rules]]\nid = 'dev'\ntags = ['env=dev']\nretention_days = 1\nsweep_streams = true",
            "t",
        ),
    ]
).map(asking_for_functions)


@contextmanager
def journal() -> Iterator[FileJournal]:
    """A journal for one example."""
    with tempfile.TemporaryDirectory() as folder:
        made = FileJournal(Path(folder) / "j", Lines("run", "policy"))
        try:
            yield made
        finally:
            made.close()


class RandomFaults:
    """Faults at a rate, reproducible from a seed."""

    errors = (
        refused("ThrottlingException"),
        refused("InternalFailure", 500),
        refused("AccessDeniedException"),
        RESET,
    )

    def __init__(self, seed: int, rate: float) -> None:
        self._dice = Random(seed)
        self._rate = rate

    def __call__(self, call: Call) -> Reply | RefusedError | None:
        if self._dice.random() >= self._rate:
            return None
        # A change whose answer is a success, however garbled, has taken place.
        unreadable = () if changing([call.operation]) else (ok(b"{"),)
        answers: list[Reply | RefusedError] = [*self.errors, *unreadable]
        return self._dice.choice(answers)


def expected_days(group: Group, policy: Policy) -> tuple[int | None, int]:
    """Return the longest retention that counts by the policy, and the grace days."""
    scopes: list[Any] = [policy.defaults]
    for rule in reversed(policy.rules):
        names = rule.names is None or group.name.startswith("/aws/lambda/")
        tags = rule.tags is None or group.tags.get("env") == "dev"
        if names and tags:
            scopes = [policy.defaults, rule]

    def setting(key: str) -> Any:
        values = [getattr(scope, key, None) for scope in scopes]
        return next((value for value in reversed(values) if value is not None), None)

    grace = setting("grace_days")
    if group.under is not None:
        return group.under[1], grace
    if group.retention is None:
        return setting("retention_days"), grace
    return max(group.retention, setting("min_days") or 0), grace


def assert_lawful(group: store.Group, before: Group, policy: Policy, functions: set[str]) -> None:
    """Check each deletion rule (docs/concepts.md) against the true state of the group."""
    days, grace = expected_days(before, policy)
    assert days is not None, "retention unknown"
    cut = NOW - (days + grace) * 86_400_000
    tags = before.tags
    assert not before.protected
    assert not before.metric_filters
    assert not before.subscriptions
    assert before.log_class != "DELIVERY"
    assert not before.odd
    assert not ("janitor:keep" in tags and "janitor:keep" in policy.protect.tags)
    assert not (tags.get("env") == "prod" and "env=prod" in policy.protect.tags)
    assert not (before.name.startswith("/audit/") and "/audit/*" in policy.protect.names)
    assert before.name not in policy.protect.deletion.names
    for tag in policy.protect.deletion.tags:
        key, _, value = tag.partition("=")
        assert not (key in tags and value in ("", tags[key]))
    assert not before.name.startswith("aws/")
    assert before.name.removeprefix("/aws/lambda/") not in functions
    assert before.created < cut
    assert before.stored == 0
    for one in before.streams.values():
        assert one.created < cut
        assert all(events.ingested < cut for events in one.events)
    assert all(at < cut for at in before.arrivals)


@relaxed
@given(accounts, policies, st.integers(), st.sampled_from([0, 0, 0.1, 0.5]), st.booleans())
def test_only_what_may_be_deleted_is_deleted(
    account: list[Group], policy: Policy, seed: int, rate: float, owned: bool
) -> None:
    """For any account, policy and faults, every change is lawful and every count is true."""
    before = {group.name: deepcopy(group) for group in account}
    cloud = Cloud(account)
    cloud.functions |= {"3": None} if owned else {}
    cloud.fault = RandomFaults(seed, rate)
    with journal() as written:
        summary, recorded = janitor(cloud, policy, written)
        text = written.path.read_text() if written.written else ""
    for group in cloud.deleted:
        assert_lawful(group, before[group.name], policy, set(cloud.functions))
    assert len(cloud.deleted) <= policy.limits.max_group_deletions
    for name, days in cloud.puts:
        assert days in RETENTION_DAYS
        assert before[name].under is None
        assert before[name].log_class != "DELIVERY"
        assert not before[name].odd
    assert summary.done[Verb.DELETE_GROUP] == len(cloud.deleted)
    assert summary.done[Verb.SWEEP_STREAMS] == len(cloud.swept)
    assert summary.done[Verb.SET_RETENTION] == len(cloud.puts)
    lines = len([line for line in text.splitlines() if '"status": "done"' in line])
    assert lines == len(cloud.deleted) + len(cloud.swept) + len(cloud.puts)
    assert {o.group.name for o in recorded.outcomes} >= {g.name for g in recorded.groups}


def hides_events(group: Group) -> bool:
    """Return whether streams have events that DescribeLogStreams does not show."""
    return any(one.lag and one.events for one in group.streams.values())


def swept_nothing(outcome: Outcome) -> bool:
    """Return whether it is a sweep that found no stream to delete."""
    return isinstance(outcome.action, SweepStreams) and not outcome.streams


@relaxed
@given(accounts, policies, st.booleans())
def test_a_dry_run_changes_nothing_and_foretells_the_run(
    account: list[Group], policy: Policy, owned: bool
) -> None:
    """A run does what was planned, and a second run does nothing more.

    Two exceptions: the second run may delete a group whose retention the first one lowered, as the
    old retention still counts in the first; and events that a stream hides from the plan may expire
    by the run's own retention, so that the next run sweeps the stream.
    """
    before = {group.name: group.retention for group in account}
    cloud = Cloud(account)
    cloud.functions |= {"3": None} if owned else {}
    with journal() as written:
        planned, _ = look(cloud, policy)
        assert not changing(cloud.calls)
        assert not +planned.done
        done, _ = janitor(cloud, policy, written)
        if not any(hides_events(group) for group in account):
            assert planned.planned == done.done
        later = {name for name, days in cloud.puts if days < (before[name] or 0)}
        later |= {group.name for group in account if hides_events(group)}
        _, again = janitor(cloud, policy, written)
        acted = [o for o in again.outcomes if o.status is Status.DONE and not swept_nothing(o)]
        assert {outcome.group.name for outcome in acted} <= later
