"""How a call to AWS is made here: paced, tried again, counted, its errors told apart.

botocore's own retries are off, so that one policy rules and every attempt is counted.
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
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
from janitor.aws.clients import Clients, SharedClients, in_region
from janitor.aws.pace import Pace, TransientError, retrying
from janitor.aws.workers import Workers
from janitor.core.clock import IN_FLIGHT, Clock, Stop
from janitor.core.errors import CredentialsError
from janitor.core.model import Target

T = TypeVar("T")

CLIENT_CONFIG = Config(
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=16,
    user_agent=f"cloudwatch-janitor/{__version__}",
)
"""With a user agent of its own botocore does not put one together, twice for each call, which is a
seventh of what a call costs in CPU time (botocore 1.44.5, measured).
"""

BOOKKEEPING_CONFIG = Config(
    retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=3, read_timeout=5
)
"""For what a run does beside its calls: its state, its journal, its next link, its notice."""
BOOKKEEPING_TIMEOUT = 15.0
"""Seconds for one of those, all attempts together: the last of a link fit into the minute that it
keeps for them (`janitor.function.chain`).
"""

CALL_TIMEOUT = 60.0
"""Seconds for one attempt, whatever drips in: connecting and reading are bounded apiece only."""

FAILING_LONG = 60.0
"""Seconds after which an operation that only ever failed is left alone, and for how long."""
FAILING_OFTEN = 16

NO_WAY_LONG = 3.0
"""The same for an operation that was never answered, and to which no way was found: a host that
exists nowhere, as boto3 makes them up for `AWS_USE_FIPS_ENDPOINT`, or a network without a route.
"""
NO_WAY_OFTEN = 4

# botocore's own lists (`botocore.retries.standard`), and what CloudWatch Logs and S3 add.
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
"""So a Region answers that is not enabled, or not for a token of the global STS endpoint, while
the others take it (STS, "Managing AWS STS in a Region").
"""
SIGNED_AGAIN_AFTER = 1.0
"""Seconds."""
_SIGNED_AGAIN = _CREDENTIALS | _OF_A_REGION | {"RequestTimeTooSkewed", "RequestInTheFuture"}
"""A machine that slept signed in the past, and new keys are not known at once everywhere: a second
attempt, which is signed anew, tells whether it is more than that.
"""


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


class _SignatureError(Exception):
    """AWS does not take the signature or the token."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class UnavailableError(TransientError):
    """A transient failure, still there after the last attempt (or told to the retry policy).

    `refused` says that AWS turned the call away, so that it had no effect; otherwise a change may
    have taken place although its answer was lost.
    """

    def __init__(self, operation: str, why: str, *, refused: bool = False) -> None:
        self.why = why
        self.refused = refused
        super().__init__(f"{operation}: {why}")


class UnreachableError(UnavailableError):
    """No connection to the service could be made."""


ReadError = (CallError, UnavailableError)
"""What a read may end in; each is a reason to keep."""


class _NotSentError(UnavailableError):
    """The call came too late to be sent."""


class Counts:
    """Attempts and throttled attempts per operation, over all targets, and how much of each quota
    they took; and what asking for owners and metrics takes: `owner_calls`, and the metrics that are
    billed by Region.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self.owner_calls = 0
        self.metrics: Counter[str] = Counter()
        self._taken: dict[tuple[str, str], tuple[int, float]] = {}

    def state(self) -> dict[str, Any]:
        """As JSON, for `restored`."""
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
        """One that goes on counting from the `state` of an earlier one."""
        counts = cls()
        counts.calls.update(state["calls"])
        counts.throttled.update(state["throttled"])
        counts.owner_calls = state["owner_calls"]
        counts.metrics.update(state["metrics"])
        for operation, target, calls, per_second in state["taken"]:
            counts._taken[operation, target] = (calls, per_second)
        return counts

    def called(self, operation: str, target: Target, per_second: float) -> None:
        """One attempt was sent, under a quota that lets pass `per_second`."""
        self.calls[operation] += 1
        calls, _ = self._taken.get((operation, str(target)), (0, 0.0))
        self._taken[operation, str(target)] = (calls + 1, per_second)

    def not_sent(self, operation: str, target: Target) -> None:
        """The attempt that was counted last was not sent after all."""
        self.calls[operation] -= 1
        calls, per_second = self._taken[operation, str(target)]
        self._taken[operation, str(target)] = (calls - 1, per_second)

    def was_throttled(self, operation: str) -> None:
        """One attempt was answered with a throttling error."""
        self.throttled[operation] += 1

    def slowest(self, most: int = 3) -> list[dict[str, Any]]:
        """The quotas that set the pace, the slowest first: how many calls were made under each, at
        how many a second, and how many seconds that takes.
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
        return sorted(taken, key=lambda said: -float(str(said["seconds"])))[:most]


