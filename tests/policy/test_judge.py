"""The judge at every border: pure, so that no account is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.model import (
    DeleteGroup,
    Keep,
    LogGroup,
    SetRetention,
    SweepStreams,
    Target,
    Unknown,
)
from janitor.policy import file
from janitor.policy.file import Policy, parse
from janitor.policy.judge import cutoff, judge, lines, needs_tags
from tests.accounts import NOW

TARGET = Target("123456789012", "eu-west-1")


def group(name: str = "/app/x", days: float = 900, **fields: Any) -> LogGroup:
    """A group `days` old, empty and without tags, apart from `fields`."""
    fields = {"stored_bytes": 0, "tags": {}, **fields}
    return LogGroup(TARGET, name, f"arn:{name}", NOW - int(days * DAY_MS), **fields)


def rules(text: str) -> Policy:
    """A policy that deletes empty groups and has these rules."""
    return parse(f"[defaults]\nretention_days = 365\ndelete_empty = true\n{text}", "test")


def test_a_group_without_retention_gets_the_rules_days(policy: Policy) -> None:
    """The reason names the rule."""
    action = judge(group(stored_bytes=1), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.days, action.rule) == (365, "defaults")
    assert "'defaults' sets 365 days" in action.reason


def test_the_first_matching_rule_wins() -> None:
    """Two rules match; the one that stands first decides."""
    policy = rules(
        '[[rules]]\nid = "a"\nnames = ["/app/*"]\nretention_days = 7\n'
        '[[rules]]\nid = "b"\nnames = ["/app/x"]\nretention_days = 14\n'
    )
    action = judge(group(stored_bytes=1), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.rule, action.days) == ("a", 7)


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ('names = ["/app"]', False),
        ('names = ["/APP/*"]', False),
        ('names = ["re:^/app/[xy]$"]', True),
        ('classes = ["STANDARD"]', True),
        ('classes = ["INFREQUENT_ACCESS"]', False),
        ('regions = ["eu-*"]', True),
        ('regions = ["us-*"]', False),
        ('tags = ["env=dev*"]', True),
        ('tags = ["env"]', True),
        ('tags = ["env=prod", "team"]', False),
        ('names = ["/app/*"]\nregions = ["us-*"]', False),
    ],
)
def test_all_conditions_of_a_rule_must_hold(condition: str, matches: bool) -> None:
    """Globs go over the whole name, case counts, and any entry of a list will do."""
    policy = rules(f'[[rules]]\nid = "r"\n{condition}\nretention_days = 7\n')
    action = judge(group(stored_bytes=1, tags={"env": "dev-1"}), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.rule == "r") is matches


@pytest.mark.parametrize(
    ("days", "expected"), [(30, 60), (60, None), (365, None), (400, None), (731, 400), (3653, 400)]
)
def test_retention_outside_the_band_moves_to_its_edge(days: int, expected: int | None) -> None:
    """Inside the band, the border included, nothing is changed."""
    policy = parse("[defaults]\nmin_days = 60\nmax_days = 400\nretention_days = 90", "test")
    action = judge(group(stored_bytes=1, retention_days=days), policy, NOW)
    assert (action.days if isinstance(action, SetRetention) else None) == expected


@pytest.mark.parametrize("days", [None, 30, 3653])
def test_an_account_level_policy_is_never_overridden(days: int | None) -> None:
    """PutRetentionPolicy would succeed and change nothing."""
    policy = parse("[defaults]\nretention_days = 90\nmin_days = 60\nmax_days = 400", "test")
    action = judge(group(stored_bytes=1, retention_policy="org", retention_days=days), policy, NOW)
    assert isinstance(action, Keep)


def test_under_never_expire_an_empty_group_is_kept_and_says_so(policy: Policy) -> None:
    """No retentionInDays does not mean that nobody decided."""
    action = judge(group(retention_policy="org"), policy, NOW)
    assert isinstance(action, Keep)
    assert "NEVER_EXPIRE" in action.reason


def test_under_an_account_level_policy_with_days_an_empty_group_may_go(policy: Policy) -> None:
    """The account's days are the retention in force."""
    action = judge(group(retention_policy="org", retention_days=90), policy, NOW)
    assert isinstance(action, DeleteGroup)
    assert action.before == NOW - 97 * DAY_MS


@pytest.mark.parametrize(("late", "goes"), [(-1, False), (0, False), (1, True)])
def test_age_at_its_exact_border(late: int, goes: bool, policy: Policy) -> None:
    """Older than retention + grace means older: at the border it is kept."""
    born = NOW - 37 * DAY_MS - late
    action = judge(group(retention_days=30)._replace(creation_time=born), policy, NOW)
    assert isinstance(action, DeleteGroup) is goes


