"""The stack's configuration: the keys of Pulumi.<stack>.yaml, checked before anything else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pulumi
from botocore.exceptions import ProfileNotFound
from botocore.session import Session
from pulumi.runtime.config import CONFIG
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from deploy.schedule import checked_expression
from janitor.aws.organizations import UNIT
from janitor.aws.regions import known_regions, partition_of
from janitor.aws.targets import ACCOUNT, EXTERNAL_ID, ROLE_NAME
from janitor.core.errors import PolicyError
from janitor.function.member_role import ROLE
from janitor.policy.file import Policy, load

PROJECT = "cloudwatch-janitor"
ROOT = Path(__file__).resolve().parent.parent

REGION = r"[a-z]{2,}(-[a-z]+)+-[0-9]+"

ENVIRONMENT = 3_600
"""Characters of the configuration in the environment variables of the fleet's function: Lambda's
quota is 4 KB, names and all."""

EMAIL = r"^[^@\s\x00-\x1f]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\Z"

FunctionName = Literal["janitor", "hash", "helloworld"]


class ConfigError(pulumi.RunError):
    """The configuration is refused and nothing was created. One line for each problem.

    Pulumi prints a RunError without a traceback.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _region(name: str) -> str:
    if not re.fullmatch(REGION, name):
        raise ValueError("it is not the name of a Region")
    if name not in known_regions():
        raise ValueError("no Region of this name is known")
    return name


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"more than once: {', '.join(twice)}")
    return values


def _as_text(value: object) -> object:
    """Undo what `pulumi config set --path tags.team 7` (or `true`) makes of the text."""
    return json.dumps(value) if isinstance(value, bool | int) else value


def _tags(tags: dict[str, str]) -> dict[str, str]:
    if len({key.lower() for key in tags}) < len(tags):
        raise ValueError("IAM takes no two keys that differ only in case")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise ValueError(f"{key!r}: the prefix aws: is reserved for AWS")
        if not re.fullmatch(r"[\w .:/=+@-]{1,128}", key):
            raise ValueError(f"{key!r} is not a tag's key")
        if not re.fullmatch(r"[\w .:/=+@-]{0,256}", value):
            raise ValueError(f"{key!r}: {value!r} is not a tag's value")
    return tags


SCHEDULE = "an EventBridge schedule in UTC, such as cron(0 6 1 * ? *) or rate(7 days)"

Unit = Annotated[str, Field(pattern=rf"^({UNIT.pattern})\Z")]
AccountId = Annotated[str, BeforeValidator(_as_text), Field(pattern=rf"^{ACCOUNT.pattern}\Z")]


class _Keys(BaseModel):
    """Keys are in camelCase. The description of a field says what it accepts, also in errors."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        regex_engine="python-re",  # pydantic's own has no lookahead
    )


class FleetConfig(_Keys):
    """Many accounts that are cleaned together."""

    external_id: Annotated[str, BeforeValidator(_as_text)] = Field(
        pattern=rf"^{EXTERNAL_ID}\Z",
        description="2 to 1,224 of A-Z, a-z, 0-9 and _+=,.@:/-, which the accounts' roles ask for",
    )
    """The external ID without which the role in each account cannot be assumed; no default."""

    role: str = Field(
        default=ROLE,
        pattern=rf"^{ROLE_NAME}\Z",
        max_length=512,
        description="the name of a role, with its path if it has one, such as ops/janitor",
    )
    """The role that is assumed in each account."""

    ous: Annotated[tuple[Unit, ...], AfterValidator(_unique)] = Field(
        default=(), description="a list of ids of organizational units or roots, such as ou-ab12-…"
    )
    """The units whose accounts are cleaned, with those of the units below. Without ous and accounts
    it is the whole organization."""

    accounts: Annotated[tuple[AccountId, ...], AfterValidator(_unique)] = Field(
        default=(), description="a list of account ids of 12 digits, and no stackSet beside it"
    )
    """Accounts beside those of ous; without ous only these, and the organization is not read."""

    exclude: Annotated[tuple[AccountId | Unit, ...], AfterValidator(_unique)] = Field(
        default=(), description="a list of ids of accounts, or of organizational units within ous"
    )
    """Accounts and units to leave out."""

    schedule: Annotated[str, AfterValidator(checked_expression)] = Field(
        default="cron(0 6 2 * ? *)", description=SCHEDULE
    )
    """When the fleet's run starts: at 06:00 on the second of each month."""

    scheduled_run: Literal["apply", "dry-run"] = Field(
        default="dry-run", description="apply or dry-run"
    )
    """`Config.scheduled_run` for the fleet: consent to the one is not consent to the other."""

    concurrency: int = Field(default=50, ge=1, le=1_000, description="a whole number, 1 to 1,000")
    """How many accounts × Regions are worked on at once, each in an invocation of the function."""

    stack_set: bool = Field(default=False, description="true or false")
    """Whether a service-managed StackSet creates the role in all accounts of ous. Only the
    management account or a delegated administrator of CloudFormation StackSets can have one."""


