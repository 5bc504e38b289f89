"""SNS: what is published is kept, and refused where moto and AWS refuse it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.asking import ACCOUNT, REGION, empty_store, refusal, still
from tests.sandbox.conftest import Either

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:runs"


@pytest.fixture
def sns(either: Either) -> Any:
    """Moto's SNS and ours, with one topic."""
    session, store = either
    client = session.client("sns")
    if store is None:
        client.create_topic(Name="runs")
    else:
        store.region(ACCOUNT, REGION).topics["runs"] = []
    return client


def test_each_message_has_an_id(sns: Any) -> None:
    """Of its own."""
    said = {"TopicArn": TOPIC, "Subject": "A run ended", "Message": "ä & b"}
    ids = {sns.publish(**said)["MessageId"] for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"TopicArn": TOPIC + "-gone"}, "NotFound"),
        ({"Message": "x" * 262_145}, "InvalidParameter"),
        ({"Subject": "x" * 101}, "InvalidParameter"),
    ],
)
def test_what_cannot_be_published_is_refused(
    sns: Any, parameters: dict[str, Any], code: str
) -> None:
    """A topic that is not there; a message or subject that is too long."""
    assert refusal(sns, "publish", **{"TopicArn": TOPIC, "Message": "a"} | parameters) == code


@pytest.mark.parametrize(
    "parameters",
    [
        {"Message": ""},
        {"Subject": "two\nlines"},
        {"Subject": "ümlaut"},
        {"PhoneNumber": "+4911"},
        {"TopicArn": TOPIC.replace(REGION, "us-east-1")},
    ],
)
def test_what_was_published_is_kept_and_what_moto_lets_through_is_refused(
    parameters: dict[str, Any],
) -> None:
    """By SNS's own rules for messages, subjects and topics, and what nothing here heeds."""
    store = empty_store()
    published = store.region(ACCOUNT, REGION).topics.setdefault("runs", [])
    sns, said = still(store).client("sns"), {"Subject": "A run ended", "Message": "ä & b"}
    sns.publish(TopicArn=TOPIC, **said)
    assert refusal(sns, "publish", **{"TopicArn": TOPIC} | said | parameters) == "InvalidParameter"
    assert published == [said]
