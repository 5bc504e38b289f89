"""`--org`: every account of an organization in one run, and the sums of `--by`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from janitor.engine import act, survey
from janitor.report.schema import Report
from janitor.sandbox import fleets
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.saved import FILE, load, save
from janitor.terminal.fleet import EXTERNAL_ID, begin
from tests.conftest import Run
from tests.fakes.cloud import Cloud
from tests.fakes.scenarios import ACCOUNT, REGIONS, Scenario, targets

SHOP, DATA, LAB = fleets.ACCOUNTS
KEPT = ("--external-id", EXTERNAL_ID, "--sandbox-state", "kept", "-p", "janitor.toml")
MEMBERS = ("--org", "--exclude", fleets.MANAGEMENT, *KEPT)


POLICY = """
[defaults]
retention_days = 365
delete_empty = true

[protect.deletion]
owners = false
"""
"""A policy without owners, which do not matter here and take long to check."""


@pytest.fixture(autouse=True)
def _accounts(run: Run) -> None:
    begin(Path("kept"))
    Path("janitor.toml").write_text(POLICY)


def by(report: str) -> dict[str, dict[str, Any]]:
    """Return the rows of `--by` in a JSON report, by part."""
    return {row["part"]: row for row in json.loads(report)["summary"]["by"]["rows"]}


def left() -> dict[str, set[str]]:
    """Return the names of the empty log groups in each account."""
    store, _ = load(Path("kept") / FILE)
    empty = [group for group in store.groups() if group.name.startswith("/old/")]
    return {one: {g.name for g in empty if g.account == one} for one in fleets.ACCOUNTS}


@pytest.fixture
def cloud(run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Five accounts over HTTP, one target at a time; the first manages the organization."""
    for module in (survey, act):
        monkeypatch.setattr(module, "TARGETS_AT_ONCE", 1)
    first, second, third, suspended, apart = (str(int(ACCOUNT) + number) for number in range(5))
    scenario = targets(accounts=5, regions=2, groups=30)
    unit = "ou-root-apartfrom"
    scenario.store.organization = Organization(
        ACCOUNT,
        {unit: Unit("Apart")},
        {
            first: Membership("one"),
            second: Membership("two"),
            third: Membership("three"),
            suspended: Membership("four", state="SUSPENDED"),
            apart: Membership("five", unit),
        },
    )
    with Cloud(scenario) as cloud, cloud.serving() as url:
        for name, value in cloud.environment(url).items():
            monkeypatch.setenv(name, value)
        yield cloud


