"""Each row finds its owners in answers made from the shapes of its service."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from janitor.owners.table import Row, table
from tests.owners.world import Empty, Owning, World, denied, owning, probed, region_of

ROWS = pytest.mark.parametrize("row", table(), ids=lambda row: row.id)
PROBES = pytest.mark.parametrize(
    "row", [row for row in table() if row.probe is not None], ids=lambda row: row.id
)

USUAL = {
    "amplify": "/aws/amplify/d1",
    "codebuild": "/aws/codebuild/project",
    "firehose": "/aws/kinesisfirehose/s",
    "redshift-serverless": "/aws/redshift/namespace/userlog",
}
"""Conventional names, where those made from shapes are ones that the probes cannot ask about."""


def listed(row: Row) -> Row:
    """Return the row without its probe, so that it is listed even for one log group."""
    return replace(row, probe=None)


@ROWS
def test_an_owner_is_found_by_its_reference_to_the_log_group(row: Row) -> None:
    """A reference by name, ARN or prefix in any call is found, and says what would be lost."""
    answers = owning(row)
    assert answers.names
    found = World(answers, region_of(row)).of([listed(row)], *answers.names, "/of/nobody")
    for name in answers.names:
        (use,) = found[name].uses
        assert str(use).startswith("in use by ")
        assert row.without in str(use)
        assert "{" not in str(use)
    assert found["/of/nobody"].nobody


@ROWS
def test_an_empty_service_has_no_owner(row: Row) -> None:
    """Nobody uses the log groups, and nothing is unread."""
    found = World(Empty(listed(row)), region_of(row)).of([listed(row)], *owning(row).names)
    assert all(answer.nobody and answer.rows == 1 for answer in found.values())


@ROWS
def test_a_row_that_is_denied_says_so(row: Row) -> None:
    """Whichever of its calls is denied, the missing action is named."""
    answers = owning(row)
    for refused in {step.call for step in row.listing.steps}:

        def refusing(*call: str, refused: str = refused, **more: Any) -> Any:
            if call[2] == refused:
                raise denied(refused)
            return answers(*call, **more)

        found = World(refusing, region_of(row)).of([listed(row)], *answers.names)
        for answer in found.values():
            (unread,) = answer.unread
            assert refused in str(unread)
            assert set(unread.actions) == row.actions


@PROBES
def test_a_probe_finds_the_owner_of_one_log_group(row: Row) -> None:
    """A probe finds the owner of a log group, or that it has none."""
    assert row.probe is not None
    names = [*owning(row).names, *USUAL.values()]
    name = next(name for name in names if row.probe.values(name) is not None)
    for answers, owned in ((probed(row, name), True), (Empty(row), False)):
        assert isinstance(answers, Owning | Empty)
        probe = replace(row, listing=row.probe.question, names=row.names or row.probe.names)
        found = World(answers, region_of(row)).of([probe], name)
        assert bool(found[name].uses) == owned
        assert not found[name].unread
