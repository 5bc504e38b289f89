"""The Lambda function: what its events mean, what it answers, and how it goes on."""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import JanitorError, UsageError
from janitor.core.model import Status
from janitor.engine.act import Commit
from janitor.function import handler
from janitor.function.handler import Janitor, RunFailedError
from janitor.function.settings import read_settings
from janitor.journal.history import read as read_history
from janitor.journal.journal import Journal
from janitor.journal.restore import Item, Undo
from janitor.policy.file import Policy, parse
from janitor.sandbox.store import Bucket
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import (
    ACCOUNT,
    NOW,
    REGION,
    Cloud,
    Group,
    api,
    days_ago,
    refusing,
    stream,
)
from tests.engine.test_properties import accounts, assert_lawful, policies, relaxed

SCHEDULED = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-01T06:00:00Z",
    "region": REGION,
    "resources": ["arn:aws:events:eu-west-1:123456789012:rule/cloudwatch-janitor"],
    "detail": {},
}
MINUTES_15 = 900_000
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:cloudwatch-janitor"


@dataclass
class Context:
    """Lambda's context object; the time that remains is that of the beginning."""

    remaining: int = MINUTES_15
    aws_request_id: str = "request-1"
    invoked_function_arn: str = ARN
    function_name: str = "cloudwatch-janitor"

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining


def janitor(cloud: Cloud, **environment: str) -> Janitor:
    """The function as a deployment with this environment makes it."""
    settings = read_settings(environment)
    metrics = EphemeralMetrics(namespace="test", service="test")
    return Janitor(settings, cloud.session(), cloud.clock, metrics)


