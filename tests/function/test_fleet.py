"""A fleet: many accounts cleaned together, each for itself, by events that are evidence of nothing.

Its properties are in `tests.proof`.
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
from janitor.core.errors import UsageError
from janitor.function import fleet as module
from janitor.function.fleet import BusyError
from janitor.function.state import StateError
from janitor.sandbox import inprocess
from janitor.sandbox.organization import Membership, Organization, Unit
from janitor.sandbox.store import Store
from janitor.sandbox.wire import Call, RefusedError
from tests.accounts import NOW, REGION, Disturbance, days_ago, refused
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
    """The store, with so many empty log groups in each account and Region, and one to be given a
    retention.
    """
    for of, region in list(store.regions):
        for number in range(empty):
            name = f"/empty/{number}"
            store.add_group(of, region, name, created=days_ago(900), retention=14)
        kept = store.add_group(of, region, "/kept", created=days_ago(900))
        store.add_stream(kept, "a", created=days_ago(900), events=[(NOW - 1000, 1, 100)])
    return store


def left(store: Store, of: str) -> list[str]:
    """The names of an account's log groups."""
    return sorted(group.name for group in store.groups() if group.account == of)


Deploy = Callable[..., DeployedFleet]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """The function on a store, with a policy of these lines more."""

    files = count()

    def deployed(store: Store, more: str = "", **environment: str) -> DeployedFleet:
        path = tmp_path / f"policy-{next(files)}.toml"
        path.write_text(f"{POLICY}\n{more}")
        return DeployedFleet(store, {"JANITOR_POLICY_FILE": str(path), **environment})

    return deployed


def refused_of(of: str, *operations: str, code: str = "AccessDenied") -> Disturbance:
    """Calls in an account, or by which its role is assumed, are refused."""

    def fault(call: Call) -> RefusedError | None:
        asked = str(call.parameters.get("RoleArn", call.account))
        return refused(code, 403) if of in asked and call.operation in operations else None

    return fault


def test_a_run_cleans_every_account_and_says_so(deploy: Deploy) -> None:
    """In each account and Region what should be done is done, findings and journal are in the
    bucket, and the totals by account, unit and Region are those of what was done.
    """
    store = filled(fleet(3, (REGION, "us-east-1")))
    members = store.organization.members if store.organization else {}
    members[account(2)] = Membership("<script>team")
    deployed = deploy(store)
    said = deployed.run()
    summary = said["summary"]
    assert [left(store, account(number)) for number in range(3)] == [["/kept", "/kept"]] * 3
    assert (summary["groups_deleted"], summary["retention_set"]) == (6, 6)
    assert (summary["accounts"], summary["targets"], summary["complete"]) == (3, 6, True)
    for rows, wanted in (
        ("accounts", [2, 2, 2]),
        ("organizational_units", [4, 2]),
        ("regions", [3, 3]),
    ):
        assert [row["groups_deleted"] for row in said[rows]] == wanted
    names = [row["organizational_unit"] for row in said["organizational_units"]]
    assert names == ["Root", "Root/Workloads"]
    assert said["total"]["groups_deleted"] == 6
    page = deployed.objects["fleet/run/report.html"]
    assert "&lt;script&gt;team" in page
    assert "<script" not in page
    for of, region in [(account(0), REGION), (account(2), "us-east-1")]:
        found = lines(deployed, f"fleet/run/{of}/{region}/findings-")
        assert {(row["account"], row["region"]) for row in found} == {(of, region)}
        assert Counter(row["status"] for row in found) == {"planned": 2, "done": 2}
    journal = lines(deployed, f"journal/{account(2)}/")
    assert {line["group"] for line in journal} == {"/empty/0", "/kept"}
    assert {line["region"] for line in journal} == {REGION, "us-east-1"}


