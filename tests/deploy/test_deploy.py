"""The Pulumi program: its resources on moto, read back through boto3."""

from __future__ import annotations

import base64
import functools
import hashlib
import inspect
import io
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pulumi
import pytest
import yaml
from aws_lambda_powertools.metrics import EphemeralMetrics
from moto import mock_aws
from moto.core.config import DefaultConfig
from packaging.requirements import Requirement

from deploy import packaging
from deploy.config import Config, ConfigError, parse
from deploy.schedule import checked_expression
from janitor.aws.regions import partition_of
from janitor.function.events import Request
from janitor.function.iam import function_policy, watch_policy
from janitor.function.invocation import configure_logs
from janitor.function.settings import read_settings
from janitor.policy.file import load
from tests.deploy.iam import allowed
from tests.deploy.pulumi_on_moto import PROJECT, Account, client
from tests.function.deployed import SCHEDULED, Deployed, mixed

ROOT = Path(__file__).parents[2]
DOCUMENTATION = (ROOT / "docs" / "deployment.md").read_text()
REGION = "eu-west-1"
ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:operations"
JANITOR, WATCH = "cloudwatch-janitor", "cloudwatch-janitor-watch"
HASH, HELLOWORLD = "cloudwatch-janitor-hash", "cloudwatch-janitor-helloworld"
_RESOURCE = {JANITOR: "janitor", WATCH: "watch", HASH: "hash", HELLOWORLD: "helloworld"}
FUNCTIONS = tuple(_RESOURCE)
GROUPS = {name: f"/{JANITOR}/{resource}" for name, resource in _RESOURCE.items()}
OTHER = "logs-janitor"
OTHERWISE: dict[str, Any] = {  # every key that can be set beside the others, none at its default
    "name": OTHER,
    "functions": ["janitor"],
    "schedule": "rate(7 days)",
    "scheduledRun": "apply",
    "policyParameter": "/janitor/policy",
    "regions": ["eu-west-1", "us-east-1"],
    "alarmTopic": TOPIC,
    "notify": True,
    "dashboard": True,
    "keepDays": 90,
    "reservedConcurrency": 0,
    "tags": {"team": "operations"},
}


BUCKET = f"{JANITOR}-{ACCOUNT}"
EVERYTHING: dict[str, Any] = {  # the parts that are off by default
    "notify": True,
    "notifyEmail": ["operations@example.com", "finance@example.com"],
    "dashboard": True,
    "tags": {"team": "operations", "cost-centre": 4711, "keep": True},  # as --path writes them
}
TAGS = {"team": "operations", "cost-centre": "4711", "keep": "true"}
ALARMS = [f"{JANITOR}-{name}" for name in ("stopped", "failed", "overdue")]

REAL_STAGE = packaging.stage
REAL_ZIP_OF = packaging.zip_of


@dataclass
class Packages:
    """A stand-in for deploy.packaging: small real packages, without pip. `calls` are its stages."""

    folder: Path
    calls: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("stage", "zip_of", "image_context"):
            real, stand_in = getattr(packaging, name), getattr(self, name)
            patch.setattr(packaging, name, _like(real, stand_in))

    def stage(self, function: Any, *, extra: Mapping[str, Path] | None = None) -> Path:
        name: str = function.name
        self.calls.append((name, tuple(extra or ())))
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY {name} /\n")
        (folder / "handler.py").write_text(f"# {name}\n")
        for path, source in (extra or {}).items():
            (folder / path).write_bytes(source.read_bytes())
        return folder

    def zip_of(self, folder: Path) -> Path:
        archive = folder.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.iterdir()):
                file.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
        return archive

    def image_context(self, folder: Path) -> Path:
        return folder


def _like(real: Any, stand_in: Any) -> Any:
    """`stand_in`, which refuses arguments that `real` would refuse."""
    signature = inspect.signature(real)

    def call(*args: Any, **kwargs: Any) -> Any:
        signature.bind(*args, **kwargs)
        return stand_in(*args, **kwargs)

    return call


class Cloud:
    """One account at a time; the same configuration twice in a row is deployed once.

    Tests of one configuration therefore stand together.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config: Mapping[str, str] | None = None
        self._open = ExitStack()
        self.account = Account()
        self.packages = Packages(folder)

    def deployed(self, config: Mapping[str, Any] | None = None) -> Account:
        texts = _texts(config or {})
        if texts != self._config:
            self.start()
            self.deploy(config or {})
            self._config = texts
        return self.account

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Run the project's folder as a program, in that folder, as Pulumi does."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT / "deploy")
            patch.setattr(sys, "path", list(sys.path))
            self.account.up(lambda: runpy.run_path(".", run_name="__main__"), _texts(config))

    def preview(self, config: Mapping[str, Any], region: str = REGION) -> Account:
        """Preview a new stack in an empty account."""
        self.start().setenv("AWS_DEFAULT_REGION", region)
        self.account.preview = True
        self.deploy(config)
        return self.account

    def refused(self, config: Mapping[str, Any]) -> pulumi.RunError:
        """The error of the program, which must not have created anything."""
        self.start()
        return self.failed(config)

    def failed(self, config: Mapping[str, Any]) -> pulumi.RunError:
        with pytest.raises(pulumi.RunError) as error:
            self.deploy(config)
        assert self.account.made == []
        return error.value

    def start(self) -> pytest.MonkeyPatch:
        """Start with an empty account; return a patch that lasts as long as it does."""
        self.close()
        config: DefaultConfig = {
            "lambda": {"use_docker": False},
            "stepfunctions": {"execute_state_machine": True},
        }
        self._open.enter_context(mock_aws(config=config))
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        patch.delenv("AWS_PROFILE", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("MOTO_LAMBDA_STUB_ECR", "false")  # refuse an image that does not exist
        self.account = Account()
        self.packages = Packages(self.folder)
        self.packages.install(patch)
        return patch

    def close(self) -> None:
        self._config = None
        self._open.close()


def _texts(config: Mapping[str, Any]) -> dict[str, str]:
    """The configuration in Pulumi's form: text as it is, all else as JSON; with aws:region."""
    return {
        key if ":" in key else f"{PROJECT}:{key}": value
        if isinstance(value, str)
        else json.dumps(value)
        for key, value in {"aws:region": REGION, **config}.items()
        if value is not None
    }


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("packages"))
    yield cloud
    cloud.close()


@pytest.fixture
def account(cloud: Cloud) -> Account:
    """A deployment with the default configuration."""
    return cloud.deployed()


def _function(name: str) -> Any:
    return client("lambda").get_function(FunctionName=name)["Configuration"]


