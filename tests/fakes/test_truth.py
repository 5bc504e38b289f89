"""The record of truth and the store, which know nothing of each other, agree."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from janitor.core.clock import DAY_MS
from janitor.sandbox import store
from janitor.sandbox.clocks import ManualClock
from janitor.sandbox.retention_policies import RetentionPolicy
from tests.fakes import Builder, Cloud
from tests.fakes.actors import Random
from tests.fakes.cloud import Seen
from tests.fakes.faults import Rates
from tests.fakes.scenarios import ACCOUNT, REGION
from tests.fakes.truth import Group, Policy, Stream, Truth
from tests.sandbox.asking import Still, arn

NOW = ManualClock().now()
NAMES = ("/a", "/a/b", "/b")
STREAMS = ("s", "t", "meanwhile")
DAYS = (1, 3, 30, 90)


def account(drawn: random.Random) -> Builder:
    """A few groups with events on either side of every retention there is."""
    lags = store.Lags(stream=drawn.choice((0, 7200)), stored=drawn.choice((0, 90_000)))
    made = Builder(lags)
    for name in NAMES:
        policy = drawn.choice([{}, {}, {"policy": name, "policy_days": drawn.choice((None, 30))}])
        log_class = drawn.choice(("STANDARD", "STANDARD", "INFREQUENT_ACCESS", "DELIVERY"))
        days = drawn.choice((None, *DAYS))
        settings = {"retention": days, "log_class": log_class, "tags": {"a": "b"}} | policy
        key = made.group(ACCOUNT, REGION, name, created=NOW - 400 * DAY_MS, **settings)
        for stream in STREAMS[:2]:
            ages = [drawn.choice(DAYS) + drawn.choice((-0.5, 0.5)) for _ in range(4)]
            events = [(NOW - int(age * DAY_MS), 1, 100) for age in ages]
            lag = drawn.choice((None, None, 90_000))
            made.stream(key, stream, created=NOW - 400 * DAY_MS, events=events, lag=lag)
        late = NOW - drawn.choice(DAYS) * DAY_MS
        made.write(key, "s", late - DAY_MS, 2, 90, ingested=late)
        made.write(key, "t", NOW, ingested=NOW + 5_000)  # still on its way
    return made


def calls(drawn: random.Random, now: int) -> dict[str, dict[str, Any]]:
    """Every change that the record follows, by its method."""
    group, stream = {"logGroupName": drawn.choice(NAMES)}, {"logStreamName": drawn.choice(STREAMS)}
    by_arn, filtered = {"resourceArn": arn(group["logGroupName"])}, drawn.choice("fgh")
    named = group | {"filterName": filtered}
    metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    ages = sorted((drawn.choice((-0.5, 0, 0.9, 1.1, 2.9, 15)) for _ in range(4)), reverse=True)
    entries = [{"timestamp": now - int(age * DAY_MS), "message": "é"} for age in ages]
    terms = {
        "retentionInDays": drawn.choice((30, 90, "NEVER_EXPIRE")),
        "enforcementMode": drawn.choice(("NEW_ONLY", "RETROACTIVE")),
    }
    policy: dict[str, Any] = {"policyName": drawn.choice("pq"), "dryRun": drawn.random() < 0.3}
    policy["policyType"] = "RETENTION_POLICY"
    scope = drawn.choice(('["/"]', '["/a", "/c"]', '["/a/b"]'))
    content = {
        "policyDocument": json.dumps(terms),
        "selectionCriteria": f"LogGroupNamePrefix IN {scope}",
    }
    protected = {"deletionProtectionEnabled": drawn.random() < 0.3}
    to = {"filterPattern": "x", "destinationArn": "arn:aws:lambda:::f"}
    return {
        "create_log_group": group | {"tags": {"made": "again"}} | protected,
        "delete_log_group": group,
        "create_log_stream": group | stream,
        "delete_log_stream": group | stream,
        "put_log_events": group | stream | {"logEvents": entries},
        "put_retention_policy": group | {"retentionInDays": drawn.choice(DAYS)},
        "delete_retention_policy": group,
        "put_log_group_deletion_protection": {"logGroupIdentifier": group["logGroupName"]}
        | protected,
        "put_metric_filter": named | {"filterPattern": "x", "metricTransformations": [metric]},
        "put_subscription_filter": named | to,
        "tag_resource": by_arn | {"tags": {drawn.choice("abc"): "1"}},
        "untag_resource": by_arn | {"tagKeys": [drawn.choice("abc")]},
        "put_account_policy": policy | content,
        "delete_account_policy": policy,
    }


class Noted(Cloud):
    """Notes which operations took effect."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.done = set[str]()

    def seen(self, seen: Seen) -> None:
        if seen.call.result is not None:
            self.done.add(seen.call.operation)


