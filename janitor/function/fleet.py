"""The function of a fleet: many accounts, cleaned together by a state machine that calls it.

It is called for one thing at a time: to find the `targets`, to `survey` one of them, to check the
`limits` over all, to `act` on one, to make the `report`. An answer is small; everything else is in
the bucket, under `fleet/RUN/`, where only this function writes. An event names what is to be done
next, and is evidence of nothing: what the run is about, since when, and whether it is a dry run,
stands in its record (`janitor.function.members`); whether anything may be deleted, in what the
limits said; how far a target is, in its own state (`janitor.function.state`).

What goes wrong with one target is written into its state and is that target's failure alone. Only
what is worth another try of the same call raises.
"""

from __future__ import annotations

import asyncio
import gc
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
from janitor.aws.workers import GARBAGE, Threads, Workers
from janitor.core.clock import Clock, Stop, StoppedError, SystemClock
from janitor.core.errors import JanitorError, UsageError
from janitor.core.model import Status, Target
from janitor.core.tally import Tally
from janitor.core.text import visible
from janitor.cost.money import price_list
from janitor.engine.books import UNFINISHED, verdict
from janitor.function.findings import KeptFindings
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
from janitor.function.members import Member, Record, found, proved, with_regions
from janitor.function.notify import Notice
from janitor.function.runs import Runs
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
from janitor.policy.file import Policy
from janitor.report.base import counted
from janitor.report.fleet import Asked, FleetReport, Place, page

log = structlog.get_logger("janitor")

READ_AT_ONCE = 24
MOST_ERRORS = 3
LONGEST_ERROR = 300
"""Of what an answer says: the whole of it is in the state."""

RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,80}$")]
"""The name of an execution of the state machine, which has 80 characters at most; one that a rule
starts is named after the event and a UUID, with an underscore between them (Step Functions API
reference, StartExecution).
"""


class BusyError(JanitorError):
    """Another invocation is at work on this target, or died at it: to be called again, until its
    time would be over.
    """


