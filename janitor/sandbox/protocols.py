"""Parameters and results in each protocol's notation, by botocore's own code.

Requests are read with the parsers that clients read answers with; answers are written with the
serializers that clients write requests with, since a shape looks alike both ways. Only what exists
in one direction is done by hand: labels, queries and forms. Timestamps are seconds since the epoch.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from botocore.awsrequest import HeadersDict
from botocore.parsers import ResponseParserFactory
from botocore.serialize import create_serializer

# ---- requests ------------------------------------------------------------------------------------


def seconds(value: Any) -> float:
    """A timestamp in any of its forms, as seconds since the epoch. Raises ValueError."""
    if isinstance(value, datetime):
        return value.timestamp()
    with contextlib.suppress(ValueError):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = parsedate_to_datetime(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@cache
def _parser(protocol: str) -> Any:
    factory = ResponseParserFactory()
    factory.set_parser_defaults(timestamp_parser=seconds)
    return factory.create_parser(protocol)


def from_body(shape: Any, protocol: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The members in headers and body. Raises ValueError and ResponseParserError."""
    payload = shape.serialization.get("payload")
    streamed = payload is not None and shape.members[payload].type_name in ("blob", "string")
    if "json" in protocol and body and not streamed and type(json.loads(body)) is not dict:
        raise ValueError("not an object")  # the parser would take it for an error's text
    sent = {"body": b"" if streamed else body, "headers": HeadersDict(headers), "status_code": 200}
    found: dict[str, Any] = _parser(protocol).parse(sent, shape)
    del found["ResponseMetadata"]
    if streamed:
        found[payload] = body if shape.members[payload].type_name == "blob" else body.decode()
    return found


def from_url(
    shape: Any, labels: Mapping[str, str], query: Mapping[str, list[str]]
) -> dict[str, Any]:
    """The members in path and query. Raises ValueError."""
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        key = member.serialization.get("name", name)
        match member.serialization.get("location"):
            case "uri":
                found[name] = _from_text(member, unquote(labels[key]))
            case "querystring" if key in query and member.type_name == "list":
                found[name] = [_from_text(member.member, value) for value in query[key]]
            case "querystring" if key in query:
                found[name] = _from_text(member, query[key][0])
    return found


def from_form(shape: Any, fields: Mapping[str, str], *, ec2: bool) -> dict[str, Any]:
    """The members in fields like `A.member.1.B=x`. Raises ValueError, and what comes of fields that
    contradict each other.
    """
    root: dict[str, Any] = {}
    for path, value in fields.items():
        *parents, last = path.split(".")
        at = root
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
    return dict(_from_tree(shape, root, ec2))


def _from_tree(shape: Any, tree: Any, ec2: bool) -> Any:
    flat = ec2 or shape.serialization.get("flattened")
    match shape.type_name:
        case "structure":
            return {
                name: _from_tree(member, tree[key], ec2)
                for name, member in shape.members.items()
                if (key := _field(member, name, ec2)) in tree
            }
        case "list":
            entries = tree if flat or not tree else tree[_name(shape.member, "member")]
            return [_from_tree(shape.member, entry, ec2) for entry in _numbered(entries)]
        case "map":
            key, value = _name(shape.key, "key"), _name(shape.value, "value")
            pairs = _numbered(tree if flat or not tree else tree["entry"])
            return {pair[key]: _from_tree(shape.value, pair[value], ec2) for pair in pairs}
        case _:
            return _from_text(shape, tree)


def _field(shape: Any, name: str, ec2: bool) -> str:
    if ec2:
        upper = shape.serialization.get("name", "")
        return str(shape.serialization.get("queryName") or upper[:1].upper() + upper[1:] or name)
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return _name(shape.member, _name(shape, name))
    return _name(shape, name)


def _name(shape: Any, otherwise: str) -> str:
    return str(shape.serialization.get("name", otherwise))


def _numbered(tree: Any) -> list[Any]:
    """The entries of `{"1": …, "2": …}` in order; an empty list is sent as empty text."""
    return [tree[number] for number in sorted(tree, key=int)] if tree else []


def _from_text(shape: Any, text: str) -> Any:
    match shape.type_name:
        case "boolean":
            return text.lower() == "true"
        case "timestamp":
            return seconds(text)
        case "blob":
            return base64.b64decode(text)
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case _:
            return text


# ---- answers -------------------------------------------------------------------------------------


def written(
    model: Any, shape: Any, protocol: str, result: Mapping[str, Any]
) -> tuple[dict[str, str], bytes]:
    """Headers and body for `result`, whose shape is the operation's output or one of its errors.
    Raises KeyError for members that the shape lacks.
    """
    xml = protocol in ("query", "ec2", "rest-xml")
    if xml and shape is not None:
        payload = shape.serialization.get("payload")
        root = shape if payload is None else shape.members[payload]
        root.serialization.setdefault("name", root.name)
    asked: Any = SimpleNamespace(
        name=model.name,
        http={"requestUri": "/"},
        input_shape=shape,
        endpoint=None,
        metadata=model.metadata,
        service_model=model.service_model,
        has_event_stream_input=False,
        has_event_stream_output=False,
    )
    serializer = create_serializer("rest-xml" if xml else protocol, include_validation=False)
    sent = serializer.serialize_to_request(result, asked)
    headers = {name.lower(): text for name, text in sent["headers"].items()}
    if protocol not in ("query", "ec2"):
        return headers, sent["body"]
    whole = ET.Element(f"{model.name}Response", xmlns=model.metadata.get("xmlNamespace", ""))
    within = whole
    if protocol == "query":
        wrapper = {} if shape is None else shape.serialization
        within = ET.SubElement(whole, wrapper.get("resultWrapper", "Result"))
    within.extend(ET.fromstring(sent["body"]) if sent["body"] else ())
    return headers, ET.tostring(whole)