def assert_shown(made: Builder, clock: ManualClock) -> None:
    """What the API shows is true, as late as it is shown, in small pages that may be empty."""
    now, target = clock.now(), (ACCOUNT, REGION)
    late = Still(store=made.store, clock=clock, empty_pages=0.3, page=2, seed=now)
    groups = sorted(made.truth.all(), key=lambda group: group.name)
    listed = [_listed(group, now, made.lags) for group in groups]
    assert late.ask("describe_log_groups", "logGroups") == listed
    query = "accountPolicies[].[policyName, policyDocument, selectionCriteria]"
    policies = late.ask("describe_account_policies", query, policyType="RETENTION_POLICY")
    assert policies == [_policed(policy) for policy in made.truth.policies.get(target, ())]
    for group in groups:
        for method, query, by, wanted in _own(group, now, made.lags):
            assert late.ask(method, query, **by) == wanted, (method, group.name)


def _policed(policy: Policy) -> list[str | None]:
    """The policy as last put, in force or not."""
    terms = policy.put or policy.force
    assert terms is not None
    days, mode = terms.days or "NEVER_EXPIRE", "NEW_ONLY" if terms.new_only else "RETROACTIVE"
    shown = json.dumps({"retentionInDays": days, "enforcementMode": mode})
    scope = f"LogGroupNamePrefix IN {json.dumps(terms.prefixes)}"
    return [policy.name, shown, None if "" in terms.prefixes else scope]


def _own(group: Group, now: int, lags: store.Lags) -> Iterator[tuple[str, str, Any, Any]]:
    """The calls about one group, and their true answers."""
    named = {"logGroupName": group.name}
    streams = [_streamed(group, group.streams[name], now, lags) for name in sorted(group.streams)]
    yield "describe_log_streams", "logStreams", named, streams
    yield "list_tags_for_resource", "tags", {"resourceArn": arn(group.name)}, group.tags
    if group.log_class != "STANDARD":
        return
    alive = [event for event in group.alive(now) if event.ingested <= now]
    times = sorted(event.at for event in alive for _ in range(event.count))
    yield "filter_log_events", "events[].timestamp", named | {"limit": 9}, times
    for kind, names in (("metric", group.metric_filters), ("subscription", group.subscriptions)):
        query = f"{kind}Filters[].filterName"
        yield f"describe_{kind}_filters", query, named, sorted(names)


def _listed(group: Group, now: int, lags: store.Lags) -> dict[str, Any]:
    shown = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "arn": f"{arn(group.name)}:*",
        "logGroupArn": arn(group.name),
        "logGroupClass": group.log_class,
        "retentionInDays": group.days,
        "retentionPolicyName": group.policy,
        "storedBytes": group.bytes_seen(now, lags.stored),
        "deletionProtectionEnabled": group.protected,
        "metricFilterCount": len(group.metric_filters),
    }
    return {key: value for key, value in shown.items() if value is not None}


def _streamed(group: Group, stream: Stream, now: int, lags: store.Lags) -> dict[str, Any]:
    """The stream without the times of what arrived too late to be shown at `now`."""
    until = now - 1000 * (lags.stream if stream.lag is None else stream.lag)
    seen = [event for event in stream.events if event.ingested <= until]
    times = {
        "firstEventTimestamp": min((event.at for event in seen), default=None),
        "lastEventTimestamp": max((event.at for event in seen), default=None),
        "lastIngestionTime": max((event.ingested for event in seen), default=None),
    }
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": f"{arn(group.name)}:log-stream:{stream.name}",
        "storedBytes": 0,
        **{key: at for key, at in times.items() if at is not None},
    }


def trial(seed: int) -> set[str]:
    """Make random calls with faults, while others are at work; returns those that took effect."""
    drawn, clock = random.Random(seed), ManualClock()
    faults = Rates(seed, throttle=0.05, internal_after=0.05, reset_after=0.05)
    others, made = Random(seed, chance=0.1), account(drawn)
    with Noted(made, clock=clock, faults=faults, meanwhile=[others]) as cloud:
        client = cloud.client("logs")
        for number in range(100):
            method, parameters = drawn.choice(sorted(calls(drawn, clock.now()).items()))
            with contextlib.suppress(ClientError, ConnectionClosedError):
                getattr(client, method)(**parameters)
            made.agree(clock.now())
            if number % 20 == 0:
                assert_shown(made, clock)
            clock.advance(drawn.choice((0, 1, 3600, 3600, 40_000, 86_400)))
        return cloud.done


def trials(many: int) -> set[str]:
    return set.union(*map(trial, range(many)))


def test_truth_and_store_agree_whatever_happens() -> None:
    """After every kind of change, also if its answer was lost."""
    done = {operation.lower() for operation in trials(12)}
    assert done == {name.replace("_", "") for name in calls(random.Random(), NOW)}


def _another_group(self: store.Store, group: store.Group, _now: int | None = None) -> None:
    region = self.region(group.account, group.region)
    region.remove(region.names[0])


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(store.Group, "horizon", lambda *_: 0, id="nothing expires"),
        pytest.param(store.Group, "days", property(lambda g: g.retention), id="knows no policy"),
        pytest.param(store.Group, "drop_expired", lambda *_: None, id="brings events back"),
        pytest.param(store.Store, "remove_group", _another_group, id="another group"),
        pytest.param(RetentionPolicy, "covers", lambda *_: True, id="policies cover everything"),
        pytest.param(Truth, "retain", lambda *_: None, id="a record that misses a call"),
    ],
)
def test_a_wrong_store_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Any
) -> None:
    """Some random account shows it."""
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises((AssertionError, KeyError), match="/"):
        trials(40)
