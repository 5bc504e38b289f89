"""What is taken from an event about a log group that was just made: where it is, and its name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from janitor.core.errors import UsageError
from janitor.core.model import Target

_Name = Annotated[str, StringConstraints(pattern=r"^[.\-_/#A-Za-z0-9]{1,512}$")]
"""A log group's name (CloudWatch Logs API reference, CreateLogGroup)."""


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Parameters(_Said):
    name: _Name = Field(alias="logGroupName")


class _Detail(_Said):
    parameters: _Parameters = Field(alias="requestParameters")


class Hint(_Said):
    """What is looked at of EventBridge's event of CloudTrail's CreateLogGroup."""

    account: str
    region: str
    detail: _Detail


def hinted(body: str, account: str, regions: Collection[str]) -> tuple[Target, str]:
    """Which log group a message is about, by its body. Raises UsageError where that is not JSON
    of the form, or about another account or Region than these.
    """
    try:
        hint = Hint.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"event: {key}: {first['msg']}" if key else f"event: {first['msg']}"
        ) from error
    if hint.account != account:
        raise UsageError(f"event: account: {hint.account!r} is not this account, {account}")
    if hint.region not in regions:
        raise UsageError(f"event: region: {hint.region!r} is not among those configured")
    return Target(account, hint.region), hint.detail.parameters.name
