"""Journals in S3: written by the function at the end of each link, read by `janitor restore`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import JournalError, UsageError

ACTIONS: dict[str, str] = {
    "PutObject": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
}
PREFIX = "journal/"
SCHEME = "s3://"


def key_of(account: str, started: int, run_id: str, link: int) -> str:
    """The key of a link's journal. `started` is when the run began, in ms since the epoch; keys
    sort by day.
    """
    day = datetime.fromtimestamp(started / 1000, UTC).strftime("%Y-%m-%d")
    return f"{PREFIX}{account}/{day}/{run_id}-{link:03}.jsonl"


def put(client: Any, bucket: str, key: str, text: str) -> None:
    """Write one object. Raises JournalError."""
    try:
        client.put_object(
            Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/x-ndjson"
        )
    except (ClientError, BotoCoreError) as error:
        raise JournalError(
            f"the journal could not be written to {SCHEME}{bucket}/{key}: {error}"
        ) from error


def journals(client: Any, address: str) -> Iterator[tuple[str, str]]:
    """Each journal at `s3://bucket/key`, or under `s3://bucket/prefix/`: its address and text.

    Raises UsageError.
    """
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    if not bucket or not key:
        raise UsageError(f"{address}: is not {SCHEME}BUCKET/KEY or {SCHEME}BUCKET/PREFIX/")
    try:
        keys = list(_keys(client, bucket, key)) if key.endswith("/") else [key]
        if not keys:
            raise UsageError(f"{address}: there is no journal under it")
        for found in keys:
            body = client.get_object(Bucket=bucket, Key=found)["Body"].read()
            yield f"{SCHEME}{bucket}/{found}", body.decode("utf-8")
    except (ClientError, BotoCoreError, UnicodeDecodeError) as error:
        raise UsageError(f"{address}: cannot be read: {error}") from error


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        yield from (str(entry["Key"]) for entry in page.get("Contents", []))
