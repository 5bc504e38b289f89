"""The shipped prices, and those of a policy file."""

from __future__ import annotations

from typing import get_args

import pytest

from janitor.core.errors import PolicyError
from janitor.cost.money import GB, monthly_usd
from janitor.cost.prices import price_list
from janitor.policy.file import LogClass, RegionPrices, load, parse
from tests.cost.test_money import SHIPPED, group


def test_the_shipped_prices_say_when_and_from_where() -> None:
    """The prices in us-east-1 are those of AWS's own example, and Regions have both classes."""
    assert SHIPPED.date == "2025-04-30"
    assert "AWS list prices" in SHIPPED.source
    assert SHIPPED.storage(("us-east-1", "STANDARD")) == 30_000_000
    assert SHIPPED.ingestion(("us-east-1", "STANDARD")) == 500_000_000
    assert SHIPPED.ingestion(("us-east-1", "INFREQUENT_ACCESS")) == 250_000_000
    assert SHIPPED.metrics("us-east-1") == 10_000_000
    assert monthly_usd(group(stored=10 * GB, region="us-east-1"), SHIPPED) == 0.3
    for region in ("eu-west-1", "ap-northeast-1", "sa-east-1"):
        standard = SHIPPED.ingestion((region, "STANDARD"))
        infrequent = SHIPPED.ingestion((region, "INFREQUENT_ACCESS"))
        assert standard
        assert infrequent
        assert infrequent < standard
    assert SHIPPED.storage(("cn-north-1", "STANDARD")) is None
    assert SHIPPED.storage(("us-east-1", "metrics")) is None
    assert RegionPrices.model_fields.keys() == {"metrics", *get_args(LogClass)}


OWN = """
[prices]
date = "2026-01-01"
source = "our contract"
[prices.regions.us-east-1.STANDARD]
storage = 0.02
[prices.regions.cn-north-1.STANDARD]
storage = 0.05
"""


def test_a_policy_file_overrides_prices_one_by_one() -> None:
    """All others stay as shipped, and the source names both."""
    prices = price_list(parse(OWN, "p").prices)
    assert prices.storage(("us-east-1", "STANDARD")) == 20_000_000
    assert prices.ingestion(("us-east-1", "STANDARD")) == 500_000_000
    assert prices.storage(("us-east-1", "INFREQUENT_ACCESS")) == 30_000_000
    assert prices.storage(("cn-north-1", "STANDARD")) == 50_000_000
    assert prices.ingestion(("cn-north-1", "STANDARD")) is None
    assert prices.metrics("cn-north-1") is None
    assert prices.date == "2026-01-01"
    assert prices.source.startswith("our contract for cn-north-1, us-east-1; else AWS list prices")


def test_prices_do_not_change_the_digest() -> None:
    """Prices decide nothing, so a plan stays valid when they change."""
    assert parse(OWN, "p").digest() == parse("", "p").digest() != load(None).digest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[prices]\ncurrency = 'EUR'", "prices.currency: unknown key; accepted: date, source, reg"),
        ("[prices.regions.us-east-1]\nX = 1", "unknown key; accepted: metrics, STANDARD"),
        (
            "[prices.regions.us-east-1.STANDARD]\nstored = 1.0",
            "prices.regions.us-east-1.STANDARD.stored: unknown key; did you mean storage?",
        ),
        (
            "[prices.regions.us-east-1.STANDARD]\nstorage = -1.0",
            "prices.regions.us-east-1.STANDARD.storage: Input should be greater than or equal to 0",
        ),
        ("[prices.regions.us-east-1.STANDARD]\nstorage = 'free'", "STANDARD.storage: Input should"),
        ("[prices.regions.us-east-1.STANDARD]\nstorage = inf", "STANDARD.storage: Input should"),
        ("[prices.regions.Virginia.STANDARD]\nstorage = 1.0", "prices.regions.Virginia: String"),
    ],
)
def test_a_mistake_in_the_prices_is_named(text: str, expected: str) -> None:
    """The error names file and key."""
    with pytest.raises(PolicyError) as error:
        parse(text, "team.toml")
    assert "team.toml" in str(error.value)
    assert expected in str(error.value)
