"""What the parts of one or more accounts cost and save, and what was done in each, for `--by`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from janitor.core.model import LogGroup, Outcome, SetRetention, Status, Target, Verb
from janitor.core.tally import Tally
from janitor.cost.ingestion import MOST_PREFIXES, OTHER, prefix_of
from janitor.cost.money import freed, key_of, total_usd
from janitor.cost.prices import Key, PriceList

UNTAGGED = "(untagged)"
UNREAD = "(tags not read)"
EMPTY = "(no value)"


def tag_key(key: str) -> Callable[[LogGroup], str]:
    """Return a function from a log group to its part: the value of a tag."""

    def part(group: LogGroup) -> str:
        return UNREAD if group.tags is None else group.tags.get(key, UNTAGGED) or EMPTY

    return part


def prefix_key(group: LogGroup) -> str:
    """Return a log group's part: the prefix of its name."""
    return prefix_of(group.name)


@dataclass
class _Share:
    """Sums of one part, bytes by what they are priced by. `refusable` counts the planned deletions
    and sweeps.
    """

    tally: Tally = field(default_factory=Tally)
    refusable: defaultdict[Target, Tally] = field(default_factory=lambda: defaultdict(Tally))
    stored: Counter[Key] = field(default_factory=Counter)
    saved: Counter[Key] = field(default_factory=Counter)
    ingested: Counter[Key] = field(default_factory=Counter)
    lost: int = 0


class Shares:
    """Sums by part, in bounded memory: all parts after the `most` first are counted as OTHER."""

    def __init__(
        self,
        by: str,
        key: Callable[[LogGroup], str],
        prices: PriceList,
        most: float = MOST_PREFIXES,
    ) -> None:
        self._by = by
        self._key = key
        self._most = most
        self._prices = prices
        self._shares: dict[str, _Share] = {}

    def _of(self, part: str) -> _Share:
        if part not in self._shares and len(self._shares) >= self._most:
            part = OTHER
        return self._shares.setdefault(part, _Share())

    def scanned(self, group: LogGroup) -> None:
        """Count a log group that was read."""
        share, key = self._of(self._key(group)), key_of(group)
        share.tally.read([group])
        share.stored[key] += group.stored_bytes
        if (arrived := group.ingestion) is not None:
            share.ingested[key] += arrived.bytes

    def add(self, outcome: Outcome) -> None:
        """Count a planned or final outcome."""
        share = self._of(self._key(outcome.group))
        share.tally.add(outcome)
        if outcome.status is Status.PLANNED and not isinstance(outcome.action, SetRetention):
            share.refusable[outcome.group.target].add(outcome)
        bytes_freed = freed(outcome)
        share.lost += bytes_freed.at_once
        if bytes_freed.steady:
            share.saved[key_of(outcome.group)] += bytes_freed.steady

    def failed(self, part: str, tally: Tally) -> None:
        """Add the errors of a whole part, of which perhaps nothing was read."""
        total = self._of(part).tally
        for error in tally.errors:
            total.error(error)
        total.by_status[Status.NOT_REACHED] = tally.by_status[Status.NOT_REACHED]

    def forget_changes(self) -> None:
        """Forget planned changes, before those that are made are counted."""
        for share in self._shares.values():
            share.lost = 0
            share.saved.clear()
            share.refusable.clear()
            share.tally = Tally(share.tally.scanned, share.tally.stored_bytes)

    def as_dict(
        self, names: Mapping[str, str], refused_in: Collection[Target] = (), *, ingestion: bool
    ) -> dict[str, Any]:
        """Return the `by` object of the summary, the most expensive part first. `names` are names
        of parts for people; deletions are refused in `refused_in`. What arrived is None without
        `ingestion`, an amount in USD if nothing that it is for has a price.
        """
        prices = self._prices
        rows = [
            {
                "part": part,
                "name": names.get(part),
                "groups": share.tally.scanned,
                "stored_bytes": share.tally.stored_bytes,
                "storage_usd": total_usd(share.stored, prices.storage),
                "saves_usd": total_usd(share.saved, prices.storage),
                "lost_bytes": share.lost,
                "ingested_bytes": share.ingested.total() if ingestion else None,
                "ingestion_usd": total_usd(share.ingested, prices.ingestion) if ingestion else None,
                **_results(share, refused_in),
            }
            for part, share in self._shares.items()
        ]
        costs = ("storage_usd", "ingestion_usd")
        rows.sort(key=lambda row: (-sum(row[cost] or 0 for cost in costs), row["part"]))
        return {"by": self._by, "rows": rows}


def _results(share: _Share, refused_in: Collection[Target]) -> dict[str, Any]:
    """Return counts of what would be or was done, and of what somebody has to look at."""
    verbs = (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS)
    statuses = (Status.FAILED, Status.REFUSED, Status.NOT_REACHED)
    tally = share.tally
    refused = (share.refusable[target] for target in share.refusable.keys() & {*refused_in})
    changes = tally.would(Tally.together(refused)) + tally.done
    return {
        **{verb.value: changes[verb] for verb in verbs},
        "unknown": tally.by_status[Status.UNKNOWN] - tally.acknowledged,
        **{status.value: tally.by_status[status] for status in statuses},
        "errors": list(tally.errors),
    }
