"""Reading the log groups of every target, judging each, and proving what is to be deleted.

Nothing here changes anything. A page of the listing is done when everything on it is decided;
pages are handed on in their order, so a survey can be cut anywhere and go on after the last page.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from janitor.aws.api import Api, ReadError
from janitor.aws.logs import Logs, TokenExpiredError
from janitor.aws.quotas import learn_quotas
from janitor.aws.tags import ARNS_A_CALL, read_tags
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import CredentialsError, JanitorError
from janitor.core.model import (
    ORPHAN,
    Action,
    DeleteGroup,
    Evidence,
    Keep,
    LogGroup,
    Outcome,
    SetRetention,
    Status,
    SweepStreams,
    Target,
    Unknown,
    outcome_now,
)
from janitor.core.together import together
from janitor.engine.arrivals import Arrivals
from janitor.engine.batcher import Batcher
from janitor.engine.proof import (
    Empty,
    NotEmpty,
    Unreadable,
    Verdict,
    no_arrivals,
    no_events,
    no_subscription_filters,
    recreated_by,
    streams_silent,
    sweepable,
    unused,
)
from janitor.engine.questions import Questions
from janitor.engine.users import Users
from janitor.engine.window import Window
from janitor.owners.owners import OwnerCache
from janitor.owners.table import chosen
from janitor.policy.file import Limits, Policy
from janitor.policy.judge import because, judge, needs_tags, open_questions

PAGES_AHEAD = 40
"""Pages that are read while an earlier one still has questions open."""

QUESTIONS_AHEAD = 200
"""Log groups with open questions at which no more pages are read: at the slowest quota they are
answered within a minute, so that a survey that has to end can finish what it began.
"""

TARGETS_AT_ONCE = 40
"""Every Region of an account, and no more: calls of so many more would wait too long for one of
the threads (`janitor.aws.workers`), which looks like no answer.
"""

TAGS_LINGER = 12.0
"""Calls' time in which the groups of several pages come together whose tags matter."""

log = structlog.get_logger("janitor")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of log groups, as they were judged, and what was decided of them.

    `following` is the token of the next page, None after the last. A page that was cut short is
    not `complete`: what it did not get to is in its outcomes as not reached.
    """

    target: Target
    groups: Sequence[LogGroup]
    outcomes: Sequence[Outcome]
    following: str | None
    complete: bool


class SurveySink(Protocol):
    """Where the pages of a survey go; of each target in order, one call at a time."""

    def page(self, page: Page) -> None:
        """One more page."""

    def restarted(self, target: Target) -> None:
        """The target's page token is not valid any more: its pages come again from the first."""

    def warned(self, target: Target, text: str) -> None:
        """Something a person should know."""

    def failed(self, target: Target, error: str) -> None:
        """The target's survey did not finish."""


Listing = Callable[[Api, str | None], AsyncIterator[tuple[list[LogGroup], str | None]]]
"""Pages of log groups from a page token on, each with the token of the next."""


def every_group(api: Api, start: str | None) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
    """Every log group of the target."""
    return Logs(api).groups(start)


class Survey:
    """A survey over several targets. `now` (ms) is the moment by which ages are judged. With
    `orphans` every log group is asked about whose name speaks of an owner, not only where a rule
    hangs on that; `briefly` is for a sink that does not show what is kept (see `judge`). Raises
    UsageError where the policy names owners that are not known.
    """

    def __init__(
        self,
        policy: Policy,
        now: int,
        stop: Stop,
        sink: SurveySink,
        *,
        listing: Listing = every_group,
        orphans: bool = False,
        briefly: bool = False,
    ) -> None:
        self.policy = policy
        self.now = now
        self.stop = stop
        self.sink = sink
        self.listing = listing
        self.orphans = orphans
        self.briefly = briefly
        self.rows = chosen(policy.protect.deletion.owners)
        self.owner_cache = OwnerCache()
        self.confirmed = _Confirmed(policy.limits)
        self.sweeps = Counter[str]()
        """Streams to sweep so far, by account."""

    async def run(self, apis: Mapping[Target, Api], starts: Mapping[Target, str | None]) -> None:
        """Survey each target of `starts` from its page token on, to the end or until stopped."""
        many = len(starts) > TARGETS_AT_ONCE

        async def surveyed(target: Target, start: str | None) -> None:
            await _TargetSurvey(self, apis[target]).run(start)
            if many:
                apis[target].release_all()
                self.owner_cache.forget(target)

        await together(
            *(surveyed(target, start) for target, start in starts.items()), most=TARGETS_AT_ONCE
        )


