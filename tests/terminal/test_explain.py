"""`explain`: the same verdict as a run's, its lines, what would change it, and names not found."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS, Stop
from janitor.core.model import Status, Verb, verb_of
from janitor.policy.file import Policy, parse
from janitor.policy.judge import Check
from janitor.terminal import explain as command
from janitor.terminal import explanation as explaining
from janitor.terminal.cli import main
from janitor.terminal.explanation import Explanation, explain, find
from janitor.terminal.shared import Reached
from tests.accounts import NOW, REGION, Cloud, Group, api, days_ago, look, refused, refusing, stream
from tests.conftest import Run
from tests.engine.test_properties import accounts, policies, relaxed
from tests.terminal.test_cli import GOES


def explained(cloud: Cloud, name: str, policy: Policy) -> Explanation:
    """One group of the cloud, explained."""

    async def told() -> Explanation:
        calls = api(cloud)
        found = await find(calls, name)
        assert found is not None
        return await explain(calls, *found, policy, NOW, Stop())

    return cloud.clock.run(told())


def verdicts(outcomes: Any) -> list[tuple[Verb, Status]]:
    """What was decided, and what became of it."""
    return sorted((verb_of(outcome.action), outcome.status) for outcome in outcomes)


READS = [
    "GetResources",
    "ListFunctions",
    "DescribeSubscriptionFilters",
    "DescribeLogStreams",
    "GetMetricData",
    "FilterLogEvents",
]


@relaxed
@given(accounts, policies, st.none() | st.sampled_from(READS))
def test_the_verdict_is_a_runs_and_the_lines_agree(
    groups: list[Group], policy: Policy, broken: str | None
) -> None:
    """On random accounts, with any read refused: what a dry run of all of it does with the group.

    All lines hold where it would be deleted, and only there; what would change it is said, in
    one way for each line that fails. The text fits 80 columns.
    """
    cloud = Cloud(deepcopy(groups))
    cloud.fault = refusing(broken or "", "AccessDeniedException")
    _, recorded = look(cloud, policy)
    decided = [*recorded.outcomes, *recorded.planned]
    for name in cloud.groups:
        told = explained(cloud, name, policy)
        expected = verdicts(outcome for outcome in decided if outcome.group.name == name)
        assert verdicts(told.outcomes) == expected
        goes = Verb.DELETE_GROUP in {verb_of(outcome.action) for outcome in told.outcomes}
        assert goes == all(shown.holds is True for shown in told.lines)
        failing = [shown for shown in told.lines if shown.holds is not True]
        assert len([c for c in told.changes if c.to == "deleted"]) == len(failing)
        # A sweep whose streams hold events that only FilterLogEvents shows is done with none swept.
        acts = (Status.PLANNED, Status.DONE)
        changed = any(outcome.status in acts for outcome in told.outcomes)
        assert changed == any(change.to == "kept" for change in told.changes)
        for line in explaining.text(told).splitlines():
            assert len(line) <= 80, line
    assert not cloud.deleted + cloud.puts + cloud.swept


def test_the_first_line_that_fails_is_the_reason(policy: Policy) -> None:
    """Word for word: the lines are those that decide."""
    cloud = Cloud([Group("/a", days_ago(900), 5, 365, protected=True, metric_filters=("m", "n"))])
    told = explained(cloud, "/a", policy)
    failing = [shown.line.text for shown in told.lines if not shown.holds]
    assert failing == ["deletion protection is on", "2 metric filters", "5 B stored"]
    [outcome] = told.outcomes
    assert outcome.reason == f"{failing[0]}; retention of 365 days"


EMPTY: dict[str, Any] = {"created": days_ago(900), "retention": 30}


def _to_delete(group: Group, policy: Policy, functions: dict[str, str | None]) -> list[str]:
    cloud = Cloud([group])
    cloud.functions |= functions
    told = explained(cloud, group.name, policy)
    return [change.by for change in told.changes if change.to == "deleted"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tags": {"janitor:keep": ""}}, "no such tag on the log group, or not among those of"),
        ({"protected": True}, "deletion protection of the log group turned off"),
        ({"metric_filters": ("m",)}, "its 1 metric filter removed"),
        ({"subscriptions": ("to-kinesis",)}, "the subscription filter to-kinesis removed"),
        ({"stored": 2048}, "nothing stored any more: 2.0 KiB stored"),
        ({"under": ("org", None)}, "days, not NEVER_EXPIRE, in account-level"),
        ({"log_class": "DELIVERY"}, "nothing: log groups of class DELIVERY are left alone"),
        ({"log_class": "NEW"}, "a readable response from DescribeLogGroups; now: log class"),
        ({"odd": {"storedBytes": -1}}, "a readable response from DescribeLogGroups; now: odd"),
        ({"arrivals": {days_ago(1): 9}}, "no event for longer than 37 days (retention + grace)"),
        ({"streams": [stream("s", days_ago(1))]}, "every stream silent for longer than 37 days"),
        (
            {"name": "/aws/lambda/f"},
            "its owner removed, or left out of owners in [protect.deletion]",
        ),
        ({"name": "/audit/a"}, "no such pattern among the names of [protect]: protected by name"),
        (
            {"name": "/ledger/a"},
            "no such pattern among the names of [protect.deletion]: protected from deletion by",
        ),
        (
            {"tags": {"aws:cloudformation:stack-name": "s"}},
            "no such tag on the log group, or not among those of [protect.deletion]: protected",
        ),
        ({"name": "aws/spans"}, "nothing: the name starts with aws/: only AWS could create"),
        ({"name": "/kept/a"}, "delete_empty = true in rule 'kept'"),
        ({"name": "/own"}, "nothing: the janitor leaves its own log group alone"),
    ],
)
def test_what_would_let_it_be_deleted(fields: dict[str, Any], said: str) -> None:
    """Exactly the one thing that stands in the way, concretely."""
    policy = parse(
        "[defaults]\ndelete_empty = true\n[protect]\nnames = ['/audit/*']\nown_groups = ['/own']\n"
        "[protect.deletion]\nnames = ['/ledger/*']\n"
        "[[rules]]\nid = 'kept'\nnames = ['/kept/*']\ndelete_empty = false",
        "test",
    )
    group = Group(**{"name": "/a", **EMPTY, **fields})
    [by] = _to_delete(group, policy, {"f": None})
    assert by.startswith(said)


def test_the_day_from_which_on_it_is_old_enough(policy: Policy) -> None:
    """Created 30 days ago, kept for 365: old enough 372 days after its creation."""
    day = datetime.fromtimestamp((days_ago(30) + 372 * DAY_MS) / 1000, UTC)
    group = Group("/young", days_ago(30), retention=365)
    [by] = _to_delete(group, policy, {})
    assert by == f"time: retention + grace ends on {day:%Y-%m-%d %H:%M:%SZ}"


def test_without_retention_the_rule_must_give_one() -> None:
    """A group that never expires, under a policy that gives it no retention."""
    policy = parse("[defaults]\ndelete_empty = true", "test")
    [by] = _to_delete(Group("/a", days_ago(900)), policy, {})
    assert by == "retention_days in [defaults], or a retention of its own"


@pytest.mark.parametrize(
    ("group", "verbs", "said"),
    [
        (Group("/a", days_ago(900), 0, 30), {"delete_group"}, "delete_empty = false in [defaults]"),
        (Group("/a", days_ago(900), 5), {"set_retention"}, "a retention of its own, or"),
        (
            Group("/aws/lambda/a", days_ago(900), 5, 30, streams=[stream("s", days_ago(800))]),
            {"sweep_streams"},
            "sweep_streams = false in rule 'lambda'",
        ),
    ],
)
def test_what_would_keep_it(group: Group, verbs: set[str], said: str, policy: Policy) -> None:
    """Each of the things that are named does keep it; the tag and the name are among them."""
    told = explained(Cloud([group]), group.name, policy)
    assert {verb_of(outcome.action).value for outcome in told.outcomes} == verbs
    kept = [change.by for change in told.changes if change.to == "kept"]
    assert kept[:2] == ["a tag janitor:keep", f"{group.name!r} among the names of [protect]"]
    assert any(by.startswith(said) for by in kept)
    tagged = deepcopy(group)
    tagged.tags = {"janitor:keep": ""}
    assert not [c for c in _changes_of(tagged, policy) if c == "kept"]


def _changes_of(group: Group, policy: Policy) -> list[str]:
    return [change.to for change in explained(Cloud([group]), group.name, policy).changes]


def test_each_line_has_its_number_in_the_documentation(policy: Policy) -> None:
    """The list of docs/concepts.md, whose first word of each item a reader looks for."""
    told = explained(Cloud([Group("/a", **EMPTY)]), "/a", policy)
    numbers = {shown.line.check: shown.line.number for shown in told.lines}
    listed = Path(__file__).parents[2].joinpath("docs", "concepts.md").read_text()
    for check, said in {
        Check.DELETION_TAG: "The policy says",
        Check.OWNER: "Nobody uses it",
        Check.RETENTION: "Its retention is known",
        Check.AGE: "It is older",
        Check.STORED: "`storedBytes` is 0",
        Check.STREAMS: "Every stream",
        Check.ARRIVALS: "Nothing arrived",
    }.items():
        assert f"\n{numbers[check]}. {said}" in listed


def test_every_line_names_its_call_and_its_age(policy: Policy) -> None:
    """What comes from the account says from which call, and how long ago."""
    cloud = Cloud([Group("/a", **EMPTY)])
    told = explained(cloud, "/a", policy)
    calls = {shown.source for shown in told.lines if shown.source}
    assert calls == {
        "DescribeLogGroups",
        "GetResources",
        "owners",
        "DescribeSubscriptionFilters",
        "DescribeLogStreams",
        "GetMetricData",
    }
    for shown in told.lines:
        assert (shown.source is None) == (shown.at is None)
        assert shown.at is None or NOW <= shown.at <= told.at
    assert "[GetMetricData, read 0." in " ".join(explaining.text(told).split())


HOSTILE = "\x1b[2J\x9b31m\u202eevil\r\nfake line\x00"


def test_nothing_reaches_the_terminal_that_it_would_obey(policy: Policy) -> None:
    """Tag values and names of streams and filters are whatever somebody wrote there."""
    streams = [stream(f"s{HOSTILE}", days_ago(1))]
    group = Group("/a", days_ago(900), tags={"t": HOSTILE}, streams=streams)
    group.subscriptions = (HOSTILE,)
    text = explaining.text(explained(Cloud([group]), "/a", policy))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not [line for line in text.splitlines() if line.startswith("fake line")]
    assert r"t=\x1b[2J\x9b31m\u202eevil\r\nfake line\x00" in text.replace("\n             ", " ")


# ---- the command -----------------------------------------------------------------------------


def test_the_command_shows_rules_lines_and_verdict(run: Run) -> None:
    """For a group that would go, and for one that stays."""
    goes = run("explain", GOES, "-r", "eu-west-1", "--sandbox").out
    assert "  lambda       matches\n" in goes
    assert "  6 yes 130 streams, all silent since the cutoff [DescribeLogStreams" in goes
    assert "  would delete the log group: " in goes
    assert "  - a tag janitor:keep\n" in goes
    stays = run("explain", "/platform/protected/ledger", "--sandbox").out
    assert "1 NO  deletion protection is on" in stays
    assert "  - deletion protection of the log group turned off\n" in stays


def test_the_same_name_in_several_regions_is_shown_for_each(run: Run) -> None:
    """As JSON, whose keys are those that the docstring names."""
    done = run("explain", "/aws/cloudtrail/organization", "--sandbox", "--format", "json")
    told = json.loads(done.out)
    assert done.code == 0, done.err
    assert told["run"]["command"] == "explain"
    assert [group["region"] for group in told["groups"]] == ["eu-west-1", "us-east-1"]
    described = str(Explanation.as_dict.__doc__)
    for group in told["groups"]:
        assert [outcome["action"] for outcome in group["outcomes"]] == ["set_retention"]
        parts = [group, *group["rules"], *group["lines"], *group["changes"]]
        for key in {key for part in parts for key in part}:
            assert key in described, key


@pytest.mark.parametrize("form", ["csv", "jsonl", "markdown", "html"])
def test_other_formats_are_refused(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is asked."""
    assert main(["explain", "/a", "--format", form]) == 2
    said = capsys.readouterr().err
    assert said == f"janitor: --format: explain prints table or json, not {form}\n"


