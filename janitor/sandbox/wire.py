"""HTTP requests as SDKs send them, and answers as SDKs read them, for every service of botocore.

What is asked is found in `services`; how values are written, in `protocols`. What is answered are
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
from xml.sax.saxutils import escape

from botocore.model import DenormalizedStructureBuilder
from botocore.parsers import ResponseParserError

from janitor.sandbox import services
from janitor.sandbox.protocols import from_body, from_form, from_url, written
from janitor.sandbox.services import Operation

NAMED_BY = ("logGroupName", "logGroupIdentifier", "resourceArn", "resourceIdentifier")
"""Parameters that name a log group."""
_VERBATIM = ("logs", "monitoring", "tagging")
"""Services whose JSON is as its value, so that nothing in it has to be changed (`test_wire.py`
asserts it of all that is answered): it is read and written a million times."""
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_BUCKET_HOST = re.compile(r"(.+)\.s3(?!-control)[.-].*amazonaws\.com")


@dataclass(slots=True)
class Call:
    """One request."""

    service: str
    operation: str
    parameters: dict[str, Any]
    key: str
    region: str
    protocol: str
    account: str = ""
    result: dict[str, Any] | None = field(default=None, repr=False)
    """What is answered, once it is carried out."""
    model: Any = field(default=None, repr=False)
    """The operation's; None where botocore knows no such operation."""

    @property
    def group(self) -> str | None:
        """The name of the log group that the call is about, if it is about one."""
        name = next((p for key in NAMED_BY if (p := self.parameters.get(key))), None)
        if name is None and self.operation == "DescribeIndexPolicies":
            name = next(iter(self.parameters.get("logGroupIdentifiers") or []), None)
        return str(name).split(":log-group:", 1)[-1].removesuffix(":*") if name else None


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
    found = _CREDENTIAL.search(request.headers.get("authorization", ""))
    if found is None:
        raise RefusedError("MissingAuthenticationTokenException", "no signature", 403)
    key, region, scope = found.groups()
    try:
        asked, read = _recognised(scope, request)
        parameters = read(request.body)
        if type(parameters) is not dict:
            raise ValueError("not an object")
    except (ValueError, KeyError, TypeError, AttributeError, ResponseParserError) as error:
        # Whatever it is that does not have its shape.
        said = f"{type(error).__name__}: {error}"
        raise RefusedError("SerializationException", said) from error
    return Call(
        service=asked.service,
        operation=asked.name,
        parameters=parameters,
        key=key,
        region=region,
        protocol=asked.protocol,
        model=asked.model,
    )


def _recognised(scope: str, request: Request) -> tuple[Operation, Callable[[bytes], Any]]:
    """The operation, and what reads its parameters in a body."""
    headers = request.headers
    if (target := headers.get("x-amz-target")) is not None:
        asked = services.targeted(scope, target)
        if scope in _VERBATIM:
            return asked, lambda body: json.loads(body or b"{}")
        return asked, _reader(asked, headers)
    host, path, query = _located(request)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        *_, prefix, _, name = ["", "", *path.split("/")]
        asked = services.targeted(scope, f"{prefix}.{name}", "smithy-rpc-v2-cbor")
        return asked, _reader(asked, headers)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = dict(parse_qsl(request.body.decode("latin-1"), keep_blank_values=True))
        asked = services.action(scope, fields.pop("Action", ""), fields.pop("Version", ""))
        shape = asked.model.input_shape if asked.model else None
        ec2 = asked.protocol == "ec2"
        return asked, lambda _: from_form(shape, fields, ec2=ec2) if shape else {}
    if scope == "s3" and (bucket := _BUCKET_HOST.fullmatch(host)):
        path = f"/{bucket[1]}{path}"
    several = parse_qs(query, keep_blank_values=True)
    asked, labels = services.routed(scope, request.method, path, several, headers)
    read = _reader(asked, headers)
    if asked.model is None or asked.model.input_shape is None:
        return asked, read
    inside = from_url(asked.model.input_shape, labels, several)
    return asked, lambda body: read(body) | inside


def _reader(asked: Operation, headers: Mapping[str, str]) -> Callable[[bytes], dict[str, Any]]:
    if asked.model is None or (shape := asked.model.input_shape) is None:
        return lambda _body: {}
    if "aws-chunked" in (encoding := headers.get("content-encoding", "")):
        # So the body is sent. What else there is, the object itself is encoded with.
        own = [part for part in encoding.split(",") if part.strip() != "aws-chunked"]
        headers = {**headers, "content-encoding": ",".join(own)}
        return lambda body: from_body(shape, asked.protocol, headers, _unchunked(body))
    return lambda body: from_body(shape, asked.protocol, headers, body)


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


_JSON = "application/x-amz-json-1.1"
_KINDS = {
    "json": _JSON,
    "query": "text/xml",
    "ec2": "text/xml",
    "rest-json": "application/json",
    "rest-xml": "application/xml",
    "smithy-rpc-v2-cbor": "application/cbor",
}


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_REFUSALS = {
    "query": "<ErrorResponse><Error>{}</Error><RequestId>0</RequestId></ErrorResponse>",
    "rest-xml": "<ErrorResponse><Error>{}</Error><RequestId>0</RequestId></ErrorResponse>",
    "ec2": "<Response><Errors><Error>{}</Error></Errors><RequestID>0</RequestID></Response>",
    "s3": "<Error>{}<RequestId>0</RequestId></Error>",
}


def refused(call: Call | None, error: RefusedError) -> Answer:
    """The answer that says no, as the call's protocol does."""
    if call is None or call.protocol not in _REFUSALS:
        return _refused_in_json(call, error)
    form = _REFUSALS["s3" if call.service == "s3" else call.protocol]
    said = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    head = call.model is not None and call.model.http["method"] == "HEAD"
    text = "" if head else form.format(said)
    return Answer(error.status, "text/xml", text.encode())


def _refused_in_json(call: Call | None, error: RefusedError) -> Answer:
    """JSON has the name of the error's shape, and in a header the code that the query protocol had,
    where the service once spoke it. REST has the name in a header.
    """
    if call is None or call.model is None:
        said = {"__type": error.code, "message": error.message}
        return Answer(error.status, _JSON, _dumped(said))
    service = call.model.service_model
    name, spelled = _error(service, error.code)
    said, headers = {"__type": name, spelled: error.message}, dict[str, str]()
    if service.is_query_compatible:
        headers["x-amzn-query-error"] = f"{error.code};Sender"
    if call.protocol == "smithy-rpc-v2-cbor":
        members = {key: {"type": "string"} for key in said}
        shape = DenormalizedStructureBuilder().with_members(members).build_model()
        more, body = written(call.model, shape, call.protocol, said)
        return Answer(error.status, more.pop("content-type"), body, headers | more)
    if call.protocol == "rest-json":
        headers["x-amzn-errortype"] = name
    return Answer(error.status, _KINDS[call.protocol], _dumped(said), headers)


@lru_cache(4096)
def _error(service: Any, code: str) -> tuple[str, str]:
    """The name of the shape of an error with this code, and how it spells `message`."""
    for shape in service.error_shapes:
        if code in (shape.name, shape.metadata.get("error", {}).get("code")):
            spelled = (name for name in shape.members if name.lower() == "message")
            return shape.name, next(spelled, "message")
    return code, "message"
