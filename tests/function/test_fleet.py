"""A fleet: many accounts cleaned together, each by itself, by events that are not trusted.

`tests.proof` tests its properties.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from janitor.aws import targets
from janitor.core.errors import PolicyError, UsageError
from janitor.function import fleet as module
from janitor.function import warm
from janitor.function.fleet import BusyError
from janitor.function.state import StateError
from janitor.sandbox import inprocess
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import MUTATING, NOW, REGION, Disturbance, days_ago, refused
from tests.conftest import Run
from tests.function import fleets
from tests.function.deployed import BUCKET, DiedError
from tests.function.fleets import NAME, TOPIC, DeployedFleet, account, fleet
from tests.proof.worlds import ACCOUNT

LAST = {"role": fleets.role(account(2)), "region": REGION}
"""A target of a fleet of three."""
POLICY = "\n".join(
    [
        "[defaults]\nretention_days = 365\ndelete_empty = true",
        "[protect.deletion]\nowners = false",
        "[limits]\nmax_group_deletion_share = 1.0",
    ]
)


def filled(store: Store, empty: int = 1) -> Store:
    """The store with `empty` empty log groups in each account and Region, and one to keep, without
    retention.
    """
    for owner, region in list(store.regions):
        for number in range(empty):
            name = f"/empty/{number}"
            store.add_group(owner, region, name, created=days_ago(900), retention=14)
        kept = store.add_group(owner, region, "/kept", created=days_ago(900))
        store.add_stream(kept, "a", created=days_ago(900), events=[(NOW - 1000, 1, 100)])
    return store


def left(store: Store, owner: str) -> list[str]:
    """The names of an account's log groups."""
    return sorted(group.name for group in store.groups() if group.account == owner)


Deploy = Callable[..., DeployedFleet]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """Deploys the function on a store, with lines added to the policy."""

    files = count()

    def deployed(store: Store, more: str = "", **environment: str) -> DeployedFleet:
        path = tmp_path / f"policy-{next(files)}.toml"
        path.write_text(f"{POLICY}\n{more}")
        return DeployedFleet(store, {"JANITOR_POLICY_FILE": str(path), **environment})

    return deployed


def refusing_in(owner: str, *operations: str, code: str = "AccessDenied") -> Disturbance:
    """A fault that refuses calls in an account, or those that assume its role."""

    def fault(call: Call) -> RefusedError | None:
        target = str(call.parameters.get("RoleArn", call.account))
        return refused(code, 403) if owner in target and call.operation in operations else None

    return fault


def test_a_run_cleans_every_account_and_reports_it(deploy: Deploy) -> None:
    """Each account and Region is cleaned, findings and journals are in the bucket, and the totals
    by account, unit and Region are right.
    """
    store = filled(fleet(3, (REGION, "us-east-1")))
    members = store.organization.members if store.organization else {}
    members[account(2)] = Membership("<script>team")
    deployed = deploy(store)
    report = deployed.run()
    summary = report["summary"]
    assert [left(store, account(number)) for number in range(3)] == [["/kept", "/kept"]] * 3
    assert (summary["groups_deleted"], summary["retention_set"]) == (6, 6)
    assert (summary["accounts"], summary["targets"], summary["complete"]) == (3, 6, True)
    for rows, deleted in (
        ("accounts", [2, 2, 2]),
        ("organizational_units", [4, 2]),
        ("regions", [3, 3]),
    ):
        assert [row["groups_deleted"] for row in report[rows]] == deleted
    names = [row["organizational_unit"] for row in report["organizational_units"]]
    assert names == ["Root", "Root/Workloads"]
    assert report["total"]["groups_deleted"] == 6
    page = deployed.objects["fleet/run/report.html"]
    assert "&lt;script&gt;team" in page
    assert "<script" not in page
    for owner, region in [(account(0), REGION), (account(2), "us-east-1")]:
        findings = lines(deployed, f"fleet/run/{owner}/{region}/findings-")
        assert {(row["account"], row["region"]) for row in findings} == {(owner, region)}
        assert Counter(row["status"] for row in findings) == {"planned": 2, "done": 2}
    journal = lines(deployed, f"journal/{account(2)}/")
    assert {line["group"] for line in journal} == {"/empty/0", "/kept"}
    assert {line["region"] for line in journal} == {REGION, "us-east-1"}