def lines(deployed: DeployedFleet, prefix: str) -> list[dict[str, Any]]:
    """The JSON lines of all objects under a prefix."""
    texts = [text for key, text in deployed.objects.items() if key.startswith(prefix)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_each_account_is_undone_from_its_journals(
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
    there = store.state()
    assert there.keys() - cleaned.keys() == {
        (account(1), region, "/empty/0") for region in (REGION, "us-east-1")
    }
    for (of, region, name), group in there.items():
        wanted = before if of == account(1) else cleaned
        assert group["retention"] == wanted[of, region, name]["retention"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(deploy: Deploy) -> None:
    """Whoever asks it to act."""
    store = filled(fleet(3))
    deployed, before = deploy(store), store.state()
    said = deployed.run(dry_run=True)
    assert said["summary"]["planned"] == {"set_retention": 3, "delete_group": 3, "sweep_streams": 0}
    assert "Groups deleted (would be)" in deployed.objects["fleet/run/report.html"]
    assert deployed.invoke({"run": "run", "pass": "act", **LAST})["tally"]["done"] == {}
    assert store.state() == before


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (refused_of(account(1), "AssumeRole"), "cannot be assumed"),
        (refused_of(account(1), "DescribeLogGroups"), "could not be listed"),
        (refused_of(account(1), "DescribeLogGroups", code="ThrottlingException"), "Throttling"),
        (refused_of(account(1), "GetCallerIdentity", code="ExpiredToken"), "credentials"),
        (refused_of(account(1), "DescribeLogGroups", code="ExpiredToken"), "credentials"),
    ],
    ids=["role refused", "denied", "throttled to death", "no identity", "credentials lost"],
)
def test_what_fails_in_an_account_is_its_failure_alone(
    deploy: Deploy, fault: Disturbance, says: str
) -> None:
    """Nothing is done there, the others are cleaned, and report, metric and notice say so."""
    store = filled(fleet(3))
    deployed = deploy(store, JANITOR_NOTIFY_TOPIC=TOPIC, JANITOR_REGIONS=REGION)
    deployed.fault = fault
    said = deployed.run()
    assert [left(store, account(number)) for number in (0, 2)] == [["/kept"], ["/kept"]]
    assert left(store, account(1)) == ["/empty/0", "/kept"]
    assert {(one["account"], one["region"]) for one in said["failed"]} == {(account(1), REGION)}
    assert says in said["failed"][0]["why"]
    assert said["summary"]["accounts_failed"] == deployed.metrics["RunFailed"] == 1
    assert account(1) in deployed.objects["fleet/run/report.html"]
    [told] = deployed.sent
    assert told["Subject"] == (
        f"{NAME} in {ACCOUNT}, 3 accounts: failed, 1 accounts failed, 2 groups deleted"
    )
    assert says in told["Message"]
    assert f"account by account: s3://{BUCKET}/fleet/run/report.html" in told["Message"]


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
    """Over its own nothing is deleted in an account, over the sum's nowhere; retention is set."""
    store = fleet(3)
    for number, count_ in enumerate(empty):
        alone = Store(regions={(account(number), REGION): store.region(account(number), REGION)})
        filled(alone, count_)
    deployed = deploy(store, f"max_group_deletions = 2\n{more}")
    would, said = deployed.run("look", dry_run=True), deployed.run()
    for key, done in (("set_retention", "retention_set"), ("delete_group", "groups_deleted")):
        for part in ("accounts", "regions"):
            assert [row["would"][key] for row in would[part]] == [row[done] for row in said[part]]
        assert would["summary"]["would"][key] == said["summary"][done], "what is said happens"
    there = [len(left(store, account(number))) for number in range(3)]
    assert there == [1 + had - gone for had, gone in zip(empty, deleted, strict=True)]
    assert said["summary"]["retention_set"] == 3
    because = said["summary"].get("refused_because")
    assert because is None if over is None else over in because
    refused_in = [row["account"] for row in said["accounts"] if row["refused_because"]]
    assert refused_in == ([over] if over == account(1) else [])


def test_a_run_is_what_its_first_event_made_of_it(deploy: Deploy) -> None:
    """A second one wishes in vain: neither time, nor accounts, nor dry run change."""
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


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"run": "run", "pass": "act", **LAST}, "nothing to act on"),
        ({"run": "run", "pass": "survey", **LAST, "role": fleets.role("999999999999")}, "target"),
        ({"run": "run", "pass": "survey", **LAST, "role": LAST["role"] + "2"}, "not a target"),
        ({"run": "run", "pass": "survey", **LAST, "region": "sa-east-1"}, "not a target"),
        ({"run": "another", "pass": "survey", **LAST}, "there is no run"),
        ({"run": "another", "pass": "limits"}, "there is no run"),
        ({"run": "run", "pass": "survey"}, "role and region are given with"),
        ({"run": "run", "pass": "limits", **LAST}, "role and region are given with"),
        ({"run": "run", "pass": "act", **LAST, "dry_run": False}, "dry_run is given with targets"),
        ({"run": "../run", "pass": "report"}, "run"),
        ({"run": "run", "pass": "delete"}, "pass"),
        ({"run": "run", "pass": "report", "now": 1}, "unknown key"),
        ({"pass": "report"}, "run"),
        ([], "event"),
    ],
)
def test_an_event_is_evidence_of_nothing(deploy: Deploy, event: Any, says: str) -> None:
    """What is not in the run's record is refused before any role is assumed."""
    store = filled(fleet(3))
    deployed, before = deploy(store), store.state()
    deployed.targets()
    asked = deployed.calls.copy()
    with pytest.raises(UsageError, match=says):
        deployed.invoke(event)
    assert {operation for _, operation in deployed.calls - asked} <= {"GetObject"}
    assert store.state() == before