@dataclass
class _Failing:
    """How often in a row attempts at an operation failed, and from when to when (s)."""

    count: int = 0
    first: float = 0.0
    last: float = 0.0
    why: str = ""
    answered: bool = False
    no_way: bool = True
    """Whether each of them found no way to the service."""
    probing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def again(self, now: float, error: UnavailableError) -> None:
        self.first = self.first if self.count else now
        self.no_way = isinstance(error, UnreachableError) and (self.no_way or not self.count)
        self.last, self.count, self.why = now, self.count + 1, error.why

    def not_any_more(self) -> None:
        self.count, self.answered = 0, True

    @property
    def nowhere(self) -> bool:
        """Whether the service may not exist at all."""
        return self.count > 0 and self.no_way and not self.answered

    def given_up(self, now: float) -> bool:
        """Whether it has failed for so long that it is left alone."""
        long, often = (NO_WAY_LONG, NO_WAY_OFTEN) if self.nowhere else (FAILING_LONG, FAILING_OFTEN)
        failed = self.count >= often and self.last - self.first >= long
        return failed and now - self.last < FAILING_LONG


def _given_up(operation: str, failing: _Failing) -> UnavailableError:
    """What is said of an operation that is left alone: the same each time, to be said once."""
    why = f"failed repeatedly and will not be called for a while: {failing.why}"
    error = UnavailableError(operation, why, refused=True)
    error.last = True
    return error


_MAKING = threading.Lock()
"""One client at a time: targets share sessions, and those are not thread-safe (boto3 guide)."""