def mixed(count: int = 30) -> Cloud:
    """Groups to keep, to give retention, to sweep and to delete."""
    groups = [Group(f"/kept/{i:03}", days_ago(900), 5, 365) for i in range(count)]
    groups += [Group(f"/never/{i:03}", days_ago(900), 5) for i in range(count)]
    groups += [Group(f"/old/{i:03}", days_ago(900), 0, 365) for i in range(count // 3)]
    for i in range(count):
        streams = [stream(f"2024/01/0{day}/[1]a", days_ago(800)) for day in range(1, 4)]
        groups.append(Group(f"/aws/lambda/{i:03}", days_ago(900), 5, 30, streams=streams))
    cloud = Cloud(groups, page=10)
    cloud.store.buckets["journals"] = Bucket(ACCOUNT, REGION, NOW)
    cloud.region.topics["operations"] = []
    return cloud


def interrupted(cloud: Cloud, calls: int) -> Callable[[], None]:
    """Time jumps past the deadline after so many calls of each link; called between links."""
    made = 0
    unpaced = {"GetCallerIdentity", "DescribeRegions", "Invoke"}

    def before(call: Call) -> None:
        nonlocal made
        made += call.operation not in unpaced
        if made == calls:
            cloud.clock.advance(10_000)

    def between() -> None:
        nonlocal made
        made = 0

    cloud.before_call = before
    return between


def next_link(cloud: Cloud) -> dict[str, Any]:
    """The event with which the function invoked itself last."""
    event: dict[str, Any] = json.loads(cloud.sandbox.world.invoked.pop()["payload"])
    return event


def journals(cloud: Cloud) -> dict[str, str]:
    """What lies in the bucket."""
    found = cloud.store.buckets["journals"].objects
    return {f"s3://journals/{key}": each.body.decode() for key, each in found.items()}


FOR_EVER: dict[str, Any] = {"JANITOR_MAX_LINKS": "9999", "JANITOR_MAX_HOURS": "9999"}


def state(cloud: Cloud) -> dict[str, Any]:
    """What can be seen of the account afterwards."""
    return {
        name: (group.retention, group.created, sorted(group.streams))
        for name, group in cloud.groups.items()
    }


def chain(
    cloud: Cloud,
    event: dict[str, Any],
    remaining: int,
    between: Callable[[], None] = lambda: None,
    **environment: Any,
) -> tuple[dict[str, Any], int]:
    """The last answer of a run, and the number of links that it took."""
    for links in range(1, 500):
        answer = janitor(cloud, **environment).answer(event, Context(remaining))
        if "resume" not in answer:
            assert not cloud.sandbox.world.invoked, "the last link invokes nothing"
            return answer, links
        assert answer["summary"]["complete"] is False
        event = next_link(cloud)
        between()
    raise AssertionError("the chain does not end")


COUNTED = (
    "groups_scanned",
    "stored_bytes",
    "retention_set",
    "groups_deleted",
    "streams_deleted",
    "planned",
    "kept",
    "unknown",
    "failed",
    "gone",
    "not_reached",
    "complete",
)


def counted(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of a summary that does not depend on how many links there were."""
    return {key: answer["summary"][key] for key in COUNTED}


# ---- what events mean ------------------------------------------------------------------------


def test_a_scheduled_event_acts() -> None:
    """EventBridge's own event, as it comes."""
    cloud = mixed()
    answer = janitor(cloud).answer(SCHEDULED, Context())
    assert answer["run"]["dry_run"] is False
    assert answer["summary"]["groups_deleted"] == 10 == len(cloud.deleted)
    assert answer["summary"]["retention_set"] == 30 == len(cloud.puts)
    assert answer["summary"]["streams_deleted"] == 90 == len(cloud.swept)
    assert answer["summary"]["complete"] is True


def test_a_scheduled_event_is_a_dry_run_where_the_deployment_says_so() -> None:
    """`JANITOR_SCHEDULED_DRY_RUN`."""
    cloud = mixed()
    answer = janitor(cloud, JANITOR_SCHEDULED_DRY_RUN="true").answer(SCHEDULED, Context())
    assert answer["run"]["dry_run"] is True
    assert not cloud.deleted
    assert not cloud.puts
    assert not cloud.swept


@pytest.mark.parametrize("event", [{}, None, {"dry_run": True}, {"regions": [REGION]}])
def test_any_other_event_is_a_dry_run(event: Any) -> None:
    """Invoked by hand, with or without a payload."""
    cloud = mixed()
    before = state(cloud)
    answer = janitor(cloud).answer(event, Context())
    assert state(cloud) == before
    assert answer["summary"]["planned"] == {
        "set_retention": 30,
        "delete_group": 10,
        "sweep_streams": 90,
    }
    assert len(answer["findings"]) == 70
    assert answer["findings_left_out"] == 0


def test_dry_run_false_acts() -> None:
    """By hand, said explicitly."""
    cloud = mixed()
    janitor(cloud).answer({"dry_run": False}, Context())
    assert len(cloud.deleted) == 10


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"dry_run": "false"}, "event: dry_run: 'false' is not a boolean (accepted: true, false)"),
        ({"dry_run": 0}, "event: dry_run: 0 is not a boolean"),
        ({"dry_run": None}, "event: dry_run: None is not a boolean"),
        ({"dryRun": False}, "event: dryRun: unknown key"),
        ({"dry_run": False, "region": REGION}, "event: region: unknown key"),
        ({"regions": ["eu-west-9"]}, "event: regions: 'eu-west-9' is no AWS Region"),
        ({"regions": []}, "event: regions: "),
        ({"regions": "eu-west-1"}, "event: regions: "),
        ({"source": "aws.events", "dry_run": False}, "event: source: unknown key"),
        ({"resume": {}}, "event: resume.run_id: "),
        ([], "event: list is not an object"),
        ('{"dry_run": false}', "event: str is not an object"),
    ],
)
def test_a_wrong_event_is_refused_and_nothing_is_called(event: Any, said: str) -> None:
    """The error names the key."""
    cloud = mixed()
    with pytest.raises(UsageError) as error:
        janitor(cloud).answer(event, Context())
    assert str(error.value).startswith(said)
    assert not cloud.calls


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"JANITOR_SCHEDULED_DRY_RUN": "yes"}, "JANITOR_SCHEDULED_DRY_RUN: "),
        ({"JANITOR_REGIONS": "eu-west-1,mars-1"}, "JANITOR_REGIONS: 'mars-1' is no AWS Region"),
        ({"JANITOR_MAX_LINKS": "0"}, "JANITOR_MAX_LINKS: "),
        ({"JANITOR_DRYRUN": "true"}, "JANITOR_DRYRUN: unknown key"),
        (
            {"JANITOR_POLICY_FILE": "a", "JANITOR_POLICY_PARAMETER": "b"},
            "JANITOR_POLICY_FILE and JANITOR_POLICY_PARAMETER exclude each other",
        ),
    ],
)
def test_a_wrong_environment_is_refused(environment: dict[str, str], said: str) -> None:
    """Before anything is made; other people's variables are none of our business."""
    with pytest.raises(UsageError) as error:
        read_settings({"PATH": "/bin", **environment})
    assert said in str(error.value)


