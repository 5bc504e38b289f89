"""Every error that is reported to the user, with its exit code."""

from __future__ import annotations

from janitor.core.exit_codes import Exit


class JanitorError(Exception):
    """An error that a person can act on. Its text is one clear line."""

    exit_code = Exit.USAGE


class UsageError(JanitorError):
    """A wrong option, Region, plan or environment; nothing was done."""


class PolicyError(JanitorError):
    """The policy cannot be used. `problems` has one line for each problem."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))


class PlanError(JanitorError):
    """The plan file cannot be used; nothing was done."""


class InterruptionError(JanitorError):
    """Somebody interrupted the run before anything was changed."""

    exit_code = Exit.INTERRUPTED


class CredentialsError(JanitorError):
    """AWS does not accept the credentials, or no longer does."""


class OutputError(JanitorError):
    """Not all of the output could be written; what was changed stays changed."""

    def __init__(self, error: OSError, code: Exit = Exit.INCOMPLETE) -> None:
        why = f"is incomplete: {error.strerror}"
        if isinstance(error, BrokenPipeError):
            why = "was closed before everything was written"
        super().__init__(f"the output {why}")
        self.exit_code = code


class JournalError(JanitorError):
    """The journal cannot be written, so nothing more may be changed."""
