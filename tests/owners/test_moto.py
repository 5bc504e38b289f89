"""Rows find real owners in moto, by the service's own protocol, until these are deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from janitor.owners.owners import Usage
from janitor.owners.table import Row, table
from tests.accounts import REGION
from tests.conftest import shared
from tests.owners.moto_account import account
from tests.owners.resources import OWNERS, STAYS
from tests.owners.world import World

ROWS = {row.id: row for row in table()}
ELSEWHERE = {"connect": "eu-west-2"}
"""Rows whose service moto lacks in the other tests' Region."""


@pytest.fixture
def aws() -> Iterator[boto3.Session]:
    with account() as session:
        yield session


def asked(aws: boto3.Session, row: Row, region: str, name: str) -> Usage:
    """Return what the row says about a log group."""
    world = World(lambda *_call, **_more: {}, region, clients=aws)
    return world.of([row], name)[name]


FIRST = {row.id for row in table()[:32]}
"""The most important rows are tried each time, of the others a part: a new account takes long."""
TRIED = [how for how in OWNERS if how.partition(":")[0] in FIRST]
TRIED += shared([how for how in OWNERS if how not in TRIED])


@pytest.mark.parametrize("how", TRIED)
def test_an_owner_is_found_while_it_exists(aws: boto3.Session, how: str) -> None:
    """The row finds a new owner, and nobody once it is deleted."""
    row = replace(ROWS[how.partition(":")[0]], probe=None)
    region = row.only or ELSEWHERE.get(row.id, REGION)

    def client(service: str) -> Any:
        return aws.client(service, region_name=row.home or region)

    resource = OWNERS[how](client)
    name = next(resource)
    (use,) = asked(aws, row, region, name).uses
    assert use.row == row.id
    assert next(resource, None) is None
    if row.id not in STAYS:
        assert asked(aws, row, region, name).nobody


PROBED = ["rds", "rds-cluster", "eks", "codebuild", "vpc-flow-log", "events-target"]
PROBED += ["sagemaker-endpoint", "appsync", "redshift", "dms", "cloudfront-function", "mq"]
PROBED += ["codepipeline", "rds-proxy"]


@pytest.mark.parametrize("how", shared(PROBED))
def test_a_probe_finds_an_owner_while_it_exists(aws: boto3.Session, how: str) -> None:
    """A probe finds the owner of one log group, and nobody once the service says "no such"."""
    row = ROWS[how]
    region = row.only or REGION
    assert row.probe is not None
    probe = replace(
        row, listing=replace(row.listing, refs="``"), names=row.names or row.probe.names
    )
    resource = OWNERS[how](lambda service: aws.client(service, region_name=region))
    name = next(resource)
    assert asked(aws, probe, region, name).uses
    assert next(resource, None) is None
    assert asked(aws, probe, region, name).nobody
