"""The janitor on the fake account: undisturbed, in trouble, killed."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import structlog

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.aws.quotas import default_quota
from janitor.core.clock import Stop
from janitor.core.model import LogGroup, Outcome, Target, Verb
from janitor.engine.act import Act, Part, at_hand
from janitor.engine.books import Books
from janitor.engine.looks import Looks
from janitor.engine.plan import ActionLine, Head, PlanFile, action_line, end_line
from janitor.engine.survey import Survey
from janitor.journal.journal import FileJournal, Lines
from janitor.owners.owners import Shared
from janitor.sandbox.unknowns import Unclear
from janitor.sandbox.wire import Call
from janitor.terminal.run import _count_groups as count_groups
from tests.fakes.actors import Random
from tests.fakes.builder import Builder
from tests.fakes.faults import Fault, Rates
from tests.fakes.truth import Key, Truth
from tests.proof.oracle import Oracle
from tests.proof.process import Process, Waiting, session
from tests.proof.witness import Item, Life, WatchedCloud, Witness
from tests.proof.worlds import NOW, TARGETS, Account, Trouble, Wanted
from tests.virtual import VirtualClock

LATER = 12 * 3600.0
"""Seconds after which everything is shown, and no age is near one that matters."""

NEAR = 0.7
"""How often somebody changes the very group that a call is about."""


class Somebody(Random):
    """Likes to be at work just where the janitor is, between a look and what follows from it."""

    def __init__(self, trouble: Trouble, unclear: dict[str, Unclear]) -> None:
        super().__init__(trouble.seed, trouble.meanwhile, kinds=trouble.kinds)
        self._unclear = unclear

    def blur(self, _account: Builder, key: Key, _now: int) -> None:
        """What CloudWatch answers about the group's metric is unclear now, or clear again."""
        if self._unclear.pop(key[2], None) is None:
            self._unclear[key[2]] = "PartialData"

    def _chosen(self, call: Call, keys: Sequence[Key]) -> Key:
        name = call.group or call.parameters.get("logGroupNamePrefix") or ""
        key = (call.account, call.region, name)
        if key in keys and self._random.random() < NEAR:
            return key
        return super()._chosen(call, keys)


