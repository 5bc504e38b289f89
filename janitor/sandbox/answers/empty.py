"""Services that have no resources here: answers from their service models alone.

A call that lists is answered with an empty list of its output's shape. A call that names a thing is
refused with the model's not-found error, if it has one. Every other call is refused as unsupported:
what AWS would say is not known, and nothing changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, unheeded

_READS = re.compile("(BatchDescribe|BatchGet|Describe|Get|List|Lookup|Search)[A-Z]")
_NOT_FOUND = re.compile("NotFound|NoSuch|DoesNotExist|NonExistent|NotInUse")
_NAMES = re.compile("(Identifier|Name|Arn|ARN|Id|ID)s?$|^(identifier|name|arn|id)s?$")
_ZERO = {"boolean": False, "string": "", "blob": b""}
"""The empty value of types that are not numbers."""
_SAID: dict[str, dict[str, Any] | RefusedError] = {
    "BatchGetProjects": {"projects": []},
    "DescribeEndpoint": RefusedError("ValidationException", 'Could not find endpoint "x".'),
    "DescribeEnvironments": {"Environments": []},
    "DescribeStackResources": RefusedError("ValidationError", "Stack for x does not exist"),
    "GetLoggingOptions": {"cloudWatchLogDelivery": {"logType": "OFF"}},
    "GetModelInvocationLoggingConfiguration": {},
    "GetTraceSegmentDestination": {"Destination": "XRay", "Status": "ACTIVE"},
}
"""What models do not tell: CloudFormation and SageMaker as their callers report them, the others as
their API references describe the initial state."""


def answer(world: World, call: Call) -> dict[str, Any]:
    """Raises RefusedError."""
    model, known = call.model, _SAID.get(call.operation)
    if isinstance(known, RefusedError):
        raise RefusedError(known.code, known.message)
    if known is not None:
        return known
    if model is None or not _READS.match(call.operation):
        raise unheeded(call.operation)
    errors = [error for error in model.error_shapes if _NOT_FOUND.search(error.name)]
    named = list(_named(call, [error.name.lower() for error in errors]))
    # An organization has to be joined before anything can be read.
    outside = any("NotInUse" in error.name for error in errors)
    if named or outside or not _lists(model):
        raise _not_found(model, errors, named)
    return _nothing(model.output_shape)


def _named(call: Call, errors: list[str]) -> Iterator[str]:
    """The kinds of things that the call names: by parameters that are required, are called a name,
    or are of a kind that one of the not-found errors is about.
    """
    shape = call.model.input_shape
    for name in call.parameters:
        member = shape.members.get(name)
        while member is not None and member.type_name == "list":
            member = member.member
        if member is None or member.type_name != "string" or member.enum:
            continue
        kind = _NAMES.sub("", name).removesuffix("s").lower()
        required = name in shape.required_members
        if required or _NAMES.search(name) or any(kind in error for error in errors):
            yield kind


def _lists(model: Any) -> bool:
    """Whether the output has a list at its top or, as CloudFront has it, one level below."""
    if (shape := model.output_shape) is None:
        return False
    inner = shape.members.values() if model.name.startswith("List") else ()
    below = (member for member in inner if member.type_name == "structure")
    return any(map(_has_lists, (shape, *below)))


def _has_lists(shape: Any) -> bool:
    return any(member.type_name in ("list", "map") for member in shape.members.values())


def _not_found(model: Any, errors: list[Any], named: list[str]) -> RefusedError:
    fitting = (error for error in errors if any(kind in error.name.lower() for kind in named))
    error = next(fitting, errors[0] if errors else None)
    if error is None:
        return unheeded(f"{model.name}, whose model has no error for what does not exist")
    rest = model.service_model.resolved_protocol.startswith("rest")
    status = error.metadata.get("error", {}).get("httpStatusCode", 404 if rest else 400)
    return RefusedError(error.error_code, "There is no such thing.", status)


def _nothing(shape: Any, *, inner: bool = False) -> dict[str, Any]:
    """Empty lists and maps, and whatever else is required; no token."""
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        kind, required = member.type_name, name in shape.required_members
        if kind in ("list", "map"):
            found[name] = [] if kind == "list" else {}
        elif kind == "structure" and (required or (not inner and _has_lists(member))):
            found[name] = _nothing(member, inner=True)
        elif required:
            found[name] = _ZERO.get(kind, 0)
    return found
