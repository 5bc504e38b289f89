"""A small Lambda function: gives a log group that was just made its retention.

CloudTrail's CreateLogGroup event comes by EventBridge and a queue that waits 15 minutes, so that
whoever made the log group can set its retention first. Such an event is a hint. Of it only the name
is taken, in the account that this runs in and a configured Region; what is done follows from the
log group as it is by then, and from the policy as far as that gives a retention where none is in
force (`Policy.only_retention`), by survey and act as in every run. So a message may come twice, or
be forged, and nothing comes of it that the policy would not do anyway.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from janitor.aws.api import (
    CLOSE_CONFIG,
    CLOSE_LASTS,
    Api,
    CallError,
    Counts,
    ReadError,
    UnavailableError,
)
from janitor.aws.logs import Logs
from janitor.aws.tags import read_tags
from janitor.aws.targets import Means, known_regions
from janitor.aws.workers import NoAnswerError, Threads, Workers, within
from janitor.core.clock import DAY_MS, Clock, Stop, StoppedError, SystemClock
from janitor.core.errors import JanitorError, UsageError
from janitor.core.model import LogGroup, Outcome, SetRetention, Status, Target
from janitor.engine.act import Act, Part, add_tags
from janitor.engine.books import Books
from janitor.engine.looks import Looks
from janitor.engine.plan import action_line, grouped
from janitor.engine.survey import Survey
from janitor.function.invocation import (
    CONTEXT,
    Invocation,
    WarmSession,
    configure_logs,
    deadline,
)
from janitor.function.settings import Settings, current_policy, parsed, read_settings
from janitor.journal.archive import BucketJournal, key_of
from janitor.journal.journal import Lines
from janitor.owners.table import table
from janitor.policy.file import Policy
from janitor.policy.judge import needs_tags

SHARE = 0.05
"""Of each quota. Two invocations run at a time (`deploy/new_groups.py`): a tenth together, for the
scheduled run and everybody else use the same quotas."""

NEW_DAYS = 14
"""A log group older than that is left to the scheduled run, whoever says that it is new. For so
long the queue of what failed keeps a message, to be sent once more."""

log = structlog.get_logger("janitor")

_Name = Annotated[str, StringConstraints(pattern=r"^[.\-_/#A-Za-z0-9]{1,512}$")]
"""A log group's name (CloudWatch Logs API reference, CreateLogGroup)."""


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Parameters(_Said):
    name: _Name = Field(alias="logGroupName")


class _Detail(_Said):
    parameters: _Parameters = Field(alias="requestParameters")


class Hint(_Said):
    """What is looked at of an event."""

    account: str
    region: str
    detail: _Detail


class NewGroupError(Exception):
    """A message that could not be done with, which is delivered again, or kept for a person."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the parts of one invocation share."""

    policy: Policy
    now: int
    stop: Stop
    journal: BucketJournal
    means: Means


