"""Fixtures that several test modules share."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.compat import HTTPHeaders
from hypothesis import HealthCheck, settings

from janitor.aws.models import Plain, cut
from janitor.aws.workers import GARBAGE
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import Policy, load
from janitor.sandbox import inprocess
from janitor.sandbox.services import MODELS
from janitor.terminal.cli import main
from tests.report.browser import LEFT_OUT

T = TypeVar("T")

gc.set_threshold(GARBAGE)  # as the program has it: a fifth of the CPU time otherwise

# No test cuts the power: whether a line is on the disk by now is waited for by nobody.
mock.patch.object(os, "fsync").start()

# Requests here are signed with nothing: no fake checks it, and it takes a quarter of a call's time.
mock.patch.multiple(
    SigV4Auth,
    canonical_request=lambda *_: "",
    headers_to_sign=lambda *_: HTTPHeaders(),
    signature=lambda *_: "",
).start()


def _seed() -> str:
    """What a run tries of what is shared over several: another part with each commit. `all` is
    everything.
    """
    said = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    head = int(said.stdout or "0", 16)
    return os.environ.setdefault("TEST_SEED", str(head % 1000))  # for the workers too


SEED = _seed()


def shared(items: Sequence[T], parts: int = 3) -> Sequence[T]:
    """The part of the items that is this run's."""
    return items if SEED == "all" else items[int(SEED) % parts :: parts]


def pytest_report_header() -> str:
    """How to run the same once more."""
    return f"TEST_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and clearly, if the browser's tests were left out."""
    if any(
        LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())
    ):
        terminalreporter.write_sep("=", LEFT_OUT, red=True)


# `ci` tries the same examples each time, so that it gives a verdict; `deep` (`make proof`) others
# each time, from a seed that it prints.
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("deep", settings.get_profile("ci"), derandomize=False)
settings.load_profile("ci")


@pytest.fixture
def policy() -> Policy:
    """The shipped policy."""
    return load(None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    """A journal in a folder of the test's own."""
    journal = FileJournal(tmp_path / "journal.jsonl", Lines("run", "policy"))
    yield journal
    journal.close()


@dataclass(frozen=True)
class Said:
    """What a command answered with."""

    code: int
    out: str
    err: str


CUT = type(MODELS)(MODELS.search_paths, include_default_search_paths=False)
"""What the program's clients need of botocore's models and no more, as in a process of its own."""
CUT.file_loader, CUT.cut = Plain(), cut


def janitor(*words: str) -> Said:
    """`janitor …` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(inprocess, "MODELS", CUT),
    ):
        code = main([*words])
    return Said(code, out.getvalue(), err.getvalue())


Run = Callable[..., Said]


def nothing_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment without AWS, at 80 columns."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "JANITOR_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`janitor …` in this process, in an empty folder, with nothing of AWS around."""
    monkeypatch.chdir(tmp_path)
    nothing_of_aws(monkeypatch)
    return janitor


@pytest.fixture(scope="session")
def policy_with_few_owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped policy, but that three kinds of owners are asked of some eighty."""
    path = tmp_path_factory.mktemp("policy") / "few-owners.toml"
    few = 'owners = ["lambda", "lambda-edge", "ecs-task-definition"]'
    path.write_text(janitor("policy", "show").out.replace("owners = true", few))
    return path


@pytest.fixture
def few_owners(run: Run, policy_with_few_owners: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands go by that policy: half of the time, and the same is done, because in the demo
    account nothing else is in use.
    """
    monkeypatch.setenv("JANITOR_POLICY", str(policy_with_few_owners))