def _documents(role: str) -> dict[str, Any]:
    """The inline policies of a role, by name."""
    iam = client("iam")
    return {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }


def _alarm(name: str) -> Any:
    (alarm,) = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm


def _env(name: str) -> Any:
    return _function(name)["Environment"]["Variables"]


def _sha256(archive: bytes) -> str:
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()


# Resources


def test_functions(account: Account) -> None:
    """The account has exactly these four."""
    functions = client("lambda").list_functions()["Functions"]
    assert {function["FunctionName"] for function in functions} == set(FUNCTIONS)


@pytest.mark.parametrize(
    ("name", "handler", "memory", "timeout"),
    [
        (JANITOR, "janitor.function.handler.handler", 512, 900),
        (WATCH, "janitor.function.watch.handler", 256, 60),
        (HASH, "handler.handler", 128, 3),
    ],
)
def test_zip_functions(
    account: Account, cloud: Cloud, name: str, handler: str, memory: int, timeout: int
) -> None:
    """Each runs its zip file, on arm64, with its handler, runtime, memory and timeout."""
    function = _function(name)
    package = "hash" if name == HASH else "janitor"
    archive = (cloud.folder / f"{package}.zip").read_bytes()
    assert function["CodeSha256"] == _sha256(archive)
    assert function["Handler"] == handler
    assert (function["MemorySize"], function["Timeout"]) == (memory, timeout)
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert function["PackageType"] == "Zip"


def test_image_function(account: Account) -> None:
    """It runs the pushed image, by its digest."""
    function = client("lambda").get_function(FunctionName=HELLOWORLD)
    ecr = client("ecr")
    (repository,) = ecr.describe_repositories(repositoryNames=[HELLOWORLD])["repositories"]
    (image,) = ecr.describe_images(repositoryName=HELLOWORLD)["imageDetails"]
    assert function["Code"]["ImageUri"] == f"{repository['repositoryUri']}@{image['imageDigest']}"
    configuration = function["Configuration"]
    assert configuration["PackageType"] == "Image"
    assert configuration["Architectures"] == ["arm64"]
    assert (configuration["MemorySize"], configuration["Timeout"]) == (128, 3)


def test_image_is_built_for_the_functions_architecture(account: Account) -> None:
    """From its context folder, by a path that does not depend on the machine."""
    (image,) = account.of("docker-build:index:Image")
    assert image.inputs["platforms"] == ["linux/arm64"]
    location = image.inputs["context"]["location"]
    assert not Path(location).is_absolute()
    assert (ROOT / "deploy" / location / "Dockerfile").is_file()


