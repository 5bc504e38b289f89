"""Requests of real boto3 clients, carried to the sandbox without a socket.

botocore resolves, serialises, signs, parses and raises as ever; only the HTTP session below its
`before-send` event is replaced (botocore 1.44.5, `endpoint.py`, `_send`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from copy import copy
from io import BytesIO
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.hooks import HierarchicalEmitter
from botocore.session import Session

from janitor.sandbox.services import MODELS
from janitor.sandbox.wire import Reply, Request

_OUTSIDE: dict[str, tuple[None, None, Any, Any]] = {
    **{name: (None, None, *how) for name, (_, _, *how) in Session.SESSION_VARIABLES.items()},
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
    "ignore_configured_endpoint_urls": (None, None, True, None),
}
"""botocore's session variables, none of which is read from the environment or a file."""


class _Body(BytesIO):
    def stream(self, **_options: Any) -> Iterator[bytes]:
        yield self.read()


@functools.cache
def _hooks() -> HierarchicalEmitter:
    """The event handlers of botocore, to be copied: registering them anew takes 5 ms of CPU."""
    Session(_OUTSIDE, hooks := HierarchicalEmitter())
    return hooks


def session(handle: Callable[[Request], Reply], key: str, region: str) -> boto3.Session:
    """A session whose every request goes to `handle`. A reply's delay is not waited for."""
    inner = Session(_OUTSIDE, copy(_hooks()), include_builtin_handlers=False)
    inner.register_component("data_loader", MODELS)
    inner.set_credentials(key, "secret")

    def carry(**event: Any) -> Any:
        return send(handle, event["request"])

    inner.register("before-send", carry)
    return boto3.Session(botocore_session=inner, region_name=region)


def send(handle: Callable[[Request], Reply], request: AWSPreparedRequest) -> AWSResponse:
    """The response to a prepared request. Raises ConnectionClosedError if there is none."""
    body = request.body or b""
    if hasattr(body, "read"):  # a file, or the wrapper of an `aws-chunked` body
        body = body.read()
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    data = body.encode() if isinstance(body, str) else bytes(body)
    answer = handle(Request(request.method, request.url, headers, data)).answer
    if answer is None:
        raise ConnectionClosedError(endpoint_url=request.url)
    sent: Any = {"content-type": answer.kind, "content-length": str(len(answer.body))}
    return AWSResponse(request.url, answer.status, sent | answer.headers, _Body(answer.body))
