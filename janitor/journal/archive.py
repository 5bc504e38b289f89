"""Journals in S3: written by the function, read by `janitor restore`."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from janitor.aws.api import BOOKKEEPING_TIMEOUT, CALL_TIMEOUT
from janitor.aws.targets import check_value
from janitor.aws.workers import NoAnswerError, Workers, within
from janitor.core.errors import JournalError, UsageError
from janitor.journal.journal import Ended, Entry, Lines

ACTIONS: dict[str, str] = {
    "PutObject": "s3:PutObject",
    "GetObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
}
PREFIX = "journal/"
SCHEME = "s3://"
LINGER = 1.0
"""Seconds that an announcement waits for others to share its object."""
KEYS_TRIED = 4
"""Keys to try for an object. Nobody else writes under them, so few are needed."""
UNDER_WAY = "ConditionalRequestConflict"
"""S3's error code while the same key is being written: the write is to be retried."""

log = structlog.get_logger("janitor")


def key_of(account: str, started: int, run: str, link: int, began: int, number: int) -> str:
    """Return the key of part `number` of a link's journal. Keys sort by time. `started` is when the
    run began, `began` when this attempt at the link did (ms since the epoch).
    """
    day = datetime.fromtimestamp(started / 1000, UTC).strftime("%Y-%m-%d")
    return f"{PREFIX}{account}/{day}/{run}-{link:03}-{began}-{number:05}.jsonl"


class BucketJournal:
    """A journal in objects of a bucket, repeated in the function's log.

    Announcements made at about the same time share one object, which is written when `begin`
    returns. No object is overwritten: if the key is taken, perhaps by an earlier attempt whose
    response was lost, the next key is used, and readers count duplicate lines once. So writing
    needs no permission to read the bucket.
    """

    def __init__(
        self, client: Any, bucket: str, key: Callable[[int], str], lines: Lines, workers: Workers
    ) -> None:
        """Write to a bucket with an S3 client. `key` returns an object's key for its number."""
        self._client = client
        self._bucket = bucket
        self._key = key
        self._lines = lines
        self._workers = workers
        self._number = 0
        self._pending: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    async def begin(self, *entries: Entry) -> None:
        """Announce changes. Raises JournalError."""
        self._add(self._lines.begun(entry) for entry in entries)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_later())
        await asyncio.shield(self._writing)

    async def end(self, *ended: Ended) -> None:
        """Record the outcomes of changes. They are written with the next announcement, or by
        `close`.
        """
        self._add(self._lines.ended(one) for one in ended)

    async def close(self) -> None:
        """Write the pending lines. Raises JournalError."""
        if self._writing is not None:
            await self._writing
        await self._write()

    def _add(self, lines: Iterable[str]) -> None:
        for line in lines:
            log.info(**json.loads(line))
            self._pending.append(line)

    async def _write_later(self) -> None:
        await asyncio.sleep(LINGER)
        self._writing = None
        await self._write()

    async def _write(self) -> None:
        lines, self._pending = self._pending, []
        if lines:
            body = "".join(f"{line}\n" for line in lines).encode()
            try:
                await within(BOOKKEEPING_TIMEOUT, self._put(body))
            except NoAnswerError as error:
                raise self._failed("", error) from error

    async def _put(self, body: bytes) -> None:
        """Write an object under the next free key. Raises JournalError."""
        for left in range(KEYS_TRIED - 1, -1, -1):
            key = self._key(self._number)
            self._number += 1
            put = functools.partial(
                self._client.put_object,
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType="application/x-ndjson",
                IfNoneMatch="*",
            )
            try:
                await self._workers.run(put)
                return
            except (ClientError, BotoCoreError) as error:
                if not (left and isinstance(error, ClientError) and is_taken(error)):
                    raise self._failed(key, error) from error

    def _failed(self, key: str, error: Exception) -> JournalError:
        where = f"{SCHEME}{self._bucket}/{key}"
        return JournalError(f"the journal could not be written to {where}: {error}")


def is_taken(error: ClientError) -> bool:
    """Whether S3 refused a write because of its condition: the object exists, or is being written
    (S3 API reference, PutObject). Either may be an earlier attempt whose response was lost.
    """
    return error_code(error) in ("PreconditionFailed", UNDER_WAY)


def error_code(error: ClientError) -> str:
    """Return S3's error code; empty if there is none."""
    return str(error.response.get("Error", {}).get("Code", ""))


async def journals(client: Any, address: str, workers: Workers) -> AsyncIterator[tuple[str, str]]:
    """Yield the address and text of the journal at `s3://bucket/key`, or of each journal under
    `s3://bucket/prefix/`. Raises UsageError.
    """

    def body(key: str) -> bytes:
        return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    if not bucket or not key:
        raise UsageError(f"{address}: is not {SCHEME}BUCKET/KEY or {SCHEME}BUCKET/PREFIX/")
    check_bucket(bucket, address)
    try:
        keys = [key]
        if key.endswith("/"):
            listing = workers.run(lambda: list(_keys(client, bucket, key)))
            keys = await within(CALL_TIMEOUT, listing)
        if not keys:
            raise UsageError(f"{address}: there is no journal under it")
        for one in keys:
            address = f"{SCHEME}{bucket}/{one}"
            reading = workers.run(functools.partial(body, one))
            yield address, text(await within(CALL_TIMEOUT, reading))
    except (ClientError, BotoCoreError, NoAnswerError) as error:
        missing = isinstance(error, ClientError) and error_code(error) == "NoSuchKey"
        hint = "; that of a whole folder ends with /" if missing else ""
        raise UsageError(f"{address}: cannot be read: {error}{hint}") from error


def check_bucket(name: str, where: str) -> None:
    """Raise UsageError if no bucket can have this name, not even one from before 2018 (S3 User
    Guide, "General purpose bucket naming rules"). `where` names the option or address.
    """
    what = "the name of a bucket (at least 3 letters, digits and . _ -)"
    check_value(where, name, what, r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")


def text(body: bytes) -> str:
    r"""Decode a journal. Bytes that are not UTF-8 become `\xff`, which is not valid JSON, so only
    the line that they are in is rejected.
    """
    return body.decode("utf-8", "backslashreplace")


def _keys(client: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (str(entry["Key"]) for entry in page.get("Contents", []))
