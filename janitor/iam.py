"""The least IAM policy for a policy file, from the actions declared beside the calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from janitor import logs, owners, tags, targets
from janitor.policy import Defaults, Policy, Rule

LOG_GROUPS = "arn:aws:logs:*:*:log-group:*"


def iam_policy(policy: Policy) -> dict[str, Any]:
    """An IAM policy document. Changes are scoped to log groups; IAM knows no scope for lists.

    GetCallerIdentity, which names the account, needs no permission.
    """
    scopes: list[Defaults | Rule] = [policy.defaults, *policy.rules]
    delete = any(scope.delete_empty for scope in scopes)
    sweep = any(scope.sweep_streams for scope in scopes)
    retain = any(scope.retention_days or scope.min_days or scope.max_days for scope in scopes)
    events = any(scope.proof == "events" for scope in scopes)
    acts = logs.ACTIONS
    listing = {acts["DescribeLogGroups"], targets.ACTIONS["DescribeRegions"]}
    reading: set[str] = set()
    changing: set[str] = set()
    if policy.protect.tags or policy.rules_need_tags:
        listing.add(tags.ACTIONS["GetResources"])
    if delete:
        listing.add(acts["GetMetricData"])
        reading |= {acts["DescribeLogStreams"], acts["DescribeSubscriptionFilters"]}
        changing.add(acts["DeleteLogGroup"])
        if policy.protect.live_owners:
            listing.add(owners.ACTIONS["ListFunctions"])
    if sweep:
        reading.add(acts["DescribeLogStreams"])
        changing.add(acts["DeleteLogStream"])
    if events and (delete or sweep):
        reading.add(acts["FilterLogEvents"])
    if retain:
        changing.add(acts["PutRetentionPolicy"])
    own = [
        f"arn:aws:logs:*:*:log-group:{name}{end}"
        for name in policy.protect.own_groups
        for end in ("", ":*")
    ]
    statements = [
        _statement("List", "Allow", listing, ["*"]),
        _statement("Read", "Allow", reading, [LOG_GROUPS]),
        _statement("Change", "Allow", changing, [LOG_GROUPS]),
        _statement("SpareTheJanitor", "Deny", changing if own else (), own),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [statement for statement in statements if statement["Action"]],
    }


def _statement(
    sid: str, effect: str, actions: Iterable[str], resources: list[str]
) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Action": sorted(actions), "Resource": resources}
