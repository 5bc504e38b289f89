"""The way of a new log group's news, from each Region to the function, as Pulumi declares it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.events.models import EventPattern

from janitor.function.iam import watch_policy
from janitor.function.settings import read_settings
from tests.deploy.iam import allowed
from tests.deploy.pulumi_on_moto import Account, client
from tests.deploy.test_deploy import (
    ACCOUNT,
    BUCKET,
    JANITOR,
    REGION,
    TOPIC,
    WATCH,
    Cloud,
    _alarm,
    _dashboard,
    _documents,
    _env,
    _function,
    _shown,
)
from tests.function.test_new_groups import BATCH, SECONDS, hint

NAME = f"{JANITOR}-new-groups"
AWAY = "us-east-1"
CONFIG = {
    "functions": ["janitor"],
    "newGroups": True,
    "regions": [AWAY, REGION],
    "alarmTopic": TOPIC,
    "dashboard": True,
    "tags": {"team": "operations"},
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """With new groups asked for, in two Regions."""
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    yield cloud.deployed(CONFIG)
    cloud.close()


def test_each_regions_rule_tells_the_bus_at_home(account: Account) -> None:
    """Of log groups that were made, not of those that an agent tried to make again."""
    bus = client("events").describe_event_bus(Name=NAME)
    assert "Policy" not in bus, "of this account alone"
    for region in (REGION, AWAY):
        events = client("events", region)
        rule = events.describe_rule(Name=NAME)
        pattern = json.loads(rule["EventPattern"])
        assert pattern["detail"]["eventName"] == ["CreateLogGroup"]
        event = hint("/a")
        event["detail"] |= {"eventSource": "logs.amazonaws.com"}
        failed = copy.deepcopy(event)
        failed["detail"]["errorCode"] = "ResourceAlreadyExistsException"
        matches: Any = EventPattern.load(rule["EventPattern"]).matches_event
        others = hint("/a", source="mine"), hint("/a", account="9" * 12)
        seen = [bool(matches(one)) for one in (event, failed, *others)]
        assert seen == [True, False, False, False]
        (target,) = events.list_targets_by_rule(Rule=NAME)["Targets"]
        assert target["Arn"] == bus["Arn"]
        assert target["RoleArn"] == f"arn:aws:iam::{ACCOUNT}:role/{NAME}-events"
    documents = _documents(f"{NAME}-events")
    assert allowed(documents.values(), "events:PutEvents", bus["Arn"])
    assert not allowed(documents.values(), "events:PutEvents", bus["Arn"].replace(NAME, "default"))


def queue(name: str) -> dict[str, Any]:
    """A queue's attributes."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return found


def test_the_queue_waits_15_minutes_and_gives_up_into_another(account: Account) -> None:
    """Longer than the function may take to be tried again; only the rule may send."""
    (target,) = client("events").list_targets_by_rule(Rule=NAME, EventBusName=NAME)["Targets"]
    waits, failures = queue(NAME), queue(f"{NAME}-failures")
    assert target["Arn"] == waits["QueueArn"]
    assert target["DeadLetterConfig"] == {"Arn": failures["QueueArn"]}
    assert waits["DelaySeconds"] == "900"
    function = _function(NAME)
    assert int(waits["VisibilityTimeout"]) >= 6 * function["Timeout"]
    assert json.loads(waits["RedrivePolicy"]) == {
        "deadLetterTargetArn": failures["QueueArn"],
        "maxReceiveCount": 5,
    }
    assert failures["MessageRetentionPeriod"] == "1209600"
    rule = client("events").describe_rule(Name=NAME, EventBusName=NAME)["Arn"]
    for one in (waits, failures):
        (statement,) = json.loads(one["Policy"])["Statement"]
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule}}
        assert one["SqsManagedSseEnabled"] == "true"


def test_the_function_takes_five_at_a_time_two_at_once(account: Account) -> None:
    """Which its share of the quotas is made for; what failed alone comes again."""
    (source,) = account.of("aws:lambda/eventSourceMapping:EventSourceMapping")
    assert source.inputs["eventSourceArn"] == queue(NAME)["QueueArn"]
    assert source.inputs["batchSize"] == BATCH
    assert source.inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source.inputs["scalingConfig"] == {"maximumConcurrency": 2}
    function = _function(NAME)
    assert function["Timeout"] == SECONDS
    assert function["Handler"] == "janitor.function.new_groups.handler"
    assert function["CodeSha256"] == _function(JANITOR)["CodeSha256"]
    settings = read_settings(_env(NAME))
    assert settings.region_names == [REGION, AWAY]
    assert settings.bucket == BUCKET


