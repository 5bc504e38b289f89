"""An AWS account in memory, behind the same client calls as boto3's, with faults on demand.

It knows the truth (`deleted`, `puts`, `swept`), so tests can compare it with what was reported.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.core.model import DAY_MS, LogGroup, Outcome, Target
from janitor.engine.run import Run
from janitor.engine.summary import Summary
from janitor.journal.journal import Journal
from janitor.policy.file import Policy

ACCOUNT = "123456789012"
REGION = "eu-west-1"
NOW = 1_800_000_000_000
RESTORING = {
    "PutRetentionPolicy",
    "DeleteRetentionPolicy",
    "CreateLogGroup",
    "AssociateKmsKey",
    "TagResource",
    "PutBearerTokenAuthentication",
    "PutDataProtectionPolicy",
    "PutIndexPolicy",
    "PutTransformer",
    "PutMetricFilter",
    "PutSubscriptionFilter",
}
MUTATING = {"PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream"}
CHANGING = MUTATING | RESTORING

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
    received: dict[int, int] = field(default_factory=dict)
    odd: dict[str, Any] = field(default_factory=dict)
    kms: str | None = None
    bearer: bool = False
    data_protection: str | None = None
    index: str | None = None
    account_index: str | None = None
    transformer: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    shipped: dict[str, dict[str, Any]] = field(default_factory=dict)

    def defined(self) -> dict[str, Any]:
        """What an undo is to bring back: not its streams, events and creation time."""
        left_out = {"created", "stored", "streams", "arrivals", "events", "odd", "account_index"}
        kept = [f.name for f in fields(self) if f.name not in left_out]
        return {name: deepcopy(getattr(self, name)) for name in kept}

    def shown(self, arn: str) -> dict[str, Any]:
        entry = {
            "logGroupName": self.name,
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "creationTime": self.created,
            "storedBytes": self.stored,
            "metricFilterCount": self.metric_filters + len(self.metrics),
            "logGroupClass": self.log_class,
            "deletionProtectionEnabled": self.protected,
        }
        if self.retention is not None:
            entry["retentionInDays"] = self.retention
        if self.account_policy is not None:
            entry["retentionPolicyName"] = self.account_policy
        if self.kms is not None:
            entry["kmsKeyId"] = self.kms
        if self.bearer:
            entry["bearerTokenAuthenticationEnabled"] = True
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
        self.made: list[str] = []
        self.objects: dict[str, str] = {}
        self.policed: dict[str, tuple[str, int | None]] = {}
        self.page = 50
        self.quotas: dict[str, float] = {}
        self.buckets_begin: int | None = None
        """ms since the epoch from which a metric's buckets count; None: the start asked for."""
        self.token_age = 0
        self.scanned: list[str | None] = []
        self.invoked: list[dict[str, Any]] = []
        self.published: list[dict[str, Any]] = []
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
        logGroupNamePattern: str = "",
    ) -> dict[str, Any]:
        assert not (logGroupNamePrefix and logGroupNamePattern), "mutually exclusive"
        if nextToken and not nextToken.removeprefix("e").startswith(f"{self.token_age}|"):
            raise refused("DescribeLogGroups", "InvalidParameterException")
        if not (logGroupNamePrefix or logGroupNamePattern) and logGroupIdentifiers is None:
            self.scanned.append(nextToken)
        names = sorted(
            name
            for name in self.groups
            if name.startswith(logGroupNamePrefix)
            and logGroupNamePattern in name
            and (logGroupIdentifiers is None or name in logGroupIdentifiers)
        )
        shown = [self.groups[name].shown(self.arn(name)) for name in names]
        if logGroupNamePattern:  # then nothing else is included (CloudWatch Logs API reference)
            keys = ("arn", "creationTime", "logGroupName")
            shown = [{key: each[key] for key in keys if key in each} for each in shown]
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
        filters = [{"filterName": name} for name in group.subscriptions]
        filters += [*group.shipped.values()]
        return self._cut("subscriptionFilters", _named(filters), nextToken)

    def _DescribeMetricFilters(
        self, logGroupName: str, nextToken: str | None = None
    ) -> dict[str, Any]:
        group = self._find("DescribeMetricFilters", logGroupName)
        return self._cut("metricFilters", _named(group.metrics.values()), nextToken)

    def _of_class(self, operation: str, name: str) -> Group:
        group = self._find(operation, name)
        if group.log_class != "STANDARD":
            raise refused(operation, "InvalidOperationException")
        return group

    def _GetDataProtectionPolicy(self, logGroupIdentifier: str) -> dict[str, Any]:
        group = self._of_class("GetDataProtectionPolicy", logGroupIdentifier)
        document = group.data_protection
        own = {} if document is None else {"policyDocument": document}
        return {"logGroupIdentifier": group.name, **own}

    def _DescribeIndexPolicies(
        self, logGroupIdentifiers: list[str], nextToken: str | None = None
    ) -> dict[str, Any]:
        [name] = logGroupIdentifiers
        group = self._of_class("DescribeIndexPolicies", name)
        if nextToken is None:
            return {"indexPolicies": [], "nextToken": "1"}
        if group.index is not None:
            return {"indexPolicies": [{"policyDocument": group.index, "source": "LOG_GROUP"}]}
        account = group.account_index
        found = [] if account is None else [{"policyDocument": account, "source": "ACCOUNT"}]
        return {"indexPolicies": found}

    def _GetTransformer(self, logGroupIdentifier: str) -> dict[str, Any]:
        group = self._of_class("GetTransformer", logGroupIdentifier)
        if not group.transformer:
            raise refused("GetTransformer", "ResourceNotFoundException")
        return {"logGroupIdentifier": group.name, "transformerConfig": group.transformer}

    def _ListTagsForResource(self, resourceArn: str) -> dict[str, Any]:
        return {"tags": dict(self._by_arn("ListTagsForResource", resourceArn).tags)}

    def _by_arn(self, operation: str, arn: str) -> Group:
        assert not arn.endswith(":*"), "refused by AWS"
        return self._find(operation, arn.split(":log-group:")[1])

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
            metric = query["MetricStat"]["Metric"]
            period = query["MetricStat"]["Period"] * 1000
            points = self._points(metric["MetricName"], metric["Dimensions"][0]["Value"])
            zero = start if self.buckets_begin is None else self.buckets_begin
            buckets: Counter[float] = Counter()
            for at, value in points:
                bucket = zero + (at - zero) // period * period
                if start <= bucket and at < end:
                    buckets[bucket] += value
            times = [datetime.fromtimestamp(at / 1000, StartTime.tzinfo) for at in sorted(buckets)]
            values = [float(buckets[at]) for at in sorted(buckets)]
            results.append(
                {
                    "Id": query["Id"],
                    "Timestamps": times,
                    "Values": values,
                    "StatusCode": "Complete",
                }
            )
        return {"MetricDataResults": results}

    def _points(self, metric: str, name: str) -> list[tuple[int, int]]:
        if name not in self.groups:
            return []
        if metric == "IncomingBytes":
            return list(self.groups[name].received.items())
        return [(at, 1) for at in self.groups[name].arrivals]

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

    def _Publish(self, **said: Any) -> dict[str, Any]:
        self.published.append(said)
        return {"MessageId": str(len(self.published))}

    def _PutObject(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, Any]:
        assert ContentType == "application/x-ndjson"
        self.objects[f"s3://{Bucket}/{Key}"] = Body.decode()
        return {}

    def _PutRetentionPolicy(self, logGroupName: str, retentionInDays: int) -> dict[str, Any]:
        self._find("PutRetentionPolicy", logGroupName).retention = retentionInDays
        self.puts.append((logGroupName, retentionInDays))
        return {}

    def _DeleteRetentionPolicy(self, logGroupName: str) -> dict[str, Any]:
        self._find("DeleteRetentionPolicy", logGroupName).retention = None
        return {}

    def _CreateLogGroup(
        self,
        logGroupName: str,
        logGroupClass: str,
        kmsKeyId: str | None = None,
        tags: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        if logGroupName in self.groups:
            raise refused("CreateLogGroup", "ResourceAlreadyExistsException")
        if any(key.startswith("aws:") for key in tags or {}):
            raise refused("CreateLogGroup", "InvalidParameterException")
        self.made.append(logGroupName)
        self.groups[logGroupName] = Group(
            logGroupName,
            self.clock.now() + len(self.made),
            log_class=logGroupClass,
            kms=kmsKeyId,
            tags=dict(tags or {}),
        )
        if logGroupName in self.policed:
            made = self.groups[logGroupName]
            made.account_policy, made.retention = self.policed[logGroupName]
        return {}

    def _AssociateKmsKey(self, logGroupName: str, kmsKeyId: str) -> dict[str, Any]:
        self._find("AssociateKmsKey", logGroupName).kms = kmsKeyId
        return {}

    def _TagResource(self, resourceArn: str, tags: dict[str, str]) -> dict[str, Any]:
        if any(key.startswith("aws:") for key in tags):
            raise refused("TagResource", "InvalidParameterException")
        self._by_arn("TagResource", resourceArn).tags.update(tags)
        return {}

    def _PutBearerTokenAuthentication(
        self, logGroupIdentifier: str, bearerTokenAuthenticationEnabled: bool
    ) -> dict[str, Any]:
        group = self._find("PutBearerTokenAuthentication", logGroupIdentifier)
        group.bearer = bearerTokenAuthenticationEnabled
        return {}

    def _PutDataProtectionPolicy(
        self, logGroupIdentifier: str, policyDocument: str
    ) -> dict[str, Any]:
        group = self._of_class("PutDataProtectionPolicy", logGroupIdentifier)
        group.data_protection = policyDocument
        return {"logGroupIdentifier": logGroupIdentifier}

    def _PutIndexPolicy(self, logGroupIdentifier: str, policyDocument: str) -> dict[str, Any]:
        self._of_class("PutIndexPolicy", logGroupIdentifier).index = policyDocument
        return {"indexPolicy": {}}

    def _PutTransformer(
        self, logGroupIdentifier: str, transformerConfig: list[dict[str, Any]]
    ) -> dict[str, Any]:
        self._of_class("PutTransformer", logGroupIdentifier).transformer = transformerConfig
        return {}

    def _PutMetricFilter(self, logGroupName: str, **described: Any) -> dict[str, Any]:
        group = self._find("PutMetricFilter", logGroupName)
        group.metrics[described["filterName"]] = described
        return {}

    def _PutSubscriptionFilter(self, logGroupName: str, **described: Any) -> dict[str, Any]:
        group = self._find("PutSubscriptionFilter", logGroupName)
        group.shipped[described["filterName"]] = described
        return {}

    def _DeleteLogGroup(self, logGroupName: str) -> dict[str, Any]:
        group = self._find("DeleteLogGroup", logGroupName)
        if group.protected:
            raise refused("DeleteLogGroup", "ValidationException")
        self.deleted.append(self.groups.pop(logGroupName))
        if group.account_policy is not None:
            self.policed[logGroupName] = (group.account_policy, group.retention)
        return {}

    def _DeleteLogStream(self, logGroupName: str, logStreamName: str) -> dict[str, Any]:
        group = self._find("DeleteLogStream", logGroupName)
        left = [stream for stream in group.streams if stream.name != logStreamName]
        if len(left) == len(group.streams):
            raise refused("DeleteLogStream", "ResourceNotFoundException")
        group.streams = left
        self.swept.append((logGroupName, logStreamName))
        return {}


def _named(filters: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(filters, key=lambda entry: str(entry["filterName"]))


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

    def scanned(self, page: Sequence[LogGroup]) -> None:
        self.groups += page

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
