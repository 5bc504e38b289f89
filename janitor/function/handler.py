"""The Lambda function: an event in, a summary out.

One event (`janitor.function.events`) is one run, however often it is delivered. What does not fit
into one invocation continues in the next, from the state in the bucket (`janitor.function.state`).
"""

from __future__ import annotations

import json
import os
from typing import Any

import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from janitor.aws import targets
from janitor.aws.api import BOOKKEEPING_CONFIG, BOOKKEEPING_TIMEOUT, Counts
from janitor.aws.workers import NoAnswerError, Threads, within
from janitor.core import process
from janitor.core.clock import Stop, SystemClock
from janitor.core.errors import UsageError
from janitor.core.model import Target
from janitor.cost.prices import price_list
from janitor.function import chain
from janitor.function.deadline import deadline
from janitor.function.events import Request, requested
from janitor.function.findings import Findings
from janitor.function.invocation import (
    CONTEXT,
    Invocation,
    answer_or_error,
    configure_logs,
    unwrapped,
)
from janitor.function.link import Link
from janitor.function.metrics import NAMESPACE, measure
from janitor.function.notify import Notice
from janitor.function.runs import Runs, code
from janitor.function.settings import read_settings
from janitor.function.state import Claim, RunState, RunStore, TakenError, TargetState
from janitor.function.warm import WarmSession
from janitor.policy.file import Policy

log = structlog.get_logger("janitor")


class Janitor(Runs):
    """The runs of one account."""

    async def answer(self, event: Any, context: Invocation) -> dict[str, Any]:
        """Do what the event says. The answer has `run`, `findings` (of this link),
        `findings_left_out`, `summary` (of the whole run), and `goes_on`.

        A run that has ended says in its summary what failed. Raises UsageError or PolicyError where
        nothing can be started, and any error that is worth another attempt at the whole link.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        request = requested(event, context.aws_request_id, self._settings, self._clock.now())
        CONTEXT["run_id"] = request.run
        bucket = self._store()
        policy = await self._policy()
        counts, stop = Counts(), Stop()
        try:
            state = await self._claim(bucket, request, policy, counts, stop, context)
            if state is None:
                return {"run": {"id": request.run}, "repeated": True}
            if state.ended is None:
                counts = Counts.restored(state.counts.model_dump()) if state.counts else counts
                return await self._link(state, bucket, policy, counts, stop, context)
            await self._announce(state, bucket, context)
            return {"run": {"id": request.run}, "summary": state.ended, "goes_on": False}
        except TakenError:
            log.info("repeated_delivery", run=request.run, link=request.link)
            return {"run": {"id": request.run}, "repeated": True}

    # ---- which run, and which link -----------------------------------------------------------

    async def _claim(
        self,
        bucket: RunStore,
        request: Request,
        policy: Policy,
        counts: Counts,
        stop: Stop,
        context: Invocation,
    ) -> RunState | None:
        """Return the run's state, claimed for this invocation, or None where another has the link.

        Lambda's retry of an invocation that died has the same request id.
        """
        state = await bucket.load(request.run)
        if state is None:
            if request.link:
                raise UsageError(f"event: run: there is no run {request.run}")
            state = await self._start(request, policy, counts, stop)
        now = self._clock.now()
        claim = state.claim
        other = claim is not None and claim.request != context.aws_request_id and claim.until > now
        if state.ended is None and state.link == request.link + 1 and claim is None:
            # This link ended, but may have died before it invoked the next one.
            await self._go_on(state, context)
            return None
        if other or (state.ended is None and state.link != request.link):
            return None
        if state.told:
            return state
        until = now + context.get_remaining_time_in_millis()
        state.again |= claim is not None and state.acting
        state.claim = Claim(request=context.aws_request_id, until=until)
        await bucket.save(state)
        return state

    async def _start(
        self, request: Request, policy: Policy, counts: Counts, stop: Stop
    ) -> RunState:
        apis = await targets.connect(self._aws, request.regions, self._means(counts, stop, policy))
        return RunState(
            version=code(),
            run=request.run,
            trigger=request.trigger,
            dry_run=request.dry_run,
            started=request.started,
            began=self._clock.now(),
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
        here = [Target(state.account, region) for region in state.regions]
        apis = {target: means.api(self._aws, target) for target in here}
        link = Link(state, bucket, apis, policy, prices, counts, findings, stop)
        number = state.link
        log.info("link_started", **info.as_dict(), link=number)
        if why := self._stop_reason(state, policy):
            summary = link.summary().as_dict()
            state.ended = {**summary, "complete": False, "errors": [why, *summary["errors"]]}
        else:
            if state.version != code():
                log.warning("code_changed", link=number, acting=state.acting)
                link.start_over()
                state.version = code()
            with deadline(stop, context.get_remaining_time_in_millis() / 1000):
                async with self._journal(bucket, state, policy, state.run) as journal:
                    await link.run(self._clock, journal)
        if state.ended is None:
            state.link, state.claim = state.link + 1, None
        await link.checkpoint()
        if state.ended is None:
            await self._go_on(state, context)
        else:
            await self._announce(state, bucket, context)
        summary, goes_on = state.ended or link.summary().as_dict(), state.ended is None
        log.info("link_ended", link=number, summary=summary, goes_on=goes_on)
        return {
            "run": info.as_dict(),
            "findings": findings.rows,
            "findings_left_out": findings.left_out,
            "summary": summary,
            "goes_on": goes_on,
        }

    async def _go_on(self, state: RunState, context: Invocation) -> None:
        """Invoke the next link. Raises ChainError, upon which Lambda retries this one."""
        payload = json.dumps({"run": state.run, "link": state.link})
        client = self._aws.client("lambda", config=BOOKKEEPING_CONFIG)
        function = context.invoked_function_arn
        try:
            invoking = self._workers.run(lambda: chain.go_on(client, function, payload))
            await within(BOOKKEEPING_TIMEOUT, invoking)
        except NoAnswerError as error:
            raise chain.ChainError(f"the next link could not be invoked: {error}") from error

    async def _announce(self, state: RunState, bucket: RunStore, context: Invocation) -> None:
        """Publish the run's metrics, and a scheduled run's notification, unless that is done.

        A function that dies right after the notification sends it again. Raises NotifyError.
        """
        assert state.ended is not None, "the run has ended"
        if state.told:
            return
        own, group = context.invoked_function_arn, context.log_group_name
        notice = Notice(state.run, own, group, state.dry_run, state.ended)
        seconds = max(self._clock.now() - state.since, 0) / 1000
        measure(self._metrics, state.trigger, state.ended, seconds, failed=notice.failed)
        if state.trigger == "schedule":
            await self._notify(notice)
        state.told, state.claim = True, None
        await bucket.save(state)


configure_logs()
process.set_up()
METRICS = Metrics(namespace=NAMESPACE)
_janitor = Janitor(read_settings(os.environ), WarmSession(), SystemClock(), METRICS, Threads())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls. Raises what `Janitor.answer` raises."""
    return unwrapped(_measured(event, context))


@METRICS.log_metrics(capture_cold_start_metric=True)
def _measured(event: Any, context: Any) -> dict[str, Any] | Exception:
    METRICS.add_metric("Links", MetricUnit.Count, 1)
    return answer_or_error(_janitor.answer(event, context))
