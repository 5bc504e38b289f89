"""The engine's promises as properties, on the fake account: whatever fails, and whenever it dies.

A failing example prints what was drawn; put it into `@example(...)` to try it again.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.errors import JanitorError
from janitor.core.model import Verb
from tests.fakes import truth as fakes
from tests.fakes.truth import Group, Key, Truth
from tests.proof import worlds
from tests.proof.engine import Environment, Result, by_verb, environment, settle
from tests.proof.fleet import RUN as EXECUTION
from tests.proof.fleet import Fleet, StateMachine, role
from tests.proof.function import Function, Rounds, scheduled
from tests.proof.oracle import Expected
from tests.proof.process import Death
from tests.proof.witness import Record
from tests.proof.worlds import ACCOUNT, NOW, OTHER, Account, PolicyFile, Trouble

RUN, DRY_RUN = "5f3c", {"dry_run": True}
TARGET = {"role": role(ACCOUNT), "region": "eu-west-1"}
strangers = (
    st.sampled_from(
        [
            {"run": "nobody", "link": 1},
            {"run": RUN},
            {"run": RUN, "link": 1, "dry_run": False},
            DRY_RUN,
            {"dry_run": False},
            {"dry_run": False, "regions": ["eu-west-1"]},
            {"dry_run": False, "started": NOW + 10**10},
            {"resume": {"started": NOW + 10**10, "line": 9}, "dry_run": False},
            ["event"],
            "event",
        ]
    )
    | st.builds(lambda link: {"run": RUN, "link": link}, st.integers(1, 4) | st.just(99))
    | st.builds(
        lambda run, days: scheduled(run, NOW + days * DAY_MS),
        st.sampled_from([RUN, "other"]),
        st.sampled_from([-4000, -30, -1, 0, 1, 37, 372, 4000]),
    )
)
"""Events to the function from anybody who may invoke it."""
fleet_strangers = st.sampled_from(
    [
        {"run": EXECUTION, "pass": "targets", "dry_run": False},
        {"run": EXECUTION, "pass": "targets"},
        {"run": EXECUTION, "pass": "survey", **TARGET},
        {"run": EXECUTION, "pass": "act", **TARGET},
        {"run": EXECUTION, "pass": "act", "role": role(OTHER), "region": "us-east-1"},
        {"run": EXECUTION, "pass": "act", "role": role("999999999999"), "region": "eu-west-1"},
        {"run": EXECUTION, "pass": "act", **TARGET, "dry_run": False},
        {"run": EXECUTION, "pass": "act", **TARGET, "started": NOW + 10**10},
        {"run": EXECUTION, "pass": "limits"},
        {"run": EXECUTION, "pass": "report"},
        {"run": "nobody", "pass": "act", **TARGET},
        {"run": "dry", "pass": "targets", "dry_run": True},
        {"run": "dry", "pass": "survey", **TARGET},
        {"run": "dry", "pass": "limits"},
        {"run": "dry", "pass": "act", **TARGET},
        {"dry_run": False},
        ["event"],
    ]
)
"""The same for the function of a fleet."""
from_the_future = st.builds(
    lambda at, days: [(at, scheduled("other", NOW + days * DAY_MS))],
    st.integers(0, 2),
    st.sampled_from([7, 37, 372, 4000]),
)
steps = st.integers(1, 120) | st.integers(1, 30)
_invoked: dict[str, st.SearchStrategy[Any]] = {
    "policy": worlds.policies,
    "trouble": st.just(Trouble()) | st.just(Trouble()) | worlds.troubles | worlds.failing_bucket,
    "seconds": st.sampled_from([2.0, 3.0, 4.0, 6.0, 9.0, 15.0, 900.0]),
    "repeated": st.frozensets(st.integers(0, 6), max_size=2),
}
_deaths = st.none() | st.tuples(steps, st.booleans())
GIVEN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "undisturbed": {"account": worlds.settled, "policy": worlds.policies},
    "plan_and_apply": {
        "account": worlds.all_accounts,
        "policy": worlds.policies,
        "trouble": worlds.troubles,
        "recreated": st.just([]) | st.lists(st.integers(0, 8), max_size=3),
        "days": st.sampled_from([0.0, 0.0, 0.2, 3.0, 40.0]),
    },
    "troubled": {
        "account": worlds.all_accounts,
        "policy": worlds.policies,
        "trouble": worlds.troubles,
    },
    "killed": {
        "account": worlds.all_accounts,
        "policy": worlds.policies,
        "deaths": st.lists(steps, min_size=1, max_size=3),
        "after": st.booleans(),
    },
    "chained": {
        **_invoked,
        "account": worlds.all_accounts.map(worlds.in_one_account),
        "deaths": st.lists(_deaths, max_size=4),
        "others": st.just([]) | st.lists(st.tuples(st.integers(0, 6), strangers), max_size=3),
    },
    "fleet": {
        **_invoked,
        "account": worlds.all_accounts,
        "deaths": st.lists(_deaths, max_size=6),
        "others": st.just([]) | st.lists(st.tuples(st.integers(0, 6), fleet_strangers), max_size=3),
        "dry_run": st.sampled_from([False, False, False, True]),
    },
}
"""What is drawn for each property, by argument."""

few = settings(max_examples=60)
"""For each push; `make proof` tries thousands."""


def property_test(name: str, **narrowed: st.SearchStrategy[Any]) -> Any:
    """Return the property as a new test, to be given other settings or less variety."""
    return given(**GIVEN[name] | narrowed)(globals()[f"test_{name}"].hypothesis.inner_test)


@few
@given(**GIVEN["undisturbed"])
def test_undisturbed(account: Account, policy: PolicyFile) -> None:
    """A survey changes nothing; a run does and counts what the oracle says and the survey foretold;
    a second run changes only groups of which the first one put a retention or swept streams, whose
    bytes may have gone with those (they are shown late).
    """
    with environment(account, policy, Environment) as env:
        before = env.truth
        expected = env.oracle.expected(before, env.clock.now())
        with env.process() as first:
            planned = first.survey()
            assert_unchanged(env, before)
            assert planned is not None
            most = policy.content["limits"].get("max_group_deletions", 500)
            if expected.planned["delete_group"] <= most:  # beyond it not everything is asked
                assert Counter(planned.planned) == expected.planned
            assert planned.planned[Verb.DELETE_GROUP] >= expected.planned["delete_group"]
            assert bool(planned.refused) == expected.refused
            result = first.apply()
        assert_no_violations(env)
        assert_same(env.truth, expected.truth)
        assert_as_expected(result, expected)
        assert by_verb(first.record.effects) == expected.done
        assert first.counts.calls == first.record.calls
        then = env.oracle.expected(env.truth, NOW)
        with env.process() as second:
            second.record.now = NOW
            second.run()
        assert_no_violations(env)
        assert_same(env.truth, then.truth)
        touched = {item[:3] for item in first.record.effects if item[4] != "delete_group"}
        more = {item for item in second.record.effects if item[:3] not in touched}
        assert expected.refused or not more, more


@few
@given(**GIVEN["plan_and_apply"])
def test_plan_and_apply(
    account: Account, policy: PolicyFile, trouble: Trouble, recreated: list[int], days: float
) -> None:
    """Planning changes nothing, whatever fails; applying the plan leaves what a run leaves. If
    groups were recreated since, `days` have passed or others are at work, nothing is done that was
    not planned, and nothing by a later cutoff.
    """
    with environment(account, policy, Environment) as env:
        before = env.truth
        alone = replace(trouble, interference=0.0)
        with env.process(alone) as janitor, contextlib.suppress(JanitorError):
            janitor.survey()
        assert_unchanged(env, before)
        with env.process() as janitor:
            expected = env.oracle.expected(before, env.clock.now())
            janitor.survey()
        assert_unchanged(env, before)
        specs = [account.groups[n] for n in set(recreated) if n < len(account.groups)]
        for spec in specs:
            worlds.recreate(env.builder, spec)
        env.clock.jump(days * 86_400)
        others = Trouble(trouble.seed, interference=trouble.interference, changes=trouble.changes)
        result = None
        with env.process(others) as janitor, contextlib.suppress(JanitorError):
            result = janitor.apply()
        assert_no_violations(env)
        if not (specs or trouble.interference or days or account.unsettled):
            assert_same(env.truth, expected.truth)
            assert_as_expected(result, expected)


@few
@given(**GIVEN["troubled"])
def test_troubled(account: Account, policy: PolicyFile, trouble: Trouble) -> None:
    """Whatever fails and whoever interferes, a run does only what is lawful, within the limits,
    counts and journals it; after the trouble everything is done that should be.
    """
    with environment(account, policy, Environment) as env:
        result = None
        with env.process(trouble) as janitor:
            with contextlib.suppress(JanitorError):
                result = janitor.run()
            record = janitor.record
            env.witness.check_limits(record.scanned, record.effects)
        assert_no_violations(env)
        assert janitor.counts.calls == record.calls
        assert janitor.counts.throttled == record.throttled
        if result is not None:
            assert_counted(record, result.done)
        refused = result is None or bool(result.refused)
        assert_recovers(env, account, trouble, refused=refused)


@few
@given(**GIVEN["killed"])
def test_killed(account: Account, policy: PolicyFile, deaths: list[int], after: bool) -> None:
    """Killed at any call or in a line of the journal and started again, it ends the same."""
    with environment(account, policy, Environment) as env:
        refused = False
        for step in deaths:
            with env.process(None, Death(step, after)) as janitor:
                result = janitor.run()
                refused |= result is not None and bool(result.refused)
            assert_no_violations(env)
        assert_recovers(env, account, Trouble(), refused=refused)


@few
@given(**GIVEN["chained"])
def test_chained(
    account: Account,
    policy: PolicyFile,
    trouble: Trouble,
    seconds: float,
    deaths: list[tuple[int, bool] | None],
    repeated: frozenset[int],
    others: list[tuple[int, Any]],
) -> None:
    """The function's links have few seconds, die and are retried, get events twice, even at the
    same time, and strangers' events: a run stays within the limits, ends, and is reported once.
    """
    with environment(account, policy, Function) as env:
        env.send(scheduled(RUN))
        rounds = Rounds(env, trouble, 2, seconds, deaths, repeated, others)
        dry = set[str]()
        while env.queue and rounds.number < 80:
            deliveries = [one.delivery for one in rounds.invoke([env.queue.pop(0)])]
            dry |= {one.run for one in deliveries if one.event == DRY_RUN}
        assert not env.queue, "the chain ends"
        if not trouble.interference:
            env.check_limits()
            assert_no_violations(env)
        assert not dry & env.acting
        assert env.topic.published[RUN] <= 1 + env.cut_off
        state = env.state(RUN)
        assert env.given_up or (state is not None and "ended" in state), "the run has ended"
        if trouble == Trouble() and not env.given_up:
            assert_ended(env, account, changed=bool(env.acting - {RUN}) or account.unsettled)
        assert_recovers(env, account, trouble, refused=trouble != Trouble() or env.refused)


@few
@given(**GIVEN["fleet"])
def test_fleet(
    account: Account,
    policy: PolicyFile,
    trouble: Trouble,
    seconds: float,
    deaths: list[tuple[int, bool] | None],
    repeated: frozenset[int],
    others: list[tuple[int, Any]],
    dry_run: bool,
) -> None:
    """A fleet's targets are called at the same time with few seconds; calls fail, die, come twice
    or from strangers: only what is lawful is done, within the limits of each account and of all,
    and reported; a dry run changes nothing; after the trouble everything is done that should be.
    """
    with environment(account, policy, Fleet) as env:
        before = env.truth
        machine = StateMachine(env, trouble, 4, seconds, deaths, repeated, others)
        report = machine.run(dry_run=dry_run)
        ran_dry = env.read(EXECUTION, "run.json")["dry_run"]
        if ran_dry:
            assert EXECUTION not in env.acting
        if ran_dry and not trouble.interference:
            assert_unchanged(env, before)
        assert "dry" not in env.acting
        if not trouble.interference:
            env.check_limits()
            assert_no_violations(env)
        alone = trouble == Trouble() and not others and not account.unsettled
        if alone and not ran_dry and env.clock.passed < 600:
            assert_reported(env, account, report["summary"])
        refused = bool(others) or trouble != Trouble() or env.refused
        assert_recovers(env, account, trouble, refused=refused)


# ---- what is asserted ----------------------------------------------------------------------------


def assert_no_violations(env: Environment) -> None:
    assert not env.witness.violations, env.witness.violations


def assert_unchanged(env: Environment, before: Truth) -> None:
    """Nothing has changed but with time."""
    before.elapse(env.clock.now())
    assert env.truth == before


def assert_same(one: Truth, other: Truth, without_streams: Set[Key] = frozenset()) -> None:
    """Two accounts are the same. How many events of a stream have expired is left out: it depends
    on when the run ended, and the witness sees every loss of an event.
    """
    left, right = (_without_expiry(truth, without_streams) for truth in (one, other))
    differ = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
    assert not differ, [(key, left.get(key), right.get(key)) for key in differ]


def _without_expiry(truth: Truth, without_streams: Set[Key]) -> dict[Key, Group]:
    def times(stream: fakes.Stream) -> fakes.Stream:
        events = tuple(replace(event, count=0, bytes=0) for event in stream.events)
        return replace(stream, events=events)

    return {
        group.key: replace(
            group,
            streams={
                name: times(stream)
                for name, stream in group.streams.items()
                if group.key not in without_streams
            },
        )
        for group in truth.all()
    }


def assert_as_expected(result: Result | None, expected: Expected) -> None:
    """An undisturbed run counts what was expected."""
    assert result is not None
    assert bool(result.refused) == expected.refused
    assert Counter(result.done) == expected.done


def assert_counted(record: Record, done: Mapping[Verb, int]) -> None:
    """The counts are the fake account's, except for changes whose answers were lost."""
    for verb in (Verb.DELETE_GROUP, Verb.SET_RETENTION, Verb.SWEEP_STREAMS):
        effects = {item for item in record.effects if item[4] == verb}
        lost = {item for item in record.lost if item[4] == verb}
        assert len(effects - lost) <= done[verb] <= len(effects | lost), verb