class NewGroups:
    """What is made once and reused while the function is warm."""

    def __init__(
        self,
        settings: Settings,
        aws: boto3.Session,
        clock: Clock,
        metrics: Metrics | EphemeralMetrics,
        workers: Workers,
    ) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._metrics = metrics
        self._workers = workers

    async def failures(self, messages: Mapping[str, str], context: Invocation) -> dict[str, str]:
        """Why messages could not be done with, by id; the others can. `messages` are bodies by id.

        Raises UsageError, PolicyError or JournalError where that is so of all of them.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        self._metrics.add_metric("Events", MetricUnit.Count, len(messages))
        account = context.invoked_function_arn.split(":")[4]
        failures: dict[str, str] = {}
        wanted: defaultdict[Target, dict[str, list[str]]] = defaultdict(dict)
        for message, body in messages.items():
            try:
                target, name = self._hinted(body, account)
            except UsageError as error:
                failures[message] = str(error)
            else:
                wanted[target].setdefault(name, []).append(message)
        if wanted:
            failed = await self._done(account, wanted, context)
            for (target, name), why in failed.items():
                failures |= dict.fromkeys(wanted[target][name], why)
        for message, why in failures.items():
            log.error("new_group_failed", message_id=message, error=why)
        self._metrics.add_metric("Failed", MetricUnit.Count, len(failures))
        return failures

    def _hinted(self, body: str, account: str) -> tuple[Target, str]:
        """Which log group a message is about. Raises UsageError on what this does not act on."""
        hint = parsed(body, Hint, "event")
        if hint.account != account:
            raise UsageError(f"event: account: {hint.account!r} is not this account, {account}")
        if hint.region not in (self._settings.region_names or known_regions()):
            raise UsageError(f"event: region: {hint.region!r} is not among those configured")
        return Target(account, hint.region), hint.detail.parameters.name

    async def _done(
        self, account: str, wanted: Mapping[Target, Collection[str]], context: Invocation
    ) -> dict[tuple[Target, str], str]:
        """Do what the policy says about the log groups, and say for which that failed, and why."""
        bucket = self._settings.bucket
        if bucket is None:
            raise UsageError("environment: JANITOR_BUCKET is missing: the journal is kept in it")
        policy = await self._policy()
        now, run, stop = self._clock.now(), f"new-{context.aws_request_id}", Stop()
        journal = BucketJournal(
            self._aws.client("s3", config=CLOSE_CONFIG),
            bucket,
            lambda number: key_of(account, now, run, 0, now, number),
            Lines(run, policy.digest()),
            self._workers,
        )
        policy = policy.only_retention(SHARE)
        means = Means(self._clock, Counts(), stop, self._workers, policy.limits.api_share)
        batch = _Batch(policy, now, stop, journal, means)
        with deadline(stop, context.get_remaining_time_in_millis() / 1000):
            try:
                failed = await asyncio.gather(
                    *(self._target(batch, target, [*names]) for target, names in wanted.items())
                )
            finally:
                await journal.close()
        return {
            (target, name): why
            for target, whys in zip(wanted, failed, strict=True)
            for name, why in whys.items()
        }

    async def _policy(self) -> Policy:
        """Raises PolicyError, and UsageError where SSM does not answer."""
        try:
            return await within(CLOSE_LASTS, self._workers, lambda: current_policy(self._settings))
        except NoAnswerError as error:
            raise UsageError(f"the policy cannot be read: {error}") from error

    # ---- one Region --------------------------------------------------------------------------

    async def _target(self, batch: _Batch, target: Target, names: Sequence[str]) -> dict[str, str]:
        """Why something failed, by the log group's name."""
        policy, now = batch.policy, batch.now
        api = batch.means.api(self._aws, target)
        outcomes: dict[str, Outcome] = {}

        def told(_groups: Sequence[LogGroup], said: Sequence[Outcome]) -> None:
            outcomes.update((outcome.group.name, outcome) for outcome in said)

        books = Books([target], told, lambda group: policy.acknowledged_until(group, now))
        listing = functools.partial(_listing, names, policy, now)
        await Survey(policy, now, batch.stop, books, listing=listing).run(
            {target: api}, {target: None}
        )
        outcomes = {name: _if_younger(outcome, now) for name, outcome in outcomes.items()}
        lines = [line for one in outcomes.values() if (line := action_line(one)) is not None]
        act = Act(policy, now, batch.stop, batch.journal, books, Looks(self._clock))
        await act.run({target: api}, {target: Part(grouped(lines))})
        errors = "; ".join(books.tallies[target].errors)
        failures: dict[str, str] = {}
        for name in names:
            if (one := outcomes.get(name)) is None:
                failures[name] = errors
                continue
            place = {"account": target.account, "region": target.region, "group": name}
            log.info("new_group", **place, status=one.status.value, reason=one.reason)
            done = isinstance(one.action, SetRetention) and one.status is Status.DONE
            self._metrics.add_metric("RetentionSet", MetricUnit.Count, int(done))
            failures[name] = _why(one, errors)
            # What no rule holds for is exempt from every change.
            if not failures[name] and one.action.rule and one.status is not Status.GONE:
                failures[name] = await _copy_tags(api, batch, one.group)
        return {name: why for name, why in failures.items() if why}


