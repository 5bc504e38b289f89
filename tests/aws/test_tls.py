"""TLS: which certificates are trusted, and how often the bundle is read."""

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
    """A server that answers with no log groups."""
    empty = Answer(200, "application/x-amz-json-1.1", b'{"logGroups": []}')
    made = Server(lambda _request: Reply(empty))
    yield made
    made.stop()


def ask(url: str, verify: str | None = None) -> object:
    """Return the log groups, by a new session and client."""
    made = boto3.Session("key", "secret", botocore_session=lean())
    client = made.client("logs", "eu-west-1", endpoint_url=url, verify=verify, config=CLIENT_CONFIG)
    return client.describe_log_groups()["logGroups"]


def test_the_bundle_is_read_once(server: Server, tmp_path: Path) -> None:
    """Reading it takes far longer than a call, and each client makes its own connections."""
    bundle = secure(server, tmp_path)
    url = server.start().replace("http:", "https:")
    assert ask(url, str(bundle)) == []
    bundle.unlink()
    assert ask(url, str(bundle)) == []


def test_a_certificate_is_trusted_only_by_its_own_bundle(server: Server, tmp_path: Path) -> None:
    """A bundle that one client has read is shared only by clients of the same bundle."""
    bundle = secure(server, tmp_path)
    url = server.start().replace("http:", "https:")
    assert ask(url, str(bundle)) == []
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(url)
