"""The HTTP server: what it answers on a socket, and that nothing ends it."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from janitor.sandbox.account import Sandbox
from janitor.sandbox.server import LONGEST_HEAD, Server
from janitor.sandbox.store import Bucket
from janitor.sandbox.wire import Answer, Call, Reply, Request
from tests.sandbox.asking import ACCOUNT, REGION, add, empty_store, names, still


def echo(request: Request) -> Reply:
    """The request's own words; `/slow` waits, `/reset` resets."""
    if request.url == "/reset":
        return Reply(None)
    text = f"{request.method} {request.url} {request.body.decode('latin-1')}"
    delay = 3600 if request.url == "/slow" else 0
    return Reply(
        Answer(200, "text/plain", text.encode(), {"x-seen": request.headers["host"]}), delay
    )


@contextlib.contextmanager
def serving(handle: Any = echo) -> Iterator[tuple[str, int]]:
    server = Server(handle)
    url = urlsplit(server.start())
    assert url.hostname is not None
    assert url.port is not None
    try:
        yield url.hostname, url.port
    finally:
        server.stop()


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving() as there:
        yield there


def said(address: tuple[str, int], sent: bytes) -> bytes:
    """All that comes back to `sent` until the connection ends; after it we send no more."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        with contextlib.suppress(OSError):  # already reset: reading tells
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
        return received


def answers(address: tuple[str, int]) -> bool:
    """Whether a good request is answered."""
    connection = HTTPConnection(*address, timeout=10)
    connection.request("POST", "/", b"hello")
    response = connection.getresponse()
    there = response.status == 200 and response.read() == b"POST / hello"
    connection.close()
    return there


GOOD = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"
BAD = {
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "garbage in lines": b"\x00\x01\r\n\r\n",
    "a word": b"hello\r\n\r\n",
    "another protocol": b"GET / SSH/2.0\r\n\r\n",
    "no path": b"GET HTTP/1.1\r\n\r\n",
    "a line that is no header": b"GET / HTTP/1.1\r\nhost h\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nhost : h\r\n\r\n",
    "no length": b"POST / HTTP/1.1\r\nhost: h\r\n\r\n{}",
    "a length below zero": b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    "a length that is no number": b"POST / HTTP/1.1\r\ncontent-length: two\r\n\r\n",
    "a length in other digits": "POST / HTTP/1.1\r\ncontent-length: \u00b2\r\n\r\n".encode(
        "latin-1"
    ),
    "a length of a terabyte": b"POST / HTTP/1.1\r\ncontent-length: 1099511627776\r\n\r\n",
    "chunks": b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "headers without end": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * LONGEST_HEAD,
    "a header without end": b"GET / HTTP/1.1\r\na: " + b"b" * LONGEST_HEAD,
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_request_is_answered_with_400_and_goodbye(
    address: tuple[str, int], bad: str
) -> None:
    """Also behind a good one, which is answered; others are served as before."""
    first, *_ = said(address, BAD[bad]).split(b"\r\n")
    assert first == b"HTTP/1.1 400 Bad Request"
    received = said(address, GOOD + BAD[bad])
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert b"POST /a hiHTTP/1.1 400 Bad Request" in received
    assert answers(address)


def test_a_request_that_is_cut_off_is_not_answered(address: tuple[str, int]) -> None:
    """Nor does it hold up others."""
    for cut in range(0, len(GOOD), 7):
        assert said(address, GOOD[:cut]) == b""
    assert answers(address)


def test_a_connection_goes_on_until_either_side_ends_it(address: tuple[str, int]) -> None:
    """Several requests in one piece, one in many pieces, and goodbye where it is asked for."""
    last = GOOD.replace(b"host: h", b"host: h\r\nConnection: close").replace(b"/a", b"/last")
    received = said(address, GOOD * 500 + last + GOOD)
    assert received.count(b"HTTP/1.1 200 OK") == 501
    assert received.endswith(b"connection: close\r\n\r\nPOST /last hi")
    old = said(address, GOOD.replace(b"HTTP/1.1", b"HTTP/1.0") + GOOD)
    assert old.count(b"HTTP/1.1 200 OK") == 1
    with socket.create_connection(address, timeout=10) as connection:
        for at in range(len(GOOD)):
            connection.sendall(GOOD[at : at + 1])
        assert connection.recv(65_536).endswith(b"\r\n\r\nPOST /a hi")


def test_who_expects_to_be_told_is_told_to_go_on(address: tuple[str, int]) -> None:
    """Before the body is sent, as S3 clients wait for."""
    head, _, body = GOOD.replace(b"host: h", b"host: h\r\nExpect: 100-continue").partition(b"hi")
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi" + body)
        received = connection.recv(65_536)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert received.count(b"HTTP/1.1") == 1


def test_head_is_answered_without_a_body(address: tuple[str, int]) -> None:
    """The length is that of the body there would be."""
    received = said(address, GOOD.replace(b"POST", b"HEAD"))
    assert b"content-length: 10\r\n" in received
    assert received.endswith(b"\r\n\r\n")


def test_headers_of_answers_are_sent(address: tuple[str, int]) -> None:
    """Those of the answer itself beside the usual ones."""
    assert b"x-seen: h\r\n" in said(address, GOOD)


def test_a_slow_answer_holds_up_nobody_else(address: tuple[str, int]) -> None:
    """But what comes behind it on its own connection, which is answered in its turn."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(GOOD.replace(b"/a", b"/slow") + GOOD)
        assert answers(address)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_reset_is_one(address: tuple[str, int]) -> None:
    """Not an end that looks like that of a whole answer."""
    with pytest.raises(ConnectionResetError):
        said(address, GOOD.replace(b"/a", b"/reset"))
    assert answers(address)


