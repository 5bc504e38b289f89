"""The simulated account of one measurement, in a separate process, and its record of the run.

`python -m tests.bench.simulator JOB` (JOB is a JSON object, see `Job`) prints the environment
variables for its clients, serves until its stdin ends, and prints what happened as a second JSON
line.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from janitor.sandbox.quotas import QUOTAS
from janitor.sandbox.server import Server
from janitor.sandbox.unknowns import Unknowns
from tests.bench.tools import ROOT
from tests.fakes import Cloud
from tests.fakes.faults import Rates
from tests.fakes.judge import Verdict
from tests.fakes.scenarios import SCENARIOS, Scenario, targets
from tests.fakes.tls import secure
from tests.fakes.truth import Truth

UNPACED = 10_000.0
"""Calls a second: more than anybody makes."""

FAULTS = (
    *("throttle", "unavailable", "internal", "internal_after", "reset_before", "reset_after"),
    *("slow", "garbage", "aborted"),
)
"""The kinds of faults, over which a share of faults is spread evenly."""


@dataclass(frozen=True, slots=True)
class Job:
    """An account: a scenario of `tests.fakes.scenarios` and its size; `now` in ms.

    Without `quotas` nothing is throttled, and Service Quotas answers UNPACED. `latency` and
    `jitter` are seconds; `faults` is the share of calls that go wrong, 0 to 1. With `tls` a client
    has the CPU cost of connections to AWS.
    """

    scenario: str
    size: dict[str, int]
    now: int
    quotas: bool = True
    latency: float = 0.03
    jitter: float = 0.01
    faults: float = 0.0
    seed: int = 0
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """The simulator's own record of a run.

    By operation: `calls` and `throttled`, `bounds` in seconds, and `timeline`, the calls in each
    second, throttled ones too. `looks` are the seconds between look and deletion. `wrong_…` and
    `missed_…` compare with the scenario's expectations; `lost` counts deletions of groups and
    streams with events inside their retention. `state` is a digest of the final state.
    """

    calls: dict[str, int]
    throttled: dict[str, int]
    bounds: dict[str, float]
    unknown: dict[str, int]
    looks: dict[str, float]
    timeline: dict[str, list[int]]
    deletions: int
    sweeps: int
    puts: int
    lost: int
    unlooked: int
    wrong_deletions: int = 0
    missed_deletions: int = 0
    wrong_retention: int = 0
    missed_retention: int = 0
    wrong_sweeps: int = 0
    missed_sweeps: int = 0
    wanted: dict[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    state: str = ""

    @property
    def all_calls(self) -> int:
        """The calls of all services, throttled ones too."""
        return sum(self.calls.values())

    @property
    def all_throttled(self) -> int:
        """The throttled calls."""
        return sum(self.throttled.values())


class Simulator:
    """Runs a job's account while it is entered; `seen` is set afterwards."""

    def __init__(self, job: Job) -> None:
        self.environment: dict[str, str] = {}
        self.seen: Seen | None = None
        self._job = job

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.bench.simulator", json.dumps(asdict(self._job))]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.environment = self._line()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if kind is None:
                self._process.stdin.close()
                record = self._line()
                self.seen = Seen(**{**record, "examples": tuple(record["examples"])})
        finally:
            self._process.stdin.close()
            self._process.stdout.close()
            if kind is not None:
                self._process.kill()
            self._process.wait()

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator ended with code {self._process.wait()}")
        return json.loads(line)


# ---- in the simulator's process ------------------------------------------------------------------


def faults_of(share: float, seed: int) -> Rates | None:
    """Return faults for a share of the calls, spread evenly over every kind.

    OperationAborted affects only changes, so the share of other calls is a ninth less.
    """
    return Rates(seed=seed, **dict.fromkeys(FAULTS, share / len(FAULTS))) if share else None


