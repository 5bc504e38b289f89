"""What several modules here watch the sandbox with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Answer, Call, Reply

Watch = Callable[[Callable[[Call], object]], None]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Shows each call on the sandbox to a function, which may raise RefusedError."""

    def watch(look: Callable[[Call], object]) -> None:
        def between(call: Call, answer: Callable[[], Answer]) -> Reply:
            look(call)
            return Reply(answer())

        def sandbox(store: Store, now: int) -> Sandbox:
            return Sandbox(store, clock=ManualClock(now), intercept=between)

        monkeypatch.setattr(demo, "sandbox", sandbox)

    return watch
