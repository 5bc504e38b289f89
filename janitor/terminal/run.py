"""`report`, `plan`, `apply` and `run`: a survey, and acting on it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import sys
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from janitor.aws.api import Api, Counts, ReadError
from janitor.aws.logs import Logs
from janitor.aws.regions import check_region
from janitor.aws.targets import ACCOUNT, check_value
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import JanitorError, OutputError, PlanError, UsageError
from janitor.core.exit_codes import Exit, exit_code
from janitor.core.model import (
    OWNER_GONE,
    Ingestion,
    LogGroup,
    Outcome,
    Status,
    Target,
    Verb,
    verb_of,
)
from janitor.core.tally import Tally
from janitor.core.text import counted
from janitor.cost.ingestion import DAYS, Talkers
from janitor.cost.money import Ledger, asking
from janitor.cost.prices import PriceList, price_list
from janitor.cost.shares import Shares, prefix_key, tag_key
from janitor.engine.act import Act, Part, as_async
from janitor.engine.admission import Admission
from janitor.engine.books import Books, Listener
from janitor.engine.measured import measured
from janitor.engine.plan import Head, PlanFile, action_line, end_line
from janitor.engine.survey import Listing, Survey, every_group
from janitor.engine.tagged import tagged
from janitor.owners.owners import OwnerCache
from janitor.policy.file import SHIPPED, Policy
from janitor.policy.lint import idle
from janitor.report.base import (
    Format,
    NullReport,
    Report,
    RunInfo,
    dollars,
    is_finding,
    unit,
)
from janitor.report.difference import Since
from janitor.report.difference import read as read_report
from janitor.report.formats import make_report
from janitor.report.overview import orphans_note
from janitor.report.summary import Summary, summarize
from janitor.terminal import consent
from janitor.terminal.account import Account, Reached, connect, in_account
from janitor.terminal.options import Options, read_policy, same_options
from janitor.terminal.output import naming, new_journal, output, run_info, say, say_discarded
from janitor.terminal.progress import progress
from janitor.terminal.signals import interruptible
from janitor.terminal.sink import ResultSink, logs_kept
from janitor.terminal.summary import count_carried_out, say_money, say_summary

PLACES = ("account", "ou", "region")
"""Values of `--by` whose parts can have failures even if no log group could be read."""
NOWHERE = "(no Region was reached)"

Pages = AsyncIterator[tuple[list[LogGroup], str | None]]


class _Surveyed(NullReport):
    """What a survey tells the report of the changes that follow it. Log groups are passed on. What
    is shown, and is not planned, is held until the changes begin: a refusal prints nothing.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self.unplanned: list[Outcome] = []
        self._arrived: dict[tuple[str, str, str, int], Ingestion] = {}

    def scanned(self, group: LogGroup) -> None:
        """Pass it on."""
        self.report.scanned(group)

    def ingested(self, group: LogGroup, ingestion: Ingestion) -> None:
        """Pass it on."""
        self.report.ingested(group, ingestion)

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """Pass them on."""
        self.report.kept(outcomes)

    def finding(self, outcome: Outcome) -> None:
        """Hold it, or what arrived in the log group that it plans to change."""
        if outcome.status is not Status.PLANNED:
            self.unplanned.append(outcome)
        elif (arrived := outcome.group.ingestion) is not None:
            self._arrived[outcome.group.identity] = arrived

    def measured(self, outcome: Outcome) -> Outcome:
        """Return the outcome of a change with what the survey knows to arrive in the log group."""
        arrived = self._arrived.pop(outcome.group.identity, None)
        if arrived is None:
            return outcome
        return outcome._replace(group=outcome.group._replace(ingestion=arrived))


def report(options: Options) -> Exit:
    """Survey and show; change nothing."""
    return asyncio.run(_report(options, "report"))


def run(options: Options, *, apply: bool) -> Exit:
    """Survey; with `apply`, show what would be done, ask, and do it."""
    return asyncio.run(_act_now(options) if apply else _report(options, "run"))


def plan(options: Options) -> Exit:
    """Survey, and write the plan for `apply`."""
    return asyncio.run(_plan(options))


def apply(options: Options, path: Path, *, dry_run: bool = False) -> Exit:
    """Carry out a plan, with each deletion proved again; with `dry_run`, only show it."""
    return asyncio.run(_apply(options, path, dry_run=dry_run))