def lines(deployed: DeployedFleet, prefix: str) -> list[dict[str, Any]]:
    """The JSON lines of all objects under a prefix."""
    texts = [text for key, text in deployed.objects.items() if key.startswith(prefix)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_one_account_is_restored_from_its_journals(
    deploy: Deploy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever may read the bucket, with a role of that account; the others stay as they are."""
    store = filled(fleet(2, (REGION, "us-east-1")))
    deployed, before = deploy(store), store.state()
    deployed.run()
    cleaned = store.state()
    with deployed.sandbox.serving() as url:
        for name, value in deployed.sandbox.environment(url).items():
            monkeypatch.setenv(name, value)
        journals = f"s3://{BUCKET}/journal/{account(1)}/"
        words = ("--role", fleets.role(account(1)), "--apply", "--yes", "--format", "json")
        done = run("restore", journals, *words)
    assert done.code == 0, done.err
    restored = store.state()
    assert restored.keys() - cleaned.keys() == {
        (account(1), region, "/empty/0") for region in (REGION, "us-east-1")
    }
    for (owner, region, name), group in restored.items():
        expected = before if owner == account(1) else cleaned
        assert group["retention"] == expected[owner, region, name]["retention"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(deploy: Deploy) -> None:
    """Even if it is asked to act."""
    store = filled(fleet(3))
    deployed, before = deploy(store), store.state()
    planned = deployed.run(dry_run=True)["summary"]["planned"]
    assert planned == {"set_retention": 3, "delete_group": 3, "sweep_streams": 0}
    assert "Groups deleted (would be)" in deployed.objects["fleet/run/report.html"]
    assert deployed.invoke({"run": "run", "pass": "act", **LAST})["tally"]["done"] == {}
    assert store.state() == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (refusing_in(account(1), "AssumeRole"), "cannot be assumed"),
        (refusing_in(account(1), "DescribeLogGroups"), "could not be listed"),
        (refusing_in(account(1), "DescribeLogGroups", code="ThrottlingException"), "Throttling"),
        (refusing_in(account(1), "GetCallerIdentity", code="ExpiredToken"), "credentials"),
        (refusing_in(account(1), "DescribeLogGroups", code="ExpiredToken"), "credentials"),
    ],
    ids=["role refused", "denied", "always throttled", "no identity", "credentials expired"],
)
def test_an_account_fails_alone(deploy: Deploy, fault: Disturbance, message: str) -> None:
    """It is left as it is, the others are cleaned, and report, metric and notification say so."""
    store = filled(fleet(3))
    deployed = deploy(store, JANITOR_NOTIFY_TOPIC=TOPIC, JANITOR_REGIONS=REGION)
    deployed.fault = fault
    report = deployed.run()
    assert [left(store, account(number)) for number in (0, 2)] == [["/kept"], ["/kept"]]
    assert left(store, account(1)) == ["/empty/0", "/kept"]
    assert {(row["account"], row["region"]) for row in report["failed"]} == {(account(1), REGION)}
    assert message in report["failed"][0]["why"]
    assert report["summary"]["accounts_failed"] == deployed.metrics["RunFailed"] == 1
    assert account(1) in deployed.objects["fleet/run/report.html"]
    [sent] = deployed.sent
    assert sent["Subject"] == (
        f"{NAME} in {ACCOUNT}, 3 accounts: failed, 1 account failed, 2 groups deleted"
    )
    assert message in sent["Message"]
    assert f"account by account: s3://{BUCKET}/fleet/run/report.html" in sent["Message"]


@pytest.mark.parametrize(
    ("more", "empty", "deleted", "over"),
    [
        ("fleet = {max_group_deletions = 5}", (2, 2, 2), (0, 0, 0), "in any account"),
        ("fleet = {max_group_deletions = 6}", (2, 2, 2), (2, 2, 2), None),
        ("fleet = {max_group_deletions = 9}", (2, 3, 1), (2, 0, 1), account(1)),
        ("", (1, 1, 1), (0, 0, 0), "in any account"),
    ],
    ids=["the sum", "neither", "one account", "the sum by the account's limit"],
)
def test_limits_hold_for_each_account_and_for_all(
    deploy: Deploy,
    more: str,
    empty: tuple[int, ...],
    deleted: tuple[int, ...],
    over: str | None,
) -> None:
    """Beyond its own limit an account deletes nothing, beyond the sum's limit no account does."""
    store = fleet(3)
    for number, group_count in enumerate(empty):
        alone = Store(regions={(account(number), REGION): store.region(account(number), REGION)})
        filled(alone, group_count)
    deployed = deploy(store, f"max_group_deletions = 2\n{more}")
    dry, report = deployed.run("dry", dry_run=True), deployed.run()
    for key, done in (("set_retention", "retention_set"), ("delete_group", "groups_deleted")):
        for part in ("accounts", "regions"):
            assert [row["would"][key] for row in dry[part]] == [row[done] for row in report[part]]
        assert dry["summary"]["would"][key] == report["summary"][done]
    remaining = [len(left(store, account(number))) for number in range(3)]
    assert remaining == [1 + had - gone for had, gone in zip(empty, deleted, strict=True)]
    assert report["summary"]["retention_set"] == 3
    because = report["summary"].get("refused_because")
    assert because is None if over is None else over in because
    refused_in = [row["account"] for row in report["accounts"] if row["refused_because"]]
    assert refused_in == ([over] if over == account(1) else [])


def test_the_first_event_decides_what_a_run_is(deploy: Deploy) -> None:
    """A second one changes neither start, nor accounts, nor dry run."""
    store = filled(fleet(2))
    deployed = deploy(store)
    first = deployed.invoke({"run": "run", "pass": "targets"})
    record = deployed.objects["fleet/run/run.json"]
    deployed.clock.jump(3600)
    store.organization.members[account(2)] = Membership("late")  # type: ignore[union-attr]
    again = deployed.invoke({"run": "run", "pass": "targets", "dry_run": False})
    assert again == first == {**first, "dry_run": True, "targets": 2, "complete": True}
    assert deployed.objects["fleet/run/run.json"] == record
    assert json.loads(record)["started"] == NOW


def test_the_name_of_an_old_run_is_refused(deploy: Deploy) -> None:
    """Step Functions accepts it again after 90 days, and the old report would look like a new one;
    it may still be asked for.
    """
    deployed = deploy(filled(fleet(1)))
    deployed.run("first-look", dry_run=True)
    deployed.clock.jump(120 * 86_400)
    with pytest.raises(UsageError, match="first-look began more than 20 hours ago"):
        deployed.targets("first-look")
    assert deployed.invoke({"run": "first-look", "pass": "report"})["complete"]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"run": "run", "pass": "act", **LAST}, "nothing to act on"),
        ({"run": "run", "pass": "survey", **LAST, "role": fleets.role("999999999999")}, "target"),
        ({"run": "run", "pass": "survey", **LAST, "role": LAST["role"] + "2"}, "not a target"),
        ({"run": "run", "pass": "survey", **LAST, "region": "sa-east-1"}, "not a target"),
        ({"run": "another", "pass": "survey", **LAST}, "there is no run"),
        ({"run": "another", "pass": "limits"}, "there is no run"),
        ({"run": "run", "pass": "survey"}, "give role and region with"),
        ({"run": "run", "pass": "limits", **LAST}, "give role and region with"),
        ({"run": "run", "pass": "act", **LAST, "dry_run": False}, "give dry_run with targets"),
        ({"run": "../run", "pass": "report"}, "run"),
        ({"run": "run", "pass": "delete"}, "pass"),
        ({"run": "run", "pass": "report", "now": 1}, "unknown key"),
        ({"pass": "report"}, "run"),
        ([], "event"),
    ],
)
def test_an_event_that_the_record_does_not_back_is_refused(
    deploy: Deploy, event: Any, message: str
) -> None:
    """Before any role is assumed."""
    store = filled(fleet(3))
    deployed, before = deploy(store), store.state()
    deployed.targets()
    calls = deployed.calls.copy()
    with pytest.raises(UsageError, match=message):
        deployed.invoke(event)
    assert {operation for _, operation in deployed.calls - calls} <= {"GetObject"}
    assert store.state() == before


