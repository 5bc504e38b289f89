"""CloudWatch Logs: what a log group has of its own: data protection, index, transformer."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.unknowns import Nothing
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, document


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


def put_transformer(world: World, call: Call) -> dict[str, Any]:
    world.group(call).transformer = list(call.parameters["transformerConfig"])
    return {}
