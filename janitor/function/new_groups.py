"""A small Lambda function: it gives new log groups their retention.

CloudTrail's CreateLogGroup event comes by EventBridge and a queue that waits 15 minutes, so that
whoever creates a log group can set its retention first. The event is only a hint: it names a log
group of this account in a configured Region, and what is done follows from the log group as it is
by then and from the policy (`janitor.engine.new_groups`). A message that comes twice or is forged
does nothing that the policy would not do anyway.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from janitor.aws.api import BOOKKEEPING_CONFIG, Counts
from janitor.aws.regions import known_regions
from janitor.aws.targets import Means
from janitor.aws.workers import Threads
from janitor.core.clock import Stop, SystemClock
from janitor.core.errors import UsageError
from janitor.core.model import SetRetention, Status, Target
from janitor.engine.new_groups import SHARE, NewGroupsResult, give_retention
from janitor.function.deadline import deadline
from janitor.function.invocation import CONTEXT, Invocation, configure_logs
from janitor.function.metrics import NAMESPACE
from janitor.function.new_group_events import parse_hint
from janitor.function.settings import read_settings
from janitor.function.warm import Warm, WarmSession
from janitor.journal.archive import BucketJournal, key_of
from janitor.journal.journal import Lines

log = structlog.get_logger("janitor")


class NewGroupError(Exception):
    """A message that failed; it is delivered again, and finally kept in the queue of failures."""


class NewGroups(Warm):
    """The function's work."""

    async def failures(self, messages: Mapping[str, str], context: Invocation) -> dict[str, str]:
        """Handle the `messages` (bodies by id) and return why those that failed did, by id.

        Raises UsageError, PolicyError or JournalError where all of them fail.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        self._metrics.add_metric("Events", MetricUnit.Count, len(messages))
        account = context.invoked_function_arn.split(":")[4]
        regions = self._settings.region_names or known_regions()
        failures: dict[str, str] = {}
        wanted: defaultdict[Target, dict[str, list[str]]] = defaultdict(dict)
        for message, body in messages.items():
            try:
                target, name = parse_hint(body, account, regions)
            except UsageError as error:
                failures[message] = str(error)
            else:
                wanted[target].setdefault(name, []).append(message)
        if wanted:
            names = {target: list(each) for target, each in wanted.items()}
            for target, born in (await self._give_retention(account, names, context)).items():
                for name, why in born.failures.items():
                    failures |= dict.fromkeys(wanted[target][name], why)
        for message, why in failures.items():
            log.error("new_group_failed", message_id=message, error=why)
        self._metrics.add_metric("Failed", MetricUnit.Count, len(failures))
        return failures

    async def _give_retention(
        self, account: str, names: Mapping[Target, Sequence[str]], context: Invocation
    ) -> dict[Target, NewGroupsResult]:
        """Do what the policy says with the log groups of these names."""
        bucket = self._settings.bucket
        if bucket is None:
            raise UsageError("environment: JANITOR_BUCKET is missing: the journal is kept in it")
        policy = await self._policy()
        now, run, stop = self._clock.now(), f"new-{context.aws_request_id}", Stop()
        journal = BucketJournal(
            self._aws.client("s3", config=BOOKKEEPING_CONFIG),
            bucket,
            lambda number: key_of(account, now, run, 0, now, number),
            Lines(run, policy.digest()),
            self._workers,
        )
        share = min(policy.limits.api_share, SHARE)
        means = Means(self._clock, Counts(), stop, self._workers, share)
        with deadline(stop, context.get_remaining_time_in_millis() / 1000):
            try:
                results = await asyncio.gather(
                    *(
                        give_retention(means.api(self._aws, target), each, policy, journal)
                        for target, each in names.items()
                    )
                )
            finally:
                await journal.close()
        for born in results:
            self._report(born)
        return dict(zip(names, results, strict=True))

    def _report(self, born: NewGroupsResult) -> None:
        """Log each log group, and count those that were given a retention."""
        for name, one in born.outcomes.items():
            target, tags = one.group.target, sorted(born.tags.get(name, ()))
            place = {"account": target.account, "region": target.region, "group": name}
            log.info("new_group", **place, status=one.status.value, reason=one.reason, tags=tags)
            done = isinstance(one.action, SetRetention) and one.status is Status.DONE
            self._metrics.add_metric("RetentionSet", MetricUnit.Count, int(done))


configure_logs()
METRICS = Metrics(namespace=NAMESPACE)
_new_groups = NewGroups(read_settings(os.environ), WarmSession(), SystemClock(), METRICS, Threads())


@METRICS.log_metrics(capture_cold_start_metric=True)
def handler(event: Any, context: Any) -> Any:
    """The entry point that Lambda calls with messages of the queue; those that fail are delivered
    again. Raises what `NewGroups.failures` raises.
    """
    return answer(_new_groups, event, context, asyncio.run)


def answer(
    new_groups: NewGroups, event: Any, context: Invocation, run: Any
) -> PartialItemFailureResponse:
    """Return the messages that failed, as Lambda's batch item failures. `run` runs a coroutine."""
    records = event.get("Records", ()) if isinstance(event, dict) else ()
    messages = {record["messageId"]: record["body"] for record in records}
    failures: dict[str, str] = run(new_groups.failures(messages, context))

    def raise_failure(record: SQSRecord) -> None:
        if why := failures.get(record.message_id):
            raise NewGroupError(why)

    return process_partial_response(
        event=event,
        record_handler=raise_failure,
        processor=BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False),
    )