class Config(_Keys):
    """The configuration."""

    name: str = Field(
        default=PROJECT,
        # Bucket names allow the fewest characters, and role names at most 64 of them. No name may
        # be that of another stack's function.
        pattern=r"^(?!.*-(watch|hash|helloworld|new-groups|fleet)\Z)[a-z][a-z0-9]*(-[a-z0-9]+)*\Z",
        min_length=3,
        max_length=40,
        description="3 to 40 of a-z, 0-9 and single hyphens, beginning with a letter, not ending "
        "in -watch, -hash, -helloworld, -new-groups or -fleet",
    )
    """The name of everything, so that an account can have several stacks. The bucket, which is
    created first, reserves it: a second stack of the same name is refused."""

    functions: Annotated[tuple[FunctionName, ...], AfterValidator(_unique)] = Field(
        default=("janitor", "hash", "helloworld"),
        min_length=1,
        description="a list of one or more of janitor, hash and helloworld",
    )
    """The functions to provision; the janitor comes with all but the samples."""

    schedule: Annotated[str, AfterValidator(checked_expression)] = Field(
        default="cron(0 6 1 * ? *)",
        description=SCHEDULE,
    )
    """When the janitor runs: at 06:00 on the first of each month. The alarm goes off once the last
    run is more than 35 days ago."""

    scheduled_run: Literal["apply", "dry-run"] = Field(
        default="dry-run",
        description="apply or dry-run",
    )
    """Whether a scheduled run changes anything. A first deployment deletes nothing: read what its
    dry run reports, then `pulumi config set scheduledRun apply`."""

    policy_file: str | None = Field(
        default=None,
        min_length=1,
        description="the path of a policy file (TOML), absolute or from the repository's root",
    )
    """A policy to package; without it and policyParameter the shipped policy applies."""

    policy_parameter: str | None = Field(
        default=None,
        pattern=r"^(?!/?(?i:aws|ssm))([A-Za-z0-9_.-]+|(/[A-Za-z0-9_.-]+){1,15})\Z",
        max_length=1011,
        description="the name of an SSM parameter, such as /cloudwatch-janitor/policy, "
        "and no policyFile beside it",
    )
    """Read by the janitor at each run, and not created here. The janitor's permissions are those
    that the shipped policy needs: where the parameter's policy needs more, the call is denied and
    the log group kept."""

    regions: Annotated[
        tuple[Annotated[str, AfterValidator(_region)], ...], AfterValidator(_unique)
    ] = Field(
        default=(),
        description="a list of AWS Regions, such as eu-west-1; an empty one: all that are enabled",
    )
    """The Regions that scheduled runs clean."""

    new_groups: bool = Field(default=False, description="true or false")
    """Whether a new log group gets its retention after 15 minutes. That holds from the deployment
    on, whatever scheduledRun says, and needs a CloudTrail trail that logs management events."""

    fleet: FleetConfig | None = Field(
        default=None, description="a mapping with externalId at least: see docs/fleet.md"
    )
    """Many accounts to clean together, by runs of their own beside this account's."""

    alarm_topic: str | None = Field(
        default=None,
        pattern=rf"^arn:aws(-[a-z]+)*:sns:{REGION}:[0-9]{{12}}:[A-Za-z0-9_-]{{1,256}}\Z",
        description="the ARN of an SNS topic (not FIFO) in the Region of the stack",
    )
    """The topic for alarms and, with notify, for runs. Without it notify creates one; without
    either, alarms only show in CloudWatch."""

    notify: bool = Field(default=False, description="true or false")
    """Whether there is a message after each scheduled run that changed something, failed or was
    refused by a limit. It goes to alarmTopic, else to a topic that is created here, for the alarms
    too."""

    notify_email: Annotated[
        tuple[Annotated[str, Field(pattern=EMAIL, max_length=254)], ...],
        AfterValidator(_unique),
    ] = Field(
        default=(),
        description="a list of email addresses, with notify and without alarmTopic",
    )
    """Subscribed to the topic that is created here. Each has to confirm a mail from AWS first."""

    dashboard: bool = Field(default=False, description="true or false")
    """Whether there is a CloudWatch dashboard. Three are free, then AWS bills each."""

    keep_days: int = Field(
        default=400, ge=1, le=36_500, description="a whole number of days, 1 or more"
    )
    """How long the bucket keeps the plans and journals of runs, and thus the undo."""

    reserved_concurrency: int = Field(
        default=1,
        ge=0,
        description="a whole number; 0 reserves nothing",
    )
    """1 keeps two runs from overlapping. Lambda keeps a part of each account's quota unreserved, so
    that an account with a small quota can reserve nothing: there only 0 works."""

    tags: Annotated[dict[str, Annotated[str, BeforeValidator(_as_text)]], AfterValidator(_tags)] = (
        Field(
            default={},
            max_length=45,  # AWS allows 50 a resource: this leaves room for others
            description="a mapping of at most 45 tags, keys not starting with aws:",
        )
    )
    """Set on everything that is created."""

    def policy(self) -> Policy:
        """Return the packaged policy, or the shipped one. Raises PolicyError."""
        return load(self.policy_path())

    def policy_path(self) -> Path | None:
        """Return the path of the policy file, if there is one."""
        return None if self.policy_file is None else ROOT / self.policy_file


