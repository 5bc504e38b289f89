"""Longer runs than Lambda's 900 s: each invocation is a link that invokes the next one.

A link saves the run's state in the bucket (`janitor.function.state`) and invokes the function once
more, asynchronously. The chain is bounded in links and in time.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import JanitorError

ACTIONS: dict[str, str] = {"Invoke": "lambda:InvokeFunction"}


class ChainError(JanitorError):
    """The next link could not be invoked; what was not reached stays undone."""


def too_long(link: int, started: int, now: int, *, max_links: int, max_hours: int) -> str:
    """Return why link number `link` (from 0) is one too many, or an empty string.

    `started` and `now` are in ms since the epoch.
    """
    if link >= max_links:
        return f"not finished after {max_links} links (JANITOR_MAX_LINKS)"
    if now - started > max_hours * 3_600_000:
        return f"not finished after {max_hours} hours (JANITOR_MAX_HOURS)"
    return ""


def go_on(client: Any, function: str, payload: str) -> None:
    """Invoke the function (name or ARN) with a JSON payload, asynchronously. Raises ChainError.

    A retry after a lost answer may invoke the next link twice: the first to claim it works on it.
    """
    try:
        answer = client.invoke(
            FunctionName=function, InvocationType="Event", Payload=payload.encode()
        )
    except (ClientError, BotoCoreError) as error:
        raise ChainError(f"the next link could not be invoked: {error}") from error
    if answer.get("StatusCode") != 202:
        raise ChainError(f"the next link was not accepted: status {answer.get('StatusCode')}")
