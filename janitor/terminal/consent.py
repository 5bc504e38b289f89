"""What a person agrees to: all that a plan deletes, what is lost for good, what it saves; then the
question.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from janitor.aws.api import Api
from janitor.aws.targets import alias
from janitor.core.errors import InterruptionError, UsageError
from janitor.core.loss import loss, lost_bytes
from janitor.core.model import Target, Verb
from janitor.core.text import sentence, size, visible
from janitor.cost.money import PriceList, usd
from janitor.engine.plan import ActionLine, PlanFile
from janitor.report.base import counted, dollars
from janitor.terminal.shared import Options, Reached, handled


@dataclass
class _Retention:
    """The log groups that one rule gives the same retention. `units` is bytes times nano-USD."""

    groups: int = 0
    lost: int = 0
    units: int = 0


class Agreed:
    """What a plan comes to: every deletion as a line of text, retention by rule and days."""

    def __init__(self, plan: PlanFile, prices: PriceList, refusals: Mapping[Target, str]) -> None:
        """`refusals` says of targets why nothing is deleted or swept there: that is not listed."""
        self.planned: Counter[Verb] = Counter()
        """Lines of the plan: log groups, where a sweep has streams."""
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
                    if not refused or line.action != "sweep_streams":
                        self._add(line, plan.head.made, prices, refused=refused)

    def _add(self, line: ActionLine, now: int, prices: PriceList, *, refused: bool) -> None:
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
            given.lost += lost
            given.units += lost * (prices.storage((line.region, line.facts.log_class)) or 0)

    def lines(self) -> Iterator[str]:
        """All of it; deletions are never cut short."""
        for rule, places in self._deletions.items():
            groups = counted(len(places), "log group")
            yield f"{groups} to delete, proved empty (rule {rule!r}):"
            yield from places
        for rule, places in self._sweeps.items():
            groups = counted(len(places), "log group")
            streams = counted(self._streams[rule], "expired log stream")
            yield f"{streams} to delete in {groups} that stay (rule {rule!r}):"
            yield from places
        given = self._retention
        if given:
            yield "Retention to set:"
            yield "  log groups   days  deletes for good       saves  rule"
        for (rule, days), one in given.items():
            lost, saves = size(one.lost), dollars(usd(one.units))
            yield f"  {one.groups:>10,}  {days:>5}  {lost:>16}  {saves:>10}  {rule}"
        yield sentence(loss(sum(one.lost for one in given.values()), dry_run=True))
        saves = dollars(usd(sum(one.units for one in given.values())))
        yield f"Saves about {saves} a month, once CloudWatch has removed those events."


async def agreed_to(options: Options, where: Where, what: Iterable[str]) -> None:
    """Show all that would be done, line by line on stderr, and ask. Raises UsageError as `ask`."""
    if not (options.quiet and options.yes):
        for line in (f"To be done in {where.short}:", *where.lines, *what):
            sys.stderr.write(f"{visible(line)}\n")
    ask(options, f"Do all of this in {where.short}")


def can_ask() -> bool:
    """Whether a person sees the question and can answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def check(options: Options) -> None:
    """Raise UsageError where somebody has to be asked, and nobody can be."""
    if not options.yes and not can_ask():
        raise UsageError("there is no terminal to ask at, so --yes is needed; nothing was done")


def ask(options: Options, what: str) -> None:
    """Ask a person at a terminal. Raises UsageError on anything but yes, and where nobody can be
    asked; InterruptionError where that ends the program.
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
    if answer.strip().lower() not in ("y", "yes"):
        raise UsageError("not confirmed; nothing was done")


@dataclass(frozen=True, slots=True)
class Where:
    """Accounts and Regions, for people: one in a phrase, of several how many there are and a line
    for each.
    """

    short: str
    lines: Sequence[str] = ()


async def where(reached: Reached) -> Where:
    """What it is about, with what the organization calls an account, or else its alias where that
    may be read.
    """
    by_account: dict[str, list[Api]] = defaultdict(list)
    for api in reached.apis:
        by_account[api.target.account].append(api)
    nameless = [its[0] for account, its in by_account.items() if not reached.names.get(account)]
    aliases = zip(nameless, await asyncio.gather(*map(alias, nameless)), strict=True)
    names = {**reached.names, **{api.target.account: name for api, name in aliases}}
    said = []
    for account, its in by_account.items():
        name = names[account]
        called = f" ({visible(name)})" if name else ""
        said.append(f"account {account}{called}, {', '.join(a.target.region for a in its)}")
    if len(said) == 1:
        return Where(said[0])
    return Where(counted(len(said), "account"), [f"  {line}" for line in said])
