"""A staged function, run as Lambda runs it: by AWS's runtime client, in a process of its own.

    with Function(folder, "handler.handler", env={"KEY": "value"}) as function:
        answer = function.invoke(b'"hello"', deadline_ms=3000)

The process can import the staged folder, the runtime client and the standard library only.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from pathlib import Path
from types import TracebackType
from typing import Any, Self

RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
"""The distributions that the process can import besides the staged folder."""

INIT_S = 60.0
"""How long the first invocation waits for the process to import its handler."""

POLL_S = 0.05
ACCOUNT, REGION = "123456789012", "eu-central-1"


@dataclass(frozen=True)
class Answer:
    """The result of an invocation.

    Attributes:
        payload: The response as it was sent, or the error's JSON.
        error_type: Class of the exception, if any; `Runtime.…` and `Sandbox.…` are Lambda's own.
        error_message: Its message.
        logs: The output since the previous invocation, or since the start.
    """

    payload: bytes
    error_type: str | None
    error_message: str | None
    logs: str

    @property
    def value(self) -> Any:
        """The decoded response. Raises AssertionError, with the logs, if the invocation failed."""
        assert self.error_type is None, f"{self.error_type}: {self.error_message}\n{self.logs}"
        return json.loads(self.payload)


class Function:
    """A function that can be invoked, one event at a time, until the `with` block ends.

    The process starts at the first invocation and stays warm. As on Lambda, it is an error if it
    exits or exceeds its deadline, and the next invocation starts a new one.

    Args:
        folder: A folder staged for `packaging.host()`.
        handler: `package.module.function`.
        env: Environment variables besides those that Lambda sets.
        name: Name of the function.
    """

    def __init__(
        self,
        folder: Path,
        handler: str,
        *,
        env: Mapping[str, str] | None = None,
        name: str = "function",
    ) -> None:
        self._folder, self._handler = folder, handler
        self._env, self._name = dict(env or {}), name
        self._process: _Process | None = None
        self._printed = 0

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory()
        self._client = Path(self._temporary.name, "client")
        _copy_runtime_client(self._client)
        self._log = Path(self._temporary.name, "log")
        self._log.touch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self._temporary.cleanup()

    @property
    def arn(self) -> str:
        """The function's ARN, which is in its context."""
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self._name}"

    def invoke(
        self,
        payload: bytes,
        *,
        deadline_ms: int = 3000,
        request_id: str | None = None,
        arn: str | None = None,
    ) -> Answer:
        """Send an event unchanged (even an empty one) and wait for the result.

        Args:
            payload: The body, JSON if it is valid.
            deadline_ms: How long it may take, from the moment the process fetches it.
            request_id: A new one if None.
            arn: The invoked ARN, which may name an alias; the function's own if None.
        """
        if self._process is None or not self._process.alive:
            self.end()
            self._process = _Process(self._command(), self._folder, self._environment(), self._log)
        event = _Event(payload, deadline_ms, request_id or str(uuid.uuid4()), arn or self.arn)
        reply = self._process.answer(event)
        error = json.loads(reply.body) if reply.failed else {}
        return Answer(
            reply.body, error.get("errorType"), error.get("errorMessage"), self._new_logs()
        )

    def end(self) -> None:
        """Kill the process; the next invocation starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def _new_logs(self) -> str:
        printed = self._log.read_bytes()
        new, self._printed = printed[self._printed :], len(printed)
        return new.decode(errors="backslashreplace")

    def _command(self) -> list[str]:
        # -S and -s: no site-packages, neither the virtual environment's nor the user's.
        return [sys.executable, "-S", "-s", "-B", "-m", "awslambdaric", self._handler]

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_FUNCTION_NAME": self._name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{self._name}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "LAMBDA_TASK_ROOT": str(self._folder),
            "LANG": "en_US.UTF-8",
            "PYTHONPATH": f"{self._folder}:{self._client}",
            "PYTHONUTF8": "1",
            "TZ": ":UTC",
            **self._env,
        }


def _copy_runtime_client(target: Path) -> None:
    for name in RUNTIME_CLIENT:
        for file in distribution(name).files or ():
            if file.parts[0] != ".." and file.suffix != ".pyc":
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), copy)


@dataclass(frozen=True)
class _Event:
    payload: bytes
    deadline_ms: int
    request_id: str
    arn: str


@dataclass(frozen=True)
class _Reply:
    body: bytes
    failed: bool
    last: bool = False  # the process is unusable

    @classmethod
    def of_lambda(cls, error_type: str, message: str) -> Self:
        """An error from Lambda itself."""
        body = json.dumps({"errorType": error_type, "errorMessage": message})
        return cls(body.encode(), failed=True, last=True)


class _Process:
    """A process and its Runtime API, on a loopback port."""

    def __init__(self, command: list[str], cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self._api = _RuntimeApi()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                env={**env, "AWS_LAMBDA_RUNTIME_API": self._api.address},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def answer(self, event: _Event) -> _Reply:
        reply = self._reply(event)
        if reply.last:
            self.kill()
        return reply

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(timeout=10)
        self._api.close()

    def _reply(self, event: _Event) -> _Reply:
        self._api.send(event)
        started = time.monotonic()
        while True:
            alive = self.alive  # read first: a reply before the exit counts
            reply = self._api.reply(POLL_S)
            if reply is not None:
                return reply
            if not alive:
                return _Reply.of_lambda(
                    "Runtime.ExitError", f"exited with status {self._process.returncode}"
                )
            if self._api.past_deadline():
                seconds = event.deadline_ms / 1000
                return _Reply.of_lambda(
                    "Sandbox.Timedout", f"Task timed out after {seconds:.2f} seconds"
                )
            if time.monotonic() > started + INIT_S and not self._api.taken:
                return _Reply.of_lambda("Sandbox.Timedout", f"no start in {INIT_S:.0f} seconds")


class _RuntimeApi:
    """Lambda's Runtime API, version 2018-06-01: the process fetches events and posts replies."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[_Reply] = queue.SimpleQueue()
        self._deadline: float | None = None
        self._server = _Server(("127.0.0.1", 0), self._handler_class())
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,))
        self._thread.start()

    @property
    def taken(self) -> bool:
        """Whether the process has fetched the event."""
        return self._deadline is not None

    def past_deadline(self) -> bool:
        return self._deadline is not None and time.time() > self._deadline

    def send(self, event: _Event) -> None:
        self._deadline = None
        self._events.put(event)

    def reply(self, timeout: float) -> _Reply | None:
        try:
            return self._replies.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._events.put(None)  # ends a request that is waiting for an event
        self._server.shutdown()
        self._thread.join(timeout=10)
        self._server.server_close()

    def _next(self) -> tuple[dict[str, str], bytes] | None:
        event = self._events.get()
        if event is None:
            return None
        self._deadline = time.time() + event.deadline_ms / 1000
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": event.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(self._deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": event.arn,
        }
        return headers, event.payload

    def _handler_class(api) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is a request's
        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                event = api._next() if self.path.endswith("/invocation/next") else None
                if event is None:
                    self.close_connection = True
                else:
                    self._send(200, *event)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                failed = self.path.endswith("/error")
                api._replies.put(_Reply(body, failed, last=self.path.endswith("/init/error")))
                self._send(202, {"Content-Type": "application/json"}, b'{"status":"OK"}')

            def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing."""

        return Request


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore that a killed process closes its connection."""
