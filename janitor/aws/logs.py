"""CloudWatch Logs, and the metric of what arrives there: the only module that calls them.

Each method names the IAM action it needs in `ACTIONS`, which the least policy is made from.
Reads raise CallError or UnavailableError (`janitor.aws.api.ReadError`) rather than answer in part.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from janitor.aws.api import Api, CallError, UnavailableError
from janitor.aws.pace import StoppedError, TransientError, retrying
from janitor.core.model import DAY_MS, Ingestion, LogGroup, LogStream, Target

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

ACTIONS: dict[str, str] = {
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeLogStreams": "logs:DescribeLogStreams",
    "DescribeMetricFilters": "logs:DescribeMetricFilters",
    "DescribeSubscriptionFilters": "logs:DescribeSubscriptionFilters",
    "GetDataProtectionPolicy": "logs:GetDataProtectionPolicy",
    "DescribeIndexPolicies": "logs:DescribeIndexPolicies",
    "GetTransformer": "logs:GetTransformer",
    "FilterLogEvents": "logs:FilterLogEvents",
    "ListTagsForResource": "logs:ListTagsForResource",
    "PutRetentionPolicy": "logs:PutRetentionPolicy",
    "DeleteLogGroup": "logs:DeleteLogGroup",
    "DeleteLogStream": "logs:DeleteLogStream",
    "DeleteRetentionPolicy": "logs:DeleteRetentionPolicy",
    "CreateLogGroup": "logs:CreateLogGroup",
    "AssociateKmsKey": "logs:AssociateKmsKey",
    "TagResource": "logs:TagResource",
    "PutBearerTokenAuthentication": "logs:PutBearerTokenAuthentication",
    "PutDataProtectionPolicy": "logs:PutDataProtectionPolicy",
    "PutIndexPolicy": "logs:PutIndexPolicy",
    "PutTransformer": "logs:PutTransformer",
    "PutMetricFilter": "logs:PutMetricFilter",
    "PutSubscriptionFilter": "logs:PutSubscriptionFilter",
    "GetMetricData": "cloudwatch:GetMetricData",
}

CHANGES = ("PutRetentionPolicy", "DeleteLogGroup", "DeleteLogStream")
DEFINITION = ("GetDataProtectionPolicy", "DescribeIndexPolicies", "GetTransformer")
"""What is read before a log group is deleted, so that it can be made again."""
LAST_LOOK = (
    "DescribeSubscriptionFilters",
    "DescribeLogStreams",
    "GetResources",
    "DescribeLogGroups",
    "DeleteLogGroup",
)
"""What is called right before a deletion, and it; the slowest quota first, so that the others are
not waited for long before they are called."""
RESTORING = (
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
)
"""What an undo changes."""
COMPARED = (
    "DescribeLogGroups",
    "DescribeMetricFilters",
    "DescribeSubscriptionFilters",
    "ListTagsForResource",
    *DEFINITION,
)
"""What an undo reads of a log group that is there."""

_NOT_FOR_THIS_CLASS = {
    "InvalidOperationException",
    "InvalidParameterException",
    "OperationNotSupportedException",
    "ValidationException",
}
_FILTER_KEYS = (
    "filterName",
    "filterPattern",
    "metricTransformations",
    "destinationArn",
    "roleArn",
    "distribution",
    "applyOnTransformedLogs",
    "fieldSelectionCriteria",
    "emitSystemFieldDimensions",
    "emitSystemFields",
)
"""Of a described filter, what PutMetricFilter or PutSubscriptionFilter takes."""

IDENTIFIERS_A_CALL = 50
METRICS_A_CALL = 500
POINTS_A_CALL = 100_800
METRIC_KEPT_DAYS = 455
HOUR_MS = 3_600_000


FilterKind = Literal["metric", "subscription"]
_PARSED = "before-parse.cloudwatch-logs.DescribeLogGroups"


class TokenExpiredError(Exception):
    """The page token to start from is not valid any more."""


class Logs:
    """The calls of one target."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.target = api.target
        self.clock = api.clock

    @property
    def _client(self) -> CloudWatchLogsClient:
        client: CloudWatchLogsClient = self._api.client("logs")
        return client

    # ---- reads -------------------------------------------------------------------------------

    def groups(self, start: str | None = None) -> Iterator[tuple[list[LogGroup], str | None]]:
        """All log groups, a page (at most 50) at a time; a page may be empty and not the last.

        With each page comes the token of the next, None after the last. `start` is such a token;
        it lives for 24 hours (CloudWatch Logs API reference), then TokenExpiredError is raised.
        """
        self._client.meta.events.register(
            _PARSED, _groups_as_sent, unique_id="janitor-groups-as-sent"
        )
        parameters = {} if start is None else {"nextToken": start}
        pages = self._pages_and_tokens(
            "DescribeLogGroups", self._client.describe_log_groups, "logGroups", **parameters
        )
        try:
            for page, following in pages:
                start = None
                yield [parse_group(entry, self.target) for entry in page], following
        except CallError as error:
            if start is not None and error.code == "InvalidParameterException":
                raise TokenExpiredError from error
            raise

    def group(self, name: str) -> LogGroup | None:
        """One log group as it is now, or None when there is none of that name.

        Asked by prefix: pages are sorted by name, so the exact name comes first.
        """
        for page in self._described(logGroupNamePrefix=name):
            for found in page:
                if found.name == name:
                    return found
                if found.name > name:
                    return None
        return None

    def named(self, names: Sequence[str]) -> dict[str, LogGroup]:
        """Log groups by name as they are now, 50 a call; those that do not exist are left out."""
        found: dict[str, LogGroup] = {}
        for start in range(0, len(names), IDENTIFIERS_A_CALL):
            chunk = list(names[start : start + IDENTIFIERS_A_CALL])
            wanted = set(chunk)
            for page in self._described(logGroupIdentifiers=chunk):
                found.update((group.name, group) for group in page if group.name in wanted)
                if wanted <= found.keys():
                    break
            for name in chunk:
                if name not in found and (group := self.group(name)) is not None:
                    found[name] = group
        return found

    def names(
        self, most_pages: int, *, prefix: str | None = None, pattern: str | None = None
    ) -> list[str]:
        """The names that begin with `prefix`, or contain `pattern` (not both), of the first pages.

        For people who look for a name: never the whole Region's.
        """
        named = {"logGroupNamePrefix": prefix, "logGroupNamePattern": pattern}
        pages = self._described(**{key: text for key, text in named.items() if text is not None})
        return [group.name for page in islice(pages, most_pages) for group in page]

    def _described(self, **parameters: Any) -> Iterator[list[LogGroup]]:
        pages = self._pages(
            "DescribeLogGroups",
            self._client.describe_log_groups,
            "logGroups",
            **parameters,
        )
        for page in pages:
            yield [parse_group(entry, self.target) for entry in page]

    def streams(self, group: str) -> Iterator[list[LogStream]]:
        """The streams of a log group, oldest name first, a page (at most 50) at a time.

        A stream whose times make no sense ends the reading in UnavailableError.
        """
        pages = self._pages(
            "DescribeLogStreams",
            self._client.describe_log_streams,
            "logStreams",
            logGroupName=group,
            orderBy="LogStreamName",
        )
        for page in pages:
            yield [parse_stream(entry) for entry in page]

    def filters(self, group: LogGroup, kind: FilterKind) -> list[dict[str, Any]]:
        """A log group's filters of a kind, as the call that puts them takes them; none where its
        class, which is not STANDARD, refuses the question.
        """
        method: Callable[..., Mapping[str, Any]]
        match kind:
            case "metric":
                operation, key = "DescribeMetricFilters", "metricFilters"
                method = self._client.describe_metric_filters
            case "subscription":
                operation, key = "DescribeSubscriptionFilters", "subscriptionFilters"
                method = self._client.describe_subscription_filters
        pages = self._pages(operation, method, key, logGroupName=group.name)
        try:
            return [{k: entry[k] for k in _FILTER_KEYS if k in entry} for p in pages for entry in p]
        except CallError as error:
            if _refused_for_class(group, error):
                return []
            raise

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of one log group (ARN without the trailing `:*`)."""
        answer = self._api.read(
            "ListTagsForResource",
            self._client.list_tags_for_resource,
            expect="tags",
            resourceArn=arn,
        )
        return {str(key): str(value) for key, value in answer["tags"].items()}

    def data_protection_policy(self, group: LogGroup) -> str | None:
        """The group's own data protection policy, a JSON document, or None."""
        answer = self._own(
            group,
            "GetDataProtectionPolicy",
            self._client.get_data_protection_policy,
            "policyDocument",
            logGroupIdentifier=group.name,
        )
        document = answer.get("policyDocument")
        if document is not None and not isinstance(document, str):
            raise UnavailableError("GetDataProtectionPolicy", f"policyDocument is {document!r}")
        return document or None

    def index_policy(self, group: LogGroup) -> str | None:
        """The group's own field index policy, a JSON document, or None.

        An account-level policy is shown for the groups that it applies to as well: that is not
        the group's.
        """
        named: dict[str, Any] = {"logGroupIdentifiers": [group.name]}
        documents: list[str] = []
        while True:
            answer = self._own(
                group,
                "DescribeIndexPolicies",
                self._client.describe_index_policies,
                "indexPolicies",
                **named,
            )
            for policy in answer.get("indexPolicies", []):
                document = policy.get("policyDocument")
                if policy.get("source") == "ACCOUNT" or not document:
                    continue
                documents.append(str(document))
            following = answer.get("nextToken")
            if not following:
                break
            if following == named.get("nextToken"):
                raise UnavailableError("DescribeIndexPolicies", "the same page token twice")
            named["nextToken"] = following
        if len(documents) > 1:
            raise UnavailableError("DescribeIndexPolicies", f"{len(documents)} policies of a group")
        return documents[0] if documents else None

    def transformer(self, group: LogGroup) -> tuple[dict[str, Any], ...]:
        """The processors of the group's own transformer; none for none."""
        answer = self._own(
            group,
            "GetTransformer",
            self._client.get_transformer,
            "transformerConfig",
            logGroupIdentifier=group.name,
        )
        processors = answer.get("transformerConfig") or []
        if not isinstance(processors, list):
            raise UnavailableError("GetTransformer", f"transformerConfig is {processors!r}")
        return tuple(processors)

    def _own(
        self,
        group: LogGroup,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        key: str,
        **parameters: Any,
    ) -> Mapping[str, Any]:
        """What a group has of its own under `key`; an empty answer where it has nothing.

        "Not found" may mean the group too, which the next look at it shows. Classes other than
        STANDARD lack some of these features, and refuse the call. Whether AWS echoes the
        identifier where there is nothing is not documented: an answer that says nothing at all is
        asked for once more, because botocore makes one out of a body that it cannot read.
        """
        answer: Mapping[str, Any] = {}
        for _ in range(2):
            try:
                answer = self._api.call(operation, method, **parameters)
            except CallError as error:
                if error.not_found or _refused_for_class(group, error):
                    return {}
                raise
            except TransientError as error:
                if self._api.stop.is_set():
                    raise StoppedError from error
                raise
            if key in answer or "logGroupIdentifier" in answer:
                return answer
        return answer

    def holds_events(self, group: str, since: int, streams: Sequence[str] | None = None) -> bool:
        """Whether FilterLogEvents finds any event from `since` (ms) on, drained to its last token.

        `streams` narrows it to at most 100 named streams.
        """
        narrowed: dict[str, Any] = {} if streams is None else {"logStreamNames": list(streams)}
        pages = self._pages(
            "FilterLogEvents",
            self._client.filter_log_events,
            "events",
            logGroupName=group,
            startTime=max(since, 0),
            **narrowed,
        )
        return any(page for page in pages)

    def arrivals(self, since: Mapping[str, int]) -> dict[str, bool]:
        """For each log group, whether events arrived from its moment (ms) on.

        `AWS/Logs IncomingLogEvents`, 500 groups a call. The metric is kept for 15 months, so an
        older moment is answered for those 15 months. A group that the answer does not speak of
        clearly is left out. Buckets are asked for from multiples of their length on, one more than
        is needed: how CloudWatch aligns long ones is not documented. A group whose
        last data point is in the bucket of its own moment is asked for again by the hour.
        """
        now = self._api.clock.now()
        kept = now - METRIC_KEPT_DAYS * DAY_MS
        told: dict[str, bool] = {}
        for chunk in _chunks(sorted(since, key=lambda name: since[name]), METRICS_A_CALL):
            first = {name: max(since[name], kept) for name in chunk}
            oldest = min(first.values())
            days = max((now - oldest) // DAY_MS + 1, 1)
            period = DAY_MS * -(-days // (POINTS_A_CALL // METRICS_A_CALL - 3))
            start = oldest // period * period - period
            border: dict[int, list[str]] = defaultdict(list)
            for name, times in self._arrival_points(chunk, start, now + HOUR_MS, period).items():
                told[name] = any(at >= first[name] for at in times)
                if not told[name] and any(at + period > first[name] for at in times):
                    border[first[name] // period * period].append(name)
            for bucket, names in border.items():
                for name in names:
                    del told[name]
                hours = self._arrival_points(names, bucket, bucket + 2 * period, HOUR_MS)
                for name, times in hours.items():
                    told[name] = any(at >= first[name] // HOUR_MS * HOUR_MS for at in times)
        return told

    def incoming_bytes(self, groups: Sequence[str], days: int) -> dict[str, Ingestion]:
        """What arrived in each log group in the last `days` whole days (UTC), and today so far.

        `AWS/Logs IncomingBytes` by the day, 500 groups a call: 31 points each for 30 days, of the
        100,800 that a call may answer with. A group that the answer does not speak of clearly is
        left out.
        """
        now = self._api.clock.now()
        today = now // DAY_MS * DAY_MS
        start, end = today - days * DAY_MS, now + HOUR_MS
        found: dict[str, Ingestion] = {}
        for chunk in _chunks(groups, METRICS_A_CALL):
            points: dict[str, list[tuple[int, float]]] = {}
            complete: set[str] = set()
            for name, result in self._metric("IncomingBytes", chunk, start, end, DAY_MS):
                times, values = _times(result), result.get("Values", [])
                if len(times) == len(values) and all(value >= 0 for value in values):
                    points.setdefault(name, []).extend(zip(times, values, strict=True))
                    complete |= {name} if _is_complete(result) else set()
            for name in complete:
                received = sum(int(value) for at, value in points[name] if at < today)
                last = max((at for at, value in points[name] if value), default=None)
                found[name] = Ingestion(received, days, last)
        return found

    def _arrival_points(
        self, groups: Sequence[str], start: int, end: int, period: int
    ) -> dict[str, list[int]]:
        """The times (ms) of the data points of each group whose answer is complete."""
        points: dict[str, list[int]] = {}
        complete: set[str] = set()
        for name, result in self._metric("IncomingLogEvents", groups, start, end, period):
            points.setdefault(name, []).extend(_times(result))
            (complete.add if _is_complete(result) else complete.discard)(name)
        return {name: points[name] for name in complete}

    def _metric(
        self, metric: str, groups: Sequence[str], start: int, end: int, period: int
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The results of one metric of `AWS/Logs`, with the log group that each is about."""
        queries = [
            {
                "Id": f"g{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Logs",
                        "MetricName": metric,
                        "Dimensions": [{"Name": "LogGroupName", "Value": name}],
                    },
                    "Period": period // 1000,
                    "Stat": "Sum",
                },
            }
            for index, name in enumerate(groups)
        ]
        asked = {f"g{index}": name for index, name in enumerate(groups)}
        pages = self._pages(
            "GetMetricData",
            self._api.client("cloudwatch").get_metric_data,
            "MetricDataResults",
            token="NextToken",
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(start / 1000, UTC),
            EndTime=datetime.fromtimestamp(end / 1000, UTC),
        )
        for page in pages:
            for result in page:
                if (name := asked.get(str(result.get("Id")))) is not None:
                    yield name, result

    def _pages(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        key: str,
        token: str = "nextToken",
        **parameters: Any,
    ) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Every page to the last token."""
        for page, _ in self._pages_and_tokens(operation, method, key, token, **parameters):
            yield page

    def _pages_and_tokens(
        self,
        operation: str,
        method: Callable[..., Mapping[str, Any]],
        key: str,
        token: str = "nextToken",
        **parameters: Any,
    ) -> Iterator[tuple[Sequence[Mapping[str, Any]], str | None]]:
        """Every page, with the token of the next; one that comes back unchanged is garbage."""
        last: object = None
        while True:
            answer = self._api.read(operation, method, expect=key, **parameters)
            page = answer[key]
            if not isinstance(page, list):
                raise UnavailableError(operation, f"{key!r} is not a list")
            following = answer.get(token) or None
            yield page, following
            if following is None:
                return
            if following == last:
                raise UnavailableError(operation, "the same page token twice: no end in sight")
            last = parameters[token] = following

    # ---- changes -----------------------------------------------------------------------------

    def put_retention(self, group: str, days: int) -> None:
        """Set a log group's retention in days. Setting it twice is the same as once."""
        self._api.call(
            "PutRetentionPolicy",
            self._client.put_retention_policy,
            logGroupName=group,
            retentionInDays=days,
        )

    def delete_retention(self, group: str) -> None:
        """Let a log group's events never expire. Doing it twice is the same as once."""
        self._api.call(
            "DeleteRetentionPolicy", self._client.delete_retention_policy, logGroupName=group
        )

    def create_group(
        self, group: str, log_class: str, kms_key_id: str | None, tags: Mapping[str, str]
    ) -> None:
        """Make a log group. ResourceAlreadyExistsException may be the echo of a lost answer."""
        more: dict[str, Any] = {} if kms_key_id is None else {"kmsKeyId": kms_key_id}
        if tags:
            more["tags"] = dict(tags)
        self._api.call(
            "CreateLogGroup",
            self._client.create_log_group,
            logGroupName=group,
            logGroupClass=log_class,
            **more,
        )

    def associate_key(self, group: str, kms_key_id: str) -> None:
        """Encrypt what a log group takes in from now on."""
        self._api.call(
            "AssociateKmsKey",
            self._client.associate_kms_key,
            logGroupName=group,
            kmsKeyId=kms_key_id,
        )

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add tags to a log group (ARN without the trailing `:*`)."""
        self._api.call("TagResource", self._client.tag_resource, resourceArn=arn, tags=dict(tags))

    def require_bearer_token(self, group: str) -> None:
        """Turn bearer token authentication on."""
        self._api.call(
            "PutBearerTokenAuthentication",
            self._client.put_bearer_token_authentication,
            logGroupIdentifier=group,
            bearerTokenAuthenticationEnabled=True,
        )

    def set_data_protection_policy(self, group: str, document: str) -> None:
        """Set a log group's own data protection policy."""
        self._api.call(
            "PutDataProtectionPolicy",
            self._client.put_data_protection_policy,
            logGroupIdentifier=group,
            policyDocument=document,
        )

    def set_index_policy(self, group: str, document: str) -> None:
        """Set a log group's own field index policy."""
        self._api.call(
            "PutIndexPolicy",
            self._client.put_index_policy,
            logGroupIdentifier=group,
            policyDocument=document,
        )

    def set_transformer(self, group: str, processors: Sequence[Mapping[str, Any]]) -> None:
        """Set a log group's own transformer."""
        self._api.call(
            "PutTransformer",
            self._client.put_transformer,
            logGroupIdentifier=group,
            transformerConfig=list(processors),
        )

    def put_filter(self, group: str, kind: FilterKind, described: Mapping[str, Any]) -> None:
        """Put a filter that `filters` described."""
        method: Callable[..., Mapping[str, Any]]
        match kind:
            case "metric":
                operation, method = "PutMetricFilter", self._client.put_metric_filter
            case "subscription":
                operation, method = "PutSubscriptionFilter", self._client.put_subscription_filter
        self._api.call(operation, method, logGroupName=group, **described)

    def reserve_look(self) -> None:
        """Wait now for the pace of a last look's calls and of its DeleteLogGroup, so that nothing
        waits between them. Raises StoppedError.
        """
        self._api.pace.reserve(LAST_LOOK, self._api.stop)

    def delete_group_once(self, group: str) -> None:
        """One DeleteLogGroup (see `reserve_look`), never repeated by itself: who repeats it must
        look again first. Raises TransientError, CallError or StoppedError.
        """
        self._api.once("DeleteLogGroup", self._client.delete_log_group, logGroupName=group)

    def delete_stream(self, group: str, stream: str) -> None:
        """Delete one log stream. Not there any more after an attempt whose answer was lost, it was
        deleted by that attempt.
        """
        lost = False

        def attempt() -> None:
            nonlocal lost
            try:
                self._api.once(
                    "DeleteLogStream",
                    self._client.delete_log_stream,
                    logGroupName=group,
                    logStreamName=stream,
                )
            except UnavailableError as error:
                lost |= not error.refused
                raise
            except CallError as error:
                if not (lost and error.not_found):
                    raise

        retrying(attempt, self._api.clock, self._api.stop)


def _refused_for_class(group: LogGroup, error: CallError) -> bool:
    return error.code in _NOT_FOR_THIS_CLASS and group.log_class != "STANDARD"


def _groups_as_sent(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_more: Any
) -> None:
    """Take a page's log groups as its JSON has them, past botocore's walk over their shape.

    For entries without nulls that walk only copies them (botocore 1.44.5, `parsers.py`), at a
    fifth of the CPU time of a whole scan. Every other answer is left to botocore.
    """
    if response_dict["status_code"] != 200:
        return
    try:
        answer = json.loads(response_dict["body"])
    except ValueError:
        return
    groups = answer.pop("logGroups", None) if isinstance(answer, dict) else None
    if not isinstance(groups, list):
        return
    if all(type(entry) is dict and None not in entry.values() for entry in groups):
        customized_response_dict["logGroups"] = groups
        response_dict["body"] = json.dumps(answer).encode()


def parse_group(entry: Mapping[str, Any], target: Target) -> LogGroup:
    """A log group from DescribeLogGroups; what makes no sense is listed in its `defects`.

    Nearly all of a million entries are whole; those are checked in one go.
    """
    name, arn = entry.get("logGroupName"), entry.get("logGroupArn")
    created, stored = entry.get("creationTime"), entry.get("storedBytes")
    days, policy = entry.get("retentionInDays"), entry.get("retentionPolicyName")
    log_class, key = entry.get("logGroupClass", "STANDARD"), entry.get("kmsKeyId")
    filters = entry.get("metricFilterCount", 0)
    protected = entry.get("deletionProtectionEnabled", False)
    if (
        type(name) is type(arn) is type(log_class) is str
        and (name and arn and log_class)
        and type(created) is type(stored) is type(filters) is int
        and (created >= 0 and stored >= 0 and filters >= 0)
        and ("retentionInDays" not in entry or (type(days) is int and days > 0))
        and (policy is None or type(policy) is str)
        and (key is None or type(key) is str)
        and type(protected) is bool
    ):
        return LogGroup(
            target,
            name,
            arn,
            created,
            stored,
            days,
            policy,
            log_class,
            key,
            filters,
            protected,
            bearer_token=entry.get("bearerTokenAuthenticationEnabled") is True,
        )
    return _odd_group(entry, target)


def _odd_group(entry: Mapping[str, Any], target: Target) -> LogGroup:
    """The same for an entry that is not whole, or not of the usual form."""
    defects: list[str] = []

    def whole(key: str, default: int | None) -> int:
        value = entry.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            defects.append(f"{key} is {'missing' if value is None else repr(value)}")
            return 0
        return value

    def text(key: str) -> str | None:
        value = entry.get(key)
        if value is not None and not isinstance(value, str):
            defects.append(f"{key} is {value!r}")
        return value if isinstance(value, str) else None

    name = text("logGroupName")
    if not name:
        defects.append("logGroupName is missing")
    arn = text("logGroupArn") or (text("arn") or "").removesuffix(":*")
    retention = whole("retentionInDays", None) if "retentionInDays" in entry else None
    if retention == 0:
        defects.append("retentionInDays is 0")
    protected = entry.get("deletionProtectionEnabled", False)
    if not isinstance(protected, bool):
        defects.append(f"deletionProtectionEnabled is {protected!r}")
    return LogGroup(
        target=target,
        name=name or "",
        arn=arn,
        creation_time=whole("creationTime", None),
        stored_bytes=whole("storedBytes", None),
        retention_days=retention,
        retention_policy=text("retentionPolicyName"),
        log_class=text("logGroupClass") or "STANDARD",
        kms_key_id=text("kmsKeyId"),
        metric_filters=whole("metricFilterCount", 0),
        deletion_protected=bool(protected),
        bearer_token=entry.get("bearerTokenAuthenticationEnabled") is True,
        defects=tuple(defects),
    )


def parse_stream(entry: Mapping[str, Any]) -> LogStream:
    """A log stream from DescribeLogStreams. Raises UnavailableError on values without sense."""

    def moment(key: str, *, required: bool) -> int | None:
        value = entry.get(key)
        if value is None and not required:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise UnavailableError(
                "DescribeLogStreams",
                f"{key} of stream {entry.get('logStreamName')!r} is {value!r}",
            )
        return value

    name = entry.get("logStreamName")
    if not isinstance(name, str) or not name:
        raise UnavailableError("DescribeLogStreams", f"a stream is named {name!r}")
    return LogStream(
        name=name,
        creation_time=moment("creationTime", required=True) or 0,
        last_event=moment("lastEventTimestamp", required=False),
        last_ingestion=moment("lastIngestionTime", required=False),
    )


def _times(result: Mapping[str, Any]) -> list[int]:
    return [int(at.timestamp() * 1000) for at in result.get("Timestamps", [])]


def _is_complete(result: Mapping[str, Any]) -> bool:
    return bool(result.get("StatusCode") == "Complete")


def _chunks(items: Sequence[str], length: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
