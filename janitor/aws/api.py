"""Makes calls to AWS: paced, retried, counted, and with their errors classified.

botocore's own retries are off, so that one retry policy applies and every attempt is counted.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    ResponseStreamingError,
    SSLError,
)
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker

from janitor import __version__
from janitor.aws import credentials
from janitor.aws.answers import validating
from janitor.aws.clients import Clients, SharedClients, in_region
from janitor.aws.pace import Pace
from janitor.aws.retries import TransientError, retrying
from janitor.aws.workers import Workers
from janitor.core.clock import IN_FLIGHT, Clock, Stop
from janitor.core.errors import CredentialsError, UsageError
from janitor.core.model import Target

T = TypeVar("T")

CLIENT_CONFIG = Config(
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=16,
    user_agent=f"cloudwatch-janitor/{__version__}",
)
"""The fixed user agent saves botocore from composing one, twice a call, which takes a seventh of a
call's CPU time (botocore 1.44.5, measured).
"""

BOOKKEEPING_CONFIG = Config(
    retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=3, read_timeout=5
)
"""For a run's own bookkeeping: its state, journal, next link and notification."""
BOOKKEEPING_TIMEOUT = 15.0
"""Seconds for one such call, all attempts together. The last ones of a link fit into the minute
that it reserves for them (`janitor.function.deadline`).
"""

CALL_TIMEOUT = 60.0
"""Seconds for one attempt. botocore's timeouts bound connecting and each read, not their sum."""

FAILING_SECONDS = 60.0
"""Seconds of nothing but failures after which an operation is suspended, and for how long."""
FAILING_ATTEMPTS = 16

UNREACHABLE_SECONDS = 3.0
"""The same for an operation that was never answered, and whose host cannot be reached: boto3
invents hosts for `AWS_USE_FIPS_ENDPOINT`, and a network may lack a route.
"""
UNREACHABLE_ATTEMPTS = 4

# botocore's own lists (`botocore.retries.standard`), with what CloudWatch Logs and S3 add.
_THROTTLED = {*ThrottledRetryableChecker._THROTTLED_ERROR_CODES}  # type: ignore[attr-defined]
_TRANSIENT = {
    *TransientRetryableChecker._TRANSIENT_ERROR_CODES,  # type: ignore[attr-defined]
    "OperationAbortedException",
    "ServiceUnavailableException",
    "ServiceUnavailable",
    "ServiceException",
    "InternalFailure",
    "InternalServiceException",
    "InternalServerError",
}
_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "AuthFailure",
    "MissingAuthenticationToken",
    "IncompleteSignature",
}
_OF_A_REGION = {"UnrecognizedClientException", "OptInRequired", "InvalidToken"}
"""Answers of a Region that is not enabled, or not for tokens of the global STS endpoint, while
other Regions accept the credentials (STS, "Managing AWS STS in a Region").
"""
SIGN_AGAIN_AFTER = 1.0
"""Seconds before the second attempt."""
_SIGN_AGAIN = _CREDENTIALS | _OF_A_REGION | {"RequestTimeTooSkewed", "RequestInTheFuture"}
"""A machine that slept signs for a time that is past, and new keys are not known everywhere at
once. A second attempt, signed anew, shows whether it is more than that.
"""


class CallError(Exception):
    """AWS refused the call, and would refuse it again. `code` is AWS's error code."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation = operation
        self.code = code
        super().__init__(f"{operation}: {code}: {message}" if message else f"{operation}: {code}")

    @property
    def not_found(self) -> bool:
        """Whether the log group or log stream does not exist (any more)."""
        return self.code == "ResourceNotFoundException"


class _SignatureError(Exception):
    """AWS does not accept the signature or the token."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class UnavailableError(TransientError):
    """A transient failure: of one attempt, or of the last one.

    `refused` says that the call had no effect: AWS turned it away, or it was not sent. Otherwise a
    change may have been made although its answer was lost.
    """

    def __init__(self, operation: str, why: str, *, refused: bool = False) -> None:
        self.why = why
        self.refused = refused
        super().__init__(f"{operation}: {why}")


class UnreachableError(UnavailableError):
    """No connection to the service could be made."""


