"""One TLS context for all clients.

botocore makes one for each client, and urllib3 reads the whole bundle of certificate authorities
into it again at each new connection: 16 ms of CPU time (botocore 1.44.5, urllib3 2.8, OpenSSL 3.0,
measured), and a run opens some fifty connections a Region.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from typing import Any

from botocore.httpsession import create_urllib3_context


def share(client: Any) -> None:
    """Let the client make its connections with the context of all that trust the same bundle."""
    # Where another botocore makes these otherwise, each client keeps a context of its own.
    with contextlib.suppress(AttributeError, TypeError):
        http = client._endpoint.http_session
        http._manager.connection_pool_kw["ssl_context"] = _context(http._verify)


@functools.cache
def _context(_bundle: str | bool) -> ssl.SSLContext:
    context: Any = create_urllib3_context()
    # urllib3 calls this before each handshake, with the bundle.
    context.load_verify_locations = functools.cache(context.load_verify_locations)
    made: ssl.SSLContext = context
    return made
