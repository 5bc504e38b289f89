"""Word of a run: who is told of what, once, and never before the work is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from janitor.aws.api import Counts
from janitor.core.errors import PolicyError, UsageError
from janitor.cost.money import price_list
from janitor.engine.summary import Summary
from janitor.function import handler, notify
from janitor.function.handler import RunFailedError
from janitor.function.notify import Topic, Word
from janitor.function.settings import read_settings
from janitor.policy.file import Prices, parse
from tests.accounts import NOW, REGION, Cloud, Group, days_ago, refused, refusing
from tests.function.test_handler import (
    ARN,
    FOR_EVER,
    MINUTES_15,
    SCHEDULED,
    Context,
    chain,
    interrupted,
    janitor,
    mixed,
    next_link,
)

TOPIC = f"arn:aws:sns:{REGION}:123456789012:operations"
TELLING = {"JANITOR_NOTIFY_TOPIC": TOPIC}


def published(cloud: Cloud) -> list[dict[str, Any]]:
    """What the topic was told."""
    return cloud.region.topics["operations"]


def attribute(published: dict[str, Any], name: str) -> str:
    """The value of a message's attribute."""
    return str(published["MessageAttributes"][name]["StringValue"])


def test_a_scheduled_run_that_changed_something_is_told() -> None:
    """Once everything is done: the numbers are the summary's."""
    cloud = mixed()
    janitor(cloud, **TELLING).answer(SCHEDULED, Context())
    [said] = published(cloud)
    assert said["Subject"] == (
        "cloudwatch-janitor in 123456789012: changed, "
        "10 groups deleted, 90 streams swept, 30 retentions set"
    )
    for line in (
        "Log groups scanned                       100",
        "Retention set                             30",
        "Log groups deleted                        10",
        "Log streams deleted                       90",
    ):
        assert line in said["Message"].splitlines()
    assert attribute(said, "result") == "changed"
    assert attribute(said, "groups_deleted") == "10"
    assert json.loads(attribute(said, "summary"))["planned"]["delete_group"] == 0
    assert attribute(said, "run_id") in said["Message"]


def test_nobody_is_told_who_did_not_ask() -> None:
    """Off by default; and whoever starts a run by hand has its answer."""
    silent, by_hand = mixed(), mixed()
    janitor(silent).answer(SCHEDULED, Context())
    janitor(by_hand, **TELLING).answer({"dry_run": False}, Context())
    assert len(silent.deleted) == len(by_hand.deleted) == 10
    assert published(silent) == published(by_hand) == []


def test_a_run_that_did_nothing_is_not_told() -> None:
    """Nothing was to be done; unknown groups, which are kept, are no reason either."""
    odd = Group("/odd", days_ago(9), odd={"storedBytes": -1})
    cloud = Cloud([Group("/kept", days_ago(9), 5, 365), odd])
    cloud.region.topics["operations"] = []
    answer = janitor(cloud, **TELLING).answer(SCHEDULED, Context())
    assert answer["summary"]["unknown"] == 1
    assert published(cloud) == []


DRY = {**TELLING, "JANITOR_SCHEDULED_DRY_RUN": "true"}
TIGHT = parse("[defaults]\ndelete_empty = true\n[limits]\nmax_group_deletions = 3", "tight")


def test_a_dry_run_is_told_only_if_it_failed_or_would_be_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it would change is in its answer and in the log; it changed nothing."""
    cloud = mixed()
    janitor(cloud, **DRY).answer(SCHEDULED, Context())
    assert published(cloud) == []
    cloud.fault = refusing("DescribeLogGroups", "AccessDeniedException")
    with pytest.raises(RunFailedError):
        janitor(cloud, **DRY).answer(SCHEDULED, Context())
    [failed] = published(cloud)
    assert attribute(failed, "result") == "failed"
    assert "dry run (nothing was changed)" in failed["Message"]
    assert "Error: 123456789012/eu-west-1: the scan failed" in failed["Message"]
    limited = mixed()
    monkeypatch.setattr(handler, "current_policy", lambda _settings: TIGHT)
    janitor(limited, **DRY).answer(SCHEDULED, Context())
    [said] = published(limited)
    assert attribute(said, "result") == "refused"
    assert "Refused: nothing is deleted: it would be more than max_group" in said["Message"]


def test_a_run_that_ended_before_it_began_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that cannot be read: there is nothing to count, and the error is raised as well."""

    def broken(_settings: Any) -> Any:
        raise PolicyError("SSM parameter /policy", ["cannot be read: no such parameter"])

    monkeypatch.setattr(handler, "current_policy", broken)
    cloud = mixed()
    with pytest.raises(PolicyError):
        janitor(cloud, **TELLING).answer(SCHEDULED, Context())
    [said] = published(cloud)
    assert attribute(said, "result") == "failed"
    assert "It ended with: SSM parameter /policy: cannot be read" in said["Message"]


