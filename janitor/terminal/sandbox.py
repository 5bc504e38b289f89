"""`janitor sandbox serve`: the demo account on 127.0.0.1, for the AWS CLI and other tools."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
from datetime import UTC, datetime
from types import FrameType

from janitor.core.errors import UsageError
from janitor.core.exit_codes import Exit
from janitor.sandbox import demo
from janitor.sandbox.account import Sandbox
from janitor.sandbox.clocks import RealClock

_OVERRIDING = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
"""Variables of the user's environment that would take precedence over the exported ones."""


def serve(port: int, *, quotas: bool) -> Exit:
    """Serve until SIGTERM or Ctrl-C; the account's clock runs from its fixed time.

    Port 0 means any free port; `quotas` throttles as AWS does. Raises UsageError.
    """
    sandbox = Sandbox(demo.account(), clock=RealClock(demo.NOW), quotas=quotas)
    ended, codes = threading.Event(), list[Exit]()

    def end(number: int, _frame: FrameType | None) -> None:
        codes.append(Exit.INTERRUPTED if number == signal.SIGINT else Exit.DONE)
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with contextlib.ExitStack() as serving:
            try:
                url = serving.enter_context(sandbox.serving(port))
            except OSError as error:
                why = os.strerror(error.errno or 0)
                raise UsageError(f"--port {port}: {why}") from error
            _say_variables(sandbox, url)
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return codes[0]


def _say_variables(sandbox: Sandbox, url: str) -> None:
    """Print the variables for a shell on stdout, and how to use them on stderr."""
    sys.stdout.write(f"unset {' '.join(_OVERRIDING)}\n")
    for name, value in sandbox.environment(url).items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.flush()
    moment = datetime.fromtimestamp(sandbox.clock.now() / 1000, UTC)
    sys.stderr.write(
        f"The demo account is served on {url} until Ctrl-C; the time there is "
        f"{moment:%Y-%m-%d %H:%M} UTC. Paste the lines above into another shell, then try the AWS "
        "CLI.\n"
    )
