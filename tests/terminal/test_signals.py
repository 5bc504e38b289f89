"""Ctrl-C, SIGTERM and SIGHUP: in a run, at a question, while stdin is read, at any other time."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from janitor.core.clock import Stop
from janitor.core.errors import InterruptionError
from janitor.journal.journal import FileJournal, Lines
from janitor.sandbox.store import Region
from janitor.terminal import consent
from janitor.terminal.options import Options
from janitor.terminal.output import naming
from janitor.terminal.signals import interruptible
from tests.conftest import Run
from tests.terminal.conftest import NEW, environment, start


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_lets_calls_in_flight_finish_and_exits_130(
    sent: signal.Signals, tmp_path: Path, slow_account: tuple[Region, dict[str, str]]
) -> None:
    """The JSON on stdout is still valid, and says that the run is not complete."""
    words = ("run", "--apply", "--yes", "--format", "json")
    process = start(*words, cwd=tmp_path, variables=slow_account[1])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("janitor-journal-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sent)
    out, error = process.communicate(timeout=60)
    summary = json.loads(out)["summary"]
    assert process.returncode == 130, error
    assert summary["complete"] is False
    assert summary["not_reached"] == NEW - summary["retention_set"] > 0
    assert "Traceback" not in error


def test_a_second_ctrl_c_ends_at_once_even_if_the_loop_is_busy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the journal, if there is one."""
    journal = FileJournal(tmp_path / "j", Lines("r", "p"))

    async def busy() -> None:
        with naming(journal), interruptible(Stop()):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    for journal.written in (False, True):
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(busy())
        error = capsys.readouterr().err
        assert (f"journal: {tmp_path / 'j'}" in error) is journal.written
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_ends_a_question_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that is ignored, as under nohup, stays ignored."""

    class Stdin:
        def readline(self) -> str:
            signal.raise_signal(signal.SIGTERM)
            return "y\n"

    async def ignoring() -> None:
        with interruptible(stop := Stop()):
            signal.raise_signal(signal.SIGHUP)
            await asyncio.sleep(0)
            assert not stop.is_set()

    monkeypatch.setattr("sys.stdin", Stdin())
    monkeypatch.setattr(consent, "can_ask", lambda: True)
    with pytest.raises(InterruptionError, match="before anything was done"):
        consent.ask(Options(), "Do it")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(ignoring())
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("words", [("report", "-p", "-"), ("restore", "-")], ids=" ".join)
def test_ctrl_c_does_not_wait_for_the_end_of_stdin(
    words: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy or a journal may be typed, or come from a command that never ends."""

    class Endless(io.RawIOBase):
        def read(self, _most: int = -1) -> bytes:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("it went on reading")

    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=Endless()))
    ended = run(*words, "--sandbox")
    assert (ended.code, ended.err.splitlines()[-1]) == (130, "janitor: interrupted")


def test_a_signal_at_any_time_prints_at_most_one_line(tmp_path: Path) -> None:
    """While Python still imports the program it prints none."""

    def ended(code: str) -> tuple[int, str]:
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    code = "import signal; from janitor.terminal import cli; "
    code += "cli.command = lambda: signal.raise_signal(signal.SIGTERM); cli.entry()"
    assert ended(code) == (130, "janitor: interrupted\n")
    late = """
import signal, sys
from janitor.terminal import cli
class Field:
    def __set_name__(self, *_):  # what Python 3.11 wraps
        signal.raise_signal(signal.SIGINT)
cli.import_module = lambda _name: {}
sys.argv[1:] = ["report", "--sandbox"]
cli.entry()
"""
    for happens in ("signal.raise_signal(signal.SIGINT)", "type('Row', (), {'field': Field()})"):
        assert ended(late.replace("{}", happens)) == (130, "janitor: interrupted\n")
    early = """
import runpy, signal, sys
class Imports:
    def find_spec(self, name, *_):
        name == "typer" and signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Imports())
runpy.run_module("janitor", run_name="__main__")
"""
    assert ended(early) == (-signal.SIGINT, "")
