"""The contract on an account of AWS: `make contract-aws`.

It makes log groups beneath a random prefix, asserts what the sandbox takes for granted, asks what
AWS leaves open, and deletes what it made, even if interrupted. boto3 finds credentials and Region.
The account's id must be confirmed, in CONTRACT_AWS_ACCOUNT or by hand; it should be an account that
can be thrown away. A run costs a few cents at most. It has never met AWS: so far it was run on the
sandbox only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from typer import echo

from tests.sandbox.contract.backend import AWS, Backend, guarded
from tests.sandbox.contract.questions import QUESTIONS, answer

_VARIABLE = "CONTRACT_AWS_ACCOUNT"


class _OnAws:
    """A pytest plugin: the run is made on this account."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[AWS] = self._backend


def main() -> int:
    """Return 0 if all assertions hold; 1 if some fail or something is left over; 2 if it did not
    start; 130 if it was interrupted.
    """
    session = boto3.Session()
    if session.region_name is None:
        echo("No Region: set AWS_REGION.", err=True)
        return 2
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        echo(f"No account: {error}", err=True)
        return 2
    prefix = f"/janitor-contract/{secrets.token_hex(4)}"
    if not _confirmed(account, f"{session.region_name}, beneath {prefix}/"):
        echo(f"Nothing was done: {account} was not confirmed.", err=True)
        return 2
    echo(f"In account {account}, {session.region_name}, beneath {prefix}/")
    patience = 10 if "AWS_ENDPOINT_URL" in os.environ else 120
    backend = Backend("aws", guarded(session, prefix), account, prefix, patience)
    try:
        with cleaned(backend) as left:
            tests = str(Path(__file__).parent / "test_everywhere.py")
            ended = pytest.main([tests, "-q", "-p", "no:cacheprovider"], [_OnAws(backend)])
            if ended == pytest.ExitCode.INTERRUPTED:
                raise KeyboardInterrupt
            for title, ask in QUESTIONS.items():
                echo(f"{title}: {answer(ask, backend)}")
    except KeyboardInterrupt:
        return 130
    return 1 if ended or left else 0


def _confirmed(account: str, where: str) -> bool:
    confirmed = os.environ.get(_VARIABLE)
    if confirmed is None and sys.stdin.isatty():
        echo(f"Log groups will be made and deleted in account {account}, {where}")
        confirmed = input("Its id, to go on: ")
    return confirmed is not None and confirmed.strip() == account


@contextlib.contextmanager
def cleaned(backend: Backend) -> Iterator[list[str]]:
    """Delete at the end whatever was made; yields the list of what could not be deleted."""
    left: list[str] = []
    before = [(one, signal.getsignal(one)) for one in (signal.SIGINT, signal.SIGTERM)]

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for one, _handler in before:  # SIGINT too: a shell's background jobs ignore it
        signal.signal(one, stop)
    try:
        yield left
    finally:
        for one, _handler in before:
            signal.signal(one, signal.SIG_IGN)
        for entry in backend.entries(logGroupNamePrefix=f"{backend.prefix}/"):
            name = entry["logGroupName"]
            named = {"logGroupIdentifier": name, "deletionProtectionEnabled": False}
            if entry.get("deletionProtectionEnabled"):
                backend.outcome("logs", "put_log_group_deletion_protection", **named)
            code, text = backend.outcome("logs", "delete_log_group", logGroupName=name)
            if code not in ("answered", "ResourceNotFoundException"):
                left.append(name)
                echo(f"left over: {name}: {code} {text}", err=True)
        for one, handler in before:
            signal.signal(one, handler)
        if not left:
            echo(f"Deleted all that was beneath {backend.prefix}/")


if __name__ == "__main__":
    sys.exit(main())
