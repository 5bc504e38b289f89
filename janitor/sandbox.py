"""The embedded demo account behind `--sandbox`: moto, in this process, without any network.

What moto does not model (log classes, deletion protection, account-level retention policies,
counted metric filters, stored bytes, the tagging API's list of ARNs, arrivals) is added here, to
the simulated cloud, and never faked in the janitor. The state lives as long as the outermost
`sandbox()`, so only within one process.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.awslambda.responses import LambdaResponse
from moto.cloudwatch.models import CloudWatchBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.ec2.models import EC2Backend
from moto.logs.exceptions import InvalidParameterException, ValidationException
from moto.logs.models import LogGroup as MotoGroup
from moto.logs.models import LogsBackend, logs_backends
from moto.logs.models import LogStream as MotoStream
from moto.logs.responses import LogsResponse
from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

ACCOUNT = "123456789012"
REGIONS = ("eu-west-1", "us-east-1")
SEED = 20_140_328
DAY_MS = 86_400_000

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_SESSION_TOKEN": "sandbox",
    "AWS_REGION": REGIONS[0],
    "AWS_DEFAULT_REGION": REGIONS[0],
    "AWS_EC2_METADATA_DISABLED": "true",
}
_lock = threading.RLock()
_depth = 0


@dataclass
class Extra:
    """What moto's log group lacks."""

    stored_bytes: int = 0
    log_class: str = "STANDARD"
    protected: bool = False
    policy: str | None = None
    policy_days: int | None = None
    arrivals: list[int] = field(default_factory=list)
    odd: dict[str, Any] = field(default_factory=dict)


