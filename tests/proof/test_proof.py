"""The engine's promises as properties, on the fake account: whatever fails, and whenever it dies.

An example that fails prints what was drawn; put it into `@example(...)` to try it again.
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
from tests.proof.engine import Place, place, settle
from tests.proof.fleet import RUN as EXECUTION
from tests.proof.fleet import Fleet, StateMachine, role
from tests.proof.function import Function, scheduled
from tests.proof.witness import Life
from tests.proof.worlds import ACCOUNT, NOW, OTHER, Account, Trouble, Wanted

VERBS = (Verb.DELETE_GROUP, Verb.SET_RETENTION, Verb.SWEEP_STREAMS)


def lawful(here: Place) -> None:
    """Nothing that the witness saw was wrong."""
    assert not here.witness.wrongs, here.witness.wrongs


def unchanged(here: Place, before: Truth) -> None:
    """Nothing is different, but what time does by itself."""
    before.elapse(here.clock.now())
    assert here.truth == before


def same(one: Truth, other: Truth, without_streams: Set[Key] = frozenset()) -> None:
    """Two accounts hold the same. How many events of a stream have expired is left out: it depends
    on when the run came to its end, and no event is lost unseen by the witness.
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


RUN, DRY_RUN = "5f3c", {"dry_run": True}
DAYS = st.sampled_from([-4000, -30, -1, 0, 1, 37, 372, 4000])
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
        lambda run, days: scheduled(run, NOW + days * DAY_MS), st.sampled_from([RUN, "other"]), DAYS
    )
)
"""Events from anybody who may invoke the function."""

TARGET = {"role": role(ACCOUNT), "region": "eu-west-1"}
callers = st.sampled_from(
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
"""Events from anybody who may invoke the function."""

from_the_future = st.builds(
    lambda at, days: [(at, scheduled("other", NOW + days * DAY_MS))],
    st.integers(0, 2),
    st.sampled_from([7, 37, 372, 4000]),
)

steps = st.integers(1, 120) | st.integers(1, 30)
GIVEN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "undisturbed": {"account": worlds.settled, "wanted": worlds.wanted},
    "plan_and_apply": {
        "account": worlds.many,
        "wanted": worlds.wanted,
        "trouble": worlds.troubles,
        "again": st.just([]) | st.lists(st.integers(0, 8), max_size=3),
        "days": st.sampled_from([0.0, 0.0, 0.2, 3.0, 40.0]),
    },
    "troubled": {
        "account": worlds.many,
        "wanted": worlds.wanted,
        "trouble": worlds.troubles,
    },
    "killed": {
        "account": worlds.many,
        "wanted": worlds.wanted,
        "deaths": st.lists(steps, min_size=1, max_size=3),
        "after": st.booleans(),
    },
    "chained": {
        "account": worlds.many.map(worlds.single),
        "wanted": worlds.wanted,
        "trouble": st.just(Trouble()) | st.just(Trouble()) | worlds.troubles | worlds.stores,
        "seconds": st.sampled_from([2.0, 3.0, 4.0, 6.0, 9.0, 15.0, 900.0]),
        "deaths": st.lists(st.none() | st.tuples(steps, st.booleans()), max_size=4),
        "twice": st.frozensets(st.integers(0, 6), max_size=2),
        "strangers": st.just([]) | st.lists(st.tuples(st.integers(0, 6), strangers), max_size=3),
    },
    "fleet": {
        "account": worlds.many,
        "wanted": worlds.wanted,
        "trouble": st.just(Trouble()) | st.just(Trouble()) | worlds.troubles | worlds.stores,
        "seconds": st.sampled_from([2.0, 3.0, 4.0, 6.0, 9.0, 15.0, 900.0]),
        "deaths": st.lists(st.none() | st.tuples(steps, st.booleans()), max_size=6),
        "twice": st.frozensets(st.integers(0, 6), max_size=2),
        "others": st.just([]) | st.lists(st.tuples(st.integers(0, 6), callers), max_size=3),
        "dry_run": st.sampled_from([False, False, False, True]),
    },
}


