"""Encrypted connections: who is trusted, and how often the list of those is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import SSLError

from janitor.aws.api import CLIENT_CONFIG
from janitor.aws.targets import lean
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
    """The log groups, by a session and a client of its own."""
    made = boto3.Session("key", "secret", botocore_session=lean())
    client = made.client("logs", "eu-west-1", endpoint_url=url, verify=verify, config=CLIENT_CONFIG)
    return client.describe_log_groups()["logGroups"]


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
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(url)