@dataclass
class _Work:
    """The state of a command: where it works, its policy, and what it has counted so far."""

    options: Options
    command: str
    account: Account
    policy: Policy
    stop: Stop = field(default_factory=Stop)
    counts: Counts = field(default_factory=Counts)
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.now = self.account.clock.now()
        self.prices = price_list(self.policy.prices)
        self.ledger = Ledger(self.now)
        self.by = self.options.by or ("account" if self.options.several else None)
        self.shares = self._shares()
        since = self.options.since
        self.since = None if since is None else Since(read_report(since))
        self.untagged: dict[str, None] = {}
        self.refused = ""
        self.journal = new_journal(self.options, self.policy, self.now, self.run_id)
        self.apis: dict[Target, Api] = {}
        self.asks_orphans = self.options.orphans or OWNER_GONE in self.policy.questions
        self.reached = Reached([], {}, {}, [])
        self.owner_cache: OwnerCache | None = None

    def _shares(self) -> Shares | None:
        """Return the sums of `--by`. Raises UsageError on an invalid value."""
        by = self.by
        if by is None:
            return None
        if by in PLACES:
            if by == "ou" and not self.options.org:
                raise UsageError("--by ou: needs --org, which reads the organizational units")
            return Shares(by, lambda group: self.place(group.target), self.prices, math.inf)
        what, _, tag = by.partition(":")
        if what == "tag" and tag:
            return Shares(by, tag_key(tag), self.prices)
        if by == "prefix":
            return Shares(by, prefix_key, self.prices)
        if by == "rule":
            return Shares(by, self._rule, self.prices)
        raise UsageError(
            f"--by: {by!r} is not account, ou, region, tag:KEY (such as tag:team), prefix or rule"
        )

    def place(self, target: Target) -> str:
        """Return the part of `--by` that an account and Region belong to."""
        if self.by == "ou":
            member = self.reached.members.get(target.account)
            return unit(member.path if member else ())
        return target.region if self.by == "region" else target.account

    def _rule(self, group: LogGroup) -> str:
        settings = self.policy.settings_for(group)
        return "(tags not read)" if settings is None else settings.rule

    async def connect(self, regions: tuple[str, ...], only: Collection[str] = ()) -> None:
        """Enter all accounts and Regions, as `janitor.terminal.account.connect`."""
        self.reached = await connect(
            self.account, regions, self.policy, self.counts, self.stop, only
        )
        self.apis = {api.target: api for api in self.reached.apis}

    def info(self, *, dry_run: bool) -> RunInfo:
        """Return what outputs say of the run."""
        apis = list(self.apis.values())
        return run_info(
            self.options, self.command, self.policy, apis, self.now, self.run_id, dry_run=dry_run
        )

    def report(self, out: IO[str], form: Format) -> Report:
        """Return the report of a format."""
        return make_report(
            form,
            out,
            everything=self.options.all_groups,
            prices=self.prices,
            explain=same_options(self.options, places=form is not Format.HTML),
            color=not self.options.no_color,
            parts=self.options.by is not None,
            since=self.since,
            org=self.options.org,
            now=self.now,
        )

    def books(self, targets: Iterable[Target], listener: Listener) -> Books:
        """Return the books in which outcomes are counted."""
        return Books(
            targets, listener, lambda group: self.policy.acknowledged_until(group, self.now)
        )

    async def survey(self, books: Books, talkers: Talkers | None = None) -> None:
        """Read and judge log groups, and prove those to delete."""
        listing: Listing = every_group
        if talkers is not None:
            billed = _billed(self.apis.values(), self.prices)
            say(self.options, f"ingestion: GetMetricData is billed, {billed}")
            listing = measured(every_group, DAYS, talkers)
        if self.by is not None and self.by.startswith("tag:"):
            listing = tagged(listing, lambda why: self.untagged.setdefault(why))
        survey = Survey(
            self.policy,
            self.now,
            self.stop,
            books,
            listing=listing,
            orphans=self.options.orphans,
            briefly=not (self.options.all_groups or self.options.orphans or logs_kept()),
        )
        await survey.run(self.apis, dict.fromkeys(self.apis))
        self.owner_cache = survey.owner_cache
        self.refused = books.over_limit(self.policy.limits)

    async def act(self, books: Books, plan: PlanFile) -> None:
        """Carry out a plan."""
        refusals = books.refusals(self.policy.limits)
        parts = {
            target: Part(as_async(plan.of(target)), refused=refusals[target])
            for target in plan.totals
            if target in self.apis
        }
        act = Act(
            self.policy,
            plan.head.made,
            self.stop,
            self.journal,
            books,
            Admission(self.account.clock),
            owner_cache=self.owner_cache,
            from_earlier_run=plan.head.run != self.run_id,
        )
        await act.run(self.apis, parts)
        for target, totals in plan.totals.items():
            books.not_reached(target, totals.actions)

    def _by(
        self, books: Books, refused_in: Collection[Target], *, ingestion: bool
    ) -> Mapping[str, Any] | None:
        """Return the sums of `--by`, with what failed where."""
        if self.shares is None:
            return None
        failed: dict[str, list[Tally]] = defaultdict(list)
        for target, tally in books.tallies.items():
            failed[self.place(target)].append(tally)
        for account, why in self.reached.unusable.items():
            failed[self.place(Target(account, NOWHERE))].append(Tally(errors=[why]))
        for account, why in books.verdict(self.policy.limits).accounts.items():
            refused = Tally(errors=[f"account {account}: {why}"])
            for target in books.tallies:
                if target.account == account:
                    failed[self.place(target)].append(refused)
        for part, tallies in failed.items() if self.by in PLACES else ():
            self.shares.failed(part, Tally.together(tallies))
        names = self.reached.names if self.by == "account" else {}
        return self.shares.as_dict(names, refused_in, ingestion=ingestion)

    async def summary(
        self,
        books: Books,
        talkers: Talkers | None = None,
        carried_out: Mapping[str, int] | None = None,
    ) -> Summary:
        """Return the summary of the run."""
        ingestion = None
        refusals = books.refusals(self.policy.limits) if carried_out is None else {}
        refused_in = [target for target, why in refusals.items() if why]
        if talkers is not None:
            subscribed = await _subscribed(self.apis, talkers.largest())
            ingestion = talkers.as_dict(subscribed)
        total = books.total
        for failure in (*(talkers.failures if talkers else ()), *self.untagged):
            total.warn(failure)
        for entry in self.policy.expired(self.now):
            total.warn(f"{entry}; review it, then set a new date or remove the entry")
        if why := idle(self.policy):
            total.warn(f"{self.options.policy}: {why}")
        for warning in self.reached.warnings:
            total.warn(warning)
        for caveat in self.since.caveats(self.info(dry_run=True)) if self.since else ():
            total.warn(f"--since: {caveat}")
        for failure in self.reached.unusable.values():
            total.error(failure)
        summary = summarize(
            total,
            self.ledger.as_dict(self.prices),
            self.counts.calls,
            self.counts.throttled,
            self.counts.slowest(),
            would=books.would(refusals) if carried_out is None else None,
            refused_in=refused_in,
            refused_because=self.refused,
            interrupted=self.stop.cause == "interrupted",
            ingestion=ingestion,
            carried_out=carried_out,
            by=self._by(books, refused_in, ingestion=talkers is not None),
            asked=asking(self.counts.owner_calls, self.counts.metrics, self.prices),
            orphans=self.ledger.orphans(self.prices) if self.asks_orphans else None,
        )
        if self.since is None:
            return summary
        return replace(summary, since=self.since.as_dict(summary))

    def end(self, sink: ResultSink, summary: Summary, *, acted: bool) -> Exit:
        """Print the summary, and return the exit code. Raises OutputError if the output failed."""
        self.journal.close()
        surveyed = self.command != "apply"
        say_summary(self.options, summary, self.journal, acted=acted, surveyed=surveyed)
        say_money(self.options, summary, surveyed=surveyed)
        if self.asks_orphans:
            say(self.options, f"orphans: {orphans_note(summary)}")
        elif self.policy.questions and (asked := summary.asked) is not None:
            cost = dollars(asked["metrics_usd"])
            say(
                self.options,
                f"arrivals read for rules: {counted(asked['metrics'], 'metric')}, {cost}",
            )
        if acted:
            say_discarded(self.options)
        code = summary.exit_code
        if sink.broken is not None:
            worse = code not in (Exit.DONE, Exit.UNJUDGED)
            raise OutputError(sink.broken, code if worse else Exit.INCOMPLETE)
        if code is Exit.DONE and self.options.fail_on_findings and sink.findings:
            return Exit.FINDINGS
        return code