def test_regions_come_from_the_event_or_the_environment_or_ec2() -> None:
    """In this order."""
    two = mixed()
    two.store.region(ACCOUNT, "us-east-1")
    named = janitor(two, JANITOR_REGIONS="us-east-1, eu-west-1").answer({}, Context())
    assert named["run"]["regions"] == ["us-east-1", "eu-west-1"]
    said = janitor(mixed(), JANITOR_REGIONS="us-east-1")
    assert said.answer({"regions": [REGION]}, Context())["run"]["regions"] == [REGION]
    assert janitor(mixed()).answer({}, Context())["run"]["regions"] == [REGION]


# ---- answers, failures, metrics --------------------------------------------------------------


def test_findings_that_do_not_fit_are_left_out_and_counted(monkeypatch: Any) -> None:
    """An answer has 6 MB at most."""
    monkeypatch.setattr(handler, "LARGEST_FINDINGS", 5_000)
    answer = janitor(mixed()).answer({}, Context())
    assert 0 < len(answer["findings"]) < 70
    assert len(answer["findings"]) + answer["findings_left_out"] == 70
    assert len(json.dumps(answer["findings"])) <= 5_002


def test_a_failed_item_fails_the_invocation_after_everything_else_is_done() -> None:
    """Not before."""
    cloud = mixed()
    denied = refusing("PutRetentionPolicy", "AccessDeniedException")
    cloud.fault = lambda call: denied(call) if call.group == "/never/000" else None
    with pytest.raises(RunFailedError, match="1 items failed, 0 were not reached"):
        janitor(cloud).answer(SCHEDULED, Context())
    assert (len(cloud.puts), len(cloud.deleted), len(cloud.swept)) == (29, 10, 90)


def test_a_refused_run_fails_and_a_refused_dry_run_answers(monkeypatch: Any) -> None:
    """A limit that is exceeded needs a person; whoever asks by hand is one."""
    tight = parse("[defaults]\ndelete_empty = true\n[limits]\nmax_group_deletions = 3", "tight")
    monkeypatch.setattr(handler, "current_policy", lambda _settings: tight)
    answer = janitor(mixed()).answer({}, Context())
    assert "max_group_deletions" in answer["summary"]["refused_because"]
    cloud = mixed()
    with pytest.raises(RunFailedError, match="max_group_deletions"):
        janitor(cloud).answer(SCHEDULED, Context())
    assert not cloud.deleted


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Cloud], Any]]:
    """The real entry point, on an account in memory."""

    def deploy(cloud: Cloud, **environment: str) -> Any:
        function = Janitor(
            read_settings(environment), cloud.session(), cloud.clock, handler.METRICS_OUT
        )
        monkeypatch.setattr(handler, "_janitor", function)
        return handler.handler

    handler.configure_logs()
    yield deploy
    handler.METRICS_OUT.clear_metrics()


def lines(text: str) -> list[dict[str, Any]]:
    """The JSON lines that were printed."""
    return [json.loads(line) for line in text.splitlines()]


def metrics_of(text: str) -> dict[str, Any]:
    """The run's metrics, as EMF shows them."""
    [blob] = [line for line in lines(text) if "_aws" in line and "Complete" in line]
    return {key: value[0] for key, value in blob.items() if isinstance(value, list)} | {
        "trigger": blob["trigger"]
    }


