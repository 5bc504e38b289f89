"""Gives new log groups the policy's retention, if none is in force, and tags of their owners.

Surveys and acts as a run does, with only that part of the policy that gives a retention
(`Policy.only_retention`), so nothing else can happen.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from janitor.aws.api import Api, CallError, ReadError, UnavailableError
from janitor.aws.logs import Logs
from janitor.aws.tags import read_tags
from janitor.core.clock import DAY_MS, StoppedError
from janitor.core.errors import JanitorError
from janitor.core.model import Keep, LogGroup, Outcome, SetRetention, Status, outcome_now
from janitor.engine.act import Act, Part, add_tags, as_async
from janitor.engine.admission import Admission
from janitor.engine.books import Books
from janitor.engine.plan import action_line, grouped
from janitor.engine.survey import Survey
from janitor.journal.journal import Journal
from janitor.owners.table import table
from janitor.policy.file import Policy
from janitor.policy.judge import needs_tags

SHARE = 0.05
"""The share of each quota. Two invocations run at a time (`deploy/new_groups.py`), so together they
take a tenth: the scheduled run and everybody else use the same quotas."""

NEW_DAYS = 14
"""Days after which a log group is left to the scheduled run, whoever says that it is new. The
queue of failed messages keeps them that long, to be sent again."""


@dataclass(frozen=True, slots=True)
class NewGroupsResult:
    """What became of log groups, by name: outcomes of those that exist, failures, and the tags that
    were copied.
    """

    outcomes: Mapping[str, Outcome]
    failures: Mapping[str, str]
    tags: Mapping[str, Collection[str]]


async def give_retention(
    api: Api, names: Sequence[str], policy: Policy, journal: Journal
) -> NewGroupsResult:
    """Apply the policy to new log groups of the target. Repeating a name later changes nothing."""
    policy, now = policy.only_retention(SHARE), api.clock.now()
    outcomes: dict[str, Outcome] = {}

    def record(_groups: Sequence[LogGroup], more: Sequence[Outcome]) -> None:
        outcomes.update((outcome.group.name, outcome) for outcome in more)

    apis = {api.target: api}
    books = Books(apis, record, lambda group: policy.acknowledged_until(group, now))
    old: dict[str, Outcome] = {}
    listing = functools.partial(_listing, names, policy, now, old)
    survey = Survey(policy, now, api.stop, books, listing=listing)
    await survey.run(apis, {api.target: None})
    outcomes = {name: _if_younger(outcome, now) for name, outcome in outcomes.items()}
    lines = [line for one in outcomes.values() if (line := action_line(one)) is not None]
    act = Act(
        policy, now, api.stop, journal, books, Admission(api.clock), owner_cache=survey.owner_cache
    )
    await act.run(apis, {api.target: Part(as_async(grouped(lines)))})
    errors = "; ".join(books.tallies[api.target].errors)
    failures: dict[str, str] = {}
    tags: dict[str, Collection[str]] = {}
    for name in names:
        one = outcomes.get(name)
        if why := errors if one is None and name not in old else _why(one, errors):
            failures[name] = why
        # A group without a rule is exempt from every change.
        elif one is not None and one.action.rule and one.status is not Status.GONE:
            try:
                tags[name] = await _copy_tags(api, policy, one.group, journal)
            except _NotCopiedError as error:
                failures[name] = str(error)
    return NewGroupsResult({**old, **outcomes}, failures, tags)


async def _listing(
    names: Sequence[str],
    policy: Policy,
    now: int,
    old: dict[str, Outcome],
    api: Api,
    _start: str | None,
) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
    """Yield the log groups of these names that are new, with their own tags if those matter: the
    tagging API lags, and may not know a new group. Those that are `old` go there.
    """
    logs, new = Logs(api), list[LogGroup]()
    for group in (await logs.named(names)).values():
        if now - group.creation_time > NEW_DAYS * DAY_MS:
            keep = Keep(f"created more than {NEW_DAYS} days ago: left to the scheduled run")
            old[group.name] = outcome_now(api.clock, group, keep, Status.KEPT)
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
    """The outcome, with a retention only if the group is younger than that: so nothing is deleted
    that was written since its creation. The reason to keep a group omits its deletion, which is not
    in question.
    """
    match outcome:
        case Outcome(status=Status.KEPT, action=Keep(reason=reason, rule=rule)):
            omitted = f"rule {rule!r} does not delete empty groups; "
            return outcome._replace(action=Keep(reason.removeprefix(omitted), rule))
        case Outcome(status=Status.PLANNED, action=SetRetention(days=days), group=group):
            if now - group.creation_time >= days * DAY_MS:
                why = f"created {days} days ago or more: left to the scheduled run"
                return outcome._replace(status=Status.KEPT, detail=why)
    return outcome


def _why(outcome: Outcome | None, errors: str) -> str:
    """Why a log group failed; "" if it did not."""
    match outcome:
        case None | Outcome(status=Status.DONE | Status.KEPT | Status.GONE):
            return ""
        case Outcome(status=Status.UNKNOWN, acknowledged=True):
            return ""
        case Outcome(status=Status.PLANNED):
            return errors or "the run stopped before this"
        case _:
            return f"{outcome.reason}; {errors}" if errors else outcome.reason


class _NotCopiedError(Exception):
    """Why the tags could not be copied."""


async def _copy_tags(
    api: Api, policy: Policy, group: LogGroup, journal: Journal
) -> Collection[str]:
    """Copy the tags that the policy names from the owner that the group's name refers to; return
    their keys. Raises _NotCopiedError.
    """
    keys = policy.new_groups.tags
    arns = (row.arn_named(group.name, group.arn) for row in table()) if keys else ()
    if not (arn := next(filter(None, arns), "")):
        return ()
    try:
        found = (await read_tags(api, [arn]))[arn]
        wanted = {key: found[key] for key in keys if key in found}
        return await add_tags(api, journal, group, wanted, f"copied from {arn}")
    except CallError as error:
        if error.not_found:
            return ()
        raise _NotCopiedError(f"tags of {arn}: {error}") from error
    except (UnavailableError, JanitorError) as error:
        raise _NotCopiedError(f"tags of {arn}: {error}") from error
    except StoppedError as error:
        raise _NotCopiedError(f"tags of {arn}: the run stopped before they were copied") from error
