"""One client for all Regions: where its requests go, for which Region they are signed, and when it
is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HTTPHeaders
from botocore.parsers import ResponseParserError

from janitor.aws.api import CLIENT_CONFIG, Api, Counts
from janitor.aws.clients import USED_ELSEWHERE, SharedClients, follows, in_region
from janitor.aws.models import keep_only
from janitor.aws.pace import Pace
from janitor.aws.targets import lean
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.model import Target
from janitor.owners.table import Row, operations, table
from tests.accounts import ACCOUNT, NOW
from tests.virtual import VirtualClock

ROWS = {row.service: row for row in reversed(table())}
"""A row of each service."""
ONE = "rds"
SETTINGS: dict[str, dict[str, str]] = {
    "none": {},
    "FIPS": {"AWS_USE_FIPS_ENDPOINT": "true"},
    "dual stack": {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
    "one endpoint": {"AWS_ENDPOINT_URL": "https://localhost:4566/path"},
    "one endpoint for RDS": {"AWS_ENDPOINT_URL_RDS": "https://rds.example"},
    "a token for Bedrock": {"AWS_BEARER_TOKEN_BEDROCK": "token"},
    "a profile": {"AWS_PROFILE": "p"},
}
PROFILE = """
[profile p]
services = own
[services own]
mwaa =
    endpoint_url = https://mwaa.example
"""
"""An endpoint of a service for whose calls botocore adds a prefix to the host."""


def session(inner: botocore.session.Session | None = None) -> boto3.Session:
    """Return a session of an account, whose requests are answered with `{}`."""
    made = boto3.Session("key", "secret", botocore_session=inner or lean())
    made.events.register("before-send", _nothing)  # type: ignore[arg-type]  # it answers
    return made


def plain() -> boto3.Session:
    """Return a session as botocore makes it."""
    inner = botocore.session.Session()
    inner.register_component("data_loader", lean().get_component("data_loader"))
    return session(inner)


def _nothing(request: AWSPreparedRequest, **_more: Any) -> AWSResponse:
    return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [b"{}"]))


def _signature(request: AWSPreparedRequest) -> str:
    header: Any = request.headers["Authorization"]
    return str(header, "ascii")


def sent_by(client: Any) -> list[str]:
    """Return a list of the client's requests from now on, each with URL and signature scope."""
    sent: list[str] = []

    def note(request: AWSPreparedRequest, **_more: Any) -> None:
        signed = _signature(request)
        sent.append(f"{request.url} {re.sub(', .*', '', signed)}")

    client.meta.events.register_first("before-send", note)
    return sent


def ask(client: Any, row: Row) -> None:
    """Make the first call by which the row is read."""
    step = row.listing.steps[0]
    with contextlib.suppress(ResponseParserError):  # the answer is not XML
        getattr(client, xform_name(step.call))(**step.parameters)


