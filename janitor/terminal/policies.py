"""`policy validate` and `policy test`: what a policy file means, without calling AWS."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from janitor.aws.regions import check_region, known_regions
from janitor.core.clock import SystemClock
from janitor.core.errors import UsageError
from janitor.core.exit_codes import Exit
from janitor.core.model import DeleteGroup, LogGroup, SetRetention, Target, verb_of
from janitor.core.text import counted, visible
from janitor.owners.table import unknown
from janitor.policy.file import SHIPPED, Policy, load
from janitor.policy.judge import judge
from janitor.policy.lint import warnings
from janitor.report.base import Format, check_table_or_json


def validate(path: Path | None) -> Exit:
    """Print whether a policy file is valid, and warnings. Raises PolicyError with all mistakes."""
    policy, source = load(path, unknown), _source(path)
    found = list(warnings(policy, known_regions()))
    found += map(str, policy.expired(SystemClock().now()))
    for text in found:
        sys.stderr.write(f"{source}: warning: {text}\n")
    more = f", {counted(len(found), 'warning')}" if found else ""
    sys.stdout.write(f"{source}: valid, {counted(len(policy.rules), 'rule')}{more}\n")
    return Exit.DONE


def _source(path: Path | None) -> str:
    return "stdin" if str(path) == "-" else str(path or SHIPPED)


@dataclass(frozen=True, slots=True)
class _Judgement:
    """The rule that a policy applies to a log group, and what it does before any proof."""

    rule: str
    action: str

    @classmethod
    def of(cls, policy: Policy, group: LogGroup, now: int, *, known: bool) -> _Judgement:
        """Judge a log group, of which only the name is known unless `known`."""
        *_, (settings, miss) = policy.trials(group)
        rule = f"{settings.rule}?" if miss else settings.rule
        return cls(rule, _action_text(judge(group, policy, now)) if known else "")


def _action_text(action: Any) -> str:
    match action:
        case SetRetention(days=days):
            return f"set retention to {counted(days, 'day')}"
        case DeleteGroup():
            return "delete if proved empty and unused"
        case _:
            return f"{verb_of(action).value.replace('_', ' ')}: {action.reason}"


def test(
    policy: Path | None,
    names: Sequence[str],
    report: Path | None,
    against: Path | None,
    region: str,
    form: Format,
) -> Exit:
    """Show which rule applies to the named log groups, or to those of a report saved as JSON; with
    `against`, only what differs from that policy file. Raises UsageError, PolicyError.
    """
    if not names and report is None:
        raise UsageError(
            "give names of log groups, or --report FILE (`janitor report --all -f json`)"
        )
    check_table_or_json("policy test", form)
    if region:
        check_region(region, "-r/--region")
    new, old = load(policy), None if against is None else load(against)
    if report is None:
        now, target = SystemClock().now(), Target("", region)
        groups = [LogGroup(target, name, "", 0, 0, tags={}) for name in names]
    else:
        now, groups = saved(report)
        groups = [group for group in groups if not names or group.name in names]
    rows = list(_rows(groups, new, old, now, known=report is not None))
    if form is Format.JSON:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return Exit.DONE
    for row in rows:
        before = f"  (before: {row['before']['rule']}, {row['before']['action']})" if old else ""
        action = f"  {row['action']}" if row["action"] else ""
        place = f"{row['region']}  {row['group']}" if row["region"] else row["group"]
        sys.stdout.write(f"{row['rule']:<16}  {visible(place)}{action}{before}\n")
    if old is not None:
        same = len(groups) - len(rows)
        sys.stdout.write(f"{counted(len(rows), 'log group')} changed, {same:,} the same\n")
    return Exit.DONE


def _rows(
    groups: Iterable[LogGroup], new: Policy, old: Policy | None, now: int, *, known: bool
) -> Iterator[dict[str, Any]]:
    """Yield a row for each log group or, with an old policy, for each that differs under it."""
    for group in groups:
        judgement = _Judgement.of(new, group, now, known=known)
        row = {"region": group.target.region, "group": group.name, **asdict(judgement)}
        if old is None:
            yield row
        elif (before := _Judgement.of(old, group, now, known=known)) != judgement:
            yield row | {"before": asdict(before)}


def saved(path: Path) -> tuple[int, list[LogGroup]]:
    """Return when a report saved as JSON was made (ms), and its log groups. Raises UsageError."""
    from janitor.report.difference import read

    report = read(path)
    groups = {
        (row.account, row.region, row.group): LogGroup(
            Target(row.account, row.region),
            row.group,
            "",
            row.creation_time,
            row.stored_bytes,
            row.retention_days,
            row.retention_policy,
            row.log_class,
            tags=row.tags,
            tags_error=None if row.tags is not None else "the report does not contain them",
        )
        for row in report.findings
    }
    return int(report.run.started.timestamp() * 1000), list(groups.values())
