"""HTTP requests as SDKs send them, and answers as SDKs read them, for every service of botocore.

What is asked is found in `services`; how values are written, in `shapes` and `rest`. Answers are
plain dicts of the operation's output shape, whatever its protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

from botocore.model import DenormalizedStructureBuilder
from botocore.parsers import ResponseParserError

from janitor.sandbox import rest, services
from janitor.sandbox.services import Operation
from janitor.sandbox.shapes import (
    dumped,
    from_cbor,
    from_fields,
    from_json,
    to_cbor,
    to_json,
    to_xml,
)

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_BUCKET_HOST = re.compile(r"(.+)\.(?:s3(?!-control)[.-].*amazonaws\.com|localhost)(?::\d+)?")
"""Hosts that name a bucket in front: AWS's own, and `localhost`, below which every name is here."""


@dataclass(slots=True)
class Call:
    """One request. `number` counts all requests of the server."""

    service: str
    operation: str
    parameters: dict[str, Any]
    key: str
    region: str
    protocol: str
    account: str = ""
    number: int = 0
    body: bytes = field(default=b"", repr=False)
    result: dict[str, Any] | None = field(default=None, repr=False)
    """What is answered, once it is carried out."""
    asked: Operation | None = field(default=None, repr=False)
    """The operation, with its model."""

    @property
    def group(self) -> str | None:
        """The name of the log group that the call is about, if it is about one."""
        name = self.parameters.get("logGroupName") or self.parameters.get("logGroupIdentifier")
        if name is None:
            name = self.parameters.get("resourceArn")
        if name is None and self.operation == "DescribeIndexPolicies":
            name = next(iter(self.parameters.get("logGroupIdentifiers") or []), None)
        return str(name).split(":log-group:", 1)[-1].removesuffix(":*") if name else None

    @property
    def model(self) -> Any:
        """The operation's model; None where botocore knows no such operation."""
        return None if self.asked is None else self.asked.model


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it arrives; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class RefusedError(Exception):
    """AWS says no."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, content type, body, and what other headers there are, in lower case."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to be sent after `delay` seconds; None resets the connection instead."""

    answer: Answer | None
    delay: float = 0.0


# ---- requests ------------------------------------------------------------------------------------


def parse(request: Request) -> Call:
    """The call in a request. Raises RefusedError."""
    headers = request.headers
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    if found is None:
        raise RefusedError("MissingAuthenticationTokenException", "no signature", 403)
    key, region, scope = found.groups()
    target = headers.get("x-amz-target")
    asked, read = _recognised(scope, request) if target is None else _targeted(scope, target)
    try:
        parameters = read(request.body)
        if type(parameters) is not dict:
            raise ValueError("not an object")
    except (ValueError, KeyError, TypeError, AttributeError, ParseError, ResponseParserError) as e:
        # Whatever it is that does not have its shape.
        raise RefusedError("SerializationException", f"{type(e).__name__}: {e}") from e
    return Call(
        service=asked.service,
        operation=asked.name,
        parameters=parameters,
        key=key,
        region=region,
        protocol=asked.protocol,
        body=request.body,
        asked=asked,
    )


@lru_cache(4096)
def _targeted(scope: str, target: str) -> tuple[Operation, Callable[[bytes], Any]]:
    """The operation of plain JSON, and what reads its parameters in a body."""
    asked = services.targeted(scope, target)
    shape = None if asked.as_is or asked.model is None else asked.model.input_shape
    if shape is None:
        return asked, lambda body: json.loads(body or b"{}")
    return asked, lambda body: from_json(shape, json.loads(body or b"{}"))


def _recognised(scope: str, request: Request) -> tuple[Operation, Callable[[bytes], Any]]:
    """The operation, in any other protocol, and what reads its parameters in a body."""
    headers, (host, path, query) = request.headers, _located(request)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return services.rpc(scope, path), lambda body: from_cbor(body) if body else {}
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
        asked = services.action(scope, fields.pop("Action", ""), fields.pop("Version", ""))
        shape = asked.model.input_shape if asked.model else None
        ec2 = asked.protocol == "ec2"
        return asked, lambda _: from_fields(shape, fields, ec2=ec2) if shape else {}
    if scope == "s3" and (bucket := _BUCKET_HOST.fullmatch(host)):
        path = f"/{bucket[1]}{path}"
    several = parse_qs(query, keep_blank_values=True)
    asked, labels = services.routed(scope, request.method, host, path, several, headers)
    if asked.model is None:
        return asked, lambda _: {}
    sent: Callable[[bytes], bytes] = bytes
    if "aws-chunked" in (encoding := headers.get("content-encoding", "")):
        # So the body is sent. What else there is, the object itself is encoded with.
        sent = _unchunked
        headers = {name: text for name, text in headers.items() if name != "content-encoding"}
        if own := [part for part in encoding.split(",") if part.strip() != "aws-chunked"]:
            headers["content-encoding"] = ",".join(own)
    return asked, lambda body: rest.parameters(asked.model, labels, several, headers, sent(body))


