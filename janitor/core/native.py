"""Account-level retention policies, and what is to become of them. Standard library only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from janitor.core.model import Status, Target

NEVER = "NEVER_EXPIRE"
EVERY_GROUP = ("",)
"""The prefixes of a policy for all log groups."""
_CRITERIA = re.compile(r"\s*LogGroupNamePrefix\s+IN\s+(\[.*\])\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy says: `days` (None: events never expire) for log groups whose names begin with
    one of the `prefixes`; with `new_only` for those alone that are created after the policy.
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
        """The selectionCriteria; None, without any, stands for all log groups. The reference shows
        the form for other types of policies only; the dry run validates it.
        """
        if "" in self.prefixes:
            return None
        return f"LogGroupNamePrefix IN {json.dumps(list(self.prefixes))}"

    def covers(self, prefix: str) -> bool:
        """Whether some name may begin with `prefix` and be within the policy's."""
        return any(own.startswith(prefix) or prefix.startswith(own) for own in self.prefixes)


@dataclass(frozen=True, slots=True, eq=False)
class AccountPolicy:
    """An account-level retention policy as AWS has it: its document and selection criteria."""

    name: str
    document: str
    criteria: str | None

    @classmethod
    def of(cls, name: str, terms: Terms) -> AccountPolicy:
        """The policy that says so."""
        return cls(name, terms.document, terms.criteria)

    @property
    def terms(self) -> Terms | None:
        """What it says; None where that is not understood."""
        try:
            said = json.loads(self.document)
            found = _CRITERIA.fullmatch(self.criteria) if self.criteria else None
            prefixes = json.loads(found[1]) if found else list(EVERY_GROUP)
            days, mode = said["retentionInDays"], said["enforcementMode"]
            term = None if days == NEVER else int(days)
        except (ValueError, TypeError, KeyError):
            return None
        known = isinstance(prefixes, list) and all(isinstance(one, str) for one in prefixes)
        if (self.criteria and not found) or not known or mode not in ("NEW_ONLY", "RETROACTIVE"):
            return None
        return Terms(term, tuple(sorted(prefixes)), mode == "NEW_ONLY")

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, however it is written."""
        if not isinstance(other, AccountPolicy) or self.name != other.name:
            return False
        as_written = (self.document, self.criteria) == (other.document, other.criteria)
        return as_written or (self.terms is not None and self.terms == other.terms)

    def __hash__(self) -> int:
        return hash(self.name)

    def text(self) -> str:
        """For people: 90 days for new log groups under /app/."""
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
    """A log group in a dry run's list. Retention is in days, or NEVER_EXPIRE."""

    group: str
    current: str
    proposed: str
    stored_bytes: int


@dataclass(frozen=True, slots=True)
class Impact:
    """AWS's own estimate of what a change would do (botocore 1.44.5, DryRunResult): log groups
    whose retention gets longer, shorter, or stays; those that could not be analyzed; and those that
    hold most, at most 20.
    """

    increased: int
    decreased: int
    unchanged: int
    failed: int
    top: tuple[Impacted, ...]


Verb = Literal["put", "delete", "keep", "refuse"]


@dataclass(frozen=True, slots=True)
class NativeItem:
    """What is to become of one policy, or of one rule that cannot be made one (`refuse`). `before`
    is what there is, `after` what is wanted; None for no policy.
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
