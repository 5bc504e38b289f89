"""A second, tiny Lambda function: says once a day whether a complete run is overdue.

The janitor runs monthly, and a CloudWatch alarm looks back 7 days at most (PutMetricAlarm:
Period × EvaluationPeriods is at most 604,800 s), so no alarm can see by itself that a run was
missed. This publishes the metric `Overdue`, which one can.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from janitor.aws.api import Api, Counts
from janitor.aws.logs import Logs
from janitor.aws.targets import Means
from janitor.aws.workers import Inline
from janitor.core.clock import DAY_MS, Stop, SystemClock
from janitor.core.errors import JanitorError
from janitor.core.model import Target
from janitor.function.settings import read_settings

ACTIONS: dict[str, str] = {"GetMetricData": "cloudwatch:GetMetricData"}
OVERDUE_DAYS = 35
NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "CloudWatchJanitor")


class WatchError(JanitorError):
    """Whether a run is overdue could not be found out; the alarm counts that as overdue."""


async def overdue(api: Api, function: str, log_group: str) -> bool:
    """Whether the function named `function` had no complete scheduled run in 35 days.

    A function that was deployed less than 35 days ago has had no time for one: `log_group`, the
    watch's own, was made then. Raises CallError, UnavailableError or WatchError.
    """
    group = await Logs(api).group(log_group)
    if group is None:
        raise WatchError(f"no log group {log_group}: nobody knows since when this is deployed")
    now = api.clock.now()
    since = now - OVERDUE_DAYS * DAY_MS
    return group.creation_time < since and await _complete_runs(api, function, since, now) == 0


async def _complete_runs(api: Api, function: str, since: int, until: int) -> float:
    dimensions = {"service": function, "trigger": "schedule"}
    metric = {
        "Namespace": NAMESPACE,
        "MetricName": "Complete",
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    answer = await api.call(
        "cloudwatch",
        "GetMetricData",
        expect="MetricDataResults",
        MetricDataQueries=[
            {"Id": "complete", "MetricStat": {"Metric": metric, "Period": 86_400, "Stat": "Sum"}}
        ],
        StartTime=datetime.fromtimestamp(since / 1000, UTC),
        EndTime=datetime.fromtimestamp(until / 1000, UTC),
    )
    return float(sum(sum(result["Values"]) for result in answer["MetricDataResults"]))


def _here() -> Api:
    """The calls of the account and Region that this runs in."""
    means = Means(SystemClock(), Counts(), Stop(), Inline(), 0.8)
    return means.api(boto3.Session(), Target("", os.environ["AWS_REGION"]))


METRICS = Metrics(namespace=NAMESPACE)
_settings = read_settings(os.environ)


@METRICS.log_metrics
def handler(_event: Any, _context: Any) -> dict[str, bool]:
    """The entry point that Lambda calls once a day. Raises what `overdue` raises."""
    own = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
    answer = asyncio.run(overdue(_here(), _settings.watched, own))
    METRICS.add_metric("Overdue", MetricUnit.Count, int(answer))
    return {"overdue": answer}