def main(text: str) -> None:
    """Serve one job."""
    job = Job(**json.loads(text))
    make = targets if job.scenario == "targets" else SCENARIOS[job.scenario]
    scenario = make(**job.size, seed=job.seed, now=job.now)
    if not job.quotas:
        scenario.store.quotas.update(
            {(*place, name): UNPACED for place in scenario.store.regions for name in QUOTAS}
        )
    before = scenario.truth.copy()
    # The account stays, so the garbage collector need not traverse it again and again.
    gc.collect()
    gc.freeze()
    cloud = Cloud(
        scenario,
        quotas=job.quotas,
        latency=job.latency,
        jitter=job.jitter,
        faults=faults_of(job.faults, job.seed),
        seed=job.seed,
        # The answer that was once mistaken for garbage and asked for twice.
        unknowns=Unknowns(no_transformer="empty"),
    )
    with cloud:
        with _serving(cloud, tls=job.tls) as environment:
            _say(environment)
            sys.stdin.read()
        _say(asdict(see(cloud.judge(), scenario, before)))


@contextlib.contextmanager
def _serving(cloud: Cloud, *, tls: bool) -> Iterator[dict[str, str]]:
    """The environment variables for clients."""
    if not tls:
        with cloud.serving() as url:
            yield cloud.environment(url)
        return
    server = Server(cloud.handle)
    with tempfile.TemporaryDirectory() as folder:
        bundle = secure(server, Path(folder))
        url = server.start().replace("http:", "https:")
        yield {**cloud.environment(url), "AWS_CA_BUNDLE": str(bundle)}
        server.stop()


def see(verdict: Verdict, scenario: Scenario, before: Truth) -> Seen:
    """Return the judge's verdict together with the comparison with what was expected."""
    ages = sorted(change.look for change in verdict.deletions if change.look is not None)
    looks = {"median": statistics.median(ages), "max": ages[-1]} if ages else {}
    compared: dict[str, Any] = {}
    if scenario.expected:
        compared = {**compare(scenario, before), "state": digest(scenario.truth)}
    return Seen(
        calls=dict(verdict.calls),
        throttled=dict(verdict.throttled),
        bounds=verdict.bounds,
        unknown=dict(verdict.unknown),
        looks=looks,
        timeline=verdict.timeline,
        deletions=len(verdict.deletions),
        sweeps=len(verdict.sweeps),
        puts=len(verdict.puts),
        lost=len(verdict.wrong_deletions) + len(verdict.wrong_sweeps),
        unlooked=len(verdict.unlooked),
        **compared,
    )


def compare(scenario: Scenario, before: Truth) -> dict[str, Any]:
    """Return how the account differs from what was expected, counted by kind; see `Seen`.

    Any retention counts where one was missing, because not every tool has rules. Streams are
    compared in groups that should be kept.
    """
    counted: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    examples: list[str] = []
    for key, expected in scenario.expected.items():
        old, new = before.there(key), scenario.truth.get(key)
        wanted["deletions"] += expected.delete
        wanted["retention"] += expected.days is not None
        wanted["sweeps"] += expected.sweep
        faults: dict[str, int] = {}
        if new is None or new.created != old.created:
            faults["wrong_deletions"] = not expected.delete
        elif expected.delete:
            faults["missed_deletions"] = 1
        else:
            faults["missed_retention"] = expected.days is not None and new.retention is None
            faults["wrong_retention"] = expected.days is None and new.retention != old.retention
            gone = len(old.streams) - len(new.streams)
            faults["missed_sweeps"] = max(expected.sweep - gone, 0)
            faults["wrong_sweeps"] = max(gone - expected.sweep, 0)
        counted.update(faults)
        examples += [f"{kind}: {key[2]} ({expected.why})" for kind, many in faults.items() if many]
    kinds = ("deletions", "retention", "sweeps")
    return {
        **{
            f"{what}_{kind}": counted[f"{what}_{kind}"]
            for what in ("wrong", "missed")
            for kind in kinds
        },
        "wanted": dict(wanted),
        "examples": tuple(sorted(examples)[:50]),
    }


def digest(truth: Truth) -> str:
    """Return a digest that is equal for accounts in the same state."""
    state = sorted(truth.all(), key=lambda group: group.key)
    return hashlib.sha256(repr(state).encode()).hexdigest()


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
