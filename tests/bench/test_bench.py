"""The benchmark's harness: what it writes, how it counts, and one tiny row end to end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import output, rows, tools, work
from tests.bench.output import Comparison, Results, Row, Side
from tests.bench.rows import Bench, Sizes, TimeIsUpError
from tests.bench.simulator import compare
from tests.bench.small import small
from tests.fakes.scenarios import bench as bench_scenario


@pytest.fixture
def results() -> Results:
    """A comparison with one tool that ended and one that was stopped, and three kinds of row."""
    quick = Side("quick", 12.3, False, 0, 200, 1, {"median": 0.03, "max": 0.5}, {"wrong": 0})
    slow = Side("slow <x>", 60.0, True, 9, 0, 0, {}, None)
    compared = Comparison("100 log groups", (quick, slow), ("wrong",), {"bound": 10.0}, ("a note",))
    return Results(
        "By hand.",
        (
            Row("speed", "1.05", "1.23", False),
            Row("care", "0", "0", True),
            Row("size", "1", "stopped", None),
        ),
        (compared,),
        ("another note",),
    )


def test_the_table_has_verdicts(results: Results) -> None:
    """Each row ends in its verdict, and a tool that did not end has no ratio."""
    table = output.markdown(results)
    assert "| speed | 1.05 | 1.23 | **missed** |" in table
    assert "| care | 0 | 0 | met |" in table
    assert "| size | 1 | stopped |  |" in table
    assert "| quick | 12 s | 1.23 | 200 | 0.5% | 0.03 s / 0.50 s | 0 |" in table
    assert "| slow <x> | stopped after 60 s |  | 0 |  |  |  |" in table
    assert table.index("- a note") < table.index("- another note")


def test_all_files_are_written_and_only_the_readmes_table_is_replaced(
    results: Results, tmp_path: Path
) -> None:
    """Writing twice gives the same, as the old table is replaced."""
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n<!-- bench -->\nold\n<!-- /bench -->\nthe end\n")
    for _ in range(2):
        output.write(results, tmp_path / "bench", readme)
    assert readme.read_text() == (
        "# Title\n<!-- bench -->\n"
        "|  | quick |\n| --- | ---: |\n| time for 100 log groups | 12 s |\n"
        "<!-- /bench -->\nthe end\n"
    )
    written = json.loads((tmp_path / "bench" / "results.json").read_text())
    assert written["comparisons"][0]["sides"][0]["wall"] == 12.3
    root = ET.fromstring((tmp_path / "bench" / "plot.svg").read_text())
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert float(bars[1].attrib["width"]) == pytest.approx(
        float(bars[0].attrib["width"]) * 60 / 12.3, rel=0.01
    )


def test_a_readme_without_markers_is_left_alone(results: Results, tmp_path: Path) -> None:
    """An error is better than a table in the wrong place."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- /bench --> the wrong way round <!-- bench -->")
    with pytest.raises(ValueError, match="no <!-- bench -->"):
        output.write(results, tmp_path, readme)
    assert readme.read_text() == "<!-- /bench --> the wrong way round <!-- bench -->"


def test_the_readme_shows_the_last_results() -> None:
    """The README's short table agrees with the results in docs/bench."""
    text = (tools.ROOT / "README.md").read_text(encoding="utf-8")
    results = json.loads((tools.ROOT / "docs/bench/results.json").read_text(encoding="utf-8"))
    comparisons = tuple(
        Comparison(**{**one, "sides": tuple(Side(**side) for side in one["sides"])})
        for one in results["comparisons"]
    )
    table = output.briefly(Results("", (), comparisons, ()))
    assert text == output.between_markers(text, table)


def test_bounds_follow_from_the_job_and_the_quotas() -> None:
    """The bounds of 10,000 groups, of which 200 get a retention and 300 are deleted."""
    need = work.Need(10_000, 200, 300)
    assert need.calls()["DescribeLogGroups"] == 200 + 10 + 300
    assert (need.minimal_bound(), need.ordered_bound()) == (40.0, 60.0 + 100.0)


def test_wrong_and_missed_are_counted_apart() -> None:
    """A wrong deletion, a missed deletion and a missed retention are counted separately."""
    scenario = bench_scenario(50, never_expire=0.02, empty=0.02)
    before = scenario.truth.copy()
    victim = next(key for key, wanted in scenario.expected.items() if wanted.verdict == "keep")
    scenario.delete(victim)
    counted = compare(scenario, before)
    assert counted["wanted"] == {"deletions": 1, "retention": 1, "sweeps": 0}
    assert (counted["wrong_deletions"], counted["missed_deletions"]) == (1, 1)
    assert (counted["missed_retention"], counted["wrong_retention"]) == (1, 0)
    assert any(victim[2] in line for line in counted["examples"])


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with the janitor's command, instead of its virtual environment."""
    command = tmp_path / "janitor"
    python = f'PYTHONPATH="{tools.ROOT}" exec "{sys.executable}"'
    command.write_text(f'#!/bin/sh\n{python} -m janitor "$@"\n')
    command.chmod(0o755)
    return tmp_path


def test_a_tiny_account_end_to_end(commands: Path) -> None:
    """The janitor runs as a process on a simulator in another one, is judged and counted."""
    bench = Bench(Sizes(speed=100, deadline=60, total=60), bin_of=lambda _tool: commands)
    rows.speed(bench)
    speed, throttled, calls, looks, asked = bench.rows
    assert speed.figures["codes"] == (0,)
    assert speed.figures["deletions"] == speed.figures["wanted"]["deletions"] == 3
    assert speed.figures["puts"] == speed.figures["wanted"]["retention"] == 2
    assert speed.figures["max_rss"] > 1_000_000
    assert sum(map(sum, speed.figures["timeline"].values())) == sum(calls.figures["calls"].values())
    assert looks.figures["looks"]["median"] > 0
    assert (throttled.met, asked.met) == (True, True)
    assert bench.comparisons[0].sides[0].did == {
        "retention set": 2,
        "groups deleted": 3,
        "wrong": 0,
        "missed": 0,
    }


def test_a_tool_that_does_not_end_is_stopped_and_reported(tmp_path: Path) -> None:
    """Its deadline ends a tool, and the benchmark's own time limit ends the rest."""
    command = tmp_path / "janitor"
    command.write_text(f"#!/bin/sh\necho {tools.ROOT}/x $HOME >&2\nexec sleep 60\n")
    command.chmod(0o755)
    bench = Bench(Sizes(speed=50, deadline=0.2, total=3), bin_of=lambda _tool: tmp_path)
    rows.speed(bench)
    assert (bench.comparisons[0].sides[0].stopped, bench.rows[0].met) == (True, False)
    assert bench.rows[0].figures["stderr"] == "./x ~\n", "without paths of this machine"
    late = Bench(Sizes(total=0), bin_of=lambda _tool: tmp_path)
    with pytest.raises(TimeIsUpError):
        rows.speed(late)
    assert late.rows == []


def test_a_small_cpu_without_a_quota_of_the_kernel(tmp_path: Path) -> None:
    """The command is stopped again and again but ends, and nothing is left behind."""
    mounted, folder = tmp_path / "mounted", tmp_path / "folder"
    mounted.mkdir()
    folder.mkdir()
    with small(0.5, mounted) as limited:
        ran = tools.run([[sys.executable, "-c", "exit(7)"]], {}, folder, 60, limited.cpu)
    assert (ran.codes, ran.timed_out) == ((7,), False)
    assert (limited.how, [*mounted.iterdir()]) == ("by stopping the process again and again", [])
