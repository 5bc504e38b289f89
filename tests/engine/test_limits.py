"""How much one run may delete."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from janitor.core.model import Verb
from janitor.core.tally import Tally
from janitor.engine.limits import exceeded, verdict, within_share
from janitor.policy.file import FleetLimits, Limits


@given(st.integers(0, 100), st.integers(0, 100_000))
@example(29, 100)
def test_a_share_is_exact(percent: int, scanned: int) -> None:
    """A share is exact: with floating point, 0.29 would refuse 29 of 100."""
    limits = Limits(max_group_deletions=10**9, max_group_deletion_share=percent / 100)
    most = within_share(limits, scanned)
    assert most == int(Fraction(percent, 100) * scanned)
    assert not exceeded(limits, deletions=most, sweeps=0, scanned=scanned)
    share = f"{most + 1} of {scanned} log groups, more than max_group_deletion_share"
    assert share in exceeded(limits, deletions=most + 1, sweeps=0, scanned=scanned)


LIMITS = Limits(max_group_deletions=5, max_group_deletion_share=1, max_stream_deletions=7)


@pytest.mark.parametrize(
    ("deletions", "sweeps", "named"),
    [
        (5, 7, []),
        (6, 7, ["max_group_deletions = 5"]),
        (5, 8, ["8 log streams, more than max_stream_deletions = 7"]),
        (6, 8, ["max_group_deletions", "max_stream_deletions"]),
    ],
)
def test_a_limit_may_be_reached_but_not_exceeded(
    deletions: int, sweeps: int, named: list[str]
) -> None:
    """Each limit that is exceeded is named."""
    why = exceeded(LIMITS, deletions=deletions, sweeps=sweeps, scanned=100)
    assert bool(why) == bool(named)
    assert all(text in why for text in named)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 300), st.integers(1, 2))
@example(deletions=3, sweeps=0, more=4, accounts=1)
def test_a_refusal_says_what_would_allow_it(
    deletions: int, sweeps: int, more: int, accounts: int
) -> None:
    """With the keys and values of the message, in the section that it names, nothing is refused."""
    tally = Tally(scanned=deletions + more)
    tally.planned.update({Verb.DELETE_GROUP: deletions, Verb.SWEEP_STREAMS: sweeps})
    tallies = {str(number): tally for number in range(accounts)}
    limits: dict[str, Any] = {"max_group_deletions": 5, "max_stream_deletions": 7}
    for _ in range(2):  # the limits of each account, then those of all together
        why = verdict(tallies, Limits.model_validate(limits))
        for text in filter(None, (why.anywhere, *why.accounts.values())):
            found = re.search(r"; to allow it, set (.*) in \[limits(.fleet)?\]", text)
            assert found is not None, text
            section = limits.setdefault("fleet", {}) if found[2] else limits
            section.update(tomllib.loads(found[1].replace(" and ", "\n")))
    assert verdict(tallies, Limits.model_validate(limits)).text == ""


def planned(deletions: int) -> Tally:
    """Return the tally of a plan in an account of 100 log groups."""
    return Tally(scanned=100, planned=Counter({Verb.DELETE_GROUP: deletions}))


@pytest.mark.parametrize(
    ("deletions", "fleet", "refused"),
    [
        ((5, 5), {"max_group_deletions": 10}, []),
        ((6, 4), {"max_group_deletions": 10}, ["1"]),
        ((6, 5), {"max_group_deletions": 10}, ["1", "2"]),
        ((3, 3), {}, ["1", "2"]),
        ((5, 1), {"max_group_deletions": 10, "max_group_deletion_share": 0.02}, ["1", "2"]),
        ((5,), {}, []),
        ((5,), {"max_group_deletions": 4}, ["1"]),
        ((6,), {"max_group_deletions": 10}, ["1"]),
        ((), {}, []),
    ],
)
def test_the_limits_of_each_account_and_of_all_hold(
    deletions: tuple[int, ...], fleet: dict[str, Any], refused: list[str]
) -> None:
    """A fleet limit defaults to that of one account, and both hold for a run of one account."""
    accounts = {str(n): planned(count) for n, count in enumerate(deletions, 1)}
    found = verdict(accounts, LIMITS.model_copy(update={"fleet": FleetLimits(**fleet)}))
    assert [account for account in accounts if found.of(account)] == refused
    assert bool(found.text) == bool(refused)


def test_many_accounts_over_their_limits_are_a_short_line() -> None:
    """Only the first ten accounts are named."""
    limits = LIMITS.model_copy(update={"fleet": FleetLimits(max_group_deletions=10**6)})
    text = verdict({str(number): planned(9) for number in range(1000)}, limits).text
    assert text.startswith("0: nothing is deleted: the plan has more than max_group_deletions")
    assert text.endswith("; and 990 more accounts")
