"""Log events: pages that may be empty in the midst, and where they end."""

from __future__ import annotations

from typing import Any

from janitor.core.clock import DAY_MS
from tests.sandbox.asking import NOW, add, empty_store, flat, refusal, still


def drained(logs: Any, token: str, **where: Any) -> list[list[int]]:
    """The times on each page, until the token stays."""
    found: list[list[int]] = []
    more: dict[str, str] = {}
    for _ in range(1000):
        answer = logs.get_log_events(**where, **more)
        if answer[token] == more.get("nextToken"):
            return found
        found.append([event["timestamp"] for event in answer["events"]])
        more = {"nextToken": answer[token]}
    raise AssertionError("no end")


def test_pages_of_a_stream_may_be_empty_before_its_end() -> None:
    """GetLogEvents is at its end where the token stays, not where a page is empty."""
    store = empty_store()
    group = add(store, "/a")
    events = [(NOW - 9000 + number, 1, 50) for number in range(40)]
    store.add_stream(group, "s", created=NOW - DAY_MS, events=events)
    logs = still(store, empty_pages=0.4).client("logs")
    where = {"logGroupName": "/a", "logStreamName": "s", "limit": 2}
    for token, more in (
        ("nextForwardToken", {"startFromHead": True}),
        ("nextBackwardToken", {}),
    ):
        found = drained(logs, token, **where, **more)
        assert [] in found[1:-2]
        assert sorted(flat(found)) == [at for at, _, _ in events]


def test_events_must_be_put_in_their_order() -> None:
    """InvalidParameterException, as LocalStack recorded it of AWS; none of them is there."""
    store = empty_store()
    store.add_stream(add(store, "/a"), "s", created=NOW)
    logs = still(store).client("logs")
    events = [{"timestamp": NOW - number, "message": "m"} for number in range(2)]
    said = refusal(logs, "put_log_events", logGroupName="/a", logStreamName="s", logEvents=events)
    assert said == "InvalidParameterException"
    assert logs.filter_log_events(logGroupName="/a")["events"] == []
