"""Quotas: what is let through, what is throttled, and what Service Quotas says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from janitor.sandbox.answers import ANSWERS
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.quotas import Buckets
from tests.sandbox.asking import (
    ACCOUNT,
    ANSWERED,
    ELSEWHERE,
    NOW,
    REGION,
    empty_store,
    flat,
    outcome,
    pages,
    refusal,
    still,
)
from tests.sandbox.test_metrics import query, span


def test_quotas_limit_each_call_apart() -> None:
    """A second's calls are let through at once, then as many as the rate gives; no other waits."""
    clock, store = ManualClock(), empty_store()
    store.region(ACCOUNT, ELSEWHERE)
    sandbox = still(store, quotas=True, clock=clock)
    logs = sandbox.client("logs", ACCOUNT, REGION)

    def allowed(tries: int) -> int:
        said = [outcome(logs, "describe_log_groups") for _ in range(tries)]
        assert set(said) <= {ANSWERED, ("ThrottlingException", "Rate exceeded", 400)}
        return said.count(ANSWERED)

    assert allowed(30) == 10
    logs.describe_metric_filters()
    sandbox.client("logs", ACCOUNT, ELSEWHERE).describe_log_groups()
    clock.advance(0.5)
    assert allowed(30) == 5
    clock.advance(60)
    assert allowed(30) == 10


@pytest.mark.parametrize(
    ("operation", "rate"),
    [("PutRetentionPolicy", 5), ("DescribeLogGroups", 10), ("DeleteLogStream", 15)],
)
@pytest.mark.parametrize(("share", "throttled"), [(0.5, 0.0), (1.0, 0.0), (1.1, 1 - 1 / 1.1)])
def test_who_keeps_to_a_quota_is_never_throttled(
    operation: str, rate: int, share: float, throttled: float
) -> None:
    """At the quota nothing is refused, however long it goes on; 10 % over, what is over."""
    clock = ManualClock()
    buckets = Buckets(empty_store(), clock)
    while buckets.take(ACCOUNT, REGION, operation):
        pass
    calls, refused = 10_000, 0
    for _ in range(calls):
        clock.advance(1 / (rate * share))
        refused += not buckets.take(ACCOUNT, REGION, operation)
    assert refused / calls == pytest.approx(throttled, abs=0.001)
    assert (refused == 0) == (throttled == 0)


def test_data_points_have_a_quota_of_their_own() -> None:
    """396,000 a second that are asked for, however few there are; 180,000 of the last three hours.

    500 metrics of 198 points each are 99,000: five such calls at once are one too many.
    """
    clock = ManualClock()
    metrics = still(quotas=True, clock=clock).client("cloudwatch")

    def passed(tries: int, days: float, period: int) -> int:
        """How many calls are let through before one is throttled."""
        queries = [query("/a", period, f"g{n}") for n in range(500)]
        until = clock.now()
        asked: Mapping[str, Any] = span(until - int(days * 86_400_000), until)
        for number in range(tries):
            said, *_ = outcome(metrics, "get_metric_data", MetricDataQueries=queries, **asked)
            if said != "answered":
                assert said == "Throttling"
                return number
        return tries

    assert passed(9, 198, 86_400) == 4
    clock.advance(0.25)
    assert passed(9, 198, 86_400) == 1
    clock.advance(60)
    assert passed(9, 180 / 1440, 60) == 2
    clock.advance(60)
    assert passed(12, 10, 86_400) == 12


def test_throttling_is_called_as_each_service_calls_it() -> None:
    """Codes as botocore's service models and error references have them."""
    store = empty_store()
    calls: tuple[tuple[str, str, dict[str, Any], tuple[str, int]], ...] = (
        ("logs", "describe_log_groups", {}, ("ThrottlingException", 400)),
        ("resourcegroupstaggingapi", "get_resources", {}, ("ThrottledException", 400)),
        ("lambda", "list_functions", {}, ("TooManyRequestsException", 429)),
        (
            "cloudwatch",
            "get_metric_data",
            span(NOW) | {"MetricDataQueries": []},
            ("Throttling", 400),
        ),
    )
    sandbox = still(store, quotas=True)
    for operation in ("DescribeLogGroups", "GetResources", "ListFunctions", "GetMetricData"):
        store.quotas[ACCOUNT, REGION, operation] = 1.0
    for service, method, parameters, (code, status) in calls:
        said = [outcome(sandbox.client(service), method, **parameters) for _ in range(2)]
        assert said == [ANSWERED, (code, "Rate exceeded", status)]


def test_service_quotas_tell_applied_values() -> None:
    """An account's own quota beside the default ones."""
    store = empty_store()
    store.quotas[ACCOUNT, REGION, "DeleteLogGroup"] = 25.0
    client = still(store).client("service-quotas")
    listed = flat(pages(client.list_service_quotas, "Quotas", "NextToken", ServiceCode="logs"))
    values = {quota["QuotaCode"]: quota["Value"] for quota in listed}
    assert (values["L-07A912D5"], values["L-C029A21C"]) == (25.0, 15.0)
    assert refusal(client, "list_service_quotas", ServiceCode="none") == "NoSuchResourceException"


def test_nothing_that_logs_answers_is_without_a_quota() -> None:
    """A fake that throttles nothing would flatter."""
    buckets = Buckets(empty_store(), ManualClock())
    operations = {operation for service, operation in ANSWERS if service == "logs"}
    for operation in operations - {"PutLogEvents"}:
        allowed = sum(buckets.take(ACCOUNT, REGION, operation) for _ in range(99))
        assert 5 <= allowed <= 50, operation
