"""Log groups that the shipped policy deletes, sweeps or keeps, and plans carried out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from janitor.core.model import Status
from janitor.engine.act import Act, Part, as_async
from janitor.engine.admission import Admission
from janitor.engine.books import Books
from janitor.engine.plan import ActionLine, action_line, grouped
from janitor.journal.journal import FileJournal
from janitor.policy.file import Policy
from janitor.sandbox.store import Events, Stream
from janitor.sandbox.wire import Call
from tests.accounts import NOW, Cloud, Group, Recorded, api, days_ago, look, stream


def empty(name: str = "/old/empty", **fields: Any) -> Group:
    """Return a group that the shipped policy deletes, unless `fields` prevent it."""
    return Group(name, days_ago(800), **fields)


def late_arrival(name: str, at: int, ingested: int) -> Stream:
    """Return a stream with one event, of the time `at`, which arrived later."""
    made = stream(name, at)
    made.events.append(Events(at, 1, 100, ingested))
    return made


def fillers(count: int = 20, prefix: str = "/kept") -> list[Group]:
    """Return groups that are kept, so that a deletion is a small share."""
    return [Group(f"{prefix}/{i:04}", days_ago(900), 5, retention=30) for i in range(count)]


def sweepable(name: str = "/aws/lambda/f", count: int = 1, retention: int | None = 30) -> Group:
    """Return a group that is kept, with so many expired streams to sweep."""
    old = [stream(f"2020/01/01/[1]{i:03}", days_ago(800)) for i in range(count)]
    return Group(name, days_ago(900), 9, retention, streams=old)


def rereads(call: Call) -> bool:
    """Return whether the call reads known log groups again."""
    narrowed = call.parameters.keys() & {"logGroupNamePrefix", "logGroupIdentifiers"}
    return call.operation == "DescribeLogGroups" and bool(narrowed)


def result_of(recorded: Any, name: str) -> tuple[Status, str]:
    """Return the single outcome of a group, as status and reason."""
    [outcome] = recorded.of(name)
    return outcome.status, outcome.reason


def journal_lines(journal: FileJournal) -> list[dict[str, Any]]:
    """Return the lines of the journal."""
    return [json.loads(line) for line in journal.path.read_text().splitlines()]


def planned_lines(cloud: Cloud, policy: Policy) -> list[ActionLine]:
    """Return the lines of a plan for the cloud."""
    _, recorded = look(cloud, policy)
    return [line for outcome in recorded.planned if (line := action_line(outcome)) is not None]


def act_on(
    lines: Iterable[ActionLine],
    cloud: Cloud,
    policy: Policy,
    journal: FileJournal,
    *,
    from_earlier_run: bool = False,
    **part: Any,
) -> tuple[Books, Recorded]:
    """Carry out a plan's lines; `part` are fields of Part."""
    calls, recorded = api(cloud), Recorded()
    apis = {calls.target: calls}
    books = Books(apis, recorded.listen)
    act = Act(
        policy,
        NOW,
        calls.stop,
        journal,
        books,
        Admission(cloud.clock),
        from_earlier_run=from_earlier_run,
    )
    cloud.clock.run(act.run(apis, {calls.target: Part(as_async(grouped(lines)), **part)}))
    return books, recorded
