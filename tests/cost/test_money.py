"""What storage costs and changes save: the arithmetic, as properties and by hand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.model import (
    Action,
    DeleteGroup,
    Ingestion,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Unknown,
    verb_of,
)
from janitor.cost.ingestion import prefix_of
from janitor.cost.money import (
    GB,
    NO_SIZE,
    Freed,
    Ledger,
    freed,
    freed_by,
    key_of,
    monthly_usd,
    saves_usd,
)
from janitor.cost.prices import NANO, PriceList, price_list
from janitor.cost.shares import Shares, tag_key
from janitor.policy.file import RETENTION_DAYS, Policy, Price, Prices, RegionPrices
from janitor.policy.judge import judge
from janitor.report.base import row
from tests.accounts import ACCOUNT, NOW, days_ago
from tests.engine.test_properties import relaxed

SHIPPED = price_list(Prices())
PRICED, UNPRICED = "eu-west-1", "xx-nowhere-1"


def test_a_tag_without_a_value_has_a_part_with_a_name() -> None:
    """So do log groups without the tag, and those whose tags were not read."""
    tagged = [group(tags=tags) for tags in ({"team": ""}, {}, None, {"team": "a"})]
    parts = [*map(tag_key("team"), tagged)]
    assert parts == ["(no value)", "(untagged)", "(tags not read)", "a"]


def group(
    name: str = "/app/a",
    age: float = 1000,
    stored: int = 0,
    retention: int | None = None,
    region: str = PRICED,
    **more: Any,
) -> LogGroup:
    """Return a log group created `age` days before NOW."""
    return LogGroup(
        Target(ACCOUNT, region), name, "", days_ago(age), stored, retention_days=retention, **more
    )


def put(of: LogGroup, days: int, status: Status = Status.PLANNED) -> Outcome:
    """Return the outcome of setting a retention of `days`."""
    return Outcome(of, SetRetention("", "r", days), status, "", NOW)


ingestions = st.none() | st.builds(
    Ingestion, st.integers(0, 10**13), st.just(30), st.none() | st.integers(0, NOW)
)
groups = st.builds(
    group,
    st.sampled_from(["/aws/lambda/a", "/aws/lambda/b", "/ecs/c", "plain", "/one/two/three/four"]),
    st.floats(0, 4000),
    st.integers(0, 10**14),
    st.sampled_from([None, *RETENTION_DAYS]),
    st.sampled_from([PRICED, "us-east-1", "sa-east-1", UNPRICED]),
    log_class=st.sampled_from(["STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY", "NEW"]),
    defects=st.sampled_from([(), (), (), ("storedBytes is -1",), ("creationTime is missing",)]),
    ingestion=ingestions,
)
sweeps = st.builds(SweepStreams, st.just(""), st.just("r"), st.just(0))
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        SetRetention, st.just(""), st.just("r"), st.sampled_from(RETENTION_DAYS), st.none() | sweeps
    ),
    sweeps,
    st.just(DeleteGroup("", "r", 0, Keep(""))),
    st.just(Keep("")),
    st.just(Unknown("")),
)
outcomes = st.builds(
    Outcome, groups, actions, st.sampled_from(list(Status)), st.just(""), st.just(NOW)
)
runs = st.lists(outcomes, max_size=30)
GROUPINGS: list[Callable[[Outcome], Any]] = [
    lambda outcome: outcome.group.target.region,
    lambda outcome: outcome.group.log_class,
    lambda outcome: prefix_of(outcome.group.name),
    lambda outcome: (verb_of(outcome.action), outcome.status),
    lambda outcome: key_of(outcome.group),
]


def count(into: Ledger, of: list[Outcome]) -> Ledger:
    """Count a run that scanned the groups of these outcomes."""
    for outcome in of:
        into.scanned([outcome.group])
        into.add(outcome)
    return into


def money(of: list[Outcome], prices: PriceList = SHIPPED) -> dict[str, Any]:
    """Return the summary's `money` for a run with these outcomes."""
    return count(Ledger(), of).as_dict(prices)


def units(of: list[Outcome], prices: PriceList = SHIPPED) -> tuple[int, int, int]:
    """Return by hand the cost and what is saved at once and later (bytes times nano-USD per GB)."""
    cost = at_once = steady = 0
    for outcome in of:
        price = prices.storage(key_of(outcome.group))
        if price is not None:
            bytes_freed = freed(outcome)
            cost += outcome.group.stored_bytes * price
            at_once += bytes_freed.at_once * price
            steady += bytes_freed.steady * price
    return cost, at_once, steady


