"""The benchmark: this project and other tools on the same simulated account.

Each tool runs as its users run it: as a process, from its published package in its own virtual
environment under build/bench/ (created the first time), against a simulated AWS on 127.0.0.1 in
another process. Writes table.md, results.json and plot.svg into docs/bench/ (with --quick, whose
figures say little, into build/bench/), and on request the README's table.

It takes about 50 minutes and never more than 60 (--quick: 5), apart from creating the virtual
environments: what is not done by then is stopped, and the table says so.
"""

from __future__ import annotations

import argparse
import os
import platform
from dataclasses import replace
from pathlib import Path

from tests.bench import output, tools
from tests.bench.rows import COMPARED, QUICK, ROWS, Bench, Sizes, TimeIsUpError, say
from tests.bench.tools import C7N, JANITOR, LOG_MINDER, PLAIN, ROOT

OTHERS = {tool.name: tool for tool in (C7N, LOG_MINDER, PLAIN)}
NOTES = (
    "(A), the bound for what this project promises: a whole survey, with every proof, then the "
    "plan's changes, each deletion with its last look; the limits hold for the whole run and are "
    "checked on the plan, so none may begin before the survey's end. Of either part it is the "
    "number of calls over the quota of its slowest operation, all operations overlapping: "
    "DescribeSubscriptionFilters in the survey, once a deletion, then ListTagsForResource, once a "
    "change. (B): what every tool does, all of it at once: DescribeLogGroups a page, "
    "DescribeLogStreams and DeleteLogGroup once a deletion, PutRetentionPolicy once each",
    "calls that the work needs: in the survey DescribeLogGroups a page, DescribeLogStreams and "
    "DescribeSubscriptionFilters once a deletion, tags 100 groups a call; then what is planned "
    "is read again, 50 groups a call, and once a deletion its streams, filters, tags and "
    "itself, its index policy, transformer and resource policy, and DeleteLogGroup; for each "
    "retention to set, the log group's tags and PutRetentionPolicy. "
    "What is above that are the lists of owners, half of it, and questions about tags and "
    "arrivals, asked a few a second as they come up: to wait for a whole call of them would take "
    "longer",
    "wall times of several targets and of a small CPU are the least of three",
    "CPU is user and system time of the tool's process, start-up included; memory is its peak "
    "resident set",
)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write the results."""
    options = _options(arguments)
    sizes = QUICK if options.quick else Sizes()
    rows = options.only.split(",") if options.only else list(ROWS)
    others = tuple(OTHERS[name] for name in options.tools.split(",") if name)
    versions = []
    for tool in dict.fromkeys((JANITOR, *others, *((PLAIN,) if "scan" in rows else ()))):
        say(f"installing {tool.name}")
        versions.append(f"{tool.package} {tools.install(tool)}")
    if options.deadline is not None:
        sizes = replace(sizes, deadline=options.deadline)
    load, bench = os.getloadavg()[0], Bench(sizes, others)
    notes = list(NOTES)
    measured: dict[str, list[output.Row]] = {}
    # Rows in which others may take long come last, so that this project is always measured.
    for name in sorted(rows, key=lambda name: name in COMPARED):
        say(name)
        bench.rows = measured[name] = []
        try:
            ROWS[name](bench)
        except TimeIsUpError:
            notes.append(f"time was up before the row {name!r} was measured to its end")
    results = output.Results(
        _conditions(versions, load, quick=options.quick),
        tuple(row for name in rows for row in measured[name]),
        tuple(bench.comparisons),
        tuple(notes),
    )
    output.write(results, options.output, options.readme)
    say(f"written: {options.output}")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small accounts, at most 5 minutes")
    parser.add_argument(
        "--only", default="", metavar="ROWS", help=f"of {','.join(ROWS)}; all if left out"
    )
    parser.add_argument(
        "--tools",
        default=",".join(OTHERS),
        metavar="TOOLS",
        help=f"which others to compare with, of {','.join(OTHERS)}; '' for none",
    )
    parser.add_argument(
        "--deadline", type=float, metavar="SECONDS", help="of each other tool (1,000; --quick: 45)"
    )
    parser.add_argument("-o", "--output", type=Path, help="a folder, instead of those")
    parser.add_argument(
        "--readme", type=Path, help="a file to put the table into, between its markers"
    )
    options = parser.parse_args(arguments)
    for given, known in ((options.only, ROWS), (options.tools, OTHERS)):
        if unknown := set(filter(None, given.split(","))) - known.keys():
            parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    if options.output is None:
        options.output = tools.BUILD if options.quick else ROOT / "docs" / "bench"
    return options


def _conditions(versions: list[str], load: float, *, quick: bool) -> str:
    machine = (
        f"{os.cpu_count()} cores (load average before: {load:.1f}), {platform.machine()}, "
        f"Python {platform.python_version()}"
    )
    small = " Small accounts (`--quick`): start-up weighs more than it should." if quick else ""
    return f"By `make bench` on a machine with {machine}: {', '.join(versions)}.{small}"


if __name__ == "__main__":
    main()
