"""Services with a call or two each: EC2's Regions, IAM's alias, Lambda, Service Quotas, SNS and
Systems Manager.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from janitor.sandbox.quotas import service_quotas
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, unheeded

_LONGEST = 262_144
_SUBJECT = re.compile(r"[!-~][ -~]{0,98}")
"""ASCII, less than 100 characters, no line breaks or control characters, no leading space (SNS API
reference, Publish)."""


def _describe_regions(world: World, call: Call) -> dict[str, Any]:
    """The enabled Regions, or with AllRegions all (botocore 1.44.5)."""
    every = call.parameters.get("AllRegions") in ("true", True)
    entries = [
        {"RegionName": name, "Endpoint": f"ec2.{name}.amazonaws.com", "OptInStatus": region.opt_in}
        for (account, name), region in sorted(world.store.regions.items())
        if account == call.account and (every or region.enabled)
    ]
    return {"Regions": entries}


def _list_account_aliases(world: World, call: Call) -> dict[str, Any]:
    """A list of one alias or none (IAM API reference)."""
    alias = world.store.aliases.get(call.account)
    return {"AccountAliases": [] if alias is None else [alias], "IsTruncated": False}


def _list_functions(world: World, call: Call) -> dict[str, Any]:
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
    functions = []
    for name, version in page:
        group = listed[name, version] or f"/aws/lambda/{name}"
        functions.append(
            {
                "FunctionName": name,
                "FunctionArn": arn + (f"{name}:{version}" if every else name),
                "Version": version,
                "Runtime": "python3.13",
                "LoggingConfig": {"LogFormat": "Text", "LogGroup": group},
            }
        )
    marker = world.token("ListFunctions", page[-1]) if more else None
    return {"Functions": functions, "NextMarker": marker}


def _invoke(world: World, call: Call) -> dict[str, Any]:
    """The invocation is only recorded."""
    p = call.parameters
    if p.get("InvocationType") != "Event":
        raise unheeded("an invocation with a result")
    invocation = {"function": p["FunctionName"], "type": "Event", "payload": p.get("Payload", b"")}
    world.invoked.append({"account": call.account, "region": call.region, **invocation})
    return {"StatusCode": 202}


def _list_service_quotas(world: World, call: Call) -> dict[str, Any]:
    service = call.parameters["ServiceCode"]
    quotas = service_quotas(world.store, call.account, call.region, service)
    if not quotas:
        raise RefusedError("NoSuchResourceException", f"no such service: {service}")
    return world.page_of(call, "Quotas", quotas, ("MaxResults", 10))


def _publish(world: World, call: Call) -> dict[str, Any]:
    """The message stays in the store, with its topic."""
    p = call.parameters
    _, _, _, region, account, name, *_ = f"{p.get('TopicArn', '')}::::::".split(":")
    left = p.keys() - {"TopicArn", "Subject", "Message", "MessageAttributes"}
    wrong = {
        ", ".join(sorted(left)): bool(left),
        "Empty message": not p.get("Message"),
        "Message too long": len((p.get("Message") or "").encode()) > _LONGEST,
        "Subject": "Subject" in p and not _SUBJECT.fullmatch(p["Subject"]),
        "TopicArn": (account, region) != (call.account, call.region),
    }
    for what, found in wrong.items():
        if found:
            raise RefusedError("InvalidParameter", f"Invalid parameter: {what}")
    published = world.region(call).topics.get(name)
    if published is None:
        raise RefusedError("NotFound", "Topic does not exist", 404)
    published.append({key: value for key, value in p.items() if key != "TopicArn"})
    return {"MessageId": str(uuid.UUID(int=len(published)))}


def _get_parameter(world: World, call: Call) -> dict[str, Any]:
    """Every parameter is a plain string in its first version."""
    name = call.parameters["Name"]
    value = world.region(call).parameters.get(name)
    if value is None:
        raise RefusedError("ParameterNotFound", f"Parameter {name} not found.")
    arn = f"arn:aws:ssm:{call.region}:{call.account}:parameter/{name.removeprefix('/')}"
    parameter = {"Name": name, "Type": "String", "Value": value, "Version": 1, "ARN": arn}
    return {"Parameter": parameter | {"DataType": "text"}}


OTHERS: dict[tuple[str, str], Handler] = {
    ("ec2", "DescribeRegions"): _describe_regions,
    ("iam", "ListAccountAliases"): _list_account_aliases,
    ("lambda", "Invoke"): _invoke,
    ("lambda", "ListFunctions"): _list_functions,
    ("servicequotas", "ListServiceQuotas"): _list_service_quotas,
    ("sns", "Publish"): _publish,
    ("ssm", "GetParameter"): _get_parameter,
}
