"""The function of a fleet: many accounts, cleaned together by a state machine that invokes it.

Each invocation does one thing: find the `targets`, `survey` one of them, check the `limits` over
all, `act` on one, or make the `report`. An answer is small; everything else is in the bucket, under
`fleet/RUN/`, where only this function writes. An event only names what to do next: the run's
targets, its start and whether it is a dry run come from its record (`janitor.function.members`),
whether anything may be deleted from `limits.json`, and how far a target is from the target's state
(`janitor.function.state`).

An error of one target is written into its state and fails that target alone. Only what is worth
another attempt at the same invocation raises.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Literal

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from janitor.aws import targets
from janitor.aws.api import Api, Counts, ReadError
from janitor.aws.targets import Means
from janitor.aws.workers import Threads, Workers
from janitor.core import process
from janitor.core.clock import Clock, Stop, StoppedError, SystemClock
from janitor.core.errors import JanitorError, PolicyError, UsageError
from janitor.core.model import Status, Target
from janitor.core.tally import Tally
from janitor.core.text import counted
from janitor.cost.prices import PriceList, price_list
from janitor.engine.books import UNFINISHED
from janitor.engine.limits import verdict
from janitor.function.deadline import deadline
from janitor.function.findings import KeptFindings
from janitor.function.invocation import (
    CONTEXT,
    Invocation,
    answer_or_error,
    configure_logs,
    unwrapped,
)
from janitor.function.link import Link
from janitor.function.members import Member, Record, check_account, find_members, with_regions
from janitor.function.metrics import NAMESPACE, measure
from janitor.function.notify import Notice, shortened
from janitor.function.runs import Runs, code
from janitor.function.settings import Settings, parsed, read_settings
from janitor.function.state import (
    FLEET,
    Claim,
    DamagedError,
    RunState,
    RunStore,
    TakenError,
    TargetState,
)
from janitor.function.warm import WarmSession
from janitor.policy.file import Policy, Prices
from janitor.report.fleet import Asked, FleetReport, Place, page

log = structlog.get_logger("janitor")

READ_AT_ONCE = 24
MOST_ERRORS = 3
LONGEST_ERROR = 300
"""Characters of an error in an answer; the state has all of it."""

RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
"""The name of an execution of the state machine: at most 80 characters (Step Functions API
reference, StartExecution). A rule names its execution EVENT_UUID.
"""


class BusyError(JanitorError):
    """Another invocation works on this target, or died while it did: try again, until that one's
    time is over.
    """


class Event(BaseModel):
    """What the state machine asks for; `role` and `region` name a target."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: RunId
    pass_: Literal["targets", "survey", "limits", "act", "report"] = Field(alias="pass")
    dry_run: bool = True
    role: str | None = None
    region: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Event:
        given = self.model_fields_set
        of_a_target = self.pass_ in ("survey", "act")
        if of_a_target != ("role" in given) or of_a_target != ("region" in given):
            raise ValueError("give role and region with survey and act, and only with them")
        if "dry_run" in given and self.pass_ != "targets":
            raise ValueError("a run continues as it was started: give dry_run with targets only")
        return self


