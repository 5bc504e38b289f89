"""Systems Manager's parameters, all of them plain strings of the first version."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World


def get_parameter(world: World, call: Call) -> dict[str, Any]:
    name = call.parameters["Name"]
    value = world.region(call).parameters.get(name)
    if value is None:
        raise RefusedError("ParameterNotFound", f"Parameter {name} not found.")
    path = name if name.startswith("/") else f"/{name}"
    return {
        "Parameter": {
            "Name": name,
            "Type": "String",
            "Value": value,
            "Version": 1,
            "ARN": f"arn:aws:ssm:{call.region}:{call.account}:parameter{path}",
            "DataType": "text",
        }
    }
