"""The rows of the benchmark, each with its measurement and goal."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.bench import tools
from tests.bench.output import Comparison, Row, Side
from tests.bench.simulator import Job, Seen, Simulator
from tests.bench.small import small
from tests.bench.tools import (
    JANITOR,
    PLAIN,
    REPORT,
    UNPACED,
    Ran,
    Tool,
    Work,
    plain_calls,
)
from tests.bench.work import Need
from tests.fakes.scenarios import ACCOUNT, REGION, REGIONS

FAULTS = 0.05
ACCOUNTS, PLACES = 2, 4
SMALL_CPUS = (0.58, 0.29, 0.145)
"""The shares of Lambda functions with 1,024, 512 and 256 MB; 1,769 MB have one CPU."""
SMALL_SHARE = 0.8
"""The share of the quotas that the function uses unless its policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The log groups of each row, the repetitions for CPU (`rounds`) and wall time (`repeats`; the
    least disturbed one counts), and the time limits (s).
    """

    speed: int = 10_000
    messy: int = 2_000
    scan: int = 200_000
    rounds: int = 3
    few: int = 10_000
    many: int = 1_000_000
    each_target: int = 2_000
    each_small: int = 900
    small_regions: int = 17
    repeats: int = 3
    faults: int = 5_000
    deadline: float = 1_000.0
    total: float = 3_600.0


QUICK = Sizes(
    speed=600,
    messy=300,
    scan=20_000,
    rounds=3,
    few=5_000,
    many=50_000,
    each_target=300,
    each_small=100,
    small_regions=4,
    repeats=1,
    faults=600,
    deadline=45.0,
    total=300.0,
)


class TimeIsUpError(Exception):
    """The benchmark's time is up, so this was not measured."""


@dataclass
class Bench:
    """What the rows share; `bin_of` returns the folder of a tool's commands."""

    sizes: Sizes
    others: tuple[Tool, ...] = ()
    bin_of: Callable[[Tool], Path] = lambda tool: tool.venv / "bin"
    rows: list[Row] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.sizes.total
        self.now = int(time.time() * 1000)

    def measure(self, tool: Tool, job: Job, *, cpu: str = "", **options: Any) -> tuple[Ran, Seen]:
        """Run a tool on an account; `options` are fields of Work. Raises TimeIsUpError before it
        begins.
        """
        left = self._until - time.monotonic()
        if left <= 1:
            raise TimeIsUpError
        say(f"  {tool.name} on {job.scenario} {job.size}, {'' if job.quotas else 'no '}quotas")
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            Simulator(job) as simulator,
        ):
            work = Work(Path(folder), options.pop("regions", (REGION,)), **options)
            ran = tools.run(
                tool.commands(self.bin_of(tool), work),
                simulator.environment,
                work.folder,
                left if tool is JANITOR else min(self.sizes.deadline, left),
                cpu,
            )
        assert simulator.seen is not None
        say(
            f"    {ran.wall:.1f} s, CPU {ran.cpu:.1f} s, {ran.max_rss / 1e6:.0f} MB, "
            f"exit {ran.codes}"
        )
        if ran.stderr and max(ran.codes):
            say("    " + ran.stderr[-600:].strip().replace("\n", "\n    "))
        return ran, simulator.seen

    def quickest(self, job: Job, **options: Any) -> tuple[Ran, Seen]:
        """Return the quickest of several runs of the janitor, or one that did not end."""
        runs = [self.measure(JANITOR, job, **options) for _ in range(self.sizes.repeats)]
        return max(runs, key=lambda run: (not _ended(run[0]), -run[0].wall))

    def job(self, scenario: str, size: dict[str, int], **more: Any) -> Job:
        """Return a job whose account is made for the time at which the benchmark began."""
        return Job(scenario, size, self.now, **more)

    def row(self, what: str, goal: str, got: str, met: bool | None, **figures: Any) -> None:
        """Add a line to the first table."""
        self.rows.append(Row(what, goal, got, met, figures))
        say(f"  {what}: {got}")


