"""`--role`: several accounts in one run, each by a role of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.aws.targets import assumed, session
from tests.fakes import Cloud
from tests.fakes.scenarios import ACCOUNT, REGIONS, Scenario, targets
from tests.terminal.test_cli import janitor

OTHER = str(int(ACCOUNT) + 1)
MINE, THEIRS = (f"arn:aws:iam::{account}:role/ops/janitor" for account in (ACCOUNT, OTHER))
TWO_REGIONS = ("-r", REGIONS[0], "-r", REGIONS[1])


@pytest.fixture
def scenario() -> Scenario:
    """Two accounts of two Regions."""
    return targets(accounts=2, regions=2, groups=60)


@pytest.fixture
def cloud(scenario: Scenario) -> Iterator[Cloud]:
    """That account, without quotas."""
    with Cloud(scenario) as cloud:
        yield cloud


@pytest.fixture
def variables(cloud: Cloud) -> Iterator[dict[str, Any]]:
    """What leads a process to it."""
    with cloud.serving() as url:
        yield cloud.environment(url)


def test_both_accounts_are_cleaned_in_one_run(
    tmp_path: Path, cloud: Cloud, variables: dict[str, Any], scenario: Scenario
) -> None:
    """What should be done is done in every account and Region, and findings name the account."""
    before = scenario.truth.copy()
    done = janitor(
        *("run", "--apply", "--yes", "--format", "json", "--role", MINE, "--role", THEIRS),
        *TWO_REGIONS,
        cwd=tmp_path,
        **variables,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["run"]["account"] == f"{ACCOUNT}, {OTHER}"
    assert said["run"]["regions"] == list(REGIONS[:2])
    assert {finding["account"] for finding in said["findings"]} == {ACCOUNT, OTHER}
    assert said["summary"]["groups_scanned"] == 240
    assert scenario.misses(before) == []
    assert cloud.judge().wrong_deletions == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "--role", "janitor"], "--role: 'janitor' is no ARN of a role"),
        (["report", "--role", MINE, "--role", MINE + "2"], f"two roles are of account {ACCOUNT}"),
        (["report", "--role", "arn:aws:iam::999999999999:role/x"], "sts:AssumeRole"),
        (["plan", "--role", MINE, "--role", THEIRS], "a plan is of one account"),
    ],
)
def test_a_wrong_role_is_one_clear_line(
    tmp_path: Path, cloud: Cloud, variables: dict[str, Any], words: list[str], says: str
) -> None:
    """Exit 2, nothing scanned, nothing on stdout."""
    done = janitor(*words, cwd=tmp_path, **variables)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "DescribeLogGroups" not in cloud.calls


def test_without_credentials_a_role_gets_the_hint(tmp_path: Path) -> None:
    """As every command without credentials."""
    done = janitor("report", "--role", MINE, "-r", "eu-west-1", cwd=tmp_path)
    assert done.returncode == 2
    assert "--sandbox" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_plan_of_another_account_is_applied_with_its_role(
    tmp_path: Path, cloud: Cloud, variables: dict[str, Any]
) -> None:
    """One role works with plan and apply; without it the plan is of another account."""
    plan = tmp_path / "plan.jsonl"
    made = janitor("plan", "--role", THEIRS, "-o", str(plan), cwd=tmp_path, **variables)
    assert made.returncode == 0, made.stderr
    refused = janitor("apply", str(plan), "--yes", cwd=tmp_path, **variables)
    assert refused.returncode == 2
    assert f"is a plan for account {OTHER}" in refused.stderr
    applied = janitor(*("apply", str(plan), "--yes", "--role", THEIRS), cwd=tmp_path, **variables)
    assert applied.returncode == 0, applied.stderr
    deleted = {change.key[0] for change in cloud.judge().deletions}
    assert deleted == {OTHER}


def test_an_assumed_role_keeps_the_region_of_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the default profile's, which nobody named; AWS_PROFILE is overruled by --profile."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = us-east-1\n[profile prod]\nregion = eu-west-1\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert assumed(session("prod"), MINE).region_name == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert session("prod").region_name == "eu-west-1"
