"""The sandbox over TLS, as AWS is: its own certificate, and a bundle that trusts it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from botocore.httpsession import where
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from janitor.sandbox.server import Server


def secure(server: Server, folder: Path) -> Path:
    """Make a server that has not started speak TLS. Returns its clients' bundle, which has all that
    botocore trusts as well, to be as large.
    """
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    places = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=datetime(2120, 1, 1, tzinfo=UTC),
        extensions=[x509.Extension(places.oid, True, places)],
    ).sign(key, hashes.SHA256())
    shown, secret, bundle = (folder / f"{name}.pem" for name in ("shown", "key", "bundle"))
    shown.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    bundle.write_bytes(Path(where()).read_bytes() + shown.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, secret)
    # The thread of each connection does the handshake, not the one that accepts them all.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return bundle
