"""Lambda."""

from __future__ import annotations

from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World


def list_functions(world: World, call: Call) -> dict[str, Any]:
    functions = world.region(call).functions
    limit = int(call.parameters.get("MaxItems", 50))
    place = world.place("ListFunctions", call.parameters.get("Marker"), "")
    names = sorted(name for name in functions if name > place)
    page = names[: min(limit, 50)]
    answer: dict[str, Any] = {
        "Functions": [
            {
                "FunctionName": name,
                "FunctionArn": f"arn:aws:lambda:{call.region}:{call.account}:function:{name}",
                "Runtime": "python3.13",
                "LoggingConfig": {
                    "LogFormat": "Text",
                    "LogGroup": functions[name] or f"/aws/lambda/{name}",
                },
            }
            for name in page
        ],
        "NextMarker": None,
    }
    if len(names) > len(page):
        answer["NextMarker"] = world.token("ListFunctions", page[-1])
    return answer


def invoke(world: World, call: Call) -> dict[str, Any]:
    if call.parameters["InvocationType"] != "Event":
        raise RefusedError("UnknownOperationException", "nothing runs here to wait for")
    world.invoked.append(
        {
            "account": call.account,
            "region": call.region,
            "function": call.parameters["FunctionName"],
            "type": call.parameters["InvocationType"],
            "payload": call.body,
        }
    )
    return {}


CALLS: dict[tuple[str, str], Handler] = {
    ("lambda", "ListFunctions"): list_functions,
    ("lambda", "Invoke"): invoke,
}
