"""What a log group has of its own beside retention, and the policies of the account."""

from __future__ import annotations

import json
from typing import Any

import botocore.session

from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import ACCOUNT, INVALID, MISSING, REGION, Still, add, arn


def test_resource_policy_of_a_group_goes_by_its_revision_and_has_no_name() -> None:
    """Whoever does not know the last revision changes nothing."""
    account, of = Still("/a"), {"resourceArn": arn("/a")}
    first = account.ask("put_resource_policy", "revisionId", **of, policyDocument="{}")
    for known, wanted in (
        ({}, INVALID),
        ({"expectedRevisionId": first, "policyName": "p"}, INVALID),
        ({"expectedRevisionId": first}, "[]"),
    ):
        query = "resourcePolicy.policyDocument"
        put = account.ask("put_resource_policy", query, **of, policyDocument="[]", **known)
        assert put == wanted


# ---- account-level retention policies ------------------------------------------------------------

TYPE = {"policyType": "RETENTION_POLICY"}
POLICIES = "accountPolicies[].policyName"


def put(account: Still, name: str, days: Any, mode: str = "RETROACTIVE", **more: Any) -> Any:
    said = json.dumps({"retentionInDays": days, "enforcementMode": mode})
    return account.ask("put_account_policy", policyName=name, **TYPE, policyDocument=said, **more)


def prefixes(*given: str) -> dict[str, str]:
    return {"selectionCriteria": f"LogGroupNamePrefix IN {json.dumps(given)}"}


def test_account_policies_are_bounded() -> None:
    """30 days at least, days that AWS knows, prefixes only, 20 policies a Region, a name of one's
    own; one that is not there can be neither deleted nor read, and other types have none.
    """
    account, always = Still(), "RETROACTIVE"
    for name, days, mode, more in (
        ("org", 14, always, {}),
        ("org", 31, always, {}),
        ("org", "never", always, {}),
        ("org", 30, "SOMETIMES", {}),
        ("aws/org", 30, always, {}),
        ("org", 30, always, {"selectionCriteria": 'LogGroupName NOT IN ["/a"]'}),
        ("org", 30, always, prefixes()),
    ):
        assert put(account, name, days, mode, **more) == INVALID
    said = [put(account, f"org-{number}", 30) for number in (*range(21), 19)]
    assert [one for one in said if isinstance(one, str)] == [said[20]] == ["LimitExceededException"]
    for method in ("delete_account_policy", "describe_account_policies"):
        assert account.ask(method, policyName="none", **TYPE) == MISSING
    assert account.ask("describe_account_policies", POLICIES, policyName="org-7", **TYPE) == [
        "org-7"
    ]
    others = account.ask("describe_account_policies", POLICIES, policyType="TRANSFORMER_POLICY")
    assert others == []


MODEL = botocore.session.get_session().get_service_model("logs")
DRY_RUN_RESULT = MODEL.shape_for("DryRunResult").members  # type: ignore[attr-defined]


def counts(result: Any) -> Any:
    """Of a dry run: longer, shorter, unchanged. Or the code of a refusal."""
    if isinstance(result, str):
        return result
    assert set(result["dryRunResult"]) == set(DRY_RUN_RESULT)
    kinds = ("increased", "decreased", "unchanged")
    found = tuple(result["dryRunResult"][f"{kind}RetentionLogGroupCount"] for kind in kinds)
    assert sum(found) == result["dryRunResult"]["totalMatchedLogGroups"]
    return found


def dry(account: Still, days: Any, mode: str = "RETROACTIVE") -> Any:
    """What a dry run of a policy for `/a` says."""
    return counts(put(account, "org", days, mode, dryRun=True, **prefixes("/a")))


def test_a_dry_run_says_what_would_become_of_log_groups_and_changes_nothing() -> None:
    """As if the policy were in force already, beside the others; class DELIVERY is left out; the
    list is of 20 at most, the largest first.
    """
    account = Still("/b")
    for number in range(25):
        add(account.store, f"/a/{number:02}", retention=7 if number < 3 else None, stored=number)
    add(account.store, "/a/delivery", log_class="DELIVERY")
    add(account.store, "/a/long", retention=3653)
    account.store.add_policy(ACCOUNT, REGION, "longest", None, "/a/24")
    query = "logGroups[].[logGroupName, retentionInDays, retentionPolicyName]"
    before = account.ask("describe_log_groups", query)
    cases: tuple[tuple[Any, str, Any], ...] = (
        (90, "RETROACTIVE", (3, 22, 1)),
        ("NEVER_EXPIRE", "RETROACTIVE", (4, 0, 22)),
        (90, "NEW_ONLY", (0, 0, 26)),
        (91, "RETROACTIVE", INVALID),
    )
    for days, mode, wanted in cases:
        assert dry(account, days, mode) == wanted
    listed = account.ask("describe_account_policies", POLICIES, **TYPE)
    assert listed == ["longest"]
    assert account.ask("describe_log_groups", query) == before
    put(account, "org", 90, **prefixes("/a"))
    account.time.advance(86_400)
    result = account.ask("delete_account_policy", policyName="org", **TYPE, dryRun=True)
    assert counts(result) == (22, 3, 1)
    first, *others = result["dryRunResult"]["topLogGroupsImpacted"]
    assert len(others) == 19
    assert first == {
        "logGroupName": "/a/24",
        "currentRetention": "NEVER_EXPIRE",
        "proposedRetention": "NEVER_EXPIRE",
        "storedBytes": 24,
    }
    assert account.ask("describe_account_policies", POLICIES, **TYPE) == ["longest", "org"]


def test_a_dry_run_for_new_log_groups_may_leave_out_those_there_are() -> None:
    """Whether they are in the policy's scope is not documented."""
    account = Still("/a", unknowns=Unknowns(dry_run_counts="new"))
    assert dry(account, 90, "NEW_ONLY") == (0, 0, 0)
    assert dry(account, 90) == (0, 1, 0)
