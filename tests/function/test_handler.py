"""The Lambda function: its answers, and its links."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import JanitorError, UsageError
from janitor.function import handler, warm
from janitor.function.chain import ChainError
from janitor.function.deadline import LONGEST_MARGIN
from janitor.function.link import Link
from janitor.function.settings import read_settings
from janitor.journal.history import read as read_history
from janitor.policy.file import Policy, load, parse
from janitor.sandbox.unknowns import Unclear, Unknowns
from janitor.sandbox.wire import Call
from tests.accounts import REGION, Cloud, Group, changing, days_ago, refused, refusing, stream
from tests.conftest import shared
from tests.engine.test_properties import accounts, assert_lawful, policies, relaxed
from tests.function.deployed import (
    SCHEDULED,
    TOPIC,
    Context,
    Deployed,
    DiedError,
    cut,
    die,
    dying,
    mixed,
)

T = TypeVar("T")
STATE = f"runs/{SCHEDULED['id']}/state.json"
FOR_EVER = {"JANITOR_MAX_LINKS": "9999", "JANITOR_MAX_HOURS": "9999"}


def final(cloud: Cloud) -> dict[str, Any]:
    """Retention, creation time and streams of the account's log groups."""
    return {
        name: (group.retention, group.created, sorted(group.streams))
        for name, group in cloud.groups.items()
    }


def with_owners(owners: list[str]) -> Policy:
    """The shipped policy, asking these owners only."""
    shipped = load(None)
    deletion = shipped.protect.deletion.model_copy(update={"owners": owners})
    protect = shipped.protect.model_copy(update={"deletion": deletion})
    return shipped.model_copy(update={"protect": protect})


def use(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    """Make this the function's policy."""
    monkeypatch.setattr(warm, "current_policy", lambda _settings: policy)


# ---- environment and answers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"JANITOR_SCHEDULED_DRY_RUN": "no"}, "JANITOR_SCHEDULED_DRY_RUN"),
        ({"JANITOR_REGIONS": "eu-west-9"}, "eu-west-9"),
        ({"JANITOR_SCHEDULE": "x"}, "JANITOR_SCHEDULE: unknown key"),
        ({"JANITOR_POLICY_FILE": "a", "JANITOR_POLICY_PARAMETER": "b"}, "set only one of"),
        ({"JANITOR_MAX_LINKS": "0"}, "JANITOR_MAX_LINKS"),
        ({"JANITOR_BUCKET": "No_Bucket"}, "JANITOR_BUCKET"),
    ],
)
def test_a_wrong_environment_is_refused(environment: dict[str, str], message: str) -> None:
    """When the function starts, in a line that names the variable."""
    with pytest.raises(UsageError, match=message):
        read_settings(environment)


def test_findings_that_do_not_fit_are_left_out_and_counted(monkeypatch: Any) -> None:
    """Lambda's answers are limited to 6 MB."""
    monkeypatch.setattr("janitor.function.findings.LARGEST", 5000)
    answer = Deployed(mixed()).invoke({})
    assert 0 < len(answer["findings"]) < 70
    assert len(answer["findings"]) + answer["findings_left_out"] == 70


# ---- the end of a run ----------------------------------------------------------------------------


def test_a_failed_item_is_reported_and_does_not_raise() -> None:
    """Everything else is done; metric, notification and answer say so, and nothing is retried."""
    cloud = mixed(3)
    cloud.fault = refusing("DeleteLogGroup", "AccessDeniedException")
    deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC})
    answer = deployed.invoke(SCHEDULED)
    assert answer["summary"]["failed"] == 1
    assert answer["summary"]["retention_set"] == 3
    assert deployed.metrics["RunFailed"] == 1
    [sent] = deployed.sent
    assert "failed" in sent["Subject"]


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "AccessDeniedException"])
def test_a_region_that_refuses_fails_alone(monkeypatch: Any, code: str) -> None:
    """One not enabled for the token, or denied, is named, and the others are cleaned."""
    use(monkeypatch, with_owners(["lambda"]))  # Lambda@Edge would have to be asked in us-east-1
    cloud = mixed(3)
    cloud.fault = lambda call: refused(code) if call.region == "us-east-1" else None
    regions = {"JANITOR_REGIONS": f"us-east-1,{REGION}"}
    deployed = Deployed(cloud, regions)
    answer = deployed.invoke(SCHEDULED)
    assert (len(cloud.deleted), len(cloud.puts), len(cloud.swept)) == (1, 3, 9)
    [error] = answer["summary"]["errors"]
    assert "us-east-1" in error
    assert deployed.metrics["RunFailed"] == 1


