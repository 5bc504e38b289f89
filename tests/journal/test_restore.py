"""The undo: a run and then a restore leave the fake account field by field as it was."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.aws.logs import DEFINITION
from janitor.core.clock import Stop
from janitor.core.errors import JournalError
from janitor.core.exit_codes import Exit
from janitor.core.model import Restoration, Status
from janitor.journal.history import History, read, select
from janitor.journal.journal import FileJournal, Lines
from janitor.journal.restore import Undo, UndoTally
from janitor.policy.file import Policy, ProtectFromDeletion, load, parse
from janitor.sandbox.unknowns import Unknowns
from janitor.sandbox.wire import Call, Reply
from tests.accounts import (
    RESET,
    Cloud,
    Group,
    api,
    changing,
    days_ago,
    janitor,
    ok,
    refusing,
    stream,
)
from tests.engine.test_properties import RandomFaults, accounts, policies, relaxed

SHIPPED = load(None)
ALL = SHIPPED.model_copy(
    update={
        "limits": SHIPPED.limits.model_copy(update={"max_group_deletion_share": 1}),
        "protect": SHIPPED.protect.model_copy(
            update={"deletion": ProtectFromDeletion(owners=False)}
        ),
    }
)
"""Deletes any share, and checks no owners, because syslog data that arrives is one of them."""
DOCUMENT = '{"Name": "emails", "Version": "2021-06-01", "Statement": []}'
FURNISHED: dict[str, Any] = {
    "retention": 30,
    "kms": "arn:aws:kms:eu-west-1:123456789012:key/k",
    "tags": {"team": "media", "env": "dev"},
    "bearer": True,
    "data_protection": DOCUMENT,
    "index": '{"Fields": ["requestId"]}',
    "transformer": [{"parseJSON": {}}],
    "resource_policy": '{"Statement": []}',
    "syslog": ("vpce-1", "vpce-2"),
}


class KilledError(SystemExit):
    """The process ends here. A SystemExit, so that the event loop ends as well."""


def old(name: str = "/old/empty", **fields: Any) -> Group:
    """Return a group that the shipped policy deletes."""
    return Group(name, days_ago(800), **fields)


@contextmanager
def journal(folder: Path, name: str = "journal.jsonl") -> Iterator[FileJournal]:
    made = FileJournal(folder / name, Lines("run", "policy"))
    try:
        yield made
    finally:
        made.close()


def history(*paths: Path) -> History:
    return read((str(path), path.read_text()) for path in paths if path.exists())


def undo(
    cloud: Cloud, *paths: Path, apply: bool = True, stop: Stop | None = None
) -> tuple[UndoTally, list[Restoration]]:
    """Undo these journals as `janitor restore` does, without the command line."""
    stop, items = stop or Stop(), list[Restoration]()
    pasts = select(history(*paths).pasts, lambda _past: True)
    engine = Undo([api(cloud, stop)], pasts, stop, items.append)
    with journal(paths[0].parent, "undo.jsonl") as own:
        tally = cloud.clock.run(engine.carry_out(own) if apply else engine.show())
    return tally, items


def run(cloud: Cloud, folder: Path, policy: Policy = ALL) -> Path:
    """Run with changes, and return the path of the journal."""
    with journal(folder) as made:
        janitor(cloud, policy, made)
    return folder / "journal.jsonl"


def defined(cloud: Cloud) -> dict[str, Any]:
    """Return what an undo is to restore."""
    state = cloud.state()
    for group in state.values():
        for key in ("created", "stored", "streams"):
            del group[key]
        # Only AWS sets tags with this prefix.
        group["tags"] = {k: v for k, v in group["tags"].items() if not k.startswith("aws:")}
        if group["policies"] is not None:
            del group["retention"]  # the group's own retention is not visible under a policy
    return state


def never(name: str = "/new") -> Group:
    """Return a group that never expires."""
    return Group(name, days_ago(3), 5)


def status(items: Iterable[Restoration]) -> dict[str, Status]:
    return {item.group: item.status for item in items}


# ---- what comes back -------------------------------------------------------------------------


def test_everything_that_a_group_had_is_restored(tmp_path: Path) -> None:
    """The undo writes a journal of its own."""
    cloud = Cloud([old(**deepcopy(FURNISHED)), never()])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    assert ({*cloud.groups}, cloud.groups["/new"].retention) == ({"/new"}, 365)
    tally, items = undo(cloud, path)
    assert defined(cloud) == before
    assert tally.exit_code() is Exit.DONE
    assert status(items) == {"/old/empty": Status.DONE, "/new": Status.DONE}
    journaled = [json.loads(line) for line in (tmp_path / "undo.jsonl").read_text().splitlines()]
    assert [(line["action"], line["status"]) for line in journaled] == [
        ("restore_retention" if line["group"] == "/new" else "restore_group", status)
        for line, status in zip(journaled, ["begun", "done"] * 2, strict=True)
    ]


def test_a_group_of_a_class_without_the_features_is_deleted_and_recreated(tmp_path: Path) -> None:
    """AWS refuses the reads, which means that the group has none of the features."""
    cloud = Cloud([old(log_class="INFREQUENT_ACCESS", retention=30)])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    assert not cloud.groups
    undo(cloud, path)
    assert defined(cloud) == before


@pytest.mark.parametrize("operation", DEFINITION)
@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException"])
def test_what_cannot_be_recorded_is_not_deleted(operation: str, code: str, tmp_path: Path) -> None:
    """The group is unknown, and the reason names the call that failed."""
    cloud = Cloud([old(data_protection=DOCUMENT)])  # without a policy, none is read
    cloud.fault = refusing(operation, code)
    with journal(tmp_path) as made:
        summary, recorded = janitor(cloud, ALL, made)
    assert not cloud.deleted
    [outcome] = recorded.of("/old/empty")
    assert outcome.status is Status.UNKNOWN
    assert outcome.reason.startswith(
        f"{operation}: could not be read, and without it the log group"
    )
    assert summary.exit_code is Exit.UNJUDGED


@pytest.mark.parametrize("code", ["UnknownOperationException", "InvalidOperationException"])
@pytest.mark.parametrize("operation", [*DEFINITION, "DescribeSubscriptionFilters"])
def test_a_feature_that_a_region_lacks_prevents_no_deletion(
    operation: str, code: Any, tmp_path: Path
) -> None:
    """Filters, which every Region has, and a policy that the group is listed with must be read."""
    cloud = Cloud([old("/old/bare"), old("/old/kept", data_protection=DOCUMENT)])
    cloud.sandbox.world.unknowns = Unknowns(missing_code=code)
    cloud.region.lacks = frozenset({operation})
    run(cloud, tmp_path)
    kept = {
        "GetDataProtectionPolicy": {"/old/kept"},
        "DescribeSubscriptionFilters": {"/old/bare", "/old/kept"},
    }
    assert {*cloud.groups} == kept.get(operation, set())


def test_no_retention_is_set_under_an_account_level_policy(tmp_path: Path) -> None:
    """It would be invisible until the policy is gone, and then in force."""
    cloud = Cloud([old(retention=30), never()])
    path = run(cloud, tmp_path)
    cloud.put(Group("/old/empty", days_ago(0)))  # somebody recreated it
    for name in ("/old/empty", "/new"):
        cloud.police(name, days=400)
    _, items = undo(cloud, path)
    assert [cloud.groups[name].retention for name in ("/old/empty", "/new")] == [None, 365]
    for item in items:
        assert "account-level policy" in " ".join((item.reason, *item.left)), item


def test_an_account_level_policys_retention_is_not_restored_as_the_groups_own(
    tmp_path: Path,
) -> None:
    """The retention would outlast the policy."""
    cloud = Cloud([old(under=("org", 365))])
    path = run(cloud, tmp_path)
    assert not cloud.groups
    cloud.region.policies.clear()
    undo(cloud, path)
    assert cloud.groups["/old/empty"].retention is None


def test_an_account_level_index_policy_is_not_restored_as_the_groups_own(tmp_path: Path) -> None:
    """It applies to the recreated group anyway."""
    cloud = Cloud([old()])
    policy = {"policyDocument": '{"Fields": ["a"]}', "source": "ACCOUNT"}
    account = ok(json.dumps({"indexPolicies": [policy]}).encode())
    cloud.fault = lambda call: account if call.operation == "DescribeIndexPolicies" else None
    path = run(cloud, tmp_path)
    assert json.loads(path.read_text().splitlines()[0])["before"]["index_policy"] is None
    undo(cloud, path)
    assert "PutIndexPolicy" not in cloud.calls


@pytest.mark.parametrize("body", [b"", b"{", b"null"])
def test_a_call_with_an_empty_response_is_retried(body: bytes, tmp_path: Path) -> None:
    """botocore returns an empty response for a body that it cannot parse."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    broken = ["GetTransformer", "GetDataProtectionPolicy"]

    def break_once(call: Call) -> Reply | None:
        if call.operation not in broken:
            return None
        broken.remove(call.operation)
        return ok(body)

    cloud.fault = break_once
    before = defined(cloud)
    path = run(cloud, tmp_path)
    undo(cloud, path)
    assert defined(cloud) == before


