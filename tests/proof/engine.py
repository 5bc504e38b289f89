"""The janitor as the terminal runs it, on the fake account: undisturbed, in trouble, killed."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import structlog

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.aws.quotas import default_quota
from janitor.core.clock import Stop
from janitor.core.model import LogGroup, Outcome, Target, Verb
from janitor.engine.act import Act, Part, as_async
from janitor.engine.admission import Admission
from janitor.engine.books import Books
from janitor.engine.plan import ActionLine, Head, PlanFile, action_line, end_line
from janitor.engine.survey import Survey
from janitor.journal.journal import FileJournal, Lines
from janitor.owners.owners import OwnerCache
from janitor.sandbox.unknowns import Unclear
from janitor.sandbox.wire import Call
from janitor.terminal.run import _count_groups as count_groups
from tests.fakes.actors import Random
from tests.fakes.builder import Builder
from tests.fakes.faults import Fault, Rates
from tests.fakes.truth import Key, Truth
from tests.proof.oracle import Oracle
from tests.proof.process import Death, InlineWorkers, Process, session
from tests.proof.witness import Item, Record, WatchedCloud, Witness
from tests.proof.worlds import NOW, TARGETS, Account, PolicyFile, Trouble
from tests.virtual import VirtualClock

LATER = 12 * 3600.0
"""Seconds after which all metadata is shown, while no age has come near one that matters."""

SAME_GROUP = 0.7
"""How often somebody changes the very group that a call is about."""


class Interference(Random):
    """Changes log groups, mostly just where the janitor works, between a look and its change."""

    def __init__(self, trouble: Trouble, unclear: dict[str, Unclear]) -> None:
        super().__init__(trouble.seed, trouble.interference, kinds=trouble.changes)
        self._unclear = unclear

    def blur(self, _account: Builder, key: Key, _now: int) -> None:
        """CloudWatch's answer about the group's metric becomes incomplete, or complete again."""
        if self._unclear.pop(key[2], None) is None:
            self._unclear[key[2]] = "PartialData"

    def _chosen(self, call: Call, keys: Sequence[Key]) -> Key:
        name = call.group or call.parameters.get("logGroupNamePrefix") or ""
        key = (call.account, call.region, name)
        if key in keys and self._random.random() < SAME_GROUP:
            return key
        return super()._chosen(call, keys)


class TroubleFaults:
    """The faults of a trouble, by call."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        rates: Mapping[str, Any] = trouble.rates
        self._rates = Rates(seed=trouble.seed, **rates)
        self._calls = 0

    def __call__(self, call: Call) -> Fault | None:
        self._calls += 1
        trouble = self._trouble
        if self._calls >= trouble.expires:
            return Fault("ExpiredTokenException")
        if trouble.denied is not None and call.service != "sts":
            actual = (call.operation, call.group, call.region)
            if all(one in (None, its) for one, its in zip(trouble.denied, actual, strict=True)):
                return Fault(trouble.denied_code)
        if call.service == trouble.unreachable:
            return Fault(unreachable=True)
        return self._rates(call) if trouble.operation in (None, call.operation) else None