def test_a_refused_run_is_reported(monkeypatch: Any) -> None:
    """A limit needs a person; retention is still set."""
    use(monkeypatch, parse(LIMITED, "test"))
    cloud = mixed(12)
    deployed = Deployed(cloud)
    answer = deployed.invoke(SCHEDULED)
    assert "max_group_deletions = 3" in answer["summary"]["refused_because"]
    assert not cloud.deleted + cloud.swept
    assert len(cloud.puts) == 12
    assert deployed.metrics["RunFailed"] == 1


LIMITED = """
[defaults]
retention_days = 365
delete_empty = true
[limits]
max_group_deletions = 3
[protect.deletion]
owners = ["lambda"]
"""


def test_metrics_count_the_whole_run() -> None:
    """Over all of its links."""
    cloud = mixed()
    deployed = Deployed(cloud)
    deployed.chain(SCHEDULED, cut(cloud, 60))
    assert deployed.links > 3
    assert deployed.metrics["GroupsScanned"] == 100
    assert deployed.metrics["GroupsDeleted"] == 10
    assert deployed.metrics["StreamsDeleted"] == 90
    assert deployed.metrics["RetentionSet"] == 30
    assert (deployed.metrics["Complete"], deployed.metrics["RunFailed"]) == (1, 0)


# ---- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "seconds"),
    [(12, 760), (23, 760), (60, 760), (30, 900), (60, 900)],
    ids=["12-drained", "23-drained", "60-drained", "30-late", "60-late"],
)
def test_a_run_over_many_links_ends_as_in_one(monkeypatch: Any, calls: int, seconds: int) -> None:
    """Wherever its links are cut, with or without time to finish what is in flight."""
    use(monkeypatch, with_owners(["lambda"]))  # a link of a few calls cannot ask all owners
    whole, parts = mixed(12), mixed(12)
    [once] = Deployed(whole).chain(SCHEDULED)
    answers = Deployed(parts, FOR_EVER).chain(SCHEDULED, cut(parts, calls, seconds))
    assert len(answers) > 1
    assert final(parts) == final(whole)
    summary, expected = answers[-1]["summary"], once["summary"]
    for key in ("groups_scanned", "stored_bytes", "kept", "planned", "money", "complete", *CHANGED):
        assert summary[key] == expected[key], key


@pytest.mark.parametrize("calls", range(12, 24, 2))
def test_a_sweep_that_is_cut_short_deletes_exactly_what_was_planned(calls: int) -> None:
    """Even though more streams can be trusted by the time of the next link."""
    rule = '[[rules]]\nid = "all"\nnames = ["*"]\nretention_days = 30\nsweep_streams = true'
    old = [stream(f"2020/01/01/[1]{i:02}", days_ago(800)) for i in range(9)]
    odd = [stream(f"app-{i:02}", days_ago(800)) for i in range(9)]
    group = Group("/aws/lambda/f", days_ago(900), 5, None, streams=[*old, *odd])
    group.arrivals = {days_ago(1.98): 9}
    cloud = Cloud([group, *(Group(f"/k/{i}", days_ago(900), 5, 30) for i in range(9))])
    deployed = Deployed(cloud, FOR_EVER)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, parse(rule, "test"))
        answer = deployed.chain(SCHEDULED, cut(cloud, calls, 9000))[-1]
    assert len(cloud.swept) == 9
    assert [answer["summary"][key] for key in (*CHANGED, "kept")] == [1, 0, 9, 9]


CHANGED = ("retention_set", "groups_deleted", "streams_deleted")


def test_no_page_is_read_twice_if_links_have_time_to_finish() -> None:
    """Only a page in flight when time runs out is read again."""
    cloud = mixed()
    Deployed(cloud).chain({}, cut(cloud, 12, 760))
    assert max(Counter(cloud.scanned).values()) == 1
    assert len(cloud.scanned) == 10


def test_a_log_group_on_two_pages_counts_once_even_if_a_link_ends_between_them() -> None:
    """Counted twice, it would raise the number that the share of deletions allows."""
    groups = [Group(f"/kept/{i:03}", days_ago(900), 5, 365) for i in range(60)]
    cloud = Cloud(groups, page=10, unknowns=Unknowns(listed_twice=True))
    answers = Deployed(cloud, FOR_EVER).chain({}, cut(cloud, 3))
    assert len(answers) > 1
    assert answers[-1]["summary"]["groups_scanned"] == 60


