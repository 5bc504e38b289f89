"""Reads a row of the table: makes its calls in order and collects what the answers refer to."""

from __future__ import annotations

import functools
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import jmespath  # type: ignore[import-untyped]
from jmespath import functions
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]

from janitor.aws.api import Api, CallError, ReadError, UnavailableError, chunks
from janitor.aws.regions import has_endpoint
from janitor.aws.retries import retrying
from janitor.core.errors import CredentialsError
from janitor.core.model import Target
from janitor.core.text import some
from janitor.owners.table import Question, Row, Step

Scope = Mapping[str, Any]
"""The values found so far, by name, from which the next call is made."""

_NOWHERE = (
    "InvalidAction",
    "UnknownOperationException",
    "OptInRequired",
    "SubscriptionRequiredException",
    "UnsupportedRegionException",
    ": Unable to determine service/operation name",
    ": is only available for existing customers",
    ": accepting new customers",
    ": available to new customers",
    ": open to new customers",
    ": not authorized to call this API in this region",
    ": is not available in this region",
    ": is not supported in this region",
)
"""Errors of a service that does not exist in this account or Region, so that it owns nothing: its
endpoint does not know the operation (Lambda's: anomalyco/sst#5327), the account is not subscribed
(AWS's common errors; Appliscale/cloud-security-audit#24, awslabs/fargatecli#38), it is closed to
new customers (ekristen/aws-nuke#665) or not offered in all Regions (aws-bench/aws-bench#36, EC2's
UnsupportedOperation, GameLift's UnsupportedRegionException).
"""

LOST = 2
"""Attempts without an answer after which a call is given up: otherwise each of dozens of rows would
wait for a service that cannot be reached.
"""

BELIEVED = 3
"""Answers without any list, not even an empty one, that are needed to believe that there is nothing
to list: a single one may be garbage, and would mean that nobody uses the log group.
"""

_GONE = re.compile("NotFound|NoSuch|DoesNotExist|NotExist")
"""Errors about a resource that was listed a moment ago and is gone."""

_ARN = re.compile(r"arn:[^:]*:logs:([^:]*):([^:]*):log-group:([^:]+)(?::.*)?")
_VALUE = re.compile(r"\{(\w+)\}")


class UnreadError(Exception):
    """The row could not be read: the text says why, `call` at which operation. `lost`: the service
    could not be reached, so another call would only wait as long.
    """

    def __init__(self, why: str, call: str, *, lost: bool = False) -> None:
        self.call = call
        self.lost = lost
        super().__init__(why)


class _NobodyError(Exception):
    """There is no such owner, because the service or the resource does not exist here."""


class References:
    """Maps log group names and prefixes to their users."""

    def __init__(self) -> None:
        self._exact: dict[str, str] = {}
        self._prefixes: dict[str, str] = {}

    def add(self, group: str, user: str) -> None:
        """Add a user of a name, or of a prefix that ends in `*`; the first user is kept."""
        if group.endswith("*"):
            self._prefixes.setdefault(group[:-1], user)
        elif group:
            self._exact.setdefault(group, user)

    def user_of(self, group: str) -> str | None:
        """Return who uses the log group, None if nobody does."""
        if group in self._exact or not self._prefixes:
            return self._exact.get(group)
        return next((u for start, u in self._prefixes.items() if group.startswith(start)), None)


