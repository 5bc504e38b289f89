"""Is this log group empty? Evidence in, a verdict and the evidence itself out.

Every function fails closed: what cannot be read is `Unreadable`, and is never deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from janitor.aws.api import CallError, ReadError
from janitor.aws.logs import Logs
from janitor.core.model import Evidence, Extras, LogGroup, LogStream
from janitor.core.text import age
from janitor.owners.functions import Owners

_LAMBDA_STREAM = re.compile(r"\d{4}/\d{2}/\d{2}/\[")


@dataclass(frozen=True, slots=True)
class Empty:
    """This piece of evidence speaks for deletion."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """This piece of evidence is a reason to keep."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Unreadable:
    """This piece of evidence could not be had; `gone` says that the group does not exist."""

    evidence: Evidence
    gone: bool = False


Verdict = Empty | NotEmpty | Unreadable


def no_owner(owners: Owners, logs: Logs, group: LogGroup) -> Verdict:
    """Line 1: no existing Lambda function logs to the group."""
    now = logs.clock.now()
    try:
        owner = owners.owner(group.name)
    except ReadError as error:
        return Unreadable(
            Evidence(
                "ListFunctions",
                f"whether a function logs here is unknown: {error}",
                now,
            )
        )
    if owner is not None:
        return NotEmpty(Evidence("ListFunctions", f"Lambda function {owner!r} logs to it", now))
    return Empty(Evidence("ListFunctions", "no Lambda function logs to it", now))


def no_subscription_filters(logs: Logs, group: LogGroup) -> Verdict:
    """Line 1: nothing subscribes to the group."""
    source, now = "DescribeSubscriptionFilters", logs.clock.now()
    try:
        filters = logs.filters(group, "subscription")
    except ReadError as error:
        return _unreadable(source, error, now)
    if filters:
        names = ", ".join(str(found.get("filterName")) for found in filters)
        return NotEmpty(Evidence(source, f"subscription filter {names}", now))
    return Empty(Evidence(source, "no subscription filters", now))


def recorded(logs: Logs, group: LogGroup) -> Extras | Unreadable:
    """What the journal must hold to make the group again, beside what DescribeLogGroups shows.

    Its filters are proved absent elsewhere (line 1).
    """
    source = ""
    try:
        source = "GetDataProtectionPolicy"
        data_protection = logs.data_protection_policy(group)
        source = "DescribeIndexPolicies"
        index = logs.index_policy(group)
        source = "GetTransformer"
        transformer = logs.transformer(group)
    except ReadError as error:
        text = f"unreadable, and without it the log group could not be made again: {error}"
        return Unreadable(Evidence(source, text, logs.clock.now()))
    return Extras(data_protection, index, transformer)


def streams_silent(logs: Logs, group: LogGroup, before: int) -> Verdict:
    """Line 5: every stream, all pages read, was created, written and ingested before `before`."""
    source, now = "DescribeLogStreams", logs.clock.now()
    count = 0
    try:
        for page in logs.streams(group.name):
            count += len(page)
            for stream in page:
                if stream.newest() >= before:
                    return NotEmpty(Evidence(source, _alive(stream, now), now))
    except ReadError as error:
        return _unreadable(source, error, now)
    return Empty(Evidence(source, f"{count} streams, all silent since the cutoff", now))


def no_events(logs: Logs, group: LogGroup, before: int) -> Verdict:
    """Line 6 under `proof = "events"`: FilterLogEvents, drained, finds nothing since `before`."""
    source, now = "FilterLogEvents", logs.clock.now()
    try:
        found = logs.holds_events(group.name, before)
    except ReadError as error:
        return _unreadable(source, error, now)
    if found:
        return NotEmpty(Evidence(source, "holds events that have not expired", now))
    return Empty(Evidence(source, "no events since the cutoff", now))


def no_arrivals(logs: Logs, candidates: Iterable[tuple[LogGroup, int]]) -> list[Verdict]:
    """Line 6: nothing arrived since each candidate's cutoff (ms). One verdict each, in order."""
    source, now = "GetMetricData", logs.clock.now()
    wanted = list(candidates)
    since: dict[str, int] = {}
    for group, before in wanted:
        since[group.name] = min(before, since.get(group.name, before))
    try:
        arrived = logs.arrivals(since)
    except ReadError as error:
        return [_unreadable(source, error, now) for _ in wanted]
    text = "IncomingLogEvents has {} data point since the cutoff"
    verdicts: list[Verdict] = []
    for group, _ in wanted:
        match arrived.get(group.name):
            case None:
                unclear = "could not be read: no complete answer for this log group"
                verdicts.append(Unreadable(Evidence(source, unclear, now)))
            case True:
                verdicts.append(NotEmpty(Evidence(source, text.format("a"), now)))
            case False:
                verdicts.append(Empty(Evidence(source, text.format("no"), now)))
    return verdicts


def count_silent(logs: Logs, group: LogGroup, before: int) -> int:
    """How many streams a sweep would delete. Raises what reading raises (ReadError)."""
    return sum(len(silent(page, before)) for page in until_recent(logs.streams(group.name), before))


def until_recent(pages: Iterator[list[LogStream]], before: int) -> Iterator[list[LogStream]]:
    """Pages up to the first that ends in a stream which Lambda named for a day after `before`.

    Lambda names streams `YYYY/MM/DD/[version]id` and pages come in order of name, so behind such
    a page lie newer streams only. A live function's thousands of streams need not all be listed;
    stopping early can only keep.
    """
    recent = datetime.fromtimestamp(max(before, 0) / 1000 + 86_400, UTC).strftime("%Y/%m/%d")
    for page in pages:
        yield page
        if page and _LAMBDA_STREAM.match(page[-1].name) and page[-1].name[:10] > recent:
            return


def silent(streams: Sequence[LogStream], before: int) -> list[LogStream]:
    """The streams that show no sign of life at or after `before` (ms)."""
    return [stream for stream in streams if stream.newest() < before]


def _alive(stream: LogStream, now: int) -> str:
    return f"stream {stream.name!r} shows life {age(max(now - stream.newest(), 0))} ago"


def _unreadable(source: str, error: Exception, now: int) -> Unreadable:
    gone = isinstance(error, CallError) and error.not_found
    return Unreadable(Evidence(source, f"could not be read: {error}", now), gone)
