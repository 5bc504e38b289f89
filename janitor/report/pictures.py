"""The data of the HTML report's pictures, summed up as log groups arrive, in bounded memory.

Sizes are bytes, ages are days. Nothing here keeps a log group.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log10
from typing import Any

from janitor.core.model import LogGroup

NODES = 20_000
"""Prefixes held at most; beyond that the smallest ones are folded into their parents."""
DEPTH = 8
FAMILIES = 12
TILES = 60
SMALLEST = 1 / 250
"""The share of all bytes below which a tile could not be seen."""
BINS_A_DECADE = 2

_TOKEN = re.compile(r"[^/_.\-]*[/_.\-]?")


# ---- where the bytes are -------------------------------------------------------------------------


@dataclass(slots=True)
class Amount:
    """A number of log groups, their bytes, and the bytes of those whose events never expire."""

    groups: int = 0
    stored: int = 0
    never: int = 0

    def add(self, group: LogGroup) -> None:
        """Add a log group."""
        self.groups += 1
        self.stored += group.stored_bytes
        self.never += group.stored_bytes if group.retention_days is None else 0

    def less(self, other: Amount) -> Amount:
        """Return what is left without `other`, a part of this amount."""
        return Amount(
            max(self.groups - other.groups, 0),
            max(self.stored - other.stored, 0),
            max(self.never - other.never, 0),
        )

    def plus(self, other: Amount) -> Amount:
        """Return the sum."""
        return Amount(
            self.groups + other.groups, self.stored + other.stored, self.never + other.never
        )

    def as_dict(self) -> dict[str, int]:
        """Return the amount as the page's script reads it."""
        return {"groups": self.groups, "stored": self.stored, "never": self.never}


@dataclass(slots=True)
class _Node:
    """A prefix. Its amount includes its children's, so folding a child is just dropping it."""

    amount: Amount = field(default_factory=Amount)
    children: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """A future tile: a prefix, or (`rest`) what is left of one without its larger parts."""

    prefix: str
    node: _Node
    rest: bool = False

    @property
    def amount(self) -> Amount:
        return self.node.amount

    def as_dict(self) -> dict[str, Any]:
        return {"prefix": self.prefix, "rest": self.rest, **self.amount.as_dict()}