def test_filters_in_a_journal_are_restored(tmp_path: Path) -> None:
    """A metric filter can only come from a journal that was edited, as a run keeps such a group."""
    cloud = Cloud([old(retention=30)])
    path = run(cloud, tmp_path)
    metric = {
        "filterName": "errors",
        "filterPattern": "ERROR",
        "metricTransformations": [
            {"metricName": "Errors", "metricNamespace": "App", "metricValue": "1"}
        ],
    }
    shipped = {"filterName": "ship", "filterPattern": "", "destinationArn": "arn:aws:lambda:x"}
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["before"] |= {"metric_filters": [metric], "subscription_filters": [shipped]}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    undo(cloud, path)
    recreated = cloud.groups["/old/empty"]
    assert recreated.filters == {("metric", "errors"): metric, ("subscription", "ship"): shipped}
    recreated.subscriptions = ()
    recreated.filters = {("metric", "errors"): metric | {"filterPattern": "FATAL"}}
    _, [item] = undo(cloud, path)
    destination = 'to arn:aws:lambda:x: {"filterPattern": ""}'
    assert item.changes == (f"subscription filter ship {destination}",)
    assert item.left == ("metric filter errors is a different one now",)
    assert recreated.filters["subscription", "ship"] == shipped
    assert recreated.filters["metric", "errors"]["filterPattern"] == "FATAL"


