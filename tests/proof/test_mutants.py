"""Mutation tests of the proof: a property must notice an engine that is broken in one place, or to
which the fake account lies.

Each push tries a third of the mutants, by the seed that pytest prints first; `make proof` tries
all. A last look that does not compare creation times is not among them: a group recreated during a
run is too young to be deleted, so it makes no difference.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.strategies import SearchStrategy, booleans, just, lists, tuples

from janitor.aws import logs, metrics
from janitor.aws.tags import read_tags
from janitor.core.model import Answer, DeleteGroup, Evidence, LogStream, SweepStreams, Verb
from janitor.core.tally import Tally
from janitor.engine import act, admission, arrivals, books, limits, proof, streams, survey
from janitor.engine.act import _Deletion, _TargetAct
from janitor.engine.proof import Empty
from janitor.engine.questions import Questions
from janitor.engine.survey import _TargetSurvey
from janitor.function import events, fleet, handler, link
from janitor.function.link import Link
from janitor.function.state import Claim, RunState, RunStore
from janitor.journal.journal import FileJournal
from janitor.policy import judge
from janitor.sandbox import store
from janitor.sandbox.answers import ANSWERS
from janitor.sandbox.answers import metrics as points
from tests.conftest import shared
from tests.proof import test_proof, worlds
from tests.proof.fleet import RUN

Break = Callable[[pytest.MonkeyPatch], None]
Narrowed = dict[str, SearchStrategy[Any]]
"""What is drawn instead of the property's own, by argument."""
MUTANTS: list[tuple[Break, str, Narrowed]] = []


def caught_by(name: str, narrowed: Narrowed | None = None) -> Callable[[Break], Break]:
    """Register a mutant that this property must catch; `narrowed`, if it matters in few worlds."""

    def register(mutant: Break) -> Break:
        MUTANTS.append((mutant, name, narrowed or {}))
        return mutant

    return register


def replaced(
    name: str,
    where: Any,
    attribute: str,
    value: Any,
    narrowed: Narrowed | None = None,
    by: str = "undisturbed",
) -> None:
    """Register a mutant in which an attribute, of one or several objects, has another value."""

    def mutant(patch: pytest.MonkeyPatch) -> None:
        for one in where if isinstance(where, tuple) else (where,):
            patch.setattr(one, attribute, value)

    mutant.__name__ = name
    caught_by(by, narrowed)(mutant)


def answering(value: Any) -> Any:
    """Return an async function that always returns the value."""

    async def answer(*_args: Any) -> Any:
        return value

    return answer


def every(**settings: Any) -> Narrowed:
    """Every log group has these settings."""
    return {"account": worlds.accounts_with(settings)}


NOBODY = Evidence("nobody", "not asked", 0)
EMPTY = answering(Empty(NOBODY))
DELETABLE = {"account": worlds.deletable}
OWNED = {"account": worlds.deletable.map(worlds.with_owners)}
CONTAINERS = {"account": worlds.accounts.map(worlds.with_open_containers)}
LAGGING = {"account": worlds.accounts_with({}, lags=worlds.LAGS)}
LIMITED = {"policy": worlds.policy_files().filter(worlds.is_limited)}
LIMITS = DELETABLE | LIMITED
LOWERED = {"policy": worlds.policy_files().map(worlds.lowered)}
TAGGED = {"tags": {"janitor:keep": ""}}
UNTROUBLED = {"trouble": just(worlds.Trouble()), "deaths": just([])}
SHORT_LINKS = UNTROUBLED | {
    "account": worlds.accounts_with({}, page=1).map(worlds.in_one_account),
    "seconds": just(2.0),
}
REPEATED = UNTROUBLED | {"repeated": just(frozenset(range(7))), "seconds": just(900.0)}
SWEEPABLE = LOWERED | {
    "account": worlds.accounts.map(worlds.with_sweepable_streams).map(worlds.in_one_account)
}
UNCLEAR = SWEEPABLE | {
    "account": worlds.accounts.map(worlds.with_sweepable_streams).map(worlds.with_unclear_metrics),
    "trouble": worlds.interfering("blur"),
}
KILLED = UNTROUBLED | {
    "deaths": lists(tuples(test_proof.steps, booleans()), min_size=1, max_size=2)
}


