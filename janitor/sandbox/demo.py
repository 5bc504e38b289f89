"""The demo account: about 300 log groups in two Regions, with every kind of decision among them.

It is always the same, down to its moment, so that outputs, pictures and documentation agree. Ages
are days before that moment.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import Any, Final

from janitor.core.clock import DAY_MS
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.store import Events, Group, Store
from janitor.sandbox.unknowns import Unknowns

ACCOUNT: Final = "123456789012"
GROUPS: Final[Mapping[str, int]] = {"eu-west-1": 190, "us-east-1": 110}
REGIONS: Final = tuple(GROUPS)
NOW: Final = 1_795_597_200_000
"""2026-11-25 09:00 UTC, in ms since the epoch."""

_SYSTEMS: Final = (
    *("orders", "payments", "checkout", "catalog", "search", "inventory", "users", "auth"),
    *("notifications", "billing", "shipping", "reviews", "pricing", "media", "reports"),
    *("sessions", "webhooks", "exports", "loyalty", "fraud"),
)
_BULK: Final = (
    *("/aws/lambda/{}-api", "/aws/lambda/{}-worker", "/aws/lambda/{}-cron", "/aws/lambda/{}-hook"),
    *("/ecs/{}", "/ecs/{}-sidecar", "/aws/rds/instance/{}-db/postgresql", "/aws/codebuild/{}"),
    *("API-Gateway-Execution-Logs_{}/prod", "/aws/apigateway/{}-http", "/aws/states/{}-saga"),
    *("/aws/kinesisfirehose/{}-to-s3", "/aws/eks/{}/cluster"),
)
_SHARED: Final[Mapping[str, int]] = {
    "/aws/vpc/flow-logs": 412_000_000_000,
    "/aws/cloudtrail/organization": 186_000_000_000,
    "/aws/containerinsights/prod/application": 97_000_000_000,
    "aws-waf-logs-storefront": 64_000_000_000,
    "RDSOSMetrics": 21_000_000_000,
    "/aws/route53/example.com": 3_400_000_000,
}
_SILENT: Final[Mapping[str, Mapping[str, tuple[int, int, int, int | None]]]] = {
    "eu-west-1": {
        # The instance no longer exists.
        "/aws/rds/instance/crm-old/postgresql": (1100, 150, 61_000_000_000, None),
        "/platform/batch/year-end": (900, 330, 4_200_000_000, 3653),
    }
}
"""Log groups that hold something, but have not been written to for long: by Region and name, their
age, the days of silence, the stored bytes and the retention."""
_ALNUM: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_SEED: Final = "b"
"""With this seed the largest log groups never expire, as is common."""
_UNCLEAR: Final = "/odd/unclear-metric"
_INGESTED_DAYS: Final = 35
"""Days of `IncomingBytes`; `--ingestion` asks for 30."""
_LAG_DAYS: Final = 3
_NOT_COUNTED_YET: Final = {"storedBytes": 0}
"""The stored bytes lag too."""


def sandbox(store: Store, now: int) -> Sandbox:
    """The account as it answers at `now` (ms), where its time stands still."""
    unknowns = Unknowns(unclear={_UNCLEAR: "PartialData"})
    return Sandbox(store, clock=ManualClock(now), unknowns=unknowns)


def account() -> Store:
    """The demo account at its moment."""
    store = Store(aliases={ACCOUNT: "storefront-production"})
    _Ireland(store, "eu-west-1").plant()
    _Virginia(store, "us-east-1").plant()
    return store


def _ago(days: float) -> int:
    return NOW - int(days * DAY_MS)


class _Content(ABC):
    """Plants the content of a Region, the same each time."""

    def __init__(self, store: Store, region: str) -> None:
        self._store = store
        self._region = store.region(ACCOUNT, region)
        self._random = Random(f"{_SEED}/{region}")

    def plant(self) -> None:
        """Plant the special groups first, then ordinary ones up to the Region's number."""
        self._special()
        for name, stored in _SHARED.items():
            self._ordinary(name, int(stored * self._random.uniform(0.3, 1)))
        names = [pattern.format(self._system(pattern, s)) for pattern in _BULK for s in _SYSTEMS]
        self._random.shuffle(names)
        silent = _SILENT.get(self._region.name, {})
        for name in names:
            if len(self._region) >= GROUPS[self._region.name] - len(silent):
                break
            if name not in self._region.groups:
                self._ordinary(name, int(10 ** self._random.uniform(3.5, 10.6)))
        for name, (age, days, stored, retention) in silent.items():
            group = self._group(name, age=age, stored=stored, retention=retention)
            self._streams(group, 5, oldest=age - 1, newest=days)

    @abstractmethod
    def _special(self) -> None:
        """Plant a group for every kind of decision."""

    def _system(self, pattern: str, system: str) -> str:
        gateway = pattern.startswith("API-Gateway")
        return "".join(self._random.choices(_ALNUM, k=10)) if gateway else system

    # ---- kinds of groups -------------------------------------------------------------------------

    def _ordinary(self, name: str, stored: int) -> None:
        """Plant a group in use. Most never expire, as AWS makes them."""
        rng = self._random
        retention = rng.choice([7, 14, 30, 90, 180, 365]) if rng.random() < 0.36 else None
        tags = {}
        if rng.random() < 0.6:
            tags = {"team": rng.choice(_SYSTEMS), "env": rng.choice(["prod", "prod", "dev"])}
        if rng.random() < 0.04:
            tags["aws:cloudformation:stack-name"] = f"{rng.choice(_SYSTEMS)}-prod"
        age = rng.randint(60, 1500)
        group = self._group(name, age=age, retention=retention, stored=stored, tags=tags)
        self._streams(group, rng.randint(1, 7), oldest=min(25, (retention or 25) - 1), newest=0)
        self._ingest(group, stored // min(age, retention or age))
        if name.startswith("/aws/lambda/"):
            self._function(name)

    def _deletable(
        self, name: str, *, age: int, retention: int | None = None, streams: int = 0, **facts: Any
    ) -> Group:
        group = self._group(name, age=age, retention=retention, **facts)
        # Silent for longer than its retention (365 days by the policy if it has none) and grace.
        self._streams(group, streams, oldest=age - 1, newest=(group.days or 365) + 20)
        return group

    def _sweepable(self, name: str, *, age: int, expired: int, retention: int | None) -> None:
        """Plant a live function's group whose old streams have expired, or will with 365 days."""
        stored = self._random.randint(2_000_000, 900_000_000)
        group = self._group(name, age=age, retention=retention, stored=stored)
        self._streams(group, expired, oldest=age - 1, newest=(retention or 365) + 15)
        self._streams(group, 6, oldest=6, newest=0)
        self._function(name)

    # ---- parts -----------------------------------------------------------------------------------

    def _group(self, name: str, *, age: int, **facts: Any) -> Group:
        created = _ago(age) - self._random.randrange(DAY_MS)
        return self._store.add_group(ACCOUNT, self._region.name, name, created=created, **facts)

    def _streams(self, group: Group, count: int, *, oldest: float, newest: float) -> None:
        """Plant streams created `oldest` to `newest` days ago, and last written within a day."""
        for _ in range(count):
            days = newest + (oldest - newest) * self._random.random()
            last = max(days - self._random.random(), 0.01)
            self._stream(group, self._stream_name(group.name, days), created=days, last=last)

    def _stream(
        self, group: Group, name: str, *, created: float, last: float, lag_days: float | None = None
    ) -> None:
        events = [(_ago(last), 40, 8_000)]
        lag = None if lag_days is None else lag_days * 86_400
        self._store.add_stream(group, name, created=_ago(created), events=events, lag=lag)

    def _stream_name(self, group: str, days: float) -> str:
        unique = f"{self._random.getrandbits(128):032x}"
        if group.startswith("/aws/lambda/"):
            created = datetime.fromtimestamp(_ago(days) / 1000, UTC)
            return f"{created:%Y/%m/%d}/[$LATEST]{unique}"
        return f"ecs/{group.removeprefix('/ecs/')}/{unique}" if "/ecs/" in group else unique

    def _ingest(self, group: Group, a_day: int) -> None:
        """Let about so many bytes a day arrive since the group was made, more on workdays."""
        usual = a_day * self._random.uniform(0.4, 1.6)
        arrivals = self._region.arrivals.setdefault(group.name, [])
        for day in range(_INGESTED_DAYS):
            at = _ago(day + 0.1)
            if at >= group.created:
                workday = datetime.fromtimestamp(at / 1000, UTC).weekday() < 5
                size = int(usual * self._random.uniform(0.8, 1.2) * (1 if workday else 0.4))
                arrivals.append(Events(at, max(size // 300, 1), size, at))

    def _function(self, log_group: str, name: str | None = None) -> None:
        """Plant a function that logs to its own group or, with a name, to another."""
        functions = self._region.functions
        functions[name or log_group.removeprefix("/aws/lambda/")] = name and log_group


class _Ireland(_Content):
    def _special(self) -> None:
        self._plant_deletable()
        self._plant_furnished()
        self._plant_protected()
        self._plant_alive()
        self._plant_classes()
        self._plant_under_account_policies()
        for name, age, expired, retention in (
            ("events-ingest", 400, 70, 14),
            ("image-resize", 620, 43, 30),
            ("mail-sender", 510, 5, 7),
            ("token-refresh", 330, 28, 30),
            ("stock-sync", 450, 61, 14),
            ("price-feed", 480, 12, None),
            ("geo-lookup", 720, 37, 30),
        ):
            self._sweepable(f"/aws/lambda/{name}", age=age, expired=expired, retention=retention)
        # Made by X-Ray's Transaction Search; only AWS can make a group of such a name.
        spans = (ACCOUNT, self._region.name, "aws/spans")
        self._store.add_group(*spans, created=_ago(520), retention=30)

    def _plant_deletable(self) -> None:
        self._deletable("/aws/lambda/orders-api-v1", age=800, retention=14, streams=70)
        self._deletable("/aws/lambda/pdf-render-2021", age=1290, retention=30)
        self._deletable("/aws/lambda/import-csv-old", age=640, retention=30, streams=8)
        self._deletable("/aws/lambda/black-friday-2022", age=980, retention=30, streams=130)
        never_written = self._deletable("/ecs/reports-legacy", age=900, retention=90, streams=3)
        self._store.add_stream(never_written, "ecs/reports/never-written", created=_ago(880))
        self._deletable("/aws/codebuild/monolith-build", age=1400)
        self._deletable("/aws/rds/instance/staging-old/postgresql", age=760, retention=7, streams=2)
        self._deletable(
            "API-Gateway-Execution-Logs_k3v9x2m7q1/dev", age=850, retention=60, streams=55
        )
        self._deletable("/aws/batch/migration-2023", age=930, retention=180, streams=24)
        self._deletable("/aws/glue/jobs/legacy-output", age=1050)
        self._deletable("/aws/apigateway/welcome", age=1500)

    def _plant_furnished(self) -> None:
        """Deletable groups with settings beyond retention, which an undo must restore."""
        tags = {"team": "media", "cost-centre": "4711"}
        self._deletable("/aws/lambda/legacy-thumbnailer", age=1100, tags=tags)
        key = f"arn:aws:kms:{self._region.name}:{ACCOUNT}:key/checkout"
        checkout = self._deletable(
            "/ecs/checkout-blue", age=700, retention=30, streams=120, kms=key
        )
        statement = {
            "Sid": "audit",
            "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"],
            "Operation": {"Deidentify": {"MaskConfig": {}}},
        }
        policy = {"Name": "emails", "Version": "2021-06-01", "Statement": [statement]}
        checkout.data_protection = json.dumps(policy)
        checkout.index = json.dumps({"Fields": ["requestId", "orderId"]})
        checkout.transformer = [{"parseJSON": {}}, {"lowerCaseString": {"withKeys": ["level"]}}]
        checkout.bearer = True

    def _plant_protected(self) -> None:
        """Groups that look empty, but are protected or in use."""
        self._group("/cloudwatch-janitor/janitor", age=400, retention=30)
        self._group("aws-controltower/CloudTrailLogs", age=1100, stored=2_000_000_000)
        self._group("/aws/lambda/disaster-recovery", age=600, retention=30)
        self._function("/aws/lambda/disaster-recovery")
        self._group("/platform/functions/nightly-audit", age=700, retention=90)
        self._function("/platform/functions/nightly-audit", "nightly-audit")
        # The function is in us-east-1: Lambda@Edge logs where its viewers are.
        self._group("/aws/lambda/us-east-1.edge-auth", age=650, retention=30)
        self._group("/legal/hold/2023-audit", age=1000, retention=365, tags={"janitor:keep": "yes"})
        stack = {"aws:cloudformation:stack-name": "platform-prod", "team": "platform"}
        self._group("/ecs/stack-managed-worker", age=580, tags=stack)
        ledger = self._group("/platform/protected/ledger", age=900, retention=90, protected=True)
        self._streams(ledger, 3, oldest=890, newest=120)
        self._filtered("/platform/metrics/failed-logins", "metric", "failed-logins", _FAILED_LOGINS)
        kinesis = {
            "destinationArn": f"arn:aws:kinesis:{self._region.name}:{ACCOUNT}:stream/access-log",
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/logs-to-kinesis",
        }
        self._filtered("/platform/shipped/access-log", "subscription", "to-kinesis", kinesis)

    def _filtered(self, name: str, kind: str, filter_name: str, content: dict[str, Any]) -> None:
        which = "metric_filters" if kind == "metric" else "subscriptions"
        group = self._group(name, age=800, retention=90, **{which: (filter_name,)})
        named = {"filterName": filter_name, "filterPattern": ""}
        group.filters[kind, filter_name] = named | content

    def _plant_alive(self) -> None:
        """Groups that look empty, but are young or still written to."""
        self._group("/aws/lambda/new-onboarding-flow", age=2)
        self._group("/ecs/payments-canary", age=9, retention=30)
        alive = self._group("/ecs/quiet-but-alive", age=500, retention=30, odd=_NOT_COUNTED_YET)
        self._streams(alive, 2, oldest=490, newest=60)
        self._stream(alive, "ecs/alive/lagging", created=480, last=1, lag_days=_LAG_DAYS)
        tail = self._group("/ecs/long-tail", age=720, retention=30, odd=_NOT_COUNTED_YET)
        self._streams(tail, 64, oldest=700, newest=60)
        self._stream(tail, "zzz/the-live-one", created=400, last=3)
        shrinking = self._group("/ecs/slow-to-shrink", age=540, retention=30, stored=48_213)
        self._streams(shrinking, 5, oldest=530, newest=45)
        probe = self._group("/ecs/canary-probe", age=500, retention=30)
        self._store.add_stream(probe, "ecs/probe/never-written", created=_ago(2))

    def _plant_classes(self) -> None:
        delivery = "/aws/vendedlogs/delivery/cdn-access"
        self._group(delivery, age=300, log_class="DELIVERY", stored=5_242_880)
        infrequent = {"log_class": "INFREQUENT_ACCESS"}
        clicks = "/archive/infrequent/clickstream"
        group = self._group(clicks, age=620, stored=38_000_000_000, **infrequent)
        self._streams(group, 4, oldest=600, newest=1)
        self._ingest(group, 61_000_000)
        self._group("/archive/infrequent/retired-batch", age=700, retention=30, **infrequent)

    def _plant_under_account_policies(self) -> None:
        policy = partial(self._store.add_policy, ACCOUNT, self._region.name)
        policy("ninety-days", 90, "/managed/quarterly/")
        policy("keep-for-ever", None, "/compliance/")
        ingest = self._group("/managed/quarterly/ingest", age=410, stored=9_700_000_000)
        self._streams(ingest, 4, oldest=80, newest=1)
        self._ingest(ingest, 107_000_000)
        self._deletable("/managed/quarterly/retired", age=500, streams=4)
        trail = self._group("/compliance/trail", age=1300, stored=152_000_000_000)
        self._streams(trail, 3, oldest=1290, newest=1)
        self._ingest(trail, 116_000_000)
        self._group("/compliance/empty-vault", age=900, retention=30)


class _Virginia(_Content):
    def _special(self) -> None:
        self._deletable("/aws/lambda/promo-banner-2021", age=1200)
        self._deletable("/aws/lambda/edge-rewrite-v1", age=690, retention=14, streams=60)
        self._deletable("/ecs/search-green", age=560, retention=30, streams=9)
        self._deletable("/aws/codebuild/frontend-2020", age=1600)
        self._deletable("/aws/rds/instance/poc-mysql/error", age=810, retention=7, streams=1)
        self._deletable("API-Gateway-Execution-Logs_z8w1c5t4b0/test", age=770)
        notebooks = "/aws/sagemaker/NotebookInstances"
        self._deletable(notebooks, age=990, retention=90, streams=6)
        self._group("/ecs/search-next", age=12, retention=14)
        # Kept for its function; as it has no retention, it gets one.
        self._group("/aws/lambda/break-glass", age=640)
        self._function("/aws/lambda/break-glass")
        self._function("/aws/lambda/edge-auth")
        stack = {"aws:cloudformation:stack-name": "build-prod"}
        self._group("/aws/codebuild/stack-managed-build", age=480, retention=30, tags=stack)
        odd = {"creationTime": ...}
        self._deletable(_UNCLEAR, age=430, retention=30, streams=2)
        self._group("/odd/no-creation-time", age=500, retention=30, odd=odd)
        self._sweepable("/aws/lambda/click-collector", age=420, expired=52, retention=14)
        self._sweepable("/aws/lambda/ab-assigner", age=300, expired=19, retention=30)
        self._sweepable("/aws/lambda/feed-export", age=540, expired=33, retention=None)


_FAILED_LOGINS: Final = {
    "filterPattern": "FAILED",
    "metricTransformations": [
        {"metricName": "FailedLogins", "metricNamespace": "App", "metricValue": "1"}
    ],
}
