"""What a person agrees to: everything that a plan deletes, loses for good and saves; and asking."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from janitor.aws.api import Api
from janitor.aws.targets import alias
from janitor.core.errors import InterruptionError, UsageError
from janitor.core.loss import loss, lost_bytes
from janitor.core.model import Target, Verb
from janitor.core.text import counted, sentence, size, visible
from janitor.cost.money import total_usd
from janitor.cost.prices import Key, PriceList
from janitor.engine.plan import ActionLine, PlanFile
from janitor.report.base import dollars
from janitor.terminal.account import Reached
from janitor.terminal.options import Options
from janitor.terminal.signals import handled


@dataclass
class _Retention:
    """The log groups to which one rule gives the same retention; lost bytes by their price."""

    groups: int = 0
    lost: Counter[Key] = field(default_factory=Counter)


class Listing:
    """A plan for people: every deletion on a line of its own, retention by rule and days."""

    def __init__(
        self,
        plan: PlanFile,
        prices: PriceList,
        refusals: Mapping[Target, str],
        reached: Container[Target],
    ) -> None:
        """`refusals` says why nothing is deleted in a target; such deletions are not listed, and
        nothing is of targets that are not `reached`.
        """
        self.planned: Counter[Verb] = Counter()
        """Lines of the plan by verb; they count log groups, even of a sweep."""
        self._prices = prices
        self._several = len({target.account for target in plan.totals}) > 1
        self._deletions: dict[str, list[str]] = defaultdict(list)
        self._sweeps: dict[str, list[str]] = defaultdict(list)
        self._streams: Counter[str] = Counter()
        self._retention: dict[tuple[str, int], _Retention] = defaultdict(_Retention)
        for target in plan.totals:
            refused = bool(refusals.get(target))
            for planned in plan.of(target):
                for line in planned.actions:
                    self.planned[Verb(line.action)] += 1
                    if target in reached and not (refused and line.action == "sweep_streams"):
                        self._add(line, plan.head.made, refused=refused)

    def _add(self, line: ActionLine, now: int, *, refused: bool) -> None:
        rule = line.facts.rule
        place = f"{line.region}  {visible(line.group)}"
        place = f"{line.account}  {place}" if self._several else place
        if line.action == "delete_group" and not refused:
            self._deletions[rule].append(f"  {place}")
        elif line.action == "sweep_streams":
            self._sweeps[rule].append(f"  {place}: {line.streams or 0:,}")
            self._streams[rule] += line.streams or 0
        elif line.retention_after is not None:
            given = self._retention[rule, line.retention_after]
            age, stored = now - line.creation_time, line.facts.stored_bytes
            lost = lost_bytes(stored, age, line.retention_before, line.retention_after)
            given.groups += 1
            if lost:
                given.lost[line.region, line.facts.log_class] += lost

    def lines(self) -> Iterator[str]:
        """Yield the lines; deletions are never cut short."""
        for rule, places in self._deletions.items():
            groups = counted(len(places), "log group")
            yield f"{groups} to delete, proved empty (rule {rule!r}):"
            yield from places
        for rule, places in self._sweeps.items():
            groups = counted(len(places), "log group")
            streams = counted(self._streams[rule], "expired log stream")
            yield f"{streams} to delete in {groups} that stay (rule {rule!r}):"
            yield from places
        if self._retention:
            yield "Retention to set:"
            yield "  log groups   days  deletes for good       saves  rule"
        for (rule, days), given in self._retention.items():
            lost = size(given.lost.total())
            saves = dollars(total_usd(given.lost, self._prices.storage))
            yield f"  {given.groups:>10,}  {days:>5}  {lost:>16}  {saves:>10}  {rule}"
        lost_by = sum((given.lost for given in self._retention.values()), Counter[Key]())
        yield sentence(loss(lost_by.total(), dry_run=True))
        total = total_usd(lost_by, self._prices.storage)
        if total is None:
            yield "What that saves is unknown: there is no price for these log groups."
        else:
            yield f"Saves about {dollars(total)} a month, once CloudWatch has removed those events."


async def confirm(options: Options, scope: Scope, lines: Iterable[str]) -> None:
    """Show on stderr all that would be done, and ask. Raises as `ask`."""
    if not (options.quiet and options.yes):
        for line in (f"To be done in {scope.short}:", *scope.lines, *lines):
            sys.stderr.write(f"{visible(line)}\n")
    ask(options, f"Do all of this in {scope.short}")


def can_ask() -> bool:
    """Return whether a person sees the question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def check(options: Options) -> None:
    """Raise UsageError if consent is needed and nobody can be asked."""
    if not options.yes and not can_ask():
        raise UsageError("there is no terminal to ask at, so --yes is needed; nothing was done")


def ask(options: Options, what: str) -> None:
    """Ask a person at the terminal, unless `--yes` was given. Raises UsageError on any answer but
    yes and if nobody can be asked, and InterruptionError on Ctrl-C.
    """
    check(options)
    if options.yes:
        return
    sys.stderr.write(f"{visible(what)}? [y/N] ")
    sys.stderr.flush()
    try:
        with handled(signal.default_int_handler):
            answer = sys.stdin.readline()
    except KeyboardInterrupt as end:
        sys.stderr.write("\n")
        raise InterruptionError("interrupted before anything was done") from end
    if not answer.endswith("\n"):  # Ctrl-D
        sys.stderr.write("\n")
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed; nothing was done")


@dataclass(frozen=True, slots=True)
class Scope:
    """Accounts and Regions for people: a phrase, and a line each if there are several accounts."""

    short: str
    lines: Sequence[str] = ()


async def scope(reached: Reached) -> Scope:
    """Return the accounts with their names in the organization or else, if readable, their aliases,
    and the Regions.
    """
    by_account: dict[str, list[Api]] = defaultdict(list)
    for api in reached.apis:
        by_account[api.target.account].append(api)
    unnamed = [apis[0] for account, apis in by_account.items() if not reached.names.get(account)]
    aliases = zip(unnamed, await asyncio.gather(*map(alias, unnamed)), strict=True)
    names = {**reached.names, **{api.target.account: name for api, name in aliases}}
    accounts = []
    for account, apis in by_account.items():
        name = names[account]
        named = f"account {account} ({visible(name)})" if name else f"account {account}"
        accounts.append(f"{named}, {', '.join(api.target.region for api in apis)}")
    if len(accounts) == 1:
        return Scope(accounts[0])
    return Scope(counted(len(accounts), "account"), [f"  {line}" for line in accounts])