def limited(in_each: int, in_all: int) -> Narrowed:
    """At most so many log groups may be deleted in each account, and in all together."""
    limits = {"max_group_deletions": in_each, "max_group_deletion_share": 1.0}
    nothing: dict[str, Any] = {"names": [], "tags": []}
    scope = {"retention_days": 30, "delete_empty": True, "sweep_streams": False}
    content = {
        "defaults": scope | {"grace_days": 7, "proof": "arrivals"},
        "protect": nothing | {"deletion": nothing | {"owners": False}},
        "limits": limits | {"fleet": {"max_group_deletions": in_all}},
    }
    return UNTROUBLED | DELETABLE | {"policy": just(worlds.PolicyFile(content))}


QUIET_RULE, ORPHAN_RULE = (
    {"policy": worlds.policy_files().map(partial(worlds.with_condition, condition={key: 60}))}
    for key in ("quiet_days", "orphan_days")
)
OWNED_ORPHANS = ORPHAN_RULE | {"account": worlds.accounts.map(worlds.with_owners)}
SLUGGISH = {"trouble": worlds.sluggish}
CRAWLING = DELETABLE | {"trouble": worlds.crawling}


def tagged_late(accounts: SearchStrategy[worlds.Account]) -> Narrowed:
    """Every log group has a tag that may protect it, which the tagging API does not yet show for
    half of them; nothing else is wrong.
    """

    def tagged(one: worlds.Account) -> worlds.Account:
        groups = [replace(spec, settings=spec.settings | TAGGED) for spec in one.groups]
        return worlds.retagged(replace(one, groups=groups), {})

    return {"account": accounts.map(tagged), "trouble": just(worlds.Trouble()), "days": just(0.0)}


# ---- the evidence --------------------------------------------------------------------------------

BOTH = (survey, act)
replaced("subscriptions_ignored", BOTH, "no_subscription_filters", EMPTY)
replaced("owners_ignored", BOTH, "unused", EMPTY, OWNED)
replaced("arrivals_ignored", BOTH, "no_arrivals", EMPTY)
replaced("events_not_read", BOTH, "no_events", EMPTY)
replaced("streams_not_read_again", act, "few_streams_silent", EMPTY)
replaced("arrivals_not_asked_again", act, "no_arrivals", EMPTY, by="plan_and_apply")
# Stream times are believed although they lag.
replaced("swept_without_trust", streams, "_writer_ended", lambda *_: True)
replaced("containers_swept", streams, "_CONTAINER_STREAM", re.compile("(?!)"), CONTAINERS)


@caught_by("troubled", DELETABLE | {"trouble": worlds.unreadable})
def errors_are_empty(patch: pytest.MonkeyPatch) -> None:
    """What cannot be read counts as empty."""

    def unreadable(source: str, error: Exception, now: int) -> Any:
        return Empty(Evidence(source, str(error), now))

    patch.setattr(proof, "_unreadable", unreadable)


@caught_by("undisturbed", {"account": worlds.deletable.map(worlds.with_unclear_metrics)})
def unclear_is_nothing(patch: pytest.MonkeyPatch) -> None:
    """An incomplete metric answer counts as one without data points."""
    real = metrics.arrivals

    async def asked(api: Any, since: Any) -> Any:
        return dict.fromkeys(since, False) | await real(api, since)

    patch.setattr(arrivals, "arrivals", asked)


@caught_by("undisturbed")
def one_page_is_all(patch: pytest.MonkeyPatch) -> None:
    real = logs.Logs.streams

    async def streams(self: Any, group: str) -> AsyncIterator[Any]:
        async for page in real(self, group):
            yield page
            return

    patch.setattr(logs.Logs, "streams", streams)


