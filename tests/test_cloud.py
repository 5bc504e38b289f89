"""The simulator in `tests/cloud`: it answers as moto does where moto can, and as AWS does else."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
)
from botocore.parsers import QueryParser

from janitor.sandbox.clocks import DAY_MS, HOUR_MS, ManualClock, RealClock
from janitor.sandbox.store import Group, Lags, Store
from janitor.sandbox.wire import nested
from tests.cloud import Cloud
from tests.cloud.faults import (
    THROTTLED,
    Garbage,
    Rates,
    Refuse,
    Reset,
    Slow,
    deny,
    first_of,
    once,
)
from tests.cloud.meanwhile import Before, Every, Random, delete, write
from tests.cloud.scenarios import ACCOUNT, REGION, bench, messy

ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
NOW = ManualClock().now()
OTHER = "210987654321"


def empty_store(**lags: float) -> Store:
    store = Store(Lags(**lags))
    store.region(ACCOUNT, REGION)
    return store


def quick(store: Store | None = None, **options: Any) -> Cloud:
    """A simulator without latency, whose time stands still unless it is moved."""
    options = {"quotas": False, "latency": 0, "clock": ManualClock()} | options
    return Cloud(empty_store() if store is None else store, **options)


def add(store: Store, name: str, age: float = 400, **more: Any) -> Group:
    """A group so many days old."""
    return store.add_group(ACCOUNT, REGION, name, created=NOW - int(age * DAY_MS), **more)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def pages(call: Any, key: str, token: str = "nextToken", **parameters: Any) -> list[list[Any]]:
    """Every page to the last token."""
    found: list[list[Any]] = []
    while True:
        answer = call(**parameters)
        found.append(answer[key])
        if not answer.get(token):
            return found
        parameters[token] = answer[token]


def flat(lists: list[list[Any]]) -> list[Any]:
    return [item for page in lists for item in page]


# ---- what is shown, and what is true -------------------------------------------------------------


def test_query_protocol_is_understood() -> None:
    """An older botocore's form fields become the parameters that newer ones send as JSON."""
    fields = {
        "Queries.member.1.Id": "g0",
        "Queries.member.1.Stat.Dimensions.member.1.Name": "LogGroupName",
        "Queries.member.2.Id": "g1",
        "StartTime": "2026-01-01T00:00:00Z",
    }
    assert nested(fields) == {
        "Queries": [
            {"Id": "g0", "Stat": {"Dimensions": [{"Name": "LogGroupName"}]}},
            {"Id": "g1"},
        ],
        "StartTime": "2026-01-01T00:00:00Z",
    }


