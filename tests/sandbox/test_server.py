"""The HTTP server on a socket."""

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

from janitor.sandbox.server import Server
from janitor.sandbox.store import Bucket
from janitor.sandbox.wire import Answer, Call, Reply, Request
from tests.sandbox.asking import ACCOUNT, REGION, Still, ask

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
GOOD = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"


def echo(request: Request) -> Reply:
    """Answer with the request itself; `/slow` waits, `/reset` resets."""
    if request.url == "/reset":
        return Reply(None)
    text = f"{request.method} {request.url} {request.body.decode('latin-1')}"
    answer = Answer(200, "text/plain", text.encode(), {"x-seen": request.headers["host"]})
    return Reply(answer, 3600 if request.url == "/slow" else 0)


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    server = Server(echo)
    url = urlsplit(server.start())
    yield str(url.hostname), int(url.port or 0)
    server.stop()


def received(address: tuple[str, int], sent: bytes) -> bytes:
    """Everything that comes back until the connection ends; nothing is sent after `sent`."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        with contextlib.suppress(OSError):  # already reset: reading tells
            connection.shutdown(socket.SHUT_WR)
        data = b""
        while piece := connection.recv(65_536):
            data += piece
        return data


@pytest.mark.parametrize(
    "bad",
    [
        b"hello there, you\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_malformed_requests_are_answered_with_400(address: tuple[str, int], bad: bytes) -> None:
    """Other connections are served as before; a request that is cut off is not carried out."""
    assert b" 400 " in received(address, bad)
    for cut in (30, len(GOOD) - 1):
        assert b" 200 " not in received(address, GOOD[:cut])
    assert received(address, GOOD).endswith(b"\r\n\r\nPOST /a hi")


def test_a_connection_is_kept_open(address: tuple[str, int]) -> None:
    """It may carry several requests at once; HEAD has the length of the body that is not sent."""
    data = received(address, GOOD * 50 + GOOD.replace(b"POST", b"HEAD"))
    assert data.count(b"HTTP/1.1 200 OK") == data.count(b"x-seen: h\r\n") == 51
    assert data.endswith(b"\r\n\r\n")
    assert data.count(b"content-length: 10\r\n") == 51


def test_expect_100_is_answered_before_the_body_is_sent(address: tuple[str, int]) -> None:
    """S3 clients wait for it."""
    head, _, body = GOOD.replace(b"host: h", b"host: h\r\nExpect: 100-continue").partition(b"hi")
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head)
        assert connection.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi" + body)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_a_slow_answer_delays_only_its_own_connection(address: tuple[str, int]) -> None:
    """Requests behind it are answered in turn."""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(GOOD.replace(b"/a", b"/slow") + GOOD)
        assert received(address, GOOD).endswith(b"POST /a hi")
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)


def test_a_reset_is_one(address: tuple[str, int]) -> None:
    """It does not look like the end of a whole answer."""
    with pytest.raises(ConnectionResetError):
        received(address, GOOD.replace(b"/a", b"/reset"))
    assert received(address, GOOD)


def client(url: str, service: str) -> Any:
    session = boto3.Session(f"AKIA{ACCOUNT}", "secret", region_name=REGION)
    return session.client(service, endpoint_url=url, config=ONCE)


def test_a_failure_of_the_sandbox_ends_the_connection_and_is_raised_at_the_end() -> None:
    """It is not mistaken for an answer of AWS, and other connections are served as before."""

    def broken(call: Call, answer: Any) -> Reply:
        if call.operation == "ListFunctions":
            raise ZeroDivisionError("a bug")
        return Reply(answer())

    def meet() -> None:
        with Still(intercept=broken).serving() as url:
            with pytest.raises(ConnectionClosedError):
                client(url, "lambda").list_functions()
            assert ask(client(url, "logs"), "describe_log_groups", "logGroups") == []

    with pytest.raises(ZeroDivisionError, match="a bug"):
        meet()


METRICS = "GraniteServiceVersion20100801.GetMetricData"


@pytest.mark.parametrize(
    ("scope", "target", "body"),
    [
        ("monitoring", METRICS, {}),
        ("monitoring", METRICS, {"StartTime": 1, "EndTime": 2, "MetricDataQueries": 7}),
        ("tagging", "ResourceGroupsTaggingAPI_20170126.GetResources", {"ResourceARNList": [7]}),
        ("ssm", "AmazonSSM.GetParameter", {"Name": {}}),
    ],
)
def test_parameters_that_no_client_would_send_are_refused(
    scope: str, target: str, body: Any
) -> None:
    """They are not mistaken for a failure of the sandbox."""
    credential = f"Credential=AKIA{ACCOUNT}/20261125/{REGION}/{scope}/aws4_request"
    headers = {"authorization": credential, "x-amz-target": target}
    with Still(quotas=True).serving() as url:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
        connection.request("POST", "/", json.dumps(body), headers)
        response = connection.getresponse()
        assert response.status == 400
        assert json.loads(response.read())["__type"] == "ValidationException"
        connection.close()


def test_clients_are_served_over_http_as_in_process() -> None:
    """JSON, XML, and REST with bodies of any bytes."""
    account = Still("/a")
    account.store.buckets["bucket"] = Bucket(ACCOUNT, REGION, 0)
    body, named = bytes(range(256)) * 4096, {"Bucket": "bucket", "Key": "ä/b c"}
    with account.serving() as url:
        logs = client(url, "logs")
        assert ask(logs, "describe_log_groups", "logGroups[].logGroupName") == ["/a"]
        assert ask(client(url, "sts"), "get_caller_identity", "Account") == ACCOUNT
        client(url, "s3").put_object(**named, Body=body)
        for s3 in (client(url, "s3"), account.client("s3")):
            assert s3.get_object(**named)["Body"].read() == body
