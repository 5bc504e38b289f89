"""The resources of a fleet, as Pulumi declares them, and the fleet's configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.config import ConfigError, parse
from janitor.function.metrics import METRICS
from janitor.function.settings import read_settings
from tests.deploy import pulumi_on_moto
from tests.deploy.iam import allowed
from tests.deploy.pulumi_on_moto import PROJECT, Account, client
from tests.deploy.test_deploy import (
    ACCOUNT,
    BUCKET,
    JANITOR,
    OTHER,
    REGION,
    TOPIC,
    Cloud,
    _alarm,
    _dashboard,
    _documents,
    _env,
    _function,
    _shown,
)

NAME = f"{JANITOR}-fleet"
CONFIG: dict[str, Any] = {
    "functions": ["janitor"],
    "regions": [REGION],
    "alarmTopic": TOPIC,
    "notify": True,
    "dashboard": True,
    "tags": {"team": "operations"},
    "fleet": {
        "externalId": "a-b:c/d",
        "role": "ops/janitor",
        "exclude": ["999999999999"],
        "stackSet": True,
    },
}
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{NAME}"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A deployment with a fleet, in the management account of an organization."""
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    cloud.start()
    client("organizations").create_organization(FeatureSet="ALL")
    cloud.deploy(CONFIG)
    yield cloud.account
    cloud.close()


def _definition() -> Any:
    text = client("stepfunctions").describe_state_machine(stateMachineArn=MACHINE)["definition"]
    return json.loads(text)


def test_the_rule_starts_a_dry_run_that_is_named_after_its_event(account: Account) -> None:
    """So an event that is delivered twice is one run; an event that starts nothing is kept."""
    events, sqs = client("events"), client("sqs")
    rule = events.describe_rule(Name=NAME)
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 6 2 * ? *)", "ENABLED")
    (target,) = events.list_targets_by_rule(Rule=NAME)["Targets"]
    assert target["Arn"] == MACHINE == account.outputs["fleet"]
    transformer = target["InputTransformer"]
    assert transformer["InputPathsMap"] == {"id": "$.id"}
    # EventBridge puts a string into a template in quotation marks (EventBridge User Guide).
    text = transformer["InputTemplate"].replace("<id>", '"53dc4d37-cffa"')
    assert json.loads(text) == {"run": "53dc4d37-cffa", "dry_run": True}
    url = sqs.get_queue_url(QueueName=f"{JANITOR}-failures")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert target["DeadLetterConfig"] == {"Arn": queue["QueueArn"]}
    (statement,) = json.loads(queue["Policy"])["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rule["Arn"]}}
    starter = _documents(f"{NAME}-events").values()
    assert allowed(starter, "states:StartExecution", MACHINE)
    assert not allowed(starter, "states:StartExecution", f"{MACHINE}-2")
    permissions = {
        ("aws:iam/rolePolicy:RolePolicy", "fleet-events"),
        ("aws:sqs/queuePolicy:QueuePolicy", "fleet"),
    }
    assert permissions <= account.the("aws:cloudwatch/eventTarget:EventTarget", "fleet").after


def _steps(states: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], set[str]]]:
    """Each state with its name and those that may come next."""
    for name, state in states.items():
        following = [state, *state.get("Choices", ()), *state.get("Catch", ())]
        named = [each[key] for each in following for key in ("Next", "Default") if key in each]
        yield name, state, set(named)
        if "ItemProcessor" in state:
            yield from _steps(state["ItemProcessor"]["States"])


def test_every_state_is_reachable_and_every_task_is_retried(account: Account) -> None:
    """State names are unique in the whole machine (Amazon States Language), which moto parsed."""
    definition = _definition()
    steps = list(_steps(definition["States"]))
    names = [name for name, _, _ in steps]
    assert len(set(names)) == len(names)
    items = [state["ItemProcessor"] for _, state, _ in steps if state["Type"] == "Map"]
    starts = {definition["StartAt"], *(each["StartAt"] for each in items)}
    assert starts | {each for _, _, following in steps for each in following} == set(names)
    for name, state, following in steps:
        ends = state.get("End") or state["Type"] in ("Fail", "Succeed")
        assert bool(following) is not bool(ends), name
        if state["Type"] == "Task":
            last = state["Retry"][-1]
            assert last["ErrorEquals"] == ["States.ALL"], "it must be alone and last"
            assert last["JitterStrategy"] == state["Retry"][0]["JitterStrategy"] == "FULL"
            assert state["Parameters"]["FunctionName"] == _function(NAME)["FunctionArn"]
            assert state["TimeoutSeconds"] > _function(NAME)["Timeout"]