class Event(BaseModel):
    """What the state machine asks for. `role` and `region` say of which target."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: RunId
    pass_: Literal["targets", "survey", "limits", "act", "report"] = Field(alias="pass")
    dry_run: bool = True
    role: str | None = None
    region: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Event:
        given = self.model_fields_set
        of_a_target = self.pass_ in ("survey", "act")
        if of_a_target != ("role" in given) or of_a_target != ("region" in given):
            raise ValueError("role and region are given with survey and act, and only with them")
        if "dry_run" in given and self.pass_ != "targets":
            raise ValueError("a run goes on as it was begun: dry_run is given with targets only")
        return self


class Checked(BaseModel):
    """What the limits said, in `limits.json`: why nothing may be deleted or swept, anywhere or in
    single accounts; and in which targets, for their survey was not complete by then.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    act: bool
    refused: str | None
    accounts: dict[str, str]
    unfinished: list[str]

    def refusal(self, target: Target) -> str:
        """Why nothing may be deleted or swept in the target; empty where it may."""
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
        self._assumed = assume
        self._known: Record | None = None
        self._limited: tuple[str, Checked] | None = None

    async def answer(self, event: Any, context: Invocation) -> dict[str, Any]:
        """Do what the event says. `complete` is False where the same event is to be sent again.

        Raises UsageError or PolicyError where it is of no run or target, or cannot be begun;
        StateError, BusyError and what is not foreseen where it is worth another try.
        """
        CONTEXT.clear()
        CONTEXT["request_id"] = context.aws_request_id
        # As JSON, because that is what was sent: there, strict takes objects for models.
        asked = parsed(json.dumps(event), Event, "event")
        CONTEXT["run_id"] = asked.run
        match asked.pass_:
            case "targets":
                return await self._targets(asked, context)
            case "survey" | "act":
                return await self._target(asked, context)
            case "limits":
                return await self._limits(asked.run)
            case "report":
                return await self._report(asked.run, context)

    # ---- what a run is about -----------------------------------------------------------------

    async def _record(self, run: str) -> Record | None:
        """The run's record, if it has begun: it is never written again, so read once."""
        if self._known is None or self._known.run != run:
            store = self._store()
            text = await store.read(key := store.key(run, "run.json"))
            self._known = None if text is None else store.parsed(text, Record, key)
        return self._known

    async def _begun(self, run: str) -> Record:
        record = await self._record(run)
        if record is None:
            raise UsageError(f"event: run: there is no run {run}")
        return record

    async def _targets(self, asked: Event, context: Invocation) -> dict[str, Any]:
        """Whoever is the first to find them decides what the run is about."""
        store = self._store()
        if (record := await self._record(asked.run)) is None:
            made = await self._found(asked, context)
            key = store.key(asked.run, "run.json")
            text = await store.create(key, made.model_dump_json().encode())
            record = self._known = store.parsed(text, Record, key)
            for member in record.members:
                if member.failed:
                    log.error("account_failed", account=member.account, error=member.failed)
        items = [
            {"role": member.role, "region": target.region}
            for target, member in record.targets.items()
        ]
        key = store.key(asked.run, "targets.json")
        await store.write(key, json.dumps(items).encode())
        answer = {"complete": True, "bucket": store.name, "key": key, "targets": len(items)}
        return {**answer, "dry_run": record.dry_run}

    async def _found(self, asked: Event, context: Invocation) -> Record:
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
            members, warnings = await found(api, settings.fleet, role)
            if not members:
                raise UsageError("environment: JANITOR_FLEET_…: no account is left to be cleaned")
            members = await with_regions(members, settings.region_names, self._assume, means)
        return Record(
            run=asked.run,
            dry_run=asked.dry_run,
            started=started,
            policy=policy.digest(),
            version=code(),
            members=members,
            warnings=warnings,
        )

    def _assume(self, role: str) -> boto3.Session:
        return self._assumed(self._aws, role, self._settings.fleet_external_id)

    # ---- a target ----------------------------------------------------------------------------

    async def _target(self, asked: Event, context: Invocation) -> dict[str, Any]:
        record = await self._begun(asked.run)
        target, member = _named(record, asked)
        store = self._store(target)
        state = await store.load(record.run)
        if state is not None and state.ended is not None:
            return _told(store, record.run, state)
        checked = await self._checked(record.run)
        if asked.pass_ == "survey":
            if state is not None and state.surveyed:
                return _told(store, record.run, state)
            if checked is not None:
                late = "the limits were checked before its survey came to its end"
                return _told(store, record.run, state, late)
        else:
            if checked is None or not checked.act:
                raise UsageError(f"event: pass: there is nothing to act on in run {record.run}")
            if state is None or not state.surveyed:
                return _told(store, record.run, state, UNFINISHED)
        policy = await self._policy()
        state = await self._claimed(store, state, record, target, context)
        try:
            await self._worked(store, state, member, policy, checked, context)
        except TakenError as error:
            raise BusyError(f"{target}: another invocation is at work on it") from error
        complete = state.ended is not None or (checked is None and state.surveyed)
        return _told(store, record.run, state, complete=complete)

    async def _claimed(
        self,
        store: RunStore,
        state: RunState | None,
        record: Record,
        target: Target,
        context: Invocation,
    ) -> RunState:
        """The state of the target, claimed for this invocation. Raises BusyError, StateError."""
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
        try:
            await store.save(state)
        except TakenError as error:
            raise BusyError(f"{target}: another invocation is at work on it") from error
        return state

    async def _worked(
        self,
        store: RunStore,
        state: RunState,
        member: Member,
        policy: Policy,
        checked: Checked | None,
        context: Invocation,
    ) -> None:
        """As much of survey or, where the limits were `checked`, of act as time allows."""
        counts, stop, prices = Counts(), Stop(), price_list(policy.prices)
        if state.counts:
            counts = Counts.restored(state.counts.model_dump())
        [region] = state.regions
        target, means = Target(state.account, region), self._means(counts, stop, policy)
        findings = KeptFindings(prices)
        log.info("target_started", account=target.account, region=region, link=state.link)
        with deadline(stop, context.get_remaining_time_in_millis() / 1000):
            api, why = await self._reached(state, member, policy, means, target)
            link = Link(state, store, {target: api}, policy, prices, counts, findings, stop)
            if why:
                link.failed(target, f"{target}: {why}")
                state.ended = link.summary().as_dict()
            elif checked is None:
                await link.survey(self._clock)
            else:
                await self._acted(link, state, store, policy, checked.refusal(target))
        state.claim = None
        if state.ended is None:
            state.link += 1
        await link.checkpoint()

    async def _reached(
        self, state: RunState, member: Member, policy: Policy, means: Means, target: Target
    ) -> tuple[Api, str]:
        """The calls of the target, and why nothing can be done with them; empty if it can."""
        api = means.api(self._aws, target)
        if why := self._may_not_go_on(state, policy):
            return api, why
        try:
            api = means.api(self._assume(member.role), target)
            identity = await api.call("sts", "GetCallerIdentity", expect="Account")
            proved(str(identity["Account"]), member)
        except StoppedError:
            return api, ""  # time is up, so nothing else is begun either
        except (*ReadError, JanitorError) as error:
            return api, str(error)
        return api, ""

    async def _acted(
        self, link: Link, state: RunState, store: RunStore, policy: Policy, refused: str
    ) -> None:
        [region] = state.regions
        async with self._journal(store, state, policy, f"{state.run}-{region}") as journal:
            await link.act(self._clock, journal, refused)

    def _may_not_go_on(self, state: RunState, policy: Policy) -> str:
        if state.version != code():
            return "the code has changed since the run started: nothing more is done"
        return super()._may_not_go_on(state, policy)

    # ---- over all of them --------------------------------------------------------------------

    async def _checked(self, run: str) -> Checked | None:
        """What the limits said, if they were checked: read until then, as it is written once."""
        if self._limited is None or self._limited[0] != run:
            store = self._store()
            if (text := await store.read(key := store.key(run, "limits.json"))) is None:
                return None
            self._limited = (run, store.parsed(text, Checked, key))
        return self._limited[1]

    async def _limits(self, run: str) -> dict[str, Any]:
        """Whoever is the first to check them decides, for all who come after."""
        record, store = await self._begun(run), self._store()
        checked, key = await self._checked(run), store.key(run, "limits.json")
        if checked is None:
            made = await self._check(record, await self._policy())
            text = await store.create(key, made.model_dump_json().encode())
            checked = store.parsed(text, Checked, key)
        over, left = len(checked.accounts), len(checked.unfinished)
        log.info("limits_checked", refused=checked.refused, accounts=over, unfinished=left)
        return {"complete": True, "act": checked.act, "refused": checked.refused, "key": key}

    async def _check(self, record: Record, policy: Policy) -> Checked:
        accounts: dict[str, Tally] = {}
        unfinished = []
        async for target, state, _ in self._states(record):
            region = TargetState() if state is None else state.regions[target.region]
            if region.tally is not None:
                accounts.setdefault(target.account, Tally()).include(region.tally)
            if region.tally is None or not region.surveyed or region.failed:
                unfinished.append(str(target))
        changed = policy.digest() != record.policy
        said = verdict(accounts, policy.limits)
        refused = "the policy has changed since the run started" if changed else said.anywhere
        return Checked(
            act=not (record.dry_run or changed),
            refused=refused or None,
            accounts=dict(said.accounts),
            unfinished=unfinished,
        )

    async def _states(self, record: Record) -> AsyncIterator[tuple[Target, RunState | None, str]]:
        """The state of every target, or None where it has none, or one that is damaged, and why,
        in the record's order.
        """

        async def loaded(target: Target) -> tuple[Target, RunState | None, str]:
            try:
                return target, await self._store(target).load(record.run), ""
            except DamagedError as error:
                return target, None, str(error)

        every = list(record.targets)
        for start in range(0, len(every), READ_AT_ONCE):
            some = every[start : start + READ_AT_ONCE]
            for each in await asyncio.gather(*map(loaded, some)):
                yield each

    async def _report(self, run: str, context: Invocation) -> dict[str, Any]:
        record, store = await self._begun(run), self._store()
        checked = await self._checked(run)
        report = FleetReport(price_list((await self._policy()).prices))
        members = {member.account: member for member in record.members}
        for member in members.values():
            report.account(_place(member), member.failed)
        for account, why in (checked.accounts if checked else {}).items():
            report.refused(account, why)
        async for target, state, why in self._states(record):
            tally, rows, asked = _counted(target, state)
            place = _place(members[target.account], target.region)
            refused = checked is None or bool(checked.refusal(target))
            why = why or _why_not(state, checked)
            report.target(place, tally, rows, asked, why, refused=refused)
        nowhere = checked.refused if checked else "the limits were not checked"
        accounts, regions = ", ".join(members), sorted({one.region for one in record.targets})
        info = self._info(record, "fleet", accounts, regions)
        said = report.as_dict(info, nowhere, record.warnings)
        key, html = store.key(run, "report.json"), store.key(run, "report.html")
        body = json.dumps(said).encode()
        if await store.read(key) != body:  # there is something new to tell
            await store.write(html, "".join(page(said)).encode(), "text/html; charset=utf-8")
            await self._tell(record, said, context)
            await store.write(key, body)
        return {"complete": True, "key": key, "html": html, "summary": _brief(said["summary"])}

    async def _tell(self, record: Record, said: dict[str, Any], context: Invocation) -> None:
        """Metrics, and a message to people. One that was sent just before the function died is sent
        again. Raises NotifyError.
        """
        store, summary = self._store(), said["summary"]
        notice = Notice(
            record.run,
            context.invoked_function_arn,
            context.log_group_name,
            record.dry_run,
            summary,
            over=counted(summary["accounts"], "account"),
            report=f"s3://{store.name}/{store.key(record.run, 'report.html')}",
        )
        failed = notice.result in ("failed", "refused")
        seconds = max(self._clock.now() - record.started, 0) / 1000
        measure(self._metrics, "fleet", summary, seconds, failed=failed)
        await self._notify(notice)


