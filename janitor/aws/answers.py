"""Refuses malformed answers, which botocore would take for empty ones."""

from __future__ import annotations

import json
import re
from typing import Any

from botocore.parsers import ResponseParserError


def validating(client: Any) -> Any:
    """The client, made to refuse malformed answers."""
    client.meta.events.register("before-parse", _validate, unique_id="janitor-validate")
    return client


def _validate(
    operation_model: Any,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_more: Any,
) -> None:
    """Refuse what botocore takes for an empty answer (1.44.5, `parsers.py`), which must not read as
    "no filters" or "no flow logs": a body that is not a JSON object, an object in place of a list,
    or other XML (in the protocol `query`, botocore refuses that itself).

    Raises ResponseParserError.
    """
    shape, protocol = operation_model.output_shape, operation_model.service_model.resolved_protocol
    if response_dict["status_code"] != 200 or shape is None or protocol == "query":
        return
    if protocol in ("ec2", "rest-xml"):
        _validate_xml(f"{operation_model.name}Response", protocol, response_dict["body"])
        return
    try:
        body = response_dict["body"]
        answer = json.loads(body)
        if any(first in body for first in _HALF_PAIR_STARTS) and _HALF_PAIR.search(body):
            text = json.dumps(answer, ensure_ascii=False)
            answer = json.loads(text.encode(errors="replace"))
            response_dict["body"] = json.dumps(answer).encode()
    except (ValueError, RecursionError) as error:
        raise ResponseParserError(f"a response that is not JSON ({protocol})") from error
    if not isinstance(answer, dict):
        raise ResponseParserError(f"a response that is not an object: {answer!r:.80}")
    for name, member in shape.members.items():
        value = answer.get(member.serialization.get("name", name))
        if member.type_name == "list" and value is not None and not isinstance(value, list):
            raise ResponseParserError(f"{name} is not a list: {value!r:.80}")
    if operation_model.name == "DescribeLogGroups" and _is_plain(answer.get("logGroups")):
        customized_response_dict["logGroups"] = answer.pop("logGroups")
        response_dict["body"] = json.dumps(answer).encode()


def _validate_xml(root: str, protocol: str, body: object) -> None:
    """Refuse HTML, and in the protocol `ec2` XML with another root."""
    found = _ROOT.match(body) if isinstance(body, bytes) else None
    name = found[1].decode() if found else root
    if (protocol == "ec2" and name != root) or name.lower() == "html":
        raise ResponseParserError(f"a response that is not {root}: <{name}>")


_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""What may be half a surrogate pair. JSON can hold one, UTF-8 cannot: no file, object or later call
could hold it, so a question mark takes its place.
"""
_HALF_PAIR_STARTS = (b"\\", b"\xed")
"""Searched for first: most bodies have none, and finding that takes a fiftieth of the time."""

_ROOT = re.compile(rb"(?:\s|<[?!][^>]*>)*<([\w:]+)")


def _is_plain(groups: list[Any] | None) -> bool:
    """Whether a page's log groups may be used as they are in its JSON, without botocore's parser.

    The parser only copies entries without nulls (botocore 1.44.5, `parsers.py`), which takes a
    fifth of a scan's CPU time. Every other answer is left to it.
    """
    return groups is not None and all(
        type(entry) is dict and None not in entry.values() for entry in groups
    )