def test_the_next_links_event_names_only_run_and_link() -> None:
    """Everything else is in the bucket, where only the function's role writes."""
    cloud = mixed()
    cut(cloud, 12)
    deployed = Deployed(cloud)
    answer = deployed.invoke(SCHEDULED)
    assert answer["goes_on"]
    assert deployed.next_event() == {"run": SCHEDULED["id"], "link": 1}


def test_nothing_changes_before_the_whole_account_is_surveyed() -> None:
    """The limits hold for the whole run."""
    cloud = mixed()
    cut(cloud, 9)
    Deployed(cloud).invoke(SCHEDULED)
    assert not cloud.deleted + cloud.puts + cloud.swept


def test_an_expired_page_token_starts_the_regions_survey_over() -> None:
    """Nothing is counted twice."""
    cloud = mixed()
    deployed = Deployed(cloud, FOR_EVER)
    cut(cloud, 9)
    deployed.invoke(SCHEDULED)
    cloud.quiet()
    cloud.clock.jump(90_000)
    answer = deployed.chain(deployed.next_event())[-1]
    assert answer["summary"]["groups_scanned"] == 100
    assert answer["summary"]["kept"] == 30
    assert len(cloud.deleted) == 10


@pytest.mark.parametrize(
    ("bound", "message"),
    [({"JANITOR_MAX_LINKS": "2"}, "after 2 links"), ({"JANITOR_MAX_HOURS": "1"}, "after 1 hours")],
)
def test_a_run_is_bounded_in_links_and_in_time(bound: dict[str, str], message: str) -> None:
    """Beyond either it ends, and says that it did not finish."""
    cloud = mixed()
    deployed = Deployed(cloud, bound)
    answer = deployed.chain(SCHEDULED, cut(cloud, 9, 2000))[-1]
    assert message in answer["summary"]["errors"][0]
    assert not answer["summary"]["complete"]
    assert deployed.metrics["RunFailed"] == 1


def test_a_slow_start_leaves_less_time_for_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """If bucket and STS are slow, the link's work still ends before its deadline."""
    ends: list[float] = []
    real = Link.run

    async def run(self: Link, *args: Any) -> None:
        await real(self, *args)
        ends.append(cloud.clock.monotonic())

    monkeypatch.setattr(Link, "run", run)
    cloud = mixed(60)
    cloud.before_call = lambda call: cloud.clock.jump(890 * (call.operation == "GetObject"))
    assert Deployed(cloud).invoke(SCHEDULED)["goes_on"]
    assert ends[0] < 900


def test_a_link_that_cannot_invoke_the_next_is_retried() -> None:
    """It raises, Lambda retries it, and the retry only invokes the next link."""
    cloud = mixed()
    cut(cloud, 12)
    deployed = Deployed(cloud)
    cloud.fault = refusing("Invoke", "TooManyRequestsException", 429)
    with pytest.raises(ChainError):
        deployed.invoke(SCHEDULED)
    cloud.quiet()
    scanned = len(cloud.scanned)
    assert deployed.invoke(SCHEDULED)["repeated"]
    assert len(cloud.scanned) == scanned
    assert deployed.next_event() == {"run": SCHEDULED["id"], "link": 1}


class Hanging:
    """Workers that make each call, but get no answer to some of them."""

    def __init__(self, cloud: Cloud, which: Callable[[Call], bool]) -> None:
        self.since: float | None = None
        self._cloud = cloud
        self._hangs = False
        cloud.after = lambda call: self.hang() if which(call) else None

    def hang(self) -> None:
        self._hangs = True
        self.since = self._cloud.clock.monotonic() if self.since is None else self.since

    async def run(self, work: Callable[[], T]) -> T:
        answer = work()
        if self._hangs:
            self._hangs = False
            await asyncio.sleep(5000)
        return answer


