"""The events that invoke the function: which run each asks for, and whether that is a dry run.

EventBridge's scheduled event acts (unless the environment says otherwise); every other event is a
dry run unless it says `"dry_run": false`. The event by which the function invokes itself names only
run and link.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from janitor.aws.regions import ALL, check_region
from janitor.core.errors import UsageError
from janitor.function.settings import Settings, parsed

_RUN = re.compile(r"[A-Za-z0-9-]{1,64}")
RunId = Annotated[str, StringConstraints(pattern=f"^{_RUN.pattern}$")]


class Event(BaseModel):
    """A caller's event: every key is optional, unknown ones are refused. With `run` and `link` the
    function continues a run of its own.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    dry_run: bool = True
    regions: list[str] | None = Field(None, min_length=1)
    run: RunId | None = None
    link: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _start_or_continue(self) -> Event:
        if (self.run is None) != (self.link is None):
            raise ValueError("give run and link together")
        if self.run is not None and self.model_fields_set - {"run", "link"}:
            raise ValueError("a run continues as it was started: give only run and link")
        return self


@dataclass(frozen=True, slots=True)
class Request:
    """What an event asks for. A new run judges ages as of `started` (ms)."""

    run: str
    link: int
    trigger: Literal["schedule", "hand"] = "hand"
    dry_run: bool = True
    regions: Sequence[str] = ()
    started: int = 0


def requested(event: Any, request_id: str, settings: Settings, now: int) -> Request:
    """Return what the event asks for; `now` in ms. Raises UsageError on an event that is wrong."""
    configured = settings.region_names or [ALL]
    if _is_scheduled(event):
        run, started = _scheduled(event, now)
        return Request(
            run, 0, "schedule", settings.scheduled_dry_run == "true", configured, started
        )
    if not isinstance(event, dict | None):
        raise UsageError(f"event: {type(event).__name__} is not an object")
    asked = parsed(event or {}, Event, "event")
    if asked.run is not None and asked.link is not None:
        return Request(asked.run, asked.link)
    for region in asked.regions or ():
        check_region(region, "event: regions")
        if configured != [ALL] and region not in configured:
            raise UsageError(
                f"event: regions: {region} is not among those configured ({', '.join(configured)})"
            )
    return Request(request_id, 0, "hand", asked.dry_run, asked.regions or configured, now)


def _is_scheduled(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and event.get("source") == "aws.events"
        and event.get("detail-type") == "Scheduled Event"
    )


def _scheduled(event: dict[str, Any], now: int) -> tuple[str, int]:
    """Return the run id and the start (ms) that a scheduled event gives. Raises UsageError.

    Whoever may invoke the function may forge such an event. An earlier time makes less old enough
    to be deleted; a time in the future counts as now.
    """
    run, time = event.get("id"), event.get("time")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise UsageError(f"event: id: {run!r} is not the id of an event")
    try:
        started = int(datetime.fromisoformat(str(time)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"event: time: {time!r} is not a time") from error
    return run, min(started, now)