def from_stack() -> Config:
    """Return the configuration of the stack that Pulumi runs.

    Raises:
        ConfigError: One line for each problem, with the key and what it accepts.
    """
    # Pulumi's language host sets the environment; CONFIG holds what was read from there or given to
    # set_all_config. pulumi.Config reads both, but cannot list keys.
    everything = {**pulumi.runtime.get_config_env(), **CONFIG.get()}
    prefix = f"{PROJECT}:"
    ours = {
        key.removeprefix(prefix): value
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    region = everything.get("aws:region") or _default_region(everything.get("aws:profile"))
    if region is None:
        raise ConfigError(["aws:region: is not set; run `pulumi config set aws:region eu-west-1`"])
    try:
        _region(region)
    except ValueError as error:
        raise ConfigError([f"aws:region: {region!r} is refused: {error}"]) from error
    return parse(ours, region=region)


def _default_region(profile: str | None) -> str | None:
    """Return the Region that the AWS provider uses if the configuration names none."""
    try:
        configured = Session(profile=profile).get_config_variable("region")
    except ProfileNotFound as error:
        raise ConfigError([f"aws:profile: {error}"]) from error
    region: str | None = os.environ.get("AWS_REGION") or configured
    return region


def parse(texts: Mapping[str, str], *, region: str | None) -> Config:
    """Return the configuration from Pulumi's texts by key: strings as they are, the rest as JSON.

    `region` is the stack's, if it is known.

    Raises:
        ConfigError: One line for each problem, with the key and what it accepts.
    """
    raw = {key: _decoded(key, text) for key, text in texts.items()}
    try:
        config = Config.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        # An entry of a list may be wrong in several ways that give the same line.
        lines = dict.fromkeys(_problem(dict(each), raw) for each in error.errors())
        raise ConfigError(list(lines)) from error
    if problems := [
        *_policy_problems(config),
        *_place_problems(config, region),
        *_email_problems(config),
        *_fleet_problems(config),
    ]:
        raise ConfigError(problems)
    return config


def _fields(model: type[_Keys], prefix: str = "") -> dict[str, FieldInfo]:
    return {f"{prefix}{field.alias or name}": field for name, field in model.model_fields.items()}


_FIELDS = {**_fields(Config), **_fields(FleetConfig, "fleet.")}
_TEXTS = ("name", "schedule", "scheduledRun", "policyFile", "policyParameter", "alarmTopic")


def _decoded(key: str, text: str) -> Any:
    if key in _TEXTS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text  # validation refuses it by its type and says what is accepted


def _policy_problems(config: Config) -> list[str]:
    if config.policy_file is not None and config.policy_parameter is not None:
        return [_line("policyParameter", config.policy_parameter, "there is a policyFile too")]
    try:
        config.policy()
    except PolicyError as error:
        return [_line("policyFile", config.policy_file, problem) for problem in error.problems]
    return []


def _place_problems(config: Config, region: str | None) -> list[str]:
    if region is None:
        return []
    partition, topic = partition_of(region), config.alarm_topic
    why = f"the stack's Region is {region}, in partition {partition}"
    others = [name for name in config.regions if partition_of(name) != partition]
    problems = [_line("regions", name, why) for name in others]
    if topic is not None and not topic.startswith(f"arn:{partition}:sns:{region}:"):
        problems.append(_line("alarmTopic", topic, why))
    return problems


def _email_problems(config: Config) -> list[str]:
    if not config.notify_email:
        return []
    if config.alarm_topic is not None:
        why = "there is an alarmTopic; subscribe there"
    elif not config.notify:
        why = "notify is not true"
    else:
        return []
    return [_line("notifyEmail", list(config.notify_email), why)]


def _fleet_problems(config: Config) -> list[str]:
    fleet = config.fleet
    if fleet is None:
        return []
    problems, units = [], [one for one in fleet.exclude if not one.isdigit()]
    if "janitor" not in config.functions:
        problems.append(_line("functions", list(config.functions), "the fleet needs the janitor"))
    if fleet.accounts and not fleet.ous and units:
        problems.append(
            _line("fleet.exclude", units[0], "accounts without ous: no unit is looked into")
        )
    if fleet.accounts and fleet.stack_set:
        problems.append(_line("fleet.accounts", list(fleet.accounts), "there is a stackSet"))
    texts = [fleet.role, fleet.external_id, config.policy_parameter or "", config.alarm_topic or ""]
    size = len(",".join([*texts, *config.regions, *fleet.ous, *fleet.accounts, *fleet.exclude]))
    if size > ENVIRONMENT:
        lists = {"ous": fleet.ous, "accounts": fleet.accounts, "exclude": fleet.exclude}
        key = max(lists, key=lambda name: len(lists[name]))
        problems.append(
            f"{PROJECT}:fleet.{key}: a list of {len(lists[key])} is refused: with other keys it "
            f"takes {size:,} characters of the function's environment, which has {ENVIRONMENT:,} "
            "for them; accepted: fewer, such as the organizational units instead of their accounts"
        )
    return problems


def _problem(error: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    first, *rest = error["loc"]
    key, value = str(first), raw.get(first)
    if key == "fleet" and rest:
        key, value = f"fleet.{rest[0]}", raw["fleet"].get(rest.pop(0))
    if key not in _FIELDS:
        level = key.rpartition(".")[0]
        known = [name for name in _FIELDS if name.rpartition(".")[0] == level]
        return f"{PROJECT}:{key}: unknown key; accepted: {', '.join(known)}"
    if error["type"] == "missing":
        return f"{PROJECT}:{key}: it is missing; accepted: {_FIELDS[key].description}"
    cause = error.get("ctx", {}).get("error")
    if not isinstance(cause, ValueError):
        return _line(key, value)
    # A problem of one entry shows that entry, any other shows the whole value.
    return _line(key, error["input"] if rest else value, str(cause))


def _line(key: str, value: object, why: str | None = None) -> str:
    line = f"{PROJECT}:{key}: {value!r} is refused" + (f": {why}" if why else "")
    if why and "accepted: " in why:  # a policy file's own problem says what its key accepts
        return line
    return f"{line}; accepted: {_FIELDS[key].description}"
