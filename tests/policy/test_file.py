"""The policy file: what is accepted, and what it allows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import PolicyError
from janitor.function.iam import iam_policy
from janitor.policy.file import RETENTION_DAYS, Policy, json_schema, load, parse
from janitor.policy.patterns import matches


def test_the_shipped_policy_gives_every_log_group_twelve_months(policy: Policy) -> None:
    """It shortens no retention, and leaves Control Tower's own log groups alone."""
    for scope in (policy.defaults, *policy.rules):
        assert (scope.min_days, scope.max_days) == (None, None)
    assert policy.defaults.retention_days == 365
    assert {rule.retention_days for rule in policy.rules} == {None}
    for name in ("aws-controltower/CloudTrailLogs", "/aws/lambda/aws-controltower-Notifier"):
        assert any(matches(pattern, name) for pattern in policy.protect.names)


def test_the_documented_examples_are_accepted() -> None:
    """Readers copy them from docs/policy.md."""
    text = Path(__file__).parents[2].joinpath("docs", "policy.md").read_text()
    policies = [parse(example, "t") for example in re.findall(r"```toml\n(.*?)```", text, re.S)]
    assert policies[0].rules[0].sweep_streams is True
    ids = [rule.id for policy in policies for rule in policy.rules]
    assert ids == ["development", "orphans", "quiet"]


def test_what_policy_show_prints_is_the_same_policy(policy: Policy) -> None:
    """The printed policy has every default filled in and loses nothing."""
    shown = tomli_w.dumps(policy.model_dump(mode="json", exclude_none=True))
    assert parse(shown, "test").digest() == policy.digest()


def test_a_file_that_cannot_be_read_is_a_policy_error(tmp_path: Path) -> None:
    """The file may be missing, a folder, or not text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "binary"):
        with pytest.raises(PolicyError):
            load(path)


toml_values = st.recursive(
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("defaults", "protect", "limits", "rules", "quotas", "id", "names", "tags"),
                    *("retention_days", "min_days", "max_days", "delete_empty", "grace_days"),
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def parsed(text: str) -> Policy | None:
    """Return the policy, or None if the loader names a problem; any other error fails the test."""
    try:
        return parse(text, "t")
    except PolicyError as error:
        return None if error.problems else parse(text, "t")


@given(st.text())
def test_any_text_is_a_policy_or_a_policy_error(text: str) -> None:
    """The loader raises no other error."""
    parsed(text)


@given(
    st.dictionaries(
        st.sampled_from(["defaults", "protect", "limits", "rules", "quotas", "x"]), toml_values
    )
)
def test_any_toml_is_a_policy_or_a_policy_error(raw: dict[str, object]) -> None:
    """A policy that is accepted has only retentions that AWS accepts."""
    policy = parsed(tomli_w.dumps(raw))
    if policy is None:
        return
    for scope in (policy.defaults, *policy.rules):
        for days in (scope.retention_days, scope.min_days, scope.max_days):
            assert days is None or days in RETENTION_DAYS


def test_the_schema_contains_what_is_accepted() -> None:
    """An editor can flag unknown keys and wrong days."""
    schema = json_schema()
    defaults = schema["$defs"]["Defaults"]
    assert defaults["additionalProperties"] is False
    assert str(list(RETENTION_DAYS)) in json.dumps(defaults)


def test_the_digest_covers_rules_and_limits_but_not_the_pace() -> None:
    """A plan may be applied at another pace, but not under other rules."""
    assert parse("[limits]\napi_share = 0.1", "a").digest() == parse("", "b").digest()
    assert parse("[defaults]\ngrace_days = 8", "a").digest() != parse("", "b").digest()
    limits = (
        "max_group_deletions = 9",
        "max_group_deletion_share = 0.9",
        "max_stream_deletions = 9",
    )
    digests = {parse(f"[limits]\n{limit}", "a").digest() for limit in ("", *limits)}
    assert len(digests) == 4


def actions(policy: Policy, effect: str = "Allow") -> set[str]:
    """Return the actions that the policy's IAM policy allows (or denies)."""
    statements = iam_policy(policy)["Statement"]
    return {act for s in statements if s["Effect"] == effect for act in s["Action"]}


def test_the_iam_policy_is_no_more_than_the_policy_needs(policy: Policy) -> None:
    """Deletion needs delete_empty, and reading logs needs proof by events."""
    assert "logs:FilterLogEvents" not in actions(policy)
    assert {"logs:DeleteLogGroup", "logs:DeleteLogStream"} <= actions(policy)
    retention_only = parse("[defaults]\nretention_days = 30\n[protect]\ntags = []", "t")
    assert actions(retention_only) == {
        "logs:DescribeLogGroups",
        "logs:PutRetentionPolicy",
        "ec2:DescribeRegions",
        "servicequotas:ListServiceQuotas",
    }
    assert "tag:GetResources" in actions(parse("[defaults]\ndelete_empty = true", "t"))
    none = "[protect]\ntags = []\n[protect.deletion]\ntags = []"
    untagged = parse(f"[defaults]\ndelete_empty = true\n{none}", "t")
    assert "tag:GetResources" not in actions(untagged)
    assert "logs:FilterLogEvents" in actions(
        parse('[defaults]\ndelete_empty = true\nproof = "events"', "t")
    )


def test_ingestion_needs_only_two_more_actions() -> None:
    """They read the metric, and the subscription filters of the largest groups."""
    retention_only = parse("[defaults]\nretention_days = 30", "t")
    document = iam_policy(retention_only, ingestion=True)
    allowed = [s["Action"] for s in document["Statement"] if s["Effect"] == "Allow"]
    assert set().union(*allowed) - actions(retention_only) == {
        "cloudwatch:GetMetricData",
        "logs:DescribeSubscriptionFilters",
    }


def test_the_iam_policy_denies_changes_to_the_janitors_own_group(policy: Policy) -> None:
    """The denial overrides whatever else is allowed."""
    assert "logs:DeleteLogGroup" in actions(policy, "Deny")


def test_a_rules_conditions_add_their_actions_to_the_iam_policy() -> None:
    """orphan_days adds owners and the metric, quiet_days only the metric, names neither."""
    needed = {}
    for condition in ("orphan_days = 30", "quiet_days = 30", 'names = ["/x"]'):
        text = f'[[rules]]\nid = "r"\n{condition}\nretention_days = 30'
        statements = iam_policy(parse(text, "t"))["Statement"]
        needed[condition] = {action for s in statements for action in s["Action"]}
    owners, metric = "rds:DescribeDBInstances", "cloudwatch:GetMetricData"
    assert {owners, metric} <= needed["orphan_days = 30"]
    assert needed["quiet_days = 30"] & {owners, metric} == {metric}
    assert not needed['names = ["/x"]'] & {owners, metric}