class PrefixTree:
    """Bytes by name prefix, cut after `/`, `-`, `_` and `.`.

    Every log group is in the sums, whatever was folded.
    """

    def __init__(self, nodes: int = NODES) -> None:
        self._most = nodes
        self._nodes = 1
        self._root = _Node()

    def add(self, group: LogGroup) -> None:
        """Count a log group under each prefix of its name."""
        node = self._root
        node.amount.add(group)
        for token in tokens(group.name):
            child = node.children.get(token)
            if child is None:
                child = node.children[token] = _Node()
                self._nodes += 1
            node = child
            node.amount.add(group)
        if self._nodes > self._most:
            self._fold()

    def families(self, most: int = FAMILIES, tiles: int = TILES) -> list[dict[str, Any]]:
        """Return the largest prefixes, each with its `parts`; together they hold every byte."""
        total = self._root.amount.stored
        if not total:
            return []
        least = total * SMALLEST
        families = []
        for part in _split(_Part("", self._root), most, least):
            share = max(round(tiles * part.amount.stored / total), 1)
            parts = _split(part, share, least) if share > 1 else [part]
            families.append(part.as_dict() | {"parts": [inner.as_dict() for inner in parts]})
        return families

    def _fold(self) -> None:
        while self._nodes > self._most // 2:
            leaves = [
                (child.amount.stored, number, node, token)
                for number, (node, token, child) in enumerate(_edges(self._root))
                if not child.children
            ]
            leaves.sort(key=lambda leaf: leaf[:2])
            surplus = max(min(self._nodes - self._most // 2, len(leaves)), 1)
            for _, _, node, token in leaves[:surplus]:
                del node.children[token]
                self._nodes -= 1


def tokens(name: str) -> list[str]:
    """Return the parts of a name, each with its separator; the last of `DEPTH` holds the rest."""
    parts = [match[0] for match in _TOKEN.finditer(name) if match[0]]
    if parts and parts[0] in ("/", "-", "_", ".") and len(parts) > 1:
        parts[:2] = [parts[0] + parts[1]]
    return [*parts[: DEPTH - 1], "".join(parts[DEPTH - 1 :])] if len(parts) >= DEPTH else parts


def _edges(node: _Node) -> Iterator[tuple[_Node, str, _Node]]:
    waiting = [node]
    while waiting:
        parent = waiting.pop()
        for token, child in parent.children.items():
            yield parent, token, child
            waiting.append(child)


def _split(part: _Part, most: int, least: float) -> list[_Part]:
    """Return at most `most` parts of a part, largest first, by splitting the largest repeatedly."""
    heap = [(-part.amount.stored, 0, part)]
    done: list[_Part] = []
    number = 0
    while heap:
        _, _, largest = heapq.heappop(heap)
        inner = _parts(largest, least, most - len(heap) - len(done))
        if not inner:
            done.append(largest)
            continue
        for piece in inner:
            number += 1
            heapq.heappush(heap, (-piece.amount.stored, number, piece))
    return sorted(done, key=lambda piece: -piece.amount.stored)


def _parts(part: _Part, least: float, most: int) -> list[_Part]:
    """Return the visible children of a part and the rest, if any; [] if it cannot be split."""
    children = sorted(part.node.children.items(), key=lambda child: -child[1].amount.stored)
    shown = [child for child in children if child[1].amount.stored >= least][: max(most - 1, 0)]
    if not shown or most < 2:
        return []
    left = part.amount
    for _, child in shown:
        left = left.less(child.amount)
    parts = [_alone(part.prefix + token, child) for token, child in shown]
    rest = _Node(left, dict(children[len(shown) :]))
    return [*parts, _Part(part.prefix, rest, rest=True)] if left.stored else parts


def _alone(prefix: str, node: _Node) -> _Part:
    """Return a prefix extended as far as all its log groups share it."""
    while len(node.children) == 1:
        [(token, child)] = node.children.items()
        if child.amount.groups != node.amount.groups:
            break
        prefix, node = prefix + token, child
    return _Part(prefix, node)


# ---- the retention in force ----------------------------------------------------------------------


class Retentions:
    """Log groups and bytes by retention in force, those under account-level policies apart."""

    def __init__(self) -> None:
        self._amounts: dict[tuple[bool, int | None], Amount] = {}

    def add(self, group: LogGroup) -> None:
        """Add a log group."""
        key = (group.retention_policy is not None, group.retention_days)
        self._amounts.setdefault(key, Amount()).add(group)

    @property
    def never(self) -> Amount:
        """The log groups whose events never expire, with or without an account-level policy."""
        nothing = Amount()
        return self._amounts.get((False, None), nothing).plus(
            self._amounts.get((True, None), nothing)
        )

    def bars(self) -> list[dict[str, Any]]:
        """Return the bars: never first, then account-level policies, then days ascending."""

        def order(key: tuple[bool, int | None]) -> tuple[int, int]:
            by_policy, days = key
            return (1 if by_policy else 0 if days is None else 2, days or 0)

        return [
            {"by_policy": key[0], "days": key[1], **self._amounts[key].as_dict()}
            for key in sorted(self._amounts, key=order)
        ]


# ---- the age of the last arrival against size ----------------------------------------------------

LONGER = "longer"
UNREAD = "unread"
_When = int | str


class ArrivalBubbles:
    """Log groups by age of the last arrival (days) and by size (`size_bin`).

    The age comes from ingestion metrics, or is a lower bound from the proof of a deletion.
    """

    def __init__(self) -> None:
        self._all: Counter[int] = Counter()
        self._stored: Counter[int] = Counter()
        self._known: dict[tuple[_When, int], list[int]] = {}
        self._proved: dict[int, list[int]] = {}
        self.read = False
        """Whether ingestion was read for any log group."""

    def scanned(self, group: LogGroup) -> None:
        """Add a log group of which nothing is known yet."""
        place = size_bin(group.stored_bytes)
        self._all[place] += 1
        self._stored[place] += group.stored_bytes

    def ingested(self, group: LogGroup, days: int | None) -> None:
        """Note that a log group's last arrival was `days` ago; None: none in the time asked for."""
        self.read = True
        when: _When = LONGER if days is None else max(days, 0)
        _count(self._known.setdefault((when, size_bin(group.stored_bytes)), [0, 0]), group)

    def proved(self, group: LogGroup) -> None:
        """Note that a log group was proved silent since before the cutoff."""
        _count(self._proved.setdefault(size_bin(group.stored_bytes), [0, 0]), group)

    def bubbles(self) -> list[dict[str, Any]]:
        """Return bubbles: `when` (days, `longer` or `unread`), `size` (a bin), groups and bytes."""
        known = self._known
        if not self.read:
            known = {(LONGER, place): amount for place, amount in self._proved.items()}
        rest, stored = Counter(self._all), Counter(self._stored)
        for (_, place), (groups, size) in known.items():
            rest[place] -= groups
            stored[place] -= size
        bubbles = [
            {"when": when, "size": place, "groups": groups, "stored": size}
            for (when, place), (groups, size) in known.items()
        ]
        bubbles += [
            {"when": UNREAD, "size": place, "groups": groups, "stored": max(stored[place], 0)}
            for place, groups in rest.items()
            if groups > 0
        ]
        return sorted(bubbles, key=lambda bubble: (str(bubble["when"]).zfill(6), bubble["size"]))


def size_bin(size: int) -> int:
    """Return 0 for no bytes, else 1 + their half decades: 1 B is 1, 10 B is 3."""
    return 0 if size <= 0 else 1 + int(log10(size) * BINS_A_DECADE)


def _count(amount: list[int], group: LogGroup) -> None:
    amount[0] += 1
    amount[1] += group.stored_bytes