def test_ignored_subscriptions_are_deleted_with_the_group_and_restored(tmp_path: Path) -> None:
    """A group with any other subscription is kept, and the undo shows their destinations."""
    own = {"subscriptions": ("forwarder", "security")}
    cloud = Cloud([old(subscriptions=("forwarder",)), old("/old/own", **own), old("/old/none")])
    reads = 0

    def change_at_third_read(call: Call) -> None:
        nonlocal reads
        if call.operation == "DescribeSubscriptionFilters" and call.group == "/old/empty":
            reads += 1
            if reads == 3:  # after the survey, and after the journal's line
                cloud.groups["/old/empty"].subscriptions = ("forwarder-2",)

    cloud.before_call = change_at_third_read
    ignored = ["arn:aws:lambda:*:function:forwarder*"]
    kept = ProtectFromDeletion(owners=False, ignore_subscriptions_to=ignored)
    protect = ALL.protect.model_copy(update={"deletion": kept})
    path = run(cloud, tmp_path, ALL.model_copy(update={"protect": protect}))
    assert [*cloud.groups] == ["/old/own"]
    _, items = undo(cloud, path, apply=False)
    changes = {item.group: item.changes[-1] for item in items}
    assert changes["/old/empty"].startswith(
        "subscription filter forwarder-2 to "
        "arn:aws:lambda:eu-west-1:123456789012:function:forwarder-2: {"
    )
    assert "subscription" not in changes["/old/none"]
    undo(cloud, path)
    assert cloud.groups["/old/empty"].subscriptions == ("forwarder-2",)
    assert cloud.groups["/old/own"].subscriptions == own["subscriptions"]


# ---- what others changed in the meantime -----------------------------------------------------


def test_a_retention_that_somebody_changed_since_is_left_alone(tmp_path: Path) -> None:
    """So is that of a recreated group, which is another group."""
    cloud = Cloud([never("/a"), never("/b"), never("/c"), never("/d")])
    path = run(cloud, tmp_path)
    cloud.groups["/a"].retention = 7
    cloud.put(Group("/b", days_ago(0), retention=365))
    cloud.region.remove("/c")
    before = defined(cloud)
    _, items = undo(cloud, path)
    reasons = {item.group: (item.status, item.reason) for item in items}
    assert reasons["/a"] == (Status.KEPT, "somebody else has changed its retention since")
    assert reasons["/b"][1] == "another log group of that name, created since"
    assert reasons["/c"][1] == "no longer exists, and this journal did not delete it"
    assert reasons["/d"][0] is Status.DONE
    before["/d"]["retention"] = None
    assert defined(cloud) == before


def test_the_reason_says_that_restoring_a_shorter_retention_deletes_events(tmp_path: Path) -> None:
    """Restoring a longer one deletes nothing."""
    policy = parse("[defaults]\nmin_days = 30\nmax_days = 90", "t")
    cloud = Cloud([Group("/a", days_ago(3), 5, 7), Group("/b", days_ago(3), 5, 365)])
    path = run(cloud, tmp_path, policy)
    assert [cloud.groups[name].retention for name in ("/a", "/b")] == [30, 90]
    _, items = undo(cloud, path)
    assert [cloud.groups[name].retention for name in ("/a", "/b")] == [7, 365]
    assert {item.group: "older than 7 days expire again" in item.reason for item in items} == {
        "/a": True,
        "/b": False,
    }


def test_a_group_that_a_function_recreated_gets_what_it_lacks(tmp_path: Path) -> None:
    """Lambda creates it bare; retention, key, tags and policies are restored."""
    cloud = Cloud([old("/aws/lambda/x", **deepcopy(FURNISHED))])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    cloud.put(Group("/aws/lambda/x", days_ago(0)))
    _, [item] = undo(cloud, path)
    assert item.reason == "created again since, without everything that it had"
    assert defined(cloud) == before
    assert "CreateLogGroup" not in cloud.calls


