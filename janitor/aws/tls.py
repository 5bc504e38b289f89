"""Shares one TLS context among all clients.

botocore makes one for each client, and urllib3 loads the whole bundle of certificate authorities
into it again for each new connection: 16 ms of CPU time (botocore 1.44.5, urllib3 2.8, OpenSSL 3.0,
measured), and a run opens more than a hundred connections a Region.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from typing import Any

from botocore.httpsession import create_urllib3_context
from botocore.session import Session


def share(session: Session) -> None:
    """Let the session's clients share one context for each bundle."""
    session.register("creating-client-class", _share)


def _share(**event: Any) -> None:
    event["base_classes"].insert(0, _Sharing)


class _Sharing:
    """The base class of a client that shares its context."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        # If another botocore works differently, each client keeps its own context.
        with contextlib.suppress(AttributeError, TypeError):
            http = self._endpoint.http_session  # type: ignore[attr-defined]
            http._manager.connection_pool_kw["ssl_context"] = _context(http._verify)


@functools.cache
def _context(_bundle: str | bool) -> ssl.SSLContext:
    context: Any = create_urllib3_context()
    # urllib3 calls this before each handshake, with the bundle.
    context.load_verify_locations = functools.cache(context.load_verify_locations)
    made: ssl.SSLContext = context
    return made
