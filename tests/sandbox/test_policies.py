"""What a log group has of its own beside retention, and the policies of the account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.unknowns import Unknowns
from tests.sandbox.asking import (
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
