"""The fake account on trial: calls are observed, some are disturbed, and others act meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import EndpointConnectionError

from janitor.core.clock import Clock
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import RealClock
from janitor.sandbox.wire import Answer, Call, RefusedError, Reply, Request, refused
from tests.fakes.actors import Actor
from tests.fakes.builder import Builder
from tests.fakes.faults import Fault, Faults
from tests.fakes.judge import Change, Judge, Verdict


@dataclass
class Seen:
    """What became of a call. If `heard`, the caller is sent `call.result` after `delay` seconds;
    `change` is what it changed, or tried to.
    """

    call: Call
    delay: float
    fault: Fault | None = None
    change: Change | None = None
    refused: RefusedError | None = None
    heard: bool = False


class _Still:
    """A clock whose `now` stands still during a call, so that all who ask agree."""

    def __init__(self, clock: Clock) -> None:
        self.monotonic = clock.monotonic
        self._clock = clock
        self.tick()

    def tick(self) -> None:
        self._now = self._clock.now()

    def now(self) -> int:
        return self._now


class Cloud(Sandbox):
    """The account that a builder made.

    `faults` is asked before each call, and `meanwhile` are actors; `latency` and `jitter` are
    seconds, for callers on the loopback; `options` are the sandbox's. On exit the store must agree
    with the truth.
    """

    def __init__(
        self,
        account: Builder,
        *,
        latency: float = 0.0,
        jitter: float = 0.0,
        faults: Faults | None = None,
        clock: Clock | None = None,
        meanwhile: Iterable[Actor] = (),
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.account = account
        self.faults = faults
        self.actors = list(meanwhile)
        self._judge = Judge(account.truth)
        self._latency, self._jitter = latency, jitter
        self._random = random.Random(seed)
        self._still = _Still(clock or RealClock())
        options |= {"clock": self._still, "seed": seed, "intercept": self._between}
        super().__init__(account.store, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.account.agree(self.clock.now())

    @property
    def calls(self) -> Counter[str]:
        """Requests per operation, including throttled and failed ones."""
        return self.judge().calls

    def judge(self) -> Verdict:
        """The verdict on what happened so far."""
        with self.lock:
            return self._judge.verdict()

    def seen(self, seen: Seen) -> None:
        """Called after every call, for subclasses."""

    def handle(self, request: Request) -> Reply:
        with self.lock:
            self._still.tick()
            return super().handle(request)

    def _between(self, call: Call, answer: Callable[[], Answer]) -> Reply:
        self.account.elapse(self.clock.now())
        self._judge.called(call, self.clock.monotonic())
        delay = self._latency + self._random.uniform(-self._jitter, self._jitter)
        seen = Seen(call, max(delay, 0.0))
        try:
            for actor in self.actors:
                actor(call, self.account, self.clock.now())
            seen.fault = None if self.faults is None else self.faults(call)
            sent = self._disturbed(seen, answer)
        except RefusedError as error:
            seen.refused = error
            self._judge.refused(call, error)
            if seen.change is None:
                seen.change = self._judge.tried(call, self.clock.now())
            sent = refused(call, error)
        self.seen(seen)
        return Reply(sent, seen.delay)

    def _disturbed(self, seen: Seen, answer: Callable[[], Answer]) -> Answer | None:
        if (fault := seen.fault) is None or fault.slow:
            seen.delay += fault.late if fault else 0
            return self._effect(seen, answer)
        if fault.unreachable:
            self.seen(seen)
            raise EndpointConnectionError(endpoint_url=seen.call.service)
        if fault.after:
            self._effect(seen, answer, heard=False)
        if fault.code:
            raise fault.refusal(seen.call)
        return None if fault.reset else Answer(200, "application/x-amz-json-1.1", fault.body or b"")

    def _effect(self, seen: Seen, answer: Callable[[], Answer], *, heard: bool = True) -> Answer:
        sent = answer()
        seen.change = self._judge.answered(seen.call, self.clock.now(), self.clock.monotonic())
        seen.heard = heard
        if heard:
            self._judge.heard(seen.call, self.clock.monotonic())
        return sent
