"""Only the command line reaches the fake account."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import janitor
from janitor.terminal.cli import app

PACKAGE = Path(janitor.__file__).parent
MODULES = [(path.relative_to(PACKAGE).parts[0], path.read_text()) for path in PACKAGE.rglob("*.py")]


def having(pattern: str) -> set[str]:
    """The package's folders with a module that contains this text."""
    return {folder for folder, text in MODULES if re.search(pattern, text)}


def options(command: Any) -> Iterator[Any]:
    """The options of a command and of those below it."""
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def test_only_the_command_line_reaches_it() -> None:
    """No other folder imports it, it reads no environment variable, and its options have none."""
    assert having(r"\bjanitor(\.| import .*)sandbox\b") == {"sandbox", "terminal"}
    assert "sandbox" not in having(r"\b(environ|getenv)\b")
    assert having("JANITOR_SANDBOX") == set()
    command: Any = typer.main.get_command(app)
    own = [option for option in options(command) if "sandbox" in option.name]
    prefix = command.context_settings.get("auto_envvar_prefix")
    assert own
    assert not [o.name for o in own if o.envvar or (prefix and o.allow_from_autoenv)]
