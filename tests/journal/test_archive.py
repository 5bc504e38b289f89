"""Journals in a bucket: complete, overwriting nothing, and not held in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from janitor.aws.workers import Inline
from janitor.core.errors import JournalError, UsageError
from janitor.core.model import Change, LogGroup, Status, Target
from janitor.journal.archive import BucketJournal, journals
from janitor.journal.history import History, read
from janitor.journal.journal import Entry, Lines
from janitor.sandbox import store
from tests.accounts import ACCOUNT, NOW, REGION, Cloud, refusing
from tests.function.deployed import BUCKET, Again, Hanging, lost, under_way

GROUP = LogGroup(Target(ACCOUNT, REGION), "/g", "", 1, 0)
PUT = Entry(
    NOW, "set_retention", GROUP, Change({"retention_days": None}, {"retention_days": 7}), "r"
)


def cloud() -> Cloud:
    """Return an account with the bucket."""
    account = Cloud()
    account.store.buckets[BUCKET] = store.Bucket(ACCOUNT, REGION, NOW)
    return account


def bucket_journal(client: Any) -> BucketJournal:
    return BucketJournal(client, BUCKET, "journal/{}".format, Lines("run", "policy"), Inline())


def taken(account: Cloud) -> None:
    """Put other objects under the first keys."""
    for number in range(2):
        account.client("s3").put_object(Bucket=BUCKET, Key=f"journal/{number}", Body=b"another's")


@pytest.mark.parametrize("trouble", [taken, lost, under_way])
def test_no_object_is_overwritten_and_no_line_is_lost(trouble: Callable[[Cloud], None]) -> None:
    """The object may be another's, or the journal's own after its response was lost."""
    account = cloud()
    journal = bucket_journal(Again(account.client("s3")))
    objects = account.store.buckets[BUCKET].objects
    trouble(account)
    before = dict(objects)

    def written() -> History:
        return read((key, stored.body.decode()) for key, stored in objects.items())

    async def change() -> None:
        await journal.begin(PUT)
        assert written().lines, "announced before the change"
        await journal.end(PUT.ended(NOW, Status.DONE))
        await journal.close()

    account.clock.run(change())
    assert before.items() <= objects.items()
    [past] = written().pasts
    assert (written().lines, [step.sure for step in past.steps]) == (2, [True])


def test_nothing_is_announced_if_every_key_is_taken() -> None:
    """A change that cannot be journaled is not made."""
    account = cloud()
    account.fault = refusing("PutObject", "PreconditionFailed", 412)
    with pytest.raises(JournalError, match=rf"s3://{BUCKET}/journal/3: .*PreconditionFailed"):
        account.clock.run(bucket_journal(account.client("s3")).begin(PUT))


@pytest.mark.parametrize("address", ["s3://bucket/journal/", "s3://bucket/journal/1"])
def test_reading_a_bucket_that_hangs_times_out(address: str) -> None:
    """An undo may run where nobody can interrupt it."""
    account = cloud()

    async def reading() -> None:
        async for _ in journals(account.client("s3"), address, Hanging()):
            pass

    with pytest.raises(UsageError, match=f"{address}: cannot be read: no response within 60 s"):
        account.clock.run(reading())


class Archived:
    """An S3 client of a bucket whose two journals a lifecycle rule has moved to an archive."""

    def get_paginator(self, _name: str) -> Archived:
        return self

    def paginate(self, **_more: object) -> list[dict[str, Any]]:
        return [{"Contents": [{"Key": "journal/0"}, {"Key": "journal/1"}]}]

    def get_object(self, **_more: object) -> None:
        raise ClientError({"Error": {"Code": "InvalidObjectState", "Message": ""}}, "GetObject")


def test_a_journal_that_cannot_be_read_is_named() -> None:
    """Not only the folder that it is in."""

    async def reading() -> None:
        async for _ in journals(Archived(), "s3://bucket/journal/", Inline()):
            pass

    with pytest.raises(UsageError, match=r"s3://bucket/journal/0: .*InvalidObjectState"):
        cloud().clock.run(reading())


class Discarding:
    """An S3 client that only counts the bytes of what it is given."""

    def __init__(self) -> None:
        self.length = 0

    def put_object(self, *, Body: bytes, **_more: object) -> None:
        self.length += len(Body)


def test_a_long_journal_is_not_held_in_memory() -> None:
    """The function has 256 MB, and a run may sweep 50,000 streams with two lines each."""
    client = Discarding()
    journal = bucket_journal(client)

    async def sweep(batches: int) -> None:
        for batch in range(batches):
            streams = (f"{batch}-{n:0100}" for n in range(20))
            entries = [replace(PUT, action="sweep_streams", stream=name) for name in streams]
            await journal.begin(*entries)
            await journal.end(*(entry.ended(NOW, Status.DONE) for entry in entries))

    clock = cloud().clock
    clock.run(sweep(2))  # allocates what is only created once
    tracemalloc.start()
    try:
        clock.run(sweep(40))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert client.length > 500_000
    assert peak < client.length / 4
