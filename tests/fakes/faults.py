"""What can go wrong with a call: `Faults` is any callable from a `Call` to a `Fault` or None."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from janitor.sandbox.account import THROTTLING
from janitor.sandbox.wire import Call, RefusedError


@dataclass(frozen=True, slots=True)
class Fault:
    """The call is refused with a `code`, answered with another `body`, lost by a `reset` of the
    connection, or only `late` (seconds); before its effect, or `after` it. A service that is
    `unreachable` (no host of that name, no route) is so only in the process.
    """

    code: str = ""
    status: int = 400
    after: bool = False
    body: bytes | None = None
    reset: bool = False
    late: float = 0.0
    unreachable: bool = False

    @property
    def slow(self) -> bool:
        """Whether only the delay is wrong."""
        return self.late > 0

    def refusal(self, call: Call) -> RefusedError:
        """The refusal; throttling has the service's own code."""
        if "Throttl" in self.code:
            code, status = THROTTLING[call.service]
            return RefusedError(code, "Rate exceeded", status)
        return RefusedError(self.code, "a fault", self.status)


Faults = Callable[[Call], Fault | None]

THROTTLED = Fault("ThrottlingException")
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
"""How the names of changing operations begin."""
_DISTURBED = ("logs", "monitoring", "tagging", "lambda")
_KINDS = {
    "throttle": THROTTLED,
    "unavailable": Fault("ServiceUnavailableException", 503),
    "internal": Fault("InternalFailure", 500),
    "internal_after": Fault("InternalFailure", 500, after=True),
    "reset_before": Fault(reset=True),
    "reset_after": Fault(reset=True, after=True),
    "slow": None,
    "garbage": None,
    "aborted": Fault("OperationAbortedException"),
    "skewed": Fault("RequestTimeTooSkewed", 403),
}
"""In the order in which they are drawn; None is made for each call."""


class Rates:
    """Seeded faults, each with its share (0 to 1) of all calls; `aborted` only of changes."""

    def __init__(self, seed: int = 0, *, slow_seconds: float = 1.0, **shares: float) -> None:
        assert shares.keys() <= _KINDS.keys()
        self._random = random.Random(seed)
        self._shares = shares
        self._slow = Fault(late=slow_seconds)

    def __call__(self, call: Call) -> Fault | None:
        if call.service not in _DISTURBED:
            return None
        garbage = Fault(body=self._random.choice(GARBAGE), after=True)
        drawn = self._random.random()
        for kind, fault in _KINDS.items():
            share = self._shares.get(kind, 0)
            if kind == "aborted" and not call.operation.startswith(CHANGING):
                share = 0
            if drawn < share:
                return fault or {"slow": self._slow, "garbage": garbage}[kind]
            drawn -= share
        return None
