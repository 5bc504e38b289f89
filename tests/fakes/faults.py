"""What can go wrong with a call, by script or by rate.

A fault script is any callable that takes a `Call` and answers with a `Fault` or None.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from janitor.sandbox.account import THROTTLING
from janitor.sandbox.wire import Call, RefusedError


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answered with an error, before the effect or (`after`) once it has taken place."""

    code: str
    status: int = 400
    message: str = "told to"
    after: bool = False

    def of(self, call: Call) -> RefusedError:
        """As the service says it that is called."""
        if "Throttl" in self.code:
            code, status = THROTTLING[call.service]
            return RefusedError(code, "Rate exceeded", status)
        if self.code == DENIED.code:
            return _denied(call)
        return RefusedError(self.code, self.message, self.status)


def _denied(call: Call) -> RefusedError:
    if call.protocol == "ec2":
        said = "You are not authorized to perform this operation."
        return RefusedError("UnauthorizedOperation", said, 403)
    action = f"{_ACTION_SERVICE.get(call.service, call.service)}:{call.operation}"
    said = f"User: arn:aws:iam::{call.account}:user/somebody is not authorized to perform: {action}"
    if call.protocol in ("query", "rest-xml"):
        return RefusedError("AccessDenied", said, 403)
    return RefusedError(DENIED.code, said, 403 if call.protocol == "rest-json" else 400)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset, before the effect or after it."""

    after: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """Answered so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 with this body; the effect took place."""

    body: bytes


_ACTION_SERVICE = {"monitoring": "cloudwatch", "tagging": "tag"}
Fault = Refuse | Reset | Slow | Garbage
Faults = Callable[[Call], Fault | None]

THROTTLED = Refuse("ThrottlingException", 400, "Rate exceeded")
UNAVAILABLE = Refuse("ServiceUnavailableException", 503)
INTERNAL = Refuse("InternalFailure", 500)
ABORTED = Refuse("OperationAbortedException", 400, "A conflicting operation is in progress")
DENIED = Refuse("AccessDeniedException", 400, "User is not authorized to perform this operation")
GARBAGE = (
    b"{not json",
    b"",
    b"{}",
    b"[]",
    b"7",
    b'{"logGroups":7,"logStreams":"none","subscriptionFilters":{},"MetricDataResults":1,'
    b'"ResourceTagMappingList":"x","events":null,"Functions":0}',
)
CHANGING = ("Associate", "Create", "Delete", "Disassociate", "Put", "Tag", "Untag")
"""How operations begin that change something."""


@dataclass
class Rates:
    """Seeded faults, each with its share (0 to 1) of all calls of the services named."""

    seed: int = 0
    throttle: float = 0
    unavailable: float = 0
    internal: float = 0
    internal_after: float = 0
    reset_before: float = 0
    reset_after: float = 0
    slow: float = 0
    slow_seconds: float = 1.0
    garbage: float = 0
    aborted: float = 0
    services: frozenset[str] = frozenset({"logs", "monitoring", "tagging", "lambda"})

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def __call__(self, call: Call) -> Fault | None:
        if call.service not in self.services:
            return None
        choices: tuple[tuple[float, Fault], ...] = (
            (self.throttle, THROTTLED),
            (self.unavailable, UNAVAILABLE),
            (self.internal, INTERNAL),
            (self.internal_after, Refuse("InternalFailure", 500, after=True)),
            (self.reset_before, Reset(after=False)),
            (self.reset_after, Reset(after=True)),
            (self.slow, Slow(self.slow_seconds)),
            (self.garbage, Garbage(self._random.choice(GARBAGE))),
            (self.aborted if call.operation.startswith(CHANGING) else 0, ABORTED),
        )
        drawn = self._random.random()
        for share, fault in choices:
            if drawn < share:
                return fault
            drawn -= share
        return None


def deny(
    *, operation: str | None = None, region: str | None = None, group: str | None = None
) -> Faults:
    """AccessDeniedException where all that is given matches."""

    def denied(call: Call) -> Fault | None:
        matches = (
            (operation is None or call.operation == operation)
            and (region is None or call.region == region)
            and (group is None or call.group == group)
        )
        return DENIED if matches else None

    return denied


def once(operation: str, fault: Fault, nth: int = 1) -> Faults:
    """The fault for the nth call of the operation only."""
    seen = 0

    def scripted(call: Call) -> Fault | None:
        nonlocal seen
        seen += call.operation == operation
        return fault if call.operation == operation and seen == nth else None

    return scripted


def first_of(*scripts: Faults) -> Faults:
    """The first fault that any of the scripts has; each is told of every call, so that they count
    alike.
    """

    def scripted(call: Call) -> Fault | None:
        faults = [script(call) for script in scripts]
        return next((fault for fault in faults if fault is not None), None)

    return scripted