class _Confirmed:
    """How many deletions are certain, by account. Once they are more than a run may make there, or
    anywhere, no more questions are asked about what subscribes: they take the longest, and change
    nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_group_deletions
        self._most_in_all = limits.over_all().max_group_deletions
        self._counts: Counter[str] = Counter()

    def enough(self, account: str) -> bool:
        return self._counts[account] > self._most or self._counts.total() > self._most_in_all

    def one_more(self, account: str) -> None:
        self._counts[account] += 1


class _TargetSurvey:
    """One target's part of a survey."""

    def __init__(self, survey: Survey, api: Api) -> None:
        self._survey = survey
        self._policy = survey.policy
        self._now = survey.now
        self._api = api
        self._target = api.target
        self._logs = Logs(api)
        self._arrivals = Arrivals(api)
        self._outcome = functools.partial(outcome_now, api.clock)
        self._users = Users(api, survey.rows, survey.owner_cache)
        self._questions = Questions(survey.policy, survey.now, self._arrivals, [self._users])
        self._tags = Batcher(
            api, "GetResources", ARNS_A_CALL, TAGS_LINGER, functools.partial(read_tags, api)
        )
        self._open = 0

    async def run(self, start: str | None) -> None:
        """Read, judge and prove from the page token on. What ends it early is told to the sink."""
        survey, sink, target = self._survey, self._survey.sink, self._target
        try:
            await learn_quotas(self._api, self._policy.limits.api_share)
            try:
                await self._read(start)
            except TokenExpiredError:
                log.warning("survey_starts_again", account=target.account, region=target.region)
                sink.restarted(target)
                await self._read(None)
        except StoppedError:
            if survey.stop.cause != "late":
                sink.failed(target, f"{target}: the survey was stopped")
        except ReadError as error:
            log.error(
                "survey_failed", account=target.account, region=target.region, error=str(error)
            )
            sink.failed(target, f"{target}: the log groups could not be listed: {error}")
        except JanitorError as error:
            self._give_up(error)
        for text in self._users.warnings():
            sink.warned(target, text)

    async def _read(self, start: str | None) -> None:
        """Every page from the token on. What was read before an error is finished first."""
        ended: Exception | None = None
        full = lambda: self._open > QUESTIONS_AHEAD  # noqa: E731
        async with Window(PAGES_AHEAD, self._survey.sink.page, full) as window:
            try:
                async for groups, following in self._survey.listing(self._api, start):
                    judged = self._judged(groups)
                    if self._plainly_kept(judged):
                        await window.put(self._kept(judged, following))
                    else:
                        await window.add(self._page(judged, following))
                    if self._survey.stop.draining:
                        break
            except (*ReadError, TokenExpiredError, StoppedError, JanitorError) as error:
                ended = error
        if ended is not None:
            raise ended

    def _give_up(self, error: JanitorError) -> None:
        """An error that no log group can carry by itself: nothing more can be done, of which lost
        credentials are this target's matter only.
        """
        if isinstance(error, CredentialsError):
            self._survey.sink.failed(self._target, f"{self._target}: {error}")
        else:
            self._survey.sink.failed(self._target, str(error))
            self._survey.stop.set("failed")

    # ---- a page ------------------------------------------------------------------------------

    def _judged(self, groups: list[LogGroup]) -> list[tuple[LogGroup, Action]]:
        """The groups as they are judged by what the listing says of them."""
        policy, now, briefly = self._policy, self._now, self._survey.briefly
        return [(group, judge(group, policy, now, briefly=briefly)) for group in groups]

    def _plainly_kept(self, judged: list[tuple[LogGroup, Action]]) -> bool:
        """Whether nothing is to be asked about any of them. Of what is kept it is known which rule
        holds: while that is an open question, a log group is unknown.
        """
        return not self._survey.orphans and all(isinstance(one, Keep) for _, one in judged)

    def _kept(self, judged: list[tuple[LogGroup, Action]], following: str | None) -> Page:
        """A page of groups that are kept, as nearly all are."""
        at = self._api.clock.now()
        outcomes = [Outcome(group, action, Status.KEPT, "", at) for group, action in judged]
        groups = [group for group, _ in judged]
        return Page(self._target, groups, outcomes, following, complete=True)

    async def _page(self, judged: list[tuple[LogGroup, Action]], following: str | None) -> Page:
        """Decide about every group of a page."""
        judged, whole = await self._tagged(judged)
        if self._survey.orphans or self._policy.questions:
            judged, asked_in_time = await self._answered(judged)
            whole = whole and asked_in_time
        asked: list[Awaitable[list[Outcome]]] = []
        outcomes: list[Outcome] = []
        for group, decided in judged:
            match decided:
                case Unknown() as action:
                    status = Status.UNKNOWN if whole else Status.NOT_REACHED
                    outcomes.append(self._outcome(group, action, status, "", group.evidence))
                case Keep() as action:
                    outcomes.append(self._outcome(group, action, Status.KEPT, "", group.evidence))
                case action:
                    asked.append(self._asked(group, action))
        self._open += len(asked)
        for answered in await asyncio.gather(*asked):
            outcomes += answered
        self._open -= len(asked)
        whole = whole and not any(o.status is Status.NOT_REACHED for o in outcomes)
        return Page(self._target, [group for group, _ in judged], outcomes, following, whole)

    async def _tagged(
        self, judged: list[tuple[LogGroup, Action]]
    ) -> tuple[list[tuple[LogGroup, Action]], bool]:
        """The same with tags where these matter; and whether there was time to read them."""
        policy, now = self._policy, self._now
        waiting = [
            group.arn
            for group, action in judged
            if isinstance(action, Unknown) and needs_tags(group, policy, now)
        ]
        if not waiting:
            return judged, True
        tags: Mapping[str, Mapping[str, str]] = {}
        why, in_time = "", True
        try:
            found = await asyncio.gather(*map(self._tags.about, waiting))
            tags = dict(zip(waiting, found, strict=True))
        except ReadError as error:
            why = str(error)
            self._survey.sink.warned(self._target, f"tags could not be read: {error}")
        except StoppedError:
            why, in_time = "the run stopped before they were read", False
        except JanitorError as error:
            self._give_up(error)
            why, in_time = str(error), False
        asked = set(waiting)
        for index, (group, _) in enumerate(judged):
            if group.arn in asked:
                tagged = group._replace(tags=tags.get(group.arn), tags_error=why or None)
                judged[index] = tagged, judge(tagged, policy, now)
        return judged, in_time

    async def _answered(
        self, judged: list[tuple[LogGroup, Action]]
    ) -> tuple[list[tuple[LogGroup, Action]], bool]:
        """The same with answers to the questions on which it hangs which rule holds, or to what the
        report wants to know; and whether there was time to ask.
        """

        async def answered(group: LogGroup, action: Action) -> tuple[LogGroup, Action]:
            before = group.answers
            if self._survey.orphans and self._questions.owner_named(group):
                group = await self._questions.holding(group, ORPHAN)
            group = await self._questions.answered(group)
            if group.answers is not before:
                action = judge(group, self._policy, self._now)
            return group, action

        asked = [
            index
            for index, (group, _) in enumerate(judged)
            if open_questions(group, self._policy)
            or (self._survey.orphans and self._questions.owner_named(group))
        ]
        self._open += len(asked)
        found = await asyncio.gather(
            *(answered(*judged[index]) for index in asked), return_exceptions=True
        )
        self._open -= len(asked)
        in_time = True
        for index, one in zip(asked, found, strict=True):
            match one:
                case StoppedError():
                    in_time = False
                case JanitorError():
                    self._give_up(one)
                    in_time = False
                case BaseException():
                    raise one
                case _:
                    judged[index] = one
        return judged, in_time

    async def _asked(self, group: LogGroup, action: Action) -> list[Outcome]:
        """What is decided of a group about which there is more to ask."""
        try:
            match action:
                case DeleteGroup():
                    return await self._proved(group, action)
                case _:
                    return await self._stays(group, action, group.evidence)
        except StoppedError:
            return [self._outcome(group, action, Status.NOT_REACHED, "the run stopped before this")]
        except JanitorError as error:
            self._give_up(error)
            return [self._outcome(group, action, Status.NOT_REACHED, "the run stopped before this")]

    async def _proved(self, group: LogGroup, action: DeleteGroup) -> list[Outcome]:
        """A group that is planned for deletion if every piece of evidence speaks for it."""
        seen = list(group.evidence)
        async for verdict in self._verdicts(group, action):
            seen.append(verdict.evidence)
            match verdict:
                case NotEmpty(evidence):
                    stays = because(action.otherwise, evidence.finding)
                    return await self._stays(group, stays, seen)
                case Unreadable(evidence, gone):
                    return await self._unread(group, action, evidence, seen, gone=gone)
        self._survey.confirmed.one_more(self._target.account)
        if again := recreated_by(self._users, group):
            action = replace(action, reason=f"{action.reason}; {again[0].finding}")
            seen += again
        return [self._outcome(group, action, Status.PLANNED, evidence=seen)]

    async def _verdicts(self, group: LogGroup, action: DeleteGroup) -> AsyncIterator[Verdict]:
        """One piece of evidence after the other, the slowest question last."""
        yield await streams_silent(self._logs, group, action.before)
        if self._policy.reads_events(group):
            yield await no_events(self._logs, group, action.before)
        yield await no_arrivals(self._arrivals, group, action.before)
        if self._survey.confirmed.enough(self._target.account):
            text = "no longer checked: the limit is already exceeded"
            now = self._api.clock.now()
            yield Empty(Evidence("DescribeSubscriptionFilters", text, now))
        else:
            yield await no_subscription_filters(
                self._logs, group, self._policy.protect.deletion.ignore_subscriptions_to
            )
            if self._survey.rows:
                yield await unused(self._users, group)

    async def _unread(
        self,
        group: LogGroup,
        action: DeleteGroup,
        why: Evidence,
        seen: list[Evidence],
        *,
        gone: bool,
    ) -> list[Outcome]:
        """Kept, because something could not be read; what holds for it all the same is planned."""
        if gone:
            return [self._outcome(group, action, Status.GONE, "already gone", seen)]
        reason = f"{why.source}: {why.finding}"
        unknown = Unknown(reason, action.rule)
        outcomes = [self._outcome(group, unknown, Status.UNKNOWN, evidence=seen)]
        if isinstance(action.otherwise, SetRetention):
            outcomes += await self._stays(group, action.otherwise, group.evidence)
        return outcomes

    async def _stays(
        self, group: LogGroup, action: Action, seen: Sequence[Evidence] = ()
    ) -> list[Outcome]:
        """What is planned for a group that is not deleted."""
        match action:
            case SetRetention():
                planned = self._outcome(group, action, Status.PLANNED, evidence=seen)
                then = [] if action.then is None else await self._swept(group, action.then)
                return [planned, *(o for o in then if o.status is not Status.KEPT)]
            case SweepStreams():
                return await self._swept(group, action, seen)
            case _:
                return [self._outcome(group, action, Status.KEPT, evidence=seen)]

    async def _swept(
        self, group: LogGroup, action: SweepStreams, seen: Sequence[Evidence] = ()
    ) -> list[Outcome]:
        """The streams that a sweep would delete, counted and named."""
        try:
            streams = await sweepable(
                self._logs,
                self._arrivals,
                group,
                action.before,
                self._now,
                drained=self._policy.reads_events(group),
            )
        except ReadError as error:
            unknown = Unknown(f"streams could not be read: {error}", action.rule)
            return [self._outcome(group, unknown, Status.UNKNOWN, evidence=seen)]
        if not streams:
            reason = "; ".join(filter(None, (action.kept, "no expired streams to sweep")))
            keep = Keep(reason, action.rule)
            return [self._outcome(group, keep, Status.KEPT, evidence=seen)]
        planned = self._outcome(group, action, Status.PLANNED, evidence=seen)
        names = tuple(stream.name for stream in streams) if self._may_sweep(len(streams)) else ()
        return [planned._replace(streams=len(streams), stream_names=names)]

    def _may_sweep(self, more: int) -> bool:
        """Whether so many more streams to sweep exceed no limit; beyond one none is swept."""
        sweeps, limits = self._survey.sweeps, self._policy.limits
        sweeps[self._target.account] += more
        return (
            sweeps[self._target.account] <= limits.max_stream_deletions
            and sweeps.total() <= limits.over_all().max_stream_deletions
        )
