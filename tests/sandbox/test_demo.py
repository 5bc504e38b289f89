"""The demo account: every kind of decision, the same every day, and nothing from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from janitor.core.clock import DAY_MS
from janitor.policy.judge import Check
from janitor.sandbox import demo
from janitor.terminal import cli
from janitor.terminal.demo import demo as show
from tests.conftest import Run

EU, US = demo.REGIONS

# ---- every kind of decision ----------------------------------------------------------------------

STACK = "protected from deletion by tag: aws:cloudformation:stack-name"
KEPT = {
    "/cloudwatch-janitor/janitor": (Check.OWN_GROUP, "the janitor's own log group"),
    "/legal/hold/2023-audit": (Check.TAG, "protected by tag: janitor:keep"),
    "aws-controltower/CloudTrailLogs": (Check.NAME, "protected by name: *aws-controltower*"),
    "/aws/codebuild/stack-managed-build": (Check.DELETION_TAG, STACK),
    "aws/spans": (Check.RESERVED, "only AWS could create the log group again"),
    "/aws/vendedlogs/delivery/cdn-access": (Check.CLASS, "class DELIVERY"),
    "/platform/protected/ledger": (Check.DELETION_PROTECTION, "deletion protection is on"),
    "/platform/metrics/failed-logins": (Check.METRIC_FILTERS, "1 metric filter"),
    "/platform/shipped/access-log": (Check.SUBSCRIPTION_FILTERS, "subscription filter"),
    "/aws/lambda/disaster-recovery": (Check.OWNER, "in use by Lambda function disaster-recovery"),
    "/platform/functions/nightly-audit": (Check.OWNER, "in use by Lambda function nightly-audit"),
    "/aws/lambda/us-east-1.edge-auth": (Check.OWNER, "in use by Lambda@Edge function edge-auth"),
    "/compliance/empty-vault": (Check.RETENTION, "policy 'keep-for-ever': NEVER_EXPIRE"),
    "/managed/quarterly/ingest": (Check.STORED, "policy 'ninety-days': 90 days"),
    "/aws/lambda/new-onboarding-flow": (Check.AGE, "no retention is in force"),
    "/ecs/payments-canary": (Check.AGE, "not more than retention + grace (37 days)"),
    "/ecs/slow-to-shrink": (Check.STORED, "47.1 KiB stored"),
    "/ecs/long-tail": (Check.STREAMS, "stream 'zzz/the-live-one' was active 3 days ago"),
    "/ecs/canary-probe": (Check.STREAMS, "'ecs/probe/never-written' was active 2 days ago"),
    "/ecs/quiet-but-alive": (Check.ARRIVALS, "IncomingLogEvents has a data point since the cutoff"),
    "/odd/no-creation-time": (Check.VALUES, "odd values: creationTime is missing"),
    "/odd/unclear-metric": (Check.ARRIVALS, "no complete answer for this log group"),
}
"""Log groups that look empty or special, and why they are not deleted: a group for every check that
the shipped policy makes."""
GOES = {
    "/aws/lambda/orders-api-v1",  # two pages of expired streams
    "/aws/lambda/legacy-thumbnailer",  # no streams, no retention, tags
    "/ecs/checkout-blue",  # with a key, policies and processors
    "/ecs/reports-legacy",  # a stream that was never written
    "/managed/quarterly/retired",  # by the days of an account-level policy
}


def test_each_special_log_group_is_decided_for_its_own_reason(run: Run) -> None:
    """By the shipped policy, as the report says."""
    assert {check for check, _ in KEPT.values()} == set(Check) - {
        *(Check.DELETION_NAME, Check.DELETE_EMPTY, Check.EVENTS, Check.RULE)
    }
    answer = json.loads(run("report", "--sandbox", "--all", "--format", "json").out)
    found = {finding["group"]: finding for finding in answer["findings"]}
    for name, (_, reason) in KEPT.items():
        assert reason in found[name]["reason"], name
        assert found[name]["action"] != "delete_group"
    for name in GOES:
        assert (found[name]["action"], found[name]["status"]) == ("delete_group", "planned")
    kinds = {(finding["action"], finding["status"]) for finding in answer["findings"]}
    planned = {(action, "planned") for action in ("delete_group", "set_retention", "sweep_streams")}
    assert kinds == planned | {("keep", "kept"), ("unknown", "unknown")}
    both = "/aws/lambda/price-feed"  # gets a retention, and its streams are swept by that
    did = {finding["action"] for finding in answer["findings"] if finding["group"] == both}
    assert did == {"set_retention", "sweep_streams"}
    for name, why in {
        "/aws/lambda/break-glass": "function break-glass",
        "/ecs/stack-managed-worker": "kept: protected from deletion by tag",
    }.items():
        assert (found[name]["action"], found[name]["new_retention_days"]) == ("set_retention", 365)
        assert why in found[name]["reason"]
    given = {finding["new_retention_days"] for finding in answer["findings"]} - {None}
    assert given == {365}, "12 months, whatever the log group"


def test_it_is_the_same_every_time_and_like_a_real_account() -> None:
    """Most groups that hold data never expire, as AWS makes them; they take data in, more on
    workdays, and the dead ones do not.
    """
    store = demo.account()
    assert store.state() == demo.account().state()
    numbers = {region: len(store.region(demo.ACCOUNT, region)) for region in demo.REGIONS}
    assert (numbers, sum(numbers.values())) == (demo.GROUPS, 300)
    held = [group for group in store.groups() if group.stored > 10**6]
    assert len(held) / 3 < len([group for group in held if group.days is None]) < len(held)
    arrivals = store.region(demo.ACCOUNT, EU).arrivals
    flow = [events.bytes for events in arrivals["/aws/vpc/flow-logs"] if events.bytes > 10**6]
    assert len(flow) >= 30
    assert min(flow) * 1.5 < max(flow)
    dead = [events.at for events in arrivals["/aws/lambda/black-friday-2022"]]
    assert max(dead) < demo.NOW - 37 * DAY_MS


# ---- under --sandbox -----------------------------------------------------------------------------


def options(command: Any) -> Iterator[Any]:
    """The options of a command and of those below it."""
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def test_no_environment_variable_switches_it_on() -> None:
    """It reads none, and its options have none. `test_layers` and `test_packaging` assert that only
    the command line imports it.
    """
    code = [path.read_text() for path in Path(demo.__file__).parent.rglob("*.py")]
    assert not [text for text in code if re.search(r"\b(environ|getenv)\b", text)]
    command: Any = typer.main.get_command(cli.app)
    own = [option for option in options(command) if "sandbox" in option.name]
    prefix = command.context_settings.get("auto_envvar_prefix")
    assert own
    assert not [o.name for o in own if o.envvar or (prefix and o.allow_from_autoenv)]


@pytest.mark.usefixtures("few_owners")
def test_the_time_is_the_accounts(run: Run) -> None:
    """In the output, in the journal's name and in its lines."""
    words = ("run", "--apply", "--yes", "--sandbox", "-r", US, "--format", "json")
    answer = json.loads(run(*words).out)
    assert answer["run"]["started"] == "2026-11-25T09:00:00+00:00"
    [journal] = Path.cwd().glob("*.jsonl")
    assert journal.name == "janitor-journal-20261125T090000Z.jsonl"
    assert {json.loads(line)["at"] for line in journal.read_text().splitlines()} == {demo.NOW}


