"""The fixture of what moto answers as well."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from janitor.sandbox.store import Store
from tests.sandbox.asking import REGION, empty_store, still

Either = tuple[boto3.Session, Store | None]


@pytest.fixture(params=["moto", "sandbox"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Either]:
    """A session of moto's account; or of ours, with its store."""
    if request.param == "sandbox":
        store = empty_store()
        yield still(store).session(), store
        return
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session("AKIA", "secret", region_name=REGION), None
