"""Lambda."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World


def list_functions(world: World, call: Call) -> dict[str, Any]:
    """`$LATEST` of each function (Lambda API reference)."""
    functions = world.region(call).functions
    limit = min(call.parameters.get("MaxItems", 50), 50)
    place = world.place("ListFunctions", call.parameters.get("Marker"), "")
    behind = sorted(name for name in functions if name > place)
    page, more = behind[:limit], len(behind) > limit
    listed = [
        {
            "FunctionName": name,
            "FunctionArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{name}",
            "Version": "$LATEST",
            "Runtime": "python3.13",
            "LoggingConfig": {
                "LogFormat": "Text",
                "LogGroup": functions[name] or f"/aws/lambda/{name}",
            },
        }
        for name in page
    ]
    marker = world.token("ListFunctions", page[-1]) if more else None
    return {"Functions": listed, "NextMarker": marker}


def invoke(world: World, call: Call) -> dict[str, Any]:
    if call.parameters.get("InvocationType") != "Event":
        raise RefusedError("UnknownOperationException", "nothing runs here to wait for")
    world.invoked.append(
        {
            "account": call.account,
            "region": call.region,
            "function": call.parameters["FunctionName"],
            "type": call.parameters["InvocationType"],
            "payload": call.parameters.get("Payload", b""),
        }
    )
    return {"StatusCode": 202}
