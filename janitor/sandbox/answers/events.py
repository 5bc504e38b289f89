"""CloudWatch Logs: writing and reading events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
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
    names = p.get("logStreamNames") or list(group.streams)
    if any(name not in group.streams for name in names):
        raise missing("log stream")
    limit, streams = p.get("limit", _PAGE), [group.streams[name] for name in set(names)]

    def fetch(place: int) -> tuple[list[dict[str, Any]], int | None]:
        found = list(islice(_events(world, call, group, streams), place, place + limit + 1))
        return found[:limit], place + limit if len(found) > limit else None

    return world.paginate(call, "events", 0, fetch) | {"searchedLogStreams": []}


def _events(
    world: World, call: Call, group: Group, streams: list[Stream]
) -> Iterator[dict[str, Any]]:
    """The events from startTime to endTime (inclusive) that have arrived and not expired, in order
    of time, made up one by one from their counts.
    """
    now, end = world.clock.now(), call.parameters.get("endTime")
    start = max(call.parameters.get("startTime") or 0, group.horizon(now))
    chosen: list[tuple[int, str, int, Events]] = sorted(
        (events.at, stream.name, index, events)
        for stream in streams
        for index, events in enumerate(stream.events)
        if events.at >= start and (end is None or events.at <= end) and events.ingested <= now
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