@pytest.mark.parametrize("hanging", ["Invoke", "Publish", "journal", "policy"])
def test_a_call_that_hangs_leaves_a_link_time_to_end(
    hanging: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call has a timeout, before Lambda would end the link without a notification."""
    cloud = mixed(30 if hanging == "Invoke" else 3)
    workers = Hanging(
        cloud,
        lambda call: hanging in (call.operation, call.parameters.get("Key", "").split("/")[0]),
    )
    if hanging == "Invoke":
        cut(cloud, 12)
    if hanging == "policy":
        monkeypatch.setattr(warm, "current_policy", lambda _settings: workers.hang())
    deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC}, workers=workers)
    if hanging == "journal":
        errors = deployed.invoke(SCHEDULED)["summary"]["errors"]
        assert "no response within" in errors[0]
    else:
        with pytest.raises(JanitorError, match="no response within"):
            deployed.invoke(SCHEDULED)
    assert workers.since is not None
    assert cloud.clock.monotonic() - workers.since < LONGEST_MARGIN


def test_a_changed_policy_ends_a_run(monkeypatch: Any) -> None:
    """A survey by another policy is not acted on; what failed before is still reported."""
    cloud = mixed()
    cut(cloud, 13)
    cloud.fault = lambda call: (
        refused("AccessDeniedException")
        if (call.region, call.service) == ("us-east-1", "logs")
        else None
    )
    deployed = Deployed(cloud, {"JANITOR_REGIONS": f"{REGION},us-east-1"})
    deployed.invoke(SCHEDULED)
    use(monkeypatch, parse(LIMITED, "test"))
    answer = deployed.invoke(deployed.next_event())
    changed, failed = answer["summary"]["errors"]
    assert "policy has changed" in changed
    assert "us-east-1" in failed
    assert not cloud.deleted + cloud.puts + cloud.swept


def test_a_deployment_during_the_survey_starts_the_survey_over(monkeypatch: Any) -> None:
    """Nothing that other code found is planned, and nothing is counted twice."""
    whole = Deployed(mixed(60)).invoke(SCHEDULED)["summary"]
    cloud = mixed(60)
    cut(cloud, 30)
    deployed = Deployed(cloud)
    assert deployed.invoke(SCHEDULED)["summary"]["groups_scanned"] > 0
    assert '"acting"' not in deployed.objects[STATE]
    cloud.quiet()
    before = len(cloud.scanned)
    monkeypatch.setattr(handler, "code", lambda: "another")
    (answer,) = deployed.chain(deployed.next_event())
    assert None in cloud.scanned[before:]  # the first page
    for key in ("groups_scanned", "groups_deleted", "retention_set", "planned", "failed"):
        assert answer["summary"][key] == whole[key], key


def test_limits_hold_over_all_links(monkeypatch: Any) -> None:
    """Plans of earlier links count."""
    use(monkeypatch, parse(LIMITED, "test"))
    cloud = mixed(12)
    answer = Deployed(cloud).chain(SCHEDULED, cut(cloud, 9, 760))[-1]
    assert "max_group_deletions = 3" in answer["summary"]["refused_because"]
    assert not cloud.deleted


def test_a_retention_that_the_run_lowered_makes_nothing_deletable_in_it(monkeypatch: Any) -> None:
    """Even if the run dies right after it set 365 instead of 3653 days, and is retried."""
    text = "[defaults]\ndelete_empty = true\nmax_days = 365\n[limits]\n"
    use(monkeypatch, parse(f"{text}max_group_deletion_share = 1.0", "test"))
    cloud = Cloud([Group("/old", days_ago(2000), 0, 3653)])
    deployed = Deployed(cloud)
    cloud.after = lambda call: die() if call.operation == "PutRetentionPolicy" else None
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED)
    cloud.quiet()
    answer = deployed.invoke(SCHEDULED)
    assert answer["summary"]["complete"]
    assert cloud.groups["/old"].retention == 365
    assert not cloud.deleted


# ---- one event is one run ------------------------------------------------------------------------


def test_the_same_event_twice_is_one_run() -> None:
    """EventBridge delivers at least once: nothing is done again, and one notification is sent."""
    cloud = mixed()
    deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC})
    first = deployed.invoke(SCHEDULED, "request-1")
    calls = cloud.calls["DescribeLogGroups"]
    second = deployed.invoke(SCHEDULED, "request-2")
    assert second["summary"] == first["summary"]
    assert cloud.calls["DescribeLogGroups"] == calls
    assert len(deployed.sent) == 1


def test_the_same_event_twice_at_once_is_one_run() -> None:
    """Only one of the two invocations works on it."""
    cloud = mixed()
    deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC})
    answers = deployed.together((SCHEDULED, "request-1"), (SCHEDULED, "request-2"))
    assert sum(answer.get("repeated", False) for answer in answers) == 1
    assert len(cloud.scanned) == 10
    assert len(cloud.deleted) == 10
    assert len(deployed.sent) == 1


def test_the_retry_of_a_link_that_died_at_any_call_completes_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lambda retries it with the same request id; what it did before it died is reported too."""
    use(monkeypatch, with_owners(["lambda", "ecs-service"]))
    whole = mixed(3)
    undisturbed = Deployed(whole, {"JANITOR_NOTIFY_TOPIC": TOPIC}).invoke(SCHEDULED)["summary"]
    calls = range(1, sum(whole.calls.values()) + 1)
    for at, after in shared(list(itertools.product(calls, (False, True)))):
        cloud = mixed(3)
        deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC})
        dying(cloud, at, after=after)
        with contextlib.suppress(DiedError):  # some calls have no effect to die after
            deployed.invoke(SCHEDULED)
        cloud.quiet()
        deployed.invoke(SCHEDULED)
        assert final(cloud) == final(whole), (at, after)
        ended = json.loads(deployed.objects[STATE])["ended"]
        for key in (*CHANGED, "complete"):
            assert ended[key] == undisturbed[key], (at, after, key)
        assert 1 <= len(deployed.sent) <= 2


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("unclear", [True, False])
def test_a_sweep_in_which_a_link_dies_deletes_and_counts_exactly_what_was_planned(
    at: int, unclear: bool
) -> None:
    """Even though other streams can be trusted by then, or are on a page that was not read."""
    names = ["2020/01/01/[1]a", "2020/01/02/[1]a", "2026/12/31/[1]a", "odd-1", "odd-2"]
    ages = [800, 800, 15, 800, 800]
    streams = [stream(name, days_ago(age)) for name, age in zip(names, ages, strict=True)]
    group = Group("/aws/lambda/f", days_ago(900), 5, 30, streams=streams)
    answers: dict[str, Unclear] = {group.name: "PartialData"} if unclear else {}
    unknowns = Unknowns(unclear=answers)
    cloud = Cloud([group], page=50 if unclear else 3, unknowns=unknowns)
    cloud.after = lambda _call: die() if len(cloud.swept) == at else None
    deployed = Deployed(cloud)
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED)
    cloud.quiet()
    answers.clear()
    answer = deployed.invoke(SCHEDULED)
    assert [name for _, name in cloud.swept] == names[:2]
    assert (
        answer["summary"]["streams_deleted"] == answer["summary"]["planned"]["sweep_streams"] == 2
    )


