"""Reads the log groups of every target, judges each, and proves those that are to be deleted.

Nothing here changes anything. A page of the listing is done when everything on it is decided.
Pages are handed on in order, so a survey can be cut anywhere and resume after the last one.
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
    unused,
)
from janitor.engine.questions import Questions
from janitor.engine.streams import sweepable
from janitor.engine.users import Users
from janitor.engine.window import Window
from janitor.owners.owners import OwnerCache
from janitor.owners.table import chosen
from janitor.policy.file import Limits, Policy
from janitor.policy.judge import because, judge, needs_tags, open_questions

PAGES_AHEAD = 40
"""Pages that are read while an earlier one still has open questions."""

QUESTIONS_AHEAD = 200
"""Log groups with open questions beyond which no more pages are read. Even at the slowest quota
they are answered within a minute, so a survey that has to end can finish what it began.
"""

TARGETS_AT_ONCE = 40
"""Enough for every Region of an account. The calls of many more would wait so long for a thread
(`janitor.aws.workers`) that they would look unanswered.
"""

TAGS_LINGER = 12.0
"""How long groups whose tags matter are collected over several pages, in call intervals of the
quota."""

log = structlog.get_logger("janitor")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of log groups as they were judged, with their outcomes.

    `following` is the token of the next page, None after the last. If its work was cut short, the
    page is not `complete`, and its outcomes say what was not reached.
    """

    target: Target
    groups: Sequence[LogGroup]
    outcomes: Sequence[Outcome]
    following: str | None
    complete: bool


class SurveySink(Protocol):
    """Receives the pages of a survey: in order for each target, one call at a time."""

    def page(self, page: Page) -> None:
        """Take one more page."""

    def restarted(self, target: Target) -> None:
        """Discard the target's pages: its page token has expired, and they come again."""

    def warned(self, target: Target, text: str) -> None:
        """Take a warning for people."""

    def failed(self, target: Target, error: str) -> None:
        """Take the error because of which the target's survey did not finish."""


Listing = Callable[[Api, str | None], AsyncIterator[tuple[list[LogGroup], str | None]]]
"""Lists pages of log groups from a page token on, each with the token of the next."""


def every_group(api: Api, start: str | None) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
    """List every log group of the target."""
    return Logs(api).groups(start)


class Survey:
    """A survey over several targets. `now` (ms) is the moment by which ages are judged.

    With `orphans`, the owner of every log group whose name refers to one is looked for, not only if
    a rule depends on it. `briefly` is for a sink that does not show kept groups (see `judge`).
    Raises UsageError if the policy names unknown owners.
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
    """How many deletions are certain, by account. Once they exceed the limit of the account or of
    the run, nothing more is asked about subscriptions and owners: that takes longest, and would no
    longer change anything.
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
        """Read, judge and prove from the page token on. The sink gets whatever ends it early."""
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
        """Read every page from the token on. Pages read before an error are finished first."""
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
        """End the survey because of an error that concerns more than one log group; if only the
        credentials are lost, end it for this target.
        """
        if isinstance(error, CredentialsError):
            self._survey.sink.failed(self._target, f"{self._target}: {error}")
        else:
            self._survey.sink.failed(self._target, str(error))
            self._survey.stop.set("failed")

    # ---- a page ------------------------------------------------------------------------------

    def _judged(self, groups: list[LogGroup]) -> list[tuple[LogGroup, Action]]:
        """The groups, each with its verdict by what the listing shows."""
        policy, now, briefly = self._policy, self._now, self._survey.briefly
        return [(group, judge(group, policy, now, briefly=briefly)) for group in groups]

    def _plainly_kept(self, judged: list[tuple[LogGroup, Action]]) -> bool:
        """Whether nothing has to be asked about any of them. The rule of a kept group is settled:
        while that is an open question, a group is unknown.
        """
        return not self._survey.orphans and all(isinstance(one, Keep) for _, one in judged)

    def _kept(self, judged: list[tuple[LogGroup, Action]], following: str | None) -> Page:
        """A page on which every group is kept, as on nearly all pages."""
        at = self._api.clock.now()
        outcomes = [Outcome(group, action, Status.KEPT, "", at) for group, action in judged]
        groups = [group for group, _ in judged]
        return Page(self._target, groups, outcomes, following, complete=True)

    async def _page(self, judged: list[tuple[LogGroup, Action]], following: str | None) -> Page:
        """Decide about every group of a page."""
        judged, complete = await self._tagged(judged)
        if self._survey.orphans or self._policy.questions:
            judged, answered = await self._answered(judged)
            complete = complete and answered
        undecided: list[Awaitable[list[Outcome]]] = []
        outcomes: list[Outcome] = []
        for group, action in judged:
            match action:
                case Unknown():
                    status = Status.UNKNOWN if complete else Status.NOT_REACHED
                    outcomes.append(self._outcome(group, action, status, "", group.evidence))
                case Keep():
                    outcomes.append(self._outcome(group, action, Status.KEPT, "", group.evidence))
                case _:
                    undecided.append(self._decide(group, action))
        self._open += len(undecided)
        for more in await asyncio.gather(*undecided):
            outcomes += more
        self._open -= len(undecided)
        complete = complete and not any(o.status is Status.NOT_REACHED for o in outcomes)
        return Page(self._target, [group for group, _ in judged], outcomes, following, complete)

    async def _tagged(
        self, judged: list[tuple[LogGroup, Action]]
    ) -> tuple[list[tuple[LogGroup, Action]], bool]:
        """The groups with tags where these matter, and whether there was time to read them."""
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
        """The groups with answers to the questions on which their rule depends, or which the report
        asks; and whether there was time to ask.
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

    async def _decide(self, group: LogGroup, action: Action) -> list[Outcome]:
        """The outcomes for a group that is not simply kept."""
        try:
            if isinstance(action, DeleteGroup):
                return await self._proved(group, action)
            return await self._stays(group, action, group.evidence)
        except (StoppedError, JanitorError) as error:
            if isinstance(error, JanitorError):
                self._give_up(error)
            return [self._outcome(group, action, Status.NOT_REACHED, "the run stopped before this")]

    async def _proved(self, group: LogGroup, action: DeleteGroup) -> list[Outcome]:
        """The outcomes for a group whose deletion is planned if all evidence speaks for it."""
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
        """Yield one piece of evidence after the other, those that take longest last."""
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
        """The outcomes for a group that is kept because something could not be read. A retention
        that is due is planned all the same.
        """
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
        """The outcomes for a group that is not deleted."""
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
        """The outcome for a sweep: its streams counted and, within the limits, named."""
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
        """Count so many more streams to sweep; return whether that exceeds no limit. Over a limit
        none is swept.
        """
        sweeps, limits = self._survey.sweeps, self._policy.limits
        sweeps[self._target.account] += more
        return (
            sweeps[self._target.account] <= limits.max_stream_deletions
            and sweeps.total() <= limits.over_all().max_stream_deletions
        )
