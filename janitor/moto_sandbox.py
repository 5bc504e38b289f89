"""The embedded demo account: about 300 log groups in two Regions, in process, on moto.

moto does not model all that the janitor must cope with, so the simulated cloud is extended here,
never the janitor: protection, classes, account-level retention policies, lagging times, metrics.
`python -m janitor.sandbox` is the demo: report, run, report, on one account.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, Literal
from unittest.mock import patch
from urllib.parse import parse_qs

from moto import mock_aws
from moto.awslambda.responses import LambdaResponse
from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import CloudWatchBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.resource_tagging import TaggedResource
from moto.logs.exceptions import (
    InvalidParameterException,
    ResourceNotFoundException,
    ValidationException,
)
from moto.logs.models import (
    LogEvent,
    LogGroup,
    LogsBackend,
    LogStream,
    SubscriptionFilter,
    logs_backends,
)
from moto.logs.responses import LogsResponse
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend
from moto.servicequotas.responses import ServiceQuotasResponse

from janitor.core.errors import Exit
from janitor.core.model import DAY_MS
from janitor.policy.file import OWN_GROUP, RETENTION_DAYS

ACCOUNT: Final = "123456789012"
REGIONS: Final = ("eu-west-1", "us-east-1")

GROUPS: Final[Mapping[str, int]] = {"eu-west-1": 190, "us-east-1": 110}
SEED: Final = "cloudwatch-janitor"
IDENTIFIERS_A_CALL: Final = 50
ARNS_A_CALL: Final = 100
METRICS_A_CALL: Final = 500
FUNCTIONS_A_PAGE: Final = 50
HOUR_MS: Final = 3_600_000
EVENT_OVERHEAD: Final = 26
_ARRIVING: Final = ("IncomingLogEvents", "IncomingBytes")
METRIC_KEPT_MS: Final = 455 * DAY_MS
HOURLY_AFTER_MS: Final = 63 * DAY_MS
_OURS: Final = ("AWS_", "MOTO_")
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_SESSION_TOKEN": "sandbox",
    "AWS_DEFAULT_REGION": REGIONS[0],
    "AWS_EC2_METADATA_DISABLED": "true",
    # A profile could name another endpoint, and the sandbox must never leave the process.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


# ---- what moto does not know ---------------------------------------------------------------------


@dataclass(slots=True)
class _GroupFacts:
    """What moto's LogGroup has no place for. `hidden` keys are left out of its description."""

    created: int
    stored_bytes: int = 0
    log_class: str = "STANDARD"
    protected: bool = False
    hidden: frozenset[str] = frozenset()
    bearer_token: bool = False
    data_protection_policy: str | None = None
    index_policy: str | None = None
    transformer: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _StreamFacts:
    """A stream's times in ms; they outlive its events, and may lag behind them."""

    created: int
    first_event: int | None = None
    last_event: int | None = None
    last_ingestion: int | None = None


@dataclass(frozen=True, slots=True)
class _RetentionPolicy:
    """An account-level retention policy. `days` is None for NEVER_EXPIRE."""

    name: str
    prefix: str
    days: int | None