class MortalJournal(FileJournal):
    """The journal of a process that may die, even in the middle of a line."""

    def __init__(self, path: Path, process: Process) -> None:
        super().__init__(path, Lines("run", "policy"))
        self._process = process

    def _write(self, file: int, text: bytes) -> None:
        def write(part: bytes) -> None:
            super(MortalJournal, self)._write(file, part)

        def die() -> None:
            write(text[: len(text) // 2])
            self.close()

        self._process.step(lambda: write(text), die)


TALLY = Counter[str]()
"""What was tried: accounts, and the keys of `tally`."""


@dataclass(frozen=True)
class Result:
    """What a run planned and did by its own books, and why a limit refused it, if one did."""

    planned: Mapping[Verb, int]
    done: Mapping[Verb, int]
    refused: str


class Environment:
    """What outlives a process: the account, the clock, the plan and the journal."""

    def __init__(self, account: Account, policy: PolicyFile, folder: Path) -> None:
        self.account = account
        self.policy = policy.parsed
        self.builder = account.build()
        self.clock = VirtualClock(NOW)
        self.witness = Witness(policy.content, self.builder.truth, self.clock)
        ambiguous = account.unknowns.missing_code == "InvalidParameterException"
        lacking = {region for _, region in TARGETS if ambiguous and account.lacks_in(region)}
        self.unclear = dict(account.unknowns.unclear)
        unknowns = replace(account.unknowns, unclear=self.unclear)
        self.oracle = Oracle(self.witness.rules, account.page, unknowns, lacking, account.refusing)
        self.cloud = WatchedCloud(
            self.witness,
            self.builder,
            self.clock,
            empty_pages=account.empty_pages,
            page=account.page,
            token_age=3600,
            unknowns=unknowns,
        )
        self.journal = folder / "journal.jsonl"
        self.plan = folder / "plan.jsonl"

    def later(self) -> int:
        """Move on to half a day after the beginning, and return the time (ms)."""
        self.clock.jump(max(LATER - self.clock.passed, 0))
        return self.clock.now()

    @property
    def truth(self) -> Truth:
        """What is true of the account now."""
        self.builder.elapse(self.clock.now())
        return self.builder.truth.copy()

    def trouble(self, trouble: Trouble | None) -> None:
        """Let this go wrong from now on, and nothing else."""
        self.cloud.faults = None if trouble in (None, Trouble()) else TroubleFaults(trouble)
        self.cloud.actors = []
        if trouble is not None and trouble.interference:
            self.cloud.actors = [Interference(trouble, self.unclear)]

    @contextlib.contextmanager
    def process(
        self, trouble: Trouble | None = None, death: Death | None = None
    ) -> Iterator[Janitor]:
        """A process on this account, whose journal is checked at its end."""
        self.trouble(trouble)
        written = self.journal.read_bytes() if self.journal.exists() else b""
        janitor = Janitor(self, death)
        with self.cloud:
            yield janitor
        complete = written.rfind(b"\n") + 1  # a torn line is overwritten
        lines = self.journal.read_bytes()[complete:] if self.journal.exists() else b""
        janitor.record.journal += complete_lines(lines.decode())
        self.witness.check_journal(janitor.record, killed=janitor.dead)
        TALLY.update(tally(janitor.record, killed=janitor.dead))


def complete_lines(text: str) -> Iterator[dict[str, Any]]:
    """The lines of a journal without those that were torn."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


class Janitor(Process):
    """The terminal's commands, in one process. Each returns None if it was killed, and raises
    JanitorError.
    """

    def __init__(self, env: Environment, death: Death | None = None) -> None:
        super().__init__(env.cloud, Record(env.clock.now()), death, cpu=env.account.cpu)
        self.env = env
        self.counts = Counts()
        self.owner_cache: OwnerCache | None = None

    def survey(self) -> Result | None:
        """Write a plan of what a run would do."""
        return self._command(self._survey())

    def apply(self) -> Result | None:
        """Carry out the plan."""
        return self._command(self._apply())

    def run(self) -> Result | None:
        """Survey and act."""
        return self._command(self._survey_and_act())

    def _command(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        self.stop, self.owner_cache = Stop(), None
        return self.env.clock.run(self.live(work))

    async def _survey_and_act(self) -> Result:
        return await self._act(await self._write_plan())

    def _apis(self) -> dict[Target, Api]:
        clock = self.env.clock
        return {
            (target := Target(account, region)): Api(
                target,
                session(account, region),
                Pace(lambda name: 0.8 * default_quota(name), clock),
                clock,
                self.counts,
                self.stop,
                InlineWorkers(),
            )
            for account, region in TARGETS[: self.env.account.targets]
        }

    async def _write_plan(self) -> Books:
        env, apis = self.env, self._apis()
        now, policy = self.record.now or 0, env.policy
        with env.plan.open("w") as file:

            def listen(_groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
                lines = filter(None, map(action_line, outcomes))
                file.writelines(f"{line.model_dump_json()}\n" for line in lines)

            file.write(f"{Head(run='run', made=now, policy=policy.digest()).model_dump_json()}\n")
            books = Books(apis, listen)
            survey = Survey(policy, now, self.stop, books)
            await survey.run(apis, dict.fromkeys(apis))
            self.owner_cache = survey.owner_cache
            for target, counts in books.tallies.items():
                file.write(f"{end_line(target, counts).model_dump_json()}\n")
        return books

    async def _survey(self) -> Result:
        books = await self._write_plan()
        return Result(books.total.planned, {}, books.over_limit(self.env.policy.limits))

    async def _apply(self) -> Result:
        plan = PlanFile(self.env.plan)
        books = Books(plan.totals, lambda _groups, _outcomes: None)
        for target, totals in plan.totals.items():
            books.tallies[target].planned.update(totals.planned)
            if not totals.complete:
                books.unfinished.add(target)
        work: Any = SimpleNamespace(policy=self.env.policy, apis=self._apis())
        await count_groups(work, books)
        return await self._act(books)

    async def _act(self, books: Books) -> Result:
        env, plan = self.env, PlanFile(self.env.plan)
        refused = books.over_limit(env.policy.limits)
        refusals = books.refusals(env.policy.limits)
        self.record.now = plan.head.made
        parts = {}
        for target, totals in plan.totals.items():
            if not totals.complete:
                self.record.unfinished.add((target.account, target.region))
            parts[target] = Part(as_async(plan.of(target)), refused=refusals[target])
            self.record.planned |= by_item(line for one in plan.of(target) for line in one.actions)
        books.listener = lambda _groups, _outcomes: None
        journal = MortalJournal(env.journal, self)
        with contextlib.closing(journal):
            admission = Admission(env.clock)
            act = Act(
                env.policy,
                plan.head.made,
                self.stop,
                journal,
                books,
                admission,
                owner_cache=self.owner_cache,
            )
            await act.run(self._apis(), parts)
        return Result(books.total.planned, books.total.done, refused)


def by_item(lines: Iterator[ActionLine]) -> dict[Item, Mapping[str, Any]]:
    """Return the lines of a plan by item, without streams: a line names its own."""
    return {
        (line.account, line.region, line.group, line.creation_time, line.action, None): (
            line.model_dump()
        )
        for line in lines
    }


def by_verb(effects: Iterable[Item]) -> Counter[str]:
    """Return how many changes of each verb were made."""
    return Counter(item[4] for item in effects)


def tally(record: Record, *, killed: bool) -> Counter[str]:
    """Return what one process tried, and its changes by verb."""
    calls, faults = record.calls.total(), record.faults
    return by_verb(record.effects) + Counter(runs=1, calls=calls, faults=faults, kills=killed)


E = TypeVar("E", bound=Environment)


@contextlib.contextmanager
def environment(
    account: Account, policy: PolicyFile, kind: Callable[[Account, PolicyFile, Path], E]
) -> Iterator[E]:
    """An environment for one example, where nothing is logged."""
    TALLY["accounts"] += 1
    config = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield kind(account, policy, Path(folder))
    finally:
        structlog.configure(**config)


def settle(env: Environment, most: int = 4) -> list[Result]:
    """Run undisturbed until a run changes nothing, and return the results."""
    now, results = env.later(), list[Result]()
    for _ in range(most):
        before = env.truth
        with env.process() as janitor:
            janitor.record.now = now
            result = janitor.run()
            assert result is not None, "nobody killed it"
            results.append(result)
        if env.truth == before:
            return results
    raise AssertionError(f"after {most} undisturbed runs there is still something to do")
