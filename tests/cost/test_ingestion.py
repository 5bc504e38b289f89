"""`--ingestion`: what is read, the sums, the advice, and that no decision depends on it."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.api import CallError
from janitor.aws.metrics import METRICS_A_CALL, incoming_bytes
from janitor.core.clock import DAY_MS, Stop, StoppedError
from janitor.core.exit_codes import Exit
from janitor.core.model import Ingestion, LogGroup, Target, verb_of
from janitor.cost.ingestion import (
    API_GATEWAY,
    DAYS,
    MOST_PREFIXES,
    OTHER,
    TOP,
    Talkers,
    prefix_of,
)
from janitor.cost.money import GB
from janitor.cost.prices import price_list
from janitor.engine.measured import BATCHES_AHEAD, measured
from janitor.engine.survey import every_group
from janitor.policy.file import Policy, Prices, load
from janitor.sandbox.wire import Call, RefusedError, Reply
from tests.accounts import (
    ACCOUNT,
    NOW,
    REGION,
    Cloud,
    Group,
    Recorded,
    Result,
    api,
    days_ago,
    janitor,
    look,
    ok,
    refused,
    refusing,
)
from tests.engine.test_properties import accounts, journal, policies, relaxed

PRICES = price_list(Prices())
TODAY = NOW // DAY_MS * DAY_MS


def account(count: int) -> Cloud:
    """Return an account with `count` groups; i bytes arrived yesterday in number i."""
    return Cloud(
        Group(f"/app/{i:05}", days_ago(100), 5, 30, arrivals={TODAY - DAY_MS: i} if i else None)
        for i in range(count)
    )


def measured_look(cloud: Cloud) -> tuple[Result, Recorded, Talkers]:
    """Survey as `report --ingestion` does."""
    talkers = Talkers(PRICES)
    result, recorded = look(cloud, load(None), listing=measured(every_group, DAYS, talkers))
    for group in recorded.groups:
        talkers.add(group)
    return result, recorded, talkers


async def read_pages(cloud: Cloud, into: list[LogGroup], stop: Stop | None = None) -> None:
    """Read all pages of such a survey."""
    async for page, _ in measured(every_group, DAYS, Talkers(PRICES))(api(cloud, stop), None):
        into.extend(page)


def test_ingestion_is_summed_over_whole_days_and_today_only_dates_the_last_arrival() -> None:
    """The sum covers 30 days up to midnight."""
    received = {
        TODAY + 1: 1000,
        TODAY - 1: 200,
        TODAY - 30 * DAY_MS: 30,
        TODAY - 30 * DAY_MS - 1: 4,
    }
    cloud = Cloud(
        [
            Group("/a", days_ago(100), arrivals=received),
            Group("/b", days_ago(100), arrivals={TODAY - 31 * DAY_MS: 7}),
            Group("/c", days_ago(100), arrivals={TODAY - 5 * DAY_MS + 9: 6}),
        ]
    )
    found = cloud.clock.run(incoming_bytes(api(cloud), ["/a", "/b", "/c", "/no-such"], DAYS))
    assert found == {
        "/a": Ingestion(230, 30, TODAY),
        "/b": Ingestion(0, 30, None),
        "/c": Ingestion(6, 30, TODAY - 5 * DAY_MS),
        "/no-such": Ingestion(0, 30, None),
    }


def test_every_group_is_read_once_in_batches_of_500() -> None:
    """1,200 groups take three calls, and each group gets its own figure."""
    cloud = account(1200)
    asked: list[dict[str, Any]] = []
    cloud.before_call = lambda call: (
        asked.append(call.parameters) if call.operation == "GetMetricData" else None
    )
    summary, recorded, talkers = measured_look(cloud)
    assert summary.exit_code is Exit.DONE
    assert sorted(len(one["MetricDataQueries"]) for one in asked) == [200, 500, 500]
    points = DAYS + 1
    assert all(len(one["MetricDataQueries"]) * points <= 100_800 for one in asked)
    assert [group.name for group in recorded.groups] == sorted(cloud.groups)
    for group in recorded.groups:
        assert group.ingestion == Ingestion(
            int(group.name[-5:]), 30, TODAY - DAY_MS if int(group.name[-5:]) else None
        )
    summed = talkers.as_dict(lambda _group: False)
    assert (summed["groups"], summed["unread"], summed["metrics_asked"]) == (1200, 0, 1200)
    assert summed["bytes"] == sum(range(1200))
    assert summed["metrics_usd"] == pytest.approx(0.012)
    assert summed["no_arrivals"] == 1


@relaxed
@given(accounts, policies)
def test_ingestion_makes_no_difference_to_what_is_done(groups: list[Group], policy: Policy) -> None:
    """Puts, deletions and sweeps are the same without it, with it, and if it cannot be read."""
    done = []
    for how in ("without", "read", "unreadable"):
        cloud = Cloud(deepcopy(groups))
        if how == "unreadable":
            cloud.fault = _no_bytes
        listing = every_group if how == "without" else measured(every_group, DAYS, Talkers(PRICES))
        with journal() as written:
            summary, recorded = janitor(cloud, policy, written, listing=listing)
        done.append(
            (
                sorted(cloud.puts),
                sorted(group.name for group in cloud.deleted),
                sorted(cloud.swept),
                sorted((o.group.name, o.status, verb_of(o.action)) for o in recorded.outcomes),
                summary.by_status,
            )
        )
    assert done[0] == done[1] == done[2]


def _no_bytes(call: Call) -> RefusedError | None:
    if call.operation != "GetMetricData":
        return None
    metric = call.parameters["MetricDataQueries"][0]["MetricStat"]["Metric"]["MetricName"]
    return refused("AccessDenied") if metric == "IncomingBytes" else None


def test_without_the_permission_all_groups_are_unread_and_reading_is_given_up_early() -> None:
    """They count as unread, not as zero, and the run is complete."""
    cloud = account(METRICS_A_CALL * 20)
    cloud.fault = _no_bytes
    summary, recorded, talkers = measured_look(cloud)
    assert summary.exit_code is Exit.DONE
    assert cloud.calls["GetMetricData"] <= BATCHES_AHEAD + 1
    summed = talkers.as_dict(lambda _group: False)
    assert (summed["groups"], summed["unread"]) == (0, METRICS_A_CALL * 20)
    assert summed["bytes"] == summed["no_arrivals"] == 0
    [why] = summed["failures"]
    assert "AccessDenied" in why
    assert len(recorded.groups) == METRICS_A_CALL * 20


def test_a_batch_that_cannot_be_read_does_not_affect_the_others() -> None:
    """500 of 1,200 groups are unread."""
    cloud = account(1200)

    def fault(call: Call) -> RefusedError | None:
        first = str(call.parameters.get("MetricDataQueries"))
        return refused("InternalFailure", 500) if "/app/00500" in first else None

    cloud.fault = fault
    _, _, talkers = measured_look(cloud)
    summed = talkers.as_dict(lambda _group: False)
    assert (summed["groups"], summed["unread"]) == (700, 500)
    assert "InternalFailure" in summed["failures"][0]


@pytest.mark.parametrize(
    "spoiled",
    [
        {"StatusCode": "PartialData"},
        {"StatusCode": "InternalError"},
        {"Values": []},
        {"Values": [-5.0]},
    ],
)
def test_a_group_whose_result_is_invalid_is_retried_and_then_unread(
    spoiled: dict[str, Any],
) -> None:
    """Only that group is requested again, and every request is counted."""
    cloud, asked = account(3), list[int]()

    def spoil(call: Call) -> Reply | None:
        assert call.result is not None
        if len(asked) == clear_from:
            return None
        call.result["MetricDataResults"][1 if len(asked) == 1 else 0] |= spoiled
        return ok(json.dumps(call.result).encode())

    cloud.after = spoil
    for clear_from, names in ((2, sorted(cloud.groups)), (9, ["/app/00000", "/app/00002"])):
        asked.clear()
        read = incoming_bytes(api(cloud), sorted(cloud.groups), DAYS, asked.append)
        assert sorted(cloud.clock.run(read)) == names
        assert asked == [3, 1, 1][:clear_from]


def test_a_survey_that_fails_yields_all_that_it_read_before() -> None:
    """The error is the same as without ingestion."""
    cloud = account(1000)
    denied = refusing("DescribeLogGroups", "AccessDenied")
    cloud.fault = lambda call: denied(call) if len(cloud.scanned) == 15 else None
    groups: list[LogGroup] = []
    with pytest.raises(CallError, match="AccessDenied"):
        cloud.clock.run(read_pages(cloud, groups))
    assert [group.name for group in groups] == sorted(cloud.groups)[:750]
    assert all(group.ingestion is not None for group in groups)


def test_a_stop_ends_the_reading_at_once() -> None:
    """After a stop, as by Ctrl-C, no further metrics are requested."""
    cloud, stop = account(5000), Stop()

    def before(call: Call) -> None:
        if call.operation == "GetMetricData":
            stop.set("interrupted")

    cloud.before_call = before
    with pytest.raises(StoppedError):
        cloud.clock.run(read_pages(cloud, [], stop))
    assert cloud.calls["GetMetricData"] == 1


# ---- sums and advice -------------------------------------------------------------------------


def group(name: str = "/app/a", received: int = 0, **more: Any) -> LogGroup:
    """Return a log group in which `received` bytes arrived."""
    region = more.pop("region", REGION)
    last = TODAY if received else None
    return LogGroup(
        Target(ACCOUNT, region), name, "", 0, 9, ingestion=Ingestion(received, 30, last), **more
    )


receiving = st.lists(
    st.builds(
        group,
        st.sampled_from(["/aws/lambda/", "/ecs/", "x", "/a/b/c/", API_GATEWAY]).flatmap(
            lambda prefix: st.integers(0, 40).map(lambda i: f"{prefix}{i}")
        ),
        st.integers(0, 10**13),
        region=st.sampled_from(["eu-west-1", "us-east-1", "xx-nowhere-1"]),
        log_class=st.sampled_from(["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"]),
        retention_days=st.sampled_from([None, 30]),
    ),
    max_size=60,
    unique_by=lambda group: group.identity,
)


def ingestion(groups: list[LogGroup], *, subscribed: bool | None = False) -> dict[str, Any]:
    """Return the summary's `ingestion` for a run over these groups."""
    talkers = Talkers(PRICES)
    for one in groups:
        talkers.add(one)
    return talkers.as_dict(lambda _group: subscribed)