def test_each_target_has_a_standard_execution_of_its_own(account: Account) -> None:
    """As many at once as configured; their answers are not kept."""
    maps = [state for _, state, _ in _steps(_definition()["States"]) if state["Type"] == "Map"]
    assert [each["Label"] for each in maps] == ["survey", "act"]
    for each in maps:
        config = each["ItemProcessor"]["ProcessorConfig"]
        assert config == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        assert (each["MaxConcurrency"], each["ResultPath"]) == (50, None)
        assert not {key for key in each if key.startswith(("Tolerated", "ResultWriter"))}
    machine = client("stepfunctions").describe_state_machine(stateMachineArn=MACHINE)
    assert machine["type"] == "STANDARD"


def test_retries_outlast_the_claim_of_an_invocation_that_died(account: Account) -> None:
    """It holds its target for up to the function's 900 s."""
    task = _definition()["States"]["Survey"]["ItemProcessor"]["States"]["SurveyTarget"]
    (retry,) = [each for each in task["Retry"] if each["ErrorEquals"] == ["BusyError"]]
    assert retry["BackoffRate"] == 1
    assert retry["IntervalSeconds"] * retry["MaxAttempts"] > _function(NAME)["Timeout"]


def test_the_machines_role_may_call_only_its_function_and_itself(account: Account) -> None:
    """From the bucket it reads only targets, and no other account's machine may assume it."""
    documents = _documents(f"{NAME}-machine").values()
    function, janitor = _function(NAME)["FunctionArn"], _function(JANITOR)["FunctionArn"]
    assert allowed(documents, "lambda:InvokeFunction", function)
    assert not allowed(documents, "lambda:InvokeFunction", janitor)
    assert allowed(documents, "states:StartExecution", MACHINE)
    assert not allowed(documents, "states:StartExecution", f"{MACHINE}-2")
    of_a_target = f"{MACHINE.replace(':stateMachine:', ':execution:')}/act:1"
    assert allowed(documents, "states:StopExecution", of_a_target)
    assert not allowed(documents, "states:StopExecution", of_a_target.replace("/act", "-2/act"))
    objects = f"arn:aws:s3:::{BUCKET}/fleet/run"
    assert allowed(documents, "s3:GetObject", f"{objects}/targets.json")
    assert not allowed(documents, "s3:GetObject", f"{objects}/run.json")
    role = client("iam").get_role(RoleName=f"{NAME}-machine")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "states.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_the_function_may_assume_only_the_configured_role_and_keep_its_own_runs(
    account: Account,
) -> None:
    """In any account; it changes log groups only with that role."""
    documents = _documents(NAME).values()
    for other in ("111111111111", "222222222222"):
        role = f"arn:aws:iam::{other}:role/ops/janitor"
        assert allowed(documents, "sts:AssumeRole", role)
        for name in (f"{role}-2", role.replace("ops/", ""), role.replace("janitor", "admin")):
            assert not allowed(documents, "sts:AssumeRole", name)
    objects = f"arn:aws:s3:::{BUCKET}/"
    assert allowed(documents, "s3:PutObject", f"{objects}fleet/run/run.json")
    assert allowed(documents, "s3:PutObject", f"{objects}journal/111111111111/2026-12-01/a.jsonl")
    assert not allowed(documents, "s3:PutObject", f"{objects}runs/run/state.json")
    assert not allowed(documents, "s3:DeleteObject", f"{objects}fleet/run/run.json")
    assert allowed(documents, "sns:Publish", TOPIC)
    assert "logs:DeleteLogGroup" not in json.dumps(_documents(NAME))


