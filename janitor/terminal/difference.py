"""`diff`: what changed between two reports that were saved as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from janitor.core.errors import Exit, UsageError
from janitor.core.text import size, visible
from janitor.report.base import Format, counted, dollars

_Key = tuple[str, str, str]
_COUNTS = (
    ("groups_scanned", "log groups"),
    ("stored_bytes", "stored"),
    ("unknown", "could not be judged"),
)


@dataclass(frozen=True, slots=True)
class Saved:
    """A report. `at` in ms."""

    at: int
    findings: list[dict[str, Any]]
    summary: Mapping[str, Any]

    @property
    def groups(self) -> dict[_Key, dict[str, Any]]:
        """Its log groups; of one with several findings the first."""
        found: dict[_Key, dict[str, Any]] = {}
        for row in self.findings:
            found.setdefault((row["account"], row["region"], row["group"]), row)
        return found


def read(path: Path) -> Saved:
    """A report saved with `--format json`. Raises UsageError."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        started = datetime.fromisoformat(said["run"]["started"])
        return Saved(int(started.timestamp() * 1000), said["findings"], said["summary"])
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError) as error:
        made = "make one with `janitor report --all -f json -o FILE`"
        raise UsageError(f"{path}: is not a report saved as JSON; {made}") from error


def diff(old: Path, new: Path, form: Format) -> Exit:
    """Show what is new, gone and decided otherwise, and what it costs now. Raises UsageError."""
    if form not in (Format.TABLE, Format.JSON):
        raise UsageError(f"--format: diff prints table or json, not {form}")
    found = difference(read(old), read(new))
    if form is Format.JSON:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in _text(found)))
    return Exit.DONE


def difference(old: Saved, new: Saved) -> dict[str, Any]:
    """`summary` by number, each `{old, new}`; `new`, `gone` and `changed` log groups. Those that
    are only in one report because the other was made without `--all` count as new or gone.
    """
    before, after = old.groups, new.groups
    costs = ("storage_usd", "saved_steady_usd", "freed_at_once_bytes")
    pairs = {key: (old.summary[key], new.summary[key]) for key, _ in _COUNTS}
    pairs |= {key: (old.summary["money"][key], new.summary["money"][key]) for key in costs}
    changed = [
        {**_place(key), "old": _decided(before[key]), "new": _decided(after[key])}
        for key in sorted(before.keys() & after.keys())
        if _decided(before[key]) != _decided(after[key])
    ]
    return {
        "summary": {key: {"old": was, "new": now} for key, (was, now) in pairs.items()},
        "new": [_place(key) | _decided(after[key]) for key in sorted(after.keys() - before.keys())],
        "gone": [
            _place(key) | _decided(before[key]) for key in sorted(before.keys() - after.keys())
        ],
        "changed": changed,
    }


def _place(key: _Key) -> dict[str, Any]:
    return dict(zip(("account", "region", "group"), key, strict=True))


def _decided(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("action", "status", "retention_days", "new_retention_days")}


def _text(found: Mapping[str, Any]) -> list[str]:
    said = found["summary"]
    lines = []
    for key, label, shown in (
        ("groups_scanned", "Log groups", "{:,}".format),
        ("stored_bytes", "Stored", size),
        ("storage_usd", "Storage a month", dollars),
        ("saved_steady_usd", "Saved a month", dollars),
        ("freed_at_once_bytes", "Lost for good", size),
        ("unknown", "Not judged", "{:,}".format),
    ):
        lines.append(f"{label:<16} {shown(said[key]['old']):>12} -> {shown(said[key]['new']):>12}")
    for kind, title in (("new", "new"), ("gone", "gone"), ("changed", "decided otherwise")):
        if rows := found[kind]:
            lines.append(f"{counted(len(rows), 'log group')} {title}:")
        for row in rows:
            what = (
                f"{_words(row['old'])} -> {_words(row['new'])}"
                if kind == "changed"
                else _words(row)
            )
            lines.append(f"  {row['region']}  {visible(row['group'])}  {what}")
    if not any(found[kind] for kind in ("new", "gone", "changed")):
        lines.append("no log group is new, gone or decided otherwise")
    return lines


def _words(row: Mapping[str, Any]) -> str:
    days = "never expires" if row["retention_days"] is None else f"{row['retention_days']} days"
    return f"{row['action'].replace('_', ' ')} ({row['status']}, {days})"
