"""What calls are answered from: the store, the time, access keys, open questions, page tokens."""

from __future__ import annotations

import base64
import binascii
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from janitor.core.clock import Clock
from janitor.sandbox import classes
from janitor.sandbox.store import Group, Region, Store, Stream, arn_of, name_of
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call, RefusedError


@dataclass(frozen=True, slots=True)
class Key:
    """An access key. `expires` is ms since the epoch, or None for never; `role` is the ARN of the
    role that `session` assumed, or None for a user.
    """

    account: str
    expires: int | None = None
    role: str | None = None
    session: str = ""


Fetch = Callable[[Any], tuple[Sequence[Any], Any]]
"""Returns the entries of the page at a place, and the place of the next page (None: no more)."""


@dataclass
class World:
    """`empty_pages` is the share (0 to 1) of pages that are empty and not the last, `token_age` the
    lifetime of a page token in seconds, `page` the most log groups, streams or filters of a page,
    and `unknowns` answers what AWS leaves open. `dry_run_until` is when (ms), by account, somebody
    else's dry run ends.
    """

    store: Store
    clock: Clock
    random: random.Random
    keys: dict[str, Key]
    empty_pages: float = 0.0
    token_age: float = 86_400.0
    page: int = 50
    unknowns: Unknowns = field(default_factory=Unknowns)
    tokens: int = 0
    invoked: list[dict[str, Any]] = field(default_factory=list)
    dry_run_until: dict[str, int] = field(default_factory=dict)

    def region(self, call: Call) -> Region:
        return self.store.region(call.account, call.region)

    def group(self, call: Call) -> Group:
        """The log group that the call names. Raises RefusedError if there is none, or if its class
        refuses the call.
        """
        if not (given := call.identifiers):
            raise invalid("logGroupName or logGroupIdentifier")
        if len(given) > 1:
            # As AWS says for DescribeLogStreams (LocalStack's recorded test_logs_streams).
            message = "LogGroup name and LogGroup ARN are mutually exclusive parameters."
            raise RefusedError("ValidationException", message)
        [identifier] = given
        name = name_of(identifier)
        if "resourceArn" in call.parameters and (name == identifier or identifier.endswith(":*")):
            # As boto3 issue 4104 and cloud-nuke issue 1150 have it, though no model names the code.
            raise RefusedError("ValidationException", "Invalid resourceArn")
        own = identifier in (name, arn_of(call.account, call.region, name))
        found = self.region(call).get(name) if own else None
        if found is None:
            raise missing("log group")
        classes.refuse(call, found.name, found.log_class, self.unknowns)
        return found

    def stream(self, call: Call) -> tuple[Group, Stream]:
        """The log group and log stream that the call names. Raises RefusedError."""
        group = self.group(call)
        stream = group.streams.get(str(call.parameters.get("logStreamName")))
        if stream is None:
            raise missing("log stream")
        return group, stream

    def token(self, kind: str, place: Any) -> str:
        """A page token, never the same twice."""
        self.tokens += 1
        text = json.dumps([kind, self.tokens, self.clock.now(), place])
        return base64.urlsafe_b64encode(text.encode()).decode()

    def place(
        self, kind: str, token: str | None, start: Any, code: str = "InvalidParameterException"
    ) -> Any:
        """Where the page of this token begins. Raises RefusedError if it is invalid or expired."""
        if token is None:
            return start
        try:
            made_for, _number, at, place = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, binascii.Error):
            made_for = None
        if made_for != kind or self.clock.now() - at > 1000 * self.token_age:
            raise RefusedError(code, "The specified nextToken is invalid.")
        return place

    def paginate(
        self, call: Call, key: str, start: Any, fetch: Fetch, token: str = ""
    ) -> dict[str, Any]:
        """The page at the place of the call's token, or at `start`, under this key."""
        kind = f"{call.operation} {call.group}"
        token = token or ("NextToken" if key[0].isupper() else "nextToken")
        place = self.place(kind, call.parameters.get(token) or None, start)
        entries, following = ([], place) if self.empty() else fetch(place)
        more = {} if following is None else {token: self.token(kind, following)}
        return {key: entries, **more}

    def page_of(
        self, call: Call, key: str, entries: Sequence[Any], size: tuple[str, int]
    ) -> dict[str, Any]:
        """A page of the entries; `size` is the parameter for the page size, and its default."""
        limit = call.parameters.get(*size)
        if call.service == "logs":
            limit = min(limit, self.page)

        def fetch(place: int) -> tuple[Sequence[Any], int | None]:
            end = place + limit
            return entries[place:end], end if end < len(entries) else None

        return self.paginate(call, key, 0, fetch)

    def empty(self) -> bool:
        """Whether to answer with an empty page that is not the last."""
        return self.empty_pages > 0 and self.random.random() < self.empty_pages


Handler = Callable[[World, Call], dict[str, Any]]
"""Carries out a call and returns its result. Raises RefusedError."""


def invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


def missing(what: str) -> RefusedError:
    return RefusedError("ResourceNotFoundException", f"The specified {what} does not exist.")


def unheeded(what: object) -> RefusedError:
    """The refusal of what is not supported here: to ignore it would give a wrong answer."""
    return RefusedError("UnknownOperationException", f"The sandbox does not support {what}")


def document(call: Call) -> tuple[str, Any]:
    """The policyDocument as text and parsed. Raises RefusedError if it is not JSON."""
    text = str(call.parameters.get("policyDocument"))
    try:
        return text, json.loads(text)
    except ValueError as error:
        raise invalid(f"policyDocument: {error}") from error
