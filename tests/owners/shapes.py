"""JMESPath expressions and botocore's shapes: checks that an expression fits a shape, and makes
answers of a shape in which expressions find something.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from typing import Any

import jmespath  # type: ignore[import-untyped]
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from tests.accounts import ACCOUNT, REGION

ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:"
LOADER = Loader()


@functools.cache
def service(name: str) -> ServiceModel:
    return ServiceModel(LOADER.load_service_model(name, "service-2"), name)


# ---- whether an expression fits a shape ----------------------------------------------------------


class Several:
    """The elements of a list that an expression makes; each may be a shape, or Several."""

    def __init__(self, things: list[Any]) -> None:
        self.things = things


def check(expression: str, shape: Shape) -> Any:
    """Return what an expression finds in the shape: a shape, Several, or None if that is not
    followed further. Raises AssertionError on an unknown name, or a list used as an object.
    """
    return _walk(jmespath.compile(expression).parsed, shape)


def _walk(node: dict[str, Any], shape: Any) -> Any:
    kind, children = node["type"], node["children"]
    match kind:
        case "field":
            return _member(node["value"], shape)
        case "current" | "identity" | "slice":
            return shape
        case "literal":
            return None
        case "subexpression" | "index_expression" | "pipe":
            return functools.reduce(lambda at, child: _walk(child, at), children, shape)
        case "index":
            return _element(shape)
        case "projection" | "filter_projection":
            elements = _each(_element(_walk(children[0], shape)))
            for condition, element in itertools.product(children[2:], elements):
                _walk(condition, element)
            return Several([_walk(children[1], element) for element in elements])
        case "value_projection":
            values = _values(_walk(children[0], shape))
            return Several(_some(children[1], values))
        case "flatten":
            inner = _walk(children[0], shape)
            things = _each(_element(inner))
            flat = [_element(thing) if _is_list(thing) else thing for thing in things]
            return Several(flat)
        case "multi_select_list":
            return Several([_walk(child, shape) for child in children])
        case "multi_select_dict":
            for pair in children:
                _walk(pair["children"][0], shape)
            return None
        case "function_expression":
            for child in children:
                _walk(child, shape)
            return None
        case "or_expression" | "and_expression" | "comparator" | "not_expression":
            found = [_walk(child, shape) for child in children]
            return next((one for one in found if one is not None), None)
    raise AssertionError(f"{kind} is not supported")


def _member(name: str, shape: Any) -> Any:
    match shape:
        case None:
            return None
        case Several():
            raise AssertionError(f"{name} of a list: it needs [] before it")
        case StructureShape():
            assert name in shape.members, f"{shape.name} has no {name}"
            return shape.members[name]
        case MapShape():
            return shape.value
    raise AssertionError(f"{name} of {shape.type_name} {shape.name}")


def _is_list(thing: Any) -> bool:
    return isinstance(thing, Several | ListShape)


def _element(shape: Any) -> Any:
    match shape:
        case None | Several():
            return shape
        case ListShape():
            return shape.member
    raise AssertionError(f"{shape} is not a list")


def _each(element: Any) -> list[Any]:
    return element.things if isinstance(element, Several) else [element]


def _values(shape: Any) -> list[Any]:
    match shape:
        case StructureShape():
            return list(shape.members.values())
        case MapShape():
            return [shape.value]
        case Several():
            return [value for thing in shape.things for value in _values(thing)]
    return []


def _some(node: dict[str, Any], shapes: list[Any]) -> list[Any]:
    """Return what the node finds in those shapes that it fits, at least one."""
    found, errors = [], []
    for shape in shapes:
        try:
            found.append(_walk(node, shape))
        except AssertionError as error:
            errors.append(error)
    assert found, errors
    return found


# ---- answers of a shape --------------------------------------------------------------------------

DOCUMENTS = {
    "Content": {"inputs": {"cloudWatchLogGroupName": "/of/document"}},
    "Definition": {"LogGroupNames": ["/of/document", "/of/documents/*"], "LogGroupARNs": []},
    "policyDocument": {
        "Statement": [
            {"Operation": {"Audit": {"FindingsDestination": {}}}},
            {
                "Operation": {
                    "Audit": {
                        "FindingsDestination": {"CloudWatchLogs": {"LogGroup": "/of/document"}}
                    }
                }
            },
        ]
    },
}
"""The JSON in members that hold it, as AWS documents it."""


def answer(shape: Shape, *expressions: str) -> dict[str, Any]:
    """Return an answer of the shape in which the expressions find something.

    Texts are unique; members have the values that the expressions compare them with, or those of
    their enumeration in turn; maps have the keys that the expressions name.
    """
    wanted: dict[str, list[Any]] = {}
    fields: list[str] = []
    for expression in expressions:
        for name, value in _comparisons(jmespath.compile(expression).parsed):
            wanted.setdefault(name, []).append(value)
        fields += _fields(jmespath.compile(expression).parsed)
    counter = itertools.count()
    value = _value(shape, "", wanted, fields, counter, 0, ())
    assert isinstance(value, dict)
    return value


def _value(
    shape: Shape,
    name: str,
    wanted: dict[str, list[Any]],
    fields: list[str],
    counter: Iterator[int],
    nth: int,
    within: tuple[str, ...],
) -> Any:
    again = functools.partial(
        _value, wanted=wanted, fields=fields, counter=counter, within=(*within, shape.name)
    )
    match shape:
        case StructureShape():
            members = [] if shape.name in within else list(shape.members)
            named = [member for member in members if member in fields]
            return {
                member: again(shape.members[member], name=member, nth=nth)
                for member in named or members
            }
        case ListShape():
            return [again(shape.member, name=name, nth=nth) for nth in range(_many(shape, wanted))]
        case MapShape():
            return {key: again(shape.value, name=key, nth=nth) for key in [*fields, "any"]}
    if name in DOCUMENTS and name in fields and shape.type_name == "string":
        return json.dumps(DOCUMENTS[name])
    if values := wanted.get(name):
        return values[nth % len(values)]
    enumeration = getattr(shape, "enum", None)
    match shape.type_name:
        case "string":
            if enumeration:
                return enumeration[nth % len(enumeration)]
            start = ARN if name[-3:].lower() == "arn" else ""
            limits = shape.metadata
            text = f"{start}{name}-{next(counter)}".ljust(limits.get("min", 0), "x")
            return text[-limits.get("max", len(text)) :]
        case "boolean":
            return True
        case "timestamp":
            return "2030-01-01T00:00:00Z"
        case _:
            return 7


def _many(shape: ListShape, wanted: dict[str, list[Any]]) -> int:
    """Return 2, or as many as show every value of a member that the expressions compare."""
    if not isinstance(shape.member, StructureShape):
        return 2
    lengths = [
        len(getattr(member, "enum", None) or ())
        for name, member in shape.member.members.items()
        if name in wanted
    ]
    return max([2, *lengths])


def _comparisons(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names that are compared for equality, each with its literal."""
    if not isinstance(node, dict):
        return
    if node["type"] == "comparator":
        left, right = node["children"]
        while left["children"]:
            left = left["children"][-1]
        if node["value"] == "eq":
            yield left["value"], right["value"]
    for child in node["children"]:
        yield from _comparisons(child)


def _fields(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if node["type"] == "field":
        yield node["value"]
    for child in node["children"]:
        yield from _fields(child)
