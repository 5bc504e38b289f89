"""Adds to a survey's log groups what arrived in them (`--ingestion`)."""

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
    """Receives what is asked, which is billed, and why something could not be read."""

    def asked(self, region: str, metrics: int) -> None:
        """Count metrics that are requested in the Region."""

    def failed(self, why: str) -> None:
        """Take the reason why something could not be read."""


def measured(listing: Listing, days: int, listener: Listener) -> Listing:
    """The listing in pages of up to 500 log groups, each with what arrived in it in the last `days`
    days, if that could be read. Metrics of up to BATCHES_AHEAD pages are read while the listing
    goes on.
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
                    refused.set()  # the next 500 would be refused too
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
                ended = error  # raised after the pages that came before it
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
    """Yield as many whole pages as fit into one call; an error is raised after what came before."""
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