@pytest.mark.parametrize("name", ["", "a b", "/a b", "\x1b[2J", "a" * 513])
def test_what_no_log_group_can_be_called_is_refused(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked, and without its control characters."""
    assert main(["explain", name]) == 2
    said = capsys.readouterr().err
    assert "is not a valid log group name" in said
    assert "\x1b" not in said


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs the command on these accounts, one a Region."""

    def connect(*clouds: Cloud) -> None:
        async def connected(*_: object) -> Reached:
            return Reached([api(cloud) for cloud in clouds], {}, {}, [])

        monkeypatch.setattr(command, "connect", connected)
        monkeypatch.setattr(command, "asyncio", SimpleNamespace(run=clouds[0].clock.run))

    return connect


def test_a_region_that_cannot_be_read_is_an_error_and_the_others_are_shown(
    places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3; 2 where nothing was found elsewhere."""
    broken, sound = Cloud(), Cloud([Group("/a", **EMPTY)])
    broken.fault = lambda _call: refused("AccessDeniedException")
    places(broken, sound)
    assert main(["explain", "/a"]) == 3
    told = capsys.readouterr()
    assert f"/{REGION}: could not be searched: DescribeLogGroups: Access" in told.err
    assert "would delete the log group" in told.out
    assert main(["explain", "/b"]) == 2
    told = capsys.readouterr()
    assert "could not be searched" in told.err
    assert "no log group is named '/b'" in told.err
    assert told.out == ""


TYPOS = [
    "/aws/lambda/checkout-worker-prdo",
    "/aws/lambda/chekcout-worker-prod",
    "/aws/lamdba/checkout-worker-prod",
    "/lambda/checkout-worker-prod",
    "/aws/lambda/Checkout-Worker-Prod",
    "checkout-worker-prod",
    "/aws/lambda/checkout-worker",
]


@pytest.mark.parametrize("name", TYPOS)
def test_a_name_with_a_slip_finds_the_right_one(
    name: str, places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """First of the nearest, in few calls, among thousands of log groups."""
    right = "/aws/lambda/checkout-worker-prod"
    others = [Group(f"/app/{i:04}/service", days_ago(9)) for i in range(3000)]
    near = [Group(name, days_ago(9)) for name in (right, *(f"/aws/lambda/x{i}" for i in range(20)))]
    cloud = Cloud([*others, *near])
    places(cloud)
    assert main(["explain", name]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"janitor: no log group is named {name!r} in ")
    assert said[2] == f"janitor:   {right}"
    assert said[-2].startswith("janitor: searched ")
    assert cloud.calls["DescribeLogGroups"] <= 1 + 4 * explaining.PAGES_A_SEARCH
    assert set(cloud.calls) == {"DescribeLogGroups"}


def test_nothing_alike_is_said_too(
    places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """And what was looked for."""
    places(Cloud([Group("/app", days_ago(9))]))
    assert main(["explain", "/quite/otherwise"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == (
        "janitor: searched 0 names that contain 'otherwise' or contain 'other' or contain "
        "'rwise' or begin with '/quite/'"
    )


def test_interrupted_while_reading(
    places: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends it with 130 and no traceback."""
    cloud = Cloud([Group("/a", **EMPTY)])

    async def connect(
        _account: object, _regions: object, _policy: object, _counts: object, stop: Stop, _: object
    ) -> Reached:
        cloud.before_call = lambda _call: stop.set("interrupted")
        return Reached([api(cloud, stop)], {}, {}, [])

    places(cloud)
    monkeypatch.setattr(command, "connect", connect)
    cloud.fault = lambda _call: refused("ThrottlingException")
    assert main(["explain", "/a"]) == 130


@pytest.mark.usefixtures("few_owners")
def test_globs_and_arns_are_explained(run: Run) -> None:
    """A glob matches in every Region, an ARN says its own; with or without its `:*`."""
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/search-green"
    for word in (arn, f"{arn}:*"):
        answer = json.loads(run("explain", word, "--sandbox", "-f", "json").out)
        assert [(g["region"], g["group"]) for g in answer["groups"]] == [
            ("us-east-1", "/ecs/search-green")
        ]
    found = run("--sandbox", "explain", "/ecs/*-green", "/ecs/*-blue", "-f", "json").out
    names = [g["group"] for g in json.loads(found)["groups"]]
    assert {"/ecs/search-green", "/ecs/checkout-blue"} <= set(names)
    for word, said in (
        ("/no/such/*", "no log group matches '/no/such/*'"),
        ("*", "give a narrower glob"),
        (arn.replace("us-east-1", "eu-west-3"), "eu-west-3"),
        (arn.replace("123456789012", "999999999999"), "999999999999"),
    ):
        done = run("explain", word, "--sandbox")
        assert (done.code, said in done.err) == (2, True), done.err
