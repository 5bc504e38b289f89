"""The accounts that others run against are what they claim to be."""

from __future__ import annotations

from janitor.core.clock import DAY_MS
from janitor.sandbox.clocks import ManualClock
from tests.fakes import Cloud
from tests.fakes.scenarios import ACCOUNT, REGION, bench, messy, million

NOW = ManualClock().now()


def test_a_scenario_is_the_same_each_time() -> None:
    """Another seed makes another account."""
    assert messy(400, now=NOW).truth == messy(400, now=NOW).truth
    assert messy(400, seed=1, now=NOW).truth != messy(400, now=NOW).truth


def test_what_is_expected_to_go_holds_nothing() -> None:
    """Every group that a scenario expects to be deleted is empty, old and unprotected in truth."""
    for scenario in (bench(2_000, now=NOW), messy(1_000, now=NOW)):
        scenario.agree(NOW)
        assert min(scenario.count(verdict) for verdict in ("delete", "retention", "keep")) > 0
        assert scenario.count("delete") < len(scenario.expected) / 4
        for key, wanted in scenario.expected.items():
            group = scenario.truth.there(key)
            if wanted.delete:
                held = [*group.alive(NOW), group.stored, group.protected]
                assert not any((*held, "janitor:keep" in group.tags)), key
                assert NOW - group.created > ((group.days or 365) + 7) * DAY_MS


def test_misses_tell_what_went_otherwise() -> None:
    """A run that does nothing misses all there was to do; the right changes miss nothing."""
    scenario = bench(200, now=NOW)
    before = scenario.truth.copy()
    due = scenario.count("delete") + scenario.count("retention")
    assert len(scenario.misses(before)) == due
    for key, wanted in scenario.expected.items():
        if wanted.delete:
            scenario.delete(key)
        elif wanted.days is not None:
            scenario.retain(key, wanted.days, NOW)
    assert scenario.misses(before) == []
    kept = next(key for key, wanted in scenario.expected.items() if wanted.verdict == "keep")
    scenario.delete(kept)
    assert len(scenario.misses(before)) == 1


def test_many_groups_are_made_when_they_are_listed() -> None:
    """Each is listed once and the same each time, and none stays in memory."""
    scenario = million(5_000, now=NOW)
    with Cloud(scenario, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        pages = list(logs.get_paginator("describe_log_groups").paginate())
        again = logs.describe_log_groups()["logGroups"]
    names = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    assert names == [f"/app/service-{number:07d}" for number in range(5_000)]
    assert (pages[0]["logGroups"], scenario.store.region(ACCOUNT, REGION).groups) == (again, {})
    assert all(g["storedBytes"] and g["retentionInDays"] for p in pages for g in p["logGroups"])
