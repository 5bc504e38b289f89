"""What a run did, counted from outcomes: a dry run counts under `planned` only."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from janitor.aws import Counts
from janitor.errors import Exit
from janitor.model import Outcome, Status, Verb, verb_of


class Summary:
    """Counters of one run over all targets. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.groups_scanned = 0
        self.stored_bytes = 0
        self.done: Counter[Verb] = Counter()
        self.planned: Counter[Verb] = Counter()
        self.by_status: Counter[Status] = Counter()
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.refused_because = ""
        self.interrupted = False

    def scanned(self, groups: int, stored_bytes: int) -> None:
        """A page was read."""
        with self._lock:
            self.groups_scanned += groups
            self.stored_bytes += stored_bytes

    def add(self, outcome: Outcome) -> None:
        """Count an outcome. A sweep counts its streams, whatever became of the rest of it."""
        verb = verb_of(outcome.action)
        amount = outcome.streams if verb is Verb.SWEEP_STREAMS else 1
        with self._lock:
            self.by_status[outcome.status] += 1
            if outcome.status is Status.PLANNED:
                self.planned[verb] += amount
            elif outcome.status is Status.DONE or verb is Verb.SWEEP_STREAMS:
                self.done[verb] += amount

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
        return not (self.errors or self.interrupted or self.by_status[Status.NOT_REACHED])

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

    def as_dict(self, counts: Counts) -> dict[str, Any]:
        """The `summary` object of every machine-readable output."""
        status = self.by_status
        return {
            "groups_scanned": self.groups_scanned,
            "stored_bytes": self.stored_bytes,
            "retention_set": self.done[Verb.SET_RETENTION],
            "groups_deleted": self.done[Verb.DELETE_GROUP],
            "streams_deleted": self.done[Verb.SWEEP_STREAMS],
            "planned": {
                verb.value: self.planned[verb]
                for verb in (Verb.SET_RETENTION, Verb.DELETE_GROUP, Verb.SWEEP_STREAMS)
            },
            "kept": status[Status.KEPT],
            "unknown": status[Status.UNKNOWN],
            "failed": status[Status.FAILED],
            "refused": status[Status.REFUSED],
            "gone": status[Status.GONE],
            "not_reached": status[Status.NOT_REACHED],
            "api_calls": sum(counts.calls.values()),
            "throttled": sum(counts.throttled.values()),
            "calls": dict(sorted(counts.calls.items())),
            "complete": self.complete,
            **({"refused_because": self.refused_because} if self.refused_because else {}),
            "warnings": list(self.warnings),
            "errors": list(self.errors),
        }
