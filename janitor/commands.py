"""What the commands do, apart from how they are typed (`janitor.cli`)."""

from __future__ import annotations

import contextlib
import fnmatch
import io
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, ParamSpec

import structlog
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from janitor import __version__, archive, targets
from janitor import explain as explaining
from janitor import plan as plans
from janitor import policy as policies
from janitor.act import Commit
from janitor.aws import Api, Counts, ReadError
from janitor.clock import SystemClock
from janitor.context import Source, WholeRegion
from janitor.errors import Exit, JanitorError, PlanError, UsageError
from janitor.escape import visible
from janitor.explain import Explanation
from janitor.history import History, Past, lost_for_good, select
from janitor.history import read as read_history
from janitor.ingestion import Measured, Talkers
from janitor.journal import Journal
from janitor.judge import size
from janitor.logs import Logs
from janitor.model import LogGroup, Outcome, Status, Target, Verb
from janitor.money import PriceList, price_list
from janitor.pace import StoppedError
from janitor.policy import SHIPPED, Policy
from janitor.quotas import learn_quotas
from janitor.report import Format, Report, RunInfo, make_report
from janitor.report import undo as undo_report
from janitor.report.base import dollars, is_finding, log_outcome
from janitor.report.plan import PlanReport
from janitor.restore import Item, Tally, Undo
from janitor.run import Run
from janitor.summary import Summary

log = structlog.get_logger("janitor")

WORTH_TELLING = 5
"""Seconds: a run that was shorter needs no explanation of what took so long."""


_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Options:
    """What the terminal was told, whatever the command."""

    profile: str | None = None
    roles: tuple[str, ...] = ()
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
    ingestion: bool = False


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

    def scanned(self, group: LogGroup) -> None:
        """One more log group."""
        self._groups += 1
        self._tick(self._groups, self._changes)
        self.safely(self._report.scanned, group)
        if self._talkers is not None:
            self._talkers.add(group)
        if (ingestion := group.ingestion) is not None:
            self.safely(self._report.ingested, group, ingestion)

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
            self.safely(self._report.finding, outcome)
        else:
            self.safely(self._report.kept, outcome)

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
    policy = _policy(options)
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
        _say(options, "the plan holds nothing to do")
    return _run(
        replace(options, regions=tuple(planned.regions)), "apply", dry_run=False, of=planned
    )


def _run(options: Options, command: str, *, dry_run: bool, of: plans.Plan | None = None) -> Exit:
    if options.format is Format.HTML and options.output is None and sys.stdout.isatty():
        raise UsageError("--format html: a terminal cannot show it; give -o FILE, or pipe it")
    clock, stop, counts = SystemClock(), threading.Event(), Counts()
    policy = _policy(options)
    prices = price_list(policy.prices)
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
            _ask_first(options, apis, _asked(of))
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
        info = _info(options, command, policy, apis, now, run_id, dry_run=dry_run)
        sink.safely(shown.start, info)

        def source(target: Target) -> Source:
            groups = WholeRegion() if of is None else of.source(target)
            return groups if talkers is None else Measured(groups, talkers)

        if talkers is not None:
            _say(options, f"ingestion: GetMetricData is billed, {_billed(apis, prices)}")

        engine = Run(apis, policy, sink, journal, stop, now, dry_run=dry_run, source=source)
        with _interruptible(engine.summary, stop), _progress(options, sink):
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
        _let_go_of_stdout()
    _tell(options, summary, counts, journal, dry_run=dry_run)
    _tell_money(options, summary_object)
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
            return bool(by_target[group.target].subscription_filters(group.name))
        except (*ReadError, StoppedError, JanitorError):
            return None

    return subscribed


