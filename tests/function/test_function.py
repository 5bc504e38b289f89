"""The janitor's package, run by AWS's runtime client against a sandbox account on loopback."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy import packaging
from janitor.core.clock import DAY_MS
from janitor.sandbox.account import Sandbox
from janitor.sandbox.store import Bucket, Store
from tests.deploy.wheels import staged
from tests.function.deployed import BUCKET, SCHEDULED
from tests.function.runtime import ACCOUNT, REGION, Answer, Function

KEPT, EMPTY = 60, 6
POLICY = """
[defaults]
retention_days = 365
delete_empty = true
[limits]
api_share = 1.0
"""


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    store = Store()
    store.region(ACCOUNT, REGION)
    store.buckets[BUCKET] = Bucket(ACCOUNT, REGION, 0)
    return Sandbox(store)


@pytest.fixture(scope="module")
def janitor(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Iterator[Function]:
    """The function as deployed, with the user's policy file, calling the sandbox."""
    root = tmp_path_factory.mktemp("janitor")
    policy = root / "mine.toml"
    policy.write_text(POLICY)
    folder = staged(packaging.host(), root, extra={"policy.toml": policy})
    environment = {
        "JANITOR_BUCKET": BUCKET,
        "JANITOR_POLICY_FILE": "policy.toml",
        "JANITOR_REGIONS": REGION,
        "POWERTOOLS_METRICS_NAMESPACE": "CloudWatchJanitor",
        "POWERTOOLS_SERVICE_NAME": "cloudwatch-janitor",
    }
    handler, name = packaging.JANITOR.handler, "cloudwatch-janitor"
    with (
        sandbox.serving() as url,
        Function(
            folder, handler, env=environment | sandbox.environment(url), name=name
        ) as function,
    ):
        yield function


def scheduled() -> bytes:
    """A new event of EventBridge."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({**SCHEDULED, "id": str(uuid.uuid4()), "time": now}).encode()


def fill(sandbox: Sandbox, never: int) -> None:
    """Replace all groups: some to keep, `never` without retention, some to delete."""
    now = time.time_ns() // 1_000_000
    with sandbox.lock:
        sandbox.store.regions.clear()
        for kind, count, retention, days in (
            ("kept", KEPT, 30, 0),
            ("never", never, None, 0),
            ("empty", EMPTY, 30, 900),
        ):
            for number in range(count):
                sandbox.store.add_group(
                    ACCOUNT,
                    REGION,
                    f"/{kind}/{number:03}",
                    created=now - days * DAY_MS,
                    retention=retention,
                )


def names(sandbox: Sandbox) -> dict[str, int | None]:
    """The retention of each group, by name."""
    with sandbox.lock:
        return {group.name: group.retention for group in sandbox.store.groups()}


def metrics(answers: list[Answer]) -> list[dict[str, Any]]:
    """The log lines in EMF."""
    lines = [json.loads(line) for answer in answers for line in answer.logs.splitlines()]
    return [line for line in lines if "_aws" in line]


def test_an_empty_event_is_a_dry_run(janitor: Function, sandbox: Sandbox) -> None:
    """It says what would be done, and every log line is JSON."""
    fill(sandbox, never=6)
    before = names(sandbox)
    janitor.end()  # so that this is a cold start
    answer = janitor.invoke(b"{}", deadline_ms=120_000)
    summary = answer.value["summary"]
    planned = {"set_retention": 6, "delete_group": EMPTY, "sweep_streams": 0}
    assert summary["planned"] == planned
    assert len(answer.value["findings"]) == 6 + EMPTY
    assert summary["complete"] is True
    assert names(sandbox) == before
    [cold] = [line for line in metrics([answer]) if "ColdStart" in line]
    assert cold["function_name"] == "cloudwatch-janitor"


def test_a_scheduled_event_acts_and_the_next_finds_nothing(
    janitor: Function, sandbox: Sandbox
) -> None:
    """The first event once more is the same run, which has ended; the second is warm."""
    fill(sandbox, never=6)
    event = scheduled()
    first = janitor.invoke(event, deadline_ms=120_000)
    assert first.value["summary"]["groups_deleted"] == EMPTY
    assert first.value["summary"]["retention_set"] == 6
    left = names(sandbox)
    assert len(left) == KEPT + 6
    assert {days for name, days in left.items() if name.startswith("/never/")} == {365}
    again = janitor.invoke(event, deadline_ms=120_000)
    assert again.value["run"]["id"] == first.value["run"]["id"]
    assert again.value["summary"] == first.value["summary"]
    second = janitor.invoke(scheduled(), deadline_ms=120_000)
    assert second.value["summary"]["groups_deleted"] == 0
    assert second.value["findings"] == []
    done = [line for line in metrics([first, again, second]) if "Complete" in line]
    assert [line["GroupsDeleted"] for line in done] == [[EMPTY], [0]]
    assert [line["trigger"] for line in done] == ["schedule", "schedule"]
    assert not [line for line in metrics([second]) if "ColdStart" in line]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b'{"dry_run": "false"}', "event: dry_run: 'false' is not a boolean"),
        (b'{"regions": ["moon-1"]}', "event: regions: 'moon-1' is not an AWS Region"),
        (b'{"apply": true}', "event: apply: unknown key"),
    ],
)
def test_a_bad_event_is_refused_in_one_line(
    janitor: Function, sandbox: Sandbox, payload: bytes, message: str
) -> None:
    """Nothing is done."""
    fill(sandbox, never=6)
    before = names(sandbox)
    answer = janitor.invoke(payload, deadline_ms=60_000)
    assert answer.error_type == "UsageError"
    assert (answer.error_message or "").startswith(message)
    assert names(sandbox) == before


def test_a_run_continues_by_itself_over_links_of_a_few_seconds(
    janitor: Function, sandbox: Sandbox
) -> None:
    """No link reaches its deadline, and the last reports the whole run."""
    never = 20
    fill(sandbox, never)
    event = scheduled()
    answers: list[Answer] = []
    while len(answers) < 20:
        # At five a second, the 20 puts take longer than the 3 s that this leaves for work.
        answers.append(janitor.invoke(event, deadline_ms=4_000))
        if not answers[-1].value["goes_on"]:
            break
        event = sandbox.world.invoked.pop()["payload"]
        assert not sandbox.world.invoked
    summary = answers[-1].value["summary"]
    assert len(answers) > 1
    assert summary["complete"] is True
    assert summary["groups_scanned"] == KEPT + never + EMPTY
    assert (summary["groups_deleted"], summary["retention_set"]) == (EMPTY, never)
    assert len(names(sandbox)) == KEPT + never
    assert len([line for line in metrics(answers) if "Complete" in line]) == 1
