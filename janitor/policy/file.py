"""The policy file: what may be done to which log group. Parses TOML into one frozen `Policy`."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from janitor.core.errors import PolicyError
from janitor.core.model import METRIC_KEPT_DAYS, OWNER_GONE, LogGroup, Question
from janitor.policy.patterns import any_of, has_tag, matches, valid_pattern, valid_tag

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What PutRetentionPolicy accepts (CloudWatch Logs API reference)."""

_T = TypeVar("_T")
CheckOwners = Callable[[Sequence[str]], list[str]]
"""Returns the problems with names of owners: this package does not know the owner table."""

OWN_GROUP = "/cloudwatch-janitor/janitor"
SHIPPED = "the shipped policy"

LogClass = Literal["STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"]
Proof = Literal["arrivals", "events"]


def _valid_days(days: int) -> int:
    if days not in RETENTION_DAYS:
        raise ValueError(f"accepted days: {', '.join(map(str, RETENTION_DAYS))}")
    return days


Days = Annotated[
    int,
    AfterValidator(_valid_days),
    WithJsonSchema({"type": "integer", "enum": list(RETENTION_DAYS)}),
]
QuietDays = Annotated[int, Field(ge=1, le=METRIC_KEPT_DAYS)]
GraceDays = Annotated[int, Field(ge=0, le=3653)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(valid_pattern)]
Tag = Annotated[str, Field(min_length=1), AfterValidator(valid_tag)]