def restore(
    options: Options, paths: tuple[str, ...], groups: tuple[str, ...], *, apply: bool
) -> Exit:
    """Show what undoing journals would change; with `apply` change it.

    `paths` are files, `-` for stdin, `s3://bucket/key` or `s3://bucket/prefix/`; `groups` are
    patterns of names to keep to, all if there are none.
    """
    if options.format is Format.HTML:
        raise UsageError("--format: html is not for an undo; table, json, jsonl, csv, markdown are")
    clock, stop, counts = SystemClock(), threading.Event(), Counts()
    policy = _policy(options)
    now, run_id = clock.now(), uuid.uuid4().hex
    journal = Journal(options.journal or Journal.default_path(now), run_id, policy.digest())
    if apply:
        journal.check()
    if options.sandbox:
        _warn_of_a_new_sandbox(options)
    for region in options.regions:
        if region != targets.ALL:
            targets.check_region(region, "-r/--region")
    with _account(options), _output(options) as out:
        history = read_history(_journals(options, paths))
        _complain(options, history)
        if not history.lines:
            raise UsageError(f"{', '.join(paths)}: no line is a journal's")
        wanted = _wanted(options, groups)
        pasts = select(history.pasts, wanted)
        lost = lost_for_good(history, wanted)
        regions = tuple(dict.fromkeys(past.region for past in pasts)) or tuple(history.regions[:1])
        apis = _connect(replace(options, regions=regions), policy, clock, counts, stop)
        account = apis[0].target.account
        if history.accounts != [account]:
            raise UsageError(
                f"{', '.join(paths)}: of account {', '.join(history.accounts)}; "
                f"these credentials are of account {account}"
            )
        _say(options, lost)
        if apply and pasts:
            what = f"Undo what was done to {len(pasts)} log groups"
            _ask_first(options, apis, what)
        items: list[Item] = []
        commit = Commit(journal, dry_run=not apply)
        for api in apis:
            learn_quotas(api, policy)
        engine = Undo(apis, pasts, commit, journal, stop, items.append)
        with _interruptible(engine.tally, stop):
            tally = engine.execute()
        journal.close()
        if history.complaints:
            tally.error("not all of the journal was understood")
        summary = tally.as_dict(counts)
        info = _info(options, "restore", policy, apis, now, run_id, dry_run=not apply)
        try:
            undo_report.write(
                options.format, out, info, items, summary, everything=options.all_groups
            )
            out.flush()
        except BrokenPipeError:
            tally.error("the output was closed before everything was written")
            _let_go_of_stdout()
    _tell_undo(options, tally, journal, lost, dry_run=not apply)
    return tally.exit_code()


def _warn_of_a_new_sandbox(options: Options) -> None:
    from janitor.sandbox import running

    if not running():
        _say(
            options,
            "the demo account is made anew in each process: what another one changed is not in "
            "it (`make demo` shows an undo)",
        )


