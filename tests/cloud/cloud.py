"""The simulator as a whole: what a test opens, and points its clients at."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import boto3

from tests.cloud import calls_events, calls_logs, calls_other
from tests.cloud.clocks import Clock, RealClock
from tests.cloud.constraints import check
from tests.cloud.faults import DENIED, Faults, Garbage, Refuse, Reset, Slow
from tests.cloud.judge import Record, Verdict, judge
from tests.cloud.meanwhile import Actor
from tests.cloud.protocols import Answer, Call, RefusedError, answered, parse, refused
from tests.cloud.quotas import Buckets
from tests.cloud.server import Latency, Reply, Server
from tests.cloud.store import Store
from tests.cloud.world import World

_HANDLERS: dict[tuple[str, str], calls_logs.Handler] = {
    **{("logs", operation): handler for operation, handler in calls_logs.CALLS.items()},
    **{("logs", operation): handler for operation, handler in calls_events.CALLS.items()},
    **calls_other.CALLS,
}
_UNHEEDED = {
    "DescribeLogGroups": frozenset({"includeLinkedAccounts", "accountIdentifiers"}),
    "ListLogGroups": frozenset(
        {"includeLinkedAccounts", "accountIdentifiers", "dataSources", "fieldIndexNames"}
    ),
    "DescribeMetricFilters": frozenset({"metricName", "metricNamespace"}),
    "FilterLogEvents": frozenset({"filterPattern", "startFromHead"}),
    "GetResources": frozenset({"TagsPerPage", "ExcludeCompliantResources"}),
    "ListFunctions": frozenset({"MasterRegion", "FunctionVersion"}),
    "DescribeRegions": frozenset({"Filter", "RegionName", "AllRegions"}),
}
"""Parameters that change what AWS answers with, and have no meaning here."""
_THROTTLING = {
    "logs": ("ThrottlingException", 400),
    "monitoring": ("Throttling", 400),
    "tagging": ("ThrottledException", 400),
    "lambda": ("TooManyRequestsException", 429),
    "servicequotas": ("TooManyRequestsException", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "sts": ("Throttling", 400),
}
"""Code and status with which each service throttles: its botocore model's, or, where that has none,
those of its list of common errors."""
_ACTION_SERVICE = {"monitoring": "cloudwatch", "tagging": "tag"}
_TICK = 0.05


class Cloud:
    """A CloudWatch Logs on 127.0.0.1, with what the janitor needs around it.

    `latency` and `jitter` are seconds of real time. `faults` is asked before each call,
    `meanwhile` are actors. `empty_pages` is a share (0 to 1), `token_age` seconds, `page` the most
    log groups, streams or filters of a page. `store` and `world` may be touched while it runs,
    under `lock`. What broke in a handler or an actor is in `broken`, and raised at the end.
    """

    def __init__(
        self,
        store: Store,
        *,
        quotas: bool = True,
        latency: float = 0.03,
        jitter: float = 0.01,
        faults: Faults | None = None,
        clock: Clock | None = None,
        meanwhile: Iterable[Actor] = (),
        empty_pages: float = 0.0,
        token_age: float = 86_400.0,
        page: int = 50,
        seed: int = 0,
        port: int = 0,
    ) -> None:
        self.store = store
        self.clock = clock or RealClock()
        self.lock = threading.RLock()
        self.record = Record()
        drawn = random.Random(seed)
        self.world = World(
            store,
            self.clock,
            self.record,
            drawn,
            empty_pages,
            token_age,
            keys={f"AKIA{account}": account for account in store.accounts},
            page=page,
        )
        self.url = ""
        self.broken: list[Exception] = []
        self._buckets = Buckets(store, self.clock) if quotas else None
        self._latency = Latency(latency, jitter, random.Random(seed))
        self._faults = faults
        self._actors = list(meanwhile)
        self._number = 0
        self._clients: list[Any] = []
        self._port = port
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._server = Server(self.handle, self._port)
        self.url = self._server.start()
        if self._actors:
            self._server.every(_TICK, self._tick)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for client in self._clients:
            client.close()
        if self._server is not None:
            self._server.stop()
        if self.broken and kind is None:
            # Told to the caller as a failure of AWS, it would look like one of the tool's trials.
            raise self.broken[0]

    # ---- for callers -------------------------------------------------------------------------

    def session(self, account: str | None = None, region: str | None = None) -> boto3.Session:
        """A session of an account (the first, if not given) whose clients call this simulator."""
        account, region = self._place(account, region)
        return _Session(self, account, region)

    def client(self, service: str, account: str | None = None, region: str | None = None) -> Any:
        """A client that tries each call once."""
        config = boto3.session.Config(retries={"total_max_attempts": 1, "mode": "standard"})
        return self.session(account, region).client(service, config=config)

    def environment(self, account: str | None = None, region: str | None = None) -> dict[str, str]:
        """The AWS_… variables that send a subprocess here."""
        account, region = self._place(account, region)
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": f"AKIA{account}",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }

    def _place(self, account: str | None, region: str | None) -> tuple[str, str]:
        first = next(iter(self.store.regions), ("123456789012", "eu-west-1"))
        account = account or first[0]
        own = [name for owner, name in self.store.regions if owner == account]
        return account, region or (own or [first[1]])[0]

    @property
    def calls(self) -> Counter[str]:
        """Requests per operation, those that were throttled or failed too."""
        return self.judge().calls

    @property
    def throttled(self) -> Counter[str]:
        """Requests per operation that were answered with throttling."""
        return self.judge().throttled

    @property
    def unknown(self) -> Counter[str]:
        """Requests of operations that there are not here."""
        return self.judge().unknown

    @property
    def invoked(self) -> list[dict[str, Any]]:
        """The invocations of functions, in order."""
        return self.world.invoked

    def judge(self) -> Verdict:
        """What happened so far."""
        with self.lock:
            return judge(self.record, self.store)

    # ---- requests ----------------------------------------------------------------------------

    def _tick(self) -> None:
        with self.lock:
            try:
                for actor in self._actors:
                    actor(None, self.world)
            except Exception as error:  # noqa: BLE001 - raised by __exit__
                self.broken.append(error)

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The reply to a request, however it came; header names in lower case."""
        if path == "/_verdict":
            text = json.dumps(self.judge().summary()).encode()
            return Reply(Answer(200, "application/json", text), 0.0)
        delay = self._latency.draw()
        call = None
        with self.lock:
            try:
                call = parse(method, path, headers, body)
                self._known(call)
                return self._reply(call, delay)
            except RefusedError as error:
                return Reply(refused(call, error), delay)
            except Exception as error:  # noqa: BLE001 - raised by __exit__
                self.broken.append(error)
                said = RefusedError("InternalFailure", f"the simulator broke: {error!r}", 500)
                return Reply(refused(call, said), delay)

    def _known(self, call: Call) -> None:
        """Fill in the account, count the call, and let the others act. Raises RefusedError."""
        self._number += 1
        call.number = self._number
        account = self.world.keys.get(call.key)
        if account is None:
            if call.protocol in ("query", "ec2"):
                code = "AuthFailure" if call.protocol == "ec2" else "InvalidClientTokenId"
            else:
                code = "UnrecognizedClientException"
            raise RefusedError(code, "The security token included in the request is invalid.", 403)
        call.account = account
        if (call.service, call.operation) not in _HANDLERS:
            self.record.unknown[call.operation] += 1
            raise RefusedError("UnknownOperationException", f"no such operation: {call.operation}")
        for name in _UNHEEDED.get(call.operation, frozenset()) & call.parameters.keys():
            self.record.unknown[f"{call.operation} {name}"] += 1
            raise RefusedError("UnknownOperationException", f"{name} is not heeded here")
        self.record.called(account, call.region, call.operation, self.clock.seconds())
        if (account, call.region) not in self.store.regions and call.service not in (
            "sts",
            "ec2",
        ):
            raise RefusedError(
                "UnrecognizedClientException", f"{call.region} is not enabled in {account}", 403
            )
        for actor in self._actors:
            actor(call, self.world)

    def _reply(self, call: Call, delay: float) -> Reply:
        if not self._within_quotas(call):
            return Reply(self._throttle(call), delay)
        match None if self._faults is None else self._faults(call):
            case None:
                return Reply(self._answer(call), delay)
            case Slow(seconds):
                return Reply(self._answer(call), delay + seconds)
            case Reset(after):
                if after:
                    self._answer(call, told=False)
                return Reply(None, delay)
            case Garbage(body):
                self._answer(call, told=False)
                return Reply(Answer(200, "application/x-amz-json-1.1", body), delay)
            case Refuse(code, status, message, after):
                if "Throttl" in code or status == 429:
                    return Reply(self._throttle(call), delay)
                if code == DENIED.code:
                    return Reply(_denied(call), delay)
                if after:
                    self._answer(call, told=False)
                return Reply(refused(call, RefusedError(code, message, status)), delay)

    def _throttle(self, call: Call) -> Answer:
        self.record.throttled[call.account, call.region, call.operation] += 1
        code, status = _THROTTLING[call.service]
        return refused(call, RefusedError(code, "Rate exceeded", status))

    def _within_quotas(self, call: Call) -> bool:
        if self._buckets is None:
            return True
        if not self._buckets.take(call.account, call.region, call.operation):
            return False
        if call.operation != "GetMetricData":
            return True
        points, start = calls_other.points_asked(call)
        age = (self.clock.now() - start) / 1000
        return self._buckets.take_points(call.account, call.region, points, age)

    def _answer(self, call: Call, *, told: bool = True) -> Answer:
        self.record.unsent.clear()
        check(call)
        result = _HANDLERS[call.service, call.operation](self.world, call)
        self.record.sent(told=told)
        return answered(call, result)


def _denied(call: Call) -> Answer:
    if call.protocol == "ec2":
        said = "You are not authorized to perform this operation."
        return refused(call, RefusedError("UnauthorizedOperation", said, 403))
    action = f"{_ACTION_SERVICE.get(call.service, call.service)}:{call.operation}"
    said = f"User: arn:aws:iam::{call.account}:user/somebody is not authorized to perform: {action}"
    if call.protocol == "query":
        return refused(call, RefusedError("AccessDenied", said, 403))
    status = 403 if call.protocol == "rest" else 400
    return refused(call, RefusedError(DENIED.code, said, status))


class _Session(boto3.Session):
    """Its clients call the simulator, and are closed with it."""

    def __init__(self, cloud: Cloud, account: str, region: str) -> None:
        super().__init__(f"AKIA{account}", "secret", region_name=region)
        self._cloud = cloud

    def client(self, *args: Any, **options: Any) -> Any:
        if options.get("endpoint_url") is None:
            options["endpoint_url"] = self._cloud.url
        client = super().client(*args, **options)
        self._cloud._clients.append(client)
        return client
