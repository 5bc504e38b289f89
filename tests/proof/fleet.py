"""The fleet function as its state machine calls it: all targets at the same time, each again until
it is complete, and again if an invocation died.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import EphemeralMetrics
from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import CredentialsError
from janitor.function import fleet
from janitor.sandbox.organization import Membership, Organization
from tests.proof.function import Delivery, Function, Invocation, Rounds
from tests.proof.process import InlineWorkers, session
from tests.proof.worlds import ACCOUNT, OTHER, Account, PolicyFile

RUN = "execution_1"
ROLE = "janitor"
MOST = 60
"""Rounds of invocations after which the state machine would long have given up."""


def role(account: str) -> str:
    """Return the ARN of an account's role."""
    return f"arn:aws:iam::{account}:role/{ROLE}"


class FleetInvocation(Invocation):
    """One invocation of the fleet function."""

    _env: Fleet

    def __init__(self, env: Fleet, delivery: Delivery, *more: Any) -> None:
        super().__init__(env, delivery, *more)
        self.record.unfinished = set(env.unfinished(delivery.run))

    async def _answer(self) -> dict[str, Any]:
        env = self._env
        function = fleet.Fleet(
            env.settings,
            env,  # type: ignore[arg-type]
            env.clock,
            EphemeralMetrics(namespace="test", service="test"),
            InlineWorkers(),
            lambda _own, arn, _external_id: AssumedSession(arn),  # type: ignore[arg-type,return-value]
        )
        return await function.answer(self.delivery.event, self)


class Fleet(Function):
    """An environment with the fleet function, and an organization of two accounts."""

    invocation = FleetInvocation
    variables: Mapping[str, str] = {"JANITOR_FLEET_ROLE": ROLE}

    def __init__(self, account: Account, policy: PolicyFile, folder: Path) -> None:
        super().__init__(account, policy, folder)
        members = {one: Membership(one) for one in (ACCOUNT, OTHER)}
        self.builder.store.organization = Organization(ACCOUNT, {}, members)

    def client(self, service: str, region_name: str | None = None, **options: Any) -> Any:
        if service == "organizations":
            return session(ACCOUNT, self.region_name).client(service, region_name)
        return super().client(service, region_name, **options)

    def read(self, run: str, name: str) -> Any:
        """Return an object of a run, or None."""
        body, _ = self.bucket.objects.get(f"fleet/{run}/{name}", (b"null", ""))
        return json.loads(body)

    def states(self, run: str) -> Iterator[dict[str, Any]]:
        """The states of the run's targets, as they were last written."""
        for key, (body, _) in self.bucket.objects.items():
            if key.startswith(f"fleet/{run}/") and key.endswith("/state.json"):
                yield json.loads(body)

    def unfinished(self, run: str) -> Iterator[tuple[str, str]]:
        """The targets whose survey is not complete."""
        for member in (self.read(run, "run.json") or {"members": ()})["members"]:
            for region in member["regions"]:
                key = f"{member['account']}/{region}/state.json"
                state = (self.read(run, key) or {"regions": {region: {}}})["regions"][region]
                if state.get("failed") or not state.get("surveyed"):
                    yield member["account"], region


class AssumedSession:
    """The session of a role that is assumed by the first call."""

    region_name = Fleet.region_name

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._inner = session(arn.split(":")[4], self.region_name)
        self._has_keys = False

    def client(self, service: str, region_name: str | None = None, **_options: Any) -> Any:
        return _AssumedClient(self._inner.client(service, region_name), self._assume)

    def _assume(self) -> None:
        if self._has_keys:
            return
        sts = session(ACCOUNT, self.region_name).client("sts", self.region_name)
        try:
            sts.assume_role(RoleArn=self._arn, RoleSessionName="cloudwatch-janitor")
        except (ClientError, BotoCoreError) as error:
            raise CredentialsError(f"{self._arn} cannot be assumed: {error}") from error
        self._has_keys = True


class _AssumedClient:
    def __init__(self, client: Any, assume: Any) -> None:
        self._client, self._assume, self.meta = client, assume, client.meta

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            self._assume()
            return method(**parameters)

        return call


class StateMachine(Rounds):
    """Calls the function as the definition of the state machine does."""

    env: Fleet

    def run(self, *, dry_run: bool) -> dict[str, Any]:
        """Return the answer of the last pass, the report."""
        self.each([{"run": RUN, "pass": "targets", "dry_run": dry_run}], 900)
        items = self.env.read(RUN, "targets.json")
        self.each([{"run": RUN, "pass": "survey", **item} for item in items])
        [limits] = self.each([{"run": RUN, "pass": "limits"}], 900)
        if limits["act"]:
            self.each([{"run": RUN, "pass": "act", **item} for item in items])
        [report] = self.each([{"run": RUN, "pass": "report"}], 900)
        return report

    def each(self, events: list[Any], seconds: float | None = None) -> list[dict[str, Any]]:
        """Invoke the function for all events at the same time, again until each is complete, and
        return the complete answers.
        """
        answers = list[dict[str, Any]]()
        for _ in range(MOST):
            if not events:
                return answers
            due = [self.env.delivery(event) for event in events]
            made = self.invoke(due, seconds)[: len(due)]
            answers += [one.answer for one in made if one.answer.get("complete")]
            events = [one.delivery.event for one in made if not one.answer.get("complete")]
        raise AssertionError(f"no end of {events}")
