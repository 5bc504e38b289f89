"""The undo: reverses what journals say was done, unless somebody else has changed it since.

What is missing is added; what differs is left alone and reported. So an undo that was cut off
continues where it stopped, and a repeated one changes nothing.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from janitor.aws.api import Api, CallError, Counts, ReadError, chunks
from janitor.aws.logs import (
    ACTIONS,
    IDENTIFIERS_A_CALL,
    PUTTING,
    REMOVING,
    RESTORING,
    Changes,
    FilterKind,
    Logs,
)
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import CredentialsError, JanitorError
from janitor.core.exit_codes import Exit, exit_code
from janitor.core.model import Change, Extras, LogGroup, Restoration, Status, Target, UndoAction
from janitor.core.text import counted
from janitor.core.together import together
from janitor.journal.account_policies import PolicyChange, TargetPolicies
from janitor.journal.history import (
    Definition,
    Deletion,
    GroupHistory,
    PolicyPut,
    Put,
    Step,
    state_before,
)
from janitor.journal.journal import Entry, Journal

UNDO_ACTIONS: Final[tuple[UndoAction, ...]] = (
    "restore_group",
    "restore_retention",
    "restore_account_policy",
)
_COUNTED: Final = (Status.KEPT, Status.UNKNOWN, Status.FAILED, Status.NOT_REACHED)
ALREADY: Final = "already as it was"
_EXISTS: Final = "ResourceAlreadyExistsException"
_PASS_ROLE: Final = "iam:PassRole"
"""Needed in addition to pass a role to CloudWatch Logs, as some subscription filters do."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One call and the IAM actions that it `needs`. A `first` step creates what the others need."""

    label: str
    needs: tuple[str, ...]
    call: Callable[[], Awaitable[None]]
    first: bool = False


