"""The HTTP server: asyncio on one thread, its own small HTTP/1.1 parser, keep-alive.

Requests are answered one after the other, so the store needs no finer lock; latency is a timer,
which holds up no other connection. What is no request is answered with 400 and goodbye.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import responses
from typing import Any

from janitor.sandbox.wire import Answer, Reply, Request

Handle = Callable[[Request], Reply]

LONGEST_HEAD = 65_536
LONGEST_BODY = 268_435_456
_FIRST = re.compile(r"([A-Z]+) ([^ ]+) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before a body of `length` bytes; `last` if the connection ends after it."""

    method: str
    url: str
    headers: dict[str, str]
    length: int
    last: bool


def _head(text: str) -> _Head:
    """Raises ValueError for what is no HTTP/1.1 or goes beyond what is read here."""
    first, *lines = text.split("\r\n")
    if (request := _FIRST.fullmatch(first)) is None:
        raise ValueError("not a request")
    headers: dict[str, str] = {}
    for line in lines:
        if (header := _HEADER.fullmatch(line)) is None:
            raise ValueError("not a header")
        headers[header[1].lower()] = header[2]
    method, url, minor = request.groups()
    if "transfer-encoding" in headers:
        raise ValueError("Transfer-Encoding is not read here")
    length = headers.get("content-length", "" if method in ("POST", "PUT") else "0")
    if not length.isdecimal():
        raise ValueError("no Content-Length")
    if int(length) > LONGEST_BODY:
        raise ValueError("the body is too long")
    last = minor == "0" or headers.get("connection", "").lower() == "close"
    return _Head(method, url, headers, int(length), last)


class _Connection(asyncio.Protocol):
    """One connection; requests on it are answered in the order in which they came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._head: _Head | None = None
        self._busy = False
        self._ended = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.connections.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        self._received += data
        self._next()

    def _next(self) -> None:
        """Answer what has come whole, until an answer has to wait."""
        while not (self._busy or self._ended or self._transport is None):
            try:
                head = self._whole()
            except ValueError as error:
                self._head = None
                self._send(Answer(400, "text/plain", f"{error}\n".encode()), last=True)
                return
            if head is None:
                return
            body = bytes(self._received[: head.length])
            del self._received[: head.length]
            self._head, self._busy = None, True
            reply = self._server.handle(Request(head.method, head.url, head.headers, body))
            if reply.delay > 0:
                loop = asyncio.get_running_loop()
                loop.call_later(reply.delay, self._send_later, reply.answer, head)
            else:
                self._send(reply.answer, last=head.last, bodiless=head.method == "HEAD")

    def _whole(self) -> _Head | None:
        """The head of a request of which all has come. Raises ValueError for what is none."""
        if self._head is None:
            if self._received and not self._received[:1].isalpha():
                raise ValueError("not a request")
            end = self._received.find(b"\r\n\r\n", 0, LONGEST_HEAD)
            if end < 0 and len(self._received) >= LONGEST_HEAD:
                raise ValueError("the headers are too long")
            if end < 0:
                return None
            self._head = _head(self._received[:end].decode("latin-1"))
            del self._received[: end + 4]
            if self._head.headers.get("expect", "").lower() == "100-continue":
                assert self._transport is not None
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._head if len(self._received) >= self._head.length else None

    def _send_later(self, answer: Answer | None, head: _Head) -> None:
        self._send(answer, last=head.last, bodiless=head.method == "HEAD")
        self._next()

    def _send(self, answer: Answer | None, *, last: bool, bodiless: bool = False) -> None:
        self._busy = False
        if self._transport is None:
            return
        if answer is None:
            self.reset()
            return
        headers = {
            "content-type": answer.kind,
            "content-length": str(len(answer.body)),
            "x-amzn-requestid": "0",
            **answer.headers,
        }
        if last:
            headers["connection"] = "close"
        first = f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}\r\n"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        body = b"" if bodiless else answer.body
        self._transport.write(f"{first}{lines}\r\n".encode("latin-1", "replace") + body)
        if last:
            # The other side closes. Closed with something unread, it would get a reset instead.
            self._ended = True
            self._transport.write_eof()

    def reset(self) -> None:
        """End the connection with a reset instead of a goodbye."""
        if self._transport is None:
            return
        there = self._transport.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Server:
    """Serves on 127.0.0.1 from a thread of its own, from `start` to `stop`.

    What `handle` raises is a fault of the sandbox, not an answer of AWS: the connection ends, and
    the exception is kept in `broken`.
    """

    def __init__(self, handle: Handle, port: int = 0) -> None:
        self.handle = handle
        self.connections: set[_Connection] = set()
        self.broken: list[BaseException] = []
        self._port = port
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)
        self._listening: asyncio.Server | None = None
        self._ready = threading.Event()

    def start(self) -> str:
        """The URL, once it is served. Raises OSError where the port cannot be had."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        self._port = listener.getsockname()[1]
        self._listener, self._loop = listener, asyncio.new_event_loop()
        self._thread.start()
        self._ready.wait()
        return f"http://127.0.0.1:{self._port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._note)

        async def listen() -> None:
            self._listening = await self._loop.create_server(
                lambda: _Connection(self), sock=self._listener
            )
            self._ready.set()

        self._loop.run_until_complete(listen())
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._close())
            self._loop.close()

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if (error := context.get("exception")) is not None:
            self.broken.append(error)
        loop.default_exception_handler(context)

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.connections):
            connection.reset()
        # One more round of the loop, in which the sockets are really closed.
        await asyncio.sleep(0)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
