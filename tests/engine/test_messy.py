"""The engine on an account with every trap, through real boto3 clients."""

from __future__ import annotations

import pytest

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.model import Target, Verb
from janitor.journal.journal import FileJournal
from janitor.policy.file import Policy
from tests.accounts import whole
from tests.fakes import Cloud
from tests.fakes.scenarios import ACCOUNT, REGION, messy
from tests.virtual import VirtualClock


@pytest.mark.parametrize("dry_run", [True, False])
def test_every_trap_is_avoided_and_no_work_is_missed(
    policy: Policy, journal: FileJournal, dry_run: bool
) -> None:
    """Each group ends as the scenario expects, and the judge, who knows every event, agrees."""
    scenario = messy(300)
    before = scenario.truth.copy()
    counts, clock = Counts(), VirtualClock(scenario.now)
    with Cloud(scenario, empty_pages=0.2, clock=clock) as cloud:
        pace = Pace(lambda _operation: 1000.0, clock)
        target = Target(ACCOUNT, REGION)
        api = Api(target, cloud.session(), pace, clock, counts, Stop(), Inline())
        run = whole(api, policy, None if dry_run else journal, now=scenario.now)
        summary, _ = clock.run(run)
        verdict = cloud.judge()
    assert not verdict.unknown
    assert sum(counts.calls.values()) == sum(verdict.calls.values())
    if dry_run:
        assert [verdict.deletions, verdict.sweeps, verdict.puts] == [[], [], []]
        assert scenario.truth == before
        return
    assert scenario.misses(before) == []
    assert [verdict.wrong_deletions, verdict.wrong_sweeps, verdict.unlooked] == [[]] * 3
    assert summary.done[Verb.DELETE_GROUP] == len(verdict.deletions) > 0
    assert summary.done[Verb.SET_RETENTION] == len(verdict.puts) > 0
    assert summary.done[Verb.SWEEP_STREAMS] == len(verdict.sweeps) > 0