def test_a_target_whose_survey_ends_after_the_limits_check_is_not_cleaned(deploy: Deploy) -> None:
    """The check did not count it; a survey that has not started by then never does."""
    store = filled(fleet(3))
    deployed = deploy(store)
    items = deployed.targets()
    deployed.each("survey", items[:2])
    early = f"fleet/run/{account(1)}/{REGION}/state.json"  # read before there was one
    deployed.fault = lambda call: (
        refused("NoSuchKey", 404) if call.parameters.get("Key") == early else None
    )
    deployed.invoke({"run": "run", "pass": "limits"})
    deployed.quiet()
    deployed.each("survey", items[2:])
    deployed.each("act", items)
    remaining = [left(store, account(number)) for number in range(3)]
    assert remaining == [["/kept"], ["/empty/0", "/kept"], ["/empty/0", "/kept"]]
    retentions = [group.retention for group in store.groups() if group.name == "/kept"]
    assert retentions == [365, 365, None]
    answer = deployed.invoke({"run": "run", "pass": "report"})
    assert answer["summary"]["targets_failed"] == 1


@pytest.mark.parametrize("name", ["run.json", "limits.json", "state.json"])
def test_an_object_that_other_code_wrote_is_an_error_that_names_it(
    deploy: Deploy, name: str
) -> None:
    """After a deployment in the middle of a run nothing is done by a guess."""
    store = filled(fleet(1))
    deployed = deploy(store)
    [item] = deployed.targets()
    deployed.item({"run": "run", "pass": "survey", **item})
    deployed.invoke({"run": "run", "pass": "limits"})
    [key] = [key for key in deployed.objects if key.endswith(name)]
    text = json.dumps({**json.loads(deployed.objects[key]), "newer": 1})
    deployed.overwrite(key, text)
    with pytest.raises(StateError, match=rf"(?s){key} could not be read.*newer"):
        deployed.invoke({"run": "run", "pass": "act", **item})
    assert "/empty/0" in left(store, account(0))


