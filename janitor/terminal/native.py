"""`native`: rules for name prefixes as account-level retention policies of AWS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from typing import IO

from janitor.aws.api import Counts
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import OutputError
from janitor.core.exit_codes import Exit, exit_code
from janitor.core.model import Status
from janitor.core.text import visible
from janitor.engine.native import Natives
from janitor.report import native as native_report
from janitor.report.base import Format, RunInfo, check_table_or_json
from janitor.report.summary import doing
from janitor.terminal import consent
from janitor.terminal.account import connect, in_account
from janitor.terminal.options import Options, read_policy
from janitor.terminal.output import (
    complain,
    naming,
    new_journal,
    output,
    run_info,
    say,
    say_discarded,
)
from janitor.terminal.signals import interruptible


def native(options: Options, *, apply: bool, ignore_protect: bool) -> Exit:
    """Show what would be done with the janitor's account-level policies; with `apply`, do it."""
    check_table_or_json("native", options.format)
    return asyncio.run(_native(options, apply=apply, ignore_protect=ignore_protect))


async def _native(options: Options, *, apply: bool, ignore_protect: bool) -> Exit:
    stop, policy = Stop(), read_policy(options)
    run_id = uuid.uuid4().hex
    if apply:
        consent.check(options)
    with (
        in_account(options, changing=apply) as account,
        output(options) as out,
        naming(new_journal(options, policy, account.clock.now(), run_id)) as journal,
        interruptible(stop),
    ):
        now = account.clock.now()
        if apply:
            journal.check()
        reached = await connect(account, options.regions, policy, Counts(), stop)
        apis = reached.apis
        natives = Natives(apis, policy, stop, ignore_protect=ignore_protect)
        natives.errors += reached.unusable.values()
        await natives.survey()
        planned = [item for item in natives.items if item.status is Status.PLANNED]
        if apply and planned:
            with contextlib.suppress(StoppedError):
                scope = await stop.unless(consent.scope(reached))
                await consent.confirm(options, scope, native_report.lines(natives.items))
                await natives.act(journal)
        journal.close()
        info = run_info(options, "native", policy, apis, now, run_id, dry_run=not apply)
        broken: OSError | None = None
        try:
            _write(options, out, info, natives)
        except OSError as error:
            broken = error
        if journal.written:
            say(options, f"journal: {journal.path}")
        if apply:
            say_discarded(options)
    for text in natives.errors:
        complain(f"error: {text}")
    if broken is not None:
        raise OutputError(broken)
    return exit_code(
        interrupted=stop.cause == "interrupted",
        incomplete=not native_report.summary(natives.items, natives.errors)["complete"],
        findings=options.fail_on_findings and bool(planned),
    )


def _write(options: Options, out: IO[str], info: RunInfo, natives: Natives) -> None:
    if options.format is Format.JSON:
        rows = [native_report.row(item) for item in natives.items]
        summary = native_report.summary(natives.items, natives.errors)
        report = {"run": info.as_dict(), "findings": rows, "summary": summary}
        out.write(json.dumps(report) + "\n")
    else:
        changed = any(item.status is Status.DONE for item in natives.items)
        out.write(f"native: {doing(dry_run=info.dry_run, changed=changed)}\n")
        for line in native_report.lines(natives.items):
            out.write(f"{visible(line)}\n")
    out.flush()
