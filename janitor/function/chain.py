"""Going on after the 15 minutes: each invocation is a link that invokes the next one.

Lambda ends a function after 900 s. A link leaves the state of the run in the bucket
(`janitor.function.state`) and invokes the function once more, asynchronously. The chain is bounded
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
LONGEST_DRAIN = 90.0
DRAIN_SHARE = 0.2


class ChainError(JanitorError):
    """The run cannot go on in another link; what was not reached stays undone."""


def margin(remaining: float) -> float:
    """Seconds before the end of a link in which nothing is begun any more.

    What is in flight takes 5 s at most (`Stop`), the journal, the plan, the state and the next link
    15 s each (`janitor.aws.api`). A link that has little time to begin with
    keeps a share of it.
    """
    return max(min(LONGEST_MARGIN, remaining * MARGIN_SHARE), SHORTEST_MARGIN)


def drain(remaining: float) -> float:
    """Seconds before that margin in which no new page and no new part of a plan is taken, so that
    what was taken is finished and the next link goes on right behind it.
    """
    return min(LONGEST_DRAIN, remaining * DRAIN_SHARE)


def too_long(link: int, started: int, now: int, *, max_links: int, max_hours: int) -> str:
    """Why link number `link` (from 0) is one too many; empty where it is not.

    `started` and `now` in ms since the epoch.
    """
    if link >= max_links:
        return f"not finished after {max_links} links (JANITOR_MAX_LINKS)"
    if now - started > max_hours * 3_600_000:
        return f"not finished after {max_hours} hours (JANITOR_MAX_HOURS)"
    return ""


def go_on(client: Any, function: str, payload: str) -> None:
    """Invoke the function (name or ARN) with a JSON payload, asynchronously. Raises ChainError.

    A lost answer may start the next link twice: the second finds that the first has claimed it.
    """
    try:
        answer = client.invoke(
            FunctionName=function, InvocationType="Event", Payload=payload.encode()
        )
    except (ClientError, BotoCoreError) as error:
        raise ChainError(f"the next link could not be invoked: {error}") from error
    if answer.get("StatusCode") != 202:
        raise ChainError(f"the next link was not accepted: status {answer.get('StatusCode')}")
