"""Every error a user can cause, with the exit code it ends in."""

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


class JanitorError(Exception):
    """An error that a person can act on; its text is one clear line."""

    exit_code = Exit.USAGE


class UsageError(JanitorError):
    """A wrong option, Region, plan or environment; nothing was done."""


class PolicyError(JanitorError):
    """The policy cannot be used. `problems` holds one line for each thing wrong in it."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))


class PlanError(JanitorError):
    """The plan file cannot be used; nothing was done."""


class InterruptionError(JanitorError):
    """Somebody ended it before anything was changed."""

    exit_code = Exit.INTERRUPTED


class CredentialsError(JanitorError):
    """AWS does not know who is calling, or no longer accepts it."""


class OutputError(JanitorError):
    """Not all of the output could be written; what was changed stays changed."""

    def __init__(self, error: OSError, code: Exit = Exit.INCOMPLETE) -> None:
        closed = isinstance(error, BrokenPipeError)
        why = (
            "was closed before everything was written"
            if closed
            else f"is incomplete: {error.strerror}"
        )
        super().__init__(f"the output {why}")
        self.exit_code = code


class JournalError(JanitorError):
    """The journal cannot be written, so nothing (more) may be changed."""