def test_every_active_account_is_cleaned_unless_excluded(run: Run, cloud: Cloud) -> None:
    """An account whose role is refused is named, and does not hold up the others."""
    accounts = [str(int(ACCOUNT) + number) for number in range(5)]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    cloud.store.roles = {
        f"arn:aws:iam::{one}:role/ops/janitor": {"Statement": [trust]}
        for one in accounts
        if one != accounts[2]
    }
    assert isinstance(cloud.account, Scenario)
    before = cloud.account.truth.copy()
    words = ("--org", "--org-role", "ops/janitor", "--exclude", "ou-root-apartfrom")
    where = ("-r", REGIONS[0], "-r", REGIONS[1])
    done = run("run", "--apply", "--yes", "--format", "json", *words, *where)
    assert done.code == 3, done.err
    missed = {account for account in accounts if account in str(cloud.account.misses(before))}
    assert missed == {*accounts[2:]}
    verdict = cloud.judge()
    assert verdict.wrong_deletions == []
    assert {change.key[0] for change in verdict.changes} == {*accounts[:2]}
    rows = by(done.out)
    assert {part: row["name"] for part, row in rows.items()} == dict(
        zip(accounts[:3], ("one", "two", "three"), strict=True)
    )
    [error] = rows[accounts[2]]["errors"]
    assert "role/ops/janitor cannot be assumed" in error
    assert json.loads(done.out)["summary"]["errors"] == [error]
    asked = run("report", "--account", accounts[1], "--org-role", "ops/janitor", "-f", "json")
    assert json.loads(asked.out)["run"]["account"] == accounts[1]


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("account", {SHOP, DATA, LAB, fleets.MANAGEMENT}),
        ("ou", {"Root", "Root/Workloads/Production", "Root/Experiments"}),
        ("region", {"eu-west-1", "us-east-1", "(no Region was reached)"}),
    ],
)
def test_sums_by_place_add_up_and_say_what_failed_where(
    what: str, parts: set[str], run: Run
) -> None:
    """An account that could not be reached has a part, too, in every format."""
    words = ("report", "--org", *KEPT, "--by", what)
    done = run(*words, "-f", "json")
    assert done.code == 4, done.err
    Report.model_validate_json(done.out, strict=True)
    summary, rows = json.loads(done.out)["summary"], by(done.out)
    assert rows.keys() == parts
    for key, total in (
        ("groups", summary["groups_scanned"]),
        ("lost_bytes", summary["money"]["freed_at_once_bytes"]),
        *summary["would"].items(),
    ):
        assert sum(row[key] for row in rows.values()) == total, key
    if what != "account":
        return  # the other formats treat all kinds of parts alike
    table = list(csv.DictReader(io.StringIO(run(*words, "-f", "csv").out)))
    assert {row["part"]: (int(row["delete_group"]), row["errors"]) for row in table} == {
        part: (row["delete_group"], "; ".join(row["errors"])) for part, row in rows.items()
    }
    refused = f"account {LAB}: nothing is deleted: the plan has 3 of 6 log groups"
    for form in ("table", "markdown", "html"):
        text = " ".join(run(*words, "-f", form).out.replace("\\", "").split())
        assert f"By {what}" in text
        assert refused in text, form
        assert f"account {fleets.MANAGEMENT}: nothing was done: arn:aws:iam::" in text, form


def test_findings_of_several_accounts_name_their_account(run: Run) -> None:
    """So do the table, the next command, the page and a diff."""
    table = run("report", *MEMBERS, "-q").out
    lines = [line for line in table.splitlines() if "/old/experiment-0" in line]
    assert [line.split()[2] for line in lines] == [SHOP, DATA, LAB]
    assert "--org --exclude" in table.split("Next: ")[1].splitlines()[0]
    reports = {name: (*MEMBERS, "--exclude", name) for name in (LAB, SHOP)}
    for name, words in reports.items():
        run("report", *words, "-q", "-o", f"{name}.json")
    changed = run("diff", f"{LAB}.json", f"{SHOP}.json").out
    assert f"{LAB}  eu-west-1  /old/experiment-0" in changed
    page = run("report", *MEMBERS, "-q", "-f", "html").out
    assert '<select id="f-account">' in page
    assert "<b>3 accounts</b>" in page


def test_only_the_account_over_its_limit_keeps_its_log_groups(run: Run) -> None:
    """Retention is set there, too, and the list before the question leaves out what is refused."""
    done = run("run", "--apply", "--yes", *MEMBERS, "-f", "json")
    assert done.code == 4, done.err
    assert left() == {SHOP: set(), DATA: set(), LAB: {f"/old/experiment-{n}" for n in range(3)}}
    assert {part: row["set_retention"] for part, row in by(done.out).items()} == {
        **dict.fromkeys((SHOP, DATA), 6),
        LAB: 3,
    }
    listed = done.err.split("Retention to set")[0]
    assert f"account {DATA} (data), eu-west-1, us-east-1" in listed
    assert f"{DATA}  us-east-1  /old/experiment-0" in listed
    assert f"{LAB}  " not in listed
    assert f"Refused in account {LAB} lab: nothing is deleted" in done.err


def test_over_the_limit_of_all_accounts_nothing_is_deleted_anywhere(run: Run) -> None:
    """Each account is within its own limits."""
    limits = "[limits]\nmax_group_deletion_share = 1\n[limits.fleet]\nmax_group_deletions = 4\n"
    Path("janitor.toml").write_text(POLICY + limits)
    before = left()
    done = run("run", "--apply", "--yes", *MEMBERS, "-f", "json")
    assert done.code == 4, done.err
    assert left() == before
    summary = json.loads(done.out)["summary"]
    assert summary["refused"] == 5
    assert "in any account" in summary["refused_because"]
    assert summary["retention_set"] == 15