@contextlib.contextmanager
def _working(options: Options, command: str, *, changing: bool = False) -> Iterator[_Work]:
    """Yield a command's state. Raises on mistakes in options, policy, sandbox or journal, before
    anything is called.
    """
    if options.format is Format.HTML and options.output is None and sys.stdout.isatty():
        raise UsageError("--format html: a terminal cannot show it; give -o FILE, or pipe it")
    if options.format is Format.CSV and options.by is not None and options.since is not None:
        raise UsageError("--by, --since: a CSV file holds rows of one kind; give one of them")
    policy = read_policy(options)
    if options.orphans and not policy.protect.deletion.owners:
        raise UsageError("--orphans: the policy checks no owners ([protect.deletion] owners)")
    with in_account(options, changing=changing) as account:
        work = _Work(options, command, account, policy)
        if changing:
            work.journal.check()
        with naming(work.journal), interruptible(work.stop):
            yield work


async def _report(options: Options, command: str) -> Exit:
    with _working(options, command) as work, output(options) as out:
        await work.connect(options.regions)
        talkers = Talkers(work.prices) if options.ingestion else None
        report = work.report(out, options.format)
        sink = ResultSink(
            report,
            work.stop,
            everything=options.all_groups,
            talkers=talkers,
            orphans=options.orphans,
        )
        sink.safely(report.start, work.info(dry_run=True))
        books = work.books(work.apis, _counting(work, sink))
        with progress(options, sink):
            await work.survey(books, talkers)
        summary = await work.summary(books, talkers)
        sink.safely(report.finish, summary)
        sink.safely(out.flush)
        return work.end(sink, summary, acted=False)


