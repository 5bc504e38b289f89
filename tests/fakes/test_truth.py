"""The record of what is true, and the store, which know nothing of each other, say the same."""

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
from tests.sandbox.asking import MISSING, Still, arn

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
        made.write(key, "t", NOW, ingested=NOW + 5_000)  # which is still on its way
    return made


def calls(drawn: random.Random, now: int) -> dict[str, dict[str, Any]]:
    """Everything that changes something, by its method."""
    group, stream = {"logGroupName": drawn.choice(NAMES)}, {"logStreamName": drawn.choice(STREAMS)}
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group['logGroupName']}"
    filtered = {"filterName": drawn.choice("fgh"), "filterPattern": "x"}
    metric = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    ages = sorted((drawn.choice((-0.5, 0, 0.9, 1.1, 2.9, 15)) for _ in range(4)), reverse=True)
    entries = [{"timestamp": now - int(age * DAY_MS), "message": "é"} for age in ages]
    terms = {
        "retentionInDays": drawn.choice((30, 90, "NEVER_EXPIRE")),
        "enforcementMode": drawn.choice(("NEW_ONLY", "RETROACTIVE")),
    }
    policy = {
        "policyName": drawn.choice("pq"),
        "policyType": "RETENTION_POLICY",
        "dryRun": drawn.random() < 0.3,
    }
    scope = drawn.choice(('["/"]', '["/a", "/c"]', '["/a/b"]'))
    own = {"logGroupIdentifier": group["logGroupName"]}
    return {
        "create_log_group": group
        | {"tags": {"made": "again"}, "deletionProtectionEnabled": drawn.random() < 0.3},
        "delete_log_group": group,
        "create_log_stream": group | stream,
        "delete_log_stream": group | stream,
        "put_log_events": group | stream | {"logEvents": entries},
        "put_retention_policy": group | {"retentionInDays": drawn.choice(DAYS)},
        "delete_retention_policy": group,
        "put_log_group_deletion_protection": own
        | {"deletionProtectionEnabled": drawn.random() < 0.3},
        "disassociate_kms_key": group,
        "associate_kms_key": {"resourceIdentifier": arn}
        | {"kmsKeyId": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"},
        "put_bearer_token_authentication": own | {"bearerTokenAuthenticationEnabled": True},
        "put_data_protection_policy": own
        | {"policyDocument": f'{{"Name": "{drawn.choice("de")}"}}'},
        "delete_data_protection_policy": own,
        "put_index_policy": own | {"policyDocument": '{"Fields": []}'},
        "put_transformer": own | {"transformerConfig": [{"parseJSON": {}}]},
        "put_resource_policy": {"resourceArn": arn, "policyDocument": "{}"},
        "put_syslog_configuration": own | {"vpcEndpointId": drawn.choice(("vpce-1", "vpce-2"))},
        "put_metric_filter": group | filtered | {"metricTransformations": [metric]},
        "delete_metric_filter": group | {"filterName": filtered["filterName"]},
        "delete_subscription_filter": group | {"filterName": filtered["filterName"]},
        "put_subscription_filter": group | filtered | {"destinationArn": "arn:aws:lambda:::f"},
        "tag_resource": {"resourceArn": arn, "tags": {drawn.choice("abc"): "1"}},
        "put_account_policy": policy
        | {
            "policyDocument": json.dumps(terms),
            "selectionCriteria": f"LogGroupNamePrefix IN {scope}",
        },
        "delete_account_policy": policy,
        "untag_resource": {"resourceArn": arn, "tagKeys": [drawn.choice("abc")]},
    }


class Noted(Cloud):
    """Notes which operations took effect."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.done = set[str]()

    def seen(self, seen: Seen) -> None:
        if seen.call.result is not None:
            self.done.add(seen.call.operation)


def shown(made: Builder, clock: ManualClock) -> None:
    """What can be read is what is true, so late as it is shown; in small pages, some of them empty
    and not the last.
    """
    now, target = clock.now(), (ACCOUNT, REGION)
    late = Still(store=made.store, clock=clock, empty_pages=0.3, page=2, seed=now)
    groups = sorted(made.truth.all(), key=lambda group: group.name)
    listed = [_listed(group, now, made.lags) for group in groups]
    assert late.ask("describe_log_groups", "logGroups") == listed
    query = "accountPolicies[].[policyName, policyDocument, selectionCriteria]"
    policies = late.ask("describe_account_policies", query, policyType="RETENTION_POLICY")
    assert policies == [_policed(policy) for policy in made.truth.policies.get(target, ())]
    writing = [[arn(group.name), endpoint] for group in groups for endpoint in group.syslog]
    query = "syslogConfigurations[].[logGroupArn, vpcEndpointId]"
    for by in ({}, {"vpcEndpointId": "vpce-1"}):
        found = late.ask("list_syslog_configurations", query, maxResults=1, **by)
        assert sorted(found) == [one for one in writing if not by or one[1] == "vpce-1"]
    for group in groups:
        for method, query, by, wanted in _own(group, now, made.lags):
            assert late.ask(method, query, **by) == wanted, (method, group.name)


def _policed(policy: Policy) -> list[str | None]:
    """As it was put last, in force or not."""
    terms = policy.put or policy.force
    assert terms is not None
    days, mode = terms.days or "NEVER_EXPIRE", "NEW_ONLY" if terms.new_only else "RETROACTIVE"
    said = json.dumps({"retentionInDays": days, "enforcementMode": mode})
    scope = f"LogGroupNamePrefix IN {json.dumps(terms.prefixes)}"
    return [policy.name, said, None if "" in terms.prefixes else scope]


def _own(group: Group, now: int, lags: store.Lags) -> Iterator[tuple[str, str, Any, Any]]:
    """What can be asked about one group, and what is true."""
    named, own = {"logGroupName": group.name}, {"logGroupIdentifier": group.name}
    by_arn = {"resourceArn": arn(group.name)}
    streams = [_streamed(group, group.streams[name], now, lags) for name in sorted(group.streams)]
    yield "describe_log_streams", "logStreams", named, streams
    yield "list_tags_for_resource", "tags", by_arn, group.tags
    yield "list_syslog_configurations", "syslogConfigurations[].vpcEndpointId", own, [*group.syslog]
    query, policy = "resourcePolicies[].[policyDocument, resourceArn]", group.resource_policy
    found = [[policy, arn(group.name)]] if policy else []
    yield "describe_resource_policies", query, by_arn | {"policyScope": "RESOURCE"}, found
    if group.log_class != "STANDARD":
        return
    alive = [event for event in group.alive(now) if event.ingested <= now]
    times = sorted(event.at for event in alive for _ in range(event.count))
    yield "filter_log_events", "events[].timestamp", named | {"limit": 9}, times
    yield "get_data_protection_policy", "policyDocument", own, group.data_protection
    yield "get_transformer", "transformerConfig", own, [*group.transformer] or MISSING
    index = [["LOG_GROUP", group.index]] if group.index else []
    query = "indexPolicies[].[source, policyDocument]"
    yield "describe_index_policies", query, {"logGroupIdentifiers": [group.name]}, index
    for kind, names in (("metric", group.metric_filters), ("subscription", group.subscriptions)):
        method, key = f"describe_{kind}_filters", f"{kind}Filters"
        yield method, f"{key}[].filterName", named, sorted(names)
        for name in {name for of, name in group.filters if of == kind and name in names}:
            said = group.filters[kind, name]
            own_keys = ", ".join(f"{one}: {one}" for one in said)
            yield method, f"{key}[?filterName == '{name}'].{{{own_keys}}}", named, [said]


def _listed(group: Group, now: int, lags: store.Lags) -> dict[str, Any]:
    said = {
        "logGroupName": group.name,
        "creationTime": group.created,
        "arn": f"{arn(group.name)}:*",
        "logGroupArn": arn(group.name),
        "logGroupClass": group.log_class,
        "retentionInDays": group.days,
        "retentionPolicyName": group.policy,
        "storedBytes": group.bytes_seen(now, lags.stored),
        "kmsKeyId": group.kms,
        "deletionProtectionEnabled": group.protected,
        "bearerTokenAuthenticationEnabled": group.bearer or None,
        "dataProtectionStatus": "ACTIVATED" if group.data_protection else group.protection_status,
        "metricFilterCount": len(group.metric_filters),
    }
    return {key: value for key, value in said.items() if value is not None}


def _streamed(group: Group, stream: Stream, now: int, lags: store.Lags) -> dict[str, Any]:
    """Without the times of what arrived too late to be shown by now."""
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
    """Random calls of all kinds, with faults, while others are at work: those that took effect."""
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
                shown(made, clock)
            clock.advance(drawn.choice((0, 1, 3600, 3600, 40_000, 86_400)))
        return cloud.done


def trials(many: int) -> set[str]:
    return set.union(*map(trial, range(many)))


def test_whatever_is_called_and_whoever_is_at_work_both_say_the_same() -> None:
    """Each kind of change among them, also where its answer was lost."""
    done = trials(12)
    named = {
        "".join(word.title() for word in name.split("_")) for name in calls(random.Random(), NOW)
    }
    assert {operation.lower() for operation in named} == {operation.lower() for operation in done}


def _another_stream(self: store.Store, group: store.Group, name: str) -> None:
    del group.streams[max(group.streams)]
    group.order = None


def _another_group(self: store.Store, group: store.Group, _now: int | None = None) -> None:
    region = self.region(group.account, group.region)
    region.remove(region.names[0])


def _another_retention(self: store.Store, group: store.Group, days: int, _now: int) -> None:
    next(iter(self.region(group.account, group.region).groups.values())).retention = days


def _a_day_late(group: store.Group, now: int) -> int:
    return 0 if group.days is None else now - (group.days + 1) * DAY_MS


def _whatever_age(policy: RetentionPolicy, group: str, _created: int) -> bool:
    return policy.in_force is not None and group.startswith(policy.in_force.prefixes)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        pytest.param(store.Group, "horizon", _a_day_late, id="expires a day late"),
        pytest.param(store.Group, "days", property(lambda g: g.retention), id="knows no policy"),
        pytest.param(store.Group, "drop_expired", lambda *_: None, id="brings events back"),
        pytest.param(store.Store, "remove_stream", _another_stream, id="another stream"),
        pytest.param(store.Store, "remove_group", _another_group, id="another group"),
        pytest.param(store.Store, "set_retention", _another_retention, id="another group's days"),
        pytest.param(RetentionPolicy, "covers", _whatever_age, id="new-only spares nothing"),
        pytest.param(Truth, "retain", lambda *_: None, id="a record that misses a call"),
    ],
)
def test_a_store_that_is_wrong_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, broken: Any
) -> None:
    """Some random account shows it."""
    monkeypatch.setattr(owner, name, broken)
    with pytest.raises((AssertionError, KeyError), match="/"):
        trials(40)