def test_apply_and_restore_enter_only_the_accounts_of_their_file(run: Run) -> None:
    """Each account's log groups are counted for its own limits, whichever comes first."""
    assert run("plan", *MEMBERS, "--exclude", LAB, "-o", "plan.jsonl").code == 0
    done = run("apply", "plan.jsonl", "--org", "--yes", *KEPT, "-f", "json")
    assert done.code == 0, done.err
    assert {account: len(names) for account, names in left().items()} == {SHOP: 0, DATA: 0, LAB: 3}
    assert json.loads(done.out)["summary"]["errors"] == []
    journal = next(Path().glob("janitor-journal-*.jsonl"))
    undone = run("restore", str(journal), "--org", "--apply", "--yes", *KEPT)
    assert undone.code == 0, undone.err
    assert {account: len(names) for account, names in left().items()} == {SHOP: 1, DATA: 1, LAB: 3}


@pytest.mark.parametrize("gone", ["role", "account"])
def test_apply_and_restore_go_on_without_an_account_that_is_gone(run: Run, gone: str) -> None:
    """Its log groups are not reached, and everything is done in the other accounts."""
    Path("janitor.toml").write_text(POLICY + "[limits]\nmax_group_deletion_share = 1\n")
    assert run("plan", *MEMBERS, "--exclude", LAB, "-o", "plan.jsonl").code == 0
    there = (Path("kept") / FILE).read_bytes()
    done = run("apply", "plan.jsonl", "--org", "--yes", *KEPT, "--journal", "j.jsonl")
    assert done.code == 0, done.err

    def lose() -> None:
        store, now = load(Path("kept") / FILE)
        assert store.organization is not None
        if gone == "role":
            store.roles = {arn: trust for arn, trust in store.roles.items() if DATA not in arn}
        else:
            del store.organization.members[DATA]
        save(Path("kept") / FILE, store, now)

    lose()
    undone = run("restore", "j.jsonl", "--org", "--apply", "--yes", *KEPT)
    assert f"{DATA}  us-east-1  /old/experiment-0" in undone.out
    numbers = [{account: len(names) for account, names in left().items()}]
    (Path("kept") / FILE).write_bytes(there)
    lose()
    shown = run("apply", "plan.jsonl", "--org", "--dry-run", *KEPT)
    applied = run("apply", "plan.jsonl", "--org", "--yes", *KEPT)
    for listed in (shown.out, applied.err):
        assert "1 log group to delete" in listed
        assert f"Error: account {DATA}: nothing was done" in listed
        assert not re.search(rf"Refused|^  {DATA}", listed, re.M)
    numbers.append({account: len(names) for account, names in left().items()})
    assert numbers == [{SHOP: 1, DATA: 0, LAB: 3}, {SHOP: 0, DATA: 1, LAB: 3}]
    for done in (undone, shown, applied):
        assert done.code == 3, done.err
        assert f"account {DATA}: nothing was done" in done.err + done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--org", "--exclude", "lab"), "--exclude: 'lab' is not the id of"),
        (("--account", SHOP, "--exclude", fleets.EXPERIMENTS), "--exclude"),
        (("--ou", "ou-root-nowheretobefound"), "organization could not be read"),
        (("--org", "--exclude", "r-root"), "none of the organization's accounts"),
        (("--by", "ou"), "--by ou: needs --org"),
        (("--exclude", SHOP), "--exclude, --org-role: are for --org"),
    ],
)
def test_an_invalid_selection_of_accounts_is_one_clear_line(
    words: tuple[str, ...], message: str, run: Run
) -> None:
    """The exit code is 2, and nothing is on stdout."""
    done = run("report", *words, *KEPT)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1


def test_the_demo_of_a_fleet_shows_each_command(run: Run) -> None:
    """Only what is within the limits is deleted."""
    done = run("sandbox", "fleet")
    assert done.code == 0, done.err
    for text in ("$ janitor iam-policy", "$ janitor report --org", "--apply", "--by ou"):
        assert text in done.out
    assert "By ou" in done.out
    assert "2 of 20 log groups were deleted and 15 given retention" in " ".join(done.out.split())