class _Strict(BaseModel):
    """Unknown keys and wrong types are errors: a mistyped key must not widen what is deleted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _band_problem(low: int | None, high: int | None, days: int | None) -> str:
    """Describe how min_days, max_days and retention_days conflict; empty if they do not."""
    if low is not None and high is not None and low > high:
        return f"min_days {low} is more than max_days {high}"
    if days is not None and not (low or days) <= days <= (high or days):
        return f"retention_days {days} is outside min_days to max_days"
    return ""


class _Band(_Strict):
    retention_days: Days | None = Field(
        None, description="Retention for groups that have none in force. Absent: none is set."
    )
    min_days: Days | None = Field(None, description="Shorter retention is raised to this.")
    max_days: Days | None = Field(
        None, description="Longer retention is lowered to this, which deletes older events."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if problem := _band_problem(self.min_days, self.max_days, self.retention_days):
            raise ValueError(problem)
        return self


class Defaults(_Band):
    """What applies where no rule says otherwise. What is left out is not done."""

    delete_empty: bool = Field(False, description="Delete groups that are proved empty.")
    sweep_streams: bool = Field(False, description="Delete streams that have expired entirely.")
    grace_days: GraceDays = Field(7, description="Days added to retention before acting.")
    proof: Proof = Field("arrivals", description='"events" also reads the logs, which is stronger.')


_NAMES = 'Globs over the whole name, or "re:…".'
_TAGS = '"key", or "key=value" where the value may be a glob.'


class ProtectFromDeletion(_Strict):
    """Log groups that are never deleted; retention may be set and expired streams swept."""

    names: list[Pattern] = Field([], description=_NAMES)
    tags: list[Tag] = Field(["aws:cloudformation:stack-name"], description=_TAGS)
    owners: bool | list[str] = Field(
        True,
        description="Keep log groups that something uses: true checks every kind of owner, a list "
        "only those it names, false none.",
    )
    ignore_subscriptions_to: list[Pattern] = Field(
        [],
        description="Subscription filters to these destinations do not protect: globs over the "
        'ARN, or "re:…". For a forwarder that subscribes to every log group.',
    )

    @field_validator("owners")
    @classmethod
    def _known(cls, owners: bool | list[str], info: ValidationInfo) -> bool | list[str]:
        if info.context and not isinstance(owners, bool):
            check: CheckOwners = info.context["owners"]
            if problems := check(owners):
                raise ValueError("; ".join(problems))
        return owners


class Protect(_Strict):
    """Log groups that are never touched. They are kept without being judged, so they are never
    unknown.
    """

    names: list[Pattern] = Field([], description=_NAMES)
    tags: list[Tag] = Field(["janitor:keep"], description=_TAGS)
    deletion: ProtectFromDeletion = Field(default_factory=lambda: ProtectFromDeletion())
    own_groups: list[str] = Field([OWN_GROUP], description="The janitor's own log groups.")


class FleetLimits(_Strict):
    """Limits of a run for all its accounts together. Over one of them nothing is deleted or swept
    anywhere. A key that is left out is as in `[limits]`, which is little for many accounts.
    """

    max_group_deletions: int | None = Field(
        None, ge=0, description="Log groups that one run may delete in all its accounts together."
    )
    max_group_deletion_share: float | None = Field(
        None, ge=0, le=1, description="The same as a share of the log groups that were scanned."
    )
    max_stream_deletions: int | None = Field(
        None, ge=0, description="Log streams that one run may sweep in all its accounts together."
    )


class Limits(_Strict):
    """Limits of a run in each account. Over one of them nothing is deleted or swept there."""

    max_group_deletions: int = Field(
        500, ge=0, description="Log groups that one run may delete in an account, over all Regions."
    )
    max_group_deletion_share: float = Field(
        0.25, ge=0, le=1, description="The same as a share of the log groups that were scanned."
    )
    max_stream_deletions: int = Field(
        50_000, ge=0, description="Log streams that one run may sweep in an account."
    )
    api_share: float = Field(0.8, gt=0, le=1, description="Share of each API quota to use.")
    fleet: FleetLimits = Field(default_factory=lambda: FleetLimits())

    def over_all(self) -> Limits:
        """Return the limits for all accounts of a run together."""
        return self.model_copy(update=self.fleet.model_dump(exclude_none=True))


class Acknowledged(_Strict):
    """Log groups that may stay unjudged without exit code 5, until the end of a day."""

    names: list[Pattern] = Field(min_length=1, description='Globs over the whole name, or "re:…".')
    until: date = Field(description="The last day (UTC) on which it applies, as in 2027-06-30.")

    def __str__(self) -> str:
        """Return the entry for people, once its last day is over."""
        return f"acknowledged until {self.until}, which has passed: {', '.join(self.names)}"


def _valid_tag_key(key: str) -> str:
    if key.lower().startswith("aws:"):
        raise ValueError(f"{key!r}: the prefix aws: is reserved for AWS")
    if "=" in key or "*" in key:
        raise ValueError(f"{key!r}: must be the key of a tag, without a value or globs")
    return key


TagKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_valid_tag_key)]


class NewGroups(_Strict):
    """What new log groups get in addition to retention."""

    tags: list[TagKey] = Field(
        [],
        max_length=40,
        description="Keys of tags to copy from the function, cluster or database that the name "
        "points to. No tag is overwritten.",
    )


Usd = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
RegionName = Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)+-[0-9]+$")]


class Price(_Strict):
    """USD per GB for one log class. A price that is left out is as shipped, or unknown."""

    storage: Usd | None = Field(None, description="USD per GB and month.")
    ingestion: Usd | None = Field(None, description="USD per GB.")


class RegionPrices(_Strict):
    """Prices in a Region, by log class."""

    metrics: Usd | None = Field(None, description="USD per 1,000 metrics of GetMetricData.")
    STANDARD: Price | None = None
    INFREQUENT_ACCESS: Price | None = None
    ESSENTIALS: Price | None = None
    DELIVERY: Price | None = None


class Prices(_Strict):
    """Prices of CloudWatch Logs that replace those in `janitor/cost/prices.toml`."""

    date: str | None = Field(None, description="When these prices applied; shown in reports.")
    source: str | None = Field(None, description="Where they are from; shown in reports.")
    regions: dict[RegionName, RegionPrices] = Field(default_factory=dict, description="By Region.")


class Rule(_Band):
    """The first rule whose conditions all hold decides. What it leaves out is as in `defaults`."""

    id: str = Field(min_length=1, description="Its name in plans, journals and reports.")
    names: list[Pattern] | None = Field(
        None, min_length=1, description='Condition: globs over the whole name, or "re:…".'
    )
    tags: list[Tag] | None = Field(
        None, min_length=1, description='Condition: "key", or "key=value" with a glob.'
    )
    classes: list[LogClass] | None = Field(
        None, min_length=1, description="Condition: the log class."
    )
    regions: list[Pattern] | None = Field(
        None, min_length=1, description='Condition: globs over the Region, or "re:…".'
    )
    orphan_days: QuietDays | None = Field(
        None,
        description="Condition: the owner that the name points to is gone, no other owner uses the "
        "log group, and nothing has arrived for this many days.",
    )
    quiet_days: QuietDays | None = Field(
        None,
        description="Condition: nothing has arrived for this many days, and the group is older.",
    )
    delete_empty: bool | None = Field(None, description="As in `[defaults]`.")
    sweep_streams: bool | None = Field(None, description="As in `[defaults]`.")
    grace_days: GraceDays | None = Field(None, description="As in `[defaults]`.")
    proof: Proof | None = Field(None, description="As in `[defaults]`.")

    @property
    def questions(self) -> tuple[Question, ...]:
        """The conditions that take calls to evaluate."""
        spans = dict.fromkeys(days for days in (self.orphan_days, self.quiet_days) if days)
        arrivals = (Question("arrivals", days) for days in spans)
        return (*([OWNER_GONE] if self.orphan_days else []), *arrivals)


CONDITIONS = tuple(key for key in Rule.model_fields if key not in {"id", *Defaults.model_fields})


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """A rule with the defaults filled in."""

    rule: str
    retention_days: int | None
    min_days: int | None
    max_days: int | None
    delete_empty: bool
    sweep_streams: bool
    grace_days: int
    proof: Proof
    questions: tuple[Question, ...] = ()


def _or_default(own: _T | None, default: _T) -> _T:
    return default if own is None else own


class Policy(_Strict):
    """The whole policy. `settings_for` returns the settings of a group."""

    defaults: Defaults = Field(default_factory=lambda: Defaults())
    protect: Protect = Field(default_factory=lambda: Protect())
    limits: Limits = Field(default_factory=lambda: Limits())
    acknowledged: list[Acknowledged] = Field(default_factory=list)
    new_groups: NewGroups = Field(default_factory=lambda: NewGroups())
    prices: Prices = Field(default_factory=lambda: Prices())
    rules: list[Rule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if problems := list(self._contradictions()):
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        ids: set[str] = set()
        for rule in self.rules:
            where = f"rule {rule.id!r}"
            if rule.id in ids or rule.id == "defaults":
                yield f"{where}: the id is used twice or reserved"
            ids.add(rule.id)
            if rule.orphan_days and not self.protect.deletion.owners:
                yield f"{where}: orphan_days needs owners to be checked"
            settings = self.filled(rule)
            band = settings.min_days, settings.max_days, settings.retention_days
            if problem := _band_problem(*band):
                yield f"{where}: {problem}, once [defaults] are filled in"

    def filled(self, rule: Rule) -> RuleSettings:
        """Return a rule's settings, with those of `[defaults]` for what it leaves out."""
        d = self.defaults
        return RuleSettings(
            rule=rule.id,
            retention_days=_or_default(rule.retention_days, d.retention_days),
            min_days=_or_default(rule.min_days, d.min_days),
            max_days=_or_default(rule.max_days, d.max_days),
            delete_empty=_or_default(rule.delete_empty, d.delete_empty),
            sweep_streams=_or_default(rule.sweep_streams, d.sweep_streams),
            grace_days=_or_default(rule.grace_days, d.grace_days),
            proof=_or_default(rule.proof, d.proof),
            questions=rule.questions,
        )

    @cached_property
    def _resolved(self) -> tuple[tuple[_Conditions, RuleSettings], ...]:
        everything = Rule(id="defaults")
        return tuple((_Conditions(rule), self.filled(rule)) for rule in [*self.rules, everything])

    @property
    def asks_for_tags(self) -> bool:
        """Whether any decision depends on tags. Tags that only protect from deletion do not matter
        if nothing is deleted.
        """
        scopes: list[Defaults | Rule] = [self.defaults, *self.rules]
        deletes = any(scope.delete_empty for scope in scopes)
        return self.tags_choose_retention or (deletes and bool(self.protect.deletion.tags))

    @property
    def tags_choose_retention(self) -> bool:
        """Whether retention depends on tags: they may exempt a log group or select its rule."""
        return bool(self.protect.tags) or any(rule.tags for rule in self.rules)

    @cached_property
    def questions(self) -> frozenset[Question]:
        """The conditions of all rules that take calls to evaluate."""
        return frozenset(question for rule in self.rules for question in rule.questions)

    def open_questions(self, group: LogGroup) -> tuple[Question, ...]:
        """Return the unanswered questions of the first rule that may match, if only they are left
        to decide whether it does.
        """
        for conditions, settings in self._resolved:
            miss = conditions.missed_by(group)
            if miss == "unanswered":
                return tuple(q for q in settings.questions if q not in (group.answers or {}))
            if miss is None or miss in _HIDDEN:
                break
        return ()

    def trials(self, group: LogGroup) -> list[tuple[RuleSettings, str | None]]:
        """Return the rules up to the first that matches: the settings of each, and why it does not
        match, or None for the one that does.

        A rule that depends on something unread ends the search with a text that starts with
        "unknown".
        """
        tried: list[tuple[RuleSettings, str | None]] = []
        for conditions, settings in self._resolved:
            miss = conditions.missed_by(group)
            tried.append((settings, None if miss is None else conditions.text(miss, group)))
            if miss is None or miss in _HIDDEN:
                break
        return tried

    def settings_for(self, group: LogGroup) -> RuleSettings | None:
        """Return the settings of the first rule that matches; None if that cannot be known."""
        for conditions, settings in self._resolved:
            miss = conditions.missed_by(group)
            if miss is None:
                return settings
            if miss in _HIDDEN:
                break
        return None

    def reads_events(self, group: LogGroup) -> bool:
        """Whether FilterLogEvents must find nothing either; true if the group's rule is unknown."""
        settings = self.settings_for(group)
        return settings is None or settings.proof == "events"

    def acknowledged_until(self, group: LogGroup, now: int) -> date | None:
        """Return the last day on which the group may stay unjudged; None if there is none, or it
        has passed. `now` in ms.
        """
        today = _day(now)
        valid = (entry for entry in self.acknowledged if entry.until >= today)
        days = (e.until for e in valid if any(matches(one, group.name) for one in e.names))
        return max(days, default=None)

    def expired(self, now: int) -> list[Acknowledged]:
        """Return the acknowledgements whose last day is over. `now` in ms."""
        return [entry for entry in self.acknowledged if entry.until < _day(now)]

    def with_own_groups(self, *names: str) -> Policy:
        """Return the policy with these names among the janitor's own log groups."""
        own = list(dict.fromkeys([*self.protect.own_groups, *names]))
        protect = self.protect.model_copy(update={"own_groups": own})
        return self.model_copy(update={"protect": protect})

    def only_retention(self, share: float) -> Policy:
        """Return the policy reduced to setting retention where none is in force: it deletes and
        sweeps nothing, changes no existing retention, and uses at most `share` of each quota.
        """
        only = {"delete_empty": False, "sweep_streams": False, "min_days": None, "max_days": None}
        share = min(self.limits.api_share, share)
        # model_copy would keep the rules that this policy has cached as resolved.
        return Policy(
            defaults=self.defaults.model_copy(update=only),
            protect=self.protect,
            limits=self.limits.model_copy(update={"api_share": share}),
            acknowledged=self.acknowledged,
            new_groups=self.new_groups,
            rules=[rule.model_copy(update=only) for rule in self.rules],
        )

    def digest(self) -> str:
        """Return a SHA-256 over what decides a run: not the file's layout, the pace, prices,
        acknowledgements or what new log groups get.
        """
        excluded = {"prices": True, "acknowledged": True, "new_groups": True}
        text = self.model_dump_json(
            exclude_none=True, exclude={**excluded, "limits": {"api_share"}}
        )
        return hashlib.sha256(text.encode()).hexdigest()