@caught_by("undisturbed")
def empty_page_is_the_end(patch: pytest.MonkeyPatch) -> None:
    real = logs.pages

    async def pages(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async for page, following in real(*args, **more):
            yield page, following if page else None
            if not page:
                return

    patch.setattr(logs, "pages", pages)


@caught_by("undisturbed", DELETABLE)
def ingestion_overlooked(patch: pytest.MonkeyPatch) -> None:
    """A stream's age ignores when its newest event arrived."""

    def newest(self: LogStream) -> int:
        return max(self.creation_time, self.last_event or 0)

    patch.setattr(LogStream, "newest", newest)


@caught_by("undisturbed", every(odd={"storedBytes": -1}))
def odd_values_ignored(patch: pytest.MonkeyPatch) -> None:
    real = logs.parse_group
    patch.setattr(logs, "parse_group", lambda *args: real(*args)._replace(defects=()))


# ---- the verdict ---------------------------------------------------------------------------------

# Groups that are protected only from deletion are deleted, or get no retention either.
replaced("protections_ignored", judge, "PROTECTIONS", ())
replaced("protections_exempt", judge, "EXEMPTIONS", (*judge.EXEMPTIONS, *judge.PROTECTIONS))


@caught_by("undisturbed")
def grace_forgotten(patch: pytest.MonkeyPatch) -> None:
    real = judge.cutoff

    def cutoff(group: Any, settings: Any, now: int) -> Any:
        return real(group, replace(settings, grace_days=0), now)

    patch.setattr(judge, "cutoff", cutoff)


@caught_by("undisturbed")
def wanted_retention_counts(patch: pytest.MonkeyPatch) -> None:
    """The cutoff follows the policy's retention although a longer one is in force."""
    real = judge.cutoff

    def cutoff(group: Any, settings: Any, now: int) -> Any:
        days = judge.wanted_days(group, settings)
        return real(group if days is None else group._replace(retention_days=days), settings, now)

    patch.setattr(judge, "cutoff", cutoff)


@caught_by("undisturbed")
def account_policy_ignored(patch: pytest.MonkeyPatch) -> None:
    """Retention is put on groups under an account-level policy."""
    real = judge.wanted_days

    def wanted(group: Any, settings: Any) -> Any:
        return real(group._replace(retention_policy=None), settings)

    patch.setattr(judge, "wanted_days", wanted)


@caught_by("undisturbed", every(protected=True))
def swept_though_protected(patch: pytest.MonkeyPatch) -> None:
    real = judge._sweep
    patch.setattr(
        judge,
        "_sweep",
        lambda group, *more: real(group._replace(deletion_protected=False), *more),
    )


# ---- the limits ----------------------------------------------------------------------------------


def loosened(**more: int) -> Any:
    """Return `exceeded` with limits that are looser by so much."""
    real = limits.exceeded

    def exceeded(given: Any, **counts: Any) -> str:
        update = {name: getattr(given, name) + one for name, one in more.items()}
        return real(given.model_copy(update=update), **counts)

    return exceeded


replaced("one_group_too_many", limits, "exceeded", loosened(max_group_deletions=1), LIMITS)
replaced("one_stream_too_many", limits, "exceeded", loosened(max_stream_deletions=1), LIMITED)
replaced("share_ignored", limits, "exceeded", loosened(max_group_deletion_share=1), LIMITS)


@caught_by(
    "troubled",
    {
        "account": worlds.deletable.map(lambda account: replace(account, page=1)),
        "trouble": worlds.at_the_listing,
    },
)
def unfinished_survey_acted_on(patch: pytest.MonkeyPatch) -> None:
    """Groups are deleted in a target whose survey is not complete."""

    def refusals(self: books.Books, given: Any) -> Any:
        return dict.fromkeys(self.tallies, self.over_limit(given))

    patch.setattr(books.Books, "refusals", refusals)


# ---- the conditions of rules ---------------------------------------------------------------------

QUIET = answering(Answer(True, NOBODY))
GONE = answering(Answer(True, NOBODY, "somebody"))
replaced("silence_taken_for_granted", Questions, "_quiet", QUIET, QUIET_RULE)
replaced("owners_taken_for_gone", Questions, "_owner_gone", GONE, OWNED_ORPHANS)


@caught_by(
    "undisturbed", QUIET_RULE | {"account": worlds.accounts.map(worlds.with_unclear_metrics)}
)
def unread_answers_are_no(patch: pytest.MonkeyPatch) -> None:
    """A rule whose condition is unknown is skipped."""
    real = Questions._ask

    async def ask(self: Questions, group: Any, question: Any) -> Answer:
        found = await real(self, group, question)
        return replace(found, holds=bool(found.holds))

    patch.setattr(Questions, "_ask", ask)


@caught_by("plan_and_apply", QUIET_RULE)
def answers_of_the_survey_believed(patch: pytest.MonkeyPatch) -> None:
    """Conditions are not asked again before a retention is put."""
    real, known = Questions._ask, dict[int, tuple[Any, dict[Any, Answer]]]()

    async def ask(self: Questions, group: Any, question: Any) -> Answer:
        _, found = known.setdefault(id(self._policy), (self._policy, {}))
        key = (group.identity, question)
        if key not in found:
            found[key] = await real(self, group, question)
        return found[key]

    patch.setattr(Questions, "_ask", ask)


# ---- acting --------------------------------------------------------------------------------------

replaced("stale_look_accepted", act, "MAX_LOOK_AGE", math.inf, SLUGGISH, "troubled")
# Functions are listed when the first attempt begins, however long the attempts take.
replaced("owners_of_minutes_ago", act, "MAX_OWNERS_AGE", math.inf, CRAWLING, "troubled")


@caught_by("undisturbed")
def no_last_look(patch: pytest.MonkeyPatch) -> None:
    """A group is deleted by evidence of some time ago."""

    async def look(self: _Deletion, _seen: Any) -> Any:
        return self._group, (), self._act._clock.monotonic()

    patch.setattr(_Deletion, "_look", look)


@caught_by(
    "undisturbed",
    {"account": worlds.deletable.map(worlds.scattered).map(worlds.on_small_cpu)},
)
def all_looked_at_at_once(patch: pytest.MonkeyPatch) -> None:
    """On a small CPU each look is more than a second old by the deletion, and accepted."""
    patch.setattr(act, "MAX_LOOK_AGE", math.inf)
    patch.setattr(admission, "FIRST", 1000)


@caught_by("plan_and_apply", tagged_late(worlds.deletable))
def tags_of_the_index_believed(patch: pytest.MonkeyPatch) -> None:
    """The last look takes the tags from the tagging API, which lags."""
    real = logs.Logs.tags

    async def tags(self: logs.Logs, arn: str) -> Any:
        await real(self, arn)
        return (await read_tags(self.api, [arn]))[arn]

    patch.setattr(logs.Logs, "tags", tags)


@caught_by("plan_and_apply", tagged_late(worlds.accounts))
def tags_of_the_index_put_by(patch: pytest.MonkeyPatch) -> None:
    """The same, but only before a retention is put or streams are swept."""
    real = act._CurrentGroups.of

    async def of(self: act._CurrentGroups, name: str, _verb: Verb) -> Any:
        await real(self, name, Verb.SET_RETENTION)
        return await real(self, name, Verb.DELETE_GROUP)

    patch.setattr(act._CurrentGroups, "of", of)


@caught_by("plan_and_apply")
def owners_not_listed_again(patch: pytest.MonkeyPatch) -> None:
    async def unused(*_args: Any) -> AsyncIterator[Any]:
        yield Empty(NOBODY)

    patch.setattr(_TargetAct, "_unused", unused)


def _overlooked(patch: pytest.MonkeyPatch, **shown: Any) -> None:
    """Let the last look at the group itself show these values."""
    real = logs.Logs.group

    async def group(self: logs.Logs, name: str) -> Any:
        found = await real(self, name)
        return None if found is None else found._replace(**shown)

    patch.setattr(logs.Logs, "group", group)


@caught_by("troubled", {"trouble": worlds.interfering("protect")})
def protection_overlooked(patch: pytest.MonkeyPatch) -> None:
    _overlooked(patch, deletion_protected=False)


@caught_by("troubled", {"trouble": worlds.interfering("filter")})
def metric_filters_overlooked(patch: pytest.MonkeyPatch) -> None:
    _overlooked(patch, metric_filters=0)


@caught_by("troubled", {"trouble": worlds.interfering("retain")})
def other_cutoff_accepted(patch: pytest.MonkeyPatch) -> None:
    """The last look does not notice that another retention moved the cutoff."""
    real, first = judge.judge, dict[Any, int]()

    def judged(group: Any, *more: Any) -> Any:
        action = real(group, *more)
        if isinstance(action, DeleteGroup):
            action = replace(action, before=first.setdefault(group.identity, action.before))
        return action

    patch.setattr(act, "judge", judged)


@caught_by("troubled", {"trouble": worlds.interfering("retain")})
def swept_under_other_retention(patch: pytest.MonkeyPatch) -> None:
    """Streams are swept by the plan's cutoff although the retention has changed since."""
    real = _TargetAct._as_planned

    def as_planned(self: Any, group: Any, planned: Any, line: Any, verb: Verb) -> Any:
        if verb is Verb.SWEEP_STREAMS:
            return SweepStreams(line.facts.reason, line.facts.rule, line.cutoff)
        return real(self, group, planned, line, verb)

    patch.setattr(_TargetAct, "_as_planned", as_planned)


@caught_by("troubled", LOWERED | {"trouble": worlds.interfering("retain")})
def cutoff_of_now_accepted(patch: pytest.MonkeyPatch) -> None:
    """The cutoff of now replaces the plan's, even a later one."""
    real = _TargetAct._as_planned

    def as_planned(self: Any, group: Any, planned: Any, line: Any, verb: Verb) -> Any:
        found = act._part_of(judge.judge(group, self._policy, self._now), verb)
        if isinstance(found, DeleteGroup | SweepStreams):
            line = line.model_copy(update={"cutoff": found.before})
        return real(self, group, planned, line, verb)

    patch.setattr(_TargetAct, "_as_planned", as_planned)


@caught_by("undisturbed", {"account": worlds.accounts_with({}, refuses_tokens=True)})
def a_region_ends_the_run(patch: pytest.MonkeyPatch) -> None:
    """A Region that refuses the security token keeps the others from being worked on."""
    real = _TargetSurvey.run

    async def run(self: Any, start: str | None) -> None:
        await real(self, start)
        if self._target in self._survey.sink.unfinished:
            self._survey.stop.set("failed")

    patch.setattr(_TargetSurvey, "run", run)


@caught_by("plan_and_apply")
def plan_exceeded(patch: pytest.MonkeyPatch) -> None:
    """What is right now is done, planned or not."""

    def as_planned(self: Any, group: Any, *_planned: Any) -> Any:
        return judge.judge(group, self._policy, self._now)

    patch.setattr(_TargetAct, "_as_planned", as_planned)


@caught_by("plan_and_apply", UNCLEAR)
@caught_by("chained", KILLED | SWEEPABLE)
def other_streams_swept(patch: pytest.MonkeyPatch) -> None:
    """As many streams as planned are swept, but not the same."""
    real = streams.sweepable

    async def sweepable(*args: Any, among: frozenset[str], **more: Any) -> Any:
        return (await real(*args, **more))[: len(among)]

    patch.setattr(act, "sweepable", sweepable)


@caught_by("plan_and_apply")
def planned_by_name(patch: pytest.MonkeyPatch) -> None:
    """A recreated group counts as the planned one of the same name."""
    real = _TargetAct._line

    async def line(self: Any, planned: Any, todo: Any, looked: Any) -> Any:
        if (fresh := await looked.of(planned.group, todo.verb)) is not None:
            planned = replace(planned, creation_time=fresh.creation_time)
        return await real(self, planned, todo, looked)

    patch.setattr(_TargetAct, "_line", line)


@caught_by("troubled", {"trouble": worlds.at_the_deletion})
def repeated_blindly(patch: pytest.MonkeyPatch) -> None:
    """A deletion whose answer was lost is retried without another look."""

    async def delete(self: logs.Changes, group: str, _by: float) -> None:
        await self._api.call("logs", "DeleteLogGroup", logGroupName=group)

    patch.setattr(logs.Changes, "delete_group_once", delete)


@caught_by("undisturbed")
def journal_twice(patch: pytest.MonkeyPatch) -> None:
    real = FileJournal.begin

    async def begin(self: FileJournal, *entries: Any) -> None:
        await real(self, *entries)
        await real(self, *entries)

    patch.setattr(FileJournal, "begin", begin)


@caught_by("killed", DELETABLE)
def journal_not_ahead(patch: pytest.MonkeyPatch) -> None:
    """The journal has only what is over."""
    begin, end = FileJournal.begin, FileJournal.end

    async def nothing(self: FileJournal, *_entries: Any) -> None:
        pass

    async def both(self: FileJournal, *ended: Any) -> None:
        await begin(self, *(one.entry for one in ended))
        await end(self, *ended)

    patch.setattr(FileJournal, "begin", nothing)
    patch.setattr(FileJournal, "end", both)


# ---- the function --------------------------------------------------------------------------------

# The next link skips what this one did not get to.
replaced("cut_page_is_done", Link, "_is_cut", lambda *_: False, SHORT_LINKS, "chained")


@caught_by("chained", SHORT_LINKS)
def cut_work_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A log group whose sweep was cut short counts for nothing."""
    real = Link.done

    def done(self: Link, done: Any) -> None:
        outcomes = done.outcomes if done.complete or self._stop.cause != "late" else ()
        real(self, replace(done, outcomes=outcomes))

    patch.setattr(Link, "done", done)


@caught_by("chained", SHORT_LINKS | LIMITED)
def counters_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The next link counts from zero."""
    real = Link.__init__

    def init(self: Link, *args: Any, **named: Any) -> None:
        real(self, *args, **named)
        self.tallies = {target: Tally() for target in self.tallies}

    patch.setattr(Link, "__init__", init)


@caught_by("chained", SHORT_LINKS)
def position_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The next link surveys from the first page again."""

    class Forgetful(survey.Survey):
        async def run(self, apis: Any, starts: Any) -> None:
            await super().run(apis, dict.fromkeys(starts))

    patch.setattr(link, "Survey", Forgetful)


@caught_by("chained", SHORT_LINKS | {"account": worlds.listed_twice})
def twice_listed_counted_twice(patch: pytest.MonkeyPatch) -> None:
    """The next link does not know the last page's entries."""
    patch.setattr(Link, "_listing", lambda _self, api, start: logs.Logs(api).groups(start))


@caught_by("chained", SHORT_LINKS)
def rest_not_surveyed(patch: pytest.MonkeyPatch) -> None:
    """The next link believes that the survey is complete."""
    real = Link.page

    def page(self: Link, page: Any) -> None:
        real(self, page)
        self.state.regions[page.target.region].surveyed = True

    patch.setattr(Link, "page", page)


@caught_by("chained", UNTROUBLED | {"others": just([(0, test_proof.DRY_RUN)])})
def dry_run_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(handler, "RunState", lambda **fields: RunState(**fields | {"dry_run": False}))


@caught_by("chained", UNTROUBLED | {"others": test_proof.from_the_future})
def time_of_the_event_believed(patch: pytest.MonkeyPatch) -> None:
    """An invented event can make everything older."""
    real = events._scheduled
    patch.setattr(events, "_scheduled", lambda event, _now: real(event, 10**14))


@caught_by("chained", REPEATED)
def repeated_link_acted_on(patch: pytest.MonkeyPatch) -> None:
    """Two invocations work on the same link."""

    async def claim(self: Any, bucket: Any, request: Any, policy: Any, *more: Any) -> Any:
        state = await bucket.load(request.run)
        return state or await self._start(request, policy, *more[:2])

    async def save(self: RunStore, state: Any) -> None:
        body = state.model_dump_json(exclude_defaults=True).encode()
        key = f"runs/{state.run}/state.json"
        self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType="")

    patch.setattr(handler.Janitor, "_claim", claim)
    patch.setattr(RunStore, "save", save)


