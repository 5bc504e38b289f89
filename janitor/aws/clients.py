"""Shares one client of a service among all Regions of an account.

A client takes 2.6 ms of CPU time to make, and about one more to warm up (botocore 1.44.5,
measured): for 79 services in 17 Regions that is a quarter of a run. A client's Region only
determines its endpoint and signature, and both can be set for each call.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.request import getproxies

from botocore.utils import validate_region_name

USED_ELSEWHERE = frozenset(
    {
        *("cloudwatch", "lambda", "logs", "resourcegroupstaggingapi", "s3", "service-quotas"),
        *("sns", "ssm"),
    }
)
"""Services that are not only read for owners: they are called often, or by clients of other
modules. They have a client in each Region.
"""

_REGION = ContextVar[str]("region")
_BUILTINS = {
    "AWS::Region",
    "AWS::UseFIPS",
    "AWS::UseDualStack",
    "SDK::Endpoint",
    "AWS::Auth::AccountId",
    "AWS::Auth::AccountIdEndpointMode",
}
"""What an endpoint may depend on besides the call: except for the first, all are the same in all
Regions. S3 and STS have more (botocore 1.44.5, `args.py`).
"""


class Clients(Protocol):
    """Makes clients for one account: boto3's Session, or a fake."""

    @property
    def client(self) -> Callable[..., Any]:
        """The function that makes a client: `client(service_name, region_name, config=…)`."""


@contextlib.contextmanager
def in_region(region: str) -> Iterator[None]:
    """Send calls in this context to the Region, if their client is one that `follows` accepted."""
    before = _REGION.set(region)
    try:
        yield
    finally:
        _REGION.reset(before)


def follows(client: Any, region: str) -> bool:
    """Whether the client, made for the Region, sends each call from now on to the Region of
    `in_region`, as one made for that would. Without `in_region` a call raises LookupError.

    False if more than endpoint and signature may depend on the Region, or if botocore differs from
    the one known here. The former holds for global services, custom endpoints (AWS_DATA_PATH),
    endpoint discovery, a choice of signatures, and proxies, which may except hosts.
    """
    try:
        resolver, loader = client._ruleset_resolver, client._loader
        model = client.meta.service_model
        builtins = {parameter.builtin for parameter in resolver._param_definitions.values()}
        alike = (
            "AWS::Region" in builtins
            and builtins - {None} <= _BUILTINS
            and resolver._builtins["AWS::Region"] == region
            and client.meta.region_name == client._request_signer.region_name == region
            and client.meta.config.auth_scheme_preference is None
            and model.endpoint_discovery_operation is None
            and loader.is_builtin_path(loader.load_data_with_path("endpoints")[1])
            and getproxies().keys() <= {"no"}
        )
    except (AttributeError, KeyError, TypeError):
        return False
    if alike:
        event = f"before-endpoint-resolution.{model.service_id.hyphenize()}"
        client.meta.events.register(event, _send_there, unique_id="janitor-in-region")
    return alike


def _send_there(builtins: dict[str, Any], context: dict[str, Any], **_more: Any) -> None:
    """Resolve the endpoint for the Region, and sign the request for it, unless the endpoint's rules
    name another: they are applied after this (botocore 1.44.5, `client.py`).
    """
    region = _REGION.get()
    builtins["AWS::Region"] = context["client_region"] = region
    context.setdefault("signing", {})["region"] = region


IDLE = 100
"""Unused clients that are kept, over all accounts: enough for those of one account, whose next
Region uses them again.
"""


class SharedClients:
    """Clients that serve all Regions of their account, for any number of targets. A client's
    connections are closed as soon as nobody uses it: hundreds would remain, at 50 KB each.
    """

    def __init__(self) -> None:
        self._clients: dict[tuple[Clients, str], Any] = {}
        self._users = Counter[tuple[Clients, str]]()
        self._idle: dict[tuple[Clients, str], None] = {}
        """Those idle the longest come first."""
        self._lock = threading.Lock()

    def take(self, session: Clients, service: str, region: str, make: Callable[[], Any]) -> Any:
        """The session's client for all Regions, or if there can be none, what `make` makes. Must be
        called by one thread at a time. Raises what `make` raises, and InvalidRegionError.
        """
        if service in USED_ELSEWHERE:
            return make()
        validate_region_name(region)  # as botocore does when it makes a client
        key = (session, service)
        if (client := self._clients.get(key)) is None:
            client = make()
            if not follows(client, region):
                return client
        with self._lock:
            self._clients[key] = client
            self._users[key] += 1
            self._idle.pop(key, None)
        return client

    def give_back(self, session: Clients, service: str, client: Any) -> None:
        """Return a client that is no longer used."""
        key = (session, service)
        with self._lock:
            if key not in self._clients or self._clients[key] is not client:
                return  # it is not shared
            self._users[key] -= 1
            if not self._users[key]:
                client.close()  # it connects again at its next use
                self._idle[key] = None
            if len(self._idle) > IDLE:
                oldest = next(iter(self._idle))
                del self._idle[oldest], self._clients[oldest], self._users[oldest]