# ---- once, and last --------------------------------------------------------------------------


def test_a_chain_is_told_once_by_its_last_link_and_with_its_totals() -> None:
    """However many links there are."""
    cloud = mixed()
    answer, links = chain(
        cloud, SCHEDULED, MINUTES_15, interrupted(cloud, 60), **TELLING, **FOR_EVER
    )
    assert links > 3
    [said] = published(cloud)
    assert attribute(said, "groups_deleted") == str(answer["summary"]["groups_deleted"]) == "10"
    assert attribute(said, "run_id") == answer["run"]["id"]


def test_an_event_that_comes_twice_is_told_once() -> None:
    """EventBridge delivers at least once: the second run finds nothing left to change."""
    cloud = mixed()
    for _ in range(2):
        janitor(cloud, **TELLING).answer(SCHEDULED, Context())
    assert len(published(cloud)) == 1


def test_a_last_link_that_comes_twice_is_told_once_by_a_function_that_is_warm() -> None:
    """Lambda delivers at least once as well. Elsewhere the run id tells that it is the same."""
    cloud = mixed()
    between = interrupted(cloud, 60)
    event: dict[str, Any] = SCHEDULED
    while "resume" in janitor(cloud, **TELLING, **FOR_EVER).answer(event, Context()):
        event = next_link(cloud)
        between()
    cloud.quiet()
    warm = janitor(cloud, **TELLING, **FOR_EVER)
    warm.answer(event, Context())
    warm.answer(event, Context())
    assert len(published(cloud)) == 2, "by the two functions, not by the warm one again"
    first, second = (attribute(said, "run_id") for said in published(cloud))
    assert first == second


def test_who_cannot_be_told_is_an_error_after_the_work() -> None:
    """The invocation fails and says so; everything was done."""
    cloud = mixed()
    cloud.fault = refusing("Publish", "AuthorizationErrorException")
    with pytest.raises(RunFailedError, match=f"nobody was told: {TOPIC}: .*Authorization"):
        janitor(cloud, **TELLING).answer(SCHEDULED, Context())
    assert (len(cloud.puts), len(cloud.deleted), len(cloud.swept)) == (30, 10, 90)


def test_a_failure_that_nobody_could_be_told_of_says_both() -> None:
    """The run's own failure is not hidden by the message's."""
    cloud = mixed()
    denied = ("Publish", "DescribeLogGroups")
    cloud.fault = lambda call: (
        refused("AccessDeniedException") if call.operation in denied else None
    )
    with pytest.raises(RunFailedError, match=r"the scan failed: .*; nobody was told"):
        janitor(cloud, **TELLING).answer(SCHEDULED, Context())


def test_a_message_that_failed_is_sent_the_next_time() -> None:
    """Only what was sent counts as told."""
    cloud = mixed()
    cloud.fault = lambda _call: refused("InternalError", 500)
    topic = Topic(cloud.client("sns"), TOPIC)
    word = Word("run", ARN, False, error="it broke")
    with pytest.raises(notify.NotifyError):
        topic.tell(word, NOW)
    cloud.quiet()
    topic.tell(word, NOW)
    topic.tell(word, NOW)
    assert len(published(cloud)) == 1


# ---- what SNS takes --------------------------------------------------------------------------


