"""Compares, previews and applies the policy's prefix rules as account-level retention policies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from janitor.aws.api import Api, ReadError
from janitor.core.clock import Stop, StoppedError
from janitor.core.errors import CredentialsError, JanitorError
from janitor.core.model import Status, Target
from janitor.core.native import AccountPolicy, NativeItem
from janitor.core.together import together
from janitor.journal.account_policies import PolicyChange, TargetPolicies
from janitor.journal.journal import Journal
from janitor.policy.file import Policy
from janitor.policy.native import OWN, Native, native_rules, policy_name


def compared(
    policy: Policy, target: Target, there: Mapping[str, AccountPolicy], *, ignore_protect: bool
) -> list[NativeItem]:
    """What to do about the target's policies, given those that exist: the rules in order, then what
    is to be removed. Policies that are not the janitor's are never among them.
    """
    others = [one for name, one in there.items() if not name.startswith(OWN)]
    items: list[NativeItem] = []
    refused: dict[str, str] = {}
    for found in native_rules(policy, others, ignore_protect=ignore_protect):
        if not isinstance(found, Native):
            name = policy_name(found.rule)
            refused[name] = found.rule
            items.append(
                NativeItem(target, "refuse", found.rule, name, Status.REFUSED, found.reason)
            )
            continue
        name, wanted = found.policy.name, found.policy
        before = there.get(name)
        item = NativeItem(
            target, "put", found.rule, name, Status.PLANNED, wanted.text(), before, wanted
        )
        if wanted == before:
            item = replace(item, action="keep", status=Status.KEPT, after=before)
        elif before is not None:
            item = replace(item, reason=f"{item.reason}; it is {before.text()} now")
        items.append(item)
    wanted_names = {item.name for item in items if item.after is not None}
    for name, own in sorted(there.items()):
        if name.startswith(OWN) and name not in wanted_names:
            rule = refused.get(name, "")
            why = (
                "its rule can no longer be an account-level policy" if rule else "its rule is gone"
            )
            reason = f"{why}; it is {own.text()}"
            items.append(NativeItem(target, "delete", rule, name, Status.PLANNED, reason, own))
    return items


class Natives:
    """Compares the account-level policies of several targets, and applies the changes."""

    def __init__(
        self, apis: Sequence[Api], policy: Policy, stop: Stop, *, ignore_protect: bool
    ) -> None:
        self.items: list[NativeItem] = []
        self.errors: list[str] = []
        self._policies = {api.target: TargetPolicies(api) for api in apis}
        self._policy = policy
        self._stop = stop
        self._ignore_protect = ignore_protect
        self._compared: dict[Target, dict[str, AccountPolicy]] = {}

    async def survey(self) -> None:
        """Compare, and let AWS preview each change. Raises only on bugs.

        An account allows one dry run at a time (botocore 1.44.5, PutAccountPolicy).
        """
        accounts: dict[str, list[TargetPolicies]] = defaultdict(list)
        for one in self._policies.values():
            accounts[one.target.account].append(one)
        found: dict[Target, list[NativeItem]] = {target: [] for target in self._policies}

        async def surveyed(inner: Sequence[TargetPolicies]) -> None:
            for one in inner:
                try:
                    found[one.target] = await self._survey_target(one)
                except StoppedError:
                    self.errors.append(f"{one.target}: not reached")
                except (*ReadError, JanitorError) as error:
                    text = f"the account-level policies could not be read: {error}"
                    self.errors.append(f"{one.target}: {text}")

        await together(*(surveyed(inner) for inner in accounts.values()))
        self.items = [item for items in found.values() for item in items]

    async def _survey_target(self, one: TargetPolicies) -> list[NativeItem]:
        there = self._compared[one.target] = await one.existing()
        items = compared(self._policy, one.target, there, ignore_protect=self._ignore_protect)
        previewed = []
        for item in items:
            if item.status is Status.PLANNED:
                try:
                    item = replace(item, impact=await one.preview(item.name, item.after))
                except ReadError as error:
                    reason = f"could not be previewed, so it is not changed: {error}"
                    item = replace(item, status=Status.FAILED, reason=reason)
            previewed.append(item)
        return previewed

    async def act(self, journal: Journal) -> None:
        """Apply what the survey found, unless somebody changed the policies since. Raises only on
        bugs.
        """
        done: list[NativeItem] = []
        for target, one in self._policies.items():
            mine = [item for item in self.items if item.target == target]
            done += await self._apply(one, mine, journal)
        self.items = done

    async def _apply(
        self, one: TargetPolicies, items: Sequence[NativeItem], journal: Journal
    ) -> list[NativeItem]:
        """Apply one target's changes. After a failure no more policies are put, because each relies
        on the longer ones before it; removals rely on nothing, and go on.
        """
        done: list[NativeItem] = []
        ended = await self._changed_since(one, items)
        failed = False
        for item in items:
            if item.status is Status.PLANNED:
                why = ended or (
                    "an earlier policy failed" if failed and item.action == "put" else ""
                )
                status, text = Status.NOT_REACHED, why
                if not why:
                    try:
                        status, text = await self._make(one, item, journal)
                    except CredentialsError as error:
                        self.errors.append(f"{one.target}: {error}")
                        text = ended = "the run stopped before this"
                item = replace(item, status=status, reason=text or item.reason)
            failed |= item.status in (Status.FAILED, Status.NOT_REACHED)
            done.append(item)
        return done

    async def _changed_since(self, one: TargetPolicies, items: Sequence[NativeItem]) -> str:
        """Why the target's policies may not be changed; "" if they may."""
        if not any(item.status is Status.PLANNED for item in items):
            return ""
        try:
            self._stop.check()
            if await one.existing() != self._compared[one.target]:
                return "the account-level policies changed since they were shown: run it again"
        except StoppedError:
            return "the run stopped before this"
        except (*ReadError, JanitorError) as error:
            return f"could not be checked again: {error}"
        return ""

    async def _make(
        self, one: TargetPolicies, item: NativeItem, journal: Journal
    ) -> tuple[Status, str]:
        """Make a change; return its status and reason. Raises CredentialsError, which concerns only
        this target.
        """
        change = PolicyChange("set_account_policy", item.name, item.before, item.after, item.reason)
        try:
            self._stop.check()
            return await one.make(change, journal)
        except StoppedError:
            return Status.NOT_REACHED, "the run stopped before this"
        except CredentialsError:
            raise
        except JanitorError as error:
            self.errors.append(str(error))
            self._stop.set("failed")
            return Status.NOT_REACHED, "the run stopped before this"
