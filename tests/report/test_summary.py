"""The exit code that a summary gives."""

from __future__ import annotations

import pytest

from janitor.core.model import Status
from janitor.core.tally import Tally
from janitor.report.overview import arrived
from janitor.report.summary import Summary, summarize


def summary(refused: str = "", interrupted: bool = False, **counts: int) -> Summary:
    tally = Tally(acknowledged=counts.pop("acknowledged", 0))
    lines: dict[str, int] = {key: counts.pop(key) for key in ("planned", "done") if key in counts}
    tally.by_status.update({Status(name): count for name, count in counts.items()})
    return summarize(
        tally, {}, {}, {}, [],
        refused_because=refused, interrupted=interrupted, carried_out=lines or None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("of", "code"),
    [
        (summary("too many", interrupted=True, failed=1), 130),
        (summary("too many", failed=1, unknown=1), 4),
        (summary(failed=1, unknown=1), 3),
        (summary(not_reached=1, unknown=1), 3),
        (summary(planned=2, done=1, kept=1, unknown=1), 3),
        (summary(planned=2, done=2, unknown=1), 5),
        (summary(unknown=2, acknowledged=1), 5),
        (summary(unknown=2, acknowledged=2, planned=2, done=2), 0),
        (summary(kept=9, gone=1), 0),
    ],
)
def test_the_first_exit_code_that_applies(of: Summary, code: int) -> None:
    """Failures come before what is only kept."""
    assert of.exit_code == code


@pytest.mark.parametrize(("part", "text"), [(0, "0%"), (0.004, "<1%"), (0.35, "35%"), (1, "100%")])
def test_a_share_that_is_not_nothing_does_not_read_0(part: float, text: str) -> None:
    """The same in the table, in Markdown and in HTML."""
    top = {"bytes": 1, "usd_a_month": None, "share": part}
    assert arrived(top) == ("1 B", "unknown", text)