class LimitsCheck(BaseModel):
    """The contents of `limits.json`: whether to act at all, why nothing may be deleted or swept
    anywhere (`refused`) or in single `accounts`, and the targets whose survey was incomplete.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    act: bool
    refused: str | None
    accounts: dict[str, str]
    unfinished: list[str]

    def refusal(self, target: Target) -> str:
        """Return why nothing may be deleted or swept in the target; empty if it may."""
        account = self.accounts.get(target.account, "")
        return self.refused or account or (UNFINISHED if str(target) in self.unfinished else "")


class Fleet(Runs):
    """The runs of a fleet. `assume` makes sessions of roles."""

    prefix = FLEET

    def __init__(
        self,
        settings: Settings,
        aws: boto3.Session,
        clock: Clock,
        metrics: Metrics | EphemeralMetrics,
        workers: Workers,
        assume: Callable[[boto3.Session, str, str | None], boto3.Session] = targets.assumed,
    ) -> None:
        super().__init__(settings, aws, clock, metrics, workers)
        self._assume_role = assume
        self._cached_record: Record | None = None
        self._cached_check: tuple[str, LimitsCheck] | None = None

    async def answer(self, raw: Any, context: Invocation) -> dict[str, Any]:
        """Do what the event says; `complete` is False where the same event is to be sent again.

        Raises UsageError or PolicyError where the run or the target does not exist or cannot be
        started; StateError, BusyError or an unforeseen error where another attempt may succeed.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        event = parsed(json.dumps(raw), Event, "event")  # else a text would be taken for JSON
        CONTEXT["run_id"] = event.run
        match event.pass_:
            case "targets":
                return await self._targets(event, context)
            case "survey" | "act":
                return await self._target(event, context)
            case "limits":
                return await self._limits(event.run)
            case "report":
                return await self._report(event.run, context)

    # ---- the targets of a run ----------------------------------------------------------------

    async def _record(self, run: str) -> Record | None:
        """Return the run's record, if it has started; it never changes, so it is cached."""
        if self._cached_record is None or self._cached_record.run != run:
            store = self._store()
            text = await store.read(key := store.key(run, "run.json"))
            self._cached_record = None if text is None else store.parsed(text, Record, key)
        return self._cached_record

    async def _started(self, run: str) -> Record:
        record = await self._record(run)
        if record is None:
            raise UsageError(f"event: run: there is no run {run}")
        return record

    async def _targets(self, event: Event, context: Invocation) -> dict[str, Any]:
        """Write the run's record, unless there is one, and its list of targets. Raises UsageError
        for an old run: its report would be taken for that of a new one.
        """
        store, hours = self._store(), int(self._settings.max_hours)
        if (record := await self._record(event.run)) is None:
            new = await self._new_record(event, context)
            key = store.key(event.run, "run.json")
            text = await store.create(key, new.model_dump_json().encode())
            record = self._cached_record = store.parsed(text, Record, key)
            for member in record.members:
                if member.failed:
                    log.error("account_failed", account=member.account, error=member.failed)
        elif self._clock.now() - record.started > hours * 3_600_000:
            raise UsageError(
                f"event: run: {event.run} began more than {hours} hours ago: give another name"
            )
        items = [
            {"role": member.role, "region": target.region}
            for target, member in record.targets.items()
        ]
        key = store.key(event.run, "targets.json")
        await store.write(key, json.dumps(items).encode())
        answer = {"complete": True, "bucket": store.name, "key": key, "targets": len(items)}
        return {**answer, "dry_run": record.dry_run}

    async def _new_record(self, event: Event, context: Invocation) -> Record:
        settings, started = self._settings, self._clock.now()
        policy = await self._policy()
        _, partition, _, home, account, *_ = context.invoked_function_arn.split(":")
        name = settings.fleet_role
        if name is None:
            raise UsageError("environment: JANITOR_FLEET_ROLE is missing: it is what is assumed")

        def role(account: str) -> str:
            return f"arn:{partition}:iam::{account}:role/{name}"

        stop = Stop()
        means = self._means(Counts(), stop, policy)
        with deadline(stop, context.get_remaining_time_in_millis() / 1000):
            api = means.api(self._aws, Target(account, home))
            members, warnings = await find_members(api, settings.fleet, role)
            if not members:
                raise UsageError("environment: JANITOR_FLEET_…: no account is left to be cleaned")
            members = await with_regions(members, settings.region_names, self._assume, means)
        return Record(
            run=event.run,
            dry_run=event.dry_run,
            started=started,
            policy=policy.digest(),
            version=code(),
            members=members,
            warnings=warnings,
        )

    def _assume(self, role: str) -> boto3.Session:
        return self._assume_role(self._aws, role, self._settings.fleet_external_id)

    # ---- a target ----------------------------------------------------------------------------

    async def _target(self, event: Event, context: Invocation) -> dict[str, Any]:
        record = await self._started(event.run)
        target, member = _find_target(record, event)
        store = self._store(target)
        state = await store.load(record.run)
        if state is not None and state.ended is not None:
            return _answer(store, record.run, state)
        check = await self._limits_check(record.run)
        if event.pass_ == "survey":
            if state is not None and state.surveyed:
                return _answer(store, record.run, state)
            if check is not None:
                late = "the limits were checked before its survey came to its end"
                return _answer(store, record.run, state, late)
        else:
            if check is None or not check.act:
                raise UsageError(f"event: pass: there is nothing to act on in run {record.run}")
            if state is None or not state.surveyed:
                return _answer(store, record.run, state, UNFINISHED)
        policy = await self._policy()
        try:
            state = await self._claim(store, state, record, target, context)
            await self._work(store, state, member, policy, check, context)
        except TakenError as error:
            raise BusyError(f"{target}: another invocation is at work on it") from error
        complete = state.ended is not None or (check is None and state.surveyed)
        return _answer(store, record.run, state, complete=complete)

    async def _claim(
        self,
        store: RunStore,
        state: RunState | None,
        record: Record,
        target: Target,
        context: Invocation,
    ) -> RunState:
        """Return the target's state, claimed for this invocation. Raises BusyError, StateError or
        TakenError.
        """
        now, request = self._clock.now(), context.aws_request_id
        state = state or RunState(
            version=record.version,
            run=record.run,
            trigger="fleet",
            dry_run=record.dry_run,
            started=record.started,
            policy=record.policy,
            account=target.account,
            regions={target.region: TargetState()},
        )
        claim = state.claim
        if claim is not None and claim.request != request and claim.until > now:
            raise BusyError(f"{target}: another invocation is at work on it")
        until = now + context.get_remaining_time_in_millis()
        state.again |= claim is not None and state.acting
        state.claim = Claim(request=request, until=until)
        await store.save(state)
        return state

    async def _work(
        self,
        store: RunStore,
        state: RunState,
        member: Member,
        policy: Policy,
        check: LimitsCheck | None,
        context: Invocation,
    ) -> None:
        """Survey or, after the limits' `check`, act, as far as time allows."""
        counts, stop, prices = Counts(), Stop(), price_list(policy.prices)
        if state.counts:
            counts = Counts.restored(state.counts.model_dump())
        [region] = state.regions
        target, means = Target(state.account, region), self._means(counts, stop, policy)
        findings = KeptFindings(prices)
        log.info("target_started", account=target.account, region=region, link=state.link)
        with deadline(stop, context.get_remaining_time_in_millis() / 1000):
            api, why = await self._connect(state, member, policy, means, target)
            link = Link(state, store, {target: api}, policy, prices, counts, findings, stop)
            if why:
                link.failed(target, f"{target}: {why}")
                state.ended = link.summary().as_dict()
            elif check is None:
                await link.survey(self._clock)
            else:
                name = f"{state.run}-{region}"
                async with self._journal(store, state, policy, name) as journal:
                    await link.act(self._clock, journal, check.refusal(target))
        state.claim = None
        if state.ended is None:
            state.link += 1
        await link.checkpoint()

    async def _connect(
        self, state: RunState, member: Member, policy: Policy, means: Means, target: Target
    ) -> tuple[Api, str]:
        """Return the target's API, and why it cannot be used; empty if it can."""
        api = means.api(self._aws, target)
        if why := self._stop_reason(state, policy):
            return api, why
        try:
            api = means.api(self._assume(member.role), target)
            identity = await api.call("sts", "GetCallerIdentity", expect="Account")
            check_account(str(identity["Account"]), member)
        except StoppedError:
            return api, ""  # time is up, so the link starts nothing either
        except (*ReadError, JanitorError) as error:
            return api, str(error)
        return api, ""

    def _stop_reason(self, state: RunState, policy: Policy) -> str:
        if state.version != code():
            return "the code has changed since the run started: nothing more is done"
        return super()._stop_reason(state, policy)

    # ---- over all targets --------------------------------------------------------------------

    async def _limits_check(self, run: str) -> LimitsCheck | None:
        """Return the limits' check, if it was made; it never changes, so it is cached."""
        if self._cached_check is None or self._cached_check[0] != run:
            store = self._store()
            if (text := await store.read(key := store.key(run, "limits.json"))) is None:
                return None
            self._cached_check = (run, store.parsed(text, LimitsCheck, key))
        return self._cached_check[1]

    async def _limits(self, run: str) -> dict[str, Any]:
        """Check the limits, unless that is done: the first check decides."""
        record, store = await self._started(run), self._store()
        check, key = await self._limits_check(run), store.key(run, "limits.json")
        if check is None:
            new = await self._check_limits(record, await self._policy())
            text = await store.create(key, new.model_dump_json().encode())
            check = store.parsed(text, LimitsCheck, key)
        over, left = len(check.accounts), len(check.unfinished)
        log.info("limits_checked", refused=check.refused, accounts=over, unfinished=left)
        return {"complete": True, "act": check.act, "refused": check.refused, "key": key}

    async def _check_limits(self, record: Record, policy: Policy) -> LimitsCheck:
        """Check the limits. Raises BusyError while a target is surveyed, as by another execution of
        the same run.
        """
        accounts: dict[str, Tally] = {}
        unfinished, now = [], self._clock.now()
        async for target, state, _ in self._states(record):
            if state is not None and state.claim is not None and state.claim.until > now:
                raise BusyError(f"{target}: another invocation is at work on it")
            region = TargetState() if state is None else state.regions[target.region]
            if region.tally is not None:
                accounts.setdefault(target.account, Tally()).include(region.tally)
            if region.tally is None or not region.surveyed or region.failed:
                unfinished.append(str(target))
        changed = policy.digest() != record.policy
        limited = verdict(accounts, policy.limits)
        refused = "the policy has changed since the run started" if changed else limited.anywhere
        return LimitsCheck(
            act=not (record.dry_run or changed),
            refused=refused or None,
            accounts=dict(limited.accounts),
            unfinished=unfinished,
        )

    async def _states(self, record: Record) -> AsyncIterator[tuple[Target, RunState | None, str]]:
        """Yield every target, in the record's order, with its state, or with None if there is none
        or it is damaged, and then why.
        """

        async def load(target: Target) -> tuple[Target, RunState | None, str]:
            try:
                return target, await self._store(target).load(record.run), ""
            except DamagedError as error:
                return target, None, str(error)

        every = list(record.targets)
        for start in range(0, len(every), READ_AT_ONCE):
            some = every[start : start + READ_AT_ONCE]
            for loaded in await asyncio.gather(*map(load, some)):
                yield loaded

    async def _report(self, run: str, context: Invocation) -> dict[str, Any]:
        record, store = await self._started(run), self._store()
        check = await self._limits_check(run)
        report = FleetReport(await self._prices())
        members = {member.account: member for member in record.members}
        for member in members.values():
            report.account(_place(member), member.failed)
        for account, why in (check.accounts if check else {}).items():
            report.refused(account, why)
        async for target, state, why in self._states(record):
            tally, rows, asked = _counted(target, state)
            place = _place(members[target.account], target.region)
            refused = check is None or bool(check.refusal(target))
            why = why or _why_unfinished(state, check)
            report.target(place, tally, rows, asked, why, refused=refused)
        refused_because = check.refused if check else "the limits were not checked"
        accounts, regions = ", ".join(members), sorted({one.region for one in record.targets})
        info = self._info(record, "fleet", accounts, regions)
        result = report.as_dict(info, refused_because, record.warnings)
        summary = result["summary"]
        key, html = store.key(run, "report.json"), store.key(run, "report.html")
        body = json.dumps(result).encode()
        if await store.read(key) != body:  # else a repeated delivery
            await store.write(html, "".join(page(result)).encode(), "text/html; charset=utf-8")
            await self._announce(record, summary, f"s3://{store.name}/{html}", context)
            await store.write(key, body)
        return {"complete": True, "key": key, "html": html, "summary": _brief(summary)}

    async def _prices(self) -> PriceList:
        """Return the policy's prices; the shipped ones where it can no longer be read, because what
        the run has done is reported all the same.
        """
        try:
            return price_list((await self._policy()).prices)
        except (PolicyError, UsageError) as error:
            log.warning("shipped_prices", error=str(error))
            return price_list(Prices())

    async def _announce(
        self, record: Record, summary: dict[str, Any], html: str, context: Invocation
    ) -> None:
        """Publish metrics and a notification. A function that dies right after the notification
        sends it again. Raises NotifyError.
        """
        notice = Notice(
            record.run,
            context.invoked_function_arn,
            context.log_group_name,
            record.dry_run,
            summary,
            over=counted(summary["accounts"], "account"),
            report=html,
        )
        seconds = max(self._clock.now() - record.started, 0) / 1000
        measure(self._metrics, "fleet", summary, seconds, failed=notice.failed)
        await self._notify(notice)


