"""CloudWatch Logs: groups, streams, retention and tags."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from janitor.sandbox.store import Group
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import Handler, World, invalid

RETENTION_DAYS = frozenset(
    (
        *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
        *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
    )
)
_NARROWING = ("logGroupNamePrefix", "logGroupNamePattern", "logGroupIdentifiers")
_EITHER = ("INFREQUENT_ACCESS", "ESSENTIALS")
"""Asked for one of these classes, DescribeLogGroups answers with both (botocore 1.44.5)."""
_OF_PATTERN = ("arn", "creationTime", "logGroupName")
"""All that DescribeLogGroups shows of groups asked for by logGroupNamePattern (botocore 1.44.5)."""
_TAKEN = "ResourceAlreadyExistsException"
_PROTECTED = "Deletion protection is enabled."


def describe_log_groups(world: World, call: Call) -> dict[str, Any]:
    p = call.parameters
    limit = min(p.get("limit", 50), world.page)
    narrowed = [key for key in _NARROWING if p.get(key)]
    if len(narrowed) > 1 or ("logGroupIdentifiers" in narrowed and p.get("logGroupClass")):
        raise invalid(f"{' and '.join(narrowed)} exclude other filters.")

    def fetch(place: tuple[str, int, str]) -> tuple[list[dict[str, Any]], Any]:
        found = list(islice(_from(world, call, *place, twice=limit > 1), limit + 1))
        now, lags, page = world.clock.now(), world.store.lags, found[:limit]
        shown = [group.shown(now, lags) for group in page]
        if "logGroupNamePattern" in narrowed:
            shown = [{key: entry[key] for key in _OF_PATTERN if key in entry} for entry in shown]
        if len(found) <= limit:
            return shown, None
        return shown, (page[-1].name, place[1] + len(page), found[limit].name)

    return world.paginate(call, "logGroups", ("", 0, ""), fetch)


def _from(
    world: World, call: Call, last: str, listed: int, following: str, *, twice: bool
) -> Iterator[Group]:
    """The groups of the next page and beyond, given the name of the last group listed, how many
    were listed, and the name that was next; `twice` allows the last one to be repeated.
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
    log_class, named = call.parameters.get("logGroupClass"), _named(world, call, place)
    classes = _EITHER if log_class in _EITHER else (log_class,)
    return named if log_class is None else (one for one in named if one.log_class in classes)


def _named(world: World, call: Call, place: str) -> Iterator[Group]:
    p, region = call.parameters, world.region(call)
    if identifiers := p.get("logGroupIdentifiers"):
        # ARNs are for monitoring accounts, of which there is none here (botocore 1.44.5).
        if any(identifier.startswith("arn:") for identifier in identifiers):
            raise invalid("logGroupIdentifiers: only names of log groups in this account")
        for name in sorted({name for name in identifiers if name > place}):
            if (group := region.get(name)) is not None:
                yield group
        return
    prefix = p.get("logGroupNamePrefix") or ""
    if place < prefix:
        if (exact := region.get(prefix)) is not None:
            yield exact
        place = prefix
    for group in region.after(place, p.get("logGroupNamePattern") or ""):
        if not group.name.startswith(prefix):
            return
        yield group


def describe_log_streams(world: World, call: Call) -> dict[str, Any]:
    """By last event, streams that show none come first either way round, so that a live one may
    stand behind a page of them.
    """
    p, group = call.parameters, world.group(call)
    limit, prefix = min(p.get("limit", 50), world.page), p.get("logStreamNamePrefix") or ""
    by_time, descending = p.get("orderBy") == "LastEventTime", p.get("descending", False)
    if by_time and prefix:
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    now, lag = world.clock.now(), world.store.lags.stream

    def key(name: str) -> list[Any]:
        times = group.streams[name].shown(now, lag) if by_time else None
        if times is None:
            return [False, 0, name]
        return [True, -times[1] if descending else times[1], name]

    names, backwards = group.ordered(), descending and not by_time
    if by_time:
        names = sorted(names, key=key)
    if prefix:
        names = [name for name in names if name.startswith(prefix)]

    def fetch(place: list[Any]) -> tuple[list[dict[str, Any]], list[Any] | None]:
        """A place is the key of the last stream listed, so deletions do not disturb the order."""
        if backwards:
            end = bisect_left(names, place, key=key) if place else len(names)
            page, more = names[max(end - limit, 0) : end][::-1], end > limit
        else:
            start = bisect_right(names, place, key=key)
            page, more = names[start : start + limit], start + limit < len(names)
        shown = [_stream_shown(world, group, name) for name in page]
        return shown, key(page[-1]) if more else None

    return world.paginate(call, "logStreams", [], fetch)


