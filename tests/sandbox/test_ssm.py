"""Systems Manager's parameters are read as moto reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.sandbox.asking import ACCOUNT, REGION, empty_store, refusal, still


@pytest.fixture(params=["moto", "sandbox"])
def ssm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Moto's parameters and ours: one with a path, one without."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    values = {"/janitor/policy": "[defaults]\n", "plain": "ä"}
    if request.param == "moto":
        with mock_aws():
            client = boto3.Session("AKIA", "secret", region_name=REGION).client("ssm")
            for name, value in values.items():
                client.put_parameter(Name=name, Value=value, Type="String")
            yield client
        return
    store = empty_store()
    store.region(ACCOUNT, REGION).parameters |= values
    yield still(store).client("ssm")


def test_a_parameter_is_read(ssm: Any) -> None:
    """By its name, with its ARN."""
    for name, value in (("/janitor/policy", "[defaults]\n"), ("plain", "ä")):
        found = ssm.get_parameter(Name=name)["Parameter"]
        assert (found["Name"], found["Value"], found["Type"]) == (name, value, "String")
        path = name.removeprefix("/")
        assert found["ARN"] == f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{path}"
        assert found["Version"] == 1


def test_a_parameter_that_is_not_there_is_not_found(ssm: Any) -> None:
    """By its own code."""
    assert refusal(ssm, "get_parameter", Name="/janitor/gone") == "ParameterNotFound"
