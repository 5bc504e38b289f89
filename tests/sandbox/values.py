"""Values for every member of any shape, and values as they compare."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
TEXT = "a b/ü&<"
PLAIN = "text"
"""Where a value stands in a header, a host or a document."""


def full(shape: Any) -> Any:
    """A value with every member, each of them somewhere but in itself."""
    return {} if shape is None else _value(shape, (), TEXT)


def least(shape: Any) -> Any:
    """A value with what is required, and no more."""
    if shape is None:
        return {}
    return {name: _value(shape.members[name], (shape.name,), PLAIN) for name in required(shape)}


def required(shape: Any) -> list[str]:
    return [name for name in shape.required_members if not _loops(shape.members[name], shape.name)]


def _value(shape: Any, inside: tuple[str, ...], text: str) -> Any:
    low = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure" if shape.is_document_type:
            return {"any": [1, "x"]}
        case "structure":
            names = list(shape.members)
            inside = (*inside, shape.name)
            return {
                name: _member(shape, name, inside, text)
                for name in (names[:1] if shape.is_tagged_union else names)
                if not any(_loops(shape.members[name], outer) for outer in inside)
            }
        case "list":
            # More than nine in one place, so that their order is seen.
            outer = len(inside) == 1 and shape.member.type_name == "string"
            return [
                _value(shape.member, inside, f"{text}{number}")
                for number in range(max(11 if outer else 2, low))
            ]
        case "map":
            keys = (shape.key.enum or ["key0", "key1"])[:2]
            return {key: _value(shape.value, inside, text) for key in keys}
        case "string" | "character" if shape.enum:
            return shape.enum[0]
        case "string" | "character":
            return "bucket" if shape.name == "BucketName" else text.ljust(low, "x")
        case "blob":
            return b"\x00\xffblob"
        case "timestamp":
            return AT
        case "boolean":
            return True
        case "integer" | "long":
            return max(7, low)
        case _:
            return max(7.5, low)


def _member(shape: Any, name: str, inside: tuple[str, ...], text: str) -> Any:
    member = shape.members[name]
    there = member.serialization
    if there.get("jsonvalue"):
        return {"any": [1, "x"]}
    plain = there.get("location") in ("header", "headers") or there.get("hostLabel")
    return _value(member, inside, PLAIN if plain or shape.serialization.get("payload") else text)


def _loops(shape: Any, outer: str) -> bool:
    """Whether the shape, or that of its entries, is the one named."""
    while shape.type_name in ("list", "map"):
        shape = shape.member if shape.type_name == "list" else shape.value
    return bool(shape.name == outer)


def seconds(value: Any) -> Any:
    """The value as the sandbox has it: times are seconds, streams are read."""
    match value:
        case datetime():
            return value.timestamp()
        case dict():
            return {key: seconds(item) for key, item in value.items()}
        case list():
            return [seconds(item) for item in value]
        case _ if hasattr(value, "read"):
            return value.read()
        case _:
            return value
