"""Which Lambda functions log to which group: a live owner keeps its group, even an empty one."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from typing import Any

from janitor.aws.api import Api, ReadError, UnavailableError

ACTIONS: dict[str, str] = {"ListFunctions": "lambda:ListFunctions"}
LAMBDA_PREFIX = "/aws/lambda/"
_EDGE = re.compile(r"^/aws/lambda/([a-z]{2}(?:-[a-z]+)+-\d)\.")


EDGE_HOME = "us-east-1"
"""Where every Lambda@Edge function is made (CloudFront developer guide)."""


class EdgeOwners:
    """The log groups of Lambda@Edge functions that are named otherwise than usual: in every Region
    they log to groups of these very names. Listed once for each account, for all targets.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._listed: dict[str, dict[str, str]] = {}

    async def owner(self, api: Api, group: str) -> str | None:
        """The function that may log to the group, or None; also where that cannot be read."""
        account, region = api.target.account, api.target.region
        if region == EDGE_HOME or region.startswith(_WITHOUT_EDGE):
            return None
        async with self._lock:
            if account not in self._listed:
                self._listed[account] = {}
                with contextlib.suppress(*ReadError):
                    self._listed[account] = await _functions(api, EDGE_HOME, every=True)
        name = self._listed[account].get(group)
        return None if name is None or group == LAMBDA_PREFIX + name else name


_WITHOUT_EDGE = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")


class Owners:
    """The log groups of a target's functions, listed when first asked for, and again once that is
    more than `lasts` seconds ago. Published versions, which an alias may lead to, are listed the
    first time alone: there may be ten times as many, and where one logs to does not change.
    """

    def __init__(self, api: Api, lasts: float = math.inf, edge: EdgeOwners | None = None) -> None:
        self._api = api
        self._edge = edge or EdgeOwners()
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
        return listed.get(name) or await self._edge.owner(self._api, group)

    async def listed(self, region: str | None = None) -> dict[str, str] | str:
        """Log group to function name, or the error text where functions cannot be listed."""
        region = region or self._api.target.region
        async with self._lock:
            now = self._api.clock.monotonic()
            listed = self._listed.get(region)
            if listed is None or now - listed[0] > self._lasts:
                versions = {} if listed is None or isinstance(listed[1], str) else listed[1]
                try:
                    found = await _functions(self._api, region, every=not versions)
                    listed = now, {**versions, **found}
                except ReadError as error:
                    listed = now, str(error)
                self._listed[region] = listed
            return listed[1]


async def _functions(api: Api, region: str, *, every: bool) -> dict[str, str]:
    """Log group to function name; `every` version's. Raises ReadError."""
    owners: dict[str, str] = {}
    asked: dict[str, Any] = {"FunctionVersion": "ALL"} if every else {}
    marker: dict[str, Any] = {}
    while True:
        answer = await api.call(
            "lambda", "ListFunctions", expect="Functions", region=region, **asked, **marker
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
