"""The exit codes of the command line, and which of them a command ends with."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    REFUSED = 4
    UNJUDGED = 5
    INTERRUPTED = 130


def exit_code(
    *,
    interrupted: bool,
    refused: bool = False,
    incomplete: bool,
    unjudged: bool = False,
    findings: bool = False,
) -> Exit:
    """Return the exit code of a command that came to its end: the first of these that applies.

    An unknown log group is kept, but not silently: whoever runs this unattended must learn of it,
    or acknowledge it in the policy. Findings count only with `--fail-on-findings`.
    """
    if interrupted:
        return Exit.INTERRUPTED
    if refused:
        return Exit.REFUSED
    if incomplete:
        return Exit.INCOMPLETE
    if unjudged:
        return Exit.UNJUDGED
    return Exit.FINDINGS if findings else Exit.DONE
