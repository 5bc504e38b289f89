"""Which folder may import which, and who may change anything, read from the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

PACKAGE = Path(__file__).parents[1] / "janitor"
BELOW = {
    "core": set[str](),
    "policy": {"core"},
    "aws": {"core"},
    "owners": {"core", "aws"},
    "cost": {"core", "policy"},
    "journal": {"core", "aws", "policy"},
    "engine": {"core", "policy", "aws", "owners", "journal"},
    "report": {"core", "cost"},
    "sandbox": {"core"},
}
"""What each folder may import besides itself; the terminal and the function may import all."""
CHANGING = {
    "Changes": {"engine/act.py", "journal/restore.py"},
    "AccountPolicies": {"journal/account_policies.py"},
}
"""The only classes that change anything in an account, and the only modules that may use them. A
module that may put account-level policies cannot delete a log group.
"""


def imports(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each module of this package that a file imports, with the names taken from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("janitor"):
            yield str(node.module), {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            yield from ((a.name, set[str]()) for a in node.names if a.name.startswith("janitor"))


def folder(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def test_no_import_runs_upward() -> None:
    """A folder imports only those below it."""
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in PACKAGE.rglob("*.py")
        if (allowed := BELOW.get(folder(path))) is not None
        for module, names in imports(path)
        for other in ([module.split(".")[1]] if "." in module else names)
        if other in {*BELOW, "terminal", "function"} - {folder(path)} - allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("changing", CHANGING)
def test_only_few_modules_reach_a_mutating_call(changing: str) -> None:
    """No other module imports a class that changes anything."""
    users = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for module, names in imports(path)
        if module == "janitor.aws.logs" and names & {changing, "*"}
    }
    assert users == CHANGING[changing]
    assert not [at for at, name in attributes() if name == changing], (
        "it is reached through a module"
    )


def attributes() -> Iterator[tuple[str, str]]:
    """Yield each attribute that is used outside the sandbox, after the file."""
    for path in PACKAGE.rglob("*.py"):
        if folder(path) != "sandbox":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    yield str(path.relative_to(PACKAGE)), node.attr


def test_every_mutating_call_is_made_by_one_of_these_classes() -> None:
    """No other code names an operation of CloudWatch Logs that changes something, nor the method of
    boto3's client.
    """
    changing = re.compile(r"(Put|Delete|Create|Associate|Disassociate|Tag|Untag)[A-Z]\w+")
    operations = set(botocore.session.get_session().get_service_model("logs").operation_names)
    found = {
        (str(path.relative_to(PACKAGE)), getattr(scope, "name", ""))
        for path in PACKAGE.rglob("*.py")
        if folder(path) != "sandbox"
        for scope in ast.parse(path.read_text()).body
        for call in ast.walk(scope)
        if isinstance(call, ast.Call)
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        if changing.fullmatch(argument.value) and argument.value in operations
    }
    methods = {xform_name(name) for name in operations if changing.fullmatch(name)}
    assert not [(at, name) for at, name in attributes() if name in methods]
    assert {at for at, _ in found} == {"aws/logs.py"}
    assert {name for _, name in found} == CHANGING.keys()