def test_somebody_hears_of_what_was_given_up_and_of_silence(account: Account) -> None:
    """Both alarms have the topic; the watch knows what to look at."""
    failures, deaf = _alarm(f"{NAME}-failures"), _alarm(f"{NAME}-deaf")
    assert failures["AlarmActions"] == deaf["AlarmActions"] == [TOPIC]
    assert failures["Dimensions"] == [{"Name": "QueueName", "Value": f"{NAME}-failures"}]
    assert (deaf["MetricName"], deaf["TreatMissingData"]) == ("Deaf", "breaching")
    assert deaf["Dimensions"] == [{"Name": "service", "Value": WATCH}]
    settings = read_settings(_env(WATCH))
    assert (settings.new_groups, settings.region_names) == (NAME, [REGION, AWAY])
    assert _env(NAME)["POWERTOOLS_SERVICE_NAME"] == NAME
    assert _documents(WATCH)["work"] == watch_policy(new_groups=True)


def test_the_dashboard_shows_new_groups_and_silence(account: Account) -> None:
    """By what the functions publish, which the tests of those check."""
    shown = _shown(_dashboard())
    assert {name for _, name, by in shown if by == {"service": NAME}} == {
        "Events",
        "RetentionSet",
        "Failed",
    }
    assert {name for _, name, by in shown if by == {"service": WATCH}} == {"Overdue", "Deaf"}


def test_its_role_adds_journals_and_never_touches_the_state_of_runs(account: Account) -> None:
    """What a run finds in the bucket it believes: the bucket refuses others too."""
    documents = _documents(NAME).values()
    journal = f"arn:aws:s3:::{BUCKET}/journal/{ACCOUNT}/2026-12-01/new.jsonl"
    state = f"arn:aws:s3:::{BUCKET}/runs/run/state.json"
    assert allowed(documents, "s3:PutObject", journal)
    assert not allowed(documents, "s3:PutObject", state)
    statements = json.loads(client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    _, writers, keeper = statements
    roles = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in (JANITOR, NAME)]
    assert writers["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == roles
    assert keeper["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == roles[:1]
    assert keeper["NotResource"] == [f"arn:aws:s3:::{BUCKET}/journal/*"]
    assert (keeper["Effect"], keeper["Action"]) == ("Deny", "s3:PutObject")


def test_its_role_deletes_nothing(account: Account) -> None:
    """Retention in the configured Regions is all that it may change."""
    statements = _documents(NAME)["work"]["Statement"]
    actions = {
        action: statement.get("Condition")
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
        if not action.split(":")[1].startswith(("Describe", "List", "Get", "Receive"))
    }
    regions = {"StringEquals": {"aws:RequestedRegion": sorted([REGION, AWAY])}}
    assert actions == {
        "logs:PutRetentionPolicy": regions,
        "s3:PutObject": None,
        "sqs:DeleteMessage": None,
    }


def test_nothing_is_sent_before_it_may_be(account: Account) -> None:
    """A target stands when its queue, or the bus, takes what is sent."""
    for target in account.of("aws:cloudwatch/eventTarget:EventTarget"):
        if target.name == "new-groups-home":
            assert ("aws:sqs/queuePolicy:QueuePolicy", "new-groups-queue") in target.after
        elif target.name.startswith("new-groups"):
            assert ("aws:iam/rolePolicy:RolePolicy", "new-groups-events") in target.after
    tags = client("sqs").list_queue_tags(QueueUrl=account.outputs["new_groups_failures"])["Tags"]
    assert tags == {"team": "operations"}


def test_a_preview_shows_all_of_it(account: Account, tmp_path: Path) -> None:
    """Before AWS has answered anything, rights and names are known."""
    cloud = Cloud(tmp_path)
    cloud.start()
    cloud.account.preview = True
    cloud.deploy(CONFIG)
    shown = {(made.type, made.name): made.inputs for made in cloud.account.made}
    declared = {(made.type, made.name): made.inputs for made in account.made}
    cloud.close()
    assert shown.keys() == declared.keys()
    work = ("aws:iam/rolePolicy:RolePolicy", "new-groups-work")
    assert shown[work] == declared[work]
