"""`explain`: its verdict, its lines, what would change the outcome, and names not found."""

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
from janitor.owners.owners import OwnerCache
from janitor.policy.file import Policy, parse
from janitor.policy.judge import Check
from janitor.terminal import explain as command
from janitor.terminal import explanation as explaining
from janitor.terminal.account import Reached
from janitor.terminal.cli import main
from janitor.terminal.explanation import Explanation, explain, find
from tests.accounts import NOW, REGION, Cloud, Group, api, days_ago, look, refused, refusing, stream
from tests.conftest import Run
from tests.engine.test_properties import accounts, policies, relaxed
from tests.terminal.test_cli import GOES


def explained(cloud: Cloud, name: str, policy: Policy) -> Explanation:
    """Return the explanation of one log group."""

    async def run() -> Explanation:
        calls = api(cloud)
        found = await find(calls, name)
        assert found is not None
        return await explain(calls, *found, policy, NOW, Stop(), OwnerCache())

    return cloud.clock.run(run())


def verdicts(outcomes: Any) -> list[tuple[Verb, Status]]:
    """Return the verbs and statuses of outcomes."""
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
def test_verdict_and_lines_agree_with_a_survey(
    groups: list[Group], policy: Policy, broken: str | None
) -> None:
    """On random accounts, with any read refused, all lines hold exactly if a survey deletes.

    There is one remedy for each line that fails, and the text fits 80 columns.
    """
    cloud = Cloud(deepcopy(groups))
    cloud.fault = refusing(broken or "", "AccessDeniedException")
    _, recorded = look(cloud, policy)
    decided = [*recorded.outcomes, *recorded.planned]
    for name in cloud.groups:
        explanation = explained(cloud, name, policy)
        expected = verdicts(outcome for outcome in decided if outcome.group.name == name)
        assert verdicts(explanation.outcomes) == expected
        goes = Verb.DELETE_GROUP in {verb_of(outcome.action) for outcome in explanation.outcomes}
        assert goes == all(shown.holds is True for shown in explanation.lines)
        failing = [shown for shown in explanation.lines if shown.holds is not True]
        assert len([c for c in explanation.changes if c.to == "deleted"]) == len(failing)
        # If only FilterLogEvents shows events in all streams, a sweep is DONE with none swept.
        acts = (Status.PLANNED, Status.DONE)
        changed = any(outcome.status in acts for outcome in explanation.outcomes)
        assert changed == any(change.to == "kept" for change in explanation.changes)
        for line in explaining.text(explanation).splitlines():
            assert len(line) <= 80, line
    assert not cloud.deleted + cloud.puts + cloud.swept


def test_the_first_line_that_fails_is_the_reason(policy: Policy) -> None:
    """The reason is the same word for word."""
    cloud = Cloud([Group("/a", days_ago(900), 5, 365, protected=True, metric_filters=("m", "n"))])
    explanation = explained(cloud, "/a", policy)
    failing = [shown.line.text for shown in explanation.lines if not shown.holds]
    assert failing == ["deletion protection is on", "2 metric filters", "5 B stored"]
    [outcome] = explanation.outcomes
    assert outcome.reason == f"{failing[0]}; retention of 365 days"


EMPTY: dict[str, Any] = {"created": days_ago(900), "retention": 30}


def _remedies(group: Group, policy: Policy, functions: dict[str, str | None]) -> list[str]:
    cloud = Cloud([group])
    cloud.functions |= functions
    changes = explained(cloud, group.name, policy).changes
    return [change.by for change in changes if change.to == "deleted"]


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"tags": {"janitor:keep": ""}}, "no such tag on the log group, or not among those of"),
        ({"protected": True}, "deletion protection of the log group turned off"),
        ({"metric_filters": ("m",)}, "its 1 metric filter removed"),
        ({"subscriptions": ("to-kinesis",)}, "the subscription filter to-kinesis removed"),
        ({"stored": 2048}, "nothing stored any more: 2.0 KiB stored"),
        ({"under": ("org", None)}, "days, not NEVER_EXPIRE, in account-level"),
        ({"log_class": "DELIVERY"}, "nothing: class DELIVERY keeps events for one day"),
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
def test_the_remedy_for_each_obstacle_to_deletion(fields: dict[str, Any], remedy: str) -> None:
    """It names exactly the one thing that stands in the way."""
    policy = parse(
        "[defaults]\ndelete_empty = true\n[protect]\nnames = ['/audit/*']\nown_groups = ['/own']\n"
        "[protect.deletion]\nnames = ['/ledger/*']\n"
        "[[rules]]\nid = 'kept'\nnames = ['/kept/*']\ndelete_empty = false",
        "test",
    )
    group = Group(**{"name": "/a", **EMPTY, **fields})
    [by] = _remedies(group, policy, {"f": None})
    assert by.startswith(remedy)


def test_a_young_log_group_is_told_when_it_is_old_enough(policy: Policy) -> None:
    """With a retention of 365 days, that is 372 days after its creation."""
    day = datetime.fromtimestamp((days_ago(30) + 372 * DAY_MS) / 1000, UTC)
    group = Group("/young", days_ago(30), retention=365)
    [by] = _remedies(group, policy, {})
    assert by == f"time: retention + grace ends on {day:%Y-%m-%d %H:%M:%SZ}"


