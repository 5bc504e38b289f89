"""SNS: what is published is kept, and refused where moto and AWS refuse it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.sandbox.asking import ACCOUNT, REGION, empty_store, refusal, still

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:runs"


@pytest.fixture(params=["moto", "sandbox"])
def sns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Moto's SNS and ours, with one topic."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    if request.param == "moto":
        with mock_aws():
            client = boto3.Session("AKIA", "secret", region_name=REGION).client("sns")
            client.create_topic(Name="runs")
            yield client
        return
    store = empty_store()
    store.region(ACCOUNT, REGION).topics["runs"] = []
    yield still(store).client("sns")


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


def test_what_was_published_can_be_looked_at() -> None:
    """With subject and attributes, by topic."""
    store = empty_store()
    published = store.region(ACCOUNT, REGION).topics.setdefault("runs", [])
    said = {
        "Subject": "A run ended",
        "Message": "ä & b",
        "MessageAttributes": {"result": {"DataType": "String", "StringValue": "failed"}},
    }
    still(store).client("sns").publish(TopicArn=TOPIC, **said)
    assert published == [said]


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
def test_what_moto_lets_through_is_refused(parameters: dict[str, Any]) -> None:
    """By SNS's own rules for messages, subjects and topics, and what nothing here heeds."""
    store = empty_store()
    store.region(ACCOUNT, REGION).topics["runs"] = []
    sns = still(store).client("sns")
    given = {"TopicArn": TOPIC, "Message": "a"} | parameters
    assert refusal(sns, "publish", **given) == "InvalidParameter"
    assert store.region(ACCOUNT, REGION).topics["runs"] == []
