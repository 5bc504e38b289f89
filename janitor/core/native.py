"""Account-level retention policies and planned changes to them. Standard library only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from janitor.core.model import Status, Target

NEVER = "NEVER_EXPIRE"
EVERY_GROUP = ("",)
"""The prefixes of a policy that covers all log groups."""
_CRITERIA = re.compile(r"\s*LogGroupNamePrefix\s+IN\s+(\[.*\])\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a policy: `days` (None: events never expire) for log groups whose names start
    with one of the `prefixes`; with `new_only`, only for those created after the policy.
    """

    days: int | None
    prefixes: tuple[str, ...]
    new_only: bool = True

    @property
    def document(self) -> str:
        """The policyDocument (botocore 1.44.5, PutAccountPolicy)."""
        mode = "NEW_ONLY" if self.new_only else "RETROACTIVE"
        return json.dumps({"retentionInDays": self.days or NEVER, "enforcementMode": mode})

    @property
    def criteria(self) -> str | None:
        """The selectionCriteria; None for all log groups. The API reference shows this form only
        for other types of policies; AWS's dry run validates it.
        """
        if "" in self.prefixes:
            return None
        return f"LogGroupNamePrefix IN {json.dumps(list(self.prefixes))}"

    def covers(self, prefix: str) -> bool:
        """Whether the policy covers any name that could start with `prefix`."""
        return any(own.startswith(prefix) or prefix.startswith(own) for own in self.prefixes)


@dataclass(frozen=True, slots=True, eq=False)
class AccountPolicy:
    """An account-level retention policy as AWS has it: its document and selection criteria."""

    name: str
    document: str
    criteria: str | None

    @classmethod
    def of(cls, name: str, terms: Terms) -> AccountPolicy:
        """Return the policy with these terms."""
        return cls(name, terms.document, terms.criteria)

    @property
    def terms(self) -> Terms | None:
        """The parsed terms; None if they are not understood."""
        try:
            document = json.loads(self.document)
            match = _CRITERIA.fullmatch(self.criteria) if self.criteria else None
            prefixes = json.loads(match[1]) if match else list(EVERY_GROUP)
            retention, mode = document["retentionInDays"], document["enforcementMode"]
            days = None if retention == NEVER else int(retention)
        except (ValueError, TypeError, KeyError):
            return None
        valid = isinstance(prefixes, list) and all(isinstance(one, str) for one in prefixes)
        if (self.criteria and not match) or not valid or mode not in ("NEW_ONLY", "RETROACTIVE"):
            return None
        return Terms(days, tuple(sorted(prefixes)), mode == "NEW_ONLY")

    def __eq__(self, other: object) -> bool:
        """Whether both have the same name and terms, however those are written."""
        if not isinstance(other, AccountPolicy) or self.name != other.name:
            return False
        same_text = (self.document, self.criteria) == (other.document, other.criteria)
        return same_text or (self.terms is not None and self.terms == other.terms)

    def __hash__(self) -> int:
        return hash(self.name)

    def text(self) -> str:
        """Return the policy for people: 90 days for new log groups under /app/."""
        terms = self.terms
        if terms is None:
            return f"{self.document} {self.criteria or 'for all log groups'}"
        days = "never expire" if terms.days is None else f"{terms.days} days"
        which = "new log groups" if terms.new_only else "log groups, existing ones too,"
        if "" in terms.prefixes:
            return f"{days} for all {which}".rstrip(",")
        return f"{days} for {which} under {', '.join(terms.prefixes)}"


@dataclass(frozen=True, slots=True)
class Impacted:
    """A log group in a dry run's result. Retention is in days, or NEVER_EXPIRE."""

    group: str
    current: str
    proposed: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Impact:
    """AWS's own estimate of what a change would do (botocore 1.44.5, DryRunResult): how many log
    groups get a longer, shorter or unchanged retention, how many could not be analyzed, and up to
    20 log groups that store most.
    """

    increased: int
    decreased: int
    unchanged: int
    failed: int
    top: tuple[Impacted, ...]


Verb = Literal["put", "delete", "keep", "refuse"]


@dataclass(frozen=True, slots=True)
class NativeItem:
    """A planned change to one policy, or a rule that cannot become one (`refuse`). `before` is the
    existing policy, `after` the wanted one; None for no policy.
    """

    target: Target
    action: Verb
    rule: str
    name: str
    status: Status
    reason: str
    before: AccountPolicy | None = None
    after: AccountPolicy | None = None
    impact: Impact | None = None
