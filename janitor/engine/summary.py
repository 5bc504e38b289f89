"""What a run did, counted from outcomes: a dry run counts under `planned` only."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from janitor.aws.api import Counts
from janitor.core.errors import Exit
from janitor.core.model import Keep, LogGroup, Outcome, Status, Verb, verb_of
from janitor.cost.money import Ledger, PriceList, count
from janitor.engine.resume import ScanProgress

_DONE = {
    Verb.SET_RETENTION: "retention_set",
    Verb.DELETE_GROUP: "groups_deleted",
    Verb.SWEEP_STREAMS: "streams_deleted",
}
_COUNTED = (
    Status.KEPT,
    Status.UNKNOWN,
    Status.FAILED,
    Status.REFUSED,
    Status.GONE,
    Status.NOT_REACHED,
)


class Summary:
    """Counters of one run over all targets. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.groups_scanned = 0
        self.stored_bytes = 0
        self._ledger = Ledger()
        self.done: Counter[Verb] = Counter()
        self.planned: Counter[Verb] = Counter()
        self.by_status: Counter[Status] = Counter()
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.refused_because = ""
        self.interrupted = False
        self.goes_on = False

    @classmethod
    def resumed(cls, earlier: Mapping[str, Any]) -> Summary:
        """One that goes on counting from the `as_dict` of an earlier link.

        Raises KeyError, TypeError or ValueError on what `as_dict` did not make.
        """
        summary = cls()
        summary.groups_scanned = count(earlier["groups_scanned"])
        summary.stored_bytes = count(earlier["stored_bytes"])
        summary._ledger = Ledger.resumed(earlier["money"]["by_region"])
        for verb, name in _DONE.items():
            summary.done[verb] = count(earlier[name])
            summary.planned[verb] = count(earlier["planned"][verb.value])
        for status in _COUNTED:
            summary.by_status[status] = count(earlier[status.value])
        summary.refused_because = str(earlier.get("refused_because", ""))
        summary.warnings = [str(text) for text in earlier["warnings"]]
        summary.errors = [str(text) for text in earlier["errors"]]
        return summary

    def forget(self, region: str, progress: ScanProgress) -> None:
        """A Region's scan starts again: what it read and kept so far is counted anew."""
        with self._lock:
            self.groups_scanned -= progress.read
            self.stored_bytes -= progress.stored_bytes
            self.by_status[Status.KEPT] -= progress.kept
            self.by_status[Status.UNKNOWN] -= progress.unknown
            self._ledger.forget(region, plans=self.planned[Verb.SET_RETENTION] > 0)

    def changes(self, verb: Verb) -> int:
        """How many changes of a kind were made or, in a dry run, planned."""
        return self.done[verb] + self.planned[verb]

    def scanned(self, page: Sequence[LogGroup]) -> None:
        """A page was read."""
        with self._lock:
            self.groups_scanned += len(page)
            self.stored_bytes += sum(group.stored_bytes for group in page)
            self._ledger.scanned(page)

    def add(self, *outcomes: Outcome) -> None:
        """Count outcomes. A sweep counts its streams, whatever became of the rest of it."""
        with self._lock:
            for outcome in outcomes:
                self.by_status[outcome.status] += 1
                if not isinstance(outcome.action, Keep):
                    self._add_change(outcome)

    def _add_change(self, outcome: Outcome) -> None:
        verb = verb_of(outcome.action)
        amount = outcome.streams if verb is Verb.SWEEP_STREAMS else 1
        self._ledger.add(outcome)
        if outcome.status is Status.PLANNED:
            self.planned[verb] += amount
        elif outcome.status is Status.DONE or verb is Verb.SWEEP_STREAMS:
            self.done[verb] += amount

    def not_reached(self, groups: int, why: str) -> None:
        """So many log groups that no outcome speaks of; `why` is an error, unless empty."""
        if groups:
            self.by_status[Status.NOT_REACHED] += groups
            if why:
                self.error(why)

    def error(self, text: str) -> None:
        """A target, or the run, is incomplete."""
        with self._lock:
            self.errors.append(text)

    def warn(self, text: str) -> None:
        """Something a person should know that does not make the run incomplete."""
        with self._lock:
            if text not in self.warnings:
                self.warnings.append(text)

    @property
    def complete(self) -> bool:
        """Whether everything was looked at and nothing failed to be reached."""
        unreached = self.by_status[Status.NOT_REACHED]
        return not (self.errors or self.interrupted or self.goes_on or unreached)

    def exit_code(self) -> Exit:
        """The exit code that this run ends in, findings aside.

        What is unknown is kept, but not silently: whoever runs this unattended must learn of it.
        """
        if self.interrupted:
            return Exit.INTERRUPTED
        if self.refused_because:
            return Exit.REFUSED
        if not self.complete or self.by_status[Status.FAILED] or self.by_status[Status.UNKNOWN]:
            return Exit.INCOMPLETE
        return Exit.DONE

    def as_dict(self, counts: Counts, prices: PriceList) -> dict[str, Any]:
        """The `summary` object of every machine-readable output."""
        status = self.by_status
        return {
            "groups_scanned": self.groups_scanned,
            "stored_bytes": self.stored_bytes,
            "money": self._ledger.as_dict(prices),
            **{name: self.done[verb] for verb, name in _DONE.items()},
            "planned": {verb.value: self.planned[verb] for verb in _DONE},
            **{counted.value: status[counted] for counted in _COUNTED},
            "api_calls": sum(counts.calls.values()),
            "throttled": sum(counts.throttled.values()),
            "calls": dict(sorted(counts.calls.items())),
            "throttled_calls": dict(sorted(counts.throttled.items())),
            "pace": counts.slowest(),
            "complete": self.complete,
            **({"refused_because": self.refused_because} if self.refused_because else {}),
            "warnings": list(self.warnings),
            "errors": list(self.errors),
        }
