"""What the modules here share: commands as processes, calls on the sandbox observed, and
one survey in every format.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from unittest import mock

import pytest

from janitor.report.base import Format, Report
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Region, Store
from janitor.sandbox.wire import Answer, Call, Reply
from janitor.terminal.run import _Work
from tests.conftest import Said, janitor

Watch = Callable[[Callable[[Call], object]], None]
ROOT = Path(__file__).parents[2]
NEW = 400
"""Log groups of `slow_account` that get retention: more than are worked on at a time."""


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without AWS, at 80 columns."""
    without_aws = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    return without_aws | {
        "COLUMNS": "80",
        "PYTHONPATH": str(ROOT),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **extra,
    }


def start(
    *words: str,
    cwd: Path,
    variables: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    """Start `python -m janitor …` in a folder, with additional variables."""
    return subprocess.Popen(
        [sys.executable, "-m", "janitor", *words],
        cwd=cwd,
        env=environment(**(variables or {})),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def slow_account(policy_with_few_owners: Path) -> Iterator[tuple[Region, dict[str, str]]]:
    """An account in which each call takes 20 ms, and the variables that lead to it."""
    store, now = Store(), int(time.time() * 1000)
    for number in range(NEW):
        store.add_group("123456789012", "eu-west-1", f"/new/{number:03}", created=now, stored=9)
    sandbox = Sandbox(store, intercept=lambda _call, answer: Reply(answer(), delay=0.02))
    with sandbox.serving() as url:
        variables = sandbox.environment(url) | {"JANITOR_POLICY": str(policy_with_few_owners)}
        yield store.region("123456789012", "eu-west-1"), variables


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