few = settings(max_examples=60)
"""For each push; `make proof` tries thousands."""


def anew(name: str, **narrowed: st.SearchStrategy[Any]) -> Any:
    """The property once more, to be tried with other settings, or with less variety."""
    return given(**GIVEN[name] | narrowed)(globals()[f"test_{name}"].hypothesis.inner_test)


@few
@given(**GIVEN["undisturbed"])
def test_undisturbed(account: Account, wanted: Wanted) -> None:
    """A survey changes nothing. A run does what an oracle says and the survey foretells, and counts
    it; nor does a second run anything, but for groups whose events expired with the retention that
    the first one put, or of which it swept the streams: what kept them may have gone with those
    (bytes that are shown late).
    """
    with place(account, wanted, Place) as here:
        before = here.truth
        told = here.oracle.expected(before, here.clock.now())
        with here.process() as first:
            planned = first.survey()
            unchanged(here, before)
            assert planned is not None
            most = wanted.said["limits"].get("max_group_deletions", 500)
            if told.planned["delete_group"] <= most:  # beyond it not all is asked
                assert Counter(planned.planned) == told.planned
            assert planned.planned[Verb.DELETE_GROUP] >= told.planned["delete_group"]
            assert bool(planned.refused) == told.refused
            done = first.apply()
        lawful(here)
        same(here.truth, told.truth)
        assert done is not None
        assert bool(done.refused) == told.refused
        assert [done.done[verb] for verb in VERBS] == [told.deleted, told.put, told.swept]
        made = Counter(item[4] for item in first.life.effects)
        assert [made[verb] for verb in VERBS] == [told.deleted, told.put, told.swept]
        assert first.counts.calls == first.life.calls
        then = here.oracle.expected(here.truth, NOW)
        with here.process() as second:
            second.life.now = NOW
            second.run()
        lawful(here)
        same(here.truth, then.truth)
        touched = {item[:3] for item in first.life.effects if item[4] != "delete_group"}
        more = {item for item in second.life.effects if item[:3] not in touched}
        assert told.refused or not more, more


@few
@given(**GIVEN["plan_and_apply"])
def test_plan_and_apply(
    account: Account, wanted: Wanted, trouble: Trouble, again: list[int], days: float
) -> None:
    """Whatever fails, a plan changes nothing; carried out it leaves what a run leaves. Where groups
    were made `again` since, where it lay for `days`, or others are at work, nothing is done that
    was not planned, and nothing by a later cutoff.
    """
    with place(account, wanted, Place) as here:
        before = here.truth
        still = replace(trouble, meanwhile=0.0)
        with here.process(still) as janitor, contextlib.suppress(JanitorError):
            janitor.survey()
        unchanged(here, before)
        with here.process() as janitor:
            told = here.oracle.expected(before, here.clock.now())
            janitor.survey()
        unchanged(here, before)
        others = [account.groups[number] for number in set(again) if number < len(account.groups)]
        for plan in others:
            account.make_again(here.made, plan)
        here.clock.jump(days * 86_400)
        busy, done = Trouble(trouble.seed, meanwhile=trouble.meanwhile, kinds=trouble.kinds), None
        with here.process(busy) as janitor, contextlib.suppress(JanitorError):
            done = janitor.apply()
        lawful(here)
        if not (others or trouble.meanwhile or days or account.unsettled):
            assert done is not None
            assert bool(done.refused) == told.refused
            same(here.truth, told.truth)
            assert [done.done[verb] for verb in VERBS] == [told.deleted, told.put, told.swept]


@few
@given(**GIVEN["troubled"])
def test_troubled(account: Account, wanted: Wanted, trouble: Trouble) -> None:
    """Whatever fails and whoever else is at work: only what is lawful, within limits, counted and
    journaled; once it is over, what should be done is done.
    """
    with place(account, wanted, Place) as here:
        with here.process(trouble) as janitor:
            done = None
            with contextlib.suppress(JanitorError):
                done = janitor.run()
            life = janitor.life
            here.witness.check_limits(life.scanned, life.effects)
        lawful(here)
        assert janitor.counts.calls == life.calls
        assert janitor.counts.throttled == life.throttled
        if done is not None:
            counted(life, done.done)
        over(here, account, trouble, refused=done is None or bool(done.refused))


