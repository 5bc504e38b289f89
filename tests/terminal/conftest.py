"""What the modules here share: calls on the sandbox observed, and one survey in every format."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import IO, Any
from unittest import mock

import pytest

from janitor.report.base import Format, Report
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Answer, Call, Reply
from janitor.terminal.run import _Work
from tests.conftest import Said, janitor

Watch = Callable[[Callable[[Call], object]], None]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Pass each call on the sandbox to a function, which may raise RefusedError."""

    def watch(look: Callable[[Call], object]) -> None:
        def between(call: Call, answer: Callable[[], Answer]) -> Reply:
            look(call)
            return Reply(answer())

        def sandbox(store: Store, now: int) -> Sandbox:
            return Sandbox(store, clock=ManualClock(now), intercept=between)

        monkeypatch.setattr(demo, "sandbox", sandbox)

    return watch


class _All:
    """Forwards everything to several reports."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self._reports = reports

    def __getattr__(self, name: str) -> Callable[..., None]:
        def forward(*arguments: object) -> None:
            for report in self._reports:
                getattr(report, name)(*arguments)

        return forward


def in_every_format(*words: str) -> dict[str, Said]:
    """Return a command's output in each format, from one survey; stderr is of `--format json`."""
    outs = {form: io.StringIO() for form in Format}
    make_report = _Work.report

    def report(work: _Work, _out: IO[str], _form: Format) -> Any:
        return _All([make_report(work, out, form) for form, out in outs.items()])

    with mock.patch.object(_Work, "report", report):
        done = janitor(*words, "--format", "json")
    return {form.value: Said(done.code, out.getvalue(), done.err) for form, out in outs.items()}