def test_a_damaged_state_fails_its_target_alone(deploy: Deploy) -> None:
    """The other accounts are cleaned, and the report names the object."""
    store = filled(fleet(2))
    deployed = deploy(store)
    items = deployed.targets()
    deployed.each("survey", items)
    key = f"fleet/run/{account(1)}/{REGION}/state.json"
    deployed.overwrite(key, "{}")
    deployed.invoke({"run": "run", "pass": "limits"})
    deployed.item({"run": "run", "pass": "act", **items[0]})
    assert [left(store, account(number)) for number in range(2)] == [
        ["/kept"],
        ["/empty/0", "/kept"],
    ]
    summary = deployed.invoke({"run": "run", "pass": "report"})["summary"]
    assert (summary["targets_failed"], summary["groups_deleted"]) == (1, 1)
    assert key in summary["errors"][0]


def test_a_target_without_a_tally_is_not_cleaned(deploy: Deploy) -> None:
    """Its state says that the survey is complete, but the limits could not count it."""
    store = filled(fleet(2))
    deployed = deploy(store)
    items = deployed.targets()
    deployed.each("survey", items)
    key = f"fleet/run/{account(1)}/{REGION}/state.json"
    state = json.loads(deployed.objects[key])
    del state["regions"][REGION]["tally"]
    deployed.overwrite(key, json.dumps(state))
    deployed.invoke({"run": "run", "pass": "limits"})
    deployed.each("act", items)
    assert [left(store, account(number)) for number in range(2)] == [
        ["/kept"],
        ["/empty/0", "/kept"],
    ]


