"""CloudWatch Logs: a log group's data protection policy, index policy, transformer, resource policy
and syslog configurations.
"""

from __future__ import annotations

import zlib
from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.unknowns import Nothing
from janitor.sandbox.wire import Call
from janitor.sandbox.world import World, document, invalid, missing, unheeded


def _none(nothing: Nothing, identifier: str) -> dict[str, Any]:
    """The answer for a group that has none. Raises RefusedError."""
    if nothing == "not found":
        raise missing("resource")
    return {} if nothing == "empty" else {"logGroupIdentifier": identifier}


def get_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    """The identifier in the answer is the one in the request (botocore 1.44.5)."""
    group, asked = world.group(call), str(call.parameters["logGroupIdentifier"])
    if not group.data_protection:
        return _none(world.unknowns.no_data_protection, asked)
    return {"logGroupIdentifier": asked, "policyDocument": group.data_protection}


def put_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.data_protection, _ = document(call)
    return {"logGroupIdentifier": group.name, "policyDocument": group.data_protection}


def delete_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if not group.data_protection:
        raise missing("resource")
    group.data_protection = ""
    return {}


def describe_index_policies(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    own = {"logGroupIdentifier": group.arn, "source": "LOG_GROUP", "policyDocument": group.index}
    found = [] if group.index is None else [own]
    return world.page_of(call, "indexPolicies", found, ("limit", 50))


def put_index_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.index, _ = document(call)
    return {"indexPolicy": {"logGroupIdentifier": group.arn, "policyDocument": group.index}}


def get_transformer(world: World, call: Call) -> dict[str, Any]:
    """The identifier in the answer is the group's ARN (botocore 1.44.5)."""
    group = world.group(call)
    if not group.transformer:
        return _none(world.unknowns.no_transformer, group.arn)
    return {"logGroupIdentifier": group.arn, "transformerConfig": group.transformer}


# ---- resource policies and syslog ----------------------------------------------------------------


def put_resource_policy(world: World, call: Call) -> dict[str, Any]:
    """A log group has one policy at most, which only a caller who knows its revision changes
    (botocore 1.44.5), and which has no name (hashicorp/terraform-provider-aws pull request 46813).
    """
    group = _attached(world, call)
    if call.parameters.get("policyName"):
        raise invalid("policyName and resourceArn are mutually exclusive")
    revision = None if group.resource_policy is None else _revision(group.resource_policy)
    if call.parameters.get("expectedRevisionId") != revision:
        raise invalid("expectedRevisionId does not match")
    group.resource_policy, _ = document(call)
    return {
        "resourcePolicy": _policy_of(group),
        "revisionId": _revision(group.resource_policy),
    }


def describe_resource_policies(world: World, call: Call) -> dict[str, Any]:
    """Only of a log group: by its ARN and this scope, as Terraform's provider asks."""
    if call.parameters.get("policyScope") != "RESOURCE":
        raise unheeded("resource policies of the account")
    group = _attached(world, call)
    found = [] if group.resource_policy is None else [_policy_of(group)]
    return world.page_of(call, "resourcePolicies", found, ("limit", 50))


def _attached(world: World, call: Call) -> Group:
    if not call.parameters.get("resourceArn"):
        raise unheeded("resource policies of the account")
    return world.group(call)


def _policy_of(group: Group) -> dict[str, Any]:
    document = str(group.resource_policy)
    return {
        "policyDocument": document,
        "lastUpdatedTime": group.created,
        "policyScope": "RESOURCE",
        "resourceArn": group.arn,
        "revisionId": _revision(document),
    }


def _revision(document: str) -> str:
    return f"{zlib.crc32(document.encode()):08x}"


def list_syslog_configurations(world: World, call: Call) -> dict[str, Any]:
    groups = [world.group(call)] if call.group else list(world.region(call).groups.values())
    found = [
        {"logGroupArn": group.arn, "sourceType": "VPCE", "vpcEndpointId": endpoint}
        | {"createdAt": group.created}
        for group in groups
        for endpoint in group.syslog
    ]
    return world.page_of(call, "syslogConfigurations", found, ("maxResults", 50))


def put_syslog_configuration(world: World, call: Call) -> dict[str, Any]:
    """A log group may have several here; AWS does not document whether it may."""
    group = world.group(call)
    group.syslog = tuple(sorted({*group.syslog, call.parameters["vpcEndpointId"]}))
    return {}
