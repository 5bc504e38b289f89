"""New log groups: what a message does, and what it must never do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, cast

import boto3
import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from aws_lambda_powertools.utilities.batch.exceptions import UnexpectedBatchTypeError

from janitor.aws.workers import Inline
from janitor.core.model import LogGroup
from janitor.function import invocation, new_groups, warm
from janitor.function.new_groups import NewGroups, answer
from janitor.function.settings import read_settings
from janitor.journal.history import Put, read
from janitor.policy.file import Policy, load, parse
from janitor.sandbox.store import Bucket
from janitor.sandbox.wire import Call, RefusedError, Reply
from tests.accounts import (
    ACCOUNT,
    NOW,
    REGION,
    RESET,
    Cloud,
    Group,
    changing,
    days_ago,
    refused,
    refusing,
)
from tests.function.deployed import BUCKET, Context, _Session

MINUTES = 1 / 1440
OTHER = "us-east-1"
BATCH, SECONDS = 5, 300
"""As deployed: the tests of the deployment check both."""


def hint(name: str, **fields: Any) -> dict[str, Any]:
    """EventBridge's event for CloudTrail's CreateLogGroup."""
    return {
        "version": "0",
        "id": "b3e1",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.logs",
        "account": ACCOUNT,
        "region": REGION,
        "detail": {
            "eventName": "CreateLogGroup",
            "requestParameters": {"logGroupName": name},
            "responseElements": None,
        },
        **fields,
    }


def new(name: str, **fields: Any) -> Group:
    """A log group created 15 minutes ago."""
    return Group(name, days_ago(15 * MINUTES), **fields)


def new_groups_of(cloud: Cloud, regions: str = REGION, metrics: Any = None) -> NewGroups:
    """The function's code on an account."""
    settings = read_settings({"JANITOR_BUCKET": BUCKET, "JANITOR_REGIONS": regions})
    metrics = metrics or EphemeralMetrics(namespace="test", service="test")
    return NewGroups(settings, cast(boto3.Session, _Session(cloud)), cloud.clock, metrics, Inline())


def batch(*bodies: str) -> dict[str, Any]:
    """Lambda's event with these messages, numbered."""
    records = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs"}
        for number, body in enumerate(bodies)
    ]
    return {"Records": records}


class Function:
    """The function as deployed, with its bucket."""

    def __init__(self, cloud: Cloud, policy: Policy, patch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        cloud.store.buckets.setdefault(BUCKET, Bucket(ACCOUNT, REGION, NOW))
        patch.setattr(warm, "current_policy", lambda _settings: policy)
        self.request = 0

    def get(self, *events: Any, region: str = REGION, seconds: float = 300) -> list[int]:
        """Handle events and return the numbers of those that failed."""
        self.request += 1
        bodies = [event if isinstance(event, str) else json.dumps(event) for event in events]
        function = new_groups_of(self.cloud, region)
        context = Context(f"request-{self.request}", int(seconds * 1000), self.cloud.clock)
        failed = answer(function, batch(*bodies), context, self.cloud.clock.run)
        return [int(str(failure["itemIdentifier"])) for failure in failed["batchItemFailures"]]

    @property
    def puts(self) -> list[tuple[str, int]]:
        """The retentions set, by the journals in the bucket."""
        objects = self.cloud.store.buckets[BUCKET].objects
        history = read((key, stored.body.decode()) for key, stored in objects.items())
        assert not history.complaints
        steps = [(past.group, step) for past in history.pasts for step in past.steps]
        return [(group, step.after or 0) for group, step in steps if isinstance(step, Put)]


Deploy = Callable[..., Function]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch) -> Deploy:
    """Deploys the function on an account, with a policy."""

    def deployed(cloud: Cloud, text: str | None = None) -> Function:
        policy = load(None) if text is None else parse(text, "p.toml")
        return Function(cloud, policy, monkeypatch)

    return deployed


def test_a_new_group_gets_its_retention_and_nothing_else_is_touched(deploy: Deploy) -> None:
    """The change is journaled; the rest of the account is not even read."""
    others = [Group("/old/never", days_ago(900), 5), Group("/old/empty", days_ago(900), 0, 30)]
    cloud = Cloud([new("/app/a"), *others])
    function = deploy(cloud)
    assert function.get(hint("/app/a")) == []
    assert cloud.puts == function.puts == [("/app/a", 365)]
    assert changing(cloud.calls) == {"PutRetentionPolicy", "PutObject"}
    assert not cloud.scanned


