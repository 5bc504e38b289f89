"""The sandbox shows through boto3 what AWS would show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.logs.models import LogGroup

from janitor import sandbox as module
from janitor.core.model import DAY_MS
from janitor.sandbox import ACCOUNT, REGIONS, sandbox

NOW = 1_770_000_000_000
EU, US = REGIONS


@cache
def client(service: Any, region: str = EU) -> Any:
    return boto3.Session().client(service, region_name=region)


def all_groups(region: str = EU) -> dict[str, dict[str, Any]]:
    pages = client("logs", region).get_paginator("describe_log_groups").paginate()
    return {entry["logGroupName"]: entry for page in pages for entry in page["logGroups"]}


def group(name: str, region: str = EU) -> dict[str, Any]:
    return all_groups(region)[name]


def streams(name: str, region: str = EU) -> list[dict[str, Any]]:
    pages = client("logs", region).get_paginator("describe_log_streams").paginate(logGroupName=name)
    return [entry for page in pages for entry in page["logStreams"]]


def arrivals(names: list[str], *, days: int, period: int, until: int = NOW) -> dict[str, Any]:
    queries = [
        {
            "Id": f"g{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Logs",
                    "MetricName": "IncomingLogEvents",
                    "Dimensions": [{"Name": "LogGroupName", "Value": name}],
                },
                "Period": period,
                "Stat": "Sum",
            },
        }
        for index, name in enumerate(names)
    ]
    end = datetime.fromtimestamp(until / 1000, UTC)
    answer = client("cloudwatch").get_metric_data(
        MetricDataQueries=queries, StartTime=end - timedelta(days=days), EndTime=end
    )
    return {names[int(r["Id"][1:])]: r for r in answer["MetricDataResults"]}


def code_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


def newest(stream: dict[str, Any]) -> int:
    times = ("creationTime", "lastEventTimestamp", "lastIngestionTime")
    return max(int(stream.get(key, 0)) for key in times)


@pytest.fixture(scope="class")
def shared() -> Iterator[None]:
    """One account for the tests of a class, which only look."""
    with sandbox(NOW):
        yield


@pytest.mark.usefixtures("shared")
class TestContent:
    def test_size(self) -> None:
        """Two Regions hold about 300 groups, one of them more than three pages."""
        assert {region: len(all_groups(region)) for region in REGIONS} == module.GROUPS
        assert module.GROUPS[EU] > 150

    def test_regions(self) -> None:
        """EC2 names the two Regions only, and narrows them to those asked for."""
        ec2 = client("ec2")
        assert [r["RegionName"] for r in ec2.describe_regions()["Regions"]] == list(REGIONS)
        (only,) = ec2.describe_regions(RegionNames=[US])["Regions"]
        assert (only["RegionName"], only["OptInStatus"]) == (US, "opt-in-not-required")

    def test_account(self) -> None:
        """STS knows the account."""
        assert client("sts").get_caller_identity()["Account"] == ACCOUNT

    def test_what_arrives_has_a_size(self) -> None:
        """Groups in use take in bytes every day, those to delete none; more on workdays."""
        end = datetime.fromtimestamp(NOW / 1000, UTC)
        names = ["/aws/vpc/flow-logs", "/aws/lambda/black-friday-2022"]
        queries = [
            {
                "Id": f"g{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Logs",
                        "MetricName": "IncomingBytes",
                        "Dimensions": [{"Name": "LogGroupName", "Value": name}],
                    },
                    "Period": 86_400,
                    "Stat": "Sum",
                },
            }
            for index, name in enumerate(names)
        ]
        busy, silent = client("cloudwatch").get_metric_data(
            MetricDataQueries=queries, StartTime=end - timedelta(days=28), EndTime=end
        )["MetricDataResults"]
        assert busy["Label"] == "IncomingBytes"
        assert len(busy["Values"]) == 28
        assert min(busy["Values"]) * 1.5 < max(busy["Values"])
        assert silent["Values"] == []

    def test_most_never_expire(self) -> None:
        """Data-bearing groups without retention are many, others have one."""
        held = [g for g in all_groups().values() if g["storedBytes"] > 0]
        endless = [g for g in held if "retentionInDays" not in g]
        assert len(held) / 3 < len(endless) < len(held)

    def test_expired_streams_page(self) -> None:
        """A group of a retired function still lists its expired streams, over several pages."""
        found = streams("/aws/lambda/orders-api-v1")
        assert len({s["logStreamName"] for s in found}) == 70
        assert max(map(newest, found)) < NOW - 30 * DAY_MS

    def test_truly_empty(self) -> None:
        """An old group may have no streams at all."""
        assert streams("/aws/lambda/legacy-thumbnailer") == []
        assert group("/aws/lambda/legacy-thumbnailer")["storedBytes"] == 0

    def test_young(self) -> None:
        """A group made two days ago is empty because nothing has come yet."""
        assert group("/aws/lambda/new-onboarding-flow")["creationTime"] > NOW - 4 * DAY_MS

    def test_live_stream_last(self) -> None:
        """The one live stream stands behind more than a page of old ones."""
        found = streams("/ecs/long-tail")
        assert len(found) > 51
        recent = [i for i, s in enumerate(found) if newest(s) > NOW - 30 * DAY_MS]
        assert recent == [len(found) - 1]

    def test_stream_stored_bytes(self) -> None:
        """Streams say 0 stored bytes even where the group holds gigabytes."""
        assert group("/archive/infrequent/clickstream")["storedBytes"] > 10**9
        assert {s["storedBytes"] for s in streams("/archive/infrequent/clickstream")} == {0}

    def test_never_written(self) -> None:
        """A never-written stream has no times but its creation."""
        (found,) = streams("/ecs/canary-probe")
        assert "lastEventTimestamp" not in found
        assert "lastIngestionTime" not in found

    def test_partly_expired(self) -> None:
        """A live function's group has expired and recent streams."""
        found = streams("/aws/lambda/events-ingest")
        old = [s for s in found if newest(s) < NOW - 21 * DAY_MS]
        assert (len(old), len(found)) == (70, 76)
        assert found[0]["logStreamName"][4] == "/"
        assert "/[$LATEST]" in found[0]["logStreamName"]

    def test_stored_bytes_lag(self) -> None:
        """A group may still count bytes although all its streams have expired."""
        assert group("/ecs/slow-to-shrink")["storedBytes"] > 0
        assert max(map(newest, streams("/ecs/slow-to-shrink"))) < NOW - 37 * DAY_MS

    def test_odd_value(self) -> None:
        """One group comes without its creation time."""
        assert "creationTime" not in group("/odd/no-creation-time", US)

    def test_filters(self) -> None:
        """A metric filter is counted in the group; a subscription filter is not."""
        assert group("/platform/metrics/failed-logins")["metricFilterCount"] == 1
        assert group("/platform/shipped/access-log")["metricFilterCount"] == 0
        found = client("logs").describe_subscription_filters(
            logGroupName="/platform/shipped/access-log"
        )
        assert [f["filterName"] for f in found["subscriptionFilters"]] == ["to-kinesis"]

    def test_classes(self) -> None:
        """The class is told for every group."""
        found = {name: entry["logGroupClass"] for name, entry in all_groups().items()}
        assert found["/aws/vendedlogs/delivery/cdn-access"] == "DELIVERY"
        assert found["/archive/infrequent/retired-batch"] == "INFREQUENT_ACCESS"
        assert found["/ecs/long-tail"] == "STANDARD"

    def test_functions(self) -> None:
        """Functions are listed over pages, each with the group that it logs to."""
        pages = list(client("lambda").get_paginator("list_functions").paginate())
        assert len(pages) > 1
        owners = {
            f["FunctionName"]: f["LoggingConfig"]["LogGroup"] for p in pages for f in p["Functions"]
        }
        assert owners["disaster-recovery"] == "/aws/lambda/disaster-recovery"
        assert owners["nightly-audit"] == "/platform/functions/nightly-audit"
        assert "orders-api-v1" not in owners

    def test_edge_function(self) -> None:
        """A Lambda@Edge group is in one Region and its function in another."""
        assert "/aws/lambda/us-east-1.edge-auth" in all_groups(EU)
        names = [f["FunctionName"] for f in client("lambda", US).list_functions()["Functions"]]
        assert "edge-auth" in names


