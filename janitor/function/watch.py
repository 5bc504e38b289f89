"""A second, tiny Lambda function: it checks once a day whether a complete run is overdue and, where
new log groups get their retention at once, whether their events arrive.

The janitor runs monthly, and a CloudWatch alarm looks back 7 days at most (PutMetricAlarm:
Period × EvaluationPeriods is at most 604,800 s), so an alarm alone cannot see that a run was
missed. It can see the metric `Overdue`, which this function publishes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import structlog
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from janitor.aws.api import Api, Counts
from janitor.aws.logs import Logs
from janitor.aws.targets import Means
from janitor.aws.workers import Inline
from janitor.core.clock import DAY_MS, Stop, SystemClock
from janitor.core.errors import JanitorError
from janitor.core.model import Target
from janitor.function.invocation import configure_logs
from janitor.function.metrics import NAMESPACE
from janitor.function.settings import read_settings
from janitor.function.trails import NoTrail, without_trail

ACTIONS: dict[str, str] = {"GetMetricData": "cloudwatch:GetMetricData"}
OVERDUE_DAYS = 35


class WatchError(JanitorError):
    """Whether a run is overdue is unknown; the alarm treats that as overdue."""


async def overdue(api: Api, function: str, log_group: str) -> bool:
    """Whether the function named `function` had no complete scheduled run in 35 days.

    A function deployed less than 35 days ago is not overdue: its deployment also created
    `log_group`, the watch's own. Raises CallError, UnavailableError or WatchError.
    """
    group = await Logs(api).group(log_group)
    if group is None:
        raise WatchError(f"no log group {log_group}, so the time of the deployment is unknown")
    now = api.clock.now()
    since = now - OVERDUE_DAYS * DAY_MS
    return group.creation_time < since and await _complete_runs(api, function, since, now) == 0


async def _complete_runs(api: Api, function: str, since: int, until: int) -> float:
    """Return the number of complete scheduled runs; all of a fleet's count, as what started them is
    not known.
    """
    runs = 0.0
    for trigger in ("schedule", "fleet"):
        dimensions = {"service": function, "trigger": trigger}
        runs += sum((await _by_day(api, "Complete", dimensions, since, until)).values())
    return runs


async def _by_day(
    api: Api, metric: str, dimensions: Mapping[str, str], since: int, until: int
) -> dict[int, float]:
    """Return a metric's sums by the start of the day; times in ms. Raises CallError or
    UnavailableError.
    """
    named = {
        "Namespace": NAMESPACE,
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    answer = await api.call(
        "cloudwatch",
        "GetMetricData",
        expect="MetricDataResults",
        MetricDataQueries=[
            {
                "Id": metric.lower(),
                "MetricStat": {"Metric": named, "Period": 86_400, "Stat": "Sum"},
            }
        ],
        StartTime=datetime.fromtimestamp(since / 1000, UTC),
        EndTime=datetime.fromtimestamp(until / 1000, UTC),
    )
    return {
        int(at.timestamp() * 1000): value
        for result in answer["MetricDataResults"]
        for at, value in zip(result["Timestamps"], result["Values"], strict=True)
    }


@dataclass(frozen=True, slots=True)
class Hearing:
    """Whether events of new log groups arrive: the days since the last one (None: none in 35 days),
    and the Regions in which no trail logs them.
    """

    days: int | None
    no_trail: Sequence[NoTrail]

    @property
    def is_deaf(self) -> bool:
        """Whether a person has to do something: a Region has no trail, or its trails could not be
        read and no event came. Where trails are fine, silence only means no new log groups.
        """
        return any(region.certain or self.days is None for region in self.no_trail)


async def hearing(api: Api, function: str, regions: Sequence[str]) -> Hearing:
    """Return whether events of new log groups in the Regions reach the function of that name.
    Raises CallError or UnavailableError.
    """
    now = api.clock.now()
    since = now - OVERDUE_DAYS * DAY_MS
    events = await _by_day(api, "Events", {"service": function}, since, now)
    last = max((at for at, count in events.items() if count), default=None)
    days = None if last is None else max(now - last, 0) // DAY_MS
    return Hearing(days, await without_trail(api, regions))


def _here() -> Api:
    """Return the API of the account and Region that this runs in."""
    means = Means(SystemClock(), Counts(), Stop(), Inline(), 0.8)
    return means.api(boto3.Session(), Target("", os.environ["AWS_REGION"]))


configure_logs()
log = structlog.get_logger("janitor")
METRICS = Metrics(namespace=NAMESPACE)
_settings = read_settings(os.environ)


@METRICS.log_metrics
def handler(_event: Any, _context: Any) -> dict[str, Any]:
    """The entry point that Lambda calls once a day. Raises what `overdue` and `hearing` raise."""
    own = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
    answer = asyncio.run(overdue(_here(), _settings.watched, own))
    METRICS.add_metric("Overdue", MetricUnit.Count, int(answer))
    return {"overdue": answer, **(_hearing(_settings.new_groups) if _settings.new_groups else {})}


def _hearing(function: str) -> dict[str, Any]:
    """Publish and log whether the function gets events; return the same for the answer."""
    api = _here()
    found = asyncio.run(hearing(api, function, _settings.region_names or [api.target.region]))
    METRICS.add_metric("Deaf", MetricUnit.Count, int(found.is_deaf))
    answer = {
        "deaf": found.is_deaf,
        "days_since_new_group": found.days,
        "no_trail": {one.region: one.why for one in found.no_trail},
    }
    log.info("new_groups_heard", **answer)
    return answer
