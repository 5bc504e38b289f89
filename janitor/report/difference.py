"""What changed between two reports: `diff`, and `report --since`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from janitor.core.errors import UsageError
from janitor.core.model import Outcome, SetRetention, Status, verb_of
from janitor.core.text import expiry, size, some
from janitor.report.base import RunInfo, dollars
from janitor.report.summary import Summary

_Key = tuple[str, str, str]
KINDS = {
    "new": ("new", "new findings"),
    "gone": ("gone", "no longer a finding"),
    "changed": ("decided differently", "decided differently"),
}
"""What may have become of a log group: its heading in `diff`, and in `report --since`."""
_FIGURES = (
    ("groups_scanned", "Log groups", "{:,}".format),
    ("stored_bytes", "Stored", size),
    ("storage_usd", "Storage a month", dollars),
    ("saved_steady_usd", "Savings a month", dollars),
    ("freed_at_once_bytes", "Lost for good", size),
    ("unknown", "Not judged", "{:,}".format),
)
_COUNTS = ("groups_scanned", "stored_bytes", "unknown")
_COSTS = ("storage_usd", "saved_steady_usd", "freed_at_once_bytes")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class _Run(_Part):
    started: AwareDatetime
    account: str
    regions: list[str]
    policy_sha256: str


class _Row(_Part):
    account: str
    region: str
    group: str
    action: str
    status: str
    retention_days: int | None
    new_retention_days: int | None
    creation_time: int
    stored_bytes: int
    retention_policy: str | None
    log_class: str = Field(alias="class")
    tags: dict[str, str] | None = None


class _Money(_Part):
    storage_usd: float | None
    saved_steady_usd: float | None
    freed_at_once_bytes: int


class _Summary(_Part):
    complete: bool
    kept: int
    groups_scanned: int
    stored_bytes: int
    unknown: int
    money: _Money

    def figures(self) -> dict[str, Any]:
        return {key: getattr(self, key) for key in _COUNTS} | {
            key: getattr(self.money, key) for key in _COSTS
        }


class Saved(_Part):
    """The part of a report saved with `--format json` that a comparison needs."""

    run: _Run
    findings: list[_Row]
    summary: _Summary

    @property
    def found(self) -> list[_Row]:
        """What is not simply kept."""
        return [row for row in self.findings if row.status != Status.KEPT]

    @property
    def lists_all(self) -> bool:
        """Whether it was made with `--all`: it also lists whatever is kept."""
        return len(self.findings) - len(self.found) >= self.summary.kept


def read(path: Path) -> Saved:
    """Return a report saved with `--format json`. Raises UsageError."""
    try:
        return Saved.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        made = "make one with `janitor report --all -f json -o FILE`"
        raise UsageError(f"{path}: is not a report saved as JSON; {made}") from error


def difference(old: Saved, new: Saved) -> dict[str, Any]:
    """Return the figures of `summary`, each `{old, new}`, and the `new`, `gone` and `changed` log
    groups. Unless both reports were made with `--all`, that is so of findings only, not of log
    groups that are kept.
    """
    both = old.lists_all and new.lists_all
    before, after = (one.findings if both else one.found for one in (old, new))
    figures = old.summary.figures(), new.summary.figures()
    found = caveats(old, new.run)
    if not new.summary.complete:
        found.append("the newer report is not complete")
    if not both:
        found.append("only findings are compared: not both reports were made with --all")
    return {"caveats": found, **_difference(*figures, _decisions(before), _decisions(after))}


def caveats(old: Saved, run: RunInfo | _Run) -> list[str]:
    """Return what keeps the older report from being compared with one whose `run` is given."""
    was, now = _places(old.run), _places(run)
    texts = {
        "the older report is not complete": not old.summary.complete,
        "the reports are of different policies": old.run.policy_sha256 != run.policy_sha256,
        f"only the older report covers {some(sorted(was - now), 5)}": was - now,
        f"only the newer report covers {some(sorted(now - was), 5)}": now - was,
    }
    return [text for text, holds in texts.items() if holds]


def _places(run: RunInfo | _Run) -> set[str]:
    return {*run.account.split(", "), *run.regions}


class Since:
    """Compares the findings of a run, added one by one, with those of an older report."""

    def __init__(self, old: Saved) -> None:
        self._old = old
        self._before = _decisions(old.found)
        self._findings: dict[_Key, dict[str, Any]] = {}

    def add(self, outcome: Outcome) -> None:
        """Add a finding of this run."""
        action = outcome.action
        decision = {
            "action": verb_of(action).value,
            "status": outcome.status.value,
            "retention_days": outcome.group.retention_days,
            "new_retention_days": action.days if isinstance(action, SetRetention) else None,
        }
        self._findings.setdefault(_key(outcome), decision)

    def kind(self, outcome: Outcome) -> str:
        """Return what became of the outcome's log group: a key of `KINDS`, or "" for nothing."""
        key = _key(outcome)
        before, now = self._before.get(key), self._findings.get(key)
        if before == now:
            return ""
        return "new" if before is None else "gone" if now is None else "changed"

    def caveats(self, run: RunInfo) -> list[str]:
        """Return what keeps the older report from being compared with this run."""
        return caveats(self._old, run)

    def as_dict(self, summary: Summary) -> dict[str, Any]:
        """Return when the older report was made, as `started`, and the difference as in `diff`."""
        money = summary.money
        now = {key: getattr(summary, key) for key in _COUNTS} | {key: money[key] for key in _COSTS}
        was = self._old.summary.figures()
        changed = _difference(was, now, self._before, self._findings)
        return {"started": self._old.run.started.isoformat(), **changed}


