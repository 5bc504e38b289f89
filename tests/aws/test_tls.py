"""Encrypted connections: who is trusted, and how often the list of those is read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from janitor.aws.api import Api, Counts, UnreachableError
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop, SystemClock
from janitor.core.model import Target
from janitor.sandbox.server import Server
from janitor.sandbox.wire import Answer, Reply


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1, as the bundle of whom a client trusts; its key is beside it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
    )
    places = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(places, critical=True).sign(key, hashes.SHA256())
    path = tmp_path / "bundle.pem"
    path.write_bytes(signed.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.with_suffix(".key").write_bytes(secret)
    return path


@pytest.fixture
def url(bundle: Path) -> Iterator[str]:
    """An endpoint that shows that certificate, and has no log groups."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, bundle.with_suffix(".key"))
    none = Answer(200, "application/x-amz-json-1.1", b'{"logGroups": []}')
    server = Server(lambda _request: Reply(none))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield server.start().replace("http:", "https:")
    server.stop()


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


def test_the_bundle_is_read_once(url: str, bundle: Path) -> None:
    """To read it takes far longer than a call, and each client makes connections of its own."""
    assert ask(url, str(bundle)) == []
    bundle.unlink()
    assert ask(url, str(bundle)) == []


def test_whom_another_bundle_trusts_is_not_trusted(url: str, bundle: Path) -> None:
    """What one client has read counts for those of the same bundle only."""
    assert ask(url, str(bundle)) == []
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(url)