def _journals(options: Options, paths: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The journals named on the command line, as (name, text). Raises UsageError."""
    for path in paths:
        if path.startswith(archive.SCHEME):
            profile = None if options.sandbox else options.profile
            yield from archive.journals(targets.session(profile).client("s3"), path)
            continue
        try:
            text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: is not a journal: not UTF-8 text") from error
        yield ("stdin" if path == "-" else path), text


def _wanted(options: Options, groups: tuple[str, ...]) -> Callable[[Past], bool]:
    """Whether a log group is within `-r/--region` and `--group`."""

    def wanted(past: Past) -> bool:
        region = not options.regions or {past.region, targets.ALL} & {*options.regions}
        named = not groups or any(fnmatch.fnmatchcase(past.group, glob) for glob in groups)
        return bool(region and named)

    return wanted


def _complain(options: Options, history: History) -> None:
    for complaint in history.complaints:
        _say(options, f"janitor: warning: {complaint}")
    if history.torn:
        _say(
            options,
            f"janitor: warning: {history.torn} lines of the journal were cut off; what they were "
            "to announce was not begun, and what they were to confirm is looked at",
        )


def _tell_undo(
    options: Options, tally: Tally, journal: Journal, lost: str, *, dry_run: bool
) -> None:
    """The summary of an undo for people, on stderr."""
    changes = tally.planned if dry_run else tally.done
    verb = "would be" if dry_run else "were"
    _say(
        options,
        f"{changes['restore_group']:,} log groups {verb} made again or completed, "
        f"{changes['restore_retention']:,} retentions {verb} put back; "
        f"{tally.by_status[Status.KEPT]:,} left as they are, "
        f"{tally.by_status[Status.UNKNOWN]:,} unknown, {tally.by_status[Status.FAILED]:,} failed, "
        f"{tally.by_status[Status.NOT_REACHED]:,} not reached",
    )
    if not dry_run:
        _say(options, lost)
    if journal.written:
        _say(options, f"journal: {journal.path}")
    for error in tally.errors:
        sys.stderr.write(f"janitor: error: {error}\n")


def explain(options: Options, name: str) -> Exit:
    """Each rule and each piece of evidence for one log group, wherever there is one of that name.

    `--format json` prints `{"run": {...}, "groups": [...]}` (`Explanation.as_dict`).
    """
    if options.format not in (Format.TABLE, Format.JSON):
        raise UsageError(f"--format: explain prints table or json, not {options.format}")
    explaining.checked_name(name)
    clock, stop, counts, summary = SystemClock(), threading.Event(), Counts(), Summary()
    policy = _policy(options)
    now = clock.now()
    with _account(options), _output(options) as out, _interruptible(summary, stop):
        apis = _connect(options, policy, clock, counts, stop)
        try:
            told = _explanations(apis, name, policy, now, stop, summary)
        except StoppedError:
            return Exit.INTERRUPTED
        if options.format is Format.JSON:
            info = _info(options, "explain", policy, apis, now, uuid.uuid4().hex, dry_run=True)
            prices = price_list(policy.prices)
            groups = [explanation.as_dict(prices) for explanation in told]
            out.write(json.dumps({"run": info.as_dict(), "groups": groups}, indent=2) + "\n")
        else:
            out.write("\n".join(explaining.text(explanation) for explanation in told))
    for error in summary.errors:
        sys.stderr.write(f"janitor: error: {visible(error)}\n")
    return max([summary.exit_code(), *(explanation.exit_code for explanation in told)])


def _explanations(
    apis: list[Api],
    name: str,
    policy: Policy,
    now: int,
    stop: threading.Event,
    summary: Summary,
) -> list[Explanation]:
    """One for each target that has the group. Raises UsageError where none has."""
    told: list[Explanation] = []
    for api in apis:
        try:
            found = explaining.find(api, name)
        except ReadError as error:
            summary.error(f"{api.target}: could not be looked into: {error}")
            continue
        if found is not None:
            told.append(explaining.explain(api, *found, policy, now, stop))
    if not told:
        raise UsageError("\n".join([*summary.errors, *_nowhere(apis, name)]))
    return told


def _nowhere(apis: list[Api], name: str) -> Iterator[str]:
    """That no group has the name, which have one like it, and among how many that was looked for.

    A Region that cannot be read was told of already, and holds no name to propose.
    """
    yield f"no log group is named {name!r} in {', '.join(str(api.target) for api in apis)}"
    looks, read = explaining.Looks.like(name), 0
    for api in apis:
        with contextlib.suppress(*ReadError):
            names = looks.names(api)
            read += len(names)
            if near := explaining.nearest(name, names):
                yield f"nearest in {api.target}:"
                yield from (f"  {other}" for other in near)
    yield f"looked among {read} names that {looks}"
    yield f"(in each Region at most {explaining.PAGES_A_LOOK} pages of each kind)"


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
    roles = () if options.sandbox else options.roles
    paced = not options.sandbox
    return targets.each_account(
        targets.session(profile),
        roles,
        lambda aws: targets.connect(aws, wanted, policy, clock, counts, stop, paced=paced),
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
        account=", ".join(dict.fromkeys(api.target.account for api in apis)),
        regions=list(dict.fromkeys(api.target.region for api in apis)),
        policy=str(options.policy or SHIPPED),
        policy_sha256=policy.digest(),
        dry_run=dry_run,
    )


def _explain_words(options: Options) -> list[str]:
    """The options with which `explain` sees the account and the policy of this run."""
    words = ["--sandbox"] if options.sandbox else []
    if options.profile is not None:
        words += ["--profile", options.profile]
    if options.policy is not None:
        words += ["--policy", str(options.policy)]
    return words


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


def _asked(of: plans.Plan | None) -> str:
    if of is None:
        return "Set retention and delete what the policy says"
    return (
        f"Carry out {of.count} planned actions ({of.deletions} log groups and {of.sweeps} "
        "log streams deleted)"
    )


def _ask_first(options: Options, apis: list[Api], what: str) -> None:
    if options.yes or options.sandbox or not sys.stdin.isatty():
        return
    places = ", ".join(str(api.target) for api in apis)
    sys.stderr.write(f"{what} in {places}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed; nothing was done")


@contextlib.contextmanager
def _interruptible(summary: Summary | Tally, stop: threading.Event) -> Iterator[None]:
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


def _tell_money(options: Options, summary: Mapping[str, Any]) -> None:
    """What it costs, for people, on stderr."""
    money = summary["money"]
    without = money["groups_without_price"]
    unpriced = f"; {without:,} log group{'' if without == 1 else 's'} without a known price"
    _say(
        options,
        f"stored logs cost up to {dollars(money['storage_usd'])} a month; setting retention saves "
        f"{dollars(money['saved_at_once_usd'])} at once, "
        f"{dollars(money['saved_steady_usd'])} at steady state{unpriced * bool(without)}",
    )
    if (ingestion := summary.get("ingestion")) is not None:
        _say(
            options,
            f"ingestion of {ingestion['days']} days: {size(ingestion['bytes'])} in "
            f"{ingestion['groups']:,} log groups, {dollars(ingestion['usd_a_month'])} a month; "
            f"{ingestion['unread']:,} could not be read; "
            f"asking cost {dollars(ingestion['metrics_usd'])}",
        )


def _let_go_of_stdout() -> None:
    """Keep Python from writing to the closed pipe again at its exit."""
    with contextlib.suppress(OSError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
