"""The Lambda functions' environment variables, and the policy they work by."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from janitor.aws.api import BOOKKEEPING_CONFIG
from janitor.aws.organizations import UNIT, Wanted
from janitor.aws.regions import check_region
from janitor.aws.targets import ACCOUNT, EXTERNAL_ID, ROLE_NAME
from janitor.core.errors import PolicyError, UsageError
from janitor.policy import file as policies
from janitor.policy.file import Policy

ACTIONS: dict[str, str] = {"GetParameter": "ssm:GetParameter"}
PREFIX = "JANITOR_"
POLICY_CACHED_FOR = 300
"""Seconds for which a warm function reuses a policy from SSM."""

_Model = TypeVar("_Model", bound=BaseModel)
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}")
_Number = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}$")]


def _topic(arn: str) -> str:
    if not _TOPIC.fullmatch(arn):
        raise ValueError(f"{arn!r} is not the ARN of an SNS topic (not FIFO)")
    return arn


def _split(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _each_is(what: str, *patterns: re.Pattern[str]) -> AfterValidator:
    def check(text: str) -> str:
        for name in _split(text):
            if not any(pattern.fullmatch(name) for pattern in patterns):
                raise ValueError(f"{name!r} is not {what}")
        return text

    return AfterValidator(check)


_Accounts = Annotated[str, _each_is("an account id of 12 digits", ACCOUNT)]
_Units = Annotated[str, _each_is("the id of a root or an organizational unit", UNIT)]
_Either = Annotated[str, _each_is("the id of an account or an organizational unit", ACCOUNT, UNIT)]


class Settings(BaseModel):
    """The environment variables. All are optional, and all values are text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    scheduled_dry_run: Literal["true", "false"] = Field("false", alias="JANITOR_SCHEDULED_DRY_RUN")
    regions: str = Field("", alias="JANITOR_REGIONS", description="Comma-separated; empty: all.")
    policy_file: str | None = Field(None, alias="JANITOR_POLICY_FILE", min_length=1)
    policy_parameter: str | None = Field(None, alias="JANITOR_POLICY_PARAMETER", min_length=1)
    max_links: _Number = Field("100", alias="JANITOR_MAX_LINKS")
    max_hours: _Number = Field("20", alias="JANITOR_MAX_HOURS")
    notify_topic: Annotated[str, AfterValidator(_topic)] | None = Field(
        None,
        alias="JANITOR_NOTIFY_TOPIC",
        description="ARN of the SNS topic that gets notifications of runs.",
    )
    bucket: str | None = Field(
        None,
        alias="JANITOR_BUCKET",
        pattern=r"^[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]$",
        description="Where runs keep their state, plans and journals.",
    )
    watched: str = Field("cloudwatch-janitor", alias="JANITOR_FUNCTION", min_length=1)
    new_groups: str | None = Field(
        None,
        alias="JANITOR_NEW_GROUPS",
        min_length=1,
        description="The function for new log groups, if there is one to watch.",
    )

    fleet_role: str | None = Field(
        None,
        alias="JANITOR_FLEET_ROLE",
        pattern=f"^{ROLE_NAME}$",
        description="The role's name in each account of a fleet, with its path.",
    )
    fleet_external_id: str | None = Field(
        None, alias="JANITOR_FLEET_EXTERNAL_ID", pattern=f"^{EXTERNAL_ID}$"
    )
    fleet_ous: _Units = Field("", alias="JANITOR_FLEET_OUS")
    fleet_accounts: _Accounts = Field("", alias="JANITOR_FLEET_ACCOUNTS")
    fleet_exclude: _Either = Field("", alias="JANITOR_FLEET_EXCLUDE")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.policy_file and self.policy_parameter:
            raise ValueError("set only one of JANITOR_POLICY_FILE and JANITOR_POLICY_PARAMETER")
        for region in self.region_names:
            check_region(region, "JANITOR_REGIONS")
        fleet = self.fleet
        if fleet.excluded_units and not fleet.asks:
            raise ValueError(
                f"JANITOR_FLEET_EXCLUDE: {fleet.excluded_units[0]}: which accounts are in it is "
                "not asked where JANITOR_FLEET_ACCOUNTS names them all"
            )
        return self

    @property
    def fleet(self) -> Wanted:
        """The accounts of the fleet."""
        units, accounts = _split(self.fleet_ous), _split(self.fleet_accounts)
        return Wanted(units, accounts, _split(self.fleet_exclude))

    @property
    def region_names(self) -> list[str]:
        """The Regions to clean; an empty list means all that are enabled."""
        return _split(self.regions)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings. Raises UsageError, a line for each wrong or unknown variable."""
    own = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    return parsed(own, Settings, "environment")


def parsed(value: Any, model: type[_Model], what: str) -> _Model:
    """Return `value`, or the JSON text in it, as `model`. Raises UsageError, a line a problem.

    powertools' parser would add nothing to pydantic but a long import.
    """
    try:
        if isinstance(value, str):
            return model.model_validate_json(value)
        return model.model_validate(value)
    except ValidationError as error:
        lines = [_problem(problem, what) for problem in error.errors()]
        raise UsageError("\n".join(lines)) from error


def _problem(problem: Any, what: str) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    text = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        text = "unknown key"
    if problem["type"] in ("bool_type", "bool_parsing"):
        text = f"{problem['input']!r} is not a boolean (accepted: true, false)"
    return f"{what}: {key}: {text}" if key else f"{what}: {text}"


def current_policy(settings: Settings) -> Policy:
    """Return the policy from SSM or from the package, else the shipped one.

    It always protects the function's own log group. Raises PolicyError.
    """
    policy = _loaded(settings)
    own = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    return policy.with_own_groups(own) if own else policy


def _loaded(settings: Settings) -> Policy:
    if settings.policy_parameter is not None:
        return _parsed_policy(*_from_ssm(settings.policy_parameter))
    if settings.policy_file is not None:
        return _policy_file(Path(__file__).parents[2] / settings.policy_file)
    return _policy_file(None)


def _from_ssm(name: str) -> tuple[str, str]:
    """Return the parameter's text, and its name for messages."""
    source = f"SSM parameter {name}"
    if "ssm" not in DEFAULT_PROVIDERS:
        DEFAULT_PROVIDERS["ssm"] = SSMProvider(boto_config=BOOKKEEPING_CONFIG)
    try:
        text = parameters.get_parameter(name, max_age=POLICY_CACHED_FOR)
    except GetParameterError as error:
        raise PolicyError(source, [f"cannot be read: {error}"]) from error
    return str(text), source


@functools.lru_cache(maxsize=4)
def _parsed_policy(text: str, source: str) -> Policy:
    return policies.parse(text, source)


@functools.lru_cache(maxsize=4)
def _policy_file(path: Path | None) -> Policy:
    return policies.load(path)
