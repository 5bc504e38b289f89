"""The command line: one module per command, and what the commands share."""

owns_process = False
"""Whether a command has the process to itself."""
