"""Which log streams can be swept: those that expired, and whose times can be trusted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime

from janitor.aws.logs import Logs
from janitor.core.clock import DAY_MS, HOUR_MS
from janitor.core.model import LogGroup, LogStream
from janitor.engine.arrivals import Arrivals

LAG_WINDOW_MS = 48 * HOUR_MS
"""Stream metadata lags "usually under an hour, sometimes more" (FilterLogEvents and LogStream, API
reference). Anything that arrived longer ago than this is assumed to show."""

DATED_DAYS = 30
"""Days after which nothing writes any more to a stream named after the day on which its writer
started: a Lambda execution environment lives for hours, and one restored by SnapStart has another
stream than its snapshot (aws/aws-lambda-java-libs#402)."""

STREAMS_A_CALL = 100
_LAMBDA_STREAM = re.compile(r"\d{4}/\d{2}/\d{2}/[\w-]*\[")
"""`YYYY/MM/DD/[version]id` or, in a log group that functions may share,
`YYYY/MM/DD/name[version][id]` (Lambda Developer Guide, "Configuring CloudWatch log groups")."""
_CONTAINER_STREAM = re.compile(r"(^|/)([0-9a-f]{32}|[0-9a-f]{64})$")
"""`prefix/container/task id` of the awslogs driver on ECS, or a Docker container's id: a running
container holds its stream open however long it is silent, and fails once it is gone."""


async def sweepable(
    logs: Logs,
    arrivals: Arrivals,
    group: LogGroup,
    before: int,
    now: int,
    *,
    drained: bool,
    among: Collection[str] | None = None,
) -> list[LogStream]:
    """The streams wholly before `before` (ms) whose times can be trusted, all pages read; if
    `among` is given, only those of these names.

    A stream's metadata lags, so it may hold an event that its times do not show. The times are
    trusted if the stream's name says that its writer ended long ago, or if nothing at all arrived
    in the group since LAG_WINDOW_MS before `now` (ms), when the survey began. With `drained`
    (proof = "events"), FilterLogEvents must find nothing in the stream, and that is enough. Raises
    ReadError.
    """
    expired = [
        stream
        async for page in _until_recent(logs.streams(group.name), before)
        for stream in page
        if stream.newest() < before and not _CONTAINER_STREAM.search(stream.name)
        if among is None or stream.name in among
    ]
    return await trusted(logs, arrivals, group, before, now, expired, drained=drained)


async def trusted(
    logs: Logs,
    arrivals: Arrivals,
    group: LogGroup,
    before: int,
    now: int,
    expired: Sequence[LogStream],
    *,
    drained: bool,
) -> list[LogStream]:
    """Those of the expired streams whose times can be trusted now. Raises ReadError."""
    if drained:
        return await _without_events(logs, group, before, expired)
    ended = [stream for stream in expired if _writer_ended(stream.name, now)]
    if len(ended) == len(expired):
        return ended
    arrived, _ = await arrivals.since(group.name, now - LAG_WINDOW_MS)
    return list(expired) if arrived is False else ended


async def _without_events(
    logs: Logs, group: LogGroup, before: int, streams: Sequence[LogStream]
) -> list[LogStream]:
    """Those of the streams that hold no events, asked for a hundred at a time: if one of a hundred
    holds any, all hundred are left out.
    """
    empty: list[LogStream] = []
    for start in range(0, len(streams), STREAMS_A_CALL):
        chunk = streams[start : start + STREAMS_A_CALL]
        if not await logs.holds_events(group.name, before, [stream.name for stream in chunk]):
            empty += chunk
    return empty


async def _until_recent(
    pages: AsyncIterator[list[LogStream]], before: int
) -> AsyncIterator[list[LogStream]]:
    """Yield pages up to the first whose last stream Lambda named after a day past `before`.

    Pages are sorted by name, so only newer streams follow. The thousands of streams of a live
    function need not all be listed; stopping early can only keep.
    """
    recent = _day(before + DAY_MS)
    async for page in pages:
        yield page
        if page and _LAMBDA_STREAM.match(page[-1].name) and page[-1].name[:10] > recent:
            return


def _writer_ended(name: str, now: int) -> bool:
    """Whether the name dates the writer at least DATED_DAYS back."""
    dated = _LAMBDA_STREAM.match(name) is not None
    return dated and name[:10] < _day(now - DATED_DAYS * DAY_MS)


def _day(at: int) -> str:
    return datetime.fromtimestamp(max(at, 0) / 1000, UTC).strftime("%Y/%m/%d")
