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
from janitor.core.process import GARBAGE
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import Policy, load
from janitor.sandbox import inprocess
from janitor.sandbox.services import MODELS
from janitor.terminal.cli import main
from tests.report.browser import LEFT_OUT

T = TypeVar("T")

gc.set_threshold(GARBAGE)  # as the program does; it saves a fifth of the CPU time

# No test cuts the power, so none needs to wait for the disk.
mock.patch.object(os, "fsync").start()

# No fake checks signatures, and they take a quarter of a call's time.
mock.patch.multiple(
    SigV4Auth,
    canonical_request=lambda *_: "",
    headers_to_sign=lambda *_: HTTPHeaders(),
    signature=lambda *_: "",
).start()


def _seed() -> str:
    """TEST_SEED, by default a number that changes with each commit. `all` runs every part."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True).stdout
    return os.environ.setdefault("TEST_SEED", str(int(head or "0", 16) % 1000))  # workers too


SEED = _seed()


def shared(items: Sequence[T], parts: int = 3) -> Sequence[T]:
    """This run's part of items that are spread over several runs."""
    return items if SEED == "all" else items[int(SEED) % parts :: parts]


def pytest_report_header() -> str:
    """The seed that repeats this run."""
    return f"TEST_SEED={SEED}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and clearly, whether the browser's tests were left out."""
    if any(
        LEFT_OUT in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())
    ):
        terminalreporter.write_sep("=", LEFT_OUT, red=True)


# `ci` tries the same examples each time; `deep` (`make proof`) tries others, from a seed that it
# prints.
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
    """A journal in the test's own folder."""
    journal = FileJournal(tmp_path / "journal.jsonl", Lines("run", "policy"))
    yield journal
    journal.close()


@dataclass(frozen=True)
class Said:
    """A command's exit code and output."""

    code: int
    out: str
    err: str


CUT = type(MODELS)(MODELS.search_paths, include_default_search_paths=False)
"""botocore's models, cut to what the program's clients need, as in a process of its own."""
CUT.file_loader, CUT.cut = Plain(), cut


def janitor(*words: str) -> Said:
    """Run `janitor …` in this process."""
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
    """Remove AWS and the janitor from the environment, and set 80 columns."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "JANITOR_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`janitor`, in an empty folder and without AWS in the environment."""
    monkeypatch.chdir(tmp_path)
    nothing_of_aws(monkeypatch)
    return janitor


@pytest.fixture(scope="session")
def policy_with_few_owners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped policy with three kinds of owners instead of some eighty."""
    path = tmp_path_factory.mktemp("policy") / "few-owners.toml"
    few = 'owners = ["lambda", "lambda-edge", "ecs-task-definition"]'
    path.write_text(janitor("policy", "show").out.replace("owners = true", few))
    return path


@pytest.fixture
def few_owners(run: Run, policy_with_few_owners: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands use that policy, which halves their time; the results are the same, because nobody
    else owns anything in the demo account.
    """
    monkeypatch.setenv("JANITOR_POLICY", str(policy_with_few_owners))