class Api:
    """One target's calls. `once` is the only place where a request leaves the program."""

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
        """The answer of a paced call, tried again while it fails transiently.

        `expect` is a key that every real answer has: without it the answer was garbage (botocore
        turns an unparsable JSON body into an empty answer, which must not read as "no streams").
        `region` is the target's, if not given. An operation that has failed again and again, and
        never been answered in between, will not be called for a while: it would hold up all others.
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
                    failing.again(self.clock.monotonic(), error)
                    check()
                raise
            failing.not_any_more()
            return answer

        def check() -> None:
            if failing.given_up(self.clock.monotonic()):
                raise _given_up(operation, failing)

        async def one_at_a_time() -> Mapping[str, Any]:
            if failing.nowhere:
                async with failing.probing:
                    check()
                    if failing.nowhere:
                        until = failing.last + NO_WAY_LONG / NO_WAY_OFTEN
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
        blindly: bool = True,
        by: float | None = None,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """One attempt, for what must look again before it tries again. Raises as `call`.

        `quota` names the one that the call falls under, if that is not the operation's own.
        What is refused for its signature had no effect, and is signed and sent once more; not so
        what must not be repeated `blindly`, which is UnavailableError then. Once there are no
        credentials any more nothing is sent. Later than `by` (monotonic), be it that no thread was
        free or that the machine slept, it is not sent: an UnavailableError that is `refused`.
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
            if not blindly:
                raise UnavailableError(operation, f"{first.code}: {first}", refused=True) from first
            await asyncio.sleep(SIGNED_AGAIN_AFTER)
            try:
                answer = await send()
            except _SignatureError as error:
                raise self._refused(operation, error) from error
        if expect is not None and expect not in answer:
            raise UnavailableError(operation, f"a response without {expect!r}")
        return answer

    def _refused(self, operation: str, error: _SignatureError) -> Exception:
        """What it means that AWS takes no signature."""
        said = f"{error.code}: {error}"
        if error.code in _OF_A_REGION:
            way = (
                "this Region is not enabled for the account, or accepts only tokens of a regional "
            )
            way += "STS endpoint (AWS_STS_REGIONAL_ENDPOINTS=regional)"
            return CallError(operation, error.code, f"{error} ({way})")
        expired = "; get new ones" if "xpired" in error.code else ""
        return CredentialsError(f"AWS refuses the credentials: {said}{expired}")

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
            raise self._without(error) from error
        except _UNPARSABLE as error:
            raise UnavailableError(operation, f"a response that cannot be read: {error}") from error
        except RuntimeError as error:
            if "credentials" not in str(error):  # that new ones have expired (botocore 1.44.5)
                raise
            raise self._without(error) from error
        except OSError as error:
            raise UnavailableError(operation, str(error)) from error

    def _without(self, error: Exception) -> CredentialsError:
        self._lost = credentials.lost(error)
        return self._lost

    def _client(self, key: tuple[str, str]) -> Any:
        """The service's client, which may be the same for all Regions."""
        with _MAKING:
            if (client := self._made.get(key)) is None:
                make = functools.partial(self._new, *key)
                client = self._shared.take(self._clients, *key, make)
                self._made[key] = client
            return client  # by now it may have been let go

    def _new(self, service: str, region: str) -> Any:
        return validating(self._clients.client(service, region, config=CLIENT_CONFIG))

    def release(self, service: str, region: str | None = None) -> None:
        """Give up the service's client: a next call gets another, or connects anew."""
        client = self._made.pop((service, region or self.target.region), None)
        if client is not None:
            self._shared.give_back(self._clients, service, client)

    def release_all(self) -> None:
        """Give up every client, as `release`: a client takes some 140 KB."""
        for service, region in list(self._made):
            self.release(service, region)

    def _classified(self, operation: str, quota: str, error: Exception) -> Exception:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            message = str(error.response.get("Error", {}).get("Message", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if code in _THROTTLED or status == 429:
                self.counts.was_throttled(operation)
                self.pace.throttled(quota)
                why = f"throttled ({code}): {message}" if message else f"throttled ({code})"
                return UnavailableError(operation, why, refused=True)
            if code in _SIGNED_AGAIN:
                return _SignatureError(code, message)
            if code in _TRANSIENT or status >= 500 or not code:
                refused = bool(code) and 400 <= status < 500
                return UnavailableError(operation, f"{code or status}: {message}", refused=refused)
            return CallError(operation, code, message)
        if isinstance(error, credentials.NONE):
            return self._without(error)
        if isinstance(error, _NO_WAY):
            return UnreachableError(operation, str(error))
        if isinstance(error, _BROKEN_TRANSPORT):
            return UnavailableError(operation, str(error))
        return CallError(operation, type(error).__name__, str(error))


def chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    for start in range(0, len(items), length):
        yield items[start : start + length]


def validating(client: Any) -> Any:
    """The client, which takes for an answer only what is one."""
    client.meta.events.register("before-parse", _only_answers, unique_id="janitor-only-answers")
    return client


def _only_answers(
    operation_model: Any,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_more: Any,
) -> None:
    """Refuse what botocore takes for an empty answer (1.44.5, `parsers.py`), which must not read as
    "no filters", or "no flow logs": a body that is no JSON object, an object where a list belongs,
    XML of something else (in protocol `query` botocore refuses that itself). Raises
    ResponseParserError.
    """
    shape, protocol = operation_model.output_shape, operation_model.service_model.resolved_protocol
    if response_dict["status_code"] != 200 or shape is None or protocol == "query":
        return
    if protocol in ("ec2", "rest-xml"):
        _only_xml(f"{operation_model.name}Response", protocol, response_dict["body"])
        return
    try:
        body = response_dict["body"]
        answer = json.loads(body)
        if any(first in body for first in _HALF_BEGINS) and _HALF.search(body):
            text = json.dumps(answer, ensure_ascii=False)
            answer = json.loads(text.encode(errors="replace"))
            response_dict["body"] = json.dumps(answer).encode()
    except (ValueError, RecursionError) as error:
        raise ResponseParserError(f"a response that is not JSON ({protocol})") from error
    if not isinstance(answer, dict):
        raise ResponseParserError(f"a response that is not an object: {answer!r:.80}")
    for name, member in shape.members.items():
        said = answer.get(member.serialization.get("name", name))
        if member.type_name == "list" and said is not None and not isinstance(said, list):
            raise ResponseParserError(f"{name} is not a list: {said!r:.80}")
    if operation_model.name == "DescribeLogGroups" and _is_plain(answer.get("logGroups")):
        customized_response_dict["logGroups"] = answer.pop("logGroups")
        response_dict["body"] = json.dumps(answer).encode()


def _only_xml(root: str, protocol: str, body: object) -> None:
    """Refuse XML whose root is not EC2's, or that is HTML."""
    found = _ROOT.match(body) if isinstance(body, bytes) else None
    name = found[1].decode() if found else root
    if (protocol == "ec2" and name != root) or name.lower() == "html":
        raise ResponseParserError(f"a response that is not {root}: <{name}>")


_HALF = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
"""What may be half a surrogate pair. JSON can have one, UTF-8 cannot: no file, object or later call
could hold it, so a question mark takes its place.
"""
_HALF_BEGINS = (b"\\", b"\xed")
"""Looked for first: where there is none, as nearly always, that takes a fiftieth of the time."""

_ROOT = re.compile(rb"(?:\s|<[?!][^>]*>)*<([\w:]+)")


def _is_plain(groups: list[Any] | None) -> bool:
    """Whether a page's log groups may be taken as its JSON has them, past botocore's walk over
    their shape.

    For entries without nulls that walk only copies them (botocore 1.44.5, `parsers.py`), at a
    fifth of the CPU time of a whole scan. Every other answer is left to botocore.
    """
    return groups is not None and all(
        type(entry) is dict and None not in entry.values() for entry in groups
    )


_UNPARSABLE = (ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError)
"""What botocore's parsers let through on answers that are JSON, but of the wrong shape."""

_NO_WAY = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError, SSLError)
_BROKEN_TRANSPORT = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    ResponseParserError,
)
