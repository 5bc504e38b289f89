"""What a log group has of its own beside retention, and the policies of the account."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import (
    ACCOUNT,
    REGION,
    add,
    arn,
    empty_store,
    flat,
    logs_of,
    pages,
    refusal,
    still,
)

NAMED = {"logGroupIdentifier": "/a"}


def test_what_a_group_has_of_its_own_is_read_as_it_was_put_until_it_is_deleted() -> None:
    """Data protection, index policy, transformer and token authentication."""
    logs = logs_of("/a")
    assert "dataProtectionStatus" not in logs.describe_log_groups()["logGroups"][0]
    logs.put_data_protection_policy(**NAMED, policyDocument='{"Name": "p"}')
    logs.put_index_policy(**NAMED, policyDocument='{"Fields": ["a"]}')
    logs.put_transformer(**NAMED, transformerConfig=[{"parseJSON": {}}])
    logs.put_bearer_token_authentication(**NAMED, bearerTokenAuthenticationEnabled=True)
    assert logs.get_data_protection_policy(**NAMED)["policyDocument"] == '{"Name": "p"}'
    [index] = logs.describe_index_policies(logGroupIdentifiers=["/a"])["indexPolicies"]
    assert (index["source"], index["policyDocument"]) == ("LOG_GROUP", '{"Fields": ["a"]}')
    assert logs.get_transformer(**NAMED)["transformerConfig"] == [{"parseJSON": {}}]
    [group] = logs.describe_log_groups()["logGroups"]
    assert group["bearerTokenAuthenticationEnabled"] is True
    assert group["dataProtectionStatus"] == "ACTIVATED"
    logs.delete_data_protection_policy(**NAMED)
    assert refusal(logs, "delete_data_protection_policy", **NAMED) == "ResourceNotFoundException"
    assert "policyDocument" not in logs.get_data_protection_policy(**NAMED)
    [group] = logs.describe_log_groups()["logGroups"]
    assert group["dataProtectionStatus"] == "DELETED"  # botocore 1.44.5, LogGroup


@pytest.mark.parametrize("nothing", ["empty", "identifier", "not found"])
def test_nothing_is_answered_in_every_way_that_aws_might(nothing: Any) -> None:
    """`{}`, the identifier alone (as asked, or the ARN), or ResourceNotFoundException."""
    store = empty_store()
    add(store, "/a")
    unknowns = Unknowns(no_data_protection=nothing, no_transformer=nothing)
    logs = still(store, unknowns=unknowns).client("logs")
    for method, identifier in (
        ("get_data_protection_policy", "/a"),
        ("get_transformer", arn("/a")),
    ):
        if nothing == "not found":
            assert refusal(logs, method, **NAMED) == "ResourceNotFoundException"
            continue
        answer = getattr(logs, method)(**NAMED)
        del answer["ResponseMetadata"]
        assert answer == ({} if nothing == "empty" else {"logGroupIdentifier": identifier})


def test_resource_policy_of_a_group_goes_by_its_revision_and_has_no_name() -> None:
    """Whoever does not know the last revision changes nothing; it goes with its group."""
    logs = logs_of("/a", "/b")
    of = {"resourceArn": arn("/a")}
    asked = of | {"policyScope": "RESOURCE"}
    first = logs.put_resource_policy(**of, policyDocument="{}")["revisionId"]
    for wrong in (of, of | {"expectedRevisionId": first, "policyName": "p"}):
        said = refusal(logs, "put_resource_policy", **wrong, policyDocument="[]")
        assert said == "InvalidParameterException"
    logs.put_resource_policy(**of, policyDocument="[]", expectedRevisionId=first)
    [policy] = logs.describe_resource_policies(**asked)["resourcePolicies"]
    assert (policy["policyDocument"], policy["resourceArn"]) == ("[]", arn("/a"))
    other = logs.describe_resource_policies(resourceArn=arn("/b"), policyScope="RESOURCE")
    assert other["resourcePolicies"] == []
    logs.delete_log_group(logGroupName="/a")
    logs.create_log_group(logGroupName="/a")
    assert logs.describe_resource_policies(**asked)["resourcePolicies"] == []


def test_syslog_configurations_are_listed_by_group_and_endpoint() -> None:
    """Log groups that a VPC endpoint writes syslog to."""
    logs = logs_of("/a", "/b", "/c")
    for group, endpoint in (("/a", "vpce-1"), ("/b", "vpce-2")):
        logs.put_syslog_configuration(logGroupIdentifier=group, vpcEndpointId=endpoint)

    def found(**by: Any) -> list[tuple[str, str]]:
        listed = flat(pages(logs.list_syslog_configurations, "syslogConfigurations", **by))
        return [(one["logGroupArn"], one["vpcEndpointId"]) for one in listed]

    assert found(maxResults=1) == [(arn("/a"), "vpce-1"), (arn("/b"), "vpce-2")]
    assert found(logGroupIdentifier="/a") == [(arn("/a"), "vpce-1")]
    assert found(vpcEndpointId="vpce-2") == [(arn("/b"), "vpce-2")]
    assert found(logGroupIdentifier=arn("/c")) == []


# ---- account-level retention policies ------------------------------------------------------------


def put(logs: Any, name: str, days: Any, mode: str = "RETROACTIVE", **more: Any) -> dict[str, Any]:
    said = json.dumps({"retentionInDays": days, "enforcementMode": mode})
    answer = logs.put_account_policy(
        policyName=name, policyType="RETENTION_POLICY", policyDocument=said, **more
    )
    return dict(answer)


def prefixes(*given: str) -> dict[str, str]:
    return {"selectionCriteria": f"LogGroupNamePrefix IN {json.dumps(given)}"}


def shown(logs: Any) -> dict[str, tuple[int | None, str | None]]:
    """Retention and policy of each group."""
    return {
        group["logGroupName"]: (group.get("retentionInDays"), group.get("retentionPolicyName"))
        for group in logs.describe_log_groups()["logGroups"]
    }


def test_new_only_spares_what_was_there() -> None:
    """The groups that are older than the policy keep their own retention."""
    clock, store = ManualClock(), empty_store()
    add(store, "/old", retention=7)
    logs = still(store, clock=clock).client("logs")
    logs.create_log_group(logGroupName="/at-once")
    put(logs, "org", 90, "NEW_ONLY")
    clock.advance(1)
    logs.create_log_group(logGroupName="/new")
    clock.advance(86_400)
    assert shown(logs) == {"/at-once": (None, None), "/new": (90, "org"), "/old": (7, None)}


def test_account_policies_are_bounded() -> None:
    """30 days at least, days that AWS knows, prefixes only, 20 policies a Region, a name of one's
    own; one that is not there cannot be deleted.
    """
    logs = still().client("logs")
    for name, days, mode, more in (
        ("org", 14, "RETROACTIVE", {}),
        ("org", 31, "RETROACTIVE", {}),
        ("org", "never", "RETROACTIVE", {}),
        ("org", 30, "SOMETIMES", {}),
        ("aws/org", 30, "RETROACTIVE", {}),
        ("org", 30, "RETROACTIVE", {"selectionCriteria": 'LogGroupName NOT IN ["/a"]'}),
        ("org", 30, "RETROACTIVE", prefixes()),
    ):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            put(logs, name, days, mode, **more)
    for number in range(20):
        put(logs, f"org-{number}", 30)
    with pytest.raises(logs.exceptions.LimitExceededException):
        put(logs, "org-20", 30)
    put(logs, "org-19", 60)
    gone = {"policyName": "none", "policyType": "RETENTION_POLICY"}
    assert refusal(logs, "delete_account_policy", **gone) == "ResourceNotFoundException"


def dry(logs: Any, days: Any, mode: str = "RETROACTIVE", **more: Any) -> Any:
    """What a dry run of a policy for `/a` says: longer, shorter, unchanged."""
    answer = put(logs, "org", days, mode, dryRun=True, **prefixes("/a"), **more)
    return _counts(answer["dryRunResult"])


def _counts(result: Any) -> tuple[int, ...]:
    assert set(result) == set(DRY_RUN_RESULT)
    kinds = ("increased", "decreased", "unchanged")
    counts = tuple(result[f"{kind}RetentionLogGroupCount"] for kind in kinds)
    assert sum(counts) == result["totalMatchedLogGroups"]
    return counts


MODEL = botocore.session.get_session().get_service_model("logs")
DRY_RUN_RESULT = MODEL.shape_for("DryRunResult").members  # type: ignore[attr-defined]


def test_a_dry_run_says_what_would_become_of_log_groups_and_changes_nothing() -> None:
    """As if the policy were in force already, beside the others; class DELIVERY is left out; the
    list is of 20 at most, the largest first.
    """
    store, clock = empty_store(), ManualClock()
    for number in range(25):
        add(store, f"/a/{number:02}", retention=7 if number < 3 else None, stored=number)
    add(store, "/a/delivery", log_class="DELIVERY")
    add(store, "/a/long", retention=3653)
    add(store, "/b")
    store.add_policy(ACCOUNT, REGION, "longest", None, "/a/24")
    logs = still(store, clock=clock).client("logs")
    before = shown(logs)
    assert dry(logs, 90) == (3, 22, 1)
    assert dry(logs, "NEVER_EXPIRE") == (4, 0, 22)
    assert dry(logs, 90, "NEW_ONLY") == (0, 0, 26)
    with pytest.raises(logs.exceptions.InvalidParameterException):
        dry(logs, 91)
    assert (shown(logs), listed(logs)) == (before, ["longest"])
    put(logs, "org", 90, **prefixes("/a"))
    gone = {"policyName": "org", "policyType": "RETENTION_POLICY", "dryRun": True}
    clock.advance(86_400)
    result = logs.delete_account_policy(**gone)["dryRunResult"]
    assert _counts(result) == (22, 3, 1)
    first = result["topLogGroupsImpacted"][0]
    assert len(result["topLogGroupsImpacted"]) == 20
    assert first == {
        "logGroupName": "/a/24",
        "currentRetention": "NEVER_EXPIRE",
        "proposedRetention": "NEVER_EXPIRE",
        "storedBytes": 24,
    }
    assert listed(logs) == ["longest", "org"]


def test_a_dry_run_for_new_log_groups_may_leave_out_those_there_are() -> None:
    """Whether they are in the policy's scope is not documented."""
    store = empty_store()
    add(store, "/a")
    logs = still(store, unknowns=Unknowns(dry_run_counts="new")).client("logs")
    assert dry(logs, 90, "NEW_ONLY") == (0, 0, 0)
    assert dry(logs, 90) == (0, 1, 0)


