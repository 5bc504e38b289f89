"""The output of the benchmark: a Markdown table, JSON, a plot, and the README's table."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape


@dataclass(frozen=True, slots=True)
class Row:
    """One goal and its measurement; `met` is None if that was not completed."""

    what: str
    goal: str
    got: str
    met: bool | None
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """One tool in a comparison. Times in seconds; `did` has the counts of the table's columns, None
    if the tool does not do the job.
    """

    tool: str
    wall: float
    stopped: bool
    code: int
    calls: int
    throttled: int
    look: dict[str, float]
    did: dict[str, int] | None
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several tools at one job; `bounds` are seconds by name, of which the first is the measure."""

    job: str
    sides: tuple[Side, ...]
    columns: tuple[str, ...]
    bounds: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run of the benchmark."""

    conditions: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]


def write(results: Results, folder: Path, readme: Path | None = None) -> None:
    """Write table.md, results.json and plot.svg into `folder`, and the short table between the
    markers of `readme`. Raises ValueError if these are missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = markdown(results)
    (folder / "table.md").write_text(table, encoding="utf-8")
    (folder / "results.json").write_text(_json(asdict(results)), encoding="utf-8")
    timed = [comparison for comparison in results.comparisons if comparison.bounds]
    if timed:
        (folder / "plot.svg").write_text(svg(timed[0]), encoding="utf-8")
    if readme is not None:
        text = readme.read_text(encoding="utf-8")
        readme.write_text(between_markers(text, briefly(results)), encoding="utf-8")


def _json(results: dict[str, Any]) -> str:
    """Return JSON with a line for each row, comparison and note, so that runs can be compared."""

    def listed(items: Iterable[Any]) -> str:
        return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in items) + "\n]"

    conditions = json.dumps(results["conditions"], ensure_ascii=False)
    lists = [f'"{key}": {listed(items)}' for key, items in results.items() if key != "conditions"]
    return "{" + ",\n".join([f'"conditions": {conditions}', *lists]) + "}\n"


def between_markers(text: str, table: str) -> str:
    """Return the text with the table between its two markers. Raises ValueError without them."""
    first, last = "<!-- bench -->", "<!-- /bench -->"
    before, begin, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"no {first} … {last} to put the table between")
    return f"{before}{first}\n{table}{last}{after}"


# ---- tables --------------------------------------------------------------------------------------


def markdown(results: Results) -> str:
    """Return all tables and notes."""
    lines = [results.conditions, ""]
    if results.rows:
        lines += ["| what | goal | measured | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {row.what} | {row.goal} | {row.got} | {_verdict(row.met)} |" for row in results.rows
        ]
        lines += [""]
    for comparison in results.comparisons:
        lines += [*_compared(comparison), ""]
    lines += [f"- {note}" for note in results.notes]
    return "\n".join(lines).rstrip() + "\n"


def briefly(results: Results) -> str:
    """Return a short table: what each tool does wrong, leaves undone, and how long it takes."""
    rows = {}
    for comparison in results.comparisons:
        done = {side.tool: side for side in comparison.sides if side.did}
        if "wrongly" in comparison.columns:
            for row, name in (("deleted wrongly", "wrongly"), ("left undone", "missed")):
                counts = {tool: f"{(side.did or {})[name]:,}" for tool, side in done.items()}
                rows[f"{row}, in {comparison.job}"] = counts
        if comparison.bounds:
            rows[f"time for {comparison.job}"] = {
                tool: f"{side.wall:,.0f} s" for tool, side in done.items()
            }
    tools = list(dict.fromkeys(tool for row in rows.values() for tool in row))
    lines = [["", *tools], ["---", *("---:" for _ in tools)]]
    lines += [[name, *(row.get(tool, "") for tool in tools)] for name, row in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _verdict(met: bool | None) -> str:
    return "" if met is None else ("met" if met else "**missed**")


def _compared(comparison: Comparison) -> list[str]:
    heads = ["tool", "wall time", "calls", "throttled", "last look, median / max"]
    if comparison.bounds:
        heads.insert(2, "over the bound")
    heads += comparison.columns
    return [
        comparison.job,
        "",
        f"| {' | '.join(heads)} |",
        f"| --- |{' ---: |' * (len(heads) - 1)}",
        *(_line(side, comparison) for side in comparison.sides),
        *(["", *(f"- {note}" for note in comparison.notes)] if comparison.notes else []),
    ]


def _line(side: Side, comparison: Comparison) -> str:
    cells = [side.tool, wall_of(side)]
    if comparison.bounds:
        bound = next(iter(comparison.bounds.values()))
        cells.append("" if side.stopped else f"{side.wall / bound:.2f}")
    cells += [
        f"{side.calls:,}",
        f"{side.throttled / side.calls:.1%}" if side.calls else "",
        f"{side.look['median']:.2f} s / {side.look['max']:.2f} s" if side.look else "",
    ]
    cells += [f"{side.did[name]:,}" if side.did else "" for name in comparison.columns]
    return f"| {' | '.join(cells)} |"


def wall_of(side: Side) -> str:
    """Return how long the tool took, or that it was stopped or failed."""
    seconds = f"{side.wall:,.0f} s"
    if side.stopped:
        return f"stopped after {seconds}"
    return f"{seconds} (exit {side.code})" if side.code else seconds


# ---- the plot ------------------------------------------------------------------------------------

WIDTH, LEFT, RIGHT, STEP, TOP = 760, 190, 170, 34, 48
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .own { fill: #1f77b4; } .other { fill: #8c959f; }
  .bound { stroke: #c2410c; stroke-width: 2; stroke-dasharray: 5 3; }
  text.bound { fill: #c2410c; stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .own { fill: #58a6ff; } .other { fill: #7d8590; }
    .bound { stroke: #fb923c; } text.bound { fill: #fb923c; stroke: none; }
  }
"""


def svg(comparison: Comparison) -> str:
    """Return a plot, for light and dark: a bar for each tool's wall time, a line for each bound."""
    sides, bounds = comparison.sides, comparison.bounds
    floor = TOP + STEP * len(sides)
    height = floor + 12 + 20 * len(bounds)
    longest = max([*bounds.values(), *(side.wall for side in sides)])
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(_spoken(comparison))}</title>',
        f"<style>{STYLE}</style>",
        f'<text x="16" y="22">{escape(comparison.job)}</text>',
    ]
    for index, side in enumerate(sides):
        y = TOP + STEP * index
        width = max(side.wall * scale, 1)
        middle = y + STEP / 2 + 1
        kind = "own" if index == 0 else "other"
        parts += [
            f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(side.tool)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y + 4}" width="{width:.1f}" '
            f'height="{STEP - 12}" rx="2"/>',
            f'<text x="{LEFT + width + 8:.1f}" y="{middle:.0f}">{escape(wall_of(side))}</text>',
        ]
    for index, (name, seconds) in enumerate(bounds.items()):
        at = LEFT + seconds * scale
        below = floor + 18 + 20 * index
        parts += [
            f'<line class="bound" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6}" y2="{below - 5}"/>',
            f'<text class="bound" x="{at + 6:.1f}" y="{below}">'
            f"{escape(name)}: {seconds:,.0f} s</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _spoken(comparison: Comparison) -> str:
    walls = ", ".join(f"{side.tool} {wall_of(side)}" for side in comparison.sides)
    bounds = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in comparison.bounds.items())
    return f"{comparison.job}: {walls}. Bounds: {bounds}."
