"""The Lambda function: an event in, a summary out.

EventBridge's scheduled event acts (unless the environment says otherwise); every other event is a
dry run unless it says `"dry_run": false`. One event is one run, however often it is delivered:
what does not fit into one invocation goes on in the next, from the state in the bucket
(`janitor.function.state`), of which an event names no more than run and link.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from janitor.aws import targets
from janitor.aws.api import CLOSE_CONFIG, CLOSE_LASTS, Api, Counts
from janitor.aws.workers import GARBAGE, NoAnswerError, Threads, within
from janitor.core.clock import Stop, SystemClock
from janitor.core.errors import UsageError
from janitor.core.model import Target
from janitor.cost.money import price_list
from janitor.function import chain
from janitor.function.findings import Findings
from janitor.function.invocation import (
    CONTEXT,
    NAMESPACE,
    Invocation,
    WarmSession,
    answered,
    code,
    configure_logs,
    deadline,
    measure,
    raised,
)
from janitor.function.link import Link
from janitor.function.notify import Notice
from janitor.function.runs import Runs
from janitor.function.settings import parsed, read_settings
from janitor.function.state import Claim, RunState, RunStore, TakenError, TargetState
from janitor.policy.file import Policy

log = structlog.get_logger("janitor")

_RUN = re.compile(r"[A-Za-z0-9-]{1,64}")
RunId = Annotated[str, StringConstraints(pattern=f"^{_RUN.pattern}$")]


class Event(BaseModel):
    """What a caller may say; everything is optional, unknown keys are refused. `run` and `link` are
    the function's own: they go on with a run, as it was begun.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    dry_run: bool = True
    regions: list[str] | None = Field(None, min_length=1)
    run: RunId | None = None
    link: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Event:
        if (self.run is None) != (self.link is None):
            raise ValueError("give run and link together")
        if self.run is not None and self.model_fields_set - {"run", "link"}:
            raise ValueError("a run continues as it was started: give only run and link")
        return self


@dataclass(frozen=True, slots=True)
class Order:
    """What an event asks for. `started` (ms) is the moment by which a new run judges ages."""

    run: str
    link: int
    trigger: Literal["schedule", "hand"] = "hand"
    dry_run: bool = True
    regions: Sequence[str] = ()
    started: int = 0