def _counting(
    work: _Work, sink: ResultSink, also: Callable[[Outcome], None] = lambda _outcome: None
) -> Listener:
    """Return a listener that counts what a survey finds and passes it to the sink, and what is not
    kept to `also`.
    """

    def listen(groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        work.ledger.scanned(groups)
        sink.read(groups)
        if (shares := work.shares) is not None:
            for group in groups:
                shares.scanned(group)
            for outcome in outcomes:
                shares.add(outcome)
        found = [outcome for outcome in outcomes if is_finding(outcome)]
        for outcome in found:
            work.ledger.add(outcome)
            if work.since is not None:
                work.since.add(outcome)
        sink.outcomes(outcomes)
        for outcome in found:
            also(outcome)

    return listen


async def _plan(options: Options) -> Exit:
    with _working(options, "plan") as work, output(options) as out:
        await work.connect(options.regions)
        sink = ResultSink(NullReport(), work.stop, everything=False)
        books = await _write_plan(work, sink, out)
        summary = await work.summary(books)
        return work.end(sink, summary, acted=False)


async def _write_plan(
    work: _Work, sink: ResultSink, out: IO[str], talkers: Talkers | None = None
) -> Books:
    """Survey, and write the plan."""

    def write(text: str) -> None:
        out.write(f"{text}\n")

    head = Head(run=work.run_id, made=work.now, policy=work.policy.digest())
    sink.safely(write, head.model_dump_json())

    def planned(outcome: Outcome) -> None:
        if (line := action_line(outcome)) is not None:
            sink.safely(write, line.model_dump_json())

    books = work.books(work.apis, _counting(work, sink, planned))
    with progress(work.options, sink):
        await work.survey(books, talkers)
    for target, tally in books.tallies.items():
        sink.safely(write, end_line(target, tally).model_dump_json())
    sink.safely(out.flush)
    return books


async def _act_now(options: Options) -> Exit:
    """Survey, show, ask, act."""
    consent.check(options)
    with _working(options, "run", changing=True) as work, output(options) as out:
        await work.connect(options.regions)
        with tempfile.TemporaryDirectory(prefix="janitor-") as folder:
            path = Path(folder) / "plan.jsonl"
            talkers = Talkers(work.prices) if options.ingestion else None
            surveyed = _Surveyed(work.report(out, options.format))
            sink = ResultSink(surveyed, work.stop, everything=options.all_groups, talkers=talkers)
            with path.open("w", encoding="utf-8") as file:
                books = await _write_plan(work, sink, file, talkers)
            if sink.broken is not None:
                raise UsageError(f"{path}: {sink.broken.strerror}; nothing was done")
            return await _ask_and_act(work, books, PlanFile(path), out, surveyed, talkers)


async def _ask_and_act(
    work: _Work,
    books: Books,
    plan: PlanFile,
    out: IO[str],
    surveyed: _Surveyed,
    talkers: Talkers | None = None,
) -> Exit:
    """Show a plan, ask, and act on it."""
    listing = _listing(work, books, plan)
    if listing.planned:
        with contextlib.suppress(StoppedError):
            scope = await work.stop.unless(consent.scope(work.reached))
            lines = itertools.chain(listing.lines(), _caveats(work, books))
            await consent.confirm(work.options, scope, lines)
    return await _act(work, books, plan, listing.planned, out, surveyed, talkers)


def _listing(work: _Work, books: Books, plan: PlanFile) -> consent.Listing:
    refusals = books.refusals(work.policy.limits)
    return consent.Listing(plan, work.prices, refusals, work.apis)


def _caveats(work: _Work, books: Books) -> Iterator[str]:
    """Yield what a person should know about a plan besides what it does."""
    verdict, names = books.verdict(work.policy.limits), work.reached.names
    refused = {"Refused": verdict.anywhere} if verdict.anywhere else {}
    if not refused:
        for account, why in verdict.accounts.items():
            named = " ".join(filter(None, (account, names.get(account))))
            refused[f"Refused in account {named}"] = why
        for target, why in books.unsurveyed():
            if why and target in work.apis and target.account not in verdict.accounts:
                refused[f"Refused in {target}"] = why
    for what, why in refused.items():
        yield f"{what}: {why}; retention is still set."
    for error in (*work.reached.unusable.values(), *books.total.errors):
        yield f"Error: {error}"
    if unknown := books.total.by_status[Status.UNKNOWN]:
        yield f"Not judged, so kept: {counted(unknown, 'log group')}."


async def _act(
    work: _Work,
    books: Books,
    plan: PlanFile,
    planned: Counter[Verb],
    out: IO[str],
    surveyed: _Surveyed,
    talkers: Talkers | None,
) -> Exit:
    """Act on a plan, and report what the survey left out of it and the outcomes."""
    report = surveyed.report
    # Whatever is kept now has changed since the plan, so it is always shown.
    sink = ResultSink(report, work.stop, everything=True)
    sink.safely(report.start, work.info(dry_run=False))
    sink.outcomes(surveyed.unplanned)
    sink.safely(out.flush)
    work.ledger.forget_changes()
    if work.shares is not None:
        work.shares.forget_changes()
    before, done = Counter(books.total.by_status), Counter[Verb]()

    def listen(_groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        outcomes = list(map(surveyed.measured, outcomes))
        for outcome in outcomes:
            done[verb_of(outcome.action)] += outcome.status is Status.DONE
            work.ledger.add(outcome)
            if work.shares is not None:
                work.shares.add(outcome)
        sink.outcomes(outcomes)
        sink.safely(out.flush)  # so that a full disk ends the changes now, not thousands later

    books.listener = listen
    with progress(work.options, sink):
        await work.act(books, plan)
    statuses = Counter(books.total.by_status)
    statuses.subtract(before)
    carried_out = count_carried_out(planned, done, statuses)
    summary = await work.summary(books, talkers, carried_out)
    sink.safely(report.finish, summary)
    sink.safely(out.flush)
    return work.end(sink, summary, acted=True)


async def _apply(options: Options, path: Path, *, dry_run: bool) -> Exit:
    if options.regions:
        raise UsageError("-r/--region: a plan names its Regions itself")
    if str(path) == "-":
        raise PlanError("a plan is read more than once, so it cannot come from stdin: give a file")
    plan = PlanFile(path)
    for target in plan.totals:
        check_region(target.region, f"{path}: region")
        check_value(f"{path}: account", target.account, "an account (12 digits)", ACCOUNT)
    if not dry_run:
        consent.check(options)
    with _working(options, "apply", changing=not dry_run) as work, output(options, path) as out:
        if plan.head.policy != work.policy.digest():
            raise PlanError(
                f"{path}: was made with another policy than {options.policy or SHIPPED}; "
                "give that one with -p/--policy, or make the plan again"
            )
        if plan.head.made > work.now:
            raise PlanError(f"{path}: was made in the future; make the plan again")
        accounts = {target.account for target in plan.totals}
        await work.connect(tuple(dict.fromkeys(t.region for t in plan.totals)), accounts)
        missing = [target for target in plan.totals if target not in work.apis]
        unusable = work.reached.unusable
        if foreign := [target for target in missing if target.account not in unusable]:
            own = ", ".join(dict.fromkeys(target.account for target in work.apis))
            raise PlanError(
                f"{path}: is a plan for {foreign[0]}; these credentials are for account {own}"
            )
        books = work.books(plan.totals, lambda _groups, _outcomes: None)
        for target, totals in plan.totals.items():
            tally = books.tallies[target]
            tally.planned.update(totals.planned)
            if not totals.complete or target in missing:
                books.unfinished.add(target)
        await _count_groups(work, books)
        work.refused = books.over_limit(work.policy.limits)
        if dry_run:
            listing = _listing(work, books, plan)
            for line in itertools.chain(listing.lines(), _caveats(work, books)):
                out.write(f"{line}\n")
            return exit_code(
                interrupted=False, refused=bool(work.refused), incomplete=bool(missing)
            )
        surveyed = _Surveyed(work.report(out, options.format))
        return await _ask_and_act(work, books, plan, out, surveyed)


async def _count_groups(work: _Work, books: Books) -> None:
    """Count log groups for the limits on shares, because a plan's own count is not trusted.

    It reads only as many as it takes to know that the limits hold, in each account and over all.
    Nothing is deleted in a target that cannot be read.
    """
    limits = work.policy.limits
    # Nothing is deleted in an unfinished target, which may be unreadable.
    pages = {
        target: Logs(work.apis[target]).groups()
        for target in books.tallies
        if target not in books.unfinished
    }
    by_account: dict[str, list[Target]] = defaultdict(list)
    for target in books.tallies:
        by_account[target.account].append(target)
    try:
        for targets in by_account.values():
            await _count_up_to(books, targets, limits.max_group_deletion_share, pages)
        share_of_all = limits.over_all().max_group_deletion_share
        await _count_up_to(books, list(books.tallies), share_of_all, pages)
    except StoppedError:
        return


async def _count_up_to(
    books: Books, targets: Sequence[Target], share: float, pages: Mapping[Target, Pages]
) -> None:
    """Read pages until the targets' deletions are within that share of the count, or to the end.
    Raises StoppedError.
    """
    tallies = [books.tallies[target] for target in targets]
    deletions = sum(tally.planned[Verb.DELETE_GROUP] for tally in tallies)
    needed = math.ceil(deletions / share) if share else 0
    for target in targets:
        if target not in pages:
            continue
        while sum(tally.scanned for tally in tallies) < needed:
            try:
                page, _ = await anext(pages[target])
            except StopAsyncIteration:
                break
            except ReadError as error:
                books.failed(target, f"{target}: the log groups could not be counted: {error}")
                break
            books.tallies[target].scanned += len(page)


def _billed(apis: Iterable[Api], prices: PriceList) -> str:
    """Return the price of GetMetricData, if it is known."""
    regions = {api.target.region: prices.metrics(api.target.region) for api in apis}
    known = {price for price in regions.values() if price is not None}
    if not known or None in regions.values():
        return "at a price that is not known for every Region"
    return f"up to ${max(known) / 10**9:g} per 1,000 log groups"


async def _subscribed(
    apis: Mapping[Target, Api], groups: Sequence[LogGroup]
) -> Callable[[LogGroup], bool | None]:
    """Return a function that says whether something subscribes to one of the groups; None if that
    could not be read.
    """
    known: dict[tuple[str, str, str, int], bool | None] = {}
    for group in groups:
        known[group.identity] = None
        with contextlib.suppress(*ReadError, StoppedError, JanitorError):
            found = await Logs(apis[group.target]).filters(group, "subscription")
            known[group.identity] = bool(found)
    return lambda group: known.get(group.identity)