@relaxed
@given(runs, st.sampled_from(GROUPINGS))
def test_sums_agree_across_every_grouping(run: list[Outcome], by: Callable[[Outcome], Any]) -> None:
    """The parts of any grouping add up to the total, and the total is what the summary shows."""
    parts: dict[Any, list[Outcome]] = defaultdict(list)
    for outcome in run:
        parts[by(outcome)].append(outcome)
    total = units(run)
    assert tuple(map(sum, zip((0, 0, 0), *map(units, parts.values()), strict=True))) == total
    shown = money(run)
    names = ("storage_usd", "saved_at_once_usd", "saved_steady_usd")
    for name, expected in zip(names, total, strict=True):
        assert (shown[name] or 0) == round(expected / (GB * NANO), 9)
    bytes_freed = [freed(outcome) for outcome in run]
    assert shown["freed_at_once_bytes"] == sum(one.at_once for one in bytes_freed)
    assert shown["freed_steady_bytes"] == sum(one.steady for one in bytes_freed)
    rows = shown["by_region"]
    assert sum(one["stored_bytes"] for one in rows) == sum(o.group.stored_bytes for o in run)
    assert sum(one["groups"] for one in rows) == len(run)


@relaxed
@given(runs)
def test_the_rows_of_the_findings_add_up_to_the_summary(run: list[Outcome]) -> None:
    """The amounts that CSV and JSON list by log group add up to the summary's."""
    shown, rows = money(run), [row(outcome, SHIPPED) for outcome in run]
    for name, total in (("monthly_usd", "storage_usd"), ("saves_usd", "saved_steady_usd")):
        added = sum(one[name] or 0 for one in rows)
        assert added == pytest.approx(shown[total] or 0, abs=1e-8 * (len(rows) + 1), rel=1e-9)


@relaxed
@given(outcomes)
def test_nothing_saves_more_than_it_costs(outcome: Outcome) -> None:
    """Savings are between zero and the cost, in bytes and in dollars."""
    bytes_freed = freed(outcome)
    stored = outcome.group.stored_bytes
    assert 0 <= bytes_freed.at_once <= stored
    assert 0 <= bytes_freed.steady <= stored
    cost, saves = monthly_usd(outcome.group, SHIPPED), saves_usd(outcome, SHIPPED)
    assert (cost is None) == (saves is None)
    if cost is not None and saves is not None:
        assert 0 <= saves <= cost


@relaxed
@given(groups, st.sampled_from(RETENTION_DAYS))
def test_nothing_is_counted_twice(of: LogGroup, days: int) -> None:
    """Of a retention, a sweep and a deletion of a group only a planned or done retention saves."""
    retention = put(of, days)
    sweep = Outcome(of, SweepStreams("", "r", 0), Status.PLANNED, "", NOW, streams=9)
    deletion = Outcome(of, DeleteGroup("", "r", 0, Keep("")), Status.PLANNED, "", NOW)
    undone = [
        put(of, days, status) for status in Status if status not in (Status.PLANNED, Status.DONE)
    ]
    ledger = Ledger()
    ledger.scanned([of])
    for outcome in (retention, sweep, deletion, *undone):
        ledger.add(outcome)
    assert ledger.as_dict(SHIPPED) == money([retention])
    assert freed(put(of, days, Status.DONE)) == freed(retention)


@relaxed
@given(runs)
def test_a_missing_price_never_counts_as_zero(run: list[Outcome]) -> None:
    """A Region or class without a price is None in its row and in its part of the sums, and counted
    apart in the summary.
    """
    shown = money(run)
    shares = Shares("region", lambda of: of.target.region, SHIPPED)
    for outcome in run:
        shares.scanned(outcome.group)
        shares.add(outcome)
    for part in shares.as_dict({}, ingestion=True)["rows"]:
        held = [o for o in run if o.group.target.region == part["part"]]
        arrived = [o for o in held if o.group.ingestion is not None]
        assert part["storage_usd"] == money(held)["storage_usd"]
        assert part["saves_usd"] == money(held)["saved_steady_usd"]
        listed = [SHIPPED.ingestion(key_of(o.group)) is not None for o in arrived]
        assert (part["ingestion_usd"] is None) == bool(listed and not any(listed))
    unpriced = [o.group for o in run if SHIPPED.storage(key_of(o.group)) is None]
    assert shown["groups_without_price"] == len(unpriced)
    assert shown["bytes_without_price"] == sum(of.stored_bytes for of in unpriced)
    assert (shown["storage_usd"] is None) == (len(unpriced) == len(run) > 0)
    for outcome in run:
        priced = row(outcome, SHIPPED)["monthly_usd"] is not None
        sized = key_of(outcome.group)[1] != NO_SIZE
        known = outcome.group.target.region != UNPRICED and outcome.group.log_class in (
            "STANDARD",
            "INFREQUENT_ACCESS",
        )
        assert priced == (sized and known)


@relaxed
@given(runs, st.randoms())
def test_the_order_makes_no_difference(run: list[Outcome], random: Random) -> None:
    """Outcomes of several Regions arrive in any order."""
    shuffled = list(run)
    random.shuffle(shuffled)
    assert money(shuffled) == money(run)


