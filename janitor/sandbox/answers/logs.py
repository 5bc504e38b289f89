"""CloudWatch Logs: groups, streams, retention, filters and tags."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any

from janitor.sandbox.store import Group, Stream
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, whole

RETENTION_DAYS = frozenset(
    (
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
        *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
    )
)
_EITHER = ("INFREQUENT_ACCESS", "ESSENTIALS")
"""Asked for one of these classes, DescribeLogGroups answers with both (botocore 1.44.5)."""
_OF_PATTERN = ("arn", "creationTime", "logGroupName")
"""All that DescribeLogGroups tells of groups asked for by logGroupNamePattern (botocore 1.44.5)."""
_INVALID_OPERATION = frozenset(
    {"GetTransformer", "PutTransformer", "PutMetricFilter", "PutSubscriptionFilter"}
)
"""Calls whose model has InvalidOperationException for what a class does not support."""


def invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameterException", message)


def describe_log_groups(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    limit = min(whole(call, "limit", 1, 50, 50), world.page)
    narrowed = [
        key
        for key in ("logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers")
        if p.get(key)
    ]
    if len(narrowed) > 1 or ("logGroupIdentifiers" in narrowed and p.get("logGroupClass")):
        raise invalid(f"{' and '.join(narrowed)} exclude other filters.")
    place = world.place("DescribeLogGroups", p.get("nextToken"), "")
    if world.empty():
        return {"logGroups": [], "nextToken": world.token("DescribeLogGroups", place)}
    found = list(islice(_selected(world, call, place), limit + 1))
    now, lags = world.clock.now(), world.store.lags
    page = found[:limit]
    shown = [group.shown(now, lags) for group in page]
    if "logGroupNamePattern" in narrowed:
        shown = [{key: entry[key] for key in _OF_PATTERN if key in entry} for entry in shown]
    answer: dict[str, Any] = {"logGroups": shown}
    if len(found) > limit:
        answer["nextToken"] = world.token("DescribeLogGroups", page[-1].name)
    return answer


def _selected(world: World, call: Call, place: str) -> Iterator[Group]:
    """The groups that DescribeLogGroups is asked for, behind `place`, in order of name."""
    p = call.parameters
    if identifiers := p.get("logGroupIdentifiers"):
        groups = (world.identified(call, identifier) for identifier in identifiers)
        found = {group.name: group for group in groups if group is not None}
        return (found[name] for name in sorted(found) if name > place)
    asked = p.get("logGroupClass")
    classes = _EITHER if asked in _EITHER else (asked,)
    named = _named(world, call, place)
    return (group for group in named if asked is None or group.log_class in classes)


def _named(world: World, call: Call, place: str) -> Iterator[Group]:
    prefix = call.parameters.get("logGroupNamePrefix") or ""
    pattern = call.parameters.get("logGroupNamePattern") or ""
    region = world.region(call)
    if prefix and place < prefix:
        exact = region.get(prefix)
        if exact is not None:
            yield exact
        place = prefix
    for group in region.after(place, pattern):
        if not group.name.startswith(prefix):
            return
        yield group


def list_log_groups(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    limit = whole(call, "limit", 1, 1000, 50)
    alternatives = (p.get("logGroupNamePattern") or "").split("|")
    log_class, tags = p.get("logGroupClass"), p.get("logGroupTags") or []

    def wanted(group: Group) -> bool:
        named = any(
            group.name.startswith(part[1:]) if part.startswith("^") else part in group.name
            for part in alternatives
        )
        tagged = all(
            tag["key"] in group.tags
            and (not tag.get("values") or group.tags[tag["key"]] in tag["values"])
            for tag in tags
        )
        return named and tagged and log_class in (None, group.log_class)

    place = world.place("ListLogGroups", p.get("nextToken"), "")
    found = list(islice(filter(wanted, world.region(call).after(place)), limit + 1))
    answer: dict[str, Any] = {
        "logGroups": [
            {
                "logGroupName": group.name,
                "logGroupArn": group.arn,
                "logGroupClass": group.log_class,
            }
            for group in found[:limit]
        ]
    }
    if len(found) > limit:
        answer["nextToken"] = world.token("ListLogGroups", found[limit - 1].name)
    return answer


def describe_log_streams(world: World, call: Call) -> dict[str, Any]:
    p, group = call.parameters, world.group(call)
    limit = min(whole(call, "limit", 1, 50, 50), world.page)
    by, prefix = p.get("orderBy", "LogStreamName"), p.get("logStreamNamePrefix")
    descending = bool(p.get("descending", False))
    if prefix and by == "LastEventTime":
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    kind = f"DescribeLogStreams {group.name} {by} {prefix} {descending}"
    place = world.place(kind, p.get("nextToken"), None)
    if world.empty():
        return {"logStreams": [], "nextToken": world.token(kind, place)}
    now, lag = world.clock.now(), world.store.lags.stream
    if by == "LastEventTime":
        keyed = _by_last_event(group, now, lag, descending=descending)
        start = 0 if place is None else bisect_right(keyed, place)
        page, more = keyed[start : start + limit], start + limit < len(keyed)
        names = [key[-1] for key in page]
        last: Any = page[-1] if page else None
    else:
        names, more = _by_name(group.ordered(), prefix or "", place, limit, descending=descending)
        last = names[-1] if names else None
    answer: dict[str, Any] = {
        "logStreams": [_stream_shown(group, group.streams[name], now, lag) for name in names]
    }
    if more:
        answer["nextToken"] = world.token(kind, last)
    return answer


def _by_name(
    names: list[str], prefix: str, place: str | None, limit: int, *, descending: bool
) -> tuple[list[str], bool]:
    """A page of names behind `place`, also when that stream was deleted; and if more follow."""
    low = bisect_left(names, prefix)
    high = bisect_left(names, prefix + "\U0010ffff") if prefix else len(names)
    if descending:
        end = high if place is None else bisect_left(names, place)
        start = max(low, end - limit)
        return names[start:end][::-1], start > low
    start = low if place is None else bisect_right(names, place)
    end = min(start + limit, high)
    return names[start:end], end < high


def _by_last_event(group: Group, now: int, lag: float, *, descending: bool) -> list[list[Any]]:
    """Streams that were never written (or not long enough ago) come first either way round, so
    that a live one may stand behind a page of them.
    """
    keyed: list[list[Any]] = []
    for name, stream in group.streams.items():
        shown = stream.shown(now, lag)
        at = 0 if shown is None else shown[1]
        keyed.append([shown is not None, -at if descending else at, name])
    return sorted(keyed)


def _stream_shown(group: Group, stream: Stream, now: int, lag: float) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": f"{group.arn}:log-stream:{stream.name}",
        "storedBytes": 0,
        "uploadSequenceToken": "49",
    }
    if (times := stream.shown(now, lag)) is not None:
        first, last, ingested = times
        entry |= {
            "firstEventTimestamp": first,
            "lastEventTimestamp": last,
            "lastIngestionTime": ingested,
        }
    return entry


# ---- changes -------------------------------------------------------------------------------------


def create_log_group(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    name, log_class = str(p.get("logGroupName")), p.get("logGroupClass", "STANDARD")
    if world.region(call).get(name) is not None:
        raise RefusedError(
            "ResourceAlreadyExistsException", "The specified log group already exists"
        )
    policy, days = world.region(call).policed.get(name, (None, None))
    world.store.add_group(
        call.account,
        call.region,
        name,
        created=world.clock.now(),
        policy=policy,
        policy_days=days,
        log_class=log_class,
        kms=p.get("kmsKeyId"),
        tags=p.get("tags"),
        protected=p.get("deletionProtectionEnabled", False),
    )
    return {}


def create_log_stream(world: World, call: Call) -> dict[str, Any]:
    group, name = world.group(call), str(call.parameters.get("logStreamName"))
    if name in group.streams:
        raise RefusedError(
            "ResourceAlreadyExistsException", "The specified log stream already exists"
        )
    world.store.add_stream(group, name, created=world.clock.now())
    return {}


def delete_log_group(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if group.protected:
        raise RefusedError("ValidationException", "Deletion protection is enabled.")
    world.store.remove_group(group)
    return {}


def delete_log_stream(world: World, call: Call) -> dict[str, Any]:
    group, name = world.group(call), str(call.parameters.get("logStreamName"))
    stream = group.streams.get(name)
    if stream is None:
        raise RefusedError("ResourceNotFoundException", "The specified log stream does not exist.")
    if group.protected:
        raise RefusedError("ValidationException", "Deletion protection is enabled.")
    world.store.remove_stream(group, name)
    return {}


def put_retention_policy(world: World, call: Call) -> dict[str, Any]:
    days = call.parameters.get("retentionInDays")
    if days not in RETENTION_DAYS:
        raise invalid(f"retentionInDays: {days!r}")
    return _retention(world, call, days)


def delete_retention_policy(world: World, call: Call) -> dict[str, Any]:
    return _retention(world, call, None)


def _retention(world: World, call: Call, days: int | None) -> dict[str, Any]:
    group, now = world.group(call), world.clock.now()
    if group.log_class == "DELIVERY":
        raise invalid("Log groups of class DELIVERY take no retention.")
    # Under an account-level policy this is saved and nothing expires by it.
    world.store.set_retention(group, days, now)
    return {}


# ---- filters and tags ----------------------------------------------------------------------------


def describe_metric_filters(world: World, call: Call) -> dict[str, Any]:
    region = world.region(call)
    groups = [world.group(call)] if call.group else list(region.groups.values())
    prefix = (call.parameters.get("filterNamePrefix") or "") if call.group else ""
    filters = [
        {
            "filterName": name,
            "filterPattern": "",
            "logGroupName": group.name,
            "creationTime": group.created,
            "metricTransformations": [
                {"metricName": name, "metricNamespace": "own", "metricValue": "1"}
            ],
            **group.filters.get(("metric", name), {}),
        }
        for group in groups
        for name in group.metric_filters
        if name.startswith(prefix)
    ]
    return _filters(world, call, "metricFilters", filters)


def describe_subscription_filters(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    prefix = call.parameters.get("filterNamePrefix") or ""
    filters = [
        {
            "filterName": name,
            "filterPattern": "",
            "logGroupName": group.name,
            "creationTime": group.created,
            "destinationArn": f"arn:aws:lambda:{group.region}:{group.account}:function:{name}",
            "distribution": "ByLogStream",
            **group.filters.get(("subscription", name), {}),
        }
        for name in group.subscriptions
        if name.startswith(prefix)
    ]
    return _filters(world, call, "subscriptionFilters", filters)


def _filters(world: World, call: Call, key: str, filters: list[Any]) -> dict[str, Any]:
    kind = f"{call.operation} {call.group}"
    place = world.place(kind, call.parameters.get("nextToken"), 0)
    limit = min(whole(call, "limit", 1, 50, 50), world.page)
    found = sorted(filters, key=lambda entry: (entry["filterName"], entry["logGroupName"]))
    if world.empty():
        return {key: [], "nextToken": world.token(kind, place)}
    answer: dict[str, Any] = {key: found[place : place + limit]}
    if place + limit < len(found):
        answer["nextToken"] = world.token(kind, place + limit)
    return answer


def put_metric_filter(world: World, call: Call) -> dict[str, Any]:
    group = _standard(world, call)
    names = {*group.metric_filters, _put_filter(world, call, group, "metric")}
    group.metric_filters = tuple(sorted(names))
    return {}


def put_subscription_filter(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if group.log_class in _EITHER:
        raise _unsupported(call)
    names = {*group.subscriptions, str(call.parameters.get("filterName"))}
    if len(names) > 2:
        raise RefusedError("LimitExceededException", "at most 2 subscription filters")
    _put_filter(world, call, group, "subscription")
    group.subscriptions = tuple(sorted(names))
    return {}


def _put_filter(world: World, call: Call, group: Group, kind: str) -> str:
    described = {key: value for key, value in call.parameters.items() if key != "logGroupName"}
    name = str(described["filterName"])
    group.filters[kind, name] = described
    return name


# ---- what DescribeLogGroups does not show --------------------------------------------------------


def _standard(world: World, call: Call) -> Group:
    """The group, for what only class STANDARD has."""
    group = world.group(call)
    if group.log_class != "STANDARD":
        raise _unsupported(call)
    return group


def _unsupported(call: Call) -> RefusedError:
    said = "This operation is not supported for this log class."
    known = call.operation in _INVALID_OPERATION
    return RefusedError("InvalidOperationException", said) if known else invalid(said)


def get_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = _standard(world, call)
    own = {} if group.data_protection is None else {"policyDocument": group.data_protection}
    return {"logGroupIdentifier": group.name, **own}


def put_data_protection_policy(world: World, call: Call) -> dict[str, Any]:
    group = _standard(world, call)
    group.data_protection = _document(call)
    return {"logGroupIdentifier": group.name, "policyDocument": group.data_protection}


def _document(call: Call) -> str:
    document = str(call.parameters.get("policyDocument"))
    try:
        json.loads(document)
    except ValueError as error:
        raise invalid(f"policyDocument: {error}") from error
    return document


def describe_index_policies(world: World, call: Call) -> dict[str, Any]:
    identifiers = call.parameters["logGroupIdentifiers"]
    if len(identifiers) != 1:
        raise invalid("logGroupIdentifiers: a fixed number of 1 item")
    group = _standard(world, call)
    place = world.place("DescribeIndexPolicies", call.parameters.get("nextToken"), 0)
    if world.empty():
        return {"indexPolicies": [], "nextToken": world.token("DescribeIndexPolicies", place)}
    own = {"logGroupIdentifier": group.arn, "source": "LOG_GROUP", "policyDocument": group.index}
    return {"indexPolicies": [] if group.index is None else [own]}


def put_index_policy(world: World, call: Call) -> dict[str, Any]:
    group = _standard(world, call)
    group.index = _document(call)
    return {"indexPolicy": {"logGroupIdentifier": group.arn, "policyDocument": group.index}}


def get_transformer(world: World, call: Call) -> dict[str, Any]:
    group = _standard(world, call)
    if not group.transformer:
        raise RefusedError("ResourceNotFoundException", "The specified resource does not exist.")
    return {"logGroupIdentifier": group.name, "transformerConfig": group.transformer}


def put_transformer(world: World, call: Call) -> dict[str, Any]:
    group, processors = _standard(world, call), call.parameters.get("transformerConfig")
    if not isinstance(processors, list) or not 1 <= len(processors) <= 20:
        raise invalid("transformerConfig: 1 to 20 processors")
    group.transformer = processors
    return {}


def put_bearer_token_authentication(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.bearer = bool(call.parameters["bearerTokenAuthenticationEnabled"])
    return {}


def associate_kms_key(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    group.kms = str(call.parameters["kmsKeyId"])
    return {}


def list_tags(world: World, call: Call) -> dict[str, Any]:
    return {"tags": dict(world.group(call).tags)}


def tag(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    tags = group.tags | dict(call.parameters["tags"])
    if any(key.startswith("aws:") for key in call.parameters["tags"]):
        raise invalid("Tag keys cannot start with aws:")
    if len(tags) > 50:
        raise RefusedError("TooManyTagsException", "at most 50 tags")
    group.tags = tags
    return {}


def untag(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    gone = set(call.parameters.get("tagKeys") or call.parameters.get("tags") or [])
    group.tags = {key: value for key, value in group.tags.items() if key not in gone}
    return {}


CALLS: dict[tuple[str, str], Handler] = {
    ("logs", "DescribeLogGroups"): describe_log_groups,
    ("logs", "ListLogGroups"): list_log_groups,
    ("logs", "DescribeLogStreams"): describe_log_streams,
    ("logs", "CreateLogGroup"): create_log_group,
    ("logs", "CreateLogStream"): create_log_stream,
    ("logs", "DeleteLogGroup"): delete_log_group,
    ("logs", "DeleteLogStream"): delete_log_stream,
    ("logs", "PutRetentionPolicy"): put_retention_policy,
    ("logs", "DeleteRetentionPolicy"): delete_retention_policy,
    ("logs", "DescribeMetricFilters"): describe_metric_filters,
    ("logs", "DescribeSubscriptionFilters"): describe_subscription_filters,
    ("logs", "PutMetricFilter"): put_metric_filter,
    ("logs", "PutSubscriptionFilter"): put_subscription_filter,
    ("logs", "GetDataProtectionPolicy"): get_data_protection_policy,
    ("logs", "PutDataProtectionPolicy"): put_data_protection_policy,
    ("logs", "DescribeIndexPolicies"): describe_index_policies,
    ("logs", "PutIndexPolicy"): put_index_policy,
    ("logs", "GetTransformer"): get_transformer,
    ("logs", "PutTransformer"): put_transformer,
    ("logs", "PutBearerTokenAuthentication"): put_bearer_token_authentication,
    ("logs", "AssociateKmsKey"): associate_kms_key,
    ("logs", "ListTagsForResource"): list_tags,
    ("logs", "ListTagsLogGroup"): list_tags,
    ("logs", "TagResource"): tag,
    ("logs", "TagLogGroup"): tag,
    ("logs", "UntagResource"): untag,
    ("logs", "UntagLogGroup"): untag,
}