@pytest.mark.usefixtures("shared")
class TestReading:
    def test_identifiers(self) -> None:
        """Groups are described by name or ARN; what does not exist is left out."""
        arn = group("/ecs/long-tail")["logGroupArn"]
        found = client("logs").describe_log_groups(
            logGroupIdentifiers=[arn, "/ecs/canary-probe", "/no/such/group"]
        )
        assert [g["logGroupName"] for g in found["logGroups"]] == [
            "/ecs/canary-probe",
            "/ecs/long-tail",
        ]

    def test_too_many_identifiers(self) -> None:
        """More than 50 identifiers are refused."""
        with pytest.raises(ClientError) as refused:
            client("logs").describe_log_groups(logGroupIdentifiers=list(all_groups())[:51])
        assert code_of(refused) == "InvalidParameterException"

    def test_tags_whole(self) -> None:
        """The tags of 100 ARNs come in one answer without a page token."""
        arns = [entry["logGroupArn"] for entry in all_groups().values()]
        tagging = client("resourcegroupstaggingapi")
        answers = [
            tagging.get_resources(ResourceARNList=arns[start : start + 100]) for start in (0, 100)
        ]
        assert not any(answer.get("PaginationToken") for answer in answers)
        tags = {
            entry["ResourceARN"]: {tag["Key"] for tag in entry["Tags"]}
            for answer in answers
            for entry in answer["ResourceTagMappingList"]
        }
        prefix = f"arn:aws:logs:{EU}:{ACCOUNT}:log-group:"
        assert len(tags) > 60
        assert tags[f"{prefix}/legal/hold/2023-audit"] == {"janitor:keep"}
        assert "aws:cloudformation:stack-name" in tags[f"{prefix}/ecs/stack-managed-worker"]
        assert f"{prefix}/ecs/long-tail" not in tags

    def test_arrivals_tell_more(self) -> None:
        """Arrivals show the group whose stream times lag, and none for a dead one."""
        names = ["/ecs/quiet-but-alive", "/ecs/checkout-blue"]
        found = arrivals(names, days=37, period=86_400)
        assert found["/ecs/quiet-but-alive"]["Values"] == [17.0]
        assert found["/ecs/checkout-blue"]["Values"] == []
        assert {result["StatusCode"] for result in found.values()} == {"Complete"}
        assert max(map(newest, streams("/ecs/quiet-but-alive"))) < NOW - 37 * DAY_MS

    @pytest.mark.parametrize("period", [86_400, 37 * 86_400])
    def test_arrivals_any_period(self, period: int) -> None:
        """One long bucket holds what many short ones hold."""
        (found,) = arrivals(["/managed/quarterly/ingest"], days=37, period=period).values()
        assert len(found["Values"]) == (3 if period == 86_400 else 1)

    def test_arrivals_quick(self) -> None:
        """500 metrics over 15 months by the day are answered at once."""
        names = [f"/none/{index}" for index in range(300)] + list(all_groups())
        started = time.monotonic()
        found = arrivals(names[:490] + ["/ecs/quiet-but-alive"] * 10, days=455, period=86_400 * 3)
        assert found["/ecs/quiet-but-alive"]["Values"]
        assert time.monotonic() - started < 3

    def test_infrequent_access(self) -> None:
        """INFREQUENT_ACCESS serves neither GetLogEvents nor FilterLogEvents."""
        name, logs = "/archive/infrequent/clickstream", client("logs")
        with pytest.raises(ClientError):
            logs.filter_log_events(logGroupName=name)
        stream = streams(name)[0]["logStreamName"]
        with pytest.raises(ClientError):
            logs.get_log_events(logGroupName=name, logStreamName=stream)

    def test_events(self) -> None:
        """Live groups hold events, dead ones none, although their streams are listed."""
        logs = client("logs")
        assert logs.filter_log_events(logGroupName="/ecs/long-tail")["events"]
        assert logs.filter_log_events(logGroupName="/ecs/checkout-blue")["events"] == []

    def test_account_policies(self) -> None:
        """A policy's days stand in for the group's own; under NEVER_EXPIRE there are none."""
        quarterly, vault = group("/managed/quarterly/retired"), group("/compliance/empty-vault")
        assert (quarterly["retentionPolicyName"], quarterly["retentionInDays"]) == (
            "ninety-days",
            90,
        )
        assert vault["retentionPolicyName"] == "keep-for-ever"
        assert "retentionInDays" not in vault
        assert "retentionPolicyName" not in group("/ecs/long-tail")


