"""Values of botocore's shapes, as each protocol writes them.

Here a timestamp is seconds since the epoch (a datetime is taken as well), a blob bytes, and a
document any JSON. What is answered may hold only what its shape has.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from botocore.parsers import RpcV2CBORParser
from botocore.serialize import RpcV2CBORSerializer

_UNIX = "unixTimestamp"


def name_of(shape: Any, name: str) -> str:
    """What a member is called on the wire."""
    return str(shape.serialization.get("name", name))


# ---- single values as text -----------------------------------------------------------------------


def seconds(value: Any) -> float:
    """A timestamp in any of its forms. Raises ValueError."""
    if isinstance(value, datetime):
        return value.timestamp()
    with contextlib.suppress(ValueError):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = parsedate_to_datetime(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _stamp(value: Any, form: str) -> str:
    at = seconds(value)
    moment = datetime.fromtimestamp(at, UTC)
    match form.lower():
        case "unixtimestamp":
            return repr(at)
        case "rfc822":
            return format_datetime(moment.replace(microsecond=0), usegmt=True)
        case _:
            return moment.isoformat().replace("+00:00", "Z")


def to_text(shape: Any, value: Any, stamp: str = "iso8601") -> str:
    """A single value; `stamp` is the form of timestamps that do not say another."""
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            return _stamp(value, shape.serialization.get("timestampFormat", stamp))
        case "blob":
            return base64.b64encode(value).decode()
        case "float" | "double" if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case "string" if shape.serialization.get("jsonvalue"):
            return base64.b64encode(json.dumps(value).encode()).decode()
        case _:
            return str(value)


def from_text(shape: Any, text: str) -> Any:
    """The single value that `to_text` wrote. Raises ValueError."""
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
        case "string" if shape.serialization.get("jsonvalue"):
            return json.loads(base64.b64decode(text))
        case _:
            return text


# ---- JSON ----------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else seconds(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def dumped(value: Any) -> bytes:
    """JSON, in which blobs and timestamps are written as JSON protocols do."""
    return _encode(value).encode()


def verbatim(shape: Any) -> bool:
    """Whether JSON of a structure is as its value, so that nothing in it has to be changed."""
    seen: set[str] = set()

    def plain(shape: Any) -> bool:
        if shape.serialization.get("name") or shape.serialization.get("jsonvalue"):
            return False
        if shape.name in seen:
            return True
        match shape.type_name:
            case "structure":
                seen.add(shape.name)
                return all(plain(member) for member in shape.members.values())
            case "list":
                seen.add(shape.name)
                return plain(shape.member)
            case "map":
                seen.add(shape.name)
                return plain(shape.value)
            case "timestamp":
                return bool(shape.serialization.get("timestampFormat", _UNIX) == _UNIX)
            case kind:
                return bool(kind != "blob")

    return shape is None or all(plain(member) for member in shape.members.values())


def from_json(shape: Any, value: Any) -> Any:
    """The value of what `json.loads` gave. Raises ValueError."""
    match shape.type_name:
        case _ if value is None:
            return None
        case "structure" if shape.is_document_type:
            return value
        case "structure":
            return {
                name: from_json(member, value[key])
                for name, member in shape.members.items()
                if (key := name_of(member, name)) in value
            }
        case "list":
            return [from_json(shape.member, item) for item in value]
        case "map":
            return {key: from_json(shape.value, item) for key, item in value.items()}
        case "blob" | "timestamp" | "float" | "double" if isinstance(value, str):
            return from_text(shape, value)
        case _:
            return value


def to_json(shape: Any, value: Any) -> Any:
    """What `dumped` turns into JSON."""
    match shape.type_name:
        case _ if value is None:
            return None
        case "structure" if shape.is_document_type:
            return value
        case "structure":
            members = shape.members
            return {
                name_of(members[name], name): to_json(members[name], item)
                for name, item in value.items()
            }
        case "list":
            return [to_json(shape.member, item) for item in value]
        case "map":
            return {key: to_json(shape.value, item) for key, item in value.items()}
        case "timestamp":
            form = shape.serialization.get("timestampFormat", _UNIX)
            return seconds(value) if form == _UNIX else _stamp(value, form)
        case "float" | "double" if not math.isfinite(value):
            return to_text(shape, value)
        case _:
            return value


# ---- the query protocols' form fields ------------------------------------------------------------


def from_fields(shape: Any, fields: Mapping[str, str], *, ec2: bool) -> dict[str, Any]:
    """The value of a structure, from fields like `A.member.1.B=x`."""
    root: dict[str, Any] = {}
    for path, value in fields.items():
        *parents, last = path.split(".")
        at = root
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
    return dict(_from_tree(shape, root, ec2))


def _from_tree(shape: Any, tree: Any, ec2: bool) -> Any:
    match shape.type_name:
        case "structure":
            found = {}
            for name, member in shape.members.items():
                key = _field(member, name, ec2)
                if key in tree:
                    found[name] = _from_tree(member, tree[key], ec2)
            return found
        case "list":
            if tree and not ec2 and not shape.serialization.get("flattened"):
                tree = tree[name_of(shape.member, "member")]
            return [_from_tree(shape.member, item, ec2) for item in _numbered(tree)]
        case "map":
            if tree and not shape.serialization.get("flattened"):
                tree = tree["entry"]
            key, value = name_of(shape.key, "key"), name_of(shape.value, "value")
            return {
                pair[key]: _from_tree(shape.value, pair[value], ec2) for pair in _numbered(tree)
            }
        case _:
            return from_text(shape, tree)


def _field(shape: Any, name: str, ec2: bool) -> str:
    serialization = shape.serialization
    if ec2:
        upper = serialization.get("name", "")
        return str(serialization.get("queryName") or upper[:1].upper() + upper[1:] or name)
    if shape.type_name == "list" and serialization.get("flattened"):
        return name_of(shape.member, name_of(shape, name))
    return name_of(shape, name)


def _numbered(tree: Any) -> Iterator[Any]:
    """The entries of `{"1": …, "2": …}` in their order; an empty list is sent as empty text."""
    return (tree[number] for number in sorted(tree, key=int)) if tree else iter(())


# ---- XML -----------------------------------------------------------------------------------------


def to_xml(name: str, shape: Any, value: Any) -> str:
    """An element, or those of a flattened list or map."""
    if value is None:
        return ""
    flat = shape.serialization.get("flattened")
    match shape.type_name:
        case "structure":
            inner, attributes = "", _namespace(shape)
            for key, there in value.items():
                member = shape.members[key]
                if member.serialization.get("xmlAttribute"):
                    attributes += f" {name_of(member, key)}={quoteattr(str(there))}"
                else:
                    inner += to_xml(_element(member, key), member, there)
            return f"<{name}{attributes}>{inner}</{name}>"
        case "list":
            each = name if flat else name_of(shape.member, "member")
            inner = "".join(to_xml(each, shape.member, item) for item in value)
        case "map":
            each = name if flat else "entry"
            key_name, value_name = name_of(shape.key, "key"), name_of(shape.value, "value")
            inner = "".join(
                f"<{each}>{to_xml(key_name, shape.key, key)}"
                f"{to_xml(value_name, shape.value, item)}</{each}>"
                for key, item in value.items()
            )
        case _:
            inner, flat = escape(to_text(shape, value)), False
    return inner if flat else f"<{name}{_namespace(shape)}>{inner}</{name}>"


def _element(shape: Any, name: str) -> str:
    if shape.type_name == "list" and shape.serialization.get("flattened"):
        return name_of(shape.member, name_of(shape, name))
    return name_of(shape, name)


def _namespace(shape: Any) -> str:
    space = shape.serialization.get("xmlNamespace") or {}
    space = {"uri": space} if isinstance(space, str) else space
    prefix = f":{space['prefix']}" if space.get("prefix") else ""
    return f" xmlns{prefix}={quoteattr(space['uri'])}" if space else ""


def from_xml(shape: Any, element: ET.Element) -> Any:
    """The value of an element. Raises ValueError."""
    match shape.type_name:
        case "structure":
            found: dict[str, Any] = {}
            attributes = {_bare(name): value for name, value in element.attrib.items()}
            for name, member in shape.members.items():
                if member.serialization.get("xmlAttribute"):
                    key = name_of(member, name).rpartition(":")[2]
                    if key in attributes:
                        found[name] = attributes[key]
                    continue
                key = _element(member, name)
                there = [child for child in element if _bare(child.tag) == key]
                if there and member.serialization.get("flattened"):
                    found[name] = _flattened(member, there)
                elif there:
                    found[name] = from_xml(member, there[0])
            return found
        case "list":
            return [from_xml(shape.member, child) for child in element]
        case "map":
            return _flattened(shape, list(element))
        case _:
            return from_text(shape, element.text or "")


def _flattened(shape: Any, elements: list[ET.Element]) -> Any:
    if shape.type_name == "list":
        return [from_xml(shape.member, element) for element in elements]
    key, value = name_of(shape.key, "key"), name_of(shape.value, "value")
    pairs = [{_bare(child.tag): child for child in element} for element in elements]
    return {pair[key].text or "": from_xml(shape.value, pair[value]) for pair in pairs}


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


# ---- CBOR, as botocore itself writes and reads it ------------------------------------------------


@cache
def _cbor() -> tuple[Any, Any]:
    return RpcV2CBORSerializer(), RpcV2CBORParser(timestamp_parser=seconds)


def to_cbor(shape: Any, value: Any) -> bytes:
    body = bytearray()
    _cbor()[0]._serialize_data_item(body, value, shape)
    return bytes(body)


def from_cbor(body: bytes) -> Any:
    """The value of a body. Raises botocore's ResponseParserError."""
    reader = _cbor()[1]
    return reader.parse_data_item(reader.get_peekable_stream_from_bytes(body))