ReadError = (CallError, UnavailableError)
"""The errors of a read; each is a reason to keep."""


class _NotSentError(UnavailableError):
    """The call was too late, and was not sent."""


class Counts:
    """Counts attempts and throttled attempts by operation, over all targets, and the use of each
    quota. Also `owner_calls`, and the requested `metrics` by Region, which are billed.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.owner_calls = 0
        self.metrics: Counter[str] = Counter()
        self._taken: dict[tuple[str, str], tuple[int, float]] = {}

    def state(self) -> dict[str, Any]:
        """The counts as JSON, for `restored`."""
        taken = [(*place, *counted) for place, counted in self._taken.items()]
        return {
            "calls": self.calls,
            "throttled": self.throttled,
            "owner_calls": self.owner_calls,
            "metrics": self.metrics,
            "taken": taken,
        }

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> Counts:
        """Counts that continue from the `state` of earlier ones."""
        counts = cls()
        counts.calls.update(state["calls"])
        counts.throttled.update(state["throttled"])
        counts.owner_calls = state["owner_calls"]
        counts.metrics.update(state["metrics"])
        for operation, target, calls, per_second in state["taken"]:
            counts._taken[operation, target] = (calls, per_second)
        return counts

    def called(self, operation: str, target: Target, per_second: float) -> None:
        """Count an attempt, under a quota of `per_second` calls."""
        self.calls[operation] += 1
        calls, _ = self._taken.get((operation, str(target)), (0, 0.0))
        self._taken[operation, str(target)] = (calls + 1, per_second)

    def not_sent(self, operation: str, target: Target) -> None:
        """Uncount an attempt that was not sent after all."""
        self.calls[operation] -= 1
        calls, per_second = self._taken[operation, str(target)]
        self._taken[operation, str(target)] = (calls - 1, per_second)

    def was_throttled(self, operation: str) -> None:
        """Count a throttling error."""
        self.throttled[operation] += 1

    def slowest(self, most: int = 3) -> list[dict[str, Any]]:
        """The quotas that took the longest, longest first: the calls made under each, the calls
        allowed a second, and the seconds that takes.
        """
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
        return sorted(taken, key=lambda quota: -float(str(quota["seconds"])))[:most]


@dataclass
class _Failing:
    """How many attempts at an operation failed in a row, and from when to when (monotonic)."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0
    why: str = ""
    answered: bool = False
    all_unreachable: bool = True
    """Whether none of them could connect to the service."""
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def failed(self, now: float, error: UnavailableError) -> None:
        unreachable = isinstance(error, UnreachableError)
        self.first = self.first if self.count else now
        self.all_unreachable = unreachable and (self.all_unreachable or not self.count)
        self.last, self.count, self.why = now, self.count + 1, error.why

    def succeeded(self) -> None:
        self.count, self.answered = 0, True

    @property
    def unreachable(self) -> bool:
        """Whether the service may not exist at all."""
        return self.count > 0 and self.all_unreachable and not self.answered

    def is_suspended(self, now: float) -> bool:
        """Whether it has failed so long that it is not called for a while."""
        seconds, attempts = FAILING_SECONDS, FAILING_ATTEMPTS
        if self.unreachable:
            seconds, attempts = UNREACHABLE_SECONDS, UNREACHABLE_ATTEMPTS
        failed = self.count >= attempts and self.last - self.first >= seconds
        return failed and now - self.last < FAILING_SECONDS


def _suspended(operation: str, failing: _Failing) -> UnavailableError:
    """The error of a suspended operation; always the same, so that it is reported once."""
    why = f"failed repeatedly and will not be called for a while: {failing.why}"
    error = UnavailableError(operation, why, refused=True)
    error.last = True
    return error


_MAKING = threading.Lock()
"""Held while a client is made: targets share sessions, which are not thread-safe (boto3 guide)."""


