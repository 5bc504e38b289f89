"""The engine on an account with every trap, seen through real boto3 clients."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.core.model import Target, Verb
from janitor.engine.run import Run
from janitor.journal.journal import Journal
from janitor.policy.file import Policy
from tests.accounts import FastClock, Recorded
from tests.fakes import Cloud
from tests.fakes.scenarios import ACCOUNT, REGION, messy


@pytest.mark.parametrize("dry_run", [True, False])
def test_no_trap_is_fallen_into_and_no_work_is_missed(
    policy: Policy, tmp_path: Path, dry_run: bool
) -> None:
    """Each group ends as its maker expected; the judge, who knows every event, agrees."""
    scenario = messy(300)
    before = scenario.truth.copy()
    stop, counts, clock = threading.Event(), Counts(), FastClock(scenario.now)
    journal = Journal(tmp_path / "journal.jsonl", "run", "policy")
    with Cloud(scenario, empty_pages=0.2) as cloud:
        pace = Pace(lambda _operation: 1000.0, clock)
        api = Api(Target(ACCOUNT, REGION), cloud.session(), pace, clock, counts, stop)
        run = Run([api], policy, Recorded(), journal, stop, scenario.now, dry_run=dry_run)
        summary = run.execute()
        verdict = cloud.judge()
    journal.close()
    assert not verdict.unknown
    assert sum(counts.calls.values()) == sum(verdict.calls.values())
    if dry_run:
        assert [verdict.deletions, verdict.sweeps, verdict.puts] == [[], [], []]
        assert scenario.truth == before
        return
    assert scenario.misses(before) == []
    wrong = [verdict.wrong_deletions, verdict.wrong_sweeps, verdict.overwritten]
    assert [*wrong, verdict.wasted_puts, verdict.protected, verdict.unlooked] == [[]] * 6
    assert summary.done[Verb.DELETE_GROUP] == len(verdict.deletions) > 0
    assert summary.done[Verb.SET_RETENTION] == len(verdict.puts) > 0
    assert summary.done[Verb.SWEEP_STREAMS] == len(verdict.sweeps) > 0