def _find_target(record: Record, event: Event) -> tuple[Target, Member]:
    """Return the target that the event names. Raises UsageError if the run does not have it."""
    for member in record.members:
        if member.role == event.role and event.region in member.regions:
            return Target(member.account, str(event.region)), member
    raise UsageError(f"event: role: {event.role} in {event.region} is not a target of the run")


def _answer(
    store: RunStore, run: str, state: RunState | None, error: str = "", *, complete: bool = True
) -> dict[str, Any]:
    """Return the answer about a target; it has no state if nothing was started."""
    regions = [] if state is None else list(state.regions.values())
    tally = Tally.together(region.tally for region in regions if region.tally)
    errors = [*([error] if error else []), *tally.errors]
    if len(errors) > MOST_ERRORS:
        errors[MOST_ERRORS:] = [f"and {len(errors) - MOST_ERRORS} more"]
    return {
        "complete": complete,
        "key": store.key(run, "state.json"),
        "tally": {
            "scanned": tally.scanned,
            "planned": {verb.value: count for verb, count in tally.planned.items()},
            "done": {verb.value: count for verb, count in tally.done.items()},
            "failed": tally.by_status[Status.FAILED],
            "unknown": tally.by_status[Status.UNKNOWN],
            "refused": None if state is None else _short(state.refused),
            "errors": [_short(text) for text in errors],
        },
    }


