"""The judge, with every boundary. It is pure, so no account is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.clock import DAY_MS
from janitor.core.model import (
    OWNER_GONE,
    Answer,
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    Question,
    SetRetention,
    SweepStreams,
    Target,
    Unknown,
)
from janitor.policy.file import CONDITIONS, Policy, parse
from janitor.policy.judge import cutoff, judge, lines, needs_tags
from tests.accounts import NOW

TARGET = Target("123456789012", "eu-west-1")


def group(name: str = "/app/x", days: float = 900, **fields: Any) -> LogGroup:
    """Return a group that is `days` old, empty and without tags, unless `fields` say otherwise."""
    fields = {"stored_bytes": 0, "tags": {}, **fields}
    return LogGroup(TARGET, name, f"arn:{name}", NOW - int(days * DAY_MS), **fields)


def rules(text: str) -> Policy:
    """Return a policy that deletes empty groups, followed by `text`."""
    return parse(f"[defaults]\nretention_days = 365\ndelete_empty = true\n{text}", "test")


def test_a_group_without_retention_gets_the_rules_days(policy: Policy) -> None:
    """The reason names the rule."""
    action = judge(group(stored_bytes=1), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.days, action.rule) == (365, "defaults")
    assert "'defaults' sets 365 days" in action.reason


def test_the_first_matching_rule_wins() -> None:
    """Two rules match, and the one that comes first decides."""
    policy = rules(
        '[[rules]]\nid = "a"\nnames = ["/app/*"]\nretention_days = 7\n'
        '[[rules]]\nid = "b"\nnames = ["/app/x"]\nretention_days = 14\n'
    )
    action = judge(group(stored_bytes=1), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.rule, action.days) == ("a", 7)


CONDITION_HOLDS = {
    'names = ["/app"]': False,
    'names = ["/APP/*"]': False,
    'names = ["re:^/app/[xy]$"]': True,
    'classes = ["STANDARD"]': True,
    'classes = ["INFREQUENT_ACCESS"]': False,
    'regions = ["eu-*"]': True,
    'regions = ["us-*"]': False,
    'tags = ["env=dev*"]': True,
    'tags = ["env"]': True,
    'tags = ["env=prod", "team"]': False,
    'names = ["/app/*"]\nregions = ["us-*"]': False,
    "quiet_days = 9": False,
    "orphan_days = 9": False,
}


@pytest.mark.parametrize(("condition", "matches"), CONDITION_HOLDS.items())
def test_all_conditions_of_a_rule_must_hold(condition: str, matches: bool) -> None:
    """Globs match the whole name and its case, and one entry of a list is enough."""
    policy = rules(f'[[rules]]\nid = "r"\n{condition}\nretention_days = 7\n')
    no = Answer(False, Evidence("test", "no", NOW))
    answers = {OWNER_GONE: no, Question("arrivals", 9): no}
    action = judge(group(stored_bytes=1, tags={"env": "dev-1"}, answers=answers), policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.rule == "r") is matches


def test_no_condition_is_left_out_above() -> None:
    """A rule with a condition that nothing evaluates would match every log group."""
    fail = {text.split(" = ")[0] for text, matches in CONDITION_HOLDS.items() if not matches}
    assert fail == {*CONDITIONS}


@pytest.mark.parametrize(
    ("days", "expected", "reason"),
    [
        (30, 60, "retention of 30 days is below min_days 60 of rule 'defaults'"),
        (60, None, "retention of 60 days"),
        (365, None, "retention of 365 days"),
        (400, None, "retention of 400 days"),
        (731, 400, "retention of 731 days is above max_days 400 of rule 'defaults'"),
    ],
)
def test_retention_outside_the_band_moves_to_its_edge(
    days: int, expected: int | None, reason: str
) -> None:
    """Within the band, boundaries included, nothing is changed."""
    policy = parse("[defaults]\nmin_days = 60\nmax_days = 400\nretention_days = 90", "test")
    action = judge(group(stored_bytes=1, retention_days=days), policy, NOW)
    assert (action.days if isinstance(action, SetRetention) else None) == expected
    assert action.reason.endswith(reason)


@pytest.mark.parametrize("days", [None, 30, 3653])
def test_an_account_level_policy_is_never_overridden(days: int | None) -> None:
    """PutRetentionPolicy would succeed and change nothing."""
    policy = parse("[defaults]\nretention_days = 90\nmin_days = 60\nmax_days = 400", "test")
    action = judge(group(stored_bytes=1, retention_policy="org", retention_days=days), policy, NOW)
    assert isinstance(action, Keep)


def test_an_empty_group_under_never_expire_is_kept_with_that_reason(policy: Policy) -> None:
    """A missing retentionInDays may be somebody's decision."""
    action = judge(group(retention_policy="org"), policy, NOW)
    assert isinstance(action, Keep)
    assert "NEVER_EXPIRE" in action.reason