@relaxed
@given(receiving, st.randoms())
def test_sums_of_what_arrived_agree(groups: list[LogGroup], random: Random) -> None:
    """Prefixes add up to the total, the largest groups are listed, and order does not matter."""
    summed = ingestion(groups)
    arrived = [one.ingestion.bytes for one in groups if one.ingestion]
    assert summed["bytes"] == sum(arrived)
    assert summed["no_arrivals"] == arrived.count(0)
    if len({prefix_of(one.name) for one in groups}) <= TOP:
        assert sum(prefix["bytes"] for prefix in summed["top_prefixes"]) == sum(arrived)
        dollars = sum(prefix["usd_a_month"] or 0 for prefix in summed["top_prefixes"])
        assert dollars == pytest.approx(summed["usd_a_month"] or 0, abs=1e-6)
    largest = [one["bytes"] for one in summed["top_groups"]]
    assert largest == sorted(filter(None, arrived), reverse=True)[:TOP]
    unpriced = [
        one.ingestion.bytes
        for one in groups
        if one.ingestion and (one.target.region.startswith("xx") or one.log_class[0] == "D")
    ]
    assert summed["bytes_without_price"] == sum(unpriced)
    random.shuffle(groups)
    assert ingestion(groups) == summed


def test_memory_is_bounded() -> None:
    """Neither all groups nor all prefixes are kept."""
    talkers = Talkers(PRICES)
    for i in range(MOST_PREFIXES * 5):
        talkers.add(group(f"/team-{i}/app", i))
    assert len(talkers.largest()) == TOP
    assert len(talkers._prefixes) == MOST_PREFIXES + 1
    summed = talkers.as_dict(lambda _group: False)
    [other] = [prefix for prefix in summed["top_prefixes"] if prefix["prefix"] == OTHER]
    assert other["groups"] == MOST_PREFIXES * 4
    assert other["bytes"] == sum(range(MOST_PREFIXES, MOST_PREFIXES * 5))


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("/aws/lambda/orders", "/aws/lambda"),
        ("/aws/lambda/a/b", "/aws/lambda"),
        ("/ecs/search", "/ecs"),
        ("/ecs", "/ecs"),
        ("RDSOSMetrics", "RDSOSMetrics"),
        ("team/app/web", "team/app"),
        ("API-Gateway-Execution-Logs_k3v9x2m7q1/dev", API_GATEWAY),
        ("/", "/"),
    ],
)
def test_prefixes(name: str, prefix: str) -> None:
    """A prefix has two segments at most, and is the whole name only if that has one segment."""
    assert prefix_of(name) == prefix


