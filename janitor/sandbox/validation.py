"""What CloudWatch Logs refuses before it looks at any log group: values outside its service model.

botocore checks only what is missing, of the wrong type or below a minimum; it leaves patterns,
enums and maxima to the service.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from botocore.validate import ParamValidator

from janitor.sandbox.wire import Call, RefusedError


def check(call: Call) -> None:
    """Raises RefusedError where CloudWatch Logs would, in its words; for values of the wrong type,
    any other error. Other services are not checked.
    """
    if call.service != "logs":
        return
    for name, member in call.model.input_shape.members.items():
        value = call.parameters.get(name)
        if value is not None and name != "resourceArn":  # a ValidationException, see `World.group`
            _check(name, value, member)


def misfit(call: Call) -> str | None:
    """How the parameters do not fit the model, if they do not.

    botocore's clients check that before a call. Other callers' parameters are checked only when a
    call could not be carried out.
    """
    if call.model is None or call.model.input_shape is None:
        return None
    report = ParamValidator().validate(call.parameters, call.model.input_shape)
    return str(report.generate_report()) if report.has_errors() else None


@cache
def _pattern(text: str) -> re.Pattern[str]:
    # Tags have patterns in Java's dialect, which Python cannot read.
    return re.compile(".*" if r"\p" in text else text, re.DOTALL)


def _check(name: str, value: Any, shape: Any) -> None:
    limits, kind, wrong = shape.metadata, shape.type_name, ""
    if kind in ("boolean", "map", "structure"):
        return
    what, size = ("value", value) if kind in ("integer", "long") else ("length", len(value))
    if size > limits.get("max", size):
        wrong = f"have {what} less than or equal to {limits['max']}"
    elif kind == "list":
        for item in value:
            _check(name, item, shape.member)
    elif kind == "string" and shape.enum and value not in shape.enum:
        wrong = f"satisfy enum value set: [{', '.join(shape.enum)}]"
    elif kind == "string" and not _pattern(limits.get("pattern", ".*")).fullmatch(value):
        wrong = f"satisfy regular expression pattern: {limits['pattern']}"
    if wrong:
        start = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy"
        raise RefusedError("InvalidParameterException", f"{start} constraint: Member must {wrong}")
