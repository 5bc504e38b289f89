"""The janitor on a simulated account: undisturbed, in trouble, killed, as a function's chain."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from aws_lambda_powertools.metrics import EphemeralMetrics

from janitor.aws.api import Api, Counts
from janitor.aws.pace import Pace
from janitor.core.errors import JanitorError
from janitor.core.model import LogGroup, Outcome, Target
from janitor.cost.money import price_list
from janitor.engine import context, plan
from janitor.engine.lanes import Lane
from janitor.engine.run import Run
from janitor.engine.summary import Summary
from janitor.function import handler
from janitor.function.handler import Janitor, RunFailedError
from janitor.function.settings import read_settings
from janitor.journal.journal import Journal
from janitor.policy.file import Policy
from janitor.report import RunInfo
from janitor.report.plan import PlanReport
from janitor.sandbox.wire import Call
from tests.fakes import Builder
from tests.fakes.actors import Random
from tests.fakes.faults import Fault, Rates, Refuse
from tests.fakes.truth import Key, Truth
from tests.proof.process import KilledError, Process, VirtualClock, connected, session
from tests.proof.witness import WatchedCloud, Witness
from tests.proof.worlds import ACCOUNT, NOW, TARGETS, Account, Trouble

MARGIN = 950.0
"""Seconds that time jumps to end a link: more than any link lasts, less than a page token lives."""

NEAR = 0.7
"""How often somebody changes the very group that a call is about."""


class Somebody(Random):
    """Likes to be at work just where the janitor is, between a look and what follows from it."""

    def _chosen(self, call: Call, keys: Sequence[Key]) -> Key:
        name = call.group or call.parameters.get("logGroupNamePrefix") or ""
        key = (call.account, call.region, name)
        if key in keys and self._random.random() < NEAR:
            return key
        return super()._chosen(call, keys)


class Chaos:
    """A trouble's faults. Each depends on the call itself and on how often it was made, not on
    what other threads do, so that an example can be tried again.
    """

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._made: Counter[tuple[Any, ...]] = Counter()
        self._calls = 0

    def __call__(self, call: Call) -> Fault | None:
        self._calls += 1
        trouble = self._trouble
        if self._calls >= trouble.expired:
            return Refuse("ExpiredTokenException", 400)
        if trouble.denied is not None:
            operation, group, region = trouble.denied
            wanted = ((operation, call.operation), (group, call.group), (region, call.region))
            if call.service != "sts" and all(said in (None, it) for said, it in wanted):
                return Refuse("AccessDeniedException", 400)
        if trouble.only not in (None, call.operation):
            return None
        stream = call.parameters.get("logStreamName")
        key = (call.operation, call.account, call.region, call.group, stream)
        self._made[key] += 1
        seed = zlib.crc32(repr((trouble.seed, key, self._made[key])).encode())
        shares: Mapping[str, Any] = trouble.shares
        return Rates(**shares, seed=seed)(call)


class MortalJournal(Journal):
    """The journal of a process that may die, in the middle of a line too."""

    def __init__(self, path: Path, run_id: str, policy: str, process: Process) -> None:
        super().__init__(path, run_id, policy)
        self._process = process
        self.text = ""

    def _append(self, line: dict[str, Any]) -> None:
        def write(text: str) -> None:
            with self._lock:
                assert self._file is not None, "opened by write"
                self._file.write(text)
                self._file.flush()

        self._process.write(write, json.dumps(line, ensure_ascii=False) + "\n")


class Recorded:
    """A Recorder that remembers outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def scanned(self, page: Sequence[LogGroup]) -> None:
        pass


class _Planned:
    """A Recorder that writes a plan."""

    def __init__(self, report: PlanReport) -> None:
        self.outcome = report.finding
        self._report = report

    def scanned(self, page: Sequence[LogGroup]) -> None:
        for group in page:
            self._report.scanned(group)


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
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


TALLY = Tally()


@dataclass
class Place:
    """What lasts: the account and the journal file. Each run here is a process of its own."""

    account: Account
    policy: Policy
    said: dict[str, Any]
    folder: Path
    made: Builder = field(init=False)
    witness: Witness = field(init=False)
    queue: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.made = self.account.build()
        self.witness = Witness(self.said, self.made.truth)

    @property
    def truth(self) -> Truth:
        """As it is by now."""
        return self.made.truth.copy()

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        """The journal's lines; what cannot be read was torn."""
        found = []
        for text in self.journal.read_text().splitlines() if self.journal.exists() else ():
            with contextlib.suppress(ValueError):
                found.append(json.loads(text))
        return found

    @contextlib.contextmanager
    def process(
        self, trouble: Trouble | None = None, dies_at: int | None = None, *, after: bool = False
    ) -> Iterator[Life]:
        """A process on this account. A kill ends the block quietly."""
        trouble = trouble or Trouble()
        clock, process = VirtualClock(NOW), Process(dies_at, after=after)
        faults = Chaos(trouble) if trouble != Trouble() else None
        somebody = Somebody(trouble.seed, trouble.meanwhile, kinds=trouble.kinds)
        actors = [somebody] if trouble.meanwhile else []
        told = len(self.lines())
        for region in self.made.store.regions.values():
            region.tagged.clear()  # each process begins at NOW, so nothing was tagged after that
        cloud = WatchedCloud(
            self.witness,
            self.made,
            clock,
            faults=faults,
            meanwhile=actors,
            empty_pages=self.account.empty,
            page=self.account.page,
            token_age=3600,
            unknowns=self.account.unknowns,
        )
        lanes: list[Lane[Any]] = []
        life = Life(self, cloud, clock, process)
        with cloud, connected(cloud, clock, process), _tracked(lanes):
            try:
                yield life
            except KilledError:
                pass
            finally:
                life.killed = process.dead
                process.dead = True
                for lane in lanes:
                    lane.close()
                for journal in life.journals:
                    journal.close()
                self.witness.check_journal(self.lines()[told:], killed=life.killed)
                TALLY.add(_tally(cloud, life))


