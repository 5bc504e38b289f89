"""The table of owners: who may use a log group, and how to find out. Its rows: `owners.toml`."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib.resources import files
from typing import Any, Literal

from janitor.core.errors import UsageError

Severity = Literal["breaks", "silent", "recreated"]
"""What happens to an owner without its log group: it stops working, it loses its logs without an
error, or it recreates the log group without its settings.
"""

_WITHOUT: dict[Severity, str] = {
    "breaks": "it would stop working without it",
    "silent": "its logs would be lost",
    "recreated": "it would recreate the log group, without retention",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a row, made for each result of the step before. See `owners.toml`."""

    call: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    token: tuple[str, str] | None = None
    each: str | None = None
    chunk: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Calls, and the references in the last answers; the errors `none` mean that nobody exists."""

    steps: tuple[Step, ...]
    refs: str
    none: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A question about one log group, whose name must match `names`, if there are any."""

    question: Question
    names: re.Pattern[str] | None = None

    def values(self, group: str) -> Mapping[str, str] | None:
        """Return the values that the calls take from the name, None if the name does not match."""
        if self.names is None:
            return {}
        match = self.names.match(group)
        return match and match.groupdict()


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A kind of owner. See `owners.toml`."""

    id: str
    service: str
    user: str
    severity: Severity
    without: str
    listing: Question
    probe: Probe | None
    actions: frozenset[str]
    quota: str
    source: str
    names: re.Pattern[str] | None = None
    usual: re.Pattern[str] | None = None
    speaks: re.Pattern[str] | None = None
    remakes: bool = False
    only: str | None = None
    home: str | None = None
    arn: str = ""

    def again(self) -> Row | None:
        """Return the row as it is cheap enough to be read again before deletions: one list, or its
        probe, of some rows only for their conventional names; None if neither is.
        """
        if len(self.listing.steps) == 1:
            return self
        if self.probe is None:
            return None
        return replace(self, names=self.names or self.probe.names)

    def may_own(self, group: str, region: str) -> bool:
        """Return whether it could own a log group of that name in that Region."""
        fixed = self.only or self.home
        if fixed is not None and partition(fixed) != partition(region):
            return False
        if self.only not in (None, region):
            return False
        return self.names is None or self.names.match(group) is not None

    def usually_owns(self, group: str, region: str) -> bool:
        """Return whether the name is one of its conventional ones."""
        usual = self.names or self.usual
        return usual is not None and bool(usual.match(group)) and self.may_own(group, region)

    def owner_named(self, group: str, region: str) -> str:
        """Return the owner that the log group's name identifies, "" if none of this kind."""
        parts = self._owner_in(group, region)
        return "" if parts is None else self.user.format(**parts)

    def arn_named(self, group: str, arn: str) -> str:
        """Return the ARN of the owner that a log group's name identifies, "" if unknown; `arn` is
        the log group's.
        """
        _, part, _, region, account, *_ = [*arn.split(":"), *[""] * 5]
        parts = self._owner_in(group, region)
        if parts is None or not self.arn:
            return ""
        return self.arn.format(partition=part, region=region, account=account, **parts)

    def _owner_in(self, group: str, region: str) -> Mapping[str, str] | None:
        """Return what a log group's name says of its owner, by the groups of `speaks`."""
        match = None if self.speaks is None else self.speaks.fullmatch(group)
        return match.groupdict() if match and self.may_own(group, region) else None

    def recreated_by(self, group: str, region: str) -> str:
        """Return who recreates a log group of that name, and when, as text; "" if unknown."""
        always = self.severity == "recreated"
        if not (always or self.remakes) or not self.usually_owns(group, region):
            return ""
        kind = re.split(r" [(]?\{", self.user)[0]
        next_one = (
            f"{kind} of that name" if self.owner_named(group, region) else f"{kind} that logs there"
        )
        recreates = "recreates" if always else "may recreate"
        return f"the next {next_one} {recreates} it, without retention"

    def probe_of(self, group: str) -> Mapping[str, str] | None:
        """Return the values for its probe, None if that might miss an owner of the log group."""
        if self.probe is None or (self.names is None and self.probe.names is not None):
            return None
        return self.probe.values(group)


