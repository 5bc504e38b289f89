"""Whether a trail delivers the events of new log groups.

EventBridge gets CreateLogGroup from CloudTrail, and only where an active trail logs management
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
"""The fields of CreateLogGroup that an advanced event selector may filter on."""


@dataclass(frozen=True, slots=True)
class NoTrail:
    """A Region in which no trail (if not `certain`: perhaps none) logs new log groups, and why."""

    region: str
    why: str
    certain: bool


async def without_trail(api: Api, regions: Sequence[str]) -> list[NoTrail]:
    """Return the Regions in which no trail logs new log groups; those whose trails cannot be read
    are not certain. Raises StoppedError or CredentialsError.

    A multi-Region trail, which every Region lists, serves all of them.
    """
    found: list[NoTrail] = []
    known: dict[str, tuple[str, bool]] = {}
    for region in regions:
        try:
            trails = await _trails(api, region)
        except ReadError as error:
            found.append(NoTrail(region, str(error), certain=False))
            continue
        for trail in trails:
            arn = str(trail.get("TrailARN"))
            if arn not in known:
                known[arn] = await _why_silent(api, trail, region)
            if not known[arn][0] and trail.get("IsMultiRegionTrail"):
                return []
        reasons = [known[str(trail.get("TrailARN"))] for trail in trails]
        if all(why for why, _ in reasons):
            text = "; ".join(why for why, _ in reasons) or "there is no trail"
            found.append(NoTrail(region, text, certain=all(certain for _, certain in reasons)))
    return found


async def _trails(api: Api, region: str) -> Sequence[Mapping[str, Any]]:
    """Return the Region's trails, with those of other Regions and the organization that apply."""
    answer = await api.call("cloudtrail", "DescribeTrails", region=region, expect="trailList")
    trails: Sequence[Mapping[str, Any]] = answer["trailList"]
    return trails


async def _why_silent(api: Api, trail: Mapping[str, Any], region: str) -> tuple[str, bool]:
    """Return why the trail does not log new log groups (empty if it does), and whether that is
    certain: perhaps only its own account may read an organization's trail.
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
        selectors = await api.call("cloudtrail", "GetEventSelectors", region=home, TrailName=arn)
    except ReadError as error:
        return f"{arn}: {error}", False
    logs = any(
        basic.get("IncludeManagementEvents") and basic.get("ReadWriteType") != "ReadOnly"
        for basic in selectors.get("EventSelectors") or ()
    ) or any(
        _selects_call(advanced.get("FieldSelectors") or ())
        for advanced in selectors.get("AdvancedEventSelectors") or ()
    )
    return ("", True) if logs else (f"{arn} does not log management events that write", True)


def _selects_call(fields: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an advanced event selector logs CreateLogGroup; fields that are not in `_CALL` are
    taken to match.
    """
    management = {"Field": "eventCategory", "Equals": ["Management"]}
    for field in fields:
        value = _CALL.get(str(field.get("Field")))
        if value is None:
            continue
        equals, not_equals = field.get("Equals") or (), field.get("NotEquals") or ()
        if (equals and value not in equals) or value in not_equals:
            return False
    return any(management.items() <= field.items() for field in fields)