@pytest.mark.parametrize(
    ("settings", "services", "regions"),
    [
        ("none", sorted(ROWS), ("us-east-1", "cn-north-1", "us-gov-west-1")),
        *((settings, (ONE, "mwaa", "bedrock", "ec2"), ("af-south-1",)) for settings in SETTINGS),
    ],
)
def test_a_request_is_the_same_as_by_a_client_of_the_region(
    settings: str,
    services: tuple[str, ...],
    regions: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It has the same URL and signature, as another Region would have no such owner."""
    (tmp_path / "config").write_text(PROFILE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in SETTINGS[settings].items():
        monkeypatch.setenv(name, value)
    aws, other, global_services = session(), plain(), set[str]()
    keep_only({name: operations()[name] for name in ROWS.keys() - USED_ELSEWHERE - {"ec2"}})
    for service in services:
        one = aws.client(service, "eu-west-1", config=CLIENT_CONFIG)
        if not follows(one, "eu-west-1"):
            global_services.add(service)
            continue
        for region in regions:
            alone = other.client(service, region, config=CLIENT_CONFIG)
            requests = sent_by(one), sent_by(alone)
            with in_region(region):
                ask(one, ROWS[service])
            ask(alone, ROWS[service])
            assert len(requests[0]) == 1
            assert requests[0] == requests[1]
    assert global_services == {"cloudfront", "route53"} & {*services}


def proxy(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """A proxy may be used for some Regions only."""
    patch.setenv("HTTPS_PROXY", "http://proxy:3128")
    patch.setenv("NO_PROXY", ".eu-west-1.amazonaws.com")


def endpoints(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Custom endpoints, as they were configured before AWS_ENDPOINT_URL."""
    (folder / "endpoints.json").write_text(json.dumps({"partitions": []}))
    patch.setenv("AWS_DATA_PATH", str(folder))


def signatures(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """Signatures for many Regions are preferred."""
    patch.setenv("AWS_AUTH_SCHEME_PREFERENCE", "sigv4a,sigv4")


def other_botocore(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """botocore resolves endpoints in another way."""
    patch.delattr("botocore.regions.EndpointRulesetResolver._get_provider_params")
    patch.setattr(
        "botocore.client.BaseClient._ruleset_resolver",
        property(lambda _self: None, lambda _self, _value: None),
        raising=False,
    )


@pytest.mark.parametrize("break_it", [proxy, endpoints, signatures, other_botocore])
def test_clients_that_may_differ_between_regions_are_not_shared(
    break_it: Callable[[pytest.MonkeyPatch, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Nor are those of global services, and of services that use the Region beyond the endpoint."""
    for service in ("s3", "sts", "iam"):
        assert not follows(session().client(service, "eu-west-1"), "eu-west-1")
    break_it(monkeypatch, tmp_path)
    assert not follows(session().client(ONE, "eu-west-1", config=CLIENT_CONFIG), "eu-west-1")


def test_a_handler_of_one_session_is_not_called_for_another() -> None:
    """Lean sessions copy their event handlers."""
    first, second = lean(), lean()
    first.register("after-call.ecs", lambda **_more: None)
    assert len(first.get_component("event_emitter").emit("after-call.ecs.ListClusters")) == 1
    assert second.get_component("event_emitter").emit("after-call.ecs.ListClusters") == []


def test_without_a_region_nothing_is_sent() -> None:
    """The Region in which the client was made is not a default."""
    client = session().client(ONE, "eu-west-1", config=CLIENT_CONFIG)
    sent = sent_by(client)
    assert follows(client, "eu-west-1")
    with pytest.raises(LookupError):
        ask(client, ROWS[ONE])
    assert sent == []


def test_concurrent_threads_each_call_their_own_region() -> None:
    """Each call is under way when the other begins."""
    aws, regions, both = session(), ("eu-west-1", "ap-south-1"), threading.Barrier(2, timeout=60)
    client = aws.client("ecs", "us-east-1", config=CLIENT_CONFIG)
    assert follows(client, "us-east-1")
    client.meta.events.register_first(
        "before-parameter-build", lambda **_more: both.wait() and None
    )
    sent = sent_by(client)

    def call(region: str) -> None:
        with in_region(region):
            ask(client, ROWS["ecs"])

    threads = [threading.Thread(target=call, args=[region]) for region in regions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    went = [re.findall(r"//ecs\.([a-z0-9-]+)|/([a-z0-9-]+)/ecs/", line) for line in sent]
    assert sorted(went) == [[(region, ""), ("", region)] for region in sorted(regions)]


class Counting(boto3.Session):
    """A session that counts the clients it made and closed, and notes their requests."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "secret", botocore_session=lean())
        self.events.register("before-send", _nothing)  # type: ignore[arg-type]  # it answers
        self.made = Counter[str]()
        self.closed = Counter[str]()
        self.sent: list[str] = []

    def client(self, service: str, region: str, **more: Any) -> Any:  # type: ignore[override]
        made = super().client(service, region, **more)
        close = made.close

        def closing() -> None:
            self.closed[service] += 1
            close()

        made.close = closing
        made.meta.events.register_first("before-send", self.note)
        self.made[service] += 1
        return made

    def note(self, request: AWSPreparedRequest, **_more: Any) -> None:
        key = _signature(request).split("Credential=")[1].split("/")[0]
        self.sent.append(f"{key} {request.url.split('/')[2]}")


def test_regions_of_an_account_share_a_client_and_accounts_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client is closed once no Region uses it, except for a few that are kept idle."""
    monkeypatch.setattr("janitor.aws.clients.IDLE", 1)
    clock, shared = VirtualClock(NOW), SharedClients()

    def api(aws: Counting, region: str) -> Api:
        pace = Pace(lambda _name: 1e6, clock)
        return Api(Target(ACCOUNT, region), aws, pace, clock, Counts(), Stop(), Inline(), shared)

    one, other = Counting("one"), Counting("other")
    apis = [api(one, "eu-west-1"), api(one, "eu-north-1"), api(other, "eu-west-1")]

    def call(service: str, apis: list[Api]) -> None:
        step = ROWS[service].listing.steps[0]
        for each in apis:
            asyncio.run(each.once(service, step.call, paced=False, **step.parameters))

    call("ecs", apis)
    assert one.sent == ["one ecs.eu-west-1.amazonaws.com", "one ecs.eu-north-1.amazonaws.com"]
    assert other.sent == ["other ecs.eu-west-1.amazonaws.com"]
    apis[0].release("ecs")
    assert not one.closed
    apis[1].release("ecs")
    assert one.closed == {"ecs": 1}
    call("ecs", apis)
    for service in ("eks", "kafka"):
        call(service, apis[:1])
        apis[0].release(service)
    apis.append(api(one, "ap-south-1"))
    call("ecs", apis)  # a client in use does not count as idle
    call("logs", apis)
    assert one.made == {"ecs": 1, "eks": 1, "kafka": 1, "logs": 3}  # a client in each Region
    assert other.made == {"ecs": 1, "logs": 1}
    for each in apis:
        each.release_all()
    assert one.closed == {"ecs": 2, "eks": 1, "kafka": 1}
    call("ecs", apis)
    assert (one.made["ecs"], other.made["ecs"]) == (1, 2)