def test_query_protocol_is_answered_in_xml() -> None:
    """A GetMetricData as form fields is answered in the shape that older botocores read."""
    store = empty_store()
    group = add(store, "/a")
    store.add_stream(group, "s", created=NOW - DAY_MS, events=[(NOW - HOUR_MS, 4, 1)])
    stat = "MetricDataQueries.member.1.MetricStat"
    fields = {
        "Action": "GetMetricData",
        "Version": "2010-08-01",
        "MetricDataQueries.member.1.Id": "g0",
        f"{stat}.Metric.Namespace": "AWS/Logs",
        f"{stat}.Metric.MetricName": "IncomingLogEvents",
        f"{stat}.Metric.Dimensions.member.1.Name": "LogGroupName",
        f"{stat}.Metric.Dimensions.member.1.Value": "/a",
        f"{stat}.Period": "3600",
        f"{stat}.Stat": "Sum",
        "StartTime": datetime.fromtimestamp(NOW / 1000 - 86_400, UTC).isoformat(),
        "EndTime": datetime.fromtimestamp(NOW / 1000, UTC).isoformat(),
    }
    signed = f"AWS4-HMAC-SHA256 Credential=AKIA{ACCOUNT}/20270115/{REGION}/monitoring/aws4_request"
    headers = {
        "Authorization": signed,
        "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    with quick(store) as cloud:
        request = urllib.request.Request(cloud.url, urlencode(fields).encode(), headers)
        with urllib.request.urlopen(request) as answer:
            status, body = answer.status, answer.read()
    model = botocore.session.Session().get_service_model("cloudwatch")
    shape = model.operation_model("GetMetricData").output_shape
    told = {"body": body, "headers": {}, "status_code": status}
    [result] = QueryParser().parse(told, shape)["MetricDataResults"]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("g0", [4.0], "Complete")
    assert len(result["Timestamps"]) == 1


# ---- refusals ------------------------------------------------------------------------------------


def test_parameters_that_nothing_here_heeds_are_refused_and_counted() -> None:
    """To leave a filter out would answer with more than was asked for."""
    store = empty_store()
    store.add_stream(add(store, "/a"), "s", created=NOW, events=[(NOW, 1, 100)])
    with quick(store) as cloud:
        logs = cloud.client("logs")
        with pytest.raises(ClientError) as error:
            logs.filter_log_events(logGroupName="/a", filterPattern="ERROR")
        assert code(error) == "UnknownOperationException"
        assert cloud.unknown == {"FilterLogEvents filterPattern": 1}


def test_protected_group_cannot_be_deleted() -> None:
    """ValidationException, the group stays, and the attempt is on record."""
    store = empty_store()
    add(store, "/a", protected=True)
    with quick(store) as cloud:
        with pytest.raises(ClientError) as error:
            cloud.client("logs").delete_log_group(logGroupName="/a")
        assert code(error) == "ValidationException"
        assert store.group(ACCOUNT, REGION, "/a") is not None
        verdict = cloud.judge()
    assert [change.group for change in verdict.protected] == ["/a"]
    assert verdict.deletions == []


def test_put_beneath_an_account_policy_is_wasted() -> None:
    """It succeeds and is counted; nothing expires by it and nothing shows it, but it is saved for
    the day on which the policy goes (botocore 1.44.5, PutRetentionPolicy).
    """
    store = empty_store()
    group = add(store, "/a", policy="forever", retention=30)
    store.add_stream(group, "s", created=group.created, events=[(NOW - 20 * DAY_MS, 1, 100)])
    with quick(store) as cloud:
        logs = cloud.client("logs")
        shown = logs.describe_log_groups()["logGroups"]
        logs.put_retention_policy(logGroupName="/a", retentionInDays=7)
        assert logs.describe_log_groups()["logGroups"] == shown
        assert len(logs.filter_log_events(logGroupName="/a")["events"]) == 1
        verdict = cloud.judge()
    [wasted] = verdict.wasted_puts
    assert (wasted.group, wasted.policy, wasted.alive) == ("/a", "forever", ())
    assert [(put.before, put.after) for put in verdict.overwritten] == [(30, 7)]
    assert group.retention == 7


def test_unknown_call_is_refused_and_counted() -> None:
    """UnknownOperationException, never an answer that looks like success."""
    with quick() as cloud:
        with pytest.raises(ClientError) as error:
            cloud.client("logs").describe_queries()
        with pytest.raises(ClientError):
            cloud.client("ec2").describe_vpcs()
        assert code(error) == "UnknownOperationException"
        assert cloud.unknown == {"DescribeQueries": 1, "DescribeVpcs": 1}
        assert cloud.calls == {}


# ---- quotas --------------------------------------------------------------------------------------


def test_throttling_is_called_as_each_service_calls_it() -> None:
    """Codes as botocore's service models and error references have them."""
    codes = {}
    with quick(faults=lambda _call: THROTTLED) as cloud:
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
            status = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
            codes[service] = (code(error), status)
        assert sum(cloud.throttled.values()) == 6
    assert codes == {
        "logs": ("ThrottlingException", 400),
        "resourcegroupstaggingapi": ("ThrottledException", 400),
        "lambda": ("TooManyRequestsException", 429),
        "service-quotas": ("TooManyRequestsException", 400),
        "ec2": ("RequestLimitExceeded", 503),
        "sts": ("Throttling", 400),
    }


# ---- faults --------------------------------------------------------------------------------------


def test_a_fault_of_the_simulator_itself_is_not_taken_for_an_answer_of_aws() -> None:
    """What breaks in an actor or a handler fails the test that met it."""

    def broken(_world: Any) -> None:
        raise KeyError("a slip in an actor")

    for actor in (Before("DescribeLogGroups", broken), Every(0.01, broken)):
        options = {} if isinstance(actor, Before) else {"clock": RealClock()}
        cloud = quick(meanwhile=[actor], **options)
        cloud.__enter__()
        logs = cloud.client("logs")
        while not cloud.broken:
            with contextlib.suppress(ClientError):
                logs.describe_log_groups()
        with pytest.raises(KeyError, match="a slip in an actor"):
            cloud.__exit__(None, None, None)


def test_reset_after_the_effect_has_the_effect() -> None:
    """The answer is lost, the deletion is not; reset before, nothing happened."""
    store = empty_store()
    for name in ("/a", "/b"):
        add(store, name)
    script = first_of(
        once("DeleteLogGroup", Reset(after=False), 1), once("DeleteLogGroup", Reset(after=True), 2)
    )
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs")
        for left in (["/a", "/b"], ["/b"]):
            with pytest.raises(ConnectionClosedError):
                logs.delete_log_group(logGroupName="/a")
            there = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
            assert there == left
        assert len(cloud.judge().deletions) == 1


def test_refusals_by_script() -> None:
    """Throttling, server errors before and after the effect, and denials are told apart."""
    store = empty_store()
    for name in ("/a", "/b"):
        add(store, name)
    script = first_of(
        once("DescribeLogGroups", THROTTLED),
        once("DeleteLogGroup", Refuse("InternalFailure", 500, after=True)),
        deny(operation="PutRetentionPolicy", group="/b"),
        deny(region="us-east-1"),
    )
    store.region(ACCOUNT, "us-east-1")
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs", ACCOUNT, REGION)
        for wanted, method, parameters in (
            ("ThrottlingException", "describe_log_groups", {}),
            ("InternalFailure", "delete_log_group", {"logGroupName": "/a"}),
            (
                "AccessDeniedException",
                "put_retention_policy",
                {"logGroupName": "/b", "retentionInDays": 30},
            ),
        ):
            with pytest.raises(ClientError) as error:
                getattr(logs, method)(**parameters)
            assert code(error) == wanted
        with pytest.raises(ClientError) as denied:
            cloud.client("logs", ACCOUNT, "us-east-1").describe_log_groups()
        assert code(denied) == "AccessDeniedException"
        for service, method, wanted in (
            ("ec2", "describe_regions", "UnauthorizedOperation"),
            ("sts", "get_caller_identity", "AccessDenied"),
            ("lambda", "list_functions", "AccessDeniedException"),
        ):
            with pytest.raises(ClientError) as denied:
                getattr(cloud.client(service, ACCOUNT, "us-east-1"), method)()
            assert code(denied) == wanted
            assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            said = denied.value.response["Error"]["Message"]
            assert ("not authorized to perform: " in said) == (service != "ec2")
        assert [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]] == ["/b"]
        assert cloud.throttled == {"DescribeLogGroups": 1}