def test_without_retention_the_rule_must_give_one() -> None:
    """The log group never expires, and the policy gives it no retention."""
    policy = parse("[defaults]\ndelete_empty = true", "test")
    [by] = _remedies(Group("/a", days_ago(900)), policy, {})
    assert by == "retention_days in [defaults], or a retention of its own"


@pytest.mark.parametrize(
    ("group", "verbs", "expected"),
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
def test_what_would_keep_a_log_group(
    group: Group, verbs: set[str], expected: str, policy: Policy
) -> None:
    """A tag and the name are suggested, and the tag does keep it."""
    explanation = explained(Cloud([group]), group.name, policy)
    assert {verb_of(outcome.action).value for outcome in explanation.outcomes} == verbs
    kept = [change.by for change in explanation.changes if change.to == "kept"]
    assert kept[:2] == ["a tag janitor:keep", f"{group.name!r} among the names of [protect]"]
    assert any(by.startswith(expected) for by in kept)
    tagged = deepcopy(group)
    tagged.tags = {"janitor:keep": ""}
    changes = explained(Cloud([tagged]), group.name, policy).changes
    assert "kept" not in {change.to for change in changes}


def test_lines_are_numbered_as_in_the_documentation(policy: Policy) -> None:
    """The numbers are those of the conditions in docs/concepts.md."""
    explanation = explained(Cloud([Group("/a", **EMPTY)]), "/a", policy)
    numbers = {shown.line.check: shown.line.number for shown in explanation.lines}
    concepts = Path(__file__).parents[2].joinpath("docs", "concepts.md").read_text()
    for check, beginning in {
        Check.DELETION_TAG: "The policy says",
        Check.OWNER: "Nobody uses it",
        Check.RETENTION: "Its retention is known",
        Check.AGE: "It is older",
        Check.STORED: "`storedBytes` is 0",
        Check.STREAMS: "Every stream",
        Check.ARRIVALS: "Nothing arrived",
    }.items():
        assert f"\n{numbers[check]}. {beginning}" in concepts


def test_every_line_names_its_call_and_its_age(policy: Policy) -> None:
    """Only lines that rest on the policy alone name none."""
    explanation = explained(Cloud([Group("/a", **EMPTY)]), "/a", policy)
    calls = {shown.source for shown in explanation.lines if shown.source}
    assert calls == {
        "DescribeLogGroups",
        "GetResources",
        "owners",
        "DescribeSubscriptionFilters",
        "DescribeLogStreams",
        "GetMetricData",
    }
    for shown in explanation.lines:
        assert (shown.source is None) == (shown.at is None)
        assert shown.at is None or NOW <= shown.at <= explanation.at
    assert "[GetMetricData, read 0." in " ".join(explaining.text(explanation).split())


HOSTILE = "\x1b[2J\x9b31m\u202eevil\r\nfake line\x00"


def test_control_characters_do_not_reach_the_terminal(policy: Policy) -> None:
    """Tag values and names of streams and filters may contain anything."""
    streams = [stream(f"s{HOSTILE}", days_ago(1))]
    group = Group("/a", days_ago(900), tags={"t": HOSTILE}, streams=streams)
    group.subscriptions = (HOSTILE,)
    text = explaining.text(explained(Cloud([group]), "/a", policy))
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not [line for line in text.splitlines() if line.startswith("fake line")]
    assert r"t=\x1b[2J\x9b31m\u202eevil\r\nfake line\x00" in text.replace("\n             ", " ")


# ---- the command -----------------------------------------------------------------------------


def test_the_command_shows_rules_lines_and_verdict(run: Run) -> None:
    """It does so for a log group that would be deleted, and for one that is kept."""
    goes = run("explain", GOES, "-r", "eu-west-1", "--sandbox").out
    assert "  lambda       matches\n" in goes
    assert "  6 yes 130 streams, all silent since the cutoff [DescribeLogStreams" in goes
    assert "  would delete the log group: " in goes
    assert "  - a tag janitor:keep\n" in goes
    stays = run("explain", "/platform/protected/ledger", "--sandbox").out
    assert "1 NO  deletion protection is on" in stays
    assert "  - deletion protection of the log group turned off\n" in stays


def test_the_same_name_in_several_regions_is_shown_for_each(run: Run) -> None:
    """The keys of the JSON are those that the docstring of `as_dict` names."""
    done = run("explain", "/aws/cloudtrail/organization", "--sandbox", "--format", "json")
    answer = json.loads(done.out)
    assert done.code == 0, done.err
    assert answer["run"]["command"] == "explain"
    assert [group["region"] for group in answer["groups"]] == ["eu-west-1", "us-east-1"]
    described = str(Explanation.as_dict.__doc__)
    for group in answer["groups"]:
        assert [outcome["action"] for outcome in group["outcomes"]] == ["set_retention"]
        parts = [group, *group["rules"], *group["lines"], *group["changes"]]
        for key in {key for part in parts for key in part}:
            assert key in described, key


@pytest.mark.parametrize("form", ["csv", "jsonl", "markdown", "html"])
def test_other_formats_are_refused(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are refused before any call."""
    assert main(["explain", "/a", "--format", form]) == 2
    error = capsys.readouterr().err
    assert error == f"janitor: --format: explain prints table or json, not {form}\n"


@pytest.mark.parametrize("name", ["a b", "/a b", "/a!b*", "/a]*", "[a*", "\x1b[2J", "a" * 513])
def test_an_invalid_name_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message does not repeat its control characters."""
    assert main(["explain", name]) == 2
    error = capsys.readouterr().err
    assert "is not a valid log group name" in error
    assert "\x1b" not in error


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the command work on these accounts, one for each Region."""

    def connect(*clouds: Cloud) -> None:
        async def connected(*_: object) -> Reached:
            return Reached([api(cloud) for cloud in clouds], {}, {}, [])

        monkeypatch.setattr(command, "connect", connected)
        monkeypatch.setattr(command, "asyncio", SimpleNamespace(run=clouds[0].clock.run))

    return connect


def test_a_region_that_cannot_be_read_is_an_error_and_the_others_are_shown(
    places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 3, or 2 if no other Region has the log group."""
    broken, sound = Cloud(), Cloud([Group("/a", **EMPTY)])
    broken.fault = lambda _call: refused("AccessDeniedException")
    places(broken, sound)
    assert main(["explain", "/a"]) == 3
    printed = capsys.readouterr()
    assert f"/{REGION}: could not be searched: DescribeLogGroups: Access" in printed.err
    assert "would delete the log group" in printed.out
    assert main(["explain", "/b"]) == 2
    printed = capsys.readouterr()
    assert "could not be searched" in printed.err
    assert "no log group is named '/b'" in printed.err
    assert printed.out == ""


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
def test_a_misspelt_name_finds_the_right_one(
    name: str, places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes first, and few calls find it among thousands of log groups."""
    right = "/aws/lambda/checkout-worker-prod"
    others = [Group(f"/app/{i:04}/service", days_ago(9)) for i in range(3000)]
    near = [Group(name, days_ago(9)) for name in (right, *(f"/aws/lambda/x{i}" for i in range(20)))]
    cloud = Cloud([*others, *near])
    places(cloud)
    assert main(["explain", name]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"janitor: no log group is named {name!r} in ")
    assert lines[2] == f"janitor:   {right}"
    assert lines[-2].startswith("janitor: searched ")
    assert cloud.calls["DescribeLogGroups"] <= 1 + 4 * explaining.PAGES_A_SEARCH
    assert set(cloud.calls) == {"DescribeLogGroups"}


def test_without_a_similar_name_the_searches_are_named(
    places: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """They are for parts of the name."""
    places(Cloud([Group("/app", days_ago(9))]))
    assert main(["explain", "/quite/otherwise"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == (
        "janitor: searched 0 names that contain 'otherwise' or contain 'other' or contain "
        "'rwise' or begin with '/quite/'"
    )


def test_an_interruption_while_reading_exits_with_130(
    places: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes while a throttled call would be retried."""
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


def test_owners_are_read_once_for_all_log_groups(places: Callable[..., None]) -> None:
    """Neither the three parts of an explanation nor its log groups read them again."""
    cloud = Cloud([Group(name, **EMPTY) for name in ("/a", "/b")])
    places(cloud)
    assert main(["explain", "/*"]) == 0
    assert cloud.calls["ListFunctions"] == 2, "in the Region, and Lambda@Edge's"


def test_a_glob_lists_only_what_begins_like_it(places: Callable[..., None]) -> None:
    """A Region may have a million log groups, and listing them all takes half an hour."""
    cloud = Cloud([Group(name, **EMPTY) for name in ("/a/b", *(f"/x/{n}" for n in range(200)))])
    places(cloud)
    assert main(["explain", "/a/?"]) == 0
    assert cloud.calls["DescribeLogGroups"] == 1


@pytest.mark.usefixtures("few_owners")
def test_globs_and_arns_are_explained(run: Run) -> None:
    """A glob matches in every Region, an ARN in its own, with or without its `:*`."""
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/ecs/search-green"
    for word in (arn, f"{arn}:*"):
        answer = json.loads(run("explain", word, "--sandbox", "-f", "json").out)
        assert [(g["region"], g["group"]) for g in answer["groups"]] == [
            ("us-east-1", "/ecs/search-green")
        ]
    found = run("--sandbox", "explain", "/ecs/*-green", "/ecs/*-blue", "-f", "json").out
    names = [g["group"] for g in json.loads(found)["groups"]]
    assert {"/ecs/search-green", "/ecs/checkout-blue"} <= set(names)
    for word, message in (
        ("/no/such/*", "no log group matches '/no/such/*'"),
        ("*", "give a narrower glob"),
        (arn.replace("us-east-1", "eu-west-3"), "eu-west-3"),
        (arn.replace("123456789012", "999999999999"), "999999999999"),
    ):
        done = run("explain", word, "--sandbox")
        assert (done.code, message in done.err) == (2, True), done.err
