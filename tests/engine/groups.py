"""Log groups that the shipped policy deletes, sweeps or keeps."""

from __future__ import annotations

from typing import Any

from janitor.core.model import Status
from janitor.sandbox.store import Events, Stream
from janitor.sandbox.wire import Call
from tests.accounts import (
    Group,
    days_ago,
    stream,
)


def empty(name: str = "/old/empty", **fields: Any) -> Group:
    """A group that the shipped policy deletes, apart from `fields`."""
    return Group(name, days_ago(800), **fields)


def told_late(name: str, at: int, ingested: int) -> Stream:
    """A stream with one event that came long after its own time."""
    made = stream(name, at)
    made.events.append(Events(at, 1, 100, ingested))
    return made


def fillers(count: int = 20, prefix: str = "/kept") -> list[Group]:
    """Groups that are kept, so that a deletion is a small share."""
    return [Group(f"{prefix}/{i:04}", days_ago(900), 5, retention=30) for i in range(count)]


def swept(name: str = "/aws/lambda/f", count: int = 1, retention: int | None = 30) -> Group:
    """A group that is kept, with so many expired streams to sweep."""
    old = [stream(f"2020/01/01/[1]{i:03}", days_ago(800)) for i in range(count)]
    return Group(name, days_ago(900), 9, retention, streams=old)


def looks(call: Call) -> bool:
    """Whether it reads log groups again."""
    narrowed = call.parameters.keys() & {"logGroupNamePrefix", "logGroupIdentifiers"}
    return call.operation == "DescribeLogGroups" and bool(narrowed)


def only(recorded: Any, name: str) -> tuple[Status, str]:
    """The single outcome of a group, as status and reason."""
    [outcome] = recorded.of(name)
    return outcome.status, outcome.reason