class Reading:
    """The reading of one question, which can be paused between calls.

    `calls` were made, and at least `left` more are needed. `group` is the log group that `null`
    stands for in the references of a probe.
    """

    def __init__(
        self, api: Api, row: Row, question: Question, values: Sequence[Scope], group: str = ""
    ) -> None:
        self.found = References()
        self.calls = 0
        self.left = 1
        self._failed = ""
        self._lost = False
        self._called = question.steps[0].call
        self._about: list[Any] = []
        self._api = api
        self._row = row
        self._question = question
        self._group = group
        self._steps = self._read(values)

    async def go_on(self, most: float, ends: float) -> bool:
        """Read on while that takes fewer than `most` calls in all and ends by `ends` (monotonic);
        return whether the question is answered.

        It can be continued later, unless it failed. Raises UnreadError or StoppedError.
        """
        clock, rate = self._api.clock, self._api.pace.ceiling(self._row.quota)
        while not self._failed and (self.left == 0 or self.calls + self.left < most):
            if clock.monotonic() + (self.left - 1) / rate > ends:
                self._failed = f"{self.left} more calls at {rate:g} a second would take too long"
                break
            try:
                await anext(self._steps)
            except (StopAsyncIteration, _NobodyError):
                return True
            except (*ReadError, CredentialsError) as error:
                self._failed, self._lost = self._said(error), isinstance(error, UnavailableError)
            except (JMESPathError, ValueError, TypeError, LookupError) as error:
                self._failed = f"a response that cannot be read: {self._said(error)}"
            except BaseException:
                self._failed = "stopped before it was answered"
                raise
        if self._failed:
            raise UnreadError(self._failed, self._called, lost=self._lost)
        return False

    def _said(self, error: Exception) -> str:
        """The error and, after the first step, the resource or resources it is about."""
        named = some(_texts(self._about))
        return f"{error} ({named})" if named else str(error)

    async def _read(self, scopes: Sequence[Scope]) -> AsyncIterator[None]:
        """Take each step for everything that the one before found. Yields after each call."""
        first, last = self._question.steps[0], self._question.steps[-1]
        for step in self._question.steps:
            calls, following = list(_calls(step, scopes)), list[Scope]()
            for done, (parameters, shared) in enumerate(calls, 1):
                self._about = [] if step is first else _found(parameters, step)
                async for answer, more in self._pages(step, parameters, gone=step is not first):
                    if answer is None:
                        calls += _singly(step, parameters, shared)
                    elif step is last:
                        self._refer(answer, shared[0])
                    else:
                        found = list(_fanned(search(step.each or "", answer)))
                        following += ({**scope, **values} for scope in shared for values in found)
                    self.left = len(calls) - done + more + bool(following)
                    yield
            scopes = following

    async def _pages(
        self, step: Step, parameters: Mapping[str, Any], *, gone: bool
    ) -> AsyncIterator[tuple[Mapping[str, Any] | None, bool]]:
        """Yield each answer of a call, and whether more follow. Where it is about a resource, which
        may be `gone`, the answer is None if that is gone or cannot be an owner.
        """
        page: dict[str, Any] = {}
        while True:
            try:
                answer = await self._call(step, {**parameters, **page})
            except CallError as error:
                nothing = _is_one(error, (*self._question.none, *_NOWHERE))
                if page or not (nothing or (gone and _GONE.search(error.code))):
                    raise
                if not gone:
                    raise _NobodyError from error
                yield None, False
                return
            token = search(step.token[1], answer) if step.token else None
            yield answer, bool(token)
            if not step.token or not token:
                return
            if page == {step.token[0]: token}:
                raise UnavailableError(
                    step.call, "the same page token twice, so the list would never end"
                )
            page = {step.token[0]: token}

    async def _call(self, step: Step, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make one call, with retries. Raises as Api.call, and _NobodyError if the service has no
        endpoint in the Region.
        """
        api, row, operation = self._api, self._row, step.call
        region = row.home or row.only or api.target.region
        lost = empty = 0

        async def once() -> Mapping[str, Any]:
            nonlocal lost, empty
            try:
                answer = await api.once(
                    row.service, operation, region=region, quota=row.quota, **parameters
                )
                if step.token and not answer.keys() - {"ResponseMetadata"}:
                    empty += 1
                    if empty < BELIEVED:
                        why = "an empty object where a list belongs"
                        raise UnavailableError(operation, why, refused=True)
                return answer
            except UnavailableError as error:
                if _no_such_host(error) and not has_endpoint(row.service, region):
                    raise _NobodyError from error
                lost += not error.refused
                error.last = lost == LOST
                raise

        self.calls += 1
        self._called = operation
        api.counts.owner_calls += 1
        return await retrying(once, api.stop)

    def _refer(self, answer: Mapping[str, Any], scope: Scope) -> None:
        for entry in search(self._question.refs, answer) or ():
            groups, label = entry[0], entry[1] if len(entry) > 1 else None
            values = {"label": "", **scope, **({} if label is None else {"label": label})}
            user = str(_filled(self._row.user, values)).strip()
            for group in _texts([self._group] if groups is None and self._group else groups):
                if name := name_of(str(_filled(group, scope)), self._api.target):
                    self.found.add(name, user)


def name_of(reference: str, target: Target) -> str:
    """Return the name in a reference, a name or an ARN; "" if it is not to a log group of the
    target.
    """
    if not reference.startswith("arn:"):
        return reference
    match = _ARN.fullmatch(reference)
    if match is None or match[1] not in ("", target.region) or match[2] not in ("", target.account):
        return ""
    return match[3]


# ---- parameters ----------------------------------------------------------------------------------


def _calls(step: Step, scopes: Sequence[Scope]) -> Iterator[tuple[dict[str, Any], list[Scope]]]:
    """Yield the parameters of each call of a step, none twice, and the scopes it is made for."""
    parameters = dict(step.parameters)
    many = next((name for name, value in parameters.items() if _is_many(step, value)), None)
    template = parameters.pop(many)[0] if many else ""
    grouped: dict[str, tuple[list[Scope], dict[str, None]]] = {}
    for scope in scopes:
        key = json.dumps(_filled(parameters, scope), sort_keys=True)
        shared, values = grouped.setdefault(key, ([], {}))
        shared.append(scope)
        values[_filled(template, scope)] = None
    for shared, values in grouped.values():
        filled = _filled(parameters, shared[0])
        if many is None:
            yield filled, shared
        else:  # an answer does not tell which of the values it is about
            yield from (
                ({**filled, many: some}, shared[:1]) for some in chunks([*values], step.chunk)
            )


def _singly(
    step: Step, parameters: Mapping[str, Any], shared: list[Scope]
) -> Iterator[tuple[dict[str, Any], list[Scope]]]:
    """Yield a call for each value of a call about several: one that is gone says nothing of the
    others.
    """
    for name, values in parameters.items():
        if _is_many(step, step.parameters.get(name)) and len(values) > 1:
            yield from (({**parameters, name: [value]}, shared) for value in values)


def _is_many(step: Step, value: Any) -> bool:
    """Return whether the parameter is the list that takes many values."""
    return bool(step.chunk) and isinstance(value, list) and _VALUE.fullmatch(value[0]) is not None


def _found(parameters: Mapping[str, Any], step: Step) -> list[Any]:
    """Return the values among a call's parameters that earlier steps found."""
    return [value for name, value in parameters.items() if value != step.parameters[name]]


def _filled(template: Any, scope: Scope) -> Any:
    """Return the template with the names in braces replaced by the scope's values."""
    match template:
        case str():
            return _VALUE.sub(lambda name: str(scope.get(name[1], name[0])), template)
        case list():
            return [_filled(entry, scope) for entry in template]
        case dict():
            return {key: _filled(value, scope) for key, value in template.items()}
    return template


def _fanned(found: Any) -> Iterator[Scope]:
    """Yield an object, or each of a list of them, once for each value of the lists inside it."""
    if isinstance(found, dict):
        found = [{name: [] if value is None else value for name, value in found.items()}]
    for entry in found or ():
        lists = (value if isinstance(value, list) else [value] for value in entry.values())
        yield from (dict(zip(entry, values, strict=True)) for values in product(*lists))


# ---- answers -------------------------------------------------------------------------------------


class _Functions(functions.Functions):  # type: ignore[misc]
    """Functions that JMESPath lacks."""

    @functions.signature({"types": ["string", "null"]})  # type: ignore[untyped-decorator]
    def _func_from_json(self, text: str | None) -> Any:
        """Parse JSON. Raises ValueError."""
        return text and json.loads(text)

    @functions.signature(  # type: ignore[untyped-decorator]
        {"types": ["string", "null"]}, {"types": ["string"]}
    )
    def _func_split(self, text: str | None, separator: str) -> list[str] | None:
        """Split a text."""
        return None if text is None else text.split(separator)


_OPTIONS = jmespath.Options(custom_functions=_Functions())
_compiled = functools.cache(jmespath.compile)


def search(expression: str, answer: Any) -> Any:
    """Return what the JMESPath expression finds. Raises JMESPathError or ValueError."""
    return _compiled(expression).search(answer, options=_OPTIONS)


def _texts(found: Any) -> Iterator[str]:
    """Yield the texts in nested lists."""
    match found:
        case str():
            yield found
        case list():
            for entry in found:
                yield from _texts(entry)


# ---- errors --------------------------------------------------------------------------------------


def _is_one(error: CallError, known: Sequence[str]) -> bool:
    """Return whether the error is a known one: "Code", "Code: part of the message" or, without a
    message, "Code: ".
    """
    for entry in known:
        code, colon, part = entry.partition(": ")
        said = part.lower() in str(error).lower() if part else str(error).endswith(f": {code}")
        if code in ("", error.code) and (said or not colon):
            return True
    return False


def _no_such_host(error: BaseException) -> bool:
    """Return whether DNS has no host of that name."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_NONAME:
            return True
        inner = getattr(cause, "kwargs", {}).get("error")
        cause = inner or cause.__cause__ or cause.__context__
    return False
