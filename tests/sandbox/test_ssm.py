"""Systems Manager's parameters are read as moto reads them."""

from __future__ import annotations

import pytest

from tests.sandbox.asking import ACCOUNT, REGION, refusal
from tests.sandbox.conftest import Either


@pytest.mark.parametrize(("name", "value"), [("/janitor/policy", "[defaults]\n"), ("plain", "ä")])
def test_a_parameter_is_read(either: Either, name: str, value: str) -> None:
    """By its name, with its ARN; one that is not there is not found."""
    session, store = either
    ssm = session.client("ssm")
    if store is None:
        ssm.put_parameter(Name=name, Value=value, Type="String")
    else:
        store.region(ACCOUNT, REGION).parameters[name] = value
    found = ssm.get_parameter(Name=name)["Parameter"]
    assert (found["Name"], found["Value"], found["Type"]) == (name, value, "String")
    path = name.removeprefix("/")
    assert found["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{path}"
    assert found["Version"] == 1
    assert refusal(ssm, "get_parameter", Name="/janitor/gone") == "ParameterNotFound"
