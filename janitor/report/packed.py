"""The findings embedded in an HTML report: by column, compressed, the most important ones.

10,000 findings are some 7 MB of text, and well under 1 MB packed. Browsers unpack them with
`DecompressionStream`, which also works on pages opened from disk.
"""

from __future__ import annotations

import base64
import gzip
import heapq
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from janitor.core.model import Outcome, Status, Target, Verb, verb_of
from janitor.cost.prices import PriceList
from janitor.report.base import full_row
from janitor.report.overview import REFUSABLE, title

MOST = 50_000
"""Findings in a page at most: a browser filters so many without a pause; some 40 MB here."""
ROWS_A_BLOCK = 5_000
DETAILS_A_BLOCK = 500
FOR_A_PERSON = (Status.FAILED, Status.REFUSED, Status.UNKNOWN, Status.NOT_REACHED)

_Entry = tuple[int, float, int, int, bytes]


class PackedFindings:
    """Keeps the `most` most important findings: first those that need a person, then deletions,
    then by savings, then by size.
    """

    def __init__(self, prices: PriceList, most: int = MOST) -> None:
        self._prices = prices
        self._most = most
        self._heap: list[_Entry] = []
        self.added = 0

    @property
    def left_out(self) -> int:
        """The number of findings that were dropped."""
        return self.added - len(self._heap)

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, outcome: Outcome) -> None:
        """Add a finding, and drop the least important one if there are too many."""
        self.added += 1
        verb = verb_of(outcome.action)
        record = full_row(outcome, self._prices) | {"what": title(verb, outcome.status)}
        rank = 2 if outcome.status in FOR_A_PERSON else int(verb is Verb.DELETE_GROUP)
        data = json.dumps(record, separators=(",", ":")).encode()
        saves = record["saves_usd"] or 0.0
        entry = (rank, saves, outcome.group.stored_bytes, -self.added, data)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def blocks(self, refused_in: Collection[Target]) -> Iterator[tuple[str, str]]:
        """Yield (`rows` or `details`, packed columns) in the page's order. Deletions planned in the
        targets `refused_in` are shown as refused.
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
    """Return records with the same keys by column: each `{"values": […]}` or, if values repeat,
    `{"of": [distinct values], "at": [indexes into them]}`.
    """
    return {key: _column([record[key] for record in records]) for key in records[0]}


def _column(values: list[Any]) -> dict[str, Any]:
    distinct = {value: index for index, value in enumerate(dict.fromkeys(values))}
    if len(distinct) * 2 > len(values):
        return {"values": values}
    return {"of": list(distinct), "at": [distinct[value] for value in values]}


def packed(value: object) -> str:
    """Return a value as JSON, gzipped, in base64, which has no character special to HTML."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 9, mtime=0)).decode("ascii")
