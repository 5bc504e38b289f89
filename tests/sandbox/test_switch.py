"""The fake account is there only for who asks for it on the command line."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import janitor
from janitor.terminal.cli import app

PACKAGE = Path(janitor.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).parts: list(ast.walk(ast.parse(path.read_bytes())))
    for path in PACKAGE.rglob("*.py")
}


def imported(nodes: list[ast.AST]) -> Iterator[str]:
    """What a module imports, in its functions too."""
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=source, names=names):
                yield from (f"{source}.{name.name}" for name in names)


def options(command: Any) -> Iterator[Any]:
    """The options of a command and of those below it."""
    yield from command.params
    for below in getattr(command, "commands", {}).values():
        yield from options(below)


def test_only_the_command_line_reaches_it() -> None:
    """Whoever uses the function or the engine cannot meet it by accident."""
    reaching = {
        parts[0]
        for parts, nodes in MODULES.items()
        if any(f"{name}.".startswith("janitor.sandbox.") for name in imported(nodes))
    }
    assert reaching == {"sandbox", "terminal"}


def test_no_environment_variable_switches_it_on() -> None:
    """It reads none, none is named after it, and its options have none."""
    inside = [node for parts, nodes in MODULES.items() if parts[0] == "sandbox" for node in nodes]
    names = {node.attr for node in inside if isinstance(node, ast.Attribute)}
    names |= {name.rpartition(".")[2] for name in imported(inside)}
    assert not names & {"environ", "getenv"}
    constants = [node for nodes in MODULES.values() for node in nodes
                 if isinstance(node, ast.Constant)]  # fmt: skip
    assert not [c.value for c in constants if "JANITOR_SANDBOX" in str(c.value)]
    command: Any = typer.main.get_command(app)
    own = [option for option in options(command) if "sandbox" in option.name]
    prefix = command.context_settings.get("auto_envvar_prefix")
    assert own
    assert not [o.name for o in own if o.envvar or (prefix and o.allow_from_autoenv)]
