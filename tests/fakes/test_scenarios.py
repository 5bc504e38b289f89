"""The accounts that others run against are what they say they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.clocks import ManualClock
from tests.fakes import Cloud
from tests.fakes.scenarios import ACCOUNT, REGION, bench, messy, million

NOW = ManualClock().now()


def test_a_scenario_is_the_same_each_time() -> None:
    """Another seed is another account."""
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
                assert not group.alive(NOW)
                assert not group.stored
                assert not group.protected
                assert "janitor:keep" not in group.tags
                assert NOW - group.created > ((group.days or 365) + 7) * DAY_MS


def test_misses_tell_what_went_otherwise() -> None:
    """Nothing done misses all that was to be done; the right thing done misses nothing of it."""
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


class Counted(list[str]):
    """Names that count how often one of them is looked at."""

    looked = 0

    def __getitem__(self, at: Any) -> Any:
        self.looked += 1
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[str]:
        for name in super().__iter__():
            self.looked += 1
            yield name


def test_a_million_groups_are_rows_until_somebody_changes_one() -> None:
    """A page deep in the list looks at no more names than one at its start: its own, and those of a
    search by halves. What is true of each is known, and they are under account-level policies.
    """
    scenario = million(50_000, now=NOW)
    region = scenario.store.region(ACCOUNT, REGION)
    rows = region.plain.names = Counted(region.plain.names)
    scenario.policy((ACCOUNT, REGION), "org", 3653, "/app/service-0000001")
    with Cloud(scenario, clock=ManualClock()) as cloud:
        logs = cloud.client("logs")
        for number in (0, 25_000, 49_900):
            name = f"/app/service-{number:07d}"
            token = cloud.world.token("DescribeLogGroups", (name, 1, name))
            rows.looked = 0
            page = logs.describe_log_groups(nextToken=token)["logGroups"]
            assert len(page) == 50
            assert 50 <= rows.looked < 50 * 4 + 40
            assert ("retentionPolicyName" in page[0]) == (number == 0)
        assert region.groups == {}
        [stream] = logs.describe_log_streams(logGroupName="/app/service-0000006")["logStreams"]
        assert stream["logStreamName"] == "application"
        logs.put_retention_policy(logGroupName="/app/service-0000007", retentionInDays=1)
        logs.delete_log_group(logGroupName="/app/service-0000008")
        verdict = cloud.judge()
    assert [change.group.name for change in verdict.wrong_deletions] == ["/app/service-0000008"]
    assert scenario.truth.there((ACCOUNT, REGION, "/app/service-0000007")).retention == 1
    assert scenario.truth.get((ACCOUNT, REGION, "/app/service-0000008")) is None
    assert (len(region), len(region.groups)) == (49_999, 2)
