"""The findings inside an HTML report: the most telling ones, column by column, compressed.

A page with 10,000 findings has some 7 MB of text; packed it is well under a megabyte. Browsers
unpack it with `DecompressionStream`, which they allow on pages from disk.
"""

from __future__ import annotations

import base64
import gzip
import heapq
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from janitor.core.model import Outcome, Status, Target, Verb, verb_of
from janitor.cost.money import PriceList
from janitor.report.base import full_row
from janitor.report.overview import REFUSABLE, title

MOST = 50_000
"""Findings in a page at most: what a browser filters without a pause, and some 40 MB here."""
ROWS_A_BLOCK = 5_000
DETAILS_A_BLOCK = 500
FOR_A_PERSON = (Status.FAILED, Status.REFUSED, Status.UNKNOWN, Status.NOT_REACHED)

_Entry = tuple[int, float, int, int, bytes]


class PackedFindings:
    """Keeps at most `most` findings, by what they risk or save: those for a person first, then
    deletions, then what saves most, then the largest.
    """

    def __init__(self, prices: PriceList, most: int = MOST) -> None:
        self._prices = prices
        self._most = most
        self._heap: list[_Entry] = []
        self.seen = 0

    @property
    def left_out(self) -> int:
        """How many were too many."""
        return self.seen - len(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, outcome: Outcome) -> None:
        """One more finding; if there are too many the least telling one goes."""
        self.seen += 1
        verb = verb_of(outcome.action)
        record = full_row(outcome, self._prices) | {"what": title(verb, outcome.status)}
        rank = 2 if outcome.status in FOR_A_PERSON else int(verb is Verb.DELETE_GROUP)
        data = json.dumps(record, separators=(",", ":")).encode()
        saves = record["saves_usd"] or 0.0
        entry = (rank, saves, outcome.group.stored_bytes, -self.seen, data)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def blocks(self, refused_in: Collection[Target]) -> Iterator[tuple[str, str]]:
        """(`rows` or `details`, packed columns), in the page's order. What is planned to be deleted
        in `refused_in` is refused.
        """
        refused = {(target.account, target.region) for target in refused_in}
        entries = sorted(self._heap, reverse=True)
        for start in range(0, len(entries), ROWS_A_BLOCK):
            records = _records(entries[start : start + ROWS_A_BLOCK])
            for record in records:
                del record["evidence"]
                verb, place = Verb(record["action"]), (record["account"], record["region"])
                if place in refused and (verb, record["status"]) in REFUSABLE:
                    record["status"] = Status.REFUSED.value
                    record["what"] = title(verb, Status.REFUSED)
            yield "rows", packed(columns(records))
        for start in range(0, len(entries), DETAILS_A_BLOCK):
            records = _records(entries[start : start + DETAILS_A_BLOCK])
            yield "details", packed([record["evidence"] for record in records])


def _records(entries: Sequence[_Entry]) -> list[dict[str, Any]]:
    return [json.loads(data) for *_, data in entries]


def columns(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Records of the same keys by column: `{"values": […]}` or, where values repeat,
    `{"of": [distinct values], "at": [indexes into them]}`.
    """
    return {key: _column([record[key] for record in records]) for key in records[0]}


def _column(values: list[Any]) -> dict[str, Any]:
    distinct = {value: index for index, value in enumerate(dict.fromkeys(values))}
    if len(distinct) * 2 > len(values):
        return {"values": values}
    return {"of": list(distinct), "at": [distinct[value] for value in values]}


def packed(value: object) -> str:
    """A value as JSON, gzip, base64: no character of it means anything to HTML."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 9, mtime=0)).decode("ascii")
