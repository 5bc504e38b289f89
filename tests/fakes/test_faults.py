"""Faults by script and by rate, as a caller meets them."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)

from janitor.sandbox.clocks import ManualClock
from tests.fakes import Builder, Cloud
from tests.fakes.actors import Before
from tests.fakes.faults import THROTTLED, Garbage, Rates, Refuse, Reset, Slow, deny, first_of, once
from tests.fakes.scenarios import ACCOUNT, REGION

NOW = ManualClock().now()


def two_groups() -> Builder:
    account = Builder()
    for name in ("/a", "/b"):
        account.group(ACCOUNT, REGION, name, created=NOW)
    return account


def listed(logs: Any) -> list[str]:
    return [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]


def test_a_slip_of_the_fake_itself_is_not_taken_for_an_answer_of_aws() -> None:
    """What breaks in an actor or a handler fails the test that met it."""

    def broken(_account: Builder, _now: int) -> None:
        raise KeyError("a slip in an actor")

    cloud = Cloud(two_groups(), meanwhile=[Before("DescribeLogGroups", broken)])
    with pytest.raises(KeyError, match="a slip in an actor"), cloud, pytest.raises(ClientError):
        cloud.client("logs").describe_log_groups()


def test_reset_after_the_effect_has_the_effect() -> None:
    """The answer is lost, the deletion is not; reset before, nothing happened."""
    script = first_of(
        once("DeleteLogGroup", Reset(after=False), 1), once("DeleteLogGroup", Reset(after=True), 2)
    )
    with Cloud(two_groups(), faults=script) as cloud:
        logs = cloud.client("logs")
        for left in (["/a", "/b"], ["/b"]):
            with pytest.raises(ConnectionClosedError):
                logs.delete_log_group(logGroupName="/a")
            assert listed(logs) == left
        assert len(cloud.judge().deletions) == 1


def test_refusals_by_script() -> None:
    """Throttling, server errors before and after the effect, and denials are told apart."""
    account = two_groups()
    account.region(ACCOUNT, "us-east-1")
    script = first_of(
        once("DescribeLogGroups", THROTTLED),
        once("DeleteLogGroup", Refuse("InternalFailure", 500, after=True)),
        deny(operation="PutRetentionPolicy", group="/b"),
        deny(region="us-east-1"),
    )
    with Cloud(account, faults=script) as cloud:

        def refused(service: str, method: str, region: str = REGION, **parameters: Any) -> Any:
            with pytest.raises(ClientError) as error:
                getattr(cloud.client(service, ACCOUNT, region), method)(**parameters)
            answer = error.value.response
            said = "not authorized to perform: " in answer["Error"]["Message"]
            return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], said

        assert refused("logs", "describe_log_groups")[0] == "ThrottlingException"
        assert refused("logs", "delete_log_group", logGroupName="/a")[0] == "InternalFailure"
        denied = ("AccessDeniedException", 400, True)
        put = refused("logs", "put_retention_policy", logGroupName="/b", retentionInDays=30)
        assert put == denied
        for service, method, told in (
            ("logs", "describe_log_groups", denied),
            ("ec2", "describe_regions", ("UnauthorizedOperation", 403, False)),
            ("sts", "get_caller_identity", ("AccessDenied", 403, True)),
            ("lambda", "list_functions", ("AccessDeniedException", 403, True)),
        ):
            assert refused(service, method, "us-east-1") == told
        assert listed(cloud.client("logs", ACCOUNT, REGION)) == ["/b"]
        assert cloud.throttled == {"DescribeLogGroups": 1}


def test_throttling_is_called_as_each_service_calls_it() -> None:
    """Codes as botocore's service models and error references have them."""
    codes = {}
    with Cloud(two_groups(), faults=lambda _call: THROTTLED) as cloud:
        for service, method, parameters in (
            ("logs", "describe_log_groups", {}),
            ("resourcegroupstaggingapi", "get_resources", {}),
            ("lambda", "list_functions", {}),
            ("service-quotas", "list_service_quotas", {"ServiceCode": "logs"}),
            ("ec2", "describe_regions", {}),
            ("sts", "get_caller_identity", {}),
        ):
            with pytest.raises(ClientError) as error:
                getattr(cloud.client(service), method)(**parameters)
            told = error.value.response
            codes[service] = (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"])
        assert sum(cloud.throttled.values()) == 6
    assert codes == {
        "logs": ("ThrottlingException", 400),
        "resourcegroupstaggingapi": ("ThrottledException", 400),
        "lambda": ("TooManyRequestsException", 429),
        "service-quotas": ("TooManyRequestsException", 400),
        "ec2": ("RequestLimitExceeded", 503),
        "sts": ("Throttling", 400),
    }


def test_garbage_is_sent_as_it_is() -> None:
    """A body that is not JSON reads as an empty answer, which is why callers must look twice."""
    script = once("DescribeLogGroups", Garbage(b"{not json"))
    with Cloud(two_groups(), faults=script) as cloud:
        logs = cloud.client("logs")
        assert "logGroups" not in logs.describe_log_groups()
        assert listed(logs) == ["/a", "/b"]


def test_a_slow_answer_holds_up_nobody_else() -> None:
    """While one caller runs into its timeout, others are answered."""
    script = once("DescribeLogGroups", Slow(30))
    with Cloud(two_groups(), faults=script) as cloud, cloud.serving() as url:
        session = boto3.Session(f"AKIA{ACCOUNT}", "secret", region_name=REGION)
        once_each = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        impatient, patient = (
            session.client(
                "logs", endpoint_url=url, config=once_each.merge(Config(read_timeout=wait))
            )
            for wait in (0.2, 30)
        )
        with pytest.raises((ReadTimeoutError, ConnectTimeoutError)):
            impatient.describe_log_groups()
        assert listed(patient) == ["/a", "/b"]
        for client in (impatient, patient):
            client.close()


def test_faults_by_rate_are_the_same_for_a_seed() -> None:
    """Two runs with one seed fail alike, another seed otherwise."""

    def failures(seed: int) -> list[str]:
        rates = Rates(seed=seed, throttle=0.2, unavailable=0.2, reset_before=0.2)
        seen: list[str] = []
        with Cloud(two_groups(), faults=rates) as cloud:
            logs = cloud.client("logs")
            for _ in range(40):
                try:
                    logs.describe_log_groups()
                    seen.append("")
                except ClientError as error:
                    seen.append(str(error.response["Error"]["Code"]))
                except ConnectionClosedError:
                    seen.append("reset")
        return seen

    first = failures(1)
    assert {"", "reset", "ThrottlingException", "ServiceUnavailableException"} == set(first)
    assert first == failures(1)
    assert first != failures(2)
