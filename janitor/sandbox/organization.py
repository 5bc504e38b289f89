"""An organization: its units, and which account is in which of them."""

from __future__ import annotations

from dataclasses import dataclass, field

ID = "o-sandbox000"
ROOT = "r-root"


@dataclass(frozen=True, slots=True)
class Unit:
    """An organizational unit, in another one or in the root."""

    name: str
    parent: str = ROOT


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's name, its parent, and its state (Organizations API reference, Account)."""

    name: str
    parent: str = ROOT
    state: str = "ACTIVE"


@dataclass(slots=True)
class Organization:
    """The organization that an account manages: `units` by id, `members` by account, and
    `administrators`, the members that may read it as well (delegated administrators).
    """

    management: str
    units: dict[str, Unit] = field(default_factory=dict)
    members: dict[str, Membership] = field(default_factory=dict)
    administrators: frozenset[str] = frozenset()