def _difference(
    was: Mapping[str, Any],
    now: Mapping[str, Any],
    before: Mapping[_Key, dict[str, Any]],
    after: Mapping[_Key, dict[str, Any]],
) -> dict[str, Any]:
    return {
        "summary": {key: {"old": was[key], "new": now[key]} for key in (*_COUNTS, *_COSTS)},
        "new": [_place(key) | after[key] for key in sorted(after.keys() - before.keys())],
        "gone": [_place(key) | before[key] for key in sorted(before.keys() - after.keys())],
        "changed": [
            {**_place(key), "old": before[key], "new": after[key]}
            for key in sorted(before.keys() & after.keys())
            if before[key] != after[key]
        ],
    }


def _decisions(rows: Iterable[_Row]) -> dict[_Key, dict[str, Any]]:
    """Return what was decided by log group; the first finding counts if there are several."""
    found: dict[_Key, dict[str, Any]] = {}
    for row in rows:
        fields = ("action", "status", "retention_days", "new_retention_days")
        decision = {name: getattr(row, name) for name in fields}
        found.setdefault((row.account, row.region, row.group), decision)
    return found


def _key(outcome: Outcome) -> _Key:
    group = outcome.group
    return group.target.account, group.target.region, group.name


def _place(key: _Key) -> dict[str, Any]:
    return dict(zip(("account", "region", "group"), key, strict=True))


def figures(found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each figure for people: its label, the old value and the new one."""
    for key, label, text in _FIGURES:
        pair = found["summary"][key]
        yield label, text(pair["old"]), text(pair["new"])


def decided(kind: str, row: Mapping[str, Any]) -> str:
    """Return what was decided about the log group of a row, for people."""
    return f"{_words(row['old'])} -> {_words(row['new'])}" if kind == "changed" else _words(row)


def since(found: Mapping[str, Any]) -> str:
    """Return the heading of what changed since an older report."""
    return f"Since {datetime.fromisoformat(found['started']):%Y-%m-%d %H:%M} UTC"


def _words(row: Mapping[str, Any]) -> str:
    given = row["new_retention_days"]
    days = expiry(row["retention_days"]) + (f" to {expiry(given)}" if given else "")
    return f"{row['action'].replace('_', ' ')} ({row['status']}, {days})"
