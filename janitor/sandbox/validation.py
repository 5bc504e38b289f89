"""What CloudWatch Logs refuses before it looks at any log group: values outside its service model.

botocore itself checks only what is missing, of the wrong type, or below a minimum; patterns, enums
and maxima are left to the service.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from botocore.validate import ParamValidator

from janitor.sandbox.wire import Call, RefusedError

_ANSWERED_OTHERWISE = frozenset({"resourceArn"})
"""Refused as ValidationException, see `World.group`."""


def check(call: Call) -> None:
    """Raises RefusedError where AWS would, in its words; only CloudWatch Logs is checked. What is
    of the wrong type raises anything else.
    """
    if call.service != "logs":
        return
    for name, member in call.model.input_shape.members.items():
        value = call.parameters.get(name)
        if value is not None and name not in _ANSWERED_OTHERWISE:
            _check(name, value, member)


def misfit(call: Call) -> str | None:
    """What about the parameters does not fit the model, if anything does not.

    botocore's clients see to it before they call; whoever else calls is looked at only where a call
    could not be carried out.
    """
    if call.model is None or call.model.input_shape is None:
        return None
    report = ParamValidator().validate(call.parameters, call.model.input_shape)
    return str(report.generate_report()) if report.has_errors() else None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # Tags have patterns in Java's dialect, which Python does not read.
    return re.compile(".*" if r"\p" in text else text, re.DOTALL)


def _check(name: str, value: Any, shape: Any) -> None:
    limits, kind = shape.metadata, shape.type_name
    if kind in ("boolean", "map", "structure"):
        return
    what, size = ("value", value) if kind in ("integer", "long") else ("length", len(value))
    if size > limits.get("max", size):
        raise _refused(
            value, name, f"Member must have {what} less than or equal to {limits['max']}"
        )
    if kind == "list":
        for item in value:
            _check(name, item, shape.member)
    if kind != "string":
        return
    if shape.enum and value not in shape.enum:
        allowed = ", ".join(shape.enum)
        raise _refused(value, name, f"Member must satisfy enum value set: [{allowed}]")
    if not (pattern := _pattern(limits.get("pattern", ".*"))).fullmatch(value):
        said = f"Member must satisfy regular expression pattern: {pattern.pattern}"
        raise _refused(value, name, said)


def _refused(value: Any, name: str, said: str) -> RefusedError:
    text = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint:"
    return RefusedError("InvalidParameterException", f"{text} {said}")