BAND = "[defaults]\nretention_days = 30\nmax_days = 90\nmin_days = 14\ndelete_empty = true\n"

KEPT: dict[str, tuple[Group | None, str | None]] = {
    "gone": (None, None),
    "its creator's own retention": (new("/app/a", retention=7), BAND),
    "its creator's own retention, long": (new("/app/a", retention=3653), BAND),
    "account-level policy": (new("/app/a", under=("all", 30)), None),
    "account-level policy: never expires": (new("/app/a", under=("all", None)), None),
    "DELIVERY": (new("/app/a", log_class="DELIVERY"), None),
    "protected by tag": (new("/app/a", tags={"janitor:keep": ""}), None),
    "protected by name": (new("/app/a"), BAND + '[protect]\nnames = ["/app/*"]'),
    "no retention given": (new("/app/a"), "[defaults]\ndelete_empty = true\ngrace_days = 0"),
    "old: a forged event": (Group("/app/a", days_ago(15), 5_000), None),
    "older than its retention": (Group("/app/a", days_ago(7), 9), "[defaults]\nretention_days = 7"),
    "acknowledged": (
        new("/app/a", log_class="NEWEST"),
        BAND + '[[acknowledged]]\nnames = ["/app/a"]\nuntil = 9999-01-01',
    ),
}


@pytest.mark.parametrize(("group", "policy"), KEPT.values(), ids=KEPT.keys())
def test_a_group_that_needs_no_retention_is_left_alone(
    deploy: Deploy, group: Group | None, policy: str | None
) -> None:
    """The message does not fail: another attempt would change nothing."""
    cloud = Cloud([] if group is None else [group])
    assert deploy(cloud, policy).get(hint("/app/a")) == []
    assert not changing(cloud.calls)


def test_rules_go_by_the_groups_own_tags(deploy: Deploy) -> None:
    """The tagging API does not know a new log group yet."""
    policy = "[defaults]\nretention_days = 365\n[[rules]]\nid = 'dev'\ntags = ['env=dev']\n"
    cloud = Cloud([new("/app/a", tags={"env": "dev"})])
    cloud.fault = refusing("GetResources", "AccessDeniedException")
    assert deploy(cloud, policy + "retention_days = 14").get(hint("/app/a")) == []
    assert cloud.puts == [("/app/a", 14)]


FORGED: dict[str, Any] = {
    "another account": hint("/app/a", account="999999999999"),
    "a Region that is not configured": hint("/app/a", region=OTHER),
    "no Region": hint("/app/a", region="eu-west-1.evil.example"),
    "not a log group's name": hint("/app/a b"),
    "a name that is a list": hint("x") | {"detail": {"requestParameters": {"logGroupName": [1]}}},
    "no name": hint("x") | {"detail": {"requestParameters": None}},
    "not an event": "[]",
    "not JSON": "now",
}


@pytest.mark.parametrize("event", FORGED.values(), ids=FORGED.keys())
def test_a_forged_event_fails_alone(deploy: Deploy, event: Any) -> None:
    """It ends in the queue of failures; the messages beside it are handled."""
    cloud = Cloud([new("/app/a"), new("/app/b")])
    assert deploy(cloud).get(event, hint("/app/b")) == [0]
    assert cloud.puts == [("/app/b", 365)]


def test_nothing_but_the_name_is_taken_from_an_event(deploy: Deploy) -> None:
    """Neither a time, nor a retention, nor an operation."""
    cloud = Cloud([new("/app/a"), new("/app/b")])
    event = hint("/app/a", time="1999-01-01T00:00:00Z", dry_run=False, run="x")
    event["detail"] |= {"eventName": "DeleteLogGroup", "errorCode": "x", "recipientAccountId": "9"}
    event["detail"]["requestParameters"] |= {"retentionInDays": 1, "logGroupNamePrefix": "/"}
    assert deploy(cloud).get(event) == []
    assert cloud.puts == [("/app/a", 365)]