def test_an_empty_group_under_an_account_level_policy_with_days_is_deleted(policy: Policy) -> None:
    """The policy's days are the retention in force."""
    action = judge(group(retention_policy="org", retention_days=90), policy, NOW)
    assert isinstance(action, DeleteGroup)
    assert action.before == NOW - 97 * DAY_MS


@pytest.mark.parametrize(("excess", "deleted"), [(-1, False), (0, False), (1, True)])
def test_age_at_its_exact_boundary(excess: int, deleted: bool, policy: Policy) -> None:
    """A group that is exactly as old as retention + grace is kept."""
    created = NOW - 37 * DAY_MS - excess
    action = judge(group(retention_days=30)._replace(creation_time=created), policy, NOW)
    assert isinstance(action, DeleteGroup) is deleted


def test_the_cutoff_uses_the_longer_retention() -> None:
    """A band that lowers the retention does not make events deletable that can still be read."""
    banded = parse("[defaults]\nretention_days = 30\nmax_days = 30\ndelete_empty = true", "test")
    lowered = group(retention_days=365)
    settings = banded.settings_for(lowered)
    assert settings is not None
    assert cutoff(lowered, settings, NOW) == NOW - 372 * DAY_MS


def test_protection_by_name_or_tag_exempts_from_every_change() -> None:
    """That includes setting retention, which deletes data too."""
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


def test_a_protected_group_is_kept_whatever_else_is_true_of_it() -> None:
    """Odd values, an unknown class or unread tags do not make it unknown."""
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
    assert not needs_tags(nameless, policy, NOW), "it would fail the call for all other groups too"


ONLY_AWS = "starts with aws/: only AWS could create the log group again"
PROTECTED = {
    "name": (group("/kept/x"), "protected from deletion by name: /kept/*"),
    "tag": (group(tags={"aws:cloudformation:stack-name": "s"}), "protected from deletion by tag"),
    "reserved": (group("aws/spans"), ONLY_AWS),
    "in capitals": (group("AWS/x"), ONLY_AWS),
}


@pytest.mark.parametrize(("protected", "reason"), PROTECTED.values(), ids=PROTECTED.keys())
@pytest.mark.parametrize("sweeps", ["false", "true"])
def test_a_group_protected_only_from_deletion_gets_its_retention_and_is_swept(
    protected: LogGroup, reason: str, sweeps: str
) -> None:
    """The reason says why it is not deleted, though nothing else prevents that."""
    policy = rules(f'sweep_streams = {sweeps}\n[protect.deletion]\nnames = ["/kept/*"]')
    action = judge(protected, policy, NOW)
    assert isinstance(action, SetRetention)
    assert (action.days, action.then is not None) == (365, sweeps == "true")
    rule, why = action.reason.split("; kept: ")
    assert rule.endswith("sets 365 days")
    assert reason in why
    kept = judge(protected._replace(retention_days=30), policy, NOW)
    assert isinstance(kept, SweepStreams if sweeps == "true" else Keep)
    assert reason in (kept.kept if isinstance(kept, SweepStreams) else kept.reason)