def test_repository(account: Account) -> None:
    """Images are scanned; the one in use is tagged, and untagged ones expire after 7 days."""
    ecr = client("ecr")
    (repository,) = ecr.describe_repositories(repositoryNames=[HELLOWORLD])["repositories"]
    assert repository["imageScanningConfiguration"]["scanOnPush"]
    (image,) = ecr.describe_images(repositoryName=HELLOWORLD)["imageDetails"]
    assert len(image["imageTags"]) == 1
    text = ecr.get_lifecycle_policy(repositoryName=HELLOWORLD)["lifecyclePolicyText"]
    (rule,) = json.loads(text)["rules"]
    assert rule["action"] == {"type": "expire"}
    assert rule["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 7,
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_log_group(account: Account, name: str) -> None:
    """It keeps 30 days, and exists before the function can write to it."""
    (group,) = client("logs").describe_log_groups(logGroupNamePrefix=GROUPS[name])["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (GROUPS[name], 30)
    function = account.the("aws:lambda/function:Function", _RESOURCE[name])
    log_group = account.the("aws:cloudwatch/logGroup:LogGroup", _RESOURCE[name])
    assert (log_group.type, log_group.name) in function.after
    assert account.made.index(log_group) < account.made.index(function)
    assert function.inputs["loggingConfig"]["logGroup"] == GROUPS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_can_write_its_log_but_not_create_the_group(account: Account, name: str) -> None:
    """Its last lines may come after the group's deletion; it can write to no other group."""
    documents = _documents(name)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{GROUPS[name]}"
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert _allowed(documents, action, f"{group}:log-stream:2026/12/01/[$LATEST]0")
        assert not _allowed(documents, action, f"{group}-2:log-stream:2026/12/01/[$LATEST]0")
    assert not _allowed(documents, "logs:CreateLogGroup", group)
    assert not client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_role(account: Account, name: str) -> None:
    """Each function has its own, complete before the function can run."""
    iam = client("iam")
    role = iam.get_role(RoleName=name)["Role"]
    assert _function(name)["Role"] == role["Arn"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    policies = {(made.type, made.name) for made in account.made if made.inputs.get("role") == name}
    assert policies
    assert policies <= account.the("aws:lambda/function:Function", _RESOURCE[name]).after


@pytest.mark.parametrize(
    ("name", "expression"), [(JANITOR, "cron(0 6 1 * ? *)"), (WATCH, "rate(1 day)")]
)
def test_schedule(account: Account, name: str, expression: str) -> None:
    """A rule invokes the function with EventBridge's own event, and no other rule may."""
    events = client("events")
    rule = events.describe_rule(Name=name)
    assert (rule["ScheduleExpression"], rule["State"]) == (expression, "ENABLED")
    (target,) = events.list_targets_by_rule(Rule=name)["Targets"]
    assert set(target) == {"Id", "Arn"}
    assert target["Arn"] == _function(name)["FunctionArn"]
    policy = json.loads(client("lambda").get_policy(FunctionName=name)["Policy"])
    (statement,) = policy["Statement"]
    assert statement["Sid"] == "AllowExecutionFromCloudWatch"
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": rule["Arn"]}}


def test_failures(account: Account) -> None:
    """A link that crashed is retried once; then its event is kept in a queue for 14 days."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=f"{JANITOR}-failures")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    config = client("lambda").get_function_event_invoke_config(FunctionName=JANITOR)
    assert config["MaximumRetryAttempts"] == 1
    assert config["MaximumEventAgeInSeconds"] == 21_600
    assert config["DestinationConfig"]["OnFailure"] == {"Destination": queue["QueueArn"]}
    assert queue["MessageRetentionPeriod"] == str(14 * 24 * 3600)
    assert queue["SqsManagedSseEnabled"] == "true"
    assert account.outputs["failures"] == url


def test_only_the_janitor_may_invoke_itself_without_end(account: Account) -> None:
    """Lambda's recursive loop detection would stop it after 16 rounds."""
    (recursion,) = account.of("aws:lambda/functionRecursionConfig:FunctionRecursionConfig")
    assert recursion.inputs == {"functionName": JANITOR, "recursiveLoop": "Allow"}


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "mx-central-1"])
def test_every_partition_has_its_own_arns_and_only_what_lambda_offers(
    cloud: Cloud, region: str
) -> None:
    """Lambda's recursive loop detection cannot be turned off where it does not exist."""
    everything = {
        "newGroups": True,
        "notify": True,
        "dashboard": True,
        "fleet": {"externalId": "a-b"},
    }
    here = {"aws:region": region, "regions": [region], "functions": ["janitor", "hash"]}
    shown = cloud.preview(here | everything, region).inputs
    arns = re.findall(r"arn:[a-z-]+:", json.dumps([*shown.values()], default=str))
    assert set(arns) == {f"arn:{partition_of(region)}:"}
    kinds = {kind for kind, _ in shown}
    assert "aws:lambda/functionRecursionConfig:FunctionRecursionConfig" not in kinds


def test_runs_do_not_overlap(account: Account) -> None:
    """The janitor has one invocation at a time; the other functions have no limit."""
    reserved = {
        name: client("lambda")
        .get_function_concurrency(FunctionName=name)
        .get("ReservedConcurrentExecutions")
        for name in FUNCTIONS
    }
    assert reserved == {JANITOR: 1, WATCH: None, HASH: None, HELLOWORLD: None}


def test_environment(account: Account) -> None:
    """A first deployment only makes dry runs; variables without a value are left out."""
    assert _env(JANITOR) == {
        "JANITOR_BUCKET": BUCKET,
        "JANITOR_SCHEDULED_DRY_RUN": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "CloudWatchJanitor",
        "POWERTOOLS_SERVICE_NAME": JANITOR,
    }
    assert _env(WATCH) == {
        "JANITOR_FUNCTION": JANITOR,
        "POWERTOOLS_METRICS_NAMESPACE": "CloudWatchJanitor",
        "POWERTOOLS_SERVICE_NAME": WATCH,
    }


def test_alarms(account: Account) -> None:
    """For runs that stopped early (whose event is in the queue) or failed, and for overdue runs,
    also if the watch itself does not run.
    """
    config = client("lambda").get_function_event_invoke_config(FunctionName=JANITOR)
    queue = config["DestinationConfig"]["OnFailure"]["Destination"].rpartition(":")[2]
    waiting, run = "ApproximateNumberOfMessagesVisible", {"service": JANITOR, "trigger": "schedule"}
    for name, namespace, metric, dimensions, missing in (
        ("stopped", "AWS/SQS", waiting, {"QueueName": queue}, "ignore"),
        ("failed", "CloudWatchJanitor", "RunFailed", run, "notBreaching"),
        ("overdue", "CloudWatchJanitor", "Overdue", {"service": WATCH}, "breaching"),
    ):
        alarm = _alarm(f"{JANITOR}-{name}")
        assert (alarm["Namespace"], alarm["MetricName"]) == (namespace, metric)
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == dimensions
        assert (alarm["Statistic"], alarm["Threshold"]) == ("Maximum", 1)
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert (alarm["TreatMissingData"], alarm["AlarmActions"]) == (missing, [])
    assert (alarm["Period"], alarm["EvaluationPeriods"]) == (86_400, 1)
    assert "first deployment" in alarm["AlarmDescription"]


def test_outputs(account: Account) -> None:
    """They name the created resources."""
    arn = {name: _function(name)["FunctionArn"] for name in FUNCTIONS}
    assert account.outputs == {
        "lambda": arn[JANITOR],
        "hash": arn[HASH],
        "helloworld": arn[HELLOWORLD],
        "rule": JANITOR,
        "failures": account.outputs["failures"],
        "alarms": ALARMS,
        "bucket": BUCKET,
    }


def test_destroy_leaves_nothing(account: Account) -> None:
    """Nothing is protected or retained, and a repository is deleted with its images."""
    assert len(account.made) > 30
    assert not [made for made in account.made if made.kept_on_destroy]
    assert not [made for made in account.made if made.inputs.get("skipDestroy")]
    (repository,) = account.of("aws:ecr/repository:Repository")
    assert repository.inputs["forceDelete"] is True


def test_the_bucket_is_created_first_and_deleted_last_with_all_that_protects_it(
    account: Account,
) -> None:
    """AWS refuses to delete a bucket with journals in it, whose protection must stay in force."""
    (bucket,) = account.of("aws:s3/bucket:Bucket")
    key = (bucket.type, bucket.name)
    protecting = [made for made in account.made if made.inputs.get("bucket") == BUCKET]
    assert protecting[0] == bucket
    assert len(protecting) == 7
    assert {made.deleted_with for made in protecting[1:]} == {key}
    rest = [made for made in account.made if made not in protecting]
    assert rest == account.made[7:]
    for made in rest:
        assert made.deleted_with is None
        assert made.after >= {(each.type, each.name) for each in protecting}, made
    assert bucket.inputs["forceDestroy"] is False
    down = re.search(r"^down:.*\n\t(.*)", (ROOT / "Makefile").read_text(), re.M)
    assert down is not None
    assert "--continue-on-error" in down[1]  # else the bucket would keep other resources, too


def test_a_preview_of_a_new_stack_shows_everything_and_creates_nothing(cloud: Cloud) -> None:
    """Names and permissions are shown although no answer of AWS is known."""
    declared = cloud.deployed(EVERYTHING).inputs
    shown = cloud.preview(EVERYTHING).inputs
    assert shown.keys() == declared.keys()
    assert client("iam").list_roles()["Roles"] == []
    assert client("s3").list_buckets()["Buckets"] == []
    for key, inputs in declared.items():
        for name in ("name", "bucket", "scheduleExpression", "retentionInDays"):
            assert shown[key].get(name) == inputs.get(name), key
    policy = ("aws:iam/rolePolicy:RolePolicy", "janitor-work")
    assert shown[policy] == declared[policy]


def test_two_stacks_exist_side_by_side(cloud: Cloud) -> None:
    """A stack of another name shares nothing with the first, and changes nothing of it."""
    first = cloud.deployed(EVERYTHING)
    names = {made.id for made in first.made if made.type.startswith("aws:")}
    policies = {role: _documents(role) for role in FUNCTIONS}
    cloud.account = Account()
    cloud.deploy({**EVERYTHING, "name": OTHER})
    second = {made.id for made in cloud.account.made if made.type.startswith("aws:")}
    assert len(second) == len(names)
    assert not names & second
    assert policies == {role: _documents(role) for role in FUNCTIONS}
    cloud.close()


def test_a_second_stack_of_the_same_name_is_refused_before_anything_is_created(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another Region too; otherwise it would take over queue, topic and rules of the first."""
    cloud.deployed({"functions": ["janitor"], "notify": True})
    for region in ("eu-central-1", REGION):
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        cloud.account = Account()
        with pytest.raises(Exception, match="BucketAlready"):
            cloud.deploy({"functions": ["janitor"], "notify": True, "schedule": "rate(2 days)"})
        assert cloud.account.made == []
    assert client("events").describe_rule(Name=JANITOR)["ScheduleExpression"].startswith("cron")
    cloud.close()


def test_no_change_changes_nothing(cloud: Cloud) -> None:
    """A second run declares the same resources, byte for byte."""
    first = _declared(cloud.deployed())
    cloud.close()
    assert _declared(cloud.deployed()) == first


def _declared(account: Account) -> list[tuple[str, str, str]]:
    def text(value: Any) -> Any:
        assert isinstance(value, pulumi.FileArchive)
        return hashlib.sha256(Path(value.path).read_bytes()).hexdigest()

    inputs = [
        # The password is new each time; the provider does not compare it.
        {**made.inputs, "registries": [{**made.inputs["registries"][0], "password": ""}]}
        if "registries" in made.inputs
        else made.inputs
        for made in account.made
    ]
    return sorted(
        (made.type, made.name, json.dumps(each, sort_keys=True, default=text))
        for made, each in zip(account.made, inputs, strict=True)
    )


def test_optional_parts_are_off_by_default(account: Account) -> None:
    """There is no topic, no dashboard and nothing for new log groups."""
    assert not [made for made in account.made if "new-groups" in made.name]
    assert "JANITOR_NEW_GROUPS" not in _env(WATCH)
    assert client("sns").list_topics()["Topics"] == []
    assert client("cloudwatch").list_dashboards()["DashboardEntries"] == []


# The bucket


def test_the_bucket_is_private_encrypted_and_versioned(account: Account) -> None:
    """Accessible to the account alone, over TLS only."""
    s3 = client("s3")
    block = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    (rule,) = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    (owner,) = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert owner == {"ObjectOwnership": "BucketOwnerEnforced"}
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    deny, writing = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
    arn = f"arn:aws:s3:::{BUCKET}"
    assert deny["Resource"] == [arn, f"{arn}/*"]
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    # Whatever permissions others have: runs trust their state.
    assert (writing["Effect"], writing["Principal"]) == ("Deny", "*")
    assert (writing["Action"], writing["Resource"]) == ("s3:PutObject", f"{arn}/*")
    role = f"arn:aws:iam::{ACCOUNT}:role/{JANITOR}"
    assert writing["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [role]}}


def test_the_documentations_command_empties_the_bucket(account: Account) -> None:
    """AWS refuses to delete a bucket that holds anything, even an old version of an object."""
    found = re.search(r"^\.venv/bin/python -c '(.*)' BUCKET", DOCUMENTATION, re.M)
    assert found is not None
    s3, name = client("s3"), "versioned-as-the-bucket-is"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    versioning = s3.get_bucket_versioning(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning["Status"]})
    s3.put_object(Bucket=name, Key="journal/a.jsonl", Body=b"{}")
    s3.delete_object(Bucket=name, Key="journal/a.jsonl")
    with pytest.raises(s3.exceptions.ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", name])
        exec(found[1], {})
    s3.delete_bucket(Bucket=name)


# Permissions


def _allowed(documents: Mapping[str, Any], action: str, resource: str) -> bool:
    return allowed(documents.values(), action, resource)


def test_the_only_condition_is_that_the_bucket_is_the_accounts_own(account: Account) -> None:
    """No statement has another part that `allowed` ignores."""
    statements = [
        statement
        for name in FUNCTIONS
        for document in _documents(name).values()
        for statement in document["Statement"]
    ]
    assert statements
    for statement in statements:
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        own = {"StringEquals": {"aws:ResourceAccount": ACCOUNT}}
        assert statement.get("Condition", own) == own


def test_policies_are_sound(account: Account) -> None:
    """Each statement has a unique name, no action is a pattern, and all documents of a role fit
    into it (10,240 characters, IAM quotas).
    """
    bucket = json.loads(client("s3").get_bucket_policy(Bucket=BUCKET)["Policy"])
    assert {statement["Effect"] for statement in bucket["Statement"]} == {"Deny"}
    for name in FUNCTIONS:
        documents = list(_documents(name).values())
        assert len(json.dumps(documents, separators=(",", ":"))) < 10_240
        statements = [each for document in documents for each in document["Statement"]]
        sids = [statement["Sid"] for statement in statements]
        assert len(set(sids)) == len(sids)
        assert all(sid.isalnum() for sid in sids)
        for statement in statements:
            assert statement["Action"]
            assert "*" not in "".join(statement["Action"])


def test_janitor_may_send_to_its_queue_only(account: Account) -> None:
    """Lambda reports failures with the function's role."""
    documents = _documents(JANITOR)
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{JANITOR}-failures"
    assert _allowed(documents, "sqs:SendMessage", queue)
    assert not _allowed(documents, "sqs:SendMessage", queue + "2")
    assert not _allowed(documents, "sqs:ReceiveMessage", queue)


def test_janitor_may_not_read_logs_or_parameters(account: Account) -> None:
    """Only other policies need log contents and parameters."""
    documents = _documents(JANITOR)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/some/group:*"
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/janitor/policy"
    assert not _allowed(documents, "logs:FilterLogEvents", group)
    assert not _allowed(documents, "ssm:GetParameter", parameter)


def test_janitors_permissions_follow_from_its_policy(account: Account) -> None:
    """Besides those for its log and its queue."""
    documents = _documents(JANITOR)
    assert set(documents) == {"work", "failures", "logs"}
    assert documents["work"] == function_policy(
        load(None),
        account=ACCOUNT,
        partition="aws",
        region=REGION,
        function=JANITOR,
        log_group=GROUPS[JANITOR],
        bucket=BUCKET,
    )


def test_the_watch_has_its_own_policy_and_the_samples_have_none(account: Account) -> None:
    """Besides those for their logs."""
    documents = _documents(WATCH)
    assert set(documents) == {"work", "logs"}
    assert documents["work"] == watch_policy()
    assert set(_documents(HASH)) == set(_documents(HELLOWORLD)) == {"logs"}


# The functions in their deployed environment


def test_the_watch_publishes_the_metric_of_the_alarm(account: Account) -> None:
    """With the deployed environment."""
    script = (
        "from janitor.function import watch\n"
        "async def late(api, function, group): return group == '/cloudwatch-janitor/watch'\n"
        "watch._here, watch.overdue = lambda: None, late\n"
        "watch.handler({}, None)\n"
    )
    # Powertools reads the environment when it is imported.
    environment = {"AWS_REGION": REGION, "AWS_LAMBDA_LOG_GROUP_NAME": GROUPS[WATCH], **_env(WATCH)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    published = json.loads(done.stdout)
    alarm = _alarm(f"{JANITOR}-overdue")
    (metrics,) = published["_aws"]["CloudWatchMetrics"]
    assert metrics["Namespace"] == alarm["Namespace"]
    assert [metric["Name"] for metric in metrics["Metrics"]] == [alarm["MetricName"]]
    dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert metrics["Dimensions"] == [list(dimensions)]
    assert {name: published[name] for name in dimensions} == dimensions
    assert published[alarm["MetricName"]] == [alarm["Threshold"]]


def test_janitor_accepts_its_environment(account: Account) -> None:
    """It would refuse an unknown variable."""
    settings = read_settings(_env(JANITOR))
    assert (settings.scheduled_dry_run, settings.regions) == ("true", "")
    assert settings.policy_parameter is settings.notify_topic is None
    assert settings.bucket == BUCKET


# Optional parts


def test_a_topic_is_created_for_runs_and_alarms(cloud: Cloud) -> None:
    """Subscribers get both, and the function may publish to that topic alone."""
    account = cloud.deployed(EVERYTHING)
    sns = client("sns")
    (topic,) = (each["TopicArn"] for each in sns.list_topics()["Topics"])
    assert topic == f"arn:aws:sns:{REGION}:{ACCOUNT}:{JANITOR}" == account.outputs["topic"]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert {(each["Protocol"], each["Endpoint"]) for each in subscriptions} == {
        ("email", "operations@example.com"),
        ("email", "finance@example.com"),
    }
    assert "KmsMasterKeyId" not in sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert _env(JANITOR)["JANITOR_NOTIFY_TOPIC"] == topic
    for alarm in ALARMS:
        assert _alarm(alarm)["AlarmActions"] == [topic]
    documents = _documents(JANITOR)
    assert _allowed(documents, "sns:Publish", topic)
    assert not _allowed(documents, "sns:Publish", f"{topic}-other")
    assert not _allowed(documents, "sns:DeleteTopic", topic)
    assert not _allowed(_documents(WATCH), "sns:Publish", topic)


def _dashboard() -> dict[str, Any]:
    text = client("cloudwatch").get_dashboard(DashboardName=JANITOR)["DashboardBody"]
    body: dict[str, Any] = json.loads(text)
    return body


def _shown(body: dict[str, Any]) -> list[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric that the dashboard shows."""
    rows = [
        row
        for widget in body["widgets"]
        if widget["type"] == "metric"
        for row in widget["properties"]["metrics"]
    ]
    return [(row[0], row[1], dict(zip(row[2:-1:2], row[3:-1:2], strict=True))) for row in rows]


def test_dashboard_widgets_do_not_overlap(cloud: Cloud) -> None:
    """All are within the 24 units, and all show the stack's Region."""
    cloud.deployed(EVERYTHING)
    body = _dashboard()
    taken = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert body["periodOverride"] == "inherit"
    by_kind = {widget["type"]: widget["properties"] for widget in body["widgets"]}
    assert set(by_kind) == {"alarm", "metric", "log"}
    (alarms,) = (w["properties"]["alarms"] for w in body["widgets"] if w["type"] == "alarm")
    assert alarms == [_alarm(name)["AlarmArn"] for name in ALARMS]
    for widget in body["widgets"]:
        assert widget["properties"].get("region", REGION) == REGION


def test_dashboard_shows_exactly_the_janitors_metrics(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its dimensions; the fields of the table are in the log line that it queries."""
    account = cloud.deployed(EVERYTHING)
    body, environment = _dashboard(), _env(JANITOR)
    published = EphemeralMetrics(
        namespace=environment["POWERTOOLS_METRICS_NAMESPACE"],
        service=environment["POWERTOOLS_SERVICE_NAME"],
    )
    cloud.close()  # else moto would answer instead of the sandbox
    configure_logs()
    capsys.readouterr()
    Deployed(mixed(), metrics_out=published).invoke(SCHEDULED)
    emitted: Mapping[str, Any] = published.serialize_metric_set()
    (metrics,) = emitted["_aws"]["CloudWatchMetrics"]
    (dimensions,) = metrics["Dimensions"]
    shown = [row for row in _shown(body) if "trigger" in row[2]]
    assert {name for _, name, _ in shown} == {metric["Name"] for metric in metrics["Metrics"]}
    for namespace, _, by in shown:
        assert namespace == metrics["Namespace"]
        assert set(by) == set(dimensions)
        assert by["service"] == emitted["service"]
    triggers = {by["trigger"] for _, _, by in shown}
    assert emitted["trigger"] in triggers
    assert triggers == set(get_args(get_type_hints(Request)["trigger"]))
    (query,) = (w["properties"]["query"] for w in body["widgets"] if w["type"] == "log")
    ended = [
        line
        for line in map(json.loads, capsys.readouterr().out.splitlines())
        if f'event = "{line["event"]}"' in query
    ]
    assert len(ended) == 1
    fields = re.search(r"fields @timestamp, ([^|]*) \|", query)
    assert fields is not None
    for name in fields[1].split(", "):
        value = ended[0]
        for part in name.split("."):
            value = value[part]
    (group,) = re.findall(r"SOURCE '([^']*)'", query)
    function = account.the("aws:lambda/function:Function", "janitor")
    assert group == function.inputs["loggingConfig"]["logGroup"]


def test_dashboard_shows_the_metrics_of_the_alarms(cloud: Cloud) -> None:
    """With the same dimensions."""
    cloud.deployed(EVERYTHING)
    rows = [row for row in _shown(_dashboard()) if "trigger" not in row[2]]
    assert rows == [
        (
            alarm["Namespace"],
            alarm["MetricName"],
            {each["Name"]: each["Value"] for each in alarm["Dimensions"]},
        )
        for alarm in (_alarm(f"{JANITOR}-{name}") for name in ("overdue", "stopped"))
    ]


def test_tags(cloud: Cloud) -> None:
    """Everything that can have tags has those of the configuration."""
    account = cloud.deployed(EVERYTHING)
    tagged = {made.type for made in account.made if "tags" in made.inputs}
    assert tagged == {
        "aws:cloudwatch/eventRule:EventRule",
        "aws:cloudwatch/logGroup:LogGroup",
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "aws:ecr/repository:Repository",
        "aws:iam/role:Role",
        "aws:lambda/function:Function",
        "aws:s3/bucket:Bucket",
        "aws:sns/topic:Topic",
        "aws:sqs/queue:Queue",
        "docker-build:index:Image",  # its tags are names
    }
    for made in account.made:
        if made.type in tagged and made.type.startswith("aws:"):
            assert made.inputs["tags"] == TAGS, made
    arn = _function(JANITOR)["FunctionArn"]
    tags = client("lambda").list_tags(Resource=arn)["Tags"]
    assert tags == TAGS
    (image,) = account.of("docker-build:index:Image")
    assert len(image.inputs["tags"]) == 1


@pytest.mark.parametrize(("config", "days"), [(EVERYTHING, 400), (OTHERWISE, 90)])
def test_objects_of_the_bucket_expire(cloud: Cloud, config: dict[str, Any], days: int) -> None:
    """After keepDays, and overwritten versions after 30 days."""
    bucket = cloud.deployed(config).outputs["bucket"]
    s3 = client("s3")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    assert all(rule["Filter"] == {"Prefix": ""} for rule in rules)
    expire, markers = rules
    assert expire["Expiration"] == {"Days": days}
    assert expire["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert expire["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert markers["Expiration"] == {"ExpiredObjectDeleteMarker": True}


# Other configurations


def test_an_existing_topic_is_used_and_none_is_created(cloud: Cloud) -> None:
    """For runs as for alarms."""
    cloud.deployed(OTHERWISE)
    assert client("sns").list_topics()["Topics"] == []
    assert _env(OTHER)["JANITOR_NOTIFY_TOPIC"] == TOPIC
    assert _allowed(_documents(OTHER), "sns:Publish", TOPIC)


def test_every_value(cloud: Cloud) -> None:
    """Each configured value arrives where it belongs."""
    account = cloud.deployed(OTHERWISE)
    outputs = {"lambda", "rule", "failures", "alarms", "dashboard", "bucket", "topic"}
    assert set(account.outputs) == outputs
    assert client("events").describe_rule(Name=OTHER)["ScheduleExpression"] == "rate(7 days)"
    settings = read_settings(_env(OTHER))
    assert (settings.scheduled_dry_run, settings.regions) == ("false", "eu-west-1,us-east-1")
    assert (settings.policy_parameter, settings.policy_file) == ("/janitor/policy", None)
    assert (settings.notify_topic, settings.bucket) == (TOPIC, f"{OTHER}-{ACCOUNT}")
    concurrency = client("lambda").get_function_concurrency(FunctionName=OTHER)
    assert "ReservedConcurrentExecutions" not in concurrency
    for alarm in ALARMS:
        assert _alarm(alarm.replace(JANITOR, OTHER))["AlarmActions"] == [TOPIC]


def test_policy_parameter_may_be_read(cloud: Cloud) -> None:
    """The role may read the configured parameter, and no other."""
    cloud.deployed(OTHERWISE)
    documents = _documents(OTHER)
    parameters = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/"
    assert _allowed(documents, "ssm:GetParameter", f"{parameters}janitor/policy")
    assert not _allowed(documents, "ssm:GetParameter", f"{parameters}janitor/other")


def test_without_notify_a_topic_is_for_alarms_only(cloud: Cloud) -> None:
    """The function neither has its ARN nor may publish to it."""
    cloud.deployed({"functions": ["janitor"], "alarmTopic": TOPIC})
    assert "JANITOR_NOTIFY_TOPIC" not in _env(JANITOR)
    assert not _allowed(_documents(JANITOR), "sns:Publish", TOPIC)
    assert _alarm(f"{JANITOR}-stopped")["AlarmActions"] == [TOPIC]


@pytest.mark.parametrize("name", ["hash", "helloworld"])
def test_samples_alone(cloud: Cloud, name: str) -> None:
    """Without the janitor there is no schedule, no alarm, no watch and no queue."""
    account = cloud.deployed({"functions": [name]})
    assert set(account.outputs) == {name}
    functions = client("lambda").list_functions()["Functions"]
    assert [function["FunctionName"] for function in functions] == [f"{JANITOR}-{name}"]
    assert client("events").list_rules()["Rules"] == []
    assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert "QueueUrls" not in client("sqs").list_queues()


def test_policy_file(cloud: Cloud, tmp_path: Path) -> None:
    """It is packaged, and the role has the permissions that it needs."""
    path = tmp_path / "strict.toml"
    path.write_text("[defaults]\nretention_days = 30\n")
    cloud.deployed({"functions": ["janitor"], "policyFile": str(path)})
    assert _env(JANITOR)["JANITOR_POLICY_FILE"] == "policy.toml"
    assert cloud.packages.calls == [("janitor", ("policy.toml",))]
    archive = (cloud.folder / "janitor.zip").read_bytes()
    assert zipfile.ZipFile(io.BytesIO(archive)).read("policy.toml") == path.read_bytes()
    documents = _documents(JANITOR)
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/some/group:*"
    assert _allowed(documents, "logs:PutRetentionPolicy", group)
    assert not _allowed(documents, "logs:DeleteLogGroup", group)


def test_policy_file_is_relative_to_the_repository() -> None:
    """Not to deploy/, Pulumi's working directory."""
    path = parse({"policyFile": "janitor/policy/default_policy.toml"}, region=None).policy_path()
    assert path == ROOT / "janitor" / "policy" / "default_policy.toml"


# Bad configuration


def _problems(cloud: Cloud, texts: Mapping[str, str]) -> list[str]:
    """The problems of a configuration, with which nothing, not even a package, is created."""
    error = cloud.refused(texts)
    assert isinstance(error, ConfigError)
    assert cloud.packages.calls == []
    return error.problems


MANY_TAGS = json.dumps({f"key{i}": "" for i in range(46)})
BAD = [
    ("functions", "janitor"),
    ("functions", '"janitor"'),
    ("functions", "[]"),
    ("functions", '["janitor", "sweeper"]'),
    ("functions", '["hash", "hash"]'),
    ("schedule", "every month"),
    ("schedule", "cron(0 6 1 * *)"),
    ("scheduledRun", "true"),
    ("scheduledRun", "Apply"),
    ("policyFile", ""),
    ("policyFile", "no/such/file.toml"),
    ("policyFile", "pyproject.toml"),
    ("policyParameter", ""),
    ("policyParameter", "no/leading/slash"),
    ("policyParameter", "/aws/policy"),
    ("policyParameter", "white space"),
    ("policyParameter", "trailing-newline\n"),
    ("regions", "eu-west-1"),
    ("regions", '["all"]'),
    ("regions", '["eu-west-99"]'),
    ("regions", '["xx-west-1"]'),
    ("regions", '["eu-west-1", "eu-west-1"]'),
    ("regions", '["eu-west-1", "us-gov-west-1"]'),  # no credentials are for both
    ("alarmTopic", "operations"),
    ("alarmTopic", f"{TOPIC}.fifo"),
    ("alarmTopic", TOPIC.replace(":sns:", ":sqs:")),
    ("alarmTopic", TOPIC.replace(REGION, "us-east-1")),  # the stack is in another Region
    ("notify", "yes"),
    ("notify", '"true"'),
    ("notify", "1"),
    ("notifyEmail", "operations@example.com"),
    ("notifyEmail", '["operations"]'),
    ("notifyEmail", '["a b@example.com"]'),
    ("notifyEmail", '["operations@example.com"]'),  # without notify
    ("dashboard", "TRUE"),
    ("keepDays", "0"),
    ("keepDays", "forever"),
    ("journalBucket", "true"),
    ("reservedConcurrency", "-1"),
    ("reservedConcurrency", "1.5"),
    ("reservedConcurrency", "true"),
    ("reservedConcurrency", "none"),
    ("reservedConcurrency", '"1"'),
    ("tags", '["team"]'),
    ("tags", '{"team": 1.5}'),
    ("name", "Janitor"),
    ("name", "no"),
    ("name", "a--b"),
    ("name", "a-b-"),
    ("name", "log_janitor"),
    ("name", f"{JANITOR}-watch"),  # which is a function of the stack cloudwatch-janitor
    ("name", "j" * 41),
    ("tags", '{"aws:team": "operations"}'),
    ("tags", '{"AWS:team": "operations"}'),
    ("tags", '{"": "operations"}'),
    ("tags", '{"team": "a", "Team": "b"}'),
    ("tags", '{"team": "a\\u0000b"}'),
    ("tags", MANY_TAGS),
    ("schedul", "cron(0 6 1 * ? *)"),
    ("Schedule", "cron(0 6 1 * ? *)"),
    ("scheduled_run", "apply"),
]


@pytest.mark.parametrize(("key", "text"), BAD)
def test_bad_value(cloud: Cloud, key: str, text: str) -> None:
    """It is refused before anything is created, by lines with the key and what it accepts."""
    problems = _problems(cloud, {key: text})
    assert problems
    for problem in problems:
        assert problem.startswith(f"{PROJECT}:{key}: ")
        assert "accepted" in problem
        assert "\n" not in problem
    assert len(set(problems)) == len(problems)


def test_policy_file_and_parameter_together_are_refused(cloud: Cloud) -> None:
    """There is one policy."""
    texts = {"policyFile": "janitor/policy/default_policy.toml", "policyParameter": "/policy"}
    (problem,) = _problems(cloud, texts)
    assert problem.startswith(f"{PROJECT}:policyParameter: '/policy' is refused: there is a policy")


def test_subscribers_of_an_existing_topic_are_refused(cloud: Cloud) -> None:
    """Its owner subscribes people."""
    texts = {"notify": "true", "alarmTopic": TOPIC, "notifyEmail": '["a@example.com"]'}
    (problem,) = _problems(cloud, texts)
    assert problem.startswith(f"{PROJECT}:notifyEmail: ['a@example.com'] is refused: there is an")


def test_without_a_region_one_line_says_how_to_set_one(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pulumi's own error is long; a Region of the environment or the profile suffices."""
    cloud.start().delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    unset = str(cloud.failed({"aws:region": None}))
    assert unset == "aws:region: is not set; run `pulumi config set aws:region eu-west-1`"
    missing = str(cloud.failed({"aws:region": None, "aws:profile": "nobody"}))
    assert missing == "aws:profile: The config profile (nobody) could not be found"
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-1\n")
    for topic in (TOPIC.replace(REGION, "eu-x-1"), TOPIC.replace(":aws:", ":aws-cn:")):
        bad = {"aws:region": None, "aws:profile": "work", "alarmTopic": topic}
        problem = "the stack's Region is eu-west-1, in partition aws;"
        assert problem in str(cloud.failed(bad))
    unknown = str(cloud.failed({"aws:region": "eu-wst-1"}))
    assert unknown == "aws:region: 'eu-wst-1' is refused: no Region of this name is known"


def test_all_problems_at_once(cloud: Cloud) -> None:
    """One line for each."""
    problems = _problems(cloud, {"schedule": "x", "regions": '["x", "y"]', "unknown": "x"})
    assert [problem.split(": ")[0] for problem in problems] == [
        f"{PROJECT}:schedule",
        f"{PROJECT}:regions",
        f"{PROJECT}:regions",
        f"{PROJECT}:unknown",
    ]
    assert problems[0] == (
        f"{PROJECT}:schedule: 'x' is refused: "
        "it is neither cron(…) with six fields, one of the days a ?, nor rate(…); "
        "accepted: an "
        "EventBridge schedule in UTC, such as cron(0 6 1 * ? *) or rate(7 days)"
    )
    assert "'x' is refused: it is not the name of a Region; accepted: a list of" in problems[1]


def test_problems_of_a_policy_file(cloud: Cloud, tmp_path: Path) -> None:
    """Each mistake in the policy file is a line of its own."""
    path = tmp_path / "bad.toml"
    path.write_text("[defaults]\nretention_days = 31\nsweep = true\n")
    problems = _problems(cloud, {"policyFile": str(path)})
    assert len(problems) == 2
    assert any("retention_days" in problem for problem in problems)
    assert any("sweep" in problem for problem in problems)


@pytest.mark.parametrize(
    "expression",
    ["cron(0 6 1 * ? *)", "cron(0/5 8-17 ? JAN,JUL 2#1 *)", "rate(1 day)", "rate(10 days)"],
)
def test_schedule_is_accepted(expression: str) -> None:
    """Like these from EventBridge's user guide."""
    assert checked_expression(expression) == expression


@pytest.mark.parametrize(
    "expression",
    [
        *("", "0 6 1 * ? *", "cron(0 6 1 * ? *) ", "at(2026-01-01T00:00:00)", "cron()"),
        *("cron(6 1 * ? *)", "cron(0 0 6 1 * ? *)", "rate(0 days)", "rate(1 month)"),
        *("cron(0 6 1 * * *)", "cron(0 6 ? * ? *)", "rate(1 days)", "rate(7 day)"),
    ],
)
def test_schedule_is_refused(expression: str) -> None:
    """If it does not have the shape of a schedule."""
    with pytest.raises(ValueError, match="neither"):
        checked_expression(expression)


# Packages


def test_no_package_no_deployment(cloud: Cloud) -> None:
    """A failed package is one line, before anything is created."""
    patch = cloud.start()
    real = packaging.stage

    def stage(function: Any, **kwargs: Any) -> Path:
        if function.name == "helloworld":  # the last one
            raise packaging.PackagingError("helloworld: no wheel")
        return real(function, **kwargs)

    patch.setattr(packaging, "stage", stage)
    assert str(cloud.failed({})) == "helloworld: no wheel"
    assert [name for name, _ in cloud.packages.calls] == ["janitor", "hash"]


def test_real_package_of_hash(cloud: Cloud, tmp_path: Path) -> None:
    """Lambda gets the real package, not that of the stand-in."""
    patch = cloud.start()
    patch.setattr(packaging, "stage", functools.partial(REAL_STAGE, root=tmp_path))
    patch.setattr(packaging, "zip_of", REAL_ZIP_OF)
    cloud.deploy({"functions": ["hash"]})
    archive = (tmp_path / "hash.zip").read_bytes()
    assert _function(HASH)["CodeSha256"] == _sha256(archive)
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert f"{_function(HASH)['Handler'].split('.')[0]}.py" in names


# The project's files


def test_pulumi_yaml_declares_the_programs_keys_and_defaults() -> None:
    """All but those without a default or with a type that Pulumi cannot declare."""
    project = yaml.safe_load((ROOT / "deploy" / "Pulumi.yaml").read_text())
    assert project["name"] == PROJECT
    assert project["runtime"]["options"] == {"toolchain": "pip", "virtualenv": "../.venv"}
    defaults = Config().model_dump(mode="json", by_alias=True)
    declared = project["config"]
    assert declared
    for key, declaration in declared.items():
        assert declaration["default"] == defaults[key], key
    undeclared = {"policyFile", "policyParameter", "alarmTopic", "fleet", "tags"}
    assert set(defaults) - set(declared) == undeclared


def test_make_starts_one_run() -> None:
    """The aws command's second attempt after a lost answer would start another."""
    invocations = re.findall("\t(.*)aws lambda invoke", (ROOT / "Makefile").read_text())
    assert invocations == ["AWS_MAX_ATTEMPTS=1 "] * 2


def test_the_documentation_sets_the_same_region_for_pulumi_and_the_aws_command() -> None:
    """Otherwise `make invoke` would use another one, or none."""
    named = re.findall(r"(?:^export AWS_REGION=|aws:region )([a-z0-9-]+)", DOCUMENTATION, re.M)
    assert len(named) == 2
    assert len(set(named)) == 1


def test_the_functions_memory_is_the_cheapest_that_was_measured(account: Account) -> None:
    """The documentation's table has the last benchmark's times, at the price that it names."""
    bench = json.loads((ROOT / "docs" / "bench" / "results.json").read_text())
    small = [row["figures"] for row in bench["rows"] if "vCPU" in row["what"]]
    walls = dict(zip((1024, 512, 256), (figures["wall"] for figures in small), strict=True))
    walls[1769] = small[0]["free"]["wall"]
    price = re.search(r"arm64's \$(0\.\d+)\s+per\s+GB-second", DOCUMENTATION)
    assert price is not None
    costs = {size: wall * size / 1024 * float(price[1]) for size, wall in walls.items()}
    rows = re.findall(r"^\| ([\d,]+) MB \|.* ([\d.]+) s \| \$([\d.]+) \|$", DOCUMENTATION, re.M)
    assert rows == [(f"{m:,}", f"{walls[m]:.1f}", f"{costs[m]:.5f}") for m in sorted(walls)]
    assert _function(JANITOR)["MemorySize"] == min(costs, key=lambda size: costs[size])
    assert all(figures["looks"]["max"] <= 1 for figures in small)


def test_example_configuration_is_accepted() -> None:
    """It has every key."""
    text = (ROOT / "deploy" / "Pulumi.example.yaml").read_text()
    prefix = f"{PROJECT}:"
    example = {
        key.removeprefix(prefix): value if isinstance(value, str) else json.dumps(value)
        for key, value in yaml.safe_load(text)["config"].items()
        if key.startswith(prefix)
    }
    parse(example, region=REGION)
    assert set(re.findall(rf"{prefix}(\w+):", text)) == {
        field.alias for field in Config.model_fields.values()
    }


def test_program_runs_as_pulumi_runs_it(tmp_path: Path) -> None:
    """In deploy/ with deploy/requirements.txt alone its modules hide no others, every import is
    found, and a bad value ends it before any call of Pulumi's engine.
    """
    script = (
        "import runpy, sys\n"
        "try:\n"
        "    runpy.run_path('.', run_name='__main__')\n"
        "except Exception as error:\n"
        "    print(type(error).__mro__[1].__name__, error)\n"
        "import packaging.version\n"
        "from deploy import packaging as ours\n"
        "assert ours.__file__ != packaging.__file__\n"
        "print(packaging.version.Version('1.0'))\n"
        "from janitor.function.iam import function_policy, watch_policy\n"
        "from janitor.policy.file import load\n"
        "names = ('account', 'partition', 'region', 'function', 'log_group', 'bucket')\n"
        "print(len(watch_policy() | function_policy(load(None), **dict.fromkeys(names, 'x'))))\n"
    )
    done = subprocess.run(
        [_fresh_environment(tmp_path) / "bin" / "python", "-c", script],
        cwd=ROOT / "deploy",
        env={
            "PATH": os.environ["PATH"],
            "PULUMI_CONFIG": json.dumps(
                {f"{PROJECT}:schedule": "never", "aws:region": "eu-west-1"}
            ),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"RunError {PROJECT}:schedule: 'never' is refused")
    assert lines[1:] == ["1.0", "2"]


def _fresh_environment(folder: Path) -> Path:
    """A virtual environment like Pulumi's, with links to the pinned distributions only."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/*/site-packages")
    pins = re.findall(r"^(\S+==[^\\]+)", (ROOT / "deploy/requirements.txt").read_text(), re.M)
    for pin in map(Requirement, pins):
        if pin.marker and not pin.marker.evaluate():
            continue
        installed = distribution(pin.name)
        assert installed.version in pin.specifier
        for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            source = Path(str(installed.locate_file(top)))
            if not (site / top).exists():
                (site / top).symlink_to(source)
    return folder
