"""One invocation: Lambda's context object, its log lines, and its answer or error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, Protocol

import structlog

from janitor.core.errors import JanitorError

log = structlog.get_logger("janitor")
CONTEXT: dict[str, str] = {}
"""Fields of every log line of the invocation."""


class Invocation(Protocol):
    """The part of Lambda's context object that is used."""

    aws_request_id: str
    invoked_function_arn: str
    log_group_name: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def answer_or_error(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | Exception:
    """Return the answer or the error: if the handler raised, powertools would leave out the metric
    of its cold start.
    """
    try:
        return asyncio.run(work)
    except Exception as error:  # raised again by `unwrapped`, once the metrics are out
        if not isinstance(error, JanitorError):
            log.exception("internal_error")
        else:
            log.error("run_failed", error=str(error))
        return error


def unwrapped(result: dict[str, Any] | Exception) -> dict[str, Any]:
    """Return the answer, or raise the error."""
    if isinstance(result, Exception):
        raise result
    return result


def _with_context(_logger: Any, _method: str, line: Any) -> Any:
    return {**CONTEXT, **line}


def configure_logs() -> None:
    """Log JSON lines to stdout, which Lambda writes to the function's log group."""
    structlog.configure(
        processors=[
            _with_context,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stdout),
        cache_logger_on_first_use=False,
    )
