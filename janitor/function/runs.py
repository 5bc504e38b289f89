"""What the functions have in common whose runs keep a state in the bucket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Protocol

from janitor import __version__
from janitor.aws.api import CLOSE_CONFIG, Counts
from janitor.aws.targets import Means
from janitor.core.clock import Stop
from janitor.core.errors import UsageError
from janitor.core.model import Target
from janitor.function import chain
from janitor.function.invocation import Warm
from janitor.function.state import PREFIX, RunState, RunStore
from janitor.journal.archive import BucketJournal, key_of
from janitor.journal.journal import Lines
from janitor.policy.file import Policy
from janitor.report.base import RunInfo


class Begun(Protocol):
    """What every record of a run says of it; `started` in ms, `policy` its digest."""

    run: str
    started: int
    policy: str
    dry_run: bool


class Runs(Warm):
    """A function whose runs go on over several invocations. `prefix` begins the keys of the objects
    that a run keeps.
    """

    prefix = PREFIX

    def _store(self, target: Target | None = None) -> RunStore:
        """The objects of runs, or of a run's target. Raises UsageError without a bucket."""
        name = self._settings.bucket
        if name is None:
            raise UsageError("environment: JANITOR_BUCKET is missing: runs keep their state in it")
        client = self._aws.client("s3", config=CLOSE_CONFIG)
        return RunStore(client, name, self._workers, self.prefix, target)

    def _means(self, counts: Counts, stop: Stop, policy: Policy) -> Means:
        return Means(self._clock, counts, stop, self._workers, policy.limits.api_share)

    @contextlib.asynccontextmanager
    async def _journal(
        self, store: RunStore, state: RunState, policy: Policy, name: str
    ) -> AsyncIterator[BucketJournal]:
        """The journal of this attempt at a link; `name` is the run's, as the keys have it."""
        began, link = self._clock.now(), state.link
        journal = BucketJournal(
            store.client,
            store.name,
            lambda part: key_of(state.account, state.started, name, link, began, part),
            Lines(state.run, policy.digest()),
            self._workers,
        )
        try:
            yield journal
        finally:
            await journal.close()

    def _may_not_go_on(self, state: RunState, policy: Policy) -> str:
        """Why nothing more is done in the run; empty if more may be."""
        if state.policy != policy.digest():
            return "the policy has changed since the run started: nothing more is done"
        return chain.too_long(
            state.link,
            state.started,
            self._clock.now(),
            max_links=int(self._settings.max_links),
            max_hours=int(self._settings.max_hours),
        )

    def _info(self, begun: Begun, command: str, account: str, regions: list[str]) -> RunInfo:
        """What outputs say of the run; `account` may be several."""
        started = datetime.fromtimestamp(begun.started / 1000, UTC)
        return RunInfo(
            id=begun.run,
            command=command,
            version=__version__,
            started=started.isoformat(timespec="seconds"),
            account=account,
            regions=regions,
            policy=self._settings.policy_parameter or self._settings.policy_file or "shipped",
            policy_sha256=begun.policy,
            dry_run=begun.dry_run,
        )
