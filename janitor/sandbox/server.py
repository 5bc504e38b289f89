"""The HTTP server: asyncio on one thread, its own small HTTP/1.1 parser, keep-alive.

Requests are answered one after the other, so the store needs no finer lock; latency is a timer,
which holds up no other connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from http.client import responses

from janitor.sandbox.wire import Answer, Reply, Request

Handle = Callable[[Request], Reply]


class _Connection(asyncio.Protocol):
    """One connection; requests on it are answered in the order in which they came."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = bytearray()
        self._busy = False
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
        self._received += data
        self._next()

    def _next(self) -> None:
        if self._busy or self._transport is None:
            return
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue" and "x-told" not in headers:
            self._go_on(end)
        length = int(headers.get("content-length") or 0)
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        del self._received[: end + 4 + length]
        method, path, _version = first.split(" ", 2)
        self._busy = True
        reply = self._server.handle(Request(method, path, headers, body))
        if reply.delay > 0:
            asyncio.get_running_loop().call_later(reply.delay, self._send, reply.answer)
        else:
            self._send(reply.answer)

    def _go_on(self, end: int) -> None:
        """Tell a caller that waits for it to send the body, once."""
        assert self._transport is not None
        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._received[end:end] = b"\r\nx-told: 1"

    def _send(self, answer: Answer | None) -> None:
        self._busy = False
        if self._transport is None:
            return
        if answer is None:
            self.reset()
            return
        head = (
            f"HTTP/1.1 {answer.status} {responses.get(answer.status, 'Unknown')}\r\n"
            f"content-type: {answer.kind}\r\ncontent-length: {len(answer.body)}\r\n"
            "x-amzn-requestid: 0\r\n\r\n"
        )
        self._transport.write(head.encode() + answer.body)
        self._next()

    def reset(self) -> None:
        """End the connection with a reset instead of a goodbye."""
        if self._transport is None:
            return
        there = self._transport.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Server:
    """Serves on 127.0.0.1 from a thread of its own, from `start` to `stop`."""

    def __init__(self, handle: Handle, port: int = 0) -> None:
        self.handle = handle
        self.connections: set[_Connection] = set()
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cloud", daemon=True)
        self._listening: asyncio.Server | None = None
        self._ready = threading.Event()

    def start(self) -> str:
        """The URL, once it is served."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        self._port = listener.getsockname()[1]
        self._listener = listener
        self._thread.start()
        self._ready.wait()
        return f"http://127.0.0.1:{self._port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

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

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
        for connection in list(self.connections):
            connection.reset()
        # One more round of the loop, in which the sockets are really closed.
        await asyncio.sleep(0)

    def every(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` on the server's thread again and again."""

        def tick() -> None:
            act()
            self._loop.call_later(seconds, tick)

        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, tick)

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
