"""CloudWatch Logs: what a log group has of its own (data protection, index, transformer), resource
policies and syslog configurations.
"""

from __future__ import annotations

import json
from typing import Any

from janitor.sandbox.answers.logs import invalid
from janitor.sandbox.store import arn_of, name_of
from janitor.sandbox.unknowns import Nothing
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World


def document(call: Call) -> tuple[str, Any]:
    """The policyDocument as it was sent, and what it says. Raises RefusedError if it is no JSON."""
    text = str(call.parameters.get("policyDocument"))
    try:
        return text, json.loads(text)
    except ValueError as error:
        raise invalid(f"policyDocument: {error}") from error


def _none(nothing: Nothing, identifier: str) -> dict[str, Any]:
    """The answer for a group that has none of what was asked for."""
    if nothing == "not found":
        raise RefusedError("ResourceNotFoundException", "The specified resource does not exist.")
    return {} if nothing == "empty" else {"logGroupIdentifier": identifier}


def get_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    """The identifier is the one that was asked with (botocore 1.44.5)."""
    group, asked = world.group(call), str(call.parameters["logGroupIdentifier"])
    if group.data_protection is None:
        return _none(world.unknowns.no_data_protection, asked)
    return {"logGroupIdentifier": asked, "policyDocument": group.data_protection}


def put_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.data_protection, _ = document(call)
    return {"logGroupIdentifier": group.name, "policyDocument": group.data_protection}


def delete_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if group.data_protection is None:
        _none("not found", group.name)
    group.data_protection, group.protection_status = None, "DELETED"
    return {}


def describe_index_policies(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    own = {"logGroupIdentifier": group.arn, "source": "LOG_GROUP", "policyDocument": group.index}
    found = [] if group.index is None else [own]
    return world.page_of(call, "indexPolicies", found, ("limit", 50, 50))


def put_index_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.index, _ = document(call)
    return {"indexPolicy": {"logGroupIdentifier": group.arn, "policyDocument": group.index}}


def delete_index_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if group.index is None:
        _none("not found", group.name)
    group.index = None
    return {}


def get_transformer(world: World, call: Call) -> dict[str, Any]:
    """The identifier is the group's ARN (botocore 1.44.5)."""
    group = world.group(call)
    if not group.transformer:
        return _none(world.unknowns.no_transformer, group.arn)
    return {"logGroupIdentifier": group.arn, "transformerConfig": group.transformer}


def put_transformer(world: World, call: Call) -> dict[str, Any]:
    world.group(call).transformer = list(call.parameters["transformerConfig"])
    return {}


def delete_transformer(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if not group.transformer:
        _none("not found", group.name)
    group.transformer = []
    return {}


# ---- resource policies and syslog ----------------------------------------------------------------


def put_resource_policy(world: World, call: Call) -> dict[str, Any]:
    """At most 10 of the account, and one of each log group, which is changed only by who knows its
    revision (botocore 1.44.5; texts and code as LocalStack recorded them of AWS).
    """
    p, policies = call.parameters, world.region(call).resource_policies
    name, arn = p.get("policyName"), p.get("resourceArn")
    if not name:
        raise invalid("policyName is required")
    text, _ = document(call)
    key = ("", arn) if arn else (str(name), None)
    if arn:
        _attached(world, call, arn)
    elif key not in policies and sum(one is None for _, one in policies) >= 10:
        raise RefusedError("LimitExceededException", "Resource limit exceeded.")
    policy = {"policyName": name, "policyDocument": text, "lastUpdatedTime": world.clock.now()}
    policy["policyScope"] = "RESOURCE" if arn else "ACCOUNT"
    revision = {}
    if arn:
        world.tokens += 1
        revision = {"revisionId": str(world.tokens)}
        policy |= {"resourceArn": arn} | revision
    policies[key] = policy
    return {"resourcePolicy": policy} | revision


def _attached(world: World, call: Call, arn: str) -> dict[str, Any] | None:
    """The policy of that log group, if the caller knows its revision. Raises RefusedError."""
    if arn != arn_of(call.account, call.region, name_of(arn)) or name_of(arn) not in world.region(
        call
    ):
        raise RefusedError("ResourceNotFoundException", "The specified log group does not exist.")
    policy = world.region(call).resource_policies.get(("", arn))
    known = call.parameters.get("expectedRevisionId")
    if (None if policy is None else policy["revisionId"]) != known:
        raise invalid("expectedRevisionId does not match")
    return policy


def describe_resource_policies(world: World, call: Call) -> dict[str, Any]:
    """Those of the account, unless those of log groups are asked for (botocore 1.44.5)."""
    arn, scope = call.parameters.get("resourceArn"), call.parameters.get("policyScope", "ACCOUNT")
    found = [
        policy
        for (_, of), policy in world.region(call).resource_policies.items()
        if (of == arn if arn else policy["policyScope"] == scope)
    ]
    return world.page_of(call, "resourcePolicies", found, ("limit", 50, 50))


def delete_resource_policy(world: World, call: Call) -> dict[str, Any]:
    policies = world.region(call).resource_policies
    name, arn = str(call.parameters.get("policyName")), call.parameters.get("resourceArn")
    if arn and _attached(world, call, arn) is not None:
        del policies["", arn]
    elif policies.pop((name, None), None) is None:
        said = f"Policy with name [{name}] does not exist."
        raise RefusedError("ResourceNotFoundException", said)
    return {}


def list_syslog_configurations(world: World, call: Call) -> dict[str, Any]:
    p, group = call.parameters, world.group(call) if call.group else None
    found = [
        one
        for one in world.region(call).syslog
        if (group is None or one["logGroupArn"] == group.arn)
        and p.get("vpcEndpointId") in (None, one["vpcEndpointId"])
    ]
    return world.page_of(call, "syslogConfigurations", found, ("maxResults", 50, 50))


CALLS: dict[tuple[str, str], Handler] = {
    ("logs", "GetDataProtectionPolicy"): get_data_protection_policy,
    ("logs", "PutDataProtectionPolicy"): put_data_protection_policy,
    ("logs", "DeleteDataProtectionPolicy"): delete_data_protection_policy,
    ("logs", "DescribeIndexPolicies"): describe_index_policies,
    ("logs", "PutIndexPolicy"): put_index_policy,
    ("logs", "DeleteIndexPolicy"): delete_index_policy,
    ("logs", "GetTransformer"): get_transformer,
    ("logs", "PutTransformer"): put_transformer,
    ("logs", "DeleteTransformer"): delete_transformer,
    ("logs", "PutResourcePolicy"): put_resource_policy,
    ("logs", "DescribeResourcePolicies"): describe_resource_policies,
    ("logs", "DeleteResourcePolicy"): delete_resource_policy,
    ("logs", "ListSyslogConfigurations"): list_syslog_configurations,
}