def _place(member: Member, region: str | None = None) -> Place:
    return Place(member.account, member.name, tuple(member.path), region)


def _why_unfinished(state: RunState | None, check: LimitsCheck | None) -> str:
    """Return why a target did not finish; empty if it did, or its state says why."""
    if state is None or not state.surveyed:
        return UNFINISHED
    if state.ended is None and check is not None and check.act:
        return "what was planned was not carried out to its end"
    return ""


def _counted(target: Target, state: RunState | None) -> tuple[Tally, list[dict[str, Any]], Asked]:
    if state is None:
        return Tally(), [], Asked()
    counts = Counts.restored(state.counts.model_dump()) if state.counts else Counts()
    asked = Asked(
        counts.calls, counts.throttled, counts.slowest(), counts.owner_calls, counts.metrics
    )
    rows = [row.model_dump(by_alias=True) for row in state.ledger]
    return state.regions[target.region].tally or Tally(), rows, asked


def _brief(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a summary that have a bounded size."""
    counters = {key: value for key, value in summary.items() if isinstance(value, int)}
    changes = {key: summary[key] for key in ("planned", "would") if key in summary}
    problems = {
        key: [_short(text) for text in summary[key][:MOST_ERRORS]] for key in ("errors", "warnings")
    }
    refused = _short(summary.get("refused_because"))
    return {**counters, **changes, "refused_because": refused, **problems}


def _short(text: str | None) -> str | None:
    return shortened(text, LONGEST_ERROR) if text else None


configure_logs()
process.set_up()
METRICS = Metrics(namespace=NAMESPACE)
_fleet = Fleet(read_settings(os.environ), WarmSession(), SystemClock(), METRICS, Threads())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls. Raises what `Fleet.answer` raises."""
    return unwrapped(_measured(event, context))


@METRICS.log_metrics(capture_cold_start_metric=True)
def _measured(event: Any, context: Any) -> dict[str, Any] | Exception:
    return answer_or_error(_fleet.answer(event, context))
