"""The Lambda function: an event in, a summary out.

EventBridge's scheduled event acts (unless the environment says otherwise); every other event is a
dry run unless it says `"dry_run": false`. What does not fit into one invocation goes on in the
next (`janitor.function.chain`).
"""

from __future__ import annotations

import json
import os
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from pydantic import BaseModel, ConfigDict, Field

from janitor import __version__
from janitor.aws import targets
from janitor.aws.api import Api, Counts
from janitor.core.clock import Clock, Stop, SystemClock
from janitor.core.errors import JanitorError, JournalError, UsageError
from janitor.core.model import LogGroup, Outcome, Status, Target
from janitor.cost.money import PriceList, price_list
from janitor.engine.resume import Resume, ScanProgress, pack, unpack
from janitor.engine.run import Run
from janitor.engine.summary import Summary
from janitor.function import chain, notify
from janitor.function.notify import NotifyError, Topic, Word
from janitor.function.settings import Settings, current_policy, parsed, read_settings
from janitor.journal import archive
from janitor.journal.journal import LogJournal
from janitor.policy.file import Policy
from janitor.report.base import RunInfo, full_row, is_finding, log_outcome

LARGEST_FINDINGS = 5_000_000
"""Bytes of findings in an answer: Lambda's limit is 6 MB, summary and resume value included."""

log = structlog.get_logger("janitor")
_context: dict[str, str] = {}


class RunFailedError(Exception):
    """The run came to its end, but something in it failed: the invocation must show."""


class Event(BaseModel):
    """What a caller may say; everything is optional, unknown keys are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    dry_run: bool = True
    regions: list[str] | None = Field(None, min_length=1)
    resume: Resume | None = None


class Invocation(Protocol):
    """What is used of Lambda's context object."""

    aws_request_id: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one link is to do. `started` (ms) is the moment by which the whole run judges ages."""

    run_id: str
    trigger: Literal["schedule", "hand"]
    dry_run: bool
    regions: Sequence[str]
    started: int
    hop: int
    resume: Resume | None


class Findings:
    """A Recorder: logs each finding, and keeps for the answer as many as fit."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self.rows: list[dict[str, Any]] = []
        self.left_out = 0
        self._room = LARGEST_FINDINGS

    def scanned(self, page: Sequence[LogGroup]) -> None:
        """Nothing: the summary counts."""

    def outcome(self, outcome: Outcome) -> None:
        """One more outcome; a million that are plainly kept are not worth a log line each."""
        if not is_finding(outcome):
            return
        log_outcome(outcome)
        if self._room > 0:
            row = full_row(outcome, self._prices)
            self._room -= len(json.dumps(row)) + 2
        if self._room > 0:
            self.rows.append(row)
        else:
            self.left_out += 1


