"""How a call to AWS is made here: paced, tried again, counted, its errors told apart.

botocore's own retries are off, so that one policy rules and every attempt is counted.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from janitor import __version__
from janitor.aws.pace import Pace, StoppedError, TransientError, retrying
from janitor.core.clock import Clock
from janitor.core.errors import CredentialsError
from janitor.core.model import Target

CLIENT_CONFIG = Config(
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=16,
    user_agent_extra=f"cloudwatch-janitor/{__version__}",
)

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
}
_TRANSIENT = {
    "OperationAbortedException",
    "ServiceUnavailableException",
    "ServiceUnavailable",
    "ServiceException",
    "InternalFailure",
    "InternalServiceException",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "AuthFailure",
    "MissingAuthenticationToken",
    "IncompleteSignature",
}


class CallError(Exception):
    """AWS said no, in a way that asking again does not change. `code` is AWS's error code."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation = operation
        self.code = code
        super().__init__(f"{operation}: {code}: {message}" if message else f"{operation}: {code}")

    @property
    def not_found(self) -> bool:
        """The log group or log stream does not exist (any more)."""
        return self.code == "ResourceNotFoundException"


class UnavailableError(TransientError):
    """A transient failure, still there after the last attempt (or told to the retry policy).

    `refused` says that AWS turned the call away, so that it had no effect; otherwise a change may
    have taken place although its answer was lost.
    """

    def __init__(self, operation: str, text: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(f"{operation}: {text}")


ReadError = (CallError, UnavailableError)
"""What a read may end in; each is a reason to keep."""


class Counts:
    """Attempts and throttled attempts per operation, over all targets, and how much of each quota
    they took. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._taken: dict[tuple[str, str], tuple[int, float]] = {}

    @classmethod
    def resumed(cls, summary: Mapping[str, Any]) -> Counts:
        """Those of an earlier link's summary.

        Raises KeyError, TypeError or ValueError on what is no such summary.
        """
        counts = cls()
        for calls, key in ((counts.calls, "calls"), (counts.throttled, "throttled_calls")):
            for operation, count in dict(summary[key]).items():
                calls[str(operation)] = int(count)
        for said in summary["pace"]:
            place = (str(said["operation"]), str(said["target"]))
            counts._taken[place] = (int(said["calls"]), float(said["per_second"]))
        return counts

    def called(self, operation: str, target: Target, per_second: float) -> None:
        """One attempt was sent, under a quota that lets pass `per_second`."""
        with self._lock:
            self.calls[operation] += 1
            calls, _ = self._taken.get((operation, str(target)), (0, 0.0))
            self._taken[operation, str(target)] = (calls + 1, per_second)

    def was_throttled(self, operation: str) -> None:
        """One attempt was answered with a throttling error."""
        with self._lock:
            self.throttled[operation] += 1

    def slowest(self, most: int = 3) -> list[dict[str, Any]]:
        """The quotas that set the pace, the slowest first: how many calls were made under each, at
        how many a second, and how many seconds that takes.
        """
        with self._lock:
            taken = [
                {
                    "operation": operation,
                    "target": target,
                    "calls": calls,
                    "per_second": per_second,
                    "seconds": round(calls / per_second, 1),
                }
                for (operation, target), (calls, per_second) in self._taken.items()
            ]
        return sorted(taken, key=lambda said: -float(str(said["seconds"])))[:most]


_MAKING = threading.Lock()
"""One client at a time: targets share sessions, and those are not thread-safe (boto3 guide)."""


class Clients(Protocol):
    """Makes clients for one account: boto3's Session, or a fake."""

    @property
    def client(self) -> Callable[..., Any]:
        """Makes a client: `client(service_name, region_name, config=…)`."""


class Api:
    """One target's calls. `call` is the only place where a request leaves the program."""

    def __init__(
        self,
        target: Target,
        clients: Clients,
        pace: Pace,
        clock: Clock,
        counts: Counts,
        stop: threading.Event,
    ) -> None:
        self.target = target
        self.pace = pace
        self.clock = clock
        self.stop = stop
        self._clients = clients
        self._counts = counts
        self._made: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """The service's client, made once."""
        key = (service, region or self.target.region)
        if (made := self._made.get(key)) is not None:
            return made
        with _MAKING:
            if key not in self._made:
                made = self._clients.client(key[0], key[1], config=CLIENT_CONFIG)
                made.meta.events.register(
                    "before-parse", _lists_are_lists, unique_id="janitor-lists-are-lists"
                )
                self._made[key] = made
            return self._made[key]

    def call(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        *,
        expect: str | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """The answer of a paced call, tried again while it fails transiently.

        `expect` is a key that every real answer has: without it the answer was garbage (botocore
        turns an unparsable JSON body into an empty answer, which must not read as "no streams").
        Raises CallError, UnavailableError, CredentialsError or StoppedError.
        """
        return retrying(
            lambda: self.once(operation, method, expect=expect, **parameters),
            self.clock,
            self.stop,
        )

    def read(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        *,
        expect: str,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """`call` for what changes nothing: cut short by `stop` it was not made, not unreadable.

        Raises as `call`.
        """
        try:
            return self.call(operation, method, expect=expect, **parameters)
        except TransientError as error:
            if self.stop.is_set():
                raise StoppedError from error
            raise

    def once(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        *,
        expect: str | None = None,
        paced: bool = True,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """One attempt, for what must look again before it tries again. Raises as `call`."""
        if paced:
            self.pace.acquire(operation, self.stop)
        self._counts.called(operation, self.target, self.pace.ceiling(operation))
        try:
            answer = method(**parameters)
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise self._told_apart(operation, error) from error
        except _UNPARSABLE as error:
            raise UnavailableError(operation, f"an answer that cannot be read: {error}") from error
        if expect is not None and expect not in answer:
            raise UnavailableError(operation, f"an answer without {expect!r}")
        return answer

    def _told_apart(self, operation: str, error: Exception) -> Exception:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            message = str(error.response.get("Error", {}).get("Message", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _THROTTLED or status == 429:
                self._counts.was_throttled(operation)
                self.pace.throttled(operation)
                return UnavailableError(operation, f"throttled ({code})", refused=True)
            if code in _CREDENTIALS:
                return CredentialsError(f"AWS refuses the credentials: {code}: {message}")
            if code in _TRANSIENT or status >= 500 or not code:
                refused = bool(code) and 400 <= status < 500
                return UnavailableError(operation, f"{code or status}: {message}", refused=refused)
            return CallError(operation, code, message)
        if isinstance(error, _NO_CREDENTIALS):
            return CredentialsError(str(error))
        if isinstance(error, _BROKEN_TRANSPORT):
            return UnavailableError(operation, str(error))
        return CallError(operation, type(error).__name__, str(error))


def _lists_are_lists(operation_model: Any, response_dict: dict[str, Any], **_more: Any) -> None:
    """An object where a list belongs is garbage; botocore takes it for an empty list (1.44.5,
    `parsers.py`), which must not read as "no filters". Raises ResponseParserError, also on what
    cannot be looked into: some services speak CBOR too, and botocore chooses.
    """
    shape, protocol = operation_model.output_shape, operation_model.service_model.resolved_protocol
    body = response_dict["body"]
    if response_dict["status_code"] != 200 or shape is None or protocol in _XML or not body:
        return
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise ResponseParserError(f"an answer that is no JSON ({protocol})") from error
    if not isinstance(answer, dict):
        return
    for name, member in shape.members.items():
        said = answer.get(member.serialization.get("name", name))
        if member.type_name == "list" and said is not None and not isinstance(said, list):
            raise ResponseParserError(f"{name} is no list: {said!r:.80}")


_XML = ("ec2", "query", "rest-xml")
"""Protocols in which nothing is read that decides about a log group."""
_UNPARSABLE = (ValueError, TypeError, AttributeError, KeyError)
"""What botocore's parsers let through on answers that are JSON, but of the wrong shape."""

_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_BROKEN_TRANSPORT = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    ResponseParserError,
)