@relaxed
@given(runs, st.integers(2, 9), st.data())
def test_links_of_a_chain_carry_the_sums(run: list[Outcome], cuts: int, data: Any) -> None:
    """Wherever a run is cut, the next link resumes with the sums, and the total is the same."""
    link = Ledger()
    places = data.draw(st.lists(st.integers(0, len(run)), max_size=cuts))
    for index, outcome in enumerate(run):
        for _ in range(places.count(index)):
            link = Ledger.resumed(link.rows())
        link.scanned([outcome.group])
        link.add(outcome)
    assert link.as_dict(SHIPPED) == money(run)


@relaxed
@given(runs)
def test_a_survey_that_starts_again_counts_a_region_once(run: list[Outcome]) -> None:
    """That happens after a page token has expired; a dry run's planned changes count once too."""
    twice = count(Ledger(), run)
    for region in {outcome.group.target.region for outcome in run}:
        twice.forget(region, changes=True)
    assert twice.as_dict(SHIPPED) == money([])
    assert count(twice, run).as_dict(SHIPPED) == money(run)


@relaxed
@given(runs)
def test_planned_changes_are_forgotten_before_they_are_made(run: list[Outcome]) -> None:
    """The scanned log groups stay counted."""
    planned, scanned = count(Ledger(), run), Ledger()
    planned.forget_changes()
    scanned.scanned(outcome.group for outcome in run)
    assert planned.as_dict(SHIPPED) == scanned.as_dict(SHIPPED)


@relaxed
@given(runs, st.integers(1, 50))
def test_money_is_linear_in_the_prices(run: list[Outcome], times: int) -> None:
    """With n times the prices, amounts are n times as high and bytes the same."""

    def prices(factor: int) -> PriceList:
        storage = 0.03 * factor
        regions = {
            region: RegionPrices(STANDARD=Price(storage=round(storage, 6)))
            for region in (PRICED, UNPRICED)
        }
        return PriceList("d", "s", regions)

    one, many = units(run, prices(1)), units(run, prices(times))
    assert many == tuple(each * times for each in one)
    assert money(run, prices(times))["freed_steady_bytes"] == money(run)["freed_steady_bytes"]


@relaxed
@given(groups, st.sampled_from(RETENTION_DAYS), st.sampled_from(RETENTION_DAYS))
def test_a_shorter_retention_never_saves_less(of: LogGroup, one: int, other: int) -> None:
    """That holds at once and at steady state."""
    short, long = freed_by(of, min(one, other), NOW), freed_by(of, max(one, other), NOW)
    assert short.at_once >= long.at_once
    assert short.steady >= long.steady


@pytest.mark.parametrize(
    ("of", "days", "expected"),
    [
        (group(age=1000, stored=1000), 100, Freed(900, 900)),
        (group(age=1000, stored=1000), 1096, Freed(0, 0)),
        (group(age=100, stored=1000), 100, Freed(0, 0)),
        (group(age=1000, stored=1000, retention=400), 100, Freed(750, 750)),
        (group(age=200, stored=1000, retention=400), 100, Freed(500, 500)),
        (group(age=1000, stored=1000, retention=30), 90, Freed(0, 0)),
        # 300 a month are 10 a day: 150 days of them stay.
        (
            group(age=1500, stored=3000, ingestion=Ingestion(300, 30, NOW)),
            150,
            Freed(2700, 1500),
        ),
        # Nothing arrives any more: everything expires in time.
        (group(age=50, stored=1000, ingestion=Ingestion(0, 30, None)), 60, Freed(0, 1000)),
        # It would have expired under the present retention anyway.
        (
            group(age=500, stored=1000, retention=90, ingestion=Ingestion(0, 30, None)),
            30,
            Freed(666, 0),
        ),
        # The group is ten days old, so the 100 bytes arrived in ten days, not thirty.
        (group(age=10, stored=1000, ingestion=Ingestion(100, 30, NOW)), 30, Freed(0, 700)),
        (group(age=0.5, stored=1000, ingestion=Ingestion(0, 30, NOW)), 30, Freed(0, 0)),
        (group(age=1000, stored=1000, defects=("creationTime is missing",)), 1, Freed()),
    ],
)
def test_what_a_retention_frees(of: LogGroup, days: int, expected: Freed) -> None:
    """Without a measured rate, events arrived evenly over the group's life or present retention."""
    assert freed_by(of, days, NOW) == expected


def test_ingestion_decides_nothing(policy: Policy) -> None:
    """It is shown to people; the conditions for a deletion have their own evidence."""
    of = group()
    measured = of._replace(ingestion=Ingestion(5, 30, NOW - DAY_MS))
    assert measured.identity == of.identity
    assert judge(measured, policy, NOW) == judge(of, policy, NOW)
