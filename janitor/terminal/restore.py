"""`restore`: the undo of journals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from janitor.aws.api import BOOKKEEPING_CONFIG, Counts
from janitor.aws.quotas import learn_quotas
from janitor.aws.regions import ALL, check_region
from janitor.aws.workers import Inline, Threads
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import CredentialsError, OutputError, UsageError
from janitor.core.exit_codes import Exit
from janitor.core.model import Restoration, Status
from janitor.core.text import counted, visible
from janitor.journal import archive
from janitor.journal.history import GroupHistory, History, lost_for_good, select
from janitor.journal.history import read as read_history
from janitor.journal.journal import FileJournal
from janitor.journal.restore import Undo, UndoTally
from janitor.policy.patterns import glob
from janitor.report import undo as undo_report
from janitor.report.base import Format, RunInfo
from janitor.terminal import consent
from janitor.terminal.account import Account, Reached, connect, in_account
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
from janitor.terminal.signals import handled, interruptible


def restore(
    options: Options, paths: tuple[str, ...], groups: tuple[str, ...], *, apply: bool
) -> Exit:
    """Show what undoing journals would change; with `apply`, change it.

    `paths` are files, `-` for stdin, `s3://bucket/key` or `s3://bucket/prefix/`. `groups` are globs
    that narrow the undo to log groups with matching names.
    """
    if options.format is Format.HTML:
        raise UsageError(
            "--format: an undo cannot be html; give table, json, jsonl, csv or markdown"
        )
    return asyncio.run(_restore(options, paths, groups, apply=apply))


async def _restore(
    options: Options, paths: tuple[str, ...], groups: tuple[str, ...], *, apply: bool
) -> Exit:
    stop, counts = Stop(), Counts()
    policy = read_policy(options)
    run_id = uuid.uuid4().hex
    with (
        in_account(options, changing=apply) as account,
        output(options, *map(Path, paths)) as out,
        contextlib.ExitStack() as ending,
    ):
        now = account.clock.now()
        journal = ending.enter_context(naming(new_journal(options, policy, now, run_id)))
        if account.sandbox is not None:
            _say_new_account(options)
        history = read_history([text async for text in _journals(account, paths)])
        _say_damage(options, history)
        if not history.lines:
            raise UsageError(
                f"{', '.join(paths)}: has no journal lines; `apply`, `run --apply`, "
                "`native --apply` and the deployed functions write journals"
            )
        for name in history.others:
            say(options, f"janitor: warning: {name}: has no journal lines")
        if apply:
            consent.check(options)
            journal.check()
        wanted = _wanted(options, groups)
        pasts = select(history.pasts, wanted)
        lost = lost_for_good(history, wanted)
        regions = tuple(dict.fromkeys(past.region for past in pasts)) or tuple(history.regions[:1])
        for region in regions:
            check_region(region, ", ".join(paths))
        ending.enter_context(interruptible(stop))
        reached = await connect(account, regions, policy, counts, stop, history.accounts)
        apis = reached.apis
        own = dict.fromkeys(api.target.account for api in apis)
        # If a role cannot be used, its account is not reached, and the others are restored.
        known = {*own, *reached.unusable}
        if foreign := [other for other in history.accounts if other not in known]:
            raise UsageError(
                f"{', '.join(paths)}: from account {', '.join(foreign)}; "
                f"these credentials are for account {', '.join(own)}"
            )
        for line in lost.split("\n"):
            say(options, line)

        def info(*, dry_run: bool) -> RunInfo:
            return run_info(options, "restore", policy, apis, now, run_id, dry_run=dry_run)

        items: list[Restoration] = []
        with contextlib.suppress(StoppedError):
            for api in apis:
                with contextlib.suppress(CredentialsError):  # the undo meets and reports it again
                    await learn_quotas(api, policy.limits.api_share)
        if apply and pasts:
            await _show_first(options, reached, pasts, stop, info(dry_run=False), counts)
        undo = Undo(apis, pasts, stop, items.append)
        tally = await (undo.carry_out(journal) if apply else undo.show())
        tally.interrupted = stop.cause == "interrupted"
        journal.close()
        for text in reached.unusable.values():
            tally.error(text)
        if history.complaints or history.others:
            tally.error("part of the journal could not be understood")
        summary = tally.as_dict(counts)
        broken: OSError | None = None
        try:
            undo_report.write(
                options.format,
                out,
                info(dry_run=not apply),
                items,
                summary,
                everything=options.all_groups,
            )
            out.flush()
        except OSError as error:
            broken = error
        _say_summary(options, tally, journal, lost, dry_run=not apply)
        if apply:
            say_discarded(options)
        code = tally.exit_code()
        if broken is not None:
            raise OutputError(broken, Exit.INCOMPLETE if code is Exit.DONE else code)
    return code


async def _show_first(
    options: Options,
    reached: Reached,
    pasts: list[GroupHistory],
    stop: Stop,
    info: RunInfo,
    counts: Counts,
) -> None:
    """Show everything that would be restored, because journals may be forged, and ask. Raises
    UsageError.
    """
    items: list[Restoration] = []
    tally = await Undo(reached.apis, pasts, stop, items.append).show()
    if not (options.quiet and options.yes):
        everything = options.all_groups or not options.yes
        summary = tally.as_dict(counts)
        undo_report.write(Format.TABLE, sys.stderr, info, items, summary, everything=everything)
    if tally.planned.total():
        what = f"Undo what was done to {_counted(tally.planned)}"
        with contextlib.suppress(StoppedError):
            scope = await stop.unless(consent.scope(reached))
            for line in scope.lines:
                sys.stderr.write(f"{visible(line)}\n")
            consent.ask(options, f"{what} in {scope.short}")


async def _journals(account: Account, paths: tuple[str, ...]) -> AsyncIterator[tuple[str, str]]:
    """Yield the journals as (name, text). Raises UsageError."""
    workers = Threads() if account.sandbox is None else Inline()
    for path in paths:
        if path.startswith(archive.SCHEME):
            client = account.session().client("s3", config=BOOKKEEPING_CONFIG)
            async for found in archive.journals(client, path, workers):
                yield found
            continue
        try:
            with handled(signal.default_int_handler):  # asyncio's own would wait for its end
                body = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
        yield ("stdin" if path == "-" else path), archive.text(body)


def _wanted(options: Options, groups: tuple[str, ...]) -> Callable[[GroupHistory], bool]:
    """Return a function that says whether `-r/--region` and `--group` select a log group."""
    globs = [glob(pattern) for pattern in groups]

    def wanted(past: GroupHistory) -> bool:
        region = not options.regions or {past.region, ALL} & {*options.regions}
        named = not groups or any(matches(past.group) for matches in globs)
        return bool(region and named)

    return wanted


def _counted(planned: Counter[str]) -> str:
    policies = planned["restore_account_policy"]
    groups = planned.total() - policies
    parts = [counted(groups, "log group")] if groups or not policies else []
    parts += [f"account-level policies: {policies:,}"] if policies else []
    return " and ".join(parts)


def _say_damage(options: Options, history: History) -> None:
    for complaint in history.complaints:
        say(options, f"janitor: warning: {complaint}")
    if history.torn:
        say(
            options,
            f"janitor: warning: the last line of {counted(history.torn, 'journal')} was cut off; a "
            "change that it would have announced was not made, one that it would have confirmed is "
            "checked",
        )


def _say_new_account(options: Options) -> None:
    """Say so if the account cannot be the one in which the journal was written."""
    if options.sandbox_state is None:
        say(
            options,
            "this demo account is new, and has none of the changes of other commands "
            "(--sandbox-state FOLDER keeps an account)",
        )


def _say_summary(
    options: Options, tally: UndoTally, journal: FileJournal, lost: str, *, dry_run: bool
) -> None:
    """Print the summary for people on stderr."""
    changes = tally.planned if dry_run else tally.done
    verb = "would be" if dry_run else "were"
    policies = changes["restore_account_policy"]
    policies_text = f"{policies:,} account-level policies {verb} put back; " if policies else ""
    say(
        options,
        f"{changes['restore_group']:,} log groups {verb} created again or completed, "
        f"retention {'would be' if dry_run else 'was'} put back on "
        f"{changes['restore_retention']:,}; {policies_text}"
        f"{tally.by_status[Status.KEPT]:,} left alone, "
        f"{tally.by_status[Status.UNKNOWN]:,} unknown, {tally.by_status[Status.FAILED]:,} failed, "
        f"{tally.by_status[Status.NOT_REACHED]:,} not reached",
    )
    if not dry_run:
        for line in lost.split("\n"):
            say(options, line)
    elif tally.needs:
        say(options, f"IAM actions that this needs: {', '.join(sorted(tally.needs))}")
    if journal.written:
        say(options, f"journal: {journal.path}")
    for error in tally.errors:
        complain(f"error: {error}")
