"""What is read from the event of a new log group: its target and its name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from janitor.core.errors import UsageError
from janitor.core.model import Target

_Name = Annotated[str, StringConstraints(pattern=r"^[.\-_/#A-Za-z0-9]{1,512}$")]
"""A log group's name (CloudWatch Logs API reference, CreateLogGroup)."""


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Parameters(_Model):
    name: _Name = Field(alias="logGroupName")


class _Detail(_Model):
    parameters: _Parameters = Field(alias="requestParameters")


class Hint(_Model):
    """The fields that are read from EventBridge's event for CloudTrail's CreateLogGroup."""

    account: str
    region: str
    detail: _Detail


def parse_hint(body: str, account: str, regions: Collection[str]) -> tuple[Target, str]:
    """Return the target and the name of the log group that a message's body is about.

    Raises UsageError where it is not such an event, or is about another account or Region.
    """
    try:
        hint = Hint.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        text = f"{key}: {first['msg']}" if key else first["msg"]
        raise UsageError(f"event: {text}") from error
    if hint.account != account:
        raise UsageError(f"event: account: {hint.account!r} is not this account, {account}")
    if hint.region not in regions:
        raise UsageError(f"event: region: {hint.region!r} is not among those configured")
    return Target(account, hint.region), hint.detail.parameters.name