@pytest.fixture
def own() -> Iterator[None]:
    """An account for one test that changes it."""
    with sandbox(NOW):
        yield


@pytest.mark.usefixtures("own")
class TestChanging:
    def test_protected(self) -> None:
        """Deletion protection refuses the deletion of the group and of its streams."""
        logs, name = client("logs"), "/platform/protected/ledger"
        assert group(name)["deletionProtectionEnabled"] is True
        with pytest.raises(ClientError) as refused:
            logs.delete_log_group(logGroupName=name)
        assert code_of(refused) == "ValidationException"
        stream = streams(name)[0]["logStreamName"]
        with pytest.raises(ClientError) as refused:
            logs.delete_log_stream(logGroupName=name, logStreamName=stream)
        assert code_of(refused) == "ValidationException"

    def test_unprotect(self) -> None:
        """Once its protection is taken off, the group can be deleted."""
        logs, name = client("logs"), "/platform/protected/ledger"
        logs.put_log_group_deletion_protection(
            logGroupIdentifier=name, deletionProtectionEnabled=False
        )
        logs.delete_log_group(logGroupName=name)
        assert name not in all_groups()

    def test_delivery_retention(self) -> None:
        """Class DELIVERY refuses a retention."""
        with pytest.raises(ClientError) as refused:
            client("logs").put_retention_policy(
                logGroupName="/aws/vendedlogs/delivery/cdn-access", retentionInDays=30
            )
        assert code_of(refused) == "InvalidParameterException"

    def test_odd_retention(self) -> None:
        """Days that AWS does not accept are refused."""
        with pytest.raises(ClientError):
            client("logs").put_retention_policy(logGroupName="/ecs/long-tail", retentionInDays=31)

    def test_retention_under_policy(self) -> None:
        """Under an account-level policy a retention is taken and changes nothing."""
        logs = client("logs")
        for name in ("/managed/quarterly/retired", "/compliance/empty-vault"):
            before = group(name)
            logs.put_retention_policy(logGroupName=name, retentionInDays=7)
            assert group(name) == before

    def test_retention(self) -> None:
        """Elsewhere a retention is what the group shows afterwards."""
        logs = client("logs")
        logs.put_retention_policy(logGroupName="/ecs/long-tail", retentionInDays=90)
        assert group("/ecs/long-tail")["retentionInDays"] == 90
        logs.delete_retention_policy(logGroupName="/ecs/long-tail")
        assert "retentionInDays" not in group("/ecs/long-tail")

    def test_made_again(self) -> None:
        """A group made again under its name is another: created now, no filters, no tags."""
        logs, name = client("logs"), "/platform/metrics/failed-logins"
        logs.tag_resource(resourceArn=group(name)["logGroupArn"], tags={"team": "auth"})
        logs.delete_log_group(logGroupName=name)
        logs.create_log_group(logGroupName=name, logGroupClass="INFREQUENT_ACCESS")
        found = group(name)
        assert found["creationTime"] >= NOW
        assert (found["logGroupClass"], found["metricFilterCount"]) == ("INFREQUENT_ACCESS", 0)
        assert logs.list_tags_for_resource(resourceArn=found["logGroupArn"])["tags"] == {}

    def test_deleting_while_paging(self) -> None:
        """Deleting what a page showed does not end the listing of streams, as moto's would."""
        logs, name, seen = client("logs"), "/aws/lambda/black-friday-2022", 0
        token: dict[str, str] = {}
        while True:
            page = logs.describe_log_streams(logGroupName=name, **token)
            for stream in page["logStreams"]:
                logs.delete_log_stream(logGroupName=name, logStreamName=stream["logStreamName"])
                seen += 1
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        assert (seen, streams(name)) == (130, [])

    def test_newest_first(self) -> None:
        """By last event time, descending, over pages, the live stream comes first."""
        pages = (
            client("logs")
            .get_paginator("describe_log_streams")
            .paginate(logGroupName="/ecs/long-tail", orderBy="LastEventTime", descending=True)
        )
        found = [s["logStreamName"] for page in pages for s in page["logStreams"]]
        assert (len(set(found)), found[0]) == (65, "zzz/the-live-one")

    def test_written(self) -> None:
        """What is written shows in the stream's times, the group's bytes and the arrivals."""
        name, logs = "/aws/lambda/new-onboarding-flow", client("logs")
        now = int(time.time() * 1000)
        logs.create_log_stream(logGroupName=name, logStreamName="s")
        logs.put_log_events(
            logGroupName=name, logStreamName="s", logEvents=[{"timestamp": now, "message": "hi"}]
        )
        (stream,) = streams(name)
        assert stream["lastEventTimestamp"] == now
        assert group(name)["storedBytes"] > 0
        (found,) = arrivals([name], days=1, period=3600, until=NOW + DAY_MS // 2).values()
        assert sum(found["Values"]) == 1

    def test_many_threads(self) -> None:
        """Eight threads at once read, tag, list and delete without a mishap."""

        def work(index: int) -> int:
            name = f"/threads/{index}"
            logs.create_log_group(logGroupName=name)
            for number in range(12):
                logs.create_log_stream(logGroupName=name, logStreamName=str(number))
                logs.describe_log_groups()
                logs.describe_log_streams(logGroupName="/ecs/long-tail")
                logs.delete_log_stream(logGroupName=name, logStreamName=str(number))
            logs.delete_log_group(logGroupName=name)
            return len(logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"])

        logs = client("logs")
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(work, range(8))) == [0] * 8
        assert len(all_groups()) == module.GROUPS[EU]


class TestLifetime:
    def test_same_twice(self) -> None:
        """The account is the same every time, down to the streams and their times."""

        def look() -> list[object]:
            with sandbox(NOW):
                names = ("/ecs/long-tail", "/aws/lambda/events-ingest")
                return [[all_groups(region) for region in REGIONS], [streams(n) for n in names]]

        assert look() == look()

    def test_quick(self) -> None:
        """The account is there in well under two seconds."""
        started = time.monotonic()
        with sandbox():
            assert time.monotonic() - started < 1.5

    def test_nested(self) -> None:
        """A nested use joins the account; what it did lasts until the outermost end."""
        with sandbox(NOW):
            with sandbox():
                client("logs").delete_log_group(logGroupName="/ecs/checkout-blue")
            assert "/ecs/checkout-blue" not in all_groups()
        with sandbox(NOW):
            assert "/ecs/checkout-blue" in all_groups()

    def test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody's profile, endpoint or keys reach inside; afterwards all is as it was."""
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("AWS_ENDPOINT_URL_LOGS", "http://localhost:1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
        monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
        client.cache_clear()
        before = dict(os.environ)
        with sandbox(NOW):
            assert "AWS_PROFILE" not in os.environ
            assert "AWS_ENDPOINT_URL_LOGS" not in os.environ
            assert os.environ["AWS_ACCESS_KEY_ID"] != "real"
            assert all_groups()
        assert dict(os.environ) == before

    def test_error_inside(self) -> None:
        """An error inside ends the sandbox too, and moto is as it was."""
        before = LogGroup.to_describe_dict
        with pytest.raises(KeyError), sandbox(NOW):
            raise KeyError
        assert LogGroup.to_describe_dict is before
        with pytest.raises(RuntimeError, match="no sandbox"):
            _ = module._RUNNING.cloud


class TestDemo:
    @pytest.mark.parametrize(
        ("codes", "expected"),
        [
            ([0, 0, 0, 0, 0], 0),
            ([0, 3, 3, 0, 0], 0),
            ([0, 2, 4, 0, 0], 2),
            ([0, 0, 0, 130, 0], 130),
        ],
    )
    def test_codes(
        self,
        codes: list[int],
        expected: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """The first real failure is the demo's; items that are merely unknown are not."""
        seen: list[list[str]] = []

        def cli_main(words: list[str]) -> int:
            seen.append(words)
            assert all_groups()
            return codes[len(seen) - 1]

        monkeypatch.setattr("janitor.terminal.cli.main", cli_main)
        assert module.main() == expected
        assert [words[0] for words in seen] == ["report", "report", "run", "report", "restore"]
        out = capsys.readouterr().out
        assert [line.split()[2] for line in out.splitlines() if line.startswith("$ ")] == [
            words[0] for words in seen
        ]
        assert seen[2][-1] in out.splitlines()[-2]
        assert out.splitlines()[-1].endswith(str(Path("report.html").resolve()))

    def test_whole(self, tmp_path: Path) -> None:
        """The demo cleans the account that its last report then finds clean, undoes it, and leaves
        a page.
        """
        done = subprocess.run(
            [sys.executable, "-m", "janitor.sandbox"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        first, second, third = (
            line for line in done.stderr.splitlines() if "log groups scanned" in line
        )
        assert str(tmp_path / "report.html") in done.stdout
        assert "22 of 300 log groups would be deleted" in (tmp_path / "report.html").read_text()
        assert "22 groups and 360 streams would be deleted" in first
        assert "22 groups and 360 streams were deleted" in second
        assert "0 retentions would be set, 0 groups and 0 streams would be deleted" in third
        assert (
            "22 log groups were made again or completed, 145 retentions were put back; 0 left"
            in (done.stderr)
        )
        assert "After the undo 0 of 300 log groups differ from what they were" in done.stdout

    def test_a_difference_after_the_undo_is_a_failure(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The comparison is one: an undo that does nothing does not pass."""

        def cli_main(words: list[str]) -> int:
            if words[0] == "run":
                client("logs").delete_log_group(logGroupName="/ecs/checkout-blue")
            return 0

        monkeypatch.setattr("janitor.terminal.cli.main", cli_main)
        assert module.main() == 3
        assert "1 of 300 log groups differ" in capsys.readouterr().out
