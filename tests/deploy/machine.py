"""A state machine on moto's interpreter, whose Lambda function is the fleet's real one.

Nothing waits: what the interpreter sleeps between retries passes on the function's clock. Retries,
distributed maps and S3 readers are moto's, whose interpreter may differ from AWS's, so the
definition keeps to the Amazon States Language (docs/fleet.md names the quotas).
"""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker

from tests.deploy.pulumi_on_moto import client
from tests.function.deployed import DiedError
from tests.function.fleets import DeployedFleet


class Machine:
    """The state machine `arn` with the function `function`, which is that of `fleet`.

    `events` are the function's events, `slept` the seconds before retries; `before` is called
    before the function and may raise DiedError.
    """

    def __init__(self, arn: str, function: str, fleet: DeployedFleet) -> None:
        self.arn, self.function, self.fleet = arn, function, fleet
        self.events: list[dict[str, Any]] = []
        self.slept: list[float] = []
        self.before: Callable[[dict[str, Any]], None] = lambda _event: None
        self._one_at_a_time = threading.RLock()
        self._within = threading.local()

    def run(self, event: Any, name: str | None = None) -> dict[str, Any]:
        """Execute the machine; return the execution's description and its number of `events`."""
        machines = client("stepfunctions")
        started = machines.start_execution(
            stateMachineArn=self.arn, name=name or str(uuid.uuid4()), input=json.dumps(event)
        )
        arn = started["executionArn"]
        for map_run in machines.list_map_runs(executionArn=arn)["mapRuns"]:
            counts = machines.describe_map_run(mapRunArn=map_run["mapRunArn"])["itemCounts"]
            assert counts["failed"] == counts["timedOut"] == 0, "on AWS the whole map would fail"
        history = machines.get_execution_history(executionArn=arn)["events"]
        return {**machines.describe_execution(executionArn=arn), "events": len(history)}

    def passes(self) -> list[str]:
        """The passes of the function's events, in order."""
        return [event["pass"] for event in self.events]

    @contextmanager
    def plugged(self) -> Iterator[Machine]:
        """Replace moto's Lambda by the function, in a `with` block."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ExecutionWorker, "start", ExecutionWorker._execution_logic)
            patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=self._sleep))
            patch.setattr(LambdaSimpleBackend, "invoke", self._invoke())
            patch.setattr(lambda_eval_utils, "boto_client_for", _cached())
            patch.setattr(BotocoreStubber, "__call__", self._elsewhere(BotocoreStubber.__call__))
            yield self

    def _sleep(self, seconds: float) -> None:
        with self._one_at_a_time:
            self.slept.append(seconds)
            self.fleet.clock.jump(seconds)

    def _elsewhere(self, stub: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the calls of the function to the fake account, which moto would answer."""

        def call(stubber: BotocoreStubber, *args: Any, **kwargs: Any) -> Any:
            in_function = getattr(self._within, "function", False)
            return None if in_function else stub(stubber, *args, **kwargs)

        return call

    def _invoke(self) -> Callable[..., bytes]:
        def invoke(
            _lambda: Any, name: str, _qualifier: Any, body: str, _headers: Any, out: dict[str, str]
        ) -> bytes:
            assert name.endswith(f":{self.function}"), name
            with self._one_at_a_time:
                try:
                    answer = self._answer(json.loads(body))
                except DiedError:
                    out["x-amz-function-error"] = "Unhandled"
                    # Lambda's own answer for a process that died.
                    answer = {"errorType": "Runtime.ExitError", "errorMessage": "exit status 137"}
                except Exception as error:  # noqa: BLE001  # Lambda passes on whatever it raises
                    out["x-amz-function-error"] = "Unhandled"
                    answer = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return json.dumps(answer).encode()

        return invoke

    def _answer(self, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append(event)
        self.before(event)
        self._within.function = True
        try:
            answer: dict[str, Any] = self.fleet.invoke(event)
        finally:
            self._within.function = False
        assert len(json.dumps(answer)) < 32_000
        if event["pass"] == "targets":  # moto's S3 reader needs the object too
            body = self.fleet.objects[answer["key"]]
            client("s3").put_object(Bucket=answer["bucket"], Key=answer["key"], Body=body)
        return answer


def _cached() -> Callable[..., Any]:
    """A factory of cached clients: creating one for each call would take longer than the call."""
    cached = functools.cache(boto3.client)
    return lambda region, service, state_credentials=None: cached(service, region)