@pytest.mark.parametrize("what", ["policy", "code"])
def test_a_changed_policy_or_code_ends_a_run(
    deploy: Deploy, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan by another is not carried out, and the report says why."""
    store = filled(fleet(2))
    deployed = deploy(store)
    items = deployed.targets()
    deployed.each("survey", items)
    deployed.invoke({"run": "run", "pass": "limits"})
    if what == "code":
        monkeypatch.setattr(module, "code", lambda: "another")
    else:
        deployed = deploy(store, "[protect]\nnames = ['/other']")
    before = store.state()
    [answer, _] = deployed.each("act", items)
    assert f"the {what} has changed since the run started" in answer["tally"]["errors"][0]
    assert store.state() == before
    report = deployed.invoke({"run": "run", "pass": "report"})
    assert report["summary"]["targets_failed"] == 2


def test_a_run_is_reported_even_if_its_policy_can_no_longer_be_read(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody broke it while the run was acting, which stopped it."""
    deployed = deploy(filled(fleet(2)), JANITOR_NOTIFY_TOPIC=TOPIC)
    items = deployed.targets()
    deployed.each("survey", items)
    deployed.invoke({"run": "run", "pass": "limits"})
    deployed.each("act", items[:1])

    def broken(_settings: object) -> None:
        raise PolicyError("SSM parameter /policy", ["it is not TOML"])

    monkeypatch.setattr(warm, "current_policy", broken)
    with pytest.raises(PolicyError):
        deployed.each("act", items[1:])
    summary = deployed.invoke({"run": "run", "pass": "report"})["summary"]
    assert (summary["groups_deleted"], summary["targets_failed"]) == (1, 1)
    assert len(deployed.sent) == 1


@pytest.mark.parametrize("waiting", ["survey", "limits"])
def test_one_invocation_at_a_time_works_on_a_target(deploy: Deploy, waiting: str) -> None:
    """One that died keeps its claim until its time would be over, and then no longer."""
    store = filled(fleet(1))
    deployed = deploy(store)
    [item] = deployed.targets()
    survey, died = {"run": "run", "pass": "survey", **item}, []
    waits = survey if waiting == "survey" else {"run": "run", "pass": waiting}

    def die(call: Call) -> None:
        if call.operation == "DescribeLogGroups":
            died.append(call)
            raise DiedError

    deployed.before_call = die
    with pytest.raises(DiedError):
        deployed.invoke(survey)
    deployed.quiet()
    deployed.clock.jump(890)
    with pytest.raises(BusyError):
        deployed.invoke(waits)
    deployed.clock.jump(10)
    assert deployed.invoke(waits)["complete"]


def test_the_limits_wait_for_the_survey_of_another_execution(deploy: Deploy) -> None:
    """A run that is started twice is not over for the targets at which the first is at work."""
    store = filled(fleet(1))
    deployed = deploy(store)
    [item] = deployed.targets()
    limits = {"run": "run", "pass": "limits"}

    async def at_the_same_time() -> None:
        survey = deployed.answer({"run": "run", "pass": "survey", **item})
        answers = await asyncio.gather(survey, deployed.answer(limits), return_exceptions=True)
        assert isinstance(answers[1], BusyError)

    deployed.clock.run(at_the_same_time())
    assert deployed.invoke(limits)["act"]
    deployed.each("act", [item])
    assert left(store, account(0)) == ["/kept"]


def test_nothing_changes_once_the_function_is_denied_everything(deploy: Deploy) -> None:
    """As the documentation stops a run: the roles that it has assumed are still valid."""
    store = filled(fleet(1), 60)
    deployed = deploy(store)
    [item] = deployed.targets()
    deployed.each("survey", [item])
    deployed.invoke({"run": "run", "pass": "limits"})
    changes = 0

    def count_change(call: Call) -> None:
        nonlocal changes
        changes += call.operation in MUTATING

    def deny(call: Call) -> RefusedError | None:
        own = not call.key.startswith("ASIA")
        return refused("AccessDenied", 403) if own and changes >= 20 else None

    deployed.before_call, deployed.fault = count_change, deny
    with pytest.raises(StateError):
        deployed.each("act", [item])
    assert changes == 20


def test_a_report_is_sent_again_only_if_it_changed(deploy: Deploy) -> None:
    """Even if it is made early, or twice."""
    store = filled(fleet(2))
    deployed = deploy(store, JANITOR_NOTIFY_TOPIC=TOPIC)
    items, report = deployed.targets(), {"run": "run", "pass": "report"}
    early = deployed.invoke(report)
    assert early["summary"]["refused_because"] == "the limits were not checked"
    deployed.each("survey", items)
    deployed.invoke({"run": "run", "pass": "limits"})
    deployed.each("act", items)
    last = [deployed.invoke(report) for _ in range(2)]
    assert last[0] == last[1]
    assert last[0]["summary"]["groups_deleted"] == 2
    assert [sent["Subject"].split(": ")[1][:7] for sent in deployed.sent] == ["failed,", "changed"]


def test_answers_are_small_however_many_and_long_the_errors(deploy: Deploy) -> None:
    """A state of the state machine holds 256 KiB at most."""
    store = filled(fleet(40))
    deployed = deploy(store)
    long = "x" * 100_000
    deployed.fault = lambda call: (
        RefusedError("AccessDenied", long, 403) if call.operation == "AssumeRole" else None
    )
    items = deployed.targets()
    answers = [*deployed.each("survey", items), deployed.invoke({"run": "run", "pass": "limits"})]
    answers.append(deployed.invoke({"run": "run", "pass": "report"}))
    assert max(len(json.dumps(answer)) for answer in answers) < 32_000
    assert answers[-1]["summary"]["accounts_failed"] == 40


# ---- accounts ------------------------------------------------------------------------------------

TREE = Organization(
    ACCOUNT,
    {
        "ou-root-prod0001": Unit("Prod"),
        "ou-root-webs0001": Unit("Web", "ou-root-prod0001"),
        "ou-root-lab00001": Unit("Lab"),
    },
    {
        account(0): Membership("management"),
        account(1): Membership("one", "ou-root-prod0001"),
        account(2): Membership("two", "ou-root-webs0001"),
        account(3): Membership("three", "ou-root-lab00001"),
        account(4): Membership("gone", "ou-root-prod0001", "SUSPENDED"),
    },
)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [0, 1, 2, 3]),
        ({"OUS": "r-root"}, [0, 1, 2, 3]),
        ({"OUS": "ou-root-prod0001"}, [1, 2]),
        ({"OUS": "ou-root-webs0001, ou-root-lab00001"}, [2, 3]),
        ({"OUS": "ou-root-webs0001", "ACCOUNTS": account(0)}, [0, 2]),
        ({"OUS": "ou-root-prod0001", "ACCOUNTS": account(4)}, [1, 2]),
        ({"ACCOUNTS": f"{account(3)},{account(1)}"}, [1, 3]),
        ({"EXCLUDE": f"ou-root-prod0001,{account(0)}"}, [3]),
        ({"OUS": "ou-root-prod0001", "EXCLUDE": "ou-root-webs0001"}, [1]),
        ({"OUS": "ou-root-lab00001", "ACCOUNTS": account(2), "EXCLUDE": "ou-root-webs0001"}, [3]),
    ],
)
def test_the_named_units_decide_which_accounts_are_cleaned(
    deploy: Deploy, settings: dict[str, str], wanted: list[int]
) -> None:
    """With the units below, over any number of pages, but without suspended and excluded accounts;
    Organizations is not asked if every account is named.
    """
    store = fleet(5)
    store.organization = TREE
    more = {f"JANITOR_FLEET_{name}": value for name, value in settings.items()}
    deployed = deploy(store, JANITOR_REGIONS=REGION, **more)
    deployed.sandbox.world.empty_pages = 0.3
    roles = [item["role"] for item in deployed.targets()]
    assert roles == [fleets.role(account(number)) for number in wanted]
    operations = {operation for _, operation in deployed.calls}
    assert ("ListAccountsForParent" in operations) == (set(settings) != {"ACCOUNTS"})
    assert "AssumeRole" not in operations