class Api:
    """Makes one target's calls. Every request goes through `once`."""

    def __init__(
        self,
        target: Target,
        clients: Clients,
        pace: Pace,
        clock: Clock,
        counts: Counts,
        stop: Stop,
        workers: Workers,
        shared: SharedClients | None = None,
    ) -> None:
        self.target = target
        self.pace = pace
        self.clock = clock
        self.stop = stop
        self._clients = clients
        self.counts = counts
        self._workers = workers
        self._made: dict[tuple[str, str], Any] = {}
        self._shared = shared or SharedClients()
        self._failing: dict[tuple[str, str | None], _Failing] = {}
        self._lost: CredentialsError | None = None

    async def call(
        self,
        service: str,
        operation: str,
        *,
        expect: str | None = None,
        region: str | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """The answer to a paced call, retried while it fails transiently.

        `expect` is a key that every real answer has: an answer without it is garbage (botocore
        turns an unparsable JSON body into an empty answer, which must not read as "no streams").
        `region` is the target's by default. An operation that keeps failing, without an answer in
        between, is not called for a while, because it would hold up all others.
        Raises CallError, UnavailableError, CredentialsError or StoppedError.
        """
        failing = self._failing.setdefault((operation, region), _Failing())

        async def attempt() -> Mapping[str, Any]:
            try:
                answer = await self.once(
                    service, operation, expect=expect, region=region, **parameters
                )
            except UnavailableError as error:
                if not error.refused:
                    failing.failed(self.clock.monotonic(), error)
                    check()
                raise
            failing.succeeded()
            return answer

        def check() -> None:
            if failing.is_suspended(self.clock.monotonic()):
                raise _suspended(operation, failing)

        async def one_at_a_time() -> Mapping[str, Any]:
            if failing.unreachable:
                async with failing.probing:
                    check()
                    if failing.unreachable:
                        until = failing.last + UNREACHABLE_SECONDS / UNREACHABLE_ATTEMPTS
                        await self.stop.sleep(until - self.clock.monotonic())
                        return await attempt()
            return await attempt()

        check()
        return await retrying(one_at_a_time, self.stop)

    async def once(
        self,
        service: str,
        operation: str,
        *,
        expect: str | None = None,
        region: str | None = None,
        paced: bool = True,
        quota: str | None = None,
        resend: bool = True,
        by: float | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """The answer to one attempt, for callers that must check before a retry. Raises as `call`.

        `quota` names the quota of the call, if that is not the operation's own. A call that is
        refused for its signature had no effect, and is signed and sent once more; without `resend`
        it raises UnavailableError. Once credentials are lost, nothing is sent. After `by`
        (monotonic), because no thread was free or the machine slept, the call is not sent, and
        raises an UnavailableError that is `refused`.
        """
        send = functools.partial(
            self._sent,
            (service, region or self.target.region),
            operation,
            quota or operation,
            paced=paced,
            by=by,
            parameters=parameters,
        )
        try:
            answer = await send()
        except _SignatureError as first:
            if not resend:
                raise UnavailableError(operation, f"{first.code}: {first}", refused=True) from first
            await asyncio.sleep(SIGN_AGAIN_AFTER)
            try:
                answer = await send()
            except _SignatureError as error:
                raise self._refused(operation, error) from error
        if expect is not None and expect not in answer:
            raise UnavailableError(operation, f"a response without {expect!r}")
        return answer

    def _refused(self, operation: str, error: _SignatureError) -> Exception:
        """The error for a signature or token that AWS refused twice."""
        if error.code in _OF_A_REGION:
            hint = (
                "this Region is not enabled for the account, or accepts only tokens of a regional "
                "STS endpoint (AWS_STS_REGIONAL_ENDPOINTS=regional)"
            )
            return CallError(operation, error.code, f"{error} ({hint})")
        expired = "; get new ones" if "xpired" in error.code else ""
        return CredentialsError(f"AWS refuses the credentials: {error.code}: {error}{expired}")

    async def _sent(
        self,
        key: tuple[str, str],
        operation: str,
        quota: str,
        *,
        paced: bool,
        by: float | None,
        parameters: Mapping[str, Any],
    ) -> Mapping[str, Any]:
        if self._lost is not None:
            raise self._lost
        if paced:
            await self.pace.acquire(quota, self.stop)
        self.counts.called(operation, self.target, self.pace.ceiling(quota))

        def send() -> Mapping[str, Any]:
            if by is not None and self.clock.monotonic() > by:
                why = "was not sent: the check before it is too old"
                raise _NotSentError(operation, why, refused=True)
            method = getattr(self._made.get(key) or self._client(key), xform_name(operation))
            with in_region(key[1]):
                answer: Mapping[str, Any] = method(**parameters)
            return answer

        try:
            async with self.stop.bounded(CALL_TIMEOUT):
                return await self._workers.run(send)
        except _NotSentError:
            self.counts.not_sent(operation, self.target)
            raise
        except TimeoutError as error:
            seconds = IN_FLIGHT if self.stop.is_set() else CALL_TIMEOUT
            raise UnavailableError(operation, f"no response within {seconds:.0f} s") from error
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            raise self._classified(operation, quota, error) from error
        except (CredentialsError, EOFError, *credentials.NO_FILE) as error:
            raise self._lose_credentials(error) from error
        except _UNPARSABLE as error:
            raise UnavailableError(operation, f"a response that cannot be read: {error}") from error
        except RuntimeError as error:
            if "credentials" not in str(error):  # the new ones have expired (botocore 1.44.5)
                raise
            raise self._lose_credentials(error) from error
        except OSError as error:
            raise UnavailableError(operation, str(error)) from error

    def _lose_credentials(self, error: Exception) -> CredentialsError:
        self._lost = credentials.credentials_error(error)
        return self._lost

    def _client(self, key: tuple[str, str]) -> Any:
        """The service's client, which may be the same for all Regions."""
        with _MAKING:
            if (client := self._made.get(key)) is None:
                make = functools.partial(self._new, *key)
                client = self._shared.take(self._clients, *key, make)
                self._made[key] = client
            return client  # not from self._made: it may have been released by now

    def _new(self, service: str, region: str) -> Any:
        return validating(self._clients.client(service, region, config=CLIENT_CONFIG))

    def release(self, service: str, region: str | None = None) -> None:
        """Release the service's client; the next call takes another, or connects again."""
        client = self._made.pop((service, region or self.target.region), None)
        if client is not None:
            self._shared.give_back(self._clients, service, client)

    def release_all(self) -> None:
        """Release every client: one takes some 140 KB."""
        for service, region in list(self._made):
            self.release(service, region)

    def _classified(self, operation: str, quota: str, error: Exception) -> Exception:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            message = str(error.response.get("Error", {}).get("Message") or "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _THROTTLED or status == 429:
                self.counts.was_throttled(operation)
                self.pace.throttled(quota)
                why = f"throttled ({code}): {message}" if message else f"throttled ({code})"
                return UnavailableError(operation, why, refused=True)
            if code in _SIGN_AGAIN:
                return _SignatureError(code, message)
            if code in _TRANSIENT or status >= 500 or not code:
                refused = bool(code) and 400 <= status < 500
                return UnavailableError(operation, f"{code or status}: {message}", refused=refused)
            return CallError(operation, code, message)
        if isinstance(error, credentials.NO_CREDENTIALS):
            return self._lose_credentials(error)
        if isinstance(error, _NO_CONNECTION):
            return UnreachableError(operation, str(error))
        if isinstance(error, _BROKEN_TRANSPORT):
            return UnavailableError(operation, str(error))
        return CallError(operation, type(error).__name__, str(error))


async def needed(api: Api, service: str, operation: str, expect: str) -> Mapping[str, Any]:
    """The answer to a call that a run needs. It is tried twice, and its errors say what to do."""
    try:
        for last in (False, True):
            try:
                return await api.once(service, operation, expect=expect, paced=False)
            except UnavailableError:
                if last:
                    raise
    except CredentialsError as error:
        text = str(error)
        raise CredentialsError(text if "; " in text else f"{text}; {credentials.HINT}") from error
    except UnavailableError as error:
        raise UsageError(f"AWS cannot be reached: {error}; {credentials.HINT}") from error
    except (CallError, BotoCoreError, ValueError) as error:
        raise UsageError(f"{error}; {credentials.HINT}") from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """Yield the items, `length` at a time."""
    for start in range(0, len(items), length):
        yield items[start : start + length]


_UNPARSABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""What botocore's parsers raise on answers that are JSON, but of the wrong shape."""

_NO_CONNECTION = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError)
_BROKEN_TRANSPORT = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    ResponseParserError,
)