def test_a_setting_that_differs_is_left_alone_and_reported(tmp_path: Path) -> None:
    """Nothing is overwritten or removed, and what is missing is still added."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    path = run(cloud, tmp_path)
    other = Group(
        "/old/empty",
        days_ago(0),
        retention=7,
        kms="another",
        tags={"team": "web", "more": "1"},
        data_protection="{}",
        index='{"Fields":["requestId"]}',
        transformer=[{"parseWAF": {}}],
        resource_policy='{"Statement": [{}]}',
        syslog=("vpce-2", "vpce-3"),
    )
    cloud.put(deepcopy(other))
    _, [item] = undo(cloud, path)
    assert item.status is Status.DONE
    assert item.changes == (
        "bearer token authentication",
        "tags env=dev",
        "syslog data of vpce-1",
    )
    assert item.left == (
        "retention is 7 days now, it was 30 days",
        f"key {FURNISHED['kms']} is a different one now",
        "tags team have other values now",
        "data protection policy is a different one now",
        "transformer is a different one now",
        "resource policy is a different one now",
    )
    other.bearer, other.syslog = True, ("vpce-1", "vpce-2", "vpce-3")
    other.tags["env"] = "dev"
    assert cloud.groups["/old/empty"].state() == other.state()


def test_aws_own_tags_are_reported_and_not_restored(tmp_path: Path) -> None:
    """Only AWS can set them."""
    policy = parse(
        "[defaults]\ndelete_empty = true\n[protect.deletion]\ntags = []\n"
        "[limits]\nmax_group_deletion_share = 1.0",
        "t",
    )
    tags = {"aws:cloudformation:stack-name": "s", "env": "dev"}
    cloud = Cloud([old(retention=30, tags=tags)])
    path = run(cloud, tmp_path, policy)
    tally, [item] = undo(cloud, path)
    assert item.left == ("tags aws:cloudformation:stack-name belong to AWS and cannot be set",)
    assert cloud.groups["/old/empty"].tags == {"env": "dev"}
    assert tally.exit_code() is Exit.DONE


# ---- chains of changes -----------------------------------------------------------------------


def test_the_undo_of_several_changes_restores_the_state_before_the_first(tmp_path: Path) -> None:
    """Retention is set, the group deleted, recreated by a function, and both happen again."""
    cloud = Cloud([Group("/aws/lambda/x", days_ago(800), 5, tags={"team": "media"})])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    assert cloud.groups["/aws/lambda/x"].retention == 365
    cloud.groups["/aws/lambda/x"].stored = 0
    run(cloud, tmp_path)
    assert not cloud.groups
    cloud.put(Group("/aws/lambda/x", days_ago(700), 5))
    run(cloud, tmp_path)
    cloud.groups["/aws/lambda/x"].stored = 0
    run(cloud, tmp_path)
    assert len(cloud.deleted) == 2
    undo(cloud, path)
    assert defined(cloud) == before


def test_a_retention_set_on_a_recreated_group_is_undone_too(tmp_path: Path) -> None:
    """The janitor's own retention does not prevent restoring the old one."""
    cloud = Cloud([old("/aws/lambda/x", retention=90)])
    path = run(cloud, tmp_path)
    cloud.put(Group("/aws/lambda/x", days_ago(1), 5))
    run(cloud, tmp_path)
    assert cloud.groups["/aws/lambda/x"].retention == 365
    undo(cloud, path)
    assert cloud.groups["/aws/lambda/x"].retention == 90


def test_the_undo_of_retention_can_be_undone(tmp_path: Path) -> None:
    """The undo's journal can be restored like that of a run."""
    cloud = Cloud([never()])
    undo(cloud, run(cloud, tmp_path))
    assert cloud.groups["/new"].retention is None
    (tmp_path / "undo.jsonl").rename(tmp_path / "second.jsonl")
    undo(cloud, tmp_path / "second.jsonl")
    assert cloud.groups["/new"].retention == 365


# ---- crashes ---------------------------------------------------------------------------------


def die(cloud: Cloud, operation: str, *, after: bool) -> None:
    """Kill the process at the first call of an operation, before or after its effect."""

    def killed(call: Call) -> None:
        if call.operation == operation:
            raise KilledError

    if after:
        cloud.after = killed
    else:
        cloud.fault = killed


@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
@pytest.mark.parametrize("operation", ["DeleteLogGroup", "PutRetentionPolicy"])
def test_a_crash_between_change_and_journal_loses_nothing(
    operation: str, after: bool, tmp_path: Path
) -> None:
    """A change that had begun is undone if it was made, else left alone."""
    cloud = Cloud([old(**deepcopy(FURNISHED)), never()])
    before = defined(cloud)
    die(cloud, operation, after=after)
    with journal(tmp_path) as made, pytest.raises(KilledError):
        janitor(cloud, ALL, made)
    cloud.quiet()
    undo(cloud, tmp_path / "journal.jsonl")
    assert defined(cloud) == before