def test_garbage_is_sent_as_it_is() -> None:
    """A body that is no JSON reads as an empty answer, which is why callers must look twice."""
    script = once("DescribeLogGroups", Garbage(b"{not json"))
    store = empty_store()
    add(store, "/a")
    with quick(store, faults=script) as cloud:
        logs = cloud.client("logs")
        assert "logGroups" not in logs.describe_log_groups()
        assert len(logs.describe_log_groups()["logGroups"]) == 1


def test_slow_answer_holds_up_nobody_else() -> None:
    """While one caller runs into its timeout, others are answered."""
    script = once("DescribeLogGroups", Slow(30))
    with quick(faults=script) as cloud:
        impatient = Config(read_timeout=0.2, retries={"total_max_attempts": 1, "mode": "standard"})
        with pytest.raises((ReadTimeoutError, ConnectTimeoutError)):
            cloud.session().client("logs", config=impatient).describe_log_groups()
        assert cloud.client("logs").describe_log_groups()["logGroups"] == []


def test_faults_by_rate_are_the_same_for_a_seed() -> None:
    """Two runs with one seed fail alike, another seed otherwise."""

    def failures(seed: int) -> list[str]:
        rates = Rates(seed=seed, throttle=0.2, unavailable=0.2, reset_before=0.2)
        seen: list[str] = []
        with quick(faults=rates) as cloud:
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


