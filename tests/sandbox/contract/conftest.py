"""The accounts that the contract is asserted of: moto and the sandbox, or AWS alone."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.session import Session

from janitor.sandbox.account import Sandbox
from janitor.sandbox.services import MODELS
from tests.sandbox.asking import ACCOUNT, REGION, empty_store
from tests.sandbox.contract.backend import AWS, Backend


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        kinds = ["aws"] if AWS in metafunc.config.stash else ["moto", "ours"]
        metafunc.parametrize("backend", kinds, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    """An account that nobody uses; of AWS's, a part of its names."""
    if request.param == "aws":
        yield request.config.stash[AWS].part()
    elif request.param == "ours":
        yield Backend("ours", Sandbox(empty_store()).session(), ACCOUNT).part()
    else:
        from moto import mock_aws  # which takes longer to load than a run on AWS to start

        monkeypatch.delenv("AWS_PROFILE", raising=False)
        with mock_aws():
            inner = Session()
            inner.register_component("data_loader", MODELS)
            inner.set_credentials("AKIA", "secret")
            session = boto3.Session(botocore_session=inner, region_name=REGION)
            yield Backend("moto", session, ACCOUNT).part()