@contextmanager
def sandbox(now_ms: int | None = None) -> Iterator[None]:
    """A filled demo account instead of AWS, for as long as the context lasts.

    A use within another one sees the same account. `now_ms` is what the ages are counted from.
    """
    global _depth
    if _depth:
        yield
        return
    hidden = [k for k in os.environ if k == "AWS_PROFILE" or k.startswith("AWS_ENDPOINT_URL")]
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, _CREDENTIALS))
        for key in hidden:
            del os.environ[key]
        stack.enter_context(mock_aws())
        for patched in _extensions():
            stack.enter_context(patched)
        _fill(now_ms if now_ms is not None else time.time_ns() // 1_000_000)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


# ---- what moto lacks -------------------------------------------------------------------------


def _extra(group: Any) -> Extra:
    extra = group.__dict__.setdefault("sandbox_extra", Extra())
    assert isinstance(extra, Extra)
    return extra


def _extensions() -> list[Any]:
    """Patches of moto that make it answer as AWS does."""
    process = BotocoreStubber.process_request
    describe_group = MotoGroup.to_describe_dict
    describe_stream = MotoStream.to_describe_dict
    describe_groups = LogsResponse.describe_log_groups
    create = LogsBackend.create_log_group
    delete_group, delete_stream = LogsBackend.delete_log_group, LogsBackend.delete_log_stream
    put, events = LogsBackend.put_retention_policy, LogsBackend.filter_log_events
    resources = ResourceGroupsTaggingAPIBackend.get_resources
    regions = EC2Backend.describe_regions

    def one_at_a_time(self: Any, request: Any) -> Any:
        with _lock:  # moto's backends are plain dictionaries, the janitor has many threads
            return process(self, request)

    def group_dict(self: Any) -> dict[str, Any]:
        extra, entry = _extra(self), describe_group(self)
        backend = logs_backends[self.account_id][self.region]
        entry["storedBytes"] = extra.stored_bytes
        entry["logGroupClass"] = extra.log_class
        entry["deletionProtectionEnabled"] = extra.protected
        entry["metricFilterCount"] = len(backend.describe_metric_filters(log_group_name=self.name))
        if extra.policy is not None:
            entry["retentionPolicyName"] = extra.policy
            entry.pop("retentionInDays", None)
            if extra.policy_days is not None:
                entry["retentionInDays"] = extra.policy_days
        entry.update(extra.odd)
        return {key: value for key, value in entry.items() if value is not None}

    def stream_dict(self: Any) -> dict[str, Any]:
        entry: dict[str, Any] = describe_stream(self)
        last = getattr(self, "sandbox_last", None)
        if last is not None:
            entry |= {"firstEventTimestamp": entry["creationTime"], "lastEventTimestamp": last}
            entry["lastIngestionTime"] = last
        return {**entry, "storedBytes": 0}

    def by_identifier(self: Any) -> Any:
        wanted = self._get_param("logGroupIdentifiers")
        if not wanted:
            return describe_groups(self)
        names = {identifier.split(":log-group:")[-1].removesuffix(":*") for identifier in wanted}
        groups = self.logs_backend.groups
        found = [groups[name].to_describe_dict() for name in sorted(names) if name in groups]
        return json.dumps({"logGroups": found})

    def created(self: Any, log_group_name: str, tags: Any, **kwargs: Any) -> Any:
        return create(self, log_group_name, tags or {}, **kwargs)

    def guarded(self: Any, name: str) -> None:
        if name in self.groups and _extra(self.groups[name]).protected:
            raise ValidationException("Deletion protection is enabled for this log group")

    def group_deleted(self: Any, log_group_name: str) -> None:
        guarded(self, log_group_name)
        delete_group(self, log_group_name)

    def stream_deleted(self: Any, log_group_name: str, log_stream_name: str) -> None:
        guarded(self, log_group_name)
        delete_stream(self, log_group_name, log_stream_name)

    def retained(self: Any, log_group_name: str, retention_in_days: Any) -> None:
        group = self.groups.get(log_group_name)
        if group is not None and _extra(group).log_class == "DELIVERY":
            raise InvalidParameterException("Log groups of class DELIVERY have no retention policy")
        put(self, log_group_name, retention_in_days)

    def filtered(self: Any, log_group_name: str, *args: Any, **kwargs: Any) -> Any:
        group = self.groups.get(log_group_name)
        if group is not None and _extra(group).log_class == "INFREQUENT_ACCESS":
            raise InvalidParameterException("Not supported for this log class")
        return events(self, log_group_name, *args, **kwargs)

    def tagged(self: Any, *args: Any, **kwargs: Any) -> Any:
        wanted = kwargs.get("resource_arn_list")
        if not wanted:
            return resources(self, *args, **kwargs)
        backend = logs_backends[self.account_id][self.region_name]
        found = [r for r in backend.iter_tagged_resources() if r.arn in wanted and r.tags]
        return None, found

    def arrivals(
        self: Any, queries: list[Any], start_time: datetime, end_time: datetime, **_: Any
    ) -> list[dict[str, Any]]:
        groups = logs_backends[self.account_id][self.region_name].groups
        results = []
        for query in queries:
            stat = query["MetricStat"]
            name = stat["Metric"]["Dimensions"][0]["Value"]
            period = int(stat["Period"])
            times = [
                datetime.fromtimestamp(at / 1000, UTC).replace(tzinfo=start_time.tzinfo)
                for at in (_extra(groups[name]).arrivals if name in groups else [])
            ]
            buckets = sorted(
                {
                    start_time
                    + timedelta(seconds=(at - start_time).total_seconds() // period * period)
                    for at in times
                    if start_time <= at < end_time
                }
            )
            results.append(
                {
                    "id": query["Id"],
                    "label": name,
                    "values": [1.0] * len(buckets),
                    "timestamps": buckets,
                    "status_code": "Complete",
                }
            )
        return results

    def functions(self: Any) -> str:
        listed = _FUNCTIONS.get(self.region, {})
        return json.dumps(
            {
                "Functions": [
                    {
                        "FunctionName": name,
                        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": group},
                    }
                    for name, group in listed.items()
                ]
            }
        )

    def enabled(self: Any, region_names: Any = None) -> Any:
        return [r for r in regions(self, region_names) if r.name in REGIONS]

    return [
        patch.object(BotocoreStubber, "process_request", one_at_a_time),
        patch.object(MotoGroup, "to_describe_dict", group_dict),
        patch.object(MotoStream, "to_describe_dict", stream_dict),
        patch.object(LogsResponse, "describe_log_groups", by_identifier),
        patch.object(LogsBackend, "create_log_group", created),
        patch.object(LogsBackend, "delete_log_group", group_deleted),
        patch.object(LogsBackend, "delete_log_stream", stream_deleted),
        patch.object(LogsBackend, "put_retention_policy", retained),
        patch.object(LogsBackend, "filter_log_events", filtered),
        patch.object(ResourceGroupsTaggingAPIBackend, "get_resources", tagged),
        patch.object(CloudWatchBackend, "get_metric_data", arrivals),
        patch.object(LambdaResponse, "list_functions", functions),
        patch.object(EC2Backend, "describe_regions", enabled),
    ]


# ---- what is in it ---------------------------------------------------------------------------

_FUNCTIONS: dict[str, dict[str, str]] = {
    "eu-west-1": {
        "orders-api": "/aws/lambda/orders-api",
        "invoice-pdf": "/aws/lambda/invoice-pdf",
        "nightly-export": "/aws/lambda/nightly-export",
        "quarterly-close": "/aws/lambda/quarterly-close",
        "audit-shipper": "/platform/audit-shipper",
    },
    "us-east-1": {"edge-headers": "/aws/lambda/edge-headers"},
}
_NEVER = (
    "/aws/rds/instance/{}/postgresql",
    "/ecs/{}",
    "API-Gateway-Execution-Logs_{}/prod",
    "/aws/codebuild/{}",
    "/aws/vpc/flow-logs/{}",
    "/aws/eks/{}/cluster",
)
_WORDS = (
    *("orders", "billing", "search", "catalog", "payments", "identity", "mailer", "reports"),
    *("gateway", "inventory", "pricing", "checkout", "reviews", "webhooks", "media", "ledger"),
)


class _Builder:
    """Makes the groups of one Region, with ages relative to `now` (ms)."""

    def __init__(self, region: str, now: int, dice: random.Random) -> None:
        self.backend = logs_backends[ACCOUNT][region]
        self._now = now
        self._dice = dice

    def group(
        self,
        name: str,
        age_days: float,
        *,
        retention: int | None = None,
        tags: dict[str, str] | None = None,
        arrived: float | None = None,
        **extra: Any,
    ) -> Any:
        """A log group made `age_days` ago; `arrived` is when its last events came, in days ago."""
        group = self.backend.create_log_group(name, tags or {})
        group.creation_time = self._moment(age_days)
        if retention is not None:
            group.set_retention_policy(str(retention))
            group.retention_in_days = retention
        group.sandbox_extra = Extra(**extra)
        if arrived is not None:
            group.sandbox_extra.arrivals = [self._now - int(arrived * DAY_MS)]
        return group

    def stream(self, group: Any, name: str, age_days: float, last_days: float | None) -> None:
        """A log stream made `age_days` ago and last written `last_days` ago (None: never)."""
        group.create_log_stream(name)
        stream = group.streams[name]
        stream.creation_time = self._moment(age_days)
        if last_days is not None:
            stream.sandbox_last = self._now - int(last_days * DAY_MS)

    def lambda_streams(self, group: Any, ages: list[float]) -> None:
        """Streams as Lambda names them, each written on one day only."""
        for number, age in enumerate(ages):
            day = self._moment(age).strftime("%Y/%m/%d")
            self.stream(group, f"{day}/[$LATEST]{number:032x}", age, age)

    def size(self, low: int, high: int) -> int:
        """A plausible number of bytes, from 10^low to 10^high."""
        return int(10 ** self._dice.uniform(low, high))

    def _moment(self, age_days: float) -> datetime:
        at = datetime.fromtimestamp((self._now - int(age_days * DAY_MS)) / 1000, UTC)
        return at.replace(tzinfo=None)


def _fill(now: int) -> None:
    for region, many in zip(REGIONS, (190, 110), strict=True):
        dice = random.Random(f"{SEED}{region}")
        build = _Builder(region, now, dice)
        _traps(build) if region == REGIONS[0] else _edge(build)
        _empties(build, 12 if region == REGIONS[0] else 6)
        number = 0
        while len(build.backend.groups) < many:
            number += 1
            word = f"{dice.choice(_WORDS)}-{number:03}"
            if number % 3:
                name = dice.choice(_NEVER).format(word)
                build.group(
                    name, dice.uniform(30, 1500), stored_bytes=build.size(4, 11), arrived=0.1
                )
            else:
                days = dice.choice((7, 14, 30, 90))
                build.group(
                    f"/app/{word}",
                    dice.uniform(100, 1500),
                    retention=days,
                    stored_bytes=build.size(5, 10),
                    arrived=0.1,
                )


def _empties(build: _Builder, count: int) -> None:
    """Groups of functions that no longer exist: nothing in them, or only expired streams."""
    for number in range(count):
        group = build.group(f"/aws/lambda/retired-{number:02}", 500 + 20 * number)
        ages = [400.0 + i for i in range((0, 3, 120)[number % 3])]
        build.lambda_streams(group, ages)


def _traps(build: _Builder) -> None:
    """One group for each reason to keep, and the live functions' streams."""
    build.group("/aws/lambda/cloudwatch-janitor", 900)
    build.group("/aws/lambda/quarterly-close", 900)
    build.group("/platform/audit-shipper", 900)
    build.group("/keep/by-tag", 900, tags={"janitor:keep": "true"})
    build.group("/keep/by-stack", 900, tags={"aws:cloudformation:stack-name": "core"})
    build.group("/keep/deletion-protected", 900, retention=30, protected=True)
    build.group("/keep/metric-filter", 900, retention=30)
    build.backend.put_metric_filter("errors", "ERROR", "/keep/metric-filter", "[]")
    group = build.group("/keep/subscribed", 900, retention=30)
    group.put_subscription_filter("ship", "", "arn:aws:firehose:eu-west-1::ship", "")
    build.group("/keep/delivery-class", 900, log_class="DELIVERY")
    build.group("/keep/account-policy-90", 900, policy="org", policy_days=90, stored_bytes=10**9)
    build.group("/keep/account-policy-never", 900, policy="org-audit")
    build.group("/keep/arrivals-behind-lagging-times", 900, retention=30, arrived=0.01)
    group = build.group("/keep/live-stream-on-page-two", 900, retention=30)
    for number in range(60):
        build.stream(group, f"old-{number:02}", 800, 700)
    build.stream(group, "worker", 800, 0.5)
    group = build.group("/keep/stream-never-written", 900, retention=30)
    build.stream(group, "new", 1, None)
    build.group("/keep/young-and-empty", 3, retention=14)
    build.group("/keep/odd-stored-bytes", 900, retention=30, odd={"storedBytes": -1})
    build.group("/cold/archive", 900, log_class="INFREQUENT_ACCESS", stored_bytes=10**11)
    build.group("/cold/empty", 900, log_class="INFREQUENT_ACCESS")
    for name, expired in (("orders-api", 70), ("invoice-pdf", 12), ("nightly-export", 5)):
        group = build.group(
            f"/aws/lambda/{name}", 900, retention=30, stored_bytes=10**8, arrived=0.1
        )
        build.lambda_streams(group, [50.0 + i for i in range(expired)] + [3.0, 2.0, 0.2])


def _edge(build: _Builder) -> None:
    """A Lambda@Edge home, and a live function whose group never got a retention."""
    group = build.group("/aws/lambda/edge-headers", 700, stored_bytes=10**7, arrived=0.1)
    build.lambda_streams(group, [90.0, 80.0, 1.0])


def main() -> int:
    """`python -m janitor.sandbox`: report, clean, report again, all in this one process."""
    from janitor.cli import main as janitor

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="janitor-demo-"))
    journal = str(folder / "journal.jsonl")
    say("The sandbox account lives in this one process, so the three steps run here in a row.")
    with sandbox():
        for step in (
            ["report", "--sandbox"],
            ["run", "--apply", "--sandbox", "--yes", "--journal", journal],
            ["report", "--sandbox"],
        ):
            say(f"\n$ janitor {' '.join(step)}\n")
            if code := janitor(step):
                return code
    say(f"\nEach change is in the journal: {journal}")
    return 0


if __name__ == "__main__":
    # Run as a script this module is `__main__`, another one than the one the commands import.
    from janitor import sandbox as _imported

    sys.exit(_imported.main())
