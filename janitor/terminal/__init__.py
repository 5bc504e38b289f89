"""The command line: one module per command."""

owns_process = False
"""Whether a command has the process to itself."""
