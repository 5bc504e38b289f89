"""The path of new log groups' events, from each Region to the function, as Pulumi declares it."""

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
from tests.deploy import pulumi_on_moto
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
    """A deployment with newGroups, in two Regions."""
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    yield cloud.deployed(CONFIG)
    cloud.close()


def test_each_regions_rule_sends_to_the_bus_at_home(account: Account) -> None:
    """Log groups that were created, not those that an agent tried to create again."""
    bus = client("events").describe_event_bus(Name=NAME)
    assert "Policy" not in bus, "only this account may send to it"
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
        matched = [bool(matches(each)) for each in (event, failed, *others)]
        assert matched == [True, False, False, False]
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
    answer: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: dict[str, Any] = answer["Attributes"]
    return attributes


def test_the_queue_delays_15_minutes_and_has_a_dead_letter_queue(account: Account) -> None:
    """A message stays hidden for six of the function's timeouts; only the rule may send."""
    (target,) = client("events").list_targets_by_rule(Rule=NAME, EventBusName=NAME)["Targets"]
    delayed, failures = queue(NAME), queue(f"{NAME}-failures")
    assert target["Arn"] == delayed["QueueArn"]
    assert target["DeadLetterConfig"] == {"Arn": failures["QueueArn"]}
    assert delayed["DelaySeconds"] == "900"
    function = _function(NAME)
    assert int(delayed["VisibilityTimeout"]) >= 6 * function["Timeout"]
    assert json.loads(delayed["RedrivePolicy"]) == {
        "deadLetterTargetArn": failures["QueueArn"],
        "maxReceiveCount": 5,
    }
    assert failures["MessageRetentionPeriod"] == "1209600"
    rule = client("events").describe_rule(Name=NAME, EventBusName=NAME)["Arn"]
    for attributes in (delayed, failures):
        (statement,) = json.loads(attributes["Policy"])["Statement"]
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule}}
        assert attributes["SqsManagedSseEnabled"] == "true"


def test_the_function_takes_batches_of_five_in_two_invocations_at_once(account: Account) -> None:
    """Its share of the quotas allows for that; only failed messages are delivered again."""
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


def test_alarms_for_failed_messages_and_for_missing_trails(account: Account) -> None:
    """Both publish to the topic, and the watch has the settings for its metric."""
    failures, deaf = _alarm(f"{NAME}-failures"), _alarm(f"{NAME}-deaf")
    assert failures["AlarmActions"] == deaf["AlarmActions"] == [TOPIC]
    assert failures["Dimensions"] == [{"Name": "QueueName", "Value": f"{NAME}-failures"}]
    assert (deaf["MetricName"], deaf["TreatMissingData"]) == ("Deaf", "breaching")
    assert deaf["Dimensions"] == [{"Name": "service", "Value": WATCH}]
    settings = read_settings(_env(WATCH))
    assert (settings.new_groups, settings.region_names) == (NAME, [REGION, AWAY])
    assert _env(NAME)["POWERTOOLS_SERVICE_NAME"] == NAME
    assert _documents(WATCH)["work"] == watch_policy(new_groups=True)


def test_the_dashboard_shows_the_metrics_of_new_groups(account: Account) -> None:
    """The functions' own tests check that they publish these."""
    shown = _shown(_dashboard())
    assert {name for _, name, by in shown if by == {"service": NAME}} == {
        "Events",
        "RetentionSet",
        "Failed",
    }
    assert {name for _, name, by in shown if by == {"service": WATCH}} == {"Overdue", "Deaf"}


def test_its_role_adds_journals_and_never_touches_the_state_of_runs(account: Account) -> None:
    """Runs trust what they find in the bucket, so the bucket's policy refuses it too."""
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
    """It may only change retention, in the configured Regions."""
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
        "s3:PutObject": {"StringEquals": {"aws:ResourceAccount": ACCOUNT}},
        "sqs:DeleteMessage": None,
    }


def test_no_target_exists_before_its_permissions(account: Account) -> None:
    """The queue or the bus would refuse its events."""
    for target in account.of("aws:cloudwatch/eventTarget:EventTarget"):
        if target.name == "new-groups-home":
            assert ("aws:sqs/queuePolicy:QueuePolicy", "new-groups-queue") in target.after
        elif target.name.startswith("new-groups"):
            assert ("aws:iam/rolePolicy:RolePolicy", "new-groups-events") in target.after
    tags = client("sqs").list_queue_tags(QueueUrl=account.outputs["new_groups_failures"])["Tags"]
    assert tags == {"team": "operations"}


def test_a_preview_shows_everything(account: Account, tmp_path: Path) -> None:
    """Names and permissions are known before AWS has answered anything."""
    declared, cloud = account.inputs, Cloud(tmp_path)
    shown = cloud.preview(CONFIG).inputs
    cloud.close()
    assert shown.keys() == declared.keys()
    work = ("aws:iam/rolePolicy:RolePolicy", "new-groups-work")
    assert shown[work] == declared[work]


def test_a_region_that_is_newer_than_the_functions_is_left_to_the_scheduled_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EC2 lists it as enabled, but the functions would refuse their environment."""
    call = "aws:index/getRegions:getRegions"
    enabled = {"names": ["zz-west-1", AWAY, REGION]}
    monkeypatch.setitem(pulumi_on_moto._CALLS, call, lambda *_: enabled)
    cloud = Cloud(tmp_path)
    shown = cloud.preview({**CONFIG, "regions": []}).inputs
    cloud.close()
    for name in ("new-groups", "watch"):
        variables = shown["aws:lambda/function:Function", name]["environment"]["variables"]
        assert read_settings(variables).region_names == [REGION, AWAY]
