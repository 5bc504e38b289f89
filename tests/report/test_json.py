"""The JSON formats."""

from __future__ import annotations

import io
import json

import pytest

from janitor.core.model import Keep, LogGroup, Outcome, Status, Target
from janitor.cost.prices import price_list
from janitor.policy.file import Policy
from janitor.report.base import Format
from janitor.report.formats import make_report

PRICES = price_list(Policy().prices)
ODD = "a\u2028b\u0085c\u202ed\ud800"


@pytest.mark.parametrize("form", [Format.JSON, Format.JSONL])
def test_text_from_aws_cannot_break_a_line(form: Format) -> None:
    """Line separators, direction marks and lone surrogates are escaped, and none is lost."""
    out = io.StringIO()
    report = make_report(form, out, everything=True, prices=PRICES, now=0)
    group = LogGroup(Target("123456789012", "eu-west-1"), "/a", "arn", 1, 0, None)
    report.finding(Outcome(group, Keep(ODD), Status.UNKNOWN, ODD, at=1))
    (line,) = out.getvalue().strip().splitlines()
    assert line.isascii()
    assert json.loads(line)["reason"] == ODD