class WarmSession(boto3.Session):
    """A session that makes each client once, for all invocations of a warm function."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str | None], Any] = {}

    def client(  # type: ignore[override]  # the rest of boto3's parameters are in `more`
        self, service_name: str, region_name: str | None = None, **more: Any
    ) -> Any:
        """The service's client in the Region, made with the first caller's configuration."""
        with self._lock:
            key = (service_name, region_name)
            if key not in self._clients:
                self._clients[key] = super().client(service_name, region_name, **more)
            return self._clients[key]


class Janitor:
    """What is made once and reused while the function is warm."""

    def __init__(
        self,
        settings: Settings,
        aws: boto3.Session,
        clock: Clock,
        metrics: Metrics | EphemeralMetrics,
    ) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._metrics = metrics
        self._topic: Topic | None = None
        if (arn := settings.notify_topic) is not None:
            client = aws.client("sns", arn.split(":")[3], config=notify.CLIENT_CONFIG)
            self._topic = Topic(client, arn)

    def answer(self, event: Any, context: Invocation) -> dict[str, Any]:
        """Do what the event says and tell: `run`, `findings`, `findings_left_out`, `summary`, and
        `resume` where another link goes on. People are told last (`janitor.function.notify`).

        Raises UsageError or PolicyError before anything is done, RunFailedError after everything
        is done and counted; that too where nobody could be told.
        """
        remaining = context.get_remaining_time_in_millis() / 1000
        deadline = self._clock.monotonic() + remaining - chain.margin(remaining)
        stop = Stop(self._clock, deadline)
        _context.clear()
        _context["request_id"] = context.aws_request_id
        order = self._order(event)
        _context["run_id"] = order.run_id
        word = Word(order.run_id, context.invoked_function_arn, order.dry_run)
        try:
            return self._link(order, stop, context, word)
        except Exception as error:
            word.error = str(error)
            raise
        finally:
            self._tell(order, word)

    def _link(self, order: Order, stop: Stop, context: Invocation, word: Word) -> dict[str, Any]:
        """One link of the run, and its answer; `word` learns what there is to tell of it."""
        policy = current_policy(self._settings)
        if order.resume is not None and order.resume.policy != policy.digest():
            raise UsageError("event: resume: the policy was changed since the run began")
        summary, counts = _so_far(order.resume)
        apis = targets.connect(
            self._aws, order.regions, policy, self._clock, counts, stop, paced=True
        )
        progress = _progress(order.resume, apis)
        info = _info(order, policy, apis, self._settings)
        prices = price_list(policy.prices)
        findings = Findings(prices)
        bucket = self._settings.journal_bucket
        journal = LogJournal(order.run_id, policy.digest(), keep=bucket is not None)
        log.info("run_started", **info.as_dict(), hop=order.hop)
        run = Run(
            apis,
            policy,
            findings,
            journal,
            stop,
            order.started,
            dry_run=order.dry_run,
            progress=progress,
            summary=summary,
        )
        resume: Resume | None = None
        try:
            try:
                run.execute()
            finally:
                self._archive(order, info.account, journal, summary)
            if summary.goes_on:
                resume = self._go_on(order, policy, progress, summary, counts, context)
        finally:
            told = summary.as_dict(counts, prices)
            word.summary, word.goes_on = told, resume is not None
            log.info("run_ended", hop=order.hop, goes_on=resume is not None, summary=told)
            if resume is None:
                self._measure(order, told)
        answer = {
            "run": info.as_dict(),
            "findings": findings.rows,
            "findings_left_out": findings.left_out,
            "summary": told,
        }
        if resume is not None:
            return {**answer, "resume": resume.model_dump()}
        _raise_failures(summary, dry_run=order.dry_run)
        return answer

    def _tell(self, order: Order, word: Word) -> None:
        """Tell people of a scheduled run. Raises RunFailedError where that cannot be."""
        if self._topic is None or order.trigger != "schedule":
            return
        try:
            self._topic.tell(word, self._clock.now())
        except NotifyError as error:
            raise RunFailedError("; ".join(filter(None, [word.error, str(error)]))) from error

    def _order(self, event: Any) -> Order:
        now = self._clock.now()
        if _is_scheduled(event):
            dry_run = self._settings.scheduled_dry_run == "true"
            regions = self._settings.region_names or [targets.ALL]
            return Order(uuid.uuid4().hex, "schedule", dry_run, regions, now, 0, None)
        if not isinstance(event, dict | None):
            raise UsageError(f"event: {type(event).__name__} is not an object")
        # As JSON, because that is what was sent: there, strict takes objects for models.
        said = parsed(json.dumps(event or {}), Event, "event")
        if said.resume is not None:
            if said.regions is not None:
                raise UsageError("event: regions: a resume value names its Regions itself")
            resume = said.resume
            return Order(
                resume.run_id,
                resume.trigger,
                said.dry_run,
                list(resume.regions),
                resume.started,
                resume.hop,
                resume,
            )
        regions = said.regions or self._settings.region_names or [targets.ALL]
        for region in said.regions or ():
            targets.check_region(region, "event: regions")
        return Order(uuid.uuid4().hex, "hand", said.dry_run, regions, now, 0, None)

    def _go_on(
        self,
        order: Order,
        policy: Policy,
        progress: Mapping[Target, ScanProgress],
        summary: Summary,
        counts: Counts,
        context: Invocation,
    ) -> Resume | None:
        """Invoke the next link; where that cannot be, what is left is not reached."""
        before = {target: dict(state.left_out) for target, state in progress.items()}
        regions = pack({target.region: state for target, state in progress.items()})
        for target, state in progress.items():
            grown = sum(state.left_out.values()) - sum(before[target].values())
            summary.not_reached(grown, f"{target}: {grown} log groups did not fit into the resume")
        hop = order.hop + 1
        settings = self._settings
        try:
            chain.may_go_on(
                hop,
                order.started,
                self._clock.now(),
                max_links=int(settings.max_links),
                max_hours=int(settings.max_hours),
            )
            resume = Resume(
                run_id=order.run_id,
                account=next(iter(progress)).account,
                started=order.started,
                hop=hop,
                trigger=order.trigger,
                policy=policy.digest(),
                regions=regions,
                summary=summary.as_dict(counts, price_list(policy.prices)),
            )
            if resume.stands_where(order.resume):
                raise chain.ChainError("the last link made no progress")
            event = Event(dry_run=order.dry_run, resume=resume)
            payload = event.model_dump_json(exclude={"regions"})
            chain.go_on(self._aws.client("lambda"), context.invoked_function_arn, payload)
        except chain.ChainError as error:
            summary.goes_on = False
            summary.error(str(error))
            left = sum(len(state.pending) for state in progress.values())
            summary.not_reached(left, "")
            return None
        return resume

    def _archive(self, order: Order, account: str, journal: LogJournal, summary: Summary) -> None:
        """Leave the link's journal in the bucket. Objects cannot be appended to, so this is done
        at the end; until then, and after a crash, the journal is in the log. What cannot be
        written is an error of the run.
        """
        bucket, text = self._settings.journal_bucket, journal.text
        if bucket is None or not text:
            return
        key = archive.key_of(account, order.started, order.run_id, order.hop)
        try:
            archive.put(self._aws.client("s3"), bucket, key, text)
        except JournalError as error:
            summary.error(str(error))
        else:
            log.info("journal_archived", bucket=bucket, key=key)

    def _measure(self, order: Order, told: Mapping[str, Any]) -> None:
        """The whole run's totals as metrics, once, in its last link."""
        metrics = self._metrics
        metrics.add_dimension("trigger", order.trigger)
        for name, key in METRICS.items():
            metrics.add_metric(name, MetricUnit.Count, told[key])
        seconds = max(self._clock.now() - order.started, 0) / 1000
        metrics.add_metric("Duration", MetricUnit.Seconds, seconds)
        metrics.add_metric("Complete", MetricUnit.Count, int(told["complete"]))


