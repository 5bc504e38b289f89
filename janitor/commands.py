"""What the commands do, apart from how they are typed (`janitor.cli`)."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from janitor import __version__, targets
from janitor import plan as plans
from janitor import policy as policies
from janitor.act import with_tags
from janitor.aws import Api, Counts, ReadError
from janitor.clock import SystemClock
from janitor.errors import Exit, PlanError, UsageError
from janitor.journal import Journal
from janitor.judge import age, deletion_lines, exemption, judge, size
from janitor.logs import Logs
from janitor.model import (
    Action,
    LogGroup,
    Outcome,
    Status,
    Target,
    Verb,
    verb_of,
)
from janitor.policy import SHIPPED, Policy
from janitor.report import Format, Report, RunInfo, make_report
from janitor.report.base import is_finding, log_outcome
from janitor.report.plan import PlanReport
from janitor.resume import ScanProgress
from janitor.run import Run, Source, WholeRegion
from janitor.summary import Summary
from janitor.tags import read_tags

log = structlog.get_logger("janitor")

WORTH_TELLING = 5
"""Seconds: a run that was shorter needs no explanation of what took so long."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the terminal was told, whatever the command."""

    profile: str | None = None
    regions: tuple[str, ...] = ()
    policy: Path | None = None
    sandbox: bool = False
    format: Format = Format.TABLE
    output: Path | None = None
    api_share: float | None = None
    quiet: bool = False
    verbose: bool = False
    yes: bool = False
    fail_on_findings: bool = False
    all_groups: bool = False
    journal: Path | None = None


class Sink:
    """Hands outcomes to the report as they come, shows progress, and survives a closed pipe."""

    def __init__(self, report: Report, stop: threading.Event, *, everything: bool) -> None:
        self.findings = 0
        self.broken = False
        self._report = report
        self._stop = stop
        self._everything = everything
        self._tick: Callable[[int, int], None] = lambda _groups, _changes: None
        self._groups = 0
        self._changes = 0
        # Asked once: a large account has a million groups that are plainly kept.
        self._logs_kept = log.bind().is_enabled_for(logging.DEBUG)

    def progress(self, tick: Callable[[int, int], None]) -> None:
        """Call `tick(groups scanned, changes made)` whenever one of them grows."""
        self._tick = tick

    def scanned(self, group: LogGroup) -> None:
        """One more log group."""
        self._groups += 1
        self._tick(self._groups, self._changes)
        self.safely(lambda: self._report.scanned(group))

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome."""
        finding = is_finding(outcome)
        if finding or self._logs_kept:
            log_outcome(outcome)
        if outcome.status in (Status.DONE, Status.PLANNED):
            self._changes += 1
            self._tick(self._groups, self._changes)
        if finding:
            self.findings += 1
        if finding or self._everything:
            self.safely(lambda: self._report.finding(outcome))
        else:
            self.safely(lambda: self._report.kept(outcome))

    def safely(self, write: Callable[[], None]) -> None:
        """Write; where nobody reads any more, take no new work and write no more."""
        if self.broken:
            return
        try:
            write()
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
    return _run(options, "plan", dry_run=True)


def apply(options: Options, path: Path) -> Exit:
    """Do what a plan says, with each deletion proved again."""
    planned = plans.load(path)
    policy = _policy(options)
    if planned.policy != policy.digest():
        raise PlanError(
            f"{path}: was made with another policy than {options.policy or SHIPPED}; "
            "give that one with -p/--policy, or make the plan again"
        )
    if options.regions:
        raise UsageError("-r/--region: a plan names its Regions itself")
    if not planned.regions:
        _say(options, "the plan holds nothing to do")
    return _run(
        replace(options, regions=tuple(planned.regions)), "apply", dry_run=False, of=planned
    )


def _run(options: Options, command: str, *, dry_run: bool, of: plans.Plan | None = None) -> Exit:
    if options.format is Format.HTML:
        raise UsageError(
            "--format: html is not available yet; accepted: table, json, jsonl, csv, markdown"
        )
    clock, stop, counts = SystemClock(), threading.Event(), Counts()
    policy = _policy(options)
    now = clock.now()
    run_id = uuid.uuid4().hex
    journal = Journal(options.journal or Journal.default_path(now), run_id, policy.digest())
    if not dry_run:
        journal.check()
    with _account(options), _output(options) as out:
        apis = _connect(options, policy, clock, counts, stop)
        if of is not None and apis[0].target.account != of.account:
            raise PlanError(
                f"{of.path}: is a plan for account {of.account}; "
                f"these credentials are of account {apis[0].target.account}"
            )
        if not dry_run:
            _ask_first(options, apis, of)
        shown: Report = (
            PlanReport(out, now)
            if command == "plan"
            else make_report(options.format, out, everything=options.all_groups)
        )
        # All that a plan keeps has changed since, which is worth telling.
        sink = Sink(shown, stop, everything=options.all_groups or of is not None)
        info = _info(options, command, policy, apis, now, run_id, dry_run=dry_run)
        sink.safely(lambda: shown.start(info))

        def source(target: Target) -> Source:
            return WholeRegion() if of is None else of.source(target)

        engine = Run(apis, policy, sink, journal, stop, now, dry_run=dry_run, source=source)
        with _interruptible(engine.summary, stop), _progress(options, sink):
            summary = engine.execute()
        summary_object = summary.as_dict(counts)
        journal.close()
        sink.safely(lambda: shown.finish(summary_object))
        sink.safely(out.flush)
    if sink.broken:
        summary.error("the output was closed before everything was written")
        _let_go_of_stdout()
    _tell(options, summary, counts, journal, dry_run=dry_run)
    code = summary.exit_code()
    if code is Exit.DONE and options.fail_on_findings and sink.findings:
        return Exit.FINDINGS
    return code


def explain(options: Options, name: str) -> Exit:
    """Each rule and each piece of evidence for one log group."""
    clock, stop, counts = SystemClock(), threading.Event(), Counts()
    policy = _policy(options)
    now = clock.now()
    with _account(options), _output(options) as out:
        apis = _connect(options, policy, clock, counts, stop)
        found = 0
        worst = Exit.DONE
        for api in apis:
            try:
                group = Logs(api).group(name)
            except ReadError as error:
                raise UsageError(f"{api.target}: {error}") from error
            if group is not None:
                found += 1
                worst = max(worst, _explain(api, group, policy, now, stop, out))
        if not found:
            places = ", ".join(str(api.target) for api in apis)
            raise UsageError(f"no log group is named {name!r} in {places}")
    return worst


class _One:
    """A source of one log group."""

    def __init__(self, group: LogGroup) -> None:
        self._group = group

    def pages(self, logs: Logs, progress: ScanProgress) -> Iterator[list[LogGroup]]:  # noqa: ARG002
        yield [self._group]

    def allowed(self, group: LogGroup, action: Action) -> Action:  # noqa: ARG002
        return action

    def scanned(self, groups: int) -> int:  # noqa: ARG002
        return sys.maxsize


class _Collector:
    """Keeps outcomes for `explain`."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def scanned(self, group: LogGroup) -> None:
        pass


