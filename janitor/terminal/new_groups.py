"""`janitor sandbox new-groups`: what the deployed function does about new log groups."""

from __future__ import annotations

import asyncio
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from janitor.aws.api import Counts
from janitor.aws.targets import Means
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.exit_codes import Exit
from janitor.core.model import Target
from janitor.engine.new_groups import NewGroupsResult, give_retention
from janitor.function.new_group_events import parse_hint
from janitor.journal.journal import FileJournal, Lines
from janitor.policy.file import NewGroups, Policy, load
from janitor.sandbox import births, demo
from janitor.sandbox.account import Sandbox
from janitor.terminal.account import SandboxClock
from janitor.terminal.output import show

COPIED = ["team", "cost-centre"]


def new_groups() -> int:
    """Run the demo, and return 0, or 3 if a log group failed."""
    shipped = load(None)
    policy = shipped.model_copy(update={"new_groups": NewGroups(tags=COPIED)})
    sandbox = demo.sandbox(demo.account(), demo.NOW)
    events = births.make(sandbox)
    show(f"{_at(sandbox)}: in account {demo.ACCOUNT}, {births.REGION}, log groups are created:")
    for name in births.MADE:
        show(f"  {name}")
    show("The event for the first; only its name, account and Region are used:")
    show(f"  {json.dumps(events[0])}")
    births.pass_time(sandbox)
    show(f"{_at(sandbox)}: the queue delivers the messages; meanwhile one creator has set 30 days.")
    folder = Path(tempfile.mkdtemp(prefix="janitor-new-groups-"))
    journal = FileJournal(folder / "journal.jsonl", Lines("sandbox", policy.digest()))
    hints = [parse_hint(json.dumps(event), demo.ACCOUNT, demo.REGIONS) for event in events]
    names = [name for _, name in hints]
    try:
        born = asyncio.run(_born(sandbox, policy, names, journal))
    finally:
        journal.close()
    for name in names:
        outcome = born.outcomes[name]
        show(f"  {name}: {outcome.status.value}: {born.failures.get(name, outcome.reason)}")
        if tags := born.tags.get(name):
            show(f"    tags copied from the function that it belongs to: {', '.join(tags)}")
    show(f"The journal, for `janitor restore`: {journal.path}")
    return Exit.INCOMPLETE if born.failures else Exit.DONE


async def _born(
    sandbox: Sandbox, policy: Policy, names: list[str], journal: FileJournal
) -> NewGroupsResult:
    means = Means(SandboxClock(sandbox), Counts(), Stop(), Inline(), None)
    api = means.api(sandbox.session(), Target(demo.ACCOUNT, births.REGION))
    return await give_retention(api, names, policy, journal)


def _at(sandbox: Sandbox) -> str:
    return datetime.fromtimestamp(sandbox.clock.now() / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
