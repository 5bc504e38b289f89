"""CloudWatch Logs: writing and reading events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import inf
from typing import Any

from janitor.core.clock import DAY_MS
from janitor.sandbox.store import Events, Group, Stream
from janitor.sandbox.wire import Call
from janitor.sandbox.world import World, invalid, missing

_PAGE = 1000
"""Events a page if no limit is given; stands for the page's limit of 1 MB."""


def put_log_events(world: World, call: Call) -> dict[str, Any]:
    (group, stream), now = world.stream(call), world.clock.now()
    entries = call.parameters.get("logEvents") or []
    times = [entry["timestamp"] for entry in entries]
    if times != sorted(times):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    horizon = max(group.horizon(now), now - 14 * DAY_MS)
    late = sum(at < horizon for at in times)
    early = sum(at <= now + 2 * 3_600_000 for at in times)
    for entry in entries[late:early]:
        size = len(entry["message"].encode()) + 26
        world.store.write(group, stream, entry["timestamp"], 1, size, ingested=now)
    rejected = {"tooOldLogEventEndIndex": late} if late else {}
    rejected |= {"tooNewLogEventStartIndex": early} if early < len(entries) else {}
    return {"nextSequenceToken": "49"} | ({"rejectedLogEventsInfo": rejected} if rejected else {})


def filter_log_events(world: World, call: Call) -> dict[str, Any]:
    p, group = call.parameters, world.group(call)
    names, prefix = p.get("logStreamNames"), p.get("logStreamNamePrefix") or ""
    if names and prefix:
        raise invalid("logStreamNames and logStreamNamePrefix are mutually exclusive.")
    names = names or [name for name in group.streams if name.startswith(prefix)]
    if any(name not in group.streams for name in names):
        raise missing("log stream")
    limit, streams = p.get("limit", _PAGE), [group.streams[name] for name in set(names)]
    until = p.get("endTime", inf)

    def fetch(place: int) -> tuple[list[dict[str, Any]], int | None]:
        found = list(islice(_events(world, call, group, streams, until), place, place + limit + 1))
        return found[:limit], place + limit if len(found) > limit else None

    return world.paginate(call, "events", 0, fetch) | {"searchedLogStreams": []}


def get_log_events(world: World, call: Call) -> dict[str, Any]:
    """The end is reached if the answered token is the one that was passed; an event at endTime is
    left out, unlike by FilterLogEvents (botocore 1.44.5).
    """
    p, (group, stream) = call.parameters, world.stream(call)
    found = list(_events(world, call, group, [stream], p.get("endTime", inf) - 1))
    limit, size = p.get("limit", _PAGE), len(found)
    token = p.get("nextToken") or ("f/0" if p.get("startFromHead") else f"b/{size}")
    way, text = [*token.split("/"), ""][:2]
    if way not in ("f", "b") or not text.isdecimal():
        raise invalid("The specified nextToken is invalid.")
    place, number = min(int(text), size), ""
    start, end = (place, min(place + limit, size)) if way == "f" else (max(place - limit, 0), place)
    if start < end and world.empty():
        # With another token than the one that was passed: this is not the end.
        world.tokens += 1
        start, end, number = place, place, f"/{world.tokens}"
    keys = ("timestamp", "message", "ingestionTime")
    return {
        "events": [{key: event[key] for key in keys} for event in found[start:end]],
        "nextForwardToken": f"f/{end}{number}",
        "nextBackwardToken": f"b/{start}{number}",
    }


def _events(
    world: World, call: Call, group: Group, streams: list[Stream], end: float
) -> Iterator[dict[str, Any]]:
    """The events from startTime to `end` (inclusive) that have arrived and not expired, in order of
    time, made up one by one from their counts.
    """
    now = world.clock.now()
    start = max(call.parameters.get("startTime") or 0, group.horizon(now))
    chosen: list[tuple[int, str, int, Events]] = sorted(
        (events.at, stream.name, index, events)
        for stream in streams
        for index, events in enumerate(stream.events)
        if start <= events.at <= end and events.ingested <= now
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
