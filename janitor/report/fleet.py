"""The report of a fleet: sums by account, organizational unit and Region, and what failed where.

It is one JSON object for programs, and one self-contained page for people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from janitor.core.loss import loss
from janitor.core.model import Status, Verb
from janitor.core.tally import Tally
from janitor.core.text import counted, sentence, size, visible
from janitor.cost.money import Ledger, asking
from janitor.cost.prices import PriceList
from janitor.report.base import RunInfo, dollars, unit
from janitor.report.summary import CHANGES, doing, summarize

SLOWEST = 3
"""Quotas that the summary names at most."""


@dataclass(frozen=True, slots=True)
class Place:
    """An account, or one of its Regions. `path` names its organizational units, topmost first."""

    account: str
    name: str = ""
    path: Sequence[str] = ()
    region: str | None = None

    @property
    def unit(self) -> str:
        """The organizational units, joined by slashes."""
        return unit(self.path)


@dataclass(frozen=True, slots=True)
class Asked:
    """The calls made for one target, as `janitor.aws.api.Counts` holds them."""

    calls: Mapping[str, int] = field(default_factory=dict)
    throttled: Mapping[str, int] = field(default_factory=dict)
    pace: Sequence[Mapping[str, Any]] = ()
    owner_calls: int = 0
    metrics: Mapping[str, int] = field(default_factory=dict)


@dataclass
class _Sums:
    """Counts of some targets. `refused_in` counts those of them where nothing may be deleted, and
    `refused` says why an account is over its limits.
    """

    tally: Tally = field(default_factory=Tally)
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    targets: int = 0
    failed: int = 0
    refused: str | None = None
    refused_in: Tally = field(default_factory=Tally)

    @property
    def would(self) -> Counter[Verb]:
        """What the limits allow of the plan."""
        return self.tally.would(self.refused_in)

    def as_dict(self, prices: PriceList) -> dict[str, Any]:
        tally, money = self.tally, Ledger.resumed(self.rows).as_dict(prices)
        return {
            "targets": self.targets,
            "targets_failed": self.failed,
            "groups_scanned": tally.scanned,
            "stored_bytes": tally.stored_bytes,
            "storage_usd": money["storage_usd"],
            "saved_steady_usd": money["saved_steady_usd"],
            "freed_at_once_bytes": money["freed_at_once_bytes"],
            "planned": {verb.value: tally.planned[verb] for verb in CHANGES},
            "would": {verb.value: self.would[verb] for verb in CHANGES},
            "retention_set": tally.done[Verb.SET_RETENTION],
            "groups_deleted": tally.done[Verb.DELETE_GROUP],
            "streams_deleted": tally.done[Verb.SWEEP_STREAMS],
            "unknown": tally.by_status[Status.UNKNOWN],
            "failed": tally.by_status[Status.FAILED],
            "refused_because": self.refused,
        }


class FleetReport:
    """Adds up the results of accounts and Regions."""

    def __init__(self, prices: PriceList) -> None:
        self._prices = prices
        self._total = _Sums()
        self._accounts: dict[str, _Sums] = {}
        self._places: dict[str, Place] = {}
        self._units: dict[str, _Sums] = {}
        self._regions: dict[str, _Sums] = {}
        self._failed: list[dict[str, Any]] = []
        self._calls: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._pace: list[Mapping[str, Any]] = []
        self._owner_calls = 0
        self._metrics: Counter[str] = Counter()

    def account(self, place: Place, why: str = "") -> None:
        """Add an account. `why` says why nothing is known of its Regions; "" if something is."""
        self._places[place.account] = place
        self._accounts.setdefault(place.account, _Sums())
        self._units.setdefault(place.unit, _Sums())
        if why:
            self._fails(place, why)

    def refused(self, account: str, why: str) -> None:
        """Note that, and why, the limits refuse deletions and sweeps in an account."""
        self._accounts[account].refused = why

    def target(
        self,
        place: Place,
        tally: Tally,
        money: Sequence[Mapping[str, Any]],
        asked: Asked,
        why: str = "",
        *,
        refused: bool = False,
    ) -> None:
        """Add a Region of an account that was added before.

        `money` are rows of `janitor.cost.money.Ledger`. `why` says why the Region did not finish;
        "" if it did. `refused`: deletions are refused there.
        """
        sums = (
            self._total,
            self._accounts[place.account],
            self._units[place.unit],
            self._regions.setdefault(str(place.region), _Sums()),
        )
        errors = list(dict.fromkeys([*tally.errors, *([why] if why else [])]))
        for one in sums:
            one.tally.include(tally)
            if refused:
                one.refused_in.include(tally)
            one.rows += money
            one.targets += 1
            one.failed += bool(errors)
        for error in errors:
            self._fails(place, error)
        self._calls.update(asked.calls)
        self._throttled.update(asked.throttled)
        self._owner_calls += asked.owner_calls
        self._metrics.update(asked.metrics)
        pace = sorted([*self._pace, *asked.pace], key=lambda quota: -float(str(quota["seconds"])))
        self._pace = pace[:SLOWEST]

    def _fails(self, place: Place, why: str) -> None:
        why = why.removeprefix(f"{place.account}/{place.region}: ")
        self._failed.append({"account": place.account, "region": place.region, "why": why})

    def as_dict(
        self, info: RunInfo, refused: str | None, warnings: Sequence[str]
    ) -> dict[str, Any]:
        """Return the report; `refused` says why nothing was deleted or swept in any account."""
        total, prices = self._total.tally, self._prices
        failed = list(dict.fromkeys(one["account"] for one in self._failed))
        total.errors = [_line(one) for one in self._failed]
        for warning in warnings:
            total.warn(warning)
        over = {name: sums.refused for name, sums in self._accounts.items() if sums.refused}
        if over and not refused:
            accounts = counted(len(over), "account")
            refused = f"nothing is deleted in {accounts} over the limits: {', '.join(over)}"
        summary = summarize(
            total,
            Ledger.resumed(self._total.rows).as_dict(prices),
            self._calls,
            self._throttled,
            self._pace,
            would=self._total.would if info.dry_run else None,
            refused_because=refused,
            asked=asking(self._owner_calls, self._metrics, prices),
        )
        counts = {
            "accounts": len(self._accounts),
            "accounts_failed": len(failed),
            "targets": self._total.targets,
            "targets_failed": self._total.failed,
        }
        return {
            "run": info.as_dict(),
            "summary": {**counts, **summary.as_dict()},
            "total": self._total.as_dict(prices),
            "accounts": [
                {
                    "account": account,
                    "name": self._places[account].name,
                    "organizational_unit": self._places[account].unit,
                    **sums.as_dict(prices),
                }
                for account, sums in sorted(self._accounts.items())
            ],
            "organizational_units": self._rows("organizational_unit", self._units),
            "regions": self._rows("region", self._regions),
            "failed": self._failed,
        }

    def _rows(self, key: str, sums: Mapping[str, _Sums]) -> list[dict[str, Any]]:
        return [{key: name, **each.as_dict(self._prices)} for name, each in sorted(sums.items())]


def _line(failed: Mapping[str, Any]) -> str:
    place = "/".join(filter(None, (failed["account"], failed["region"])))
    return f"{place}: {failed['why']}"


HEADS = {
    "groups_scanned": "Log groups",
    "stored_bytes": "Stored",
    "storage_usd": "Cost a month",
    "retention_set": "Retention set",
    "groups_deleted": "Groups deleted",
    "streams_deleted": "Streams deleted",
    "saved_steady_usd": "Saves a month",
    "unknown": "Unknown",
    "failed": "Failed",
    "targets_failed": "Regions failed",
}
"""The columns of every table of the page, by what they show."""
_PLANNED = {
    "retention_set": Verb.SET_RETENTION,
    "groups_deleted": Verb.DELETE_GROUP,
    "streams_deleted": Verb.SWEEP_STREAMS,
}
_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 2rem;width:100%}
caption{text-align:left;font-weight:600;font-size:1.15rem;padding:.4rem 0}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #8884}
th:first-child,td:first-child,td.text,th.text{text-align:left}
td{white-space:nowrap}td:first-child,td.text:last-child{white-space:normal;overflow-wrap:break-word}
tr.all td{font-weight:600}
.bad{color:#b3261e;font-weight:600}
@media (prefers-color-scheme:dark){body{background:#111;color:#eee}.bad{color:#ff8a80}}
"""