class Janitor(Runs):
    """The runs."""

    async def answer(self, event: Any, context: Invocation) -> dict[str, Any]:
        """Do what the event says. The answer has `run`, `findings` (of this link),
        `findings_left_out`, `summary` (of the whole run), and `goes_on`.

        A run that ended says in its summary what failed. Raises UsageError or PolicyError where
        nothing can be begun, and what is worth another try of the whole link.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        order = self._order(event, context.aws_request_id)
        CONTEXT["run_id"] = order.run
        bucket = self._store()
        policy = await self._policy()
        counts, stop = Counts(), Stop()
        try:
            state = await self._claimed(bucket, order, policy, counts, stop, context)
            if state is None:
                return {"run": {"id": order.run}, "repeated": True}
            if state.ended is None:
                counts = Counts.restored(state.counts.model_dump()) if state.counts else counts
                return await self._link(state, bucket, policy, counts, stop, context)
            await self._tell(state, bucket, context)
            return {"run": {"id": order.run}, "summary": state.ended, "goes_on": False}
        except TakenError:
            log.info("repeated_delivery", run=order.run, link=order.link)
            return {"run": {"id": order.run}, "repeated": True}

    # ---- which run, and which link -----------------------------------------------------------

    def _order(self, event: Any, request: str) -> Order:
        now = self._clock.now()
        configured = self._settings.region_names or [targets.ALL]
        if _is_scheduled(event):
            run, started = _scheduled(event, now)
            dry_run = self._settings.scheduled_dry_run == "true"
            return Order(run, 0, "schedule", dry_run, configured, started)
        if not isinstance(event, dict | None):
            raise UsageError(f"event: {type(event).__name__} is not an object")
        # As JSON, because that is what was sent: there, strict takes objects for models.
        asked = parsed(json.dumps(event or {}), Event, "event")
        if asked.run is not None and asked.link is not None:
            return Order(asked.run, asked.link)
        for region in asked.regions or ():
            targets.check_region(region, "event: regions")
            if configured != [targets.ALL] and region not in configured:
                raise UsageError(
                    f"event: regions: {region} is not among those configured "
                    f"({', '.join(configured)})"
                )
        return Order(request, 0, "hand", asked.dry_run, asked.regions or configured, now)

    async def _claimed(
        self,
        bucket: RunStore,
        order: Order,
        policy: Policy,
        counts: Counts,
        stop: Stop,
        context: Invocation,
    ) -> RunState | None:
        """The state of the run, claimed for this invocation; None where another has the link.

        An invocation that died may be tried again, and has the same request id.
        """
        state = await bucket.load(order.run)
        if state is None:
            if order.link:
                raise UsageError(f"event: run: there is no run {order.run}")
            state = await self._begun(order, policy, counts, stop)
        now = self._clock.now()
        claim = state.claim
        other = claim is not None and claim.request != context.aws_request_id and claim.until > now
        if state.ended is None and state.link == order.link + 1 and claim is None:
            await self._go_on(
                state, context
            )  # this link ended, and may have died before it said so
            return None
        if other or (state.ended is None and state.link != order.link):
            return None
        if state.told:
            return state
        until = now + context.get_remaining_time_in_millis()
        state.again |= claim is not None and state.acting
        state.claim = Claim(request=context.aws_request_id, until=until)
        await bucket.save(state)
        return state

    async def _begun(self, order: Order, policy: Policy, counts: Counts, stop: Stop) -> RunState:
        apis = await targets.connect(self._aws, order.regions, self._means(counts, stop, policy))
        return RunState(
            version=code(),
            run=order.run,
            trigger=order.trigger,
            dry_run=order.dry_run,
            started=order.started,
            policy=policy.digest(),
            account=apis[0].target.account,
            regions={api.target.region: TargetState() for api in apis},
        )

    # ---- a link ------------------------------------------------------------------------------

    async def _link(
        self,
        state: RunState,
        bucket: RunStore,
        policy: Policy,
        counts: Counts,
        stop: Stop,
        context: Invocation,
    ) -> dict[str, Any]:
        info = self._info(state, "function", state.account, list(state.regions))
        prices = price_list(policy.prices)
        findings = Findings(prices)
        means = self._means(counts, stop, policy)
        apis: dict[Any, Api] = {
            api.target: api
            for api in (
                means.api(self._aws, Target(state.account, region)) for region in state.regions
            )
        }
        link = Link(state, bucket, apis, policy, prices, counts, findings, stop)
        number = state.link
        log.info("link_started", **info.as_dict(), link=number)
        why = self._may_not_go_on(state, policy)
        if why:
            state.ended = {**link.summary().as_dict(), "complete": False, "errors": [why]}
        else:
            if state.version != code():
                log.warning("code_changed", link=number, acting=state.acting)
                link.begin_again()
                state.version = code()
            with deadline(stop, context.get_remaining_time_in_millis() / 1000):
                await self._worked(link, state, bucket, policy)
        if state.ended is None:
            state.link, state.claim = state.link + 1, None
        await link.checkpoint()
        if state.ended is None:
            await self._go_on(state, context)
        else:
            await self._tell(state, bucket, context)
        answer = {
            "run": info.as_dict(),
            "findings": findings.rows,
            "findings_left_out": findings.left_out,
            "summary": state.ended or link.summary().as_dict(),
            "goes_on": state.ended is None,
        }
        told = {key: answer[key] for key in ("summary", "goes_on")}
        log.info("link_ended", link=number, **told)
        return answer

    async def _worked(self, link: Link, state: RunState, bucket: RunStore, policy: Policy) -> None:
        async with self._journal(bucket, state, policy, state.run) as journal:
            await link.run(self._clock, journal)

    async def _go_on(self, state: RunState, context: Invocation) -> None:
        """Invoke the next link. Raises ChainError, and the link is tried again."""
        payload = json.dumps({"run": state.run, "link": state.link})
        client, function = (
            self._aws.client("lambda", config=CLOSE_CONFIG),
            context.invoked_function_arn,
        )
        try:
            going = self._workers.run(lambda: chain.go_on(client, function, payload))
            await within(CLOSE_LASTS, going)
        except NoAnswerError as error:
            raise chain.ChainError(f"the next link could not be invoked: {error}") from error

    async def _tell(self, state: RunState, bucket: RunStore, context: Invocation) -> None:
        """Metrics, and a message to people about a scheduled run: once, as far as that goes. One
        that was sent just before the function died is sent again. Raises NotifyError.
        """
        assert state.ended is not None, "the run has ended"
        if state.told:
            return
        self._measure(state, state.ended)
        if state.trigger == "schedule":
            own, group = context.invoked_function_arn, context.log_group_name
            await self._notify(Notice(state.run, own, group, state.dry_run, state.ended))
        state.told, state.claim = True, None
        await bucket.save(state)

    def _measure(self, state: RunState, ended: dict[str, Any]) -> None:
        """The whole run's totals as metrics, once, in its last link."""
        notice = Notice(state.run, "", "", state.dry_run, ended)
        failed = notice.result in ("failed", "refused")
        seconds = max(self._clock.now() - state.started, 0) / 1000
        measure(self._metrics, state.trigger, ended, seconds, failed=failed)


def _is_scheduled(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and event.get("source") == "aws.events"
        and event.get("detail-type") == "Scheduled Event"
    )


def _scheduled(event: dict[str, Any], now: int) -> tuple[str, int]:
    """The run id and the start (ms) that a scheduled event gives.

    Whoever may invoke the function may invent such an event: its time may make a run older, in
    which case less is old enough to be deleted, but never younger than it is. Raises UsageError.
    """
    run, time = event.get("id"), event.get("time")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise UsageError(f"event: id: {run!r} is not the id of an event")
    try:
        started = int(datetime.fromisoformat(str(time)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"event: time: {time!r} is not a time") from error
    return run, min(started, now)


configure_logs()
gc.set_threshold(GARBAGE)
METRICS_OUT = Metrics(namespace=NAMESPACE)
_janitor = Janitor(read_settings(os.environ), WarmSession(), SystemClock(), METRICS_OUT, Threads())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls. Raises what `Janitor.answer` raises."""
    return raised(_measured(event, context))


@METRICS_OUT.log_metrics(capture_cold_start_metric=True)
def _measured(event: Any, context: Any) -> dict[str, Any] | Exception:
    METRICS_OUT.add_metric("Links", MetricUnit.Count, 1)
    return answered(_janitor.answer(event, context))
