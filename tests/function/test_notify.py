"""The notice of a run: who is told of what, once, and never before the work is done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from janitor.core.errors import UsageError
from janitor.core.tally import Tally
from janitor.cost.money import Ledger, price_list
from janitor.function import invocation, notify
from janitor.function.notify import Notice, NotifyError, send
from janitor.function.settings import read_settings
from janitor.policy.file import Prices, parse
from janitor.report.summary import summarize
from tests.accounts import NOW, REGION, Cloud, Group, days_ago, refused, refusing
from tests.function.deployed import ARN, GROUP, SCHEDULED, TOPIC, Deployed, cut
from tests.function.test_handler import FOR_EVER, mixed

TELLING = {"JANITOR_NOTIFY_TOPIC": TOPIC}


def attribute(published: dict[str, Any], name: str) -> str:
    """The value of a message's attribute."""
    return str(published["MessageAttributes"][name]["StringValue"])


def test_a_scheduled_run_that_changed_something_is_told() -> None:
    """Once everything is done: the numbers are the summary's."""
    deployed = Deployed(mixed(), TELLING)
    deployed.invoke(SCHEDULED)
    [said] = deployed.sent
    assert said["Subject"] == (
        "cloudwatch-janitor in 123456789012: changed, "
        "10 groups deleted, 90 streams swept, 30 given retention"
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
    assert json.loads(attribute(said, "summary"))["planned"]["delete_group"] == 10
    assert attribute(said, "run_id") == SCHEDULED["id"]
    assert attribute(said, "run_id") in said["Message"]


def test_nobody_is_told_who_did_not_ask() -> None:
    """Off by default; and whoever starts a run by hand has its answer."""
    silent, by_hand = Deployed(mixed()), Deployed(mixed(), TELLING)
    silent.invoke(SCHEDULED)
    by_hand.invoke({"dry_run": False})
    assert len(silent.cloud.deleted) == len(by_hand.cloud.deleted) == 10
    assert silent.sent == by_hand.sent == []


def test_a_run_that_did_nothing_is_not_told() -> None:
    """Nothing was to be done; unknown groups, which are kept, are no reason either."""
    odd = Group("/odd", days_ago(9), odd={"storedBytes": -1})
    deployed = Deployed(Cloud([Group("/kept", days_ago(9), 5, 365), odd]), TELLING)
    answer = deployed.invoke(SCHEDULED)
    assert answer["summary"]["unknown"] == 1
    assert deployed.sent == []


DRY = {**TELLING, "JANITOR_SCHEDULED_DRY_RUN": "true"}
TIGHT = parse("[defaults]\ndelete_empty = true\n[limits]\nmax_group_deletions = 3", "tight")


def test_a_dry_run_is_told_only_if_it_failed_or_would_be_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it would change is in its answer and in the log; it changed nothing."""
    deployed = Deployed(mixed(), DRY)
    deployed.invoke(SCHEDULED)
    assert deployed.sent == []
    deployed.cloud.fault = refusing("DescribeLogGroups", "AccessDeniedException")
    deployed.invoke(SCHEDULED | {"id": "another"})
    [failed] = deployed.sent
    assert attribute(failed, "result") == "failed"
    assert "dry run (nothing was changed)" in failed["Message"]
    error = "Error: 123456789012/eu-west-1: the log groups could not be listed"
    assert error in failed["Message"]
    limited = Deployed(mixed(), DRY)
    monkeypatch.setattr(invocation, "current_policy", lambda _settings: TIGHT)
    limited.invoke(SCHEDULED)
    [said] = limited.sent
    assert attribute(said, "result") == "refused"
    assert "Refused: nothing is deleted: the plan has more than max_group" in said["Message"]
    assert re.search(r"Log groups deleted \(would be\) +0\n", said["Message"])


# ---- once, and last --------------------------------------------------------------------------


def test_a_chain_is_told_once_by_its_last_link_and_with_its_totals() -> None:
    """However many links there are, and though the last of them is delivered twice."""
    deployed = Deployed(mixed(), {**TELLING, **FOR_EVER})
    answers = deployed.chain(SCHEDULED, cut(deployed.cloud, 60))
    assert len(answers) > 3
    [said] = deployed.sent
    summary = answers[-1]["summary"]
    assert attribute(said, "groups_deleted") == str(summary["groups_deleted"]) == "10"
    assert attribute(said, "run_id") == SCHEDULED["id"]
    deployed.cloud.quiet()
    deployed.invoke({"run": SCHEDULED["id"], "link": len(answers) - 1}, "once more")
    assert len(deployed.sent) == 1


def test_an_event_that_comes_twice_is_told_once() -> None:
    """EventBridge delivers at least once, and so does Lambda."""
    deployed = Deployed(mixed(), TELLING)
    for request in ("first", "first", "second"):
        deployed.invoke(SCHEDULED, request)
    assert len(deployed.sent) == 1


def test_who_cannot_be_told_is_an_error_after_the_work() -> None:
    """Everything was done; the invocation fails, and when it is tried again only tells."""
    deployed = Deployed(mixed(), TELLING)
    cloud = deployed.cloud
    cloud.fault = refusing("Publish", "AuthorizationErrorException")
    with pytest.raises(
        NotifyError, match=f"the notification could not be sent: {TOPIC}: .*Authorization"
    ):
        deployed.invoke(SCHEDULED)
    assert (len(cloud.puts), len(cloud.deleted), len(cloud.swept)) == (30, 10, 90)
    cloud.quiet()
    cloud.calls.clear()
    for _ in range(2):
        deployed.invoke(SCHEDULED)
    assert len(deployed.sent) == 1
    assert not {"DescribeLogGroups", "DeleteLogGroup"} & cloud.calls.keys()


def test_a_failure_that_nobody_could_be_told_of_is_told_the_next_time() -> None:
    """The run's own failure is not hidden by the message's."""
    deployed = Deployed(mixed(), TELLING)
    denied = ("Publish", "DescribeLogGroups")
    deployed.cloud.fault = lambda call: (
        refused("AccessDeniedException") if call.operation in denied else None
    )
    with pytest.raises(NotifyError):
        deployed.invoke(SCHEDULED)
    deployed.cloud.quiet()
    deployed.invoke(SCHEDULED)
    [said] = deployed.sent
    assert attribute(said, "result") == "failed"
    assert "the log groups could not be listed: DescribeLogGroups: Access" in said["Message"]


# ---- what SNS takes --------------------------------------------------------------------------


def counted(**numbers: Any) -> dict[str, Any]:
    """A summary as a run makes it, with these values in it."""
    money = Ledger().as_dict(price_list(Prices()))
    return {**summarize(Tally(), money, {}, {}, ()).as_dict(), **numbers}


problems = st.lists(st.text(max_size=2000), max_size=40)


@given(
    st.sampled_from([ARN, ARN.replace("cloudwatch-janitor", "j" * 64)]),
    st.booleans(),
    st.builds(
        counted,
        errors=problems,
        warnings=problems,
        failed=st.integers(0),
        refused_because=st.none() | st.text(),
    ),
)
def test_every_message_is_one_that_sns_takes(
    function: str, dry_run: bool, summary: dict[str, Any]
) -> None:
    """Whatever the errors say (SNS API reference, Publish; developer guide, raw delivery)."""
    notice = Notice("0" * 32, function, GROUP, dry_run, summary)
    said = notify.subject(notice, "changed")
    assert 0 < len(said) <= 100
    assert all(" " <= char <= "~" for char in said)
    body = notify.message(notice, "changed", NOW)
    assert 0 < len(body.encode()) <= notify.LONGEST_MESSAGE
    assert all(char.isprintable() or char == "\n" for char in body)
    attributes = notify.attributes(notice, "changed")
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
    notice = Notice(
        "run-1", ARN, GROUP, False, counted(groups_deleted=3, failed=1, errors=["e\x1b[2J"])
    )
    send(boto3.client("sns", REGION), topic, notice, NOW)
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
    send(sns, topic, Notice("run-1", ARN, GROUP, False, counted(groups_deleted=3)), NOW)
    send(sns, topic, Notice("run-2", ARN, GROUP, False, counted(refused_because="too many")), NOW)
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
