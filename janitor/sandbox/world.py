"""What a call is answered from: the store, the time, the keys, open questions and page tokens."""

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
from janitor.sandbox.store import Group, Region, Store, arn_of, name_of
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import NAMED_BY, Call, RefusedError


@dataclass(frozen=True, slots=True)
class Key:
    """An access key. `expires` is ms since the epoch, None for never; `role` is the ARN of the role
    whose `session` has it, None for a user's.
    """

    account: str
    expires: int | None = None
    role: str | None = None
    session: str = ""


@dataclass
class World:
    """`empty_pages` is the share of pages that are empty and not the last; `token_age` is how many
    seconds a token lives; `page` the most entries of a page, which may be fewer than asked for;
    `dry_run_until` until when (ms) somebody's dry run is in progress, by account.
    """

    store: Store
    clock: Clock
    random: random.Random
    empty_pages: float = 0.0
    token_age: float = 86_400.0
    invoked: list[dict[str, Any]] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    tokens: int = 0
    page: int = 50
    unknowns: Unknowns = field(default_factory=Unknowns)
    dry_run_until: dict[str, int] = field(default_factory=dict)

    def region(self, call: Call) -> Region:
        return self.store.region(call.account, call.region)

    def group(self, call: Call) -> Group:
        """The log group that the call names. Raises RefusedError where there is none, or where its
        class refuses the call.
        """
        p = call.parameters
        given = [str(p[key]) for key in NAMED_BY if p.get(key)]
        given = given or list(p.get("logGroupIdentifiers") or ())
        if not given:
            raise RefusedError("InvalidParameterException", "logGroupName or logGroupIdentifier")
        if len(given) > 1:
            # As AWS says for DescribeLogStreams (LocalStack's recorded test_logs_streams).
            said = "LogGroup name and LogGroup ARN are mutually exclusive parameters."
            raise RefusedError("ValidationException", said)
        [identifier] = given
        if "resourceArn" in p and (":log-group:" not in identifier or identifier.endswith(":*")):
            # As boto3 issue 4104 and cloud-nuke issue 1150 have it, though no model names the code.
            raise RefusedError("ValidationException", "Invalid resourceArn")
        found = self.identified(call, identifier)
        if found is None:
            raise RefusedError(
                "ResourceNotFoundException", "The specified log group does not exist."
            )
        classes.refuse(call, found.name, found.log_class, self.unknowns)
        return found

    def identified(self, call: Call, identifier: str) -> Group | None:
        """The log group of that name, or of that ARN in the caller's account and Region."""
        name = name_of(identifier)
        if identifier not in (name, arn_of(call.account, call.region, name)):
            return None
        return self.region(call).get(name)

    def token(self, kind: str, place: Any) -> str:
        """A page token, never the same twice."""
        self.tokens += 1
        text = json.dumps([kind, self.tokens, self.clock.now(), place])
        return base64.urlsafe_b64encode(text.encode()).decode()

    def place(
        self, kind: str, token: str | None, start: Any, code: str = "InvalidParameterException"
    ) -> Any:
        """Where a token says to go on. Raises RefusedError on garbage or an expired one."""
        if token is None:
            return start
        try:
            made_for, _number, at, place = json.loads(base64.urlsafe_b64decode(token))
        except (ValueError, binascii.Error) as error:
            raise RefusedError(code, "The specified nextToken is invalid.") from error
        if made_for != kind or self.clock.now() - at > 1000 * self.token_age:
            raise RefusedError(code, "The specified nextToken is invalid.")
        return place

    def page_of(
        self, call: Call, key: str, entries: Sequence[Any], size: tuple[str, int]
    ) -> dict[str, Any]:
        """A page of entries in their order; `size` is the parameter that asks for how many, and its
        default.
        """
        kind, (name, usual) = f"{call.operation} {call.group}", size
        token = "NextToken" if name[0].isupper() else "nextToken"
        place = self.place(kind, call.parameters.get(token), 0)
        limit = call.parameters.get(name, usual)
        if call.service == "logs":
            limit = min(limit, self.page)
        if self.empty():
            return {key: [], token: self.token(kind, place)}
        answer: dict[str, Any] = {key: entries[place : place + limit]}
        if place + limit < len(entries):
            answer[token] = self.token(kind, place + limit)
        return answer

    def empty(self) -> bool:
        """Whether this page shall be empty, though it is not the last."""
        return self.empty_pages > 0 and self.random.random() < self.empty_pages


Handler = Callable[[World, Call], dict[str, Any]]
"""Carries a call out and answers with its result. Raises RefusedError."""


def invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


def document(call: Call) -> tuple[str, Any]:
    """The policyDocument as it was sent, and what it says. Raises RefusedError if it is no JSON."""
    text = str(call.parameters.get("policyDocument"))
    try:
        return text, json.loads(text)
    except ValueError as error:
        raise invalid(f"policyDocument: {error}") from error