def counted(life: Life, done: Mapping[Verb, int]) -> None:
    """Counters are the fake account's, but for changes whose answers were lost."""
    for verb in VERBS:
        made = {item for item in life.effects if item[4] == verb}
        lost = {item for item in life.lost if item[4] == verb}
        assert len(made - lost) <= done[verb] <= len(made | lost), verb


def over(here: Place, account: Account, trouble: Trouble, *, refused: bool) -> None:
    """The trouble is over: undisturbed runs do what is left to do."""
    now, left = here.later(), here.truth
    runs = settle(here)
    lawful(here)
    at_rest(here, now)
    if trouble.meanwhile or account.unsettled:
        assert here.oracle.expected(left, now).refused == bool(runs[0].refused)
        return
    told, forbidden = settled(here, account.build().truth, now)
    if not (forbidden or refused or any(run.refused for run in runs)):
        alike(here, told)


def at_rest(here: Place, now: int) -> None:
    """Where runs leave everything as it is, there is nothing to do either."""
    same(here.truth, here.oracle.expected(here.truth, now).truth)


def settled(here: Place, truth: Truth, now: int) -> tuple[Truth, bool]:
    """What undisturbed runs end in, and whether a limit forbade anything in one of them."""
    refused = False
    while True:
        outcome = here.oracle.expected(truth, now)
        refused |= outcome.refused
        if outcome.truth.groups == truth.groups:
            return truth, refused
        truth = outcome.truth


def alike(here: Place, told: Truth) -> None:
    """The same, but for the streams of groups under proof = "events", of which it depends on what a
    run did before it was cut off which are swept: a hundred are left alone where one of them holds
    events, and what is among them changes with what was swept before. To sweep or to keep them is
    both lawful: the witness sees that only expired streams go, and `at_rest` that none is
    forgotten. And but for groups that never can be deleted: a run that could not read their streams
    gives them their retention, one that could has nothing but their deletion in mind.
    """
    rules = here.witness.rules
    scopes = {group.key: rules.scopes(group) for group in told.all()}
    unsure = {key for key, may in scopes.items() if any(one["proof"] == "events" for one in may)}
    left, right = here.truth, told.copy()
    for truth in (left, right):
        for key in appearing(here.account.build().truth) | here.oracle.stuck(
            told, here.clock.now()
        ):
            truth.groups.pop(key, None)
    same(left, right, unsure)


def appearing(truth: Truth) -> set[Key]:
    """The log groups with events that nothing shows yet at first: what is done before they are
    shown is not what is done after that.
    """
    lags = truth.lags
    return {
        group.key
        for group in truth.all()
        for stream in group.streams.values()
        for event in stream.events
        if event.ingested > NOW - 1000 * max(lags.stored, lags.metric, lags.stream, stream.lag or 0)
    }


@few
@given(**GIVEN["killed"])
def test_killed(account: Account, wanted: Wanted, deaths: list[int], after: bool) -> None:
    """Killed at any call or in a line of the journal, and started again: nothing is different."""
    with place(account, wanted, Place) as here:
        refused = False
        for death in deaths:
            with here.process(None, death, after=after) as janitor:
                done = janitor.run()
                refused |= done is not None and bool(done.refused)
            lawful(here)
        over(here, account, Trouble(), refused=refused)