def partition(region: str) -> str:
    """Return the AWS partition of a Region; partitions share neither services nor accounts."""
    match = re.match(r"(cn|us-gov|us-iso[a-z]?|eu-isoe|eusc)-", region)
    return match[1] if match else "aws"


@functools.cache
def table() -> tuple[Row, ...]:
    """Return all rows, the most important ones first."""
    text = files("janitor.owners").joinpath("owners.toml").read_text("utf-8")
    return tuple(_row(**entry) for entry in tomllib.loads(text)["rows"])


def unknown(owners: Sequence[str]) -> list[str]:
    """Return a message for each name that is not a row's, with the likeliest names."""
    known = [row.id for row in table()]
    problems = []
    for wanted in dict.fromkeys(owners):
        if wanted in known:
            continue
        first = re.split("[-_]", wanted)[0]
        related = [name for name in known if name.split("-")[0] == first]
        near = get_close_matches(wanted, related, cutoff=0) or get_close_matches(wanted, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        problems.append(f"there is no {wanted!r} ({hint})")
    return problems


def chosen(owners: bool | Sequence[str]) -> tuple[Row, ...]:
    """Return the rows that a policy's `owners` selects: all, none, or some. Raises UsageError."""
    if isinstance(owners, bool):
        return table() if owners else ()
    if problems := unknown(owners):
        raise UsageError(f"[protect.deletion] owners: {'; '.join(problems)}")
    return tuple(row for row in table() if row.id in owners)


def actions(rows: Sequence[Row]) -> frozenset[str]:
    """Return the IAM actions that reading the rows takes."""
    return frozenset(action for row in rows for action in row.actions)


@functools.cache
def operations() -> Mapping[str, frozenset[str]]:
    """Return the operations that the rows of the table call, by service."""
    called: dict[str, frozenset[str]] = {}
    for row in table():
        asked = [row.listing, *([row.probe.question] if row.probe else [])]
        steps = frozenset(step.call for question in asked for step in question.steps)
        called[row.service] = called.get(row.service, frozenset()) | steps
    return called


def services(rows: Sequence[Row]) -> frozenset[str]:
    """Return the services that the rows call, by botocore's names."""
    return frozenset(row.service for row in rows)


def _row(
    *,
    id: str,
    service: str,
    user: str,
    severity: Severity,
    source: str,
    without: str | None = None,
    iam: str | None = None,
    actions: Sequence[str] | None = None,
    needs: Sequence[str] = (),
    quota: str | None = None,
    probe: Mapping[str, Any] | None = None,
    names: str | None = None,
    usual: str | None = None,
    speaks: str | None = None,
    remakes: bool = False,
    only: str | None = None,
    home: str | None = None,
    arn: str = "",
    **listing: Any,
) -> Row:
    question = _question(**listing)
    asked = None if probe is None else _probe(**probe)
    steps = [*question.steps, *(asked.question.steps if asked else ())]
    return Row(
        id=id,
        service=service,
        user=user,
        severity=severity,
        without=without or _WITHOUT[severity],
        listing=question,
        probe=asked,
        actions=frozenset(
            [*(actions or (f"{iam or service}:{step.call}" for step in steps)), *needs]
        ),
        quota=quota or service,
        source=source,
        names=None if names is None else re.compile(names),
        usual=None if usual is None else re.compile(usual),
        speaks=None if speaks is None else re.compile(speaks),
        remakes=remakes,
        only=only,
        home=home,
        arn=arn,
    )


def _probe(*, names: str | None = None, **question: Any) -> Probe:
    return Probe(_question(**question), None if names is None else re.compile(names))


def _question(
    *, steps: Sequence[Mapping[str, Any]], refs: str, none: Sequence[str] = ()
) -> Question:
    return Question(tuple(_step(**step) for step in steps), refs, tuple(none))


def _step(
    *, call: str, token: Sequence[str] = (), each: str | None = None, chunk: int = 0, **more: Any
) -> Step:
    parameters = more.pop("with", {})
    if more:
        raise TypeError(f"{call}: {', '.join(more)}")
    return Step(call, parameters, (token[0], token[-1]) if token else None, each, chunk)
