"""The notification of a run: its contents, sent once, and only after the work is done."""

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
from janitor.cost.money import Ledger
from janitor.cost.prices import price_list
from janitor.function import notify, warm
from janitor.function.notify import Notice, NotifyError, send
from janitor.function.settings import read_settings
from janitor.policy.file import Prices, parse
from janitor.report.summary import summarize
from tests.accounts import NOW, REGION, Cloud, Group, days_ago, refused, refusing
from tests.function.deployed import ARN, GROUP, SCHEDULED, TOPIC, Deployed, cut, mixed
from tests.function.test_handler import FOR_EVER

NOTIFY = {"JANITOR_NOTIFY_TOPIC": TOPIC}


def attribute(published: dict[str, Any], name: str) -> str:
    """The value of a message's attribute."""
    return str(published["MessageAttributes"][name]["StringValue"])


def test_a_scheduled_run_that_changed_something_sends_a_notification() -> None:
    """Its numbers are the summary's; a hundredth character would be too many for the subject."""
    deployed = Deployed(mixed(), NOTIFY)
    deployed.invoke(SCHEDULED)
    [sent] = deployed.sent
    subject = "cloudwatch-janitor in 123456789012: changed, 10 groups deleted, 90 streams swept"
    assert sent["Subject"] == subject
    assert len(f"{subject}, 30 given retention") == 100
    for line in (
        "Log groups scanned                       100",
        "Retention set                             30",
        "Log groups deleted                        10",
        "Log streams deleted                       90",
    ):
        assert line in sent["Message"].splitlines()
    assert attribute(sent, "result") == "changed"
    assert attribute(sent, "groups_deleted") == "10"
    assert json.loads(attribute(sent, "summary"))["planned"]["delete_group"] == 10
    assert attribute(sent, "run_id") == SCHEDULED["id"]
    assert attribute(sent, "run_id") in sent["Message"]


def test_no_notification_without_a_topic_or_for_a_run_by_hand() -> None:
    """It is off by default, and whoever starts a run by hand gets its answer."""
    silent, by_hand = Deployed(mixed()), Deployed(mixed(), NOTIFY)
    silent.invoke(SCHEDULED)
    by_hand.invoke({"dry_run": False})
    assert len(silent.cloud.deleted) == len(by_hand.cloud.deleted) == 10
    assert silent.sent == by_hand.sent == []


def test_a_run_that_did_nothing_sends_no_notification() -> None:
    """Unknown log groups, which are kept, are no reason for one either."""
    odd = Group("/odd", days_ago(9), odd={"storedBytes": -1})
    deployed = Deployed(Cloud([Group("/kept", days_ago(9), 5, 365), odd]), NOTIFY)
    answer = deployed.invoke(SCHEDULED)
    assert answer["summary"]["unknown"] == 1
    assert deployed.sent == []


DRY = {**NOTIFY, "JANITOR_SCHEDULED_DRY_RUN": "true"}
TIGHT = parse("[defaults]\ndelete_empty = true\n[limits]\nmax_group_deletions = 3", "tight")