def test_the_record_holds_the_path_of_each_account(deploy: Deploy) -> None:
    """By name, from the configured unit down."""
    store = fleet(5)
    store.organization = TREE
    deployed = deploy(store, JANITOR_FLEET_OUS="ou-root-prod0001", JANITOR_REGIONS=REGION)
    deployed.targets()
    members = json.loads(deployed.objects["fleet/run/run.json"])["members"]
    paths = {member["name"]: member["path"] for member in members}
    assert paths == {"one": ["Prod"], "two": ["Prod", "Web"]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"OUS": "ou-root-nothing0"}, "OrganizationalUnitNotFoundException"),
        ({"OUS": "r-other"}, "ParentNotFoundException"),
        ({"EXCLUDE": "ou-root-nothing0"}, "OrganizationalUnitNotFoundException"),
        ({"OUS": "prod"}, "'prod' is not the id"),
        ({"ACCOUNTS": "12345"}, "is not an account id"),
        ({"ACCOUNTS": account(1), "EXCLUDE": "ou-root-prod0001"}, "is not asked where"),
        ({"ACCOUNTS": account(1), "EXCLUDE": account(1)}, "no account is left"),
        ({"ROLE": "a role"}, "JANITOR_FLEET_ROLE"),
    ],
)
def test_a_wrong_choice_of_accounts_starts_nothing(
    deploy: Deploy, settings: dict[str, str], message: str
) -> None:
    """An excluded unit that does not exist is a mistake that would delete too much."""
    store = fleet(5)
    store.organization = TREE
    more = {f"JANITOR_FLEET_{name}": value for name, value in settings.items()}
    deployed = deploy(store, **more)
    with pytest.raises(UsageError, match=message):
        deployed.targets()
    assert deployed.objects == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "TooManyRequestsException"])
