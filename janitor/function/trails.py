"""Whether anybody would hear of a log group that was just made.

EventBridge has CreateLogGroup from CloudTrail, and only where a trail that is on logs management
events (EventBridge User Guide, "AWS service events delivered via AWS CloudTrail").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from janitor.aws.api import Api, ReadError

ACTIONS: dict[str, str] = {
    "DescribeTrails": "cloudtrail:DescribeTrails",
    "GetTrailStatus": "cloudtrail:GetTrailStatus",
    "GetEventSelectors": "cloudtrail:GetEventSelectors",
}
_CALL = {"eventName": "CreateLogGroup", "eventSource": "logs.amazonaws.com", "readOnly": "false"}
"""What an advanced event selector would have to let through."""


@dataclass(frozen=True, slots=True)
class Deaf:
    """A Region from which no news can come, or (not `certain`) perhaps none, and why."""

    region: str
    why: str
    certain: bool


async def deaf(api: Api, regions: Sequence[str]) -> list[Deaf]:
    """The Regions in which no trail logs that a log group was made. Raises StoppedError or
    CredentialsError; what cannot be read is not certain.

    A trail of all Regions, which each of them shows, is enough for all.
    """
    found: list[Deaf] = []
    known: dict[str, tuple[str, bool]] = {}
    for region in regions:
        try:
            trails = await _trails(api, region)
        except ReadError as error:
            found.append(Deaf(region, str(error), certain=False))
            continue
        for trail in trails:
            arn = str(trail.get("TrailARN"))
            if arn not in known:
                known[arn] = await _silent(api, trail, region)
            if not known[arn][0] and trail.get("IsMultiRegionTrail"):
                return []
        said = [known[str(trail.get("TrailARN"))] for trail in trails]
        if all(why for why, _ in said):
            text = "; ".join(why for why, _ in said) or "there is no trail"
            found.append(Deaf(region, text, certain=all(certain for _, certain in said)))
    return found


async def _trails(api: Api, region: str) -> Sequence[Mapping[str, Any]]:
    """Those of other Regions and of the organization that hold here too are among them."""
    answer = await api.call("cloudtrail", "DescribeTrails", region=region, expect="trailList")
    trails: Sequence[Mapping[str, Any]] = answer["trailList"]
    return trails


async def _silent(api: Api, trail: Mapping[str, Any], region: str) -> tuple[str, bool]:
    """Why the trail does not log that a log group was made ("": it does), and whether that is
    certain. An organization's trail may be its own account's to read.
    """
    arn, home = str(trail.get("TrailARN")), str(trail.get("HomeRegion") or region)
    try:
        status = await api.call(
            "cloudtrail", "GetTrailStatus", region=home, expect="IsLogging", Name=arn
        )
        if not status["IsLogging"]:
            return f"{arn} is stopped", True
        if trail.get("HasCustomEventSelectors") is False:
            return "", True  # all management events (CloudTrail User Guide)
        said = await api.call("cloudtrail", "GetEventSelectors", region=home, TrailName=arn)
    except ReadError as error:
        return f"{arn}: {error}", False
    logs = any(
        basic.get("IncludeManagementEvents") and basic.get("ReadWriteType") != "ReadOnly"
        for basic in said.get("EventSelectors") or ()
    ) or any(
        _lets_through(advanced.get("FieldSelectors") or ())
        for advanced in said.get("AdvancedEventSelectors") or ()
    )
    return ("", True) if logs else (f"{arn} does not log management events that write", True)


def _lets_through(fields: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an advanced event selector logs CreateLogGroup; of what else it may ask for nothing
    is known here, and it is taken to log it.
    """
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    for field in fields:
        value = _CALL.get(str(field.get("Field")))
        if value is None:
            continue
        wanted, spared = field.get("Equals") or (), field.get("NotEquals") or ()
        if (wanted and value not in wanted) or value in spared:
            return False
    return any(management.items() <= field.items() for field in fields)
