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
class Fault:
    """Refused with a `code`, answered with another `body`, lost by a `reset` of the connection, or
    only `late` by so many seconds. Before the effect, or `after` it has taken place. A service that
    is `unreachable`, because its host does not exist or the network has no route, is so only
    in-process.
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
        """Whether nothing is wrong but the time that it takes."""
        return self.late > 0

    def refusal(self, call: Call) -> RefusedError:
        """Throttling is called as each service calls it."""
        if "Throttl" in self.code:
            code, status = THROTTLING[call.service]
            return RefusedError(code, "Rate exceeded", status)
        return RefusedError(self.code, "told to", self.status)


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
"""How operations begin that change something."""
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
"""In the order in which they are drawn; two of them are made for each call."""


class Rates:
    """Seeded faults, each with its share (0 to 1) of all calls; `aborted` are only changes."""

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
