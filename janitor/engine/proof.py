"""Is this log group empty? Evidence in, a verdict out.

Every function fails closed: what cannot be read is `Unreadable`, and is never deleted. Conditions
are numbered as in docs/concepts.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from janitor.aws.api import CallError, ReadError
from janitor.aws.logs import Logs
from janitor.core.model import RECREATED, Evidence, Extras, LogGroup, LogStream
from janitor.core.text import age, counted
from janitor.engine.arrivals import Arrivals
from janitor.engine.users import Users
from janitor.policy.patterns import matches

STREAMS_A_PAGE = 50
"""At most (CloudWatch Logs API reference, DescribeLogStreams)."""
MAX_STREAMS_AGE = 60.0
"""Seconds that a log group's streams may have been read before its deletion, at most. With many
streams, reading them takes that long."""

OWNERS = "owners"
"""The source of evidence about owners that did not come from a single call."""


@dataclass(frozen=True, slots=True)
class Empty:
    """Evidence for deletion. `ignored` are subscription filters that the policy ignores, and that
    are deleted with the group.
    """

    evidence: Evidence
    ignored: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """Evidence that is a reason to keep."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Evidence that could not be read; `gone` says that the group does not exist."""

    evidence: Evidence
    gone: bool = False


Verdict = Empty | NotEmpty | Unreadable


async def unused(users: Users, group: LogGroup) -> Verdict:
    """Condition 2: no known owner uses the group. Raises StoppedError."""
    answer = await users.of(group)
    if answer.uses:
        use, more = answer.uses[0], len(answer.uses) - 1
        text = f"{use}, and by {more} more" if more else str(use)
        return NotEmpty(Evidence(use.source, text, use.at))
    if answer.unread:
        unread = answer.unread[0]
        return Unreadable(Evidence(unread.source, str(unread), unread.at))
    text = f"not in use by any owner (kinds of owners checked: {answer.rows})"
    return Empty(Evidence(OWNERS, text, answer.at))


def recreated_by(users: Users, group: LogGroup) -> list[Evidence]:
    """Evidence of who recreates the group after its deletion, if known. It decides nothing."""
    text = users.recreated_by(group.name)
    return [Evidence(RECREATED, text, users.clock.now())] if text else []


async def no_subscription_filters(
    logs: Logs, group: LogGroup, ignored: Sequence[str] = ()
) -> Verdict:
    """Condition 1: no subscription filter, except to destinations that match one of `ignored`."""
    source, now = "DescribeSubscriptionFilters", logs.clock.now()
    try:
        filters = await logs.filters(group, "subscription")
    except ReadError as error:
        return _unreadable(source, error, now)
    kept = [entry for entry in filters if not _goes_to(entry, ignored)]
    if kept:
        names = ", ".join(str(entry.get("filterName")) for entry in kept)
        return NotEmpty(Evidence(source, f"subscription filter {names}", now))
    others = f" but {len(filters)} to ignored destinations" if filters else ""
    return Empty(Evidence(source, f"no subscription filters{others}", now), tuple(filters))


def _goes_to(described: Mapping[str, object], destinations: Sequence[str]) -> bool:
    """Whether a subscription filter's destination matches one of the patterns."""
    arn = described.get("destinationArn")
    return isinstance(arn, str) and any(matches(pattern, arn) for pattern in destinations)


async def streams_silent(logs: Logs, group: LogGroup, before: int) -> Verdict:
    """Condition 6: every stream, all pages read, was created, written and ingested before `before`.

    More pages than the quota allows in MAX_STREAMS_AGE are not read: the first of them would be too
    old by the deletion.
    """
    rate = logs.api.pace.ceiling("DescribeLogStreams")
    most = int(rate * MAX_STREAMS_AGE)
    if verdict := await few_streams_silent(logs, group, before, most):
        return verdict
    text = (
        f"more log streams than {most:,} pages of up to {STREAMS_A_PAGE} hold, which is all that "
        f"can be read in {MAX_STREAMS_AGE:.0f} s at {rate:,g} calls a second, so it cannot be "
        "proved empty: raise the quota of DescribeLogStreams (in Service Quotas) or api_share in "
        "[limits], or delete the log group yourself"
    )
    return Unreadable(Evidence("DescribeLogStreams", text, logs.clock.now()))