def _stream_shown(world: World, group: Group, name: str) -> dict[str, Any]:
    stream = group.streams[name]
    entry: dict[str, Any] = {
        "logStreamName": name,
        "creationTime": stream.created,
        "arn": f"{group.arn}:log-stream:{name}",
        "storedBytes": 0,
    }
    times = stream.shown(world.clock.now(), world.store.lags.stream)
    if times is not None:
        keys = ("firstEventTimestamp", "lastEventTimestamp", "lastIngestionTime")
        entry |= zip(keys, times, strict=True)
    return entry


# ---- changes -------------------------------------------------------------------------------------


def create_log_group(world: World, call: Call) -> dict[str, Any]:
    p, now = call.parameters, world.clock.now()
    name = str(p.get("logGroupName"))
    if name in world.region(call):
        raise RefusedError(_TAKEN, "The specified log group already exists")
    if name.startswith("aws/"):
        raise invalid("Log groups starting with AWS/ are reserved for AWS.")
    group = world.store.add_group(
        *(call.account, call.region, name),
        created=now,
        log_class=p.get("logGroupClass", "STANDARD"),
        kms=p.get("kmsKeyId"),
        protected=p.get("deletionProtectionEnabled", False),
    )
    if p.get("tags"):
        world.store.tag(group, p["tags"], now)
    return {}


def create_log_stream(world: World, call: Call) -> dict[str, Any]:
    group, name = world.group(call), str(call.parameters.get("logStreamName"))
    if name in group.streams:
        raise RefusedError(_TAKEN, "The specified log stream already exists")
    world.store.add_stream(group, name, created=world.clock.now())
    return {}


def delete_log_group(world: World, call: Call) -> dict[str, Any]:
    group = world.group(call)
    if group.protected:
        raise RefusedError("ValidationException", _PROTECTED)
    world.store.remove_group(group, world.clock.now())
    return {}


def delete_log_stream(world: World, call: Call) -> dict[str, Any]:
    group, stream = world.stream(call)
    if group.protected:
        raise RefusedError("ValidationException", _PROTECTED)
    world.store.remove_stream(group, stream.name)
    return {}


def put_retention_policy(world: World, call: Call) -> dict[str, Any]:
    days = call.parameters.get("retentionInDays")
    if days not in RETENTION_DAYS:
        raise invalid(f"retentionInDays: {days!r}")
    return _retention(world, call, days)


def delete_retention_policy(world: World, call: Call) -> dict[str, Any]:
    return _retention(world, call, None)


def _retention(world: World, call: Call, days: int | None) -> dict[str, Any]:
    # Under an account-level policy it is saved, but expires nothing.
    world.store.set_retention(world.group(call), days, world.clock.now())
    return {}


def _sets(field: str, parameter: str) -> Handler:
    """A handler that sets the group's field to the parameter, or to None without it."""

    def handle(world: World, call: Call) -> dict[str, Any]:
        setattr(world.group(call), field, call.parameters.get(parameter))
        return {}

    return handle


put_log_group_deletion_protection = _sets("protected", "deletionProtectionEnabled")
put_bearer_token_authentication = _sets("bearer", "bearerTokenAuthenticationEnabled")
put_transformer = delete_transformer = _sets("transformer", "transformerConfig")
delete_index_policy = _sets("index", "policyDocument")
associate_kms_key = disassociate_kms_key = _sets("kms", "kmsKeyId")


# ---- tags ----------------------------------------------------------------------------------------


def list_tags_for_resource(world: World, call: Call) -> dict[str, Any]:
    return {"tags": dict(world.group(call).tags)}


def tag_resource(world: World, call: Call) -> dict[str, Any]:
    group, new = world.group(call), call.parameters["tags"]
    if any(key.startswith("aws:") for key in new):
        raise invalid("Tag keys cannot start with aws:")
    if len(tags := group.tags | new) > 50:
        raise RefusedError("TooManyTagsException", "at most 50 tags")
    world.store.tag(group, tags, world.clock.now())
    return {}


def untag_resource(world: World, call: Call) -> dict[str, Any]:
    group, gone = world.group(call), call.parameters["tagKeys"]
    tags = {key: value for key, value in group.tags.items() if key not in gone}
    world.store.tag(group, tags, world.clock.now())
    return {}