async def _listing(
    names: Sequence[str], policy: Policy, now: int, api: Api, _start: str | None
) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
    """The log groups of these names that are new, with their own tags where those matter: the
    tagging API's lag, and may not know of a group that was just made.
    """
    logs, new = Logs(api), list[LogGroup]()
    for group in (await logs.named(names)).values():
        if now - group.creation_time > NEW_DAYS * DAY_MS:
            place = {"account": api.target.account, "region": api.target.region}
            why = f"not new, {NEW_DAYS} days after it was made: left to the scheduled run"
            log.info("new_group", **place, group=group.name, status="kept", reason=why)
        elif needs_tags(group, policy, now):
            try:
                new.append(group._replace(tags=await logs.tags(group.arn)))
            except ReadError as error:
                if not (isinstance(error, CallError) and error.not_found):
                    new.append(group._replace(tags_error=str(error)))
        else:
            new.append(group)
    yield new, None


def _if_younger(outcome: Outcome, now: int) -> Outcome:
    """A planned retention only for a group that is younger than that: so it deletes nothing that
    was written since the group was made.
    """
    match outcome:
        case Outcome(status=Status.PLANNED, action=SetRetention(days=days), group=group):
            if now - group.creation_time >= days * DAY_MS:
                why = f"made {days} days ago or more: left to the scheduled run"
                return outcome._replace(status=Status.KEPT, detail=why)
    return outcome


def _why(outcome: Outcome, errors: str) -> str:
    """Why a log group could not be done with; "" where it could."""
    match outcome.status:
        case Status.DONE | Status.KEPT | Status.GONE:
            return ""
        case Status.UNKNOWN if outcome.acknowledged:
            return ""
        case Status.PLANNED:
            return errors or "stopped before"
        case _:
            return f"{outcome.reason}; {errors}" if errors else outcome.reason


async def _copy_tags(api: Api, batch: _Batch, group: LogGroup) -> str:
    """Give the log group the tags that the policy names of the owner that its name speaks of; why
    that failed.
    """
    keys = batch.policy.new_groups.tags
    arns = (row.arn_named(group.name, group.arn) for row in table()) if keys else ()
    if not (arn := next(filter(None, arns), "")):
        return ""
    try:
        found = (await read_tags(api, [arn]))[arn]
        wanted = {key: found[key] for key in keys if key in found}
        if wanted:
            await add_tags(api, batch.journal, group, wanted, f"copied from {arn}")
    except CallError as error:
        return "" if error.not_found else f"tags of {arn}: {error}"
    except (UnavailableError, JanitorError) as error:
        return f"tags of {arn}: {error}"
    except StoppedError:
        return f"tags of {arn}: stopped before they were copied"
    return ""


configure_logs()
METRICS = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "CloudWatchJanitor"))
_new_groups = NewGroups(read_settings(os.environ), WarmSession(), SystemClock(), METRICS, Threads())


@METRICS.log_metrics(capture_cold_start_metric=True)
def handler(event: Any, context: Any) -> Any:
    """The entry point that Lambda calls with messages of the queue: what of them could not be done
    with is delivered again. Raises what `NewGroups.failures` raises.
    """
    return answer(_new_groups, event, context, asyncio.run)


def answer(
    new_groups: NewGroups, event: Any, context: Invocation, run: Any = asyncio.run
) -> PartialItemFailureResponse:
    """Which messages failed, as Lambda's batch item failures. `run` runs a coroutine."""
    records = event.get("Records", ()) if isinstance(event, dict) else ()
    messages = {record["messageId"]: record["body"] for record in records}
    failures: dict[str, str] = run(new_groups.failures(messages, context))

    def told(record: SQSRecord) -> None:
        if why := failures.get(record.message_id):
            raise NewGroupError(why)

    return process_partial_response(
        event=event,
        record_handler=told,
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
    )
