"""Fake services beneath the real Api, which answer as a test says."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.hooks import HierarchicalEmitter

from janitor.aws.api import Api, Counts
from janitor.aws.clients import Clients
from janitor.aws.pace import Pace
from janitor.aws.workers import Inline
from janitor.core.clock import Stop
from janitor.core.model import Target
from janitor.owners.owners import OwnerCache, Owners, Usage
from janitor.owners.reader import _texts, name_of, search
from janitor.owners.table import Question, Row, Step
from tests.accounts import ACCOUNT, NOW, REGION
from tests.owners.shapes import ARN, answer, service
from tests.virtual import VirtualClock

Answers = Callable[..., Mapping[str, Any]]
"""`(service, region, operation, **parameters)`. Raises what a client raises."""


class World:
    """The services of an account; `calls` has every call, `clients` how many were made of each."""

    def __init__(
        self,
        answers: Answers,
        region: str = REGION,
        rate: float = 1000.0,
        clients: Clients | None = None,
    ) -> None:
        self.answers = answers
        self.clock = VirtualClock(NOW)
        self.stop = Stop()
        self.calls: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.clients: Counter[str] = Counter()
        self.counts = Counts()
        pace = Pace(lambda _name: rate, self.clock)
        target = Target(ACCOUNT, region)
        self.api = Api(target, clients or self, pace, self.clock, self.counts, self.stop, Inline())

    def client(self, service: str, region: str, **_more: Any) -> Any:
        self.clients[service] += 1
        return _Client(self, service, region)

    def count(self, operation: str) -> int:
        return sum(name == operation for _, _, name, _ in self.calls)

    def owners(self, rows: Sequence[Row], **more: Any) -> Owners:
        return Owners(self.api, rows, OwnerCache(), **more)

    def of(self, rows: Sequence[Row], *names: str, **more: Any) -> Mapping[str, Usage]:
        """Return who uses the log groups of these names, all asked about at once."""
        return self.ask(self.owners(rows, **more), *names)

    def ask(self, owners: Owners, *names: str) -> Mapping[str, Usage]:
        return self.clock.run(self.asked(owners, *names))

    async def asked(self, owners: Owners, *names: str) -> Mapping[str, Usage]:
        found = await owners.of([named(name, self.api.target) for name in names])
        return {name: answer for (name, _), answer in found.items()}


class _Client:
    def __init__(self, world: World, service: str, region: str) -> None:
        self._world, self._service, self._region = world, service, region
        self.meta = type("Meta", (), {"events": HierarchicalEmitter()})

    def __getattr__(self, method: str) -> Any:
        if method.startswith("_"):
            raise AttributeError(method)
        operation = _operations(self._service)[method]

        def call(**parameters: Any) -> Mapping[str, Any]:
            world = self._world
            world.calls.append((self._service, self._region, operation, parameters))
            return world.answers(self._service, self._region, operation, **parameters)

        return call


@functools.cache
def _operations(name: str) -> dict[str, str]:
    return {xform_name(operation): operation for operation in service(name).operation_names}


def named(name: str, target: Target) -> tuple[str, str]:
    return name, f"arn:aws:logs:{target.region}:{target.account}:log-group:{name}"


def error(operation: str, code: str, message: str | None = "") -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    return ClientError(response, operation)


def denied(operation: str) -> ClientError:
    return error(operation, "AccessDeniedException", "is not authorized to perform")


# ---- answers made from botocore's shapes ---------------------------------------------------------

FITTING = {
    "mwaa": "airflow-e{}-Task",
    "b2bi": "/aws/vendedlogs/b2bi/{}",
    "rum": "/aws/vendedlogs/RUMService_{}",
    "wafv2": "aws-waf-logs-{}",
    "wafv2-cloudfront": "aws-waf-logs-{}",
    "wafv2-cloudfront-telemetry": "aws-waf-logs-{}",
    "wafv2-telemetry": "aws-waf-logs-{}",
}
"""Log group names for rows that refer to them by name and can own only some."""


@dataclass(frozen=True)
class Owning:
    """A service that has owners of a row: its answer to each call, and the log groups that these
    refer to.
    """

    answers: Mapping[str, Mapping[str, Any]]
    names: Sequence[str]

    def __call__(self, _service: str, _region: str, operation: str, **_more: Any) -> Any:
        return self.answers[operation]


@dataclass(frozen=True)
class Empty:
    """A service that has no owners: no lists, and nothing that a probe asks for."""

    row: Row

    def __call__(self, _service: str, _region: str, operation: str, **_more: Any) -> Any:
        probe = self.row.probe
        if probe is not None and operation == probe.question.steps[0].call:
            for none in probe.question.none:
                code, _, text = none.partition(": ")
                raise error(operation, code, f"It {text}.")
        return {}


def region_of(row: Row) -> str:
    """Return a Region in which the row can own something."""
    return row.only or REGION


@functools.cache
def owning(row: Row) -> Owning:
    """Return answers made from the shapes of the row's calls, which refer to log groups of the
    target.
    """
    answers = {
        step.call: _answer(row, step, step.each or row.listing.refs) for step in row.listing.steps
    }
    last = answers[row.listing.steps[-1].call]
    for number, reference in enumerate(_references(row.listing, last)):
        name = FITTING.get(row.id, "/planted/{}").format(number)
        _plant(last, reference, _named(row, name, reference))
    target = Target(ACCOUNT, region_of(row))
    names = [name_of(one, target) for one in _references(row.listing, last) if "{" not in one]
    return Owning(answers, [re.sub("[*]$", "it", name) for name in names])


def probed(row: Row, group: str) -> Owning:
    """Return the same for the row's probe about a log group."""
    assert row.probe is not None
    question = row.probe.question
    answers = {step.call: _answer(row, step, step.each or question.refs) for step in question.steps}
    last = answers[question.steps[-1].call]
    for reference in _references(question, last):
        _plant(last, reference, _named(row, group, reference))
    return Owning(answers, [group])


def _references(question: Question, answer: Any) -> list[str]:
    return [*_texts([entry[0] for entry in search(question.refs, answer)])]


def _answer(row: Row, step: Step, expression: str) -> dict[str, Any]:
    shape = service(row.service).operation_model(step.call).output_shape
    assert shape is not None
    return answer(shape, expression)


def _named(row: Row, name: str, reference: str) -> str:
    """Return the name in the form of the reference that it replaces."""
    arn = f"arn:aws:logs:{region_of(row)}:{ACCOUNT}:log-group:{name}:*"
    return arn if reference.startswith(ARN) else name


def _plant(answer: Any, old: str, new: str) -> bool:
    """Replace a text anywhere in an answer; return whether it was found."""
    found = False
    for key, value in list(answer.items() if isinstance(answer, dict) else enumerate(answer)):
        if value == old:
            answer[key], found = new, True
        elif isinstance(value, dict | list):
            found |= _plant(value, old, new)
    return found