def counted(**numbers: Any) -> dict[str, Any]:
    """A summary as a run makes it, with these values in it."""
    return {**Summary().as_dict(Counts(), price_list(Prices())), **numbers}


problems = st.lists(st.text(max_size=2000), max_size=40)


@given(
    st.sampled_from([ARN, ARN.replace("cloudwatch-janitor", "j" * 64)]),
    st.booleans(),
    st.none() | st.builds(counted, errors=problems, warnings=problems, failed=st.integers(0)),
    st.text(),
)
def test_every_message_is_one_that_sns_takes(
    function: str, dry_run: bool, summary: dict[str, Any] | None, error: str
) -> None:
    """Whatever the errors say (SNS API reference, Publish; developer guide, raw delivery)."""
    word = Word("0" * 32, function, dry_run, summary, error)
    said = notify.subject(word, "changed")
    assert 0 < len(said) <= 100
    assert all(" " <= char <= "~" for char in said)
    body = notify.message(word, "changed", NOW)
    assert 0 < len(body.encode()) <= notify.LONGEST_MESSAGE
    assert all(char.isprintable() or char == "\n" for char in body)
    attributes = notify.attributes(word, "changed")
    assert len(attributes) <= 10
    total = len(body.encode()) + sum(len(str(each).encode()) for each in attributes.items())
    assert total <= 262_144
    for each in attributes.values():
        assert each["StringValue"] != ""
        if each["DataType"] == "Number":
            int(each["StringValue"])


@pytest.fixture
def queue() -> Iterator[tuple[str, str]]:
    """A topic's ARN, and the URL of a queue that its messages arrive in."""
    with mock_aws():
        topic = boto3.client("sns", REGION).create_topic(Name="operations")["TopicArn"]
        sqs = boto3.client("sqs", REGION)
        url = sqs.create_queue(QueueName="arrived")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        boto3.client("sns", REGION).subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"]
        )
        yield topic, url


def test_what_arrives(queue: tuple[str, str]) -> None:
    """Through moto's SNS into its SQS: subject, text and typed attributes."""
    topic, url = queue
    word = Word("run-1", ARN, False, counted(groups_deleted=3, failed=1, errors=["e\x1b[2J"]))
    Topic(boto3.client("sns", REGION), topic).tell(word, NOW)
    sqs = boto3.client("sqs", REGION)
    [arrived] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    envelope = json.loads(arrived["Body"])
    assert envelope["Subject"] == (
        "cloudwatch-janitor in 123456789012: failed, 1 failed, 3 groups deleted"
    )
    assert r"Error: e\x1b[2J" in envelope["Message"].splitlines()
    types = {name: each["Type"] for name, each in envelope["MessageAttributes"].items()}
    numbers = {"retention_set", "groups_deleted", "streams_deleted", "failed"}
    assert {name for name, kind in types.items() if kind == "Number"} == numbers
    assert set(types) - numbers == {
        "run_id",
        "account",
        "region",
        "result",
        "dry_run",
        "summary",
    }
    assert json.loads(envelope["MessageAttributes"]["summary"]["Value"])["groups_deleted"] == 3


def test_a_filter_policy_chooses_by_attribute(queue: tuple[str, str]) -> None:
    """Who wants only failures subscribes to those."""
    topic, url = queue
    sns = boto3.client("sns", REGION)
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.dumps({"result": ["failed", "refused"]}),
    )
    sender = Topic(sns, topic)
    sender.tell(Word("run-1", ARN, False, counted(groups_deleted=3)), NOW)
    sender.tell(Word("run-2", ARN, False, counted(refused_because="too many")), NOW)
    sqs = boto3.client("sqs", REGION)
    [arrived] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert "refused" in json.loads(arrived["Body"])["Subject"]


@pytest.mark.parametrize(
    "topic", ["operations", "", f"{TOPIC}.fifo", TOPIC.replace("sns", "sqs"), f"{TOPIC}\n"]
)
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    """At the start, by the variable's name."""
    with pytest.raises(
        UsageError, match=r"JANITOR_NOTIFY_TOPIC: .* is not the ARN of an SNS topic"
    ):
        read_settings({"JANITOR_NOTIFY_TOPIC": topic})
