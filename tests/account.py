"""An AWS account in memory, behind the same client calls as boto3's, with faults on demand.

It knows the truth (`deleted`, `puts`, `swept`), so tests can compare it with what was reported.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from janitor.aws import Api, Counts
from janitor.journal import Journal
from janitor.model import DAY_MS, LogGroup, Outcome, Target
from janitor.pace import Pace
from janitor.policy import Policy
from janitor.run import Run
from janitor.summary import Summary

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_800_000_000_000
MUTATING = {"PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream"}

Fault = Callable[[str, dict[str, Any]], Exception | None]


def refused(operation: str, code: str, status: int = 400) -> ClientError:
    """An error as botocore raises it."""
    answer = {
        "Error": {"Code": code, "Message": "told to"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


class FastClock:
    """Time that passes only when somebody waits, and then at once."""

    def __init__(self, now: int = NOW) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._passed = 0.0

    def now(self) -> int:
        return self._now + int(self._passed * 1000)

    def monotonic(self) -> float:
        with self._lock:
            return self._passed

    def wait(self, seconds: float, stop: threading.Event) -> None:
        with self._lock:
            self._passed += max(seconds, 0)


@dataclass
class Stream:
    name: str
    created: int
    last: int | None = None
    lagging: bool = False

    def shown(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"logStreamName": self.name, "creationTime": self.created}
        if self.last is not None and not self.lagging:
            entry |= {"lastEventTimestamp": self.last, "lastIngestionTime": self.last}
        return entry


@dataclass
class Group:
    name: str
    created: int
    stored: int = 0
    retention: int | None = None
    account_policy: str | None = None
    log_class: str = "STANDARD"
    protected: bool = False
    metric_filters: int = 0
    subscriptions: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    streams: list[Stream] = field(default_factory=list)
    arrivals: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    odd: dict[str, Any] = field(default_factory=dict)

    def shown(self, arn: str) -> dict[str, Any]:
        entry = {
            "logGroupName": self.name,
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "creationTime": self.created,
            "storedBytes": self.stored,
            "metricFilterCount": self.metric_filters,
            "logGroupClass": self.log_class,
            "deletionProtectionEnabled": self.protected,
        }
        if self.retention is not None:
            entry["retentionInDays"] = self.retention
        if self.account_policy is not None:
            entry["retentionPolicyName"] = self.account_policy
        return {k: v for k, v in (entry | self.odd).items() if v is not ...}


class Cloud:
    """One account and Region.

    `fault` may answer a call with an error instead of its effect, `after` with an error after the
    effect (a reset that loses the answer). Page tokens of an older `token_age` have expired.
    """

    def __init__(self, groups: Iterable[Group] = (), clock: FastClock | None = None) -> None:
        self.groups = {group.name: group for group in groups}
        self.functions: dict[str, str | None] = {}
        self.clock = clock or FastClock()
        self.fault: Fault = lambda _operation, _parameters: None
        self.after: Fault = lambda _operation, _parameters: None
        self.before_call: Callable[[str, dict[str, Any]], None] = lambda _o, _p: None
        self.calls: Counter[str] = Counter()
        self.deleted: list[Group] = []
        self.swept: list[tuple[str, str]] = []
        self.puts: list[tuple[str, int]] = []
        self.page = 50
        self.quotas: dict[str, float] = {}
        self.token_age = 0
        self.scanned: list[str | None] = []
        self.invoked: list[dict[str, Any]] = []
        self._lock = threading.RLock()

    def client(self, service: str, region: str, config: Any) -> Any:
        return _Client(self, region)

    def arn(self, name: str) -> str:
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}"

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.calls[operation] += 1
            self.before_call(operation, parameters)
            if (error := self.fault(operation, parameters)) is not None:
                raise error
            answer: dict[str, Any] = getattr(self, f"_{operation}")(**parameters)
            if (error := self.after(operation, parameters)) is not None:
                raise error
            return answer

    def _find(self, operation: str, name: str) -> Group:
        if name not in self.groups:
            raise refused(operation, "ResourceNotFoundException")
        return self.groups[name]

    def _cut(self, key: str, items: list[dict[str, Any]], token: str | None) -> dict[str, Any]:
        """Pages in order of name, with an empty one before each but the first; a token says after
        which name to go on, whatever was deleted meanwhile.
        """
        name = {"logGroups": "logGroupName", "logStreams": "logStreamName"}.get(key, "filterName")
        if token and not token.startswith("e"):
            return {key: [], "nextToken": f"e{token}"}
        after = token.split("|", 1)[1] if token else ""
        rest = [item for item in items if item[name] > after]
        answer: dict[str, Any] = {key: rest[: self.page]}
        if len(rest) > self.page:
            answer["nextToken"] = f"{self.token_age}|{rest[self.page - 1][name]}"
        return answer

    def _DescribeLogGroups(
        self,
        logGroupNamePrefix: str = "",
        logGroupIdentifiers: list[str] | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        if nextToken and not nextToken.removeprefix("e").startswith(f"{self.token_age}|"):
            raise refused("DescribeLogGroups", "InvalidParameterException")
        if not logGroupNamePrefix and logGroupIdentifiers is None:
            self.scanned.append(nextToken)
        names = sorted(
            name
            for name in self.groups
            if name.startswith(logGroupNamePrefix)
            and (logGroupIdentifiers is None or name in logGroupIdentifiers)
        )
        shown = [self.groups[name].shown(self.arn(name)) for name in names]
        return self._cut("logGroups", shown, nextToken)

    def _DescribeLogStreams(
        self, logGroupName: str, orderBy: str, nextToken: str | None = None
    ) -> dict[str, Any]:
        streams = self._find("DescribeLogStreams", logGroupName).streams
        shown = [s.shown() for s in sorted(streams, key=lambda s: s.name)]
        return self._cut("logStreams", shown, nextToken)

    def _DescribeSubscriptionFilters(
        self, logGroupName: str, nextToken: str | None = None
    ) -> dict[str, Any]:
        group = self._find("DescribeSubscriptionFilters", logGroupName)
        filters = [{"filterName": name} for name in sorted(group.subscriptions)]
        return self._cut("subscriptionFilters", filters, nextToken)

    def _FilterLogEvents(
        self,
        logGroupName: str,
        startTime: int,
        logStreamNames: list[str] | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        group = self._find("FilterLogEvents", logGroupName)
        if group.log_class == "INFREQUENT_ACCESS":
            raise refused("FilterLogEvents", "InvalidParameterException")
        if nextToken is None:
            return {"events": [], "nextToken": "0"}
        return {"events": [{"timestamp": at} for at in group.events if at >= startTime]}

    def _GetMetricData(
        self,
        MetricDataQueries: list[dict[str, Any]],
        StartTime: datetime,
        EndTime: datetime,
        NextToken: str | None = None,
    ) -> dict[str, Any]:
        start, end = StartTime.timestamp() * 1000, EndTime.timestamp() * 1000
        results = []
        for query in MetricDataQueries:
            name = query["MetricStat"]["Metric"]["Dimensions"][0]["Value"]
            period = query["MetricStat"]["Period"] * 1000
            arrivals = self.groups[name].arrivals if name in self.groups else []
            buckets = {
                start + (at - start) // period * period for at in arrivals if start <= at < end
            }
            times = [datetime.fromtimestamp(at / 1000, StartTime.tzinfo) for at in sorted(buckets)]
            results.append({"Id": query["Id"], "Timestamps": times, "StatusCode": "Complete"})
        return {"MetricDataResults": results}

    def _GetResources(self, ResourceARNList: list[str]) -> dict[str, Any]:
        found = [g for g in self.groups.values() if self.arn(g.name) in ResourceARNList and g.tags]
        return {
            "ResourceTagMappingList": [
                {
                    "ResourceARN": self.arn(group.name),
                    "Tags": [{"Key": k, "Value": v} for k, v in group.tags.items()],
                }
                for group in found
            ]
        }

    def _ListFunctions(self, Marker: str | None = None) -> dict[str, Any]:
        return {
            "Functions": [
                {"FunctionName": name, **({"LoggingConfig": {"LogGroup": to}} if to else {})}
                for name, to in self.functions.items()
            ]
        }

    def _ListServiceQuotas(self, **_asked: Any) -> dict[str, Any]:
        name = "{} throttle limit in transactions per second"
        return {
            "Quotas": [
                {"QuotaName": name.format(operation), "Value": value}
                for operation, value in self.quotas.items()
            ]
        }

    def _GetCallerIdentity(self) -> dict[str, Any]:
        return {"Account": ACCOUNT}

    def _DescribeRegions(self) -> dict[str, Any]:
        return {"Regions": [{"RegionName": REGION}]}

    def _Invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> dict[str, Any]:
        self.invoked.append({"to": FunctionName, "how": InvocationType, "payload": Payload})
        return {"StatusCode": 202}

    def _PutRetentionPolicy(self, logGroupName: str, retentionInDays: int) -> dict[str, Any]:
        self._find("PutRetentionPolicy", logGroupName).retention = retentionInDays
        self.puts.append((logGroupName, retentionInDays))
        return {}

    def _DeleteLogGroup(self, logGroupName: str) -> dict[str, Any]:
        group = self._find("DeleteLogGroup", logGroupName)
        if group.protected:
            raise refused("DeleteLogGroup", "ValidationException")
        self.deleted.append(self.groups.pop(logGroupName))
        return {}

    def _DeleteLogStream(self, logGroupName: str, logStreamName: str) -> dict[str, Any]:
        group = self._find("DeleteLogStream", logGroupName)
        left = [stream for stream in group.streams if stream.name != logStreamName]
        if len(left) == len(group.streams):
            raise refused("DeleteLogStream", "ResourceNotFoundException")
        group.streams = left
        self.swept.append((logGroupName, logStreamName))
        return {}


class _Client:
    """Turns `describe_log_groups(...)` into the call of that name. Without botocore's events."""

    meta = None

    def __init__(self, cloud: Cloud, region: str) -> None:
        self._cloud = cloud

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        operation = "".join(part.capitalize() for part in method.split("_"))
        return lambda **parameters: self._cloud.call(operation, parameters)


class Recorded:
    """A Recorder that remembers."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.groups: list[LogGroup] = []

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def scanned(self, group: LogGroup) -> None:
        self.groups.append(group)

    def of(self, name: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.group.name == name]


def api(cloud: Cloud, stop: threading.Event | None = None, counts: Counts | None = None) -> Api:
    """The calls of the cloud's one target."""
    return Api(
        Target(ACCOUNT, REGION),
        cloud,
        Pace(lambda _operation: 1000.0, cloud.clock),
        cloud.clock,
        counts or Counts(),
        stop or threading.Event(),
    )


def janitor(
    cloud: Cloud,
    policy: Policy,
    journal: Journal,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    counts: Counts | None = None,
) -> tuple[Summary, Recorded]:
    """One run over the cloud."""
    stop = stop or threading.Event()
    recorded = Recorded()
    run = Run(
        [api(cloud, stop, counts)],
        policy,
        recorded,
        journal,
        stop,
        NOW,
        dry_run=dry_run,
    )
    return run.execute(), recorded


def days_ago(days: float) -> int:
    """A time in ms, so many days before NOW."""
    return NOW - int(days * DAY_MS)
