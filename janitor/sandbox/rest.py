"""What REST requests and answers carry beside a body: labels, query, headers and status."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

from janitor.sandbox.shapes import (
    dumped,
    from_json,
    from_text,
    from_xml,
    name_of,
    to_json,
    to_text,
    to_xml,
)


def parameters(
    model: Any,
    labels: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """The parameters of an operation. Raises ValueError and XML's ParseError."""
    shape = model.input_shape
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    _, _, fixed = model.http["requestUri"].partition("?")
    claimed = parse_qs(fixed, keep_blank_values=True).keys() | {
        name_of(member, name)
        for name, member in shape.members.items()
        if member.serialization.get("location") == "querystring" and member.type_name != "map"
    }
    for name, member in shape.members.items():
        key = name_of(member, name)
        match member.serialization.get("location"):
            case "uri":
                found[name] = from_text(member, unquote(labels[key]))
            case "querystring" if member.type_name == "map":
                listed = member.value.type_name == "list"
                found[name] = {
                    key: values if listed else values[0]
                    for key, values in query.items()
                    if key not in claimed
                }
            case "querystring" if key in query:
                values = query[key]
                listed = member.type_name == "list"
                found[name] = (
                    [from_text(member.member, value) for value in values]
                    if listed
                    else from_text(member, values[0])
                )
            case "header" if key.lower() in headers:
                found[name] = _from_header(member, headers[key.lower()])
            case "headers":
                found[name] = {
                    header[len(key) :]: value
                    for header, value in headers.items()
                    if header.startswith(key.lower())
                }
    return found | _from_body(model, shape, body)


def _from_header(shape: Any, text: str) -> Any:
    if shape.type_name != "list":
        return from_text(shape, text)
    if shape.member.type_name == "timestamp":  # which has a comma of its own
        parts = text.split(",")
        dates = [",".join(parts[at : at + 2]) for at in range(0, len(parts), 2)]
        return [from_text(shape.member, date) for date in dates]
    [items] = csv.reader([text], escapechar="\\", skipinitialspace=True)
    return [from_text(shape.member, item) for item in items]


def _from_body(model: Any, shape: Any, body: bytes) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if not body:
        return {}
    if payload is None:
        inside = {name for name, m in shape.members.items() if "location" not in m.serialization}
        whole = _read(model, shape, body) if inside else {}
        return {name: value for name, value in whole.items() if name in inside}
    match shape.members[payload].type_name:
        case "blob":
            return {payload: body}
        case "string":
            return {payload: body.decode()}
        case _:
            return {payload: _read(model, shape.members[payload], body)}


def _read(model: Any, shape: Any, body: bytes) -> Any:
    if model.service_model.resolved_protocol == "rest-xml":
        return from_xml(shape, ET.fromstring(body))
    return from_json(shape, json.loads(body))


def answer(model: Any, result: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body that say `result`. Raises KeyError for what the shape lacks."""
    status, headers, inside = model.http.get("responseCode", 200), dict[str, str](), {}
    shape = model.output_shape
    payload = shape.serialization.get("payload") if shape else None
    for name, value in result.items():
        member = shape.members[name]
        key = name_of(member, name)
        match member.serialization.get("location"):
            case "statusCode":
                status = value
            case "header" if member.type_name == "list":
                headers[key.lower()] = ",".join(
                    to_text(member.member, item, "rfc822") for item in value
                )
            case "header":
                headers[key.lower()] = to_text(member, value, "rfc822")
            case "headers":
                headers |= {f"{key}{header}".lower(): text for header, text in value.items()}
            case _:
                inside[name] = value
    if payload is None:
        body = _write(model, shape, inside) if shape else b""
    elif shape.members[payload].type_name in ("blob", "string"):
        there = inside.get(payload, b"")
        body = there if isinstance(there, bytes) else there.encode()
    else:
        there = inside.get(payload)
        body = b"" if there is None else _write(model, shape.members[payload], there)
    return status, headers, body


def _write(model: Any, shape: Any, value: Any) -> bytes:
    if model.service_model.resolved_protocol != "rest-xml":
        return dumped(to_json(shape, value))
    if not any("location" not in m.serialization for m in shape.members.values()):
        return b""
    name = shape.serialization.get("name", shape.name)
    text = to_xml(name, shape, value)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode()
