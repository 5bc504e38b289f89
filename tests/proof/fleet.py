"""The function of a fleet as its state machine calls it: every target at the same time, each again
until it is complete, and again where an invocation of it died.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import CredentialsError
from janitor.function import fleet
from janitor.function.settings import read_settings
from janitor.sandbox.organization import Membership, Organization
from tests.proof.function import TOPIC, Delivery, Function, Invocation
from tests.proof.process import Waiting, session
from tests.proof.worlds import ACCOUNT, OTHER, Account, Trouble, Wanted, toml

RUN = "execution_1"
ROLE = "janitor"
MOST = 60
"""Rounds of invocations after which the state machine would have given up long ago."""


def role(account: str) -> str:
    """The ARN of an account's role."""
    return f"arn:aws:iam::{account}:role/{ROLE}"


class FleetInvocation(Invocation):
    """One invocation of the function."""

    _place: Fleet

    def __init__(self, place: Fleet, delivery: Delivery, *more: Any, **how: Any) -> None:
        super().__init__(place, delivery, *more, **how)
        self.life.unfinished = set(place.unfinished(delivery.run))

    async def _answer(self) -> dict[str, Any]:
        place = self._place
        metrics = EphemeralMetrics(namespace="test", service="test")
        function = fleet.Fleet(
            place.settings,
            place,  # type: ignore[arg-type]
            place.clock,
            metrics,
            Waiting(),
            lambda _own, arn, _external_id: Assumed(arn),  # type: ignore[arg-type,return-value]
        )
        return await function.answer(self.delivery.event, self)


class Fleet(Function):
    """A place whose janitor is that function: two accounts, which are an organization."""

    invocation = FleetInvocation

    def __init__(self, account: Account, wanted: Wanted, folder: Path) -> None:
        super().__init__(account, wanted, folder)
        members = {one: Membership(one) for one in (ACCOUNT, OTHER)}
        self.made.store.organization = Organization(ACCOUNT, {}, members)
        policy = folder / "policy.toml"
        policy.write_text(toml(wanted.said))
        self.settings = read_settings(
            {
                "JANITOR_BUCKET": "bucket",
                "JANITOR_POLICY_FILE": str(policy),
                "JANITOR_NOTIFY_TOPIC": TOPIC,
                "JANITOR_FLEET_ROLE": ROLE,
                "JANITOR_MAX_LINKS": "9999",
            }
        )

    def client(self, service: str, region_name: str | None = None, **options: Any) -> Any:
        if service == "organizations":
            return session(ACCOUNT, self.region_name).client(service, region_name)
        return super().client(service, region_name, **options)

    def read(self, run: str, name: str) -> Any:
        """An object of a run, if there is one."""
        body, _ = self.bucket.objects.get(f"fleet/{run}/{name}", (b"null", ""))
        return json.loads(body)

    def states(self, run: str) -> Iterator[dict[str, Any]]:
        """The states of its targets, as they were written last."""
        for key, (body, _) in self.bucket.objects.items():
            if key.startswith(f"fleet/{run}/") and key.endswith("/state.json"):
                yield json.loads(body)

    def unfinished(self, run: str) -> Iterator[tuple[str, str]]:
        """The targets whose survey was not complete by now."""
        for member in (self.read(run, "run.json") or {"members": ()})["members"]:
            for region in member["regions"]:
                place = f"{member['account']}/{region}"
                state = self.read(run, f"{place}/state.json") or {"regions": {region: {}}}
                said = state["regions"][region]
                if said.get("failed") or not said.get("surveyed"):
                    yield member["account"], region


class Assumed:
    """A session of a role, which is assumed with its first call."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._inner = session(arn.split(":")[4], Fleet.region_name)
        self._has_keys = False

    def client(self, service: str, region_name: str | None = None, **_options: Any) -> Any:
        return _AfterKeys(self._inner.client(service, region_name), self._assume)

    region_name = Fleet.region_name

    def _assume(self) -> None:
        if self._has_keys:
            return
        sts = session(ACCOUNT, Fleet.region_name).client("sts", Fleet.region_name)
        try:
            sts.assume_role(RoleArn=self._arn, RoleSessionName="cloudwatch-janitor")
        except (ClientError, BotoCoreError) as error:
            raise CredentialsError(f"{self._arn} cannot be assumed: {error}") from error
        self._has_keys = True


class _AfterKeys:
    def __init__(self, client: Any, first: Any) -> None:
        self._client, self._first, self.meta = client, first, client.meta

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            self._first()
            return method(**parameters)

        return call


class StateMachine:
    """Calls the function as the definition of the state machine says."""

    def __init__(
        self,
        here: Fleet,
        trouble: Trouble,
        seconds: float,
        deaths: list[tuple[int, bool] | None],
        twice: frozenset[int],
        others: list[tuple[int, Any]],
    ) -> None:
        self.here, self.trouble, self.seconds = here, trouble, seconds
        self.deaths, self.twice, self.others = deaths, twice, others
        self.rounds = count()

    def run(self, *, dry_run: bool) -> dict[str, Any]:
        """What the report answers."""
        self.each([{"run": RUN, "pass": "targets", "dry_run": dry_run}], 900)
        items = self.here.read(RUN, "targets.json")
        self.each([{"run": RUN, "pass": "survey", **item} for item in items])
        [limits] = self.each([{"run": RUN, "pass": "limits"}], 900)
        if limits["act"]:
            self.each([{"run": RUN, "pass": "act", **item} for item in items])
        [report] = self.each([{"run": RUN, "pass": "report"}], 900)
        return report

    def each(self, events: list[Any], seconds: float | None = None) -> list[dict[str, Any]]:
        """The last answer to each event, all at the same time, again until they are complete."""
        here = self.here
        waiting, answers = [here.delivery(event) for event in events], list[dict[str, Any]]()
        for _ in range(MOST):
            if not waiting:
                return answers
            number = next(self.rounds)
            here.trouble(self.trouble if number < 4 else None)
            dies_at, after = (self.deaths[number : number + 1] or [None])[0] or (None, False)
            made = here.invoke(
                [
                    *waiting,
                    *[here.delivery(waiting[0].event)] * (number in self.twice),
                    *(here.delivery(event) for at, event in self.others if at == number),
                ],
                seconds or min(self.seconds * 1.3**number, 900),
                dies_at,
                after=after,
            )
            assert not here.witness.wrongs, here.witness.wrongs
            answers += [one.answer for one in made[: len(waiting)] if one.answer.get("complete")]
            waiting = [
                here.delivery(one.delivery.event)
                for one in made[: len(waiting)]
                if not one.answer.get("complete")
            ]
        raise AssertionError(f"no end of {[delivery.event for delivery in waiting]}")
