"""HTTP requests as botocore sends them, and answers as it reads them.

CloudWatch Logs, CloudWatch, tagging and Service Quotas speak AWS JSON (botocore 1.44.5 prefers it
for CloudWatch, older ones the query protocol, which is answered as well); Lambda speaks REST with
JSON; STS and EC2 the query protocol with XML answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

_SERVICES = {
    "Logs_20140328": "logs",
    "GraniteServiceVersion20100801": "monitoring",
    "ResourceGroupsTaggingAPI_20170126": "tagging",
    "ServiceQuotasV20190624": "servicequotas",
}
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations$")
_SPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "ec2": "http://ec2.amazonaws.com/doc/2016-11-15/",
    "monitoring": "http://monitoring.amazonaws.com/doc/2010-08-01/",
}


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

    @property
    def group(self) -> str | None:
        """The name of the log group that the call is about, if it is about one."""
        name = self.parameters.get("logGroupName") or self.parameters.get("logGroupIdentifier")
        if name is None:
            name = self.parameters.get("resourceArn")
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
    """Status, content type and body."""

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to be sent after `delay` seconds; None resets the connection instead."""

    answer: Answer | None
    delay: float = 0.0


def parse(request: Request) -> Call:
    """The call in a request. Raises RefusedError."""
    method, path, headers, body = request.method, request.url, request.headers, request.body
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    if found is None:
        raise RefusedError("MissingAuthenticationTokenException", "no signature", 403)
    key, region, scope = found.groups()
    target = headers.get("x-amz-target")
    if target is not None:
        prefix, _, operation = target.partition(".")
        try:
            parameters = json.loads(body or b"{}")
        except ValueError as error:
            raise RefusedError("SerializationException", str(error)) from error
        service = _SERVICES.get(prefix, scope)
        return Call(service, operation, parameters, key, region, "json")
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = fields.pop("Action", "")
        fields.pop("Version", None)
        protocol = "ec2" if scope == "ec2" else "query"
        return Call(scope, operation, nested(fields), key, region, protocol)
    url = urlsplit(path)
    parameters = dict(parse_qsl(url.query))
    if invoked := _INVOKE.search(url.path):
        parameters |= {
            "FunctionName": unquote(invoked.group(1)),
            "InvocationType": headers.get("x-amz-invocation-type", "RequestResponse"),
        }
        return Call("lambda", "Invoke", parameters, key, region, "rest", body=body)
    listing = method == "GET" and url.path.rstrip("/") == "/2015-03-31/functions"
    operation = "ListFunctions" if listing else f"{method} {url.path}"
    return Call(scope, operation, parameters, key, region, "rest", body=body)


def nested(fields: Mapping[str, str]) -> dict[str, Any]:
    """The query protocol's `A.member.1.B=x` as {"A": [{"B": "x"}]}."""
    root: dict[str, Any] = {}
    for path, value in fields.items():
        at = root
        *parents, last = path.split(".")
        for part in parents:
            at = at.setdefault(part, {})
        at[last] = value
    return {name: _listed(value) for name, value in root.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = value.get("member", value) if len(value) == 1 else value
    if isinstance(inner, dict) and inner and all(name.isdigit() for name in inner):
        return [_listed(inner[name]) for name in sorted(inner, key=int)]
    return {name: _listed(child) for name, child in value.items()}


def answered(call: Call, result: Mapping[str, Any]) -> Answer:
    """The answer that says `result`."""
    if call.protocol in ("query", "ec2"):
        return Answer(200, "text/xml", _xml(call, result))
    if call.operation == "Invoke":
        return Answer(202, "application/json", b"")
    text = json.dumps(result, separators=(",", ":")).encode()
    return Answer(200, "application/x-amz-json-1.1", text)


def refused(call: Call | None, error: RefusedError) -> Answer:
    """The answer that says no, as the call's protocol does."""
    protocol = "json" if call is None else call.protocol
    code, message = error.code, error.message
    if protocol == "query":
        text = f"<ErrorResponse><Error><Type>Sender</Type>{_pair(code, message)}</Error>"
        body = (text + "<RequestId>0</RequestId></ErrorResponse>").encode()
        return Answer(error.status, "text/xml", body)
    if protocol == "ec2":
        text = f"<Response><Errors><Error>{_pair(code, message)}</Error></Errors>"
        body = (text + "<RequestID>0</RequestID></Response>").encode()
        return Answer(error.status, "text/xml", body)
    body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
    return Answer(error.status, "application/x-amz-json-1.1", body)


def _pair(code: str, message: str) -> str:
    return f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"


def _xml(call: Call, result: Mapping[str, Any]) -> bytes:
    name, space = call.operation, _SPACES.get(call.service, "")
    inner = "".join(_element(key, value, call.protocol) for key, value in result.items())
    if call.protocol == "ec2":
        text = f'<{name}Response xmlns="{space}">{inner}</{name}Response>'
    else:
        text = (
            f'<{name}Response xmlns="{space}"><{name}Result>{inner}</{name}Result>'
            f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{name}Response>"
        )
    return text.encode()


def _element(name: str, value: Any, protocol: str) -> str:
    if isinstance(value, Mapping):
        inner = "".join(_element(key, child, protocol) for key, child in value.items())
    elif isinstance(value, list):
        item = "item" if protocol == "ec2" else "member"
        inner = "".join(_element(item, child, protocol) for child in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def moment(value: float | str) -> int:
    """A time as either protocol sends it, in ms since the epoch."""
    if isinstance(value, (int, float)):
        return int(value * 1000)
    try:
        return int(datetime.fromisoformat(value).timestamp() * 1000)
    except ValueError as error:
        raise RefusedError("InvalidParameterValue", f"no time: {value}") from error


def timestamp(at: int, protocol: str) -> Any:
    """A time (ms since the epoch) as the protocol's answers have it."""
    if protocol != "query":
        return at / 1000
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