@dataclass(slots=True)
class _Cloud:
    """The state of one sandbox beside moto's own. `ahead` is its clock minus the machine's."""

    ahead: int
    groups: dict[LogGroup, _GroupFacts] = field(default_factory=dict)
    streams: dict[LogStream, _StreamFacts] = field(default_factory=dict)
    policies: dict[str, list[_RetentionPolicy]] = field(default_factory=lambda: defaultdict(list))
    functions: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    arrivals: dict[tuple[str, str], dict[int, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    received: dict[tuple[str, str], dict[int, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def now(self) -> int:
        """The sandbox's time in ms since the epoch."""
        return time.time_ns() // 1_000_000 + self.ahead

    def of_group(self, group: LogGroup) -> _GroupFacts:
        """A group's facts, made when first asked for: that is when it was created."""
        if group not in self.groups:
            self.groups[group] = _GroupFacts(self.now())
        return self.groups[group]

    def of_stream(self, stream: LogStream) -> _StreamFacts:
        """A stream's facts, made when first asked for: that is when it was created."""
        if stream not in self.streams:
            self.streams[stream] = _StreamFacts(self.now())
        return self.streams[stream]

    def policy(self, group: LogGroup) -> _RetentionPolicy | None:
        """The account-level policy over a group: the longest prefix wins."""
        over = [p for p in self.policies[group.region] if group.name.startswith(p.prefix)]
        return max(over, key=lambda policy: len(policy.prefix), default=None)

    def arrived(self, region: str, group: str, at: int, count: int) -> None:
        """Count events into `IncomingLogEvents`, by the minute."""
        _count_minute(self.arrivals[region, group], at, count)

    def took_in(self, region: str, group: str, at: int, size: int) -> None:
        """Count bytes into `IncomingBytes`, by the minute."""
        _count_minute(self.received[region, group], at, size)


def _count_minute(points: dict[int, int], at: int, amount: int) -> None:
    minute = at // 60_000 * 60_000
    points[minute] = points.get(minute, 0) + amount


# ---- CloudWatch Logs -----------------------------------------------------------------------------


def _group_described(self: LogGroup) -> dict[str, Any]:
    cloud = _RUNNING.cloud
    facts, policy = cloud.of_group(self), cloud.policy(self)
    filters = logs_backends[self.account_id][self.region].filters
    entry: dict[str, Any] = {
        "arn": f"{self.arn}:*",
        "logGroupArn": self.arn,
        "logGroupName": self.name,
        "creationTime": facts.created,
        "metricFilterCount": len(filters.get_matching_filters(log_group_name=self.name)),
        "storedBytes": facts.stored_bytes + sum(s.stored_bytes for s in self.streams.values()),
        "logGroupClass": facts.log_class,
        "deletionProtectionEnabled": facts.protected,
    }
    days = self.retention_in_days if policy is None else policy.days
    if days is not None:
        entry["retentionInDays"] = int(days)
    if policy is not None:
        entry["retentionPolicyName"] = policy.name
    if self.kms_key_id:
        entry["kmsKeyId"] = self.kms_key_id
    if facts.bearer_token:
        entry["bearerTokenAuthenticationEnabled"] = True
    return {key: value for key, value in entry.items() if key not in facts.hidden}


def _stream_described(self: LogStream) -> dict[str, Any]:
    facts = _RUNNING.cloud.of_stream(self)
    times = {
        "firstEventTimestamp": facts.first_event,
        "lastEventTimestamp": facts.last_event,
        "lastIngestionTime": facts.last_ingestion,
    }
    return {
        "arn": self.arn,
        "logStreamName": self.log_stream_name,
        "creationTime": facts.created,
        "storedBytes": 0,  # for every stream since 2019
        "uploadSequenceToken": str(self.upload_sequence_token),
        **{key: value for key, value in times.items() if value is not None},
    }


def _stream_written(
    original: Callable[..., str],
) -> Callable[[LogStream, list[dict[str, Any]]], str]:
    def put_log_events(self: LogStream, log_events: list[dict[str, Any]]) -> str:
        token = original(self, log_events)
        cloud = _RUNNING.cloud
        facts, times = cloud.of_stream(self), [int(event["timestamp"]) for event in log_events]
        if times:
            facts.first_event = min([*times, *_known(facts.first_event)])
            facts.last_event = max([*times, *_known(facts.last_event)])
            facts.last_ingestion = cloud.now()
            cloud.arrived(self.region, self.log_group.name, cloud.now(), len(times))
            size = sum(len(event["message"].encode()) + EVENT_OVERHEAD for event in log_events)
            cloud.took_in(self.region, self.log_group.name, cloud.now(), size)
        return token

    return put_log_events


def _known(value: int | None) -> list[int]:
    return [] if value is None else [value]


def _group_streams(
    self: LogGroup,
    descending: bool,
    log_group_name: str,  # noqa: ARG001 - moto passes it by name
    log_stream_name_prefix: str,
    order_by: str,
    limit: int,
    next_token: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Pages that a deletion in between does not break: moto's end at a stream that is gone."""

    def place(entry: Mapping[str, Any]) -> tuple[int, str]:
        at = entry.get("lastEventTimestamp", 0) if order_by == "LastEventTime" else 0
        return int(at), str(entry["logStreamName"])

    entries = [
        stream.to_describe_dict()
        for name, stream in self.streams.items()
        if name.startswith(log_stream_name_prefix)
    ]
    entries.sort(key=place, reverse=descending)
    if next_token:
        at, found, name = next_token.partition("@")
        if not found or not at.isdigit():
            raise InvalidParameterException("The specified nextToken is invalid.")
        last = (int(at), name)
        entries = [e for e in entries if (place(e) < last if descending else place(e) > last)]
    page = entries[:limit]
    token = "{}@{}".format(*place(page[-1])) if len(entries) > limit else None
    return page, token


def _describe_log_groups(self: LogsResponse) -> str:
    groups = self.logs_backend.groups
    limit = self._get_param("limit", 50)
    identifiers: list[str] | None = self._get_param("logGroupIdentifiers")
    prefix = self._get_param("logGroupNamePrefix", "")
    pattern = self._get_param("logGroupNamePattern", "")
    wanted_class = self._get_param("logGroupClass")
    token = self._get_param("nextToken", "")
    if limit > 50 or len(identifiers or []) > IDENTIFIERS_A_CALL:
        raise InvalidParameterException(
            constraint="Member must have value less than or equal to 50",
            parameter="limit" if limit > 50 else "logGroupIdentifiers",
            value=limit,
        )
    names = sorted(groups)
    if identifiers is not None:
        asked = {i.removesuffix(":*").split(":log-group:")[-1] for i in identifiers}
        names = [name for name in names if name in asked]
    cloud = _RUNNING.cloud
    names = [
        name
        for name in names
        if name.startswith(prefix)
        and pattern.lower() in name.lower()
        and (wanted_class is None or cloud.of_group(groups[name]).log_class == wanted_class)
        and name > token
    ]
    answer: dict[str, Any] = {"logGroups": [groups[n].to_describe_dict() for n in names[:limit]]}
    if len(names) > limit:
        answer["nextToken"] = names[limit - 1]
    return json.dumps(answer)


def _create_log_group(self: LogsResponse) -> str:
    group = self.logs_backend.create_log_group(
        self._get_param("logGroupName"),
        self._get_param("tags", {}),
        kmsKeyId=self._get_param("kmsKeyId"),
    )
    facts = _RUNNING.cloud.of_group(group)
    facts.log_class = self._get_param("logGroupClass", "STANDARD")
    facts.protected = bool(self._get_param("deletionProtectionEnabled", False))
    return ""


def _put_deletion_protection(self: LogsResponse) -> str:
    name = self._get_param("logGroupIdentifier").removesuffix(":*").split(":log-group:")[-1]
    facts = _RUNNING.cloud.of_group(_existing(self.logs_backend, name))
    facts.protected = bool(self._get_param("deletionProtectionEnabled"))
    return ""


def _named(self: LogsResponse) -> LogGroup:
    """The group that the request names, by name or ARN."""
    named = self._get_param("logGroupIdentifiers") or [self._get_param("logGroupIdentifier")]
    return _existing(self.logs_backend, named[0].split(":log-group:")[-1])


def _standard(self: LogsResponse) -> _GroupFacts:
    """The facts of the named group, for what only class STANDARD has."""
    facts = _RUNNING.cloud.of_group(_named(self))
    if facts.log_class != "STANDARD":
        raise InvalidParameterException("This operation is not supported for this log class.")
    return facts


def _get_data_protection_policy(self: LogsResponse) -> str:
    document = _standard(self).data_protection_policy
    answer = {"logGroupIdentifier": _named(self).name}
    return json.dumps(answer if document is None else answer | {"policyDocument": document})


def _put_data_protection_policy(self: LogsResponse) -> str:
    _standard(self).data_protection_policy = self._get_param("policyDocument")
    return json.dumps({"logGroupIdentifier": _named(self).name})


def _describe_index_policies(self: LogsResponse) -> str:
    document = _standard(self).index_policy
    own = {"logGroupIdentifier": _named(self).arn, "source": "LOG_GROUP"}
    found = [] if document is None else [own | {"policyDocument": document}]
    return json.dumps({"indexPolicies": found})


def _put_index_policy(self: LogsResponse) -> str:
    _standard(self).index_policy = self._get_param("policyDocument")
    return json.dumps({"indexPolicy": {"logGroupIdentifier": _named(self).arn}})


def _get_transformer(self: LogsResponse) -> str:
    processors = _standard(self).transformer
    if not processors:
        raise ResourceNotFoundException()
    answer = {"logGroupIdentifier": _named(self).name, "transformerConfig": processors}
    return json.dumps(answer)


def _put_transformer(self: LogsResponse) -> str:
    _standard(self).transformer = self._get_param("transformerConfig")
    return ""


def _put_bearer_token(self: LogsResponse) -> str:
    enabled = bool(self._get_param("bearerTokenAuthenticationEnabled"))
    _RUNNING.cloud.of_group(_named(self)).bearer_token = enabled
    return ""


def _associate_kms_key(self: LogsResponse) -> str:
    _existing(self.logs_backend, self._get_param("logGroupName")).kms_key_id = self._get_param(
        "kmsKeyId"
    )
    return ""


def _existing(backend: LogsBackend, name: str) -> LogGroup:
    if name not in backend.groups:
        raise ResourceNotFoundException()
    return backend.groups[name]


def _created_stream(original: Callable[..., None]) -> Callable[[LogGroup, str], None]:
    def create_log_stream(self: LogGroup, log_stream_name: str) -> None:
        original(self, log_stream_name)
        _RUNNING.cloud.of_stream(self.streams[log_stream_name])

    return create_log_stream


def _delete_log_group(original: Callable[..., None]) -> Callable[[LogsBackend, str], None]:
    def delete_log_group(self: LogsBackend, log_group_name: str) -> None:
        group = _existing(self, log_group_name)
        _refuse_protected(group)
        original(self, log_group_name)
        # moto would hand tags and filters on to the next group of that name.
        self.tagger.delete_all_tags_for_resource(group.arn)
        kept = [f for f in self.filters.metric_filters if f["logGroupName"] != log_group_name]
        self.filters.metric_filters = kept

    return delete_log_group


def _delete_log_stream(original: Callable[..., None]) -> Callable[[LogsBackend, str, str], None]:
    def delete_log_stream(self: LogsBackend, log_group_name: str, log_stream_name: str) -> None:
        _refuse_protected(_existing(self, log_group_name))
        original(self, log_group_name, log_stream_name)

    return delete_log_stream


def _refuse_protected(group: LogGroup) -> None:
    if _RUNNING.cloud.of_group(group).protected:
        raise ValidationException(
            f"Log group {group.name} has deletion protection enabled and cannot be changed so."
        )


def _put_retention_policy(
    original: Callable[..., None],
) -> Callable[[LogsBackend, str, int], None]:
    def put_retention_policy(
        self: LogsBackend, log_group_name: str, retention_in_days: int
    ) -> None:
        group = _existing(self, log_group_name)
        if _RUNNING.cloud.of_group(group).log_class == "DELIVERY":
            raise InvalidParameterException("Retention cannot be set on log class DELIVERY.")
        if retention_in_days not in RETENTION_DAYS:
            raise InvalidParameterException(
                constraint=f"Member must be one of {list(RETENTION_DAYS)}",
                parameter="retentionInDays",
                value=retention_in_days,
            )
        original(self, log_group_name, retention_in_days)

    return put_retention_policy


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    """GetLogEvents and FilterLogEvents, which INFREQUENT_ACCESS does not serve."""

    def read(self: LogGroup, *args: Any, **kwargs: Any) -> Any:
        if _RUNNING.cloud.of_group(self).log_class == "INFREQUENT_ACCESS":
            raise InvalidParameterException(
                "This operation is not supported for log class INFREQUENT_ACCESS."
            )
        return original(self, *args, **kwargs)

    return read


# ---- the other services --------------------------------------------------------------------------


def _get_metric_data(original: Callable[..., Any]) -> Callable[..., Any]:
    """What arrives, by group; moto would walk every metric for every bucket of each query."""

    def get_metric_data(
        self: CloudWatchBackend,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> Any:
        if len(queries) > METRICS_A_CALL:
            raise ValidationError("The collection MetricDataQueries must not have more than 500.")
        metrics = [query.get("MetricStat", {}).get("Metric", {}) for query in queries]
        if any(metric.get("MetricName") not in _ARRIVING for metric in metrics):
            return original(self, queries, start_time, end_time, scan_by)
        if start_time >= end_time:
            raise ValidationError("The parameter StartTime must be less than the parameter EndTime")
        return [
            _metric_result(self.region_name, query, start_time, end_time, scan_by)
            for query in queries
        ]

    return get_metric_data


def _metric_result(
    region: str, query: Mapping[str, Any], start: datetime, end: datetime, scan_by: str
) -> dict[str, Any]:
    cloud, stat = _RUNNING.cloud, query["MetricStat"]
    period = int(stat["Period"]) * 1000
    named = {d["Name"]: d["Value"] for d in stat["Metric"].get("Dimensions", [])}
    first, last = _epoch_ms(start), _epoch_ms(end)
    now, buckets = cloud.now(), dict[int, float]()
    metric = stat["Metric"]["MetricName"]
    table = cloud.received if metric == "IncomingBytes" else cloud.arrivals
    points = table.get((region, named.get("LogGroupName", "")), {})
    for at, count in points.items():
        coarse = now - at > HOURLY_AFTER_MS
        if now - at > METRIC_KEPT_MS or (coarse and period % HOUR_MS):
            continue
        # Points older than 63 days exist by the hour only.
        at = at // HOUR_MS * HOUR_MS if coarse else at
        if first <= at < last:
            bucket = (at - first) // period
            buckets[bucket] = buckets.get(bucket, 0.0) + count
    found = sorted(buckets, reverse=scan_by == "TimestampDescending")
    return {
        "id": query["Id"],
        "label": query.get("Label") or metric,
        "timestamps": [start + timedelta(milliseconds=period * bucket) for bucket in found],
        "values": [buckets[bucket] for bucket in found],
        "status_code": "Complete",
    }


def _epoch_ms(at: datetime) -> int:
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def _get_resources(original: Callable[..., Any]) -> Callable[..., Any]:
    """Tags of listed ARNs: one whole answer, as AWS gives; moto would cut it at 50 or 100 tags."""

    def get_resources(
        self: ResourceGroupsTaggingAPIBackend,
        *args: Any,
        resource_arn_list: list[str] | None = None,
        **kwargs: Any,
    ) -> tuple[str | None, list[TaggedResource]]:
        if not resource_arn_list:
            answer: tuple[str | None, list[TaggedResource]] = original(self, *args, **kwargs)
            return answer
        if len(resource_arn_list) > ARNS_A_CALL:
            raise InvalidParameterException("ResourceARNList must not have more than 100 members.")
        backend, wanted = logs_backends[self.account_id][self.region_name], set(resource_arn_list)
        tagged = [r for r in backend.iter_tagged_resources() if r.arn in wanted and r.tags]
        return None, tagged

    return get_resources


def _list_functions(self: LambdaResponse) -> str:
    functions = _RUNNING.cloud.functions[self.region]
    start = int(self.querystring.get("Marker", ["0"])[0])
    size = min(int(self.querystring.get("MaxItems", [FUNCTIONS_A_PAGE])[0]), FUNCTIONS_A_PAGE)
    answer: dict[str, Any] = {"Functions": functions[start : start + size]}
    if start + size < len(functions):
        answer["NextMarker"] = str(start + size)
    return json.dumps(answer)


def _process_request(original: Callable[..., Any]) -> Callable[..., Any]:
    """One request at a time: the janitor has many threads, and moto is not thread-safe."""

    def process_request(self: BotocoreStubber, request: Any) -> Any:
        with _RUNNING.requests:
            if str(request.url).startswith("https://ec2.") and (answer := _regions(request.body)):
                return answer
            return original(self, request)

    return process_request


def _regions(body: str | bytes | None) -> tuple[int, dict[str, str], str] | None:
    """DescribeRegions. moto's EC2 names every Region and takes more than a second to wake up."""
    text = body.decode() if isinstance(body, bytes) else body or ""
    asked = parse_qs(text)
    if asked.get("Action") != ["DescribeRegions"]:
        return None
    names = {value[0] for key, value in asked.items() if key.startswith("RegionName")}
    items = "".join(
        f"<item><regionName>{region}</regionName>"
        f"<regionEndpoint>ec2.{region}.amazonaws.com</regionEndpoint>"
        "<optInStatus>opt-in-not-required</optInStatus></item>"
        for region in REGIONS
        if not names or region in names
    )
    answer = (
        '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>sandbox</requestId>"
        f"<regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
    )
    return 200, {"Content-Type": "text/xml"}, answer


def _list_service_quotas(_self: ServiceQuotasResponse) -> str:
    """None are applied: the defaults hold. moto does not have the call."""
    return json.dumps({"Quotas": []})


_REPLACED: Final[Sequence[tuple[Any, str, Any]]] = (
    (ServiceQuotasResponse, "list_service_quotas", _list_service_quotas),
    (LogGroup, "to_describe_dict", _group_described),
    (LogGroup, "describe_log_streams", _group_streams),
    (LogStream, "to_describe_dict", _stream_described),
    (LogsResponse, "describe_log_groups", _describe_log_groups),
    (LogsResponse, "create_log_group", _create_log_group),
    (LogsResponse, "put_log_group_deletion_protection", _put_deletion_protection),
    (LogsResponse, "get_data_protection_policy", _get_data_protection_policy),
    (LogsResponse, "put_data_protection_policy", _put_data_protection_policy),
    (LogsResponse, "describe_index_policies", _describe_index_policies),
    (LogsResponse, "put_index_policy", _put_index_policy),
    (LogsResponse, "get_transformer", _get_transformer),
    (LogsResponse, "put_transformer", _put_transformer),
    (LogsResponse, "put_bearer_token_authentication", _put_bearer_token),
    (LogsResponse, "associate_kms_key", _associate_kms_key),
    (LambdaResponse, "list_functions", _list_functions),
)
_WRAPPED: Final[Sequence[tuple[Any, str, Callable[..., Any]]]] = (
    (LogStream, "put_log_events", _stream_written),
    (LogGroup, "create_log_stream", _created_stream),
    (LogGroup, "filter_log_events", _reading),
    (LogGroup, "get_log_events", _reading),
    (LogsBackend, "delete_log_group", _delete_log_group),
    (LogsBackend, "delete_log_stream", _delete_log_stream),
    (LogsBackend, "put_retention_policy", _put_retention_policy),
    (CloudWatchBackend, "get_metric_data", _get_metric_data),
    (ResourceGroupsTaggingAPIBackend, "get_resources", _get_resources),
    (BotocoreStubber, "process_request", _process_request),
)


# ---- entering and leaving ------------------------------------------------------------------------


class _Running:
    """The sandbox of this process: entered any number of times, built once, undone at the last."""

    def __init__(self) -> None:
        self.requests = threading.RLock()
        self._gate = threading.RLock()
        self._depth = 0
        self._undo = ExitStack()
        self._cloud: _Cloud | None = None

    @property
    def cloud(self) -> _Cloud:
        """The state; there is one as long as moto is patched."""
        if self._cloud is None:
            raise RuntimeError("no sandbox is active")
        return self._cloud

    @property
    def active(self) -> bool:
        """Whether there is an account."""
        return self._cloud is not None

    def enter(self, now_ms: int | None) -> None:
        """Build the account, or join the one that is there."""
        with self._gate:
            if self._depth == 0:
                with ExitStack() as undo:
                    self._start(undo, now_ms)
                    self._undo = undo.pop_all()
            self._depth += 1

    def leave(self) -> None:
        """Undo everything when the outermost use ends."""
        with self._gate:
            self._depth -= 1
            if self._depth == 0:
                self._undo.close()

    def _start(self, undo: ExitStack, now_ms: int | None) -> None:
        undo.enter_context(_environment())
        undo.enter_context(mock_aws())
        undo.callback(setattr, self, "_cloud", None)
        machine = time.time_ns() // 1_000_000
        self._cloud = _Cloud(0 if now_ms is None else now_ms - machine)
        for owner, name, function in _REPLACED:
            undo.enter_context(patch.object(owner, name, function, create=True))
        for owner, name, wrapper in _WRAPPED:
            undo.enter_context(patch.object(owner, name, wrapper(getattr(owner, name))))
        now = machine if now_ms is None else now_ms
        for region in REGIONS:
            _Seed(self._cloud, region, now).plant()


_RUNNING: Final = _Running()


def running() -> bool:
    """Whether a sandbox is active in this process: another use joins it."""
    return _RUNNING.active


def definitions() -> dict[tuple[str, str], dict[str, Any]]:
    """By Region and name, all that an undo is to bring back of each log group: everything but
    times, streams, and what follows from them.
    """
    cloud, found = _RUNNING.cloud, {}
    for region in REGIONS:
        backend = logs_backends[ACCOUNT][region]
        for name, group in backend.groups.items():
            shown = _group_described(group)
            for key in ("creationTime", "storedBytes"):
                shown.pop(key, None)
            facts = cloud.of_group(group)
            found[region, name] = shown | {
                "tags": backend.tagger.get_tag_dict_for_resource(group.arn),
                "dataProtectionPolicy": facts.data_protection_policy,
                "indexPolicy": facts.index_policy,
                "transformer": facts.transformer,
                "metricFilters": backend.filters.get_matching_filters(log_group_name=name),
                "subscriptionFilters": sorted(group.subscription_filters),
            }
    return found


@contextmanager
def sandbox(now_ms: int | None = None) -> Iterator[None]:
    """The demo account, for boto3 sessions made inside; no call leaves the process.

    Ages are relative to `now_ms` (ms since the epoch; the machine's time by default). A use inside
    another joins it, and the account lives until the outermost ends. While it is active,
    `os.environ` holds fake credentials and nothing else for AWS; it is restored at the end.
    """
    _RUNNING.enter(now_ms)
    try:
        yield
    finally:
        _RUNNING.leave()


@contextmanager
def _environment() -> Iterator[None]:
    """Nobody's profile, endpoint or Region reaches into the sandbox."""
    saved = {key: value for key, value in os.environ.items() if key.startswith(_OURS)}
    _set_environment(_ENVIRONMENT)
    try:
        yield
    finally:
        _set_environment(saved)


def _set_environment(wanted: Mapping[str, str]) -> None:
    for key in [key for key in os.environ if key.startswith(_OURS)]:
        del os.environ[key]
    os.environ.update(wanted)


# ---- the content ---------------------------------------------------------------------------------

_SYSTEMS: Final = (
    *("orders", "payments", "checkout", "catalog", "search", "inventory", "users", "auth"),
    *("notifications", "billing", "shipping", "reviews", "pricing", "media", "reports"),
    *("sessions", "webhooks", "exports", "loyalty", "fraud"),
)
_BULK: Final = (
    *("/aws/lambda/{}-api", "/aws/lambda/{}-worker", "/aws/lambda/{}-cron", "/aws/lambda/{}-hook"),
    *("/ecs/{}", "/ecs/{}-sidecar", "/aws/rds/instance/{}-db/postgresql", "/aws/codebuild/{}"),
    *("API-Gateway-Execution-Logs_{}/prod", "/aws/apigateway/{}-http", "/aws/states/{}-saga"),
    *("/aws/kinesisfirehose/{}-to-s3", "/aws/eks/{}/cluster"),
)
_SHARED: Final[Mapping[str, int]] = {
    "/aws/vpc/flow-logs": 412_000_000_000,
    "/aws/cloudtrail/organization": 186_000_000_000,
    "/aws/containerinsights/prod/application": 97_000_000_000,
    "aws-waf-logs-storefront": 64_000_000_000,
    "RDSOSMetrics": 21_000_000_000,
    "/aws/route53/example.com": 3_400_000_000,
}
_ALNUM: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_Last = Literal["expired", "recent"]


class _Seed:
    """Plants one Region's content; the same Region always gets the same. Ages are in days."""

    def __init__(self, cloud: _Cloud, region: str, now: int) -> None:
        self._cloud = cloud
        self._region = region
        self._now = now
        self._random = Random(f"{SEED}/{region}")
        self._backend = logs_backends[ACCOUNT][region]

    def plant(self) -> None:
        """The special groups first, then ordinary ones up to the Region's number."""
        match self._region:
            case "eu-west-1":
                self._plant_ireland()
            case "us-east-1":
                self._plant_virginia()
        self._plant_ordinary()

    def _plant_ireland(self) -> None:
        self._deletable("/aws/lambda/orders-api-v1", age=800, retention=14, streams=70)
        self._deletable("/aws/lambda/legacy-thumbnailer", age=1100)
        self._deletable("/aws/lambda/pdf-render-2021", age=1290, retention=30)
        self._deletable("/aws/lambda/import-csv-old", age=640, retention=30, streams=8)
        self._deletable("/aws/lambda/black-friday-2022", age=980, retention=30, streams=130)
        self._deletable("/ecs/checkout-blue", age=700, retention=30, streams=120)
        never_written = self._deletable("/ecs/reports-legacy", age=900, retention=90, streams=3)
        self._stream(never_written, "ecs/reports/never-written", created=880)
        self._deletable("/aws/codebuild/monolith-build", age=1400)
        self._deletable("/aws/rds/instance/staging-old/postgresql", age=760, retention=7, streams=2)
        self._deletable("API-Gateway-Execution-Logs_k3v9x2m7q1/dev", age=850, streams=55)
        self._deletable("/aws/batch/migration-2023", age=930, retention=180, streams=24)
        self._deletable("/aws/glue/jobs/legacy-output", age=1050)
        self._deletable("/aws/apigateway/welcome", age=1500)
        self._plant_furnished()
        self._plant_kept()
        self._plant_account_policies()
        self._sweepable("/aws/lambda/events-ingest", age=400, expired=70, retention=14)
        self._sweepable("/aws/lambda/image-resize", age=620, expired=43, retention=30)
        self._sweepable("/aws/lambda/mail-sender", age=510, expired=5, retention=7)
        self._sweepable("/aws/lambda/token-refresh", age=330, expired=28, retention=30)
        self._sweepable("/aws/lambda/stock-sync", age=450, expired=61, retention=14)
        self._sweepable("/aws/lambda/price-feed", age=280, expired=12, retention=None)
        self._sweepable("/aws/lambda/geo-lookup", age=720, expired=37, retention=30)

    def _plant_virginia(self) -> None:
        self._deletable("/aws/lambda/promo-banner-2021", age=1200)
        self._deletable("/aws/lambda/edge-rewrite-v1", age=690, retention=14, streams=60)
        self._deletable("/ecs/search-green", age=560, retention=30, streams=9)
        self._deletable("/aws/codebuild/frontend-2020", age=1600)
        self._deletable("/aws/rds/instance/poc-mysql/error", age=810, retention=7, streams=1)
        self._deletable("API-Gateway-Execution-Logs_z8w1c5t4b0/test", age=770)
        self._deletable("/aws/sagemaker/NotebookInstances", age=990, retention=90, streams=6)
        self._group("/ecs/search-next", age=12, retention=14)
        self._group("/aws/lambda/break-glass", age=640, retention=30)
        self._function("break-glass")
        self._function("edge-auth")
        stack = {"aws:cloudformation:stack-name": "build-prod"}
        self._group("/aws/codebuild/stack-managed-build", age=480, retention=30, tags=stack)
        odd = self._group("/odd/no-creation-time", age=500, retention=30)
        self._cloud.of_group(odd).hidden = frozenset({"creationTime"})
        self._sweepable("/aws/lambda/click-collector", age=420, expired=52, retention=14)
        self._sweepable("/aws/lambda/ab-assigner", age=300, expired=19, retention=30)
        self._sweepable("/aws/lambda/feed-export", age=540, expired=33, retention=None)

    def _plant_furnished(self) -> None:
        """Deletable groups that have more than a retention: an undo must bring it back."""
        groups = self._backend.groups
        thumbnailer = groups["/aws/lambda/legacy-thumbnailer"]
        self._backend.tag_resource(thumbnailer.arn, {"team": "media", "cost-centre": "4711"})
        checkout = groups["/ecs/checkout-blue"]
        checkout.kms_key_id = f"arn:aws:kms:{self._region}:{ACCOUNT}:key/checkout"
        facts = self._cloud.of_group(checkout)
        statement = {
            "Sid": "audit",
            "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"],
            "Operation": {"Deidentify": {"MaskConfig": {}}},
        }
        policy = {"Name": "emails", "Version": "2021-06-01", "Statement": [statement]}
        facts.data_protection_policy = json.dumps(policy)
        facts.index_policy = json.dumps({"Fields": ["requestId", "orderId"]})
        facts.transformer = [{"parseJSON": {}}, {"lowerCaseString": {"withKeys": ["level"]}}]

    def _plant_kept(self) -> None:
        """Groups that look empty, and why they are not to be deleted."""
        self._group(OWN_GROUP, age=400, retention=30)
        self._group("/aws/lambda/new-onboarding-flow", age=2)
        self._group("/ecs/payments-canary", age=9, retention=30)
        self._group("/aws/lambda/disaster-recovery", age=600, retention=30)
        self._function("disaster-recovery")
        self._group("/platform/functions/nightly-audit", age=700, retention=90)
        self._function("nightly-audit", log_group="/platform/functions/nightly-audit")
        # The function is in us-east-1: Lambda@Edge logs where its viewers are.
        self._group("/aws/lambda/us-east-1.edge-auth", age=650, retention=30)
        self._group("/legal/hold/2023-audit", age=1000, retention=365, tags={"janitor:keep": "yes"})
        stack = {"aws:cloudformation:stack-name": "platform-prod", "team": "platform"}
        self._group("/ecs/stack-managed-worker", age=580, retention=30, tags=stack)
        ledger = self._group("/platform/protected/ledger", age=900, retention=90)
        self._cloud.of_group(ledger).protected = True
        self._streams(ledger, 3, oldest=890, newest=120)
        self._metric_filter(self._group("/platform/metrics/failed-logins", age=800, retention=90))
        self._subscription(self._group("/platform/shipped/access-log", age=750, retention=30))
        self._class("/aws/vendedlogs/delivery/cdn-access", "DELIVERY", age=300, stored=5_242_880)
        clicks = self._class(
            "/archive/infrequent/clickstream", "INFREQUENT_ACCESS", age=620, stored=38_000_000_000
        )
        self._streams(clicks, 4, oldest=600, newest=1, last="recent")
        self._takes_in(clicks, 61_000_000)
        self._class("/archive/infrequent/retired-batch", "INFREQUENT_ACCESS", age=700, retention=30)
        alive = self._group("/ecs/quiet-but-alive", age=500, retention=30)
        self._streams(alive, 2, oldest=490, newest=60)
        self._cloud.arrived(self._region, alive.name, self._ago(1), 17)
        tail = self._group("/ecs/long-tail", age=720, retention=30)
        self._streams(tail, 64, oldest=700, newest=60)
        self._stream(tail, "zzz/the-live-one", created=400, last=3, event=True)
        shrinking = self._group("/ecs/slow-to-shrink", age=540, retention=30, stored=48_213)
        self._streams(shrinking, 5, oldest=530, newest=45)
        probe = self._group("/ecs/canary-probe", age=500, retention=30)
        self._stream(probe, "ecs/probe/never-written", created=2)

    def _plant_account_policies(self) -> None:
        self._cloud.policies[self._region] += [
            _RetentionPolicy("ninety-days", "/managed/quarterly/", 90),
            _RetentionPolicy("keep-for-ever", "/compliance/", None),
        ]
        ingest = self._group("/managed/quarterly/ingest", age=410, stored=9_700_000_000)
        self._streams(ingest, 4, oldest=80, newest=1, last="recent")
        self._takes_in(ingest, 107_000_000)
        retired = self._group("/managed/quarterly/retired", age=500, retention=365)
        self._streams(retired, 4, oldest=490, newest=130)
        trail = self._group("/compliance/trail", age=1300, stored=152_000_000_000)
        self._takes_in(trail, 116_000_000)
        self._streams(trail, 3, oldest=1290, newest=1, last="recent")
        self._group("/compliance/empty-vault", age=900, retention=30)

    def _plant_ordinary(self) -> None:
        for name, stored in _SHARED.items():
            self._ordinary(name, int(stored * self._random.uniform(0.3, 1)))
        names = [pattern.format(self._system(pattern, s)) for pattern in _BULK for s in _SYSTEMS]
        self._random.shuffle(names)
        for name in names:
            if len(self._backend.groups) >= GROUPS[self._region]:
                return
            if name not in self._backend.groups:
                self._ordinary(name, int(10 ** self._random.uniform(3.5, 10.6)))

    def _system(self, pattern: str, system: str) -> str:
        gateway = pattern.startswith("API-Gateway")
        return "".join(self._random.choices(_ALNUM, k=10)) if gateway else system

    def _ordinary(self, name: str, stored: int) -> None:
        """A group in use: most never expire, as AWS makes them."""
        rng = self._random
        retention = rng.choice([7, 14, 30, 90, 180, 365]) if rng.random() < 0.36 else None
        tags = {}
        if rng.random() < 0.6:
            tags = {"team": rng.choice(_SYSTEMS), "env": rng.choice(["prod", "prod", "dev"])}
        if rng.random() < 0.04:
            tags["aws:cloudformation:stack-name"] = f"{rng.choice(_SYSTEMS)}-prod"
        age = rng.randint(60, 1500)
        group = self._group(name, age=age, retention=retention, stored=stored, tags=tags)
        oldest = min(age - 1, 25, (retention or 25) - 1)
        self._streams(group, rng.randint(1, 7), oldest=oldest, newest=0, last="recent")
        self._takes_in(group, stored // min(age, retention or age))
        if name.startswith("/aws/lambda/"):
            self._function(name.removeprefix("/aws/lambda/"))

    # ---- parts -----------------------------------------------------------------------------------

    def _ago(self, days: float) -> int:
        return self._now - int(days * DAY_MS)

    def _group(
        self,
        name: str,
        *,
        age: int,
        retention: int | None = None,
        stored: int = 0,
        tags: Mapping[str, str] | None = None,
    ) -> LogGroup:
        group = self._backend.create_log_group(name, dict(tags or {}), RetentionInDays=retention)
        created = self._ago(age) - self._random.randrange(DAY_MS)
        self._cloud.groups[group] = _GroupFacts(created, stored)
        return group

    def _class(
        self, name: str, log_class: str, *, age: int, retention: int | None = None, stored: int = 0
    ) -> LogGroup:
        group = self._group(name, age=age, retention=retention, stored=stored)
        self._cloud.of_group(group).log_class = log_class
        return group

    def _deletable(
        self, name: str, *, age: int, retention: int | None = None, streams: int = 0
    ) -> LogGroup:
        group = self._group(name, age=age, retention=retention)
        # The policy gives 365 days to what has none: silent for longer than that and the grace.
        self._streams(group, streams, oldest=age - 1, newest=(retention or 365) + 20)
        return group

    def _sweepable(self, name: str, *, age: int, expired: int, retention: int | None) -> None:
        """A live function's group whose old streams have expired, or will with 30 days."""
        stored = self._random.randint(2_000_000, 900_000_000)
        group = self._group(name, age=age, retention=retention, stored=stored)
        self._streams(group, expired, oldest=age - 1, newest=(retention or 30) + 15)
        self._streams(group, 6, oldest=6, newest=0, last="recent")
        self._function(name.removeprefix("/aws/lambda/"))

    def _streams(
        self, group: LogGroup, count: int, *, oldest: int, newest: int, last: _Last = "expired"
    ) -> None:
        """Streams made `oldest` to `newest` days ago and last written within a day of that."""
        for _ in range(count):
            days = newest + (oldest - newest) * self._random.random()
            written = max(days - self._random.random(), 0.01)
            name = self._stream_name(group.name, self._ago(days))
            self._stream(group, name, created=days, last=written, event=last == "recent")
        if count and last == "recent":
            for day in range(3):
                at = self._ago(day + 0.1)
                self._cloud.arrived(self._region, group.name, at, self._random.randint(10, 9000))

    def _takes_in(self, group: LogGroup, a_day: int) -> None:
        """About so many bytes a day since it was made, for 40 days at most; more on workdays."""
        own = Random(f"{SEED}/{self._region}/{group.name}")  # leaves the account as it is
        usual = a_day * own.uniform(0.4, 1.6)
        made = self._cloud.of_group(group).created
        for day in range(40):
            at = self._ago(day + 0.1)
            if at >= made:
                workday = datetime.fromtimestamp(at / 1000, UTC).weekday() < 5
                size = int(usual * own.uniform(0.8, 1.2) * (1 if workday else 0.4))
                self._cloud.took_in(self._region, group.name, at, size)

    def _stream(
        self,
        group: LogGroup,
        name: str,
        *,
        created: float,
        last: float | None = None,
        event: bool = False,
    ) -> None:
        stream = LogStream(group, name)
        group.streams[name] = stream
        facts = self._cloud.streams[stream] = _StreamFacts(self._ago(created))
        if last is not None:
            facts.first_event = facts.created
            facts.last_event = self._ago(last)
            facts.last_ingestion = facts.last_event + 1500
        if facts.last_event is not None and event:
            message = f"level=info request={self._hex(16)} status=200"
            entry = {"timestamp": facts.last_event, "message": message}
            stream.events.append(LogEvent(facts.last_event, entry))

    def _stream_name(self, group: str, at: int) -> str:
        if group.startswith("/aws/lambda/"):
            day = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y/%m/%d")
            return f"{day}/[$LATEST]{self._hex(32)}"
        if group.startswith("/ecs/"):
            return f"ecs/{group.removeprefix('/ecs/')}/{self._hex(32)}"
        return self._hex(32)

    def _hex(self, length: int) -> str:
        return f"{self._random.getrandbits(length * 4):0{length}x}"

    def _function(self, name: str, log_group: str | None = None) -> None:
        self._cloud.functions[self._region].append(
            {
                "FunctionName": name,
                "FunctionArn": f"arn:aws:lambda:{self._region}:{ACCOUNT}:function:{name}",
                "Runtime": "python3.13",
                "Version": "$LATEST",
                "LoggingConfig": {
                    "LogFormat": "Text",
                    "LogGroup": log_group or f"/aws/lambda/{name}",
                },
            }
        )

    def _metric_filter(self, group: LogGroup) -> None:
        metric = {"metricName": "FailedLogins", "metricNamespace": "App", "metricValue": "1"}
        self._backend.filters.metric_filters.append(
            {
                "filterName": "failed-logins",
                "filterPattern": "FAILED",
                "logGroupName": group.name,
                "metricTransformations": [metric],
            }
        )

    def _subscription(self, group: LogGroup) -> None:
        # Not through the API, which would want the destination to exist.
        target = f"arn:aws:kinesis:{self._region}:{ACCOUNT}:stream/access-log"
        role = f"arn:aws:iam::{ACCOUNT}:role/logs-to-kinesis"
        group.subscription_filters["to-kinesis"] = SubscriptionFilter(
            "to-kinesis", group.name, "", target, role
        )


# ---- the demo ------------------------------------------------------------------------------------


def main() -> int:
    """The demo: look, also as a page, clean, look again, undo; on one sandbox. The exit code is
    the first one of the commands that means failure, else 0: items that could not be judged (3)
    belong to the show. An undo that leaves a difference is a failure.
    """
    from janitor.terminal.cli import main as cli_main

    folder = Path(tempfile.mkdtemp(prefix="janitor-demo-"))
    journal, undo = folder / "journal.jsonl", folder / "undo.jsonl"
    page = Path("report.html")
    commands = (
        ["report", "--sandbox"],
        ["report", "--sandbox", "--ingestion", "--quiet", "--format", "html", "-o", str(page)],
        ["run", "--apply", "--yes", "--sandbox", "--journal", str(journal)],
        ["report", "--sandbox"],
        ["restore", str(journal), "--apply", "--sandbox", "--journal", str(undo)],
    )
    _say("A demo account, in this process only: it is made now and gone at the end.")
    failures: list[int] = []
    with sandbox():
        before = definitions()
        for command in commands:
            _say(f"\n$ janitor {' '.join(command)}")
            code = cli_main(command)
            if code in (Exit.USAGE, Exit.REFUSED, Exit.INTERRUPTED):
                failures.append(code)
        after = definitions()
    different = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    if different:
        failures.append(Exit.INCOMPLETE)
    _say(
        f"\nAfter the undo {len(different)} of {len(before)} log groups differ from what they were"
    )
    _say(f"\nWhat was changed, and what it takes to undo it: {journal}")
    _say(f"The first report as a page to open in a browser: {page.resolve()}")
    return failures[0] if failures else int(Exit.DONE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Run as a script this module is a second copy; the command line joins the imported one.
    from janitor.moto_sandbox import main as imported_main

    sys.exit(imported_main())