@few
@given(**GIVEN["chained"])
def test_chained(
    account: Account,
    wanted: Wanted,
    trouble: Trouble,
    seconds: float,
    deaths: list[tuple[int, bool] | None],
    twice: frozenset[int],
    strangers: list[tuple[int, Any]],
) -> None:
    """The function's links, which have few seconds; which die, and are tried again; of which events
    come twice, at the same time too; and whatever events strangers send meanwhile. A run changes no
    more than the limits allow, is finished, and told of once.
    """
    with place(account, wanted, Function) as here:
        here.send(scheduled(RUN))
        dry = set[str]()
        for number in range(80):
            if not here.queue:
                break
            here.trouble(trouble if number < 2 else None)
            now = [here.queue.pop(0)]
            now += [here.delivery(now[0].event)] * (number in twice)
            others = [here.delivery(event) for at, event in strangers if at == number]
            dry |= {one.run for one in others if one.event == DRY_RUN}
            now += others
            dies_at, after = (deaths[number : number + 1] or [None])[0] or (None, False)
            here.invoke(now, min(seconds * 1.3**number, 900), dies_at, after=after)
            lawful(here)
        assert not here.queue, "the chain ends"
        if not trouble.meanwhile:
            here.check_limits()
            lawful(here)
        assert not dry & here.acting
        assert here.topic.told[RUN] <= 1 + here.cut_off
        state = here.state(RUN)
        assert here.given_up or (state is not None and "ended" in state), "the run has ended"
        if trouble == Trouble() and not here.given_up:
            finished(here, account, changed=bool(here.acting - {RUN}) or account.unsettled)
        over(here, account, trouble, refused=trouble != Trouble() or here.refused)


def finished(here: Function, account: Account, *, changed: bool) -> None:
    """The run has ended as one that was not disturbed, unless others `changed` something."""
    summary = (here.state(RUN) or {})["ended"]
    made = Counter(item[4] for item in here.effects(RUN))
    names = ("groups_deleted", "retention_set", "streams_deleted")
    counts = [summary[name] for name in names]
    done = [made[verb] for verb in VERBS]
    assert counts == done or changed
    told = here.oracle.expected(account.build().truth, NOW)
    if not (changed or told.refused or here.clock.passed > 600):
        alike(here, told.truth)
        assert summary["groups_scanned"] == told.scanned, "each is scanned once"


@few
@given(**GIVEN["fleet"])
def test_fleet(
    account: Account,
    wanted: Wanted,
    trouble: Trouble,
    seconds: float,
    deaths: list[tuple[int, bool] | None],
    twice: frozenset[int],
    others: list[tuple[int, Any]],
    dry_run: bool,
) -> None:
    """Targets that are called at the same time and have few seconds; calls that fail, die, come
    twice, or come from strangers: only what is lawful is done, within the limits of each account
    and of all, and told of; a dry run changes nothing; once it is over, what should be done is.
    """
    with place(account, wanted, Fleet) as here:
        before = here.truth
        machine = StateMachine(here, trouble, seconds, deaths, twice, others)
        report = machine.run(dry_run=dry_run)
        said = here.read(EXECUTION, "run.json")
        if said["dry_run"]:
            assert EXECUTION not in here.acting
        if said["dry_run"] and not trouble.meanwhile:
            unchanged(here, before)
        assert "dry" not in here.acting
        if not trouble.meanwhile:
            here.check_limits()
            lawful(here)
        alone = trouble == Trouble() and not others and not account.unsettled
        if alone and not said["dry_run"] and here.clock.passed < 600:
            reported(here, account, report)
        over(here, account, trouble, refused=bool(others) or trouble != Trouble() or here.refused)


def reported(here: Fleet, account: Account, report: dict[str, Any]) -> None:
    """The run has ended as one that was not disturbed, and says so."""
    made = Counter(item[4] for item in here.effects(EXECUTION))
    summary = report["summary"]
    names = ("groups_deleted", "retention_set", "streams_deleted")
    assert [summary[name] for name in names] == [made[verb] for verb in VERBS]
    started = here.read(EXECUTION, "run.json")["started"]  # on a small CPU later than the account
    told = here.oracle.expected(account.build().truth, started)
    assert bool(summary["refused_because"]) == told.refused
    if not told.refused:
        alike(here, told.truth)
        assert summary["groups_scanned"] == told.scanned, "each is scanned once"