# ---- the judge -----------------------------------------------------------------------------------


def test_judge_sees_what_a_deletion_took_away() -> None:
    """Events inside the retention in force are alive; expired ones are not."""
    store = empty_store()
    for name, days in (("/alive", 20), ("/expired", 40)):
        group = add(store, name, retention=30)
        events = [(NOW - days * DAY_MS, 2, 200)]
        store.add_stream(group, "s", created=NOW - 60 * DAY_MS, events=events)
    add(store, "/bytes", stored=5)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        logs.delete_log_stream(logGroupName="/expired", logStreamName="s")
        for name in ("/alive", "/expired", "/bytes"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert {change.group for change in verdict.wrong_deletions} == {"/alive", "/bytes"}
    assert verdict.wrong_sweeps == []
    assert [len(change.alive) for change in verdict.deletions] == [1, 0, 0]


def test_judge_measures_the_time_since_the_last_look() -> None:
    """By name or by its streams counts as a look at a group; a page of all groups does not."""
    clock, store = ManualClock(), empty_store()
    for name in ("/a", "/b", "/c"):
        add(store, name)
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        logs.describe_log_groups()
        logs.describe_log_groups(logGroupNamePrefix="/a")
        clock.advance(3)
        logs.describe_log_streams(logGroupName="/b")
        clock.advance(2)
        for name in ("/a", "/b", "/c"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [5, 2, None]
    assert verdict.longest_look == 5
    assert [change.group for change in verdict.unlooked] == ["/c"]


def test_last_stream_takes_the_stored_bytes_with_it() -> None:
    """Bytes whose single events are not known are in a stream, at last in the only one."""
    store = empty_store()
    group = add(store, "/a", stored=7)
    for name in ("s", "t"):
        store.add_stream(group, name, created=group.created)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for name in ("s", "t"):
            logs.delete_log_stream(logGroupName="/a", logStreamName=name)
        verdict = cloud.judge()
    assert [sweep.stream for sweep in verdict.sweeps] == ["s", "t"]
    assert [(sweep.stream, sweep.alive_bytes) for sweep in verdict.wrong_sweeps] == [("t", 7)]


def test_verdict_tells_how_long_it_took_beside_how_long_it_had_to() -> None:
    """From the first call to the last one; a call that is not known here is none."""
    clock, store = ManualClock(), empty_store()
    add(store, "/a")
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        assert (cloud.judge().seconds, cloud.judge().bound) == (0, 0)
        clock.advance(100)
        for _ in range(20):
            logs.describe_log_groups()
            clock.advance(0.5)
        with contextlib.suppress(ClientError):
            logs.describe_queries()
        verdict = cloud.judge()
    assert (verdict.seconds, verdict.bound) == (9.5, 2)
    assert verdict.summary()["seconds"] == 9.5


def test_an_answer_that_never_arrived_is_no_look() -> None:
    """Garbage, a reset and an error after the effect tell the caller nothing of the group."""
    clock, store = ManualClock(), empty_store()
    group = add(store, "/a")
    store.add_stream(group, "s", created=NOW)
    lost = (Garbage(b"{}"), Reset(after=True), Refuse("InternalFailure", 500, after=True))
    script = first_of(
        *(once("DescribeLogStreams", fault, nth) for nth, fault in enumerate(lost, 1)),
        *(once("DescribeLogGroups", fault, nth) for nth, fault in enumerate(lost, 1)),
    )
    with quick(store, clock=clock, faults=script) as cloud:
        logs = cloud.client("logs")

        for _ in lost:
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_groups(logGroupNamePrefix="/a")
            with contextlib.suppress(ClientError, ConnectionClosedError):
                logs.describe_log_streams(logGroupName="/a")
        logs.delete_log_group(logGroupName="/a")
        verdict = cloud.judge()
    assert verdict.calls == {"DescribeLogGroups": 3, "DescribeLogStreams": 3, "DeleteLogGroup": 1}
    assert [change.look for change in verdict.deletions] == [None]


def test_streams_were_looked_at_when_their_reading_began() -> None:
    """The first page of many is as old as the reading when the last one comes; a page that was
    empty and not the last is no look by itself.
    """
    clock, store = ManualClock(), empty_store()
    for name in ("/whole", "/empty"):
        group = add(store, name)
        for number in range(120):
            store.add_stream(group, f"s{number:03d}", created=NOW)
    with quick(store, clock=clock) as cloud:
        logs = cloud.client("logs")
        token = {}
        for _ in range(3):
            answer = logs.describe_log_streams(logGroupName="/whole", **token)
            token = {"nextToken": answer.get("nextToken")}
            clock.advance(10)
        cloud.world.empty_pages = 1
        logs.describe_log_streams(logGroupName="/empty")
        for name in ("/whole", "/empty"):
            logs.delete_log_group(logGroupName=name)
        verdict = cloud.judge()
    assert [change.look for change in verdict.deletions] == [30, None]


def test_retention_that_was_taken_away_is_overwritten() -> None:
    """As a put of other days; where there was none, nothing was."""
    store = empty_store()
    add(store, "/had", retention=30)
    add(store, "/never")
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for name in ("/had", "/never"):
            logs.delete_retention_policy(logGroupName=name)
        verdict = cloud.judge()
    assert [(c.group, c.before, c.after) for c in verdict.overwritten] == [("/had", 30, None)]
    assert verdict.puts == []


def test_retention_once_shortened_brings_nothing_back() -> None:
    """A put that deletes events says which; lengthening it again does not make them alive."""
    store = empty_store()
    group = add(store, "/a")
    ages = (400, 100, 1)
    events = [(NOW - days * DAY_MS, 1, 100) for days in ages]
    store.add_stream(group, "s", created=group.created, events=events)
    with quick(store) as cloud:
        logs = cloud.client("logs")
        for days in (365, 30, 3653):
            logs.put_retention_policy(logGroupName="/a", retentionInDays=days)
        assert len(logs.filter_log_events(logGroupName="/a")["events"]) == 1
        verdict = cloud.judge()
    assert [len(put.alive) for put in verdict.puts] == [1, 1, 0]
    assert [(put.before, put.after) for put in verdict.overwritten] == [(365, 30), (30, 3653)]
    assert len(group.alive(NOW)) == 1


# ---- meanwhile -----------------------------------------------------------------------------------


def test_actors_change_things_between_calls() -> None:
    """Before a named call, as time passes, or at random: the caller is not blamed for it."""
    clock, store = ManualClock(), empty_store()
    for name in ("/a", "/b"):
        add(store, name)

    def drop_b(world: Any) -> None:
        delete(world, world.store.group(ACCOUNT, REGION, "/b"))

    def write_a(world: Any) -> None:
        write(world, world.store.group(ACCOUNT, REGION, "/a"))

    actors = [Before("DescribeLogStreams", drop_b, group="/a"), Every(10, write_a)]
    with quick(store, clock=clock, meanwhile=actors) as cloud:
        logs = cloud.client("logs")
        assert len(logs.describe_log_groups()["logGroups"]) == 2
        clock.advance(25)
        [stream] = logs.describe_log_streams(logGroupName="/a")["logStreams"]
        assert stream["lastEventTimestamp"] == NOW + 25_000
        assert len(logs.describe_log_groups()["logGroups"]) == 1
        assert cloud.judge().deletions == []


def test_made_again_under_the_same_name_is_another_group() -> None:
    """Its creation time is the later one."""
    clock, store = ManualClock(), empty_store()
    add(store, "/a", retention=30)
    random = Random(seed=1, chance=1.0, kinds=["recreate"])
    with quick(store, clock=clock, meanwhile=[random]) as cloud:
        clock.advance(60)
        [group] = cloud.client("logs").describe_log_groups()["logGroups"]
    assert group["creationTime"] == NOW + 60_000
    assert "retentionInDays" not in group
    assert random.done == [("recreate", "/a")]


def test_random_actors_do_everything_they_can() -> None:
    """Each kind of change happens and leaves a store that answers."""
    random = Random(seed=3, chance=1.0)
    with quick(messy(300, now=NOW).store, meanwhile=[random]) as cloud:
        logs = cloud.client("logs")
        for _ in range(60):
            logs.describe_log_groups()
        assert logs.describe_log_groups()["logGroups"]
        assert cloud.judge().wrong_deletions == []
    assert {kind for kind, _ in random.done} == set(random.kinds)


# ---- scenarios and size --------------------------------------------------------------------------


def test_what_is_expected_to_go_holds_nothing() -> None:
    """Every group that a scenario expects to be deleted is empty, old and unprotected in truth."""
    for scenario in (bench(2_000, now=NOW), messy(1_000, now=NOW)):
        assert min(scenario.count(verdict) for verdict in ("delete", "retention", "keep")) > 0
        assert scenario.count("delete") < len(scenario.expected) / 4
        for key, wanted in scenario.expected.items():
            group = scenario.store.group(*key)
            assert group is not None
            alive = group.alive(NOW)
            if wanted.delete:
                assert not alive
                assert not group.stored
                assert not group.protected
                assert "janitor:keep" not in group.tags
                assert NOW - group.created > ((group.days or 365) + 7) * DAY_MS


def test_misses_tell_what_went_otherwise() -> None:
    """Nothing done misses all that was to be done; the right thing done misses nothing of it."""
    scenario = bench(200, now=NOW)
    before = scenario.store.copy()
    due = scenario.count("delete") + scenario.count("retention")
    assert len(scenario.misses(before)) == due
    for (_, _, name), wanted in scenario.expected.items():
        group = scenario.store.group(ACCOUNT, REGION, name)
        assert group is not None
        if wanted.delete:
            scenario.store.remove_group(group)
        elif wanted.days is not None:
            scenario.store.set_retention(group, wanted.days, NOW)
    assert scenario.misses(before) == []
    kept = next(key for key, wanted in scenario.expected.items() if wanted.verdict == "keep")
    group = scenario.store.group(*kept)
    assert group is not None
    scenario.store.remove_group(group)
    assert len(scenario.misses(before)) == 1


def test_a_share_of_faults_that_is_none_is_refused() -> None:
    """Seven kinds of more than a tenth each might be more than all calls."""
    process = subprocess.run(
        [sys.executable, "-m", "tests.cloud", "--faults", "0.5"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 2
    assert "0 to 0.1" in process.stderr


def test_serves_as_a_process_of_its_own() -> None:
    """It says where it is, serves until its input ends, and tells the verdict."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cloud", "--groups", "60", "--latency", "0", "--jitter", "0"],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        variables = told["environment"]
        client = boto3.Session(
            variables["AWS_ACCESS_KEY_ID"],
            variables["AWS_SECRET_ACCESS_KEY"],
            region_name=variables["AWS_REGION"],
        ).client("logs", endpoint_url=told["url"], config=ONCE)
        assert len(flat(pages(client.describe_log_groups, "logGroups"))) == 60
        client.close()
        process.stdin.close()
        verdict = json.loads(process.stdout.readline())
    assert process.returncode == 0
    assert verdict["calls"] == {"DescribeLogGroups": 2}
