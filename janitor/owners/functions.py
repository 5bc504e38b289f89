"""Which Lambda functions log to which group: a live owner keeps its group, even an empty one."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

from janitor.aws.api import Api, ReadError, UnavailableError

ACTIONS: dict[str, str] = {"ListFunctions": "lambda:ListFunctions"}
LAMBDA_PREFIX = "/aws/lambda/"
_EDGE = re.compile(r"^/aws/lambda/([a-z]{2}(?:-[a-z]+)+-\d)\.")


class Owners:
    """The log groups of a target's functions, listed when first asked for, and again once that is
    more than `lasts` seconds ago. Published versions, which an alias may lead to, are listed the
    first time alone: there may be ten times as many, and where one logs to does not change.
    """

    def __init__(self, api: Api, lasts: float = math.inf) -> None:
        self._api = api
        self._lasts = lasts
        self._lock = asyncio.Lock()
        self._listed: dict[str, tuple[float, dict[str, str] | str]] = {}

    async def owner(self, group: str) -> str | None:
        """The function that logs to the group, or None. Raises UnavailableError when unknown:
        functions could not be listed and the group may be a function's (`/aws/lambda/…`).

        A Lambda@Edge function logs in every Region to `/aws/lambda/<home Region>.<name>`, so
        such a name is looked up in the home Region.
        """
        edge = _EDGE.match(group)
        home = edge.group(1) if edge else self._api.target.region
        name = LAMBDA_PREFIX + group[edge.end() :] if edge else group
        listed = await self.listed(home)
        if isinstance(listed, str):
            if group.startswith(LAMBDA_PREFIX):
                raise UnavailableError("ListFunctions", listed)
            return None
        return listed.get(name)

    async def listed(self, region: str | None = None) -> dict[str, str] | str:
        """Log group to function name, or the error text where functions cannot be listed."""
        region = region or self._api.target.region
        async with self._lock:
            now = self._api.clock.monotonic()
            listed = self._listed.get(region)
            if listed is None or now - listed[0] > self._lasts:
                versions = {} if listed is None or isinstance(listed[1], str) else listed[1]
                try:
                    found = await self._list(region, every=not versions)
                    listed = now, {**versions, **found}
                except ReadError as error:
                    listed = now, str(error)
                self._listed[region] = listed
            return listed[1]

    async def _list(self, region: str, *, every: bool) -> dict[str, str]:
        owners: dict[str, str] = {}
        asked: dict[str, Any] = {"FunctionVersion": "ALL"} if every else {}
        marker: dict[str, Any] = {}
        while True:
            answer = await self._api.call(
                "lambda",
                "ListFunctions",
                expect="Functions",
                region=region,
                **asked,
                **marker,
            )
            for function in answer["Functions"]:
                name = str(function["FunctionName"])
                custom = (function.get("LoggingConfig") or {}).get("LogGroup")
                owners[str(custom or LAMBDA_PREFIX + name)] = name
            if not answer.get("NextMarker"):
                return owners
            if marker == {"Marker": answer["NextMarker"]}:
                raise UnavailableError("ListFunctions", "the same marker twice: no end in sight")
            marker = {"Marker": answer["NextMarker"]}
