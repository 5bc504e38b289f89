"""`janitor sandbox serve` and `new-groups`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest

from janitor.core.exit_codes import Exit
from janitor.sandbox import demo
from janitor.terminal import cli
from janitor.terminal import demo as terminal_demo
from janitor.terminal import fleet as terminal_fleet
from tests.conftest import Run
from tests.terminal.conftest import environment, start
from tests.virtual import VirtualClock

OVERRIDING = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")


def pasted(lines: str) -> dict[str, str]:
    """Return the environment of a shell with overriding variables, after pasting the lines."""
    before = environment(**dict.fromkeys(OVERRIDING, "true"))
    shell = subprocess.run(
        ["sh", "-c", f"{lines}\nenv -0"], env=before, capture_output=True, check=True
    )
    pairs = (entry.partition("=") for entry in shell.stdout.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs}


def groups(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the log groups that a client with that environment sees."""
    for name in os.environ.keys() | variables.keys():
        if name in variables:
            monkeypatch.setenv(name, variables[name])
        else:
            monkeypatch.delenv(name)
    pages = boto3.Session().client("logs").get_paginator("describe_log_groups").paginate()
    return [group for page in pages for group in page["logGroups"]]


@pytest.mark.parametrize(
    ("how", "quotas", "code"), [(signal.SIGTERM, (), 0), (signal.SIGINT, ("--quotas",), 130)]
)
def test_the_demo_account_is_served_to_a_shell_with_the_printed_lines(
    how: signal.Signals,
    quotas: tuple[str, ...],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SIGTERM (0) or Ctrl-C (130) ends it, and leaves nothing behind."""
    process = start("sandbox", "serve", *quotas, cwd=tmp_path)
    try:
        assert process.stdout is not None
        lines = ""
        while "NO_PROXY" not in lines:
            line = process.stdout.readline()
            assert line, process.communicate()
            lines += line
        variables = pasted(lines)
        assert not variables.keys() & set(OVERRIDING)
        assert len(groups(variables, monkeypatch)) == demo.GROUPS["eu-west-1"]
        process.send_signal(how)
        out, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (code, "")
    [message] = error.splitlines()
    assert variables["AWS_ENDPOINT_URL"] in message
    assert "2026-11-25 09:00 UTC" in message
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_one_clear_line(run: Run) -> None:
    """The signal handlers are restored."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("sandbox", "serve", "--port", port)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"janitor: --port {port}: Address already in use\n"
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("show", [terminal_demo.demo, terminal_fleet.fleet])
def test_ctrl_c_ends_a_demo_and_not_just_its_first_command(
    show: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changes nothing after that, and says where the account is."""
    begun: list[Sequence[str]] = []

    def interrupted(words: Sequence[str]) -> int:
        begun.append(words)
        return Exit.INTERRUPTED

    monkeypatch.setattr(cli, "main", interrupted)
    assert show() == Exit.INTERRUPTED
    assert [words[0] for words in begun] == ["report"]


def test_the_demo_of_new_log_groups_shows_each_outcome(run: Run) -> None:
    """One gets retention and its owner's tags, one has retention already, and one is exempt."""
    done = run("sandbox", "new-groups")
    assert (done.code, done.err) == (0, "")
    lines = [line.strip() for line in done.out.splitlines()]
    for line in (
        "/aws/lambda/checkout-v2: done: no retention is in force; rule 'lambda' sets 365 days",
        "tags copied from the function that it belongs to: team, cost-centre",
        "/ecs/checkout-v2: kept: retention of 30 days",
        "/lab/checkout-experiment: kept: protected by tag: janitor:keep",
    ):
        assert line in lines
    journal = Path(done.out.rsplit(": ", 1)[1].strip())
    changes = [json.loads(line) for line in journal.read_text().splitlines()]
    assert {(change["action"], change["group"]) for change in changes} == {
        ("set_retention", "/aws/lambda/checkout-v2"),
        ("add_tags", "/aws/lambda/checkout-v2"),
    }


def test_retries_in_the_sandbox_do_not_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unclear answer is asked for again at once, because time stands still there."""
    clock = VirtualClock(demo.NOW)
    monkeypatch.setattr(asyncio, "run", clock.run)
    done = run("explain", "/odd/unclear-metric", "--sandbox")
    assert "no complete answer for this log group" in done.out
    assert clock.passed < 1
