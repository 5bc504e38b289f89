"""The proof proved: break the engine in one place, and a property must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, settings

from janitor import act, candidates, handler, logs, proof, resume, run, summary
from janitor.act import Hands
from janitor.aws import Counts
from janitor.journal import Journal
from janitor.model import Evidence, Extras
from janitor.proof import Empty
from tests import test_proof

Break = Callable[[pytest.MonkeyPatch], None]


def _says_empty(*_args: Any) -> Any:
    return Empty(Evidence("nobody", "not asked", 0))


def no_last_look(patch: pytest.MonkeyPatch) -> None:
    """Deletes what was proved some time ago."""

    def look(self: Hands, group: Any, *_more: Any) -> Any:
        return group, (), act._Look(self._clock.monotonic(), Extras())

    patch.setattr(Hands, "_look", look)


def subscriptions_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(act, "no_subscription_filters", _says_empty)
    patch.setattr(candidates, "no_subscription_filters", _says_empty)


def errors_are_empty(patch: pytest.MonkeyPatch) -> None:
    """What cannot be read is taken for empty."""

    def unreadable(source: str, error: Exception, now: int) -> Any:
        return Empty(Evidence(source, str(error), now))

    patch.setattr(proof, "_unreadable", unreadable)


def one_page_is_all(patch: pytest.MonkeyPatch) -> None:
    real = logs.Logs.streams

    def streams(self: Any, group: str) -> Any:
        yield next(iter(real(self, group)))

    patch.setattr(logs.Logs, "streams", streams)


def arrivals_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(candidates, "no_arrivals", lambda _logs, asked: [_says_empty() for _ in asked])


def owners_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(act, "no_owner", _says_empty)
    patch.setattr(candidates, "no_owner", _says_empty)


def grace_forgotten(patch: pytest.MonkeyPatch) -> None:
    from janitor import judge

    real = judge.cutoff

    def cutoff(group: Any, settings: Any, now: int) -> Any:
        return real(group, replace(settings, grace_days=0), now)

    patch.setattr(judge, "cutoff", cutoff)


def one_too_many(patch: pytest.MonkeyPatch) -> None:
    """The limit of groups is off by one."""
    real = run.Run._within_limits

    def within(self: Any) -> bool:
        limits = self._context.policy.limits
        more = {
            "max_group_deletions": limits.max_group_deletions + 1,
            "max_group_deletion_share": 1,
        }
        self._context.policy = self._context.policy.model_copy(
            update={"limits": limits.model_copy(update=more)}
        )
        return real(self)

    patch.setattr(run.Run, "_within_limits", within)


def journal_twice(patch: pytest.MonkeyPatch) -> None:
    real = Journal.write

    def write(self: Any, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        real(self, *args, **more)

    patch.setattr(Journal, "write", write)


def journal_not_ahead(patch: pytest.MonkeyPatch) -> None:
    """Only what is over is written."""
    patch.setattr(Hands, "_begin", lambda *_args, **_named: None)


def counters_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The next link counts from zero."""
    patch.setattr(handler, "_so_far", lambda _resume: (summary.Summary(), Counts()))


def pending_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What a link did not get to is not handed on."""
    patch.setattr(resume.ScanProgress, "postpone", lambda *_: None)


def dry_run_ignored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(act.Commit, "__call__", lambda _self, change: change())


MUTANTS: list[tuple[Break, str]] = [
    (no_last_look, "undisturbed"),
    (subscriptions_ignored, "undisturbed"),
    (errors_are_empty, "troubled"),
    (one_page_is_all, "undisturbed"),
    (arrivals_ignored, "undisturbed"),
    (owners_ignored, "undisturbed"),
    (grace_forgotten, "undisturbed"),
    (one_too_many, "undisturbed"),
    (journal_twice, "undisturbed"),
    (journal_not_ahead, "killed"),
    (counters_forgotten, "chained"),
    (pending_forgotten, "chained"),
    (dry_run_ignored, "plan_and_apply"),
]


@pytest.mark.parametrize(("broken", "name"), MUTANTS, ids=lambda it: getattr(it, "__name__", it))
def test_a_broken_engine_is_found_out(
    broken: Break, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a few examples, and not because of the break itself."""
    broken(monkeypatch)
    quick = settings(
        settings.get_profile("ci"),
        max_examples=150,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
    )
    with pytest.raises((AssertionError, BaseExceptionGroup)):
        quick(test_proof.anew(name))()