def test_what_was_not_surveyed_by_the_limits_is_not_deleted(deploy: Deploy) -> None:
    """A survey that comes to its end later was not counted by them; one that had not begun is not
    begun any more.
    """
    store = filled(fleet(3))
    deployed = deploy(store)
    items = deployed.targets()
    deployed.each("survey", items[:1])
    late = deployed.answer({"run": "run", "pass": "survey", **items[1]})
    limits = deployed.answer({"run": "run", "pass": "limits"})

    async def at_the_same_time() -> None:
        assert (await asyncio.gather(late, limits))[0]["complete"]

    deployed.clock.run(at_the_same_time())
    deployed.each("survey", items[2:])
    deployed.each("act", items)
    there = [left(store, account(number)) for number in range(3)]
    assert there == [["/kept"], ["/empty/0", "/kept"], ["/empty/0", "/kept"]]
    retentions = [group.retention for group in store.groups() if group.name == "/kept"]
    assert retentions == [365, 365, None]
    said = deployed.invoke({"run": "run", "pass": "report"})
    assert said["summary"]["targets_failed"] == 1


@pytest.mark.parametrize("name", ["run.json", "limits.json", "state.json"])
def test_what_other_code_wrote_is_named_where_it_cannot_be_read(deploy: Deploy, name: str) -> None:
    """A deployment in the middle of a run: nothing is done by a guess, and nothing crashes."""
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


def test_a_damaged_state_is_its_targets_failure_alone(deploy: Deploy) -> None:
    """The other accounts are cleaned, and the report says which object cannot be read."""
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
    said = deployed.invoke({"run": "run", "pass": "report"})["summary"]
    assert (said["targets_failed"], said["groups_deleted"]) == (1, 1)
    assert key in said["errors"][0]