@dataclass
class Life:
    """One process: what it can do, and what is left of it."""

    place: Place
    cloud: WatchedCloud
    clock: VirtualClock
    process: Process
    counts: Counts = field(default_factory=Counts)
    killed: bool = False
    journals: list[Journal] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, *, dry_run: bool = False, source: Any = None, recorder: Any = None) -> Summary:
        """One run over all targets, as the terminal makes it. Raises KilledError, JanitorError."""
        place = self.place
        apis = [
            Api(
                Target(account, region),
                session(account, region),
                Pace(lambda _operation: 1000.0, self.clock),
                self.clock,
                self.counts,
                self.stop,
            )
            for account, region in TARGETS[: place.account.targets]
        ]
        journal = MortalJournal(place.journal, "run", "policy", self.process)
        more = {} if source is None else {"source": source}
        engine = Run(
            apis,
            place.policy,
            recorder or Recorded(),
            journal,
            self.stop,
            NOW,
            dry_run=dry_run,
            **more,
        )
        try:
            return engine.execute()
        finally:
            journal.close()

    def plan(self) -> Path:
        """Write a plan of what a run would do."""
        path = self.place.folder / "plan.jsonl"
        text = io.StringIO()
        report = PlanReport(text, NOW)
        digest = self.place.policy.digest()
        info = RunInfo("run", "plan", "0", "now", ACCOUNT, [], "p", digest, True)
        report.start(info)
        summary = self.run(dry_run=True, recorder=_Planned(report))
        report.finish(summary.as_dict(self.counts, price_list(self.place.policy.prices)))
        path.write_text(text.getvalue())
        return path

    def apply(self, path: Path) -> Summary:
        """Do what the plan says."""
        return self.run(source=plan.load(path).source)

    def link(
        self, event: dict[str, Any], remaining: float = 900.0, after_calls: int | None = None
    ) -> dict[str, Any] | None:
        """One invocation of the function; its time is up after so many calls, if given. None when
        it failed. What it invoked is added to the place's queue.
        """
        place = self.place
        if after_calls is not None:
            _jump_after(self, after_calls)
        metrics = EphemeralMetrics(namespace="test", service="test")
        settings = read_settings({"JANITOR_MAX_LINKS": "9999", "JANITOR_MAX_HOURS": "9999"})
        janitor = Janitor(settings, session(ACCOUNT, "eu-west-1"), self.clock, metrics)

        def journal(run_id: str, policy: str, *, keep: bool) -> Journal:
            made = MortalJournal(place.journal, run_id, policy, self.process)
            self.journals.append(made)
            return made

        context = _Context(int(remaining * 1000))
        with (
            patch.object(handler, "LogJournal", journal),
            patch.object(handler, "current_policy", lambda _settings: place.policy),
        ):
            try:
                return janitor.answer(event, context)
            except (JanitorError, RunFailedError):
                return None
            finally:
                place.queue += [json.loads(made["payload"]) for made in self.cloud.world.invoked]
                self.cloud.world.invoked.clear()


@dataclass
class _Context:
    remaining: int
    aws_request_id: str = "request"
    invoked_function_arn: str = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:cloudwatch-janitor"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


def _jump_after(life: Life, calls: int) -> None:
    """Let time jump past the link's deadline with its call number `calls`."""
    made = 0

    def act(call: Call, _account: Builder, _now: int) -> None:
        nonlocal made
        made += call.service not in ("sts", "ec2")
        if made == calls:
            made += 1
            life.clock.jump(MARGIN)

    life.cloud.actors.append(act)


@contextlib.contextmanager
def _tracked(lanes: list[Lane[Any]]) -> Iterator[None]:
    """Know the lanes that a killed run leaves open, as a process that ends would close them."""

    class Tracked(Lane):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            lanes.append(self)

    with patch.object(context, "Lane", Tracked):
        yield


def _tally(cloud: WatchedCloud, life: Life) -> Tally:
    verdict = cloud.judge()
    return Tally(
        runs=1,
        calls=sum(verdict.calls.values()),
        faults=cloud.faults,
        deletions=len(verdict.deletions),
        sweeps=len(verdict.sweeps),
        puts=len(verdict.puts),
        kills=life.killed,
    )


@contextlib.contextmanager
def place(account: Account, said: dict[str, Any], policy: Policy) -> Iterator[Place]:
    """A place of an example's own."""
    TALLY.accounts += 1
    with tempfile.TemporaryDirectory() as folder, _quiet():
        yield Place(account, policy, said, Path(folder))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Thousands of runs' log lines are for nobody."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        yield
    finally:
        structlog.configure(**before)


def settle(place: Place, most: int = 4) -> list[Summary]:
    """Undisturbed runs until one changes nothing."""
    summaries: list[Summary] = []
    for _ in range(most):
        before = place.truth
        with place.process() as life:
            summaries.append(life.run())
        if place.truth == before:
            return summaries
    raise AssertionError(f"after {most} undisturbed runs there is still something to do")
