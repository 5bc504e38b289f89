"""One client for all Regions: where its requests go, for which Region they are signed, and when it
is given up.
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
"""A name that botocore puts a prefix before."""


def session(inner: botocore.session.Session | None = None) -> boto3.Session:
    """A session of an account."""
    made = boto3.Session("key", "secret", botocore_session=inner or lean())
    made.events.register("before-send", _nothing)  # type: ignore[arg-type]  # it answers
    return made


def plain() -> boto3.Session:
    """A session as botocore makes it."""
    inner = botocore.session.Session()
    inner.register_component("data_loader", lean().get_component("data_loader"))
    return session(inner)


def _nothing(request: AWSPreparedRequest, **_more: Any) -> AWSResponse:
    return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: [b"{}"]))


def _signature(request: AWSPreparedRequest) -> str:
    said: Any = request.headers["Authorization"]
    return str(said, "ascii")


def heard(client: Any) -> list[str]:
    """The URL of each request from now on, and for what it is signed."""
    said: list[str] = []

    def note(request: AWSPreparedRequest, **_more: Any) -> None:
        signed = _signature(request)
        said.append(f"{request.url} {re.sub(', .*', '', signed)}")

    client.meta.events.register_first("before-send", note)
    return said


def ask(client: Any, row: Row) -> None:
    """The first call by which the row is read."""
    step = row.listing.steps[0]
    with contextlib.suppress(ResponseParserError):  # for the answer is no XML
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
    """To the same URL, signed for the same Region and service: another Region has no such owner."""
    (tmp_path / "config").write_text(PROFILE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    for name, value in SETTINGS[settings].items():
        monkeypatch.setenv(name, value)
    aws, other, not_followed = session(), plain(), set[str]()
    keep_only({name: operations()[name] for name in ROWS.keys() - USED_ELSEWHERE - {"ec2"}})
    for service in services:
        one = aws.client(service, "eu-west-1", config=CLIENT_CONFIG)
        if not follows(one, "eu-west-1"):
            not_followed.add(service)
            continue
        for region in regions:
            alone = other.client(service, region, config=CLIENT_CONFIG)
            requests = heard(one), heard(alone)
            with in_region(region):
                ask(one, ROWS[service])
            ask(alone, ROWS[service])
            assert len(requests[0]) == 1
            assert requests[0] == requests[1]
    assert not_followed == {"cloudfront", "route53"} & {*services}  # which are global


def proxy(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """Some Regions are reached through it, perhaps, and some not."""
    patch.setenv("HTTPS_PROXY", "http://proxy:3128")
    patch.setenv("NO_PROXY", ".eu-west-1.amazonaws.com")


def endpoints(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Endpoints of one's own, as it was done before AWS_ENDPOINT_URL."""
    (folder / "endpoints.json").write_text(json.dumps({"partitions": []}))
    patch.setenv("AWS_DATA_PATH", str(folder))


def signatures(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """Signatures for many Regions, where a service takes them."""
    patch.setenv("AWS_AUTH_SCHEME_PREFERENCE", "sigv4a,sigv4")


def other_botocore(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    """It finds out endpoints in another way."""
    patch.delattr("botocore.regions.EndpointRulesetResolver._get_provider_params")
    patch.setattr(
        "botocore.client.BaseClient._ruleset_resolver",
        property(lambda _self: None, lambda _self, _value: None),
        raising=False,
    )


@pytest.mark.parametrize("break_it", [proxy, endpoints, signatures, other_botocore])
def test_what_may_differ_between_regions_keeps_a_client_in_each(
    break_it: Callable[[pytest.MonkeyPatch, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """So do global services, and those that make more of their Region than an endpoint."""
    for service in ("s3", "sts", "iam"):
        assert not follows(session().client(service, "eu-west-1"), "eu-west-1")
    break_it(monkeypatch, tmp_path)
    assert not follows(session().client(ONE, "eu-west-1", config=CLIENT_CONFIG), "eu-west-1")


def test_a_session_does_not_hear_of_anothers_requests() -> None:
    """Although their event handlers are copies."""
    first, second = lean(), lean()
    first.register("after-call.ecs", lambda **_more: None)
    assert len(first.get_component("event_emitter").emit("after-call.ecs.ListClusters")) == 1
    assert second.get_component("event_emitter").emit("after-call.ecs.ListClusters") == []


def test_without_a_region_nothing_is_sent() -> None:
    """That in which the client was made is not taken for the one that is meant."""
    client = session().client(ONE, "eu-west-1", config=CLIENT_CONFIG)
    sent = heard(client)
    assert follows(client, "eu-west-1")
    with pytest.raises(LookupError):
        ask(client, ROWS[ONE])
    assert sent == []


def test_threads_that_call_at_once_ask_their_own_region() -> None:
    """Each of them is on its way when the other begins."""
    aws, regions, both = session(), ("eu-west-1", "ap-south-1"), threading.Barrier(2, timeout=60)
    client = aws.client("ecs", "us-east-1", config=CLIENT_CONFIG)
    assert follows(client, "us-east-1")
    client.meta.events.register_first(
        "before-parameter-build", lambda **_more: both.wait() and None
    )
    sent = heard(client)

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
    """A session that says what becomes of its clients."""

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


def test_an_accounts_regions_share_a_client_and_another_account_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections are closed once no Region uses it; of those that nobody uses some are kept."""
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
    apis[0].let_go("ecs")
    assert not one.closed
    apis[1].let_go("ecs")
    assert one.closed == {"ecs": 1}
    call("ecs", apis)
    for service in ("eks", "kafka"):
        call(service, apis[:1])
        apis[0].let_go(service)
    apis.append(api(one, "ap-south-1"))
    call("ecs", apis)  # what is used is not one too many
    call("logs", apis)
    assert one.made == {"ecs": 1, "eks": 1, "kafka": 1, "logs": 3}  # a client in each Region
    assert other.made == {"ecs": 1, "logs": 1}
    for each in apis:
        each.let_all_go()
    assert one.closed == {"ecs": 2, "eks": 1, "kafka": 1}
    call("ecs", apis)
    assert (one.made["ecs"], other.made["ecs"]) == (1, 2)
