"""What a run adds up."""

from __future__ import annotations

from janitor.core.tally import Tally


def test_an_error_that_stops_every_region_is_one_error() -> None:
    """A journal that cannot be written is reported by each of them."""
    total = Tally()
    for region in ("eu-west-1", "us-east-1"):
        tally = Tally(scanned=1)
        tally.error("the journal cannot be written")
        tally.error(f"{region}: could not be listed")
        tally.warn("an owner could not be read")
        total.include(tally)
    assert total.scanned == 2
    assert total.warnings == ["an owner could not be read"]
    assert total.errors == [
        "the journal cannot be written",
        "eu-west-1: could not be listed",
        "us-east-1: could not be listed",
    ]
