"""The janitor's package, run by AWS's own runtime client against an account on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto.logs import logs_backends
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse
from moto.server import ThreadedMotoServer

from deploy import packaging
from tests.function.runtime import ACCOUNT, REGION, Answer, Function
from tests.function.test_handler import SCHEDULED

NEVER_EXPIRE, EMPTY, KEPT = 30, 6, 150
POLICY = """
[defaults]
retention_days = 365
delete_empty = true
[limits]
api_share = 1.0
"""


class LambdaApi:
    """The part of Lambda's API that the janitor calls: no functions, and each Invoke kept."""

    def __init__(self) -> None:
        self.invoked: list[bytes] = []
        api = self

        class Request(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, b'{"Functions": []}')

            def do_POST(self) -> None:
                api.invoked.append(self.rfile.read(int(self.headers["Content-Length"])))
                self._send(202, b"")

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing of requests."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Request)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The staged package, for this machine, with a policy file of the user's."""
    root = tmp_path_factory.mktemp("janitor")
    policy = root / "mine.toml"
    policy.write_text(POLICY)
    extra = {"policy.toml": policy}
    return packaging.stage(packaging.JANITOR, packaging.host(), root=root, extra=extra)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """An account behind HTTP, with the calls that moto does not have: nothing is set there."""

    def no_policy(self: LogsResponse) -> str:
        return json.dumps({"logGroupIdentifier": self._get_param("logGroupIdentifier")})

    def no_policies(_self: LogsResponse) -> str:
        return json.dumps({"indexPolicies": []})

    def no_transformer(_self: LogsResponse) -> str:
        raise ResourceNotFoundException

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with (
        patch.object(LogsResponse, "get_data_protection_policy", no_policy, create=True),
        patch.object(LogsResponse, "describe_index_policies", no_policies, create=True),
        patch.object(LogsResponse, "get_transformer", no_transformer, create=True),
    ):
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()


@pytest.fixture
def account(moto: str) -> Iterator[Any]:
    """Groups to keep, to give retention and to delete; a boto3 client to look at them."""
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    logs = boto3.client("logs", REGION, endpoint_url=moto, **keys)
    backend = logs_backends[ACCOUNT][REGION]
    for kind, count, retention in (
        ("kept", KEPT, 30),
        ("never", NEVER_EXPIRE, None),
        ("empty", EMPTY, 30),
    ):
        for index in range(count):
            group = backend.create_log_group(f"/{kind}/{index:03}", {}, RetentionInDays=retention)
            if kind == "empty":
                group.creation_time -= timedelta(days=900)
    yield logs
    backend.groups.clear()
    logs.close()


@pytest.fixture
def lambda_api() -> Iterator[LambdaApi]:
    api = LambdaApi()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.fixture
def janitor(folder: Path, moto: str, lambda_api: LambdaApi) -> Iterator[Function]:
    """The function as deployed, its calls directed to loopback."""
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": moto,
        "AWS_ENDPOINT_URL_LAMBDA": lambda_api.url,
        "JANITOR_POLICY_FILE": "policy.toml",
        "JANITOR_REGIONS": REGION,
        "POWERTOOLS_METRICS_NAMESPACE": "CloudWatchJanitor",
        "POWERTOOLS_SERVICE_NAME": "cloudwatch-janitor",
    }
    with Function(
        folder, packaging.JANITOR.handler, env=environment, name="cloudwatch-janitor"
    ) as function:
        yield function


def names(logs: Any) -> dict[str, int | None]:
    """The groups that there are, and the retention of each."""
    pages = logs.get_paginator("describe_log_groups").paginate()
    groups = [group for page in pages for group in page["logGroups"]]
    return {group["logGroupName"]: group.get("retentionInDays") for group in groups}


def metrics(answers: list[Answer]) -> list[dict[str, Any]]:
    """What was emitted as EMF."""
    lines = [json.loads(line) for answer in answers for line in answer.logs.splitlines()]
    return [line for line in lines if "_aws" in line]


def test_an_empty_event_is_a_dry_run_that_tells_what_would_be_done(
    janitor: Function, account: Any
) -> None:
    """`aws lambda invoke` without a payload; every log line is JSON."""
    before = names(account)
    answer = janitor.invoke(b"{}", deadline_ms=120_000)
    summary = answer.value["summary"]
    assert summary["planned"] == {
        "set_retention": NEVER_EXPIRE,
        "delete_group": EMPTY,
        "sweep_streams": 0,
    }
    assert len(answer.value["findings"]) == NEVER_EXPIRE + EMPTY
    assert summary["complete"] is True
    assert names(account) == before
    [cold] = [line for line in metrics([answer]) if "ColdStart" in line]
    assert cold["function_name"] == "cloudwatch-janitor"


def test_a_scheduled_event_acts_and_the_next_finds_nothing(janitor: Function, account: Any) -> None:
    """Cold, then warm in the same process."""
    first = janitor.invoke(json.dumps(SCHEDULED).encode(), deadline_ms=120_000)
    assert first.value["summary"]["groups_deleted"] == EMPTY
    assert first.value["summary"]["retention_set"] == NEVER_EXPIRE
    left = names(account)
    assert len(left) == KEPT + NEVER_EXPIRE
    assert {days for name, days in left.items() if name.startswith("/never/")} == {365}
    second = janitor.invoke(json.dumps(SCHEDULED).encode(), deadline_ms=120_000)
    assert second.value["summary"]["groups_deleted"] == 0
    assert second.value["findings"] == []
    done = [line for line in metrics([first, second]) if "Complete" in line]
    assert [line["GroupsDeleted"] for line in done] == [[EMPTY], [0]]
    assert [line["trigger"] for line in done] == ["schedule", "schedule"]
    assert not [line for line in metrics([second]) if "ColdStart" in line]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"dry_run": "false"}', "event: dry_run: 'false' is not a boolean"),
        (b'{"regions": ["moon-1"]}', "event: regions: 'moon-1' is no AWS Region"),
        (b'{"apply": true}', "event: apply: unknown key"),
    ],
)
def test_a_bad_event_is_refused_in_one_line(
    janitor: Function, account: Any, payload: bytes, said: str
) -> None:
    """Nothing is done."""
    before = names(account)
    answer = janitor.invoke(payload, deadline_ms=60_000)
    assert answer.error_type == "UsageError"
    assert (answer.error_message or "").startswith(said)
    assert names(account) == before


def test_a_deadline_of_seconds_is_met_and_the_run_goes_on_by_itself(
    janitor: Function, account: Any, lambda_api: LambdaApi
) -> None:
    """No link is ended by Lambda; the last reports the whole run."""
    event = json.dumps(SCHEDULED).encode()
    answers: list[Answer] = []
    while len(answers) < 20:
        # At five puts a second, the 30 take longer than the 3 s that this leaves for work.
        answers.append(janitor.invoke(event, deadline_ms=4_000))
        if "resume" not in answers[-1].value:
            break
        assert answers[-1].value["summary"]["complete"] is False
        [event] = lambda_api.invoked
        lambda_api.invoked.clear()
    summary = answers[-1].value["summary"]
    assert len(answers) > 1
    assert summary["complete"] is True
    assert summary["groups_scanned"] == KEPT + NEVER_EXPIRE + EMPTY
    assert (summary["groups_deleted"], summary["retention_set"]) == (EMPTY, NEVER_EXPIRE)
    assert len(names(account)) == KEPT + NEVER_EXPIRE
    assert len([line for line in metrics(answers) if "Complete" in line]) == 1
