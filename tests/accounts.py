"""One account and Region of the sandbox, with short builders, disturbances and a record of changes.

Real boto3 clients call it in the process. They are made once per process, because making one takes
longer than most tests.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import boto3
from botocore.config import Config

from janitor.aws.api import CLIENT_CONFIG, Api, Counts
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import DAY_MS, Stop
from janitor.core.exit_codes import Exit
from janitor.core.model import LogGroup, Outcome, Status, Target
from janitor.core.tally import Tally
from janitor.engine.act import Act, Part, as_async
from janitor.engine.admission import Admission
from janitor.engine.books import Books
from janitor.engine.plan import action_line, grouped
from janitor.engine.survey import Listing, Survey, every_group
from janitor.journal.journal import Journal
from janitor.policy.file import Policy
from janitor.report.summary import summarize
from janitor.sandbox import inprocess, store
from janitor.sandbox.account import Sandbox
from janitor.sandbox.store import Events, Lags, Store, Stream
from janitor.sandbox.wire import Answer, Call, RefusedError, Reply, Request
from tests.virtual import VirtualClock

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_800_000_000_000
MUTATING = {"PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream"}
"""The operations by which a run changes an account."""
FOR_EVER = 10.0**10
"""Seconds; the lag where a test sets what is shown."""
RESET = Reply(None)
"""The connection breaks, and the outcome of the call is unknown."""

Disturbance = Callable[[Call], Reply | RefusedError | None]


def days_ago(days: float) -> int:
    """The time in ms that many days before NOW."""
    return NOW - int(days * DAY_MS)


def changing(operations: Iterable[str]) -> set[str]:
    """The operations that do more than read."""
    reading = ("Describe", "Filter", "Get", "List")
    return {name for name in operations if not name.startswith(reading)}


def refused(code: str, status: int = 400) -> RefusedError:
    """An AWS error for a disturbance to answer with."""
    return RefusedError(code, "as the test wants it", status)


def refusing(operation: str, code: str, status: int = 400) -> Disturbance:
    """Refuse each call of the operation."""
    return lambda call: refused(code, status) if call.operation == operation else None


def ok(body: bytes, kind: str = "application/x-amz-json-1.1") -> Reply:
    """An answer of status 200 with this body."""
    return Reply(Answer(200, kind, body))


class Group(store.Group):
    """A log group of the account. `arrivals` are bytes by time of arrival (ms), beside what its
    streams hold; `under` is an account-level retention policy, by name and days; `fields` are the
    store's.
    """

    __slots__ = ("arrivals", "under")

    def __init__(
        self,
        name: str,
        created: int,
        stored: int = 0,
        retention: int | None = None,
        *,
        streams: Iterable[Stream] = (),
        arrivals: Mapping[int, int] | None = None,
        under: tuple[str, int | None] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(ACCOUNT, REGION, name, created, retention, stored, **fields)
        self.streams = {stream.name: stream for stream in streams}
        self.arrivals = arrivals or {}
        self.under = under


def stream(name: str, created: int, last: int | None = None, *, lag: float | None = None) -> Stream:
    """A log stream, with one event if `last` is given."""
    made = Stream(name, created, lag)
    if last is not None:
        made.events.append(Events(last, 1, 100, last))
    return made


class Cloud:
    """The account. Stored bytes are those of the group, however much its streams hold.

    `before_call` observes each call. `fault` may answer in place of the account before the call's
    effect, `after` may do so after it. `scanned` are the page tokens of requests for all groups.
    """

    def __init__(
        self,
        groups: Iterable[store.Group] = (),
        *,
        lags: Lags | None = None,
        clock: VirtualClock | None = None,
        **options: Any,
    ) -> None:
        self.clock = clock or VirtualClock(NOW)
        self.store = Store(lags or Lags(stored=FOR_EVER))
        self.region = self.store.region(ACCOUNT, REGION)
        self.groups = MappingProxyType(self.region.groups)
        self.functions = self.region.functions
        self.sandbox = Sandbox(self.store, clock=self.clock, intercept=self._intercept, **options)
        self.quiet()
        self.calls: Counter[str] = Counter()
        self.deleted: list[store.Group] = []
        self.swept: list[tuple[str, str]] = []
        self.puts: list[tuple[str, int]] = []
        self.scanned: list[str | None] = []
        for group in groups:
            self.put(group)

    def put(self, group: store.Group) -> None:
        """Add a log group, or replace the one of that name."""
        self.region.put(group)
        arrived = [events for stream in group.streams.values() for events in stream.events]
        if isinstance(group, Group):
            arrived += [Events(at, 1, size, at) for at, size in group.arrivals.items()]
            if group.under is not None:
                self.store.add_policy(ACCOUNT, REGION, *group.under, group.name)
        self.region.arrivals.setdefault(group.name, []).extend(arrived)

    def police(self, name: str, policy: str = "p", days: int | None = None) -> None:
        """Put the group of that name under an account-level retention policy."""
        self.store.add_policy(ACCOUNT, REGION, f"{policy}{name}", days, name)

    def state(self) -> dict[str, Any]:
        """The state of the groups, without events, which may expire meanwhile."""
        shown = {name: group.state() for name, group in self.groups.items()}
        return {name: each | {"streams": sorted(each["streams"])} for name, each in shown.items()}

    def quiet(self) -> None:
        """End all disturbances."""
        self.fault: Disturbance = lambda _call: None
        self.after: Disturbance = lambda _call: None
        self.before_call: Callable[[Call], None] = lambda _call: None

    def client(self, service: str, region: str | None = None, **_options: Any) -> Any:
        return _Client(self.sandbox, _client(service, region or REGION))

    def session(self) -> boto3.Session:
        """A session whose clients call this account."""
        return _Session(self)

    def _intercept(self, call: Call, answer: Callable[[], Answer]) -> Reply:
        self.calls[call.operation] += 1
        self.before_call(call)
        if (instead := self.fault(call)) is None:
            group = self.groups.get(call.group or "")
            reply = Reply(answer())
            self._record(call, group)
            instead = self.after(call) or reply
        if isinstance(instead, RefusedError):
            raise instead
        return instead

    def _record(self, call: Call, group: store.Group | None) -> None:
        p = call.parameters
        match call.operation:
            case "DescribeLogGroups" if not p.keys() & _NARROWING:
                self.scanned.append(p.get("nextToken"))
            case "DeleteLogGroup" if group is not None:
                self.deleted.append(group)
            case "DeleteLogStream":
                self.swept.append((p["logGroupName"], p["logStreamName"]))
            case "PutRetentionPolicy":
                self.puts.append((p["logGroupName"], p["retentionInDays"]))


_NARROWING = {"logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers"}


# ---- clients -------------------------------------------------------------------------------------


class _Calling(threading.local):
    sandbox: Sandbox


_CALLING = _Calling()


@cache
def _session() -> boto3.Session:
    def handle(request: Request) -> Reply:
        return _CALLING.sandbox.handle(request)

    return inprocess.session(handle, f"AKIA{ACCOUNT}", REGION)


@cache
def _client(service: str, region: str) -> Any:
    # botocore builds its long User-Agent twice a call, which takes a fifth of the call's time.
    config = CLIENT_CONFIG.merge(Config(user_agent="tests"))
    return _session().client(service, region, config=config)


class _Session(boto3.Session):
    def __init__(self, cloud: Cloud) -> None:
        self._session = _session()._session
        self.client = cloud.client  # type: ignore[method-assign, assignment]


class _Client:
    """The process's client of a service and Region, directed at this sandbox."""

    def __init__(self, sandbox: Sandbox, client: Any) -> None:
        self._sandbox = sandbox
        self._client = client
        self.meta = client.meta

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            _CALLING.sandbox = self._sandbox
            return method(**parameters)

        return call