def listed(logs: Any, **more: Any) -> list[str]:
    """The names of the retention policies that there are."""
    listing = logs.describe_account_policies
    found = flat(pages(listing, "accountPolicies", policyType="RETENTION_POLICY", **more))
    return [str(one["policyName"]) for one in found]


def test_policies_are_listed_as_they_were_put() -> None:
    """In pages, those of one type; one that is asked for by name and is not there is not found."""
    logs = still(page=2).client("logs")
    for name in "abc":
        put(logs, name, 90, **prefixes("/a", "/b"))
    put(logs, "all", "NEVER_EXPIRE")
    assert listed(logs) == ["a", "b", "c", "all"]
    [one] = logs.describe_account_policies(policyType="RETENTION_POLICY", policyName="a")[
        "accountPolicies"
    ]
    assert json.loads(one["policyDocument"]) == {
        "retentionInDays": 90,
        "enforcementMode": "RETROACTIVE",
    }
    assert one["selectionCriteria"] == 'LogGroupNamePrefix IN ["/a", "/b"]'
    assert logs.describe_account_policies(policyType="TRANSFORMER_POLICY")["accountPolicies"] == []
    none = {"policyType": "RETENTION_POLICY", "policyName": "none"}
    assert refusal(logs, "describe_account_policies", **none) == "ResourceNotFoundException"