@caught_by("chained", {"trouble": worlds.failing_bucket})
def lost_answer_is_another(patch: pytest.MonkeyPatch) -> None:
    """A state that was written, but whose answer was lost, counts as somebody else's."""
    real = RunStore._read

    async def read(self: Any, key: str) -> Any:
        answer, text = await real(self, key)
        return answer, text if self.etag is None else b"another's"

    patch.setattr(RunStore, "_read", read)


# ---- many accounts -------------------------------------------------------------------------------


def verdict(**ignored: Any) -> Any:
    """Return `verdict` with these parts of the result replaced."""
    return lambda *counted: replace(limits.verdict(*counted), **ignored)


replaced("accounts_unlimited", fleet, "verdict", verdict(accounts={}), limited(1, 9), "fleet")
replaced("all_together_unlimited", fleet, "verdict", verdict(anywhere=""), limited(9, 1), "fleet")
# The pass "act" runs on demand, whatever the limits said.
replaced("acted_without_limits", fleet.LimitsCheck, "refusal", lambda *_: "", LIMITS, "fleet")


@caught_by(
    "fleet",
    LIMITS
    | UNTROUBLED
    | {
        "others": just([(number, {"run": RUN, "pass": "limits"}) for number in (1, 2)]),
        "seconds": just(2.0),
    },
)
def late_survey_counted(patch: pytest.MonkeyPatch) -> None:
    """A target that was surveyed after the limits were checked is acted on."""
    real = fleet.Fleet._check_limits

    async def check(self: Any, *more: Any) -> fleet.LimitsCheck:
        return (await real(self, *more)).model_copy(update={"unfinished": []})

    patch.setattr(fleet.Fleet, "_check_limits", check)