def _explain(
    api: Api, group: LogGroup, policy: Policy, now: int, stop: threading.Event, out: IO[str]
) -> Exit:
    try:
        group = with_tags(group, read_tags(api, [group.arn])[group.arn])
    except ReadError as error:
        group = with_tags(group, None, str(error))

    def line(text: str = "") -> None:
        out.write(text + "\n")

    retention = "never" if group.retention_days is None else f"{group.retention_days} days"
    by = f" (account-level policy {group.retention_policy!r})" if group.retention_policy else ""
    line(f"{group.name}  in {group.target}")
    line(f"  created      {_moment(group.creation_time)}, {age(now - group.creation_time)} ago")
    line(f"  stored       {size(group.stored_bytes)}, class {group.log_class}")
    line(f"  retention    {retention}{by}")
    tags = group.tags_error or ", ".join(f"{k}={v}" for k, v in (group.tags or {}).items())
    line(f"  tags         {tags or 'none'}")
    line("rules, the first that matches decides")
    settings = None
    for tried, miss in policy.trials(group):
        line(f"  {tried.rule:<12} {'matches' if miss is None else miss}")
        settings = tried if miss is None else None
    line("protection")
    line(f"  {exemption(group, policy) or 'no name, tag or ownership of the janitor protects it'}")
    if settings is not None and not group.defects:
        line("may it be deleted? (every line must hold)")
        for rule in deletion_lines(group, policy, settings, now):
            line(f"  {rule.number} {'yes' if rule.holds else 'NO '} {rule.text}")
    collector = _Collector()
    engine = Run(
        [api],
        policy,
        collector,
        Journal(Path(os.devnull), "explain", ""),
        stop,
        now,
        dry_run=True,
        source=lambda _target: _One(group),
    )
    with _interruptible(engine.summary, stop):
        summary = engine.execute()
    evidence = [piece for outcome in collector.outcomes for piece in outcome.evidence]
    if evidence:
        line("evidence")
    for piece in evidence:
        line(f"  {piece.source}: {piece.finding} (read {_moment(piece.at)})")
    line("so")
    verdict = judge(group, policy, now)
    for outcome in collector.outcomes or ():
        line(f"  {outcome.status}: {verb_of(outcome.action)}: {outcome.reason}")
    if not collector.outcomes:
        line(f"  {verb_of(verdict)}: {verdict.reason}")
    return summary.exit_code()


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