class Chaos:
    """A trouble's faults."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        shares: Mapping[str, Any] = trouble.shares
        self._rates = Rates(seed=trouble.seed, **shares)
        self._calls = 0

    def __call__(self, call: Call) -> Fault | None:
        self._calls += 1
        trouble = self._trouble
        if self._calls >= trouble.expired:
            return Fault("ExpiredTokenException")
        if trouble.denied is not None:
            operation, group, region = trouble.denied
            wanted = ((operation, call.operation), (group, call.group), (region, call.region))
            if call.service != "sts" and all(said in (None, it) for said, it in wanted):
                return Fault(trouble.refusal)
        if call.service == trouble.nowhere:
            return Fault(unreachable=True)
        return self._rates(call) if trouble.only in (None, call.operation) else None


class MortalJournal(FileJournal):
    """The journal of a process that may die, in the middle of a line too."""

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


@dataclass
class Tally:
    """What was tried, for whoever counts."""

    accounts: int = 0
    runs: int = 0
    calls: int = 0
    faults: int = 0
    deletions: int = 0
    sweeps: int = 0
    puts: int = 0
    kills: int = 0

    def add(self, other: Tally) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


TALLY = Tally()


@dataclass(frozen=True)
class Done:
    """What a run came to, by its books."""

    planned: Mapping[Verb, int]
    done: Mapping[Verb, int]
    refused: str


class Place:
    """What lasts: the account, the time and the files. Each run here is a process of its own."""

    def __init__(self, account: Account, wanted: Wanted, folder: Path) -> None:
        self.account = account
        self.policy = wanted.policy
        self.folder = folder
        self.made = account.build()
        self.clock = VirtualClock(NOW)
        self.witness = Witness(wanted.said, self.made.truth, self.clock)
        ambiguous = account.unknowns.missing_code == "InvalidParameterException"
        lacking = {region for _, region in TARGETS if ambiguous and account.lacks_in(region)}
        self.unclear = dict(account.unknowns.unclear)
        unknowns = replace(account.unknowns, unclear=self.unclear)
        self.oracle = Oracle(self.witness.rules, account.page, unknowns, lacking, account.refusing)
        self.cloud = WatchedCloud(
            self.witness,
            self.made,
            self.clock,
            empty_pages=account.empty,
            page=account.page,
            token_age=3600,
            unknowns=unknowns,
        )
        self.journal = folder / "journal.jsonl"
        self.plan = folder / "plan.jsonl"

    def later(self) -> int:
        """Half a day has passed since the beginning; the time (ms)."""
        self.clock.jump(max(LATER - self.clock.passed, 0))
        return self.clock.now()

    @property
    def truth(self) -> Truth:
        """As it is by now."""
        self.made.elapse(self.clock.now())
        return self.made.truth.copy()

    def trouble(self, trouble: Trouble | None) -> None:
        """From now on this goes wrong."""
        self.cloud.faults = None if trouble in (None, Trouble()) else Chaos(trouble)
        self.cloud.actors = []
        if trouble is not None and trouble.meanwhile:
            self.cloud.actors = [Somebody(trouble, self.unclear)]

    @contextlib.contextmanager
    def process(
        self, trouble: Trouble | None = None, dies_at: int | None = None, *, after: bool = False
    ) -> Iterator[Janitor]:
        """A process on this account."""
        self.trouble(trouble)
        written = self.journal.read_bytes() if self.journal.exists() else b""
        janitor = Janitor(self, dies_at, after=after)
        with self.cloud:
            yield janitor
        whole = written.rfind(b"\n") + 1  # what was torn is taken away
        lines = self.journal.read_bytes()[whole:] if self.journal.exists() else b""
        janitor.life.journal += whole_lines(lines.decode())
        self.witness.check_journal(janitor.life, killed=janitor.dead)
        TALLY.add(tally(janitor.life, killed=janitor.dead))


def whole_lines(text: str) -> Iterator[dict[str, Any]]:
    """The lines of a journal; what cannot be read was torn."""
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


class Janitor(Process):
    """What the terminal does, as one process."""

    def __init__(self, place: Place, dies_at: int | None = None, *, after: bool = False) -> None:
        life = Life(place.clock.now())
        super().__init__(place.cloud, life, dies_at, after=after, cpu=place.account.cpu)
        self.place = place
        self.counts = Counts()
        self.asked: Shared | None = None

    def survey(self) -> Done | None:
        """Write a plan of what a run would do. None where it was killed. Raises JanitorError."""
        return self._whole(self._survey())

    def apply(self) -> Done | None:
        """Do what the plan says."""
        return self._whole(self._apply())

    def run(self) -> Done | None:
        """Both."""
        return self._whole(self._run())

    def _whole(self, work: Coroutine[Any, Any, Done]) -> Done | None:
        self.stop, self.asked = Stop(), None
        return self.place.clock.run(self.live(work))

    async def _run(self) -> Done:
        return await self._act(await self._surveyed())

    def _apis(self) -> dict[Target, Api]:
        clock = self.place.clock
        return {
            (target := Target(account, region)): Api(
                target,
                session(account, region),
                Pace(lambda name: 0.8 * default_quota(name), clock),
                clock,
                self.counts,
                self.stop,
                Waiting(),
            )
            for account, region in TARGETS[: self.place.account.targets]
        }

    async def _surveyed(self) -> Books:
        place, apis = self.place, self._apis()
        now, policy = self.life.now or 0, place.policy
        with place.plan.open("w") as file:

            def listen(_groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
                lines = filter(None, map(action_line, outcomes))
                file.writelines(f"{line.model_dump_json()}\n" for line in lines)

            file.write(f"{Head(run='run', made=now, policy=policy.digest()).model_dump_json()}\n")
            books = Books(apis, listen)
            survey = Survey(policy, now, self.stop, books)
            await survey.run(apis, dict.fromkeys(apis))
            self.asked = survey.shared
            for target, tally in books.tallies.items():
                file.write(f"{end_line(target, tally).model_dump_json()}\n")
        return books

    async def _survey(self) -> Done:
        books = await self._surveyed()
        return Done(books.total.planned, {}, books.over_limit(self.place.policy.limits))

    async def _apply(self) -> Done:
        plan = PlanFile(self.place.plan)
        books = Books(plan.totals, lambda _groups, _outcomes: None)
        for target, totals in plan.totals.items():
            books.tallies[target].planned.update(totals.planned)
            if not totals.complete:
                books.unfinished.add(target)
        work: Any = SimpleNamespace(policy=self.place.policy, apis=self._apis())
        await count_groups(work, books)
        return await self._act(books)

    async def _act(self, books: Books) -> Done:
        place, plan = self.place, PlanFile(self.place.plan)
        refused, refusals = (
            books.over_limit(place.policy.limits),
            books.refusals(place.policy.limits),
        )
        self.life.now = plan.head.made
        parts = {}
        for target, totals in plan.totals.items():
            if not totals.complete:
                self.life.unfinished.add((target.account, target.region))
            parts[target] = Part(at_hand(plan.of(target)), refused=refusals[target])
            self.life.planned |= by_item(line for one in plan.of(target) for line in one.actions)
        books.listener = lambda _groups, _outcomes: None
        journal = MortalJournal(place.journal, self)
        try:
            looks = Looks(place.clock)
            act = Act(
                place.policy, plan.head.made, self.stop, journal, books, looks, asked=self.asked
            )
            await act.run(self._apis(), parts)
        finally:
            journal.close()
        return Done(books.total.planned, books.total.done, refused)


def by_item(lines: Iterator[ActionLine]) -> dict[Item, Mapping[str, Any]]:
    """What is planned."""
    return {
        (line.account, line.region, line.group, line.creation_time, line.action, None): (
            line.model_dump()
        )
        for line in lines
    }


def tally(life: Life, *, killed: bool) -> Tally:
    """What was tried in a process."""
    made = Counter(item[4] for item in life.effects)
    return Tally(
        runs=1,
        calls=life.calls.total(),
        faults=life.faults,
        deletions=made["delete_group"],
        sweeps=made["sweep_streams"],
        puts=made["set_retention"],
        kills=killed,
    )


P = TypeVar("P", bound=Place)


@contextlib.contextmanager
def place(
    account: Account, wanted: Wanted, kind: Callable[[Account, Wanted, Path], P]
) -> Iterator[P]:
    """A place of an example's own."""
    TALLY.accounts += 1
    with tempfile.TemporaryDirectory() as folder, _quiet():
        yield kind(account, wanted, Path(folder))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Thousands of runs' log lines are for nobody."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        yield
    finally:
        structlog.configure(**before)


def settle(place: Place, most: int = 4) -> list[Done]:
    """Undisturbed runs until one changes nothing."""
    now, done = place.later(), list[Done]()
    for _ in range(most):
        before = place.truth
        with place.process() as janitor:
            janitor.life.now = now
            run = janitor.run()
            assert run is not None, "nobody killed it"
            done.append(run)
        if place.truth == before:
            return done
    raise AssertionError(f"after {most} undisturbed runs there is still something to do")