def _day(now: int) -> date:
    return datetime.fromtimestamp(now / 1000, UTC).date()


_Miss = Literal["names", "classes", "regions", "tags", "unread tags", "answer", "unanswered"]
"""Which condition of a rule does not hold. Its text is built only when shown, because most groups
miss most rules.
"""

_HIDDEN: tuple[_Miss, ...] = ("unread tags", "unanswered")
"""Misses for which it is not known whether the rule matches, so that no later rule may apply."""


class _Conditions:
    """A rule's conditions, compiled once for a million log groups."""

    __slots__ = ("_classes", "_names", "_questions", "_regions", "_rule", "_tags")

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._names = any_of(rule.names)
        self._classes = rule.classes
        self._regions = any_of(rule.regions)
        self._tags = rule.tags
        self._questions = rule.questions

    def missed_by(self, group: LogGroup) -> _Miss | None:
        """Return the first condition that the group does not meet; None if it meets all."""
        if self._names is not None and not self._names(group.name):
            return "names"
        if self._classes and group.log_class not in self._classes:
            return "classes"
        if self._regions is not None and not self._regions(group.target.region):
            return "regions"
        if self._tags:
            if group.tags is None:
                return "unread tags"
            if not any(has_tag(tag, group.tags) for tag in self._tags):
                return "tags"
        if self._questions:
            holds = [self._holds(group, question) for question in self._questions]
            if False in holds:
                return "answer"
            if None in holds:
                return "unanswered"
        return None

    @staticmethod
    def _holds(group: LogGroup, question: Question) -> bool | None:
        answer = None if group.answers is None else group.answers.get(question)
        return None if answer is None else answer.holds

    def text(self, miss: _Miss, group: LogGroup) -> str:
        """Return why the group misses the rule, for people."""
        rule = self._rule
        match miss:
            case "names":
                return f"the name matches none of {rule.names}"
            case "classes":
                return f"class {group.log_class} is not in {rule.classes}"
            case "regions":
                return f"Region {group.target.region} matches none of {rule.regions}"
            case "tags":
                return f"the tags match none of {rule.tags}"
            case "unread tags":
                return f"unknown: tags were not read ({group.tags_error or 'not asked for'})"
            case "answer" | "unanswered":
                holds = False if miss == "answer" else None
                first = next(q for q in self._questions if self._holds(group, q) is holds)
                answer = (group.answers or {}).get(first)
                finding = "not asked yet" if answer is None else answer.evidence.finding
                return finding if miss == "answer" else f"unknown: {finding}"


