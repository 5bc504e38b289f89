"""One link of a run: as much of survey and act as fits into an invocation.

A link continues from the saved state of the run, and saves it often, so that a link that dies costs
little more than what it had in flight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from janitor.aws.api import Api, Counts
from janitor.aws.logs import Logs
from janitor.core.clock import Clock, Stop
from janitor.core.errors import PlanError
from janitor.core.model import OWNER_GONE, LogGroup, Outcome, Status, Target, Verb
from janitor.core.tally import Tally
from janitor.cost.money import Ledger, asking
from janitor.cost.prices import PriceList
from janitor.engine.act import Act, Done, Part
from janitor.engine.admission import Admission
from janitor.engine.books import Books
from janitor.engine.limits import LimitsVerdict
from janitor.engine.plan import ActionLine, action_line
from janitor.engine.survey import Page, Survey
from janitor.function.earlier import Earlier
from janitor.function.findings import Findings, KeptFindings
from janitor.function.state import (
    CallCounts,
    EarlierPass,
    LedgerRow,
    RunState,
    RunStore,
    TargetState,
)
from janitor.journal.journal import Journal
from janitor.owners.owners import OwnerCache
from janitor.policy.file import Limits, Policy
from janitor.report.summary import Summary, summarize

CHECKPOINT = 30.0
"""Seconds between two checkpoints."""


class Link(Books):
    """The sink of its own survey and act: it counts what they report into the state of the run."""

    def __init__(
        self,
        state: RunState,
        bucket: RunStore,
        apis: Mapping[Target, Api],
        policy: Policy,
        prices: PriceList,
        counts: Counts,
        findings: Findings | KeptFindings,
        stop: Stop,
    ) -> None:
        super().__init__(
            apis, self._record, lambda group: policy.acknowledged_until(group, state.started)
        )
        self.state = state
        self._bucket = bucket
        self._apis = apis
        self._owner_cache: OwnerCache | None = None
        self._policy = policy
        self._prices = prices
        self._counts = counts
        self._findings = findings
        self._stop = stop
        self._ledger = Ledger.resumed(row.model_dump(by_alias=True) for row in state.ledger)
        self._pending: dict[Target, list[ActionLine]] = {target: [] for target in apis}
        self._earlier: dict[Target, Earlier] = {}
        self._cut: set[Target] = set()
        self._saving = asyncio.Lock()
        self._number, self._began, self._written = state.link, 0, 0
        for target, region in self._regions.items():
            if region.tally:
                self.tallies[target] = region.tally
            if region.failed:
                self.unfinished.add(target)

    @property
    def _regions(self) -> dict[Target, TargetState]:
        return {target: self.state.regions[target.region] for target in self._apis}

    # ---- the sink ----------------------------------------------------------------------------

    def _record(self, groups: Sequence[LogGroup], outcomes: Sequence[Outcome]) -> None:
        self._ledger.scanned(groups)
        for outcome in outcomes:
            self._findings.outcome(outcome)
            if self.state.dry_run or not groups:
                self._ledger.add(outcome)

    def page(self, page: Page) -> None:
        """Count a page; one that time cut short, and those after it, are left to the next link."""
        if self._is_cut(page):
            return
        region = self._regions[page.target]
        if (earlier := self._earlier.get(page.target)) is not None:
            page = self._after_earlier(earlier, page, region)
        super().page(page)
        region.token, region.surveyed = page.following, page.following is None
        region.listed = [group.name for group in page.groups] or region.listed
        lines = (action_line(outcome) for outcome in page.outcomes)
        self._pending[page.target] += [line for line in lines if line is not None]

    def _after_earlier(self, earlier: Earlier, page: Page, region: TargetState) -> Page:
        """Count what earlier passes did, and return the page as it is to be planned after them."""
        tally = self.tallies[page.target]
        for verb, amount in earlier.uncounted(page).items():
            tally.earlier(verb, amount)
        region.there += earlier.still_there(page)
        if page.following is None:
            tally.earlier(Verb.DELETE_GROUP, earlier.deleted(region.there))
        return earlier.judged(page)

    def done(self, done: Done) -> None:
        """Count what was carried out; what time cut short is left to the next link."""
        region = self._regions[done.target]
        if not self._is_cut(done):
            super().done(done)
            region.line = done.position
            region.ahead = [position for position in region.ahead if position > done.position]
            region.swept = {at: n for at, n in region.swept.items() if at > done.position}
        elif done.complete:
            super().done(done)
            region.ahead.append(done.position)
        elif decided := [
            outcome._replace(status=Status.DONE, detail="the rest is left to the next link")
            if outcome.status is Status.NOT_REACHED
            else outcome
            for outcome in done.outcomes
            if outcome.streams or outcome.status not in (Status.NOT_REACHED, Status.REFUSED)
        ]:  # a sweep was cut short: the streams it deleted count, and so does the retention it set
            super().done(replace(done, outcomes=decided))
            streams = sum(outcome.streams for outcome in decided)
            region.swept[done.position] = region.swept.get(done.position, 0) + streams

    def _is_cut(self, part: Page | Done) -> bool:
        if not part.complete and self._stop.cause == "late":
            self._cut.add(part.target)
        return part.target in self._cut

    def restarted(self, target: Target) -> None:
        """Forget this Region's survey, which starts over because its page token is too old."""
        super().restarted(target)
        region = self._regions[target]
        if region.done is not None:
            self.tallies[target] = Tally.together([region.done])
        self._ledger.forget(target.region, changes=self.state.dry_run)
        self._pending[target] = []
        region.token, region.plan, region.there = None, [], 0
        self._findings.pop_lines()
        self.state.findings = []

    def start_over(self) -> None:
        """Survey every Region anew, as survey and plan so far are those of other code. What was
        done still counts.
        """
        state = self.state
        for target, region in self._regions.items():
            if state.acting:
                for earlier in region.earlier:
                    earlier.again &= region.failed  # else the survey after it has counted that
                passed = region.model_dump(include={"plan", "line", "ahead", "swept"})
                refused = bool(state.refused) or region.failed
                region.earlier.append(EarlierPass(**passed, refused=refused, again=state.again))
                region.done = self.tallies[target].of_earlier()
            self.restarted(target)
            region.listed, region.surveyed, region.failed = [], False, False
            region.line, region.ahead, region.swept, region.acted = 0, [], {}, False
        self.unfinished.clear()
        state.acting, state.again, state.refused = False, False, None

    def failed(self, target: Target, error: str) -> None:
        """Note that a Region's survey, or the whole run, did not finish."""
        super().failed(target, error)
        self._regions[target].failed = True

    def verdict(self, limits: Limits) -> LimitsVerdict:
        """Return what the limits say. They refuse everything where a link that died may have
        deleted more than is known, and no survey could count it.
        """
        for target in self.unfinished:
            if any(earlier.again for earlier in self._regions[target].earlier):
                why = f"nothing is deleted: how much this run has deleted in {target} is not known"
                return LimitsVerdict(why, {})
        return super().verdict(limits)

    # ---- the work ----------------------------------------------------------------------------

    async def run(self, clock: Clock, journal: Journal) -> None:
        """Survey, check the limits and act as far as time allows; `state.ended` is set once that is
        all done. Raises StateError and TakenError.
        """
        await self._checkpointed(clock, self._work(clock, journal))

    async def survey(self, clock: Clock) -> None:
        """Only survey, in a run whose limits are checked elsewhere; `state.ended` is set if there
        is nothing to act on. Raises StateError and TakenError.
        """
        await self._checkpointed(clock, self._survey_alone())

    async def act(self, clock: Clock, journal: Journal, refused: str) -> None:
        """Act on the plan; `refused` says why nothing may be deleted or swept, and is empty if it
        may. Raises StateError and TakenError.
        """
        self.state.refused = refused or None
        refusals = {target: refused or why for target, why in self.unsurveyed()}
        await self._checkpointed(clock, self._act(clock, journal, refusals))

    async def _checkpointed(self, clock: Clock, coroutine: Coroutine[Any, Any, bool]) -> None:
        """Run the coroutine, which returns whether the run is done, with checkpoints beside it."""
        self._began = clock.now()
        work = asyncio.create_task(coroutine)
        checkpoints = asyncio.create_task(self._checkpoints())
        await asyncio.wait({work, checkpoints}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.wait({work})
        # Cancelled in its middle, a write would still reach S3, and the next one be refused.
        async with self._saving:
            checkpoints.cancel()
        await asyncio.wait({checkpoints})
        if not checkpoints.cancelled():
            if not work.cancelled():
                work.exception()  # retrieved, so that asyncio does not log it: the other is raised
            checkpoints.result()
        if await work or self._stop.cause == "failed":
            self.state.ended = self.summary().as_dict()

    async def _work(self, clock: Clock, journal: Journal) -> bool:
        """Survey and act; return whether there is nothing more to do."""
        await self._survey()
        if not self.state.surveyed:
            return False
        self.state.refused = self.over_limit(self._policy.limits) or None
        return self.state.dry_run or await self._act(
            clock, journal, self.refusals(self._policy.limits)
        )

    async def _survey_alone(self) -> bool:
        """Survey; return whether there is nothing to act on."""
        await self._survey()
        planned = self.total.planned.total()
        return self.state.surveyed and (self.state.dry_run or not planned)

    async def _checkpoints(self) -> None:
        while True:
            await asyncio.sleep(CHECKPOINT)
            await self.checkpoint()

    async def _survey(self) -> None:
        await self._read_earlier()
        starts = {
            target: region.token
            for target, region in self._regions.items()
            if not (region.surveyed or region.failed)
        }
        survey = Survey(
            self._policy,
            self.state.started,
            self._stop,
            self,
            listing=self._listing,
            briefly=True,
        )
        await survey.run(self._apis, starts)
        self._owner_cache = survey.owner_cache

    async def _read_earlier(self) -> None:
        """Read what earlier passes planned; a Region where that is unreadable is not surveyed."""
        for target, region in self._regions.items():
            if not region.earlier or region.surveyed or region.failed:
                continue
            earlier = self._earlier[target] = Earlier()
            try:
                for done in region.earlier:
                    await earlier.read(done, self._bucket.planned(done.plan, 0))
            except PlanError as error:
                self.failed(target, f"{target}: {error}")

    def _listing(
        self, api: Api, start: str | None
    ) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
        return Logs(api).groups(start, self._regions[api.target].listed if start else ())

    async def _act(self, clock: Clock, journal: Journal, refusals: Mapping[Target, str]) -> bool:
        """Act on the plan; return whether it is carried out to its end."""
        if self._stop.draining:
            return False
        self.state.acting = True
        await self.checkpoint()
        parts = {
            target: Part(
                self._bucket.planned(region.plan, region.line),
                region.line,
                frozenset(region.ahead),
                dict(region.swept),
                refusals[target],
                self.state.again,
            )
            for target, region in self._regions.items()
            if not region.acted
        }
        act = Act(
            self._policy,
            self.state.started,
            self._stop,
            journal,
            self,
            Admission(clock),
            owner_cache=self._owner_cache,
        )
        await act.run(self._apis, parts)
        if self._stop.draining:
            return False
        for target in parts:
            self._regions[target].acted = True
        return True

    # ---- the state ---------------------------------------------------------------------------

    async def checkpoint(self) -> None:
        """Save new plan lines and findings, and the state. Raises StateError and TakenError."""
        async with self._saving:
            writes = []
            for target, lines in self._pending.items():
                if lines:
                    key = self._lines_key(target, "plan")
                    self._regions[target].plan.append(key)
                    writes.append(self._bucket.write_plan(key, lines))
                    self._pending[target] = []
            if found := self._findings.pop_lines():
                key = self._lines_key(next(iter(self._apis)), "findings")
                self.state.findings.append(key)
                writes.append(self._bucket.write_lines(key, found))
            for target, region in self._regions.items():
                region.tally = self.tallies[target]
            self.state.counts = CallCounts(**self._counts.state())
            self.state.ledger = [LedgerRow(**row) for row in self._ledger.rows()]
            snapshot = self.state.model_copy(deep=True)
            await asyncio.gather(*writes)
            await self._bucket.save(snapshot)

    def _lines_key(self, target: Target, what: str) -> str:
        self._written += 1
        return self._bucket.lines_key(
            self.state.run, target, what, self._number, self._began, self._written
        )

    def summary(self) -> Summary:
        """Return the summary of the whole run so far."""
        refusals = self.refusals(self._policy.limits)
        return summarize(
            self.total,
            self._ledger.as_dict(self._prices),
            self._counts.calls,
            self._counts.throttled,
            self._counts.slowest(),
            would=self.would(refusals) if self.state.dry_run else None,
            refused_in=[target for target, why in refusals.items() if why],
            refused_because=self.state.refused,
            asked=asking(self._counts.owner_calls, self._counts.metrics, self._prices),
            orphans=(
                self._ledger.orphans(self._prices) if OWNER_GONE in self._policy.questions else None
            ),
        )
