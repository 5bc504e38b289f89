"""Lambda."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World


def list_functions(world: World, call: Call) -> dict[str, Any]:
    """`$LATEST` of each function; with FunctionVersion=ALL the published versions too, and all ARNs
    with their version (Lambda API reference).
    """
    region, every = world.region(call), call.parameters.get("FunctionVersion") == "ALL"
    limit = min(call.parameters.get("MaxItems", 50), 50)
    place = tuple(world.place("ListFunctions", call.parameters.get("Marker"), ("", "")))
    listed = {(name, "$LATEST"): group for name, group in region.functions.items()}
    for name in region.functions if every else ():
        listed |= {(name, number): at for number, at in region.versions.get(name, {}).items()}
    behind = sorted(key for key in listed if key > place)
    page, more = behind[:limit], len(behind) > limit
    arn = f"arn:aws:lambda:{call.region}:{call.account}:function:"
    functions = [
        {
            "FunctionName": name,
            "FunctionArn": arn + (f"{name}:{version}" if every else name),
            "Version": version,
            "Runtime": "python3.13",
            "LoggingConfig": {
                "LogFormat": "Text",
                "LogGroup": listed[name, version] or f"/aws/lambda/{name}",
            },
        }
        for name, version in page
    ]
    marker = world.token("ListFunctions", page[-1]) if more else None
    return {"Functions": functions, "NextMarker": marker}


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
