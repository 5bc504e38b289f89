"""Finds out who uses a log group, by the rows of the owner table, with as few calls as possible."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from janitor.aws import regions
from janitor.aws.api import Api
from janitor.aws.clients import USED_ELSEWHERE
from janitor.aws.models import keep_only
from janitor.core.model import Target
from janitor.core.together import together
from janitor.owners.reader import Reading, UnreadError
from janitor.owners.table import Row, Severity, operations

SERVICE_TIMEOUT = 300.0
"""Seconds that the rows of one service may take together: a third of a link of the function. A row
that would take longer counts as unread, and keeps what it could own."""

SERVICES_AT_ONCE = 24
"""Services that are read at a time, over all targets; the other threads are for other calls. 17
Regions took 25 s with 24, 33 s with 12, and no less with 36 (measured, with answers in 50 ms)."""

Named = tuple[str, str]
"""A log group's name and ARN."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a log group: the `row` of the table, the `user`, and what happens to it `without`
    the log group. `source` is the operation that showed it; `calls` is how many calls it took, `at`
    (ms) when the last of them was made.
    """

    row: str
    source: str
    user: str
    severity: Severity
    without: str
    calls: int
    at: int

    def __str__(self) -> str:
        return f"in use by {self.user}; {self.without}"


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that could own the log group, and could not be read."""

    row: str
    source: str
    actions: tuple[str, ...]
    why: str
    calls: int
    at: int

    def __str__(self) -> str:
        return f"whether it is in use could not be checked ({self.row}): {self.why}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a log group's owners. Only without `uses` and `unread` may it be deleted.

    `rows` is how many rows could own it and were read by `at` (ms). `oldest` is the oldest evidence
    that nobody owns it: when (monotonic) it was requested, and the row.
    """

    uses: tuple[Use, ...]
    unread: tuple[Unread, ...]
    rows: int
    at: int
    oldest: tuple[float, Row] | None = None

    @property
    def nobody(self) -> bool:
        """Whether it is certain that nobody uses it."""
        return not self.uses and not self.unread

    def is_old(self, now: float, max_age: float) -> bool:
        """Whether nobody uses it, but some evidence is older than `max_age` seconds (monotonic)."""
        return self.nobody and self.oldest is not None and now - self.oldest[0] > max_age

    def too_old(self) -> Usage:
        """The same answer, with its oldest row counted as unread."""
        assert self.oldest is not None, "it is old"
        row, why = self.oldest[1], "its answer was too old by the time all owners were read"
        source, actions = row.listing.steps[-1].call, tuple(sorted(row.actions))
        return replace(self, unread=(Unread(row.id, source, actions, why, 0, self.at),))


_Oldest = dict[Named, tuple[float, Row]]
"""The oldest evidence on each log group: when (monotonic) it was requested, and the row."""


def _note(oldest: _Oldest, group: Named, requested: float, row: Row) -> None:
    if group not in oldest or requested < oldest[group][0]:
        oldest[group] = requested, row


@dataclass(slots=True)
class _RowState:
    """What was read of a row: its listing, as far as it went, and when that was begun (`at` in ms,
    `read` monotonic); the log groups it was read for; and, for each probe, when (monotonic) it was
    made and what it found.
    """

    reading: Reading
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered: bool = False
    error: UnreadError | None = None
    candidates: set[Named] = field(default_factory=set)
    probed: dict[Named, tuple[float, Use | None]] = field(default_factory=dict)
    at: int = 0
    read: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether the listing is at its end or has failed."""
        return self.answered or self.error is not None

    def restart(self, reading: Reading) -> None:
        """Start over with a new listing. Probes are kept, each with its own age."""
        self.reading, self.answered, self.error = reading, False, None
        self.candidates.clear()


class OwnerCache:
    """What was read of the rows, for several targets, and for survey and act; some rows are read in
    one Region for all. It also limits how many services are read at a time.
    """

    def __init__(self, services_at_once: int = SERVICES_AT_ONCE) -> None:
        self.slots = asyncio.Semaphore(services_at_once)
        self._homes: dict[tuple[str, str], dict[str, _RowState]] = {}
        self._own: dict[Target, dict[str, _RowState]] = {}

    def rows_of(self, target: Target, home: str | None) -> dict[str, _RowState]:
        """The states of the rows with that home Region, or of the target's own without one."""
        if home is None:
            return self._own.setdefault(target, {})
        return self._homes.setdefault((target.account, home), {})

    def forget(self, target: Target, before: float = math.inf) -> None:
        """Drop what the target's own rows hold, if any was read before `before` (monotonic): it is
        too old or, for a thousand accounts, takes gigabytes.
        """
        if any(state.read < before for state in self._own.get(target, {}).values()):
            del self._own[target]

    def separate(self) -> OwnerCache:
        """An empty cache that shares this one's limit."""
        other = OwnerCache()
        other.slots = self.slots
        return other


