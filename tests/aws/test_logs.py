"""Reading log groups: the fast paths must agree with botocore and with the thorough one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.api import UnavailableError
from janitor.aws.logs import Logs, _irregular_group, parse_group
from janitor.core.model import LogGroup, Target
from tests.accounts import ACCOUNT, Cloud, api, ok

TARGET = Target("123456789012", "eu-west-1")
WHOLE = {
    "logGroupName": "/a",
    "creationTime": 1,
    "storedBytes": 0,
    "retentionInDays": 30,
    "metricFilterCount": 0,
    "arn": "arn:aws:logs:eu-west-1:123456789012:log-group:/a:*",
    "logGroupArn": "arn:aws:logs:eu-west-1:123456789012:log-group:/a",
    "logGroupClass": "STANDARD",
    "retentionPolicyName": "policy",
    "kmsKeyId": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "deletionProtectionEnabled": True,
    "bearerTokenAuthenticationEnabled": True,
    "dataProtectionStatus": "ACTIVATED",
    "inheritedProperties": ["ACCOUNT_DATA_PROTECTION"],
}
values = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 40), st.floats(0, 2), st.text(max_size=3)
)
entries = st.builds(
    lambda changed, missing: {k: v for k, v in (WHOLE | changed).items() if k not in missing},
    st.dictionaries(st.sampled_from(sorted(WHOLE)), values, max_size=3),
    st.sets(st.sampled_from(sorted(WHOLE)), max_size=3),
)


@given(entries)
def test_fast_and_thorough_parsing_agree(entry: dict[str, Any]) -> None:
    """They agree whatever is missing or odd in an entry."""
    assert parse_group(entry, TARGET) == _irregular_group(entry, TARGET)


def listed(*pages: list[dict[str, Any]]) -> list[LogGroup]:
    """Return the log groups of pages of DescribeLogGroups."""
    cloud = Cloud([])
    answers = [
        {"logGroups": page, **({"nextToken": str(n)} if n < len(pages) else {})}
        for n, page in enumerate(pages, 1)
    ]
    cloud.fault = lambda _call: ok(json.dumps(answers.pop(0)).encode())

    async def read() -> list[LogGroup]:
        return [group async for page, _ in Logs(api(cloud)).groups() for group in page]

    return cloud.clock.run(read())


def entry(name: str, account: str = ACCOUNT) -> dict[str, Any]:
    arn = f"arn:aws:logs:eu-west-1:{account}:log-group:{name}"
    return WHOLE | {"logGroupName": name, "logGroupArn": arn}


def test_log_groups_of_linked_accounts_are_left_out() -> None:
    """A monitoring account is shown them, perhaps under the same name."""
    others = entry("/a", "999999999999")
    found = listed([others, entry("/a"), entry("/b", "999999999999")])
    assert [(group.name, group.arn) for group in found] == [("/a", entry("/a")["logGroupArn"])]


def test_a_log_group_that_is_listed_twice_counts_once() -> None:
    """It may come twice on a page or the next one; if it comes later again, it has a defect."""
    a, b, c = entry("/a"), entry("/b"), entry("/c")
    found = listed([a, a, b], [b, c], [a, entry("/d")])
    assert [(group.name, bool(group.defects)) for group in found] == [
        ("/a", False),
        ("/b", False),
        ("/c", False),
        ("/a", True),
        ("/d", False),
    ]


ODD: dict[str, dict[str, Any]] = {
    "a time that no calendar has": {"creationTime": 10**30},
    "more bytes than there are": {"storedBytes": 10**40},
    "a retention beyond all time": {"retentionInDays": 10**12},
    "no time": {"creationTime": None},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_impossible_numbers_are_defects(odd: dict[str, Any]) -> None:
    """The log group is unknown, and every report can show it."""
    [found] = listed([entry("/a") | odd])
    assert found.defects
    assert datetime.fromtimestamp(found.creation_time / 1000, UTC)


@pytest.mark.parametrize(
    ("sent", "text"), [(rb"\ud83d\ude00 \ud800", "\U0001f600 ?"), (b"\xed\xa0\x80", "?")]
)
def test_half_a_surrogate_pair_is_replaced(sent: bytes, text: str) -> None:
    """Half a pair cannot be written as UTF-8, escaped or not; complete pairs are kept."""
    cloud, page = Cloud([]), json.dumps({"logGroups": [entry("/a") | {"kmsKeyId": "KEY"}]})
    cloud.fault = lambda _call: ok(page.encode().replace(b"KEY", sent))
    found = cloud.clock.run(Logs(api(cloud)).group("/a"))
    assert found is not None
    assert found.kms_key_id == text


@pytest.mark.parametrize("body", ["[" * 100_000, '{"logGroups": [{"creationTime": ' + "9" * 5000])
def test_an_answer_that_cannot_be_read_is_unavailable(body: str) -> None:
    """It is neither an internal error nor an empty answer."""
    cloud = Cloud([])
    cloud.fault = lambda _call: ok(body.encode())
    with pytest.raises(UnavailableError):
        cloud.clock.run(Logs(api(cloud)).group("/a"))