def say(text: str) -> None:
    """Print progress."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _figures(ran: Ran, seen: Seen) -> dict[str, Any]:
    return {**asdict(ran), **asdict(seen)}


def _ended(ran: Ran) -> bool:
    return not ran.timed_out and not any(ran.codes)


def _side(tool: Tool, ran: Ran, seen: Seen, did: dict[str, int] | None) -> Side:
    return Side(
        tool=tool.name,
        wall=ran.wall,
        stopped=ran.timed_out,
        code=max(map(abs, ran.codes)),
        calls=seen.all_calls,
        throttled=seen.all_throttled,
        look=seen.looks,
        did=did,
        figures=_figures(ran, seen),
    )


def _others(
    bench: Bench, others: tuple[Tool, ...], job: Job, counts: Callable[[Seen], dict[str, int]]
) -> list[Side]:
    """Measure the other tools at the same job, as far as time allows."""
    sides = []
    for tool in others:
        try:
            ran, seen = bench.measure(tool, job)
        except TimeIsUpError:
            say(f"  {tool.name}: time is up")
            break
        sides.append(_side(tool, ran, seen, None if tool is PLAIN else counts(seen)))
    return sides


# ---- against the quotas, side by side ------------------------------------------------------------


def speed(bench: Bench) -> None:
    """Rows 1, 2 and 4, and the comparison: retention and empty groups under real quotas."""
    groups = bench.sizes.speed
    job = bench.job("bench", {"groups": groups})
    ran, seen = bench.measure(JANITOR, job)
    need = Need(groups, seen.wanted["retention"], seen.wanted["deletions"])
    minimal, ordered = need.minimal_bound(), need.ordered_bound()
    what = f"{groups:,} groups, 2 % never expire, 3 % empty, 30 ms, real quotas"
    done = _ended(ran) and not (seen.missed_deletions or seen.missed_retention)
    bench.row(
        f"{what}: wall time over the bound",
        "at most 1.05",
        f"{ran.wall:.1f} s: {ran.wall / ordered:.2f} × {ordered:.0f} s (A), "
        f"{ran.wall / minimal:.2f} × {minimal:.0f} s (B)"
        if done
        else f"not done after {ran.wall:.0f} s",
        done and ran.wall <= 1.05 * ordered,
        bound_seconds={"ordered": ordered, "minimal": minimal},
        **_figures(ran, seen),
    )
    share = seen.all_throttled / max(seen.all_calls, 1)
    bench.row(
        "the same: throttled share of calls",
        "at most 0.2 %",
        f"{share:.2%} ({seen.all_throttled} of {seen.all_calls:,})",
        done and share <= 0.002,
        throttled=seen.throttled,
    )
    needed = need.calls()
    over = seen.all_calls / sum(needed.values()) - 1
    bench.row(
        "the same: calls above those that the work needs",
        "at most 5 %",
        f"{over:+.1%} ({seen.all_calls:,} of {sum(needed.values()):,})",
        done and over <= 0.05,
        needed=needed,
        calls=seen.calls,
    )
    looks = seen.looks
    bench.row(
        f"the same: time between last look and delete ({seen.deletions} deletions)",
        "median 0.2 s, never over 1 s",
        f"median {looks['median']:.2f} s, longest {looks['max']:.2f} s" if looks else "none",
        bool(looks) and not seen.unlooked and looks["median"] <= 0.2 and looks["max"] <= 1,
        looks=looks,
    )
    asked = [seen.calls.get(name, 0) for name in ("GetTransformer", "GetDataProtectionPolicy")]
    bench.row(
        "the same: GetTransformer (whose answer is `{}`) and GetDataProtectionPolicy (where "
        "`dataProtectionStatus` is absent), a deletion",
        "1; 0",
        f"{asked[0] / max(seen.deletions, 1):.2f}; {asked[1] / max(seen.deletions, 1):.2f}",
        done and asked == [seen.deletions, 0],
    )

    def counts(seen: Seen) -> dict[str, int]:
        return {
            "retention set": seen.puts,
            "groups deleted": seen.deletions,
            "wrong": seen.wrong_deletions + seen.lost,
            "missed": seen.missed_deletions + seen.missed_retention,
        }

    sides = (_side(JANITOR, ran, seen, counts(seen)), *_others(bench, bench.others, job, counts))
    bench.comparisons.append(
        Comparison(
            f"{groups:,} log groups, {need.puts} to get retention, {need.deletions} to delete",
            sides,
            ("retention set", "groups deleted", "wrong", "missed"),
            {
                "minimal bound (B)": minimal,
                "with every proof and a whole plan first (A)": ordered,
            },
            ('"over the bound" is over (B), which holds for every tool',),
        )
    )


def messy(bench: Bench) -> None:
    """Row 3, and its comparison: an account with every trap."""
    job = bench.job("messy", {"groups": bench.sizes.messy})
    columns = (
        "groups deleted",
        "wrongly",
        "streams swept",
        "wrongly swept",
        "deletions of live events",
        "missed",
    )

    def counts(seen: Seen) -> dict[str, int]:
        missed = seen.missed_deletions + seen.missed_retention + seen.missed_sweeps
        numbers = (
            *(seen.deletions, seen.wrong_deletions, seen.sweeps, seen.wrong_sweeps),
            *(seen.lost, missed),
        )
        return dict(zip(columns, numbers, strict=True))

    ran, seen = bench.measure(JANITOR, job, policy=None)
    wrong = seen.wrong_deletions + seen.wrong_sweeps + seen.wrong_retention + seen.lost
    missed = seen.missed_deletions + seen.missed_retention + seen.missed_sweeps
    bench.row(
        f"{bench.sizes.messy:,} messy groups with every trap: wrong deletions / missed work",
        "0 / 0",
        f"{wrong} / {missed}" + (" (stopped)" if ran.timed_out else ""),
        not ran.timed_out and not wrong and not missed,
        **_figures(ran, seen),
    )
    able = tuple(tool for tool in bench.others if tool is not PLAIN)
    sides = (_side(JANITOR, ran, seen, counts(seen)), *_others(bench, able, job, counts))
    bench.comparisons.append(
        Comparison(
            f"{bench.sizes.messy:,} messy log groups",
            sides,
            columns,
            notes=(
                "wrongly: it was protected, young, in use, owned by a live function, or in doubt; "
                "missed: deletions, retention and streams to sweep that were left undone",
            ),
        )
    )


# ---- CPU and memory ------------------------------------------------------------------------------


def scan(bench: Bench) -> None:
    """Row 5: CPU of scanning and judging over that of the plain paginator, alternately measured."""
    job = bench.job("million", {"groups": bench.sizes.scan}, quotas=False, latency=0.0, jitter=0.0)
    pairs: list[tuple[float, float]] = []
    for _ in range(bench.sizes.rounds):
        own, _ = bench.measure(REPORT, job, policy=UNPACED)
        plain, _ = bench.measure(PLAIN, job)
        if not (_ended(own) and _ended(plain)):
            break
        pairs.append((own.cpu, plain.cpu))
    got, met = "not measured", None
    if pairs:
        own_cpu, plain_cpu = (min(seconds) for seconds in zip(*pairs, strict=True))
        ratios = [own / plain for own, plain in pairs]
        got = (
            f"{own_cpu / plain_cpu:.2f} ({own_cpu:.1f} s over {plain_cpu:.1f} s, the least of "
            f"{len(pairs)} each; pairs {min(ratios):.2f} to {max(ratios):.2f})"
        )
        met = own_cpu / plain_cpu <= 1.25
    bench.row(
        f"survey of {bench.sizes.scan:,} groups, no quotas, no latency: CPU over the plain "
        "paginator's",
        "at most 1.25",
        got,
        met,
        cpu_seconds=pairs,
    )


def memory(bench: Bench) -> None:
    """Row 6: peak memory of a very large account over that of an ordinary one."""
    peaks: list[int] = []
    for groups in (bench.sizes.few, bench.sizes.many):
        job = bench.job("million", {"groups": groups}, quotas=False, latency=0.0, jitter=0.0)
        ran, _ = bench.measure(REPORT, job, policy=UNPACED)
        if not _ended(ran):
            break
        peaks.append(ran.max_rss)
    what = f"{bench.sizes.many:,} groups: peak memory, over that at {bench.sizes.few:,}"
    goal = "150 MB, 1.3"
    if len(peaks) < 2:
        bench.row(what, goal, f"stopped after {ran.wall:.0f} s", None, bytes=peaks)
        return
    few, many = peaks
    bench.row(
        what,
        goal,
        f"{many / 1e6:.0f} MB, {many / few:.2f}",
        many < 150e6 and many <= 1.3 * few,
        bytes=peaks,
    )


# ---- several targets, faults ---------------------------------------------------------------------


def many_targets(bench: Bench) -> None:
    """Row 7: two accounts in four Regions each, in one process, by assumed roles."""
    each = bench.sizes.each_target
    size = {"accounts": ACCOUNTS, "regions": PLACES, "groups": each}
    roles = tuple(
        f"arn:aws:iam::{int(ACCOUNT) + number}:role/janitor" for number in range(ACCOUNTS)
    )
    ran, seen = bench.quickest(bench.job("targets", size), regions=REGIONS[:PLACES], roles=roles)
    places = ACCOUNTS * PLACES
    need = Need(each, seen.wanted["retention"] // places, seen.wanted["deletions"] // places)
    ordered = need.ordered_bound()
    missed = seen.missed_deletions + seen.missed_retention
    done = _ended(ran) and not missed
    bench.row(
        f"{places} targets ({ACCOUNTS} accounts × {PLACES} Regions) of {each:,} groups in one "
        "process: wall time over the slowest single target's bound",
        "at most 1.15",
        f"{ran.wall:.1f} s: {ran.wall / ordered:.2f} × {ordered:.0f} s (A); {ran.cpu:.1f} s of CPU"
        if done
        else f"not done after {ran.wall:.0f} s ({missed} missed)",
        done and ran.wall <= 1.15 * ordered,
        bound_seconds=ordered,
        **_figures(ran, seen),
    )


def little_cpu(bench: Bench) -> None:
    """Row 9: many Regions on the CPU of a small function, compared with a free core."""
    places, each = bench.sizes.small_regions, bench.sizes.each_small
    job = bench.job("targets", {"accounts": 1, "regions": places, "groups": each}, tls=True)
    options: dict[str, Any] = {"regions": REGIONS[:places], "share": SMALL_SHARE}
    free, _ = bench.quickest(job, **options)
    for share in SMALL_CPUS:
        with small(share) as limited:
            ran, seen = bench.quickest(job, cpu=limited.cpu, **options)
        wanted = seen.wanted["deletions"]
        looks = seen.calls.get("GetTransformer", 0) / max(seen.deletions, 1)
        floor, _ = bench.measure(plain_calls(seen.calls), replace(job, quotas=False), **options)
        alone = floor.cpu / share
        ratio = ran.wall / max(free.wall, alone)
        bench.row(
            f"{places} Regions × {wanted // places} deletions in one process, over TLS, at "
            f"{SMALL_SHARE:.0%} of the quotas, on {share:g} vCPU ({limited.how}): deleted; looks a "
            "deletion; wall time over that on a free core, or over what as many calls by boto3 "
            "alone take of that CPU, whichever is longer",
            "all; at most 1.05; at most 1.3",
            f"{seen.deletions} of {wanted}; {looks:.2f}; {ratio:.2f} ({ran.wall:.1f} s; on a free "
            f"core {free.wall:.1f} s; {floor.cpu:.1f} s of CPU for boto3 alone, which are "
            f"{alone:.0f} s there, and {ran.cpu:.1f} s in all)",
            _ended(ran) and not seen.missed_deletions and looks <= 1.05 and ratio <= 1.3,
            free=asdict(free),
            **_figures(ran, seen),
        )


def faults(bench: Bench) -> None:
    """Row 8: the same account with and without faults."""
    groups = bench.sizes.faults
    calm_run, calm = bench.measure(JANITOR, bench.job("bench", {"groups": groups}))
    job = bench.job("bench", {"groups": groups}, faults=FAULTS)
    ran, seen = bench.measure(JANITOR, job)
    ratio = ran.wall / calm_run.wall
    same = seen.state == calm.state
    bench.row(
        f"{groups:,} groups, {FAULTS:.0%} of calls fail, in every way: wall time over the "
        "undisturbed run; final state",
        "at most 1.3; the same",
        f"{ratio:.2f} ({ran.wall:.1f} s over {calm_run.wall:.1f} s); "
        f"{'the same' if same else 'another'}",
        _ended(ran) and ratio <= 1.3 and same,
        calm=_figures(calm_run, calm),
        disturbed=_figures(ran, seen),
    )


ROWS: dict[str, Callable[[Bench], None]] = {
    "speed": speed,
    "messy": messy,
    "scan": scan,
    "memory": memory,
    "targets": many_targets,
    "cpu": little_cpu,
    "faults": faults,
}
COMPARED = ("speed", "messy")
"""The rows in which other tools are measured too."""