def load(path: Path | None, owners: CheckOwners | None = None) -> Policy:
    """Load the policy in `path` (`-`: stdin), or the shipped one. `owners` checks owner names.

    Raises PolicyError with every problem found, each naming rule, key, value and what is accepted.
    """
    if path is None:
        return parse(
            (resources.files("janitor.policy") / "default_policy.toml").read_text(), SHIPPED
        )
    stdin = str(path) == "-"
    source = "stdin" if stdin else str(path)
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if stdin else path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise PolicyError(source, [f"cannot be read: {error.strerror or error}"]) from error
    if len(data) > LARGEST:
        raise PolicyError(source, [f"is not a policy: it is larger than {LARGEST:,} bytes"])
    try:
        return parse(data.decode(), source, owners)
    except UnicodeDecodeError as error:
        raise PolicyError(source, [f"is not UTF-8 text: {error.reason}"]) from error


def parse(text: str, source: str, owners: CheckOwners | None = None) -> Policy:
    """Parse a policy. `source` names it in errors. Raises PolicyError like `load`."""
    text = text.removeprefix("\ufeff")  # editors on Windows write a byte order mark
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise PolicyError(source, [f"is not TOML: {error}"]) from error
    try:
        return Policy.model_validate(raw, context={"owners": owners} if owners else None)
    except ValidationError as error:
        from janitor.policy.mistakes import mistakes  # late: it imports the models above

        raise PolicyError(source, mistakes(error, raw, text)) from error


LARGEST = 1_000_000
"""Bytes of a policy file. A larger file must be something else."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the policy file, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cloudwatch-janitor policy",
        **{k: v for k, v in Policy.model_json_schema().items() if k != "title"},
    }