def assert_recovers(env: Environment, account: Account, trouble: Trouble, *, refused: bool) -> None:
    """After the trouble, undisturbed runs do what is left to do."""
    now, left = env.later(), env.truth
    results = settle(env)
    assert_no_violations(env)
    assert_same(env.truth, env.oracle.expected(env.truth, now).truth)  # nothing is left to do
    if trouble.interference or account.unsettled:
        assert env.oracle.expected(left, now).refused == bool(results[0].refused)
        return
    expected, forbidden = final_truth(env, account.build().truth, now)
    if not (forbidden or refused or any(result.refused for result in results)):
        assert_equivalent(env, expected)


def final_truth(env: Environment, truth: Truth, now: int) -> tuple[Truth, bool]:
    """Return what undisturbed runs end in, and whether a limit refused anything in one of them."""
    refused = False
    while True:
        expected = env.oracle.expected(truth, now)
        refused |= expected.refused
        if expected.truth.groups == truth.groups:
            return truth, refused
        truth = expected.truth


def assert_equivalent(env: Environment, expected: Truth) -> None:
    """The accounts are the same except for two kinds of log groups. Under proof = "events", which
    streams are swept depends on what an earlier run did: a hundred are kept if one of them holds
    events, and sweeping changes which hundred they are. Either is lawful; the witness sees that
    only expired streams go. Groups that never can be deleted get their retention from a run that
    could not read their streams, but not from one that plans their deletion.
    """
    rules, now = env.witness.rules, env.clock.now()
    scopes = {group.key: rules.scopes(group) for group in expected.all()}
    unsure = {key for key, may in scopes.items() if any(one["proof"] == "events" for one in may)}
    ignored = with_hidden_events(env.account.build().truth) | env.oracle.never_deleted(
        expected, now
    )
    left, right = env.truth, expected.copy()
    for truth in (left, right):
        for key in ignored:
            truth.groups.pop(key, None)
    assert_same(left, right, unsure)


