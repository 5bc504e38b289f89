"""Mistakes and warnings in a policy file, with their lines."""

from __future__ import annotations

import pytest

from janitor.core.errors import PolicyError
from janitor.policy.file import parse
from janitor.policy.lint import warnings

REGIONS = ("eu-west-1", "us-east-1")
WRONG = """# a comment
[limits]
api_share = 2
[defaults]
retention_days = 31
grace_dayz = 3

[[rules]]
id = "a"
min_days = 365
max_days = 30
[[rules]]
id = "b"
names = ["/x",
  "re:("]
[[rules]]
id = "b"
[protect]
name = ["/x"]
"""


def test_every_mistake_is_named_at_once_with_its_line_and_key() -> None:
    """They come in the file's order, contradictions included; a mistyped key gets a suggestion."""
    with pytest.raises(PolicyError) as error:
        parse(WRONG, "p.toml")
    problems = error.value.problems
    lines = [problem.split(":")[0] for problem in problems]
    assert lines == [f"line {number}" for number in (3, 5, 6, 8, 14, 16, 19)]
    assert "; did you mean grace_days? " in problems[2]
    assert "rule 'b': the id is used twice" in problems[-2]


ALL = 'id = "all"\nnames = ["/aws/*"]\n'


@pytest.mark.parametrize(
    ("first", "second", "never"),
    [
        (ALL, 'names = ["/aws/lambda/*", "/aws/ecs?"]', True),
        (ALL, 'names = ["/aws/lambda/*", "/ecs/*"]', False),
        (ALL, 'names = ["/[a]ws/*"]', False),
        (ALL, 'names = ["re:^/aws/"]', False),
        (ALL, 'classes = ["STANDARD"]', False),
        (ALL + 'classes = ["STANDARD"]', 'names = ["/aws/x"]', False),
        (ALL + 'classes = ["STANDARD"]', 'names = ["/aws/x"]\nclasses = ["STANDARD"]', True),
        (ALL + 'regions = ["eu-*"]', 'names = ["/aws/x"]\nregions = ["eu-west-?"]', True),
        (ALL + 'regions = ["eu-west-?"]', 'names = ["/aws/x"]\nregions = ["eu-*"]', False),
        (ALL + 'tags = ["a", "b"]', 'names = ["/aws/x"]\ntags = ["a"]', True),
        (ALL + 'tags = ["a"]', 'names = ["/aws/x"]\ntags = ["a", "b"]', False),
        (ALL + "quiet_days = 9", 'names = ["/aws/x"]', False),
        ('id = "none"', 'names = ["/ecs/*"]', True),
        ('id = "x"\nnames = ["/x"]', 'names = ["/kept/a*"]', True),
        ('id = "x"\nnames = ["/x"]', 'names = ["arn:aws:logs*"]', True),
        ('id = "x"\nnames = ["/x"]', 'names = ["arn:aws:logs*", "/y"]', False),
    ],
)  # fmt: skip
def test_a_rule_that_can_never_match_is_named(first: str, second: str, never: bool) -> None:
    """There is a warning only if it is certain."""
    text = f'[defaults]\ndelete_empty = true\n[protect]\nnames = ["/kept/*"]\n[[rules]]\n{first}\n'
    found = list(warnings(parse(f'{text}[[rules]]\nid = "later"\n{second}\n', "p"), REGIONS))
    assert ["rule 'later' can never match" in text for text in found] == [True] * never


def test_a_policy_that_does_nothing_is_named() -> None:
    """One rule that does something is enough to avoid the warning."""
    assert [text[:16] for text in warnings(parse("", "p"), REGIONS)] == ["it does nothing:"]
    assert not list(warnings(parse('[[rules]]\nid = "a"\nmax_days = 30', "p"), REGIONS))


def test_an_unknown_region_is_named() -> None:
    """Regions are checked in rules and in prices."""
    rule = '[[rules]]\nid = "a"\nmax_days = 30\nregions = ["eu-*", "us-est-1"]\n'
    prices = "[prices.regions]\neu-west-1.metrics = 1.0\neu-wst-1.metrics = 1.0\n"
    assert list(warnings(parse(rule + prices, "p"), REGIONS)) == [
        "rule 'a': regions: 'us-est-1' matches no known AWS Region",
        "prices.regions: 'eu-wst-1' is not a known AWS Region",
    ]