METRICS = {
    "GroupsScanned": "groups_scanned",
    "RetentionSet": "retention_set",
    "GroupsDeleted": "groups_deleted",
    "StreamsDeleted": "streams_deleted",
    "Failed": "failed",
    "Unknown": "unknown",
    "NotReached": "not_reached",
    "Throttled": "throttled",
}
"""Metric names, and the summary's keys that they show."""


def _is_scheduled(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and event.get("source") == "aws.events"
        and event.get("detail-type") == "Scheduled Event"
    )


def _so_far(resume: Resume | None) -> tuple[Summary, Counts]:
    if resume is None:
        return Summary(), Counts()
    try:
        summary = Summary.resumed(resume.summary)
        counts = Counts.resumed(resume.summary)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"event: resume.summary: was not made by this program: {error}") from error
    return summary, counts


def _progress(resume: Resume | None, apis: Sequence[Api]) -> dict[Target, ScanProgress]:
    if resume is None:
        return {api.target: ScanProgress() for api in apis}
    account = apis[0].target.account
    if resume.account != account:
        raise UsageError(f"event: resume.account: {resume.account} is not this account, {account}")
    return {api.target: unpack(resume.regions[api.target.region]) for api in apis}


def _info(order: Order, policy: Policy, apis: Sequence[Api], settings: Settings) -> RunInfo:
    return RunInfo(
        id=order.run_id,
        command="function",
        version=__version__,
        started=datetime.fromtimestamp(order.started / 1000, UTC).isoformat(timespec="seconds"),
        account=apis[0].target.account,
        regions=[api.target.region for api in apis],
        policy=settings.policy_parameter or settings.policy_file or "shipped",
        policy_sha256=policy.digest(),
        dry_run=order.dry_run,
    )


def _raise_failures(summary: Summary, *, dry_run: bool) -> None:
    """A dry run that a limit would refuse is an answer; a run that it refused needs a person."""
    failed = summary.by_status[Status.FAILED]
    unreached = summary.by_status[Status.NOT_REACHED]
    refused = "" if dry_run else summary.refused_because
    if failed or unreached or summary.errors or refused:
        why = "; ".join(filter(None, [*summary.errors[:5], refused]))
        raise RunFailedError(f"{failed} items failed, {unreached} were not reached: {why}")


def _with_context(_logger: Any, _method: str, line: Any) -> Any:
    """The engine logs from many threads, so context variables would not reach all of them."""
    return {**_context, **line}


def configure_logs() -> None:
    """JSON lines on stdout, which Lambda writes to the function's log group."""
    structlog.configure(
        processors=[
            _with_context,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )


configure_logs()
METRICS_OUT = Metrics(namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "CloudWatchJanitor"))
_janitor = Janitor(read_settings(os.environ), WarmSession(), SystemClock(), METRICS_OUT)


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls. Raises what `Janitor.answer` raises."""
    result: dict[str, Any] | Exception = _measured(event, context)
    if isinstance(result, Exception):
        raise result
    return result


@METRICS_OUT.log_metrics(capture_cold_start_metric=True)
def _measured(event: Any, context: Any) -> dict[str, Any] | Exception:
    """The answer or the error: powertools leaves out the cold start of a handler that raises."""
    METRICS_OUT.add_metric("Links", MetricUnit.Count, 1)
    try:
        return _janitor.answer(event, context)
    except Exception as error:  # raised again by `handler`, once the metrics are out
        if not isinstance(error, JanitorError | RunFailedError):
            log.exception("internal_error")
        else:
            log.error("run_failed", error=str(error))
        return error
