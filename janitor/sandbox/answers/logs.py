"""CloudWatch Logs: groups, streams, retention and tags."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from janitor.sandbox.store import Group, Stream
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, invalid

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


def describe_log_groups(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    limit = min(p.get("limit", 50), world.page)
    narrowed = [
        key
        for key in ("logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers")
        if p.get(key)
    ]
    if len(narrowed) > 1 or ("logGroupIdentifiers" in narrowed and p.get("logGroupClass")):
        raise invalid(f"{' and '.join(narrowed)} exclude other filters.")
    place = world.place("DescribeLogGroups", p.get("nextToken"), ("", 0, ""))
    if world.empty():
        return {"logGroups": [], "nextToken": world.token("DescribeLogGroups", place)}
    found = list(islice(_from(world, call, *place, twice=limit > 1), limit + 1))
    now, lags = world.clock.now(), world.store.lags
    page = found[:limit]
    shown = [group.shown(now, lags) for group in page]
    if "logGroupNamePattern" in narrowed:
        shown = [{key: entry[key] for key in _OF_PATTERN if key in entry} for entry in shown]
    answer: dict[str, Any] = {"logGroups": shown}
    if len(found) > limit:
        following = (page[-1].name, place[1] + len(page), found[limit].name)
        answer["nextToken"] = world.token("DescribeLogGroups", following)
    return answer


def _from(
    world: World, call: Call, last: str, listed: int, following: str, *, twice: bool
) -> Iterator[Group]:
    """The groups behind those listed, the last of which is named, and the one that was next;
    `twice` lets the last one be repeated.
    """
    unknowns, region = world.unknowns, world.region(call)
    if unknowns.tokens == "offset":
        return islice(_selected(world, call, ""), listed, None)
    gone = last != "" and not (last in region and following in region)
    if unknowns.tokens in ("end", "refused") and gone:
        if unknowns.tokens == "refused":
            raise invalid("The specified nextToken is invalid.")
        return iter(())
    if twice and unknowns.listed_twice and (again := region.get(last)) is not None:
        return chain((again,), _selected(world, call, last))
    return _selected(world, call, last)


def _selected(world: World, call: Call, place: str) -> Iterator[Group]:
    """The groups that DescribeLogGroups is asked for, behind `place`, in order of name."""
    p = call.parameters
    if identifiers := p.get("logGroupIdentifiers"):
        # ARNs are for monitoring accounts, which none is here (botocore 1.44.5).
        if any(identifier.startswith("arn:") for identifier in identifiers):
            raise invalid("logGroupIdentifiers: only names of log groups in this account")
        region = world.region(call)
        names = sorted({name for name in identifiers if name > place})
        return (group for name in names if (group := region.get(name)) is not None)
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


def describe_log_streams(world: World, call: Call) -> dict[str, Any]:
    p, group = call.parameters, world.group(call)
    limit, descending = min(p.get("limit", 50), world.page), bool(p.get("descending", False))
    by, prefix = p.get("orderBy", "LogStreamName"), p.get("logStreamNamePrefix")
    if prefix and by == "LastEventTime":
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    kind = f"DescribeLogStreams {group.name} {by} {prefix} {descending}"
    place = world.place(kind, p.get("nextToken"), None)
    if world.empty():
        return {"logStreams": [], "nextToken": world.token(kind, place)}
    now, lag = world.clock.now(), world.store.lags.stream
    # Each by its place in the order, which lasts when it is deleted; the name is the last of it.
    if by == "LastEventTime":
        keyed = _by_last_event(group, now, lag, descending=descending)
    else:
        named = group.ordered()
        named = [name for name in named if name.startswith(prefix)] if prefix else named
        keyed = [[name] for name in named]
    if descending and by != "LastEventTime":
        left = keyed[: None if place is None else bisect_left(keyed, place)][::-1]
    else:
        left = keyed[0 if place is None else bisect_right(keyed, place) :]
    page = left[:limit]
    shown = [_stream_shown(group, group.streams[key[-1]], now, lag) for key in page]
    answer: dict[str, Any] = {"logStreams": shown}
    if len(left) > limit:
        answer["nextToken"] = world.token(kind, page[-1])
    return answer


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
    if name.startswith("aws/"):
        raise invalid("Log groups starting with AWS/ are reserved for AWS.")
    now = world.clock.now()
    group = world.store.add_group(
        call.account,
        call.region,
        name,
        created=now,
        log_class=log_class,
        kms=p.get("kmsKeyId"),
        protected=p.get("deletionProtectionEnabled", False),
    )
    if p.get("tags"):
        world.store.tag(group, p["tags"], now)
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
    world.store.remove_group(group, world.clock.now())
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
    # Under an account-level policy this is saved and nothing expires by it.
    world.store.set_retention(world.group(call), days, world.clock.now())
    return {}


def _sets(field: str, parameter: str) -> Handler:
    """Lets the group have what the parameter says, None if it says nothing."""

    def handle(world: World, call: Call) -> dict[str, Any]:
        setattr(world.group(call), field, call.parameters.get(parameter))
        return {}

    return handle


put_log_group_deletion_protection = _sets("protected", "deletionProtectionEnabled")
put_bearer_token_authentication = _sets("bearer", "bearerTokenAuthenticationEnabled")
put_transformer = _sets("transformer", "transformerConfig")
associate_kms_key = disassociate_kms_key = _sets("kms", "kmsKeyId")


# ---- tags ----------------------------------------------------------------------------------------


def list_tags_for_resource(world: World, call: Call) -> dict[str, Any]:
    return {"tags": dict(world.group(call).tags)}


def tag_resource(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    tags = group.tags | dict(call.parameters["tags"])
    if any(key.startswith("aws:") for key in call.parameters["tags"]):
        raise invalid("Tag keys cannot start with aws:")
    if len(tags) > 50:
        raise RefusedError("TooManyTagsException", "at most 50 tags")
    world.store.tag(group, tags, world.clock.now())
    return {}


def untag_resource(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    gone = call.parameters["tagKeys"]
    tags = {key: value for key, value in group.tags.items() if key not in gone}
    world.store.tag(group, tags, world.clock.now())
    return {}
