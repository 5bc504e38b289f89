"""`report`, `run`, `plan` and `apply`: one run each, and what is told of it."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from janitor.aws.api import Api, Counts, ReadError
from janitor.aws.logs import Logs
from janitor.aws.pace import StoppedError
from janitor.core.errors import Exit, JanitorError, PlanError, UsageError
from janitor.core.model import LogGroup, Outcome, Status, Target, Verb
from janitor.core.text import size
from janitor.cost.ingestion import Measured, Talkers
from janitor.cost.money import PriceList, price_list
from janitor.engine import plan as plans
from janitor.engine.context import Source, WholeRegion
from janitor.engine.run import Run
from janitor.engine.summary import Summary
from janitor.journal.journal import Journal
from janitor.policy.file import SHIPPED
from janitor.report import Format, Report, make_report
from janitor.report.base import dollars, is_finding, log_outcome
from janitor.report.plan import PlanReport
from janitor.terminal.shared import (
    Options,
    ask_first,
    connect,
    in_account,
    interruptible,
    let_go_of_stdout,
    output,
    read_policy,
    run_info,
    say,
    say_gone,
)

log = structlog.get_logger("janitor")

WORTH_TELLING = 5
"""Seconds: a run that was shorter needs no explanation of what took so long."""


_P = ParamSpec("_P")


class Sink:
    """Hands outcomes to the report as they come, shows progress, and survives a closed pipe."""

    def __init__(
        self,
        report: Report,
        stop: threading.Event,
        *,
        everything: bool,
        talkers: Talkers | None = None,
    ) -> None:
        self.findings = 0
        self.broken = False
        self._report = report
        self._stop = stop
        self._everything = everything
        self._talkers = talkers
        self._tick: Callable[[int, int], None] = lambda _groups, _changes: None
        self._groups = 0
        self._changes = 0
        # Asked once: a large account has a million groups that are plainly kept.
        self._logs_kept = log.bind().is_enabled_for(logging.DEBUG)

    def progress(self, tick: Callable[[int, int], None]) -> None:
        """Call `tick(groups scanned, changes made)` whenever one of them grows."""
        self._tick = tick

    def scanned(self, page: Sequence[LogGroup]) -> None:
        """More log groups."""
        self._groups += len(page)
        self._tick(self._groups, self._changes)
        self.safely(self._report_page, page)
        if self._talkers is not None:
            for group in page:
                self._talkers.add(group)

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""
        finding = is_finding(outcome)
        if finding or self._logs_kept:
            log_outcome(outcome)
        if finding:
            self.findings += 1
            if outcome.status in (Status.DONE, Status.PLANNED):
                self._changes += 1
                self._tick(self._groups, self._changes)
        if finding or self._everything:
            self.safely(self._report.finding, outcome)
        else:
            self.safely(self._report.kept, outcome)

    def _report_page(self, page: Sequence[LogGroup]) -> None:
        for group in page:
            self._report.scanned(group)
            if (ingestion := group.ingestion) is not None:
                self._report.ingested(group, ingestion)

    def safely(self, write: Callable[_P, None], *args: _P.args, **named: _P.kwargs) -> None:
        """Write; where nobody reads any more, take no new work and write no more."""
        if self.broken:
            return
        try:
            write(*args, **named)
        except BrokenPipeError:
            self.broken = True
            self._stop.set()


def report(options: Options) -> Exit:
    """Scan and show; change nothing."""
    return _run(options, "report", dry_run=True)


def run(options: Options, *, apply: bool) -> Exit:
    """Scan, judge and act; a dry run unless `apply`."""
    return _run(options, "run", dry_run=not apply)


def plan(options: Options) -> Exit:
    """Write what would be done, as lines that `apply` takes."""
    if len(options.roles) > 1:
        raise UsageError("--role: a plan is of one account; make one for each role")
    return _run(options, "plan", dry_run=True)


def apply(options: Options, path: Path) -> Exit:
    """Do what a plan says, with each deletion proved again."""
    planned = plans.load(path)
    policy = read_policy(options)
    if planned.policy != policy.digest():
        raise PlanError(
            f"{path}: was made with another policy than {options.policy or SHIPPED}; "
            "give that one with -p/--policy, or make the plan again"
        )
    if options.regions:
        raise UsageError("-r/--region: a plan names its Regions itself")
    if len(options.roles) > 1:
        raise UsageError("--role: a plan is of one account; apply each with its own role")
    if not planned.regions:
        say(options, "the plan holds nothing to do")
    return _run(
        replace(options, regions=tuple(planned.regions)), "apply", dry_run=False, of=planned
    )


def _run(options: Options, command: str, *, dry_run: bool, of: plans.Plan | None = None) -> Exit:
    if options.format is Format.HTML and options.output is None and sys.stdout.isatty():
        raise UsageError("--format html: a terminal cannot show it; give -o FILE, or pipe it")
    stop, counts = threading.Event(), Counts()
    policy = read_policy(options)
    prices = price_list(policy.prices)
    run_id = uuid.uuid4().hex
    with in_account(options, changing=not dry_run) as account, output(options) as out:
        now = account.clock.now()
        journal = Journal(options.journal or Journal.default_path(now), run_id, policy.digest())
        if not dry_run:
            journal.check()
        apis = connect(account, options.regions, policy, counts, stop)
        if of is not None and apis[0].target.account != of.account:
            raise PlanError(
                f"{of.path}: is a plan for account {of.account}; "
                f"these credentials are of account {apis[0].target.account}"
            )
        if not dry_run:
            ask_first(options, apis, _asked(of))
        shown: Report = (
            PlanReport(out, now)
            if command == "plan"
            else make_report(
                options.format,
                out,
                everything=options.all_groups,
                prices=prices,
                explain=_explain_words(options),
            )
        )
        # All that a plan keeps has changed since, which is worth telling.
        everything = options.all_groups or of is not None
        talkers = Talkers(prices) if options.ingestion else None
        sink = Sink(shown, stop, everything=everything, talkers=talkers)
        info = run_info(options, command, policy, apis, now, run_id, dry_run=dry_run)
        sink.safely(shown.start, info)

        def source(target: Target) -> Source:
            groups = WholeRegion() if of is None else of.source(target)
            return groups if talkers is None else Measured(groups, talkers)

        if talkers is not None:
            say(options, f"ingestion: GetMetricData is billed, {_billed(apis, prices)}")

        engine = Run(apis, policy, sink, journal, stop, now, dry_run=dry_run, source=source)
        with interruptible(engine.summary, stop), _progress(options, sink):
            summary = engine.execute()
            told = None if talkers is None else talkers.as_dict(_subscribed(apis))
        for failure in talkers.failures if talkers else ():
            summary.warn(failure)
        summary_object = summary.as_dict(counts, prices)
        if told is not None:
            summary_object["ingestion"] = told
        journal.close()
        sink.safely(shown.finish, summary_object)
        sink.safely(out.flush)
    if sink.broken:
        summary.error("the output was closed before everything was written")
        let_go_of_stdout()
    _tell(options, summary, counts, journal, dry_run=dry_run)
    _tell_money(options, summary_object)
    if not dry_run:
        say_gone(options)
    code = summary.exit_code()
    if code is Exit.DONE and options.fail_on_findings and sink.findings:
        return Exit.FINDINGS
    return code


def _billed(apis: Sequence[Api], prices: PriceList) -> str:
    """What asking for a metric costs, where that is known."""
    regions = {api.target.region: prices.metrics(api.target.region) for api in apis}
    known = {price for price in regions.values() if price is not None}
    if not known or None in regions.values():
        return "at a price that is not known for every Region"
    return f"up to ${max(known) / 10**9:g} per 1,000 log groups"


def _subscribed(apis: Sequence[Api]) -> Callable[[LogGroup], bool | None]:
    """Tells whether something subscribes to a log group; None where that cannot be read."""
    by_target = {api.target: Logs(api) for api in apis}

    def subscribed(group: LogGroup) -> bool | None:
        try:
            return bool(by_target[group.target].filters(group, "subscription"))
        except (*ReadError, StoppedError, JanitorError):
            return None

    return subscribed


def _explain_words(options: Options) -> list[str]:
    """The options with which `explain` sees the account and the policy of this run."""
    words = ["--sandbox"] if options.sandbox else []
    if options.sandbox_state is not None:
        words = ["--sandbox-state", str(options.sandbox_state)]
    if options.profile is not None:
        words += ["--profile", options.profile]
    if options.policy is not None:
        words += ["--policy", str(options.policy)]
    return words


def _asked(of: plans.Plan | None) -> str:
    if of is None:
        return "Set retention and delete what the policy says"
    return (
        f"Carry out {of.count} planned actions ({of.deletions} log groups and {of.sweeps} "
        "log streams deleted)"
    )


@contextlib.contextmanager
def _progress(options: Options, sink: Sink) -> Iterator[None]:
    if options.quiet or not sys.stderr.isatty():
        yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn(
            "{task.fields[groups]:,} log groups scanned, {task.fields[changes]:,} to change"
        ),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False
    ) as bar:
        task = bar.add_task("janitor", total=None, groups=0, changes=0)
        sink.progress(lambda groups, changes: bar.update(task, groups=groups, changes=changes))
        yield


def _tell(
    options: Options, summary: Summary, counts: Counts, journal: Journal, *, dry_run: bool
) -> None:
    """The summary for people, on stderr."""
    changes = summary.planned if dry_run else summary.done
    verb = "would be" if dry_run else "were"
    say(
        options,
        f"{summary.groups_scanned:,} log groups scanned ({size(summary.stored_bytes)} stored): "
        f"{changes[Verb.SET_RETENTION]:,} retentions {verb} set, "
        f"{changes[Verb.DELETE_GROUP]:,} groups and {changes[Verb.SWEEP_STREAMS]:,} streams "
        f"{verb} deleted; {summary.by_status[Status.UNKNOWN]:,} unknown, "
        f"{summary.by_status[Status.FAILED]:,} failed, "
        f"{summary.by_status[Status.NOT_REACHED]:,} not reached",
    )
    if (pace := counts.slowest(1)) and pace[0]["seconds"] >= WORTH_TELLING:
        slowest = pace[0]
        throttled = sum(counts.throttled.values())
        say(
            options,
            f"the slowest quota: {slowest['calls']:,} calls of {slowest['operation']} at "
            f"{slowest['per_second']:g} a second take {slowest['seconds']:,.0f} s "
            f"({slowest['target']}); {throttled} of {sum(counts.calls.values()):,} calls throttled",
        )
    if journal.written:
        say(options, f"journal: {journal.path}")
    for warning in summary.warnings:
        say(options, f"janitor: warning: {warning}")
    for error in summary.errors:
        sys.stderr.write(f"janitor: error: {error}\n")
    if summary.refused_because:
        sys.stderr.write(f"janitor: refused: {summary.refused_because}\n")


def _tell_money(options: Options, summary: Mapping[str, Any]) -> None:
    """What it costs, for people, on stderr."""
    money = summary["money"]
    without = money["groups_without_price"]
    unpriced = f"; {without:,} log group{'' if without == 1 else 's'} without a known price"
    say(
        options,
        f"stored logs cost up to {dollars(money['storage_usd'])} a month; setting retention saves "
        f"{dollars(money['saved_at_once_usd'])} at once, "
        f"{dollars(money['saved_steady_usd'])} at steady state{unpriced * bool(without)}",
    )
    if (ingestion := summary.get("ingestion")) is not None:
        say(
            options,
            f"ingestion of {ingestion['days']} days: {size(ingestion['bytes'])} in "
            f"{ingestion['groups']:,} log groups, {dollars(ingestion['usd_a_month'])} a month; "
            f"{ingestion['unread']:,} could not be read; "
            f"asking cost {dollars(ingestion['metrics_usd'])}",
        )
