"""The account over HTTP on 127.0.0.1, with a thread for each connection, which is kept open."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

from janitor.sandbox.wire import Reply, Request


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):  # the client is gone
            super().finish()

    def handle_expect_100(self) -> bool:
        accepted = super().handle_expect_100()
        self.wfile.flush()
        return accepted

    def _answer(self) -> None:
        required = self.command in ("POST", "PUT")
        length = self.headers.get("content-length", "" if required else "0")
        if not length.isdecimal() or "transfer-encoding" in self.headers:
            self.send_error(400, "no Content-Length")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):  # cut off
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(Request(self.command, self.path, headers, body))
        time.sleep(reply.delay)
        if (answer := reply.answer) is None:
            self._reset()
            return
        self.send_response_only(answer.status)
        sent = {"content-type": answer.kind, "content-length": str(len(answer.body))}
        for name, value in (sent | {"x-amzn-requestid": "0"} | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def _reset(self) -> None:
        """Close the connection with a reset (RST)."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        socket.close(self.connection.detach())  # its files are flushed and closed later

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


class Server(ThreadingTCPServer):
    """Serves from `start` to `stop`. Raises OSError if the port is not available.

    What `answer` raises is a failure of the sandbox, not an answer of AWS: the connection ends, and
    the exception is kept in `broken`.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer: Callable[[Request], Reply], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self.connections: set[socket.socket] = set()
        self.broken: list[BaseException] = []

    def start(self) -> str:
        """Serve in a thread; returns the URL."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{self.server_address[1]}"

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, _request: object, _address: object) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):  # raised when the client is gone
            self.broken.append(error)
