"""What holds for owners whatever some services answer, made from the shapes of each service."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from janitor.owners.table import Row, table
from tests.accounts import REGION
from tests.owners.world import World, denied, owning

ENTRIES = {
    entry["id"]: entry
    for entry in tomllib.loads(files("janitor.owners").joinpath("owners.toml").read_text())["rows"]
}
EVERYWHERE = [replace(row, probe=None) for row in table() if row.only is None]
OTHERS = [
    "/own",
    "/aws/lambda/other",
    "/aws/rds/instance/gone/error",
    "aws-waf-logs-gone",
    "/ecs/x",
]


@dataclass(frozen=True)
class Asked:
    """A row and the state of its service; `refused` chooses the call that is denied, if one is."""

    row: Row
    state: Literal["owners", "none", "denied"]
    refused: int

    def answer(self, *call: str, **more: Any) -> Any:
        operation = call[2]
        steps = [step.call for step in self.row.listing.steps]
        match self.state:
            case "owners":
                return owning(self.row)(*call, **more)
            case "denied" if operation == steps[self.refused % len(steps)]:
                raise denied(operation)
            case "denied":
                return owning(self.row)(*call, **more)
        return {}

    def usual(self, group: str) -> bool:
        entry = ENTRIES[self.row.id]
        pattern = entry.get("names") or entry.get("usual")
        return pattern is not None and re.match(pattern, group) is not None

    def possible(self, group: str) -> bool:
        names = ENTRIES[self.row.id].get("names")
        return names is None or re.match(names, group) is not None


ASKED = st.lists(
    st.builds(
        Asked,
        st.sampled_from(EVERYWHERE),
        st.sampled_from(["owners", "none", "denied"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda asked: asked.row.service,
)


@given(ASKED)
def test_every_log_group_is_owned_kept_or_nobodys(rows: list[Asked]) -> None:
    """A log group is owned if a row that was read refers to it, kept by exactly those denied rows
    that could own it, and otherwise nobody's.
    """
    by_service = {asked.row.service: asked for asked in rows}
    world = World(lambda service, *call, **more: by_service[service].answer(service, *call, **more))
    groups = {name for asked in rows for name in owning(asked.row).names[:3]} | {*OTHERS}
    found = world.of([asked.row for asked in rows], *groups)
    for group in groups:
        uses = {use.row for use in found[group].uses}
        for asked in rows:
            if asked.state == "owners" and group in owning(asked.row).names:
                assert asked.row.id in uses
        assert uses <= {asked.row.id for asked in rows if asked.state == "owners"}
        kept = {unread.row for unread in found[group].unread}
        assert kept == {a.row.id for a in rows if a.state == "denied" and keeps(a, rows, group)}
        assert found[group].nobody == (not uses and not kept)
    assert {region for _, region, *_ in world.calls} <= {REGION, "us-east-1"}


def keeps(asked: Asked, rows: list[Asked], group: str) -> bool:
    """Return whether a denied row keeps a log group, as docs/owners.md says: the names that the row
    is limited to; a row of any name keeps all, or, if its owner does not stop without the log
    group, all but other rows' usual names.
    """
    if not asked.possible(group):
        return False
    if ENTRIES[asked.row.id].get("names") or ENTRIES[asked.row.id]["severity"] == "breaks":
        return True
    others = [other for other in rows if other is not asked]
    return asked.usual(group) or not any(other.usual(group) for other in others)
