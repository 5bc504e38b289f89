"""The program's loaders, each with valid input to damage and the errors that it documents.

After loading, a trial continues as far as the program does before it changes anything.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import tomli_w

from janitor.aws.api import Counts
from janitor.core.clock import DAY_MS, Stop
from janitor.core.errors import JanitorError, PlanError, PolicyError
from janitor.core.model import LogGroup, Restoration, Target
from janitor.core.tally import Tally
from janitor.engine.plan import Head, PlanFile, action_line, end_line
from janitor.journal import archive
from janitor.journal.history import lost_for_good, read, select
from janitor.journal.journal import FileJournal, Lines
from janitor.journal.restore import Undo
from janitor.policy.file import load, parse
from janitor.policy.judge import judge
from janitor.sandbox.store import Object
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, Group, api, days_ago, janitor, look, stream
from tests.function.deployed import BUCKET, SCHEDULED, Deployed, cut
from tests.fuzz import damage

Load = Callable[[bytes], None]
"""Loads an input and continues with it; raises what the loader raises."""
Make = Callable[[Random], bytes]
"""Returns a damaged input."""
Loader = Callable[[Path], tuple[Make, Load]]
"""Sets up a loader in an empty folder."""

FURNISHED: dict[str, Any] = {
    "kms": "arn:aws:kms:eu-west-1:123456789012:key/k",
    "tags": {"team": "media"},
    "data_protection": '{"Name": "emails"}',
    "index": '{"Fields": ["requestId"]}',
    "transformer": [{"parseJSON": {}}],
}
FULL = """
[defaults]
retention_days = 365
proof = "events"
[protect]
names = ["*aws-controltower*", "re:^/x/[0-9]+$"]
tags = ["janitor:keep", "env=prod"]
[protect.deletion]
owners = ["lambda"]
tags = ["a=b*"]
[limits]
max_group_deletions = 5
[[rules]]
id = "a"
names = ["/old*", "re:/k.*"]
regions = ["eu-*"]
classes = ["STANDARD"]
retention_days = 30
delete_empty = true
[[rules]]
id = "b"
tags = ["team=media"]
max_days = 90
"""
QUICK = """
[defaults]
retention_days = 365
delete_empty = true
sweep_streams = true
[protect.deletion]
owners = false
"""
"""A policy without owners, which take long to check."""


def account() -> Cloud:
    """Return log groups to delete, to give retention and to sweep."""
    streams = [stream(f"2020/01/0{n}/[1]a", days_ago(800)) for n in range(1, 4)]
    return Cloud(
        [
            Group("/old", days_ago(800), 0, 30, **deepcopy(FURNISHED)),
            Group("/new", days_ago(3), 5),
            Group("/aws/lambda/f", days_ago(900), 5, 30, streams=streams),
            *(Group(f"/kept/{n}", days_ago(900), 5, 30) for n in range(4)),
        ]
    )


def encoded(text: str) -> bytes:
    """Encode a text as UTF-8, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def policy(folder: Path) -> tuple[Make, Load]:
    """The policy file, and judging by it."""
    seeds = [load(None).model_dump(mode="json", exclude_none=True), tomllib.loads(FULL)]
    path = folder / "policy.toml"
    groups = [
        LogGroup(Target(ACCOUNT, REGION), name, "arn", NOW - 900 * DAY_MS, stored, days, tags=tags)
        for name, stored, days in (("/old", 0, 30), ("/kept", 5, None), ("/aws/lambda/f", 5, 3653))
        for tags in (None, {}, {"team": "media"})
    ]

    def make(dice: Random) -> bytes:
        seed = dice.choice(seeds)
        text = tomli_w.dumps(seed)
        with suppress(TypeError, ValueError, AttributeError):  # TOML has no null
            text = tomli_w.dumps(damage.value(dice, seed))
        return encoded(damage.text(dice, text) if dice.random() < 0.4 else text)

    def loaded(body: bytes) -> None:
        path.write_bytes(body)
        found = load(path)
        assert found.digest()
        for group in groups:
            judge(group, found, NOW)

    return make, loaded


