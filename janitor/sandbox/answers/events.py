"""CloudWatch Logs: writing and reading events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.store import Events, Group, Stream
from janitor.sandbox.wire import Call, RefusedError
from janitor.sandbox.world import World, invalid

_PAGE = 1000
"""Events a page when no limit is given: stands for the page's limit of 1 MB."""


def put_log_events(world: World, call: Call) -> dict[str, Any]:
    group, now = world.group(call), world.clock.now()
    stream = _stream(group, call)
    entries = call.parameters.get("logEvents") or []
    times = [entry["timestamp"] for entry in entries]
    if times != sorted(times):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    horizon = max(group.horizon(now), now - 14 * DAY_MS)
    late, early = 0, len(entries)
    for index, entry in enumerate(entries):
        if entry["timestamp"] < horizon:
            late = index + 1
        elif entry["timestamp"] > now + 2 * 3_600_000:
            early = min(early, index)
        else:
            size = len(entry["message"].encode()) + 26
            world.store.write(group, stream, entry["timestamp"], 1, size, ingested=now)
    answer: dict[str, Any] = {"nextSequenceToken": "49"}
    rejected = {
        **({"tooOldLogEventEndIndex": late} if late else {}),
        **({"tooNewLogEventStartIndex": early} if early < len(entries) else {}),
    }
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    return answer


def filter_log_events(world: World, call: Call) -> dict[str, Any]:
    p, group = call.parameters, world.group(call)
    # FilterLogEvents answers with what is as late as endTime, GetLogEvents does not.
    until = None if p.get("endTime") is None else p["endTime"] + 1
    named, prefix = p.get("logStreamNames"), p.get("logStreamNamePrefix")
    if named and prefix:
        raise invalid("logStreamNames and logStreamNamePrefix are mutually exclusive.")
    if named and any(name not in group.streams for name in named):
        raise RefusedError("ResourceNotFoundException", "The specified log stream does not exist.")
    streams = [
        stream
        for name, stream in group.streams.items()
        if (not named or name in named) and name.startswith(prefix or "")
    ]
    kind = f"FilterLogEvents {group.name}"
    place = world.place(kind, p.get("nextToken"), 0)
    if world.empty():
        return {"events": [], "searchedLogStreams": [], "nextToken": world.token(kind, place)}
    limit = p.get("limit", _PAGE)
    found = list(islice(_events(world, call, group, streams, until), place, place + limit + 1))
    answer: dict[str, Any] = {"events": found[:limit], "searchedLogStreams": []}
    if len(found) > limit:
        answer["nextToken"] = world.token(kind, place + limit)
    return answer


def get_log_events(world: World, call: Call) -> dict[str, Any]:
    """The end is where the answered token is the one that was passed."""
    p, group = call.parameters, world.group(call)
    stream = _stream(group, call)
    found = list(_events(world, call, group, [stream], p.get("endTime")))
    limit = p.get("limit", _PAGE)
    token = p.get("nextToken")
    if token is None:
        if world.empty():
            at = 0 if p.get("startFromHead") else len(found)
            return {"events": [], "nextForwardToken": f"f/{at}", "nextBackwardToken": f"b/{at}"}
        start = 0 if p.get("startFromHead") else max(len(found) - limit, 0)
        end = min(start + limit, len(found))
    else:
        way, place = [*str(token).split("/"), ""][:2]
        if way not in ("f", "b") or not place.isdigit():
            raise invalid("The specified nextToken is invalid.")
        here = min(int(place), len(found))
        start, end = (here, min(here + limit, len(found))) if way == "f" else (here - limit, here)
        start = max(start, 0)
        if start < end and world.empty():
            # Another token than the one that was passed: this is not the end.
            world.tokens += 1
            again = f"{here}/{world.tokens}"
            return {
                "events": [],
                "nextForwardToken": f"f/{again}",
                "nextBackwardToken": f"b/{again}",
            }
    events = [
        {key: entry[key] for key in ("timestamp", "message", "ingestionTime")}
        for entry in found[start:end]
    ]
    return {"events": events, "nextForwardToken": f"f/{end}", "nextBackwardToken": f"b/{start}"}


def _stream(group: Group, call: Call) -> Stream:
    stream = group.streams.get(str(call.parameters.get("logStreamName")))
    if stream is None:
        raise RefusedError("ResourceNotFoundException", "The specified log stream does not exist.")
    return stream


def _events(
    world: World, call: Call, group: Group, streams: list[Stream], end: int | None
) -> Iterator[dict[str, Any]]:
    """Events that have arrived and are alive now, from startTime on and before `end`, in order of
    time; made up one by one from their counts.
    """
    now = world.clock.now()
    start = max(call.parameters.get("startTime") or 0, group.horizon(now))
    chosen: list[tuple[int, str, int, Events]] = sorted(
        (events.at, stream.name, index, events)
        for stream in streams
        for index, events in enumerate(stream.events)
        if events.at >= start and (end is None or events.at < end) and events.ingested <= now
    )
    for at, stream, index, events in chosen:
        for number in range(events.count):
            yield {
                "logStreamName": stream,
                "timestamp": at,
                "message": "x" * max(1, min(events.bytes // events.count - 26, 256)),
                "ingestionTime": events.ingested,
                "eventId": f"{at:020d}{index:08d}{number:08d}",
            }