def test_a_message_that_comes_twice_changes_nothing_more(deploy: Deploy) -> None:
    """In one batch or in two, as queues may deliver it."""
    cloud = Cloud([new("/app/a")])
    function = deploy(cloud)
    assert function.get(hint("/app/a"), hint("/app/a")) == []
    assert function.get(hint("/app/a")) == []
    assert cloud.puts == function.puts == [("/app/a", 365)]


def only(name: str, reply: RefusedError | Reply) -> Callable[[Call], Any]:
    """A fault that gives this reply to PutRetentionPolicy of one log group."""
    return lambda call: (
        reply if call.operation == "PutRetentionPolicy" and call.group == name else None
    )


@pytest.mark.parametrize(
    "trouble", [refused("ThrottlingException"), refused("AccessDeniedException"), RESET]
)
def test_only_failed_messages_are_delivered_again(
    deploy: Deploy, trouble: RefusedError | Reply
) -> None:
    """They succeed once the fault is gone."""
    cloud = Cloud([new("/app/a"), new("/app/b")])
    function = deploy(cloud)
    cloud.fault = only("/app/a", trouble)
    assert function.get(hint("/app/a"), hint("/app/b"), hint("/app/a"), seconds=900) == [0, 2]
    assert cloud.puts == [("/app/b", 365)]
    cloud.quiet()
    assert function.get(hint("/app/a")) == []
    assert cloud.puts == [("/app/b", 365), ("/app/a", 365)]


@pytest.mark.parametrize("operation", ["DescribeLogGroups", "ListTagsForResource", "PutObject"])
def test_a_group_that_cannot_be_read_or_journaled_is_left_alone(
    deploy: Deploy, operation: str
) -> None:
    """Its message fails, and succeeds once the fault is gone."""
    cloud = Cloud([new("/app/a")])
    function = deploy(cloud)
    cloud.fault = refusing(operation, "AccessDeniedException")
    assert function.get(hint("/app/a")) == [0]
    assert not cloud.puts
    cloud.quiet()
    assert function.get(hint("/app/a")) == []
    assert cloud.puts == [("/app/a", 365)]


def test_a_group_of_an_unknown_log_class_fails(deploy: Deploy) -> None:
    """The queue of failures sets off an alarm, unless the policy acknowledges the log group."""
    cloud = Cloud([new("/app/a", log_class="NEWEST")])
    assert deploy(cloud).get(hint("/app/a")) == [0]
    assert not changing(cloud.calls)


def test_a_group_that_is_recreated_meanwhile_is_left_alone(deploy: Deploy) -> None:
    """It has an event of its own."""
    cloud = Cloud([new("/app/a")])
    looks = 0

    def again(call: Call) -> None:
        nonlocal looks
        looks += call.operation == "DescribeLogGroups"
        if looks == 2:
            looks += 1
            cloud.put(Group("/app/a", NOW))

    cloud.before_call = again
    assert deploy(cloud).get(hint("/app/a")) == []
    assert not cloud.puts


def test_two_invocations_take_a_tenth_of_each_quota(deploy: Deploy) -> None:
    """Ten groups take 40 s at a quarter of a call a second."""
    cloud = Cloud([new(f"/app/{number}") for number in range(10)])
    at: list[float] = []
    cloud.before_call = lambda call: (
        at.append(cloud.clock.passed) if call.operation == "PutRetentionPolicy" else None
    )
    assert deploy(cloud).get(*(hint(f"/app/{number}") for number in range(10))) == []
    assert len(cloud.puts) == 10
    assert at[-1] - at[3] >= 6 * 4 - 1


def test_messages_for_which_there_is_no_time_fail(deploy: Deploy) -> None:
    """Nothing is started that the end of the invocation would cut off."""
    cloud = Cloud([new(f"/app/{number}") for number in range(10)])
    function = deploy(cloud)
    events = [hint(f"/app/{number}") for number in range(10)]
    left = function.get(*events, seconds=80)
    done = {int(name.removeprefix("/app/")) for name, _ in cloud.puts}
    assert done
    assert set(left) == set(range(10)) - done
    assert function.get(*(events[number] for number in left)) == []
    assert len(cloud.puts) == 10