def test_an_organization_that_is_only_read_in_part_starts_nothing(
    deploy: Deploy, code: str
) -> None:
    """Nobody would notice that accounts are missing."""
    deployed = deploy(fleet(3))
    deployed.fault = lambda call: (
        refused(code) if call.parameters.get("ParentId") == fleets.UNIT else None
    )
    with pytest.raises(UsageError, match="could not be read"):
        deployed.targets()
    assert deployed.objects == {}


def test_without_configured_regions_each_account_has_those_it_enabled(deploy: Deploy) -> None:
    """An account that cannot be asked for them fails alone, with the reason."""
    store = fleet(3)
    store.region(account(2), "us-east-1")
    deployed = deploy(filled(store))
    deployed.fault = refusing_in(account(1), "AssumeRole")
    report = deployed.run()
    rows = {row["account"]: row["targets"] for row in report["accounts"]}
    assert rows == {account(0): 1, account(1): 0, account(2): 2}
    assert [(row["account"], row["region"]) for row in report["failed"]] == [(account(1), None)]
    assert "cannot be assumed" in report["failed"][0]["why"]
    assert "every Region" in deployed.objects["fleet/run/report.html"]


def test_a_role_is_assumed_with_its_external_id(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the function's real sessions."""
    store = filled(fleet(2))
    deployed = deploy(store)
    assumed = {}

    def note(call: Call) -> None:
        if call.operation == "AssumeRole":
            assumed[call.parameters["RoleArn"]] = call.parameters.get("ExternalId")

    deployed.before_call = note
    handle = deployed.sandbox.handle
    own = inprocess.session(handle, f"AKIA{ACCOUNT}", REGION)
    monkeypatch.setattr(targets, "_session", lambda **_: inprocess.session(handle, "", REGION))
    deployed.assume = lambda _own, *role: targets.assumed(own, *role)  # type: ignore[method-assign]
    assert deployed.run()["summary"]["groups_deleted"] == 2
    assert assumed == {fleets.role(account(number)): fleets.EXTERNAL_ID for number in range(2)}
