"""HTTP requests as SDKs send them, and answers as SDKs read them, for every service of botocore.

`services` finds the operation, `protocols` reads and writes values. A result is a plain dict of the
operation's output shape, whatever its protocol.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl
from xml.sax.saxutils import escape

from botocore.model import DenormalizedStructureBuilder
from botocore.parsers import ResponseParserError

from janitor.sandbox import services
from janitor.sandbox.protocols import from_body, from_form, from_url, written
from janitor.sandbox.services import Operation
from janitor.sandbox.store import name_of

NAMED_BY = ("logGroupName", "logGroupIdentifier", "resourceArn", "resourceIdentifier")
"""Parameters that name a log group."""
_VERBATIM = ("logs", "monitoring", "tagging")
"""Services whose JSON needs no conversion (`test_wire.py` asserts it of every answer); it is read
and written a million times."""
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_BUCKET_HOST = re.compile(r"(.+)\.s3(?!-control)[.-].*amazonaws\.com")


@dataclass(slots=True)
class Call:
    """A request. `result` is its answer once it was carried out; `model` is the operation's, or
    None if botocore knows no such operation.
    """

    service: str
    operation: str
    parameters: dict[str, Any]
    key: str
    region: str
    protocol: str
    account: str = ""
    result: dict[str, Any] | None = field(default=None, repr=False)
    model: Any = field(default=None, repr=False)

    @property
    def identifiers(self) -> list[str]:
        """The names or ARNs of the log groups that the call is about."""
        given = [str(p) for key in NAMED_BY if (p := self.parameters.get(key))]
        if not given and self.operation == "DescribeIndexPolicies":
            given = list(self.parameters.get("logGroupIdentifiers") or ())
        return given

    @property
    def group(self) -> str | None:
        """The name of the log group that the call is about, if any."""
        return name_of(given[0]) if (given := self.identifiers) else None


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it arrives; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class RefusedError(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, content type, body and other headers, in lower case."""

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
    found = _CREDENTIAL.search(request.headers.get("authorization", ""))
    if found is None:
        raise RefusedError("MissingAuthenticationTokenException", "no signature", 403)
    key, region, scope = found.groups()
    try:
        asked, parameters = _understood(scope, request)
        if type(parameters) is not dict:
            raise ValueError("not an object")
    except (ValueError, KeyError, TypeError, AttributeError, ResponseParserError) as error:
        message = f"{type(error).__name__}: {error}"
        raise RefusedError("SerializationException", message) from error
    return Call(
        *(asked.service, asked.name, parameters, key, region, asked.protocol), model=asked.model
    )


def _understood(scope: str, request: Request) -> tuple[Operation, Any]:
    """The operation and its parameters. Raises what comes of malformed requests."""
    headers, body = request.headers, request.body
    if (target := headers.get("x-amz-target")) is not None:
        asked = services.targeted(scope, target)
        return asked, json.loads(body or b"{}") if scope in _VERBATIM else _read(asked, request)
    host, path, query = _located(request)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        *_, prefix, _, name = ["", "", *path.split("/")]
        asked = services.targeted(scope, f"{prefix}.{name}", "smithy-rpc-v2-cbor")
        return asked, _read(asked, request)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True))
        asked = services.action(scope, fields.pop("Action", ""), fields.pop("Version", ""))
        shape, ec2 = asked.shape, asked.protocol == "ec2"
        return asked, from_form(shape, fields, ec2=ec2) if shape else {}
    if scope == "s3" and (bucket := _BUCKET_HOST.fullmatch(host)):
        path = f"/{bucket[1]}{path}"
    several = parse_qs(query, keep_blank_values=True)
    asked, labels = services.routed(scope, request.method, path, several, headers)
    in_url = from_url(asked.shape, labels, several) if asked.shape else {}
    return asked, _read(asked, request) | in_url


