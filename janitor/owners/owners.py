"""Who uses which log group: the rows of the table, asked no more than they have to be."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from janitor.aws import targets
from janitor.aws.api import Api
from janitor.aws.clients import USED_ELSEWHERE
from janitor.aws.models import keep_only
from janitor.core.model import Target
from janitor.core.together import together
from janitor.owners.reader import Reading, UnreadError
from janitor.owners.table import Row, Severity, operations

SERVICE_TIMEOUT = 300.0
"""Seconds that the rows of one service may take together: a third of a link of the function. A row
that would take longer is not read, and keeps what it could own."""

SERVICES_AT_ONCE = 24
"""Services that are asked at a time, over all targets; the other threads are for other calls. 17
Regions took 25 s with 24, 33 s with 12, and no less with 36 (measured, with answers in 50 ms)."""


Named = tuple[str, str]
"""A log group, by name and ARN."""


@dataclass(frozen=True, slots=True)
class Use:
    """A log group is used: by whom (`row` of the table), and what becomes of the owner without it.
    The `source` is the operation that said so; `calls` is how many it took to find out, `at` (ms)
    when the last of them was made.
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
    """A row that could own the log group could not be read."""

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
    """What is known of a log group's owners: it may be deleted only where both are empty.

    `rows` is how many could own it, and were asked by `at` (ms). Of what says that nobody does the
    `oldest` was asked first: when (monotonic), and which row.
    """

    uses: tuple[Use, ...]
    unread: tuple[Unread, ...]
    rows: int
    at: int
    oldest: tuple[float, Row] | None = None

    @property
    def nobody(self) -> bool:
        """Whether nobody uses it, for certain."""
        return not self.uses and not self.unread

    def is_old(self, now: float, max_age: float) -> bool:
        """Whether nobody uses it by what was asked more than so many seconds ago (monotonic)."""
        return self.nobody and self.oldest is not None and now - self.oldest[0] > max_age

    def too_old(self) -> Usage:
        """The same, as if its oldest row could not be read."""
        assert self.oldest is not None, "it is old"
        row, why = self.oldest[1], "what takes so long to ask is too old by then"
        source, actions = row.listing.steps[-1].call, tuple(sorted(row.actions))
        return replace(self, unread=(Unread(row.id, source, actions, why, 0, self.at),))


_Oldest = dict[Named, tuple[float, Row]]
"""Of each log group what was asked first (monotonic), and of which row."""


def _note(oldest: _Oldest, group: Named, asked: float, row: Row) -> None:
    if group not in oldest or asked < oldest[group][0]:
        oldest[group] = asked, row


@dataclass(slots=True)
class _Asked:
    """What is known of a row: its listing, as far as it went, when its first part was asked for
    (`at`, `read`), for which log groups it was asked, and what its probes said of them, and when.
    """

    reading: Reading
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    answered: bool = False
    why: UnreadError | None = None
    candidates: set[Named] = field(default_factory=set)
    probed: dict[Named, tuple[float, Use | None]] = field(default_factory=dict)
    at: int = 0
    read: float = 0.0

    @property
    def over(self) -> bool:
        """Whether there is nothing more to be read."""
        return self.answered or self.why is not None

    def again(self, reading: Reading) -> None:
        """Forget what was read."""
        self.reading, self.answered, self.why = reading, False, None
        self.candidates.clear()


class OwnerCache:
    """What the owners of several targets share, and survey and act: what rows were asked, of which
    some are asked in one Region for all, and how many services are asked at a time.
    """

    def __init__(self, services_at_once: int = SERVICES_AT_ONCE) -> None:
        self.slots = asyncio.Semaphore(services_at_once)
        self._homes: dict[tuple[str, str], dict[str, _Asked]] = {}
        self._asked: dict[Target, dict[str, _Asked]] = {}

    def rows_of(self, target: Target, home: str | None) -> dict[str, _Asked]:
        """What the rows with that home were asked."""
        if home is None:
            return self._asked.setdefault(target, {})
        return self._homes.setdefault((target.account, home), {})

    def forget(self, target: Target, before: float = math.inf) -> None:
        """Drop what its own rows were asked, if any of them was before that (monotonic): too old,
        or, of a thousand accounts, gigabytes.
        """
        if any(asked.read < before for asked in self._asked.get(target, {}).values()):
            del self._asked[target]

    def separate(self) -> OwnerCache:
        """One that takes turns with this one, and knows nothing yet."""
        other = OwnerCache()
        other.slots = self.slots
        return other