@dataclass(frozen=True, slots=True)
class _Decision:
    """What to do for one name, and why; without steps, nothing."""

    action: UndoAction
    reason: str
    group: LogGroup
    change: Change
    steps: tuple[_Step, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Present:
    """What the log group of a name has now."""

    group: LogGroup
    tags: Mapping[str, str]
    extras: Extras


class UndoTally:
    """Counts of what an undo did."""

    def __init__(self) -> None:
        self.by_status: Counter[Status] = Counter()
        self.done: Counter[str] = Counter()
        self.planned: Counter[str] = Counter()
        self.needs: set[str] = set()
        """The IAM actions that the planned items need."""
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.interrupted = False

    def add(self, item: Restoration) -> None:
        """Count an item."""
        self.by_status[item.status] += 1
        self.done[item.action] += item.status is Status.DONE
        self.planned[item.action] += item.status is Status.PLANNED
        if item.status is Status.PLANNED:
            self.needs.update(item.needs)

    def error(self, text: str) -> None:
        """Note an error that makes the undo incomplete."""
        self.errors.append(text)

    def exit_code(self) -> Exit:
        """Return the exit code of the undo."""
        return exit_code(
            interrupted=self.interrupted,
            incomplete=self.by_status[Status.FAILED] > 0 or not self.complete,
            unjudged=self.by_status[Status.UNKNOWN] > 0,
        )

    @property
    def complete(self) -> bool:
        """Whether nothing failed as a whole and everything was reached."""
        return not (self.errors or self.interrupted or self.by_status[Status.NOT_REACHED])

    def as_dict(self, counts: Counts) -> dict[str, Any]:
        """Return the `summary` object of every machine-readable output."""
        status = self.by_status
        return {
            "groups_restored": self.done["restore_group"],
            "retention_restored": self.done["restore_retention"],
            "account_policies_restored": self.done["restore_account_policy"],
            "planned": {verb: self.planned[verb] for verb in UNDO_ACTIONS},
            "needs": sorted(self.needs),
            **{counted.value: status[counted] for counted in _COUNTED},
            "api_calls": sum(counts.calls.values()),
            "throttled": sum(counts.throttled.values()),
            "calls": dict(sorted(counts.calls.items())),
            "pace": counts.slowest(),
            "complete": self.complete,
            "warnings": list(self.warnings),
            "errors": list(self.errors),
        }


class Undo:
    """An undo in the targets of `apis`. `report` is called with each item."""

    def __init__(
        self,
        apis: Sequence[Api],
        pasts: Sequence[GroupHistory],
        stop: Stop,
        report: Callable[[Restoration], None],
    ) -> None:
        self.tally = UndoTally()
        self._apis = apis
        self._pasts = pasts
        self._stop = stop
        self._report = report
        self._gave_up: set[Target] = set()

    async def show(self) -> UndoTally:
        """Report what would be done. Raises nothing but bugs."""
        return await self._run(None)

    async def carry_out(self, journal: Journal) -> UndoTally:
        """Undo everything, or until stopped. Raises nothing but bugs."""
        return await self._run(journal)

    async def _run(self, journal: Journal | None) -> UndoTally:
        await together(*(self._target(api, journal) for api in self._apis))
        reached = {api.target for api in self._apis}
        for past in self._pasts:
            if past.target not in reached:
                self._add(_not_reached(past, "no role of its account can be used"))
        return self.tally

    async def _target(self, api: Api, journal: Journal | None) -> None:
        pasts = [past for past in self._pasts if past.target == api.target]
        # Policies come first: retention that a policy overrides cannot be put back.
        policies = TargetPolicies(api)
        for past in pasts:
            if past.policy:
                undo = functools.partial(_undo_policy, policies, past, journal)
                self._add(await self._item(past, undo))
        target = _TargetUndo(api, self._fail)
        for chunk in chunks([past for past in pasts if not past.policy], IDENTIFIERS_A_CALL):
            for past, found in zip(chunk, await self._found(target, chunk), strict=True):
                undo = functools.partial(target.undo, past, found, journal)
                self._add(await self._item(past, undo))

    async def _found(
        self, target: _TargetUndo, chunk: Sequence[GroupHistory]
    ) -> list[LogGroup | Exception | None]:
        """Return, for each history, the group of that name, or why it could not be read."""
        try:
            self._check(target.logs.target)
            groups = await target.logs.named([past.group for past in chunk])
            return [groups.get(past.group) for past in chunk]
        except (*ReadError, StoppedError) as error:
            return [error for _ in chunk]
        except JanitorError as error:
            self._fail(target.logs.target, error)
            return [StoppedError() for _ in chunk]

    async def _item(
        self, past: GroupHistory, undo: Callable[[], Awaitable[Restoration]]
    ) -> Restoration:
        """Undo one history. If that raises an error, the item is unknown or not reached."""
        try:
            self._check(past.target)
            return await undo()
        except StoppedError:
            return _not_reached(past)
        except ReadError as error:
            reason = f"could not be read: {error}"
            return replace(_not_reached(past), status=Status.UNKNOWN, reason=reason)
        except JanitorError as error:
            self._fail(past.target, error)
            return _not_reached(past)

    def _add(self, item: Restoration) -> None:
        self.tally.add(item)
        self._report(item)

    def _check(self, target: Target) -> None:
        """Raise StoppedError if nothing more is to be done in the target."""
        self._stop.check()
        if target in self._gave_up:
            raise StoppedError

    def _fail(self, target: Target, error: JanitorError) -> None:
        """Stop the undo; if credentials were lost, only in this target."""
        if isinstance(error, CredentialsError):
            self._gave_up.add(target)
            self.tally.error(f"{target}: {error}")
        else:
            self.tally.error(str(error))
            self._stop.set("failed")


def _not_reached(past: GroupHistory, why: str = "the run stopped before this") -> Restoration:
    verb: UndoAction = "restore_group" if past.deleted else "restore_retention"
    if past.policy:
        verb = "restore_account_policy"
    return Restoration(past.target, past.group, verb, Status.NOT_REACHED, why)


async def _undo_policy(
    policies: TargetPolicies, past: GroupHistory, journal: Journal | None
) -> Restoration:
    """Undo the changes to an account-level policy, or (without a journal) return what would be
    done. Raises ReadError, StoppedError, CredentialsError, JournalError.
    """
    item = _not_reached(past)
    now = (await policies.existing()).get(past.group)
    puts = [step for step in past.steps if isinstance(step, PolicyPut)]
    wanted, foreign = state_before(now, puts)
    if wanted == now:
        reason = "somebody else has changed it since" if foreign else ALREADY
        return replace(item, status=Status.KEPT, reason=reason)
    what = f"account-level policy: {'none' if wanted is None else wanted.text()}"
    reason = f"it is {'gone' if now is None else now.text()} now"
    new_only = now is None and wanted is not None and wanted.terms and wanted.terms.new_only
    left = ("existing log groups are older than it and do not come under it again",)
    item = replace(
        item,
        changes=(what,),
        reason=reason,
        status=Status.PLANNED,
        left=left if new_only else (),
        needs=tuple(ACTIONS[name] for name in (PUTTING if wanted else REMOVING)),
    )
    if journal is None:
        return item
    change = PolicyChange("restore_account_policy", past.group, now, wanted, reason)
    status, text = await policies.make(change, journal)
    return replace(item, status=status, reason=text or reason)


class _TargetUndo:
    """The undo of log groups in one target. `give_up` is called when credentials are lost."""

    def __init__(self, api: Api, give_up: Callable[[Target, JanitorError], None]) -> None:
        self._give_up = give_up
        self.logs = Logs(api)
        self._changes = Changes(api)

    async def undo(
        self, past: GroupHistory, found: LogGroup | Exception | None, journal: Journal | None
    ) -> Restoration:
        """Undo what was done to a name, or (without a journal) return what would be done. `found`
        was read in bulk, so the group is read again before anything is changed. Raises it if it is
        an exception.
        """
        if isinstance(found, Exception):
            raise found
        decision = await self._decide(past, found)
        if not decision.steps:
            return self._item(past, decision, Status.KEPT)
        if journal is None:
            return self._item(past, decision, Status.PLANNED)
        return await self._apply(past, journal)

    def _item(
        self, past: GroupHistory, decision: _Decision, status: Status, reason: str | None = None
    ) -> Restoration:
        return Restoration(
            self.logs.target,
            past.group,
            decision.action,
            status,
            decision.reason if reason is None else reason,
            tuple(step.label for step in decision.steps),
            decision.left,
            tuple(need for step in decision.steps for need in step.needs),
        )

    # ---- doing -------------------------------------------------------------------------------

    async def _apply(self, past: GroupHistory, journal: Journal) -> Restoration:
        """Read the group and carry out the decision; again, twice at most, if a group of that name
        was created in between.
        """
        for last in (False, False, True):
            decision = await self._decide(past, await self.logs.group(past.group))
            if not decision.steps:
                return self._item(past, decision, Status.KEPT)
            entry = Entry(
                self.logs.clock.now(),
                decision.action,
                decision.group,
                decision.change,
                decision.reason,
            )
            await journal.begin(entry)
            failures: list[Exception] = []
            stopped = False
            for step in decision.steps:
                try:
                    await step.call()
                except (StoppedError, CredentialsError) as error:
                    if isinstance(error, CredentialsError):
                        self._give_up(past.target, error)
                    failures.append(error)
                    stopped = True
                    break
                except ReadError as error:
                    failures.append(error)
                    if step.first:
                        break
            perhaps = any(not isinstance(error, CallError) for error in failures)
            status = Status.FAILED if failures else Status.DONE
            text = "; ".join(str(error) or "stopped" for error in failures)
            await journal.end(
                entry.ended(self.logs.clock.now(), status, text, perhaps_done=perhaps)
            )
            if stopped:
                text = "stopped halfway: run it again"
                return self._item(past, decision, Status.NOT_REACHED, text)
            if not failures:
                return self._item(past, decision, Status.DONE)
            first = failures[0]
            appeared = isinstance(first, CallError) and first.code == _EXISTS
            if last or not appeared:
                break
        return self._item(past, decision, Status.FAILED, text)

    # ---- deciding ----------------------------------------------------------------------------

    async def _decide(self, past: GroupHistory, found: LogGroup | None) -> _Decision:
        """Return what to do, given the group of that name as it is now.

        A group that has the creation time of a deleted one was not deleted. Of several deletions
        the first counts, because the undo restores the state before it.
        """
        deletions = [
            (index, step)
            for index, step in enumerate(past.steps)
            if isinstance(step, Deletion)
            and (found is None or step.creation_time != found.creation_time)
        ]
        if not deletions:
            return self._retention(past, found)
        index, deletion = deletions[0]
        definition, days = deletion.definition, deletion.definition.retention_days
        if definition.retention_policy is None:
            days, _ = state_before(days, _puts(past.steps[:index], deletion.creation_time))
        if found is None:
            return self._recreated(past, deletion, days)
        return await self._completed(past, deletion, days, found)

    def _retention(self, past: GroupHistory, found: LogGroup | None) -> _Decision:
        """Decide for a group that was not deleted: restore its retention."""
        gone = LogGroup(self.logs.target, past.group, "", past.steps[0].creation_time, 0)
        group = found or gone
        puts = _puts(past.steps, group.creation_time)
        days, foreign = state_before(group.retention_days, puts)
        change = Change({"retention_days": group.retention_days}, {"retention_days": days})

        def kept(reason: str) -> _Decision:
            return _Decision("restore_retention", reason, group, change)

        if found is None:
            return kept("no longer exists, and this journal did not delete it")
        if not puts and past.deleted:
            return kept("was not deleted: it still exists")
        if not puts:
            return kept("another log group of that name, created since")
        if found.retention_policy is not None:
            return kept(f"the account-level policy {found.retention_policy!r} sets its retention")
        if days == found.retention_days:
            return kept("somebody else has changed its retention since" if foreign else ALREADY)
        reason = f"its retention was {_days(days)}, the janitor set it to {_days(puts[-1].after)}"
        if days is not None and (found.retention_days is None or days < found.retention_days):
            reason += f"; events older than {_days(days)} expire again"
        return replace(kept(reason), steps=(self._put_retention(past.group, days),))

    def _recreated(self, past: GroupHistory, deletion: Deletion, days: int | None) -> _Decision:
        """Decide for a group that is gone: recreate it with all its settings."""
        definition, name = deletion.definition, past.group
        log_class, key = definition.log_class, definition.kms_key_id
        tags = _settable(definition.tags)
        before = LogGroup(
            self.logs.target,
            name,
            definition.arn,
            deletion.creation_time,
            0,
            log_class=log_class,
            kms_key_id=key,
        )
        create = _Step(
            f"the log group, class {log_class}"
            + (f", key {key}" if key else "")
            + (f", tags {_values(tags)}" if tags else ""),
            _needs("log group", *(["tags"] if tags else [])),
            lambda: self._changes.create_group(name, log_class, key, tags),
            first=True,
        )
        steps, left = self._missing(definition, days, _Present(before, tags, Extras()), days)
        change = Change({}, {"given": [step.label for step in (create, *steps)]})
        reason = "the janitor deleted it" if deletion.sure else "the janitor may have deleted it"
        return _Decision("restore_group", reason, before, change, (create, *steps), left)

    async def _completed(
        self, past: GroupHistory, deletion: Deletion, days: int | None, found: LogGroup
    ) -> _Decision:
        """Decide for a group that was recreated, by an undo or anybody else: add what it lacks."""
        definition, extras = deletion.definition, deletion.definition.extras
        present = _Present(
            found,
            await self.logs.tags(found.arn) if definition.tags else {},
            Extras(
                extras.data_protection_policy and await self.logs.data_protection_policy(found),
                extras.index_policy and await self.logs.index_policy(found),
                extras.transformer and await self.logs.transformer(found),
                extras.metric_filters and tuple(await self.logs.filters(found, "metric")),
                extras.subscription_filters
                and tuple(await self.logs.filters(found, "subscription")),
                extras.resource_policy and await self.logs.resource_policy(found),
                extras.syslog_endpoints and await self.logs.syslog_endpoints(found),
            ),
        )
        puts = _puts(past.steps, found.creation_time)
        own, _ = state_before(found.retention_days, puts)
        steps, left = self._missing(definition, days, present, days if own is None else own)
        change = Change({}, {"given": [step.label for step in steps]})
        missing = "created again since, without everything that it had"
        reason = missing if steps else "created again since, and different" if left else ALREADY
        return _Decision("restore_group", reason, found, change, steps, left)

    def _missing(
        self, definition: Definition, days: int | None, present: _Present, wanted: int | None
    ) -> tuple[tuple[_Step, ...], tuple[str, ...]]:
        """Return the steps that restore what a group lacks of its definition, and what differs.

        `days` is the retention that it had, `wanted` the one that it is to get.
        """
        changes, group, name = self._changes, present.group, present.group.name
        steps: list[_Step] = []
        left: list[str] = []

        def part(
            label: str,
            had: object,
            has: object,
            needs: tuple[str, ...],
            restore: Callable[[], Awaitable[None]],
            content: object = None,
        ) -> None:
            """Compare one setting, and restore or report it. Whoever consents to the undo is shown
            its `content`, to see where logs will go.
            """
            if not had or _same(had, has):
                return
            if has:
                left.append(f"{label} is a different one now")
                return
            shown = label if content is None else f"{label}: {content}"
            steps.append(_Step(shown, needs, restore))

        if group.log_class != definition.log_class:
            left.append(f"class {group.log_class} cannot be changed to {definition.log_class}")
        if group.retention_policy is not None:
            left.append(f"the account-level policy {group.retention_policy!r} sets its retention")
        elif wanted != group.retention_days:
            steps.append(self._put_retention(name, wanted))
        if group.retention_policy is None and wanted != days:
            left.append(f"retention is {_days(wanted)} now, it was {_days(days)}")
        key = definition.kms_key_id
        part(
            f"key {key}",
            key,
            group.kms_key_id,
            _needs("key"),
            lambda: changes.associate_key(name, str(key)),
        )
        part(
            "bearer token authentication",
            definition.bearer_token,
            group.bearer_token,
            _needs("bearer token"),
            lambda: changes.require_bearer_token(name),
        )
        self._tags(definition, present, steps, left)
        had, has = definition.extras, present.extras
        policy, index = had.data_protection_policy or "", had.index_policy or ""
        part(
            "data protection policy",
            policy,
            has.data_protection_policy,
            _needs("data protection policy"),
            lambda: changes.set_data_protection_policy(name, policy),
            policy,
        )
        part(
            "field index policy",
            index,
            has.index_policy,
            _needs("index policy"),
            lambda: changes.set_index_policy(name, index),
            index,
        )
        part(
            "transformer",
            had.transformer,
            has.transformer,
            _needs("transformer"),
            lambda: changes.set_transformer(name, had.transformer),
            json.dumps(had.transformer),
        )
        resource = had.resource_policy or ""
        part(
            "resource policy",
            resource,
            has.resource_policy,
            _needs("resource policy"),
            lambda: changes.set_resource_policy(group.arn, resource),
            resource,
        )
        for endpoint in had.syslog_endpoints:
            there = endpoint if endpoint in has.syslog_endpoints else None
            restore = functools.partial(changes.set_syslog_endpoint, name, endpoint)
            part(f"syslog data of {endpoint}", endpoint, there, _needs("syslog data"), restore)
        self._filters("metric", name, had.metric_filters, has.metric_filters, part)
        self._filters(
            "subscription", name, had.subscription_filters, has.subscription_filters, part
        )
        return tuple(steps), tuple(left)

    def _tags(
        self, definition: Definition, present: _Present, steps: list[_Step], left: list[str]
    ) -> None:
        wanted, arn = _settable(definition.tags), present.group.arn
        missing = {key: value for key, value in wanted.items() if key not in present.tags}
        different = {k: v for k, v in wanted.items() if present.tags.get(k, v) != v}
        reserved = definition.tags.keys() - wanted.keys() - present.tags.keys()
        if missing:
            restore = functools.partial(self._changes.tag, arn, missing)
            steps.append(_Step(f"tags {_values(missing)}", _needs("tags"), restore))
        if different:
            left.append(f"tags {_listed(different)} have other values now")
        if reserved:
            left.append(f"tags {_listed(reserved)} belong to AWS and cannot be set")

    def _filters(
        self,
        kind: FilterKind,
        group: str,
        had: Sequence[Mapping[str, object]],
        has: Sequence[Mapping[str, object]],
        part: Callable[..., None],
    ) -> None:
        by_name = {str(described["filterName"]): described for described in has}
        for described in had:
            name = str(described["filterName"])
            to = f" to {arn}" if (arn := described.get("destinationArn")) else ""
            in_label = ("filterName", "destinationArn")
            content = json.dumps({k: v for k, v in described.items() if k not in in_label})
            needs = _needs(f"{kind} filter") + (_PASS_ROLE,) * ("roleArn" in described)
            restore = functools.partial(self._changes.put_filter, group, kind, described)
            label = f"{kind} filter {name}{to}"
            part(label, described, by_name.get(name), needs, restore, content)

    def _put_retention(self, name: str, days: int | None) -> _Step:
        if days is None:
            delete = functools.partial(self._changes.delete_retention, name)
            return _Step("no retention", _needs("no retention"), delete)
        put = functools.partial(self._changes.put_retention, name, days)
        return _Step(f"retention of {_days(days)}", _needs("retention"), put)


def _needs(*settings: str) -> tuple[str, ...]:
    """Return the IAM actions that restore these settings."""
    return tuple(ACTIONS[RESTORING[setting]] for setting in settings)


def _puts(steps: Iterable[Step], creation_time: int) -> list[Put]:
    """Return the changes to the retention of one group."""
    return [s for s in steps if isinstance(s, Put) and s.creation_time == creation_time]


def _settable(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that an account may set itself."""
    return {key: value for key, value in tags.items() if not key.startswith("aws:")}


def _same(had: object, has: object) -> bool:
    """Whether two settings are equal. JSON documents are compared by content."""
    if isinstance(had, str) and isinstance(has, str) and had != has:
        try:
            return bool(json.loads(had) == json.loads(has))
        except ValueError:
            return False
    if isinstance(had, tuple) and isinstance(has, tuple):
        return list(had) == list(has)
    return had == has


def _days(days: int | None) -> str:
    if days is None:
        return "none"
    return counted(days, "day")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _values(tags: Mapping[str, str]) -> str:
    return _listed(f"{key}={value}" for key, value in tags.items())