def plan(folder: Path) -> tuple[Make, Load]:
    """The plan that `apply` takes."""
    _, recorded = look(account(), parse(QUICK, ""))
    end = end_line(Target(ACCOUNT, REGION), Tally(scanned=7))
    lines = [Head(run="r", made=NOW, policy="p"), *map(action_line, recorded.planned), end]
    seed = "".join(f"{line.model_dump_json()}\n" for line in lines if line is not None)
    path = folder / "plan.jsonl"

    def loaded(body: bytes) -> None:
        path.write_bytes(body)
        found = PlanFile(path)
        for place in found.totals:
            for planned in found.of(place):
                assert planned.actions

    return lambda dice: encoded(damage.lines(dice, seed)), loaded


def journal(folder: Path) -> tuple[Make, Load]:
    """The journal that `restore` takes, and what it would restore. It documents no error, because a
    damaged line is reported and skipped.
    """
    cloud, path = account(), folder / "journal.jsonl"
    written = FileJournal(path, Lines("run", "policy"))
    janitor(cloud, parse(QUICK, ""), written)
    written.close()
    seed = path.read_text()

    def loaded(body: bytes) -> None:
        history = read([("journal", archive.text(body))])
        lost_for_good(history, lambda _past: True)
        items, stop = list[Restoration](), Stop()
        undo = Undo([api(cloud, stop)], select(history.pasts, bool), stop, items.append)
        json.dumps(cloud.clock.run(undo.show()).as_dict(Counts()))
        assert not undo.tally.errors

    return lambda dice: encoded(damage.lines(dice, seed)), loaded


def event(_folder: Path) -> tuple[Make, Load]:
    """The event that the function takes, as Lambda hands it over."""
    function = Deployed(Cloud([]))
    seeds = [
        *(SCHEDULED, {}, {"dry_run": True}, {"dry_run": False, "regions": [REGION]}),
        {"run": SCHEDULED["id"], "link": 1},
    ]
    function.invoke(SCHEDULED)

    def make(dice: Random) -> bytes:
        text = json.dumps(damage.value(dice, dice.choice(seeds)))
        return encoded(damage.text(dice, text) if dice.random() < 0.2 else text)

    def loaded(body: bytes) -> None:
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return  # Lambda refuses payloads that are not JSON
        function.invoke(payload)

    return make, loaded


def state(folder: Path) -> tuple[Make, Load]:
    """The state and the plan of a run, from which the next link continues."""
    path = folder / "policy.toml"
    path.write_text(QUICK)
    environment = {"JANITOR_POLICY_FILE": str(path)}
    first = Deployed(cloud := account(), environment)
    cut(cloud, 8)
    first.invoke(SCHEDULED)
    next_event = first.next_event()
    objects = {key: body for key, body in first.objects.items() if key.startswith("runs/")}
    assert next_event is not None
    assert len(objects) == 2

    def make(dice: Random) -> bytes:
        key = dice.choice([*objects])
        return f"{key} ".encode() + encoded(damage.lines(dice, objects[key]))

    def loaded(body: bytes) -> None:
        key, _, damaged = body.partition(b" ")
        function = Deployed(account(), environment)
        bucket = function.cloud.store.buckets[BUCKET]
        for name, text in objects.items():
            content = damaged if name == key.decode() else text.encode()
            bucket.objects[name] = Object(content, NOW, '"etag"', "text/plain")
        function.invoke(next_event)

    return make, loaded


LOADERS: dict[str, tuple[Loader, type[JanitorError] | tuple[()]]] = {
    "policy": (policy, PolicyError),
    "plan": (plan, PlanError),
    "journal": (journal, ()),
    "event": (event, JanitorError),
    "state": (state, JanitorError),
}
"""Each loader with the errors that it documents."""
