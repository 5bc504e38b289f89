"""The engine's promises as properties, on the simulator: whatever fails, and whenever it dies.

An example that fails prints what was drawn; put it into `@example(...)` to try it again. Threads
interleave as they like, so a rare failure may take several tries.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from janitor.core.errors import JanitorError
from janitor.core.model import Verb
from tests.fakes import truth as fakes
from tests.fakes.truth import Group, Key, Truth
from tests.proof import worlds
from tests.proof.engine import Life, Place, place, settle
from tests.proof.oracle import Expected, Rules, expected, unrecorded
from tests.proof.witness import Item
from tests.proof.worlds import NOW, Account, Plan, Stream, Trouble, Wanted

VERBS = (Verb.DELETE_GROUP, Verb.SET_RETENTION, Verb.SWEEP_STREAMS)
SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event"}


def settled(account: Account, rules: Rules) -> tuple[Expected, bool]:
    """What undisturbed runs end in, and whether a limit forbade anything in one of them."""
    truth, refused = account.build().truth, False
    while True:
        outcome = expected(truth, rules, account)
        refused |= outcome.refused
        if outcome.truth.groups == truth.groups:
            return outcome, refused
        truth = outcome.truth


def lawful(here: Place) -> None:
    """Nothing that the witness saw was wrong."""
    assert not here.witness.wrongs, here.witness.wrongs


def appearing(truth: Truth) -> set[Key]:
    """The log groups with events that metadata do not show yet at the moment of the run. A chain
    lasts long enough for them to appear, and keeps then what the oracle could not know better of.
    """
    lags = truth.lags
    return {
        group.key
        for group in truth.all()
        for stream in group.streams.values()
        for event in stream.events
        if event.ingested > NOW - 1000 * max(lags.stored, lags.metric, lags.stream, stream.lag or 0)
    }


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


def alike(
    one: Truth, other: Truth, rules: Rules, account: Account, apart: Set[Key] = frozenset()
) -> None:
    """The same, but for the streams of two kinds of log groups, of which it depends on what a run
    did before it was cut off which are swept. To sweep or to keep them is both lawful: the group
    is kept, the witness sees that only expired streams go, and `at_rest` that none is forgotten.
    Likewise all of what the last look cannot read.

    Where something subscribes to a group, its streams are swept only by a run that learns of that
    before it checks the limits: a proof breaks off early, or too many groups seem to be deleted.
    Under proof = "events" a page of streams is left alone where one of them holds events, and what
    shares a page with it changes with what was swept before.
    """
    unsure = {
        group.key
        for group in one.all()
        if group.subscriptions or rules.scope(group)["proof"] == "events"
    }
    left, right = one.copy(), other.copy()
    for truth in (left, right):
        for group in truth.all():
            if unrecorded(group, account) or group.key in apart:
                del truth.groups[group.key]
    same(left, right, unsure)


def at_rest(here: Place, account: Account, rules: Rules) -> None:
    """Where runs leave everything as it is, there is nothing to do either."""
    same(here.truth, expected(here.truth, rules, account).truth)


def counted(here: Place, life: Life, done: dict[Any, int], effects: Counter[Item]) -> None:
    """Counters are the simulator's, but for changes whose answers were lost."""
    for verb in VERBS:
        made = {item for item in effects if item[4] == verb}
        lost = {item for item in here.witness.life.lost if item[4] == verb}
        assert len(made - lost) <= done[verb] <= len(made | lost), verb


def single(account: Account) -> Account:
    """Only what belongs to one AWS account."""
    account.groups = [plan for plan in account.groups if plan.target < 2] or account.groups
    for plan in account.groups:
        plan.target = min(plan.target, 1)
    names: dict[Any, Any] = {(plan.target, plan.name): plan for plan in account.groups}
    account.groups = list(names.values())
    return account


singles = worlds.accounts.map(single)


steps = st.integers(1, 120) | st.integers(1, 30)
GIVEN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "undisturbed": {"account": worlds.accounts, "wanted": worlds.policies()},
    "plan_and_apply": {
        "account": singles,
        "wanted": worlds.policies(),
        "trouble": worlds.troubles,
        "again": st.just([]) | st.lists(st.integers(0, 8), max_size=3),
    },
    "troubled": {
        "account": worlds.accounts,
        "wanted": worlds.policies(),
        "trouble": worlds.troubles,
    },
    "killed": {
        "account": worlds.accounts,
        "wanted": worlds.policies(),
        "deaths": st.lists(steps, min_size=1, max_size=3),
        "after": st.booleans(),
    },
    "chained": {
        "account": singles,
        "wanted": worlds.policies(),
        "trouble": st.booleans().flatmap(
            lambda quiet: st.just(Trouble()) if quiet else worlds.troubles
        ),
        "calls": st.integers(3, 60),
        "deaths": st.lists(st.none() | st.tuples(steps, st.booleans()), max_size=3),
    },
}


