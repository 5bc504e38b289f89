"""The outputs of `janitor native`: lines for people, and JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from janitor.core.model import Status
from janitor.core.native import Impact, NativeItem
from janitor.core.text import counted, size

SHOWN = 5
"""Log groups of AWS's dry run that people are shown; JSON has all that AWS lists."""
CAVEAT = (
    "Such a policy overrides a log group's own retention, even a longer one.",
    "They apply to log groups created from now on, and take effect after 24 hours.",
)


def row(item: NativeItem) -> dict[str, Any]:
    """Return an item as one record, with `before` and `after` as AWS has them."""
    return {
        "account": item.target.account,
        "region": item.target.region,
        "action": item.action,
        "rule": item.rule,
        "policy": item.name,
        "status": item.status.value,
        "reason": item.reason,
        "before": None if item.before is None else asdict(item.before),
        "after": None if item.after is None else asdict(item.after),
        "impact": None if item.impact is None else asdict(item.impact),
    }


def summary(items: Sequence[NativeItem], errors: Sequence[str]) -> dict[str, Any]:
    """Return the counts by status, and whether everything was done."""
    counts = {status.value: sum(i.status is status for i in items) for status in _COUNTED}
    left = counts[Status.FAILED.value] + counts[Status.NOT_REACHED.value]
    return {**counts, "complete": not (errors or left), "errors": list(errors)}


_COUNTED = (
    *(Status.PLANNED, Status.DONE, Status.KEPT),
    *(Status.REFUSED, Status.FAILED, Status.NOT_REACHED),
)


def lines(items: Sequence[NativeItem]) -> Iterator[str]:
    """Yield what becomes of each policy, by target, and what that means. A rule that is refused in
    every target is named once.
    """
    targets = dict.fromkeys(item.target for item in items)
    refused = Counter((item.rule, item.reason) for item in items if item.status is Status.REFUSED)
    everywhere = [rule for rule, times in refused.items() if times == len(targets)]
    for rule, reason in everywhere:
        yield from _wrapped(f"refused: rule {rule!r}: {reason}")
    for target in targets:
        here = [item for item in items if item.target == target]
        here = [item for item in here if (item.rule, item.reason) not in everywhere]
        if here:
            yield f"{target}:"
        for item in here:
            yield from _item(item)
    if any(item.action == "put" and item.status in (Status.PLANNED, Status.DONE) for item in items):
        yield from CAVEAT
    if any(item.action == "delete" and item.status is Status.PLANNED for item in items):
        yield "Without its policy a log group has its own retention again, or none."


def _wrapped(text: str, indent: int = 2) -> list[str]:
    """Wrap text into lines of at most 80 columns, without breaking names."""
    return textwrap.wrap(
        text,
        79,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _item(item: NativeItem) -> Iterator[str]:
    match item.status:
        case Status.REFUSED:
            yield from _wrapped(f"  refused: rule {item.rule!r}: {item.reason}", 4)
            return
        case Status.FAILED | Status.NOT_REACHED:
            what = item.status.value.replace("_", " ")
        case Status.KEPT:
            what = "unchanged"
        case Status.DONE:
            what = "removed" if item.action == "delete" else "changed" if item.before else "created"
        case _:
            what = "remove" if item.action == "delete" else "change" if item.before else "create"
    rule = f" (rule {item.rule!r})" if item.rule else ""
    yield from _wrapped(f"  {what}: {item.name}{rule}: {item.reason}", 4)
    if item.impact is not None and item.status is Status.PLANNED:
        yield from _impact(item.impact)


def _impact(impact: Impact) -> Iterator[str]:
    parts = [
        f"{impact.increased:,} longer",
        f"{impact.decreased:,} shorter",
        f"{impact.unchanged:,} unchanged",
    ]
    if impact.failed:
        parts.append(f"{impact.failed:,} that AWS could not analyze")
    total = impact.increased + impact.decreased + impact.unchanged
    yield from _wrapped(f"    dry run, of {counted(total, 'log group')}: {', '.join(parts)}", 6)
    changed = [one for one in impact.top if one.current != one.proposed]
    for one in changed[:SHOWN]:
        yield f"      {one.group} ({size(one.stored_bytes)}): {one.current} → {one.proposed}"
