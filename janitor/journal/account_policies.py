"""Preview account-level retention policies, and change them with a journal.

This is the only module that may change one, for `native` and for an undo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from janitor.aws.api import Api, CallError, ReadError
from janitor.aws.logs import AccountPolicies, Logs
from janitor.core.clock import StoppedError
from janitor.core.errors import CredentialsError
from janitor.core.model import Change, LogGroup, Status
from janitor.core.native import AccountPolicy, Impact
from janitor.journal.journal import Entry, Journal

Action = Literal["set_account_policy", "restore_account_policy"]


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """A change to a policy; `before` and `after` are None for no policy."""

    action: Action
    name: str
    before: AccountPolicy | None
    after: AccountPolicy | None
    reason: str


class TargetPolicies:
    """The policies of one target."""

    def __init__(self, api: Api) -> None:
        self.target = api.target
        self._clock = api.clock
        self._logs = Logs(api)
        self._policies = AccountPolicies(api)

    async def existing(self) -> dict[str, AccountPolicy]:
        """Return all policies by name, whoever made them. Raises ReadError, StoppedError."""
        return await self._logs.account_policies()

    async def preview(self, name: str, wanted: AccountPolicy | None) -> Impact:
        """Return AWS's dry run of a change. Raises ReadError, StoppedError."""
        return await self._policies.preview(name, wanted)

    async def make(self, change: PolicyChange, journal: Journal) -> tuple[Status, str]:
        """Announce the change, make it, record the outcome, and return it with its error text.

        Raises JournalError or CredentialsError.
        """
        place = LogGroup(self.target, change.name, "", 0, 0)
        journaled = Change(_state(change.before), _state(change.after))
        entry = Entry(self._clock.now(), change.action, place, journaled, change.reason)
        await journal.begin(entry)
        failure: Exception | None = None
        try:
            await self._policies.change(change.name, change.after)
        except (*ReadError, StoppedError, CredentialsError) as error:
            failure = error
        status = Status.FAILED if failure else Status.DONE
        text = (str(failure) or "stopped") if failure else ""
        perhaps = bool(failure) and not isinstance(failure, CallError)
        await journal.end(entry.ended(self._clock.now(), status, text, perhaps_done=perhaps))
        if isinstance(failure, CredentialsError):
            raise failure
        return status, text


def _state(policy: AccountPolicy | None) -> dict[str, Any]:
    """Return the policy as the journal records it."""
    if policy is None:
        return {}
    return {"document": policy.document, "criteria": policy.criteria}