def test_a_change_left_open_by_a_crash_is_undone_though_another_followed(tmp_path: Path) -> None:
    """The killed run set 365 days, and the next run, by another policy, sets 90."""
    cloud = Cloud([never()])
    before = defined(cloud)
    die(cloud, "PutRetentionPolicy", after=True)
    with pytest.raises(KilledError):
        run(cloud, tmp_path)
    cloud.quiet()
    path = run(cloud, tmp_path, parse("[defaults]\nretention_days = 90\nmax_days = 90", "t"))
    assert cloud.groups["/new"].retention == 90
    undo(cloud, path)
    assert defined(cloud) == before


def test_a_deletion_that_takes_effect_after_a_crash_is_undone(tmp_path: Path) -> None:
    """The next run finds the group, announces its deletion again, and then finds it gone."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    before = defined(cloud)
    die(cloud, "DeleteLogGroup", after=False)
    with pytest.raises(KilledError):
        run(cloud, tmp_path)
    cloud.quiet()

    def take_effect(call: Call) -> None:
        if call.operation == "DeleteLogGroup":
            cloud.region.remove("/old/empty")

    cloud.before_call = take_effect
    path = run(cloud, tmp_path)
    statuses = [json.loads(line)["status"] for line in path.read_text().splitlines()]
    assert statuses == ["begun", "begun", "gone"]
    undo(cloud, path)
    assert defined(cloud) == before


def test_an_undo_does_not_recreate_a_kept_group_that_somebody_deleted(tmp_path: Path) -> None:
    """Its deletion was announced twice, because its tags changed; then it was protected."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    tags = iter([{"team": "news"}, {"janitor:keep": ""}])

    def change(call: Call) -> None:
        if call.operation == "ListTagsForResource":
            cloud.groups["/old/empty"].tags.update(next(tags))

    cloud.before_call = change
    path = run(cloud, tmp_path)
    statuses = [json.loads(line)["status"] for line in path.read_text().splitlines()]
    assert statuses == ["begun", "kept", "begun", "kept"]
    cloud.quiet()
    cloud.region.remove("/old/empty")
    undo(cloud, path)
    assert not cloud.groups


def test_two_runs_that_announce_the_same_deletion_end_their_own(tmp_path: Path) -> None:
    """Their lines are mixed in the function's log: both kept the group, and somebody deleted it."""
    cloud = Cloud([old()])
    die(cloud, "DeleteLogGroup", after=False)
    with pytest.raises(KilledError):
        run(cloud, tmp_path)
    path = tmp_path / "journal.jsonl"
    (begun,) = map(json.loads, path.read_text().splitlines())
    ran = [("a", "begun"), ("b", "begun"), ("a", "kept"), ("b", "kept")]
    lines = (json.dumps({**begun, "run": one, "status": status}) for one, status in ran)
    path.write_text("\n".join([*lines, ""]))
    cloud.quiet()
    cloud.region.remove("/old/empty")
    undo(cloud, path)
    assert not cloud.groups


def test_a_group_is_completed_in_the_same_undo_if_the_response_to_its_creation_was_lost(
    tmp_path: Path,
) -> None:
    """The retry fails because the group exists, so the undo then adds what the group lacks."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    lost = iter([RESET])
    cloud.after = lambda call: next(lost, None) if call.operation == "CreateLogGroup" else None
    tally, items = undo(cloud, path)
    assert defined(cloud) == before
    assert status(items) == {"/old/empty": Status.DONE}
    assert tally.exit_code() is Exit.DONE
    journaled = [json.loads(line) for line in (tmp_path / "undo.jsonl").read_text().splitlines()]
    assert [line["status"] for line in journaled] == ["begun", "failed", "begun", "done"]


def test_a_deletion_whose_response_was_lost_is_undone_completely(tmp_path: Path) -> None:
    """The journal keeps what the group had, though a second look finds it gone."""
    cloud = Cloud([old(**deepcopy(FURNISHED))])
    before = defined(cloud)
    cloud.after = lambda call: RESET if call.operation == "DeleteLogGroup" else None
    path = run(cloud, tmp_path)
    assert not cloud.groups
    cloud.quiet()
    undo(cloud, path)
    assert defined(cloud) == before


def test_a_deletion_that_was_refused_is_not_undone(tmp_path: Path) -> None:
    """If somebody else deletes the group later, it stays deleted."""
    cloud = Cloud([old()])
    cloud.fault = refusing("DeleteLogGroup", "AccessDeniedException")
    path = run(cloud, tmp_path)
    cloud.quiet()
    cloud.region.remove("/old/empty")
    _, items = undo(cloud, path)
    assert items == []


def test_what_cannot_be_journaled_is_neither_deleted_nor_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's line is written before the change."""
    cloud = Cloud([old()])
    path = run(cloud, tmp_path)

    def full(*_: object, **__: object) -> None:
        raise JournalError("no space left on device")

    monkeypatch.setattr(FileJournal, "_append", full)
    tally, items = undo(cloud, path)
    assert not cloud.groups
    assert tally.errors == ["no space left on device"]
    assert tally.exit_code() is Exit.INCOMPLETE
    assert status(items) == {"/old/empty": Status.NOT_REACHED}
    second = Cloud([old()])
    with journal(tmp_path, "second.jsonl") as made:
        summary, _ = janitor(second, ALL, made)
    assert not second.deleted
    assert summary.errors == ["no space left on device"]


