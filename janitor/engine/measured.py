"""Log groups with what arrived in them, read beside a survey: `--ingestion`."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from janitor.aws.api import Api, CallError, ReadError
from janitor.aws.metrics import METRICS_A_CALL, incoming_bytes
from janitor.core.model import Ingestion, LogGroup
from janitor.engine.survey import Listing

BATCHES_AHEAD = 4

Pages = AsyncIterator[tuple[list[LogGroup], str | None]]


class Listener(Protocol):
    """Told what is asked, which is billed, and why something could not be read."""

    def asked(self, region: str, metrics: int) -> None:
        """So many metrics are asked for."""

    def failed(self, why: str) -> None:
        """Something could not be read."""


def measured(listing: Listing, days: int, listener: Listener) -> Listing:
    """The listing with up to 500 log groups a page, each with what arrived in it in the last so
    many days, as far as that could be read. Up to BATCHES_AHEAD pages are being read while the
    listing goes on.
    """

    async def pages(api: Api, start: str | None) -> Pages:
        refused = asyncio.Event()

        async def measure(groups: list[LogGroup]) -> list[LogGroup]:
            found: dict[str, Ingestion] = {}
            try:
                if not refused.is_set():
                    asked = functools.partial(listener.asked, api.target.region)
                    names = [group.name for group in groups]
                    found = await incoming_bytes(api, names, days, asked)
            except ReadError as error:
                if isinstance(error, CallError):
                    refused.set()  # asking again for the next 500 would change nothing
                listener.failed(f"{api.target}: ingestion could not be read: {error}")
            return [group._replace(ingestion=found.get(group.name)) for group in groups]

        reading: deque[tuple[asyncio.Task[list[LogGroup]], str | None]] = deque()
        ended: Exception | None = None
        try:
            try:
                async for groups, following in _batches(listing(api, start)):
                    reading.append((asyncio.create_task(measure(groups)), following))
                    if len(reading) > BATCHES_AHEAD:
                        task, token = reading.popleft()
                        yield await task, token
            except ReadError as error:
                ended = error  # what comes before it comes first
            while reading:
                task, token = reading.popleft()
                yield await task, token
            if ended is not None:
                raise ended
        finally:
            for task, _ in reading:
                task.cancel()

    return pages


async def _batches(pages: Pages) -> Pages:
    """As many whole pages as fit into one call; what comes before an error comes first."""
    batch, token = list[LogGroup](), None
    ended: Exception | None = None
    try:
        async for groups, following in pages:
            if len(batch) + len(groups) > METRICS_A_CALL and batch:
                yield batch, token
                batch = []
            batch, token = batch + groups, following
    except ReadError as error:
        ended = error
    if batch:
        yield batch, token
    if ended is not None:
        raise ended