def anew(name: str, **narrowed: st.SearchStrategy[Any]) -> Any:
    """The property once more, to be tried with other settings, or with less variety."""
    return given(**GIVEN[name] | narrowed)(globals()[f"test_{name}"].hypothesis.inner_test)


SUBSCRIBED = Account(
    [
        Plan("/app/0", 0, 900.0, [], None, {"retention": 30}),
        Plan(
            "/app/1",
            0,
            900.0,
            [Stream("a", 899.0, None)],
            None,
            {"retention": 30, "subscriptions": ("to",)},
        ),
    ],
    [],
    (0.0, 0.0, 0.0),
)
"""A log group to delete, and one that only its subscription keeps, with a stream to sweep."""


def _one_deletion(sweeps: int) -> Wanted:
    """Sweeps, and a limit that two deletions exceed."""
    scope = {"delete_empty": True, "sweep_streams": True, "grace_days": 7, "proof": "arrivals"}
    limits = {"max_group_deletions": 1, "max_group_deletion_share": 1.0}
    protect = {"names": [], "tags": [], "live_owners": True}
    return Wanted(
        {
            "defaults": scope,
            "protect": protect,
            "limits": limits | {"max_stream_deletions": sweeps},
        }
    )


@given(**GIVEN["undisturbed"])
@example(account=SUBSCRIBED, wanted=_one_deletion(sweeps=1))
@example(account=SUBSCRIBED, wanted=_one_deletion(sweeps=0))
def test_undisturbed(account: Account, wanted: Wanted) -> None:
    """A run does what an oracle says, and counts it; a dry run changes nothing; nor does a second
    run, but for groups whose events expired with the retention that the first one put, or of which
    it swept the streams: what kept them may have gone with those (bytes that are shown late).
    """
    rules = Rules(wanted.said)
    with place(account, wanted.said, wanted.policy) as here:
        told = expected(here.truth, rules, account)
        before = here.truth
        with here.process() as life:
            planned = life.run(dry_run=True)
        assert here.truth == before
        assert not here.journal.exists()
        with here.process() as life:
            done = life.run()
        lawful(here)
        same(here.truth, told.truth)
        assert bool(done.refused_because) == told.refused
        assert [done.done[verb] for verb in VERBS] == [told.deleted, told.put, told.swept]
        assert planned.planned == done.done
        verdict = life.cloud.judge()
        changes = [verdict.deletions, verdict.puts, verdict.sweeps]
        assert [len(made) for made in changes] == [told.deleted, told.put, told.swept]
        assert life.counts.calls == verdict.calls
        touched = {change.key for change in [*verdict.puts, *verdict.sweeps]}
        with here.process() as life:
            life.run()
        lawful(here)
        same(here.truth, expected(told.truth, rules, account).truth)
        again = {change.key for change in life.cloud.judge().changes if change.effect}
        assert told.refused or again <= touched


@given(**GIVEN["plan_and_apply"])
def test_plan_and_apply(
    account: Account, wanted: Wanted, trouble: Trouble, again: list[int]
) -> None:
    """Whatever fails, a plan changes nothing; carried out it leaves what a run leaves. Where groups
    were made `again` since, or others are at work, nothing is done that was not planned.
    """
    with place(account, wanted.said, wanted.policy) as here:
        before = here.truth
        still = Trouble(trouble.seed, trouble.shares, trouble.only, trouble.denied, trouble.expired)
        with here.process(still) as life, contextlib.suppress(JanitorError):
            life.plan()
        assert here.truth == before
        assert not here.journal.exists()
        with here.process() as life:
            path = life.plan()
        assert here.truth == before
        others = [account.groups[number] for number in set(again) if number < len(account.groups)]
        for plan in others:
            account.make_again(here.made, plan)
        with here.process(
            Trouble(trouble.seed, meanwhile=trouble.meanwhile, kinds=trouble.kinds)
        ) as life:
            done = life.apply(path)
        lawful(here)
        assert {item[:5] for item in here.witness.life.effects} <= planned(path)
        if others or trouble.meanwhile:
            return
        told = expected(account.build().truth, Rules(wanted.said), account)
        if not told.refused:
            same(here.truth, told.truth)
            assert [done.done[verb] for verb in VERBS] == [told.deleted, told.put, told.swept]


