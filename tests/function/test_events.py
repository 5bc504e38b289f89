"""What the function does with an event: it acts, changes nothing, or refuses it."""

from __future__ import annotations

from typing import Any

import pytest

from janitor.core.errors import UsageError
from tests.accounts import NOW, REGION, Cloud, Group, changing, days_ago, stream
from tests.function.deployed import SCHEDULED, Deployed, mixed


def test_a_scheduled_event_acts() -> None:
    """Unless the deployment says otherwise."""
    cloud = mixed()
    answer = Deployed(cloud).invoke(SCHEDULED)
    assert (len(cloud.deleted), len(cloud.puts), len(cloud.swept)) == (10, 30, 90)
    assert answer["run"]["id"] == SCHEDULED["id"]
    assert answer["run"]["dry_run"] is False
    assert answer["summary"]["complete"]


def test_a_scheduled_event_is_a_dry_run_if_the_deployment_says_so() -> None:
    """It changes nothing but its own objects in the bucket."""
    cloud = mixed()
    answer = Deployed(cloud, {"JANITOR_SCHEDULED_DRY_RUN": "true"}).invoke(SCHEDULED)
    assert not changing(call for call in cloud.calls if call != "PutObject")
    assert answer["summary"]["planned"]["delete_group"] == 10


@pytest.mark.parametrize("event", [{}, None, {"regions": [REGION]}, {"dry_run": True}])
def test_any_other_event_is_a_dry_run(event: Any) -> None:
    """Nothing is changed by accident."""
    cloud = mixed(3)
    answer = Deployed(cloud).invoke(event)
    assert not cloud.deleted + cloud.puts + cloud.swept
    assert answer["run"]["dry_run"] is True
    assert answer["findings"]


def test_dry_run_false_acts() -> None:
    """If the event says so."""
    cloud = mixed(3)
    Deployed(cloud).invoke({"dry_run": False})
    assert len(cloud.deleted) == 1


WRONG = {
    "text": ("now", "is not an object"),
    "list": ([], "is not an object"),
    "text for a boolean": ({"dry_run": "false"}, "dry_run"),
    "unknown key": ({"apply": True}, "apply: unknown key"),
    "no such Region": ({"regions": ["eu-west-9"]}, "eu-west-9"),
    "another Region than configured": ({"regions": ["us-east-1"]}, "not among those configured"),
    "no Regions": ({"regions": []}, "regions"),
    "a forged start": ({"resume": {"started": NOW + 37 * 86_400_000}}, "resume: unknown key"),
    "a run without its link": ({"run": "a"}, "give run and link together"),
    "a run that changes": ({"run": "a", "link": 1, "dry_run": False}, "as it was started"),
    "a run that was never started": ({"run": "a", "link": 1}, "there is no run a"),
    "a run outside its folder": ({"run": "../../x", "link": 1}, "run"),
    "a schedule without id": (SCHEDULED | {"id": None}, "id"),
    "a schedule's id that is a path": (SCHEDULED | {"id": "a/b"}, "id"),
    "a schedule without time": (SCHEDULED | {"time": "soon"}, "time"),
}


@pytest.mark.parametrize(("event", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_event_is_refused(event: Any, message: str) -> None:
    """One line names the key, and at most the run's state is read."""
    cloud = mixed(3)
    with pytest.raises(UsageError, match=message):
        Deployed(cloud).invoke(event)
    assert set(cloud.calls) <= {"GetObject"}


def test_an_event_that_comes_days_late_starts_a_whole_run() -> None:
    """Such as one that somebody sends again, once they have seen why it failed."""
    deployed = Deployed(mixed(3))
    answer = deployed.invoke(SCHEDULED | {"time": "2027-01-01T06:00:00Z"})
    assert answer["summary"]["complete"], answer["summary"]["errors"]
    assert answer["run"]["started"] == "2027-01-01T06:00:00+00:00"
    assert deployed.metrics["Duration"] < 3600


@pytest.mark.parametrize("days", [37, 372])
def test_an_event_cannot_move_the_clock(days: int) -> None:
    """Whoever may invoke the function could send a scheduled event of the future."""
    recent = stream("2020/01/01/[1]a", days_ago(800), NOW - 300_000)
    live = Group("/aws/lambda/f", days_ago(900), 5, 30, streams=[recent])
    new = Group("/new", NOW - 5 * 3_600_000, 0, 30)
    cloud = Cloud([live, new, *(Group(f"/k/{i}", days_ago(900), 5, 30) for i in range(20))])
    later = f"20{27 + days // 365}-12-31T00:00:00Z"
    Deployed(cloud).invoke(SCHEDULED | {"time": later})
    assert not cloud.deleted
    assert not cloud.swept