def _located(request: Request) -> tuple[str, str, str]:
    """Host, path and query of a URL, or of a path with the host in a header."""
    host, url = request.headers.get("host", ""), request.url
    if not url.startswith("/"):
        host, slash, url = url.partition("://")[2].partition("/")
        url = slash + url
    path, _, query = url.partition("?")
    return host, path or "/", query


def _unchunked(body: bytes) -> bytes:
    """The data of an `aws-chunked` body: chunks of a size in hex, which may be signed, up to one of
    no size, and trailers. Raises ValueError.
    """
    data, at = bytearray(), 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end].partition(b";")[0], 16)
        if not size:
            return bytes(data)
        data += body[end + 2 : end + 2 + size]
        at = end + 2 + size + 2


# ---- answers -------------------------------------------------------------------------------------


def answered(call: Call, result: Mapping[str, Any]) -> Answer:
    """The answer that says `result`."""
    asked = call.asked
    if asked is None or (asked.answered_as_is and asked.protocol == "json"):
        return Answer(200, _JSON if asked is None else asked.kind, dumped(result))
    model = asked.model
    shape = model.output_shape
    match asked.protocol:
        case "json":
            return Answer(200, asked.kind, dumped(to_json(shape, result) if shape else {}))
        case "query" | "ec2":
            return Answer(200, "text/xml", _enveloped(model, result, asked.protocol))
        case "smithy-rpc-v2-cbor":
            body = b"" if shape is None else to_cbor(shape, result)
            return Answer(200, "application/cbor", body, _CBOR)
        case protocol:
            status, headers, body = rest.answer(model, result)
            kind = "application/xml" if protocol == "rest-xml" else "application/json"
            return Answer(status, headers.pop("content-type", kind), body, headers)


_JSON = "application/x-amz-json-1.1"
_CBOR = {"smithy-protocol": "rpc-v2-cbor"}


def _enveloped(model: Any, result: Mapping[str, Any], protocol: str) -> bytes:
    shape, name = model.output_shape, model.name
    space = model.metadata.get("xmlNamespace", "")
    inner = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", "Result")
        whole = to_xml(wrapper, shape, result)
        inner = whole if protocol == "query" else whole.partition(">")[2].rpartition("</")[0]
    if protocol == "query":
        inner += "<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
    else:
        inner += "<requestId>0</requestId>"
    return f'<{name}Response xmlns="{space}">{inner}</{name}Response>'.encode()


def refused(call: Call | None, error: RefusedError) -> Answer:
    """The answer that says no, as the call's protocol does."""
    protocol = "json" if call is None else call.protocol
    code, message, status = error.code, error.message, error.status
    pair = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    match protocol:
        case "query":
            text = f"<ErrorResponse><Error><Type>Sender</Type>{pair}</Error>"
            text += "<RequestId>0</RequestId></ErrorResponse>"
        case "ec2":
            text = f"<Response><Errors><Error>{pair}</Error></Errors>"
            text += "<RequestID>0</RequestID></Response>"
        case "rest-xml" if call is not None and call.service == "s3":
            text = f"<Error>{pair}<RequestId>0</RequestId></Error>"
        case "rest-xml":
            text = f"<ErrorResponse><Error>{pair}</Error><RequestId>0</RequestId></ErrorResponse>"
        case _:
            return _refused_in_json(call, error)
    head = call is not None and call.model is not None and call.model.http["method"] == "HEAD"
    return Answer(status, "text/xml", b"" if head else text.encode())


def _refused_in_json(call: Call | None, error: RefusedError) -> Answer:
    """JSON has the name of the error's shape, and in a header the code that the query protocol had,
    where the service once spoke it. REST has the name in a header.
    """
    model = None if call is None else call.model
    name, spelled = _error(model.service_model, error.code) if model else (error.code, "message")
    said = {spelled: error.message}
    headers = {}
    if model is not None and model.service_model.is_query_compatible:
        headers["x-amzn-query-error"] = f"{error.code};Sender"
    match call.protocol if call is not None else "json":
        case "rest-json":
            headers["x-amzn-errortype"] = name
            return Answer(error.status, "application/json", dumped(said), headers)
        case "smithy-rpc-v2-cbor":
            members = {key: {"type": "string"} for key in ("__type", spelled)}
            shape = DenormalizedStructureBuilder().with_members(members).build_model()
            body = to_cbor(shape, {"__type": name} | said)
            return Answer(error.status, "application/cbor", body, headers | _CBOR)
        case _:
            return Answer(error.status, _JSON, dumped({"__type": name} | said), headers)


@lru_cache(4096)
def _error(service: Any, code: str) -> tuple[str, str]:
    """The name of the shape of an error with this code, and how it spells `message`."""
    for shape in service.error_shapes:
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            spelled = (name for name in shape.members if name.lower() == "message")
            return shape.name, next(spelled, "message")
    return code, "message"