def advice(of: LogGroup, *, subscribed: bool | None = False) -> list[str]:
    """Return the advice for a group."""
    [shown] = ingestion([of], subscribed=subscribed)["top_groups"]
    texts: list[str] = shown["advice"]
    return texts


def test_infrequent_access_is_advised_only_if_nothing_speaks_against_it() -> None:
    """The group is large, of class STANDARD and without filters, and the class saves money."""
    large = group("/a", 100 * GB, retention_days=30, region="us-east-1")
    [text] = advice(large)
    assert text == "in a new log group of class INFREQUENT_ACCESS: $25.00 a month less"
    [unsure] = advice(large, subscribed=None)
    assert "could not be read" in unsure
    for unsuitable in (
        large._replace(log_class="INFREQUENT_ACCESS"),
        large._replace(metric_filters=1),
        large._replace(target=Target(ACCOUNT, "xx-nowhere-1")),
        large._replace(name="/aws/containerinsights/prod/performance"),
        group("/a", 2 * GB, retention_days=30),
    ):
        assert advice(unsuitable) == []
    assert advice(large, subscribed=True) == []


def test_retention_is_advised_if_there_is_none() -> None:
    """The advice says what storage will cost, if there is a price."""
    [text] = advice(group("/a", 2 * GB, region="us-east-1"))
    assert text == "set retention: it never expires: storage costs up to $0.06 more every month"
    [text] = advice(group("/a", 2 * GB, region="xx-nowhere-1", retention_policy="for-ever"))
    assert text == "set retention: it never expires (account-level policy 'for-ever')"
    assert advice(group("/a", 2 * GB, log_class="DELIVERY")) == []