def test_unreadable_tags_that_only_prevent_deletion_still_allow_setting_retention() -> None:
    """A group that has a retention already, and may be empty, is unknown."""
    policy = rules("[protect]\ntags = []")
    unread, denied = group(tags=None), group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(unread, policy, NOW), Unknown)
    assert needs_tags(unread, policy, NOW)
    action = judge(denied, policy, NOW)
    assert isinstance(action, SetRetention)
    assert action.reason.endswith("; kept: tags could not be read: AccessDenied")
    assert isinstance(judge(denied._replace(retention_days=30), policy, NOW), Unknown)
    full = group(tags=None, stored_bytes=5)
    assert isinstance(judge(full, policy, NOW), SetRetention), "whatever its tags are"
    without = rules("[protect]\ntags = []\n[protect.deletion]\ntags = []")
    assert isinstance(judge(unread, without, NOW), DeleteGroup)


def test_a_group_whose_tags_were_not_read_is_unknown_if_they_matter(policy: Policy) -> None:
    """Tags that were not requested, or were denied, are not the same as no tags."""
    unread = group(tags=None)
    denied = group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(unread, policy, NOW), Unknown)
    assert isinstance(judge(denied, policy, NOW), Unknown)
    assert needs_tags(unread, policy, NOW)
    assert not needs_tags(denied, policy, NOW)
    assert not needs_tags(group(tags=None, stored_bytes=5, retention_days=30), policy, NOW)


def test_a_rule_with_tags_is_not_skipped_if_tags_were_not_read() -> None:
    """The rule may be the group's, so no later rule applies, even if no tag protects."""
    policy = parse(
        "[defaults]\nretention_days = 1\n[protect]\ntags = []\n"
        "[[rules]]\nid = 'prod'\ntags = ['env=prod']\nretention_days = 3653",
        "t",
    )
    denied = group(tags=None, tags_error="AccessDenied")
    assert isinstance(judge(denied, policy, NOW), Unknown)
    assert needs_tags(group(tags=None), policy, NOW)


def test_the_janitors_own_group_is_left_alone(policy: Policy) -> None:
    """Both its default name and the one that Lambda passes to the function count."""
    deployed = policy.with_own_groups("/elsewhere/janitor")
    for name in ("/cloudwatch-janitor/janitor", "/elsewhere/janitor"):
        assert judge(group(name), deployed, NOW) == Keep("the janitor's own log group")


def test_a_lambda_group_is_swept_only_if_its_retention_is_known(policy: Policy) -> None:
    """It is swept at once under its own retention, after one is set, never under NEVER_EXPIRE."""
    known = judge(group("/aws/lambda/f", stored_bytes=1, retention_days=14), policy, NOW)
    assert isinstance(known, SweepStreams)
    assert known.before == NOW - 21 * DAY_MS
    fresh = judge(group("/aws/lambda/f", stored_bytes=1), policy, NOW)
    assert isinstance(fresh, SetRetention)
    assert isinstance(fresh.then, SweepStreams)
    never = judge(group("/aws/lambda/f", stored_bytes=1, retention_policy="org"), policy, NOW)
    assert isinstance(never, Keep)


def test_an_empty_policy_does_nothing() -> None:
    """What is left out is not done."""
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
def test_the_first_condition_that_fails_decides_and_is_the_reason(
    drawn: dict[str, Any], rule: str
) -> None:
    """The action, brief or not, agrees with the conditions that `explain` shows."""
    policy = rules(
        '[protect]\nnames = ["/keep/*"]\n'
        '[protect.deletion]\nnames = ["/stay/*"]\ntags = ["env=prod"]\n'
        f'[[rules]]\nid = "r"\nnames = ["/aws/*"]\n{rule}\n'
    )
    of = group(**drawn)
    failed = [line for line in lines(of, policy, NOW) if not line.holds]
    brief = judge(of, policy, NOW, briefly=True)
    match action := judge(of, policy, NOW):
        case DeleteGroup():
            assert not failed
        case Keep(reason=reason):
            assert reason.startswith(failed[0].text)
            assert isinstance(brief, Keep)
            brief = replace(brief, reason=reason)
        case SweepStreams(kept=kept):
            assert kept == failed[0].text
            assert isinstance(brief, SweepStreams)
            brief = replace(brief, kept=kept)
        case Unknown(reason=reason):
            assert (failed[0].unknown, failed[0].text) == (True, reason)
        case SetRetention():
            assert failed
    assert brief == action