class Owners:
    """Finds the owners of one target's log groups. A row is read once for all who share the cache,
    and again once that is more than `max_age` seconds ago.
    """

    def __init__(
        self,
        api: Api,
        rows: Sequence[Row],
        cache: OwnerCache,
        *,
        max_age: float = math.inf,
        service_timeout: float = SERVICE_TIMEOUT,
    ) -> None:
        called = {**operations(), "ec2": operations()["ec2"] | regions.ACTIONS.keys()}
        keep_only({name: called[name] for name in called.keys() - USED_ELSEWHERE})
        self._api = api
        self._rows = rows
        self._cache = cache
        self._max_age = max_age
        self._service_timeout = service_timeout

    def owner_named(self, group: str) -> str:
        """The owner that the log group's name refers to; "" if none that is checked."""
        region = self._api.target.region
        return next(filter(None, (row.owner_named(group, region) for row in self._rows)), "")

    def recreated_by(self, group: str) -> str:
        """Who recreates a log group of that name, and when, as text; "" if unknown."""
        region = self._api.target.region
        return next(filter(None, (row.recreated_by(group, region) for row in self._rows)), "")

    def known(self, group: Named) -> Usage | None:
        """What is known of a log group without a call; None if a row would have to be read."""
        uses: list[Use] = []
        unread: list[Unread] = []
        rows = [row for row in self._rows if row.may_own(group[0], self._api.target.region)]
        for row in rows:
            state, may_probe = self._state(row), row.probe_of(group[0]) is not None
            is_old, probed = self._is_old(state.read), state.probed.get(group)
            listed = {} if is_old else self._uses(row, state, [group], {})
            if listed or (state.answered and not is_old):
                uses += listed.values()
            elif may_probe and probed and not self._is_old(probed[0]):
                uses += [probed[1]] if probed[1] else []
            elif state.error and not may_probe and not is_old:
                said = self._unread(row, group[0], state.error, state.reading.calls)
                unread += [said] if said else []
            else:
                return None
        return Usage(tuple(uses), tuple(unread), len(rows), self._api.clock.now())

    async def of_their_names(self, groups: Collection[Named]) -> Mapping[Named, Usage]:
        """What is known of each log group by those rows whose owners its name refers to. Raises
        StoppedError.
        """
        return await self._of(groups, lambda row: row.owner_named)

    async def of(self, groups: Collection[Named]) -> Mapping[Named, Usage]:
        """What is known of each log group. Raises StoppedError."""
        return await self._of(groups, lambda row: row.may_own)

    async def _of(
        self, groups: Collection[Named], concerns: Callable[[Row], Callable[[str, str], object]]
    ) -> Mapping[Named, Usage]:
        region = self._api.target.region
        concerned = {
            row.id: [(name, arn) for name, arn in groups if concerns(row)(name, region)]
            for row in self._rows
        }
        by_service: dict[str, list[Row]] = defaultdict(list)
        found: dict[str, Mapping[str, Use | Unread]] = {}
        oldest: _Oldest = {}
        for row in self._rows:
            if not concerned[row.id]:
                continue
            known = self._state(row)
            if known.answered and not self._is_old(known.read):  # no need to wait for a slot
                found[row.id] = self._uses(row, known, concerned[row.id], oldest)
            else:
                by_service[row.service].append(row)

        async def ask(service: str, rows: Sequence[Row]) -> None:
            async with self._cache.slots:
                deadline = self._api.clock.monotonic() + self._service_timeout
                for row in rows:
                    found[row.id] = await self._row(row, concerned[row.id], deadline, oldest)
                if service not in USED_ELSEWHERE:
                    for region in {row.only or row.home for row in rows}:
                        self._api.release(service, region)

        await together(*(ask(service, rows) for service, rows in by_service.items()))
        answers = {}
        for group in groups:
            results = [found[row.id].get(group[0]) for row in self._rows if row.id in found]
            answers[group] = Usage(
                tuple(use for use in results if isinstance(use, Use)),
                tuple(unread for unread in results if isinstance(unread, Unread)),
                sum(group in concerned[row.id] for row in self._rows),
                self._api.clock.now(),
                oldest.get(group),
            )
        return answers

    # ---- a row -------------------------------------------------------------------------------

    def _state(self, row: Row) -> _RowState:
        """The row's state, made at its first use."""
        known = self._cache.rows_of(self._api.target, row.home)
        if row.id not in known:
            known[row.id] = _RowState(Reading(self._api, row, row.listing, [{}]))
        return known[row.id]

    def _is_old(self, asked_at: float) -> bool:
        return self._api.clock.monotonic() - asked_at > self._max_age

    async def _row(
        self, row: Row, groups: Collection[Named], deadline: float, oldest: _Oldest
    ) -> dict[str, Use | Unread]:
        """The row's verdict on those log groups that it owns or may own, by name."""
        state = self._state(row)
        async with state.lock:
            if (state.reading.calls or state.error) and self._is_old(state.read):
                state.restart(Reading(self._api, row, row.listing, [{}]))
            probes = {name: row.probe_of(name) for name, _ in groups}
            probing = all(values is not None for values in probes.values())
            state.candidates.update(groups)
            if not state.finished:
                await self._list(state, len(state.candidates) if probing else math.inf, deadline)
            found: dict[str, Use | Unread] = {**self._uses(row, state, groups, oldest)}
            if state.answered:
                return found
            result: Use | Unread | None
            lost: UnreadError | None = None
            for name, arn in groups:
                if name in found:
                    continue
                if (values := probes[name]) is not None and lost is None:
                    try:
                        result = await self._probed(state, row, (name, arn), values, deadline)
                        _note(oldest, (name, arn), state.probed[name, arn][0], row)
                    except UnreadError as error:
                        result = self._unread(row, name, error, 1)
                        lost = error if error.lost else None
                    if result is not None:
                        found[name] = result
                else:
                    why = lost or state.error
                    assert why is not None, "a row that cannot be probed was listed to its end"
                    if result := self._unread(row, name, why, state.reading.calls):
                        found[name] = result
            return found

    def _uses(
        self, row: Row, state: _RowState, groups: Collection[Named], oldest: _Oldest
    ) -> dict[str, Use]:
        """The uses of the log groups by the row's listing, as far as it was read, by name."""
        for group in groups if state.answered else ():
            _note(oldest, group, state.read, row)
        return {
            name: self._use(row, user, state.reading.calls, state.at)
            for name, _ in groups
            if (user := state.reading.found.user_of(name)) is not None
        }

    async def _list(self, state: _RowState, most: float, deadline: float) -> None:
        """Continue the listing while that takes fewer calls (`most`) than a probe per log group."""
        if not state.reading.calls:  # age counts from the request: the answer may take long
            state.at, state.read = self._api.clock.now(), self._api.clock.monotonic()
        try:
            state.answered = await state.reading.go_on(most, deadline)
        except UnreadError as error:
            state.error = error

    async def _probed(
        self, state: _RowState, row: Row, group: Named, values: Mapping[str, str], deadline: float
    ) -> Use | None:
        """The use that the row's probe finds, if any. Raises UnreadError or StoppedError."""
        assert row.probe is not None
        began = self._api.clock.monotonic()
        if (known := state.probed.get(group)) and not self._is_old(known[0]):
            return known[1]
        target, (name, arn) = self._api.target, group
        given = {
            **values,
            "group": name,
            "arn": arn,
            "region": target.region,
            "account": target.account,
        }
        either = [{**given, "arn_or_star": arn + end} for end in ("", ":*")]
        reading = Reading(self._api, row, row.probe.question, either, name)
        await reading.go_on(math.inf, deadline)
        user = reading.found.user_of(name)
        now = self._api.clock.now()
        use = None if user is None else self._use(row, user, reading.calls, now)
        state.probed[group] = began, use
        return use

    def _keeps(self, row: Row, group: str) -> bool:
        """Whether the row, if unread, keeps a log group that it could own. Not so if its owners do
        not break without one and the name is typical of another row.
        """
        region = self._api.target.region
        if row.severity == "breaks" or row.usually_owns(group, region):
            return True
        return not any(
            other.usually_owns(group, region) for other in self._rows if other is not row
        )

    def _use(self, row: Row, user: str, calls: int, at: int) -> Use:
        source = row.listing.steps[-1].call
        return Use(row.id, source, user, row.severity, row.without, calls, at)

    def _unread(self, row: Row, group: str, why: UnreadError, calls: int) -> Unread | None:
        if not self._keeps(row, group):
            return None
        now = self._api.clock.now()
        actions = tuple(sorted(row.actions))
        return Unread(row.id, why.call, actions, str(why), calls, now)
