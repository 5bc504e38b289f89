"""Every row of the table agrees with botocore's service models."""

from __future__ import annotations

import json
import re
import string
from typing import Any

import pytest
from botocore.model import OperationModel, StructureShape
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from janitor.core.errors import UsageError
from janitor.owners.reader import _calls, _fanned, search
from janitor.owners.table import Question, Row, Step, actions, chosen, services, table
from janitor.sandbox.validation import _check
from tests.owners.shapes import answer, check, service

ROWS = pytest.mark.parametrize("row", table(), ids=lambda row: row.id)
NAMED = [row for row in table() if row.probe is not None and row.probe.names is not None]
LEGAL = string.ascii_letters + string.digits + "_-/.#"
"""What names of log groups are made of (CloudWatch Logs API reference, CreateLogGroup)."""
GIVEN = ("group", "arn", "arn_or_star", "region", "account")
"""What a probe knows of its log group besides the parts of its name."""


def questions(row: Row) -> list[tuple[Question, dict[str, str]]]:
    """Return the questions of a row, each with the values that it begins with."""
    asked: list[tuple[Question, dict[str, str]]] = [(row.listing, {})]
    if row.probe is not None:
        names = row.probe.names.groupindex if row.probe.names else ()
        asked.append((row.probe.question, {name: f"{name}-1" for name in (*GIVEN, *names)}))
    return asked


def operation(row: Row, step: Step) -> OperationModel:
    return service(row.service).operation_model(step.call)


def sample(row: Row, step: Step, *expressions: str) -> dict[str, Any]:
    shape = operation(row, step).output_shape
    assert shape is not None
    return answer(shape, *expressions)


@ROWS
def test_every_call_is_valid(row: Row) -> None:
    """The service has the operation, and accepts the parameters that earlier steps fill in."""
    for question, values in questions(row):
        scopes: list[Any] = [values]
        for step in question.steps:
            model = operation(row, step)
            for parameters, _ in _calls(step, scopes):
                shape = model.input_shape or StructureShape("Nothing", {"members": {}})
                report = ParamValidator().validate(parameters, shape)
                assert not report.has_errors(), report.generate_report()
                assert not re.search(r"\{\w+\}", json.dumps(parameters)), parameters
            if step.each is not None:
                found = list(_fanned(search(step.each, sample(row, step, step.each))))
                assert found, f"{step.call}: {step.each} finds nothing"
                scopes = [{**scopes[0], **each} for each in found]


@ROWS
def test_every_expression_fits_its_answer(row: Row) -> None:
    """A name that the answer lacks would mean that nobody owns anything."""
    for question, _ in questions(row):
        for step in question.steps:
            shape = operation(row, step).output_shape
            assert shape is not None
            last = step is question.steps[-1]
            assert (step.each is None) == last
            check(step.each or question.refs, shape)
            if step.token is not None:
                check(step.token[1], shape)
                input_shape = operation(row, step).input_shape
                assert input_shape is not None
                assert step.token[0] in input_shape.members


_TOKENS = re.compile("(next)?(token|marker|position)", re.IGNORECASE)


@ROWS
def test_a_list_that_has_pages_is_read_to_its_end(row: Row) -> None:
    """A row has the page token of each operation that takes one."""
    for step in row.listing.steps:
        model = operation(row, step)
        tokens = filter(_TOKENS.fullmatch, model.input_shape.members if model.input_shape else ())
        for token in tokens:
            assert step.token is not None, step.call
            assert step.token[0] == token


@ROWS
def test_references_are_found_in_an_answer(row: Row) -> None:
    """The references of a row are log groups, with a label or without."""
    for question, _ in questions(row):
        found = search(question.refs, sample(row, question.steps[-1], question.refs))
        assert found
        for entry in found:
            assert isinstance(entry, list)
            assert len(entry) in (1, 2)
            assert len(entry) == 1 or isinstance(entry[1], str | None)


@ROWS
def test_errors_that_mean_no_owner_exist(row: Row) -> None:
    """Each is a code as the service sends it, or names a part of the message."""
    for question, _ in questions(row):
        for entry in question.none:
            code, _, text = entry.partition(": ")
            known = [operation(row, step).error_shapes for step in question.steps]
            errors: list[Any] = [error for errors in known for error in errors]
            assert text or code in {error.error_code for error in errors}


@ROWS
def test_the_actions_are_those_of_the_calls_and_only_read(row: Row) -> None:
    """A row needs permission for its own calls, which change nothing, and what those depend on."""
    reading = re.compile("(List|Describe|Get|BatchGet)[A-Z]")
    steps = [step.call for question, _ in questions(row) for step in question.steps]
    assert all(reading.match(step) for step in steps)
    if row.actions == {"apigateway:GET"}:  # API Gateway's actions are HTTP's methods
        return
    names = {action.partition(":")[2] for action in row.actions}
    assert names >= set(steps)
    assert all(map(reading.match, names))


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.id)
@given(st.data())
def test_a_probe_asks_only_about_names_that_its_service_accepts(
    row: Row, data: st.DataObject
) -> None:
    """It would refuse others as invalid, which is no answer: for those the row is listed."""
    assert row.probe is not None
    assert row.probe.names is not None
    group = data.draw(st.from_regex(row.probe.names, alphabet=LEGAL)).rstrip("\n")
    step, values = row.probe.question.steps[0], row.probe.values(group)
    shape = operation(row, step).input_shape
    assert isinstance(shape, StructureShape)
    for parameters, _ in _calls(step, [values or {}]):
        for name, value in parameters.items():
            _check(name, value, shape.members[name])


@pytest.mark.parametrize(
    ("row", "group"),
    [
        ("codebuild", "/aws/codebuild/team/web"),
        ("eks", "/aws/containerinsights/kops.example.com/application"),
        ("mq", "/aws/amazonmq/broker/b_1/general"),
        ("rds", "/aws/rds/instance/my_db/error"),
    ],
)
def test_no_probe_asks_about_names_that_nothing_can_have(row: str, group: str) -> None:
    """The same where botocore's model does not say which names are valid."""
    (probe,) = [one.probe for one in NAMED if one.id == row]
    assert probe is not None
    assert probe.values(group) is None


@ROWS
def test_a_row_is_complete(row: Row) -> None:
    """A row has a source, keys that do not contradict each other, and no unknown braces."""
    assert row.source
    assert not (row.only and row.home)
    assert not (row.names and row.usual)
    known = {"label"}
    for question, _ in questions(row):
        for step in question.steps:
            known |= {str(node) for node in re.findall(r"(\w+): ", step.each or "")}
    assert set(re.findall(r"\{(\w+)\}", row.user)) <= known


def test_rows_are_chosen_by_name() -> None:
    """A policy selects all rows, none, or some; a misspelt name is refused with the nearest."""
    assert chosen(True) == table()
    assert chosen(False) == ()
    assert [row.id for row in chosen(["lambda", "ecs-service"])] == ["lambda", "ecs-service"]
    with pytest.raises(UsageError, match="did you mean lambda"):
        chosen(["lamda"])


def test_no_two_rows_share_a_name() -> None:
    """Row names are unique, because a policy refers to them."""
    assert len({row.id for row in table()}) == len(table())


def test_the_role_and_the_package_follow_the_rows() -> None:
    """The role's actions and the package's service models are those of the chosen rows."""
    rows = chosen(["apigatewayv2-stage", "opensearch"])
    assert actions(rows) == {"apigateway:GET", "es:ListDomainNames", "es:DescribeDomains"}
    assert services(rows) == {"apigatewayv2", "opensearch"}
