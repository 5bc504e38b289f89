"""The retry policy: how often a call is repeated, and after which waits.

`janitor.aws.api` tells which failures are worth a retry, and suspends an operation that keeps
failing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from janitor.core.clock import Stop

ATTEMPTS = 8
LONGEST_WAIT = 20.0
"""Seconds between two attempts."""

_T = TypeVar("_T")


class TransientError(Exception):
    """A failure worth a retry: throttled, 5xx, reset, timeout, an unreadable answer. `last` says
    that no attempt is left.
    """

    last = False


async def retrying(call: Callable[[], Awaitable[_T]], stop: Stop) -> _T:
    """The result of `call()`, retried with full jitter on TransientError, at most ATTEMPTS times.

    Raises the last TransientError if all attempts failed, StoppedError if `stop` was set meanwhile.
    """
    try:
        return await call()
    except TransientError as error:
        if error.last:
            raise
        first: TransientError | None = error

    async def again() -> _T:
        nonlocal first
        if first is not None:
            failed, first = first, None
            raise failed
        return await call()

    # Only from the first failure on: setting this up is costly, and nearly all calls succeed.
    return await AsyncRetrying(
        retry=retry_if_exception(
            lambda error: isinstance(error, TransientError) and not error.last
        ),
        wait=wait_random_exponential(multiplier=0.2, max=LONGEST_WAIT),
        stop=stop_after_attempt(ATTEMPTS),
        sleep=stop.sleep,
        reraise=True,
    )(again)
