"""A log group's own policies, and the retention policies of the account."""

from __future__ import annotations

import json
from typing import Any

import botocore.session

from tests.sandbox.asking import ACCOUNT, INVALID, MISSING, REGION, Still, add, arn

BY_ARN = {"resourceArn": arn("/a")}


def test_resource_policy_of_a_group_goes_by_its_revision_and_has_no_name() -> None:
    """A caller who does not know the last revision changes nothing."""
    account, query = Still("/a"), "resourcePolicy.policyDocument"
    first = account.ask("put_resource_policy", "revisionId", **BY_ARN, policyDocument="{}")
    for known, wanted in (
        ({}, INVALID),
        ({"expectedRevisionId": first, "policyName": "p"}, INVALID),
        ({"expectedRevisionId": first}, "[]"),
    ):
        put = account.ask("put_resource_policy", query, **BY_ARN, policyDocument="[]", **known)
        assert put == wanted
    query, asked = "resourcePolicies[].[policyDocument, resourceArn]", {"policyScope": "RESOURCE"}
    found = account.ask("describe_resource_policies", query, **BY_ARN, **asked)
    assert found == [["[]", arn("/a")]]


def test_deleted_data_protection_policy_was_there_once() -> None:
    """Its status is DELETED, unlike that of a group that never had one; a key leaves nothing."""
    account, a = Still("/a"), {"logGroupIdentifier": "/a"}
    account.do("associate_kms_key", logGroupName="/a", kmsKeyId="arn:aws:kms:x")
    account.do("put_data_protection_policy", **a, policyDocument="{}")
    query = "logGroups[].[dataProtectionStatus, kmsKeyId]"
    assert account.ask("describe_log_groups", query) == [["ACTIVATED", "arn:aws:kms:x"]]
    account.do("disassociate_kms_key", logGroupName="/a")
    account.do("delete_data_protection_policy", **a)
    assert account.ask("describe_log_groups", query) == [["DELETED", None]]
    assert account.ask("get_data_protection_policy", "policyDocument", **a) is None
    assert account.ask("delete_data_protection_policy", **a) == MISSING


def test_index_policy_and_transformer_can_be_deleted() -> None:
    """As Terraform's provider does before it deletes their log group."""
    account, a = Still("/a"), {"logGroupIdentifier": "/a"}
    account.do("put_index_policy", **a, policyDocument="{}")
    account.do("put_transformer", **a, transformerConfig=[{"parseJSON": {}}])
    asked = "describe_index_policies", "indexPolicies[].policyDocument"
    assert account.ask(*asked, logGroupIdentifiers=["/a"]) == ["{}"]
    account.do("delete_index_policy", **a)
    account.do("delete_transformer", **a)
    assert account.ask(*asked, logGroupIdentifiers=["/a"]) == []
    assert account.ask("get_transformer", **a) == MISSING


# ---- account-level retention policies ------------------------------------------------------------

TYPE = {"policyType": "RETENTION_POLICY"}
POLICIES = "accountPolicies[].policyName"


def put(account: Still, name: str, days: Any, mode: str = "RETROACTIVE", **more: Any) -> Any:
    document = json.dumps({"retentionInDays": days, "enforcementMode": mode})
    return account.ask(
        "put_account_policy", policyName=name, **TYPE, policyDocument=document, **more
    )


def prefixes(*given: str) -> dict[str, str]:
    return {"selectionCriteria": f"LogGroupNamePrefix IN {json.dumps(given)}"}


def test_account_policies_are_bounded() -> None:
    """Days must be at least 30 and known to AWS, scopes prefixes, names not AWS's; a Region has at
    most 20. A policy that does not exist can be neither deleted nor read; other types have none.
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
    outcomes = [put(account, f"org-{number}", 30) for number in (*range(21), 19)]
    assert (
        [one for one in outcomes if isinstance(one, str)]
        == [outcomes[20]]
        == ["LimitExceededException"]
    )
    for method in ("delete_account_policy", "describe_account_policies"):
        assert account.ask(method, policyName="none", **TYPE) == MISSING
    described = "describe_account_policies", POLICIES
    assert account.ask(*described, policyName="org-7", **TYPE) == ["org-7"]
    assert account.ask(*described, policyType="TRANSFORMER_POLICY") == []


MODEL = botocore.session.get_session().get_service_model("logs")
DRY_RUN_RESULT = MODEL.shape_for("DryRunResult").members  # type: ignore[attr-defined]


def counts(result: Any) -> Any:
    """How many a dry run finds longer, shorter and unchanged; or the error code."""
    if isinstance(result, str):
        return result
    assert set(result["dryRunResult"]) == set(DRY_RUN_RESULT)
    kinds = ("increased", "decreased", "unchanged")
    found = tuple(result["dryRunResult"][f"{kind}RetentionLogGroupCount"] for kind in kinds)
    assert sum(found) == result["dryRunResult"]["totalMatchedLogGroups"]
    return found


def dry(account: Still, days: Any, mode: str = "RETROACTIVE") -> Any:
    """The counts of a dry run of a policy for `/a`."""
    return counts(put(account, "org", days, mode, dryRun=True, **prefixes("/a")))


def test_a_dry_run_counts_what_would_change_and_changes_nothing() -> None:
    """As if the policy were in force beside the others. Class DELIVERY is left out; at most 20
    groups are listed, the largest first.
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
    assert account.ask("describe_account_policies", POLICIES, **TYPE) == ["longest"]
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