def _named(record: Record, asked: Event) -> tuple[Target, Member]:
    """The target that the event names. Raises UsageError where the run has no such target."""
    for member in record.members:
        if member.role == asked.role and asked.region in member.regions:
            return Target(member.account, str(asked.region)), member
    raise UsageError(f"event: role: {asked.role} in {asked.region} is not a target of the run")


def _told(
    store: RunStore, run: str, state: RunState | None, error: str = "", *, complete: bool = True
) -> dict[str, Any]:
    """What is answered of a target. Without a state nothing was begun."""
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
            "refused": None if state is None else _short(state.refused or "") or None,
            "errors": [_short(text) for text in errors],
        },
    }


def _place(member: Member, region: str | None = None) -> Place:
    return Place(member.account, member.name, tuple(member.path), region)


def _why_not(state: RunState | None, checked: Checked | None) -> str:
    """Why a target did not finish; empty if it did, or says so itself."""
    if state is None or not state.surveyed:
        return UNFINISHED
    if state.ended is None and checked is not None and checked.act:
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
    """Of a summary what has a bound."""
    problems = {key: [_short(text) for text in summary[key][:MOST_ERRORS]] for key in PROBLEMS}
    refused = _short(summary.get("refused_because") or "") or None
    counters = {key: value for key, value in summary.items() if isinstance(value, int)}
    changes = {key: summary[key] for key in ("planned", "would") if key in summary}
    return {**counters, **changes, "refused_because": refused, **problems}


PROBLEMS = ("errors", "warnings")


def _short(text: str) -> str:
    whole = visible(text)
    return whole if len(whole) <= LONGEST_ERROR else f"{whole[:LONGEST_ERROR]}…"


configure_logs()
gc.set_threshold(GARBAGE)
METRICS = Metrics(namespace=NAMESPACE)
_fleet = Fleet(read_settings(os.environ), WarmSession(), SystemClock(), METRICS, Threads())


def handler(event: Any, context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls. Raises what `Fleet.answer` raises."""
    return raised(_measured(event, context))


@METRICS.log_metrics(capture_cold_start_metric=True)
def _measured(event: Any, context: Any) -> dict[str, Any] | Exception:
    return answered(_fleet.answer(event, context))
