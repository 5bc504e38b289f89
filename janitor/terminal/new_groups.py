"""`janitor sandbox new-groups`: what the deployed function does about log groups just made."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from janitor.aws.api import Counts
from janitor.aws.targets import Means
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.errors import Exit
from janitor.core.model import Target
from janitor.engine.new_groups import Born, give_retention
from janitor.function.hints import hinted
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import NewGroups, Policy, load
from janitor.sandbox import births, demo
from janitor.sandbox.account import Sandbox
from janitor.terminal.shared import SandboxClock

COPIED = ["team", "cost-centre"]


def new_groups() -> int:
    """Run it; give the exit code: 0, or 3 where a log group could not be done with."""
    shipped = load(None)
    policy = shipped.model_copy(update={"new_groups": NewGroups(tags=COPIED)})
    sandbox = demo.sandbox(demo.account(), demo.NOW)
    events = births.make(sandbox)
    _say(f"{_at(sandbox)}: in account {demo.ACCOUNT}, {births.REGION}, log groups are created:")
    for name in births.MADE:
        _say(f"  {name}")
    _say("The event for the first; only its name, account and Region are used:")
    _say(f"  {json.dumps(events[0])}")
    births.pass_time(sandbox)
    _say(f"{_at(sandbox)}: the queue delivers the messages; meanwhile one creator has set 30 days.")
    folder = Path(tempfile.mkdtemp(prefix="janitor-new-groups-"))
    journal = FileJournal(folder / "journal.jsonl", Lines("sandbox", policy.digest()))
    told = [hinted(json.dumps(event), demo.ACCOUNT, demo.REGIONS) for event in events]
    names = [name for _, name in told]
    try:
        born = asyncio.run(_born(sandbox, policy, names, journal))
    finally:
        journal.close()
    for name in names:
        one = born.outcomes[name]
        _say(f"  {name}: {one.status.value}: {born.failures.get(name, one.reason)}")
        if tags := born.tags.get(name):
            _say(f"    tags copied from the function that it belongs to: {', '.join(tags)}")
    _say(f"The journal, for `janitor restore`: {journal.path}")
    return Exit.INCOMPLETE if born.failures else Exit.DONE


async def _born(sandbox: Sandbox, policy: Policy, names: list[str], journal: FileJournal) -> Born:
    means = Means(SandboxClock(sandbox), Counts(), Stop(), Inline(), None)
    api = means.api(sandbox.session(), Target(demo.ACCOUNT, births.REGION))
    return await give_retention(api, names, policy, journal)


def _at(sandbox: Sandbox) -> str:
    return datetime.fromtimestamp(sandbox.clock.now() / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
