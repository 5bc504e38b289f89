"""Adds to a survey's log groups their tags, whether or not the policy needs them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from janitor.aws.api import Api, ReadError
from janitor.aws.tags import read_tags
from janitor.core.model import LogGroup
from janitor.engine.survey import Listing


def tagged(listing: Listing, failed: Callable[[str], None]) -> Listing:
    """The listing with tags from the tagging API. A page whose tags cannot be read comes without
    them, and `failed` gets the reason.
    """

    async def pages(
        api: Api, start: str | None
    ) -> AsyncIterator[tuple[list[LogGroup], str | None]]:
        async for groups, following in listing(api, start):
            try:
                tags = await read_tags(api, [group.arn for group in groups if group.arn])
            except ReadError as error:
                failed(f"{api.target}: tags could not be read: {error}")
                yield groups, following
            else:
                yield [group._replace(tags=tags.get(group.arn)) for group in groups], following

    return pages