def test_a_fault_of_the_sandbox_ends_the_connection_and_is_told_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is not taken for an answer of AWS, and others are served as before."""

    def broken(call: Call, answer: Any) -> Reply:
        if call.operation == "ListFunctions":
            raise ZeroDivisionError("a slip")
        return Reply(answer())

    def meet() -> None:
        with still(intercept=broken).serving() as url:
            with pytest.raises(ConnectionClosedError):
                client(url, "lambda").list_functions()
            assert names(client(url, "logs")) == []

    with pytest.raises(ZeroDivisionError, match="a slip"):
        meet()
    assert "a slip" in caplog.text


@pytest.mark.parametrize(
    ("scope", "target", "body"),
    [
        ("monitoring", "GraniteServiceVersion20100801.GetMetricData", b"{}"),
        (
            "monitoring",
            "GraniteServiceVersion20100801.GetMetricData",
            b'{"StartTime": 1, "EndTime": 2, "MetricDataQueries": 7}',
        ),
        ("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", b'{"ResourceARNList": [7]}'),
        ("ssm", "AmazonSSM.GetParameter", b'{"Name": {}}'),
    ],
)
def test_parameters_that_no_client_would_send_are_refused(
    scope: str, target: str, body: bytes
) -> None:
    """Not taken for a fault of the sandbox."""
    credential = f"Credential=AKIA{ACCOUNT}/20261125/{REGION}/{scope}/aws4_request"
    headers = {"authorization": credential, "x-amz-target": target}
    with still(quotas=True).serving() as url:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        assert response.status == 400
        assert json.loads(response.read())["__type"] == "ValidationException"
        connection.close()


def client(url: str, service: str) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    session = boto3.Session(f"AKIA{ACCOUNT}", "secret", region_name=REGION)
    return session.client(service, endpoint_url=url, config=config)


def test_clients_are_served_over_http_as_in_process() -> None:
    """JSON, XML, and REST with bodies of any bytes."""
    store = empty_store()
    add(store, "/a")
    store.buckets["bucket"] = Bucket(ACCOUNT, REGION, 0)
    sandbox = Sandbox(store)
    with sandbox.serving() as url:
        assert names(client(url, "logs")) == names(sandbox.client("logs")) == ["/a"]
        assert client(url, "sts").get_caller_identity()["Account"] == ACCOUNT
        body = bytes(range(256)) * 4096
        s3 = client(url, "s3")
        s3.put_object(Bucket="bucket", Key="ä/b c", Body=body, Metadata={"k": "v"})
        assert s3.get_object(Bucket="bucket", Key="ä/b c")["Body"].read() == body
        head = sandbox.client("s3").head_object(Bucket="bucket", Key="ä/b c")
        assert (head["ContentLength"], head["Metadata"]) == (len(body), {"k": "v"})
