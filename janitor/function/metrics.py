"""The functions' metrics, and those of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "CloudWatchJanitor")
"""The namespace of the functions' metrics."""
METRICS = {
    "GroupsScanned": "groups_scanned",
    "RetentionSet": "retention_set",
    "GroupsDeleted": "groups_deleted",
    "StreamsDeleted": "streams_deleted",
    "Failed": "failed",
    "Unknown": "unknown",
    "NotReached": "not_reached",
    "Throttled": "throttled",
}
"""Metric names, each with its key in the summary."""


def measure(
    metrics: Metrics | EphemeralMetrics,
    trigger: str,
    summary: Mapping[str, Any],
    seconds: float,
    *,
    failed: bool,
) -> None:
    """Add the metrics of a run that has ended."""
    metrics.add_dimension("trigger", trigger)
    for name, key in METRICS.items():
        metrics.add_metric(name, MetricUnit.Count, summary[key])
    metrics.add_metric("Duration", MetricUnit.Seconds, seconds)
    metrics.add_metric("Complete", MetricUnit.Count, int(summary["complete"]))
    metrics.add_metric("RunFailed", MetricUnit.Count, int(failed))
