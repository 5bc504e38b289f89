"""CloudWatch Logs: what a log group has of its own: data protection, index, transformer, resource
policy, syslog configurations.
"""

from __future__ import annotations

import zlib
from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.unknowns import Nothing
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, document, invalid


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
    return world.page_of(call, "indexPolicies", found, ("limit", 50))


def put_index_policy(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.index, _ = document(call)
    return {"indexPolicy": {"logGroupIdentifier": group.arn, "policyDocument": group.index}}


def get_transformer(world: World, call: Call) -> dict[str, Any]:
    """The identifier is the group's ARN (botocore 1.44.5)."""
    group = world.group(call)
    if not group.transformer:
        return _none(world.unknowns.no_transformer, group.arn)
    return {"logGroupIdentifier": group.arn, "transformerConfig": group.transformer}


# ---- resource policies and syslog ----------------------------------------------------------------


def put_resource_policy(world: World, call: Call) -> dict[str, Any]:
    """Of a log group, not of the account: one, which is changed only by who knows its revision
    (botocore 1.44.5), and not named (hashicorp/terraform-provider-aws pull request 46813).
    """
    group = _attached(world, call)
    if call.parameters.get("policyName"):
        raise invalid("policyName and resourceArn are mutually exclusive")
    known = call.parameters.get("expectedRevisionId")
    if known != (None if group.resource_policy is None else _revision(group.resource_policy)):
        raise invalid("expectedRevisionId does not match")
    group.resource_policy, _ = document(call)
    revision = _revision(group.resource_policy)
    return {"resourcePolicy": _policy_of(group), "revisionId": revision}


def describe_resource_policies(world: World, call: Call) -> dict[str, Any]:
    """Of a log group, as Terraform's provider asks for it: by its ARN and this scope."""
    if call.parameters.get("policyScope") != "RESOURCE":
        raise RefusedError("UnknownOperationException", "those of the account are not heeded here")
    group = _attached(world, call)
    found = [] if group.resource_policy is None else [_policy_of(group)]
    return world.page_of(call, "resourcePolicies", found, ("limit", 50))


def _attached(world: World, call: Call) -> Group:
    if not call.parameters.get("resourceArn"):
        raise RefusedError("UnknownOperationException", "those of the account are not heeded here")
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
    wanted = call.parameters.get("vpcEndpointId")
    groups = [world.group(call)] if call.group else list(world.region(call).groups.values())
    found = [
        {
            "logGroupArn": group.arn,
            "sourceType": "VPCE",
            "vpcEndpointId": endpoint,
            "createdAt": group.created,
        }
        for group in groups
        for endpoint in group.syslog
        if wanted in (None, endpoint)
    ]
    return world.page_of(call, "syslogConfigurations", found, ("maxResults", 50))


def put_syslog_configuration(world: World, call: Call) -> dict[str, Any]:
    """Whether a log group may have several is not documented; it may here."""
    group = world.group(call)
    group.syslog = tuple(sorted({*group.syslog, call.parameters["vpcEndpointId"]}))
    return {}
