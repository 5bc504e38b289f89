"""Owners that exist in moto, read from there by the service's own protocol; and gone again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from janitor.owners.owners import Answer
from janitor.owners.table import Row, table
from tests.accounts import REGION
from tests.conftest import shared
from tests.owners.moto_account import account
from tests.owners.resources import OWNERS, STAYS
from tests.owners.world import World

ROWS = {row.id: row for row in table()}
ELSEWHERE = {"connect": "eu-west-2"}
"""Rows whose service moto does not have in the Region of the other tests."""


@pytest.fixture
def aws() -> Iterator[boto3.Session]:
    with account() as session:
        yield session


def asked(aws: boto3.Session, row: Row, region: str, name: str) -> Answer:
    """What the row says of a log group."""
    world = World(lambda *_call, **_more: {}, region, clients=aws)
    return world.of([row], name)[name]


FIRST = {row.id for row in table()[:32]}
"""What matters most is tried each time, of the others a part: a fresh account takes its time."""
TRIED = [how for how in OWNERS if how.partition(":")[0] in FIRST]
TRIED += shared([how for how in OWNERS if how not in TRIED])


@pytest.mark.parametrize("how", TRIED)
def test_an_owner_is_found_while_it_exists(aws: boto3.Session, how: str) -> None:
    """And no longer once it is gone."""
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
def test_a_probe_says_the_same(aws: boto3.Session, how: str) -> None:
    """Of one log group that is asked about; with the error that the service has for "no such"."""
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
