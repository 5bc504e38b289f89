"""What the functions that keep the state of their runs in the bucket have in common."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from janitor import __version__
from janitor.aws.api import BOOKKEEPING_CONFIG, Counts
from janitor.aws.targets import Means
from janitor.core.clock import Stop
from janitor.core.errors import UsageError
from janitor.core.model import Target
from janitor.function import chain
from janitor.function.state import PREFIX, RunState, RunStore
from janitor.function.warm import Warm
from janitor.journal.archive import BucketJournal, key_of
from janitor.journal.journal import Lines
from janitor.policy.file import Policy
from janitor.report.base import RunInfo


@functools.cache
def code() -> str:
    """Return the version of the running code, with its digest: a deployment may change the code
    without a new release.
    """
    package = Path(__file__).parents[1]
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".toml"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    return f"{__version__}+{digest.hexdigest()[:12]}"


class RunHeader(Protocol):
    """What every record of a run holds; `started` in ms, `policy` is a digest."""

    run: str
    started: int
    policy: str
    dry_run: bool


class Runs(Warm):
    """A function whose runs span several invocations; `prefix` begins the keys of their objects."""

    prefix = PREFIX

    def _store(self, target: Target | None = None) -> RunStore:
        """Return the store of the runs' objects, or of a target's. Raises UsageError without a
        bucket.
        """
        name = self._settings.bucket
        if name is None:
            raise UsageError("environment: JANITOR_BUCKET is missing: runs keep their state in it")
        client = self._aws.client("s3", config=BOOKKEEPING_CONFIG)
        return RunStore(client, name, self._workers, self.prefix, target)

    def _means(self, counts: Counts, stop: Stop, policy: Policy) -> Means:
        return Means(self._clock, counts, stop, self._workers, policy.limits.api_share)

    @contextlib.asynccontextmanager
    async def _journal(
        self, store: RunStore, state: RunState, policy: Policy, name: str
    ) -> AsyncIterator[BucketJournal]:
        """The journal of this attempt at a link; `name` is the run's part of the keys."""
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

    def _stop_reason(self, state: RunState, policy: Policy) -> str:
        """Return why the run must stop; empty if it may go on."""
        if state.policy != policy.digest():
            return "the policy has changed since the run started: nothing more is done"
        return chain.too_long(
            state.link,
            state.since,
            self._clock.now(),
            max_links=int(self._settings.max_links),
            max_hours=int(self._settings.max_hours),
        )

    def _info(self, run: RunHeader, command: str, account: str, regions: list[str]) -> RunInfo:
        """Return what outputs say of the run; `account` may name several."""
        started = datetime.fromtimestamp(run.started / 1000, UTC)
        return RunInfo(
            id=run.run,
            command=command,
            version=__version__,
            started=started.isoformat(timespec="seconds"),
            account=account,
            regions=regions,
            policy=self._settings.policy_parameter or self._settings.policy_file or "shipped",
            policy_sha256=run.policy,
            dry_run=run.dry_run,
        )