def test_what_was_not_counted_is_not_deleted(deploy: Deploy) -> None:
    """A state says that the survey is complete, and has lost what it counted."""
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
def test_a_run_is_of_one_policy_and_one_code(
    deploy: Deploy, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was planned by another is not done; the report says why."""
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
    [told, _] = deployed.each("act", items)
    assert f"the {what} has changed since the run started" in told["tally"]["errors"][0]
    assert store.state() == before
    said = deployed.invoke({"run": "run", "pass": "report"})
    assert said["summary"]["targets_failed"] == 2


def test_of_two_invocations_at_one_target_one_works(deploy: Deploy) -> None:
    """The other is to be tried again; one that died keeps it until its time is over."""
    store = filled(fleet(1))
    deployed = deploy(store)
    [item] = deployed.targets()
    survey, died = {"run": "run", "pass": "survey", **item}, []

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
        deployed.invoke(survey)
    deployed.clock.jump(10)
    assert deployed.invoke(survey)["complete"]


def test_a_report_is_told_once_unless_there_is_more(deploy: Deploy) -> None:
    """Whoever asks for it early or again."""
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


def test_answers_are_small_whatever_went_wrong(deploy: Deploy) -> None:
    """A state machine carries 256 kB: errors of AWS's may be long, and many."""
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


# ---- which accounts ------------------------------------------------------------------------------

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
def test_accounts_are_those_of_the_units_that_are_named(
    deploy: Deploy, settings: dict[str, str], wanted: list[int]
) -> None:
    """And of those below them, however many pages they come in, empty ones too; no suspended one,
    and none that is left out. Organizations is not asked where every account is named.
    """
    store = fleet(5)
    store.organization = TREE
    more = {f"JANITOR_FLEET_{name}": value for name, value in settings.items()}
    deployed = deploy(store, JANITOR_REGIONS=REGION, **more)
    deployed.sandbox.world.empty_pages = 0.3
    said = [item["role"] for item in deployed.targets()]
    assert said == [fleets.role(account(number)) for number in wanted]
    asked = {operation for _, operation in deployed.calls}
    assert ("ListAccountsForParent" in asked) == (set(settings) != {"ACCOUNTS"})
    assert "AssumeRole" not in asked


def test_where_an_account_is_stands_in_the_record(deploy: Deploy) -> None:
    """From the unit that was asked for down, by name."""
    store = fleet(5)
    store.organization = TREE
    deployed = deploy(store, JANITOR_FLEET_OUS="ou-root-prod0001", JANITOR_REGIONS=REGION)
    deployed.targets()
    members = json.loads(deployed.objects["fleet/run/run.json"])["members"]
    paths = {member["name"]: member["path"] for member in members}
    assert paths == {"one": ["Prod"], "two": ["Prod", "Web"]}


@pytest.mark.parametrize(
    ("settings", "says"),
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
def test_what_names_no_account_begins_nothing(
    deploy: Deploy, settings: dict[str, str], says: str
) -> None:
    """A unit that is left out and does not exist is a mistake that would delete too much."""
    store = fleet(5)
    store.organization = TREE
    more = {f"JANITOR_FLEET_{name}": value for name, value in settings.items()}
    deployed = deploy(store, **more)
    with pytest.raises(UsageError, match=says):
        deployed.targets()
    assert deployed.objects == {}


@pytest.mark.parametrize("code", ["AccessDeniedException", "TooManyRequestsException"])
def test_an_organization_that_is_not_read_whole_begins_nothing(deploy: Deploy, code: str) -> None:
    """Not even with what was read of it: nobody would miss the rest."""
    deployed = deploy(fleet(3))
    deployed.fault = lambda call: (
        refused(code) if call.parameters.get("ParentId") == fleets.UNIT else None
    )
    with pytest.raises(UsageError, match="could not be read"):
        deployed.targets()
    assert deployed.objects == {}


def test_each_account_has_the_regions_that_it_enabled(deploy: Deploy) -> None:
    """Where none are named; an account that cannot be asked fails alone, with its reason."""
    store = fleet(3)
    store.region(account(2), "us-east-1")
    deployed = deploy(filled(store))
    deployed.fault = refused_of(account(1), "AssumeRole")
    said = deployed.run()
    rows = {row["account"]: row["targets"] for row in said["accounts"]}
    assert rows == {account(0): 1, account(1): 0, account(2): 2}
    assert [(one["account"], one["region"]) for one in said["failed"]] == [(account(1), None)]
    assert "cannot be assumed" in said["failed"][0]["why"]
    assert "every Region" in deployed.objects["fleet/run/report.html"]


def test_a_role_is_assumed_with_its_external_id(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the sessions that the function really makes."""
    store = filled(fleet(2))
    deployed = deploy(store)
    asked = []

    def see(call: Call) -> None:
        if call.operation == "AssumeRole":
            asked.append((call.parameters["RoleArn"], call.parameters.get("ExternalId")))

    deployed.before_call = see
    handle = deployed.sandbox.handle
    own = inprocess.session(handle, f"AKIA{ACCOUNT}", REGION)
    monkeypatch.setattr(targets, "_session", lambda **_: inprocess.session(handle, "", REGION))
    deployed.assume = lambda _own, *role: targets.assumed(own, *role)  # type: ignore[method-assign]
    said = deployed.run()
    assert said["summary"]["groups_deleted"] == 2
    wanted = {fleets.role(account(number)): fleets.EXTERNAL_ID for number in range(2)}
    assert dict(asked) == wanted