def test_a_dry_run_sends_a_notification_only_if_it_failed_or_would_be_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it would change is in its answer and in the log."""
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
    monkeypatch.setattr(warm, "current_policy", lambda _settings: TIGHT)
    limited.invoke(SCHEDULED)
    [sent] = limited.sent
    assert attribute(sent, "result") == "refused"
    assert "Refused: nothing is deleted: the plan has more than max_group" in sent["Message"]
    assert re.search(r"Log groups deleted \(would be\) +0\n", sent["Message"])


# ---- once, and last --------------------------------------------------------------------------


def test_the_last_link_of_a_chain_sends_the_totals_once() -> None:
    """Also if that link is delivered twice."""
    deployed = Deployed(mixed(), {**NOTIFY, **FOR_EVER})
    answers = deployed.chain(SCHEDULED, cut(deployed.cloud, 60))
    assert len(answers) > 3
    [sent] = deployed.sent
    summary = answers[-1]["summary"]
    assert attribute(sent, "groups_deleted") == str(summary["groups_deleted"]) == "10"
    assert attribute(sent, "run_id") == SCHEDULED["id"]
    deployed.cloud.quiet()
    deployed.invoke({"run": SCHEDULED["id"], "link": len(answers) - 1}, "once more")
    assert len(deployed.sent) == 1


def test_a_notification_that_fails_is_an_error_after_the_work() -> None:
    """The invocation fails, and its retry only sends the notification."""
    deployed = Deployed(mixed(), NOTIFY)
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


def test_a_retry_sends_the_runs_own_failure() -> None:
    """The failure to send does not hide it."""
    deployed = Deployed(mixed(), NOTIFY)
    denied = ("Publish", "DescribeLogGroups")
    deployed.cloud.fault = lambda call: (
        refused("AccessDeniedException") if call.operation in denied else None
    )
    with pytest.raises(NotifyError):
        deployed.invoke(SCHEDULED)
    deployed.cloud.quiet()
    deployed.invoke(SCHEDULED)
    [sent] = deployed.sent
    assert attribute(sent, "result") == "failed"
    assert "the log groups could not be listed: DescribeLogGroups: Access" in sent["Message"]


# ---- SNS -------------------------------------------------------------------------------------


def summary_of(**values: Any) -> dict[str, Any]:
    """The summary of a run, with these values."""
    money = Ledger().as_dict(price_list(Prices()))
    return {**summarize(Tally(), money, {}, {}, ()).as_dict(), **values}


problems = st.lists(st.text(max_size=2000), max_size=40)


@given(
    st.sampled_from([ARN, ARN.replace("cloudwatch-janitor", "j" * 64)]),
    st.booleans(),
    st.builds(
        summary_of,
        errors=problems,
        warnings=problems,
        failed=st.integers(0),
        refused_because=st.none() | st.text(),
    ),
)
def test_sns_accepts_every_message(function: str, dry_run: bool, summary: dict[str, Any]) -> None:
    """Whatever its errors contain (SNS API reference, Publish; developer guide, raw delivery)."""
    notice = Notice("0" * 32, function, GROUP, dry_run, summary)
    subject = notify.subject(notice, "changed")
    assert 0 < len(subject) < 100
    assert all(" " <= char <= "~" for char in subject)
    body = notify.message(notice, "changed", NOW)
    assert 0 < len(body.encode()) <= notify.LONGEST_MESSAGE
    assert all(char.isprintable() or char == "\n" for char in body)
    attributes = notify.attributes(notice, "changed")
    assert len(attributes) <= 10
    total = len(body.encode()) + sum(len(str(item).encode()) for item in attributes.items())
    assert total <= 262_144
    for value in attributes.values():
        assert value["StringValue"] != ""
        if value["DataType"] == "Number":
            int(value["StringValue"])


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


def test_subject_text_and_typed_attributes_arrive(queue: tuple[str, str]) -> None:
    """Through moto's SNS into its SQS."""
    topic, url = queue
    summary = summary_of(groups_deleted=3, failed=1, errors=["e\x1b[2J"])
    notice = Notice("run-1", ARN, GROUP, False, summary)
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
    strings = {"run_id", "account", "region", "result", "dry_run", "summary"}
    assert set(types) - numbers == strings
    assert json.loads(envelope["MessageAttributes"]["summary"]["Value"])["groups_deleted"] == 3


def test_a_filter_policy_selects_by_attribute(queue: tuple[str, str]) -> None:
    """A subscription may be for failures only."""
    topic, url = queue
    sns = boto3.client("sns", REGION)
    [subscription] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.set_subscription_attributes(
        SubscriptionArn=subscription["SubscriptionArn"],
        AttributeName="FilterPolicy",
        AttributeValue=json.dumps({"result": ["failed", "refused"]}),
    )
    for summary in (summary_of(groups_deleted=3), summary_of(refused_because="too many")):
        send(sns, topic, Notice("run-1", ARN, GROUP, False, summary), NOW)
    sqs = boto3.client("sqs", REGION)
    [arrived] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert "refused" in json.loads(arrived["Body"])["Subject"]


@pytest.mark.parametrize(
    "topic", ["operations", "", f"{TOPIC}.fifo", TOPIC.replace("sns", "sqs"), f"{TOPIC}\n"]
)
def test_an_invalid_topic_is_refused(topic: str) -> None:
    """At the start, with the variable's name."""
    with pytest.raises(
        UsageError, match=r"JANITOR_NOTIFY_TOPIC: .* is not the ARN of an SNS topic"
    ):
        read_settings({"JANITOR_NOTIFY_TOPIC": topic})
