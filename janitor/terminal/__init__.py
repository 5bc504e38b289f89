"""The command line: one module per command."""

alone = False
"""Whether a command has the process to itself."""