def test_the_cutoff_takes_the_longer_retention(policy: Policy) -> None:
    """Whether a band lowers or raises it, what may still be read decides."""
    banded = parse("[defaults]\nretention_days = 30\nmax_days = 30\ndelete_empty = true", "test")
    lowered = group(retention_days=365)
    settings = banded.settings_for(lowered)
    assert settings is not None
    assert cutoff(lowered, settings, NOW) == NOW - 372 * DAY_MS


def test_protection_by_name_or_tag_exempts_from_every_change() -> None:
    """Setting retention deletes data too."""
    policy = parse(
        '[defaults]\nretention_days = 1\n[protect]\nnames = ["/audit/*", "re:legal"]\n'
        'tags = ["env=prod*"]',
        "test",
    )
    for kept in (
        group("/audit/x"),
        group("/x/legal-hold"),
        group(tags={"env": "prod-eu"}),
    ):
        assert isinstance(judge(kept, policy, NOW), Keep)
    assert isinstance(judge(group(tags={"env": "dev"}), policy, NOW), SetRetention)


def test_what_the_policy_spares_is_kept_whatever_else_there_is_about_it() -> None:
    """Odd values, an unknown class or unread tags: none of it makes a spared group unknown."""
    policy = rules('[protect]\nnames = ["/audit/*"]')
    odd: dict[str, Any] = {"defects": ("storedBytes is 'x'",), "log_class": "NEW"}
    unread: dict[str, Any] = {"tags": None, "tags_error": "AccessDenied"}
    own = "/cloudwatch-janitor/janitor"
    for kept in (group("/audit/x", **odd, **unread), group(own, **odd, **unread)):
        assert isinstance(judge(kept, policy, NOW), Keep)
    assert isinstance(judge(group(**odd, tags={"janitor:keep": ""}), policy, NOW), Keep)
    assert isinstance(judge(group(**odd), policy, NOW), Unknown)
    assert needs_tags(group(**odd, tags=None), policy, NOW)
    nameless = group(**odd, tags=None)._replace(arn="")
    assert not needs_tags(nameless, policy, NOW), "it would spoil the question about all others"


PROTECTED = {
    "name": (group("/kept/x"), "protected from deletion by name: /kept/*"),
    "tag": (group(tags={"aws:cloudformation:stack-name": "s"}), "protected from deletion by tag"),
    "reserved": (
        group("aws/spans"),
        "starts with aws/: only AWS could create the log group again",
    ),
    "in capitals": (
        group("AWS/x"),
        "starts with aws/: only AWS could create the log group again",
    ),
}


@pytest.mark.parametrize(("spared", "reason"), PROTECTED.values(), ids=PROTECTED.keys())
@pytest.mark.parametrize("sweeps", ["false", "true"])
def test_what_is_protected_from_deletion_alone_gets_its_retention_and_is_swept(
    spared: LogGroup, reason: str, sweeps: str
) -> None:
    """And the reason says why it is not deleted, though nothing else is in the way."""
    policy = rules(f'sweep_streams = {sweeps}\n[protect.deletion]\nnames = ["/kept/*"]')
    given = judge(spared, policy, NOW)
    assert isinstance(given, SetRetention)
    assert (given.days, given.then is not None) == (365, sweeps == "true")
    rule, why = given.reason.split("; kept: ")
    assert rule.endswith("sets 365 days")
    assert reason in why
    stays = judge(spared._replace(retention_days=30), policy, NOW)
    assert isinstance(stays, SweepStreams if sweeps == "true" else Keep)
    assert reason in (stays.kept if isinstance(stays, SweepStreams) else stays.reason)


def test_who_cannot_read_the_tags_that_keep_from_deletion_may_still_set_retention() -> None:
    """Where no tag exempts from every change; what has one, and may be empty, is unknown."""
    policy = rules("[protect]\ntags = []")
    asked, denied = group(tags=None), group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(asked, policy, NOW), Unknown)
    assert needs_tags(asked, policy, NOW)
    given = judge(denied, policy, NOW)
    assert isinstance(given, SetRetention)
    assert given.reason.endswith("; kept: tags could not be read: AccessDenied")
    assert isinstance(judge(denied._replace(retention_days=30), policy, NOW), Unknown)
    full = group(tags=None, stored_bytes=5)
    assert isinstance(judge(full, policy, NOW), SetRetention), "whatever its tags are"
    without = rules("[protect]\ntags = []\n[protect.deletion]\ntags = []")
    assert isinstance(judge(asked, without, NOW), DeleteGroup)


def test_tags_that_were_not_read_are_unknown_where_they_matter(policy: Policy) -> None:
    """Not asked for, or denied: neither is the same as none."""
    asked = group(tags=None)
    denied = group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(asked, policy, NOW), Unknown)
    assert isinstance(judge(denied, policy, NOW), Unknown)
    assert needs_tags(asked, policy, NOW)
    assert not needs_tags(denied, policy, NOW)
    assert not needs_tags(group(tags=None, stored_bytes=5, retention_days=30), policy, NOW)