def page(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the page, which has no script, of what `FleetReport.as_dict` returned."""
    run, summary = report["run"], report["summary"]
    heading = f"Log groups of {_text(counted(summary['accounts'], 'account'))}"
    dry_run = bool(run["dry_run"])
    changed = any(summary[key] for key in _PLANNED)
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{heading}</title><style>{_STYLE}</style></head><body><main><h1>{heading}</h1>"
        f"<p>Run {_text(run['id'])}, begun {_text(run['started'])}: "
        f"{_text(doing(dry_run=dry_run, changed=changed))}.</p>"
    )
    if refused := summary.get("refused_because"):
        yield f'<p class="bad">Refused: {_text(refused)}</p>'
    lost = loss(summary["money"]["freed_at_once_bytes"], dry_run=dry_run)
    yield f"<p>{_text(sentence(lost))}</p>"
    yield from _problems(report)
    total = report["total"]
    for caption, rows, keys, last in (
        ("By account", report["accounts"], ("account", "name"), total),
        ("By organizational unit", report["organizational_units"], ("organizational_unit",), None),
        ("By Region", report["regions"], ("region",), None),
    ):
        yield from _table(caption, rows, keys, dry_run=dry_run, total=last)
    yield f"<p>{_text(summary['money']['note'])}</p></main></body></html>\n"


def _problems(report: Mapping[str, Any]) -> Iterator[str]:
    failed, warnings = report["failed"], report["summary"]["warnings"]
    if not failed and not warnings:
        return
    yield (
        "<table><caption>What failed</caption><tr><th>Account</th>"
        '<th class="text">Region</th><th class="text">Why</th></tr>'
    )
    for one in failed:
        texts = (one["account"], one["region"] or "every Region", one["why"])
        cells = "".join(f'<td class="text">{_text(text)}</td>' for text in texts)
        yield f"<tr>{cells}</tr>"
    for warning in warnings:
        yield f'<tr><td></td><td></td><td class="text">{_text(warning)}</td></tr>'
    yield "</table>"


def _table(
    caption: str,
    rows: Sequence[Mapping[str, Any]],
    keys: Sequence[str],
    *,
    dry_run: bool,
    total: Mapping[str, Any] | None = None,
) -> Iterator[str]:
    heads = "".join(
        f"<th>{_text(head)}{' (would be)' if dry_run and key in _PLANNED else ''}</th>"
        for key, head in HEADS.items()
    )
    yield f"<table><caption>{caption}</caption><tr><th></th>{heads}</tr>"
    for row in rows:
        over = ' <span class="bad">over its limit</span>' if row["refused_because"] else ""
        name = " ".join(filter(None, (row[key] for key in keys)))
        yield f"<tr><td>{_text(name)}{over}</td>{_cells(row, dry_run=dry_run)}</tr>"
    if total is not None:
        yield f'<tr class="all"><td>All</td>{_cells(total, dry_run=dry_run)}</tr>'
    yield "</table>"


def _cells(row: Mapping[str, Any], *, dry_run: bool) -> str:
    return "".join(f"<td>{_text(_cell(row, key, dry_run=dry_run))}</td>" for key in HEADS)


def _cell(row: Mapping[str, Any], key: str, *, dry_run: bool) -> str:
    if dry_run and key in _PLANNED:
        return f"{row['would'][_PLANNED[key]]:,}"
    if key == "stored_bytes":
        return size(row[key])
    return dollars(row[key]) if key.endswith("_usd") else f"{row[key]:,}"


def _text(value: object) -> str:
    return escape(visible(str(value)))
