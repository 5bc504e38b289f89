"""Quotas: what is let through, what is throttled, and what Service Quotas lists."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.aws import logs
from janitor.aws.quotas import DEFAULT_QUOTAS
from janitor.sandbox.answers import ANSWERS
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.quotas import QUOTAS, Buckets
from tests.sandbox.asking import ACCOUNT, ANSWERED, ELSEWHERE, NOW, REGION, Still, outcome
from tests.sandbox.test_metrics import query, span


def test_quotas_limit_each_operation_by_itself() -> None:
    """A second's calls pass at once, then as many as the rate allows; other calls do not wait."""
    account = Still("/a", quotas=True)
    account.store.region(ACCOUNT, ELSEWHERE)
    logs = account.client("logs", ACCOUNT, REGION)

    def allowed(tries: int) -> int:
        outcomes = [outcome(logs, "describe_log_groups") for _ in range(tries)]
        assert set(outcomes) <= {ANSWERED, ("ThrottlingException", "Rate exceeded", 400)}
        return outcomes.count(ANSWERED)

    assert allowed(30) == 10
    logs.describe_metric_filters(logGroupName="/a")
    account.client("logs", ACCOUNT, ELSEWHERE).describe_log_groups()
    account.time.advance(0.5)
    assert allowed(30) == 5
    account.time.advance(60)
    assert allowed(30) == 10


@pytest.mark.parametrize(
    ("operation", "rate"),
    [("PutRetentionPolicy", 5), ("DescribeLogGroups", 10), ("DeleteLogStream", 15)],
)
@pytest.mark.parametrize(("share", "throttled"), [(0.5, 0.0), (1.0, 0.0), (1.1, 1 - 1 / 1.1)])
def test_calls_within_a_quota_are_never_throttled(
    operation: str, rate: int, share: float, throttled: float
) -> None:
    """At the quota nothing is refused, however long it goes on; 10 % above it, the excess is."""
    clock = ManualClock()
    buckets = Buckets(Still().store, clock)
    while buckets.take(ACCOUNT, REGION, operation):
        pass
    calls, refused = 10_000, 0
    for _ in range(calls):
        clock.advance(1 / (rate * share))
        refused += not buckets.take(ACCOUNT, REGION, operation)
    assert refused / calls == pytest.approx(throttled, abs=0.001)
    assert (refused == 0) == (throttled == 0)


def test_data_points_have_a_quota_of_their_own() -> None:
    """396,000 points a second may be asked for, 180,000 if they are of the last three hours.

    500 metrics of 198 points each are 99,000: five such calls at once are one too many.
    """
    account = Still(quotas=True)

    def passed(tries: int, days: float, period: int) -> int:
        """How many calls pass before one is throttled."""
        until = account.clock.now()
        asked = span(until - int(days * 86_400_000), until)
        asked["MetricDataQueries"] = [query("/a", period, f"g{n}") for n in range(500)]
        metrics = account.client("cloudwatch")
        outcomes = [outcome(metrics, "get_metric_data", **asked)[0] for _ in range(tries)]
        return [*outcomes, "Throttling"].index("Throttling")

    for wait, tries, days, period, through in (
        (0, 5, 198, 86_400, 4),
        (0.25, 2, 198, 86_400, 1),
        (60, 3, 180 / 1440, 60, 2),
        (60, 12, 10, 86_400, 12),
    ):
        account.time.advance(wait)
        assert passed(tries, days, period) == through


def test_each_service_throttles_with_its_own_code() -> None:
    """As botocore's service models and the error references have them."""
    account, data = Still(quotas=True), span(NOW) | {"MetricDataQueries": list[Any]()}
    tagging, arns = "resourcegroupstaggingapi", {"ResourceARNList": ["arn:aws:x:::y"]}
    for service, method, operation, parameters, code, status in (
        ("logs", "describe_log_groups", "DescribeLogGroups", {}, "ThrottlingException", 400),
        (tagging, "get_resources", "GetResources", arns, "ThrottledException", 400),
        ("lambda", "list_functions", "ListFunctions", {}, "TooManyRequestsException", 429),
        ("cloudwatch", "get_metric_data", "GetMetricData", data, "Throttling", 400),
    ):
        account.store.quotas[ACCOUNT, REGION, operation] = 1.0
        outcomes = [outcome(account.client(service), method, **parameters) for _ in range(2)]
        assert outcomes == [ANSWERED, (code, "Rate exceeded", status)]


def test_every_operation_of_logs_has_a_quota() -> None:
    """A fake that throttles nothing would flatter; the janitor keeps to what it allows."""
    buckets = Buckets(Still().store, ManualClock())
    operations = {operation for service, operation in ANSWERS if service == "logs"}
    for operation in operations - {"PutLogEvents"}:
        allowed = sum(buckets.take(ACCOUNT, REGION, operation) for _ in range(99))
        assert 5 <= allowed <= 50, f"{operation}: its quota is missing in janitor/sandbox/quotas.py"
    for operation in logs.ACTIONS:
        rates = [QUOTAS[operation].rate, *dict(QUOTAS[operation].by_region).values()]
        ours = DEFAULT_QUOTAS.get(operation)
        assert ours is not None, f"{operation}: its quota is missing in janitor/aws/quotas.py"
        assert ours <= min(rates), operation