# ---- set-up ----------------------------------------------------------------------------------


def _policy(options: Options) -> Policy:
    policy = policies.load(options.policy)
    own = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    if options.api_share is not None:
        limits = policy.limits.model_copy(update={"api_share": options.api_share})
        policy = policy.model_copy(update={"limits": limits})
    return policy.with_own_groups(own) if own else policy


@contextlib.contextmanager
def _account(options: Options) -> Iterator[None]:
    if not options.sandbox:
        yield
        return
    from janitor.sandbox import sandbox

    with sandbox():
        yield


def _connect(
    options: Options, policy: Policy, clock: SystemClock, counts: Counts, stop: threading.Event
) -> list[Api]:
    wanted = options.regions
    if options.sandbox and not wanted:
        from janitor.sandbox import REGIONS

        wanted = tuple(REGIONS)
    profile = None if options.sandbox else options.profile
    return targets.connect(
        targets.session(profile), wanted, policy, clock, counts, stop, paced=not options.sandbox
    )


def _info(
    options: Options,
    command: str,
    policy: Policy,
    apis: list[Api],
    now: int,
    run_id: str,
    *,
    dry_run: bool,
) -> RunInfo:
    return RunInfo(
        id=run_id,
        command=command,
        version=__version__,
        started=datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="seconds"),
        account=apis[0].target.account,
        regions=[api.target.region for api in apis],
        policy=str(options.policy or SHIPPED),
        policy_sha256=policy.digest(),
        dry_run=dry_run,
    )


@contextlib.contextmanager
def _output(options: Options) -> Iterator[IO[str]]:
    """Stdout, or a file that takes its name only once it is whole."""
    path = options.output
    if path is None:
        yield sys.stdout
        return
    try:
        if path.exists() and not path.is_file():
            with path.open("w", encoding="utf-8") as device:
                yield device
            return
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
    except OSError as error:
        raise UsageError(f"-o/--output: {path}: {error.strerror}") from error
    part = Path(name)
    try:
        with part.open("w", encoding="utf-8") as file:
            yield file
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _ask_first(options: Options, apis: list[Api], of: plans.Plan | None) -> None:
    if options.yes or options.sandbox or not sys.stdin.isatty():
        return
    places = ", ".join(str(api.target) for api in apis)
    what = (
        "Set retention and delete what the policy says"
        if of is None
        else f"Carry out {of.count} planned actions ({of.deletions} log groups and {of.sweeps} "
        "log streams deleted)"
    )
    sys.stderr.write(f"{what} in {places}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed; nothing was done")


@contextlib.contextmanager
def _interruptible(summary: Summary, stop: threading.Event) -> Iterator[None]:
    """Ctrl-C takes no new work and finishes what is in flight; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupted(_signal: int, _frame: FrameType | None) -> None:
        if stop.is_set() and summary.interrupted:
            raise KeyboardInterrupt
        summary.interrupted = True
        stop.set()
        sys.stderr.write("\njanitor: interrupted: finishing what is in flight\n")

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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


# ---- words for people ------------------------------------------------------------------------


def _say(options: Options, text: str) -> None:
    if not options.quiet:
        sys.stderr.write(text + "\n")


def _tell(
    options: Options, summary: Summary, counts: Counts, journal: Journal, *, dry_run: bool
) -> None:
    """The summary for people, on stderr."""
    changes = summary.planned if dry_run else summary.done
    verb = "would be" if dry_run else "were"
    _say(
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
        _say(
            options,
            f"the slowest quota: {slowest['calls']:,} calls of {slowest['operation']} at "
            f"{slowest['per_second']:g} a second take {slowest['seconds']:,.0f} s "
            f"({slowest['target']}); {throttled} of {sum(counts.calls.values()):,} calls throttled",
        )
    if journal.written:
        _say(options, f"journal: {journal.path}")
    for warning in summary.warnings:
        _say(options, f"janitor: warning: {warning}")
    for error in summary.errors:
        sys.stderr.write(f"janitor: error: {error}\n")
    if summary.refused_because:
        sys.stderr.write(f"janitor: refused: {summary.refused_because}\n")


def _let_go_of_stdout() -> None:
    """Keep Python from writing to the closed pipe again at its exit."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