def test_tags_that_were_not_read_do_not_let_a_rule_be_skipped() -> None:
    """It may be the group's: none behind it is applied in its stead, where no tag protects, too."""
    policy = parse(
        "[defaults]\nretention_days = 1\n[protect]\ntags = []\n"
        "[[rules]]\nid = 'prod'\ntags = ['env=prod']\nretention_days = 3653",
        "t",
    )
    denied = group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(denied, policy, NOW), Unknown)
    assert needs_tags(group(tags=None), policy, NOW)


def test_the_janitors_own_group_is_left_alone(policy: Policy) -> None:
    """By its default name, and by the one that Lambda tells."""
    told = policy.with_own_groups("/elsewhere/janitor")
    for name in ("/cloudwatch-janitor/janitor", "/elsewhere/janitor"):
        assert judge(group(name), told, NOW) == Keep("the janitor's own log group")


def test_lambda_groups_are_swept_only_with_retention_known(policy: Policy) -> None:
    """With its own retention at once, without one after it was set, under NEVER_EXPIRE never."""
    known = judge(group("/aws/lambda/f", stored_bytes=1, retention_days=14), policy, NOW)
    assert isinstance(known, SweepStreams)
    assert known.before == NOW - 21 * DAY_MS
    fresh = judge(group("/aws/lambda/f", stored_bytes=1), policy, NOW)
    assert isinstance(fresh, SetRetention)
    assert isinstance(fresh.then, SweepStreams)
    never = judge(group("/aws/lambda/f", stored_bytes=1, retention_policy="org"), policy, NOW)
    assert isinstance(never, Keep)


def test_a_policy_that_says_nothing_does_nothing() -> None:
    """What is absent is not done."""
    assert isinstance(judge(group(), parse("", "test"), NOW), Keep)


plain = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["/app/x", "/keep/x", "/aws/lambda/f", "aws/spans", "/stay/x"]),
        "days": st.sampled_from([0.5, 20, 36.9, 37.1, 371.9, 372.1, 900]),
        "stored_bytes": st.sampled_from([0, 7]),
        "retention_days": st.sampled_from([None, 1, 30, 365]),
    }
)
odd = st.fixed_dictionaries(
    {},
    optional={
        "retention_policy": st.sampled_from([None, "account"]),
        "log_class": st.sampled_from(["STANDARD", "INFREQUENT_ACCESS", "DELIVERY", "NEW"]),
        "metric_filters": st.sampled_from([0, 1]),
        "deletion_protected": st.booleans(),
        "tags": st.sampled_from([{}, {"janitor:keep": ""}, {"env": "dev"}, {"env": "prod"}]),
        "defects": st.sampled_from([(), ("storedBytes is 'x'",)]),
    },
)
fields = st.builds(lambda facts, others: facts | others, plain, st.just({}) | odd)


@given(fields, st.sampled_from(["", "sweep_streams = true", "delete_empty = false"]))
def test_the_first_line_that_does_not_hold_decides_and_is_the_reason(
    drawn: dict[str, Any], rule: str
) -> None:
    """What `explain` shows is what was decided by, put into words or not; nothing is deleted
    against any line.
    """
    policy = rules(
        '[protect]\nnames = ["/keep/*"]\n'
        '[protect.deletion]\nnames = ["/stay/*"]\ntags = ["env=prod"]\n'
        f'[[rules]]\nid = "r"\nnames = ["/aws/*"]\n{rule}\n'
    )
    of = group(**drawn)
    broken = [line for line in lines(of, policy, NOW) if not line.holds]
    brief = judge(of, policy, NOW, briefly=True)
    match decided := judge(of, policy, NOW):
        case DeleteGroup():
            assert not broken
        case Keep(reason=reason):
            assert reason.startswith(broken[0].text)
            assert isinstance(brief, Keep)
            brief = replace(brief, reason=reason)
        case SweepStreams(kept=kept):
            assert kept == broken[0].text
            assert isinstance(brief, SweepStreams)
            brief = replace(brief, kept=kept)
        case Unknown(reason=reason):
            assert (broken[0].unknown, broken[0].text) == (True, reason)
        case SetRetention():
            assert broken
    assert brief == decided


@pytest.mark.parametrize("pattern", ["re:^([a-z/-]+)+$x", "*a*a*a*a*a*a*a*a*a*a*a*x"])
def test_a_pattern_that_runs_away_does_not_hold_up_a_run(pattern: str) -> None:
    """By backtracking the first takes 2^512 steps, the second 512^11."""
    assert not file.matches(pattern, "a" * 512)


def test_a_tag_value_that_is_not_unicode_is_searched_all_the_same() -> None:
    """JSON can hold half a surrogate pair; AWS may hand on what somebody wrote."""
    assert file.has_tag("team=re:^ops", {"team": "ops\ud800"})