def _read(asked: Operation, request: Request) -> dict[str, Any]:
    """The parameters in headers and body."""
    if asked.shape is None:
        return {}
    headers, body = request.headers, request.body
    if "aws-chunked" in (encoding := headers.get("content-encoding", "")):
        # That is how the body is sent; any other encoding is the object's own.
        own = [part for part in encoding.split(",") if part.strip() != "aws-chunked"]
        headers, body = {**headers, "content-encoding": ",".join(own)}, _unchunked(body)
    return from_body(asked.shape, asked.protocol, headers, body)


def _located(request: Request) -> tuple[str, str, str]:
    """Host, path and query of a URL, or of a path with the host in a header."""
    host, url = request.headers.get("host", ""), request.url
    if not url.startswith("/"):
        host, slash, url = url.partition("://")[2].partition("/")
        url = slash + url
    path, _, query = url.partition("?")
    return host, path or "/", query


def _unchunked(body: bytes) -> bytes:
    """The data of an `aws-chunked` body: chunks, which may be signed, each after its size in hex,
    then one of size 0 and trailers. Raises ValueError.
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

_JSON = "application/x-amz-json-1.1"
_KINDS = {
    "json": _JSON,
    "query": "text/xml",
    "ec2": "text/xml",
    "rest-json": "application/json",
    "rest-xml": "application/xml",
    "smithy-rpc-v2-cbor": "application/cbor",
}
_REFUSALS = {
    "query": "<ErrorResponse><Error>{}</Error><RequestId>0</RequestId></ErrorResponse>",
    "rest-xml": "<ErrorResponse><Error>{}</Error><RequestId>0</RequestId></ErrorResponse>",
    "ec2": "<Response><Errors><Error>{}</Error></Errors><RequestID>0</RequestID></Response>",
    "s3": "<Error>{}<RequestId>0</RequestId></Error>",
}


def answered(call: Call, result: Mapping[str, Any]) -> Answer:
    """The answer with this result."""
    if call.protocol == "json" and call.service in _VERBATIM:
        return Answer(200, _JSON, _dumped(result))
    model, status = call.model, call.model.http.get("responseCode", 200)
    shape = model.output_shape
    for name, member in shape.members.items() if shape else ():
        if member.serialization.get("location") == "statusCode" and name in result:
            result = dict(result)
            status = result.pop(name)
    headers, body = written(model, shape, call.protocol, result)
    return Answer(status, headers.pop("content-type", _KINDS[call.protocol]), body, headers)


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def refused(call: Call | None, error: RefusedError) -> Answer:
    """The answer with this error, in the call's protocol."""
    if call is None or call.protocol not in _REFUSALS:
        return _refused_in_json(call, error)
    form = _REFUSALS["s3" if call.service == "s3" else call.protocol]
    content = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    head = call.model is not None and call.model.http["method"] == "HEAD"
    text = "" if head else form.format(content)
    return Answer(error.status, "text/xml", text.encode())


def _refused_in_json(call: Call | None, error: RefusedError) -> Answer:
    """The body has the name of the error's shape. REST repeats it in a header; a service that once
    spoke the query protocol has the code of that in another.
    """
    if call is None or call.model is None:
        content = {"__type": error.code, "message": error.message}
        return Answer(error.status, _JSON, _dumped(content))
    service = call.model.service_model
    name, spelled = _error(service, error.code)
    content, headers = {"__type": name, spelled: error.message}, dict[str, str]()
    if service.is_query_compatible:
        headers["x-amzn-query-error"] = f"{error.code};Sender"
    if call.protocol == "smithy-rpc-v2-cbor":
        members = {key: {"type": "string"} for key in content}
        shape = DenormalizedStructureBuilder().with_members(members).build_model()
        more, body = written(call.model, shape, call.protocol, content)
        return Answer(error.status, more.pop("content-type"), body, headers | more)
    if call.protocol == "rest-json":
        headers["x-amzn-errortype"] = name
    return Answer(error.status, _KINDS[call.protocol], _dumped(content), headers)


@lru_cache(4096)
def _error(service: Any, code: str) -> tuple[str, str]:
    """The name of the shape of an error with this code, and its spelling of `message`."""
    for shape in service.error_shapes:
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            spelled = (name for name in shape.members if name.lower() == "message")
            return shape.name, next(spelled, "message")
    return code, "message"