def test_a_stopped_undo_starts_no_new_item(tmp_path: Path) -> None:
    """Items that were not reached are reported, and a second undo does them."""
    cloud = Cloud([old(f"/old/{i:02}") for i in range(10)])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    stop = Stop()

    def halt(call: Call) -> None:
        if call.operation == "CreateLogGroup" and cloud.calls["CreateLogGroup"] == 4:
            stop.set("interrupted")

    cloud.before_call = halt
    tally, items = undo(cloud, path, stop=stop)
    assert len(cloud.groups) == 4
    assert list(status(items).values()).count(Status.NOT_REACHED) == 6
    assert tally.exit_code() is Exit.INCOMPLETE
    cloud.quiet()
    undo(cloud, path)
    assert defined(cloud) == before


def test_one_failure_does_not_stop_the_rest(tmp_path: Path) -> None:
    """A missing permission fails its item, but all other settings of the group are restored."""
    cloud = Cloud([old("/a", **deepcopy(FURNISHED)), old("/b", retention=30)])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    cloud.fault = refusing("PutTransformer", "AccessDeniedException")
    tally, items = undo(cloud, path)
    assert status(items) == {"/a": Status.FAILED, "/b": Status.DONE}
    assert tally.exit_code() is Exit.INCOMPLETE
    assert defined(cloud) == before | {"/a": before["/a"] | {"transformer": []}}
    cloud.quiet()
    _, items = undo(cloud, path)
    assert status(items) == {"/a": Status.DONE, "/b": Status.KEPT}
    assert defined(cloud) == before


# ---- journals --------------------------------------------------------------------------------


def as_log_lines(text: str) -> str:
    """Return the journal in the function's log as `aws logs tail` prints it, with other lines."""
    lines = [
        "2026-11-01T06:00:00 2026/11/01/[$LATEST]0a START RequestId: 1 Version: $LATEST",
        '2026-11-01T06:00:00 2026/11/01/[$LATEST]0a {"event": "run_started", "level": "info"}',
    ]
    for line in text.splitlines():
        extra = {"event": "journal", "level": "info", "timestamp": "t", "request_id": "1"}
        logged = json.dumps({"run_id": "run", **json.loads(line), **extra})
        lines.append(f"2026-11-01T06:00:01 2026/11/01/[$LATEST]0a {logged}")
    return "\n".join(lines)


def as_events(text: str) -> str:
    """Return the journal in the function's log as `aws logs filter-log-events` prints it."""
    events = [{"message": line.split("0a ", 1)[1]} for line in as_log_lines(text).splitlines()]
    return json.dumps({"events": events, "searchedLogStreams": []}, indent=4)


@pytest.mark.parametrize("form", [str, as_log_lines, as_events], ids=["file", "tail", "events"])
def test_each_form_of_a_journal_yields_the_same_history(
    form: Callable[[str], str], tmp_path: Path
) -> None:
    """A change that two journals contain counts once."""
    cloud = Cloud([old(**deepcopy(FURNISHED)), never()])
    text = run(cloud, tmp_path).read_text()
    plain = read([("plain", text)])
    again = read([("form", form(text)), ("plain", text)])
    assert again.pasts == plain.pasts
    assert (again.complaints, again.torn, len(plain.pasts)) == ([], 0, 2)