def test_each_region_is_handled_by_itself(deploy: Deploy) -> None:
    """One that refuses does not affect the others."""
    cloud = Cloud([new("/app/a")])
    other = Group("/app/a", days_ago(MINUTES))
    other.region = OTHER
    cloud.store.region(ACCOUNT, OTHER).put(other)
    cloud.fault = lambda call: (
        refused("AccessDeniedException")
        if call.region == OTHER and call.operation == "DescribeLogGroups"
        else None
    )
    events = hint("/app/a"), hint("/app/a", region=OTHER)
    assert deploy(cloud).get(*events, region=f"{REGION},{OTHER}") == [1]
    assert (cloud.groups["/app/a"].retention, other.retention) == (365, None)


@pytest.mark.parametrize("event", [{}, None, [], {"dry_run": False}, {"Records": []}])
def test_an_event_that_is_not_a_batch_is_refused(event: Any) -> None:
    """Before any call."""
    cloud = Cloud([new("/app/a")])
    with pytest.raises((UnexpectedBatchTypeError, ValueError)):
        answer(new_groups_of(cloud), event, Context("r"), cloud.clock.run)
    assert not cloud.calls


def test_the_entry_point_publishes_the_number_of_events_and_logs_each_group(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watch reads that metric, by the function's name."""
    cloud = Cloud([new("/app/a")])
    cloud.store.buckets.setdefault(BUCKET, Bucket(ACCOUNT, REGION, NOW))
    monkeypatch.setattr(warm, "current_policy", lambda _settings: load(None))
    monkeypatch.setattr(new_groups.METRICS.provider, "service", "x-new-groups", raising=False)
    function = new_groups_of(cloud, metrics=new_groups.METRICS)
    monkeypatch.setattr(new_groups, "_new_groups", function)
    monkeypatch.setattr(asyncio, "run", cloud.clock.run)
    invocation.configure_logs()  # a command of an earlier test may have set up its own
    event = batch(json.dumps(hint("/app/a")), "forged")
    failed = new_groups.handler(event, Context("r", 300_000, cloud.clock))
    assert failed == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [logged] = [line for line in lines if line.get("event") == "new_group"]
    assert (logged["group"], logged["status"]) == ("/app/a", "done")
    [published] = [line for line in lines if "Events" in line]
    assert (published["Events"], published["Failed"]) == ([2.0], [1.0])
    [metrics] = published["_aws"]["CloudWatchMetrics"]
    assert metrics["Dimensions"] == [["service"]]


# ---- tags ----------------------------------------------------------------------------------------

COST = '[defaults]\nretention_days = 30\n[new_groups]\ntags = ["team", "cost-centre"]\n'
CALLED = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:checkout"


def test_a_whole_batch_fits_into_an_invocation(deploy: Deploy) -> None:
    """Also if all of them get tags, at a twentieth of each quota."""
    names = [f"/aws/lambda/{number}" for number in range(BATCH)]
    cloud = Cloud([new(name) for name in names])
    for number in range(BATCH):
        arn = CALLED.replace("checkout", str(number))
        cloud.region.resources[arn] = {"team": "shop"}
    assert deploy(cloud, COST).get(*map(hint, names), seconds=SECONDS) == []
    assert cloud.calls["TagResource"] == len(cloud.puts) == BATCH


def test_named_tags_are_copied_from_the_owner_and_none_is_overwritten(deploy: Deploy) -> None:
    """The owner is the function in the log group's name; a second message changes nothing."""
    group = new("/aws/lambda/checkout", tags={"team": "payments"})
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop", "cost-centre": "42", "env": "prod"}
    function = deploy(cloud, COST)
    for _ in range(2):
        assert function.get(hint("/aws/lambda/checkout")) == []
        assert group.tags == {"team": "payments", "cost-centre": "42"}
    assert cloud.calls["TagResource"] == 1
    assert function.puts == [("/aws/lambda/checkout", 30)]


OWNED = {
    "/aws/rds/instance/shop/postgresql": "rds:{}:db:shop",
    "/aws/rds/cluster/shop/error": "rds:{}:cluster:shop",
    "/aws/eks/shop/cluster": "eks:{}:cluster/shop",
    "/aws/ecs/containerinsights/shop/performance": "ecs:{}:cluster/shop",
}


@pytest.mark.parametrize(("name", "arn"), OWNED.items())
def test_clusters_and_databases_have_tags_too(deploy: Deploy, name: str, arn: str) -> None:
    """Also if the log group has its retention already."""
    group = new(name, retention=7)
    cloud = Cloud([group])
    cloud.region.resources[f"arn:aws:{arn.format(f'{REGION}:{ACCOUNT}')}"] = {"team": "shop"}
    assert deploy(cloud, COST).get(hint(name)) == []
    assert (group.tags, group.retention) == ({"team": "shop"}, 7)


def test_a_tag_that_somebody_sets_meanwhile_stays(deploy: Deploy) -> None:
    """TagResource overwrites, so the group's own tags are read right before."""
    group = new("/aws/lambda/checkout")
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop", "cost-centre": "42"}

    def meanwhile(call: Call) -> None:
        if call.operation == "PutObject" and b"add_tags" in call.parameters["Body"]:
            group.tags["team"] = "theirs"

    cloud.before_call = meanwhile
    function = deploy(cloud, COST)
    assert function.get(hint("/aws/lambda/checkout")) == [0]
    assert group.tags == {"team": "theirs"}
    assert function.get(hint("/aws/lambda/checkout")) == []
    assert group.tags == {"team": "theirs", "cost-centre": "42"}


@pytest.mark.parametrize("trouble", [refused("ThrottlingException"), RESET])
def test_tags_are_read_before_a_call_to_set_them_is_retried(
    deploy: Deploy, trouble: RefusedError | Reply
) -> None:
    """A call whose answer was lost is not repeated if it had its effect."""
    group = new("/aws/lambda/checkout")
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop"}

    def disturbed(call: Call) -> RefusedError | Reply | None:
        first = call.operation == "TagResource" and cloud.calls["TagResource"] == 1
        return trouble if first else None

    if trouble is RESET:
        cloud.after = disturbed
    else:
        cloud.fault = disturbed
    assert deploy(cloud, COST).get(hint("/aws/lambda/checkout")) == []
    assert group.tags == {"team": "shop"}
    assert cloud.calls["TagResource"] == (1 if trouble is RESET else 2)


@pytest.mark.parametrize(
    "group",
    [
        new("/aws/lambda/checkout", tags={"janitor:keep": ""}),
        Group("/aws/lambda/checkout", days_ago(15)),
        new("/app/checkout"),
    ],
    ids=["exempt", "old", "of no owner"],
)
def test_no_tags_are_copied_to_an_exempt_or_old_group_or_one_without_owner(
    deploy: Deploy, group: Group
) -> None:
    """An exempt log group is exempt from every change."""
    before = dict(group.tags)
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop"}
    assert deploy(cloud, COST).get(hint(group.name)) == []
    assert group.tags == before


@pytest.mark.parametrize("operation", ["GetResources", "TagResource"])
def test_retention_is_set_even_if_tags_cannot_be_copied(deploy: Deploy, operation: str) -> None:
    """The message fails, and is delivered again."""
    group = new("/aws/lambda/checkout")
    cloud = Cloud([group])
    cloud.region.resources[CALLED] = {"team": "shop"}
    cloud.fault = refusing(operation, "AccessDeniedException")
    assert deploy(cloud, COST).get(hint("/aws/lambda/checkout")) == [0]
    assert (group.retention, group.tags) == (30, {})


def test_a_policy_restricted_to_retention_deletes_nothing_even_if_it_was_used_before() -> None:
    """It is another policy, down to its rules."""
    text = "retention_days = 1\nmax_days = 1\ndelete_empty = true\nsweep_streams = true"
    policy = parse(f"[defaults]\n{text}\n[[rules]]\nid = 'a'\nnames = ['/a*']\n{text}", "p")
    for name in ("/a", "/b"):
        group = new(name)
        shown = LogGroup(cast(Any, None), group.name, "arn", group.created, 0, 90)
        assert policy.settings_for(shown) is not None
        settings = policy.only_retention(0.05).settings_for(shown)
        assert settings is not None
        given = (settings.retention_days, settings.max_days)
        assert given == (1, None)
        assert [settings.delete_empty, settings.sweep_streams] == [False, False]