# ---- the engine ----------------------------------------------------------------------------------


class Result:
    """The result of a run."""

    def __init__(self, total: Tally, refused: str, stop: Stop) -> None:
        self.planned, self.done, self.by_status = total.planned, total.done, total.by_status
        self.groups_scanned = total.scanned
        self.errors, self.warnings, self.complete = total.errors, total.warnings, total.complete
        self.refused = refused
        interrupted = stop.cause == "interrupted"
        self.summary = summarize(
            total, {}, {}, {}, (), refused_because=refused, interrupted=interrupted
        )

    @property
    def exit_code(self) -> Exit:
        return self.summary.exit_code


class Recorded:
    """Records log groups and outcomes; `planned` are those that a survey only planned."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.planned: list[Outcome] = []
        self.groups: list[LogGroup] = []

    def listen(self, groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        self.groups += groups
        for outcome in outcomes:
            planned = outcome.status is Status.PLANNED
            (self.planned if planned else self.outcomes).append(outcome)

    def of(self, name: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.group.name == name]


def api(cloud: Cloud, stop: Stop | None = None, counts: Counts | None = None) -> Api:
    """The `Api` of the cloud's one target."""
    pace = Pace(lambda _operation: 1000.0, cloud.clock)
    target = Target(ACCOUNT, REGION)
    stop, counts = stop or Stop(), counts or Counts()
    return Api(target, cloud, pace, cloud.clock, counts, stop, Inline())


def janitor(
    cloud: Cloud,
    policy: Policy,
    journal: Journal | None,
    *,
    stop: Stop | None = None,
    counts: Counts | None = None,
    **options: Any,
) -> tuple[Result, Recorded]:
    """Run over the cloud; the options are those of `whole`."""
    return cloud.clock.run(whole(api(cloud, stop, counts), policy, journal, **options))


def look(cloud: Cloud, policy: Policy, **options: Any) -> tuple[Result, Recorded]:
    """Survey the cloud without changing it."""
    return janitor(cloud, policy, None, **options)


async def whole(
    calls: Api,
    policy: Policy,
    journal: Journal | None = None,
    *,
    now: int = NOW,
    between: Callable[[], None] = lambda: None,
    listing: Listing = every_group,
    orphans: bool = False,
) -> tuple[Result, Recorded]:
    """Survey, then act if there is a journal; `between` is called between the two."""
    recorded, stop = Recorded(), calls.stop
    apis = {calls.target: calls}
    books = Books(apis, recorded.listen)
    survey = Survey(policy, now, stop, books, listing=listing, orphans=orphans)
    await survey.run(apis, {calls.target: None})
    refused = books.over_limit(policy.limits)
    if journal is not None:
        between()
        lines = [line for outcome in recorded.planned if (line := action_line(outcome)) is not None]
        part = Part(as_async(grouped(lines)), refused=books.refusals(policy.limits)[calls.target])
        act = Act(
            policy,
            now,
            stop,
            journal,
            books,
            Admission(calls.clock),
            owner_cache=survey.owner_cache,
        )
        await act.run(apis, {calls.target: part})
    return Result(books.total, refused, stop), recorded