@caught_by("fleet", DELETABLE | {"dry_run": just(True)})
def dry_run_of_a_fleet_acts(patch: pytest.MonkeyPatch) -> None:
    real = fleet.Fleet._check_limits

    async def check(self: Any, *more: Any) -> fleet.LimitsCheck:
        return (await real(self, *more)).model_copy(update={"act": True})

    patch.setattr(fleet.Fleet, "_check_limits", check)
    patch.setattr(fleet, "RunState", lambda **fields: RunState(**fields | {"dry_run": False}))


@caught_by("fleet", REPEATED)
def target_worked_on_twice(patch: pytest.MonkeyPatch) -> None:
    """Two invocations act on a target at the same time."""

    async def write(self: RunStore, key: str, body: bytes, kind: str, _condition: Any) -> str:
        put = self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=kind)
        return str(put["ETag"])

    patch.setattr(fleet, "Claim", lambda **fields: Claim(**fields | {"until": 0}))
    patch.setattr(RunStore, "_write", write)


# ---- the fake account lies -----------------------------------------------------------------------

replaced("stored_bytes_hidden", store.Group, "stored_shown", lambda *_: 0, every(stored=9))
replaced("stream_times_hidden", store.Stream, "shown", lambda *_: None)
replaced("arrivals_hidden", points, "_points", lambda *_: {}, LAGGING)
replaced("tags_hidden", store.Store, "indexed_tags", lambda *_: {}, every(**TAGGED))


def _answered(patch: pytest.MonkeyPatch, service: str, operation: str, key: str) -> None:
    patch.setitem(ANSWERS, (service, operation), lambda *_: {key: []})


@caught_by("undisturbed", every(subscriptions=("to",)))
def subscriptions_hidden(patch: pytest.MonkeyPatch) -> None:
    _answered(patch, "logs", "DescribeSubscriptionFilters", "subscriptionFilters")


@caught_by("undisturbed", OWNED)
def functions_hidden(patch: pytest.MonkeyPatch) -> None:
    _answered(patch, "lambda", "ListFunctions", "Functions")


@pytest.mark.parametrize("mutant", shared(MUTANTS), ids=lambda mutant: mutant[0].__name__)
def test_a_broken_engine_is_found_out(
    mutant: tuple[Break, str, Narrowed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A property fails within 400 examples, by an assertion and not by the break itself."""
    break_engine, name, narrowed = mutant
    break_engine(monkeypatch)
    quick = settings(
        settings.get_profile("ci"),
        max_examples=400,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
    )
    with pytest.raises(AssertionError):
        quick(test_proof.property_test(name, **narrowed))()