def test_torn_lines_and_lines_of_another_version_are_skipped_and_reported(tmp_path: Path) -> None:
    """There is one complaint for the journal, and its other lines are undone."""
    cloud = Cloud([old(), never()])
    path = run(cloud, tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    future = json.dumps({**json.loads(lines[0]), "version": 2}) + "\n"
    odd = json.dumps({**json.loads(lines[0]), "creation_time": "1"}) + "\n"
    path.write_text("".join([*lines, future, odd, lines[0][:40]]))
    found = history(path)
    assert found.torn == 1
    [complaint] = found.complaints
    assert "2 lines cannot be understood" in complaint
    assert "line 5: version" in complaint
    assert len(found.pasts) == 2


def test_no_unicode_line_end_splits_a_line(tmp_path: Path) -> None:
    """AWS accepts them in tags and policies, and another program may rewrite them unescaped."""
    between = "\u2028\u2029\u0085"
    policy = json.dumps({"Name": f"a{between}b"}, ensure_ascii=False)
    cloud = Cloud([old(tags={"note": f"a{between}b"}, data_protection=policy)])
    before = defined(cloud)
    path = run(cloud, tmp_path)
    rewritten = [
        json.dumps(json.loads(line), ensure_ascii=False) for line in path.read_text().splitlines()
    ]
    assert read([("rewritten", "\n".join(rewritten))]) == history(path)
    undo(cloud, path)
    assert defined(cloud) == before


DAMAGED = {
    "deep": lambda line: line.replace('"after": {}', '"after": ' + '{"a":' * 50_000),
    "surrogate": lambda line: line.replace('"after": {}', '"after": {"a": "\\ud800"}'),
    "number": lambda line: line.replace('"creation_time": ', '"creation_time": ' + "9" * 9_999),
    "zeros": lambda line: "\0" * len(line),
    "torn": lambda line: line[: len(line) // 2],
    "long": lambda line: line.replace('"after": {}', f'"after": {{"a": "{"x" * 2_000_000}"}}'),
    "not its arn": lambda line: line.replace("log-group:/old/empty", "log-group:/old/other"),
    "another call": lambda line: line.replace(
        '"metric_filters": []', '"metric_filters": [{"filterName": "f", "logGroupName": "/x"}]'
    ),
    "long key": lambda line: line.replace('"kms_key_id": null', f'"kms_key_id": "{"k" * 999}"'),
    "no version": lambda line: line.replace('"version": 1, ', ""),
    "not a journal line": lambda line: line.replace('{"event": "journal", ', "{"),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_is_named_and_the_others_are_undone(
    damage: Callable[[str], str], tmp_path: Path
) -> None:
    """No damage makes it count as a last line that was cut off."""
    cloud = Cloud([old(), never()])
    path = run(cloud, tmp_path)
    lines = path.read_text().splitlines()
    damaged = [damage(line) if "/old/empty" in line else line for line in lines]
    assert damaged != lines
    path.write_text("".join(f"{line}\n" for line in damaged if line))
    found = history(path)
    [complaint] = found.complaints
    assert "2 lines cannot be understood" in complaint
    assert found.torn == 0
    assert [past.group for past in found.pasts] == ["/new"]


def test_a_journal_line_that_others_quote_in_a_log_does_not_count(tmp_path: Path) -> None:
    """A journal line is an object that starts its log line and has the journal's event."""
    [line, _] = run(Cloud([never()]), tmp_path).read_text().splitlines()
    unnamed = line.replace('"event": "journal", ', "")
    quotes = (unnamed, f"user said {line}", f"2026-11-01T06:00:00 a b {line}", json.dumps([line]))
    found = read([("log", "\n".join(["START RequestId: 1", *quotes, ""]))])
    assert (found.lines, found.complaints) == (0, [])
    assert read([("log", f"2026-11-01T06:00:00 {line}\n")]).lines == 1


def test_an_undo_shows_what_it_restores_and_the_permissions_it_needs(tmp_path: Path) -> None:
    """Keys and policies are shown in full, because whoever wrote the journal chose them."""
    cloud = Cloud([old(**deepcopy(FURNISHED)), never()])
    tally, items = undo(cloud, run(cloud, tmp_path), apply=False)
    shown = "\n".join(items[0].changes)
    for part in (FURNISHED["kms"], DOCUMENT, FURNISHED["index"], "parseJSON", "env=dev"):
        assert part in shown
    put = "BearerTokenAuthentication DataProtectionPolicy IndexPolicy ResourcePolicy "
    put += "RetentionPolicy SyslogConfiguration Transformer"
    others = {"logs:CreateLogGroup", "logs:TagResource", "logs:DeleteRetentionPolicy"}
    assert tally.needs == {f"logs:Put{name}" for name in put.split()} | others


def test_a_failed_item_has_the_failure_as_its_reason(tmp_path: Path) -> None:
    """It replaces the reason for the attempt."""
    cloud = Cloud([old(kms="key")])
    path = run(cloud, tmp_path)
    cloud.fault = refusing("CreateLogGroup", "AccessDeniedException")
    _, [item] = undo(cloud, path)
    assert item.status is Status.FAILED
    assert item.reason.startswith("CreateLogGroup: AccessDeniedException")


def test_journals_may_be_given_in_any_order(tmp_path: Path) -> None:
    """The times in the lines show what happened first."""
    cloud = Cloud([Group("/aws/lambda/x", days_ago(800), 5)])
    before = defined(cloud)
    first = run(cloud, tmp_path).rename(tmp_path / "first.jsonl")
    cloud.groups["/aws/lambda/x"].stored = 0
    cloud.clock.jump(60)
    second = run(cloud, tmp_path)
    undo(cloud, second, first)
    assert defined(cloud) == before


def test_swept_streams_are_counted(tmp_path: Path) -> None:
    """They cannot be restored, so they are no steps of an undo."""
    streams = [stream(f"2020/01/0{i}/[1]a", days_ago(800)) for i in range(1, 5)]
    cloud = Cloud([Group("/aws/lambda/x", days_ago(900), 5, 30, streams=streams)])
    found = history(run(cloud, tmp_path))
    assert list(found.streams.values()) == [4]
    assert found.pasts == []


# ---- properties ------------------------------------------------------------------------------

furniture = st.fixed_dictionaries(
    {},
    optional={
        "kms": st.just("key"),
        "bearer": st.just(True),
        "data_protection": st.just(DOCUMENT),
        "index": st.just('{"Fields": ["a"]}'),
        "transformer": st.just([{"parseJSON": {}}]),
    },
)


def furnish(account: list[Group], drawn: list[dict[str, Any]]) -> Cloud:
    """Return the groups with the drawn settings, as far as their log class supports them."""
    for group, more in zip(account, drawn, strict=False):
        for name, value in more.items():
            if group.log_class == "STANDARD" or name in ("kms", "bearer"):
                setattr(group, name, deepcopy(value))
    return Cloud(account)


def undo_without_faults(cloud: Cloud, path: Path) -> None:
    """Undo once more without faults, as a person would."""
    cloud.quiet()
    undo(cloud, path)


@relaxed
@given(accounts, st.lists(furniture), policies, st.integers(), st.sampled_from([0, 0.05, 0.3]))
def test_run_and_undo_leave_the_account_as_it_was(
    account: list[Group], drawn: list[dict[str, Any]], policy: Policy, seed: int, rate: float
) -> None:
    """Despite faults in both, a second undo restores the rest, and a third changes nothing."""
    cloud = furnish(account, drawn)
    before = defined(cloud)
    cloud.fault = RandomFaults(seed, rate)
    with tempfile.TemporaryDirectory() as name:
        path = run(cloud, Path(name), policy)
        if not path.exists():
            assert defined(cloud) == before
            return
        unchanged = defined(cloud)
        undo(cloud, path, apply=False)
        assert defined(cloud) == unchanged
        undo(cloud, path)
        undo_without_faults(cloud, path)
        assert defined(cloud) == before
        cloud.calls.clear()
        _, items = undo(cloud, path)
    assert not changing(cloud.calls)
    assert {item.status for item in items} <= {Status.KEPT}


@relaxed
@given(
    accounts, st.lists(furniture), policies, st.integers(1, 60), st.integers(1, 60), st.booleans()
)
def test_a_run_and_an_undo_that_were_killed_can_be_undone(
    account: list[Group],
    drawn: list[dict[str, Any]],
    policy: Policy,
    first: int,
    second: int,
    after: bool,
) -> None:
    """The run is killed at one call, the undo at another, before or after the call's effect."""
    cloud = furnish(account, drawn)
    before = defined(cloud)

    def killed_at(number: int) -> None:
        left = number

        def kill(_call: Call) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise KilledError

        cloud.quiet()
        if after:
            cloud.after = kill
        else:
            cloud.fault = kill

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, work in (
            (first, lambda: run(cloud, folder, policy)),
            (second, lambda: undo(cloud, folder / "journal.jsonl")),
        ):
            killed_at(number)
            with suppress(KilledError):
                work()
        path = folder / "journal.jsonl"
        if path.exists():
            undo_without_faults(cloud, path)
    assert defined(cloud) == before


@relaxed
@given(accounts, st.lists(furniture), policies, st.integers())
def test_lost_responses_lose_nothing(
    account: list[Group], drawn: list[dict[str, Any]], policy: Policy, seed: int
) -> None:
    """In the run and in the undo, connections are reset after a call has taken effect."""
    cloud = furnish(account, drawn)
    before, dice = defined(cloud), Random(seed)
    cloud.after = lambda _call: RESET if dice.random() < 0.3 else None
    with tempfile.TemporaryDirectory() as name:
        path = run(cloud, Path(name), policy)
        if path.exists():
            undo(cloud, path)
            undo_without_faults(cloud, path)
    assert defined(cloud) == before


@relaxed
@given(accounts, st.lists(furniture), policies, st.integers())
def test_what_others_changed_in_the_meantime_is_not_overwritten(
    account: list[Group], drawn: list[dict[str, Any]], policy: Policy, seed: int
) -> None:
    """The undo keeps all settings that it finds, except the retention that the janitor set."""
    cloud = furnish(account, drawn)
    dice = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        path = run(cloud, Path(name), policy)
        if not path.exists():
            return
        put = dict(cloud.puts)
        for gone in cloud.deleted:
            if dice.random() < 0.5:
                log_class = dice.choice(["STANDARD", "INFREQUENT_ACCESS"])
                other = Group(gone.name, days_ago(0), log_class=log_class)
                other.retention = dice.choice([None, 7])
                other.tags = dice.choice([{}, {"env": "other"}])
                cloud.put(other)
        for group in cloud.groups.values():
            if dice.random() < 0.3:
                group.retention, group.tags = 5, group.tags | {"mine": "1"}
        before = defined(cloud)
        undo(cloud, path)
        after = defined(cloud)
    bare = defined(Cloud([Group("/bare", 0)]))["/bare"]
    for name_, was in before.items():
        for field, value in was.items():
            now = after[name_][field]
            if field == "tags":
                assert value.items() <= now.items()
            elif field == "retention" and value == put.get(name_):
                continue
            elif value != bare[field]:
                assert now == value, (name_, field)
