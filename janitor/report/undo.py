"""The outputs of an undo, in every format but HTML. Undos are short, so they are held in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import IO, Any, assert_never

from rich.text import Text

from janitor.core.model import Restoration, Status
from janitor.core.text import markdown, visible
from janitor.report.base import Format, RunInfo
from janitor.report.csv import Rows
from janitor.report.summary import doing
from janitor.report.table import Output

TITLES = {
    Status.PLANNED: "Would be restored",
    Status.DONE: "Restored",
    Status.FAILED: "Failed",
    Status.UNKNOWN: "Unknown, left alone",
    Status.KEPT: "Left alone",
    Status.NOT_REACHED: "Not reached",
}
SHOWN = 20
"""Items of a status that people are shown unless they ask for all."""
Section = tuple[str, list[Restoration], int]
"""A title, items, and how many more there are."""
COLUMNS = ("account", "region", "group", "action", "status", "reason", "changes", "left")


def row(item: Restoration) -> dict[str, Any]:
    """Return an item as one record."""
    return {
        "account": item.target.account,
        "region": item.target.region,
        "group": item.group,
        "action": item.action,
        "status": item.status.value,
        "reason": item.reason,
        "changes": list(item.changes),
        "left": list(item.left),
    }


def write(
    form: Format,
    out: IO[str],
    info: RunInfo,
    items: Sequence[Restoration],
    summary: Mapping[str, Any],
    *,
    everything: bool,
) -> None:
    """Write an undo in a format; the caller refuses HTML. For people long lists are cut short
    unless `everything` is set.
    """
    sections = _sections(items, len(items) if everything else SHOWN)
    match form:
        case Format.JSON:
            _json(out, info, items, summary)
        case Format.JSONL:
            _jsonl(out, info, items, summary)
        case Format.CSV:
            _csv(out, items)
        case Format.MARKDOWN:
            _markdown(out, info, sections)
        case Format.TABLE:
            _table(out, info, sections)
        case Format.HTML:
            raise ValueError("html is not a format of an undo")
        case _:
            assert_never(form)


def _json(
    out: IO[str], info: RunInfo, items: Sequence[Restoration], summary: Mapping[str, Any]
) -> None:
    report = {"run": info.as_dict(), "findings": [row(item) for item in items], "summary": summary}
    out.write(json.dumps(report) + "\n")


def _jsonl(
    out: IO[str], info: RunInfo, items: Sequence[Restoration], summary: Mapping[str, Any]
) -> None:
    lines = [
        {"type": "run", **info.as_dict()},
        *({"type": "finding", **row(item)} for item in items),
        {"type": "summary", **summary},
    ]
    for line in lines:
        out.write(json.dumps(line) + "\n")


def _csv(out: IO[str], items: Sequence[Restoration]) -> None:
    rows = Rows(out, COLUMNS)
    for item in items:
        lists = {"changes": "; ".join(item.changes), "left": "; ".join(item.left)}
        rows.add(row(item) | lists)


def _markdown(out: IO[str], info: RunInfo, sections: Sequence[Section]) -> None:
    doing = "dry run" if info.dry_run else "applied"
    out.write(f"## Undo: {info.accounts}, {', '.join(info.regions)} ({doing})\n")
    for title, found, more in sections:
        out.write(f"\n### {title} ({len(found) + more:,})\n\n")
        out.write("| Region | Log group | What | Why |\n| --- | --- | --- | --- |\n")
        for item in found:
            cells = (info.place(item.target), item.group, "; ".join(item.changes), _why(item))
            out.write(f"| {' | '.join(markdown(cell) for cell in cells)} |\n")
        if more:
            out.write(f"\n… and {more:,} more.\n")


def _table(out: IO[str], info: RunInfo, sections: Sequence[Section]) -> None:
    """Write each reason once. A long text, such as a policy in JSON, has a line of its own that
    only the terminal breaks, so that it can be copied.
    """
    console = Output(out)
    done = any(item.status is Status.DONE for _, items, _ in sections for item in items)
    console.print(Text(f"{info.accounts} · {', '.join(info.regions)}", style="bold"))
    console.print(f"undo: {doing(dry_run=info.dry_run, changed=done)}")
    for title, found, more in sections:
        console.print()
        console.print(Text(f"{title} ({len(found) + more:,})", style="bold"))
        by_reason: dict[str, list[Restoration]] = {}
        for item in found:
            by_reason.setdefault(item.reason, []).append(item)
        for reason, items in by_reason.items():
            console.print(f"  {visible(reason)}:", soft_wrap=True)
            for item in items:
                place = f"    {info.place(item.target)}  {visible(item.group)}"
                texts = (*item.changes, *(f"left: {text}" for text in item.left))
                changes = [*map(visible, texts)]  # a line end in a forged tag starts no line
                line = f"{place}  {'; '.join(changes)}".rstrip()
                for text in [line] if len(line) <= console.width else [place, *_packed(changes)]:
                    console.print(text, soft_wrap=True)
        if more:
            console.print(f"  … and {more:,} more: --all lists them")


def _packed(texts: Sequence[str]) -> list[str]:
    """Return lines in which short texts share 80 columns, and long ones stand alone."""
    packed = [""]
    for text in texts:
        joined = f"{packed[-1]}; {text}"
        if packed[-1] and len(joined) <= 80:
            packed[-1] = joined
        else:
            packed.append(f"      {text}")
    return packed[1:]


def _sections(items: Sequence[Restoration], most: int) -> list[Section]:
    """Return the items by status, log groups first; failures are never cut short."""
    sections: list[Section] = []
    for status, title in TITLES.items():
        found = [item for item in items if item.status is status]
        found.sort(key=lambda item: item.action)
        shown = found if status in (Status.FAILED, Status.UNKNOWN) else found[:most]
        if found:
            sections.append((title, shown, len(found) - len(shown)))
    return sections


def _why(item: Restoration) -> str:
    return "; ".join([item.reason, *(f"left: {text}" for text in item.left)])
