"""What can go wrong with a call: a script is any callable that takes a `Call` and answers with a
`Fault` or None.
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
    after: bool = False

    def of(self, call: Call) -> RefusedError:
        """Throttling is called as each service calls it."""
        if "Throttl" in self.code:
            code, status = THROTTLING[call.service]
            return RefusedError(code, "Rate exceeded", status)
        return RefusedError(self.code, "told to", self.status)


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset, before the effect or after it."""

    after: bool


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There is no way to the service: its host does not exist, or the network has no route. Only
    in-process.
    """


@dataclass(frozen=True, slots=True)
class Slow:
    """Answered so many seconds later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 with this body; the effect took place."""

    body: bytes


Fault = Refuse | Reset | Unreachable | Slow | Garbage
Faults = Callable[[Call], Fault | None]

THROTTLED = Refuse("ThrottlingException")
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
_DISTURBED = ("logs", "monitoring", "tagging", "lambda")
_KINDS: dict[str, Fault | None] = {
    "throttle": THROTTLED,
    "unavailable": Refuse("ServiceUnavailableException", 503),
    "internal": Refuse("InternalFailure", 500),
    "internal_after": Refuse("InternalFailure", 500, after=True),
    "reset_before": Reset(after=False),
    "reset_after": Reset(after=True),
    "slow": None,
    "garbage": None,
    "aborted": Refuse("OperationAbortedException"),
    "skewed": Refuse("RequestTimeTooSkewed", 403),
}
"""In the order in which they are drawn; two of them are made for each call."""


class Rates:
    """Seeded faults, each with its share (0 to 1) of all calls; `aborted` are only changes."""

    def __init__(self, seed: int = 0, *, slow_seconds: float = 1.0, **shares: float) -> None:
        assert shares.keys() <= _KINDS.keys()
        self._random = random.Random(seed)
        self._shares = shares
        self._slow = Slow(slow_seconds)

    def __call__(self, call: Call) -> Fault | None:
        if call.service not in _DISTURBED:
            return None
        made: dict[str, Fault] = {
            "slow": self._slow,
            "garbage": Garbage(self._random.choice(GARBAGE)),
        }
        drawn = self._random.random()
        for kind, fault in _KINDS.items():
            share = self._shares.get(kind, 0)
            if kind == "aborted" and not call.operation.startswith(CHANGING):
                share = 0
            if drawn < share:
                return fault or made[kind]
            drawn -= share
        return None