class Owners:
    """The owners of one target's log groups. A row is read once by all that share, and again when
    that is more than `max_age` seconds ago.
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
        called = {**operations(), "ec2": operations()["ec2"] | targets.ACTIONS.keys()}
        keep_only({name: called[name] for name in called.keys() - USED_ELSEWHERE})
        self._api = api
        self._rows = rows
        self._cache = cache
        self._max_age = max_age
        self._service_timeout = service_timeout

    def owner_named(self, group: str) -> str:
        """The owner that the log group's name speaks of; "" where that is none that is asked."""
        region = self._api.target.region
        return next(filter(None, (row.owner_named(group, region) for row in self._rows)), "")

    def recreated_by(self, group: str) -> str:
        """Who makes a log group of such a name again, and when; "" where that is not known."""
        region = self._api.target.region
        return next(filter(None, (row.recreated_by(group, region) for row in self._rows)), "")

    def known(self, group: Named) -> Usage | None:
        """What is known of a log group without a call; None where a row would have to be asked."""
        uses: list[Use] = []
        rows = [row for row in self._rows if row.may_own(group[0], self._api.target.region)]
        for row in rows:
            asked = self._asked(row)
            listed = {} if self._is_old(asked.read) else self._uses(row, asked, [group], {})
            probed = asked.probed.get(group) if row.probe_of(group[0]) is not None else None
            if listed or (asked.answered and not self._is_old(asked.read)):
                uses += listed.values()
            elif probed and not self._is_old(probed[0]):
                uses += [probed[1]] if probed[1] else []
            else:
                return None
        return Usage(tuple(uses), (), len(rows), self._api.clock.now())

    async def of_their_names(self, groups: Collection[Named]) -> Mapping[Named, Usage]:
        """What is known of each log group by those rows alone of whose owners its name speaks.
        Raises StoppedError.
        """
        return await self._of(groups, lambda row: row.owner_named)

    async def of(self, groups: Collection[Named]) -> Mapping[Named, Usage]:
        """What is known of each log group. Raises StoppedError."""
        return await self._of(groups, lambda row: row.may_own)

    async def _of(
        self, groups: Collection[Named], asked: Callable[[Row], Callable[[str, str], object]]
    ) -> Mapping[Named, Usage]:
        region = self._api.target.region
        concerned = {
            row.id: [(name, arn) for name, arn in groups if asked(row)(name, region)]
            for row in self._rows
        }
        by_service: dict[str, list[Row]] = defaultdict(list)
        found: dict[str, Mapping[str, Use | Unread]] = {}
        oldest: _Oldest = {}
        for row in self._rows:
            if not concerned[row.id]:
                continue
            known = self._asked(row)
            if known.answered and not self._is_old(known.read):  # it need not wait for a turn
                found[row.id] = self._uses(row, known, concerned[row.id], oldest)
            else:
                by_service[row.service].append(row)

        async def ask(service: str, rows: Sequence[Row]) -> None:
            async with self._cache.slots:
                ends = self._api.clock.monotonic() + self._service_timeout
                for row in rows:
                    found[row.id] = await self._row(row, concerned[row.id], ends, oldest)
                if service not in USED_ELSEWHERE:
                    for region in {row.only or row.home for row in rows}:
                        self._api.release(service, region)

        await together(*(ask(service, rows) for service, rows in by_service.items()))
        answers = {}
        for group in groups:
            said = [found[row.id].get(group[0]) for row in self._rows if row.id in found]
            answers[group] = Usage(
                tuple(use for use in said if isinstance(use, Use)),
                tuple(unread for unread in said if isinstance(unread, Unread)),
                sum(group in concerned[row.id] for row in self._rows),
                self._api.clock.now(),
                oldest.get(group),
            )
        return answers

    # ---- a row -------------------------------------------------------------------------------

    def _asked(self, row: Row) -> _Asked:
        """What the row was asked."""
        known = self._cache.rows_of(self._api.target, row.home)
        if row.id not in known:
            known[row.id] = _Asked(Reading(self._api, row, row.listing, [{}]))
        return known[row.id]

    def _is_old(self, asked_at: float) -> bool:
        return self._api.clock.monotonic() - asked_at > self._max_age

    async def _row(
        self, row: Row, groups: Collection[Named], ends: float, oldest: _Oldest
    ) -> dict[str, Use | Unread]:
        """What the row says of the log groups, by name; nothing of those that it does not own."""
        asked = self._asked(row)
        async with asked.lock:
            if (asked.reading.calls or asked.why) and self._is_old(asked.read):
                asked.again(Reading(self._api, row, row.listing, [{}]))
            probes = {name: row.probe_of(name) for name, _ in groups}
            probing = all(values is not None for values in probes.values())
            asked.candidates.update(groups)
            if not asked.over:
                await self._list(asked, len(asked.candidates) if probing else math.inf, ends)
            found: dict[str, Use | Unread] = {**self._uses(row, asked, groups, oldest)}
            if asked.answered:
                return found
            said: Use | Unread | None
            lost: UnreadError | None = None
            for name, arn in groups:
                if name in found:
                    continue
                if (values := probes[name]) is not None and lost is None:
                    try:
                        said = await self._probed(asked, row, (name, arn), values, ends)
                        _note(oldest, (name, arn), asked.probed[name, arn][0], row)
                    except UnreadError as error:
                        said = self._unread(row, name, error, 1)
                        lost = error if error.lost else None
                    if said is not None:
                        found[name] = said
                else:
                    why = lost or asked.why
                    assert why is not None, "a row that cannot be probed was listed to its end"
                    if said := self._unread(row, name, why, asked.reading.calls):
                        found[name] = said
            return found

    def _uses(
        self, row: Row, asked: _Asked, groups: Collection[Named], oldest: _Oldest
    ) -> dict[str, Use]:
        """What the row's listing, as far as it was read, says of the log groups, by name."""
        for group in groups if asked.answered else ():
            _note(oldest, group, asked.read, row)
        return {
            name: self._use(row, user, asked.reading.calls, asked.at)
            for name, _ in groups
            if (user := asked.reading.found.user_of(name)) is not None
        }

    async def _list(self, asked: _Asked, most: float, ends: float) -> None:
        """Go on with the listing, while it takes less calls than to ask about each log group."""
        if not asked.reading.calls:  # from then on: an answer may be long on its way
            asked.at, asked.read = self._api.clock.now(), self._api.clock.monotonic()
        try:
            asked.answered = await asked.reading.go_on(most, ends)
        except UnreadError as error:
            asked.why = error

    async def _probed(
        self, asked: _Asked, row: Row, group: Named, values: Mapping[str, str], ends: float
    ) -> Use | None:
        """What the row's probe says of one log group. Raises UnreadError or StoppedError."""
        assert row.probe is not None
        began = self._api.clock.monotonic()
        if (known := asked.probed.get(group)) and not self._is_old(known[0]):
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
        await reading.go_on(math.inf, ends)
        user = reading.found.user_of(name)
        now = self._api.clock.now()
        use = None if user is None else self._use(row, user, reading.calls, now)
        asked.probed[group] = began, use
        return use

    def _keeps(self, row: Row, group: str) -> bool:
        """Whether the row, unread, keeps a log group that it could own: if nothing stops without
        it, not those whose name is another owner's.
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