def test_each_folder_of_the_bucket_has_its_own_writers(account: Account) -> None:
    """Runs trust what they find there, so the bucket refuses all others."""
    statements = json.loads(client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    roles = {name: f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in (JANITOR, NAME)}

    def writes(role: str, key: str) -> bool:
        resource = f"arn:aws:s3:::{BUCKET}/{key}"
        denied = [
            role not in each["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
            for each in statements
            if each["Action"] == "s3:PutObject"
            and ("Resource" in each)
            == _within(resource, each.get("Resource") or each["NotResource"])
        ]
        return not any(denied)

    keys = ("fleet/a", "journal/a", "runs/a", "a")
    assert [writes(roles[NAME], key) for key in keys[:3]] == [True, True, False]
    assert [writes(roles[JANITOR], key) for key in keys[:3]] == [False, True, True]
    assert not any(writes("arn:aws:iam::1:role/x", key) for key in keys)


def _within(resource: str, patterns: str | list[str]) -> bool:
    each = [patterns] if isinstance(patterns, str) else patterns
    return any(resource.startswith(pattern.removesuffix("*")) for pattern in each)


def test_the_function_accepts_its_environment(account: Account) -> None:
    """It would refuse an unknown variable; its package is the janitor's."""
    settings = read_settings(_env(NAME))
    assert settings.fleet_role == "ops/janitor"
    assert settings.fleet_external_id == "a-b:c/d"
    assert settings.fleet.excluded_accounts == ["999999999999"]
    assert (settings.bucket, settings.notify_topic) == (BUCKET, TOPIC)
    assert settings.region_names == [REGION]
    function = _function(NAME)
    assert function["Handler"] == "janitor.function.fleet.handler"
    assert function["CodeSha256"] == _function(JANITOR)["CodeSha256"]


def test_alarms_for_broken_hung_failed_and_overdue_runs(account: Account) -> None:
    """All publish to the topic."""
    stopped, hung, failed, overdue = alarms = [
        _alarm(f"{NAME}-{name}") for name in ("stopped", "hung", "failed", "overdue")
    ]
    assert all(each["AlarmActions"] == [TOPIC] for each in alarms)
    for each, metric in ((stopped, "ExecutionsFailed"), (hung, "ExecutionsTimedOut")):
        assert (each["Namespace"], each["MetricName"]) == ("AWS/States", metric)
        assert each["Dimensions"] == [{"Name": "StateMachineArn", "Value": MACHINE}]
    assert (failed["MetricName"], failed["TreatMissingData"]) == ("RunFailed", "notBreaching")
    assert (overdue["MetricName"], overdue["TreatMissingData"]) == ("Overdue", "breaching")
    assert overdue["Dimensions"] == [{"Name": "service", "Value": f"{NAME}-watch"}]
    assert read_settings(_env(f"{NAME}-watch")).watched == NAME
    assert account.outputs["fleet_alarms"] == [each["AlarmName"] for each in alarms]


def test_the_dashboard_shows_the_fleets_runs(account: Account) -> None:
    """With the metric of the alarm on failed runs, and nothing that no run publishes."""
    shown = [each for each in _shown(_dashboard()) if each[2].get("service") == NAME]
    failed = _alarm(f"{NAME}-failed")
    by = {each["Name"]: each["Value"] for each in failed["Dimensions"]}
    assert all((space, at) == (failed["Namespace"], by) for space, _, at in shown)
    names = {name for _, name, _ in shown}
    assert "RunFailed" in names
    assert names <= {*METRICS, "Complete", "RunFailed"}


def test_a_stack_set_creates_the_role_in_each_account_for_the_function_alone(
    account: Account,
) -> None:
    """In accounts that join, too; external ID, organization and ARN are conditions. An upgrade
    changes it in all accounts at once: one after the other it would not end in time.
    """
    organization = client("organizations").describe_organization()["Organization"]
    (root,) = client("organizations").list_roots()["Roots"]
    stack_set = account.the("aws:cloudformation/stackSet:StackSet", "member-roles")
    assert stack_set.deleted_first, "one of another name has roles of the same name"
    roles = stack_set.inputs
    instances = account.the(
        "aws:cloudformation/stackInstances:StackInstances", "member-roles"
    ).inputs
    assert instances["deploymentTargets"] == {"organizationalUnitIds": [root["Id"]]}
    for each in (roles, instances):
        at_once = {"failureTolerancePercentage": 100, "maxConcurrentPercentage": 100}
        assert each["operationPreferences"] == at_once
    assert (roles["permissionModel"], roles["callAs"]) == ("SERVICE_MANAGED", "SELF")
    assert roles["autoDeployment"] == {"enabled": True, "retainStacksOnAccountRemoval": False}
    assert len(roles["templateBody"]) <= 51_200, "CloudFormation's limit (CreateStackSet)"
    role = json.loads(roles["templateBody"])["Resources"]["Role"]["Properties"]
    assert (role["Path"], role["RoleName"]) == ("/ops/", "janitor")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringEquals": {"sts:ExternalId": "a-b:c/d", "aws:PrincipalOrgID": organization["Id"]},
        "ArnEquals": {"aws:PrincipalArn": account.outputs["fleet_role"]},
    }
    assert client("iam").get_role(RoleName=NAME)["Role"]["Arn"] == account.outputs["fleet_role"]


def test_a_preview_shows_everything(account: Account, tmp_path: Path) -> None:
    """Definition, permissions and names are known before AWS has created anything."""
    declared, cloud = account.inputs, Cloud(tmp_path)
    shown = cloud.preview(CONFIG).inputs
    cloud.close()
    assert shown.keys() == declared.keys()
    for kind, name, key in (
        ("aws:sfn/stateMachine:StateMachine", "fleet", "definition"),
        ("aws:iam/rolePolicy:RolePolicy", "fleet-work", "policy"),
        ("aws:iam/rolePolicy:RolePolicy", "fleet-machine", "policy"),
        ("aws:iam/rolePolicy:RolePolicy", "fleet-events", "policy"),
    ):
        assert shown[kind, name][key] == declared[kind, name][key], name


FLEET: dict[str, Any] = {"externalId": "a-b:c/d"}
UNIT = "ou-ab12-11111111"
ONE = "111111111111"
MANY = [str(int(ONE) + number) for number in range(300)]
"""More accounts than fit into the function's environment."""


@pytest.mark.parametrize(
    ("wanted", "key", "why"),
    [
        ("everything", "fleet", "'everything' is refused"),
        ({}, "fleet.externalId", "it is missing"),
        ({"externalId": "a"}, "fleet.externalId", "'a' is refused"),
        ({"externalId": "with space"}, "fleet.externalId", "'with space' is refused"),
        (FLEET | {"role": "a/b/"}, "fleet.role", "'a/b/' is refused"),
        (FLEET | {"ous": ["production"]}, "fleet.ous", "['production'] is refused"),
        (FLEET | {"ous": [UNIT, UNIT]}, "fleet.ous", "more than once"),
        (FLEET | {"accounts": ["1"]}, "fleet.accounts", "['1'] is refused"),
        (FLEET | {"accounts": True}, "fleet.accounts", "True is refused"),
        (FLEET | {"exclude": ["all"]}, "fleet.exclude", "['all'] is refused"),
        (FLEET | {"accounts": [ONE], "exclude": [UNIT]}, "fleet.exclude", "without ous"),
        (FLEET | {"accounts": [ONE], "stackSet": True}, "fleet.accounts", "a stackSet"),
        (FLEET | {"accounts": MANY}, "fleet.accounts", "a list of 300 is refused"),
        (FLEET | {"schedule": "monthly"}, "fleet.schedule", "neither cron(…)"),
        (FLEET | {"scheduledRun": "true"}, "fleet.scheduledRun", "'true' is refused"),
        (FLEET | {"concurrency": 0}, "fleet.concurrency", "0 is refused"),
        (FLEET | {"concurrency": 1001}, "fleet.concurrency", "1001 is refused"),
        (FLEET | {"stackSet": "yes"}, "fleet.stackSet", "'yes' is refused"),
        (FLEET | {"external_id": "ab"}, "fleet.external_id", "unknown key"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_what_is_accepted(
    wanted: object, key: str, why: str
) -> None:
    """It names the key within fleet."""
    text = wanted if isinstance(wanted, str) else json.dumps(wanted)
    with pytest.raises(ConfigError) as error:
        parse({"fleet": text}, region=None)
    (line,) = error.value.problems
    assert line.startswith(f"{PROJECT}:{key}: ")
    assert why in line
    assert "accepted: " in line


def test_ids_may_be_numbers() -> None:
    """`pulumi config set --path 'fleet.accounts[0]' 123456789012` writes one."""
    wanted = {"externalId": 4711, "accounts": [123456789012, "012345678901"]}
    fleet = parse({"fleet": json.dumps(wanted)}, region=None).fleet
    assert fleet is not None
    assert (fleet.external_id, fleet.accounts) == ("4711", ("123456789012", "012345678901"))


def test_accounts_alone_need_no_organization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither deployment nor function reads one; the fleet's scheduledRun is its own."""
    monkeypatch.delitem(pulumi_on_moto._CALLS, "aws:organizations/getOrganization:getOrganization")
    wanted = {"externalId": "ab", "accounts": [111111111111], "scheduledRun": "apply"}
    cloud = Cloud(tmp_path)
    cloud.deployed({"name": OTHER, "functions": ["janitor"], "fleet": wanted})
    assert read_settings(_env(f"{OTHER}-fleet")).fleet.accounts == ["111111111111"]
    assert "organizations:" not in json.dumps(_documents(f"{OTHER}-fleet"))
    (target,) = client("events").list_targets_by_rule(Rule=f"{OTHER}-fleet")["Targets"]
    assert '"dry_run": false' in target["InputTransformer"]["InputTemplate"]
    assert _env(OTHER)["JANITOR_SCHEDULED_DRY_RUN"] == "true"
    cloud.close()
