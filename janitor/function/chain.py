"""Going on after the 15 minutes: each invocation is a link that invokes the next one.

Lambda ends a function after 900 s. A link hands on what it did not get to
(`janitor.engine.resume`) by an asynchronous invocation of the same function. The chain is bounded
in links and in time.
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from janitor.core.errors import JanitorError

ACTIONS: dict[str, str] = {"Invoke": "lambda:InvokeFunction"}
SHORTEST_MARGIN = 1.0
LONGEST_MARGIN = 60.0
MARGIN_SHARE = 0.2


class ChainError(JanitorError):
    """The run cannot go on in another link; what was not reached stays undone."""


def margin(remaining: float) -> float:
    """Seconds before the end of a link in which no new work is begun.

    What is in flight takes at most a connection and a read timeout (35 s, `janitor.aws.api`), then
    the summary is written and the next link invoked. A link that has little time to begin with
    keeps a share of it.
    """
    return max(min(LONGEST_MARGIN, remaining * MARGIN_SHARE), SHORTEST_MARGIN)


def may_go_on(hop: int, started: int, now: int, *, max_links: int, max_hours: int) -> None:
    """Raise ChainError where link number `hop` (from 0) would be one too many.

    `started` and `now` in ms since the epoch.
    """
    if hop >= max_links:
        raise ChainError(f"not finished after {max_links} links (JANITOR_MAX_LINKS)")
    if now - started > max_hours * 3_600_000:
        raise ChainError(f"not finished after {max_hours} hours (JANITOR_MAX_HOURS)")


def go_on(client: Any, function: str, payload: str) -> None:
    """Invoke the function (name or ARN) with a JSON payload, asynchronously. Raises ChainError.

    A lost answer may start the next link twice; two links at work on the same groups are safe,
    because each change is preceded by a look.
    """
    try:
        answer = client.invoke(
            FunctionName=function, InvocationType="Event", Payload=payload.encode()
        )
    except (ClientError, BotoCoreError) as error:
        raise ChainError(f"the next link could not be invoked: {error}") from error
    if answer.get("StatusCode") != 202:
        raise ChainError(f"the next link was not accepted: status {answer.get('StatusCode')}")