def with_hidden_events(truth: Truth) -> set[Key]:
    """Return the log groups with events that nothing shows at first: what is right before these
    are shown is not right afterwards.
    """
    lags = truth.lags
    return {
        group.key
        for group in truth.all()
        for stream in group.streams.values()
        for event in stream.events
        if event.ingested > NOW - 1000 * max(lags.stored, lags.metric, lags.stream, stream.lag or 0)
    }


def counted(summary: Mapping[str, int]) -> Counter[str]:
    """Return the counts of a summary by verb."""
    return Counter(
        delete_group=summary["groups_deleted"],
        set_retention=summary["retention_set"],
        sweep_streams=summary["streams_deleted"],
    )


def assert_ended(env: Function, account: Account, *, changed: bool) -> None:
    """The run has ended like an undisturbed one, unless others `changed` something."""
    summary = (env.state(RUN) or {})["ended"]
    assert counted(summary) == by_verb(env.effects(RUN)) or changed
    expected = env.oracle.expected(account.build().truth, NOW)
    if not (changed or expected.refused or env.clock.passed > 600):
        assert_equivalent(env, expected.truth)
        assert summary["groups_scanned"] == expected.scanned, "each is scanned once"


def assert_reported(env: Fleet, account: Account, summary: dict[str, Any]) -> None:
    """The run has ended like an undisturbed one, and its report says so."""
    assert counted(summary) == by_verb(env.effects(EXECUTION))
    started = env.read(EXECUTION, "run.json")["started"]  # on a small CPU later than NOW
    expected = env.oracle.expected(account.build().truth, started)
    assert bool(summary["refused_because"]) == expected.refused
    if not expected.refused:
        assert_equivalent(env, expected.truth)
        assert summary["groups_scanned"] == expected.scanned, "each is scanned once"