def planned(path: Path) -> set[tuple[Any, ...]]:
    """The items of a plan file: account, Region, group, its creation time, verb."""
    keys = ("account", "region", "group", "creation_time", "action")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {tuple(line[key] for key in keys) for line in lines if line["plan"] == "item"}


@given(**GIVEN["troubled"])
def test_troubled(account: Account, wanted: Wanted, trouble: Trouble) -> None:
    """Whatever fails and whoever else is at work: only what is lawful, within limits, counted and
    journaled; once it is over, what should be done is done.
    """
    rules = Rules(wanted.said)
    with place(account, wanted.said, wanted.policy) as here:
        with here.process(trouble) as life:
            summary = None
            with contextlib.suppress(JanitorError):
                summary = life.run()
            now = here.witness.life
            here.witness.check_limits(len(now.scanned), now.effects)
        lawful(here)
        verdict = life.cloud.judge()
        assert account.lacks or not verdict.unknown
        assert life.counts.calls == verdict.calls
        assert life.counts.throttled == verdict.throttled
        if summary is not None:
            counted(here, life, summary.done, now.effects)
            over(here, account, rules, trouble, bool(summary.refused_because))


def over(here: Place, account: Account, rules: Rules, trouble: Trouble, refused: bool) -> None:
    """The trouble is over: undisturbed runs do what is left to do."""
    left = here.truth
    summaries = settle(here)
    lawful(here)
    at_rest(here, account, rules)
    refused |= any(summary.refused_because for summary in summaries)
    if trouble.meanwhile:
        told = expected(left, rules, account)
        assert told.refused == bool(summaries[0].refused_because)
        return
    told, forbidden = settled(account, rules)
    if not (forbidden or refused):
        alike(here.truth, told.truth, rules, account)


@given(**GIVEN["killed"])
def test_killed(account: Account, wanted: Wanted, deaths: list[int], after: bool) -> None:
    """Killed at any call or in a line of the journal, and started again: nothing is different."""
    rules = Rules(wanted.said)
    with place(account, wanted.said, wanted.policy) as here:
        for death in deaths:
            with here.process(None, death, after=after) as life:
                life.run()
            lawful(here)
        summaries = settle(here)
        lawful(here)
        at_rest(here, account, rules)
        told, refused = settled(account, rules)
        refused |= any(summary.refused_because for summary in summaries)
        if not refused:
            alike(here.truth, told.truth, rules, account)


@given(**GIVEN["chained"])
def test_chained(
    account: Account,
    wanted: Wanted,
    trouble: Trouble,
    calls: int,
    deaths: list[tuple[int, bool] | None],
) -> None:
    """The function's links, cut off after some calls, or timed out and retried with the event."""
    rules = Rules(wanted.said)
    with place(account, wanted.said, wanted.policy) as here:
        here.queue.append(dict(SCHEDULED))
        effects: Counter[Item] = Counter()
        lost: set[Item] = set()
        scanned: set[Any] = set()
        answer = None
        quiet = trouble == Trouble()
        for number in range(40):
            if not here.queue:
                break
            event = here.queue.pop(0)
            death = deaths[number] if number < len(deaths) else None
            dies_at, after = death or (None, False)
            with here.process(trouble if number < 2 else None, dies_at, after=after) as life:
                answer = life.link(event, after_calls=calls + 10 * number)
            now = here.witness.life
            effects += now.effects
            lost |= now.lost
            scanned |= now.scanned
            lawful(here)
            if life.killed:
                quiet = False
                here.queue.append(event)
        assert not here.queue, "the chain ends"
        if not trouble.meanwhile:
            here.witness.check_limits(len(scanned), effects)
            lawful(here)
        if quiet and answer is not None:
            done = answer["summary"]
            names = ("groups_deleted", "retention_set", "streams_deleted")
            made = [sum(item[4] == verb for item in effects) for verb in VERBS]
            told = expected(account.build().truth, rules, account)
            if not told.refused:
                alike(here.truth, told.truth, rules, account, appearing(account.build().truth))
            assert [done[name] for name in names] == made
            assert done["groups_scanned"] == len(scanned), "each is scanned once"
        over(here, account, rules, trouble, refused=bool(trouble.shares or trouble.denied))