async def few_streams_silent(logs: Logs, group: LogGroup, before: int, most: int) -> Verdict | None:
    """Condition 6 for a group with at most `most` pages of streams; None if there are more."""
    source, now = "DescribeLogStreams", logs.clock.now()
    count = pages = 0
    try:
        async for page in logs.streams(group.name):
            if (pages := pages + 1) > most:
                return None
            count += len(page)
            for stream in page:
                if stream.newest() >= before:
                    return NotEmpty(Evidence(source, _alive(stream, now), now))
    except ReadError as error:
        return _unreadable(source, error, now)
    return Empty(Evidence(source, f"{counted(count, 'stream')}, all silent since the cutoff", now))


async def no_events(logs: Logs, group: LogGroup, before: int) -> Verdict:
    """Condition 7 under `proof = "events"`: FilterLogEvents, drained, finds nothing from `before`
    (ms) on.
    """
    source, now = "FilterLogEvents", logs.clock.now()
    try:
        found = await logs.holds_events(group.name, before)
    except ReadError as error:
        return _unreadable(source, error, now)
    if found:
        return NotEmpty(Evidence(source, "holds events that have not expired", now))
    return Empty(Evidence(source, "no events since the cutoff", now))


async def no_arrivals(arrivals: Arrivals, group: LogGroup, before: int) -> Verdict:
    """Condition 7: nothing arrived from the cutoff to the moment of asking."""
    source = "GetMetricData"
    try:
        arrived, at = await arrivals.since(group.name, before)
    except ReadError as error:
        return _unreadable(source, error, arrivals.clock.now())
    text = "IncomingLogEvents has {} data point since the cutoff"
    match arrived:
        case None:
            unclear = "could not be read: no complete answer for this log group"
            return Unreadable(Evidence(source, unclear, at))
        case True:
            return NotEmpty(Evidence(source, text.format("a"), at))
        case False:
            return Empty(Evidence(source, text.format("no"), at))


async def extras_of(
    logs: Logs, group: LogGroup, *, subscribed: bool, syslog: bool
) -> Extras | Unreadable:
    """What the journal needs to recreate the group, besides what DescribeLogGroups shows.

    Metric filters are not read, as condition 1 proves that there are none. Nor are subscription
    filters, unless the policy ignores some (`subscribed`), and syslog endpoints, unless condition 2
    does not cover them (`syslog`).
    """
    source = ""
    try:
        source = "GetDataProtectionPolicy"
        data_protection = await logs.data_protection_policy(group)
        source = "DescribeIndexPolicies"
        index = await logs.index_policy(group)
        source = "GetTransformer"
        transformer = await logs.transformer(group)
        source = "DescribeResourcePolicies"
        resource = await logs.resource_policy(group)
        source = "ListSyslogConfigurations"
        endpoints = await logs.syslog_endpoints(group) if syslog else ()
        source = "DescribeSubscriptionFilters"
        subscriptions = await logs.filters(group, "subscription") if subscribed else ()
    except ReadError as error:
        text = f"could not be read, and without it the log group could not be recreated: {error}"
        return Unreadable(Evidence(source, text, logs.clock.now()))
    return Extras(
        data_protection,
        index,
        transformer,
        subscription_filters=tuple(subscriptions),
        resource_policy=resource,
        syslog_endpoints=endpoints,
    )


def _alive(stream: LogStream, now: int) -> str:
    return f"stream {stream.name!r} was active {age(now - stream.newest())} ago"


def _unreadable(source: str, error: Exception, now: int) -> Unreadable:
    gone = isinstance(error, CallError) and error.not_found
    return Unreadable(Evidence(source, f"could not be read: {error}", now), gone)