def test_metrics_are_the_whole_runs(deployed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """EMF on stdout, with what set off the run."""
    deployed(mixed())(SCHEDULED, Context())
    found = metrics_of(capsys.readouterr().out)
    assert found["trigger"] == "schedule"
    assert found["Complete"] == 1
    assert (found["GroupsScanned"], found["RetentionSet"]) == (100, 30)
    assert (found["GroupsDeleted"], found["StreamsDeleted"]) == (10, 90)
    assert (found["Failed"], found["Unknown"], found["Throttled"]) == (0, 0, 0)
    assert found["Duration"] > 0


def test_metrics_and_logs_are_out_when_the_handler_fails(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A denied Region: the run failed, and what was counted is there."""
    cloud = mixed()
    cloud.fault = refusing("DescribeLogGroups", "AccessDeniedException")
    with pytest.raises(RunFailedError, match="the scan failed"):
        deployed(cloud)(SCHEDULED, Context())
    out = capsys.readouterr().out
    assert metrics_of(out)["Complete"] == 0
    assert any(line.get("event") == "scan_failed" for line in lines(out))


def test_a_wrong_event_fails_the_invocation_and_is_logged(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clear line."""
    with pytest.raises(JanitorError, match="unknown key"):
        deployed(mixed())({"dryrun": True}, Context())
    [line] = [line for line in lines(capsys.readouterr().out) if line.get("event") == "run_failed"]
    assert line["error"] == "event: dryrun: unknown key"


def test_log_lines_say_which_request_run_region_and_group(
    deployed: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON lines; each change is in the journal among them, once."""
    cloud = mixed()
    answer = deployed(cloud)(SCHEDULED, Context())
    said = [line for line in lines(capsys.readouterr().out) if "event" in line]
    outcomes = [line for line in said if line["event"] == "outcome"]
    assert len(outcomes) == 70
    for line in outcomes:
        assert line["request_id"] == "request-1"
        assert line["run_id"] == answer["run"]["id"]
        assert line["region"] == REGION
        assert line["group"].startswith("/")
    journal = [line for line in said if line["event"] == "journal"]
    done = [line for line in journal if line["status"] == "done"]
    deleted = [line["group"] for line in done if line["action"] == "delete_group"]
    assert sorted(deleted) == sorted(group.name for group in cloud.deleted)
    assert len(done) == 10 + 30 + 90
    assert [line["status"] for line in journal].count("begun") == len(done)


# ---- the bucket ------------------------------------------------------------------------------

BUCKET = {"JANITOR_JOURNAL_BUCKET": "journals"}


def test_each_link_leaves_its_journal_in_the_bucket() -> None:
    """Together they name each change once, as the log does; without the setting there are none."""
    cloud = mixed(60)
    answer, links = chain(cloud, SCHEDULED, 30_000, lambda: None, **BUCKET)
    assert links > 1
    run_id = answer["run"]["id"]
    day = answer["run"]["started"][:10]
    keys = [f"s3://journals/journal/123456789012/{day}/{run_id}-{i:03}.jsonl" for i in range(links)]
    assert journals(cloud)
    assert journals(cloud).keys() <= set(keys), "a link that changes nothing leaves none"
    lines = [json.loads(line) for text in journals(cloud).values() for line in text.splitlines()]
    done = Counter(line["action"] for line in lines if line["status"] == "done")
    assert done["delete_group"] == len(cloud.deleted) == 20
    assert done["set_retention"] == len(cloud.puts) == 60
    assert done["sweep_streams"] == len(cloud.swept)
    bare = mixed()
    janitor(bare).answer(SCHEDULED, Context())
    assert not journals(bare)


def test_the_journals_of_a_chain_are_undone_together() -> None:
    """In whatever order the bucket lists them."""
    cloud = mixed(60)
    before = {name: group.retention for name, group in cloud.groups.items()}
    chain(cloud, SCHEDULED, 30_000, lambda: None, **BUCKET)
    found = read_history(sorted(journals(cloud).items(), reverse=True))
    assert found.complaints == []
    stop, items = threading.Event(), list[Item]()
    with tempfile.TemporaryDirectory() as folder:
        own = Journal(Path(folder) / "undo.jsonl", "undo", "policy")
        commit = Commit(own, dry_run=False)
        Undo([api(cloud, stop)], found.pasts, commit, own, stop, items.append).execute()
        own.close()
    assert {item.status for item in items} == {Status.DONE}
    assert {name: group.retention for name, group in cloud.groups.items()} == before


def test_a_bucket_that_cannot_be_written_fails_the_run_after_it_is_done() -> None:
    """Nothing is lost silently: the journal is in the log, and the invocation shows."""
    cloud = mixed()
    cloud.fault = refusing("PutObject", "AccessDenied", 403)
    with pytest.raises(RunFailedError, match="journal could not be written to s3://journals/"):
        janitor(cloud, **BUCKET).answer(SCHEDULED, Context())
    assert len(cloud.deleted) == 10


def test_a_dry_run_leaves_no_journal() -> None:
    """There is nothing to undo."""
    cloud = mixed()
    janitor(cloud, **BUCKET).answer({}, Context())
    assert not journals(cloud)


def test_a_run_that_ends_in_a_bug_leaves_its_journal_too() -> None:
    """What it did until then can be undone."""
    cloud = mixed()

    def broken(call: Call) -> RefusedError | None:
        if call.operation == "DeleteLogGroup" and len(cloud.deleted) == 4:
            raise RuntimeError("a bug")
        return None

    cloud.fault = broken
    with pytest.raises(RuntimeError, match="a bug"):
        janitor(cloud, **BUCKET).answer(SCHEDULED, Context())
    [text] = journals(cloud).values()
    lines = [json.loads(line) for line in text.splitlines()]
    deleted = [line for line in lines if line["action"] == "delete_group"]
    assert sum(line["status"] == "done" for line in deleted) == len(cloud.deleted) >= 4


@pytest.mark.parametrize("name", ["x", "Journals", "s3://journals", "journals/"])
def test_what_is_no_bucket_name_is_refused(name: str) -> None:
    """Before anything is done."""
    with pytest.raises(UsageError, match="JANITOR_JOURNAL_BUCKET"):
        read_settings({"JANITOR_JOURNAL_BUCKET": name})


# ---- the 15 minutes --------------------------------------------------------------------------


def test_a_large_account_is_finished_over_several_links_without_scanning_twice() -> None:
    """Equal in effect and in its counts to one long run; no page is asked for twice."""
    whole, several = mixed(90), mixed(90)
    one, links = chain(whole, SCHEDULED, 10**9)
    assert links == 1
    many, links = chain(several, SCHEDULED, 12_000)
    assert links > 3
    assert state(several) == state(whole)
    assert counted(many) == counted(one)
    assert many["summary"]["api_calls"] == sum(many["summary"]["calls"].values())
    assert len(several.scanned) == len(set(several.scanned)) == len(whole.scanned)
    assert many["run"]["id"]
    assert many["summary"]["complete"] is True


def test_a_dry_run_over_several_links_changes_nothing_and_plans_the_same() -> None:
    """By hand too it goes on by itself."""
    whole, several = mixed(90), mixed(90)
    one, _ = chain(whole, {}, 10**9)
    many, links = chain(several, {}, 12_000)
    assert links > 2
    assert state(several) == state(mixed(90))
    assert counted(many) == counted(one)


def test_the_money_of_a_chain_is_that_of_one_link() -> None:
    """Carried from link to link, and nothing counted twice."""
    whole, cut = janitor(mixed(60)).answer(SCHEDULED, Context()), mixed(60)
    function, event, links = janitor(cut), SCHEDULED, 1
    while "resume" in (answer := function.answer(event, Context(5_000))):
        event = next_link(cut)
        links += 1
    assert links > 2
    money = answer["summary"]["money"]
    assert money == whole["summary"]["money"]
    assert money["storage_usd"] > money["saved_steady_usd"] > 0
    # 60 groups of 5 bytes that never expired, 900 days old, get a year: 2 bytes each at once.
    assert money["freed_at_once_bytes"] == 60 * 2


def test_the_next_link_is_invoked_asynchronously_on_the_same_function() -> None:
    """With the resume value that the answer shows."""
    cloud = mixed(90)
    answer = janitor(cloud).answer(SCHEDULED, Context(5_000))
    [call] = cloud.sandbox.world.invoked
    assert (call["function"], call["type"]) == (ARN, "Event")
    event = json.loads(call["payload"])
    assert event["resume"] == json.loads(json.dumps(answer["resume"]))
    assert event["dry_run"] is False
    assert event["resume"]["hop"] == 1


def test_nothing_is_deleted_before_the_whole_account_was_scanned() -> None:
    """The limits hold for the whole run, so a link that did not see the end deletes nothing."""
    cloud = mixed(150)
    seen: list[bool] = []

    def between() -> None:
        seen.append(not cloud.deleted and not cloud.swept)

    janitor_, event = janitor(cloud), SCHEDULED
    while "resume" in (answer := janitor_.answer(event, Context(8_000))):
        event = next_link(cloud)
        if not answer["resume"]["regions"][REGION]["whole"]:
            between()
    assert seen
    assert all(seen)
    assert len(cloud.deleted) == 50


@pytest.mark.parametrize(
    "limits",
    ["max_group_deletions = 29", "max_group_deletion_share = 0.09", "max_stream_deletions = 269"],
)
def test_limits_hold_over_all_links(limits: str, monkeypatch: Any) -> None:
    """However the account is cut into links; retention is still put."""
    rules = f"""
        [defaults]
        retention_days = 365
        delete_empty = true
        sweep_streams = true
        [limits]
        {limits}
    """
    monkeypatch.setattr(handler, "current_policy", lambda _settings: parse(rules, "tight"))
    cloud = mixed(90)
    with pytest.raises(RunFailedError, match=limits.split()[0]):
        chain(cloud, SCHEDULED, 12_000)
    assert not cloud.deleted
    assert not cloud.swept
    assert len(cloud.puts) == 90


def test_an_expired_page_token_starts_the_region_again() -> None:
    """Everything is idempotent, and nothing scanned is counted twice."""
    whole, several = mixed(60), mixed(60)
    chain(whole, SCHEDULED, 10**9)

    several.sandbox.world.token_age = 30
    once = iter([60])

    def expire() -> None:
        several.clock.advance(next(once, 0))

    answer, links = chain(several, SCHEDULED, 12_000, between=expire)
    assert links > 2
    assert state(several) == state(whole)
    assert answer["summary"]["groups_scanned"] == 200
    assert len(several.puts) == 60


def test_a_chain_is_bounded_in_links() -> None:
    """What is left is not reached, and the invocation fails."""
    cloud = mixed(90)
    with pytest.raises(RunFailedError, match="not finished after 2 links"):
        chain(cloud, SCHEDULED, 5_000, JANITOR_MAX_LINKS="2")
    assert not cloud.sandbox.world.invoked
    assert not cloud.deleted


def test_a_chain_is_bounded_in_time() -> None:
    """The page token lives for 24 hours."""
    cloud = mixed(90)

    def pass_a_day() -> None:
        cloud.clock.advance(86_400)

    with pytest.raises(RunFailedError, match="not finished after 20 hours"):
        chain(cloud, SCHEDULED, 5_000, between=pass_a_day)


def test_a_link_that_may_not_invoke_the_next_says_so() -> None:
    """Without the permission to go on, what is left is not reached."""
    cloud = mixed(90)
    cloud.fault = refusing("Invoke", "AccessDeniedException")
    with pytest.raises(RunFailedError, match="the next link could not be invoked"):
        janitor(cloud).answer(SCHEDULED, Context(5_000))
    assert not cloud.deleted


def test_a_resume_value_of_another_account_or_policy_is_refused(monkeypatch: Any) -> None:
    """Nothing is done with it."""
    cloud = mixed(90)
    janitor(cloud).answer(SCHEDULED, Context(5_000))
    event = next_link(cloud)
    foreign = deepcopy(event)
    foreign["resume"]["account"] = "999999999999"
    with pytest.raises(UsageError, match=r"resume\.account: 999999999999 is not this account"):
        janitor(cloud).answer(foreign, Context())
    broken = deepcopy(event)
    broken["resume"]["regions"][REGION]["pending"] = "AAAA"
    with pytest.raises(UsageError, match="pending was not made by this program"):
        janitor(cloud).answer(broken, Context())
    for key in ("groups_scanned", "calls", "planned", "money"):
        odd = deepcopy(event)
        odd["resume"]["summary"][key] = "x"
        with pytest.raises(UsageError, match=r"resume\.summary"):
            janitor(cloud).answer(odd, Context())
    monkeypatch.setattr(handler, "current_policy", lambda _settings: parse("", "another"))
    with pytest.raises(UsageError, match="the policy was changed"):
        janitor(cloud).answer(event, Context())
    assert not cloud.deleted


def test_a_group_made_again_between_links_is_left_alone() -> None:
    """Identity includes the creation time."""
    cloud = mixed(90)
    fresh = Group("/old/000", days_ago(0), 0, 365)

    def replace() -> None:
        if cloud.groups["/old/000"].created != fresh.created:
            cloud.put(fresh)

    answer, links = chain(cloud, SCHEDULED, 8_000, between=replace)
    assert links > 2
    assert cloud.groups["/old/000"] is fresh
    assert answer["summary"]["groups_deleted"] == 29


@relaxed
@given(accounts, policies, st.integers(30, 60), st.booleans())
def test_any_account_cut_into_links_ends_as_in_one_run(
    account: list[Group], policy: Policy, calls: int, owned: bool
) -> None:
    """The same state and the same counts, wherever the links are cut."""
    whole, several = Cloud(deepcopy(account), page=2), Cloud(account, page=2)
    for cloud in (whole, several):
        cloud.functions |= {"3": None} if owned else {}
    between = interrupted(several, calls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "current_policy", lambda _settings: policy)
        one, _ = chain(whole, SCHEDULED, 10**9, **FOR_EVER)
        many, _ = chain(several, SCHEDULED, MINUTES_15, between, **FOR_EVER)
    assert state(several) == state(whole)
    assert counted(many) == counted(one)
    assert len(several.scanned) == len(set(several.scanned))


@relaxed
@given(accounts, policies, st.booleans())
def test_runs_that_overlap_are_safe_and_end_as_one(
    account: list[Group], policy: Policy, owned: bool
) -> None:
    """EventBridge delivers at least once, and a small account cannot reserve concurrency.

    To the second run, a retention that the first one lowered is the retention in force.
    """
    whole, shared = Cloud(deepcopy(account)), Cloud(deepcopy(account))
    for cloud in (whole, shared):
        cloud.functions |= {"3": None} if owned else {}
    before = {group.name: group for group in account}
    with pytest.MonkeyPatch.context() as patch:
        # Both judge ages by the same moment, however their threads are scheduled.
        patch.setattr(shared.clock, "now", lambda: NOW)
        patch.setattr(handler, "current_policy", lambda _settings: policy)
        alone = answer_or_refusal(whole)
        with ThreadPoolExecutor(2) as pool:
            refusals = list(pool.map(answer_or_refusal, [shared, shared]))
    lowered = {name for name, days in shared.puts if days < (before[name].retention or 0)}
    for group in shared.deleted:
        if group.name not in lowered:
            assert_lawful(group, before[group.name], policy, set(shared.functions))
    if not alone and not any(refusals) and not lowered:
        assert state(shared) == state(whole)


class CrashError(BaseException):
    """The process is gone in the middle of a call."""


@relaxed
@given(accounts, policies, st.integers(30, 60), st.integers(1, 120), st.booleans())
def test_a_crash_in_any_link_and_a_new_run_end_in_the_same_state(
    account: list[Group], policy: Policy, calls: int, crash: int, after: bool
) -> None:
    """Before the effect of the call or after it; then the next scheduled run, and one more."""
    whole, broken = Cloud(deepcopy(account)), Cloud(account)
    left = crash

    def gone(_call: Call) -> RefusedError | None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise CrashError
        return None

    between = interrupted(broken, calls)
    if after:
        broken.after = gone
    else:
        broken.fault = gone
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "current_policy", lambda _settings: policy)
        with contextlib.suppress(CrashError, RunFailedError):
            chain(broken, SCHEDULED, MINUTES_15, between, **FOR_EVER)
        broken.quiet()
        broken.sandbox.world.invoked.clear()
        answers = [answer_or_refusal(cloud) for cloud in (whole, whole, broken, broken)]
    if not any(answers):
        assert state(broken) == state(whole)


def answer_or_refusal(cloud: Cloud) -> str:
    """Run once over the account; the reason where a limit refused it."""
    try:
        chain(cloud, SCHEDULED, 10**9, **FOR_EVER)
    except RunFailedError as error:
        return str(error)
    return ""