OUTSIDE = {
    "AWS_PROFILE": "nonexistent",
    "AWS_DEFAULT_REGION": "no region",
    "AWS_REGION": "no region",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_LOGS": "http://127.0.0.1:9",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_RETRY_MODE": "nonsense",
    "AWS_MAX_ATTEMPTS": "nonsense",
    "AWS_CA_BUNDLE": "/nonexistent",
    "AWS_DATA_PATH": "/nonexistent",
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


@pytest.mark.usefixtures("few_owners")
@pytest.mark.parametrize(
    "words",
    [
        ["report", "-r", US, "--profile", "nonexistent"],
        ["explain", "/ecs/long-tail", "--role", f"arn:aws:iam::{demo.ACCOUNT}:role/janitor"],
    ],
    ids=["profile", "role"],
)
def test_nothing_of_the_users_aws_reaches_it(
    words: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither profile nor endpoint nor configuration: the answer is the same."""
    alone = run(*words, "--sandbox", "--format", "json")
    for name, value in OUTSIDE.items():
        monkeypatch.setenv(name, value)
    config = Path("config")
    config.write_text("[default]\nregion = ap-south-1\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    among = run(*words, "--sandbox", "--format", "json")
    assert alone.code in (0, 5)
    assert (among.code, comparable(among.out)) == (alone.code, comparable(alone.out))
    assert among.err == alone.err


def comparable(text: str) -> Any:
    """The output without the run's id, its findings in a fixed order."""
    answer = json.loads(text)
    answer["run"]["id"] = ""
    answer.get("findings", []).sort(key=json.dumps)
    return answer


@pytest.mark.parametrize(
    ("role", "error"),
    [
        ("arn:aws:iam::999999999999:role/janitor", "role/janitor cannot be assumed: An error"),
        ("janitor", "--role: 'janitor' is not the ARN of a role"),
    ],
)
def test_a_role_of_another_account_is_refused(role: str, error: str, run: Run) -> None:
    """In one line."""
    done = run("report", "--sandbox", "--role", role)
    assert (done.code, done.out) == (2, "")
    [line] = done.err.splitlines()
    assert error in line


# ---- the demo ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_owners")
def test_the_demo_cleans_looks_again_and_undoes(run: Run) -> None:
    """It leaves a page, names the files that it leaves, and overwrites nobody's report."""
    Path("report.html").write_text("mine")
    done = run("sandbox", "demo")
    assert done.code == 0
    first, second, third = (line for line in done.err.splitlines() if "groups scanned" in line)
    assert "22 groups and 359 streams would be deleted" in first
    assert "22 groups and 359 streams were deleted" in second
    assert "retention would be set on 0, 0 groups and 0 streams would be deleted" in third
    restored = (
        "22 log groups were created again or completed, retention was put back on 153; 0 left"
    )
    assert restored in done.err
    assert "After the undo, 0 of 300 log groups differ from before" in done.out
    assert "22 of 300 log groups would be deleted" in Path("janitor-demo.html").read_text()
    assert Path("report.html").read_text() == "mine"
    for line in done.out.splitlines()[-3:]:
        assert Path(line.split()[-1]).exists(), line


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0, 0, 0, 0], 0), ([0, 3, 3, 0, 0], 0), ([0, 2, 4, 0, 0], 2)],
)
def test_the_demos_exit_code_is_the_first_that_means_failure(
    codes: list[int],
    expected: int,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Items that are merely unknown are not a failure. If the folder cannot be written, the page is
    beside the journal.
    """
    commands: list[list[str]] = []

    def command(words: list[str]) -> int:
        commands.append(words)
        return codes[len(commands) - 1]

    monkeypatch.setattr(cli, "main", command)
    monkeypatch.setattr("os.access", lambda path, _mode: Path(path) != Path.cwd())
    assert show() == expected
    assert [words[0] for words in commands] == ["report", "report", "run", "report", "restore"]
    [page] = [words[words.index("-o") + 1] for words in commands if "-o" in words]
    out = capsys.readouterr().out
    assert f"as a web page: {page}\n" in out
    assert f"{Path(page).with_name('journal.jsonl')}\n" in out


@pytest.mark.usefixtures("few_owners")
def test_a_difference_after_the_undo_is_a_failure(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An undo that does nothing does not pass."""
    command = cli.main

    def forgetful(words: list[str]) -> int:
        return command(words) if words[0] == "run" else 0

    monkeypatch.setattr(cli, "main", forgetful)
    assert show() == 3
    assert "After the undo, 175 of 300 log groups differ" in capsys.readouterr().out
