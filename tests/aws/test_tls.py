"""Encrypted connections: who is trusted, and how often the list of those is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from janitor.aws.api import Api, Counts, UnreachableError
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop, SystemClock
from janitor.core.model import Target
from janitor.sandbox.server import Server
from janitor.sandbox.wire import Answer, Reply
from tests.fakes.tls import secure


@pytest.fixture
def server() -> Iterator[Server]:
    """It has no log groups."""
    none = Answer(200, "application/x-amz-json-1.1", b'{"logGroups": []}')
    made = Server(lambda _request: Reply(none))
    yield made
    made.stop()


def ask(url: str, verify: str | None = None) -> object:
    """The log groups, by a client of its own."""

    class Clients:
        @staticmethod
        def client(service: str, region: str, **more: Any) -> Any:
            keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
            return boto3.client(service, region, endpoint_url=url, verify=verify, **keys, **more)

    clock, target = SystemClock(), Target("123456789012", "eu-west-1")
    pace = Pace(lambda _operation: 100.0, clock)
    api = Api(target, Clients, pace, clock, Counts(), Stop(), Inline())
    return asyncio.run(api.once("logs", "DescribeLogGroups"))["logGroups"]


def test_the_bundle_is_read_once(server: Server, tmp_path: Path) -> None:
    """To read it takes far longer than a call, and each client makes connections of its own."""
    bundle = secure(server, tmp_path)
    url = server.start().replace("http:", "https:")
    assert ask(url, str(bundle)) == []
    bundle.unlink()
    assert ask(url, str(bundle)) == []


def test_whom_another_bundle_trusts_is_not_trusted(server: Server, tmp_path: Path) -> None:
    """What one client has read counts for those of the same bundle only."""
    bundle = secure(server, tmp_path)
    url = server.start().replace("http:", "https:")
    assert ask(url, str(bundle)) == []
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(url)