def test_no_attempt_overwrites_what_another_has_written() -> None:
    """One that died left a plan in the bucket that its state does not name."""
    cloud, keys = mixed(), list[str]()
    deployed = Deployed(cloud)

    def die_once(call: Call) -> None:
        if call.operation == "PutObject":
            keys.append(call.parameters["Key"])
            if keys.count(STATE) == 2 and keys[-1] == STATE:
                raise DiedError

    cloud.before_call = die_once
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED)
    written = [key for key in keys if key != STATE]
    assert [key for key in written if "/plan-" in key]
    assert deployed.invoke(SCHEDULED)["summary"]["complete"]
    others = [key for key in keys if key != STATE]
    assert len(others) == len({*others}) > len(written)


class Threaded:
    """Workers whose calls take a second, and continue when nobody waits for them any more."""

    async def run(self, work: Callable[[], T]) -> T:
        async def done() -> T:
            answer = work()
            await asyncio.sleep(1)
            return answer

        return await asyncio.shield(asyncio.create_task(done()))


@pytest.mark.parametrize("every", [0.1, 1.0, 2.3])
def test_a_checkpoint_in_flight_when_the_work_ends_is_completed(
    every: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for another delivery's, it would end the chain without a notification."""
    monkeypatch.setattr("janitor.function.link.CHECKPOINT", every)
    cloud = mixed(3)
    answer = Deployed(cloud, workers=Threaded()).invoke(SCHEDULED)
    assert answer["summary"]["complete"]


def test_a_run_that_died_after_its_notification_sends_it_once_more_only() -> None:
    """Even though the event then comes twice at once."""
    cloud = mixed(3)
    deployed = Deployed(cloud, {"JANITOR_NOTIFY_TOPIC": TOPIC})
    cloud.after = lambda call: die() if call.operation == "Publish" else None
    with pytest.raises(DiedError):
        deployed.invoke(SCHEDULED, "request-1")
    cloud.quiet()
    cloud.clock.jump(1000)
    deployed.workers = Threaded()
    deployed.together((SCHEDULED, "request-1"), (SCHEDULED, "request-2"))
    assert len(deployed.sent) == 2


def test_a_link_that_is_not_next_does_nothing() -> None:
    """Neither an old one that is delivered late, nor a forged one."""
    cloud = mixed()
    cut(cloud, 12)
    deployed = Deployed(cloud)
    deployed.invoke(SCHEDULED)
    scanned = len(cloud.scanned)
    assert deployed.invoke({"run": SCHEDULED["id"], "link": 7}, "x")["repeated"]
    assert deployed.invoke(SCHEDULED, "y")["repeated"]
    assert len(cloud.scanned) == scanned


# ---- the journal ---------------------------------------------------------------------------------


def test_every_change_is_in_the_bucket_before_it_is_made() -> None:
    """An object of the journal announces it."""
    cloud = mixed(6)
    deployed = Deployed(cloud)
    unannounced: list[str] = []

    def watch(call: Any) -> None:
        if changing([call.operation]) and call.service == "logs":
            text = "".join(deployed.objects.values())
            if f'"group": "{call.group}"' not in text or "begun" not in text:
                unannounced.append(str(call.group))

    cloud.before_call = watch
    deployed.invoke(SCHEDULED)
    assert cloud.deleted
    assert unannounced == []


def test_the_journals_of_all_links_are_read_together() -> None:
    """They hold each change once, from its start to its end."""
    cloud = mixed(9)
    deployed = Deployed(cloud)
    deployed.chain(SCHEDULED, cut(cloud, 40))
    parts = [(k, v) for k, v in sorted(deployed.objects.items()) if k.startswith("journal/")]
    assert len(parts) > 1
    history = read_history(iter(parts))
    assert not history.complaints
    assert {past.group for past in history.pasts if past.deleted} == {
        group.name for group in cloud.deleted
    }
    done = Counter(
        (line["action"], line["group"], line.get("stream"))
        for _, text in parts
        for line in map(json.loads, text.splitlines())
        if line["status"] == "done"
    )
    assert set(done.values()) == {1}
    assert len(done) == len(cloud.deleted) + len(cloud.puts) + len(cloud.swept)


def test_nothing_changes_without_a_journal() -> None:
    """If the bucket refuses it, the run stops."""
    cloud = mixed(3)
    cloud.fault = lambda call: (
        refused("AccessDenied", 403)
        if call.operation == "PutObject" and call.parameters["Key"].startswith("journal/")
        else None
    )
    answer = Deployed(cloud).invoke(SCHEDULED)
    assert not cloud.deleted + cloud.puts + cloud.swept
    assert "journal could not be written" in answer["summary"]["errors"][0]


def test_a_dry_run_leaves_its_plan_and_no_journal() -> None:
    """The plan is what it announced."""
    deployed = Deployed(mixed(3))
    deployed.invoke({})
    assert not [key for key in deployed.objects if key.startswith("journal/")]
    [plan] = [key for key in deployed.objects if "/plan-" in key]
    assert f"/123456789012/{REGION}/plan-000-" in plan


# ---- properties ----------------------------------------------------------------------------------


@relaxed
@given(accounts, policies, st.integers(30, 60), st.sampled_from([760.0, 900.0]))
def test_any_account_cut_into_links_ends_as_in_one_run(
    account: list[Group], policy: Policy, calls: int, seconds: float
) -> None:
    """And every deletion is lawful."""
    before = {group.name: deepcopy(group) for group in account}
    whole, parts = Cloud(deepcopy(account)), Cloud(account, page=2)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, policy)
        Deployed(whole).invoke(SCHEDULED)
        deployed = Deployed(parts, FOR_EVER)
        deployed.chain(SCHEDULED, cut(parts, calls, seconds))
    assert final(parts) == final(whole)
    for group in parts.deleted:
        assert_lawful(group, before[group.name], policy, set())


def test_a_wrong_event_fails_the_invocation() -> None:
    """Through the entry point that Lambda calls."""
    context: Any = Context("request")
    with pytest.raises(JanitorError):
        handler.handler("now", context)
